//! Script errors: the problem, its file, line and column, and what to do about it.

use std::path::{Path, PathBuf};

use rhai::{Dynamic, EvalAltResult, LexError, ParseErrorType, Position};

use crate::model::source::without_mark;
use crate::model::suggest::nearest;
use crate::run::session::interrupt::Interrupt;
use crate::script::api::table;
use crate::script::fault::{ScriptErrorKind, ScriptFault};
use crate::script::functions::{ANONYMOUS, Functions};
use crate::script::habits;
use crate::script::host::{DEPTH, EXPRESSION, Script};
use crate::script::items;
use crate::script::stdlib;
use crate::script::values::series::{self, Series};

/// Error that ended a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// The file the error is in: the script or a module it imports, as people would write it.
    pub file: PathBuf,
    /// Line, from 1; absent where no place is to blame (an unreadable file).
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// The text of that line.
    pub source_line: Option<String>,
    /// Message: lower case, without a full stop.
    pub message: String,
    /// Advice on what to do next, where that is known.
    pub hint: Option<String>,
    /// Kind of the error.
    pub kind: ScriptErrorKind,
    /// The calls that led there, the innermost first.
    pub trace: Vec<Call>,
}

/// A call in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The function called there, or the module imported.
    pub called: String,
}

/// Most calls that are told: what recursion adds beyond says nothing new.
const CALLS: usize = 8;

impl ScriptError {
    /// A script that cannot be read.
    pub(super) fn unreadable(file: PathBuf, error: &std::io::Error) -> Self {
        let message = format!("cannot read the script `{}`: {error}", file.display());
        Self {
            file,
            line: None,
            column: None,
            source_line: None,
            message,
            hint: None,
            kind: ScriptErrorKind::Read,
            trace: Vec::new(),
        }
    }

    /// A script that was interrupted before it was read.
    pub(super) fn unread(file: PathBuf, interrupt: &Interrupt) -> Self {
        let by = interrupt.by().unwrap_or_default();
        let error = Self::unreadable(file, &std::io::Error::other(format!("interrupted by {by}")));
        Self { kind: ScriptErrorKind::Interrupted(by), ..error }
    }

    /// Error of Rhai, with the place to blame.
    pub(super) fn of(error: EvalAltResult, script: &Script) -> Self {
        Self::told(error, &script.shown, &script.functions)
    }

    /// The same for the file that users know by that path, which defines those functions.
    pub(super) fn told(mut error: EvalAltResult, shown: &Path, functions: &Functions) -> Self {
        let mut file = shown.display().to_string();
        let mut trace = Vec::new();
        let mut blamed = (file.clone(), Position::NONE);
        loop {
            let position = error.position();
            if !position.is_none() {
                blamed = (file.clone(), position);
            }
            let called = |called: &str| Call {
                file: file.clone().into(),
                line: position.line().unwrap_or(0),
                column: position.position().unwrap_or(0),
                called: called.to_owned(),
            };
            let (place, source, inner) = match error {
                EvalAltResult::ErrorInFunctionCall(name, source, inner, _) => {
                    let name = if name.starts_with("anon$") { "a closure".to_owned() } else { name };
                    (called(&name), source, inner)
                }
                EvalAltResult::ErrorInModule(path, inner, _) => (called(&path), path.clone(), inner),
                other => {
                    error = other;
                    break;
                }
            };
            if place.line > 0 {
                trace.insert(0, place);
                trace.truncate(CALLS);
            }
            if !source.is_empty() {
                file = source;
            }
            error = *inner;
        }
        let (file, position) = blamed;
        let habit = habit(&error, &file, position);
        let (message, hint, kind) = explain(error, functions);
        let hint = habit.or(hint);
        let item = text_of(&file).and_then(|text| items::placed(&message, &text, position));
        let (position, message) = item.unwrap_or((position, message));
        Self {
            source_line: position.line().and_then(|line| line_of(&file, line)),
            file: file.into(),
            line: position.line(),
            column: position.line().map(|_| position.position().unwrap_or(1)),
            message,
            hint,
            kind,
            trace,
        }
    }
}

