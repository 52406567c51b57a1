//! Results in scripts: of one trial, with what it printed, and of a run.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};

use crate::model::command::Command;
use crate::model::event::{Collected, Logs};
use crate::model::name::Name;
use crate::model::options::Goal;
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::summary::Metric;
use crate::report::Style;
use crate::report::results::{self, cells};
use crate::report::table::list;
use crate::script::api::trial;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::host::Script;
use crate::script::values::convert::from_json;
use crate::script::values::history::step;
use crate::script::values::params::Params;
use crate::script::values::printed;
use crate::script::values::result::{RunResult, TrialView};
use crate::script::way::BECAUSE;

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    register_trial(engine);
    let made = script.clone();
    engine.register_fn("history", move |view: &mut TrialView, name: &str| {
        view.history.of(&view.result.trial.name, name, made.appends.allow())
    });
    register_output(engine);
    register_told(engine);
    register_run(engine);
    register_tables(engine);
}

fn register_trial(engine: &mut Engine) {
    engine
        .register_type_with_name::<TrialView>("TrialResult")
        .register_get("name", |view: &mut TrialView| view.name().to_owned())
        .register_get("status", |view: &mut TrialView| view.status())
        .register_get("message", |view: &mut TrialView| view.message())
        .register_get("ok", |view: &mut TrialView| view.ok())
        .register_get("oom", |view: &mut TrialView| matches!(view.result.outcome(), Some(Outcome::Oom)))
        .register_get("timed_out", |view: &mut TrialView| matches!(view.result.outcome(), Some(Outcome::TimedOut)))
        .register_get("exit", |view: &mut TrialView| view.exit().map_or(Dynamic::UNIT, |code| i64::from(code).into()))
        .register_get("elapsed", |view: &mut TrialView| view.result.elapsed.as_secs_f64())
        .register_get("cpu_seconds", |view: &mut TrialView| view.cpu_seconds().map_or(Dynamic::UNIT, Dynamic::from))
        .register_get("peak_memory", |view: &mut TrialView| {
            view.peak_memory().map_or(Dynamic::UNIT, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX).into())
        })
        .register_get("attempts", |view: &mut TrialView| i64::from(view.result.attempts))
        .register_get("flaky", |view: &mut TrialView| view.result.flaky)
        .register_get("reused", |view: &mut TrialView| {
            view.result.reused.as_ref().map_or(Dynamic::UNIT, |run| run.to_string().into())
        })
        .register_get("is_service", |view: &mut TrialView| view.result.service)
        .register_get("params", |view: &mut TrialView| Params::of(&view.result.trial))
        .register_get("trial", |view: &mut TrialView| Arc::new(view.result.trial.to_ask_again()))
        .register_indexer_get(|view: &mut TrialView, field: &str| trial::read(&view.result.trial.resolved(), field))
        .register_fn("retry", |view: &mut TrialView| retry(view, &Map::new()))
        .register_fn("retry", |view: &mut TrialView, fields: Map| retry(view, &fields))
        .register_fn("kill", |view: &mut TrialView| {
            act(view, "killed", |trial| Command::Kill { trial, at_once: false })
        })
        .register_fn("prune", |view: &mut TrialView| prune(view, BECAUSE))
        .register_fn("prune", |view: &mut TrialView, because: &str| prune(view, because))
        .register_fn("pause", |view: &mut TrialView| pause(view, BECAUSE))
        .register_fn("pause", |view: &mut TrialView, because: &str| pause(view, because))
        .register_fn("unpause", |view: &mut TrialView| act(view, "unpaused", |trial| Command::UnpauseTrial { trial }))
        .register_fn("to_string", |view: &mut TrialView| view.to_string())
        .register_fn("to_debug", |view: &mut TrialView| view.to_string());
}

