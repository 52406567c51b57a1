//! The words behind a script's file: which of them are combu's own options, and which are the script's.

use std::ffi::OsString;

use clap::Command;

use crate::script::Parameters;

/// The words behind a script's file, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WordsBehind {
    /// Options of combu, with their values.
    pub(crate) combu: Vec<String>,
    /// What the script sees.
    pub(crate) script: Vec<String>,
    /// True where help is asked for.
    pub(crate) help: bool,
}

impl WordsBehind {
    /// Tells the words apart: an option that the script has a parameter for is the script's, as is all that stands behind
    /// `--`; `verb` says which options are combu's.
    pub(crate) fn told_apart(words: &[String], verb: &Command, parameters: &Parameters) -> Self {
        let mut behind = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                behind.script.extend(words.cloned());
                break;
            }
            let (to, takes_next) = if parameters.given(word).is_some() {
                (&mut behind.script, parameters.is_followed(word))
            } else if ["--help", "-h"].contains(&word.as_str()) {
                behind.help = true;
                continue;
            } else if let Some(takes_next) = own(word, verb) {
                (&mut behind.combu, takes_next)
            } else {
                (&mut behind.script, false)
            };
            to.push(word.clone());
            if takes_next {
                to.extend(words.next().cloned());
            }
        }
        behind
    }

    /// The command line with combu's options before the script's file, which is the first of the `trailing` words.
    pub(crate) fn reordered(&self, line: &[OsString], trailing: &[String]) -> Vec<OsString> {
        let before = &line[..line.len().saturating_sub(trailing.len())];
        let own = self.combu.iter().chain(trailing.first());
        before.iter().cloned().chain(own.map(OsString::from)).collect()
    }
}

/// Says whether an option of combu's is followed by its value; `None`: it is none of combu's.
fn own(word: &str, verb: &Command) -> Option<bool> {
    let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
    let (arg, has_value) = if let Some(long) = key.strip_prefix("--") {
        let named = |arg: &&clap::Arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(long) || aliases.contains(&long)
        };
        (verb.get_arguments().find(named)?, value.is_some())
    } else {
        let mut letters = word.strip_prefix('-')?.chars();
        let short = letters.next()?;
        (verb.get_arguments().find(|arg| arg.get_short() == Some(short))?, letters.next().is_some())
    };
    Some(arg.get_action().takes_values() && !arg.is_require_equals_set() && !has_value)
}

#[cfg(test)]
mod tests {
    use super::WordsBehind;
    use crate::cli::verbs::command;
    use crate::script::{Parameter, Parameters};

    fn parameter(name: &str, is_switch: bool) -> Parameter {
        Parameter { name: name.to_owned(), default: String::new(), about: String::new(), is_switch }
    }

    fn told_apart(words: &str) -> WordsBehind {
        let mut command = command();
        command.build();
        let list = vec![parameter("days", false), parameter("quick", true), parameter("memory", false)];
        let parameters = Parameters { list, ..Parameters::default() };
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        WordsBehind::told_apart(&words, command.find_subcommand("script").unwrap(), &parameters)
    }

    fn told(words: &str) -> String {
        let behind = told_apart(words);
        format!("{} | {}", behind.combu.join(" "), behind.script.join(" "))
    }

    #[test]
    fn combus_options_are_told_from_the_scripts() {
        let cases = [
            ("--engine fake --days 3", "--engine fake | --days 3"),
            ("--days --engine fake", " | --days --engine fake"),
            ("--days=3 -j -1 -j2 --jobs=4 --parallel 5", "-j -1 -j2 --jobs=4 --parallel 5 | --days=3"),
            ("--quick --nice 3 --nice=4", "--nice --nice=4 | --quick 3"),
            ("--memory 3 memory=4 a=5", " | --memory 3 memory=4 a=5"),
            ("--day 3 -x rest", " | --day 3 -x rest"),
            ("--seed 1 -- --engine fake --", "--seed 1 | --engine fake --"),
            ("-V a=b -J x -f y", "-V a=b -J x -f y | "),
        ];
        for (words, apart) in cases {
            assert_eq!(told(words), apart, "{words}");
        }
        assert!(told_apart("--days 1 --help").help && told_apart("-h").help);
        assert!(!told_apart("--days --help").help && !told_apart("-- --help").help);
    }
}
