//! What stands on a terminal while a run goes on: the whole in one line, and a line for each running trial there is room
//! for. Pure: time and size come from the caller, and nothing is drawn here.

use std::collections::HashMap;
use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};

use crate::model::command::Command;
use crate::model::event::{Event, Fact, Record};
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::report::pace::{Pace, Remaining};
use crate::report::style::{Style, clean, counted, elapsed, number};
use crate::report::tally::{Tally, goes_on};

/// Preparations shown at once: engines pull a few images at a time.
const PREPARING: usize = 3;
/// Columns of the experiment's name at most; what follows says more.
const NAME: usize = 20;
/// Columns of the bar, if there is room.
const BAR: std::ops::RangeInclusive<usize> = 10..=30;
/// Metrics of a trial in its row.
const METRICS: usize = 3;

/// The state of one run as it is shown.
#[derive(Debug, Default)]
pub(crate) struct Board {
    tally: Tally,
    experiment: String,
    /// Milliseconds since 1970-01-01 UTC.
    started: u64,
    /// Since when the run is paused, if it is; all times stand still then.
    paused: Option<u64>,
    running: HashMap<Name, RunningTrial>,
    /// Running trials are shown in the order they were started.
    serial: u64,
    /// Object -> state, oldest first.
    preparing: Vec<(String, String)>,
    pace: Pace,
    /// The trial whose attempt ended last, and when that was handed to its engine.
    ended: Option<(Name, u64)>,
}

#[derive(Debug)]
struct RunningTrial {
    serial: u64,
    attempt: u32,
    /// When it was handed to its engine, in milliseconds since 1970-01-01 UTC.
    starting: u64,
    /// Absent while it is being started. Milliseconds since 1970-01-01 UTC.
    since: Option<u64>,
    is_stopping: bool,
    is_slow: bool,
    /// Whether it stands still for itself: it is counted, and not listed.
    is_paused: bool,
    /// What it told of itself last, by name, the first named first.
    metrics: Vec<(String, f64)>,
}

impl Board {
    pub(crate) fn add(&mut self, event: &Event) {
        self.tally.add(event);
        match &event.fact {
            Fact::RunStarted { experiment, .. } => {
                self.experiment = clean(experiment);
                self.begin(event.at);
            }
            Fact::RunResumed { .. } => self.begin(event.at),
            Fact::Preparing { object, state, .. } => self.prepare(object, state),
            Fact::AttemptStarting { trial, attempt, .. } => self.starting(trial, *attempt, event.at),
            Fact::CommandTaken { command: Command::Pause { .. } } => {
                self.paused.get_or_insert(event.at);
            }
            // What is stopped goes on for it.
            Fact::CommandTaken { command: Command::Unpause { .. } | Command::Cancel { .. } } | Fact::Halted { .. } => {
                self.go_on(event.at);
            }
            Fact::AttemptEnded { trial, .. } => {
                // Its trial may end with it: then its time counts.
                if let Some(running) = self.running.remove(trial) {
                    self.ended = Some((trial.clone(), running.starting));
                }
            }
            Fact::TrialEnded { trial, attempts, outcome, .. } => self.trial_ended(event.at, trial, *attempts, outcome),
            fact => {
                if let Some(running) = fact.trial().and_then(|trial| self.running.get_mut(trial)) {
                    running.add(event.at, fact);
                }
            }
        }
    }

    fn begin(&mut self, now: u64) {
        (self.started, self.paused) = (now, None);
        self.pace.begin(now);
    }

    fn prepare(&mut self, object: &str, state: &str) {
        let place = self.preparing.iter().position(|(known, _)| known == object);
        match (place, goes_on(state)) {
            (Some(place), true) => state.clone_into(&mut self.preparing[place].1),
            (None, true) => self.preparing.push((object.to_owned(), state.to_owned())),
            (Some(place), false) => drop(self.preparing.remove(place)),
            (None, false) => {}
        }
    }

    fn starting(&mut self, trial: &Name, attempt: u32, now: u64) {
        self.serial += 1;
        let running = RunningTrial {
            serial: self.serial,
            attempt,
            starting: now,
            since: None,
            is_stopping: false,
            is_slow: false,
            is_paused: false,
            metrics: Vec::new(),
        };
        self.running.insert(trial.clone(), running);
    }

    /// The run is no longer paused: everything is so much younger than the clock says.
    fn go_on(&mut self, now: u64) {
        let Some(since) = self.paused.take() else { return };
        let stood = now.saturating_sub(since);
        self.started += stood;
        self.pace.stand(stood);
        for running in self.running.values_mut() {
            running.starting += stood;
            running.since = running.since.map(|since| since + stood);
        }
    }

