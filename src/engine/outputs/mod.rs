//! Outputs: files that are copied out of ended attempts, into a folder of this machine.
//!
//! Whatever an attempt made of them: nothing is written outside that folder, nothing in it is followed, and what is there
//! belongs to the caller. A full disk fails nothing; it is remembered.

mod archive;
mod copy;
mod files;
#[cfg(test)]
mod fuzz;
mod tree;

pub use files::Outputs;

pub(super) use archive::take_archive;
pub(super) use copy::take_path;
