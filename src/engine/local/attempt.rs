//! An attempt that this engine started: its process group, from the start to the last byte. Knows no other attempt.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use wait4::Wait4;

use crate::engine::error::EngineError;
use crate::engine::launch::Launch;
use crate::engine::local::affinity::Affinity;
use crate::engine::local::pipes::Pipes;
use crate::engine::local::proc::{self, Process};
use crate::engine::output::Output;
use crate::engine::retrying::Retrying;
use crate::model::event::Usage;
use crate::model::handle::Handle;
use crate::model::outcome::Exit;

/// Longest silence of a pipe after the attempt's end before reading stops: only a process that left the group
/// can still hold it.
const QUIET: Duration = Duration::from_secs(2);
/// Longest time for which pipes are read after the attempt's end: what the group itself wrote lies in the pipe and is there at once.
const DRAIN: Duration = Duration::from_secs(3);
/// Longest time that the kernel may take to end a killed process.
const KILL_TAKES: Duration = Duration::from_secs(10);

/// An attempt that this engine started.
#[derive(Debug)]
pub(super) struct LocalAttempt {
    pub(super) process: Process,
    /// Kept for its healthcheck.
    pub(super) launch: Option<Launch>,
    group: Pid,
    ending: EndSignal,
    state: Mutex<GroupState>,
    /// Held by whoever waits.
    pipes: tokio::sync::Mutex<Pipes>,
}

#[derive(Debug)]
struct GroupState {
    child: Child,
    /// Exit and usage of the leader, once it was reaped.
    reaped: Option<(ExitStatus, Usage)>,
    /// Until then a stopped group may end by itself.
    grace_until: Option<Instant>,
    /// Set when what the leader left was killed: when it has to be gone.
    dead_by: Option<Instant>,
    /// A process of the group that lived at the last look, after the leader's end.
    survivor: Option<Process>,
    /// True while it stands still.
    paused: bool,
    /// Set when the group is gone: its number may be another's from then on.
    over: Option<Exit>,
}

/// Signal of the leader's end, which does not reap it.
#[derive(Debug)]
enum EndSignal {
    Pidfd(AsyncFd<OwnedFd>),
    /// Linux before 5.3.
    Polled,
}

impl LocalAttempt {
    /// Starts a command made by `launch::command`.
    ///
    /// # Errors
    /// When the system cannot start it; nothing runs then.
    pub(super) fn start(
        mut command: Command,
        launch: Option<Launch>,
        affinity: &Affinity,
    ) -> Result<Self, EngineError> {
        let mut child = affinity.spawn(&mut command)?;
        let pid = child.id().cast_signed();
        match Self::adopt(&mut child) {
            Ok((process, ending, pipes)) => Ok(Self {
                process,
                launch,
                group: Pid::from_raw(pid).expect("a child's number is not zero"),
                ending,
                state: Mutex::new(GroupState {
                    child,
                    reaped: None,
                    grace_until: None,
                    dead_by: None,
                    survivor: None,
                    paused: false,
                    over: None,
                }),
                pipes: tokio::sync::Mutex::new(pipes),
            }),
            Err(source) => {
                let group = Pid::from_raw(pid).expect("a child's number is not zero");
                proc::send(group, Signal::KILL);
                let _unasked = child.wait();
                Err(EngineError::Lost {
                    message: format!("it was started, and ended at once: combu cannot follow it: {source}"),
                })
            }
        }
    }

    fn adopt(child: &mut Child) -> io::Result<(Process, EndSignal, Pipes)> {
        let pid = child.id().cast_signed();
        let process = Process::of(pid).ok_or_else(|| io::Error::other("it is not in /proc"))?;
        let (stdout, stderr) = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
        Ok((process, EndSignal::of(pid)?, Pipes::new(stdout, stderr)?))
    }

    /// Waits for the end and copies the output. May be dropped and called again: what was copied is not copied twice.
    ///
    /// # Errors
    /// When the system fails us; the attempt may run on.
    pub(super) async fn wait(&self, output: &mut Output) -> Result<Exit, EngineError> {
        let failed = |source: io::Error| EngineError::Call {
            action: format!("read the output of process {}", self.process.pid),
            source: source.into(),
        };
        let mut pipes = self.pipes.lock().await;
        let mut ended = std::pin::pin!(self.ended());
        let exit = loop {
            tokio::select! {
                more = pipes.step(output) => if !more.map_err(failed)? { break ended.await? },
                exit = &mut ended => break exit?,
            }
        };
        let limit = Instant::now() + DRAIN;
        while let Ok(more) = tokio::time::timeout_at(limit.min(Instant::now() + QUIET), pipes.step(output)).await {
            if !more.map_err(failed)? || Instant::now() >= limit {
                break;
            }
        }
        if let Some((_, usage)) = &self.state().reaped {
            output.used(usage);
        }
        Ok(exit)
    }

