//! Optuna's journal: the operations that lead to a study, a line of JSON each. `JournalFileBackend` reads it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::export::distribution::Distribution;
use crate::export::trial::{ExportedPart, ExportedTrial};
use crate::model::name::{Name, RunId};
use crate::model::options::{Goal, Sense, SpecSearch};
use crate::model::outcome::Outcome;
use crate::space::Space;

/// The operations of a journal, by their numbers there.
mod operation {
    pub(super) const CREATE_STUDY: u8 = 0;
    pub(super) const SET_STUDY_USER_ATTR: u8 = 2;
    pub(super) const CREATE_TRIAL: u8 = 4;
    pub(super) const SET_TRIAL_STATE_VALUES: u8 = 6;
    pub(super) const SET_TRIAL_INTERMEDIATE_VALUE: u8 = 7;
    pub(super) const SET_TRIAL_USER_ATTR: u8 = 8;
}

/// The states of a trial, by their numbers in a journal.
mod state {
    pub(super) const RUNNING: u8 = 0;
    pub(super) const COMPLETE: u8 = 1;
    pub(super) const PRUNED: u8 = 2;
    pub(super) const FAIL: u8 = 3;
}

/// Who wrote the journal; Optuna's own workers have other names.
const WORKER: &str = "combu";

/// What a study is to be: that of the trials of one experiment.
#[derive(Debug, Clone)]
pub(crate) struct OptunaStudy {
    /// The experiment, which is the study's name.
    experiment: String,
    /// What is looked for.
    goal: Goal,
    /// The space of the search that made the trials, if one did.
    space: Option<Space>,
}

impl OptunaStudy {
    /// The study of an experiment, whose trials that search made, if one did.
    pub(crate) fn new(experiment: &str, goal: Goal, search: Option<&SpecSearch>) -> Self {
        // What cannot be read is no reason to export less: distributions follow from the params that there are.
        let space = search.and_then(|search| Space::read(&search.space).ok());
        Self { experiment: experiment.to_owned(), goal, space }
    }
}

/// Writes a journal, bit by bit: each look at the trials adds what is new in them.
#[derive(Debug)]
pub(crate) struct OptunaJournal {
    studies: Vec<OptunaStudy>,
    /// How a time is written: with its offset.
    time: fn(u64) -> String,
    has_begun: bool,
    /// Trials in the journal so far; their numbers there are their places.
    count: usize,
    known: HashMap<(RunId, Name), JournalTrial>,
}

/// What the journal has of a trial.
#[derive(Debug, Default)]
struct JournalTrial {
    number: usize,
    progress: ExportedPart,
    attempts: u32,
    has_ended: bool,
    /// Steps that were not said: the next of them.
    step: u64,
}

impl OptunaJournal {
    /// A journal with these studies; a time is written by `time`.
    pub(crate) fn new(studies: Vec<OptunaStudy>, time: fn(u64) -> String) -> Self {
        Self { studies, time, has_begun: false, count: 0, known: HashMap::new() }
    }

