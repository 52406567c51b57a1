//! Verbs that show runs, live ones and those that are over. They read the store and the logs, speak with no run and change
//! nothing.

pub(crate) mod export;
mod exported;
mod gathered;
mod joblog;
mod junit;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod metrics;
mod plot;
mod printer;
pub(crate) mod ps;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod show;
pub(crate) mod shown;
mod tail;
mod told;
mod watch;
