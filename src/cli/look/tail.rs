//! A log that grows: from its start or its last lines to its end so far, a piece at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const PIECE: u64 = 64 * 1024;

/// A log, and the place up to which it was read.
#[derive(Debug)]
pub(super) struct LogTail {
    path: PathBuf,
    read: u64,
}

impl LogTail {
    /// A log, to be read from its start, or from its last `lines` of now.
    ///
    /// # Errors
    /// When it cannot be read. One that is not there has nothing in it yet.
    pub(super) fn new(path: PathBuf, lines: Option<usize>) -> io::Result<Self> {
        let read = match (lines, open(&path)?) {
            (Some(lines), Some(file)) => start_of_last(file, lines)?,
            _ => 0,
        };
        Ok(Self { path, read })
    }

    /// Passes what came since the last time to `take`. What is written anew from its start, as after `combu resume`, is the
    /// same again and passed once.
    ///
    /// # Errors
    /// When it cannot be read, and what `take` fails with.
    pub(super) fn read(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(mut file) = open(&self.path)? else { return Ok(()) };
        if file.metadata()?.len() <= self.read {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut piece = vec![0; PIECE as usize];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    take(&piece[..count])?;
                    self.read += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        // It is made with its first byte.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The place where the last `lines` of a file begin; only they are read.
fn start_of_last(mut file: File, lines: usize) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let (mut start, mut left) = (end, lines);
    let mut piece = Vec::new();
    while start > 0 {
        let from = start.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(from))?;
        piece.clear();
        (&mut file).take(start - from).read_to_end(&mut piece)?;
        for (index, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + index as u64 + 1;
            // The newline at the very end belongs to the last line.
            if after == end {
                continue;
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(after);
            }
        }
        start = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::{LogTail, PIECE};

    fn read(tail: &mut LogTail) -> String {
        let mut text = Vec::new();
        tail.read(|bytes| text.write_all(bytes)).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_is_appended_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout.log");
        let mut tail = LogTail::new(path.clone(), None).unwrap();
        assert_eq!(read(&mut tail), "");
        fs::write(&path, "one\nt").unwrap();
        assert_eq!(read(&mut tail), "one\nt");
        assert_eq!(read(&mut tail), "");
        File::options().append(true).open(&path).unwrap().write_all(b"wo\n").unwrap();
        assert_eq!(read(&mut tail), "wo\n");
        // A combu that goes on with the run writes it anew.
        fs::write(&path, "one\n").unwrap();
        assert_eq!(read(&mut tail), "");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read(&mut tail), "three\n");
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stdout.log");
        let last = |text: &str, lines| {
            fs::write(&path, text).unwrap();
            read(&mut LogTail::new(path.clone(), Some(lines)).unwrap())
        };
        assert_eq!(last("a\nb\nc\n", 0), "");
        assert_eq!(last("a\nb\nc\n", 1), "c\n");
        assert_eq!(last("a\nb\nc", 2), "b\nc");
        assert_eq!(last("a\nb\nc\n", 9), "a\nb\nc\n");
        assert_eq!(last("\n\n\n", 1), "\n");
        assert_eq!(last("", 1), "");
        let long = "x".repeat(PIECE as usize);
        assert_eq!(last(&format!("{long}\n{long}\nend\n"), 2), format!("{long}\nend\n"));
    }
}
