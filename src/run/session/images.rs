//! Images that a run needs, fetched before anything of it starts: one that cannot be had is told once, and nothing was started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::engine::{EngineError, PrepareProgress};
use crate::model::name::{EngineName, Name};
use crate::model::trial::Pull;
use crate::model::trial::settled::Settled;
use crate::run::context::RunContext;
use crate::run::session::interrupt::Interrupt;

/// Time between two looks whether the user has had enough of a pull.
const LOOK: Duration = Duration::from_millis(100);

/// An image that cannot be had.
#[derive(Debug)]
pub struct MissingImage {
    /// Why.
    pub error: EngineError,
    /// The trials that need it, in the order of the plan.
    pub trials: Vec<Name>,
}

/// A way in which trials ask for an image: each is met once.
type Asked<'a> = (EngineName, &'a str, Option<&'a str>, &'static str);

/// Pulls the images of those trials that are not there, and returns those that cannot be had. An interrupt ends it: the
/// run hears of it as well.
///
/// # Errors
/// When an engine is out of reach.
pub(super) async fn fetch<'a>(
    context: &RunContext,
    trials: impl Iterator<Item = &'a Arc<Settled>>,
    interrupt: &Interrupt,
    progress: &PrepareProgress<'_>,
) -> Result<Vec<MissingImage>, EngineError> {
    let mut asked: BTreeMap<Asked<'_>, Vec<&Arc<Settled>>> = BTreeMap::new();
    for trial in trials.filter(|trial| trial.pull != Pull::Never) {
        let Some(image) = trial.image.as_deref() else { continue };
        let key = (trial.engine, image, trial.platform.as_deref(), trial.pull.as_str());
        asked.entry(key).or_default().push(trial);
    }
    let fetching = asked.values().map(async |trials| {
        let launch = context.launch(trials[0], 1, Vec::new(), Vec::new());
        let engine = context.engine(trials[0].engine).await?;
        engine.fetch(&launch, progress).await
    });
    let interrupted = async {
        while interrupt.count() == 0 {
            sleep(LOOK).await;
        }
    };
    let fetched = tokio::select! {
        fetched = join_all(fetching) => fetched,
        () = interrupted => Vec::new(),
    };
    let mut missing = Vec::new();
    for (answer, trials) in fetched.into_iter().zip(asked.values()) {
        match answer {
            Ok(()) => {}
            Err(error @ EngineError::Image { .. }) => {
                missing.push(MissingImage { error, trials: trials.iter().map(|trial| trial.name.clone()).collect() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
