//! Trials whose logs are printed: which attempt is the last, and whether more will come. Only the store and the logs are
//! read.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::cli::args::NamePattern;
use crate::cli::chosen::fitting;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::printer::{PrintError, Printer};
use crate::cli::look::shown::ShownRun;
use crate::cli::look::tail::LogTail;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::model::event::{Event, Fact, FactKind};
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::store::{Follower, Kinds};

/// Events that show which attempt is the last, and which trials have ended.
const KINDS: [FactKind; 8] = [
    FactKind::RunStarted,
    FactKind::RunResumed,
    FactKind::RunEnded,
    FactKind::TrialSubmitted,
    FactKind::TrialEnded,
    FactKind::TrialReopened,
    FactKind::TrialReused,
    FactKind::AttemptStarting,
];

// Which of the trials' logs are printed. No doc comment: it would become the manual of `combu logs`.
#[derive(Debug, Args)]
pub(super) struct LogSelection {
    /// Go on until the trials have ended.
    #[arg(short = 'f', long = "follow", conflicts_with = "attempt")]
    pub(super) follow: bool,

    /// The logs of that attempt, from 1, instead of the last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) attempt: Option<u32>,

    /// Only the standard output.
    #[arg(long)]
    pub(super) stdout: bool,

    /// Only the standard error.
    #[arg(long)]
    pub(super) stderr: bool,

    /// Only the last N lines of each stream; with `-f`, those and what comes.
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) tail: Option<usize>,
}

/// Trials of a run whose logs are printed.
pub(super) struct WatchedRun {
    pub(super) shown: ShownRun,
    follower: Follower,
    summary: Summary,
    patterns: Vec<NamePattern>,
    pub(super) trials: Vec<WatchedTrial>,
    places: HashMap<Name, usize>,
    /// True once nothing more will come of the run.
    run_is_over: bool,
}

/// A trial whose logs are printed.
pub(super) struct WatchedTrial {
    pub(super) name: Name,
    /// The number of its last attempt, from 1; 0 before its first.
    pub(super) attempt: u32,
    streams: Vec<LogStream>,
    pub(super) ended: Option<Outcome>,
    /// The run in which it succeeded, if it was not run again.
    pub(super) reused: Option<RunId>,
}

/// A log of an attempt.
struct LogStream {
    tail: LogTail,
    is_error: bool,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
}

impl WatchedRun {
    pub(super) fn new(shown: ShownRun, ui: &Ui) -> Result<Self, CliError> {
        let (mut follower, mut summary) = (shown.run.follow(), Summary::default());
        follower.read(Kinds::Only(&KINDS), |event| summary.add(&event))?;
        unread::warn(&follower.unread(), ui);
        let run_is_over = !shown.is_running(&summary);
        let (patterns, trials, places) = (Vec::new(), Vec::new(), HashMap::new());
        Ok(Self { shown, follower, summary, patterns, trials, places, run_is_over })
    }

    /// Adds the trials that fit.
    pub(super) fn add(&mut self, pattern: NamePattern) -> Result<(), CliError> {
        for result in fitting(&pattern, &self.shown.run, &self.summary)? {
            if !self.places.contains_key(&result.trial.name) {
                self.places.insert(result.trial.name.clone(), self.trials.len());
                let (name, attempt) = (result.trial.name.clone(), result.attempts);
                let (ended, reused) = (result.outcome().cloned(), result.reused.clone());
                self.trials.push(WatchedTrial { name, attempt, streams: Vec::new(), ended, reused });
            }
        }
        self.patterns.push(pattern);
        Ok(())
    }

    /// True where trials that do not exist yet may be asked for.
    pub(super) fn may_grow(&self) -> bool {
        !self.run_is_over && self.patterns.iter().any(NamePattern::is_open)
    }

    pub(super) fn is_over(&self) -> bool {
        self.run_is_over || !self.may_grow() && self.trials.iter().all(|trial| trial.ended.is_some())
    }

    /// Prints the logs as they are now.
    pub(super) fn begin(&mut self, printer: &mut Printer<'_>, args: &LogSelection) -> Result<(), PrintError> {
        let run = &self.shown.run;
        for trial in &mut self.trials {
            if let Some(attempt) = args.attempt {
                if attempt > trial.attempt {
                    let count = trial.attempt;
                    let message = format!("there is no attempt {attempt} of `{}`: there were {count}", trial.name);
                    return Err(CliError::new(exit::NOTHING, message).into());
                }
                trial.attempt = attempt;
            }
            trial.open(&run.path, args, args.tail)?;
            if self.run_is_over || trial.ended.is_some() || !args.follow {
                trial.close(printer)?;
            }
        }
        Ok(())
    }

