//! The journal of a run: its events in the database, kept as they come. Where the database was removed under the run, it is
//! made again with all that is known of the run.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::model::event::{Collected, Event, Fact, Journal};
use crate::store::database::{Database, kind};
use crate::store::error::StoreError;
use crate::store::files::create_folder;
use crate::store::folder::RunDir;
use crate::store::place::make;
use crate::store::run::RunRecord;

/// The events of one run, kept as they come.
#[derive(Debug)]
pub struct EventLog {
    database: Database,
    /// The state folder.
    state: PathBuf,
    record: RunRecord,
    /// The run's folder, where it had to be made again.
    folder: Option<RunDir>,
    /// What was restored and not told.
    restored: Option<Fact>,
    /// How many ended attempts were said to have lost their logs; absent: nothing was ever removed.
    lost: Option<usize>,
}

impl EventLog {
    pub(super) fn new(database: Database, state: PathBuf, record: RunRecord) -> Self {
        Self { database, state, record, folder: None, restored: None, lost: None }
    }

    /// Makes everything again that somebody removed under the run.
    fn restore(&mut self) -> Result<(), StoreError> {
        make(&self.state)?;
        let runs = self.state.join("runs");
        match create_folder(&runs) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Write { path: runs, source });
            }
            _ => {}
        }
        let path = runs.join(self.record.run.as_str());
        // Where it is there, this process has it locked.
        if !path.join("lock").exists() {
            self.folder = Some(RunDir::reopen(path, &self.record)?);
        }
        let mut database = Database::open(&self.state)?;
        let events = database.restore(&self.record.run, &self.database)?;
        self.database = database;
        let lost = self.newly_lost(&events);
        // What was restored before and not told is told with this.
        let untold = match self.restored {
            Some(Fact::StoreRestored { lost }) => lost,
            _ => 0,
        };
        self.restored = Some(Fact::StoreRestored { lost: lost + untold });
        Ok(())
    }

    /// How many more attempts than were said so far have lost their logs.
    fn newly_lost(&mut self, events: &[Event]) -> usize {
        let lost = lost(events);
        lost.saturating_sub(self.lost.replace(lost).unwrap_or(0))
    }
}

/// How many ended attempts have logs or outputs that are not there any more.
fn lost(events: &[Event]) -> usize {
    let is_gone = |path: &PathBuf| !fs::exists(path).unwrap_or(true);
    let lost = events.iter().filter_map(|event| match &event.fact {
        Fact::AttemptEnded { trial, attempt, logs: Some(logs), .. } => {
            let files = [(&logs.stdout, logs.stdout_bytes), (&logs.stderr, logs.stderr_bytes)];
            files.into_iter().any(|(path, bytes)| bytes > 0 && is_gone(path)).then_some((trial, attempt))
        }
        Fact::OutputsCollected { trial, attempt, folder, files } => {
            (is_gone(folder) && files.iter().any(Collected::is_file)).then_some((trial, attempt))
        }
        _ => None,
    });
    lost.collect::<HashSet<_>>().len()
}

impl Journal for EventLog {
    fn keep(&mut self, events: &[Event]) -> io::Result<()> {
        if !self.database.is_there() {
            self.restore().map_err(|error| {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                io::Error::other(format!("it was removed, and cannot be made again: {error}{cause}"))
            })?;
        }
        self.database
            .append(events)
            .map_err(|source| io::Error::new(kind(&source), format!("`{}`: {source}", self.database.path().display())))
    }

    fn restored(&mut self) -> Option<Fact> {
        self.restored.take()
    }

    fn gone(&mut self) -> Option<Fact> {
        self.lost?;
        let events = self.database.events(&self.record.run).ok()?;
        let lost = self.newly_lost(&events);
        (lost > 0).then_some(Fact::StoreRestored { lost })
    }
}
