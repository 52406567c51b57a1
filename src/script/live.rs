//! Live runs: started from the script and followed by it, to their end (`run`) or trial by trial (`start`).
//!
//! Whatever waits in a script serves every open run: their events are taken in, and their hooks called, also while the script
//! waits for another run, sleeps, or runs a line of shell.

mod open;
mod serve;
#[cfg(test)]
mod tests;

use rhai::Map;

use crate::model::name::RunId;
use crate::run::session::start::Start;
use crate::script::caller::Caller;
use crate::script::fault::{Answer, fault, run_fault};
use crate::script::hooks::Hooks;
use crate::script::host::Script;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::json::to_object;
use crate::script::values::result::{RunResult, TrialView};
use crate::spec;

pub(super) use open::Run;
use open::ScriptRun;
use serve::{Part, Served, serve};
pub(super) use serve::{look_again, pass, serve_until};

/// Plans and starts an experiment with the script's options; the command line's win.
fn begin(script: &Script, caller: &Caller<'_>, experiment: &ScriptExperiment, mut options: Map) -> Answer<Run> {
    script.check_interrupt()?;
    script.args.check(false)?;
    let hooks = Hooks::take(&mut options, &script.functions)?;
    let options = spec::options(&to_object(&options)?).map_err(|problems| fault(problems.to_string()))?;
    let options = script.options.clone().over(options);
    let (session, model) = (script.session.clone(), script.to_run(experiment));
    // The engines are asked here, where an interrupt ends the waiting; the start asks them nothing more.
    let prepare = move || session.prepare(model, options).and_then(|it| session.survey(&it).map(drop).map(|()| it));
    let prepared = serve_until(script, caller, prepare)?.map_err(|error| run_fault(&error))?;
    let run = RunId::from(script.stage.id().as_str());
    let mut opened = script.stage.open(&prepared, &run).map_err(fault)?;
    let journal = std::mem::replace(&mut opened.journal, Start::unkept(run.clone(), None).journal);
    let start = Start { journal, ..Start::unkept(run.clone(), opened.folder.clone()) };
    let live = match script.session.start(prepared, start) {
        Ok(live) => live,
        Err(error) => {
            script.stage.discard(opened).map_err(fault)?;
            return Err(run_fault(&error));
        }
    };
    script.stage.started(&run, live.commands());
    let run = ScriptRun::new(live, (opened.sinks, opened.keep), experiment, hooks);
    script.open.borrow_mut().push(run.clone());
    Ok(Run(run))
}

/// Runs an experiment to its end.
pub(super) fn run(
    script: &Script,
    caller: &Caller<'_>,
    experiment: &ScriptExperiment,
    options: Map,
) -> Answer<RunResult> {
    begin(script, caller, experiment, options)?.0.wait(script, caller)
}

/// Starts an experiment and leaves following it to the script.
pub(super) fn start(script: &Script, caller: &Caller<'_>, experiment: &ScriptExperiment, options: Map) -> Answer<Run> {
    let run = begin(script, caller, experiment, options)?;
    run.0.follow();
    Ok(run)
}

/// The next trial that ends in any of these runs, services apart; `None` when nothing is left to do in any of them.
pub(super) fn next_of(script: &Script, caller: &Caller<'_>, runs: &[Run]) -> Answer<Option<TrialView>> {
    for run in runs {
        run.0.check_outside("follow")?;
    }
    loop {
        for run in runs {
            if run.0.has_failed() {
                // Its error comes when its trials have ended.
                run.0.wait(script, caller)?;
            }
            if let Some(view) = run.0.pop(script) {
                return Ok(Some(view));
            }
        }
        // What is over in one run may go on because of what ends in another.
        let mut served = runs.iter().map(|run| serve(script, caller, Some((&*run.0, Part::Wanted)), None));
        if !served.any(|served| served == Served::Event) {
            return Ok(None);
        }
    }
}
