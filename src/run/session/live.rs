//! A live run, as its follower holds it: its events come down, commands go up.
//!
//! A run ends only when its follower agrees that nothing is left to do: until then a hook may retry or submit a trial. That
//! handshake is hidden here.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::{mpsc, oneshot};

use crate::model::command::Command;
use crate::model::event::{Event, Fact};
use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::run::clock::Stillness;
use crate::run::message::{Notice, Refusal, Request};
use crate::run::session::driver::Driver;

/// A run that was started. Dropping it before its end stops its trials.
#[derive(Debug)]
pub struct Live {
    notices: mpsc::UnboundedReceiver<Notice>,
    /// Events that came together and were not given out yet.
    events: VecDeque<Event>,
    commands: Commands,
    stillness: Stillness,
    /// Commands that the run has taken or refused, as far as its events were seen.
    answered: u64,
    /// The run said that nothing is left to do, for that time, and took no command since.
    drained: Option<u64>,
}

/// The way up to a run. Clones lead to the same run.
#[derive(Debug, Clone)]
pub struct Commands {
    driver: Driver,
    sender: mpsc::UnboundedSender<Request>,
    /// Commands that were sent; the run answers each with an event.
    sent: Arc<AtomicU64>,
}

impl Live {
    pub(super) fn new(
        driver: Driver,
        notices: mpsc::UnboundedReceiver<Notice>,
        requests: mpsc::UnboundedSender<Request>,
        stillness: Stillness,
    ) -> Self {
        let commands = Commands { driver, sender: requests, sent: Arc::default() };
        Self { notices, events: VecDeque::new(), commands, stillness, answered: 0, drained: None }
    }

    /// A run that has ended and been followed to its end: nothing comes of it, and it takes no commands.
    pub(super) fn over(driver: Driver) -> Self {
        let ((_, notices), (requests, _)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        Self::new(driver, notices, requests, Stillness::of_nothing())
    }

    /// The next event; `None` when nothing is left to do and no command waits for its answer, or after the last event.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                match event.fact {
                    Fact::CommandTaken { .. } => {
                        self.answered += 1;
                        self.drained = None;
                    }
                    Fact::CommandRefused { .. } => self.answered += 1,
                    _ => {}
                }
                return Some(event);
            }
            if self.drained.is_some() && self.commands.sent.load(Ordering::SeqCst) == self.answered {
                return None;
            }
            match self.notices.recv().await? {
                Notice::Drained(time) => self.drained = Some(time),
                Notice::Refused => self.answered += 1,
                Notice::Events(events) => self.events.extend(events),
            }
        }
    }

    /// The next event; when nothing is left to do the run is let end, and `None` follows its last event.
    pub async fn recv_to_end(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.recv().await {
                return Some(event);
            }
            let time = self.drained.take()?;
            // A run that has ended needs no leave.
            let _gone = self.commands.sender.send(Request::Close { time });
        }
    }

    /// Does what [`Live::recv`] does. Blocks; not for use inside the runtime.
    pub fn next_event(&mut self) -> Option<Event> {
        let driver = self.commands.driver.clone();
        driver.wait_for(self.recv())
    }

    /// Does what [`Live::recv_to_end`] does. Blocks; not for use inside the runtime.
    pub fn next_to_end(&mut self) -> Option<Event> {
        let driver = self.commands.driver.clone();
        driver.wait_for(self.recv_to_end())
    }

    /// What tells that this run stands still.
    pub(crate) fn stillness(&self) -> &Stillness {
        &self.stillness
    }

    /// The way up to this run.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }
}

/// What a run has to do with a wait for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is served beside the others.
    Aside,
    /// The wait is over when nothing is left to do in it.
    Wanted,
    /// The same, and it is let end then.
    ToEnd,
}

/// The next event of any of these runs, with its place among them; no event: nothing is left to do in that one, which is wanted.
/// `None` when nothing can come from any of them.
pub async fn first_of(runs: &mut [(&mut Live, Part)]) -> Option<(usize, Option<Event>)> {
    let waits = runs.iter_mut().map(|(live, part)| {
        let part = *part;
        let next = async move {
            match part {
                Part::ToEnd => live.recv_to_end().await,
                Part::Aside | Part::Wanted => live.recv().await,
            }
        };
        (part, Some(Box::pin(next)))
    });
    let mut waits: Vec<_> = waits.collect();
    poll_fn(|context| {
        let mut may_come = false;
        for (place, (part, wait)) in waits.iter_mut().enumerate() {
            let Some(next) = wait else { continue };
            match next.as_mut().poll(context) {
                Poll::Pending => may_come = true,
                Poll::Ready(None) if *part == Part::Aside => *wait = None,
                Poll::Ready(event) => return Poll::Ready(Some((place, event))),
            }
        }
        if may_come { Poll::Pending } else { Poll::Ready(None) }
    })
    .await
}

impl Commands {
    /// Sends a command; a run that has ended takes none, and that is no error.
    pub fn send(&self, command: Command) {
        self.request(Request::Do { command, answer: None });
    }

    /// Adds a trial to the run; `None` when the run has ended. Blocks; not for use inside the runtime.
    ///
    /// # Errors
    /// Why the run refuses it.
    pub fn submit(&self, trial: Trial) -> Option<Result<(), Refusal>> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Submit { trial: Box::new(trial) };
        self.request(Request::Do { command, answer: Some(answer) });
        self.driver.wait_for(answered).ok()
    }

    /// What a trial waits for, as sentences: what it is doing, then each thing that it lacks. `None` when the run has ended.
    /// Blocks; not for use inside the runtime.
    ///
    /// # Errors
    /// The trial of the run with the nearest name, if one is near, when it is not in the run.
    pub fn why(&self, trial: &Name) -> Option<Result<Vec<String>, Option<Name>>> {
        self.driver.wait_for(self.asks_why(trial))
    }

    /// Does what [`Commands::why`] does, inside the runtime.
    pub(crate) async fn asks_why(&self, trial: &Name) -> Option<Result<Vec<String>, Option<Name>>> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Request::Why { trial: trial.clone(), answer }).ok()?;
        answered.await.ok()
    }

    /// Whether the run has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Counted before it is sent, so that the follower cannot miss that something waits for its answer.
    fn request(&self, request: Request) {
        self.sent.fetch_add(1, Ordering::SeqCst);
        if self.sender.send(request).is_err() {
            self.sent.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
