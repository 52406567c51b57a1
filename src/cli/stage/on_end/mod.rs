//! What is done when a run has ended: webhooks, commands, mails. Whatever goes wrong there is a warning.

mod process;
mod webhook;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::system::uname;

use crate::cli::config::file::options_below;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::options::{Occasion, OnEnd, Options, Recipient, Webhook};
use crate::model::summary::Summary;
use crate::report::EndMessage;
use crate::run::session::Session;

/// Longest that a command or the program that sends mail may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Says what will not be done when a run with these options ends, as far as that is known before.
pub(crate) fn warn(options: &Options, ui: &Ui) {
    for one in &options.on_end {
        let problem = match &one.to {
            Recipient::Webhook(_) if !webhook::IS_BUILT_IN => Some(webhook::NOT_BUILT_IN.to_owned()),
            Recipient::Webhook(webhook) => address(webhook).err(),
            Recipient::Mail(_) => mailer().err(),
            Recipient::Command(_) | Recipient::Nobody(_) => None,
        };
        if let Some(problem) = problem {
            ui.above_bars(|| ui.warn(&format!("`{one}` will not be told of the run's end: {problem}")));
        }
    }
}

/// Does what was asked for, now that the run has ended; `folder` is that of the run.
pub(crate) fn tell(summary: &Summary, folder: Option<&Path>, session: &Session, ui: &Ui) {
    let code = exit::of_summary(summary);
    let is_due = |one: &&OnEnd| one.when == Occasion::Always || code != exit::OK;
    let due: Vec<&OnEnd> = summary.options.on_end.iter().filter(is_due).collect();
    if due.is_empty() {
        return;
    }
    let message = EndMessage::new(summary, &uname().nodename().to_string_lossy(), code);
    for one in due {
        let done = match &one.to {
            Recipient::Webhook(webhook) => {
                address(webhook).and_then(|url| webhook::post(session, &url, message.for_chat().to_string()))
            }
            Recipient::Command(line) => run(line, &message, code, summary, folder),
            Recipient::Mail(to) => mail(to, &message),
            Recipient::Nobody(_) => Ok(()),
        };
        if let Err(problem) = done {
            let what = if matches!(one.to, Recipient::Command(_)) { "failed" } else { "was not told" };
            ui.above_bars(|| ui.warn(&format!("the run has ended, and `{one}` {what}: {problem}")));
        }
    }
}

/// The whole address of a webhook.
fn address(webhook: &Webhook) -> Result<String, String> {
    if let Some(name) = webhook.variable() {
        let value = std::env::var(name).map_err(|_| format!("the variable `{name}` is not set"))?;
        let named = Webhook::parse(&value).ok().and_then(|named| named.secret().map(str::to_owned));
        return named.ok_or_else(|| format!("the variable `{name}` holds no `https://..`"));
    }
    if let Some(url) = webhook.secret() {
        return Ok(url.to_owned());
    }
    // Of a run that is gone on with or run again only the host is recorded; the files of the user may have it whole.
    let below = options_below().map_err(|error| error.message)?.on_end;
    let whole = below.iter().find_map(|one| match &one.to {
        Recipient::Webhook(other) if other.to_string() == webhook.to_string() => other.secret().map(str::to_owned),
        _ => None,
    });
    whole.ok_or_else(|| "its address was not recorded, because it is secret: say it again with `--on-end`".to_owned())
}

fn run(line: &str, message: &EndMessage, code: u8, summary: &Summary, folder: Option<&Path>) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command.env("COMBU_STATUS", message.status).env("COMBU_EXIT_CODE", code.to_string());
    command.env("COMBU_EXPERIMENT", &summary.experiment).env("COMBU_SUMMARY", &message.text);
    command.envs(summary.run.iter().map(|run| ("COMBU_RUN", run.as_str())));
    command.envs(folder.iter().map(|folder| ("COMBU_RUN_FOLDER", folder)));
    process::run(command, message.details.to_string(), LIMIT)
}

fn mail(to: &str, message: &EndMessage) -> Result<(), String> {
    let mut command = Command::new(mailer()?);
    // A line with a dot is no end.
    command.args(["-t", "-i"]);
    let head = [
        ("To", to),
        ("Subject", &encoded(&message.title)),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ];
    let head: String = head.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    process::run(command, format!("{head}\n{}\n", message.text), LIMIT)
}

/// The program that sends mail: on the path, or where it lies for the administrator.
fn mailer() -> Result<std::path::PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/lib".into()]);
    let found = folders.map(|folder| folder.join("sendmail")).find(|program| program.is_file());
    found.ok_or_else(|| "there is no `sendmail` on this machine".to_owned())
}

/// A header's text: letters beyond ASCII in the form that mail has for them, in pieces of at most 75 letters.
fn encoded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut pieces = vec![String::new()];
    for letter in text.chars() {
        let mut bytes = [0; 4];
        let code = |byte: &u8| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            byte => format!("={byte:02X}"),
        };
        let coded: String = letter.encode_utf8(&mut bytes).as_bytes().iter().map(code).collect();
        match pieces.last_mut() {
            Some(piece) if piece.len() + coded.len() <= 60 => piece.push_str(&coded),
            _ => pieces.push(coded),
        }
    }
    pieces.iter().map(|piece| format!("=?utf-8?Q?{piece}?=")).collect::<Vec<_>>().join("\n ")
}

/// A command line as it is recorded: of webhooks only the host.
pub(crate) fn without_secrets(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let shown = |text: &str| OnEnd::parse(text).map_or_else(|_| text.to_owned(), |one| one.to_string());
    let mut is_next = false;
    let word = |word: String| {
        let was_next = std::mem::replace(&mut is_next, word == "--on-end");
        match word.strip_prefix("--on-end=") {
            Some(value) => format!("--on-end={}", shown(value)),
            None if was_next => shown(&word),
            None => word,
        }
    };
    words.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::{encoded, without_secrets};

    #[test]
    fn a_command_line_is_recorded_without_secrets() {
        let words =
            "combu run a.jsonnet --on-end https://host/secret --on-end=http://host/secret --on-end true https://x/y";
        let recorded = without_secrets(words.split(' ').map(str::to_owned)).join(" ");
        let told = "combu run a.jsonnet --on-end https://host/… --on-end=http://host/… --on-end true https://x/y";
        assert_eq!(recorded, told);
    }

    #[test]
    fn a_subject_is_ascii() {
        assert_eq!(encoded("combu: sweep failed"), "combu: sweep failed");
        let long = encoded(&"粒子法 ".repeat(10));
        assert!(long.is_ascii() && long.lines().all(|line| line.trim().len() <= 75), "{long}");
        assert_eq!(encoded("é b"), "=?utf-8?Q?=C3=A9=20b?=");
    }
}
