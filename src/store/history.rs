//! What a run's events file tells afterwards: its trials, and how each of them ended.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name};
use crate::model::outcome::Outcome;
use crate::store::run::RunRecord;

/// A run that was recorded, whether it is alive or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// What was written of it when it started.
    pub record: RunRecord,
    /// Its folder.
    pub path: PathBuf,
}

/// What is known of a run from its events so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Its trials in their resolved form, in the order of the plan, as each was last asked for.
    pub trials: Vec<Map<String, Value>>,
    /// How trials ended; one that runs, waits, or was left behind by a combu that died has no end.
    pub ends: HashMap<Name, End>,
    /// Whether something ran on the fake engine: what ended there says nothing of the real thing.
    pub is_rehearsal: bool,
    /// Whether the run came to its end.
    pub is_over: bool,
    /// Why it ended early, in the words of whoever ended it.
    pub early: Option<String>,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// Attempts it took.
    pub attempts: u32,
    /// Time of its last attempt.
    pub elapsed: Duration,
}

/// The events that matter here, as they are written.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Told {
    RunStarted {
        trials: Vec<Map<String, Value>>,
    },
    TrialSubmitted {
        trial: Map<String, Value>,
    },
    CommandTaken {
        command: String,
        trial: Option<Value>,
    },
    AttemptStarted {
        handle: Handle,
    },
    TrialReopened {
        trial: Name,
    },
    TrialEnded {
        trial: Name,
        attempts: u32,
        #[serde(flatten)]
        outcome: Outcome,
        elapsed: f64,
    },
    RunEnded {
        early: Option<Early>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Early {
    message: String,
}

impl PastRun {
    /// Reads what its events tell. A line that cannot be read, such as the torn last one after a crash, is passed over.
    ///
    /// # Errors
    /// When the file cannot be read; one that is not there is an empty history.
    pub fn history(&self) -> io::Result<History> {
        let mut history = History::default();
        lines(&self.path, |line| history.take(line))?;
        Ok(history)
    }

    /// Reads only how its trials ended, without the trials themselves, which takes a fraction of the time.
    ///
    /// # Errors
    /// As for [`PastRun::history`].
    pub fn ends(&self) -> io::Result<History> {
        const READ: [&str; 3] =
            [r#""event":"trial-ended""#, r#""event":"trial-reopened""#, r#""handle":{"engine":"fake""#];
        let mut history = History::default();
        lines(&self.path, |line| {
            if READ.iter().any(|mark| line.contains(mark)) {
                history.take(line);
            }
        })?;
        Ok(history)
    }
}

impl History {
    /// The names of its trials.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trials.iter().filter_map(|trial| trial.get("name").and_then(Value::as_str))
    }

    fn take(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Told::RunStarted { trials }) => self.trials = trials,
            Ok(Told::TrialSubmitted { trial }) => self.trials.push(trial),
            Ok(Told::CommandTaken { command, trial: Some(Value::Object(trial)) }) if command == "retry" => {
                let name = trial.get("name");
                if let Some(place) = self.trials.iter().position(|known| known.get("name") == name) {
                    self.trials[place] = trial;
                }
            }
            Ok(Told::AttemptStarted { handle }) => self.is_rehearsal |= handle.engine == EngineName::Fake,
            Ok(Told::TrialReopened { trial }) => {
                self.ends.remove(&trial);
            }
            Ok(Told::TrialEnded { trial, attempts, outcome, elapsed }) => {
                let elapsed = Duration::try_from_secs_f64(elapsed).unwrap_or_default();
                self.ends.insert(trial, End { outcome, attempts, elapsed });
            }
            Ok(Told::RunEnded { early }) => {
                self.is_over = true;
                self.early = early.map(|early| early.message);
            }
            Ok(Told::CommandTaken { .. } | Told::Other) | Err(_) => {}
        }
    }
}

