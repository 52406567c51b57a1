//! Fuzz targets: whatever stands in a row of the database or in a file of a run's folder, reading it ends with a value or an
//! error, and what is written reads back equal.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fuzz::{check, texts};
use crate::model::command::Command;
use crate::model::event::{Event, Fact};
use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::model::options::Options;
use crate::model::outcome::{Exit, Outcome};
use crate::model::trial::Trial;
use crate::store::database::{Database, Kinds};
use crate::store::provenance::{Git, Provenance};
use crate::store::run::{LiveRun, RECORD, RunRecord, ScriptRecord};
use crate::store::script::{DeadScript, ScriptMark};
use crate::store::state::tests::record;

/// The events of the database that an older combu left, as lines; see `tests/it/old_store.rs`.
fn old_events() -> Vec<u8> {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/old_store");
    let folder = tempfile::tempdir().unwrap();
    fs::copy(old.join("combu.db"), folder.path().join("combu.db")).unwrap();
    let database = Database::open(folder.path()).unwrap();
    let mut lines = Vec::new();
    for run in fs::read_dir(old.join("runs")).unwrap() {
        let run = RunId::from(run.unwrap().file_name().to_str().unwrap());
        let line = |event: Result<_, _>| lines.push(line(&event.unwrap()));
        database.events_after(&run, 0, Kinds::All, line).unwrap();
    }
    assert!(lines.len() > 5, "the old store has no events");
    lines.concat()
}

/// An event as a line of this target: its time, and the fact as it is stored.
fn line(event: &Event) -> Vec<u8> {
    format!("{} {}\n", event.at.cast_signed(), serde_json::to_string(&event.fact).unwrap()).into_bytes()
}

/// Runs of a trial, one for each end that there is, and all commands: of each the lines that tell of it.
fn ends_and_commands() -> Vec<Vec<u8>> {
    let trial = Name::parse("a1").unwrap();
    let said = || "no such image".to_owned();
    let mut ends = vec![
        Outcome::Succeeded,
        Outcome::Oom,
        Outcome::TimedOut,
        Outcome::Unhealthy,
        Outcome::NotStarted { message: said() },
        Outcome::Lost { message: said() },
        Outcome::Stopped,
        Outcome::Killed,
        Outcome::Pruned { because: said() },
        Outcome::Skipped { because: said() },
    ];
    ends.extend([Exit::Code(3), Exit::Signal(9), Exit::Signal(64), Exit::Oom].map(|exit| Outcome::Failed { exit }));
    let (by, name) = ("SIGINT".to_owned(), trial.clone());
    let commands = [
        Command::Cancel { by: by.clone() },
        Command::Drain { by: by.clone() },
        Command::Kill { trial: name.clone(), at_once: false },
        Command::Prune { trial: name.clone(), because: said() },
        Command::PauseTrial { trial: name.clone(), because: said() },
        Command::UnpauseTrial { trial: name.clone() },
        Command::Submit { trial: Box::new(Trial::new(name)) },
        Command::Pause { by: by.clone() },
        Command::Unpause { by },
    ];
    let begin = crate::model::event::tests::facts().into_iter().take(3);
    let begin: Vec<Fact> = begin.collect();
    let (attempt, elapsed) = (2, Duration::from_secs(3));
    let end = |outcome: Outcome| {
        let (trial, ended) = (trial.clone(), trial.clone());
        let (logs, usage, kept, incomplete) = (None, None, true, false);
        vec![
            Fact::AttemptEnded { trial, attempt, outcome: outcome.clone(), elapsed, logs, usage, kept, incomplete },
            Fact::TrialEnded { trial: ended, attempts: attempt, outcome, elapsed },
        ]
    };
    let command = |command: Command| vec![Fact::CommandTaken { command }];
    let run: RunId = "aaaaaaaaaaaa".into();
    let lines = |then: Vec<Fact>| {
        let facts = begin.iter().cloned().chain(then).enumerate();
        facts.flat_map(|(at, fact)| line(&Event { at: at as u64, run: run.clone(), fact })).collect()
    };
    ends.into_iter().map(end).chain(commands.map(command)).map(lines).collect()
}

