//! A run from its start to its end: opened, started, followed, reported.

use std::collections::BTreeMap;

use crate::cli::args::OutputForm;
use crate::cli::control::server::Control;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::stage::detach;
use crate::cli::stage::searching::RunningSearch;
use crate::cli::stage::terminal::{OpenRun, Terminal};
use crate::cli::ui::Ui;
use crate::model::command::Command;
use crate::model::event::Sink;
use crate::model::name::{Name, RunId};
use crate::model::summary::Summary;
use crate::run::session::live::Live;
use crate::run::session::observer::observe;
use crate::run::session::start::Start;
use crate::run::session::{Prepared, Session};
use crate::store::RunDir;

/// Opens and starts a new run. One that cannot be started leaves nothing.
pub(crate) fn begin(
    session: &Session,
    terminal: &Terminal,
    prepared: Prepared,
    run: RunId,
    reused: BTreeMap<Name, RunId>,
    repeats: Option<RunId>,
) -> Result<StartedRun, CliError> {
    let search = RunningSearch::of(&prepared.plan.experiment)?;
    terminal.make_way(&prepared, &run, &reused)?;
    let OpenRun { folder, journal, sinks, control } = terminal.open(&prepared.plan, &run, repeats)?;
    let folder_path = Some(folder.path().to_path_buf());
    let start = Start { journal, reused, ..Start::unkept(run.clone(), folder_path) };
    let live = match session.start(prepared, start) {
        Ok(live) => live,
        Err(error) => {
            let mut error = CliError::from(error);
            error.details.extend(folder.discard().err().map(|stays| CliError::from(stays).message));
            return Err(error);
        }
    };
    Ok(StartedRun { run, live, folder, sinks, control, summary: Summary::default(), search, detached: false })
}

/// A run that has started.
pub(crate) struct StartedRun {
    pub(crate) run: RunId,
    pub(crate) live: Live,
    pub(crate) folder: RunDir,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    pub(crate) control: Control,
    /// The summary of its earlier lives.
    pub(crate) summary: Summary,
    /// The search that it carries out, if it does.
    pub(crate) search: Option<RunningSearch>,
    pub(crate) detached: bool,
}

/// Follows a run to its end, reports it, and says with which code combu ends.
pub(crate) fn follow(
    session: &Session,
    terminal: &Terminal,
    started: StartedRun,
    output: Option<OutputForm>,
    ui: &Ui,
) -> Result<u8, CliError> {
    let StartedRun { run, mut live, folder, mut sinks, control, summary, mut search, detached } = started;
    terminal.listen(&control, &folder, live.commands());
    let seen = if detached {
        // Until here, messages go to the foreground half.
        terminal.redirect(&folder).and_then(|log| detach::report_ready(&run, &log, ui))
    } else {
        Ok(())
    };
    if seen.is_err() {
        session.interrupt().fire("the end of its foreground half");
    }
    let mut failure = None;
    let summary = observe(summary, &mut live, &mut sinks, |event, summary, commands| {
        let follow = |search: &mut RunningSearch| -> Result<(), CliError> {
            for trial in search.hear(event, summary)? {
                // A run that ends early takes no more.
                if let Some(Err(refusal)) = commands.submit(trial) {
                    return Err(CliError::new(exit::USAGE, format!("search: {}", refusal.message)));
                }
            }
            Ok(())
        };
        if let Some(error) = search.as_mut().and_then(|search| follow(search).err()) {
            commands.send(Command::Drain { by: "an error in the search".to_owned() });
            (search, failure) = (None, Some(error));
        }
    });
    session.join();
    drop(control);
    terminal.close(&summary);
    // It is over for others, too: what is done now may ask for it, or run it again.
    drop(folder);
    terminal.tell_end(&summary);
    failure.map_or(Ok(()), Err)?;
    seen?;
    let code = exit::of_summary(&summary);
    let mut lost = terminal.lost();
    if output == Some(OutputForm::Json) {
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| CliError::new(exit::INTERNAL, format!("the results are no JSON: {error}")))?;
        lost = lost.or(ui.result(&text).err());
    }
    if let Some(error) = lost.map(CliError::from) {
        if code == exit::OK {
            return Err(error);
        }
        // The end of the run says more than that it could not be written.
        ui.message(&error.render(ui.err()));
    }
    Ok(code)
}
