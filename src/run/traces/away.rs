//! Traces of runs whose engine goes away and comes back: the run waits, says so once, and loses nothing.

use std::sync::Arc;

use insta::assert_snapshot;
use tokio::runtime::Handle as Tokio;

use crate::engine::Engine;
use crate::engine::fake::Scene;
use crate::model::name::{EngineName, RunId};
use crate::model::options::{Budget, Options, Parallel};
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::session::live::Live;
use crate::run::session::start_on;
use crate::run::traces::shaky::{Shaky, Trouble};
use crate::run::traces::{anew, follow, planned, trial, unkept};

/// Six trials that run for 20 s each, two at a time.
fn start(engine: Arc<Shaky>) -> Live {
    let options =
        Options { budget: Budget { parallel: Some(Parallel::Count(2)), ..Budget::default() }, ..Options::default() };
    let trials = ["a1", "b1", "c1", "d1", "e1", "f1"].map(|name| trial(name, "sleep 20")).to_vec();
    let plan = planned(&engine.fake, trials, options);
    let engines = [(EngineName::Fake, engine.capabilities().clone())].into();
    let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, Connections::with(engine));
    start_on(&(&Tokio::current()).into(), plan, engines, context, unkept(), anew()).0
}

#[tokio::test(start_paused = true)]
async fn while_the_engine_is_away_the_run_waits_and_says_so_once() {
    // Two run when it goes.
    let engine = Shaky { all: Trouble::away(10, 50), ..Shaky::new(Scene::default()) };
    let (lines, summary) = follow(start(Arc::new(engine)), |_, _| {}).await;
    assert_snapshot!(lines, @"
     0.00  a1 started
     0.00  b1 started
    10.00  fake is away: no fake engine answers at the stage: connection refused
    52.00  a1 succeeded
    52.00  b1 succeeded
    52.00  fake is back after 42s
    52.00  c1 started
    52.00  d1 started
    72.00  c1 succeeded
    72.00  d1 succeeded
    72.00  e1 started
    72.00  f1 started
    92.00  e1 succeeded
    92.00  f1 succeeded
    92.00  end
    ");
    assert!(summary.ok());
    // Two are to be started while it is away.
    let engine = Shaky { all: Trouble::away(20, 100), ..Shaky::new(Scene::default()) };
    let (lines, summary) = follow(start(Arc::new(engine)), |_, _| {}).await;
    assert_snapshot!(lines, @"
      0.00  a1 started
      0.00  b1 started
     20.00  a1 succeeded
     20.00  b1 succeeded
     20.00  fake is away: no fake engine answers at the stage: connection refused
    102.00  c1 started
    102.00  d1 started
    102.00  fake is back after 82s
    122.00  c1 succeeded
    122.00  d1 succeeded
    122.00  e1 started
    122.00  f1 started
    142.00  e1 succeeded
    142.00  f1 succeeded
    142.00  end
    ");
    assert!(summary.ok());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_engine_does_not_come_back_ends() {
    let engine = Shaky { all: Trouble::away(25, 1_000_000), ..Shaky::new(Scene::default()) };
    let (lines, summary) = follow(start(Arc::new(engine)), |_, _| {}).await;
    assert_snapshot!(lines, @r#"
      0.00  a1 started
      0.00  b1 started
     20.00  a1 succeeded
     20.00  b1 succeeded
     20.00  c1 started
     20.00  d1 started
     25.00  fake is away: no fake engine answers at the stage: connection refused
    627.00  warned: `c1` may still run, and `combu kill` ends it: it could not be stopped: no fake engine answers at the stage: connection refused
    627.00  c1 was lost: no fake engine answers at the stage: connection refused
    627.00  warned: `d1` may still run, and `combu kill` ends it: it could not be stopped: no fake engine answers at the stage: connection refused
    627.00  d1 was lost: no fake engine answers at the stage: connection refused
    1229.00  e1 could not be started: no fake engine answers at the stage: connection refused
    1229.00  f1 could not be started: no fake engine answers at the stage: connection refused
    1229.00  end: Unreachable("no fake engine answers at the stage: connection refused")
    "#);
    assert!(!summary.ok());
}
