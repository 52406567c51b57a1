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
use crate::script::values::series::Series;

/// Functions that leave their array as it is, though Rhai takes them for such that change it.
const READING: [&str; 5] = ["get", "extract", "order", "order_by", "order_desc"];

/// Registers what takes a series, after everything that takes an array.
pub(crate) fn register(engine: &mut Engine) {
    // Scripts are told that it is what it is like.
    engine.register_type_with_name::<Series>("array").register_iterator::<Series>();
    let mut module = Module::new();
    for (name, types) in taking_arrays(engine) {
        for types in with_series(&types) {
            forward(&mut module, &name, &types);
        }
    }
    read(&mut module);
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
    let series = TypeId::of::<Series>();
    let any = TypeId::of::<Dynamic>();
    raw(module, "index$get$", &[series, any], |context, arguments| {
        let [first, place] = arguments else { unreachable!("an index is one argument") };
        let series = first.read_lock::<Series>().expect("it is registered for series");
        let place = indexed(context, &series, place)?;
        Ok(series.get(place).unwrap_or_default())
    });
    raw(module, "index$set$", &[series, any, any], |context, arguments| {
        let [first, place, value] = arguments else { unreachable!("an index and a value are two arguments") };
        set(context, first, place, value)
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
        let kind = context.engine().map_type_name(index.type_name()).into();
        return Err(EvalAltResult::ErrorMismatchDataType("i64".into(), kind, Position::NONE).into());
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
        return Err(EvalAltResult::ErrorAssignmentToConstant(String::new(), Position::NONE).into());
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
