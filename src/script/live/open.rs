//! A run that a script has started: what it is known to be, its hooks, and the way to it.

use std::any::Any;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult};

use crate::model::command::Command;
use crate::model::event::{Early, Event, Fact, Sink};
use crate::model::name::{Name, RunId};
use crate::model::summary::{Counts, Summary};
use crate::run::session::live::Live;
use crate::run::session::observer::feed;
use crate::script::caller::Caller;
use crate::script::fault::{Answer, fault, unreachable_fault};
use crate::script::hooks::{Hooks, OnError};
use crate::script::host::{PendingRun, Script};
use crate::script::live::recalled::RecalledEvent;
use crate::script::live::serve::{Part, Served, serve};
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::result::{Ran, RunResult, TrialView};
use crate::script::way::Way;

/// A run as scripts hold it. Clones are the same run.
#[derive(Clone)]
pub(crate) struct Run(pub(crate) Rc<ScriptRun>);

/// A run that a script has started.
pub(crate) struct ScriptRun {
    pub(crate) way: Way,
    pub(crate) experiment: ScriptExperiment,
    /// Absent once the run has ended.
    live: RefCell<Option<Live>>,
    /// As far as its events were taken in; empty once the result is there.
    summary: RefCell<Summary>,
    sinks: RefCell<Vec<Box<dyn Sink>>>,
    /// Held until the run has ended.
    keep: RefCell<Option<Box<dyn Any>>>,
    hooks: Hooks,
    /// True while its hooks are called.
    hearing: Cell<bool>,
    /// The first error of its hooks.
    failure: RefCell<Option<Box<EvalAltResult>>>,
    /// Its number among the runs that the script has begun.
    number: usize,
    /// Events of before the script's death that were not taken in again.
    past: RefCell<VecDeque<RecalledEvent>>,
    /// Whether it had come to its end before that.
    is_over: bool,
    /// Trials that ended and were not asked for yet, where the script follows the run.
    ended: RefCell<Option<VecDeque<Name>>>,
    result: RefCell<Option<RunResult>>,
}

/// What is known of a run from before the script's death.
#[derive(Default)]
pub(super) struct Recalled {
    /// Its events.
    pub(super) events: VecDeque<RecalledEvent>,
    /// Commands that it has taken.
    pub(super) commands: Vec<Command>,
    /// Whether it had come to its end.
    pub(super) is_over: bool,
}

/// When an event was heard of first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventOrigin {
    /// Now.
    Now,
    /// Before the script's death.
    Before {
        /// It came of that death.
        is_cut: bool,
    },
    /// In another run, whose result it was.
    Lent,
}

impl ScriptRun {
    pub(super) fn new(
        number: usize,
        live: Live,
        (sinks, keep): (Vec<Box<dyn Sink>>, Box<dyn Any>),
        experiment: &ScriptExperiment,
        hooks: Hooks,
        known: Recalled,
    ) -> Rc<Self> {
        let Recalled { events, commands, is_over } = known;
        Rc::new(Self {
            way: Way::new(live.commands().clone(), commands, !events.is_empty()),
            number,
            past: RefCell::new(events),
            is_over,
            experiment: experiment.clone(),
            live: RefCell::new(Some(live)),
            summary: RefCell::default(),
            sinks: RefCell::new(sinks),
            keep: RefCell::new(Some(keep)),
            hooks,
            hearing: Cell::new(false),
            failure: RefCell::default(),
            ended: RefCell::default(),
            result: RefCell::default(),
        })
    }

    /// From now on its ends are kept for `next`.
    pub(super) fn follow(&self) {
        self.ended.replace(Some(VecDeque::new()));
    }

    /// How many of its trials are in which state: now, and within a hook as of what it is called for.
    pub(crate) fn counts(&self, script: &Script, caller: &Caller<'_>) -> Counts {
        self.catch_up(script, caller);
        self.with_summary(Summary::counts)
    }

    /// What is known of the trial of that name by now.
    pub(crate) fn get(&self, script: &Script, caller: &Caller<'_>, name: &Name) -> Option<TrialView> {
        self.catch_up(script, caller);
        self.view(script, name)
    }

    /// What is known of its trials by now; services too.
    pub(crate) fn trials(&self, script: &Script, caller: &Caller<'_>) -> Vec<TrialView> {
        self.catch_up(script, caller);
        let names: Vec<Name> =
            self.with_summary(|summary| summary.results.iter().map(|result| result.trial.name.clone()).collect());
        names.iter().filter_map(|name| self.view(script, name)).collect()
    }

    /// Takes in what has happened already; within its own hooks, which see what they are called for, nothing.
    fn catch_up(&self, script: &Script, caller: &Caller<'_>) {
        if self.hearing.get() {
            return;
        }
        let now = script.session.moment();
        // The first event says which trials there are.
        let begun = || self.with_summary(|summary| summary.run.is_some());
        loop {
            let limit = begun().then_some(now);
            if serve(script, caller, Some((self, Part::Wanted)), limit) != Served::Event {
                return;
            }
        }
    }

    fn with_summary<T>(&self, read: impl FnOnce(&Summary) -> T) -> T {
        match &*self.result.borrow() {
            Some(result) => read(&result.0.summary),
            None => read(&self.summary.borrow()),
        }
    }

    fn view(&self, script: &Script, name: &Name) -> Option<TrialView> {
        self.with_summary(|summary| summary.get(name).map(|result| TrialView::live(result, &self.way, &script.folder)))
    }

    /// The next trial that has ended, services apart, of those that were taken in.
    pub(super) fn pop(&self, script: &Script) -> Option<TrialView> {
        loop {
            let name = self.ended.borrow_mut().as_mut()?.pop_front()?;
            // One that runs again ends again.
            let view = self.view(script, &name)?;
            if view.result.outcome().is_some() {
                return Some(view);
            }
        }
    }

