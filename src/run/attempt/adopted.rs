//! Adopted attempts: those that an earlier process started. They are followed like any other, from where they are.

use std::time::Duration;

use crate::engine::{Engine, EngineError};
use crate::model::handle::Handle;
use crate::run::attempt::flight::{Adopted, Attempt};
use crate::run::context::RunContext;
use crate::run::message::Stage;

impl Attempt {
    /// Takes over an attempt that was started before, and follows it to its end.
    pub(super) async fn adopt(mut self, context: &RunContext, adopted: Adopted) -> Result<(), EngineError> {
        let engine = context.engine(adopted.handle.engine).await?;
        let output = self.output(context);
        self.awake.begin().await;
        self.say(Stage::Adopted(adopted.handle.clone()));
        if adopted.healthy {
            self.health = None;
            self.say(Stage::Healthy);
        }
        if adopted.paused
            && let Err(error) = engine.unpause(&adopted.handle).await
        {
            self.warn(format!("`{}` could not be unpaused: {}", self.launch.trial.name, error.chain()));
        }
        let Adopted { handle, ahead, cause, .. } = adopted;
        self.follow(context, engine.as_ref(), handle, output, (ahead, cause)).await;
        Ok(())
    }

    /// How long an attempt ran: by its engine, if it may have ended while nobody looked.
    pub(super) async fn ran(&self, engine: &dyn Engine, handle: &Handle, seen: Duration, ahead: Duration) -> Duration {
        if ahead.is_zero() {
            return seen;
        }
        engine.ran(handle).await.unwrap_or(seen + ahead)
    }
}
