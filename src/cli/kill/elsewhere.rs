//! What may be left of recorded runs where this combu does not see it, for `kill`, `rm` and `gc`.

use crate::cli::error::CliError;
use crate::engine::EngineError;
use crate::model::event::FactKind;
use crate::run::connections::{Reached, other_daemon};
use crate::store::{Kinds, PastRun};

/// Why something of these runs may be left elsewhere: on an engine that is out of reach, or on another daemon than answers.
pub(crate) fn elsewhere<'a>(
    runs: impl IntoIterator<Item = &'a PastRun>,
    reached: &mut Reached,
) -> Result<Option<EngineError>, CliError> {
    for run in runs {
        let daemons = run.history(Kinds::Only(&[FactKind::DaemonReached]))?;
        let mut engines = reached.engines.iter().map(|engine| engine.capabilities());
        let other = engines.find_map(|engine| other_daemon(daemons.daemon(engine.engine), engine));
        // The whole story is long, and seldom asked for.
        if reached.out_of_reach.is_empty() && other.is_none() {
            continue;
        }
        let left_on = run.history(Kinds::WITHOUT_RECORDS)?.left_on();
        let other = other.filter(|error| error.out_of_reach().is_some_and(|engine| left_on.contains(&engine)));
        if let Some(error) = reached.why_not(&left_on).or(other) {
            return Ok(Some(error));
        }
    }
    Ok(None)
}
