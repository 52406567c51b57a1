//! A trial's params in scripts: a map that says what is mistyped, and that answers where there are no params at all.

use rhai::{Dynamic, Map};

use crate::model::name::Name;
use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::script::fault::{Answer, fault_with};
use crate::script::values::convert::from_object;

/// The params of a trial.
#[derive(Clone)]
pub(crate) struct Params {
    /// The trial's name, for messages.
    trial: Name,
    pub(crate) values: Map,
}

impl Params {
    /// A trial's params as a script's value.
    pub(crate) fn of(trial: &Trial) -> Dynamic {
        Dynamic::from(Self { trial: trial.name.clone(), values: from_object(&trial.params) })
    }

    /// A param; a trial without any (a service, most often) has `()` for each, so that filters need not ask first.
    pub(crate) fn read(&self, name: &str) -> Answer<Dynamic> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        if self.values.is_empty() {
            return Ok(Dynamic::UNIT);
        }
        let message = format!("the trial `{}` has no param `{name}`", self.trial);
        match did_you_mean(name, self.values.keys().map(|key| key.as_str())) {
            Some(hint) => Err(fault_with(message, hint)),
            None => Err(fault_with(message, format!("where it may be absent, write `get(t.params, \"{name}\", ())`"))),
        }
    }

    pub(crate) fn text(&self) -> String {
        Dynamic::from_map(self.values.clone()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn params_read_and_change_like_a_map() {
        let script = "let t = trial(#{ name: \"solver-1\", params: #{ mode: \"a\", lr: 0.1, deep: #{ x: [1] } } });
            print(t.params); print(t.params.keys()); print(t.params.len()); print(\"mode\" in t.params); print(\"none\" in t.params);
            t.params.fresh = 1; t.params.deep.x[0] += 1; t.params.remove(\"lr\"); t.params.mixin(#{ more: true });
            print(t.params); print(get(t.params, \"none\", 7)); print(t.params == #{ mode: \"a\" }); print(t.params == t.params);
            let p = t.params; p.mode = \"b\"; print(t.params.mode); t.params = p; print(t.params[\"mode\"]);
            print(to_json(t.params)); print(t.params.to_map().fresh); print(t.params.values().len());
            let copy = trial(#{ name: \"solver-2\", params: t.params }); print(copy.params.mode); t.params = (); print(t.params.len());";
        assert_snapshot!(Lab::new().output(script), @r#"
        #{"deep": #{"x": [1]}, "lr": 0.1, "mode": "a"}
        ["deep", "lr", "mode"]
        3
        true
        false
        #{"deep": #{"x": [2]}, "fresh": 1, "mode": "a", "more": true}
        7
        false
        true
        a
        b
        {"deep":{"x":[2]},"fresh":1,"mode":"b","more":true}
        1
        4
        b
        0
        "#);
    }

    #[test]
    fn a_mistyped_param_is_named_and_one_of_a_trial_without_params_is_nothing() {
        let lab = Lab::new();
        let script =
            "let t = trial(#{ name: \"loader\" }); print(t.params.mode == \"a\"); t.params.mode = \"a\"; t.params.mdoe";
        assert_snapshot!(lab.output(script), @r#"
        false
        script.rhai:1:95: the trial `loader` has no param `mdoe`
          | let t = trial(#{ name: "loader" }); print(t.params.mode == "a"); t.params.mode = "a"; t.params.mdoe
          = did you mean `mode`?
        "#);
        assert_snapshot!(lab.output("trial(#{ name: \"loader\", params: #{ x: 1 } }).params.mode"), @r#"
        script.rhai:1:53: the trial `loader` has no param `mode`
          | trial(#{ name: "loader", params: #{ x: 1 } }).params.mode
          = where it may be absent, write `get(t.params, "mode", ())`
        "#);
    }
}
