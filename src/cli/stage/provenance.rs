//! The provenance of a run: the machine, the repository and the files it was started from. Git may take its time, so this
//! is found out beside the run and not before it.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::system::uname;

use crate::run::user;
use crate::spec::Sources;
use crate::store::{Git, Provenance, RecordedHost};

/// Finds out where and from what a run is started whose spec or script lies in that folder.
pub(crate) fn look(folder: &Path, engines: Vec<String>, sources: &Sources) -> Provenance {
    let system = uname();
    let kernel = format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
    let sources = sources.all();
    Provenance {
        combu: env!("CARGO_PKG_VERSION").to_owned(),
        host: RecordedHost {
            name: system.nodename().to_string_lossy().into_owned(),
            kernel,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            user: user::name(),
        },
        engines,
        git: git(folder),
        sources: sources.into_iter().map(|(path, text)| (path.display().to_string(), text)).collect(),
    }
}

/// The state of the repository that the folder lies in; nothing where there is none, or no git.
fn git(folder: &Path) -> Option<Git> {
    let commit = says(folder, &["rev-parse", "HEAD"])?;
    // Files that git does not know are not looked for: there may be millions, of earlier runs.
    let changes = says(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(Git { commit: commit.trim().to_owned(), dirty: !changes.trim().is_empty() })
}

fn says(folder: &Path, words: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("--no-optional-locks").arg("-C").arg(folder).args(words);
    git.stdin(Stdio::null()).stderr(Stdio::null());
    let said = git.output().ok().filter(|said| said.status.success())?;
    String::from_utf8(said.stdout).ok()
}
