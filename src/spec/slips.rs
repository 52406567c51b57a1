//! Slips in the text of a spec: what jsonnet, or its evaluator, takes for something else without a word. Works on text: once
//! it is read, the difference is gone.
//!
//! Jsonnet has one kind of number, a double, which holds whole numbers exactly up to 2^53. And its specification has no text
//! times a number, which the evaluator takes for a repetition: `'0.1' * 3` would be `0.10.10.1`.

use jrsonnet_lexer::{SyntaxKind, lex};

/// Digits of which a whole number may have as many and still be exact, whatever they are.
const ALWAYS_EXACT: usize = 15;

/// Something that would be taken for something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// What is wrong, with its line.
    pub(super) message: String,
    /// What to write instead.
    pub(super) hint: String,
}

/// The first slip of the text.
pub(super) fn slip(text: &str) -> Option<Slip> {
    // Most texts need not be taken apart.
    if !has_many_digits(text) && !text.contains('*') {
        return None;
    }
    let mut start = 0;
    let mut before: Option<(SyntaxKind, &str)> = None;
    for token in lex(text) {
        let line = || text[..start].matches('\n').count() + 1;
        if token.kind == SyntaxKind::FLOAT && !is_exact(token.text) {
            return Some(inexact(token.text, line()));
        }
        let product = match before {
            Some((SyntaxKind::MUL, _)) if is_text(token.kind) => Some(token.text),
            Some((kind, literal)) if is_text(kind) && token.kind == SyntaxKind::MUL => Some(literal),
            _ => None,
        };
        if let Some(literal) = product {
            return Some(multiplied(literal, line()));
        }
        start += token.text.len();
        if !is_blank(token.kind) {
            before = Some((token.kind, token.text));
        }
    }
    None
}

fn inexact(written: &str, line: usize) -> Slip {
    let held = written.parse::<f64>().unwrap_or_default();
    Slip {
        message: format!(
            "line {line}: the number {written} would become {held:.0}: jsonnet holds whole numbers exactly up to 2^53"
        ),
        hint: format!("write it as a string: '{written}'"),
    }
}

fn multiplied(literal: &str, line: usize) -> Slip {
    let literal = literal.lines().next().unwrap_or_default();
    Slip {
        message: format!("line {line}: the string {literal} is multiplied, and jsonnet multiplies numbers only"),
        hint: "write the number without quotes, or repeat a string with `std.repeat('ab', 3)`".to_owned(),
    }
}

/// Whether somewhere more digits stand together than are always exact.
fn has_many_digits(text: &str) -> bool {
    text.as_bytes().split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > ALWAYS_EXACT)
}

/// Whether the number is held as it is written. Fractions and powers of ten are rounded everywhere, and nobody minds.
fn is_exact(written: &str) -> bool {
    if !written.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    written.parse().is_ok_and(|number: f64| format!("{number:.0}") == written)
}

pub(super) fn is_text(kind: SyntaxKind) -> bool {
    use SyntaxKind::{STRING_BLOCK, STRING_DOUBLE, STRING_DOUBLE_VERBATIM, STRING_SINGLE, STRING_SINGLE_VERBATIM};
    matches!(kind, STRING_BLOCK | STRING_DOUBLE | STRING_DOUBLE_VERBATIM | STRING_SINGLE | STRING_SINGLE_VERBATIM)
}

/// Whether a token says nothing: a blank or a comment.
pub(super) fn is_blank(kind: SyntaxKind) -> bool {
    use SyntaxKind::{MULTI_LINE_COMMENT, SINGLE_LINE_HASH_COMMENT, SINGLE_LINE_SLASH_COMMENT, WHITESPACE};
    matches!(kind, WHITESPACE | SINGLE_LINE_SLASH_COMMENT | SINGLE_LINE_HASH_COMMENT | MULTI_LINE_COMMENT)
}

#[cfg(test)]
mod tests {
    use super::slip;

    fn told(text: &str) -> String {
        slip(text).map(|slip| format!("{}; {}", slip.message, slip.hint)).unwrap_or_default()
    }

    #[test]
    fn only_whole_numbers_that_would_become_others_are_found() {
        for text in [
            "[{seed: 9007199254740992}]",
            "[{re: 100000000000000000000, x: 1e300, y: 0.12345678901234567890, z: 12345678901234567890.5}]",
            "// 9007199254740993\n['9007199254740993', |||\n  9007199254740993\n|||]",
        ] {
            assert_eq!(told(text), "", "{text}");
        }
        insta::assert_snapshot!(told("[\n  {seed: 9007199254740993},\n]"), @"line 2: the number 9007199254740993 would become 9007199254740992: jsonnet holds whole numbers exactly up to 2^53; write it as a string: '9007199254740993'");
    }

    #[test]
    fn only_strings_that_are_multiplied_are_found() {
        for text in
            ["['a*b', '*', \"2 * '3'\"]", "[2 * 3, x['a'] * 2, std.length('a') * 2]", "// 'a' * 2\n['%d' % (2 * 3)]"]
        {
            assert_eq!(told(text), "", "{text}");
        }
        insta::assert_snapshot!(told("[\n  '0.1' * 3]"), @"line 2: the string '0.1' is multiplied, and jsonnet multiplies numbers only; write the number without quotes, or repeat a string with `std.repeat('ab', 3)`");
        for text in ["3 * \"0.1\"", "'0.1'/* so */*3", "3 *\n  @'0.1'"] {
            assert!(told(text).contains("is multiplied"), "{text}");
        }
    }
}
