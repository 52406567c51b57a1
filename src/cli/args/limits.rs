//! Arguments that limit a run: how its trials run, and their share of the machine.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::model::name::EngineName;
use crate::model::options::{
    Budget, Destination, Goal, Halt, Limit, Load, OnEnd, Options, Parallel, Prefix, Prune, Remove, Reserve,
    TrialDefaults, What, When,
};
use crate::model::retry::Retries;
use crate::model::trial::{Pull, Timeout};

/// Options of a run. They win over those of the spec or script.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(crate) struct LimitArgs {
    /// Repeat a failed trial up to N times, where the trial does not say it itself.
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Stop a trial that runs longer, such as `90s` or `2h 30m`, where the trial does not say it itself.
    ///
    /// `300%` is three times the median of what succeeded so far, once three trials have.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::timeout)]
    pub(crate) timeout: Option<Timeout>,

    /// Announce a trial that runs longer, a time or a share of the median. Default: three quarters of its timeout.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::timeout)]
    pub(crate) slow: Option<Timeout>,

    /// Halt the run after that time: nothing more starts, trials that run are stopped, exit code 101.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::duration)]
    pub(crate) time_budget: Option<Duration>,

    /// Start trials at least that far apart, such as `5s`.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::duration)]
    pub(crate) delay: Option<Duration>,

    /// End the run early, in GNU parallel's words: `now` or `soon`, then `fail`, `success` or `done`, `=N` or `=N%`.
    #[arg(long, value_name = "POLICY", value_parser = Halt::parse)]
    pub(crate) halt: Option<Halt>,

    /// Start nothing more once N trials failed: the same as `--halt soon,fail=N`.
    #[arg(long, value_name = "N", conflicts_with = "halt", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_fail: Option<u32>,

    /// Time between the stop signal and the kill, such as `30s`, where the trial does not say it itself.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::duration)]
    pub(crate) stop_grace: Option<Duration>,

    /// When images are pulled: always (once per run), missing or never.
    #[arg(long, value_name = "WHEN", value_parser = pull)]
    pub(crate) pull: Option<Pull>,

    #[command(flatten)]
    pub(crate) budget: BudgetArgs,

    /// Leave that much to the people at the machine: `cpus=1,memory=2g`.
    #[arg(long, value_name = "WHAT", value_parser = crate::spec::reserve, help_heading = "Budget")]
    pub(crate) reserve: Option<Reserve>,

    /// Let trials give way to other work: 0 (not at all) to 19; 10 where no number is given. Low CPU shares and disk weight.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10", value_parser = crate::spec::niceness, help_heading = "Budget")]
    pub(crate) nice: Option<u8>,

    /// Run every trial on this engine, whatever it says: docker, local, or fake for a rehearsal.
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    pub(crate) engine: Option<EngineName>,

    /// What the run is to find: `min loss`, `max acc`, or `min best(loss)` for the best of all steps. The summary names the
    /// best trial, and tables have it first.
    #[arg(long, value_name = "GOAL", value_parser = Goal::parse)]
    pub(crate) goal: Option<Goal>,

    /// End trials early that are not worth going on with, by the goal: 'asha(from=1, keep=3)', 'median(grace=5, least=3)',
    /// 'plateau(steps=10, by=0.001)', or a bound on a metric such as 'loss > 10'. May be given several times. docs/spec.md
    /// has the rules.
    #[arg(long, value_name = "RULE", value_parser = Prune::parse)]
    pub(crate) prune: Vec<Prune>,

    /// Removal of ended containers: success (the default; the others stay until `kill`), always or never.
    #[arg(long, value_name = "WHICH", value_parser = remove)]
    pub(crate) rm: Option<Remove>,

    /// Seed of the run, from which each trial's COMBU_SEED is derived. Default: random.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Begin the names of containers with the name of the experiment, of the user, or a text: experiment, user or TEXT.
    #[arg(long, value_name = "PREFIX", value_parser = Prefix::parse)]
    pub(crate) prefix: Option<Prefix>,

    /// Send the outputs of trials that ended to `s3://bucket/prefix` or `file:///folder`, below
    /// EXPERIMENT/RUN/TRIAL/. Credentials and endpoint come from the AWS variables.
    #[arg(long, value_name = "URL", value_parser = Destination::parse)]
    pub(crate) outputs_to: Option<Destination>,

    /// When the run has ended, post a message to a webhook `https://..`, send one to `mailto:you@lab`, or run a command with
    /// `sh`, which finds COMBU_RUN, COMBU_STATUS and COMBU_SUMMARY. `none`: nothing, whatever the spec says. Repeatable.
    #[arg(long, value_name = "WHAT", value_parser = OnEnd::parse)]
    pub(crate) on_end: Vec<OnEnd>,
}

