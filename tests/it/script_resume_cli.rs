//! `combu script --resume` and `combu resume` of a script's run: scripts that died are gone on with.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Lab, fault_rounds, named, steady};

/// Two runs; the first waits for a file.
const TWO_RUNS: &str = "let rate = param(\"rate\", \"\");
let held = [#{ name: \"a0\", engine: \"local\", cmd: \"true\" },
    #{ name: \"a1\", engine: \"local\", cmd: [\"sh\", \"-c\", \"test -e go || exec sleep 600\"], workdir: \".\", depends: [\"a0\"] }];
let seen = [];
run(experiment(\"first\", held), #{ on_complete: |t| { seen.push(t.name); append_file(\"log\", t.name + \"\\n\"); } });
run(experiment(\"second\", [#{ name: \"b1\", engine: \"local\", cmd: \"true\" }]));
write_file(\"after\", `${rate} ${seen}`);
";

fn killed_in_its_first_run(lab: &Lab) {
    let mut live = lab.start(&["script", "--progress", "json", "sweep.rhai", "--rate=two words"]);
    live.event("attempt-started", "a1");
    assert_eq!(lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["script"]["state"], "running");
    live.signal(Signal::KILL);
    live.end();
    lab.write("go", "");
}

#[test]
fn a_script_that_was_killed_is_gone_on_with_by_its_run_or_by_its_file() {
    for args in [&["resume"][..], &["script", "--resume", "sweep.rhai"], &["resume", "last"]] {
        let lab = Lab::new();
        lab.write("sweep.rhai", TWO_RUNS);
        killed_in_its_first_run(&lab);
        let said = lab.combu(args).code(0);
        assert!(said.stderr.contains("going on with the script sweep.rhai, begun "), "{}", said.stderr);
        assert_eq!(lab.read("after"), "two words [\"a0\", \"a1\"]");
        assert_eq!(lab.read("log"), "a0\na1\n");
        let rows = lab.combu(&["ls", "-o", "json"]).code(0).json();
        let states: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["state"]).collect();
        assert_eq!(states, [&json!("ended"), &json!("ended")]);
        assert_eq!(std::fs::read_dir(lab.path(".combu/scripts")).unwrap().count(), 0);
        // `a0` had ended.
        let started: Vec<_> = lab.runs().iter().map(|run| run.join("a0/2")).filter(|path| path.exists()).collect();
        assert!(started.is_empty(), "{started:?}");
        let said = lab.combu(&["script", "--resume", "sweep.rhai", "--rate=x"]).code(0).stderr;
        assert!(said.starts_with("nothing of sweep.rhai is cut off: it begins at its top"), "{said}");
        assert!(said.contains("2 trials: 2 succeeded (2 in an earlier run)"), "{said}");
    }
}

#[test]
fn the_run_of_a_dead_script_goes_on_without_it_where_that_is_asked() {
    let lab = Lab::new();
    lab.write("sweep.rhai", TWO_RUNS);
    killed_in_its_first_run(&lab);
    let _steady = steady(&lab);
    let said = lab.combu(&["resume", "--without-script"]).code(5);
    insta::assert_snapshot!(said.stderr.lines().next().unwrap(), @"warning: run [RUN] was started by the script sweep.rhai, which died: only the trials of this run go on, not the script. Its hooks (`on_complete`, `on_fail`), trials that it would still have submitted, the code after `run()` and its further runs are left out; `combu script --resume sweep.rhai` goes on with it");
    assert!(said.stderr.contains("2 trials: 2 succeeded"), "{}", said.stderr);
    assert!(!lab.path("after").exists());
    let row = &lab.combu(&["ls", "-o", "json"]).code(0).json()[0];
    assert_eq!((&row["state"], &row["script"]["state"]), (&json!("script died"), &json!("died")));
    assert!(lab.combu(&["ps", "last"]).code(0).stderr.contains("script died after"));
    insta::assert_snapshot!(lab.combu(&["resume", "last", "--without-script"]).code(4).stderr, @"
    error: every trial of run [RUN] has ended; the script sweep.rhai, which started it, died
    hint: `combu script --resume sweep.rhai` goes on with it
    ");
    // What ended without it ended for it, too.
    lab.combu(&["resume"]).code(0);
    assert_eq!(lab.read("after"), "two words [\"a0\", \"a1\"]");
    assert_eq!(lab.combu(&["ls", "-o", "json"]).code(0).json()[1]["state"], "ended");
}

#[test]
fn what_does_not_fit_the_script_that_died_is_refused_and_told() {
    let lab = Lab::new();
    lab.write("sweep.rhai", TWO_RUNS);
    killed_in_its_first_run(&lab);
    let _steady = steady(&lab);
    insta::assert_snapshot!(lab.combu(&["script", "--resume", "sweep.rhai", "--rate=x"]).code(2).stderr, @"
    error: the script was started with `--rate=two words`, not with `--rate=x`
    hint: leave its arguments out to go on with it; without `--resume` it begins anew
    ");
    insta::assert_snapshot!(lab.combu(&["resume", "-j", "1"]).code(2).stderr, @"
    error: run [RUN] belongs to the script sweep.rhai, which died: `resume` goes on with both
    hint: options are the script's: `combu script --resume sweep.rhai ..`; `--without-script` goes on with this run alone
    ");
    lab.write("sweep.rhai", &TWO_RUNS.replace("second", "more"));
    insta::assert_snapshot!(lab.combu(&["resume"]).code(2).stderr, @r#"
    error: the script sweep.rhai has changed since it was started
      sweep.rhai:
        line 6:
        - run(experiment("second", [#{ name: "b1", engine: "local", cmd: "true" }]));
        + run(experiment("more", [#{ name: "b1", engine: "local", cmd: "true" }]));
    hint: `combu script --resume sweep.rhai` goes on with it as it is now; `--without-script` goes on with this run alone
    "#);
    // The text may have been mended; its first run is the same.
    let said = lab.combu(&["script", "--resume", "sweep.rhai"]).code(0);
    assert!(said.stderr.contains("note: the script has changed since"), "{}", said.stderr);
    let rows = lab.combu(&["ls", "-o", "json"]).code(0).json();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["experiment"]).collect();
    assert_eq!(names, [&json!("more"), &json!("first")]);
}

#[test]
fn a_script_whose_error_was_mended_goes_on_behind_what_it_did() {
    let lab = Lab::new();
    let text = |end: &str| {
        format!(
            "let r = run(experiment(\"first\", [#{{ name: \"a1\", engine: \"local\", cmd: \"echo loss=2\" }}]));\n{end}"
        )
    };
    lab.write("sweep.rhai", &text("print(r.bets(\"min loss\").name);"));
    lab.combu(&["script", "sweep.rhai"]).code(2);
    lab.write("sweep.rhai", &text("print(r.best(\"min loss\").name);"));
    assert_eq!(lab.combu(&["script", "--resume", "sweep.rhai"]).code(0).stdout, "a1\n");
    assert_eq!(lab.runs().len(), 1);
    // A script that came to its end begins at its top, and takes over what succeeded.
    let said = lab.combu(&["script", "--resume", "sweep.rhai"]).code(0);
    assert_eq!(said.stdout, "a1\n");
    assert!(said.stderr.contains("1 trial: 1 succeeded (1 in an earlier run)"), "{}", said.stderr);
}

#[test]
fn a_script_that_was_interrupted_goes_on_as_if_it_had_not_been() {
    let lab = Lab::new();
    lab.write("sweep.rhai", TWO_RUNS);
    let mut live = lab.start(&["script", "--progress", "json", "sweep.rhai", "--rate=two words"]);
    live.event("attempt-started", "a1");
    live.signal(Signal::INT);
    live.end().code(130);
    lab.write("go", "");
    lab.combu(&["resume"]).code(0);
    assert_eq!(lab.read("after"), "two words [\"a0\", \"a1\"]");
    assert_eq!(lab.read("log"), "a0\na1\n");
}

/// A search whose trials tell a curve and are pruned at their first and third step, with hooks that remember.
const SEARCH: &str = r#"let log = [];
let base = #{ name: "fit", engine: "local", cmd: ["sh", "-c", `for s in 1 2 3 4 5 6 7 8 9; do
    awk -v s=$s 'BEGIN {{ d = {x} - 0.3; v = int(d * d * 1000000 + 1000000 / s) / 1000000
        printf "::combu metric loss=%.6f step=%d\n", v, s }}'
    case $s in 1|3) sleep 0.15;; esac; done`] };
let r = search(tpe(#{ x: uniform(0, 1) }, #{ seed: 5 }), base, #{
    goal: "min loss", trials: 60, parallel: 1, prune: asha(#{ from: 1, keep: 3, most: 9 }),
    on_complete: |t| log.push(`${t.name} ${t.status} ${t.params.x}`),
});
for t in r { log.push(`${t.name} ${if t.ok { t.metric("loss").last } else { t.status }}`); }
log.push(`${r.best().name} ${r.best().params.x} ${r.pruned}`);
let text = "";
for line in log { text += line + "\n"; }
write_file("decisions", text);
"#;

const MODEL: &str = "fn trial(t, random) {
    let told = [];
    let at = 0.0;
    for s in 1..=9 {
        let d = t.params.x - 0.3;
        told.push([at, \"loss\", (d * d * 1000000.0 + 1000000.0 / s).floor() / 1000000.0, s]);
        at += if s == 1 || s == 3 { 0.15 } else { 0.001 };
    }
    #{ takes: at, metrics: told }
}";

#[test]
fn a_search_that_is_killed_again_and_again_decides_as_its_simulation_does() {
    for seed in 0..fault_rounds(1) {
        let lab = Lab::new();
        lab.write("search.rhai", SEARCH);
        lab.write("model.rhai", MODEL);
        lab.combu(&["script", "--simulate", "model.rhai", "search.rhai"]).code(0);
        let decided = lab.read("decisions");
        assert!(decided.lines().count() > 120 && decided.contains("pruned"), "{decided}");
        lab.write("decisions", "");
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut args = vec!["script", "--progress", "json", "search.rhai"];
        let mut deaths = 0;
        while deaths < 10 {
            let mut live = lab.start(&args);
            for _ in 0..random.random_range(1..90) {
                live.any_line();
            }
            std::thread::sleep(Duration::from_millis(random.random_range(0..40)));
            live.signal_if_alive(Signal::KILL);
            if live.end().code.is_some() {
                break;
            }
            deaths += 1;
            args = vec!["script", "--resume", "--progress", "json", "search.rhai"];
        }
        assert!(deaths > 5, "seed {seed}: {deaths} deaths");
        let said = lab.combu(&["script", "--resume", "search.rhai"]);
        assert!(matches!(said.code, Some(0)), "seed {seed}: {}", said.stderr);
        assert_eq!(lab.read("decisions"), decided, "seed {seed}");
        let events = lab.events();
        let mut done: Vec<&str> = Vec::new();
        for event in &events {
            let trial = event["trial"].as_str().unwrap_or_default();
            match (event["event"].as_str().unwrap(), event["status"].as_str()) {
                ("trial-ended", Some("succeeded" | "pruned")) => done.push(trial),
                ("attempt-started", _) => assert!(!done.contains(&trial), "seed {seed}: {trial} ran again"),
                _ => {}
            }
        }
        assert_eq!((done.len(), named(&events, "run-resumed").len()), (60, deaths), "seed {seed}");
    }
}
