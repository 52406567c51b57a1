//! The median rule: a trial ends whose best value is worse than the median of what the others told on average so far.

use std::collections::HashMap;

use crate::model::name::Name;
use crate::model::options::Goal;
use crate::model::pruning::curve::{Curve, CurvePoint};

/// Why the trial is not worth going on with, if at least `least` others came as far and it is worse than their median.
pub(super) fn judge(
    (trial, point): (&Name, &CurvePoint),
    goal: &Goal,
    least: usize,
    curves: &HashMap<Name, Curve>,
) -> Option<String> {
    let others = curves.iter().filter(|(name, _)| *name != trial);
    let mut means: Vec<f64> = others.filter_map(|(_, curve)| curve.mean_at(point.step)).collect();
    if means.len() < least.max(1) {
        return None;
    }
    means.sort_by(|one, other| goal.order(*one, *other));
    let median = means[means.len() / 2];
    goal.order(median, point.best).is_lt().then(|| {
        let (metric, best, step, of) = (&goal.metric, point.best, point.step, means.len());
        format!("its best {metric} until step {step}, {best}, is worse than the median of {of} others, {median}")
    })
}
