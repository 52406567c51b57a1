//! Verbs and options that combu does not have, and what is meant by them.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::doors::{FileKind, OTHER_VERBS};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::verbs::command;
use crate::model::suggest::nearest;

/// The error of a word that combu does not have; `None`: the command line is wrong otherwise, and clap says how.
pub(crate) fn explain(error: &clap::Error, line: &[OsString]) -> Option<CliError> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let mut command = command();
    command.build();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            context(ContextKind::InvalidSubcommand).map(|word| unknown_verb(word, &command))
        }
        ErrorKind::UnknownArgument => {
            let word = context(ContextKind::InvalidArg)?;
            word.starts_with("--").then(|| unknown_option(word, verb(line, &command)))
        }
        // Alone, `-V` is the version; behind a verb it is jsonnet's own short form of `--ext-str`.
        ErrorKind::InvalidValue if line.last().is_some_and(|word| word == "-V") => {
            let error =
                CliError::new(exit::USAGE, "`-V` binds a variable of a spec and needs its name: `-V NAME=TEXT`");
            Some(error.hint("the version is `combu --version`"))
        }
        _ => None,
    }
}

fn unknown_verb(word: &str, command: &Command) -> CliError {
    let error = CliError::new(exit::USAGE, format!("there is no verb `{word}`"));
    let path = Path::new(word);
    if let Some(kind) = FileKind::of(path) {
        let (what, hint) = kind.advice(path);
        return CliError::new(exit::USAGE, format!("`{word}` {what}, and no verb")).hint(hint);
    }
    if path.exists() {
        return error.hint(format!("run a spec with `combu run {word}`, a script with `combu script {word}`"));
    }
    if let Some((_, words)) = OTHER_VERBS.iter().find(|(other, _)| *other == word.to_lowercase()) {
        return error.hint(format!("combu's word for it is `combu {words}`"));
    }
    if word == "init" {
        return error
            .hint("nothing is set up: write a spec and `combu run` it; `combu help spec` begins with an example");
    }
    let near = nearest(word, verbs(command)).or_else(|| {
        let near = nearest(word, OTHER_VERBS.iter().map(|(other, _)| *other))?;
        OTHER_VERBS.iter().find(|(other, _)| *other == near).map(|(_, words)| *words)
    });
    error.hint(match near {
        Some(near) => format!("did you mean `combu {near}`?"),
        None => "`combu --help` lists the verbs".to_owned(),
    })
}

/// Every verb that people type.
fn verbs(command: &Command) -> impl Iterator<Item = &str> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name)
}

fn unknown_option(word: &str, verb: &Command) -> CliError {
    let word = word.split(['=', ' ']).next().unwrap_or_default();
    let name = verb.get_bin_name().unwrap_or("combu");
    let error = CliError::new(exit::USAGE, format!("`{name}` has no option `{word}`"));
    let options = options(verb);
    let near = nearest(word.trim_start_matches('-'), options.iter().map(String::as_str));
    error.hint(match near {
        Some(near) => format!("did you mean `--{near}`?"),
        None => format!("`{name} --help` lists the options"),
    })
}

/// The long names of a verb's options, and their other names.
fn options(verb: &Command) -> Vec<String> {
    let shown = verb.get_arguments().filter(|arg| !arg.is_hide_set());
    let names = shown.flat_map(|arg| arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default()));
    names.map(str::to_owned).collect()
}

/// The verb of a command line, or combu itself.
fn verb<'a>(line: &[OsString], command: &'a Command) -> &'a Command {
    let words = line.iter().skip(1).filter_map(|word| word.to_str());
    words.filter_map(|word| command.find_subcommand(word)).next().unwrap_or(command)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{explain, options, verbs};
    use crate::cli::doors::OTHER_VERBS;
    use crate::cli::verbs::command;
    use crate::model::suggest::misspelt;

    /// The first hint about a command line.
    fn hint(words: &[&str]) -> String {
        let line: Vec<OsString> = std::iter::once("combu").chain(words.iter().copied()).map(OsString::from).collect();
        let error = command().try_get_matches_from(&line).unwrap_err();
        let told = explain(&error, &line).unwrap_or_else(|| panic!("{words:?}: {error}"));
        told.hints.into_iter().next().unwrap_or_default()
    }

    #[test]
    fn every_misspelt_verb_and_option_is_recognized() {
        let mut command = command();
        command.build();
        let known: Vec<&str> = verbs(&command).collect();
        assert!(known.len() > 15, "{known:?}");
        for verb in &known {
            let slips = misspelt(verb, &known);
            assert!(!slips.is_empty(), "{verb}");
            for slip in slips.iter().filter(|slip| OTHER_VERBS.iter().all(|(other, _)| other != slip)) {
                assert_eq!(hint(&[slip]), format!("did you mean `combu {verb}`?"), "{slip}");
            }
        }
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "script") {
            let options = options(verb);
            let known: Vec<&str> = options.iter().map(String::as_str).collect();
            for option in &known {
                for slip in misspelt(option, &known) {
                    let told = hint(&[verb.get_name(), &format!("--{slip}")]);
                    assert_eq!(told, format!("did you mean `--{option}`?"), "{} {slip}", verb.get_name());
                }
            }
        }
    }

    #[test]
    fn words_of_other_programs_lead_to_combus() {
        for (word, words) in OTHER_VERBS {
            assert_eq!(hint(&[word]), format!("combu's word for it is `combu {words}`"));
        }
        insta::assert_snapshot!(hint(&["rnu"]), @"did you mean `combu run`?");
        insta::assert_snapshot!(hint(&["experiment.jsonnet"]), @"run it with `combu run experiment.jsonnet`");
        insta::assert_snapshot!(hint(&["sweep.rhai", "-j", "2"]), @"run it with `combu script sweep.rhai`");
        insta::assert_snapshot!(hint(&["walk"]), @"`combu --help` lists the verbs");
        insta::assert_snapshot!(hint(&["init"]), @"nothing is set up: write a spec and `combu run` it; `combu help spec` begins with an example");
        insta::assert_snapshot!(hint(&["stpo"]), @"did you mean `combu kill`?");
        insta::assert_snapshot!(hint(&["run", "a.jsonnet", "--paralel=4"]), @"did you mean `--parallel`?");
        insta::assert_snapshot!(hint(&["ls", "--zebra"]), @"`combu ls --help` lists the options");
        insta::assert_snapshot!(hint(&["--verison"]), @"did you mean `--version`?");
    }
}
