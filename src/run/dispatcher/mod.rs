//! The dispatcher: one actor per run. Facts come in from attempts, commands from above; launches, stops and events go out.
//!
//! What may start and what a fact means is decided in `schedule`. The root (`impl Dispatcher`: here, in `beginning` and in
//! `commands`) asks the parts and passes on what they say; a part knows no other part.

mod admission;
mod attempts;
mod beginning;
mod cleanup;
mod commands;
mod counts;
mod end;
mod journal;
pub(crate) mod life;
mod outage;
mod outbox;
mod pruning;

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use crate::engine::{Found, Standing};
use crate::model::event::{Cause, Early, Fact, Journal};
use crate::model::name::{EngineName, Name};
use crate::model::options::When;
use crate::model::pruning::Pruning;
use crate::model::trial::{Condition, Healthcheck, Timeout};
use crate::plan::admission::{Scope, nearest_name};
use crate::plan::{Engines, Plan};
use crate::run::attempt::{Begin, Stop};
use crate::run::clock::{Clock, Stillness};
use crate::run::context::RunContext;
use crate::run::dispatcher::admission::Admission;
use crate::run::dispatcher::attempts::{Attempts, NewAttempt};
use crate::run::dispatcher::cleanup::{Cleanup, selector};
use crate::run::dispatcher::counts::EndCounts;
use crate::run::dispatcher::end::RunEnd;
use crate::run::dispatcher::journal::{Order, RunLog};
use crate::run::dispatcher::life::Beginning;
use crate::run::dispatcher::outage::Outage;
use crate::run::dispatcher::outbox::Outbox;
use crate::run::load::{FRESH, Gate};
use crate::run::message::{End, Message, Notice, Request, Stage};
use crate::run::permits::Permits;
use crate::run::purpose::Purpose;
use crate::run::schedule::{Effect, Repetition, Schedule};

/// Most messages that are taken before their events are kept: what follows from the first must not wait long.
const TOGETHER: usize = 64;

/// How long the end of a run waits for a store that cannot be written.
const LAST_PATIENCE: Duration = Duration::from_secs(30);

/// One run in progress.
pub(crate) struct Dispatcher {
    schedule: Schedule,
    context: Arc<RunContext>,
    log: RunLog,
    attempts: Attempts,
    admission: Admission,
    outage: Outage,
    outbox: Outbox,
    counts: EndCounts,
    cleanup: Cleanup,
    end: RunEnd,
    /// What ends trials early that are not worth going on with.
    pruning: Pruning,
    purpose: Purpose,
}

/// What comes to a dispatcher.
pub(crate) struct Inbox {
    messages: mpsc::UnboundedReceiver<Message>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// What tells that nobody follows the run any more.
    follower: mpsc::UnboundedSender<Notice>,
    /// What tells that other runs have given room back, where there may be some.
    room: Option<Arc<Notify>>,
}

impl Dispatcher {
    pub(crate) fn new(
        plan: &Plan,
        engines: Engines,
        mut context: RunContext,
        journal: Box<dyn Journal>,
        (requests, follower): (mpsc::UnboundedReceiver<Request>, mpsc::UnboundedSender<Notice>),
        beginning: &Beginning,
    ) -> (Self, Inbox) {
        let scope = Scope { options: plan.experiment.options.clone(), engines };
        let permits = Permits::new(&scope.engines, &scope.options, context.room.as_ref());
        let (gate, room) = (Gate::new(&scope.options.budget, context.machine), permits.wake());
        let (time_budget, delay) = (scope.options.time_budget, scope.options.delay.unwrap_or_default());
        let has_containers = scope.engines.values().any(|engine| engine.containers);
        let (schedule, lived, pruning) = match beginning {
            Beginning::Again(again) => {
                // What is ended for good does not wait again before that.
                let reopens = again.purpose != Purpose::End;
                let schedule = Schedule::restored(plan, permits, scope, &again.past, reopens);
                (schedule, again.past.lived(), again.past.pruning.clone())
            }
            Beginning::Anew { reused } => {
                let pruning = Pruning::new(&scope.options);
                (Schedule::reusing(plan, permits, scope, reused), Duration::ZERO, pruning)
            }
        };
        context.clock = context.clock.having_lived(lived);
        let context = Arc::new(context);
        // Unbounded: attempts must never wait for the dispatcher, and each trial sends a handful of messages.
        let (sender, messages) = mpsc::unbounded_channel();
        let inbox = Inbox { messages, requests, follower: follower.clone(), room };
        let dispatcher = Self {
            schedule,
            log: RunLog::new(context.run.clone(), context.clock.clone(), journal, follower, has_containers),
            attempts: Attempts::new(context.clone(), sender),
            admission: Admission::new(gate, delay),
            outage: Outage::default(),
            outbox: Outbox::default(),
            counts: EndCounts::default(),
            cleanup: Cleanup::new(matches!(beginning, Beginning::Again(_))),
            pruning,
            end: RunEnd::new(time_budget.map(|budget| budget.saturating_add(lived))),
            purpose: beginning.purpose(),
            context,
        };
        (dispatcher, inbox)
    }

