//! The runs that are served: followed in the store while somebody looks, and told to every page.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::broadcast;

use crate::cli::error::CliError;
use crate::cli::look::shown::{ShownRun, look};
use crate::cli::time::now;
use crate::cli::ui::Ui;
use crate::model::name::{Name, RunId};
use crate::model::trial::Trial;
use crate::page::{PageRun, patch};
use crate::store::{Follower, Kinds, LiveRun, StateDir};

/// Time between two looks at the store.
const PAUSE: Duration = Duration::from_millis(250);

/// Time between two looks for runs that have begun or ended.
const RUNS: Duration = Duration::from_secs(1);

/// Patches that a slow page may be behind; one that is behind further begins anew.
const BEHIND: usize = 64;

/// The runs of a project that are served.
pub(super) struct ServedRuns {
    state: StateDir,
    runs: Mutex<Vec<ServedRun>>,
    /// Whether runs that start later are served too.
    takes_new: bool,
    patches: broadcast::Sender<Arc<str>>,
}

/// A run that is served.
struct ServedRun {
    shown: ShownRun,
    follower: Follower,
    page: PageRun,
    /// What every page was told of its state last.
    told: Option<&'static str>,
}

impl ServedRuns {
    /// The runs that are named; else those of the project that are live; else the last one.
    ///
    /// # Errors
    /// When a name fits none, or several.
    pub(super) fn new(state: StateDir, file: Option<&Path>, names: &[String], ui: &Ui) -> Result<Self, CliError> {
        let mut shown = Vec::new();
        for name in names {
            shown.push(look(file, Some(name.trim_end_matches('/')), ui)?);
        }
        if names.is_empty() {
            for live in state.live_runs()?.runs {
                shown.extend(shown_run(&state, live)?);
            }
            if shown.is_empty() && !state.past_runs()?.runs.is_empty() {
                shown.push(look(file, None, ui)?);
            }
        }
        let runs = Mutex::new(shown.into_iter().map(ServedRun::new).collect());
        Ok(Self { state, runs, takes_new: names.is_empty(), patches: broadcast::channel(BEHIND).0 })
    }

    /// Everything so far, and from then on what is new: a page that gets both misses nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn subscribe(&self) -> Result<(Arc<str>, broadcast::Receiver<Arc<str>>), CliError> {
        let mut runs = self.runs();
        let patches = self.patches.subscribe();
        self.look_for_runs(&mut runs)?;
        let mut whole = Vec::new();
        for run in runs.iter_mut() {
            run.read()?;
            let (head, provenance) = (run.shown.page_head(&run.page.history), run.shown.page_provenance()?);
            let shown = &run.shown;
            whole.push(run.page.whole(&head, &provenance, |result, summary| shown.status(result, summary), |_| true));
        }
        Ok((patch(now(), whole).to_string().into(), patches))
    }

    /// The run of that id, if it is served and lives.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn live(&self, id: &str) -> Result<Option<LiveRun>, CliError> {
        let is_served = self.runs().iter().any(|run| run.shown.run.record.run.as_str() == id);
        let live = self.state.live_runs()?.runs.into_iter().find(|live| live.record.run.as_str() == id);
        Ok(live.filter(|_| is_served))
    }

    /// The state folder.
    pub(super) fn state(&self) -> &StateDir {
        &self.state
    }

    /// A trial of a run that is served, as another run may ask for it.
    pub(super) fn trial(&self, run: &RunId, name: &Name) -> Option<Trial> {
        let runs = self.runs();
        let served = runs.iter().find(|served| served.shown.run.record.run == *run)?;
        served.page.history.summary.get(name).map(|result| result.trial.to_ask_again())
    }

    /// Follows the runs in a thread of its own, as long as the runs are held by somebody else.
    pub(super) fn follow(self: &Arc<Self>) {
        let served = Arc::downgrade(self);
        thread::spawn(move || follow(&served));
    }

    /// Sends every page what is new.
    fn publish(&self, with_runs: bool) -> Result<(), CliError> {
        let mut runs = self.runs();
        if with_runs {
            self.look_for_runs(&mut runs)?;
        }
        let mut news = Vec::new();
        for run in runs.iter_mut() {
            news.extend(run.news()?);
        }
        if !news.is_empty() {
            // Without a page there is nobody to tell.
            let _nobody = self.patches.send(patch(now(), news).to_string().into());
        }
        Ok(())
    }

    /// Takes note of runs that have begun, or have ended, since.
    fn look_for_runs(&self, runs: &mut Vec<ServedRun>) -> Result<(), CliError> {
        let live = self.state.live_runs()?.runs;
        for run in runs.iter_mut() {
            let id = &run.shown.run.record.run;
            run.shown.live = live.iter().find(|live| live.record.run == *id).cloned();
        }
        for live in live.into_iter().filter(|_| self.takes_new) {
            if runs.iter().all(|run| run.shown.run.record.run != live.record.run) {
                runs.extend(shown_run(&self.state, live)?.map(ServedRun::new));
            }
        }
        Ok(())
    }

    fn runs(&self) -> MutexGuard<'_, Vec<ServedRun>> {
        self.runs.lock().expect("no code panics while it holds the lock")
    }
}

/// A live run with its record.
fn shown_run(state: &StateDir, live: LiveRun) -> Result<Option<ShownRun>, CliError> {
    let past = state.past_runs()?.runs.into_iter().find(|past| past.record.run == live.record.run);
    Ok(past.map(|run| ShownRun { run, live: Some(live) }))
}

/// Looks at the store again and again, as long as there is a page that wants to know.
fn follow(served: &Weak<ServedRuns>) {
    let mut looked = Instant::now();
    loop {
        thread::sleep(PAUSE);
        let Some(served) = served.upgrade() else { return };
        if served.patches.receiver_count() == 0 {
            continue;
        }
        let with_runs = looked.elapsed() >= RUNS;
        if with_runs {
            looked = Instant::now();
        }
        if let Err(error) = served.publish(with_runs) {
            // The store may be out of reach for a moment; the page says what it is told.
            let problem = serde_json::json!({"problem": error.message});
            let _nobody = served.patches.send(problem.to_string().into());
        }
    }
}

impl ServedRun {
    fn new(shown: ShownRun) -> Self {
        let follower = shown.run.follow();
        Self { shown, follower, page: PageRun::default(), told: None }
    }

    /// Reads what is new in the store.
    fn read(&mut self) -> Result<(), CliError> {
        let page = &mut self.page;
        Ok(self.follower.read(Kinds::All, |event| page.add(&event))?)
    }

    /// What is new, for pages that have everything before.
    fn news(&mut self) -> Result<Option<Value>, CliError> {
        self.read()?;
        let state = self.shown.state(&self.page.history.summary);
        let is_other = self.told.replace(state).is_some_and(|before| before != state);
        if is_other {
            self.page.touch_open();
        }
        if !self.page.has_news() {
            return Ok(None);
        }
        let head = self.shown.page_head(&self.page.history);
        let shown = &self.shown;
        Ok(Some(self.page.news(&head, |result, summary| shown.status(result, summary))))
    }
}
