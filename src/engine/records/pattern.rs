//! Patterns of the spec that find metrics in what a trial prints.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use regex::bytes::Regex;

use crate::engine::records::parse::number;
use crate::model::event::Record;

/// Trials of a sweep mostly have the same patterns, and making one takes longer than many trials.
static MADE: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// A metric and what finds it.
#[derive(Debug)]
pub(super) struct Pattern {
    name: String,
    regex: Regex,
}

impl Pattern {
    /// # Errors
    /// A clause about what is wrong with it.
    pub(super) fn new(name: &str, text: &str) -> Result<Self, String> {
        let mut made = MADE.lock().expect("no code panics while it holds the lock");
        let regex = match made.get(text) {
            Some(regex) => regex.clone(),
            None => {
                let regex = Regex::new(text).map_err(|error| format!("`{text}` is no pattern: {error}"))?;
                made.insert(text.to_owned(), regex.clone());
                regex
            }
        };
        Ok(Self { name: name.to_owned(), regex })
    }

    /// Records that the pattern finds in a line.
    pub(super) fn find(&self, line: &[u8]) -> Option<Result<Vec<Record>, String>> {
        let found = self.regex.captures(line)?.get(1)?.as_bytes();
        let value = std::str::from_utf8(found).ok().and_then(|text| number(text.trim()));
        let unread =
            || format!("`{}` found `{}`, which is no finite number", self.name, String::from_utf8_lossy(found));
        let record = |value| vec![Record::Metric { name: self.name.clone(), value, step: None }];
        Some(value.map(record).ok_or_else(unread))
    }
}
