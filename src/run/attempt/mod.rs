//! An attempt: one launch of a trial on its engine, from the preparation to the end. Decides nothing but its timeout.

mod adopted;
mod collecting;
mod fetching;
mod flight;
mod patience;
mod pausing;
mod progress;
mod recording;
mod running;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::{Engine, EngineError, Health, Launch, Output, Retrying};
use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::EngineName;
use crate::model::outcome::{Exit, Outcome};
use crate::plan::identity::{Triggers, identity};
use crate::run::attempt::flight::LAST_TRY;
use crate::run::attempt::patience::{Patience, no_answer};
use crate::run::attempt::recording::Recording;
use crate::run::attempt::running::{Running, Waited};
use crate::run::context::RunContext;
use crate::run::message::{End, Message, Stage};
use crate::run::passed::MissingValues;

pub(crate) use flight::{Adopted, Attempt, Begin, Ending, Stop};
pub(crate) use progress::{Progress, StartPhase};

/// After a wait that went well for so long there is the whole patience again.
const WENT_WELL: Duration = Duration::from_secs(60);

/// Longest pause before a start is tried again that lacked something.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is told of an attempt whose engine is there and does not know how it goes.
const OUT_OF_SIGHT: &str = "is out of sight; combu looks for it for 10 min";

/// What a started attempt is followed with.
type Launched = (Arc<dyn Engine>, Handle, Output);

impl Attempt {
    /// Runs the attempt to its end; the last message is `Stage::Ended`.
    pub(crate) async fn run(mut self, context: Arc<RunContext>) {
        let (place, messages) = (self.place, self.messages.clone());
        match std::mem::take(&mut self.begin) {
            Begin::Launch => {}
            Begin::Gone(outcome) => {
                return self.say(Stage::Ended(End { may_retry: true, ..End::bare(outcome) }));
            }
            Begin::Adopt(adopted) => {
                if let Err(error) = self.adopt(&context, adopted).await {
                    let _gone = messages.send(Message::Attempt(place, Stage::Ended(End::not_started(&error))));
                }
                return;
            }
        }
        match self.launch(&context).await {
            Ok(Some((engine, handle, output))) => {
                self.follow(&context, engine.as_ref(), handle, output, (Duration::ZERO, None)).await;
            }
            Ok(None) => {
                let outcome = match *self.stop.borrow() {
                    Some(Stop::Unneeded) => Outcome::Stopped,
                    Some(Stop::Pruned) => Outcome::Pruned { because: String::new() },
                    Some(Stop::Killed { .. }) | None => Outcome::Killed,
                };
                self.say(Stage::Ended(End::bare(outcome)));
            }
            Err(error) => self.say(Stage::Ended(End::not_started(&error))),
        }
    }

    /// Prepares and starts, also when the engine is away for a while; `None` when it was stopped before it ran.
    async fn launch(&self, context: &RunContext) -> Result<Option<Launched>, EngineError> {
        let engine = {
            let mut stop = self.stop.clone();
            tokio::select! {
                biased;
                _ = stop.wait_for(Option::is_some) => return Ok(None),
                engine = context.engine(self.launch.trial.engine) => engine?,
            }
        };
        let mut patience = Patience::new(self, "could not be started and is started again");
        let mut stop = self.stop.clone();
        let mut asked = false;
        let mut busy = Retrying::up_to(LONGEST_WAIT);
        loop {
            let error = match self.try_launch(context, &engine, &mut asked).await {
                Err(error) if error.may_pass() || matches!(error, EngineError::Busy { .. }) => error,
                Ok(None) if asked => {
                    self.sweep(engine.as_ref()).await;
                    return Ok(None);
                }
                answer => return answer,
            };
            self.awake.set(false);
            let goes_on = match error {
                EngineError::Unreachable { .. } => tokio::select! {
                    biased;
                    _ = stop.wait_for(Option::is_some) => None,
                    lasts = patience.lasts(&error) => Some(lasts),
                },
                EngineError::Busy { .. } => tokio::select! {
                    biased;
                    _ = stop.wait_for(Option::is_some) => None,
                    () = self.wait_for_room(context, &error, &mut busy) => Some(true),
                },
                _ => Some(false),
            };
            if goes_on == Some(true) {
                continue;
            }
            if asked {
                self.sweep(engine.as_ref()).await;
            }
            return if goes_on.is_none() { Ok(None) } else { Err(error) };
        }
    }

