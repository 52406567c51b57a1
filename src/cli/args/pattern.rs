//! Patterns of names, as a shell has them: `*` for any characters, `?` for one, `[a-z]` for one of some.

/// Whether a text fits a pattern as a whole. A bracket that is not closed stands for itself.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    fits_from(&pattern, &text)
}

fn fits_from(pattern: &[char], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        '*' => {
            // Of several in a row, one is enough; names are short.
            let rest = &rest[rest.iter().take_while(|c| **c == '*').count()..];
            (0..=text.len()).any(|skipped| fits_from(rest, &text[skipped..]))
        }
        '?' => !text.is_empty() && fits_from(rest, &text[1..]),
        '[' => match (rest.iter().skip(1).position(|c| *c == ']'), text.split_first()) {
            (Some(end), Some((c, after))) => is_one_of(&rest[..=end], *c) && fits_from(&rest[end + 2..], after),
            (Some(_), None) => false,
            (None, _) => text.first() == Some(first) && fits_from(rest, &text[1..]),
        },
        _ => text.first() == Some(first) && fits_from(rest, &text[1..]),
    }
}

/// Whether a character is one of those between brackets: `a-z`, `!x` for all others.
fn is_one_of(class: &[char], c: char) -> bool {
    let (negated, class) = match class {
        ['!' | '^', rest @ ..] if !rest.is_empty() => (true, rest),
        class => (false, class),
    };
    let mut left = class;
    while let Some((from, rest)) = left.split_first() {
        let (to, rest) = match rest {
            ['-', to, rest @ ..] => (to, rest),
            rest => (from, rest),
        };
        if (*from..=*to).contains(&c) {
            return !negated;
        }
        left = rest;
    }
    negated
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let fitting = [
            ("a1", "a1"),
            ("*", "anything"),
            ("*", ""),
            ("solver-*", "solver-"),
            ("*-b-*", "solver-b-2"),
            ("**1", "t11"),
            ("a?", "ab"),
            ("t[0-3]", "t2"),
            ("t[!0-3]", "t4"),
            ("t[xyz]*", "ty-1"),
            ("t[a", "t[a"),
            ("t[]]", "t]"),
        ];
        for (pattern, text) in fitting {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "ab"), ("a?", "a"), ("t[0-3]", "t4"), ("t[!0-3]", "t3"), ("*x", "y"), ("", "a"), ("t[0-3]", "t")]
        {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
