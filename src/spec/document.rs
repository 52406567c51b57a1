//! A spec's file: found, read, evaluated, and its top level taken apart.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::experiment::Experiment;
use crate::model::options::Options;
use crate::model::source::source_text;
use crate::model::trial::Trial;
use crate::spec::error::{Mistake, Problems, SpecError};
use crate::spec::evaluator::evaluate;
use crate::spec::fields;
use crate::spec::load::STDIN;
use crate::spec::manifest::Unevaluated;
use crate::spec::options;
use crate::spec::plain;
use crate::spec::reader::{Item, Report};
use crate::spec::search;
use crate::spec::slips::{Slip, slip};
use crate::spec::sources::LoadOptions;
use crate::spec::trial;

/// Loads the experiment that a `.jsonnet`, `.libsonnet` or `.json` file states.
///
/// # Errors
/// The file cannot be read, its jsonnet cannot be evaluated, or the value is no experiment. Two trials of one name
/// and unknown prerequisites are for the plan to find.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Experiment, SpecError> {
    let unreadable = |source: io::Error| SpecError::Read { path: path.to_owned(), source };
    let kind = path.metadata().map_err(unreadable)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let text = "it is no file: `kill` knows what a spec started by the spec's path, which has to last; `-` reads a \
                    spec from standard input";
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, text)));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let spec = path.canonicalize().map_err(unreadable)?;
    let (name, run_options, trials) = read_text(path, &spec, bytes, options)?;
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Experiment { name: name.unwrap_or_else(stem), id: options.id.clone(), spec, options: run_options, trials })
}

/// Loads the experiment that a text states which is in no file; its paths are relative to `folder` (absolute). What it
/// starts is known by the experiment's name, as that of a file there.
///
/// # Errors
/// As those of [`load`]; it has no name, or one that no file can have.
pub fn load_text(folder: &Path, text: Vec<u8>, options: &LoadOptions) -> Result<Experiment, SpecError> {
    let shown = Path::new(STDIN);
    let (name, run_options, trials) = read_text(shown, &folder.join(STDIN), text, options)?;
    let name = name.filter(|name| !name.contains('/')).ok_or_else(|| {
        let message = "a spec from standard input needs a `name` without `/`, by which its runs are known".to_owned();
        let hint = "write { name: 'sweep', trials: [ .. ] }".to_owned();
        SpecError::Invalid { path: shown.to_owned(), problems: alone(message, Some(hint)) }
    })?;
    Ok(Experiment { spec: folder.join(&name), name, id: options.id.clone(), options: run_options, trials })
}

/// Reads the text of a spec, which is at `spec` (absolute), and at `path` in messages.
fn read_text(path: &Path, spec: &Path, bytes: Vec<u8>, options: &LoadOptions) -> Result<Parts, SpecError> {
    let invalid = |problems: Problems| SpecError::Invalid { path: path.to_owned(), problems };
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(alone(format!("not UTF-8 text: see line {line}"), None))
    })?;
    options.sources.note(spec, &text);
    let text = &*source_text(&text);
    if text.trim().is_empty() {
        let hint = "write a list of trials: [{ name: 'first', image: 'busybox' }]".to_owned();
        return Err(invalid(alone("the file is empty".to_owned(), Some(hint))));
    }
    if let Some(Slip { message, hint }) = slip(text) {
        return Err(invalid(alone(message, Some(hint))));
    }
    let folder = spec.parent().unwrap_or(Path::new("/"));
    let read = |value: Value, values: &mut dyn Iterator<Item = Value>| read_document(&value, values, folder);
    let is_json = path.extension().is_some_and(|ending| ending == "json") && options.takes_plain_json();
    let read = match is_json.then(|| plain::parse(text)).flatten() {
        Some(mut value) => {
            let trials = take_trials(&mut value);
            Ok(read(value, &mut trials.into_iter()))
        }
        None => evaluate(spec, text, options, read),
    };
    read.map_err(|Unevaluated { message, hint, at, frames }| SpecError::Jsonnet {
        path: path.to_owned(),
        message,
        hint,
        at,
        frames,
    })?
    .map_err(invalid)
}

fn alone(message: String, hint: Option<String>) -> Problems {
    Problems(vec![Mistake { at: String::new(), message, hint }])
}

/// Takes the trials out of a document, which is left with an empty list of them.
pub(super) fn take_trials(document: &mut Value) -> Vec<Value> {
    let list = match document {
        Value::Object(map) => map.get_mut(fields::TRIALS),
        list => Some(list),
    };
    list.and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default()
}

/// An experiment's name, its options and its trials.
pub(super) type Parts = (Option<String>, Options, Vec<Arc<Trial>>);

/// Reads a document; its list of trials is empty, and their `values` are made while they are read.
pub(super) fn read_document(
    value: &Value,
    values: &mut dyn Iterator<Item = Value>,
    folder: &Path,
) -> Result<Parts, Problems> {
    let report = Report::default();
    let read = experiment(Item::root(value, &report), values, folder);
    report.finish(read)
}

