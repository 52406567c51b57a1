//! `combu test`: the tests that scripts have.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use clap::Args;

use crate::cli::args::{LimitArgs, ProgressMode};
use crate::cli::config::file::options_below;
use crate::cli::context::{SessionGuard, session};
use crate::cli::error::{CliError, kill_command, short_path};
use crate::cli::exit;
use crate::cli::stage::signals;
use crate::cli::stage::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::engine::Found;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::run::session::live::Commands;
use crate::run::session::{Prepared, new_id};
use crate::script::{self, Finish, Opened, ScriptError, ScriptErrorKind, ScriptHost, ScriptStage, on_large_stack};
use crate::spec::{LoadOptions, Sources};
use crate::store::{Search, StateDir};

pub(crate) const HELP: &str = "Examples:
  combu test                           the tests in scripts/, or below the working folder
  combu test scripts/test_sweep.rhai   those of one script
  combu test -k points                 those with `points` in their names

Exit codes: 0 every test passed, 1 one did not, 2 there is none.";

/// Run the tests of scripts, as rehearsals of which nothing is left.
///
/// A test is a function `fn test_name() { .. }` of a script, or a whole script called `test_*.rhai` or `*_test.rhai` that has
/// no such functions. It passes when it comes to its end: `assert(truth)` and `assert_eq(one, other)` end it before.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Scripts, and folders in which they are looked for. Default: `scripts`, where that is there, else the working folder.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Only the tests with this text in their names, that of the script included.
    #[arg(short = 'k', long = "only", value_name = "TEXT")]
    only: Option<String>,

    #[command(flatten)]
    limits: LimitArgs,
}

/// A test: a script, or one function of it.
struct Test {
    file: PathBuf,
    function: Option<String>,
}

impl Test {
    fn name(&self) -> String {
        let file = short_path(&self.file);
        self.function.as_ref().map_or_else(|| file.clone(), |function| format!("{file}::{function}"))
    }
}

pub(crate) fn main(file: Option<&Path>, args: &TestArgs, ui: &Ui) -> Result<u8, CliError> {
    if let Some(spec) = file {
        return Err(CliError::new(exit::USAGE, format!("`-f {}` is for specs", spec.display())));
    }
    let beside = Path::new("scripts");
    let usual = vec![if beside.is_dir() { beside.to_owned() } else { PathBuf::from(".") }];
    let paths = if args.paths.is_empty() { &usual } else { &args.paths };
    let mut tests = found(paths)?;
    tests.retain(|test| args.only.as_ref().is_none_or(|text| test.name().contains(text.as_str())));
    if tests.is_empty() {
        let places = paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ");
        let hint = "a test is a function `fn test_name() { .. }` of a script, or a script called `test_*.rhai` or `*_test.rhai`";
        return Err(CliError::new(exit::USAGE, format!("no tests were found in {places}")).hint(hint));
    }
    let state = Scratch::new()?;
    let mut failed = 0;
    for test in &tests {
        let (ended, printed) = run(test, args, &state.0, ui)?;
        let error = match ended {
            Ok(finish) => wrong_end(test, &finish),
            Err(error) if matches!(error.kind, ScriptErrorKind::Interrupted(_)) => return Err((*error).into()),
            Err(error) => Some((*error).into()),
        };
        let word = if error.is_some() { ui.out().red("FAIL") } else { ui.out().green("PASS") };
        ui.result(&format!("{word}  {}", test.name()))?;
        if let Some(error) = error {
            failed += 1;
            let printed = printed.lines().map(|line| format!("printed: {line}\n")).collect::<String>();
            let text = format!("{printed}{}", error.render(ui.out()));
            let lines: Vec<String> = text.lines().map(|line| format!("      {line}")).collect();
            ui.result(&lines.join("\n"))?;
        }
    }
    let passed = tests.len() - failed;
    ui.result(&if failed == 0 { format!("{passed} passed") } else { format!("{failed} failed, {passed} passed") })?;
    Ok(if failed == 0 { exit::OK } else { exit::INTERNAL })
}

/// Why a script that came to its end did not pass.
fn wrong_end(test: &Test, finish: &Finish) -> Option<CliError> {
    // A function may look at what fails; a script says by its exit code how it ended.
    let code = if test.function.is_some() { finish.exit.unwrap_or(0) } else { finish.code() };
    (code != 0).then(|| CliError::new(exit::INTERNAL, format!("it ended with exit code {code}")))
}

