//! `combu script`.

mod check;
pub(crate) mod resume;
mod simulate;
mod usage;
mod words;

use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;

use clap::{Args, Command};

use crate::cli::args::{JsonnetArgs, LimitArgs, ProgressArgs};
use crate::cli::config::file::options_below;
use crate::cli::context::{SessionGuard, session};
use crate::cli::doors::Taken;
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::script::usage::usage;
use crate::cli::script::words::WordsBehind;
use crate::cli::stage::signals;
use crate::cli::stage::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::run::session::new_id;
use crate::script::{Parameters, STACK, ScriptHost, execute};
use crate::spec::Sources;
use crate::store::{DeadScript, ScriptRecord};

#[derive(Debug, Args)]
pub(crate) struct ScriptArgs {
    /// The script, and its own arguments: `param(name, default)` and `args()` read them.
    ///
    /// combu's options may stand behind the file too, unless the script has a parameter of that name; behind `--` every word
    /// is the script's. `combu script FILE --help` shows the parameters of a script.
    #[arg(value_name = "FILE [ARGS]", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) script: Vec<String>,

    /// Play the script in virtual time, a day in a second: nothing is run, and nothing is kept. MODEL is a Rhai file whose
    /// function `trial(t, random)` says how long an attempt takes, what it tells and how it ends; RUN is a past run (the
    /// beginning of its id, or `last`), in which a trial went as one with the same params goes now. `combu help script`
    /// has more.
    #[arg(long, value_name = "MODEL|RUN")]
    pub(crate) simulate: Option<String>,

    /// Say what is wrong with scripts and the modules that they import, and run nothing: calls, arguments, fields, options,
    /// hooks. Asks no engine. Further scripts may stand behind the first. For specs, `combu plan` is that check.
    #[arg(long)]
    check: bool,

    /// Go on with the script if it died the last time, killed, interrupted or by an error: it runs again from its top, and what
    /// it asks as before is answered as before, so that no trial that has ended runs twice. Its arguments are those of then.
    #[arg(long, conflicts_with_all = ["simulate", "check"])]
    pub(crate) resume: bool,

    /// True where `--help` stands behind the file.
    #[arg(skip)]
    about: bool,

    #[command(flatten)]
    pub(crate) jsonnet: JsonnetArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

impl ScriptArgs {
    /// Takes combu's options from behind the script's file. The command line with them before it, where there are such:
    /// the arguments are then to be read from that.
    pub(crate) fn take_options(&mut self, line: &[OsString], verb: &Command) -> Option<Vec<OsString>> {
        let file = self.script.first()?.clone();
        if line.contains(&OsString::from("--")) && !self.script.contains(&"--".to_owned()) {
            // It stands before the file.
            return None;
        }
        let parameters = Parameters::of_file(Path::new(&file)).unwrap_or_default();
        let behind = WordsBehind::told_apart(&self.script[1..], verb, &parameters);
        let line = (!behind.combu.is_empty()).then(|| behind.reordered(line, &self.script));
        self.about = behind.help;
        self.script = std::iter::once(file).chain(behind.script).collect();
        line
    }

    /// The same arguments for the script, with other options.
    pub(crate) fn with_words_of(self, other: Self) -> Self {
        Self { script: other.script, about: other.about, ..self }
    }
}

pub(crate) fn main(file: Option<&Path>, args: ScriptArgs, ui: &Ui) -> Result<u8, CliError> {
    if let Some(spec) = file {
        let hint =
            "a script loads specs itself: `experiment(\"FILE\")`, with the file's name from `param(\"spec\", ..)`";
        return Err(CliError::new(exit::USAGE, format!("`-f {}` is for specs", spec.display())).hint(hint));
    }
    if let Some(error) = Taken::SCRIPT.refused(Path::new(&args.script[0])) {
        return Err(error);
    }
    if args.check {
        return check::main(&args.script, ui);
    }
    if args.about {
        return about(&args, ui);
    }
    let ui = ui.clone();
    // Deeply nested scripts need more stack than a main thread may have.
    let thread = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK);
    let failed = |error: String| CliError::new(exit::INTERNAL, format!("the script's thread failed: {error}"));
    let running = thread.spawn(move || on_thread(args, &ui)).map_err(|error| failed(error.to_string()))?;
    running.join().unwrap_or_else(|_panic| Err(failed("see the message above; please report it".to_owned())))
}

/// Shows what the script is for, and its parameters.
fn about(args: &ScriptArgs, ui: &Ui) -> Result<u8, CliError> {
    let file = Path::new(args.script.first().map(String::as_str).unwrap_or_default());
    let unreadable = |error: std::io::Error| {
        CliError::new(exit::USAGE, format!("cannot read the script `{}`: {error}", file.display()))
    };
    std::fs::metadata(file).map_err(|error| Taken::SCRIPT.explain(file, unreadable(error)))?;
    let parameters = Parameters::of_file(file).ok_or_else(|| {
        let message = format!("the parameters of `{}` cannot be read", file.display());
        CliError::new(exit::USAGE, message).hint("it has a mistake, which running it shows, or is no file")
    })?;
    ui.result(&usage(file, &parameters, ui.out()))?;
    Ok(exit::OK)
}

fn on_thread(args: ScriptArgs, ui: &Ui) -> Result<u8, CliError> {
    let options = args.limits.options();
    let mut words = args.script.into_iter();
    let file = words.next().ok_or_else(|| CliError::new(exit::USAGE, "no script: give `combu script FILE`"))?;
    let (path, mut words) = (Path::new(&file), words.collect::<Vec<_>>());
    if let Some(by) = &args.simulate {
        let script = simulate::SimulatedScript { file: path, words, options, load: &args.jsonnet };
        return simulate::simulate(script, by, args.progress.progress, ui);
    }
    let session = session()?;
    let _ending = SessionGuard(session.clone());
    signals::listen(&session, kill_command(path), ui)?;
    let sources = Sources::default();
    let terminal = Terminal::new(ui, args.progress.progress, path, false, &session, &sources)?;
    let dead = if args.resume { resume::take_up(path, &words, ui)? } else { None };
    let (mut past, reuse) = (Vec::new(), args.resume);
    let stage = Rc::new(match dead {
        Some(DeadScript { id, head, entries, mark }) => {
            (words, past) = (head.args, entries);
            terminal.of_dead_script(ScriptRecord { file: head.file, id }, mark)?
        }
        None => terminal.of_script(&words)?,
    });
    let load = args.jsonnet.load_noting(new_id(), sources.clone());
    let memory = ScriptHost::memory_limit();
    let below = options_below()?;
    let args = words;
    let host =
        ScriptHost { session: session.clone(), args, options, below, load, memory, past, reuse, stage: stage.clone() };
    if path.is_file() {
        check::warn(path, &session, ui);
    }
    let finish = execute(path, host);
    session.join();
    let code = finish.map_err(|error| Taken::SCRIPT.explain(path, error.into()))?.code();
    stage.end_script()?;
    if let Some(error) = stage.lost() {
        return Err(error.into());
    }
    Ok(u8::try_from(code.rem_euclid(256)).unwrap_or(exit::INTERNAL))
}
