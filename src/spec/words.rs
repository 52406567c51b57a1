//! Command lines in one string, split as a POSIX shell would. Nothing is expanded: no `$VAR`, no `*`, no pipes.

use crate::spec::reader::Item;

/// The words of a command line.
pub(super) fn words(item: Item<'_>, text: &str) -> Option<Vec<String>> {
    if let Some((index, fault)) = fault(text) {
        // Both sides of the place, so that it can be found in a long line.
        let after: String = text[index..].chars().take(20).collect();
        let column = text[..index].chars().count() + 1;
        return match fault {
            Fault::Quote(quote) => {
                item.fail_with(format!("the {quote} at character {column} is never closed: {after}"), "or write a list")
            }
            Fault::Backslash => item.fail("a backslash at the end escapes nothing"),
            Fault::Comment => item.fail_with(
                format!("the # at character {column} starts a comment, as in a shell: {after}"),
                "quote it, or write a list",
            ),
        };
    }
    shlex::split(&joined(text)).or_else(|| item.fail("a shell could not split this"))
}

/// The words of a command line that has no fault.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    if fault(text).is_some() { None } else { shlex::split(&joined(text)) }
}

/// The text with the lines joined that a backslash continues, as a shell joins them, and with the line ends of a shell.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut open: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None, '\r') if chars.peek() == Some(&'\n') => {}
            (None | Some('"'), '\\') => {
                let mut after = chars.clone();
                let ends_line = match after.next() {
                    Some('\r') => after.next() == Some('\n'),
                    next => next == Some('\n'),
                };
                if ends_line {
                    chars = after;
                } else {
                    joined.push(c);
                    joined.extend(chars.next());
                }
            }
            (inside, c) => {
                open = match inside {
                    None if matches!(c, '\'' | '"') => Some(c),
                    Some(quote) if quote == c => None,
                    inside => inside,
                };
                joined.push(c);
            }
        }
    }
    joined
}

enum Fault {
    Quote(char),
    Backslash,
    Comment,
}

/// What a shell would not take, or would silently drop, and where.
fn fault(text: &str) -> Option<(usize, Fault)> {
    let mut open: Option<(usize, char)> = None;
    let mut word_starts = true;
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        let inside = open.map(|(_, quote)| quote);
        match (inside, c) {
            (None, '\'' | '"') => open = Some((index, c)),
            (Some(quote), _) if quote == c => open = None,
            (None | Some('"'), '\\') if chars.next().is_none() && inside.is_none() => {
                return Some((index, Fault::Backslash));
            }
            (None, '#') if word_starts => return Some((index, Fault::Comment)),
            _ => {}
        }
        word_starts = open.is_none() && matches!(c, ' ' | '\t' | '\r' | '\n');
    }
    open.map(|(index, quote)| (index, Fault::Quote(quote)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;
    use crate::spec::reader::{Item, Report};

    fn split(text: &str) -> Result<Vec<String>, String> {
        let value = json!(text);
        let report = Report::default();
        let read = words(Item::root(&value, &report), text);
        report.finish(read).map_err(|problems| problems.to_string())
    }

    #[test]
    fn quotes_and_blanks_are_a_shells() {
        assert_eq!(split("  make  MODE=hard\tX=1 ").unwrap(), ["make", "MODE=hard", "X=1"]);
        assert_eq!(split(r#"sh -c 'a "b"' "c d" e\ f """#).unwrap(), ["sh", "-c", r#"a "b""#, "c d", "e f", ""]);
        assert_eq!(split(r#"a"#).unwrap(), ["a"]);
        assert_eq!(split(r"a#b 'c' \# '#'").unwrap(), ["a#b", "c", "#", "#"]);
        assert_eq!(split(r#""a\"b" 'c\'"#).unwrap(), [r#"a"b"#, r"c\"]);
        assert_eq!(split("echo 学習率 '実験 一'").unwrap(), ["echo", "学習率", "実験 一"]);
    }

    #[test]
    fn a_line_goes_on_behind_a_backslash_and_ends_as_on_any_system() {
        let four = ["train", "--lr", "0.1", "--epochs", "3"];
        assert_eq!(split("train \\\n  --lr 0.1 \\\n  --epochs 3\n").unwrap(), four);
        assert_eq!(split("train \\\r\n  --lr 0.1\r\n --epochs 3\r\n").unwrap(), four);
        assert_eq!(split("--l\\\nr 'a\\\nb' \"a\\\nb\" 'c\r\nd'").unwrap(), ["--lr", "a\\\nb", "ab", "c\r\nd"]);
        assert_eq!(split(r"a\\ b\ c").unwrap(), [r"a\", "b c"]);
    }

    #[test]
    fn what_a_shell_would_not_take_is_shown() {
        insta::assert_snapshot!(split("echo 'all").unwrap_err(), @"the ' at character 6 is never closed: 'all; or write a list");
        insta::assert_snapshot!(split("学習 \"率").unwrap_err(), @r#"the " at character 4 is never closed: "率; or write a list"#);
        insta::assert_snapshot!(split("echo a\\").unwrap_err(), @"a backslash at the end escapes nothing");
        insta::assert_snapshot!(split("echo #5 and more").unwrap_err(), @"the # at character 6 starts a comment, as in a shell: #5 and more; quote it, or write a list");
        assert!(split("\"a\\").is_err());
    }
}
