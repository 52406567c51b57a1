//! The location of a state folder: where it lies, and where it lay before. A project that was moved keeps its history: specs
//! below its old place are those below the new one. A copy of a project is not the project.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::files::create_file;

/// Name of the file in the state folder that says where the folder lies.
const FILE: &str = "location.json";

/// Where a state folder lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Location {
    /// The folder itself, without symbolic links; absent where there is none yet.
    here: Option<PathBuf>,
    /// Where it lay before, the last place first.
    former: Vec<PathBuf>,
    /// The folder that it is a copy of, which is still there.
    pub(super) original: Option<PathBuf>,
    id: Option<u64>,
    is_recorded: bool,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Recorded {
    path: PathBuf,
    /// What a copy has in common with its original, and nothing else. Numbers of inodes are used again.
    id: u64,
    #[serde(default)]
    former: Vec<PathBuf>,
}

impl Location {
    /// Reads where that state folder lies. A file that cannot be read says nothing.
    pub(super) fn of(state: &Path) -> Self {
        let Ok(here) = state.canonicalize() else { return Self::default() };
        let Some(Recorded { path, id, mut former }) = read(&here) else {
            return Self { here: Some(here), ..Self::default() };
        };
        let location = Self { here: Some(here.clone()), id: Some(id), ..Self::default() };
        if path == here {
            return Self { former, is_recorded: true, ..location };
        }
        let is_same = identity(&path).is_some_and(|there| Some(there) == identity(&here));
        if !is_same && read(&path).is_some_and(|there| there.id == id && there.path == path) {
            return Self { original: Some(path), is_recorded: true, ..location };
        }
        former.retain(|old| *old != here && *old != path);
        former.insert(0, path);
        // The same folder under two names, as a bind mount has them, has not moved.
        Self { former, is_recorded: is_same, ..location }
    }

    /// Records where the folder lies now, where that is not recorded.
    pub(super) fn record(&self, state: &Path) -> io::Result<()> {
        if self.is_recorded {
            return Ok(());
        }
        let path = state.canonicalize()?;
        let id = self.id.unwrap_or_else(rand::random);
        let aside = path.join(format!("{FILE}.{:x}", rand::random::<u64>()));
        let text = match serde_json::to_vec(&Recorded { path: path.clone(), id, former: self.former.clone() }) {
            Ok(text) => text,
            // A path that is no text cannot be recorded; a move is then not noticed.
            Err(_) => return Ok(()),
        };
        let written = create_file(&aside).and_then(|mut file| file.write_all(&text));
        written.and_then(|()| fs::rename(&aside, path.join(FILE)))
    }

    /// The path that a path of the project has now, wherever the project lay then.
    pub(super) fn today(&self, path: PathBuf) -> PathBuf {
        let Some(root) = self.here.as_deref().and_then(Path::parent) else { return path };
        let below = |old: &PathBuf| path.strip_prefix(old.parent()?).ok().map(|below| root.join(below));
        if path.starts_with(root) { path } else { self.former.iter().find_map(below).unwrap_or(path) }
    }
}

fn read(state: &Path) -> Option<Recorded> {
    serde_json::from_slice(&fs::read(state.join(FILE)).ok()?).ok()
}

/// What tells one folder from another, whatever its path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::Location;

    /// A project with a recorded state folder.
    fn project(root: &Path) -> PathBuf {
        let state = root.join(".combu");
        fs::create_dir_all(&state).unwrap();
        Location::of(&state).record(&state).unwrap();
        state
    }

    #[test]
    fn a_project_that_was_moved_keeps_its_paths_and_moves_on() {
        let lab = tempfile::tempdir().unwrap();
        let root = lab.path().canonicalize().unwrap();
        project(&root.join("a"));
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
            fs::rename(root.join(from), root.join(to)).unwrap();
            let state = root.join(to).join(".combu");
            let location = Location::of(&state);
            assert_eq!(location.original, None);
            assert_eq!(location.today(root.join(from).join("x/s.jsonnet")), root.join(to).join("x/s.jsonnet"));
            assert_eq!(location.today(root.join("z/s.jsonnet")), root.join("z/s.jsonnet"));
            location.record(&state).unwrap();
            assert!(Location::of(&state).is_recorded);
        }
        assert_eq!(Location::of(&root.join("a/.combu")).today(root.join("c/s")), root.join("a/s"), "of every place");
    }

    #[test]
    fn a_copy_is_told_while_the_original_is_there() {
        let lab = tempfile::tempdir().unwrap();
        let root = lab.path().canonicalize().unwrap();
        let original = project(&root.join("a"));
        assert!(Command::new("cp").args(["-r", "a", "b"]).current_dir(&root).status().unwrap().success());
        let copy = root.join("b/.combu");
        assert_eq!(Location::of(&copy).original, Some(original.clone()));
        assert_eq!(Location::of(&original).original, None);
        fs::remove_dir_all(root.join("a")).unwrap();
        assert_eq!(Location::of(&copy).original, None);
        project(&root.join("a"));
        assert_eq!(Location::of(&copy).original, None, "another project lies there now");
    }

    #[test]
    fn a_folder_that_is_new_or_older_than_the_file_says_nothing() {
        let lab = tempfile::tempdir().unwrap();
        let none = Location::of(&lab.path().join(".combu"));
        assert_eq!((none.original.clone(), none.today("/x/s".into())), (None, PathBuf::from("/x/s")));
        fs::create_dir(lab.path().join(".combu")).unwrap();
        fs::write(lab.path().join(".combu/location.json"), "{").unwrap();
        assert!(!Location::of(&lab.path().join(".combu")).is_recorded);
    }
}
