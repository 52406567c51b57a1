//! Runs that live while another combu is called: refused seconds, `kill`, `--detach`, and what a killed combu leaves.

use std::fs;
use std::io::Write;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Lab, Live, eventually, is_alive, named, steady};

/// A local trial that writes its process numbers to the pipe `ready`, and lives until it is ended.
const LONG: &str =
    r#"{engine: "local", trials: [{name: "long", cmd: "sh -c 'sleep 600 & echo $$ $! > ready; wait'"}]}"#;

/// The same, until someone reads from the pipe `go`.
const WAITING: &str =
    r#"{engine: "local", trials: [{name: "one", cmd: "sh -c 'echo $$ > ready; echo go > go; echo done'"}]}"#;

fn running(lab: &Lab) -> (Live, String) {
    lab.pipe("ready");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let pid = lab.hear("ready");
    live.event("attempt-started", "long");
    (live, pid)
}

/// The process that runs the only run.
fn process(lab: &Lab) -> String {
    record(&lab.only_run())["pid"].to_string()
}

fn record(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

#[test]
fn a_second_run_is_refused_while_the_first_one_lives() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab);
    let said = lab.combu(&["-f", "spec.jsonnet", "run"]).code(2);
    assert_eq!(said.stdout, "");
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stderr, @"
        error: the experiment `spec` is running: run [RUN], process [PID]
        hint: wait for it, or end it with `combu -f spec.jsonnet kill`
        ");
    }
    assert_eq!(lab.runs().len(), 1, "the refused run leaves no folder");
    assert!(is_alive(&pid), "the first goes on");
    let other = r#"{engine: "local", trials: [{name: "long", cmd: "true"}]}"#;
    lab.write("other.jsonnet", other);
    lab.combu(&["-f", "other.jsonnet", "run"]).code(0);
    live.signal(Signal::INT);
    live.end().code(130);
    lab.write("spec.jsonnet", other);
    lab.combu(&["-f", "spec.jsonnet", "run"]).code(0);
}

#[test]
fn of_many_that_start_at_once_one_runs() {
    let lab = Lab::with(LONG);
    lab.pipe("ready");
    let all: Vec<Live> = (0..4).map(|_| lab.start(&["run", "spec.jsonnet"])).collect();
    let trial = lab.hear("ready");
    let runs = process(&lab);
    let (one, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|live| live.pid() == runs);
    for other in others {
        let said = other.end().code(2);
        assert!(said.stderr.contains(&format!("process {runs}\n")), "{}", said.stderr);
    }
    assert_eq!(lab.runs().len(), 1);
    assert!(is_alive(&trial));
    let [one] = <[Live; 1]>::try_from(one).unwrap_or_else(|_| panic!("the run's process is one of those"));
    one.signal(Signal::TERM);
    one.end().code(143);
}

#[test]
fn kill_ends_the_combu_that_runs_the_spec_and_its_trials() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab);
    let killed = lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    assert_eq!(killed.stdout, "");
    let _steady = steady(&lab);
    insta::assert_snapshot!(killed.stderr, @"ended run [RUN]");
    let said = live.end().code(143);
    assert_eq!(named(&said.events(), "trial-ended")[0]["status"], "killed");
    assert!(!is_alive(&pid));
    insta::assert_snapshot!(lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0).stderr, @"nothing of spec.jsonnet is left");
}

#[test]
fn kill_needs_neither_the_specs_text_nor_its_working_folder() {
    let lab = Lab::with(LONG);
    fs::create_dir(lab.path("below")).unwrap();
    let (live, pid) = running(&lab);
    lab.write("spec.jsonnet", "broken");
    let mut elsewhere = lab.command(env!("CARGO_BIN_EXE_combu"));
    elsewhere.current_dir(lab.path("below")).args(["-f", "../spec.jsonnet", "kill"]);
    Live::new(elsewhere.spawn().unwrap()).end().code(0);
    live.end().code(143);
    assert!(!is_alive(&pid));
}

#[test]
fn a_spec_behind_a_link_is_the_spec_it_leads_to() {
    let lab = Lab::new();
    lab.write("real/spec.jsonnet", LONG);
    fs::create_dir(lab.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(lab.path("real/spec.jsonnet"), lab.path("elsewhere/link.jsonnet")).unwrap();
    std::os::unix::fs::symlink(lab.path("real"), lab.path("folder")).unwrap();
    lab.pipe("real/ready");
    let in_elsewhere = |args: &[&str]| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_combu"));
        Live::new(command.current_dir(lab.path("elsewhere")).args(args).spawn().unwrap())
    };
    // By either name, and even where the spec is gone.
    for file in ["link.jsonnet", "../real/spec.jsonnet", "../folder/spec.jsonnet"] {
        let live = in_elsewhere(&["-f", "link.jsonnet", "run"]);
        let pid = lab.hear("real/ready");
        let gone = file.contains("folder");
        if gone {
            fs::remove_file(lab.path("real/spec.jsonnet")).unwrap();
        }
        let said = in_elsewhere(&["-f", file, "kill"]).end().code(0);
        assert!(said.stderr.starts_with("ended run "), "{}", said.stderr);
        live.end().code(143);
        assert!(!is_alive(&pid));
        let again = in_elsewhere(&["-f", file, "kill"]).end();
        assert!(again.stderr.contains(file), "said as it was written: {}", again.stderr);
    }
}

