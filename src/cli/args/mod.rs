//! Groups of arguments that several verbs take. They know no verb.

mod display;
mod limits;
mod pattern;
mod spec;

pub(crate) use display::{OutputForm, ProgressArgs, ProgressMode, check_streams};
pub(crate) use limits::{GpuIds, LimitArgs, cpu_number, engine, gpus};
pub(crate) use pattern::NamePattern;
pub(crate) use spec::{JsonnetArgs, SpecArgs};
