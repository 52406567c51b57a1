//! For tests: scripts executed on the fake engine, with everything they print kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::engine::fake::Fake;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Options, TrialDefaults};
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::model::trial::Trial;

use crate::run::connections::Connections;
use crate::run::session::interrupt::Interrupt;
use crate::run::session::start::Start;
use crate::run::session::{Prepared, Session};
use crate::run::simulation::Simulation;
use crate::script::error::ScriptError;
use crate::script::execute::{engine, execute};
use crate::script::host::{Finish, Opened, Script, ScriptHost, ScriptStage};
use crate::script::model::ScriptModel;
use crate::spec::LoadOptions;

/// A folder with scripts, a session on the fake engine, and what was printed.
pub(super) struct Lab {
    pub(super) folder: tempfile::TempDir,
    pub(super) session: Session,
    pub(super) args: Vec<String>,
    pub(super) options: Options,
    pub(super) memory: u64,
    seen: Rc<Seen>,
}

#[derive(Default)]
struct Seen {
    lines: RefCell<Vec<String>>,
    ids: RefCell<u32>,
    folder: std::path::PathBuf,
}

impl ScriptStage for Seen {
    fn open(&self, prepared: &Prepared, run: &RunId) -> Result<Opened, String> {
        if prepared.plan.experiment.name == "refused" {
            return Err("no room for this run".to_owned());
        }
        let folder = Some(self.folder.join(run.as_str()));
        let journal = Start::unkept(run.clone(), None).journal;
        Ok(Opened { folder, journal, sinks: Vec::new(), keep: Box::new(()) })
    }

    fn print(&self, text: &str) {
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
        Self { folder, session, args: Vec::new(), options, memory: ScriptHost::memory_limit(), seen }
    }

    /// A lab in virtual time, whose trials do as that model says.
    pub(super) fn simulated(model: &str) -> Self {
        let mut lab = Self::new();
        let (path, interrupt) = (lab.folder.path().join("model.rhai"), Interrupt::default());
        lab.file("model.rhai", model);
        let model = ScriptModel::load(&path, interrupt.clone(), |_| ()).unwrap();
        let simulation = Simulation::new(Box::new(model), interrupt.clone());
        lab.session = Session::simulated(Arc::new(simulation), interrupt).unwrap();
        lab
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
        engine(&self.script()).gen_fn_metadata_to_json(false).unwrap()
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
