//! The command line. The comments here are the manual: `--help` and `docs/cli.md` are made from them.

mod limits;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::kill::{self, KillArgs};
use crate::cli::live::set::{self, SetArgs};
use crate::cli::live::why::{self, WhyArgs};
use crate::cli::look::{LogsArgs, LsArgs, PsArgs, ResultsArgs, ShowArgs};
use crate::cli::past::diff::{self, DiffArgs};
use crate::cli::past::rerun::{self, RerunArgs};
use crate::cli::past::resume::{self, ResumeArgs};
use crate::cli::past::rm::{self, GcArgs, RmArgs};
use crate::plan::identity::Triggers;

pub(crate) use limits::{BudgetArgs, LimitArgs, engine};

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
  combu ps                                 the trials of the live run, or of the last
  combu logs -f solver-3                   what a trial writes
  combu results -o csv                     params, ends, times and metrics of all trials
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
    /// Run a part of a run again, in a run of its own.
    #[command(after_help = rerun::HELP)]
    Rerun(RerunArgs),
    /// Show which trials were added, changed or removed between two runs, or specs.
    #[command(after_help = diff::HELP)]
    Diff(DiffArgs),
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
    /// Budget the budget of a run that is live, from any shell.
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
    // Their manuals stand with their arguments.
    Ls(LsArgs),
    Ps(PsArgs),
    Show(ShowArgs),
    Logs(LogsArgs),
    Results(ResultsArgs),
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

    /// Run only what is new or changed, or has not succeeded: other trials stay as the last run of this spec left them.
    ///
    /// "UUID" stands for the same characters as in that run.
    #[arg(long)]
    pub(crate) resume: bool,

    /// With --resume: the changes that count, of image, cmd, env, mounts, limits, params and seed. Default: all of them.
    #[arg(long, value_name = "WHAT", value_parser = Triggers::parse, requires = "resume")]
    pub(crate) rerun_triggers: Option<Triggers>,

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
