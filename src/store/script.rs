//! The script that started a run: a mark of it lies in the state folder until it came to its end, locked as long as it lives.
//! In it stands what the script was told, so that it can be gone on with.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::script::ScriptEntry;
use crate::store::error::StoreError;
use crate::store::files::create_folder;
use crate::store::held::is_held;
use crate::store::lock::hold;
use crate::store::run::ScriptRecord;

/// The folder of the marks in the state folder.
const FOLDER: &str = "scripts";

/// Most bytes of a script's record: a loop that asks for the time without a pause would fill the disk.
const MOST: u64 = 1 << 30;

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptState {
    /// It goes on.
    Running,
    /// It came to its end.
    Ended,
    /// It was killed, interrupted, or met an error.
    Died,
}

/// The first line of a script's record: what was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptHead {
    /// Its file, absolute. What is not UTF-8 in it is lost.
    pub file: String,
    /// The working folder.
    pub folder: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The words of it that are the script's own.
    pub args: Vec<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub began_ms: u64,
    /// The script and the modules that it had imported when its first run began, by absolute path.
    pub sources: BTreeMap<String, String>,
}

/// The record of a script that died, as it is read again.
#[derive(Debug)]
pub struct DeadScript {
    /// The name of its mark.
    pub id: String,
    /// What was started.
    pub head: ScriptHead,
    /// What it was told, in order.
    pub entries: Vec<ScriptEntry>,
    /// The mark, which is held again.
    pub mark: ScriptMark,
}

/// The mark of a script of this process. What the script is told is written into it.
#[derive(Debug)]
pub struct ScriptMark {
    path: PathBuf,
    /// Held as long as it is open.
    file: File,
    /// Where the entries begin in the file, and where the last one ends.
    places: Vec<u64>,
}

impl ScriptMark {
    /// Marks a script as alive for as long as the returned value lives.
    pub(super) fn create(state: &Path, id: &str, head: &ScriptHead) -> Result<Self, StoreError> {
        let folder = state.join(FOLDER);
        match create_folder(&folder) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Write { path: folder, source });
            }
            _ => {}
        }
        let path = folder.join(id);
        let mut mark = Self { file: hold(path.clone())?, path, places: Vec::new() };
        let head = line(head).and_then(|head| mark.file.write_all(&head).map(|()| head.len() as u64));
        mark.places.push(head.map_err(|source| mark.failed(source))?);
        Ok(mark)
    }

    /// Takes up the record of a script that died; absent where another process has, or where there is none.
    pub(super) fn reopen(state: &Path, id: &str) -> Result<Option<DeadScript>, StoreError> {
        let path = state.join(FOLDER).join(id);
        let unread = |source| StoreError::Read { path: path.clone(), source };
        let mut file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unread(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(unread(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unread)?;
        let Some((head, entries, places)) = read(&bytes) else { return Ok(None) };
        let mut mark = Self { path: path.clone(), file, places };
        mark.keep_first(entries.len())?;
        Ok(Some(DeadScript { id: id.to_owned(), head, entries, mark }))
    }

    /// Writes entries behind those before.
    ///
    /// # Errors
    /// When they cannot be written, or the record is larger than [`MOST`] bytes. What was written of them is not there.
    pub fn keep(&mut self, entries: &[ScriptEntry]) -> Result<(), StoreError> {
        let (mut text, mut places) = (Vec::new(), Vec::new());
        let begin = self.places.last().copied().unwrap_or_default();
        for entry in entries {
            text.extend(line(entry).map_err(|source| self.failed(source))?);
            places.push(begin + text.len() as u64);
        }
        if begin + text.len() as u64 > MOST {
            let message = format!("its record is larger than {} MiB", MOST >> 20);
            return Err(self.failed(io::Error::other(message)));
        }
        if let Err(source) = self.file.write_all(&text) {
            // A torn line ends the record, as one after which the process died.
            self.keep_first(self.places.len() - 1)?;
            return Err(self.failed(source));
        }
        self.places.extend(places);
        Ok(())
    }

    /// Forgets what the script was told: if it dies now it cannot be gone on with, since its record would lack something.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn give_up(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(|source| self.failed(source))
    }

    /// Forgets every entry behind the first `count`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_first(&mut self, count: usize) -> Result<(), StoreError> {
        self.places.truncate(count + 1);
        let end = self.places.last().copied().unwrap_or_default();
        let cut = self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)));
        cut.map(drop).map_err(|source| self.failed(source))
    }

    /// The script came to its end.
    ///
    /// # Errors
    /// When the mark cannot be removed: then it seems to have died.
    pub fn end(self) -> Result<(), StoreError> {
        remove(&self.path)
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::Write { path: self.path.clone(), source }
    }
}

