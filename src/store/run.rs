//! One run as others see it: its record, and whether its process lives.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize, Serializer};

use crate::model::name::RunId;
use crate::store::files::create_file;
use crate::store::held::is_held;

/// Name of the file in a run's folder that says what the run is.
pub(super) const RECORD: &str = "run.json";

/// A run as it is recorded when it starts.
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
    /// The script that started it, if one did; older records do not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub script: Option<ScriptRecord>,
    /// The run that it repeats a part of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repeats: Option<RunId>,
}

/// The script that started a run, in the run's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRecord {
    /// Its file, absolute. What is not UTF-8 in it is lost.
    pub file: String,
    /// The name of its mark.
    pub id: String,
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

/// The content of `run.json`.
#[derive(Serialize, Deserialize)]
struct RecordFile {
    #[serde(flatten)]
    record: RunRecord,
    /// Where its process number is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl LiveRun {
    pub(super) fn read(path: PathBuf) -> io::Result<Self> {
        let text = fs::read(path.join(RECORD))?;
        let RecordFile { record, place } = serde_json::from_slice(&text)?;
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
    /// Writes the record into a run's folder: aside, and moved into place, so that a record is whole, or not there.
    pub(super) fn write(&self, run: &Path) -> io::Result<()> {
        let aside = run.join("run.json.new");
        let text = serde_json::to_vec_pretty(&RecordFile { record: self.clone(), place: place() })?;
        let written = create_file(&aside).and_then(|mut file| file.write_all(&text));
        written.and_then(|()| fs::rename(&aside, run.join(RECORD))).inspect_err(|_| {
            // Half a record helps nobody, and may be the last room on the disk.
            let _absent = fs::remove_file(&aside);
        })
    }
}

/// Where numbers of processes mean the same as for this one: this start of this kernel, and this namespace.
fn place() -> Option<String> {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", start.trim(), namespace.display()))
}

/// Whether the lock of the run in that folder is held; one without a lock file never lived, or was removed.
pub(super) fn is_locked(run: &Path) -> io::Result<bool> {
    is_held(&run.join("lock"))
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
