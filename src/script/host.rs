//! The host of a script: what it may reach, and where its runs are stored and its texts shown.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::model::event::Event;
use crate::model::experiment::Experiment;
use crate::model::options::Options;
use crate::model::script::ScriptEntry;
use crate::run::session::Session;
use crate::run::session::interrupt::Interrupt;
use crate::run::session::live::Live;
use crate::script::appends::Appends;
use crate::script::arguments::Arguments;
use crate::script::caller::Caller;
use crate::script::fault::{Answer, fault, interrupted};
use crate::script::functions::Functions;
use crate::script::memory;
use crate::script::stage::ScriptStage;
use crate::script::transcript::Transcript;
use crate::script::values::experiment::ScriptExperiment;
use crate::spec::LoadOptions;

/// Most script functions that may call each other before the script is stopped.
pub(super) const DEPTH: usize = 100;

/// Most expressions within each other, outside of functions and in them: deep enough for people, flat enough for the stack.
pub(super) const EXPRESSION: (usize, usize) = (128, 64);

/// Pause between two looks whether a waiting script was interrupted.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Everything a script may reach.
pub struct ScriptHost {
    /// The engines and the interrupts.
    pub session: Session,
    /// Words behind the script's name on the command line.
    pub args: Vec<String>,
    /// Run options from the command line: they win over the script's.
    pub options: Options,
    /// Run options that stand below those of scripts and specs: of the user, and of the machine.
    pub below: Options,
    /// Variables and import paths for specs from the command line; `id` is replaced by a fresh one for each load,
    /// unless the script gives one.
    pub load: LoadOptions,
    /// Most bytes of memory that the process may take; see [`ScriptHost::memory_limit`].
    pub memory: u64,
    /// What it was told before it died, where it is gone on with; else nothing.
    pub past: Vec<ScriptEntry>,
    /// Whether trials are not run again that succeeded unchanged in an earlier run of their experiment.
    pub reuse: bool,
    /// The stage: it stores runs and shows texts.
    pub stage: Rc<dyn ScriptStage>,
}

impl ScriptHost {
    /// Most bytes of memory that the process of a script takes, unless somebody says otherwise.
    pub fn memory_limit() -> u64 {
        memory::limit()
    }
}

/// End of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finish {
    /// True when, for some experiment, the last run did not succeed in every trial.
    pub failed: bool,
    /// True when, for some experiment, the last run was ended by its halt policy.
    pub halted: bool,
    /// Code that the script gave to `exit(code)`.
    pub exit: Option<i32>,
}

impl Finish {
    /// The exit code of `combu script`: what the script said, else 101 after a halt, 100 after a failure, 0.
    pub fn code(&self) -> i32 {
        match self.exit {
            Some(code) => code,
            None if self.halted => 101,
            None if self.failed => 100,
            None => 0,
        }
    }
}

/// A script that is being executed, as the functions it calls see it.
pub(crate) struct Script {
    pub(super) session: Session,
    pub(super) args: Arguments,
    /// The functions that the script and its modules define.
    pub(super) functions: Functions,
    pub(super) appends: Appends,
    pub(super) options: Options,
    pub(super) below: Options,
    pub(super) load: LoadOptions,
    pub(super) memory: u64,
    pub(super) stage: Rc<dyn ScriptStage>,
    pub(super) transcript: Transcript,
    pub(super) reuse: bool,
    /// The script's file, absolute.
    pub(super) path: PathBuf,
    /// The script's file as the user wrote it.
    pub(super) shown: PathBuf,
    /// The folder of the script: every relative path starts there.
    pub(super) folder: Rc<Path>,
    /// The last end of each experiment's runs: whether it was good, and whether it was halted.
    pub(super) ends: RefCell<BTreeMap<String, (bool, bool)>>,
    pub(super) exit: Cell<Option<i32>>,
    /// Runs that have not ended, or whose end the script has not waited for.
    pub(super) open: RefCell<Vec<Rc<dyn PendingRun>>>,
    /// How often one of them was served.
    pub(super) turn: Cell<usize>,
    /// How many runs it has begun.
    pub(super) begun: Cell<usize>,
}