    /// Waits a little for what others use now; says the first time that it does.
    async fn wait_for_room(&self, context: &RunContext, error: &EngineError, pauses: &mut Retrying) {
        let lack = error.chain();
        if context.tells_of_lack(&lack) {
            self.warn(format!("`{}` waits: {lack}", self.launch.trial.name));
        }
        self.progress.reach(StartPhase::Lacking);
        pauses.pause().await;
    }

    /// Prepares and starts; `asked` says whether the engine was asked to start it, so that it may have.
    async fn try_launch(
        &self,
        context: &RunContext,
        engine: &Arc<dyn Engine>,
        asked: &mut bool,
    ) -> Result<Option<Launched>, EngineError> {
        let mut stop = self.stop.clone();
        self.progress.reach(StartPhase::Preparing);
        let preparation = async {
            let (name, messages) = (engine.capabilities().engine, self.messages.clone());
            let progress = move |object: &str, state: &str| {
                let (object, state) = (object.to_owned(), state.to_owned());
                let _gone = messages.send(Message::Preparing { engine: name, object, state });
            };
            let content = engine.prepare(&self.launch, &progress).await?;
            self.progress.reach(StartPhase::Waiting);
            let place = context.place_to_start(engine.capabilities()).await;
            self.awake.begin().await;
            Ok::<_, EngineError>((place, content))
        };
        let (place, content) = tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => return Ok(None),
            prepared = preparation => prepared?,
        };
        self.progress.reach(StartPhase::Starting);
        let output = self.output(context);
        let launch = self.complete(context, engine.capabilities().engine, content)?;
        self.warn_of_params(context, engine.as_ref()).await;
        *asked = true;
        // Never dropped half-way: a start that was cut off could leave a container that nobody waits for.
        let handle = engine.start(&launch).await?;
        drop(place);
        self.say(Stage::Started(handle.clone()));
        Ok(Some((engine.clone(), handle, output)))
    }

    /// The launch with the values that nobody writes down, and with its trial's identity, now that the content of its image
    /// is known, which is recorded.
    fn complete(
        &self,
        context: &RunContext,
        engine: EngineName,
        content: Option<String>,
    ) -> Result<Launch, EngineError> {
        let mut launch = self.launch.clone();
        let refused = |missing: MissingValues| EngineError::Refused { message: missing.to_string() };
        launch.passed = context.passed.of(&launch.trial).map_err(refused)?;
        let hash = identity(&launch.trial, content.as_deref(), context.seed, &Triggers::default());
        launch.labels.insert(label::HASH.to_owned(), hash);
        if let (Some(image), Some(digest)) = (launch.trial.image.clone(), content.clone()) {
            launch.labels.insert(label::IMAGE.to_owned(), image.clone());
            let _gone = self.messages.send(Message::Image { engine, image, digest });
        }
        launch.content = content;
        Ok(launch)
    }

    /// Tells, once a run, that params do not fit into the environment of a trial.
    async fn warn_of_params(&self, context: &RunContext, engine: &dyn Engine) {
        if self.launch.params.is_none() || !context.tells_of_params() {
            return;
        }
        let trial = &self.launch.trial.name;
        let how = match engine.params_file(&self.launch).await {
            Some(_) => "COMBU_PARAMS_FILE names a file that has all of them".to_owned(),
            None => format!("the engine {} can give it no file of them either", engine.capabilities().engine),
        };
        self.warn(format!(
            "not all params of `{trial}` fit into its environment (Linux takes 128 KiB in a variable, and no NUL byte): those \
             that do not are left out, and {how}"
        ));
    }

    /// Follows the started attempt; its end is said before its container is removed.
    ///
    /// One that is adopted had run for some time, and may have been about to end for some reason.
    async fn follow(
        &self,
        context: &RunContext,
        engine: &dyn Engine,
        handle: Handle,
        mut output: Output,
        (ahead, cause): (Duration, Option<Ending>),
    ) {
        let started = self.clock.elapsed();
        let running = Running::new(self, engine, &handle, started, ahead);
        let mut recording = Recording::of(self, context, engine, &mut output).await;
        let Waited { exit: waited, cause, stood } = recording.during(running.wait(&mut output, cause)).await;
        recording.finish(self, &mut output).await;
        self.awake.set(false);
        // What may still run must not be launched a second time.
        let mut may_retry = true;
        let outcome = match waited {
            Err(error) => {
                may_retry = self.give_up(engine, &handle).await;
                Outcome::Lost { message: error.chain() }
            }
            Ok(exit) => judged(engine, &handle, exit, cause).await,
        };
        if let Some(error) = output.error() {
            self.tell_incomplete(engine, "logs", error);
        }
        if let Some(remark) = output.remark() {
            self.warn(format!("`{}` {remark}", self.launch.trial.name));
        }
        let seen = self.clock.elapsed().saturating_sub(started).saturating_sub(stood);
        let elapsed = self.ran(engine, &handle, seen, ahead).await;
        let missing = match outcome {
            // Nobody knows whether one that was lost had done its work: its outputs are none of the trial's.
            Outcome::Lost { .. } if may_retry => self.keep_lost(context, engine, &handle).await,
            Outcome::Lost { .. } => None,
            _ => self.collect(context, engine, &handle, &recording.artifacts()).await,
        };
        if let Some(because) = &missing {
            self.tell_incomplete(engine, "outputs", because);
        }
        // What could not be written is still in the container: `docker logs` and `docker cp` have it.
        let incomplete = output.error().is_some() || missing.is_some();
        let remove = context.removes(&outcome) && !incomplete;
        // Counted before others hear of the end and start.
        let removal = remove.then(|| context.removal());
        let (logs, usage) = (output.logs(), output.usage());
        let (ack, acked) = oneshot::channel();
        let ack = remove.then_some(ack);
        let kept = !remove;
        let end = End { elapsed, logs, usage, may_retry, kept, incomplete, ack, ..End::bare(outcome) };
        self.say(Stage::Ended(end));
        let Some(_removal) = removal else { return };
        // Until its end is kept, the container is all that tells of it.
        match acked.await {
            Ok(true) => {
                if self.remove(engine, &handle).await {
                    recording.clear();
                }
            }
            Ok(false) => {
                let _gone = self.messages.send(Message::Unremoved(self.place, self.launch.attempt));
            }
            // The dispatcher is gone: the whole process comes down.
            Err(_) => {}
        }
    }

    fn tell_incomplete(&self, engine: &dyn Engine, what: &str, because: &dyn std::fmt::Display) {
        let has_container = engine.capabilities().images;
        let kept = if has_container { "; its container has them, and they are fetched when there is room" } else { "" };
        self.warn(format!("the {what} of `{}` are not complete: {because}{kept}", self.launch.trial.name));
    }

    /// Waits for the exit, also while the engine is away.
    async fn exit(&self, engine: &dyn Engine, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        let mut patience = Patience::new(self, OUT_OF_SIGHT);
        loop {
            let began = self.clock.elapsed();
            let error = match engine.wait(handle, output).await {
                Err(error) if error.may_pass() => error,
                answer => return answer,
            };
            if self.clock.elapsed().saturating_sub(began) >= WENT_WELL {
                patience = Patience::new(self, OUT_OF_SIGHT);
            }
            if !patience.lasts(&error).await {
                return Err(error);
            }
        }
    }

    /// Stops an attempt that nobody can wait for any more: it should not go on unseen. False when it may.
    async fn give_up(&self, engine: &dyn Engine, handle: &Handle) -> bool {
        let problem = match timeout(LAST_TRY, engine.stop(handle, Duration::ZERO)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.chain(),
            Err(_) => no_answer(),
        };
        let name = &self.launch.trial.name;
        self.warn(format!("`{name}` may still run, and `combu kill` ends it: it could not be stopped: {problem}"));
        false
    }

    /// Says what the healthcheck decided; true when the attempt has to be stopped for it.
    fn report_health(&self, health: Result<Health, EngineError>) -> bool {
        match health {
            Ok(Health::Healthy) => self.say(Stage::Healthy),
            Ok(Health::Unhealthy) => {
                self.say(Stage::Unhealthy { stops: self.awaited });
                return self.awaited;
            }
            Ok(Health::Ended) => {}
            Err(error) => {
                self.warn(format!("the health of `{}` is unknown: {}", self.launch.trial.name, error.chain()));
                // It will never be known, and those who wait for it would wait for ever.
                if self.awaited {
                    self.say(Stage::Unhealthy { stops: self.awaited });
                }
                return self.awaited;
            }
        }
        false
    }

    fn output(&self, context: &RunContext) -> Output {
        let Some(folder) = context.log_folder(&self.launch) else { return Output::nowhere() };
        let output = Output::into_folder(&folder);
        match if context.resumed { output.clear() } else { Ok(()) } {
            Ok(()) => output,
            Err(error) => {
                self.warn(format!("the logs of `{}` are lost: {}: {error}", self.launch.trial.name, folder.display()));
                Output::nowhere()
            }
        }
    }

    fn warn(&self, text: String) {
        let _gone = self.messages.send(Message::Warning(text));
    }

    fn say(&self, stage: Stage) {
        // The dispatcher outlives its attempts, unless the whole process is coming down.
        let _gone = self.messages.send(Message::Attempt(self.place, stage));
    }
}

