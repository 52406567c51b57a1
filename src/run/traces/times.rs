//! Traces of times: timeouts by the median, what is slow, and the time a whole run may take.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::options::{Budget, Options, Parallel, TrialDefaults};
use crate::model::trial::{Condition, Timeout, Trial};
use crate::run::traces::{after, follow, seconds, start, trace, trial};

fn service(name: &str) -> Trial {
    Trial { service: Some(true), ..trial(name, "") }
}

#[tokio::test(start_paused = true)]
async fn starts_are_at_least_as_far_apart_as_the_delay() {
    let options = Options { delay: Some(seconds(2.0)), ..Options::default() };
    let trials = vec![
        trial("t1", "sleep 1"),
        trial("t2", "sleep 9"),
        trial("t3", "sleep 1"),
        after(trial("t4", "sleep 1"), "t2", Some(Condition::Completed)),
    ];
    assert_snapshot!(trace(Fake::new(16.0), trials, options).await, @"
     0.00  t1 started
     1.00  t1 succeeded
     2.00  t2 started
     4.00  t3 started
     5.00  t3 succeeded
    11.00  t2 succeeded
    11.00  t4 started
    12.00  t4 succeeded
    12.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_median_is_a_timeout_from_the_third_success_on_and_follows_it() {
    let options = Options {
        defaults: TrialDefaults { timeout: Some(Timeout::OfMedian(300.0)), ..TrialDefaults::default() },
        slow: Some(Timeout::After(seconds(1000.0))),
        ..Options::default()
    };
    let trials = vec![
        trial("old", "sleep 100"),
        trial("t1", "sleep 2"),
        trial("t2", "sleep 3"),
        trial("t3", "sleep 4"),
        // Three medians are nine seconds until these end.
        trial("slower-1", "sleep 8"),
        trial("slower-2", "sleep 8"),
        trial("slower-3", "sleep 8.5"),
        trial("late", "sleep 17"),
        trial("failed", "sleep 1; exit 1"),
    ];
    assert_snapshot!(trace(Fake::new(16.0), trials, options).await, @"
     0.00  old started
     0.00  t1 started
     0.00  t2 started
     0.00  t3 started
     0.00  slower-1 started
     0.00  slower-2 started
     0.00  slower-3 started
     0.00  late started
     0.00  failed started
     1.00  failed failed (exit code 1)
     2.00  t1 succeeded
     3.00  t2 succeeded
     4.00  t3 succeeded
     8.00  slower-1 succeeded
     8.00  slower-2 succeeded
     8.50  slower-3 succeeded
    17.00  late succeeded
    24.00  old stopping: it ran longer than its timeout (24s, 300% of the median)
    24.00  old timed out
    24.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_by_the_median_ends_what_is_too_old_already() {
    let options = Options {
        defaults: TrialDefaults { timeout: Some(Timeout::OfMedian(200.0)), ..TrialDefaults::default() },
        budget: Budget { parallel: Some(Parallel::Count(2)), ..Budget::default() },
        ..Options::default()
    };
    // The service's seconds are no trial's.
    let engine = Fake::new(4.0).scene("db", [Scene { run_for: seconds(1e6), ..Scene::default() }]);
    let mut trials = vec![service("db"), trial("stuck", "sleep 1000")];
    trials.extend((1..=3).map(|number| after(trial(&format!("t{number}"), "sleep 10"), "db", None)));
    assert_snapshot!(trace(engine, trials, options).await, @"
     0.00  db started
     0.00  stuck started
     0.00  t1 started
    10.00  t1 succeeded
    10.00  t2 started
    20.00  t2 succeeded
    20.00  t3 started
    30.00  t3 succeeded
    30.00  db stopping: nothing needs it any more
    30.00  stuck stopping: it ran longer than its timeout (20s, 200% of the median)
    30.00  stuck timed out
    30.00  db stopped, nothing needs it any more
    30.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_is_announced_once_and_long_before_its_timeout() {
    let engine = || Fake::new(8.0).scene("db", [Scene { run_for: seconds(1e6), ..Scene::default() }]);
    let trials = || {
        vec![
            service("db"),
            after(trial("quick", "sleep 2"), "db", None),
            Trial { timeout: Some(Timeout::After(seconds(8.0))), ..trial("timed", "sleep 60") },
            trial("free", "sleep 20"),
        ]
    };
    let unsaid = trace(engine(), trials(), Options::default()).await;
    let said = Options { slow: Some(Timeout::After(seconds(3.0))), ..Options::default() };
    let said = trace(engine(), trials(), said).await;
    let share = Options { slow: Some(Timeout::OfMedian(150.0)), ..Options::default() };
    let mut more = trials();
    more.remove(2);
    more.extend([trial("t1", "sleep 4"), trial("t2", "sleep 4")]);
    let share = trace(engine(), more, share).await;
    assert_snapshot!(format!("{unsaid}\n{said}\n{share}"), @"
     0.00  db started
     0.00  timed started
     0.00  free started
     0.00  quick started
     2.00  quick succeeded
     2.00  db stopping: nothing needs it any more
     2.00  db stopped, nothing needs it any more
     6.00  timed slow after 6s
     8.00  timed stopping: it ran longer than its timeout (8s)
     8.00  timed timed out
    20.00  free succeeded
    20.00  end

     0.00  db started
     0.00  timed started
     0.00  free started
     0.00  quick started
     2.00  quick succeeded
     2.00  db stopping: nothing needs it any more
     2.00  db stopped, nothing needs it any more
     3.00  timed slow after 3s
     3.00  free slow after 3s
     8.00  timed stopping: it ran longer than its timeout (8s)
     8.00  timed timed out
    20.00  free succeeded
    20.00  end

     0.00  db started
     0.00  free started
     0.00  t1 started
     0.00  t2 started
     0.00  quick started
     2.00  quick succeeded
     2.00  db stopping: nothing needs it any more
     2.00  db stopped, nothing needs it any more
     4.00  t1 succeeded
     4.00  t2 succeeded
     6.00  free slow after 6s
    20.00  free succeeded
    20.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_up_is_halted_with_grace() {
    let stubborn = Scene { run_for: seconds(1e6), stubborn: true, ..Scene::default() };
    let options = Options {
        defaults: TrialDefaults { stop_grace: Some(seconds(3.0)), ..TrialDefaults::default() },
        budget: Budget { parallel: Some(Parallel::Count(3)), ..Budget::default() },
        time_budget: Some(seconds(10.0)),
        ..Options::default()
    };
    let trials = vec![
        trial("deaf", "true"),
        trial("quick", "sleep 1"),
        trial("long", "sleep 100"),
        trial("next", "sleep 50"),
        trial("waits", "true"),
    ];
    assert_snapshot!(trace(Fake::new(4.0).scene("deaf", [stubborn]), trials, options.clone()).await, @r#"
     0.00  deaf started
     0.00  quick started
     0.00  long started
     1.00  quick succeeded
     1.00  next started
    10.00  halted: the time budget of 10s is used up
    10.00  waits skipped because the time budget of 10s is used up
    10.00  long killed
    10.00  next killed
    13.00  deaf killed
    13.00  end: Halted("the time budget of 10s is used up")
    "#);
    let engine = Arc::new(Fake::new(4.0));
    let (_, summary) = follow(start(&engine, vec![trial("quick", "sleep 9")], options), |_, _| {}).await;
    assert!(summary.ok(), "what ends in time is not halted");
}
