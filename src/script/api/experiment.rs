//! Experiments in scripts: loaded, put together, filtered.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};

use crate::model::script::ScriptQuestion;
use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::script::api::trial;
use crate::script::fault::{Answer, chain, fault, fault_with, within};
use crate::script::host::Script;
use crate::script::items::item;
use crate::script::selection::{Where, WhereError};
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::json::to_json;
use crate::script::values::series::kind;
use crate::spec::{self, LoadOptions};

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    engine
        .register_type_with_name::<ScriptExperiment>("Experiment")
        .register_iterator::<ScriptExperiment>()
        .register_get("name", |experiment: &mut ScriptExperiment| experiment.name().to_owned())
        .register_get("id", |experiment: &mut ScriptExperiment| experiment.id().to_owned())
        .register_get("trials", |experiment: &mut ScriptExperiment| trials(experiment))
        .register_fn("len", |experiment: &mut ScriptExperiment| experiment.trials().len() as i64)
        .register_fn("is_empty", |experiment: &mut ScriptExperiment| experiment.trials().is_empty())
        .register_fn("names", names)
        .register_fn("contains", |experiment: &mut ScriptExperiment, name: &str| experiment.get(name).is_some())
        .register_fn("to_string", |experiment: &mut ScriptExperiment| experiment.to_string())
        .register_fn("to_debug", |experiment: &mut ScriptExperiment| experiment.to_string())
        .register_fn("merge", |experiment: &mut ScriptExperiment, other: ScriptExperiment| merge(experiment, &other))
        .register_fn("+", |left: ScriptExperiment, right: ScriptExperiment| merge(&left, &right))
        .register_indexer_get(at)
        .register_indexer_get(named);
    register_selection(engine, script);
    let made = script.clone();
    engine.register_fn("experiment", move |path: &str| load(&made, path, &Map::new()));
    let made = script.clone();
    engine.register_fn("experiment", move |path: &str, options: Map| load(&made, path, &options));
    let made = script.clone();
    engine.register_fn("experiment", move |name: &str, trials: Array| make(&made, name, &trials));
}

fn register_selection(engine: &mut Engine, script: &Rc<Script>) {
    engine
        .register_fn("filter", |context: NativeCallContext, experiment: &mut ScriptExperiment, closure: FnPtr| {
            filter(&context, experiment, &closure, &Map::new())
        })
        .register_fn(
            "filter",
            |context: NativeCallContext, experiment: &mut ScriptExperiment, closure: FnPtr, options: Map| {
                filter(&context, experiment, &closure, &options)
            },
        )
        .register_fn("filter", {
            let made = script.clone();
            move |experiment: &mut ScriptExperiment, text: &str| filter_where(&made, experiment, text, &Map::new())
        })
        .register_fn("filter", {
            let made = script.clone();
            move |experiment: &mut ScriptExperiment, text: &str, options: Map| {
                filter_where(&made, experiment, text, &options)
            }
        })
        .register_fn("only", |experiment: &mut ScriptExperiment, names: Array| only(experiment, &names, &Map::new()))
        .register_fn("only", |experiment: &mut ScriptExperiment, names: Array, options: Map| {
            only(experiment, &names, &options)
        })
        .register_fn("without", |experiment: &mut ScriptExperiment, names: Array| {
            let away = selected(experiment, &names)?;
            let keep: Vec<bool> = away.iter().map(|away| !away).collect();
            Ok::<_, Box<rhai::EvalAltResult>>(experiment.keep(&keep, true))
        });
    let folder = script.folder.clone();
    engine.register_fn("map", move |context: NativeCallContext, experiment: &mut ScriptExperiment, closure: FnPtr| {
        let mapped = experiment.trials().iter().map(|trial| {
            let value: Dynamic = closure.call_within_context(&context, (trial.clone(),))?;
            if value.is_unit() {
                return Err(fault_with(
                    "the closure of `map` gave nothing",
                    "end it with the trial: `|t| { t.cpus = 2; t }`",
                ));
            }
            trial::given(&value, &folder)
        });
        Ok::<_, Box<rhai::EvalAltResult>>(experiment.with_trials(mapped.collect::<Answer<_>>()?))
    });
}

