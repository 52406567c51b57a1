//! Looking at runs from another shell: `ls`, `ps`, `show`, `logs`, `results`.

use std::process::Command;

use console::measure_text_width;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Lab, Live, Said, eventually};

/// Local trials, one after the other; the first fails once, with what it was told by a reader of the pipe `go`.
const TWICE: &str = r#"{engine: "local", parallel: 1, retries: 1, trials: [
    {name: "first", cmd: ["sh", "-c", "echo one; printf part >&2; echo > ready; cat go >&2; [ $COMBU_ATTEMPT = 2 ]"]},
    {name: "second", cmd: "echo other", depends: [{trial: "first", condition: "completed"}]},
]}"#;

/// What a sweep may look like: on the fake engine, which does at once what it is told.
const SWEEP: &str = r#"{engine: "fake", name: "粒子法", trials: [
    {name: "db", service: true},
    {name: "a1", params: {lr: 0.1, mode: "a", "層": 3}, cmd: "echo ::combu metric loss=0.5 step=1; usage 1.5 10m",
     depends: ["db"]},
    {name: "a2", params: {lr: 0.01, mode: "b,\"c\""}, cmd: "echo hello; warn went wrong; exit 3"},
    {name: "a3", params: {lr: 1e-5, mode: "a"}, cmd: "signal 9"},
    {name: "a4", params: {lr: 1, mode: "a"}, cmd: "true", depends: [{trial: "a2", condition: "completed"}]},
]}"#;

/// A lab in which the sweep has run.
fn swept() -> Lab {
    let lab = Lab::with(SWEEP);
    lab.combu(&["run", "spec.jsonnet", "-j", "2", "--seed", "7", "--progress", "none"]).code(100);
    lab
}

/// The id of the only run.
fn id(lab: &Lab) -> String {
    lab.only_run().file_name().unwrap().to_str().unwrap().to_owned()
}

/// Takes out what differs from run to run.
fn steady(lab: &Lab) -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&lab.path("").display().to_string().replace('.', r"\."), "[LAB]/");
    settings.add_filter(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?\b", "[DATE]");
    settings.add_filter(r"\b[a-z0-9]{12}\b", "[RUN]");
    settings.add_filter(r"\b\d+(\.\d+)?s\b", "[TIME]");
    settings.add_filter(r"\bfake \S+", "fake [HANDLE]");
    settings.add_filter(r"(?m)^  by .*$", "  by          [WHO]");
    settings.add_filter(r"(?m)^  combu .*$", "  combu       [VERSION]");
    settings.add_filter(r" +\n", "\n");
    settings.bind_to_scope()
}

