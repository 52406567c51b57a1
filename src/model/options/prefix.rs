//! What the names of containers begin with.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::name::Name;
use crate::model::written::written_as_text;

/// What the names of containers begin with, before the name of the trial. It changes the names of containers only: not
/// those of trials, folders and results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Prefix {
    /// The name of the experiment.
    Experiment,
    /// The name of the user's account.
    User,
    /// A text, which ends in `-`, `_` or `.`.
    Text(Arc<str>),
}

impl Prefix {
    /// Reads `experiment`, `user` or a text. A text that ends in a letter or digit is given a `-`.
    ///
    /// # Errors
    /// A sentence that says why no name of a container can begin so.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "experiment" => Ok(Self::Experiment),
            "user" => Ok(Self::User),
            text => {
                Self::text(text).map_err(|error| format!("the name of a container cannot begin with `{text}`: {error}"))
            }
        }
    }

    /// The prefix as a text, where it stands for the name of the experiment or of the user.
    ///
    /// # Errors
    /// A sentence that says why no name of a container can begin with that name.
    pub fn resolved(&self, experiment: &str, user: impl FnOnce() -> String) -> Result<Self, String> {
        let (word, whose, name) = match self {
            Self::Text(_) => return Ok(self.clone()),
            Self::Experiment => ("experiment", "of the experiment", experiment.to_owned()),
            Self::User => ("user", "of the user", user()),
        };
        Self::text(&name).map_err(|error| {
            format!(
                "the prefix `{word}` is the name {whose}, `{name}`, and the name of a container cannot begin so: {error}; \
                 write another text, such as `lab`"
            )
        })
    }

    fn text(text: &str) -> Result<Self, String> {
        let separator = if text.ends_with(['-', '_', '.']) { "" } else { "-" };
        let prefix = format!("{text}{separator}");
        Name::parse(&prefix).map_err(|error| error.to_string())?;
        Ok(Self::Text(prefix.into()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Experiment => "experiment",
            Self::User => "user",
            Self::Text(text) => text,
        })
    }
}

written_as_text!(Prefix, String);

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn a_prefix_is_a_word_or_a_text_that_a_name_of_a_container_may_begin_with() {
        let read = |text: &str| {
            let resolved =
                |prefix: Prefix| prefix.resolved("粒子法", || "hana".to_owned()).map(|prefix| prefix.to_string());
            match Prefix::parse(text).and_then(resolved) {
                Ok(prefix) | Err(prefix) => prefix,
            }
        };
        let said: Vec<_> = ["lab", "lab_", "a", "", "-lab", "研究室", "experiment", "user"].map(read).into();
        insta::assert_snapshot!(said.join("\n"), @r"
        lab-
        lab_
        a-
        the name of a container cannot begin with ``: `-` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)
        the name of a container cannot begin with `-lab`: `-` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)
        the name of a container cannot begin with `研究室`: `研` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)
        the prefix `experiment` is the name of the experiment, `粒子法`, and the name of a container cannot begin so: `粒` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule); write another text, such as `lab`
        hana-
        ");
    }

    #[test]
    fn what_a_prefix_stands_for_reads_back_as_a_text() {
        for name in ["experiment", "user", "sweep", "a."] {
            let resolved = Prefix::User.resolved("a", || name.to_owned()).unwrap();
            assert_eq!(Prefix::parse(&resolved.to_string()), Ok(resolved.clone()), "{name}");
            assert!(matches!(resolved, Prefix::Text(text) if text.starts_with(name)));
        }
    }
}
