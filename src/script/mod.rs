//! The Rhai host: runs a script on the caller's thread while trials run on the session's.
//!
//! Never touches a terminal: what a script prints and what its runs tell goes through [`ScriptStage`]. A script may reach
//! files, processes and engines; it is the user's own program, not a guest.

mod api;
mod appends;
mod arguments;
mod caller;
mod check;
mod driven;
mod error;
mod execute;
mod fault;
mod functions;
#[cfg(test)]
mod fuzz;
mod habits;
#[cfg(test)]
mod harness;
mod hooks;
mod host;
mod items;
mod live;
mod memory;
mod model;
mod parameters;
mod resolver;
mod selection;
mod source;
mod stage;
mod stdlib;
mod transcript;
mod values;
mod way;

pub use api::reference::reference;
pub use api::table::{functions, section};
pub use check::{check, unmeant};
pub use error::{Call, ScriptError};
pub use execute::{STACK, execute, execute_function, on_large_stack, tests};
pub use fault::ScriptErrorKind;
pub use host::{Finish, ScriptHost};
pub use model::ScriptModel;
pub use parameters::{Parameter, Parameters};
pub use selection::{Where, WhereError, with_prerequisites};
pub use stage::{EarlierRun, Opened, ScriptStage};
pub use values::result::{toward, value};
