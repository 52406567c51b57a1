//! The environment of a program: what Linux takes of it, and which of a trial's parameters fit into it.

use serde_json::{Map, Value};

use crate::model::label::param_variable;
use crate::model::trial::Trial;

/// Most bytes of a variable, `NAME=VALUE`, or of a word of a command, each with a byte at its end (`MAX_ARG_STRLEN` in
/// include/uapi/linux/binfmts.h).
pub const LONGEST: usize = 128 << 10;

/// Most bytes of all words and variables of a trial. Linux takes 2 MiB (a quarter of the limit of the stack, 8 MiB unless
/// somebody changed it); the rest is for what the image or the caller brings along.
pub const ALL: usize = 3 << 19;

/// All parameters of a trial as JSON.
pub const PARAMS: &str = "COMBU_PARAMS";

/// The variables that a trial gets for its parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct ParamVariables {
    /// Those that fit, name and value.
    pub given: Vec<(String, String)>,
    /// The names of those that do not: too long, too many, or with a NUL byte in the value.
    pub left_out: Vec<String>,
}

/// A param's value as a program gets it: a text as it is, everything else as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Bytes of a variable.
pub fn size(name: &str, value: &str) -> usize {
    name.len() + value.len() + 2
}

/// Bytes of all that a trial itself says: its command and its `env`.
pub fn own_size(trial: &Trial) -> usize {
    let words = [&trial.entrypoint, &trial.cmd].into_iter().flatten().flatten().map(|word| word.len() + 1);
    words.sum::<usize>() + trial.env.iter().map(|(name, value)| size(name, value)).sum::<usize>()
}

impl ParamVariables {
    /// The variables of these parameters, with so many bytes for all of them: the longest are left out first.
    pub fn of(params: &Map<String, Value>, room: usize) -> Self {
        let each = params.iter().map(|(name, value)| (param_variable(name), text(value)));
        let all = std::iter::once((PARAMS.to_owned(), Value::Object(params.clone()).to_string())).chain(each);
        let (mut given, left_out): (Vec<_>, Vec<_>) = all.partition(|(name, value)| fits(name, value));
        let mut left_out: Vec<String> = left_out.into_iter().map(|(name, _)| name).collect();
        let mut total: usize = given.iter().map(|(name, value)| size(name, value)).sum();
        while total > room
            && let Some(longest) = (0..given.len()).max_by_key(|place| size(&given[*place].0, &given[*place].1))
        {
            let (name, value) = given.remove(longest);
            total -= size(&name, &value);
            left_out.push(name);
        }
        Self { given, left_out }
    }
}

fn fits(name: &str, value: &str) -> bool {
    size(name, value) <= LONGEST && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{ALL, LONGEST, ParamVariables};

    fn names(params: Value, room: usize) -> (Vec<String>, Vec<String>) {
        let Value::Object(params) = params else { panic!("params are an object") };
        let ParamVariables { given, left_out } = ParamVariables::of(&params, room);
        (given.into_iter().map(|(name, _)| name).collect(), left_out)
    }

    #[test]
    fn what_is_too_long_or_has_a_nul_byte_is_left_out_alone() {
        let longest = "x".repeat(LONGEST - "COMBU_PARAM_A".len() - 2);
        let (given, left_out) = names(json!({"a": longest, "b": 1}), ALL);
        assert_eq!(
            (given, left_out),
            (vec!["COMBU_PARAM_A".into(), "COMBU_PARAM_B".into()], vec!["COMBU_PARAMS".into()])
        );
        let (given, left_out) = names(json!({"a": longest + "x", "b": 1}), ALL);
        assert_eq!(
            (given, left_out),
            (vec!["COMBU_PARAM_B".into()], vec!["COMBU_PARAMS".into(), "COMBU_PARAM_A".into()])
        );
        let (given, left_out) = names(json!({"a": "x\0y"}), ALL);
        assert_eq!((given, left_out), (vec!["COMBU_PARAMS".into()], vec!["COMBU_PARAM_A".into()]));
    }

    #[test]
    fn of_many_that_fit_alone_the_longest_are_left_out() {
        let params: Map<String, Value> = (0..40).map(|n| (format!("p{n}"), "x".repeat(50_000 + n).into())).collect();
        let (given, left_out) = names(params.into(), ALL);
        assert!(given.len() > 25 && given.contains(&"COMBU_PARAM_P0".to_owned()), "{given:?}");
        assert!(left_out.contains(&"COMBU_PARAM_P39".to_owned()) && left_out.contains(&"COMBU_PARAMS".to_owned()));
        assert_eq!(given.len() + left_out.len(), 41);
    }
}