/// Reads a list of trials, or an object around one. The list is empty there; its `values` are made while they are read.
fn experiment(item: Item<'_>, values: &mut dyn Iterator<Item = Value>, folder: &Path) -> Option<Parts> {
    let map = match item.value {
        Value::Array(_) => return trials(item, values, folder, None).map(|trials| (None, Options::default(), trials)),
        Value::Object(map) => map,
        _ => return item.expected("trials: a list of them, or an object {name, defaults, trials, ..}"),
    };
    if map.contains_key("image") && !map.contains_key(fields::TRIALS) {
        return item.fail_with("this is one trial", "write a list around it: [{ .. }]");
    }
    let object = item.object("an experiment", fields::top_names())?;
    let name = object.read("name", |item| item.some_text());
    // For editors alone.
    object.read("$schema", |item| item.text().map(|_| ()));
    // Checked once, here: a fault in the defaults is not repeated for each trial.
    let before = item.report.count();
    object.read("defaults", |item| trial::defaults(item, folder));
    let good = item.report.count() == before;
    let defaults = map.get("defaults").and_then(Value::as_object).filter(|_| good);
    let mut run_options = options::from(&object);
    let read = |item: Item<'_>| trials(item, values, folder, defaults);
    let has = |key: &str| map.get(key).is_some_and(|value| !value.is_null());
    let Some(search) = object.read(fields::SEARCH, |item| search::read(item, defaults, folder)) else {
        // What is wrong with a search is told above.
        let trials = if has(fields::SEARCH) { None } else { object.need(fields::TRIALS, read) };
        return Some((name, run_options, trials?));
    };
    let (search, first) = search;
    run_options.search = Some(Box::new(search));
    let mut trials = if has(fields::TRIALS) { object.need(fields::TRIALS, read)? } else { Vec::new() };
    trials.extend(first);
    Some((name, run_options, trials))
}

