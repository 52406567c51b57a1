//! Selections: an expression over one trial, the same for `--where` and for a script's `filter("..")`.
//!
//! An expression sees the trial's fields and how the trial ended last, and nothing else: no file, no engine, no clock.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Dynamic, Engine, EvalAltResult, Expr, LexError, Map, ParseErrorType, Position, Scope};

use crate::model::experiment::Experiment as Model;
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::summary::{Metric, TrialResult};
use crate::model::trial::Trial;
use crate::script::api::sizes;
use crate::script::api::trial::seconds;
use crate::script::error::{explain, lowered, parse_hint};
use crate::script::fault::{Answer, fault};
use crate::script::functions::Functions;
use crate::script::values::convert::{from_json, from_object};
use crate::script::values::experiment::ScriptExperiment;
use crate::spec;

/// Names for how a trial stands: whether it succeeded, whether it failed, how it ended in a word, and, in a run that goes on,
/// whether it runs or waits.
const LAST: [&str; 6] = ["done", "failed", "status", "running", "paused", "waiting"];

/// The last values of metrics, by name.
fn measured<'a>(metrics: impl Iterator<Item = (&'a String, &'a Metric)>) -> Map {
    metrics.map(|(name, metric)| (name.as_str().into(), metric.last.into())).collect()
}

/// An expression that is true of some trials.
pub struct Where {
    text: String,
    /// What it may ask a trial for: of the forty names an expression mentions two or three.
    names: Vec<&'static str>,
    engine: Engine,
    expression: AST,
}

/// Error that keeps an expression from being asked of trials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WhereError {
    /// Message: lower case, without a full stop; it names the trial, if it is one that is in the way.
    pub message: String,
    /// Advice on what to do next, where that is known.
    pub hint: Option<String>,
    /// Line of the expression, from 1; absent where no place is to blame.
    pub line: Option<usize>,
    /// Column in that line, in characters, from 1.
    pub column: Option<usize>,
    /// The text of that line.
    pub source_line: String,
}

impl Where {
    /// Reads an expression such as `params.mode == "a" && !done`.
    ///
    /// # Errors
    /// When it is no expression, or names something that no trial has.
    pub fn parse(text: &str) -> Result<Self, WhereError> {
        let engine = engine();
        let mut known = Scope::new();
        for name in names() {
            known.push_dynamic(name, Dynamic::UNIT);
        }
        if text.trim().is_empty() {
            let hint = "write what has to be true of a trial, such as `params.mode == \"a\"`".to_owned();
            return Err(WhereError::at(text, Position::NONE, "the expression is empty".to_owned(), Some(hint)));
        }
        match engine.compile_expression_with_scope(&known, text) {
            Ok(expression) => {
                let names = names().filter(|name| text.contains(name)).collect();
                Ok(Self { text: text.to_owned(), names, engine, expression })
            }
            Err(error) => {
                let (message, hint) = match *error.0 {
                    ParseErrorType::VariableUndefined(name) => {
                        let hint = did_you_mean(&name, names())
                            .unwrap_or_else(|| {
                                format!(
                                    "a param is written `params.{name}`, a text `\"{name}\"`; where results are looked at, a \
                                     metric is `metrics.{name}`"
                                )
                            });
                        (format!("a trial has no `{name}`"), Some(hint))
                    }
                    ParseErrorType::UnexpectedEOF => ("the expression has no end".to_owned(), None),
                    problem => (lowered(&problem.to_string()), hint_for(&problem)),
                };
                Err(WhereError::at(text, error.1, message, hint))
            }
        }
    }