/// A run that has not ended, or whose end the script has not waited for.
pub(super) trait PendingRun {
    /// The experiment of the run.
    fn experiment(&self) -> &ScriptExperiment;

    /// The run as it goes on; absent once it has ended.
    fn live(&self) -> Option<RefMut<'_, Live>>;

    /// Its number among the runs that the script has begun, from 0.
    fn number(&self) -> usize;

    /// When the next of its events happened that it is known for from before the script's death; absent once all were taken
    /// in. Milliseconds since 1970-01-01 UTC.
    fn past(&self) -> Option<u64>;

    /// Takes the next of those events in, and calls its hooks.
    fn hear_past(self: Rc<Self>, script: &Script, caller: &Caller<'_>);

    /// Whether its hooks are being called in this moment.
    fn is_hearing(&self) -> bool;

    /// Takes an event of it in, and calls its hooks.
    fn hear(self: Rc<Self>, script: &Script, caller: &Caller<'_>, event: &Event);

    /// Stops the run's trials.
    fn cancel(&self, by: &str);

    /// Follows the run to its end.
    fn close(&self, script: &Script, caller: &Caller<'_>) -> Answer<()>;
}

impl Script {
    pub(super) fn new(path: &Path, host: ScriptHost) -> std::io::Result<Self> {
        let absolute = path.canonicalize()?;
        host.session.share(&host.options.clone().over(host.below.clone()));
        let interrupt = host.session.interrupt().clone();
        Ok(Self {
            session: host.session,
            args: Arguments::new(host.args),
            functions: Functions::default(),
            appends: Appends::default(),
            options: host.options,
            below: host.below,
            load: host.load,
            memory: host.memory,
            transcript: Transcript::new(host.past, host.stage.clone(), interrupt),
            stage: host.stage,
            reuse: host.reuse,
            folder: absolute.parent().unwrap_or(Path::new("/")).into(),
            path: absolute,
            shown: path.to_owned(),
            ends: RefCell::default(),
            exit: Cell::new(None),
            open: RefCell::default(),
            turn: Cell::default(),
            begun: Cell::default(),
        })
    }

    /// Fails once the script was interrupted.
    pub(super) fn check_interrupt(&self) -> Answer<()> {
        let interrupt = self.session.interrupt();
        if interrupt.count() > 0 { Err(interrupted(interrupt.by())) } else { Ok(()) }
    }

    /// Does what may block for long beside the script, and waits for it. An interrupt ends the waiting; what is being done goes
    /// on until the process ends, and nobody hears of it.
    pub(super) fn wait_for<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        wait_for(self.session.interrupt(), what)
    }

    /// An experiment as it runs: with the options that stand below its own.
    pub(super) fn to_run(&self, experiment: &ScriptExperiment) -> Experiment {
        let model = experiment.to_model();
        Experiment { options: model.options.over(self.below.clone()), ..model }
    }

    /// A path as the script means it: relative ones start at the script's folder.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// As [`Script::wait_for`], also where there is no script yet.
pub(super) fn wait_for<T: Send + 'static>(
    interrupt: &Interrupt,
    what: impl FnOnce() -> T + Send + 'static,
) -> Answer<T> {
    beside(interrupt, what, |done| done.recv_timeout(LOOK))
}

/// The same, where `look` looks for the answer, and waits for it no longer than [`LOOK`].
pub(super) fn beside<T: Send + 'static>(
    interrupt: &Interrupt,
    what: impl FnOnce() -> T + Send + 'static,
    mut look: impl FnMut(&Receiver<T>) -> Result<T, RecvTimeoutError>,
) -> Answer<T> {
    if interrupt.count() > 0 {
        return Err(interrupted(interrupt.by()));
    }
    let (sender, done) = channel();
    let beside = thread::Builder::new().name("beside the script".to_owned());
    // Nobody listens any more after an interrupt.
    let started = beside.spawn(move || drop(sender.send(what())));
    let started = started.map_err(|error| fault(format!("the system gives no thread: {error}")))?;
    loop {
        match look(&done) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) if interrupt.count() > 0 => return Err(interrupted(interrupt.by())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match started.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => unreachable!("a thread that ends well has sent its answer"),
            },
        }
    }
}
