//! The database of a project: an append-only table of events, from which everything else is read. The only file that names
//! rusqlite.
//!
//! Several processes write at once (SQLite's write-ahead log); none waits long for another, since a run must not wait for
//! its store. What one call keeps is there as a whole or not at all, also after a crash in the middle of it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::model::event::{Event, Fact, FactKind};
use crate::model::history::UnreadRow;
use crate::model::name::RunId;
use crate::store::error::StoreError;
use crate::store::files::open_file;

/// Its file in the state folder.
const FILE: &str = "combu.db";

/// How long a call waits for another process that writes at this moment. What could not be kept is brought again.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long whoever opens it waits: nothing runs yet.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// How long one that was turned away waits before it tries again.
const TURN: Duration = Duration::from_millis(10);

/// Bytes that are set aside for a trial and for a fact without trials: more than most of them have. What is not filled takes
/// no memory.
const ROOM_FOR_A_TRIAL: usize = 1 << 10;
const ROOM_FOR_A_FACT: usize = 1 << 8;

/// What brings a database of version N (its `user_version`) to version N + 1. Only ever extended.
const SCHEMA: [&str; 1] = ["CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        at INTEGER NOT NULL,  -- milliseconds since 1970-01-01 UTC
        event TEXT NOT NULL,  -- its kind: trial-ended
        fact TEXT NOT NULL    -- the whole fact, as JSON
    ) STRICT;
    CREATE INDEX events_of_a_run ON events (run, id);"];

/// Which events are read.
#[derive(Debug, Clone, Copy)]
pub enum Kinds<'a> {
    /// All of them.
    All,
    /// Those.
    Only(&'a [FactKind]),
    /// All but those.
    But(&'a [FactKind]),
}

impl Kinds<'static> {
    /// All but what trials told of themselves, which may be a hundred times as much as everything else.
    pub const WITHOUT_RECORDS: Self = Self::But(&[FactKind::Recorded]);
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    /// Device and number of the file that is open, where it is written.
    file: Option<(u64, u64)>,
}

