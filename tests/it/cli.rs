//! The command line as it is typed: where the spec may stand, and what is said when something is wrong.

use std::fs;

use serde_json::Value;

use crate::harness::{Lab, Live, named, steady, stored};

const ONE: &str = r#"{engine: "local", trials: [{name: "one", cmd: "true"}]}"#;

#[test]
fn the_spec_stands_before_or_after_the_verb_or_alone() {
    let lab = Lab::with(ONE);
    for args in [
        &["-f", "spec.jsonnet", "run"][..],
        &["run", "-f", "spec.jsonnet"],
        &["run", "spec.jsonnet"],
        &["--file=spec.jsonnet", "run", "-j", "1"],
        &["run", "--progress", "none", "spec.jsonnet"],
    ] {
        lab.combu(args).code(0);
    }
    for verb in ["plan", "kill"] {
        lab.combu(&["-f", "spec.jsonnet", verb]).code(0);
        lab.combu(&[verb, "spec.jsonnet"]).code(0);
    }
}

#[test]
fn what_cannot_be_understood_is_told_with_what_to_write() {
    let lab = Lab::with(ONE);
    let mut told = String::new();
    for args in [
        &["walk"][..],
        &["run"],
        &["-f", "spec.jsonnet", "run", "spec.jsonnet"],
        &["run", "spec.jsonnet", "-j", "many"],
        &["run", "spec.jsonnet", "--timeout", "soon"],
        &["run", "spec.jsonnet", "--halt", "later"],
        &["run", "spec.jsonnet", "--engine", "podman"],
        &["run", "spec.jsonnet", "--pull", "sometimes"],
        &["run", "spec.jsonnet", "--rm", "all"],
        &["run", "spec.jsonnet", "--detach", "--dry-run"],
        &["run", "spec.jsonnet", "--ext-str", "nowhere"],
        &["run", "spec.jsonnet", "--seed", "x"],
    ] {
        let said = lab.combu(args).code(2);
        assert_eq!(said.stdout, "");
        let error: Vec<&str> = said.stderr.lines().take_while(|line| !line.starts_with("Usage")).collect();
        told += &format!("$ combu {}\n{}\n", args.join(" "), error.join("\n").trim_end());
    }
    insta::assert_snapshot!(told, @"
    $ combu walk
    error: there is no verb `walk`
    hint: `combu --help` lists the verbs
    $ combu run
    error: no spec is given
    hint: give it with `-f experiment.jsonnet`, before or after the verb
    $ combu -f spec.jsonnet run spec.jsonnet
    error: the spec is given twice: with -f and as an argument
    $ combu run spec.jsonnet -j many
    error: invalid value 'many' for '--jobs <N>': `many` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)

    For more information, try '--help'.
    $ combu run spec.jsonnet --timeout soon
    error: invalid value 'soon' for '--timeout <TIME>': `soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds

    For more information, try '--help'.
    $ combu run spec.jsonnet --halt later
    error: invalid value 'later' for '--halt <POLICY>': `later` is not a halt policy: write `now` or `soon`, a comma, and `fail`, `success` or `done` with `=N` or `=N%`, such as `soon,fail=10%`

    For more information, try '--help'.
    $ combu run spec.jsonnet --engine podman
    error: invalid value 'podman' for '--engine <ENGINE>': write one of: docker, local, fake

    For more information, try '--help'.
    $ combu run spec.jsonnet --pull sometimes
    error: invalid value 'sometimes' for '--pull <WHEN>': write one of: always, missing, never

    For more information, try '--help'.
    $ combu run spec.jsonnet --rm all
    error: invalid value 'all' for '--rm <WHICH>': write one of: success, always, never

    For more information, try '--help'.
    $ combu run spec.jsonnet --detach --dry-run
    error: the argument '--detach' cannot be used with '--dry-run'
    $ combu run spec.jsonnet --ext-str nowhere
    error: invalid value 'nowhere' for '--ext-str <NAME[=TEXT]>': `nowhere` has no value, and the environment has no readable variable of that name

    For more information, try '--help'.
    $ combu run spec.jsonnet --seed x
    error: invalid value 'x' for '--seed <N>': invalid digit found in string

    For more information, try '--help'.
    ");
    assert!(!lab.path(".combu").exists());
}

#[test]
fn without_a_verb_the_manual_is_shown() {
    let said = Lab::new().combu::<&str>(&[]).code(2);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("Usage: combu [OPTIONS] <COMMAND>"), "{}", said.stderr);
    assert!(said.stderr.contains("combu -f experiment.jsonnet run "), "{}", said.stderr);
    let said = Lab::new().combu(&["--help"]).code(0);
    assert!(said.stdout.contains("combu -f experiment.jsonnet run "), "{}", said.stdout);
    assert!(Lab::new().combu(&["--version"]).code(0).stdout.starts_with("combu "));
}

#[test]
fn a_file_that_is_no_spec_is_told_with_the_reason() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("folder")).unwrap();
    lab.write("latin1.jsonnet", "");
    std::fs::write(lab.path("latin1.jsonnet"), b"[] // r\xe9sum\xe9").unwrap();
    lab.write("empty.jsonnet", "");
    let mut told = String::new();
    for verb in ["run", "plan"] {
        for file in ["missing.jsonnet", "folder", "latin1.jsonnet", "empty.jsonnet"] {
            told += &lab.combu(&[verb, file]).code(2).stderr;
        }
    }
    told += &lab.combu(&["kill", "missing.jsonnet"]).code(2).stderr;
    let _steady = steady(&lab);
    insta::assert_snapshot!(told, @"
    error: cannot read the spec `missing.jsonnet`: No such file or directory (os error 2)
    error: cannot read the spec `folder`: Is a directory (os error 21)
    error: the spec `latin1.jsonnet` is not valid
      not UTF-8 text: see line 1
    error: the spec `empty.jsonnet` is not valid
      the file is empty
        write a list of trials: [{ name: 'first', image: 'busybox' }]
    error: cannot read the spec `missing.jsonnet`: No such file or directory (os error 2)
    error: cannot read the spec `folder`: Is a directory (os error 21)
    error: the spec `latin1.jsonnet` is not valid
      not UTF-8 text: see line 1
    error: the spec `empty.jsonnet` is not valid
      the file is empty
        write a list of trials: [{ name: 'first', image: 'busybox' }]
    error: no file `missing.jsonnet`, and nothing was started from it
    ");
}

/// What `run` and `plan` say of a spec that cannot run.
#[track_caller]
fn refused(spec: &str) -> String {
    let lab = Lab::with(spec);
    let planned = lab.combu(&["plan", "spec.jsonnet"]).code(2);
    let run = lab.combu(&["run", "spec.jsonnet"]).code(2);
    assert_eq!((&run.stderr, &run.stdout), (&planned.stderr, &planned.stdout));
    assert!(!lab.path(".combu").exists(), "nothing was started");
    run.stderr.replace(&lab.path("").display().to_string(), "[LAB]/")
}

#[test]
fn unknown_keys_and_wrong_values_are_told_all_at_once() {
    let told = refused(
        r#"{engine: "local", parralel: 3, trials: [
            {name: "one", cmd: "true", imge: "busybox"},
            {name: "two", cmd: "true", timeout: "soon", cpus: "many"},
            {name: "no spaces", cmd: "true", depends: "one"},
            {cmd: "true"},
        ]}"#,
    );
    insta::assert_snapshot!(told, @r#"
    error: the spec `spec.jsonnet` is not valid
      unknown key `parralel`
        did you mean `parallel`?
      trials[0]: unknown key `imge`
        did you mean `image`?
      trials[1].cpus: "many" is not a number of CPUs
        write a number above zero, such as 2 or 0.5
      trials[1].timeout: `soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
      trials[2].name: `no spaces` cannot be a trial's name: ` ` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)
      trials[2].depends: expected a list of trials, found the string "one"
        write ["one"]
      trials[3]: `name` is missing
    "#);
}