/// The text of a line of the script or of a module.
fn line_of(file: &str, line: usize) -> Option<String> {
    line_in(&text_of(file)?, line)
}

/// A line of a text, from 1.
pub(super) fn line_in(text: &str, line: usize) -> Option<String> {
    text.lines().nth(line.checked_sub(1)?).map(str::to_owned)
}

/// The text of the script or of a module.
fn text_of(file: &str) -> Option<String> {
    match stdlib::embedded(file) {
        Some(text) => Some(text.to_owned()),
        None => Some(without_mark(&std::fs::read_to_string(file).ok()?).to_owned()),
    }
}

/// What to write instead, where the text has what other languages write.
fn habit(error: &EvalAltResult, file: &str, position: Position) -> Option<String> {
    let undefined = match error {
        EvalAltResult::ErrorParsing(ParseErrorType::BadInput(LexError::MalformedChar(_)), _) => {
            return Some(habits::QUOTES.to_owned());
        }
        EvalAltResult::ErrorParsing(ParseErrorType::VariableUndefined(_), _) => true,
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let name = signature.split(' ').next().unwrap_or_default();
            let is_unknown = operator(name).is_none() && table::signatures(name).next().is_none();
            if is_unknown && habits::is_named(name, &text_of(file)?) {
                return Some(call_of_variable(name));
            }
            false
        }
        EvalAltResult::ErrorParsing(..) => false,
        _ => return None,
    };
    habits::instead(&text_of(file)?, position.line()?, position.position().unwrap_or(1), undefined)
}

/// The message of an error of Rhai, what to do about it, and its kind.
pub(super) fn explain(mut error: EvalAltResult, functions: &Functions) -> (String, Option<String>, ScriptErrorKind) {
    error.clear_position();
    match error {
        EvalAltResult::ErrorTerminated(by, _) => match by.try_cast_result::<ScriptFault>() {
            Ok(fault) => (fault.message, fault.hint, fault.kind),
            Err(by) => (format!("interrupted by {by}"), None, ScriptErrorKind::Interrupted(by.to_string())),
        },
        EvalAltResult::ErrorRuntime(value, _) => match value.try_cast_result::<ScriptFault>() {
            Ok(fault) => (fault.message, fault.hint, fault.kind),
            Err(value) => (thrown(&value), None, ScriptErrorKind::Run),
        },
        EvalAltResult::ErrorParsing(problem, _) => {
            let hint = parse_hint(&problem);
            (lowered(&problem.to_string()), hint, ScriptErrorKind::Parse)
        }
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let signature = signature.replace("&str | ImmutableString | String", "string");
            let (message, hint) = not_callable(&signature, functions);
            (message, Some(hint), ScriptErrorKind::Run)
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            let hint = variable_hint(&name);
            (format!("no variable `{name}`"), hint, ScriptErrorKind::Run)
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            (format!("no property `{name}`"), Some(absent_hint(&name)), ScriptErrorKind::Run)
        }
        EvalAltResult::ErrorDotExpr(message, _) => match of_nothing(&message) {
            Some(name) => {
                let hint = "ask for a value first: `if x != () { .. }`".to_owned();
                (format!("there is nothing, `()`, of which to read `{name}`"), Some(hint), ScriptErrorKind::Run)
            }
            None => (lowered(&message), None, ScriptErrorKind::Run),
        },
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            let message = format!("`{name}` changes what it is called of, and that cannot be changed here");
            (message, Some("put it into a variable first: `let own = ..;`".to_owned()), ScriptErrorKind::Run)
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            let message = format!("functions call each other too deeply: more than {DEPTH} calls within each other");
            (message, Some("use a loop".to_owned()), ScriptErrorKind::Run)
        }
        other => {
            let message = other.to_string().replace(std::any::type_name::<Series>(), series::KIND);
            (lowered(&message), None, ScriptErrorKind::Run)
        }
    }
}