impl Database {
    /// Opens the database of a state folder to write to it; makes it or brings it up to date where needed.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        if let Err(source) = make(folder, &path) {
            return Err(StoreError::Write { path, source });
        }
        let mut database = match Connection::open(&path) {
            Ok(connection) => Self { path, connection, file: None },
            Err(source) => return Err(StoreError::Database { path, source }),
        };
        database.prepare().map_err(|source| database.failure(source))?;
        database.migrate()?;
        // A run must not begin that cannot be kept: whoever holds the database now is waited for here.
        database.connection.execute_batch("BEGIN IMMEDIATE; COMMIT").map_err(|source| database.failure(source))?;
        database.connection.busy_timeout(PATIENCE).map_err(|source| database.failure(source))?;
        database.file = file(&database.path);
        Ok(database)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its file is there, and the same: what is written to one that was removed is lost with this process.
    pub(super) fn is_there(&self) -> bool {
        file(&self.path) == self.file
    }

    /// Keeps all events of a run that another database has, which was removed.
    pub(super) fn restore(&mut self, run: &RunId, from: &Self) -> Result<Vec<Event>, StoreError> {
        let events = from.events(run)?;
        self.forget(run)?;
        self.append(&events).map_err(|source| self.failure(source))?;
        Ok(events)
    }

    /// The events of a run that this process wrote: rows that cannot be read are none of them.
    pub(super) fn events(&self, run: &RunId) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        self.events_after(run, 0, Kinds::All, |event| events.extend(event.ok()))?;
        Ok(events)
    }

    /// Gives the disk what was forgotten.
    pub(super) fn shrink(&mut self) -> Result<(), StoreError> {
        let shrunk = self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        shrunk.map_err(|source| self.failure(source))
    }

    /// Opens it to read; nothing when there is none.
    ///
    /// Where this user may not write, SQLite cannot take its locks: a database that nobody has open is read as it lies
    /// there, and one that a killed combu left is copied first.
    pub(super) fn look(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = folder.join(FILE);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(source) => return Err(StoreError::Read { path, source }),
        }
        match Self::read(&path, &path, false) {
            Err(StoreError::Database { source, .. }) if is_locked_out(&source) => {}
            read => return read.map(Some),
        }
        let wal = folder.join(format!("{FILE}-wal"));
        if wal.metadata().map_or(0, |wal| wal.len()) == 0 {
            return Self::read(&path, &path, true).map(Some);
        }
        let name = format!("combu-look-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let copy = std::env::temp_dir().join(name);
        let copied = || {
            fs::DirBuilder::new().mode(0o700).create(&copy)?;
            fs::copy(&path, copy.join(FILE))?;
            fs::copy(&wal, copy.join(format!("{FILE}-wal")))
        };
        let read = match copied() {
            Ok(_) => Self::read(&path, &copy.join(FILE), false),
            Err(source) => Err(StoreError::Read { path, source }),
        };
        // It is open: its files live as long as it is.
        let _left = fs::remove_dir_all(&copy);
        read.map(Some)
    }

    /// Opens the file `at`, which is or stands for the database at `path`; nobody may write to one that is `immutable`.
    fn read(path: &Path, at: &Path, immutable: bool) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = if immutable {
            let uri = format!("file:{}?immutable=1", escaped(at));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        } else {
            Connection::open_with_flags(at, flags)
        };
        let database = match opened {
            Ok(connection) => Self { path, connection, file: None },
            Err(source) => return Err(StoreError::Database { path, source }),
        };
        database.connection.busy_timeout(LONG_PATIENCE).map_err(|source| database.failure(source))?;
        database.version().map(|_version| database)
    }

    /// One in memory, and its connection, through which a row may be anything.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite gives memory");
        let mut database = Self { path: PathBuf::new(), connection, file: None };
        database.migrate().expect("a database in memory");
        database
    }

    /// Adds rows to a run, whatever is in them: the time, and what should be a fact.
    #[cfg(test)]
    pub(super) fn insert_rows(&self, run: &RunId, rows: &[(i64, &[u8])]) {
        let mut insert =
            self.connection.prepare_cached("INSERT INTO events (run, at, event, fact) VALUES (?1, ?2, '', ?3)");
        let insert = insert.as_mut().expect("the table is there");
        for (at, fact) in rows {
            // As it is read from a damaged file: a text that may be none.
            let fact = rusqlite::types::ToSqlOutput::Borrowed(rusqlite::types::ValueRef::Text(fact));
            insert.execute(params![run.as_str(), at, fact]).expect("a row");
        }
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(LONG_PATIENCE)?;
        // Readers and a writer do not wait for each other. Its index is memory that processes share through a file, which
        // some file systems cannot do and others only on one machine: there SQLite's older way stays.
        if !is_remote(&self.path) {
            self.write_ahead()?;
        }
        // A crash of combu loses nothing that was kept; a power cut may lose the last moments, and damages nothing.
        self.connection.execute_batch("PRAGMA synchronous = NORMAL")
    }

    /// Has changes written to a log of their own, which a database keeps. Of two that change a new one at once, SQLite turns
    /// one away without waiting, since each reads it and wants it alone.
    fn write_ahead(&self) -> rusqlite::Result<()> {
        let since = Instant::now();
        loop {
            match self.connection.query_row("PRAGMA journal_mode = WAL", [], |_mode| Ok(())) {
                Err(error) if kind(&error) == io::ErrorKind::WouldBlock && since.elapsed() < LONG_PATIENCE => {
                    std::thread::sleep(TURN);
                }
                changed => return changed,
            }
        }
    }

    fn version(&self) -> Result<usize, StoreError> {
        let version = self.connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        let version = version.map_err(|source| self.failure(source))?;
        match usize::try_from(version) {
            Ok(version) if version <= SCHEMA.len() => Ok(version),
            _ => Err(StoreError::Newer { path: self.path.clone(), version, known: SCHEMA.len() }),
        }
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        if self.version()? == SCHEMA.len() {
            return Ok(());
        }
        let path = self.path.clone();
        let failure = |source| failure(&path, source);
        let change = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate).map_err(failure)?;
        // Read again under the lock: another process may have been faster.
        for (old, sql) in SCHEMA.iter().enumerate().skip(self.version()?) {
            change.execute_batch(sql).map_err(failure)?;
            change.pragma_update(None, "user_version", i64::try_from(old + 1).unwrap_or(i64::MAX)).map_err(failure)?;
        }
        change.commit().map_err(failure)
    }

    pub(super) fn append(&mut self, events: &[Event]) -> Result<(), rusqlite::Error> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert =
                change.prepare_cached("INSERT INTO events (run, at, event, fact) VALUES (?1, ?2, ?3, ?4)")?;
            for event in events {
                let fact = json(&event.fact)?;
                insert.execute(params![event.run.as_str(), event.at.cast_signed(), event.fact.kind().word(), fact])?;
            }
        }
        change.commit()
    }

    /// Passes the events of a run that came after one that was read before (0: none was) to `take`, in order, and each row
    /// that cannot be read in its place; returns the number of the last row.
    pub(super) fn events_after(
        &self,
        run: &RunId,
        after: i64,
        kinds: Kinds<'_>,
        mut take: impl FnMut(Result<Event, UnreadRow>),
    ) -> Result<i64, StoreError> {
        // Words of this program, without a quote among them.
        let words = |kinds: &[FactKind]| kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join("', '");
        let condition = match kinds {
            Kinds::All => String::new(),
            Kinds::Only(kinds) => format!("AND event IN ('{}')", words(kinds)),
            Kinds::But(kinds) => format!("AND event NOT IN ('{}')", words(kinds)),
        };
        let sql = format!("SELECT id, at, fact, event FROM events WHERE run = ?1 AND id > ?2 {condition} ORDER BY id");
        let failure = |source| self.failure(source);
        let mut select = self.connection.prepare_cached(&sql).map_err(failure)?;
        let mut rows = select.query(params![run.as_str(), after]).map_err(failure)?;
        let mut last = after;
        while let Some(row) = rows.next().map_err(failure)? {
            last = row.get(0).map_err(failure)?;
            take(event(row, run).map_err(|problem| UnreadRow {
                run: run.clone(),
                row: last,
                kind: row.get(3).unwrap_or_default(),
                problem,
            }));
        }
        Ok(last)
    }

    /// When the last event of a run happened, in milliseconds since 1970-01-01 UTC.
    pub(super) fn last_at(&self, run: &RunId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT at FROM events WHERE run = ?1 ORDER BY id DESC LIMIT 1";
        let at = self.connection.query_row(sql, [run.as_str()], |row| row.get::<_, i64>(0)).optional();
        at.map(|at| at.map(i64::cast_unsigned)).map_err(|source| self.failure(source))
    }

    /// Forgets the events of a run.
    pub(super) fn forget(&mut self, run: &RunId) -> Result<(), StoreError> {
        let forgot = self.connection.execute("DELETE FROM events WHERE run = ?1", [run.as_str()]);
        forgot.map(drop).map_err(|source| self.failure(source))
    }

    fn failure(&self, source: rusqlite::Error) -> StoreError {
        failure(&self.path, source)
    }
}

