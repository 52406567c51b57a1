//! Completions of the command line in shells: `combu completions SHELL`, and the answers that the shell then asks for.

use std::ffi::OsStr;

use clap::builder::ValueHint;
use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use crate::cli::context::here;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::store::{Kinds, PastRun};

/// The variable by which a shell asks for completions.
const VARIABLE: &str = "COMBU_COMPLETE";

/// Most runs that are offered: the last ones.
const RUNS: usize = 50;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu completions bash > ~/.local/share/bash-completion/completions/combu
  combu completions zsh > ~/.zfunc/_combu       with `fpath+=(~/.zfunc)` before `compinit` in ~/.zshrc
  combu completions fish > ~/.config/fish/completions/combu.fish";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Shells that combu completes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Prints what a shell has to read so that it completes combu's command line.
pub(crate) fn main(args: &CompletionsArgs, ui: &Ui) -> Result<u8, CliError> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name).expect("clap_complete has the shells that are named here");
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "combu", "combu", "combu", &mut script)?;
    ui.result(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}

/// Answers a shell that asks for completions, and ends the process; where none asks, nothing happens.
pub(crate) fn answer(command: fn() -> Command) {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(|| with_values(command())).var(VARIABLE).complete();
    }
}

/// The command line with values that are offered for its arguments, by what the manual calls them.
fn with_values(command: Command) -> Command {
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(command, |command, verb| {
        command.mut_subcommand(verb, |verb| verb.mut_args(|arg| if arg.is_hide_set() { arg } else { offering(arg) }))
    })
}

fn offering(arg: Arg) -> Arg {
    let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    let has = |word: &str| words.contains(&word);
    let is_trial = has("TRIAL") || arg.get_long() == Some("trial");
    match (has("RUN"), is_trial, has("FILE")) {
        (true, true, _) => arg.add(ArgValueCompleter::new(|start: &OsStr| both(runs(start), trials(start)))),
        (true, false, true) => arg.add(ArgValueCompleter::new(|start: &OsStr| both(runs(start), files(start)))),
        (true, false, false) => arg.add(ArgValueCompleter::new(runs)),
        (false, true, _) => arg.add(ArgValueCompleter::new(trials)),
        (false, false, true) => arg.value_hint(ValueHint::FilePath).add(ArgValueCompleter::new(files)),
        (false, false, false) => arg,
    }
}

fn both(mut first: Vec<CompletionCandidate>, second: Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    first.extend(second);
    first
}

/// The runs of the project, the last started first.
fn past() -> Vec<PastRun> {
    let runs = here().ok().and_then(|state| state.past_runs().ok()).map(|past| past.runs);
    runs.unwrap_or_default().into_iter().take(RUNS).collect()
}

fn runs(start: &OsStr) -> Vec<CompletionCandidate> {
    let start = start.to_string_lossy();
    let last = ("last".to_owned(), "the last run".to_owned());
    let runs = past().into_iter().map(|run| (run.record.run.to_string(), run.record.experiment));
    let fitting = std::iter::once(last).chain(runs).filter(|(id, _)| id.starts_with(&*start));
    fitting.map(|(id, about)| CompletionCandidate::new(id).help(Some(about.into()))).collect()
}

/// The trials of the last run, or behind `RUN/` of that one.
fn trials(start: &OsStr) -> Vec<CompletionCandidate> {
    let start = start.to_string_lossy();
    let (run, name) = start.split_once('/').map_or((None, &*start), |(run, name)| (Some(run), name));
    let is_meant = |past: &&PastRun| run.is_none_or(|run| run == "last" || past.record.run.as_str().starts_with(run));
    let past = past();
    let Some(meant) = past.iter().find(is_meant) else { return Vec::new() };
    let Ok(history) = meant.history(Kinds::WITHOUT_RECORDS) else { return Vec::new() };
    let names = history.summary.results.iter().map(|result| result.trial.name.to_string());
    let whole = |name: String| run.map_or_else(|| name.clone(), |run| format!("{run}/{name}"));
    names.filter(|known| known.starts_with(name)).map(|name| CompletionCandidate::new(whole(name))).collect()
}

/// Specs, scripts and folders.
fn files(start: &OsStr) -> Vec<CompletionCandidate> {
    let start = start.to_string_lossy();
    let (folder, name) = start.rsplit_once('/').map_or(("", &*start), |(folder, name)| (folder, name));
    let above = if start.contains('/') { format!("{folder}/") } else { String::new() };
    let read = std::fs::read_dir(if above.is_empty() { "." } else { &above });
    let mut found: Vec<String> = read
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let file = entry.file_name().into_string().ok().filter(|file| file.starts_with(name))?;
            let is_folder = entry.path().is_dir();
            let is_hidden = file.starts_with('.') && !name.starts_with('.');
            let is_ours = [".jsonnet", ".json", ".rhai"].iter().any(|ending| file.ends_with(ending));
            let slash = if is_folder { "/" } else { "" };
            (!is_hidden && (is_folder || is_ours)).then(|| format!("{above}{file}{slash}"))
        })
        .collect();
    found.sort();
    found.into_iter().map(CompletionCandidate::new).collect()
}
