//! `combu serve`: who is let in, what is told, and what may be done, over HTTP and in a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{LIMIT, Lab, Live};

/// Trials that tell a value five times a second, for as long as they are let; they are deaf to being asked to end where
/// `GRACE` says how long.
const LONG: &str = r#"{ name: 'long', goal: 'min loss', parallel: 2, trials: [
  { name: n, engine: 'local', params: { lr: 0.1 },
    cmd: ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo "::combu metric loss=$i step=$i"; sleep 0.2; done'] }
  for n in ['first', 'second'] ] }"#;

/// A page that is served.
struct Served {
    live: Live,
    /// Its address, with the token.
    address: String,
    port: u16,
    token: String,
}

impl Served {
    fn new(lab: &Lab, args: &[&str]) -> Self {
        let mut live = lab.start(&[&["serve", "--port", "0"], args].concat());
        let address = live.line("http://").trim().to_owned();
        let (front, token) = address.split_once("/?token=").unwrap();
        let port = front.rsplit_once(':').unwrap().1.parse().unwrap();
        Self { live, port, token: token.to_owned(), address }
    }

    /// Sends a request, and returns the answer's head and what reads its body.
    fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> (String, BufReader<TcpStream>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let own = format!("127.0.0.1:{}", self.port);
        let host = headers.iter().find(|(name, _)| *name == "Host").map_or(&*own, |(_, host)| host);
        let mut text =
            format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers.iter().filter(|(name, _)| *name != "Host") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        write!(stream, "{text}\r\n{body}").unwrap();
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(answer.read_line(&mut head).unwrap() > 0, "the answer breaks off: {head}");
        }
        (head, answer)
    }

    /// The status of the answer to a request.
    fn status(&self, line: &str, headers: &[(&str, &str)]) -> String {
        let (head, _) = self.ask(line, headers, "");
        head.split(' ').nth(1).unwrap().to_owned()
    }

    /// The patches that come, for as long as this is read.
    fn patches(&self) -> impl Iterator<Item = Value> {
        let (head, answer) = self.ask(&format!("GET /events?token={}", self.token), &[], "");
        assert!(head.contains("text/event-stream"), "{head}");
        let lines = answer.lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("data: ").map(|json| serde_json::from_str(json).unwrap()))
    }

    fn order(&self, order: &Value) -> Value {
        let (_, mut answer) = self.ask("POST /control", &[("X-Combu-Token", &self.token)], &order.to_string());
        let mut text = String::new();
        answer.read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// The trial of that name in a patch, if it is in there.
fn trial<'a>(patch: &'a Value, name: &str) -> Option<&'a Value> {
    patch["runs"][0]["trials"].as_array()?.iter().find(|trial| trial["name"] == name)
}

#[test]
fn only_who_has_the_token_is_let_in_and_only_under_this_machines_name() {
    let lab = Lab::with("[{ name: 'a1', engine: 'local', cmd: 'true' }]");
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    let served = Served::new(&lab, &[]);
    let own = format!("GET /?token={}", served.token);
    assert_eq!(served.status(&own, &[]), "200");
    assert_eq!(served.status(&own, &[("Host", "localhost:9000")]), "200");
    for (line, headers) in [
        ("GET /", &[][..]),
        ("GET /?token=", &[]),
        ("GET /?token=0123", &[]),
        ("GET /events", &[]),
        (&*own, &[("Host", "evil.example")]),
        ("POST /control", &[]),
    ] {
        assert_eq!(served.status(line, headers), "403", "{line} {headers:?}");
    }
    let token = ("X-Combu-Token", &*served.token);
    // Allowed to look, and no more; and no page of somebody else's speaks for this one.
    let (head, mut answer) = served.ask("POST /control", &[token], "{}");
    let mut text = String::new();
    answer.read_to_string(&mut text).unwrap();
    assert!(head.contains("403") && text.contains("--allow-control"), "{head}{text}");
    assert_eq!(served.status("POST /control", &[token, ("Origin", "http://evil.example")]), "403");
    let (head, _) = served.ask(&own, &[], "");
    for rule in ["cache-control: no-store", "referrer-policy: no-referrer", "x-frame-options: DENY"] {
        assert!(head.contains(rule), "{head}");
    }
    served.live.signal(rustix::process::Signal::INT);
    let said = served.live.end().code(0);
    assert!(said.stderr.contains("ssh -L"), "{}", said.stderr);
}

