//! Running experiments from scripts: to the end, trial by trial, or only planned.

use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};

use crate::model::command::Command;
use crate::model::name::Name;
use crate::model::options::{Budget, Parallel};
use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::script::api::{experiment, trial};
use crate::script::caller::Caller;
use crate::script::fault::{Answer, fault, fault_with, run_fault};
use crate::script::host::Script;
use crate::script::live::{self, Run};
use crate::script::selection::{Where, WhereError};
use crate::script::values::convert::from_json;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::json::to_object;
use crate::script::values::result::{RunResult, TrialView};
use crate::script::values::series::kind;
use crate::script::way::{BECAUSE, BY};
use crate::spec;

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("run", move |context: NativeCallContext, what: ScriptExperiment| {
        run(&made, &context, &what, Map::new())
    });
    let made = script.clone();
    engine.register_fn("run", move |context: NativeCallContext, what: ScriptExperiment, options: Map| {
        run(&made, &context, &what, options)
    });
    let made = script.clone();
    engine.register_fn("run", move |context: NativeCallContext, what: Array| {
        run(&made, &context, &loose(&made, &what)?, Map::new())
    });
    let made = script.clone();
    engine.register_fn("run", move |context: NativeCallContext, what: Array, options: Map| {
        run(&made, &context, &loose(&made, &what)?, options)
    });
    let made = script.clone();
    engine.register_fn("run", move |context: NativeCallContext, what: Arc<Trial>| {
        run(&made, &context, &loose(&made, &[Dynamic::from(what)])?, Map::new())
    });
    let made = script.clone();
    engine.register_fn("run", move |context: NativeCallContext, what: Arc<Trial>, options: Map| {
        run(&made, &context, &loose(&made, &[Dynamic::from(what)])?, options)
    });
    let made = script.clone();
    engine.register_fn("start", move |context: NativeCallContext, what: ScriptExperiment| {
        live::start(&made, &Caller::Inside(&context), &what, Map::new())
    });
    let made = script.clone();
    engine.register_fn("start", move |context: NativeCallContext, what: ScriptExperiment, options: Map| {
        live::start(&made, &Caller::Inside(&context), &what, options)
    });
    let made = script.clone();
    engine.register_fn("start", move |context: NativeCallContext, what: Array| {
        live::start(&made, &Caller::Inside(&context), &loose(&made, &what)?, Map::new())
    });
    let made = script.clone();
    engine.register_fn("start", move |context: NativeCallContext, what: Array, options: Map| {
        live::start(&made, &Caller::Inside(&context), &loose(&made, &what)?, options)
    });
    let made = script.clone();
    engine.register_fn("plan", move |what: ScriptExperiment| plan(&made, &what, &Map::new()));
    let made = script.clone();
    engine.register_fn("plan", move |what: Array| plan(&made, &loose(&made, &what)?, &Map::new()));
    let made = script.clone();
    engine.register_fn("plan", move |what: Array, options: Map| plan(&made, &loose(&made, &what)?, &options));
    let made = script.clone();
    engine.register_fn("plan", move |what: ScriptExperiment, options: Map| plan(&made, &what, &options));
    register_live(engine, script);
}

fn register_live(engine: &mut Engine, script: &Rc<Script>) {
    engine
        .register_type_with_name::<Run>("Run")
        .register_fn("kill", |run: &mut Run| run.0.way.send(Command::Cancel { by: BY.to_owned() }))
        .register_fn("drain", |run: &mut Run| run.0.way.send(Command::Drain { by: BY.to_owned() }))
        .register_fn("pause", |run: &mut Run| run.0.way.send(Command::Pause { by: BY.to_owned() }))
        .register_fn("unpause", |run: &mut Run| run.0.way.send(Command::Unpause { by: BY.to_owned() }))
        .register_get("name", |run: &mut Run| run.0.experiment.name().to_owned())
        .register_set("parallel", |run: &mut Run, parallel: Dynamic| {
            let parallel = Parallel::parse(&parallel.to_string()).map_err(fault)?;
            let change = Budget { parallel: Some(parallel), ..Budget::default() };
            run.0.way.send(Command::Set { change: Box::new(change) });
            Ok::<_, Box<rhai::EvalAltResult>>(())
        })
        .register_fn("set", |run: &mut Run, change: Map| set(run, &change))
        .register_fn("to_string", |run: &mut Run| text(run))
        .register_fn("to_debug", |run: &mut Run| text(run));
    let folder = script.folder.clone();
    engine.register_fn("submit", move |run: &mut Run, what: Dynamic| {
        run.0.way.submit(&*trial::given(&what.flatten(), &folder)?)
    });
    engine.register_fn("why", |run: &mut Run, name: &str| {
        let lines = run.0.way.why(name)?;
        Ok::<_, Box<rhai::EvalAltResult>>(lines.into_iter().map(Dynamic::from).collect::<Array>())
    });
    register_waits(engine, script);
    register_handles(engine, script);
}

