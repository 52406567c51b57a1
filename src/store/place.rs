//! The place of a state folder: how it is made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::store::error::StoreError;

/// Makes a state folder, with a place for runs, and lets git ignore it; false where it was there, and so may be anyone's.
pub(super) fn make(state: &Path) -> Result<bool, StoreError> {
    let unwritable = |source| StoreError::Write { path: state.to_owned(), source };
    fs::create_dir_all(state.parent().unwrap_or(Path::new("/"))).map_err(unwritable)?;
    // Events, records and logs hold what trials were given, passwords too.
    match fs::DirBuilder::new().mode(0o700).create(state) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        made => made.map_err(unwritable)?,
    }
    let path = state.join(".gitignore");
    match File::create_new(&path).and_then(|mut file| file.write_all(b"*\n")) {
        // Another process made the folder in the same moment.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        written => written.map(|()| true).map_err(|source| StoreError::Write { path, source }),
    }
}
