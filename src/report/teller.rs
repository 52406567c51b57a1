//! Tells events as lines of text: what the plain report prints, and what the bars print above themselves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::command::Command;
use crate::model::event::{Cause, Early, Event, Fact, Logs};
use crate::model::name::{EngineName, Name};
use crate::model::outcome::Outcome;
use crate::report::alike::{FEW, Failure, how};
use crate::report::style::{Style, clean, counted, elapsed, shown, size, took};
use crate::report::tail::{tail, telling};
use crate::report::tally::{Tally, goes_on};

/// Lines of its log shown under a failed trial.
const TAIL_LINES: usize = 5;
/// Failed trials whose log is shown: when everything fails, the first ones say why, and the rest only hides them.
const TAILS: usize = 20;
/// Columns of a line of a log at most, in a file too.
const WIDEST: usize = 500;
/// Width of the column of words: `stopped`, `warning`.
const WORD: usize = 7;

/// Tells the events of one run, in order.
#[derive(Debug)]
pub(crate) struct Teller {
    style: Style,
    tally: Tally,
    /// Logs of attempts whose trials have not ended yet.
    logs: HashMap<Name, Logs>,
    /// Trials of which an attempt failed.
    failed: HashSet<Name>,
    /// How the last attempt of each ended, until that is told.
    ends: HashMap<Name, String>,
    /// Kinds of failures: the first trial of each, and all of them.
    kinds: HashMap<String, (Name, HashSet<Name>)>,
    /// Whether a run that fails again and again goes on, and that was not said yet.
    may_propose: bool,
    experiment: String,
    /// State last told of what is being prepared.
    prepared: HashMap<String, String>,
    /// Everything is being stopped; why was told once, for all.
    is_stopping: bool,
    /// It was asked to stop; a second time kills.
    is_cancelled: bool,
    was_held: bool,
    tails: usize,
}

/// What an event is told as.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) lines: Vec<String>,
    /// How many of them, from the first, should be seen even where bars show how far the run is.
    pub(crate) notable: usize,
}

#[derive(Debug, Clone, Copy)]
enum Tone {
    Good,
    Bad,
    Odd,
    Calm,
}