    /// What tells that the run stands still.
    pub(crate) fn stillness(&self) -> Stillness {
        self.context.clock.stillness()
    }

    /// Runs the plan to its end; the last notice is `Fact::RunEnded`.
    pub(crate) async fn run(mut self, plan: Plan, beginning: Beginning, mut inbox: Inbox) {
        self.begin(plan, beginning);
        let (mut together, mut may_come_more) = (0, false);
        loop {
            self.settle();
            self.start_what_fits();
            if self.schedule.has_effects() {
                continue;
            }
            // What else has come already is kept with it: a transaction costs more than the events in it.
            if together < TOGETHER
                && let Ok(message) = inbox.messages.try_recv()
            {
                together += 1;
                self.take_message(message);
                continue;
            }
            // Attempts that are at work in this moment may have something to say, too.
            if std::mem::take(&mut may_come_more) && self.attempts.are_many() {
                yield_now().await;
                continue;
            }
            together = 0;
            self.carry_out();
            // Nothing comes any more, and no hook asks for more.
            if !self.purpose.starts() && self.attempts.are_none() {
                break;
            }
            if self.drain() {
                break;
            }
            // In this order where things come together: people wait for an answer, and what nobody waits for comes last. A
            // simulation is the same twice because of it.
            tokio::select! {
                biased;
                Some(request) = inbox.requests.recv() => if self.take_request(request) { break },
                () = inbox.follower.closed(), if !self.end.is_abandoned() => self.abandon(),
                () = until(&self.context.clock, self.end.deadline()), if self.may_still_halt() => self.time_is_up(),
                Some(message) = inbox.messages.recv() => {
                    self.take_message(message);
                    may_come_more = true;
                }
                () = woken(inbox.room.as_deref()), if self.schedule.has_ready() => {}
                () = until_instant(self.wakes_at()) => {}
                () = sleep(FRESH), if self.admission.held().is_some() && self.schedule.has_ready() => {}
                () = sleep_until(self.admission.next_look()), if self.schedule.waits_for_strangers().is_some() => {
                    self.look_at_gpus();
                }
            }
            self.attempts.reap();
        }
        self.finish(inbox).await;
    }

    /// Says that nothing is left to do, if so; true when nobody wants to hear it.
    fn drain(&mut self) -> bool {
        let is_done = self.schedule.is_done();
        if (!is_done && self.schedule.at_rest().is_empty()) || !self.outbox.is_idle() {
            return false;
        }
        if let Some(time) = self.end.drain().filter(|_| !self.end.is_abandoned()) {
            self.log.notify(Notice::Drained(time));
        }
        is_done && self.end.is_abandoned()
    }

    /// Answers a request; true when it ends the run.
    fn take_request(&mut self, request: Request) -> bool {
        match request {
            // Unless something came in between.
            Request::Close { time } if !self.end.may_close(time) => {}
            Request::Close { .. } if self.schedule.is_done() => return true,
            Request::Close { .. } => self.prune_paused(),
            Request::Do { command, answer } => self.take_command(command, answer),
            // Whoever asked may be gone by now.
            Request::Why { trial, answer } => drop(answer.send(self.why(&trial))),
        }
        false
    }

    /// The time at which something is to be done though nothing came: events are kept, or the delay between starts is over.
    fn wakes_at(&self) -> Option<Instant> {
        let next_start = self.admission.next_start().filter(|_| self.schedule.has_ready());
        self.log.retry_at().into_iter().chain(next_start).min()
    }

