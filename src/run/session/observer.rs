//! The observer: takes a run's events in order and passes each to the sinks, the summary and the hook.
//!
//! It runs on the thread that called it (a script's own), so a slow hook or terminal never slows the run.

use crate::model::event::{Event, Fact, Sink};
use crate::model::summary::Summary;
use crate::run::session::live::{Commands, Live};

/// Follows a run to its end, from what its earlier lives told: stored before shown, shown before hooked.
///
/// `hook` sees every event with the summary so far, and may send commands; commands sent while it handles an event are
/// taken before the run can end.
pub fn observe(
    mut summary: Summary,
    live: &mut Live,
    sinks: &mut Vec<Box<dyn Sink>>,
    mut hook: impl FnMut(&Event, &Summary, &Commands),
) -> Summary {
    while let Some(event) = live.next_to_end() {
        summary.add(&event);
        feed(sinks, &event);
        hook(&event, &summary, live.commands());
    }
    summary
}

/// Passes an event to every sink; one that fails is dropped, and the others told.
pub fn feed(sinks: &mut Vec<Box<dyn Sink>>, event: &Event) {
    let mut warnings = Vec::new();
    sinks.retain_mut(|sink| match sink.consume(event) {
        Ok(()) => true,
        Err(error) => {
            warnings.push(format!("{} stopped: {error}", sink.name()));
            false
        }
    });
    for message in warnings {
        feed(sinks, &Event { at: event.at, run: event.run.clone(), fact: Fact::Warned { message } });
    }
}
