//! What stands on a terminal while a run goes on: the whole in one line, and a line for each running trial there is room
//! for. Pure: time and size come from the caller, and nothing is drawn here.

use std::collections::HashMap;
use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};

use crate::model::command::Command;
use crate::model::event::{Event, Fact};
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::report::style::{Style, clean, elapsed};
use crate::report::tally::{Tally, goes_on};

/// Preparations shown at once: engines pull a few images at a time.
const PREPARING: usize = 3;
/// Columns of the experiment's name at most; what follows says more.
const NAME: usize = 20;
/// Columns of the bar, if there is room.
const BAR: std::ops::RangeInclusive<usize> = 10..=30;

/// The state of one run as it is shown.
#[derive(Debug, Default)]
pub(crate) struct Board {
    tally: Tally,
    experiment: String,
    parallel: usize,
    /// Milliseconds since 1970-01-01 UTC.
    started: u64,
    /// Since when the run is paused, if it is; all times stand still then.
    paused: Option<u64>,
    running: HashMap<Name, RunningTrial>,
    /// Running trials are shown in the order they were started.
    serial: u64,
    /// Object -> state, oldest first.
    preparing: Vec<(String, String)>,
    /// What ended trials took, together, and how many they are: services and trials without an end of their own do not
    /// count.
    spent: Duration,
    samples: u32,
}

#[derive(Debug)]
struct RunningTrial {
    serial: u64,
    attempt: u32,
    /// Absent while it is being started. Milliseconds since 1970-01-01 UTC.
    since: Option<u64>,
    is_stopping: bool,
    is_slow: bool,
}

impl Board {
    pub(crate) fn add(&mut self, event: &Event) {
        self.tally.add(event);
        match &event.fact {
            Fact::RunStarted { experiment, parallel, .. } => {
                self.experiment = clean(experiment);
                self.parallel = *parallel;
                self.started = event.at;
            }
            Fact::Preparing { object, state, .. } => {
                let place = self.preparing.iter().position(|(known, _)| known == object);
                match (place, goes_on(state)) {
                    (Some(place), true) => self.preparing[place].1.clone_from(state),
                    (None, true) => self.preparing.push((object.clone(), state.clone())),
                    (Some(place), false) => drop(self.preparing.remove(place)),
                    (None, false) => {}
                }
            }
            Fact::AttemptStarting { trial, attempt, .. } => {
                self.serial += 1;
                let running = RunningTrial {
                    serial: self.serial,
                    attempt: *attempt,
                    since: None,
                    is_stopping: false,
                    is_slow: false,
                };
                self.running.insert(trial.clone(), running);
            }
            Fact::RunResumed { parallel, .. } => {
                self.parallel = *parallel;
                self.started = event.at;
            }
            Fact::AttemptStarted { trial, .. } | Fact::AttemptAdopted { trial, .. } => {
                if let Some(running) = self.running.get_mut(trial) {
                    running.since.get_or_insert(event.at);
                }
            }
            Fact::Slow { trial, .. } => {
                if let Some(running) = self.running.get_mut(trial) {
                    running.is_slow = true;
                }
            }
            Fact::CommandTaken { command: Command::Pause { .. } } => {
                self.paused.get_or_insert(event.at);
            }
            // What is stopped goes on for it.
            Fact::CommandTaken { command: Command::Unpause { .. } | Command::Cancel { .. } } | Fact::Halted { .. } => {
                self.go_on(event.at);
            }
            Fact::Stopping { trial, .. } => {
                if let Some(running) = self.running.get_mut(trial) {
                    running.is_stopping = true;
                }
            }
            Fact::AttemptEnded { trial, .. } => drop(self.running.remove(trial)),
            Fact::TrialEnded { trial, outcome, elapsed, .. } => self.trial_ended(trial, outcome, *elapsed),
            _ => {}
        }
    }

    /// The run is no longer paused: everything is so much younger than the clock says.
    fn go_on(&mut self, now: u64) {
        let Some(since) = self.paused.take() else { return };
        let stood = now.saturating_sub(since);
        self.started += stood;
        for running in self.running.values_mut() {
            running.since = running.since.map(|since| since + stood);
        }
    }

    fn trial_ended(&mut self, trial: &Name, outcome: &Outcome, elapsed: Duration) {
        self.running.remove(trial);
        match outcome {
            Outcome::Skipped { .. } | Outcome::Killed | Outcome::Lost { .. } => {}
            // What could not be had will not be reported as done: an image whose pull failed, for one.
            Outcome::NotStarted { .. } => self.preparing.clear(),
            _ if self.tally.is_service(trial) => {}
            _ => {
                self.spent += elapsed;
                self.samples += 1;
            }
        }
    }

