//! Searches in scripts: asked and told by hand, or driven by `search`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};
use serde_json::Value;

use crate::model::options::{Bound, Goal, Parallel};
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::script::api::result::unread;
use crate::script::api::space::{bad, point};
use crate::script::api::{experiment, space, system, trial};
use crate::script::caller::Caller;
use crate::script::driven::driven;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::host::Script;
use crate::script::values::convert::{from_object, number};
use crate::script::values::result::{RunResult, TrialView};
use crate::search::{Method, STARTUP, Searcher};
use crate::space::Point;
use crate::spec::Template;

/// A method, with the number of random points that it begins with.
type Kind = fn(usize) -> Method;

/// Most points that are asked for in one call.
const MOST: i64 = 1000;

/// The options of a way to search.
pub(crate) const KNOWN: [&str; 3] = ["seed", "startup", "goal"];

/// The options of `search` that are none of a run.
pub(crate) const OWN: [&str; 3] = ["trials", "enough", "name"];

/// A search; its copies are one.
#[derive(Clone)]
struct SearchHandle(Rc<RefCell<Searching>>);

struct Searching {
    searcher: Searcher,
    /// What it is told by: of results of trials the metric, of numbers which are better.
    goal: Option<Goal>,
}

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    engine.register_type_with_name::<SearchHandle>("Search");
    let methods: [(&str, Kind); 4] = [
        ("tpe", |startup| Method::Tpe { startup }),
        ("cma", |_| Method::Cma),
        ("random_search", |_| Method::Random),
        ("sobol", |_| Method::Sobol),
    ];
    for (name, kind) in methods {
        engine.register_fn(name, move |space: Map| new(&space, &Map::new(), kind));
        engine.register_fn(name, move |space: Map, options: Map| new(&space, &options, kind));
    }
    engine
        .register_fn("enqueue", |search: &mut SearchHandle, wanted: Dynamic| {
            search.0.borrow_mut().searcher.enqueue(point(&wanted)?);
            Ok::<_, Box<rhai::EvalAltResult>>(())
        })
        .register_fn("ask", |search: &mut SearchHandle| ask(search))
        .register_fn("ask", |search: &mut SearchHandle, count: i64| {
            if count > MOST {
                return Err(fault(format!("a search is asked for at most {MOST} points at once, not {count}")));
            }
            Ok((0..count).map(|_| ask(search)).take_while(|point| !point.is_unit()).collect::<Array>())
        })
        .register_fn("tell", |search: &mut SearchHandle, told: Dynamic, value: Dynamic| tell(search, &told, &value))
        .register_fn("tell", |search: &mut SearchHandle, told: TrialView| {
            let goal = search.0.borrow().goal.clone().ok_or_else(goalless)?;
            let value = toward(&told, &goal)?;
            search.take(&Value::Object(told.result.trial.params.clone()), value)
        })
        .register_get("best", |search: &mut SearchHandle| {
            let search = search.0.borrow();
            let best = search.searcher.best();
            best.map_or(Dynamic::UNIT, |(point, value)| search.row(point, Some(value)).into())
        })
        .register_get("told", |search: &mut SearchHandle| -> Array {
            let search = search.0.borrow();
            search.searcher.told().iter().map(|told| search.row(&told.point, told.value).into()).collect()
        });
    let made = script.clone();
    engine.register_fn(
        "search",
        move |context: NativeCallContext, search: SearchHandle, base: Dynamic, options: Map| {
            drive(&made, &Caller::Inside(&context), &search, &base, options)
        },
    );
}

fn goalless() -> Box<rhai::EvalAltResult> {
    fault_with("the search has no goal", "say what is best: `tpe(space, #{ goal: \"min loss\" })`")
}

fn new(space: &Map, options: &Map, kind: Kind) -> Answer<SearchHandle> {
    let (mut seed, mut startup, mut goal) = (0, None, None);
    for (key, value) in options {
        let whole = || value.as_int().map_err(|found| fault(format!("`{key}` is a whole number, not {found}")));
        match key.as_str() {
            "seed" => seed = whole()?.cast_unsigned(),
            "startup" => startup = Some(whole()?),
            "goal" => goal = Some(Goal::parse(&value.to_string()).map_err(fault)?),
            key => {
                let hint = did_you_mean(key, KNOWN).unwrap_or_else(|| format!("there are {}", KNOWN.join(", ")));
                return Err(fault_with(format!("a search has no option `{key}`"), hint));
            }
        }
    }
    let startup = startup.map_or(STARTUP, |startup| usize::try_from(startup).unwrap_or(0));
    let searcher = Searcher::new(space::read(space)?, kind(startup), seed).map_err(bad)?;
    Ok(SearchHandle(Rc::new(RefCell::new(Searching { searcher, goal }))))
}

