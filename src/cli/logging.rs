//! What `-v` and `COMBU_LOG` show: the calls to engines, on stderr.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::suggest::did_you_mean;

/// The words of `COMBU_LOG`.
const WORDS: [(&str, LevelFilter); 3] =
    [("off", LevelFilter::OFF), ("debug", LevelFilter::DEBUG), ("trace", LevelFilter::TRACE)];

/// Begins to show calls, where they are asked for: `verbose` is how often `-v` stands on the command line, and wins over
/// `COMBU_LOG`.
///
/// # Errors
/// When `COMBU_LOG` is none of its words.
pub(crate) fn start(verbose: u8, ui: &Ui) -> Result<(), CliError> {
    let level = match verbose {
        0 => wished(&std::env::var("COMBU_LOG").unwrap_or_default())?,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    if level == LevelFilter::OFF {
        return Ok(());
    }
    let ui = ui.clone();
    let lines =
        fmt::layer().with_ansi(false).with_target(false).with_timer(fmt::time::uptime()).with_writer(move || ui.logs());
    // Of combu alone: what other crates would say may hold bodies of requests.
    let filter = Targets::new().with_target("combu", level);
    // There is one subscriber in a process; a second one would be a fault of combu that costs nothing.
    let _once = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}

fn wished(word: &str) -> Result<LevelFilter, CliError> {
    if word.is_empty() {
        return Ok(LevelFilter::OFF);
    }
    let level = WORDS.iter().find(|(known, _)| *known == word).map(|(_, level)| *level);
    level.ok_or_else(|| {
        let words = WORDS.map(|(word, _)| word);
        let hint = did_you_mean(word, words).unwrap_or_else(|| format!("write one of: {}", words.join(", ")));
        CliError::new(exit::USAGE, format!("COMBU_LOG={word} is no level of detail")).hint(hint)
    })
}
