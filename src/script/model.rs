//! Models of simulations that users write: a function `trial(t, random)` in a Rhai file says how an attempt would go.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rhai::module_resolvers::FileModuleResolver;
use rhai::{AST, Array, Dynamic, Engine, Map, Position, Scope};

use crate::engine::Launch;
use crate::engine::fake::{Saying, Scene};
use crate::model::event::{Record, Usage};
use crate::model::outcome::Exit;
use crate::model::seed::mixed;
use crate::model::suggest::did_you_mean;
use crate::run::session::interrupt::Interrupt;
use crate::run::simulation::{Model, ModelError};
use crate::script::api;
use crate::script::api::random::Random;
use crate::script::error::ScriptError;
use crate::script::execute::STACK;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::functions::Functions;
use crate::script::host::{DEPTH, EXPRESSION};
use crate::script::source::readable;
use crate::script::values::convert::{as_number, from_json};
use crate::script::values::params::Params;
use crate::spec;

/// The function of a model.
const FUNCTION: &str = "trial";

/// What it may give back.
const KEYS: [&str; 6] = ["takes", "exit", "peak_memory", "metrics", "stdout", "stderr"];

/// What a model is asked, and where its answer goes.
type Question = (Launch, Sender<Result<Scene, ScriptError>>);

/// A model in a Rhai file. It is asked on a thread of its own, since values of Rhai stay on one.
pub struct ScriptModel(Mutex<Sender<Question>>);

impl fmt::Debug for ScriptModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptModel")
    }
}

impl ScriptModel {
    /// Reads a model; `say` shows what it prints, and an interrupt ends a model that does not.
    ///
    /// # Errors
    /// When it cannot be read, or has no function `trial(t, random)`.
    #[expect(clippy::result_large_err, reason = "it is made once, when all is over")]
    pub fn load(path: &Path, interrupt: Interrupt, say: impl Fn(&str) + Send + 'static) -> Result<Self, ScriptError> {
        let unreadable = |error| ScriptError::unreadable(path.to_owned(), &error);
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let ((questions, asked), (answer, loaded)) = (channel(), channel());
        let path = path.to_owned();
        let failed = unreadable_thread(&path);
        thread::Builder::new()
            .name("model".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let engine = engine(&path, interrupt, say);
                match ModelThread::new(engine, path, &text) {
                    Ok(thread) => {
                        let _gone = answer.send(Ok(()));
                        thread.answer(&asked);
                    }
                    // Whoever loads waits for it.
                    Err(error) => drop(answer.send(Err(error))),
                }
            })
            .map_err(failed)?;
        loaded.recv().expect("the thread answers before it ends")?;
        Ok(Self(Mutex::new(questions)))
    }
}

fn unreadable_thread(path: &Path) -> impl FnOnce(std::io::Error) -> ScriptError + use<> {
    let path = path.to_owned();
    move |error| ScriptError::unreadable(path, &error)
}

impl Model for ScriptModel {
    fn scene(&self, launch: &Launch) -> Result<Scene, ModelError> {
        let (answer, answered) = channel();
        let gone = || -> Box<dyn Error + Send + Sync> { "the model's thread is gone".into() };
        let questions = self.0.lock().expect("no code panics while it holds the lock");
        questions.send((launch.clone(), answer)).map_err(|_| gone())?;
        Ok(answered.recv().map_err(|_| gone())??)
    }
}

/// A Rhai engine with the functions that reach nothing.
fn engine(path: &Path, interrupt: Interrupt, say: impl Fn(&str) + Send + 'static) -> Engine {
    let mut engine = Engine::new();
    engine.disable_symbol("eval");
    engine.set_strict_variables(true).set_fail_on_invalid_map_property(true);
    engine.set_max_call_levels(DEPTH).set_max_expr_depths(EXPRESSION.0, EXPRESSION.1);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    engine.set_module_resolver(FileModuleResolver::new_with_path(folder));
    engine.on_progress(move |_| (interrupt.count() > 0).then(|| interrupt.by().unwrap_or_default().into()));
    let say = std::rc::Rc::new(say);
    let said = say.clone();
    engine.on_print(move |text| said(text));
    engine.on_debug(move |text, _, position| say(&format!("line {}: {text}", position.line().unwrap_or(0))));
    api::register_pure(&mut engine);
    engine
}

