//! Events as JSON, one a line, for programs. Says everything; leaves nothing in a buffer.

use std::fmt;
use std::io::{self, Write};

use crate::model::event::{Event, Sink};

/// Writes each event as one line of JSON.
pub struct Json {
    out: Box<dyn Write + Send>,
}

impl Json {
    /// Events go to `out`, which is flushed after each.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out }
    }
}

impl Sink for Json {
    fn name(&self) -> &'static str {
        "the JSON report"
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").finish_non_exhaustive()
    }
}
