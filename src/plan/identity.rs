//! Identity: what makes a trial the same as one that ran before. Pure.
//!
//! Two trials are the same when nothing differs that can change what they do. Their names do not matter, nor what only
//! decides when they run: priority, dependencies, retries, timeouts, named limits.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::trial::fields::Trigger;
use crate::model::trial::settled::Settled;

/// What counts as a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triggers(BTreeSet<Trigger>);

impl Default for Triggers {
    /// Everything counts.
    fn default() -> Self {
        Self(Trigger::ALL.into())
    }
}

impl Triggers {
    /// Everything counts but the seed of a run.
    pub fn without_seed() -> Self {
        Self(Trigger::ALL.into_iter().filter(|trigger| *trigger != Trigger::Seed).collect())
    }

    /// Reads `image,params`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut triggers = BTreeSet::new();
        for word in text.split(',').map(str::trim) {
            let Some(trigger) = Trigger::ALL.into_iter().find(|trigger| trigger.as_str() == word) else {
                let words = Trigger::ALL.map(Trigger::as_str).join(", ");
                return Err(format!("`{word}` is none of {words}"));
            };
            triggers.insert(trigger);
        }
        Ok(Self(triggers))
    }
}

/// A trial's identity: 32 hexadecimal digits. `digest` is the id of its image's content, where that is known.
pub fn identity(trial: &Settled, digest: Option<&str>, seed: u64, triggers: &Triggers) -> String {
    let resolved = trial.resolved();
    let mut parts: Vec<Value> = Vec::new();
    for field in resolved.fields() {
        if field.value.is_said() && field.trigger.is_some_and(|trigger| triggers.0.contains(&trigger)) {
            parts.push(json!([field.name, field.value.to_json()]));
        }
    }
    parts.extend(digest.filter(|_| triggers.0.contains(&Trigger::Image)).map(|digest| json!(["digest", digest])));
    parts.extend(triggers.0.contains(&Trigger::Seed).then(|| json!(["seed", seed])));
    // Maps keep their order here, and the order in which someone wrote parameters or variables is no difference.
    let text = sorted(Value::Array(parts)).to_string();
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The same value with the fields of its objects in alphabetical order.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(map) => {
            let mut fields: Vec<_> = map.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Triggers, identity};
    use crate::model::name::Name;
    use crate::model::retry::Retries;
    use crate::model::trial::Trial;

    fn params(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn trial() -> Trial {
        Trial {
            image: Some("lab/solver:2".to_owned()),
            cmd: Some(vec!["solve".to_owned()]),
            params: params(json!({"lr": 0.1, "題": "迷路"})),
            ..Trial::new(Name::parse("a1").unwrap())
        }
    }

    fn of(trial: &Trial) -> String {
        identity(&trial.clone().into(), Some("sha256:1"), 7, &Triggers::default())
    }

    #[test]
    fn what_changes_what_a_trial_does_changes_its_identity_and_nothing_else() {
        let first = of(&trial());
        assert_eq!(first.len(), 32);
        let same = [
            Trial { name: Name::parse("b2").unwrap(), ..trial() },
            Trial { params: params(json!({"題": "迷路", "lr": 0.1})), ..trial() },
            Trial { retries: Some(Retries::count(3).into()), priority: 4, ..trial() },
        ];
        for other in same {
            assert_eq!(of(&other), first, "{other:?}");
        }
        let others = [
            Trial { image: Some("lab/solver:3".to_owned()), ..trial() },
            Trial { cmd: Some(vec!["solve".to_owned(), "-v".to_owned()]), ..trial() },
            Trial { env: [("A".to_owned(), "1".to_owned())].into(), ..trial() },
            Trial { pass_env: ["A".to_owned()].into(), ..trial() },
            Trial { env_file: vec!["/lab/.env".to_owned()], ..trial() },
            Trial { memory: Some(1), ..trial() },
            Trial { params: params(json!({"lr": 0.2, "題": "迷路"})), ..trial() },
        ];
        for other in others {
            assert_ne!(of(&other), first, "{other:?}");
        }
        assert_ne!(identity(&trial().into(), Some("sha256:2"), 7, &Triggers::default()), first);
        assert_ne!(identity(&trial().into(), Some("sha256:1"), 8, &Triggers::default()), first);
    }

    #[test]
    fn only_what_is_chosen_counts() {
        let chosen = Triggers::parse("params, cmd").unwrap();
        let of = |trial: &Trial, digest| identity(&trial.clone().into(), digest, 1, &chosen);
        let other = Trial { image: Some("x".to_owned()), memory: Some(1), ..trial() };
        assert_eq!(of(&other, None), of(&trial(), Some("sha256:1")));
        assert_ne!(of(&Trial { cmd: None, ..trial() }, None), of(&trial(), None));
        assert_eq!(
            Triggers::parse("params,code"),
            Err("`code` is none of image, cmd, env, mounts, limits, params, seed".to_owned())
        );
    }
}
