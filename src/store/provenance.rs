//! Provenance: what has to be known beside a run's events to repeat it. Written once, read by people.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::error::StoreError;
use crate::store::files::create_file;

/// Its file in a run's folder.
const FILE: &str = "provenance.json";

/// Where, from what and by whom a run was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of combu.
    pub combu: String,
    /// The machine that combu ran on.
    pub host: RecordedHost,
    /// The engines its trials ran on, in words: `Docker 28.2.2 at unix:///var/run/docker.sock`.
    pub engines: Vec<String>,
    /// The git repository that the spec or script lies in, if it does.
    pub git: Option<Git>,
    /// The spec or script and all that it imports, by absolute path.
    pub sources: BTreeMap<String, String>,
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedHost {
    /// Its name.
    pub name: String,
    /// Its kernel: `Linux 6.1.0`.
    pub kernel: String,
    /// CPUs that combu may use.
    pub cpus: usize,
    /// Who ran combu: the login name, or the number.
    pub user: String,
}

/// The state of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit that is checked out.
    pub commit: String,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

impl Provenance {
    /// Writes it into the folder of a run: aside, and moved into place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), StoreError> {
        let (path, aside) = (run.join(FILE), run.join("provenance.json.new"));
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|text| create_file(&aside)?.write_all(&text))
            .and_then(|()| fs::rename(&aside, &path));
        written.map_err(|source| StoreError::Write { path, source })
    }

    /// Reads that of a run; absent where none was written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>, StoreError> {
        let path = run.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text,
        };
        let read = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
        read.map(Some).map_err(|source| StoreError::Read { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::{Git, Provenance};

    #[test]
    fn what_was_written_is_read_back() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(Provenance::read(run.path()).unwrap(), None);
        let written = Provenance {
            combu: "0.1.0".to_owned(),
            git: Some(Git { commit: "0123".to_owned(), dirty: true }),
            sources: [("/lab/実験.jsonnet".to_owned(), "[]".to_owned())].into(),
            ..Provenance::default()
        };
        written.write(run.path()).unwrap();
        assert_eq!(Provenance::read(run.path()).unwrap(), Some(written));
    }
}
