//! Runs that are asked for something from another shell: `set`, `why`, `kill --where`; and `--where` on `run` and `plan`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::docker_lab::docker_lab;
use crate::harness::{Lab, Live, is_alive, named, place, steady};

/// Three local trials that write their process numbers to pipes and live until they are ended; one at a time.
const THREE: &str = r#"{engine: "local", parallel: 1, trials: [
    {name: name, cmd: "sh -c 'echo $$ > ready-%s; exec sleep 600'" % name, params: {mode: name[0]}}
    for name in ["a1", "b1", "c1"]
]}"#;

/// A lab in which `a1` runs and the others wait.
fn running() -> (Lab, Live) {
    let lab = Lab::with(THREE);
    let live = start(&lab, &["run", "spec.jsonnet", "--progress", "json"]);
    (lab, live)
}

fn start(lab: &Lab, args: &[&str]) -> Live {
    for name in ["a1", "b1", "c1"] {
        if !lab.path(&format!("ready-{name}")).exists() {
            lab.pipe(&format!("ready-{name}"));
        }
    }
    let live = lab.start(args);
    lab.hear("ready-a1");
    // Asked until it listens.
    lab.combu(&["why", "a1"]).code(0);
    live
}

fn id(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The socket of a run, by a path that is short enough.
fn connect(run: &Path) -> UnixStream {
    let folder = fs::File::open(run).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&folder);
    UnixStream::connect(format!("/proc/self/fd/{fd}/control.sock")).unwrap()
}