/// What waits for a run, or for several.
fn register_waits(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("next", move |context: NativeCallContext, run: &mut Run| {
        next(&made, &context, std::slice::from_ref(run))
    });
    let made = script.clone();
    engine.register_fn("next_of", move |context: NativeCallContext, runs: Array| {
        let one = |run: Dynamic| {
            let found = kind(&run);
            run.try_cast::<Run>().ok_or_else(|| fault(format!("`next_of` takes runs that `start` gave, not {found}")))
        };
        next(&made, &context, &runs.into_iter().map(one).collect::<Answer<Vec<Run>>>()?)
    });
    let made = script.clone();
    engine.register_fn("wait", move |context: NativeCallContext, run: &mut Run| {
        run.0.wait(&made, &Caller::Inside(&context))
    });
}

/// Trials of a run that goes on, and what is done to several of them.
fn register_handles(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_get("counts", move |context: NativeCallContext, run: &mut Run| {
        let counts = run.0.counts(&made, &Caller::Inside(&context));
        Ok::<_, Box<rhai::EvalAltResult>>(from_json(&serde_json::to_value(counts).unwrap_or_default()))
    });
    let made = script.clone();
    engine.register_fn("get", move |context: NativeCallContext, run: &mut Run, name: &str| {
        handle(&made, &Caller::Inside(&context), run, name)
    });
    let made = script.clone();
    engine.register_fn("trials", move |context: NativeCallContext, run: &mut Run| {
        array(run.0.trials(&made, &Caller::Inside(&context)))
    });
    let made = script.clone();
    engine.register_fn("trials", move |context: NativeCallContext, run: &mut Run, expression: &str| {
        Ok::<_, Box<rhai::EvalAltResult>>(array(selected(&made, &Caller::Inside(&context), run, expression)?))
    });
    let made = script.clone();
    engine.register_fn("kill", move |context: NativeCallContext, run: &mut Run, what: Dynamic| {
        for_each(&made, &context, run, &what, |trial| Command::Kill { trial, at_once: false })
    });
    let made = script.clone();
    engine.register_fn("prune", move |context: NativeCallContext, run: &mut Run, what: Dynamic, because: &str| {
        for_each(&made, &context, run, &what, |trial| Command::Prune { trial, because: because.to_owned() })
    });
    let made = script.clone();
    engine.register_fn("pause", move |context: NativeCallContext, run: &mut Run, what: Dynamic| {
        for_each(&made, &context, run, &what, |trial| Command::PauseTrial { trial, because: BECAUSE.to_owned() })
    });
    let made = script.clone();
    engine.register_fn("pause", move |context: NativeCallContext, run: &mut Run, what: Dynamic, because: &str| {
        for_each(&made, &context, run, &what, |trial| Command::PauseTrial { trial, because: because.to_owned() })
    });
    let made = script.clone();
    engine.register_fn("unpause", move |context: NativeCallContext, run: &mut Run, what: Dynamic| {
        for_each(&made, &context, run, &what, |trial| Command::UnpauseTrial { trial })
    });
}

/// Asks for something to be done with each trial that is meant, and says how many those are.
fn for_each(
    script: &Script,
    context: &NativeCallContext,
    run: &Run,
    what: &Dynamic,
    command: impl Fn(Name) -> Command,
) -> Answer<i64> {
    let chosen = chosen(script, &Caller::Inside(context), run, what)?;
    for view in &chosen {
        run.0.way.send(command(view.result.trial.name.clone()));
    }
    Ok(chosen.len() as i64)
}

fn next(script: &Script, context: &NativeCallContext, runs: &[Run]) -> Answer<Dynamic> {
    let next = live::next_of(script, &Caller::Inside(context), runs)?;
    Ok(next.map_or(Dynamic::UNIT, Dynamic::from))
}

