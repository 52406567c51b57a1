//! A handle: what an engine calls a started attempt, enough for another process to wait for it or stop it.

use serde::{Deserialize, Serialize};

use crate::model::name::EngineName;

/// The engine's name for a started attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handle {
    /// The engine that started it.
    pub engine: EngineName,
    /// Opaque to everything but that engine: a container id, a process group.
    pub id: String,
}
