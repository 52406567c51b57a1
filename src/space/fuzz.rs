//! Fuzz targets: whatever is written as a space, as the options of a sample, or between two ends, points are made of it that lie
//! in it and have names of their own, or an error says why not.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::fuzz::{check, literals};
use crate::model::name::Name;
use crate::space::error::MOST;
use crate::space::{Domain, How, Point, Sampling, Space, geomspace, linspace, logspace, name, names, numbered, range};

/// Most points that are made of an input: a million would be made as well, in a second.
const FEW: usize = 2_000;

/// The spaces, points and options of the tests beside this file.
fn seeds() -> Vec<String> {
    let sources = [
        include_str!("domain.rs"),
        include_str!("names.rs"),
        include_str!("sample.rs"),
        include_str!("spaced.rs"),
        include_str!("../spec/template.rs"),
    ];
    let found: Vec<String> = sources.into_iter().flat_map(literals).map(|value| value.to_string()).collect();
    assert!(found.len() > 60, "the spaces of the tests were not found");
    found
}

fn objects(input: &[u8]) -> Vec<Map<String, Value>> {
    match serde_json::from_slice(input) {
        Ok(Value::Object(object)) => vec![object],
        Ok(Value::Array(values)) => values.iter().filter_map(Value::as_object).cloned().collect(),
        _ => Vec::new(),
    }
}

/// Whether a value is one of a domain's.
fn is_in(value: &Value, domain: &Domain) -> bool {
    match domain {
        Domain::Choice(values) => values.contains(value),
        Domain::Range(range) => {
            let is_whole = value.is_i64() || value.is_u64();
            let is_there = value.as_f64().is_some_and(|number| (range.from..=range.to).contains(&number));
            is_there && is_whole == range.whole
        }
    }
}

fn lie_in(points: &[Point], space: &Space) {
    for point in points {
        assert_eq!(point.len(), space.params().len());
        for (name, domain) in space.params() {
            assert!(is_in(&point[name], domain), "{name}: {} is not in {domain:?}", point[name]);
        }
    }
}

/// How many values each param has, where they can be counted.
fn sizes(space: &Space) -> Option<Vec<usize>> {
    let size = |(_, domain): &(String, Domain)| match domain {
        Domain::Choice(values) => Some(values.len()),
        Domain::Range(range) => range.count(),
    };
    space.params().iter().map(size).collect()
}

#[test]
fn spaces() {
    check(seeds(), |input| {
        for written in objects(input) {
            let space = match Space::read(&written) {
                Ok(space) => space,
                Err(error) => return assert!(!error.message.is_empty()),
            };
            let sizes = sizes(&space);
            let product = sizes.iter().flatten().try_fold(1_usize, |product, size| product.checked_mul(*size));
            if sizes.as_ref().is_none_or(|sizes| sizes.iter().all(|size| *size <= FEW)) {
                if product.is_none_or(|product| product <= FEW || product > MOST)
                    && let Ok(points) = space.grid()
                {
                    assert_eq!(Some(points.len()), product);
                    lie_in(&points, &space);
                    let distinct: BTreeSet<String> = points.iter().map(|point| json!(point).to_string()).collect();
                    let made: BTreeSet<String> = names("train", &points).into_iter().collect();
                    // Points that are alike have one name, or each its number where values make no name.
                    let is_numbered = made.len() == points.len();
                    assert!(made.len() == distinct.len() || is_numbered, "alike: {made:?}");
                }
                if let Ok(points) = space.zip() {
                    lie_in(&points, &space);
                }
            }
            for how in How::ALL.map(|(_, how)| how) {
                let sampling = Sampling { seed: input.len() as u64, how };
                if let Ok(points) = space.sample(9, sampling) {
                    lie_in(&points, &space);
                    assert_eq!(space.sample(9, sampling), Ok(points), "a seed gives the same points");
                }
            }
            for (_, domain) in space.params() {
                let Domain::Range(range) = domain else { continue };
                for share in [0.0, 0.3, 0.5, 1.0_f64.next_down()] {
                    let value = domain.at(share).as_ref().and_then(Value::as_f64).expect("a range has numbers");
                    let (from, to) = range.share(value).expect("it lies in the range");
                    assert!(0.0 <= from && from <= to && to <= 1.0, "{range:?}: {value} at {from}..{to}");
                }
            }
        }
    });
}

#[test]
fn options_of_samples() {
    let ways = How::ALL.map(|(how, _)| json!({"seed": 7, "how": how}).to_string());
    check(seeds().into_iter().chain(ways), |input| {
        for options in objects(input) {
            match Sampling::read(&options) {
                Ok(read) => {
                    let how = How::ALL.into_iter().find(|(_, how)| *how == read.how).map(|(name, _)| name);
                    let written = json!({"seed": read.seed.cast_signed(), "how": how});
                    assert_eq!(Sampling::read(written.as_object().expect("an object")), Ok(read));
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    });
}

#[test]
fn values_between_two_ends() {
    let given = ["[0, 1, 0.25]", "[5, 1, -2]", "[0, 0.3, 0.1]", "[-3, -1, 3]", "[0.001, 100.0, 8]", "[1, 2, -9e18]"];
    check(given, |input| {
        let Ok(Value::Array(given)) = serde_json::from_slice(input) else { return };
        let [from, to, third] = &given[..] else { return };
        let is_short = |count: f64| count.abs() <= FEW as f64;
        let (Some(first), Some(last), Some(number)) = (from.as_f64(), to.as_f64(), third.as_f64()) else {
            return assert!(range(from, to, third).is_err());
        };
        let mut lists = Vec::new();
        if is_short((last - first) / number) || number == 0.0 {
            lists.push(range(from, to, third));
        }
        if let Some(count) = third.as_i64().filter(|count| is_short(*count as f64) || *count as f64 > MOST as f64) {
            lists.extend([linspace(first, last, count), logspace(first, last, count), geomspace(first, last, count)]);
        }
        for values in lists.into_iter().flatten() {
            assert!(values.len() <= MOST);
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
            assert_eq!(numbers.len(), values.len(), "each is a number: {values:?}");
            assert!(numbers.is_sorted() || numbers.iter().rev().is_sorted(), "one direction: {values:?}");
        }
    });
}

#[test]
fn names_of_points() {
    check(seeds(), |input| {
        let points = objects(input);
        let made = names("train", &points);
        assert_eq!(made.len(), points.len());
        for (place, point) in points.iter().enumerate() {
            for (other, name) in points.iter().zip(&made).take(place) {
                assert!(other == point || *name != made[place], "two trials are called {name}");
            }
            let alone = name("train", point);
            assert!(alone.len() <= 60 && Name::parse(&alone).is_ok(), "{alone}");
        }
        assert!(made.iter().all(|made| numbered(made, 7).ends_with("-007")));
    });
}