#[test]
fn rows_of_the_database() {
    thread_local!(static DATABASE: std::cell::RefCell<Database> = Database::in_memory().into());
    let run: RunId = "aaaaaaaaaaaa".into();
    let all = crate::model::event::tests::facts();
    let events = all.into_iter().enumerate().map(|(at, fact)| Event { at: at as u64, run: run.clone(), fact });
    let lines: Vec<Vec<u8>> = events.map(|event| line(&event)).collect();
    let told = texts(&[]).filter(|text| text.contains("\"event\"")).map(String::into_bytes);
    let seeds = told.chain([old_events(), lines.concat()]).chain(lines).chain(ends_and_commands());
    check(seeds.collect::<Vec<_>>(), |input| {
        let run: RunId = "aaaaaaaaaaaa".into();
        let row = |line| {
            let (at, fact) = split(line);
            (at.unwrap_or(1_795_000_000_000), fact)
        };
        let rows: Vec<(i64, &[u8])> = input.split(|byte| *byte == b'\n').map(row).collect();
        let read = |database: &Database| {
            let (mut events, mut unread) = (Vec::new(), Vec::new());
            let take = |row: Result<_, _>| row.map_or_else(|row| unread.push(row), |event| events.push(event));
            database.events_after(&run, 0, Kinds::All, take).unwrap();
            (events, unread)
        };
        DATABASE.with_borrow_mut(|database| {
            database.forget(&run).unwrap();
            database.insert_rows(&run, &rows);
            let (events, unread) = read(database);
            assert_eq!(events.len() + unread.len(), rows.len(), "each row is read or told");
            assert!(unread.iter().all(|row| !row.problem.is_empty()));
            look(&events);
            database.forget(&run).unwrap();
            database.append(&events).unwrap();
            assert_eq!(read(database), (events, Vec::new()), "what is written reads back");
        });
    });
}

/// The time at the beginning of a line, and what is behind it.
fn split(line: &[u8]) -> (Option<i64>, &[u8]) {
    let space = line.iter().position(|byte| *byte == b' ').unwrap_or_default();
    let at = std::str::from_utf8(&line[..space]).ok().and_then(|at| at.parse().ok());
    (at, if at.is_some() { &line[space + 1..] } else { line })
}

/// Asks everything of a run with these events.
fn look(events: &[Event]) {
    let mut history = History::default();
    events.iter().for_each(|event| history.add(event));
    let names: Vec<_> = history.summary.results.iter().map(|result| result.trial.name.clone()).collect();
    for name in &names {
        assert!(history.trial(name).is_some() && history.summary.get(name).is_some());
        let _ = (history.is_open(name), history.keeps(name, 1), history.needs(name, 1));
    }
    for event in events {
        if let Fact::CommandTaken { command } | Fact::CommandRefused { command, .. } = &event.fact {
            assert!(!command.to_string().is_empty());
        }
    }
    for result in &history.summary.results {
        if let Some(outcome) = result.outcome() {
            assert!(!(outcome.is_success() && outcome.is_failure()));
            assert!(!outcome.to_string().is_empty() && !outcome.status().is_empty());
            let _ = outcome.exit_code();
        }
        let limit = result.trial.timeout.map(|timeout| (timeout.slow(), timeout.limit(Some(Duration::from_secs(9)))));
        assert!(limit.is_none_or(|(_, limit)| limit.is_some()));
        assert_eq!(result.trial.resolved().name, result.trial.name);
    }
    let counts = history.summary.counts();
    assert_eq!(counts.total, names.len());
    let asked =
        (history.lived(), history.last(), history.open(), history.may_have_left_something(), history.has_unfetched());
    assert_eq!(asked.1, events.iter().map(|event| event.at).max().unwrap_or_default());
    let options = (*history.summary.options).clone();
    assert_eq!(options.clone().over(Options::default()), options);
    let again = history.experiment("/lab/maze.jsonnet".into(), "abcdefghijkl".to_owned());
    assert_eq!(again.trials.len(), names.len());
    let _ = (history.contents(), history.digests(), history.left_on(), history.summary.is_whole());
    let ends = events.iter().filter(|event| matches!(event.fact, Fact::RunEnded { .. })).count();
    assert!(ends > 0 || history.summary.elapsed.is_none());
}

