//! The folder that outputs are written into: every name is opened in the folder before it, and no link is followed.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// Flags with which a folder on the way is opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder of this machine, made when something comes into it.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    pub(super) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    /// Makes a folder and those it lies in; one that is there stays. The caller may always write into it and clear it away.
    pub(super) fn folder(&self, place: &Path, mode: u32) -> io::Result<()> {
        let folder = self.open(place)?;
        Ok(rustix::fs::fchmod(folder, Mode::from_raw_mode(kept(mode) | 0o700))?)
    }

    /// Makes an empty file, for the caller only until it is finished; what has its name is removed.
    pub(super) fn file(&self, place: &Path) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.put(place, |folder, name| rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600)))
            .map(File::from)
    }

    /// Makes a symbolic link.
    pub(super) fn link(&self, place: &Path, target: &Path) -> io::Result<()> {
        self.put(place, |folder, name| rustix::fs::symlinkat(target, folder, name))
    }

    /// Makes another name of a file that is there.
    pub(super) fn again(&self, place: &Path, of: &Path) -> io::Result<()> {
        let (first, file) = self.above(of)?;
        // Without a flag it is the name itself that is linked, also where it is a symbolic link by now.
        self.put(place, |folder, name| rustix::fs::linkat(&first, file, folder, name, AtFlags::empty()))
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, place: &Path) {
        if let Ok((folder, name)) = self.above(place) {
            let _kept = rustix::fs::unlinkat(folder, name, AtFlags::empty());
        }
    }

    fn put<T>(&self, place: &Path, make: impl Fn(&OwnedFd, &Path) -> rustix::io::Result<T>) -> io::Result<T> {
        let (folder, name) = self.above(place)?;
        match make(&folder, name) {
            Err(rustix::io::Errno::EXIST) => {
                rustix::fs::unlinkat(&folder, name, AtFlags::empty())?;
                Ok(make(&folder, name)?)
            }
            made => Ok(made?),
        }
    }

    /// The folder that a place lies in, made if it is missing, and the place's name there.
    fn above<'a>(&self, place: &'a Path) -> io::Result<(OwnedFd, &'a Path)> {
        let (Some(above), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((self.open(above)?, Path::new(name)))
    }

    /// Opens a folder name by name, and makes what is missing of it.
    fn open(&self, place: &Path) -> io::Result<OwnedFd> {
        let mut folder = match rustix::fs::openat(CWD, &self.0, FOLDER, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {
                fs::create_dir_all(&self.0)?;
                rustix::fs::openat(CWD, &self.0, FOLDER, Mode::empty())?
            }
            opened => opened?,
        };
        for part in place.components() {
            let Component::Normal(name) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
            folder = match rustix::fs::openat(&folder, name, FOLDER, Mode::empty()) {
                Err(rustix::io::Errno::NOENT) => {
                    rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755))?;
                    rustix::fs::openat(&folder, name, FOLDER, Mode::empty())?
                }
                opened => opened?,
            };
        }
        Ok(folder)
    }
}

/// Gives a written file its mode, which its owner may always read, and the time when it was last changed.
pub(super) fn finish(file: &File, mode: u32, modified: SystemTime) -> io::Result<()> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(kept(mode) | 0o400))?;
    // Not every file system keeps every time.
    let _kept = file.set_modified(modified);
    Ok(())
}

/// Permissions to read, write and run it; never as whom.
fn kept(mode: u32) -> u32 {
    mode & 0o777
}

/// The target of a link at a place, as it is written there: nothing for one that leads out of the outputs. An absolute one
/// means the same path of the attempt, which lies below the outputs as well.
pub(super) fn inward(place: &Path, target: &Path) -> Option<PathBuf> {
    let depth = place.components().count().checked_sub(1)?;
    let mut parts = target.components().peekable();
    let mut inward = PathBuf::new();
    if parts.next_if(|part| matches!(part, Component::RootDir)).is_some() {
        (0..depth).for_each(|_| inward.push(".."));
    } else {
        let mut above = 0;
        while parts.next_if(|part| matches!(part, Component::ParentDir | Component::CurDir)).is_some_and(|part| {
            if part == Component::ParentDir {
                above += 1;
                inward.push("..");
            }
            true
        }) {}
        if above > depth {
            return None;
        }
    }
    // A `..` behind a name may lead anywhere, if that name is a link itself.
    for part in parts {
        let Component::Normal(name) = part else { return None };
        inward.push(name);
    }
    Some(if inward.as_os_str().is_empty() { PathBuf::from(".") } else { inward })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::inward;

    #[test]
    fn a_link_leads_nowhere_but_into_the_outputs() {
        let of = |place: &str, target: &str| {
            inward(Path::new(place), Path::new(target)).map(|path| path.display().to_string()).unwrap_or_default()
        };
        assert_eq!(of("out/latest", "step-9"), "step-9");
        assert_eq!(of("out/a/latest", "../b/c"), "../b/c");
        assert_eq!(of("out/a/latest", "/out/b"), "../../out/b");
        assert_eq!(of("out/self", "."), ".");
        assert_eq!(of("latest", "/"), ".");
        for out in ["../x", "../../etc/passwd", "b/../../../etc", "b/..", "/b/../../etc"] {
            assert_eq!(of("latest", out), "", "{out}");
        }
    }
}