    fn trial_ended(&mut self, now: u64, trial: &Name, attempts: u32, outcome: &Outcome) {
        let since = self.running.remove(trial).map(|running| running.starting);
        let since = since.or(self.ended.take().filter(|(ended, _)| ended == trial).map(|(_, since)| since));
        match outcome {
            Outcome::Skipped { .. } | Outcome::Killed | Outcome::Pruned { .. } | Outcome::Lost { .. } => {}
            _ if self.tally.is_service(trial) || attempts == 0 => {}
            _ => {
                let running = self.ages(now);
                self.pace.end(now, since.unwrap_or(now), &running);
            }
        }
        // What could not be had will not be reported as done: an image whose pull failed, for one.
        if matches!(outcome, Outcome::NotStarted { .. }) {
            self.preparing.clear();
        }
    }

    /// How long ago each trial that runs was handed to its engine, in milliseconds; services have no end of their own.
    fn ages(&self, now: u64) -> Vec<u64> {
        let trials = self.running.iter().filter(|(name, _)| !self.tally.is_service(name));
        trials.map(|(_, running)| now.saturating_sub(running.starting)).collect()
    }

    /// The lines at `now` (milliseconds since 1970-01-01 UTC), none wider than `style.width`, at most `rows`.
    pub(crate) fn lines(&self, now: u64, style: &Style, rows: usize) -> Vec<String> {
        let now = self.paused.map_or(now, |since| since.min(now));
        let mut lines = vec![self.head(now, style)];
        let preparing = self.preparing.iter().take(PREPARING);
        lines.extend(preparing.map(|(object, state)| format!("  {}: {}", clean(object), clean(state))));

        let mut running: Vec<_> = self.running.iter().filter(|(_, running)| !running.is_paused).collect();
        running.sort_unstable_by_key(|(_, running)| running.serial);
        let room = rows.saturating_sub(lines.len());
        let shown = if running.len() <= room { running.len() } else { room.saturating_sub(1) };
        let states: Vec<String> = running.iter().take(shown).map(|(_, running)| running.state(now)).collect();
        let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or_default();
        let state = widest(&mut states.iter().map(|state| measure_text_width(state)));
        let name = widest(&mut running.iter().take(shown).map(|(name, _)| measure_text_width(name.as_str())));
        let name = name.min(style.width.saturating_sub(state + 4));
        for ((trial, running), text) in running.iter().zip(&states) {
            let trial = style.fit_middle(trial.as_str(), name);
            let trial = pad_str(&trial, name, Alignment::Left, None);
            let room = style.width.saturating_sub(name + state + 6);
            let told = running.told(room);
            let text = if told.is_empty() { text.clone() } else { format!("{text:state$}  {told}") };
            lines.push(format!("  {trial}  {text}"));
        }
        if shown < running.len() {
            lines.push(style.dim(&format!("  ... and {} more running", running.len() - shown)));
        }
        lines.truncate(rows);
        lines.iter().map(|line| style.fit(line, style.width).into_owned()).collect()
    }

    /// `sweep [####------] 120/500, 3 failed, 8 running, 1m 05s, about 3m 20s left`
    ///
    /// Where there is no room: without the bar, then without the time so far, then what runs, then the name.
    fn head(&self, now: u64, style: &Style) -> String {
        let failed = (self.tally.failed > 0).then(|| style.red(&format!("{} failed", self.tally.failed)));
        let standing = self.standing();
        let running = match (self.paused, self.running.len() - standing) {
            (Some(_), _) => Some(style.yellow("paused")),
            (None, 0) if standing == 0 => None,
            (None, running) if standing == 0 => Some(format!("{running} running")),
            (None, running) => Some(format!("{running} running, {standing} paused")),
        };
        let count = format!("{}/{}", self.tally.done(), self.tally.total);
        let so_far = elapsed(between(self.started, now));
        let left = self.left(now).map(|left| format!("about {} left", elapsed(left)));
        let all = [Some(count), failed, running, Some(so_far), left];
        let without = |hidden: &[usize]| {
            let parts = all.iter().enumerate().filter(|(place, _)| !hidden.contains(place));
            parts.filter_map(|(_, part)| part.as_deref()).collect::<Vec<_>>().join(", ")
        };
        let name = style.fit(&self.experiment, NAME).into_owned();
        for (hidden, name) in [(&[][..], &*name), (&[3], &name), (&[2, 3], &name), (&[3], ""), (&[2, 3], "")] {
            let rest = without(hidden);
            let used = measure_text_width(name) + measure_text_width(&rest) + 1;
            if used <= style.width || (name.is_empty() && hidden.len() > 1) {
                let room = style.width.saturating_sub(used + 3);
                let bar = if room < *BAR.start() { String::new() } else { self.bar(room.min(*BAR.end()), style) + " " };
                return if name.is_empty() { rest } else { format!("{} {bar}{rest}", style.bold(name)) };
            }
        }
        unreachable!("the last of them is taken however wide it is")
    }