/// A run's folder of this process.
fn folder() -> PathBuf {
    thread_local!(static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap());
    FOLDER.with(|folder| folder.path().to_owned())
}

#[test]
fn records_of_runs() {
    let of_script = RunRecord {
        script: Some(ScriptRecord { file: "/lab/a.rhai".to_owned(), id: "0123".to_owned() }),
        repeats: Some("bbbbbbbbbbbb".into()),
        ..record("aaaaaaaaaaaa")
    };
    let provenance = Provenance {
        combu: "0.1.0".to_owned(),
        git: Some(Git { commit: "0123".to_owned(), dirty: true }),
        sources: [("/lab/実験.jsonnet".to_owned(), "[]".to_owned())].into(),
        ..Provenance::default()
    };
    of_script.write(&folder()).unwrap();
    let written = fs::read(folder().join(RECORD)).unwrap();
    let plain = [serde_json::to_vec(&record("aaaaaaaaaaaa")).unwrap(), serde_json::to_vec(&provenance).unwrap()];
    check(plain.into_iter().chain([written]), |input| {
        let folder = folder();
        fs::write(folder.join(RECORD), input).unwrap();
        if let Ok(run) = LiveRun::read(folder.clone()) {
            run.record.write(&folder).unwrap();
            let again = LiveRun::read(folder.clone()).unwrap();
            assert_eq!(again.record, run.record);
            assert!(again.is_here);
        }
        fs::write(folder.join("provenance.json"), input).unwrap();
        if let Ok(Some(read)) = Provenance::read(&folder) {
            read.write(&folder).unwrap();
            assert_eq!(Provenance::read(&folder).unwrap(), Some(read));
        }
    });
}

#[test]
fn records_of_scripts() {
    let head = r#"{"file":"/lab/a.rhai","folder":"/lab","command":["combu","script","a.rhai"],"args":[],"began_ms":7,"sources":{"/lab/a.rhai":"run([]);"}}"#;
    let entries = r#"{"entry":"answer","question":"id","value":"aaaaaaaaaaaa"}
{"entry":"answer","question":"now","value":1.5,"count":3}
{"entry":"events","run":0,"count":12}
{"entry":"wait-over"}
"#;
    let questions = ["variable", "ends", "history", "removed", "file-length"];
    let more =
        questions.map(|question| format!("{{\"entry\":\"answer\",\"question\":\"{question}\",\"value\":null}}\n"));
    let whole = format!("{head}\n{entries}{}", more.concat());
    let torn = whole[..whole.len() - 9].to_owned();
    check([whole, torn, format!("{head}\n"), String::new()].map(String::into_bytes), |input| {
        let state = folder();
        fs::create_dir_all(state.join("scripts")).unwrap();
        fs::write(state.join("scripts/one"), input).unwrap();
        let Some(DeadScript { head, entries, mut mark, .. }) = ScriptMark::reopen(&state, "one").unwrap() else {
            return;
        };
        mark.keep(&entries).unwrap();
        mark.keep_first(entries.len()).unwrap();
        mark.keep(&entries[..entries.len().min(1)]).unwrap();
        drop(mark);
        let again = ScriptMark::reopen(&state, "one").unwrap().unwrap();
        assert_eq!((again.head, &again.entries[..entries.len()]), (head, &entries[..]));
        assert_eq!(again.entries.len(), entries.len() + entries.len().min(1));
        assert!(entries.iter().all(|entry| entry.clone().times(entry.count()) == *entry));
    });
}
