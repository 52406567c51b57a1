//! The engines of this process, each connected at its first use.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::engine::{Engine, EngineError, Settings, connect};
use crate::model::name::EngineName;

/// The engines of this process. Clones share one state.
#[derive(Debug, Clone)]
pub struct Connections {
    settings: Settings,
    connected: Arc<Mutex<HashMap<EngineName, Arc<dyn Engine>>>>,
}

impl Connections {
    /// None connected yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, connected: Arc::default() }
    }

    /// That one, already connected.
    pub fn with(engine: Arc<dyn Engine>) -> Self {
        let name = engine.capabilities().engine;
        Self { settings: Settings::default(), connected: Arc::new(Mutex::new(HashMap::from([(name, engine)]))) }
    }

    /// The engine of that name.
    ///
    /// # Errors
    /// When it cannot be reached; the next call tries again.
    pub async fn get(&self, name: EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        let mut connected = self.connected.lock().await;
        if let Some(engine) = connected.get(&name) {
            return Ok(engine.clone());
        }
        let engine = connect(name, &self.settings).await?;
        connected.insert(name, engine.clone());
        Ok(engine)
    }
}

/// The engines on which attempts are looked for: all of them, so that none is forgotten.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Only this one, if somebody said so.
    pub only: Option<EngineName>,
    /// Those that have to answer; the others are passed over when they are out of reach.
    pub must: BTreeSet<EngineName>,
}
