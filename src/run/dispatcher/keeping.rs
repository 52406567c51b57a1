//! Keeping: events are kept before they are told and before anything follows from them, so that whoever goes on with a run
//! after a crash knows of everything that was begun.
//!
//! A journal that fails costs a warning and never the run: its events wait until they can be kept, and until then no ended
//! attempt is removed, since its container is all that would be left of it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::model::event::{Event, Fact, Journal};
use crate::run::attempt::{Attempt, Stop};
use crate::run::dispatcher::Dispatcher;
use crate::run::message::Notice;

/// Pause before a journal that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The events that are still to be kept, and who waits for that.
#[derive(Debug)]
pub(super) struct Keeping {
    journal: Box<dyn Journal>,
    /// What is not kept, or not told.
    events: Vec<Event>,
    /// How many of them were told, though they could not be kept.
    told: usize,
    /// When a journal that failed is tried again.
    again: Option<Instant>,
    /// Those who hear whether the end of their attempt was kept.
    acks: Vec<oneshot::Sender<bool>>,
    orders: Vec<Order>,
}

/// What follows from an event that is kept.
pub(super) enum Order {
    Launch(Box<Attempt>),
    Stop(usize, Stop),
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Launch(attempt) => write!(f, "Launch({})", attempt.place),
            Self::Stop(place, stop) => write!(f, "Stop({place}, {stop:?})"),
        }
    }
}

impl Keeping {
    pub(super) fn new(journal: Box<dyn Journal>) -> Self {
        Self { journal, events: Vec::new(), told: 0, again: None, acks: Vec::new(), orders: Vec::new() }
    }

    /// When a journal that failed is tried again.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// How many events could not be kept so far.
    pub(super) fn unkept(&self) -> usize {
        self.told
    }

    /// Keeps what there is, if the journal takes it; the events to be told now, and what there is to say of the journal.
    fn keep(&mut self, now: Instant) -> (Vec<Event>, Option<String>) {
        let due = self.again.is_none_or(|again| again <= now);
        let kept = if due && !self.events.is_empty() { self.journal.keep(&self.events) } else { Ok(()) };
        let is_kept = kept.is_ok() && due;
        for ack in self.acks.drain(..) {
            // Whoever asked may have been dropped with the run.
            let _gone = ack.send(is_kept);
        }
        if is_kept {
            let events = self.events.split_off(std::mem::take(&mut self.told));
            self.events.clear();
            let back = self.again.take().is_some();
            return (events, back.then(|| "the store can be written again; nothing of this run is missing".to_owned()));
        }
        let events = self.events[self.told..].to_vec();
        self.told = self.events.len();
        let first = kept.err().filter(|_| self.again.replace(now + AGAIN).is_none());
        let said = first.map(|error| {
            format!("the store cannot be written, and the run goes on; ended containers stay until it can: {error}")
        });
        (events, said)
    }
}

impl Dispatcher {
    /// Notes what happened: it is kept and told with the next [`Dispatcher::carry_out`].
    pub(super) fn emit(&mut self, fact: Fact) {
        let event = Event { at: self.clock.on_the_wall(), run: self.executor.run.clone(), fact };
        self.keeping.events.push(event);
    }

    /// Does that once what happened so far is kept.
    pub(super) fn order(&mut self, order: Order) {
        self.keeping.orders.push(order);
    }

    /// Lets an attempt know that its end is kept, or could not be.
    pub(super) fn answer(&mut self, ack: oneshot::Sender<bool>) {
        self.keeping.acks.push(ack);
    }

    /// Keeps what happened, tells it, and does what follows from it.
    pub(super) fn carry_out(&mut self) {
        self.keep();
        for order in std::mem::take(&mut self.keeping.orders) {
            match order {
                Order::Launch(attempt) => self.spawn(*attempt),
                Order::Stop(place, stop) => self.ask(place, stop),
            }
        }
    }

    /// Keeps what waits, also when a journal that failed is not due yet.
    pub(super) fn keep_at_once(&mut self) {
        if self.keeping.again.is_some() {
            self.keeping.again = Some(Instant::now());
        }
        self.keep();
    }

    fn keep(&mut self) {
        // Telling can make more of it: that nobody listens any more, that the journal failed.
        loop {
            let (events, said) = self.keeping.keep(Instant::now());
            if events.is_empty() && said.is_none() {
                return;
            }
            events.into_iter().for_each(|event| self.tell(Notice::Event(event)));
            if let Some(message) = said {
                self.emit(Fact::Warned { message });
            }
        }
    }
}
