//! Running experiments from scripts: to the end, trial by trial, or only planned.

use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};

use crate::model::command::Command;
use crate::model::options::{Budget, Parallel};
use crate::model::trial::Trial;
use crate::script::api::{experiment, trial};
use crate::script::fault::{Answer, fault, fault_with, run_fault};
use crate::script::hooks::Caller;
use crate::script::host::Script;
use crate::script::live::{self, Following, Run};
use crate::script::values::convert::from_json;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::json::to_object;
use crate::script::values::result::RunResult;
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
    engine.register_fn("start", move |what: ScriptExperiment| live::start(&made, &what, Map::new()));
    let made = script.clone();
    engine.register_fn("start", move |what: ScriptExperiment, options: Map| live::start(&made, &what, options));
    let made = script.clone();
    engine.register_fn("start", move |what: Array| live::start(&made, &loose(&made, &what)?, Map::new()));
    let made = script.clone();
    engine.register_fn("start", move |what: Array, options: Map| live::start(&made, &loose(&made, &what)?, options));
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
        .register_fn("kill", |run: &mut Run| run.way.send(Command::Cancel { by: "the script".to_owned() }))
        .register_fn("drain", |run: &mut Run| run.way.send(Command::Drain { by: "the script".to_owned() }))
        .register_get("counts", counts)
        .register_set("parallel", |run: &mut Run, parallel: Dynamic| {
            let parallel = Parallel::parse(&parallel.to_string()).map_err(fault)?;
            run.way.send(Command::Set { change: Box::new(Budget { parallel: Some(parallel), ..Budget::default() }) });
            Ok::<_, Box<rhai::EvalAltResult>>(())
        })
        .register_fn("to_string", |run: &mut Run| text(run))
        .register_fn("to_debug", |run: &mut Run| text(run));
    let folder = script.folder.clone();
    engine.register_fn("submit", move |run: &mut Run, what: Dynamic| {
        run.way.submit(&*trial::given(&what.flatten(), &folder)?)
    });
    engine.register_fn("set", |run: &mut Run, change: Map| set(run, &change));
    engine.register_fn("why", |run: &mut Run, name: &str| {
        let lines = run.way.why(name)?;
        Ok::<_, Box<rhai::EvalAltResult>>(lines.into_iter().map(Dynamic::from).collect::<Array>())
    });
    let made = script.clone();
    engine.register_fn("next", move |context: NativeCallContext, run: &mut Run| {
        let next = followed(run)?.next(&made, &Caller::Inside(&context))?;
        Ok::<_, Box<rhai::EvalAltResult>>(next.map_or(Dynamic::UNIT, Dynamic::from))
    });
    let made = script.clone();
    engine.register_fn("wait", move |context: NativeCallContext, run: &mut Run| {
        followed(run)?.wait(&made, &Caller::Inside(&context))
    });
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
    run.way.send(Command::Set { change: Box::new(change) });
    Ok(())
}

fn followed(run: &Run) -> Answer<Rc<Following>> {
    run.following.clone().ok_or_else(|| fault("a hook cannot follow the run it belongs to"))
}

fn counts(run: &mut Run) -> Dynamic {
    let counts = run.following.as_ref().and_then(|following| following.counts()).unwrap_or(run.counts);
    from_json(&serde_json::to_value(counts).unwrap_or_default())
}

fn text(run: &Run) -> String {
    if run.way.is_closed() { "a run that has ended".to_owned() } else { "a run that goes on".to_owned() }
}
