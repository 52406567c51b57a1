//! Engines that are away: when attempts hear nothing, the engine itself is asked, and that it is away or back is told once,
//! however many attempts wait for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::engine::{EngineError, Retrying, Selector};
use crate::model::event::Fact;
use crate::model::label;
use crate::model::name::EngineName;
use crate::run::dispatcher::Dispatcher;
use crate::run::message::Message;

/// Longest time an engine that is there takes to say so.
const ANSWER: Duration = Duration::from_secs(30);

/// Longest pause between two questions whether it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The engines that attempts heard nothing from.
pub(super) type Away = HashMap<EngineName, Absence>;

#[derive(Debug)]
pub(super) struct Absence {
    since: Instant,
    /// What is told of attempts should the engine be there; none once it is known to be away.
    warnings: Option<Vec<String>>,
}

impl Dispatcher {
    /// An attempt heard nothing from its engine: is it there?
    pub(super) fn out_of_sight(&mut self, engine: EngineName, because: String, warning: Option<String>) {
        match self.away.entry(engine) {
            Entry::Occupied(mut absence) => {
                if let Some(warnings) = &mut absence.get_mut().warnings {
                    warnings.extend(warning);
                }
            }
            Entry::Vacant(unknown) => {
                let warnings = Some(warning.into_iter().collect());
                unknown.insert(Absence { since: Instant::now(), warnings });
                self.look_for(engine, because);
            }
        }
    }

    /// The engine was asked: it is there, or did not answer.
    pub(super) fn sighted(&mut self, engine: EngineName, answer: Result<(), String>) {
        let Some(absence) = self.away.get_mut(&engine) else { return };
        match answer {
            Err(because) => {
                if absence.warnings.take().is_some() {
                    self.emit(Fact::EngineAway { engine, because });
                }
            }
            Ok(()) => {
                let elapsed = absence.since.elapsed();
                match self.away.remove(&engine).and_then(|absence| absence.warnings) {
                    Some(warnings) => warnings.into_iter().for_each(|message| self.emit(Fact::Warned { message })),
                    None => self.emit(Fact::EngineBack { engine, elapsed }),
                }
            }
        }
    }

    /// Asks the engine until it answers.
    fn look_for(&mut self, name: EngineName, because: String) {
        let (executor, messages) = (self.executor.clone(), self.messages.0.clone());
        // There is no such attempt: the answer is short.
        let labels = [(label::RUN.to_owned(), executor.run.to_string()), (label::ATTEMPT.to_owned(), "0".to_owned())];
        let selector = Selector { labels: labels.into() };
        self.looks.spawn(async move {
            let mut pauses = Retrying::up_to(LONGEST_PAUSE);
            loop {
                let look = async { executor.engine(name).await?.find(&selector).await.map(drop) };
                let answer = match timeout(ANSWER, look).await {
                    Ok(Err(error @ EngineError::Unreachable { .. })) => Err(error.chain()),
                    // What it said elsewhere says more than that it said nothing here.
                    Ok(Err(EngineError::Call { .. })) | Err(_) => Err(because.clone()),
                    Ok(Ok(()) | Err(_)) => Ok(()),
                };
                let is_there = answer.is_ok();
                let _gone = messages.send(Message::Sighted(name, answer));
                if is_there {
                    return;
                }
                pauses.pause().await;
            }
        });
    }
}