/// The scripts that died and whose record says what they were, the last begun first, with the names of their marks.
pub(super) fn dead(state: &Path) -> Result<Vec<(String, ScriptHead)>, StoreError> {
    let folder = state.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect()),
    };
    let paths: Vec<PathBuf> = entries.map_err(|source| StoreError::Read { path: folder, source })?;
    let mut dead = Vec::new();
    for path in paths {
        let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if is_held(&path).is_ok_and(|held| !held)
            && let Some(head) = first_line(&path)
        {
            dead.push((id.to_owned(), head));
        }
    }
    dead.sort_by_key(|(_, head)| Reverse(head.began_ms));
    Ok(dead)
}

/// What a script was started with.
pub(super) fn head(state: &Path, script: &ScriptRecord) -> Option<ScriptHead> {
    first_line(&state.join(FOLDER).join(&script.id))
}

/// The first line of a record; absent where there is none, as in a mark of an earlier version of combu.
fn first_line(path: &Path) -> Option<ScriptHead> {
    let mut first = String::new();
    BufReader::new(File::open(path).ok()?).read_line(&mut first).ok()?;
    serde_json::from_str(&first).ok()
}

/// What a record says, up to the first line that is torn or means nothing, with the places where its entries begin and the last
/// one ends.
fn read(bytes: &[u8]) -> Option<(ScriptHead, Vec<ScriptEntry>, Vec<u64>)> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let first = lines.next()?;
    let head = serde_json::from_slice(first).ok()?;
    let (mut entries, mut places, mut end) = (Vec::new(), vec![first.len() as u64], first.len() as u64);
    for line in lines {
        let Ok(entry) = serde_json::from_slice(line) else { break };
        end += line.len() as u64;
        entries.push(entry);
        places.push(end);
    }
    Some((head, entries, places))
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

impl ScriptRecord {
    /// What became of it.
    pub(super) fn state(&self, state: &Path) -> ScriptState {
        let path = state.join(FOLDER).join(&self.id);
        match (path.exists(), is_held(&path)) {
            (false, _) => ScriptState::Ended,
            (true, Ok(false)) => ScriptState::Died,
            // Where it cannot be told, nothing is said.
            (true, Ok(true) | Err(_)) => ScriptState::Running,
        }
    }

    /// Removes the mark of a script that died, of which no run is known any more.
    pub(super) fn forget(&self, state: &Path) -> Result<(), StoreError> {
        match self.state(state) {
            ScriptState::Died => remove(&state.join(FOLDER).join(&self.id)),
            ScriptState::Running | ScriptState::Ended => Ok(()),
        }
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::{DeadScript, ScriptHead, ScriptMark, dead};
    use crate::model::script::{ScriptEntry, ScriptQuestion};

    fn head() -> ScriptHead {
        ScriptHead {
            file: "/lab/実験.rhai".to_owned(),
            folder: "/lab".to_owned(),
            command: vec!["combu".to_owned(), "script".to_owned(), "実験.rhai".to_owned()],
            args: vec!["--n".to_owned(), "5".to_owned()],
            began_ms: 7,
            sources: [("/lab/実験.rhai".to_owned(), "run([]);".to_owned())].into(),
        }
    }

    fn entries() -> Vec<ScriptEntry> {
        vec![
            ScriptEntry::Answer { question: ScriptQuestion::Now, value: 1.5.into(), count: 2 },
            ScriptEntry::Events { run: 0, count: 3 },
            ScriptEntry::WaitOver,
        ]
    }

    fn told(state: &std::path::Path) -> DeadScript {
        ScriptMark::reopen(state, "one").unwrap().unwrap()
    }

    #[test]
    fn what_a_script_was_told_is_read_again_up_to_a_torn_line() {
        let state = tempfile::tempdir().unwrap();
        let mut mark = ScriptMark::create(state.path(), "one", &head()).unwrap();
        mark.keep(&entries()).unwrap();
        assert!(ScriptMark::reopen(state.path(), "one").unwrap().is_none(), "it lives");
        assert!(dead(state.path()).unwrap().is_empty());
        drop(mark);
        let path = state.path().join("scripts/one");
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"entry\":\"ev").unwrap();
        assert_eq!(dead(state.path()).unwrap(), [("one".to_owned(), head())]);
        let DeadScript { head: read, entries: told_then, mut mark, .. } = told(state.path());
        assert_eq!((read, told_then), (head(), entries()));
        mark.keep(&[ScriptEntry::WaitOver]).unwrap();
        mark.keep_first(2).unwrap();
        mark.keep(&[ScriptEntry::Events { run: 1, count: 1 }]).unwrap();
        drop(mark);
        let DeadScript { entries: told_then, mark, .. } = told(state.path());
        assert_eq!(told_then[..2], entries()[..2]);
        assert_eq!(told_then[2..], [ScriptEntry::Events { run: 1, count: 1 }]);
        mark.end().unwrap();
        assert!(ScriptMark::reopen(state.path(), "one").unwrap().is_none() && !path.exists());
    }

    #[test]
    fn a_mark_without_a_record_is_none_to_go_on_with() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(state.path().join("scripts")).unwrap();
        fs::write(state.path().join("scripts/one"), "").unwrap();
        assert!(dead(state.path()).unwrap().is_empty());
        assert!(ScriptMark::reopen(state.path(), "one").unwrap().is_none());
    }
}
