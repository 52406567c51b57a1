//! The page `docs/cli.md`, from the same comments as `--help`. Groups of options that several verbs take stand there once.

use std::fmt::Write;

use clap::Arg;
use clap::builder::StyledStr;

use crate::cli::exit;
use crate::cli::verbs::{GROUPS as VERBS, WIDEST, command_in};

/// Headings of the options that several verbs take.
const GROUPS: [&str; 4] = ["Jsonnet", "Running", "Budget", "Display"];

/// docs/cli.md, from the same comments as `--help`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Command line\n\nGenerated from the program; `combu --help` and `combu VERB --help` say the same.\n",
    );
    let mut command = command_in(WIDEST).term_width(WIDEST);
    command.build();
    section(&mut text, "combu", &command.clone().render_long_help());
    let verbs = VERBS.iter().flat_map(|(_, verbs)| *verbs).filter_map(|verb| command.find_subcommand(verb));
    for verb in verbs {
        let mut page = verb.clone().mut_args(|arg| if group(&arg).is_some() { arg.hide(true) } else { arg });
        section(&mut text, verb.get_bin_name().unwrap_or_default(), &page.render_long_help());
        let has = |heading: &&&str| verb.get_arguments().any(|arg| group(arg) == Some(**heading));
        let groups: Vec<&str> = GROUPS.iter().filter(has).copied().collect();
        if !groups.is_empty() {
            let _infallible = writeln!(
                text,
                "\nAnd the options of [{}](#options-of-run-rerun-resume-plan-and-script).",
                groups.join(", ")
            );
        }
    }
    if let Some(run) = command.find_subcommand("run") {
        let mut groups = run.clone().help_template("{all-args}").mut_args(|arg| {
            let hide = group(&arg).is_none();
            arg.hide(hide)
        });
        let options = groups.render_long_help();
        section(&mut text, "Options of run, rerun, resume, plan and script", &options);
    }
    text.push_str("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in exit::TABLE {
        let _infallible = writeln!(text, "| {code} | {meaning} |");
    }
    text
}

fn group(arg: &Arg) -> Option<&str> {
    arg.get_help_heading().filter(|heading| GROUPS.contains(heading))
}

fn section(text: &mut String, heading: &str, help: &StyledStr) {
    let help = help.to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _infallible = write!(text, "\n## {heading}\n\n```text\n{}\n```\n", lines.join("\n").trim());
}