#[test]
fn an_error_of_jsonnet_is_told_with_its_place() {
    let told = [
        "local solver(n) = {\n  name: 'solver-%d' % [n],\n  cmd: 'solve ' + nn,\n};\n[solver(1)]\n",
        "[\n  { name: 'one', cmd: },\n]\n",
        "local 迷路 = 3;\n[{ name: 'a' + (error '迷路が大きすぎる') }]\n",
        "[{ name: std.extVar('mode') }]\n",
        "import 'lib/missing.libsonnet'\n",
        "function(mode) [{ name: mode }]\n",
    ];
    insta::assert_snapshot!(told.map(refused).join("\n"), @"
    error: undefined local: nn
     --> spec.jsonnet:3:19
      |
    3 |   cmd: 'solve ' + nn,
      |                   ^
    hint: did you mean `n`?

    error: syntax error: unexpected '}'
     --> spec.jsonnet:2:23
      |
    2 |   { name: 'one', cmd: },
      |                       ^

    error: syntax error: unexpected character
     --> spec.jsonnet:1:7
      |
    1 | local 迷路 = 3;
      |       ^
    hint: outside of strings and comments jsonnet is ASCII: put quotes around `迷..`

    error: the external variable `mode` is not given
     --> spec.jsonnet:1:20
      |
    1 | [{ name: std.extVar('mode') }]
      |                    ^
      while making [0].name
    hint: give it with `--ext-str mode=..` or `--ext-code mode=..`

    error: `lib/missing.libsonnet` cannot be imported: it is not in the working folder
      in spec.jsonnet

    error: the spec is a function and its argument `mode` is not given
      in spec.jsonnet
    hint: give it with `--tla-str mode=..` or `--tla-code mode=..`
    ");
}

#[test]
fn mistakes_between_trials_are_told_all_at_once() {
    let told = refused(
        r#"{engine: "local", trials: [
            {name: "one", cmd: "true", depends: ["solver-3"]},
            {name: "two", cmd: "true"},
            {name: "two", cmd: "false"},
            {name: "a1", cmd: "true", depends: ["b1"]},
            {name: "b1", cmd: "true", depends: ["c1"]},
            {name: "c1", cmd: "true", depends: ["a1"]},
            {name: "solver-1", cmd: "true"},
            {name: "solver-2", cmd: "true", cpus: 4000},
            {name: "web", engine: "fake"},
        ]}"#,
    );
    let cpus = std::thread::available_parallelism().unwrap();
    insta::assert_snapshot!(told.replace(&format!("host has {cpus} CPU"), "host has [N] CPU"), @"
    error: the experiment `spec` cannot run
      the name `two` is used by 2 trials: [1], [2]
      `one` depends on `solver-3`, which is not in the experiment
        did you mean `solver-2`?
      `solver-2` asks for 4000 CPUs, but the engine's host has [N] CPUs
        ask for less, or run it on a larger host
      trials depend on each other in a circle: `a1` -> `b1` -> `c1` -> `a1`
        remove one of these from `depends`
    ");
}

