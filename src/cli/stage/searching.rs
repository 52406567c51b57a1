//! The search that a run carries out: it is told of each trial that ends, and gives those that follow.

use std::collections::HashSet;
use std::fmt;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::model::command::Command;
use crate::model::event::{Event, Fact};
use crate::model::experiment::Experiment;
use crate::model::history::History;
use crate::model::name::Name;
use crate::model::options::{Bound, Goal};
use crate::model::outcome::Outcome;
use crate::model::summary::{Summary, TrialResult};
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;
use crate::script::{toward, value};
use crate::spec::SearchTrials;

/// The error that the search cannot go on.
fn wrong(error: impl fmt::Display) -> CliError {
    CliError::new(exit::USAGE, format!("search: {error}"))
}

/// A search in its run.
pub(crate) struct RunningSearch {
    trials: SearchTrials,
    goal: Goal,
    enough: Option<Bound>,
    /// How many trials the run has at once.
    width: usize,
    /// Whether a trial met what is enough.
    is_over: bool,
    /// Whether the run takes no more trials.
    is_closed: bool,
    /// Trials that ended without a word of their points: where the run ended early, they go on with it.
    cut: HashSet<Name>,
    /// Those of them that somebody asked to kill.
    killed: HashSet<Name>,
    /// Trials that were to be submitted when combu died.
    unsent: Vec<Trial>,
}

/// Whether a run that was ended early carries out a search with trials still to be made. Of one that met what was enough
/// that is not looked at: it goes on, and has nothing to do.
pub(crate) fn is_unfinished(past: &History) -> bool {
    let Some(search) = past.summary.options.search.as_ref().filter(|_| past.stopped) else { return false };
    let is_made = |trial: &&Settled| search.space.keys().all(|param| trial.written.params.contains_key(param));
    past.planned().filter(is_made).count() < search.trials
}

impl RunningSearch {
    /// The search of an experiment, where it has one.
    ///
    /// # Errors
    /// What was wrong with it when it was read; an experiment that was read has none of these.
    pub(crate) fn of(experiment: &Experiment) -> Result<Option<Self>, CliError> {
        let options = &experiment.options;
        let Some((search, goal)) = options.search.as_ref().zip(options.goal.clone()) else { return Ok(None) };
        let folder = experiment.spec.parent().unwrap_or(&experiment.spec);
        let mut trials = SearchTrials::new(search, folder).map_err(wrong)?;
        trials.begin().map_err(wrong)?;
        let enough = search.enough.clone();
        let (cut, killed, unsent) = (HashSet::new(), HashSet::new(), Vec::new());
        let (is_over, is_closed) = (false, false);
        Ok(Some(Self { trials, goal, enough, width: 1, is_over, is_closed, cut, killed, unsent }))
    }

    /// Takes in an event that an earlier combu saw, with the summary as of then.
    ///
    /// # Errors
    /// As those of [`RunningSearch::hear`].
    pub(crate) fn recall(&mut self, event: &Event, summary: &Summary) -> Result<(), CliError> {
        if let Fact::TrialSubmitted { trial } = &event.fact {
            self.unsent.retain(|unsent| unsent.name != trial.name);
        }
        let made = self.hear(event, summary)?;
        self.unsent.extend(made);
        Ok(())
    }

    /// Takes an event in, with the summary so far; the trials that follow it.
    ///
    /// # Errors
    /// When the log of a trial that printed its metric cannot be read, or the base makes no trial of a point.
    pub(crate) fn hear(&mut self, event: &Event, summary: &Summary) -> Result<Vec<Trial>, CliError> {
        match &event.fact {
            Fact::RunStarted { parallel, .. } => self.width = *parallel,
            Fact::RunResumed { parallel, .. } => {
                (self.width, self.is_closed) = (*parallel, false);
                self.cut.retain(|trial| self.killed.contains(trial));
                return Ok(std::mem::take(&mut self.unsent).into_iter().chain(self.follow()?).collect());
            }
            Fact::CommandTaken { command: Command::Cancel { .. } | Command::Drain { .. } } | Fact::Halted { .. } => {
                self.is_closed = true;
            }
            Fact::CommandTaken { command: Command::Kill { trial, .. } } => {
                self.killed.insert(trial.clone());
            }
            Fact::TrialReopened { trial } => {
                self.cut.remove(trial);
            }
            Fact::TrialEnded { trial, .. } if self.trials.has(trial) => {
                if let Some(result) = summary.get(trial) {
                    self.end(result)?;
                }
            }
            _ => {}
        }
        self.follow()
    }

    /// A trial of the search has ended.
    fn end(&mut self, result: &TrialResult) -> Result<(), CliError> {
        let name = &result.trial.name;
        let Some(outcome) = result.outcome() else { return Ok(()) };
        self.cut.remove(name);
        if matches!(outcome, Outcome::Killed | Outcome::Skipped { .. }) {
            // It says nothing of its point, and may go on with the run.
            self.cut.insert(name.clone());
            return Ok(());
        }
        let unread = |error| CliError::new(exit::INTERNAL, format!("cannot read the logs of `{name}`: {error}"));
        let came_to = if outcome.is_fine() { toward(result, &self.goal).map_err(unread)? } else { None };
        self.trials.tell(name, came_to, &self.goal);
        if let Some(enough) = self.enough.as_ref().filter(|_| outcome.is_success()) {
            self.is_over |= value(result, &enough.metric).map_err(unread)?.is_some_and(|value| enough.holds(value));
        }
        Ok(())
    }

    /// The trials that the run has room for.
    fn follow(&mut self) -> Result<Vec<Trial>, CliError> {
        let mut following = Vec::new();
        while !self.is_over && !self.is_closed && self.trials.open() - self.cut.len() < self.width {
            let Some(trial) = self.trials.make().map_err(wrong)? else { break };
            following.push(trial);
        }
        Ok(following)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::is_unfinished;
    use crate::model::event::{Early, Event, Fact};
    use crate::model::history::History;
    use crate::model::name::RunId;
    use crate::spec::{LoadOptions, load};

    #[test]
    fn a_search_that_was_interrupted_between_two_trials_is_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let search = json!({ "space": { "x": [1, 2] }, "base": { "name": "fit" }, "trials": 3, "startup": 1 });
        let spec = folder.path().join("spec.json");
        std::fs::write(
            &spec,
            json!({ "goal": "min loss", "trials": [{ "name": "other" }], "search": search }).to_string(),
        )
        .unwrap();
        let options = load(Path::new(&spec), &LoadOptions::default()).unwrap().options;
        let mut facts = crate::model::event::tests::facts();
        let Fact::RunStarted { options: given, .. } = &mut facts[0] else { panic!("a run starts with its start") };
        **given = options;
        let mut past = History::default();
        past.add(&Event { at: 0, run: RunId::from("run"), fact: facts.swap_remove(0) });
        assert!(!is_unfinished(&past), "it goes on without being asked");
        let elapsed = std::time::Duration::from_secs(1);
        let end = |early| Event { at: 1, run: RunId::from("run"), fact: Fact::RunEnded { early, elapsed, unkept: 0 } };
        past.add(&end(Some(Early::Cancelled("SIGINT".to_owned()))));
        assert!(is_unfinished(&past));
        past.add(&end(None));
        assert!(!is_unfinished(&past), "it came to its end");
    }
}
