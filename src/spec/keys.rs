//! Where a key of an object stands in the text of a spec.

use jrsonnet_lexer::{SyntaxKind, lex};

use crate::spec::slips::{is_blank, is_text};

/// The line and the column (in characters) of a key, from 1, where the text has just one of that name.
pub(super) fn only_place(text: &str, key: &str) -> Option<(usize, usize)> {
    if key.is_empty() {
        return None;
    }
    let (mut start, mut before, mut places) = (0, None, Vec::new());
    for token in lex(text) {
        if token.kind == SyntaxKind::COLON {
            places.extend(before.take());
        }
        if !is_blank(token.kind) {
            let is_key = token.kind == SyntaxKind::IDENT && token.text == key
                || is_text(token.kind) && token.text.trim_matches(['\'', '"']) == key;
            before = is_key.then_some(start);
        }
        start += token.text.len();
    }
    let [place] = places[..] else { return None };
    let line_start = text[..place].rfind('\n').map_or(0, |end| end + 1);
    Some((text[..place].matches('\n').count() + 1, text[line_start..place].chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::only_place;

    #[test]
    fn a_key_has_a_place_where_it_stands_once() {
        let text = "local params = 1;\n{ a: params,\n  題: 1, 'params': 2, b: [a for a in [3]], c: 'c:' }";
        assert_eq!(only_place(text, "params"), Some((3, 9)));
        assert_eq!([only_place(text, "a"), only_place(text, "b")], [Some((2, 3)), Some((3, 22))]);
        assert_eq!(only_place("[{ a: 1 }, { a: 2 }]", "a"), None);
        assert_eq!(only_place("", "a"), None);
    }
}
