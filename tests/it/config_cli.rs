//! Files of run options, the order of all that says one, and what is shown of it.

use crate::harness::Lab;

const SPEC: &str = "{ retries: 1, stop_grace: '5s', trials: [{ name: 'one', engine: 'local', cmd: 'true' }] }";

/// A lab with a file of the user and one of the machine.
fn with(user: &str, machine: &str) -> Lab {
    let mut lab = Lab::with(SPEC);
    lab.write(".config/combu/config.toml", user);
    lab.write("machine.toml", machine);
    let machine = lab.path("machine.toml").display().to_string();
    lab.set("COMBU_MACHINE_CONFIG", machine);
    lab
}

/// The options that a run was given, as its first event has them.
fn options(lab: &Lab, args: &[&str]) -> String {
    let said = lab.combu(&[args, &["--progress", "json"]].concat()).code(0);
    let started = said.events().into_iter().find(|event| event["event"] == "run-started").unwrap();
    started["options"].to_string()
}

#[test]
fn the_command_line_wins_over_script_spec_user_and_machine() {
    let lab = with(
        "parallel = 3\nstop_grace = \"7s\"\nseed = 5\n[limits]\nlicense = 1\n",
        "parallel = 9\nseed = 6\nretries = 8\nmemory = \"1g\"\n[limits]\ngpu = 2\n",
    );
    lab.write(
        "sweep.rhai",
        "let e = experiment(\"own\", [#{ name: \"one\", engine: \"local\", cmd: \"true\" }]); run(e, #{ parallel: 2 });",
    );
    let told = [
        options(&lab, &["run", "spec.jsonnet"]),
        options(&lab, &["run", "spec.jsonnet", "-j", "1", "--limit", "license=7"]),
        options(&lab, &["script", "sweep.rhai", "--retries", "4"]),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"parallel":"3","memory":1073741824,"limits":{"gpu":2,"license":1},"retries":{"count":1,"backoff":"fixed"},"stop_grace":5,"seed":5}
    {"parallel":"1","memory":1073741824,"limits":{"gpu":2,"license":7},"retries":{"count":1,"backoff":"fixed"},"stop_grace":5,"seed":5}
    {"parallel":"2","memory":1073741824,"limits":{"gpu":2,"license":1},"retries":{"count":4,"backoff":"fixed"},"stop_grace":7,"seed":5}
    "#);
}

#[test]
fn each_option_is_shown_with_what_says_it() {
    let lab = with("parallel = 3\nstop_grace = \"7s\"\n", "# the lab's\n\nparallel = 9\nmemory = \"1g\"\n");
    let folder = lab.path("").display().to_string();
    let shown = |args: &[&str]| {
        let said = lab.combu(args).code(0);
        format!("{}{}", said.stderr, said.stdout).replace(&folder, "LAB/")
    };
    insta::assert_snapshot!(shown(&["config"]), @"
    user: LAB/.config/combu/config.toml
    machine: LAB/machine.toml
    memory      1073741824  LAB/machine.toml:4
    parallel    3           LAB/.config/combu/config.toml:1
    stop_grace  7           LAB/.config/combu/config.toml:2
    ");
    insta::assert_snapshot!(shown(&["config", "spec.jsonnet", "-j", "1"]), @r#"
    user: LAB/.config/combu/config.toml
    machine: LAB/machine.toml
    memory      1073741824                     LAB/machine.toml:4
    parallel    1                              command line
    retries     {"count":1,"backoff":"fixed"}  spec.jsonnet
    stop_grace  5                              spec.jsonnet
    "#);
    let json = lab.combu(&["config", "-o", "json"]).code(0).json();
    assert_eq!(json["memory"]["value"], 1 << 30);
    let bare = Lab::new();
    let said = bare.combu(&["config"]).code(0);
    assert!(said.stderr.contains("(not there)") && said.stdout.is_empty(), "{}", said.stderr);
}

#[test]
fn a_mistake_in_a_file_starts_nothing_and_is_told_with_its_line() {
    let lab = with("seed = 1\nparalel = 3\n", "");
    let said = lab.combu(&["run", "spec.jsonnet"]).code(2);
    let told = said.stderr.replace(&lab.path("").display().to_string(), "LAB/");
    insta::assert_snapshot!(told, @"
    error: unknown key `paralel`
     --> LAB/.config/combu/config.toml:2:1
      |
    2 | paralel = 3
      | ^
    hint: did you mean `parallel`?
    ");
    assert!(lab.runs().is_empty());
    lab.combu(&["ls"]).code(4);
}

#[test]
fn the_schema_is_printed_and_a_spec_may_name_it() {
    let lab = Lab::with("{ '$schema': './spec.schema.json', trials: [{ name: 'one', engine: 'local', cmd: 'true' }] }");
    let schema = lab.combu(&["help", "schema"]).code(0).json();
    assert_eq!(schema["$defs"]["trial"]["required"][0], "name");
    lab.combu(&["run", "spec.jsonnet"]).code(0);
}

#[test]
fn calls_to_engines_are_shown_and_no_value_of_a_variable() {
    let mut lab = Lab::with(
        "[{ name: 'one', engine: 'local', cmd: ['sh', '-c', 'test \"$TOKEN$GIVEN$FILED\" = secret-1secret-2secret-3'],
           env: { GIVEN: 'secret-2' }, pass_env: ['TOKEN'], env_file: '.env', params: { key: 'secret-4' } },
         { name: 'two', engine: 'local', cmd: '/no/such/program', env: { GIVEN: 'secret-2' }, pass_env: ['TOKEN'] }]",
    );
    lab.write(".env", "FILED=secret-3\n");
    lab.set("TOKEN", "secret-1");
    let plain = lab.combu(&["run", "spec.jsonnet"]).code(100);
    assert!(!plain.stderr.contains("DEBUG"), "{}", plain.stderr);
    let once = lab.combu(&["run", "spec.jsonnet", "-v"]).code(100);
    assert!(once.stderr.contains("DEBUG local: start one attempt 1: done in"), "{}", once.stderr);
    assert!(once.stderr.contains("local: start two attempt 1: failed in"), "{}", once.stderr);
    assert!(!once.stderr.contains("TRACE"), "{}", once.stderr);
    lab.set("COMBU_LOG", "trace");
    let traced = lab.combu(&["run", "spec.jsonnet", "-vv"]).code(100);
    assert!(traced.stderr.contains("TRACE"), "{}", traced.stderr);
    for said in [&plain, &once, &traced] {
        assert!(!said.stderr.contains("secret-"), "{}", said.stderr);
    }
    lab.set("COMBU_LOG", "debgu");
    let said = lab.combu(&["run", "spec.jsonnet"]).code(2);
    assert_eq!(said.stderr, "error: COMBU_LOG=debgu is no level of detail\nhint: did you mean `debug`?\n");
}

#[test]
fn manual_pages_are_written_for_every_verb() {
    let lab = Lab::new();
    lab.combu(&["man", "pages/man1"]).code(0);
    for name in ["combu", "combu-run", "combu-results", "combu-help"] {
        let page = lab.read(format!("pages/man1/{name}.1"));
        assert!(page.starts_with(".ie") && page.contains(".SH OPTIONS"), "{name}: {page}");
    }
    assert!(lab.combu(&["man"]).code(0).stdout.contains(".TH combu"));
}
