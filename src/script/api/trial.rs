//! Trials in scripts: made from maps, read and changed field by field.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Dynamic, Engine, Map};
use serde_json::Value;

use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::script::api::table;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::host::Script;
use crate::script::values::convert::{from_json, from_object};
use crate::script::values::json::{to_json, to_object};
use crate::script::values::params::Params;
use crate::script::values::series::kind;
use crate::spec;

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    let folder = script.folder.clone();
    engine
        .register_type_with_name::<Arc<Trial>>("Trial")
        .register_fn("trial", move |fields: Map| make(&fields, &folder))
        .register_fn("to_string", |trial: &mut Arc<Trial>| trial.name.to_string())
        .register_fn("to_debug", |trial: &mut Arc<Trial>| format!("trial {}", trial.name))
        .register_fn("to_map", |trial: &mut Arc<Trial>| from_object(&trial.to_json()))
        .register_fn("==", |left: Arc<Trial>, right: Arc<Trial>| left == right)
        .register_fn("!=", |left: Arc<Trial>, right: Arc<Trial>| left != right)
        .register_indexer_get(|trial: &mut Arc<Trial>, field: &str| read(trial, field));
    let folder = script.folder.clone();
    engine.register_indexer_set(move |trial: &mut Arc<Trial>, field: &str, value: Dynamic| {
        let changed = [(field.into(), value)].into();
        *trial = change(trial, &changed, &folder)?;
        Ok(())
    });
    engine
        .register_fn("seconds", |text: &str| seconds(text))
        .register_fn("bytes", |text: &str| spec::size(text).map(|bytes| bytes as i64).map_err(fault));
    let folder = script.folder.clone();
    engine.register_fn("changed", move |trial: &mut Arc<Trial>, fields: Map| change(trial, &fields, &folder));
}

/// Whole seconds as a whole number, as a trial's fields read.
pub(crate) fn seconds(text: &str) -> Answer<Dynamic> {
    let span = spec::duration(text).map_err(fault)?;
    Ok(if span.subsec_nanos() == 0 { (span.as_secs() as i64).into() } else { span.as_secs_f64().into() })
}

/// A trial from the fields of a spec.
pub(super) fn make(fields: &Map, folder: &Path) -> Answer<Arc<Trial>> {
    parse(&Value::Object(written(fields)?), folder)
}

/// A trial given as such or by its fields.
pub(super) fn given(value: &Dynamic, folder: &Path) -> Answer<Arc<Trial>> {
    if let Some(trial) = value.read_lock::<Arc<Trial>>() {
        return Ok(trial.clone());
    }
    if let Some(fields) = value.read_lock::<Map>() {
        return make(&fields, folder);
    }
    Err(fault(format!("a trial, or a map of its fields, belongs here, not {}", kind(value))))
}

/// The fields of a trial given as such or by them, in JSON: a base of others, whose name need not be one.
pub(super) fn fields_of(base: &Dynamic, folder: &Path) -> Answer<serde_json::Map<String, Value>> {
    match base.read_lock::<Map>() {
        Some(fields) => written(&fields),
        None => Ok(given(base, folder)?.to_json()),
    }
}

/// The value of a field; `()` where the trial says nothing in it.
pub(super) fn read(trial: &Trial, field: &str) -> Answer<Dynamic> {
    match field {
        "name" => return Ok(trial.name.as_str().into()),
        "params" => return Ok(Params::of(trial)),
        _ => {}
    }
    // An empty field gives its empty form: lists and objects can be indexed and asked, the rest is `()`.
    let found = trial.fields().into_iter().find(|known| known.name == field);
    found.map(|found| from_json(&found.value.to_json())).ok_or_else(|| no_field(field))
}