fn names(said: &Said) -> Vec<String> {
    let rows = said.json();
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn runs_are_listed_the_newest_first() {
    let lab = swept();
    lab.write("lab/粒子/other.jsonnet", r#"{engine: "fake", trials: [{name: "one", cmd: "true"}]}"#);
    lab.combu(&["run", "lab/粒子/other.jsonnet", "--progress", "none"]).code(0);
    let said = lab.combu(&["ls"]).code(0);
    let _steady = steady(&lab);
    insta::assert_snapshot!(said.stdout, @"
    RUN           STATE      OK   FAIL  STARTED           TIME  NAME    SPEC
    [RUN]  rehearsal  1/1     0  [DATE]  [TIME]  other   …her.jsonnet
    [RUN]  rehearsal  2/5     2  [DATE]  [TIME]  粒子法  spec.jsonnet
    ");
    assert!(said.stdout.lines().all(|line| measure_text_width(line) <= 80), "{}", said.stdout);
    let said = lab.combu(&["ls", "-n", "1"]).code(0);
    assert_eq!((said.stdout.lines().count(), said.stderr.as_str()), (2, "and 1 older; `-n 0` lists them too\n"));
    let said = lab.combu(&["-f", "spec.jsonnet", "ls", "-o", "json"]).code(0).json();
    let run = &said[0];
    assert_eq!(said.as_array().unwrap().len(), 1);
    assert_eq!(
        (&run["state"], &run["counts"]["failed"], &run["experiment"]),
        (&json!("ended"), &json!(2), &json!("粒子法"))
    );
    assert_eq!(run["command"][1], "run");
    assert_eq!(run["spec"], lab.path("spec.jsonnet").canonicalize().unwrap().display().to_string());
}

#[test]
fn a_rehearsal_is_marked_and_is_the_last_run_only_where_there_is_no_other() {
    let lab = Lab::with("{engine: 'local', trials: [{name: 'a1', cmd: 'echo real'}]}");
    let _steady = steady(&lab);
    let said = lab.combu(&["run", "spec.jsonnet", "--engine", "fake"]).code(0);
    insta::assert_snapshot!(said.stderr, @"
    spec: 1 trial, at most 4 at once, run [RUN]; a rehearsal: nothing is
      really run
    logs: .combu/runs/[RUN]
    [1/1] ok      a1  [TIME]
    1 trial: 1 succeeded in [TIME] (a rehearsal: nothing was really run)
    logs: .combu/runs/[RUN]
    ");
    insta::assert_snapshot!(lab.combu(&["results"]).code(0).stderr, @"run [RUN] of spec, a rehearsal, ended after [TIME]: 1 trial, 1 succeeded");
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    lab.combu(&["run", "spec.jsonnet", "--engine", "fake"]).code(0);
    insta::assert_snapshot!(lab.combu(&["results", "last"]).code(0).stderr, @"run [RUN] of spec, ended after [TIME]: 1 trial, 1 succeeded");
    assert_eq!(lab.combu(&["logs"]).code(0).stdout, "real\n");
    let list = lab.combu(&["ls"]).code(0).stdout;
    let states: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(states, ["STATE", "rehearsal", "ended", "rehearsal"]);
}

#[test]
fn a_project_without_runs_says_so() {
    let lab = Lab::new();
    for verb in ["ls", "ps", "show", "logs", "results"] {
        let said = lab.combu(&[verb]).code(4);
        assert_eq!(
            said.stderr,
            "error: no run is recorded\nhint: it is looked for in the project of the working folder: `.combu/` there, or above\n"
        );
        assert_eq!(said.stdout, "");
    }
    let lab = swept();
    for verb in ["ps", "show", "results"] {
        let said = lab.combu(&[verb, "-f", "other.jsonnet"]).code(4);
        assert!(said.stderr.starts_with("error: no run of other.jsonnet is recorded\n"), "{}", said.stderr);
    }
    let said = lab.combu(&["results", "zzz"]).code(4);
    assert!(said.stderr.starts_with("error: there is no trial `zzz` in run "), "{}", said.stderr);
    assert!(said.stderr.ends_with("--all` lists its trials, `combu ls` the runs\n"), "{}", said.stderr);
    let said = lab.combu(&["results", "zzz/"]).code(4);
    assert_eq!(said.stderr, "error: no run `zzz` is recorded\nhint: `combu ls` lists the runs of this project\n");
    let said = lab.combu(&["logs", "a11"]).code(4);
    assert!(said.stderr.ends_with("hint: did you mean `a1`?\n"), "{}", said.stderr);
}

#[test]
fn the_trials_of_a_run_are_listed_with_how_they_ended() {
    let lab = swept();
    let said = lab.combu(&["ps"]).code(0);
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stdout, @"
        TRIAL  STATUS     ATTEMPT  TIME  EXIT     DETAIL
        db     stopped          1  [TIME]  -        stopped, nothing needs it any more
        a1     succeeded        1  [TIME]  0
        a2     failed           1  [TIME]  3
        a3     failed           1  [TIME]  SIGKILL
        a4     skipped          -  -     -        `a2` failed (exit code 3)
        ");
        insta::assert_snapshot!(said.stderr, @"run [RUN] of 粒子法, a rehearsal, ended after [TIME]: 5 trials, 2 succeeded, 2 failed, 1 skipped");
    }
    let id = id(&lab);
    let list = |args: &[&str]| names(&lab.combu(&[&["ps", &id[..6], "-o", "json"], args].concat()).code(0));
    assert_eq!(list(&["--failed"]), ["a2", "a3"]);
    assert_eq!(list(&["--status", "skipped", "--status", "stopped"]), ["db", "a4"]);
    assert_eq!(list(&["--running"]), [""; 0]);
    assert_eq!(list(&["--where", "params.mode == \"a\" && !done"]), ["a3", "a4"]);
    assert_eq!(list(&["--failed", "--where", "params.mode == \"a\""]), ["a3"]);
    assert!(lab.combu(&["ps", "--status", "broken"]).code(2).stderr.contains("write one of: waiting, "));
    assert!(lab.combu(&["ps", "--where", "params.("]).code(2).stderr.starts_with("error: "));
    let json = lab.combu(&["ps", "-o", "json"]).code(0).json();
    assert_eq!((&json[3]["exit"], &json[3]["status"], &json[3]["attempt"]), (&json!(137), &json!("failed"), &json!(1)));
}

/// Starts the run of `TWICE` and waits until its first trial has written.
fn started(lab: &Lab) -> Live {
    lab.pipe("ready");
    lab.pipe("go");
    let live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    lab.hear("ready");
    live
}

/// Writes to the pipe `go`, on which the trial waits.
fn go(lab: &Lab, text: &str) {
    std::fs::write(lab.path("go"), text).unwrap();
}

#[test]
fn a_live_run_is_looked_at_from_another_shell() {
    let lab = Lab::with(TWICE);
    let mut live = started(&lab);
    live.event("attempt-started", "first");
    let said = lab.combu(&["ps"]).code(0);
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stdout, @"
        TRIAL  STATUS   ATTEMPT  TIME  EXIT  DETAIL
        first  running        1  [TIME]       -
        ");
        insta::assert_snapshot!(said.stderr, @"
        run [RUN] of spec, running for [TIME]: 2 trials, 1 running, 1 waiting
        1 of them are not listed; `-a` lists all
        ");
        insta::assert_snapshot!(lab.combu(&["ps", "-a"]).code(0).stdout, @"
        TRIAL   STATUS   ATTEMPT  TIME  EXIT  DETAIL
        first   running        1  [TIME]       -
        second  waiting        -  -        -  after first
        ");
    }
    let listed = lab.combu(&["ls", "-o", "json"]).code(0).json();
    assert_eq!(
        (&listed[0]["state"], &listed[0]["pid"]),
        (&json!("running"), &json!(live.pid().parse::<u32>().unwrap()))
    );
    eventually("it is in the logs", || lab.combu(&["logs", "first"]).code(0).stdout == "one\npart");
    let second = lab.combu(&["results", "-o", "csv"]).code(0).stdout.lines().nth(2).unwrap().to_owned();
    assert!(second.starts_with("second,waiting,,0,,") && second.ends_with(",spec,,"), "{second}");
    live.signal(Signal::KILL);
    assert_eq!(live.end().code, None);
    let said = lab.combu(&["ps"]).code(0);
    let _steady = steady(&lab);
    insta::assert_snapshot!(said.stdout, @"
    TRIAL   STATUS  ATTEMPT  TIME  EXIT  DETAIL
    first   open          1     -     -  it had not ended; `combu resume` goes on
    second  open          -     -     -  it was not started; `combu resume` goes on
    ");
    assert_eq!(lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["state"], "cut off");
    let said = lab.combu(&["logs", "-f", "first"]).code(0);
    assert_eq!(said.stdout, "one\npart");
    let id = id(&lab);
    assert_eq!(said.stderr, format!("first had not ended when run {id} did; `combu resume {id}` goes on\n"));
}

#[test]
fn logs_are_followed_into_the_next_attempt_until_the_trial_has_ended() {
    let lab = Lab::with(TWICE);
    let live = started(&lab);
    let mut follow = lab.start(&["logs", "-f", "first"]);
    let mut all = lab.start(&["logs", "-f"]);
    assert_eq!(follow.line("one"), "one\n");
    assert_eq!(all.line("one"), "first  | one\n");
    go(&lab, "ial line\n");
    // A line that was begun is one line, whenever its parts came.
    assert_eq!(all.line("ial"), "first  ! partial line\n");
    lab.hear("ready");
    go(&lab, "ial and last\n");
    let said = follow.end().code(0);
    assert_eq!(said.stdout, "one\npartial line\none\npartial and last\n");
    assert_eq!(said.stderr, "first: attempt 2\n");
    live.end().code(0);
    let said = all.end().code(0);
    assert!(said.stdout.ends_with("first  ! partial and last\nsecond | other\n"), "{}", said.stdout);
}

#[test]
fn following_ends_with_the_combu_that_runs_the_trial() {
    let lab = Lab::with(TWICE);
    let live = started(&lab);
    let mut follow = lab.start(&["-f", "spec.jsonnet", "logs", "-f", "second", "first"]);
    follow.line("first  | one");
    eventually("it is in the logs", || lab.combu(&["logs", "first"]).code(0).stdout == "one\npart");
    live.signal(Signal::KILL);
    assert_eq!(live.end().code, None);
    let said = follow.end().code(0);
    assert_eq!(said.stdout, "first  | one\nfirst  ! part\n");
    assert_eq!(said.stderr.matches("had not ended when run").count(), 2, "{}", said.stderr);
}

#[test]
fn trials_that_a_script_adds_are_followed_too() {
    let lab = Lab::new();
    lab.write(
        "search.rhai",
        r#"let trial = |name| trial(#{name: name, engine: "local", cmd: ["sh", "-c", `echo > ready; cat go`]});
           let live = start(experiment("search", [trial.call("a1")]));
           live.next();
           live.submit(trial.call("b1"));
           live.submit(trial.call("b2"));
           live.wait();"#,
    );
    lab.pipe("ready");
    lab.pipe("go");
    let live = lab.start(&["script", "-j", "1", "search.rhai", "--progress", "none"]);
    lab.hear("ready");
    let mut follow = lab.start(&["logs", "-f", "*1"]);
    go(&lab, "one\n");
    assert_eq!(follow.line("one"), "a1 | one\n");
    for text in ["two\n", "three\n"] {
        lab.hear("ready");
        go(&lab, text);
    }
    live.end().code(0);
    assert_eq!(follow.end().code(0).stdout, "a1 | one\nb1 | two\n");
}

#[test]
fn following_is_ended_by_a_signal_without_a_word() {
    let lab = Lab::with(TWICE);
    let live = started(&lab);
    let mut follow = lab.start(&["logs", "-f", "first"]);
    follow.line("one");
    follow.signal(Signal::INT);
    let said = follow.end();
    assert_eq!((said.code, said.stderr.as_str()), (None, ""));
    live.signal(Signal::INT);
    live.end().code(130);
}

#[test]
fn logs_are_printed_as_they_were_written_and_in_parts() {
    let lab = Lab::with(
        r#"{engine: "local", retries: 1, trials: [
            {name: "t%d" % i, cmd: ["sh", "-c", "printf 'a %%s\\nb\\n\\033[31mred' $COMBU_ATTEMPT; echo err >&2; exit %d" % [i % 2]]}
            for i in [1, 2]] + [{name: "quiet", cmd: "true"}]}"#,
    );
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(100);
    let logs = |args: &[&str]| lab.combu(&[&["logs"], args].concat()).code(0).stdout;
    assert_eq!(logs(&["t1"]), "a 2\nb\n\u{1b}[31mrederr\n");
    assert_eq!(logs(&["last/t1", "--attempt", "1", "--stdout"]), "a 1\nb\n\u{1b}[31mred");
    assert_eq!(logs(&["t1", "--stderr", "--prefix"]), "t1 ! err\n");
    assert_eq!(logs(&["t*", "-n", "1"]), "t1 | \u{1b}[31mred\nt1 ! err\nt2 | \u{1b}[31mred\nt2 ! err\n");
    assert_eq!(logs(&["t1", "t2", "-n", "0"]), "");
    assert_eq!(logs(&["t1", "t2", "--stderr", "--no-prefix"]), "err\nerr\n");
    assert_eq!(logs(&["quiet"]), "");
    let said = lab.combu(&["logs", "t1", "--attempt", "3"]).code(4);
    assert_eq!(said.stderr, "error: there is no attempt 3 of `t1`: there were 2\n");
    assert_eq!(lab.combu(&["logs", "t1", "-f", "--attempt", "1"]).code, Some(2));
}

#[test]
fn whoever_has_seen_enough_of_a_log_is_no_error() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "loud", cmd: "seq 1000000"}]}"#);
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let line = format!("{{ {} logs loud; echo ended $? >&2; }} | head -n 1", env!("CARGO_BIN_EXE_combu"));
    let said = Live::new(lab.command("sh").args(["-c", &line]).spawn().unwrap()).end();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("1\n", "ended 0\n"));
}

