//! The protocol between two processes of combu: one request and one answer on a connection, a line of JSON each.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::store::LiveRun;

/// Version of the protocol. A combu answers its own version only.
pub(crate) const VERSION: u32 = 1;

/// Limit of a line's bytes: ten thousand names of trials fit well.
pub(crate) const MOST: u64 = 8 << 20;

/// Time limit for the other side to write or read a line.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Time from the start of a live run until it listens; the engine is looked at meanwhile.
const STARTING: Duration = Duration::from_secs(1);

/// Name of the socket in a run's folder.
const SOCKET: &str = "control.sock";

/// A request to the process that runs a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VersionedRequest {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) ask: ControlRequest,
}

/// The subject of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum ControlRequest {
    /// Change the budget; the keys are those of run options.
    Set { change: Map<String, Value> },
    /// Explain what that trial waits for.
    Why { trial: Name },
    /// Stop those trials, with their grace or at once, or keep them from starting, and answer once they have ended or that
    /// many seconds are over.
    Kill {
        trials: Vec<Name>,
        within: f64,
        #[serde(default)]
        at_once: bool,
    },
    /// Start nothing more and stop what runs, with its grace or at once; `by` says who asks, as a noun.
    Cancel { by: String, at_once: bool },
    /// Run an ended trial again, in this form.
    Retry { trial: Box<Trial> },
}

/// The answer to a request.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum ControlReply {
    /// The run took the change.
    Taken,
    /// The run refused the request, for the reason in `message`.
    Refused { message: String },
    /// The run has not answered yet: its script is busy with something else.
    #[serde(rename = "unheard")]
    Unanswered,
    /// The state of the trial, then each thing it waits for.
    Why { lines: Vec<String> },
    /// The run has no such trial.
    NoTrial,
    /// Trials that have ended, trials that have not, and why some were refused.
    Killed { ended: Vec<Name>, left: Vec<Name>, refused: Vec<String> },
}

/// The folder of a run, and its socket by a path that is short enough however deep the folder lies: the system takes
/// 108 bytes at most (unix(7)). The path is good for as long as the folder is open.
pub(crate) fn socket(run: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(run)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()));
    Ok((folder, path))
}

/// Asks a live run, and waits for its answer for `wait` longer than a busy machine needs.
pub(crate) fn ask(run: &LiveRun, ask: ControlRequest, wait: Duration) -> Result<ControlReply, CliError> {
    exchange(&run.path, &VersionedRequest { version: VERSION, ask }, wait).map_err(|error| {
        let id = &run.record.run;
        if !run.is_here {
            return CliError::new(exit::USAGE, format!("run {id} lives on another machine or in a container"))
                .hint("call combu there");
        }
        match error.kind() {
            _ if run.wait_end(Duration::ZERO) => CliError::new(exit::NOTHING, format!("run {id} has just ended")),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                CliError::new(exit::INTERNAL, format!("run {id} cannot be asked: it does not listen"))
                    .hint("an older combu runs it, or its folder is on a disk that holds no sockets")
            }
            io::ErrorKind::PermissionDenied => {
                CliError::new(exit::INTERNAL, format!("run {id} belongs to another user"))
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if is_suspended(run.record.pid) => CliError::new(
                exit::INTERNAL,
                format!("run {id} (process {}) is suspended, as by Ctrl-Z, and does not answer", run.record.pid),
            )
            .hint(format!("`fg` in its terminal, or `kill -CONT {}`, lets it go on", run.record.pid)),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                CliError::new(exit::INTERNAL, format!("run {id} (process {}) does not answer", run.record.pid))
            }
            _ => CliError::new(exit::INTERNAL, format!("run {id} cannot be asked: {error}")),
        }
    })
}

/// True where the process stands still until it is told to go on (proc(5): its state is `T`).
fn is_suspended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

fn exchange(run: &Path, request: &VersionedRequest, wait: Duration) -> io::Result<ControlReply> {
    let mut stream = connect(run)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(wait.saturating_add(2 * PATIENCE)))?;
    stream.write_all(&line(request)?)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MOST)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

/// Connects to a run, which may be starting and not listen yet.
fn connect(run: &Path) -> io::Result<UnixStream> {
    let (_open, path) = socket(run)?;
    let since = Instant::now();
    loop {
        match UnixStream::connect(&path) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
                    && since.elapsed() < STARTING =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            connected => return connected,
        }
    }
}

/// A value as its line.
pub(crate) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
