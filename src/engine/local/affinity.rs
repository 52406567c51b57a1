//! Affinity of an attempt's processes: the cores they run on, and how much they give way. Limits no amount.

use std::process::{Child, Command};

use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::engine::error::EngineError;
use crate::engine::launch::Launch;
use crate::engine::local::refusal;

/// The least urgent that the kernel knows.
const LAST: i32 = 19;

/// The cores that an attempt's processes run on, and how much they give way to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Affinity {
    /// Empty: wherever combu itself may.
    cores: Vec<u32>,
    /// Added to combu's own, as nice(1) does: nobody may take urgency back.
    nice: i32,
}

impl Affinity {
    /// The affinity that a launch asks for.
    pub(super) fn of(launch: &Launch) -> Self {
        Self { cores: launch.cores.clone(), nice: i32::from(launch.trial.nice) }
    }

    /// Starts a command with this affinity.
    ///
    /// # Errors
    /// When the system cannot start it, or not with this affinity.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Child, EngineError> {
        if *self == Self::default() {
            return command.spawn().map_err(|error| refusal::of_start(command, error));
        }
        // Linux keeps both per thread and a child begins with those of the thread that starts it: it has them before its
        // first instruction, and can fork nothing without them. A thread of its own, since niceness cannot be taken back.
        std::thread::scope(|scope| {
            let started = std::thread::Builder::new().spawn_scoped(scope, || {
                self.take()?;
                command.spawn().map_err(|error| refusal::of_start(command, error))
            });
            let failed = |error| refusal::shortage("start a thread to start a trial from", error);
            started.map_err(failed)?.join().expect("it does not panic")
        })
    }

    /// Gives this thread the affinity.
    fn take(&self) -> Result<(), EngineError> {
        if !self.cores.is_empty() {
            let mut set = CpuSet::new();
            for core in self.cores.iter().filter(|core| (**core as usize) < CpuSet::MAX_CPU) {
                set.set(*core as usize);
            }
            // The kernel takes those that there are and leaves the others out in silence.
            match sched_setaffinity(None, &set).and_then(|()| sched_getaffinity(None)) {
                Ok(taken) if taken == set && set.count() as usize == self.cores.len() => {}
                Ok(_) => return Err(self.refusal("not all of them are there for combu to use")),
                Err(error) => return Err(self.refusal(&error.to_string())),
            }
        }
        if self.nice > 0 {
            let nicer = |own: i32| setpriority_process(None, (own + self.nice).min(LAST));
            getpriority_process(None).and_then(nicer).map_err(|error| EngineError::Refused {
                message: format!("cannot give way by {} (`nice`): {error}", self.nice),
            })?;
        }
        Ok(())
    }

    fn refusal(&self, why: &str) -> EngineError {
        let cores: Vec<_> = self.cores.iter().map(u32::to_string).collect();
        EngineError::Refused { message: format!("cannot be pinned to the cores {}: {why}", cores.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::thread::sched_getaffinity;

    use super::Affinity;

    /// The output of a shell that was started with the affinity.
    fn says(affinity: &Affinity, line: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", line]).stdout(Stdio::piped());
        let child = affinity.spawn(&mut command).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn an_affinity_holds_from_the_first_instruction_on_and_only_there() {
        let before = sched_getaffinity(None).unwrap();
        let last = (0..rustix::thread::CpuSet::MAX_CPU).rev().find(|core| before.is_set(*core)).unwrap();
        let pinned = Affinity { cores: vec![u32::try_from(last).unwrap()], nice: 0 };
        let line = "grep Cpus_allowed_list /proc/self/status | cut -f2";
        assert_eq!(says(&pinned, line), last.to_string());
        assert!(sched_getaffinity(None).unwrap() == before, "combu itself was pinned");

        let own: i32 = says(&Affinity::default(), "nice").parse().unwrap();
        let nice = |nice| says(&Affinity { cores: Vec::new(), nice }, "nice").parse::<i32>().unwrap();
        assert_eq!((nice(7), nice(19)), ((own + 7).min(19), 19));
        assert_eq!(says(&Affinity::default(), "nice"), own.to_string());
    }

    #[test]
    fn cores_that_are_not_there_are_refused() {
        for cores in [vec![0, 1023], vec![5000], vec![1022]] {
            let affinity = Affinity { cores, nice: 0 };
            let error = affinity.spawn(&mut Command::new("true")).unwrap_err().to_string();
            assert!(error.starts_with("cannot be pinned to the cores "), "{error}");
        }
    }
}
