//! Scenes: what attempts do that nobody really runs.

use std::time::Duration;

use crate::model::event::{Record, Usage};
use crate::model::outcome::Exit;

/// The scripted course of one attempt of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Time that it runs.
    pub run_for: Duration,
    /// Exit of an attempt that ends by itself.
    pub exit: Exit,
    /// Text on the standard output.
    pub stdout: String,
    /// What it says later: so long after its start, in order of time.
    pub later: Vec<(Duration, Saying)>,
    /// Text on the standard error.
    pub stderr: String,
    /// Reason why it cannot be started, if so.
    pub start_error: Option<String>,
    /// Time from its start until it is healthy; absent: never.
    pub healthy_after: Option<Duration>,
    /// True when it ignores the stop signal and has to be killed.
    pub stubborn: bool,
    /// Usage of the machine, if the engine can say.
    pub usage: Option<Usage>,
    /// The files it leaves: path and text.
    pub files: Vec<(String, String)>,
    /// True when nobody knows what it would do after its end.
    pub cut: bool,
    /// True when the engine loses it when it would end by itself.
    pub lost: bool,
}

/// Something that an attempt says.
#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    /// Text on the standard output.
    Text(String),
    /// A metric, a tag or an artifact, in another way than by its output.
    Record(Record),
}

/// Time that a service runs by default: a century.
pub(super) const FOR_EVER: Duration = Duration::from_secs(3_000_000_000);

impl Default for Scene {
    fn default() -> Self {
        Self {
            run_for: Duration::ZERO,
            exit: Exit::Code(0),
            stdout: String::new(),
            later: Vec::new(),
            stderr: String::new(),
            start_error: None,
            healthy_after: Some(Duration::ZERO),
            stubborn: false,
            usage: None,
            files: Vec::new(),
            cut: false,
            lost: false,
        }
    }
}

impl Scene {
    /// Reads a command as the steps of the engine's head. What is given to a shell is a program, and succeeds.
    pub(super) fn from_command(cmd: &[String]) -> Self {
        let line = cmd.join(" ");
        let mut scene = Self::default();
        if matches!(cmd, [shell, option, ..] if shell.ends_with("sh") && option.starts_with('-')) {
            return scene;
        }
        for step in line.split(';') {
            let (verb, rest) = step.trim().split_once(' ').unwrap_or((step.trim(), ""));
            match verb {
                "echo" if scene.run_for.is_zero() => scene.stdout.push_str(&format!("{rest}\n")),
                "echo" => scene.later.push((scene.run_for, Saying::Text(format!("{rest}\n")))),
                "warn" => scene.stderr.push_str(&format!("{rest}\n")),
                "sleep" => {
                    let time = Duration::try_from_secs_f64(rest.parse().unwrap_or(0.0)).unwrap_or_default();
                    scene.run_for = scene.run_for.saturating_add(time);
                }
                "exit" => scene.exit = Exit::Code(rest.parse().unwrap_or(0)),
                "false" => scene.exit = Exit::Code(1),
                "signal" => scene.exit = Exit::Signal(rest.parse().unwrap_or(15)),
                "oom" => scene.exit = Exit::Oom,
                "refuse" => scene.start_error = Some(rest.to_owned()),
                "usage" => scene.usage = Some(usage(rest)),
                "write" => {
                    let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
                    scene.files.push((path.to_owned(), text.to_owned()));
                }
                "lost" => scene.lost = true,
                "stubborn" => scene.stubborn = true,
                "sick" => scene.healthy_after = None,
                _ => {}
            }
        }
        scene
    }
}

/// `SECONDS BYTES`, with `k`, `m` or `g` behind the bytes.
fn usage(text: &str) -> Usage {
    let mut words = text.split_ascii_whitespace();
    let cpu_seconds = words.next().and_then(|word| word.parse().ok());
    let peak_memory = words.next().and_then(|word| {
        let number = word.trim_end_matches(['k', 'm', 'g']);
        let shift = match &word[number.len()..] {
            "k" => 10,
            "m" => 20,
            "g" => 30,
            _ => 0,
        };
        Some(number.parse::<u64>().ok()? << shift)
    });
    Usage { cpu_seconds, peak_memory, ..Usage::default() }
}
