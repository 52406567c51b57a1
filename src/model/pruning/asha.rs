//! Rungs: successive halving without waiting for all, in the form that stops trials.
//!
//! The rule, also for the first trials at a rung, is that of Optuna's `SuccessiveHalvingPruner`: of n values at a rung the best
//! `n / keep` go on, and at least one.

use std::collections::HashMap;

use crate::model::name::Name;
use crate::model::options::{AshaPause, Goal};
use crate::model::pruning::curve::CurvePoint;
use crate::model::pruning::verdict::PruneVerdict;

/// The rungs of a run, and the values that trials had there.
#[derive(Debug, Clone)]
pub(super) struct Rungs {
    from: u64,
    keep: u64,
    most: Option<u64>,
    /// Whether losers are paused.
    pause: Option<AshaPause>,
    rungs: Vec<HashMap<Name, f64>>,
    /// Trials that are paused, and the rung at which they were.
    paused: HashMap<Name, usize>,
    /// The rung that a trial comes to next.
    next: HashMap<Name, usize>,
}

impl Rungs {
    pub(super) fn new(from: u64, keep: u64, most: Option<u64>, pause: Option<AshaPause>) -> Self {
        Self { from, keep, most, pause, rungs: Vec::new(), paused: HashMap::new(), next: HashMap::new() }
    }

    /// An attempt of the trial begins.
    pub(super) fn begin(&mut self, trial: &Name) {
        self.next.remove(trial);
        self.paused.remove(trial);
    }

    /// The trial is paused no longer.
    pub(super) fn goes_on(&mut self, trial: &Name) {
        self.paused.remove(trial);
    }

    /// That the trial does not go on from the rungs that it has come to, if it does not, and which paused ones go on because of
    /// it: with more trials at a rung, more of them are among the best.
    pub(super) fn judge(&mut self, trial: &Name, goal: &Goal, point: CurvePoint) -> Vec<(Name, PruneVerdict)> {
        let mut verdicts = Vec::new();
        let mut rung = self.next.get(trial).copied().unwrap_or_default();
        while let Some(step) = self.step(rung).filter(|step| point.step >= *step) {
            if self.rungs.len() <= rung {
                self.rungs.resize_with(rung + 1, HashMap::new);
            }
            self.rungs[rung].insert(trial.clone(), point.value);
            let there = &self.rungs[rung];
            let better = there.values().filter(|value| goal.order(**value, point.value).is_lt()).count();
            let go_on = (there.len() / usize::try_from(self.keep).unwrap_or(usize::MAX)).max(1);
            let of = there.len();
            verdicts.extend(self.promoted(rung, goal, go_on));
            rung += 1;
            self.next.insert(trial.clone(), rung);
            if better >= go_on {
                let (metric, value) = (&goal.metric, point.value);
                let best = if go_on == 1 { "the best".to_owned() } else { format!("among the best {go_on}") };
                let because = format!("its {metric} at step {step}, {value}, is not {best} of {of}");
                let verdict = match self.pause {
                    Some(AshaPause { hold }) => {
                        self.paused.insert(trial.clone(), rung - 1);
                        PruneVerdict::Pause { because, hold }
                    }
                    None => PruneVerdict::Prune(because),
                };
                verdicts.push((trial.clone(), verdict));
                break;
            }
        }
        verdicts
    }

    /// The trials that were paused at that rung and are among the best there now, the best first.
    fn promoted(&mut self, rung: usize, goal: &Goal, go_on: usize) -> Vec<(Name, PruneVerdict)> {
        if !self.paused.values().any(|at| *at == rung) {
            return Vec::new();
        }
        let mut best: Vec<(&Name, f64)> = self.rungs[rung].iter().map(|(name, value)| (name, *value)).collect();
        best.sort_by(|(one, a), (other, b)| goal.order(*a, *b).then_with(|| one.cmp(other)));
        let promoted: Vec<Name> = best
            .into_iter()
            .take(go_on)
            .filter(|(name, _)| self.paused.get(*name) == Some(&rung))
            .map(|(name, _)| name.clone())
            .collect();
        self.paused.retain(|name, _| !promoted.contains(name));
        promoted.into_iter().map(|name| (name, PruneVerdict::GoOn)).collect()
    }

    /// The step of a rung; none where nothing is compared any more.
    fn step(&self, rung: usize) -> Option<u64> {
        let step = self.keep.checked_pow(u32::try_from(rung).ok()?)?.checked_mul(self.from)?;
        Some(step).filter(|step| self.most.is_none_or(|most| *step < most))
    }
}
