//! Bars on a terminal, and what must be seen above them. The only file that names indicatif.
//!
//! One bar draws everything as a block of lines, on its own clock: an event changes the state and draws nothing, so
//! 10,000 trials cost as many changes of a map.

use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};

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

/// Bars on a terminal. Clones share one state.
#[derive(Debug, Clone)]
pub struct Bars {
    bar: ProgressBar,
    boards: Arc<Mutex<ByRun<Board>>>,
    tellers: Arc<Mutex<ByRun<Teller>>>,
    style: Style,
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

impl Bars {
    /// Bars on the standard error, which has to be a terminal; see [`Bars::is_hidden`].
    pub fn stderr(style: Style) -> Self {
        Self::new(ProgressDrawTarget::stderr_with_hz(DRAWS), style, Surroundings { now, style: resized }, true)
    }

    fn new(target: ProgressDrawTarget, style: Style, around: Surroundings, ticks: bool) -> Self {
        let boards: Arc<Mutex<ByRun<Board>>> = Arc::default();
        let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
        let shown = boards.clone();
        let block = move |_: &ProgressState, out: &mut dyn Write| {
            let style = (around.style)(style);
            // A write into the bar's own buffer cannot fail.
            let _written = out.write_str(&block(&lock(&shown), (around.now)(), style).join("\n"));
        };
        bar.set_style(
            ProgressStyle::with_template("{block}").expect("the template is a constant").with_key("block", block),
        );
        Self { bar, boards, tellers: Arc::default(), style, ticks }
    }

    /// Whether nothing will be shown, failures neither: there is no terminal, or one that cannot move its cursor
    /// (`TERM=dumb`). Then the plain report is the one to use.
    pub fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
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

impl Sink for Bars {
    fn name(&self) -> &'static str {
        "the progress bars"
    }

