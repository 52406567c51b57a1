//! The plan as people read it.

use std::fmt::{self, Write};

use console::{measure_text_width, truncate_str};

use crate::model::trial::{Condition, Trial};
use crate::plan::build::Plan;

/// Most trials printed per group; the JSON form has them all.
const SHOWN: usize = 40;

/// Fewest characters that stay of a command.
const LEAST: usize = 20;

/// Most characters of a trial's name that others are put in line with.
const NAME: usize = 40;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(usize::MAX).map_err(|_| fmt::Error)?)
    }
}

impl Plan {
    /// The plan with commands cut so that lines have about `width` characters.
    ///
    /// # Errors
    /// Never: it is written to memory.
    pub fn text(&self, width: usize) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let f = &mut text;
        let count = self.trials.len();
        let (s, groups) = (plural(count), self.groups.len());
        // One that has no name of its own is called so.
        let word = if self.experiment.name == "experiment" { "" } else { "experiment " };
        writeln!(f, "{word}{}: {count} trial{s} in {groups} group{}", self.experiment.name, plural(groups))?;
        for (depth, group) in self.groups.iter().enumerate() {
            writeln!(f, "\ngroup {}: {} trial{}", depth + 1, group.len(), plural(group.len()))?;
            let names = group.iter().take(SHOWN).map(|&trial| self.name(trial).chars().count());
            let name = names.max().unwrap_or_default().min(NAME);
            for &trial in group.iter().take(SHOWN) {
                f.push_str(&self.line(trial, name, width));
            }
            if group.len() > SHOWN {
                writeln!(f, "  ... and {} more (`-o json` lists them all)", group.len() - SHOWN)?;
            }
        }
        if let Some(search) = &self.experiment.options.search {
            let (all, method) = (search.trials, &search.method);
            writeln!(f, "\nsearch: {all} trials in all, by {method}; the others follow from what these come to")?;
        }
        Ok(text)
    }

    fn name(&self, place: usize) -> String {
        let trial = &self.trials[place];
        format!("{}{}", trial.name, if trial.service { " (service)" } else { "" })
    }

    fn line(&self, place: usize, name: usize, width: usize) -> String {
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
        let more = waits.len().saturating_sub(6);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let after = if waits.is_empty() {
            String::new()
        } else {
            format!("  after {}{more}", waits[..waits.len().min(6)].join(", "))
        };
        let head = format!("  {:name$}  ", self.name(place));
        let room = width.saturating_sub(measure_text_width(&head) + measure_text_width(&after)).max(LEAST);
        let line = format!("{head}{}{after}", cut(&what(&self.trials[place]), room));
        format!("{}\n", line.trim_end())
    }
}

fn what(trial: &Trial) -> String {
    let words = trial.entrypoint.iter().flatten().chain(trial.cmd.iter().flatten()).map(String::as_str);
    let cmd = shlex::try_join(words).unwrap_or_else(|_| "(a command with a NUL byte)".to_owned());
    // A line of a plan is one line, whatever a command has.
    let cmd = cmd.replace('\n', "\\n");
    match &trial.image {
        Some(image) if cmd.is_empty() => image.clone(),
        Some(image) => format!("{image}: {cmd}"),
        None => cmd,
    }
}

fn cut(text: &str, room: usize) -> String {
    truncate_str(text, room, "...").into_owned()
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
