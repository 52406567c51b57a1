//! The report for places that are no terminal: one line per notable event, nothing that is ever taken back.

use std::fmt;
use std::io::{self, Write};

use crate::model::event::{Event, Fact, Sink};
use crate::report::by_run::ByRun;
use crate::report::style::Style;
use crate::report::teller::Teller;

/// Writes one line per notable event.
pub struct Plain {
    out: Box<dyn Write + Send>,
    style: Style,
    tellers: ByRun<Teller>,
}

impl Plain {
    /// Lines go to `out`, which is flushed after each event.
    pub fn new(out: Box<dyn Write + Send>, style: Style) -> Self {
        Self { out, style, tellers: ByRun::default() }
    }
}

impl Sink for Plain {
    fn name(&self) -> &'static str {
        "the plain report"
    }

    fn recall(&mut self, event: &Event) {
        let style = self.style;
        let _told_then = self.tellers.get_or(&event.run, || Teller::new(style)).tell(event);
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        let style = self.style;
        let told = self.tellers.get_or(&event.run, || Teller::new(style)).tell(event);
        if matches!(event.fact, Fact::RunEnded { .. }) {
            self.tellers.remove(&event.run);
        }
        if told.lines.is_empty() {
            return Ok(());
        }
        let mut text = told.lines.join("\n");
        text.push('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("style", &self.style).finish_non_exhaustive()
    }
}
