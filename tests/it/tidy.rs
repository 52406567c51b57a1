//! The shape of the code: layers, homes of foreign crates, order within layers, names. See `docs/architecture.md`.
//!
//! A rule is a function over sources that gives its complaints, so that it can be tried on sources that break it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// What each layer may name; `crate::` paths only.
const LAYERS: [(&str, &[&str]); 14] = [
    ("model", &["model"]),
    ("space", &["space", "model"]),
    ("search", &["search", "space", "model"]),
    ("stats", &["stats", "model"]),
    ("engine", &["engine", "model"]),
    ("plan", &["plan", "model"]),
    ("spec", &["spec", "search", "space", "model"]),
    ("run", &["run", "plan", "engine", "model"]),
    ("report", &["report", "model"]),
    ("page", &["page", "report", "model"]),
    ("export", &["export", "space", "model"]),
    ("store", &["store", "model"]),
    ("script", &["script", "report", "run", "spec", "search", "stats", "space", "plan", "engine", "model"]),
    ("cli", &["cli", "script", "page", "export", "report", "store", "run", "spec", "plan", "engine", "model"]),
];

/// Where a foreign crate may be named: files and folders. Every dependency has a line here or in `FREE`.
const HOMES: &[(&str, &[&str])] = &[
    ("async_trait", &["src/engine/", "src/run/traces/"]),
    ("axum", &["src/cli/serve/"]),
    ("base64", &["src/engine/docker/credentials.rs", "src/page/html.rs"]),
    ("bollard", &["src/engine/docker/"]),
    ("bytes", &["src/engine/docker/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/completions.rs"]),
    ("clap_mangen", &["src/cli/man.rs"]),
    ("comfy_table", &["src/report/table.rs"]),
    ("console", &["src/cli/error.rs", "src/cli/ui.rs", "src/plan/text.rs", "src/report/"]),
    ("csv", &["src/report/results.rs", "src/script/api/files.rs"]),
    ("futures_util", &["src/cli/serve/http.rs", "src/engine/docker/", "src/run/"]),
    ("globset", &["src/cli/args/pattern.rs", "src/script/api/files.rs"]),
    ("humantime", &["src/spec/units.rs"]),
    ("indicatif", &["src/report/progress.rs"]),
    ("jiff", &["src/cli/time.rs", "src/engine/docker/"]),
    ("jrsonnet_evaluator", &["src/spec/load.rs", "src/spec/manifest.rs", "src/spec/natives.rs"]),
    ("jrsonnet_gcmodule", &["src/spec/load.rs", "src/spec/natives.rs"]),
    ("jrsonnet_lexer", &["src/spec/keys.rs", "src/spec/slips.rs", "src/spec/uuid.rs"]),
    ("jrsonnet_stdlib", &["src/spec/load.rs", "src/spec/natives.rs"]),
    ("memchr", &["src/engine/records/"]),
    ("mimalloc", &["src/main.rs"]),
    ("object_store", &["src/run/uploads"]),
    (
        "rand",
        &[
            FUZZ,
            "src/cli/serve/",
            "src/engine/local/",
            "src/run/",
            "src/script/api/random.rs",
            "src/search/",
            "src/space/",
            "src/store/",
        ],
    ),
    ("regex", &["src/engine/records/", "src/spec/parts.rs"]),
    ("reqwest", &["src/cli/stage/on_end/webhook.rs", "src/run/uploads"]),
    ("rhai", &["src/script/"]),
    ("rusqlite", &["src/store/"]),
    (
        "rustix",
        &[
            "src/cli/control/",
            "src/cli/serve/mod.rs",
            "src/cli/stage/",
            "src/engine/",
            "src/run/uploads",
            "src/run/user.rs",
            "src/script/api/system.rs",
            "src/spec/evaluator.rs",
            "src/store/",
        ],
    ),
    ("rustls", &["src/cli/stage/on_end/webhook.rs", "src/run/uploads"]),
    ("sha2", &["src/engine/outputs/", "src/page/html.rs", "src/plan/identity.rs", "src/space/names.rs"]),
    ("shlex", &["src/model/shell.rs", "src/engine/records/parse.rs", "src/plan/text.rs", "src/spec/words.rs"]),
    ("sobol_burley", &["src/space/sample.rs"]),
    ("strsim", &["src/model/suggest.rs"]),
    ("tar", &["src/engine/outputs/"]),
    // In `cli`: what listens beside a run, for connections and for signals.
    ("tokio", &["src/run/", "src/engine/", "src/cli/control/server.rs", "src/cli/serve/", "src/cli/stage/signals.rs"]),
    ("toml", &["src/cli/config/file.rs"]),
    ("tracing", &["src/engine/traced.rs"]),
    ("tracing_subscriber", &["src/cli/logging.rs"]),
    ("wait4", &["src/engine/local/"]),
];

