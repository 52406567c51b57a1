//! The files of the user and of the machine that give run options to every run: found, read, and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::de::DeTable;

use crate::cli::error::{CliError, FilePlace};
use crate::cli::exit;
use crate::model::options::Options;
use crate::spec;

/// The machine's file, unless `COMBU_MACHINE_CONFIG` names another.
const MACHINE: &str = "/etc/combu/config.toml";

/// A file of run options.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    /// Whose it is: `user` or `machine`.
    pub(crate) owner: &'static str,
    /// What it says; nothing where it is not there.
    pub(crate) options: Options,
    /// The lines of its keys, from 1; absent where there is no file.
    pub(crate) lines: Option<BTreeMap<String, usize>>,
}

/// The files, the user's first: what it says wins over the machine's.
///
/// # Errors
/// When one cannot be read or understood, with its line.
pub(crate) fn files() -> Result<Vec<ConfigFile>, CliError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".config")));
    let user = folder.map(|folder| (folder.join("combu/config.toml"), "user"));
    let machine = (variable("COMBU_MACHINE_CONFIG").unwrap_or_else(|| MACHINE.into()), "machine");
    user.into_iter().chain([machine]).map(|(path, owner)| read(path, owner)).collect()
}

/// The options of all files: what stands below the spec.
///
/// # Errors
/// As for [`files`].
pub(crate) fn options_below() -> Result<Options, CliError> {
    Ok(files()?.into_iter().fold(Options::default(), |above, file| above.over(file.options)))
}

fn read(path: PathBuf, owner: &'static str) -> Result<ConfigFile, CliError> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if [std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(ConfigFile { path, owner, options: Options::default(), lines: None });
        }
        Err(error) => {
            return Err(CliError::new(exit::USAGE, format!("cannot read `{}`: {error}", path.display())));
        }
    };
    let (options, lines) = parse(&path, &text)?;
    Ok(ConfigFile { path, owner, options, lines: Some(lines) })
}

/// The options that a text says, and the lines of its keys.
fn parse(path: &Path, text: &str) -> Result<(Options, BTreeMap<String, usize>), CliError> {
    let wrong = |message: String, line: usize, column: usize| {
        let file = path.display().to_string();
        let text = text.lines().nth(line - 1).unwrap_or_default().to_owned();
        let place = Some(Box::new(FilePlace { file, line, column, text }));
        CliError { place, ..CliError::new(exit::USAGE, message) }
    };
    let syntax = |error: toml::de::Error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        wrong(format!("this is no TOML: {}", error.message().lines().next().unwrap_or_default()), line, column)
    };
    let table = DeTable::parse(text).map_err(syntax)?;
    let lines: BTreeMap<String, usize> =
        table.get_ref().keys().map(|key| (key.get_ref().to_string(), place(text, key.span().start).0)).collect();
    let values: Map<String, Value> = toml::from_str(text).map_err(syntax)?;
    let options = spec::options(&values).map_err(|problems| {
        let problem = problems.0.first().expect("what is wrong has a problem");
        // The first part of the place is the key; an unknown key stands in the message.
        let key = lines.keys().find(|key| problem.message == format!("unknown key `{key}`"));
        let key = key.map(String::as_str).or_else(|| problem.at.split(['.', '[']).next()).unwrap_or_default();
        let at = if problem.at.is_empty() { String::new() } else { format!("{}: ", problem.at) };
        let error = wrong(format!("{at}{}", problem.message), lines.get(key).copied().unwrap_or(1), 1);
        CliError { hints: problem.hint.iter().cloned().collect(), ..error }
    })?;
    Ok((options, lines))
}

/// The line and column of a byte, from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;
    use crate::report::Style;

    fn told(text: &str) -> String {
        match parse(Path::new("/etc/combu/config.toml"), text) {
            Ok((options, lines)) => format!("{} {lines:?}", serde_json::to_string(&options).unwrap()),
            Err(error) => error.render(&Style::PLAIN),
        }
    }

    #[test]
    fn run_options_are_read_with_their_lines() {
        insta::assert_snapshot!(told("# the lab's\nparallel = \"50%\"\n\nretries = { count = 2, delay = \"5s\" }\nstop_grace = 30\n\n[limits]\nlicense = 2\n"), @r#"{"parallel":"50%","limits":{"license":2},"retries":{"count":2,"delay":5,"backoff":"fixed"},"stop_grace":30} {"limits": 7, "parallel": 2, "retries": 4, "stop_grace": 5}"#);
        insta::assert_snapshot!(told(""), @"{} {}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        insta::assert_snapshot!(told("parallel = 2\npar allel = 3\n"), @"
        error: this is no TOML: key with no value, expected `=`
         --> /etc/combu/config.toml:2:5
          |
        2 | par allel = 3
          |     ^
        ");
        let rest = [
            told("seed = 1\nparalel = 3\n"),
            told("seed = 1\n[retries]\ncount = \"two\"\n"),
            told("timeout = 1979-05-27\n"),
        ];
        insta::assert_snapshot!(rest.join("\n"), @r#"
        error: unknown key `paralel`
         --> /etc/combu/config.toml:2:1
          |
        2 | paralel = 3
          | ^
        hint: did you mean `parallel`?
        error: retries.count: expected a whole number, found the string "two"
         --> /etc/combu/config.toml:2:1
          |
        2 | [retries]
          | ^
        error: timeout: expected a duration such as "30m", or seconds, found an object
         --> /etc/combu/config.toml:1:1
          |
        1 | timeout = 1979-05-27
          | ^
        "#);
    }
}
