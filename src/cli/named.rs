//! Runs and trials as command lines name them, in every verb alike: `RUN/TRIAL`, a run, or a trial.

use std::path::Path;

use crate::cli::args::NamePattern;
use crate::cli::chosen::pattern;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::cli::which::{Runs, last, runs};
use crate::model::event::FactKind;
use crate::model::name::RunId;
use crate::store::{Kinds, PastRun};

/// Events that tell which trials a run has.
const TRIALS: [FactKind; 2] = [FactKind::RunStarted, FactKind::TrialSubmitted];

/// Limit of the runs that are looked into: each may be large.
const RUNS: usize = 20;

/// A run that is named, and which of its trials.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// As [`runs`] takes it; absent: the run that is meant where none is named.
    pub(crate) run: Option<String>,
    /// Names and patterns; empty: the run as a whole.
    pub(crate) trials: Vec<String>,
}

/// The runs and trials that words name, those of one run together. Without a word, the run that is meant then.
///
/// A word that is a trial of the run that is meant where none is named is that trial; else it is a run that begins so. With
/// a run besides, trials are that run's.
///
/// # Errors
/// When it is not clear which run's trial is meant.
pub(crate) fn read(file: Option<&Path>, words: &[String], ui: &Ui) -> Result<Vec<Named>, CliError> {
    let mut named: Vec<Named> = Vec::new();
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    let candidates = Candidates::new(file, words, ui)?;
    for word in words {
        match word.split_once('/') {
            Some((run, "")) => whole.push(run.to_owned()),
            Some((run, trial)) => add(&mut named, Some(run.to_owned()), trial),
            // A trial may be called so: `last last`.
            None if word == "last" && !whole.is_empty() && candidates.is_known(word)? => bare.push(word),
            None if candidates.is_run(word)? => whole.push(word.clone()),
            None => bare.push(word),
        }
    }
    match (&whole[..], &bare[..]) {
        ([run], [_, ..]) => bare.iter().for_each(|trial| add(&mut named, Some(run.clone()), trial)),
        ([_, _, ..], [trial, ..]) => {
            let message = format!("`{trial}` may be a trial of any of the {} runs that are named", whole.len());
            return Err(CliError::new(exit::USAGE, message).hint(format!("write `{}/{trial}`", whole[0])));
        }
        _ => {
            named.extend(whole.into_iter().map(|run| Named { run: Some(run), trials: Vec::new() }));
            for trial in bare {
                add(&mut named, candidates.run_of(trial)?, trial);
            }
        }
    }
    if named.is_empty() {
        named.push(Named::default());
    }
    Ok(named)
}

/// The one run, and its trials, that words name.
///
/// # Errors
/// As for [`read`], and when they name several runs.
pub(crate) fn read_one(file: Option<&Path>, words: &[String], ui: &Ui) -> Result<Named, CliError> {
    let mut named = read(file, words, ui)?;
    match named.len() {
        0 | 1 => Ok(named.pop().unwrap_or_default()),
        count => Err(CliError::new(exit::USAGE, format!("{count} runs are named, and one can be shown at a time"))
            .hint("write `RUN`, `TRIAL` or `RUN/TRIAL`")),
    }
}

/// The runs that a word names, for what is done to whole runs.
///
/// # Errors
/// When the word is a trial, or `RUN/TRIAL`.
pub(crate) fn whole(file: Option<&Path>, word: Option<&str>, ui: &Ui) -> Result<Runs, CliError> {
    let refused = |word: &str, run: &str| {
        CliError::new(exit::USAGE, format!("`{word}` is a trial, and this is for a whole run"))
            .hint(format!("name the run: `{run}`"))
    };
    let word = word.map(|word| word.strip_suffix('/').unwrap_or(word));
    if let Some(word) = word
        && let Some((run, _)) = word.split_once('/')
    {
        return Err(refused(word, run));
    }
    let found = runs(file, word, ui)?;
    if let Some(word) = word
        && found.past.is_empty()
        && let Some(run) = run_of_trial(file, word, ui)?
    {
        return Err(refused(word, run.as_str()));
    }
    Ok(found)
}

