//! combu as its users meet it, and its engines as the core meets them: one binary, so that it links once.

mod contract;
mod local;
mod tidy;
