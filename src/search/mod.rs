//! Searches: which point of a space to try next, as a function of what was told so far. Knows no trial and no run, so that the
//! same answers give the same questions.

mod axis;
mod cma;
mod normal;
mod searcher;
mod tpe;

pub use normal::normal;
pub use searcher::{Method, Observation, STARTUP, Searcher, Suggestion};
