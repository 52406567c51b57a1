//! `combu set`.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::args::BudgetArgs;
use crate::cli::control::wire::{ControlReply, ControlRequest, ask};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::named;
use crate::cli::ui::Ui;
use crate::model::options::Budget;

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

    #[command(flatten)]
    budget: BudgetArgs,
}

pub(crate) fn main(file: Option<&Path>, args: &SetArgs, ui: &Ui) -> Result<u8, CliError> {
    let change = args.budget.budget();
    if change == Budget::default() {
        return Err(CliError::new(exit::USAGE, "nothing is set").hint(
            "there are -j, --cpus, --memory, --gpus, --limit, --load, --memfree and --pressure: `combu set -j 2`",
        ));
    }
    let run = named::whole(file, args.run.as_deref(), ui)?.one_live()?;
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

fn fields(change: &Budget) -> Map<String, Value> {
    match serde_json::to_value(change) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("a change serializes to an object, not {other:?}"),
    }
}
