//! The command line: arguments, terminal, exit codes. The only folder that names clap; one verb, one file.

mod args;
mod detach;
mod error;
mod exit;
mod glob;
mod kill;
mod live;
mod look;
mod past;
mod plan;
mod provenance;
mod run;
mod script;
mod signals;
mod stage;
mod ui;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::args::{Cli, JsonnetArgs, Verb};
use crate::cli::error::CliError;
use crate::cli::ui::Ui;
use crate::engine::{self, Settings};
use crate::run::session::Session;
use crate::spec::{LoadOptions, Sources};

/// Runs combu on this process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new();
    let file = cli.file.as_deref();
    let ended = match cli.verb {
        Verb::Run(args) => run::main(file, args, cli.detached, &ui),
        Verb::Resume(args) => past::resume::main(file, &args, cli.detached, &ui),
        Verb::Rerun(args) => past::rerun::main(file, &args, &ui),
        Verb::Diff(args) => past::diff::main(file, &args, &ui),
        Verb::Rm(args) => past::rm::main(file, &args, &ui),
        Verb::Gc(args) => past::rm::gc(file, &args, &ui),
        Verb::Kill(args) => kill::main(file, &args, &ui),
        Verb::Plan(args) => plan::main(file, &args, &ui),
        Verb::Set(args) => live::set::main(file, &args, &ui),
        Verb::Why(args) => live::why::main(file, &args, &ui),
        Verb::Ls(args) => look::ls::main(file, &args, &ui),
        Verb::Ps(args) => look::ps::main(file, &args, &ui),
        Verb::Show(args) => look::show::main(file, &args, &ui),
        Verb::Logs(args) => look::logs::main(file, &args, &ui),
        Verb::Results(args) => look::results::main(file, &args, &ui),
        Verb::Script(args) => script::main(args, &ui),
        Verb::Watch { token } => return engine::local::watch(&token),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            ui.message(&error.render(ui.err()));
            ExitCode::from(error.code)
        }
    }
}

/// docs/cli.md, from the same comments as `--help`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Command line\n\nGenerated from the program; `combu --help` and `combu VERB --help` say the same.\n",
    );
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut page = |command: &mut clap::Command| {
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _infallible = write!(
            text,
            "\n## {}\n\n```text\n{}\n```\n",
            command.get_bin_name().unwrap_or("combu"),
            lines.join("\n").trim_end()
        );
    };
    page(&mut command.clone());
    for verb in command.get_subcommands_mut().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        page(verb);
    }
    text.push_str("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in exit::TABLE {
        let _infallible = writeln!(text, "| {code} | {meaning} |");
    }
    text
}

impl JsonnetArgs {
    /// What they say, for one load; `id` is what "UUID" stands for.
    fn load_options(&self, id: String) -> LoadOptions {
        self.load_noting(id, Sources::default())
    }

    /// The same, with what is read noted.
    fn load_noting(&self, id: String, sources: Sources) -> LoadOptions {
        LoadOptions {
            // The loader takes the first that has the file.
            jpath: self.jpath.iter().rev().cloned().collect(),
            ext_str: self.ext_str.clone(),
            ext_code: self.ext_code.clone(),
            tla_str: self.tla_str.clone(),
            tla_code: self.tla_code.clone(),
            id,
            sources,
        }
    }
}

fn session() -> Result<Session, CliError> {
    // Without its own path, local trials run all the same; only nobody ends them if combu is killed.
    let nvidia_smi = std::env::var_os("COMBU_NVIDIA_SMI").filter(|path| !path.is_empty()).map(PathBuf::from);
    let settings = Settings { watch: std::env::current_exe().ok(), nvidia_smi };
    Session::connecting(settings).map_err(|error| CliError::new(exit::INTERNAL, format!("failed to start: {error}")))
}

/// Held by a verb: whatever ends it, an error or a panic too, the trials it started have ended and are cleaned up first.
struct Ending(Session);

impl Drop for Ending {
    fn drop(&mut self) {
        // Runs that came to their end hear nothing of it.
        self.0.interrupt().fire("a fault in combu");
        self.0.join();
    }
}

fn spec_path(file: Option<&Path>, positional: Option<&Path>) -> Result<PathBuf, CliError> {
    match (file, positional) {
        (Some(path), None) | (None, Some(path)) => Ok(path.to_path_buf()),
        (Some(_), Some(_)) => Err(CliError::new(exit::USAGE, "the spec is given twice: with -f and as an argument")),
        (None, None) => Err(CliError::new(exit::USAGE, "no spec is given")
            .hint("give it with `-f experiment.jsonnet`, before or after the verb")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Ending;
    use crate::engine::fake::{Fake, Scene};
    use crate::model::event::Fact;
    use crate::model::experiment::Experiment;
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Options, TrialDefaults};
    use crate::model::trial::Trial;
    use crate::run::engines::Engines;
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
        Session::new(Engines::with(Arc::new(Fake::default().scene("long", [scene])))).unwrap()
    }

    #[test]
    fn a_panic_ends_the_runs_first() {
        let session = session();
        let (sender, commands) = std::sync::mpsc::channel::<Commands>();
        let thread = std::thread::spawn({
            let session = session.clone();
            move || {
                let _ending = Ending(session.clone());
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
            let _ending = Ending(session.clone());
            long(&session).commands().clone()
        };
        assert!(commands.is_closed(), "the run has ended");
    }
}
