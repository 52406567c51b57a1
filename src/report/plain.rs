//! The report for places that are no terminal: one line per notable event, nothing that is ever taken back; and where
//! nothing is to be said for long, a line that says how far the run is.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::event::{Event, Fact, Sink};
use crate::report::board::Board;
use crate::report::by_run::ByRun;
use crate::report::style::Style;
use crate::report::teller::Teller;

/// The longest time without a line while trials run: a log of an hour has a dozen of them.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// The time between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);

/// Writes one line per notable event.
pub struct Plain {
    lines: Arc<Mutex<Lines>>,
    has_clock: bool,
}

/// What is written, and what it takes to say how far runs are.
struct Lines {
    out: Box<dyn Write + Send>,
    style: Style,
    runs: ByRun<(Teller, Board)>,
    /// When something was written last, in milliseconds since 1970-01-01 UTC.
    last: u64,
}

impl Plain {
    /// Lines go to `out`, which is flushed after each event.
    pub fn new(out: Box<dyn Write + Send>, style: Style) -> Self {
        let lines = Lines { out, style, runs: ByRun::default(), last: 0 };
        Self { lines: Arc::new(Mutex::new(lines)), has_clock: false }
    }

    /// The same, with a line every five minutes in which nothing else is said.
    pub fn with_heartbeat(self) -> Self {
        let lines = Arc::downgrade(&self.lines);
        std::thread::spawn(move || watch(&lines));
        Self { has_clock: true, ..self }
    }
}

/// Looks again and again whether something is to be said, as long as the report is there.
fn watch(lines: &Weak<Mutex<Lines>>) {
    loop {
        std::thread::sleep(LOOK);
        let Some(lines) = lines.upgrade() else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A place that cannot be written is told with the next event.
        let _full = lock(&lines).beat(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    }
}

impl Lines {
    fn take(&mut self, event: &Event) -> Vec<String> {
        let style = self.style;
        let (teller, board) = self.runs.get_or(&event.run, || (Teller::new(style), Board::default()));
        board.add(event);
        teller.tell(event).lines
    }

    fn write(&mut self, lines: &[String], now: u64) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.last = now;
        self.out.write_all((lines.join("\n") + "\n").as_bytes())?;
        self.out.flush()
    }

    /// Says how far the runs are, if nothing has been said for long.
    fn beat(&mut self, now: u64) -> io::Result<()> {
        if u128::from(now.saturating_sub(self.last)) < SILENCE.as_millis() {
            return Ok(());
        }
        let beats = self.runs.iter().filter_map(|(teller, board)| Some(teller.heartbeat(&board.heartbeat(now)?)));
        let lines: Vec<String> = beats.flatten().collect();
        self.write(&lines, now)
    }
}

impl Sink for Plain {
    fn name(&self) -> &'static str {
        "the plain report"
    }

    fn recall(&mut self, event: &Event) {
        let _told_then = lock(&self.lines).take(event);
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        let mut lines = lock(&self.lines);
        let told = lines.take(event);
        if matches!(event.fact, Fact::RunEnded { .. }) {
            lines.runs.remove(&event.run);
        }
        lines.write(&told, event.at)
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().expect("no code panics while it holds the lock")
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("has_clock", &self.has_clock).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Plain, lock};
    use crate::model::command::Command;
    use crate::model::event::{Fact, Sink};
    use crate::model::outcome::Outcome;
    use crate::report::style::Style;
    use crate::report::tests::{Pages, Script};

    #[test]
    fn a_run_that_has_nothing_to_say_for_long_says_how_far_it_is() {
        const MINUTE: u64 = 60_000;
        let pages = Pages::default();
        let mut plain = Plain::new(Box::new(pages.clone()), Style::PLAIN);
        let mut script = Script::new("sweep", &["a1", "a2", "a3", "a4"], &[], 2);
        script.start("a1", 1).start("a2", 1);
        script.at = 3 * MINUTE;
        script.end("a1", 1, Outcome::Succeeded, 3 * MINUTE, "").start("a3", 1);
        let mut feed = |script: &mut Script, minutes: &[u64]| {
            script.events.drain(..).for_each(|event| plain.consume(&event).unwrap());
            minutes.iter().for_each(|minute| lock(&plain.lines).beat(minute * MINUTE).unwrap());
        };
        feed(&mut script, &[4, 7, 8, 9, 12, 13]);
        script.at = 14 * MINUTE;
        script.fact(Fact::CommandTaken { command: Command::Pause { by: "SIGTSTP".into() } });
        feed(&mut script, &[60]);
        script.at = 70 * MINUTE;
        script.fact(Fact::CommandTaken { command: Command::Unpause { by: "SIGCONT".into() } });
        feed(&mut script, &[74, 75]);
        script.run_end(None, 1);
        feed(&mut script, &[90]);
        insta::assert_snapshot!(pages.text(), @"
        sweep: 4 trials, at most 2 at once, run k3jd8s0aq2xz
        logs: /state/runs/k3jd8s0aq2xz
        [1/4] ok      a1  3m 00s
        [1/4] running 2 trials, 8m 00s so far, about 2m 40s left
        [1/4] running 2 trials, 13m 00s so far, about 4m 20s left
              pause   Ctrl-Z: 2 trials paused, and no more are started
              unpause SIGCONT: the trials go on
        [1/4] running 2 trials, 19m 00s so far, about 6m 20s left
        ");
    }
}
