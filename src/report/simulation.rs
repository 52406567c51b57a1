//! What a simulation comes to: how long it would take, what it would cost, and how its trials would end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::model::event::{Event, Fact};
use crate::model::name::Name;
use crate::model::summary::Summary;
use crate::model::trial::settled::Settled;
use crate::report::style::{Style, counted, number, took};
use crate::report::summary::best;

/// Names that are listed: beyond, only their number is of use.
const MOST: usize = 5;

/// A count of what simulated runs do.
#[derive(Debug, Default)]
pub struct SimulationReport {
    /// The CPUs of each trial, by its run.
    cpus: HashMap<(String, Name), f64>,
    /// CPUs times seconds.
    taken: f64,
    runs: usize,
    trials: usize,
    /// How many trials ended with which word.
    ends: BTreeMap<&'static str, usize>,
    /// What came nearest to its goal, by experiment: of its last run.
    best: BTreeMap<String, Vec<String>>,
}

impl SimulationReport {
    /// Takes an event of a run.
    pub fn hear(&mut self, event: &Event) {
        match &event.fact {
            Fact::RunStarted { trials, .. } => trials.iter().for_each(|trial| self.enter(event, trial)),
            Fact::TrialSubmitted { trial } => self.enter(event, trial),
            Fact::AttemptEnded { trial, elapsed, .. } => {
                let cpus = self.cpus.get(&(event.run.to_string(), trial.clone()));
                self.taken += cpus.copied().unwrap_or(1.0) * elapsed.as_secs_f64();
            }
            _ => {}
        }
    }

    fn enter(&mut self, event: &Event, trial: &Settled) {
        self.cpus.insert((event.run.to_string(), trial.name.clone()), trial.cpus.unwrap_or(1.0));
    }

    /// Takes a run that has ended.
    pub fn close(&mut self, summary: &Summary, style: &Style) {
        self.runs += 1;
        for result in summary.results.iter().filter(|result| !result.service) {
            self.trials += 1;
            *self.ends.entry(result.status()).or_default() += 1;
        }
        let best = best(summary, style);
        if !best.is_empty() {
            self.best.insert(summary.experiment.clone(), best);
        }
    }

    /// The report: `took_all` from the script's beginning to its end; `steps` that trials told of, and that they would have told of to
    /// their ends; `beyond` what is known of them some would have gone on.
    pub fn text(&self, took_all: Duration, steps: (usize, usize), beyond: &BTreeSet<String>, style: &Style) -> String {
        let ends: Vec<String> = self.ends.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let ends = if ends.is_empty() { String::new() } else { format!(": {}", ends.join(", ")) };
        let runs = if self.runs == 1 { String::new() } else { format!(" in {}", counted(self.runs, "run")) };
        let mut lines = vec![
            format!("{} {}{runs}{ends}", style.bold("simulated"), counted(self.trials, "trial")),
            format!("it would take {}, and {} CPU hours", took(took_all), number((self.taken / 36.0).round() / 100.0)),
        ];
        let (reached, all) = steps;
        if reached < all {
            lines.push(format!("steps: {reached} of {all}; the trials that were to do the others were ended before"));
        } else if all > 0 {
            lines.push(format!("steps: {all}"));
        }
        for (experiment, best) in &self.best {
            let of = if self.best.len() > 1 { format!("{experiment}: ") } else { String::new() };
            lines.extend(best.iter().map(|line| format!("{of}{line}")));
        }
        if !beyond.is_empty() {
            let names: Vec<&str> = beyond.iter().take(MOST).map(String::as_str).collect();
            let more = beyond.len().checked_sub(MOST).filter(|more| *more > 0);
            let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
            let text = format!(
                "{} would have gone on beyond what the past run knows of them ({}{more}): they were ended there, so whatever \
                 depends on their ends is not known either",
                counted(beyond.len(), "trial"),
                names.join(", ")
            );
            lines.extend(style.wrap(&style.yellow("unknown: "), &text, 2));
        }
        lines.join("\n")
    }
}
