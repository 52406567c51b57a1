//! `combu script` as its users meet it, and every script in `scripts/`.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::daemon;
use crate::harness::{Lab, eventually};

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name).display().to_string()
}

/// A lab with one script, `sweep.rhai`.
fn with(text: &str) -> Lab {
    let lab = Lab::new();
    lab.write("sweep.rhai", text);
    lab
}

#[test]
fn a_script_that_does_nothing_says_so() {
    let lab = Lab::with("[]");
    lab.write("nothing.rhai", "// To be written.\n");
    let said = lab.combu(&["script", "nothing.rhai"]).code(0);
    assert_eq!(said.stderr, "the script nothing.rhai has ended: it started no run and printed nothing\n");
    lab.write("word.rhai", "print(1)");
    assert_eq!(lab.combu(&["script", "word.rhai"]).code(0).stderr, "");
}

/// Scripts with a test of their own, here or in `simulate_cli.rs`.
const OTHERS: [&str; 6] =
    ["article.rhai", "early_stop.rhai", "model.rhai", "quickstart.rhai", "rerun_failed.rhai", "search.rhai"];

/// Workflows of labs: what each prints at its end, where `*` stands for anything.
const WORKFLOWS: [(&str, &[&str], &str); 12] = [
    (
        "asha.rhai",
        &["--epochs", "9", "--n", "9"],
        "* of 81 epochs, * of 9 trials ended early\ntrain-00*: loss * with #{\"lr\": *}\n",
    ),
    ("cma.rhai", &["--trials", "20"], "* trials, f = * at #{\"x\": *, \"y\": *}\n"),
    ("from_csv.rhai", &[], "site   rain  level\nnorth   3.5   2.95\nsouth   0.5   1.45\n"),
    ("grid.rhai", &[], "*\nfit-0.01-0: 0.0\nfit-0.01-0.01: 0.1\nfit-0.001-0: 1.0\n"),
    ("kfold.rhai", &[], "C = 1.0: 5 folds, mean 0.8993*\n* of 30 folds run\n"),
    (
        "memory_ladder.rhai",
        &[],
        "need-20: succeeded with 64 MiB in attempt 1\nneed-150: succeeded with 256 MiB in attempt 3\n",
    ),
    ("nightly.rhai", &["--file", "nights.json"], "3 cases, none became slower\n"),
    ("pbt.rhai", &["--rounds", "3"], "turn 1: loss * with lr *\nturn 2: loss * with lr *\nturn 3: loss * with lr *\n"),
    (
        "pipeline.rhai",
        &[],
        "pipeline: 11 of 16 succeeded, 1 failed, 4 skipped\ntrain-broken-1, train-broken-2, train-broken-3, evaluate-broken\n",
    ),
    ("report.rhai", &["--n", "9", "--epochs", "12"], "digits-*: loss * with #{\"lr\": *}\n"),
    ("random_search.rhai", &["--n", "5"], "fit-00* of 5: acc * with #{\"lr\": *, \"width\": *}\n"),
    (
        "replicates.rhai",
        &["--most", "5"],
        "slow  n  mean  within\n 1.0  5  *\nthe slow one takes * longer (p = *), after 10 runs\n",
    ),
];

/// Whether a text is one that a pattern stands for, in which `*` is any text.
fn is_alike(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last.is_some_and(|last| rest.ends_with(last))
}

#[test]
fn the_workflows_of_labs_run_as_they_are() {
    let lab = Lab::new();
    for (name, arguments, printed) in WORKFLOWS {
        fs::copy(script(name), lab.path(name)).unwrap();
        let said = lab.combu(&[&["script", "--progress", "none", name], arguments].concat()).code(0);
        assert!(is_alike(&said.stdout, printed), "{name}: {}", said.stdout);
    }
    assert!(fs::read_to_string(lab.path("nights.json")).unwrap().contains("case-400"));
}

#[test]
fn every_script_is_executed_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let workflows = WORKFLOWS.map(|(name, ..)| name);
    let mut known = [&OTHERS[..], &workflows[..]].concat();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[test]
