//! `combu plan` and what a spec can take from outside: seen without starting anything.

use serde_json::json;

use crate::harness::Lab;

const SWEEP: &str = r#"
    // 迷路を解く実験: どの解法が速いか
    local combu = import 'combu.libsonnet';
    {
      name: 'maze',
      engine: 'fake',
      defaults: { image: 'lab/solver' },
      trials: [{ name: 'db', image: 'postgres' }] + [
        { name: combu.name('solver', p), cmd: ['solve', '--mode', p.mode], params: p, depends: ['db'] }
        for p in combu.grid({ mode: ['hard', 'soft'], '迷路': [1, 2] })
      ] + [{ name: 'report', cmd: "sh -c 'cat *.csv'", cpus: 0.5,
             depends: [{ trial: 'solver-hard-1', condition: 'completed' }, 'db'] }],
    }
"#;

#[test]
fn a_plan_shows_groups_services_and_what_is_waited_for() {
    let lab = Lab::with(SWEEP);
    let said = lab.combu(&["plan", "spec.jsonnet"]).code(0);
    assert_eq!(said.stderr, "");
    insta::assert_snapshot!(said.stdout, @"
    experiment maze: 6 trials in 3 groups

    group 1: 1 trial
      db (service)  postgres

    group 2: 4 trials
      solver-hard-1  lab/solver: solve --mode hard  after db
      solver-hard-2  lab/solver: solve --mode hard  after db
      solver-soft-1  lab/solver: solve --mode soft  after db
      solver-soft-2  lab/solver: solve --mode soft  after db

    group 3: 1 trial
      report  lab/solver: sh -c 'cat *.csv'  after solver-hard-1 completed, db
    ");
    assert!(!lab.path(".combu").exists());
}

#[test]
fn a_dry_run_is_the_plan_and_starts_nothing() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "touch started"}]}"#);
    let planned = lab.combu(&["plan", "spec.jsonnet"]).code(0);
    let dry = lab.combu(&["run", "spec.jsonnet", "--dry-run"]).code(0);
    assert_eq!((dry.stdout, dry.stderr), (planned.stdout, planned.stderr));
    let planned = lab.combu(&["plan", "spec.jsonnet", "-o", "json", "-j", "3"]).code(0);
    let dry = lab.combu(&["run", "spec.jsonnet", "--dry-run", "-o", "json", "-j", "3"]).code(0);
    assert_eq!(dry.stdout, planned.stdout);
    assert!(!lab.path("started").exists() && !lab.path(".combu").exists());
}

#[test]
fn a_resolved_spec_gives_the_same_plan_again_and_runs() {
    let lab = Lab::with(SWEEP);
    let options = ["--retries", "1", "--timeout", "90s", "--seed", "7", "-j", "50%"];
    let resolved = lab.combu(&[&["plan", "spec.jsonnet", "-o", "json"][..], &options].concat()).code(0);
    assert_eq!(resolved.json()["trials"][1]["params"], json!({"mode": "hard", "迷路": 1}));
    lab.write("again.json", &resolved.stdout);
    let again = lab.combu(&["plan", "again.json", "-o", "json"]).code(0);
    assert_eq!(again.stdout, resolved.stdout);
    let text = |spec| lab.combu(&["plan", spec]).code(0).stdout;
    assert_eq!(text("again.json"), text("spec.jsonnet"));
    lab.combu(&["run", "again.json"]).code(0);
}

#[test]
fn a_plan_warns_of_fields_that_no_engine_acts_on() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "true", networks: ["irl"], tmpfs: "/x"}]}"#);
    let said = lab.combu(&["plan", "spec.jsonnet"]).code(0);
    insta::assert_snapshot!(said.stderr, @"
    warning: the engine local ignores `networks` (`one`)
    warning: the engine local ignores `tmpfs` (`one`)
    ");
    assert!(lab.combu(&["run", "spec.jsonnet"]).code(0).stderr.contains("networks"));
}

