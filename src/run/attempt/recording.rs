//! Recording: the way of what an attempt says of itself to the dispatcher, while it runs. Never fails an attempt.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use crate::engine::{Engine, MetricsTail, Output, Recorder};
use crate::model::event::Record;
use crate::run::attempt::flight::Attempt;
use crate::run::context::RunContext;
use crate::run::message::{Message, Stage};

/// The records of an attempt as it makes them.
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    file: Option<MetricsTail>,
    /// The files that it named, in order.
    artifacts: Arc<Mutex<Vec<String>>>,
}

impl Recording {
    /// The recording of a started attempt.
    pub(super) async fn of(attempt: &Attempt, context: &RunContext, engine: &dyn Engine, output: &mut Output) -> Self {
        let (place, messages) = (attempt.place, attempt.messages.clone());
        let artifacts: Arc<Mutex<Vec<String>>> = Arc::default();
        let named = artifacts.clone();
        let recorder = Recorder::new(&attempt.launch.trial, move |records| {
            let paths = records.iter().filter_map(|record| match record {
                Record::Artifact { path } => Some(path.clone()),
                _ => None,
            });
            named.lock().expect("no code panics while it holds the lock").extend(paths);
            // The dispatcher outlives its attempts, unless the whole process is coming down.
            let _gone = messages.send(Message::Attempt(place, Stage::Recorded(records)));
        });
        output.record(&recorder);
        let path = engine.metrics_file(&attempt.launch).await;
        if let Some(folder) = path.as_deref().and_then(|path| path.parent()).filter(|folder| !folder.exists())
            && context.tells_of_metrics()
        {
            attempt.warn(format!("there is no file for COMBU_METRICS: `{}` could not be made", folder.display()));
        }
        Self { file: path.map(|path| MetricsTail::new(path, &recorder)), recorder, artifacts }
    }

    /// Takes what the attempt says while it runs.
    pub(super) async fn during<T>(&mut self, running: impl Future<Output = T>) -> T {
        let Some(file) = &mut self.file else { return running.await };
        let (mut running, mut following) = (pin!(running), pin!(file.follow()));
        tokio::select! {
            biased;
            ended = &mut running => ended,
            never = &mut following => match never {},
        }
    }

    /// Takes all that is left when it has ended.
    pub(super) async fn finish(&mut self, attempt: &Attempt, output: &mut Output) {
        output.end();
        if let Some(file) = &mut self.file {
            file.finish().await;
        }
        for clause in self.recorder.finish() {
            attempt.warn(format!("`{}` {clause}", attempt.launch.trial.name));
        }
    }

    /// The files that it named.
    pub(super) fn artifacts(&self) -> Vec<String> {
        self.artifacts.lock().expect("no code panics while it holds the lock").clone()
    }

    /// Clears away what is left of it when the engine has removed the attempt.
    pub(super) fn clear(&self) {
        if let Some(file) = &self.file {
            file.clear();
        }
    }
}
