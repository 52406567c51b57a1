//! The dispatcher: one actor per run. Facts come in from attempts, commands from above; launches, stops and events go out.
//!
//! What may start and what a fact means is decided in `schedule`; here it is only carried out and told.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::engine::Selector;
use crate::model::command::Command;
use crate::model::event::{Early, Event, Fact};
use crate::model::label;
use crate::model::name::Name;
use crate::model::options::{Halt, Options, When};
use crate::model::outcome::Outcome;
use crate::model::trial::{Condition, Healthcheck, Trial};
use crate::plan::{self, Plan};
use crate::run::attempt::{Attempt, Stop};
use crate::run::executor::Executor;
use crate::run::message::{End, Message, Request, Stage};
use crate::run::permits::Permits;
use crate::run::schedule::{Effect, Schedule};
use crate::run::session::Notice;
use crate::run::tally::{Clock, Tally};

/// One run in progress.
pub(crate) struct Dispatcher {
    schedule: Schedule,
    executor: Arc<Executor>,
    options: Options,
    stops: HashMap<usize, watch::Sender<Option<Stop>>>,
    attempts: JoinSet<()>,
    messages: (mpsc::UnboundedSender<Message>, mpsc::UnboundedReceiver<Message>),
    requests: mpsc::UnboundedReceiver<Request>,
    notices: mpsc::UnboundedSender<Notice>,
    clock: Clock,
    tally: Tally,
    early: Option<Early>,
    cancels: usize,
    /// Whether it was told that nothing is left to do, and how often so far.
    drained: bool,
    drains: u64,
    abandoned: bool,
}

impl Dispatcher {
    pub(crate) fn new(
        plan: &Plan,
        permits: Permits,
        executor: Executor,
        requests: mpsc::UnboundedReceiver<Request>,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Self {
        let schedule = Schedule::new(plan, permits);
        Self {
            schedule,
            executor: Arc::new(executor),
            options: plan.experiment.options.clone(),
            stops: HashMap::new(),
            attempts: JoinSet::new(),
            // Unbounded: attempts must never wait for the dispatcher, and each trial sends a handful of messages.
            messages: mpsc::unbounded_channel(),
            requests,
            notices,
            clock: Clock::starting_now(),
            tally: Tally::default(),
            early: None,
            cancels: 0,
            drained: false,
            drains: 0,
            abandoned: false,
        }
    }

    /// Runs the plan to its end; the last notice is `Fact::RunEnded`.
    pub(crate) async fn run(mut self, plan: Plan) {
        self.begin(plan);
        loop {
            self.settle();
            while let Some(place) = self.schedule.next_launch() {
                self.launch(place);
            }
            if self.schedule.has_effects() {
                continue;
            }
            if self.schedule.is_done() {
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
                    Request::Do(Command::Close { seen }) if self.drained && seen == self.drains => break,
                    Request::Do(command) => self.take_command(command),
                    // Whoever asked may be gone by now.
                    Request::Why { trial, answer } => drop(answer.send(self.schedule.why(&trial))),
                },
                () = self.notices.closed(), if !self.abandoned => self.abandon(),
            }
            // Only to free what ended attempts held; how they ended came as a message.
            while self.attempts.try_join_next().is_some() {}
        }
        self.finish().await;
    }

    fn begin(&mut self, plan: Plan) {
        let names = plan.trials.iter().zip(&plan.services).filter(|(_, service)| **service);
        let services = names.map(|(trial, _)| trial.name.clone()).collect();
        let started = Fact::RunStarted {
            experiment: plan.experiment.name,
            trials: plan.trials,
            services,
            parallel: self.schedule.permits_mut().most(),
            seed: self.executor.seed,
            folder: self.executor.folder.clone(),
        };
        self.emit(started);
        for message in plan.warnings {
            self.emit(Fact::Warned { message });
        }
    }

    async fn finish(mut self) {
        while self.attempts.join_next().await.is_some() {}
        while let Ok(message) = self.messages.1.try_recv() {
            self.take_message(message);
        }
        let all_succeeded =
            self.early.is_none() && (0..self.schedule.len()).all(|place| self.schedule.succeeded(place));
        if all_succeeded && self.executor.cleans() {
            self.clean().await;
        }
        let elapsed = self.clock.started.elapsed();
        self.emit(Fact::RunEnded { early: self.early.clone(), elapsed });
    }

