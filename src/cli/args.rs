//! The command line. The comments here are the manual: `--help` and `docs/cli.md` are made from them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::kill::{self, KillArgs};
use crate::cli::live::set::{self, SetArgs};
use crate::cli::live::why::{self, WhyArgs};
use crate::cli::past::resume::{self, ResumeArgs};
use crate::cli::past::rm::{self, GcArgs, RmArgs};
use crate::model::budget::{Load, Reserve};
use crate::model::name::EngineName;
use crate::model::options::{Halt, Limit, Options, Parallel, Remove, What, When};
use crate::model::retry::Retries;
use crate::model::trial::{Pull, Timeout};

/// Turn one container image into a thousand experiments.
///
/// Describe trials in a jsonnet spec, or build them in a Rhai script; combu runs them in dependency order, as many at
/// once as the machine holds, and leaves logs and exit codes behind in `.combu/`.
#[derive(Debug, Parser)]
#[command(name = "combu", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// The spec: a jsonnet or JSON file. Stands before or after the verb.
    #[arg(short = 'f', long = "file", value_name = "FILE", global = true)]
    pub(crate) file: Option<PathBuf>,

    /// This is the background half of `run --detach`.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER_HELP: &str = "Examples:
  combu -f experiment.jsonnet run          run every trial of the spec
  combu -f experiment.jsonnet kill         stop and remove everything it started
  combu plan experiment.jsonnet            show what would run, in which order
  combu run sweep.jsonnet --where 'params.mode == \"a\" && !done'
                                           run a part of it: what has not succeeded yet
  combu set -j 2                           let a live run take less of the machine
  combu why solver-3                       what a trial waits for, or how it ended
  combu script sweep.rhai --image solver   run a script";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the trials of a spec.
    Run(RunArgs),
    /// Go on with a run whose combu was killed, or which was ended early.
    ///
    /// Trials that run are found again, with their whole output; those that ended meanwhile are taken as they ended; the
    /// others run. Nothing that succeeded runs again, and nothing is launched twice.
    #[command(after_help = resume::HELP)]
    Resume(ResumeArgs),
    /// Stop and remove what was started from a spec or script, or in a run.
    ///
    /// Finds containers, processes and networks by combu's labels, so it also works for names that hold the UUID, after
    /// the spec was edited, and when no combu runs any more. A combu that is running it is asked to end. Nothing
    /// without combu's labels is touched. Trials that a script ran from a spec are known by that spec.
    #[command(after_help = kill::HELP)]
    Kill(KillArgs),
    /// Forget runs that have ended: their events, logs and outputs, and containers of theirs that were kept.
    #[command(after_help = rm::RM_HELP)]
    Rm(RmArgs),
    /// Forget old runs.
    #[command(after_help = rm::GC_HELP)]
    Gc(GcArgs),
    /// Show what would run, in which order, and what would be pulled or created. Starts nothing.
    Plan(PlanArgs),
    /// Run a Rhai script.
    Script(ScriptArgs),
    /// Change the budget of a run that is live, from any shell.
    ///
    /// What is not given stays as it is. Trials that run go on, also where they would not fit any more; the change counts
    /// for what starts from now on.
    #[command(after_help = set::HELP)]
    Set(SetArgs),
    /// Say what a trial waits for, or how it ended.
    ///
    /// A run that is live answers itself: a place among those that run at once, CPUs, memory, a GPU, a limit, another trial,
    /// an image, the start window, the machine's load. Where none is live, the last run's record tells how the trial ended.
    #[command(after_help = why::HELP)]
    Why(WhyArgs),
    /// Ends local trials when the combu that started them dies.
    #[command(name = "__watch", hide = true)]
    Watch {
        /// What the trials of that combu carry in their environment.
        token: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,

    /// Print the plan and start nothing; the same as `combu plan`.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Return once the run is handed to a combu in the background, which survives the terminal.
    #[arg(short = 'd', long, conflicts_with_all = ["dry_run", "output"])]
    pub(crate) detach: bool,

    /// Print the results on stdout in this form.
    #[arg(short = 'o', long, value_name = "FORM")]
    pub(crate) output: Option<Form>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    /// Print the resolved spec in this form instead of the text.
    #[arg(short = 'o', long, value_name = "FORM")]
    pub(crate) output: Option<Form>,
}

