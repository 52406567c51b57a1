//! The plan as people read it.

use std::fmt;

use crate::model::trial::{Condition, Trial};
use crate::plan::build::Plan;

/// Most trials printed per group; the JSON form has them all.
const SHOWN: usize = 40;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.trials.len();
        let (s, groups) = (plural(count), self.groups.len());
        writeln!(f, "experiment {}: {count} trial{s} in {groups} group{}", self.experiment.name, plural(groups))?;
        for (depth, group) in self.groups.iter().enumerate() {
            writeln!(f, "\ngroup {}: {} trial{}", depth + 1, group.len(), plural(group.len()))?;
            for &trial in group.iter().take(SHOWN) {
                self.line(f, trial)?;
            }
            if group.len() > SHOWN {
                writeln!(f, "  ... and {} more (`-o json` lists them all)", group.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl Plan {
    fn line(&self, f: &mut fmt::Formatter<'_>, place: usize) -> fmt::Result {
        let trial = &self.trials[place];
        write!(f, "  {}", trial.name)?;
        if trial.service {
            write!(f, " (service)")?;
        }
        write!(f, "  {}", what(trial))?;
        let waits: Vec<String> = self.waits[place]
            .iter()
            .map(|wait| {
                let name = &self.trials[wait.on].name;
                match wait.condition {
                    Condition::Started => name.to_string(),
                    condition => format!("{name} {}", condition.as_str()),
                }
            })
            .collect();
        if !waits.is_empty() {
            let more = waits.len().saturating_sub(6);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            write!(f, "  after {}{more}", waits[..waits.len().min(6)].join(", "))?;
        }
        writeln!(f)
    }
}

fn what(trial: &Trial) -> String {
    let words = trial.entrypoint.iter().flatten().chain(trial.cmd.iter().flatten()).map(String::as_str);
    let cmd = shlex::try_join(words).unwrap_or_else(|_| "(a command with a NUL byte)".to_owned());
    let cmd = if cmd.chars().count() > 60 { format!("{}...", cmd.chars().take(57).collect::<String>()) } else { cmd };
    match &trial.image {
        Some(image) if cmd.is_empty() => image.clone(),
        Some(image) => format!("{image}: {cmd}"),
        None => cmd,
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