#[test]
fn without_docker_a_plan_is_made_from_the_spec_alone() {
    let lab = Lab::with(r#"[{name: "web", image: "nginx"}, {name: "one", image: "busybox", depends: ["web"]}]"#);
    let said = lab.combu(&["plan", "spec.jsonnet"]).code(0);
    insta::assert_snapshot!(said.stdout, @"
    experiment spec: 2 trials in 2 groups

    group 1: 1 trial
      web (service)  nginx

    group 2: 1 trial
      one  busybox  after web
    ");
    assert!(said.stderr.starts_with("warning: no docker engine answers at unix:///nonexistent"), "{}", said.stderr);
}

/// The commands of the trials in a plan.
#[track_caller]
fn commands(lab: &Lab, args: &[&str]) -> Vec<String> {
    let said = lab.combu(&[&["plan", "-o", "json"][..], args].concat()).code(0);
    let trials = said.json()["trials"].as_array().unwrap().clone();
    trials
        .iter()
        .map(|trial| trial["cmd"].as_array().unwrap()[1..].iter().map(|word| word.as_str().unwrap()).collect())
        .collect()
}

#[test]
fn a_spec_takes_external_variables_and_arguments() {
    let mut lab = Lab::with(
        "{engine: 'local', trials: [{name: 'one', cmd: ['echo', std.extVar('text'), '%d' % std.extVar('code').n]}]}",
    );
    assert_eq!(commands(&lab, &["spec.jsonnet", "--ext-str", "text=a=b", "--ext-code", "code={n: 1 + 2}"]), ["a=b3"]);
    lab.set("text", "from the environment");
    let args = ["spec.jsonnet", "-V", "text", "--ext-code", "code={n: 0}"];
    assert_eq!(commands(&lab, &args), ["from the environment0"]);

    lab.write("f.jsonnet", "function(mode, n=1) {engine: 'local', trials: [{name: 'one', cmd: ['echo', mode + n]}]}");
    assert_eq!(commands(&lab, &["f.jsonnet", "--tla-str", "mode=難しい"]), ["難しい1"]);
    assert_eq!(commands(&lab, &["f.jsonnet", "-A", "mode=x", "--tla-code", "n=2 * 3"]), ["x6"]);
}

#[test]
fn imports_are_found_beside_the_file_and_then_in_the_last_folder_given() {
    let lab = Lab::new();
    lab.write(
        "specs/spec.jsonnet",
        "(import 'lib/make.libsonnet')((import 'near.libsonnet') + (import 'far.libsonnet'))",
    );
    lab.write(
        "specs/lib/make.libsonnet",
        "function(words) {engine: 'local', trials: [{name: 'one', cmd: ['echo', words]}]}",
    );
    lab.write("specs/near.libsonnet", "'near'");
    lab.write("first/near.libsonnet", "'wrong'");
    lab.write("first/far.libsonnet", "' first'");
    lab.write("second/far.libsonnet", "' second'");
    let args = ["specs/spec.jsonnet", "-J", "second", "-J", "first"];
    assert_eq!(commands(&lab, &args), ["near first"]);
    let args = ["specs/spec.jsonnet", "--jpath", "first", "--jpath", "second"];
    assert_eq!(commands(&lab, &args), ["near second"]);
}

#[test]
fn the_uuid_is_one_value_in_all_trials_and_another_in_each_run() {
    let lab = Lab::with(
        "local uuid = \"UUID\";
        {engine: 'local', trials: [
          {name: 'solver-%d-%s' % [n, uuid], cmd: ['sh', '-c', 'echo %s $COMBU_RUN_ID %s' % [uuid, std.extVar('combu.id')]]}
          for n in [1, 2]
        ]}",
    );
    let mut ids = Vec::new();
    for _ in 0..2 {
        let result = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(0).json();
        let run = result["run"].as_str().unwrap().to_owned();
        for n in [1, 2] {
            let trial = &result["results"][n - 1];
            assert_eq!(trial["trial"]["name"], format!("solver-{n}-{run}"));
            assert_eq!(lab.read(trial["logs"]["stdout"].as_str().unwrap()), format!("{run} {run} {run}\n"));
        }
        assert!(run.len() == 12 && run.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase()), "{run}");
        ids.push(run);
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_spec_that_takes_all_stack_or_memory_is_an_error_and_ends_nothing_but_its_evaluation() {
    let lab = Lab::new();
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    lab.write("deep.jsonnet", &deep);
    lab.write("deep.json", &deep);
    for spec in ["deep.jsonnet", "deep.json"] {
        let said = lab.combu(&["plan", spec]).code(2);
        assert_eq!(
            said.stderr,
            format!(
                "error: it nests too deeply: the jsonnet evaluator ran out of stack\n  in {spec}\nhint: look for a field \
                 that needs itself again and again, or a value inside thousands of others\n"
            )
        );
    }
    // Nobody counts how deep objects are that extend each other; which value was to be made is found out afterwards.
    lab.write(
        "extends.jsonnet",
        "local T = { n: 1, local me = self, depth: if self.n <= 1 then 1 else (T { n: me.n }).depth };
        { trials: [{ name: 'aa', image: 'x' }, { name: 'bb', image: 'x', params: { depth: (T { n: 3 }).depth } }] }",
    );
    let said = lab.combu(&["plan", "extends.jsonnet"]).code(2);
    assert!(said.stderr.contains("ran out of stack\n --> extends.jsonnet:2:74\n"), "{}", said.stderr);
    assert!(said.stderr.contains("\n  while making trials[1].params\n"), "{}", said.stderr);
    lab.write(
        "doubles.jsonnet",
        "local d(s, n) = if n == 0 then s else d(s + s, n - 1); [{ name: 'aa', image: 'x', cmd: d('x', 40) }]",
    );
    let said = lab.combu(&["plan", "doubles.jsonnet"]).code(2);
    assert!(said.stderr.starts_with("error: evaluating it takes more than "), "{}", said.stderr);
    assert!(said.stderr.contains(" GiB of memory\n --> doubles.jsonnet:1:"), "{}", said.stderr);
    assert!(said.stderr.contains("\n  while making [0].cmd\n"), "{}", said.stderr);
    lab.write(
        "live.rhai",
        r#"
        let first = run(trial(#{ name: "first", cmd: "true", engine: "local" }));
        for spec in ["deep.jsonnet", "doubles.jsonnet"] {
            try { experiment(spec); print("loaded") } catch (error) { print(`${error}`.split("\n")[0]) }
        }
        print(first.ok);
        "#,
    );
    let said = lab.combu(&["script", "live.rhai"]).code(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[0].contains("it nests too deeply"), "{}", said.stdout);
    assert!(lines[1].contains("GiB of memory"), "{}", said.stdout);
    assert_eq!(lines[2], "true");
}
