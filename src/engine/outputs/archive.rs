//! Outputs out of a tar archive: what an engine reads from a container's file system, which the container filled as it liked.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use crate::engine::outputs::files::{OutputItem, Outputs, is_plain};

/// Bytes of zeros that an archive ends with.
const END: u64 = 1024;

/// Takes a tar archive of what lies at one path, whose first name is left away for `place`. Blocks.
///
/// # Errors
/// When the archive cannot be read, or is not whole.
pub(crate) fn take_archive(outputs: &Outputs, place: &str, reader: impl Read) -> io::Result<()> {
    let place = Path::new(place);
    let mut archive = Archive::new(Whole { reader, zeros: 0 });
    for entry in archive.entries()? {
        if outputs.is_over() {
            return Ok(());
        }
        take_entry(outputs, place, entry?)?;
    }
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink())?;
    // A daemon that fails in the middle ends its answer as if that were all.
    if rest.zeros < END {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive has no end"));
    }
    Ok(())
}

fn take_entry<R: Read>(outputs: &Outputs, place: &Path, mut entry: Entry<'_, R>) -> io::Result<()> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let name = entry.path()?.into_owned();
    let Some(to) = below(place, &name) else {
        outputs.leave_out(&name, "is a name that leads elsewhere");
        return Ok(());
    };
    let mode = entry.header().mode().unwrap_or(0o644);
    match kind {
        EntryType::Directory => outputs.take_folder(&to, mode),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let seconds = entry.header().mtime().unwrap_or_default();
            let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
            outputs.take(&to, OutputItem::File { mode, modified, content: &mut entry, original: None })?;
        }
        EntryType::Symlink | EntryType::Link => {
            let target = entry.link_name()?.map(|target| target.into_owned()).unwrap_or_default();
            if kind == EntryType::Symlink {
                outputs.take(&to, OutputItem::Link(&target))?;
            } else {
                match below(place, &target) {
                    Some(of) => outputs.take(&to, OutputItem::Again(&of))?,
                    None => outputs.leave_out(&to, "is another name of something elsewhere"),
                }
            }
        }
        _ => outputs.leave_out(&to, "is no file, folder or link"),
    }
    Ok(())
}

/// The path of an archive's entry below the outputs: its first part is the path that was asked for.
fn below(place: &Path, name: &Path) -> Option<PathBuf> {
    let mut parts = name.components().filter(|part| *part != Component::CurDir);
    let first = parts.next()?;
    let rest: PathBuf = parts.collect();
    (is_plain(&rest) && matches!(first, Component::Normal(_)))
        .then(|| if rest.as_os_str().is_empty() { place.to_owned() } else { place.join(rest) })
}

