//! The local engine: trials as process groups of this machine.

/// The local engine.
#[derive(Debug)]
pub struct Local;