/// Foreign crates that may be named anywhere: how data is written down, and how errors are.
const FREE: [&str; 3] = ["serde", "serde_json", "thiserror"];

/// What fuzz targets have in common, whatever their layer.
const FUZZ: &str = "src/fuzz.rs";

/// Names that say nothing, or mean something else here.
const BANNED: [&str; 7] = ["task", "job", "manager", "helper", "util", "common", "misc"];

#[derive(Clone)]
struct Source {
    path: String,
    text: String,
    /// The text without comments, without what stands in strings, and without the tests at its end. Lines stay in place.
    code: String,
}

/// A path that a source names, from the crate's root.
struct Import {
    line: usize,
    to: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: without_tests(&bare(text)).to_owned() }
    }

    fn layer(&self) -> Option<&str> {
        let (layer, _file) = self.path.strip_prefix("src/")?.split_once('/')?;
        Some(layer)
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The path of its module from the crate's root.
    fn module(&self) -> Vec<String> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if ["mod", "lib", "main"].contains(&parts[parts.len() - 1].as_str()) {
            parts.pop();
        }
        parts
    }

    /// The modules it declares for tests alone.
    fn test_modules(&self) -> impl Iterator<Item = Vec<String>> {
        static DECLARED: LazyLock<Regex> =
            LazyLock::new(|| regex(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod (\w+);"));
        let names = DECLARED.captures_iter(&self.code).map(|found| found[1].to_owned());
        names.map(|name| self.module().into_iter().chain([name]).collect())
    }

    /// Every path below the crate's root that it names: in `use`, and where it is written out.
    fn imports(&self) -> Vec<Import> {
        static USES: LazyLock<Regex> = LazyLock::new(|| regex(r"\buse\s+([^;]+);"));
        static PATHS: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:crate|super|self)(?:::\w+)+"));
        static CHILDREN: LazyLock<Regex> = LazyLock::new(|| regex(r"\bmod (\w+);"));
        let line = |at: usize| self.code[..at].matches('\n').count() + 1;
        let children: BTreeSet<&str> =
            CHILDREN.captures_iter(&self.code).filter_map(|found| found.get(1)).map(|name| name.as_str()).collect();
        let mut named: Vec<(usize, String)> = Vec::new();
        for found in USES.captures_iter(&self.code) {
            let tree = found.get(1).expect("the tree");
            named.extend(unfolded(tree.as_str()).into_iter().map(|path| (line(tree.start()), path)));
        }
        // Emptied in place, so that lines stay what they are.
        let rest =
            USES.replace_all(&self.code, |found: &regex::Captures<'_>| "\n".repeat(found[0].matches('\n').count()));
        let at = |at: usize| rest[..at].matches('\n').count() + 1;
        named.extend(PATHS.find_iter(&rest).map(|path| (at(path.start()), path.as_str().to_owned())));
        for child in &children {
            let starts = rest.match_indices(&format!("{child}::")).map(|(start, _)| start).collect::<Vec<_>>();
            let own = |start: &usize| !rest[..*start].ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c));
            named.extend(starts.into_iter().filter(own).map(|start| (at(start), (*child).to_owned())));
        }
        let absolute = |(line, path): (usize, String)| {
            let mut to = Vec::new();
            let mut parts = path.split("::").map(str::trim);
            match parts.next()? {
                "crate" => {}
                "self" => to = self.module(),
                "super" => {
                    to = self.module();
                    to.pop();
                }
                child if children.contains(child) => {
                    to = self.module();
                    to.push(child.to_owned());
                }
                _ => return None,
            }
            for part in parts {
                match part {
                    "super" => drop(to.pop()),
                    "self" | "" => {}
                    part => to.push(part.to_owned()),
                }
            }
            Some(Import { line, to })
        };
        named.into_iter().filter_map(absolute).collect()
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}