#[test]
fn times_are_local_for_people_and_utc_for_programs() {
    let mut lab = swept();
    lab.set("TZ", "Asia/Tokyo");
    let started = lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["started"].as_str().unwrap().to_owned();
    let started: jiff::Timestamp = started.parse().unwrap();
    let utc = started.strftime("%Y-%m-%d %H:%M").to_string();
    let tokyo = started.in_tz("Asia/Tokyo").unwrap().strftime("%Y-%m-%d %H:%M").to_string();
    let (list, show) = (lab.combu(&["ls"]).code(0).stdout, lab.combu(&["show"]).code(0).stdout);
    assert!(list.contains(&tokyo) && show.contains(&format!("started     {tokyo}")), "{list}{show}");
    lab.set("TZ", "Nowhere/None");
    assert!(lab.combu(&["ls"]).code(0).stdout.contains(&utc));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one look, as it is printed")]
fn everything_that_is_kept_is_shown() {
    let lab = swept();
    let said = lab.combu(&["show"]).code(0);
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stdout, @r#"
        run [RUN]: ended
          experiment  粒子法
          spec        spec.jsonnet
          command     combu run spec.jsonnet -j 2 --seed 7 --progress none
          started     [DATE]
          time        [TIME], until [DATE]
          trials      5: 2 succeeded, 2 failed, 1 skipped
          rehearsal   nothing was really run
          at once     2
          seed        7
          UUID        [RUN]
          options     {"parallel":"2","engine":"fake","seed":7}
          by          [WHO]
          combu       [VERSION]
          engine      a rehearsal: nothing real is run
          read        spec.jsonnet (kept in provenance.json)
          folder      .combu/runs/[RUN]
        "#);
        insta::assert_snapshot!(lab.combu(&["show", "a1"]).code(0).stdout, @r#"
        a1 in run [RUN]: succeeded
          end         succeeded
          ATTEMPT  STARTED              TIME  CPU   MEMORY    OUTCOME    ON
                1  [DATE]  [TIME]  [TIME]  10.0 MiB  succeeded  fake [HANDLE]
          metric      loss = 0.5 at step 1 (of 1: 0.5 to 0.5)
          log         .combu/runs/[RUN]/a1/1/stdout.log (31 B)
          resolved
          {
            "name": "a1",
            "engine": "fake",
            "cmd": [
              "echo",
              "::combu",
              "metric",
              "loss=0.5",
              "step=1;",
              "usage",
              "1.5",
              "10m"
            ],
            "depends": [
              {
                "trial": "db"
              }
            ],
            "service": false,
            "nice": 0,
            "stop_grace": 10,
            "retries": {
              "count": 0,
              "backoff": "fixed"
            },
            "params": {
              "lr": 0.1,
              "mode": "a",
              "層": 3
            },
            "pull": "missing"
          }
        "#);
    }
    let id = id(&lab);
    assert_eq!(lab.combu(&["show", &id[..4]]).code(0).stdout, said.stdout);
    assert_eq!(lab.combu(&["show", "last"]).code(0).stdout, said.stdout);
}

#[test]
fn what_is_shown_is_there_for_programs_too() {
    let lab = swept();
    let some = lab.combu(&["show", &id(&lab), "a[12]", "-o", "json"]).code(0);
    assert_eq!(names(&some), ["a1", "a2"]);
    let some = some.json();
    assert_eq!(some[0]["metrics"]["loss"], json!({"last": 0.5, "step": 1, "min": 0.5, "max": 0.5, "count": 1}));
    assert_eq!(some[0]["attempts"][0]["usage"]["peak_memory"], 10 << 20);
    assert_eq!(some[1]["attempts"][0]["outcome"], json!({"status": "failed", "exit": {"code": 3}}));
    assert_eq!(some[1]["trial"]["params"]["mode"], "b,\"c\"");
    let run = lab.combu(&["show", "-o", "json"]).code(0).json();
    assert_eq!((&run["seed"], &run["state"], run["trials"].as_array().unwrap().len()), (&json!(7), &json!("ended"), 5));
    assert!(lab.combu(&["show", "b_1"]).code(4).stderr.contains("there is no trial `b_1` in run"));
}

#[test]
fn results_have_a_row_for_each_trial() {
    let lab = swept();
    let columns = "name,lr,mode,層,status,exit,attempts,loss,peak_memory,cpu_seconds";
    let said = lab.combu(&["results", "--columns", columns]).code(0);
    {
        insta::assert_snapshot!(said.stdout, @r#"
        name       lr  mode   層  status     exit  attempts  loss  peak_memory
        a1        0.1  a       3  succeeded     0         1   0.5  10.0 MiB
        a2       0.01  b,"c"      failed        3         1
        a3    0.00001  a          failed      137         1
        a4          1  a          skipped                 0
        no room for: cpu_seconds
        "#);
    }
    let results = |args: &[&str]| lab.combu(&[&["results", "last"], args].concat()).code(0);
    assert_eq!(
        results(&["-o", "csv"]).stdout.lines().next().unwrap(),
        "name,lr,mode,層,status,exit,attempts,elapsed,loss,peak_memory,cpu_seconds,run,experiment,started,ended"
    );
    let csv =
        results(&["-o", "csv", "--columns", "name,mode,層,status,exit,loss,metrics.loss,peak_memory,cpu_seconds"]);
    insta::assert_snapshot!(csv.stdout, @r#"
    name,mode,層,status,exit,loss,metrics.loss,peak_memory,cpu_seconds
    a1,a,3,succeeded,0,0.5,0.5,10485760,1.5
    a2,"b,""c""",,failed,3,,,,
    a3,a,,failed,137,,,,
    a4,a,,skipped,,,,,
    "#);
    let json = results(&["-o", "json", "--failed"]);
    assert_eq!(names(&json), ["a2", "a3"]);
    let row = &json.json()[0];
    assert_eq!((&row["exit"], &row["params"]["lr"], &row["ok"]), (&json!(3), &json!(0.01), &json!(false)));
    assert_eq!(
        results(&["-o", "csv", "--where", "status == \"skipped\"", "--columns", "name,message"])
            .stdout
            .lines()
            .nth(1)
            .unwrap(),
        "a4,skipped because `a2` failed (exit code 3)"
    );
    let said = lab.combu(&["results", "--columns", "name,mod"]).code(2);
    assert_eq!(said.stderr, "error: no trial has a column `mod`\nhint: did you mean `mode`?\n");
    lab.combu(&["results", "-o", "json", "--columns", "name"]).code(2);
    assert!(lab.combu(&["results", "-o", "parquet"]).code(2).stderr.contains("csv"));
}

#[test]
fn a_param_that_has_the_name_of_something_else_keeps_its_column() {
    let lab = Lab::with(
        r#"{engine: "fake", trials: [{name: "a1", params: {status: "x", loss: 1}, cmd: "echo ::combu metric loss=2"}]}"#,
    );
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let said = lab.combu(&["results", "-o", "csv"]).code(0);
    let (head, row) = said.stdout.split_once('\n').unwrap();
    assert_eq!(head, "name,loss,params.status,status,exit,attempts,elapsed,metrics.loss,run,experiment,started,ended");
    let row: Vec<&str> = row.trim_end().split(',').collect();
    assert_eq!((&row[..6], row[7]), (&["a1", "1", "x", "succeeded", "0", "1"][..], "2.0"));
}

#[test]
fn what_was_not_run_again_is_shown_with_what_it_told_before() {
    // What was rehearsed on the fake engine is always run again.
    let lab = Lab::with(
        r#"{engine: "local", trials: [
            {name: "a1", cmd: "echo ::combu metric loss=0.5"}, {name: "a2", cmd: "false"}]}"#,
    );
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(100);
    let before = id(&lab);
    lab.combu(&["run", "spec.jsonnet", "--resume", "--progress", "none"]).code(100);
    let said = lab.combu(&["results", "--columns", "name,status,attempts,loss", "-o", "csv"]).code(0);
    assert_eq!(said.stdout.lines().nth(1).unwrap(), "a1,succeeded,1,0.5");
    let said = lab.combu(&["ps", "--status", "succeeded"]).code(0);
    assert!(said.stdout.contains(&format!("succeeded in run {before}")), "{}", said.stdout);
    let said = lab.combu(&["logs", "a1"]).code(0);
    let hint = format!("a1 succeeded in run {before}, where its logs are: combu logs {before}/a1\n");
    assert_eq!((said.stdout.as_str(), said.stderr), ("", hint));
    assert_eq!(lab.combu(&["show", "a1", "-o", "json"]).code(0).json()[0]["reused_from"], before);
}

/// Trials that tell a curve each.
const CURVES: &str = r#"{engine: "local", trials: [
    {name: "train-%s-sgd-%d" % [lr, seed], params: {lr: lr, seed: seed},
     cmd: ["sh", "-c", "for v in 0.9 0.%d 0.5; do echo ::combu metric loss=$v acc=0.1; done" % seed]}
    for lr in [0.1, 0.001] for seed in [1, 2]]}"#;

