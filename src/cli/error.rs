//! Errors as users see them: what, where, why, what to do next, and with which exit code combu ends.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::engine::{EngineError, Obstacle};
use crate::model::name::{EngineName, Name};
use crate::model::shell::quoted;
use crate::plan::PlanError;
use crate::report::Style;
use crate::report::style::counted;
use crate::run::passed::MissingValues;
use crate::run::session::RunError;
use crate::run::session::images::MissingImage;
use crate::script::{Call, ScriptError, ScriptErrorKind, WhereError};
use crate::spec::{Mistake, SpecError};
use crate::store::StoreError;

/// Limit of the problems of one spec that are printed.
const SHOWN: usize = 20;

/// An error as users see it.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) code: u8,
    /// The fault, without a full stop.
    pub(crate) message: String,
    /// The place in a file, if the fault has one.
    pub(crate) place: Option<Box<FilePlace>>,
    /// Further lines: single problems, frames, causes.
    pub(crate) details: Vec<String>,
    /// Advice on what to do next.
    pub(crate) hints: Vec<String>,
}

/// A place in a file, with the text of its line.
#[derive(Debug)]
pub(crate) struct FilePlace {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) text: String,
}

impl CliError {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, details: Vec::new(), hints: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The error and its details in a line, for a script's message.
    pub(crate) fn in_a_line(&self) -> String {
        let mut text = self.message.clone();
        self.details.iter().for_each(|detail| text.push_str(&format!("; {}", detail.replace('\n', " "))));
        text
    }

    /// Shows the error, as the last thing of this process.
    pub(crate) fn end(&self, ui: &Ui) -> ExitCode {
        ui.message(&self.render(ui.err()));
        ExitCode::from(self.code)
    }

    /// The error as text, without a final newline.
    pub(crate) fn render(&self, style: &Style) -> String {
        let mut text = format!("{} {}", style.red("error:"), printable(&self.message));
        if let Some(place) = &self.place {
            text.push_str(&place.render(style));
        }
        for detail in &self.details {
            text.push_str("\n  ");
            text.push_str(&printable(detail).replace('\n', "\n  "));
        }
        for hint in &self.hints {
            text.push_str(&format!("\n{} {}", style.bold("hint:"), printable(hint)));
        }
        text
    }
}

/// The text with every control character but the end of a line and the tab written as `\u{1b}`: it may come from a spec or
/// an engine, and moves no cursor.
fn printable(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

impl FilePlace {
    /// `--> file:line:column`, the line, and a caret under the column; wide characters count as wide.
    fn render(&self, style: &Style) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let before: String = self.text.chars().take(self.column.saturating_sub(1)).collect();
        let indent: String = before.chars().filter(|c| *c == '\t').collect::<String>()
            + " ".repeat(console::measure_text_width(&before.replace('\t', ""))).as_str();
        let bar = style.dim("|");
        let head = format!("\n{margin}{} {}:{}:{}", style.dim("-->"), self.file, self.line, self.column);
        format!(
            "{head}\n{margin} {bar}\n{} {bar} {}\n{margin} {bar} {indent}{}",
            style.dim(&number),
            printable(&self.text),
            style.red("^")
        )
    }
}

impl From<std::io::Error> for CliError {
    /// A result that could not be written.
    fn from(error: std::io::Error) -> Self {
        Self::new(exit::INTERNAL, format!("cannot write to stdout: {error}"))
    }
}

impl From<SpecError> for CliError {
    fn from(error: SpecError) -> Self {
        match error {
            SpecError::Read { path, source } => {
                Self::new(exit::USAGE, format!("cannot read the spec `{}`: {source}", path.display()))
            }
            SpecError::Jsonnet { path, message, hint, at, frames } => {
                let mut error = Self::new(exit::USAGE, message);
                error.hints.extend(hint);
                if frames.is_empty() {
                    error.details.push(format!("in {}", short_path(&path)));
                }
                if !at.is_empty() {
                    error.details.push(format!("while making {at}"));
                }
                let mut frames = frames.into_iter();
                if let Some(frame) = frames.next() {
                    let (line, column) = (frame.line, frame.column);
                    error.place = Some(Box::new(FilePlace { file: frame.file, line, column, text: frame.text }));
                }
                error.details.extend(
                    frames.take(8).map(|frame| {
                        format!("at {}:{}:{} {}", frame.file, frame.line, frame.column, frame.description)
                    }),
                );
                error
            }
            SpecError::Invalid { path, problems } => {
                let mut error = Self::new(exit::USAGE, format!("the spec `{}` is not valid", path.display()));
                error.details = problems.0.iter().take(SHOWN).map(problem).collect();
                if problems.0.len() > SHOWN {
                    error.details.push(format!("... and {} more problems", problems.0.len() - SHOWN));
                }
                error
            }
        }
    }
}

