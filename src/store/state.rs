//! The state folder itself: where it is, and which runs in it are alive.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::files::create_folder;
use crate::store::folder::RunDir;
use crate::store::history::PastRun;
use crate::store::journal::EventLog;
use crate::store::location::Location;
use crate::store::lock::hold;
use crate::store::place::make;
use crate::store::run::{LiveRun, RunRecord, is_locked};
use crate::store::script::{self, DeadScript, ScriptHead, ScriptMark};

/// Name of the state folder.
const FOLDER: &str = ".combu";

/// A state folder, which exists from its first use on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
    /// Whether the user named it (`COMBU_DIR`), and so trusts whoever owns it.
    is_named: bool,
    above: Option<PathBuf>,
    location: Location,
}

/// Where a state folder is looked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search<'a> {
    /// Where it is made if there is none, instead of where the search begins.
    pub otherwise: Option<&'a Path>,
    /// The folder that the user named (`COMBU_DIR`).
    pub named: Option<&'a Path>,
    /// The user's home, whose state folder is not that of everything below it.
    pub home: Option<&'a Path>,
}

/// The runs that are alive, and what could not be told.
#[derive(Debug, Default)]
pub struct LiveRuns {
    /// Runs whose process lives.
    pub runs: Vec<LiveRun>,
    /// Sentences about runs that live but whose record cannot be read.
    pub warnings: Vec<String>,
}

/// The runs that were recorded, and what could not be told.
#[derive(Debug, Default)]
pub struct PastRuns {
    /// Runs, the last started first; those that are alive are among them.
    pub runs: Vec<PastRun>,
    /// Sentences about runs whose record cannot be read.
    pub warnings: Vec<String>,
}

