//! Spaces of params: which values each may have, points in them, and names for those. The same under jsonnet and in scripts.

mod domain;
mod error;
#[cfg(test)]
mod fuzz;
mod names;
mod sample;
mod spaced;

pub use domain::{Domain, Point, Range, Space};
pub use error::BadSpace;
pub use names::{legal, name, names, numbered};
pub use sample::{How, Sampling};
pub use spaced::{geomspace, linspace, logspace, range};
