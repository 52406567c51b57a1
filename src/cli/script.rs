//! `combu script`.

use std::path::Path;
use std::rc::Rc;

use crate::cli::args::ScriptArgs;
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::stage::Terminal;
use crate::cli::ui::Ui;
use crate::cli::{Ending, session, signals};
use crate::run::session::new_id;
use crate::script::{STACK, ScriptHost, execute};
use crate::spec::Sources;

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
    let _ending = Ending(session.clone());
    signals::listen(&session, kill_command(path), ui)?;
    let sources = Sources::default();
    let stage = Rc::new(Terminal::new(ui, args.progress.progress, path, false, &session, &sources)?);
    let load = args.jsonnet.load_noting(new_id(), sources.clone());
    let host = ScriptHost { session: session.clone(), args: words.collect(), options, load, stage: stage.clone() };
    let finish = execute(path, host);
    session.join();
    let code = finish?.code();
    if let Some(error) = stage.lost() {
        return Err(error.into());
    }
    Ok(u8::try_from(code.rem_euclid(256)).unwrap_or(exit::INTERNAL))
}
