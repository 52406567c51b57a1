//! The UUID of a spec: `local NAME = "UUID"` gets the experiment's id. Works on text, so that line numbers stay.

use jrsonnet_lexer::{Lexeme, SyntaxKind, lex};

use crate::spec::slips::is_blank;

/// The text with the id in place of each `"UUID"` that is the value of a `local`.
///
/// The first combu replaced every such literal in the file; a value elsewhere is left alone here, and so is what
/// stands in comments, other strings and text blocks.
pub(super) fn replace(text: &str, id: &str) -> String {
    if !text.contains("UUID") {
        return text.to_owned();
    }
    let mut replaced = String::with_capacity(text.len());
    let mut done = 0;
    let mut locals = Locals::default();
    let mut start = 0;
    for token in lex(text) {
        if !is_blank(token.kind) && locals.takes(&token) && matches!(token.text, "'UUID'" | "\"UUID\"") {
            replaced.push_str(&text[done..=start]);
            replaced.push_str(id);
            done = start + token.text.len() - 1;
        }
        start += token.text.len();
    }
    replaced.push_str(&text[done..]);
    replaced
}

/// `local` statements, followed through the tokens.
#[derive(Default)]
struct Locals {
    /// Brackets that are open.
    depth: usize,
    /// The depths at which a `local` is open.
    open: Vec<usize>,
    seen: BindPart,
}

/// The part of `local NAME =` that has been read.
#[derive(Default, Clone, Copy, PartialEq)]
enum BindPart {
    #[default]
    Nothing,
    /// `local`, or a comma between two binds.
    Start,
    Name,
    Equals,
}

impl Locals {
    /// Whether this token begins the value of a bind.
    fn takes(&mut self, token: &Lexeme<'_>) -> bool {
        let seen = std::mem::take(&mut self.seen);
        match token.text {
            "local" => {
                self.open.push(self.depth);
                self.seen = BindPart::Start;
            }
            "(" | "[" | "{" => self.depth += 1,
            ")" | "]" | "}" => {
                self.depth = self.depth.saturating_sub(1);
                while self.open.last().is_some_and(|depth| *depth > self.depth) {
                    self.open.pop();
                }
            }
            ";" if self.open.last() == Some(&self.depth) => {
                self.open.pop();
            }
            "," if self.open.last() == Some(&self.depth) => self.seen = BindPart::Start,
            "=" if seen == BindPart::Name => self.seen = BindPart::Equals,
            _ if seen == BindPart::Start && token.kind == SyntaxKind::IDENT => self.seen = BindPart::Name,
            _ => {}
        }
        seen == BindPart::Equals
    }
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn the_value_of_a_local_is_replaced() {
        for (text, expected) in [
            ("local uuid = \"UUID\"; []", "local uuid = \"abc\"; []"),
            ("local uuid ='UUID';", "local uuid ='abc';"),
            ("local _x1=\"UUID\"; 1", "local _x1=\"abc\"; 1"),
            ("local a = 1, b = 'UUID'; b", "local a = 1, b = 'abc'; b"),
            ("local a = {b: [1, 2], c: 3}, d = 'UUID';", "local a = {b: [1, 2], c: 3}, d = 'abc';"),
            ("local a = 'UUID', b = \"UUID\";", "local a = 'abc', b = \"abc\";"),
            ("local a\n  // why\n  = /* here */ 'UUID' # x\n;", "local a\n  // why\n  = /* here */ 'abc' # x\n;"),
            ("{ local id = 'UUID', name: id }", "{ local id = 'abc', name: id }"),
            ("local f(x) = 1, 実 = 2, u = 'UUID';", "local f(x) = 1, 実 = 2, u = 'abc';"),
            ("local a = 'UUID' + '-x';", "local a = 'abc' + '-x';"),
            ("[local i = 'UUID'; i, 2]", "[local i = 'abc'; i, 2]"),
        ] {
            assert_eq!(replace(text, "abc"), expected);
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "['UUID']",
            "{ a: 'UUID', b: \"UUID\" }",
            "// local a = 'UUID';\n# local a = 'UUID';\n/* local a = 'UUID'; */ 1",
            "\"local a = 'UUID';\"",
            "'it\\'s local a = \"UUID\";'",
            "@'it''s local a = \"UUID\";'",
            "|||\n  local a = 'UUID';\n|||",
            "local y = f(x='UUID'); y",
            "local y = f(1, x='UUID'); y",
            "local f(x='UUID') = x; f()",
            "local a = 1; f(2, x='UUID')",
            "local a == 'UUID'",
            "local a = ['UUID'];",
            "local a = 'UUIDs', b = 'uuid', c = @'UUID';",
            "local a = 'UUID",
            "@",
            "'",
            "\"\\",
            "|||",
            "/*",
            "local",
            "局",
        ] {
            assert_eq!(replace(text, "abc"), text);
        }
    }
}