fn register_output(engine: &mut Engine) {
    engine
        .register_get("stdout", |view: &mut TrialView| text(view, |logs| &logs.stdout))
        .register_get("stderr", |view: &mut TrialView| text(view, |logs| &logs.stderr))
        .register_fn("log", |view: &mut TrialView, lines: i64| {
            let count = usize::try_from(lines).unwrap_or(0);
            let texts = [text(view, |logs| &logs.stdout)?, text(view, |logs| &logs.stderr)?];
            let ends = texts.iter().map(|text| printed::last_lines(text, count)).filter(|end| !end.is_empty());
            Ok::<_, Box<rhai::EvalAltResult>>(ends.collect::<Vec<_>>().join("\n"))
        })
        .register_fn("value", |view: &mut TrialView, key: &str| {
            let value = view.value(key).map_err(|error| unread(view, &error))?;
            Ok::<_, Box<rhai::EvalAltResult>>(value.map_or(Dynamic::UNIT, Dynamic::from))
        })
        .register_fn("value", |view: &mut TrialView, key: &str, default: Dynamic| {
            let value = view.value(key).map_err(|error| unread(view, &error))?;
            Ok::<_, Box<rhai::EvalAltResult>>(value.map_or(default, Dynamic::from))
        })
        .register_fn("values", |view: &mut TrialView, key: &str| {
            let numbers = printed::numbers(&text(view, |logs| &logs.stdout)?, key);
            Ok::<_, Box<rhai::EvalAltResult>>(numbers.into_iter().map(Dynamic::from).collect::<Array>())
        });
}

