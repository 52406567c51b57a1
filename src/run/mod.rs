//! Executes plans: tokio lives here and in `engine/`. Knows no terminal, no database and no script.

mod attempt;
mod clock;
pub mod connections;
mod context;
mod dispatcher;
#[cfg(test)]
mod fuzz;
pub mod kill;
mod load;
pub mod message;
pub mod passed;
mod permits;
pub mod purpose;
mod schedule;
pub mod session;
pub mod simulation;
mod starts;
pub mod uploads;
pub mod user;

#[cfg(test)]
mod traces;