/// Makes the file, if it is not there. What is left beside it of one that was removed is none of the new one's: SQLite would
/// take it for that.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        let folder = fs::File::open(folder)?;
        // Two that make it at once: the second finds it. Where a folder has no locks, SQLite keeps no such files.
        let _unlocked = folder.lock();
        if !path.try_exists()? {
            for ending in ["-wal", "-shm", "-journal"] {
                let mut left = path.as_os_str().to_owned();
                left.push(ending);
                match fs::remove_file(left) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            open_file(path)?;
        }
    }
    // SQLite makes its other files with the mode of this one.
    open_file(path).map(drop)
}

/// The event in a row, or why it cannot be read.
fn event(row: &Row<'_>, run: &RunId) -> Result<Event, String> {
    let at: i64 = row.get(1).map_err(|error| error.to_string())?;
    let fact = row.get_ref(2).map_err(|error| error.to_string())?;
    let fact = fact.as_str().map_err(|error| error.to_string())?;
    let fact = serde_json::from_str(fact).map_err(|error| error.to_string())?;
    Ok(Event { at: at.cast_unsigned(), run: run.clone(), fact })
}

/// The kind of error that people know.
pub(super) fn kind(source: &rusqlite::Error) -> io::ErrorKind {
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => io::ErrorKind::WouldBlock,
        _ => io::ErrorKind::Other,
    }
}

