//! `combu man`: the manual pages for man(1).

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu man ~/.local/share/man/man1    combu.1, combu-run.1 and so on, for `man combu-run`
  combu man | man -l -                 the first page at once";

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write the pages to, which is made. Default: combu's own page is printed.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn main(args: &ManArgs, mut command: Command, ui: &Ui) -> Result<u8, CliError> {
    command.build();
    let Some(folder) = &args.folder else {
        ui.result(&page(command)?)?;
        return Ok(exit::OK);
    };
    let failed =
        |error: std::io::Error| CliError::new(exit::INTERNAL, format!("cannot write `{}`: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs: Vec<(String, Command)> =
        verbs.map(|verb| (format!("combu-{}", verb.get_name()), verb.clone())).collect();
    for (name, page_of) in std::iter::once(("combu".to_owned(), command)).chain(verbs) {
        let named = page_of.display_name(name.clone());
        std::fs::write(folder.join(format!("{name}.1")), page(named)?).map_err(failed)?;
    }
    Ok(exit::OK)
}

fn page(command: Command) -> Result<String, CliError> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
