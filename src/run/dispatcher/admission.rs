//! Admission: what holds back ready trials although there is room: the load of this machine, and strangers on its GPUs, who
//! are looked at from time to time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::event::Fact;
use crate::model::name::EngineName;
use crate::model::options::Budget;
use crate::model::trial::settled::Settled;
use crate::run::context::RunContext;
use crate::run::load::{Gate, Turned};
use crate::run::message::Message;

/// Time between two looks at strangers on GPUs while a trial waits for a GPU: `nvidia-smi` may take a second.
const GPU_LOOK: Duration = Duration::from_secs(5);

/// What holds back new starts.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Gate,
    /// Shortest time between two starts.
    delay: Duration,
    /// No start comes before it.
    next_start: Instant,
    /// Looks at who uses the GPUs; they end with the run.
    looks: JoinSet<()>,
    next_look: Instant,
    /// True once it was said that they cannot be seen.
    gpus_unseen: bool,
}

impl Admission {
    pub(super) fn new(gate: Gate, delay: Duration) -> Self {
        let now = Instant::now();
        Self { gate, delay, next_start: now, looks: JoinSet::new(), next_look: now, gpus_unseen: false }
    }

    /// Whether a ready trial may be started now, and the fact to be said when that has changed.
    pub(super) fn check(&mut self, now: Instant) -> (bool, Option<Fact>) {
        if now < self.next_start {
            return (false, None);
        }
        let fact = self.gate.look(now).map(|turned| match turned {
            Turned::Held(because) => Fact::HeldBack { because },
            Turned::Released(elapsed) => Fact::Released { elapsed },
        });
        (self.gate.held().is_none(), fact)
    }

    /// A trial is being started.
    pub(super) fn passed(&mut self, trial: &Settled) {
        self.gate.passed(trial);
        self.next_start = Instant::now() + self.delay;
    }

    /// The time of the next start, where one has to wait for it because of the last.
    pub(super) fn next_start(&self) -> Option<Instant> {
        (Instant::now() < self.next_start).then_some(self.next_start)
    }

    pub(super) fn set(&mut self, change: &Budget) {
        self.gate.set(change);
    }

    /// Why nothing new is started now, if so.
    pub(super) fn held(&self) -> Option<&str> {
        self.gate.held()
    }

    /// The time of the next look at who uses the GPUs.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Looks who uses the GPUs of an engine; the answer comes as a message.
    pub(super) fn look_at_gpus(
        &mut self,
        name: EngineName,
        context: Arc<RunContext>,
        messages: mpsc::UnboundedSender<Message>,
    ) {
        while self.looks.try_join_next().is_some() {}
        self.next_look = Instant::now() + GPU_LOOK;
        self.looks.spawn(async move {
            let seen = match context.engine(name).await {
                Ok(engine) => engine.gpus().await,
                Err(error) => Err(error),
            };
            let _gone = messages.send(Message::Gpus(name, seen.map_err(|error| error.chain())));
        });
    }

    /// Who uses the GPUs could not be seen, and what was seen before counts until the next look. The fact to be said, once.
    pub(super) fn unseen(&mut self, engine: EngineName, problem: &str) -> Option<Fact> {
        let message = format!("who uses the GPUs of the engine {engine} is not known: {problem}");
        (!std::mem::replace(&mut self.gpus_unseen, true)).then_some(Fact::Warned { message })
    }
}
