//! The events of a run as they come, also while another process writes them.

use std::path::PathBuf;

use crate::model::event::Event;
use crate::model::history::UnreadRow;
use crate::model::name::RunId;
use crate::store::database::{Database, Kinds};
use crate::store::error::StoreError;
use crate::store::history::PastRun;

/// Reads a run's events, each of them once. Between two reads it costs nothing, and a read of nothing new next to nothing.
#[derive(Debug)]
pub struct Follower {
    run: RunId,
    state: PathBuf,
    /// Open from the first read on that finds it.
    database: Option<Database>,
    /// The last event that was read.
    last: i64,
    /// Rows that could not be read so far.
    unread: Vec<UnreadRow>,
}

impl PastRun {
    /// Reads its events from the first on.
    pub fn follow(&self) -> Follower {
        Follower {
            run: self.record.run.clone(),
            state: self.state.clone(),
            database: None,
            last: 0,
            unread: Vec::new(),
        }
    }

    /// When its last event happened, in milliseconds since 1970-01-01 UTC; absent where none is kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_at(&self) -> Result<Option<u64>, StoreError> {
        Database::look(&self.state)?.map_or(Ok(None), |database| database.last_at(&self.record.run))
    }
}

impl Follower {
    /// Passes what came behind the last event that was read to `take`, in order. Rows that cannot be read are left out, and
    /// told by [`Follower::unread`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn read(&mut self, kinds: Kinds<'_>, mut take: impl FnMut(Event)) -> Result<(), StoreError> {
        if self.database.is_none() {
            self.database = Database::look(&self.state)?;
        }
        if let Some(database) = &self.database {
            let unread = &mut self.unread;
            self.last = database.events_after(&self.run, self.last, kinds, |event| match event {
                Ok(event) => take(event),
                Err(row) => unread.push(row),
            })?;
        }
        Ok(())
    }

    /// The rows that could not be read since this was asked last.
    pub fn unread(&mut self) -> Vec<UnreadRow> {
        std::mem::take(&mut self.unread)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::model::event::{Event, Fact, FactKind, Journal};
    use crate::store::state::tests::record;
    use crate::store::{Kinds, Search, StateDir};

    #[test]
    fn each_event_is_read_once_as_it_comes() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let mut follower = state.past_runs().unwrap().runs.remove(0).follow();
        let mut read = |kinds| {
            let mut seen = Vec::new();
            follower.read(kinds, |event| seen.push(event.at)).unwrap();
            seen
        };
        assert!(read(Kinds::All).is_empty(), "there is no database yet");
        let mut journal = state.journal(&record("aaaaaaaaaaaa")).unwrap();
        let mut keep = |run: &str, at: u64| {
            let fact = match at % 2 {
                0 => Fact::Warned { message: "even".to_owned() },
                _ => Fact::RunEnded { early: None, elapsed: Duration::ZERO, unkept: 0 },
            };
            journal.keep(&[Event { at, run: run.into(), fact }]).unwrap();
        };
        (1..4).for_each(|at| keep("aaaaaaaaaaaa", at));
        assert_eq!(read(Kinds::Only(&[FactKind::Warned])), [2]);
        // The last one was not of that kind, and is new to whoever wants it.
        assert_eq!(read(Kinds::All), [3]);
        assert!(read(Kinds::All).is_empty());
        (4..8).for_each(|at| keep("bbbbbbbbbbbb", at));
        (8..12).for_each(|at| keep("aaaaaaaaaaaa", at));
        assert_eq!(read(Kinds::But(&[FactKind::Warned])), [9, 11]);
    }
}
