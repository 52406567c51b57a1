//! Rungs: successive halving without waiting for all, in the form that stops trials.
//!
//! The rule, also for the first trials at a rung, is that of Optuna's `SuccessiveHalvingPruner`: of n values at a rung the best
//! `n / keep` go on, and at least one.

use std::collections::HashMap;

use crate::model::name::Name;
use crate::model::options::Goal;
use crate::model::pruning::curve::CurvePoint;

/// The rungs of a run, and the values that trials had there.
#[derive(Debug, Clone)]
pub(super) struct Rungs {
    from: u64,
    keep: u64,
    most: Option<u64>,
    rungs: Vec<HashMap<Name, f64>>,
    /// The rung that a trial comes to next.
    next: HashMap<Name, usize>,
}

impl Rungs {
    pub(super) fn new(from: u64, keep: u64, most: Option<u64>) -> Self {
        Self { from, keep, most, rungs: Vec::new(), next: HashMap::new() }
    }

    /// An attempt of the trial begins.
    pub(super) fn begin(&mut self, trial: &Name) {
        self.next.remove(trial);
    }

    /// Why the trial does not go on from the rungs that it has come to, if it does not.
    pub(super) fn judge(&mut self, trial: &Name, goal: &Goal, point: CurvePoint) -> Option<String> {
        let mut rung = self.next.get(trial).copied().unwrap_or_default();
        while let Some(step) = self.step(rung).filter(|step| point.step >= *step) {
            if self.rungs.len() <= rung {
                self.rungs.resize_with(rung + 1, HashMap::new);
            }
            self.rungs[rung].insert(trial.clone(), point.value);
            let there = &self.rungs[rung];
            let better = there.values().filter(|value| goal.order(**value, point.value).is_lt()).count();
            let go_on = (there.len() / usize::try_from(self.keep).unwrap_or(usize::MAX)).max(1);
            rung += 1;
            self.next.insert(trial.clone(), rung);
            if better >= go_on {
                let (metric, value, of) = (&goal.metric, point.value, there.len());
                let best = if go_on == 1 { "the best".to_owned() } else { format!("among the best {go_on}") };
                return Some(format!("its {metric} at step {step}, {value}, is not {best} of {of}"));
            }
        }
        None
    }

    /// The step of a rung; none where nothing is compared any more.
    fn step(&self, rung: usize) -> Option<u64> {
        let step = self.keep.checked_pow(u32::try_from(rung).ok()?)?.checked_mul(self.from)?;
        Some(step).filter(|step| self.most.is_none_or(|most| *step < most))
    }
}