#[test]
fn a_narrow_table_of_results_keeps_names_params_and_metrics() {
    let mut lab = Lab::with(CURVES);
    let _steady = steady(&lab);
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let table = |lab: &Lab, args: &[&str]| lab.combu(&[&["results"], args].concat()).code(0).stdout;
    lab.set("COLUMNS", "66");
    insta::assert_snapshot!(table(&lab, &[]), @"
    name                 lr  seed  status     exit  elapsed  acc  loss
    train-0.1-sgd-1     0.1     1  succeeded     0  [TIME]     0.1   0.5
    train-0.1-sgd-2     0.1     2  succeeded     0  [TIME]     0.1   0.5
    train-0…01-sgd-1  0.001     1  succeeded     0  [TIME]     0.1   0.5
    train-0…01-sgd-2  0.001     2  succeeded     0  [TIME]     0.1   0.5
    no room for: cpu_seconds, attempts
    ");
    lab.set("COLUMNS", "40");
    insta::assert_snapshot!(table(&lab, &["--columns", "name,lr,loss,loss.min,acc,cpu_seconds"]), @"
    name             lr  loss  loss.min  acc
    train…-sgd-1    0.1   0.5       0.1  0.1
    train…-sgd-2    0.1   0.5       0.2  0.1
    train…-sgd-1  0.001   0.5       0.1  0.1
    train…-sgd-2  0.001   0.5       0.2  0.1
    no room for: cpu_seconds
    ");
    insta::assert_snapshot!(table(&lab, &["--columns", "name,loss.max", "--sort", "loss.min", "-r"]), @"
    name               loss.max
    train-0.1-sgd-2         0.9
    train-0.001-sgd-2       0.9
    train-0.1-sgd-1         0.9
    train-0.001-sgd-1       0.9
    ");
    insta::assert_snapshot!(lab.combu(&["results", "--sort", "los"]).code(2).stderr, @"
    error: no trial has a column `los`
    hint: did you mean `loss`?
    ");
}

#[test]
fn results_are_chosen_by_what_trials_told() {
    let lab = Lab::with(CURVES);
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let rows = |args: &[&str]| lab.combu(&[&["results", "-o", "json"], args].concat()).code(0).json();
    assert_eq!(rows(&["--where", "metrics.loss < 0.6 && params.seed == 1"]).as_array().unwrap().len(), 2);
    assert_eq!(rows(&["--where", "metrics.loss < 0.01"]).as_array().unwrap().len(), 0);
    assert_eq!(rows(&["--where", "metrics.other < 0.01"]).as_array().unwrap().len(), 0);
    let said = lab.combu(&["results", "--where", "loss < 0.01"]).code(2);
    assert!(said.stderr.contains("a metric is `metrics.loss`"), "{}", said.stderr);
    let row = &rows(&[])[0];
    assert_eq!((&row["run"], &row["experiment"]), (&json!(id(&lab)), &json!("spec")));
    assert!(row["started"].as_str().unwrap() <= row["ended"].as_str().unwrap());
}

#[test]
fn every_value_of_a_metric_is_there_for_programs() {
    let lab = Lab::with(CURVES);
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let said = lab.combu(&["metrics", "last/*-sgd-1", "--name", "loss"]).code(0);
    let rows: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["run", "trial", "name", "step", "value", "at"]);
    let told: Vec<_> = rows[1..].iter().map(|row| (row[1], row[2], row[3], row[4])).collect();
    let curve = |trial| ["0.9", "0.1", "0.5"].map(|value| (trial, "loss", "", value));
    assert_eq!(told, [curve("train-0.1-sgd-1"), curve("train-0.001-sgd-1")].concat());
    let said = lab.combu(&["metrics", "train-0.1-sgd-2", "-o", "json"]).code(0);
    let rows: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[2]["value"], &rows[2]["run"]), (6, &json!(0.2), &json!(id(&lab))));
    assert!(lab.combu(&["metrics", "--name", "none"]).code(4).stderr.contains("no value of `none` was told"));
}

#[test]
fn a_rerun_has_the_results_of_the_whole_experiment() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [
            {name: "t-%d" % n, cmd: ["sh", "-c", "echo ::combu metric n=%d; test -e go || test %d -lt 3" % [n, n]], workdir: "."}
            for n in std.range(1, 4)]}"#,
    );
    let _steady = steady(&lab);
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(100);
    let first = id(&lab);
    lab.write("go", "");
    lab.combu(&["rerun", "--failed", "--progress", "none"]).code(0);
    let said = lab.combu(&["results", "--columns", "name,status,n"]).code(0);
    insta::assert_snapshot!(format!("{}{}", said.stdout, said.stderr), @"
    name  status     n
    t-1   succeeded  1
    t-2   succeeded  2
    t-3   succeeded  3
    t-4   succeeded  4
    run [RUN] of spec, ended after [TIME]: 2 trials, 2 succeeded
    4 trials shown: 2 of run [RUN] from before the rerun
    ");
    let csv = lab.combu(&["results", "last", "-o", "csv", "--columns", "name,run,status"]).code(0).stdout;
    let of_first = csv.lines().filter(|line| line.contains(&first)).count();
    assert_eq!((csv.lines().count(), of_first), (5, 2), "{csv}");
    let csv = lab.combu(&["results", &first, "-o", "csv"]).code(0).stdout;
    assert_eq!(csv.matches("failed").count(), 2, "a run that is named has its own results: {csv}");
    let csv = lab.combu(&["results", &first, "last", "-o", "csv", "--columns", "name"]).code(0).stdout;
    assert_eq!(csv.lines().count(), 9);
    assert_eq!(lab.combu(&["metrics"]).code(0).stdout.lines().count(), 5);
    assert_eq!(lab.combu(&["results", "-o", "joblog"]).code(0).stdout.lines().count(), 5);
    assert_eq!(lab.combu(&["results", "t-1", "-o", "csv", "--columns", "name"]).code(0).stdout, "name\nt-1\n");
    let junit = lab.combu(&["results", "-o", "junit"]).code(0).stdout;
    assert!(junit.contains(r#"<testsuites name="spec" tests="4" failures="0""#), "{junit}");
    assert_eq!((junit.matches("<testsuite ").count(), junit.matches("<testcase ").count()), (2, 4), "{junit}");
}

#[test]
fn one_grammar_names_runs_and_trials_in_every_verb() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: n, cmd: "echo " + n} for n in ["one", "two"]]}"#);
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let run = id(&lab);
    let both = format!("{run}/one");
    for words in [&["last/one"][..], &["last", "one"], &["one", "last"], &["one"], &[&both], &[&run[..5], "one"]] {
        let of = |verb: &[&str]| lab.combu(&[verb, words].concat()).code(0).stdout;
        assert_eq!(of(&["logs"]), "one\n", "{words:?}");
        assert_eq!(of(&["why"]), format!("one: succeeded; run {run} has ended\n"), "{words:?}");
        assert!(of(&["show"]).starts_with(&format!("one in run {run}: succeeded")), "{words:?}");
        assert_eq!(of(&["ps"]).lines().count(), 2, "{words:?}");
        assert_eq!(of(&["results", "-o", "csv"]).lines().count(), 2, "{words:?}");
    }
    for words in [&["last"][..], &["last/"], &[&run], &[&run[..5]]] {
        let of = |verb: &[&str]| lab.combu(&[verb, words].concat()).code(0).stdout;
        assert_eq!(of(&["logs", "--no-prefix"]), "one\ntwo\n", "{words:?}");
        assert!(of(&["show"]).starts_with(&format!("run {run}: ended")), "{words:?}");
        assert_eq!(of(&["ps"]).lines().count(), 3, "{words:?}");
    }
    let said = lab.combu(&["why", "last"]).code(2);
    assert_eq!(
        said.stderr,
        "error: a run is named, and no trial of it\nhint: write one trial: `combu why last/TRIAL`\n"
    );
    for words in [&["set", "-j2"][..], &["resume"], &["rm"], &["diff", "spec.jsonnet"]] {
        for (trial, hint) in
            [("last/one", "name the run: `last`".to_owned()), ("one", format!("name the run: `{run}`"))]
        {
            let said = lab.combu(&[words, &[trial]].concat()).code(2);
            let message = format!("error: `{trial}` is a trial, and this is for a whole run\nhint: {hint}\n");
            assert_eq!(said.stderr, message, "{words:?}");
        }
    }
    let said = lab.combu(&["kill", "one"]).code(2);
    assert!(said.stderr.ends_with(&format!("hint: combu kill {run}/one\n")), "{}", said.stderr);
    lab.combu(&["rerun", "last/one", "--progress", "none"]).code(0);
    lab.combu(&["rerun", "two", "--progress", "none"]).code(0);
    lab.combu(&["rerun", "two", "--failed"]).code(2);
}

