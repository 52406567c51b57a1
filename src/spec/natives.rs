//! What `combu.libsonnet` has from Rust: the same functions as scripts have.

use jrsonnet_evaluator::error::ErrorKind;
use jrsonnet_evaluator::function::FuncVal;
use jrsonnet_evaluator::function::builtin::{NativeCallback, NativeCallbackHandler};
use jrsonnet_evaluator::{Error, Val};
use jrsonnet_gcmodule::Trace;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::space::{self, BadSpace, Point, Sampling, Space};
use crate::spec::manifest::json;
use crate::spec::reader::DocumentPath;
use crate::spec::template::Template;

type Native = fn(&[Value]) -> Result<Value, BadSpace>;

/// Functions by name, with the names of their arguments.
const NATIVES: [(&str, &[&str], Native); 9] = [
    ("grid", &["space"], |given| Ok(Value::from_iter(space_of(&given[0])?.grid()?))),
    ("zip", &["space"], |given| Ok(Value::from_iter(space_of(&given[0])?.zip()?))),
    ("sample", &["space", "n", "options"], sample),
    ("trials", &["base", "points"], |given| {
        let base = object(&given[0], "the base of `trials` is an object of a trial's fields")?.clone();
        Ok(Value::from_iter(Template::new(base).trials(&points(&given[1])?)?))
    }),
    ("name", &["prefix", "params"], |given| {
        let prefix = given[0].as_str().ok_or_else(|| wrong("`name` begins with a text", &given[0]))?;
        Ok(space::name(prefix, object(&given[1], "the params of `name` are an object")?).into())
    }),
    ("range", &["from", "to", "step"], |given| space::range(&given[0], &given[1], &given[2]).map(Value::Array)),
    ("linspace", &["from", "to", "count"], |given| {
        space::linspace(number(&given[0])?, number(&given[1])?, count(&given[2])?).map(Value::Array)
    }),
    ("logspace", &["from", "to", "count"], |given| {
        space::logspace(number(&given[0])?, number(&given[1])?, count(&given[2])?).map(Value::Array)
    }),
    ("geomspace", &["from", "to", "count"], |given| {
        space::geomspace(number(&given[0])?, number(&given[1])?, count(&given[2])?).map(Value::Array)
    }),
];

/// Makes them known as `std.native('combu.grid')`.
pub(super) fn add(std: &jrsonnet_stdlib::ContextInitializer) {
    for (name, arguments, call) in NATIVES {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        #[expect(deprecated, reason = "a table of plain functions needs no macro for each")]
        let native = NativeCallback::new(arguments, Handler { name, call });
        std.add_native(format!("combu.{name}"), FuncVal::builtin(native));
    }
}

#[derive(Trace)]
struct Handler {
    #[trace(skip)]
    name: &'static str,
    #[trace(skip)]
    call: Native,
}

impl NativeCallbackHandler for Handler {
    fn call(&self, given: &[Val]) -> Result<Val, Error> {
        let failed = |message: String| Error::from(ErrorKind::RuntimeError(message.into()));
        let values = given.iter().map(|value| json(value, &DocumentPath::Root)).collect::<Result<Vec<_>, _>>();
        let values = values.map_err(|error| failed(format!("{}: {}", self.name, error.message)))?;
        let made = (self.call)(&values).map_err(|error| failed(format!("{}: {error}", self.name)))?;
        Val::deserialize(made).map_err(|error| failed(error.to_string()))
    }
}

fn sample(given: &[Value]) -> Result<Value, BadSpace> {
    if given[0].is_number() && given[1].is_object() {
        return Err(BadSpace::new(
            "the space comes first",
            "write `sample({ lr: uniform(0.001, 0.1) }, 20, { seed: 1 })`",
        ));
    }
    let sampling = match &given[2] {
        Value::Object(options) => Sampling::read(options)?,
        seed => Sampling::seeded(seed)?,
    };
    let count =
        usize::try_from(count(&given[1])?).map_err(|_| wrong("a number of points is not negative", &given[1]))?;
    Ok(Value::from_iter(space_of(&given[0])?.sample(count, sampling)?))
}

fn space_of(value: &Value) -> Result<Space, BadSpace> {
    Space::read(object(value, "a space is an object of lists and ranges")?)
}

fn points(value: &Value) -> Result<Vec<Point>, BadSpace> {
    let list = value.as_array().ok_or_else(|| wrong("points are a list of objects", value))?;
    list.iter().map(|point| object(point, "a point is an object").cloned()).collect()
}

fn object<'a>(value: &'a Value, wanted: &str) -> Result<&'a Map<String, Value>, BadSpace> {
    value.as_object().ok_or_else(|| wrong(wanted, value))
}

fn number(value: &Value) -> Result<f64, BadSpace> {
    value.as_f64().ok_or_else(|| wrong("a number belongs here", value))
}

fn count(value: &Value) -> Result<i64, BadSpace> {
    value.as_i64().ok_or_else(|| wrong("a whole number belongs here", value))
}

fn wrong(wanted: &str, found: &Value) -> BadSpace {
    let text: String = found.to_string().chars().take(40).collect();
    BadSpace { message: format!("{wanted}, not {text}"), hint: None }
}
