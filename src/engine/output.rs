//! Where an attempt's output goes: one file per stream, never the event channel.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::model::event::Logs;

/// Takes what an attempt writes and keeps it in `stdout.log` and `stderr.log` of its folder.
///
/// Writing never fails the trial: the first error is kept and the rest of that stream dropped.
#[derive(Debug, Default)]
pub struct Output {
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    error: Option<io::Error>,
}

#[derive(Debug)]
struct Stream {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl Output {
    /// Output that nobody keeps.
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// Output kept in `folder`, which is created; files of an earlier life are emptied.
    ///
    /// # Errors
    /// When the folder or the files cannot be created.
    pub fn into_folder(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            stdout: Some(Stream::create(folder.join("stdout.log"))?),
            stderr: Some(Stream::create(folder.join("stderr.log"))?),
            error: None,
        })
    }

    /// Takes bytes from the standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        Self::take(self.stdout.as_mut(), bytes, &mut self.error);
    }

    /// Takes bytes from the standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        Self::take(self.stderr.as_mut(), bytes, &mut self.error);
    }

    /// Empties both files: the engine is about to say everything again from the start.
    pub fn restart(&mut self) {
        for stream in [self.stdout.as_mut(), self.stderr.as_mut()].into_iter().flatten() {
            let emptied = stream.file.as_mut().map_or(Ok(()), |file| file.set_len(0).and_then(|()| file.rewind()));
            match emptied {
                Ok(()) => stream.bytes = 0,
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        }
    }

    /// Bytes taken so far, since the last restart.
    pub fn bytes(&self) -> u64 {
        [&self.stdout, &self.stderr].into_iter().flatten().map(|stream| stream.bytes).sum()
    }

    /// Whether both files end with these bytes, as far as they are text; a file that nobody keeps, or that cannot be
    /// read, ends with everything.
    pub fn ends_with(&self, stdout: &[u8], stderr: &[u8]) -> bool {
        let ends = |stream: &Option<Stream>, with: &[u8]| {
            let tail = stream.as_ref().and_then(|stream| tail(&stream.path, with.len()).ok());
            tail.is_none_or(|tail| String::from_utf8_lossy(&tail).ends_with(&*String::from_utf8_lossy(with)))
        };
        ends(&self.stdout, stdout) && ends(&self.stderr, stderr)
    }

    /// Notes that the files are not complete.
    pub fn fail(&mut self, error: io::Error) {
        self.error.get_or_insert(error);
    }

    /// Where the files lie and how large they are; absent when nobody keeps them.
    pub fn logs(&self) -> Option<Logs> {
        let (stdout, stderr) = (self.stdout.as_ref()?, self.stderr.as_ref()?);
        Some(Logs {
            stdout: stdout.path.clone(),
            stdout_bytes: stdout.bytes,
            stderr: stderr.path.clone(),
            stderr_bytes: stderr.bytes,
        })
    }

    /// The first error of writing, if any; then the logs are not complete.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    fn take(stream: Option<&mut Stream>, bytes: &[u8], error: &mut Option<io::Error>) {
        let Some(stream) = stream else { return };
        let Some(file) = stream.file.as_mut() else { return };
        match file.write_all(bytes) {
            Ok(()) => stream.bytes += bytes.len() as u64,
            Err(problem) => {
                stream.file = None;
                error.get_or_insert(problem);
            }
        }
    }
}

impl Stream {
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::create(&path)?;
        Ok(Self { path, file: Some(file), bytes: 0 })
    }
}

/// At least the last `length` bytes of a file, as far as it has them.
fn tail(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    // A log keeps a byte that is no text as three.
    file.seek(io::SeekFrom::Start(size.saturating_sub(4 * length as u64)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Output;

    #[test]
    fn streams_are_kept_apart_and_can_be_said_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::into_folder(&folder.path().join("1")).unwrap();
        output.stdout(b"half");
        output.stderr(b"\xff\x00");
        output.restart();
        output.stdout(b"whole\n");
        output.stderr(b"\xff\x00\x01");
        let logs = output.logs().unwrap();
        assert_eq!((logs.stdout_bytes, logs.stderr_bytes), (6, 3));
        assert_eq!(std::fs::read(logs.stdout).unwrap(), b"whole\n");
        assert_eq!(std::fs::read(logs.stderr).unwrap(), b"\xff\x00\x01");
        assert!(output.error().is_none());
    }

    #[test]
    fn the_end_is_compared_as_text() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::into_folder(folder.path()).unwrap();
        output.stdout(b"first\nlast \xff\n");
        assert!(output.ends_with("last \u{fffd}\n".as_bytes(), b""));
        assert!(!output.ends_with(b"lost\n", b""));
        assert!(!output.ends_with(b"", b"an error\n"));
        assert!(Output::nowhere().ends_with(b"anything", b""));
        assert_eq!(output.bytes(), 13);
    }

    #[test]
    fn a_full_disk_is_remembered_and_stops_nothing() {
        let mut output = Output::nowhere();
        output.stdout(b"lost");
        assert!(output.logs().is_none() && output.error().is_none());
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        output.stdout = Some(super::Stream { path: "/dev/full".into(), file: Some(full), bytes: 0 });
        output.stdout(b"x");
        output.stdout(b"y");
        assert_eq!(output.error().unwrap().kind(), std::io::ErrorKind::StorageFull);
    }
}
