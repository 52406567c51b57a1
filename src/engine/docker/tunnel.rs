//! Tunnels to daemons on other machines: the system's ssh forwards a socket of a private folder to the daemon's socket, and
//! is started again when it ends. It ends, and the folder goes, with whoever holds the tunnel, however that one ends.

use std::fs::{self, DirBuilder, File};
use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::watch;

use crate::engine::docker::call::out_of_reach;
use crate::engine::docker::ssh::SshAddress;
use crate::engine::error::EngineError;
use crate::engine::retrying::Retrying;

/// Runs ssh, and ends with its code. When combu ends, in whatever way, the pipe that is its standard input ends: then the
/// folder is removed and ssh ended.
///
/// The pipe is watched here and not by ssh, for accounts that may forward and run nothing. Interrupts of the terminal do
/// not come here: it is a process group of its own.
const KEEPER: &str = r#"
folder=$1; shift
command -v "$1" >/dev/null || exit 127
exec 3<&0
"$@" 3<&- </dev/null &
ssh=$!
{ read -r nothing <&3; rm -rf -- "$folder"; kill "$ssh"; } 2>/dev/null &
watch=$!
exec 3<&-
wait "$ssh"; code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

/// What the shell ends with where there is no such program.
const NO_PROGRAM: i32 = 127;

/// Longest time in which ssh has to log in: through machines in between it takes some.
const WITHIN: Duration = Duration::from_secs(40);

/// Pause between two looks whether the socket is there.
const LOOK: Duration = Duration::from_millis(20);

/// Pauses before ssh is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Longest path of a socket, with its end, on every system; ssh adds nothing to it.
const LONGEST_PATH: usize = 100;

/// The standing of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TunnelState {
    /// ssh is logging in for the first time.
    Opening,
    Open,
    /// ssh has ended, for that reason, and is or will be started again.
    Down(String),
}

/// A way to a daemon's socket on another machine. It is there until it is dropped.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// As it is shown and recorded: `ssh://me@box`.
    address: String,
    ssh: SshAddress,
    folder: PathBuf,
    state: watch::Receiver<TunnelState>,
    /// Nothing is ever written. Its end ends ssh.
    _life: PipeWriter,
    /// Nothing is ever sent. Its end ends the thread that starts ssh again.
    _end: Sender<()>,
}

impl Tunnel {
    /// Opens a way to the daemon at `ssh://..`.
    ///
    /// # Errors
    /// What is wrong with the address, or what ssh says.
    pub(super) async fn open(address: &str) -> Result<Self, EngineError> {
        let target = address.strip_prefix("ssh://").unwrap_or(address);
        let shown = target.rsplit_once('@').filter(|(user, _)| user.contains(':'));
        let shown = shown.map_or_else(|| address.to_owned(), |(_, host)| format!("ssh://...@{host}"));
        let ssh = SshAddress::parse(target).map_err(|problem| out_of_reach(&shown, problem))?;
        let failed =
            |error: io::Error| out_of_reach(&shown, format!("a folder and a pipe for ssh cannot be made: {error}"));
        let folder = make_folder().map_err(failed)?;
        let (input, life) = io::pipe().map_err(failed)?;
        let ((told, mut state), (end, ended)) = (watch::channel(TunnelState::Opening), channel());
        let keeper = Keeper { ssh: ssh.clone(), folder: folder.clone(), input, told, ended };
        // A thread, as a tunnel lives longer than the runtime that opened it may.
        thread::Builder::new().name("ssh tunnel".to_owned()).spawn(move || keeper.keep()).map_err(failed)?;
        let tunnel = Self { address: shown, ssh, folder, state: state.clone(), _life: life, _end: end };
        let state = state.wait_for(|state| *state != TunnelState::Opening).await.map(|state| state.clone());
        match state {
            Ok(TunnelState::Down(because)) => Err(out_of_reach(&tunnel.address, because)),
            _ => Ok(tunnel),
        }
    }

    /// The socket of here that leads to the daemon.
    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// The reason why a call did not come to ssh, or was cut off behind it.
    pub(super) fn failure(&self, came: bool) -> EngineError {
        let because = match &*self.state.borrow() {
            TunnelState::Down(because) => format!("{because}; it is started again"),
            TunnelState::Opening | TunnelState::Open if came => self.ssh.no_daemon(&said(&self.folder)),
            TunnelState::Opening | TunnelState::Open => format!("{}; it is started again", self.ssh.failure("")),
        };
        out_of_reach(&self.address, because)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // What is left of it in a folder for temporary files harms nobody.
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// What starts ssh, and starts it again.
struct Keeper {
    ssh: SshAddress,
    folder: PathBuf,
    input: PipeReader,
    told: watch::Sender<TunnelState>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Has an ssh run until the tunnel is dropped.
    fn keep(self) {
        let fresh = || Retrying::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut pauses = fresh();
        loop {
            let because = match self.start() {
                Ok(mut child) => {
                    pauses = fresh();
                    self.told.send_replace(TunnelState::Open);
                    // It is a child of ours, and nobody else waits for it.
                    let _status = child.wait();
                    self.ssh.failure(&said(&self.folder))
                }
                Err(because) => because,
            };
            self.told.send_replace(TunnelState::Down(because));
            if self.is_over(pauses.advance()) {
                return;
            }
        }
    }

    /// Waits that long; true as soon as the tunnel was dropped.
    fn is_over(&self, pause: Duration) -> bool {
        self.ended.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }

    /// Starts ssh and waits until its socket answers.
    fn start(&self) -> Result<Child, String> {
        let failed = |error: io::Error| format!("ssh cannot be started: {error}");
        let log = File::create(log(&self.folder)).map_err(failed)?;
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(&self.folder).arg("ssh").args(self.ssh.arguments(&socket(&self.folder)));
        command.stdin(self.input.try_clone().map_err(failed)?).stdout(Stdio::null()).stderr(log).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let since = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Err(match status.code() {
                    Some(NO_PROGRAM) => {
                        "there is no program `ssh` on the PATH (Debian: the package openssh-client)".to_owned()
                    }
                    _ => self.ssh.failure(&said(&self.folder)),
                });
            }
            if UnixStream::connect(socket(&self.folder)).is_ok() {
                return Ok(child);
            }
            if since.elapsed() > WITHIN {
                let _gone = kill_process_group(Pid::from_child(&child), Signal::TERM);
                let _status = child.wait();
                return Err(self.ssh.failure(&format!("no answer in {} s", WITHIN.as_secs())));
            }
            if self.is_over(LOOK) {
                let _status = child.wait();
                return Err(String::new());
            }
        }
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("ssh.log")
}

/// What the last ssh said so far.
fn said(folder: &Path) -> String {
    // One that said nothing is as good as one whose words cannot be read.
    fs::read(log(folder)).map(|said| String::from_utf8_lossy(&said).into_owned()).unwrap_or_default()
}

/// Makes a folder that only this user may enter, with a short path of plain characters: ssh reads `:` and `%` in it.
fn make_folder() -> io::Result<PathBuf> {
    let usual = std::env::temp_dir();
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "/._-+,@=".contains(c));
    let is_fit =
        usual.is_absolute() && usual.to_str().is_some_and(|text| is_plain(text) && text.len() + 40 < LONGEST_PATH);
    let parent = if is_fit { usual } else { PathBuf::from("/tmp") };
    let mut number = 0;
    loop {
        let folder = parent.join(format!("combu-ssh-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 10_000 => number += 1,
            made => return made.map(|()| folder),
        }
    }
}
