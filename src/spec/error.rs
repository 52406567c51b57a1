//! Why a spec could not be loaded: one error with its place in the source, or the problems of a document.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a spec could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file could not be read.
    #[error("failed to read spec `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The jsonnet in it could not be evaluated.
    #[error("{}", Evaluation { path, message, at, frames })]
    Jsonnet {
        /// The spec.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// What to do about it, as a clause.
        hint: Option<String>,
        /// The value that was being made, from the document's root: `[3].cmd`; empty when there was none yet.
        at: String,
        /// Where: the innermost first, repeated ones left out.
        frames: Vec<Frame>,
    },
    /// It evaluates, and the value is not an experiment.
    #[error("spec `{}` is not valid:\n{}", path.display(), Indented(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problems: Problems,
    },
}

/// One place in jsonnet source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The file as people name it: relative to the working folder where it is below it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// That line's text.
    pub text: String,
    /// What was going on there; empty for the place of the error itself.
    pub description: String,
}

struct Indented<'a>(&'a Problems);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        for (index, line) in text.lines().enumerate() {
            write!(f, "{}  {line}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

struct Evaluation<'a> {
    path: &'a Path,
    message: &'a str,
    at: &'a str,
    frames: &'a [Frame],
}

impl fmt::Display for Evaluation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut frames = self.frames.iter();
        if let Some(place) = frames.next() {
            write!(f, "{}:{}:{}: {}", place.file, place.line, place.column, self.message)?;
            write!(f, "\n    {}", place.text.trim_start())?;
        } else {
            write!(f, "{}: {}", self.path.display(), self.message)?;
        }
        if !self.at.is_empty() {
            write!(f, "\n  in the value of {}", self.at)?;
        }
        for frame in frames {
            write!(f, "\n  {}:{}:{}", frame.file, frame.line, frame.column)?;
            if !frame.description.is_empty() {
                write!(f, " {}", frame.description)?;
            }
        }
        Ok(())
    }
}

/// Most problems that are printed; the rest is counted.
const SHOWN: usize = 20;

/// One thing that is wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The place, from the document's root: `[3].ports[0].host`; empty for the root itself.
    pub at: String,
    /// What is wrong there.
    pub message: String,
    /// What to write instead, as a clause.
    pub hint: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong in a document; never empty inside an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Mistake>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::{Mistake, Problems};

    #[test]
    fn the_twenty_first_problem_is_only_counted() {
        let one = |at: usize| Mistake { at: format!("[{at}]"), message: "wrong".into(), hint: None };
        let text = Problems((0..23).map(one).collect()).to_string();
        assert_eq!(text.lines().count(), 21);
        assert!(text.ends_with("[19]: wrong\nand 3 more"), "{text}");
        assert!(!Problems((0..20).map(one).collect()).to_string().contains("more"));
    }
}
