//! Serving: what a script does while it waits. The events of all open runs are taken in as they come.

use std::cell::RefMut;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use crate::run::session::TimeUp;
use crate::run::session::live::Live;
use crate::script::caller::Caller;
use crate::script::fault::{Answer, fault};
use crate::script::host::{LOOK, PendingRun, Script, beside};

pub(super) use crate::run::session::live::Part;

/// What came of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// An event was taken in.
    Event,
    /// A run that is waited for has nothing more to say for now, or has ended; or no run is open.
    Over,
    /// The time is up.
    Time,
}

/// Waits for the next event of the open runs, until that moment, and takes it in. Runs whose hooks are being called are left
/// alone.
pub(super) fn serve(
    script: &Script,
    caller: &Caller<'_>,
    wanted: Option<(&dyn PendingRun, Part)>,
    until: Option<Instant>,
) -> Served {
    if wanted.is_some_and(|(run, _)| run.live().is_none()) {
        return Served::Over;
    }
    let mut open: Vec<Rc<dyn PendingRun>> = script.open.borrow().clone();
    open.retain(|run| !run.is_hearing());
    // Whoever was served last comes last: no run keeps the others waiting.
    let turn = script.turn.replace(script.turn.get().wrapping_add(1));
    let first = turn.checked_rem(open.len()).unwrap_or_default();
    open.rotate_left(first);
    let mut lives: Vec<(usize, RefMut<'_, Live>, Part)> = Vec::new();
    for (place, run) in open.iter().enumerate() {
        let is_wanted = |(one, _): &(&dyn PendingRun, Part)| std::ptr::addr_eq(*one, Rc::as_ptr(run));
        let part = wanted.filter(is_wanted).map_or(Part::Aside, |(_, part)| part);
        lives.extend(run.live().map(|live| (place, live, part)));
    }
    let places: Vec<usize> = lives.iter().map(|(place, ..)| *place).collect();
    let mut parts: Vec<(&mut Live, Part)> = lives.iter_mut().map(|(_, live, part)| (&mut **live, *part)).collect();
    let came = script.session.first_of(&mut parts, until);
    drop(lives);
    match came {
        Err(TimeUp) => Served::Time,
        Ok(Some((place, Some(event)))) => {
            open.swap_remove(places[place]).hear(script, caller, &event);
            Served::Event
        }
        Ok(Some((_, None)) | None) => Served::Over,
    }
}

/// Lets that time pass.
pub(crate) fn pass(script: &Script, caller: &Caller<'_>, time: Duration) -> Answer<()> {
    let end = script.session.moment().checked_add(time);
    loop {
        script.check_interrupt()?;
        let now = script.session.moment();
        if end.is_some_and(|end| end <= now) {
            return Ok(());
        }
        // An interrupt has to be seen; virtual time passes too fast for one.
        let look = if script.session.virtual_time().is_some() { end } else { Some(now + LOOK) };
        let Some(until) = end.into_iter().chain(look).min() else { return Err(fault("nobody sleeps that long")) };
        serve_or_sleep(script, caller, until);
    }
}

/// Does what may take long beside the script, and waits for it. An interrupt ends the waiting.
pub(crate) fn serve_until<T: Send + 'static>(
    script: &Script,
    caller: &Caller<'_>,
    what: impl FnOnce() -> T + Send + 'static,
) -> Answer<T> {
    // What is done beside a simulation takes none of its time.
    if script.session.virtual_time().is_some() || script.open.borrow().iter().all(|run| run.is_hearing()) {
        return script.wait_for(what);
    }
    beside(script.session.interrupt(), what, |done| match done.try_recv() {
        Ok(answer) => Ok(answer),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        Err(TryRecvError::Empty) => {
            serve_or_sleep(script, caller, script.session.moment() + LOOK);
            Err(RecvTimeoutError::Timeout)
        }
    })
}

/// Lets a moment of real time pass, after which whoever waits for something beside the runs looks for it again.
pub(crate) fn look_again(script: &Script, caller: &Caller<'_>) {
    match script.session.virtual_time() {
        Some(_) => std::thread::sleep(LOOK),
        None => serve_or_sleep(script, caller, script.session.moment() + LOOK),
    }
}

/// Serves one event, or waits until that moment.
fn serve_or_sleep(script: &Script, caller: &Caller<'_>, until: Instant) {
    if serve(script, caller, None, Some(until)) == Served::Over {
        script.session.wait_until(until);
    }
}