    /// Removes the networks that this run made; after a failure they stay with the containers, for `kill`.
    async fn clean(&mut self) {
        let mut engines: Vec<_> =
            (0..self.schedule.len()).map(|place| self.schedule.entry(place).trial.engine.unwrap_or_default()).collect();
        engines.sort_unstable();
        engines.dedup();
        let labels = [(label::RUN.to_owned(), self.executor.run.to_string())].into();
        let selector = Selector { labels };
        for name in engines {
            let cleaned = match self.executor.engine(name).await {
                Ok(engine) => engine.clean(&selector).await,
                Err(error) => Err(error),
            };
            if let Err(error) = cleaned {
                self.emit(Fact::Warned { message: format!("networks were left behind: {}", error.chain()) });
            }
        }
    }

    fn launch(&mut self, place: usize) {
        let entry = self.schedule.entry(place);
        let launch = {
            let (cores, gpus) = entry.given();
            self.executor.launch(&entry.trial, entry.attempts, cores, gpus)
        };
        let awaited = self.schedule.is_awaited(place, Condition::Healthy);
        let image_check =
            Healthcheck { test: Vec::new(), interval: None, timeout: None, retries: None, start_period: None };
        let health = entry.trial.healthcheck.clone().or(awaited.then_some(image_check));
        self.emit(Fact::AttemptStarting {
            trial: launch.trial.name.clone(),
            attempt: launch.attempt,
            cores: launch.cores.clone(),
            gpus: launch.gpus.clone(),
        });
        let (sender, stop) = watch::channel(None);
        self.stops.insert(place, sender);
        let messages = self.messages.0.clone();
        let attempt = Attempt { place, launch, health, awaited, stop, messages: messages.clone() };
        let executor = self.executor.clone();
        self.attempts.spawn(async move {
            if AssertUnwindSafe(attempt.run(executor)).catch_unwind().await.is_err() {
                let outcome = Outcome::Lost { message: "combu failed inside; please report it".to_owned() };
                let _gone = messages.send(Message::Attempt(place, Stage::Ended(End::bare(outcome))));
            }
        });
    }

    fn take_message(&mut self, message: Message) {
        match message {
            Message::Attempt(place, Stage::Ended(end)) => self.attempt_ended(place, end),
            Message::Attempt(place, stage) => self.attempt_went_on(place, stage),
            Message::DelayOver(place, attempt) => self.schedule.delayed_is_due(place, attempt),
            Message::Preparing { engine, object, state } => self.emit(Fact::Preparing { engine, object, state }),
            Message::Warning(message) => self.emit(Fact::Warned { message }),
        }
    }

    fn attempt_went_on(&mut self, place: usize, stage: Stage) {
        let entry = self.schedule.entry(place);
        let (trial, attempt) = (entry.trial.name.clone(), entry.attempts);
        match stage {
            Stage::Started(handle) => {
                self.emit(Fact::AttemptStarted { trial, attempt, handle });
                self.schedule.started(place);
            }
            Stage::Healthy => {
                self.emit(Fact::Healthy { trial });
                self.schedule.probed(place, true);
            }
            Stage::Unhealthy { stops } => {
                self.emit(Fact::Unhealthy { trial });
                // One that is stopped may be retried: its end decides.
                if !stops {
                    self.schedule.probed(place, false);
                }
            }
            Stage::TimedOut => {
                let timeout = entry.trial.timeout.map(|timeout| timeout.to_string()).unwrap_or_default();
                let because = format!("it ran longer than its timeout ({timeout})");
                self.emit(Fact::Stopping { trial, because });
            }
            Stage::Ended(_) => {}
        }
    }

