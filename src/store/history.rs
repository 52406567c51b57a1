//! What a run's events tell afterwards: everything, or a part that is read faster.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::event::{Event, Fact, FactKind};
use crate::model::history::History;
use crate::model::name::{EngineName, Name};
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::store::database::Kinds;
use crate::store::error::StoreError;
use crate::store::run::{RunRecord, ScriptRecord};
use crate::store::script::{self, ScriptHead, ScriptState};

/// A run that was recorded, whether it is alive or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// What was written of it when it started.
    pub record: RunRecord,
    /// Its folder.
    pub path: PathBuf,
    /// The state folder.
    pub(super) state: PathBuf,
}

impl PastRun {
    /// Its events so far, in order; none where nothing was kept.
    ///
    /// # Errors
    /// When the database cannot be read, or a row of it.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        self.each(Kinds::All, |event| events.push(event))?;
        Ok(events)
    }

    /// All that its events of these kinds tell so far, with the rows that cannot be read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn history(&self, kinds: Kinds<'_>) -> Result<History, StoreError> {
        let (mut history, mut follower) = (History::default(), self.follow());
        follower.read(kinds, |event| history.add(&event))?;
        history.unread = follower.unread();
        Ok(history)
    }

    /// Whether its last life came to its end: its combu did not die.
    ///
    /// # Errors
    /// As for [`PastRun::events`].
    pub fn has_ended(&self) -> Result<bool, StoreError> {
        let mut has_ended = false;
        self.each(Kinds::Only(&[FactKind::RunEnded, FactKind::RunResumed]), |event| {
            has_ended = matches!(event.fact, Fact::RunEnded { .. });
        })?;
        Ok(has_ended)
    }

    /// What became of the script that started it, if one did.
    pub fn script(&self) -> Option<(&ScriptRecord, ScriptState)> {
        let script = self.record.script.as_ref()?;
        Some((script, script.state(&self.state)))
    }

    /// The script that started it, if that died before its end.
    pub fn dead_script(&self) -> Option<&ScriptRecord> {
        self.script().filter(|(_, state)| *state == ScriptState::Died).map(|(script, _)| script)
    }

    /// What the script was started with that started it and died; absent where it left no record.
    pub fn dead_script_head(&self) -> Option<ScriptHead> {
        script::head(&self.state, self.dead_script()?)
    }

    /// Whether a trial of it has left something in its folder.
    pub fn has_trials(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return false };
        let is_trials = |entry: std::fs::DirEntry| {
            // No trial's name begins with a dot.
            let is_own = entry.file_name().as_encoded_bytes().starts_with(b".");
            !is_own && entry.file_type().is_ok_and(|kind| kind.is_dir())
        };
        entries.flatten().any(is_trials)
    }

    /// The engines on which attempts of it were started, as far as that can be read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn engines(&self) -> Result<BTreeSet<EngineName>, StoreError> {
        let mut engines = BTreeSet::new();
        self.follow().read(Kinds::Only(&[FactKind::AttemptStarted]), |event| {
            if let Fact::AttemptStarted { handle, .. } = event.fact {
                engines.insert(handle.engine);
            }
        })?;
        Ok(engines)
    }

    /// Whether something ran on the fake engine: what ended there says nothing of the real thing.
    ///
    /// # Errors
    /// As for [`PastRun::events`].
    pub fn is_rehearsal(&self) -> Result<bool, StoreError> {
        Ok(self.engines()?.contains(&EngineName::Fake))
    }

    /// How its trials ended so far, read without the trials themselves, which takes a fraction of the time. One that runs,
    /// waits, or was left behind by a combu that died has no end.
    ///
    /// # Errors
    /// As for [`PastRun::events`].
    pub fn ends(&self) -> Result<HashMap<Name, Outcome>, StoreError> {
        let mut ends = HashMap::new();
        self.each(Kinds::Only(&[FactKind::TrialEnded, FactKind::TrialReopened]), |event| match event.fact {
            Fact::TrialReopened { trial } => drop(ends.remove(&trial)),
            Fact::TrialEnded { trial, outcome, .. } => drop(ends.insert(trial, outcome)),
            _ => {}
        })?;
        Ok(ends)
    }

    /// Its trials as they were written when they were planned, or submitted.
    ///
    /// # Errors
    /// As for [`PastRun::events`].
    pub fn written(&self) -> Result<HashMap<Name, Arc<Trial>>, StoreError> {
        let mut written = HashMap::new();
        self.each(Kinds::Only(&[FactKind::RunStarted, FactKind::TrialSubmitted]), |event| {
            let trials = match event.fact {
                Fact::RunStarted { trials, .. } => trials,
                Fact::TrialSubmitted { trial } => vec![trial],
                _ => Vec::new(),
            };
            written.extend(trials.iter().map(|trial| (trial.name.clone(), trial.written.clone())));
        })?;
        Ok(written)
    }

    /// What the last attempt of each trial told and took, from its start to its end.
    ///
    /// # Errors
    /// As for [`PastRun::events`].
    pub fn last_attempts(&self) -> Result<HashMap<Name, Vec<Event>>, StoreError> {
        let mut last: HashMap<Name, Vec<Event>> = HashMap::new();
        let kinds = [FactKind::AttemptStarting, FactKind::AttemptAdopted, FactKind::Recorded, FactKind::AttemptEnded];
        self.each(Kinds::Only(&kinds), |event| {
            let Some(name) = event.fact.trial() else { return };
            let events = last.entry(name.clone()).or_default();
            // Whoever is followed anew tells everything again.
            if matches!(event.fact, Fact::AttemptStarting { .. } | Fact::AttemptAdopted { .. }) {
                events.clear();
            }
            events.push(event);
        })?;
        Ok(last)
    }

    /// Reads everything of these kinds: what decides about trials must not lack a row.
    fn each(&self, kinds: Kinds<'_>, take: impl FnMut(Event)) -> Result<(), StoreError> {
        let mut follower = self.follow();
        follower.read(kinds, take)?;
        match follower.unread().into_iter().next() {
            Some(row) => Err(StoreError::Row(row)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::model::command::Command;
    use crate::model::event::{Early, Event, Fact, Journal};
    use crate::model::handle::Handle;
    use crate::model::name::{EngineName, Name};
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::trial::Trial;
    use crate::store::database::Kinds;
    use crate::store::history::PastRun;
    use crate::store::state::tests::record;
    use crate::store::{Search, StateDir};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn ended(trial: &str, outcome: Outcome) -> Fact {
        Fact::TrialEnded { trial: name(trial), attempts: 2, outcome, elapsed: Duration::from_millis(1500) }
    }

    fn started(names: &[&str]) -> Fact {
        let trials = names.iter().map(|trial| Arc::new(Trial::new(name(trial)).into())).collect();
        let experiment = "粒子法".to_owned();
        Fact::RunStarted {
            experiment,
            trials,
            services: Vec::new(),
            parallel: 2,
            seed: 1,
            folder: None,
            options: Box::default(),
        }
    }

    /// A run with those facts among its events.
    fn wrote(state: &StateDir, run: &str, started_ms: u64, facts: Vec<Fact>) {
        let record = crate::store::RunRecord { started_ms, ..record(run) };
        state.create_run(&record, |_| false).unwrap();
        let events: Vec<_> = facts.into_iter().map(|fact| Event { at: 1, run: run.into(), fact }).collect();
        state.journal(&record).unwrap().keep(&events).unwrap();
    }

    #[test]
    fn the_trials_and_their_ends_are_read_back_from_the_events() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        let more = Trial { memory: Some(7), ..Trial::new(name("b1")) };
        let early = Some(Early::Cancelled("SIGINT".to_owned()));
        let facts = vec![
            started(&["a1", "b1"]),
            ended("a1", Outcome::Succeeded),
            ended("b1", Outcome::Failed { exit: Exit::Code(3) }),
            Fact::CommandTaken { command: Command::Retry { trial: Box::new(more) } },
            Fact::TrialReopened { trial: name("b1") },
            Fact::CommandTaken { command: Command::Kill { trial: name("a1"), at_once: false } },
            Fact::AttemptStarted {
                trial: name("a1"),
                attempt: 1,
                handle: Handle { engine: EngineName::Local, id: "1".to_owned() },
            },
            Fact::TrialSubmitted { trial: Arc::new(Trial::new(name("c1")).into()) },
            ended("c1", Outcome::Skipped { because: "`b1` failed".to_owned() }),
            Fact::RunEnded { early: early.clone(), elapsed: Duration::from_secs(1), unkept: 0 },
        ];
        wrote(&state, "aaaaaaaaaaaa", 1, facts.clone());
        let run = state.past_runs().unwrap().runs.remove(0);
        let read: Vec<_> = run.events().unwrap().into_iter().map(|event| event.fact).collect();
        assert_eq!(read, facts);
        let summary = run.history(Kinds::All).unwrap().summary;
        let names: Vec<_> = summary.results.iter().map(|result| result.trial.name.as_str()).collect();
        assert_eq!(names, ["a1", "b1", "c1"]);
        assert_eq!((summary.results[1].trial.memory, summary.early), (Some(7), early));
        let read = run.ends().unwrap();
        let mut ends: Vec<_> = read.iter().map(|(name, outcome)| format!("{name} {outcome}")).collect();
        ends.sort();
        assert_eq!(ends, ["a1 succeeded", "c1 skipped because `b1` failed"]);
        assert_eq!((summary.results[0].attempts, summary.results[0].elapsed.as_millis()), (2, 1500));
    }

    #[test]
    fn a_trials_last_end_is_that_of_the_last_run_it_was_in() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        let failed = Outcome::Failed { exit: Exit::Code(1) };
        let rehearsed = |engine| Fact::AttemptStarted {
            trial: name("d1"),
            attempt: 1,
            handle: Handle { engine, id: "d1".to_owned() },
        };
        let all = || started(&["a1", "b1", "c1", "d1"]);
        wrote(&state, "dddddddddddd", 4, vec![all(), rehearsed(EngineName::Fake), ended("d1", Outcome::Succeeded)]);
        wrote(&state, "aaaaaaaaaaaa", 3, vec![started(&["b1"]), ended("b1", Outcome::Succeeded)]);
        wrote(&state, "bbbbbbbbbbbb", 2, vec![all(), ended("a1", Outcome::Succeeded), ended("b1", failed.clone())]);
        wrote(&state, "cccccccccccc", 1, vec![all(), ended("a1", failed.clone()), ended("c1", failed.clone())]);
        let spec = record("aaaaaaaaaaaa").spec;
        let last_of = |spec: &std::path::Path, experiment: &str, is_same: fn(&PastRun, &Trial) -> bool| {
            let names = ["a1", "b1", "c1", "d1"].map(name);
            let ends = state.last_ends(spec, experiment, &names, is_same).unwrap();
            let mut ends: Vec<_> = ends.iter().map(|(name, outcome)| format!("{name} {}", outcome.status())).collect();
            ends.sort();
            ends
        };
        let last = |spec: &std::path::Path, experiment: &str| last_of(spec, experiment, |_, _| true);
        assert_eq!(last(&spec, "粒子法"), ["a1 succeeded", "b1 succeeded", "c1 failed"]);
        let not_in_a = |run: &PastRun, _: &Trial| run.record.run.as_str() != "aaaaaaaaaaaa";
        assert_eq!(last_of(&spec, "粒子法", not_in_a), ["a1 succeeded", "b1 failed", "c1 failed"]);
        assert!(last(&spec, "other").is_empty());
        assert!(last("/lab/other.jsonnet".as_ref(), "粒子法").is_empty());
    }

    #[test]
    fn a_run_without_events_or_a_record_hides_no_other() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        assert!(state.past_runs().unwrap().runs.is_empty());
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let torn = state.create_run(&record("bbbbbbbbbbbb"), |_| false).unwrap();
        fs::write(torn.path().join("run.json"), "{").unwrap();
        fs::create_dir(state.path().join("runs/cccccccccccc")).unwrap();
        let past = state.past_runs().unwrap();
        assert_eq!(past.runs.len(), 1);
        assert_eq!(past.runs[0].events().unwrap(), []);
        assert_eq!(past.warnings.len(), 1, "{:?}", past.warnings);
    }
}
