//! `combu results --plot`: curves of a metric in the terminal, or bars where each trial told it once.

use crate::cli::error::CliError;
use crate::cli::look::told::{TrialCurves, nothing_told};
use crate::cli::ui::Ui;
use crate::model::options::{Goal, Sense};
use crate::model::summary::TrialResult;
use crate::report::plot::{MOST, PlottedCurve, bars, plot};
use crate::report::style::counted;

/// A trial with what it told, in the order of the results.
pub(super) type ToldTrial<'a> = (&'a TrialResult, &'a TrialCurves);

/// Draws the metrics of those names, one below the other.
///
/// # Errors
/// When no trial told one of them; nothing is drawn then.
pub(super) fn draw(metrics: &[String], trials: &[ToldTrial<'_>], goal: Option<&Goal>, ui: &Ui) -> Result<(), CliError> {
    let drawn = metrics.iter().map(|metric| one(metric, trials, goal, ui)).collect::<Result<Vec<_>, _>>()?;
    Ok(ui.result(&drawn.join("\n"))?)
}

fn one(metric: &String, trials: &[ToldTrial<'_>], goal: Option<&Goal>, ui: &Ui) -> Result<String, CliError> {
    let mut told: Vec<(&TrialResult, Vec<(f64, f64)>)> = Vec::new();
    for (result, curves) in trials {
        let values = curves.told.iter().filter(|told| told.name == *metric).enumerate();
        let points: Vec<_> =
            values.map(|(count, told)| (told.step.map_or(count as f64, |step| step as f64), told.value)).collect();
        if !points.is_empty() {
            told.push((result, points));
        }
    }
    let all = told.len();
    if all == 0 {
        return Err(nothing_told(Some(metric), trials.iter().flat_map(|(_, curves)| curves.names())));
    }
    let style = ui.out();
    if told.iter().all(|(_, points)| points.len() == 1) {
        let heading = match all {
            0..=MOST => metric.clone(),
            _ => format!("{metric}: the first {MOST} of {}", counted(all, "trial")),
        };
        let values = told.iter().take(MOST).map(|(result, points)| (result.trial.name.as_str(), points[0].1));
        return Ok(bars(&heading, &values.collect::<Vec<_>>(), style));
    }
    if all <= MOST {
        let curves = told.into_iter().map(|(result, points)| PlottedCurve { name: result.trial.name.as_str(), points });
        return Ok(plot(&format!("{metric} by step"), &curves.collect::<Vec<_>>(), style));
    }
    // Which is better is known of the goal's metric alone.
    let goal = goal.filter(|goal| &*goal.metric == metric);
    let value = |(result, points): &(&TrialResult, Vec<(f64, f64)>)| {
        goal.and_then(|goal| result.toward(goal)).or(points.last().map(|point| point.1)).unwrap_or(f64::NAN)
    };
    let sense = goal.map_or(Sense::Min, |goal| goal.sense);
    told.sort_by(|one, other| sense.ascending(value(one)).total_cmp(&sense.ascending(value(other))));
    let words = if goal.is_some() { ["best", "median", "worst"] } else { ["lowest", "median", "highest"] };
    let places = [0, (all - 1) / 2, all - 1];
    let names = [0, 1, 2].map(|one| format!("{} ({})", told[places[one]].0.trial.name, words[one]));
    let curves: Vec<_> =
        [0, 1, 2].iter().map(|one| PlottedCurve { name: &names[*one], points: told[places[*one]].1.clone() }).collect();
    let heading = format!("{metric} by step: the {}, {} and {} of {all} trials", words[0], words[1], words[2]);
    Ok(plot(&heading, &curves, style))
}
