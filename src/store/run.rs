//! The folder of one run: its record, and the lock that says its process lives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize, Serializer};

use crate::model::name::RunId;
use crate::store::error::StoreError;
use crate::store::state::is_locked;

/// What is written of a run when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// The experiment's name.
    pub experiment: String,
    /// Absolute path of the spec or script: what `kill` knows the run by. What is not UTF-8 in it is lost.
    #[serde(serialize_with = "lossy")]
    pub spec: PathBuf,
    /// The 12 characters that `"UUID"` stood for.
    pub id: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The process, by its number where it runs; see [`LiveRun::is_here`].
    pub pid: u32,
    /// Milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
    /// The run that it repeats a part of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repeats: Option<RunId>,
}

/// The folder of a run of this process, which is alive for as long as this value is.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// The system gives the lock back when the process ends, however it ends.
    lock: File,
}

impl Drop for RunDir {
    /// Said and not left to the closing of the file: a process that is being started at this moment has a copy of it.
    fn drop(&mut self) {
        // Where it fails, the lock goes with the last copy.
        let _soon = self.lock.unlock();
    }
}

/// A run whose process lived when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRun {
    /// What was written of it when it started.
    pub record: RunRecord,
    /// Its folder.
    pub path: PathBuf,
    /// Whether its process number means the same process here: the folder may be shared between machines and
    /// containers, and a number from elsewhere is a stranger's.
    pub is_here: bool,
}

/// What is in `run.json`.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    record: RunRecord,
    /// Where its process number is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl RunDir {
    pub(super) fn create(path: PathBuf, record: &RunRecord) -> Result<Self, StoreError> {
        fs::create_dir(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => StoreError::RunExists { run: record.run.clone(), path: path.clone() },
            _ => StoreError::Write { path: path.clone(), source },
        })?;
        let lock = lock(path.join("lock"))?;
        record.write(&path)?;
        Ok(Self { path, lock })
    }

    /// Takes the folder of a run whose process is gone; what is not there of it is made.
    pub(super) fn reopen(path: PathBuf, record: &RunRecord) -> Result<Self, StoreError> {
        fs::create_dir_all(&path).map_err(|source| StoreError::Write { path: path.clone(), source })?;
        let lock = lock(path.join("lock"))?;
        record.write(&path)?;
        Ok(Self { path, lock })
    }

    /// Absolute path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder of a run that could not be started.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.path).map_err(|source| StoreError::Write { path: self.path.clone(), source })
    }
}

impl LiveRun {
    pub(super) fn read(path: PathBuf) -> io::Result<Self> {
        let text = fs::read(path.join("run.json"))?;
        let Written { record, place } = serde_json::from_slice(&text)?;
        Ok(Self { record, path, is_here: place.is_some() && place == self::place() })
    }

    /// Waits until the run's process has ended or let go of the run; false when `timeout` is over before that.
    pub fn wait_end(&self, timeout: Duration) -> bool {
        // A time too long for the clock is no limit.
        let deadline = Instant::now().checked_add(timeout);
        // There is no lock with a time limit: asking 20 times a second costs nothing and is soon enough for a person.
        while is_locked(&self.path).unwrap_or(true) {
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        true
    }
}

impl RunRecord {
    /// Written aside and moved into place: a record is whole, or not there.
    fn write(&self, run: &Path) -> Result<(), StoreError> {
        let path = run.join("run.json");
        let aside = run.join("run.json.new");
        let written = serde_json::to_vec_pretty(&Written { record: self.clone(), place: place() })
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&aside, text))
            .and_then(|()| fs::rename(&aside, &path));
        written.map_err(|source| StoreError::Write { path, source })
    }
}

/// Where numbers of processes mean the same as for this one: this start of this kernel, and this namespace.
fn place() -> Option<String> {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", start.trim(), namespace.display()))
}

/// Locks a file, which is made where it is missing. Waits for those who look at the lock at this moment; they do not hold it.
fn lock(path: PathBuf) -> Result<File, StoreError> {
    let file = match File::options().create(true).truncate(false).write(true).open(&path) {
        Ok(file) => file,
        Err(source) => return Err(StoreError::Write { path, source }),
    };
    match file.lock() {
        Ok(()) => Ok(file),
        Err(source) => Err(StoreError::Lock { path, source }),
    }
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
