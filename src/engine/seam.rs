//! The trait that every engine implements. `tests/it/contract.rs` holds all of them to the same behaviour.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::error::EngineError;
use crate::engine::found::{Cleaned, Found, Selector, Survey};
use crate::engine::launch::Launch;
use crate::engine::output::Output;
use crate::engine::outputs::Outputs;
use crate::model::capability::{Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;
use crate::model::trial::settled::Settled;

/// Runs one trial at a time; never decides which, when, or how often.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync {
    /// Capabilities of the engine; known since it was connected.
    fn capabilities(&self) -> &Capabilities;

    /// Looks, without changing anything, at what stands in the way of trials of that spec and what would be made for them.
    async fn survey(&self, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError>;

    /// Makes what the launch needs: images, networks. Idempotent; the same need of many launches is met once. The answer is
    /// the id of the content of its image, `sha256:...`, the same for all launches of a run; absent where there is none.
    async fn prepare(&self, launch: &Launch, progress: &PrepareProgress<'_>) -> Result<Option<String>, EngineError>;

    /// Makes sure that the image of the launch is there, before anything of its run starts; `prepare` does so again at once.
    async fn fetch(&self, _launch: &Launch, _progress: &PrepareProgress<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    /// Starts an attempt; when this returns an error, nothing runs. After an error that may pass nobody may know what became
    /// of it: then a further start of the same launch takes over what there is, and never launches it twice. Replaces a
    /// finished attempt of the same experiment and trial; never touches anything else of the same name.
    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError>;

    /// Waits until the healthcheck decided. A check without a `test` means the image's own.
    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError>;

    /// The file on this machine that the attempt of a launch finds under `COMBU_METRICS`, where it finds one.
    async fn metrics_file(&self, _launch: &Launch) -> Option<PathBuf> {
        None
    }

    /// The path under which the attempt of a launch finds its params as a file (`COMBU_PARAMS_FILE`), where some of them do not
    /// fit into its environment and the engine can give it one.
    async fn params_file(&self, _launch: &Launch) -> Option<String> {
        None
    }

    /// Waits for the end and copies what the attempt writes, complete and in order, to `output`.
    /// Returns when both the exit is known and the output is complete. May be dropped and called again.
    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError>;

    /// Copies what lies at a path of an ended attempt, with all that is below it, to the place below the outputs; false where
    /// nothing lies there. Idempotent: what is there of it already is replaced. A relative path starts where the trial's
    /// command ran. May be dropped.
    async fn collect(
        &self,
        _handle: &Handle,
        _launch: &Launch,
        (path, _place): (&str, &str),
        _outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        let engine = self.capabilities().engine;
        Err(EngineError::Refused { message: format!("the engine {engine} cannot copy `{path}` out of a trial") })
    }

    /// Time that an ended attempt ran, by the engine's own clock; absent where the engine cannot say.
    async fn ran(&self, _handle: &Handle) -> Option<Duration> {
        None
    }

    /// Whether something asked an ended attempt to end: for one that no `stop` ended, somebody else did. False where the
    /// engine cannot say.
    async fn was_stopped(&self, _handle: &Handle) -> bool {
        false
    }

    /// Asks the attempt to end (SIGTERM, or the image's stop signal) and kills it after `grace`; zero kills at once.
    /// Idempotent: an attempt that has ended, or is unknown, is stopped. `wait` then returns its exit.
    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError>;

    /// Makes a running attempt stand still, with every process of it. Idempotent; an attempt that has ended stays so.
    /// An engine that cannot do it refuses.
    async fn pause(&self, _handle: &Handle) -> Result<(), EngineError> {
        Err(EngineError::Refused { message: format!("the engine {} cannot pause a trial", self.capabilities().engine) })
    }

    /// Lets a paused attempt go on. Idempotent; for an engine that pauses nothing there is nothing to do.
    async fn unpause(&self, _handle: &Handle) -> Result<(), EngineError> {
        Ok(())
    }

    /// The GPUs of the engine's host, and who uses them now; none where nobody can say.
    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError>;

    /// Removes what is left of an ended attempt (the container); of a running one, kills it first. Idempotent.
    async fn remove(&self, handle: &Handle) -> Result<(), EngineError>;

    /// Attempts of ours that carry all the labels, whether they run or not: found on the engine, not in a database.
    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError>;

    /// Removes what was made for those attempts beside containers: networks that carry all the labels, unless others
    /// still use them.
    async fn clean(&self, selector: &Selector) -> Result<Cleaned, EngineError>;
}

/// Verdict of a healthcheck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The check passed.
    Healthy,
    /// The check failed as often in a row as it may, while the attempt runs.
    Unhealthy,
    /// The attempt ended before the check decided.
    Ended,
}

/// Takes what `prepare` is doing: the object (`image busybox`) and its state (`pulling, 3 of 7 layers`).
pub type PrepareProgress<'a> = dyn Fn(&str, &str) + Send + Sync + 'a;
