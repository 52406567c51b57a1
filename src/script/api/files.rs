//! Files in scripts: text, JSON, CSV, folders, and values from maps.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use globset::{GlobBuilder, GlobMatcher};
use rhai::{Array, Dynamic, Engine, EvalAltResult, Map};
use serde_json::Value;

use crate::model::script::ScriptQuestion;
use crate::model::source::without_mark;
use crate::report::results;
use crate::script::fault::{Answer, fault};
use crate::script::host::Script;
use crate::script::values::convert::from_json;
use crate::script::values::json::to_json;

/// What of a text is not in a file yet, to which it was to be added when the file was so long: before the script died, it may
/// have been.
fn missing<'a>(place: &Path, length: u64, text: &'a [u8]) -> io::Result<&'a [u8]> {
    let mut there = Vec::new();
    match fs::File::open(place) {
        Ok(mut file) if file.metadata()?.is_file() => {
            file.seek(SeekFrom::Start(length))?;
            file.take(text.len() as u64).read_to_end(&mut there)?;
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(text.strip_prefix(&there[..]).unwrap_or(text))
}

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    register_text(engine, script);
    register_values(engine, script);
    engine
        .register_fn("to_json", |value: Dynamic| to_json(&value).map(|json| json.to_string()))
        .register_fn("from_json", |text: &str| {
            serde_json::from_str(text)
                .map(|json: Value| from_json(&json))
                .map_err(|error| fault(format!("no JSON: {error}")))
        })
        .register_fn("get", |map: Map, key: &str, default: Dynamic| map.get(key).cloned().unwrap_or(default))
        .register_fn("hash", |value: Dynamic| to_json(&value).map(|json| hash(&json.to_string())));
}

fn register_text(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("read_file", move |path: &str| read(&made, path));
    let made = script.clone();
    engine.register_fn("write_file", move |path: &str, text: Dynamic| write(&made, path, &text.to_string()));
    let made = script.clone();
    engine.register_fn("append_file", move |path: &str, text: Dynamic| {
        let (place, text) = (made.place(path), text.to_string());
        let sized = place.clone();
        let length = || made.wait_for(move || fs::metadata(sized).map_or(0, |file| file.len()));
        let length = made.transcript.answer(ScriptQuestion::FileLength, length)?;
        let goes_on = made.transcript.goes_on();
        let append = move || {
            let missing = if goes_on { missing(&place, length, text.as_bytes())? } else { text.as_bytes() };
            if missing.is_empty() && !text.is_empty() {
                return Ok(());
            }
            fs::OpenOptions::new().append(true).create(true).open(place)?.write_all(missing)
        };
        done("append to", path, made.wait_for(append)?)
    });
    let made = script.clone();
    engine.register_fn("exists", move |path: &str| {
        let place = made.place(path);
        made.wait_for(move || place.exists())
    });
    let made = script.clone();
    engine.register_fn("mkdir", move |path: &str| {
        let place = made.place(path);
        done("make the folder", path, made.wait_for(move || fs::create_dir_all(place))?)
    });
    let made = script.clone();
    engine.register_fn("glob", move |pattern: &str| {
        let relative = !pattern.starts_with('/');
        let start = if relative { made.folder.to_path_buf() } else { PathBuf::from("/") };
        let asked = pattern.to_owned();
        let search = move || {
            let mut found = Vec::new();
            let parts: Vec<&str> = asked.split('/').filter(|part| !part.is_empty()).collect();
            glob(&start, &parts, &mut found).map(|()| found)
        };
        let mut found = done("search", pattern, made.wait_for(search)?)?;
        found.sort();
        found.dedup();
        let name = |path: &PathBuf| {
            let path = if relative { path.strip_prefix(&made.folder).unwrap_or(path) } else { path };
            Dynamic::from(path.display().to_string())
        };
        Ok::<_, Box<EvalAltResult>>(found.iter().map(name).collect::<Array>())
    });
}

fn register_values(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("read_json", move |path: &str| {
        let value: Value = serde_json::from_str(without_mark(&read(&made, path)?))
            .map_err(|error| fault(format!("`{path}` is no JSON: {error}")))?;
        Ok::<_, Box<EvalAltResult>>(from_json(&value))
    });
    let made = script.clone();
    engine.register_fn("write_json", move |path: &str, value: Dynamic| {
        let value = to_json(&value)?;
        write(&made, path, &format!("{value:#}\n"))
    });
    let made = script.clone();
    engine.register_fn("read_csv", move |path: &str| {
        read_csv(&read(&made, path)?).map_err(|error| fault(format!("`{path}` is no CSV: {error}")))
    });
    let made = script.clone();
    engine.register_fn("write_csv", move |path: &str, rows: Array| write(&made, path, &to_csv(&rows)?));
}