    /// True when it may ask for what trials told of themselves.
    pub fn asks_for_metrics(&self) -> bool {
        self.text.contains("metrics")
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when it may ask how trials ended last.
    pub fn asks_for_ends(&self) -> bool {
        LAST.iter().any(|name| self.text.contains(name))
    }

    /// Checks that each param which the expression names is one of some trial. An expression that asks whether a param is there
    /// (`"lr" in params`, `params.lr == ()`), or says what to take where it is not (`params.lr ?? 0.1`), may name any.
    ///
    /// # Errors
    /// When no trial has one, with the nearest.
    pub fn check_params<'a>(&self, trials: impl Iterator<Item = &'a Trial>) -> Result<(), WhereError> {
        let mut missing = self.params();
        let asks = ["??", "in params", "= ()", "=()"].iter().any(|sign| self.text.contains(sign));
        if missing.is_empty() || asks {
            return Ok(());
        }
        let mut known = BTreeSet::new();
        for trial in trials {
            missing.retain(|(name, _)| !trial.params.contains_key(name));
            if missing.is_empty() {
                return Ok(());
            }
            known.extend(trial.params.keys());
        }
        let (name, position) = &missing[0];
        let known = || known.iter().map(|name| name.as_str());
        let hint = did_you_mean(name, known()).unwrap_or_else(|| match known().collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "they have no params".to_owned(),
            all => format!("their params are {all}"),
        });
        Err(WhereError::at(&self.text, *position, format!("no trial has the param `{name}`"), Some(hint)))
    }

    /// The params that it names, as `params.lr` or `params["lr"]`.
    fn params(&self) -> Vec<(String, Position)> {
        let is_params =
            |expression: &Expr| matches!(expression, Expr::Variable(variable, ..) if variable.1 == "params");
        let mut found = Vec::new();
        self.expression.walk(&mut |path: &[ASTNode]| {
            let Some(ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..))) = path.last() else { return true };
            let first = match &pair.rhs {
                Expr::Dot(more, ..) | Expr::Index(more, ..) => &more.lhs,
                one => one,
            };
            match first {
                Expr::Property(property, position) if is_params(&pair.lhs) => {
                    found.push((property.2.to_string(), *position));
                }
                Expr::StringConstant(name, position) if is_params(&pair.lhs) => {
                    found.push((name.to_string(), *position))
                }
                _ => {}
            }
            true
        });
        found
    }

    /// Truth of the expression for a trial as its run knows it now: its `status` may also be `waiting`, `starting` or `running`.
    ///
    /// # Errors
    /// As for [`Where::holds`].
    pub(crate) fn holds_now(&self, result: &TrialResult) -> Result<bool, WhereError> {
        self.holds_of(result, result.status())
    }

    /// Truth of the expression for a trial of a recorded run; `status` is the word for what it is doing, or how it ended.
    ///
    /// # Errors
    /// As for [`Where::holds`].
    pub fn holds_of(&self, result: &TrialResult, status: &str) -> Result<bool, WhereError> {
        self.holds_in(&result.trial.resolved(), (result.outcome(), status), Some(&result.metrics))
    }

    /// Truth of the expression for a trial that ended so last; `None`: it never has.
    ///
    /// # Errors
    /// When it cannot be told, with the trial's name.
    pub fn holds(&self, trial: &Trial, last: Option<&Outcome>) -> Result<bool, WhereError> {
        self.holds_in(trial, (last, last.map_or("", Outcome::status)), None)
    }

    /// Truth of the expression for a trial; what it told, where that may be asked.
    pub(super) fn holds_in(
        &self,
        trial: &Trial,
        (last, status): (Option<&Outcome>, &str),
        metrics: Option<&BTreeMap<String, Metric>>,
    ) -> Result<bool, WhereError> {
        let mut scope = Scope::new();
        for &name in &self.names {
            let value = match name {
                "done" => last.is_some_and(Outcome::is_success).into(),
                "failed" => last.is_some_and(Outcome::is_failure).into(),
                "status" => status.into(),
                "running" | "paused" | "waiting" => (status == name).into(),
                "params" => from_object(&trial.params).into(),
                // The values shadow the patterns of the spec, which are called so too.
                "metrics" if metrics.is_some() => measured(metrics.into_iter().flatten()).into(),
                name => {
                    let field = trial.fields().into_iter().find(|field| field.name == name);
                    field.map_or(Dynamic::UNIT, |field| from_json(&field.value.to_json()))
                }
            };
            scope.push_dynamic(name, value);
        }
        let wrong = |error: EvalAltResult| {
            let position = innermost(&error);
            let own = match &error {
                EvalAltResult::ErrorFunctionNotFound(signature, _) if signature.contains("()") => {
                    Some("what a trial does not say is `()`: ask for a value, as in `service == true`")
                }
                EvalAltResult::ErrorFunctionNotFound(..) => {
                    Some("there are Rhai's own functions, `bytes(\"2g\")` and `seconds(\"30m\")`")
                }
                _ => None,
            };
            let (message, hint, _) = explain(error, &Functions::default());
            let hint = own.map(ToOwned::to_owned).or(hint);
            WhereError::at(&self.text, position, format!("of the trial `{}`: {message}", trial.name), hint)
        };
        let answer: Dynamic =
            self.engine.eval_ast_with_scope(&mut scope, &self.expression).map_err(|error| wrong(*error))?;
        answer.as_bool().map_err(|found| {
            let message = format!("of the trial `{}`: the expression gives {found}, not true or false", trial.name);
            WhereError::at(&self.text, Position::NONE, message, None)
        })
    }
}

