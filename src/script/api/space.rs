//! Spaces of params, points in them, and trials made of those: under the same names as in `combu.libsonnet`.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, Map, Module, NativeCallContext};
use serde_json::{Value, json};

use crate::model::name::Name;
use crate::model::trial::Trial;
use crate::script::api::{experiment, trial};
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::host::Script;
use crate::script::values::convert::{from_json, from_object, number};
use crate::script::values::json::{to_json, to_object};
use crate::script::values::params::Params;
use crate::script::values::series::kind;
use crate::space::{self, BadSpace, Point, Sampling, Space};
use crate::spec::Template;

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    engine
        .register_fn("uniform", |from: Dynamic, to: Dynamic| range(&from, &to, false))
        .register_fn("loguniform", |from: Dynamic, to: Dynamic| range(&from, &to, true))
        .register_fn("grid", grid)
        .register_fn("zip", zip)
        .register_fn("sample", |space: Map, n: i64| sample(&space, n, Sampling::default()))
        .register_fn("sample", seeded)
        .register_fn("sample", |space: Map, n: i64, options: Map| {
            sample(&space, n, Sampling::read(&to_object(&options)?).map_err(bad)?)
        })
        .register_fn("name", named);
    let folder = script.folder.clone();
    engine.register_fn("trials", move |base: Dynamic, points: Array| trials(&base, &points, &folder));
    let made = script.clone();
    engine.register_fn("experiment", move |name: &str, base: Dynamic, points: Array| {
        experiment::make(&made, name, &trials(&base, &points, &made.folder)?)
    });
}

/// Values that lie evenly between two ends.
pub(super) fn register_values(engine: &mut Engine) {
    engine
        .register_fn("range_step", |from: Dynamic, to: Dynamic, step: Dynamic| {
            values(space::range(&to_json(&from)?, &to_json(&to)?, &to_json(&step)?))
        })
        .register_fn("linspace", |from: Dynamic, to: Dynamic, count: i64| {
            values(space::linspace(number(&from)?, number(&to)?, count))
        })
        .register_fn("logspace", |from: Dynamic, to: Dynamic, count: i64| {
            values(space::logspace(number(&from)?, number(&to)?, count))
        })
        .register_fn("geomspace", |from: Dynamic, to: Dynamic, count: i64| {
            values(space::geomspace(number(&from)?, number(&to)?, count))
        });
}

/// The functions of the module `combu/grid`, and how many arguments each takes.
pub(crate) const GRID: [(&str, usize); 5] = [("grid", 1), ("zip", 1), ("sample", 3), ("trials", 2), ("label", 2)];

/// The module `combu/grid`, from when these functions had to be imported.
pub(crate) fn module(script: &Script) -> Module {
    // Rhai gives the place of a call to the functions of modules, and does not put it into their errors.
    fn placed<T>(context: &NativeCallContext, answer: Answer<T>) -> Answer<T> {
        answer.map_err(|mut error| {
            error.set_position(context.call_position());
            error
        })
    }
    let mut module = Module::new();
    module.set_native_fn("grid", |context: NativeCallContext, space: Map| placed(&context, grid(space)));
    module.set_native_fn("zip", |context: NativeCallContext, space: Map| placed(&context, zip(space)));
    module.set_native_fn("sample", |context: NativeCallContext, space: Map, n: i64, seed: i64| {
        placed(&context, seeded(space, n, seed))
    });
    let folder = script.folder.clone();
    module.set_native_fn("trials", move |context: NativeCallContext, base: Dynamic, points: Array| {
        placed(&context, trials(&base, &points, &folder))
    });
    module.set_native_fn("label", |context: NativeCallContext, prefix: &str, point: Dynamic| {
        placed(&context, named(prefix, point))
    });
    module.build_index();
    for (name, count) in GRID {
        script.functions.add(name, count);
    }
    module
}

fn named(prefix: &str, point: Dynamic) -> Answer<String> {
    Ok(space::name(prefix, &self::point(&point)?))
}

fn grid(space: Map) -> Answer<Array> {
    points(read(&space)?.grid())
}

fn zip(space: Map) -> Answer<Array> {
    points(read(&space)?.zip())
}

fn seeded(space: Map, n: i64, seed: i64) -> Answer<Array> {
    sample(&space, n, Sampling { seed: seed.cast_unsigned(), ..Sampling::default() })
}

fn sample(space: &Map, n: i64, sampling: Sampling) -> Answer<Array> {
    let count = usize::try_from(n).map_err(|_| fault(format!("{n} points cannot be drawn")))?;
    points(read(space)?.sample(count, sampling))
}

/// All numbers between two, as a space has them.
fn range(from: &Dynamic, to: &Dynamic, log: bool) -> Answer<Map> {
    let mut range: Map =
        [("from", number(from)?), ("to", number(to)?)].map(|(key, end)| (key.into(), end.into())).into();
    if log {
        range.insert("log".into(), true.into());
    }
    // What a range cannot be is told here and not where a space is made of it.
    let name = if log { "loguniform" } else { "uniform" };
    read(&[(name.into(), range.clone().into())].into()).map(|_| range)
}

