//! Holding back: what keeps ready trials from being started although there is room: a pause, the load of this machine,
//! and strangers on its GPUs, who are looked at from time to time.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::event::Fact;
use crate::model::name::Name;
use crate::plan::admission::nearest_name;
use crate::run::attempt::Phase;
use crate::run::dispatcher::Dispatcher;
use crate::run::load::Turned;
use crate::run::message::Message;

/// How often strangers on GPUs are looked at while a trial waits for a GPU: `nvidia-smi` may take a second.
const GPU_LOOK: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Whether a trial may be started now, if one has room; tells when that changes because of the load.
    pub(super) fn may_start(&mut self) -> bool {
        if self.clock.stands() {
            return false;
        }
        if !self.schedule.has_ready() {
            return true;
        }
        match self.gate.look(Instant::now()) {
            Some(Turned::Held(because)) => self.emit(Fact::HeldBack { because }),
            Some(Turned::Released(elapsed)) => self.emit(Fact::Released { elapsed }),
            None => {}
        }
        self.gate.held().is_none()
    }

    /// Looks who uses the GPUs; what is seen comes as a message.
    pub(super) fn look_at_gpus(&mut self) {
        let Some(name) = self.schedule.waits_for_strangers() else { return };
        self.gpu_look = Instant::now() + GPU_LOOK;
        let (executor, messages) = (self.executor.clone(), self.messages.0.clone());
        self.looks.spawn(async move {
            let seen = match executor.engine(name).await {
                Ok(engine) => engine.gpus().await,
                Err(error) => Err(error),
            };
            let _gone = messages.send(Message::Gpus(name, seen.map_err(|error| error.chain())));
        });
    }

    /// What a trial waits for, as sentences; when it is not in the run, the trial with the nearest name.
    pub(super) fn why(&self, trial: &Name) -> Result<Vec<String>, Option<Name>> {
        let place = self.schedule.place(trial).ok_or_else(|| nearest_name(trial, self.schedule.names()))?;
        let mut lines = self.schedule.why(place);
        if self.schedule.is_ready(place) {
            if self.clock.stands() {
                lines.push("the run is paused".to_owned());
            }
            lines.extend(self.gate.held().map(|because| format!("the machine has too much to do: {because}")));
        }
        if let Some(progress) = self.progress.get(&place) {
            lines.push(match progress.phase() {
                Phase::Preparing => "its image and networks are made ready".to_owned(),
                Phase::Waiting => {
                    format!("a place in the start window, for which {} wait", self.executor.waiting())
                }
                Phase::Starting => "the engine is starting it".to_owned(),
            });
        }
        Ok(lines)
    }
}
