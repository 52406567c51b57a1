//! Points drawn from a space, the same on every machine for a seed.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};

use crate::model::seed::mixed;
use crate::model::suggest::did_you_mean;
use crate::space::domain::{Point, Space};
use crate::space::error::{BadSpace, MOST};

/// Most points of a Sobol sequence, and most params: what its tables hold.
const SOBOL: (usize, usize) = (1 << 16, 256);

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum How {
    /// Each on its own.
    #[default]
    Random,
    /// Latin hypercube: of each param's range, every n-th part once.
    Latin,
    /// Sobol's sequence (scrambled by Owen's method): spread evenly in all params together.
    Sobol,
}

/// What a sample is drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampling {
    /// Another seed gives other points.
    pub seed: u64,
    /// The way.
    pub how: How,
}

impl How {
    /// The ways by name.
    pub const ALL: [(&str, Self); 3] = [("random", Self::Random), ("latin", Self::Latin), ("sobol", Self::Sobol)];

    /// The way of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, BadSpace> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, how)| how).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name);
            let hint = did_you_mean(name, names).unwrap_or_else(|| format!("there are {}", names.join(", ")));
            BadSpace::new(format!("`{name}` is no way to sample"), hint)
        })
    }
}

impl Sampling {
    /// Reads `{seed: 1, how: 'latin'}`.
    ///
    /// # Errors
    /// When a key is unknown, the seed no whole number, or the way none.
    pub fn read(options: &Map<String, Value>) -> Result<Self, BadSpace> {
        let mut sampling = Self::default();
        for (key, value) in options {
            match key.as_str() {
                "seed" => sampling.seed = seed(value)?,
                "how" => sampling.how = How::named(value.as_str().unwrap_or_default())?,
                key => {
                    let hint = did_you_mean(key, ["seed", "how"]).unwrap_or_else(|| "there are seed, how".to_owned());
                    return Err(BadSpace::new(format!("`sample` has no option `{key}`"), hint));
                }
            }
        }
        Ok(sampling)
    }

    /// What a seed alone asks for.
    ///
    /// # Errors
    /// When it is no whole number.
    pub fn seeded(value: &Value) -> Result<Self, BadSpace> {
        Ok(Self { seed: seed(value)?, ..Self::default() })
    }
}

fn seed(value: &Value) -> Result<u64, BadSpace> {
    let whole = value.as_i64().map(i64::cast_unsigned);
    whole.ok_or_else(|| BadSpace::only(format!("a seed is a whole number, not {value}")))
}

impl Space {
    /// That many points. Each param has numbers of its own, by the seed and its name: another param changes none of them (in
    /// a Sobol sequence the params after it in the alphabet).
    ///
    /// # Errors
    /// When there are more points or params than the way can give, or a param has no values.
    pub fn sample(&self, count: usize, sampling: Sampling) -> Result<Vec<Point>, BadSpace> {
        if count > MOST {
            return Err(BadSpace::only(format!("more than {MOST} points are not drawn")));
        }
        if sampling.how == How::Sobol && (count > SOBOL.0 || self.params().len() > SOBOL.1) {
            return Err(BadSpace::new(
                format!("a Sobol sequence has at most {} points of {} params", SOBOL.0, SOBOL.1),
                "take `how: \"latin\"`",
            ));
        }
        let mut points = vec![Point::new(); count];
        for (dimension, (name, domain)) in self.params().iter().enumerate() {
            let shares = shares(count, sampling, name, dimension);
            for (point, share) in points.iter_mut().zip(shares) {
                let Some(value) = domain.at(share) else {
                    return Err(BadSpace::new(
                        format!("`{name}` has no values"),
                        format!("write `{name}: [1, 2]`, or leave it out"),
                    ));
                };
                point.insert(name.clone(), value);
            }
        }
        Ok(points)
    }
}

/// Where in its range each point's param lies: 0 to 1, 1 apart.
fn shares(count: usize, sampling: Sampling, name: &str, dimension: usize) -> Vec<f64> {
    let mut source = source(sampling.seed, name);
    match sampling.how {
        How::Random => (0..count).map(|_| source.random()).collect(),
        How::Latin => {
            let mut parts: Vec<usize> = (0..count).collect();
            parts.shuffle(&mut source);
            parts.into_iter().map(|part| (part as f64 + source.random::<f64>()) / count as f64).collect()
        }
        How::Sobol => {
            let seed = mixed(sampling.seed) as u32;
            let share = |place: usize| sobol_burley::sample(place as u32, dimension as u32, seed);
            (0..count).map(|place| f64::from(share(place))).collect()
        }
    }
}

