//! Traces of pauses: everything stands still, and goes on as if no time had passed.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::command::Command;
use crate::model::name::Name;
use crate::model::options::{Budget, Options, Parallel, TrialDefaults};
use crate::model::outcome::Exit;
use crate::model::retry::Retries;
use crate::model::summary::Summary;
use crate::model::trial::{Condition, Healthcheck, Timeout, Trial};
use crate::run::session::interrupt::Interrupt;
use crate::run::traces::{after, follow, seconds, start, trial};

fn pause() -> Command {
    Command::Pause { by: "SIGTSTP".to_owned() }
}

fn unpause() -> Command {
    Command::Unpause { by: "SIGCONT".to_owned() }
}

fn cancel() -> Command {
    Command::Cancel { by: "SIGINT".to_owned() }
}

fn kill(trial: &str) -> Command {
    Command::Kill { trial: Name::parse(trial).unwrap(), at_once: false }
}

/// A run to which these commands are sent, each at its second.
pub(super) async fn trace(
    engine: Fake,
    trials: Vec<Trial>,
    options: Options,
    commands: Vec<(f64, Command)>,
) -> (String, Summary) {
    let engine = Arc::new(engine);
    let live = start(&engine, trials, options);
    let (way, began) = (live.commands().clone(), tokio::time::Instant::now());
    tokio::spawn(async move {
        for (at, command) in commands {
            tokio::time::sleep_until(began + seconds(at)).await;
            way.send(command);
        }
    });
    // Fails, in virtual time, where a run would never end.
    tokio::time::timeout(seconds(1e5), follow(live, |_, _| {})).await.expect("the run ends")
}

fn forever() -> Scene {
    Scene { run_for: seconds(1e6), ..Scene::default() }
}