    /// Waits for the last words of the attempts, removes what is left of them, and says that the run has ended.
    async fn finish(mut self, mut inbox: Inbox) {
        loop {
            tokio::select! {
                biased;
                Some(message) = inbox.messages.recv() => {
                    self.take_message(message);
                    self.carry_out();
                }
                is_left = self.attempts.join_next() => if !is_left { break },
            }
        }
        self.log.keep_at_once();
        self.wait_for_the_store().await;
        self.fetch(&mut inbox).await;
        let engines: BTreeSet<EngineName> =
            (0..self.schedule.len()).map(|place| self.schedule.entry(place).trial.engine).collect();
        let swept = self.cleanup.sweep(&self.context, &engines, self.log.unkept()).await;
        self.emit_all(swept);
        let all_fine =
            self.end.early().is_none() && (0..self.schedule.len()).all(|place| self.schedule.ended_fine(place));
        if all_fine && self.context.cleans() && self.purpose.starts() {
            let cleaned = self.cleanup.clean(&self.context, &engines).await;
            self.emit_all(cleaned);
        }
        let unsent = self.outbox.unsent();
        self.emit_all(unsent);
        self.log.look_again();
        let unkept = self.log.unkept();
        if unkept > 0 {
            self.log.warn(format!("the store could not be written: it lacks {unkept} events of this run"));
        }
        if !self.purpose.ends_the_run() && !self.schedule.is_done() {
            return self.log.keep_at_once();
        }
        let elapsed = self.context.clock.elapsed();
        self.log.emit(Fact::RunEnded { early: self.end.early().cloned(), elapsed, unkept });
        self.log.keep_at_once();
    }

    /// Fetches the logs and outputs that could not be written when their attempts ended.
    async fn fetch(&mut self, inbox: &mut Inbox) {
        if self.end.is_urgent() {
            return;
        }
        for ((place, number), removes) in self.cleanup.take_unfetched() {
            let trial = self.name(place);
            match self.fetch_one(place, number, removes).await {
                Ok(Some(fact)) => self.log.emit(fact),
                // Local trials leave nothing.
                Ok(None) => {}
                Err(because) => self.log.warn(format!(
                    "logs or outputs of `{trial}` could not be fetched from its container, which stays: {because}; \
                     `combu resume` tries again"
                )),
            }
            while let Ok(message) = inbox.messages.try_recv() {
                self.take_message(message);
            }
            self.log.keep_at_once();
        }
    }

    /// Fetches those of one attempt, if anything is left of it.
    async fn fetch_one(&mut self, place: usize, number: u32, removes: bool) -> Result<Option<Fact>, String> {
        let entry = self.schedule.entry(place);
        let launch = self.context.launch(&entry.trial, number, Vec::new(), Vec::new());
        let trial = launch.trial.name.clone();
        let engine = self.context.engine(launch.trial.engine).await.map_err(|error| error.chain())?;
        let found = engine.find(&selector(&self.context)).await.map_err(|error| error.chain())?;
        let is_it =
            |one: &Found| one.trial == trial && one.attempt() == Some(number) && one.standing == Standing::Ended;
        let Some(found) = found.into_iter().find(is_it) else { return Ok(None) };
        let median = self.counts.median();
        let (begin, health) = (Begin::Launch, None);
        let new = NewAttempt { place, launch, begin, health, awaited: false, slow: None, median, paused: false };
        let attempt = self.attempts.make(new);
        let fetched = attempt.fetch(&self.context, engine.as_ref(), &found.handle).await;
        self.attempts.ended(place);
        let logs = fetched?;
        // Until this is kept, the container is all that has them.
        self.log.keep_at_once();
        let kept = !removes || self.log.unkept() > 0 || engine.remove(&found.handle).await.is_err();
        Ok(Some(Fact::AttemptFetched { trial, attempt: number, logs, kept }))
    }

    /// Waits for a store that cannot be written at the end: what it lacks then, it lacks for good.
    async fn wait_for_the_store(&mut self) {
        if self.log.unkept() > 0 && self.purpose.starts() {
            let limit = LAST_PATIENCE.as_secs();
            self.log.warn(format!(
                "the run is over, and its store cannot be written: combu waits for it, at most {limit} s"
            ));
        }
        // Who only saves or kills can do so again.
        let limit = Instant::now() + if self.purpose.starts() { LAST_PATIENCE } else { Duration::ZERO };
        while self.log.unkept() > 0 && Instant::now() < limit {
            sleep(journal::RETRY).await;
            self.log.keep_at_once();
        }
    }