#[test]
fn of_two_live_runs_a_trial_is_found_in_the_one_that_has_it() {
    let trials = |names: &str| {
        format!(
            "{{engine: 'local', trials: [{{name: n, cmd: ['sh', '-c', 'echo $COMBU_RUN_ID; exec sleep 600'], stop_grace: '0s'}} for n in {names}]}}"
        )
    };
    let lab = Lab::with(&trials("['both', 'aa']"));
    lab.write("other.jsonnet", &trials("['both', 'bb']"));
    let mut lives =
        ["spec.jsonnet", "other.jsonnet"].map(|spec| lab.start(&["run", spec, "-j", "2", "--progress", "json"]));
    let runs: Vec<String> = lives
        .iter_mut()
        .map(|live| {
            let events = ["both"].map(|trial| live.event("attempt-started", trial));
            events[0]["run"].as_str().unwrap().to_owned()
        })
        .collect();
    eventually("the trials write", || {
        lab.combu(&["logs", "aa"]).stdout.trim() == runs[0] && lab.combu(&["logs", "bb"]).stdout.trim() == runs[1]
    });
    let said = lab.combu(&["logs", "both"]).code(2);
    assert!(said.stderr.starts_with("error: `both` is a trial of 2 live runs\n"), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("  {}/both\n", runs[1])), "{}", said.stderr);
    assert_eq!(lab.combu(&["logs", &format!("{}/both", runs[0])]).code(0).stdout.trim(), runs[0]);
    lab.combu(&["kill", &format!("{}/aa", runs[0])]).code(0);
    assert!(lab.combu(&["why", "aa"]).code(0).stdout.contains("killed"));
    lives.iter().for_each(|live| live.signal(Signal::INT));
    lives.into_iter().for_each(|live| drop(live.end().code(130)));
}