    /// How many trials stand still for themselves.
    fn standing(&self) -> usize {
        self.running.values().filter(|running| running.is_paused).count()
    }

    fn bar(&self, width: usize, style: &Style) -> String {
        let (full, empty) = if style.unicode { ("█", "░") } else { ("#", "-") };
        let done = width * self.tally.done() / self.tally.total.max(1);
        let done = done.min(width);
        format!("[{}{}]", style.green(&full.repeat(done)), style.dim(&empty.repeat(width - done)))
    }

    /// `8 trials for 1h 05m, 3 failed so far, about 3h 20m left`: for a report that says nothing for long. `None` while
    /// nothing runs, or the run is paused.
    pub(crate) fn heartbeat(&self, now: u64) -> Option<String> {
        if self.running.is_empty() || self.paused.is_some() {
            return None;
        }
        let standing = self.standing();
        let mut parts = vec![counted(self.running.len() - standing, "trial")];
        parts.extend((standing > 0).then(|| format!("{standing} paused")));
        parts.extend((self.tally.failed > 0).then(|| format!("{} failed", self.tally.failed)));
        parts.push(format!("{} so far", elapsed(between(self.started, now))));
        parts.extend(self.left(now).map(|left| format!("about {} left", elapsed(left))));
        Some(parts.join(", "))
    }

    /// The time left; `None` before the first end.
    fn left(&self, now: u64) -> Option<Duration> {
        let trials = (self.tally.total - self.tally.done()).saturating_sub(self.tally.services_left());
        let left = self.pace.left(now, Remaining { trials, running: &self.ages(now) })?;
        // What runs has gone on for longer than those before it: nobody knows how long it will.
        (left >= Duration::from_secs(1)).then_some(left)
    }
}