/// Puts an experiment together from trials or maps of their fields.
pub(super) fn make(script: &Script, name: &str, trials: &[Dynamic]) -> Answer<ScriptExperiment> {
    let mut list = Vec::with_capacity(trials.len());
    for (place, value) in trials.iter().enumerate() {
        match trial::given(value, &script.folder) {
            Ok(trial) => list.push(trial),
            Err(error) => return Err(within(&item(place), *error)),
        }
    }
    Ok(ScriptExperiment::made(name, script.transcript.id()?, &script.path, list))
}

/// The options of loading a spec.
pub(crate) const LOADING: [&str; 3] = ["id", "ext", "tla"];

fn load(script: &Script, path: &str, options: &Map) -> Answer<ScriptExperiment> {
    script.check_interrupt()?;
    let mut load = LoadOptions { id: script.transcript.id()?, ..script.load.clone() };
    for (key, value) in options {
        match key.as_str() {
            "id" => load.id = value.to_string(),
            "ext" => variables(key, value, &mut load.ext_str, &mut load.ext_code)?,
            "tla" => variables(key, value, &mut load.tla_str, &mut load.tla_code)?,
            key => {
                let hint = did_you_mean(key, LOADING);
                let hint = hint.unwrap_or_else(|| format!("there are {}", LOADING.join(", ")));
                return Err(fault_with(format!("loading a spec has no option `{key}`"), hint));
            }
        }
    }
    let place = script.place(path);
    let experiment = script.wait_for(move || spec::load(&place, &load))?.map_err(|error| fault(chain(&error)))?;
    if experiment.options.search.is_some() {
        return Err(fault_with(
            format!("`{path}` makes its trials in a search"),
            "`combu run` runs it; in a script, write `search(tpe(space), base, #{ goal: \"min loss\", trials: 100 })`",
        ));
    }
    Ok(ScriptExperiment::new(experiment))
}

type Pairs = Vec<(String, String)>;

/// Texts are given to the spec as they are, anything else as what it is; the command line's variables win.
fn variables(key: &str, given: &Dynamic, texts: &mut Pairs, codes: &mut Pairs) -> Answer<()> {
    let Some(map) = given.read_lock::<Map>() else {
        return Err(fault(format!("`{key}` is a map of variables, not {}", kind(given))));
    };
    for (name, value) in map.iter() {
        if texts.iter().chain(codes.iter()).any(|(known, _)| known == name.as_str()) {
            continue;
        }
        if value.is_string() {
            texts.push((name.to_string(), value.to_string()));
        } else {
            codes.push((name.to_string(), to_json(value)?.to_string()));
        }
    }
    Ok(())
}

fn trials(experiment: &ScriptExperiment) -> Array {
    experiment.trials().iter().cloned().map(Dynamic::from).collect()
}

fn names(experiment: &mut ScriptExperiment) -> Array {
    experiment.trials().iter().map(|trial| trial.name.as_str().into()).collect()
}

fn at(experiment: &mut ScriptExperiment, index: i64) -> Answer<Arc<Trial>> {
    let count = experiment.trials().len();
    let place = if index < 0 { index + count as i64 } else { index };
    let trial = usize::try_from(place).ok().and_then(|place| experiment.trials().get(place));
    trial
        .cloned()
        .ok_or_else(|| fault(format!("the experiment `{}` has {count} trials, none at {index}", experiment.name())))
}

fn named(experiment: &mut ScriptExperiment, name: &str) -> Answer<Arc<Trial>> {
    experiment.get(name).cloned().ok_or_else(|| no_trial(experiment, name))
}

fn no_trial(experiment: &ScriptExperiment, name: &str) -> Box<rhai::EvalAltResult> {
    let message = format!("the experiment `{}` has no trial or property `{name}`", experiment.name());
    let names = experiment.trials().iter().map(|trial| trial.name.as_str()).chain(["name", "id", "trials"]);
    match did_you_mean(name, names) {
        Some(hint) => fault_with(message, hint),
        None => fault(message),
    }
}

