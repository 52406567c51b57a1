//! An experiment as scripts hold it: cheap to copy, never changed in place.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::model::experiment::Experiment as Model;
use crate::model::options::Options;
use crate::model::trial::Trial;

/// An experiment in a script.
#[derive(Clone)]
pub(crate) struct ScriptExperiment {
    origin: Rc<Origin>,
    trials: Rc<Vec<Arc<Trial>>>,
}

/// Properties that an experiment's filtered and mapped copies share.
#[derive(Debug)]
struct Origin {
    name: String,
    id: String,
    spec: PathBuf,
    options: Options,
}

impl ScriptExperiment {
    pub(crate) fn new(model: Model) -> Self {
        let origin = Origin { name: model.name, id: model.id, spec: model.spec, options: model.options };
        Self { origin: Rc::new(origin), trials: Rc::new(model.trials) }
    }

    /// An experiment a script puts together.
    pub(crate) fn made(name: &str, id: String, script: &Path, trials: Vec<Arc<Trial>>) -> Self {
        let origin = Origin { name: name.to_owned(), id, spec: script.to_owned(), options: Options::default() };
        Self { origin: Rc::new(origin), trials: Rc::new(trials) }
    }

    /// This experiment with other trials.
    pub(crate) fn with_trials(&self, trials: Vec<Arc<Trial>>) -> Self {
        Self { origin: self.origin.clone(), trials: Rc::new(trials) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.origin.name
    }

    pub(crate) fn spec(&self) -> &Path {
        &self.origin.spec
    }

    pub(crate) fn id(&self) -> &str {
        &self.origin.id
    }

    pub(crate) fn options(&self) -> &Options {
        &self.origin.options
    }

    pub(crate) fn trials(&self) -> &[Arc<Trial>] {
        &self.trials
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Trial>> {
        self.trials.iter().find(|trial| trial.name.as_str() == name)
    }

    /// The experiment as `plan` takes it.
    pub(crate) fn to_model(&self) -> Model {
        Model {
            name: self.origin.name.clone(),
            id: self.origin.id.clone(),
            spec: self.origin.spec.clone(),
            options: self.origin.options.clone(),
            trials: self.trials.to_vec(),
        }
    }

    /// The trials that are kept and, unless `exact`, all that those depend on.
    pub(crate) fn keep(&self, keep: &[bool], exact: bool) -> Self {
        let mut keep = keep.to_vec();
        if !exact {
            let places: HashMap<&str, usize> =
                self.trials.iter().enumerate().map(|(place, trial)| (trial.name.as_str(), place)).collect();
            let mut open: Vec<usize> = (0..keep.len()).filter(|place| keep[*place]).collect();
            while let Some(place) = open.pop() {
                for dependency in &self.trials[place].depends {
                    if let Some(&on) = places.get(dependency.trial.as_str())
                        && !keep[on]
                    {
                        keep[on] = true;
                        open.push(on);
                    }
                }
            }
        }
        let kept = self.trials.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(trial, _)| trial.clone());
        self.with_trials(kept.collect())
    }

    /// These trials and those of `other`; a trial that both have alike is there once.
    ///
    /// # Errors
    /// The name of two trials that differ.
    pub(crate) fn merge(&self, other: &Self) -> Result<Self, String> {
        let mut trials = self.trials.to_vec();
        let own: HashMap<&str, &Arc<Trial>> = self.trials.iter().map(|trial| (trial.name.as_str(), trial)).collect();
        for trial in other.trials.iter() {
            match own.get(trial.name.as_str()) {
                Some(known) if *known != trial => return Err(trial.name.to_string()),
                Some(_) => {}
                None => trials.push(trial.clone()),
            }
        }
        Ok(self.with_trials(trials))
    }
}

impl fmt::Display for ScriptExperiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.trials.len();
        write!(f, "experiment {} ({count} trial{})", self.name(), if count == 1 { "" } else { "s" })
    }
}

impl IntoIterator for ScriptExperiment {
    type Item = Arc<Trial>;
    type IntoIter = std::vec::IntoIter<Arc<Trial>>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::clone(&self.trials).into_iter()
    }
}
