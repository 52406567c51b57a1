//! The place of an element of a list that stands in the text of a call: where one of forty trials is wrong, that one is shown.

use rhai::{AST, ASTNode, Engine, Expr, OptimizationLevel, Position, Stmt};

use crate::script::source::readable;

/// What is said of an element, before what is wrong with it: `trial [39]`.
pub(super) fn item(place: usize) -> String {
    format!("trial [{place}]")
}

/// The place of the element that a message is about, and the message without saying which; `at`: the call.
pub(super) fn placed(message: &str, text: &str, at: Position) -> Option<(Position, String)> {
    let (place, rest) = message.strip_prefix("trial [")?.split_once("]: ")?;
    let place: usize = place.parse().ok()?;
    let mut engine = Engine::new();
    // What is folded to a constant has no places any more.
    engine.set_optimization_level(OptimizationLevel::None);
    let ast = engine.compile(readable(text)).ok()?;
    Some((of_call(&ast, at, place)?, rest.to_owned()))
}

fn of_call(ast: &AST, at: Position, place: usize) -> Option<Position> {
    let mut found = None;
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) =
            path.last()
            && *position == at
        {
            let lists = call.args.iter().filter_map(|argument| match argument {
                Expr::Array(items, _) => items.get(place),
                _ => None,
            });
            found = lists.map(Expr::start_position).next();
        }
        found.is_none()
    });
    found
}
