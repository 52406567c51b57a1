//! The script that started a run: a mark of it lies in the state folder until it came to its end, locked as long as it lives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::store::error::StoreError;
use crate::store::files::create_folder;
use crate::store::held::is_held;
use crate::store::lock::hold;
use crate::store::run::ScriptRecord;

/// The folder of the marks in the state folder.
const FOLDER: &str = "scripts";

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptState {
    /// It goes on.
    Running,
    /// It came to its end.
    Ended,
    /// It was killed, interrupted, or met an error.
    Died,
}

/// The mark of a script of this process.
#[derive(Debug)]
pub struct ScriptMark {
    path: PathBuf,
    _lock: File,
}

impl ScriptMark {
    /// Marks a script as alive for as long as the returned value lives.
    pub(super) fn create(state: &Path, id: &str) -> Result<Self, StoreError> {
        let folder = state.join(FOLDER);
        match create_folder(&folder) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Write { path: folder, source });
            }
            _ => {}
        }
        let path = folder.join(id);
        Ok(Self { _lock: hold(path.clone())?, path })
    }

    /// The script came to its end.
    ///
    /// # Errors
    /// When the mark cannot be removed: then it seems to have died.
    pub fn end(self) -> Result<(), StoreError> {
        remove(&self.path)
    }
}

impl ScriptRecord {
    /// What became of it.
    pub(super) fn state(&self, state: &Path) -> ScriptState {
        let path = state.join(FOLDER).join(&self.id);
        match (path.exists(), is_held(&path)) {
            (false, _) => ScriptState::Ended,
            (true, Ok(false)) => ScriptState::Died,
            // Where it cannot be told, nothing is said.
            (true, Ok(true) | Err(_)) => ScriptState::Running,
        }
    }

    /// Removes the mark of a script that died, of which no run is known any more.
    pub(super) fn forget(&self, state: &Path) -> Result<(), StoreError> {
        match self.state(state) {
            ScriptState::Died => remove(&state.join(FOLDER).join(&self.id)),
            ScriptState::Running | ScriptState::Ended => Ok(()),
        }
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