/// The text with blanks for comments and for what stands in strings.
fn bare(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let blank = |code: &mut String, hidden: &str| code.extend(hidden.chars().map(|c| if c == '\n' { c } else { ' ' }));
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let raw = if word { None } else { rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r') };
        let raw = raw.map(|after| (after, after.len() - after.trim_start_matches('#').len()));
        let length = match raw {
            Some((after, signs)) if after[signs..].starts_with('"') => {
                let close = format!("\"{}", "#".repeat(signs));
                let start = rest.len() - after.len() + signs + 1;
                rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len())
            }
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if first == '"' => closed(rest, '"'),
            _ if first == '\'' && rest[1..].starts_with('\\') => closed(rest, '\''),
            _ if first == '\'' && rest.chars().nth(2) == Some('\'') => {
                rest.char_indices().nth(3).map_or(rest.len(), |at| at.0)
            }
            _ => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        blank(&mut code, &rest[..length]);
        rest = &rest[length..];
    }
    code
}

/// The length of a literal up to its closing quote.
fn closed(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The code above the modules of tests that stand at its end.
fn without_tests(code: &str) -> &str {
    static TESTS: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?m)^#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))? )?mod \w+ \{$"));
    let mut above = code.trim_end();
    while let Some(last) = TESTS.find_iter(above).last() {
        let ends_with_it = above[last.end()..].find("\n}").is_some_and(|end| last.end() + end + 2 == above.len());
        if !ends_with_it {
            break;
        }
        above = above[..last.start()].trim_end();
    }
    above
}

/// The paths of a `use` tree: `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn unfolded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let (mut depth, mut start, mut branches) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&inside[start..]);
    let branches = branches.into_iter().filter(|branch| !branch.trim().is_empty()).flat_map(unfolded);
    branches.map(|branch| format!("{}{branch}", before.trim())).collect()
}

/// The sources that are no tests.
fn production(sources: &[Source]) -> Vec<&Source> {
    let tests: Vec<Vec<String>> = sources.iter().flat_map(Source::test_modules).collect();
    sources.iter().filter(|source| !tests.iter().any(|test| source.module().starts_with(test))).collect()
}

// The rules.

fn arrows(sources: &[Source]) -> Vec<String> {
    let layers = BTreeMap::from(LAYERS);
    let mut faults = Vec::new();
    for source in sources {
        let Some(layer) = source.layer() else {
            if !["src/lib.rs", "src/main.rs", FUZZ].contains(&source.path.as_str()) {
                faults.push(format!("{}: stands in no layer", source.path));
            }
            continue;
        };
        let Some(allowed) = layers.get(layer) else {
            faults.push(format!("{}: `{layer}` is no layer of the picture", source.path));
            continue;
        };
        for Import { line, to } in source.imports() {
            // Compiled for tests only, which may begin with its seeds wherever they stand.
            let is_fuzz = |named: &str| FUZZ.strip_prefix("src/").is_some_and(|file| file == format!("{named}.rs"));
            let above = |named: &&String| !allowed.contains(&named.as_str()) && !is_fuzz(named);
            if let Some(named) = to.first().filter(above) {
                faults.push(format!("{}:{line}: {layer} names {named}", source.path));
            }
        }
    }
    faults
}

fn circles(sources: &[Source]) -> Vec<String> {
    let files = production(sources);
    let modules: BTreeMap<Vec<String>, &Source> = files.iter().map(|source| (source.module(), *source)).collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in &files {
        for Import { mut to, .. } in source.imports() {
            // What a `mod.rs` re-exports is imported from that.
            while !to.is_empty() && !modules.contains_key(&to) {
                to.pop();
            }
            let Some(target) = modules.get(&to).filter(|target| target.layer() == source.layer()) else { continue };
            if target.path != source.path && target.layer().is_some() {
                edges.entry(&source.path).or_default().insert(&target.path);
            }
        }
    }
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in edges.keys() {
        let seen = reach.entry(file).or_default();
        let mut open = vec![*file];
        while let Some(file) = open.pop() {
            open.extend(edges.get(file).into_iter().flatten().filter(|next| seen.insert(**next)));
        }
    }
    let circle = |file: &&str| -> Vec<&str> {
        let back = |other: &&&str| reach.get(**other).is_some_and(|seen| seen.contains(file));
        reach[file].iter().filter(back).copied().collect()
    };
    let found: BTreeSet<Vec<&str>> = reach.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    found.iter().map(|files| format!("a circle: {}", files.join(" "))).collect()
}

/// The crates that a manifest lists under `[dependencies]`, as they are named in code.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.ends_with("dev-dependencies]");
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            names.extend(line.split(['=', '.', ' ']).next().map(|name| name.replace('-', "_")));
        }
    }
    names
}