#[test]
fn a_missing_image_is_told_by_plan_also_where_no_docker_answers() {
    let lab = Lab::with(r#"[{name: "one", cmd: "true"}]"#);
    let said = lab.combu(&["plan", "spec.jsonnet"]);
    insta::assert_snapshot!(said.stderr, @r#"
    warning: no docker engine answers at unix:///nonexistent: no such file: /nonexistent (is the daemon running? DOCKER_HOST or `docker context use` choose another one); images, networks and limits were not looked at
    error: the experiment `spec` cannot run
      `one` has no `image`, which the engine docker needs
        give it an `image`, or `engine: "local"` to run it as a process
    "#);
    assert_eq!(said.code, Some(2));
}

#[test]
fn a_standard_stream_that_takes_nothing_costs_no_run() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let closed = || std::io::pipe().unwrap().1;
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "good", cmd: "true"}, {name: "bad", cmd: "false"}]}"#);
    for args in [
        &["run", "spec.jsonnet"][..],
        &["run", "spec.jsonnet", "--progress", "json"],
        &["run", "spec.jsonnet", "-o", "json"],
    ] {
        let line = format!("exec {} {} >&- 2>&-", env!("CARGO_BIN_EXE_combu"), args.join(" "));
        let mut no_streams = lab.command("sh");
        no_streams.args(["-c", &line]);
        let mut no_room = lab.command(env!("CARGO_BIN_EXE_combu"));
        no_room.args(args).stdout(full()).stderr(full());
        let mut no_reader = lab.command(env!("CARGO_BIN_EXE_combu"));
        no_reader.args(args).stdout(closed()).stderr(closed());
        for mut command in [no_streams, no_room, no_reader] {
            assert_eq!(command.status().unwrap().code(), Some(100), "{args:?}");
        }
    }
    assert_eq!(lab.runs().len(), 9);
    for run in lab.runs() {
        assert_eq!(named(&stored(&run), "run-ended")[0]["early"], Value::Null);
    }
}