/// The tests in these files and folders, in the order of their paths and texts.
fn found(paths: &[PathBuf]) -> Result<Vec<Test>, CliError> {
    let mut tests = Vec::new();
    for path in paths {
        let unreadable = |error| CliError::new(exit::USAGE, format!("cannot read `{}`: {error}", path.display()));
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            let mut scripts = Vec::new();
            scripts_below(path, &mut scripts).map_err(unreadable)?;
            scripts.sort();
            tests.extend(scripts.into_iter().flat_map(|script| of_script(&script, is_called_test(&script))));
        } else {
            tests.extend(of_script(path, true));
        }
    }
    Ok(tests)
}

/// The scripts in a folder and those below it, but in hidden ones.
fn scripts_below(folder: &Path, scripts: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            scripts_below(&path, scripts)?;
        } else if path.extension().is_some_and(|ending| ending == "rhai") {
            scripts.push(path);
        }
    }
    Ok(())
}

fn is_called_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.starts_with("test_") || name.ends_with("_test")
}

/// The tests of a script; `whole`: it is a test itself where it has no functions that are.
fn of_script(file: &Path, whole: bool) -> Vec<Test> {
    let functions = script::tests(file);
    if functions.is_empty() && whole {
        return vec![Test { file: file.to_owned(), function: None }];
    }
    functions.into_iter().map(|function| Test { file: file.to_owned(), function: Some(function) }).collect()
}

/// Runs a test; how it ended, and what it printed.
fn run(
    test: &Test,
    args: &TestArgs,
    state: &Path,
    ui: &Ui,
) -> Result<(Result<Finish, Box<ScriptError>>, String), CliError> {
    let running = on_large_stack(|| {
        let session = session()?;
        let _ending = SessionGuard(session.clone());
        signals::listen(&session, kill_command(&test.file), ui)?;
        let sources = Sources::default();
        let search = Search { named: Some(state), ..Search::default() };
        let state = StateDir::locate(state, search)?;
        let terminal = Terminal::keeping(ui, ProgressMode::None, &test.file, &session, &sources, state);
        let stage = Rc::new(Rehearsal { terminal: terminal.of_script(&[])?, printed: RefCell::default() });
        let mut options = args.limits.options();
        options.defaults.engine.get_or_insert(EngineName::Fake);
        let host = ScriptHost {
            session: session.clone(),
            args: Vec::new(),
            options,
            below: options_below()?,
            load: LoadOptions { id: new_id(), sources, ..LoadOptions::default() },
            memory: ScriptHost::memory_limit(),
            past: Vec::new(),
            reuse: false,
            stage: stage.clone(),
        };
        let ended = match &test.function {
            Some(function) => script::execute_function(&test.file, host, function),
            None => script::execute(&test.file, host),
        };
        session.join();
        Ok((ended.map_err(Box::new), stage.printed.take()))
    });
    running.map_err(|error| CliError::new(exit::INTERNAL, format!("the test's thread failed: {error}")))?
}

/// A folder that is gone when the tests are.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("combu-test-{}", new_id()));
        let failed = |error| CliError::new(exit::INTERNAL, format!("cannot make `{}`: {error}", path.display()));
        fs::create_dir(&path).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies where the system removes it.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The stage of a test: runs are kept in a folder of the tests' own, and what is printed is shown where the test fails.
struct Rehearsal {
    terminal: Terminal,
    printed: RefCell<String>,
}

impl ScriptStage for Rehearsal {
    fn open(&self, prepared: &Prepared, run: &RunId, reused: &BTreeMap<Name, RunId>) -> Result<Opened, String> {
        ScriptStage::open(&self.terminal, prepared, run, reused)
    }

    fn discard(&self, opened: Opened) -> Result<(), String> {
        self.terminal.discard(opened)
    }

    fn save(&self, found: &[Found]) -> Result<Vec<Found>, String> {
        self.terminal.save(found)
    }

    fn print(&self, text: &str) {
        self.printed.borrow_mut().push_str(&format!("{text}\n"));
    }

    fn debug(&self, place: &str, text: &str) {
        self.print(&format!("{place}: {text}"));
    }

    fn closed(&self, summary: &Summary) {
        self.terminal.closed(summary);
    }

    fn started(&self, run: &RunId, commands: &Commands) {
        self.terminal.started(run, commands);
    }

    fn last_ends(&self, of: (&Path, &str, &str), trials: &[Arc<Trial>]) -> Result<HashMap<Name, Outcome>, String> {
        ScriptStage::last_ends(&self.terminal, of, trials)
    }

    fn live_kill(&self, spec: &Path) -> Result<Vec<String>, String> {
        self.terminal.live_kill(spec)
    }
}