#[test]
fn what_a_run_of_another_shell_does_is_told_and_orders_reach_it() {
    let lab = Lab::with(LONG);
    let served = Served::new(&lab, &["--allow-control"]);
    // Nothing is there yet: the run is found when it starts.
    let mut patches = served.patches();
    assert_eq!(patches.next().unwrap()["runs"], json!([]));
    let run = lab.start(&["run", "spec.jsonnet"]);
    let mut told =
        patches.find(|patch| trial(patch, "first").is_some_and(|first| first["status"] == "running")).unwrap();
    let id = told["runs"][0]["run"].as_str().unwrap().to_owned();
    // Values come bit by bit, each behind those before.
    let mut known = 0;
    while known < 5 {
        let curve = &told["runs"][0]["curves"]["first"]["loss"];
        if let Some(values) = curve["value"].as_array() {
            assert_eq!(curve["from"], known);
            known += values.len();
        }
        told = patches.next().unwrap();
    }
    let order = |fields: Value| {
        let mut order = json!({"run": id});
        order.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        served.order(&order)
    };
    assert_eq!(order(json!({"action": "set", "parallel": 2}))["ok"], true);
    patches.find(|patch| trial(patch, "second").is_some_and(|second| second["status"] == "running")).unwrap();
    assert_eq!(order(json!({"action": "stop", "trial": "first"}))["ok"], true);
    patches.find(|patch| trial(patch, "first").is_some_and(|first| first["status"] == "killed")).unwrap();
    assert_eq!(order(json!({"action": "retry", "trial": "first"}))["ok"], true);
    patches.find(|patch| trial(patch, "first").is_some_and(|first| first["attempts"] == 2)).unwrap();
    for (wrong, message) in [
        (json!({"action": "retry"}), "a retry is of a trial"),
        (json!({"action": "set"}), "a number belongs to it"),
        (json!({"action": "retry", "trial": "none"}), "has no trial `none`"),
        (json!({"action": "stop", "trial": "none"}), "none"),
        (json!({"action": "dance"}), "this is no order"),
    ] {
        let said = order(wrong.clone());
        assert!(said["ok"] == false && said["message"].as_str().unwrap().contains(message), "{wrong}: {said}");
    }
    assert_eq!(served.order(&json!({"run": "zzzz", "action": "stop"}))["ok"], false);
    assert_eq!(order(json!({"action": "stop"}))["ok"], true);
    patches.find(|patch| patch["runs"][0]["state"] == "interrupted").unwrap();
    run.end().code(130);
    // A page that comes later has all of it at once.
    let whole = served.patches().next().unwrap();
    assert_eq!(trial(&whole, "first").unwrap()["status"], "killed");
    assert!(whole["runs"][0]["provenance"]["combu"].is_string());
}

#[test]
fn a_run_whose_combu_dies_is_told_to_be_cut_off() {
    let lab = Lab::with(LONG);
    let run = lab.start(&["run", "spec.jsonnet"]);
    let served = Served::new(&lab, &[]);
    let mut patches = served.patches();
    patches.find(|patch| trial(patch, "first").is_some_and(|first| first["status"] == "running")).unwrap();
    run.signal(rustix::process::Signal::KILL);
    let cut = patches.find(|patch| patch["runs"][0]["state"] == "cut off").unwrap();
    assert_eq!(trial(&cut, "first").unwrap()["status"], "open");
    lab.combu(&["kill", "--all"]);
}

#[test]
fn a_port_that_is_taken_and_a_run_that_is_not_there_are_said() {
    let lab = Lab::with("[{ name: 'a1', engine: 'local', cmd: 'true' }]");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = lab.combu(&["serve", "--port", &port]).code(2);
    assert!(said.stderr.contains(&format!("on port {port}")) && said.stderr.contains("--port"), "{}", said.stderr);
    let said = lab.combu(&["serve", "zzzz"]).code(4);
    assert!(said.stderr.contains("no run `zzzz` is recorded"), "{}", said.stderr);
}

#[test]
fn a_browser_follows_a_run_and_steers_it() {
    let Some(browser) = Browser::find() else { return };
    let lab = Lab::with(LONG);
    let served = Served::new(&lab, &["--allow-control"]);
    let mut patches = served.patches();
    let run = lab.start(&["run", "spec.jsonnet"]);
    patches.find(|patch| trial(patch, "first").is_some_and(|first| first["status"] == "running")).unwrap();
    let looking = Served::new(&lab, &[]);
    browser.does(&lab, "looks_only", &[&looking.address]);
    browser.does(&lab, "live", &[&served.address, "first"]);
    run.end().code(130);
}
