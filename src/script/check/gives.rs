//! What combu's functions give, as far as a check needs to know: what a trial, a result or a run is.

use std::any::TypeId;
use std::sync::Arc;

use crate::model::trial::Trial;
use crate::script::live::Run;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::result::{RunResult, TrialView};

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// It has this type.
    One(TypeId),
    /// It is a list of values of this type.
    Many(TypeId),
}

fn trial() -> TypeId {
    TypeId::of::<Arc<Trial>>()
}

/// The type of an experiment.
pub(super) fn experiment() -> TypeId {
    TypeId::of::<ScriptExperiment>()
}

fn result() -> TypeId {
    TypeId::of::<RunResult>()
}

/// The type of a trial's result.
pub(super) fn view() -> TypeId {
    TypeId::of::<TrialView>()
}

/// The type of a run that goes on.
pub(super) fn run() -> TypeId {
    TypeId::of::<Run>()
}

/// What such a type is called, where its properties are known: those of experiments and results are also the names of trials.
pub(super) fn with_known_properties(of: TypeId) -> Option<&'static str> {
    let named = [(trial(), "a trial"), (view(), "a trial's result"), (run(), "a run")];
    named.into_iter().find(|(known, _)| *known == of).map(|(_, name)| name)
}

/// What such a type is called.
pub(super) fn called(of: TypeId) -> Option<&'static str> {
    let others = [(experiment(), "an experiment"), (result(), "a run's result")];
    with_known_properties(of).or_else(|| others.into_iter().find(|(known, _)| *known == of).map(|(_, name)| name))
}

/// Whether the fields of a trial are properties of this type.
pub(super) fn has_fields(of: TypeId) -> bool {
    of == trial() || of == view()
}

/// What a function gives.
pub(super) fn by_function(name: &str) -> Option<Given> {
    let given = match name {
        "trial" => trial(),
        "experiment" => experiment(),
        "run" | "search" | "replicate" => result(),
        "start" => run(),
        "trials" => return Some(Given::Many(trial())),
        _ => return None,
    };
    Some(Given::One(given))
}

/// What a method with so many arguments gives.
pub(super) fn by_method(of: Given, name: &str, count: usize) -> Option<Given> {
    match (of, name) {
        (Given::One(of), "filter" | "map" | "only" | "without" | "merge") if of == experiment() => {
            Some(Given::One(experiment()))
        }
        (Given::One(of), "failed") if of == result() => Some(Given::One(experiment())),
        (Given::One(of), "get") if of == result() => Some(Given::One(view())),
        (Given::One(of), "filter" | "only") if of == result() => Some(Given::Many(view())),
        (Given::One(of), "best") if of == result() && count == 0 => Some(Given::One(view())),
        (Given::One(of), "wait") if of == run() => Some(Given::One(result())),
        (Given::One(of), "next") if of == run() => Some(Given::One(view())),
        (Given::One(of), "changed") if of == trial() => Some(Given::One(trial())),
        (Given::Many(of), "filter") => Some(Given::Many(of)),
        _ => None,
    }
}

/// What a property is.
pub(super) fn by_property(of: Given, name: &str) -> Option<Given> {
    match (of, name) {
        (Given::One(of), "experiment") if of == result() => Some(Given::One(experiment())),
        (Given::One(of), "trials") if of == result() => Some(Given::Many(view())),
        (Given::One(of), "trials") if of == experiment() => Some(Given::Many(trial())),
        (Given::One(of), "trial") if of == view() => Some(Given::One(trial())),
        _ => None,
    }
}

/// What is in it: in a loop, by its place, and as the argument of closures.
pub(super) fn element(of: Given) -> Option<Given> {
    match of {
        Given::Many(of) => Some(Given::One(of)),
        Given::One(of) if of == experiment() => Some(Given::One(trial())),
        Given::One(of) if of == result() => Some(Given::One(view())),
        Given::One(_) => None,
    }
}
