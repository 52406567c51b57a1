//! Reaching a run of another process: the socket it serves, the lines spoken there, and the signals that end it.

#[cfg(test)]
mod fuzz;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod wire;
