//! Pruning: which trials of a run are not worth going on with, by its rules. A fold over the run's events, so that whoever goes
//! on with the run comes to the same judgements.

mod asha;
mod curve;
mod median;

use std::collections::HashMap;

use crate::model::event::{Fact, Record};
use crate::model::name::Name;
use crate::model::options::{Bound, Goal, Options, Prune};
use crate::model::pruning::asha::Rungs;
use crate::model::pruning::curve::Curve;

/// What the rules of a run know of its trials.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pruning {
    goal: Option<Goal>,
    rules: Vec<Prune>,
    rungs: Vec<Rungs>,
    /// What the trials have told of the goal's metric.
    curves: HashMap<Name, Curve>,
}

impl Pruning {
    /// The rules that a run is given.
    pub(crate) fn new(options: &Options) -> Self {
        let rungs = options.prune.iter().filter_map(|rule| match rule {
            Prune::Asha { from, keep, most } => Some(Rungs::new(*from, *keep, *most)),
            _ => None,
        });
        Self { goal: options.goal.clone(), rungs: rungs.collect(), rules: options.prune.clone(), ..Self::default() }
    }

    /// Takes one more fact into account; why its trial is not worth going on with, as a clause, if it is not.
    pub(crate) fn add(&mut self, fact: &Fact) -> Option<String> {
        if self.rules.is_empty() {
            return None;
        }
        match fact {
            Fact::AttemptStarting { trial, .. } => {
                self.curves.insert(trial.clone(), Curve::default());
                self.rungs.iter_mut().for_each(|rungs| rungs.begin(trial));
                None
            }
            // It tells everything again, which was judged.
            Fact::AttemptAdopted { trial, .. } => {
                self.curves.entry(trial.clone()).or_default().again();
                None
            }
            Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. } => {
                self.told(trial, name, *value, *step)
            }
            _ => None,
        }
    }

    fn told(&mut self, trial: &Name, metric: &str, value: f64, step: Option<u64>) -> Option<String> {
        if let Some(bound) = self.beyond(metric, value) {
            return Some(format!("it told {metric} {value}, and `{bound}` ends a trial"));
        }
        let goal = self.goal.as_ref().filter(|goal| &*goal.metric == metric)?;
        let curve = self.curves.entry(trial.clone()).or_default();
        let point = curve.add(value, step, goal)?;
        for rungs in &mut self.rungs {
            if let Some(because) = rungs.judge(trial, goal, point) {
                return Some(because);
            }
        }
        for rule in &self.rules {
            let because = match rule {
                Prune::Median { grace, least } if point.step >= *grace => {
                    median::judge((trial, &point), goal, *least, &self.curves)
                }
                Prune::Plateau { steps, by } => {
                    let stands = self.curves.get(trial).is_some_and(|curve| curve.stands(*steps, *by));
                    stands.then(|| format!("its {metric} has not become better for {steps} values"))
                }
                _ => None,
            };
            if because.is_some() {
                return because;
            }
        }
        None
    }

    fn beyond(&self, metric: &str, value: f64) -> Option<&Bound> {
        let bounds = self.rules.iter().filter_map(|rule| match rule {
            Prune::Beyond(bound) => Some(bound),
            _ => None,
        });
        bounds.into_iter().find(|bound| &*bound.metric == metric && bound.holds(value))
    }
}
