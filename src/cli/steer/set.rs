//! `combu set`.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::args::{GpuIds, cpu_number, gpus};
use crate::cli::control::wire::{ControlReply, ControlRequest, ask};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::cli::which::runs;
use crate::model::budget::{Change, Load};
use crate::model::options::Parallel;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu set -j 2                           at most two trials at once from now on
  combu set --cpus 4 --limit license=1     less of two things
  combu set -f sweep.jsonnet -j 50%        the run of that spec, where several are live
  combu set last --load 80%                the run that was started last";

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The run: the beginning of its id, or `last`. Default: the one that is live in this project, or with `-f FILE` the
    /// one of that spec.
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// Trials at once: `4`, `50%` of the CPUs, `-1` all but one.
    #[arg(short = 'j', long, value_name = "N", value_parser = Parallel::parse, allow_hyphen_values = true)]
    jobs: Option<Parallel>,

    /// CPUs for all trials together.
    #[arg(long, value_name = "N", value_parser = cpu_number)]
    cpus: Option<f64>,

    /// Memory for all trials together, such as `16g`.
    #[arg(long, value_name = "SIZE", value_parser = crate::spec::size)]
    memory: Option<u64>,

    /// GPUs for all trials together, by id: `0,1`.
    #[arg(long, value_name = "IDS", value_parser = gpus)]
    gpus: Option<GpuIds>,

    /// A limit that trials count against with their `limits`: `license=2`. Repeatable; the other limits stay.
    #[arg(long = "limit", value_name = "NAME=N", value_parser = crate::spec::limit)]
    limits: Vec<(String, u32)>,

    /// Start nothing new while more processes run, or want to: `80%` of the CPUs, or a number.
    #[arg(long, value_name = "LOAD", value_parser = Load::parse)]
    load: Option<Load>,

    /// Start nothing new while less memory is free: `4G`.
    #[arg(long, value_name = "SIZE", value_parser = crate::spec::size)]
    memfree: Option<u64>,

    /// Start nothing new while the kernel's pressure, in percent, is above: `20`.
    #[arg(long, value_name = "PERCENT", value_parser = crate::spec::pressure)]
    pressure: Option<f64>,
}

pub(crate) fn main(file: Option<&Path>, args: &SetArgs, ui: &Ui) -> Result<u8, CliError> {
    let change = args.change();
    if change == Change::default() {
        return Err(CliError::new(exit::USAGE, "nothing is set").hint(
            "there are -j, --cpus, --memory, --gpus, --limit, --load, --memfree and --pressure: `combu set -j 2`",
        ));
    }
    let run = runs(file, args.run.as_deref(), ui)?.one_live()?;
    let id = &run.record.run;
    match ask(&run, ControlRequest::Set { change: fields(&change) }, Duration::ZERO)? {
        ControlReply::Refused { message } => {
            Err(CliError::new(exit::USAGE, format!("run {id} was not changed: {message}")))
        }
        ControlReply::Unanswered => {
            ui.message(&format!("asked run {id} to set {change}; its script is busy and has not answered yet"));
            Ok(exit::OK)
        }
        _ => {
            ui.message(&format!("run {id}: set {change}"));
            Ok(exit::OK)
        }
    }
}

impl SetArgs {
    fn change(&self) -> Change {
        Change {
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

fn fields(change: &Change) -> Map<String, Value> {
    match serde_json::to_value(change) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("a change serializes to an object, not {other:?}"),
    }
}
