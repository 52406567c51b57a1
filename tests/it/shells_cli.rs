//! Completions in real shells: bash, zsh and fish. Where one is missing its test is skipped aloud, or fails if
//! `COMBU_TEST_SHELLS=required`.

use std::io::Write;
use std::path::Path;

use crate::harness::{Lab, Live};

/// A lab with a run of two trials, in which `combu` is in the PATH; `None`: that shell is missing.
fn with_run(shell: &str) -> Option<Lab> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&paths).any(|folder| folder.join(shell).exists()) {
        let is_required = std::env::var("COMBU_TEST_SHELLS").is_ok_and(|wish| wish == "required");
        assert!(!is_required, "COMBU_TEST_SHELLS=required, but there is no `{shell}`");
        writeln!(std::io::stderr(), "SKIPPED (no {shell}): completions: apt install {shell}")
            .expect("stderr can be written");
        return None;
    }
    let mut lab = Lab::with("[{ name: n, engine: 'local', cmd: 'true' } for n in ['solver-a', 'solver-b']]");
    let program = Path::new(env!("CARGO_BIN_EXE_combu")).parent().unwrap().display().to_string();
    lab.set("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()));
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    let said = lab.combu(&["completions", shell]).code(0);
    lab.write("completion", &said.stdout);
    Some(lab)
}

/// Runs a shell with a script, and what it printed.
fn ask(lab: &Lab, shell: &str, args: &[&str], script: &str) -> String {
    lab.write("ask", script);
    let mut command = lab.command(shell);
    let said = Live::new(command.args(args).arg("ask").spawn().unwrap()).end();
    assert_eq!(said.code, Some(0), "{}\n{}", said.stdout, said.stderr);
    said.stdout
}

/// Command lines that are completed at their end, and what has to be offered.
fn cases(lab: &Lab) -> Vec<(&'static str, String)> {
    let run = lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    vec![
        ("combu pl", "plan".to_owned()),
        ("combu run --resu", "--resume".to_owned()),
        ("combu run spec.jsonnet --para", "--parallel".to_owned()),
        ("combu run sp", "spec.jsonnet".to_owned()),
        ("combu logs solver-", "solver-b".to_owned()),
        ("combu resume las", "last".to_owned()),
        ("combu resume ", run),
        ("combu kill last --trial solver-", "solver-a".to_owned()),
    ]
}

#[test]
fn bash_completes_verbs_options_files_runs_and_trials() {
    let Some(lab) = with_run("bash") else { return };
    for (line, wanted) in cases(&lab) {
        let script = format!(
            "source ./completion
            COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
            read -ra COMP_WORDS <<< \"$COMP_LINE\"
            case \"$COMP_LINE\" in *' ') COMP_WORDS+=('') ;; esac
            COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
            spec=$(complete -p combu); function=${{spec##*-F }}; function=${{function%% *}}
            \"$function\" combu \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
            printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = ask(&lab, "bash", &["--norc"], &script);
        assert!(offered.lines().any(|word| word.trim_end() == wanted), "{line}: {offered}");
    }
}

#[test]
fn fish_completes_verbs_options_files_runs_and_trials() {
    let Some(lab) = with_run("fish") else { return };
    for (line, wanted) in cases(&lab) {
        let offered = ask(&lab, "fish", &["--no-config"], &format!("source ./completion; complete -C '{line}'"));
        assert!(offered.lines().any(|word| word.split('\t').next() == Some(&*wanted)), "{line}: {offered}");
    }
}

#[test]
fn zsh_completes_verbs_options_files_runs_and_trials() {
    let Some(lab) = with_run("zsh") else { return };
    for (line, wanted) in cases(&lab) {
        // What the completion gives to zsh's own `_describe` and `compadd` is what zsh would offer.
        let script = format!(
            "autoload -U compinit; compinit -D
            source ./completion
            _describe() {{ local name=$@[-1]; print -l -- ${{(P)name}} }}
            compadd() {{ print -l -- $@ }}
            line='{line}'
            words=(${{=line}}); [[ $line == *' ' ]] && words+=('')
            CURRENT=$#words
            ${{_comps[combu]}}"
        );
        let offered = ask(&lab, "zsh", &["-f"], &script);
        let is_wanted =
            |word: &str| word == wanted || word.starts_with(&format!("{wanted}:")) || word == format!("{wanted} ");
        assert!(offered.lines().any(is_wanted), "{line}: {offered}");
    }
}
