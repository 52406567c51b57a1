//! Rows of the store that cannot be read: said of a run that is looked at, and a reason not to go on with one.

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::history::UnreadRow;
use crate::model::name::RunId;

/// Most rows of a run that are told one by one.
const SHOWN: usize = 3;

/// Warns of what is missing in what is shown of a run.
pub(crate) fn warn(unread: &[UnreadRow], ui: &Ui) {
    for row in unread.iter().take(SHOWN) {
        ui.warn(&row.to_string());
    }
    if unread.len() > SHOWN {
        ui.warn(&format!("and {} more rows of that run cannot be read", unread.len() - SHOWN));
    }
}

/// Nothing, unless something of a run cannot be read: what it did is not known then, and nothing is started that it may have
/// done already.
///
/// # Errors
/// With exit code 2.
pub(crate) fn refuse(run: &RunId, unread: &[UnreadRow]) -> Result<(), CliError> {
    if unread.is_empty() {
        return Ok(());
    }
    let message = format!("what run {run} did cannot be told from what is stored of it; nothing was done");
    let mut error = CliError::new(exit::USAGE, message);
    error.details = unread.iter().take(SHOWN).map(ToString::to_string).collect();
    if unread.len() > SHOWN {
        error.details.push(format!("... and {} more rows", unread.len() - SHOWN));
    }
    Err(error
        .hint(format!("where a newer combu wrote it, use that one; `combu show {run}` shows what can be read"))
        .hint(format!(
            "`combu kill {run}` ends what still runs of it, `combu rm {run}` forgets it; then run its spec again"
        )))
}
