//! The stage of a run: its folder, and the sinks that store and show it, for `run` and scripts alike.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cli::args::ProgressMode;
use crate::cli::before::unchanged;
use crate::cli::context::{here, real, state};
use crate::cli::control::process::end_live_runs;
use crate::cli::control::server::Control;
use crate::cli::ends::last_ends;
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::stage::saving::{Unsaved, save};
use crate::cli::stage::{on_end, provenance};
use crate::cli::ui::Ui;
use crate::cli::which::last;
use crate::engine::Found;
use crate::model::event::{Event, Journal, Sink};
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::script::ScriptEntry;
use crate::model::shell::quoted;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::plan::Plan;
use crate::plan::identity::Triggers;
use crate::report::style::clean;
use crate::report::{Json, NextCommands, Plain, summary};
use crate::run::session::live::Commands;
use crate::run::session::{Prepared, Session, new_id};
use crate::script::{EarlierRun, Opened, ScriptStage};
use crate::spec::Sources;
use crate::store::{
    Kinds, LiveRun, PastRun, RunDir, RunRecord, ScriptHead, ScriptMark, ScriptRecord, StateDir, StoreError,
};

/// The shortest time between two lines about one pull.
const PULL_EVERY: Duration = Duration::from_secs(10);

/// The stage on this terminal.
pub(crate) struct Terminal {
    ui: Ui,
    mode: ProgressMode,
    /// The spec or script.
    file: PathBuf,
    state: StateDir,
    /// The error that lost something a script printed.
    lost: RefCell<Option<std::io::Error>>,
    /// The error that lost events on stdout.
    events_lost: Arc<Mutex<Option<std::io::Error>>>,
    /// The folders of the runs so far, and how to remove what they leave.
    opened: RefCell<HashMap<RunId, (PathBuf, String)>>,
    /// The session in which control sockets are served.
    session: Session,
    sources: Sources,
    /// Writes down the provenance of the run that is being started.
    noted: RefCell<Option<ProvenanceNote>>,
    /// Provenances that are being written.
    notes: RefCell<Vec<JoinHandle<Result<(), StoreError>>>>,
    /// The script that starts the runs, if one does, and its mark from its first run on.
    script: Option<ScriptRecord>,
    mark: RefCell<Option<ScriptMark>>,
    /// The words behind the script, and what it was told before its first run.
    args: Vec<String>,
    entries: RefCell<Vec<ScriptEntry>>,
    /// Whether everything that the script was told is kept.
    is_kept: Cell<bool>,
    /// The runs that the script began before it died.
    earlier: HashMap<RunId, PastRun>,
    /// What trials told in runs whose results are taken over.
    told: RefCell<HashMap<RunId, HashMap<Name, Vec<Event>>>>,
    /// The last run that was opened for a script, until it has started.
    starting: RefCell<(Weak<RunDir>, Weak<Control>)>,
    /// Whether others are told of the ends of runs.
    tells_ends: bool,
    /// Whether a script printed something.
    has_printed: Cell<bool>,
}

/// Writes down where and from what a run was started.
type ProvenanceNote = Box<dyn FnOnce() -> Result<(), StoreError> + Send>;

/// A run's folder, journal and sinks, before it starts.
pub(crate) struct OpenRun {
    pub(crate) folder: RunDir,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    pub(crate) control: Control,
}

impl Terminal {
    pub(crate) fn new(
        ui: &Ui,
        mode: ProgressMode,
        file: &Path,
        detached: bool,
        session: &Session,
        sources: &Sources,
    ) -> Result<Self, CliError> {
        let mode = match mode {
            ProgressMode::Auto if ui.has_terminal() && !detached && !Ui::is_watched_later() => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Plain,
            mode => mode,
        };
        let state = state(file)?;
        if let Some(above) = state.passed_over() {
            let above = above.display();
            ui.message(&format!("note: the runs in `{above}` are not of this project; COMBU_DIR={above} uses it"));
        }
        Ok(Self { tells_ends: true, ..Self::keeping(ui, mode, file, session, sources, state) })
    }

