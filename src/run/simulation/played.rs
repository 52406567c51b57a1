//! A simulation that goes on: it asks the model how each attempt would go, and counts what is played of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::engine::Launch;
use crate::engine::fake::{Director, Saying, Scene};
use crate::model::event::Record;
use crate::run::session::interrupt::Interrupt;
use crate::run::simulation::model::{Model, ModelError};

/// A simulation that goes on.
#[derive(Debug)]
pub struct Simulation {
    model: Box<dyn Model>,
    /// Ends the runs after an error of the model.
    interrupt: Interrupt,
    played: Mutex<Played>,
    error: Mutex<Option<ModelError>>,
}

/// What was played in a simulation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// Steps that the attempts would have told of to their ends.
    pub steps: usize,
    /// Those that they came to.
    pub reached: usize,
    /// Trials that were still to go on when what is known of them ended.
    pub beyond: BTreeSet<String>,
}

impl Simulation {
    /// A simulation by that model; the interrupt is that of its session.
    pub fn new(model: Box<dyn Model>, interrupt: Interrupt) -> Self {
        Self { model, interrupt, played: Mutex::default(), error: Mutex::default() }
    }

    /// What was played so far.
    pub fn played(&self) -> Played {
        self.lock().clone()
    }

    /// The model's first error, if it made one.
    pub fn error(&self) -> Option<ModelError> {
        self.error.lock().expect("no code panics while it holds the lock").take()
    }

    fn lock(&self) -> MutexGuard<'_, Played> {
        self.played.lock().expect("no code panics while it holds the lock")
    }
}

impl Director for Simulation {
    fn scene(&self, launch: &Launch) -> Option<Scene> {
        if self.interrupt.count() > 0 {
            return None;
        }
        let error = match self.model.scene(launch) {
            Ok(scene) => return Some(scene),
            Err(error) => error,
        };
        self.error.lock().expect("no code panics while it holds the lock").get_or_insert(error);
        self.interrupt.fire("an error of the model");
        None
    }

    fn ended(&self, trial: &str, scene: &Scene, said: usize, by_itself: bool) {
        let mut played = self.lock();
        played.steps += steps(&scene.later);
        played.reached += steps(&scene.later[..said]);
        if by_itself && scene.cut {
            played.beyond.insert(trial.to_owned());
        }
    }
}

/// How many steps that tells of.
fn steps(said: &[(Duration, Saying)]) -> usize {
    let step = |(_, saying): &(Duration, Saying)| match saying {
        Saying::Record(Record::Metric { step, .. }) => *step,
        _ => None,
    };
    said.iter().filter_map(step).collect::<BTreeSet<u64>>().len()
}
