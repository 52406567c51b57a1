//! Where an export goes, and what is written there with each look at the trials.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::told::row;
use crate::cli::ui::Ui;
use crate::export::optuna::OptunaJournal;
use crate::export::tensorboard::EventFile;
use crate::export::trial::{ExportedPart, ExportedTrial};
use crate::model::name::{Name, RunId};

/// A file or the standard output, which takes what is exported.
pub(super) struct ExportFile {
    /// Absent: the standard output.
    path: Option<PathBuf>,
    out: Box<dyn Write + Send>,
}

impl ExportFile {
    /// The standard output for `-`, or where nothing is said; else that file, which is not there yet, or may be overwritten.
    ///
    /// # Errors
    /// When it is there, or cannot be made.
    pub(super) fn open(path: Option<&Path>, may_overwrite: bool, ui: &Ui) -> Result<Self, CliError> {
        match path.filter(|path| *path != Path::new("-")) {
            None => Ok(Self { path: None, out: ui.stdout() }),
            Some(path) => Ok(Self { path: Some(path.to_owned()), out: Box::new(create(path, may_overwrite)?) }),
        }
    }

    /// Writes something more. A reader that is gone is no error: `combu export --to jsonl | head`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.path.is_none() => Ok(()),
            Err(error) => {
                let place = self.path.as_deref().map_or("the standard output".into(), |path| path.to_string_lossy());
                Err(CliError::new(exit::INTERNAL, format!("`{place}` cannot be written: {error}")))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Makes a file; a pipe or a device that is there is written to as it is.
fn create(path: &Path, may_overwrite: bool) -> Result<File, CliError> {
    let is_special = fs::metadata(path).is_ok_and(|is| !is.is_file() && !is.is_dir());
    let mut options = OpenOptions::new();
    options.write(true);
    let made = match may_overwrite || is_special {
        true => options.create(true).truncate(true).open(path),
        false => options.create_new(true).open(path),
    };
    made.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::new(exit::USAGE, format!("`{}` is there already; nothing was exported", path.display()))
                .hint("`--force` overwrites it")
        }
        _ => CliError::new(exit::USAGE, format!("`{}` cannot be written: {error}", path.display())),
    }
}

/// An export that grows: each look at the trials adds what is new in them.
pub(super) enum GrowingExport {
    /// The rows of `combu metrics`.
    Rows { out: ExportFile, progress: HashMap<(RunId, Name), ExportedPart> },
    /// A journal for Optuna.
    Journal { out: ExportFile, journal: Box<OptunaJournal> },
    /// A folder of event files for TensorBoard, a folder for each run and in it one for each trial.
    EventFiles { folder: PathBuf, may_overwrite: bool, files: HashMap<(RunId, Name), EventFile> },
}

impl GrowingExport {
    /// Writes what is new.
    pub(super) fn add(&mut self, trials: &[ExportedTrial<'_>]) -> Result<(), CliError> {
        match self {
            Self::Rows { out, progress } => {
                for trial in trials {
                    let name = &trial.result.trial.name;
                    let (new, _) = progress.entry((trial.run.clone(), name.clone())).or_default().take(trial);
                    let lines: Vec<String> =
                        new.iter().map(|told| format!("{}\n", row(trial.run, name, told))).collect();
                    out.write(lines.concat().as_bytes())?;
                }
                Ok(())
            }
            Self::Journal { out, journal } => out.write(journal.add(trials).as_bytes()),
            Self::EventFiles { folder, may_overwrite, files } => add_events(folder, *may_overwrite, files, trials),
        }
    }
}

/// Writes what is new to the event file of each trial.
fn add_events(
    folder: &Path,
    may_overwrite: bool,
    files: &mut HashMap<(RunId, Name), EventFile>,
    trials: &[ExportedTrial<'_>],
) -> Result<(), CliError> {
    let below = |trial: &ExportedTrial<'_>| folder.join(trial.run.as_str()).join(trial.result.trial.name.as_str());
    let key = |trial: &ExportedTrial<'_>| (trial.run.clone(), trial.result.trial.name.clone());
    // Asked of all before anything is written.
    let is_there = |trial: &&ExportedTrial<'_>| {
        !files.contains_key(&key(trial)) && trial.has_begun() && below(trial).join(EventFile::NAME).exists()
    };
    if let Some(trial) = trials.iter().find(is_there).filter(|_| !may_overwrite) {
        return Err(unwritable(&below(trial).join(EventFile::NAME), &io::ErrorKind::AlreadyExists.into()));
    }
    for trial in trials.iter().filter(|trial| trial.has_begun()) {
        let (below, is_new) = (below(trial), !files.contains_key(&key(trial)));
        let bytes = files.entry(key(trial)).or_default().add(trial);
        if bytes.is_empty() {
            continue;
        }
        let path = below.join(EventFile::NAME);
        let failed = |error: io::Error| unwritable(&path, &error);
        let mut file = if is_new {
            fs::create_dir_all(&below).map_err(failed)?;
            create(&path, may_overwrite)?
        } else {
            OpenOptions::new().append(true).open(&path).map_err(failed)?
        };
        file.write_all(&bytes).map_err(failed)?;
    }
    Ok(())
}
