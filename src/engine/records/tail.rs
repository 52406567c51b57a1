//! The file that an attempt writes its metrics to, read while it grows.

use std::convert::Infallible;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::engine::records::file::clear;
use crate::engine::records::recorder::Recorder;
use crate::engine::records::scan::Scanner;
use crate::engine::retrying::Retrying;

/// First and longest pause between two looks at the file: one costs a microsecond or two.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Bytes that are read at once, before others have their turn.
const CHUNK: u64 = 256 << 10;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// Reads a file that grows; one that is not there has nothing in it yet.
#[derive(Debug)]
pub struct MetricsTail {
    path: PathBuf,
    read: u64,
    scanner: Scanner,
    recorder: Recorder,
    /// An error, or its length, ended the reading.
    given_up: bool,
}

impl MetricsTail {
    /// A reader of the file at `path`.
    pub fn new(path: PathBuf, recorder: &Recorder) -> Self {
        Self { path, read: 0, scanner: Scanner::of_json(recorder), recorder: recorder.clone(), given_up: false }
    }

    /// Clears away what was made for the file, if nobody wrote to it; once the attempt is gone from its engine.
    pub fn clear(&self) {
        clear(&self.path);
    }

    /// Takes what comes, for ever. May be dropped and called again.
    pub async fn follow(&mut self) -> Infallible {
        let pauses = Retrying::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut idle = pauses.clone();
        loop {
            idle.pause().await;
            if self.more() {
                idle = pauses.clone();
            }
        }
    }

    /// Takes all that is left, when nobody writes any more.
    pub async fn finish(&mut self) {
        while self.more() {
            tokio::task::yield_now().await;
        }
        self.scanner.end();
    }

    /// Takes some of what is new; false when there was nothing.
    fn more(&mut self) -> bool {
        if self.given_up {
            return false;
        }
        match self.chunk() {
            Ok(bytes) => {
                self.read += bytes.len() as u64;
                self.scanner.take(&bytes);
                if self.read >= LONGEST {
                    self.give_up(format!("only the first {} MiB of the file are read", LONGEST >> 20));
                }
                !bytes.is_empty()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.give_up(format!("`{}`: {error}", self.path.display()));
                false
            }
        }
    }

    fn give_up(&mut self, because: String) {
        self.given_up = true;
        self.recorder.lock().refuse(because);
    }

    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let length = plain(&self.path.symlink_metadata()?)?;
        if length == self.read {
            return Ok(Vec::new());
        }
        // What is in it now was written anew, over what was there.
        if length < self.read {
            self.read = 0;
            self.scanner = Scanner::of_json(&self.recorder);
        }
        let mut file = self.open()?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take(CHUNK).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The trial may have put anything there: a link to a file of ours, a pipe that nobody writes to.
    fn open(&self) -> io::Result<File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path)?;
        plain(&file.metadata()?)?;
        Ok(file)
    }
}

/// The length of what has to be a file.
fn plain(found: &Metadata) -> io::Result<u64> {
    if found.is_file() { Ok(found.len()) } else { Err(io::Error::other("it is no plain file")) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::MetricsTail;
    use crate::engine::records::recorder::tests::{lines, recorder};

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_while_it_grows_and_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let (recorder, told) = recorder(&[]);
        let mut tail = MetricsTail::new(path.clone(), &recorder);
        assert!(!tail.more(), "it is not there yet");
        let mut file = std::fs::File::create(&path).unwrap();
        write!(file, "{{\"loss\": 1, \"step\": 1}}\n\n{{\"loss\"").unwrap();
        assert!(tail.more() && !tail.more());
        assert_eq!(lines(&told.lock().unwrap()), "loss=1 at 1");
        writeln!(file, ": 2}}").unwrap();
        let looked = tokio::time::timeout(std::time::Duration::from_secs(3), tail.follow());
        assert!(looked.await.is_err());
        assert_eq!(lines(&told.lock().unwrap()), "loss=1 at 1\nloss=2");
        write!(file, "{{\"loss\": 3}}").unwrap();
        tail.finish().await;
        assert_eq!(lines(&told.lock().unwrap()), "loss=1 at 1\nloss=2\nloss=3");
        assert!(recorder.finish().is_empty());
    }

    #[tokio::test]
    async fn a_file_that_is_written_anew_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let (recorder, told) = recorder(&[]);
        let mut tail = MetricsTail::new(path.clone(), &recorder);
        std::fs::write(&path, "{\"a\": 1}\n{\"a\": 2}\n").unwrap();
        tail.more();
        std::fs::write(&path, "{\"b\": 1}\n").unwrap();
        tail.finish().await;
        assert_eq!(lines(&told.lock().unwrap()), "a=1\na=2\nb=1");
    }

    #[tokio::test]
    async fn nothing_but_a_plain_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        std::fs::write(&own, "{\"secret\": 1}\n").unwrap();
        let link = folder.path().join("link");
        symlink(&own, &link).unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [link, pipe, folder.path().to_owned()] {
            let (recorder, told) = recorder(&[]);
            let mut tail = MetricsTail::new(path.clone(), &recorder);
            tail.finish().await;
            assert!(told.lock().unwrap().is_empty());
            let clause = format!("cannot be read: `{}`: it is no plain file", path.display());
            assert!(recorder.finish()[0].ends_with(&clause));
        }
    }
}
