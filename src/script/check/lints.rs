//! What Rhai takes without a word and hardly anybody means: values in double quotes, and divisions that lose a fraction.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

/// What is done with names anywhere in a text.
#[derive(Default)]
pub(super) struct Habits {
    /// Variables that get another value.
    pub(super) assigned: BTreeSet<String>,
    /// Variables that are changed in part, or whose methods are called.
    pub(super) changed: BTreeSet<String>,
    /// Variables of which the rest of a division is taken: whoever asks for it means the whole part too.
    parted: BTreeSet<String>,
    /// Variables of environments.
    environment: BTreeSet<String>,
}

impl Habits {
    pub(super) fn of(ast: &AST) -> Self {
        let mut habits = Self::default();
        ast.walk(&mut |path: &[ASTNode]| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => match &assignment.1.lhs {
                    Expr::Variable(variable, ..) => drop(habits.assigned.insert(variable.1.to_string())),
                    lhs => habits.changed.extend(root(lhs)),
                },
                Some(ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..))) => {
                    let is_closure = matches!(&pair.rhs, Expr::MethodCall(call, _) if call.name == "call");
                    habits
                        .changed
                        .extend(has_call(&pair.rhs).then(|| root(&pair.lhs)).flatten().filter(|_| !is_closure));
                }
                Some(ASTNode::Expr(Expr::FnCall(call, _))) if call.name == "%" => {
                    habits.parted.extend(call.args.first().and_then(root));
                }
                Some(ASTNode::Expr(Expr::Map(map, _))) => {
                    for (_, value) in map.0.iter().filter(|(key, _)| key.name == "env") {
                        if let Expr::Map(variables, _) = value {
                            habits.environment.extend(variables.0.iter().map(|(key, _)| key.name.to_string()));
                        }
                    }
                }
                _ => {}
            }
            true
        });
        habits
    }

    /// What is wrong with a text in double quotes that has a variable of the script in it, and what to write.
    pub(super) fn text(&self, text: &str, is_variable: impl Fn(&str) -> bool) -> Option<(String, String)> {
        text.split("${").skip(1).filter(|part| part.contains('}')).find_map(|part| {
            let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // A variable of the shell's own, or of a trial's environment.
            let sets = [format!("{name}="), format!("for {name} "), format!("read {name}")];
            let is_shells = self.environment.contains(&name) || sets.iter().any(|sets| text.contains(sets.as_str()));
            let hint = "a text with values in it stands in backticks: `n = ${n}`".to_owned();
            let lint = (format!("`${{{name}}}` stands for nothing in double quotes"), hint);
            (is_variable(&name) && !is_shells).then_some(lint)
        })
    }

    /// What is wrong with a division of whole numbers that loses a fraction, and what to write.
    pub(super) fn division(
        &self,
        call: &FnCallExpr,
        is_index: bool,
        is_counter: impl Fn(&str) -> bool,
    ) -> Option<(Position, String, String)> {
        let ("/", [over, Expr::IntegerConstant(by, _)]) = (call.name.as_str(), &call.args[..]) else { return None };
        let (message, better) = match over {
            Expr::IntegerConstant(number, _) if *by != 0 && number % by != 0 => {
                let is = number / by;
                let message = format!("`{number} / {by}` is {is}: of whole numbers, the fraction is dropped");
                (message, format!("{number}.0 / {by}"))
            }
            Expr::Variable(variable, ..) if !is_index && !self.parted.contains(&*variable.1) => {
                let name = is_counter(&variable.1).then_some(&*variable.1)?;
                let message = format!("`{name} / {by}` is a whole number, as `{name}` is: the fraction is dropped");
                (message, format!("{name} / {by}.0"))
            }
            _ => return None,
        };
        Some((over.start_position(), message, format!("write `{better}`")))
    }
}

/// The variable at the beginning of an expression.
fn root(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root(&pair.lhs),
        _ => None,
    }
}

fn has_call(link: &Expr) -> bool {
    match link {
        Expr::MethodCall(..) => true,
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => has_call(&pair.lhs) || has_call(&pair.rhs),
        _ => false,
    }
}