    /// The stage whose runs are kept in that state folder.
    pub(crate) fn keeping(
        ui: &Ui,
        mode: ProgressMode,
        file: &Path,
        session: &Session,
        sources: &Sources,
        state: StateDir,
    ) -> Self {
        Self {
            ui: ui.clone(),
            mode,
            file: file.to_path_buf(),
            state,
            lost: RefCell::default(),
            events_lost: Arc::default(),
            opened: RefCell::default(),
            session: session.clone(),
            sources: sources.clone(),
            noted: RefCell::default(),
            notes: RefCell::default(),
            script: None,
            mark: RefCell::default(),
            args: Vec::new(),
            entries: RefCell::default(),
            is_kept: Cell::new(true),
            earlier: HashMap::new(),
            told: RefCell::default(),
            starting: RefCell::default(),
            tells_ends: false,
            has_printed: Cell::default(),
        }
    }

    /// The stage of a script with those arguments.
    pub(crate) fn of_script(self, args: &[String]) -> Result<Self, CliError> {
        let file = real(&self.file)?.display().to_string();
        Ok(Self { script: Some(ScriptRecord { file, id: new_id() }), args: args.to_vec(), ..self })
    }

    /// The stage of a script that died and is gone on with.
    pub(crate) fn of_dead_script(self, script: ScriptRecord, mark: ScriptMark) -> Result<Self, CliError> {
        let runs = self.state.past_runs()?.runs.into_iter();
        let is_its = |run: &PastRun| run.record.script.as_ref().is_some_and(|one| one.id == script.id);
        let earlier = runs.filter(is_its).map(|run| (run.record.run.clone(), run)).collect();
        Ok(Self { script: Some(script), mark: RefCell::new(Some(mark)), earlier, ..self })
    }

    /// A run that is recorded.
    fn run(&self, run: &RunId) -> Result<Option<PastRun>, StoreError> {
        Ok(self.state.past_runs()?.runs.into_iter().find(|past| past.record.run == *run))
    }

    /// Marks the script as alive, with what it was told so far.
    fn mark(&self, script: &ScriptRecord, command: &[String], began_ms: u64) -> Result<(), StoreError> {
        let sources = self.sources.all().into_iter().map(|(path, text)| (path.display().to_string(), text)).collect();
        let head = ScriptHead {
            file: script.file.clone(),
            folder: std::env::current_dir().unwrap_or_default().display().to_string(),
            command: command.to_vec(),
            args: self.args.clone(),
            began_ms,
            sources,
        };
        let mut mark = self.state.mark_script(&script.id, &head)?;
        mark.keep(&self.entries.take())?;
        self.mark.replace(Some(mark));
        Ok(())
    }

    /// The script came to its end. One that did nothing to be seen is told so.
    pub(crate) fn end_script(&self) -> Result<(), CliError> {
        if self.mark.borrow().is_none() && !self.has_printed.get() {
            self.ui.message(&format!(
                "the script {} has ended: it started no run and printed nothing",
                self.file.display()
            ));
        }
        Ok(self.mark.take().map_or(Ok(()), ScriptMark::end)?)
    }

    /// Saves what ended containers hold that a run would replace, and pulls the images that it needs.
    ///
    /// # Errors
    /// When one holds something that cannot be saved, or an image cannot be had: nothing is to be started then.
    pub(crate) fn make_way(
        &self,
        prepared: &Prepared,
        run: &RunId,
        reused: &BTreeMap<Name, RunId>,
    ) -> Result<(), CliError> {
        let finished = &self.session.survey(prepared)?.finished;
        let obstacles = &self.session.survey(prepared)?.obstacles;
        let unsaved = save(&self.session, &self.state, finished, &self.ui)?;
        if unsaved.is_empty() {
            // What stands in the way is told first, and pulls nothing.
            let is_over = |trial: &Name| reused.contains_key(trial);
            let is_free = obstacles.iter().all(|obstacle| obstacle.trial().is_some_and(is_over));
            if is_free {
                let told = Mutex::default();
                let (ui, is_silent) = (&self.ui, self.mode == ProgressMode::None);
                self.session.fetch_images(prepared, run, is_over, &|object, state| {
                    if !is_silent && is_due(&told, object, state) {
                        ui.above_bars(|| ui.message(&format!("{}: {}", clean(object), clean(state))));
                    }
                })?;
            }
            return Ok(());
        }
        let message = "ended containers stand in the way that hold what is kept nowhere else; nothing was started";
        let kill = self.kill_command(&real(&self.file)?);
        Err(Unsaved::error(&unsaved, message)
            .hint(format!("`docker logs` and `docker cp` get it out of them; `{kill} --discard` removes them")))
    }

