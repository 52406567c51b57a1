//! The context: what the attempts of one run share. It launches; the dispatcher decides.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::{Engine, EngineError, Launch};
use crate::model::capability::Capabilities;
use crate::model::environment::{self, ParamVariables};
use crate::model::experiment::Experiment;
use crate::model::label;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::Remove;
use crate::model::outcome::Outcome;
use crate::model::seed::mixed;
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;
use crate::run::clock::Clock;
use crate::run::connections::Connections;
use crate::run::load::{Machine, Reading};
use crate::run::passed::Passed;
use crate::run::permits::SharedRoom;
use crate::run::starts::{Place, Places};
use crate::run::uploads::Uploads;

/// Most removals in progress: past it, nothing more is started until some are done, or the daemon would fill up with
/// ended containers faster than it gets rid of them.
const REMOVALS: usize = 32;

/// What the attempts of one run share.
#[derive(Debug)]
pub(crate) struct RunContext {
    pub(crate) run: RunId,
    pub(crate) experiment: String,
    pub(crate) spec: PathBuf,
    pub(crate) seed: u64,
    pub(crate) folder: Option<PathBuf>,
    /// The ids of the contents of images that an earlier life of the run used, by engine and name.
    pub(crate) contents: BTreeMap<(EngineName, String), String>,
    /// Whether the run goes on from an earlier life, which may have left files in its folder.
    pub(crate) resumed: bool,
    /// The run's time.
    pub(crate) clock: Clock,
    /// What the load of this machine is read from.
    pub(crate) machine: Machine,
    /// Where outputs are sent, if anywhere.
    pub(crate) uploads: Option<Arc<Uploads>>,
    /// The values that trials are given and that nobody writes down.
    pub(crate) passed: Passed,
    /// The room that the run shares with others, if it does.
    pub(crate) room: Option<SharedRoom>,
    remove: Remove,
    engines: Connections,
    starts: Mutex<HashMap<EngineName, Arc<Places>>>,
    removals: watch::Sender<usize>,
    /// Whether it was told that no file for metrics can be made.
    told_of_metrics: AtomicBool,
    /// Whether it was told that params do not fit into an environment.
    told_of_params: AtomicBool,
    /// What it was told that trials wait for.
    told_of_lacks: Mutex<HashSet<String>>,
    /// The trials of which it was told that outputs are missing.
    told_of_outputs: Mutex<HashSet<Name>>,
}

impl RunContext {
    pub(crate) fn new(
        experiment: &Experiment,
        run: RunId,
        seed: u64,
        folder: Option<PathBuf>,
        engines: Connections,
    ) -> Self {
        Self {
            run,
            experiment: experiment.name.clone(),
            spec: experiment.spec.clone(),
            seed,
            folder,
            contents: BTreeMap::new(),
            resumed: false,
            clock: Clock::showing(Duration::ZERO),
            machine: Reading::now,
            uploads: None,
            passed: Passed::default(),
            room: None,
            remove: experiment.options.rm.unwrap_or_default(),
            engines,
            starts: Mutex::default(),
            removals: watch::Sender::new(0),
            told_of_metrics: AtomicBool::new(false),
            told_of_params: AtomicBool::new(false),
            told_of_lacks: Mutex::default(),
            told_of_outputs: Mutex::default(),
        }
    }

    /// Whether people are still to be told that no file for metrics can be made: once a run.
    pub(crate) fn tells_of_metrics(&self) -> bool {
        !self.told_of_metrics.swap(true, Ordering::Relaxed)
    }

    /// Whether people are still to be told that params do not fit into an environment: once a run.
    pub(crate) fn tells_of_params(&self) -> bool {
        !self.told_of_params.swap(true, Ordering::Relaxed)
    }

    /// Whether people are still to be told that trials wait for that: once, however many do.
    pub(crate) fn tells_of_lack(&self, lack: &str) -> bool {
        self.told_of_lacks.lock().expect("no code panics while it holds the lock").insert(lack.to_owned())
    }

    /// Whether people are still to be told that outputs of a trial are missing: once, however many attempts it takes.
    pub(crate) fn tells_of_outputs(&self, trial: &Name) -> bool {
        self.told_of_outputs.lock().expect("no code panics while it holds the lock").insert(trial.clone())
    }

    /// Everything the engine is told of an attempt that gets those cores and GPUs.
    pub(crate) fn launch(&self, trial: &Arc<Settled>, attempt: u32, cores: Vec<u32>, gpus: Vec<String>) -> Launch {
        let (env, params) = self.env(trial, attempt, &gpus);
        Launch {
            run: self.run.clone(),
            trial: trial.clone(),
            attempt,
            content: self.content(trial),
            env,
            // Known to the attempt alone, and when it starts.
            passed: Vec::new(),
            params,
            cores,
            gpus,
            folder: self.folder.clone(),
            labels: self.labels(trial, attempt),
        }
    }

    /// The content of the trial's image that an earlier life of the run used.
    fn content(&self, trial: &Settled) -> Option<String> {
        self.contents.get(&(trial.engine, trial.image.clone()?)).cloned()
    }

    pub(crate) async fn engine(&self, name: EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        self.engines.get(name).await
    }

    /// A place among the starts in flight on that engine.
    pub(crate) async fn place_to_start(&self, engine: &Capabilities) -> Place {
        let places = {
            let mut starts = self.starts.lock().expect("no code panics while it holds the lock");
            starts.entry(engine.engine).or_insert_with(|| Places::new(engine.starts)).clone()
        };
        // The sender is this context's own: the wait ends only because there is room.
        let _ended = self.removals.subscribe().wait_for(|removals| *removals < REMOVALS).await.is_err();
        places.take().await
    }

