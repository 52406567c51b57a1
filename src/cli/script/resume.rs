//! `combu script --resume`, and `combu resume` of a script's run: the script that died is gone on with.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::context::{real, state};
use crate::cli::error::{CliError, short_path, typed};
use crate::cli::exit;
use crate::cli::time::now;
use crate::cli::ui::Ui;
use crate::report::style::elapsed;
use crate::store::{DeadScript, PastRun, ScriptHead, StateDir};

/// Most lines of a difference that are shown.
const LINES: usize = 12;

/// Takes up the script of that file that died last, with the arguments that it had; absent where none did since it was started
/// last. `words`: arguments that are given now.
pub(super) fn take_up(file: &Path, words: &[String], ui: &Ui) -> Result<Option<DeadScript>, CliError> {
    let state = state(file)?;
    let Some((id, head)) = last_dead(&state, &real(file)?.display().to_string())? else {
        ui.message(&format!(
            "nothing of {} is cut off: it begins at its top; what succeeded unchanged before is not run again",
            file.display()
        ));
        return Ok(None);
    };
    if !words.is_empty() && *words != head.args {
        let then = if head.args.is_empty() { "no arguments".to_owned() } else { format!("`{}`", head.args.join(" ")) };
        let message = format!("the script was started with {then}, not with `{}`", words.join(" "));
        return Err(CliError::new(exit::USAGE, message)
            .hint("leave its arguments out to go on with it; without `--resume` it begins anew"));
    }
    let Some(dead) = state.take_up_script(&id)? else {
        return Err(CliError::new(exit::USAGE, "another combu goes on with this script at this moment"));
    };
    let age = elapsed(std::time::Duration::from_millis(now().saturating_sub(head.began_ms)));
    ui.message(&format!("going on with the script {}, begun {age} ago", file.display()));
    if !changes(&dead.head).is_empty() {
        ui.message("note: the script has changed since; what it asks as before is answered as before");
    }
    Ok(Some(dead))
}

/// The script of that file that died, where it was not started again since.
fn last_dead(state: &StateDir, file: &str) -> Result<Option<(String, ScriptHead)>, CliError> {
    let Some((id, head)) = state.dead_scripts()?.into_iter().find(|(_, head)| head.file == file) else {
        return Ok(None);
    };
    let is_later = |run: &PastRun| {
        run.record.started_ms >= head.began_ms
            && run.record.script.as_ref().is_some_and(|script| script.file == file && script.id != id)
    };
    let is_last = !state.past_runs()?.runs.iter().any(is_later);
    Ok(is_last.then_some((id, head)))
}

/// Goes on with a script by its recorded command line: this process becomes that one.
///
/// # Errors
/// That it cannot be: else it does not return.
pub(crate) fn go_on(head: &ScriptHead) -> Result<Infallible, CliError> {
    let last = last_dead(&state(Path::new(&head.file))?, &head.file)?;
    let file = short_path(Path::new(&head.file));
    if last.is_none_or(|(_, last)| last != *head) {
        let message = format!("the script {file}, which started this run and died, was started again since");
        return Err(CliError::new(exit::USAGE, message).hint("`--without-script` goes on with this run alone"));
    }
    let changes = changes(head);
    if !changes.is_empty() {
        let mut error = CliError::new(exit::USAGE, format!("the script {file} has changed since it was started"));
        error.details = changes;
        return Err(error.hint(format!(
            "`combu script --resume {file}` goes on with it as it is now; `--without-script` goes on with this run alone"
        )));
    }
    let Some(words) = resuming(&head.command) else {
        let message = format!("the command line of the script is not understood: {}", typed(&head.command));
        return Err(CliError::new(exit::USAGE, message).hint(format!("`combu script --resume {file}`")));
    };
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("combu"));
    let failed = Command::new(program).args(words).current_dir(&head.folder).exec();
    Err(CliError::new(exit::INTERNAL, format!("the script cannot be gone on with in {}: {failed}", head.folder)))
}

/// The arguments of the command line that goes on with what another one started.
fn resuming(command: &[String]) -> Option<Vec<OsString>> {
    let verb = command.iter().skip(1).position(|word| word == "script")? + 1;
    let (before, behind) = (&command[1..=verb], &command[verb + 1..]);
    let resume = (!behind.iter().any(|word| word == "--resume")).then(|| "--resume".to_owned());
    Some(before.iter().chain(&resume).chain(behind).map(OsString::from).collect())
}

/// How the sources of a script differ from what they were, as lines.
fn changes(head: &ScriptHead) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, then) in &head.sources {
        // Data that it read are its own concern.
        if Path::new(path).extension().is_none_or(|ending| ending != "rhai") && *path != head.file {
            continue;
        }
        match std::fs::read_to_string(path) {
            Ok(now) if now == *then => {}
            Ok(now) => {
                lines.push(format!("{}:", short_path(Path::new(path))));
                lines.extend(difference(then, &now));
            }
            Err(error) => lines.push(format!("{}: {error}", short_path(Path::new(path)))),
        }
    }
    lines
}

/// The lines that differ between two texts, without those that they begin and end with in common.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    while old.last().is_some() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    let alike = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[alike..], &new[alike..]);
    let mut lines = vec![format!("  line {}:", alike + 1)];
    for (sign, text) in [('-', old), ('+', new)] {
        lines.extend(text.iter().take(LINES / 2).map(|line| format!("  {sign} {line}")));
        if text.len() > LINES / 2 {
            lines.push(format!("  {sign} .. {} more lines", text.len() - LINES / 2));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{difference, resuming};

    #[test]
    fn a_command_line_is_made_one_that_goes_on() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let resumed = |line: &str| {
            let words = resuming(&words(line))?;
            Some(words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(resumed("combu script a.rhai --n 5").unwrap(), "script --resume a.rhai --n 5");
        assert_eq!(resumed("/bin/combu -v script -j 2 a.rhai").unwrap(), "-v script --resume -j 2 a.rhai");
        assert_eq!(resumed("combu script --resume a.rhai").unwrap(), "script --resume a.rhai");
        assert_eq!(resumed("combu run a.jsonnet"), None);
    }

    #[test]
    fn a_difference_shows_the_lines_that_changed() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\ny\nc\n"), ["  line 2:", "  - b", "  + x", "  + y"]);
        let long: String = (0..9).map(|line| format!("{line}\n")).collect();
        assert_eq!(difference("", &long).last().unwrap(), "  + .. 3 more lines");
    }
}