fn problem(problem: &Mistake) -> String {
    let place = if problem.at.is_empty() { String::new() } else { format!("{}: ", problem.at) };
    let hint = problem.hint.as_ref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
    format!("{place}{}{hint}", problem.message)
}

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        if error.is_empty() {
            let message = format!("nothing to run: the experiment `{}` has no trials", error.experiment);
            return Self::new(exit::NOTHING, message);
        }
        let mut cli = Self::new(exit::USAGE, format!("the experiment `{}` cannot run", error.experiment));
        for found in error.problems.iter().take(SHOWN) {
            let hint = found.hint().map(|hint| format!("\n  {hint}")).unwrap_or_default();
            cli.details.push(format!("{found}{hint}"));
        }
        if error.problems.len() > SHOWN {
            cli.details.push(format!("... and {} more problems", error.problems.len() - SHOWN));
        }
        cli
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let cli = Self::new(exit::ENGINE, error.chain());
        match error {
            EngineError::Unreachable { engine: EngineName::Docker, .. } => {
                cli.hint("`docker info` tells whether you may use it; trials with `engine: \"local\"` need no Docker")
            }
            EngineError::OtherDaemon { then, now, .. } if then.address != now.address => {
                cli.hint(format!("DOCKER_HOST={} leads to it", then.address))
            }
            EngineError::OtherDaemon { .. } => {
                cli.hint("was the data folder of the daemon replaced, or a context changed?")
            }
            _ => cli,
        }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Plan(error) => error.into(),
            RunError::Engine(error) => error.into(),
            RunError::Uploads(error) => Self::new(exit::USAGE, error.to_string()).hint(
                "nothing was started; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for other servers than Amazon's, \
                 AWS_ENDPOINT_URL (with AWS_ALLOW_HTTP=true for http://) say how a bucket is reached",
            ),
            RunError::Values(missing) => cannot_be_had(&missing),
            RunError::Images(missing) => no_image(&missing),
            RunError::Obstacles(obstacles) => stands_in_the_way(&obstacles),
        }
    }
}

fn cannot_be_had(missing: &MissingValues) -> CliError {
    let message = "values that are to be passed on to trials cannot be had; nothing was started";
    let mut cli = CliError::new(exit::USAGE, message);
    for missing in missing.0.iter().take(SHOWN) {
        cli.details.push(format!("{missing}\n  {}", missing.hint));
    }
    if missing.0.len() > SHOWN {
        cli.details.push(format!("... and {} more", missing.0.len() - SHOWN));
    }
    cli
}

fn no_image(missing: &[MissingImage]) -> CliError {
    let what = if missing.len() == 1 { "an image cannot be had" } else { "images cannot be had" };
    let mut cli = CliError::new(exit::ENGINE, format!("{what}; nothing was started"));
    for one in missing.iter().take(SHOWN) {
        let names: Vec<&str> = one.trials.iter().take(3).map(Name::as_str).collect();
        let more = if one.trials.len() > names.len() { ", ..." } else { "" };
        let trials = counted(one.trials.len(), "trial");
        cli.details.push(format!("{}\n  needed by {trials}: {}{more}", one.error.chain(), names.join(", ")));
    }
    if missing.len() > SHOWN {
        cli.details.push(format!("... and {} more", missing.len() - SHOWN));
    }
    cli
}

fn stands_in_the_way(obstacles: &[Obstacle]) -> CliError {
    let mut cli = CliError::new(exit::USAGE, "something stands in the way; nothing was started");
    cli.details = obstacles.iter().take(SHOWN).map(ToString::to_string).collect();
    if obstacles.len() > SHOWN {
        cli.details.push(format!("... and {} more", obstacles.len() - SHOWN));
    }
    // Of a hundred trials that still run, one run is named.
    let mut kinds = Vec::new();
    for obstacle in obstacles {
        let kind = std::mem::discriminant(obstacle);
        if !kinds.contains(&kind) {
            kinds.push(kind);
            cli = cli.hint(obstacle.hint());
        }
    }
    cli
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let mut message = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            message = format!("{message}: {cause}");
        }
        let is_full = error.is_full();
        let cli = Self::new(exit::INTERNAL, message);
        if is_full { cli.hint("the disk is full: make room on it, and try again; nothing was changed") } else { cli }
    }
}

impl From<ScriptError> for CliError {
    fn from(error: ScriptError) -> Self {
        let code = match &error.kind {
            ScriptErrorKind::Interrupted(by) => exit::of_signal(by),
            ScriptErrorKind::Engine => exit::ENGINE,
            ScriptErrorKind::Read | ScriptErrorKind::Parse | ScriptErrorKind::Run => exit::USAGE,
        };
        let file = error.file.display().to_string();
        let mut cli = Self::new(code, error.message);
        if let (Some(line), Some(column)) = (error.line, error.column) {
            cli.place = Some(Box::new(FilePlace { file, line, column, text: error.source_line.unwrap_or_default() }));
        }
        cli.details = error.trace.iter().map(call).collect();
        cli.hints.extend(error.hint);
        cli
    }
}

impl From<WhereError> for CliError {
    /// An expression after `--where`.
    fn from(error: WhereError) -> Self {
        let mut cli = Self::new(exit::USAGE, error.message);
        if let (Some(line), Some(column)) = (error.line, error.column) {
            cli.place = Some(Box::new(FilePlace { file: "--where".to_owned(), line, column, text: error.source_line }));
        }
        cli.hints.extend(error.hint);
        cli
    }
}

fn call(place: &Call) -> String {
    format!("in `{}`, called at {}:{}:{}", place.called, place.file.display(), place.line, place.column)
}

/// The command that removes what was started from a file, as it can be typed in a shell.
pub(crate) fn kill_command(file: &Path) -> String {
    format!("combu -f {} kill", quoted(&short_path(file)))
}

/// The command line as it can be typed; of the program, its name is enough.
pub(crate) fn typed(words: &[String]) -> String {
    typed_words(words).map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// The words of a command line; of the program, its name is enough.
pub(crate) fn typed_words(words: &[String]) -> impl Iterator<Item = Cow<'_, str>> {
    let program = words.first().and_then(|word| Path::new(word).file_name()).map(|name| name.to_string_lossy());
    program.into_iter().chain(words.iter().skip(1).map(|word| Cow::from(word.as_str())))
}

/// A path as people would write it: relative where it lies below the working folder.
pub(crate) fn short_path(path: &Path) -> String {
    let cwd = std::env::current_dir().ok().filter(|cwd| cwd != Path::new("/"));
    let below = cwd.and_then(|cwd| path.strip_prefix(cwd).ok().map(Path::to_path_buf));
    below.unwrap_or_else(|| path.to_path_buf()).display().to_string()
}