    /// Whether a hook has failed, so that nothing more of it is given out.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Fails within one of its own hooks.
    pub(super) fn check_outside(&self, what: &str) -> Answer<()> {
        match self.hearing.get() {
            true => Err(fault(format!("a hook cannot {what} the run it belongs to"))),
            false => Ok(()),
        }
    }

    /// Follows the run to its end.
    pub(crate) fn wait(&self, script: &Script, caller: &Caller<'_>) -> Answer<RunResult> {
        self.check_outside("wait for")?;
        while serve(script, caller, Some((self, Part::ToEnd)), None) == Served::Event {}
        if let Some(result) = self.result.borrow().clone() {
            return Ok(result);
        }
        script.open.borrow_mut().retain(|open| !std::ptr::addr_eq(Rc::as_ptr(open), self));
        if self.live.take().is_none() {
            return Err(fault("the run has ended with an error"));
        }
        self.keep.take();
        if let Some(failure) = self.failure.take() {
            script.stage.closed(&self.summary.borrow());
            return Err(failure);
        }
        let (experiment, folder) = (self.experiment.clone(), script.folder.clone());
        let (summary, history) = (self.summary.take(), self.way.history.clone());
        let result = close(script, Ran { experiment, summary, folder, history }, self.is_over)?;
        self.result.replace(Some(result.clone()));
        Ok(result)
    }
}

impl PendingRun for ScriptRun {
    fn experiment(&self) -> &ScriptExperiment {
        &self.experiment
    }

    fn live(&self) -> Option<RefMut<'_, Live>> {
        RefMut::filter_map(self.live.borrow_mut(), Option::as_mut).ok()
    }

    fn is_hearing(&self) -> bool {
        self.hearing.get()
    }

    fn cancel(&self, by: &str) {
        self.way.send(Command::Cancel { by: by.to_owned() });
    }

    fn close(&self, script: &Script, caller: &Caller<'_>) -> Answer<()> {
        self.wait(script, caller).map(drop)
    }

    fn number(&self) -> usize {
        self.number
    }

    fn past(&self) -> Option<u64> {
        self.past.borrow().front().map(|past| past.event.at)
    }

    fn hear_past(self: Rc<Self>, script: &Script, caller: &Caller<'_>) {
        let next = self.past.borrow_mut().pop_front();
        if let Some(RecalledEvent { event, is_cut }) = next {
            self.clone().take_in(script, caller, &event, EventOrigin::Before { is_cut });
            if self.past().is_none() {
                self.way.end_past();
            }
        }
    }

    fn hear(self: Rc<Self>, script: &Script, caller: &Caller<'_>, event: &Event) {
        self.take_in(script, caller, event, EventOrigin::Now);
    }
}

impl ScriptRun {
    /// Takes in what a trial told in the run in which it succeeded.
    fn recall(self: Rc<Self>, script: &Script, caller: &Caller<'_>, from: &RunId, trial: &Name) {
        match script.stage.told(from, trial) {
            Ok(events) => {
                events.iter().for_each(|event| self.clone().take_in(script, caller, event, EventOrigin::Lent))
            }
            Err(problem) => script.stage.say(&format!("warning: what `{trial}` told is not known: {problem}")),
        }
    }

    /// Takes an event in: stored before shown, shown before hooked.
    fn take_in(self: Rc<Self>, script: &Script, caller: &Caller<'_>, event: &Event, heard: EventOrigin) {
        self.summary.borrow_mut().add(event);
        if let Fact::TrialReused { trial, from } = &event.fact {
            self.clone().recall(script, caller, from, trial);
        }
        match heard {
            EventOrigin::Lent => {}
            EventOrigin::Now => feed(&mut self.sinks.borrow_mut(), event),
            EventOrigin::Before { .. } => self.sinks.borrow_mut().iter_mut().for_each(|sink| sink.recall(event)),
        }
        self.way.history.hear(event);
        if heard == (EventOrigin::Before { is_cut: true }) {
            return;
        }
        if let (Fact::TrialEnded { trial, .. }, Some(ended)) = (&event.fact, &mut *self.ended.borrow_mut())
            && self.summary.borrow().get(trial).is_some_and(|result| !result.service)
        {
            ended.push_back(trial.clone());
        }
        if self.has_failed() {
            return;
        }
        self.hearing.set(true);
        let run = || Dynamic::from(Run(self.clone()));
        let called = self.hooks.call(caller, script, (event, &self.summary.borrow()), &self.way, run);
        self.hearing.set(false);
        if let Err(failure) = called {
            script.transcript.close();
            let by = "an error in the script".to_owned();
            // Whoever ends the script does not wait for its trials.
            match self.hooks.on_error {
                OnError::Drain if script.exit.get().is_none() => self.way.send(Command::Drain { by }),
                OnError::Drain | OnError::Stop => self.way.send(Command::Cancel { by }),
            }
            self.failure.replace(Some(failure));
        }
    }
}

/// Takes note of a run's end.
fn close(script: &Script, ran: Ran, is_known: bool) -> Answer<RunResult> {
    // What it came to was told then.
    if !is_known {
        script.stage.closed(&ran.summary);
    }
    let early = ran.summary.early.clone();
    let end = (ran.summary.ok(), matches!(early, Some(Early::Halted(_))));
    script.ends.borrow_mut().insert(ran.experiment.name().to_owned(), end);
    script.check_interrupt()?;
    match early {
        Some(Early::Unreachable(message)) => Err(unreachable_fault(&message)),
        _ => Ok(RunResult(Rc::new(ran))),
    }
}