fn said_to(run: &Path, line: &str) -> Value {
    let mut stream = connect(run);
    stream.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn end(live: Live) -> Vec<Value> {
    live.signal(Signal::INT);
    live.end().code(130).events()
}

#[test]
fn a_live_run_is_widened_and_narrowed_from_another_shell() {
    let (lab, live) = running();
    let run = lab.only_run();
    let said = lab.combu(&["set", "-j", "2"]).code(0);
    assert_eq!((said.stdout.as_str(), said.stderr), ("", format!("run {}: set parallel 2\n", id(&run))));
    lab.hear("ready-b1");
    lab.combu(&["-f", "spec.jsonnet", "set", &id(&run)[..5], "-j", "1", "--limit", "license=1"]).code(0);
    lab.combu(&["kill", "spec.jsonnet", "--where", "params.mode == \"a\""]).code(0);
    lab.combu(&["set", "last", "-j", "50%", "--cpus", "2"]).code(0);
    lab.combu(&["set", "last", "-j", "2"]).code(0);
    lab.hear("ready-c1");
    let events = end(live);
    let changes = named(&events, "command-taken").into_iter().filter(|event| event["command"] == "set");
    let changes: Vec<String> = changes.map(|event| event["change"].to_string()).collect();
    assert_eq!(
        changes,
        [
            r#"{"parallel":"2"}"#,
            r#"{"parallel":"1","limits":{"license":1}}"#,
            r#"{"parallel":"50%","cpus":2.0}"#,
            r#"{"parallel":"2"}"#
        ]
    );
    let widened = events.iter().rposition(|event| event["command"] == "set").unwrap();
    assert!(place(&events, "trial-ended", "a1") < widened, "room came free before");
    assert!(place(&events, "attempt-starting", "c1") > widened, "and was not used while the run was narrow");
}

#[test]
fn set_without_a_change_or_without_a_run_changes_nothing() {
    let lab = Lab::with(THREE);
    let said = lab.combu(&["set"]).code(2);
    insta::assert_snapshot!(said.stderr, @"
    error: nothing is set
    hint: there are -j, --cpus, --memory, --gpus, --limit, --load, --memfree and --pressure: `combu set -j 2`
    ");
    let said = lab.combu(&["set", "-j", "2"]).code(4);
    insta::assert_snapshot!(said.stderr, @"
    error: no run is live
    hint: it is looked for in the project of the working folder: `.combu/` there, or above
    ");
    assert!(!lab.path(".combu").exists());
    let live = start(&lab, &["run", "spec.jsonnet", "--progress", "json"]);
    lab.write("other.jsonnet", "[]");
    for args in [&["set", "-j", "2", "-f", "other.jsonnet"][..], &["set", "none", "-j", "2"]] {
        let said = lab.combu(args).code(4);
        let _steady = steady(&lab);
        assert!(said.stderr.contains(&format!("live here: {}", id(&lab.only_run()))), "{}", said.stderr);
    }
    lab.combu(&["set", "-j", "0"]).code(2);
    lab.combu(&["set", "--load", "none"]).code(2);
    assert!(named(&end(live), "command-taken").iter().all(|event| event["command"] == "cancel"));
    let said = lab.combu(&["set", "last", "-j", "2"]).code(4);
    let _steady = steady(&lab);
    insta::assert_snapshot!(said.stderr, @"
    error: no run `last` is live
    hint: run [RUN] has ended
    ");
}

#[test]
fn of_several_live_runs_one_has_to_be_named() {
    let (lab, live) = running();
    let first = id(&lab.only_run());
    lab.write(
        "other.jsonnet",
        r#"{engine: "local", trials: [{name: "x1", cmd: "sh -c 'echo $$ > ready-x1; sleep 600'"}]}"#,
    );
    lab.pipe("ready-x1");
    let other = lab.start(&["run", "other.jsonnet", "--progress", "json"]);
    lab.hear("ready-x1");
    let said = lab.combu(&["set", "-j", "2"]).code(2);
    assert!(said.stderr.starts_with("error: 2 runs are live\n"), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("{first}  spec  {}", lab.path("spec.jsonnet").display())), "{}", said.stderr);
    let set = |args: &[&str]| lab.combu(&[&["set", "-j", "3"], args].concat()).code(0).stderr;
    assert_eq!(set(&["-f", "spec.jsonnet"]), format!("run {first}: set parallel 3\n"));
    assert_eq!(set(&[&first]), format!("run {first}: set parallel 3\n"));
    assert!(!set(&["last"]).contains(&first));
    // Each answers for the trials it has.
    for (trial, run) in [("b1", Some(first.as_str())), ("x1", None)] {
        let said = lab.combu(&["why", trial, "-o", "json"]).code(0).json();
        assert_eq!((said["trial"].as_str(), said["live"].as_bool()), (Some(trial), Some(true)));
        assert_eq!(said["run"] == *first, run.is_some());
    }
    end(other);
    end(live);
}

#[test]
fn a_live_run_says_why_a_trial_waits_and_its_record_how_it_ended() {
    let (lab, live) = running();
    let run = id(&lab.only_run());
    let said = lab.combu(&["why", "b1", "-o", "json"]).code(0).json();
    assert_eq!((&said["run"], &said["trial"], &said["live"]), (&json!(run), &json!("b1"), &json!(true)));
    assert!(said["why"].is_array());
    assert_ne!(lab.combu(&["why", "b1"]).code(0).stdout, "");
    let said = lab.combu(&["why", "b_1"]).code(4);
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stderr, @"
        error: there is no trial `b_1` in run [RUN]
        hint: did you mean `b1`?
        ");
    }
    lab.combu(&["why", "no such name"]).code(4);
    end(live);
    let _steady = steady(&lab);
    let said = lab.combu(&["why", "a1"]).code(0);
    assert_eq!(said.stderr, "");
    insta::assert_snapshot!(said.stdout, @"
    a1: killed; run [RUN] has ended
      the run was ended early: SIGINT
    ");
    insta::assert_snapshot!(lab.combu(&["why", "b1", &run]).code(0).stdout, @"
    b1: skipped because the run was stopped by SIGINT; run [RUN] has ended
      the run was ended early: SIGINT
    ");
    let said = lab.combu(&["why", "a1", "last", "-o", "json"]).code(0).json();
    assert_eq!(
        (&said["live"], &said["outcome"]["status"], &said["attempts"]),
        (&json!(false), &json!("killed"), &json!(1))
    );
    lab.combu(&["why", "a_2"]).code(4);
    insta::assert_snapshot!(Lab::new().combu(&["why", "a1"]).code(4).stderr, @"
    error: no run is live, and none is recorded
    hint: it is looked for in the project of the working folder: `.combu/` there, or above
    ");
}

#[test]
fn a_trial_that_a_killed_combu_left_is_told_as_such() {
    let (lab, live) = running();
    live.signal(Signal::KILL);
    assert_eq!(live.end().code, None);
    assert!(lab.only_run().join("control.sock").exists());
    let said = lab.combu(&["why", "a1"]).code(0);
    let _steady = steady(&lab);
    insta::assert_snapshot!(said.stdout, @"a1: it had not ended when run [RUN] was cut off: its combu was killed, or the machine went down");
    lab.combu(&["set", "-j", "2"]).code(4);
}

#[test]
fn the_socket_is_the_users_own_and_goes_with_the_run() {
    let (lab, live) = running();
    let run = lab.only_run();
    let socket = fs::metadata(run.join("control.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    end(live);
    assert!(!run.join("control.sock").exists());
}

#[test]
fn a_socket_is_reached_however_deep_its_folder_lies() {
    let mut lab = Lab::with(THREE);
    let deep = "a-rather-long-name-of-a-folder/".repeat(6);
    fs::create_dir_all(lab.path(&deep)).unwrap();
    lab.set("COMBU_DIR", lab.path(&deep).join("state").display().to_string());
    let live = start(&lab, &["run", "spec.jsonnet", "--progress", "json"]);
    assert_eq!(lab.combu(&["set", "-j", "2"]).code(0).stderr.matches("set parallel 2").count(), 1);
    lab.hear("ready-b1");
    end(live);
}

#[test]
fn whoever_hangs_or_speaks_otherwise_holds_nothing_up() {
    let (lab, live) = running();
    let run = lab.only_run();
    let _silent: Vec<_> = (0..50).map(|_| connect(&run)).collect();
    let mut half = connect(&run);
    half.write_all(b"{\"version\":1,").unwrap();
    drop(connect(&run));
    let refused = |line: &str| said_to(&run, line)["message"].as_str().unwrap().to_owned();
    assert!(refused("hello\n").starts_with("this is no request"));
    assert!(refused("{\"version\":99,\"ask\":\"set\",\"change\":{}}\n").contains("another version"));
    assert!(
        refused("{\"version\":1,\"ask\":\"set\",\"change\":{\"paralel\":2}}\n").contains("did you mean `parallel`")
    );
    // Cut off at some point, and no more read.
    let _cut = connect(&run).write_all(&vec![b'x'; 9 << 20]);
    assert_eq!(said_to(&run, "{\"version\":1,\"ask\":\"set\",\"change\":{\"parallel\":2}}\n")["answer"], "taken");
    lab.hear("ready-b1");
    end(live);
}

#[test]
fn a_detached_run_and_a_scripts_run_are_reached_too() {
    let lab = Lab::with(THREE);
    for name in ["a1", "b1", "c1"] {
        lab.pipe(&format!("ready-{name}"));
    }
    lab.combu(&["run", "-d", "spec.jsonnet"]).code(0);
    lab.hear("ready-a1");
    lab.combu(&["set", "-j", "2"]).code(0);
    let pid = lab.hear("ready-b1");
    lab.combu(&["kill", "spec.jsonnet"]).code(0);
    assert!(!is_alive(&pid));

    lab.write("sweep.rhai", "run(experiment(\"spec.jsonnet\"));");
    let live = start(&lab, &["script", "--progress", "json", "sweep.rhai"]);
    lab.combu(&["set", "-j", "2"]).code(0);
    lab.hear("ready-b1");
    live.signal(Signal::INT);
    live.end().code(130);
}

#[test]
fn a_script_that_is_busy_hears_of_a_change_later() {
    let lab = Lab::with(THREE);
    lab.write("sweep.rhai", "let live = start(experiment(\"spec.jsonnet\")); loop { }");
    let live = start(&lab, &["script", "sweep.rhai"]);
    let said = lab.combu(&["set", "-j", "2"]).code(0);
    lab.hear("ready-b1");
    assert!(said.stderr.contains("its script is busy"), "{}", said.stderr);
    live.signal(Signal::INT);
    live.end().code(130);
}

const SWEEP: &str = r#"{engine: "local", trials: [
    {name: "loader", cmd: "true"},
    {name: "good", cmd: "true", depends: [{trial: "loader", condition: "completed"}], params: {mode: "a"}},
    {name: "bad", cmd: "test -e mended", params: {mode: "a"}},
    {name: "other", cmd: "true", params: {mode: "b"}},
]}"#;

fn ends(lab: &Lab, args: &[&str], code: i32) -> Vec<String> {
    let said = lab.combu(&[&["run", "spec.jsonnet", "--progress", "json"], args].concat()).code(code);
    let events = said.events();
    let ends = named(&events, "trial-ended").into_iter().map(|event| event["trial"].as_str().unwrap().to_owned());
    let mut ends: Vec<String> = ends.collect();
    ends.sort();
    ends
}

#[test]
fn run_and_plan_take_what_the_expression_selects_and_what_that_depends_on() {
    let lab = Lab::with(SWEEP);
    let plan = lab.combu(&["plan", "spec.jsonnet", "--where", "name == \"good\""]).code(0).stdout;
    insta::assert_snapshot!(plan, @"
    experiment spec: 2 trials in 2 groups

    group 1: 1 trial
      loader  true

    group 2: 1 trial
      good  true  after loader completed
    ");
    assert_eq!(ends(&lab, &["--where", "params.mode == \"a\""], 100), ["bad", "good", "loader"]);
    let dry = lab.combu(&["run", "spec.jsonnet", "--dry-run", "--where", "params.mode == \"b\""]).code(0).stdout;
    assert!(dry.contains("other") && !dry.contains("good"), "{dry}");
}

#[test]
fn what_is_done_is_known_from_the_last_time_that_each_trial_ended() {
    let lab = Lab::with(SWEEP);
    lab.combu(&["run", "spec.jsonnet", "--engine", "fake"]).code(0);
    assert_eq!(ends(&lab, &["--where", "params.mode == \"a\" && !done"], 100), ["bad", "good", "loader"]);
    assert_eq!(ends(&lab, &["--where", "failed"], 100), ["bad"]);
    assert_eq!(ends(&lab, &["--where", "status == \"\""], 0), ["other"]);
    lab.write("mended", "");
    // What succeeded two runs ago is done still.
    assert_eq!(ends(&lab, &["--where", "!done"], 0), ["bad"]);
    let said = lab.combu(&["run", "spec.jsonnet", "--where", "!done"]).code(4);
    insta::assert_snapshot!(said.stderr, @"error: nothing selected: none of the 4 trials of `spec` fits `!done`");
    lab.write("sweep.rhai", "print(experiment(\"spec.jsonnet\").filter(\"done\").names());");
    assert_eq!(lab.combu(&["script", "sweep.rhai"]).code(0).stdout, "[\"loader\", \"good\", \"bad\", \"other\"]\n");
}

#[test]
fn an_expression_that_is_wrong_starts_nothing() {
    let lab = Lab::with(SWEEP);
    let said = lab.combu(&["run", "spec.jsonnet", "--where", "params.mode == \"a\" && !dnoe"]).code(2);
    insta::assert_snapshot!(said.stderr, @r#"
    error: a trial has no `dnoe`
     --> --where:1:24
      |
    1 | params.mode == "a" && !dnoe
      |                        ^
    hint: did you mean `done`?
    "#);
    let said = lab.combu(&["plan", "spec.jsonnet", "--where", "cpus * 2 > 1"]).code(2);
    insta::assert_snapshot!(said.stderr, @"
    error: of the trial `loader`: there is nothing, `()`, on the left of `*`
     --> --where:1:6
      |
    1 | cpus * 2 > 1
      |      ^
    hint: what a trial does not say is `()`: ask for a value, as in `service == true`
    ");
    lab.combu(&["kill", "spec.jsonnet", "--where", "tru"]).code(2);
    assert!(!lab.path(".combu").exists());
}

#[test]
fn kill_ends_the_trials_that_fit_and_the_run_goes_on() {
    let spec = r#"local ID = 'UUID'; {engine: "local", trials: [
        {name: "%s-%s" % [name, ID], cmd: "sh -c 'echo $$ > ready-%s; exec sleep 600'" % name, params: {mode: name}}
        for name in ["a1", "b1"]
    ]}"#;
    let lab = Lab::with(spec);
    for name in ["a1", "b1", "c1"] {
        lab.pipe(&format!("ready-{name}"));
    }
    let live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let (first, second) = (lab.hear("ready-a1"), lab.hear("ready-b1"));
    let run = id(&lab.only_run());
    let said = lab.combu(&["kill", "spec.jsonnet", "--where", "params.mode == \"a1\""]).code(0);
    assert_eq!(said.stderr, format!("killed a1-{run} in run {run}\n"));
    assert!(!is_alive(&first) && is_alive(&second), "the others stay");
    let said = lab.combu(&["kill", "spec.jsonnet", "--where", "params.mode == \"a1\""]).code(4);
    insta::assert_snapshot!(said.stderr, @r#"error: nothing selected: nothing that is left of spec.jsonnet fits `params.mode == "a1"`"#);
    let events = end(live);
    let killed = named(&events, "command-taken");
    assert_eq!(
        (killed[0]["command"].as_str(), killed[0]["trial"].as_str()),
        (Some("kill"), Some(&*format!("a1-{run}")))
    );
    assert_eq!(killed.len(), 2, "the other is the interrupt");
    assert!(!is_alive(&second));
}

#[test]
fn kill_removes_only_the_containers_that_fit_and_leaves_networks() {
    let Some(lab) = docker_lab(
        "[{name: '@bad', image: 'IMAGE', cmd: 'false', params: {mode: 'a'}, networks: ['@net']},
          {name: '@worse', image: 'IMAGE', cmd: 'false', params: {mode: 'b'}, networks: ['@net']}]",
    ) else {
        return;
    };
    let kill = |text: &str| lab.lab.combu(&["kill", "spec.jsonnet", "--grace", "0s", "--where", text]);
    lab.run(&[]).code(100);
    // What was recorded counts, not what the spec says now.
    lab.lab.write("spec.jsonnet", "broken");
    assert_eq!(kill("params.mode == \"b\"").code(0).stderr, lab.own("removed @worse\n"));
    assert_eq!(lab.containers().into_keys().collect::<Vec<_>>(), ["bad"]);
    kill("params.mode == \"b\"").code(4);
    assert_eq!(kill("status == \"failed\"").code(0).stderr, lab.own("removed @bad\n"));
    assert_eq!(lab.networks(), ["net"]);
    assert_eq!(lab.kill().code(0).stderr, lab.own("removed network @net\n"));
    lab.assert_empty();
}

#[test]
fn a_live_run_kills_the_containers_that_fit_and_goes_on() {
    let Some(lab) = docker_lab(
        "[{name: '@' + mode, image: 'IMAGE', stop_grace: '1s', cmd: 'sleep 600', params: {mode: mode}} for mode in ['aa', 'bb']]",
    ) else {
        return;
    };
    let mut live = lab.lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    for _ in 0..2 {
        live.line("\"event\":\"attempt-started\"");
    }
    let run = id(&lab.lab.only_run());
    let said = lab.lab.combu(&["kill", "spec.jsonnet", "--where", "params.mode == \"aa\""]).code(0);
    assert_eq!(said.stderr, lab.own(&format!("killed @aa in run {run}\nremoved @aa\n")));
    assert_eq!(lab.containers().into_iter().collect::<Vec<_>>(), [("bb".to_owned(), "running".to_owned())]);
    live.signal(Signal::INT);
    assert_eq!(named(&live.end().code(130).events(), "trial-ended").len(), 2);
    lab.kill().code(0);
    lab.assert_empty();
}
