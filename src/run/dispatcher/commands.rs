//! What comes from above: commands, each refused with a reason or taken and told.

use std::sync::Arc;

use crate::model::command::Command;
use crate::model::event::{Early, Fact};
use crate::model::name::Name;
use crate::model::options::Options;
use crate::model::trial::Trial;
use crate::plan;
use crate::run::attempt::Stop;
use crate::run::dispatcher::Dispatcher;

impl Dispatcher {
    pub(super) fn take_command(&mut self, command: Command) {
        let taken = match &command {
            Command::Close { .. } => return,
            Command::Kill { trial } => self.place(trial, "killed").map(drop),
            Command::Retry { trial } => self.retry(trial),
            Command::Submit { trial } => self.submit(trial),
            Command::Set { change } => self.schedule.permits_mut().set(change),
            Command::Cancel { .. } | Command::Drain { .. } | Command::Pause { .. } | Command::Unpause { .. } => Ok(()),
        };
        if let Err(message) = taken {
            return self.emit(Fact::CommandRefused { command, message });
        }
        self.drained = false;
        self.emit(Fact::CommandTaken { command: command.clone() });
        match command {
            Command::Cancel { by } => {
                self.cancels += 1;
                self.early.get_or_insert(Early::Cancelled(by.clone()));
                self.stop_everything(&format!("the run was stopped by {by}"), self.cancels > 1);
                if self.cancels > 1 {
                    self.sending.give_up();
                }
            }
            Command::Drain { by } => {
                self.early.get_or_insert(Early::Cancelled(by.clone()));
                self.schedule.close(&format!("the run was drained by {by}"));
            }
            Command::Kill { trial } => {
                if let Some(place) = self.schedule.place(&trial) {
                    self.schedule.kill_waiting(place);
                    self.stop(place, Stop::Killed { at_once: false });
                }
            }
            Command::Set { change } => self.gate.set(&change),
            Command::Submit { trial } => {
                if let Some(place) = self.schedule.place(&trial.name) {
                    self.emit(Fact::TrialSubmitted { trial: self.schedule.entry(place).trial.clone() });
                }
            }
            Command::Pause { .. } => self.clock.set(true),
            Command::Unpause { .. } => self.clock.set(false),
            Command::Retry { .. } | Command::Close { .. } => {}
        }
    }

    fn place(&self, trial: &Name, what: &str) -> Result<usize, String> {
        self.schedule.place(trial).ok_or_else(|| format!("`{trial}` was not {what}: it is not in the run"))
    }

    fn retry(&mut self, trial: &Trial) -> Result<(), String> {
        let place = self.place(&trial.name, "retried")?;
        self.schedule.retry(place, trial.clone())
    }

    fn submit(&mut self, trial: &Trial) -> Result<(), String> {
        let engine = plan::engine_of(trial, &Options::default(), &self.options);
        let trial = Arc::new(plan::resolve(trial, engine, &self.options, trial.service == Some(true)));
        self.schedule.submit(trial)
    }
}
