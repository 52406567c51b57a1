//! Logs on the standard output: as they were written, or line by line with their trial's name.

use std::io::{self, BufWriter, Write};

use crate::cli::error::CliError;
use crate::cli::ui::Ui;
use crate::model::name::Name;
use crate::report::tail::overwritten;

/// Limit of a line that is kept back until its end comes.
const LONGEST: usize = 64 * 1024;

/// The reason that logs are not printed to their end.
pub(super) enum PrintError {
    Io(io::Error),
    Cli(Box<CliError>),
}

impl PrintError {
    pub(super) fn cause(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io(error) => Some(error.kind()),
            Self::Cli(_) => None,
        }
    }
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CliError> for PrintError {
    fn from(error: CliError) -> Self {
        Self::Cli(Box::new(error))
    }
}

/// Prints logs.
pub(super) struct Printer<'a> {
    pub(super) ui: &'a Ui,
    pub(super) out: BufWriter<Box<dyn Write + Send>>,
    /// Columns of the names before the lines; absent: no names.
    pub(super) prefix: Option<usize>,
}

impl Printer<'_> {
    pub(super) fn bytes(&mut self, name: &Name, is_error: bool, line: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        if self.prefix.is_none() {
            return self.out.write_all(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || line.len() >= LONGEST {
                self.line(name, is_error, line)?;
                line.clear();
            }
        }
        Ok(())
    }

    /// A line with its name; what moves the cursor of a terminal is taken out there.
    pub(super) fn line(&mut self, name: &Name, is_error: bool, line: &[u8]) -> io::Result<()> {
        let width = self.prefix.unwrap_or_default();
        let style = self.ui.out();
        let bar = if is_error { style.yellow("!") } else { style.dim("|") };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        write!(self.out, "{name:width$} {bar} ")?;
        if self.ui.prints_on_terminal() {
            self.out.write_all(overwritten(&String::from_utf8_lossy(line)).as_bytes())?;
        } else {
            self.out.write_all(line)?;
        }
        self.out.write_all(b"\n")
    }

    /// Says something about the logs, behind what was printed so far.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.out.flush()?;
        self.ui.message(text);
        Ok(())
    }
}
