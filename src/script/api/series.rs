//! What scripts do with the values of a metric: all that they do with an array.
//!
//! A few functions that hooks call at each value are written here and take no longer for a long series than for a short one. Every
//! other one that takes an array, of Rhai or of combu, takes a series too, by way of an array that is made of it.

use std::any::TypeId;
use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Map, Module, NativeCallContext, Position,
    RhaiFunc, Shared,
};

use crate::script::fault::Answer;
use crate::script::values::series::{KIND, Series, plain};

/// Functions that leave their array as it is, though Rhai takes them for such that change it.
const READING: [&str; 5] = ["get", "extract", "order", "order_by", "order_desc"];

/// Registers what takes a series, after everything that takes an array.
pub(crate) fn register(engine: &mut Engine) {
    // Scripts are told that it is what it is like.
    engine.register_type_with_name::<Series>(KIND).register_iterator::<Series>();
    let mut module = Module::new();
    for (name, types) in taking_arrays(engine) {
        for types in with_series(&types) {
            forward(&mut module, &name, &types);
        }
    }
    // What is not there is no answer: of two types Rhai itself says that neither is less.
    let two = [TypeId::of::<Array>(); 2];
    let orders = ["<", "<=", ">", ">="].map(|name| (name, with_series(&two)));
    orders.iter().for_each(|(name, forms)| forms.iter().for_each(|types| forward(&mut module, name, types)));
    read(&mut module);
    write(&mut module);
    engine.register_global_module(module.into());
}

/// The forms of functions that take an array, with the types of what each takes.
pub(super) fn taking_arrays(engine: &Engine) -> HashSet<(String, Vec<TypeId>)> {
    let found = engine.collect_fn_metadata(
        None,
        |info: rhai::FuncInfo<'_>| {
            let types = &info.metadata.param_types;
            let takes = info.namespace.is_empty() && types.contains(&TypeId::of::<Array>());
            takes.then(|| (info.metadata.name.to_string(), types.to_vec()))
        },
        true,
    );
    found.into_iter().collect()
}

/// A form with a series in the place of one of its arrays, or of several.
fn with_series(types: &[TypeId]) -> Vec<Vec<TypeId>> {
    let mut forms = vec![Vec::new()];
    for of in types {
        let or = (*of == TypeId::of::<Array>()).then(TypeId::of::<Series>);
        let longer = |form: Vec<TypeId>| {
            let more = |of| form.iter().copied().chain([of]).collect::<Vec<_>>();
            [*of].into_iter().chain(or).map(more).collect::<Vec<_>>()
        };
        forms = forms.into_iter().flat_map(longer).collect();
    }
    forms.retain(|form| form.contains(&TypeId::of::<Series>()));
    forms
}

/// Makes a function of arrays one of series.
fn forward(module: &mut Module, name: &str, types: &[TypeId]) {
    // Rhai prints by itself what these two give.
    let called: ImmutableString = match name {
        "print" => "to_string".into(),
        "debug" => "to_debug".into(),
        name => name.into(),
    };
    raw(module, name, types, move |context, arguments| call(context, &called, arguments));
}

/// Registers a function that gets its arguments as they are; what nobody may change, it has to leave alone by itself.
fn raw(
    module: &mut Module,
    name: &str,
    types: &[TypeId],
    function: impl Fn(&NativeCallContext, &mut [&mut Dynamic]) -> Answer<Dynamic> + 'static,
) {
    let func = move |context: Option<NativeCallContext>, arguments: &mut [&mut Dynamic]| {
        function(&context.expect("Rhai gives a context to a function that has one"), arguments)
    };
    let function = RhaiFunc::Method { func: Shared::new(func), has_context: true, is_pure: true, is_volatile: false };
    FuncRegistration::new(name).set_into_module_raw(module, types, function);
}

/// Calls a function of arrays, where some of the arguments are series.
fn call(context: &NativeCallContext, name: &str, arguments: &mut [&mut Dynamic]) -> Answer<Dynamic> {
    let Some((first, rest)) = arguments.split_first_mut() else {
        return context.call_native_fn_raw(name, false, &mut []);
    };
    for argument in rest.iter_mut() {
        let series = argument.read_lock::<Series>().map(|series| series.clone());
        if let Some(series) = series {
            **argument = series.array().into();
        }
    }
    let mut call = |first: &mut Dynamic| {
        let rest = rest.iter_mut().map(|argument| &mut **argument);
        let mut arguments: Vec<&mut Dynamic> = [first].into_iter().chain(rest).collect();
        context.call_native_fn_raw(name, true, &mut arguments)
    };
    let series = first.read_lock::<Series>().map(|series| series.clone());
    let Some(series) = series else { return call(first) };
    let refused = match call(&mut Dynamic::from_array(series.shared()).into_read_only()) {
        Err(error) if is_refusal(&error, name) => error,
        answer => return answer.map(unshared),
    };
    if READING.contains(&name) {
        return call(&mut series.array().into());
    }
    if first.is_read_only() {
        return Err(refused);
    }
    let mut list = Dynamic::from_array(series.array());
    let answer = call(&mut list);
    put(first, list);
    answer
}

