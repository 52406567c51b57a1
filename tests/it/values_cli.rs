//! Values that are passed on to trials and written down nowhere: `pass_env`, `env_file`, the list form of `env`, and a bare
//! `--ext-str NAME`.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::docker_lab::docker_lab;
use crate::harness::{Lab, Said, named};

/// What is passed on; trials show it in letters, so that their logs do not hold it.
const TOKEN: &str = "5318008531";
const FROM_FILE: &str = "7734077340";
const SHOWN: &str = r#"echo "$TOKEN $KEY $OWN" | tr 0-9 a-j"#;
const LETTERS: &str = "fdbiaaifdb hhdeahhdea bc\n";

/// Fails where a file below the folder, or what combu said, holds a value.
#[track_caller]
fn assert_unwritten(folder: &Path, said: &[&Said]) {
    let holds = |bytes: &[u8]| {
        [TOKEN, FROM_FILE].iter().any(|value| bytes.windows(value.len()).any(|part| part == value.as_bytes()))
    };
    let (mut folders, mut files) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files += 1;
                assert!(!holds(&fs::read(&path).unwrap()), "{} holds a value", path.display());
            }
        }
    }
    assert!(files > 3, "there is something to look into");
    for said in said {
        assert!(!holds(said.stdout.as_bytes()) && !holds(said.stderr.as_bytes()), "{said:?}");
    }
}

fn spec(engine: &str) -> String {
    format!(
        "{{engine: '{engine}', defaults: {{env: ['TOKEN', 'OWN=1'], env_file: 'lab.env'}}, trials: [
            {{name: '@one', image: 'IMAGE', cmd: ['sh', '-c', std.extVar('shown')], env: {{OWN: '12'}}NETWORKS}}]}}"
    )
}

fn lab(spec: &str) -> Lab {
    let mut lab = Lab::with(spec);
    lab.write("lab.env", &format!("# of the lab\nKEY={FROM_FILE}\nTOKEN=from the file\n"));
    lab.set("TOKEN", TOKEN);
    lab.set("shown", SHOWN);
    lab
}

