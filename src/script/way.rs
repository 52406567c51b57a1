//! The way from a script up to one of its runs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::command::Command;
use crate::model::event::{Event, Fact};
use crate::model::name::{EngineName, Name};
use crate::model::options::Options;
use crate::model::trial::{Condition, Trial};
use crate::plan::{Plan, engine_of};
use crate::run::session::Commands;
use crate::script::fault::{Answer, did_you_mean, fault, fault_with};
use crate::script::values::history::History;

/// The way up to a run, which remembers what the run has not answered yet.
#[derive(Clone)]
pub(super) struct Way {
    commands: Commands,
    /// Trials that were asked for and that the run has not spoken of yet.
    unheard: Rc<RefCell<Vec<Name>>>,
    known: Rc<RefCell<Known>>,
    /// Metrics of its trials so far.
    pub(super) history: History,
}

/// Facts from which it is certain at once that a run will refuse a trial.
pub(super) struct Known {
    /// The trials that are in the run or were submitted, and whether each is a service.
    trials: HashMap<Name, bool>,
    engines: Vec<EngineName>,
    options: Options,
    /// True once the script itself has ended the run.
    closed: bool,
}

impl Known {
    pub(super) fn of(plan: &Plan) -> Self {
        let names = plan.trials.iter().map(|trial| trial.name.clone());
        Self {
            trials: names.zip(plan.services.iter().copied()).collect(),
            engines: plan.engines(),
            options: plan.experiment.options.clone(),
            closed: false,
        }
    }

    /// The reason why the run will refuse that trial, if that is certain, and what to do about it.
    fn refuses(&self, trial: &Trial) -> Option<(String, Option<String>)> {
        if self.closed {
            return Some(("the script has ended the run".to_owned(), None));
        }
        if self.trials.contains_key(&trial.name) {
            let hint = "give it another name, or run the old one again with `t.retry()`".to_owned();
            return Some(("the run has a trial of that name".to_owned(), Some(hint)));
        }
        let engine = engine_of(trial, &Options::default(), &self.options);
        if !self.engines.contains(&engine) {
            return Some((format!("no trial of the run's plan uses the engine {engine}"), None));
        }
        trial.depends.iter().find_map(|dependency| {
            let on = &dependency.trial;
            match self.trials.get(on) {
                None => {
                    let hint = did_you_mean(on.as_str(), self.trials.keys().map(Name::as_str));
                    Some((format!("it depends on `{on}`, which is not in the run"), hint))
                }
                Some(true) if dependency.condition == Some(Condition::Completed) => Some((
                    format!("it waits for the service `{on}` to complete, which ends when nothing needs it"),
                    None,
                )),
                Some(_) => None,
            }
        })
    }
}

impl Way {
    pub(super) fn new(commands: Commands, known: Rc<RefCell<Known>>) -> Self {
        Self { commands, unheard: Rc::default(), known, history: History::default() }
    }

    /// True when the run has answered all that it was asked.
    pub(super) fn is_answered(&self) -> bool {
        self.unheard.borrow().is_empty()
    }

    /// Adds a trial to the run.
    pub(super) fn submit(&self, trial: &Trial) -> Answer<()> {
        if self.is_closed() {
            return Err(fault(format!("the run has ended and takes no more trials such as `{}`", trial.name)));
        }
        if let Some((because, hint)) = self.known.borrow().refuses(trial) {
            let message = format!("`{}` was not submitted: {because}", trial.name);
            return Err(hint.map_or_else(|| fault(&message), |hint| fault_with(&message, hint)));
        }
        self.known.borrow_mut().trials.insert(trial.name.clone(), trial.service == Some(true));
        self.send(Command::Submit { trial: Box::new(trial.clone()) });
        Ok(())
    }

    /// A trial's doing, and each thing that it waits for.
    pub(super) fn why(&self, trial: &str) -> Answer<Vec<String>> {
        if self.is_closed() {
            return Err(fault("the run has ended, and nothing waits any more"));
        }
        let known = Name::parse(trial).ok().and_then(|name| self.commands.why(&name));
        known.ok_or_else(|| {
            let message = format!("the run has no trial `{trial}`");
            match did_you_mean(trial, self.known.borrow().trials.keys().map(Name::as_str)) {
                Some(hint) => fault_with(message, hint),
                None => fault(message),
            }
        })
    }

    pub(super) fn send(&self, command: Command) {
        if let Command::Submit { trial } | Command::Retry { trial } = &command {
            self.unheard.borrow_mut().push(trial.name.clone());
        }
        if matches!(command, Command::Cancel { .. } | Command::Drain { .. }) {
            self.known.borrow_mut().closed = true;
        }
        self.commands.send(command);
    }

    /// Takes note of the run's answer: taken or refused; gives whether there is something to do again.
    pub(super) fn hear(&self, event: &Event) -> bool {
        self.history.hear(event);
        let mut unheard = self.unheard.borrow_mut();
        let (command, taken) = match &event.fact {
            Fact::CommandTaken { command } => (command, true),
            Fact::CommandRefused { command, .. } => (command, false),
            _ => return false,
        };
        let (Command::Submit { trial } | Command::Retry { trial }) = command else { return false };
        if let Some(place) = unheard.iter().position(|name| *name == trial.name) {
            unheard.remove(place);
        }
        if !taken && matches!(command, Command::Submit { .. }) {
            self.known.borrow_mut().trials.remove(&trial.name);
        }
        taken
    }

    pub(super) fn is_closed(&self) -> bool {
        self.commands.is_closed()
    }
}
