//! The dispatcher: one actor per run. Facts come in from attempts, commands from above; launches, stops and events go out.
//!
//! What may start and what a fact means is decided in `schedule`; here it is only carried out and told.

mod attempts;
mod away;
mod beginning;
mod commands;
mod ending;
mod holding;
mod keeping;
mod sending;
mod sweeping;
mod tally;

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::model::event::{Early, Fact, Journal};
use crate::model::name::{EngineName, Name};
use crate::plan::admission::Scope;
use crate::plan::{Engines, Plan};
use crate::run::attempt::{Begin, Progress, Stop};
use crate::run::clock::{Clock, Stillness};
use crate::run::dispatcher::away::Away;
use crate::run::dispatcher::keeping::Keeping;
use crate::run::dispatcher::sending::Sending;
use crate::run::dispatcher::tally::{Median, Tally};
use crate::run::executor::Executor;
use crate::run::load::{FRESH, Gate};
use crate::run::message::{Message, Notice, Request};
use crate::run::permits::Permits;
use crate::run::schedule::Schedule;

pub(crate) use beginning::{Again, Beginning};

/// Most messages that are taken before their events are kept: what follows from the first must not wait long.
const TOGETHER: usize = 64;

/// One run in progress.
pub(crate) struct Dispatcher {
    schedule: Schedule,
    executor: Arc<Executor>,
    scope: Scope,
    stops: HashMap<usize, watch::Sender<Option<Stop>>>,
    /// How far the starts are.
    progress: HashMap<usize, Arc<Progress>>,
    attempts: JoinSet<()>,
    /// Waits between attempts; they end with the run.
    delays: JoinSet<()>,
    /// Looks at who uses the GPUs, and when the next one is due.
    looks: JoinSet<()>,
    gpu_look: Instant,
    /// Whether it was told that they cannot be seen.
    gpus_unseen: bool,
    away: Away,
    gate: Gate,
    messages: (mpsc::UnboundedSender<Message>, mpsc::UnboundedReceiver<Message>),
    requests: mpsc::UnboundedReceiver<Request>,
    notices: mpsc::UnboundedSender<Notice>,
    clock: Clock,
    /// What it showed at the beginning of this life of the run.
    lived: Duration,
    /// Whether it is not the run's first life.
    is_again: bool,
    tally: Tally,
    median: Median,
    /// The median as the attempts see it.
    median_now: watch::Sender<Option<Duration>>,
    early: Option<Early>,
    cancels: usize,
    /// Whether it was told that nothing is left to do, and how often so far.
    drained: bool,
    drains: u64,
    abandoned: bool,
    keeping: Keeping,
    sending: Sending,
    /// What the names of images stand for.
    images: HashMap<(EngineName, String), String>,
    /// Ended attempts that are to be removed once the store can be written.
    unswept: HashSet<(Name, u32)>,
}

impl Dispatcher {
    pub(crate) fn new(
        plan: &Plan,
        engines: Engines,
        executor: Executor,
        journal: Box<dyn Journal>,
        (requests, notices): (mpsc::UnboundedReceiver<Request>, mpsc::UnboundedSender<Notice>),
        beginning: &Beginning,
    ) -> Self {
        let scope = Scope { options: plan.experiment.options.clone(), engines };
        let permits = Permits::new(&scope.engines, &scope.options);
        let (schedule, lived) = match beginning {
            Beginning::Again(again) => (Schedule::restored(plan, permits, &again.past), again.past.lived()),
            Beginning::Anew { reused } => (Schedule::reusing(plan, permits, reused), Duration::ZERO),
        };
        let gate = Gate::new(&scope.options.budget, executor.machine);
        Self {
            schedule,
            executor: Arc::new(executor),
            scope,
            stops: HashMap::new(),
            progress: HashMap::new(),
            attempts: JoinSet::new(),
            delays: JoinSet::new(),
            looks: JoinSet::new(),
            gpu_look: Instant::now(),
            gpus_unseen: false,
            away: Away::new(),
            gate,
            // Unbounded: attempts must never wait for the dispatcher, and each trial sends a handful of messages.
            messages: mpsc::unbounded_channel(),
            requests,
            notices,
            clock: Clock::showing(lived),
            lived,
            is_again: matches!(beginning, Beginning::Again(_)),
            tally: Tally::default(),
            median: Median::default(),
            median_now: watch::Sender::new(None),
            early: None,
            cancels: 0,
            drained: false,
            drains: 0,
            abandoned: false,
            keeping: Keeping::new(journal),
            sending: Sending::default(),
            images: HashMap::new(),
            unswept: HashSet::new(),
        }
    }

