//! Values of jsonnet as JSON, and errors of its evaluator in combu's words.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use jrsonnet_evaluator::analyze::DiagLevel;
use jrsonnet_evaluator::error::ErrorKind;
use jrsonnet_evaluator::{Error, SourcePath, SourceVirtual, Span, Val};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::spec::error::Frame;
use crate::spec::plain::whole;
use crate::spec::reader::DocumentPath;

/// Calls within calls. Jsonnet's own command stops at 500; jrsonnet counts more things as calls.
pub(super) const DEEPEST_CALL: usize = 2000;
/// Lists and objects within each other: what is deeper is a value that contains itself.
const DEEPEST_VALUE: usize = 200;
/// Places that are told of one error.
const MOST_FRAMES: usize = 6;

/// A spec without a value, and why; the caller knows which file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unevaluated {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) at: String,
    pub(super) frames: Vec<Frame>,
}

/// What stands before the place of a value that is made, in a trace.
pub(super) const MAKES: &str = "makes ";

/// Where each value that is made is said before.
static TRACE: OnceLock<Mutex<Box<dyn Write + Send>>> = OnceLock::new();

/// From now on this process says there which value it makes.
pub(super) fn trace(out: impl Write + Send + 'static) {
    TRACE.get_or_init(|| Mutex::new(Box::new(out)));
}

/// Makes the value, which is where a lazy language finds its errors.
pub(super) fn json(value: &Val, place: &DocumentPath<'_>) -> Result<Value, Unevaluated> {
    if let Some(Ok(mut out)) = TRACE.get().map(Mutex::lock) {
        // Where nobody reads any more, nobody asks.
        let _gone = writeln!(out, "{MAKES}{}", place.text());
    }
    if place.depth() > DEEPEST_VALUE {
        let at: String = place.text().chars().take(60).collect();
        let message = format!("a value has more than {DEEPEST_VALUE} levels; it seems to contain itself");
        return Err(problem(message, None, &format!("{at}..")));
    }
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Str(text) => Value::String(text.clone().into_flat().to_string()),
        Val::Num(number) => whole(number.get()),
        Val::Arr(elements) => {
            let mut list = Vec::with_capacity(elements.len() as usize);
            for (index, element) in elements.iter().enumerate() {
                let place = DocumentPath::Index(place, index);
                let element = element.map_err(|error| told(&error, &place.text()))?;
                list.push(json(&element, &place)?);
            }
            Value::Array(list)
        }
        Val::Obj(object) => {
            object.run_assertions().map_err(|error| told(&error, &place.text()))?;
            let mut map = Map::with_capacity(object.len() as usize);
            for (key, field) in object.iter() {
                let place = DocumentPath::Key(place, &key);
                let field = field.map_err(|error| told(&error, &place.text()))?;
                map.insert(key.to_string(), json(&field, &place)?);
            }
            Value::Object(map)
        }
        Val::Func(_) => {
            return Err(problem(
                "a function is not a value of a spec".to_owned(),
                Some("call it".to_owned()),
                &place.text(),
            ));
        }
    })
}

pub(super) fn problem(message: String, hint: Option<String>, at: &str) -> Unevaluated {
    Unevaluated { message, hint, at: at.to_owned(), frames: Vec::new() }
}

