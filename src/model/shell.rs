//! Words of commands that people type.

use std::borrow::Cow;

/// A word as it can be typed in a shell.
pub fn quoted(word: &str) -> String {
    // Only a NUL cannot be quoted, and no path has one.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}