#[test]
fn commands_in_hints_can_be_typed() {
    let lab = Lab::new();
    lab.write("my $specs/it's a spec.jsonnet", LONG);
    lab.pipe("my $specs/ready");
    let args = ["-f", "my $specs/it's a spec.jsonnet", "run"];
    let said = lab.combu(&[&args[..], &["-d"]].concat()).code(0);
    lab.hear("my $specs/ready");
    let typed = |line: &str| {
        let path = format!("{}:{}", combu_folder(), std::env::var("PATH").unwrap());
        Live::new(lab.command("sh").env("PATH", path).args(["-c", line]).spawn().unwrap()).end()
    };
    let (_, progress) = said.stderr.split_once("progress: tail -f ").unwrap();
    let log = progress.lines().next().unwrap();
    typed(&format!("test -f {log}")).code(0);
    let (_, end) = said.stderr.split_once("end it:   ").unwrap();
    let refused = lab.combu(&args).code(2).stderr;
    assert!(refused.contains(&format!("end it with `{}`", end.trim_end())), "{refused}");
    assert!(typed(end).code(0).stderr.starts_with("ended run "));
}

fn combu_folder() -> String {
    Path::new(env!("CARGO_BIN_EXE_combu")).parent().unwrap().display().to_string()
}

#[test]
fn kill_leaves_trials_the_time_that_they_have_to_stop() {
    // Longer than the grace of what no combu runs any more, and shorter than the trial's own.
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "long", stop_grace: "10s",
            cmd: "sh -c \"trap 'sleep 6; touch saved; exit' TERM; echo $$ > ready; sleep 600 & wait\""}]}"#,
    );
    let (live, pid) = running(&lab);
    lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    let said = live.end().code(143);
    assert!(lab.path("saved").exists());
    assert_eq!(named(&said.events(), "command-taken").len(), 1, "it was asked once");
    assert!(!is_alive(&pid));
}

#[test]
fn kill_waits_out_its_grace_and_then_kills() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "long", stop_grace: "1h",
            cmd: "sh -c \"trap '' TERM; echo $$ > ready; while :; do sleep 600; done\""}]}"#,
    );
    let (live, pid) = running(&lab);
    lab.combu(&["-f", "spec.jsonnet", "kill", "--grace", "100ms"]).code(0);
    live.end().code(143);
    assert!(!is_alive(&pid));
}

#[test]
fn kill_finds_nothing_where_nothing_was_started() {
    let lab = Lab::with(LONG);
    let said = lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    insta::assert_snapshot!(said.stderr, @"nothing of spec.jsonnet is left");
    assert!(!lab.path(".combu").exists());
}

#[test]
fn a_combu_that_is_killed_leaves_no_local_trial() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab);
    live.signal(Signal::KILL);
    assert_eq!(live.end().code, None);
    eventually("the trial has ended", || !is_alive(&pid));
    lab.write("spec.jsonnet", r#"{engine: "local", trials: [{name: "long", cmd: "true"}]}"#);
    lab.combu(&["-f", "spec.jsonnet", "run"]).code(0);
}

#[test]
fn a_detached_run_goes_on_without_its_parent_and_ends_by_itself() {
    let lab = Lab::with(WAITING);
    lab.pipe("ready");
    lab.pipe("go");
    let said = lab.combu(&["-f", "spec.jsonnet", "run", "--detach"]).code(0);
    let pid = lab.hear("ready");
    let run = lab.only_run();
    assert_eq!(said.stdout.trim_end(), run.file_name().unwrap().to_str().unwrap());
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stderr, @"
        run [RUN] goes on in the background
          progress: tail -f [LAB]/.combu/runs/[RUN]/combu.log
          end it:   combu -f spec.jsonnet kill
        ");
    }
    let combu = process(&lab);
    assert!(is_alive(&combu) && is_alive(&pid));
    lab.combu(&["-f", "spec.jsonnet", "run"]).code(2);
    assert_eq!(lab.hear("go"), "go");
    eventually("the detached combu has ended", || !is_alive(&combu));
    assert_eq!(lab.log("one"), "done\n");
    assert!(lab.events().last().unwrap()["early"].is_null());
    let log = lab.read(run.join("combu.log"));
    assert!(log.contains("[1/1] ok      one") && log.contains("1 trial: 1 succeeded in"), "{log}");
}

