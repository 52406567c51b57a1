//! What each report makes of a script of events.

mod script;

use std::io;
use std::time::Duration;

use console::measure_text_width;

use crate::model::command::Command;
use crate::model::event::{Cause, Early, Fact, Logs, Sink};
use crate::model::outcome::{Exit, Outcome};
use crate::report::{Json, NextCommands, Plain, Style, results_table, summary};

pub(crate) use script::{Pages, Script, name};

/// A run in which everything happens that can happen.
fn eventful() -> Script {
    let names = ["db", "solver-a-1", "solver-b-2", "solver-c-3", "loader", "report", "late", "big"];
    let mut script = Script::new("粒子法スイープ", &names, &["db"], 4);
    script.prepare("image solver:1.2", "pulling").prepare("image solver:1.2", "pulling, 3 of 7 layers");
    script.prepare("image solver:1.2", "pulled").prepare("network irl", "created");
    script
        .fact(Fact::Warned { message: "`solver-a-1` asks for `devices`, which the local engine does not give".into() });
    script.start("db", 1).fact(Fact::Healthy { trial: name("db") });
    script.start("solver-a-1", 1).end("solver-a-1", 1, Outcome::Succeeded, 3_240, "");
    script.start("solver-b-2", 1);
    script.attempt_end("solver-b-2", 1, Outcome::Failed { exit: Exit::Code(3) }, 900, "first\n");
    script.fact(Fact::RetryScheduled {
        trial: name("solver-b-2"),
        attempt: 2,
        delay: Duration::from_secs(5),
        memory: None,
    });
    let traceback = "1\n2\nTraceback (most recent call last):\n  File \"solver.py\", line 3\n 50%\r100%\nValueError: 温度が範囲外です: \u{1b}[31m-300\u{1b}[0m\n\n";
    script.start("solver-b-2", 2).end("solver-b-2", 2, Outcome::Failed { exit: Exit::Code(3) }, 1_020, traceback);
    script.start("loader", 1).end("loader", 1, Outcome::Failed { exit: Exit::Signal(11) }, 65_000, "");
    script.skip("report", "`loader` failed (killed by SIGSEGV)");
    script.start("late", 1);
    script.fact(Fact::Stopping {
        trial: name("late"),
        because: "it ran longer than its timeout (2s)".into(),
        cause: Cause::TimedOut,
    });
    script.end("late", 1, Outcome::TimedOut, 2_100, "still going\n");
    script.start("big", 1).end("big", 1, Outcome::Oom, 7_000, &"x".repeat(200));
    let message = "no image `solver:9`: pull access denied for solver, repository does not exist or may require login";
    script.end("solver-c-3", 1, Outcome::NotStarted { message: message.into() }, 0, "");
    script.fact(Fact::Stopping {
        trial: name("db"),
        because: "nothing needs it any more".into(),
        cause: Cause::Unneeded,
    });
    script.end("db", 1, Outcome::Stopped, 81_000, "");
    script.run_end(None, 82_300);
    script
}