/// Whether a file lies on a file system that may be served by another program or machine: 9p, CIFS, FUSE, NFS, SMB, and
/// those of virtual machines (`statfs(2)`).
fn is_remote(path: &Path) -> bool {
    const REMOTE: [u64; 7] = [0x0102_1997, 0xff53_4d42, 0x6573_5546, 0x6969, 0xfe53_4d42, 0x517b, 0x786f_4256];
    rustix::fs::statfs(path).is_ok_and(|found| REMOTE.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

/// Device and number of a file, if it is there.
fn file(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether SQLite could not do what it does before it reads: it makes and locks files of its own.
fn is_locked_out(source: &rusqlite::Error) -> bool {
    matches!(source.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// A path in a URI.
fn escaped(path: &Path) -> String {
    let byte = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.as_os_str().as_bytes().iter().map(byte).collect()
}

/// A fact as JSON. A run's start holds all its trials: a text that grows to their size would take it several times.
fn json(fact: &Fact) -> Result<String, rusqlite::Error> {
    let room = match fact {
        Fact::RunStarted { trials, .. } => trials.len() * ROOM_FOR_A_TRIAL,
        _ => ROOM_FOR_A_FACT,
    };
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| rusqlite::Error::ToSqlConversionFailure(error);
    let mut text = Vec::with_capacity(room);
    serde_json::to_writer(&mut text, fact).map_err(|error| failed(error.into()))?;
    String::from_utf8(text).map_err(|error| failed(error.into()))
}

fn failure(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, source },
        _ => StoreError::Database { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Barrier;
    use std::time::Duration;

    use rusqlite::Connection;

    use super::{Database, FILE, Kinds, kind};
    use crate::model::event::{Event, Fact, FactKind};
    use crate::store::StoreError;

    fn warned(run: &str, at: u64, message: &str) -> Event {
        Event { at, run: run.into(), fact: Fact::Warned { message: message.to_owned() } }
    }

    fn ended(run: &str, at: u64) -> Event {
        Event { at, run: run.into(), fact: Fact::RunEnded { early: None, elapsed: Duration::from_secs(at), unkept: 0 } }
    }

    fn log(folder: &Path) -> Database {
        Database::open(folder).unwrap()
    }

    fn kept(folder: &Path, run: &str, kinds: Kinds<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        let database = Database::look(folder).unwrap().unwrap();
        database.events_after(&run.into(), 0, kinds, |event| events.push(event.unwrap())).unwrap();
        events
    }

    #[test]
    fn many_that_make_it_at_once_all_open_it() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let start = Barrier::new(8);
            let open = || {
                start.wait();
                log(folder.path())
            };
            let opened: Vec<Database> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for mut database in opened {
                database.append(&[warned("aa", 1, "here")]).unwrap();
            }
            assert_eq!(kept(folder.path(), "aa", Kinds::All).len(), 8);
        }
    }

    #[test]
    fn events_of_several_runs_and_writers_are_kept_in_order_and_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Database::look(folder.path()).unwrap().is_none());
        let (mut first, mut second) = (log(folder.path()), log(folder.path()));
        first.append(&[warned("aa", 1, "一"), warned("aa", 2, "二")]).unwrap();
        second.append(&[warned("bb", 1, "other")]).unwrap();
        first.append(&[ended("aa", 3)]).unwrap();
        assert_eq!(
            kept(folder.path(), "aa", Kinds::All),
            [warned("aa", 1, "一"), warned("aa", 2, "二"), ended("aa", 3)]
        );
        assert_eq!(kept(folder.path(), "aa", Kinds::Only(&[FactKind::RunEnded])), [ended("aa", 3)]);
        assert_eq!(kept(folder.path(), "bb", Kinds::All).len(), 1);
        Database::open(folder.path()).unwrap().forget(&"aa".into()).unwrap();
        assert!(kept(folder.path(), "aa", Kinds::All).is_empty());
        assert_eq!(kept(folder.path(), "bb", Kinds::All).len(), 1);
    }

    #[test]
    fn a_write_that_was_torn_leaves_what_was_kept_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        log.append(&[warned("aa", 1, "whole")]).unwrap();
        let wal = folder.path().join("combu.db-wal");
        let whole = fs::metadata(&wal).unwrap().len();
        log.append(&[warned("aa", 2, "torn")]).unwrap();
        // As a crash leaves it: the log ends in the middle of the second write, and nobody has it open.
        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join(FILE), copy.path().join(FILE)).unwrap();
        let torn = (whole + fs::metadata(&wal).unwrap().len()) / 2;
        fs::write(copy.path().join("combu.db-wal"), &fs::read(&wal).unwrap()[..usize::try_from(torn).unwrap()])
            .unwrap();
        let mut after = self::log(copy.path());
        assert_eq!(kept(copy.path(), "aa", Kinds::All), [warned("aa", 1, "whole")]);
        after.append(&[warned("aa", 3, "later")]).unwrap();
        assert_eq!(kept(copy.path(), "aa", Kinds::All).len(), 2);
    }

    #[test]
    fn while_another_process_holds_it_nothing_is_kept_and_nothing_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        let other = Connection::open(folder.path().join(FILE)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = log.append(&[warned("aa", 1, "first")]).unwrap_err();
        assert_eq!(kind(&error), std::io::ErrorKind::WouldBlock, "{error}");
        other.execute_batch("COMMIT").unwrap();
        log.append(&[warned("aa", 1, "first"), warned("aa", 2, "second")]).unwrap();
        assert_eq!(kept(folder.path(), "aa", Kinds::All).len(), 2);
    }

    #[test]
    fn a_full_database_is_told_as_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        log.connection.execute_batch("PRAGMA max_page_count = 8").unwrap();
        let error = log.append(&[warned("aa", 1, &"x".repeat(100_000))]).unwrap_err();
        assert_eq!(kind(&error), std::io::ErrorKind::StorageFull, "{error}");
        log.append(&[warned("aa", 2, "small")]).unwrap();
        assert_eq!(kept(folder.path(), "aa", Kinds::All), [warned("aa", 2, "small")]);
    }

    #[test]
    fn what_is_newer_damaged_or_out_of_reach_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        drop(log(folder.path()));
        let shown = |error: StoreError| error.to_string().replace(&folder.path().display().to_string(), "/lab/.combu");
        Connection::open(folder.path().join(FILE)).unwrap().pragma_update(None, "user_version", 7).unwrap();
        insta::assert_snapshot!(shown(Database::open(folder.path()).unwrap_err()), @"`/lab/.combu/combu.db` was written by a newer combu (its version is 7, this combu knows 1): use that one, or set COMBU_DIR to another folder");
        assert!(matches!(Database::look(folder.path()), Err(StoreError::Newer { .. })));
        fs::write(folder.path().join(FILE), "no database at all, but long enough to be one".repeat(100)).unwrap();
        insta::assert_snapshot!(shown(Database::open(folder.path()).unwrap_err()), @"`/lab/.combu/combu.db` is damaged or no database; move it away to begin anew: the logs in `runs/` do not need it");
        let nowhere = folder.path().join("nowhere");
        assert!(matches!(Database::open(&nowhere), Err(StoreError::Write { .. })));
        assert!(Database::look(&nowhere).unwrap().is_none());
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named_and_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        log.append(&[warned("aa", 1, "first")]).unwrap();
        let other = Connection::open(folder.path().join(FILE)).unwrap();
        for fact in [r#"'{"event":"x"}'"#, "'{'", "CAST(x'ff' AS TEXT)"] {
            other
                .execute(&format!("INSERT INTO events (run, at, event, fact) VALUES ('aa', 1, 'x', {fact})"), [])
                .unwrap();
        }
        log.append(&[warned("aa", 2, "last")]).unwrap();
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        let database = Database::look(folder.path()).unwrap().unwrap();
        let last = database.events_after(&"aa".into(), 0, Kinds::All, |event| match event {
            Ok(event) => read.push(event),
            Err(row) => unread.push((row.row, row.kind)),
        });
        assert_eq!(last.unwrap(), 5);
        assert_eq!(read, [warned("aa", 1, "first"), warned("aa", 2, "last")]);
        assert_eq!(unread, [2, 3, 4].map(|row| (row, "x".to_owned())));
    }
}