impl SearchHandle {
    /// Takes the value of a point: that was asked for, or any other.
    fn take(&self, params: &Value, value: Option<f64>) -> Answer<()> {
        let mut search = self.0.borrow_mut();
        let value = value.map(|value| search.signed(value));
        let params = params.as_object().cloned().unwrap_or_default();
        let asked = search.searcher.number_within(&params);
        match asked {
            Some(number) => search.searcher.tell(number, value),
            None => search.searcher.learn(params, value),
        }
        Ok(())
    }
}

impl Searching {
    /// A value of which the smaller is better, and back.
    fn signed(&self, value: f64) -> f64 {
        self.goal.as_ref().map_or(value, |goal| goal.sense.ascending(value))
    }

    fn row(&self, point: &Point, value: Option<f64>) -> Map {
        let value = value.map_or(Dynamic::UNIT, |value| self.signed(value).into());
        [("params".into(), from_object(point).into()), ("value".into(), value)].into()
    }
}

fn ask(search: &SearchHandle) -> Dynamic {
    let asked = search.0.borrow_mut().searcher.ask();
    asked.map_or(Dynamic::UNIT, |asked| from_object(&asked.point).into())
}

fn tell(search: &SearchHandle, told: &Dynamic, value: &Dynamic) -> Answer<()> {
    let value = if value.is_unit() { None } else { Some(number(value)?) };
    search.take(&Value::Object(point(told)?), value)
}

/// The value that a search is told of a trial: of one that was pruned the one it came to, of one that failed none.
fn toward(view: &TrialView, goal: &Goal) -> Answer<Option<f64>> {
    let value = if view.result.outcome().is_some_and(Outcome::is_fine) { view.toward(goal) } else { Ok(None) };
    value.map_err(|error| unread(view, &error))
}

/// Whether a trial that ended meets the condition that ends its search.
fn meets(bound: &Bound, view: &TrialView) -> Answer<bool> {
    let value = view.value(&bound.metric);
    let value = value.map_err(|error| unread(view, &error))?;
    Ok(view.ok() && value.is_some_and(|value| bound.holds(value)))
}

/// What `search` is asked for besides the options of a run.
struct SearchOptions {
    goal: Goal,
    trials: usize,
    width: usize,
    enough: Option<Bound>,
    name: String,
}

impl SearchOptions {
    fn take(script: &Script, search: &SearchHandle, base: &Map, options: &mut Map) -> Answer<Self> {
        let own = search.0.borrow().goal.clone();
        let goal = match (options.get("goal"), own) {
            (Some(goal), _) => Goal::parse(&goal.to_string()).map_err(fault)?,
            (None, Some(goal)) => goal,
            (None, None) => {
                return Err(fault_with(
                    "a search has a goal",
                    "say what is best: `search(tpe(space), base, #{ goal: \"min loss\", trials: 100 })`",
                ));
            }
        };
        options.insert("goal".into(), goal.to_string().into());
        search.0.borrow_mut().goal = Some(goal.clone());
        let trials = options.remove("trials").unwrap_or_default();
        let trials = trials.as_int().ok().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
        let trials = trials.ok_or_else(|| {
            fault_with("`trials` says how many trials a search makes", "write `#{ goal: \"min loss\", trials: 100 }`")
        })?;
        let enough = options.remove("enough").map(|text| Bound::parse(&text.to_string())).transpose();
        let enough = enough.map_err(|message| fault(format!("enough: {message}")))?;
        let name = options.remove("name").or_else(|| base.get("name").cloned()).unwrap_or_default().to_string();
        let asked = match (script.options.budget.parallel, options.get("parallel")) {
            (Some(parallel), _) => Some(parallel),
            (None, Some(parallel)) => Some(Parallel::parse(&parallel.to_string()).map_err(fault)?),
            (None, None) => None,
        };
        let cpus = system::host(script)?.0.max(1.0);
        let width = asked.map_or(cpus as usize, |parallel| parallel.on(cpus)).max(1);
        Ok(Self { goal, trials, width, enough, name })
    }
}