impl Teller {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            style,
            tally: Tally::default(),
            logs: HashMap::new(),
            failed: HashSet::new(),
            ends: HashMap::new(),
            kinds: HashMap::new(),
            may_propose: false,
            experiment: String::new(),
            prepared: HashMap::new(),
            is_stopping: false,
            is_cancelled: false,
            was_held: false,
            tails: 0,
        }
    }

    /// Its lines are as wide as that from now on.
    pub(crate) fn fit(&mut self, style: Style) {
        self.style = style;
    }

    /// The lines that tell this event; none for most.
    pub(crate) fn tell(&mut self, event: &Event) -> Told {
        self.tally.add(event);
        match &event.fact {
            Fact::AttemptEnded { trial, outcome, logs, .. } => {
                self.logs.extend(logs.iter().map(|logs| (trial.clone(), logs.clone())));
                if outcome.is_failure() && !matches!(outcome, Outcome::Lost { .. }) {
                    self.failed.insert(trial.clone());
                }
                self.ends.insert(trial.clone(), how(outcome));
                Told::default()
            }
            Fact::TrialEnded { trial, attempts, outcome, elapsed } => {
                self.trial_ended(trial, *attempts, outcome, *elapsed)
            }
            Fact::RetryScheduled { trial, attempt, delay, memory } => self.retry(trial, *attempt, *delay, *memory),
            Fact::Slow { trial, elapsed } => Told::notable(self.line(
                Tone::Odd,
                "slow",
                trial.as_str(),
                &format!("has been running for {}", took(*elapsed)),
            )),
            Fact::Warned { message } | Fact::CommandRefused { message, .. } => {
                Told::notable(self.line(Tone::Odd, "warning", "", message))
            }
            Fact::StoreRestored { lost } => self.restored(*lost),
            Fact::Unhealthy { trial } => {
                Told::notable(self.line(Tone::Odd, "warning", trial.as_str(), "its healthcheck failed"))
            }
            Fact::EngineAway { engine, because } => {
                let text = format!("does not answer; the run waits for it: {because}");
                Told::notable(self.line(Tone::Bad, "away", engine.as_str(), &text))
            }
            Fact::EngineBack { engine, elapsed } => {
                let text = format!("answers again, after {}", took(*elapsed));
                Told::notable(self.line(Tone::Good, "back", engine.as_str(), &text))
            }
            Fact::Halted { because } => {
                self.is_stopping = true;
                Told::notable(self.line(Tone::Bad, "halted", "", because))
            }
            // Once: near its limit, a load holds back and releases every second.
            Fact::HeldBack { because } if !std::mem::replace(&mut self.was_held, true) => {
                let text = format!("nothing new is started for now: {because}");
                Told::notable(self.line(Tone::Odd, "hold", "", &text))
            }
            Fact::CommandTaken { command } => self.command_taken(command),
            Fact::RunStarted { .. } => self.run_started(event),
            Fact::RunResumed { parallel, open, .. } => self.run_resumed(event, *parallel, *open),
            fact => Told::routine(self.routine(fact)),
        }
    }

    /// The head, where bars are too, and where the logs lie.
    fn run_started(&mut self, event: &Event) -> Told {
        let Fact::RunStarted { experiment, trials, options, services, parallel, folder, .. } = &event.fact else {
            return Told::default();
        };
        self.experiment = clean(experiment);
        self.may_propose = options.halt.is_none();
        let is_rehearsal = trials.iter().any(|trial| trial.engine == EngineName::Fake);
        let services = match services.len() {
            0 => String::new(),
            number => format!(" ({})", counted(number, "service")),
        };
        let trials = counted(self.tally.total, "trial");
        let rehearsal = if is_rehearsal { "; a rehearsal: nothing is really run" } else { "" };
        let text = format!("{trials}{services}, at most {parallel} at once, run {}{rehearsal}", event.run);
        let mut told = Told::notable(self.style.wrap("", &format!("{}: {text}", self.experiment), 2));
        told.lines.extend(folder.as_ref().map(|folder| self.style.dim(&format!("logs: {}", shown(folder)))));
        told
    }

    fn run_resumed(&mut self, event: &Event, parallel: usize, open: usize) -> Told {
        (self.is_stopping, self.is_cancelled) = (false, false);
        let trials = counted(self.tally.total, "trial");
        let text = format!("{open} of {trials} left, at most {parallel} at once");
        let head = format!("run {} of {} goes on: {text}", event.run, self.experiment);
        Told::notable(self.style.wrap("", &head, 2))
    }

    fn retry(&mut self, trial: &Name, attempt: u32, delay: Duration, memory: Option<u64>) -> Told {
        let when = if delay.is_zero() { "now".to_owned() } else { format!("in {}", took(delay)) };
        let with = memory.map(|bytes| format!(", with {} of memory", size(bytes))).unwrap_or_default();
        let after = self.ends.remove(trial).map(|how| format!(" ({how})")).unwrap_or_default();
        let text = format!("attempt {attempt} {when}{with}{after}");
        Told::notable(self.line(Tone::Odd, "retry", trial.as_str(), &text))
    }

    fn restored(&self, lost: usize) -> Told {
        let rest = match lost {
            0 => "nothing of this run is missing".to_owned(),
            lost => format!("the logs and outputs of {} that had ended are gone", counted(lost, "attempt")),
        };
        let text = format!(
            "the store of this run was removed or replaced; it is made again, and what earlier runs left may be \
                     missing: {rest}"
        );
        Told::notable(self.line(Tone::Bad, "warning", "", &text))
    }

    /// A line that says how far the run is, where nothing else was said for long.
    pub(crate) fn heartbeat(&self, text: &str) -> Vec<String> {
        self.ended(Tone::Calm, "running", "", text)
    }

    /// What is told only where no bars show it.
    fn routine(&mut self, fact: &Fact) -> Vec<String> {
        match fact {
            Fact::Preparing { object, state, .. } => {
                let before = self.prepared.insert(object.clone(), state.clone());
                // A pull reports hundreds of states: only its start and its end are told.
                if before.is_some_and(|before| before == *state || goes_on(state)) {
                    return Vec::new();
                }
                self.line(Tone::Calm, "prepare", object, state)
            }
            Fact::AttemptStarted { trial, .. } | Fact::AttemptAdopted { trial, .. } if self.tally.is_service(trial) => {
                self.line(Tone::Good, "up", trial.as_str(), "")
            }
            Fact::Healthy { trial } => self.line(Tone::Good, "healthy", trial.as_str(), ""),
            Fact::TrialPaused { trial, because } => self.line(Tone::Calm, "pause", trial.as_str(), because),
            Fact::TrialUnpaused { trial } => self.line(Tone::Calm, "unpause", trial.as_str(), ""),
            // A service that is not needed any more stops as planned, and a run that is stopped says so once.
            // What is pruned says so at its end.
            Fact::Stopping { cause: Cause::Pruned, .. } => Vec::new(),
            Fact::Stopping { trial, because, .. } if !self.is_stopping && !self.tally.is_service(trial) => {
                self.line(Tone::Odd, "stop", trial.as_str(), because)
            }
            _ => Vec::new(),
        }
    }

    fn trial_ended(&mut self, trial: &Name, attempts: u32, outcome: &Outcome, elapsed: Duration) -> Told {
        let logs = self.logs.remove(trial);
        let again = if attempts > 1 { format!(", attempt {attempts}") } else { String::new() };
        let flaky = if self.failed.contains(trial) { ", flaky" } else { "" };
        let after = format!("{}{again}", took(elapsed));
        let name = trial.as_str();
        match outcome {
            // It succeeded in another run, which told of it.
            Outcome::Succeeded if attempts == 0 => Told::default(),
            Outcome::Succeeded => Told::routine(self.ended(Tone::Good, "ok", name, &(after + flaky))),
            Outcome::Stopped => Told::routine(self.ended(Tone::Calm, "stopped", name, &after)),
            Outcome::Killed => Told::routine(self.ended(Tone::Odd, "killed", name, &after)),
            Outcome::Pruned { because } => {
                Told::routine(self.ended(Tone::Calm, "pruned", name, &format!("{after}: {because}")))
            }
            // Hundreds follow one reason, which was told when the run began to stop.
            Outcome::Skipped { .. } if self.is_stopping => Told::default(),
            Outcome::Skipped { because } => Told::routine(self.ended(Tone::Odd, "skip", name, because)),
            _ => self.failed(trial, outcome, logs.as_ref(), &again, &after),
        }
    }

    /// A trial that failed: why, but for those that failed as others before.
    fn failed(&mut self, trial: &Name, outcome: &Outcome, logs: Option<&Logs>, again: &str, after: &str) -> Told {
        let text = match outcome {
            Outcome::NotStarted { .. } => format!("{}{again}", how(outcome)),
            _ => format!("{}, {after}", how(outcome)),
        };
        let kind = Failure::of(trial, outcome, logs).kind;
        let (first, alike) = self.kinds.entry(kind).or_insert_with(|| (trial.clone(), HashSet::new()));
        let is_new = alike.insert(trial.clone());
        let (first, count) = (first.clone(), alike.len());
        if count > FEW {
            let text = match outcome {
                Outcome::NotStarted { .. } => format!("could not be started, like {first}{again}"),
                _ => format!("{text}, like {first}"),
            };
            return Told::routine(self.ended(Tone::Bad, "FAIL", trial.as_str(), &text));
        }
        let mut lines = self.ended(Tone::Bad, "FAIL", trial.as_str(), &text);
        if !matches!(outcome, Outcome::NotStarted { .. }) {
            lines.extend(logs.iter().flat_map(|logs| self.excerpt(logs)));
        }
        if is_new && count == FEW && self.tally.total > self.tally.done() && std::mem::take(&mut self.may_propose) {
            let text =
                format!("{FEW} trials failed in the same way; `--max-fail {FEW}` ends a run after {FEW} failures");
            lines.extend(self.line(Tone::Odd, "note", "", &text));
        }
        Told::notable(lines)
    }

    fn command_taken(&mut self, command: &Command) -> Told {
        let (word, text) = match command {
            Command::Cancel { by } => {
                self.is_stopping = true;
                match std::mem::replace(&mut self.is_cancelled, true) {
                    true => ("kill", self.killing(by)),
                    false => ("stop", self.stopping(by)),
                }
            }
            Command::Drain { by } => {
                let running = counted(self.tally.running(), "running trial");
                ("drain", format!("{}: no more trials are started; {running} may end", asker(by)))
            }
            Command::Pause { by } => {
                let running = counted(self.tally.running(), "trial");
                ("pause", format!("{}: {running} paused, and no more are started", asker(by)))
            }
            Command::Unpause { by } => ("unpause", format!("{}: the trials go on", asker(by))),
            Command::Kill { .. } | Command::Retry { .. } | Command::Set { .. } => ("command", command.to_string()),
            // Thousands of these are a search at work; what is pruned says so at its end.
            Command::Submit { .. } | Command::Prune { .. } => return Told::default(),
            // Whether it can be done at once is told as a fact.
            Command::PauseTrial { .. } | Command::UnpauseTrial { .. } => return Told::default(),
        };
        Told::notable(self.line(Tone::Odd, word, "", &text))
    }

    /// What the first request to stop does, how long that may take, and what can be done then.
    fn stopping(&self, by: &str) -> String {
        let grace = match self.tally.longest_grace() {
            Duration::ZERO => String::new(),
            grace if grace < Duration::from_secs(1) => format!(" (up to {})", took(grace)),
            grace => format!(" (up to {})", elapsed(grace)),
        };
        let what = match self.tally.running() {
            0 => "no trial is running, and none is started any more".to_owned(),
            running => format!("stopping {}{grace}", counted(running, "trial")),
        };
        let them = if self.tally.running() == 1 { "it" } else { "them" };
        let again = match by {
            _ if self.tally.running() == 0 => String::new(),
            "SIGINT" => format!("; Ctrl-C again kills {them}"),
            "SIGTERM" => format!("; a second SIGTERM kills {them}"),
            _ => String::new(),
        };
        let then = if by.starts_with("SIG") { "; `combu resume` goes on later" } else { "" };
        format!("{}: {what}{again}{then}", asker(by))
    }

    fn killing(&self, by: &str) -> String {
        format!("{} again: killing {}", asker(by), counted(self.tally.running(), "trial"))
    }

    /// The end of the log that says most, and where it lies.
    fn excerpt(&mut self, logs: &Logs) -> Vec<String> {
        let indent = " ".repeat(self.counter("").len() + 1);
        let Some(path) = telling(logs) else {
            return self.style.wrap(&indent, "it wrote nothing", indent.len());
        };
        self.tails += 1;
        let mut lines = Vec::new();
        if self.tails <= TAILS {
            let room = self.style.width.min(WIDEST).saturating_sub(indent.len() + 2);
            match tail(path, TAIL_LINES) {
                Ok(tail) => lines.extend(tail.iter().map(|line| format!("{indent}| {}", self.style.fit(line, room)))),
                Err(error) => lines.extend(self.style.wrap(
                    &format!("{indent}| "),
                    &format!("its log cannot be read: {error}"),
                    indent.len() + 2,
                )),
            }
        }
        // A path is never cut: it is there to be copied.
        lines.push(self.style.dim(&format!("{indent}log: {}", shown(path))));
        lines
    }

    fn ended(&self, tone: Tone, word: &str, name: &str, text: &str) -> Vec<String> {
        self.row(&self.counter(&self.tally.done().to_string()), tone, word, name, text)
    }

    fn line(&self, tone: Tone, word: &str, name: &str, text: &str) -> Vec<String> {
        self.row(&" ".repeat(self.counter("").len()), tone, word, name, text)
    }

    /// `[ 12/500]`, as wide for every number.
    fn counter(&self, done: &str) -> String {
        let total = self.tally.total.to_string();
        format!("[{done:>width$}/{total}]", width = total.len())
    }

    fn row(&self, counter: &str, tone: Tone, word: &str, name: &str, text: &str) -> Vec<String> {
        let padded = format!("{word:<WORD$}");
        let painted = match tone {
            Tone::Good => self.style.green(&padded),
            Tone::Bad => self.style.red(&padded),
            Tone::Odd => self.style.yellow(&padded),
            Tone::Calm => padded,
        };
        let gap = if name.is_empty() || text.is_empty() { "" } else { "  " };
        let head = format!("{counter} {painted} ");
        let mut lines =
            self.style.wrap(&head, &format!("{}{gap}{}", clean(name), clean(text)), counter.len() + WORD + 2);
        for line in &mut lines {
            line.truncate(line.trim_end().len());
        }
        lines
    }
}

