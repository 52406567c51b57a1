//! Reads a JSON value and knows where in the document it is. Problems are collected, not thrown: reading goes on
//! behind the first one. Knows no field of a trial.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::suggest::nearest;
use crate::spec::error::{Mistake, Problems};

/// Collects the problems of one document.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Vec<Mistake>>);

impl Report {
    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// What was read, unless something was wrong on the way.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, Problems> {
        let problems = self.0.into_inner();
        match read {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }
}

/// The path to a value of a document, from the leaf to the root; written out only when there is a problem.
#[derive(Clone, Copy)]
pub(super) enum DocumentPath<'a> {
    Root,
    Key(&'a DocumentPath<'a>, &'a str),
    Index(&'a DocumentPath<'a>, usize),
}

impl DocumentPath<'_> {
    /// The path as a person would write it in jsonnet; empty for the root.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// How many lists and objects are around it.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(up, _) | Self::Index(up, _) => 1 + up.depth(),
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Key(up, key) => {
                up.write(text);
                push_key(text, key);
            }
            Self::Index(up, index) => {
                up.write(text);
                write!(text, "[{index}]").expect("writing to a string cannot fail");
            }
        }
    }
}

/// Appends `.key`, or `["a key"]` where it is no identifier.
fn push_key(text: &mut String, key: &str) {
    let plain = key.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    let written = match (plain, text.is_empty()) {
        (true, true) => write!(text, "{key}"),
        (true, false) => write!(text, ".{key}"),
        (false, _) => write!(text, "[{key:?}]"),
    };
    written.expect("writing to a string cannot fail");
}

/// A value at its place in the document.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) value: &'a Value,
    pub(super) report: &'a Report,
    path: DocumentPath<'a>,
}

impl<'a> Item<'a> {
    pub(super) fn root(value: &'a Value, report: &'a Report) -> Self {
        Self { value, path: DocumentPath::Root, report }
    }

    /// The same place with another value: a trial with the defaults merged in.
    pub(super) fn with(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// Notes a problem with this value. Always `None`, to be returned.
    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Option<T> {
        self.note(message.into(), None)
    }

    /// Notes a problem with this value and what to write instead.
    pub(super) fn fail_with<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.note(message.into(), Some(hint.into()))
    }

    /// Takes a sentence about a wrong value as a problem.
    pub(super) fn check<T>(&self, read: Result<T, String>) -> Option<T> {
        read.map_or_else(|message| self.fail(message), Some)
    }

