//! What is done when a run has ended: webhooks, commands and mails, as users meet them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{LIMIT, Lab, eventually};

/// A service that takes messages, and answers each with that status.
struct Chat {
    address: String,
    heard: Receiver<Value>,
}

impl Chat {
    fn new(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while line.trim() != "" || length == 0 {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 7\r\nConnection: close\r\n\r\nanswer\n");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
                // The test that listened may be over.
                let _over = sender.send(serde_json::from_slice(&body).unwrap());
            }
        });
        Self { address, heard }
    }

    fn message(&self) -> Value {
        self.heard.recv_timeout(LIMIT).expect("a message")
    }
}

const SPEC: &str = r#"{
  goal: 'min loss', on_end: std.parseJson(std.extVar('ends')),
  trials: [
    {name: 'good', engine: 'local', params: {lr: 0.1}, cmd: ['sh', '-c', 'echo ::combu metric loss=0.5']},
    {name: 'bad', engine: 'local', cmd: ['sh', '-c', 'exit 3']},
  ],
}"#;

fn run(lab: &Lab, ends: &Value, more: &[&str]) -> crate::harness::Said {
    let ends = format!("ends={ends}");
    lab.combu(&[&["run", "spec.jsonnet", "--ext-str", &ends], more].concat())
}

/// Puts a program into the lab's folder, which is on the path from now on.
fn put(lab: &mut Lab, name: &str, text: &str) {
    lab.write(name, text);
    fs::set_permissions(lab.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", lab.path("").display(), std::env::var("PATH").unwrap());
    lab.set("PATH", path);
}

#[test]
fn a_webhook_a_command_and_a_mail_are_told() {
    let chat = Chat::new("200 OK");
    let mut lab = Lab::with(SPEC);
    put(&mut lab, "sendmail", "#!/bin/sh\necho \"$@\" > args; cat > mail\n");
    let command = "env | grep ^COMBU_ | sort > env; cat > details";
    let ends = json!([format!("{}/secret", chat.address), {"command": command}, "mailto:hana@lab"]);
    let said = run(&lab, &ends, &[]).code(100);
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    let message = chat.message();
    let text = message["text"].as_str().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("combu: spec failed on "), "{text}");
    assert!(lines[1].starts_with("2 trials: 1 succeeded, 1 failed in "), "{text}");
    assert_eq!(lines[2..4], ["failed: bad", "best: `good` with loss 0.5 (lr=0.1)"]);
    assert_eq!(message["content"], message["text"]);
    let details = &message["combu"];
    assert_eq!((&details["status"], &details["exit_code"]), (&json!("failed"), &json!(100)));
    assert_eq!((&details["trials"]["failed"], &details["failed"]), (&json!(1), &json!(["bad"])));
    assert_eq!(details["best"], json!({"trial": "good", "metric": "loss", "value": 0.5, "params": {"lr": 0.1}}));
    assert_eq!(serde_json::from_str::<Value>(&lab.read("details")).unwrap(), *details);
    let env = lab.read("env");
    let run = lab.only_run();
    let id = run.file_name().unwrap().display();
    for line in [
        "COMBU_STATUS=failed".to_owned(),
        "COMBU_EXIT_CODE=100".to_owned(),
        format!("COMBU_RUN={id}"),
        format!("COMBU_RUN_FOLDER={}", run.display()),
    ] {
        assert!(env.lines().any(|one| one == line), "{line}: {env}");
    }
    assert_eq!(lab.read("args"), "-t -i\n");
    let mail = lab.read("mail");
    assert!(mail.starts_with("To: hana@lab\nSubject: combu: spec failed on "), "{mail}");
    assert!(mail.ends_with(&format!("\n\n{text}\n")), "{mail}");
}

#[test]
fn some_ends_are_told_only_when_something_failed_and_the_command_line_says_nobody() {
    let lab = Lab::with(SPEC);
    let ends = json!([{"command": "echo failed >> told", "when": "failed"}, {"command": "echo always >> told"}]);
    run(&lab, &ends, &["--trial", "good"]).code(0);
    assert_eq!(lab.read("told"), "always\n");
    run(&lab, &ends, &["--trial", "bad"]).code(100);
    assert_eq!(lab.read("told"), "always\nfailed\nalways\n");
    run(&lab, &ends, &["--on-end", "none"]).code(100);
    run(&lab, &ends, &["--on-end", "echo other >> told"]).code(100);
    assert_eq!(lab.read("told"), "always\nfailed\nalways\nother\n");
}

#[test]
fn whatever_fails_is_a_warning_and_no_failure_of_the_run() {
    let chat = Chat::new("404 Not Found");
    let mut lab = Lab::with(SPEC);
    put(&mut lab, "sendmail", "#!/bin/sh\necho the queue is full >&2; exit 75\n");
    let ends = json!([
        format!("{}/secret", chat.address), "http://127.0.0.1:1/secret", {"webhook": "$NO_SUCH_VARIABLE"},
        "echo what went wrong >&2; exit 7", "mailto:hana@lab",
    ]);
    let said = run(&lab, &ends, &["--trial", "good"]).code(0);
    let warnings: Vec<&str> = said.stderr.lines().filter(|line| line.starts_with("warning:")).collect();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&chat.address.replace('.', "\\."), "http://[CHAT]");
    settings.bind(|| {
        insta::assert_snapshot!(warnings.join("\n"), @"
        warning: `$NO_SUCH_VARIABLE` will not be told of the run's end: the variable `NO_SUCH_VARIABLE` is not set
        warning: the run has ended, and `http://[CHAT]/…` was not told: it answered 404 Not Found: answer
        warning: the run has ended, and `http://127.0.0.1:1/…` was not told: Connection refused (os error 111)
        warning: the run has ended, and `$NO_SUCH_VARIABLE` was not told: the variable `NO_SUCH_VARIABLE` is not set
        warning: the run has ended, and `echo what went wrong >&2; exit 7` failed: exit status: 7: what went wrong
        warning: the run has ended, and `mailto:hana@lab` was not told: exit status: 75: the queue is full
        ")
    });
}

