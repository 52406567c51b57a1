//! What people type who come from other programs, or who give a file to the wrong verb: which line they mean.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::model::shell::quoted;
use crate::model::suggest::nearest;

/// Verbs of other programs, and the words of combu that do the same.
pub(crate) const OTHER_VERBS: [(&str, &str); 20] = [
    ("start", "run"),
    ("up", "run"),
    ("exec", "run"),
    ("launch", "run"),
    ("submit", "run"),
    ("down", "kill"),
    ("stop", "kill"),
    ("cancel", "kill"),
    ("restart", "rerun"),
    ("retry", "rerun"),
    ("continue", "resume"),
    ("status", "ps"),
    ("list", "ls"),
    ("history", "ls"),
    ("inspect", "show"),
    ("delete", "rm"),
    ("remove", "rm"),
    ("prune", "gc"),
    ("clean", "gc"),
    ("version", "--version"),
];

/// The kind of a file, as the ending of its name has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Spec,
    Script,
    Yaml,
    Python,
    Shell,
}

/// Endings of names and what they stand for.
const ENDINGS: [(&str, FileKind); 8] = [
    ("jsonnet", FileKind::Spec),
    ("json", FileKind::Spec),
    ("libsonnet", FileKind::Spec),
    ("rhai", FileKind::Script),
    ("yaml", FileKind::Yaml),
    ("yml", FileKind::Yaml),
    ("py", FileKind::Python),
    ("sh", FileKind::Shell),
];

impl FileKind {
    /// The kind of a file; `None`: its ending says nothing.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_lowercase();
        ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, kind)| *kind)
    }

    /// What the file is, as a sentence, and what to do with it.
    pub(crate) fn advice(self, path: &Path) -> (&'static str, String) {
        let file = quoted(&short_path(path));
        match self {
            Self::Spec => ("is a spec", format!("run it with `combu run {file}`")),
            Self::Script => ("is a script", format!("run it with `combu script {file}`")),
            Self::Yaml => (
                "is YAML, and a spec is jsonnet or JSON",
                format!(
                    "write the trials as a list of objects: `combu help spec` names their fields, most of them as compose \
                     does; a jsonnet spec can read the file with `std.parseYaml(importstr '{}')`",
                    path.file_name().unwrap_or_default().to_string_lossy()
                ),
            ),
            Self::Python => ("is a Python program, and a spec is jsonnet or JSON", program("python3", path)),
            Self::Shell => ("is a shell script, and a spec is jsonnet or JSON", program("sh", path)),
        }
    }
}

fn program(interpreter: &str, path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "write a spec that runs it, such as `[{{ name: 'first', image: 'IMAGE', cmd: '{interpreter} {file}' }}]`; \
         `combu help spec` has all of it"
    )
}

/// The kinds that a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What the verb calls its file: `spec`.
    noun: &'static str,
    kind: FileKind,
}

impl Taken {
    /// Files of `run` and `plan`.
    pub(crate) const SPEC: Self = Self { noun: "spec", kind: FileKind::Spec };
    /// Files of `script`.
    pub(crate) const SCRIPT: Self = Self { noun: "script", kind: FileKind::Script };

    /// The error of a file of another kind, or of one that is not there, where the file's name says what is meant;
    /// `error` is what reading it said.
    pub(crate) fn explain(self, path: &Path, error: CliError) -> CliError {
        if !path.exists() {
            let near = self.near(path);
            let hint = near.map(|near| format!("did you mean `{}`?", short_path(&near)));
            return CliError { hints: hint.into_iter().chain(error.hints).collect(), ..error };
        }
        match FileKind::of(path).filter(|kind| *kind != self.kind) {
            Some(kind) => {
                let (what, hint) = kind.advice(path);
                CliError::new(exit::USAGE, format!("`{}` {what}", short_path(path))).hint(hint)
            }
            None => error,
        }
    }