    /// Notes that another type was expected.
    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        let hint = matches!((what.split(' ').nth(1), self.value), (Some("list"), Value::String(_)))
            .then(|| format!("write [{}]", self.value));
        self.note(format!("expected {what}, found {}", describe(self.value)), hint)
    }

    fn note<T>(&self, message: String, hint: Option<String>) -> Option<T> {
        self.report.0.borrow_mut().push(Mistake { at: self.path.text(), message, hint });
        None
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => self.without_nul(text),
            _ => self.expected("a string"),
        }
    }

    /// A text as it can be given to a program: none takes a NUL byte.
    fn without_nul(&self, text: &'a str) -> Option<&'a str> {
        if text.contains('\0') { self.fail("no NUL byte can stand in it") } else { Some(text) }
    }

    /// A string that says something.
    pub(super) fn some_text(&self) -> Option<String> {
        match self.text()? {
            text if text.trim().is_empty() => self.fail("an empty string"),
            text => Some(text.to_owned()),
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(truth) => Some(*truth),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number; 3.0 is one, since jsonnet and JSON do not tell it from 3.
    pub(super) fn integer(&self, lowest: i64, highest: i64) -> Option<i64> {
        let number = match self.value {
            Value::Number(number) => number,
            _ => return self.expected("a whole number"),
        };
        let whole = number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 9.0e15).then_some(float as i64)
        });
        match whole {
            Some(whole) if (lowest..=highest).contains(&whole) => Some(whole),
            Some(_) if highest == i64::MAX || highest == i64::from(u32::MAX) => {
                self.fail(format!("{number} is too small or too large: at least {lowest}"))
            }
            Some(_) => self.fail(format!("{number} is not between {lowest} and {highest}")),
            None => self.fail(format!("{number} is not a whole number")),
        }
    }

    pub(super) fn count(&self) -> Option<u32> {
        self.integer(0, u32::MAX.into()).and_then(|count| u32::try_from(count).ok())
    }

    /// A string, or a number or truth value written as one.
    pub(super) fn scalar(&self) -> Option<String> {
        match self.value {
            Value::String(text) => self.without_nul(text).map(ToOwned::to_owned),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Number(number) => Some(plain(number)),
            _ => self.expected("a string, a number, true or false"),
        }
    }

    /// One of a few words, by the vocabulary's own parser.
    pub(super) fn word<T>(&self, words: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text()?;
        parse(text).or_else(|| {
            let message = format!("`{text}` is none of {}", quoted(words));
            match nearest(text, words.iter().copied()) {
                Some(word) => self.fail_with(message, format!("did you mean `{word}`?")),
                None => self.fail(message),
            }
        })
    }

    /// Every element, each read; `None` when one of them is wrong.
    pub(super) fn list<T>(&self, what: &str, read: impl Fn(Item<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(values) = self.value else {
            return self.expected(what);
        };
        self.elements(values.iter(), read)
    }

    /// The elements of a list, each read; `None` when one of them is wrong.
    pub(super) fn elements<T>(
        &self,
        values: impl Iterator<Item: Borrow<Value>>,
        read: impl Fn(Item<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut elements = Some(Vec::new());
        for (index, value) in values.enumerate() {
            match (read(self.element(index, value.borrow())), &mut elements) {
                (Some(element), Some(elements)) => elements.push(element),
                // The others are read all the same: for their problems.
                _ => elements = None,
            }
        }
        elements
    }

    /// Every key with a value that is not null, each read.
    pub(super) fn table<T>(
        &self,
        what: &str,
        read: impl Fn(&str, Item<'_>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let Value::Object(map) = self.value else {
            return self.expected(what);
        };
        let read: Vec<Option<(String, T)>> = map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| {
                let item = self.key(key, value);
                if key.contains('\0') {
                    return item.fail("no NUL byte can stand in its name");
                }
                Some((key.clone(), read(key, item)?))
            })
            .collect();
        read.into_iter().collect()
    }

    /// An object with these keys and no others.
    pub(super) fn object(&'a self, what: &str, keys: &[&str]) -> Option<Object<'a>> {
        let Value::Object(map) = self.value else {
            return self.expected(what);
        };
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            let message = format!("unknown key `{key}`");
            let instead = || INSTEAD.iter().find(|(of, theirs, _)| keys.contains(of) && theirs == key);
            let hint = match from_compose(key, keys).or_else(|| nearest(key, keys.iter().copied())) {
                Some(known) => format!("did you mean `{known}`?"),
                None if let Some((.., advice)) = instead() => (*advice).to_owned(),
                None if keys.len() <= 6 => format!("known are {}", quoted(keys)),
                None => "`combu help fields` lists the known ones".to_owned(),
            };
            self.note::<()>(message, Some(hint));
        }
        Some(Object { item: self, map })
    }

    fn element<'b>(&'b self, index: usize, value: &'b Value) -> Item<'b> {
        Item { value, path: DocumentPath::Index(&self.path, index), report: self.report }
    }

    fn key<'b>(&'b self, key: &'b str, value: &'b Value) -> Item<'b> {
        Item { value, path: DocumentPath::Key(&self.path, key), report: self.report }
    }
}

/// An object whose keys are known to be good.
pub(super) struct Object<'a> {
    item: &'a Item<'a>,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// The value of a key; null is as good as absent.
    pub(super) fn get(&'a self, key: &'a str) -> Option<Item<'a>> {
        // Most trials say little in many fields, and a hash takes longer than a few looks.
        let value = match self.map.len() {
            0..=8 => self.map.iter().find(|(known, _)| *known == key).map(|(_, value)| value),
            _ => self.map.get(key),
        };
        value.filter(|value| !value.is_null()).map(|value| self.item.key(key, value))
    }

    /// The value of a key, read.
    pub(super) fn read<T>(&self, key: &str, read: impl FnOnce(Item<'_>) -> Option<T>) -> Option<T> {
        self.get(key).and_then(read)
    }

    /// The value of a key, read; a problem when there is none.
    pub(super) fn need<T>(&self, key: &str, read: impl FnOnce(Item<'_>) -> Option<T>) -> Option<T> {
        match self.get(key) {
            Some(item) => read(item),
            None => self.item.fail(format!("`{key}` is missing")),
        }
    }
}

/// A number as people write it: 3.0 is `3`.
fn plain(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9.0e15 => (float as i64).to_string(),
        _ => number.to_string(),
    }
}

/// What compose calls otherwise, as its reference has it.
const COMPOSE: [(&str, &str); 11] = [
    ("command", "cmd"),
    ("container_name", "name"),
    ("depends_on", "depends"),
    ("environment", "env"),
    ("mem_limit", "memory"),
    ("pull_policy", "pull"),
    ("restart", "retries"),
    ("source", "host"),
    ("stop_grace_period", "stop_grace"),
    ("target", "container"),
    ("working_dir", "workdir"),
];