    /// Makes the run's folder and its sinks.
    pub(crate) fn open(&self, plan: &Plan, run: &RunId, repeats: Option<RunId>) -> Result<OpenRun, CliError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = RunRecord {
            run: run.clone(),
            experiment: plan.experiment.name.clone(),
            spec: plan.experiment.spec.clone(),
            id: plan.experiment.id.clone(),
            command: on_end::without_secrets(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
            pid: std::process::id(),
            started_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            script: self.script.clone(),
            repeats,
        };
        if let Some(script) = &self.script
            && self.mark.borrow().is_none()
        {
            self.mark(script, &record.command, record.started_ms)?;
        }
        // First what may fail: a run that cannot be kept leaves no folder.
        let journal = self.state.journal(&record)?;
        let folder = self.create(&record)?;
        self.note(plan, &folder);
        if self.tells_ends {
            on_end::warn(&plan.experiment.options, &self.ui);
        }
        Ok(self.set_up(&record, folder, Box::new(journal)))
    }

    /// Writes down where and from what the run is started, beside the run: git may take its time.
    fn note(&self, plan: &Plan, run: &RunDir) {
        let engines = plan.engines().into_iter().filter_map(|name| self.session.engine(name).ok());
        let engines = engines.map(|engine| engine.capabilities().description.clone()).collect();
        let folder = plan.experiment.spec.parent().unwrap_or(Path::new("/")).to_owned();
        let (sources, run) = (self.sources.clone(), run.path().to_owned());
        // Once it has started: a run that could not be started leaves nothing.
        self.noted.replace(Some(Box::new(move || provenance::look(&folder, engines, &sources).write(&run))));
    }

    /// Takes the folder of a run whose process is gone, and makes its sinks.
    pub(crate) fn reopen(&self, run: &PastRun) -> Result<OpenRun, CliError> {
        let record = RunRecord { pid: std::process::id(), ..run.record.clone() };
        let journal = Box::new(self.state.journal(&record)?);
        let folder = self.state.reopen_run(&record, |live| is_same(live, &record));
        Ok(self.set_up(&record, folder.map_err(|error| self.refusal(error, &record))?, journal))
    }

    fn set_up(&self, record: &RunRecord, folder: RunDir, journal: Box<dyn Journal>) -> OpenRun {
        let control = Control::default();
        let mut sinks: Vec<Box<dyn Sink>> = vec![control.sink()];
        match self.mode {
            ProgressMode::Bar if self.ui.has_terminal() => {
                sinks.push(Box::new(self.ui.bars()));
            }
            // A place that bars cannot be drawn on, such as a terminal with TERM=dumb, gets lines.
            ProgressMode::Bar | ProgressMode::Plain | ProgressMode::Auto => sinks.push(self.lines()),
            ProgressMode::Json => {
                let out = Watched { out: self.ui.stdout(), failed: self.events_lost.clone() };
                sinks.push(Box::new(Json::new(Box::new(out))));
            }
            ProgressMode::None => {}
        }
        let kill = self.kill_command(&record.spec);
        self.opened.borrow_mut().insert(record.run.clone(), (folder.path().to_path_buf(), kill));
        OpenRun { folder, journal, sinks, control }
    }

    /// Lets other processes reach a run that has started, and notes what it was started from.
    pub(crate) fn listen(&self, control: &Control, folder: &RunDir, commands: &Commands) {
        self.notes.borrow_mut().extend(self.noted.take().map(std::thread::spawn));
        if let Err(error) = control.listen(folder.path(), self.session.tokio(), commands.clone()) {
            let folder = folder.path().display();
            self.ui.above_bars(|| {
                self.ui.warn(&format!(
                    "`{folder}` holds no socket, so `combu set` and `combu why` cannot reach this run: {error}"
                ));
            });
        }
    }

