//! The end of a run as a message: for people who are not at the terminal, and for programs.

use serde_json::{Value, json};

use crate::model::event::Early;
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::report::style::{Style, clean};
use crate::report::summary::{best, counts};
use crate::report::teller::why_early;

/// Failed trials that are named.
const NAMED: usize = 10;

/// The end of a run, told to somebody.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EndMessage {
    /// The word for how the run ended.
    pub(crate) status: &'static str,
    /// A line: what ended how.
    pub(crate) title: String,
    /// A few lines of plain text, the title the first of them.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) details: Value,
}

impl EndMessage {
    /// The end of a run with that summary, on that machine; `code` is the exit code of its combu.
    pub(crate) fn new(summary: &Summary, host: &str, code: u8) -> Self {
        let style = Style { width: usize::MAX, ..Style::PLAIN };
        let status = status(summary);
        let experiment = clean(&summary.experiment);
        let title = format!("combu: {experiment} {status} on {host}");
        let failed: Vec<_> =
            summary.results.iter().filter(|result| result.outcome().is_some_and(Outcome::is_failure)).collect();
        let names: Vec<&str> = failed.iter().take(NAMED).map(|result| result.trial.name.as_str()).collect();
        let mut lines = vec![title.clone(), counts(summary, &style)];
        lines.extend(summary.early.as_ref().map(|early| format!("ended early: {}", why_early(early))));
        if !names.is_empty() {
            let more = failed.len().checked_sub(names.len()).filter(|more| *more > 0);
            let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
            lines.push(format!("failed: {}{more}", names.join(", ")));
        }
        lines.extend(best(summary, &style));
        lines.extend(summary.run.as_ref().map(|run| format!("run {run}")));
        let goal = summary.options.goal.as_ref();
        let best = goal.and_then(|goal| Some((goal, summary.best(goal)?))).map(|(goal, (result, value))| {
            json!({"trial": result.trial.name, "metric": goal.metric, "value": value, "params": result.trial.params})
        });
        let details = json!({
            "run": summary.run, "experiment": summary.experiment, "host": host, "status": status, "exit_code": code,
            "elapsed": summary.elapsed.map(|elapsed| elapsed.as_secs_f64()), "trials": summary.counts(),
            "failed": names, "best": best, "early": summary.early, "rehearsal": summary.is_rehearsal(),
        });
        Self { status, title, text: lines.join("\n"), details }
    }

    /// What chat services take: Slack and Mattermost read `text`, Discord `content`; programs find the rest under `combu`.
    pub(crate) fn for_chat(&self) -> Value {
        /// Discord takes 2000 characters.
        const LONGEST: usize = 1900;
        let content: String = self.text.chars().take(LONGEST).collect();
        json!({"text": self.text, "content": content, "combu": self.details})
    }
}

/// The word for how a run ended.
fn status(summary: &Summary) -> &'static str {
    match &summary.early {
        Some(Early::Unreachable(_)) => "engine-lost",
        Some(Early::Cancelled(_)) => "interrupted",
        Some(Early::Killed(_)) => "killed",
        Some(Early::Halted(_)) => "halted",
        None if summary.ok() && summary.is_whole() => "succeeded",
        None if summary.ok() => "incomplete",
        None => "failed",
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::EndMessage;
    use crate::model::event::{Early, Fact};
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::summary::Summary;
    use crate::report::tests::Script;

    #[test]
    fn an_end_is_told_in_a_few_lines_and_in_fields() {
        let mut script = Script::new("sweep", &["good", "bad"], &[], 2);
        script.start("good", 1).end("good", 1, Outcome::Succeeded, 1000, "");
        script.start("bad", 1).end("bad", 1, Outcome::Failed { exit: Exit::Code(3) }, 1000, "");
        let early = Some(Early::Halted("1 trial failed (`soon,fail=1`)".to_owned()));
        script.fact(Fact::RunEnded { early, elapsed: std::time::Duration::from_secs(65), unkept: 0 });
        let mut summary = Summary::default();
        script.events.iter().for_each(|event| summary.add(event));
        let message = EndMessage::new(&summary, "lab1", 101);
        assert_snapshot!(message.text, @"
        combu: sweep halted on lab1
        2 trials: 1 succeeded, 1 failed in 1m 05s
        ended early: 1 trial failed (`soon,fail=1`)
        failed: bad
        run k3jd8s0aq2xz
        ");
        assert_snapshot!(message.details, @r#"{"run":"k3jd8s0aq2xz","experiment":"sweep","host":"lab1","status":"halted","exit_code":101,"elapsed":65.0,"trials":{"total":2,"succeeded":1,"flaky":0,"reused":0,"failed":1,"skipped":0,"killed":0,"pruned":0,"running":0,"paused":0,"waiting":0},"failed":["bad"],"best":null,"early":{"by":"halted","message":"1 trial failed (`soon,fail=1`)"},"rehearsal":false}"#);
        assert_eq!(message.for_chat()["content"], message.text);
    }
}
