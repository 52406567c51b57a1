//! What users write may be larger than a program can be given: params come as a file, everything else is refused before
//! anything starts.

use crate::docker_lab::docker_lab;
use crate::harness::{Lab, named};

/// Shows whether the variables are there, and the size and end of what the file holds.
const SHOW: &str = "['sh', '-c', 'echo \"${COMBU_PARAMS-none} ${COMBU_PARAM_PROMPT-none} $COMBU_PARAM_LR\"; \
                     wc -c < $COMBU_PARAMS_FILE; tail -c 15 $COMBU_PARAMS_FILE']";
const SHOWN: &str = "none none 0.1\n140022\nxxxxxxxxxxxxx\"}";

fn spec(more: &str) -> String {
    format!(
        "[{{name: '@big', {more}, params: {{lr: 0.1, prompt: std.repeat('x', 140000)}}, cmd: {SHOW}}},
          {{name: '@nul', {more}, params: {{text: 'a\\u0000b'}}, depends: [{{trial: '@big', condition: 'completed'}}],
            cmd: ['sh', '-c', 'echo \"$COMBU_PARAMS ${{COMBU_PARAM_TEXT-none}}\"; cat $COMBU_PARAMS_FILE']}},
          {{name: '@small', {more}, params: {{lr: 1}}, cmd: ['sh', '-c', 'echo $COMBU_PARAMS ${{COMBU_PARAMS_FILE-none}}']}}]"
    )
}

const NUL: &str = "{\"text\":\"a\\u0000b\"} none\n{\"text\":\"a\\u0000b\"}";

#[test]
fn params_that_do_not_fit_into_the_environment_come_as_a_file() {
    let lab = Lab::with(&spec("engine: 'local'").replace('@', ""));
    let said = lab.combu(&["run", "spec.jsonnet", "--progress", "json"]).code(0);
    let events = said.events();
    let warnings = named(&events, "warned");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    insta::assert_snapshot!(warnings[0]["message"].as_str().unwrap(), @"not all params of `big` fit into its environment (Linux takes 128 KiB in a variable, and no NUL byte): those that do not are left out, and COMBU_PARAMS_FILE names a file that has all of them");
    assert_eq!([lab.log("big"), lab.log("nul"), lab.log("small")], [SHOWN, NUL, "{\"lr\":1} none\n"]);
}

#[test]
fn a_container_finds_params_that_do_not_fit_in_a_file() {
    let more = "image: 'IMAGE', networks: ['@net'], user: '1234'";
    let Some(lab) = docker_lab(&spec(more)) else { return };
    lab.run(&["--progress", "none"]).code(0);
    let logs = ["@big", "@nul", "@small"].map(|name| lab.lab.log(&lab.own(name)));
    assert_eq!(logs, [SHOWN, NUL, "{\"lr\":1} none\n"]);
    lab.assert_empty();
}

#[test]
fn a_command_or_variable_that_no_program_can_be_given_starts_nothing() {
    let mut lab = Lab::with(
        "local long = std.repeat('x', 140000);
        [{name: 'free', engine: 'local', cmd: 'touch began', workdir: '.'},
         {name: 'env', engine: 'local', cmd: 'true', env: {LONG: long}},
         {name: 'cmd', engine: 'local', cmd: ['echo', long]},
         {name: 'all', engine: 'local', cmd: ['echo'] + [std.repeat('x', 100000) for n in std.range(1, 20)]}]",
    );
    let said = lab.combu(&["run", "spec.jsonnet"]).code(2);
    insta::assert_snapshot!(said.stderr, @"
    error: the experiment `spec` cannot run
      the variable `LONG` of `env` has 140006 bytes, and no program can be given more than 131072
        write it to a file and mount that with `volumes`, or make it one of the `params`
      a word in the `cmd` of `cmd` has 140001 bytes, and no program can be given more than 131072
        write it to a file and mount that with `volumes`, or make it one of the `params`
      the command with the `env` of `all` has 2000025 bytes, and no program can be given more than 1572864
        write it to a file and mount that with `volumes`, or make it one of the `params`
    ");
    assert!(!lab.path("began").exists());
    lab.write(
        "spec.jsonnet",
        "[{name: 'one', engine: 'local', cmd: 'true', pass_env: ['LONG'], env_file: 'long.env'}]",
    );
    lab.write("long.env", &format!("LONG_TOO={}\n", "y".repeat(140_000)));
    // Not passed to combu itself, which could not be started with it.
    lab.set("LONG", "short");
    let said = lab.combu(&["run", "spec.jsonnet"]).code(2);
    assert!(
        said.stderr.contains("line 1 has 140010 bytes, and no program can be given more than 131072"),
        "{}",
        said.stderr
    );
    lab.write("long.env", &(0..20).map(|n| format!("V{n}={}\n", "y".repeat(100_000))).collect::<String>());
    let said = lab.combu(&["run", "spec.jsonnet"]).code(2);
    assert!(said.stderr.contains("its command and variables have 2000"), "{}", said.stderr);
    assert!(!said.stderr.contains("yyy"));
}

#[test]
fn a_nul_byte_is_refused_with_its_place() {
    let lab = Lab::with(
        "[{name: 'one', engine: 'local', cmd: ['true', 'a\\u0000b'], workdir: 'a\\u0000', env: {D: 'a\\u0000b'},
           labels: {'a\\u0000': 1}, params: {x: '\\u0000'}}]",
    );
    let said = lab.combu(&["plan", "spec.jsonnet"]).code(2);
    insta::assert_snapshot!(said.stderr, @r#"
    error: the spec `spec.jsonnet` is not valid
      [0].env.D: no NUL byte can stand in it
      [0].cmd[1]: no NUL byte can stand in it
      [0].workdir: no NUL byte can stand in it
      [0].labels["a\0"]: no NUL byte can stand in its name
    "#);
}
