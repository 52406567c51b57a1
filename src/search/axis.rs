//! The axes of a space as searches see them: each from 0 to 1, or a set of categories.

use serde_json::Value;

use crate::space::{Domain, Point, Space};

/// One param of a space.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    name: String,
    domain: Domain,
}

/// Where a value lies on its axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Coordinate {
    /// At that share of the way, or somewhere between two, where values are apart.
    Number { from: f64, to: f64 },
    /// One of some values without an order, by its number.
    Category(usize),
}

impl Coordinate {
    /// Its middle.
    pub(super) fn middle(self) -> f64 {
        match self {
            Self::Number { from, to } => f64::midpoint(from, to),
            Self::Category(number) => number as f64,
        }
    }
}

impl Axis {
    /// The axes of a space, those apart that have one value only.
    pub(super) fn all(space: &Space) -> Vec<Self> {
        let varies = |domain: &Domain| !matches!(domain, Domain::Choice(values) if values.len() < 2);
        let params = space.params().iter().filter(|(_, domain)| varies(domain));
        params.map(|(name, domain)| Self { name: name.clone(), domain: domain.clone() }).collect()
    }

    /// The number of categories; absent where values have an order.
    pub(super) fn categories(&self) -> Option<usize> {
        match &self.domain {
            Domain::Choice(values) => Some(values.len()),
            Domain::Range(_) => None,
        }
    }

    /// The place of a point's value; absent where it is none of this axis.
    pub(super) fn place(&self, point: &Point) -> Option<Coordinate> {
        let value = point.get(&self.name)?;
        match &self.domain {
            Domain::Choice(values) => {
                let number = values.iter().position(|known| known == value)?;
                Some(Coordinate::Category(number))
            }
            Domain::Range(range) => {
                let (from, to) = range.share(value.as_f64()?)?;
                Some(Coordinate::Number { from, to })
            }
        }
    }

    /// The place of the value that lies at that share of the way.
    pub(super) fn around(&self, share: f64) -> Coordinate {
        let mut point = Point::new();
        self.set(&mut point, share);
        match self.place(&point) {
            // Without gaps, it lies where it was drawn.
            Some(Coordinate::Number { from, to }) if from < to => Coordinate::Number { from, to },
            _ => Coordinate::Number { from: share, to: share },
        }
    }

    /// Sets a point's value to the one at that place: a share of the way, or the number of a category.
    pub(super) fn set(&self, point: &mut Point, at: f64) {
        let share = match self.categories() {
            Some(of) => (at + 0.5) / of as f64,
            None => at,
        };
        point.insert(self.name.clone(), self.domain.at(share).unwrap_or(Value::Null));
    }
}
