//! The functions that scripts call, one file for each theme; `table` lists them for people.

mod asserts;
pub(super) mod compare;
pub(super) mod experiment;
pub(super) mod files;
mod history;
mod kill;
mod lists;
mod params;
mod prune;
pub(super) mod random;
pub(super) mod reference;
pub(super) mod replicate;
mod result;
mod run;
pub(super) mod search;
pub(super) mod series;
pub(super) mod sizes;
pub(super) mod space;
pub(super) mod system;
pub(super) mod table;
pub(super) mod trial;

use std::rc::Rc;

use rhai::Engine;

use crate::script::fault::ScriptFault;
use crate::script::host::Script;

/// Makes combu's functions known to a Rhai engine.
pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    register_pure(engine);
    trial::register(engine, script);
    experiment::register(engine, script);
    run::register(engine, script);
    result::register(engine, script);
    prune::register(engine);
    kill::register(engine, script);
    history::register(engine, script);
    system::register(engine, script);
    files::register(engine, script);
    space::register(engine, script);
    search::register(engine, script);
    replicate::register(engine, script);
    compare::register(engine);
}

/// Those that reach nothing outside of the engine: what models of simulations call.
pub(super) fn register_pure(engine: &mut Engine) {
    engine
        .register_type_with_name::<ScriptFault>("Error")
        .register_get("message", |fault: &mut ScriptFault| fault.message.clone())
        .register_get("hint", |fault: &mut ScriptFault| fault.hint.clone().unwrap_or_default())
        .register_fn("to_string", |fault: &mut ScriptFault| fault.to_string())
        .register_fn("to_debug", |fault: &mut ScriptFault| fault.to_string());
    asserts::register(engine);
    params::register(engine);
    random::register(engine);
    sizes::register(engine);
    space::register_values(engine);
    lists::register(engine);
    lists::register_rows(engine);
    lists::register_statistics(engine);
}