/// Runs a search: as many trials at once as may run, each made of the point that is asked for when another has ended.
fn drive(
    script: &Script,
    caller: &Caller<'_>,
    search: &SearchHandle,
    base: &Dynamic,
    mut options: Map,
) -> Answer<RunResult> {
    let fields = trial::fields_of(base, &script.folder)?;
    let plan = SearchOptions::take(script, search, &from_object(&fields), &mut options)?;
    let template = Template::new(fields);
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let next = |numbers: &mut HashMap<String, usize>| -> Answer<Option<Arc<Trial>>> {
        let Some(asked) = search.0.borrow_mut().searcher.ask() else { return Ok(None) };
        let fields = template.numbered(asked.number, &asked.point).map_err(bad)?;
        let made = trial::parse(&Value::Object(fields), &script.folder)?;
        numbers.insert(made.name.to_string(), asked.number);
        Ok(Some(made))
    };
    let mut first = Array::new();
    while first.len() < plan.width.min(plan.trials) {
        let Some(made) = next(&mut numbers)? else { break };
        first.push(Dynamic::from(made));
    }
    let mut made = first.len();
    let experiment = experiment::make(script, &plan.name, &first)?;
    let mut running = made;
    let mut over = false;
    driven(script, caller, &experiment, options, |ended| {
        running = running.saturating_sub(1);
        if let Some(number) = numbers.remove(ended.name()) {
            let value = toward(ended, &plan.goal)?;
            let mut search = search.0.borrow_mut();
            let value = value.map(|value| search.signed(value));
            search.searcher.tell(number, value);
        }
        over = over || plan.enough.as_ref().map_or(Ok(false), |enough| meets(enough, ended))?;
        let mut following = Vec::new();
        while !over && running < plan.width && made < plan.trials {
            let Some(trial) = next(&mut numbers)? else { break };
            following.push(trial);
            (made, running) = (made + 1, running + 1);
        }
        Ok(following)
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    const BASE: &str =
        "let base = #{ name: \"fit\", cmd: \"echo loss={x}\" }; let space = #{ x: uniform(0, 1), k: 3 };\n";

    fn output(lines: &str) -> String {
        Lab::new().output(&format!("{BASE}{lines}"))
    }

    #[test]
    fn a_search_runs_so_many_trials_and_comes_nearer() {
        let lines = "let r = search(tpe(space), base, #{ goal: \"min loss\", trials: 40, parallel: 1 });
            print(r.best().value(\"loss\") < 0.02); print(r.len()); print(r[0].name); print(r[39].params.k); print(r[0].cmd[0]);
            let s = tpe(space); let same = search(s, base, #{ goal: \"min loss\", trials: 40, parallel: 1 });
            print(same.best().params == r.best().params); print(s.told.len()); print(s.best.params.x == same.best().params.x);";
        assert_snapshot!(output(lines), @"
        closed fit 40/40
        true
        40
        fit-000
        3
        echo
        closed fit 40/40
        true
        40
        true
        ");
    }

    #[test]
    fn a_search_ends_when_it_has_found_enough_and_may_seek_the_greatest() {
        let lines = "let r = search(random_search(space), base, #{ goal: \"max loss\", trials: 200, parallel: 1, enough: \"loss > 0.9\", name: \"up\" });
            print(r.name); print(r.len() < 100); print(r.best().value(\"loss\") > 0.9);
            let s = cma(#{ x: uniform(0, 1), y: uniform(0, 1) }, #{ seed: 3, goal: \"max loss\" }); s.enqueue(#{ x: 0.5, y: 0.5 });
            let r = search(s, base, #{ trials: 13, parallel: 8 }); print(r.len()); print(r[0].params.x); print(s.best.value > 0.4);
            let halted = #{ goal: \"max loss\", trials: 9, parallel: 1, halt: \"now,success=3\", name: \"halted\" };
            print(search(sobol(space), base, halted)); exit(0);";
        assert_snapshot!(output(lines), @"
        closed up 14/14
        up
        true
        true
        closed fit 13/13
        13
        0.5
        true
        closed halted 3/3
        halted: 3 of 3 succeeded
        ");
    }

    #[test]
    fn a_search_is_told_what_pruned_trials_came_to_and_nothing_of_failed_ones() {
        let lines = "let base = #{ name: \"fit\", cmd: \"echo ::combu metric loss={x} ; sleep 0.02 ; exit {code}\" };
            let s = sobol(#{ x: uniform(0, 1), code: [0, 3] });
            let r = search(s, base, #{ goal: \"min loss\", trials: 8, parallel: 1, prune: above(\"loss\", 0.6) });
            for t in r { let told = s.told.filter(|told| told.params.x == t.params.x)[0].value;
                if told != (if t.status == \"failed\" { () } else { t.metrics.loss }) { print(`${t.name} ${t.status} ${told}`); } }
            print(r.pruned > 0 && r.failed_count > 0 && r.succeeded > 0); print(s.told.len()); exit(0);";
        assert_snapshot!(Lab::new().output(lines), @"
        closed fit 2/8
        true
        8
        ");
    }

    #[test]
    fn a_search_is_asked_and_told_by_hand() {
        let lines = "let s = sobol(#{ x: uniform(0, 1) }, #{ goal: \"min loss\" }); let one = s.ask(); s.tell(one, 0.5); print(s.told.len());
            print(s.ask(3).len()); s.tell(#{ x: 0.25 }, 0.1); print(s.best); s.tell(#{ x: 0.3 }, ()); print(s.told[2].value == ());
            let r = run(trial(#{ name: \"one\", cmd: \"echo loss=0.05\", params: #{ x: 0.9 } })); s.tell(r[0]); print(s.best.value);
            let c = cma(#{ x: uniform(0, 1) }); print(c.ask(20).len()); print(c.ask() == ());";
        assert_snapshot!(output(lines), @r#"
        1
        3
        #{"params": #{"x": 0.25}, "value": 0.1}
        true
        closed script 1/1
        0.05
        4
        true
        "#);
    }

    #[test]
    fn what_a_search_lacks_is_told() {
        let told = |line: &str| Lab::new().refusal(&format!("{BASE}{line}"));
        let all = [
            "tpe(space, #{ sed: 1 })",
            "tpe(#{ x: [] })",
            "cma(#{ a: [1, 2] })",
            "search(tpe(space), base, #{ trials: 3 })",
            "search(tpe(space), base, #{ goal: \"min loss\" })",
            "search(tpe(space), base, #{ goal: \"min loss\", trials: 3, enough: \"soon\" })",
            "search(tpe(space), base, #{ goal: \"min loss\", trials: 3, paralel: 2 })",
            "search(tpe(space), #{ cmd: \"x\" }, #{ goal: \"min loss\", trials: 3 })",
            "search(tpe(space), #{ name: \"aa\", cmd: \"x {y}\" }, #{ goal: \"min loss\", trials: 3 })",
            "tpe(space).ask(1001)",
            "tpe(space).tell(run(trial(#{ name: \"aa\" }))[0])",
        ];
        assert_snapshot!(all.map(told).join("\n"), @r#"
        a search has no option `sed` = did you mean `seed`?
        `x` has no values = write `x: [1, 2]`, or leave it out
        CMA-ES searches ranges of numbers, and this space has a list of values = take `tpe(space)`, or run one search for each value
        a search has a goal = say what is best: `search(tpe(space), base, #{ goal: "min loss", trials: 100 })`
        `trials` says how many trials a search makes = write `#{ goal: "min loss", trials: 100 }`
        enough: `soon` is no condition: write the name of a metric, `<`, `<=`, `>` or `>=`, and a number: `loss < 0.01`
        unknown key `paralel`; did you mean `parallel`?
        the base has no name = the trials are named after it: `name: "train"`
        `cmd[1]` asks for `{y}`, which is no param of the trial = did you mean `{k}`?; for braces as they stand, write `{{y}}`
        a search is asked for at most 1000 points at once, not 1001
        the search has no goal = say what is best: `tpe(space, #{ goal: "min loss" })`
        "#);
    }
}