    fn attempt_ended(&mut self, place: usize, end: End) {
        let Some(_stop) = self.stops.remove(&place) else { return };
        let entry = self.schedule.entry_mut(place);
        entry.elapsed = end.elapsed;
        let (trial, attempt, retries) = (entry.trial.name.clone(), entry.attempts, entry.trial.retries.clone());
        let (outcome, elapsed, logs) = (end.outcome.clone(), end.elapsed, end.logs);
        self.emit(Fact::AttemptEnded { trial: trial.clone(), attempt, outcome, elapsed, logs });
        if let Some(message) = end.unreachable {
            self.early.get_or_insert(Early::Unreachable(message));
            self.stop_everything("the engine is out of reach", false);
        }
        if let Some(failures) = self.schedule.attempt_ended(place, end.outcome, end.may_retry) {
            let delay = retries.and_then(|retries| retries.delay_after(failures, rand::random())).unwrap_or_default();
            self.emit(Fact::RetryScheduled { trial, attempt: attempt + 1, delay, memory: None });
            if delay.is_zero() {
                self.schedule.delayed_is_due(place, attempt);
            } else {
                let messages = self.messages.0.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _gone = messages.send(Message::DelayOver(place, attempt));
                });
            }
        }
    }

    fn take_command(&mut self, command: Command) {
        let taken = match &command {
            Command::Close { .. } => return,
            Command::Kill { trial } => self.place(trial, "killed").map(drop),
            Command::Retry { trial } => self.retry(trial),
            Command::Submit { trial } => self.submit(trial),
            Command::Set { change } => self.schedule.permits_mut().set(change),
            Command::Cancel { .. } | Command::Drain { .. } | Command::Suspend { .. } | Command::Resume { .. } => Ok(()),
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
            Command::Submit { trial } => {
                if let Some(place) = self.schedule.place(&trial.name) {
                    self.emit(Fact::TrialSubmitted { trial: self.schedule.entry(place).trial.clone() });
                }
            }
            Command::Set { .. }
            | Command::Retry { .. }
            | Command::Close { .. }
            | Command::Suspend { .. }
            | Command::Resume { .. } => {}
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

    /// Carries out what follows from what happened.
    fn settle(&mut self) {
        while let Some(effect) = self.schedule.next_effect() {
            match effect {
                Effect::StopService(place) => {
                    let trial = self.schedule.entry(place).trial.name.clone();
                    self.emit(Fact::Stopping { trial, because: "nothing needs it any more".to_owned() });
                    self.stop(place, Stop::Unneeded);
                }
                Effect::Reopened(place) => {
                    self.tally.take_back(place);
                    let trial = self.schedule.entry(place).trial.name.clone();
                    self.emit(Fact::TrialReopened { trial });
                }
                Effect::Ended(place, outcome) => {
                    let entry = self.schedule.entry(place);
                    let (trial, attempts, elapsed) = (entry.trial.name.clone(), entry.attempts, entry.elapsed);
                    if !entry.service && (outcome.is_success() || outcome.is_failure()) {
                        self.tally.add(place, outcome.is_success());
                    }
                    self.emit(Fact::TrialEnded { trial, attempts, outcome, elapsed });
                    self.check_halt();
                }
            }
        }
    }

    fn check_halt(&mut self) {
        let Some(halt) = self.options.halt else { return };
        if self.early.is_some() || !halt.reached(self.tally.succeeded, self.tally.failed, self.schedule.work()) {
            return;
        }
        let because = reached(&halt, &self.tally);
        self.early = Some(Early::Halted(because.clone()));
        self.emit(Fact::Halted { because: because.clone() });
        match halt.when {
            When::Now => self.stop_everything(&because, false),
            When::Soon => self.schedule.close(&because),
        }
    }

    fn stop_everything(&mut self, because: &str, at_once: bool) {
        self.schedule.close(because);
        for place in self.schedule.active() {
            self.stop(place, Stop::Killed { at_once });
        }
    }

    /// Stops an attempt. What was asked before is never weakened.
    fn stop(&mut self, place: usize, stop: Stop) {
        if let Some(sender) = self.stops.get(&place) {
            self.schedule.stopping(place, stop != Stop::Unneeded);
            sender.send_if_modified(|asked| {
                let stronger = asked.is_none_or(|asked| stop > asked);
                if stronger {
                    *asked = Some(stop);
                }
                stronger
            });
        }
    }

    /// Nobody listens any more: stops everything, and ends without asking.
    fn abandon(&mut self) {
        if !std::mem::replace(&mut self.abandoned, true) {
            self.early.get_or_insert(Early::Cancelled("combu".to_owned()));
            self.stop_everything("nobody follows the run any more", false);
        }
    }

    fn emit(&mut self, fact: Fact) {
        let event = Event { at: self.clock.now(), run: self.executor.run.clone(), fact };
        self.tell(Notice::Event(event));
    }

    fn tell(&mut self, notice: Notice) {
        if self.notices.send(notice).is_err() {
            self.abandon();
        }
    }
}

fn reached(halt: &Halt, tally: &Tally) -> String {
    let (succeeded, failed) = (tally.succeeded, tally.failed);
    format!("the halt policy `{halt}` was reached: {succeeded} succeeded, {failed} failed")
}
