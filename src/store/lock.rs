//! Locks of this process.

use std::fs::File;
use std::path::PathBuf;

use crate::store::error::StoreError;
use crate::store::files::open_file;

/// Locks a file, which is made where it is missing, for as long as it is open. Waits for whoever holds or looks at the lock.
pub(super) fn hold(path: PathBuf) -> Result<File, StoreError> {
    // Opened for writing: over NFS only that gives a lock of one's own.
    let file = match open_file(&path) {
        Ok(file) => file,
        Err(source) => return Err(StoreError::Write { path, source }),
    };
    match file.lock() {
        Ok(()) => Ok(file),
        Err(source) => Err(StoreError::Lock { path, source }),
    }
}
