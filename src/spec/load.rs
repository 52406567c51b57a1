//! Jsonnet -> JSON. Knows no field of a trial.
//!
//! Each evaluation has its own thread, so that no values outlive it and a panic of the evaluator is an error here. Time and
//! memory are bounded by the process around it; see `evaluator.rs`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use jrsonnet_evaluator::error::ErrorKind;
use jrsonnet_evaluator::stack::set_stack_depth_limit;
use jrsonnet_evaluator::tla::TlaArg;
use jrsonnet_evaluator::trace::PathResolver;
use jrsonnet_evaluator::{
    AsPathLike, Error, FileImportResolver, IStr, ImportResolver, ObjValue, SourcePath, SourceVirtual, State, Val,
    apply_tla,
};
use jrsonnet_gcmodule::Acyclic;
use serde_json::{Map, Value};

use crate::model::source::source_text;
use crate::spec::fields::TRIALS;
use crate::spec::manifest::{DEEPEST_CALL, Unevaluated, json, problem, shown, told};
use crate::spec::natives;
use crate::spec::reader::DocumentPath;
use crate::spec::slips::{Slip, slip};
use crate::spec::sources::{LoadOptions, Sources};
use crate::spec::uuid;

/// The library that every spec can import.
const LIBRARY: &str = "combu.libsonnet";
const LIBRARY_TEXT: &str = include_str!("../../stdlib/combu.libsonnet");

/// The name of a text that comes from standard input, in place of a file.
pub(super) const STDIN: &str = "<stdin>";

/// The evaluator grows its stack on the heap; converting the value and dropping it does not.
const STACK: usize = 64 << 20;
const THREAD: &str = "jsonnet";
/// Trials that are made ahead of their reader: enough that neither thread wakes the other for each one.
const AHEAD: usize = 1024;

/// Evaluates `text`, the content of the file at `path` (absolute), to JSON, and reads that with `read`: the document with an
/// empty list of trials in it, and its trials. Of many trials, only a few exist as JSON at any time.
pub(super) fn evaluate<T>(
    path: &Path,
    text: &str,
    options: &LoadOptions,
    read: impl FnOnce(Value, &mut dyn Iterator<Item = Value>) -> T,
) -> Result<T, Unevaluated> {
    let (sender, values) = mpsc::sync_channel(AHEAD);
    let evaluation = move || {
        set_stack_depth_limit(DEEPEST_CALL);
        let state = state(path, text, options).map_err(|error| told(&error, ""))?;
        let _entered = state.enter();
        let value = state.import(path).map_err(|error| told(&error, ""))?;
        if !matches!(value, Val::Func(_))
            && let Some((name, _)) = options.tla_str.iter().chain(&options.tla_code).next()
        {
            let message = format!("the spec is not a function, so it cannot take the top-level argument `{name}`");
            return Err(problem(message, Some("write the spec as `function(..) [..]`".to_owned()), ""));
        }
        let value = apply_tla(&arguments(options), value).map_err(|error| told(&error, ""))?;
        document(&value, &sender)
    };
    let reading = move || {
        let document = values.recv().ok()?;
        Some(read(document, &mut values.into_iter()))
    };
    isolate(evaluation, reading)?.ok_or_else(|| problem("the jsonnet evaluator gave no value".to_owned(), None, ""))
}

/// Sends the document with an empty list of trials, then each trial.
fn document(value: &Val, sender: &SyncSender<Value>) -> Result<(), Unevaluated> {
    let root = DocumentPath::Root;
    let under_key = DocumentPath::Key(&root, TRIALS);
    let (document, trials) = match value {
        Val::Arr(trials) => (Value::Array(Vec::new()), Some((trials.clone(), root))),
        Val::Obj(object) => {
            object.run_assertions().map_err(|error| told(&error, ""))?;
            let mut map = Map::new();
            let mut trials = None;
            for (key, field) in object.iter() {
                let path = DocumentPath::Key(&root, &key);
                let value = match field.map_err(|error| told(&error, &path.text()))? {
                    Val::Arr(list) if &*key == TRIALS => {
                        trials = Some((list, under_key));
                        Value::Array(Vec::new())
                    }
                    field => json(&field, &path)?,
                };
                map.insert(key.to_string(), value);
            }
            (Value::Object(map), trials)
        }
        value => (json(value, &root)?, None),
    };
    // Who reads takes all of it; where that thread is gone, there is nobody to tell.
    let _gone = sender.send(document);
    let Some((list, above)) = trials else { return Ok(()) };
    for (index, trial) in list.iter().enumerate() {
        let path = DocumentPath::Index(&above, index);
        let trial = trial.map_err(|error| told(&error, &path.text()))?;
        let _gone = sender.send(json(&fresh(trial), &path)?);
    }
    Ok(())
}

/// An object whose fields are evaluated anew and forgotten with it: the list keeps the original, without their values.
fn fresh(value: Val) -> Val {
    match value {
        Val::Obj(object) => Val::Obj(object.extend_from(ObjValue::empty())),
        value => value,
    }
}

/// Runs an evaluation on a thread of its own and turns a panic there into an error; `meanwhile` runs on this one.
fn isolate<T>(
    evaluation: impl FnOnce() -> Result<(), Unevaluated> + Send,
    meanwhile: impl FnOnce() -> T,
) -> Result<T, Unevaluated> {
    // The panic becomes an error message, so the hook need not print it too.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(THREAD) {
                loud(panic);
            }
        }));
    });
    let joined = thread::scope(|scope| {
        let thread =
            thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK).spawn_scoped(scope, evaluation)?;
        let read = meanwhile();
        Ok(thread.join().map(|done| done.map(|()| read)))
    });
    match joined {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(problem(format!("the jsonnet evaluator gave up: {said}"), None, ""))
        }
        Err::<_, io::Error>(error) => Err(problem(format!("the jsonnet evaluator could not start: {error}"), None, "")),
    }
}