    fn emit_all(&mut self, facts: impl IntoIterator<Item = Fact>) {
        facts.into_iter().for_each(|fact| self.log.emit(fact));
    }

    /// Keeps what happened, passes it on, and does what follows from it.
    fn carry_out(&mut self) {
        let mut orders = self.log.carry_out();
        if !self.log.has_follower() && !self.end.is_abandoned() {
            self.abandon();
            orders.extend(self.log.carry_out());
        }
        for order in orders {
            match order {
                Order::Launch(attempt) => self.attempts.spawn(*attempt),
                Order::Stop(place, stop) => self.attempts.stop(place, stop),
                Order::Pause(place, paused) => self.attempts.pause(place, paused),
            }
        }
    }

    fn start_what_fits(&mut self) {
        loop {
            if !self.may_start() {
                return self.schedule.stand_aside();
            }
            let Some(place) = self.schedule.next_launch() else { return };
            self.launch(place, Begin::Launch);
        }
    }

    /// Whether a trial may be started now, if one has room; says when that changes because of the load.
    fn may_start(&mut self) -> bool {
        if self.context.clock.stands() || !self.purpose.starts() {
            return false;
        }
        if !self.schedule.has_ready() {
            return true;
        }
        let (may_start, fact) = self.admission.check(Instant::now());
        self.emit_all(fact);
        may_start
    }

    fn launch(&mut self, place: usize, begin: Begin) {
        let entry = self.schedule.entry(place);
        let launch = {
            let (cores, gpus) = entry.given();
            self.context.launch(&entry.trial, entry.attempts, cores, gpus)
        };
        let awaited = self.schedule.is_awaited(place, Condition::Healthy);
        let image_check =
            Healthcheck { test: Vec::new(), interval: None, timeout: None, retries: None, start_period: None };
        let health = entry.trial.healthcheck.as_deref().cloned().or(awaited.then_some(image_check));
        let own = entry.trial.timeout.map(Timeout::slow);
        // A service runs as long as it is needed: only its own timeout says what is long.
        let slow = if entry.trial.service { own } else { self.schedule.options().slow.or(own) };
        if matches!(begin, Begin::Launch) {
            self.admission.passed(&launch.trial);
            self.outbox.forget(place);
            let starting = Fact::AttemptStarting {
                trial: launch.trial.name.clone(),
                attempt: launch.attempt,
                cores: launch.cores.clone(),
                gpus: launch.gpus.clone(),
            };
            self.tell(starting);
        }
        let median = self.counts.median();
        let paused = self.schedule.entry(place).is_paused();
        let attempt = self.attempts.make(NewAttempt { place, launch, begin, health, awaited, slow, median, paused });
        self.log.order(Order::Launch(Box::new(attempt)));
    }

    fn take_message(&mut self, message: Message) {
        match message {
            Message::Attempt(place, Stage::Ended(end)) => self.attempt_ended(place, end),
            Message::Attempt(place, stage) => self.attempt_went_on(place, stage),
            Message::DelayOver(place, attempt) => self.schedule.delayed_is_due(place, attempt),
            Message::Unremoved(place, attempt) => {
                let engine = self.schedule.entry(place).trial.engine;
                // Of others, nothing is left.
                if self.schedule.engines().get(&engine).is_some_and(|engine| engine.containers) {
                    self.cleanup.leave(self.name(place), attempt);
                }
            }
            Message::Image { engine, image, digest } => self.log.resolve_image(engine, image, digest),
            Message::Preparing { engine, object, state } => self.log.emit(Fact::Preparing { engine, object, state }),
            Message::OutOfSight { engine, because, warning } => {
                if self.outage.out_of_sight(engine, warning) {
                    self.outage.ask(engine, because, self.context.clone(), self.attempts.messages());
                }
            }
            Message::Sighted(engine, answer) => {
                let facts = self.outage.sighted(engine, answer);
                self.emit_all(facts);
            }
            Message::Sent(place, sent) => {
                let fact = self.outbox.sent(place, self.name(place), sent);
                self.emit_all(fact);
            }
            Message::Warning(message) => self.log.warn(message),
            Message::Gpus(engine, Ok(gpus)) => self.schedule.permits_mut().see_gpus(engine, &gpus),
            Message::Gpus(engine, Err(problem)) => {
                let fact = self.admission.unseen(engine, &problem);
                self.emit_all(fact);
            }
        }
    }