#[test]
fn the_plain_report_tells_a_run_line_by_line() {
    insta::assert_snapshot!(eventful().plain(Style::PLAIN), @r#"
    粒子法スイープ: 8 trials (1 service), at most 4 at once, run k3jd8s0aq2xz
    logs: /state/runs/k3jd8s0aq2xz
          prepare image solver:1.2  pulling
          prepare image solver:1.2  pulled
          prepare network irl  created
          warning `solver-a-1` asks for `devices`, which the local engine does not
                  give
          up      db
          healthy db
    [1/8] ok      solver-a-1  3.2s
          retry   solver-b-2  attempt 2 in 5.0s (exit code 3)
    [2/8] FAIL    solver-b-2  exit code 3, 1.0s, attempt 2
          | 2
          | Traceback (most recent call last):
          |   File "solver.py", line 3
          | 100%
          | ValueError: 温度が範囲外です: -300
          log: /logs/solver-b-2/stderr.log
    [3/8] FAIL    loader  killed by SIGSEGV, 1m 05s
          it wrote nothing
    [4/8] skip    report  `loader` failed (killed by SIGSEGV)
          stop    late  it ran longer than its timeout (2s)
    [5/8] FAIL    late  timed out, 2.1s
          | still going
          log: /logs/late/stderr.log
    [6/8] FAIL    big  ran out of memory, 7.0s
          | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
          log: /logs/big/stderr.log
    [7/8] FAIL    solver-c-3  could not be started: no image `solver:9`: pull access
                  denied for solver, repository does not exist or may require login
    [8/8] stopped db  1m 21s
    "#);
}

#[test]
fn the_plain_report_of_a_cancelled_run_says_why_once() {
    let names: Vec<String> = (0..1000).map(|number| format!("trial-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut script = Script::new("sweep", &names, &[], 2);
    script.start("trial-0", 1).start("trial-1", 1);
    script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
    for trial in ["trial-0", "trial-1"] {
        script.fact(Fact::Stopping {
            trial: name(trial),
            because: "the run was stopped by SIGINT".into(),
            cause: Cause::Unneeded,
        });
    }
    // The second one kills, and says so.
    script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
    script.end("trial-0", 1, Outcome::Killed, 1_000, "").end("trial-1", 1, Outcome::Killed, 1_000, "");
    for trial in &names[2..] {
        script.skip(trial, "the run was stopped by SIGINT");
    }
    script.run_end(Some(Early::Cancelled("SIGINT".into())), 1_100);
    insta::assert_snapshot!(script.plain(Style::PLAIN), @"
    sweep: 1000 trials, at most 2 at once, run k3jd8s0aq2xz
    logs: /state/runs/k3jd8s0aq2xz
                stop    Ctrl-C: stopping 2 trials (up to 10s); Ctrl-C again kills
                        them; `combu resume` goes on later
                kill    Ctrl-C again: killing 2 trials
    [   0/1000] killed  trial-0  1.0s
    [   0/1000] killed  trial-1  1.0s
    ");
    insta::assert_snapshot!(summary(&script.summary(), &NextCommands::default(), &Style::PLAIN), @r#"
    skipped: 998 trials (`trial-2`, ...) because the run was stopped by SIGINT
    ended early: stopped by SIGINT
    1000 trials: 998 skipped, 2 killed in 1.1s
    "#);
}

#[test]
fn a_thousand_trials_are_a_thousand_lines_and_only_the_first_failures_show_their_logs() {
    let names: Vec<String> = (0..1000).map(|number| format!("trial-{number}")).collect();
    let mut script = Script::new("sweep", &names.iter().map(String::as_str).collect::<Vec<_>>(), &[], 8);
    for (number, name) in names.iter().enumerate() {
        script.start(name, 1);
        match number % 4 {
            0 => script.end(name, 1, Outcome::Failed { exit: Exit::Code(1) }, 10, "失敗しました\n"),
            _ => script.end(name, 1, Outcome::Succeeded, 10, ""),
        };
    }
    script.run_end(None, 10_000);
    let text = script.plain(Style::PLAIN);
    let count = |part: &str| text.matches(part).count();
    // Those that fail as others before are told in a line each.
    assert_eq!((count("] ok "), count("] FAIL "), count("| 失敗しました"), count("log: ")), (750, 250, 3, 3));
    assert_eq!((count(", like trial-0\n"), count("`--max-fail 3`")), (247, 1));
    assert!(text.lines().all(|line| measure_text_width(line) <= 80), "{text}");
    assert!(text.contains("\n[ 999/1000] ok      trial-998  0.0s\n"), "{text}");

    let text = summary(&script.summary(), &NextCommands::default(), &Style::PLAIN);
    insta::assert_snapshot!(text, @"
    failed: 250 x exit code 1: 失敗しました (trial-0, trial-4, ...)
    1000 trials: 750 succeeded, 250 failed in 10.0s
    ");
}

#[test]
fn trials_that_fail_alike_are_told_a_few_times_and_counted() {
    let names: Vec<String> = (1..=40).map(|number| format!("mf-{number}")).collect();
    let mut script = Script::new("sweep", &names.iter().map(String::as_str).collect::<Vec<_>>(), &[], 2);
    let traceback = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'\n";
    for name in &names[..36] {
        script.start(name, 1).end(name, 1, Outcome::Failed { exit: Exit::Code(1) }, 10, traceback);
    }
    script.start("mf-37", 1).end("mf-37", 1, Outcome::Failed { exit: Exit::Code(1) }, 10, "OSError: disk\n");
    let message = "no image `no/such:image`: pull access denied";
    for name in &names[37..] {
        script.end(name, 1, Outcome::NotStarted { message: message.into() }, 0, "");
    }
    script.run_end(None, 10_000);
    let text = script.plain(Style { width: 100, ..Style::PLAIN });
    insta::assert_snapshot!(text.lines().take(18).collect::<Vec<_>>().join("\n"), @"
    sweep: 40 trials, at most 2 at once, run k3jd8s0aq2xz
    logs: /state/runs/k3jd8s0aq2xz
    [ 1/40] FAIL    mf-1  exit code 1, 0.0s
            | Traceback (most recent call last):
            | ModuleNotFoundError: No module named 'torch'
            log: /logs/mf-1/stderr.log
    [ 2/40] FAIL    mf-2  exit code 1, 0.0s
            | Traceback (most recent call last):
            | ModuleNotFoundError: No module named 'torch'
            log: /logs/mf-2/stderr.log
    [ 3/40] FAIL    mf-3  exit code 1, 0.0s
            | Traceback (most recent call last):
            | ModuleNotFoundError: No module named 'torch'
            log: /logs/mf-3/stderr.log
            note    3 trials failed in the same way; `--max-fail 3` ends a run after 3 failures
    [ 4/40] FAIL    mf-4  exit code 1, 0.0s, like mf-1
    [ 5/40] FAIL    mf-5  exit code 1, 0.0s, like mf-1
    [ 6/40] FAIL    mf-6  exit code 1, 0.0s, like mf-1
    ");
    insta::assert_snapshot!(text.lines().skip(46).collect::<Vec<_>>().join("\n"), @"
    [35/40] FAIL    mf-35  exit code 1, 0.0s, like mf-1
    [36/40] FAIL    mf-36  exit code 1, 0.0s, like mf-1
    [37/40] FAIL    mf-37  exit code 1, 0.0s
            | OSError: disk
            log: /logs/mf-37/stderr.log
    [38/40] FAIL    mf-38  could not be started: no image `no/such:image`: pull access denied
    [39/40] FAIL    mf-39  could not be started: no image `no/such:image`: pull access denied
    [40/40] FAIL    mf-40  could not be started: no image `no/such:image`: pull access denied
    ");
    let next = NextCommands { combu: Some("combu"), run: Some("k3jd8s0aq2xz"), ..NextCommands::default() };
    insta::assert_snapshot!(summary(&script.summary(), &next, &Style::PLAIN), @"
    failed: 36 x exit code 1: ModuleNotFoundError: No module named 'torch' (mf-1,
      mf-2, ...)
    failed: 3 x could not be started: no image `no/such:image`: pull access denied
      (mf-38, mf-39, ...)
    FAILED  HOW          ATTEMPTS  TIME
    mf-37   exit code 1         1  0.0s
    see a log: combu logs k3jd8s0aq2xz/mf-1
    run the failed again: combu rerun k3jd8s0aq2xz --failed
    40 trials: 40 failed in 10.0s
    ");
}

#[test]
fn a_run_that_was_stopped_says_how_to_go_on_with_it() {
    let mut script = Script::new("sweep", &["a1", "a2"], &[], 2);
    script.start("a1", 1).fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGHUP".into() } });
    script.end("a1", 1, Outcome::Killed, 0, "").skip("a2", "the run was stopped by SIGHUP");
    script.run_end(Some(Early::Cancelled("SIGHUP".into())), 1_000);
    insta::assert_snapshot!(script.plain(Style::PLAIN), @"
    sweep: 2 trials, at most 2 at once, run k3jd8s0aq2xz
    logs: /state/runs/k3jd8s0aq2xz
          stop    the terminal was closed (SIGHUP): stopping 1 trial (up to 10s);
                  `combu resume` goes on later
    [0/2] killed  a1  0.0s
    ");
    let next = NextCommands { combu: Some("combu -f docker/x.jsonnet"), ..NextCommands::default() };
    insta::assert_snapshot!(summary(&script.summary(), &next, &Style::PLAIN), @"
    skipped: `a2` because the run was stopped by SIGHUP
    ended early: stopped by SIGHUP
    go on with it: combu -f docker/x.jsonnet resume
    2 trials: 1 skipped, 1 killed in 1.0s
    ");
}

#[test]
fn every_line_fits_a_narrow_place_too() {
    for width in [20, 33, 80] {
        for line in eventful().plain(Style { width, ..Style::PLAIN }).lines() {
            let is_path = line.contains("log: /logs/") || line.contains("logs: /state/");
            assert!(is_path || measure_text_width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn a_log_that_is_gone_is_said() {
    let mut script = Script::new("sweep", &["a1"], &[], 1);
    script.end("a1", 1, Outcome::Failed { exit: Exit::Code(1) }, 0, "x");
    std::fs::remove_dir_all(script.logs.path()).unwrap();
    let text = script.plain(Style::PLAIN);
    assert!(text.contains("| its log cannot be read: No such file or directory (os error 2)\n"), "{text}");
}

#[test]
fn the_json_report_says_every_event_in_a_line() {
    let mut script = Script::new("粒子法", &["a1"], &[], 1);
    script.start("a1", 1).end("a1", 1, Outcome::Failed { exit: Exit::Code(3) }, 1_500, "");
    script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
    script.run_end(Some(Early::Cancelled("SIGINT".into())), 2_000);
    let pages = Pages::default();
    let mut json = Json::new(Box::new(pages.clone()));
    script.events.iter().for_each(|event| json.consume(event).unwrap());
    insta::assert_snapshot!(script.without_folder(&pages.text()), @r#"
    {"at":0,"run":"k3jd8s0aq2xz","event":"run-started","experiment":"粒子法","trials":[{"name":"a1","engine":"docker","service":false,"nice":0,"stop_grace":10,"retries":{"count":0,"backoff":"fixed"},"pull":"missing","written":{}}],"services":[],"parallel":1,"seed":7,"folder":"/state/runs/k3jd8s0aq2xz","options":{}}
    {"at":0,"run":"k3jd8s0aq2xz","event":"attempt-starting","trial":"a1","attempt":1}
    {"at":0,"run":"k3jd8s0aq2xz","event":"attempt-started","trial":"a1","attempt":1,"handle":{"engine":"fake","id":"fake-a1"}}
    {"at":0,"run":"k3jd8s0aq2xz","event":"attempt-ended","trial":"a1","attempt":1,"status":"failed","exit":{"code":3},"elapsed":1.5,"logs":{"stdout":"/logs/a1/stdout.log","stdout_bytes":0,"stderr":"/logs/a1/stderr.log","stderr_bytes":0}}
    {"at":0,"run":"k3jd8s0aq2xz","event":"trial-ended","trial":"a1","attempts":1,"status":"failed","exit":{"code":3},"elapsed":1.5}
    {"at":0,"run":"k3jd8s0aq2xz","event":"command-taken","command":"cancel","by":"SIGINT"}
    {"at":0,"run":"k3jd8s0aq2xz","event":"run-ended","early":{"by":"cancelled","message":"SIGINT"},"elapsed":2}
    "#);
}

#[test]
fn a_path_that_is_not_utf_8_costs_no_event() {
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/\xff");
    let mut script = Script::new("sweep", &["a1"], &[], 1);
    let logs = Logs { stdout: odd.into(), stdout_bytes: 1, stderr: odd.into(), stderr_bytes: 1 };
    let (outcome, elapsed) = (Outcome::Succeeded, Duration::ZERO);
    script.fact(Fact::AttemptEnded {
        trial: name("a1"),
        attempt: 1,
        outcome,
        elapsed,
        logs: Some(logs),
        usage: None,
        kept: false,
        incomplete: false,
    });
    let pages = Pages::default();
    Json::new(Box::new(pages.clone())).consume(&script.events[1]).unwrap();
    assert!(pages.text().contains("\"stdout\":\"/\u{fffd}\""), "{}", pages.text());
}

#[test]
fn a_report_whose_place_is_full_says_so() {
    let script = Script::new("sweep", &["a1"], &[], 1);
    let full = || Box::new(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let errors = [
        Plain::new(full(), Style::PLAIN).consume(&script.events[0]).unwrap_err(),
        Json::new(full()).consume(&script.events[0]).unwrap_err(),
    ];
    assert_eq!(errors.map(|error| error.kind()), [io::ErrorKind::StorageFull; 2]);
}

#[test]
fn the_summary_says_what_became_of_everything_and_what_to_do_next() {
    let script = eventful();
    let kill = Some("combu -f sweep.jsonnet kill");
    let next = NextCommands { folder: Some(script.logs.path()), kill, combu: Some("combu"), run: None };
    let text = summary(&script.summary(), &next, &Style::PLAIN);
    insta::assert_snapshot!(script.without_folder(&text), @"
    skipped: `report` because `loader` failed (killed by SIGSEGV)
    FAILED      HOW                                                 ATTEMPTS  TIME
    solver-b-2  exit code 3                                                2  1.0s
    solver-c-3  could not be started: no image `solver:9`: pull...         1  -
    loader      killed by SIGSEGV                                          1  1m 05s
    late        timed out                                                  1  2.1s
    big         ran out of memory                                          1  7.0s
    see a log: combu logs solver-b-2
    run the failed again: combu rerun --failed
    1 warning: combu show
    8 trials: 2 succeeded, 5 failed, 1 skipped in 1m 22s
    logs: /logs
    containers were kept; remove them with: combu -f sweep.jsonnet kill
    ");
    assert!(text.lines().all(|line| measure_text_width(line) <= 80), "{text}");
}

#[test]
fn the_summary_of_a_good_run_is_one_line() {
    let mut script = Script::new("sweep", &["a1"], &[], 1);
    script.start("a1", 1).end("a1", 1, Outcome::Succeeded, 12_300, "").run_end(None, 12_345);
    assert_eq!(summary(&script.summary(), &NextCommands::default(), &Style::PLAIN), "1 trial: 1 succeeded in 12.3s\n");
}

fn cells(rows: &[&[&str]]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
}

#[test]
fn results_stand_in_columns_with_numbers_to_the_right() {
    let columns = ["mode", "粒子数", "loss"].map(str::to_owned);
    let rows = cells(&[&["a", "1000", "0.25"], &["格子", "20", ""], &["c\nd", "3", "1e-10"], &["short"]]);
    insta::assert_snapshot!(results_table(&columns, &rows, &Style::PLAIN), @r#"
    mode   粒子数   loss
    --------------------
    a        1000   0.25
    格子       20
    c d         3  1e-10
    short
    "#);
    let unicode = Style { unicode: true, ..Style::PLAIN };
    assert_eq!(results_table(&columns, &[], &unicode), "mode  粒子数  loss\n──────────────────\n");
    assert_eq!(results_table(&[], &[], &unicode), "\n");
}

#[test]
fn a_table_wider_than_the_place_breaks_text_but_no_number_and_names_what_it_leaves_out() {
    let columns: Vec<String> = (0..6).map(|number| format!("c{number}")).collect();
    let rows = cells(&[&["123456789012", "some words that are long", "2", "abcdefghijklmnop", "3.5", "7"]]);
    let text = results_table(&columns, &rows, &Style { width: 40, ..Style::PLAIN });
    insta::assert_snapshot!(text, @r#"
              c0  c1          c2  c3
    ----------------------------------------
    123456789012  some words   2  abcdefghij
                  that are        klmnop
                  long
    no room for: c4, c5
    "#);
    assert!(text.lines().all(|line| measure_text_width(line) <= 40), "{text}");
}

#[test]
fn ten_thousand_rows_are_a_table() {
    let columns = ["id", "loss"].map(str::to_owned);
    let rows: Vec<Vec<String>> = (0..10_000).map(|id| vec![format!("trial-{id}"), format!("{id}.5")]).collect();
    assert_eq!(results_table(&columns, &rows, &Style::PLAIN).lines().count(), 10_002);
}
