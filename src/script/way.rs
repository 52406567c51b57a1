//! The way from a script up to one of its runs.

use std::cell::Cell;
use std::rc::Rc;

use crate::model::command::Command;
use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::run::message::Refusal;
use crate::run::session::live::Commands;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::values::history::MetricHistory;

/// The way up to a run.
#[derive(Clone)]
pub(super) struct Way {
    commands: Commands,
    /// True once the script itself has ended the run.
    ended: Rc<Cell<bool>>,
    /// Metrics of its trials so far.
    pub(super) history: MetricHistory,
}

impl Way {
    pub(super) fn new(commands: Commands) -> Self {
        Self { commands, ended: Rc::default(), history: MetricHistory::default() }
    }

    /// Adds a trial to the run.
    pub(super) fn submit(&self, trial: &Trial) -> Answer<()> {
        if self.ended.get() {
            return Err(fault(format!("`{}` was not submitted: the script has ended the run", trial.name)));
        }
        match self.commands.submit(trial.clone()) {
            Some(Ok(())) => Ok(()),
            Some(Err(Refusal { message, hint: Some(hint) })) => Err(fault_with(message, hint)),
            Some(Err(Refusal { message, hint: None })) => Err(fault(message)),
            None => Err(fault(format!("the run has ended and takes no more trials such as `{}`", trial.name))),
        }
    }

    /// A trial's doing, and each thing that it waits for.
    pub(super) fn why(&self, trial: &str) -> Answer<Vec<String>> {
        let ended = || fault("the run has ended, and nothing waits any more");
        if self.is_closed() {
            return Err(ended());
        }
        let unknown = |nearest: Option<Name>| {
            let message = format!("the run has no trial `{trial}`");
            nearest.map_or_else(|| fault(&message), |name| fault_with(&message, format!("did you mean `{name}`?")))
        };
        let name = Name::parse(trial).map_err(|_| unknown(None))?;
        self.commands.why(&name).ok_or_else(ended)?.map_err(unknown)
    }

    pub(super) fn send(&self, command: Command) {
        if matches!(command, Command::Cancel { .. } | Command::Drain { .. }) {
            self.ended.set(true);
        }
        self.commands.send(command);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }
}