impl StateDir {
    /// The state folder for work in `from`: the named one, else the nearest `.combu` from `from` upwards to the root of the
    /// repository (the folder with a `.git`), else `.combu` in `otherwise`, else in `from`. That of the home folder counts
    /// only for work in the home folder itself. Creates nothing.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`], and [`StoreError::Read`] where a folder on the way cannot be looked into.
    pub fn locate(from: &Path, search: Search<'_>) -> Result<Self, StoreError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })
        };
        if let Some(named) = search.named {
            let path = absolute(named)?;
            is_folder(&path)?;
            return Ok(Self::at(path, true, None));
        }
        let from = absolute(from)?;
        let (mut is_inside, mut above) = (true, None);
        for folder in from.ancestors() {
            let path = folder.join(FOLDER);
            let is_another = folder != from && search.home == Some(folder);
            match is_folder(&path) {
                Ok(true) if is_inside && !is_another => return Ok(Self::at(path, false, None)),
                Ok(true) => _ = above.get_or_insert(path),
                Ok(false) => {}
                Err(error) if is_inside => return Err(error),
                // Nobody asked for it.
                Err(_) => break,
            }
            is_inside &= !folder.join(".git").exists();
        }
        Ok(Self::at(absolute(search.otherwise.unwrap_or(&from))?.join(FOLDER), false, above))
    }

    fn at(path: PathBuf, is_named: bool, above: Option<PathBuf>) -> Self {
        let location = Location::of(&path);
        Self { path, is_named, above, location }
    }

    /// A state folder that an earlier combu would have used: it lies above the repository, or in the home folder. Absent
    /// once this one exists.
    pub fn passed_over(&self) -> Option<&Path> {
        self.above.as_deref().filter(|_| !self.path.exists())
    }

    /// Whether this user may start, signal and write what the folder says: it is theirs, it is shared with a group of
    /// theirs, or they named it; and it is no copy of a folder that is still there, whose runs it would take for its own.
    ///
    /// # Errors
    /// [`StoreError::Foreign`]: what is written in it would be run as this user. [`StoreError::Copy`].
    pub fn check_owner(&self) -> Result<(), StoreError> {
        self.check_original()?;
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(StoreError::Read { path: self.path.clone(), source }),
        };
        let groups = rustix::process::getgroups().unwrap_or_default();
        let is_of_group =
            |gid| rustix::process::getegid().as_raw() == gid || groups.iter().any(|one| one.as_raw() == gid);
        let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
        if self.is_named || is_own || (metadata.mode() & 0o020 != 0 && is_of_group(metadata.gid())) {
            return Ok(());
        }
        Err(StoreError::Foreign { path: self.path.clone(), owner: metadata.uid() })
    }

    /// Whether the folder is no copy of one that is still there.
    ///
    /// # Errors
    /// [`StoreError::Copy`]: the runs that it knows are the original's.
    pub fn check_original(&self) -> Result<(), StoreError> {
        match self.location.original.clone() {
            Some(original) => Err(StoreError::Copy { path: self.path.clone(), original }),
            None => Ok(()),
        }
    }

    /// Absolute path of the folder, which need not exist yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder of a run, records the run, and marks it alive for as long as the returned value lives; unless
    /// one of the live runs forbids it, as `refuse` says. Of two that forbid each other one is made, whoever asks when.
    ///
    /// # Errors
    /// [`StoreError::Refused`], [`StoreError::RunExists`], and when something cannot be read, written or locked.
    pub fn create_run(&self, record: &RunRecord, refuse: impl Fn(&LiveRun) -> bool) -> Result<RunDir, StoreError> {
        self.create()?;
        let runs = self.runs();
        match create_folder(&runs) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Write { path: runs, source });
            }
            _ => {}
        }
        let _one_at_a_time = self.lock()?;
        if let Some(live) = self.live_runs()?.runs.into_iter().find(refuse) {
            return Err(StoreError::Refused { by: Box::new(live) });
        }
        RunDir::create(runs.join(record.run.as_str()), record)
    }

    /// Goes on with a run that was recorded: alive again for as long as the returned value lives. Its record is written
    /// anew, with this process in it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it is alive, or a live run forbids it as `refuse` says; and when something cannot be
    /// read, written or locked.
    pub fn reopen_run(&self, record: &RunRecord, refuse: impl Fn(&LiveRun) -> bool) -> Result<RunDir, StoreError> {
        self.check_owner()?;
        let _one_at_a_time = self.lock()?;
        let forbids = |live: &LiveRun| live.record.run == record.run || refuse(live);
        if let Some(live) = self.live_runs()?.runs.into_iter().find(forbids) {
            return Err(StoreError::Refused { by: Box::new(live) });
        }
        RunDir::reopen(self.runs().join(record.run.as_str()), record)
    }

    /// Marks a script as alive for as long as the returned value lives, and as dead after that unless it ended.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark_script(&self, id: &str, head: &ScriptHead) -> Result<ScriptMark, StoreError> {
        self.create()?;
        ScriptMark::create(&self.path, id, head)
    }

    /// The scripts that died and can be gone on with, the last begun first, by the names of their marks. Their files are where
    /// they lie now, also after the project was moved.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn dead_scripts(&self) -> Result<Vec<(String, ScriptHead)>, StoreError> {
        let mut dead = script::dead(&self.path)?;
        for (_, head) in &mut dead {
            head.file = self.location.today(PathBuf::from(&head.file)).display().to_string();
        }
        Ok(dead)
    }

    /// Takes up the record of a script that died; absent where another process has.
    ///
    /// # Errors
    /// When it cannot be read or locked.
    pub fn take_up_script(&self, id: &str) -> Result<Option<DeadScript>, StoreError> {
        self.check_owner()?;
        ScriptMark::reopen(&self.path, id)
    }

    /// What keeps the events of a run.
    ///
    /// # Errors
    /// When the database cannot be opened or made; see [`StoreError`].
    pub fn journal(&self, record: &RunRecord) -> Result<EventLog, StoreError> {
        self.create()?;
        Ok(EventLog::new(Database::open(&self.path)?, self.path.clone(), record.clone()))
    }

    /// Forgets a run that has ended: its events, and its folder with everything in it.
    ///
    /// # Errors
    /// When something of it cannot be removed. Its folder goes last, so that it can be tried again.
    pub fn forget(&self, run: &PastRun) -> Result<(), StoreError> {
        self.check_owner()?;
        if let Some(_there) = Database::look(&self.path)? {
            Database::open(&self.path)?.forget(&run.record.run)?;
        }
        fs::remove_dir_all(&run.path).map_err(|source| StoreError::Write { path: run.path.clone(), source })?;
        let Some(script) = &run.record.script else { return Ok(()) };
        let others = self.past_runs()?.runs;
        let is_its = |other: &PastRun| other.record.script.as_ref() == Some(script);
        if others.iter().any(is_its) { Ok(()) } else { script.forget(&self.path) }
    }

    /// Gives the disk what forgotten events took, unless a run is alive: it writes.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn shrink(&self) -> Result<(), StoreError> {
        if self.live_runs()?.runs.is_empty() && Database::look(&self.path)?.is_some() {
            Database::open(&self.path)?.shrink()?;
        }
        Ok(())
    }

    /// Waits for whoever else makes a run, and keeps others from it for as long as the returned file is open.
    fn lock(&self) -> Result<File, StoreError> {
        hold(self.path.join("lock"))
    }

    /// The runs whose process lives now, on this machine or another that shares the folder.
    ///
    /// # Errors
    /// When the folder cannot be read. A single record that cannot be read is a warning.
    pub fn live_runs(&self) -> Result<LiveRuns, StoreError> {
        let mut live = LiveRuns::default();
        for path in self.folders()? {
            match is_locked(&path) {
                Ok(false) => {}
                Ok(true) => match self.read(path.clone()) {
                    Ok(run) => live.runs.push(run),
                    Err(error) => {
                        live.warnings.push(format!("a run is alive in `{}`, but which: {error}", path.display()));
                    }
                },
                Err(error) => {
                    live.warnings.push(format!("cannot tell whether a run is alive in `{}`: {error}", path.display()));
                }
            }
        }
        live.runs.sort_by(|a, b| (a.record.started_ms, &a.record.run).cmp(&(b.record.started_ms, &b.record.run)));
        Ok(live)
    }

    /// Every run that was recorded, alive or not.
    ///
    /// # Errors
    /// When the folder cannot be read. A single record that cannot be read is a warning.
    pub fn past_runs(&self) -> Result<PastRuns, StoreError> {
        let mut past = PastRuns::default();
        for path in self.folders()? {
            match self.read(path.clone()) {
                Ok(run) => past.runs.push(PastRun { record: run.record, path, state: self.path.clone() }),
                // Something else, or a run that is being made or removed.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => past.warnings.push(format!("cannot read what run `{}` was: {error}", path.display())),
            }
        }
        past.runs.sort_by_key(|run| Reverse((run.record.started_ms, run.record.run.clone())));
        Ok(past)
    }

    /// How each of those trials ended the last time that it did, in any run of that experiment but rehearsals. `is_same`:
    /// whether what was written in that run is still the same trial; another one of its name says nothing of it.
    ///
    /// # Errors
    /// When the folder or the database cannot be read.
    pub fn last_ends<'a>(
        &self,
        spec: &Path,
        experiment: &str,
        names: impl IntoIterator<Item = &'a Name>,
        is_same: impl Fn(&PastRun, &Trial) -> bool,
    ) -> Result<HashMap<Name, Outcome>, StoreError> {
        let mut open: HashSet<&Name> = names.into_iter().collect();
        let mut last = HashMap::new();
        for run in self.past_runs()?.runs {
            if open.is_empty() {
                break;
            }
            if run.record.spec != spec || run.record.experiment != experiment || run.is_rehearsal()? {
                continue;
            }
            let ends: Vec<_> = run.ends()?.into_iter().filter(|(name, _)| open.contains(name)).collect();
            if ends.is_empty() {
                continue;
            }
            let written = run.written()?;
            for (name, outcome) in ends {
                if written.get(&name).is_some_and(|trial| is_same(&run, trial)) {
                    open.remove(&name);
                    last.insert(name, outcome);
                }
            }
        }
        Ok(last)
    }

    /// Reads what a run is. Its spec is where it lies now, also after the project was moved.
    fn read(&self, path: PathBuf) -> io::Result<LiveRun> {
        let mut run = LiveRun::read(path)?;
        run.record.spec = self.location.today(run.record.spec);
        Ok(run)
    }

    fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// What lies in the folder of the runs.
    fn folders(&self) -> Result<Vec<PathBuf>, StoreError> {
        let runs = self.runs();
        let entries = match fs::read_dir(&runs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect()),
        };
        entries.map_err(|source| StoreError::Read { path: runs, source })
    }

    /// Makes the folder, and lets git ignore it where it is new: a folder that was there may be anyone's.
    fn create(&self) -> Result<(), StoreError> {
        if is_folder(&self.path)? || !make(&self.path)? {
            self.check_owner()?;
        }
        self.location.record(&self.path).map_err(|source| StoreError::Write { path: self.path.clone(), source })
    }
}

