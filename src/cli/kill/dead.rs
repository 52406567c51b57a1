//! Runs whose combu is dead, as `combu kill` meets them: they are recorded as ended, and what their ended containers hold is
//! saved before those go.

use std::collections::BTreeSet;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::kill::args::KillArgs;
use crate::cli::kill::target::Target;
use crate::cli::stage::saving::{Unsaved, save, take_up};
use crate::cli::ui::Ui;
use crate::engine::{Found, Standing};
use crate::model::label;
use crate::model::name::{EngineName, Name, RunId};
use crate::run::purpose::Purpose;
use crate::run::session::Session;
use crate::store::{Kinds, PastRun, StateDir};

/// A kill of what dead combus left.
pub(super) struct Left<'a> {
    pub(super) session: &'a Session,
    pub(super) state: &'a StateDir,
    pub(super) target: &'a Target,
    pub(super) args: &'a KillArgs,
    pub(super) ui: &'a Ui,
}

/// What became of the runs whose combu is dead.
#[derive(Debug, Default)]
pub(super) struct Dead {
    /// Whether there was one.
    pub(super) any: bool,
    /// Why the end of one could not be kept, in lines.
    pub(super) problems: Vec<String>,
    /// Those whose end could not be kept.
    pub(super) unkept: BTreeSet<RunId>,
    /// Why one is not ended: an engine is out of reach.
    pub(super) error: Option<CliError>,
}

impl Left<'_> {
    /// Records the runs of the target as ended whose combu is dead; what of them runs is killed.
    pub(super) fn end(&self) -> Result<Dead, CliError> {
        let mut dead = Dead::default();
        for run in self.state.past_runs()?.runs.iter().filter(|run| self.target.has_recorded(run)) {
            if run.has_ended()? {
                continue;
            }
            let history = run.history(Kinds::WITHOUT_RECORDS)?;
            // What cannot be read is not gone on with.
            if !history.has_begun() || !history.unread.is_empty() {
                continue;
            }
            // On one engine only, the rest of the run goes on.
            let engine = self.args.engine;
            let is_meant = |name: EngineName| engine.is_none_or(|engine| engine == name);
            let meant: BTreeSet<Name> =
                history.planned().filter(|trial| is_meant(trial.engine)).map(|trial| trial.name.clone()).collect();
            let is_whole = history.planned().all(|trial| is_meant(trial.engine));
            self.take(run, if is_whole { Purpose::End } else { Purpose::Kill(meant) }, &mut dead);
        }
        Ok(dead)
    }

    /// Kills those trials of a run whose combu is dead.
    pub(super) fn kill(&self, run: &PastRun, trials: BTreeSet<Name>, dead: &mut Dead) {
        self.take(run, Purpose::Kill(trials), dead);
    }

    fn take(&self, run: &PastRun, purpose: Purpose, dead: &mut Dead) {
        let (id, ends) = (&run.record.run, purpose == Purpose::End);
        match take_up(self.session, self.state, run, purpose, self.args.grace, self.ui) {
            Ok(()) => {
                dead.any = true;
                if ends {
                    self.ui.message(&format!("ended run {id}"));
                }
            }
            Err(error) => {
                dead.unkept.insert(id.clone());
                if error.code == exit::ENGINE {
                    dead.error.get_or_insert(error);
                } else {
                    dead.problems.push(error.message);
                }
            }
        }
    }

    /// Of what was found, the ended containers that hold what is nowhere else, once what can be saved is, and everything of
    /// the runs whose end could not be kept.
    pub(super) fn unsaved(&self, found: &[Found], dead: &Dead) -> Result<Vec<Unsaved>, CliError> {
        let run = |one: &Found| one.labels.get(label::RUN).map(|run| RunId::from(run.as_str()));
        let is_unkept = |one: &&Found| run(one).is_some_and(|run| dead.unkept.contains(&run));
        let (unkept, others): (Vec<&Found>, Vec<&Found>) = found.iter().partition(is_unkept);
        let others: Vec<Found> = others.into_iter().cloned().collect();
        let mut unsaved = save(self.session, self.state, &others, self.ui)?;
        let stays = unkept.into_iter().filter(|one| one.standing != Standing::Created);
        unsaved.extend(stays.map(|one| Unsaved {
            found: one.clone(),
            because: format!(
                "has what could not be saved of run {}",
                run(one).map(|run| run.to_string()).unwrap_or_default()
            ),
        }));
        Ok(unsaved)
    }
}

/// The error that containers stay, and why.
pub(super) fn stays(unsaved: &[Unsaved], problems: Vec<String>) -> CliError {
    let mut error = Unsaved::error(unsaved, "some containers stay: they hold what is kept nowhere else");
    error.code = exit::INTERNAL;
    error.details.extend(problems);
    error.hint("nothing of them runs any more; `--discard` removes them with what they hold")
}