/// A param's own source of numbers.
fn source(seed: u64, name: &str) -> Xoshiro256PlusPlus {
    // Named for its algorithm, so that a seed gives the same numbers in every later version.
    let by_name = name.bytes().fold(seed, |mixed_so_far, byte| mixed(mixed_so_far ^ u64::from(byte)));
    Xoshiro256PlusPlus::seed_from_u64(by_name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{How, Sampling};
    use crate::space::domain::{Point, Space};

    fn space(written: &Value) -> Space {
        Space::read(written.as_object().unwrap()).unwrap()
    }

    fn column(points: &[Point], name: &str) -> Vec<f64> {
        points.iter().map(|point| point[name].as_f64().unwrap()).collect()
    }

    #[test]
    fn a_sample_lies_in_its_space_and_follows_its_seed() {
        let space = space(&json!({
            "lr": {"from": 1e-4, "to": 1.0, "log": true}, "n": {"from": 1, "to": 8}, "wide": {"from": 1, "to": 1000, "log": true},
            "x": {"from": 0, "to": 1, "step": 0.25}, "act": ["relu", "tanh"], "fixed": 3,
        }));
        for how in How::ALL.map(|(_, how)| how) {
            let drawn = |seed| space.sample(1000, Sampling { seed, how }).unwrap();
            let points = drawn(1);
            assert_eq!(points, drawn(1));
            assert_ne!(points, drawn(2));
            for point in &points {
                assert!((1e-4..=1.0).contains(&point["lr"].as_f64().unwrap()), "{point:?}");
                assert!((1..=8).contains(&point["n"].as_i64().unwrap()), "{point:?}");
                assert!((1..=1000).contains(&point["wide"].as_i64().unwrap()), "{point:?}");
                assert!([0.0, 0.25, 0.5, 0.75, 1.0].contains(&point["x"].as_f64().unwrap()), "{point:?}");
                assert_eq!(point["fixed"], 3);
            }
            let below = column(&points, "lr").iter().filter(|lr| **lr < 1e-2).count();
            assert!((450..550).contains(&below), "{how:?}: {below}");
            for wanted in 1..=8 {
                let times = column(&points, "n").iter().filter(|n| **n == f64::from(wanted)).count();
                assert!((80..175).contains(&times), "{how:?}: {wanted} {times}");
            }
        }
    }

    #[test]
    fn another_param_changes_no_numbers_of_the_first() {
        let one = space(&json!({"lr": {"from": 0.0, "to": 1.0}}));
        let two = space(&json!({"a": [1, 2, 3], "lr": {"from": 0.0, "to": 1.0}}));
        for how in [How::Random, How::Latin] {
            let sampling = Sampling { seed: 7, how };
            let (one, two) = (one.sample(9, sampling).unwrap(), two.sample(9, sampling).unwrap());
            assert_eq!(column(&one, "lr"), column(&two, "lr"));
        }
        let random = Sampling { seed: 7, how: How::Random };
        assert_eq!(one.sample(9, random).unwrap()[..4], one.sample(4, random).unwrap());
    }

    #[test]
    fn a_latin_sample_has_each_part_of_a_range_once() {
        let points = space(&json!({"x": {"from": 0.0, "to": 10.0}}));
        let points = points.sample(10, Sampling { seed: 3, how: How::Latin }).unwrap();
        let mut parts: Vec<i64> = column(&points, "x").iter().map(|x| x.floor() as i64).collect();
        parts.sort_unstable();
        assert_eq!(parts, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn the_ways_have_names() {
        assert_eq!(How::named("sobol"), Ok(How::Sobol));
        assert_eq!(How::named("soblo").unwrap_err().to_string(), "`soblo` is no way to sample; did you mean `sobol`?");
        let many = space(&json!({"x": {"from": 0.0, "to": 10.0}}));
        assert!(many.sample(1 << 17, Sampling { seed: 0, how: How::Sobol }).is_err());
    }
}
