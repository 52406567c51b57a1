//! The engines of this process, each connected at its first use.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::engine::fake::{Director, Fake};
use crate::engine::{Engine, EngineError, Settings, connect};
use crate::model::capability::{Capabilities, Daemon};
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

    /// Engines that run nothing: under every name one of this machine's size, whose attempts do as the director says.
    ///
    /// # Errors
    /// When this machine's size cannot be told.
    pub async fn directed(director: Arc<dyn Director>) -> Result<Self, EngineError> {
        let settings = Settings::default();
        let host = connect(EngineName::Local, &settings).await?;
        let engine = |name| -> (EngineName, Arc<dyn Engine>) {
            (name, Arc::new(Fake::directed(name, host.capabilities(), director.clone())))
        };
        let connected = HashMap::from(EngineName::ALL.map(engine));
        Ok(Self { settings, connected: Arc::new(Mutex::new(connected)) })
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

/// The engines on which attempts are looked for.
#[derive(Debug, Default)]
pub struct Reached {
    /// Those that answer.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Why others do not.
    pub out_of_reach: Vec<EngineError>,
}

impl Reached {
    /// The engines, if these are among them.
    ///
    /// # Errors
    /// Why one of these is out of reach.
    pub fn with(mut self, must: &BTreeSet<EngineName>) -> Result<Vec<Arc<dyn Engine>>, EngineError> {
        self.why_not(must).map_or(Ok(self.engines), Err)
    }

    /// Why one of these is out of reach, if one is.
    pub fn why_not(&mut self, engines: &BTreeSet<EngineName>) -> Option<EngineError> {
        let is_one = |error: &EngineError| error.out_of_reach().is_some_and(|name| engines.contains(&name));
        self.out_of_reach.iter().position(is_one).map(|place| self.out_of_reach.swap_remove(place))
    }
}

/// The error that the daemon of an engine is another one than a run used, where that is so.
pub fn other_daemon(then: Option<&Daemon>, engine: &Capabilities) -> Option<EngineError> {
    let (then, now) = then.zip(engine.daemon.as_ref()).filter(|(then, now)| !then.is(now))?;
    Some(EngineError::OtherDaemon { engine: engine.engine, then: Box::new(then.clone()), now: Box::new(now.clone()) })
}
