//! Live runs: started from the script and followed by it, to their end (`run`) or trial by trial (`start`).
//!
//! Whatever waits in a script serves every open run: their events are taken in, and their hooks called, also while the script
//! waits for another run, sleeps, or runs a line of shell.

mod open;
mod recalled;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rhai::Map;

use crate::model::name::RunId;
use crate::model::options::Options;
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
use open::{Recalled, ScriptRun};
use recalled::RecalledRun;
use serve::{Part, Served, serve};
pub(super) use serve::{look_again, pass, replay, serve_until};

/// Plans and starts an experiment with the script's options; the command line's win.
fn begin(script: &Script, caller: &Caller<'_>, experiment: &ScriptExperiment, mut options: Map) -> Answer<Run> {
    script.check_interrupt()?;
    script.args.check(false)?;
    let hooks = Hooks::take(&mut options, &script.functions)?;
    let reuse = reuse(&mut options)?.unwrap_or(script.reuse);
    let options = spec::options(&to_object(&options)?).map_err(|problems| fault(problems.to_string()))?;
    let options = script.options.clone().over(options);
    let number = script.begun.get();
    let mut run = RunId::from(script.transcript.id()?.as_str());
    if let Some(earlier) = script.stage.earlier(&run).map_err(fault)? {
        if let Some(past) = RecalledRun::of(earlier, experiment) {
            script.begun.set(number + 1);
            return again(script, caller, experiment, (number, run, hooks, options), past);
        }
        script.transcript.leave_before_last();
        run = RunId::from(script.transcript.id()?.as_str());
    }
    script.begun.set(number + 1);
    let (session, model) = (script.session.clone(), script.to_run(experiment));
    // The engines are asked here, where an interrupt ends the waiting; the start asks them nothing more.
    let prepare = move || session.prepare(model, options).and_then(|it| session.survey(&it).map(drop).map(|()| it));
    let prepared = serve_until(script, caller, prepare)?.map_err(|error| run_fault(&error))?;
    let reused = match reuse {
        true => {
            let digests = &script.session.survey(&prepared).map_err(|error| run_fault(&error))?.digests;
            script.stage.reusable(&prepared.plan, digests).map_err(fault)?
        }
        false => BTreeMap::new(),
    };
    let mut opened = script.stage.open(&prepared, &run, &reused).map_err(fault)?;
    let journal = std::mem::replace(&mut opened.journal, Start::unkept(run.clone(), None).journal);
    let start = Start { journal, reused, ..Start::unkept(run.clone(), opened.folder.clone()) };
    let live = match script.session.start(prepared, start) {
        Ok(live) => live,
        Err(error) => {
            script.stage.discard(opened).map_err(fault)?;
            return Err(run_fault(&error));
        }
    };
    script.stage.started(&run, live.commands());
    let run = ScriptRun::new(number, live, (opened.sinks, opened.keep), experiment, hooks, Recalled::default());
    script.open.borrow_mut().push(run.clone());
    Ok(Run(run))
}

/// The options of a run in a script that are none of a spec, beside its hooks.
pub(super) const OWN: [&str; 2] = ["on_error", "reuse"];

/// Whether the run is to take over what succeeded unchanged in earlier runs, if that is said.
fn reuse(options: &mut Map) -> Answer<Option<bool>> {
    let Some(said) = options.remove("reuse") else { return Ok(None) };
    said.as_bool().map(Some).map_err(|found| fault(format!("`reuse` is true or false, not {found}")))
}

/// Takes up a run that the script began before it died: what it was then is heard again, and what is left of it goes on.
fn again(
    script: &Script,
    caller: &Caller<'_>,
    experiment: &ScriptExperiment,
    (number, run, hooks, options): (usize, RunId, Hooks, Options),
    past: RecalledRun,
) -> Answer<Run> {
    let RecalledRun { events, history, is_over, commands, experiment: model } = past;
    let known = Recalled { events, commands, is_over };
    if is_over {
        // It was prepared at this point.
        replay(script, caller);
        let run = ScriptRun::new(number, script.session.ended(), (Vec::new(), Box::new(())), experiment, hooks, known);
        script.open.borrow_mut().push(run.clone());
        return Ok(Run(run));
    }
    let session = script.session.clone();
    let prepare = move || session.prepare(model, options);
    let prepared = serve_until(script, caller, prepare)?.map_err(|error| run_fault(&error))?;
    let opened = script.stage.reopen(&run).map_err(fault)?;
    let start =
        Start { journal: opened.journal, past: Some(history), ..Start::unkept(run.clone(), opened.folder.clone()) };
    let live = script.session.start(prepared, start).map_err(|error| run_fault(&error))?;
    script.stage.started(&run, live.commands());
    let run = ScriptRun::new(number, live, (opened.sinks, opened.keep), experiment, hooks, known);
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
