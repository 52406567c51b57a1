//! The terminal: the sole writer to stdout and stderr.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use console::Term;

use crate::report::{Bars, Style};
use crate::store::create_file;

/// Columns for a program that reads on, or a file: what is cut off is lost to it, and a name that is broken is not found.
const ENDLESS: u16 = u16::MAX;

/// The terminal, or the file that stands in for it once combu went to the background. Clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    err: Style,
    out: Style,
    /// Takes what would go to stderr, once there is no terminal any more.
    redirected: Arc<Mutex<Option<File>>>,
    /// The bars of the live runs, if any are drawn.
    bars: Arc<Mutex<Option<Bars>>>,
}

impl Ui {
    /// Looks at the terminal. `NO_COLOR` and `TERM=dumb` are honoured.
    pub(crate) fn new() -> Self {
        let err = style(&Term::stderr(), console::colors_enabled_stderr());
        let out = style(&Term::stdout(), console::colors_enabled());
        Self { err, out, redirected: Arc::default(), bars: Arc::default() }
    }

    /// The style of stderr.
    pub(crate) fn err(&self) -> &Style {
        &self.err
    }

    /// The style of stdout.
    pub(crate) fn out(&self) -> &Style {
        &self.out
    }

    /// True where stdout is a terminal.
    pub(crate) fn prints_on_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// True where stderr is a terminal that bars can be drawn on: one that can move its cursor.
    pub(crate) fn has_terminal(&self) -> bool {
        let moves = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        moves && io::stderr().is_terminal() && !self.is_redirected()
    }

    /// True where a CI service runs combu, whose logs are read later: what is drawn on a terminal is lost there.
    pub(crate) fn is_watched_later() -> bool {
        std::env::var("CI").is_ok_and(|ci| !ci.is_empty() && ci != "false" && ci != "0")
    }

    /// Sends everything for stderr to a file from now on.
    pub(crate) fn redirect(&self, path: &Path) -> io::Result<()> {
        let file = create_file(path)?;
        *self.redirected.lock().expect("no code panics while it holds the lock") = Some(file);
        Ok(())
    }

    fn is_redirected(&self) -> bool {
        self.redirected.lock().expect("no code panics while it holds the lock").is_some()
    }

    /// Writes a result to stdout, with its newline. A reader that is gone is no error: `combu plan | head`.
    ///
    /// # Errors
    /// When it cannot be written otherwise: a full disk.
    pub(crate) fn result(&self, text: &str) -> io::Result<()> {
        let mut out = self.stdout();
        let written = out.write_all(format!("{}\n", text.trim_end_matches('\n')).as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Writes a message to stderr, with its newline.
    pub(crate) fn message(&self, text: &str) {
        let _closed = self.stderr().write_all(format!("{}\n", text.trim_end_matches('\n')).as_bytes());
    }

    /// Writes a warning to stderr.
    pub(crate) fn warn(&self, text: &str) {
        self.message(&format!("{} {text}", self.err.yellow("warning:")));
    }

    /// A writer to stdout for a sink.
    pub(crate) fn stdout(&self) -> Box<dyn Write + Send> {
        Box::new(io::stdout())
    }

    /// The bars of the live runs, drawn on stderr from now on.
    pub(crate) fn bars(&self) -> Bars {
        let mut bars = self.bars.lock().expect("no code panics while it holds the lock");
        bars.get_or_insert_with(|| Bars::on_terminal(self.stderr(), self.err)).clone()
    }

    /// Takes the bars away.
    pub(crate) fn finish_bars(&self) {
        let bars = self.bars.lock().expect("no code panics while it holds the lock").take();
        if let Some(bars) = bars {
            bars.finish();
        }
    }

    /// Writes above the bars, where there are any.
    pub(crate) fn above_bars(&self, mut write: impl FnMut()) {
        // Drawing takes locks of its own: none of ours is held meanwhile.
        let bars = self.bars.lock().expect("no code panics while it holds the lock").clone();
        match bars {
            Some(bars) => bars.suspend(&mut write),
            None => write(),
        }
    }

    /// A writer to stderr, or what stands in for it, for whole lines of any thread: they appear above the bars.
    pub(crate) fn logs(&self) -> Box<dyn Write + Send> {
        Box::new(AboveBars(self.clone()))
    }

    /// A writer to stderr, or what stands in for it, for a sink.
    pub(crate) fn stderr(&self) -> Box<dyn Write + Send> {
        Box::new(Redirectable { redirected: self.redirected.clone() })
    }
}

fn style(term: &Term, color: bool) -> Style {
    let (height, width) = term.size_checked().unwrap_or_else(|| (24, columns()));
    let unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| value.to_uppercase().replace('-', "").contains("UTF8"));
    Style { color, width: usize::from(width), height: usize::from(height), unicode }
}

/// The width where there is no terminal to ask: what `COLUMNS` says, else as much as it takes.
fn columns() -> u16 {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|width| *width >= 20).unwrap_or(ENDLESS)
}

struct AboveBars(Ui);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = Ok(());
        self.0.above_bars(|| written = self.0.stderr().write_all(bytes));
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.stderr().flush()
    }
}

struct Redirectable {
    redirected: Arc<Mutex<Option<File>>>,
}

impl Write for Redirectable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.redirected.lock().expect("no code panics while it holds the lock").as_mut() {
            Some(file) => file.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.redirected.lock().expect("no code panics while it holds the lock").as_mut() {
            Some(file) => file.flush(),
            None => io::stderr().flush(),
        }
    }
}
