//! Pausing: an attempt is paused while its run is paused, and goes on afterwards.

use std::time::Duration;

use tokio::sync::watch;

use crate::engine::{Engine, EngineError, Retrying};
use crate::model::handle::Handle;
use crate::run::attempt::flight::Attempt;

/// How an attempt is held.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    /// Whether it should stand still.
    pub(super) wanted: bool,
    /// Whether it may: the engine was asked to pause it, and did not let it go on since.
    pub(super) is: bool,
}

/// Holds the attempt as it is wanted. Never ends.
///
/// One call after the other: an engine that is told to let it go on must not pause it afterwards.
pub(super) async fn keep(attempt: &Attempt, engine: &dyn Engine, handle: &Handle, held: watch::Sender<Held>) {
    let mut changes = held.subscribe();
    while let Ok(wanted) = changes.wait_for(|held| held.wanted != held.is).await.map(|held| held.wanted) {
        if wanted {
            held.send_modify(|held| held.is = true);
            if pause(attempt, engine, handle, &held).await {
                attempt.awake.set(false);
            }
        } else {
            attempt.awake.set(true);
            go_on(attempt, engine, handle).await;
            held.send_modify(|held| held.is = false);
        }
    }
}

/// Pauses the attempt; false when it goes on, or should by now.
async fn pause(attempt: &Attempt, engine: &dyn Engine, handle: &Handle, held: &watch::Sender<Held>) -> bool {
    let mut pauses = Retrying::up_to(Duration::from_secs(10));
    while held.borrow().wanted {
        let Err(error) = engine.pause(handle).await else { return true };
        say(attempt, &error, "paused", &pauses);
        if !error.may_pass() {
            break;
        }
        pauses.pause().await;
    }
    false
}

/// Lets the attempt go on. Repeated until it succeeds: what is never let go never ends.
async fn go_on(attempt: &Attempt, engine: &dyn Engine, handle: &Handle) {
    let mut pauses = Retrying::up_to(Duration::from_secs(10));
    while let Err(error) = engine.unpause(handle).await {
        say(attempt, &error, "unpaused", &pauses);
        if !error.may_pass() {
            break;
        }
        pauses.pause().await;
    }
}

fn say(attempt: &Attempt, error: &EngineError, what: &str, pauses: &Retrying) {
    if pauses.tries() == 0 {
        attempt.warn(format!("`{}` could not be {what}: {}", attempt.launch.trial.name, error.chain()));
    }
}