    /// Waits for the end of the group: as with a container, the leader's end is everybody's, unless a stop gave them
    /// time.
    ///
    /// # Errors
    /// When the system fails us; the attempt may run on.
    pub(super) async fn ended(&self) -> Result<Exit, EngineError> {
        let failed = |source: io::Error| EngineError::Call {
            action: format!("wait for process {}", self.process.pid),
            source: source.into(),
        };
        self.ending.come(self.group).await.map_err(failed)?;
        let mut pauses = looks();
        while let Some(until) = self.settle().map_err(failed)? {
            tokio::time::sleep_until(until.min(Instant::now() + pauses.advance())).await;
        }
        Ok(self.state().over.expect("settled"))
    }

    /// Asks the group to end, and kills what is left of it after `grace`.
    ///
    /// # Errors
    /// When even the kernel cannot end it.
    pub(super) async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        let now = Instant::now();
        // A century is as good as for ever, and does not overflow the clock.
        let until = now + grace.min(Duration::from_secs(3_000_000_000));
        if !grace.is_zero() {
            {
                let mut state = self.state();
                state.grace_until = Some(state.grace_until.map_or(until, |earlier| earlier.min(until)));
                state.paused = false;
                if state.over.is_none() {
                    proc::send(self.group, Signal::TERM);
                    // A stopped process (SIGSTOP) has to go on to hear that it should end.
                    proc::send(self.group, Signal::CONT);
                }
            }
            if let Ok(ended) = tokio::time::timeout_at(until, self.ended()).await {
                return ended.map(drop);
            }
        }
        {
            let mut state = self.state();
            state.grace_until = Some(now);
            if state.over.is_none() {
                proc::send(self.group, Signal::KILL);
            }
        }
        match tokio::time::timeout(KILL_TAKES, self.ended()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => Err(unkillable(self.process)),
        }
    }

    /// Makes the whole group stand still, unless it is being stopped: then it has to go on to its end.
    pub(super) fn pause(&self) {
        let mut state = self.state();
        if state.over.is_none() && state.grace_until.is_none() {
            proc::send(self.group, Signal::STOP);
            state.paused = true;
        }
    }

    /// Lets a paused group go on, whoever paused it.
    pub(super) fn unpause(&self) {
        let mut state = self.state();
        state.paused = false;
        if state.over.is_none() {
            proc::send(self.group, Signal::CONT);
        }
    }

    /// True while it stands still because it was paused.
    pub(super) fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Reaps the ended leader; says until when others of its group may go on or take to die, or makes an end.
    fn settle(&self) -> io::Result<Option<Instant>> {
        let mut state = self.state();
        if state.over.is_some() {
            return Ok(None);
        }
        let now = Instant::now();
        let until = match state.grace_until.filter(|until| *until > now) {
            Some(until) => until,
            None => *state.dead_by.get_or_insert_with(|| {
                // Before the leader is reaped (the first time round): until then the group's number is ours for certain.
                proc::send(self.group, Signal::KILL);
                now + KILL_TAKES
            }),
        };
        let exit = exit_of(state.reap()?);
        if until > now && is_alive(self.group, &mut state.survivor) {
            return Ok(Some(until));
        }
        state.over = Some(exit);
        Ok(None)
    }

    fn state(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().expect("no code panics while it holds the lock")
    }
}

impl GroupState {
    /// Exit of the leader, which must have ended. Reaps it the first time, with what the kernel kept of it.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some((status, _)) = self.reaped {
            return Ok(status);
        }
        // Its memory is gone by now, its counters go with the reaping.
        let (read_bytes, written_bytes) = proc::io(self.child.id().cast_signed()).unzip();
        let ended = self.child.wait4()?;
        let most = Some(ended.rusage.maxrss).filter(|most| proc::is_own_peak(*most));
        let cpu_seconds = Some((ended.rusage.utime + ended.rusage.stime).as_secs_f64());
        self.reaped = Some((ended.status, Usage { cpu_seconds, peak_memory: most, read_bytes, written_bytes }));
        Ok(ended.status)
    }
}

impl EndSignal {
    #[expect(deprecated, reason = "its successor is an unsafe function; an `OwnedFd` upholds what that one asks for")]
    fn of(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).expect("a child's number is not zero");
        match rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => Ok(Self::Pidfd(AsyncFd::with_interest(pidfd, Interest::READABLE)?)),
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => Ok(Self::Polled),
            Err(error) => Err(error.into()),
        }
    }

    async fn come(&self, pid: Pid) -> io::Result<()> {
        match self {
            // Readable for ever from the end on, so the readiness is never cleared.
            Self::Pidfd(pidfd) => pidfd.readable().await.map(drop),
            Self::Polled => {
                let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
                // An error says that it was reaped already.
                while let Ok(None) = rustix::process::waitid(WaitId::Pid(pid), look) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(())
            }
        }
    }
}