    /// The lines at `now` (milliseconds since 1970-01-01 UTC), none wider than `style.width`, at most `rows`.
    pub(crate) fn lines(&self, now: u64, style: &Style, rows: usize) -> Vec<String> {
        let now = self.paused.map_or(now, |since| since.min(now));
        let mut lines = vec![self.head(now, style)];
        let preparing = self.preparing.iter().take(PREPARING);
        lines.extend(preparing.map(|(object, state)| format!("  {}: {}", clean(object), clean(state))));

        let mut running: Vec<_> = self.running.iter().collect();
        running.sort_unstable_by_key(|(_, running)| running.serial);
        let room = rows.saturating_sub(lines.len());
        let shown = if running.len() <= room { running.len() } else { room.saturating_sub(1) };
        let widest = running.iter().take(shown).map(|(name, _)| name.as_str().len()).max().unwrap_or_default();
        let widest = widest.min(style.width.saturating_sub(32));
        for (name, running) in running.iter().take(shown) {
            let name = style.fit(name.as_str(), widest);
            let name = pad_str(&name, widest, Alignment::Left, None);
            lines.push(format!("  {name}  {}", running.state(now)));
        }
        if shown < running.len() {
            lines.push(style.dim(&format!("  ... and {} more running", running.len() - shown)));
        }
        lines.truncate(rows);
        lines.iter().map(|line| style.fit(line, style.width).into_owned()).collect()
    }

    /// `sweep [####------] 120/500, 3 failed, 8 running, 1m 05s, about 3m 20s left`
    fn head(&self, now: u64, style: &Style) -> String {
        let mut parts = vec![format!("{}/{}", self.tally.done(), self.tally.total)];
        if self.tally.failed > 0 {
            parts.push(style.red(&format!("{} failed", self.tally.failed)));
        }
        if self.paused.is_some() {
            parts.push(style.yellow("paused"));
        } else if !self.running.is_empty() {
            parts.push(format!("{} running", self.running.len()));
        }
        parts.push(elapsed(between(self.started, now)));
        parts.extend(self.left(now).map(|left| format!("about {} left", elapsed(left))));
        let rest = parts.join(", ");
        let name = style.fit(&self.experiment, NAME);
        let room = style.width.saturating_sub(measure_text_width(&name) + measure_text_width(&rest) + 4);
        let bar = if room < *BAR.start() { String::new() } else { self.bar(room.min(*BAR.end()), style) + " " };
        format!("{} {bar}{rest}", style.bold(&name))
    }

    fn bar(&self, width: usize, style: &Style) -> String {
        let (full, empty) = if style.unicode { ("█", "░") } else { ("#", "-") };
        let done = width * self.tally.done() / self.tally.total.max(1);
        let done = done.min(width);
        format!("[{}{}]", style.green(&full.repeat(done)), style.dim(&empty.repeat(width - done)))
    }

    /// The time left if the trials to come take as long as the ended ones did on average, as many at once as now;
    /// `None` before the first end, and when all that is left takes longer than that.
    fn left(&self, now: u64) -> Option<Duration> {
        let mean = self.spent.checked_div(self.samples)?;
        let trials = (self.tally.total - self.tally.done()).saturating_sub(self.tally.services_left());
        let running = self.running.iter().filter(|(name, _)| !self.tally.is_service(name));
        let (mut lanes, mut behind) = (0_u32, Duration::ZERO);
        for (_, running) in running {
            lanes += 1;
            behind += running.since.map_or(Duration::ZERO, |since| between(since, now)).min(mean);
        }
        let lanes = if lanes == 0 { u32::try_from(self.parallel).unwrap_or(u32::MAX).max(1) } else { lanes };
        let ahead = mean.saturating_mul(u32::try_from(trials).unwrap_or(u32::MAX)).saturating_sub(behind);
        (ahead > Duration::ZERO).then(|| ahead / lanes)
    }
}

impl RunningTrial {
    fn state(&self, now: u64) -> String {
        let mut text = match self.since {
            None => "starting".to_owned(),
            Some(since) => elapsed(between(since, now)),
        };
        if self.is_slow {
            text.push_str(", slow");
        }
        if self.is_stopping {
            text.push_str(", stopping");
        }
        if self.attempt > 1 {
            text.push_str(&format!(", attempt {}", self.attempt));
        }
        text
    }
}