#[derive(Debug, Args)]
pub(crate) struct ScriptArgs {
    #[command(flatten)]
    pub(crate) jsonnet: JsonnetArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,

    /// The script, and its own arguments: `args()` and `param(name, default)` read what stands behind the file.
    #[arg(value_name = "FILE [ARGS]", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) script: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SpecArgs {
    /// The spec, instead of `-f FILE`.
    #[arg(value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,

    /// Only the trials that this expression is true of, such as 'params.mode == "a" && !done'; `run` and `plan` take what
    /// those depend on too.
    ///
    /// It is a Rhai expression, as in a script's `filter("..")`. It sees the trial's fields by their names in the spec,
    /// with `()` for what the trial does not say, and a param as `params.NAME`. Of the last time that the trial ended in a
    /// run of this spec it sees `done` (it succeeded), `failed`, and `status` (a word such as "oom"; "" where it never
    /// ended); rehearsals on the fake engine do not count.
    #[arg(long = "where", value_name = "EXPR")]
    pub(crate) filter: Option<String>,

    #[command(flatten)]
    pub(crate) jsonnet: JsonnetArgs,
}

/// As in the jsonnet command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Jsonnet")]
pub(crate) struct JsonnetArgs {
    /// Look for imports in this folder too; repeatable, the last one wins.
    #[arg(short = 'J', long = "jpath", value_name = "FOLDER")]
    pub(crate) jpath: Vec<PathBuf>,

    /// A string for `std.extVar`; without a value it is taken from the environment.
    #[arg(short = 'V', long, value_name = "NAME[=TEXT]", value_parser = binding)]
    pub(crate) ext_str: Vec<(String, String)>,

    /// Jsonnet code for `std.extVar`.
    #[arg(long, value_name = "NAME[=CODE]", value_parser = binding)]
    pub(crate) ext_code: Vec<(String, String)>,

    /// A string for an argument of a spec that is a function.
    #[arg(short = 'A', long, value_name = "NAME[=TEXT]", value_parser = binding)]
    pub(crate) tla_str: Vec<(String, String)>,

    /// Jsonnet code for an argument of a spec that is a function.
    #[arg(long, value_name = "NAME[=CODE]", value_parser = binding)]
    pub(crate) tla_code: Vec<(String, String)>,
}

/// They win over what the spec or script says for its runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(crate) struct LimitArgs {
    /// Trials at once: `4`, `50%` of the CPUs, `-1` all but one. Default: as many as fit the CPUs of the engine's host,
    /// a trial without `cpus` counting one.
    #[arg(short = 'j', long, value_name = "N", value_parser = Parallel::parse, allow_hyphen_values = true)]
    pub(crate) jobs: Option<Parallel>,

    /// Repeat a failed trial so often, where the trial does not say it itself.
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

    /// Halt the run after that time: nothing more starts, what runs is stopped, exit code 101.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::duration)]
    pub(crate) time_budget: Option<Duration>,

    /// End the run early, in GNU parallel's words: `now` or `soon`, then `fail`, `success` or `done`, `=N` or `=N%`.
    #[arg(long, value_name = "POLICY", value_parser = Halt::parse)]
    pub(crate) halt: Option<Halt>,

    /// Start nothing more once so many trials failed: the same as `--halt soon,fail=N`.
    #[arg(long, value_name = "N", conflicts_with = "halt", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_fail: Option<u32>,

    /// When images are pulled: always (once per run), missing or never.
    #[arg(long, value_name = "WHEN", value_parser = pull)]
    pub(crate) pull: Option<Pull>,

    #[command(flatten)]
    pub(crate) budget: BudgetArgs,

    /// Run every trial on this engine, whatever it says: docker, local, or fake for a rehearsal.
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    pub(crate) engine: Option<EngineName>,

    /// Which ended containers are removed: success (the default; the others stay until `kill`), always or never.
    #[arg(long, value_name = "WHICH", value_parser = remove)]
    pub(crate) rm: Option<Remove>,

    /// Seed of the run, from which each trial's COMBU_SEED is derived. Default: random.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// What the run may take of the machine. They win over what the spec or script says for its runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Budget")]
