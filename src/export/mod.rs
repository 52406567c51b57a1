//! What runs recorded, in the formats of other programs: Optuna's journal, TensorBoard's event files, traces for Perfetto.
//! From results and events to text and bytes: opens no file, asks no clock.

pub(crate) mod chrome_trace;
mod distribution;
pub(crate) mod optuna;
mod protobuf;
pub(crate) mod tensorboard;
pub(crate) mod trial;