    /// What tells that the run stands still.
    pub(crate) fn stillness(&self) -> Stillness {
        self.clock.stillness()
    }

    /// Runs the plan to its end; the last notice is `Fact::RunEnded`.
    pub(crate) async fn run(mut self, plan: Plan, beginning: Beginning) {
        self.begin(plan, beginning);
        let mut together = 0;
        loop {
            self.settle();
            while self.may_start()
                && let Some(place) = self.schedule.next_launch()
            {
                self.launch(place, Begin::Launch);
            }
            if self.schedule.has_effects() {
                continue;
            }
            // What else has come already is kept with it: a transaction costs more than the events in it.
            if together < TOGETHER
                && let Ok(message) = self.messages.1.try_recv()
            {
                together += 1;
                self.take_message(message);
                continue;
            }
            together = 0;
            self.carry_out();
            if self.schedule.is_done() && self.sending.is_idle() {
                if self.abandoned {
                    break;
                }
                if !self.drained {
                    self.drained = true;
                    self.drains += 1;
                    self.tell(Notice::Drained(self.drains));
                }
            }
            tokio::select! {
                Some(message) = self.messages.1.recv() => self.take_message(message),
                Some(request) = self.requests.recv() => match request {
                    Request::Close { time } if self.drained && time == self.drains => break,
                    // Something came in between.
                    Request::Close { .. } => {}
                    Request::Do { command, answer } => self.take_command(command, answer),
                    // Whoever asked may be gone by now.
                    Request::Why { trial, answer } => drop(answer.send(self.why(&trial))),
                },
                () = self.notices.closed(), if !self.abandoned => self.abandon(),
                () = until_instant(self.keeping.again()) => {}
                () = sleep(FRESH), if self.gate.held().is_some() && self.schedule.has_ready() => {}
                () = sleep_until(self.gpu_look), if self.schedule.waits_for_strangers().is_some() => self.look_at_gpus(),
                () = until(&self.clock, self.scope.options.time_budget.map(|budget| budget.saturating_add(self.lived))), if self.early.is_none() && !self.schedule.is_done() => {
                    self.time_is_up();
                }
            }
            // Only to free what ended attempts held; how they ended came as a message.
            while self.attempts.try_join_next().is_some() {}
            while self.delays.try_join_next().is_some() {}
            while self.looks.try_join_next().is_some() {}
        }
        self.finish().await;
    }

    async fn finish(mut self) {
        self.tidy_up().await;
        let elapsed = self.clock.elapsed();
        self.emit(Fact::RunEnded { early: self.early.clone(), elapsed });
        self.keep_at_once();
    }

    fn tell(&mut self, notice: Notice) {
        if self.notices.send(notice).is_err() {
            self.abandon();
        }
    }
}

/// Sleeps until that time on the run's clock; for ever, if there is none.
async fn until(clock: &Clock, time: Option<Duration>) {
    match time {
        Some(time) => clock.sleep_until(time).await,
        None => pending().await,
    }
}

async fn until_instant(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// A time as people are told of it: `1.5s`.
fn in_seconds(span: Duration) -> String {
    format!("{}s", (span.as_secs_f64() * 1000.0).round() / 1000.0)
}
