//! TensorBoard's event files: a file for each trial, with its metrics by step and its params.

use std::collections::HashMap;

use serde_json::Value;

use crate::export::protobuf::ProtoMessage;
use crate::export::trial::{ExportedPart, ExportedTrial, ToldMetric};

/// What a file begins with: the version of its form.
const VERSION: &[u8] = b"brain.Event:2";

/// The plugin that shows params, and the tags of its summaries.
const HPARAMS: &[u8] = b"hparams";
const SESSION_START: &[u8] = b"_hparams_/session_start_info";
const SESSION_END: &[u8] = b"_hparams_/session_end_info";

/// The numbers of a trial's ends, there.
const SUCCESS: u64 = 1;
const FAILURE: u64 = 2;

/// Writes the event file of a trial, bit by bit.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventFile {
    progress: ExportedPart,
    has_begun: bool,
    has_ended: bool,
    /// Of metrics without a step: how many values there were.
    counts: HashMap<String, u64>,
}

impl EventFile {
    /// The name of the file of a trial: TensorBoard looks for such.
    pub(crate) const NAME: &str = "events.out.tfevents.combu";

    /// The bytes that lead from what was written so far to the trial as it is now; none where nothing is new.
    pub(crate) fn add(&mut self, trial: &ExportedTrial<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !trial.has_begun() {
            return bytes;
        }
        if !self.has_begun {
            self.has_begun = true;
            let at = trial.started.unwrap_or_else(|| trial.end());
            bytes.extend(event(at).bytes(3, VERSION).record());
            bytes.extend(session_start(at, trial).record());
        }
        let (new, is_again) = self.progress.take(trial);
        if is_again {
            self.counts.clear();
            self.has_ended = false;
            // A session that starts takes away what lies at or behind its step.
            let start = ProtoMessage::default().number(1, 1);
            bytes.extend(event(trial.started.unwrap_or(trial.last)).message(7, &start).record());
        }
        for told in new {
            bytes.extend(self.scalar(told).record());
        }
        if !trial.is_open() && !self.has_ended {
            self.has_ended = true;
            bytes.extend(session_end(trial).record());
        }
        bytes
    }

    fn scalar(&mut self, told: &ToldMetric) -> ProtoMessage {
        let count = self.counts.entry(told.name.clone()).or_default();
        let step = told.step.unwrap_or(*count);
        *count += 1;
        let value = ProtoMessage::default().bytes(1, told.name.as_bytes()).float(2, told.value as f32);
        event(told.at).number(2, step).message(5, &ProtoMessage::default().message(1, &value))
    }
}

/// The beginning of every event: when it was.
fn event(at: u64) -> ProtoMessage {
    ProtoMessage::default().double(1, seconds(at))
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn session_start(at: u64, trial: &ExportedTrial<'_>) -> ProtoMessage {
    let mut info = ProtoMessage::default();
    for (name, value) in &trial.result.trial.params {
        let entry = ProtoMessage::default().bytes(1, name.as_bytes()).message(2, &param(value));
        info = info.message(1, &entry);
    }
    let group = format!("{}/{}", trial.run, trial.result.trial.name);
    let info = info.bytes(4, group.as_bytes()).double(5, seconds(at));
    hparams(at, SESSION_START, &ProtoMessage::default().message(3, &info))
}

fn session_end(trial: &ExportedTrial<'_>) -> ProtoMessage {
    let status = if trial.is_success() { SUCCESS } else { FAILURE };
    let info = ProtoMessage::default().number(1, status).double(2, seconds(trial.end()));
    hparams(trial.end(), SESSION_END, &ProtoMessage::default().message(4, &info))
}

/// A value in the form of `google.protobuf.Value`; lists and objects are written out.
fn param(value: &Value) -> ProtoMessage {
    match value {
        Value::Bool(truth) => ProtoMessage::default().number(4, u64::from(*truth)),
        Value::Number(number) => ProtoMessage::default().double(2, number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => ProtoMessage::default().bytes(3, text.as_bytes()),
        value => ProtoMessage::default().bytes(3, value.to_string().as_bytes()),
    }
}

/// A summary for the plugin, which has all it says in its metadata.
fn hparams(at: u64, tag: &[u8], content: &ProtoMessage) -> ProtoMessage {
    // An empty list of fractions: a summary has a value.
    let tensor = ProtoMessage::default()
        .number(1, 1)
        .message(2, &ProtoMessage::default().message(2, &ProtoMessage::default().number(1, 0)));
    let plugin = ProtoMessage::default().bytes(1, HPARAMS).message(2, content);
    let value = ProtoMessage::default()
        .bytes(1, tag)
        .message(8, &tensor)
        .message(9, &ProtoMessage::default().message(1, &plugin));
    event(at).message(5, &ProtoMessage::default().message(1, &value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::EventFile;
    use crate::export::trial::tests::Lab;
    use crate::model::outcome::Outcome;

    #[test]
    fn each_look_adds_records_and_a_new_attempt_begins_a_session() {
        let mut lab = Lab::new(&[("one", json!({"lr": 0.1, "mode": "a", "deep": true, "list": [1, 2]}))]);
        let mut file = EventFile::default();
        let mut records = |lab: &mut Lab| {
            let bytes = file.add(&lab.trials()[0]);
            let (mut rest, mut count) = (bytes.as_slice(), 0);
            while !rest.is_empty() {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                (rest, count) = (&rest[8 + 4 + length + 4..], count + 1);
            }
            count
        };
        assert_eq!(records(&mut lab), 0, "it has not begun");
        lab.script.start("one", 1);
        assert_eq!(records(&mut lab), 2, "the version and the params");
        lab.tell("one", "loss", Some(1), 0.5);
        lab.tell("one", "acc", None, 0.5);
        assert_eq!(records(&mut lab), 2);
        lab.script.start("one", 2);
        lab.tell("one", "loss", Some(1), 0.5);
        assert_eq!(records(&mut lab), 2, "a session and a value");
        lab.end("one", 2, Outcome::Succeeded);
        assert_eq!((records(&mut lab), records(&mut lab)), (1, 0));
    }
}
