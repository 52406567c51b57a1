//! A sample: what repeated measurements say of a mean.

use crate::stats::student;

/// The mean of some numbers; of none it is no number.
pub fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The standard deviation of a sample; of one number 0.
pub fn deviation(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    if numbers.len() < 2 { 0.0 } else { (squares / (numbers.len() - 1) as f64).sqrt() }
}

/// What some measurements of one thing come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// How many there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of a sample.
    pub sd: f64,
}

impl Sample {
    /// Of these measurements; absent where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        (!values.is_empty()).then(|| Self { count: values.len(), mean: mean(values), sd: deviation(values) })
    }

    /// Half the width of the confidence interval of the mean (Student's t, n - 1 degrees of freedom); absent for a single
    /// measurement, which says nothing of its spread. `confidence`: above 0 and below 1.
    pub fn within(&self, confidence: f64) -> Option<f64> {
        (self.count > 1).then(|| half_width(self.sd, self.count, confidence))
    }

    /// The square of the standard error of the mean.
    pub(super) fn error_squared(&self) -> f64 {
        self.sd * self.sd / self.count as f64
    }
}

/// Half the width of the confidence interval of a mean of so many measurements (2 or more) with that deviation.
pub(super) fn half_width(sd: f64, count: usize, confidence: f64) -> f64 {
    let count = count as f64;
    student::quantile(confidence, count - 1.0) * sd / count.sqrt()
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn an_interval_is_that_of_a_textbook() {
        // Ten measurements with mean 5 and variance 18 / 9: 2.262157 * 1.414214 / 3.162278.
        let sample = Sample::of(&[3.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 7.0]).unwrap();
        assert_eq!((sample.count, sample.mean), (10, 5.0));
        assert!((sample.sd - std::f64::consts::SQRT_2).abs() < 1e-9, "{}", sample.sd);
        assert!((sample.within(0.95).unwrap() - 1.011_667_5).abs() < 1e-6, "{:?}", sample.within(0.95));
        assert_eq!(Sample::of(&[1.0]).unwrap().within(0.95), None);
        assert_eq!(Sample::of(&[]), None);
    }
}
