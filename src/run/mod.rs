//! Executes plans: tokio lives here and in `engine/`. Knows no terminal, no database and no script.

pub mod interrupt;
pub mod observer;
pub mod session;
