//! `combu script --check`: what is wrong with scripts, told from their texts.

use std::path::Path;

use crate::cli::context::session;
use crate::cli::doors::Taken;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::report::style::counted;
use crate::run::session::Session;
use crate::script::{check, on_large_stack, unmeant};

/// Checks each of the files; the problems go to the standard error. Words that are none, such as the arguments that the script
/// would be run with, are passed over.
pub(super) fn main(words: &[String], ui: &Ui) -> Result<u8, CliError> {
    let session = session()?;
    let mut code = exit::OK;
    let is_script = |word: &String| Path::new(word).extension().is_some_and(|ending| ending == "rhai");
    let further = words.iter().skip(1).filter(|word| is_script(word));
    for file in words.iter().take(1).chain(further) {
        let path = Path::new(file);
        if let Some(error) = Taken::SCRIPT.refused(path) {
            return Err(error);
        }
        // Deeply nested scripts need more stack than a main thread may have.
        let checked = on_large_stack(|| check(path, session.clone()))
            .map_err(|error| CliError::new(exit::INTERNAL, format!("the check's thread failed: {error}")))?;
        let problems = checked.map_err(|error| Taken::SCRIPT.explain(path, (*error).into()))?;
        if problems.is_empty() {
            ui.result(&format!("{file}: no problems"))?;
            continue;
        }
        code = exit::USAGE;
        let count = counted(problems.len(), "problem");
        for problem in problems {
            ui.message(&format!("{}\n", CliError::from(problem).render(ui.err())));
        }
        ui.message(&format!("{file}: {count}"));
    }
    Ok(code)
}

/// Warns of what Rhai would take without a word. What cannot be read, and all else, the script itself will show.
pub(super) fn warn(path: &Path, session: &Session, ui: &Ui) {
    for one in unmeant(path, session.clone()).unwrap_or_default() {
        let place = [one.line, one.column].iter().flatten().map(|number| format!(":{number}")).collect::<String>();
        let hint = one.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        ui.warn(&format!("{}{place}: {}{hint}", one.file.display(), one.message));
    }
}
