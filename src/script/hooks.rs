//! Hooks: script closures called with what happens in a run, on the script's own thread.

use std::cell::Cell;

use rhai::{Dynamic, EvalAltResult, FnPtr, Map};

use crate::model::event::{Event, Fact, Record};
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::summary::Summary;
use crate::script::caller::Caller;
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::functions::Functions;
use crate::script::host::Script;
use crate::script::values::convert;
use crate::script::values::history::step;
use crate::script::values::result::TrialView;
use crate::script::values::series::kind;
use crate::script::way::Way;

/// Names of hooks in a run's options.
pub(super) const HOOKS: [&str; 6] = ["on_start", "on_metric", "on_complete", "on_fail", "on_retry", "on_event"];

/// Whether a key of a run's options is meant to be a hook: `on_end` is an option like others.
pub(super) fn is_hook(key: &str) -> bool {
    key.starts_with("on_") && key != "on_end"
}

/// What an error in a hook does to the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum OnError {
    /// What runs may end, and nothing more is started.
    #[default]
    Drain,
    /// What runs is stopped.
    Stop,
}

impl OnError {
    fn take(options: &mut Map) -> Answer<Self> {
        let Some(said) = options.remove("on_error") else { return Ok(Self::Drain) };
        match said.to_string().as_str() {
            "drain" => Ok(Self::Drain),
            "stop" => Ok(Self::Stop),
            other => Err(fault_with(
                format!("`on_error: {other}` is not what an error in a hook can do"),
                "write \"drain\" (what runs may end; the default) or \"stop\"",
            )),
        }
    }
}

/// The hooks of a run.
#[derive(Default)]
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    pub(super) on_error: OnError,
}

struct Hook {
    name: &'static str,
    closure: FnPtr,
    /// Number of arguments that it takes, once that is known.
    takes: Cell<Option<usize>>,
}

impl Hooks {
    /// Takes the hooks out of a run's options.
    ///
    /// # Errors
    /// When one is unknown, is no closure, or takes other arguments than the hook has.
    pub(super) fn take(options: &mut Map, functions: &Functions) -> Answer<Self> {
        let on_error = OnError::take(options)?;
        let mut hooks = Vec::new();
        let names: Vec<String> = options.keys().filter(|key| is_hook(key)).map(ToString::to_string).collect();
        for name in names {
            let value = options.remove(name.as_str()).unwrap_or_default();
            let Some(known) = HOOKS.into_iter().find(|known| *known == name) else {
                let hint = did_you_mean(&name, HOOKS).unwrap_or_else(|| format!("there are {}", HOOKS.join(", ")));
                return Err(fault_with(format!("there is no hook `{name}`"), hint));
            };
            let found = kind(&value);
            let closure = value
                .flatten()
                .try_cast::<FnPtr>()
                .ok_or_else(|| fault(format!("`{name}` takes a closure such as `|t| print(t.name)`, not {found}")))?;
            let hook = Hook { name: known, closure, takes: Cell::new(None) };
            if let Some(takes) = functions.takes(&hook.closure) {
                let fits = hook.candidates().iter().find(|count| takes.contains(count));
                hook.takes.set(Some(*fits.ok_or_else(|| hook.uncallable(takes.first().copied()))?));
            }
            hooks.push(hook);
        }
        // In the order of the manual: on_complete is called before on_fail.
        hooks.sort_by_key(|hook| HOOKS.iter().position(|name| *name == hook.name));
        Ok(Self { hooks, on_error })
    }

    /// Calls the hooks an event is for; `run` makes the run's value for them.
    pub(super) fn call(
        &self,
        caller: &Caller<'_>,
        script: &Script,
        (event, summary): (&Event, &Summary),
        way: &Way,
        run: impl Fn() -> Dynamic,
    ) -> Answer<()> {
        for hook in self.hooks.iter().filter(|hook| hook.is_for(&event.fact)) {
            // While trials are being stopped, no closure may ask for more, nor fail and so hurry the stop.
            if script.session.interrupt().count() > 0 {
                return Ok(());
            }
            let first = hook.first(event, summary, script, way)?;
            match hook.run(caller, first, more(&event.fact), &run) {
                Err(_) if script.session.interrupt().count() > 0 => return Ok(()),
                called => called?,
            }
        }
        Ok(())
    }
}

