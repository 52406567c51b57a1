//! Seeded randomness in scripts that is the same on every machine.

use std::cell::RefCell;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rhai::{Array, Dynamic, Engine, EvalAltResult};

use crate::script::fault::fault;
use crate::script::values::convert::number;
use crate::search::normal;

/// A source of random numbers; its copies draw from one sequence.
#[derive(Clone)]
pub(crate) struct Random(Rc<RefCell<Xoshiro256PlusPlus>>);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed))))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Random>("Random")
        // Named for its algorithm, so that a seed gives the same numbers in every later version.
        .register_fn("random", |seed: i64| Random::seeded(seed.cast_unsigned()))
        .register_fn("float", |random: &mut Random| random.0.borrow_mut().random::<f64>())
        .register_fn("float", |random: &mut Random, from: Dynamic, to: Dynamic| {
            let (from, to) = (number(&from)?, number(&to)?);
            Ok::<_, Box<EvalAltResult>>(from + (to - from) * random.0.borrow_mut().random::<f64>())
        })
        .register_fn("normal", |random: &mut Random| normal(&mut random.0.borrow_mut()))
        .register_fn("normal", |random: &mut Random, mean: Dynamic, sd: Dynamic| {
            let (mean, sd) = (number(&mean)?, number(&sd)?);
            Ok::<_, Box<EvalAltResult>>(mean + sd * normal(&mut random.0.borrow_mut()))
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
    fn impossible_wishes_are_errors() {
        let lab = Lab::new();
        for (line, message) in [
            ("random(1).int(2, 1)", "there is no whole number from 2 to 1"),
            ("random(1).choice([])", "cannot choose from an empty array"),
        ] {
            assert_eq!(lab.execute(line).unwrap_err().message, message);
        }
    }
}
