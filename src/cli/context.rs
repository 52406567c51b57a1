//! The context of a verb: the session, the path of the spec, and the state folder of the project.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::doors::Taken;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::engine::Settings;
use crate::model::experiment::Experiment;
use crate::run::session::Session;
use crate::spec::{self, LoadOptions, SpecError};
use crate::store::{Search, StateDir};

/// A session with the engines of this machine.
///
/// # Errors
/// When the system refuses its threads.
pub(crate) fn session() -> Result<Session, CliError> {
    // Without its own path, local trials run all the same; only they outlive a combu that is killed.
    let nvidia_smi = std::env::var_os("COMBU_NVIDIA_SMI").filter(|path| !path.is_empty()).map(PathBuf::from);
    let settings = Settings { watch: std::env::current_exe().ok(), nvidia_smi };
    Session::connecting(settings).map_err(|error| CliError::new(exit::INTERNAL, format!("failed to start: {error}")))
}

/// A session that a verb holds: whatever ends the verb, an error or a panic too, its trials have ended and are cleaned up
/// first.
pub(crate) struct SessionGuard(pub(crate) Session);

impl Drop for SessionGuard {
    fn drop(&mut self) {
        // Runs that came to their end ignore it.
        self.0.interrupt().fire("a fault in combu");
        self.0.join();
    }
}

/// The spec that the command line names, with `-f` or as an argument.
///
/// # Errors
/// When there is none, or two.
pub(crate) fn spec_path(file: Option<&Path>, positional: Option<&Path>) -> Result<PathBuf, CliError> {
    match (file, positional) {
        (Some(path), None) | (None, Some(path)) => Ok(path.to_path_buf()),
        (Some(_), Some(_)) => Err(CliError::new(exit::USAGE, "the spec is given twice: with -f and as an argument")),
        (None, None) => Err(CliError::new(exit::USAGE, "no spec is given")
            .hint("give it with `-f experiment.jsonnet`, before or after the verb")),
    }
}

/// Where a spec is read from.
pub(crate) enum SpecSource {
    /// A file.
    File(PathBuf),
    /// Standard input, which `-` stands for; its paths are relative to the working folder.
    Stdin {
        /// The working folder.
        folder: PathBuf,
        /// All that it says.
        text: Vec<u8>,
    },
}

impl SpecSource {
    /// Whether that path stands for standard input.
    pub(crate) fn is_stdin(path: &Path) -> bool {
        path == Path::new("-")
    }

    /// The file of that path, or what standard input says.
    ///
    /// # Errors
    /// When standard input cannot be read.
    pub(crate) fn of(path: PathBuf) -> Result<Self, CliError> {
        if !Self::is_stdin(&path) {
            return Ok(Self::File(path));
        }
        let failed =
            |error| CliError::new(exit::USAGE, format!("the spec cannot be read from standard input: {error}"));
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text).map_err(failed)?;
        Ok(Self::Stdin { folder: std::env::current_dir().map_err(failed)?, text })
    }

    /// The path by which its runs are known: that of the file, or of one in the working folder with the experiment's name.
    ///
    /// # Errors
    /// When standard input is no spec.
    pub(crate) fn path(&self, options: &LoadOptions) -> Result<PathBuf, CliError> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Stdin { .. } => self.load(options).map(|experiment| experiment.spec),
        }
    }

    /// The experiment.
    ///
    /// # Errors
    /// When it is none; where the file's name says what it is instead, that is told.
    pub(crate) fn load(&self, options: &LoadOptions) -> Result<Experiment, CliError> {
        match self {
            Self::File(path) => spec::load(path, options).map_err(|error| match error {
                SpecError::Invalid { .. } => error.into(),
                SpecError::Read { .. } | SpecError::Jsonnet { .. } => Taken::SPEC.explain(path, error.into()),
            }),
            Self::Stdin { folder, text } => Ok(spec::load_text(folder, text.clone(), options)?),
        }
    }
}