/// The model on its thread.
struct ModelThread {
    engine: Engine,
    ast: AST,
    shown: PathBuf,
    functions: Functions,
    /// Where its function stands.
    place: Position,
}

impl ModelThread {
    #[expect(clippy::result_large_err, reason = "it is made once, when all is over")]
    fn new(engine: Engine, shown: PathBuf, text: &str) -> Result<Self, ScriptError> {
        let functions = Functions::default();
        let mut ast = engine.compile(readable(text)).map_err(|error| {
            ScriptError::told(rhai::EvalAltResult::ErrorParsing(*error.0, error.1), &shown, &functions)
        })?;
        ast.set_source(shown.display().to_string());
        functions.note(&ast);
        let found = ast.iter_fn_def().find(|function| function.name == FUNCTION && function.params.len() == 2);
        let Some(found) = found else {
            let other = ast.iter_fn_def().find(|function| function.name == FUNCTION);
            let mut error = fault_with(
                "the model has no function `trial(t, random)`",
                "write `fn trial(t, random) { #{ takes: \"30s\", exit: 0 } }`: it says how an attempt would go",
            );
            error.set_position(other.map_or(Position::new(1, 1), |function| function.body.start_position()));
            return Err(ScriptError::told(*error, &shown, &functions));
        };
        let place = found.body.start_position();
        Ok(Self { engine, ast, shown, functions, place })
    }

    fn answer(&self, asked: &Receiver<Question>) {
        for (launch, answer) in asked {
            // Whoever asked waits for it.
            let _gone = answer.send(self.scene(&launch));
        }
    }

    #[expect(clippy::result_large_err, reason = "it is made once, when all is over")]
    fn scene(&self, launch: &Launch) -> Result<Scene, ScriptError> {
        let said = self.engine.call_fn::<Dynamic>(
            &mut Scope::new(),
            &self.ast,
            FUNCTION,
            (attempt(launch), Random::seeded(seed(launch))),
        );
        said.and_then(|said| {
            scene(&said, launch).map_err(|mut error| {
                error.set_position(self.place);
                error
            })
        })
        .map_err(|error| ScriptError::told(*error, &self.shown, &self.functions))
    }
}

/// What a model is told of an attempt.
fn attempt(launch: &Launch) -> Map {
    let trial = &launch.trial;
    let mut map: Map =
        trial.written.to_json().iter().map(|(key, value)| (key.as_str().into(), from_json(value))).collect();
    let number = |number: Option<u64>| number.map_or(Dynamic::UNIT, |number| (number as i64).into());
    map.insert("name".into(), trial.name.as_str().into());
    map.insert("params".into(), Params::of(&trial.written));
    map.insert("cpus".into(), trial.cpus.unwrap_or(1.0).into());
    map.insert("memory".into(), number(trial.memory));
    map.insert("gpus".into(), (launch.gpus.len() as i64).into());
    map.insert("attempt".into(), i64::from(launch.attempt).into());
    map.insert("attempts".into(), i64::from(launch.attempt).into());
    map
}

/// The seed of an attempt: that of its trial, which follows from the run's, and its number.
fn seed(launch: &Launch) -> u64 {
    let said = launch.env.iter().find(|(name, _)| name == "COMBU_SEED").and_then(|(_, seed)| seed.parse::<u64>().ok());
    mixed(said.unwrap_or_default() ^ (u64::from(launch.attempt) << 32))
}