impl Hook {
    fn is_for(&self, fact: &Fact) -> bool {
        match self.name {
            "on_start" => matches!(fact, Fact::AttemptStarted { .. }),
            "on_complete" => matches!(fact, Fact::TrialEnded { .. }),
            "on_fail" => matches!(fact, Fact::TrialEnded { outcome, .. } if Outcome::is_failure(outcome)),
            "on_metric" => matches!(fact, Fact::Recorded { record: Record::Metric { .. }, .. }),
            "on_retry" => matches!(fact, Fact::RetryScheduled { .. }),
            _ => true,
        }
    }

    /// The closure's first argument: the trial the event is about, or the event itself.
    fn first(&self, event: &Event, summary: &Summary, script: &Script, way: &Way) -> Answer<Dynamic> {
        let trial = match &event.fact {
            Fact::AttemptStarted { trial, .. }
            | Fact::TrialEnded { trial, .. }
            | Fact::RetryScheduled { trial, .. }
            | Fact::Recorded { trial, .. } => summary.get(trial),
            _ => None,
        };
        match trial {
            Some(result) if self.name != "on_event" => Ok(Dynamic::from(TrialView::live(result, way, &script.folder))),
            _ => {
                let event =
                    serde_json::to_value(event).map_err(|error| fault(format!("an event has no form: {error}")))?;
                Ok(convert::from_json(&event))
            }
        }
    }

    /// Calls the closure with as many arguments as it takes: none, the first, or more up to the run.
    fn run(&self, caller: &Caller<'_>, first: Dynamic, more: Vec<Dynamic>, run: impl Fn() -> Dynamic) -> Answer<()> {
        let known = self.takes.get();
        let candidates = known.as_ref().map_or_else(|| self.candidates(), std::slice::from_ref);
        let most = if self.is_of_metrics() { 1 + more.len() } else { 1 };
        for &count in candidates {
            let mut arguments: Vec<_> = [&first].into_iter().chain(&more).take(count.min(most)).cloned().collect();
            if count > most {
                arguments.push(run());
            }
            match caller.call(&self.closure, arguments) {
                // Without a body that ran, the error carries the closure's own name.
                Err(error) if self.is_missing(&error) => {}
                called => {
                    self.takes.set(Some(count));
                    return called.map(|_| ());
                }
            }
        }
        Err(self.unknown())
    }

    fn is_of_metrics(&self) -> bool {
        self.name == METRICS
    }

    /// The numbers of arguments that it may take, the likeliest first.
    fn candidates(&self) -> &'static [usize] {
        arguments(self.name)
    }

    fn uncallable(&self, takes: Option<usize>) -> Box<EvalAltResult> {
        uncallable(self.name, takes)
    }

    /// The error of a function that is found by its name in its module only, or nowhere.
    fn unknown(&self) -> Box<EvalAltResult> {
        let (hook, name) = (self.name, self.closure.fn_name());
        fault_with(
            format!("`{hook}` cannot be called: this script has no function `{name}` for it"),
            format!(
                "give one of a module as a closure: `|t| {name}(t)` in the module, `|t| module::{name}(t)` outside"
            ),
        )
    }

    fn is_missing(&self, error: &EvalAltResult) -> bool {
        let EvalAltResult::ErrorFunctionNotFound(signature, _) = error else { return false };
        signature.split([' ', '(']).next() == Some(self.closure.fn_name())
    }
}

/// The hook that is called for every value of a metric.
const METRICS: &str = "on_metric";

/// The numbers of arguments that a hook may take, the likeliest first.
pub(super) fn arguments(hook: &str) -> &'static [usize] {
    if hook == METRICS { &[4, 3, 1, 2, 0, 5] } else { &[1, 2, 0] }
}

/// The error of a hook that takes other arguments; their number, where that is known.
pub(super) fn uncallable(hook: &str, takes: Option<usize>) -> Box<EvalAltResult> {
    let found = match takes {
        Some(1) => "this closure takes 1 argument".to_owned(),
        Some(count) => format!("this closure takes {count} arguments"),
        None => "this closure takes fewer arguments than `curry` gave it".to_owned(),
    };
    let hint = match hook {
        METRICS => "write `|t, name, value, step, run|`, or the first of these",
        _ => "write `|t|`, `|t, run|` or `||`",
    };
    fault_with(format!("`{hook}` cannot be called: {found}"), hint)
}

/// Arguments of `on_metric` behind the trial.
fn more(fact: &Fact) -> Vec<Dynamic> {
    match fact {
        Fact::Recorded { record: Record::Metric { name, value, step: at }, .. } => {
            vec![name.clone().into(), (*value).into(), step(*at)]
        }
        _ => Vec::new(),
    }
}