/// A trial with some fields changed; `()` takes a field back.
pub(super) fn change(trial: &Arc<Trial>, fields: &Map, folder: &Path) -> Answer<Arc<Trial>> {
    let mut written = trial.to_json();
    let mut is_other = false;
    for (field, value) in fields {
        if !is_field(field) {
            return Err(no_field(field));
        }
        let value = if value.is_unit() { None } else { Some(spec_value(field, value)?) };
        if written.get(field.as_str()) != value.as_ref() {
            is_other = true;
            match value {
                Some(value) => drop(written.insert(field.to_string(), value)),
                None => drop(written.remove(field.as_str())),
            }
        }
    }
    // A method called on a field (`t.env.keys()`) writes the field back as it was.
    if is_other { parse(&Value::Object(written), folder) } else { Ok(trial.clone()) }
}

/// A trial from its fields in JSON.
pub(super) fn parse(fields: &Value, folder: &Path) -> Answer<Arc<Trial>> {
    spec::trial(fields, folder).map(Arc::new).map_err(|problems| fault(problems.to_string()))
}

/// The fields of a trial as a script writes them.
fn written(fields: &Map) -> Answer<serde_json::Map<String, Value>> {
    let mut object = to_object(fields)?;
    // As in a spec, what is said to be nothing is not said.
    object.retain(|_, value| !value.is_null());
    for (field, value) in &mut object {
        whole(field, value);
    }
    Ok(object)
}

/// A field's value in JSON, as a spec would have it.
pub(crate) fn spec_value(field: &str, value: &Dynamic) -> Answer<Value> {
    let mut value = to_json(value)?;
    whole(field, &mut value);
    Ok(value)
}

/// Script arithmetic makes `2.0` where a count is meant (`t.memory * 1.5`); params keep what they were given.
fn whole(field: &str, value: &mut Value) {
    if field != "params"
        && let Value::Number(number) = value
        && let Some(float) = number.as_f64().filter(|_| number.is_f64())
        && float.fract() == 0.0
        && float.abs() < 9e15
    {
        *value = Value::from(float as i64);
    }
}

/// Every field of a trial.
pub(crate) fn fields() -> impl Iterator<Item = &'static str> {
    spec::FIELDS.iter().map(|field| field.name)
}

fn is_field(field: &str) -> bool {
    fields().any(|known| known == field)
}