#[test]
fn a_joblog_is_one_of_gnu_parallel() {
    let lab = swept();
    let said = lab.combu(&["results", "-o", "joblog"]).code(0);
    let rows: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"]);
    let told: Vec<_> = rows[1..].iter().map(|row| (row[0], row[1], row[5], row[6], row[7], row[8])).collect();
    assert_eq!(
        told,
        [
            ("2", ":", "31", "0", "0", "echo ::combu metric 'loss=0.5' 'step=1;' usage 1.5 10m"),
            ("3", ":", "6", "3", "0", "echo 'hello;' warn went 'wrong;' exit 3"),
            ("4", ":", "0", "0", "9", "signal 9"),
        ]
    );
    for row in &rows[1..] {
        assert!(row[2].parse::<f64>().unwrap() > 1.7e9 && row[3].trim().parse::<f64>().unwrap() >= 0.0, "{row:?}");
    }
}

#[test]
fn junit_xml_is_read_by_an_xml_parser() {
    let lab = Lab::with(
        r#"{engine: "local", name: "a < \"b\" & 層", trials: [
            {name: "bad", params: {text: "<&\"'\t\u0001>"},
             cmd: ["sh", "-c", "printf '\\033[31m]]> <x> \\001\\n&amp; last\\n' >&2; exit 3"]},
            {name: "good", cmd: "true"},
            {name: "gone", cmd: "/nonexistent/program"},
            {name: "later", cmd: "true", depends: [{trial: "bad", condition: "completed"}]},
        ]}"#,
    );
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(100);
    let said = lab.combu(&["results", "-o", "junit"]).code(0);
    lab.write("junit.xml", &said.stdout);
    let program = "import json, sys, xml.etree.ElementTree as tree
