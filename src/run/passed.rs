//! Values that trials get from the environment of combu and from files: read once when a run begins, or when a trial comes
//! to it; given to launches, and written down nowhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use crate::engine::Secret;
use crate::model::environment::{self, ALL, LONGEST};
use crate::model::name::Name;
use crate::model::trial::Trial;

/// Most bytes of a file of variables: more than Linux gives to any program.
const LARGEST: u64 = 2 << 20;

/// A variable and its value.
type Variable = (String, Secret);

/// The values that the trials of a run are given and that nobody writes down.
#[derive(Debug)]
pub(crate) struct Passed {
    variable: fn(&str) -> Option<OsString>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    variables: BTreeMap<String, Secret>,
    files: BTreeMap<String, Arc<[Variable]>>,
}

impl Default for Passed {
    /// The values of this process.
    fn default() -> Self {
        Self { variable: |name| std::env::var_os(name), known: Mutex::default() }
    }
}

/// Values that a run should pass on and that cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct MissingValues(pub Vec<MissingValue>);

/// One value, or one file of them, that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingValue {
    /// The first trial that asks for it.
    pub trial: Name,
    /// What it asks for, and why it cannot be had.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for MissingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trial `{}`: {}", self.trial, self.problem)
    }
}

impl Passed {
    /// Reads what these trials ask for and what is not known yet.
    ///
    /// # Errors
    /// Everything that cannot be had, each once.
    pub(crate) fn read<'a>(&self, trials: impl IntoIterator<Item = &'a Trial>) -> Result<(), MissingValues> {
        let mut missing: BTreeMap<String, MissingValue> = BTreeMap::new();
        for trial in trials {
            for name in &trial.pass_env {
                if let Err(fault) = self.known_variable(name) {
                    missing.entry(name.clone()).or_insert_with(|| MissingValue {
                        trial: trial.name.clone(),
                        problem: format!("`{name}` is to be passed on, and {fault}"),
                        hint: format!("set it (`export {name}=..`), or take it out of `pass_env`"),
                    });
                }
            }
            for path in &trial.env_file {
                if let Err(fault) = self.known_file(path) {
                    missing.entry(path.clone()).or_insert_with(|| MissingValue {
                        trial: trial.name.clone(),
                        problem: format!("its `env_file` `{path}` {fault}"),
                        hint: "write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in \
                               the spec's folder"
                            .to_owned(),
                    });
                }
            }
            if trial.pass_env.is_empty() && trial.env_file.is_empty() {
                continue;
            }
            let all = environment::own_size(trial) + self.size(trial);
            if all > ALL {
                missing.entry(String::new()).or_insert_with(|| MissingValue {
                    trial: trial.name.clone(),
                    problem: format!(
                        "its command and variables have {all} bytes, and no program can be given more than {ALL}"
                    ),
                    hint: "pass on fewer, or mount them as a file with `volumes`".to_owned(),
                });
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(MissingValues(missing.into_values().collect())) }
    }

    /// The variables that a trial is given, each once: what is named in `pass_env` wins over files, a later file over an
    /// earlier one.
    ///
    /// # Errors
    /// What cannot be had, where it was not read before.
    pub(crate) fn of(&self, trial: &Trial) -> Result<Vec<Variable>, MissingValues> {
        self.read([trial])?;
        let known = self.known.lock().expect("no code panics while it holds the lock");
        let files =
            trial.env_file.iter().filter_map(|path| known.files.get(path)).flat_map(|file| file.iter().cloned());
        let passed = trial.pass_env.iter().filter_map(|name| Some((name.clone(), known.variables.get(name)?.clone())));
        let all: BTreeMap<String, Secret> = files.chain(passed).collect();
        Ok(all.into_iter().collect())
    }

    /// Bytes of all that a trial is given here, as far as it is known.
    fn size(&self, trial: &Trial) -> usize {
        let known = self.known.lock().expect("no code panics while it holds the lock");
        let files = trial.env_file.iter().filter_map(|path| known.files.get(path)).flat_map(|file| file.iter());
        let files = files.map(|(name, value)| environment::size(name, value.expose()));
        let passed = trial.pass_env.iter().filter_map(|name| Some((name, known.variables.get(name)?)));
        files.chain(passed.map(|(name, value)| environment::size(name, value.expose()))).sum()
    }

    fn known_variable(&self, name: &str) -> Result<Secret, String> {
        let known = |known: &Known| known.variables.get(name).cloned();
        if let Some(value) = known(&self.known.lock().expect("no code panics while it holds the lock")) {
            return Ok(value);
        }
        let value = (self.variable)(name).ok_or("is not set in the environment of combu")?;
        let value = value.to_str().ok_or("its value is not UTF-8, which engines cannot take")?;
        check_length(name, value)?;
        let value = Secret::from(value);
        let mut known = self.known.lock().expect("no code panics while it holds the lock");
        known.variables.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    fn known_file(&self, path: &str) -> Result<(), String> {
        if self.known.lock().expect("no code panics while it holds the lock").files.contains_key(path) {
            return Ok(());
        }
        let variables = self.file(&content(path).map_err(|error| format!("cannot be read: {error}"))?)?;
        let mut known = self.known.lock().expect("no code panics while it holds the lock");
        known.files.insert(path.to_owned(), variables.into());
        Ok(())
    }

    /// The variables of a file, by the rules of `docker run --env-file` (docker/cli, `pkg/kvfile`), but that a bare name
    /// which is not set is an error. A line is named by its number: it may hold a password.
    fn file(&self, content: &[u8]) -> Result<Vec<Variable>, String> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let text = std::str::from_utf8(content).map_err(|error| {
            let line = content[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("is not UTF-8 text: see line {line}")
        })?;
        // As of every line that ends with CR LF, so of a last one that has only the CR.
        let text = text.strip_suffix('\r').unwrap_or(text);
        let mut variables = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let at = |fault: &str| format!("cannot be used: line {} {fault}", index + 1);
            // Files of Windows that were joined have their mark in the middle, too.
            let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
            if line.contains('\0') {
                return Err(at("has a NUL byte"));
            }
            if name.is_empty() {
                return Err(at("has no name before its `=`"));
            }
            if name.contains(char::is_whitespace) {
                return Err(at("has a blank in its name"));
            }
            let value = match value {
                Some(value) => check_length(name, value).map(|()| Secret::from(value)).map_err(|fault| at(&fault))?,
                None => self
                    .known_variable(name)
                    .map_err(|fault| at(&format!("is a bare name, of a variable that {fault}")))?,
            };
            variables.push((name.to_owned(), value));
        }
        Ok(variables)
    }
}

