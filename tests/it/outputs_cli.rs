//! What is copied out of local trials, as users meet it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::harness::{Lab, named, steady};

/// The outputs of the first result, each as its path and bytes.
fn outputs(result: &Value) -> Vec<String> {
    let files = result["results"][0]["outputs"].as_array().unwrap_or_else(|| panic!("no outputs: {result}"));
    files.iter().map(|file| format!("{} {}", file["path"].as_str().unwrap(), file["bytes"])).collect()
}

#[test]
fn outputs_of_a_local_trial_lie_in_its_folder_with_what_they_hold_on_record() {
    let lab = Lab::with(
        r#"[{name: 'train', engine: 'local', workdir: 'work', outputs: ['out', './log.txt', 'none'], cmd: ['sh', '-c', |||
            mkdir -p out/sub && printf abc > out/sub/model && chmod 4751 out/sub/model
            ln -s sub/model out/latest && ln -s /etc/passwd out/passwd && ln -s ../../.. out/up && mkfifo out/pipe
            echo hi > log.txt; echo yes > told; echo ::combu artifact told; exit 3
        |||]}]"#,
    );
    lab.write("work/keep", "");
    let result = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(100).json();
    assert_eq!(outputs(&result), ["log.txt 3", "out/latest 0", "out/passwd 0", "out/sub/model 3", "told 4"]);
    let model = &result["results"][0]["outputs"][3];
    assert_eq!(model["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let folder = lab.only_run().join("train/outputs");
    assert_eq!(result["results"][0]["outputs_folder"], json!(folder));
    assert_eq!(lab.read(folder.join("out/latest")), "abc");
    assert_eq!(fs::metadata(folder.join("out/sub/model")).unwrap().permissions().mode() & 0o7777, 0o751);
    // What an absolute link named would lie beside it, had it been asked for.
    assert_eq!(fs::read_link(folder.join("out/passwd")).unwrap().to_str(), Some("../etc/passwd"));
    let _steady = steady(&lab);
    let warnings: Vec<_> = result["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(warnings[0], "`train` left nothing to collect at `none`");
    assert!(
        warnings[1].starts_with("of the outputs of `train`, 2 things were left out; the first: `out/"),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let events = lab.events();
    let place = |name: &str| events.iter().position(|event| event["event"] == name).unwrap();
    assert!(place("outputs-collected") < place("attempt-ended"));
    assert_eq!(named(&events, "outputs-collected").len(), 1);
}

#[test]
fn a_hook_and_a_dependant_find_the_outputs_of_what_has_ended() {
    let lab = Lab::new();
    lab.write(
        "sweep.rhai",
        r#"
        let spec = experiment("sweep", [
            #{ name: "train", engine: "local", cmd: ["sh", "-c", "mkdir -p o; printf abcd > o/model"], outputs: ["o"] },
            #{ name: "eval", engine: "local", cmd: ["sh", "-c", "cat .combu/runs/*/train/outputs/o/model"],
               depends: [#{ trial: "train", condition: "completed" }] },
        ]);
        let r = run(spec, #{ on_complete: |t| {
            for file in t.outputs { print(`${t.name}: ${file.path} ${file.bytes} ${file.sha256.len()}`); }
            if t.name == "train" { print(t.outputs_folder.ends_with("/train/outputs")); }
        } });
        print(r["eval"].stdout); print(r["eval"].outputs); print(r["eval"].outputs_folder);
        "#,
    );
    let said = lab.combu(&["script", "sweep.rhai"]).code(0);
    insta::assert_snapshot!(said.stdout, @"
    train: o/model 4 64
    true
    abcd
    []

    ");
}

#[test]
fn what_cannot_be_collected_is_told_before_anything_starts() {
    let lab = Lab::with("[{name: 'one', engine: 'local', cmd: 'true', outputs: ['/', '', '../up', '/out']}]");
    insta::assert_snapshot!(lab.combu(&["plan", "spec.jsonnet"]).code(2).stderr, @r#"
    error: the spec `spec.jsonnet` is not valid
      [0].outputs[0]: `/` is no path to collect: name a file or folder, such as "/out/model"
      [0].outputs[1]: an empty string
      [0].outputs[2]: `../up` is no path to collect: name a file or folder, such as "/out/model"
    "#);
}

#[test]
fn a_project_that_is_collected_does_not_hold_its_own_runs() {
    let lab = Lab::with("[{name: 'one', engine: 'local', cmd: 'true', outputs: []}]");
    let whole = lab.path("").display().to_string();
    lab.write("spec.jsonnet", &format!("[{{name: 'one', engine: 'local', cmd: 'true', outputs: ['{whole}']}}]"));
    lab.write("data", "x");
    let result = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(0).json();
    let found = outputs(&result);
    assert!(found.iter().any(|file| file.ends_with("/data 1")), "{found:?}");
    assert!(!found.iter().any(|file| file.contains("/.combu/runs/")), "{found:?}");
}

#[test]
fn outputs_that_the_disk_does_not_take_are_a_warning_and_leave_nothing_half() {
    let lab = Lab::with("[{name: 'one', engine: 'local', cmd: 'true', outputs: ['a', 'b', 'c']}]");
    lab.write("a", "x");
    lab.write("b", &"y".repeat(3 << 20));
    lab.write("c", "z");
    let result = lab.combu_that_may_write_little(&["run", "spec.jsonnet", "-o", "json"]).code(1).json();
    assert_eq!(outputs(&result), ["a 1"]);
    assert_eq!(result["warnings"], json!(["the outputs of `one` are not complete: File too large (os error 27)"]));
    assert!(!lab.only_run().join("one/outputs/b").exists());
}

#[test]
fn outputs_are_sent_to_a_folder_as_they_are_to_a_bucket() {
    let lab = Lab::with(
        "{name: 'sweep/1', outputs_to: 'file://' + std.extVar('to'), trials: [
            {name: name, engine: 'local', outputs: [name], cmd: ['sh', '-c', 'echo $COMBU_TRIAL > ' + name + '; exit ' + code]}
            for name in ['good', 'bad'] for code in [if name == 'bad' then '1' else '0']]}",
    );
    let to = lab.path("far/away").display().to_string();
    let result = lab.combu(&["run", "spec.jsonnet", "-V", &format!("to={to}"), "-o", "json"]).code(100).json();
    let run = result["run"].as_str().unwrap();
    for trial in ["good", "bad"] {
        assert_eq!(lab.read(format!("far/away/sweep%2F1/{run}/{trial}/{trial}")), format!("{trial}\n"));
    }
    assert_eq!(result["results"][0]["outputs_url"], json!(format!("file://{to}/sweep%2F1/{run}/good/")));
    assert_eq!(result["warnings"], json!([]));
}

#[test]
fn a_place_that_cannot_be_sent_to_is_told_before_anything_starts() {
    let lab = Lab::with("[{name: 'one', engine: 'local', cmd: 'touch started', outputs: ['started']}]");
    let said = |url: &str| {
        let said = lab.combu(&["run", "spec.jsonnet", "--outputs-to", url]).code(2).stderr;
        said.lines().next().unwrap_or_default().to_owned()
    };
    lab.write("file", "");
    let below_a_file = format!("file://{}", lab.path("file/below").display());
    let _steady = steady(&lab);
    insta::assert_snapshot!([said("gs://lab"), said("s3://"), said("file://here"), said(&below_a_file)].join("\n"), @"
    error: invalid value 'gs://lab' for '--outputs-to <URL>': `gs://lab` cannot be sent to: `gs` is not a known scheme: write `s3://bucket/prefix` or `file:///folder`
    error: invalid value 's3://' for '--outputs-to <URL>': `s3://` names no bucket: write `s3://bucket/prefix` or `file:///folder`
    error: invalid value 'file://here' for '--outputs-to <URL>': `file://here` names no absolute path: write `s3://bucket/prefix` or `file:///folder`
    error: outputs cannot be sent to `file://[LAB]/file/below`: Not a directory (os error 20)
    ");
    assert!(!lab.path("started").exists() && lab.runs().is_empty());
    lab.write("spec.jsonnet", "{outputs_to: 'ftp://x', trials: [{name: 'one', engine: 'local', cmd: 'true'}]}");
    insta::assert_snapshot!(lab.combu(&["run", "spec.jsonnet"]).code(2).stderr, @"
    error: the spec `spec.jsonnet` is not valid
      outputs_to: `ftp://x` cannot be sent to: `ftp` is not a known scheme: write `s3://bucket/prefix` or `file:///folder`
    ");
}