#[test]
fn values_reach_a_local_trial_and_no_file_or_report_of_combu() {
    let lab = lab(&spec("local").replace('@', "").replace("NETWORKS", ""));
    let ext = ["--ext-str", "shown"];
    let plan = lab.combu(&[&["plan", "spec.jsonnet"][..], &ext].concat()).code(0);
    let plan_json = lab.combu(&[&["plan", "spec.jsonnet", "-o", "json"][..], &ext].concat()).code(0);
    let trial = &plan_json.json()["trials"][0];
    assert_eq!(trial["pass_env"], serde_json::json!(["TOKEN"]));
    assert_eq!(trial["env"], serde_json::json!({"OWN": "12"}));
    let run = lab.combu(&[&["run", "spec.jsonnet", "-o", "json", "--progress", "plain"][..], &ext].concat()).code(0);
    assert_eq!(lab.log("one"), LETTERS);
    let looks: Vec<_> =
        [&["show", "-o", "json"][..], &["show", "one"], &["ls", "-o", "json"], &["results", "-o", "json"]]
            .iter()
            .map(|look| lab.combu(look).code(0))
            .collect();
    let said: Vec<&Said> = [&plan, &plan_json, &run].into_iter().chain(&looks).collect();
    assert_unwritten(&lab.path(".combu"), &said);
    // What is passed on by name is recorded by name, in the command line too.
    let record = lab.read(lab.only_run().join("run.json"));
    assert!(record.contains(r#""shown""#) && !record.contains("tr 0-9"), "{record}");
    // Other values are no difference.
    let mut lab = lab;
    lab.set("TOKEN", "1");
    let again = lab.combu(&[&["run", "spec.jsonnet", "--resume"][..], &ext].concat());
    assert!(again.stderr.contains("nothing to do: 1 trial succeeded before, unchanged since"), "{}", again.stderr);
}

#[test]
fn values_reach_a_container_and_no_file_or_report_of_combu() {
    let Some(mut lab) = docker_lab(
        &spec("docker")
            .replace("NETWORKS", ", networks: ['@net']")
            .replace("std.extVar('shown')", &format!("'{SHOWN}'")),
    ) else {
        return;
    };
    lab.lab.write("lab.env", &format!("KEY={FROM_FILE}\nTOKEN=from the file\n"));
    lab.lab.set("TOKEN", TOKEN);
    let said = lab.run(&["--progress", "json"]).code(0);
    assert_eq!(lab.lab.log(&lab.own("@one")), LETTERS);
    assert_unwritten(&lab.lab.path(".combu"), &[&said]);
    lab.assert_empty();
}

#[test]
fn a_value_that_cannot_be_had_is_told_before_anything_starts() {
    let lab = Lab::with(
        "[{name: 'free', engine: 'local', cmd: 'touch began', workdir: '.'},
          {name: 'one', engine: 'local', cmd: 'true', pass_env: ['TOKEN'], env_file: 'none.env'},
          {name: 'two', engine: 'local', cmd: 'true', env: ['TOKEN']}]",
    );
    let said = lab.combu(&["run", "spec.jsonnet"]).code(2);
    let shown = said.stderr.replace(&lab.path("").canonicalize().unwrap().display().to_string(), "[LAB]");
    insta::assert_snapshot!(shown, @"
    error: values that are to be passed on to trials cannot be had; nothing was started
      trial `one`: its `env_file` `[LAB]/none.env` cannot be read: No such file or directory (os error 2)
        write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
      trial `one`: `TOKEN` is to be passed on, and is not set in the environment of combu
        set it (`export TOKEN=..`), or take it out of `pass_env`
    ");
    assert!(!lab.path("began").exists() && lab.runs().is_empty());
    let plan = lab.combu(&["plan", "spec.jsonnet"]).code(2);
    assert!(plan.stdout.contains("3 trials") && plan.stderr.contains("`TOKEN` is to be passed on"), "{plan:?}");
    lab.write("s.rhai", "run([trial(#{ name: \"one\", engine: \"local\", cmd: \"true\", env: [\"TOKEN\"] })]);");
    let script = lab.combu(&["script", "s.rhai"]).code(2);
    assert!(
        script.stderr.contains("nothing was started: trial `one`: `TOKEN` is to be passed on"),
        "{}",
        script.stderr
    );
}

#[test]
fn values_are_read_again_when_a_run_goes_on() {
    let mut lab = lab(
        "[{name: 'one', engine: 'local', cmd: ['sh', '-c', 'echo $$ > ready; exec sleep 600'], workdir: '.'},
          {name: 'two', engine: 'local', cmd: ['sh', '-c', 'echo \"$TOKEN $KEY 12\" | tr 0-9 a-j; exit $CODE'],
           env_file: 'lab.env', pass_env: ['TOKEN', 'CODE'], depends: [{trial: 'zero', condition: 'completed'}]},
          {name: 'zero', engine: 'local', cmd: ['sh', '-c', 'test -e go || { echo $$ > ready; exec sleep 600; }'], workdir: '.'}]",
    );
    lab.set("CODE", "3");
    lab.pipe("ready");
    let live = lab.start(&["run", "spec.jsonnet", "-j", "1", "--progress", "none"]);
    lab.hear("ready");
    live.signal(Signal::KILL);
    live.end();
    fs::remove_file(lab.path("ready")).unwrap();
    lab.write("go", "");
    lab.write("ready", "");
    let file = lab.read("lab.env");
    fs::remove_file(lab.path("lab.env")).unwrap();
    let said = lab.combu(&["resume"]).code(2);
    assert!(said.stderr.contains("lab.env` cannot be read: No such file"), "{}", said.stderr);
    lab.write("lab.env", &file);
    let resumed = lab.start(&["resume", "-j", "2", "--progress", "json"]);
    let mut resumed = resumed;
    resumed.event("trial-ended", "two");
    resumed.signal(Signal::INT);
    let said = resumed.end().code(130);
    assert_eq!(named(&said.events(), "trial-ended").len(), 3);
    assert_eq!(lab.log("two"), LETTERS);
    // `rerun` needs them again, too.
    lab.set("CODE", "0");
    lab.combu(&["rerun", "last", "two", "--progress", "none"]).code(5);
    let without: Vec<_> = ["env", "-u", "TOKEN", env!("CARGO_BIN_EXE_combu"), "rerun", "last", "two"].to_vec();
    let said = lab.command(without[0]).args(&without[1..]).output().unwrap();
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    assert_unwritten(&lab.path(".combu"), &[]);
}

#[test]
fn a_script_passes_values_on_to_trials_it_starts_and_submits() {
    let lab = lab("[]");
    lab.write(
        "s.rhai",
        &format!(
            "let one = trial(#{{ name: \"one\", engine: \"local\", cmd: [\"sh\", \"-c\", `{SHOWN}`], env: [\"TOKEN\", \"OWN=12\"],
                env_file: \"lab.env\" }});
             print(one.pass_env); print(one.env);
             let live = start(experiment(\"two\", [one]));
             let more = one.changed(#{{ name: \"more\" }});
             live.submit(more);
             try {{ live.submit(one.changed(#{{ name: \"none\", pass_env: [\"UNSET\"] }})); }} catch (e) {{ print(e); }}
             live.wait();"
        ),
    );
    let said = lab.combu(&["script", "s.rhai", "--progress", "none"]).code(0);
    insta::assert_snapshot!(said.stdout, @r#"
    ["TOKEN"]
    #{"OWN": "12"}
    trial `none`: `UNSET` is to be passed on, and is not set in the environment of combu
    "#);
    assert_eq!((lab.log("one"), lab.log("more")), (LETTERS.to_owned(), LETTERS.to_owned()));
    assert_unwritten(&lab.path(".combu"), &[&said]);
}
