//! The outbox: the outputs of trials that ended go where they were asked to go, in the background. The run ends when all are
//! sent or given up.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::model::event::{Collected, Fact};
use crate::model::name::Name;
use crate::run::context::RunContext;
use crate::run::message::Message;
use crate::run::uploads::Sent;

/// The outputs that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// What was collected of each trial and is not sent.
    collected: HashMap<usize, Vec<Collected>>,
    in_flight: HashSet<usize>,
    sends: JoinSet<()>,
    /// Nothing more is sent.
    given_up: bool,
    /// The number of trials whose outputs were not sent for that.
    unsent: usize,
}

impl Outbox {
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

    /// Sends what was collected of a trial that has ended, if it is to be sent anywhere; that it was comes as a message.
    pub(super) fn send(
        &mut self,
        place: usize,
        trial: &Name,
        context: &RunContext,
        messages: mpsc::UnboundedSender<Message>,
    ) {
        let Some(uploads) = context.uploads.clone() else { return };
        let Some(files) = self.collected.remove(&place) else { return };
        let Some(folder) = context.output_folder(trial) else { return };
        if !files.iter().any(Collected::is_file) {
            return;
        }
        if self.given_up {
            self.unsent += 1;
            return;
        }
        self.in_flight.insert(place);
        while self.sends.try_join_next().is_some() {}
        let trial = trial.clone();
        self.sends.spawn(async move {
            let sending = AssertUnwindSafe(uploads.send(&trial, &folder, &files));
            let failed =
                |_| Err(format!("combu failed inside when it sent the outputs of `{trial}`; please report it"));
            let sent = sending.catch_unwind().await.unwrap_or_else(failed);
            let _gone = messages.send(Message::Sent(place, sent));
        });
    }

    /// A trial's outputs were sent, or could not be. The fact to be said.
    pub(super) fn sent(&mut self, place: usize, trial: Name, sent: Result<Sent, String>) -> Option<Fact> {
        let was_in_flight = self.in_flight.remove(&place);
        match sent {
            Ok(Sent { url, files, bytes }) => Some(Fact::OutputsSent { trial, url, files, bytes }),
            Err(problem) => {
                was_in_flight.then(|| Fact::Warned { message: format!("{problem}; `combu resume` sends them") })
            }
        }
    }

    /// What was not sent because nobody wanted to wait, as a fact to be said.
    pub(super) fn unsent(&mut self) -> Option<Fact> {
        let trials = match std::mem::take(&mut self.unsent) {
            0 => return None,
            1 => "1 trial".to_owned(),
            count => format!("{count} trials"),
        };
        let message = format!("the outputs of {trials} were not sent; `combu resume` sends them");
        Some(Fact::Warned { message })
    }
}
