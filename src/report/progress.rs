//! Bars on a terminal, and what must be seen above them. The only file that names indicatif.
//!
//! One bar draws everything as a block of lines below everything else, on its own clock: an event changes the state and
//! draws nothing, so 10,000 trials cost as many changes of a map.
//!
//! indicatif fills each line to the edge of the terminal. There a `^C` that the terminal echoes begins another line, and
//! where the terminal becomes narrower each line takes two rows: then parts of older blocks stay. So it draws on a canvas of
//! ours, which ends lines with a newline and knows how many rows they take now.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use console::measure_text_width;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle, TermLike};

use crate::model::command::Command;
use crate::model::event::{Event, Fact, Sink};
use crate::report::board::Board;
use crate::report::by_run::ByRun;
use crate::report::style::Style;
use crate::report::teller::Teller;

/// Times are shown in seconds; four times as often, a running trial that ended does not look stuck.
const TICK: Duration = Duration::from_millis(250);
/// Draws a second at most, should anything ask for more than the tick does.
const DRAWS: u8 = 10;

/// Columns that stay free at the end of a line, for an echoed `^C`.
const ECHO: usize = 3;

/// Bars on a terminal. Clones share one state.
#[derive(Debug, Clone)]
pub struct Bars {
    bar: ProgressBar,
    canvas: Canvas,
    boards: Arc<Mutex<ByRun<Board>>>,
    tellers: Arc<Mutex<ByRun<Teller>>>,
    ticks: bool,
}

/// Where the time and the size come from.
#[derive(Debug, Clone, Copy)]
struct Surroundings {
    /// Milliseconds since 1970-01-01 UTC.
    now: fn() -> u64,
    /// The style, with the size of this moment.
    style: fn(Style) -> Style,
}

/// The terminal as indicatif draws on it: each draw begins with a step back to the first line of the block.
#[derive(Clone)]
struct Canvas(Arc<Mutex<Pane>>);

/// The terminal, and what stands on it.
struct Pane {
    out: Box<dyn Write + Send>,
    around: Surroundings,
    style: Style,
    /// The widths of the lines that stand there; the cursor is behind the last.
    drawn: Vec<usize>,
    /// The rows of the block before, which the lines of this one are written over.
    stale: usize,
    /// What is to be written with the next flush.
    text: String,
}

impl Bars {
    /// Bars on the terminal that standard error is, which `out` writes to and which can move its cursor.
    pub fn on_terminal(out: Box<dyn Write + Send>, style: Style) -> Self {
        let canvas = Canvas::new(out, style, Surroundings { now, style: resized });
        Self::new(ProgressDrawTarget::term_like_with_hz(Box::new(canvas.clone()), DRAWS), canvas, true)
    }

    fn new(target: ProgressDrawTarget, canvas: Canvas, ticks: bool) -> Self {
        let boards: Arc<Mutex<ByRun<Board>>> = Arc::default();
        let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
        let (shown, size) = (boards.clone(), canvas.clone());
        let block = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            let (now, style) = size.surroundings();
            // A write into the bar's own buffer cannot fail.
            let _written = out.write_str(&block(&lock(&shown), now, style).join("\n"));
        };
        bar.set_style(
            ProgressStyle::with_template("{block}").expect("the template is a constant").with_key("block", block),
        );
        // Until a run begins there is nothing to show.
        bar.finish_and_clear();
        Self { bar, canvas, boards, tellers: Arc::default(), ticks }
    }

    /// Runs `f` with the bars out of the way, so that what it prints appears above them. `f` must feed no events.
    pub fn suspend(&self, f: &mut dyn FnMut()) {
        self.bar.suspend(f);
    }

    /// Takes the bars away, whatever the runs do. They come back with the next run.
    pub fn finish(&self) {
        lock(&self.boards).clear();
        self.hide();
    }

    fn show(&self) {
        if self.bar.is_finished() {
            self.bar.reset();
        }
        if self.ticks {
            self.bar.enable_steady_tick(TICK);
        }
    }

    fn hide(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }
}

impl Canvas {
    fn new(out: Box<dyn Write + Send>, style: Style, around: Surroundings) -> Self {
        Self(Arc::new(Mutex::new(Pane { out, around, style, drawn: Vec::new(), stale: 0, text: String::new() })))
    }