fn done<T>(action: &str, object: &str, outcome: std::io::Result<T>) -> Answer<T> {
    outcome.map_err(|error| fault(format!("cannot {action} `{object}`: {error}")))
}

fn read(script: &Script, path: &str) -> Answer<String> {
    let place = script.place(path);
    done("read", path, script.wait_for(move || fs::read_to_string(place))?)
}

/// Writes a file whole or not at all: a reader, or the script's next life, never sees half of it.
fn write(script: &Script, path: &str, text: &str) -> Answer<()> {
    let target = script.place(path);
    let mut beside = target.clone().into_os_string();
    beside.push(format!(".{}.part", std::process::id()));
    let text = text.to_owned();
    let write = move || {
        let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &target));
        if written.is_err() {
            // Whatever the reason, what is left of it is of no use to anyone.
            let _none = fs::remove_file(&beside);
        }
        written
    };
    done("write", path, script.wait_for(write)?)
}

/// Paths that match a pattern: `*` and `?` within a name, `**` for any number of folders.
fn glob(folder: &Path, parts: &[&str], found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        found.push(folder.to_owned());
        return Ok(());
    };
    if *part == "**" {
        glob(folder, rest, found)?;
    } else if !part.contains(['*', '?']) {
        let path = folder.join(part);
        return if path.exists() { glob(&path, rest, found) } else { Ok(()) };
    }
    if !folder.is_dir() {
        return Ok(());
    }
    let matcher = matcher(part)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if *part == "**" {
            // Links may lead back up; folders that are hidden are not meant.
            if entry.file_type()?.is_dir() && !name.starts_with('.') {
                glob(&entry.path(), parts, found)?;
            }
        } else if matcher.is_match(&name) && (part.starts_with('.') || !name.starts_with('.')) {
            glob(&entry.path(), rest, found)?;
        }
    }
    Ok(())
}

/// What fits a name: `*` and `?` stand for other characters, all others for themselves.
pub(crate) fn matcher(part: &str) -> std::io::Result<GlobMatcher> {
    let signs = part.chars().map(|c| if "*?".contains(c) { c.to_string() } else { globset::escape(&c.to_string()) });
    let glob = GlobBuilder::new(&signs.collect::<String>()).literal_separator(true).backslash_escape(false).build();
    glob.map(|glob| glob.compile_matcher()).map_err(std::io::Error::other)
}

/// A text as the value it looks like. A number is one only where it has the form of one: `007`, `1.10` and an integer that
/// no number holds are texts.
pub(super) fn guessed(text: &str) -> Dynamic {
    match text {
        "" => Dynamic::UNIT,
        "true" => true.into(),
        "false" => false.into(),
        _ => number(text).unwrap_or_else(|| text.into()),
    }
}

/// The number that a text is, if it loses nothing as one.
fn number(text: &str) -> Option<Dynamic> {
    let digits = text.trim_start_matches(['-', '+']);
    let is_padded = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if is_padded {
        return None;
    }
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) if digits.bytes().all(|byte| byte.is_ascii_digit()) => None,
        Err(_) => {
            let is_version = !digits.contains(['e', 'E']) && digits.contains('.') && digits.ends_with('0');
            let is_one_zero = digits.ends_with(".0");
            text.parse::<f64>().ok().filter(|_| !is_version || is_one_zero).map(Dynamic::from)
        }
    }
}

pub(crate) fn read_csv(text: &str) -> Result<Array, csv::Error> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers()?.clone();
    let row = |record: csv::StringRecord| {
        let pairs = headings.iter().zip(record.iter()).map(|(heading, value)| (heading.into(), guessed(value)));
        Dynamic::from_map(pairs.collect())
    };
    reader.records().map(|record| record.map(row)).collect()
}

pub(crate) fn to_csv(rows: &[Dynamic]) -> Answer<String> {
    let mut objects = Vec::with_capacity(rows.len());
    let mut columns: Vec<String> = Vec::new();
    for row in rows {
        let Value::Object(row) = to_json(row)? else {
            return Err(fault("a row of `write_csv` is a map: `[#{x: 1, y: 2}, ..]`"));
        };
        for key in row.keys() {
            if !columns.contains(key) {
                columns.push(key.clone());
            }
        }
        objects.push(row);
    }
    let value = |row: &serde_json::Map<String, Value>, column: &String| row.get(column).cloned().unwrap_or_default();
    let table: Vec<Vec<Value>> =
        objects.iter().map(|row| columns.iter().map(|column| value(row, column)).collect()).collect();
    results::csv(&columns, &table).map_err(|error| fault(format!("cannot write CSV: {error}")))
}

