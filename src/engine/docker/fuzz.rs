//! Fuzz targets: whatever the daemon answers, and whatever stands in the files of Docker's command line, as far as combu
//! reads it itself. The answers' own form is bollard's.

use std::fs;
use std::time::UNIX_EPOCH;

use bollard::errors::Error;
use bollard::models::{ContainerState, ContainerSummary, CreateImageInfo};

use crate::engine::docker::convert::{device_mapping, is_cdi};
use crate::engine::docker::image::{Layers, Reference};
use crate::engine::docker::memory::time;
use crate::engine::docker::wait::{exit, is_running, lasted};
use crate::engine::docker::{call, connect, credentials, survey};
use crate::fuzz::{check, texts};

#[test]
fn answers_of_the_daemon() {
    let told = texts(&["json"]).filter(|text| text.len() < 4000 && text.contains([':', '/', '"']));
    let answers = [
        r#"{"Id":"0123","Names":["/a1"],"State":"running","Labels":{"combu.run":"r1","combu.trial":"a1","combu.attempt":"1","combu.stop_grace":"1.5"}}"#,
        r#"{"Status":"exited","ExitCode":137,"OOMKilled":true,"StartedAt":"2026-01-01T00:00:00.5Z","FinishedAt":"2026-01-01T09:00:02+09:00"}"#,
        r#"{"id":"0123","status":"Pull complete","progressDetail":{"current":1,"total":2}}"#,
    ];
    check(told.chain(answers.map(str::to_owned)), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Some(reference) = Reference::parse(text) {
            assert_eq!(
                Reference::parse(&reference.canonical()).map(|again| again.canonical()),
                Some(reference.canonical())
            );
        }
        assert!(time(Some(text)).is_none_or(|time| time >= UNIX_EPOCH));
        let device = device_mapping(text);
        assert!(device.path_on_host.is_some_and(|host| text.starts_with(&host)) && device.path_in_container.is_some());
        assert!(!is_cdi(text) || text.contains('='));
        for status_code in [404, 409, 500] {
            let error = Error::DockerResponseServerError { status_code, message: text.to_owned() };
            let _ = (call::is_shortage(&error), call::is_refusal(&error), call::is_uncertain(&error));
            assert!(call::message(&error).len() <= text.len() + 80);
            let _ = call::failure("unix:///docker.sock", "look", error).to_string();
        }
        let mut layers = Layers::default();
        for line in text.lines() {
            if let Ok(info) = serde_json::from_str::<CreateImageInfo>(line) {
                let _ = layers.add(&info);
            }
        }
        assert!(layers.to_string().starts_with("pulling, "));
        if let Ok(state) = serde_json::from_str::<ContainerState>(text) {
            let _ = (exit(&state), is_running(&state), lasted(&state));
        }
        if let Ok(container) = serde_json::from_str::<ContainerSummary>(text) {
            assert!(survey::names(&container).all(|name| !name.contains('/')));
            if let Some(found) = survey::found(container) {
                let _ = (found.attempt(), found.stop_grace());
            }
        }
    });
}

#[test]
fn files_of_dockers_command_line() {
    thread_local!(static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap());
    let seeds = [
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6c2VjOnJldA=="},"box:5000":{"username":"a","password":"b"}},"currentContext":"lab"}"#,
        r#"{"auths":{"box:5000":{"auth":"","identitytoken":"t"},"bad":{"auth":"?"}},"credsStore":""}"#,
        r#"{"Name":"lab","Endpoints":{"docker":{"Host":"unix:///x.sock"}}}"#,
    ];
    check(seeds, |input| {
        let folder = FOLDER.with(|folder| folder.path().to_owned());
        fs::write(folder.join("config.json"), input).unwrap();
        fs::create_dir_all(folder.join("contexts/meta/0123")).unwrap();
        fs::write(folder.join("contexts/meta/0123/meta.json"), input).unwrap();
        let context = connect::current_context(&folder);
        assert!(context.is_none_or(|name| !name.is_empty()));
        let _ = connect::context_address(Some(&folder), "lab").map_err(|error| error.to_string());
        // Helpers are programs, and none is to be started here.
        if !String::from_utf8_lossy(input).contains(['\\']) && !input.windows(4).any(|part| part == b"cred") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for registry in ["docker.io", "box:5000"] {
                let _ = runtime.block_on(credentials::find(Some(&folder), registry));
            }
        }
    });
}
