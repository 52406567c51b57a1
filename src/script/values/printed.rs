//! Output of trials, read back: texts, and the numbers in them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of a log that a script gets: what lies before is in the file.
pub(crate) const MOST: u64 = 1 << 20;

/// The text of a log; of one larger than [`MOST`], whole lines from its end.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length > MOST {
        file.seek(SeekFrom::Start(length - MOST))?;
    }
    file.read_to_end(&mut bytes)?;
    if length > MOST
        && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
    {
        bytes.drain(..=end);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Every number written as `key=1`, `key: 1`, `key = 1` or `"key": 1`, in order. A name of a metric may hold `/`, `.` and `-`:
/// `eval/loss` is no `loss`.
pub(crate) fn numbers(text: &str, key: &str) -> Vec<f64> {
    if key.is_empty() {
        return Vec::new();
    }
    let found = text.match_indices(key).filter_map(|(at, _)| {
        let before = text[..at].trim_end_matches(['/', '.', '-']);
        let inside_a_word = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if inside_a_word {
            return None;
        }
        let rest = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
        number(rest.strip_prefix(['=', ':'])?.trim_start_matches([' ', '\t']))
    });
    found.collect()
}

fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let word = text[..end].trim_end_matches('.');
    // `12s` and `3.5%` are 12 and 3.5: what is behind the number is its unit.
    (1..=word.len()).rev().find_map(|end| word[..end].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{MOST, last_lines, numbers, text};

    #[test]
    fn numbers_are_found_behind_their_key() {
        let log = "epoch 1 loss=0.5\nepoch 2 loss: 2.5e-1, val_loss=9\n{\"loss\": -3}\nloss = nan\nglossy=4 loss=12s loss=0.1%.\n";
        let found = numbers(log, "loss");
        assert_eq!(found[..3], [0.5, 0.25, -3.0]);
        assert!(found[3].is_nan());
        assert_eq!(found[4..], [12.0, 0.1]);
        assert_eq!(numbers(log, "val_loss"), [9.0]);
        assert_eq!(numbers(log, ""), [0.0; 0]);
        assert_eq!(numbers("loss=.5 eval/loss=.9 val-loss=.8 a.loss=.7 --loss=.6", "loss"), [0.5, 0.6]);
        assert_eq!(numbers("loss=.5 eval/loss=.9", "eval/loss"), [0.9]);
        assert_eq!(numbers("loss=\nloss: none", "loss"), [0.0; 0]);
    }

    #[test]
    fn a_large_log_is_read_from_its_end_in_whole_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = "0123456789\n";
        std::fs::write(file.path(), line.repeat(200_000)).unwrap();
        let end = text(file.path()).unwrap();
        assert!(end.len() as u64 <= MOST && end.starts_with(line));
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
    }
}
