//! `combu script --simulate` as its users meet it: nothing is run, nothing is kept, and no time passes.

use std::path::Path;

use insta::assert_snapshot;

use crate::harness::Lab;

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name).display().to_string()
}

/// A lab with a script and a model.
fn with(script: &str, model: &str) -> Lab {
    let lab = Lab::new();
    lab.write("sweep.rhai", script);
    lab.write("model.rhai", model);
    lab
}

/// Half an hour for each trial, and a metric for each minute.
const MODEL: &str = r#"
fn trial(t, random) {
    let told = [];
    for minute in 1..=30 { told.push([minute * 60, "loss", t.params.lr / minute + 0.01 * random.normal(), minute]); }
    #{ takes: "30m", peak_memory: "1g", metrics: told, stdout: "done " + t.name + "\n" }
}
"#;

#[test]
fn a_sweep_of_days_takes_a_moment_and_is_the_same_twice() {
    let lab = with(
        r#"let began = now();
        let e = experiment("many", #{ name: "m-{k}", image: "lab:dev", cmd: "train {lr} {k}", cpus: 1 },
            grid(#{ k: 1..=1000, lr: [0.5] }));
        let stopped = 0;
        let r = run(e, #{ goal: "min loss", parallel: 4, on_metric: |t, name, value, step| {
            if step == 10 && value > 0.06 { t.kill(); }
        } });
        print(`${r.counts.killed} of ${r.len()} killed after ${(now() - began) / 3600.0 > 100.0}`);
        print(r.best().stdout);
        exit(0)"#,
        MODEL,
    );
    let simulate = || lab.combu(&["script", "--simulate", "model.rhai", "-j", "4", "sweep.rhai"]).code(0);
    let first = simulate();
    assert!(
        first.stdout.starts_with(|c: char| c.is_ascii_digit()) && first.stdout.contains(" of 1000 killed"),
        "{}",
        first.stdout
    );
    assert!(first.stdout.contains("\ndone m-"), "{}", first.stdout);
    assert!(
        first.stderr.starts_with("simulated 1000 trials: ") && first.stderr.contains("it would take"),
        "{}",
        first.stderr
    );
    assert!(first.stderr.contains("\nbest: `m-"), "{}", first.stderr);
    let second = simulate();
    assert_eq!((first.stdout, first.stderr), (second.stdout, second.stderr));
    assert!(!lab.path(".combu").exists(), "nothing is kept");
}