fn thrown(value: &Dynamic) -> String {
    let text = value.to_string();
    if text.is_empty() { "the script threw an error without a message".to_owned() } else { text }
}

fn absent_hint(name: &str) -> String {
    format!("where it may be absent, write `get(map, \"{name}\", default)` or ask `\"{name}\" in map`")
}

/// The property that is asked for of nothing, where that is what Rhai says: `unknown property 'x' - a getter is not registered
/// for type '()'`.
fn of_nothing(message: &str) -> Option<&str> {
    let (before, of) = message.split_once("' - a getter is not registered for type '")?;
    (of == "()'").then(|| before.rsplit('\'').next()).flatten()
}

/// What is wrong with a call, as its signature tells (`f (i64, string)`), and what to do about it.
fn not_callable(signature: &str, functions: &Functions) -> (String, String) {
    let (name, given) = signature.split_once(" (").unwrap_or((signature, ")"));
    let given: Vec<&str> = given.strip_suffix(')').unwrap_or(given).split(", ").filter(|one| !one.is_empty()).collect();
    if name.starts_with(ANONYMOUS) {
        let given = given.len();
        return match functions.of_closure(name) {
            Some(takes) if takes != given => {
                let (count, more) = (takes.abs_diff(given), if takes > given { "more" } else { "fewer" });
                let s = if count == 1 { "" } else { "s" };
                let message = format!("the closure takes {count} argument{s} {more} than it is called with");
                (message, "write as many names between its bars as it is called with: `|a, b| ..`".to_owned())
            }
            _ => (
                "the closure cannot be called here".to_owned(),
                "import the module that made it at the top of the script, not in a function or a block".to_owned(),
            ),
        };
    }
    if let Some(operator) = operator(name) {
        if let Some(place) = given.iter().position(|one| *one == "()") {
            let side = if given.len() == 1 { "behind" } else { ["on the left of", "on the right of"][place.min(1)] };
            let hint = "a param, metric or key that is not there is `()`: `x ?? 0.0` puts a value in its place";
            return (format!("there is nothing, `()`, {side} `{operator}`"), hint.to_owned());
        }
        let message = format!(
            "`{operator}` does not fit {}",
            given.iter().map(|one| kind(one)).collect::<Vec<_>>().join(" and ")
        );
        return (
            message,
            "a text becomes a number with `parse_int(x)` or `parse_float(x)`, a number a text with `x.to_string()`"
                .to_owned(),
        );
    }
    if let [first, ..] = given[..]
        && first == "()"
        && table::signatures(name).next().is_none()
    {
        let hint = "ask for a value first: `if x != () { .. }`".to_owned();
        return (format!("there is nothing, `()`, of which to call `{name}`"), hint);
    }
    // Of a function of a module, the module's name is that of the importing script.
    if let Some((module, function)) = name.rsplit_once("::")
        && let Some((near, takes)) = functions.nearest(function)
    {
        let hint = match takes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ") {
            _ if near != function => format!("did you mean `{module}::{near}(..)`?"),
            _ if takes.contains(&given.len()) => format!("`{near}` is private to its module"),
            counts => format!("the number of its arguments is {counts}, and it is called with {}", given.len()),
        };
        return (format!("no function `{signature}`"), hint);
    }
    (format!("no function `{signature}`"), function_hint(name))
}

/// The operator that has that name.
fn operator(name: &str) -> Option<&str> {
    let is_operator = !name.is_empty() && name.chars().all(|c| "+-*/%<>=!&|^~".contains(c));
    is_operator.then_some(name)
}

/// A type, as people call it.
fn kind(name: &str) -> &str {
    match name {
        "i64" => "a whole number",
        "f64" => "a fraction",
        "string" => "a text",
        "bool" => "a truth",
        "array" => "a list",
        "map" => "a map",
        "Fn" => "a closure",
        other => other,
    }
}

