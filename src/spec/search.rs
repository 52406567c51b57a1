//! Searches that specs state: how they are read, and their trials.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::name::Name;
use crate::model::options::{Bound, Goal, SpecSearch};
use crate::model::trial::Trial;
use crate::search::{Method, STARTUP, Searcher};
use crate::space::{BadSpace, Space};
use crate::spec::reader::Item;
use crate::spec::template::Template;
use crate::spec::trial;

/// The keys of a search.
const KEYS: [&str; 7] = ["space", "base", "trials", "method", "seed", "startup", "enough"];

/// Most trials of a search, and most that it begins with.
const MOST: (i64, i64) = (1_000_000, 1000);

/// Reads a search, and makes the trials that it begins with.
pub(super) fn read(
    item: Item<'_>,
    defaults: Option<&Map<String, Value>>,
    folder: &Path,
) -> Option<(SpecSearch, Vec<Arc<Trial>>)> {
    let search = fields(item, defaults)?;
    match SearchTrials::new(&search, folder).and_then(|mut trials| trials.begin()) {
        Ok(first) => Some((search, first)),
        Err(BadSpace { message, hint: Some(hint) }) => item.fail_with(message, hint),
        Err(BadSpace { message, hint: None }) => item.fail(message),
    }
}

/// Reads the fields of a search; what is wrong with its space or its base is found with its first trials.
fn fields(item: Item<'_>, defaults: Option<&Map<String, Value>>) -> Option<SpecSearch> {
    let object = item.object("a search: {space, base, trials, ..}", &KEYS)?;
    let table = |what: &'static str| {
        move |item: Item<'_>| match item.value {
            Value::Object(map) => Some(map.clone()),
            _ => item.expected(what),
        }
    };
    let count = |most| move |item: Item<'_>| item.integer(1, most).and_then(|count| usize::try_from(count).ok());
    let space = object.need("space", table("a space: {lr: combu.loguniform(1e-5, 1), layers: [1, 2, 3]}"));
    let base = object.need("base", table("what its trials have in common: {name, image, cmd, ..}"));
    let trials = object.need("trials", count(MOST.0));
    let method = object.read("method", |item| {
        item.word(&SpecSearch::METHODS, |word| SpecSearch::METHODS.contains(&word).then(|| word.to_owned()))
    });
    let seed = object.read("seed", |item| item.integer(0, i64::MAX)).unwrap_or_default();
    let startup = object.read("startup", count(MOST.1)).unwrap_or(STARTUP);
    let enough = object.read("enough", |item| item.check(Bound::parse(item.text()?)));
    let base = match trial::merge(defaults.unwrap_or(&Map::new()), &base?) {
        Value::Object(base) => base,
        _ => Map::new(),
    };
    let method = method.unwrap_or_else(|| SpecSearch::METHODS[0].to_owned());
    Some(SpecSearch { space: space?, base, trials: trials?, method, seed: seed.cast_unsigned(), startup, enough })
}

/// The trials of a search. Told the same in the same order, it makes the same.
pub struct SearchTrials {
    searcher: Searcher,
    template: Template,
    folder: PathBuf,
    /// How many it still makes.
    left: usize,
    /// How many it makes at once in the beginning.
    startup: usize,
    /// The numbers of those that were made, and not told of.
    numbers: HashMap<Name, usize>,
}

impl SearchTrials {
    /// A search from its beginning; paths in its base are relative to `folder` (absolute).
    ///
    /// # Errors
    /// When a param has no values, or the method cannot have one of that kind.
    pub fn new(search: &SpecSearch, folder: &Path) -> Result<Self, BadSpace> {
        let method = match search.method.as_str() {
            "cma" => Method::Cma,
            "random" => Method::Random,
            "sobol" => Method::Sobol,
            _ => Method::Tpe { startup: search.startup },
        };
        Ok(Self {
            searcher: Searcher::new(Space::read(&search.space)?, method, search.seed)?,
            template: Template::new(search.base.clone()),
            folder: folder.to_owned(),
            left: search.trials,
            startup: search.startup,
            numbers: HashMap::new(),
        })
    }

    /// The trials that it begins with.
    ///
    /// # Errors
    /// As those of [`SearchTrials::make`].
    pub fn begin(&mut self) -> Result<Vec<Arc<Trial>>, BadSpace> {
        let mut first = Vec::new();
        while first.len() < self.startup
            && let Some(trial) = self.make()?
        {
            first.push(Arc::new(trial));
        }
        Ok(first)
    }

    /// One more trial; none where there are enough, or the method waits to be told of those that run.
    ///
    /// # Errors
    /// When the base makes no trial of the point.
    pub fn make(&mut self) -> Result<Option<Trial>, BadSpace> {
        let Some(asked) = (self.left > 0).then(|| self.searcher.ask()).flatten() else { return Ok(None) };
        self.left -= 1;
        let fields = self.template.numbered(asked.number, &asked.point)?;
        let made = trial::trial(&Value::Object(fields), &self.folder);
        let made =
            made.map_err(|problems| BadSpace { message: format!("its base makes no trial: {problems}"), hint: None })?;
        self.numbers.insert(made.name.clone(), asked.number);
        Ok(Some(made))
    }

    /// Whether that trial is one that it made.
    pub fn has(&self, trial: &Name) -> bool {
        self.numbers.contains_key(trial)
    }

    /// How many were made that nobody told of.
    pub fn open(&self) -> usize {
        self.numbers.len()
    }

    /// Takes the value that a trial came to by that goal; without one it failed.
    pub fn tell(&mut self, trial: &Name, value: Option<f64>, goal: &Goal) {
        if let Some(number) = self.numbers.remove(trial) {
            self.searcher.tell(number, value.map(|value| goal.sense.ascending(value)));
        }
    }
}