/// The trial of that name, as far as its run is now.
fn handle(script: &Script, caller: &Caller<'_>, run: &Run, name: &str) -> Answer<TrialView> {
    if let Some(view) = Name::parse(name).ok().and_then(|name| run.0.get(script, caller, &name)) {
        return Ok(view);
    }
    let names: Vec<String> = run.0.trials(script, caller).iter().map(|view| view.name().to_owned()).collect();
    let message = format!("the run has no trial `{name}`");
    // It may have been meant as an expression.
    let near = did_you_mean(name, names.iter().map(String::as_str));
    let hint = near.or_else(|| Where::parse(name).err().and_then(|error| error.hint));
    Err(hint.map_or_else(|| fault(&message), |hint| fault_with(&message, hint)))
}

/// The trials of which an expression is true, as far as their run is now.
fn selected(script: &Script, caller: &Caller<'_>, run: &Run, expression: &str) -> Answer<Vec<TrialView>> {
    let wrong = |error: WhereError| match error.hint {
        Some(hint) => fault_with(error.message, hint),
        None => fault(error.message),
    };
    let asked = Where::parse(expression).map_err(wrong)?;
    let views = run.0.trials(script, caller);
    asked.check_params(views.iter().map(|view| &*view.result.trial.written)).map_err(wrong)?;
    let mut selected = Vec::new();
    for view in views {
        if asked.holds_now(&view.result).map_err(wrong)? {
            selected.push(view);
        }
    }
    Ok(selected)
}

/// The trials that are meant by a name, an expression, a trial or a list of those.
fn chosen(script: &Script, caller: &Caller<'_>, run: &Run, what: &Dynamic) -> Answer<Vec<TrialView>> {
    if let Ok(list) = what.as_array_ref() {
        let chosen = list.iter().map(|one| chosen(script, caller, run, one)).collect::<Answer<Vec<_>>>()?;
        return Ok(chosen.into_iter().flatten().collect());
    }
    if let Some(view) = what.read_lock::<TrialView>() {
        return handle(script, caller, run, view.name()).map(|view| vec![view]);
    }
    if let Some(trial) = what.read_lock::<Arc<Trial>>() {
        return handle(script, caller, run, trial.name.as_str()).map(|view| vec![view]);
    }
    let text = what.clone().into_string().map_err(|found| {
        fault_with(
            format!("{found} says no trial"),
            "write a name, an expression such as \"running\", a trial, or a list",
        )
    })?;
    // A name is a word; everything else is an expression.
    match Name::parse(&text) {
        Ok(name) if run.0.get(script, caller, &name).is_some() || Where::parse(&text).is_err() => {
            handle(script, caller, run, &text).map(|view| vec![view])
        }
        _ => selected(script, caller, run, &text),
    }
}

fn array(views: Vec<TrialView>) -> Array {
    views.into_iter().map(Dynamic::from).collect()
}

fn run(script: &Script, context: &NativeCallContext, what: &ScriptExperiment, options: Map) -> Answer<RunResult> {
    live::run(script, &Caller::Inside(context), what, options)
}

/// An experiment of trials that no one has named: it is called like the script.
fn loose(script: &Script, trials: &[Dynamic]) -> Answer<ScriptExperiment> {
    let name = script.path.file_stem().unwrap_or_default().to_string_lossy();
    experiment::make(script, &name, trials)
}

fn plan(script: &Script, what: &ScriptExperiment, options: &Map) -> Answer<String> {
    let options = spec::options(&to_object(options)?).map_err(|problems| fault(problems.to_string()))?;
    let options = script.options.clone().over(options);
    let (session, model) = (script.session.clone(), script.to_run(what));
    let prepared = script.wait_for(move || session.prepare(model, options))?;
    let plan = prepared.map_err(|error| run_fault(&error))?.plan;
    Ok(plan.to_string())
}

/// Changes the budget of a run that goes on.
fn set(run: &Run, change: &Map) -> Answer<()> {
    let change = spec::budget(&to_object(change)?).map_err(|problems| fault(problems.to_string()))?;
    if change == Budget::default() {
        return Err(fault_with(
            "nothing is set",
            format!("there are {}", spec::BUDGET.iter().map(|option| option.name).collect::<Vec<_>>().join(", ")),
        ));
    }
    run.0.way.send(Command::Set { change: Box::new(change) });
    Ok(())
}

fn text(run: &Run) -> String {
    if run.0.way.is_closed() { "a run that has ended".to_owned() } else { "a run that goes on".to_owned() }
}
