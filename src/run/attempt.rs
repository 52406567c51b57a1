//! An attempt: one launch of a trial on its engine, from the preparation to the end. Decides nothing but its timeout.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::engine::{Engine, EngineError, Health, Launch, Output};
use crate::model::handle::Handle;
use crate::model::outcome::{Exit, Outcome};
use crate::model::trial::Healthcheck;
use crate::run::executor::Executor;
use crate::run::message::{End, Message, Stage};

/// Docker's own grace period between the stop signal and the kill.
pub(crate) const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Nothing needs the service any more.
    Unneeded,
    /// Someone asked; with the trial's grace period, or at once.
    Killed { at_once: bool },
}

/// One attempt in flight.
pub(crate) struct Attempt {
    pub(crate) place: usize,
    pub(crate) launch: Launch,
    /// What probes its health, if anything does.
    pub(crate) health: Option<Healthcheck>,
    /// Whether some trial waits for it to be healthy.
    pub(crate) awaited: bool,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
    pub(crate) messages: mpsc::UnboundedSender<Message>,
}

impl Attempt {
    /// Runs the attempt to its end; the last message is `Stage::Ended`.
    pub(crate) async fn run(mut self, executor: Arc<Executor>) {
        match self.launch(&executor).await {
            Ok(Some((engine, handle, output))) => self.follow(&executor, engine, handle, output).await,
            Ok(None) => self.say(Stage::Ended(End::bare(Outcome::Killed))),
            Err(error) => self.say(Stage::Ended(End::not_started(&error))),
        }
    }