pub(super) fn function_hint(name: &str) -> String {
    let known: Vec<&str> = table::signatures(name).collect();
    if !known.is_empty() {
        return format!("there is {}", known.join(", "));
    }
    match nearest(name, table::names()) {
        Some(near) => {
            let known: Vec<&str> = table::signatures(near).collect();
            format!("did you mean {}?", known.join(", "))
        }
        None => EVERY_FUNCTION.to_owned(),
    }
}

/// Where to look for functions.
pub(super) const EVERY_FUNCTION: &str = "`combu help script` lists every function";

/// How a closure is called.
pub(super) fn call_of_variable(name: &str) -> String {
    format!("a closure in a variable is called `{name}.call(..)`")
}

fn variable_hint(name: &str) -> Option<String> {
    if name.contains("::") {
        return Some(format!("to pass on a function of a module, write a closure: `|x| {name}(x)`"));
    }
    if let Some(signature) = table::signatures(name).next() {
        return Some(format!("functions are called with parentheses: {signature}"));
    }
    if let Some(near) = nearest(name, table::names()) {
        let known: Vec<&str> = table::signatures(near).collect();
        return Some(format!("did you mean {}?", known.join(", ")));
    }
    Some(format!("declare it first: `let {name} = ..;`"))
}

pub(super) fn parse_hint(problem: &ParseErrorType) -> Option<String> {
    match problem {
        ParseErrorType::VariableUndefined(name) => variable_hint(name),
        ParseErrorType::ModuleUndefined(name) => {
            Some(format!("import it first: `import \"combu/{name}\" as {name};` or `import \"{name}\" as {name};`"))
        }
        ParseErrorType::Reserved(word) => Some(format!(
            "`{word}` is a reserved word of Rhai: as a key write `map[\"{word}\"]`, else choose another name"
        )),
        ParseErrorType::ExprTooDeep => {
            let (outside, inside) = EXPRESSION;
            Some(format!(
                "an expression may have {outside} parts within each other, {inside} in a function: split it with `let`"
            ))
        }
        ParseErrorType::PropertyExpected => {
            Some("a key that is a reserved word of Rhai is written `map[\"key\"]`".to_owned())
        }
        _ => None,
    }
}