/// What the end of an attempt means that exited so, and that was being stopped for that cause.
async fn judged(engine: &dyn Engine, handle: &Handle, exit: Exit, cause: Option<Ending>) -> Outcome {
    match cause {
        Some(Ending::TimedOut) => Outcome::TimedOut,
        Some(Ending::Unhealthy) => Outcome::Unhealthy,
        Some(Ending::Asked(Stop::Killed { .. })) => Outcome::Killed,
        // Whoever asked for it knows why.
        Some(Ending::Asked(Stop::Pruned)) => Outcome::Pruned { because: String::new() },
        Some(Ending::Asked(Stop::Unneeded)) => Outcome::Stopped,
        // A program that ends with 0 when it is asked to has not done its work.
        None if exit == Exit::Code(0) && engine.was_stopped(handle).await => {
            Outcome::Lost { message: "something else stopped it, and it ended with 0".to_owned() }
        }
        None => Outcome::of(exit),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use insta::assert_snapshot;
    use tokio::sync::{mpsc, watch};
    use tokio::time::{Instant, sleep};

    use super::{Attempt, Begin, Stop};
    use crate::engine::fake::Scene;
    use crate::model::experiment::Experiment;
    use crate::model::name::{EngineName, Name, RunId};
    use crate::model::options::Options;
    use crate::model::outcome::Outcome;
    use crate::model::trial::{Healthcheck, Timeout, Trial};
    use crate::run::clock::{Awake, Clock};
    use crate::run::connections::Connections;
    use crate::run::context::RunContext;
    use crate::run::message::{Message, Stage};
    use crate::run::traces::shaky::{Shaky, Trouble};

    fn forever() -> Scene {
        Scene { run_for: Duration::from_secs(1_000_000), ..Scene::default() }
    }

    fn check() -> Healthcheck {
        Healthcheck { test: Vec::new(), interval: None, timeout: None, retries: None, start_period: None }
    }

    /// Runs an attempt to its end, with those requests to stop at those seconds; what it said, and when.
    #[expect(clippy::too_many_lines, reason = "one attempt with all that it needs")]
    async fn told(engine: Shaky, edit: impl FnOnce(&mut Attempt, &mut Trial), asks: &[(u64, Stop)]) -> String {
        let mut trial = Trial { engine: Some(EngineName::Fake), ..Trial::new(Name::parse("aa").unwrap()) };
        let experiment = Experiment {
            name: "exp".to_owned(),
            id: "id".to_owned(),
            spec: PathBuf::from("/exp.jsonnet"),
            options: Options::default(),
            trials: Vec::new(),
        };
        let engine = Arc::new(engine);
        let context =
            Arc::new(RunContext::new(&experiment, RunId::from("run"), 1, None, Connections::with(engine.clone())));
        let (messages, mut said) = mpsc::unbounded_channel();
        let (sender, stop) = watch::channel(None);
        let launch = context.launch(&Arc::new(trial.clone().into()), 1, Vec::new(), Vec::new());
        let clock = Clock::showing(Duration::ZERO);
        let mut attempt = Attempt {
            begin: Begin::Launch,
            progress: Arc::default(),
            place: 0,
            launch,
            health: None,
            awaited: false,
            slow: None,
            awake: Awake::not_yet(clock.clone()),
            clock: clock.clone(),
            median: watch::channel(None).1,
            stop,
            paused: watch::channel(false).1,
            messages,
        };
        edit(&mut attempt, &mut trial);
        attempt.launch.trial = Arc::new(trial.into());
        let began = Instant::now();
        let asking = async {
            for (at, ask) in asks {
                sleep((began + Duration::from_secs(*at)).duration_since(Instant::now())).await;
                sender.send_replace(Some(*ask));
            }
        };
        let mut lines = String::new();
        let reading = async {
            while let Some(message) = said.recv().await {
                let text = match message {
                    Message::Attempt(_, Stage::Ended(end)) => {
                        let again = if end.may_retry { "" } else { "; not to be launched again" };
                        format!("ended: {}{again}", end.outcome)
                    }
                    Message::Attempt(_, Stage::Started(_)) => "started".to_owned(),
                    Message::Attempt(_, stage) => format!("{stage:?}"),
                    Message::Warning(text) => format!("warned: {text}"),
                    Message::OutOfSight { warning: Some(text), .. } => format!("warned: {text}"),
                    Message::OutOfSight { warning: None, .. } => continue,
                    other => format!("{other:?}"),
                };
                lines.push_str(&format!("{:>6.0}  {text}\n", began.elapsed().as_secs_f64()));
            }
        };
        tokio::join!(attempt.run(context), asking, reading);
        let stopped = engine.stopped.lock().unwrap().join(" ");
        format!("{lines}stops (second/grace): {stopped}")
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_fails_is_repeated_with_what_is_left_of_the_grace() {
        let engine = Shaky { stops: Trouble::passing(5), ..Shaky::new(forever()) };
        let killed = told(engine, |_, _| {}, &[(2, Stop::Killed { at_once: false })]).await;
        assert_snapshot!(killed, @"
             0  started
             2  warned: `aa` could not be stopped and is stopped again: failed to ask: connection reset
            27  ended: killed
        stops (second/grace): 2/10 3/9 5/7 9/3 17/0 27/0
        ");
        let engine = Shaky { stops: Trouble::passing(1), ..Shaky::new(forever()) };
        let timed_out =
            told(engine, |_, trial| trial.timeout = Some(Timeout::After(Duration::from_secs(5))), &[]).await;
        assert_snapshot!(timed_out, @"
             0  started
             5  TimedOut(5s)
             5  warned: `aa` could not be stopped and is stopped again: failed to ask: connection reset
             6  ended: timed out
        stops (second/grace): 5/10 6/9
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn health_is_looked_at_again_when_the_look_failed() {
        let engine = Shaky {
            looks: Trouble::passing(6),
            ..Shaky::new(Scene { run_for: Duration::from_secs(100), ..Scene::default() })
        };
        assert_snapshot!(told(engine, |attempt, _| attempt.health = Some(check()), &[]).await, @"
             0  started
             0  warned: `aa` is not known to be healthy and is looked at again: failed to ask: connection reset
            35  Healthy
           100  ended: succeeded
        stops (second/grace):
        ");
        // The attempt's own end ends the looking.
        let engine = Shaky {
            looks: Trouble::passing(1000),
            ..Shaky::new(Scene { run_for: Duration::from_secs(100), ..Scene::default() })
        };
        assert_snapshot!(told(engine, |attempt, _| attempt.health = Some(check()), &[]).await, @"
             0  started
             0  warned: `aa` is not known to be healthy and is looked at again: failed to ask: connection reset
           100  ended: succeeded
        stops (second/grace):
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_health_that_can_never_be_known_is_bad_health_for_those_who_wait() {
        let awaited = |attempt: &mut Attempt, _: &mut Trial| {
            attempt.health = Some(check());
            attempt.awaited = true;
        };
        let engine = Shaky { looks: Trouble::lasting(), ..Shaky::new(forever()) };
        assert_snapshot!(told(engine, awaited, &[]).await, @"
             0  started
             0  warned: the health of `aa` is unknown: there is no such probe
             0  Unhealthy { stops: true }
             0  ended: was unhealthy
        stops (second/grace): 0/10
        ");
        let engine = Shaky {
            looks: Trouble::lasting(),
            ..Shaky::new(Scene { run_for: Duration::from_secs(100), ..Scene::default() })
        };
        assert_snapshot!(told(engine, |attempt, _| attempt.health = Some(check()), &[]).await, @"
             0  started
             0  warned: the health of `aa` is unknown: there is no such probe
           100  ended: succeeded
        stops (second/grace):
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_is_waited_for_while_its_engine_is_away() {
        let engine = Shaky { waits: Trouble::passing(100), ..Shaky::new(forever()) };
        let ends = |_: &mut Attempt, trial: &mut Trial| trial.timeout = Some(Timeout::After(Duration::from_secs(1000)));
        assert_snapshot!(told(engine, ends, &[]).await, @"
             0  started
             0  warned: `aa` is out of sight; combu looks for it for 10 min: failed to ask: connection reset
          1000  TimedOut(1000s)
          1000  ended: timed out
        stops (second/grace): 1000/10
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_an_engine_that_is_away_and_can_be_stopped_meanwhile() {
        let short = Scene { run_for: Duration::from_secs(5), ..Scene::default() };
        let away = |until| Shaky { all: Trouble::away(0, until), ..Shaky::new(short.clone()) };
        let asks = [(50, Stop::Killed { at_once: false })];
        let mut lines = vec![told(away(100), |_, _| {}, &[]).await];
        lines.push(told(away(100), |_, _| {}, &asks).await);
        lines.push(told(away(1_000_000), |_, _| {}, &[]).await);
        assert_snapshot!(lines.join("\n"), @"
             0  warned: `aa` could not be started and is started again: no fake engine answers at the stage: connection refused
           102  started
           107  ended: succeeded
        stops (second/grace): 
             0  warned: `aa` could not be started and is started again: no fake engine answers at the stage: connection refused
            50  ended: killed; not to be launched again
        stops (second/grace): 
             0  warned: `aa` could not be started and is started again: no fake engine answers at the stage: connection refused
           602  ended: could not be started: no fake engine answers at the stage: connection refused; not to be launched again
        stops (second/grace):
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_given_up_is_stopped_or_told_to_run_on() {
        let engine = Shaky { waits: Trouble::passing(usize::MAX), ..Shaky::new(forever()) };
        assert_snapshot!(told(engine, |_, _| {}, &[]).await, @"
             0  started
             0  warned: `aa` is out of sight; combu looks for it for 10 min: failed to ask: connection reset
           602  ended: was lost: failed to ask: connection reset
        stops (second/grace): 602/0
        ");
        let engine =
            Shaky { waits: Trouble::passing(usize::MAX), stops: Trouble::passing(usize::MAX), ..Shaky::new(forever()) };
        // Whoever asks twice does not wait for a dead engine.
        let asks = [(5, Stop::Killed { at_once: false }), (20, Stop::Killed { at_once: true })];
        assert_snapshot!(told(engine, |_, _| {}, &asks).await, @"
             0  started
             0  warned: `aa` is out of sight; combu looks for it for 10 min: failed to ask: connection reset
             5  warned: `aa` could not be stopped and is stopped again: failed to ask: connection reset
            20  warned: `aa` could not be stopped and is stopped again: failed to ask: connection reset
            22  warned: `aa` may still run, and `combu kill` ends it: it could not be stopped: failed to ask: connection reset
            22  ended: was lost: failed to ask: connection reset; not to be launched again
        stops (second/grace): 5/10 6/9 8/7 12/3 20/0 20/0 21/0 22/0
        ");
        let engine = Shaky { waits: Trouble::lasting(), ..Shaky::new(forever()) };
        assert_snapshot!(told(engine, |_, _| {}, &[]).await, @"
             0  started
             0  ended: was lost: there is no such probe
        stops (second/grace): 0/0
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_beyond_the_clocks_end_is_none() {
        for seconds in [10_000_000_000_000_000_000, u64::MAX] {
            let engine = Shaky::new(Scene { run_for: Duration::from_secs(3), ..Scene::default() });
            let told =
                told(engine, |_, trial| trial.timeout = Some(Timeout::After(Duration::from_secs(seconds))), &[]).await;
            assert_eq!(told, "     0  started\n     3  ended: succeeded\nstops (second/grace): ");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_strongest_request_to_stop_counts() {
        let stubborn = || Shaky::new(Scene { stubborn: true, ..forever() });
        let (unneeded, killed, at_once) =
            (Stop::Unneeded, Stop::Killed { at_once: false }, Stop::Killed { at_once: true });
        let mut lines = Vec::new();
        for asks in [[(1, unneeded), (2, killed)], [(1, killed), (2, unneeded)], [(1, unneeded), (2, at_once)]] {
            lines.push(told(stubborn(), |_, _| {}, &asks).await);
        }
        assert_snapshot!(lines.join("\n"), @"
             0  started
            11  ended: killed
        stops (second/grace): 1/10
             0  started
            11  ended: killed
        stops (second/grace): 1/10
             0  started
             2  ended: killed
        stops (second/grace): 1/10 2/0
        ");
        // What was its own fault stays so.
        let timeout = |_: &mut Attempt, trial: &mut Trial| trial.timeout = Some(Timeout::After(Duration::from_secs(1)));
        assert_snapshot!(told(stubborn(), timeout, &[(2, killed), (3, unneeded)]).await, @"
             0  started
             1  TimedOut(1s)
            11  ended: timed out
        stops (second/grace): 1/10
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kill_at_once_outlasts_a_later_weaker_request() {
        let engine = Shaky { stops: Trouble::passing(2), ..Shaky::new(Scene { stubborn: true, ..forever() }) };
        let asks = [(1, Stop::Killed { at_once: true }), (2, Stop::Unneeded)];
        assert_snapshot!(told(engine, |_, _| {}, &asks).await, @"
             0  started
             1  warned: `aa` could not be stopped and is stopped again: failed to ask: connection reset
             4  ended: killed
        stops (second/grace): 1/0 2/0 4/0
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_stopped_before_its_start_ended_as_it_was_asked_to() {
        for (ask, outcome) in [(Stop::Unneeded, Outcome::Stopped), (Stop::Killed { at_once: false }, Outcome::Killed)] {
            let engine = Shaky::new(forever());
            let stopped_first = |attempt: &mut Attempt, _: &mut Trial| {
                let (sender, stop) = watch::channel(Some(ask));
                attempt.stop = stop;
                drop(sender);
            };
            let told = told(engine, stopped_first, &[]).await;
            assert_eq!(told, format!("     0  ended: {outcome}; not to be launched again\nstops (second/grace): "));
        }
    }

    /// Pauses the run at some seconds, and lets it go on at others.
    fn paused(attempt: &Attempt, times: &'static [(u64, bool)]) {
        let (clock, began) = (attempt.clock.clone(), Instant::now());
        tokio::spawn(async move {
            for (at, stands) in times {
                sleep((began + Duration::from_secs(*at)).duration_since(Instant::now())).await;
                clock.set(*stands);
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_goes_on_before_it_is_stopped() {
        let stubborn = Shaky::new(Scene { stubborn: true, ..forever() });
        let edit = |attempt: &mut Attempt, _: &mut Trial| paused(attempt, &[(2, true), (50, false)]);
        assert_snapshot!(told(stubborn, edit, &[(30, Stop::Killed { at_once: false })]).await, @"
             0  started
            40  ended: killed
        stops (second/grace): 2/pause 30/unpause 30/10
        ");
        // Nor is one paused that is being stopped.
        let stubborn = Shaky::new(Scene { stubborn: true, ..forever() });
        let edit = |attempt: &mut Attempt, _: &mut Trial| paused(attempt, &[(4, true), (5, false)]);
        assert_snapshot!(told(stubborn, edit, &[(3, Stop::Killed { at_once: false })]).await, @"
             0  started
            13  ended: killed
        stops (second/grace): 3/10
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_fails_is_repeated_while_it_is_wanted_and_a_resume_until_it_succeeds() {
        let timed = |times: &'static [(u64, bool)]| {
            move |attempt: &mut Attempt, trial: &mut Trial| {
                trial.timeout = Some(Timeout::After(Duration::from_secs(10)));
                paused(attempt, times);
            }
        };
        let engine = Shaky { pauses: Trouble::passing(2), unpauses: Trouble::passing(3), ..Shaky::new(forever()) };
        let both = told(engine, timed(&[(2, true), (102, false)]), &[]).await;
        let engine = Shaky { pauses: Trouble::passing(usize::MAX), ..Shaky::new(forever()) };
        let short = told(engine, timed(&[(2, true), (6, false)]), &[]).await;
        let engine = Shaky { pauses: Trouble::lasting(), ..Shaky::new(forever()) };
        let never = told(engine, timed(&[(2, true), (6, false)]), &[]).await;
        assert_snapshot!(format!("{both}\n\n{short}\n\n{never}"), @"
             0  started
             2  warned: `aa` could not be paused: failed to ask: connection reset
           102  warned: `aa` could not be unpaused: failed to ask: connection reset
           110  TimedOut(10s)
           110  ended: timed out
        stops (second/grace): 2/pause 3/pause 5/pause 102/unpause 103/unpause 105/unpause 109/unpause 110/10

             0  started
             2  warned: `aa` could not be paused: failed to ask: connection reset
            14  TimedOut(10s)
            14  ended: timed out
        stops (second/grace): 2/pause 3/pause 5/pause 9/unpause 14/10

             0  started
             2  warned: `aa` could not be paused: there is no such probe
            14  TimedOut(10s)
            14  ended: timed out
        stops (second/grace): 2/pause 6/unpause 14/10
        ");
    }
}
