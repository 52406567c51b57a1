//! Verbs about earlier runs: `run --resume`, `rerun`, `diff`, `rm`, `gc`, and `kill` by run, trial and project.

use std::collections::BTreeSet;

use bollard::models::{ContainerCreateBody, NetworkCreateRequest};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use combu::store::{Git, Provenance};
use serde_json::Value;

use crate::daemon::{IMAGE, apart};
use crate::docker_lab::docker_lab;
use crate::harness::{Lab, eventually, is_alive, named, steady, stored};

/// Trials of a sweep on this machine; `fail` is there while one of them shall fail.
const SWEEP: &str = r#"
{engine: 'local', retries: 0, trials: [
    {name: 'base', cmd: ['sh', '-c', 'echo base >> ran'], workdir: '.', params: {lr: 0.1}},
    {name: 'fine', cmd: ['sh', '-c', 'echo fine >> ran'], workdir: '.', params: {lr: 0.2}},
    {name: 'bad', cmd: ['sh', '-c', 'echo bad >> ran; test ! -e fail'], workdir: '.', params: {lr: 0.3}},
    {name: 'last', cmd: ['sh', '-c', 'echo last >> ran'], workdir: '.',
        depends: [{trial: 'fine', condition: 'completed'}]},
]}"#;

fn sweep() -> Lab {
    let lab = Lab::with(SWEEP);
    lab.write("fail", "");
    lab
}

