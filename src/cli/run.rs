//! `combu run`.

use std::convert::Infallible;
use std::path::Path;

use crate::cli::args::{Form, PlanArgs, RunArgs};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::stage::Terminal;
use crate::cli::ui::Ui;
use crate::cli::{detach, id, plan, session, signals, spec_path};
use crate::model::name::RunId;
use crate::run::observer::observe;

pub(crate) fn main(file: Option<&Path>, args: RunArgs, detached: bool, ui: &Ui) -> Result<u8, CliError> {
    if args.dry_run {
        let args = PlanArgs { spec: args.spec, limits: args.limits, output: args.output };
        return plan::main(file, &args, ui);
    }
    let path = spec_path(file, args.spec.spec.as_deref())?;
    if args.detach && !detached {
        return detach::hand_over(&path, ui);
    }
    if detached {
        detach::leave_terminal()?;
    }
    // The run's own id is what "UUID" stands for, so that either finds the other.
    let id = id();
    let experiment = crate::spec::load(&path, &args.spec.jsonnet.load_options(id.clone()))?;
    let session = session()?;
    let planned = session.plan(experiment, args.limits.options())?;
    let terminal = Terminal::new(ui, args.progress.progress, &path, detached)?;
    let run = RunId::from(id.as_str());
    let (folder, mut sinks) = terminal.open(&planned, &run)?;
    signals::listen(&session).map_err(|error| CliError::new(exit::INTERNAL, format!("no signal handler: {error}")))?;
    let mut live = match session.start(planned, run.clone(), Some(folder.path().to_path_buf())) {
        Ok(live) => live,
        Err(error) => {
            folder.discard()?;
            return Err(error.into());
        }
    };
    if detached {
        detach::report_ready(&run, &folder.path().join("combu.log"), ui);
    }
    let Ok(summary) = observe(&mut live, &mut sinks, |_, _, _| Ok::<(), Infallible>(()));
    session.join();
    terminal.close(&summary);
    if args.output == Some(Form::Json) {
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| CliError::new(exit::INTERNAL, format!("the results are no JSON: {error}")))?;
        ui.result(&text);
    }
    Ok(exit::of_summary(&summary))
}