suite = tree.parse('junit.xml').getroot()[0]
cases = [[case.get('name'), [[one.tag, dict(one.attrib) if one.tag != 'properties' else one[0].get('value'), one.text] for one in case]] for case in suite]
print(json.dumps([dict(suite.attrib), cases]))";
    let read = Command::new("python3").args(["-c", program]).current_dir(lab.path("")).output().unwrap();
    let read: Value = serde_json::from_slice(&read.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", String::from_utf8_lossy(&read.stderr), said.stdout));
    let suite = &read[0];
    assert_eq!((&suite["name"], &suite["tests"]), (&json!("a < \"b\" & 層"), &json!("4")));
    let numbers = (&suite["failures"], &suite["errors"], &suite["skipped"]);
    assert_eq!(numbers, (&json!("1"), &json!("1"), &json!("1")), "{}", said.stdout);
    let cases = &read[1];
    let bad = &cases[0][1];
    assert_eq!((&bad[0][0], &bad[0][1]), (&json!("properties"), &json!("<&\"'\t\u{fffd}>")));
    assert_eq!(bad[1][1], json!({"message": "failed (exit code 3)", "type": "failed"}));
    assert_eq!(bad[2][2], "]]> <x>\n&amp; last");
    assert_eq!(cases[1], json!(["good", []]));
    assert_eq!(cases[2][1][0][0], "error");
    assert_eq!(cases[3][1][0][1]["message"], "skipped because `bad` failed (exit code 3)");
}