    /// The error of a file whose name says that it is of another kind.
    pub(crate) fn refused(self, path: &Path) -> Option<CliError> {
        let other = FileKind::of(path).is_some_and(|kind| kind != self.kind);
        let unread = || CliError::new(exit::USAGE, format!("cannot read the {} `{}`", self.noun, path.display()));
        (other && path.exists()).then(|| self.explain(path, unread()))
    }

    /// The file beside a path that is not there that is meant: of that name with an ending, in other letters, or nearly
    /// so.
    fn near(self, path: &Path) -> Option<PathBuf> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let stem = |name: &str| {
            let stem = Path::new(name).file_stem().and_then(OsStr::to_str).unwrap_or_default();
            stem.to_lowercase()
        };
        let meant = path.file_name()?.to_str()?.to_lowercase();
        let names = std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| FileKind::of(Path::new(name)) == Some(self.kind)).collect();
        names.sort();
        let near = names.iter().find(|name| name.to_lowercase() == meant || stem(name) == meant);
        let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
        let near = near.or_else(|| {
            let near = nearest(&stem(&meant), stems.iter().map(String::as_str))?;
            names.iter().find(|name| stem(name) == near)
        })?;
        Some(if folder == Path::new(".") { PathBuf::from(near) } else { folder.join(near) })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FileKind, OTHER_VERBS, Taken};
    use crate::cli::error::CliError;

    #[test]
    fn every_ending_has_its_advice() {
        let told = |name: &str| {
            let (what, hint) = FileKind::of(Path::new(name)).unwrap().advice(Path::new(name));
            format!("{name} {what}: {hint}")
        };
        insta::assert_snapshot!(["a.jsonnet", "my a.JSON", "a.rhai", "docker-compose.yml", "train.py", "x.sh"].map(told).join("\n"), @"
        a.jsonnet is a spec: run it with `combu run a.jsonnet`
        my a.JSON is a spec: run it with `combu run 'my a.JSON'`
        a.rhai is a script: run it with `combu script a.rhai`
        docker-compose.yml is YAML, and a spec is jsonnet or JSON: write the trials as a list of objects: `combu help spec` names their fields, most of them as compose does; a jsonnet spec can read the file with `std.parseYaml(importstr 'docker-compose.yml')`
        train.py is a Python program, and a spec is jsonnet or JSON: write a spec that runs it, such as `[{ name: 'first', image: 'IMAGE', cmd: 'python3 train.py' }]`; `combu help spec` has all of it
        x.sh is a shell script, and a spec is jsonnet or JSON: write a spec that runs it, such as `[{ name: 'first', image: 'IMAGE', cmd: 'sh x.sh' }]`; `combu help spec` has all of it
        ");
        assert_eq!(FileKind::of(Path::new("solver")), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_looked_for_beside() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ok.jsonnet", "sweep.jsonnet", "sweep.rhai", "notes.txt"] {
            std::fs::write(folder.path().join(name), "[]").unwrap();
        }
        let hint = |taken: Taken, name: &str| {
            let error = taken.explain(&folder.path().join(name), CliError::new(2, "no"));
            error.hints.first().map(|hint| hint.replace(&format!("{}/", folder.path().display()), ""))
        };
        let meant = |name: &str| Some(format!("did you mean `{name}`?"));
        for name in ["OK.jsonnet", "ok", "Ok", "ok.jsonet", "ok.json"] {
            assert_eq!(hint(Taken::SPEC, name), meant("ok.jsonnet"), "{name}");
        }
        assert_eq!(hint(Taken::SPEC, "sweep"), meant("sweep.jsonnet"));
        assert_eq!(hint(Taken::SCRIPT, "sweep"), meant("sweep.rhai"));
        assert_eq!(hint(Taken::SPEC, "notes"), None);
        assert_eq!(hint(Taken::SPEC, "none/ok"), None);
    }

    #[test]
    fn verbs_of_others_are_none_of_combus() {
        for (word, _) in OTHER_VERBS {
            assert!(OTHER_VERBS.iter().filter(|(other, _)| *other == word).count() == 1, "{word}");
        }
    }
}
