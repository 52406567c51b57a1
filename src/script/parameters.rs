//! The parameters of a script, read from its text without running it: the calls of `param(..)` and the comments beside them.

use std::path::Path;

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, OptimizationLevel, Position, Stmt};

use crate::model::suggest::nearest;
use crate::script::source::readable;

/// What a script takes from the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// The first comment of the script, its lines without their signs; empty where there is none.
    pub about: String,
    /// The parameters in the order of the text, each once.
    pub list: Vec<Parameter>,
    /// True where the script may take arguments that its text does not name: it calls `args()`, gives `param` a name that
    /// it makes, or imports a file.
    pub is_open: bool,
    /// True where it calls `args()`, which takes all of them.
    pub takes_all: bool,
}

/// A parameter: `param("days", 160)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name as the script has it.
    pub name: String,
    /// The default as it is written.
    pub default: String,
    /// The comment above the call or behind it; empty where there is none.
    pub about: String,
    /// True where its default is true or false: `--quick` alone means yes.
    pub is_switch: bool,
}

impl Parameter {
    /// The option that gives it: `--out-file` for `out_file`.
    pub fn flag(&self) -> String {
        flag(&self.name)
    }
}

/// The option that gives a parameter of that name.
pub(super) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

impl Parameters {
    /// Reads the parameters of a script; `None` where the file cannot be read twice, or is no script.
    pub fn of_file(path: &Path) -> Option<Self> {
        if !path.is_file() {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        let text = readable(&text);
        let mut engine = Engine::new();
        engine.set_optimization_level(OptimizationLevel::None);
        engine.compile(&text).ok().map(|ast| Self::of(&ast, &text))
    }

    /// The parameters of a script that was compiled from that text.
    pub(super) fn of(ast: &AST, text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let mut parameters = Self { about: first_comment(&lines), ..Self::default() };
        let mut found = Vec::new();
        ast.walk(&mut |path: &[ASTNode]| {
            match path.last() {
                Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) => {
                    found.extend(parameters.note(call, *position, &lines));
                }
                Some(ASTNode::Expr(Expr::MethodCall(call, _))) if ["param", "args"].contains(&call.name.as_str()) => {
                    parameters.is_open = true;
                }
                Some(ASTNode::Stmt(Stmt::Import(import, _))) => {
                    let embedded = matches!(&import.0, Expr::StringConstant(name, _) if name.starts_with("combu/"));
                    parameters.is_open |= !embedded;
                }
                _ => {}
            }
            true
        });
        // Functions come last in the tree, wherever they stand in the text.
        found.sort_by_key(|(place, _)| *place);
        for (_, parameter) in found {
            if parameters.find(&parameter.name).is_none() {
                parameters.list.push(parameter);
            }
        }
        parameters
    }

    /// Notes what a call takes; the parameter that it reads, with its line and column.
    fn note(&mut self, call: &FnCallExpr, position: Position, lines: &[&str]) -> Option<((usize, usize), Parameter)> {
        if !call.namespace.is_empty() {
            return None;
        }
        match (call.name.as_str(), &call.args[..]) {
            ("args", []) => (self.is_open, self.takes_all) = (true, true),
            ("param", [Expr::StringConstant(name, _), _]) => {
                let (default, about) = around(lines, position);
                let is_switch = ["true", "false"].contains(&default.as_str());
                let place = (position.line().unwrap_or(0), position.position().unwrap_or(0));
                return Some((place, Parameter { name: name.to_string(), default, about, is_switch }));
            }
            ("param", _) => self.is_open = true,
            _ => {}
        }
        None
    }

    /// The parameter that `--name`, `--name=value` or `name=value` gives.
    pub fn given(&self, word: &str) -> Option<&Parameter> {
        let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
        match key.strip_prefix("--") {
            Some(name) => self.list.iter().find(|one| one.name == name || one.flag() == key),
            None => value.and_then(|_| self.find(key)),
        }
    }

    /// True where the word gives a parameter whose value is the next word.
    pub fn is_followed(&self, word: &str) -> bool {
        !word.contains('=') && self.given(word).is_some_and(|parameter| !parameter.is_switch)
    }

    /// The parameter of that name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|one| one.name == name)
    }

    /// The parameter that a mistyped option stands for.
    pub(super) fn nearest(&self, word: &str) -> Option<String> {
        let name = word.split('=').next().unwrap_or_default().trim_start_matches('-').replace('-', "_");
        let names = self.list.iter().map(|one| one.name.as_str());
        nearest(&name, names).map(flag)
    }
}