fn no_field(field: &str) -> Box<rhai::EvalAltResult> {
    let message = format!("a trial has no field `{field}`");
    if table::properties_of_results().any(|property| property == field) {
        let hint =
            format!("this is a trial to run; how it ended is in the result of its run: `result[t.name].{field}`");
        return fault_with(message, hint);
    }
    match did_you_mean(field, fields()) {
        Some(hint) => fault_with(message, hint),
        None => fault_with(message, "`combu help fields` lists the fields; what is yours goes into `params`"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    const BASE: &str = "let t = trial(#{ name: \"solver-1\", cmd: \"echo 'a b'\", memory: \"1g\", timeout: \"30m\", \
                        params: #{ mode: \"a\", depth: #{ x: 1 } } });\n";

    fn output(lines: &str) -> String {
        Lab::new().output(&format!("{BASE}{lines}"))
    }

    #[test]
    fn fields_read_in_their_resolved_form() {
        let lines = "print(t.name); print(t.cmd); print(t[\"memory\"]); print(t.timeout); print(t.params.mode);
            print(t.image); print(t.env); print(t.depends); print(t.priority); print(t); debug(t);";
        assert_snapshot!(output(lines), @r#"
        solver-1
        ["echo", "a b"]
        1073741824
        1800
        a

        #{}
        []
        0
        solver-1
        debug script.rhai:3:90 trial solver-1
        "#);
    }

    #[test]
    fn fields_are_set_and_checked() {
        let lines = "t.memory = t.memory * 1.5; print(t.memory); t.timeout = \"1h\"; print(t.timeout);
            t.cmd = [\"a\", \"b\"]; print(t.cmd); t.params.mode = \"b\"; t.params.fresh = 2; t.params.depth.x += 1;
            print(t.params); t.cmd = (); print(t.cmd); t[\"cpus\"] = 2; print(t.cpus); t.env.X = 1; print(t.env);
            t.cmd = \"a\"; t.cmd.push(\"c\"); print(t.cmd); t.name = \"solver-2\"; print(t.name);
            let u = t; u.cpus = 1; print(t.cpus); print(t == u);
            print(t.changed(#{ cpus: 4, image: \"busybox\" }).cpus); print(t.cpus); print(t.to_map().len());";
        assert_snapshot!(output(lines), @r#"
        1610612736
        3600
        ["a", "b"]
        #{"depth": #{"x": 2}, "fresh": 2, "mode": "b"}

        2.0
        #{"X": "1"}
        ["a", "c"]
        solver-2
        2.0
        false
        4.0
        2.0
        7
        "#);
    }

    #[test]
    fn what_a_trial_takes_of_the_machine_is_read_and_set() {
        let lines = "print(t.pin); print(t.limits); print(t.nice); print(t.gpus);
            t.pin = true; t.limits.license = 1; t.nice = true; t.gpus = 2;
            print([t.pin, t.limits, t.nice, t.gpus]); t.gpus = [\"0\", \"1\"]; t.nice = 3; print([t.gpus, t.nice]);
            t.pin = (); t.limits = (); print([t.pin, t.limits]); t.limits.license = -1;";
        assert_snapshot!(output(lines), @r#"
        false
        #{}


        [true, #{"license": 1}, 10, 2]
        [["0", "1"], 3]
        [false, #{}]
        script.rhai:5:67: limits.license: -1 is too small or too large: at least 0
          | t.pin = (); t.limits = (); print([t.pin, t.limits]); t.limits.license = -1;
        "#);
    }

    #[test]
    fn a_bad_value_is_an_error_with_its_place() {
        assert_snapshot!(output("t.memory = \"lots\";"), @r#"
        script.rhai:2:2: memory: `lots` is not a size: write `512m`, `2g`, `64MiB` or bytes
          | t.memory = "lots";
        "#);
        assert_snapshot!(output("t.cpus = -1;"), @"
        script.rhai:2:2: cpus: -1 is not a number of CPUs; write a number above zero, such as 2 or 0.5
          | t.cpus = -1;
        ");
        assert_snapshot!(output("t.memori = 1;"), @"
        script.rhai:2:2: a trial has no field `memori`
          | t.memori = 1;
          = did you mean `memory`?
        ");
        assert_snapshot!(output("print(t.memori);"), @"
        script.rhai:2:8: a trial has no field `memori`
          | print(t.memori);
          = did you mean `memory`?
        ");
        assert_snapshot!(output("print(t.params.mdoe);"), @"
        script.rhai:2:15: the trial `solver-1` has no param `mdoe`
          | print(t.params.mdoe);
          = did you mean `mode`?
        ");
        assert_snapshot!(output("t.env = #{ f: |x| x };"), @"
        script.rhai:2:2: `f`: a closure (Fn) has no JSON form
          | t.env = #{ f: |x| x };
        ");
        assert_snapshot!(output("trial(#{ name: \"x y\", ports: [#{ container: \"web\" }], colour: 1 });"), @r#"
        script.rhai:2:1: unknown key `colour`; `combu help fields` lists the known ones
        name: `x y` cannot be a trial's name: ` ` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)
        ports[0].container: `web` is not a port between 1 and 65535
          | trial(#{ name: "x y", ports: [#{ container: "web" }], colour: 1 });
        "#);
    }

    #[test]
    fn a_trial_without_params_has_no_mode() {
        assert_snapshot!(Lab::new().output("let t = trial(#{ name: \"loader\" }); print(t.params.mode == \"a\");"), @"false");
    }

    #[test]
    fn durations_and_sizes_are_read() {
        assert_snapshot!(output("print(seconds(\"1h30m\")); print(bytes(\"2g\")); seconds(\"soon\");"), @r#"
        5400
        2147483648
        script.rhai:2:46: `soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
          | print(seconds("1h30m")); print(bytes("2g")); seconds("soon");
        "#);
    }
}