/// Which trials ran since it was last asked.
fn ran(lab: &Lab) -> BTreeSet<String> {
    let ran = lab.path("ran");
    let lines = std::fs::read_to_string(&ran).unwrap_or_default();
    std::fs::write(&ran, "").unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn resuming_an_edited_spec_runs_what_is_new_or_changed_and_what_has_not_succeeded() {
    let lab = sweep();
    let _steady = steady(&lab);
    lab.combu(&["run", "spec.jsonnet"]).code(100);
    assert_eq!(ran(&lab), set(&["base", "fine", "bad", "last"]));
    let said = lab.combu(&["run", "spec.jsonnet", "--resume"]).code(100);
    assert_eq!(ran(&lab), set(&["bad"]));
    assert!(said.stderr.contains("4 trials: 3 succeeded (3 in an earlier run), 1 failed in"), "{}", said.stderr);
    std::fs::remove_file(lab.path("fail")).unwrap();
    lab.combu(&["run", "spec.jsonnet", "--resume"]).code(0);
    assert_eq!(ran(&lab), set(&["bad"]));
    // Nothing is to be done, and the last run has every result.
    let before = lab.runs().len();
    let said = lab.combu(&["run", "spec.jsonnet", "--resume"]).code(0);
    let words = "nothing to do: 4 trials succeeded before, unchanged since; run ";
    assert!(said.stderr.starts_with(words), "{}", said.stderr);
    assert_eq!((ran(&lab), lab.runs().len()), (set(&[]), before));
    let text = lab.read("spec.jsonnet");
    let edited = text
        .replace("lr: 0.2", "lr: 0.25")
        .replace("\n]}", "\n{name: 'more', cmd: ['sh', '-c', 'echo more >> ran'], workdir: '.'}]}");
    lab.write("spec.jsonnet", &edited);
    let diff = lab.combu(&["diff", "last", "spec.jsonnet"]).code(0);
    insta::assert_snapshot!(diff.stdout, @"
    + more
    ~ fine  params.lr: 0.2 -> 0.25
    1 added, 0 removed, 1 changed, 3 unchanged
    ");
    lab.combu(&["run", "spec.jsonnet", "--resume", "--rerun-triggers", "cmd,env"]).code(0);
    assert_eq!(ran(&lab), set(&["more"]), "params do not count");
    lab.combu(&["run", "spec.jsonnet", "--resume"]).code(0);
    assert_eq!(ran(&lab), set(&["fine", "last"]), "and what waits for the end of what runs again");
    let said = lab.combu(&["run", "spec.jsonnet", "--resume", "-o", "json"]).code(0);
    assert_eq!(ran(&lab), set(&[]));
    lab.combu(&["rerun"]).code(4);
    assert!(said.json()["results"].as_array().unwrap().iter().all(|result| result["reused"].is_string()));
    lab.combu(&["run", "spec.jsonnet", "--resume", "--seed", "5"]).code(0);
    assert_eq!(ran(&lab), set(&["base", "fine", "bad", "last", "more"]), "another seed is another sweep");
}

#[test]
fn what_failed_is_run_again_in_a_linked_run_until_nothing_is_outstanding() {
    let lab = sweep();
    lab.write(
        "spec.jsonnet",
        &lab.read("spec.jsonnet").replace("echo base >> ran", "echo base >> ran; test ! -e fail"),
    );
    let _steady = steady(&lab);
    lab.combu(&["run", "spec.jsonnet"]).code(100);
    let first = lab.only_run();
    ran(&lab);
    insta::assert_snapshot!(lab.combu(&["rerun", "last", "nobody"]).code(4).stderr, @"error: run [RUN] has no trial `nobody`");
    lab.combu(&["rerun", "--failed"]).code(100);
    assert_eq!(ran(&lab), set(&["base", "bad"]));
    std::fs::remove_file(lab.path("fail")).unwrap();
    let said = lab.combu(&["rerun", "last", "ba[d]"]).code(5);
    assert_eq!(ran(&lab), set(&["bad"]));
    insta::assert_snapshot!(said.stderr, @"
    1 trial of run [RUN] again
    spec: 1 trial, at most 2 at once, run [RUN]
    logs: .combu/runs/[RUN]
    [1/1] ok      bad [TIME]
    1 trial: 1 succeeded in [TIME]
    logs: .combu/runs/[RUN]
    1 trial of run [RUN] outstanding: combu rerun [RUN]
    ");
    let last = lab.runs().into_iter().max_by_key(|run| started(run)).unwrap();
    let record: Value = serde_json::from_str(&lab.read(last.join("run.json"))).unwrap();
    assert_eq!(record["repeats"].as_str(), first.file_name().unwrap().to_str());
    lab.combu(&["rerun"]).code(0);
    assert_eq!(ran(&lab), set(&["base"]), "what is outstanding in the run and all its reruns");
    insta::assert_snapshot!(lab.combu(&["rerun"]).code(4).stderr, @"error: nothing to repeat: no trial of run [RUN] failed");
    lab.combu(&["rerun", first.file_name().unwrap().to_str().unwrap(), "--where", "params.lr == 0.2"]).code(0);
    assert_eq!(ran(&lab), set(&["fine"]));
    let said = lab.combu(&["rerun", "last", "last"]).code(0);
    assert_eq!(ran(&lab), set(&["last"]), "its prerequisite succeeded and stays: {}", said.stderr);
}

fn started(run: &std::path::Path) -> u64 {
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    record["started_ms"].as_u64().unwrap()
}

#[test]
fn runs_are_forgotten_by_name_or_by_age_and_never_while_they_live() {
    let lab = Lab::with(
        "{engine: 'local', trials: [{name: 'a1', cmd: ['sh', '-c', 'test ! -e hold || exec sleep 600'], stop_grace: '0s', workdir: '.'}]}",
    );
    let _steady = steady(&lab);
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    let old = lab.only_run();
    lab.write("hold", "");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "a1");
    insta::assert_snapshot!(lab.combu(&["rm", "last"]).code(2).stderr.replace(&id(&old), "[OTHER]"), @"
    error: run [RUN] is alive
    hint: end it first: combu kill [RUN]
    ");
    insta::assert_snapshot!(lab.combu(&["rm", "nothing"]).code(4).stderr, @"
    error: no run `nothing` is recorded
    hint: `combu ls` lists the runs of this project
    ");
    insta::assert_snapshot!(lab.combu(&["gc"]).code(0).stderr, @"nothing is old enough");
    insta::assert_snapshot!(lab.combu(&["gc", "--older-than", "0s", "--dry-run"]).code(0).stderr, @"would forget run [RUN] of spec");
    assert_eq!(lab.runs().len(), 2);
    insta::assert_snapshot!(lab.combu(&["gc", "--older-than", "0s"]).code(0).stderr, @"forgot run [RUN] of spec");
    let alive = lab.only_run();
    assert_ne!(alive, old);
    lab.combu(&["kill", &id(&alive)]).code(0);
    live.end().code(143);
    lab.combu(&["rm", &id(&alive)[..5]]).code(0);
    assert!(lab.runs().is_empty());
}

fn id(run: &std::path::Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_kill_by_trial_leaves_the_others_and_one_by_project_leaves_nothing() {
    let spec = |name: &str| {
        format!(
            "{{engine: 'local', trials: [{{name: '{name}-' + n, cmd: ['sh', '-c', 'echo $$ > $COMBU_TRIAL.pid; exec sleep 600'],
               workdir: '.', stop_grace: '0s'}} for n in std.range(1, 2)]}}"
        )
    };
    let lab = Lab::with(&spec("aa"));
    lab.write("other.jsonnet", &spec("bb"));
    let mut first = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let mut second = lab.start(&["run", "other.jsonnet", "--progress", "json"]);
    let pid = |name: &str| {
        let path = format!("{name}.pid");
        eventually("a trial writes its number", || lab.path(&path).metadata().is_ok_and(|file| file.len() > 1));
        lab.read(&path).trim().to_owned()
    };
    let pids = ["aa-1", "aa-2", "bb-1", "bb-2"].map(pid);
    first.line("\"attempt-started\"");
    second.line("\"attempt-started\"");
    let said = lab.combu(&["kill", "spec.jsonnet", "--trial", "aa-[2-9]"]).code(0);
    assert!(said.stderr.starts_with("killed aa-2 in run "), "{}", said.stderr);
    assert_eq!(pids.each_ref().map(|pid| is_alive(pid)), [true, false, true, true]);
    let said = lab.combu(&["kill", "--all"]).code(0);
    assert_eq!(said.stderr.matches("ended run ").count(), 2, "{}", said.stderr);
    assert_eq!(pids.each_ref().map(|pid| is_alive(pid)), [false; 4]);
    first.end().code(143);
    second.end().code(143);
    for run in lab.runs() {
        assert_eq!(named(&stored(&run), "run-ended").len(), 1);
    }
    assert!(lab.combu(&["kill", "--all"]).code(0).stderr.starts_with("nothing of the project"));
}