#[test]
fn a_pipe_is_no_spec() {
    let lab = Lab::new();
    lab.pipe("spec.jsonnet");
    let said = lab.combu(&["plan", "spec.jsonnet"]).code(2);
    insta::assert_snapshot!(said.stderr, @"error: cannot read the spec `spec.jsonnet`: it is no file: `kill` knows what a spec started by the spec's path, which has to last; `-` reads a spec from standard input");
}

#[test]
fn a_spec_comes_from_standard_input_and_is_known_by_its_name() {
    let lab = Lab::new();
    let piped = |spec: &str, args: &[&str]| {
        lab.write("piped", spec);
        let mut command = lab.command(env!("CARGO_BIN_EXE_combu"));
        Live::new(command.args(args).stdin(std::fs::File::open(lab.path("piped")).unwrap()).spawn().unwrap()).end()
    };
    let trials = "[{name: 'one', engine: 'local', cmd: 'cat data'}]";
    let spec = format!("{{name: 'sweep', trials: {trials}}}");
    lab.write("data", "of the working folder\n");
    lab.write("trials.libsonnet", trials);
    let imports = "{name: 'sweep', trials: import 'trials.libsonnet'}";
    let unnamed = piped(trials, &["run", "-"]).code(2);
    insta::assert_snapshot!(unnamed.stderr, @"
    error: the spec `<stdin>` is not valid
      a spec from standard input needs a `name` without `/`, by which its runs are known
        write { name: 'sweep', trials: [ .. ] }
    ");
    let wrong = piped("[{name: 'one',\n cmd: nothing}]", &["plan", "-"]).code(2);
    insta::assert_snapshot!(wrong.stderr, @"
    error: undefined local: nothing
     --> <stdin>:2:7
      |
    2 |  cmd: nothing}]
      |       ^
    ");

    assert!(piped(imports, &["-f", "-", "plan"]).code(0).stdout.contains("experiment sweep"));
    piped(&spec, &["-f", "-", "run"]).code(0);
    assert_eq!(lab.log("one"), "of the working folder\n");
    let done = piped(&spec, &["run", "-", "--resume"]).code(0);
    assert!(done.stderr.contains("nothing to do: 1 trial succeeded before"), "{}", done.stderr);
    let changed = spec.replace("cat data", "sleep 1000");
    let detached = piped(&changed, &["run", "-", "-d"]).code(0);
    let kill = format!("combu kill {}", detached.stdout.trim());
    assert!(detached.stderr.contains(&kill), "{}", detached.stderr);
    lab.combu(&["kill", detached.stdout.trim()]).code(0);
    piped(&changed, &["run", "-", "-d"]).code(0);
    lab.combu(&["-f", "sweep", "kill"]).code(0);
    let shown = lab.combu(&["ls", "-f", "sweep"]).code(0).stdout;
    assert_eq!(shown.matches("interrupted").count(), 2, "{shown}");
}