    /// The lines that lead from what was written so far to the trials as they are now. Those that have not begun are not in
    /// them.
    pub(crate) fn add(&mut self, trials: &[ExportedTrial<'_>]) -> String {
        let mut lines = Vec::new();
        if !self.has_begun {
            self.begin(&mut lines);
        }
        for place in 0..self.studies.len() {
            let of = |trial: &&ExportedTrial<'_>| trial.experiment == self.studies[place].experiment;
            let trials: Vec<_> = trials.iter().filter(of).filter(|trial| trial.has_begun()).copied().collect();
            let distributions = distributions(&trials, self.studies[place].space.as_ref());
            trials.iter().for_each(|trial| self.add_trial(place, trial, &distributions, &mut lines));
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn begin(&mut self, lines: &mut Vec<Value>) {
        self.has_begun = true;
        for (place, study) in self.studies.iter().enumerate() {
            let direction = match study.goal.sense {
                Sense::Min => 1,
                Sense::Max => 2,
            };
            let name = json!({"study_name": study.experiment, "directions": [direction]});
            lines.push(line(operation::CREATE_STUDY, name));
            let attr = json!({"study_id": place, "user_attr": {"combu_goal": study.goal.to_string()}});
            lines.push(line(operation::SET_STUDY_USER_ATTR, attr));
        }
    }

    fn add_trial(
        &mut self,
        study: usize,
        trial: &ExportedTrial<'_>,
        distributions: &HashMap<&str, Distribution>,
        lines: &mut Vec<Value>,
    ) {
        let goal = self.studies[study].goal.clone();
        let key = (trial.run.clone(), trial.result.trial.name.clone());
        // What has ended cannot be changed in a journal: a trial that runs again is another one.
        let is_known =
            self.known.get(&key).is_some_and(|known| !known.has_ended || known.attempts >= trial.result.attempts);
        if !is_known {
            lines.push(self.created(study, trial, distributions));
            self.known.insert(key.clone(), JournalTrial { number: self.count, ..JournalTrial::default() });
            self.count += 1;
        }
        let Some(known) = self.known.get_mut(&key).filter(|known| !known.has_ended) else { return };
        known.attempts = trial.result.attempts;
        let (new, is_again) = known.progress.take(trial);
        if is_again {
            known.step = 0;
        }
        for told in new.iter().filter(|told| *told.name == *goal.metric) {
            let step = told.step.unwrap_or(known.step);
            known.step = step + 1;
            let value = json!({"trial_id": known.number, "step": step, "intermediate_value": told.value});
            lines.push(line(operation::SET_TRIAL_INTERMEDIATE_VALUE, value));
        }
        if trial.is_open() {
            return;
        }
        known.has_ended = true;
        let number = known.number;
        for attr in attrs_of_end(trial) {
            lines.push(line(operation::SET_TRIAL_USER_ATTR, json!({"trial_id": number, "user_attr": attr})));
        }
        let (state, value) = match trial.result.outcome() {
            _ if trial.is_success() && trial.result.toward(&goal).is_some() => {
                (state::COMPLETE, trial.result.toward(&goal))
            }
            Some(Outcome::Pruned { .. }) => (state::PRUNED, trial.result.toward(&goal)),
            // Optuna knows no trial that is complete and has no value.
            _ => (state::FAIL, None),
        };
        let end = json!({
            "trial_id": number, "state": state, "values": value.map(|value| [value]),
            "datetime_complete": (self.time)(trial.end()),
        });
        lines.push(line(operation::SET_TRIAL_STATE_VALUES, end));
    }

    /// The line that creates a trial which runs.
    fn created(&self, study: usize, trial: &ExportedTrial<'_>, distributions: &HashMap<&str, Distribution>) -> Value {
        let (mut params, mut written) = (Map::new(), Map::new());
        for (name, value) in &trial.result.trial.params {
            let Some(distribution) = distributions.get(name.as_str()) else { continue };
            if let Some(number) = distribution.number(value) {
                params.insert(name.clone(), json!(number));
                written.insert(name.clone(), Value::String(distribution.text()));
            }
        }
        let name = &trial.result.trial.name;
        let created = json!({
            "study_id": study, "datetime_start": trial.started.map(self.time), "state": state::RUNNING,
            "params": params, "distributions": written, "intermediate_values": {}, "system_attrs": {},
            "user_attrs": {"combu_name": name, "combu_run": trial.run},
        });
        line(operation::CREATE_TRIAL, created)
    }
}

/// Attributes that are known at a trial's end: its status, its metrics and its tags.
fn attrs_of_end(trial: &ExportedTrial<'_>) -> Vec<Value> {
    let mut attrs = vec![json!({"combu_status": trial.status})];
    let metrics: Map<_, _> = trial.result.metrics.iter().map(|(name, told)| (name.clone(), json!(told.last))).collect();
    if !metrics.is_empty() {
        attrs.push(json!({"combu_metrics": metrics}));
    }
    if !trial.result.tags.is_empty() {
        attrs.push(json!({"combu_tags": trial.result.tags}));
    }
    attrs
}

/// The distribution of each param: that of the space, where all values lie in it, else what was seen.
fn distributions<'a>(trials: &[ExportedTrial<'a>], space: Option<&Space>) -> HashMap<&'a str, Distribution> {
    let mut seen: HashMap<&str, Vec<&Value>> = HashMap::new();
    for trial in trials {
        for (name, value) in &trial.result.trial.params {
            seen.entry(name).or_default().push(value);
        }
    }
    let distribution = |(name, values): (&'a str, Vec<&Value>)| {
        let domain = space.and_then(|space| space.params().iter().find(|(param, _)| param == name));
        let said = domain.and_then(|(_, domain)| Distribution::of(domain));
        let fits = said.filter(|said| values.iter().all(|value| said.number(value).is_some()));
        (name, fits.unwrap_or_else(|| Distribution::seen(&values)))
    };
    seen.into_iter().map(distribution).collect()
}