/// The evaluator's error in combu's words.
pub(super) fn told(error: &Error, at: &str) -> Unevaluated {
    let mut spans: Vec<(Option<&Span>, &str)> = Vec::new();
    let mut hint = None;
    let message = match error.error() {
        ErrorKind::StaticAnalysisError(diagnostics) => {
            let errors: Vec<_> = diagnostics.iter().filter(|found| found.level == DiagLevel::Error).collect();
            spans.extend(errors.iter().map(|found| (found.span.as_ref(), "")));
            let messages: Vec<_> = errors.iter().map(|found| found.message.as_str()).collect();
            let message = messages.join("; ");
            // The evaluator's own suggestion, in our words.
            match message.split_once("There is a local with similar name present: ") {
                Some((message, near)) => {
                    hint = Some(format!("did you mean `{}`?", near.trim()));
                    message.trim().to_owned()
                }
                None => message,
            }
        }
        ErrorKind::ImportSyntaxError { error, .. } => {
            spans.push((Some(&error.location), ""));
            hint = beyond_ascii(&error.location);
            format!("syntax error: {}", error.message)
        }
        ErrorKind::RuntimeError(text) => text.to_string(),
        ErrorKind::ImportBadFileUtf8(path) => {
            format!("`{}` is not UTF-8", path.path().map_or_else(|| path.to_string(), shown))
        }
        ErrorKind::StackOverflow => {
            hint = Some(
                "look for a function that calls itself without an end; many steps are a `std.foldl(..)`".to_owned(),
            );
            format!("calls are nested more than {DEEPEST_CALL} deep")
        }
        ErrorKind::InfiniteRecursionDetected => {
            hint = Some("look for a field or a variable that uses itself".to_owned());
            "infinite recursion".to_owned()
        }
        // What the evaluator says was wanted is always a string.
        ErrorKind::ValueIndexMustBeTypeGot(value, _, index) => wrong_index(value.name(), index.name()),
        ErrorKind::UndefinedExternalVariable(name) => {
            hint = Some(format!("give it with `--ext-str {name}=..` or `--ext-code {name}=..`"));
            format!("the external variable `{name}` is not given")
        }
        ErrorKind::NoSuchField(name, near) => {
            hint = near.first().map(|near| format!("did you mean `{near}`?"));
            format!("no such field: `{name}`")
        }
        // Without a place it is the spec itself that was called.
        ErrorKind::FunctionParameterNotBoundInCall(name, _) if error.trace().0.iter().all(|f| f.location.is_none()) => {
            hint = Some(format!("give it with `--tla-str {name}=..` or `--tla-code {name}=..`"));
            format!("the spec is a function and its argument `{name}` is not given")
        }
        other => lines_joined(&other.to_string()),
    };
    spans.extend(error.trace().0.iter().map(|frame| (frame.location.as_ref(), frame.desc.as_str())));
    Unevaluated { message, hint, at: at.to_owned(), frames: frames(&spans) }
}

/// The message of an index that does not fit its value, both by their types.
fn wrong_index(value: &str, index: &str) -> String {
    match value {
        "array" | "string" => {
            format!("wrong index of a value of the type {value}: expected a number, got a value of the type {index}")
        }
        "object" => format!("wrong field of an object: expected a string, got a value of the type {index}"),
        value => format!("a value of the type {value} has neither elements nor fields"),
    }
}

/// What to say of a character that jsonnet allows in strings and comments only.
fn beyond_ascii(Span(source, start, _): &Span) -> Option<String> {
    let c = source.code().get(*start as usize..)?.chars().next()?;
    if c.is_ascii() {
        None
    } else if c.is_whitespace() {
        Some("that blank is not an ASCII one".to_owned())
    } else {
        Some(format!("outside of strings and comments jsonnet is ASCII: put quotes around `{c}..`"))
    }
}

fn lines_joined(text: &str) -> String {
    text.split('\n').collect::<Vec<_>>().join("; ")
}

/// The places, each once: a recursion visits the same ones again and again.
fn frames(spans: &[(Option<&Span>, &str)]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for (span, description) in spans {
        let Some(span) = span else { continue };
        let description = if frames.is_empty() { "" } else { description };
        let frame = frame(span, description);
        let known = |other: &Frame| (&other.file, other.line, other.column) == (&frame.file, frame.line, frame.column);
        if !frames.iter().any(known) {
            frames.push(frame);
        }
        if frames.len() == MOST_FRAMES {
            break;
        }
    }
    frames
}

/// Spans count bytes, so jrsonnet's own way to lines, which counts characters, is not used.
fn frame(Span(source, start, _): &Span, description: &str) -> Frame {
    let code = source.code();
    let before = code.get(..*start as usize).unwrap_or(code);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Frame {
        file: source.source_path().path().map_or_else(|| virtual_name(source.source_path()), shown),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        text: code[line_start..].lines().next().unwrap_or_default().to_owned(),
        description: description.to_owned(),
    }
}

fn virtual_name(path: &SourcePath) -> String {
    match path.downcast_ref::<SourceVirtual>() {
        Some(SourceVirtual(name)) => name.to_string(),
        None => "<inline code>".to_owned(),
    }
}

/// A path as people name it: relative to the working folder where it is below it.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here: PathBuf| here.canonicalize());
    let below = |here: io::Result<PathBuf>| here.ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    match below(here) {
        Some(path) if path.as_os_str().is_empty() => ".".to_owned(),
        Some(path) => path.display().to_string(),
        None => path.display().to_string(),
    }
}
