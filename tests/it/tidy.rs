//! The shape of the code: layers, homes of foreign crates. See `docs/architecture.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may name; `crate::` paths only.
const LAYERS: [(&str, &[&str]); 9] = [
    ("model", &["model"]),
    ("engine", &["engine", "model"]),
    ("plan", &["plan", "model"]),
    ("spec", &["spec", "model"]),
    ("run", &["run", "plan", "engine", "model"]),
    ("report", &["report", "model"]),
    ("store", &["store", "model"]),
    ("script", &["script", "run", "spec", "plan", "engine", "model"]),
    ("cli", &["cli", "script", "report", "store", "run", "spec", "plan", "engine", "model"]),
];

/// Where a foreign crate may be named.
const HOMES: &[(&str, &str)] = &[
    ("bollard", "src/engine/docker/"),
    ("jrsonnet_evaluator", "src/spec/load.rs"),
    ("jrsonnet_stdlib", "src/spec/load.rs"),
    ("jrsonnet_lexer", "src/spec/uuid.rs"),
    ("indicatif", "src/report/progress.rs"),
    ("rhai", "src/script/"),
    ("clap", "src/cli/"),
    ("globset", "src/cli/args/pattern.rs src/script/api/files.rs"),
    ("jiff", "src/cli/time.rs src/engine/docker/"),
    ("strsim", "src/model/suggest.rs"),
    ("regex", "src/engine/records/ src/spec/parts.rs"),
    ("memchr", "src/engine/records/"),
    ("wait4", "src/engine/local/"),
    ("comfy_table", "src/report/ src/script/"),
    ("rusqlite", "src/store/"),
    ("tar", "src/engine/outputs/"),
    ("object_store", "src/run/uploads/"),
    ("reqwest", "src/run/uploads/"),
    ("rustls", "src/run/uploads/"),
    ("sha2", "src/plan/identity.rs src/engine/"),
];

/// Names that say nothing, or mean something else here.
const BANNED: [&str; 9] = ["task", "job", "node", "step", "manager", "helper", "util", "common", "misc"];

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn layer(&self) -> Option<&str> {
        let (layer, _file) = self.path.strip_prefix("src/")?.split_once('/')?;
        Some(layer)
    }

    /// The code above the tests, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("\n#[cfg(test)]\n").unwrap_or(self.text.len());
        let above = &self.text[..tests];
        above.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files(&root().join("src"), "rs", &mut paths);
    paths.sort();
    assert!(paths.len() > 20, "the sources were not found");
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
    };
    paths.into_iter().map(source).collect()
}

fn fail_on(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The words that follow `prefix` in a line.
fn words_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let ends = |rest: &'a str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    line.match_indices(prefix).map(|(at, _)| ends(&line[at + prefix.len()..])).collect()
}

#[test]
fn facts_go_down_only_one_way() {
    let layers = BTreeMap::from(LAYERS);
    let mut faults = Vec::new();
    for source in sources() {
        let Some(layer) = source.layer() else { continue };
        let Some(allowed) = layers.get(layer) else {
            faults.push(format!("{}: `{layer}` is no layer of the picture", source.path));
            continue;
        };
        for (number, line) in source.code() {
            for named in words_after(line, "crate::") {
                if !named.is_empty() && !allowed.contains(&named) {
                    faults.push(format!("{}:{number}: {layer} names {named}", source.path));
                }
            }
            if line.contains("crate::{") {
                faults.push(format!("{}:{number}: import each layer on its own line", source.path));
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn foreign_crates_stay_at_home() {
    let mut faults = Vec::new();
    for source in sources() {
        for (number, line) in source.code() {
            for (name, homes) in HOMES {
                let at_home = homes.split(' ').any(|home| source.path.starts_with(home));
                if !at_home && (line.contains(&format!("{name}::")) || line.contains(&format!("use {name}"))) {
                    faults.push(format!("{}:{number}: {name} lives in {homes}", source.path));
                }
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn the_terminal_has_one_writer() {
    let mut faults = Vec::new();
    for source in sources() {
        if source.path == "src/cli/ui.rs" {
            continue;
        }
        for (number, line) in source.code() {
            if line.contains("io::stdout()") || line.contains("io::stderr()") {
                faults.push(format!("{}:{number}: only src/cli/ui.rs writes to the terminal", source.path));
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    fail_on(&silent.map(|source| format!("{}: starts without `//!`", source.path)).collect::<Vec<_>>());
}

#[test]
fn types_and_modules_are_named_in_our_words() {
    let mut faults = Vec::new();
    for source in sources() {
        let file = Path::new(&source.path).file_stem().unwrap().to_string_lossy().into_owned();
        let mut names = vec![(0, file)];
        for (number, line) in source.code() {
            for keyword in ["struct ", "enum ", "trait ", "mod "] {
                names.extend(words_after(line, keyword).into_iter().map(|name| (number, name.to_lowercase())));
            }
        }
        for (number, name) in names {
            if BANNED.contains(&name.as_str()) {
                faults.push(format!("{}:{number}: `{name}` is not one of our words", source.path));
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn nothing_speaks_of_a_machine_or_a_registry() {
    let mut paths = Vec::new();
    let kinds =
        [("src", "rs"), ("tests", "rs"), ("benches", "rs"), ("docs", "md"), ("scripts", "rhai"), ("stdlib", "rhai")];
    for (folder, ending) in kinds {
        files(&root().join(folder), ending, &mut paths);
    }
    // Written apart, so that this file does not find itself.
    let marks = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("crates", ".io"), concat!("py", "pi.org")];
    let mut faults = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        faults
            .extend(marks.iter().filter(|mark| text.contains(*mark)).map(|mark| format!("{}: {mark}", path.display())));
    }
    fail_on(&faults);
}
