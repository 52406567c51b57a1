//! The environment variables of a trial: `env` in both of its forms, `pass_env` and `env_file`, and how they lie on top of
//! the defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use crate::spec::parts::path;
use crate::spec::reader::{Item, Object};

/// The keys of a trial that are read and merged together.
const ENV: &str = "env";
const PASS_ENV: &str = "pass_env";

/// The environment variables of a trial: those that are written down, and where others come from.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) env: BTreeMap<String, String>,
    pub(super) pass_env: BTreeSet<String>,
    pub(super) env_file: Vec<String>,
}

/// Reads the variables of a trial; relative paths start in `folder`.
pub(super) fn read(object: &Object<'_>, folder: &Path) -> Variables {
    let (env, bare) = object.read(ENV, variables).unwrap_or_default();
    let passed = |item: Item<'_>| {
        let name = variable(item, item.text()?)?;
        if env.contains_key(&name) {
            let hint = "leave it out of one of them";
            return item.fail_with(format!("`{name}` has a value in `env`, which is not passed on"), hint);
        }
        Some(name)
    };
    let named = object.read(PASS_ENV, |item| item.list("a list of variables' names", passed)).unwrap_or_default();
    let pass_env = bare.into_iter().chain(named).collect();
    let env_file = object.read("env_file", |item| files(item, folder)).unwrap_or_default();
    Variables { env, pass_env, env_file }
}

/// `env`: the variables with a value, and the names of those without one.
fn variables(item: Item<'_>) -> Option<(BTreeMap<String, String>, BTreeSet<String>)> {
    if !item.value.is_array() {
        let what = "an object of variables, or a list: \"NAME=VALUE\", or \"NAME\" to pass it on";
        let table = item.table(what, |key, item| {
            if key.is_empty() || key.contains('=') {
                return item.fail("a variable's name is not empty and has no `=`");
            }
            item.scalar()
        });
        return table.map(|table| (table, BTreeSet::new()));
    }
    let entries = item.list("a list of variables", |item| {
        let (name, value) = split(item.text()?);
        Some((item.check(named(name))?, value.map(ToOwned::to_owned)))
    })?;
    let (mut env, mut bare) = (BTreeMap::new(), BTreeSet::new());
    for (name, value) in entries {
        if env.contains_key(&name) || bare.contains(&name) {
            return item.fail(format!("`{name}` stands there twice"));
        }
        match value {
            Some(value) => _ = env.insert(name, value),
            None => _ = bare.insert(name),
        }
    }
    Some((env, bare))
}

fn variable(item: Item<'_>, text: &str) -> Option<String> {
    if text.contains('=') {
        return item
            .fail_with(format!("`{}` has a value", split(text).0), "only names stand here: values stand in `env`");
    }
    item.check(named(text))
}

fn named(name: &str) -> Result<String, String> {
    match name {
        "" => Err("a variable's name is not empty".to_owned()),
        name if name.contains(|c: char| c.is_whitespace()) => Err(format!("a variable's name has no blank: `{name}`")),
        name => Ok(name.to_owned()),
    }
}

/// `NAME=VALUE`, or a bare `NAME`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)))
}

fn files(item: Item<'_>, folder: &Path) -> Option<Vec<String>> {
    let file = |item: Item<'_>| path(item, &item.some_text()?, folder);
    match item.value {
        Value::String(_) => file(item).map(|file| vec![file]),
        _ => item.list("a file, or a list of files", file),
    }
}

/// Puts the variables of a trial on top of those of the defaults, name by name, whichever form either is written in. What
/// is no form of them is left as it is: reading it says what is wrong.
pub(super) fn merge(defaults: &Map<String, Value>, own: &Map<String, Value>, merged: &mut Map<String, Value>) {
    let are_plain =
        |side: &Map<String, Value>| !side.contains_key(PASS_ENV) && !side.get(ENV).is_some_and(Value::is_array);
    if are_plain(defaults) && are_plain(own) {
        return;
    }
    let (Some(below), Some(above)) = (WrittenVariables::of(defaults), WrittenVariables::of(own)) else { return };
    // `env: null` and `pass_env: null` take all of the key away.
    let below_env = below.env.into_iter().filter(|_| !own.get(ENV).is_some_and(Value::is_null));
    let below_passed = below.passed.into_iter().filter(|_| !own.get(PASS_ENV).is_some_and(Value::is_null));
    let mut all: Map<String, Value> = Map::new();
    for (name, value) in below_env.chain(below_passed).chain(above.env).chain(above.passed) {
        all.insert(name, value);
    }
    // A name that is passed on stands for itself, as the list that it is written in.
    let (passed, env): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, value)| value.is_array());
    merged.insert(ENV.to_owned(), Value::Object(env.into_iter().collect()));
    merged.insert(PASS_ENV.to_owned(), passed.into_iter().map(|(name, _)| name).collect());
}

/// The variables that one side writes, by name: the value, or an empty list for one that is passed on.
struct WrittenVariables {
    env: Vec<(String, Value)>,
    passed: Vec<(String, Value)>,
}

