//! Files of attempts, made in the run's folder and open to whom that is.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::model::access;

/// Makes a file, or empties the one that is there, and makes the folders it lies in.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let around = folder(path.parent().unwrap_or(Path::new("/")))?;
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(access::of_file(around)).open(path)
}

/// The mode of a folder, which is made where it is missing, open to whom the one around it is open.
fn folder(path: &Path) -> io::Result<u32> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return Ok(found?.mode()),
    }
    let around = path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(0), folder)?;
    match DirBuilder::new().mode(access::of_folder(around)).create(path) {
        // Another attempt was faster.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    Ok(path.metadata()?.mode())
}
