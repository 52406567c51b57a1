//! `combu diff`: which trials were added, changed or removed between two runs, or specs.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::args::{JsonnetArgs, OutputForm};
use crate::cli::context::SpecSource;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::named;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::model::options::Options;
use crate::plan::{self, Engines};
use crate::run::session::new_id;
use crate::store::Kinds;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu diff last sweep.jsonnet    what `combu run --resume` would see as new or changed
  combu diff k3jd a81x             two runs
  combu diff old.jsonnet new.jsonnet";

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A spec, or a run: the beginning of its id, or `last`.
    #[arg(value_name = "OLD")]
    old: String,

    /// Another spec or run, to compare with.
    #[arg(value_name = "NEW")]
    new: String,

    /// Print the differences on stdout in this form.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,

    #[command(flatten)]
    jsonnet: JsonnetArgs,
}

/// Trials by name, in resolved form, and what the names of images stood for, where that is known.
struct Side {
    trials: BTreeMap<String, Map<String, Value>>,
    digests: BTreeMap<String, String>,
}

/// A field that differs: its path, and what it was and is.
type FieldChange = (String, Value, Value);

pub(crate) fn main(file: Option<&Path>, args: &DiffArgs, ui: &Ui) -> Result<u8, CliError> {
    // Of two loads of one spec, what stands for the UUID is the same.
    let id = new_id();
    let old = side(file, &args.old, args, &id, ui)?;
    let new = side(file, &args.new, args, &id, ui)?;
    let added: Vec<&String> = new.trials.keys().filter(|name| !old.trials.contains_key(*name)).collect();
    let removed: Vec<&String> = old.trials.keys().filter(|name| !new.trials.contains_key(*name)).collect();
    let mut changed: Vec<(&String, Vec<FieldChange>)> = Vec::new();
    let mut same = 0;
    for (name, before) in &old.trials {
        let Some(after) = new.trials.get(name) else { continue };
        let mut fields = Vec::new();
        compare("", &Value::Object(before.clone()), &Value::Object(after.clone()), &mut fields);
        fields.extend(content(before, after, &old.digests, &new.digests));
        if fields.is_empty() {
            same += 1;
        } else {
            changed.push((name, fields));
        }
    }
    if args.output == Some(OutputForm::Json) {
        let changed: Map<String, Value> = changed
            .iter()
            .map(|(name, fields)| {
                let fields = fields.iter().map(|(path, old, new)| (path.clone(), json!([old, new])));
                ((*name).clone(), Value::Object(fields.collect()))
            })
            .collect();
        let text = json!({"added": added, "removed": removed, "changed": changed, "unchanged": same});
        ui.result(&format!("{text:#}"))?;
        return Ok(exit::OK);
    }
    let mut lines: Vec<String> = added.iter().map(|name| format!("+ {name}")).collect();
    lines.extend(removed.iter().map(|name| format!("- {name}")));
    for (name, fields) in &changed {
        let fields: Vec<_> =
            fields.iter().map(|(path, old, new)| format!("{path}: {} -> {}", shown(old), shown(new))).collect();
        lines.push(format!("~ {name}  {}", fields.join(", ")));
    }
    lines.push(format!(
        "{} added, {} removed, {} changed, {same} unchanged",
        added.len(),
        removed.len(),
        changed.len()
    ));
    ui.result(&lines.join("\n"))?;
    Ok(exit::OK)
}

/// A run where one is meant, else a spec.
fn side(file: Option<&Path>, text: &str, args: &DiffArgs, id: &str, ui: &Ui) -> Result<Side, CliError> {
    let path = Path::new(text);
    if path.exists() || text.contains('.') || SpecSource::is_stdin(path) {
        let source = SpecSource::of(path.to_owned())?;
        let experiment = source.load(&args.jsonnet.load_options(id.to_owned()))?;
        let plan = plan::build(experiment, Options::default(), &Engines::new())?;
        let trials = plan.trials.iter().map(|trial| (trial.name.to_string(), trial.to_json()));
        return Ok(Side { trials: trials.collect(), digests: BTreeMap::new() });
    }
    let meant = named::whole(file, Some(text), ui)?;
    let Some(run) = meant.past.first() else {
        let error =
            CliError::new(exit::NOTHING, format!("no run{} is recorded, and there is no such file", meant.asked));
        return Err(error.hint("`combu ls` lists the runs of this project"));
    };
    let history = run.history(Kinds::WITHOUT_RECORDS)?;
    unread::warn(&history.unread, ui);
    let trials = history.planned().map(|trial| (trial.name.to_string(), trial.to_json()));
    Ok(Side { trials: trials.collect(), digests: history.digests() })
}

/// The fields in which two values differ; what a whole object lacks is one difference.
fn compare(path: &str, old: &Value, new: &Value, fields: &mut Vec<FieldChange>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
            keys.sort_unstable();
            for key in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&below, &of(old), &of(new), fields);
            }
        }
        (old, new) if old != new => fields.push((path.to_owned(), old.clone(), new.clone())),
        _ => {}
    }
}

/// The difference where one name of an image stands for two contents.
fn content(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Option<FieldChange> {
    let image = before.get("image")?.as_str()?;
    if after.get("image")?.as_str()? != image {
        return None;
    }
    let (old, new) = (old.get(image)?, new.get(image)?);
    (old != new).then(|| ("content of the image".to_owned(), old.as_str().into(), new.as_str().into()))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        value => value.to_string(),
    }
}
