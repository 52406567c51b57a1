//! A trial as it is exported: its result, and every value of its metrics.

use crate::model::name::RunId;
use crate::model::outcome::Outcome;
use crate::model::summary::TrialResult;

/// A value that was told of a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToldMetric {
    /// The metric.
    pub(crate) name: String,
    /// The step it was told for, if one was said.
    pub(crate) step: Option<u64>,
    /// The value.
    pub(crate) value: f64,
    /// When combu heard of it, in milliseconds since 1970-01-01 UTC.
    pub(crate) at: u64,
}

/// A trial that is exported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExportedTrial<'a> {
    /// The run its values are from.
    pub(crate) run: &'a RunId,
    /// The experiment of that run.
    pub(crate) experiment: &'a str,
    /// What is known of it.
    pub(crate) result: &'a TrialResult,
    /// The word for what it is doing, or how it ended; `open` where its run is over and it has no end.
    pub(crate) status: &'static str,
    /// When its last attempt was started, in milliseconds since 1970-01-01 UTC; absent: not known, or not at all.
    pub(crate) started: Option<u64>,
    /// When its last attempt ended.
    pub(crate) ended: Option<u64>,
    /// The last event of its run.
    pub(crate) last: u64,
    /// What its last attempt told of its metrics, in order.
    pub(crate) told: &'a [ToldMetric],
}

impl ExportedTrial<'_> {
    /// Whether more may come of it.
    pub(crate) fn is_open(&self) -> bool {
        self.result.outcome().is_none() && self.status != "open"
    }

    /// Whether it ran at all: it did not wait until now, and was not skipped.
    pub(crate) fn has_begun(&self) -> bool {
        self.result.attempts > 0 || self.result.reused.is_some()
    }

    /// Whether it succeeded.
    pub(crate) fn is_success(&self) -> bool {
        self.result.outcome().is_some_and(Outcome::is_success)
    }

    /// When it ended, as nearly as that is known.
    pub(crate) fn end(&self) -> u64 {
        self.ended.or(self.told.last().map(|told| told.at)).unwrap_or(self.last)
    }
}

/// How far a trial was exported: what a later look does not write again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExportedPart {
    attempt: u32,
    told: usize,
}

impl ExportedPart {
    /// The values that were not taken before, and whether a new attempt tells everything anew.
    pub(crate) fn take<'a>(&mut self, trial: &ExportedTrial<'a>) -> (&'a [ToldMetric], bool) {
        let attempts = trial.result.attempts;
        let is_again = self.told > 0 && self.attempt != attempts;
        if self.attempt != attempts {
            *self = Self { attempt: attempts, told: 0 };
        }
        // An attempt that is followed anew tells again what it told before.
        let new = trial.told.get(self.told..).unwrap_or_default();
        self.told += new.len();
        (new, is_again)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::{ExportedPart, ExportedTrial, ToldMetric};
    use crate::model::event::{Event, Fact, Record};
    use crate::model::history::History;
    use crate::model::name::{Name, RunId};
    use crate::model::outcome::Outcome;
    use crate::model::trial::Trial;
    use crate::report::tests::Script;

    /// Events of a run, and what is exported of it.
    pub(crate) struct Lab {
        pub(crate) script: Script,
        run: RunId,
        history: History,
        told: HashMap<Name, Vec<ToldMetric>>,
    }

    impl Lab {
        /// A run of trials with these params.
        pub(crate) fn new(trials: &[(&str, Value)]) -> Self {
            let mut script = Script::new("sweep", &[], &[], 2);
            script.at = 1_800_000_000_000;
            script.events[0].at = script.at;
            for (name, params) in trials {
                let mut trial = Trial::new(Name::parse(name).unwrap());
                trial.params = params.as_object().unwrap().clone();
                script.fact(Fact::TrialSubmitted { trial: std::sync::Arc::new(trial.into()) });
            }
            Self { run: script.run.clone(), script, history: History::default(), told: HashMap::new() }
        }

        pub(crate) fn tell(&mut self, trial: &str, metric: &str, step: Option<u64>, value: f64) {
            self.script.at += 1500;
            let record = Record::Metric { name: metric.to_owned(), value, step };
            self.script.fact(Fact::Recorded { trial: Name::parse(trial).unwrap(), attempt: 1, record });
        }

        pub(crate) fn end(&mut self, trial: &str, attempt: u32, outcome: Outcome) {
            self.script.at += 500;
            self.script.attempt_end(trial, attempt, outcome.clone(), 2000, "");
            let (trial, elapsed) = (Name::parse(trial).unwrap(), std::time::Duration::from_secs(2));
            self.script.fact(Fact::TrialEnded { trial, attempts: attempt, outcome, elapsed });
        }

        /// The trials after all events so far.
        pub(crate) fn trials(&mut self) -> Vec<ExportedTrial<'_>> {
            (self.history, self.told) = (History::default(), HashMap::new());
            for event in &self.script.events {
                self.history.add(event);
                match &event.fact {
                    Fact::AttemptStarting { trial, .. } => drop(self.told.remove(trial)),
                    Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. } => {
                        let told = ToldMetric { name: name.clone(), step: *step, value: *value, at: event.at };
                        self.told.entry(trial.clone()).or_default().push(told);
                    }
                    _ => {}
                }
            }
            let Self { history, told, run, .. } = self;
            let exported = |result| {
                let result: &crate::model::summary::TrialResult = result;
                let attempt = history.trial(&result.trial.name).and_then(|trial| trial.attempts.last());
                ExportedTrial {
                    run,
                    experiment: "sweep",
                    result,
                    status: result.status(),
                    started: attempt.and_then(|attempt| attempt.started),
                    ended: attempt.and_then(|attempt| attempt.ended),
                    last: history.last(),
                    told: told.get(&result.trial.name).map(Vec::as_slice).unwrap_or_default(),
                }
            };
            history.summary.results.iter().map(exported).collect()
        }

        pub(crate) fn events(&self) -> &[Event] {
            &self.script.events
        }
    }

    #[test]
    fn a_value_is_taken_once_and_those_of_a_new_attempt_from_the_first() {
        let mut lab = Lab::new(&[("one", serde_json::json!({}))]);
        let mut progress = ExportedPart::default();
        let mut take = |lab: &mut Lab| {
            let (new, is_again) = progress.take(&lab.trials()[0]);
            (new.iter().map(|told| told.value).collect::<Vec<_>>(), is_again)
        };
        lab.script.start("one", 1);
        lab.tell("one", "loss", Some(1), 0.5);
        assert_eq!(take(&mut lab), (vec![0.5], false));
        lab.tell("one", "loss", Some(2), 0.25);
        assert_eq!(take(&mut lab), (vec![0.25], false));
        assert_eq!(take(&mut lab), (vec![], false));
        lab.script.start("one", 2);
        lab.tell("one", "loss", Some(1), 0.75);
        assert_eq!(take(&mut lab), (vec![0.75], true));
    }
}