/// The run that has a trial of that name, of those that are meant where no run is named.
pub(crate) fn run_of_trial(file: Option<&Path>, word: &str, ui: &Ui) -> Result<Option<RunId>, CliError> {
    let pattern = pattern(word)?;
    let Candidates { runs, before, .. } = Candidates::new(file, &[word.to_owned()], ui)?;
    for run in runs.iter().chain(&before) {
        if has(run, &pattern)? {
            return Ok(Some(run.record.run.clone()));
        }
    }
    Ok(None)
}

fn add(named: &mut Vec<Named>, run: Option<String>, trial: &str) {
    match named.iter_mut().find(|one| one.run == run && !one.trials.is_empty()) {
        Some(one) => one.trials.push(trial.to_owned()),
        None => named.push(Named { run, trials: vec![trial.to_owned()] }),
    }
}

/// The runs that a trial is looked for in where no run is named: the live ones, else the last.
struct Candidates {
    runs: Vec<PastRun>,
    /// The one before them, where those are live: a trial may be of it.
    before: Option<PastRun>,
    all: Vec<PastRun>,
}

impl Candidates {
    fn new(file: Option<&Path>, words: &[String], ui: &Ui) -> Result<Self, CliError> {
        if words.iter().all(|word| word.contains('/')) {
            return Ok(Self { runs: Vec::new(), before: None, all: Vec::new() });
        }
        let all = runs(file, None, ui)?;
        let is_live = |run: &&PastRun| all.live.iter().any(|live| live.record.run == run.record.run);
        let live: Vec<PastRun> = all.past.iter().filter(is_live).cloned().collect();
        let ended: Vec<PastRun> = all.past.iter().filter(|run| !is_live(run)).cloned().collect();
        let before = last(&ended).map(|place| ended[place].clone());
        let (runs, before) = if live.is_empty() { (before.into_iter().collect(), None) } else { (live, before) };
        Ok(Self { runs, before, all: all.past })
    }

    fn is_run(&self, word: &str) -> Result<bool, CliError> {
        let begins = word == "last" || self.all.iter().any(|run| run.record.run.as_str().starts_with(word));
        Ok(begins && (word == "last" || self.having(word)?.is_empty()))
    }

    /// Whether one of the last runs has a trial of that name.
    fn is_known(&self, trial: &str) -> Result<bool, CliError> {
        let pattern = pattern(trial)?;
        for run in self.all.iter().take(RUNS) {
            if has(run, &pattern)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The runs that have a trial of that name.
    fn having(&self, trial: &str) -> Result<Vec<&PastRun>, CliError> {
        let pattern = pattern(trial)?;
        let mut having = Vec::new();
        for run in &self.runs {
            if has(run, &pattern)? {
                having.push(run);
            }
        }
        Ok(having)
    }

    /// The run whose trial is meant, where that has to be said.
    fn run_of(&self, trial: &str) -> Result<Option<String>, CliError> {
        let pattern = pattern(trial)?;
        if self.runs.len() < 2 && self.before.is_none() {
            return Ok(None);
        }
        let having = self.having(trial)?;
        match having[..] {
            [one] => Ok(Some(one.record.run.to_string())),
            [] => match &self.before {
                Some(before) if has(before, &pattern)? => Ok(Some(before.record.run.to_string())),
                _ => Ok(None),
            },
            // The newest of them, as for everything where no run is named.
            [one, ..] if pattern.is_open() => Ok(Some(one.record.run.to_string())),
            _ => {
                let message = format!("`{trial}` is a trial of {} live runs", having.len());
                let mut error = CliError::new(exit::USAGE, message);
                error.details = having.iter().map(|run| format!("{}/{trial}", run.record.run)).collect();
                Err(error.hint("write one of these"))
            }
        }
    }
}

fn has(run: &PastRun, pattern: &NamePattern) -> Result<bool, CliError> {
    let history = run.history(Kinds::Only(&TRIALS))?;
    Ok(history.summary.results.iter().any(|result| pattern.fits(&result.trial.name)))
}
