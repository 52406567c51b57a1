//! Callers of closures: what a native function needs to call back into the script.

use rhai::{AST, Dynamic, Engine, FnPtr, NativeCallContext};

use crate::script::fault::Answer;

/// Caller of closures.
pub(super) enum Caller<'a> {
    /// From a native function that the script called.
    Inside(&'a NativeCallContext<'a>),
    /// After the script has ended.
    Outside(&'a Engine, &'a AST),
}

impl Caller<'_> {
    pub(super) fn call(&self, closure: &FnPtr, arguments: Vec<Dynamic>) -> Answer<Dynamic> {
        match self {
            Self::Inside(context) => closure.call_within_context(context, arguments),
            Self::Outside(engine, ast) => closure.call(engine, ast, arguments),
        }
    }
}
