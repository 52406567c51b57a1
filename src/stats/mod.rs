//! Statistics of repeated measurements: what is known of a mean, which of two is better, and which measurements to repeat.
//! Functions of numbers alone; knows no trial and no run, so that the same values give the same answers.

mod comparison;
mod replicates;
mod sample;
mod student;

pub use comparison::Comparison;
pub use replicates::{Margin, ReplicateRule, Replicates, Within};
pub use sample::{Sample, deviation, mean};