    fn opened_for_script(&self, opened: OpenRun) -> Opened {
        let OpenRun { folder, journal, sinks, control } = opened;
        let (folder, control) = (Rc::new(folder), Rc::new(control));
        self.starting.replace((Rc::downgrade(&folder), Rc::downgrade(&control)));
        // First the socket goes, then the lock.
        let path = Some(folder.path().to_path_buf());
        Opened { folder: path, journal, sinks, keep: Box::new((control, folder)) }
    }

    fn lines(&self) -> Box<dyn Sink> {
        Box::new(Plain::new(self.ui.stderr(), *self.ui.err()).with_heartbeat())
    }

    /// Lets everything for stderr go to a log in the run's folder from now on; returns its path.
    pub(crate) fn redirect(&self, folder: &RunDir) -> Result<PathBuf, CliError> {
        let log = folder.path().join("combu.log");
        match self.ui.redirect(&log) {
            Ok(()) => Ok(log),
            Err(error) => Err(CliError::new(exit::INTERNAL, format!("{}: {error}", log.display()))),
        }
    }

    /// Makes the run's folder, unless another process runs the same experiment.
    fn create(&self, record: &RunRecord) -> Result<RunDir, CliError> {
        self.state.create_run(record, |live| is_same(live, record)).map_err(|error| self.refusal(error, record))
    }

    fn refusal(&self, error: StoreError, record: &RunRecord) -> CliError {
        match error {
            StoreError::Refused { .. } => CliError::new(exit::USAGE, error.to_string())
                .hint(format!("wait for it, or end it with `{}`", self.kill_command(&record.spec))),
            error => error.into(),
        }
    }

    /// The file as the user wrote it, where that is what the run is known by; a script may have loaded another.
    fn kill_command(&self, spec: &Path) -> String {
        let is_given = real(&self.file).is_ok_and(|real| real == spec);
        kill_command(if is_given { &self.file } else { spec })
    }

    /// Prints the final report of a run.
    pub(crate) fn close(&self, result: &Summary) {
        for note in self.notes.take() {
            if let Ok(Err(error)) = note.join() {
                self.ui.above_bars(|| self.ui.warn(&format!("what the run was started from is not recorded: {error}")));
            }
        }
        let opened = self.opened.borrow();
        let opened = result.run.as_ref().and_then(|run| opened.get(run));
        self.ui.finish_bars();
        if matches!(self.mode, ProgressMode::Json | ProgressMode::None) {
            return;
        }
        let kept = result.results.iter().any(|result| {
            result.trial.image.is_some() && result.logs.is_some() && result.outcome().is_some_and(|end| !end.is_fine())
        });
        let (combu, is_last) = self.commands_of(result);
        let next = NextCommands {
            folder: opened.map(|(folder, _)| folder.as_path()),
            kill: opened.filter(|_| kept).map(|(_, kill)| kill.as_str()),
            combu: opened.map(|_| combu.as_str()),
            run: result.run.as_ref().filter(|_| !is_last).map(RunId::as_str),
        };
        self.ui.message(&summary(result, &next, self.ui.err()));
    }

    /// Tells whoever is to be told that a run has ended.
    pub(crate) fn tell_end(&self, result: &Summary) {
        if self.tells_ends {
            let opened = self.opened.borrow();
            let opened = result.run.as_ref().and_then(|run| opened.get(run));
            on_end::tell(result, opened.map(|(folder, _)| folder.as_path()), &self.session, &self.ui);
        }
    }

    /// How commands about a run begin here, and whether it is the last, which they mean where they name none.
    fn commands_of(&self, result: &Summary) -> (String, bool) {
        let is_here = here().is_ok_and(|here| here.path() == self.state.path());
        let runs = self.state.past_runs().map(|past| past.runs).unwrap_or_default();
        let of_run = |run: &PastRun| Some(&run.record.run) == result.run.as_ref();
        let is_last = |runs: &[PastRun]| last(runs).is_some_and(|place| of_run(&runs[place]));
        match runs.iter().find(|run| of_run(run)) {
            Some(run) if !is_here => {
                let spec = &run.record.spec;
                let of_spec: Vec<PastRun> = runs.iter().filter(|run| run.record.spec == *spec).cloned().collect();
                let is_last = is_last(&of_spec);
                let given = if real(&self.file).is_ok_and(|real| real == *spec) { &self.file } else { spec };
                (format!("combu -f {}", quoted(&given.to_string_lossy())), is_last)
            }
            _ => ("combu".to_owned(), is_last(&runs)),
        }
    }