/// Whether a function changes its array, and refused one that nobody may change, before it did anything.
fn is_refusal(error: &EvalAltResult, name: &str) -> bool {
    matches!(error, EvalAltResult::ErrorNonPureMethodCallOnConstant(refused, _) if refused == name)
}

/// What a function gave, with values of a series in it that the caller may change as its own.
fn unshared(mut answer: Dynamic) -> Dynamic {
    if let Some(mut list) = answer.write_lock::<Array>() {
        for value in list.iter_mut().filter(|value| value.is_shared() && value.is_read_only()) {
            *value = std::mem::take(value).flatten();
        }
    }
    answer
}

/// From now on the variable holds an array.
fn put(variable: &mut Dynamic, list: Dynamic) {
    if let Some(mut place) = variable.write_lock::<Dynamic>() {
        *place = list;
    }
}

/// What does not copy a series.
fn read(module: &mut Module) {
    for name in ["len", "get$len"] {
        FuncRegistration::new(name).set_into_module(module, |series: &mut Series| whole(series.len()));
    }
    for name in ["is_empty", "get$is_empty"] {
        FuncRegistration::new(name).set_into_module(module, |series: &mut Series| series.len() == 0);
    }
    let new = |name| FuncRegistration::new(name);
    new("get").set_into_module(module, |series: &mut Series, place: i64| {
        let place = clamped(series, place);
        series.get(place).unwrap_or_default()
    });
    new("extract").set_into_module(module, |series: &mut Series, start: i64| extract(series, start, i64::MAX));
    new("extract").set_into_module(module, |series: &mut Series, start: i64, count: i64| extract(series, start, count));
    new("extract").set_into_module(module, |series: &mut Series, range: Range<i64>| {
        let start = range.start.max(0);
        extract(series, start, range.end.saturating_sub(start))
    });
    new("extract").set_into_module(module, |series: &mut Series, range: RangeInclusive<i64>| {
        let start = (*range.start()).max(0);
        extract(series, start, range.end().max(&start).saturating_sub(start).saturating_add(1))
    });
    raw(module, "index$get$", &[TypeId::of::<Series>(), TypeId::of::<Dynamic>()], |context, arguments| {
        let [first, place] = arguments else { unreachable!("an index is one argument") };
        let series = first.read_lock::<Series>().expect("it is registered for series");
        let place = indexed(context, &series, place)?;
        Ok(series.get(place).unwrap_or_default())
    });
}

