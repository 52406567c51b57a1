//! Names: of trials, engines and runs. Checked once, here, and never again.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::written::written_as_text;

/// The name of a trial, which is also the name of its container.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text cannot be a trial's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadName {
    /// The name is shorter than Docker's two characters.
    TooShort,
    /// The name is longer than a file's name may be: its logs lie in a folder of that name.
    TooLong,
    /// The name holds a character outside Docker's set, or starts with one that may not start a name.
    Character(char),
}

impl Name {
    /// Checks `text` against Docker's rule for container names.
    ///
    /// The rule is moby's `RestrictedNamePattern`: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
    ///
    /// # Errors
    /// [`BadName`] says which part of the rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        for (index, c) in text.chars().enumerate() {
            let inner = index > 0 && matches!(c, '_' | '.' | '-');
            if !c.is_ascii_alphanumeric() && !inner {
                return Err(BadName::Character(c));
            }
        }
        match text.len() {
            0 | 1 => Err(BadName::TooShort),
            2..=255 => Ok(Self(text.into())),
            _ => Err(BadName::TooLong),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

written_as_text!(Name, BadName);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "a name needs at least two characters"),
            Self::TooLong => write!(f, "a name has at most 255 characters"),
            Self::Character(c) => write!(
                f,
                "`{c}` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)"
            ),
        }
    }
}

impl std::error::Error for BadName {}

/// Which kind of engine runs a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Containers of a Docker daemon.
    #[default]
    Docker,
    /// Processes of this machine.
    Local,
    /// Nothing real: scripted trials for tests, benches and rehearsals.
    Fake,
}

impl EngineName {
    /// Every engine, in the order of the manual: the chain that [`Self::next`] makes, whose length has to fit.
    pub const ALL: [Self; 3] = {
        let (mut all, mut last) = ([Self::Docker; 3], 0);
        while let Some(next) = all[last].next() {
            last += 1;
            all[last] = next;
        }
        assert!(last + 1 == all.len());
        all
    };

    /// The engine behind this one in the manual. A new engine does not compile before it has its place here.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Docker => Some(Self::Local),
            Self::Local => Some(Self::Fake),
            Self::Fake => None,
        }
    }

    /// The word in specs, options and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Local => "local",
            Self::Fake => "fake",
        }
    }

    /// Whether trials are images, as far as that is known without the engine.
    pub fn has_images(self) -> bool {
        match self {
            Self::Docker => true,
            Self::Local | Self::Fake => false,
        }
    }

    /// The engine a word names, if any.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.as_str() == word)
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Identifies one run: 12 characters `[a-z0-9]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Arc<str>);

impl RunId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RunId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadName, EngineName, Name};

    #[test]
    fn a_name_follows_dockers_rule() {
        assert!(Name::parse("solver-1_a.b").is_ok());
        assert_eq!(Name::parse("a"), Err(BadName::TooShort));
        assert_eq!(Name::parse(""), Err(BadName::TooShort));
        assert!(Name::parse(&"a".repeat(255)).is_ok());
        assert_eq!(Name::parse(&"a".repeat(256)), Err(BadName::TooLong));
        assert_eq!(Name::parse("-a"), Err(BadName::Character('-')));
        assert_eq!(Name::parse("a b"), Err(BadName::Character(' ')));
        assert_eq!(Name::parse("実験"), Err(BadName::Character('実')));
    }

    #[test]
    fn every_engine_is_in_the_list() {
        // serde names every variant there is.
        let unknown = serde_json::from_str::<EngineName>("\"none\"").unwrap_err().to_string();
        let listed = EngineName::ALL.map(|engine| format!("`{engine}`")).join(", ");
        assert!(unknown.contains(&format!("expected one of {listed} ")), "{unknown}");
    }
}
