//! `combu config`: the run options that are in force, and where each was said.

pub(crate) mod file;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::args::{JsonnetArgs, LimitArgs, OutputForm};
use crate::cli::config::file::files;
use crate::cli::context::SpecSource;
use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::options::Options;
use crate::run::session::new_id;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu config                       what the files of the user and the machine say
  combu config sweep.jsonnet -j 4    what a run of that spec would have

Files, in TOML, with the run options as keys (`combu help fields`); the first one that says something wins:
  the options of the command line, a script's `run()`, the spec,
  ~/.config/combu/config.toml (or $XDG_CONFIG_HOME/combu/config.toml), /etc/combu/config.toml";

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// A spec, whose options count as well.
    #[arg(value_name = "FILE")]
    spec: Option<PathBuf>,

    /// Print the options on stdout in this form.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,

    #[command(flatten)]
    jsonnet: JsonnetArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

/// Options, and what says them.
struct Said {
    by: Box<dyn Fn(&str) -> String>,
    options: Map<String, Value>,
}

pub(crate) fn main(file: Option<&Path>, args: &ConfigArgs, ui: &Ui) -> Result<u8, CliError> {
    let all = said(file.or(args.spec.as_deref()), args)?;
    let mut keys: Vec<&String> = all.iter().flat_map(|said| said.options.keys()).collect();
    keys.sort();
    keys.dedup();
    let first = |key: &String| all.iter().find_map(|said| Some((said.options.get(key)?, (said.by)(key))));
    let rows: Vec<(&String, &Value, String)> =
        keys.into_iter().filter_map(|key| first(key).map(|(value, by)| (key, value, by))).collect();
    if args.output == Some(OutputForm::Json) {
        let rows = rows.iter().map(|(key, value, by)| ((*key).clone(), json!({"value": value, "source": by})));
        ui.result(&format!("{:#}", Value::Object(rows.collect())))?;
        return Ok(exit::OK);
    }
    for file in files()? {
        let absent = if file.lines.is_none() { " (not there)" } else { "" };
        ui.message(&format!("{}: {}{absent}", file.owner, file.path.display()));
    }
    let width = rows.iter().map(|(key, ..)| key.len()).max().unwrap_or_default();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let values = rows.iter().map(|(_, value, _)| plain(value).len()).max().unwrap_or_default();
    for (key, value, by) in &rows {
        ui.result(&format!("{key:width$}  {:values$}  {by}", plain(value)))?;
    }
    if rows.is_empty() {
        ui.message("no option is set: every default is in force (`combu help fields`)");
    }
    Ok(exit::OK)
}

/// What each source says, the strongest first.
fn said(spec: Option<&Path>, args: &ConfigArgs) -> Result<Vec<Said>, CliError> {
    let mut all = vec![Said { by: Box::new(|_| "command line".to_owned()), options: map(&args.limits.options()) }];
    if let Some(path) = spec {
        let experiment = SpecSource::of(path.to_owned())?.load(&args.jsonnet.load_options(new_id()))?;
        let name = short_path(path);
        all.push(Said { by: Box::new(move |_| name.clone()), options: map(&experiment.options) });
    }
    for file in files()? {
        let (path, lines) = (file.path.display().to_string(), file.lines.unwrap_or_default());
        let by = move |key: &str| lines.get(key).map_or_else(|| path.clone(), |line| format!("{path}:{line}"));
        all.push(Said { by: Box::new(by), options: map(&file.options) });
    }
    Ok(all)
}

fn map(options: &Options) -> Map<String, Value> {
    match serde_json::to_value(options) {
        Ok(Value::Object(mut map)) => {
            map.retain(|_, value| !value.as_object().is_some_and(Map::is_empty));
            map
        }
        _ => Map::new(),
    }
}
