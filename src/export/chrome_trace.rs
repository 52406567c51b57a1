//! A trace in Chrome's format, for Perfetto and chrome://tracing: attempts on lanes, each lane a place in which one attempt
//! ran at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::model::event::{Event, Fact};
use crate::model::name::Name;
use crate::model::trial::settled::Settled;

/// Makes the trace of a run from its events, in order.
#[derive(Debug)]
pub(crate) struct ChromeTrace {
    /// The number that stands for the run.
    process: usize,
    entries: Vec<Value>,
    /// The attempt in each lane.
    lanes: Vec<Option<Name>>,
    running: HashMap<Name, OpenAttempt>,
    params: HashMap<Name, Arc<Settled>>,
    /// Milliseconds since 1970-01-01 UTC, of the last event.
    last: u64,
    /// The trials that are in it.
    chosen: HashSet<Name>,
}

/// An attempt that has not ended.
#[derive(Debug)]
struct OpenAttempt {
    lane: usize,
    number: u32,
    starting: u64,
    started: Option<u64>,
    /// Since when it stands still, and why.
    paused: Option<(u64, String)>,
}

impl ChromeTrace {
    /// The trace of a run, which is process `process` in it and is called so; of these trials.
    pub(crate) fn new(process: usize, title: &str, chosen: HashSet<Name>) -> Self {
        let name = json!({"ph": "M", "pid": process, "name": "process_name", "args": {"name": title}});
        Self {
            process,
            entries: vec![name],
            lanes: Vec::new(),
            running: HashMap::new(),
            params: HashMap::new(),
            last: 0,
            chosen,
        }
    }

    /// Takes one more event into account.
    pub(crate) fn add(&mut self, event: &Event) {
        let at = event.at;
        self.last = self.last.max(at);
        if event.fact.trial().is_some_and(|name| !self.chosen.contains(name)) {
            return;
        }
        match &event.fact {
            Fact::RunStarted { trials, .. } => {
                self.params.extend(trials.iter().map(|trial| (trial.name.clone(), trial.clone())));
            }
            Fact::TrialSubmitted { trial } => drop(self.params.insert(trial.name.clone(), trial.clone())),
            Fact::AttemptStarting { trial, attempt, .. } => self.begin(trial, *attempt, at),
            Fact::AttemptStarted { trial, .. } => {
                if let Some(open) = self.running.get_mut(trial) {
                    open.started = Some(at);
                    let (lane, starting) = (open.lane, open.starting);
                    self.span(lane, "starting", "phase", (starting, at), json!({}));
                }
            }
            Fact::TrialPaused { trial, because } => {
                if let Some(open) = self.running.get_mut(trial) {
                    open.paused = Some((at, because.clone()));
                }
            }
            Fact::TrialUnpaused { trial } => self.unpause(trial, at),
            Fact::RetryScheduled { trial, attempt, delay, .. } => {
                let args = json!({"attempt": attempt, "delay_s": delay.as_secs_f64()});
                self.instant(trial, "retry", at, &args);
            }
            Fact::Stopping { trial, because, .. } => self.instant(trial, "stopping", at, &json!({"because": because})),
            Fact::AttemptEnded { trial, outcome, .. } => {
                self.end(trial, at, outcome.status(), Some(outcome.to_string()));
            }
            _ => {}
        }
    }

    /// The entries of the trace; attempts that have not ended last until `now`, or the last event.
    pub(crate) fn entries(mut self, now: Option<u64>) -> Vec<Value> {
        let (at, status) = (now.unwrap_or(self.last).max(self.last), if now.is_some() { "running" } else { "open" });
        let mut open: Vec<Name> = self.running.keys().cloned().collect();
        open.sort();
        open.iter().for_each(|trial| self.end(trial, at, status, None));
        for lane in 0..self.lanes.len() {
            let name = json!({"name": format!("lane {}", lane + 1)});
            self.entries
                .push(json!({"ph": "M", "pid": self.process, "tid": lane + 1, "name": "thread_name", "args": name}));
        }
        self.entries
    }