fn lines(run: &Path, mut take: impl FnMut(&str)) -> io::Result<()> {
    let file = match File::open(run.join("events.jsonl")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        take(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::model::command::Command;
    use crate::model::event::{Early, Event, Fact, Sink};
    use crate::model::handle::Handle;
    use crate::model::name::{EngineName, Name};
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::trial::Trial;
    use crate::store::state::tests::record;
    use crate::store::{EventsFile, StateDir};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn ended(trial: &str, outcome: Outcome) -> Fact {
        Fact::TrialEnded { trial: name(trial), attempts: 2, outcome, elapsed: Duration::from_millis(1500) }
    }

    fn started(names: &[&str]) -> Fact {
        let trials = names.iter().map(|trial| Arc::new(Trial::new(name(trial)))).collect();
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

    /// A run with those facts in its events file.
    fn wrote(state: &StateDir, run: &str, started_ms: u64, facts: Vec<Fact>) -> PathBuf {
        let record = crate::store::RunRecord { started_ms, ..record(run) };
        let folder = state.create_run(&record, |_| false).unwrap();
        let mut events = EventsFile::create(&folder).unwrap();
        for fact in facts {
            events.consume(&Event { at: 1, run: run.into(), fact }).unwrap();
        }
        folder.path().to_owned()
    }

    #[test]
    fn the_trials_and_their_ends_are_read_back_from_the_events() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), None, None).unwrap();
        let more = Trial { memory: Some(7), ..Trial::new(name("b1")) };
        let early = Some(Early::Cancelled("SIGINT".to_owned()));
        let facts = vec![
            started(&["a1", "b1"]),
            ended("a1", Outcome::Succeeded),
            ended("b1", Outcome::Failed { exit: Exit::Code(3) }),
            Fact::CommandTaken { command: Command::Retry { trial: Box::new(more) } },
            Fact::TrialReopened { trial: name("b1") },
            Fact::CommandTaken { command: Command::Kill { trial: name("a1") } },
            Fact::AttemptStarted {
                trial: name("a1"),
                attempt: 1,
                handle: Handle { engine: EngineName::Local, id: "1".to_owned() },
            },
            Fact::TrialSubmitted { trial: Arc::new(Trial::new(name("c1"))) },
            ended("c1", Outcome::Skipped { because: "`b1` failed".to_owned() }),
            Fact::RunEnded { early, elapsed: Duration::from_secs(1) },
        ];
        let path = wrote(&state, "aaaaaaaaaaaa", 1, facts);
        let mut file = fs::File::options().append(true).open(path.join("events.jsonl")).unwrap();
        file.write_all(b"\xff\n{\"event\":\"something-new\"}\n{\"event\":\"trial-ended\",\"trial\":\"b1\"").unwrap();
        let run = state.past_runs().unwrap().runs.remove(0);
        let history = run.history().unwrap();
        assert_eq!(history.names().collect::<Vec<_>>(), ["a1", "b1", "c1"]);
        assert_eq!(history.trials[1]["memory"], 7);
        assert!(!history.is_rehearsal);
        assert_eq!((history.is_over, history.early.as_deref()), (true, Some("SIGINT")));
        let mut ends: Vec<_> = history.ends.iter().map(|(name, end)| format!("{name} {}", end.outcome)).collect();
        ends.sort();
        assert_eq!(ends, ["a1 succeeded", "c1 skipped because `b1` failed"]);
        assert_eq!((history.ends[&name("a1")].attempts, history.ends[&name("a1")].elapsed.as_millis()), (2, 1500));
        assert_eq!(run.ends().unwrap().ends, history.ends);
    }

    #[test]
    fn a_trials_last_end_is_that_of_the_last_run_it_was_in() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), None, None).unwrap();
        let failed = Outcome::Failed { exit: Exit::Code(1) };
        let rehearsed = |engine| Fact::AttemptStarted {
            trial: name("d1"),
            attempt: 1,
            handle: Handle { engine, id: "d1".to_owned() },
        };
        wrote(&state, "dddddddddddd", 4, vec![rehearsed(EngineName::Fake), ended("d1", Outcome::Succeeded)]);
        wrote(&state, "aaaaaaaaaaaa", 3, vec![started(&["b1"]), ended("b1", Outcome::Succeeded)]);
        wrote(&state, "bbbbbbbbbbbb", 2, vec![ended("a1", Outcome::Succeeded), ended("b1", failed.clone())]);
        wrote(&state, "cccccccccccc", 1, vec![ended("a1", failed.clone()), ended("c1", failed.clone())]);
        let spec = record("aaaaaaaaaaaa").spec;
        let last = |spec: &std::path::Path, experiment: &str| {
            let names = ["a1", "b1", "c1", "d1"].map(name);
            let ends = state.last_ends(spec, experiment, &names).unwrap();
            let mut ends: Vec<_> = ends.iter().map(|(name, outcome)| format!("{name} {}", outcome.status())).collect();
            ends.sort();
            ends
        };
        assert_eq!(last(&spec, "粒子法"), ["a1 succeeded", "b1 succeeded", "c1 failed"]);
        assert!(last(&spec, "other").is_empty());
        assert!(last("/lab/other.jsonnet".as_ref(), "粒子法").is_empty());
    }

    #[test]
    fn a_run_without_events_or_a_record_hides_no_other() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), None, None).unwrap();
        assert!(state.past_runs().unwrap().runs.is_empty());
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let torn = state.create_run(&record("bbbbbbbbbbbb"), |_| false).unwrap();
        fs::write(torn.path().join("run.json"), "{").unwrap();
        fs::create_dir(state.path().join("runs/cccccccccccc")).unwrap();
        let past = state.past_runs().unwrap();
        assert_eq!(past.runs.len(), 1);
        assert_eq!(past.runs[0].history().unwrap(), super::History::default());
        assert_eq!(past.warnings.len(), 1, "{:?}", past.warnings);
    }
}
