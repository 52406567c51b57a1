//! An engine whose calls are told to whoever listens (`-v`, `COMBU_LOG`): which call, of what, how it ended, how long it took.
//! Names and errors only: no value of a variable, no command, no credential.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tracing::{Level, debug, enabled, trace};

use crate::engine::error::EngineError;
use crate::engine::found::{Cleaned, Found, Selector, Survey};
use crate::engine::launch::Launch;
use crate::engine::output::Output;
use crate::engine::outputs::Outputs;
use crate::engine::seam::{Engine, Health, PrepareProgress};
use crate::model::capability::{Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;
use crate::model::trial::settled::Settled;

/// An engine that tells its calls.
#[derive(Debug)]
pub(super) struct Traced(Arc<dyn Engine>);

impl Traced {
    /// The engine, telling its calls if anybody listens: else they cost nothing more.
    pub(super) fn listened_to(engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        if enabled!(Level::DEBUG) { Arc::new(Self(engine)) } else { engine }
    }

    async fn told<T>(
        &self,
        call: &str,
        of: String,
        doing: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let engine = self.0.capabilities().engine;
        trace!("{engine}: {call} {of} ..");
        let since = Instant::now();
        let answer = doing.await;
        let took = since.elapsed().as_secs_f64();
        match &answer {
            Ok(_) => debug!("{engine}: {call} {of}: done in {took:.3} s"),
            Err(error) => debug!("{engine}: {call} {of}: failed in {took:.3} s: {}", error.chain()),
        }
        answer
    }
}

fn attempt(launch: &Launch) -> String {
    let image = launch.trial.image.as_deref().map(|image| format!(" ({image})")).unwrap_or_default();
    format!("{} attempt {}{image}", launch.trial.name, launch.attempt)
}

#[async_trait]
impl Engine for Traced {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    async fn survey(&self, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError> {
        self.told("survey", format!("{} trials", trials.len()), self.0.survey(spec, trials)).await
    }

    async fn prepare(&self, launch: &Launch, progress: &PrepareProgress<'_>) -> Result<Option<String>, EngineError> {
        self.told("prepare", attempt(launch), self.0.prepare(launch, progress)).await
    }

    async fn fetch(&self, launch: &Launch, progress: &PrepareProgress<'_>) -> Result<(), EngineError> {
        self.told("fetch", attempt(launch), self.0.fetch(launch, progress)).await
    }

    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError> {
        self.told("start", attempt(launch), self.0.start(launch)).await
    }

    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError> {
        self.told("healthy", handle.id.clone(), self.0.healthy(handle, check)).await
    }

    async fn metrics_file(&self, launch: &Launch) -> Option<PathBuf> {
        self.0.metrics_file(launch).await
    }

    async fn params_file(&self, launch: &Launch) -> Option<String> {
        self.0.params_file(launch).await
    }

    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        self.told("wait", handle.id.clone(), self.0.wait(handle, output)).await
    }

    async fn collect(
        &self,
        handle: &Handle,
        launch: &Launch,
        (path, place): (&str, &str),
        outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        let of = format!("{path} of {}", attempt(launch));
        self.told("collect", of, self.0.collect(handle, launch, (path, place), outputs)).await
    }

    async fn ran(&self, handle: &Handle) -> Option<Duration> {
        self.0.ran(handle).await
    }

    async fn was_stopped(&self, handle: &Handle) -> bool {
        self.0.was_stopped(handle).await
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        let of = format!("{} within {} s", handle.id, grace.as_secs_f64());
        self.told("stop", of, self.0.stop(handle, grace)).await
    }

    async fn pause(&self, handle: &Handle) -> Result<(), EngineError> {
        self.told("pause", handle.id.clone(), self.0.pause(handle)).await
    }

    async fn unpause(&self, handle: &Handle) -> Result<(), EngineError> {
        self.told("unpause", handle.id.clone(), self.0.unpause(handle)).await
    }

    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError> {
        self.told("gpus", "of the host".to_owned(), self.0.gpus()).await
    }

    async fn remove(&self, handle: &Handle) -> Result<(), EngineError> {
        self.told("remove", handle.id.clone(), self.0.remove(handle)).await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError> {
        self.told("find", format!("{:?}", selector.labels), self.0.find(selector)).await
    }

    async fn clean(&self, selector: &Selector) -> Result<Cleaned, EngineError> {
        self.told("clean", format!("{:?}", selector.labels), self.0.clean(selector)).await
    }
}

#[cfg(test)]
mod tests {
    /// The names of the functions in a text.
    fn functions(text: &str) -> Vec<&str> {
        let starts = text.split("fn ").skip(1);
        let mut names: Vec<&str> = starts.filter_map(|rest| rest.split('(').next()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_function_of_an_engine_is_passed_on() {
        let seam = include_str!("seam.rs");
        let declared =
            &seam[seam.find("pub trait Engine").unwrap()..seam.find("/// Verdict of a healthcheck").unwrap()];
        let own = include_str!("traced.rs");
        let passed = &own[own.find("impl Engine for Traced").unwrap()..own.find("#[cfg(test)]").unwrap()];
        assert_eq!(functions(declared), functions(passed));
    }
}
