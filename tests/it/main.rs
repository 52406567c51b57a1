//! combu as its users meet it, and its engines as the core meets them: one binary, so that it links once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod contract;
mod control_cli;
mod daemon;
mod daemon_restart;
mod docker_chaos;
mod docker_cli;
mod docker_engine;
mod docker_forms;
mod docker_guest;
mod docker_images;
mod docker_lab;
mod docker_metrics;
mod docker_outputs;
mod docs;
mod exit_codes;
mod faults;
mod gpu_requests;
mod harness;
mod large_cli;
mod live_cli;
mod local;
mod look_cli;
mod metrics_cli;
mod moto;
mod old_store;
mod options_cli;
mod outputs_cli;
mod own_daemon;
mod past_cli;
mod pause_cli;
mod plan_cli;
mod proxy;
mod resume_cli;
mod run_cli;
mod s3_outputs;
mod saving_cli;
mod script_cli;
mod shortages;
mod small_disk;
mod state_faults;
mod store_cli;
mod tidy;
mod values_cli;
