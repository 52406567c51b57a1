//! What trials tell of themselves: records as events, and the summary that is made from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::command::Command;
use crate::model::event::{Fact, Record};
use crate::model::name::Name;
use crate::model::options::Options;
use crate::model::outcome::Exit;
use crate::model::retry::Retries;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::run::traces::{follow, start, trial};

fn told(summary: &Summary, name: &str) -> String {
    let result = summary.get(&Name::parse(name).unwrap()).unwrap();
    let metrics = result.metrics.iter();
    let metrics: String =
        metrics.map(|(name, metric)| format!("{name} {}\n", serde_json::to_string(metric).unwrap())).collect();
    format!("{metrics}tags {}\nartifacts {:?}", serde_json::to_string(&result.tags).unwrap(), result.artifacts)
}

fn says(lines: &str, exit: Exit) -> Scene {
    Scene { stdout: lines.to_owned(), exit, ..Scene::default() }
}

#[tokio::test(start_paused = true)]
async fn a_trial_is_known_by_what_its_last_attempt_told() {
    let first = "::combu metric loss=9 old=1 step=1\n::combu tag phase=first\n::combu artifact /out/old\n";
    let last = "::combu metric loss=3 step=1\nplain\n::combu metric loss=1 step=2\n::combu metric loss=2\n\
                ::combu tag phase=warmup\n::combu tag phase=main ok=true\n::combu artifact /out/a b\n::combu artifact /out/a b";
    let engine = Fake::new(4.0).scene("a1", [says(first, Exit::Code(1)), says(last, Exit::Code(0))]);
    let one = Trial { retries: Some(Retries::count(1).into()), ..trial("a1", "") };
    let mut records = Vec::new();
    let (_, summary) = follow(start(&Arc::new(engine), vec![one], Options::default()), |event, _| {
        if let Fact::Recorded { attempt, record: Record::Metric { name, value, step }, .. } = &event.fact {
            records.push(format!("{attempt} {name}={value} {step:?}"));
        }
    })
    .await;
    assert_snapshot!(told(&summary, "a1"), @r#"
    loss {"last":2.0,"min":1.0,"max":3.0,"count":3}
    tags {"ok":true,"phase":"main"}
    artifacts ["/out/a b"]
    "#);
    assert_snapshot!(records.join("\n"), @"
    1 loss=9 Some(1)
    1 old=1 Some(1)
    2 loss=3 Some(1)
    2 loss=1 Some(2)
    2 loss=2 None
    ");
}

#[tokio::test(start_paused = true)]
async fn patterns_of_the_spec_find_metrics_in_what_is_printed() {
    let patterns = BTreeMap::from([("loss".to_owned(), "loss: ([0-9.]+)".to_owned())]);
    let lines = "epoch 1 loss: 0.5\nepoch 2 loss: 0.25 loss: 7\n::combu metric acc=1\nnothing\n";
    let engine = Fake::new(4.0).scene("a1", [says(lines, Exit::Code(0))]);
    let trials = vec![Trial { metrics: patterns, ..trial("a1", "") }];
    let (lines, summary) = follow(start(&Arc::new(engine), trials, Options::default()), |_, _| {}).await;
    assert_snapshot!(told(&summary, "a1"), @r#"
    acc {"last":1.0,"min":1.0,"max":1.0,"count":1}
    loss {"last":0.25,"min":0.25,"max":0.5,"count":2}
    tags {}
    artifacts []
    "#);
    assert_snapshot!(lines, @"
    0.00  a1 started
    0.00  a1 succeeded
    0.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_too_often_or_cannot_be_read_is_said_once_and_stops_nothing() {
    let flood: String = (0..30_000).map(|step| format!("::combu metric loss={step} step={step}\n")).collect();
    let unread = "::combu metric loss=nan\n::combu metric loss=inf\n";
    let engine =
        Fake::new(4.0).scene("flood", [says(&flood, Exit::Code(0))]).scene("unread", [says(unread, Exit::Code(0))]);
    let mut events = 0;
    let trials = vec![trial("flood", ""), trial("unread", "")];
    let (lines, summary) = follow(start(&Arc::new(engine), trials, Options::default()), |event, _| {
        events += usize::from(matches!(event.fact, Fact::Recorded { .. }));
    })
    .await;
    assert_eq!(events, 20_001);
    let flood = summary.get(&Name::parse("flood").unwrap()).unwrap();
    assert_eq!((flood.metrics["loss"].last, flood.metrics["loss"].step), (29_999.0, Some(29_999)));
    assert_snapshot!(lines, @"
    0.00  flood started
    0.00  warned: `flood` told more than 20000 metrics, tags and artifacts: 10000 were dropped, but for each metric's last
    0.00  flood succeeded
    0.00  unread started
    0.00  warned: `unread` told something that cannot be read, 2 times; the first: `loss=nan`: a metric is a finite number
    0.00  unread succeeded
    0.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_trial_can_be_killed_for_what_it_told() {
    let scene =
        Scene { run_for: std::time::Duration::from_secs(600), ..says("::combu metric loss=99\n", Exit::Code(0)) };
    let engine = Fake::new(4.0).scene("bad", [scene]);
    let (lines, _) = follow(start(&Arc::new(engine), vec![trial("bad", "")], Options::default()), |event, commands| {
        if let Fact::Recorded { trial, record: Record::Metric { value: 90.0.., .. }, .. } = &event.fact {
            commands.send(Command::Kill { trial: trial.clone(), at_once: false });
        }
    })
    .await;
    assert_snapshot!(lines, @"
    0.00  bad started
    0.00  taken: kill bad
    0.00  bad killed
    0.00  end
    ");
}
