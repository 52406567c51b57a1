//! Groups of arguments that several verbs take. They know no verb.

mod display;
mod limits;
mod pattern;
mod spec;

pub(crate) use display::{OutputForm, ProgressArgs, ProgressMode, check_streams};
pub(crate) use limits::{BudgetArgs, LimitArgs, engine};
pub(crate) use pattern::NamePattern;
pub(crate) use spec::{JsonnetArgs, SpecArgs};
