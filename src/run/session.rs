//! A session: the engines of this process and the runs started on them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, EngineError, Selector, Settings, Survey};
use crate::model::command::Command;
use crate::model::event::Event;
use crate::model::experiment::Experiment;
use crate::model::name::{EngineName, RunId};
use crate::model::options::Options;
use crate::plan::{Plan, PlanError};
use crate::run::interrupt::Interrupt;

/// The engines of this process and the runs started on them. Clones share one state. Its methods block.
#[derive(Debug, Clone)]
pub struct Session {
    interrupt: Interrupt,
}

/// What keeps a run from starting.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The experiment cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something stands in the way on the engine; nothing was started.
    #[error("something stands in the way")]
    Obstacles(Vec<crate::engine::Obstacle>),
}

/// A run that was started.
#[derive(Debug)]
pub struct Live {
    notices: std::sync::mpsc::Receiver<Notice>,
    commands: Commands,
}

/// What a run tells.
#[derive(Debug)]
pub enum Notice {
    /// A fact.
    Event(Event),
    /// Nothing is left to do: the run ends when a `Command::Close` is sent, unless another command comes before it.
    Drained,
}

/// The way up to a run. Clones lead to the same run.
#[derive(Debug, Clone)]
pub struct Commands {
    sender: tokio::sync::mpsc::UnboundedSender<Command>,
}

impl Commands {
    /// Sends a command; a run that has ended takes none, and that is no error.
    pub fn send(&self, command: Command) {
        let _gone = self.sender.send(command);
    }

    /// Whether the run has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Live {
    /// The next notice; `None` after the last.
    pub fn next(&mut self) -> Option<Notice> {
        self.notices.recv().ok()
    }

    /// The next notice, unless none comes in that time.
    pub fn next_within(&mut self, time: Duration) -> Option<Notice> {
        self.notices.recv_timeout(time).ok()
    }

    /// The way up to this run.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }
}

/// What `kill` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Killed {
    /// Trials whose containers or processes were removed.
    pub trials: Vec<String>,
    /// Other things that were removed, as lines: `network irl`.
    pub others: Vec<String>,
    /// What could not be removed, as sentences.
    pub problems: Vec<String>,
}

impl Session {
    /// A session on a new tokio runtime.
    ///
    /// # Errors
    /// When the runtime's threads cannot be started.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        let _ = settings;
        Ok(Self { interrupt: Interrupt::default() })
    }

    /// Interrupts of every run of this session.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The engine of that name, connected at its first use.
    pub fn engine(&self, name: EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        let _ = name;
        todo!()
    }

    /// Checks and orders an experiment for the engines its trials name; `options` win over the experiment's own.
    /// Starts nothing.
    pub fn plan(&self, experiment: Experiment, options: Options) -> Result<Plan, RunError> {
        let _ = (experiment, options);
        todo!()
    }

    /// What would be made, and what stands in the way. Starts nothing.
    pub fn survey(&self, plan: &Plan) -> Result<Survey, RunError> {
        let _ = plan;
        todo!()
    }

    /// Starts a run, unless something stands in the way. Logs go under `folder`.
    pub fn start(&self, plan: Plan, run: RunId, folder: Option<PathBuf>) -> Result<Live, RunError> {
        let _ = (plan, run, folder);
        todo!()
    }

    /// Stops and removes what carries the labels, on those engines.
    pub fn kill(&self, selector: &Selector, engines: &[EngineName], grace: Duration) -> Result<Killed, EngineError> {
        let _ = (selector, engines, grace);
        todo!()
    }
}
