//! Arguments of `combu kill`.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::cli::args::{JsonnetArgs, NamePattern, engine};
use crate::cli::chosen::pattern;
use crate::cli::error::CliError;
use crate::cli::ui::Ui;
use crate::cli::which::runs;
use crate::model::name::EngineName;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu -f experiment.jsonnet kill       everything that was started from a spec
  combu kill k3jd                        everything of one run
  combu kill k3jd/'solver-*'             some trials of it; its combu goes on with the others
  combu kill --all                       everything of this project";

#[derive(Debug, Clone, Args)]
pub(crate) struct KillArgs {
    /// The spec, instead of `-f FILE`; or a run: the beginning of its id, or `last`; or trials of it, as `RUN/TRIAL`.
    #[arg(value_name = "FILE|RUN[/TRIAL]")]
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

impl KillArgs {
    /// The same, where the target is `RUN/TRIAL` and no file: that run, and those trials of it.
    pub(super) fn split(&self, file: Option<&Path>, ui: &Ui) -> Result<Option<Self>, CliError> {
        let Some((run, trial)) = self.target.as_deref().and_then(|target| target.split_once('/')) else {
            return Ok(None);
        };
        let is_run = run == "last" || !run.is_empty() && !runs(file, Some(run), ui)?.past.is_empty();
        if trial.is_empty() || !is_run || self.target.as_ref().is_some_and(|target| Path::new(target).exists()) {
            return Ok(None);
        }
        let trials = self.trials.iter().cloned().chain([pattern(trial)?]).collect();
        Ok(Some(Self { target: Some(run.to_owned()), trials, ..self.clone() }))
    }
}