    fn recall(&mut self, event: &Event) {
        let style = self.style;
        let _told_then = lock(&self.tellers).get_or(&event.run, || Teller::new(style)).tell(event);
        lock(&self.boards).get_or(&event.run, Board::default).add(event);
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        let style = self.style;
        let told = lock(&self.tellers).get_or(&event.run, || Teller::new(style)).tell(event);
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
        if told.is_notable && !told.lines.is_empty() {
            self.bar.println(told.lines.join("\n"));
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
        Ok(())
    }
}

/// The lines of every run, each with its share of the rows. The last row stays free for the cursor, and one more for
/// what is printed above.
fn block(boards: &ByRun<Board>, now: u64, style: Style) -> Vec<String> {
    let share = style.height.saturating_sub(2) / boards.len().max(1);
    // A line as wide as the terminal would leave the cursor on the next one.
    let style = Style { width: style.width.saturating_sub(1), ..style };
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
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    use super::{Bars, Surroundings};
    use crate::model::command::Command;
    use crate::model::event::{Cause, Fact, Sink};
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::style::Style;
    use crate::report::tests::{Script, name};

    /// Bars on a terminal of 80 x 10, drawn when asked, 65 seconds after the script began.
    fn on(terminal: &InMemoryTerm) -> Bars {
        let style = Style { height: 10, ..Style::PLAIN };
        let around = Surroundings { now: || 65_000, style: |style| style };
        Bars::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())), style, around, false)
    }

    fn feed(progress: &mut Bars, script: &mut Script) {
        for event in script.events.drain(..) {
            progress.consume(&event).unwrap();
        }
        progress.bar.tick();
    }

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("trial-{number}")).collect()
    }

    fn sweep(count: usize, parallel: usize) -> Script {
        Script::new("sweep", &names(count).iter().map(String::as_str).collect::<Vec<_>>(), &[], parallel)
    }

    #[test]
    fn running_trials_that_have_no_row_are_counted() {
        let terminal = InMemoryTerm::new(10, 80);
        let mut progress = on(&terminal);
        let mut script = sweep(500, 16);
        for number in 1..=16 {
            script.at = number * 1000;
            script.start(&format!("trial-{number}"), 1);
        }
        script.fact(Fact::AttemptStarting { trial: name("trial-17"), attempt: 1, cores: Vec::new(), gpus: Vec::new() });
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @r#"
        sweep [------------------------------] 0/500, 17 running, 1m 05s
          trial-1  1m 04s
          trial-2  1m 03s
          trial-3  1m 02s
          trial-4  1m 01s
          trial-5  1m 00s
          trial-6  59s
          ... and 11 more running
        "#);
        script.end("trial-1", 1, Outcome::Succeeded, 10_000, "").end("trial-2", 1, Outcome::Succeeded, 20_000, "");
        for number in 3..=14 {
            script.end(&format!("trial-{number}"), 1, Outcome::Killed, 0, "");
        }
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @r#"
        sweep [-------------------------] 14/500, 3 running, 1m 05s, about 40m 20s left
          trial-15  50s
          trial-16  49s
          trial-17  starting
        "#);
    }

    #[test]
    fn what_must_be_seen_appears_above_the_bars_and_stays() {
        let terminal = InMemoryTerm::new(12, 80);
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
        let print = || indicatif::TermLike::write_line(&terminal, "printed by the script").unwrap();
        progress.clone().suspend(&mut { print });
        let contents = script.without_folder(&terminal.contents());
        insta::assert_snapshot!(contents, @r#"
        [1/4] FAIL    a1  exit code 3, 10.0s
              | 温度が範囲外です
              log: /logs/a1/stderr.log
        printed by the script
        粒子法による流体... 1/4, 1 failed, 2 running, 1m 05s, about 10s left
          image solver:1.2: pulling, 3 of 7 layers
          db  1m 05s
          b2  1m 05s, stopping, attempt 2
        "#);

        script
            .prepare("image solver:1.2", "pulled")
            .fact(Fact::Halted { because: "1 trial failed (`soon,fail=1`)".into() });
        script
            .end("b2", 2, Outcome::TimedOut, 60_000, "")
            .end("db", 1, Outcome::Stopped, 65_000, "")
            .run_end(None, 65_000);
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(script.without_folder(&terminal.contents()), @r#"
        [1/4] FAIL    a1  exit code 3, 10.0s
              | 温度が範囲外です
              log: /logs/a1/stderr.log
        printed by the script
              halted  1 trial failed (`soon,fail=1`)
        [2/4] FAIL    b2  timed out, 1m 00s, attempt 2
              it wrote nothing
        "#);
    }

    #[test]
    fn events_change_the_state_and_draw_nothing() {
        let terminal = InMemoryTerm::new(10, 80);
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
        assert_eq!(terminal.moves_since_last_check(), "");
        progress.bar.tick();
        assert_eq!(terminal.contents(), "sweep [##############################] 10000/10000, 1m 05s");
    }

    #[test]
    fn two_runs_share_the_rows_and_a_stray_warning_leaves_nothing_behind() {
        let terminal = InMemoryTerm::new(10, 80);
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
        insta::assert_snapshot!(terminal.contents(), @r#"
        sweep [------------------------------] 0/9, 8 running, 1m 05s
          trial-1  1m 05s
          trial-2  1m 05s
          ... and 6 more running
        sweep [------------------------------] 0/2, 1 running, 1m 05s
          trial-1  1m 05s
        "#);
        first.run_end(None, 1);
        feed(&mut progress, &mut first);
        assert_eq!(
            terminal.contents(),
            "sweep [------------------------------] 0/2, 1 running, 1m 05s\n  trial-1  1m 05s"
        );
        second.run_end(None, 1).fact(Fact::Warned { message: "late".into() });
        feed(&mut progress, &mut second);
        assert_eq!(terminal.contents(), " ".repeat(6) + "warning late");
        let mut third = sweep(1, 1);
        feed(&mut progress, &mut third);
        assert!(terminal.contents().ends_with("\nsweep [------------------------------] 0/1, 1m 05s"));
        progress.finish();
        assert_eq!(terminal.contents(), "      warning late");
    }

    #[test]
    fn what_a_user_asks_for_is_confirmed_above_the_bars() {
        let terminal = InMemoryTerm::new(10, 80);
        let mut progress = on(&terminal);
        let mut script = sweep(3, 1);
        script.fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGINT".into() } });
        feed(&mut progress, &mut script);
        assert!(terminal.contents().starts_with("      stop    asked for by SIGINT: what runs is being stopped\n"));
    }

    #[test]
    fn the_bars_are_away_while_the_run_is_paused() {
        let terminal = InMemoryTerm::new(10, 80);
        let mut progress = on(&terminal);
        let mut script = sweep(3, 1);
        script.start("trial-1", 1).fact(Fact::CommandTaken { command: Command::Pause { by: "SIGTSTP".into() } });
        feed(&mut progress, &mut script);
        let paused = "      pause   asked for by SIGTSTP: what runs is paused, nothing more is started";
        assert_eq!(terminal.contents(), paused);
        script.at = 60_000;
        script.fact(Fact::CommandTaken { command: Command::Unpause { by: "SIGCONT".into() } });
        feed(&mut progress, &mut script);
        insta::assert_snapshot!(terminal.contents(), @"
              pause   asked for by SIGTSTP: what runs is paused, nothing more is started
              unpause asked for by SIGCONT
        sweep [------------------------------] 0/3, 1 running, 5s
          trial-1  5s
        ");
    }
}
