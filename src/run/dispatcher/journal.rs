//! The log of a run's events: they are kept before they are passed on and before anything follows from them, so that whoever
//! goes on with a run after a crash knows of everything that was begun.
//!
//! A journal that fails costs a warning and never the run: its events wait until they can be kept, and until then no ended
//! attempt is removed, since its container is all that would be left of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::model::event::{Event, Fact, Journal};
use crate::model::name::{EngineName, RunId};
use crate::run::attempt::{Attempt, Stop};
use crate::run::clock::Clock;
use crate::run::message::Notice;

/// Pause before a journal that failed is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The events of a run on their way to the journal and the follower, and what waits for them to be kept.
#[derive(Debug)]
pub(super) struct RunLog {
    run: RunId,
    clock: Clock,
    journal: Box<dyn Journal>,
    follower: mpsc::UnboundedSender<Notice>,
    /// Events that are not kept, or not passed on.
    events: Vec<Event>,
    /// The number of them that were passed on, though they could not be kept.
    passed_on: usize,
    /// The time when a journal that failed is tried again.
    retry_at: Option<Instant>,
    /// Attempts that wait to hear whether their end was kept.
    acks: Vec<oneshot::Sender<bool>>,
    orders: Vec<Order>,
    /// The content of images, as it was last said.
    digests: BTreeMap<(EngineName, String), String>,
    /// Whether some trial leaves a container.
    has_containers: bool,
}

/// An act that follows from events once they are kept.
pub(super) enum Order {
    Launch(Box<Attempt>),
    Stop(usize, Stop),
    /// Let it stand still, or go on.
    Pause(usize, bool),
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Launch(attempt) => write!(f, "Launch({})", attempt.place),
            Self::Stop(place, stop) => write!(f, "Stop({place}, {stop:?})"),
            Self::Pause(place, paused) => write!(f, "Pause({place}, {paused})"),
        }
    }
}

impl RunLog {
    pub(super) fn new(
        run: RunId,
        clock: Clock,
        journal: Box<dyn Journal>,
        follower: mpsc::UnboundedSender<Notice>,
        has_containers: bool,
    ) -> Self {
        Self {
            run,
            clock,
            journal,
            follower,
            events: Vec::new(),
            passed_on: 0,
            retry_at: None,
            acks: Vec::new(),
            orders: Vec::new(),
            digests: BTreeMap::new(),
            has_containers,
        }
    }

    /// Notes a fact: it is kept and passed on with the next [`RunLog::carry_out`].
    pub(super) fn emit(&mut self, fact: Fact) {
        let event = Event { at: self.clock.on_the_wall(), run: self.run.clone(), fact };
        self.events.push(event);
    }

    pub(super) fn warn(&mut self, message: impl Into<String>) {
        self.emit(Fact::Warned { message: message.into() });
    }

    /// Takes over what images' names stood for in an earlier life of the run.
    pub(super) fn know_images(&mut self, known: &BTreeMap<(EngineName, String), String>) {
        self.digests.extend(known.clone());
    }

    /// Notes what an image's name stands for, if that is new.
    pub(super) fn resolve_image(&mut self, engine: EngineName, image: String, digest: String) {
        if self.digests.insert((engine, image.clone()), digest.clone()).as_ref() != Some(&digest) {
            self.emit(Fact::ImageResolved { engine, image, digest });
        }
    }

    /// Gives an order back once all events so far are kept.
    pub(super) fn order(&mut self, order: Order) {
        self.orders.push(order);
    }

    /// Lets an attempt know that its end is kept, or could not be.
    pub(super) fn acknowledge(&mut self, ack: oneshot::Sender<bool>) {
        self.acks.push(ack);
    }

    /// The time when a journal that failed is tried again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The number of events that could not be kept so far.
    pub(super) fn unkept(&self) -> usize {
        self.passed_on
    }

    /// Keeps the events and passes them on; gives back the orders that follow from them.
    pub(super) fn carry_out(&mut self) -> Vec<Order> {
        self.flush();
        std::mem::take(&mut self.orders)
    }

    /// Keeps the events, also when a journal that failed is not due yet.
    pub(super) fn keep_at_once(&mut self) {
        if self.retry_at.is_some() {
            self.retry_at = Some(Instant::now());
        }
        self.flush();
    }

    /// Looks whether what a journal that was made again found is still there.
    pub(super) fn look_again(&mut self) {
        let gone = self.journal.gone();
        gone.into_iter().for_each(|fact| self.emit(fact));
    }

    /// Passes something on that is no event.
    pub(super) fn notify(&self, notice: Notice) {
        // Without a follower, `has_follower` says so.
        let _gone = self.follower.send(notice);
    }

    /// False once nobody follows the run.
    pub(super) fn has_follower(&self) -> bool {
        !self.follower.is_closed()
    }

    fn flush(&mut self) {
        // A journal that fails makes an event of its own.
        loop {
            let (events, facts) = self.keep(Instant::now());
            if events.is_empty() && facts.is_empty() {
                return;
            }
            if !events.is_empty() {
                self.notify(Notice::Events(events));
            }
            facts.into_iter().for_each(|fact| self.emit(fact));
        }
    }

    /// Keeps the events, if the journal takes them; gives those that are to be passed on now, and facts about the journal.
    fn keep(&mut self, now: Instant) -> (Vec<Event>, Vec<Fact>) {
        let due = self.retry_at.is_none_or(|retry_at| retry_at <= now);
        let kept = if due && !self.events.is_empty() { self.journal.keep(&self.events) } else { Ok(()) };
        let is_kept = kept.is_ok() && due;
        for ack in self.acks.drain(..) {
            // Whoever asked may have been dropped with the run.
            let _gone = ack.send(is_kept);
        }
        if is_kept {
            let events = self.events.split_off(std::mem::take(&mut self.passed_on));
            self.events.clear();
            let back = self.retry_at.take().is_some();
            let message = || "the store can be written again, and lacks no event of this run".to_owned();
            let facts = self.journal.restored().into_iter().chain(back.then(|| Fact::Warned { message: message() }));
            return (events, facts.collect());
        }
        let events = self.events[self.passed_on..].to_vec();
        self.passed_on = self.events.len();
        let first = kept.err().filter(|_| self.retry_at.replace(now + RETRY).is_none());
        let warning = first.map(|error| Fact::Warned {
            message: format!(
                "the store cannot be written, and the run goes on{}: {error}",
                if self.has_containers { "; ended containers stay until it can" } else { "" }
            ),
        });
        (events, warning.into_iter().collect())
    }
}
