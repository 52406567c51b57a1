//! Sending: the outputs of trials that ended go where they were asked to go, in the background. The run ends when all are
//! sent or given up.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use crate::model::event::{Collected, Fact};
use crate::run::dispatcher::Dispatcher;
use crate::run::message::Message;
use crate::run::uploads::Sent;

/// The outputs that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// What was collected of each trial and is not sent.
    collected: HashMap<usize, Vec<Collected>>,
    in_flight: HashSet<usize>,
    sends: JoinSet<()>,
    /// Nothing more is sent.
    given_up: bool,
    /// Trials whose outputs were not sent for that.
    unsent: usize,
}

impl Sending {
    /// A trial's outputs were collected; those before are gone.
    pub(super) fn keep(&mut self, place: usize, files: Vec<Collected>) {
        self.collected.insert(place, files);
    }

    /// An attempt begins, which will have outputs of its own.
    pub(super) fn forget(&mut self, place: usize) {
        self.collected.remove(&place);
    }

    /// Whether nothing is being sent.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Sends nothing more, nor what is on its way.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.sends.abort_all();
        self.unsent += std::mem::take(&mut self.in_flight).len();
    }
}

impl Dispatcher {
    /// Sends what was collected of a trial that has ended, if it is to be sent anywhere.
    pub(super) fn send_outputs(&mut self, place: usize) {
        let Some(uploads) = self.executor.uploads.clone() else { return };
        let Some(files) = self.sending.collected.remove(&place) else { return };
        let trial = self.schedule.entry(place).trial.name.clone();
        let Some(folder) = self.executor.output_folder(&trial) else { return };
        if !files.iter().any(Collected::is_file) {
            return;
        }
        if self.sending.given_up {
            self.sending.unsent += 1;
            return;
        }
        self.sending.in_flight.insert(place);
        while self.sending.sends.try_join_next().is_some() {}
        let messages = self.messages.0.clone();
        self.sending.sends.spawn(async move {
            let sending = AssertUnwindSafe(uploads.send(&trial, &folder, &files));
            let failed =
                |_| Err(format!("combu failed inside when it sent the outputs of `{trial}`; please report it"));
            let sent = sending.catch_unwind().await.unwrap_or_else(failed);
            let _gone = messages.send(Message::Sent(place, sent));
        });
    }

    /// A trial's outputs were sent, or could not be.
    pub(super) fn sent(&mut self, place: usize, sent: Result<Sent, String>) {
        let was_in_flight = self.sending.in_flight.remove(&place);
        match sent {
            Ok(Sent { url, files, bytes }) => {
                let trial = self.schedule.entry(place).trial.name.clone();
                self.emit(Fact::OutputsSent { trial, url, files, bytes });
            }
            Err(problem) if was_in_flight => {
                self.emit(Fact::Warned { message: format!("{problem}; `combu resume` sends them") });
            }
            Err(_) => {}
        }
    }

    /// Tells what was not sent because nobody wanted to wait.
    pub(super) fn tell_unsent(&mut self) {
        let trials = match std::mem::take(&mut self.sending.unsent) {
            0 => return,
            1 => "1 trial".to_owned(),
            count => format!("{count} trials"),
        };
        self.emit(Fact::Warned {
            message: format!("the outputs of {trials} were not sent; `combu resume` sends them"),
        });
    }
}
