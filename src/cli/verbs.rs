//! The command line: every verb, and where it is carried out. The comments here are the manual: `--help` and
//! `docs/cli.md` are made from them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::completions::{self, CompletionsArgs};
use crate::cli::config::{self, ConfigArgs};
use crate::cli::error::CliError;
use crate::cli::help::{self, HelpArgs};
use crate::cli::kill;
use crate::cli::kill::args::{self as kill_args, KillArgs};
use crate::cli::logging;
use crate::cli::look::export::{self, ExportArgs};
use crate::cli::look::logs::{self, LogsArgs};
use crate::cli::look::ls::{self, LsArgs};
use crate::cli::look::metrics::{self, MetricsArgs};
use crate::cli::look::ps::{self, PsArgs};
use crate::cli::look::report::{self, ReportArgs};
use crate::cli::look::results::{self, ResultsArgs};
use crate::cli::look::show::{self, ShowArgs};
use crate::cli::man::{self, ManArgs};
use crate::cli::past::diff::{self, DiffArgs};
use crate::cli::past::rerun::{self, RerunArgs};
use crate::cli::past::resume::{self, ResumeArgs};
use crate::cli::past::rm::{self, GcArgs, RmArgs};
use crate::cli::plan::{self, PlanArgs};
use crate::cli::run::{self, RunArgs};
use crate::cli::script::{self, ScriptArgs};
use crate::cli::serve::{self, ServeArgs};
use crate::cli::steer::set::{self, SetArgs};
use crate::cli::steer::why::{self, WhyArgs};
use crate::cli::test::{self, TestArgs};
use crate::cli::ui::Ui;
use crate::engine;
use crate::report::Style;
use crate::spec::evaluator;

/// Turn one container image into a thousand experiments.
///
/// Describe trials in a jsonnet spec, or build them in a Rhai script; combu runs them in dependency order, as many at
/// once as the machine holds, and leaves logs and exit codes behind in `.combu/`.
#[derive(Debug, Parser)]
#[command(name = "combu", version, max_term_width = 100, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The spec: a jsonnet or JSON file. Stands before or after the verb.
    #[arg(short = 'f', long = "file", value_name = "FILE", global = true)]
    pub(crate) file: Option<PathBuf>,

    /// The background half of `run --detach`.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,

    /// Show each call to an engine on stderr, as `COMBU_LOG=debug` does; `-vv` (`trace`) also when it begins.
    #[arg(short = 'v', long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER_HELP: &str = "Examples:
  combu -f experiment.jsonnet run          run every trial of the spec
  combu -f experiment.jsonnet kill         stop and remove everything it started
  combu plan experiment.jsonnet            show what would run, in which order
  combu run sweep.jsonnet --where 'params.mode == \"a\" && !done'
                                           run a part of it: what has not succeeded yet
  combu set -j 2                           let a live run take less of the machine
  combu why solver-3                       what a trial waits for, or how it ended
  combu ps                                 the trials of the live run, or of the last
  combu logs -f solver-3                   what a trial writes
  combu results -o csv                     params, ends, times and metrics of all trials
  combu script sweep.rhai --image solver   run a script";

/// The verbs under their headings, in the order of the manual.
pub(crate) const GROUPS: [(&str, &[&str]); 5] = [
    ("Run", &["plan", "run", "script", "test", "resume", "rerun"]),
    ("Look", &["ls", "ps", "logs", "results", "metrics", "export", "report", "serve", "show", "why", "diff"]),
    ("Steer", &["set", "kill"]),
    ("Tidy", &["rm", "gc"]),
    ("Manual and set-up", &["help", "config", "completions", "man"]),
];

/// Widest line of the manual.
pub(crate) const WIDEST: usize = 100;

/// combu's command line as clap has it, with the verbs in groups.
pub(crate) fn command() -> Command {
    command_in(Ui::new().out().width.min(WIDEST))
}