impl RunningTrial {
    fn add(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::AttemptStarted { .. } => drop(self.since.get_or_insert(at)),
            Fact::AttemptAdopted { .. } => {
                self.since.get_or_insert(at);
                // It tells everything again.
                self.metrics.clear();
            }
            Fact::Slow { .. } => self.is_slow = true,
            Fact::Stopping { .. } => (self.is_stopping, self.is_paused) = (true, false),
            Fact::TrialPaused { .. } => self.is_paused = true,
            Fact::TrialUnpaused { .. } => self.is_paused = false,
            Fact::Recorded { record: Record::Metric { name, value, .. }, .. } => {
                match self.metrics.iter().position(|(known, _)| known == name) {
                    Some(place) => self.metrics[place].1 = *value,
                    None if self.metrics.len() < METRICS => self.metrics.push((name.clone(), *value)),
                    None => {}
                }
            }
            _ => {}
        }
    }

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

    /// The last value of as many metrics as there is room for.
    fn told(&self, room: usize) -> String {
        let mut text = String::new();
        for (name, value) in &self.metrics {
            let gap = if text.is_empty() { "" } else { " " };
            let more = format!("{gap}{}={}", clean(name), number(*value));
            if measure_text_width(&text) + measure_text_width(&more) > room {
                break;
            }
            text.push_str(&more);
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
    use crate::model::event::{Early, Fact, Record};
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::style::Style;
    use crate::report::tests::{Script, name};

    fn board(script: &Script) -> Board {
        let mut board = Board::default();
        script.events.iter().for_each(|event| board.add(event));
        board
    }

    #[test]
    fn the_time_left_comes_from_the_pace_of_ends() {
        let mut script = Script::new("sweep", &["db", "a1", "a2", "a3", "a4", "a5", "a6"], &["db"], 3);
        script.start("db", 1).start("a1", 1).start("a2", 1);
        assert_eq!(board(&script).left(5_000), None);
        // Each runs for a second, and takes ten to start and to be removed.
        script.at = 10_000;
        script.end("a1", 1, Outcome::Succeeded, 1_000, "").start("a3", 1);
        script.end("a2", 1, Outcome::Failed { exit: Exit::Code(1) }, 1_000, "").start("a4", 1);
        assert_eq!(board(&script).left(10_000), Some(Duration::from_secs(20)));
        assert_eq!(board(&script).left(15_000), Some(Duration::from_secs(15)));
        let fact = Fact::TrialEnded {
            trial: name("a5"),
            attempts: 0,
            outcome: Outcome::Skipped { because: "no".into() },
            elapsed: Duration::ZERO,
        };
        script.fact(fact.clone());
        assert_eq!(board(&script).left(10_000), Some(Duration::from_secs(15)));
        // What was not run again says nothing of how long a trial takes.
        let reused =
            Fact::TrialEnded { trial: name("a6"), attempts: 0, outcome: Outcome::Succeeded, elapsed: Duration::ZERO };
        script.fact(reused);
        assert_eq!(board(&script).left(10_000), Some(Duration::from_secs(10)));
    }

    #[test]
    fn another_life_counts_what_is_done_and_measures_anew() {
        let names: Vec<String> = (1..=100).map(|number| format!("a{number}")).collect();
        let mut script = Script::new("sweep", &names.iter().map(String::as_str).collect::<Vec<_>>(), &[], 1);
        for name in &names[..10] {
            script.start(name, 1);
            script.at += 1_000;
            script.end(name, 1, Outcome::Succeeded, 1_000, "");
        }
        script.start("a11", 1).fact(Fact::CommandTaken { command: Command::Cancel { by: "SIGTERM".into() } });
        script.end("a11", 1, Outcome::Killed, 10, "");
        for name in &names[11..] {
            script.skip(name, "the run was stopped by SIGTERM");
        }
        let head = |script: &Script| board(script).lines(script.at, &Style::PLAIN, 1).remove(0);
        assert_eq!(head(&script), "sweep [###---------------------------] 10/100, 10s, about 1m 30s left");
        script.run_end(Some(Early::Cancelled("SIGTERM".into())), 10_000);
        script.at = 3_600_000;
        script.resume(90).start("a11", 2);
        script.at += 2_000;
        script.end("a11", 2, Outcome::Succeeded, 2_000, "").start("a12", 1);
        assert_eq!(head(&script), "sweep [###---------------------------] 11/100, 1 running, 2s, about 2m 58s left");
    }

    #[test]
    fn rows_are_elided_in_the_middle_and_have_the_last_metrics() {
        let mut script = Script::new("sweep", &["train-0.001-sgd-17", "train-0.001-adam-18", "x1"], &[], 3);
        script.start("train-0.001-sgd-17", 1).start("train-0.001-adam-18", 2);
        let metric = |name_of: &str, value| Fact::Recorded {
            trial: name("train-0.001-sgd-17"),
            attempt: 1,
            record: Record::Metric { name: name_of.into(), value, step: Some(1) },
        };
        script.fact(metric("loss", 0.5)).fact(metric("acc", 0.1)).fact(metric("loss", 0.123_456_789));
        script.at = 5_000;
        let lines = |width| {
            let style = Style { width, unicode: true, ..Style::PLAIN };
            board(&script).lines(5_000, &style, 9).join("\n")
        };
        insta::assert_snapshot!(lines(80), @"
        sweep [░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░] 0/3, 2 running, 5s
          train-0.001-sgd-17   5s             loss=0.123457 acc=0.1
          train-0.001-adam-18  5s, attempt 2
        ");
        insta::assert_snapshot!(lines(40), @"
        sweep [░░░░░░░░░░░░░] 0/3, 2 running, 5s
          train-0.001-sgd-17   5s
          train-0.001-adam-18  5s, attempt 2
        ");
        insta::assert_snapshot!(lines(26), @"
        sweep 0/3, 2 running, 5s
          trai…d-17  5s
          trai…m-18  5s, attempt 2
        ");
    }

    #[test]
    fn a_narrow_place_keeps_what_is_done_and_the_time_left() {
        let names: Vec<String> = (1..=1001).map(|number| format!("a{number}")).collect();
        let mut script = Script::new("solver-sweep", &names.iter().map(String::as_str).collect::<Vec<_>>(), &[], 3);
        script.start("a1", 1).start("a2", 1).start("a3", 1);
        script.at = 65_000;
        script.end("a1", 1, Outcome::Failed { exit: Exit::Code(1) }, 65_000, "");
        let head = |width| board(&script).lines(65_000, &Style { width, ..Style::PLAIN }, 1).remove(0);
        insta::assert_snapshot!([120, 80, 60, 50, 40, 36].map(head).join("\n"), @"
        solver-sweep [------------------------------] 1/1001, 1 failed, 2 running, 1m 05s, about 6h 00m left
        solver-sweep [----------] 1/1001, 1 failed, 2 running, 1m 05s, about 6h 00m left
        solver-sweep 1/1001, 1 failed, 2 running, about 6h 00m left
        solver-sweep 1/1001, 1 failed, about 6h 00m left
        1/1001, 1 failed, about 6h 00m left
        1/1001, 1 failed, about 6h 00m left
        ");
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
