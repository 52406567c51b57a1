//! What a stranger types: combu's options behind a script, files given to the wrong verb, words of other programs.

use rustix::process::Signal;

use crate::harness::{Lab, steady};

const SWEEP: &str = "// Sweeps a solver.
//
//     combu script sweep.rhai --days 3

let days = param(\"days\", 1);      // days to simulate
// Steps of the solver,
// smallest first.
let betas = param(\"betas\", [0.1, 0.2]);
let quick = param(\"quick\", false);
let result = run(experiment(\"sweep\", [#{ name: \"one\", engine: \"local\", cmd: [\"touch\", \"ran\"], workdir: \".\" }]));
print(`${days} ${betas} ${quick}`);
";

fn with(script: &str) -> Lab {
    let lab = Lab::new();
    lab.write("sweep.rhai", script);
    lab
}

/// What combu says on stderr, and with which code.
fn told(lab: &Lab, args: &[&str]) -> String {
    let said = lab.combu(args);
    format!("$ combu {}\n{}[{}]\n", args.join(" "), said.stderr, said.code.unwrap())
}

#[test]
fn combus_options_stand_on_either_side_of_a_script() {
    let lab = with(SWEEP);
    for args in [
        &["script", "sweep.rhai", "--engine", "fake", "--progress", "none"][..],
        &["script", "--engine", "fake", "sweep.rhai", "--progress=none"],
        &[
            "script",
            "sweep.rhai",
            "--days",
            "1",
            "--engine=fake",
            "betas=0.1,0.2",
            "--parallel",
            "1",
            "--progress",
            "none",
        ],
    ] {
        let said = lab.combu(args).code(0);
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("1 [0.1, 0.2] false\n", ""), "{args:?}");
    }
    assert!(!lab.path("ran").exists(), "a rehearsal ran the trial");
    let said = lab.combu(&["script", "sweep.rhai", "--days", "3", "--quick", "-j", "1", "--progress", "none"]).code(0);
    assert_eq!(said.stdout, "3 [0.1, 0.2] true\n");
    assert!(lab.path("ran").exists());
    let lab = with("print(param(\"engine\", \"own\")); print(args());");
    assert_eq!(
        lab.combu(&["script", "sweep.rhai", "--engine", "fake"]).code(0).stdout,
        "fake\n[\"--engine\", \"fake\"]\n"
    );
    assert_eq!(lab.combu(&["script", "sweep.rhai", "--", "-j", "1"]).code(0).stdout, "own\n[\"-j\", \"1\"]\n");
    assert_eq!(lab.combu(&["script", "--", "sweep.rhai", "-j", "1"]).code(0).stdout, "own\n[\"-j\", \"1\"]\n");
}

#[test]
fn an_argument_that_nothing_takes_starts_nothing() {
    let lab = with(SWEEP);
    let cases: [&[&str]; 6] = [
        &["script", "sweep.rhai", "--day", "3"],
        &["script", "sweep.rhai", "rest"],
        &["script", "sweep.rhai", "-x"],
        &["script", "sweep.rhai", "--", "--engine", "fake"],
        &["script", "sweep.rhai", "--engine", "podman"],
        &["-f", "spec.jsonnet", "script", "sweep.rhai"],
    ];
    let all: String = cases.map(|args| told(&lab, args)).concat();
    insta::assert_snapshot!(all, @r#"
    $ combu script sweep.rhai --day 3
    error: the script takes no argument `--day`
    hint: did you mean `--days`?
    [2]
    $ combu script sweep.rhai rest
    error: the script takes no argument `rest`
    hint: its parameters are `--days`, `--betas`, `--quick`
    [2]
    $ combu script sweep.rhai -x
    error: the script takes no argument `-x`
    hint: its parameters are `--days`, `--betas`, `--quick`
    [2]
    $ combu script sweep.rhai -- --engine fake
    error: the script takes no argument `--engine`
    hint: its parameters are `--days`, `--betas`, `--quick`
    [2]
    $ combu script sweep.rhai --engine podman
    error: invalid value 'podman' for '--engine <ENGINE>': write one of: docker, local, fake

    For more information, try '--help'.
    [2]
    $ combu -f spec.jsonnet script sweep.rhai
    error: `-f spec.jsonnet` is for specs
    hint: a script loads specs itself: `experiment("FILE")`, with the file's name from `param("spec", ..)`
    [2]
    "#);
    assert!(lab.runs().is_empty());
}

#[test]
fn help_behind_a_script_shows_its_parameters_without_running_it() {
    let mut lab = with(SWEEP);
    lab.set("COLUMNS", "60");
    let said = lab.combu(&["script", "sweep.rhai", "--help"]).code(0);
    insta::assert_snapshot!(said.stdout, @"
    Sweeps a solver.

        combu script sweep.rhai --days 3

    Usage: combu script sweep.rhai [PARAMETERS]

    Parameters:
      --days <VALUE>
          days to simulate [default: 1]
      --betas <VALUE>
          Steps of the solver, smallest first. [default: [0.1,
          0.2]]
      --quick
          [default: false]

    Combu's own options stand on either side of the file: `combu script --help`.
    ");
    assert!(lab.runs().is_empty());
    lab.write("broken.rhai", "let");
    insta::assert_snapshot!(told(&lab, &["script", "broken.rhai", "-h"]), @"
    $ combu script broken.rhai -h
    error: the parameters of `broken.rhai` cannot be read
    hint: it has a mistake, which running it shows, or is no file
    [2]
    ");
}

/// A lab with files that are given to the wrong verb.
fn with_files() -> Lab {
    let lab = with(SWEEP);
    lab.write("ok.jsonnet", "[{ name: 'one', engine: 'local', cmd: 'true' }]");
    lab.write("compose.yaml", "services:\n  db:\n    image: postgres\n");
    lab.write("train.py", "import torch\n");
    lab
}

#[test]
fn files_lead_to_the_verb_that_takes_them() {
    let lab = with_files();
    let cases: [&[&str]; 10] = [
        &["ok.jsonnet"],
        &["sweep.rhai"],
        &["run", "sweep.rhai"],
        &["plan", "sweep.rhai"],
        &["script", "ok.jsonnet"],
        &["run", "compose.yaml"],
        &["run", "train.py"],
        &["run", "OK.jsonnet"],
        &["run", "ok"],
        &["script", "swep.rhai"],
    ];
    insta::assert_snapshot!(cases.map(|args| told(&lab, args)).concat(), @"
    $ combu ok.jsonnet
    error: `ok.jsonnet` is a spec, and no verb
    hint: run it with `combu run ok.jsonnet`
    [2]
    $ combu sweep.rhai
    error: `sweep.rhai` is a script, and no verb
    hint: run it with `combu script sweep.rhai`
    [2]
    $ combu run sweep.rhai
    error: `sweep.rhai` is a script
    hint: run it with `combu script sweep.rhai`
    [2]
    $ combu plan sweep.rhai
    error: `sweep.rhai` is a script
    hint: run it with `combu script sweep.rhai`
    [2]
    $ combu script ok.jsonnet
    error: `ok.jsonnet` is a spec
    hint: run it with `combu run ok.jsonnet`
    [2]
    $ combu run compose.yaml
    error: `compose.yaml` is YAML, and a spec is jsonnet or JSON
    hint: write the trials as a list of objects: `combu help spec` names their fields, most of them as compose does; a jsonnet spec can read the file with `std.parseYaml(importstr 'compose.yaml')`
    [2]
    $ combu run train.py
    error: `train.py` is a Python program, and a spec is jsonnet or JSON
    hint: write a spec that runs it, such as `[{ name: 'first', image: 'IMAGE', cmd: 'python3 train.py' }]`; `combu help spec` has all of it
    [2]
    $ combu run OK.jsonnet
    error: cannot read the spec `OK.jsonnet`: No such file or directory (os error 2)
    hint: did you mean `ok.jsonnet`?
    [2]
    $ combu run ok
    error: cannot read the spec `ok`: No such file or directory (os error 2)
    hint: did you mean `ok.jsonnet`?
    [2]
    $ combu script swep.rhai
    error: cannot read the script `swep.rhai`: No such file or directory (os error 2)
    hint: did you mean `sweep.rhai`?
    [2]
    ");
    assert!(lab.runs().is_empty());
}

#[test]
fn words_of_others_and_misspelt_ones_lead_to_combus() {
    let lab = with_files();
    let cases: [&[&str]; 5] =
        [&["stop"], &["rnu", "ok.jsonnet"], &["run", "ok.jsonnet", "--paralell", "4"], &["kill"], &["run", "-V"]];
    insta::assert_snapshot!(cases.map(|args| told(&lab, args)).concat(), @"
    $ combu stop
    error: there is no verb `stop`
    hint: combu's word for it is `combu kill`
    [2]
    $ combu rnu ok.jsonnet
    error: there is no verb `rnu`
    hint: did you mean `combu run`?
    [2]
    $ combu run ok.jsonnet --paralell 4
    error: `combu run` has no option `--paralell`
    hint: did you mean `--parallel`?
    [2]
    $ combu kill
    error: nothing is named that is to be stopped
    hint: name a spec, `combu kill experiment.jsonnet`, or a run, `combu kill last`; all of the project: `combu kill --all`
    [2]
    $ combu run -V
    error: `-V` binds a variable of a spec and needs its name: `-V NAME=TEXT`
    hint: the version is `combu --version`
    [2]
    ");
    assert!(lab.runs().is_empty());
}

#[test]
fn a_yaml_file_that_is_json_is_a_spec_all_the_same() {
    let lab = Lab::new();
    lab.write("spec.yaml", r#"[{"name": "one", "engine": "local", "cmd": "true", "imgae": "x"}]"#);
    let said = lab.combu(&["plan", "spec.yaml"]).code(2);
    assert!(said.stderr.contains("did you mean `image`?"), "{}", said.stderr);
}

#[test]
fn resume_beside_a_live_run_names_it() {
    let lab = Lab::with("[{ name: 'one', engine: 'local', cmd: ['sh', '-c', 'echo > ready; sleep 600'] }]");
    lab.write("short.jsonnet", "[{ name: 'two', engine: 'local', cmd: 'true' }]");
    lab.pipe("ready");
    lab.combu(&["run", "short.jsonnet"]).code(0);
    let live = lab.start(&["run", "spec.jsonnet"]);
    lab.hear("ready");
    let said = lab.combu(&["resume"]).code(4);
    let told = said.stderr.replace(&live.pid(), "PID");
    let id = told.split("run ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    insta::assert_snapshot!(told.replace(&id, "RUN"), @"
    error: none of 2 runs is unfinished
      run RUN is running (process PID): there is nothing to go on with
    hint: `combu ps RUN` shows it, and `combu kill RUN` ends it
    ");
    live.signal(Signal::INT);
    live.end().code(130);
}

#[test]
fn control_characters_of_a_spec_do_not_reach_the_terminal() {
    let lab = Lab::with("error '\\u001b[2J\\u001b[31mgone'");
    let said = lab.combu(&["plan", "spec.jsonnet"]).code(2);
    assert!(!said.stderr.contains('\u{1b}'), "{:?}", said.stderr);
    assert!(said.stderr.contains("error: \\u{1b}[2J\\u{1b}[31mgone"), "{}", said.stderr);
}

#[test]
fn the_manual_needs_no_repository() {
    let lab = Lab::new();
    for topic in ["spec", "script", "metrics", "fields", "run", "cpus", "param", "outputs"] {
        let said = lab.combu(&["help", topic]).code(0);
        assert!(said.stdout.lines().count() > 3, "{topic}: {}", said.stdout);
    }
    assert!(lab.combu(&["help", "fields", "memory"]).code(0).stdout.contains("memory: '2g'"));
    insta::assert_snapshot!(told(&lab, &["help", "fileds"]), @"
    $ combu help fileds
    error: there is no help on `fileds`
    hint: did you mean `fields`?
    [2]
    ");
    let _steady = steady(&lab);
}