fn homes(sources: &[Source], manifest: &str) -> Vec<String> {
    let known: BTreeMap<&str, &[&str]> = HOMES.iter().copied().collect();
    let mut faults = Vec::new();
    for name in dependencies(manifest) {
        let Some(homes) = known.get(name.as_str()) else {
            if !FREE.contains(&name.as_str()) {
                faults.push(format!("Cargo.toml: {name} has no home in tests/it/tidy.rs"));
            }
            continue;
        };
        let named = regex(&format!(r"(?:^|[^\w:.])(?:{name}::|use {name}\b|extern crate {name}\b)"));
        for source in sources {
            if !source.code.contains(&name) || homes.iter().any(|home| source.path.starts_with(home)) {
                continue;
            }
            let lines = source.lines().filter(|(_, line)| named.is_match(line));
            faults.extend(lines.map(|(line, _)| format!("{}:{line}: {name} lives in {homes:?}", source.path)));
        }
    }
    faults
}

/// The types of a source, with the line of each.
fn types(source: &Source) -> Vec<(usize, String)> {
    // A `type` that is indented belongs to a trait.
    static TYPES: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"^(?:\s*(?:pub(?:\([^)]*\))? )?(?:struct|enum|union|trait)|(?:pub(?:\([^)]*\))? )?type) (\w+)")
    });
    let found = source.lines().filter_map(|(line, text)| Some((line, TYPES.captures(text)?[1].to_owned())));
    found.collect()
}

fn names_of_one_type_each(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in production(sources) {
        for (line, name) in types(source) {
            places.entry(name).or_default().push(format!("{}:{line}", source.path));
        }
    }
    places.retain(|_, places| places.len() > 1);
    places.iter().map(|(name, places)| format!("several types are named {name}: {}", places.join(" "))).collect()
}

fn words(sources: &[Source]) -> Vec<String> {
    static MODULES: LazyLock<Regex> = LazyLock::new(|| regex(r"\bmod (\w+)"));
    let mut faults = Vec::new();
    for source in sources {
        let file = source.module().pop().unwrap_or_default();
        let modules = source
            .lines()
            .flat_map(|(line, text)| MODULES.captures_iter(text).map(move |found| (line, found[1].to_owned())));
        let names = types(source).into_iter().chain(modules).chain([(1, file)]);
        let banned = names.filter(|(_, name)| BANNED.contains(&name.to_lowercase().as_str()));
        faults.extend(banned.map(|(line, name)| format!("{}:{line}: `{name}` is not one of our words", source.path)));
    }
    faults
}

fn folders(sources: &[Source]) -> Vec<String> {
    let mut inside: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for source in production(sources) {
        let path = Path::new(&source.path);
        for (file, folder) in path.ancestors().zip(path.ancestors().skip(1)) {
            inside.entry(folder).or_default().insert(file);
        }
    }
    let lone = inside
        .iter()
        .filter(|(folder, files)| folder.parent().is_some_and(|above| above.starts_with("src")) && files.len() < 2);
    lone.map(|(folder, _)| format!("{}/: a folder for one file", folder.display())).collect()
}

fn terminals(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| source.path != "src/cli/ui.rs") {
        for (line, _) in
            source.lines().filter(|(_, line)| line.contains("io::stdout()") || line.contains("io::stderr()"))
        {
            faults.push(format!("{}:{line}: only src/cli/ui.rs writes to the terminal", source.path));
        }
    }
    faults
}

// The rules, on the code as it is.

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

fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let mut paths = Vec::new();
        files(&root().join("src"), "rs", &mut paths);
        paths.sort();
        assert!(paths.len() > 20, "the sources were not found");
        let source = |path: &PathBuf| {
            Source::new(&path.strip_prefix(root()).unwrap().to_string_lossy(), &fs::read_to_string(path).unwrap())
        };
        paths.iter().map(source).collect()
    });
    &SOURCES
}