fn the_quickstart_needs_no_docker_and_prints_its_table() {
    let mut lab = Lab::new();
    lab.set("COMBU_DIR", lab.path("state").display().to_string());
    let said = lab.combu(&["script", &script("quickstart.rhai")]).code(0);
    assert_snapshot!(said.stdout, @"
    beta  gamma    peak  day  attack  status
    0.15   0.05  0.3022   77  0.9157  succeeded
    0.15    0.1  0.0639  114  0.4968  succeeded
     0.3   0.05  0.5392   35  0.9961  succeeded
     0.3    0.1  0.3037   39   0.942  succeeded
     0.6   0.05   0.718   18  0.9994  succeeded
     0.6    0.1  0.5437   18  0.9979  succeeded
    the mildest epidemic: beta 0.15, gamma 0.1, at most 6.39 % ill at once
    ");
}

#[test]
fn failed_trials_are_run_again_until_they_succeed() {
    let mut lab = Lab::new();
    lab.set("COMBU_DIR", lab.path("state").display().to_string());
    let said = lab.combu(&["script", &script("rerun_failed.rhai")]).code(0);
    let runs: Vec<&str> = said.stdout.lines().filter(|line| line.contains("run")).collect();
    assert_snapshot!(runs.join("\n"), @"
    first run: stiff: 2 of 4 succeeded, 2 failed
    rerun 1: stiff: 1 of 2 succeeded, 1 failed
    rerun 2: stiff: 0 of 1 succeeded, 1 failed
    rerun 3: stiff: 1 of 1 succeeded
    ");
}

#[test]
fn trials_that_diverge_or_hardly_move_are_stopped_early() {
    let mut lab = Lab::new();
    lab.set("COMBU_DIR", lab.path("state").display().to_string());
    let said = lab.combu(&["script", &script("early_stop.rhai")]).code(0);
    assert_snapshot!(said.stdout, @"
     rate  status
    0.001  killed
      0.2  succeeded
      0.5  succeeded
      2.5  killed
    rate 0.2: 16 steps, from 0.64 to 0.000792
    rate 0.5: 5 steps, from 0.25 to 0.000977
    ");
}

#[test]
fn a_hook_hears_what_a_file_tells_while_the_trial_runs() {
    let lab = Lab::new();
    lab.write(
        "stop.rhai",
        r#"let r = run([#{ name: "long", engine: "local", cmd: ["sh", "-c", "echo '{\"loss\": 9, \"step\": 3}' > $COMBU_METRICS; sleep 1000"] }],
            #{ on_metric: |t, name, value, step| if name == "loss" && step == 3 && value > 5.0 { t.kill() } });
        print(r["long"].status);"#,
    );
    let said = lab.combu(&["script", "--progress", "none", "stop.rhai"]).code(100);
    assert_eq!(said.stdout, "killed\n");
}

#[test]
fn the_articles_solvers_reach_their_loader() {
    let Some(daemon) = daemon::daemon() else { return };
    let mut lab = Lab::new();
    lab.set("COMBU_DIR", lab.path("state").display().to_string());
    lab.set("DOCKER_HOST", daemon::address(&daemon.engine));
    let prefix = daemon.name("");
    let said = lab.combu(&["script", &script("article.rhai"), "--image", daemon::IMAGE, "--prefix", &prefix]).code(0);
    assert_eq!(said.stdout.matches("succeeded").count(), 10, "{}", said.stdout);
    for run in std::fs::read_dir(lab.path("state/runs")).unwrap() {
        let run = run.unwrap().path();
        for (id, mode) in (1..=5).flat_map(|id| ["a", "b"].map(|mode| (id, mode))) {
            let log = std::fs::read_to_string(run.join(format!("{prefix}solver-{id}-{mode}/1/stdout.log"))).unwrap();
            assert_eq!(log, format!("solved maze mode={mode} id={id}\n"));
        }
    }
}

#[test]
fn an_error_names_its_line_and_shows_it() {
    let lab = with("// 実験\nlet 名 = 1;\n");
    assert_snapshot!(lab.combu(&["script", "sweep.rhai"]).code(2).stderr, @"
    error: unexpected '名'
     --> sweep.rhai:2:5
      |
    2 | let 名 = 1;
      |     ^
    ");
    let lab = with("let one = 1;\nlet t = trial(#{ name: \"t1\", cmd: \"true\", imagge: \"x\" });\n");
    assert_snapshot!(lab.combu(&["script", "sweep.rhai"]).code(2).stderr, @r#"
    error: unknown key `imagge`; did you mean `image`?
     --> sweep.rhai:2:9
      |
    2 | let t = trial(#{ name: "t1", cmd: "true", imagge: "x" });
      |         ^
    "#);
    let lab = with("import \"model\" as model;\nprint(model::loss(1));\n");
    lab.write("model.rhai", "fn loss(x) {\n    x / 0\n}\n");
    assert_snapshot!(lab.combu(&["script", "sweep.rhai"]).code(2).stderr, @"
    error: division by zero: 1 / 0
     --> model.rhai:2:7
      |
    2 |     x / 0
      |       ^
      in `loss`, called at sweep.rhai:2:14
    ");
    assert_snapshot!(Lab::new().combu(&["script", "nowhere.rhai"]).code(2).stderr, @"error: cannot read the script `nowhere.rhai`: No such file or directory (os error 2)");
}

#[test]
fn an_error_in_a_hook_stops_the_other_trials() {
    let lab = with(
        r#"let trials = [trial(#{ name: "long", engine: "local", cmd: "sleep 1000" }), trial(#{ name: "short", engine: "local", cmd: "true" })];
run(experiment("hooked", trials), #{ parallel: 2, on_error: "stop", on_complete: |t| {
    if t.name == "short" { throw "no more" }
} });"#,
    );
    let said = lab.combu(&["script", "--progress", "none", "sweep.rhai"]).code(2);
    assert_snapshot!(said.stderr, @r#"
    error: no more
     --> sweep.rhai:3:28
      |
    3 |     if t.name == "short" { throw "no more" }
      |                            ^
      in `a closure`, called at sweep.rhai:2:1
    "#);
}

#[test]
fn the_exit_code_follows_the_last_run_of_each_experiment() {
    let failing = r#"let result = run(experiment("sweep", [trial(#{ name: "t1", engine: "local", cmd: "false" })]));"#;
    with(failing).combu(&["script", "sweep.rhai"]).code(100);
    let mended = format!("{failing}\nrun(result.failed().map(|t| t.changed(#{{ cmd: \"true\" }})));");
    with(&mended).combu(&["script", "sweep.rhai"]).code(0);
    with(&format!("{failing}\nexit(7);")).combu(&["script", "sweep.rhai"]).code(7);
    let halted = failing.replace("]));", "]), #{ halt: \"now,fail=1\" });");
    with(&halted).combu(&["script", "sweep.rhai"]).code(101);
    with("run(experiment(\"sweep\", [trial(#{ name: \"t1\", image: \"x\" })]));")
        .combu(&["script", "sweep.rhai"])
        .code(125);
}

#[test]
fn ctrl_c_ends_a_loop_and_the_trials_of_a_run() {
    let lab = with("print(\"ready\");\nloop {}\n");
    let mut live = lab.start(&["script", "sweep.rhai"]);
    live.line("ready");
    live.signal(Signal::INT);
    assert_snapshot!(live.end().code(130).stderr, @"
    error: interrupted by SIGINT
     --> sweep.rhai:2:6
      |
    2 | loop {}
      |      ^
    ");
    let lab = with(
        r#"run(experiment("sweep", [trial(#{ name: "long", engine: "local", cmd: "sleep 1000" })]), #{ on_start: |t| print("up") });
print("after");"#,
    );
    let mut live = lab.start(&["script", "--progress", "none", "sweep.rhai"]);
    live.line("up");
    live.signal(Signal::TERM);
    let said = live.end().code(143);
    assert!(!said.stdout.contains("after"), "{}", said.stdout);
}

#[test]
fn options_of_the_command_line_win_over_the_scripts() {
    let lab = with(
        r#"let result = run(experiment("sweep", [trial(#{ name: "t1", image: "busybox", cmd: "true" })]), #{ parallel: 3 });
print(result.ok); print(args()); print(param("mode", "a"));"#,
    );
    let said = lab.combu(&["script", "--engine", "fake", "-j", "1", "sweep.rhai", "--mode", "b"]).code(0);
    assert_eq!(said.stdout, "true\n[\"--mode\", \"b\"]\nb\n");
    assert!(said.stderr.contains("at most 1 at once"), "{}", said.stderr);
}

#[test]
fn one_ctrl_c_ends_a_script_that_waits_for_a_spec_or_a_pipe() {
    let lab = Lab::new();
    lab.write(
        "loop.jsonnet",
        "[{name: 'tt', engine: 'local', cmd: 'true',
           params: {n: std.foldl(function(a, i) a + i, std.range(1, 100000000), 0)}}]",
    );
    lab.pipe("pipe");
    for call in ["experiment(\"loop.jsonnet\")", "read_file(\"pipe\")"] {
        lab.write("s.rhai", &format!("print(\"begun\"); let x = {call};"));
        let mut live = lab.start(&["script", "s.rhai"]);
        live.line("begun");
        live.signal(Signal::INT);
        let said = live.end().code(130);
        assert!(said.stderr.contains("interrupted by SIGINT"), "{}", said.stderr);
    }
    // Whoever evaluates the spec for it ends too.
    let is_here = |process: &Path| {
        let works_here = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(lab.path("")));
        works_here && fs::read_to_string(process.join("cmdline")).is_ok_and(|words| words.contains("__evaluate"))
    };
    let left = || fs::read_dir("/proc").unwrap().flatten().any(|process| is_here(&process.path()));
    eventually("the evaluator has ended", || !left());
}

#[test]
fn a_check_tells_every_problem_and_runs_nothing() {
    let lab = with(
        "print(\"ran\");\nlet e = experiment(\"e\", [#{ name: \"one\", imgae: \"x\" }]);\nrun(e, #{ paralel: 2 });\n",
    );
    lab.write("good.rhai", "import \"sweep\" as sweep;\nprint(param(\"days\", 1));\n");
    let said = lab.combu(&["script", "sweep.rhai", "--check"]).code(2);
    assert_eq!(said.stdout, "");
    assert_snapshot!(said.stderr, @r#"
    error: unknown key `imgae`
     --> sweep.rhai:2:42
      |
    2 | let e = experiment("e", [#{ name: "one", imgae: "x" }]);
      |                                          ^
    hint: did you mean `image`?
    error: unknown key `paralel`
     --> sweep.rhai:3:11
      |
    3 | run(e, #{ paralel: 2 });
      |           ^
    hint: did you mean `parallel`?
    sweep.rhai: 2 problems
    "#);
    lab.write("sweep.rhai", "print(1);\n");
    let said = lab.combu(&["script", "--check", "good.rhai", "--days", "3", "sweep.rhai"]).code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("good.rhai: no problems\nsweep.rhai: no problems\n", ""));
    assert!(!lab.path(".combu").exists(), "a check keeps nothing");
    assert_snapshot!(lab.combu(&["script", "--check", "none.rhai"]).code(2).stderr, @"error: cannot read the script `none.rhai`: No such file or directory (os error 2)");
}

#[test]
fn tests_run_by_themselves_and_leave_nothing() {
    let lab = Lab::new();
    lab.write(
        "scripts/sweep.rhai",
        "import \"lib\" as lib;\nfn test_zz() { assert_eq(lib::half(3), 1.5) }\nfn test_aa() {\n    print(\"before\");\n    assert_eq(lib::half(3), 1);\n}\nfn other() { }\n",
    );
    lab.write("scripts/lib.rhai", "fn half(x) { x / 2.0 }");
    lab.write(
        "scripts/deep/test_run.rhai",
        "let r = run([#{ name: \"one\", image: \"x\" }]); assert(r.ok); print(r.name);",
    );
    lab.write("scripts/code_test.rhai", "exit(3);");
    lab.write("scripts/test_broken.rhai", "let x = ;");
    let said = lab.combu(&["test"]).code(1);
    assert_snapshot!(said.stdout, @"
    FAIL  scripts/code_test.rhai
          error: it ended with exit code 3
    PASS  scripts/deep/test_run.rhai
    PASS  scripts/sweep.rhai::test_zz
    FAIL  scripts/sweep.rhai::test_aa
          printed: before
          error: the two values differ
            the first:  1.5
            the second: 1
           --> scripts/sweep.rhai:5:5
            |
          5 |     assert_eq(lib::half(3), 1);
            |     ^
    FAIL  scripts/test_broken.rhai
          error: unexpected ';'
           --> scripts/test_broken.rhai:1:9
            |
          1 | let x = ;
            |         ^
    3 failed, 2 passed
    ");
    assert_eq!(said.stderr, "");
    assert!(!lab.path(".combu").exists() && !lab.path("scripts/.combu").exists(), "tests leave nothing");
    assert_eq!(lab.combu(&["test", "-k", "zz"]).code(0).stdout, "PASS  scripts/sweep.rhai::test_zz\n1 passed\n");
    let said = lab.combu(&["test", "scripts/deep"]).code(0);
    assert_eq!(said.stdout, "PASS  scripts/deep/test_run.rhai\n1 passed\n");
    assert_snapshot!(lab.combu(&["test", "-k", "nothing"]).code(2).stderr, @"
    error: no tests were found in `scripts`
    hint: a test is a function `fn test_name() { .. }` of a script, or a script called `test_*.rhai` or `*_test.rhai`
    ");
    assert_snapshot!(lab.combu(&["test", "none"]).code(2).stderr, @"error: cannot read `none`: No such file or directory (os error 2)");
}

#[test]
fn a_trial_that_was_changed_is_not_done() {
    let lab = with(
        "let cmd = param(\"cmd\", \"true\"); let e = experiment(\"e\", [#{ name: \"one\", engine: \"local\", cmd: cmd }]);
        let open = e.filter(\"!done\"); print(open.len()); if !open.is_empty() { run(open); }",
    );
    let run = |words: &[&str]| {
        let line = [&["script", "--progress", "none", "sweep.rhai"], words].concat();
        lab.combu(&line).code(0).stdout
    };
    assert_eq!((run(&[]), run(&[])), ("1\n".to_owned(), "0\n".to_owned()));
    assert_eq!((run(&["--cmd", "true x"]), run(&["--cmd", "true x"])), ("1\n".to_owned(), "0\n".to_owned()));
    // As it is again what it was, it is done.
    assert_eq!(run(&[]), "0\n");
    lab.write(
        "spec.jsonnet",
        "local id = 'UUID'; [{ name: 'one', engine: 'local', cmd: 'true ' + id, params: { a: 1 } }]",
    );
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    lab.combu(&["run", "spec.jsonnet", "--where", "!done"]).code(4);
    lab.write(
        "spec.jsonnet",
        "local id = 'UUID'; [{ name: 'one', engine: 'local', cmd: 'true ' + id, params: { a: 2 } }]",
    );
    lab.combu(&["run", "spec.jsonnet", "--where", "!done"]).code(0);
}

#[test]
fn what_rhai_takes_without_a_word_is_warned_of() {
    let lab = with("import \"lib\" as lib;\nfor i in 0..2 { print(lib::tenth(i) + i / 10); }\n");
    lab.write("lib.rhai", "fn tenth(i) { let n = 3; print(\"n = ${n}\"); 1 / 10 }\n");
    let said = lab.combu(&["script", "sweep.rhai"]).code(0);
    assert_snapshot!(said.stderr, @r"
    warning: sweep.rhai:2:39: `i / 10` is a whole number, as `i` is: the fraction is dropped; write `i / 10.0`
    warning: lib.rhai:1:32: `${n}` stands for nothing in double quotes; a text with values in it stands in backticks: `n = ${n}`
    warning: lib.rhai:1:45: `1 / 10` is 0: of whole numbers, the fraction is dropped; write `1.0 / 10`
    ");
}
