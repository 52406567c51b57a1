//! The way from a script up to one of its runs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::model::command::Command;
use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::run::message::Refusal;
use crate::run::session::live::Commands;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::values::history::MetricHistory;

/// Who asks, in the commands of scripts.
pub(super) const BY: &str = "the script";

/// Why something is done with a trial where the script does not say it.
pub(super) const BECAUSE: &str = "the script says so";

/// The way up to a run.
#[derive(Clone)]
pub(super) struct Way {
    commands: Commands,
    /// True once the script itself has ended the run.
    ended: Rc<Cell<bool>>,
    /// True while the script hears again what it heard before it died: then the run went on.
    is_past: Rc<Cell<bool>>,
    /// Commands that the run has taken before the script died: it does not take them again.
    taken: Rc<RefCell<Vec<Command>>>,
    /// Metrics of its trials so far.
    pub(super) history: MetricHistory,
}

impl Way {
    /// `is_past`: whether the script is to hear of the run again.
    pub(super) fn new(commands: Commands, taken: Vec<Command>, is_past: bool) -> Self {
        let (taken, is_past) = (Rc::new(RefCell::new(taken)), Rc::new(Cell::new(is_past)));
        let ended = Rc::default();
        Self { commands, ended, is_past, taken, history: MetricHistory::default() }
    }

    /// The script has heard again all that it heard before it died.
    pub(super) fn end_past(&self) {
        self.is_past.set(false);
    }

    /// Whether the run has taken this command before the script died; the next one like it is another.
    fn has_taken(&self, command: &Command) -> bool {
        let mut taken = self.taken.borrow_mut();
        taken.iter().position(|one| one == command).map(|place| taken.remove(place)).is_some()
    }

    /// Adds a trial to the run.
    pub(super) fn submit(&self, trial: &Trial) -> Answer<()> {
        if self.ended.get() {
            return Err(fault(format!("`{}` was not submitted: the script has ended the run", trial.name)));
        }
        if self.has_taken(&Command::Submit { trial: Box::new(trial.clone()) }) {
            return Ok(());
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
        if !self.has_taken(&command) {
            self.commands.send(command);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        !self.is_past.get() && self.commands.is_closed()
    }
}
