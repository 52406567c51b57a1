//! Arguments of `combu kill`.

use std::time::Duration;

use clap::Args;

use crate::cli::args::{JsonnetArgs, NamePattern, engine};
use crate::model::name::EngineName;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu -f experiment.jsonnet kill       everything that was started from a spec
  combu kill k3jd                        everything of one run
  combu kill k3jd --trial 'solver-*'     some trials of it; its combu goes on with the others
  combu kill --all                       everything of this project";

#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The spec, instead of `-f FILE`; or a run: the beginning of its id, or `last`.
    #[arg(value_name = "FILE|RUN")]
    pub(super) target: Option<String>,

    /// Only the trials of that name, a pattern with `*`, `?` and `[a-z]`; repeatable.
    #[arg(short = 't', long = "trial", value_name = "NAME", value_parser = NamePattern::parse)]
    pub(super) trials: Vec<NamePattern>,

    /// Only the trials that this expression is true of, as they were recorded when they were started; see `combu run`.
    #[arg(long = "where", value_name = "EXPR", conflicts_with = "trials")]
    pub(super) filter: Option<String>,

    /// All trials that were started in this project: from a spec or script below the folder that `.combu/` lies in, or
    /// recorded there.
    #[arg(long, conflicts_with_all = ["target", "file"])]
    pub(super) all: bool,

    /// Time between the stop signal and the kill. Default: each trial's own `stop_grace`.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::duration)]
    pub(super) grace: Option<Duration>,

    /// Look on this engine only, instead of on those the spec names.
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    pub(super) engine: Option<EngineName>,

    /// Remove ended containers also where their logs, outputs and exit codes are kept nowhere else.
    ///
    /// Without this, what a combu that died left in them is saved in the record of its run first, and what cannot be saved
    /// stays.
    #[arg(long)]
    pub(super) discard: bool,

    #[command(flatten)]
    pub(super) jsonnet: JsonnetArgs,
}
