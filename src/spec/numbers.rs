//! Whole numbers of a spec that jsonnet cannot hold. It has one kind of number, a double, which holds whole numbers exactly up
//! to 2^53; of a larger one it would use another without a word. Works on text: once read, the difference is gone.

use jrsonnet_lexer::{SyntaxKind, lex};

/// Digits of which a whole number may have as many and still be exact, whatever they are.
const ALWAYS_EXACT: usize = 15;

/// A whole number that is not exactly the one that is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inexact<'a> {
    /// Line of the text, from 1.
    pub(super) line: usize,
    /// As it is written.
    pub(super) written: &'a str,
}

impl Inexact<'_> {
    /// What is wrong, and what to write instead.
    pub(super) fn message(&self) -> (String, String) {
        let Self { line, written } = self;
        let held = written.parse::<f64>().unwrap_or_default();
        (
            format!(
                "line {line}: the number {written} would become {held:.0}: jsonnet holds whole numbers exactly up to 2^53"
            ),
            format!("write it as a string: '{written}'"),
        )
    }
}

/// The first whole number of the text that jsonnet cannot hold exactly.
pub(super) fn inexact(text: &str) -> Option<Inexact<'_>> {
    if !has_many_digits(text) {
        return None;
    }
    let mut start = 0;
    for token in lex(text) {
        if token.kind == SyntaxKind::FLOAT && !is_exact(token.text) {
            let line = text[..start].matches('\n').count() + 1;
            return Some(Inexact { line, written: token.text });
        }
        start += token.text.len();
    }
    None
}

/// Whether somewhere more digits stand together than are always exact: most texts need not be taken apart.
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

#[cfg(test)]
mod tests {
    use super::inexact;

    #[test]
    fn only_whole_numbers_that_would_become_others_are_found() {
        for text in [
            "[{seed: 9007199254740992}]",
            "[{re: 100000000000000000000, x: 1e300, y: 0.12345678901234567890, z: 12345678901234567890.5}]",
            "// 9007199254740993\n['9007199254740993', |||\n  9007199254740993\n|||]",
        ] {
            assert_eq!(inexact(text), None, "{text}");
        }
        let found = inexact("[\n  {seed: 9007199254740993},\n]").unwrap();
        let (message, hint) = found.message();
        insta::assert_snapshot!(format!("{message}; {hint}"), @"line 2: the number 9007199254740993 would become 9007199254740992: jsonnet holds whole numbers exactly up to 2^53; write it as a string: '9007199254740993'");
    }
}