fn merge(left: &ScriptExperiment, right: &ScriptExperiment) -> Answer<ScriptExperiment> {
    left.merge(right).map_err(|name| {
        fault_with(format!("both experiments have a trial `{name}`, and the two differ"), "rename one: `t.name = ..`")
    })
}

fn filter(
    context: &NativeCallContext,
    experiment: &ScriptExperiment,
    closure: &FnPtr,
    options: &Map,
) -> Answer<ScriptExperiment> {
    let mut keep = Vec::with_capacity(experiment.trials().len());
    for trial in experiment.trials() {
        let kept: Dynamic = closure.call_within_context(context, (trial.clone(),))?;
        keep.push(
            kept.as_bool()
                .map_err(|found| fault(format!("the closure of `filter` gives true or false, not {found}")))?,
        );
    }
    Ok(experiment.keep(&keep, exact(options)?))
}

/// The trials that an expression is true of.
fn filter_where(script: &Script, experiment: &ScriptExperiment, text: &str, options: &Map) -> Answer<ScriptExperiment> {
    let wrong = |error: WhereError| {
        let column = error.column.map(|column| format!(", column {column}")).unwrap_or_default();
        let message = format!("in the expression{column}: {}", error.message);
        match error.hint {
            Some(hint) => fault_with(message, hint),
            None => fault(message),
        }
    };
    let expression = Where::parse(text).map_err(wrong)?;
    expression.check_params(experiment.trials().iter().map(|trial| &**trial)).map_err(wrong)?;
    let last = if expression.asks_for_ends() {
        let of = (experiment.spec(), experiment.name(), experiment.id());
        script
            .transcript
            .answer(ScriptQuestion::Ends, || script.stage.last_ends(of, experiment.trials()).map_err(fault))?
    } else {
        HashMap::new()
    };
    let holds = experiment.trials().iter().map(|trial| expression.holds(trial, last.get(&trial.name)));
    let keep = holds.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    Ok(experiment.keep(&keep, exact(options)?))
}

fn only(experiment: &ScriptExperiment, names: &[Dynamic], options: &Map) -> Answer<ScriptExperiment> {
    Ok(experiment.keep(&selected(experiment, names)?, exact(options)?))
}

fn selected(experiment: &ScriptExperiment, names: &[Dynamic]) -> Answer<Vec<bool>> {
    let mut selected = vec![false; experiment.trials().len()];
    for name in names {
        let name = name.to_string();
        let place = experiment.trials().iter().position(|trial| trial.name.as_str() == name);
        selected[place.ok_or_else(|| no_trial(experiment, &name))?] = true;
    }
    Ok(selected)
}