/// What changes a series by way of operators.
fn write(module: &mut Module) {
    let [series, any] = [TypeId::of::<Series>(), TypeId::of::<Dynamic>()];
    raw(module, "index$set$", &[series, any, any], |context, arguments| {
        let [first, place, value] = arguments else { unreachable!("an index and a value are two arguments") };
        set(context, first, place, value)
    });
    raw(module, "+=", &[series, any], |_, arguments| {
        let [first, more] = arguments else { unreachable!("an operator has two arguments") };
        let mut list = first.read_lock::<Series>().expect("it is registered for series").array();
        let more = unshared(plain(more).into_owned());
        match more.try_cast_result::<Array>() {
            Ok(more) => list.extend(more),
            Err(one) => list.push(one),
        }
        put(first, list.into());
        Ok(Dynamic::UNIT)
    });
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A place, counted from the end where it is negative, as functions of arrays do; one behind the end for others.
fn clamped(series: &Series, place: i64) -> usize {
    let distance = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
    if place < 0 { series.len().saturating_sub(distance) } else { distance.min(series.len()) }
}

fn extract(series: &Series, start: i64, count: i64) -> Array {
    let start = clamped(series, start);
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    series.part(start..start.saturating_add(count).min(series.len()))
}

/// The place that an index means.
fn indexed(context: &NativeCallContext, series: &Series, index: &Dynamic) -> Answer<usize> {
    let Ok(place) = index.as_int() else {
        let kind = context.engine().map_type_name(index.type_name()).to_owned();
        let error = match index.is_string() {
            // Rhai asks so for a property that is not there, too, and tells of it where this is the error.
            true => EvalAltResult::ErrorIndexingType(format!("array [{kind}]"), Position::NONE),
            false => EvalAltResult::ErrorMismatchDataType("i64".to_owned(), kind, Position::NONE),
        };
        return Err(error.into());
    };
    let distance = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
    let found = if place < 0 { series.len().checked_sub(distance) } else { Some(distance) };
    let found = found.filter(|found| *found < series.len());
    found.ok_or_else(|| EvalAltResult::ErrorArrayBounds(series.len(), place, Position::NONE).into())
}

/// Puts a value at a place, where another is there. Rhai does so after each call of a method of what is there, too.
fn set(context: &NativeCallContext, variable: &mut Dynamic, index: &Dynamic, value: &mut Dynamic) -> Answer<Dynamic> {
    let series = variable.read_lock::<Series>().expect("it is registered for series").clone();
    let place = indexed(context, &series, index)?;
    if series.get(place).is_some_and(|there| is_same(&there, value)) {
        return Ok(Dynamic::UNIT);
    }
    if variable.is_read_only() {
        return Err(EvalAltResult::ErrorNonPureMethodCallOnConstant("[..] = ..".to_owned(), Position::NONE).into());
    }
    let mut list = series.array();
    list[place] = std::mem::take(value).flatten();
    put(variable, list.into());
    Ok(Dynamic::UNIT)
}

/// Whether two maps of steps, values and times are the same.
fn is_same(one: &Dynamic, other: &Dynamic) -> bool {
    let (Some(one), Some(other)) = (one.read_lock::<Map>(), other.read_lock::<Map>()) else { return false };
    let bits = |value: &Dynamic| value.as_float().ok().map(f64::to_bits);
    one.len() == other.len()
        && one.iter().zip(other.iter()).all(|((key, one), (of, other))| {
            let is_one = one.type_id() == other.type_id();
            key == of && is_one && bits(one) == bits(other) && one.as_int().ok() == other.as_int().ok()
        })
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;
    use std::ops::{Range, RangeInclusive};

    use insta::assert_snapshot;
    use rhai::{Array, Blob, Dynamic, FnPtr, ImmutableString, Map};

    use super::{Series, taking_arrays, with_series};
    use crate::engine::fake::{Fake, Scene};
    use crate::script::api::random::Random;
    use crate::script::execute::engine_of_arrays;
    use crate::script::harness::Lab;
    use crate::script::values::experiment::ScriptExperiment;
    use crate::script::values::result::RunResult;
    use crate::script::values::series::copies;

    const RUN: &str = "let e = experiment(\"told\", [#{ name: \"one\" }]); let r = run(e); let t = r[\"one\"];
        let plain = []; for p in t.history(\"loss\") { plain.push(p); }\n";

    /// A lab whose trial `one` tells so many values.
    fn lab(count: usize) -> Lab {
        let lines = (0..count).map(|step| format!("::combu metric loss={} step={step}\n", step * 7 % 5));
        let stdout = lines.collect();
        Lab::on(Fake::default().scene("one", [Scene { stdout, ..Scene::default() }]))
    }

    /// Arguments of a type.
    fn written(of: TypeId) -> &'static [&'static str] {
        let all: [(TypeId, &[&str]); 14] = [
            (TypeId::of::<Series>(), &["x"]),
            (TypeId::of::<Array>(), &["y"]),
            (TypeId::of::<i64>(), &["1", "-2", "9"]),
            (TypeId::of::<f64>(), &["0.5"]),
            (TypeId::of::<ImmutableString>(), &["\"value\"", "\"desc\""]),
            (
                TypeId::of::<FnPtr>(),
                &["|a| a.value > 1.5", "|a, b| a.value < b.value", "|a, b| b", "|| this.value += 1.0"],
            ),
            (TypeId::of::<Dynamic>(), &["7", "y[1]", "|a, b| a.value + b.value", "x"]),
            (TypeId::of::<Map>(), &["#{}"]),
            (TypeId::of::<Range<i64>>(), &["1..3", "-2..9"]),
            (TypeId::of::<RangeInclusive<i64>>(), &["1..=2", "-2..=9"]),
            (TypeId::of::<Blob>(), &["blob(2, 7)"]),
            (TypeId::of::<RunResult>(), &["r"]),
            (TypeId::of::<ScriptExperiment>(), &["e"]),
            (TypeId::of::<Random>(), &["random(1)"]),
        ];
        all.into_iter().find(|(known, _)| *known == of).map_or(&[], |(_, written)| written)
    }

    /// A call, as a script writes it.
    fn call(name: &str, arguments: &[&str]) -> String {
        let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        match (name.strip_prefix("get$"), arguments) {
            (Some(property), [of]) => format!("{of}.{property}"),
            (None, [one, other]) if !is_word => format!("{one} {name} {other}"),
            (None, [of, rest @ ..]) if is_word && (*of != "x" || rest.is_empty()) => {
                format!("{name}({of}, {})", rest.join(", "))
            }
            (None, [of, rest @ ..]) if is_word => format!("{of}.{name}({})", rest.join(", ")),
            _ => panic!("how is {name} called?"),
        }
    }

    /// Calls give of what a metric told what they give of an array of the same values, and leave the same behind.
    fn same_as_an_array<T: AsRef<str>>(lab: &Lab, calls: &[T]) {
        let both = |call: &T| {
            let x = "let x = if is_told { t.history(\"loss\") } else { plain }; let y = plain.extract(0);";
            // An index that is wrong is where its bracket is, and in an array where the index is.
            let show = "print([answer, x]); } catch (error) { if type_of(error) == \"map\" { error.remove(\"position\"); } print(error); }";
            format!(
                "for is_told in [false, true] {{ print(\"@@\"); try {{ {x} let answer = {{ {} }}; {show} }}\n",
                call.as_ref()
            )
        };
        let output = lab.output(&format!("{RUN}{}", calls.iter().map(both).collect::<String>()));
        let outputs: Vec<_> = output.split("@@").skip(1).collect();
        assert_eq!(outputs.len(), 2 * calls.len(), "{output}");
        let compared = calls.iter().map(AsRef::as_ref).zip(outputs.chunks(2));
        // A closure that only reads may change an array by way of `this`, and what a metric told may not be changed so.
        let differs =
            |outputs: &[&str]| outputs[0].trim() != outputs[1].trim() && !outputs[1].contains("Cannot modify constant");
        let other: Vec<(&str, _)> = compared.filter(|(_, outputs)| differs(outputs)).collect();
        let first: Vec<_> = other.iter().take(8).collect();
        assert!(other.is_empty(), "{} of {} differ, first of all {first:#?}", other.len(), calls.len());
    }

    #[test]
    fn every_function_of_arrays_does_the_same_with_what_a_metric_told() {
        let lab = lab(4);
        let mut forms: Vec<_> = taking_arrays(&engine_of_arrays(&lab.script())).into_iter().collect();
        forms.sort();
        let mut calls = Vec::new();
        for (name, types) in forms {
            for types in with_series(&types) {
                let mut all = vec![Vec::new()];
                for of in &types {
                    assert!(!written(*of).is_empty(), "{name}: {types:?}: {of:?} has no arguments here");
                    let longer = |given: &Vec<&'static str>| {
                        written(*of).iter().map(|more| [&given[..], &[*more]].concat()).collect::<Vec<_>>()
                    };
                    all = all.iter().flat_map(longer).collect();
                }
                calls.extend(all.iter().map(|arguments| call(&name, arguments)));
            }
        }
        same_as_an_array(&lab, &calls);
    }

    #[test]
    fn an_index_of_what_a_metric_told_means_what_it_means_in_an_array() {
        let reads = [
            "x[0]",
            "x[-1].value",
            "x[-4]",
            "x[4]",
            "x[-5]",
            "x[0.5]",
            "x[1].keys()",
            "x[2][\"step\"]",
            "x.len",
            "x.none",
        ];
        let changes = [
            "x[0] = 7",
            "x[-1].value = 9.0",
            "x[1].value += 0.5",
            "x[2][\"step\"] = ()",
            "x[4] = 1",
            "x[1].clear()",
            "x += 1",
            "x += [1]",
            "x[0] += 1",
        ];
        let wholes = [
            "type_of(x)",
            "1 in x",
            "y[1] in x",
            "x == y",
            "y == x",
            "x == x",
            "x != y",
            "[x] == [y]",
            "x == 1",
            "x < y",
            "y + x",
            "`${x}`",
            "[x, #{ a: x }]",
            "to_json([x, #{ a: x }])",
            "x?[0]",
            "x.then(1)",
            "Fn(\"len\").call(x)",
            "while x.len() > 2 { x.pop(); }",
            "-x",
            "switch x { [] => 1, _ => 2 }",
        ];
        let calls = [&reads[..], &changes, &wholes].concat();
        same_as_an_array(&lab(4), &calls);
        // Of nothing, too.
        same_as_an_array(
            &lab(0),
            &["x[0]", "x[-1]", "x.pop()", "x.is_empty", "x == []", "x.mean()", "x.extract(-2)", "x.get(0)"],
        );
    }

    #[test]
    fn what_closures_share_is_a_list_that_changes_for_all_of_them() {
        let script = "let x = t.history(\"loss\"); let more = || x.push(7); let last = || x[-1]; let count = || x.len();
            print([count.call(), last.call().value]); more.call(); print([count.call(), last.call(), x.len(), x[4], type_of(x)]);
            let copy = x; copy.clear(); print(x.len()); x = t.history(\"loss\"); x[0].value = 5.0; print(t.history(\"loss\")[0].value);
            for p in x { p.value = 1.0; } print(x.map(|p| p.value)); fn shorter(list) { list.pop(); list.len() }
            print([shorter(x), x.len()]);
            const FIXED = t.history(\"loss\"); print(FIXED.len()); print(FIXED[0].keys());";
        assert_snapshot!(lab(4).output(&format!("{RUN}{script}")), @r#"
        closed told 1/1
        [4, 1.0]
        [5, 7, 5, 7, "array"]
        5
        0.0
        [5.0, 2.0, 4.0, 1.0]
        [3, 4]
        4
        ["at", "step", "value"]
        "#);
        let refused = [
            "t.history(\"loss\").push(1)",
            "t.history(\"loss\").sort_desc()",
            "t.history(\"loss\")[0] = 1",
            "const FIXED = t.history(\"loss\"); FIXED.pop()",
            "const FIXED = t.history(\"loss\"); FIXED[0] = 1",
            "let x = t.history(\"loss\"); if x { 1 }",
            "let x = t.history(\"loss\"); x[\"a\"]",
            "let x = t.history(\"loss\"); x.nothing()",
            "let x = t.history(\"loss\"); run([trial(#{ name: \"one\" })], #{ on_start: x })",
        ];
        let told: Vec<_> = refused.iter().map(|wrong| lab(4).refusal(&format!("{RUN}{wrong}"))).collect();
        assert_snapshot!(told.join("\n"), @"
        `push` changes what it is called of, and that cannot be changed here = put it into a variable first: `let own = ..;`
        `sort_desc` changes what it is called of, and that cannot be changed here = put it into a variable first: `let own = ..;`
        expression cannot be assigned to
        `pop` changes what it is called of, and that cannot be changed here = put it into a variable first: `let own = ..;`
        `[..] = ..` changes what it is called of, and that cannot be changed here = put it into a variable first: `let own = ..;`
        data type incorrect: array (expecting bool)
        indexer unavailable: array [string]
        no function `nothing (array)` = `combu help script` lists every function
        `on_start` takes a closure such as `|t| print(t.name)`, not array
        ");
    }

    #[test]
    fn a_list_in_a_variable_does_not_grow() {
        let script = "let seen = []; let first = ();
            let r = run(e, #{ on_metric: |t, name, value, step| {
                let told = t.history(\"loss\");
                if first == () { first = told; }
                seen.push(told.len() * 100 + first.len() * 10 + told[-1].step);
                if step == 1 { told.push(7); seen.push(told.len()); }
            } });
            print(seen); print(first.map(|p| p.step)); print(first == r[\"one\"].history(\"loss\"));";
        let script = format!("let e = experiment(\"told\", [#{{ name: \"one\" }}]); {script}");
        assert_snapshot!(lab(3).output(&script), @"
        closed told 1/1
        [110, 211, 3, 312]
        [0]
        false
        ");
    }

    #[test]
    fn a_hook_that_looks_at_the_last_values_copies_no_others() {
        let script = "let sum = 0.0;
            run(experiment(\"told\", [#{ name: \"one\" }]), #{ on_metric: |t, name, value, step| {
                let told = t.history(\"loss\");
                let again = told;
                let last = again.extract(-3);
                if !told.is_empty() && told.len() > 1 && told[-2].keys().len() == 3 { sum += last[0].value; }
                if told.get(-1) == () { throw 1; }
            } });";
        copies::take();
        assert_eq!(lab(2_000).output(script), "closed told 1/1");
        let copied = copies::take();
        assert!(copied <= 3 * 2_000, "{copied}");
    }
}
