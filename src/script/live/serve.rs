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
/// alone. A script that is gone on with hears what it heard before.
pub(super) fn serve(
    script: &Script,
    caller: &Caller<'_>,
    wanted: Option<(&dyn PendingRun, Part)>,
    until: Option<Instant>,
) -> Served {
    if wanted.is_some_and(|(run, _)| run.live().is_none()) {
        return Served::Over;
    }
    if let Some(served) = serve_recorded(script, caller) {
        return served;
    }
    let served = serve_now(script, caller, wanted, until);
    if served != Served::Event {
        script.transcript.keep_wait_over();
    }
    served
}

/// Serves what the record says was served at this point; absent where it says nothing more.
fn serve_recorded(script: &Script, caller: &Caller<'_>) -> Option<Served> {
    let open: Vec<Rc<dyn PendingRun>> = script.open.borrow().clone();
    let of =
        |number: usize| open.iter().find(|run| run.number() == number && !run.is_hearing() && run.past().is_some());
    let number = script.transcript.waited(|number| of(number).is_some())?;
    Some(match number.and_then(of) {
        Some(run) => {
            run.clone().hear_past(script, caller);
            Served::Event
        }
        None => Served::Over,
    })
}

/// Serves what was served at this point while the script waited for something beside its runs; whether the record says that
/// this wait was over.
pub(crate) fn replay(script: &Script, caller: &Caller<'_>) -> bool {
    loop {
        match serve_recorded(script, caller) {
            Some(Served::Event) => {}
            Some(Served::Over | Served::Time) => return true,
            None => return false,
        }
    }
}

fn serve_now(
    script: &Script,
    caller: &Caller<'_>,
    wanted: Option<(&dyn PendingRun, Part)>,
    until: Option<Instant>,
) -> Served {
    let mut open: Vec<Rc<dyn PendingRun>> = script.open.borrow().clone();
    open.retain(|run| !run.is_hearing());
    // What happened before the script died comes before what happens now.
    if let Some((_, run)) = open.iter().filter_map(|run| Some((run.past()?, run))).min_by_key(|(at, _)| *at) {
        script.transcript.keep_event(run.number());
        run.clone().hear_past(script, caller);
        return Served::Event;
    }
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
            let run = open.swap_remove(places[place]);
            script.transcript.keep_event(run.number());
            run.hear(script, caller, &event);
            Served::Event
        }
        Ok(Some((_, None)) | None) => Served::Over,
    }
}

/// Lets that time pass.
pub(crate) fn pass(script: &Script, caller: &Caller<'_>, time: Duration) -> Answer<()> {
    if replay(script, caller) {
        return Ok(());
    }
    let end = script.session.moment().checked_add(time);
    loop {
        script.check_interrupt()?;
        let now = script.session.moment();
        if end.is_some_and(|end| end <= now) {
            script.transcript.keep_wait_over();
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
    if replay(script, caller) {
        return script.wait_for(what);
    }
    // What is done beside a simulation takes none of its time.
    let answer = if script.session.virtual_time().is_some() || script.open.borrow().iter().all(|run| run.is_hearing()) {
        script.wait_for(what)
    } else {
        beside(script.session.interrupt(), what, |done| match done.try_recv() {
            Ok(answer) => Ok(answer),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => {
                serve_or_sleep(script, caller, script.session.moment() + LOOK);
                Err(RecvTimeoutError::Timeout)
            }
        })
    };
    script.transcript.keep_wait_over();
    answer
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
    if serve_now(script, caller, None, Some(until)) == Served::Over {
        script.session.wait_until(until);
    }
}
