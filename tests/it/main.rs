//! combu as its users meet it, and its engines as the core meets them: one binary, so that it links once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod daemon;
mod docker_engine;
mod local;
mod tidy;
