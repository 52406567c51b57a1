//! Outages: when attempts hear nothing, the engine itself is asked, and that it is away or back is said once, however many
//! attempts wait for it. A daemon is asked besides whether it is still there: one that is frozen breaks no connection.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{EngineError, Retrying, Selector};
use crate::model::event::Fact;
use crate::model::label;
use crate::model::name::EngineName;
use crate::plan::Engines;
use crate::run::context::RunContext;
use crate::run::message::Message;

/// Longest time an engine that is there takes to say so.
const ANSWER: Duration = Duration::from_secs(10);

/// Time between two questions to a daemon whether it is there.
const WATCH: Duration = Duration::from_secs(10);

/// Longest pause between two questions whether it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The engines that attempts heard nothing from.
#[derive(Debug, Default)]
pub(super) struct Outage {
    absences: HashMap<EngineName, Absence>,
    /// Questions to them; they end with the run.
    looks: JoinSet<()>,
}

#[derive(Debug)]
struct Absence {
    since: Instant,
    /// Warnings about attempts should the engine be there; none once it is known to be away.
    warnings: Option<Vec<String>>,
}

impl Outage {
    /// An attempt heard nothing from its engine. True when nobody asks the engine itself yet.
    pub(super) fn out_of_sight(&mut self, engine: EngineName, warning: Option<String>) -> bool {
        match self.absences.entry(engine) {
            Entry::Occupied(mut absence) => {
                if let Some(warnings) = &mut absence.get_mut().warnings {
                    warnings.extend(warning);
                }
                false
            }
            Entry::Vacant(unknown) => {
                let warnings = Some(warning.into_iter().collect());
                unknown.insert(Absence { since: Instant::now(), warnings });
                true
            }
        }
    }

    /// The engine was asked: it is there, or did not answer. The facts to be said of it.
    pub(super) fn sighted(&mut self, engine: EngineName, answer: Result<(), String>) -> Vec<Fact> {
        let Some(absence) = self.absences.get_mut(&engine) else { return Vec::new() };
        match answer {
            Err(because) => absence.warnings.take().map(|_| Fact::EngineAway { engine, because }).into_iter().collect(),
            Ok(()) => {
                let elapsed = absence.since.elapsed();
                match self.absences.remove(&engine).and_then(|absence| absence.warnings) {
                    Some(warnings) => warnings.into_iter().map(|message| Fact::Warned { message }).collect(),
                    None => vec![Fact::EngineBack { engine, elapsed }],
                }
            }
        }
    }

    /// Watches over the daemons among the engines until the run ends: says when one does not answer.
    pub(super) fn watch(
        &mut self,
        engines: &Engines,
        context: &Arc<RunContext>,
        messages: &mpsc::UnboundedSender<Message>,
    ) {
        for &name in engines.iter().filter(|(_, engine)| engine.daemon.is_some()).map(|(name, _)| name) {
            let (context, messages) = (context.clone(), messages.clone());
            self.looks.spawn(async move {
                loop {
                    sleep(WATCH).await;
                    if timeout(ANSWER, look(&context, name)).await.is_err() {
                        let because = format!("no answer in {} s", ANSWER.as_secs());
                        let _gone = messages.send(Message::OutOfSight { engine: name, because, warning: None });
                    }
                }
            });
        }
    }

    /// Asks the engine until it answers; each answer comes as a message.
    pub(super) fn ask(
        &mut self,
        name: EngineName,
        because: String,
        context: Arc<RunContext>,
        messages: mpsc::UnboundedSender<Message>,
    ) {
        while self.looks.try_join_next().is_some() {}
        self.looks.spawn(async move {
            let mut pauses = Retrying::up_to(LONGEST_PAUSE);
            loop {
                let answer = match timeout(ANSWER, look(&context, name)).await {
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

/// Asks the engine for something that it can say at once.
async fn look(context: &RunContext, name: EngineName) -> Result<(), EngineError> {
    // There is no such attempt: the answer is short.
    let labels = [(label::RUN.to_owned(), context.run.to_string()), (label::ATTEMPT.to_owned(), "0".to_owned())];
    context.engine(name).await?.find(&Selector { labels: labels.into() }).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::Outage;
    use crate::model::event::Fact;
    use crate::model::name::EngineName;

    #[tokio::test(start_paused = true)]
    async fn an_engine_is_asked_once_and_said_to_be_away_once() {
        let (mut outage, engine) = (Outage::default(), EngineName::Fake);
        assert!(outage.out_of_sight(engine, None));
        assert!(!outage.out_of_sight(engine, Some("slow".to_owned())));
        let away = || Err("no answer".to_owned());
        assert!(matches!(&outage.sighted(engine, away())[..], [Fact::EngineAway { .. }]));
        assert_eq!(outage.sighted(engine, away()), []);
        assert!(matches!(&outage.sighted(engine, Ok(()))[..], [Fact::EngineBack { .. }]));
        assert!(outage.out_of_sight(engine, Some("slow".to_owned())));
        assert!(matches!(&outage.sighted(engine, Ok(()))[..], [Fact::Warned { message }] if message == "slow"));
    }
}