#[test]
fn two_sweeps_at_once_a_look_and_a_kill_leave_the_store_whole_and_the_other_sweep_alone() {
    let Some(lab) = docker_lab(
        "[{name: '@one-' + n, image: 'IMAGE', cmd: 'sleep 600', stop_grace: '0s', networks: ['@net']} for n in std.range(1, 3)]",
    ) else {
        return;
    };
    lab.lab.write("other.jsonnet", &lab.own("[{name: '@two-' + n, image: 'IMAGE', cmd: ['sh', '-c', 'until test -e /lab/go; do sleep 0.1; done; echo done'], volumes: ['.:/lab'], networks: ['@net2']} for n in std.range(1, 3)]"));
    let mut one = lab.lab.start(&["run", "spec.jsonnet", "-j", "3", "--progress", "json"]);
    let mut two = lab.lab.start(&["run", "other.jsonnet", "-j", "3", "--progress", "json"]);
    for live in [&mut one, &mut two] {
        for _ in 1..=3 {
            live.line("\"event\":\"attempt-started\"");
        }
    }
    let why = lab.lab.combu(&["why", &lab.own("@two-1"), "-f", "other.jsonnet"]).code(0);
    assert!(why.stdout.contains("is running"), "{}", why.stdout);
    lab.lab.combu(&["kill", "spec.jsonnet"]).code(0);
    one.end().code(143);
    assert_eq!(lab.containers().keys().map(String::as_str).collect::<Vec<_>>(), ["two-1", "two-2", "two-3"]);
    lab.lab.write("go", "");
    two.end().code(0);
    let ends: Vec<_> = lab
        .lab
        .runs()
        .iter()
        .map(|run| {
            let events = stored(run);
            (named(&events, "trial-ended").len(), named(&events, "run-ended").len())
        })
        .collect();
    assert_eq!(ends, [(3, 1), (3, 1)]);
    lab.assert_empty();
}

