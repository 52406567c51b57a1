//! Fuzz targets: whatever stands in a script, an expression, an argument or a table, reading it ends with a value or an error,
//! and what is written of a value reads back equal.

use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{Dynamic, Engine, EvalAltResult, Scope};
use serde_json::Value;

use crate::fuzz::{check, texts};
use crate::model::name::Name;
use crate::model::outcome::{Exit, Outcome};
use crate::model::summary::Metric;
use crate::model::trial::Trial;
use crate::script::api::files::{matcher, read_csv, to_csv};
use crate::script::api::system::param;
use crate::script::arguments::Arguments;
use crate::script::error::ScriptError;
use crate::script::execute::engine;
use crate::script::harness::Lab;
use crate::script::host::Script;
use crate::script::selection::Where;
use crate::script::values::convert::from_json;
use crate::script::values::json::to_json;

/// What runs trials or programs, waits, or touches files. A text with one of these words is compiled and not executed.
const EFFECTS: [&str; 17] = [
    "append_file",
    "exists",
    "glob",
    "import",
    "kill",
    "mkdir",
    "plan",
    "read_csv",
    "read_file",
    "read_json",
    "run",
    "sh",
    "sleep",
    "start",
    "write_csv",
    "write_file",
    "write_json",
];

/// Steps that a script may take here.
const STEPS: u64 = 3_000;

/// Bytes, elements and fields of a value here. What a script may take of the machine is bounded by its memory instead.
const LARGEST: usize = 1 << 16;

/// An engine without effects, made once: it takes a thousand times as long as most scripts.
struct Bench {
    script: Rc<Script>,
    engine: Engine,
    _lab: Lab,
}

impl Bench {
    fn new() -> Self {
        let mut lab = Lab::new();
        lab.args = ["--count", "3", "rate=0.5", "--modes=a,2", "--quick"].map(str::to_owned).into();
        let script = lab.script();
        let mut engine = engine(&script);
        // Functions are called by the names that stand in the text, and by no other.
        engine.disable_symbol("Fn");
        engine.set_max_string_size(LARGEST).set_max_array_size(LARGEST).set_max_map_size(LARGEST);
        engine.on_progress(|steps| (steps > STEPS).then_some(Dynamic::UNIT));
        Self { script, engine, _lab: lab }
    }
}

fn is_pure(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    !words.any(|word| EFFECTS.contains(&word))
}

#[test]
fn scripts() {
    thread_local!(static BENCH: Bench = Bench::new());
    let experiments = [
        "e.filter(|t| t.name == \"aa\").len()",
        "e.filter(|t| 1)",
        "e.filter(\"params.lr == 1\", #{ exact: true }).names()",
        "e.filter(\"params.rl == 1\")",
        "e.filter(\"failed ||\")",
        "e.filter(\"!done && status == \\\"\\\"\", #{ exakt: true })",
        "e.only([\"aa\", e[1]]).trials",
        "e.only([\"ab\"], #{ exact: 1 })",
        "e[-1].name + e[\"aa\"].name",
        "e[7]",
        "e.ab",
        "(e + experiment(\"y\", [#{ name: \"aa\", cmd: \"x\" }])).len()",
    ];
    let made =
        "let e = experiment(\"x\", [#{ name: \"aa\" }, #{ name: \"bb\", params: #{ lr: 1 }, depends: [\"aa\"] }]); ";
    let experiments = experiments.map(|line| format!("{made}{line}"));
    check(texts(&["rhai"]).filter(|text| text.len() < 8 << 10).chain(experiments), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        BENCH.with(|Bench { script, engine, .. }| {
            let told = |error: EvalAltResult| {
                let error = ScriptError::of(error, script);
                assert!(!error.message.is_empty() && error.line.is_none_or(|line| line > 0));
            };
            match engine.compile(text) {
                Ok(ast) if is_pure(text) => {
                    let value = engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &ast);
                    value.map_or_else(|error| told(*error), |value| written(&value));
                }
                Ok(_) => {}
                Err(error) => told(EvalAltResult::ErrorParsing(*error.0, error.1)),
            }
        });
    });
}

/// A value that has a JSON form is the same after it, and the same JSON again.
fn written(value: &Dynamic) {
    if let Ok(json) = to_json(value) {
        assert_eq!(to_json(&from_json(&json)).ok(), Some(json));
    }
}

#[test]
fn selections() {
    let words = ["params", "==", "done", "status", "bytes(", "seconds(", "metrics"];
    let expressions = texts(&[]).filter(|text| text.len() < 120 && words.iter().any(|word| text.contains(word)));
    let others = ["sleep(1)", "\"\".pad(99999999999, \"x\")", "cmd[0] + image"].map(str::to_owned);
    check(expressions.chain(others), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let ends = [None, Some(Outcome::Succeeded), Some(Outcome::Failed { exit: Exit::Code(3) })];
        let loss = Metric { last: 0.5, step: Some(3), min: 0.1, max: 0.5, count: 3 };
        let told = BTreeMap::from([("loss".to_owned(), loss)]);
        match Where::parse(text) {
            Ok(expression) => {
                assert_eq!(expression.text(), text);
                let known = expression.check_params([&example()].into_iter());
                assert!(known.is_ok() || text.contains("params"), "{text}");
                for end in ends {
                    let _ = expression.holds(&example(), end.as_ref());
                    let _ = expression.holds_in(&example(), (end.as_ref(), "running"), Some(&told));
                }
            }
            Err(error) => assert!(!error.message.is_empty() && error.line.is_none_or(|line| line > 0)),
        }
    });
}

/// A trial that says something in many fields.
fn example() -> Trial {
    let params = serde_json::json!({"mode": "a", "lr": 0.1, "deep": {"x": [1, null]}});
    Trial {
        image: Some("busybox".to_owned()),
        cmd: Some(vec!["solve".to_owned()]),
        cpus: Some(2.0),
        memory: Some(1 << 30),
        params: params.as_object().cloned().unwrap_or_default(),
        ..Trial::new(Name::parse("solver-1").expect("a name"))
    }
}

#[test]
fn tables_and_json() {
    let rows = ["a,b\n1,x\n", "s,x,z\n\"a,b\",1,\n,0.5,true\n", "a\n\"x\ny\"\n"].map(str::to_owned);
    check(texts(&["json"]).filter(|text| text.contains([',', '{'])).chain(rows), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            written(&from_json(&value));
        }
        let Ok(rows) = read_csv(text) else { return };
        // A row of nothing but empty cells is an empty line, and no row.
        if let Ok(text) = to_csv(&rows) {
            let again = read_csv(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
            assert!(again.len() <= rows.len());
        }
    });
}

#[test]
fn arguments_and_patterns() {
    let lines = ["--count\n3", "count=3\n--count=x", "--modes=a,2", "--quick", "--no", "*.csv", "[a]{b}?*", "題"];
    check(lines, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let args: Vec<String> = text.lines().map(str::to_owned).collect();
        let defaults = [1.into(), 0.5.into(), true.into(), Dynamic::from_array(Vec::new()), "text".into()];
        for default in &defaults {
            for name in ["count", "modes", text] {
                let _ = param(&Arguments::new(args.clone()), name, default).map(|value| written(&value));
            }
        }
        let Ok(pattern) = matcher(text) else { return };
        let is_plain = !text.contains(['*', '?', '/']);
        assert!(!is_plain || pattern.is_match(text), "a name without * and ? fits itself");
    });
}
