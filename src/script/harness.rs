//! For tests: scripts executed on the fake engine, with everything they print kept.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::fake::Fake;
use crate::model::event::{Event, Fact, Journal, Record};
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Options, TrialDefaults};
use crate::model::outcome::Outcome;
use crate::model::script::ScriptEntry;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::plan::Plan;

use crate::run::connections::Connections;
use crate::run::session::interrupt::Interrupt;
use crate::run::session::{Prepared, Session};
use crate::run::simulation::Simulation;
use crate::script::error::ScriptError;
use crate::script::execute::{engine, engine_of_arrays, execute};
use crate::script::host::{Finish, Script, ScriptHost};
use crate::script::model::ScriptModel;
use crate::script::stage::{EarlierRun, Opened, ScriptStage};
use crate::spec::LoadOptions;

/// A folder with scripts, a session on the fake engine, and what was printed.
pub(super) struct Lab {
    pub(super) folder: tempfile::TempDir,
    pub(super) session: Session,
    pub(super) args: Vec<String>,
    pub(super) options: Options,
    pub(super) memory: u64,
    /// Whether the next script is the last one, which died.
    goes_on: bool,
    seen: Rc<Seen>,
}

#[derive(Default)]
struct Seen {
    lines: RefCell<Vec<String>>,
    ids: RefCell<u32>,
    folder: std::path::PathBuf,
    /// What the script was told.
    entries: RefCell<Vec<ScriptEntry>>,
    /// The events of its runs.
    runs: RefCell<HashMap<RunId, Kept>>,
    /// How many more things it may do before it dies.
    left: Cell<Option<usize>>,
}

impl Seen {
    /// The process dies here, where its time has come.
    fn live_on(&self) {
        match self.left.get() {
            Some(0) => resume_unwind(Box::new("the death of the process")),
            left => self.left.set(left.map(|left| left - 1)),
        }
    }
}

/// Events of a run that were kept.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<Event>>>);

impl Journal for Kept {
    fn keep(&mut self, events: &[Event]) -> std::io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

impl ScriptStage for Seen {
    fn open(&self, prepared: &Prepared, run: &RunId, _: &BTreeMap<Name, RunId>) -> Result<Opened, String> {
        if prepared.plan.experiment.name == "refused" {
            return Err("no room for this run".to_owned());
        }
        let kept = self.runs.borrow_mut().entry(run.clone()).or_default().clone();
        let folder = Some(self.folder.join(run.as_str()));
        Ok(Opened { folder, journal: Box::new(kept), sinks: Vec::new(), keep: Box::new(()) })
    }

    fn keep_entry(&self, entry: &ScriptEntry) {
        self.live_on();
        self.entries.borrow_mut().push(entry.clone());
    }

    fn forget_entries(&self, count: usize) {
        self.entries.borrow_mut().truncate(count);
    }

    fn say(&self, message: &str) {
        if message.starts_with("note") {
            self.lines.borrow_mut().push(message.to_owned());
        }
    }

    /// Every trial whose name says so.
    fn reusable(&self, plan: &Plan, _: &BTreeMap<String, String>) -> Result<BTreeMap<Name, RunId>, String> {
        let names = plan.trials.iter().map(|trial| trial.name.clone());
        Ok(names.filter(|name| name.as_str().contains("old")).map(|name| (name, RunId::from("before"))).collect())
    }

    fn history(&self, experiment: Option<&str>) -> Result<Vec<RunId>, String> {
        let mut runs: Vec<RunId> = self.runs.borrow().keys().filter(|_| experiment != Some("none")).cloned().collect();
        runs.sort();
        Ok(runs)
    }

    fn recorded(&self, run: &RunId) -> Result<Option<EarlierRun>, String> {
        self.earlier(run)
    }

    fn told(&self, run: &RunId, trial: &Name) -> Result<Vec<Event>, String> {
        let (elapsed, attempt) = (Duration::from_secs(7), 2);
        let record = Record::Metric { name: "loss".to_owned(), value: 0.5, step: Some(3) };
        let (outcome, logs, usage) = (Outcome::Succeeded, None, None);
        let facts = [
            Fact::AttemptStarting { trial: trial.clone(), attempt, cores: Vec::new(), gpus: Vec::new() },
            Fact::Recorded { trial: trial.clone(), attempt, record },
            Fact::AttemptEnded {
                trial: trial.clone(),
                attempt,
                outcome,
                elapsed,
                logs,
                usage,
                kept: false,
                incomplete: false,
            },
        ];
        Ok(facts.map(|fact| Event { at: 1, run: run.clone(), fact }).into())
    }

