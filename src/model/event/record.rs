//! What an attempt told of itself (metrics, tags, artifacts), and what the engine says it took.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that an attempt told of itself. What the SageMaker Experiments tracker records, beside the parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Record {
    /// A number that changes: `loss`.
    Metric {
        /// Its name.
        name: String,
        /// Its value; never NaN nor infinite.
        value: f64,
        /// Which step of the attempt's own count, if it said one.
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
    },
    /// A word about the whole attempt: `phase=warmup`; the last one of a name counts.
    Tag {
        /// Its name.
        name: String,
        /// A text, number or truth value.
        value: Value,
    },
    /// A file it made.
    Artifact {
        /// Its path inside the container, or that of a local process.
        path: String,
    },
}

/// What an attempt took of the machine, as its engine saw it. Absent: the engine could not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of CPU time, in user and kernel mode together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// Most bytes of memory at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Bytes read from disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written to disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

impl Usage {
    /// Takes a later look into account: nothing of this ever becomes less.
    pub fn see(&mut self, later: &Self) {
        let more = |one: &mut Option<u64>, other: Option<u64>| *one = (*one).max(other);
        self.cpu_seconds = match (self.cpu_seconds, later.cpu_seconds) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        more(&mut self.peak_memory, later.peak_memory);
        more(&mut self.read_bytes, later.read_bytes);
        more(&mut self.written_bytes, later.written_bytes);
    }
}
