//! Student's t distribution. Written here: the crates that have it bring linear algebra with them, for fifty lines.

/// The share of Student's t distribution that lies farther from 0 than `t`, on both sides: the p-value of a two-sided test.
///
/// `freedom`: degrees of freedom, above 0, whole or not. By the incomplete beta function: Abramowitz and Stegun, 26.7.1
/// and 26.5.27, `1 - A(t|ν) = I_x(ν/2, 1/2)` with `x = ν / (ν + t²)`.
pub(super) fn tail(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    if !square.is_finite() {
        return 0.0;
    }
    let whole = freedom + square;
    beta((freedom / 2.0, 0.5), (freedom / whole, square / whole))
}

/// The distance from 0 within which that share of Student's t distribution lies: 2.26 for 0.95 and 9 degrees of freedom.
///
/// `confidence`: above 0 and below 1.
pub(super) fn quantile(confidence: f64, freedom: f64) -> f64 {
    let outside = 1.0 - confidence;
    let (mut below, mut above) = (0.0, 1.0);
    while tail(above, freedom) > outside {
        (below, above) = (above, above * 2.0);
    }
    while above - below > 1e-13 * above {
        let middle = f64::midpoint(below, above);
        if middle <= below || middle >= above {
            break;
        }
        if tail(middle, freedom) > outside { below = middle } else { above = middle }
    }
    f64::midpoint(below, above)
}

/// The regularised incomplete beta function `I_x(a, b)`, of `x` and `1 - x` (Numerical Recipes, 3rd edition, 6.4).
fn beta((a, b): (f64, f64), (x, rest): (f64, f64)) -> f64 {
    if x <= 0.0 || rest <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * rest.ln()).exp();
    // The fraction comes to its end soon on one side of the middle only; `I_x(a, b) = 1 - I_(1-x)(b, a)`.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front * fraction(a, b, x) / a,
        false => 1.0 - front * fraction(b, a, rest) / b,
    }
}

/// The continued fraction of the incomplete beta function (Numerical Recipes, 6.4.5 and 6.4.6), by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let small = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / small(1.0 - (a + b) * x / (a + 1.0)));
    let mut found = d;
    // About the root of the greater of a and b steps are needed; 10,000 are enough for 10 million degrees of freedom.
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for part in [even, odd] {
            d = 1.0 / small(1.0 + part * d);
            c = small(1.0 + part / c);
            found *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    found
}

/// The logarithm of the gamma function of a number above 0: Stirling's series (Abramowitz and Stegun, 6.1.41) from 15 on,
/// and `Γ(x + 1) = x Γ(x)` below.
fn ln_gamma(number: f64) -> f64 {
    let (mut x, mut product) = (number, 1.0_f64);
    while x < 15.0 {
        product *= x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = [-1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0];
    let series = series.into_iter().fold(0.0, |sum, factor| sum * square + factor) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::{ln_gamma, quantile, tail};

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Two-sided, as in every table (Abramowitz and Stegun, table 26.10), with the digits that R's `qt` gives.
        for (confidence, freedom, wanted) in [
            (0.95, 1.0, 12.706_204_736),
            (0.95, 2.0, 4.302_652_730),
            (0.95, 3.0, 3.182_446_305),
            (0.95, 4.0, 2.776_445_105),
            (0.95, 5.0, 2.570_581_836),
            (0.95, 9.0, 2.262_157_163),
            (0.95, 10.0, 2.228_138_852),
            (0.95, 30.0, 2.042_272_456),
            (0.95, 120.0, 1.979_930_405),
            (0.99, 1.0, 63.656_741_162),
            (0.99, 10.0, 3.169_272_673),
            (0.90, 5.0, 2.015_048_373),
            (0.999, 10.0, 4.586_893_859),
            (0.5, 1.0, 1.0),
        ] {
            let found = quantile(confidence, freedom);
            assert!((found - wanted).abs() < 1e-6, "{confidence} {freedom}: {found}, not {wanted}");
        }
    }

    #[test]
    fn tails_are_those_of_the_closed_forms() {
        // Abramowitz and Stegun, 26.7.3 and 26.7.4.
        for t in [0.001_f64, 0.1, 0.5, 1.0, 2.0, 3.7, 10.0, 1000.0] {
            let one = 1.0 - t.atan() * 2.0 / std::f64::consts::PI;
            let two = 1.0 - t / (2.0 + t * t).sqrt();
            let cosine = 4.0 / (4.0 + t * t);
            let four = 1.0 - t / (4.0 + t * t).sqrt() * (1.0 + cosine / 2.0);
            for (freedom, wanted) in [(1.0, one), (2.0, two), (4.0, four)] {
                let found = tail(t, freedom);
                assert!((found - wanted).abs() < 1e-12, "{t} {freedom}: {found}, not {wanted}");
            }
        }
        // With ever more degrees of freedom it becomes the normal distribution.
        assert!((quantile(0.95, 1e7) - 1.959_963_985).abs() < 1e-6, "{}", quantile(0.95, 1e7));
    }

    #[test]
    fn a_quantile_is_where_its_tail_begins_for_any_degrees_of_freedom() {
        for freedom in [0.5, 1.0, 1.7, 2.0, 3.3, 8.25, 39.0, 400.0, 12_345.6] {
            let mut last = 0.0;
            for confidence in [0.001, 0.1, 0.5, 0.9, 0.95, 0.999, 0.999_999] {
                let t = quantile(confidence, freedom);
                assert!((tail(t, freedom) - (1.0 - confidence)).abs() < 1e-10, "{confidence} {freedom}: {t}");
                assert!(t > last, "{confidence} {freedom}");
                last = t;
            }
            assert_eq!((tail(0.0, freedom), tail(f64::INFINITY, freedom)), (1.0, 0.0));
            assert_eq!(tail(2.0, freedom), tail(-2.0, freedom));
        }
    }

    #[test]
    fn the_gamma_function_is_a_factorial() {
        let mut factorial = 1.0_f64;
        for number in 1..=20 {
            assert!((ln_gamma(f64::from(number)) - factorial.ln()).abs() < 1e-12, "{number}");
            factorial *= f64::from(number);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-12);
    }
}