/// Stops the group of a process that is not our child, and kills what is left of it after `grace`. A process that has
/// ended is stopped, and a later one of its number is another.
///
/// # Errors
/// When even the kernel cannot end it.
pub(super) async fn stop_foreign(process: Process, grace: Duration) -> Result<(), EngineError> {
    let Some(stat) = process.alive() else { return Ok(()) };
    let Some(group) = Pid::from_raw(stat.group) else { return Ok(()) };
    for (signals, patience) in [(&[Signal::TERM, Signal::CONT][..], grace), (&[Signal::KILL][..], KILL_TAKES)] {
        if patience.is_zero() {
            continue;
        }
        for signal in signals {
            proc::send(group, *signal);
        }
        let gone = async {
            let (mut pauses, mut survivor) = (looks(), None);
            while process.alive().is_some() || is_alive(group, &mut survivor) {
                pauses.pause().await;
            }
        };
        if tokio::time::timeout(patience, gone).await.is_ok() {
            return Ok(());
        }
    }
    Err(unkillable(process))
}

/// Signals the group of a process that is not our child, unless it has ended.
pub(super) fn signal_foreign(handle: &Handle, signal: Signal) {
    let stat = Process::parse(&handle.id).and_then(Process::alive);
    if let Some(group) = stat.and_then(|stat| Pid::from_raw(stat.group)) {
        proc::send(group, signal);
    }
}

/// Pauses between looks at something that has no event.
fn looks() -> Retrying {
    Retrying::new(Duration::from_millis(1), Duration::from_millis(100))
}

/// True while a member of the group has not ended. The kernel counts zombies, so `/proc` has the last word; all of it is
/// read only when the member `known` from the look before has ended.
fn is_alive(group: Pid, known: &mut Option<Process>) -> bool {
    if rustix::process::test_kill_process_group(group) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let number = group.as_raw_nonzero().get();
    if known.and_then(Process::alive).is_none_or(|stat| stat.group != number) {
        *known = proc::member(number);
    }
    known.is_some()
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => unreachable!("an ended process has a code or a signal"),
    }
}

fn unkillable(process: Process) -> EngineError {
    EngineError::Call {
        action: format!("end process {}", process.pid),
        source:
            "the kernel has not ended it 10 seconds after SIGKILL; it may hang on a device or a network file system"
                .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use rustix::process::{Pid, WaitId, WaitIdOptions};

    use super::{EndSignal, LocalAttempt, is_alive};
    use crate::engine::local::affinity::Affinity;
    use crate::engine::local::proc::Process;
    use crate::engine::output::Output;
    use crate::model::outcome::Exit;

    fn attempt(line: &str) -> LocalAttempt {
        let mut command = Command::new("sh");
        command.args(["-c", line]).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        LocalAttempt::start(command, None, &Affinity::default()).expect("there is a shell")
    }

    #[tokio::test]
    async fn an_old_kernels_attempts_end_too() {
        let mut ends = attempt("exit 5");
        ends.ending = EndSignal::Polled;
        assert!(matches!(ends.wait(&mut Output::nowhere()).await, Ok(Exit::Code(5))));
        let mut stopped = attempt("sleep 600");
        stopped.ending = EndSignal::Polled;
        assert!(stopped.stop(Duration::ZERO).await.is_ok());
        assert!(matches!(stopped.wait(&mut Output::nowhere()).await, Ok(Exit::Signal(9))));
    }

    #[test]
    fn a_group_lives_as_long_as_one_of_it_does() {
        let sleep_in = |group: i32| Command::new("sleep").arg("600").process_group(group).spawn().unwrap();
        let mut first = sleep_in(0);
        let number = first.id().cast_signed();
        let mut second = sleep_in(number);
        let group = Pid::from_raw(number).unwrap();
        let mut known = None;
        assert!(is_alive(group, &mut known));
        first.kill().unwrap();
        first.wait().unwrap();
        assert!(is_alive(group, &mut known));
        assert_eq!(known, Process::of(second.id().cast_signed()));
        second.kill().unwrap();
        // It has ended, and nobody has asked how: a zombie.
        let id = WaitId::Pid(Pid::from_raw(second.id().cast_signed()).unwrap());
        rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        assert!(!is_alive(group, &mut known));
        second.wait().unwrap();
        assert!(!is_alive(group, &mut known));
    }

    #[tokio::test]
    async fn everybody_who_waits_hears_the_same_end() {
        let attempt = attempt("kill -15 $$");
        let mut output = Output::nowhere();
        let (waited, ended, stopped) =
            tokio::join!(attempt.wait(&mut output), attempt.ended(), attempt.stop(Duration::MAX));
        assert!(matches!((waited, ended), (Ok(Exit::Signal(15)), Ok(Exit::Signal(15)))));
        assert!(stopped.is_ok());
    }
}