    fn attempt_went_on(&mut self, place: usize, stage: Stage) {
        let entry = self.schedule.entry(place);
        let (trial, attempt) = (entry.trial.name.clone(), entry.attempts);
        match stage {
            Stage::Started(handle) => {
                self.attempts.started(place);
                self.log.emit(Fact::AttemptStarted { trial, attempt, handle });
                self.schedule.started(place);
            }
            Stage::Adopted(handle) => {
                self.attempts.started(place);
                self.tell(Fact::AttemptAdopted { trial, attempt, handle });
                self.schedule.started(place);
            }
            Stage::Recorded(records) => {
                for record in records {
                    self.tell(Fact::Recorded { trial: trial.clone(), attempt, record });
                }
            }
            Stage::Healthy => {
                self.log.emit(Fact::Healthy { trial });
                self.schedule.probed(place, true);
            }
            Stage::Unhealthy { stops } => {
                self.log.emit(Fact::Unhealthy { trial });
                // One that is stopped may be retried: its end decides.
                if !stops {
                    self.schedule.probed(place, false);
                }
            }
            Stage::Slow(elapsed) => self.log.emit(Fact::Slow { trial, elapsed }),
            Stage::TimedOut(limit) => {
                let share = match entry.trial.timeout {
                    Some(share @ Timeout::OfMedian(_)) => format!(", {share}"),
                    _ => String::new(),
                };
                let because = format!("it ran longer than its timeout ({}{share})", in_seconds(limit));
                self.log.emit(Fact::Stopping { trial, because, cause: Cause::TimedOut });
            }
            Stage::Collected { folder, files } => {
                self.outbox.keep(place, files.clone());
                self.log.emit(Fact::OutputsCollected { trial, attempt, folder, files });
            }
            Stage::Ended(_) => {}
        }
    }

    fn attempt_ended(&mut self, place: usize, end: End) {
        if !self.attempts.ended(place) {
            return;
        }
        let judged = self.schedule.judged(place, end.outcome);
        let entry = self.schedule.entry_mut(place);
        entry.elapsed = end.elapsed;
        let (trial, attempt) = (entry.trial.name.clone(), entry.attempts);
        let (outcome, elapsed, logs, usage) = (judged.clone(), end.elapsed, end.logs, end.usage.map(Box::new));
        let (incomplete, ended) = (end.incomplete, trial.clone());
        let removes = self.context.removes(&outcome);
        let kept = end.kept && (incomplete || !removes);
        if kept && incomplete {
            self.cleanup.fetch_later(place, attempt, removes);
        } else if end.kept && !kept {
            // As it ended it would have been kept, and not as that counts.
            self.cleanup.leave(trial.clone(), attempt);
        }
        self.tell(Fact::AttemptEnded { trial: ended, attempt, outcome, elapsed, logs, usage, kept, incomplete });
        if let Some(ack) = end.ack {
            self.log.acknowledge(ack);
        }
        if let Some(message) = end.unreachable {
            self.end.end_early(Early::Unreachable(message));
            self.stop_everything("the engine is out of reach", false);
        }
        if let Some(Repetition { repeat, memory }) = self.schedule.attempt_ended(place, judged, end.may_retry) {
            let delay = self.schedule.entry(place).trial.retries.delay(repeat, self.context.chance(&trial, attempt));
            self.log.emit(Fact::RetryScheduled { trial, attempt: attempt + 1, delay, memory });
            self.delay(place, attempt, delay);
        }
    }

    fn delay(&mut self, place: usize, attempt: u32, delay: Duration) {
        if delay.is_zero() {
            self.schedule.delayed_is_due(place, attempt);
        } else {
            self.attempts.delay(place, attempt, delay);
        }
    }

