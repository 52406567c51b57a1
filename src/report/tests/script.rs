//! A script of events: what happens in a run, by a clock that is set by hand.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::event::{Early, Event, Fact, Logs, Sink};
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::report::{Plain, Style};

/// Events of one run, in order, with a clock that is set by hand.
pub(crate) struct Script {
    /// So far.
    pub(crate) events: Vec<Event>,
    /// Milliseconds since the script began.
    pub(crate) at: u64,
    /// The run they are of.
    pub(crate) run: RunId,
    pub(super) logs: tempfile::TempDir,
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl Script {
    pub(crate) fn new(experiment: &str, trials: &[&str], services: &[&str], parallel: usize) -> Self {
        let mut script =
            Self { events: Vec::new(), at: 0, run: "k3jd8s0aq2xz".into(), logs: tempfile::tempdir().unwrap() };
        let trials = trials.iter().map(|text| Arc::new(Trial::new(name(text)).into())).collect();
        script.fact(Fact::RunStarted {
            experiment: experiment.to_owned(),
            trials,
            services: services.iter().map(|text| name(text)).collect(),
            parallel,
            seed: 7,
            folder: Some("/state/runs/k3jd8s0aq2xz".into()),
            options: Box::default(),
        });
        script
    }

    pub(crate) fn fact(&mut self, fact: Fact) -> &mut Self {
        self.events.push(Event { at: self.at, run: self.run.clone(), fact });
        self
    }

    pub(crate) fn start(&mut self, trial: &str, attempt: u32) -> &mut Self {
        let handle = Handle { engine: EngineName::Fake, id: format!("fake-{trial}") };
        self.fact(Fact::AttemptStarting { trial: name(trial), attempt, cores: Vec::new(), gpus: Vec::new() });
        self.fact(Fact::AttemptStarted { trial: name(trial), attempt, handle })
    }

    /// The attempt's end, with a log that holds `stderr`.
    pub(crate) fn attempt_end(&mut self, trial: &str, attempt: u32, outcome: Outcome, millis: u64, stderr: &str) {
        let folder = self.logs.path().join(trial);
        std::fs::create_dir_all(&folder).unwrap();
        let logs = Logs {
            stdout: folder.join("stdout.log"),
            stdout_bytes: 0,
            stderr: folder.join("stderr.log"),
            stderr_bytes: stderr.len() as u64,
        };
        std::fs::write(&logs.stderr, stderr).unwrap();
        let (elapsed, logs) = (Duration::from_millis(millis), Some(logs));
        self.fact(Fact::AttemptEnded {
            trial: name(trial),
            attempt,
            outcome,
            elapsed,
            logs,
            usage: None,
            kept: false,
            incomplete: false,
        });
    }

    pub(crate) fn end(&mut self, trial: &str, attempt: u32, outcome: Outcome, millis: u64, stderr: &str) -> &mut Self {
        self.attempt_end(trial, attempt, outcome.clone(), millis, stderr);
        let elapsed = Duration::from_millis(millis);
        self.fact(Fact::TrialEnded { trial: name(trial), attempts: attempt, outcome, elapsed })
    }

    /// Another process goes on with the run.
    pub(crate) fn resume(&mut self, open: usize) -> &mut Self {
        self.fact(Fact::RunResumed { parallel: 2, open, options: None })
    }

    pub(crate) fn skip(&mut self, trial: &str, because: &str) -> &mut Self {
        let outcome = Outcome::Skipped { because: because.to_owned() };
        self.fact(Fact::TrialEnded { trial: name(trial), attempts: 0, outcome, elapsed: Duration::ZERO })
    }

    pub(crate) fn prepare(&mut self, object: &str, state: &str) -> &mut Self {
        let (object, state) = (object.to_owned(), state.to_owned());
        self.fact(Fact::Preparing { engine: EngineName::Docker, object, state })
    }

    pub(crate) fn run_end(&mut self, early: Option<Early>, millis: u64) -> &mut Self {
        self.fact(Fact::RunEnded { early, elapsed: Duration::from_millis(millis), unkept: 0 })
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        self.events.iter().for_each(|event| summary.add(event));
        summary
    }

    /// What the plain report writes, with the folder of the logs named `/logs`.
    pub(crate) fn plain(&self, style: Style) -> String {
        let pages = Pages::default();
        let mut plain = Plain::new(Box::new(pages.clone()), style);
        self.events.iter().for_each(|event| plain.consume(event).unwrap());
        self.without_folder(&pages.text())
    }

    pub(crate) fn without_folder(&self, text: &str) -> String {
        text.replace(&self.logs.path().display().to_string(), "/logs")
    }
}

/// A writer whose text can be read while it is written to.
#[derive(Clone, Default)]
pub(crate) struct Pages(Arc<Mutex<Vec<u8>>>);

impl Pages {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