/// The experiment with the trials that are kept, in its order, and with all that those depend on.
pub fn with_prerequisites(experiment: Model, keep: &[bool]) -> Model {
    ScriptExperiment::new(experiment).keep(keep, false).to_model()
}

impl WhereError {
    fn at(text: &str, position: Position, message: String, hint: Option<String>) -> Self {
        let line = position.line();
        let source_line = text.lines().nth(line.unwrap_or(1) - 1).unwrap_or_default().to_owned();
        let column = line.map(|_| position.position().unwrap_or(1));
        Self { message, hint, line, column, source_line }
    }
}

/// Every name that an expression may use.
fn names() -> impl Iterator<Item = &'static str> {
    spec::FIELDS.iter().map(|field| field.name).chain(LAST)
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_strict_variables(true).set_max_expr_depths(64, 64).set_max_call_levels(32);
    // What looks at trials has no effects and no delay.
    for word in ["eval", "print", "debug"] {
        engine.disable_symbol(word);
    }
    sizes::register(&mut engine);
    exact_comparisons(&mut engine);
    // Rhai disables its keywords only, of which this is none.
    engine.register_fn("sleep", |_: i64| sleepless()).register_fn("sleep", |_: f64| sleepless());
    engine
        .register_fn("seconds", |text: &str| seconds(text))
        .register_fn("bytes", |text: &str| spec::size(text).map(|bytes| bytes as i64).map_err(fault));
    engine
}

/// Comparisons of fractions as everywhere else: Rhai's own take what is within 2.2e-16 of zero for zero, so that a weight decay
/// of 1e-17 would not be above it.
fn exact_comparisons(engine: &mut Engine) {
    engine.set_fast_operators(false);
    macro_rules! compare {
        ($($operator:tt)*) => {$(
            engine
                .register_fn(stringify!($operator), |one: f64, other: f64| one $operator other)
                .register_fn(stringify!($operator), |one: f64, other: i64| one $operator other as f64)
                .register_fn(stringify!($operator), |one: i64, other: f64| (one as f64) $operator other);
        )*};
    }
    compare!(== != < <= > >=);
}

fn sleepless() -> Answer<()> {
    Err(fault("an expression does not sleep"))
}

fn hint_for(problem: &ParseErrorType) -> Option<String> {
    let own = match problem {
        ParseErrorType::PropertyExpected => {
            "a param whose name has other letters than a-z, or is a reserved word of Rhai, is written `params[\"name\"]`"
        }
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => "texts stand in double quotes",
        ParseErrorType::BadInput(LexError::UnexpectedInput(sign)) if sign == "=" => "equality is written `==`",
        problem => return parse_hint(problem),
    };
    Some(own.to_owned())
}

