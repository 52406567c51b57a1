//! `combu report`: the file, and what it shows in a browser.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use combu::model::event::{Event, Fact, Record};
use combu::model::handle::Handle;
use combu::model::name::{EngineName, Name, RunId};
use combu::model::options::{Goal, Options};
use combu::model::outcome::Outcome;
use combu::model::trial::Trial;
use combu::model::trial::settled::Settled;
use combu::page::{PageHead, PageRun, page, patch};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::Lab;

/// 54 trials that tell curves; two of them fail. What they tell wants to be markup.
const SWEEP: &str = r#"
local hostile = "<img src=x onerror=\"window.hacked=1\"></script><script>window.hacked=1</script>";
{ name: 'sweep ' + hostile, goal: 'min loss', trials: [
  { name: 'lr-%g-w%d-s%d' % [lr, width, seed], engine: 'local', params: { lr: lr, width: width, seed: seed, note: hostile },
    memory: '64m', cpus: 1,
    cmd: ['sh', '-c', |||
      awk 'BEGIN { for (i = 1; i <= 20; i++) print "::combu metric loss=" (%g * 10 + 4 / %d) * exp(-i / 10) + %d / 100 " step=" i }'
      echo '::combu tag note="<b>bold</b>"'
      if [ %d-%d-%g = 1-16-0.1 ]; then echo '<script>window.hacked=1</script> ValueError: loss is nan' >&2; exit 1; fi
    ||| % [lr, width, seed, seed, width, lr]] }
  for lr in [0.1, 0.01, 0.001] for width in [16, 32, 64] for seed in [0, 1, 2, 3, 4, 5] ] }
"#;

fn address(lab: &Lab, file: &str) -> String {
    format!("file://{}", lab.path(file).display())
}

/// The data in a page.
fn data(text: &str) -> Value {
    let (_, rest) = text.split_once("id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_report_is_one_file_that_holds_everything_of_a_run() {
    let lab = Lab::with(SWEEP);
    lab.combu(&["run", "spec.jsonnet", "-j", "2"]).code(100);
    let said = lab.combu(&["report"]).code(0);
    assert!(said.stdout.is_empty() && said.stderr.contains("report.html: 54 trials, "), "{}", said.stderr);
    let text = lab.read("report.html");
    let data = data(&text);
    let run = &data["runs"][0];
    assert_eq!((&run["state"], run["trials"].as_array().unwrap().len()), (&json!("ended"), 54));
    assert_eq!(run["goal"]["text"], "min loss");
    assert_eq!(run["fields"]["cpus"], 1.0);
    let failed: Vec<&Value> =
        run["trials"].as_array().unwrap().iter().filter(|trial| trial["failed"] == true).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["log"]["stderr"].as_str().unwrap().contains("ValueError: loss is nan"));
    assert_eq!(run["curves"].as_object().unwrap().len(), 54);
    assert!(run["provenance"]["sources"].as_object().unwrap().values().any(|text| text.as_str() == Some(SWEEP)));
    // Beside its data, the page is small; and no text of a trial ends an element.
    assert!(text.len() - data.to_string().len() < 600_000, "{}", text.len());
    assert!(!text.contains("<img src=x") && !text.contains("<script>window"));
}

