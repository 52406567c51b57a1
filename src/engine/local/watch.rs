//! No orphans: one watch process per engine outlives a killed combu and ends what it left running.
//!
//! Only combu holds the other end of the watch's pipe, so its end-of-file is combu's end, however it came. Nothing else
//! ends the watch: it must survive what killed combu.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::error::EngineError;
use crate::engine::local::proc::{self, Process};
use crate::engine::local::refusal;
use crate::engine::retrying::Retrying;

/// Pause of the watch after each read: thousands of short trials wake it ten times a second, and no more.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two looks for what combu left.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// combu's side: the watch process and the way to tell it of groups.
#[derive(Debug)]
pub(super) struct WatchProcess {
    pipe: File,
    /// Lines that a full pipe did not take yet.
    pending: Vec<u8>,
    /// Reaped by tokio once dropped.
    _child: Child,
}

impl WatchProcess {
    /// Starts the watch process: `program __watch token`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(program: &Path, token: &str) -> Result<Self, EngineError> {
        let failed = |error| refusal::shortage(&format!("start `{} __watch`", program.display()), error);
        // A combu inside a trial carries that trial's marks; its watch must not, or it would be ended as an orphan
        // before it has done its work. A group of its own keeps the terminal's Ctrl-C away.
        let mut child = Command::new(program)
            .args(["__watch", token])
            .env_remove(proc::TOKEN)
            .env_remove(proc::LABELS)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let pipe = child.stdin.take().expect("its stdin was asked for").into_owned_fd().map_err(failed)?;
        rustix::io::ioctl_fionbio(&pipe, true).map_err(|error| failed(error.into()))?;
        Ok(Self { pipe: File::from(pipe), pending: Vec::new(), _child: child })
    }

    /// Tells of a group that runs; false when nobody listens any more.
    pub(super) fn started(&mut self, process: Process) -> bool {
        self.tell(&format!("+{}\n", process.id()))
    }

    /// Tells that a group has ended, together with the next that runs: nothing depends on it before.
    pub(super) fn ended(&mut self, process: Process) {
        self.pending.extend_from_slice(format!("-{}\n", process.id()).as_bytes());
    }

    /// Never blocks: what does not fit goes with the next line. Meanwhile the token in their environment finds them.
    fn tell(&mut self, line: &str) -> bool {
        self.pending.extend_from_slice(line.as_bytes());
        match self.pipe.write(&self.pending) {
            Ok(count) => {
                self.pending.drain(..count);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// The watch process: waits for combu's end and then ends everything that carries `token` or was told of.
///
/// Reads standard input. To be called by `main` for the hidden verb `__watch`, before anything else is set up.
pub fn watch(token: &str) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
        return ExitCode::FAILURE;
    };
    let _context = runtime.enter();
    // Taking a signal's default away needs a handler; nobody ever asks these whether they came.
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let _ignored: Vec<_> = kinds.into_iter().map(signal).collect();
    let registered = listen(io::stdin().lock());
    end_all(token, &registered);
    ExitCode::SUCCESS
}

/// Reads lines until combu is gone; returns the groups that had not ended.
fn listen(mut pipe: impl Read) -> HashSet<Process> {
    let mut registered = HashSet::new();
    let mut chunk = vec![0; 64 << 10];
    let mut rest = Vec::new();
    loop {
        match pipe.read(&mut chunk) {
            Ok(0) => return registered,
            Ok(count) => {
                rest.extend_from_slice(&chunk[..count]);
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                for line in String::from_utf8_lossy(&rest[..whole]).lines() {
                    note(&mut registered, line);
                }
                rest.drain(..whole);
                thread::sleep(PAUSE);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return registered,
        }
    }
}

fn note(registered: &mut HashSet<Process>, line: &str) {
    if let Some(process) = line.strip_prefix('+').and_then(Process::parse) {
        registered.insert(process);
    } else if let Some(process) = line.strip_prefix('-').and_then(Process::parse) {
        registered.remove(&process);
    }
}

/// Kills until nothing is left, also what was forked meanwhile.
fn end_all(token: &str, registered: &HashSet<Process>) {
    for pause in Retrying::new(Duration::from_millis(5), LONGEST_PAUSE) {
        let mut left = false;
        for process in registered.iter().filter(|process| process.alive().is_some()) {
            left = true;
            if let Some(group) = Pid::from_raw(process.pid) {
                proc::send(group, Signal::KILL);
            }
        }
        for pid in
            proc::pids().filter(|pid| proc::variable(*pid, proc::TOKEN).is_some_and(|has| has == token.as_bytes()))
        {
            left = true;
            if let Some(pid) = Pid::from_raw(pid) {
                // Its end just before is no error, and the next look finds what survived.
                let _gone = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        if !left {
            return;
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Process, listen};

    #[test]
    fn the_watch_remembers_the_groups_that_have_not_ended() {
        let told = b"+10:1\n+11:2\nnonsense\n-10:1\n-11:3\n+12:4".as_slice();
        assert_eq!(listen(told), HashSet::from([Process { pid: 11, start: 2 }]));
    }
}
