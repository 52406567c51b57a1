//! The recorder of one attempt: takes what it records, and counts what cannot be read or must be dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::engine::records::pattern::Pattern;
use crate::model::event::Record;
use crate::model::trial::Trial;

/// Most records of one attempt: each is an event, kept for ever and shown to everybody.
const MOST: usize = 20_000;

/// Takes the records of one attempt and passes them on, many at a time; counts what it cannot read or must drop.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Records>>);

pub(super) struct Records {
    to: Box<dyn Fn(Vec<Record>) + Send>,
    batch: Vec<Record>,
    taken: usize,
    dropped: u64,
    /// The last record of each metric among the dropped ones: it counts most.
    last: BTreeMap<String, Record>,
    unread: u64,
    /// The reason why the first unread line could not be read.
    because: Option<String>,
    patterns: Arc<[Pattern]>,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Records what an attempt of that trial tells; `to` is given records in their order and must not block.
    pub fn new(trial: &Trial, to: impl Fn(Vec<Record>) + Send + 'static) -> Self {
        let patterns = trial.metrics.iter().map(|(name, text)| Pattern::new(name, text));
        let mut inner = Records {
            to: Box::new(to),
            batch: Vec::new(),
            taken: 0,
            dropped: 0,
            last: BTreeMap::new(),
            unread: 0,
            because: None,
            patterns: Arc::new([]),
        };
        let patterns: Result<Arc<[Pattern]>, String> = patterns.collect();
        match patterns {
            Ok(patterns) => inner.patterns = patterns,
            // The spec checked them; whatever is wrong now must not keep the trial from running.
            Err(because) => inner.refuse(because),
        }
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Says what was dropped and what could not be read, as clauses for people. To be asked when all was taken.
    pub fn finish(&self) -> Vec<String> {
        let mut inner = self.lock();
        inner.batch = take(&mut inner.last).into_values().collect();
        inner.pass_on();
        let mut clauses = Vec::new();
        if inner.dropped > 0 {
            let dropped = inner.dropped;
            clauses.push(format!(
                "told more than {MOST} metrics, tags and artifacts: {dropped} were dropped, but for each metric's last"
            ));
        }
        if let Some(because) = inner.because.take() {
            clauses.push(match inner.unread {
                1 => format!("told something that cannot be read: {because}"),
                unread => format!("told something that cannot be read, {unread} times; the first: {because}"),
            });
        }
        clauses
    }

    pub(super) fn patterns(&self) -> Arc<[Pattern]> {
        self.lock().patterns.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().expect("no code panics while it holds the lock")
    }
}

impl Records {
    /// Takes what a line told.
    pub(super) fn hear(&mut self, told: Result<Vec<Record>, String>) {
        match told {
            Ok(records) => records.into_iter().for_each(|record| self.keep(record)),
            Err(because) => self.refuse(because),
        }
    }

    fn keep(&mut self, record: Record) {
        if self.taken < MOST {
            self.taken += 1;
            return self.batch.push(record);
        }
        self.dropped += 1;
        if let Record::Metric { name, .. } = &record
            && (self.last.contains_key(name) || self.last.len() < MOST)
        {
            self.last.insert(name.clone(), record);
        }
    }

    pub(super) fn refuse(&mut self, because: String) {
        self.unread += 1;
        self.because.get_or_insert(because);
    }

    pub(super) fn pass_on(&mut self) {
        if !self.batch.is_empty() {
            (self.to)(take(&mut self.batch));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::{MOST, Recorder};
    use crate::engine::records::scan::Scanner;
    use crate::model::event::Record;
    use crate::model::name::Name;
    use crate::model::trial::Trial;

    /// A recorder for a trial with those patterns, and where it passes records on to.
    pub(in crate::engine::records) fn recorder(patterns: &[(&str, &str)]) -> (Recorder, Arc<Mutex<Vec<Record>>>) {
        let mut trial = Trial::new(Name::parse("a1").unwrap());
        trial.metrics = patterns.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = told.clone();
        (Recorder::new(&trial, move |records| to.lock().unwrap().extend(records)), told)
    }

    /// Records as short lines.
    pub(in crate::engine::records) fn lines(records: &[Record]) -> String {
        let line = |record: &Record| match record {
            Record::Metric { name, value, step: None } => format!("{name}={value}"),
            Record::Metric { name, value, step: Some(step) } => format!("{name}={value} at {step}"),
            Record::Tag { name, value } => format!("tag {name}={value}"),
            Record::Artifact { path } => format!("artifact {path}"),
        };
        records.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_flood_is_cut_off_but_for_each_metrics_last() {
        let (recorder, told) = recorder(&[]);
        let mut scanner = Scanner::of_output(&recorder);
        for count in 0..MOST + 10 {
            scanner.take(format!("::combu metric loss={count}\n").as_bytes());
        }
        scanner.take(b"::combu tag late=true\n");
        assert_eq!(told.lock().unwrap().len(), MOST);
        let clauses = recorder.finish();
        assert_eq!(
            clauses,
            ["told more than 20000 metrics, tags and artifacts: 11 were dropped, but for each metric's last"]
        );
        let told = told.lock().unwrap();
        assert_eq!(lines(&told[MOST..]), format!("loss={}", MOST + 9));
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_the_first_told() {
        let (recorder, _) = recorder(&[("broken", "(")]);
        assert!(recorder.finish()[0].starts_with("told something that cannot be read: `(` is no pattern"));
        let (recorder, told) = super::tests::recorder(&[]);
        let mut scanner = Scanner::of_output(&recorder);
        scanner.take(b"::combu metric loss=nan\n::combu metric\n::combu metrik a=1\n::combu metric loss=1\n");
        let clauses = recorder.finish();
        assert_eq!(
            clauses,
            ["told something that cannot be read, 3 times; the first: `loss=nan`: a metric is a finite number"]
        );
        assert_eq!(lines(&told.lock().unwrap()), "loss=1");
    }
}
