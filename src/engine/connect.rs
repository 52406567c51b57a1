//! The way to each engine by its name.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine::docker::Docker;
use crate::engine::error::EngineError;
use crate::engine::fake::Fake;
use crate::engine::local::Local;
use crate::engine::seam::Engine;
use crate::engine::settings::Settings;
use crate::engine::traced::Traced;
use crate::model::name::EngineName;

/// Connects to an engine.
///
/// # Errors
/// [`EngineError::Unreachable`] when nothing answers.
pub async fn connect(name: EngineName, settings: &Settings) -> Result<Arc<dyn Engine>, EngineError> {
    raise_file_limit();
    let engine: Arc<dyn Engine> = match name {
        EngineName::Docker => Arc::new(Docker::connect(settings).await?),
        EngineName::Local => Arc::new(Local::connect(settings)?),
        EngineName::Fake => Arc::new(Fake::default()),
    };
    Ok(Traced::listened_to(engine))
}

/// Every running trial holds two or three files, and the usual soft limit of 1024 ends that at some 300 trials.
///
/// Local trials inherit the limit, so it stays below what makes old programs slow that close every possible file.
fn raise_file_limit() {
    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_some_and(|current| current < wanted) {
        // Raising the soft limit up to the hard one is always allowed; should it fail, only very wide runs would notice.
        let _kept = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}
