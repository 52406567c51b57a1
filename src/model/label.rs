//! The labels combu puts on containers, networks and volumes, and processes carry as environment.

/// The run that made it.
pub const RUN: &str = "combu.run";
/// The experiment's name.
pub const EXPERIMENT: &str = "combu.experiment";
/// The trial's name.
pub const TRIAL: &str = "combu.trial";
/// The attempt's number, from 1.
pub const ATTEMPT: &str = "combu.attempt";
/// Absolute path of the spec or script the experiment came from.
pub const SPEC: &str = "combu.spec";
/// The version of combu.
pub const VERSION: &str = "combu.version";
/// Every label of ours begins so; users' labels must not.
pub const PREFIX: &str = "combu.";