/// What a model said, as a scene.
fn scene(said: &Dynamic, launch: &Launch) -> Answer<Scene> {
    let Some(said) = said.read_lock::<Map>() else {
        let hint = "write `#{ takes: \"30s\", exit: 0 }`";
        return Err(fault_with(format!("`trial` gives back a map, not {}", shown(said)), hint));
    };
    if let Some(unknown) = said.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = did_you_mean(unknown, KEYS).unwrap_or_else(|| format!("there are {}", KEYS.join(", ")));
        return Err(fault_with(format!("what `trial` gives back has an unknown key `{unknown}`"), hint));
    }
    let Some(takes) = said.get("takes") else {
        return Err(fault_with(
            "what `trial` gives back has no `takes`",
            "say how long the attempt takes: `takes: \"30s\"`",
        ));
    };
    let run_for = span("takes", takes)?;
    let exit = match said.get("exit").map_or(Ok(0), Dynamic::as_int) {
        Ok(code @ 0..=255) => Exit::Code(code as i32),
        _ => return Err(fault(format!("`exit` is a code from 0 to 255, not {}", shown(&said["exit"])))),
    };
    let peak_memory = said.get("peak_memory").map(bytes).transpose()?;
    let is_over = peak_memory.zip(launch.trial.memory).is_some_and(|(peak, memory)| memory < peak);
    let peak_memory = if is_over { launch.trial.memory } else { peak_memory };
    let word = |key: &str| match said.get(key) {
        None => Ok(String::new()),
        Some(text) => text.clone().into_string().map_err(|_| fault(format!("`{key}` is a text, not {}", shown(text)))),
    };
    let mut later = said.get("metrics").map_or(Ok(Vec::new()), |metrics| told(metrics, run_for))?;
    let stdout = word("stdout")?;
    if !is_over {
        later.push((run_for, Saying::Text(stdout)));
    }
    Ok(Scene {
        run_for,
        exit: if is_over { Exit::Oom } else { exit },
        later,
        stderr: word("stderr")?,
        usage: peak_memory.map(|_| Usage { peak_memory, ..Usage::default() }),
        ..Scene::default()
    })
}

/// Metrics and the times at which they are told, in order.
fn told(metrics: &Dynamic, run_for: Duration) -> Answer<Vec<(Duration, Saying)>> {
    let wrong = |found: &Dynamic| {
        let hint = "write `metrics: [[10, \"loss\", 0.5, 1]]`: seconds, the metric's name, its value, and its step if there is one";
        fault_with(format!("`metrics` is a list of lists, with {} in it", shown(found)), hint)
    };
    let list = metrics.read_lock::<Array>().ok_or_else(|| wrong(metrics))?;
    let one = |entry: &Dynamic| {
        let parts = entry.read_lock::<Array>().ok_or_else(|| wrong(entry))?;
        let (after, name, value, step) = match &parts[..] {
            [after, name, value] => (after, name, value, None),
            [after, name, value, step] => (after, name, value, Some(step)),
            _ => return Err(wrong(entry)),
        };
        let after = span("metrics", after)?;
        if after > run_for {
            let (after, run_for) = (after.as_secs_f64(), run_for.as_secs_f64());
            let hint = "what an attempt tells, it tells before its end";
            return Err(fault_with(
                format!("a metric is told after {after} s, and the attempt takes {run_for} s"),
                hint,
            ));
        }
        let name = name.clone().into_string().map_err(|_| wrong(entry))?;
        let value = as_number(value).filter(|value| value.is_finite()).ok_or_else(|| wrong(entry))?;
        let step =
            step.map(|step| step.as_int().ok().and_then(|step| u64::try_from(step).ok()).ok_or_else(|| wrong(entry)));
        Ok((after, Saying::Record(Record::Metric { name, value, step: step.transpose()? })))
    };
    let mut told = list.iter().map(one).collect::<Answer<Vec<_>>>()?;
    told.sort_by_key(|(after, _)| *after);
    Ok(told)
}

/// Seconds as a number, or a text like `30s`.
fn span(key: &str, value: &Dynamic) -> Answer<Duration> {
    if let Ok(text) = value.clone().into_string() {
        return spec::duration(&text).map_err(|message| fault(format!("`{key}`: {message}")));
    }
    let seconds = as_number(value).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| {
        fault_with(format!("`{key}` is a time, not {}", shown(value)), "write `\"30s\"`, or seconds: `30`")
    })
}

