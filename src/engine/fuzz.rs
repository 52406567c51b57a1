//! Fuzz target: whatever this machine says of its GPUs and of what a container took.

use std::fs;

use crate::engine::cgroup::{cpu_of_stat, io_of_blkio, io_of_stat, path_of};
use crate::engine::gpus::{cdi_names, gpu, lines, user};
use crate::fuzz::{check, texts};

#[test]
fn texts_of_this_machine() {
    thread_local!(static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap());
    let told = |text: &String| {
        ["GPU", "nvidia", "docker", "usage_usec", "rbytes", "Read"].iter().any(|word| text.contains(word))
    };
    check(texts(&["yaml", "json"]).filter(told), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        for line in lines(text) {
            if let Ok(gpu) = gpu(line) {
                assert!(gpu.id.parse::<u32>().is_ok() && gpu.uuid.is_none_or(|uuid| !uuid.is_empty()));
            }
            let _ = user(line);
        }
        for ending in ["json", "yaml"] {
            let file = FOLDER.with(|folder| folder.path().join("gpus").with_extension(ending));
            fs::write(&file, text).unwrap();
            assert!(cdi_names(&file).iter().all(|name| name.starts_with("nvidia.com/gpu=")));
        }
        let _ = (cpu_of_stat(text), io_of_stat(text), io_of_blkio(text));
        assert!(path_of(text, "0123").is_none_or(|path| path.contains("0123")));
    });
}
