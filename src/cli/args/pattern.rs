//! Patterns of names, as a shell has them: `*` for any characters, `?` for one, `[a-z]` for one of several, `[!a-z]` for one
//! of the others. Every other character stands for itself.

use globset::{GlobBuilder, GlobMatcher};

use crate::model::name::Name;

/// A pattern of trial names; a name without `*`, `?` and `[` is a pattern that fits itself.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern {
    text: String,
    matcher: GlobMatcher,
}

impl NamePattern {
    /// The pattern as it was written.
    ///
    /// # Errors
    /// When a bracket is not closed, or a range runs backwards.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // Braces, which globset would read as alternatives, are in no name, and a pattern with them fits none.
        let literal: String =
            text.chars().map(|c| if "{}".contains(c) { format!("[{c}]") } else { c.into() }).collect();
        let built = GlobBuilder::new(&literal).literal_separator(false).backslash_escape(false).build();
        let glob = built.map_err(|error| format!("`{text}` is no pattern of names: {}", error.kind()))?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Says whether the pattern fits a name as a whole.
    pub(crate) fn fits(&self, name: &Name) -> bool {
        self.matcher.is_match(name.as_str())
    }

    /// Says whether the pattern may fit several names.
    pub(crate) fn is_open(&self) -> bool {
        self.text.contains(['*', '?', '['])
    }

    /// The pattern as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::NamePattern;
    use crate::model::name::Name;

    fn fits(pattern: &str, name: &str) -> bool {
        NamePattern::parse(pattern).unwrap().fits(&Name::parse(name).unwrap())
    }

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let fitting = [
            ("a1", "a1"),
            ("*", "anything"),
            ("solver-*", "solver-"),
            ("*-b-*", "solver-b-2"),
            ("**1", "t11"),
            ("a?", "ab"),
            ("t[0-3]", "t2"),
            ("t[!0-3]", "t4"),
            ("t[^0-3]", "t4"),
            ("t[xyz]*", "ty-1"),
            ("t[]a]", "ta"),
        ];
        for (pattern, name) in fitting {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        let others = [
            ("a", "ab"),
            ("a1?", "a1"),
            ("t[0-3]", "t4"),
            ("t[!0-3]", "t3"),
            ("*x", "y1"),
            ("", "a1"),
            ("t1[0-3]", "t1"),
            ("{a1,b1}", "a1"),
            ("\\a1", "a1"),
        ];
        for (pattern, name) in others {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_refused() {
        let refused = |text: &str| NamePattern::parse(text).unwrap_err();
        assert_eq!(refused("t[a"), "`t[a` is no pattern of names: unclosed character class; missing ']'");
        assert_eq!(refused("t[z-a]"), "`t[z-a]` is no pattern of names: invalid range; 'z' > 'a'");
    }

    #[test]
    fn a_dozen_stars_are_answered_at_once() {
        let (pattern, name) = ("a*".repeat(12) + "b", "a".repeat(60));
        let since = Instant::now();
        assert!(!fits(&pattern, &name));
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
}