    /// Prints what came since the last time.
    pub(super) fn turn(&mut self, printer: &mut Printer<'_>, args: &LogSelection) -> Result<(), PrintError> {
        // Asked first: what it wrote last is read below.
        let is_gone = self.shown.live.as_ref().is_none_or(|live| live.wait_end(Duration::ZERO));
        let mut events = Vec::new();
        self.follower.read(Kinds::Only(&KINDS), |event| events.push(event)).map_err(CliError::from)?;
        for row in self.follower.unread() {
            printer.say(&row.to_string())?;
        }
        for event in events {
            self.take(event, printer, args)?;
        }
        for trial in self.trials.iter_mut().filter(|trial| trial.ended.is_none()) {
            trial.drain(printer)?;
        }
        self.run_is_over |= is_gone;
        Ok(())
    }

    fn take(&mut self, event: Event, printer: &mut Printer<'_>, args: &LogSelection) -> Result<(), PrintError> {
        match event.fact {
            Fact::TrialSubmitted { trial } => {
                let name = &trial.name;
                if !self.places.contains_key(name) && self.patterns.iter().any(|one| one.fits(name)) {
                    self.places.insert(name.clone(), self.trials.len());
                    let (name, streams) = (name.clone(), Vec::new());
                    self.trials.push(WatchedTrial { name, attempt: 0, streams, ended: None, reused: None });
                }
            }
            Fact::AttemptStarting { trial, attempt, .. } => {
                let Some(&place) = self.places.get(&trial) else { return Ok(()) };
                let watched = &mut self.trials[place];
                watched.close(printer)?;
                if attempt > 1 {
                    printer.say(&format!("{trial}: attempt {attempt}"))?;
                }
                (watched.attempt, watched.ended) = (attempt, None);
                watched.open(&self.shown.run.path, args, None)?;
            }
            Fact::TrialReopened { trial } => {
                if let Some(&place) = self.places.get(&trial) {
                    self.trials[place].ended = None;
                }
            }
            Fact::TrialEnded { trial, outcome, .. } => {
                let Some(&place) = self.places.get(&trial) else { return Ok(()) };
                let watched = &mut self.trials[place];
                watched.close(printer)?;
                if !outcome.is_success() {
                    printer.say(&format!("{trial}: {outcome}"))?;
                }
                watched.ended = Some(outcome);
            }
            Fact::RunEnded { .. } => self.run_is_over = true,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, printer: &mut Printer<'_>) -> Result<(), PrintError> {
        for trial in &mut self.trials {
            trial.close(printer)?;
        }
        Ok(())
    }
}

impl WatchedTrial {
    fn open(&mut self, run: &Path, args: &LogSelection, lines: Option<usize>) -> io::Result<()> {
        self.streams.clear();
        if self.attempt == 0 {
            return Ok(());
        }
        let folder = run.join(self.name.as_str()).join(self.attempt.to_string());
        let both = args.stdout == args.stderr;
        for (wanted, file, is_error) in [(args.stdout, "stdout.log", false), (args.stderr, "stderr.log", true)] {
            if wanted || both {
                let tail = LogTail::new(folder.join(file), lines)?;
                self.streams.push(LogStream { tail, is_error, line: Vec::new() });
            }
        }
        Ok(())
    }

    fn drain(&mut self, printer: &mut Printer<'_>) -> io::Result<()> {
        self.streams.iter_mut().try_for_each(|stream| stream.drain(&self.name, printer))
    }

    /// Prints the rest of its logs, to which nothing will come.
    fn close(&mut self, printer: &mut Printer<'_>) -> io::Result<()> {
        for mut stream in self.streams.drain(..) {
            stream.drain(&self.name, printer)?;
            if !stream.line.is_empty() {
                printer.line(&self.name, stream.is_error, &stream.line)?;
            }
        }
        Ok(())
    }
}

impl LogStream {
    fn drain(&mut self, name: &Name, printer: &mut Printer<'_>) -> io::Result<()> {
        let Self { tail, is_error, line } = self;
        tail.read(|bytes| printer.bytes(name, *is_error, line, bytes))
    }
}