/// A space from a script's map, in which `1..=8` is a range of whole numbers.
pub(crate) fn read(space: &Map) -> Answer<Space> {
    let mut written = serde_json::Map::new();
    for (name, value) in space {
        let whole = |from: i64, to: i64| match from <= to {
            true => Ok(json!({ "from": from, "to": to })),
            false => Err(fault(format!("the range of `{name}` has no numbers"))),
        };
        let value = value.clone().flatten();
        let value = if let Some(range) = value.read_lock::<RangeInclusive<i64>>() {
            whole(*range.start(), *range.end())?
        } else if let Some(range) = value.read_lock::<Range<i64>>() {
            whole(range.start, range.end.saturating_sub(1))?
        } else {
            to_json(&value)?
        };
        written.insert(name.to_string(), value);
    }
    Space::read(&written).map_err(bad)
}

fn points(points: Result<Vec<Point>, BadSpace>) -> Answer<Array> {
    Ok(points.map_err(bad)?.iter().map(|point| Dynamic::from_map(from_object(point))).collect())
}

fn values(values: Result<Vec<Value>, BadSpace>) -> Answer<Array> {
    Ok(values.map_err(bad)?.iter().map(from_json).collect())
}

pub(super) fn bad(error: BadSpace) -> Box<rhai::EvalAltResult> {
    match error.hint {
        Some(hint) => fault_with(error.message, hint),
        None => fault(error.message),
    }
}

pub(super) fn point(value: &Dynamic) -> Answer<Point> {
    if let Some(map) = value.read_lock::<Map>() {
        return to_object(&map);
    }
    if let Some(params) = value.read_lock::<Params>() {
        return to_object(&params.values);
    }
    Err(fault_with(
        format!("a point is a map such as `#{{ lr: 0.1 }}`, not {}", kind(value)),
        "`grid(space)`, `zip(space)` and `sample(space, n)` make points",
    ))
}

