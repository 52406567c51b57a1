//! A run of this process: its folder and terminal, its signals, and its way to the background.

pub(crate) mod detach;
pub(crate) mod on_end;
mod provenance;
pub(crate) mod saving;
pub(crate) mod searching;
pub(crate) mod signals;
pub(crate) mod simulated;
pub(crate) mod started;
pub(crate) mod terminal;
