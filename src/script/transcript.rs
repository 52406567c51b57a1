//! The transcript of the script that runs: what it is told from outside is kept, and told again where it goes on after its death.
//!
//! As long as it asks what it asked before, its entries answer it. Where it asks something else, the record is left, and what
//! follows is done anew.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::script::{ScriptEntry, ScriptQuestion};
use crate::run::session::interrupt::Interrupt;
use crate::script::fault::{Answer, fault};
use crate::script::stage::ScriptStage;

/// How long an entry may wait for others like it before it is written.
const FLUSH: Duration = Duration::from_millis(50);

/// What the script was told before, and what it is told now.
pub(super) struct Transcript {
    stage: Rc<dyn ScriptStage>,
    interrupt: Interrupt,
    /// What it was told before its death and has not asked for again.
    past: RefCell<VecDeque<ScriptEntry>>,
    /// Entries that were told again.
    reached: Cell<usize>,
    /// The last entry, as long as it is not written: others like it may follow.
    last: RefCell<Option<ScriptEntry>>,
    /// When an entry was written last.
    written: Cell<Option<Instant>>,
    /// Nothing that follows is a part of it: the script meets its end.
    closed: Cell<bool>,
    /// Whether the script had begun before.
    goes_on: bool,
}

impl Transcript {
    pub(super) fn new(past: Vec<ScriptEntry>, stage: Rc<dyn ScriptStage>, interrupt: Interrupt) -> Self {
        Self {
            stage,
            interrupt,
            goes_on: !past.is_empty(),
            past: RefCell::new(past.into()),
            reached: Cell::default(),
            last: RefCell::default(),
            written: Cell::default(),
            closed: Cell::default(),
        }
    }

    /// The next thing that it was told before.
    fn next(&self) -> Option<ScriptEntry> {
        self.past.borrow().front().cloned()
    }

    /// It was told again.
    fn reach(&self) {
        let mut past = self.past.borrow_mut();
        let Some(next) = past.pop_front() else { return };
        match next.count() {
            count @ 2.. => past.push_front(next.times(count - 1)),
            _ => self.reached.set(self.reached.get() + 1),
        }
    }

    /// The answer of the world outside, or the one that was given before.
    pub(super) fn answer<T: Serialize + DeserializeOwned>(
        &self,
        question: ScriptQuestion,
        ask: impl FnOnce() -> Answer<T>,
    ) -> Answer<T> {
        match self.next() {
            Some(ScriptEntry::Answer { question: then, value, .. }) if then == question => {
                if let Ok(told) = serde_json::from_value(value) {
                    self.reach();
                    return Ok(told);
                }
                self.leave();
            }
            Some(_) => self.leave(),
            None => {}
        }
        let told = ask()?;
        let value = serde_json::to_value(&told).map_err(|error| fault(format!("an answer has no form: {error}")))?;
        self.keep(ScriptEntry::Answer { question, value, count: 1 });
        Ok(told)
    }

    /// A new id, of twelve characters.
    pub(super) fn id(&self) -> Answer<String> {
        self.answer(ScriptQuestion::Id, || Ok(self.stage.id()))
    }

    /// What came of waiting at this point before, as far as the record says: the next event of the run of that number, or
    /// nothing more. `has`: whether a run has an event that can come next.
    pub(super) fn waited(&self, has: impl Fn(usize) -> bool) -> Option<Option<usize>> {
        match self.next()? {
            ScriptEntry::WaitOver => {
                self.reach();
                Some(None)
            }
            ScriptEntry::Events { run, .. } if has(run) => {
                self.reach();
                Some(Some(run))
            }
            ScriptEntry::Events { .. } | ScriptEntry::Answer { .. } => {
                self.leave();
                None
            }
        }
    }

    /// The script does otherwise than before: what it was told behind this point means nothing any more.
    pub(super) fn leave(&self) {
        if self.past.take().is_empty() {
            return;
        }
        self.stage.forget_entries(self.reached.get());
        self.stage.say("note: from here on the script does otherwise than before it died; what follows is done anew");
    }

    /// The last answer means nothing any more either: the run of that id never began, or is another one now.
    pub(super) fn leave_before_last(&self) {
        let reached = self.reached.get().saturating_sub(1);
        if self.past.borrow().is_empty() {
            self.stage.forget_entries(reached);
        }
        self.reached.set(reached);
        self.leave();
    }

    /// Notes that an event of a run was taken in.
    pub(super) fn keep_event(&self, run: usize) {
        self.keep(ScriptEntry::Events { run, count: 1 });
    }

    /// Notes that a wait was over.
    pub(super) fn keep_wait_over(&self) {
        self.keep(ScriptEntry::WaitOver);
    }

    /// Notes nothing more: what follows belongs to the script's death, and is not to be told again.
    pub(super) fn close(&self) {
        self.write_last();
        self.closed.set(true);
    }

    /// Notes what the script was told. The like of what it was told before joins that, for a moment: events lie in the store
    /// anyway, and only their order among runs does not.
    fn keep(&self, entry: ScriptEntry) {
        // Of a script that is interrupted everything comes to an end.
        if self.closed.get() || self.interrupt.count() > 0 {
            return;
        }
        let mut last = self.last.borrow_mut();
        let now = Instant::now();
        if entry != ScriptEntry::WaitOver
            && let Some(before) = last.take_if(|before| before.clone().times(1) == entry)
        {
            let count = before.count() + 1;
            *last = Some(before.times(count));
        } else {
            let before = last.replace(entry);
            before.iter().for_each(|before| self.stage.keep_entry(before));
        }
        drop(last);
        let is_due = self.written.get().is_none_or(|written| now.duration_since(written) >= FLUSH);
        let may_wait = match &*self.last.borrow() {
            Some(ScriptEntry::Events { .. }) => true,
            Some(ScriptEntry::Answer { question, .. }) => {
                matches!(question, ScriptQuestion::Now | ScriptQuestion::Variable)
            }
            Some(ScriptEntry::WaitOver) | None => false,
        };
        if is_due || !may_wait {
            self.written.set(Some(now));
            self.write_last();
        }
    }

    /// Whether it is gone on with after its death.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Writes the last entry.
    fn write_last(&self) {
        if let Some(last) = self.last.take() {
            self.stage.keep_entry(&last);
        }
    }
}
