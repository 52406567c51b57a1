//! The last lines of a log, read from its end only: a log may be larger than the memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::model::event::Logs;
use crate::report::style::clean;

/// Enough for a few long lines; never more is read, whatever the log's size.
const WINDOW: u64 = 16 * 1024;

/// The log that most likely says what went wrong: the standard error where it has something, else the standard output.
pub(crate) fn telling(logs: &Logs) -> Option<&Path> {
    match (logs.stderr_bytes, logs.stdout_bytes) {
        (1.., _) => Some(&logs.stderr),
        (0, 1..) => Some(&logs.stdout),
        (0, 0) => None,
    }
}

/// How a line begins that tells combu something: it says nothing of what went wrong.
const TOLD: &str = "::combu ";

/// The last `count` lines that show something, oldest first, as a terminal would show them; without those that are for
/// combu.
pub(crate) fn tail(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let size = file.seek(SeekFrom::End(0))?;
    let start = size.saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(WINDOW).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end);
    // The first line of a window into the middle lacks its beginning, unless it is all there is.
    let whole = if start == 0 { &text } else { text.split_once('\n').map_or(text.as_ref(), |(_, rest)| rest) };
    let lines = whole.lines().rev().map(overwritten);
    let says = |line: &String| !line.is_empty() && !line.trim_start().starts_with(TOLD);
    let mut lines: Vec<_> = lines.filter(says).take(count).collect();
    lines.reverse();
    Ok(lines)
}

/// What stays visible of a line in which a progress bar went back to its start.
pub(crate) fn overwritten(line: &str) -> String {
    let last = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let visible = console::strip_ansi_codes(last).replace('\t', "    ");
    // Indentation stays: a traceback is read by it.
    let indent = visible.len() - visible.trim_start_matches(' ').len();
    let text = clean(&visible);
    if text.is_empty() { text } else { format!("{}{text}", &visible[..indent]) }
}

#[cfg(test)]
mod tests {
    use super::{WINDOW, tail};

    fn tail_of(bytes: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stderr.log");
        std::fs::write(&path, bytes).unwrap();
        tail(&path, 3).unwrap()
    }

    #[test]
    fn the_last_lines_are_shown_as_a_terminal_would() {
        assert!(tail_of(b"").is_empty());
        assert!(tail_of(b"\n\r\n \n").is_empty());
        assert_eq!(tail_of(b"a\nb\n\nc\nd\n\n"), ["b", "c", "d"]);
        assert_eq!(tail_of(b" 10%\r 50%\r100%\r\nTraceback:\n\tline 1"), ["100%", "Traceback:", "    line 1"]);
        assert_eq!(tail_of("\u{1b}[31m失敗\u{1b}[0m\u{7}\n".as_bytes()), ["失敗"]);
        assert_eq!(tail_of(b"a\n::combu metric loss=0.1 step=3\nb\n::combu tag x=1\n"), ["a", "b"]);
        assert_eq!(tail_of(b"\xff\xfe bad"), ["\u{fffd}\u{fffd} bad"]);
    }

    #[test]
    fn only_the_end_of_a_large_log_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout.log");
        // A sparse file: reading a gibibyte of it would take seconds, its end takes none.
        std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        let mut file = std::fs::File::options().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"\nlast words\n").unwrap();
        let lines = tail(&path, 5).unwrap();
        assert_eq!(lines.last().map(String::as_str), Some("last words"));

        let mut long = vec![b'x'; WINDOW as usize * 2];
        long.extend_from_slice(b"\nend");
        assert_eq!(tail_of(&long), ["end"]);
        assert_eq!(tail_of(&vec![b'x'; WINDOW as usize * 2])[0].len(), WINDOW as usize);
    }
}
