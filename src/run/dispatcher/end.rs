//! The end of a run: why it comes early, and whether everybody agrees that it has come.

use std::time::Duration;

use crate::model::event::Early;

/// What is known of the end of a run.
#[derive(Debug)]
pub(super) struct RunEnd {
    /// The time on the run's clock at which its budget of time is used up.
    deadline: Option<Duration>,
    early: Option<Early>,
    cancels: usize,
    /// True while the follower knows that nothing is left to do.
    drained: bool,
    /// How often it was told so.
    drains: u64,
    abandoned: bool,
}

impl RunEnd {
    pub(super) fn new(deadline: Option<Duration>) -> Self {
        Self { deadline, early: None, cancels: 0, drained: false, drains: 0, abandoned: false }
    }

    /// The time at which the run is halted, if it may not take as long as it likes.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Why it ends early, if it does.
    pub(super) fn early(&self) -> Option<&Early> {
        self.early.as_ref()
    }

    /// The run ends early for that reason, unless there was one before.
    pub(super) fn end_early(&mut self, early: Early) {
        self.early.get_or_insert(early);
    }

    /// Somebody asks the run to stop. True from the second time on.
    pub(super) fn cancel(&mut self, by: String) -> bool {
        self.cancels += 1;
        self.end_early(Early::Cancelled(by));
        self.cancels > 1
    }

    /// Whether nobody wants to wait any more.
    pub(super) fn is_urgent(&self) -> bool {
        self.cancels > 1
    }

    /// Nothing is left to do: the number to tell the follower, unless it knows.
    pub(super) fn drain(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.drained, true) {
            return None;
        }
        self.drains += 1;
        Some(self.drains)
    }

    /// Something is to do again.
    pub(super) fn undrain(&mut self) {
        self.drained = false;
    }

    /// Whether the follower that was told that number lets the run end: nothing came in between.
    pub(super) fn may_close(&self, time: u64) -> bool {
        self.drained && time == self.drains
    }

    /// Nobody follows the run any more. True the first time.
    pub(super) fn abandon(&mut self) -> bool {
        !std::mem::replace(&mut self.abandoned, true)
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned
    }
}

#[cfg(test)]
mod tests {
    use super::RunEnd;
    use crate::model::event::Early;

    #[test]
    fn a_run_closes_for_the_last_time_that_nothing_was_left_only() {
        let mut end = RunEnd::new(None);
        assert_eq!((end.drain(), end.drain()), (Some(1), None));
        end.undrain();
        assert!(!end.may_close(1), "a retry came in between");
        assert_eq!(end.drain(), Some(2));
        assert!(!end.may_close(1) && end.may_close(2));
    }

    #[test]
    fn the_first_reason_to_end_early_stays() {
        let mut end = RunEnd::new(None);
        assert!(!end.cancel("SIGINT".to_owned()));
        end.end_early(Early::Halted("the halt policy".to_owned()));
        assert!(end.cancel("SIGTERM".to_owned()));
        assert_eq!(end.early(), Some(&Early::Cancelled("SIGINT".to_owned())));
    }
}