/// 16 hexadecimal digits that are the same on every machine: FNV-1a, 64 bits.
fn hash(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{glob, hash, matcher};
    use crate::script::harness::Lab;

    #[test]
    fn text_json_and_csv_go_to_files_and_back() {
        let script = "mkdir(\"a/b\"); write_file(\"a/b/x.txt\", \"one\\n\"); append_file(\"a/b/x.txt\", \"two\"); print(read_file(\"a/b/x.txt\"));
            print(exists(\"a/b/x.txt\")); print(exists(\"none\")); print(glob(\"**/*.txt\"));
            write_json(\"v.json\", #{ a: [1, 2.5, (), true], n: 0.0 / 0.0 }); print(read_file(\"v.json\")); print(read_json(\"v.json\"));
            write_csv(\"t.csv\", [#{ x: 1, s: \"a,b\" }, #{ x: 0.5, z: true }]); print(read_file(\"t.csv\")); print(read_csv(\"t.csv\"));
            print(to_json(1..3)); print(to_json(trial(#{ name: \"tt\" }))); print(from_json(\"[1, null]\"));
            print(get(#{ a: 1 }, \"b\", 2)); print(hash(#{ a: 1 }) == hash(#{ a: 1 }));";
        assert_snapshot!(Lab::new().output(script), @r#"
        one
        two
        true
        false
        ["a/b/x.txt"]
        {
          "a": [
            1,
            2.5,
            null,
            true
          ],
          "n": null
        }

        #{"a": [1, 2.5, (), true], "n": ()}
        s,x,z
        "a,b",1,
        ,0.5,true

        [#{"s": "a,b", "x": 1, "z": ()}, #{"s": (), "x": 0.5, "z": true}]
        [1,2]
        {"name":"tt"}
        [1, ()]
        2
        true
        "#);
    }

    #[test]
    fn a_failing_file_is_named() {
        let lab = Lab::new();
        lab.file("bad.json", "{").file("bad.csv", "a,b\n1\n");
        assert_snapshot!(lab.output("write_file(\"none/x\", \"\");"), @r#"
        script.rhai:1:1: cannot write `none/x`: No such file or directory (os error 2)
          | write_file("none/x", "");
        "#);
        assert_snapshot!(lab.output("read_json(\"bad.json\");"), @r#"
        script.rhai:1:1: `bad.json` is no JSON: EOF while parsing an object at line 1 column 1
          | read_json("bad.json");
        "#);
        assert_snapshot!(lab.output("read_csv(\"bad.csv\");"), @r#"
        script.rhai:1:1: `bad.csv` is no CSV: CSV error: record 1 (line: 2, byte: 4): found record with 1 fields, but the previous record has 2 fields
          | read_csv("bad.csv");
        "#);
        assert_snapshot!(lab.output("write_csv(\"x.csv\", [1]);"), @r#"
        script.rhai:1:1: a row of `write_csv` is a map: `[#{x: 1, y: 2}, ..]`
          | write_csv("x.csv", [1]);
        "#);
        assert_snapshot!(lab.output("write_json(\"x.json\", #{ deep: [random(1)] });"), @r#"
        script.rhai:1:1: `deep.0`: a value of this type (combu::script::api::random::Random) has no JSON form
          | write_json("x.json", #{ deep: [random(1)] });
        "#);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(""), "cbf29ce484222325");
        assert_eq!(hash("a"), "af63dc4c8601ec8c");
        assert_eq!(hash("foobar"), "85944171f73967e8");
    }

    #[test]
    fn patterns_match_names_and_folders() {
        let matches = |pattern, name| matcher(pattern).unwrap().is_match(name);
        assert!(matches("*.csv", "a.csv") && matches("a?c*", "abcd") && !matches("*.csv", "a.csv.gz"));
        assert!(matches("[a]{b}*", "[a]{b}c") && !matches("[a]*", "a1"), "only * and ? stand for others");
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/x.csv", "a/b/y.csv", "z.csv", ".hidden/w.csv"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| {
            let mut found = Vec::new();
            glob(folder.path(), &pattern.split('/').collect::<Vec<_>>(), &mut found).unwrap();
            found.sort();
            let names = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("**/*.csv"), "a/b/y.csv a/x.csv z.csv");
        assert_eq!(found("*/*.csv"), "a/x.csv");
        assert_eq!(found("none/*.csv"), "");
    }
}