fn fail_on(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn facts_go_down_only_one_way() {
    fail_on(&arrows(sources()));
}

#[test]
fn files_of_a_layer_stand_in_an_order() {
    fail_on(&circles(sources()));
}

#[test]
fn foreign_crates_stay_at_home() {
    fail_on(&homes(sources(), &fs::read_to_string(root().join("Cargo.toml")).unwrap()));
}

#[test]
fn a_name_means_one_type() {
    fail_on(&names_of_one_type_each(sources()));
}

#[test]
fn a_folder_holds_several_files() {
    fail_on(&folders(sources()));
}

#[test]
fn the_terminal_has_one_writer() {
    fail_on(&terminals(sources()));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent = sources().iter().filter(|source| !source.text.starts_with("//!"));
    fail_on(&silent.map(|source| format!("{}: starts without `//!`", source.path)).collect::<Vec<_>>());
}

#[test]
fn types_and_modules_are_named_in_our_words() {
    fail_on(&words(sources()));
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

// The rules, on sources that break them.

/// The tree as it is, with `text` in front of what stands in `path`, which need not be there.
fn sources_with(path: &str, text: &str) -> Vec<Source> {
    let mut sources = sources().to_vec();
    let below = sources.iter().position(|source| source.path == path).map(|place| sources.remove(place).text);
    sources.push(Source::new(path, &format!("{text}\n{}", below.unwrap_or_default())));
    sources
}

#[test]
fn a_bad_line_is_seen_wherever_it_stands() {
    let bad = "//! x\nuse crate::cli::ui::Ui;\nuse bollard::Docker;\nstruct Helper;\nfn f() { std::io::stdout(); }\n";
    for path in ["src/script/mod.rs", "src/script/hooks.rs", "src/report/mod.rs"] {
        let sources = sources_with(path, bad);
        assert_eq!(arrows(&sources), [format!("{path}:2: {} names cli", sources.last().unwrap().layer().unwrap())]);
        assert_eq!(homes(&sources, "[dependencies]\nbollard = \"1\"").len(), 1);
        assert_eq!(words(&sources), [format!("{path}:4: `Helper` is not one of our words")]);
        assert_eq!(terminals(&sources).len(), 1);
    }
    let below =
        "//! x\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more {\n    use crate::cli::A;\n}\nuse crate::cli::B;\n";
    let faults = arrows(&[Source::new("src/run/mod.rs", below)]);
    assert_eq!(faults, ["src/run/mod.rs:6: run names cli", "src/run/mod.rs:8: run names cli"]);
    let roundabout =
        Source::new("src/model/name.rs", "use super::super::cli::A;\nfn f() { super::super::run::go() }\n");
    assert_eq!(arrows(&[roundabout]), ["src/model/name.rs:1: model names cli", "src/model/name.rs:2: model names run"]);
    let apart = Source::new(
        "src/model/a.rs",
        "// use crate::cli::A;\nconst A: &str = \"\\\" crate::cli::B\";\nconst B: &str = r#\"\"crate::cli::C\"#;\n#[cfg(test)]\nmod tests {\n    use crate::cli::D;\n}\n",
    );
    assert!(arrows(&[apart]).is_empty());
}

#[test]
fn a_circle_of_two_files_is_seen() {
    let source = |path: &str, text: &str| Source::new(path, text);
    for back in ["use super::a::A;", "use crate::model::a::A;", "fn f(a: &super::a::A) {}"] {
        let door = source("src/model/mod.rs", "mod a;\nmod b;\n");
        let sources =
            [door, source("src/model/a.rs", "use crate::model::{b::B, c};\n"), source("src/model/b.rs", back)];
        assert_eq!(circles(&sources), ["a circle: src/model/a.rs src/model/b.rs"]);
    }
    let exports = Source::new("src/plan/mod.rs", "mod a;\npub use a::A;\npub struct B;\n");
    let uses = Source::new("src/plan/a.rs", "use crate::plan::B;\n");
    assert_eq!(circles(&[exports, uses]), ["a circle: src/plan/a.rs src/plan/mod.rs"]);
}

#[test]
fn a_second_type_of_a_name_is_seen() {
    let place = Source::new("src/spec/made_up.rs", "pub(crate) struct Place {\n    line: usize,\n}\n");
    let mut sources = sources().to_vec();
    sources.push(Source::new("src/spec/first.rs", "enum Place {}\n"));
    assert!(names_of_one_type_each(&sources).len() <= 1);
    sources.push(place);
    let faults = names_of_one_type_each(&sources);
    assert!(faults.len() == 1 && faults[0].contains("Place") && faults[0].contains("made_up.rs:1"), "{faults:?}");
}

#[test]
fn a_crate_without_a_home_is_seen() {
    let manifest = "[dependencies]\nserde = \"1\"\nleft-pad = { version = \"1\", optional = true } # fills\n[dev-dependencies]\ninsta = \"1\"\n";
    assert_eq!(homes(&[], manifest), ["Cargo.toml: left_pad has no home in tests/it/tidy.rs"]);
}

#[test]
fn a_folder_for_one_file_is_seen() {
    let files = ["src/run/mod.rs", "src/run/uploads/mod.rs", "src/run/uploads/tests.rs"];
    let sources = files.map(|path| Source::new(path, "#[cfg(test)]\nmod tests;\n"));
    assert_eq!(folders(&sources), ["src/run/uploads/: a folder for one file"]);
}