fn check_length(name: &str, value: &str) -> Result<(), String> {
    let bytes = environment::size(name, value);
    if bytes <= LONGEST {
        return Ok(());
    }
    Err(format!("has {bytes} bytes, and no program can be given more than {LONGEST} in a variable"))
}

fn content(path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other("it has more than 2 MiB, which no program can be given"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Passed;
    use crate::model::name::Name;
    use crate::model::trial::Trial;

    fn passed() -> Passed {
        let variable = |name: &str| match name {
            "TOKEN" => Some("s3cret".into()),
            "KEY" => Some("from the caller".into()),
            _ => None,
        };
        Passed { variable, ..Passed::default() }
    }

    fn trial(name: &str, pass_env: &[&str], env_file: &[&str]) -> Trial {
        Trial {
            pass_env: pass_env.iter().map(|name| (*name).to_owned()).collect(),
            env_file: env_file.iter().map(|path| (*path).to_owned()).collect(),
            ..Trial::new(Name::parse(name).unwrap())
        }
    }

    #[test]
    fn a_file_is_read_as_dockers_and_names_win_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let first = write("first.env", "\u{feff}# comment\n\n  A=1\r\nB= two words \nKEY=file\nQ='quotes stay'\nE=\n");
        let second = write("second.env", "B=later=x\r\nTOKEN\r");
        let passed = passed();
        let trial = trial("a1", &["KEY"], &[&first, &second]);
        passed.read([&trial]).unwrap();
        // What was read is what every trial of the run gets.
        fs::remove_file(&first).unwrap();
        let given = passed.of(&trial).unwrap();
        let lines: Vec<_> = given.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
        assert_eq!(lines, ["A=1", "B=later=x", "E=", "KEY=from the caller", "Q='quotes stay'", "TOKEN=s3cret"]);
        assert!(!format!("{passed:?} {given:?}").contains("s3cret"));
    }

    #[test]
    fn everything_that_cannot_be_had_is_told_once_without_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (name, text) in
            [("blank", "A=1\nA B=pw\n"), ("bare", "\n#\npw-by-mistake\n"), ("nameless", "=pw"), ("nul", "A=p\0w")]
        {
            fs::write(path(name), text).unwrap();
        }
        fs::write(path("bytes"), b"A=1\nB=\xff").unwrap();
        let files = ["none", "blank", "bare", "nameless", "nul", "bytes", ""].map(path);
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let trials = [trial("a1", &["UNSET"], &[]), trial("a2", &["UNSET", "TOKEN"], &files)];
        let missing = passed().read(&trials).unwrap_err();
        let lines: Vec<_> = missing.0.iter().map(|missing| format!("{missing}\n  {}", missing.hint)).collect();
        let text = lines.join("\n").replace(&folder.path().display().to_string(), "/lab");
        assert!(!text.contains("pw"), "{text}");
        insta::assert_snapshot!(text, @"
        trial `a2`: its `env_file` `/lab/` cannot be read: Is a directory (os error 21)
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a2`: its `env_file` `/lab/bare` cannot be used: line 3 is a bare name, of a variable that is not set in the environment of combu
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a2`: its `env_file` `/lab/blank` cannot be used: line 2 has a blank in its name
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a2`: its `env_file` `/lab/bytes` is not UTF-8 text: see line 2
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a2`: its `env_file` `/lab/nameless` cannot be used: line 1 has no name before its `=`
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a2`: its `env_file` `/lab/none` cannot be read: No such file or directory (os error 2)
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a2`: its `env_file` `/lab/nul` cannot be used: line 1 has a NUL byte
          write it as `docker run --env-file` takes it: NAME=VALUE on a line; a relative path starts in the spec's folder
        trial `a1`: `UNSET` is to be passed on, and is not set in the environment of combu
          set it (`export UNSET=..`), or take it out of `pass_env`
        ");
    }
}