#[test]
fn a_run_keeps_what_it_takes_to_repeat_it() {
    let lab = Lab::with("local one = import 'one.libsonnet';\n{engine: 'local', trials: [one]}");
    lab.write("one.libsonnet", "{name: 'one', cmd: 'true'}");
    let git = |words: &[&str]| {
        let said = lab.command("git").args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(words).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    lab.write("one.libsonnet", "{name: 'two', cmd: 'true'}");
    lab.combu(&["run", "spec.jsonnet", "--seed", "7"]).code(0);
    let kept = Provenance::read(&lab.only_run()).unwrap().unwrap();
    assert_eq!(kept.git, Some(Git { commit: git(&["rev-parse", "HEAD"]), dirty: true }));
    assert_eq!(
        kept.sources[&lab.path("one.libsonnet").canonicalize().unwrap().display().to_string()],
        "{name: 'two', cmd: 'true'}"
    );
    assert_eq!(kept.sources.len(), 2);
    assert_eq!(kept.engines, ["processes of this machine"]);
    assert!(!kept.host.name.is_empty() && kept.host.kernel.starts_with("Linux "), "{kept:?}");
    assert_eq!(named(&lab.events(), "run-started")[0]["seed"], 7);
    lab.write("sweep.rhai", "run(experiment(\"spec.jsonnet\"));");
    lab.combu(&["script", "sweep.rhai"]).code(0);
    let last = lab.runs().into_iter().max_by_key(|run| started(run)).unwrap();
    let sources = Provenance::read(&last).unwrap().unwrap().sources;
    assert_eq!(sources.len(), 3, "{:?}", sources.keys());
}

#[test]
fn what_is_not_ours_survives_every_verb_though_it_has_a_trials_name() {
    let Some(lab) = docker_lab("[{name: '@ours', image: 'IMAGE', cmd: 'true', networks: ['@net']}]") else { return };
    let (container, network) = (lab.own("@ours"), lab.own("@net"));
    let foreign = apart(async {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["true".to_owned()]),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&container).build();
        let api = &lab.daemon.api;
        api.create_network(NetworkCreateRequest { name: network, ..Default::default() }).await.unwrap();
        api.create_container(Some(options), body).await.unwrap().id
    });
    lab.run(&[]).code(2);
    lab.lab.combu(&["kill", "spec.jsonnet"]).code(0);
    lab.lab.combu(&["kill", "--all"]).code(0);
    lab.lab.combu(&["gc", "--older-than", "0s"]).code(0);
    assert_eq!(lab.inspect("@ours").id.unwrap(), foreign);
    assert_eq!(lab.networks(), ["net"]);
    lab.spec("[{name: '@mine', image: 'IMAGE', cmd: 'false', networks: ['@net']}]");
    lab.run(&[]).code(100);
    lab.lab.combu(&["rm", "last"]).code(0);
    assert_eq!(lab.containers().keys().collect::<Vec<_>>(), ["ours"]);
    assert_eq!(lab.networks(), ["net"]);
}

#[test]
fn a_project_that_was_moved_keeps_its_history_and_a_copy_leaves_the_original_alone() {
    let lab = Lab::new();
    let spec = "[{ name: 'p-%d' % i, engine: 'local', cmd: 'true' } for i in std.range(1, 3)]";
    lab.write("old/s.jsonnet", spec);
    let old = lab.path("old");
    std::fs::create_dir(old.join(".git")).unwrap();
    let within = |folder: &str, args: &[&str]| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_combu"));
        let output = command.current_dir(lab.path(folder)).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    assert_eq!(within("old", &["run", "s.jsonnet"]).0, Some(0));
    std::fs::rename(&old, lab.path("new")).unwrap();
    let (code, said) = within("new", &["run", "s.jsonnet", "--resume"]);
    assert!(code == Some(0) && said.contains("3 trials succeeded before"), "{said}");
    // With the next run the new place is recorded.
    assert_eq!(within("new", &["run", "s.jsonnet"]).0, Some(0));
    let (code, said) = within("new", &["ls", "-f", "s.jsonnet"]);
    assert!(code == Some(0) && said.lines().count() >= 3 && !said.contains("old"), "{said}");

    assert!(
        std::process::Command::new("cp")
            .args(["-r"])
            .arg(lab.path("new"))
            .arg(lab.path("copy"))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(within("copy", &["ls"]).0, Some(0));
    assert_eq!(within("copy", &["results", "last"]).0, Some(0));
    let original = lab.path("new").canonicalize().unwrap().join(".combu").display().to_string();
    for refused in [&["run", "s.jsonnet"][..], &["rm", "last"], &["kill", "s.jsonnet"]] {
        let (code, said) = within("copy", refused);
        assert!(code != Some(0) && said.replace("\n  ", " ").contains(&original), "{refused:?} {code:?} {said}");
    }
    std::fs::remove_dir_all(lab.path("new")).unwrap();
    assert_eq!(within("copy", &["run", "s.jsonnet"]).0, Some(0), "what is alone is no copy");
}