    fn earlier(&self, run: &RunId) -> Result<Option<EarlierRun>, String> {
        let runs = self.runs.borrow();
        let earlier = |kept: &Kept| EarlierRun {
            events: kept.0.lock().unwrap().clone(),
            spec: "/lab/script.rhai".into(),
            id: "id".to_owned(),
        };
        Ok(runs.get(run).map(earlier))
    }

    fn reopen(&self, run: &RunId) -> Result<Opened, String> {
        let kept = self.runs.borrow()[run].clone();
        let folder = Some(self.folder.join(run.as_str()));
        Ok(Opened { folder, journal: Box::new(kept), sinks: Vec::new(), keep: Box::new(()) })
    }

    fn print(&self, text: &str) {
        self.live_on();
        self.lines.borrow_mut().push(text.to_owned());
    }

    fn debug(&self, place: &str, text: &str) {
        let place = place.rsplit('/').next().unwrap_or_default();
        self.lines.borrow_mut().push(format!("debug {place} {text}"));
    }

    fn closed(&self, summary: &Summary) {
        let counts = summary.counts();
        self.lines.borrow_mut().push(format!("closed {} {}/{}", summary.experiment, counts.succeeded, counts.total));
    }

    fn last_ends(&self, _of: (&Path, &str, &str), trials: &[Arc<Trial>]) -> Result<HashMap<Name, Outcome>, String> {
        self.lines.borrow_mut().push("asked for ends".to_owned());
        Ok(trials.iter().take(1).map(|trial| (trial.name.clone(), Outcome::Succeeded)).collect())
    }

    fn live_kill(&self, spec: &Path) -> Result<Vec<String>, String> {
        let name = spec.file_name().unwrap_or_default().to_string_lossy();
        self.lines.borrow_mut().push(format!("asked {name}"));
        Ok(Vec::new())
    }

    fn id(&self) -> String {
        *self.ids.borrow_mut() += 1;
        format!("id{:010}", self.ids.borrow())
    }
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::on(Fake::default())
    }

    pub(super) fn on(engine: Fake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::new(Connections::with(Arc::new(engine))).unwrap();
        let seen = Rc::new(Seen { folder: folder.path().join("runs"), ..Seen::default() });
        let options = Options {
            defaults: TrialDefaults { engine: Some(EngineName::Fake), ..TrialDefaults::default() },
            ..Options::default()
        };
        Self { folder, session, args: Vec::new(), options, memory: ScriptHost::memory_limit(), goes_on: false, seen }
    }

    /// A lab in virtual time, whose trials do as that model says.
    pub(super) fn simulated(model: &str) -> Self {
        let mut lab = Self::new();
        lab.file("model.rhai", model);
        lab.session = lab.simulation();
        lab
    }

    fn simulation(&self) -> Session {
        let (path, interrupt) = (self.folder.path().join("model.rhai"), Interrupt::default());
        let model = ScriptModel::load(&path, interrupt.clone(), |_| ()).unwrap();
        let simulation = Simulation::new(Box::new(model), interrupt.clone());
        Session::simulated(Arc::new(simulation), interrupt).unwrap()
    }

    /// Executes a script that dies in the moment of the thing of that number that it does; whether it came so far. A script that
    /// died is gone on with, in virtual time, by whatever is executed next.
    pub(super) fn dies(&mut self, text: &str, after: usize) -> bool {
        self.seen.left.set(Some(after));
        let died = catch_unwind(AssertUnwindSafe(|| drop(self.execute(text)))).is_err();
        self.seen.left.set(None);
        (self.goes_on, self.session) = (died, self.simulation());
        died
    }

    /// Forgets the scripts so far, and what they left.
    pub(super) fn forget(&mut self) {
        self.seen.entries.borrow_mut().clear();
        self.seen.runs.borrow_mut().clear();
        (self.goes_on, self.session) = (false, self.simulation());
    }

