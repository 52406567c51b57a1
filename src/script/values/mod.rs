//! Values as scripts hold them: experiments, params, results, and what they are in JSON. Reaches no engine.

pub(super) mod convert;
pub(super) mod experiment;
pub(super) mod history;
pub(super) mod json;
pub(super) mod params;
pub(super) mod printed;
pub(super) mod result;
pub(super) mod series;
