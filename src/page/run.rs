//! One run as the page takes it: its head, its trials, their attempts, logs and curves; whole, or what changed since.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::event::{Event, Fact, FactKind, Record};
use crate::model::history::{History, PastAttempt};
use crate::model::name::Name;
use crate::model::options::Sense;
use crate::model::outcome::Outcome;
use crate::model::summary::{Summary, TrialResult};
use crate::model::trial::Trial;
use crate::page::curves::{PageCurve, PageValue};
use crate::report::tail::tail;
use crate::report::why_early;

/// Events of which the page shows more than the history has.
pub const TOLD: [FactKind; 7] = [
    FactKind::AttemptStarting,
    FactKind::AttemptAdopted,
    FactKind::Recorded,
    FactKind::TrialPaused,
    FactKind::TrialUnpaused,
    FactKind::Stopping,
    FactKind::AttemptEnded,
];

/// Limit of the values in all curves of a run together.
const VALUES: usize = 1_500_000;

/// Limit of the failed trials whose logs are shown: further ones are rarely of another kind.
const LOGS: usize = 200;

/// The last lines of each log that are shown.
const LINES: usize = 20;

/// What is known of a run beside its events.
#[derive(Debug, Clone, Serialize)]
pub struct PageHead {
    /// The run.
    pub run: String,
    /// Its experiment.
    pub experiment: String,
    /// Its state, or its end, in a word or two.
    pub state: &'static str,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub started: u64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Seconds since its start: until now, its end, or its last event.
    pub elapsed: f64,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// Its spec or script.
    pub spec: String,
    /// The script that started it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The run that it repeats a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<String>,
}

/// A run as the page has it: takes its events, and gives what the page lacks.
#[derive(Debug, Default)]
pub struct PageRun {
    /// What its events tell.
    pub history: History,
    told: PageEvents,
    /// Whether the page lacks something.
    has_news: bool,
    /// Trials of which the page lacks something.
    changed: BTreeSet<Name>,
}

/// What the page shows of events beyond the history of the run.
#[derive(Debug, Default)]
struct PageEvents {
    curves: HashMap<Name, BTreeMap<String, PageCurve>>,
    /// Of each attempt, when it stood still.
    pauses: HashMap<(Name, u32), Vec<PauseTimes>>,
    attempts: HashMap<Name, u32>,
}

/// From when until when an attempt stood still, in milliseconds since 1970-01-01 UTC.
type PauseTimes = (u64, Option<u64>);

impl PageEvents {
    fn add(&mut self, event: &Event) {
        match &event.fact {
            Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. } => {
                let point = PageValue { step: *step, at: event.at, value: *value };
                let curves = self.curves.entry(trial.clone()).or_default();
                curves.entry(name.clone()).or_default().add(point);
            }
            // One that is followed anew tells everything again.
            Fact::AttemptStarting { trial, attempt, .. } | Fact::AttemptAdopted { trial, attempt, .. } => {
                self.attempts.insert(trial.clone(), *attempt);
                self.curves.remove(trial);
            }
            Fact::TrialPaused { trial, .. } => {
                let pauses = self.pauses.entry(self.attempt(trial)).or_default();
                if pauses.last().is_none_or(|(_, until)| until.is_some()) {
                    pauses.push((event.at, None));
                }
            }
            Fact::TrialUnpaused { trial } | Fact::Stopping { trial, .. } | Fact::AttemptEnded { trial, .. } => {
                let last = self.pauses.get_mut(&self.attempt(trial)).and_then(|pauses| pauses.last_mut());
                last.into_iter().for_each(|(_, until)| *until = until.or(Some(event.at)));
            }
            _ => {}
        }
    }

    fn attempt(&self, trial: &Name) -> (Name, u32) {
        (trial.clone(), self.attempts.get(trial).copied().unwrap_or_default())
    }

    /// The curves of a trial: all of their values, or what the page does not have yet; `None`: there is nothing.
    fn news(&mut self, trial: &Name, whole: bool) -> Option<Value> {
        let curves = self.curves.get_mut(trial)?.iter_mut();
        let news: Map<String, Value> =
            curves.filter_map(|(name, curve)| Some((name.clone(), curve.news(whole)?))).collect();
        (!news.is_empty()).then_some(Value::Object(news))
    }

    /// Leaves out values until all curves together are within the limit.
    fn limit(&mut self, most: usize) {
        let mut curves: Vec<&mut PageCurve> = self.curves.values_mut().flat_map(BTreeMap::values_mut).collect();
        let all: usize = curves.iter().map(|curve| curve.len()).sum();
        if all > most {
            let each = (most / curves.len()).max(20);
            curves.iter_mut().for_each(|curve| curve.limit(each));
        }
    }
}

