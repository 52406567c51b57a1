//! What the Docker engine asks a daemon for when a trial gets GPUs: the same as `docker run`, byte for byte.
//!
//! No GPU is needed: a stand-in on a socket of its own answers as a daemon does, up to the create call, and keeps what
//! it was asked. The bodies of `docker run` below were recorded in the same way, from the Docker CLI 28.2.2.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use combu::engine::docker::Docker;
use combu::engine::{Engine, Launch};
use combu::model::label;
use combu::model::name::{Name, RunId};
use combu::model::trial::Trial;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// `docker run --gpus '"device=1"'`
const ONE: &str =
    r#""DeviceRequests":[{"Driver":"","Count":0,"DeviceIDs":["1"],"Capabilities":[["gpu"]],"Options":{}}]"#;
/// `docker run --gpus '"device=0,2"'`
const TWO: &str =
    r#""DeviceRequests":[{"Driver":"","Count":0,"DeviceIDs":["0","2"],"Capabilities":[["gpu"]],"Options":{}}]"#;
/// `docker run --device nvidia.com/gpu=0 --device nvidia.com/gpu=1`
const CDI: &str = r#""DeviceRequests":[{"Driver":"cdi","Count":0,"DeviceIDs":["nvidia.com/gpu=0","nvidia.com/gpu=1"],"Capabilities":null,"Options":null}]"#;
/// `docker run --gpus '"device=1"' --device nvidia.com/gpu=0`
const BOTH: &str = r#""DeviceRequests":[{"Driver":"","Count":0,"DeviceIDs":["1"],"Capabilities":[["gpu"]],"Options":{}},{"Driver":"cdi","Count":0,"DeviceIDs":["nvidia.com/gpu=0"],"Capabilities":null,"Options":null}]"#;

/// What combu asks for, given those GPUs.
async fn asked(gpus: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let body = Arc::new(Mutex::new(String::new()));
    let kept = body.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(answer(client, kept.clone()));
        }
    });
    let docker = Docker::connect_to(&format!("unix://{}", socket.display())).await.unwrap();
    let mut trial = Trial::new(Name::parse("trial").unwrap());
    trial.image = Some("image".to_owned());
    let launch = Launch {
        run: RunId::from("gpus00000run"),
        trial: Arc::new(trial.into()),
        attempt: 1,
        content: None,
        cores: Vec::new(),
        gpus: gpus.iter().map(|id| (*id).to_owned()).collect(),
        folder: None,
        env: Vec::new(),
        passed: Vec::new(),
        params: None,
        labels: BTreeMap::from([(label::TRIAL.to_owned(), "trial".to_owned())]),
    };
    // The stand-in starts nothing.
    docker.start(&launch).await.unwrap_err();
    let body = body.lock().unwrap();
    assert!(body.contains(r#""Image":"image""#), "{body}");
    requests(&body)
}

/// Answers one call.
async fn answer(client: UnixStream, body: Arc<Mutex<String>>) {
    let mut client = BufReader::new(client);
    let (mut line, mut length) = (String::new(), 0);
    client.read_line(&mut line).await.unwrap();
    loop {
        let mut header = String::new();
        client.read_line(&mut header).await.unwrap();
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut sent = vec![0; length];
    client.read_exact(&mut sent).await.unwrap();
    let (status, text) = match line.split(['?', ' ']).nth(1).unwrap_or_default() {
        path if path.ends_with("/version") => {
            ("200 OK", r#"{"Version":"28.2.2","ApiVersion":"1.50","MinAPIVersion":"1.24"}"#)
        }
        path if path.ends_with("/info") => ("200 OK", r#"{"NCPU":2,"MemTotal":1073741824,"ServerVersion":"28.2.2"}"#),
        path if path.ends_with("/containers/create") => {
            *body.lock().unwrap() = String::from_utf8(sent).unwrap();
            ("201 Created", r#"{"Id":"c0ffee","Warnings":[]}"#)
        }
        _ if line.starts_with("DELETE") => ("204 No Content", ""),
        _ => ("500 Internal Server Error", r#"{"message":"this is no daemon"}"#),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    client.write_all(format!("{head}{text}").as_bytes()).await.unwrap();
}

/// The part of a create body that asks for devices, as it stands there.
fn requests(body: &str) -> String {
    let Some(start) = body.find(r#""DeviceRequests":"#) else { return String::new() };
    let mut depth = 0;
    for (at, byte) in body[start..].bytes().enumerate() {
        depth += i32::from(byte == b'[') - i32::from(byte == b']');
        if byte == b']' && depth == 0 {
            return body[start..=start + at].to_owned();
        }
    }
    panic!("no end of the list: {body}");
}

/// What a daemon reads the same: where the Docker CLI writes `null`, combu writes nothing.
fn without_nulls(recorded: &str) -> String {
    recorded.replace(r#","Capabilities":null,"Options":null"#, "")
}

#[tokio::test]
async fn gpus_are_asked_for_as_docker_run_asks() {
    assert_eq!(asked(&["1"]).await, ONE);
    assert_eq!(asked(&["0", "2"]).await, TWO);
    assert_eq!(asked(&["GPU-3a2b"]).await, ONE.replace(r#""1""#, r#""GPU-3a2b""#));
}

#[tokio::test]
async fn gpus_with_cdi_names_are_asked_for_as_docker_run_asks() {
    assert_eq!(asked(&["nvidia.com/gpu=0", "nvidia.com/gpu=1"]).await, without_nulls(CDI));
    assert_eq!(asked(&["nvidia.com/gpu=0", "1"]).await, without_nulls(BOTH));
}

#[tokio::test]
async fn without_gpus_none_are_asked_for() {
    assert_eq!(asked(&[]).await, "");
}
