//! Trials that are ended early because going on is not worth it.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::engine::fake::Fake;
use crate::model::command::Command;
use crate::model::event::Fact;
use crate::model::name::Name;
use crate::model::options::{Goal, Options, Prune};
use crate::model::summary::Summary;
use crate::model::trial::{Condition, Trial};
use crate::run::traces::{after, follow, start, trial};

/// A trial that tells that loss at the steps 1 to 9, one a second.
pub(super) fn constant(name: &str, loss: &str) -> Trial {
    let steps: Vec<String> =
        (1..=9).map(|step| format!("echo ::combu metric loss={loss} step={step} ; sleep 1")).collect();
    trial(name, &steps.join(" ; "))
}

pub(super) fn options(rules: &[&str]) -> Options {
    let prune = rules.iter().map(|rule| Prune::parse(rule).unwrap()).collect();
    Options { goal: Some(Goal::parse("min loss").unwrap()), prune, ..Options::default() }
}

async fn run(trials: Vec<Trial>, options: Options) -> (String, Summary) {
    follow(start(&Arc::new(Fake::new(8.0)), trials, options), |_, _| {}).await
}

#[tokio::test(start_paused = true)]
async fn at_each_rung_the_best_third_goes_on() {
    let trials = vec![constant("a1", "2"), constant("a2", "3"), constant("a3", "1"), constant("a4", "4")];
    let (lines, summary) = run(trials, options(&["asha(from=1, keep=3)"])).await;
    assert_snapshot!(lines, @"
    0.00  warned: `;` in the `cmd` of `a1` and 3 more is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
    0.00  a1 started
    0.00  a2 started
    0.00  a2 stopping: its loss at step 1, 3, is not the best of 2
    0.00  a3 started
    0.00  a4 started
    0.00  a4 stopping: its loss at step 1, 4, is not the best of 4
    0.00  a2 pruned because its loss at step 1, 3, is not the best of 2
    0.00  a4 pruned because its loss at step 1, 4, is not the best of 4
    9.00  a1 succeeded
    9.00  a3 succeeded
    9.00  end
    ");
    let counts = summary.counts();
    assert!(summary.ok());
    assert_eq!((counts.succeeded, counts.pruned, counts.failed, counts.killed), (2, 2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_worse_than_the_median_ends_and_one_beyond_a_bound_and_one_that_stands() {
    let trials = vec![
        constant("a1", "1"),
        constant("a2", "2"),
        constant("a3", "3"),
        constant("a4", "2.5"),
        constant("a5", "100"),
    ];
    let (lines, _) = run(trials, options(&["loss > 10", "median(grace=2, least=3)", "plateau(steps=6)"])).await;
    assert_snapshot!(lines, @"
    0.00  warned: `;` in the `cmd` of `a1` and 4 more is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
    0.00  a1 started
    0.00  a2 started
    0.00  a3 started
    0.00  a4 started
    0.00  a5 started
    0.00  a5 stopping: it told loss 100, and `loss > 10` ends a trial
    0.00  a5 pruned because it told loss 100, and `loss > 10` ends a trial
    1.00  a4 stopping: its best loss until step 2, 2.5, is worse than the median of 3 others, 2
    1.00  a4 pruned because its best loss until step 2, 2.5, is worse than the median of 3 others, 2
    6.00  a1 stopping: its loss has not become better for 6 values
    6.00  a2 stopping: its loss has not become better for 6 values
    6.00  a3 stopping: its loss has not become better for 6 values
    6.00  a1 pruned because its loss has not become better for 6 values
    6.00  a2 pruned because its loss has not become better for 6 values
    6.00  a3 pruned because its loss has not become better for 6 values
    6.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn what_waits_or_depends_on_a_pruned_trial_is_pruned_and_a_kill_counts_more() {
    let one = trial("a1", "sleep 10");
    let trials = vec![
        one,
        after(trial("a2", ""), "a1", None),
        after(trial("a3", ""), "a1", Some(Condition::Ended)),
        trial("a4", "sleep 9 ; stubborn"),
    ];
    let engine = Arc::new(Fake::new(2.0));
    let (lines, summary) = follow(start(&engine, trials, Options::default()), |event, commands| {
        let prune = |name: &str| {
            let (trial, because) = (Name::parse(name).unwrap(), "it is enough".to_owned());
            commands.send(Command::Prune { trial, because });
        };
        match &event.fact {
            Fact::AttemptStarted { trial, .. } if trial.as_str() == "a1" => prune("a1"),
            Fact::AttemptStarted { trial, .. } if trial.as_str() == "a4" => {
                prune("a4");
                commands.send(Command::Kill { trial: trial.clone(), at_once: false });
            }
            _ => {}
        }
    })
    .await;
    assert_snapshot!(lines, @"
    0.00  warned: `;` in the `cmd` of `a4` is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
    0.00  warned: `a2` and `a3` start as soon as `a1` has started, and not when it is done: if they need its end, write { trial: 'a1', condition: 'completed' } in `depends`
    0.00  a1 started
    0.00  a4 started
    0.00  taken: prune a1 because it is enough
    0.00  a1 stopping: it is enough
    0.00  taken: prune a4 because it is enough
    0.00  a4 stopping: it is enough
    0.00  taken: kill a4
    0.00  a1 pruned because it is enough
    0.00  a2 pruned because `a1` was pruned
    0.00  a3 started
    0.00  a3 succeeded
    9.00  a4 killed
    9.00  end
    ");
    assert!(!summary.ok());
}
