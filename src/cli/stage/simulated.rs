//! The stage of a simulation: nothing of its runs is kept, and only what they come to is shown.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::args::ProgressMode;
use crate::cli::ui::Ui;
use crate::model::event::{Event, Sink};
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::report::{Json, Plain, SimulationReport};
use crate::run::session::Prepared;
use crate::run::session::start::Start;
use crate::run::simulation::Played;
use crate::script::{Opened, ScriptStage};

/// The stage of a simulation.
pub(crate) struct SimulatedStage {
    ui: Ui,
    mode: ProgressMode,
    report: Rc<RefCell<SimulationReport>>,
    ids: Cell<u32>,
    /// What trials print lies here, so that the script can read it, and goes with the simulation.
    folder: PathBuf,
}

impl SimulatedStage {
    pub(crate) fn new(ui: &Ui, mode: ProgressMode) -> Self {
        let folder = std::env::temp_dir().join(format!("combu-simulation-{}", std::process::id()));
        Self { ui: ui.clone(), mode, report: Rc::default(), ids: Cell::new(0), folder }
    }

    /// Says what the simulation came to.
    pub(crate) fn end(&self, took: Duration, played: &Played) {
        let text = self.report.borrow().text(took, (played.reached, played.steps), &played.beyond, self.ui.err());
        self.ui.message(&text);
    }
}

impl Drop for SimulatedStage {
    fn drop(&mut self) {
        // Where no trial printed anything it is not there.
        let _none = std::fs::remove_dir_all(&self.folder);
    }
}

/// Counts what the runs do.
struct Counting(Rc<RefCell<SimulationReport>>);

impl Sink for Counting {
    fn name(&self) -> &'static str {
        "the report of the simulation"
    }

    fn consume(&mut self, event: &Event) -> std::io::Result<()> {
        self.0.borrow_mut().hear(event);
        Ok(())
    }
}

impl ScriptStage for SimulatedStage {
    fn open(&self, _prepared: &Prepared, run: &RunId, _reused: &BTreeMap<Name, RunId>) -> Result<Opened, String> {
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(Counting(self.report.clone()))];
        match self.mode {
            ProgressMode::Plain => sinks.push(Box::new(Plain::new(self.ui.stderr(), *self.ui.err()))),
            ProgressMode::Json => sinks.push(Box::new(Json::new(self.ui.stdout()))),
            ProgressMode::Auto | ProgressMode::Bar | ProgressMode::None => {}
        }
        let journal = Start::unkept(run.clone(), None).journal;
        Ok(Opened { folder: Some(self.folder.join(run.as_str())), journal, sinks, keep: Box::new(()) })
    }

    fn print(&self, text: &str) {
        // A reader that is gone has seen enough.
        let _gone = self.ui.result(text);
    }

    fn debug(&self, place: &str, text: &str) {
        self.ui.message(&format!("{place}: {text}"));
    }

    fn closed(&self, summary: &Summary) {
        self.report.borrow_mut().close(summary, self.ui.err());
    }

    /// A simulation begins with nothing: no trial has ended before.
    fn last_ends(&self, _of: (&Path, &str, &str), _trials: &[Arc<Trial>]) -> Result<HashMap<Name, Outcome>, String> {
        Ok(HashMap::new())
    }

    /// Other processes are no part of it.
    fn live_kill(&self, _spec: &Path) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    /// The same in each simulation of a script.
    fn id(&self) -> String {
        self.ids.set(self.ids.get() + 1);
        format!("simulated{:03}", self.ids.get())
    }
}
