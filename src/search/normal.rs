//! The normal distribution.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// A number of the standard normal distribution (Box and Muller).
pub fn normal(source: &mut Xoshiro256PlusPlus) -> f64 {
    let (radius, angle) = (source.random::<f64>(), source.random::<f64>());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The share of the standard normal distribution below a number, to seven digits (Abramowitz and Stegun, 7.1.26).
pub(super) fn below(number: f64) -> f64 {
    let x = number / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let error = 1.0 - series.into_iter().fold(0.0, |sum, factor| (sum + factor) * t) * (-x * x).exp();
    0.5 * (1.0 + error.copysign(x))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::{below, normal};

    #[test]
    fn draws_follow_the_distribution() {
        for (number, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.959_964, 0.025), (3.0, 0.998_650_1)] {
            assert!((below(number) - share).abs() < 1e-6, "{number}: {}", below(number));
        }
        let mut source = Xoshiro256PlusPlus::seed_from_u64(1);
        let drawn: Vec<f64> = (0..20_000).map(|_| normal(&mut source)).collect();
        for limit in [-1.0, 0.0, 0.5, 2.0] {
            let share = drawn.iter().filter(|x| **x < limit).count() as f64 / drawn.len() as f64;
            assert!((share - below(limit)).abs() < 0.015, "{limit}: {share}");
        }
    }
}
