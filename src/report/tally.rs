//! How far a run is, kept up to date event by event so that no report counts 10,000 trials again for each line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::command::Command;
use crate::model::event::{Early, Event, Fact};
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::trial::settled::Settled;

/// How far a run is. A trial is done when it has ended and another life of the run would not run it again: agrees with
/// [`crate::model::history::History::open`], which counts anew.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// All trials, services too.
    pub(crate) total: usize,
    /// Those that ended badly.
    pub(crate) failed: usize,
    /// Those that are done.
    ended: HashMap<Name, EndKind>,
    services: HashSet<Name>,
    graces: HashMap<Name, Duration>,
    /// Those that are starting or running.
    active: HashSet<Name>,
    /// Those of which another attempt is to follow.
    due: HashSet<Name>,
    /// Those that someone asked to kill, each by its name.
    killed: HashSet<Name>,
    /// Everything is being stopped, or was.
    is_stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndKind {
    Good,
    Bad,
    Skipped,
}

impl Tally {
    pub(crate) fn add(&mut self, event: &Event) {
        match &event.fact {
            Fact::RunStarted { trials, services, .. } => {
                trials.iter().for_each(|trial| self.enter(trial));
                self.services.extend(services.iter().cloned());
            }
            Fact::TrialSubmitted { trial } => self.enter(trial),
            Fact::RunResumed { .. } if std::mem::take(&mut self.is_stopped) => {
                self.ended.retain(|_, end| *end != EndKind::Skipped);
            }
            Fact::CommandTaken { command: Command::Cancel { .. } | Command::Drain { .. } } | Fact::Halted { .. } => {
                self.is_stopped = true;
            }
            Fact::CommandTaken { command: Command::Kill { trial, .. } } => drop(self.killed.insert(trial.clone())),
            Fact::RunEnded { early, .. } => self.is_stopped = !matches!(early, None | Some(Early::Killed(_))),
            Fact::AttemptStarting { trial, .. } | Fact::AttemptAdopted { trial, .. } => {
                // An ended trial starts again when a hook asked for it.
                self.open(trial);
                self.due.remove(trial);
                self.active.insert(trial.clone());
            }
            Fact::AttemptEnded { trial, .. } => drop(self.active.remove(trial)),
            Fact::RetryScheduled { trial, .. } => drop(self.due.insert(trial.clone())),
            Fact::TrialReopened { trial } => {
                self.open(trial);
                self.due.remove(trial);
                self.killed.remove(trial);
            }
            Fact::TrialEnded { trial, outcome, .. } => self.end(trial, outcome),
            _ => {}
        }
    }

    fn enter(&mut self, trial: &Arc<Settled>) {
        self.total += 1;
        self.graces.insert(trial.name.clone(), trial.stop_grace);
        if trial.service {
            self.services.insert(trial.name.clone());
        }
    }

    fn end(&mut self, trial: &Name, outcome: &Outcome) {
        self.active.remove(trial);
        let was_cut = self.due.remove(trial);
        let goes_on = self.is_stopped
            && match outcome {
                Outcome::Killed => !self.killed.contains(trial),
                Outcome::Skipped { .. } => true,
                _ => was_cut,
            };
        self.open(trial);
        if goes_on {
            return;
        }
        let kind = match outcome {
            Outcome::Skipped { .. } => EndKind::Skipped,
            outcome if outcome.is_failure() => EndKind::Bad,
            _ => EndKind::Good,
        };
        self.failed += usize::from(kind == EndKind::Bad);
        self.ended.insert(trial.clone(), kind);
    }

    fn open(&mut self, trial: &Name) {
        self.failed -= usize::from(self.ended.remove(trial) == Some(EndKind::Bad));
    }

    pub(crate) fn done(&self) -> usize {
        self.ended.len()
    }

    /// Trials that are starting or running.
    pub(crate) fn running(&self) -> usize {
        self.active.len()
    }

    /// The longest time that a trial which runs may take to stop.
    pub(crate) fn longest_grace(&self) -> Duration {
        self.active.iter().filter_map(|trial| self.graces.get(trial)).max().copied().unwrap_or_default()
    }

    pub(crate) fn is_service(&self, trial: &Name) -> bool {
        self.services.contains(trial)
    }

    /// Services that have not ended.
    pub(crate) fn services_left(&self) -> usize {
        self.services.iter().filter(|service| !self.ended.contains_key(*service)).count()
    }
}

/// Whether `Preparing` will be heard of again for the same object: `pulling, 3 of 7 layers` goes on, `created` does not.
pub(crate) fn goes_on(state: &str) -> bool {
    let word = state.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    word.ends_with("ing")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tally;
    use crate::model::command::Command;
    use crate::model::event::{Early, Fact};
    use crate::model::history::History;
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::tests::{Script, name};

    fn done(script: &Script) -> usize {
        let mut tally = Tally::default();
        script.events.iter().for_each(|event| tally.add(event));
        tally.done()
    }

    /// What another life of the run would not run again.
    fn closed(script: &Script) -> usize {
        let mut history = History::default();
        script.events.iter().for_each(|event| history.add(event));
        history.summary.results.len() - history.open()
    }

    #[test]
    fn what_an_interrupted_life_did_not_run_is_not_done() {
        let mut script = Script::new("sweep", &["a1", "a2", "a3", "a4", "a5", "a6"], &[], 2);
        script.start("a1", 1).end("a1", 1, Outcome::Succeeded, 1_000, "");
        script.start("a2", 1).attempt_end("a2", 1, Outcome::Failed { exit: Exit::Code(1) }, 1_000, "");
        script.fact(Fact::RetryScheduled {
            trial: name("a2"),
            attempt: 2,
            delay: Duration::from_secs(9),
            memory: None,
        });
        script.start("a3", 1).start("a4", 1);
        script.fact(Fact::CommandTaken { command: Command::Kill { trial: name("a4"), at_once: false } });
        script.end("a4", 1, Outcome::Killed, 1_000, "");
        script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
        script.end("a3", 1, Outcome::Killed, 1_000, "").end("a2", 1, Outcome::Failed { exit: Exit::Code(1) }, 0, "");
        script.skip("a5", "the run was stopped by SIGINT").skip("a6", "the run was stopped by SIGINT");
        script.run_end(Some(Early::Cancelled("SIGINT".into())), 3_000);
        // The one that succeeded, and the one that was killed by its name.
        assert_eq!((done(&script), closed(&script)), (2, 2));
        script.resume(4);
        assert_eq!(done(&script), 2);
        script.start("a3", 2).end("a3", 2, Outcome::Succeeded, 1_000, "");
        assert_eq!(done(&script), 3);
    }

    #[test]
    fn a_combu_that_was_killed_and_a_policy_leave_nothing_that_counts() {
        let mut script = Script::new("sweep", &["a1", "a2", "a3"], &[], 1);
        script.skip("a3", "`a0` failed").start("a1", 1);
        script.resume(2);
        script.end("a1", 1, Outcome::Failed { exit: Exit::Code(1) }, 1_000, "");
        assert_eq!((done(&script), closed(&script)), (2, 2));
        script.fact(Fact::Halted { because: "1 trial failed".into() }).skip("a2", "1 trial failed");
        script.run_end(Some(Early::Halted("1 trial failed".into())), 2_000);
        assert_eq!(closed(&script), 1, "what was skipped is looked at again");
        script.resume(2);
        assert_eq!(done(&script), 1);
    }
}
