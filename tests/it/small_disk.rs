//! A small disk of a test's own, which is soon full.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a megabyte. Dropping it unmounts it.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing where this process may not mount one, which is said.
    pub(crate) fn on(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|said| said.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED (may not mount a small file system): {test}")
            .expect("stderr can be written");
        None
    }
}

impl SmallDisk {
    /// Gives it room.
    pub(crate) fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=20m"]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