fn state(path: &Path, text: &str, options: &LoadOptions) -> Result<State, Error> {
    let std = jrsonnet_stdlib::ContextInitializer::new(PathResolver::new_cwd_fallback());
    for (name, value) in &options.ext_str {
        std.add_ext_str(name.as_str().into(), value.as_str().into());
    }
    for (name, code) in &options.ext_code {
        std.add_ext_code(name, code)?;
    }
    natives::add(&std);
    // Last, because it is the same value as "UUID" whatever else was said.
    std.add_ext_str("combu.id".into(), options.id.as_str().into());
    let imports = Imports {
        files: FileImportResolver::new(options.jpath.clone()),
        entry: path.to_owned(),
        text: text.to_owned(),
        id: options.id.clone(),
        jpath: options.jpath.clone(),
        sources: options.sources.clone(),
    };
    let mut builder = State::builder();
    builder.import_resolver(imports).context_initializer(std);
    Ok(builder.build())
}

#[expect(clippy::mutable_key_type, reason = "the evaluator asks for this map; its strings do not change")]
fn arguments(options: &LoadOptions) -> HashMap<IStr, TlaArg> {
    let texts = options.tla_str.iter().map(|(name, text)| (name, TlaArg::String(text.as_str().into())));
    let codes = options.tla_code.iter().map(|(name, code)| (name, TlaArg::InlineCode(code.clone())));
    texts.chain(codes).map(|(name, argument)| (name.as_str().into(), argument)).collect()
}

/// Where imports come from: beside the importing file, the `-J` folders, then the built-in library.
#[derive(Acyclic)]
struct Imports {
    files: FileImportResolver,
    entry: PathBuf,
    text: String,
    id: String,
    jpath: Vec<PathBuf>,

    sources: Sources,
}

impl Imports {
    fn is_stdin(&self) -> bool {
        self.entry.file_name().is_some_and(|name| name == STDIN)
    }
}

impl ImportResolver for Imports {
    fn resolve_from(&self, from: &SourcePath, path: &dyn AsPathLike) -> Result<SourcePath, Error> {
        let wanted = path.as_path().as_ref().to_owned();
        if from.is_default() && wanted == self.entry {
            return if self.is_stdin() {
                Ok(SourcePath::new(SourceVirtual(STDIN.into())))
            } else {
                self.files.resolve_from(from, path)
            };
        }
        // What standard input imports is looked for as what the command line imports is: in the working folder.
        let default = SourcePath::default();
        let from = if from.downcast_ref::<SourceVirtual>().is_some() { &default } else { from };
        let mut error = match self.files.resolve_from(from, path) {
            Err(error) if matches!(error.error(), ErrorKind::ImportFileNotFound(..)) => error,
            other => return other,
        };
        if wanted == Path::new(LIBRARY) {
            return Ok(SourcePath::new(SourceVirtual(LIBRARY.into())));
        }
        let mut folders = vec![from.path().and_then(Path::parent).map_or_else(|| ".".to_owned(), shown)];
        if folders[0] == "." {
            folders[0] = "the working folder".to_owned();
        }
        folders.extend(self.jpath.iter().map(|folder| shown(folder)));
        let message = format!("`{}` cannot be imported: it is not in {}", wanted.display(), folders.join(", "));
        *error.error_mut() = ErrorKind::ImportCallbackError(message);
        Err(error)
    }

    fn load_file_contents(&self, resolved: &SourcePath) -> Result<Vec<u8>, Error> {
        match resolved.downcast_ref::<SourceVirtual>() {
            Some(SourceVirtual(name)) if &**name == STDIN => {
                return Ok(uuid::replace(&self.text, &self.id).into_bytes());
            }
            Some(_) => return Ok(LIBRARY_TEXT.as_bytes().to_vec()),
            None => {}
        }
        let Some(path) = resolved.path() else {
            return self.files.load_file_contents(resolved);
        };
        if path == self.entry {
            return Ok(uuid::replace(&self.text, &self.id).into_bytes());
        }
        let bytes = self.files.load_file_contents(resolved)?;
        self.sources.note(path, &String::from_utf8_lossy(&bytes));
        let code = path.extension().is_some_and(|ending| ending == "jsonnet" || ending == "libsonnet");
        match String::from_utf8(bytes) {
            Ok(text) if code => {
                let text = source_text(&text);
                if let Some(Slip { message, hint }) = slip(&text) {
                    let message = format!("`{}`, {message}; {hint}", shown(path));
                    return Err(ErrorKind::RuntimeError(message.into()).into());
                }
                Ok(uuid::replace(&text, &self.id).into_bytes())
            }
            Ok(text) => Ok(text.into_bytes()),
            Err(error) => Ok(error.into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::isolate;

    #[test]
    fn a_panic_of_the_evaluator_is_an_error() {
        let failed = isolate(|| panic!("mmap failed"), || ());
        insta::assert_snapshot!(failed.unwrap_err().message, @"the jsonnet evaluator gave up: mmap failed");
        assert_eq!(isolate(|| Ok(()), || 7).unwrap(), 7);
    }
}