/// Trials of a base, given as such or by its fields, and points.
fn trials(base: &Dynamic, points: &[Dynamic], folder: &Path) -> Answer<Array> {
    let fields = trial::fields_of(base, folder)?;
    let points = points.iter().map(point).collect::<Answer<Vec<Point>>>()?;
    let template = Template::new(fields.clone());
    let made = |fields: serde_json::Map<String, Value>| trial::parse(&Value::Object(fields), folder).map(Dynamic::from);
    if !template.is_plain() {
        return template.trials(&points).map_err(bad)?.into_iter().map(made).collect();
    }
    // All that is the same in all of them is read once.
    let mut named = template.named(&points).map_err(bad)?.into_iter();
    let Some((name, params)) = named.next() else { return Ok(Array::new()) };
    let mut first = fields;
    first.insert("name".to_owned(), name.into());
    first.insert("params".to_owned(), Value::Object(params));
    let first = trial::parse(&Value::Object(first), folder)?;
    let next = |(name, params): (String, Point)| {
        let name = Name::parse(&name).map_err(|error| fault(format!("`{name}`: {error}")))?;
        Ok(Dynamic::from(Arc::new(Trial { name, params, ..(*first).clone() })))
    };
    std::iter::once(Ok(Dynamic::from(first.clone()))).chain(named.map(next)).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn points_are_made_of_a_space() {
        let script = "print(grid(#{ lr: [0.1, 1], seed: 1..=2 }).len()); print(grid(#{ seed: 0..3, x: 5 }));
            print(zip(#{ a: [1, 2], b: \"x\" })); print(grid(#{}));
            print(uniform(0, 1)); print(loguniform(1e-4, 1));
            let space = #{ lr: loguniform(1e-4, 1), n: 1..=4, act: [\"a\", \"b\"] };
            print(sample(space, 3) == sample(space, 3, 0)); print(sample(space, 3, #{ seed: 1 }) == sample(space, 3));
            print(sample(space, 8, #{ how: \"latin\" }).map(|p| p.n).sum()); print(sample(space, 4, #{ how: \"sobol\", seed: 2 }).len());";
        assert_snapshot!(Lab::new().output(script), @r#"
        4
        [#{"seed": 0, "x": 5}, #{"seed": 1, "x": 5}, #{"seed": 2, "x": 5}]
        [#{"a": 1, "b": "x"}, #{"a": 2, "b": "x"}]
        [#{}]
        #{"from": 0.0, "to": 1.0}
        #{"from": 0.0001, "log": true, "to": 1.0}
        true
        false
        20
        4
        "#);
    }

    #[test]
    fn trials_are_made_of_a_base_and_points() {
        let script = "let base = #{ name: \"train\", cmd: \"train --lr {lr} {{lr}} ${HOME}\", cpus: 2.0, params: #{ epochs: 3 } };
            let made = trials(base, grid(#{ lr: [0.1, 0.01] })); print(made[1].name); print(made[1].cmd); print(made[1].params);
            let e = experiment(\"e\", #{ name: \"s\" }, sample(#{ x: uniform(0, 1) }, 3)); print(e.names()); print(e[0].params.keys());
            print(experiment(\"e\", trial(#{ name: \"ss\", cpus: 1 }), grid(#{ k: [1, 2] }))[1].cpus);
            print(trials(base, []).len()); print(trials(#{ name: \"{m}-x\" }, [#{ m: \"a b\" }])[0].name); print(name(\"s\", #{ b: 1, a: \"x\" }));
            print(trials(base, [made[0].params])[0].name); print(run(experiment(\"e\", base, grid(#{ lr: [0.1] }))).ok);";
        assert_snapshot!(Lab::new().output(script), @r#"
        train-0.01
        ["train", "--lr", "0.01", "{lr}", "${HOME}"]
        #{"epochs": 3, "lr": 0.01}
        ["s-000", "s-001", "s-002"]
        ["x"]
        1.0
        0
        a_b-x
        s-x-1
        train-3-0.1
        closed e 1/1
        true
        "#);
    }

    #[test]
    fn what_makes_no_points_or_trials_is_told() {
        let lab = Lab::new();
        let told = |line: &str| lab.refusal(line);
        let all = [
            "sample(#{ lr: #{ from: 1, to: 2, lgo: true } }, 3)",
            "sample(#{ lr: loguniform(0, 1) }, 3)",
            "sample(#{ lr: [1] }, 3, #{ sed: 1 })",
            "sample(#{ lr: [1] }, -3)",
            "grid(#{ lr: uniform(0, 1) })",
            "grid(#{ n: 5..=1 })",
            "trials(#{ name: \"t\", cmd: \"x {epoch}\" }, grid(#{ epochs: [1] }))",
            "trials(#{ name: \"t\", cmd: [\"awk\", \"{print}\"] }, [#{}])",
            "trials(#{ cmd: \"x\" }, [#{}])",
            "trials(#{ name: \"t\" }, [1])",
            "trials(#{ name: \"tt\", cpsu: 1 }, [#{}])",
        ];
        assert_snapshot!(all.map(told).join("\n"), @r#"
        the range of `lr` has an unknown key `lgo` = did you mean `log`?
        the range of `loguniform` is on a scale of powers, which has no 0 = begin above 0: `1e-6`
        `sample` has no option `sed` = did you mean `seed`?
        -3 points cannot be drawn
        `lr` is a range, which has no separate values = list them, `lr: linspace(0, 1, 5)`, give a step, or take points with `sample`
        the range of `n` has no numbers
        `cmd[1]` asks for `{epoch}`, which is no param of the trial = did you mean `{epochs}`?; for braces as they stand, write `{{epoch}}`
        `cmd[1]` asks for `{print}`, which is no param of the trial = there are no params; for braces as they stand, write `{{print}}`
        the base has no name = the trials are named after it: `name: "train"`
        a point is a map such as `#{ lr: 0.1 }`, not i64 = `grid(space)`, `zip(space)` and `sample(space, n)` make points
        unknown key `cpsu`; did you mean `cpus`?
        "#);
    }

    #[test]
    fn the_module_of_before_has_the_same_functions() {
        let script = "import \"combu/grid\" as grid; let points = grid::grid(#{ a: [1, 2] });
            print(grid::trials(#{ name: \"s\" }, points)[1].name); print(grid::label(\"s\", #{ a: 1 }));
            print(grid::sample(#{ a: [1, 2] }, 3, 1) == sample(#{ a: [1, 2] }, 3, 1)); print(grid::zip(#{ a: [1] }));";
        assert_snapshot!(Lab::new().output(script), @r#"
        s-2
        s-1
        true
        [#{"a": 1}]
        "#);
    }

    #[test]
    fn spaced_values_are_tidy() {
        let script = "print(range_step(0.1, 0.5, 0.1)); print(range_step(1, 10, 3)); print(range_step(3, 1, -1)); print(range_step(1, 0, 1));
            print(linspace(0, 1, 5)); print(linspace(2, 3, 1)); print(logspace(-3, 0, 4)); print(geomspace(1, 1024, 11)); print(linspace(0, 1, 0));";
        assert_snapshot!(Lab::new().output(script), @"
        [0.1, 0.2, 0.3, 0.4, 0.5]
        [1, 4, 7, 10]
        [3, 2, 1]
        []
        [0.0, 0.25, 0.5, 0.75, 1.0]
        [2.0]
        [0.001, 0.01, 0.1, 1.0]
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]
        []
        ");
        let lab = Lab::new();
        for (line, message) in [
            ("range_step(0, 1, 0)", "a step of 0 never arrives"),
            ("range_step(0, 1, 1e-12)", "more than 1000000 values are not made"),
            ("geomspace(0, 1, 3)", "the ends of `geomspace` are values above 0"),
            ("linspace(0, \"a\", 3)", "a number belongs here, not string"),
            ("linspace(0, 1, -3)", "-3 values cannot be made"),
        ] {
            assert_eq!(lab.execute(line).unwrap_err().message, message);
        }
    }
}
