//! Killing from scripts: removes what an experiment left on its engines, also what earlier runs left.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rhai::Engine;

use crate::engine::{Found, Selector};
use crate::model::label;
use crate::model::name::EngineName;
use crate::model::script::ScriptQuestion;
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;
use crate::plan::in_force;
use crate::script::fault::{Answer, engine_fault, fault, fault_with};
use crate::script::host::Script;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::way::BY;

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("kill", move |experiment: ScriptExperiment| kill(&made, &experiment));
    let made = script.clone();
    engine.register_fn("kill", move |what: &str| kill_named(&made, what));
}

/// Removes what carries the experiment's labels: its spec's, and for one made by a script also its name.
fn kill(script: &Script, experiment: &ScriptExperiment) -> Answer<i64> {
    script.transcript.answer(ScriptQuestion::Removed, || kill_now(script, experiment))
}

fn kill_now(script: &Script, experiment: &ScriptExperiment) -> Answer<i64> {
    let mut labels = vec![(label::SPEC, experiment.spec().display().to_string())];
    if experiment.spec() == script.path {
        labels.push((label::EXPERIMENT, experiment.name().to_owned()));
    } else {
        ask(script, experiment.spec())?;
    }
    for open in script.open.borrow().iter() {
        // A run of this script would start again what is removed here.
        if open.experiment().spec() == experiment.spec() && open.experiment().name() == experiment.name() {
            open.cancel(BY);
        }
    }
    let options = in_force(script.options.clone(), experiment.options().clone());
    let engine_of = |trial: &Arc<Trial>| Settled::engine_of(trial, &options.defaults);
    remove(script, &labels, experiment.trials().iter().map(engine_of).collect())
}

/// Removes what carries a name's label, or that of a spec at a path.
fn kill_named(script: &Script, what: &str) -> Answer<i64> {
    script.transcript.answer(ScriptQuestion::Removed, || kill_named_now(script, what))
}

fn kill_named_now(script: &Script, what: &str) -> Answer<i64> {
    let path = script.place(what);
    let is_path =
        what.contains('/') || [".jsonnet", ".json", ".libsonnet", ".rhai"].iter().any(|end| what.ends_with(end));
    let labels = if is_path {
        let spec = path.canonicalize().map_err(|error| {
            fault_with(format!("no spec `{what}`: {error}"), "give the experiment's name if its spec is gone")
        })?;
        ask(script, &spec)?;
        vec![(label::SPEC, spec.display().to_string())]
    } else {
        vec![(label::EXPERIMENT, what.to_owned())]
    };
    // What the trials ran on is not known here.
    remove(script, &labels, [script.options.defaults.engine.unwrap_or_default()].into())
}

/// Asks other processes that run the spec to end, so that they do not start again what is removed here.
fn ask(script: &Script, spec: &Path) -> Answer<()> {
    script.stage.live_kill(spec).map(|_| ()).map_err(fault)
}

/// Removes what carries the labels; these engines have to answer.
fn remove(script: &Script, labels: &[(&str, String)], must: BTreeSet<EngineName>) -> Answer<i64> {
    script.check_interrupt()?;
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let grace = script.options.defaults.stop_grace;
    let (session, selector) = (script.session.clone(), Selector { labels });
    let (wanted, sought) = (session.clone(), selector.clone());
    let find = move || {
        let engines = wanted.reached(None)?.with(&must)?;
        wanted.find(&sought, &engines).map(|found| (engines, found))
    };
    let (engines, found) = script.wait_for(find)?.map_err(|error| engine_fault(&error))?;
    let stay = script.stage.save(&found).map_err(fault)?;
    let spared = stay.clone();
    let kill = move || {
        let spares = |found: &Found| spared.iter().any(|one| one.handle == found.handle);
        session.kill_but(&selector, &engines, grace, spares)
    };
    let killed = script.wait_for(kill)?.map_err(|error| engine_fault(&error))?;
    if let Some(one) = stay.first() {
        return Err(fault_with(
            format!("{} containers stay, such as `{}`: they hold what is kept nowhere else", stay.len(), one.trial),
            "`combu kill --discard` removes them with what they hold",
        ));
    }
    let trials = killed.trials.len() as i64;
    if killed.problems.is_empty() {
        return Ok(trials);
    }
    Err(fault(format!("{trials} trials were removed, others could not be: {}", killed.problems.join("; "))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use crate::engine::fake::{Fake, Scene};
    use crate::script::harness::Lab;

    #[test]
    fn what_an_experiment_left_is_removed() {
        let mut lab = Lab::new();
        lab.file("maze.jsonnet", "[{ name: 'bad', cmd: 'exit 1', engine: 'fake' }]");
        lab.options.defaults.engine = None;
        let script = "let maze = experiment(\"maze.jsonnet\");
            let a = experiment(\"aa\", [#{ name: \"a1\", cmd: \"exit 1\", engine: \"fake\" }, #{ name: \"a2\", cmd: \"exit 1\", engine: \"fake\" }]);
            let b = experiment(\"bb\", [#{ name: \"b1\", cmd: \"exit 1\", engine: \"fake\" }]);
            run(maze); run(a); run(b);
            print(kill(a)); print(kill(a)); print(kill(maze)); print(kill(b)); exit(0);";
        assert_snapshot!(lab.output(script), @"
        closed maze 0/1
        closed aa 0/2
        closed bb 0/1
        2
        0
        asked maze.jsonnet
        1
        1
        ");
        assert_snapshot!(lab.output("kill(\"none.jsonnet\");"), @r#"
        script.rhai:1:1: no spec `none.jsonnet`: No such file or directory (os error 2)
          | kill("none.jsonnet");
          = give the experiment's name if its spec is gone
        "#);
    }

    #[test]
    fn an_open_run_of_the_script_is_stopped_first() {
        let slow = Scene { run_for: Duration::from_secs(60), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("slow", [slow]));
        let script = "let e = experiment(\"slow\", [#{ name: \"slow\", retries: 3 }]);
            let live = start(e); kill(e); print(live.next().ok); print(live.wait().ok); exit(0);";
        assert_snapshot!(lab.output(script), @"
        false
        closed slow 0/1
        false
        ");
    }

    #[test]
    fn a_name_or_a_path_is_enough() {
        let lab = Lab::new();
        lab.file("maze.jsonnet", "[{ name: 'bad', cmd: 'exit 1' }]");
        let script =
            "run(experiment(\"maze.jsonnet\")); print(kill(\"maze.jsonnet\")); run(experiment(\"maze.jsonnet\"));
            print(kill(\"maze\")); exit(0);";
        assert_snapshot!(lab.output(script), @"
        closed maze 0/1
        asked maze.jsonnet
        1
        closed maze 0/1
        1
        ");
    }
}