fn trials(
    item: Item<'_>,
    values: &mut dyn Iterator<Item = Value>,
    folder: &Path,
    defaults: Option<&Map<String, Value>>,
) -> Option<Vec<Arc<Trial>>> {
    if !item.value.is_array() {
        return item.expected("trials (a list)");
    }
    item.elements(values, |item| match (defaults, item.value) {
        (Some(defaults), Value::Object(own)) => {
            let merged = trial::merge(defaults, own);
            trial::read(item.with(&merged), folder, None).map(Arc::new)
        }
        _ => trial::read(item, folder, None).map(Arc::new),
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::{LoadOptions, load};
    use crate::model::experiment::Experiment;
    use crate::model::trial::Trial;

    const ID: &str = "abcdefghijkl";

    fn options() -> LoadOptions {
        LoadOptions { id: ID.to_owned(), ..LoadOptions::default() }
    }

    /// A folder of files; messages have `LAB` in its place.
    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new(files: &[(&str, &str)]) -> Self {
            let lab = Self(tempfile::tempdir().unwrap());
            for (name, text) in files {
                std::fs::create_dir_all(lab.path(name).parent().unwrap()).unwrap();
                std::fs::write(lab.path(name), text).unwrap();
            }
            lab
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn load(&self, name: &str, options: &LoadOptions) -> Result<Experiment, String> {
            load(&self.path(name), options).map_err(|error| {
                let mut text = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    text = format!("{text}\n  because {error}");
                    cause = error.source();
                }
                if let crate::spec::SpecError::Jsonnet { hint: Some(hint), .. } = &error {
                    text = format!("{text}\n  hint: {hint}");
                }
                text.replace(&self.0.path().canonicalize().unwrap().display().to_string(), "LAB")
                    .replace(&self.0.path().display().to_string(), "LAB")
            })
        }
    }

    fn read(text: &str) -> Result<Experiment, String> {
        Lab::new(&[("maze.jsonnet", text)]).load("maze.jsonnet", &options())
    }

    fn names(trials: &[Arc<Trial>]) -> Vec<&str> {
        trials.iter().map(|trial| trial.name.as_str()).collect()
    }

    #[test]
    fn the_top_level_is_a_list_an_object_or_a_function() {
        let list = read("[{name: 'aa'}, {name: 'bb'}]").unwrap();
        assert_eq!((list.name.as_str(), names(&list.trials)), ("maze", vec!["aa", "bb"]));
        assert!(list.spec.is_absolute() && list.spec.ends_with("maze.jsonnet"));
        assert_eq!(list.id, ID);
        assert_eq!(read("[]").unwrap().trials, []);
        assert_eq!(read("\u{feff}[]").unwrap().trials, []);
        let windows = read("[{\r\n  name: 'aa', cmd: ['sh', '-c', |||\r\n    a\r\n    b\r\n  |||],\r\n}]\r\n").unwrap();
        assert_eq!(windows.trials[0].cmd.as_ref().unwrap()[2], "a\nb\n");

        let object = read("{name: 'IRL 一', trials: [{name: 'aa'}], parallel: 2, seed: 7}").unwrap();
        assert_eq!((object.name.as_str(), object.options.seed), ("IRL 一", Some(7)));

        let lab = Lab::new(&[(
            "maze.jsonnet",
            "function(n, prefix='a') [{name: '%s-%d' % [prefix, i]} for i in std.range(1, n)]",
        )]);
        let given = LoadOptions {
            tla_code: vec![("n".to_owned(), "1 + 1".to_owned())],
            tla_str: vec![("prefix".to_owned(), "b".to_owned())],
            ..options()
        };
        assert_eq!(names(&lab.load("maze.jsonnet", &given).unwrap().trials), ["b-1", "b-2"]);
        assert_eq!(read("function(n=2) [{name: 'a%d' % n}]").unwrap().trials.len(), 1);

        let json = Lab::new(&[("maze.v2.json", r#"[{"name": "aa", "params": {"z": 1, "a": 2}}]"#)]);
        assert_eq!(json.load("maze.v2.json", &options()).unwrap().name, "maze.v2");
    }

    #[test]
    fn a_search_makes_the_trials_that_it_begins_with() {
        let text = "{goal: 'min loss', defaults: {image: 'lab'}, trials: [{name: 'base'}], search: {trials: 20, startup: 3, seed: 1,
            method: 'sobol', space: {lr: [1, 2], wd: {from: 0, to: 1}}, base: {name: 'fit', cmd: 'train {lr}'}}}";
        let searching = read(text).unwrap();
        assert_eq!(names(&searching.trials), ["base", "fit-000", "fit-001", "fit-002"]);
        let (first, search) = (&searching.trials[1], searching.options.search.unwrap());
        assert_eq!((first.image.as_deref(), first.params.len(), search.trials), (Some("lab"), 2, 20));
        assert_eq!(names(&read("{search: null, trials: [{name: 'aa'}]}").unwrap().trials), ["aa"]);
        let wrong = [
            "{search: {space: {}, base: {}, trials: 1}, trials: 3}",
            "{goal: 'min loss', search: {space: {x: [1]}, base: {name: 'aa'}}}",
            "{goal: 'min loss', search: {space: {x: [1]}, base: {name: 'aa'}, trials: 0, metod: 'tpe'}}",
            "{goal: 'min loss', search: {space: {x: [1]}, base: {name: 'aa'}, trials: 5, method: 'grid', enough: 'soon'}}",
            "{goal: 'min loss', search: {space: {x: []}, base: {name: 'aa'}, trials: 5}}",
            "{goal: 'min loss', search: {space: {x: [1]}, base: {name: 'aa', cmd: '{y}'}, trials: 5}}",
            "{goal: 'min loss', search: {space: {x: [1]}, base: {cmd: 'x'}, trials: 5}}",
            "{goal: 'min loss', search: {space: {x: [1, 2]}, base: {name: 'aa'}, trials: 5, method: 'cma'}}",
            "{goal: 'min loss', search: {space: {x: [1]}, base: {name: 'aa', iamge: 'x'}, trials: 5}}",
            "{goal: 'min loss', search: [1]}",
            "{goal: 'min loss', search: null}",
        ];
        insta::assert_snapshot!(wrong.map(|text| read(text).unwrap_err()).join("\n"), @r#"
        spec `LAB/maze.jsonnet` is not valid:
          search: the base has no name; the trials are named after it: `name: "train"`
        spec `LAB/maze.jsonnet` is not valid:
          search: `trials` is missing
        spec `LAB/maze.jsonnet` is not valid:
          search: unknown key `metod`; did you mean `method`?
          search.trials: 0 is not between 1 and 1000000
        spec `LAB/maze.jsonnet` is not valid:
          search.method: `grid` is none of `tpe`, `cma`, `random`, `sobol`
          search.enough: `soon` is no condition: write the name of a metric, `<`, `<=`, `>` or `>=`, and a number: `loss < 0.01`
        spec `LAB/maze.jsonnet` is not valid:
          search: `x` has no values; write `x: [1, 2]`, or leave it out
        spec `LAB/maze.jsonnet` is not valid:
          search: `cmd[0]` asks for `{y}`, which is no param of the trial; did you mean `{x}`?; for braces as they stand, write `{{y}}`
        spec `LAB/maze.jsonnet` is not valid:
          search: the base has no name; the trials are named after it: `name: "train"`
        spec `LAB/maze.jsonnet` is not valid:
          search: CMA-ES searches ranges of numbers, and this space has a list of values; take `tpe(space)`, or run one search for each value
        spec `LAB/maze.jsonnet` is not valid:
          search: its base makes no trial: unknown key `iamge`; did you mean `image`?
        spec `LAB/maze.jsonnet` is not valid:
          search: expected a search: {space, base, trials, ..}, found a list
        spec `LAB/maze.jsonnet` is not valid:
          `trials` is missing
        "#);
    }

    #[test]
    fn labels_are_merged_in_either_form() {
        let read = |defaults: &str, own: &str| {
            let text = format!("{{defaults: {{labels: {defaults}}}, trials: [{{name: 'aa', labels: {own}}}]}}");
            read(&text).map(|experiment| serde_json::to_string(&experiment.trials[0].labels).unwrap())
        };
        for (defaults, own) in [("['a=1', 'b']", "{b: '2'}"), ("{a: '1', b: '3'}", "['b=2']"), ("['a=1']", "['b=2']")] {
            assert_eq!(read(defaults, own).unwrap(), r#"{"a":"1","b":"2"}"#, "{defaults} {own}");
        }
    }

    #[test]
    fn defaults_are_under_each_trial() {
        let experiment = read(
            "{
               defaults: {image: 'busybox', cpus: 2, networks: ['irl'], env: {A: 1, B: 2}, params: {lr: 0.1}},
               trials: [
                 {name: 'aa'},
                 {name: 'bb', cpus: 1, networks: ['x'], env: {B: 3, A: null, C: 4}, params: {seed: 1}},
                 {name: 'cc', cpus: null, env: null},
               ],
             }",
        )
        .unwrap();
        let json: Vec<_> = experiment.trials.iter().map(|trial| serde_json::to_string(trial).unwrap()).collect();
        insta::assert_snapshot!(json.join("\n"), @r#"
        {"name":"aa","image":"busybox","env":{"A":"1","B":"2"},"networks":["irl"],"cpus":2.0,"params":{"lr":0.1}}
        {"name":"bb","image":"busybox","env":{"B":"3","C":"4"},"networks":["x"],"cpus":1.0,"params":{"lr":0.1,"seed":1}}
        {"name":"cc","image":"busybox","networks":["irl"],"params":{"lr":0.1}}
        "#);
    }

    #[test]
    fn a_fault_in_the_defaults_is_told_once() {
        let wrong =
            read("{defaults: {iamge: 'x', name: 'a', cpus: 'x'}, trials: [{name: 'aa'}, {name: 'bb', cpu: 1}]}");
        insta::assert_snapshot!(wrong.unwrap_err(), @r#"
        spec `LAB/maze.jsonnet` is not valid:
          defaults: unknown key `iamge`; did you mean `image`?
          defaults.name: a default name cannot be unique
          defaults.cpus: "x" is not a number of CPUs; write a number above zero, such as 2 or 0.5
          trials[1]: unknown key `cpu`; did you mean `cpus`?
        "#);
    }

    #[test]
    fn the_uuid_is_the_same_in_the_spec_its_imports_and_the_library() {
        let lab = Lab::new(&[
            (
                "maze.jsonnet",
                "local one = 1, u = 'UUID';\n[{name: 'aa', params: {u: u, i: import 'lib/x.libsonnet', e: std.extVar('combu.id'), c: (import 'combu.libsonnet').id, n: 'UUID'}}]",
            ),
            ("lib/x.libsonnet", "local id = \"UUID\"; id"),
        ]);
        let trial = &lab.load("maze.jsonnet", &options()).unwrap().trials[0];
        insta::assert_snapshot!(serde_json::to_string(&trial.params).unwrap(), @r#"{"c":"abcdefghijkl","e":"abcdefghijkl","i":"abcdefghijkl","n":"UUID","u":"abcdefghijkl"}"#);
    }

    #[test]
    fn imports_are_beside_the_file_then_in_the_folders_given() {
        let lab = Lab::new(&[
            (
                "maze.jsonnet",
                "[{name: importstr 'name.txt', params: {a: import 'lib/a.libsonnet', b: import 'b.libsonnet'}}]",
            ),
            ("name.txt", "local-x"),
            ("lib/a.libsonnet", "import 'c.libsonnet'"),
            ("lib/c.libsonnet", "'beside'"),
            ("vendor/b.libsonnet", "'vendor'"),
            ("vendor/c.libsonnet", "'wrong'"),
        ]);
        let given = LoadOptions { jpath: vec![lab.path("vendor")], ..options() };
        let trial = &lab.load("maze.jsonnet", &given).unwrap().trials[0];
        insta::assert_snapshot!(serde_json::to_string(trial).unwrap(), @r#"{"name":"local-x","params":{"a":"beside","b":"vendor"}}"#);
        insta::assert_snapshot!(lab.load("maze.jsonnet", &options()).unwrap_err(), @"
        LAB/maze.jsonnet: `b.libsonnet` cannot be imported: it is not in LAB
          in the value of [0].params.b
        ");
        // One's own file of that name comes first.
        let own = Lab::new(&[("maze.jsonnet", "(import 'combu.libsonnet')"), ("combu.libsonnet", "[{name: 'own'}]")]);
        assert_eq!(names(&own.load("maze.jsonnet", &options()).unwrap().trials), ["own"]);
    }

    #[test]
    fn a_whole_number_that_would_become_another_is_refused_in_the_spec_and_its_imports() {
        insta::assert_snapshot!(read("[{name: 'aa', params: {seed: 9007199254740993}}]").unwrap_err(), @"
        spec `LAB/maze.jsonnet` is not valid:
          line 1: the number 9007199254740993 would become 9007199254740992: jsonnet holds whole numbers exactly up to 2^53; write it as a string: '9007199254740993'
        ");
        let lab = Lab::new(&[
            ("maze.jsonnet", "[{name: 'aa', params: import 'p.libsonnet'}]"),
            ("p.libsonnet", "{\n  seed: 12345678901234567890 }"),
        ]);
        insta::assert_snapshot!(lab.load("maze.jsonnet", &options()).unwrap_err(), @"
        LAB/maze.jsonnet:1:23: `LAB/p.libsonnet`, line 2: the number 12345678901234567890 would become 12345678901234567168: jsonnet holds whole numbers exactly up to 2^53; write it as a string: '12345678901234567890'
            [{name: 'aa', params: import 'p.libsonnet'}]
          in the value of [0].params
        ");
        let json = Lab::new(&[("maze.json", r#"[{"name": "aa", "params": {"seed": 9007199254740993}}]"#)]);
        assert!(json.load("maze.json", &options()).is_err());
    }

    #[test]
    fn external_variables_are_text_or_code() {
        let lab = Lab::new(&[("maze.jsonnet", "[{name: std.extVar('who'), params: std.extVar('point')}]")]);
        let given = LoadOptions {
            ext_str: vec![("who".to_owned(), "aa".to_owned())],
            ext_code: vec![("point".to_owned(), "{lr: 1 / 4}".to_owned())],
            ..options()
        };
        assert_eq!(lab.load("maze.jsonnet", &given).unwrap().trials[0].params["lr"], 0.25);
        insta::assert_snapshot!(lab.load("maze.jsonnet", &options()).unwrap_err(), @"
        LAB/maze.jsonnet:1:19: the external variable `who` is not given
            [{name: std.extVar('who'), params: std.extVar('point')}]
          in the value of [0].name
          hint: give it with `--ext-str who=..` or `--ext-code who=..`
        ");
        let broken = LoadOptions { ext_code: vec![("point".to_owned(), "{lr: }".to_owned())], ..given };
        insta::assert_snapshot!(lab.load("maze.jsonnet", &broken).unwrap_err(), @"
        <inline code>:1:6: syntax error: unexpected '}'
            {lr: }
          in the value of [0].params
          LAB/maze.jsonnet:1:46 function <builtin_ext_var> call
        ");
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let lab = Lab::new(&[("empty.jsonnet", " \n"), ("folder.jsonnet/x", "")]);
        std::fs::write(lab.path("bytes.jsonnet"), b"[\n'\xff']").unwrap();
        insta::assert_snapshot!(lab.load("missing.jsonnet", &options()).unwrap_err(), @"
        failed to read spec `LAB/missing.jsonnet`
          because No such file or directory (os error 2)
        ");
        insta::assert_snapshot!(lab.load("folder.jsonnet", &options()).unwrap_err(), @"
        failed to read spec `LAB/folder.jsonnet`
          because Is a directory (os error 21)
        ");
        insta::assert_snapshot!(lab.load("empty.jsonnet", &options()).unwrap_err(), @"
        spec `LAB/empty.jsonnet` is not valid:
          the file is empty; write a list of trials: [{ name: 'first', image: 'busybox' }]
        ");
        insta::assert_snapshot!(lab.load("bytes.jsonnet", &options()).unwrap_err(), @"
        spec `LAB/bytes.jsonnet` is not valid:
          not UTF-8 text: see line 2
        ");
    }

    #[test]
    fn jsonnet_errors_show_the_line() {
        insta::assert_snapshot!(read("// 迷路の実験\n[\n  { name: 'aa' image: 'x' },\n]").unwrap_err(), @r#"
        LAB/maze.jsonnet:3:16: syntax error: expected '}', got identifier "image"
            { name: 'aa' image: 'x' },
        "#);
        insta::assert_snapshot!(read("[{ name: 'aa' },").unwrap_err(), @"
        LAB/maze.jsonnet:1:17: syntax error: unexpected end of file
            [{ name: 'aa' },
        ");
        insta::assert_snapshot!(read("local 率 = 1; []").unwrap_err(), @"
        LAB/maze.jsonnet:1:7: syntax error: unexpected character
            local 率 = 1; []
          hint: outside of strings and comments jsonnet is ASCII: put quotes around `率..`
        ");
        insta::assert_snapshot!(read("// 迷路\n[{ name: '実験' + x, cmd: y }]").unwrap_err(), @"
        LAB/maze.jsonnet:2:17: undefined local: x; undefined local: y
            [{ name: '実験' + x, cmd: y }]
          LAB/maze.jsonnet:2:25
        ");
        insta::assert_snapshot!(read("local point = { 率: 1, mode: 'a' };\n[{ name: 'aa', cmd: point.mdoe }]").unwrap_err(), @"
        LAB/maze.jsonnet:1:17: syntax error: unexpected character
            local point = { 率: 1, mode: 'a' };
          hint: outside of strings and comments jsonnet is ASCII: put quotes around `率..`
        ");
        insta::assert_snapshot!(read("[{ name: 'aa', cmd: [1, error '率が無い'] }]").unwrap_err(), @"
        LAB/maze.jsonnet:1:25: 率が無い
            [{ name: 'aa', cmd: [1, error '率が無い'] }]
          in the value of [0].cmd[1]
        ");
        insta::assert_snapshot!(read("[{ name: 'aa', assert 1 == 2 : 'never' }]").unwrap_err(), @"
        LAB/maze.jsonnet:1:23: assert failed: never
            [{ name: 'aa', assert 1 == 2 : 'never' }]
          in the value of [0]
        ");
    }

    #[test]
    fn jsonnet_errors_without_a_line_have_the_place_of_the_value() {
        insta::assert_snapshot!(read("[{ name: 'aa' + 1 / 0 }]").unwrap_err(), @"
        LAB/maze.jsonnet: attempted to divide by zero
          in the value of [0].name
        ");
        insta::assert_snapshot!(read("[{ name: 'a%d' % 'b' }]").unwrap_err(), @"
        LAB/maze.jsonnet: type error: expected number, got string
          in the value of [0].name
        ");
        insta::assert_snapshot!(read("[{ name: function(x) x }]").unwrap_err(), @"
        LAB/maze.jsonnet: a function is not a value of a spec
          in the value of [0].name
          hint: call it
        ");
        insta::assert_snapshot!(read("[{\u{3000}name: 'aa' }]").unwrap_err(), @"
        LAB/maze.jsonnet:1:3: syntax error: unexpected character
            [{　name: 'aa' }]
          hint: that blank is not an ASCII one
        ");
        insta::assert_snapshot!(read("local f(n) = n; f()").unwrap_err(), @"
        LAB/maze.jsonnet:1:18: function argument is not passed: x; Function has the following signature: (x)
            local f(n) = n; f()
        ");
        insta::assert_snapshot!(read("function(n) []").unwrap_err(), @"
        LAB/maze.jsonnet: the spec is a function and its argument `n` is not given
          hint: give it with `--tla-str n=..` or `--tla-code n=..`
        ");
    }

    #[test]
    fn an_error_in_an_import_is_shown_there() {
        let lab = Lab::new(&[
            ("maze.jsonnet", "local solver = import 'solver.libsonnet';\n[solver(1)]"),
            ("solver.libsonnet", "// 解\nfunction(n) {\n  name: 'solver' + std.length(n),\n}"),
        ]);
        insta::assert_snapshot!(lab.load("maze.jsonnet", &options()).unwrap_err(), @"
        LAB/solver.libsonnet:3:30: type error: every failed from string | array | object | function:;   - expected string, got number;   - expected array, got number;   - expected object, got number;   - expected function, got number
            name: 'solver' + std.length(n),
          in the value of [0].name
        ");
    }

    #[test]
    fn a_recursion_without_end_is_short() {
        insta::assert_snapshot!(read("local f(x) = f(x + 1) + 1;\n[{ name: f(1) }]").unwrap_err(), @"
        LAB/maze.jsonnet:1:15: calls are nested more than 2000 deep
            local f(x) = f(x + 1) + 1;
          in the value of [0].name
          LAB/maze.jsonnet:2:11 function <f> call
          hint: look for a function that calls itself without an end; many steps are a `std.foldl(..)`
        ");
        insta::assert_snapshot!(read("local a = { b: a };\n[{ name: 'aa', params: a }]").unwrap_err(), @"
        LAB/maze.jsonnet: a value has more than 200 levels; it seems to contain itself
          in the value of [0].params.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b..
        ");
        insta::assert_snapshot!(read("local a = b, b = a;\na").unwrap_err(), @"
        LAB/maze.jsonnet: infinite recursion
          hint: look for a field or a variable that uses itself
        ");
        insta::assert_snapshot!(read("import 'maze.jsonnet'").unwrap_err(), @"
        LAB/maze.jsonnet:1:1: infinite recursion
            import 'maze.jsonnet'
          hint: look for a field or a variable that uses itself
        ");
    }

    #[test]
    fn a_wrong_index_is_told_by_what_was_expected() {
        let message = |text: &str| read(text).unwrap_err().lines().next().unwrap_or_default().to_owned();
        insta::assert_snapshot!(message("local a = [1]; [{ name: 'aa', params: { lr: a['0'] } }]"), @"LAB/maze.jsonnet: wrong index of a value of the type array: expected a number, got a value of the type string");
        insta::assert_snapshot!(message("local a = { b: 1 }; [{ name: 'aa', params: { lr: a[0] } }]"), @"LAB/maze.jsonnet: wrong field of an object: expected a string, got a value of the type number");
        insta::assert_snapshot!(message("local a = 1; [{ name: 'aa', params: { lr: a.b } }]"), @"LAB/maze.jsonnet: a value of the type number has neither elements nor fields");
    }

    #[test]
    fn what_is_no_experiment_is_told_with_its_place() {
        insta::assert_snapshot!(read("{ name: 'aa', image: 'busybox' }").unwrap_err(), @"
        spec `LAB/maze.jsonnet` is not valid:
          this is one trial; write a list around it: [{ .. }]
        ");
        insta::assert_snapshot!(read("'busybox'").unwrap_err(), @r#"
        spec `LAB/maze.jsonnet` is not valid:
          expected trials: a list of them, or an object {name, defaults, trials, ..}, found the string "busybox"
        "#);
        insta::assert_snapshot!(read("{ trails: [], paralel: 2 }").unwrap_err(), @"
        spec `LAB/maze.jsonnet` is not valid:
          unknown key `paralel`; did you mean `parallel`?
          unknown key `trails`; did you mean `trials`?
          `trials` is missing
        ");
        insta::assert_snapshot!(read("{ trials: { a: 1 }, parallel: 'all', name: 3 }").unwrap_err(), @"
        spec `LAB/maze.jsonnet` is not valid:
          name: expected a string, found the number 3
          parallel: `all` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)
          trials: expected trials (a list), found an object
        ");
        insta::assert_snapshot!(
            read("[{ name: 'aa' }, { image: 'x' }, { name: 'bb', ports: [{ host: '80/http', container: 80 }], '題': 1 }, 7]")
                .unwrap_err(),
            @"
        spec `LAB/maze.jsonnet` is not valid:
          [1]: `name` is missing
          [2]: unknown key `題`; `combu help fields` lists the known ones
          [2].ports[0].host: `http` is no protocol: write tcp, udp or sctp
          [3]: expected a trial (an object), found the number 7
        "
        );
    }

    #[test]
    fn arguments_need_a_function() {
        let lab = Lab::new(&[("maze.jsonnet", "[]")]);
        let given = LoadOptions { tla_str: vec![("n".to_owned(), "1".to_owned())], ..options() };
        insta::assert_snapshot!(lab.load("maze.jsonnet", &given).unwrap_err(), @"
        LAB/maze.jsonnet: the spec is not a function, so it cannot take the top-level argument `n`
          hint: write the spec as `function(..) [..]`
        ");
    }

    #[test]
    fn the_library_makes_points_and_names() {
        let read = |code: &str| {
            let text = format!("local combu = import 'combu.libsonnet'; [{{name: 'aa', params: {{x: {code}}}}}]");
            read(&text).map(|experiment| experiment.trials[0].params["x"].to_string())
        };
        let mut made = String::new();
        for code in [
            "combu.grid({seed: [1, 2], lr: [0.1, 0.01]})",
            "combu.grid({})",
            "combu.grid({a: [], b: [1]})",
            "combu.zip({seed: [1, 2], lr: [0.1, 0.01]})",
            "combu.zip({})",
            "combu.name('solver', {mode: 'a', seed: 1, lr: 0.001, on: true})",
            "combu.name('solver')",
            "[combu.name('s', {mode: m}) for m in ['a b', 'a/b', '実験']]",
            "[combu.name('学習', {lr: 0.1}), combu.name('学習'), std.length(combu.name('s', {x: std.repeat('y', 300)}))]",
            "combu.range(0, 0.5, 0.1)",
            "combu.range(0, 1, 0.25)",
            "combu.range(1, 3)",
            "std.length(combu.range(0, 1, 0.1))",
            "combu.range(2, 1)",
            "combu.range(2, 1, -0.5)",
            "combu.linspace(0, 1, 5)",
            "combu.linspace(3, 9, 1)",
            "combu.logspace(-3, -1, 3)",
            "combu.geomspace(0.001, 0.1, 3)",
            "combu.range_step(1, 3, 1)",
            "combu.sample({lr: combu.uniform(0, 1)}, 2, 7) == combu.sample({lr: combu.uniform(0, 1)}, 2, {seed: 7, how: 'random'})",
            "[p.lr > 0.1 && p.lr < 0.2 && p.n >= 1 for p in combu.sample({lr: combu.loguniform(0.1, 0.2), n: {from: 1, to: 3}}, 3)]",
            "combu.trials({name: 'tt', cmd: 'x --lr {lr} ${lr}', params: {k: 1}}, combu.grid({lr: [0.1, 1e-5]}))",
            "std.length(std.set([combu.random(i) for i in std.range(1, 100)]))",
        ] {
            made += &format!("{code} -> {}\n", read(code).unwrap());
        }
        insta::assert_snapshot!(made, @r#"
        combu.grid({seed: [1, 2], lr: [0.1, 0.01]}) -> [{"lr":0.1,"seed":1},{"lr":0.1,"seed":2},{"lr":0.01,"seed":1},{"lr":0.01,"seed":2}]
        combu.grid({}) -> [{}]
        combu.grid({a: [], b: [1]}) -> []
        combu.zip({seed: [1, 2], lr: [0.1, 0.01]}) -> [{"lr":0.1,"seed":1},{"lr":0.01,"seed":2}]
        combu.zip({}) -> []
        combu.name('solver', {mode: 'a', seed: 1, lr: 0.001, on: true}) -> "solver-0.001-a-true-1"
        combu.name('solver') -> "solver"
        [combu.name('s', {mode: m}) for m in ['a b', 'a/b', '実験']] -> ["s-a_b-598625","s-a_b-7fefc7","s-8d2062"]
        [combu.name('学習', {lr: 0.1}), combu.name('学習'), std.length(combu.name('s', {x: std.repeat('y', 300)}))] -> ["a9eb6e-0.1","a9eb6e",60]
        combu.range(0, 0.5, 0.1) -> [0,0.1,0.2,0.3,0.4,0.5]
        combu.range(0, 1, 0.25) -> [0,0.25,0.5,0.75,1]
        combu.range(1, 3) -> [1,2,3]
        std.length(combu.range(0, 1, 0.1)) -> 11
        combu.range(2, 1) -> []
        combu.range(2, 1, -0.5) -> [2,1.5,1]
        combu.linspace(0, 1, 5) -> [0,0.25,0.5,0.75,1]
        combu.linspace(3, 9, 1) -> [3]
        combu.logspace(-3, -1, 3) -> [0.001,0.01,0.1]
        combu.geomspace(0.001, 0.1, 3) -> [0.001,0.01,0.1]
        combu.range_step(1, 3, 1) -> [1,2,3]
        combu.sample({lr: combu.uniform(0, 1)}, 2, 7) == combu.sample({lr: combu.uniform(0, 1)}, 2, {seed: 7, how: 'random'}) -> true
        [p.lr > 0.1 && p.lr < 0.2 && p.n >= 1 for p in combu.sample({lr: combu.loguniform(0.1, 0.2), n: {from: 1, to: 3}}, 3)] -> [true,true,true]
        combu.trials({name: 'tt', cmd: 'x --lr {lr} ${lr}', params: {k: 1}}, combu.grid({lr: [0.1, 1e-5]})) -> [{"cmd":["x","--lr","0.1","${lr}"],"name":"tt-0.1","params":{"k":1,"lr":0.1}},{"cmd":["x","--lr","0.00001","${lr}"],"name":"tt-1e-5","params":{"k":1,"lr":0.00001}}]
        std.length(std.set([combu.random(i) for i in std.range(1, 100)])) -> 100
        "#);
    }

    #[test]
    fn errors_of_the_library_are_shown_there() {
        let read =
            |code: &str| read(&format!("local combu = import 'combu.libsonnet';\n[{{name: 'aa', params: {code}}}]"));
        insta::assert_snapshot!(read("combu.zip({a: [1, 2], b: []})").unwrap_err(), @"
        combu.libsonnet:21:38: zip: the lists differ in length: a has 2, b has 0
            zip(space): std.native('combu.zip')(space),
          in the value of [0].params
          LAB/maze.jsonnet:2:32 function <zip> call
        ");
        insta::assert_snapshot!(read("combu.sample(20, {lr: [0.001, 0.1]})").unwrap_err(), @"
        combu.libsonnet:24:59: sample: the space comes first; write `sample({ lr: uniform(0.001, 0.1) }, 20, { seed: 1 })`
            sample(space, n, options={}): std.native('combu.sample')(space, n, options),
          in the value of [0].params
          LAB/maze.jsonnet:2:35 function <sample> call
        ");
        insta::assert_snapshot!(read("combu.gird({})").unwrap_err(), @"
        LAB/maze.jsonnet: no such field: `gird`
          in the value of [0].params
          hint: did you mean `grid`?
        ");
    }

    #[test]
    fn the_specs_of_the_first_combu_load() {
        let load = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/first-combu");
            load(&folder.join(name), &options()).unwrap().trials
        };
        let config = load("config.jsonnet");
        assert_eq!(names(&config), ["web-0", "web-1", "web-2", "web-3"]);
        assert_eq!((config[3].ports[1].host, config[3].ports[1].container), (Some(22227), 443));

        let irl = load("irl.jsonnet");
        assert_eq!(irl.len(), 103);
        assert_eq!((irl[0].name.as_str(), irl[102].name.as_str()), ("mzld", "irl-soft-50"));
        assert_eq!(irl[1].cmd.as_ref().unwrap(), &["make", "simulate", "MODE=hard", "MAZE_ID=0"]);

        let uuid = load("irl-uuid.jsonnet");
        assert_eq!(uuid.len(), 7);
        assert_eq!(uuid[6].cmd.as_ref().unwrap()[4], format!("--uuid={ID}"));

        let complex = load("complex-dep.jsonnet");
        assert_eq!(complex.len(), 9);
        let depends: Vec<_> = complex[8].depends.iter().map(|edge| edge.trial.as_str()).collect();
        assert_eq!(depends, ["mzld", "irl-hard-3"]);

        let hard = load("hard-sample.jsonnet");
        assert_eq!(hard.len(), 21);
        assert_eq!(hard[0].cmd.as_ref().unwrap(), &["echo", ID]);
        assert_eq!((hard[19].name.as_str(), &hard[19].cmd), ("busybox-a", &None));
        assert_eq!(hard[20].depends[0].trial.as_str(), "busybox-b-10");
    }
}