/// The text of a call's default, and the comment that belongs to the call.
fn around(lines: &[&str], call: Position) -> (String, String) {
    let (line, column) = (call.line().unwrap_or(1), call.position().unwrap_or(1));
    let first: String = lines.get(line - 1).unwrap_or(&"").chars().skip(column - 1).collect();
    let rest = std::iter::once(first.as_str()).chain(lines.iter().skip(line).copied()).collect::<Vec<_>>().join("\n");
    let (default, end) = second_argument(&rest);
    let behind = rest[end..].lines().next().unwrap_or_default().split_once("//");
    // Of a line with two calls, the comment is the last one's.
    let about = match behind.filter(|(before, _)| !before.contains("param(")) {
        Some((_, comment)) => comment.trim().to_owned(),
        None => above(lines, line),
    };
    (default.split_whitespace().collect::<Vec<_>>().join(" "), about)
}

/// The second argument of the call that a text begins with, and where the call ends.
fn second_argument(text: &str) -> (&str, usize) {
    let (mut depth, mut quote, mut escaped, mut start) = (0, None, false, 0);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')') if depth == 1 => return (text[start..at].trim(), at + 1),
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') if depth == 1 && start == 0 => start = at + 1,
            _ => {}
        }
    }
    (text[start..].trim(), text.len())
}

/// The comment lines that end right above a line.
fn above(lines: &[&str], line: usize) -> String {
    let before = lines[..line.saturating_sub(1).min(lines.len())].iter().rev();
    let mut comment: Vec<&str> = before.map_while(|line| line.trim().strip_prefix("//")).collect();
    comment.reverse();
    let is_head = comment.len() + 1 >= line;
    if is_head { String::new() } else { comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ") }
}

/// The comment that a script begins with, behind blank lines.
fn first_comment(lines: &[&str]) -> String {
    let lines = lines.iter().skip_while(|line| line.trim().is_empty());
    let comment = lines.map_while(|line| line.strip_prefix("//"));
    comment.map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use rhai::{Engine, OptimizationLevel};

    use super::Parameters;

    fn read(text: &str) -> Parameters {
        let mut engine = Engine::new();
        engine.set_optimization_level(OptimizationLevel::None);
        Parameters::of(&engine.compile(text).unwrap(), text)
    }

    fn told(parameters: &Parameters) -> String {
        let lines = parameters.list.iter().map(|one| format!("{} = {} | {}", one.flag(), one.default, one.about));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn parameters_are_read_with_their_defaults_and_comments() {
        let parameters = read(
            "\n// Sweeps a solver.\n//\n//     combu script x.rhai\n\nlet days = param(\"days\", 160); // days to simulate
            // Rates of infection,
            // a list.
            let betas = param(\"betas\", [0.15, \"a)\", f(1)]);
            fn quick() { param(\"quick_look\", false) }
            let both = [param(\"a\", `x)`), param(\"b\", cpus() - 1)]; // the second
            run(e, #{ on_end: |t| param(\"deep\", #{ a: 1,
                b: 2 }) });
            param(\"days\", 3);",
        );
        assert_eq!(parameters.about, "Sweeps a solver.\n\n    combu script x.rhai");
        assert!(!parameters.is_open && !parameters.takes_all);
        insta::assert_snapshot!(told(&parameters), @r#"
        --days = 160 | days to simulate
        --betas = [0.15, "a)", f(1)] | Rates of infection, a list.
        --quick-look = false | 
        --a = `x)` | 
        --b = cpus() - 1 | the second
        --deep = #{ a: 1, b: 2 } |
        "#);
        let switches: Vec<_> = parameters.list.iter().filter(|one| one.is_switch).map(|one| &one.name).collect();
        assert_eq!(switches, ["quick_look"]);
    }

    #[test]
    fn a_first_comment_is_no_parameters() {
        let parameters = read("// A sweep.\nlet days = param(\"days\", 1);");
        assert_eq!((parameters.about.as_str(), parameters.list[0].about.as_str()), ("A sweep.", ""));
    }

    #[test]
    fn a_script_that_may_take_more_is_open() {
        for text in ["args().len()", "let n = \"a\"; param(n, 1)", "import \"lib\" as lib;", "\"a\".param(1)"] {
            assert!(read(text).is_open, "{text}");
        }
        assert!(!read("import \"combu/grid\" as grid; grid::args(); param(\"a\", 1)").is_open);
    }
}
