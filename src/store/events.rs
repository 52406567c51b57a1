//! The events of a run in a file, one a line, as they happened: enough to know afterwards what a run did.

use std::fs::File;
use std::io::{self, Write};

use crate::model::event::{Event, Sink};
use crate::store::error::StoreError;
use crate::store::run::RunDir;

/// Appends each event to `events.jsonl` in the run's folder.
///
/// A line is one write, so the only damage a crash can do is a last line without its end.
#[derive(Debug)]
pub struct EventsFile {
    file: File,
}

impl EventsFile {
    /// A new file in the folder of a run.
    ///
    /// # Errors
    /// When it cannot be created, or is there already.
    pub fn create(run: &RunDir) -> Result<Self, StoreError> {
        let path = run.path().join("events.jsonl");
        match File::options().append(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { file }),
            Err(source) => Err(StoreError::Write { path, source }),
        }
    }
}

impl Sink for EventsFile {
    fn name(&self) -> &'static str {
        "the events file"
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::time::Duration;

    use super::EventsFile;
    use crate::model::event::{Event, Fact, Sink};
    use crate::store::state::tests::record;
    use crate::store::{StateDir, StoreError};

    fn ended(at: u64) -> Event {
        Event { at, run: "aaaaaaaaaaaa".into(), fact: Fact::RunEnded { early: None, elapsed: Duration::from_secs(at) } }
    }

    #[test]
    fn every_event_is_a_line_as_soon_as_it_was_taken() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), None, None).unwrap();
        let run = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let mut events = EventsFile::create(&run).unwrap();
        let path = run.path().join("events.jsonl");
        events.consume(&ended(1)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        events.consume(&ended(2)).unwrap();
        insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
        {"at":1,"run":"aaaaaaaaaaaa","event":"run-ended","elapsed":1}
        {"at":2,"run":"aaaaaaaaaaaa","event":"run-ended","elapsed":2}
        "#);
        assert!(matches!(EventsFile::create(&run), Err(StoreError::Write { .. })));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut events = EventsFile { file: fs::File::options().append(true).open("/dev/full").unwrap() };
        assert_eq!(events.consume(&ended(1)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
