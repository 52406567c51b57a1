//! What is copied out of containers, on a real daemon.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use rustix::process::{Signal, getuid};
use serde_json::{Value, json};

use crate::docker_lab::{DockerLab, docker_lab};

impl DockerLab {
    /// A path below the outputs of a trial of the only run.
    fn output(&self, trial: &str, below: &str) -> PathBuf {
        self.lab.only_run().join(self.own(trial)).join("outputs").join(below)
    }
}

/// The outputs of a result, by its place in the spec.
fn paths(result: &Value, place: usize) -> Vec<&str> {
    let files = result["results"][place]["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    files.iter().map(|file| file["path"].as_str().unwrap()).collect()
}

#[test]
fn outputs_come_out_however_a_container_ended_and_what_is_missing_is_told() {
    let Some(lab) = docker_lab(
        "local trial(name, line) = { name: name, image: 'IMAGE', networks: ['none'], outputs: ['/out', '/none'],
                                     cmd: ['sh', '-c', 'mkdir /out; echo ' + name + ' > /out/a; ' + line] };
         [trial('@fine', 'true'), trial('@bad', 'exit 3'), trial('@late', 'sleep 600') + { timeout: '1s', stop_grace: 0 },
          trial('@again', '[ $COMBU_ATTEMPT = 2 ] || { touch /out/old; exit 1; }') + { retries: 1 },
          { name: '@relative', image: 'IMAGE', networks: ['none'], workdir: '/tmp', outputs: ['x/y', '/tmp/x/.'],
            cmd: ['sh', '-c', 'mkdir x; echo z > x/y; echo ::combu artifact x/../told; echo told > told'] }]",
    ) else {
        return;
    };
    let result = lab.run(&["-o", "json"]).code(100).json();
    for (place, trial) in ["@fine", "@bad", "@late", "@again"].into_iter().enumerate() {
        assert_eq!(paths(&result, place), ["out/a"], "{result}");
        assert_eq!(fs::read_to_string(lab.output(trial, "out/a")).unwrap().trim(), lab.own(trial));
    }
    assert!(!lab.output("@again", "out/old").exists(), "the last attempt's outputs replace those before");
    assert_eq!(paths(&result, 4), ["tmp/x/y", "told", "x/y"]);
    let warnings = result["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    for trial in ["@fine", "@bad", "@late", "@again"] {
        let told = json!(lab.own(&format!("`{trial}` left nothing to collect at `/none`")));
        assert!(warnings.contains(&told), "{warnings:?}");
    }
    // Those that succeeded are gone once their outputs are here.
    assert_eq!(lab.containers().keys().collect::<Vec<_>>(), ["bad", "late"]);
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn outputs_are_the_callers_own_with_their_modes_and_links() {
    let Some(lab) = docker_lab(
        "[{name: '@odd', image: 'IMAGE', networks: ['none'], outputs: ['/out', '/data', '/link'], volumes: ['./data:/data'],
           cmd: ['sh', '-c', |||
            mkdir -p /out/sub; echo a > /out/sub/a; chmod 6751 /out/sub/a; chown 4711:4711 /out/sub/a; ln /out/sub/a /out/b
            echo secret > /out/sub/closed; chmod 0 /out/sub/closed; chmod 500 /out/sub
            ln -s sub/a /out/inward; ln -s /out/sub /out/absolute; ln -s ../../../../etc/passwd /out/outward; ln -s out /link
            mkfifo /out/pipe; mknod /out/null c 1 3; echo mounted > /data/m
            head -c 50000000 /dev/zero > /out/large
         |||]}]",
    ) else {
        return;
    };
    fs::create_dir(lab.lab.path("data")).unwrap();
    let result = lab.run(&["-o", "json"]).code(0).json();
    let all = ["data/m", "link", "out/absolute", "out/b", "out/inward", "out/large", "out/sub/a", "out/sub/closed"];
    assert_eq!(paths(&result, 0), all);
    for path in all {
        let found = fs::symlink_metadata(lab.output("@odd", path)).unwrap();
        assert_eq!(found.uid(), getuid().as_raw(), "{path}");
    }
    let mode = |path: &str| fs::metadata(lab.output("@odd", path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(["out/sub/a", "out/b", "out/sub", "out/sub/closed"].map(mode), [0o751, 0o751, 0o700, 0o400]);
    for link in ["out/inward", "out/absolute/a", "link/b"] {
        assert_eq!(fs::read_to_string(lab.output("@odd", link)).unwrap(), "a\n", "{link}");
    }
    let large = &result["results"][0]["outputs"][5];
    assert_eq!(large["bytes"], 50_000_000);
    assert_eq!(large["sha256"], "ab46920a3bcd0891d34367719808bc3f832e4968ddfbfb464d093e306d2275ad");
    assert_eq!(fs::metadata(lab.output("@odd", "out/large")).unwrap().len(), 50_000_000);
    let warning = result["warnings"][0].as_str().unwrap();
    assert!(warning.contains("3 things were left out"), "{warning}");
    assert_eq!(result["warnings"].as_array().unwrap().len(), 1);
    lab.assert_empty();
}

#[test]
fn a_combu_that_goes_on_collects_what_another_left() {
    let Some(lab) = docker_lab(
        "[{name: '@train', image: 'IMAGE', networks: ['none'], outputs: ['/out'], volumes: ['./flag:/flag'], cmd: ['sh', '-c', |||
            mkdir /out; echo started
            while [ ! -e /flag/go ]; do sleep 0.05; done
            echo done > /out/a
        |||]}]",
    ) else {
        return;
    };
    let live = lab.start_until("@train");
    live.signal(Signal::KILL);
    live.end();
    lab.lab.write("flag/go", "");
    let result = lab.lab.combu(&["resume", "-o", "json"]).code(0).json();
    assert_eq!((paths(&result, 0), &result["results"][0]["attempts"]), (vec!["out/a"], &json!(1)));
    assert_eq!(fs::read_to_string(lab.output("@train", "out/a")).unwrap(), "done\n");
    lab.assert_empty();
}

#[test]
fn a_container_whose_outputs_do_not_fit_on_the_disk_is_kept() {
    let Some(lab) = docker_lab(
        "[{name: '@large', image: 'IMAGE', networks: ['none'], outputs: ['/out'],
           cmd: ['sh', '-c', 'mkdir /out; echo a > /out/a; head -c 9m /dev/zero > /out/b']}]",
    ) else {
        return;
    };
    let said = lab.lab.combu_that_may_write_little(&["run", "spec.jsonnet", "-o", "json"]);
    let result = said.code(1).json();
    let warnings = [
        "the outputs of `@large` are not complete: File too large (os error 27); its container has them, and they are fetched when there is room",
        "logs or outputs of `@large` could not be fetched from its container, which stays: File too large (os error 27); `combu resume` tries again",
    ];
    assert_eq!(result["warnings"], json!(warnings.map(|warning| lab.own(warning))));
    assert!(!lab.output("@large", "out/b").exists());
    assert_eq!(lab.containers().get("large").map(String::as_str), Some("exited"));
    lab.kill().code(0);
    assert_eq!(fs::metadata(lab.output("@large", "out/b")).unwrap().len(), 9 << 20);
    lab.assert_empty();
}
