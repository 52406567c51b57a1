//! An attempt in flight: its launch, its channels, how it begins, and what makes it stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::engine::Launch;
use crate::model::handle::Handle;
use crate::model::outcome::Outcome;
use crate::model::trial::{Healthcheck, Timeout};
use crate::run::attempt::progress::Progress;
use crate::run::clock::{Awake, Clock};
use crate::run::message::Message;

/// How long the stop of an attempt that is given up may take.
pub(super) const LAST_TRY: Duration = Duration::from_secs(10);

/// One attempt in flight.
pub(crate) struct Attempt {
    pub(crate) place: usize,
    pub(crate) launch: Launch,
    pub(crate) begin: Begin,
    /// What probes its health, if anything does.
    pub(crate) health: Option<Healthcheck>,
    /// Whether some trial waits for it to be healthy.
    pub(crate) awaited: bool,
    /// When people are told that it takes long.
    pub(crate) slow: Option<Timeout>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) clock: Clock,
    pub(crate) awake: Awake,
    /// The median time of the run's successes so far, as it changes.
    pub(crate) median: watch::Receiver<Option<Duration>>,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
    /// Whether it is to stand still for itself.
    pub(crate) paused: watch::Receiver<bool>,
    pub(crate) messages: mpsc::UnboundedSender<Message>,
}

/// How an attempt begins.
#[derive(Debug, Default)]
pub(crate) enum Begin {
    /// It is launched.
    #[default]
    Launch,
    /// It was started before.
    Adopt(Adopted),
    /// It was started before and is not there any more; what that means for it.
    Gone(Outcome),
}

/// An attempt that was started before.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) handle: Handle,
    /// How long it has run, as far as anyone knows.
    pub(crate) ahead: Duration,
    /// Why it was being stopped.
    pub(crate) cause: Option<Ending>,
    /// Whether it may stand still.
    pub(crate) paused: bool,
    /// Whether its healthcheck passed.
    pub(crate) healthy: bool,
}

/// Why an attempt is stopped, from the weakest reason to the strongest; a weaker one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Nothing needs the service any more.
    Unneeded,
    /// Going on is not worth it.
    Pruned,
    /// Someone asked; with the trial's grace period, or at once.
    Killed { at_once: bool },
}

/// What made an attempt stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Asked(Stop),
    TimedOut,
    Unhealthy,
}