pub(super) fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    let second_is_capital = text.chars().nth(1).is_some_and(char::is_uppercase);
    match letters.next() {
        Some(first) if !second_is_capital => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::function_hint;
    use crate::model::suggest::misspelt;
    use crate::script::api::table;
    use crate::script::harness::Lab;
    use crate::script::{ScriptErrorKind, on_large_stack};

    #[test]
    fn a_syntax_error_shows_its_line() {
        let lab = Lab::new();
        assert_snapshot!(lab.output("let x = 1;\nlet y = [1, 2;\n"), @"
        script.rhai:2:14: expecting ',' to separate the items of this array literal
          | let y = [1, 2;
        ");
        assert_snapshot!(lab.output("print(cpu);"), @"
        script.rhai:1:7: undefined variable: cpu
          | print(cpu);
          = did you mean cpus()?
        ");
        assert_snapshot!(lab.output("let default = 3;"), @r#"
        script.rhai:1:5: 'default' is a reserved keyword
          | let default = 3;
          = `default` is a reserved word of Rhai: as a key write `map["default"]`, else choose another name
        "#);
        assert_snapshot!(lab.output("print(plan);"), @"
        script.rhai:1:7: undefined variable: plan
          | print(plan);
          = functions are called with parentheses: plan(what)
        ");
        assert_snapshot!(lab.output("let g = grid::grid(#{});"), @r#"
        script.rhai:1:9: undefined module: grid
          | let g = grid::grid(#{});
          = import it first: `import "combu/grid" as grid;` or `import "grid" as grid;`
        "#);
        assert_eq!(lab.execute("let").unwrap_err().kind, ScriptErrorKind::Parse);
    }

    #[test]
    fn a_failing_call_shows_its_line_and_what_to_do() {
        let lab = Lab::new();
        assert_snapshot!(lab.output("let a = 1;\n  exprement(\"x\", []);"), @r#"
        script.rhai:2:3: no function `exprement (string, array)`
          | exprement("x", []);
          = did you mean experiment(path), experiment(path, options), experiment(name, trials), experiment(name, base, points)?
        "#);
        assert_snapshot!(lab.output("run(1);"), @"
        script.rhai:1:1: no function `run (i64)`
          | run(1);
          = there is run(what), run(what, options)
        ");
        assert_snapshot!(lab.output("let f = |x| x;\nf(1);"), @"
        script.rhai:2:1: no function `f (i64)`
          | f(1);
          = a closure in a variable is called `f.call(..)`
        ");
        assert_snapshot!(lab.output("let m = #{ mode: 1 };\nprint(m.mdoe);"), @r#"
        script.rhai:2:9: no property `mdoe`
          | print(m.mdoe);
          = where it may be absent, write `get(map, "mdoe", default)` or ask `"mdoe" in map`
        "#);
        assert_snapshot!(lab.output("let m = #{ mode: 1 };\nprint(m.zebra);"), @r#"
        script.rhai:2:9: no property `zebra`
          | print(m.zebra);
          = where it may be absent, write `get(map, "zebra", default)` or ask `"zebra" in map`
        "#);
        assert_snapshot!(lab.output("throw \"no luck\";"), @r#"
        script.rhai:1:1: no luck
          | throw "no luck";
        "#);
        assert_snapshot!(lab.output("throw #{ code: 3 };"), @r#"
        script.rhai:1:1: #{"code": 3}
          | throw #{ code: 3 };
        "#);
        assert_snapshot!(lab.output("let x = 1 / 0;"), @"
        script.rhai:1:11: division by zero: 1 / 0
          | let x = 1 / 0;
        ");
        assert_snapshot!(lab.output("let a = [1];\nprint(a[3]);"), @"
        script.rhai:2:9: array index 3 out of bounds: only 1 element in array
          | print(a[3]);
        ");
    }

    #[test]
    fn a_call_within_calls_shows_the_innermost_line_and_the_way_there() {
        let lab = Lab::new();
        let script = "fn deep(x) {\n    read_file(x)\n}\nfn outer(x) { deep(x) }\nouter(\"none\");";
        assert_snapshot!(lab.output(script), @"
        script.rhai:2:5: cannot read `none`: No such file or directory (os error 2)
          | read_file(x)
          < deep at script.rhai:4:15
          < outer at script.rhai:5:1
        ");
        assert_snapshot!(lab.output("[1, 2].map(|x| {\n  x.nothing()\n});"), @"
        script.rhai:2:5: no function `nothing (i64)`
          | x.nothing()
          = `combu help script` lists every function
          < a closure at script.rhai:1:8
          < map at script.rhai:1:8
        ");
    }

    #[test]
    fn functions_that_call_each_other_for_ever_are_stopped() {
        let text = on_large_stack(|| Lab::new().output("fn f(n) { f(n + 1) }\nf(1);")).unwrap();
        let head: Vec<&str> = text.lines().take(3).collect();
        assert_snapshot!(head.join("\n"), @"
        script.rhai:2:1: functions call each other too deeply: more than 100 calls within each other
          | f(1);
          = use a loop
        ");
    }

    #[test]
    fn an_error_in_an_imported_module_shows_the_modules_line() {
        let lab = Lab::new();
        lab.file("lib/bad.rhai", "fn x() {\n  1 +\n}\n").file("lib/body.rhai", "let a = 1;\nlet b = a.nothing();\n");
        lab.file("lib/calls.rhai", "import \"inner\" as inner;\nfn begin() {\n  inner::begin()\n}\n");
        lab.file("lib/inner.rhai", "fn begin() {\n  read_file(\"none\")\n}\n");
        assert_snapshot!(lab.output("import \"lib/bad\" as bad;"), @"
        lib/bad.rhai:3:1: unexpected '}'
          | }
          < FOLDER/lib/bad.rhai at script.rhai:1:8
        ");
        assert_snapshot!(lab.output("import \"lib/body\" as body;"), @"
        lib/body.rhai:2:11: no function `nothing (i64)`
          | let b = a.nothing();
          = `combu help script` lists every function
          < FOLDER/lib/body.rhai at script.rhai:1:8
        ");
        assert_snapshot!(lab.output("import \"lib/calls\" as calls;\ncalls::begin();"), @r#"
        lib/inner.rhai:2:3: cannot read `none`: No such file or directory (os error 2)
          | read_file("none")
          < begin at lib/calls.rhai:3:10
          < begin at script.rhai:2:8
        "#);
        assert_snapshot!(lab.output("import \"lib/none\" as none;"), @r#"
        script.rhai:1:8: cannot import `lib/none`: FOLDER/lib/none.rhai: No such file or directory (os error 2)
          | import "lib/none" as none;
        "#);
        assert_snapshot!(lab.output("import \"combu/gird\" as grid;"), @r#"
        script.rhai:1:8: combu has no module `combu/gird`
          | import "combu/gird" as grid;
          = did you mean `combu/grid`?
        "#);
        assert_snapshot!(lab.output("import \"combu/grid\" as grid;\ngrid::zip(#{ a: [1, 2], b: [1, 2, 3] });"), @"
        script.rhai:2:7: the lists differ in length: a has 2, b has 3
          | grid::zip(#{ a: [1, 2], b: [1, 2, 3] });
        ");
        assert_snapshot!(lab.output("import \"combu/lab\" as lab;\nlab::describe([1, \"a\"]);"), @"
        combu/lab:57:40: [1] is string, and no number
          | #{ n: numbers.len(), mean: numbers.mean(), sd: numbers.sd(), min: numbers.min(), max: numbers.max() }
          = take what has one: `list.filter(|x| x != ())`
          < describe at script.rhai:2:6
        ");
        lab.file("loop.rhai", "import \"loop\" as l;");
        assert_snapshot!(lab.output("import \"loop\" as l;"), @r#"
        loop.rhai:1:8: `loop` imports itself, directly or through another module
          | import "loop" as l;
          < FOLDER/loop.rhai at script.rhai:1:8
        "#);
    }

    #[test]
    fn every_misspelt_function_is_recognized() {
        let known: Vec<&str> = table::names().filter(|name| !name.is_empty()).collect();
        let mut count = 0;
        for name in &known {
            for slip in misspelt(name, &known) {
                let hint = function_hint(&slip);
                let signatures: Vec<&str> = table::signatures(name).collect();
                assert_eq!(hint, format!("did you mean {}?", signatures.join(", ")), "{slip}");
                count += 1;
            }
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn an_error_can_be_caught_and_thrown_again() {
        let lab = Lab::new();
        let script = "try { read_file(\"none\") } catch (e) { print(`caught: ${e.message}`); throw e; }";
        assert_snapshot!(lab.output(script), @r#"
        caught: cannot read `none`: No such file or directory (os error 2)
        script.rhai:1:70: cannot read `none`: No such file or directory (os error 2)
          | try { read_file("none") } catch (e) { print(`caught: ${e.message}`); throw e; }
        "#);
        assert_eq!(lab.output("try { exit(3) } catch { print(\"no\") }"), "[exit 3]");
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let lab = Lab::new();
        let error = lab.execute_file(std::path::Path::new("/none/x.rhai")).unwrap_err();
        assert_eq!((error.kind.clone(), error.line), (ScriptErrorKind::Read, None));
        assert_snapshot!(lab.told(&error), @"/none/x.rhai: cannot read the script `/none/x.rhai`: No such file or directory (os error 2)");
    }
}
