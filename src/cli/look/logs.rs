//! `combu logs`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::chosen;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::printer::{PrintError, Printer};
use crate::cli::look::shown::look;
use crate::cli::look::watch::{LogSelection, WatchedRun};
use crate::cli::named;
use crate::cli::ui::Ui;

/// Time between two looks of `-f`: short for a person, and next to nothing for the machine.
const PAUSE: Duration = Duration::from_millis(100);

/// Print what trials wrote to their standard output and standard error, in their last attempts.
///
/// All of it goes to the standard output as it was written: first a trial's standard output, then its standard error, and
/// with `-f` as it comes. Where several trials are shown, each line begins with its trial's name and `|`, or `!` where it
/// was written to the standard error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu logs solver-3                 of the live run, or the last one
  combu logs -f solver-3              until it has ended, into its next attempts too
  combu logs -f                       every trial of the run, until that has ended
  combu logs k3jd/'solver-*' -n 5     the last lines of some trials of one run
  combu logs solver-3 --attempt 1 --stderr
  combu -f sweep.jsonnet logs -f      of the live run of a spec, or its last one")]
pub(crate) struct LogsArgs {
    /// Trials: names, or patterns with `*`, `?` and `[a-z]`; their run, the beginning of its id or `last`, as a word of its own
    /// or before a `/`; else it is the live run, or the last one. Default: every trial.
    #[arg(value_name = "RUN|TRIAL")]
    trials: Vec<String>,

    /// The spec whose run is meant. Behind `logs`, `-f` is `--follow`.
    // By its id, it takes the place of the option of all verbs.
    #[arg(id = "file", long = "file", value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    selection: LogSelection,

    /// Begin each line with the trial's name, also of a single one.
    #[arg(long, overrides_with = "no_prefix")]
    prefix: bool,

    /// Print lines as they were written, also of several trials.
    #[arg(long)]
    no_prefix: bool,
}

pub(crate) fn main(file: Option<&Path>, args: &LogsArgs, ui: &Ui) -> Result<u8, CliError> {
    let mut watches = watches(file.or(args.file.as_deref()), args, ui)?;
    let names = || watches.iter().flat_map(|watch| watch.trials.iter().map(|trial| trial.name.as_str()));
    let several = names().count() > 1 || args.selection.follow && watches.iter().any(WatchedRun::may_grow);
    let prefix = (args.prefix || several && !args.no_prefix).then(|| names().map(str::len).max().unwrap_or_default());
    let mut printer = Printer { ui, out: BufWriter::new(ui.stdout()), prefix };
    match print(&mut watches, &mut printer, args) {
        // A reader that has seen enough: `combu logs a1 | head`.
        Err(error) if error.cause() == Some(io::ErrorKind::BrokenPipe) => Ok(exit::OK),
        Err(PrintError::Io(error)) => Err(CliError::new(exit::INTERNAL, format!("cannot print a log: {error}"))),
        Err(PrintError::Cli(error)) => Err(*error),
        Ok(()) => Ok(exit::OK),
    }
}

fn print(watches: &mut [WatchedRun], printer: &mut Printer<'_>, args: &LogsArgs) -> Result<(), PrintError> {
    let alone = watches.iter().map(|watch| watch.trials.len()).sum::<usize>() == 1;
    for watch in watches.iter_mut() {
        watch.begin(printer, &args.selection)?;
    }
    while args.selection.follow && !watches.iter().all(WatchedRun::is_over) {
        printer.out.flush()?;
        std::thread::sleep(PAUSE);
        for watch in watches.iter_mut().filter(|watch| !watch.is_over()) {
            watch.turn(printer, &args.selection)?;
        }
    }
    for watch in watches.iter_mut() {
        watch.finish(printer)?;
        for trial in &watch.trials {
            let (name, run) = (&trial.name, &watch.shown.run.record.run);
            if let (Some(from), true) = (&trial.reused, alone) {
                printer
                    .say(&format!("{name} succeeded in run {from}, where its logs are: combu logs {from}/{name}"))?;
                continue;
            }
            match &trial.ended {
                None if args.selection.follow => {
                    printer.say(&format!("{name} had not ended when run {run} did; `combu resume {run}` goes on"))?;
                }
                None if trial.attempt == 0 && alone => printer.say(&format!("{name} has not been started"))?,
                Some(outcome) if trial.attempt == 0 && alone => printer.say(&format!("{name}: {outcome}"))?,
                _ => {}
            }
        }
    }
    Ok(printer.out.flush()?)
}

/// The trials that are asked for, by run.
fn watches(file: Option<&Path>, args: &LogsArgs, ui: &Ui) -> Result<Vec<WatchedRun>, CliError> {
    let mut watches: Vec<WatchedRun> = Vec::new();
    for named in named::read(file, &args.trials, ui)? {
        let shown = look(file, named.run.as_deref(), ui)?;
        let known = watches.iter().position(|watch| watch.shown.run.record.run == shown.run.record.run);
        let place = match known {
            Some(place) => place,
            None => {
                watches.push(WatchedRun::new(shown, ui)?);
                watches.len() - 1
            }
        };
        let every = ["*".to_owned()];
        for trial in if named.trials.is_empty() { &every[..] } else { &named.trials } {
            watches[place].add(chosen::pattern(trial)?)?;
        }
    }
    Ok(watches)
}