    /// How many attempts wait for a place among the starts in flight.
    pub(crate) fn waiting(&self) -> usize {
        let starts = self.starts.lock().expect("no code panics while it holds the lock");
        starts.values().map(|places| places.waiting()).sum()
    }

    /// Counts a removal in progress for as long as the answer lives.
    pub(crate) fn removal(&self) -> Removal<'_> {
        self.removals.send_modify(|removals| *removals += 1);
        Removal(&self.removals)
    }

    /// A random number from 0 to 1 (1 apart) for what follows an attempt, the same for the same seed.
    pub(crate) fn chance(&self, trial: &Name, attempt: u32) -> f64 {
        f64::from(trial_seed(mixed(self.seed ^ u64::from(attempt)), trial.as_str())) / (f64::from(u32::MAX) + 1.0)
    }

    /// Where the attempt's logs go, if they are kept.
    pub(crate) fn log_folder(&self, launch: &Launch) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(launch.trial.name.as_str()).join(launch.attempt.to_string()))
    }

    /// Where the outputs of the trial's last attempt go, if they are kept.
    pub(crate) fn output_folder(&self, trial: &Name) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(trial.as_str()).join("outputs"))
    }

    /// Whether what is left of an attempt is removed after it ended so.
    pub(crate) fn removes(&self, outcome: &Outcome) -> bool {
        match self.remove {
            Remove::Always => true,
            Remove::Success => outcome.is_fine(),
            Remove::Never => false,
        }
    }

    /// Whether everything a successful run made goes with it.
    pub(crate) fn cleans(&self) -> bool {
        self.remove != Remove::Never
    }

    fn labels(&self, trial: &Settled, attempt: u32) -> BTreeMap<String, String> {
        BTreeMap::from([
            (label::RUN.to_owned(), self.run.to_string()),
            (label::EXPERIMENT.to_owned(), self.experiment.clone()),
            (label::TRIAL.to_owned(), trial.name.to_string()),
            (label::ATTEMPT.to_owned(), attempt.to_string()),
            (label::SPEC.to_owned(), self.spec.to_string_lossy().into_owned()),
            (label::STOP_GRACE.to_owned(), trial.stop_grace.as_secs_f64().to_string()),
            (label::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ])
    }

    /// combu's own variables, and all params as JSON where some of them do not fit among those.
    fn env(&self, trial: &Trial, attempt: u32, gpus: &[String]) -> (Vec<(String, String)>, Option<Arc<str>>) {
        let mut env = vec![
            ("COMBU".to_owned(), "1".to_owned()),
            ("COMBU_RUN_ID".to_owned(), self.run.to_string()),
            ("COMBU_EXPERIMENT".to_owned(), self.experiment.clone()),
            ("COMBU_TRIAL".to_owned(), trial.name.to_string()),
            ("COMBU_ATTEMPT".to_owned(), attempt.to_string()),
            ("COMBU_SEED".to_owned(), trial_seed(self.seed, trial.name.as_str()).to_string()),
        ];
        let room = environment::ALL.saturating_sub(environment::own_size(trial));
        let ParamVariables { given, left_out } = ParamVariables::of(&trial.params, room);
        env.extend(given);
        if let Some(cpus) = trial.cpus {
            env.push(("COMBU_CPUS".to_owned(), cpus.to_string()));
            env.push(("OMP_NUM_THREADS".to_owned(), (cpus.floor().max(1.0) as u64).to_string()));
        }
        if !gpus.is_empty() {
            env.push(("COMBU_GPUS".to_owned(), gpus.join(",")));
        }
        let params = || serde_json::Value::Object(trial.params.clone()).to_string().into();
        (env, (!left_out.is_empty()).then(params))
    }
}

/// A removal in progress.
#[derive(Debug)]
pub(crate) struct Removal<'a>(&'a watch::Sender<usize>);

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|removals| *removals -= 1);
    }
}

/// A trial's own seed, below 2^32 because numpy takes no larger one: FNV-1a over the run's seed and the trial's name, mixed,
/// since names that differ in their last letter alone differ in few bits of that.
fn trial_seed(seed: u64, name: &str) -> u32 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (mixed(hash) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::{REMOVALS, RunContext, trial_seed};
    use crate::engine::Engine;
    use crate::engine::fake::Fake;
    use crate::model::experiment::Experiment;
    use crate::model::options::Options;
    use crate::run::connections::Connections;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_started_while_ended_containers_pile_up() {
        let engine = Arc::new(Fake::default());
        let experiment = Experiment {
            name: "exp".to_owned(),
            id: "id".to_owned(),
            spec: "/exp.jsonnet".into(),
            options: Options::default(),
            trials: Vec::new(),
        };
        let context = RunContext::new(&experiment, "r1".into(), 1, None, Connections::with(engine.clone()));
        let start = async || {
            let place = timeout(Duration::from_secs(60), context.place_to_start(engine.capabilities())).await;
            place.is_ok()
        };
        let mut removals: Vec<_> = (1..REMOVALS).map(|_| context.removal()).collect();
        assert!(start().await);
        removals.push(context.removal());
        assert!(!start().await);
        removals.pop();
        assert!(start().await);
    }

    #[test]
    fn a_trials_seed_depends_on_the_runs_seed_and_the_name_only() {
        assert_eq!(trial_seed(1, "a1"), trial_seed(1, "a1"));
        assert_ne!(trial_seed(1, "a1"), trial_seed(1, "a2"));
        assert_ne!(trial_seed(1, "a1"), trial_seed(2, "a1"));
        let tops: HashSet<u32> = (0..200).map(|n| trial_seed(1, &format!("train-{n:03}")) >> 24).collect();
        assert!(tops.len() > 100, "200 trials share {} values of the top byte", tops.len());
    }
}
