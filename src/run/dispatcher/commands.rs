//! What comes from above: commands, each refused with a reason or taken and told.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::model::command::Command;
use crate::model::event::{Early, Fact};
use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;
use crate::run::attempt::Stop;
use crate::run::dispatcher::Dispatcher;
use crate::run::message::{Notice, Refusal};

impl Dispatcher {
    /// Takes a command, or refuses it: with an event, unless who sent it waits for the answer.
    pub(super) fn take_command(&mut self, command: Command, answer: Option<oneshot::Sender<Result<(), Refusal>>>) {
        match (self.admit(&command), answer) {
            (Ok(()), answer) => {
                self.carry_out_command(command);
                // Whoever asked may be gone by now.
                answer.map(|answer| answer.send(Ok(())));
            }
            (Err(refusal), None) => self.log.emit(Fact::CommandRefused { command, message: refusal.message }),
            (Err(refusal), Some(answer)) => {
                let _gone = answer.send(Err(refusal));
                self.log.notify(Notice::Refused);
            }
        }
    }

    fn admit(&mut self, command: &Command) -> Result<(), Refusal> {
        if let Command::Retry { trial } | Command::Submit { trial } = command {
            self.context.passed.read([&**trial]).map_err(|missing| Refusal {
                hint: missing.0.first().map(|missing| missing.hint.clone()),
                message: missing.to_string(),
            })?;
        }
        match command {
            Command::Kill { trial, .. } => self.place(trial, "killed").map(drop),
            Command::Prune { trial, .. } => self.place(trial, "pruned").map(drop),
            Command::PauseTrial { trial, .. } => match self.place(trial, "paused")? {
                place if self.schedule.may_pause(place) => Ok(()),
                place if self.schedule.entry(place).is_paused() => Ok(()),
                _ => Err(Refusal::of(trial, "paused", "only a trial that runs can be, and no service")),
            },
            Command::UnpauseTrial { trial } => self.place(trial, "unpaused").map(drop),
            Command::Retry { trial } => {
                let place = self.place(&trial.name, "retried")?;
                let service = self.schedule.entry(place).trial.service;
                self.schedule.retry(place, self.settle_trial(trial, service))
            }
            Command::Submit { trial } => self.schedule.submit(self.settle_trial(trial, trial.service == Some(true))),
            Command::Set { change } => {
                let refused = |message| Refusal { message, hint: None };
                self.schedule.permits_mut().set(change).map_err(refused)
            }
            Command::Cancel { .. } | Command::Drain { .. } | Command::Pause { .. } | Command::Unpause { .. } => Ok(()),
        }
    }

    fn carry_out_command(&mut self, command: Command) {
        self.end.undrain();
        self.log.emit(Fact::CommandTaken { command: command.clone() });
        match command {
            Command::Cancel { by } => {
                let at_once = self.end.cancel(by.clone());
                self.stop_everything(&format!("the run was stopped by {by}"), at_once);
                if at_once {
                    self.outbox.give_up();
                }
            }
            Command::Drain { by } => {
                self.end.end_early(Early::Cancelled(by.clone()));
                self.schedule.close(&format!("the run was drained by {by}"));
            }
            Command::Kill { trial, at_once } => {
                if let Some(place) = self.schedule.place(&trial) {
                    self.schedule.kill_waiting(place);
                    self.stop(place, Stop::Killed { at_once });
                }
            }
            Command::Prune { trial, because } => {
                if let Some(place) = self.schedule.place(&trial) {
                    self.prune(place, because);
                }
            }
            Command::PauseTrial { trial, because } => {
                if let Some(place) = self.schedule.place(&trial) {
                    self.pause(place, &because);
                }
            }
            Command::UnpauseTrial { trial } => {
                if let Some(place) = self.schedule.place(&trial) {
                    self.schedule.unpause(place);
                }
            }
            Command::Set { change } => self.admission.set(&change),
            Command::Submit { trial } => {
                if let Some(place) = self.schedule.place(&trial.name) {
                    self.log.emit(Fact::TrialSubmitted { trial: self.schedule.entry(place).trial.clone() });
                }
            }
            Command::Pause { .. } => self.context.clock.set(true),
            Command::Unpause { .. } => self.context.clock.set(false),
            Command::Retry { .. } => {}
        }
    }

    fn place(&self, trial: &Name, what: &str) -> Result<usize, Refusal> {
        self.schedule.place(trial).ok_or_else(|| Refusal::of(trial, what, "it is not in the run"))
    }

    fn settle_trial(&self, trial: &Trial, service: bool) -> Settled {
        Settled::new(Arc::new(trial.clone()), &self.schedule.options().defaults, service)
    }
}