fn innermost(error: &EvalAltResult) -> Position {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, position) => {
            let inner = innermost(inner);
            if inner.is_none() { *position } else { inner }
        }
        error => error.position(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;
    use std::sync::Arc;

    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::{Where, WhereError, with_prerequisites};
    use crate::model::experiment::Experiment;
    use crate::model::name::Name;
    use crate::model::options::Options;
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::trial::Trial;

    fn trial(fields: Value) -> Trial {
        crate::spec::trial(&fields, Path::new("/lab")).unwrap()
    }

    fn solver() -> Trial {
        trial(json!({
            "name": "solver-1", "image": "busybox", "cmd": "solve maze", "cpus": 2, "memory": "1g", "pin": true,
            "limits": {"license": 1}, "gpus": 1, "nice": 5, "timeout": "30m", "params": {"mode": "a", "lr": 0.5},
        }))
    }

    fn told(error: WhereError) -> String {
        let place = error.column.map(|column| format!("{}:{column}: ", error.line.unwrap())).unwrap_or_default();
        format!("{place}{}{}", error.message, error.hint.map(|hint| format!("\n  = {hint}")).unwrap_or_default())
    }

    fn wrong(text: &str) -> String {
        match Where::parse(text) {
            Err(error) => told(error),
            Ok(expression) => told(expression.holds(&solver(), None).unwrap_err()),
        }
    }

    #[test]
    fn an_expression_sees_the_fields_of_a_trial() {
        for text in [
            "true",
            "name == \"solver-1\" && name.starts_with(\"solver\")",
            "params.mode == \"a\"",
            "params.mode in [\"a\", \"b\"] && params.lr < 1",
            "params.none == ()",
            "params.mode == 'a'",
            "limits.keys().some(|key| key == \"license\")",
            "!(params.none > 3)",
            "image.contains(\"box\") && cmd[0] == \"solve\" && \"maze\" in cmd",
            "cpus >= 2 && memory == bytes(\"1g\") && timeout <= seconds(\"1h\")",
            "pin && limits.license == 1 && gpus == 1 && nice == 5",
            "depends.is_empty() && service == () && user == () && priority == 0",
            "status == \"\" && !done && !failed",
        ] {
            assert_eq!(Where::parse(text).unwrap().holds(&solver(), None), Ok(true), "{text}");
        }
        let bare = trial(json!({"name": "loader"}));
        for text in ["params.mode == \"a\"", "pin", "limits.license == 1", "cpus > 1", "image == \"x\""] {
            assert_eq!(Where::parse(text).unwrap().holds(&bare, None), Ok(false), "{text}");
        }
    }

    #[test]
    fn an_expression_sees_how_the_trial_ended_last() {
        let ends = [
            None,
            Some(Outcome::Succeeded),
            Some(Outcome::Stopped),
            Some(Outcome::Failed { exit: Exit::Code(1) }),
            Some(Outcome::Oom),
            Some(Outcome::Killed),
            Some(Outcome::Skipped { because: String::new() }),
        ];
        let of = |text: &str| {
            let asked = Where::parse(text).unwrap();
            assert!(asked.asks_for_ends());
            ends.iter().map(|end| if asked.holds(&solver(), end.as_ref()).unwrap() { 'x' } else { '-' }).collect()
        };
        let (done, failed, oom): (String, String, String) = (of("done"), of("failed"), of("status == \"oom\""));
        assert_eq!((&*done, &*failed, &*oom), ("-xx----", "---xx--", "----x--"));
        assert!(!Where::parse("params.mode == \"a\"").unwrap().asks_for_ends());
    }

    #[test]
    fn a_name_that_no_trial_has_is_told_before_any_trial_is_asked() {
        assert_snapshot!(wrong("!dnoe"), @"
        1:2: a trial has no `dnoe`
          = did you mean `done`?
        ");
        assert_snapshot!(wrong("cpus > 1 &&\n param.mode == 1"), @"
        2:2: a trial has no `param`
          = did you mean `params`?
        ");
        assert_snapshot!(wrong("params.mode == hardest"), @r#"
        1:16: a trial has no `hardest`
          = a param is written `params.hardest`, a text `"hardest"`; where results are looked at, a metric is `metrics.hardest`
        "#);
    }

    #[test]
    fn a_param_that_no_trial_has_is_told_with_the_nearest() {
        let trial = solver();
        let told = |text: &str| match Where::parse(text).unwrap().check_params([&trial].into_iter()) {
            Ok(()) => "fine".to_owned(),
            Err(error) => {
                format!("{}: {} = {}", error.column.unwrap(), error.message, error.hint.unwrap())
            }
        };
        assert_eq!(told("params.lrr != 1"), "8: no trial has the param `lrr` = did you mean `lr`?");
        assert_eq!(
            told("cpus > 1 || params[\"moed\"].len() == 1"),
            "20: no trial has the param `moed` = did you mean `mode`?"
        );
        for text in
            ["params.lr > 0.0", "params.none == ()", "(params.none ?? 1) == 1", "\"none\" in params", "cpus > 1"]
        {
            assert_eq!(told(text), "fine", "{text}");
        }
    }

    #[test]
    fn fractions_near_zero_are_not_zero() {
        let mut trial = solver();
        trial.params.insert("wd".to_owned(), 1e-17.into());
        for text in ["params.wd > 0.0", "params.wd != 0.0", "params.wd > 0", "0 < params.wd", "params.wd < 1e-16"] {
            assert!(Where::parse(text).unwrap().holds(&trial, None).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_with_its_column() {
        assert_snapshot!(wrong(" "), @r#"
        the expression is empty
          = write what has to be true of a trial, such as `params.mode == "a"`
        "#);
        assert_snapshot!(wrong("params.mode = \"a\""), @"
        1:13: unexpected '='
          = equality is written `==`
        ");
        assert_snapshot!(wrong("params.mode == 'abc'"), @"
        1:16: invalid character: 'abc'
          = texts stand in double quotes
        ");
        assert_snapshot!(wrong("let x = 1; x"), @"1:1: unexpected 'let'");
        assert_snapshot!(wrong("cpus > 1 &&"), @"1:12: the expression has no end");
        assert_snapshot!(wrong("eval(\"1\")"), @"1:1: reserved keyword 'eval' is disabled");
        assert_snapshot!(wrong("print(1) == ()"), @"1:1: reserved keyword 'print' is disabled");
    }

    #[test]
    fn an_expression_neither_waits_nor_takes_the_memory() {
        for text in ["sleep(1000)", "sleep(1e3)"] {
            let told = wrong(text);
            assert!(told.contains("of the trial `solver-1`: an expression does not sleep"), "{told}");
        }
        let told = wrong("\"\".pad(99999999999, \"x\") == ()");
        assert!(told.contains("of the trial `solver-1`: "), "{told}");
    }

    #[test]
    fn what_cannot_be_told_of_a_trial_names_it() {
        assert_snapshot!(wrong("name"), @"of the trial `solver-1`: the expression gives string, not true or false");
        assert_snapshot!(wrong("!service"), @"
        1:1: of the trial `solver-1`: there is nothing, `()`, behind `!`
          = what a trial does not say is `()`: ask for a value, as in `service == true`
        ");
        assert_snapshot!(wrong("cpsu(1)"), @r#"
        1:1: of the trial `solver-1`: no function `cpsu (i64)`
          = there are Rhai's own functions, `bytes("2g")` and `seconds("30m")`
        "#);
        assert_snapshot!(wrong("memory > bytes(\"lots\")"), @"1:10: of the trial `solver-1`: `lots` is not a size: write `512m`, `2g`, `64MiB` or bytes");
        assert_snapshot!(wrong("params.none.deep == 1"), @"
        1:13: of the trial `solver-1`: there is nothing, `()`, of which to read `deep`
          = ask for a value first: `if x != () { .. }`
        ");
    }

    #[test]
    fn a_selection_keeps_what_it_depends_on() {
        let trials = vec![
            trial(json!({"name": "db"})),
            trial(json!({"name": "warm", "depends": ["db"]})),
            trial(json!({"name": "s1", "depends": ["warm"], "params": {"mode": "a"}})),
            trial(json!({"name": "s2", "params": {"mode": "b"}})),
        ];
        let options = Options::default();
        let experiment = Experiment {
            name: "maze".into(),
            id: "id".into(),
            spec: "/lab/maze".into(),
            options,
            trials: trials.into_iter().map(Arc::new).collect(),
        };
        let last = HashMap::from([(Name::parse("s1").unwrap(), Outcome::Succeeded)]);
        let select = |text: &str| {
            let expression = Where::parse(text).unwrap();
            let keep = experiment.trials.iter().map(|trial| expression.holds(trial, last.get(&trial.name)).unwrap());
            let selected = with_prerequisites(experiment.clone(), &keep.collect::<Vec<_>>());
            selected.trials.iter().map(|trial| trial.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(select("params.mode == \"a\""), ["db", "warm", "s1"]);
        assert_eq!(select("name.starts_with(\"s\") && !done"), ["s2"]);
        assert_eq!(select("params.mode == \"c\""), Vec::<String>::new());
    }
}
