//! Files that attempts may write their metrics to.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::engine::files;
use crate::engine::launch::Launch;

/// The variable that names the file.
pub(crate) const VARIABLE: &str = "COMBU_METRICS";

/// The folder of the file inside a container.
pub(crate) const INSIDE: &str = "/run/combu";

/// Name of the file in that folder.
pub(crate) const FILE: &str = "metrics.jsonl";

/// The variable that names the file with the params of an attempt, where its environment has no room for them.
pub(crate) const PARAMS_VARIABLE: &str = "COMBU_PARAMS_FILE";

/// Name of that file.
pub(crate) const PARAMS: &str = "params.json";

/// The folders it lies in on this machine, below the attempt's.
const OUTER: &str = "metrics";
const INNER: &str = "shared";

/// The file of an attempt that is a process of this machine. All attempts share a folder: making one for each takes
/// longer than a short trial. No trial has that folder's name.
pub(crate) fn plain(launch: &Launch) -> Option<PathBuf> {
    let name = format!("{}-{}.jsonl", launch.trial.name, launch.attempt);
    Some(std::path::absolute(launch.folder.as_ref()?).ok()?.join(".metrics").join(name))
}

/// The file of an attempt that sees a folder of this machine. The container's user may be anybody, so anybody may write to
/// the folder; its own folder is closed to all others of this machine.
pub(crate) fn shared(launch: &Launch) -> Option<PathBuf> {
    let own = launch.folder.as_ref()?.join(launch.trial.name.as_str()).join(launch.attempt.to_string());
    Some(std::path::absolute(own).ok()?.join(OUTER).join(INNER).join(FILE))
}

/// The file with the params of an attempt that is a process of this machine, if it needs one.
pub(crate) fn plain_params(launch: &Launch) -> Option<PathBuf> {
    launch.params.as_ref()?;
    let own = launch.folder.as_ref()?.join(launch.trial.name.as_str()).join(launch.attempt.to_string());
    Some(std::path::absolute(own).ok()?.join(PARAMS))
}

/// Writes the params of a process.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn write_plain_params(file: &Path, params: &str) -> io::Result<()> {
    files::create(file)?.write_all(params.as_bytes())
}

/// Writes the params of a container beside its file for metrics. Its user may be anybody, and reads them.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn write_shared_params(metrics: &Path, params: &str) -> io::Result<()> {
    let file = metrics.with_file_name(PARAMS);
    fs::write(&file, params)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))
}

/// Makes way for a process's file: the folder, and nothing in it of an earlier life.
///
/// # Errors
/// When the folder cannot be made.
pub(crate) fn make_plain(file: &Path) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    match fs::create_dir(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(folder),
        Err(_) => match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// Makes a container's file and its folders. What is there stays: the container may be running, whoever started it.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_shared(file: &Path) -> io::Result<()> {
    let open = file.parent().ok_or(io::ErrorKind::NotFound)?;
    let closed = open.parent().ok_or(io::ErrorKind::NotFound)?;
    fs::DirBuilder::new().recursive(true).create(closed.parent().ok_or(io::ErrorKind::NotFound)?)?;
    for (folder, mode) in [(closed, 0o700), (open, 0o777)] {
        fs::DirBuilder::new().recursive(true).mode(mode).create(folder)?;
        // Whatever the caller's mask took away.
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
    }
    let made = fs::OpenOptions::new().append(true).create(true).mode(0o666).open(file)?;
    made.set_permissions(fs::Permissions::from_mode(0o666))
}

/// Removes a container's file that nobody wrote to, with its folders, when the container is gone.
pub(crate) fn clear(file: &Path) {
    let is_empty = || file.metadata().is_ok_and(|found| found.is_file() && found.len() == 0);
    if file.ends_with(Path::new(OUTER).join(INNER).join(FILE)) && is_empty() && fs::remove_file(file).is_ok() {
        // Up to the attempt's own folder, unless there is something in it.
        let _kept = file.ancestors().skip(1).take(3).all(|folder| fs::remove_dir(folder).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{clear, make_shared};

    #[test]
    fn anybody_may_write_to_a_containers_file_and_only_the_caller_comes_to_it() {
        let run = tempfile::tempdir().unwrap();
        let attempt = run.path().join("a1/1");
        let file = attempt.join("metrics/shared/metrics.jsonl");
        make_shared(&file).unwrap();
        let mode = |below: &str| fs::metadata(attempt.join(below)).unwrap().permissions().mode() & 0o777;
        let modes = ["metrics", "metrics/shared", "metrics/shared/metrics.jsonl"].map(mode);
        assert_eq!(modes, [0o700, 0o777, 0o666]);
        fs::write(&file, "{}").unwrap();
        clear(&file);
        assert!(file.exists(), "what was told stays");
        make_shared(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"{}");
        fs::write(&file, "").unwrap();
        fs::write(attempt.join("stdout.log"), "x").unwrap();
        clear(&file);
        assert!(!attempt.join("metrics").exists() && attempt.join("stdout.log").exists());
    }
}
