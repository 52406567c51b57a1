//! Fetching: logs and outputs of an ended attempt that could not be written then are taken again from what was kept of it.

use std::sync::{Arc, Mutex};

use crate::engine::{Engine, Recorder};
use crate::model::event::{Logs, Record};
use crate::model::handle::Handle;
use crate::run::attempt::flight::Attempt;
use crate::run::context::RunContext;

impl Attempt {
    /// Writes its logs and outputs again. Its logs, if it keeps any.
    ///
    /// # Errors
    /// Why they are not complete, as a clause.
    pub(crate) async fn fetch(
        &self,
        context: &RunContext,
        engine: &dyn Engine,
        handle: &Handle,
    ) -> Result<Option<Logs>, String> {
        let artifacts: Arc<Mutex<Vec<String>>> = Arc::default();
        let named = artifacts.clone();
        // What else it tells was told when it ran.
        let recorder = Recorder::new(&self.launch.trial, move |records| {
            let paths = records.into_iter().filter_map(|record| match record {
                Record::Artifact { path } => Some(path),
                _ => None,
            });
            named.lock().expect("no code panics while it holds the lock").extend(paths);
        });
        let mut output = self.output(context);
        output.record(&recorder);
        engine.wait(handle, &mut output).await.map_err(|error| error.chain())?;
        output.end();
        if let Some(error) = output.error() {
            return Err(error.to_string());
        }
        let artifacts = artifacts.lock().expect("no code panics while it holds the lock").clone();
        match self.collect(context, engine, handle, &artifacts).await {
            Some(because) => Err(because),
            None => Ok(output.logs()),
        }
    }
}