#[tokio::test(start_paused = true)]
async fn trials_and_timers_stand_still_while_the_run_is_paused() {
    let fails = Scene { run_for: seconds(2.0), exit: Exit::Code(1), ..Scene::default() };
    let engine = Fake::new(4.0).scene("retried", [fails, Scene::default()]);
    let options = Options {
        budget: Budget { parallel: Some(Parallel::Count(3)), ..Budget::default() },
        time_budget: Some(seconds(30.0)),
        ..Options::default()
    };
    let trials = vec![
        trial("long", "sleep 10"),
        Trial { timeout: Some(Timeout::After(seconds(9.0))), ..trial("timed", "sleep 100") },
        Trial {
            retries: Some(Retries { delay: seconds(4.0), ..Retries::count(1) }.into()),
            ..trial("retried", "true")
        },
        trial("next", "sleep 1"),
        after(trial("last", "sleep 100"), "long", Some(Condition::Completed)),
    ];
    let (lines, summary) = trace(engine, trials, options, vec![(3.5, pause()), (1003.5, unpause())]).await;
    assert_snapshot!(lines, @r#"
      0.00  long started
      0.00  timed started
      0.00  retried started
      2.00  retried will be retried in 4s
      2.00  next started
      3.00  next succeeded
      3.50  taken: pause (by SIGTSTP)
    1003.50  taken: unpause (by SIGCONT)
    1006.00  retried started, attempt 2
    1006.00  retried succeeded
    1006.75  timed slow after 6.75s
    1009.00  timed stopping: it ran longer than its timeout (9s)
    1009.00  timed timed out
    1010.00  long succeeded
    1010.00  last started
    1030.00  halted: the time budget of 30s is used up
    1030.00  last killed
    1030.00  end: Halted("the time budget of 30s is used up")
    "#);
    let elapsed = |name: &str| summary.get(&Name::parse(name).unwrap()).unwrap().elapsed;
    assert_eq!(
        (elapsed("long"), elapsed("timed"), summary.elapsed),
        (seconds(10.0), seconds(9.0), Some(seconds(30.0)))
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_starting_is_paused_and_one_that_was_not_is_not_started() {
    let engine = Fake::new(4.0).starts(seconds(2.0), 1);
    let trials = vec![trial("first", "sleep 10"), trial("second", "sleep 10")];
    let commands = vec![(1.0, pause()), (101.0, unpause())];
    assert_snapshot!(trace(engine, trials, Options::default(), commands).await.0, @"
      1.00  taken: pause (by SIGTSTP)
      2.00  first started
    101.00  taken: unpause (by SIGCONT)
    103.00  second started
    111.00  first succeeded
    113.00  second succeeded
    113.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn the_health_of_what_stands_still_is_not_judged() {
    let late = Scene { healthy_after: Some(seconds(5.0)), ..forever() };
    let (interval, test) = (Some(seconds(2.0)), vec!["CMD".to_owned(), "true".to_owned()]);
    let check = Healthcheck { test, interval, timeout: None, retries: Some(4), start_period: None };
    let db = Trial { healthcheck: Some(check.into()), ..trial("db", "") };
    let trials = vec![db, after(trial("user", "sleep 1"), "db", None)];
    let commands = vec![(3.0, pause()), (103.0, unpause()), (103.5, pause()), (203.5, unpause())];
    assert_snapshot!(trace(Fake::new(2.0).scene("db", [late]), trials, Options::default(), commands).await.0, @"
      0.00  db started
      3.00  taken: pause (by SIGTSTP)
    103.00  taken: unpause (by SIGCONT)
    103.50  taken: pause (by SIGTSTP)
    203.50  taken: unpause (by SIGCONT)
    205.00  db healthy
    205.00  user started
    206.00  user succeeded
    206.00  db stopping: nothing needs it any more
    206.00  db stopped, nothing needs it any more
    206.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_paused_run_can_be_stopped_and_a_paused_trial_killed() {
    let stubborn = Scene { stubborn: true, ..forever() };
    let engine = || Fake::new(4.0).scene("deaf", [stubborn.clone()]);
    let trials = || vec![trial("deaf", "true"), trial("meek", "sleep 10"), trial("other", "sleep 10")];
    let options = Options {
        defaults: TrialDefaults { stop_grace: Some(seconds(5.0)), ..TrialDefaults::default() },
        ..Options::default()
    };
    let commands = vec![(2.0, pause()), (50.0, kill("meek")), (60.0, cancel()), (70.0, unpause())];
    let (stopped, _) = trace(engine(), trials(), options.clone(), commands).await;
    let commands = vec![(2.0, pause()), (50.0, kill("meek")), (52.0, kill("deaf")), (60.0, unpause())];
    let (killed, _) = trace(engine(), trials(), options, commands).await;
    assert_snapshot!(format!("{stopped}\n{killed}"), @r#"
     0.00  deaf started
     0.00  meek started
     0.00  other started
     2.00  taken: pause (by SIGTSTP)
    50.00  taken: kill meek
    50.00  meek killed
    60.00  taken: stop (by SIGINT)
    60.00  other killed
    65.00  deaf killed
    65.00  end: Cancelled("SIGINT")

     0.00  deaf started
     0.00  meek started
     0.00  other started
     2.00  taken: pause (by SIGTSTP)
    50.00  taken: kill meek
    50.00  meek killed
    52.00  taken: kill deaf
    57.00  deaf killed
    60.00  taken: unpause (by SIGCONT)
    68.00  other succeeded
    68.00  end
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_pauses_every_run_and_knows_when_all_of_it_stands_still() {
    let (interrupt, began) = (Interrupt::default(), tokio::time::Instant::now());
    // A second for each start: the runs stand still when the last of them is through.
    let engine = Arc::new(Fake::new(4.0).starts(seconds(1.0), 4));
    let run = |name: &str, cmd: &str| start(&engine, vec![trial(name, cmd)], Options::default());
    let (short, first) = (run("short", "true"), run("first", "sleep 10"));
    interrupt.register(&short);
    interrupt.register(&first);
    let short = follow(short, |_, _| {}).await.0;
    tokio::time::sleep(seconds(3.0)).await;
    let second = run("second", "sleep 10");
    interrupt.register(&second);
    tokio::time::sleep(seconds(0.5)).await;
    interrupt.pause("SIGTSTP").await;
    assert_eq!(began.elapsed(), seconds(5.0));
    // One that is started only now, and one that is paused a second time.
    let late = run("late", "sleep 10");
    interrupt.register(&late);
    interrupt.pause("SIGTSTP").await;
    let unpaused = async {
        tokio::time::sleep(seconds(100.0)).await;
        interrupt.unpause("SIGCONT");
        interrupt.unpause("SIGCONT");
    };
    let [first, second, late] = [first, second, late].map(|live| follow(live, |_, _| {}));
    let (first, second, late, ()) = tokio::join!(first, second, late, unpaused);
    assert_snapshot!([short, first.0, second.0, late.0].join("\n"), @"
      1.00  short started
      1.00  short succeeded
      1.00  end

      1.00  first started
      4.50  taken: pause (by SIGTSTP)
      5.00  taken: pause (by SIGTSTP)
    105.00  taken: unpause (by SIGCONT)
    111.50  first succeeded
    111.50  end

      0.50  taken: pause (by SIGTSTP)
      1.00  second started
      1.00  taken: pause (by SIGTSTP)
    101.00  taken: unpause (by SIGCONT)
    111.00  second succeeded
    111.00  end

      0.00  taken: pause (by SIGTSTP)
      0.00  taken: pause (by SIGTSTP)
    100.00  taken: unpause (by SIGCONT)
    101.00  late started
    111.00  late succeeded
    111.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn what_is_being_stopped_is_not_held_up_by_a_pause() {
    let stubborn = Scene { stubborn: true, ..forever() };
    let options = Options {
        defaults: TrialDefaults { stop_grace: Some(seconds(5.0)), ..TrialDefaults::default() },
        ..Options::default()
    };
    let trials = vec![trial("deaf", "true"), trial("other", "sleep 10")];
    let commands = vec![(1.0, kill("deaf")), (2.0, pause()), (3.0, pause()), (50.0, unpause()), (51.0, unpause())];
    assert_snapshot!(trace(Fake::new(4.0).scene("deaf", [stubborn]), trials, options, commands).await.0, @"
     0.00  deaf started
     0.00  other started
     1.00  taken: kill deaf
     2.00  taken: pause (by SIGTSTP)
     3.00  taken: pause (by SIGTSTP)
     6.00  deaf killed
    50.00  taken: unpause (by SIGCONT)
    51.00  taken: unpause (by SIGCONT)
    58.00  other succeeded
    58.00  end
    ");
}