fn is_folder(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(StoreError::NotAFolder { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::{Search, StateDir};
    use crate::store::run::is_locked;
    use crate::store::{RunRecord, StoreError};

    pub(in crate::store) fn record(run: &str) -> RunRecord {
        RunRecord {
            run: run.into(),
            experiment: "粒子法".to_owned(),
            spec: "/lab/実験/sweep.jsonnet".into(),
            id: "0123456789ab".to_owned(),
            command: ["combu", "-f", "sweep.jsonnet", "run"].map(str::to_owned).to_vec(),
            pid: 4711,
            started_ms: 1_795_000_000_000,
            script: None,
            repeats: None,
        }
    }

    fn located(from: &Path) -> String {
        StateDir::locate(from, Search::default()).unwrap().path().display().to_string()
    }

    #[test]
    fn the_nearest_state_folder_upwards_is_taken_else_one_is_made_here() {
        let project = tempfile::tempdir().unwrap();
        let deep = project.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(located(&deep), deep.join(".combu").display().to_string());
        assert!(!deep.join(".combu").exists(), "looking makes nothing");
        fs::create_dir(project.path().join(".combu")).unwrap();
        assert_eq!(located(&deep), project.path().join(".combu").display().to_string());
        fs::create_dir(project.path().join("a/.combu")).unwrap();
        assert_eq!(located(&deep), project.path().join("a/.combu").display().to_string());
    }

    #[test]
    fn combu_dir_wins() {
        let project = tempfile::tempdir().unwrap();
        fs::create_dir(project.path().join(".combu")).unwrap();
        let at = project.path().join("elsewhere/state");
        let state = StateDir::locate(project.path(), Search { named: Some(&at), ..Search::default() }).unwrap();
        assert_eq!(state.path(), at);
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        assert!(at.join("runs/aaaaaaaaaaaa/run.json").exists());
        let relative =
            StateDir::locate(project.path(), Search { named: Some(Path::new("state")), ..Search::default() }).unwrap();
        assert_eq!(relative.path(), std::env::current_dir().unwrap().join("state"));
    }

    #[test]
    fn git_ignores_a_folder_that_combu_made_and_no_other() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let ignore = project.path().join(".combu/.gitignore");
        assert_eq!(fs::read_to_string(&ignore).unwrap(), "*\n");
        fs::write(&ignore, "mine\n").unwrap();
        state.create_run(&record("bbbbbbbbbbbb"), |_| false).unwrap();
        assert_eq!(fs::read_to_string(&ignore).unwrap(), "mine\n");

        let home = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search { named: Some(home.path()), ..Search::default() }).unwrap();
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        assert!(!home.path().join(".gitignore").exists());
    }

    #[test]
    fn a_run_is_alive_until_it_lets_go() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        assert!(state.live_runs().unwrap().runs.is_empty());
        let first = state.create_run(&record("bbbbbbbbbbbb"), |_| false).unwrap();
        let second = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let live = state.live_runs().unwrap();
        let names: Vec<_> = live.runs.iter().map(|run| run.record.run.as_str()).collect();
        assert_eq!(names, ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]);
        assert_eq!(live.runs[0].record, record("aaaaaaaaaaaa"));
        assert_eq!(live.runs[0].path, second.path());
        assert!(live.runs[0].is_here);
        assert!(live.warnings.is_empty());

        assert!(!live.runs[1].wait_end(Duration::from_millis(1)));
        let waiting = std::thread::spawn({
            let run = live.runs[1].clone();
            move || run.wait_end(Duration::MAX)
        });
        drop(first);
        assert!(waiting.join().unwrap());
        assert_eq!(state.live_runs().unwrap().runs.len(), 1);
        fs::remove_dir_all(second.path()).unwrap();
        assert!(live.runs[0].wait_end(Duration::ZERO), "a run that was removed is over");
    }

    #[test]
    fn a_process_number_from_another_machine_is_not_taken_for_one_of_here() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        let run = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let path = run.path().join("run.json");
        let mut written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for place in [serde_json::json!("another start of a kernel pid:[1]"), serde_json::Value::Null] {
            written["place"] = place;
            fs::write(&path, written.to_string()).unwrap();
            let live = state.live_runs().unwrap().runs.remove(0);
            assert_eq!((live.is_here, live.record), (false, record("aaaaaaaaaaaa")));
        }
    }

    #[test]
    fn the_lock_holds_against_other_processes() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        let run = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let flock = |path: &Path| {
            let lock = path.join("lock");
            std::process::Command::new("flock").arg("-n").arg(lock).arg("true").status().unwrap().success()
        };
        assert!(!flock(run.path()));
        // Those who look share the lock: neither takes the other for the run.
        let path = run.path().to_owned();
        drop(run);
        let looking = fs::File::open(path.join("lock")).unwrap();
        looking.lock_shared().unwrap();
        assert!(!is_locked(&path).unwrap());
        drop(looking);
        assert!(flock(&path));
    }

    #[test]
    fn a_damaged_record_is_a_warning_and_hides_no_other_run() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        let torn = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let _whole = state.create_run(&record("bbbbbbbbbbbb"), |_| false).unwrap();
        fs::write(torn.path().join("run.json"), "{\"run\": \"aaa").unwrap();
        fs::write(state.path().join("runs/a file"), "").unwrap();
        fs::create_dir_all(state.path().join("runs/cccccccccccc/lock")).unwrap();
        let live = state.live_runs().unwrap();
        assert_eq!(live.runs.len(), 1);
        assert_eq!(live.warnings.len(), 1, "{:?}", live.warnings);
        assert!(live.warnings[0].contains("aaaaaaaaaaaa") && live.warnings[0].contains("EOF"), "{:?}", live.warnings);
    }

    #[test]
    fn a_run_is_recorded_once() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap();
        let again = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap_err();
        assert!(matches!(again, StoreError::RunExists { .. }), "{again}");
    }

    #[test]
    fn of_many_that_forbid_each_other_one_is_made() {
        let project = tempfile::tempdir().unwrap();
        let state = StateDir::locate(project.path(), Search::default()).unwrap();
        let start = std::sync::Barrier::new(8);
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let (state, start) = (&state, &start);
                    scope.spawn(move || {
                        start.wait();
                        state.create_run(&record(&format!("aaaaaaaaaaa{number}")), |_| true)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1, "{refused:?}");
        let alive = made.into_iter().next().unwrap().unwrap();
        for error in refused {
            assert!(
                matches!(error.as_ref().unwrap_err(), StoreError::Refused { by } if by.path == alive.path()),
                "{error:?}"
            );
        }
        assert_eq!(fs::read_dir(state.path().join("runs")).unwrap().count(), 1, "who is refused leaves no folder");
        drop(alive);
        state.create_run(&record("bbbbbbbbbbbb"), |_| true).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_used_is_named_with_the_way_out() {
        let project = tempfile::tempdir().unwrap();
        let file = project.path().join("file");
        fs::write(&file, "").unwrap();
        let message = |error: StoreError| error.to_string().replace(&project.path().display().to_string(), "/lab");
        let read = StateDir::locate(&file.join("below"), Search::default()).unwrap_err();
        insta::assert_snapshot!(message(read), @"cannot read `/lab/file/below/.combu` in the state folder; set COMBU_DIR to another folder");
        let not = StateDir::locate(project.path(), Search { named: Some(&file), ..Search::default() }).unwrap_err();
        insta::assert_snapshot!(message(not), @"the state folder `/lab/file` is not a folder; move that file away or set COMBU_DIR");
        fs::write(project.path().join(".combu"), "").unwrap();
        let not = StateDir::locate(project.path(), Search::default()).unwrap_err();
        insta::assert_snapshot!(message(not), @"the state folder `/lab/.combu` is not a folder; move that file away or set COMBU_DIR");
        let state = StateDir::at("/dev/null/state".into(), true, None);
        assert!(matches!(state.create_run(&record("aaaaaaaaaaaa"), |_| false), Err(StoreError::Read { .. })));
        let state = StateDir::at("/proc/state".into(), true, None);
        let write = state.create_run(&record("aaaaaaaaaaaa"), |_| false).unwrap_err();
        insta::assert_snapshot!(message(write), @"cannot write `/proc/state` in the state folder; set COMBU_DIR to a folder that can be written");
    }

    #[test]
    fn a_new_folder_is_made_where_the_caller_says_unless_there_is_one_above() {
        let project = tempfile::tempdir().unwrap();
        let scripts = project.path().join("scripts");
        std::fs::create_dir(&scripts).unwrap();
        let state =
            StateDir::locate(&scripts, Search { otherwise: Some(project.path()), ..Search::default() }).unwrap();
        assert_eq!(state.path(), project.path().join(".combu"));
        std::fs::create_dir(scripts.join(".combu")).unwrap();
        let state =
            StateDir::locate(&scripts, Search { otherwise: Some(project.path()), ..Search::default() }).unwrap();
        assert_eq!(state.path(), scripts.join(".combu"));
    }
}
