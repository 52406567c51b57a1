//! A curve: what one attempt has told of the goal's metric so far.

use crate::model::options::Goal;

/// What one attempt has told of the goal's metric.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve {
    told: Vec<CurveStep>,
    sum: f64,
    /// The step up to which it was judged.
    judged: u64,
}

/// A value, and what it made of those before.
#[derive(Debug, Clone, Copy)]
struct CurveStep {
    step: u64,
    /// The mean of all values so far.
    mean: f64,
    /// The best of them.
    best: f64,
}

/// A value that is to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurvePoint {
    /// The step it was told for; where none was said, which value it is, from 1.
    pub(super) step: u64,
    /// The value that counts toward the goal.
    pub(super) value: f64,
    /// The best value so far.
    pub(super) best: f64,
}

impl Curve {
    /// Adds a value; gives the point to be judged, if it is beyond those that were.
    pub(super) fn add(&mut self, value: f64, step: Option<u64>, goal: &Goal) -> Option<CurvePoint> {
        if !value.is_finite() {
            return None;
        }
        let count = self.told.len() + 1;
        let step = step.unwrap_or(count as u64);
        self.sum += value;
        let before = self.told.last().map(|told| told.best);
        let best = before.filter(|best| goal.order(*best, value).is_le()).unwrap_or(value);
        self.told.push(CurveStep { step, mean: self.sum / count as f64, best });
        if step <= self.judged {
            return None;
        }
        self.judged = step;
        Some(CurvePoint { step, value: if goal.over_all { best } else { value }, best })
    }

    /// It is told again from its beginning; what was judged stays so.
    pub(super) fn again(&mut self) {
        *self = Self { judged: self.judged, ..Self::default() };
    }

    /// The mean of the values up to that step, if it came as far.
    pub(super) fn mean_at(&self, step: u64) -> Option<f64> {
        let until = self.told.partition_point(|told| told.step <= step);
        let came_as_far = self.told.last().is_some_and(|told| told.step >= step);
        self.told.get(until.checked_sub(1)?).filter(|_| came_as_far).map(|told| told.mean)
    }

    /// Whether its last `steps` values made its best one no better than by `by`.
    pub(super) fn stands(&self, steps: u64, by: f64) -> bool {
        let before = usize::try_from(steps).ok().and_then(|steps| self.told.len().checked_sub(steps + 1));
        let best = |place: usize| self.told[place].best;
        before.is_some_and(|before| (best(self.told.len() - 1) - best(before)).abs() <= by)
    }
}

#[cfg(test)]
mod tests {
    use super::Curve;
    use crate::model::options::Goal;

    fn curve(values: &[f64]) -> Curve {
        let (mut curve, goal) = (Curve::default(), Goal::parse("min loss").unwrap());
        for value in values {
            let point = curve.add(*value, None, &goal).unwrap();
            assert!(point.best <= point.value);
        }
        curve
    }

    #[test]
    fn the_mean_at_a_step_is_of_those_that_came_so_far() {
        let curve = curve(&[1.0, 3.0, 5.0]);
        assert_eq!(
            (1..=4).map(|step| curve.mean_at(step)).collect::<Vec<_>>(),
            [Some(1.0), Some(2.0), Some(3.0), None]
        );
        assert_eq!(curve.mean_at(0), None);
    }

    #[test]
    fn a_curve_stands_that_becomes_no_better() {
        assert!(!curve(&[3.0, 2.0, 1.0]).stands(2, 0.5));
        assert!(curve(&[3.0, 1.0, 1.0, 2.0]).stands(2, 0.0));
        assert!(curve(&[3.0, 1.0, 0.9, 0.8]).stands(2, 0.3));
        assert!(!curve(&[3.0, 1.0, 0.9, 0.8]).stands(2, 0.1));
        assert!(!curve(&[1.0, 1.0]).stands(2, 0.0), "it is too early to say");
    }

    #[test]
    fn what_is_told_again_is_not_judged_again() {
        let goal = Goal::parse("max acc").unwrap();
        let mut curve = Curve::default();
        assert!(curve.add(1.0, Some(10), &goal).is_some() && curve.add(2.0, Some(20), &goal).is_some());
        curve.again();
        assert!(curve.add(1.0, Some(10), &goal).is_none() && curve.add(2.0, Some(20), &goal).is_none());
        let point = curve.add(1.5, Some(30), &goal).unwrap();
        assert_eq!((point.step, point.value, point.best), (30, 1.5, 2.0));
        assert!(curve.add(f64::NAN, Some(40), &goal).is_none());
    }
}
