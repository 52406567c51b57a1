//! The text of a script or module as Rhai reads it.

/// The text without a mark of the byte order, and without a first line for the shell (`#!/usr/bin/env -S combu script`),
/// whose end stays so that the other lines keep their numbers.
pub(super) fn readable(text: &str) -> &str {
    let text = without_mark(text);
    if text.starts_with("#!") { text.trim_start_matches(|c| c != '\n') } else { text }
}

/// The text without the mark of the byte order that editors on Windows begin a file with.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