    fn begin(&mut self, trial: &Name, number: u32, at: u64) {
        // Its attempt before was not seen to end, because its combu died.
        self.end(trial, at, "open", None);
        let lane = self.lanes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.lanes.push(None);
            self.lanes.len() - 1
        });
        self.lanes[lane] = Some(trial.clone());
        self.running.insert(trial.clone(), OpenAttempt { lane, number, starting: at, started: None, paused: None });
    }

    fn end(&mut self, trial: &Name, at: u64, status: &str, message: Option<String>) {
        self.unpause(trial, at);
        let Some(open) = self.running.remove(trial) else { return };
        self.lanes[open.lane] = None;
        if open.started.is_none() {
            self.span(open.lane, "starting", "phase", (open.starting, at), json!({}));
        }
        let params = self.params.get(trial).map(|trial| trial.params.clone()).unwrap_or_default();
        let mut args = Map::from_iter([
            ("status".to_owned(), json!(status)),
            ("attempt".to_owned(), json!(open.number)),
            ("params".to_owned(), Value::Object(params)),
        ]);
        args.extend(message.map(|message| ("message".to_owned(), json!(message))));
        self.span(open.lane, trial.as_str(), "attempt", (open.starting, at), Value::Object(args));
    }

    fn unpause(&mut self, trial: &Name, at: u64) {
        let Some(open) = self.running.get_mut(trial) else { return };
        if let Some((since, because)) = open.paused.take() {
            let lane = open.lane;
            self.span(lane, "paused", "phase", (since, at), json!({"because": because}));
        }
    }

    fn span(&mut self, lane: usize, name: &str, kind: &str, (from, to): (u64, u64), args: Value) {
        self.entries.push(json!({
            "ph": "X", "pid": self.process, "tid": lane + 1, "name": name, "cat": kind,
            "ts": from * 1000, "dur": to.saturating_sub(from) * 1000, "args": args,
        }));
    }

    /// A moment of a trial: in its lane, else in the whole process.
    fn instant(&mut self, trial: &Name, name: &str, at: u64, args: &Value) {
        let lane = self.running.get(trial).map(|open| open.lane + 1);
        let mut args = args.clone();
        args["trial"] = json!(trial);
        self.entries.push(json!({
            "ph": "i", "pid": self.process, "tid": lane.unwrap_or(0), "name": format!("{name} {trial}"), "cat": name,
            "ts": at * 1000, "s": if lane.is_some() { "t" } else { "p" }, "args": args,
        }));
    }
}

/// The text of a trace with these entries, a line each.
pub(crate) fn chrome_trace(entries: &[Value]) -> String {
    let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
    format!("{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;
    use serde_json::json;

    use super::{ChromeTrace, chrome_trace};
    use crate::export::trial::tests::Lab;
    use crate::model::event::Fact;
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::tests::name;

    #[test]
    fn attempts_stand_on_lanes_with_their_phases() {
        let mut lab = Lab::new(&[("one", json!({"lr": 0.1})), ("two", json!({})), ("three", json!({}))]);
        lab.script.start("one", 1);
        lab.script.at += 1000;
        lab.script.start("two", 1);
        lab.script.at += 1000;
        lab.script.attempt_end("one", 1, Outcome::Failed { exit: Exit::Code(3) }, 2000, "");
        let delay = Duration::from_secs(1);
        lab.script.fact(Fact::RetryScheduled { trial: name("one"), attempt: 2, delay, memory: None });
        lab.script.start("three", 1);
        lab.script.fact(Fact::TrialPaused { trial: name("two"), because: "it waits".to_owned() });
        lab.script.at += 1000;
        lab.script.fact(Fact::TrialUnpaused { trial: name("two") });
        lab.script.start("one", 2);
        lab.script.at += 500;
        lab.end("two", 1, Outcome::Succeeded);
        let mut trace = ChromeTrace::new(1, "run one of sweep", ["one", "two", "three"].map(name).into());
        lab.events().iter().for_each(|event| trace.add(event));
        let text = chrome_trace(&trace.entries(None));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert_snapshot!(text.replace("1800000", ""), @r#"
        {"displayTimeUnit":"ms","traceEvents":[
        {"ph":"M","pid":1,"name":"process_name","args":{"name":"run one of sweep"}},
        {"ph":"X","pid":1,"tid":1,"name":"starting","cat":"phase","ts":000000000,"dur":0,"args":{}},
        {"ph":"X","pid":1,"tid":2,"name":"starting","cat":"phase","ts":001000000,"dur":0,"args":{}},
        {"ph":"X","pid":1,"tid":1,"name":"one","cat":"attempt","ts":000000000,"dur":2000000,"args":{"status":"failed","attempt":1,"params":{"lr":0.1},"message":"failed (exit code 3)"}},
        {"ph":"i","pid":1,"tid":0,"name":"retry one","cat":"retry","ts":002000000,"s":"p","args":{"attempt":2,"delay_s":1.0,"trial":"one"}},
        {"ph":"X","pid":1,"tid":1,"name":"starting","cat":"phase","ts":002000000,"dur":0,"args":{}},
        {"ph":"X","pid":1,"tid":2,"name":"paused","cat":"phase","ts":002000000,"dur":1000000,"args":{"because":"it waits"}},
        {"ph":"X","pid":1,"tid":3,"name":"starting","cat":"phase","ts":003000000,"dur":0,"args":{}},
        {"ph":"X","pid":1,"tid":2,"name":"two","cat":"attempt","ts":001000000,"dur":3000000,"args":{"status":"succeeded","attempt":1,"params":{},"message":"succeeded"}},
        {"ph":"X","pid":1,"tid":3,"name":"one","cat":"attempt","ts":003000000,"dur":1000000,"args":{"status":"open","attempt":2,"params":{"lr":0.1}}},
        {"ph":"X","pid":1,"tid":1,"name":"three","cat":"attempt","ts":002000000,"dur":2000000,"args":{"status":"open","attempt":1,"params":{}}},
        {"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"lane 1"}},
        {"ph":"M","pid":1,"tid":2,"name":"thread_name","args":{"name":"lane 2"}},
        {"ph":"M","pid":1,"tid":3,"name":"thread_name","args":{"name":"lane 3"}}
        ]}
        "#);
    }
}