pub(crate) struct BudgetArgs {
    /// CPUs for all trials together. Default: those of the engine's host.
    #[arg(long, value_name = "N", value_parser = cpu_number)]
    pub(crate) cpus: Option<f64>,

    /// Memory for all trials together, such as `16g`. Default: that of the engine's host.
    #[arg(long, value_name = "SIZE", value_parser = crate::spec::size)]
    pub(crate) memory: Option<u64>,

    /// GPUs for all trials together, by id: `0,1`. They are used even if somebody else uses them.
    /// Default: those found on the engine's host that nobody uses.
    #[arg(long, value_name = "IDS", value_parser = gpus)]
    pub(crate) gpus: Option<Gpus>,

    /// Leave that much to the people at the machine: `cpus=1,memory=2g`.
    #[arg(long, value_name = "WHAT", value_parser = crate::spec::reserve)]
    pub(crate) reserve: Option<Reserve>,

    /// A limit that trials count against with their `limits`: `license=2`. Repeatable.
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

    /// Let trials give way to other work: 0 (not at all) to 19; 10 where no number is given. Low CPU shares and disk weight.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10", value_parser = crate::spec::niceness)]
    pub(crate) nice: Option<u8>,
}

/// Ids of GPUs.
#[derive(Debug, Clone)]
pub(crate) struct Gpus(pub(crate) Vec<String>);

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Display")]
pub(crate) struct ProgressArgs {
    /// How to show the run on stderr; `json` prints its events on stdout, a line each.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressMode,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, else lines.
    Auto,
    /// Bars.
    Bar,
    /// A line for each trial that ended.
    Plain,
    /// The events, a JSON line each, on stdout.
    Json,
    /// Nothing.
    None,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// JSON.
    Json,
}

impl LimitArgs {
    /// What they say, as run options.
    pub(crate) fn options(&self) -> Options {
        let max_fail =
            self.max_fail.map(|count| Halt { when: When::Soon, what: What::Fail, limit: Limit::Count(count as usize) });
        Options {
            slow: self.slow,
            time_budget: self.time_budget,
            cpus: self.budget.cpus,
            memory: self.budget.memory,
            gpus: self.budget.gpus.clone().map(|Gpus(ids)| ids),
            reserve: self.budget.reserve,
            limits: self.budget.limits.iter().cloned().collect(),
            load: self.budget.load,
            memfree: self.budget.memfree,
            pressure: self.budget.pressure,
            nice: self.budget.nice,
            parallel: self.jobs,
            retries: self.retries.map(Retries::count),
            timeout: self.timeout,
            stop_grace: None,
            halt: self.halt.or(max_fail),
            pull: self.pull,
            engine: self.engine,
            rm: self.rm,
            seed: self.seed,
        }
    }
}

/// `NAME=VALUE`, or `NAME` with the value of the environment's variable, as the jsonnet command reads them.
fn binding(text: &str) -> Result<(String, String), String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    match std::env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(_) => Err(format!("`{text}` has no value, and the environment has no readable variable of that name")),
    }
}

pub(crate) fn cpu_number(text: &str) -> Result<f64, String> {
    crate::spec::cpu_number(text).ok_or_else(|| format!("`{text}` is not a number of CPUs above zero"))
}

pub(crate) fn gpus(text: &str) -> Result<Gpus, String> {
    crate::spec::gpu_ids(text).map(Gpus)
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
