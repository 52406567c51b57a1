//! Source text: what an editor may put into the file of a spec or script beside what its language reads.

use std::borrow::Cow;

/// The text of a source file as its language reads it: without the byte order mark, and with lines that end in `\n`, also
/// where they end in `\r\n` (Windows). Line numbers stay.
pub fn source_text(text: &str) -> Cow<'_, str> {
    let text = without_mark(text);
    if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text.into() }
}

/// The text without the mark of the byte order that editors on Windows begin a file with.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::source_text;

    #[test]
    fn a_byte_order_mark_and_the_line_ends_of_windows_are_no_text() {
        assert_eq!(source_text("\u{feff}a\r\nb\r\n"), "a\nb\n");
        assert_eq!(source_text("a\rb\n\u{feff}"), "a\rb\n\u{feff}");
    }
}
