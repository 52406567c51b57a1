//! Numbers in scripts: seeded randomness that is the same on every machine, and evenly spaced values.

use std::cell::RefCell;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rhai::{Array, Dynamic, Engine, EvalAltResult};

use crate::script::fault::{Answer, fault};

/// A source of random numbers; its copies draw from one sequence.
#[derive(Clone)]
struct Random(Rc<RefCell<Xoshiro256PlusPlus>>);

/// Most values a range may have: more is a mistyped distance, and would fill the memory.
const MOST: f64 = 1e7;

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Random>("Random")
        // Named for its algorithm, so that a seed gives the same numbers in every later version.
        .register_fn("random", |seed: i64| {
            Random(Rc::new(RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed.cast_unsigned()))))
        })
        .register_fn("float", |random: &mut Random| random.0.borrow_mut().random::<f64>())
        .register_fn("float", |random: &mut Random, from: Dynamic, to: Dynamic| {
            let (from, to) = (number(&from)?, number(&to)?);
            Ok::<_, Box<EvalAltResult>>(from + (to - from) * random.0.borrow_mut().random::<f64>())
        })
        .register_fn("int", |random: &mut Random, from: i64, to: i64| {
            if from > to {
                return Err(fault(format!("there is no whole number from {from} to {to}")));
            }
            Ok(random.0.borrow_mut().random_range(from..=to))
        })
        .register_fn("choice", |random: &mut Random, values: Array| {
            if values.is_empty() {
                return Err(fault("cannot choose from an empty array"));
            }
            let place = random.0.borrow_mut().random_range(0..values.len());
            Ok(values[place].clone())
        })
        .register_fn("shuffle", |random: &mut Random, mut values: Array| {
            values.shuffle(&mut *random.0.borrow_mut());
            values
        });
    engine
        .register_fn("range_step", |from: Dynamic, to: Dynamic, distance: Dynamic| range_step(&from, &to, &distance))
        .register_fn("linspace", |from: Dynamic, to: Dynamic, count: i64| {
            let (from, to) = (number(&from)?, number(&to)?);
            let values = spaced(from, to, count)?;
            Ok::<_, Box<EvalAltResult>>(values.into_iter().map(|value| tidy(value, 14).into()).collect::<Array>())
        })
        .register_fn("logspace", |from: Dynamic, to: Dynamic, count: i64| {
            let (from, to) = (number(&from)?, number(&to)?);
            if from <= 0.0 || to <= 0.0 {
                return Err(fault("the ends of `logspace` are above 0; they are values, not exponents"));
            }
            let exponents = spaced(from.ln(), to.ln(), count)?;
            // The ends are given back as they came, not as rounding leaves them.
            let last = exponents.len().saturating_sub(1);
            let value = |(place, exponent): (usize, f64)| match place {
                0 => from.into(),
                place if place == last => to.into(),
                _ => tidy(exponent.exp(), 12).into(),
            };
            Ok(exponents.into_iter().enumerate().map(value).collect::<Array>())
        });
}

fn number(value: &Dynamic) -> Answer<f64> {
    let whole = value.as_int().map(|whole| whole as f64);
    whole.or_else(|_| value.as_float()).map_err(|found| fault(format!("a number belongs here, not {found}")))
}

/// Values from one end to the other, both included where the distance hits it: whole numbers stay whole.
fn range_step(from: &Dynamic, to: &Dynamic, distance: &Dynamic) -> Answer<Array> {
    let whole = from.is_int() && distance.is_int();
    let (from, to, distance) = (number(from)?, number(to)?, number(distance)?);
    if distance == 0.0 || !distance.is_finite() {
        return Err(fault("the distance of `range_step` is not 0"));
    }
    // Half a millionth of a distance forgives what 0.1 + 0.1 + 0.1 is off.
    let count = ((to - from) / distance + 1e-6).floor() + 1.0;
    if count > MOST {
        return Err(fault(format!("`range_step` would make {count} values")));
    }
    let values = (0..count.max(0.0) as i64).map(|place| {
        let value = from + place as f64 * distance;
        if whole { Dynamic::from(value as i64) } else { Dynamic::from(tidy(value, 14)) }
    });
    Ok(values.collect())
}

fn spaced(from: f64, to: f64, count: i64) -> Answer<Vec<f64>> {
    if count < 0 || count as f64 > MOST {
        return Err(fault(format!("cannot make {count} values")));
    }
    let gaps = (count - 1).max(1) as f64;
    Ok((0..count).map(|place| from + (to - from) * place as f64 / gaps).collect())
}

/// Takes away what binary fractions leave behind (0.30000000000000004) after that many digits.
fn tidy(value: f64, digits: usize) -> f64 {
    format!("{value:.digits$e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let script = "let r = random(7); print(r.float()); print(r.float(10, 20)); print(r.int(1, 6)); print(r.choice([\"a\", \"b\", \"c\"]));
            print(r.shuffle([1, 2, 3, 4, 5])); let copy = r; print(copy.int(0, 1000) == random(7).int(0, 1000)); print(random(-1).int(5, 5));";
        assert_snapshot!(Lab::new().output(script), @"
        0.05536043647833311
        11.721158544481177
        5
        b
        [4, 1, 5, 2, 3]
        false
        5
        ");
    }

    #[test]
    fn spaced_values_are_tidy() {
        let script = "print(range_step(0.1, 0.5, 0.1)); print(range_step(1, 10, 3)); print(range_step(3, 1, -1)); print(range_step(1, 0, 1));
            print(linspace(0, 1, 5)); print(linspace(2, 3, 1)); print(logspace(0.001, 1, 4)); print(logspace(1, 1024, 11)); print(linspace(0, 1, 0));";
        assert_snapshot!(Lab::new().output(script), @"
        [0.1, 0.2, 0.3, 0.4, 0.5]
        [1, 4, 7, 10]
        [3, 2, 1]
        []
        [0.0, 0.25, 0.5, 0.75, 1.0]
        [2.0]
        [0.001, 0.01, 0.1, 1.0]
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]
        []
        ");
    }

    #[test]
    fn impossible_wishes_are_errors() {
        let lab = Lab::new();
        for (line, message) in [
            ("random(1).int(2, 1)", "there is no whole number from 2 to 1"),
            ("random(1).choice([])", "cannot choose from an empty array"),
            ("range_step(0, 1, 0)", "the distance of `range_step` is not 0"),
            ("range_step(0, 1, 1e-12)", "`range_step` would make 1000000000001 values"),
            ("logspace(0, 1, 3)", "the ends of `logspace` are above 0; they are values, not exponents"),
            ("linspace(0, \"a\", 3)", "a number belongs here, not string"),
            ("linspace(0, 1, -3)", "cannot make -3 values"),
        ] {
            assert_eq!(lab.execute(line).unwrap_err().message, message);
        }
    }
}
