//! Traces of runs whose journal fails: the run goes on, and nothing that is left of an attempt goes before its end is kept.

use std::io;
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use tokio::runtime::Handle as Tokio;

use crate::engine::fake::Fake;
use crate::engine::{Engine, Selector};
use crate::model::event::{Event, Fact, Journal};
use crate::model::name::RunId;
use crate::model::options::{Budget, Options, Parallel};
use crate::plan::Plan;
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::session::live::Live;
use crate::run::session::start_on;
use crate::run::traces::{anew, follow, planned, trial};

/// A journal in memory that fails while it is told to.
#[derive(Debug, Clone, Default)]
struct Shaky(Arc<Mutex<(Vec<Event>, bool)>>);

impl Shaky {
    fn fail(&self, fails: bool) {
        self.0.lock().unwrap().1 = fails;
    }

    fn kept(&self) -> Vec<Event> {
        self.0.lock().unwrap().0.clone()
    }
}

impl Journal for Shaky {
    fn keep(&mut self, events: &[Event]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.0.extend_from_slice(events);
        Ok(())
    }
}

fn start(engine: &Arc<Fake>, plan: Plan, journal: Shaky) -> Live {
    let engines = [(crate::model::name::EngineName::Fake, engine.capabilities().clone())].into();
    let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, Connections::with(engine.clone()));
    start_on(&(&Tokio::current()).into(), plan, engines, context, Box::new(journal), anew()).0
}

async fn left(engine: &Fake) -> usize {
    engine.find(&Selector::default()).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_costs_a_warning_and_loses_nothing() {
    let (engine, journal) = (Arc::new(Fake::default()), Shaky::default());
    let trials = vec![trial("a1", "sleep 1"), trial("b1", "sleep 2"), trial("c1", "sleep 8")];
    let options =
        Options { budget: Budget { parallel: Some(Parallel::Count(1)), ..Budget::default() }, ..Options::default() };
    let live = start(&engine, planned(&engine, trials, options), journal.clone());
    let mut told = Vec::new();
    let (lines, summary) = follow(live, |event, _| {
        match &event.fact {
            Fact::AttemptStarted { trial, .. } if trial.as_str() == "a1" => journal.fail(true),
            Fact::TrialEnded { trial, .. } if trial.as_str() == "b1" => journal.fail(false),
            _ => {}
        }
        told.push(event.clone());
    })
    .await;
    assert_snapshot!(lines, @"
     0.00  a1 started
     1.00  a1 succeeded
     1.00  warned: the store cannot be written, and the run goes on; ended containers stay until it can: no storage space
     1.00  b1 started
     3.00  b1 succeeded
     3.00  c1 started
     4.00  warned: the store can be written again, and lacks no event of this run
    11.00  c1 succeeded
    11.00  end
    ");
    assert!(summary.ok());
    assert_eq!(journal.kept(), told);
    assert_eq!(left(&engine).await, 0, "what waited for the store is removed at the end");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_to_the_end_keeps_the_containers() {
    let (engine, journal) = (Arc::new(Fake::default()), Shaky::default());
    let trials = vec![trial("a1", "sleep 1"), trial("b1", "sleep 1")];
    let live = start(&engine, planned(&engine, trials, Options::default()), journal.clone());
    journal.fail(true);
    let (lines, summary) = follow(live, |_, _| {}).await;
    assert_snapshot!(lines, @"
     0.00  warned: the store cannot be written, and the run goes on; ended containers stay until it can: no storage space
     0.00  a1 started
     0.00  b1 started
     1.00  a1 succeeded
     1.00  b1 succeeded
     1.00  warned: the run is over, and its store cannot be written: combu waits for it, at most 30 s
    31.00  warned: 2 ended containers stay because the store cannot be written
    31.00  warned: the store could not be written: it lacks 11 events of this run
    31.00  end
    ");
    assert!(summary.ok() && !summary.is_whole());
    assert_eq!((journal.kept().len(), left(&engine).await), (0, 2));
}