    /// Carries out what follows from what happened.
    fn settle(&mut self) {
        while let Some(effect) = self.schedule.next_effect() {
            match effect {
                Effect::StopService(place) => {
                    let (trial, because) = (self.name(place), "nothing needs it any more".to_owned());
                    self.log.emit(Fact::Stopping { trial, because, cause: Cause::Unneeded });
                    self.stop(place, Stop::Unneeded);
                }
                Effect::Reopened(place) => {
                    self.counts.reopened(place);
                    self.log.emit(Fact::TrialReopened { trial: self.name(place) });
                }
                Effect::GoOn(place) => {
                    self.tell(Fact::TrialUnpaused { trial: self.name(place) });
                    self.log.order(Order::Pause(place, false));
                }
                Effect::InTheWay(place, because) => self.prune(place, because),
                Effect::Ended(place, outcome) => {
                    let entry = self.schedule.entry(place);
                    let (attempts, elapsed) = (entry.attempts, entry.elapsed);
                    if !entry.trial.service {
                        self.counts.ended(place, &outcome, elapsed);
                    }
                    self.log.emit(Fact::TrialEnded { trial: self.name(place), attempts, outcome, elapsed });
                    self.send_outputs(place);
                    self.check_halt();
                }
            }
        }
    }

    fn send_outputs(&mut self, place: usize) {
        let trial = &self.schedule.entry(place).trial.name;
        self.outbox.send(place, trial, &self.context, self.attempts.messages());
    }

    fn check_halt(&mut self) {
        let Some(halt) = self.schedule.options().halt else { return };
        if self.end.early().is_none()
            && self.purpose.starts()
            && let Some(because) = self.counts.halts(&halt, self.schedule.work())
        {
            self.halt(because, halt.when);
        }
    }

    /// Whether the budget of time still matters.
    fn may_still_halt(&self) -> bool {
        self.end.early().is_none() && !self.schedule.is_done() && self.purpose.starts()
    }

    /// The run has taken all the time it may.
    fn time_is_up(&mut self) {
        let budget = in_seconds(self.schedule.options().time_budget.unwrap_or_default());
        self.halt(format!("the time budget of {budget} is used up"), When::Now);
    }

    fn halt(&mut self, because: String, when: When) {
        self.end.end_early(Early::Halted(because.clone()));
        self.log.emit(Fact::Halted { because: because.clone() });
        match when {
            When::Now => self.stop_everything(&because, false),
            When::Soon => self.schedule.close(&because),
        }
    }

    /// Stops every trial. A run that is paused goes on for it: nothing would be left that stands still.
    fn stop_everything(&mut self, because: &str, at_once: bool) {
        self.context.clock.set(false);
        self.schedule.close(because);
        for place in self.schedule.active() {
            self.stop(place, Stop::Killed { at_once });
        }
    }

    fn stop(&mut self, place: usize, stop: Stop) {
        if self.attempts.is_active(place) {
            self.schedule.stopping(place, stop != Stop::Unneeded);
            self.log.order(Order::Stop(place, stop));
        }
    }

    /// Nobody follows the run any more: it stops everything, and ends without asking.
    fn abandon(&mut self) {
        if self.end.abandon() {
            self.end.end_early(Early::Cancelled("combu".to_owned()));
            self.stop_everything("nobody follows the run any more", false);
            self.outbox.give_up();
        }
    }

    fn look_at_gpus(&mut self) {
        if let Some(engine) = self.schedule.waits_for_strangers() {
            self.admission.look_at_gpus(engine, self.context.clone(), self.attempts.messages());
        }
    }

    /// What a trial waits for, as sentences; when it is not in the run, the trial with the nearest name.
    fn why(&self, trial: &Name) -> Result<Vec<String>, Option<Name>> {
        let place = self.schedule.place(trial).ok_or_else(|| nearest_name(trial, self.schedule.names()))?;
        let mut lines = self.schedule.why(place);
        if self.schedule.is_ready(place) {
            if self.context.clock.stands() {
                lines.push("the run is paused".to_owned());
            }
            if self.admission.next_start().is_some() {
                lines.push("the run's `delay` since the last start is not over".to_owned());
            }
            lines.extend(self.admission.held().map(|because| format!("the machine has too much to do: {because}")));
        }
        lines.extend(self.attempts.start_of(place));
        Ok(lines)
    }

    fn name(&self, place: usize) -> Name {
        self.schedule.entry(place).trial.name.clone()
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

/// Waits until other runs have given room back since this was asked last; for ever, if there are none.
async fn woken(room: Option<&Notify>) {
    match room {
        Some(room) => room.notified().await,
        None => pending().await,
    }
}

/// A time as people are told of it: `1.5s`.
fn in_seconds(span: Duration) -> String {
    format!("{}s", (span.as_secs_f64() * 1000.0).round() / 1000.0)
}
