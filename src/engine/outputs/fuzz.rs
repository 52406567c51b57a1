//! Fuzz target: whatever archive a daemon sends of what a container made, nothing is written outside the folder of outputs.

use std::fs;

use tar::{Builder, EntryType, Header};

use crate::engine::outputs::{Outputs, take_archive};
use crate::fuzz::check;

/// An archive of one entry of each kind.
fn archive(prefix: &str) -> Vec<u8> {
    let entries = [
        (EntryType::Directory, "", "", ""),
        (EntryType::Regular, "a.pt", "", "weights"),
        (EntryType::Symlink, "latest", "a.pt", ""),
        (EntryType::Link, "b.pt", "out/a.pt", ""),
        (EntryType::Fifo, "pipe", "", ""),
    ];
    let mut builder = Builder::new(Vec::new());
    for (kind, name, target, content) in entries {
        let mut header = Header::new_gnu();
        let (path, old) = (format!("{prefix}{name}"), header.as_gnu_mut().unwrap());
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The archive with checksums that fit its headers, without which nothing would be read of most variations.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for header in bytes.chunks_exact_mut(512) {
        if header[257..262] == *b"ustar" {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}

#[test]
fn archives_of_outputs() {
    thread_local!(static WORLD: tempfile::TempDir = tempfile::tempdir().unwrap());
    check(["out/", "out/../", "/out/", "./out/"].map(archive), |input| {
        let world = WORLD.with(|world| world.path().to_owned());
        let folder = world.join("outputs");
        let outputs = Outputs::into_folder(&folder).unwrap();
        let taken = take_archive(&outputs, "out", &with_checksums(input)[..]);
        assert!(
            taken.is_err()
                || outputs.error().is_none()
                || outputs.left_out().is_some()
                || !folder.exists()
                || folder.is_dir()
        );
        let beside: Vec<_> = fs::read_dir(&world).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(beside.iter().all(|name| name == "outputs"), "{beside:?}");
        for file in outputs.files() {
            assert!(!file.path.starts_with('/') && !file.path.split('/').any(|part| part == ".."), "{}", file.path);
        }
    });
}
