//! The page `docs/cli.md`, from the same comments as `--help`.

use std::fmt::Write;

use clap::CommandFactory;

use crate::cli::exit;
use crate::cli::verbs::Cli;

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
