//! Beginnings: of a run that is new, and of another life of one that an earlier process left.
//!
//! In another life, what was begun is looked for on the engines: attempts that run or have ended there are adopted, those
//! that were never started are launched under the same number, and those that are gone were lost.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::engine::{Found, Standing};
use crate::model::command::Command;
use crate::model::event::{Cause, Early, Fact};
use crate::model::history::{History, PastAttempt, TrialHistory};
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::State;
use crate::model::trial::Condition;
use crate::plan::Plan;
use crate::run::attempt::{Adopted, Begin, Ending, Stop};
use crate::run::dispatcher::Dispatcher;
use crate::run::dispatcher::life::{Beginning, Resumption};
use crate::run::load::knows_pressure;
use crate::run::purpose::Purpose;

impl Dispatcher {
    pub(super) fn begin(&mut self, plan: Plan, beginning: Beginning) {
        match beginning {
            Beginning::Anew { reused } => self.begin_anew(plan, reused),
            Beginning::Again(again) => self.begin_again(&plan, *again),
        }
        self.outage.watch(self.schedule.engines(), &self.context, &self.attempts.messages());
        if self.schedule.options().budget.pressure.is_some() && !knows_pressure() {
            self.log.warn("this kernel does not tell its pressure: `pressure` holds nothing back");
        }
    }

    fn begin_anew(&mut self, plan: Plan, reused: BTreeMap<Name, RunId>) {
        let services = plan.trials.iter().filter(|trial| trial.service).map(|trial| trial.name.clone()).collect();
        let parallel = self.schedule.permits_mut().most();
        self.log.emit(Fact::RunStarted {
            experiment: plan.experiment.name,
            trials: plan.trials,
            services,
            parallel,
            seed: self.context.seed,
            folder: self.context.folder.clone(),
            options: Box::new(self.schedule.options().clone()),
        });
        self.name_daemons(None);
        for message in plan.warnings {
            self.log.warn(message);
        }
        for (trial, from) in reused {
            let Some(place) = self.schedule.place(&trial) else { continue };
            self.log.emit(Fact::TrialReused { trial: trial.clone(), from });
            let (outcome, elapsed) = (Outcome::Succeeded, Duration::ZERO);
            self.counts.reused(place);
            self.log.emit(Fact::TrialEnded { trial, attempts: 0, outcome, elapsed });
        }
    }

    /// Notes on which daemons the trials run, where that is new.
    fn name_daemons(&mut self, past: Option<&History>) {
        let mut facts = Vec::new();
        for (&engine, capabilities) in self.schedule.engines() {
            let Some(daemon) = &capabilities.daemon else { continue };
            if past.and_then(|past| past.daemon(engine)) != Some(daemon) {
                facts.push(Fact::DaemonReached { engine, daemon: daemon.clone() });
            }
        }
        self.emit_all(facts);
    }

    fn begin_again(&mut self, plan: &Plan, again: Resumption) {
        let Resumption { past, found, purpose } = again;
        for change in &past.changes {
            // It was taken before; GPUs that are gone since are the plan's concern.
            let _refused = self.schedule.permits_mut().set(change);
            self.admission.set(change);
        }
        let parallel = self.schedule.permits_mut().most();
        let options = Some(Box::new(self.schedule.options().clone()));
        self.log.emit(Fact::RunResumed { parallel, open: past.open(), options });
        self.log.know_images(&self.context.contents);
        self.name_daemons(Some(&past));
        let mut standing: HashMap<_, _> =
            found.into_iter().filter_map(|found| Some(((found.trial.clone(), found.attempt()?), found))).collect();
        if purpose == Purpose::End {
            let by = Purpose::KILLER.to_owned();
            self.end.end_early(Early::Killed(by.clone()));
            self.log.emit(Fact::CommandTaken { command: Command::Cancel { by } });
        }
        for (place, trial) in plan.trials.iter().enumerate() {
            let Some((result, was)) = past.get(&trial.name) else { continue };
            for attempt in was.attempts.iter().filter(|attempt| attempt.is_unfetched() && purpose.is_about(&trial.name))
            {
                let removes = attempt.outcome.as_ref().is_some_and(|outcome| self.context.removes(outcome));
                self.cleanup.fetch_later(place, attempt.number, removes);
            }
            if !purpose.starts() {
                self.take_as_it_is(place, &past, &purpose, &mut standing);
                continue;
            }
            if let Some(files) = result.unsent() {
                self.outbox.keep(place, files.to_vec());
                if self.schedule.has_ended(place) {
                    self.send_outputs(place);
                }
            }
            match (&result.state, was.due, was.attempts.last()) {
                (State::Ended(outcome), ..) => self.count(place, outcome),
                (State::Waiting, Some(due), _) => {
                    let delay = Duration::from_millis(due.saturating_sub(self.context.clock.on_the_wall()));
                    self.delay(place, result.attempts, delay);
                }
                (State::Starting | State::Running(_), _, Some(active)) => {
                    let found = standing.remove(&(trial.name.clone(), active.number));
                    let begin = self.find_again(place, &past, was, active, found);
                    self.launch(place, begin);
                }
                _ => {}
            }
        }
        if purpose == Purpose::End {
            self.schedule.close(&format!("the run was killed by `{}`", Purpose::KILLER));
        }
        if !purpose.starts() {
            return;
        }
        // Ended attempts that were not removed any more.
        let left = standing.into_values().filter(|found| found.standing != Standing::Running);
        let left = left.filter_map(|found| Some((found.trial.clone(), found.attempt()?)));
        left.filter(|(trial, attempt)| !past.keeps(trial, *attempt))
            .for_each(|(trial, attempt)| self.cleanup.leave(trial, attempt));
    }

