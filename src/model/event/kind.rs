//! Kinds of facts, with the words for them in JSON and in the store.

use serde::Serialize;

use crate::model::event::fact::Fact;

macro_rules! kinds {
    ($($kind:ident $word:literal,)*) => {
        /// The kind of a fact.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "the fact of that name says what it is")]
        pub enum FactKind {
            $($kind,)*
        }

        impl FactKind {
            /// The word for it: `trial-ended`.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }

        impl Fact {
            /// Its kind.
            pub fn kind(&self) -> FactKind {
                match self {
                    $(Self::$kind { .. } => FactKind::$kind,)*
                }
            }
        }

        #[cfg(test)]
        const ALL: &[FactKind] = &[$(FactKind::$kind,)*];
    };
}

kinds! {
    RunStarted "run-started",
    RunResumed "run-resumed",
    DaemonReached "daemon-reached",
    ImageResolved "image-resolved",
    EngineAway "engine-away",
    EngineBack "engine-back",
    TrialReused "trial-reused",
    Preparing "preparing",
    AttemptStarting "attempt-starting",
    AttemptStarted "attempt-started",
    AttemptAdopted "attempt-adopted",
    Recorded "recorded",
    Healthy "healthy",
    Unhealthy "unhealthy",
    Slow "slow",
    TrialPaused "trial-paused",
    TrialUnpaused "trial-unpaused",
    Stopping "stopping",
    AttemptEnded "attempt-ended",
    AttemptFetched "attempt-fetched",
    OutputsCollected "outputs-collected",
    OutputsSent "outputs-sent",
    RetryScheduled "retry-scheduled",
    TrialEnded "trial-ended",
    TrialReopened "trial-reopened",
    TrialSubmitted "trial-submitted",
    CommandTaken "command-taken",
    CommandRefused "command-refused",
    HeldBack "held-back",
    Released "released",
    Halted "halted",
    StoreRestored "store-restored",
    Warned "warned",
    RunEnded "run-ended",
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn words_are_those_of_the_json_form() {
        for kind in ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