    /// The error that lost events, or something a script printed, if any did.
    pub(crate) fn lost(&self) -> Option<std::io::Error> {
        let events = self.events_lost.lock().expect("no code panics while it holds the lock").take();
        self.lost.borrow_mut().take().or(events)
    }
}

impl ScriptStage for Terminal {
    fn reusable(&self, plan: &Plan, digests: &BTreeMap<String, String>) -> Result<BTreeMap<Name, RunId>, String> {
        let experiment = &plan.experiment;
        let read = || -> Result<_, StoreError> {
            let mut before = Vec::new();
            for run in self.state.past_runs()?.runs {
                if run.record.spec == experiment.spec
                    && run.record.experiment == experiment.name
                    && !run.is_rehearsal()?
                {
                    before.push(run.history(Kinds::WITHOUT_RECORDS)?);
                }
            }
            Ok(before)
        };
        let before = read().map_err(|error| CliError::from(error).message)?;
        // Where nobody says a seed, each run has another, which means nothing.
        let (seed, triggers) = match experiment.options.seed {
            Some(seed) => (seed, Triggers::default()),
            None => (0, Triggers::without_seed()),
        };
        Ok(unchanged(plan, digests, seed, &before, &triggers))
    }

    fn told(&self, run: &RunId, trial: &Name) -> Result<Vec<Event>, String> {
        let mut known = self.told.borrow_mut();
        if !known.contains_key(run) {
            let read = || self.run(run)?.map_or(Ok(HashMap::new()), |past| past.last_attempts());
            known.insert(run.clone(), read().map_err(|error: StoreError| CliError::from(error).message)?);
        }
        Ok(known[run].get(trial).cloned().unwrap_or_default())
    }

    fn history(&self, experiment: Option<&str>) -> Result<Vec<RunId>, String> {
        let own = self.script.as_ref();
        let is_meant = |run: &PastRun| match experiment {
            Some(name) => run.record.experiment == name,
            None => run.record.script.as_ref().map(|script| &script.file) == own.map(|script| &script.file),
        };
        let is_of_now =
            |run: &PastRun| run.record.script.as_ref().map(|script| &script.id) == own.map(|script| &script.id);
        let read = || -> Result<_, StoreError> {
            let mut runs = Vec::new();
            for run in self.state.past_runs()?.runs.into_iter().rev().filter(|run| is_meant(run) && !is_of_now(run)) {
                if run.has_ended()? && !run.is_rehearsal()? {
                    runs.push(run.record.run);
                }
            }
            Ok(runs)
        };
        read().map_err(|error| CliError::from(error).message)
    }

    fn recorded(&self, run: &RunId) -> Result<Option<EarlierRun>, String> {
        let past = self.run(run).map_err(|error| CliError::from(error).message)?;
        past.as_ref().map(events_of).transpose()
    }

    fn open(&self, prepared: &Prepared, run: &RunId, reused: &BTreeMap<Name, RunId>) -> Result<Opened, String> {
        let opened = self.make_way(prepared, run, reused).and_then(|()| Self::open(self, &prepared.plan, run, None));
        Ok(self.opened_for_script(opened.map_err(|error| error.in_a_line())?))
    }

    fn discard(&self, opened: Opened) -> Result<(), String> {
        let (folder, _control) = self.starting.take();
        let folder = folder.upgrade();
        drop(opened);
        let folder = folder.and_then(Rc::into_inner);
        folder.map_or(Ok(()), RunDir::discard).map_err(|error| CliError::from(error).message)
    }

    fn keep_entry(&self, entry: &ScriptEntry) {
        if !self.is_kept.get() {
            return;
        }
        match &mut *self.mark.borrow_mut() {
            None => self.entries.borrow_mut().push(entry.clone()),
            Some(mark) => {
                if let Err(error) = mark.keep(std::slice::from_ref(entry)) {
                    self.is_kept.set(false);
                    let stays = mark.give_up().err().map(|error| format!("; {error}")).unwrap_or_default();
                    let error = format!("{}{stays}", CliError::from(error).message);
                    self.ui.above_bars(|| {
                        self.ui
                            .warn(&format!("`--resume` cannot go on with this script if it dies from now on: {error}"));
                    });
                }
            }
        }
    }