    /// Takes a trial of a run that does not go on: what has ended is taken as it ended, what is to be killed is, and
    /// nothing is started.
    fn take_as_it_is(
        &mut self,
        place: usize,
        past: &History,
        purpose: &Purpose,
        standing: &mut HashMap<(Name, u32), Found>,
    ) {
        let name = self.name(place);
        let Some((result, was)) = past.get(&name).filter(|_| purpose.is_about(&name)) else { return };
        let last = |(trial, attempt): &&(Name, u32)| *trial == name && *attempt > result.attempts;
        let (active, number) = match (&result.state, was.attempts.last()) {
            (State::Ended(outcome), _) => return self.count(place, outcome),
            (State::Starting | State::Running(_), Some(active)) => (active.clone(), active.number),
            // The store could not be written when it was launched.
            _ => match standing.keys().filter(last).map(|(_, attempt)| *attempt).max() {
                Some(number) => (PastAttempt { number, ..PastAttempt::default() }, number),
                None if matches!(purpose, Purpose::Kill(_)) => {
                    self.log.emit(Fact::CommandTaken { command: Command::Kill { trial: name, at_once: false } });
                    return self.schedule.kill_waiting(place);
                }
                None => return,
            },
        };
        let found = standing.remove(&(name.clone(), number)).filter(|found| found.standing != Standing::Created);
        let has_ended = found.as_ref().is_some_and(|found| found.standing == Standing::Ended);
        if !has_ended && !purpose.kills() {
            return;
        }
        if result.attempts < number {
            self.schedule.take_up(place, number);
            let (cores, gpus) = (Vec::new(), Vec::new());
            self.log.emit(Fact::AttemptStarting { trial: name.clone(), attempt: number, cores, gpus });
        }
        if matches!(purpose, Purpose::Kill(_)) && !has_ended {
            self.log.emit(Fact::CommandTaken { command: Command::Kill { trial: name, at_once: false } });
        }
        let mut begin = self.find_again(place, past, was, &active, found);
        if !has_ended {
            self.schedule.stopping(place, true);
            match &mut begin {
                Begin::Adopt(adopted) => {
                    adopted.cause.get_or_insert(Ending::Asked(Stop::Killed { at_once: false }));
                }
                begin => *begin = Begin::Gone(Outcome::Killed),
            }
        }
        self.launch(place, begin);
    }

    /// How an attempt that was active goes on.
    fn find_again(
        &self,
        place: usize,
        past: &History,
        was: &TrialHistory,
        active: &PastAttempt,
        found: Option<Found>,
    ) -> Begin {
        let awaited = self.schedule.is_awaited(place, Condition::Healthy);
        let killed = was.killed || past.stopped;
        let cause = match active.cause {
            Some(Cause::TimedOut) => Some(Ending::TimedOut),
            None if was.unhealthy && awaited => Some(Ending::Unhealthy),
            _ if killed => Some(Ending::Asked(Stop::Killed { at_once: false })),
            Some(Cause::Unneeded) => Some(Ending::Asked(Stop::Unneeded)),
            Some(Cause::Pruned) => Some(Ending::Asked(Stop::Pruned)),
            None => None,
        };
        match found {
            Some(found) if found.standing != Standing::Created => {
                let ran = active
                    .started
                    .map(|since| Duration::from_millis(self.context.clock.on_the_wall().saturating_sub(since)));
                Begin::Adopt(Adopted {
                    handle: found.handle,
                    ahead: ran.unwrap_or_default(),
                    cause,
                    paused: past.paused,
                    healthy: was.healthy,
                })
            }
            _ if cause == Some(Ending::Asked(Stop::Unneeded)) => Begin::Gone(Outcome::Stopped),
            _ if cause == Some(Ending::Asked(Stop::Pruned)) => {
                Begin::Gone(Outcome::Pruned { because: was.pruned.clone().unwrap_or_default() })
            }
            _ if matches!(cause, Some(Ending::Asked(_))) => Begin::Gone(Outcome::Killed),
            None if active.started.is_some() => {
                let message = "it was gone when combu came back".to_owned();
                Begin::Gone(Outcome::Lost { message })
            }
            // A process leaves nothing that tells whether it was started.
            None if !self.leaves_container(place) => {
                let message = "combu died while it started it, and nobody knows how far that came".to_owned();
                Begin::Gone(Outcome::Lost { message })
            }
            _ => Begin::Launch,
        }
    }

    /// Whether an attempt of the trial leaves a container.
    fn leaves_container(&self, place: usize) -> bool {
        let engine = self.schedule.entry(place).trial.engine;
        self.schedule.engines().get(&engine).is_some_and(|engine| engine.containers)
    }

    /// Counts an end of an earlier life.
    fn count(&mut self, place: usize, outcome: &Outcome) {
        let entry = self.schedule.entry(place);
        if !entry.trial.service && self.schedule.has_ended(place) {
            self.counts.ended(place, outcome, entry.elapsed);
        }
    }
}