/// Clocks may be set back; time is never negative here.
fn between(from: u64, to: u64) -> Duration {
    Duration::from_millis(to.saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Board;
    use crate::model::command::Command;
    use crate::model::event::Fact;
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::style::Style;
    use crate::report::tests::{Script, name};

    fn board(script: &Script) -> Board {
        let mut board = Board::default();
        script.events.iter().for_each(|event| board.add(event));
        board
    }

    #[test]
    fn the_time_left_is_the_mean_of_what_ended_over_as_many_as_run() {
        let mut script = Script::new("sweep", &["db", "a1", "a2", "a3", "a4", "a5", "a6"], &["db"], 3);
        script.start("db", 1).start("a1", 1).start("a2", 1);
        assert_eq!(board(&script).left(5_000), None);
        script.at = 10_000;
        script.end("a1", 1, Outcome::Succeeded, 10_000, "").start("a3", 1);
        script.at = 20_000;
        script.end("a2", 1, Outcome::Failed { exit: Exit::Code(1) }, 20_000, "").start("a4", 1);
        // Four trials of 15 s are left, of which 10 s are done, two at once.
        assert_eq!(board(&script).left(20_000), Some(Duration::from_secs(25)));
        assert_eq!(board(&script).left(24_000), Some(Duration::from_secs(21)));
        // A trial that takes longer than the mean takes nothing off the others.
        assert_eq!(board(&script).left(90_000), Some(Duration::from_secs(15)));
        let fact = Fact::TrialEnded {
            trial: name("a5"),
            attempts: 0,
            outcome: Outcome::Skipped { because: "no".into() },
            elapsed: Duration::ZERO,
        };
        script.fact(fact.clone());
        assert_eq!(board(&script).left(20_000), Some(Duration::from_millis(17_500)));
    }

    #[test]
    fn times_stand_still_while_the_run_is_paused() {
        let mut script = Script::new("sweep", &["a1", "a2"], &[], 2);
        script.start("a1", 1);
        script.at = 9_000;
        script.fact(Fact::Slow { trial: name("a1"), elapsed: Duration::from_secs(9) });
        script.at = 10_000;
        let by = || "SIGTSTP".to_owned();
        script.fact(Fact::CommandTaken { command: Command::Pause { by: by() } });
        let lines = |script: &Script, now| board(script).lines(now, &Style::PLAIN, 9).join("\n");
        assert_eq!(lines(&script, 70_000), "sweep [------------------------------] 0/2, paused, 10s\n  a1  10s, slow");
        script.at = 70_000;
        script.fact(Fact::CommandTaken { command: Command::Unpause { by: by() } });
        script.start("a2", 1);
        assert_eq!(
            lines(&script, 72_000),
            "sweep [------------------------------] 0/2, 2 running, 12s\n  a1  12s, slow\n  a2  2s"
        );
    }

    #[test]
    fn a_trial_that_starts_again_is_not_done() {
        let mut script = Script::new("sweep", &["a1"], &[], 1);
        script.start("a1", 1).end("a1", 1, Outcome::Oom, 1_000, "");
        let head = |script: &Script| board(script).lines(2_000, &Style::PLAIN, 1).remove(0);
        assert_eq!(head(&script), "sweep [##############################] 1/1, 1 failed, 2s");
        script.start("a1", 2);
        assert_eq!(head(&script), "sweep [------------------------------] 0/1, 1 running, 2s");
        script.end("a1", 2, Outcome::Succeeded, 1_000, "");
        assert_eq!(head(&script), "sweep [##############################] 1/1, 2s");
    }

    #[test]
    fn lines_are_never_wider_or_more_than_there_is_room_for() {
        let mut script = Script::new(&"粒子法".repeat(20), &["a1", &"b".repeat(100)], &[], 2);
        for object in ["image a", "image b", "image c", "image d"] {
            script.prepare(object, "pulling 画像を取得しています");
        }
        script.start("a1", 1).start(&"b".repeat(100), 2);
        for (width, rows) in [(0, 0), (1, 1), (10, 2), (40, 4), (79, 20)] {
            for unicode in [false, true] {
                let lines = board(&script).lines(1_000, &Style { width, unicode, ..Style::PLAIN }, rows);
                assert!(lines.len() <= rows, "{lines:#?}");
                assert!(lines.iter().all(|line| console::measure_text_width(line) <= width), "{lines:#?}");
            }
        }
    }
}