#[test]
fn a_script_of_the_lab_runs_with_its_model() {
    let mut lab = Lab::new();
    lab.set("COMBU_DIR", lab.path("state").display().to_string());
    let said = lab.combu(&["script", "--simulate", &script("model.rhai"), &script("search.rhai"), "-j", "4"]).code(0);
    assert_snapshot!(said.stdout, @r#"
    fit-004: loss 0.021132711376891607 with #{"act": "relu", "lr": 0.003773734387065996, "width": 12}
    fit-026: loss 0.08370143659086789 with #{"act": "relu", "lr": 0.004199133730554229, "width": 11}
    fit-023: loss 0.20646111773409825 with #{"act": "relu", "lr": 0.0021883763315801203, "width": 9}
    "#);
    assert_snapshot!(said.stderr, @"
    simulated 30 trials: 30 succeeded
    it would take 3m 15s, and 0.21 CPU hours
    best: `fit-004` with loss 0.0211327 (act=relu, lr=0.003773734387065996,
      width=12)
    ");
    assert!(!lab.path("state").exists());
}

#[test]
fn trials_that_need_more_memory_than_they_have_run_out_of_it() {
    let lab = with(
        r#"let r = run([#{ name: "small", image: "x", memory: "1g" }, #{ name: "large", image: "x", memory: "4g" }],
            #{ on_complete: |t| if t.oom { t.retry(#{ memory: t.memory * 2 }) } });
        for t in r { print(`${t.name} ${t.status} after ${t.attempts} attempts, ${t.peak_memory / 1048576} MiB`); }"#,
        "fn trial(t, random) { #{ takes: 60, peak_memory: \"3g\" } }",
    );
    let said = lab.combu(&["script", "--simulate", "model.rhai", "sweep.rhai"]).code(0);
    assert_snapshot!(said.stdout, @"
    small succeeded after 3 attempts, 3072 MiB
    large succeeded after 1 attempts, 3072 MiB
    ");
    assert_snapshot!(said.stderr, @"
    simulated 2 trials: 2 succeeded
    it would take 3m 00s, and 0.07 CPU hours
    ");
}

#[test]
fn a_past_run_is_a_model_and_what_it_does_not_know_is_not_made_up() {
    let lab = Lab::new();
    lab.write(
        "real.rhai",
        r#"let say = |n| `for i in 1 2 3; do echo "::combu metric loss=$((${n} * i)) step=$i"; done; `;
        let trial = |n, ends| #{ name: `t-${n}`, engine: "local", params: #{ n: n }, cmd: ["sh", "-c", say.call(n) + ends] };
        let e = experiment("real", [trial.call(1, ""), trial.call(2, ""), trial.call(3, "exit 3"), trial.call(7, "sleep 1000")]);
        run(e, #{ on_metric: |t, name, value, step| if t.name == "t-7" && step == 3 { t.kill() } });
        exit(0)"#,
    );
    lab.combu(&["script", "--progress", "none", "real.rhai"]).code(0);
    lab.write(
        "again.rhai",
        r#"let also = param("also", 2);
        let e = experiment("again", [3, 2, also].unique().map(|n| #{ name: `now-${n}`, image: "lab:dev", params: #{ n: n } }));
        for t in run(e) { print(`${t.name} ${t.message} ${t.history("loss").map(|told| told.value)} ${t.history("loss")[0].at < 946684900}`); }
        exit(0)"#,
    );
    let simulate = |run: &str, also: &str| lab.combu(&["script", "--simulate", run, "again.rhai", "--also", also]);
    let known = simulate("last", "2").code(0);
    assert_snapshot!(known.stdout, @"
    now-3 failed (exit code 3) [3.0, 6.0, 9.0] true
    now-2 succeeded [2.0, 4.0, 6.0] true
    ");
    assert!(known.stderr.starts_with("simulated 2 trials: 1 failed, 1 succeeded\n"), "{}", known.stderr);
    let cut = simulate("last", "7").code(0);
    assert!(cut.stdout.contains("now-7 failed"), "{}", cut.stdout);
    assert_snapshot!(cut.stderr.split("steps: ").nth(1).unwrap(), @"
    9
    unknown: 1 trial would have gone on beyond what the past run knows of them
      (now-7): they were ended there, so whatever depends on their ends is not known
      either
    ");
    let missing = simulate("last", "9").code(2).stderr;
    let (before, after) = missing.split_once(" has no trial").unwrap();
    assert!(before.starts_with("error: the run "), "{before}");
    assert_snapshot!(after, @"
     with the params of `now-9`: n=9
    hint: the nearest that ran is `t-7`: n=7
    ");
    assert_snapshot!(simulate("zzzz", "2").code(2).stderr, @"
    error: `zzzz` is no file, and no run here begins with it
    hint: `--simulate` takes a model (`model.rhai`), or a past run of this project: `combu ls` lists them
    ");
}

/// What is said of each of these models.
fn told_of(models: &[&str]) -> String {
    let lab = with("run([#{ name: \"one\", image: \"x\" }]);\nprint(\"no\");", "");
    let told = models.iter().map(|model| {
        lab.write("model.rhai", model);
        let said = lab.combu(&["script", "--simulate", "model.rhai", "sweep.rhai"]).code(2);
        assert_eq!(said.stdout, "");
        said.stderr
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_model_that_cannot_be_asked_is_told_before_anything_starts() {
    let told = told_of(&["let x = 1;", "fn trial(t) { 1 }", "fn trial(t, random) {\n  #{ takes: 1 ]\n}"]);
    assert_snapshot!(told, @r#"
    error: the model has no function `trial(t, random)`
     --> model.rhai:1:1
      |
    1 | let x = 1;
      | ^
    hint: write `fn trial(t, random) { #{ takes: "30s", exit: 0 } }`: it says how an attempt would go

    error: the model has no function `trial(t, random)`
     --> model.rhai:1:13
      |
    1 | fn trial(t) { 1 }
      |             ^
    hint: write `fn trial(t, random) { #{ takes: "30s", exit: 0 } }`: it says how an attempt would go

    error: expecting '}' to end this object map literal
     --> model.rhai:2:15
      |
    2 |   #{ takes: 1 ]
      |               ^
    "#);
}

#[test]
fn what_a_model_gives_back_is_checked() {
    let told = told_of(&[
        "fn trial(t, random) {\n  7\n}",
        "fn trial(t, random) {\n  #{ exit: 0 }\n}",
        "fn trial(t, random) {\n  #{ takes: \"soon\" }\n}",
        "fn trial(t, random) {\n  #{ takes: 1, exti: 0 }\n}",
    ]);
    assert_snapshot!(told, @r#"
    error: `trial` gives back a map, not `7`
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^
    hint: write `#{ takes: "30s", exit: 0 }`

    error: what `trial` gives back has no `takes`
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^
    hint: say how long the attempt takes: `takes: "30s"`

    error: `takes`: `soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^

    error: what `trial` gives back has an unknown key `exti`
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^
    hint: did you mean `exit`?
    "#);
}

#[test]
fn what_an_attempt_would_tell_is_checked() {
    let told = told_of(&[
        "fn trial(t, random) {\n  #{ takes: 1, exit: 999 }\n}",
        "fn trial(t, random) {\n  #{ takes: 1, metrics: [1, \"loss\", 2] }\n}",
        "fn trial(t, random) {\n  #{ takes: 1, metrics: [[2, \"loss\", 2]] }\n}",
    ]);
    assert_snapshot!(told, @r#"
    error: `exit` is a code from 0 to 255, not `999`
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^

    error: `metrics` is a list of lists, with `1` in it
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^
    hint: write `metrics: [[10, "loss", 0.5, 1]]`: seconds, the metric's name, its value, and its step if there is one

    error: a metric is told after 2 s, and the attempt takes 1 s
     --> model.rhai:1:21
      |
    1 | fn trial(t, random) {
      |                     ^
    hint: what an attempt tells, it tells before its end
    "#);
}

#[test]
fn a_mistake_in_a_model_has_its_line() {
    let told = told_of(&[
        "fn trial(t, random) {\n  #{ takes: t.params.lr * 2 }\n}",
        "fn trial(t, random) {\n  #{ takes: random.nromal() }\n}",
    ]);
    assert_snapshot!(told, @r#"
    error: there is nothing, `()`, on the left of `*`
     --> model.rhai:2:25
      |
    2 |   #{ takes: t.params.lr * 2 }
      |                         ^
    hint: a param, metric or key that is not there is `()`: `x ?? 0.0` puts a value in its place

    error: no function `nromal (Random)`
     --> model.rhai:2:20
      |
    2 |   #{ takes: random.nromal() }
      |                    ^
    hint: did you mean source.normal(), source.normal(mean, sd)?
    "#);
}
