//! The labels combu puts on containers, networks and volumes, and processes carry as environment.

/// The run that made it.
pub const RUN: &str = "combu.run";
/// The experiment's name.
pub const EXPERIMENT: &str = "combu.experiment";
/// The trial's name.
pub const TRIAL: &str = "combu.trial";
/// The attempt's number, from 1.
pub const ATTEMPT: &str = "combu.attempt";
/// The name of the image; the container itself is made from the image's id, so that the name may move.
pub const IMAGE: &str = "combu.image";
/// Absolute path of the spec or script the experiment came from.
pub const SPEC: &str = "combu.spec";
/// The trial's identity; see `plan::identity`.
pub const HASH: &str = "combu.hash";
/// Seconds between the stop signal and the kill.
pub const STOP_GRACE: &str = "combu.stop_grace";
/// The version of combu.
pub const VERSION: &str = "combu.version";
/// Every label of ours begins so; users' labels must not.
pub const PREFIX: &str = "combu.";

/// The variable a parameter is given as: upper case, `_` for what stands in no word. Letters of every script stay, so
/// that parameters in Japanese stay apart.
pub fn param_variable(name: &str) -> String {
    let upper = name.chars().flat_map(char::to_uppercase);
    format!("COMBU_PARAM_{}", upper.map(|c| if c.is_alphanumeric() { c } else { '_' }).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::param_variable;

    #[test]
    fn a_parameter_becomes_a_variable_of_its_own() {
        assert_eq!(param_variable("learning-rate.0"), "COMBU_PARAM_LEARNING_RATE_0");
        assert_eq!(param_variable("学習率"), "COMBU_PARAM_学習率");
    }
}
