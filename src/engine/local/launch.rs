//! Commands of processes, made of launches. Starts nothing.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::fs::Access;

use crate::engine::error::EngineError;
use crate::engine::launch::Launch;
use crate::engine::local::proc;
use crate::engine::local::refusal::{refusal, refused};
use crate::model::label;

/// Programs that were found in `PATH`, by name, folder of the trial and `PATH`, as a shell remembers them: looking into each
/// folder of `PATH` again takes longer than anything else that combu does for a short trial.
#[derive(Debug, Default)]
pub(super) struct Programs(Mutex<HashMap<(String, PathBuf, OsString), PathBuf>>);

/// The command of a launch, with its folder, environment, process group and pipes.
///
/// # Errors
/// [`EngineError::Refused`] when the trial cannot be run here: no program, no folder, another user.
pub(super) fn command(launch: &Launch, token: Option<&str>, programs: &Programs) -> Result<Command, EngineError> {
    let trial = &launch.trial;
    let words: Vec<&str> = trial.entrypoint.iter().chain(trial.cmd.iter()).flatten().map(String::as_str).collect();
    if words.is_empty() {
        return refused("needs a `cmd`: the local engine has no image to take one from".to_owned());
    }
    if let Some(user) = trial.user.as_deref().filter(|user| !is_own(user)) {
        return refused(format!("cannot run as user `{user}`: local trials run as the caller (`user: \"host\"`)"));
    }
    let mut command = prepared(launch, &words, programs)?;
    let labels = serde_json::to_string(&launch.labels).expect("a map of strings is always JSON");
    command.env(proc::LABELS, labels).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(token) = token {
        command.env(proc::TOKEN, token);
    }
    Ok(command)
}

/// A healthcheck's command in the trial's own place. It carries no labels, or it would be found as an attempt.
///
/// # Errors
/// As [`command`].
pub(super) fn probe(
    launch: &Launch,
    words: &[&str],
    token: Option<&str>,
    programs: &Programs,
) -> Result<Command, EngineError> {
    let mut command = prepared(launch, words, programs)?;
    command.env_remove(proc::LABELS).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(token) = token {
        command.env(proc::TOKEN, token);
    }
    Ok(command)
}

fn prepared(launch: &Launch, words: &[&str], programs: &Programs) -> Result<Command, EngineError> {
    let (program, arguments) = words.split_first().ok_or_else(|| refusal("needs a program to run".to_owned()))?;
    let folder = folder(launch)?;
    let path = programs.find(program, &folder, search_path(launch))?;
    // With an absolute path the standard library need not fork: `posix_spawn` does not copy combu's memory map.
    let mut command = Command::new(path);
    command.arg0(program).args(arguments).current_dir(folder);
    command.envs(launch.variables());
    if !launch.gpus.is_empty() && launch.variable("CUDA_VISIBLE_DEVICES").is_none() {
        // By its own order CUDA's 0 is the fastest GPU, and not the one that `nvidia-smi` calls 0.
        command.env("CUDA_DEVICE_ORDER", "PCI_BUS_ID").env("CUDA_VISIBLE_DEVICES", visible(&launch.gpus));
    }
    // A group of its own: it is killed as one, and the terminal's Ctrl-C reaches combu alone.
    command.process_group(0).stdin(Stdio::null());
    Ok(command)
}

/// Ids as CUDA takes them: of a CDI name (`nvidia.com/gpu=0`) what is behind the `=`.
fn visible(gpus: &[String]) -> String {
    let ids: Vec<&str> = gpus.iter().map(|id| id.rsplit_once('=').map_or(id.as_str(), |(_, name)| name)).collect();
    ids.join(",")
}

/// The folder that a launch runs in.
///
/// # Errors
/// [`EngineError::Refused`] when there is none.
pub(super) fn folder(launch: &Launch) -> Result<PathBuf, EngineError> {
    let home = launch.labels.get(label::SPEC).and_then(|spec| Path::new(spec).parent());
    let home = home.filter(|home| home.is_absolute()).map_or_else(env::current_dir, |home| Ok(home.to_owned()));
    let home = home.map_err(|error| refusal(format!("no folder to run in: {error}")))?;
    let folder = launch.trial.workdir.as_ref().map_or(home.clone(), |workdir| home.join(workdir));
    match folder.metadata() {
        Ok(entry) if entry.is_dir() => Ok(folder),
        Ok(_) => refused(format!("cannot run in `{}`: it is not a folder", folder.display())),
        Err(error) => refused(format!("no folder `{}` to run in: {error}", folder.display())),
    }
}

fn search_path(launch: &Launch) -> OsString {
    let told = launch.variables().find(|(name, _)| *name == "PATH").map(|(_, value)| OsString::from(value));
    told.or_else(|| env::var_os("PATH")).unwrap_or_else(|| "/bin:/usr/bin".into())
}

impl Programs {
    /// Finds a program as a shell does, but with relative paths in the trial's folder.
    fn find(&self, program: &str, folder: &Path, search: OsString) -> Result<PathBuf, EngineError> {
        let is_executable = |path: &Path| rustix::fs::access(path, Access::EXEC_OK).is_ok();
        let may_run = |path: &Path| path.is_file() && is_executable(path);
        if program.contains('/') {
            let path = folder.join(program);
            return match path.metadata() {
                Ok(_) if may_run(&path) => Ok(path),
                Ok(_) => refused(format!("`{program}` is not executable (in `{}`)", folder.display())),
                Err(error) => refused(format!("no program `{program}` in `{}`: {error}", folder.display())),
            };
        }
        let mut known = self.0.lock().expect("no code panics while it holds the lock");
        let key = (program.to_owned(), folder.to_owned(), search);
        if let Some(path) = known.get(&key).filter(|path| is_executable(path)) {
            return Ok(path.clone());
        }
        let mut candidates = env::split_paths(&key.2).map(|place| folder.join(place).join(program));
        match candidates.find(|path| !program.is_empty() && may_run(path)) {
            Some(path) => Ok(known.entry(key).insert_entry(path).get().clone()),
            None => refused(format!("no program `{program}` in PATH")),
        }
    }
}

fn is_own(user: &str) -> bool {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    user == "host" || user == uid.to_string() || user == format!("{uid}:{gid}")
}