fn line(operation: u8, fields: Value) -> Value {
    let mut line = json!({"op_code": operation, "worker_id": WORKER});
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    line
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::{OptunaJournal, OptunaStudy};
    use crate::export::trial::tests::Lab;
    use crate::model::event::Fact;
    use crate::model::options::Goal;
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::tests::name;

    fn journal(goal: &str) -> OptunaJournal {
        OptunaJournal::new(vec![OptunaStudy::new("sweep", Goal::parse(goal).unwrap(), None)], |ms| format!("at {ms}"))
    }

    #[test]
    fn a_journal_tells_a_study_trial_by_trial() {
        let mut lab = Lab::new(&[
            ("good", json!({"lr": 0.1, "mode": "a"})),
            ("bad", json!({"lr": 0.5, "mode": "b"})),
            ("waits", json!({"lr": 0.7, "mode": "a"})),
        ]);
        lab.script.start("good", 1).start("bad", 1);
        lab.tell("good", "loss", Some(1), 0.5);
        lab.tell("good", "acc", None, 0.9);
        lab.end("bad", 1, Outcome::Failed { exit: Exit::Code(1) });
        lab.end("good", 1, Outcome::Succeeded);
        assert_snapshot!(journal("min loss").add(&lab.trials()), @r#"
        {"op_code":0,"worker_id":"combu","study_name":"sweep","directions":[1]}
        {"op_code":2,"worker_id":"combu","study_id":0,"user_attr":{"combu_goal":"min loss"}}
        {"op_code":4,"worker_id":"combu","study_id":0,"datetime_start":"at 1800000000000","state":0,"params":{"lr":0.1,"mode":0.0},"distributions":{"lr":"{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0.1,\"high\":0.5,\"log\":false}}","mode":"{\"name\":\"CategoricalDistribution\",\"attributes\":{\"choices\":[\"a\",\"b\"]}}"},"intermediate_values":{},"system_attrs":{},"user_attrs":{"combu_name":"good","combu_run":"k3jd8s0aq2xz"}}
        {"op_code":7,"worker_id":"combu","trial_id":0,"step":1,"intermediate_value":0.5}
        {"op_code":8,"worker_id":"combu","trial_id":0,"user_attr":{"combu_status":"succeeded"}}
        {"op_code":8,"worker_id":"combu","trial_id":0,"user_attr":{"combu_metrics":{"acc":0.9,"loss":0.5}}}
        {"op_code":6,"worker_id":"combu","trial_id":0,"state":1,"values":[0.5],"datetime_complete":"at 1800000004000"}
        {"op_code":4,"worker_id":"combu","study_id":0,"datetime_start":"at 1800000000000","state":0,"params":{"lr":0.5,"mode":1.0},"distributions":{"lr":"{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0.1,\"high\":0.5,\"log\":false}}","mode":"{\"name\":\"CategoricalDistribution\",\"attributes\":{\"choices\":[\"a\",\"b\"]}}"},"intermediate_values":{},"system_attrs":{},"user_attrs":{"combu_name":"bad","combu_run":"k3jd8s0aq2xz"}}
        {"op_code":8,"worker_id":"combu","trial_id":1,"user_attr":{"combu_status":"failed"}}
        {"op_code":6,"worker_id":"combu","trial_id":1,"state":3,"values":null,"datetime_complete":"at 1800000003500"}
        "#);
    }

    #[test]
    fn each_look_adds_what_is_new() {
        let mut lab = Lab::new(&[("one", json!({"n": 3}))]);
        let mut journal = journal("max best(acc)");
        let mut kinds = |lab: &mut Lab| {
            let text = journal.add(&lab.trials());
            let code = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["op_code"].to_string();
            text.lines().map(code).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kinds(&mut lab), "0 2");
        lab.script.start("one", 1);
        assert_eq!(kinds(&mut lab), "4");
        lab.tell("one", "acc", None, 0.5);
        lab.tell("one", "acc", None, 0.25);
        assert_eq!(kinds(&mut lab), "7 7");
        lab.end("one", 1, Outcome::Pruned { because: "acc is low".to_owned() });
        assert_eq!(kinds(&mut lab), "8 8 6");
        assert_eq!(kinds(&mut lab), "");
        // It was retried on request.
        lab.script.fact(Fact::TrialReopened { trial: name("one") });
        assert_eq!(kinds(&mut lab), "");
        lab.script.start("one", 2);
        assert_eq!(kinds(&mut lab), "4");
    }
}
