//! The attempts in flight: each is a task of its own that is asked to stop through a channel and speaks in messages.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::engine::Launch;
use crate::model::outcome::Outcome;
use crate::model::trial::{Healthcheck, Timeout};
use crate::run::attempt::{Attempt, Begin, Progress, StartPhase, Stop};
use crate::run::clock::Awake;
use crate::run::context::RunContext;
use crate::run::message::{End, Message, Stage};

/// The attempts in flight, and the delays between attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    context: Arc<RunContext>,
    messages: mpsc::UnboundedSender<Message>,
    stops: HashMap<usize, watch::Sender<Option<Stop>>>,
    /// Whether each of them is to stand still.
    pauses: HashMap<usize, watch::Sender<bool>>,
    /// How far the starts are.
    starts: HashMap<usize, Arc<Progress>>,
    tasks: JoinSet<()>,
    /// Waits between attempts; they end with the run.
    delays: JoinSet<()>,
}

/// An attempt to come.
pub(super) struct NewAttempt {
    pub(super) place: usize,
    pub(super) launch: Launch,
    pub(super) begin: Begin,
    /// The check that probes its health, if anything does.
    pub(super) health: Option<Healthcheck>,
    /// Whether some trial waits for it to be healthy.
    pub(super) awaited: bool,
    /// The time after which people hear that it takes long.
    pub(super) slow: Option<Timeout>,
    pub(super) median: watch::Receiver<Option<Duration>>,
    /// Whether it stands still from the beginning.
    pub(super) paused: bool,
}

impl Attempts {
    pub(super) fn new(context: Arc<RunContext>, messages: mpsc::UnboundedSender<Message>) -> Self {
        Self {
            context,
            messages,
            stops: HashMap::new(),
            pauses: HashMap::new(),
            starts: HashMap::new(),
            tasks: JoinSet::new(),
            delays: JoinSet::new(),
        }
    }

    /// The way of messages to the dispatcher.
    pub(super) fn messages(&self) -> mpsc::UnboundedSender<Message> {
        self.messages.clone()
    }

    /// Makes an attempt, which can be stopped from now on and runs once it is spawned.
    pub(super) fn make(&mut self, new: NewAttempt) -> Attempt {
        let NewAttempt { place, launch, begin, health, awaited, slow, median, paused } = new;
        let (sender, stop) = watch::channel(None);
        self.stops.insert(place, sender);
        let (sender, paused) = watch::channel(paused);
        self.pauses.insert(place, sender);
        let progress = Arc::new(Progress::default());
        self.starts.insert(place, progress.clone());
        let clock = self.context.clock.clone();
        let (awake, messages) = (Awake::not_yet(clock.clone()), self.messages.clone());
        Attempt { place, launch, begin, health, awaited, slow, progress, clock, awake, median, stop, paused, messages }
    }

    /// Runs an attempt to its end.
    pub(super) fn spawn(&mut self, attempt: Attempt) {
        let (place, messages, context) = (attempt.place, self.messages.clone(), self.context.clone());
        self.tasks.spawn(async move {
            if AssertUnwindSafe(attempt.run(context)).catch_unwind().await.is_err() {
                let outcome = Outcome::Lost { message: "combu failed inside; please report it".to_owned() };
                let _gone = messages.send(Message::Attempt(place, Stage::Ended(End::bare(outcome))));
            }
        });
    }

    pub(super) fn is_active(&self, place: usize) -> bool {
        self.stops.contains_key(&place)
    }

    /// Whether none is in flight.
    pub(super) fn are_none(&self) -> bool {
        self.stops.is_empty()
    }

    /// Whether several are in flight.
    pub(super) fn are_many(&self) -> bool {
        self.stops.len() > 1
    }

    /// Asks an attempt to stop; a request is never weakened.
    pub(super) fn stop(&self, place: usize, stop: Stop) {
        if let Some(sender) = self.stops.get(&place) {
            sender.send_if_modified(|asked| {
                let stronger = asked.is_none_or(|asked| stop > asked);
                if stronger {
                    *asked = Some(stop);
                }
                stronger
            });
        }
    }

    /// Lets an attempt stand still, or go on.
    pub(super) fn pause(&self, place: usize, paused: bool) {
        if let Some(sender) = self.pauses.get(&place) {
            sender.send_replace(paused);
        }
    }

    /// The engine started the attempt.
    pub(super) fn started(&mut self, place: usize) {
        self.starts.remove(&place);
    }

    /// The attempt ended; false where none was in flight.
    pub(super) fn ended(&mut self, place: usize) -> bool {
        self.starts.remove(&place);
        self.pauses.remove(&place);
        self.stops.remove(&place).is_some()
    }

    /// How far the start of an attempt is, as a clause.
    pub(super) fn start_of(&self, place: usize) -> Option<String> {
        Some(match self.starts.get(&place)?.phase() {
            StartPhase::Preparing => "its image and networks are made ready".to_owned(),
            StartPhase::Waiting => {
                format!("a place among the starts in flight, for which {} wait", self.context.waiting())
            }
            StartPhase::Starting => "the engine is starting it".to_owned(),
            StartPhase::Lacking => "something that others use now; a warning said what".to_owned(),
        })
    }

    /// Sends a message once the delay after that attempt is over on the run's clock.
    pub(super) fn delay(&mut self, place: usize, attempt: u32, delay: Duration) {
        let (messages, clock) = (self.messages.clone(), self.context.clock.clone());
        let due = clock.elapsed().saturating_add(delay);
        self.delays.spawn(async move {
            clock.sleep_until(due).await;
            let _gone = messages.send(Message::DelayOver(place, attempt));
        });
    }

    /// Frees what ended tasks held; how they ended came as a message.
    pub(super) fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        while self.delays.try_join_next().is_some() {}
    }

    /// Waits until one more task has ended; false when none is left.
    pub(super) async fn join_next(&mut self) -> bool {
        self.tasks.join_next().await.is_some()
    }
}
