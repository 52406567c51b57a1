//! `combu plan`, and `combu run --dry-run`.

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::args::{JsonnetArgs, LimitArgs, OutputForm, SpecArgs};
use crate::cli::chosen::select;
use crate::cli::config::file::options_below;
use crate::cli::context::{SpecSource, session, spec_path};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::engine::{EngineError, Survey};
use crate::model::experiment::Experiment;
use crate::model::options::{Options, TrialDefaults};
use crate::plan::{self, Plan};
use crate::run::session::{RunError, Session, new_id};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,

    /// Print the resolved spec in this form instead of the text.
    #[arg(short = 'o', long, value_name = "FORM")]
    pub(crate) output: Option<OutputForm>,

    #[command(flatten)]
    pub(crate) jsonnet: JsonnetArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

pub(crate) fn main(file: Option<&Path>, args: &PlanArgs, ui: &Ui) -> Result<u8, CliError> {
    let source = SpecSource::of(spec_path(file, args.spec.spec.as_deref())?)?;
    let options = args.jsonnet.load_options(new_id());
    let path = source.path(&options)?;
    let experiment = source.load(&options)?;
    let experiment = select(experiment, &args.spec, &path)?;
    let experiment = Experiment { options: experiment.options.over(options_below()?), ..experiment };
    let session = session()?;
    let (plan, survey) = look(&session, experiment, args.limits.options(), ui)?;
    match args.output {
        Some(OutputForm::Json) => ui.result(&resolved(&plan))?,
        None => ui.result(&text(&plan, &survey, ui.out().width))?,
    }
    for warning in plan.warnings.iter().chain(&survey.warnings) {
        ui.warn(warning);
    }
    session.check_values(&plan).map_err(RunError::from)?;
    if survey.obstacles.is_empty() { Ok(exit::OK) } else { Err(RunError::Obstacles(survey.obstacles).into()) }
}

/// The plan, and what the engines say of it; without an engine, what can be said without one.
fn look(session: &Session, experiment: Experiment, options: Options, ui: &Ui) -> Result<(Plan, Survey), CliError> {
    match session.prepare(experiment.clone(), options.clone()) {
        Ok(prepared) => {
            let survey = session.survey(&prepared)?.clone();
            Ok((prepared.plan, survey))
        }
        Err(RunError::Engine(error @ EngineError::Unreachable { .. })) => {
            ui.warn(&format!("{}; images, networks and limits were not looked at", error.chain()));
            Ok((plan::build(experiment, options, &plan::Engines::new())?, Survey::default()))
        }
        Err(error) => Err(error.into()),
    }
}

fn text(plan: &Plan, survey: &Survey, width: usize) -> String {
    let mut text = plan.text(width).unwrap_or_default();
    for (head, lines) in [("will", &survey.makes), ("uses", &survey.uses)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{head}\n"));
            for line in lines {
                text.push_str(&format!("  {line}\n"));
            }
        }
    }
    text
}

/// The resolved spec: a document that `combu run` takes.
fn resolved(plan: &Plan) -> String {
    let mut document = Map::new();
    document.insert("name".to_owned(), Value::String(plan.experiment.name.clone()));
    // Each trial has its engine in it.
    let defaults = TrialDefaults { engine_of_all: None, ..plan.experiment.options.defaults.clone() };
    if let Ok(Value::Object(options)) = serde_json::to_value(Options { defaults, ..plan.experiment.options.clone() }) {
        document.extend(options);
    }
    let trials = plan.trials.iter().map(|trial| Value::Object(trial.resolved().to_json()));
    document.insert("trials".to_owned(), trials.collect());
    format!("{:#}", Value::Object(document))
}