/// Bytes as a number, or a text like `2g`.
fn bytes(value: &Dynamic) -> Answer<u64> {
    if let Ok(text) = value.clone().into_string() {
        return spec::size(&text).map_err(|message| fault(format!("`peak_memory`: {message}")));
    }
    let bytes = as_number(value).filter(|bytes| *bytes >= 0.0).map(|bytes| bytes as u64);
    bytes
        .ok_or_else(|| fault_with(format!("`peak_memory` is a size, not {}", shown(value)), "write `\"2g\"`, or bytes"))
}

/// A value in a message.
fn shown(value: &Dynamic) -> String {
    if value.is_unit() { "nothing".to_owned() } else { format!("`{value}`") }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    /// Trials take as many seconds as their param says, and tell how far they are in the middle.
    const MODEL: &str = "fn trial(t, random) {
        let half = t.params.takes / 2;
        #{ takes: t.params.takes, metrics: [[half, \"half\", half, 1]], stdout: `noise=${random.normal()}` }
    }";

    fn output(lines: &str) -> String {
        Lab::simulated(MODEL).output(&format!("let began = now();\n{lines}"))
    }

    #[test]
    fn time_passes_only_while_the_script_waits() {
        assert_snapshot!(output("for n in 0..1000 { n * 2; } print(now() - began); print(began);
            sleep(86400); print(now() - began);
            let r = run([#{ name: \"long\", params: #{ takes: 864000 } }]); print(now() - began); print(r.elapsed);
            print(r[\"long\"].metrics);"), @r#"
        0.0
        946684800.0
        86400.0
        closed script 1/1
        950400.0
        864000.0
        #{"half": 432000.0}
        "#);
    }

    #[test]
    fn hooks_of_two_runs_are_called_in_the_order_of_virtual_time() {
        assert_snapshot!(output("let said = |t| print(`${now() - began} ${t.name}`);
            let run = |name, spans| start(experiment(name, spans.map(|s| #{ name: `${name}-${s}`, params: #{ takes: s } })),
                #{ on_complete: said, parallel: 2 });
            let a = run.call(\"aa\", [30, 90]); let b = run.call(\"bb\", [60]);
            print(a.next().name); print(b.next().name); print(a.next().name); print(b.next()); print(a.next());"), @"
        30.0 aa-30
        aa-30
        60.0 bb-60
        bb-60
        90.0 aa-90
        aa-90


        closed bb 1/1
        closed aa 2/2
        ");
    }

    #[test]
    fn a_run_is_asked_and_changed_without_time_passing() {
        assert_snapshot!(output("let live = start([#{ name: \"one\", params: #{ takes: 60 } }], #{ parallel: 1 });
            live.submit(#{ name: \"two\", params: #{ takes: 60 } });
            print(live.why(\"two\")); print(now() - began); print(live.next().name); print(now() - began);
            print(live.wait()); print(now() - began);"), @r#"
        ["`two` is ready and waits for room:", "one of the 1 places for trials that run at once"]
        0.0
        one
        60.0
        closed script 2/2
        script: 2 of 2 succeeded
        120.0
        "#);
    }

    #[test]
    fn chance_follows_the_seed_the_trial_and_the_attempt() {
        let noise = |options: &str| {
            output(&format!(
                "let r = run([\"aa\", \"bb\"].map(|n| #{{ name: n, params: #{{ takes: 1 }} }}), {options});
                for t in r {{ print(t.value(\"noise\")); }}"
            ))
        };
        let first = noise("#{ seed: 1 }");
        let values: std::collections::BTreeSet<&str> = first.lines().collect();
        assert_eq!(values.len(), 3, "{first}");
        assert_eq!(noise("#{ seed: 1 }"), first);
        assert_ne!(noise("#{ seed: 2 }"), first);
        assert_eq!(noise("#{}"), noise("#{}"));
    }
}