#[test]
fn a_detached_run_outlives_its_terminal() {
    let lab = Lab::with(LONG);
    lab.pipe("ready");
    // The shell leads a session of its own, as a terminal's does, and takes its whole group with it.
    let line = format!("{} run -d spec.jsonnet; kill -HUP 0", env!("CARGO_BIN_EXE_combu"));
    let shell = lab.command("setsid").args(["--wait", "sh", "-c", &line]).spawn().unwrap();
    assert_ne!(Live::new(shell).end().code, Some(0));
    let pid = lab.hear("ready");
    let combu = process(&lab);
    assert!(is_alive(&combu) && is_alive(&pid));
    lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    assert!(!is_alive(&combu) && !is_alive(&pid));
}

#[test]
fn kill_ends_a_detached_run() {
    let lab = Lab::with(LONG);
    lab.pipe("ready");
    lab.combu(&["run", "spec.jsonnet", "-d", "--progress", "json"]).code(0);
    let (pid, combu) = (lab.hear("ready"), process(&lab));
    let said = lab.combu(&["kill", "spec.jsonnet"]).code(0);
    assert!(said.stderr.starts_with("ended run "), "{}", said.stderr);
    assert!(!is_alive(&pid));
    eventually("the detached combu has ended", || !is_alive(&combu));
    assert_eq!(named(&lab.events(), "trial-ended")[0]["status"], "killed");
}

#[test]
fn a_detached_start_that_fails_says_why_and_with_which_code() {
    let lab = Lab::with("[{name: 'one'");
    let attached = lab.combu(&["run", "spec.jsonnet"]).code(2);
    let detached = lab.combu(&["run", "spec.jsonnet", "--detach"]).code(2);
    assert_eq!((detached.stdout.as_str(), detached.stderr), ("", attached.stderr));
    lab.write("spec.jsonnet", r#"[{name: "one", image: "busybox"}]"#);
    let detached = lab.combu(&["run", "spec.jsonnet", "--detach"]).code(125);
    assert!(detached.stderr.contains("no docker engine answers"), "{}", detached.stderr);
    assert_eq!(detached.stdout, "");
    assert!(!lab.path(".combu").exists());
}

#[test]
fn a_detached_start_that_fails_late_says_why_too() {
    let lab =
        Lab::with(&LONG.replace('{', "{name: std.extVar('name'), ").replace("[{name: std.extVar('name'), ", "[{"));
    lab.pipe("ready");
    lab.combu(&["run", "spec.jsonnet", "-d", "-V", "name=one"]).code(0);
    lab.hear("ready");
    // Its folder is made before the engine tells what stands in the way.
    let attached = lab.combu(&["run", "spec.jsonnet", "-V", "name=two"]).code(2);
    assert!(attached.stderr.contains("something stands in the way"), "{}", attached.stderr);
    let detached = lab.combu(&["run", "spec.jsonnet", "-d", "-V", "name=two"]).code(2);
    assert_eq!((detached.stdout.as_str(), detached.stderr), ("", attached.stderr));
    lab.only_run();
    lab.combu(&["kill", "spec.jsonnet", "-V", "name=one"]).code(0);
}

#[test]
fn a_detached_start_that_is_interrupted_leaves_no_run() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let lab = Lab::with("import 'pipe'");
        lab.pipe("pipe");
        let live = lab.start(&["run", "spec.jsonnet", "-d"]);
        // Opens once the background half reads it.
        let spec = fs::File::options().write(true).open(lab.path("pipe")).unwrap();
        live.signal(signal);
        assert_eq!(live.end().code, None);
        (&spec).write_all(br#"{engine: "local", trials: [{name: "long", cmd: "sleep 600"}]}"#).unwrap();
        drop(spec);
        eventually("the background half has started", || {
            lab.runs().first().is_some_and(|run| run.join("run.json").exists())
        });
        let combu = process(&lab);
        eventually("the background half has ended", || !is_alive(&combu));
        let events = lab.events();
        assert!(named(&events, "trial-ended").iter().all(|end| end["status"] != "succeeded"));
        let early = json!({"by": "cancelled", "message": "the end of its foreground half"});
        assert_eq!(events.last().unwrap()["early"], early);
        let log = lab.read(lab.only_run().join("combu.log"));
        assert!(log.contains("error: combu was ended before its run was in the background"), "{log}");
    }
}

#[test]
fn a_full_disk_costs_logs_and_no_trial() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "loud", cmd: "sh -c 'head -c 3000000 /dev/zero; touch done'"}]}"#,
    );
    // The shell's limit on file sizes stands in for a full disk; its signal is ignored, so that writing fails instead.
    let line = format!("trap '' XFSZ; ulimit -f 1024; exec {} run spec.jsonnet -o json", env!("CARGO_BIN_EXE_combu"));
    let said = Live::new(lab.command("sh").args(["-c", &line]).spawn().unwrap()).end().code(1);
    assert!(lab.path("done").exists());
    assert!(said.stderr.contains("the logs of `loud` are not complete"), "{}", said.stderr);
    assert_eq!(said.json()["results"][0]["state"]["ended"]["status"], "succeeded");
}
