//! Output of an attempt: one file per stream and never the event channel, and what it took.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::engine::files;
use crate::engine::records::{Recorder, Scanner};
use crate::model::event::{Logs, Record, Usage};

/// Bytes that the files may reach further than a log for that to be seen.
const FURTHER: usize = 1 << 16;

/// Takes what an attempt writes and keeps it in `stdout.log` and `stderr.log` of its folder.
///
/// The folder and each file are made with the first byte: on a slow disk making them takes longer than a short trial, and
/// many trials write to one stream or to none. Writing never fails the trial: the first error is kept and the rest of that
/// stream dropped.
#[derive(Debug, Default)]
pub struct Output {
    stdout: Option<OutputStream>,
    stderr: Option<OutputStream>,
    error: Option<io::Error>,
    remark: Option<&'static str>,
    usage: Usage,
    /// Finds what the standard output tells, if anybody wants to know.
    scanner: Option<Scanner>,
}

#[derive(Debug)]
struct OutputStream {
    path: PathBuf,
    file: Kept,
    bytes: u64,
}

#[derive(Debug)]
enum Kept {
    /// Nothing was written yet.
    NotYet,
    Open(File),
    /// An error ended it.
    Given,
}

impl Output {
    /// Output that nobody keeps.
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// Output kept in `folder`.
    pub fn into_folder(folder: &Path) -> Self {
        let stream = |name| Some(OutputStream { path: folder.join(name), file: Kept::NotYet, bytes: 0 });
        Self { stdout: stream("stdout.log"), stderr: stream("stderr.log"), ..Self::default() }
    }

    /// Removes the files that an earlier life of the run left.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        [&self.stdout, &self.stderr].into_iter().flatten().try_for_each(|stream| remove(&stream.path))
    }

    /// Lets a recorder take what the standard output tells from now on.
    pub fn record(&mut self, recorder: &Recorder) {
        self.scanner = Some(Scanner::of_output(recorder));
    }

    /// Takes bytes from the standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.take(bytes);
        }
        Self::take(self.stdout.as_mut(), bytes, &mut self.error);
    }

    /// Takes what an attempt tells in other ways than by its output.
    pub fn tell(&mut self, record: Record) {
        if let Some(scanner) = &mut self.scanner {
            scanner.tell(record);
        }
    }

    /// Takes bytes from the standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        Self::take(self.stderr.as_mut(), bytes, &mut self.error);
    }

    /// Empties both files: the engine is about to say everything again from the start.
    pub fn restart(&mut self) {
        if let Some(scanner) = &mut self.scanner {
            scanner.restart();
        }
        for stream in [self.stdout.as_mut(), self.stderr.as_mut()].into_iter().flatten() {
            let emptied = match &mut stream.file {
                Kept::Open(file) => file.set_len(0).and_then(|()| file.rewind()),
                Kept::NotYet | Kept::Given => Ok(()),
            };
            match emptied {
                Ok(()) => stream.bytes = 0,
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        }
    }

    /// Writes files again that were removed while they were written: what is in them is there as long as they are open.
    fn restore(&mut self) {
        for stream in [self.stdout.as_mut(), self.stderr.as_mut()].into_iter().flatten() {
            if let Err(error) = stream.restore() {
                self.error.get_or_insert(error);
            }
        }
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        self.restore();
        if let Some(scanner) = &mut self.scanner {
            scanner.end();
        }
    }

    /// Bytes taken so far, since the last restart.
    pub fn bytes(&self) -> u64 {
        [&self.stdout, &self.stderr].into_iter().flatten().map(|stream| stream.bytes).sum()
    }

    /// True when both files reach as far as a log that ends with these bytes; one that nobody keeps, or that could not be
    /// written or read, reaches any end.
    ///
    /// A log keeps a byte that is no text as U+FFFD: what follows the last of them is compared. Where it could not keep
    /// everything, as on a full disk, the files reach further.
    pub fn reaches(&self, stdout: &[u8], stderr: &[u8]) -> bool {
        let reaches = |stream: &Option<OutputStream>, with: &[u8]| {
            let with = String::from_utf8_lossy(with);
            let with = with.rsplit('\u{fffd}').next().unwrap_or_default().as_bytes();
            let tail = stream.as_ref().and_then(|stream| match stream.file {
                Kept::NotYet => Some(Vec::new()),
                Kept::Open(_) => tail(&stream.path, with.len() + FURTHER).ok(),
                Kept::Given => None,
            });
            tail.is_none_or(|tail| with.is_empty() || tail.windows(with.len()).rev().any(|part| part == with))
        };
        reaches(&self.stdout, stdout) && reaches(&self.stderr, stderr)
    }

    /// Notes that the files are not complete.
    pub fn fail(&mut self, error: io::Error) {
        self.error.get_or_insert(error);
    }

    /// Notes what whoever reads the files should know, though they are complete.
    pub fn note(&mut self, remark: &'static str) {
        self.remark.get_or_insert(remark);
    }

    /// What whoever reads the files should know, as a clause behind their name.
    pub fn remark(&self) -> Option<&'static str> {
        self.remark
    }

    /// Paths and sizes of the files: one without a byte may not be there. Absent when nobody keeps them.
    pub fn logs(&self) -> Option<Logs> {
        let (stdout, stderr) = (self.stdout.as_ref()?, self.stderr.as_ref()?);
        Some(Logs {
            stdout: stdout.path.clone(),
            stdout_bytes: stdout.bytes,
            stderr: stderr.path.clone(),
            stderr_bytes: stderr.bytes,
        })
    }

    /// Takes what the attempt used of the machine, as far as the engine saw it.
    pub fn used(&mut self, usage: &Usage) {
        self.usage.see(usage);
    }

    /// Usage of the machine; absent when the engine saw nothing.
    pub fn usage(&self) -> Option<Usage> {
        Some(self.usage).filter(|usage| *usage != Usage::default())
    }

    /// The first error of writing, if any; then the logs are not complete.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    fn take(stream: Option<&mut OutputStream>, bytes: &[u8], error: &mut Option<io::Error>) {
        let Some(stream) = stream else { return };
        if bytes.is_empty() || matches!(stream.file, Kept::Given) {
            return;
        }
        match stream.write(bytes) {
            Ok(()) => stream.bytes += bytes.len() as u64,
            Err(problem) => {
                stream.file = Kept::Given;
                error.get_or_insert(problem);
            }
        }
    }
}