/// True when prerequisites are left out unless they are named themselves.
fn exact(options: &Map) -> Answer<bool> {
    match options.iter().find(|(key, _)| key.as_str() != "exact") {
        Some((key, _)) => Err(fault_with(format!("a selection has no option `{key}`"), "there is `exact`")),
        None => Ok(options.get("exact").is_some_and(|exact| exact.as_bool().unwrap_or(false))),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    const SPEC: &str = "local ID = 'UUID';
        function(count=2) {
          name: 'maze', parallel: 3,
          trials: [{ name: 'loader', image: 'busybox' }, { name: 'warm', image: 'busybox', depends: ['loader'], cmd: 'true' }] + [
            { name: 'solver-%d-%s' % [i, m], image: std.extVar('image'), cmd: 'echo ' + ID, depends: ['warm'], params: { id: i, mode: m } }
            for i in std.range(1, count) for m in ['a', 'b']
          ],
        }";

    fn output(lines: &str) -> String {
        let lab = Lab::new();
        lab.file("maze.jsonnet", SPEC);
        lab.output(&format!("let maze = experiment(\"maze.jsonnet\", #{{ ext: #{{ image: \"busybox\" }}, id: \"abcdefghijkl\" }});\n{lines}"))
    }

    #[test]
    fn a_spec_is_loaded_with_its_variables() {
        let lines =
            "print(maze); print(maze.names()); print(maze.id); print(maze[2].cmd); print(maze[\"loader\"].image);
            print(maze[-1].name); print(maze.len()); for t in maze { if t.params.mode == \"b\" { print(t.name) } }
            print(experiment(\"maze.jsonnet\", #{ ext: #{ image: \"x\" }, tla: #{ count: 3 } }).len());
            print(maze.contains(\"nobody\"));";
        assert_snapshot!(output(lines), @r#"
        experiment maze (6 trials)
        ["loader", "warm", "solver-1-a", "solver-1-b", "solver-2-a", "solver-2-b"]
        abcdefghijkl
        ["echo", "abcdefghijkl"]
        busybox
        solver-2-b
        6
        solver-1-b
        solver-2-b
        8
        false
        "#);
    }

    #[test]
    fn a_selection_keeps_what_it_depends_on() {
        let lines = "print(maze.filter(|t| t.params.mode == \"a\").names());
            print(maze.filter(|t| t.params.mode == \"a\", #{ exact: true }).names());
            print(maze.only([\"solver-2-b\"]).names()); print(maze.only([\"solver-2-b\"], #{ exact: true }).names());
            print(maze.without([\"solver-1-a\", \"solver-1-b\"]).names());
            print(maze.filter(|t| false).is_empty());";
        assert_snapshot!(output(lines), @r#"
        ["loader", "warm", "solver-1-a", "solver-2-a"]
        ["solver-1-a", "solver-2-a"]
        ["loader", "warm", "solver-2-b"]
        ["solver-2-b"]
        ["loader", "warm", "solver-2-a", "solver-2-b"]
        true
        "#);
    }

    #[test]
    fn a_selection_can_be_an_expression_as_on_the_command_line() {
        let lines = "print(maze.filter(\"params.mode == \\\"a\\\" && params.id > 1\").names());
            print(maze.filter(\"params.mode == \\\"a\\\"\", #{ exact: true }).names());
            print(maze.filter(\"!done\", #{ exact: true }).len());
            maze.filter(\"params.mode == mode\");";
        assert_snapshot!(output(lines), @r#"
        ["loader", "warm", "solver-2-a"]
        ["solver-1-a", "solver-2-a"]
        asked for ends
        5
        script.rhai:5:18: in the expression, column 16: a trial has no `mode`
          | maze.filter("params.mode == mode");
          = a param is written `params.mode`, a text `"mode"`; where results are looked at, a metric is `metrics.mode`
        "#);
        assert_snapshot!(output("try { maze.filter(\"cpus + 1\") } catch (e) { print(e.message) }"), @"in the expression, column 6: of the trial `loader`: there is nothing, `()`, on the left of `+`");
    }

    #[test]
    fn trials_are_mapped_and_experiments_merged() {
        let lines = "let fast = maze.map(|t| { t.cpus = 2; t });
            print(fast[0].cpus); print(maze[0].cpus); print((maze + maze).len());
            let more = experiment(\"more\", [#{ name: \"extra\", image: \"busybox\" }, trial(#{ name: \"other\" })]);
            print(maze.only([\"warm\"]).merge(more).names());
            maze + fast";
        assert_snapshot!(output(lines), @r#"
        2.0

        6
        ["loader", "warm", "extra", "other"]
        script.rhai:6:18: both experiments have a trial `loader`, and the two differ
          | maze + fast
          = rename one: `t.name = ..`
        "#);
    }

    #[test]
    fn wrong_calls_say_what_is_wrong() {
        assert_snapshot!(output("maze[\"solver-1-c\"];"), @r#"
        script.rhai:2:5: the experiment `maze` has no trial or property `solver-1-c`
          | maze["solver-1-c"];
          = did you mean `solver-1-a`?
        "#);
        assert_snapshot!(output("maze[99];"), @"
        script.rhai:2:5: the experiment `maze` has 6 trials, none at 99
          | maze[99];
        ");
        assert_snapshot!(output("maze.only([\"lodaer\"]);"), @r#"
        script.rhai:2:6: the experiment `maze` has no trial or property `lodaer`
          | maze.only(["lodaer"]);
          = did you mean `loader`?
        "#);
        assert_snapshot!(output("maze.map(|t| { t.cpus = 2; });"), @"
        script.rhai:2:6: the closure of `map` gave nothing
          | maze.map(|t| { t.cpus = 2; });
          = end it with the trial: `|t| { t.cpus = 2; t }`
        ");
        assert_snapshot!(output("maze.filter(|t| t.name);"), @"
        script.rhai:2:6: the closure of `filter` gives true or false, not string
          | maze.filter(|t| t.name);
        ");
        assert_snapshot!(output("maze.filter(|t| true, #{ exactly: true });"), @"
        script.rhai:2:6: a selection has no option `exactly`
          | maze.filter(|t| true, #{ exactly: true });
          = there is `exact`
        ");
        assert_snapshot!(output("experiment(\"none.jsonnet\");"), @r#"
        script.rhai:2:1: failed to read spec `FOLDER/none.jsonnet`: No such file or directory (os error 2)
          | experiment("none.jsonnet");
        "#);
        assert_snapshot!(output("experiment(\"maze.jsonnet\", #{ exts: #{} });"), @r#"
        script.rhai:2:1: loading a spec has no option `exts`
          | experiment("maze.jsonnet", #{ exts: #{} });
          = did you mean `ext`?
        "#);
        assert_snapshot!(output("experiment(\"maze.jsonnet\");"), @r#"
        script.rhai:2:1: FOLDER/maze.jsonnet:5:63: the external variable `image` is not given
            { name: 'solver-%d-%s' % [i, m], image: std.extVar('image'), cmd: 'echo ' + ID, depends: ['warm'], params: { id: i, mode: m } }
          in the value of trials[2].image
          | experiment("maze.jsonnet");
        "#);
        assert_snapshot!(output("experiment(\"own\", [#{ name: \"good\" }, #{ nam: \"bad\" }]);"), @r#"
        script.rhai:2:39: unknown key `nam`; did you mean `name`?
        `name` is missing
          | experiment("own", [#{ name: "good" }, #{ nam: "bad" }]);
        "#);
        assert_snapshot!(output("experiment(\"own\", [1]);"), @r#"
        script.rhai:2:20: a trial, or a map of its fields, belongs here, not i64
          | experiment("own", [1]);
        "#);
        assert_snapshot!(output("print(maze.triasl);"), @"
        script.rhai:2:11: the experiment `maze` has no trial or property `triasl`
          | print(maze.triasl);
          = did you mean `trials`?
        ");
    }

    #[test]
    fn what_is_wrong_with_one_of_many_is_shown_there_where_it_stands_in_the_call() {
        assert_snapshot!(output("run([#{ name: \"aa\" },\n  #{ name: \"bb\" },\n  #{ name: \"cc\", imgae: 1 }]);"), @r#"
        script.rhai:4:3: unknown key `imgae`; did you mean `image`?
          | #{ name: "cc", imgae: 1 }]);
        "#);
        assert_snapshot!(output("let list = [1]; experiment(\"own\", list);"), @r#"
        script.rhai:2:17: trial [0]: a trial, or a map of its fields, belongs here, not i64
          | let list = [1]; experiment("own", list);
        "#);
    }

    #[test]
    fn a_removed_prerequisite_is_an_error_of_the_plan() {
        assert_snapshot!(output("run(maze.without([\"warm\"]));"), @r#"
        script.rhai:2:1: the experiment `maze` cannot run:
          `solver-1-a` depends on `warm`, which is not in the experiment
          `solver-1-b` depends on `warm`, which is not in the experiment
          `solver-2-a` depends on `warm`, which is not in the experiment
          `solver-2-b` depends on `warm`, which is not in the experiment
          | run(maze.without(["warm"]));
        "#);
    }
}
