//! The stage of a script: where its runs are stored and its texts shown.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::Found;
use crate::model::event::{Event, Journal, Sink};
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::script::ScriptEntry;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::plan::Plan;
use crate::run::session::live::Commands;
use crate::run::session::{Prepared, new_id};

/// The part of the command line that scripts need.
pub trait ScriptStage {
    /// Prepares what a run needs before it starts: its folder, its store, its report.
    ///
    /// # Errors
    /// A sentence on what cannot be had.
    fn open(&self, prepared: &Prepared, run: &RunId, reused: &BTreeMap<Name, RunId>) -> Result<Opened, String>;

    /// The trials of a plan that succeeded unchanged in an earlier run of its experiment, and in which; `digests` says what
    /// images are now.
    ///
    /// # Errors
    /// A sentence on what cannot be read.
    fn reusable(&self, _plan: &Plan, _digests: &BTreeMap<String, String>) -> Result<BTreeMap<Name, RunId>, String> {
        Ok(BTreeMap::new())
    }

    /// Runs that have ended, the first begun first, of an experiment of that name, or of this script; but rehearsals, and those
    /// of this script's own life.
    ///
    /// # Errors
    /// A sentence on what cannot be read.
    fn history(&self, _experiment: Option<&str>) -> Result<Vec<RunId>, String> {
        Ok(Vec::new())
    }

    /// A run of this project; absent where there is none of that id.
    ///
    /// # Errors
    /// A sentence on what cannot be read.
    fn recorded(&self, _run: &RunId) -> Result<Option<EarlierRun>, String> {
        Ok(None)
    }

    /// What the last attempt of a trial told and took, as events.
    ///
    /// # Errors
    /// A sentence on what cannot be read.
    fn told(&self, _run: &RunId, _trial: &Name) -> Result<Vec<Event>, String> {
        Ok(Vec::new())
    }

    /// Takes back what was opened for a run that could not be started.
    ///
    /// # Errors
    /// A sentence on what stays.
    fn discard(&self, _opened: Opened) -> Result<(), String> {
        Ok(())
    }

    /// Saves what ended containers hold; those of them that must stay, because it could not be.
    ///
    /// # Errors
    /// A sentence on what failed.
    fn save(&self, _found: &[Found]) -> Result<Vec<Found>, String> {
        Ok(Vec::new())
    }

    /// Shows a text that the script prints, on the standard output.
    fn print(&self, text: &str);

    /// Shows a text that the script prints for debugging, on the standard error; `place` is `file:line:column`.
    fn debug(&self, place: &str, text: &str);

    /// Takes notice that a run has ended.
    fn closed(&self, summary: &Summary);

    /// Keeps what the script was told: the next entry of its record.
    fn keep_entry(&self, _entry: &ScriptEntry) {}

    /// Forgets all but the first entries of the record.
    fn forget_entries(&self, _count: usize) {}

    /// Shows a message to people.
    fn say(&self, _message: &str) {}

    /// A run of this script that it began before it died; absent where there is none of that id.
    ///
    /// # Errors
    /// A sentence on what cannot be read.
    fn earlier(&self, _run: &RunId) -> Result<Option<EarlierRun>, String> {
        Ok(None)
    }

    /// Takes up a run that was opened before.
    ///
    /// # Errors
    /// A sentence on what cannot be had.
    fn reopen(&self, run: &RunId) -> Result<Opened, String> {
        Err(format!("run {run} cannot be gone on with here"))
    }

    /// Takes notice that a run has started, and of the way to it.
    fn started(&self, _run: &RunId, _commands: &Commands) {}

    /// Last outcomes of those trials, as they are now, in any run of an experiment: `of` is its spec, its name, and what
    /// the UUID of the spec stands for.
    ///
    /// # Errors
    /// A sentence on what cannot be read.
    fn last_ends(&self, of: (&Path, &str, &str), trials: &[Arc<Trial>]) -> Result<HashMap<Name, Outcome>, String>;

    /// Asks other processes of combu that run this spec to end; returns a line for each that was asked.
    ///
    /// # Errors
    /// A sentence on what cannot be asked.
    fn live_kill(&self, spec: &Path) -> Result<Vec<String>, String>;

    /// Twelve characters `[a-z0-9]` that were not given before.
    fn id(&self) -> String {
        new_id()
    }
}

/// A run as it is recorded.
pub struct EarlierRun {
    /// Its events, in order.
    pub events: Vec<Event>,
    /// Absolute path of the spec or script that its experiment comes from.
    pub spec: PathBuf,
    /// What `"UUID"` stood for.
    pub id: String,
}

/// Things that a run was given before it started.
pub struct Opened {
    /// Folder of its logs; absent: there are none.
    pub folder: Option<PathBuf>,
    /// Journal that keeps its events.
    pub journal: Box<dyn Journal>,
    /// Consumers of its events.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Held until the run has ended: a lock, a socket.
    pub keep: Box<dyn Any>,
}