    /// What scripts were told so far.
    pub(super) fn told_before(&self) -> String {
        let runs: Vec<usize> = self.seen.runs.borrow().values().map(|kept| kept.0.lock().unwrap().len()).collect();
        format!("{:?}\n{runs:?} events", self.seen.entries.borrow())
    }

    /// Trials that were started though they had ended well.
    pub(super) fn ran_in_vain(&self) -> Vec<String> {
        let mut in_vain = Vec::new();
        for kept in self.seen.runs.borrow().values() {
            let mut done = Vec::new();
            for event in kept.0.lock().unwrap().iter() {
                match &event.fact {
                    Fact::TrialEnded { trial, outcome: Outcome::Succeeded, .. } => done.push(trial.clone()),
                    Fact::AttemptStarting { trial, .. } if done.contains(trial) => in_vain.push(trial.to_string()),
                    _ => {}
                }
            }
        }
        in_vain
    }

    pub(super) fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Executes a text as `script.rhai`.
    #[expect(clippy::result_large_err, reason = "it is the caller's to look at")]
    pub(super) fn execute(&self, text: &str) -> Result<Finish, ScriptError> {
        self.file("script.rhai", text);
        self.execute_file(&self.folder.path().join("script.rhai"))
    }

    #[expect(clippy::result_large_err, reason = "it is the caller's to look at")]
    pub(super) fn execute_file(&self, path: &Path) -> Result<Finish, ScriptError> {
        execute(path, self.host())
    }

    /// Everything registered beside Rhai's own functions, as JSON.
    pub(super) fn functions(&self) -> String {
        engine_of_arrays(&self.script()).gen_fn_metadata_to_json(false).unwrap()
    }

    pub(super) fn compile(&self, text: &str) -> Result<(), rhai::ParseError> {
        engine(&self.script()).compile(text).map(|_| ())
    }

    /// A script of that file, without its text.
    pub(super) fn script(&self) -> Rc<Script> {
        self.file("script.rhai", "");
        Rc::new(Script::new(&self.folder.path().join("script.rhai"), self.host()).unwrap())
    }

    fn host(&self) -> ScriptHost {
        ScriptHost {
            session: self.session.clone(),
            args: self.args.clone(),
            options: self.options.clone(),
            below: Options::default(),
            load: LoadOptions::default(),
            memory: self.memory,
            past: if self.goes_on { self.seen.entries.borrow().clone() } else { Vec::new() },
            reuse: false,
            stage: self.seen.clone(),
        }
    }

    /// What a script prints, and how it ended where that is not with 0.
    pub(super) fn output(&self, text: &str) -> String {
        self.seen.lines.borrow_mut().clear();
        let end = match self.execute(text) {
            Ok(finish) if finish.code() == 0 => String::new(),
            Ok(finish) => format!("\n[exit {}]", finish.code()),
            Err(error) => format!("\n{}", self.told(&error)),
        };
        let lines = self.seen.lines.borrow().join("\n");
        format!("{lines}{end}").trim_start_matches('\n').to_owned()
    }

    /// What is wrong with a script, and what to do about it.
    pub(super) fn refusal(&self, text: &str) -> String {
        let error = self.execute(text).unwrap_err();
        format!("{}{}", error.message, error.hint.map(|hint| format!(" = {hint}")).unwrap_or_default())
    }

    /// An error as people are told of it.
    pub(super) fn told(&self, error: &ScriptError) -> String {
        let named = |file: &Path| file.strip_prefix(self.folder.path()).unwrap_or(file).display().to_string();
        let place = [error.line, error.column].iter().flatten().map(|number| format!(":{number}")).collect::<String>();
        let mut text = format!("{}{place}: {}", named(&error.file), error.message);
        if let Some(line) = &error.source_line {
            text.push_str(&format!("\n  | {}", line.trim()));
        }
        if let Some(hint) = &error.hint {
            text.push_str(&format!("\n  = {hint}"));
        }
        for place in &error.trace {
            text.push_str(&format!("\n  < {} at {}:{}:{}", place.called, named(&place.file), place.line, place.column));
        }
        text.replace(&self.folder.path().display().to_string(), "FOLDER")
    }
}