impl PageRun {
    /// Takes one more event into account.
    pub fn add(&mut self, event: &Event) {
        self.history.add(event);
        self.told.add(event);
        self.has_news = true;
        match (&event.fact, event.fact.trial()) {
            (_, Some(trial)) => drop(self.changed.insert(trial.clone())),
            // Trials that had not ended are `open` from then on, or are not any more.
            (Fact::RunStarted { .. } | Fact::RunEnded { .. } | Fact::RunResumed { .. }, None) => self.touch_open(),
            _ => {}
        }
    }

    /// Trials that have not ended are to be told again: the state of their run says what they are called.
    pub fn touch_open(&mut self) {
        self.has_news = true;
        let open = self.history.summary.results.iter().filter(|result| result.outcome().is_none());
        self.changed.extend(open.map(|result| result.trial.name.clone()));
    }

    /// A run whose history was read before, with what was lent to it.
    pub fn of(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// Takes what the page shows of an event beyond the history; also of another run, for a trial that succeeded there.
    pub fn add_told(&mut self, event: &Event) {
        self.told.add(event);
    }

    /// Everything, for a page that has nothing yet: the trials that are `wanted`, and services.
    ///
    /// `provenance` says where, from what and by whom the run was started; `status` gives the word for what a trial is doing,
    /// or how it ended.
    pub fn whole(
        &mut self,
        head: &PageHead,
        provenance: &Value,
        status: impl Fn(&TrialResult, &Summary) -> &'static str,
        wanted: impl Fn(&TrialResult) -> bool,
    ) -> Value {
        self.told.limit(VALUES);
        let results = self.history.summary.results.iter();
        let results: Vec<&TrialResult> = results.filter(|result| result.service || wanted(result)).collect();
        let common = common(&results);
        let mut logs = LOGS;
        let trials =
            results.iter().map(|result| self.trial(result, status(result, &self.history.summary), &common, &mut logs));
        let trials: Vec<Value> = trials.collect();
        let mut curves = Map::new();
        for result in &results {
            let name = &result.trial.name;
            curves.extend(self.told.news(name, true).map(|told| (name.to_string(), told)));
        }
        let mut run = self.as_json(head, trials, curves);
        run.insert("fields".to_owned(), Value::Object(common));
        run.insert("images".to_owned(), json!(self.history.images));
        if !provenance.is_null() {
            run.insert("provenance".to_owned(), provenance.clone());
        }
        Value::Object(run)
    }

    /// Whether something of it has changed since the last time.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// What changed since the last time, for a page that has everything before.
    pub fn news(&mut self, head: &PageHead, status: impl Fn(&TrialResult, &Summary) -> &'static str) -> Value {
        let changed = std::mem::take(&mut self.changed);
        self.has_news = false;
        let common = Map::new();
        let (mut trials, mut curves, mut logs) = (Vec::new(), Map::new(), LOGS);
        for name in &changed {
            let Some(result) = self.history.summary.get(name) else { continue };
            trials.push(self.trial(result, status(result, &self.history.summary), &common, &mut logs));
            curves.extend(self.told.news(name, false).map(|told| (name.to_string(), told)));
        }
        Value::Object(self.as_json(head, trials, curves))
    }

    /// What every patch says of the run.
    fn as_json(&self, head: &PageHead, trials: Vec<Value>, curves: Map<String, Value>) -> Map<String, Value> {
        let summary = &self.history.summary;
        let goal = summary.options.goal.as_ref().map(|goal| {
            let sense = if goal.sense == Sense::Min { "min" } else { "max" };
            json!({"text": goal.to_string(), "metric": goal.metric, "sense": sense, "over_all": goal.over_all})
        });
        let mut run = object(json!(head));
        let mut add = |key: &str, value: Value| drop(run.insert(key.to_owned(), value));
        add("goal", json!(goal));
        add("parallel", json!(self.history.parallel));
        add("seed", json!(self.history.seed));
        add("early", json!(summary.early.as_ref().map(why_early)));
        add("warnings", json!(summary.warnings));
        add("rehearsal", json!(summary.is_rehearsal()));
        add("resumed", json!(self.history.resumed));
        add("trials", Value::Array(trials));
        add("curves", Value::Object(curves));
        run
    }

    /// A trial; `common` are the fields that all of the run have alike.
    fn trial(&self, result: &TrialResult, status: &str, common: &Map<String, Value>, logs: &mut usize) -> Value {
        let (outcome, usage) = (result.outcome(), result.usage.unwrap_or_default());
        let goal = self.history.summary.options.goal.as_ref();
        let told = self.history.trial(&result.trial.name);
        let mut own = fields(&result.trial.resolved());
        own.retain(|name, value| name != "params" && name != "name" && common.get(name) != Some(value));
        let attempts = told.map(|told| told.attempts.as_slice()).unwrap_or_default();
        let times: Vec<Value> = attempts.iter().map(|attempt| self.attempt(&result.trial.name, attempt)).collect();
        let has_failed = outcome.is_some_and(Outcome::is_failure);
        let mut trial = object(json!({
            "name": result.trial.name,
            "status": status,
            "ok": outcome.is_some_and(Outcome::is_success),
            "failed": has_failed,
            "service": result.service,
            "exit": outcome.and_then(Outcome::exit_code),
            "message": outcome.map(ToString::to_string),
            "attempts": result.attempts,
            "flaky": result.flaky,
            "elapsed": outcome.filter(|_| result.attempts > 0).map(|_| result.elapsed.as_secs_f64()),
            "cpu_seconds": usage.cpu_seconds,
            "peak_memory": usage.peak_memory,
            "read_bytes": usage.read_bytes,
            "written_bytes": usage.written_bytes,
            "metrics": result.metrics,
            "tags": result.tags,
            "artifacts": result.artifacts,
            "value": goal.and_then(|goal| result.reached(goal)),
            "reused": result.reused,
            "outputs": told.and_then(|told| told.outputs.last()),
            "fields": own,
            "times": times,
            "log": has_failed.then(|| log(result, logs)).flatten(),
        }));
        // What is not said takes no room. A param may be null, and is said to be.
        trial.retain(|_, value| !is_empty(value));
        trial.insert("params".to_owned(), Value::Object(result.trial.params.clone()));
        Value::Object(trial)
    }

    fn attempt(&self, trial: &Name, attempt: &PastAttempt) -> Value {
        let pauses = self.told.pauses.get(&(trial.clone(), attempt.number));
        let mut time = object(json!({
            "number": attempt.number,
            "starting": attempt.starting,
            "started": attempt.started,
            "ended": attempt.ended,
            "status": attempt.outcome.as_ref().map(Outcome::status),
            "message": attempt.outcome.as_ref().filter(|outcome| !outcome.is_success()).map(ToString::to_string),
            "note": attempt.note,
            "cores": attempt.cores,
            "gpus": attempt.gpus,
            "pauses": pauses,
        }));
        time.retain(|_, value| !is_empty(value));
        Value::Object(time)
    }
}

/// The last lines that a trial wrote, of so many more trials.
fn log(result: &TrialResult, left: &mut usize) -> Option<Value> {
    let logs = result.logs.as_ref().filter(|_| *left > 0)?;
    *left -= 1;
    let text = |path, size| match size {
        0 => String::new(),
        // A log that somebody removed says so in its place.
        _ => {
            tail(path, LINES).map_or_else(|error| format!("the log cannot be read: {error}"), |lines| lines.join("\n"))
        }
    };
    let (stdout, stderr) = (text(&logs.stdout, logs.stdout_bytes), text(&logs.stderr, logs.stderr_bytes));
    Some(json!({"stdout": stdout, "stderr": stderr}))
}

/// Every field of a trial, also those that say nothing, as expressions see them.
fn fields(trial: &Trial) -> Map<String, Value> {
    trial.fields().into_iter().map(|field| (field.name.to_owned(), field.value.to_json())).collect()
}

/// The fields that all of these trials have alike.
fn common(results: &[&TrialResult]) -> Map<String, Value> {
    let Some((first, rest)) = results.split_first() else { return Map::new() };
    let mut common = fields(&first.trial.resolved());
    for result in rest {
        let own = fields(&result.trial.resolved());
        common.retain(|name, value| own.get(name) == Some(value));
    }
    common.retain(|name, _| name != "params" && name != "name");
    common
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A patch of these runs, made at that time (milliseconds since 1970-01-01 UTC).
pub fn patch(at: u64, runs: Vec<Value>) -> Value {
    json!({"at": at, "combu": env!("CARGO_PKG_VERSION"), "runs": runs})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{PageHead, PageRun};
    use crate::model::command::Command;
    use crate::model::event::{Event, Fact, Record};
    use crate::model::handle::Handle;
    use crate::model::name::{EngineName, Name, RunId};
    use crate::model::options::{Budget, Options};
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::trial::Trial;
    use crate::model::trial::settled::Settled;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn head() -> PageHead {
        PageHead {
            run: "aaaaaaaaaaaa".to_owned(),
            experiment: "sweep".to_owned(),
            state: "running",
            started: 0,
            ended: None,
            elapsed: 1.0,
            command: Vec::new(),
            spec: String::new(),
            script: None,
            repeats: None,
        }
    }

    /// A run of two trials that has just begun.
    fn begun() -> PageRun {
        let trials = ["t1", "t2"].map(|text| {
            let trial = Trial { cpus: Some(2.0), workdir: Some(format!("/{text}")), ..Trial::new(name(text)) };
            Arc::new(Settled::from(trial))
        });
        let mut page = PageRun::default();
        let fact = Fact::RunStarted {
            experiment: "sweep".to_owned(),
            trials: trials.into(),
            services: Vec::new(),
            parallel: 1,
            seed: 1,
            folder: None,
            options: Box::new(Options::default()),
        };
        add(&mut page, 0, fact);
        page
    }

    fn add(page: &mut PageRun, at: u64, fact: Fact) {
        page.add(&Event { at, run: RunId::from("aaaaaaaaaaaa"), fact });
    }

    fn starts(page: &mut PageRun, at: u64, attempt: u32) {
        let (trial, handle) = (name("t1"), Handle { engine: EngineName::Local, id: "1".to_owned() });
        add(page, at, Fact::AttemptStarting { trial: trial.clone(), attempt, cores: Vec::new(), gpus: Vec::new() });
        add(page, at, Fact::AttemptStarted { trial, attempt, handle });
    }

    fn tells(page: &mut PageRun, at: u64, value: f64) {
        let record = Record::Metric { name: "loss".to_owned(), value, step: None };
        add(page, at, Fact::Recorded { trial: name("t1"), attempt: 1, record });
    }

    fn news(page: &mut PageRun) -> Value {
        page.news(&head(), |result, _| result.status())
    }

    #[test]
    fn what_all_trials_have_alike_is_told_once() {
        let whole = begun().whole(&head(), &json!({"combu": "0"}), |result, _| result.status(), |_| true);
        assert_eq!((&whole["fields"]["cpus"], &whole["fields"]["depends"]), (&json!(2.0), &json!([])));
        assert_eq!(whole["fields"].get("workdir"), None);
        assert_eq!(whole["trials"][1]["fields"], json!({"workdir": "/t2"}));
        assert_eq!(whole["provenance"]["combu"], "0");
    }

    #[test]
    fn a_page_that_follows_is_told_what_changed() {
        let mut page = begun();
        assert_eq!(news(&mut page)["trials"].as_array().unwrap().len(), 2);
        assert!(!page.has_news());
        starts(&mut page, 5, 1);
        tells(&mut page, 6, 3.0);
        let told = news(&mut page);
        assert_eq!((&told["trials"][0]["name"], &told["trials"][0]["status"]), (&json!("t1"), &json!("running")));
        assert_eq!((told["trials"].as_array().unwrap().len(), told.get("provenance")), (1, None));
        assert_eq!(
            told["curves"],
            json!({"t1": {"loss": {"step": null, "at": [6], "value": [3.0], "of": 1, "from": 0}}})
        );
        // What is of the run alone is news too.
        let change = Box::new(Budget::default());
        add(&mut page, 7, Fact::CommandTaken { command: Command::Set { change } });
        assert!(page.has_news() && news(&mut page)["trials"] == json!([]));
    }

    #[test]
    fn pauses_and_retries_are_of_their_attempts_and_a_new_attempt_begins_its_curves_anew() {
        let mut page = begun();
        starts(&mut page, 1, 1);
        tells(&mut page, 2, 1.0);
        add(&mut page, 3, Fact::TrialPaused { trial: name("t1"), because: "others are better".to_owned() });
        add(&mut page, 4, Fact::TrialUnpaused { trial: name("t1") });
        let outcome = Outcome::Failed { exit: Exit::Code(3) };
        let ended = Fact::AttemptEnded {
            trial: name("t1"),
            attempt: 1,
            outcome,
            elapsed: Duration::from_millis(4),
            logs: None,
            usage: None,
            kept: false,
            incomplete: false,
        };
        add(&mut page, 5, ended);
        starts(&mut page, 6, 2);
        add(&mut page, 7, Fact::TrialPaused { trial: name("t1"), because: "others are better".to_owned() });
        let told = news(&mut page);
        let times = &told["trials"][0]["times"];
        assert_eq!(times[0]["pauses"], json!([[3, 4]]));
        assert_eq!((&times[0]["status"], &times[0]["message"]), (&json!("failed"), &json!("failed (exit code 3)")));
        assert_eq!(times[1]["pauses"], json!([[7, null]]));
        assert_eq!(told["curves"], json!({}));
    }
}
