//! Whether a script puts one list behind another with `+=`.
//!
//! Rhai does so by itself, without asking for a function, wherever an array stands left: of what stands for an array it would
//! make an item. Scripts whose text may do that get what metrics told as arrays, which are copied where variables get them.

use std::cell::Cell;
use std::collections::HashMap;

use rhai::{AST, ASTNode, Expr, Stmt, Token};

use crate::script::fault::{Answer, fault_with};
use crate::script::functions::ANONYMOUS;

/// What is known of the script and its modules so far.
#[derive(Default)]
pub(super) struct Appends {
    /// Whether one of them may append a list to another.
    may: Cell<bool>,
    /// Whether one of them got what stands for an array.
    is_given: Cell<bool>,
}

impl Appends {
    /// Takes note of a script or a module.
    ///
    /// # Errors
    /// When a module comes too late: it may append what was given before it came.
    pub(super) fn note(&self, ast: &AST, file: &str) -> Answer<()> {
        if !may_append(ast) {
            return Ok(());
        }
        if self.is_given.get() && !self.may.get() {
            let message = format!("`{file}` has `+=` of lists, and is imported after a call of `history`");
            return Err(fault_with(message, "import it at the beginning of the script, or write `list.append(more)`"));
        }
        self.may.set(true);
        Ok(())
    }

    /// Whether something may stand for an array, which is then taken for given.
    pub(super) fn allow(&self) -> bool {
        self.is_given.set(self.is_given.get() || !self.may.get());
        !self.may.get()
    }
}

/// Whether the left side of a `+=` may be an array where the right side is what a variable or a function gives.
fn may_append(ast: &AST) -> bool {
    let scalars = Scalars::of(ast);
    let mut found = false;
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Assignment(assignment))) = path.last()
            && let Some((.., Token::PlusAssign, _, _, _)) = assignment.0.get_op_assignment_info()
        {
            let (left, right) = (&assignment.1.lhs, &assignment.1.rhs);
            found |= !is_made_here(right) && !is_length(right, ast) && !scalars.has(left);
        }
        !found
    });
    found
}

/// Whether an expression makes its value by itself: that is a number, a text, or an ordinary list.
fn is_made_here(expression: &Expr) -> bool {
    match expression {
        Expr::FnCall(call, _) => call.op_token.is_some(),
        Expr::Array(..) | Expr::Map(..) | Expr::And(..) | Expr::Or(..) | Expr::InterpolatedString(..) => true,
        other => other.is_constant(),
    }
}

/// Whether an expression is the length of something.
fn is_length(expression: &Expr, ast: &AST) -> bool {
    match expression {
        Expr::Dot(pair, ..) => match &pair.rhs {
            Expr::MethodCall(call, _) => call.name == "len" && ast.iter_fn_def().all(|own| own.name != "len"),
            Expr::Dot(..) => is_length(&pair.rhs, ast),
            _ => false,
        },
        _ => false,
    }
}

/// Variables that hold numbers, texts and truths only, as far as a text tells. Those of one name are taken for one variable.
struct Scalars(HashMap<String, bool>);

impl Scalars {
    fn of(ast: &AST) -> Self {
        let (mut found, mut caught) = (Self(HashMap::new()), HashMap::new());
        ast.walk(&mut |path: &[ASTNode]| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Var(parts, ..))) => found.note(&parts.0.name, is_scalar(&parts.1)),
                Some(ASTNode::Stmt(Stmt::For(parts, _))) => found.note(&parts.0.name, false),
                Some(ASTNode::Stmt(Stmt::TryCatch(flow, _))) => {
                    if let Some(name) = name_of(&flow.expr) {
                        found.note(name, false);
                    }
                }
                Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                    if let Some(name) = name_of(&assignment.1.lhs)
                        && !assignment.0.is_op_assignment()
                    {
                        found.note(name, is_scalar(&assignment.1.rhs));
                    }
                }
                // So Rhai writes a closure with variables from outside: they are its first arguments.
                Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))
                    if call.name == "curry" =>
                {
                    if let Some(Expr::DynamicConstant(closure, _)) = call.args.first()
                        && let Some(closure) = closure.read_lock::<rhai::FnPtr>()
                    {
                        caught.insert(closure.fn_name().to_owned(), call.args.len() - 1);
                    }
                }
                _ => {}
            }
            true
        });
        for function in ast.iter_fn_def() {
            let is_closure = function.name.starts_with(ANONYMOUS);
            let outer = if is_closure { caught.get(function.name.as_str()).copied().unwrap_or(0) } else { 0 };
            function.params.iter().skip(outer).for_each(|name| found.note(name, false));
        }
        found
    }

    fn note(&mut self, name: &str, is_scalar: bool) {
        *self.0.entry(name.to_owned()).or_insert(true) &= is_scalar;
    }

    fn has(&self, left: &Expr) -> bool {
        name_of(left).and_then(|name| self.0.get(name)).copied().unwrap_or(false)
    }
}