/// Passes an archive on and sees whether it comes to its end.
struct Whole<R> {
    reader: R,
    /// Zeros that came last.
    zeros: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(piece)?;
        match piece[..length].iter().rev().position(|byte| *byte != 0) {
            Some(zeros) => self.zeros = zeros as u64,
            None => self.zeros += length as u64,
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    use tar::{Builder, EntryType, Header};

    use super::take_archive;
    use crate::engine::outputs::files::Outputs;

    /// A tar archive of entries that no honest program writes: kind, name, target of a link, content.
    fn tar(entries: &[(EntryType, &str, &str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, target, content) in entries {
            let mut header = Header::new_gnu();
            let old = header.as_gnu_mut().unwrap();
            old.name[..name.len()].copy_from_slice(name.as_bytes());
            old.linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(if *kind == EntryType::Directory { 0o2555 } else { 0o4750 });
            header.set_mtime(1_600_000_000);
            header.set_uid(4711);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// Takes those entries for the place `out`; everything in the folder above afterwards, and what is said of it.
    fn taken(entries: &[(EntryType, &str, &str, &str)]) -> String {
        let world = tempfile::tempdir().unwrap();
        fs::write(world.path().join("secret"), "untouched").unwrap();
        let outputs = Outputs::into_folder(&world.path().join("run/outputs")).unwrap();
        take_archive(&outputs, "out", &tar(entries)[..]).unwrap();
        let mut lines = Vec::new();
        list(world.path(), world.path(), &mut lines);
        lines.sort();
        lines.retain(|line| !line.starts_with("run/ ") && !line.starts_with("run/outputs/ "));
        let files: Vec<_> = outputs.files().into_iter().map(|file| file.path).collect();
        lines.push(format!("collected {files:?}, {}", outputs.left_out().unwrap_or_default()));
        assert_eq!(outputs.error(), None);
        lines.join("\n")
    }

    fn list(folder: &Path, root: &Path, lines: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let (name, found) = (path.strip_prefix(root).unwrap().display(), path.symlink_metadata().unwrap());
            let mode = found.permissions().mode() & 0o7777;
            if found.is_symlink() {
                lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else if found.is_dir() {
                lines.push(format!("{name}/ {mode:o}"));
                list(&path, root, lines);
            } else {
                assert_eq!(found.uid(), rustix::process::getuid().as_raw());
                lines.push(format!("{name} {mode:o} {:?}", fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn what_an_honest_archive_holds_is_there_as_the_callers_own() {
        let entries = [
            (EntryType::Directory, "model/", "", ""),
            (EntryType::Directory, "model/sub/", "", ""),
            (EntryType::Regular, "model/sub/a.pt", "", "weights"),
            (EntryType::Link, "model/b.pt", "model/sub/a.pt", ""),
            (EntryType::Symlink, "model/latest", "sub/a.pt", ""),
            (EntryType::Symlink, "model/absolute", "/out/sub", ""),
        ];
        insta::assert_snapshot!(taken(&entries), @r#"
        run/outputs/out/ 755
        run/outputs/out/absolute -> ../out/sub
        run/outputs/out/b.pt 750 "weights"
        run/outputs/out/latest -> sub/a.pt
        run/outputs/out/sub/ 755
        run/outputs/out/sub/a.pt 750 "weights"
        secret 644 "untouched"
        collected ["out/absolute", "out/b.pt", "out/latest", "out/sub/a.pt"], 
        "#);
    }

    #[test]
    fn names_that_lead_elsewhere_write_nothing() {
        let names = ["../secret", "out/../../secret", "out/a/../../../secret", "/secret", "//etc/x", "..", ".", "/"];
        let entries = names.map(|name| (EntryType::Regular, name, "", "overwritten"));
        insta::assert_snapshot!(taken(&entries), @r#"
        secret 644 "untouched"
        collected [], 8 things were left out; the first: `../secret` is a name that leads elsewhere
        "#);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let entries = [
            (EntryType::Directory, "out", "", ""),
            (EntryType::Directory, "out/real", "", ""),
            (EntryType::Symlink, "out/door", "real", ""),
            (EntryType::Regular, "out/door/file", "", "through the link"),
            (EntryType::Directory, "out/door/folder", "", ""),
            (EntryType::Directory, "out/door", "", ""),
            (EntryType::Symlink, "out/name", "real", ""),
            (EntryType::Regular, "out/name", "", "instead of the link"),
        ];
        insta::assert_snapshot!(taken(&entries), @r#"
        run/outputs/out/ 755
        run/outputs/out/door -> real
        run/outputs/out/name 750 "instead of the link"
        run/outputs/out/real/ 755
        secret 644 "untouched"
        collected ["out/door", "out/name"], 3 things were left out; the first: `out/door/file` is in the way of something else, or behind a link
        "#);
    }

    #[test]
    fn links_that_lead_out_are_not_made() {
        let entries = [
            (EntryType::Symlink, "out/up", "../../../secret", ""),
            (EntryType::Regular, "out/up/x", "", "in a folder instead"),
            (EntryType::Symlink, "out/in", "..", ""),
            (EntryType::Symlink, "out/in-and-out", "in/../../secret", ""),
            (EntryType::Symlink, "out/empty", "", ""),
            (EntryType::Link, "out/hard", "../../secret", ""),
            (EntryType::Link, "out/hard-up", "out/../../../secret", ""),
            (EntryType::Link, "out/hard-root", "/secret", ""),
            (EntryType::Link, "out/hard-missing", "out/nothing", ""),
        ];
        insta::assert_snapshot!(taken(&entries), @r#"
        run/outputs/out/ 755
        run/outputs/out/empty -> .
        run/outputs/out/in -> ..
        run/outputs/out/up/ 755
        run/outputs/out/up/x 750 "in a folder instead"
        secret 644 "untouched"
        collected ["out/empty", "out/in", "out/up/x"], 6 things were left out; the first: `out/up` is a link that leads out, to `../../../secret`
        "#);
    }

    #[test]
    fn what_is_no_file_folder_or_link_is_not_made() {
        let kinds = [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::new(b'S'), EntryType::new(b'Z')];
        let mut entries = kinds.map(|kind| (kind, "out/thing", "", "")).to_vec();
        entries.push((EntryType::XGlobalHeader, "pax_global_header", "", ""));
        entries.push((EntryType::Regular, "out/file", "", "x"));
        insta::assert_snapshot!(taken(&entries[..3]), @r#"
        secret 644 "untouched"
        collected [], 3 things were left out; the first: `out/thing` is no file, folder or link
        "#);
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error_wherever_it_does() {
        let whole = tar(&[
            (EntryType::Directory, "out", "", ""),
            (EntryType::Regular, "out/a", "", &"x".repeat(2000)),
            (EntryType::Regular, "out/b", "", "y"),
        ]);
        let folder = tempfile::tempdir().unwrap();
        // Down to the border of each entry: there the archive looks as if it were whole.
        for length in (0..=whole.len() - 1024).step_by(256) {
            let outputs = Outputs::into_folder(&folder.path().join("outputs")).unwrap();
            assert!(take_archive(&outputs, "out", &whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        let outputs = Outputs::into_folder(&folder.path().join("outputs")).unwrap();
        take_archive(&outputs, "out", &whole[..]).unwrap();
        assert_eq!(outputs.files().len(), 2);
    }
}