/// The real path of a spec or script, by which its runs are known. A file that is gone has the path at which it would lie.
pub(crate) fn real(file: &Path) -> Result<PathBuf, CliError> {
    let beside = || {
        let name = file.file_name()?;
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(name))
    };
    file.canonicalize()
        .or_else(|error| beside().ok_or(error))
        .or_else(|_| std::path::absolute(file))
        .map_err(|error| CliError::new(exit::USAGE, format!("`{}`: {error}", file.display())))
}

/// The state folder that belongs to a spec or script: the nearest `.combu/` above it; else a new one in the working
/// folder where that is above the file, else beside the file.
pub(crate) fn state(file: &Path) -> Result<StateDir, CliError> {
    let real = real(file)?;
    let folder = real.parent().unwrap_or(Path::new("/"));
    let working = std::env::current_dir().ok().filter(|working| folder.starts_with(working));
    let fixed = std::env::var_os("COMBU_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = std::env::home_dir();
    let search = Search { otherwise: working.as_deref(), named: fixed.as_deref(), home: home.as_deref() };
    Ok(StateDir::locate(folder, search)?)
}

/// The state folder of the project that the working folder is in.
pub(crate) fn here() -> Result<StateDir, CliError> {
    let folder = std::env::current_dir()
        .map_err(|error| CliError::new(exit::INTERNAL, format!("there is no working folder: {error}")))?;
    let fixed = std::env::var_os("COMBU_DIR").filter(|dir| !dir.is_empty());
    let home = std::env::home_dir();
    let search = Search { otherwise: None, named: fixed.as_deref().map(Path::new), home: home.as_deref() };
    Ok(StateDir::locate(&folder, search)?)
}

/// The state folder of the file's project; without a file, of the working folder's.
pub(crate) fn state_or_here(file: Option<&Path>) -> Result<StateDir, CliError> {
    match file {
        Some(file) => state(file),
        None => here(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::SessionGuard;
    use crate::engine::fake::{Fake, Scene};
    use crate::model::event::Fact;
    use crate::model::experiment::Experiment;
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Options, TrialDefaults};
    use crate::model::trial::Trial;
    use crate::run::connections::Connections;
    use crate::run::session::Session;
    use crate::run::session::live::{Commands, Live};
    use crate::run::session::start::Start;

    /// A run whose trial goes on for an hour.
    fn long(session: &Session) -> Live {
        let options = Options {
            defaults: TrialDefaults { engine: Some(EngineName::Fake), ..TrialDefaults::default() },
            ..Options::default()
        };
        let experiment = Experiment {
            name: "long".to_owned(),
            id: "aaaaaaaaaaaa".to_owned(),
            spec: "/lab/long.jsonnet".into(),
            options: Options::default(),
            trials: vec![Arc::new(Trial::new(Name::parse("long").unwrap()))],
        };
        let plan = session.prepare(experiment, options).unwrap();
        let mut live = session.start(plan, Start::unkept("aaaaaaaaaaaa".into(), None)).unwrap();
        while !matches!(live.next_event().expect("it starts").fact, Fact::AttemptStarted { .. }) {}
        live
    }

    fn session() -> Session {
        let scene = Scene { run_for: Duration::from_secs(3600), ..Scene::default() };
        Session::new(Connections::with(Arc::new(Fake::default().scene("long", [scene])))).unwrap()
    }

    #[test]
    fn a_panic_ends_the_runs_first() {
        let session = session();
        let (sender, commands) = std::sync::mpsc::channel::<Commands>();
        let thread = std::thread::spawn({
            let session = session.clone();
            move || {
                let _ending = SessionGuard(session.clone());
                let live = long(&session);
                sender.send(live.commands().clone()).unwrap();
                // A panic without its message.
                std::panic::resume_unwind(Box::new(()));
            }
        });
        assert!(thread.join().is_err());
        assert!(commands.recv().unwrap().is_closed(), "the run has ended");
    }

    #[test]
    fn an_error_ends_the_runs_first() {
        let session = session();
        let commands = {
            let _ending = SessionGuard(session.clone());
            long(&session).commands().clone()
        };
        assert!(commands.is_closed(), "the run has ended");
    }
}
