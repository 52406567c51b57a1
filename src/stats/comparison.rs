//! A comparison of two means.

use crate::stats::sample::{Sample, half_width};
use crate::stats::student;

/// How two means differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The first mean minus the second; of pairs, the mean of their differences.
    pub difference: f64,
    /// The confidence interval of the difference.
    pub interval: (f64, f64),
    /// How often chance alone makes a difference as great, where there is none: between 0 and 1.
    pub p: f64,
}

impl Comparison {
    /// Compares two samples by Welch's t-test, which does not take their variances for equal (B. L. Welch, Biometrika 34,
    /// 1947; Numerical Recipes, 3rd edition, 14.2.3). Absent where one of them has fewer than two measurements.
    pub fn welch(one: &Sample, other: &Sample, confidence: f64) -> Option<Self> {
        if one.count < 2 || other.count < 2 {
            return None;
        }
        let (first, second) = (one.error_squared(), other.error_squared());
        let spread = first + second;
        let freedom =
            spread * spread / (first * first / (one.count - 1) as f64 + second * second / (other.count - 1) as f64);
        let half = if spread > 0.0 { student::quantile(confidence, freedom) * spread.sqrt() } else { 0.0 };
        Some(Self::new(one.mean - other.mean, half, spread.sqrt(), freedom))
    }

    /// Compares pairs by the t-test of their differences (Numerical Recipes, 3rd edition, 14.2.4). Absent for fewer than two.
    pub fn paired(differences: &[f64], confidence: f64) -> Option<Self> {
        let sample = Sample::of(differences).filter(|sample| sample.count > 1)?;
        let half = half_width(sample.sd, sample.count, confidence);
        Some(Self::new(sample.mean, half, sample.error_squared().sqrt(), (sample.count - 1) as f64))
    }

    fn new(difference: f64, half: f64, error: f64, freedom: f64) -> Self {
        // Measurements without any spread leave nothing to chance.
        let p = match error > 0.0 {
            true => student::tail(difference / error, freedom),
            false => f64::from(u8::from(difference == 0.0)),
        };
        Self { difference, interval: (difference - half, difference + half), p }
    }
}

#[cfg(test)]
mod tests {
    use super::Comparison;
    use crate::stats::Sample;

    #[test]
    fn a_comparison_is_that_of_a_textbook() {
        // Student's sleep data: R's `t.test(extra ~ group)` and `t.test(.., paired = TRUE)`.
        let one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let near = |found: Comparison, difference: f64, (low, high): (f64, f64), p: f64| {
            let all = [(found.difference, difference), (found.interval.0, low), (found.interval.1, high), (found.p, p)];
            all.into_iter().for_each(|(found, wanted)| assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted}"));
        };
        let welch = Comparison::welch(&Sample::of(&one).unwrap(), &Sample::of(&other).unwrap(), 0.95).unwrap();
        near(welch, -1.58, (-3.365_483_2, 0.205_483_2), 0.079_394_14);
        let gaps: Vec<f64> = one.iter().zip(&other).map(|(one, other)| one - other).collect();
        near(Comparison::paired(&gaps, 0.95).unwrap(), -1.58, (-2.459_885_8, -0.700_114_2), 0.002_832_89);
    }

    #[test]
    fn what_has_no_spread_or_is_too_little_is_no_accident() {
        let sample = |values: &[f64]| Sample::of(values).unwrap();
        let same = Comparison::welch(&sample(&[1.0, 1.0]), &sample(&[1.0, 1.0]), 0.95).unwrap();
        assert_eq!((same.p, same.interval), (1.0, (0.0, 0.0)));
        let other = Comparison::paired(&[2.0, 2.0], 0.95).unwrap();
        assert_eq!((other.p, other.interval), (0.0, (2.0, 2.0)));
        assert_eq!(Comparison::welch(&sample(&[1.0]), &sample(&[1.0, 2.0]), 0.95), None);
        assert_eq!(Comparison::paired(&[1.0], 0.95), None);
    }
}