fn register_told(engine: &mut Engine) {
    engine
        .register_get("metrics", |view: &mut TrialView| {
            let last = view.result.metrics.iter().map(|(name, metric)| (name.as_str().into(), metric.last.into()));
            last.collect::<Map>()
        })
        .register_get("tags", |view: &mut TrialView| {
            view.result.tags.iter().map(|(name, value)| (name.as_str().into(), from_json(value))).collect::<Map>()
        })
        .register_get("artifacts", |view: &mut TrialView| {
            view.result.artifacts.iter().map(|path| path.clone().into()).collect::<Array>()
        })
        .register_get("outputs", |view: &mut TrialView| {
            view.result.outputs.iter().map(|file| Dynamic::from_map(collected(file))).collect::<Array>()
        })
        .register_get("outputs_url", |view: &mut TrialView| {
            view.result.outputs_url.clone().map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_get("outputs_folder", |view: &mut TrialView| {
            let folder = view.result.outputs_folder.as_ref();
            folder.map_or(Dynamic::UNIT, |folder| folder.to_string_lossy().into_owned().into())
        })
        .register_fn("metric", |view: &mut TrialView, name: &str| {
            view.result.metrics.get(name).map_or(Dynamic::UNIT, |metric| Dynamic::from_map(told(metric)))
        });
}

fn collected(file: &Collected) -> Map {
    let bytes = i64::try_from(file.bytes).unwrap_or(i64::MAX);
    let sha256 = file.sha256.clone().map_or(Dynamic::UNIT, Dynamic::from);
    [("path", file.path.clone().into()), ("bytes", bytes.into()), ("sha256", sha256)]
        .map(|(key, value)| (key.into(), value))
        .into()
}

fn told(metric: &Metric) -> Map {
    let numbers = [("last", metric.last), ("min", metric.min), ("max", metric.max)];
    let mut map: Map = numbers.map(|(key, number)| (key.into(), number.into())).into();
    map.insert("step".into(), step(metric.step));
    map.insert("count".into(), i64::try_from(metric.count).unwrap_or(i64::MAX).into());
    map
}

fn register_run(engine: &mut Engine) {
    engine
        .register_type_with_name::<RunResult>("Result")
        .register_iterator::<RunResult>()
        .register_get("ok", |result: &mut RunResult| result.ok())
        .register_get("halted", |result: &mut RunResult| result.halted())
        .register_get("run", |result: &mut RunResult| {
            result.0.summary.run.as_ref().map_or_else(String::new, ToString::to_string)
        })
        .register_get("name", |result: &mut RunResult| result.0.experiment.name().to_owned())
        .register_get("experiment", |result: &mut RunResult| result.0.experiment.clone())
        .register_get("elapsed", |result: &mut RunResult| result.0.summary.elapsed.unwrap_or_default().as_secs_f64())
        .register_get("counts", |result: &mut RunResult| result.counts())
        .register_get("succeeded", |result: &mut RunResult| result.0.summary.counts().succeeded as i64)
        .register_get("failed_count", |result: &mut RunResult| result.0.summary.counts().failed as i64)
        .register_get("skipped", |result: &mut RunResult| result.0.summary.counts().skipped as i64)
        .register_get("killed", |result: &mut RunResult| result.0.summary.counts().killed as i64)
        .register_get("pruned", |result: &mut RunResult| result.0.summary.counts().pruned as i64)
        .register_get("steps", |result: &mut RunResult| i64::try_from(result.steps()).unwrap_or(i64::MAX))
        .register_get("trials", |result: &mut RunResult| array(result.views()))
        .register_fn("len", |result: &mut RunResult| result.0.summary.results.len() as i64)
        .register_fn("failed", |result: &mut RunResult| result.failed())
        .register_fn("get", |result: &mut RunResult, name: &str| get(result, name))
        .register_indexer_get(|result: &mut RunResult, name: &str| get(result, name))
        .register_fn("only", |result: &mut RunResult, names: Array| {
            names.iter().map(|name| get(result, &name.to_string()).map(Dynamic::from)).collect::<Answer<Array>>()
        })
        .register_fn("filter", |context: NativeCallContext, result: &mut RunResult, closure: FnPtr| {
            filter(&context, result, &closure)
        })
        .register_fn("to_string", |result: &mut RunResult| result.to_string())
        .register_fn("to_debug", |result: &mut RunResult| result.to_string());
    register_order(engine);
}

/// The best of a run, and its results in some order.
fn register_order(engine: &mut Engine) {
    engine
        .register_fn("best", |result: &mut RunResult| best(result, None).map(|all| first(&all)))
        .register_fn("best", |result: &mut RunResult, goal: &str| best(result, Some(goal)).map(|all| first(&all)))
        .register_fn("best", |result: &mut RunResult, count: i64| best(result, None).map(|all| some(all, count)))
        .register_fn("best", |result: &mut RunResult, goal: &str, count: i64| {
            best(result, Some(goal)).map(|all| some(all, count))
        })
        .register_fn("is_empty", |result: &mut RunResult| result.0.summary.results.is_empty())
        .register_indexer_get(|result: &mut RunResult, place: i64| {
            let count = result.0.summary.results.len();
            let at = if place < 0 { count.checked_sub(place.unsigned_abs() as usize) } else { Some(place as usize) };
            let view = at.filter(|at| *at < count).and_then(|at| result.views().nth(at));
            view.ok_or_else(|| fault(format!("the run has {count} trials, and none at {place}")))
        })
        .register_fn("map", |context: NativeCallContext, result: &mut RunResult, closure: FnPtr| {
            let mapped = result.views().map(|view| closure.call_within_context(&context, (view,)));
            mapped.collect::<Answer<Array>>()
        })
        .register_fn("+", |one: RunResult, other: RunResult| array(one.views().chain(other.views())));
}

/// The results that have a value toward the run's goal, or another one, the best first.
fn best(result: &RunResult, goal: Option<&str>) -> Answer<Vec<TrialView>> {
    let other = goal.map(Goal::parse).transpose().map_err(fault)?;
    let Some(goal) = other.as_ref().or(result.goal()) else {
        return Err(fault_with(
            "the run has no goal",
            "say what is best: `run(e, #{ goal: \"min loss\" })`, or `result.best(\"min loss\")`",
        ));
    };
    result.ranked(goal).map_err(|error| fault(format!("cannot read the logs: {error}")))
}

fn first(all: &[TrialView]) -> Dynamic {
    all.first().map_or(Dynamic::UNIT, |view| Dynamic::from(view.clone()))
}

fn some(all: Vec<TrialView>, count: i64) -> Array {
    array(all.into_iter().take(usize::try_from(count).unwrap_or(0)))
}

fn register_tables(engine: &mut Engine) {
    engine
        .register_fn("table", |result: &mut RunResult| table(result, None))
        .register_fn("table", |result: &mut RunResult, columns: Array| table(result, Some(columns)))
        .register_fn("csv", |result: &mut RunResult| csv(result, None))
        .register_fn("csv", |result: &mut RunResult, columns: Array| csv(result, Some(columns)))
        .register_fn("rows", |result: &mut RunResult| rows(result, None))
        .register_fn("rows", |result: &mut RunResult, columns: Array| rows(result, Some(columns)))
        .register_fn("json", |result: &mut RunResult| result.to_json().to_string());
}

/// Ends a trial early that is not worth going on with.
fn prune(view: &TrialView, because: &str) -> Answer<()> {
    act(view, "pruned", |trial| Command::Prune { trial, because: because.to_owned() })
}

/// Lets a running trial stand still.
fn pause(view: &TrialView, because: &str) -> Answer<()> {
    act(view, "paused", |trial| Command::PauseTrial { trial, because: because.to_owned() })
}

/// Asks the run of a trial for something.
fn act(view: &TrialView, done: &str, command: impl FnOnce(Name) -> Command) -> Answer<()> {
    let way = view.way.as_ref().ok_or_else(|| over(view, done))?;
    way.send(command(view.result.trial.name.clone()));
    Ok(())
}

/// Runs an ended trial again, perhaps changed, in the run it belongs to.
fn retry(view: &TrialView, fields: &Map) -> Answer<()> {
    let way = view.way.as_ref().filter(|way| !way.is_closed()).ok_or_else(|| over(view, "retried"))?;
    if view.result.outcome().is_none() {
        let hint = "retry from `on_complete` or `on_fail`; the option `retries` repeats failed attempts by itself";
        return Err(fault_with(format!("`{}` has not ended", view.name()), hint));
    }
    if fields.contains_key("name") {
        return Err(fault_with("a retry keeps the trial's name", "add another trial with `run.submit(trial)`"));
    }
    let trial = trial::change(&Arc::new(view.result.trial.to_ask_again()), fields, &view.folder)?;
    way.send(Command::Retry { trial: Box::new((*trial).clone()) });
    Ok(())
}

fn over(view: &TrialView, done: &str) -> Box<rhai::EvalAltResult> {
    let hint = "act from a hook, or run what failed again: `run(result.failed())`";
    fault_with(format!("`{}` cannot be {done}: its run has ended", view.name()), hint)
}

fn text(view: &TrialView, path: impl Fn(&Logs) -> &Path) -> Answer<String> {
    view.text(path).map_err(|error| unread(view, &error))
}

/// The error that the logs of a trial cannot be read.
pub(super) fn unread(view: &TrialView, error: &std::io::Error) -> Box<rhai::EvalAltResult> {
    fault(format!("cannot read the logs of `{}`: {error}", view.name()))
}

fn array(views: impl Iterator<Item = TrialView>) -> Array {
    views.map(Dynamic::from).collect()
}

fn get(result: &RunResult, name: &str) -> Answer<TrialView> {
    if let Some(view) = result.view(name) {
        return Ok(view);
    }
    let message = format!("the run of `{}` has no trial or property `{name}`", result.0.experiment.name());
    let names: Vec<String> = result.views().map(|view| view.name().to_owned()).collect();
    Err(match did_you_mean(name, names.iter().map(String::as_str)) {
        Some(hint) => fault_with(message, hint),
        None => fault(message),
    })
}

fn filter(context: &NativeCallContext, result: &RunResult, closure: &FnPtr) -> Answer<Array> {
    let mut kept = Array::new();
    for view in result.views() {
        let keep: Dynamic = closure.call_within_context(context, (view.clone(),))?;
        if keep.as_bool().map_err(|found| fault(format!("the closure of `filter` gives true or false, not {found}")))? {
            kept.push(Dynamic::from(view));
        }
    }
    Ok(kept)
}

/// A script prints its table where it likes: nothing is cut.
pub(super) const UNBOUNDED: Style = Style { width: u16::MAX as usize, ..Style::PLAIN };

type Rows = (Vec<String>, Vec<Vec<serde_json::Value>>);

fn tabular(result: &RunResult, columns: Option<Array>) -> Answer<Rows> {
    let columns = match columns {
        Some(columns) => columns.iter().map(ToString::to_string).collect(),
        None => result.columns(),
    };
    if let Some((column, known)) =
        result.unknown(&columns).map_err(|error| fault(format!("cannot read the logs: {error}")))?
    {
        let message = format!("no trial has a column `{column}`");
        let hint = did_you_mean(&column, known.iter().map(String::as_str));
        let hint = hint.unwrap_or_else(|| "a column is a param, a metric, a tag or a field of the trial".to_owned());
        return Err(fault_with(message, hint));
    }
    let rows = result.rows(&columns).map_err(|error| fault(format!("cannot read the logs: {error}")))?;
    Ok((columns, rows))
}

fn table(result: &RunResult, columns: Option<Array>) -> Answer<String> {
    let (columns, rows) = tabular(result, columns)?;
    let mut text = list(&columns, &cells(&rows), &UNBOUNDED);
    // `print` ends the last line.
    text.pop();
    Ok(text)
}

fn csv(result: &RunResult, columns: Option<Array>) -> Answer<String> {
    let (columns, rows) = tabular(result, columns)?;
    results::csv(&columns, &rows).map_err(|error| fault(format!("cannot write CSV: {error}")))
}

fn rows(result: &RunResult, columns: Option<Array>) -> Answer<Array> {
    let (columns, rows) = tabular(result, columns)?;
    let row = |values: Vec<serde_json::Value>| {
        let pairs = columns.iter().zip(&values).map(|(column, value)| (column.as_str().into(), from_json(value)));
        Dynamic::from_map(pairs.collect())
    };
    Ok(rows.into_iter().map(row).collect())
}

impl IntoIterator for RunResult {
    type Item = TrialView;
    type IntoIter = std::vec::IntoIter<TrialView>;

    fn into_iter(self) -> Self::IntoIter {
        self.views().collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    const THREE: &str = "let e = experiment(\"e\", [#{ name: \"aa\", cmd: \"echo loss=0.5\", params: #{ lr: 1 } },
        #{ name: \"bb\", cmd: \"echo loss=0.25\", params: #{ lr: 2 } }, #{ name: \"cc\", cmd: \"exit 1\", params: #{ lr: 3 } },
        #{ name: \"dd\", cmd: \"echo loss=0.75\", params: #{ lr: 4 } }]);\n";

    fn output(lines: &str) -> String {
        Lab::new().output(&format!("{THREE}{lines}"))
    }

    #[test]
    fn a_goal_puts_the_best_first() {
        let lines = "let r = run(e, #{ goal: \"min loss\" }); print(r.best().name); print(r.best(2)); print(r.best(\"max loss\").name);
            print(r.best(\"min none\") == ()); print(r.table([\"name\", \"loss\"])); print(r.rows([\"lr\"]).map(|row| row.lr)); exit(0)";
        assert_snapshot!(output(lines), @"
        closed e 3/4
        bb
        [bb succeeded, aa succeeded]
        dd
        true
        name  loss
        bb    0.25
        aa     0.5
        dd    0.75
        cc
        [2, 1, 4, 3]
        ");
    }

    #[test]
    fn a_result_is_read_by_place_and_added_up() {
        let lines =
            "let r = run(e); print(r[0].name); print(r[-1].name); print(r.map(|t| t.params.lr)); print(r.is_empty());
            print((r + r).len()); print(r[\"bb\"].value(\"loss\")); exit(0)";
        assert_snapshot!(output(lines), @"
        closed e 3/4
        aa
        dd
        [1, 2, 3, 4]
        false
        8
        0.25
        ");
    }

    #[test]
    fn what_a_result_has_not_is_told() {
        for (call, told) in [
            ("r.best()", "the run has no goal"),
            (
                "r.best(\"loss\")",
                "`loss` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps",
            ),
            ("r.table([\"los\"])", "no trial has a column `los`"),
            ("r.rows([\"params.lrr\"])", "no trial has a column `params.lrr`"),
            ("r[4]", "the run has 4 trials, and none at 4"),
            (
                "run(e, #{ goal: \"loss\" })",
                "goal: `loss` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps",
            ),
        ] {
            let error = Lab::new().execute(&format!("{THREE}let r = run(e); {call};")).unwrap_err();
            assert_eq!(error.message, told, "{call}");
        }
        // Where everything failed, nothing was told.
        let failed = "let r = run([#{ name: \"cc\", cmd: \"exit 1\" }]); print(r.table([\"name\", \"loss\"])); exit(0)";
        assert_snapshot!(Lab::new().output(failed), @"
        closed script 0/1
        name  loss
        cc
        ");
    }
}