    fn forget_entries(&self, count: usize) {
        if let Some(Err(error)) = self.mark.borrow_mut().as_mut().map(|mark| mark.keep_first(count)) {
            self.is_kept.set(false);
            let message = CliError::from(error).message;
            self.ui.above_bars(|| self.ui.warn(&message));
        }
    }

    fn say(&self, message: &str) {
        self.ui.above_bars(|| self.ui.message(message));
    }

    fn earlier(&self, run: &RunId) -> Result<Option<EarlierRun>, String> {
        self.earlier.get(run).map(events_of).transpose()
    }

    fn reopen(&self, run: &RunId) -> Result<Opened, String> {
        let past = self.earlier.get(run).ok_or_else(|| format!("run {run} is not recorded"))?;
        let opened = Self::reopen(self, past).map_err(|error| error.in_a_line())?;
        Ok(self.opened_for_script(opened))
    }

    fn save(&self, found: &[Found]) -> Result<Vec<Found>, String> {
        let unsaved = save(&self.session, &self.state, found, &self.ui).map_err(|error| error.message)?;
        Ok(unsaved.into_iter().map(|one| one.found).collect())
    }

    fn started(&self, _run: &RunId, commands: &Commands) {
        let (folder, control) = self.starting.take();
        if let (Some(folder), Some(control)) = (folder.upgrade(), control.upgrade()) {
            self.listen(&control, &folder, commands);
        }
    }

    fn last_ends(&self, of: (&Path, &str, &str), trials: &[Arc<Trial>]) -> Result<HashMap<Name, Outcome>, String> {
        last_ends(&self.state, of, trials).map_err(|error| CliError::from(error).message)
    }

    fn print(&self, text: &str) {
        self.has_printed.set(true);
        self.ui.above_bars(|| {
            if let Err(error) = self.ui.result(text) {
                self.lost.borrow_mut().get_or_insert(error);
            }
        });
    }

    fn debug(&self, place: &str, text: &str) {
        self.ui.above_bars(|| self.ui.message(&format!("{place}: {text}")));
    }

    fn closed(&self, summary: &Summary) {
        self.close(summary);
        self.tell_end(summary);
    }

    fn live_kill(&self, spec: &Path) -> Result<Vec<String>, String> {
        end_live_runs(&self.state, |live| live.record.spec == spec, None).map_err(|error| error.message)
    }
}

fn events_of(past: &PastRun) -> Result<EarlierRun, String> {
    let events = past.events().map_err(|error| CliError::from(error).message)?;
    Ok(EarlierRun { events, spec: past.record.spec.clone(), id: past.record.id.clone() })
}

/// Whether a state of a pull is to be told: that it begins and ends, and now and then between.
fn is_due(told: &Mutex<HashMap<String, Instant>>, object: &str, state: &str) -> bool {
    let mut told = told.lock().expect("no code panics while it holds the lock");
    let is_due = told.get(object).is_none_or(|last| last.elapsed() > PULL_EVERY) || !state.starts_with("pulling");
    if is_due {
        told.insert(object.to_owned(), Instant::now());
    }
    is_due
}

/// A writer whose first error is remembered; a reader that is gone is none: `combu run --progress json | head`.
struct Watched {
    out: Box<dyn Write + Send>,
    failed: Arc<Mutex<Option<std::io::Error>>>,
}

impl Watched {
    fn note<T>(&self, written: std::io::Result<T>) -> std::io::Result<T> {
        written.inspect_err(|error| {
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                let mut failed = self.failed.lock().expect("no code panics while it holds the lock");
                failed.get_or_insert_with(|| std::io::Error::new(error.kind(), error.to_string()));
            }
        })
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}

/// True where a live run of another process is of the same experiment.
fn is_same(live: &LiveRun, record: &RunRecord) -> bool {
    let is_own = live.is_here && live.record.pid == record.pid;
    !is_own && live.record.spec == record.spec && live.record.experiment == record.experiment
}
