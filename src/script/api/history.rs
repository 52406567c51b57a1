//! Earlier runs in scripts.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine};

use crate::model::history::History;
use crate::model::name::RunId;
use crate::model::script::ScriptQuestion;
use crate::script::fault::{Answer, fault};
use crate::script::host::Script;
use crate::script::stage::EarlierRun;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::history::MetricHistory;
use crate::script::values::result::{Ran, RunResult};

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("history", move || history(&made, None));
    let made = script.clone();
    engine.register_fn("history", move |experiment: &str| history(&made, Some(experiment)));
}

/// The results of earlier runs that have ended, the first begun first.
fn history(script: &Script, experiment: Option<&str>) -> Answer<Array> {
    let runs: Vec<RunId> =
        script.transcript.answer(ScriptQuestion::History, || script.stage.history(experiment).map_err(fault))?;
    let mut results = Array::new();
    for run in runs {
        script.check_interrupt()?;
        if let Some(recorded) = script.stage.recorded(&run).map_err(fault)? {
            results.push(Dynamic::from(result(script, recorded)));
        }
    }
    Ok(results)
}

fn result(script: &Script, recorded: EarlierRun) -> RunResult {
    let EarlierRun { events, spec, id } = recorded;
    let (mut told, metrics) = (History::default(), MetricHistory::default());
    for event in &events {
        told.add(event);
        metrics.hear(event);
    }
    let experiment = ScriptExperiment::new(told.experiment(spec, id));
    let folder = script.folder.clone();
    RunResult(Rc::new(Ran { experiment, summary: told.summary, folder, history: metrics }))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn earlier_runs_are_results_as_if_they_had_ended_now() {
        let lab = Lab::new();
        lab.output("run(experiment(\"sweep\", [#{ name: \"aa\", cmd: \"echo ::combu metric loss=0.5\", params: #{ x: 1 } }, #{ name: \"bb\" }]));");
        let look = "let h = history(\"sweep\"); print(h.len()); print(h[-1].name); print(h[-1].best(\"min loss\").params.x);
            print(h[-1].len()); print(history().len()); print(history(\"none\")); print(h[0][0].history(\"loss\").len());
            run(experiment(\"again\", [h[0][0].trial]));";
        assert_snapshot!(lab.output(look), @"
        1
        sweep
        1
        2
        1
        []
        1
        closed again 1/1
        ");
    }
}