    /// The time, and the style with the size of this moment.
    fn surroundings(&self) -> (u64, Style) {
        let pane = lock(&self.0);
        ((pane.around.now)(), (pane.around.style)(pane.style))
    }

    /// Writes lines that stay. The block has to be away.
    fn print(&self, lines: &[String]) -> io::Result<()> {
        let mut pane = lock(&self.0);
        pane.out.write_all((lines.join("\n") + "\n").as_bytes())?;
        pane.out.flush()
    }
}

impl Pane {
    /// Moves the cursor to the beginning of the block. A terminal that became narrower since has broken its lines.
    fn step_back(&mut self) {
        let width = (self.around.style)(self.style).width.max(1);
        let rows = self.drawn.drain(..).map(|wide| wide.div_ceil(width).max(1)).sum::<usize>();
        match rows {
            0 => return,
            1 => self.text.push('\r'),
            rows => self.text.push_str(&format!("\r\x1b[{}A", rows - 1)),
        }
        self.stale = rows;
    }

    /// Takes away what is left of the block before. Never from the first place of the screen on: tmux keeps what is cleared so,
    /// and each draw of a block as high as the terminal would stay in its history.
    fn clear_rest(&mut self) {
        match (std::mem::take(&mut self.stale), self.drawn.len()) {
            (0, _) => {}
            (1, 0) => self.text.push_str("\x1b[K"),
            (_, 0) => self.text.push_str("\x1b[K\n\x1b[J\x1b[A"),
            (before, now) if before > now => self.text.push_str("\x1b[J"),
            _ => {}
        }
    }
}

impl fmt::Debug for Canvas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canvas")
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        let (_, style) = self.surroundings();
        u16::try_from(style.width.saturating_sub(ECHO).max(1)).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        let (_, style) = self.surroundings();
        u16::try_from(style.height).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, _rows: usize) -> io::Result<()> {
        lock(&self.0).step_back();
        Ok(())
    }

    fn move_cursor_down(&self, _rows: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)
    }

    fn write_str(&self, line: &str) -> io::Result<()> {
        // What fills a line to the edge.
        if line.chars().all(|c| c == ' ') {
            return Ok(());
        }
        let mut pane = lock(&self.0);
        if !pane.drawn.is_empty() {
            pane.text.push('\n');
        }
        pane.drawn.push(measure_text_width(line));
        pane.text.push_str(line);
        pane.text.push_str("\x1b[K");
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let pane = &mut *lock(&self.0);
        pane.clear_rest();
        pane.out.write_all(std::mem::take(&mut pane.text).as_bytes())?;
        pane.out.flush()
    }
}

impl Sink for Bars {
    fn name(&self) -> &'static str {
        "the progress bars"
    }

    fn recall(&mut self, event: &Event) {
        let (_, style) = self.canvas.surroundings();
        let _told_then = lock(&self.tellers).get_or(&event.run, || Teller::new(style)).tell(event);
        lock(&self.boards).get_or(&event.run, Board::default).add(event);
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        let (_, style) = self.canvas.surroundings();
        let told = {
            let mut tellers = lock(&self.tellers);
            let teller = tellers.get_or(&event.run, || Teller::new(style));
            teller.fit(style);
            teller.tell(event)
        };
        let is_last = matches!(event.fact, Fact::RunEnded { .. });
        let left = {
            let mut boards = lock(&self.boards);
            if matches!(event.fact, Fact::RunStarted { .. }) {
                boards.get_or(&event.run, Board::default);
            }
            // A warning may come before or after a run: it is told, but there is no run to show.
            if let Some(board) = boards.get(&event.run) {
                board.add(event);
            }
            if is_last {
                boards.remove(&event.run);
            }
            boards.len()
        };
        // No lock of ours is held from here on: drawing takes the bar's and then ours.
        let mut printed = Ok(());
        if told.notable > 0 {
            self.bar.suspend(|| printed = self.canvas.print(&told.lines[..told.notable]));
        }
        match &event.fact {
            Fact::RunStarted { .. } | Fact::RunResumed { .. } => self.show(),
            // The terminal is somebody else's until the run goes on.
            Fact::CommandTaken { command: Command::Pause { .. } } => self.hide(),
            Fact::CommandTaken { command: Command::Unpause { .. } | Command::Cancel { .. } }
                if left > 0 && self.bar.is_finished() =>
            {
                self.show();
            }
            _ => {}
        }
        if is_last {
            lock(&self.tellers).remove(&event.run);
            if left == 0 {
                self.hide();
            }
        }
        printed
    }
}

