//! `combu script`.

use std::path::Path;
use std::rc::Rc;

use clap::Args;

use crate::cli::args::{JsonnetArgs, LimitArgs, ProgressArgs};
use crate::cli::context::{SessionGuard, session};
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::stage::signals;
use crate::cli::stage::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::run::session::new_id;
use crate::script::{STACK, ScriptHost, execute};
use crate::spec::Sources;

#[derive(Debug, Args)]
pub(crate) struct ScriptArgs {
    /// The script, and its own arguments: `args()` and `param(name, default)` read what stands behind the file.
    #[arg(value_name = "FILE [ARGS]", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) script: Vec<String>,

    #[command(flatten)]
    pub(crate) jsonnet: JsonnetArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

pub(crate) fn main(args: ScriptArgs, ui: &Ui) -> Result<u8, CliError> {
    let ui = ui.clone();
    // Deeply nested scripts need more stack than a main thread may have.
    let thread = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK);
    let failed = |error: String| CliError::new(exit::INTERNAL, format!("the script's thread failed: {error}"));
    let running = thread.spawn(move || on_thread(args, &ui)).map_err(|error| failed(error.to_string()))?;
    running.join().unwrap_or_else(|_panic| Err(failed("see the message above; please report it".to_owned())))
}

fn on_thread(args: ScriptArgs, ui: &Ui) -> Result<u8, CliError> {
    let options = args.limits.options();
    let mut words = args.script.into_iter();
    let file = words.next().ok_or_else(|| CliError::new(exit::USAGE, "no script: give `combu script FILE`"))?;
    let path = Path::new(&file);
    let session = session()?;
    let _ending = SessionGuard(session.clone());
    signals::listen(&session, kill_command(path), ui)?;
    let sources = Sources::default();
    let stage = Rc::new(Terminal::new(ui, args.progress.progress, path, false, &session, &sources)?.of_script()?);
    let load = args.jsonnet.load_noting(new_id(), sources.clone());
    let memory = ScriptHost::memory_limit();
    let args = words.collect();
    let host = ScriptHost { session: session.clone(), args, options, load, memory, stage: stage.clone() };
    let finish = execute(path, host);
    session.join();
    let code = finish?.code();
    stage.end_script()?;
    if let Some(error) = stage.lost() {
        return Err(error.into());
    }
    Ok(u8::try_from(code.rem_euclid(256)).unwrap_or(exit::INTERNAL))
}