    /// Prepares and starts; `None` when it was stopped before anything was started.
    async fn launch(&mut self, executor: &Executor) -> Result<Option<(Arc<dyn Engine>, Handle, Output)>, EngineError> {
        let name = self.launch.trial.engine.unwrap_or_default();
        let mut stop = self.stop.clone();
        let preparation = async {
            let engine = executor.engine(name).await?;
            let messages = self.messages.clone();
            let progress = move |object: &str, state: &str| {
                let (object, state) = (object.to_owned(), state.to_owned());
                let _gone = messages.send(Message::Preparing { engine: name, object, state });
            };
            engine.prepare(&self.launch, &progress).await?;
            let place_in_window = executor.start_window(engine.capabilities()).await;
            Ok::<_, EngineError>((engine, place_in_window))
        };
        let (engine, place_in_window) = tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => return Ok(None),
            prepared = preparation => prepared?,
        };
        let output = self.output(executor);
        // Never dropped half-way: a start that was cut off could leave a container that nobody waits for.
        let handle = engine.start(&self.launch).await?;
        drop(place_in_window);
        self.say(Stage::Started(handle.clone()));
        Ok(Some((engine, handle, output)))
    }

    /// Follows the started attempt; its end is said before its container is removed.
    async fn follow(&mut self, executor: &Executor, engine: Arc<dyn Engine>, handle: Handle, mut output: Output) {
        let started = Instant::now();
        let (waited, cause) = self.wait(engine.as_ref(), &handle, &mut output, started).await;
        let outcome = match (cause, waited) {
            (_, Err(error)) => Outcome::Lost { message: error.chain() },
            (Some(Cause::TimedOut), Ok(_)) => Outcome::TimedOut,
            (Some(Cause::Unhealthy), Ok(_)) => Outcome::Unhealthy,
            (Some(Cause::Asked(Stop::Killed { .. })), Ok(_)) => Outcome::Killed,
            (Some(Cause::Asked(Stop::Unneeded)), Ok(_)) => Outcome::Stopped,
            (None, Ok(exit)) => Outcome::of(exit),
        };
        if let Some(error) = output.error() {
            self.warn(format!("the logs of `{}` are not complete: {error}", self.launch.trial.name));
        }
        let remove = executor.removes(&outcome);
        let logs = output.logs();
        self.say(Stage::Ended(End { outcome, elapsed: started.elapsed(), logs, may_retry: true, unreachable: None }));
        if remove && let Err(error) = engine.remove(&handle).await {
            self.warn(format!("`{}` was not removed: {}", self.launch.trial.name, error.chain()));
        }
    }

    /// Waits for the end, and stops the attempt when it is asked to, takes too long, or is unhealthy.
    async fn wait(&mut self, engine: &dyn Engine, handle: &Handle, output: &mut Output, started: Instant) -> Waited {
        let grace = self.launch.trial.stop_grace.unwrap_or(DEFAULT_GRACE);
        let mut timer = pin!(after(self.launch.trial.timeout.map(|timeout| started + timeout)));
        let mut exit = pin!(engine.wait(handle, output));
        let mut health = pin!(watch_health(engine, handle, self.health.clone()));
        let mut stopping: Pin<Box<dyn Future<Output = Result<(), EngineError>> + Send>> = Box::pin(pending());
        let (mut cause, mut seen, mut timed, mut probed) = (None, None, false, false);
        loop {
            tokio::select! {
                biased;
                waited = &mut exit => return (waited, cause),
                asked = next_stop(&mut self.stop, &mut seen) => {
                    let grace = if asked == (Stop::Killed { at_once: true }) { Duration::ZERO } else { grace };
                    cause = cause.or(Some(Cause::Asked(asked)));
                    stopping = engine.stop(handle, grace);
                }
                () = &mut timer, if !timed => {
                    timed = true;
                    if cause.is_none() {
                        cause = Some(Cause::TimedOut);
                        self.say(Stage::TimedOut(started.elapsed()));
                        stopping = engine.stop(handle, grace);
                    }
                }
                health = &mut health, if !probed => {
                    probed = true;
                    if self.report_health(health) && cause.is_none() {
                        cause = Some(Cause::Unhealthy);
                        stopping = engine.stop(handle, grace);
                    }
                }
                stopped = &mut stopping => {
                    if let Err(error) = stopped {
                        self.warn(format!("`{}` could not be stopped: {}", self.launch.trial.name, error.chain()));
                    }
                    stopping = Box::pin(pending());
                }
            }
        }
    }

    /// Says what the healthcheck decided; true when the attempt has to be stopped for it.
    fn report_health(&self, health: Result<Health, EngineError>) -> bool {
        match health {
            Ok(Health::Healthy) => self.say(Stage::Healthy),
            Ok(Health::Unhealthy) => {
                self.say(Stage::Unhealthy);
                return self.awaited;
            }
            Ok(Health::Ended) => {}
            Err(error) => {
                self.warn(format!("the health of `{}` is unknown: {}", self.launch.trial.name, error.chain()))
            }
        }
        false
    }

    fn output(&self, executor: &Executor) -> Output {
        let Some(folder) = executor.log_folder(&self.launch) else { return Output::nowhere() };
        Output::into_folder(&folder).unwrap_or_else(|error| {
            self.warn(format!("the logs of `{}` are lost: {}: {error}", self.launch.trial.name, folder.display()));
            Output::nowhere()
        })
    }

    fn warn(&self, text: String) {
        let _gone = self.messages.send(Message::Warning(text));
    }

    fn say(&self, stage: Stage) {
        // The dispatcher outlives its attempts, unless the whole process is coming down.
        let _gone = self.messages.send(Message::Attempt(self.place, stage));
    }
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    Asked(Stop),
    TimedOut,
    Unhealthy,
}

/// How the wait went, and what had made the attempt stop.
type Waited = (Result<Exit, EngineError>, Option<Cause>);

impl End {
    pub(crate) fn bare(outcome: Outcome) -> Self {
        Self { outcome, elapsed: Duration::ZERO, logs: None, may_retry: false, unreachable: None }
    }

    fn not_started(error: &EngineError) -> Self {
        let message = error.chain();
        let unreachable = matches!(error, EngineError::Unreachable { .. }).then(|| message.clone());
        let may_retry = matches!(error, EngineError::Call { .. });
        Self { may_retry, unreachable, ..Self::bare(Outcome::NotStarted { message }) }
    }
}

/// Sleeps until then; for ever, if there is no then.
async fn after(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

async fn watch_health(engine: &dyn Engine, handle: &Handle, check: Option<Healthcheck>) -> Result<Health, EngineError> {
    match check {
        Some(check) => engine.healthy(handle, &check).await,
        None => pending().await,
    }
}

/// Waits for a request to stop that was not seen yet.
async fn next_stop(stop: &mut watch::Receiver<Option<Stop>>, seen: &mut Option<Stop>) -> Stop {
    let before = *seen;
    match stop.wait_for(|asked| *asked != before).await.map(|asked| *asked) {
        Ok(Some(asked)) => {
            *seen = Some(asked);
            asked
        }
        // The sender is gone, or took the request back: neither stops anything.
        Ok(None) | Err(_) => pending().await,
    }
}
