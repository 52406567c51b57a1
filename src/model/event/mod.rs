//! Events: facts that happened in a run, in order. Everything shown, stored or hooked is made from them.

mod fact;
mod files;
mod kind;
mod record;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::name::RunId;

pub use fact::{Cause, Early, Fact};
pub use files::{Collected, Logs};
pub use kind::FactKind;
pub use record::{Record, Usage};

pub(in crate::model) use files::optional_path;

/// A fact and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970-01-01 UTC.
    pub at: u64,
    /// The run it happened in.
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Keeps a run's events before anything follows from them: what was launched can be found again after a crash.
pub trait Journal: fmt::Debug + Send {
    /// Keeps these events, all or none of them, after those before.
    ///
    /// # Errors
    /// When they could not be kept; the same events are brought again, with those that came since.
    fn keep(&mut self, events: &[Event]) -> std::io::Result<()>;

    /// The fact that it had to be made again, if it had since it was last asked.
    fn restored(&mut self) -> Option<Fact> {
        None
    }

    /// What went since it was made again: whoever removed it may have been at work still. Asked before the run ends.
    fn gone(&mut self) -> Option<Fact> {
        None
    }
}

/// Something that consumes events: a report, a hook.
pub trait Sink {
    /// What messages call it: `progress`.
    fn name(&self) -> &'static str;

    /// Takes an event of an earlier life of the run, which was told then.
    fn recall(&mut self, _event: &Event) {}

    /// Takes one event.
    ///
    /// # Errors
    /// A failing sink is dropped with one warning; it never fails the run.
    fn consume(&mut self, event: &Event) -> std::io::Result<()>;
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::{Cause, Collected, Early, Event, Fact, Logs, Record, Usage};
    use crate::model::command::Command;
    use crate::model::handle::Handle;
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Budget, Halt, Options, Parallel};
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::retry::{On, Retries};
    use crate::model::trial::{Timeout, Trial};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn trial() -> Trial {
        Trial {
            params: serde_json::from_value(json!({"学習率": 1e-5, "layers": [1, {"a": null}]})).unwrap(),
            timeout: Some(Timeout::OfMedian(300.0)),
            retries: Some(
                Retries { on: vec![On::Oom, On::Code(3)], delay: Duration::from_millis(1500), ..Retries::count(2) }
                    .into(),
            ),
            ..Trial::new(name("a1"))
        }
    }

    /// Facts of many kinds.
    pub(crate) fn facts() -> Vec<Fact> {
        let (aa, attempt, elapsed) = (name("a1"), 2, Duration::from_millis(1_234));
        let handle = Handle { engine: EngineName::Docker, id: "0123".to_owned() };
        let logs = Logs { stdout: "/x/out".into(), stdout_bytes: 1, stderr: "/x/err".into(), stderr_bytes: u64::MAX };
        let usage = Usage { cpu_seconds: Some(1.25), peak_memory: Some(7), ..Usage::default() };
        let options = Options {
            budget: Budget { parallel: Some(Parallel::AllBut(1)), ..Budget::default() },
            halt: Halt::parse("soon,fail=10%").ok(),
            time_budget: Some(Duration::from_secs(1 << 60)),
            ..Options::default()
        };
        let metric = Record::Metric { name: "loss".to_owned(), value: 0.31, step: Some(4) };
        let tag = Record::Tag { name: "phase".to_owned(), value: json!("暖機") };
        let change = Budget { parallel: Some(Parallel::Percent(50.0)), ..Budget::default() };
        vec![
            Fact::RunStarted {
                experiment: "粒子法".to_owned(),
                trials: vec![Arc::new(trial().into())],
                services: vec![aa.clone()],
                parallel: 2,
                seed: u64::MAX,
                folder: Some("/state/runs/x".into()),
                options: Box::new(options),
            },
            Fact::AttemptStarting { trial: aa.clone(), attempt, cores: vec![3], gpus: vec!["0".to_owned()] },
            Fact::AttemptStarted { trial: aa.clone(), attempt, handle: handle.clone() },
            Fact::AttemptAdopted { trial: aa.clone(), attempt, handle },
            Fact::Recorded { trial: aa.clone(), attempt, record: metric },
            Fact::Recorded { trial: aa.clone(), attempt, record: tag },
            Fact::Stopping { trial: aa.clone(), because: "late".to_owned(), cause: Cause::TimedOut },
            Fact::AttemptEnded {
                trial: aa.clone(),
                attempt,
                outcome: Outcome::Failed { exit: Exit::Signal(9) },
                elapsed,
                logs: Some(logs),
                usage: Some(Box::new(usage)),
                kept: true,
                incomplete: false,
            },
            Fact::OutputsCollected {
                trial: aa.clone(),
                attempt,
                folder: "/x/outputs".into(),
                files: vec![Collected { path: "a/b".to_owned(), bytes: 3, sha256: None }],
            },
            Fact::RetryScheduled { trial: aa.clone(), attempt: 3, delay: elapsed, memory: Some(1 << 40) },
            Fact::TrialEnded { trial: aa, attempts: 2, outcome: Outcome::Lost { message: "gone".to_owned() }, elapsed },
            Fact::CommandTaken { command: Command::Retry { trial: Box::new(trial()) } },
            Fact::CommandRefused { command: Command::Set { change: Box::new(change) }, message: "no".to_owned() },
            Fact::RunEnded { early: Some(Early::Cancelled("SIGINT".to_owned())), elapsed, unkept: 0 },
            Fact::RunEnded { early: None, elapsed: Duration::from_secs(3), unkept: 2 },
        ]
    }

    #[test]
    fn every_event_reads_back_from_what_is_stored_of_it() {
        for fact in facts() {
            let event = Event { at: 1_795_000_000_000, run: "aaaaaaaaaaaa".into(), fact };
            let text = serde_json::to_string(&event).unwrap();
            match serde_json::from_str::<Event>(&text) {
                Ok(read) => assert_eq!(read, event, "{text}"),
                Err(error) => panic!("{error}: {text}"),
            }
        }
    }
}