/// The lines of every run, each with its share of the rows. The last row stays free for what is printed above.
fn block(boards: &ByRun<Board>, now: u64, style: Style) -> Vec<String> {
    let share = style.height.saturating_sub(2) / boards.len().max(1);
    let style = Style { width: style.width.saturating_sub(ECHO), ..style };
    boards.iter().flat_map(|board| board.lines(now, &style, share.max(1))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn resized(style: Style) -> Style {
    match console::Term::stderr().size_checked() {
        Some((height, width)) => Style { height: height.into(), width: width.into(), ..style },
        None => style,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use indicatif::ProgressDrawTarget;

    use super::{Bars, Canvas, Surroundings, lock};
    use crate::model::command::Command;
    use crate::model::event::{Cause, Fact, Sink};
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::style::Style;
    use crate::report::tests::{Script, name};

    /// A terminal in memory.
    #[derive(Clone)]
    struct Memory(Arc<Mutex<vt100::Parser>>);

    impl Memory {
        fn new(rows: u16, columns: u16) -> Self {
            Self(Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 100))))
        }

        /// What is to be seen, without blanks at the ends of lines.
        fn contents(&self) -> String {
            self.0.lock().unwrap().screen().contents().trim_end().to_owned()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // As a terminal's driver does.
            let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            self.0.lock().unwrap().process(text.as_bytes());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Bars on a terminal of 80 columns, drawn when asked, 65 seconds after the script began.
    fn on(terminal: &Memory) -> Bars {
        let style = Style { height: 10, width: 82, ..Style::PLAIN };
        bars(terminal, style)
    }

    fn bars(terminal: &Memory, style: Style) -> Bars {
        let around = Surroundings { now: || 65_000, style: |style| style };
        let canvas = Canvas::new(Box::new(terminal.clone()), style, around);
        Bars::new(ProgressDrawTarget::term_like(Box::new(canvas.clone())), canvas, false)
    }

    fn draw(progress: &Bars) {
        progress.bar.tick();
    }

    fn feed(progress: &mut Bars, script: &mut Script) {
        for event in script.events.drain(..) {
            progress.consume(&event).unwrap();
        }
        draw(progress);
    }

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("trial-{number}")).collect()
    }

    fn sweep(count: usize, parallel: usize) -> Script {
        Script::new("sweep", &names(count).iter().map(String::as_str).collect::<Vec<_>>(), &[], parallel)
    }

    #[test]
    fn running_trials_that_have_no_row_are_counted() {
        let terminal = Memory::new(10, 82);
        let mut progress = on(&terminal);
        let mut script = sweep(500, 16);
        for number in 1..=16 {
            script.at = number * 1000;
            script.start(&format!("trial-{number}"), 1);
        }
        script.fact(Fact::AttemptStarting { trial: name("trial-17"), attempt: 1, cores: Vec::new(), gpus: Vec::new() });
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @"
        sweep: 500 trials, at most 16 at once, run k3jd8s0aq2xz
        sweep [------------------------------] 0/500, 17 running, 1m 05s
          trial-1  1m 04s
          trial-2  1m 03s
          trial-3  1m 02s
          trial-4  1m 01s
          trial-5  1m 00s
          trial-6  59s
          ... and 11 more running
        ");
        script.end("trial-1", 1, Outcome::Succeeded, 10_000, "").end("trial-2", 1, Outcome::Succeeded, 20_000, "");
        for number in 3..=14 {
            script.end(&format!("trial-{number}"), 1, Outcome::Killed, 0, "");
        }
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @"
        sweep: 500 trials, at most 16 at once, run k3jd8s0aq2xz
        sweep [--------------------------] 14/500, 3 running, 1m 05s, about 1h 44m left
          trial-15  50s
          trial-16  49s
          trial-17  starting
        ");
    }

    #[test]
    fn what_must_be_seen_appears_above_the_bars_and_stays() {
        let terminal = Memory::new(12, 82);
        let mut progress = on(&terminal);
        let mut script =
            Script::new("粒子法による流体シミュレーションのスイープ", &["db", "a1", "b2", "c3"], &["db"], 4);
        script.prepare("image solver:1.2", "pulling, 3 of 7 layers").start("db", 1).start("a1", 1).start("b2", 2);
        script.end("a1", 1, Outcome::Failed { exit: Exit::Code(3) }, 10_000, "温度が範囲外です\n");
        script.fact(Fact::Stopping {
            trial: name("b2"),
            because: "it ran longer than its timeout (60s)".into(),
            cause: Cause::TimedOut,
        });
        feed(&mut progress, &mut script);
        let print = || terminal.clone().write_all(b"printed by the script\n").unwrap();
        progress.clone().suspend(&mut { print });
        let contents = script.without_folder(&terminal.contents());
        insta::assert_snapshot!(contents, @"
        粒子法による流体シミュレーションのスイープ: 4 trials (1 service), at most 4 at
          once, run k3jd8s0aq2xz
        [1/4] FAIL    a1  exit code 3, 10.0s
              | 温度が範囲外です
              log: /logs/a1/stderr.log
        printed by the script
        粒子法による流体... 1/4, 1 failed, 2 running, 1m 05s, about 32s left
          image solver:1.2: pulling, 3 of 7 layers
          db  1m 05s
          b2  1m 05s, stopping, attempt 2
        ");

        script
            .prepare("image solver:1.2", "pulled")
            .fact(Fact::Halted { because: "1 trial failed (`soon,fail=1`)".into() });
        script
            .end("b2", 2, Outcome::TimedOut, 60_000, "")
            .end("db", 1, Outcome::Stopped, 65_000, "")
            .run_end(None, 65_000);
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(script.without_folder(&terminal.contents()), @"
        粒子法による流体シミュレーションのスイープ: 4 trials (1 service), at most 4 at
          once, run k3jd8s0aq2xz
        [1/4] FAIL    a1  exit code 3, 10.0s
              | 温度が範囲外です
              log: /logs/a1/stderr.log
        printed by the script
              halted  1 trial failed (`soon,fail=1`)
        [2/4] FAIL    b2  timed out, 1m 00s, attempt 2
              it wrote nothing
        ");
    }

    #[test]
    fn events_change_the_state_and_draw_nothing() {
        let terminal = Memory::new(10, 82);
        let mut progress = on(&terminal);
        let names = names(10_000);
        let mut script = sweep(names.len(), 2);
        for name in &names {
            script.start(name, 1);
            let ended = Fact::TrialEnded {
                trial: super::tests::name(name),
                attempts: 1,
                outcome: Outcome::Succeeded,
                elapsed: std::time::Duration::from_secs(1),
            };
            script.fact(ended);
        }
        for event in &script.events {
            progress.consume(event).unwrap();
        }
        let head = "sweep: 10000 trials, at most 2 at once, run k3jd8s0aq2xz";
        let first = "sweep [------------------------------] 0/10000, 1m 05s";
        assert_eq!(terminal.contents(), format!("{head}\n{first}"));
        draw(&progress);
        let bar = "sweep [##############################] 10000/10000, 1m 05s";
        assert_eq!(terminal.contents(), format!("{head}\n{bar}"));
    }

    #[test]
    fn two_runs_share_the_rows_and_a_stray_warning_leaves_nothing_behind() {
        let terminal = Memory::new(10, 82);
        let mut progress = on(&terminal);
        let (mut first, mut second) = (sweep(9, 8), sweep(2, 1));
        second.run = "second".into();
        second.events[0].run = "second".into();
        for number in 1..=8 {
            first.start(&format!("trial-{number}"), 1);
        }
        second.start("trial-1", 1);
        feed(&mut progress, &mut first);
        feed(&mut progress, &mut second);
        insta::assert_snapshot!(terminal.contents(), @"
        sweep: 9 trials, at most 8 at once, run k3jd8s0aq2xz
        sweep: 2 trials, at most 1 at once, run second
        sweep [------------------------------] 0/9, 8 running, 1m 05s
          trial-1  1m 05s
          trial-2  1m 05s
          ... and 6 more running
        sweep [------------------------------] 0/2, 1 running, 1m 05s
          trial-1  1m 05s
        ");
        first.run_end(None, 1);
        feed(&mut progress, &mut first);
        let below_the_heads = |terminal: &Memory| {
            let contents = terminal.contents();
            contents.lines().filter(|line| !line.contains("at once")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            below_the_heads(&terminal),
            "sweep [------------------------------] 0/2, 1 running, 1m 05s\n  trial-1  1m 05s"
        );
        second.run_end(None, 1).fact(Fact::Warned { message: "late".into() });
        feed(&mut progress, &mut second);
        assert_eq!(below_the_heads(&terminal), " ".repeat(6) + "warning late");
        let mut third = sweep(1, 1);
        feed(&mut progress, &mut third);
        assert!(terminal.contents().ends_with("\nsweep [------------------------------] 0/1, 1m 05s"));
        progress.finish();
        assert_eq!(below_the_heads(&terminal), "      warning late");
    }

    #[test]
    fn what_a_user_asks_for_is_confirmed_above_the_bars() {
        let terminal = Memory::new(10, 82);
        let mut progress = on(&terminal);
        let mut script = sweep(3, 1);
        script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
        feed(&mut progress, &mut script);
        let said = "      stop    Ctrl-C: no trial is running, and none is started any more;";
        assert!(terminal.contents().contains(said), "{}", terminal.contents());
    }

    #[test]
    fn an_echoed_interrupt_and_another_width_leave_no_bar_behind() {
        let terminal = Memory::new(10, 40);
        let mut progress = bars(&terminal, Style { height: 10, width: 40, ..Style::PLAIN });
        let mut script = sweep(9, 2);
        script.start("trial-1", 1).start("trial-2", 1);
        feed(&mut progress, &mut script);
        terminal.clone().write_all(b"^C").unwrap();
        script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @"
        sweep: 9 trials, at most 2 at once, run
          k3jd8s0aq2xz
              stop    Ctrl-C: stopping 2 trials
                      (up to 10s); Ctrl-C again
                      kills them; `combu resume`
                      goes on later
        sweep 0/9, 2 running, 1m 05s
          trial-1  1m 05s
          trial-2  1m 05s
        ");

        // Narrower: the terminal breaks the lines that stand there, as the one of this test would not.
        let broken = "sweep 0/9, 2 running, 1m 05s\r\n  trial-1  1m 05s, stopp\r\ning\r\n  trial-2";
        let narrow = Memory::new(10, 24);
        {
            let mut pane = lock(&progress.canvas.0);
            pane.out = Box::new(narrow.clone());
            pane.style.width = 24;
            pane.drawn = vec![28, 25, 9];
        }
        narrow.0.lock().unwrap().process(format!("before\r\n{broken}").as_bytes());
        draw(&progress);
        insta::assert_snapshot!(narrow.contents(), @"
        before
        sweep 0/9, 2 running
          trial-1  1m 05s
          trial-2  1m 05s
        ");
    }

    #[test]
    fn the_bars_are_away_while_the_run_is_paused() {
        let terminal = Memory::new(10, 82);
        let mut progress = on(&terminal);
        let mut script = sweep(3, 1);
        script.start("trial-1", 1).fact(Fact::CommandTaken { command: Command::Pause { by: "SIGTSTP".into() } });
        feed(&mut progress, &mut script);
        let paused = "\n      pause   Ctrl-Z: 1 trial paused, and no more are started";
        assert!(terminal.contents().ends_with(paused), "{}", terminal.contents());
        script.at = 60_000;
        script.fact(Fact::CommandTaken { command: Command::Unpause { by: "SIGCONT".into() } });
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @"
        sweep: 3 trials, at most 1 at once, run k3jd8s0aq2xz
              pause   Ctrl-Z: 1 trial paused, and no more are started
              unpause SIGCONT: the trials go on
        sweep [------------------------------] 0/3, 1 running, 5s
          trial-1  5s
        ");
    }
}
