//! Executes plans: tokio lives here and in `engine/`. Knows no terminal, no database and no script.

mod attempt;
mod clock;
mod dispatcher;
pub mod engines;
mod executor;
pub mod interrupt;
pub mod kill;
mod load;
mod message;
pub mod observer;
pub mod past;
mod permits;
mod schedule;
pub mod session;
pub mod start;
pub mod uploads;
mod window;

#[cfg(test)]
mod traces;