/// The command line with a list of verbs of that width, in columns.
pub(crate) fn command_in(width: usize) -> Command {
    let style = Style { width, ..Style::PLAIN };
    let command = Cli::command();
    let bold = |heading: &str| format!("\u{1b}[1m\u{1b}[4m{heading}:\u{1b}[0m");
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (heading, verbs) in GROUPS {
        text.push_str(&format!("\n{}\n", bold(heading)));
        for verb in verbs.iter().filter_map(|verb| command.find_subcommand(verb)) {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            for line in style.wrap(&format!("  {:11} ", verb.get_name()), &about, 14) {
                text.push_str(&format!("{line}\n"));
            }
        }
    }
    text.push_str(&format!("\n{}\n{{options}}{{after-help}}", bold("Options")));
    let narrow = |verb: Command| match verb.get_after_help().map(|text| examples(&text.to_string(), width)) {
        Some(text) => verb.after_help(text),
        None => verb,
    };
    narrow(command).help_template(text).mut_subcommands(narrow)
}

/// Examples in lines of that width: where what one does has no room beside it, it stands below.
fn examples(text: &str, width: usize) -> String {
    let line = |line: &str| match line.trim_start().split_once("   ") {
        Some((example, what)) if line.len() > width => format!("  {example}\n      {}", what.trim_start()),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The verb: what combu does.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the trials of a spec.
    #[command(after_help = run::HELP)]
    Run(RunArgs),
    /// Go on with a run whose combu was killed, or which was ended early.
    ///
    /// Trials that run are found again, with their whole output; those that ended meanwhile are taken as they ended; the
    /// others run. Nothing that succeeded runs again, and nothing is launched twice.
    #[command(after_help = resume::HELP)]
    Resume(ResumeArgs),
    /// Stop and remove what was started from a spec or script, or in a run.
    ///
    /// Finds containers, processes and networks by combu's labels, so it also works for names that hold the UUID, after
    /// the spec was edited, and when no combu runs any more. A combu that is running it is asked to end. Nothing
    /// without combu's labels is touched. Trials that a script ran from a spec are known by that spec.
    #[command(after_help = kill_args::HELP)]
    Kill(KillArgs),
    /// Run a part of a run again, in a run of its own.
    #[command(after_help = rerun::HELP)]
    Rerun(RerunArgs),
    /// Show which trials were added, changed or removed between two runs, or specs.
    #[command(after_help = diff::HELP)]
    Diff(DiffArgs),
    /// Forget runs that have ended: their events, logs and outputs, and containers of theirs that were kept.
    #[command(after_help = rm::RM_HELP)]
    Rm(RmArgs),
    /// Forget old runs.
    #[command(after_help = rm::GC_HELP)]
    Gc(GcArgs),
    /// Show what would run, in which order, and what would be pulled or created. Starts nothing.
    Plan(PlanArgs),
    /// Run a Rhai script.
    Script(ScriptArgs),
    #[command(after_help = test::HELP)]
    Test(TestArgs),
    /// Change the budget of a run that is live, from any shell.
    ///
    /// What is not given stays as it is. Trials that run go on, also where they would not fit any more; the change counts
    /// for what starts from now on.
    #[command(after_help = set::HELP)]
    Set(SetArgs),
    /// Say what a trial waits for, or how it ended.
    ///
    /// A run that is live answers itself: a place among those that run at once, CPUs, memory, a GPU, a limit, another trial,
    /// an image, other trials' starts, the machine's load. Where none is live, the last run's record shows how the trial ended.
    #[command(after_help = why::HELP)]
    Why(WhyArgs),
    // Their manuals stand with their arguments.
    Ls(LsArgs),
    Ps(PsArgs),
    Show(ShowArgs),
    Logs(LogsArgs),
    Results(ResultsArgs),
    Metrics(MetricsArgs),
    Report(ReportArgs),
    Serve(ServeArgs),
    Export(ExportArgs),
    /// Show the manual: of a verb, of specs, of scripts, of one field or function.
    #[command(after_help = help::after_help())]
    Help(HelpArgs),
    /// Show the run options that are in force, and where each was said.
    #[command(after_help = config::HELP)]
    Config(ConfigArgs),
    /// Print what makes a shell complete combu's command line: verbs, options, runs and trials.
    #[command(after_help = completions::HELP)]
    Completions(CompletionsArgs),
    /// Write the manual pages for man(1).
    #[command(after_help = man::HELP)]
    Man(ManArgs),
    /// Evaluates a spec for the combu that started it.
    #[command(name = evaluator::VERB, hide = true)]
    Evaluate,
    /// Ends local trials when the combu that started them dies.
    #[command(name = "__watch", hide = true)]
    Watch {
        /// The token that the trials of that combu carry in their environment.
        token: String,
    },
}

impl Cli {
    /// Reads a command line. combu's options may stand behind a script's file too.
    ///
    /// # Errors
    /// When it cannot be understood, or asks for help.
    pub(crate) fn read(line: &[OsString]) -> Result<Self, clap::Error> {
        let read = |line: &[OsString]| Self::from_arg_matches(&command().try_get_matches_from(line)?);
        let mut cli = read(line)?;
        if let Verb::Script(args) = &mut cli.verb {
            let mut command = command();
            command.build();
            let verb = command.find_subcommand("script").expect("it is one of the verbs");
            if let Some(line) = args.take_options(line, verb) {
                let again = read(&line)?;
                return match (again.verb, cli.verb) {
                    (Verb::Script(options), Verb::Script(words)) => {
                        Ok(Self { verb: Verb::Script(options.with_words_of(words)), ..again })
                    }
                    _ => unreachable!("the verb is the same"),
                };
            }
        }
        Ok(cli)
    }

    /// Carries out the verb.
    pub(crate) fn dispatch(self, ui: &Ui) -> ExitCode {
        let file = self.file.as_deref();
        if let Err(error) = logging::start(self.verbose, ui) {
            return error.end(ui);
        }
        let ended: Result<u8, CliError> = match self.verb {
            Verb::Run(args) => run::main(file, args, self.detached, ui),
            Verb::Resume(args) => resume::main(file, &args, self.detached, ui),
            Verb::Rerun(args) => rerun::main(file, &args, ui),
            Verb::Diff(args) => diff::main(file, &args, ui),
            Verb::Rm(args) => rm::main(file, &args, ui),
            Verb::Gc(args) => rm::gc(file, &args, ui),
            Verb::Kill(args) => kill::main(file, &args, ui),
            Verb::Plan(args) => plan::main(file, &args, ui),
            Verb::Set(args) => set::main(file, &args, ui),
            Verb::Why(args) => why::main(file, &args, ui),
            Verb::Ls(args) => ls::main(file, &args, ui),
            Verb::Ps(args) => ps::main(file, &args, ui),
            Verb::Show(args) => show::main(file, &args, ui),
            Verb::Logs(args) => logs::main(file, &args, ui),
            Verb::Results(args) => results::main(file, &args, ui),
            Verb::Metrics(args) => metrics::main(file, &args, ui),
            Verb::Report(args) => report::main(file, &args, ui),
            Verb::Serve(args) => serve::main(file, &args, ui),
            Verb::Export(args) => export::main(file, &args, ui),
            Verb::Script(args) => script::main(file, args, ui),
            Verb::Test(args) => test::main(file, &args, ui),
            Verb::Help(args) => help::main(&args, command(), ui),
            Verb::Config(args) => config::main(file, &args, ui),
            Verb::Completions(args) => completions::main(&args, ui),
            Verb::Man(args) => man::main(&args, Cli::command(), ui),
            Verb::Evaluate => return evaluator::serve(ui.stdout(), ui.stderr()),
            Verb::Watch { token } => return engine::local::watch(&token),
        };
        match ended {
            Ok(code) => ExitCode::from(code),
            Err(error) => error.end(ui),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, command};

    #[test]
    fn every_verb_stands_in_one_group() {
        let command = command();
        let verbs: Vec<&str> =
            command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(clap::Command::get_name).collect();
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        for verb in &verbs {
            assert_eq!(listed.iter().filter(|listed| *listed == verb).count(), 1, "{verb}");
        }
        assert_eq!(listed.len(), verbs.len());
    }
}
