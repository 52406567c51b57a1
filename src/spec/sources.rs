//! What a spec is loaded with, and the texts that are read on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

/// Settings of a load, as the command line or a script gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadOptions {
    /// Folders in which imports are looked for, after the importing file's own.
    pub jpath: Vec<PathBuf>,
    /// External variables that are strings.
    pub ext_str: Vec<(String, String)>,
    /// External variables that are jsonnet code.
    pub ext_code: Vec<(String, String)>,
    /// Top-level arguments that are strings.
    pub tla_str: Vec<(String, String)>,
    /// Top-level arguments that are jsonnet code.
    pub tla_code: Vec<(String, String)>,
    /// What `"UUID"` and `std.extVar("combu.id")` stand for: 12 characters `[a-z0-9]`.
    pub id: String,
    /// The texts of all files that are read are noted here.
    #[serde(skip)]
    pub sources: Sources,
    /// The program that evaluates (with `__evaluate`) in a process of its own, whose memory, stack and time are bounded;
    /// absent: this process does, and nothing is bounded.
    #[serde(skip)]
    pub evaluator: Option<PathBuf>,
}

impl LoadOptions {
    /// Whether plain JSON is all that they ask for: a top-level argument needs a function.
    pub(super) fn takes_plain_json(&self) -> bool {
        self.tla_str.is_empty() && self.tla_code.is_empty()
    }
}

/// Texts of the files that a spec or script was read from, so that a run can be understood and repeated later. Clones
/// share one state.
#[derive(Debug, Clone, Default)]
pub struct Sources(Arc<Mutex<BTreeMap<PathBuf, String>>>);

impl Sources {
    /// Notes a file that was read.
    pub fn note(&self, path: &Path, text: &str) {
        let mut files = self.0.lock().expect("no code panics while it holds the lock");
        files.insert(path.to_owned(), text.to_owned());
    }

    /// All texts, by path.
    pub fn all(&self) -> BTreeMap<PathBuf, String> {
        self.0.lock().expect("no code panics while it holds the lock").clone()
    }
}

/// Equal always: the texts that were read are no part of the settings they stand in.
impl PartialEq for Sources {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Sources {}