#[test]
fn a_report_can_be_narrowed_put_elsewhere_and_says_what_it_cannot() {
    let lab = Lab::with(SWEEP);
    let none = lab.combu(&["report"]).code(4);
    assert!(none.stderr.contains("no run is recorded"), "{}", none.stderr);
    lab.combu(&["run", "spec.jsonnet", "-j", "2"]).code(100);
    let said = lab.combu(&["report", "-o", "-", "--where", "params.lr > 0.05 && params.width == 16"]).code(0);
    assert_eq!(data(&said.stdout)["runs"][0]["trials"].as_array().unwrap().len(), 6);
    let said = lab.combu(&["report", "--failed", "-o", "out.html"]).code(0);
    assert!(said.stderr.contains("out.html: 1 trial, "), "{}", said.stderr);
    let said = lab.combu(&["report", "-o", "none/report.html"]).code(2);
    assert!(
        said.stderr.contains("none/report.html cannot be written") && said.stderr.contains("-o FILE"),
        "{}",
        said.stderr
    );
    let said = lab.combu(&["report", "--where", "lr > 1"]).code(2);
    assert!(said.stderr.contains("a trial has no `lr`"), "{}", said.stderr);
    let said = lab.combu(&["report", "-o", "/dev/full"]).code(2);
    assert!(said.stderr.contains("No space left on device"), "{}", said.stderr);
    // What is no file is left to be what it is, and a link leads to what is written.
    lab.combu(&["report", "-o", "/dev/null"]).code(0);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    lab.write("there.html", "before");
    std::os::unix::fs::symlink("there.html", lab.path("link.html")).unwrap();
    lab.combu(&["report", "-o", "link.html"]).code(0);
    assert!(lab.read("there.html").starts_with("<!doctype html>"));
    let said = lab.combu(&["report", "-o", "."]).code(2);
    assert!(said.stderr.contains("cannot be written"), "{}", said.stderr);
    // What was there stays where the new one cannot be written.
    lab.write("kept/report.html", "before");
    std::fs::set_permissions(lab.path("kept"), std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(lab.path("kept/probe"), "").is_err() {
        lab.combu(&["report", "-o", "kept/report.html"]).code(2);
    }
    assert_eq!(lab.read("kept/report.html"), "before");
    std::fs::set_permissions(lab.path("kept"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_rerun_is_shown_beside_the_run_that_it_repeats() {
    let lab = Lab::with(
        "[{ name: n, engine: 'local', cmd: ['sh', '-c', 'echo ::combu metric loss=1; test -e ok || test %s = a1' % n] } for n in ['a1', 'b1']]",
    );
    lab.combu(&["run", "spec.jsonnet"]).code(100);
    lab.write("ok", "");
    lab.combu(&["rerun", "--failed"]).code(0);
    let said = lab.combu(&["report", "-o", "-"]).code(0);
    let runs = &data(&said.stdout)["runs"];
    let names = |run: usize| -> Vec<&str> {
        runs[run]["trials"].as_array().unwrap().iter().map(|trial| trial["name"].as_str().unwrap()).collect()
    };
    assert_eq!((names(0), names(1)), (vec!["b1"], vec!["a1"]));
    assert_eq!(runs[0]["repeats"], runs[1]["run"]);
}

#[test]
fn a_browser_shows_sorts_filters_and_marks() {
    let Some(browser) = Browser::find() else { return };
    let lab = Lab::with(SWEEP);
    lab.combu(&["run", "spec.jsonnet", "-j", "2"]).code(100);
    lab.combu(&["report"]).code(0);
    browser.does(&lab, "look", &[&address(&lab, "report.html")]);
}

#[test]
fn the_filter_of_the_page_keeps_the_rows_of_where() {
    let Some(browser) = Browser::find() else { return };
    let lab = Lab::with(include_str!("page/expressions.jsonnet"));
    lab.combu(&["run", "spec.jsonnet"]).code(100);
    lab.combu(&["report"]).code(0);
    let file = include_str!("page/expressions.txt");
    let (both, refused) = file.split_once("\n== ").unwrap();
    let (_, refused) = refused.split_once('\n').unwrap();
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (both, refused) = (lines(both), lines(refused));
    assert!(both.len() >= 100, "{}", both.len());
    lab.write("expressions", &[both.clone(), refused.clone()].concat().join("\n"));
    let file = lab.path("expressions").display().to_string();
    let told = browser.does(&lab, "rows", &[&address(&lab, "report.html"), &file]);
    let told: Vec<Option<BTreeSet<String>>> = serde_json::from_str(&told).unwrap();
    let mut differ = Vec::new();
    for (text, page) in both.iter().zip(&told) {
        let said = lab.combu(&["results", "-o", "json", &format!("--where={text}")]);
        let combu: Option<BTreeSet<String>> = (said.code == Some(0)).then(|| {
            said.json().as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
        });
        if *page != combu {
            differ.push(format!("{text}\n  page  {page:?}\n  combu {combu:?}\n  {}", said.stderr));
        }
    }
    for (text, page) in refused.iter().zip(&told[both.len()..]) {
        if page.is_some() {
            differ.push(format!("{text}\n  is not refused by the page: {page:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// A page of so many trials, of which so many have curves of 100 values: made of events, as a run would have told them.
fn large(trials: usize, curves: usize) -> String {
    let run = RunId::from("aaaaaaaaaaaa");
    let mut told = PageRun::default();
    let mut add = |at: u64, fact: Fact| told.add(&Event { at, run: run.clone(), fact });
    add(
        0,
        Fact::RunStarted {
            experiment: "large".to_owned(),
            trials: (0..trials).map(one_of_many).collect(),
            services: Vec::new(),
            parallel: 8,
            seed: 1,
            folder: None,
            options: Box::new(Options { goal: Some(Goal::parse("min loss").unwrap()), ..Options::default() }),
        },
    );
    for place in 0..trials {
        life(place, if place < curves { 100 } else { 1 }, &mut add);
    }
    let head = PageHead {
        run: run.to_string(),
        experiment: "large".to_owned(),
        state: "ended",
        started: 0,
        ended: Some(1),
        elapsed: trials as f64 / 8.0,
        command: vec!["combu".to_owned()],
        spec: "/lab/large.jsonnet".to_owned(),
        script: None,
        repeats: None,
    };
    page("large", Some(&patch(0, vec![told.whole(&head, &Value::Null, |result, _| result.status(), |_| true)])), None)
}

fn one_of_many(place: usize) -> Arc<Settled> {
    let lr = 10f64.powf(-5.0 + 4.0 * (place as f64 * 0.618_033_988_7).fract());
    let opt = ["adam", "sgd"][place % 2];
    let params = json!({"lr": lr, "width": 16 << (place % 3), "opt": opt, "seed": place % 5});
    let trial = Trial { cpus: Some(1.0), ..Trial::new(name_of(place)) };
    Arc::new(Settled::from(Trial { params: params.as_object().unwrap().clone(), ..trial }))
}

fn name_of(place: usize) -> Name {
    Name::parse(&format!("train-{place}")).unwrap()
}

/// What happens to a trial that tells so many values.
fn life(place: usize, values: u64, mut add: impl FnMut(u64, Fact)) {
    let (trial, at) = (name_of(place), 1000 * (place as u64 / 8));
    let handle = Handle { engine: EngineName::Local, id: place.to_string() };
    add(at, Fact::AttemptStarting { trial: trial.clone(), attempt: 1, cores: Vec::new(), gpus: Vec::new() });
    add(at, Fact::AttemptStarted { trial: trial.clone(), attempt: 1, handle });
    for step in 0..values {
        let value = (place % 17) as f64 / 10.0 + (-(step as f64) / 20.0).exp();
        let record = Record::Metric { name: "loss".to_owned(), value, step: Some(step) };
        add(at + 9 * step, Fact::Recorded { trial: trial.clone(), attempt: 1, record });
    }
    let (outcome, elapsed) = (Outcome::Succeeded, Duration::from_millis(950));
    let ended = Fact::AttemptEnded {
        trial: trial.clone(),
        attempt: 1,
        outcome: outcome.clone(),
        elapsed,
        logs: None,
        usage: None,
        kept: false,
        incomplete: false,
    };
    add(at + 950, ended);
    add(at + 950, Fact::TrialEnded { trial, attempts: 1, outcome, elapsed });
}

#[test]
fn ten_thousand_trials_and_a_thousand_curves_are_soon_there() {
    let Some(browser) = Browser::find() else { return };
    let lab = Lab::new();
    lab.write("large.html", &large(10_000, 1_000));
    let told = browser.does(&lab, "large", &[&address(&lab, "large.html")]);
    let told: Value = serde_json::from_str(&told).unwrap();
    // Two seconds on a quiet machine; this one may be busy, which says nothing of the page.
    let limit = 2000.0 * (1.0 + load());
    assert!(told["interactive_ms"].as_f64().unwrap() < limit, "{told}");
    assert!(told["sort_ms"].as_f64().unwrap() < limit, "{told}");
}

/// Processes that want a CPU now, for each that there is.
fn load() -> f64 {
    let text = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap();
    let load: f64 = text.split(' ').next().unwrap().parse().unwrap();
    load / std::thread::available_parallelism().unwrap().get() as f64
}
