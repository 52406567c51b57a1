//! The folder of a run of this process: made, locked for as long as the run lives, and removed where nothing was started.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;
use crate::store::files::create_folder;
use crate::store::lock::hold;
use crate::store::run::{RECORD, RunRecord};

/// The folder of a run of this process, which is alive for as long as this value is.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// The system gives the lock back when the process ends, however it ends.
    lock: File,
}

impl Drop for RunDir {
    /// Said and not left to the closing of the file: a process that is being started at this moment has a copy of it.
    fn drop(&mut self) {
        // Where it fails, the lock goes with the last copy.
        let _soon = self.lock.unlock();
    }
}

impl RunDir {
    pub(super) fn create(path: PathBuf, record: &RunRecord) -> Result<Self, StoreError> {
        create_folder(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => StoreError::RunExists { run: record.run.clone(), path: path.clone() },
            _ => StoreError::Write { path: path.clone(), source },
        })?;
        let lock = hold(path.join("lock"))?;
        write(record, &path)?;
        Ok(Self { path, lock })
    }

    /// Takes the folder of a run whose process is gone; what is not there of it is made.
    pub(super) fn reopen(path: PathBuf, record: &RunRecord) -> Result<Self, StoreError> {
        match create_folder(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Write { path, source });
            }
            _ => {}
        }
        let lock = hold(path.join("lock"))?;
        write(record, &path)?;
        Ok(Self { path, lock })
    }

    /// Absolute path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder of a run that could not be started.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        let path = self.path.clone();
        // Some file systems keep a file that is open under another name.
        drop(self);
        fs::remove_dir_all(&path).map_err(|source| StoreError::Write { path, source })
    }
}

fn write(record: &RunRecord, run: &Path) -> Result<(), StoreError> {
    record.write(run).map_err(|source| StoreError::Write { path: run.join(RECORD), source })
}