#[test]
fn a_goal_names_the_best_trial_and_puts_it_first() {
    let lab = Lab::with(
        "local combu = import 'combu.libsonnet';
         { engine: 'local', goal: 'min loss', trials: combu.trials(
             { name: 'fit', cmd: ['sh', '-c', 'echo ::combu metric loss=$(({lr} * {lr}))'] }, combu.grid({ lr: [3, 1, 2] })) }",
    );
    let said = lab.combu(&["run", "spec.jsonnet"]).code(0);
    assert!(said.stderr.contains("best: `fit-1` with loss 1 (lr=1)"), "{}", said.stderr);
    let names = |options: &[&str]| {
        let table = lab.combu(&[&["results", "-o", "json"], options].concat()).code(0).json();
        table.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["fit-1", "fit-2", "fit-3"]);
    assert_eq!(names(&["--sort", "name", "-r"]), ["fit-3", "fit-2", "fit-1"]);
    let said = lab.combu(&["run", "spec.jsonnet", "--goal", "max loss"]).code(0);
    assert!(said.stderr.contains("best: `fit-3` with loss 9 (lr=3)"), "{}", said.stderr);
    assert_eq!(names(&[]), ["fit-3", "fit-2", "fit-1"]);
    let said = lab.combu(&["run", "spec.jsonnet", "--goal", "min los"]).code(0);
    assert!(said.stderr.contains("best: no trial that succeeded told the metric `los`"), "{}", said.stderr);
    let said = lab.combu(&["run", "spec.jsonnet", "--goal", "loss"]).code(2);
    assert!(said.stderr.contains("is no goal: write `min loss`"), "{}", said.stderr);
}
