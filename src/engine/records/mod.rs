//! Records that attempts make while they run: metrics, tags and artifacts, from lines on the standard output, from
//! lines of a file, and from whatever a pattern of the spec finds. Never fails an attempt.

mod file;
#[cfg(test)]
mod fuzz;
mod parse;
mod pattern;
mod recorder;
mod scan;
mod tail;

pub use recorder::Recorder;
pub use tail::MetricsTail;

pub(super) use file::{
    FILE, INSIDE, PARAMS, PARAMS_VARIABLE, VARIABLE, make_plain, make_shared, plain, plain_params, shared,
    write_plain_params, write_shared_params,
};
pub(super) use scan::Scanner;
