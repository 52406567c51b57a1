//! The files that events point to: bytes are never in an event, only where they lie and how many they are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

/// Where an attempt's logs lie and how large they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// File with what it wrote to its standard output.
    #[serde(serialize_with = "path")]
    pub stdout: PathBuf,
    /// Bytes in it.
    pub stdout_bytes: u64,
    /// File with what it wrote to its standard error.
    #[serde(serialize_with = "path")]
    pub stderr: PathBuf,
    /// Bytes in it.
    pub stderr_bytes: u64,
}

/// A file that was copied out of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Its path below the trial's folder of outputs, with `/` between the parts.
    pub path: String,
    /// Bytes in it.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal digits; absent for what is no plain file (a symbolic link).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Collected {
    /// Whether it is a plain file.
    pub fn is_file(&self) -> bool {
        self.sha256.is_some()
    }
}

/// Paths need not be UTF-8 and JSON must be: an unreadable character is better than no event.
pub(super) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

pub(in crate::model) fn optional_path<S: Serializer>(
    folder: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match folder {
        Some(folder) => path(folder, serializer),
        None => serializer.serialize_none(),
    }
}