/// What compose has and a spec has not: a field that is known where it stands, its name, and what to do instead.
const INSTEAD: [(&str, &str, &str); 14] = [
    ("image", "build", "build the image first, `docker build -t NAME .`, and write `image: 'NAME'`"),
    ("image", "configs", "mount the file with `volumes`"),
    ("image", "deploy", "write `cpus`, `memory` and `gpus`"),
    ("image", "expose", "leave it out: trials on one network reach all ports of each other"),
    ("image", "links", "leave it out: trials on one network find each other by name"),
    ("image", "logging", "leave it out: combu keeps every log"),
    ("image", "network_mode", "write `networks: ['none']` or `networks: ['host']`"),
    ("image", "privileged", "write what it needs it for: `devices`, `cap_add`"),
    ("image", "profiles", "choose trials when you run them: `--trial NAME` or `--where EXPR`"),
    ("image", "runtime", "for GPUs write `gpus: 1`; other runtimes are a matter of the daemon"),
    ("image", "secrets", "mount the file with `volumes`, or pass a variable on with `pass_env`"),
    ("image", "stdin_open", "leave it out: nobody types into a trial"),
    ("image", "tty", "leave it out: nobody types into a trial"),
    ("container", "type", "leave it out: a `host` that is a path is mounted, and a bare name is a volume"),
];

fn from_compose<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let (_, ours) = COMPOSE.iter().find(|(theirs, _)| *theirs == key)?;
    known.iter().find(|known| *known == ours).copied()
}

/// True for a key of compose files that has another name here.
#[cfg(test)]
pub(super) fn is_of_compose(key: &str) -> bool {
    COMPOSE.iter().any(|(theirs, _)| *theirs == key)
}

/// `a`, `b` or `c`, in backticks.
pub(super) fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn describe(value: &Value) -> String {
    const LONGEST: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(values) if values.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > LONGEST => {
            format!("the string \"{}...\"", text.chars().take(LONGEST).collect::<String>())
        }
        Value::String(text) => format!("the string {text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{DocumentPath, Item, Report};

    #[test]
    fn places_read_like_jsonnet() {
        let element = DocumentPath::Index(&DocumentPath::Root, 3);
        let ports = DocumentPath::Key(&element, "ports");
        let odd = DocumentPath::Key(&ports, "a key");
        assert_eq!(odd.text(), r#"[3].ports["a key"]"#);
        assert_eq!(odd.depth(), 3);
        assert_eq!(DocumentPath::Key(&DocumentPath::Root, "学習率").text(), "学習率");
    }

    #[test]
    fn a_list_is_read_behind_its_first_problem() {
        let value = json!(["a", 1, "b", null]);
        let report = Report::default();
        let read = Item::root(&value, &report).list("a list of strings", |item| item.some_text());
        let problems = report.finish(read).unwrap_err();
        insta::assert_snapshot!(problems, @"
        [1]: expected a string, found the number 1
        [3]: expected a string, found null
        ");
    }

    #[test]
    fn a_float_without_fraction_is_a_whole_number() {
        let value = json!(3.0);
        let report = Report::default();
        assert_eq!(Item::root(&value, &report).integer(0, 5), Some(3));
        assert_eq!(Item::root(&value, &report).scalar(), Some("3".to_owned()));
    }

    #[test]
    fn composes_words_lead_to_ours() {
        let trial =
            serde_json::json!({ "name": "t1", "image": "x", "command": "a", "depends_on": [], "environment": {} });
        let problems = crate::spec::trial(&trial, std::path::Path::new("/")).unwrap_err().0;
        let hints: Vec<_> = problems.into_iter().filter_map(|problem| problem.hint).collect();
        assert_eq!(hints, ["did you mean `cmd`?", "did you mean `depends`?", "did you mean `env`?"]);
        let trial = serde_json::json!({
            "name": "t1", "image": "x", "build": ".", "volumes": [{"type": "bind", "source": "./a", "target": "/a"}],
        });
        let problems = crate::spec::trial(&trial, std::path::Path::new("/")).unwrap_err().0;
        let hints: Vec<_> = problems.into_iter().filter_map(|problem| problem.hint).collect();
        let [build, host, container, kind] = [&hints[0], &hints[2], &hints[3], &hints[1]];
        assert!(build.starts_with("build the image first"), "{hints:?}");
        assert_eq!([host, container], ["did you mean `host`?", "did you mean `container`?"]);
        assert!(kind.starts_with("leave it out"), "{hints:?}");
    }
}
