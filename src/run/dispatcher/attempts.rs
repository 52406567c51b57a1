//! What attempts are told and what they tell: launches, how far they are, their ends and what follows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use crate::model::event::{Cause, Early, Fact};
use crate::model::outcome::Outcome;
use crate::model::trial::{Condition, Healthcheck, Timeout};
use crate::run::attempt::{Attempt, Begin, Progress};
use crate::run::clock::Awake;
use crate::run::dispatcher::keeping::Order;
use crate::run::dispatcher::{Dispatcher, in_seconds};
use crate::run::message::{End, Message, Stage};
use crate::run::schedule::Again;

impl Dispatcher {
    pub(super) fn launch(&mut self, place: usize, begin: Begin) {
        let entry = self.schedule.entry(place);
        let launch = {
            let (cores, gpus) = entry.given();
            self.executor.launch(&entry.trial, entry.attempts, cores, gpus)
        };
        let awaited = self.schedule.is_awaited(place, Condition::Healthy);
        let image_check =
            Healthcheck { test: Vec::new(), interval: None, timeout: None, retries: None, start_period: None };
        let health = entry.trial.healthcheck.clone().or(awaited.then_some(image_check));
        let own = entry.trial.timeout.map(Timeout::slow);
        // A service runs as long as it is needed: only its own timeout says what is long.
        let slow = if entry.trial.service { own } else { self.scope.options.slow.or(own) };
        if matches!(begin, Begin::Launch) {
            self.gate.passed(&launch.trial);
            self.sending.forget(place);
            self.emit(Fact::AttemptStarting {
                trial: launch.trial.name.clone(),
                attempt: launch.attempt,
                cores: launch.cores.clone(),
                gpus: launch.gpus.clone(),
            });
        }
        let (sender, stop) = watch::channel(None);
        self.stops.insert(place, sender);
        let progress = Arc::new(Progress::default());
        self.progress.insert(place, progress.clone());
        let attempt = Attempt {
            place,
            launch,
            begin,
            health,
            awaited,
            slow,
            progress: progress.clone(),
            awake: Awake::not_yet(self.clock.clone()),
            clock: self.clock.clone(),
            median: self.median_now.subscribe(),
            stop,
            messages: self.messages.0.clone(),
        };
        self.order(Order::Launch(Box::new(attempt)));
    }

    pub(super) fn spawn(&mut self, attempt: Attempt) {
        let (place, messages, executor) = (attempt.place, self.messages.0.clone(), self.executor.clone());
        self.attempts.spawn(async move {
            if AssertUnwindSafe(attempt.run(executor)).catch_unwind().await.is_err() {
                let outcome = Outcome::Lost { message: "combu failed inside; please report it".to_owned() };
                let _gone = messages.send(Message::Attempt(place, Stage::Ended(End::bare(outcome))));
            }
        });
    }

    pub(super) fn take_message(&mut self, message: Message) {
        match message {
            Message::Attempt(place, Stage::Ended(end)) => self.attempt_ended(place, end),
            Message::Attempt(place, stage) => self.attempt_went_on(place, stage),
            Message::DelayOver(place, attempt) => self.schedule.delayed_is_due(place, attempt),
            Message::Unremoved(place, attempt) => {
                self.unswept.insert((self.schedule.entry(place).trial.name.clone(), attempt));
            }
            Message::Image { engine, image, digest } => {
                // Once for each: an image may be moved to another content while the run goes on.
                if self.images.insert((engine, image.clone()), digest.clone()).as_ref() != Some(&digest) {
                    self.emit(Fact::ImageResolved { engine, image, digest });
                }
            }
            Message::Preparing { engine, object, state } => self.emit(Fact::Preparing { engine, object, state }),
            Message::OutOfSight { engine, because, warning } => self.out_of_sight(engine, because, warning),
            Message::Sighted(engine, answer) => self.sighted(engine, answer),
            Message::Sent(place, sent) => self.sent(place, sent),
            Message::Warning(message) => self.emit(Fact::Warned { message }),
            Message::Gpus(engine, Ok(gpus)) => self.schedule.permits_mut().see_gpus(engine, &gpus),
            // They are looked at again; what was seen before counts until then.
            Message::Gpus(engine, Err(problem)) => {
                if !std::mem::replace(&mut self.gpus_unseen, true) {
                    let message = format!("who uses the GPUs of the engine {engine} is not known: {problem}");
                    self.emit(Fact::Warned { message });
                }
            }
        }
    }

    fn attempt_went_on(&mut self, place: usize, stage: Stage) {
        let entry = self.schedule.entry(place);
        let (trial, attempt) = (entry.trial.name.clone(), entry.attempts);
        match stage {
            Stage::Started(handle) => {
                self.progress.remove(&place);
                self.emit(Fact::AttemptStarted { trial, attempt, handle });
                self.schedule.started(place);
            }
            Stage::Adopted(handle) => {
                self.progress.remove(&place);
                self.emit(Fact::AttemptAdopted { trial, attempt, handle });
                self.schedule.started(place);
            }
            Stage::Recorded(records) => {
                for record in records {
                    self.emit(Fact::Recorded { trial: trial.clone(), attempt, record });
                }
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
            Stage::Slow(elapsed) => self.emit(Fact::Slow { trial, elapsed }),
            Stage::TimedOut(limit) => {
                let share = match entry.trial.timeout {
                    Some(share @ Timeout::OfMedian(_)) => format!(", {share}"),
                    _ => String::new(),
                };
                let because = format!("it ran longer than its timeout ({}{share})", in_seconds(limit));
                self.emit(Fact::Stopping { trial, because, cause: Cause::TimedOut });
            }
            Stage::Collected { folder, files } => {
                self.sending.keep(place, files.clone());
                self.emit(Fact::OutputsCollected { trial, attempt, folder, files });
            }
            Stage::Ended(_) => {}
        }
    }

    fn attempt_ended(&mut self, place: usize, end: End) {
        let Some(_stop) = self.stops.remove(&place) else { return };
        self.progress.remove(&place);
        let entry = self.schedule.entry_mut(place);
        entry.elapsed = end.elapsed;
        let (trial, attempt) = (entry.trial.name.clone(), entry.attempts);
        let (outcome, elapsed, logs, usage) = (end.outcome.clone(), end.elapsed, end.logs, end.usage.map(Box::new));
        self.emit(Fact::AttemptEnded { trial: trial.clone(), attempt, outcome, elapsed, logs, usage, kept: end.kept });
        if let Some(ack) = end.ack {
            self.answer(ack);
        }
        if let Some(message) = end.unreachable {
            self.early.get_or_insert(Early::Unreachable(message));
            self.stop_everything("the engine is out of reach", false);
        }
        if let Some(Again { repeat, memory }) = self.schedule.attempt_ended(place, end.outcome, end.may_retry) {
            let delay = self.schedule.entry(place).trial.retries.delay(repeat, rand::random());
            self.emit(Fact::RetryScheduled { trial, attempt: attempt + 1, delay, memory });
            self.delay(place, attempt, delay);
        }
    }

    pub(super) fn delay(&mut self, place: usize, attempt: u32, delay: Duration) {
        if delay.is_zero() {
            return self.schedule.delayed_is_due(place, attempt);
        }
        let (messages, clock) = (self.messages.0.clone(), self.clock.clone());
        let due = clock.elapsed().saturating_add(delay);
        self.delays.spawn(async move {
            clock.sleep_until(due).await;
            let _gone = messages.send(Message::DelayOver(place, attempt));
        });
    }
}
