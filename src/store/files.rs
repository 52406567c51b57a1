//! Files and folders that the store makes, open to whom the folder around them is open.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::model::access;

/// Makes a file, or empties the one that is there.
///
/// # Errors
/// When it cannot be made.
pub fn create_file(path: &Path) -> io::Result<File> {
    options(path)?.create(true).truncate(true).open(path)
}

/// Opens a file to write to it, and makes it where it is missing.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    options(path)?.create(true).truncate(false).open(path)
}

/// Makes a folder in one that is there.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(access::of_folder(mode_around(path)?)).create(path)
}

fn options(path: &Path) -> io::Result<OpenOptions> {
    let mut options = OpenOptions::new();
    options.write(true).mode(access::of_file(mode_around(path)?));
    Ok(options)
}

fn mode_around(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path.parent().unwrap_or(Path::new("/")))?.mode())
}