impl WrittenVariables {
    /// Nothing where they are in no form that can be read.
    fn of(side: &Map<String, Value>) -> Option<Self> {
        let on = || Value::Array(Vec::new());
        let env = match side.get(ENV) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(map)) if map.values().all(|value| !value.is_array()) => {
                map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            Some(Value::Array(list)) => {
                let entry = |value: &Value| {
                    let (name, value) = split(value.as_str()?);
                    Some((name.to_owned(), value.map_or_else(on, Value::from)))
                };
                list.iter().map(entry).collect::<Option<_>>()?
            }
            Some(_) => return None,
        };
        let passed = match side.get(PASS_ENV) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => {
                list.iter().map(|value| Some((value.as_str()?.to_owned(), on()))).collect::<Option<_>>()?
            }
            Some(_) => return None,
        };
        let both =
            |name: &String| env.iter().any(|(other, value)| other == name && !value.is_null() && !value.is_array());
        // A contradiction within one side is told where it is written.
        if passed.iter().any(|(name, _)| both(name)) { None } else { Some(Self { env, passed }) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::spec::trial::merge;
    use crate::spec::trial::tests::read;

    /// The variables of a trial on top of defaults.
    fn merged(defaults: &Value, own: &Value) -> String {
        let mut own = own.as_object().unwrap().clone();
        own.insert("name".to_owned(), json!("some"));
        match read(merge(defaults.as_object().unwrap(), &own)) {
            Ok(trial) => format!("{:?} {:?} {:?}", trial.env, trial.pass_env, trial.env_file),
            Err(problem) => problem,
        }
    }

    #[test]
    fn a_list_holds_values_and_names_that_are_passed_on() {
        let trial = read(json!({"name": "some", "env": ["TOKEN", "A=b=c", "EMPTY="], "pass_env": ["KEY"]})).unwrap();
        assert_eq!(trial.env, [("A", "b=c"), ("EMPTY", "")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(trial.pass_env, ["KEY", "TOKEN"].map(str::to_owned).into());
        let mut wrong = String::new();
        for fields in [
            json!({"env": ["=1", "A B=1", 3, null]}),
            json!({"env": ["A", "A=1"]}),
            json!({"env": "A=1"}),
            json!({"env": {"A": 1}, "pass_env": ["A", "B=2", ""]}),
            json!({"pass_env": "TOKEN"}),
            json!({"env_file": [1, " ", "~bob/x"]}),
        ] {
            let mut value = json!({"name": "some"});
            value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            wrong += &format!("{}\n", read(value).unwrap_err());
        }
        insta::assert_snapshot!(wrong, @r#"
        env[0]: a variable's name is not empty
        env[1]: a variable's name has no blank: `A B`
        env[2]: expected a string, found the number 3
        env[3]: expected a string, found null
        env: `A` stands there twice
        env: expected an object of variables, or a list: "NAME=VALUE", or "NAME" to pass it on, found the string "A=1"
        pass_env[0]: `A` has a value in `env`, which is not passed on; leave it out of one of them
        pass_env[1]: `B` has a value; only names stand here: values stand in `env`
        pass_env[2]: a variable's name is not empty
        pass_env: expected a list of variables' names, found the string "TOKEN"; write ["TOKEN"]
        env_file[0]: expected a string, found the number 1
        env_file[1]: an empty string
        env_file[2]: `~bob/x`: only the caller's own home, `~/`, is known
        "#);
    }

    #[test]
    fn variables_of_a_trial_lie_on_the_defaults_name_by_name_in_either_form() {
        let below = json!({"env": {"A": 1, "B": 2}, "pass_env": ["TOKEN"], "env_file": "base.env"});
        let lines: Vec<_> = [
            json!({}),
            json!({"env": ["B=3", "C"]}),
            json!({"env": {"A": null, "TOKEN": null}}),
            json!({"env": {"TOKEN": "own"}}),
            json!({"pass_env": ["A", "KEY"]}),
            json!({"pass_env": null}),
            json!({"env": null, "env_file": "own.env"}),
            json!({"env": ["B=3", 4]}),
            json!({"env": {"KEY": 1}, "pass_env": ["KEY"]}),
        ]
        .iter()
        .map(|own| format!("{own} -> {}", merged(&below, own)))
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {} -> {"A": "1", "B": "2"} {"TOKEN"} ["/lab/maze/base.env"]
        {"env":["B=3","C"]} -> {"A": "1", "B": "3"} {"C", "TOKEN"} ["/lab/maze/base.env"]
        {"env":{"A":null,"TOKEN":null}} -> {"B": "2"} {} ["/lab/maze/base.env"]
        {"env":{"TOKEN":"own"}} -> {"A": "1", "B": "2", "TOKEN": "own"} {} ["/lab/maze/base.env"]
        {"pass_env":["A","KEY"]} -> {"B": "2"} {"A", "KEY", "TOKEN"} ["/lab/maze/base.env"]
        {"pass_env":null} -> {"A": "1", "B": "2"} {} ["/lab/maze/base.env"]
        {"env":null,"env_file":"own.env"} -> {} {"TOKEN"} ["/lab/maze/own.env"]
        {"env":["B=3",4]} -> env[1]: expected a string, found the number 4
        {"env":{"KEY":1},"pass_env":["KEY"]} -> pass_env[0]: `KEY` has a value in `env`, which is not passed on; leave it out of one of them
        "#);
        let list = json!({"env": ["A=1", "TOKEN"]});
        assert_eq!(
            merged(&list, &json!({"env": {"B": 2}})),
            merged(&json!({}), &json!({"env": ["A=1", "B=2", "TOKEN"]}))
        );
        assert_eq!(merged(&list, &json!({"env": null})), merged(&json!({}), &json!({})));
    }
}