/// The name of a variable.
fn name_of(expression: &Expr) -> Option<&str> {
    if let Expr::Variable(variable, ..) = expression { Some(&variable.1) } else { None }
}

/// Whether an expression is a number, a text or a truth.
fn is_scalar(expression: &Expr) -> bool {
    match expression {
        Expr::FnCall(call, _) if call.op_token == Some(Token::Plus) => call.args.iter().all(is_scalar),
        Expr::FnCall(call, _) => call.op_token.is_some(),
        Expr::Array(..) | Expr::Map(..) | Expr::DynamicConstant(..) => false,
        other => is_made_here(other),
    }
}

#[cfg(test)]
mod tests {
    use super::may_append;
    use crate::script::execute::engine_of_arrays;
    use crate::script::harness::Lab;
    use crate::script::stdlib::EMBEDDED;

    fn appends(text: &str) -> bool {
        may_append(&engine_of_arrays(&Lab::new().script()).compile(text).unwrap())
    }

    #[test]
    fn sums_append_nothing_and_what_may_be_a_list_does() {
        for sums in [
            "let n = 0; n += 1; let s = \"\"; for x in [1] { n += x; s += x.name; }",
            "let n = 0.0; let add = |t| { n += t.value; }; add.call(1);",
            "let n = -1 * 2; n = n * 3; n += f(); fn f() { 1 }",
            "let n = f(); n += 1; n += n * 2; n += [1].len(); fn f() { 1 }",
            "let all = []; all += [1]; all += `${1}`; all.append(f()); fn f() { [] }",
        ] {
            assert!(!appends(sums), "{sums}");
        }
        for lists in [
            "let all = []; all += f(); fn f() { [] }",
            "let all = []; for x in [[1]] { all += x; }",
            "fn join(all, more) { all += more; all }",
            "let all = [[1]].reduce(|all, one| { all += one; all }, []);",
            "let m = #{ all: [] }; let x = [1]; m.all += x; m[\"all\"] += x;",
            "let n = 0; n = [1]; n += f(); fn f() { [] }",
            "let n = [1] + [2]; n += f(); fn f() { [] }",
            "let n = []; n += f().len(); fn f() { [] } fn len(x) { [] }",
            "let add = || { let all = []; all += this; }; 1",
        ] {
            assert!(appends(lists), "{lists}");
        }
        for (name, text) in EMBEDDED {
            assert!(!appends(text), "{name}");
        }
    }

    #[test]
    fn what_a_metric_told_is_appended_value_by_value() {
        let told =
            "let told = t.history(\"loss\"); let all = [1]; all += told; all += t.history(\"loss\"); print(all.len());";
        let lab = Lab::on(crate::engine::fake::Fake::default().scene(
            "one",
            [crate::engine::fake::Scene {
                stdout: "::combu metric loss=1\n::combu metric loss=2\n".to_owned(),
                ..Default::default()
            }],
        ));
        let run = "let t = run([trial(#{ name: \"one\" })])[\"one\"];";
        assert_eq!(lab.output(&format!("{run} {told}")), "closed script 1/1\n5");
        lab.file("late.rhai", "fn join(all, more) { all += more; all }");
        let import = "import \"late\" as late;";
        let joins = "print(late::join([1], t.history(\"loss\")).len());";
        assert_eq!(lab.output(&format!("{import} {run} {joins}")), "closed script 1/1\n3");
        insta::assert_snapshot!(lab.output(&format!("{run} let told = t.history(\"loss\");\n{import} {joins}")), @r#"
        closed script 1/1
        script.rhai:2:8: `FOLDER/late.rhai` has `+=` of lists, and is imported after a call of `history`
          | import "late" as late; print(late::join([1], t.history("loss")).len());
          = import it at the beginning of the script, or write `list.append(more)`
        "#);
    }
}
