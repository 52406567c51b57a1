//! Outputs from paths of this machine: those of trials that are processes here.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use crate::engine::outputs::files::{OutputItem, Outputs};

/// Copies what lies at a path of this machine to `place`, with all that is below it, but for the folder `except`; false
/// where nothing lies there. Blocks.
pub(crate) fn take_path(outputs: &Outputs, place: &str, source: &Path, except: Option<&Path>) -> bool {
    let place = Path::new(place);
    match source.symlink_metadata() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return false,
        _ => {}
    }
    let except = except.and_then(|folder| folder.metadata().ok());
    let mut left: Vec<(PathBuf, PathBuf)> = vec![(place.to_owned(), source.to_owned())];
    while let Some((place, source)) = left.pop() {
        if outputs.is_over() {
            break;
        }
        if let Err(error) = take_one(outputs, &place, &source, except.as_ref(), &mut left) {
            outputs.leave_out(&place, &format!("cannot be read: {error}"));
        }
    }
    true
}

fn take_one(
    outputs: &Outputs,
    place: &Path,
    source: &Path,
    except: Option<&Metadata>,
    left: &mut Vec<(PathBuf, PathBuf)>,
) -> io::Result<()> {
    let found = source.symlink_metadata()?;
    if found.is_symlink() {
        return outputs.take(place, OutputItem::Link(&fs::read_link(source)?));
    }
    if found.is_dir() {
        if except.is_some_and(|folder| (folder.dev(), folder.ino()) == (found.dev(), found.ino())) {
            return Ok(());
        }
        let below = fs::read_dir(source)?.collect::<io::Result<Vec<_>>>()?;
        outputs.take_folder(place, found.mode());
        left.extend(below.into_iter().map(|entry| (place.join(entry.file_name()), entry.path())));
        return Ok(());
    }
    if !found.is_file() {
        outputs.leave_out(place, "is no file, folder or link");
        return Ok(());
    }
    // Never waits, whatever has the name by now.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(source)?;
    let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    outputs.take(place, OutputItem::File { mode: found.mode(), modified, content: &mut &file, original: Some(&file) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::take_path;
    use crate::engine::outputs::files::Outputs;

    #[test]
    fn a_folder_is_copied_with_its_links_and_without_what_is_no_file() {
        let world = tempfile::tempdir().unwrap();
        let path = |below: &str| world.path().join(below);
        fs::create_dir_all(path("out/sub/.combu/runs/r")).unwrap();
        fs::write(path("out/sub/.combu/runs/r/log"), "not again").unwrap();
        fs::write(path("out/sub/a"), "abc").unwrap();
        symlink("sub/a", path("out/link")).unwrap();
        symlink("../../etc", path("out/led-out")).unwrap();
        let _socket = UnixListener::bind(path("out/socket")).unwrap();
        let outputs = Outputs::into_folder(&path("to")).unwrap();
        let except = path("out/sub/.combu/runs");
        assert!(take_path(&outputs, "out", &path("out"), Some(&except)));
        assert!(take_path(&outputs, "one/a", &path("out/sub/a"), None));
        assert!(!take_path(&outputs, "none", &path("out/none"), None));
        assert!(!take_path(&outputs, "none", &path("out/sub/a/none"), None));
        let files: Vec<_> = outputs
            .files()
            .into_iter()
            .map(|file| format!("{} {} {}", file.path, file.bytes, file.sha256.unwrap_or_default()))
            .collect();
        insta::assert_snapshot!(files.join("\n"), @"
        one/a 3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
        out/link 0 
        out/sub/a 3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
        ");
        assert_eq!(fs::read_to_string(path("to/out/link")).unwrap(), "abc");
        assert_eq!(outputs.left_out().unwrap().split(';').next(), Some("2 things were left out"));
        assert!(!path("to/out/sub/.combu/runs").exists() && outputs.error().is_none());
        // The next attempt's replace them.
        Outputs::into_folder(&path("to")).unwrap();
        assert!(!path("to").exists());
    }

    #[test]
    fn a_disk_that_takes_no_more_is_remembered_and_nothing_half_is_left() {
        let world = tempfile::tempdir().unwrap();
        fs::write(world.path().join("file"), "x").unwrap();
        let outputs = Outputs::into_folder(&world.path().join("file/below")).err();
        assert!(outputs.is_some(), "a file is where the folder should be");
        let outputs = Outputs::into_folder(&world.path().join("to")).unwrap();
        outputs.give_up();
        outputs.take_text("a", "x");
        assert!(outputs.files().is_empty() && !world.path().join("to/a").exists());
        assert!(outputs.error().is_some());
    }
}