impl OutputStream {
    fn restore(&mut self) -> io::Result<()> {
        let Kept::Open(file) = &mut self.file else { return Ok(()) };
        if file.metadata()?.nlink() > 0 {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut removed = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let mut again = File::create(&self.path)?;
        io::copy(&mut removed, &mut again)?;
        *file = again;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Kept::NotYet = self.file {
            self.file = Kept::Open(files::create(&self.path)?);
        }
        match &mut self.file {
            Kept::Open(file) => file.write_all(bytes),
            Kept::NotYet | Kept::Given => Ok(()),
        }
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last `length` bytes of a file, as far as it has them.
fn tail(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(size.saturating_sub(length as u64)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Output, Recorder};
    use crate::model::name::Name;
    use crate::model::trial::Trial;

    #[test]
    fn streams_are_kept_apart_and_can_be_said_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::into_folder(&folder.path().join("1"));
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        let trial = Trial::new(Name::parse("a1").unwrap());
        let to = move |records: Vec<_>| {
            count.fetch_add(records.len(), Ordering::Relaxed);
        };
        output.record(&Recorder::new(&trial, to));
        output.stdout(b"::combu metric a=1\n::combu ");
        output.restart();
        output.stdout(b"::combu metric a=1\n::combu metric a=2\n");
        output.stderr(b"::combu metric a=3\n");
        output.end();
        assert_eq!(
            told.load(Ordering::Relaxed),
            2,
            "what is said again counts once, and only the standard output does"
        );
        output.restart();
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
    fn a_file_is_made_with_its_first_byte_and_one_of_an_earlier_life_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("trial/1");
        let mut output = Output::into_folder(&place);
        output.stdout(b"");
        assert!(!place.exists());
        assert!(output.reaches(b"", b"") && !output.reaches(b"lost", b""));
        output.stdout(b"x");
        assert!(place.join("stdout.log").exists() && !place.join("stderr.log").exists());
        let again = Output::into_folder(&place);
        again.clear().unwrap();
        assert_eq!(again.logs().unwrap().stdout_bytes, 0);
        assert!(!place.join("stdout.log").exists());
    }

    #[test]
    fn a_log_that_says_more_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::into_folder(folder.path());
        output.stdout(b"first\nlast \xff\n");
        assert!(output.reaches("last \u{fffd}\n".as_bytes(), b"") && output.reaches(b"first\n", b""));
        assert!(!output.reaches(b"lost\n", b"") && !output.reaches(b"st \xff\nlost\n", b""));
        assert!(!output.reaches(b"", b"an error\n"));
        assert!(Output::nowhere().reaches(b"anything", b""));
        assert_eq!(output.bytes(), 13);
    }

    #[test]
    fn a_full_disk_is_remembered_and_stops_nothing() {
        let mut output = Output::nowhere();
        output.stdout(b"lost");
        assert!(output.logs().is_none() && output.error().is_none());
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        output.stdout = Some(super::OutputStream { path: "/dev/full".into(), file: super::Kept::Open(full), bytes: 0 });
        output.stdout(b"x");
        output.stdout(b"y");
        assert_eq!(output.error().unwrap().kind(), std::io::ErrorKind::StorageFull);
    }
}
