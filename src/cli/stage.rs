//! The stage of a run: its folder, and the sinks that store and show it. The same for `run` and for scripts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::args::ProgressMode;
use crate::cli::error::{CliError, shown};
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::event::Sink;
use crate::model::name::RunId;
use crate::model::summary::Summary;
use crate::plan::Plan;
use crate::report::{Json, Next, Plain, Progress, summary};
use crate::script::{Opened, Stage};
use crate::store::{EventsFile, LiveRun, RunDir, RunRecord, StateDir};

/// How long a combu that is asked to end may take before it is asked again, which kills its trials at once.
const POLITE: Duration = Duration::from_secs(15);

/// How long it may take after that.
const IMPATIENT: Duration = Duration::from_secs(30);

/// The stage on this terminal.
pub(crate) struct Terminal {
    ui: Ui,
    mode: ProgressMode,
    /// The spec or script.
    file: PathBuf,
    state: StateDir,
    bars: RefCell<Option<Progress>>,
    /// The folders of the runs so far.
    folders: RefCell<HashMap<RunId, PathBuf>>,
    /// Whether this is the background half of --detach, which writes to the run's folder.
    detached: bool,
}

impl Terminal {
    pub(crate) fn new(ui: &Ui, mode: ProgressMode, file: &Path, detached: bool) -> Result<Self, CliError> {
        let mode = match mode {
            ProgressMode::Auto if ui.has_terminal() && !detached => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Plain,
            mode => mode,
        };
        let state = state(file)?;
        Ok(Self {
            ui: ui.clone(),
            mode,
            file: file.to_path_buf(),
            state,
            bars: RefCell::default(),
            folders: RefCell::default(),
            detached,
        })
    }

    /// Makes the run's folder and its sinks.
    pub(crate) fn open(&self, plan: &Plan, run: &RunId) -> Result<(RunDir, Vec<Box<dyn Sink>>), CliError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = RunRecord {
            run: run.clone(),
            experiment: plan.experiment.name.clone(),
            spec: plan.experiment.spec.clone(),
            id: plan.experiment.id.clone(),
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            pid: std::process::id(),
            started_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        };
        let folder = self.state.create_run(&record)?;
        if let Err(error) = self.refuse_second(&record) {
            folder.discard()?;
            return Err(error);
        }
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(EventsFile::create(&folder)?)];
        if self.detached {
            let log = folder.path().join("combu.log");
            self.ui
                .redirect(&log)
                .map_err(|error| CliError::new(exit::INTERNAL, format!("{}: {error}", log.display())))?;
        }
        match self.mode {
            ProgressMode::Bar => {
                let bars = self.bars.borrow_mut().get_or_insert_with(|| Progress::stderr(*self.ui.err())).clone();
                // A terminal that bars cannot be drawn on, such as TERM=dumb, gets lines.
                sinks.push(if bars.is_hidden() { self.lines() } else { Box::new(bars) });
            }
            ProgressMode::Plain | ProgressMode::Auto => sinks.push(self.lines()),
            ProgressMode::Json => sinks.push(Box::new(Json::new(self.ui.stdout()))),
            ProgressMode::None => {}
        }
        self.folders.borrow_mut().insert(run.clone(), folder.path().to_path_buf());
        Ok((folder, sinks))
    }

    fn lines(&self) -> Box<dyn Sink> {
        Box::new(Plain::new(self.ui.stderr(), *self.ui.err()))
    }

    /// Refuses a run while another process runs the same experiment. Both have said that they live before they look, so
    /// of two that start at once the later one goes.
    fn refuse_second(&self, record: &RunRecord) -> Result<(), CliError> {
        let rank = |record: &RunRecord| (record.started_ms, record.run.clone());
        let same = |other: &RunRecord| {
            other.spec == record.spec && other.experiment == record.experiment && other.pid != record.pid
        };
        let runs = self.state.live_runs()?.runs;
        match runs.iter().map(|live| &live.record).find(|other| same(other) && rank(other) < rank(record)) {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "the experiment `{}` is running: run {}, process {}",
                    other.experiment, other.run, other.pid
                );
                let hint = format!("wait for it, or end it with `combu -f {} kill`", shown(&record.spec));
                Err(CliError::new(exit::USAGE, message).hint(hint))
            }
        }
    }

    /// Prints the final report of a run.
    pub(crate) fn close(&self, result: &Summary) {
        let folders = self.folders.borrow();
        let folder = result.run.as_ref().and_then(|run| folders.get(run)).map(PathBuf::as_path);
        if let Some(bars) = self.bars.borrow_mut().take() {
            bars.finish();
        }
        if matches!(self.mode, ProgressMode::Json | ProgressMode::None) {
            return;
        }
        let kill = format!("combu -f {} kill", shown(&self.file));
        let kept = result.results.iter().any(|result| {
            result.trial.image.is_some()
                && result.logs.is_some()
                && result.outcome().is_some_and(|end| !end.is_success())
        });
        let next = Next { folder, kill: kept.then_some(kill.as_str()) };
        self.ui.message(&summary(result, &next, self.ui.err()));
    }

    /// Writes above the bars.
    fn above_bars(&self, mut write: impl FnMut()) {
        match self.bars.borrow().as_ref() {
            Some(bars) => bars.suspend(&mut write),
            None => write(),
        }
    }
}

impl Stage for Terminal {
    fn open(&self, plan: &Plan, run: &RunId) -> Result<Opened, String> {
        let (folder, sinks) = Self::open(self, plan, run).map_err(|error| error.message)?;
        Ok(Opened { folder: Some(folder.path().to_path_buf()), sinks, keep: Box::new(folder) })
    }

    fn print(&self, text: &str) {
        self.above_bars(|| self.ui.result(text));
    }

    fn debug(&self, place: &str, text: &str) {
        self.above_bars(|| self.ui.message(&format!("{place}: {text}")));
    }

    fn closed(&self, summary: &Summary) {
        self.close(summary);
    }

    fn live_kill(&self, spec: &Path) -> Result<Vec<String>, String> {
        end_live_runs(&self.state, spec, POLITE).map_err(|error| error.message)
    }
}

/// The state folder that belongs to a spec or script: the nearest `.combu/` above it; else a new one in the working
/// folder where that is above the file, else beside the file.
pub(crate) fn state(file: &Path) -> Result<StateDir, CliError> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let working = std::env::current_dir().ok().filter(|working| folder.starts_with(working));
    let fixed = std::env::var_os("COMBU_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    Ok(StateDir::locate(&folder, working.as_deref(), fixed.as_deref())?)
}

/// Asks every other combu that runs the spec to end, twice if need be, and waits for it.
pub(crate) fn end_live_runs(state: &StateDir, spec: &Path, polite: Duration) -> Result<Vec<String>, CliError> {
    let mut ended = Vec::new();
    for live in state.live_runs()?.runs {
        if live.record.spec != spec || live.record.pid == std::process::id() {
            continue;
        }
        if !live.is_here {
            return Err(CliError::new(
                exit::USAGE,
                format!("run {} of this spec lives on another machine or in a container", live.record.run),
            )
            .hint("end it there"));
        }
        terminate(&live);
        if !live.wait_end(polite) {
            terminate(&live);
            if !live.wait_end(IMPATIENT) {
                let (run, pid) = (&live.record.run, live.record.pid);
                return Err(CliError::new(exit::INTERNAL, format!("run {run} (process {pid}) does not end")));
            }
        }
        ended.push(live.record.run.to_string());
    }
    Ok(ended)
}

fn terminate(live: &LiveRun) {
    let pid = i32::try_from(live.record.pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may end by itself just now; the wait that follows tells.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