impl Told {
    fn notable(lines: Vec<String>) -> Self {
        Self { notable: lines.len(), lines }
    }

    fn routine(lines: Vec<String>) -> Self {
        Self { notable: 0, lines }
    }
}

/// Who asks, in the words of whoever did it.
fn asker(by: &str) -> String {
    match by {
        "SIGINT" => "Ctrl-C".to_owned(),
        "SIGTSTP" => "Ctrl-Z".to_owned(),
        "SIGHUP" => "the terminal was closed (SIGHUP)".to_owned(),
        by => clean(by),
    }
}

/// Why a run ended early, as a clause without a subject.
pub(crate) fn why_early(early: &Early) -> String {
    match early {
        Early::Halted(because) => because.clone(),
        Early::Cancelled(by) => format!("stopped by {}", clean(by)),
        Early::Killed(by) => format!("killed by `{}`", clean(by)),
        Early::Unreachable(message) => format!("the engine is out of reach: {}", clean(message)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::model::command::Command;
    use crate::model::event::Fact;
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::style::Style;
    use crate::report::summary::{NextCommands, summary};
    use crate::report::tests::{Script, name};

    #[test]
    fn what_is_slow_flaky_or_given_more_memory_is_said() {
        let mut script = Script::new("sweep", &["a1", "a2", "a3", "a4"], &[], 4);
        script.start("a1", 1).fact(Fact::Slow { trial: name("a1"), elapsed: Duration::from_secs(45) });
        script.attempt_end("a1", 1, Outcome::TimedOut, 60_000, "");
        let again =
            |trial, memory| Fact::RetryScheduled { trial: name(trial), attempt: 2, delay: Duration::ZERO, memory };
        script.fact(again("a1", None)).start("a1", 2).end("a1", 2, Outcome::Succeeded, 1_000, "");
        script.start("a2", 1).attempt_end("a2", 1, Outcome::Oom, 1_000, "");
        script.fact(again("a2", Some(64 << 20))).start("a2", 2).end("a2", 2, Outcome::Succeeded, 1_000, "");
        script.start("a3", 1).attempt_end("a3", 1, Outcome::Lost { message: "gone".into() }, 1_000, "");
        script.fact(again("a3", None)).start("a3", 2).end("a3", 2, Outcome::Succeeded, 1_000, "");
        script.fact(Fact::CommandTaken { command: Command::Pause { by: "SIGTSTP".into() } });
        script.fact(Fact::CommandTaken { command: Command::Unpause { by: "SIGCONT".into() } });
        script.start("a4", 1).end("a4", 1, Outcome::Failed { exit: Exit::Code(1) }, 1_000, "");
        script.run_end(None, 62_000);
        insta::assert_snapshot!(script.plain(Style::PLAIN), @"
        sweep: 4 trials, at most 4 at once, run k3jd8s0aq2xz
        logs: /state/runs/k3jd8s0aq2xz
              slow    a1  has been running for 45.0s
              retry   a1  attempt 2 now (timed out)
        [1/4] ok      a1  1.0s, attempt 2, flaky
              retry   a2  attempt 2 now, with 64 MiB of memory (ran out of memory)
        [2/4] ok      a2  1.0s, attempt 2, flaky
              retry   a3  attempt 2 now (was lost: gone)
        [3/4] ok      a3  1.0s, attempt 2
              pause   Ctrl-Z: 0 trials paused, and no more are started
              unpause SIGCONT: the trials go on
        [4/4] FAIL    a4  exit code 1, 1.0s
              it wrote nothing
        ");
        insta::assert_snapshot!(summary(&script.summary(), &NextCommands::default(), &Style::PLAIN), @"
        flaky: `a1` (attempt 2), `a2` (attempt 2)
        lost and run again: `a3` (attempt 1)
        FAILED  HOW          ATTEMPTS  TIME
        a4      exit code 1         1  1.0s
        4 trials: 3 succeeded (2 flaky), 1 failed in 1m 02s
        ");
        assert_eq!(script.summary().results[1].trial.memory, Some(64 << 20));
        let json = serde_json::to_value(script.summary()).unwrap();
        let flaky: Vec<_> = (0..4).map(|place| json["results"][place]["flaky"] == true).collect();
        assert_eq!(flaky, [true, true, false, false]);
    }
}