#[test]
fn the_secret_part_of_a_webhook_is_nowhere_and_the_users_file_has_it_again() {
    let chat = Chat::new("200 OK");
    let lab = Lab::with("[{name: 'one', engine: 'local', cmd: ['sh', '-c', 'test -e there']}]");
    let url = format!("{}/s3cr3t?token=s3cr3t", chat.address);
    lab.write(".config/combu/config.toml", &format!("on_end = \"{url}\"\n"));
    let mut said = vec![lab.combu(&["-vv", "run", "spec.jsonnet", "-o", "json"]).code(100)];
    assert_eq!(chat.message()["combu"]["status"], "failed");
    lab.write("there", "");
    said.push(lab.combu(&["rerun", "--failed"]).code(0));
    assert_eq!(chat.message()["combu"]["status"], "succeeded");
    said.push(lab.combu(&["run", "spec.jsonnet", "--on-end", &url]).code(0));
    chat.message();
    said.push(lab.combu(&["show", "-o", "json"]).code(0));
    said.push(lab.combu(&["config"]).code(0));
    said.push(lab.combu(&["config", "-o", "json"]).code(0));
    for said in &said {
        assert!(!said.stdout.contains("s3cr3t") && !said.stderr.contains("s3cr3t"), "{said:?}");
    }
    assert!(said[3].stdout.contains(&format!("{}/…", chat.address)), "{}", said[3].stdout);
    let grep = lab.command("grep").args(["-r", "-l", "s3cr3t", ".combu"]).output().unwrap();
    assert_eq!(String::from_utf8(grep.stdout).unwrap(), "");
    // Without the file, nobody knows it any more.
    fs::remove_file(lab.path(".config/combu/config.toml")).unwrap();
    let stderr = lab.combu(&["rerun", "one"]).code(0).stderr;
    assert!(
        stderr.contains("its address was not recorded, because it is secret: say it again with `--on-end`"),
        "{stderr}"
    );
}

#[test]
fn an_interrupted_run_a_resumed_one_and_one_in_the_background_are_told() {
    let lab = Lab::with(
        "{on_end: 'echo $COMBU_STATUS >> told', trials: [{name: 'one', engine: 'local',
          cmd: ['sh', '-c', 'echo ready; test -e there || exec sleep 1000']}]}",
    );
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "one");
    live.signal(Signal::INT);
    live.end().code(130);
    assert_eq!(lab.read("told"), "interrupted\n");
    lab.write("there", "");
    lab.combu(&["resume"]).code(0);
    assert_eq!(lab.read("told"), "interrupted\nsucceeded\n");
    lab.combu(&["run", "spec.jsonnet", "--detach"]).code(0);
    eventually("the run in the background is told", || lab.read("told") == "interrupted\nsucceeded\nsucceeded\n");
}

#[test]
fn each_run_of_a_script_is_told_and_no_simulated_one() {
    let lab = Lab::new();
    lab.write(
        "two.rhai",
        r#"let e = experiment("two", [#{ name: "one", engine: "local", cmd: "true" }]);
        run(e, #{ on_end: "echo first $COMBU_STATUS >> told" });
        run(e, #{ on_end: #{ command: "echo second >> told" }, on_complete: |t| print(t.name) });"#,
    );
    lab.combu(&["script", "--check", "two.rhai"]).code(0);
    lab.combu(&["script", "two.rhai"]).code(0);
    assert_eq!(lab.read("told"), "first succeeded\nsecond\n");
    lab.combu(&["script", "two.rhai", "--on-end", "echo third >> told"]).code(0);
    assert_eq!(lab.read("told"), "first succeeded\nsecond\nthird\nthird\n");
    lab.combu(&["script", "--simulate", "last", "two.rhai"]).code(0);
    assert_eq!(lab.read("told"), "first succeeded\nsecond\nthird\nthird\n");
}

#[test]
fn what_cannot_be_read_is_told_before_anything_starts() {
    let lab = Lab::with(SPEC);
    let said = |ends: &Value| run(&lab, ends, &[]).code(2).stderr;
    let all = [
        said(&json!({"webhook": "ftp://host/secret"})),
        said(&json!({"command": "true", "mail": "a@b"})),
        said(&json!([{"mail": "not an address"}])),
        said(&json!({"command": "true", "when": "never"})),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    error: the spec `spec.jsonnet` is not valid
      on_end.webhook: this is no address of a webhook: write `https://host/..`, or `$NAME` for a variable that holds it

    error: the spec `spec.jsonnet` is not valid
      on_end: one of `webhook`, `command` and `mail` says what is done, and each has an entry of its own

    error: the spec `spec.jsonnet` is not valid
      on_end[0].mail: `not an address` is no address: write `hana@lab`

    error: the spec `spec.jsonnet` is not valid
      on_end.when: `never` is none of `always`, `failed`
    ");
}