/// What a run may take of the machine; can be changed while it is live.
#[derive(Debug, Args)]
#[command(next_help_heading = "Budget")]
pub(crate) struct BudgetArgs {
    /// Trials at once: `4`, `50%` of the CPUs, `-1` all but one. Default: as many as fit the CPUs of the engine's host,
    /// a trial without `cpus` counting one.
    #[arg(short = 'j', long, visible_alias = "parallel", value_name = "N", value_parser = Parallel::parse, allow_hyphen_values = true)]
    pub(crate) jobs: Option<Parallel>,

    /// CPUs for all trials together. Default: those of the engine's host.
    #[arg(long, value_name = "N", value_parser = cpu_number)]
    pub(crate) cpus: Option<f64>,

    /// Memory for all trials together, such as `16g`. Default: that of the engine's host.
    #[arg(long, value_name = "SIZE", value_parser = crate::spec::size)]
    pub(crate) memory: Option<u64>,

    /// GPUs for all trials together, by id: `0,1`. They are used even if other processes use them.
    /// Default: those found on the engine's host that no process uses.
    #[arg(long, value_name = "IDS", value_parser = gpus)]
    pub(crate) gpus: Option<GpuIds>,

    /// A limit that trials count against with their `limits`: `license=2`. Repeatable; the other limits stay.
    #[arg(long = "limit", value_name = "NAME=N", value_parser = crate::spec::limit)]
    pub(crate) limits: Vec<(String, u32)>,

    /// Start nothing new while more processes run, or want to: `80%` of the CPUs, or a number.
    #[arg(long, value_name = "LOAD", value_parser = Load::parse)]
    pub(crate) load: Option<Load>,

    /// Start nothing new while less memory is free: `4G`.
    #[arg(long, value_name = "SIZE", value_parser = crate::spec::size)]
    pub(crate) memfree: Option<u64>,

    /// Start nothing new while the kernel's pressure (a share of the last 10 s in which something waited for CPU, memory
    /// or disk) is above: `20`.
    #[arg(long, value_name = "PERCENT", value_parser = crate::spec::pressure)]
    pub(crate) pressure: Option<f64>,
}

impl BudgetArgs {
    /// The budget that they say.
    pub(crate) fn budget(&self) -> Budget {
        Budget {
            parallel: self.jobs,
            cpus: self.cpus,
            memory: self.memory,
            gpus: self.gpus.clone().map(|GpuIds(ids)| ids),
            limits: self.limits.iter().cloned().collect(),
            load: self.load,
            memfree: self.memfree,
            pressure: self.pressure,
        }
    }
}

/// GPUs by their ids.
#[derive(Debug, Clone)]
pub(crate) struct GpuIds(pub(crate) Vec<String>);

impl LimitArgs {
    /// Options of a run, as the arguments say them.
    pub(crate) fn options(&self) -> Options {
        let max_fail =
            self.max_fail.map(|count| Halt { when: When::Soon, what: What::Fail, limit: Limit::Count(count as usize) });
        Options {
            defaults: TrialDefaults {
                engine: self.engine,
                engine_of_all: None,
                retries: self.retries.map(|count| Arc::new(Retries::count(count))),
                timeout: self.timeout,
                stop_grace: self.stop_grace,
                pull: self.pull,
                nice: self.nice,
                prefix: self.prefix.clone(),
            },
            budget: self.budget.budget(),
            reserve: self.reserve,
            slow: self.slow,
            time_budget: self.time_budget,
            delay: self.delay,
            halt: self.halt.or(max_fail),
            goal: self.goal.clone(),
            prune: self.prune.clone(),
            search: None,
            rm: self.rm,
            seed: self.seed,
            outputs_to: self.outputs_to.clone(),
            on_end: self.on_end.clone(),
        }
    }
}

pub(crate) fn cpu_number(text: &str) -> Result<f64, String> {
    crate::spec::cpu_number(text).ok_or_else(|| format!("`{text}` is not a number of CPUs above zero"))
}

pub(crate) fn gpus(text: &str) -> Result<GpuIds, String> {
    crate::spec::gpu_ids(text).map(GpuIds)
}

pub(crate) fn engine(word: &str) -> Result<EngineName, String> {
    EngineName::parse(word).ok_or_else(|| choices(&EngineName::ALL.map(EngineName::as_str)))
}

fn pull(word: &str) -> Result<Pull, String> {
    Pull::parse(word).ok_or_else(|| choices(&Pull::ALL.map(Pull::as_str)))
}

fn remove(word: &str) -> Result<Remove, String> {
    Remove::parse(word).ok_or_else(|| choices(&Remove::ALL.map(Remove::as_str)))
}

fn choices(words: &[&str]) -> String {
    format!("write one of: {}", words.join(", "))
}
