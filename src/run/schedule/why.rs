//! Why a trial does not run: what it is doing, and each thing that it lacks, as sentences for people.

use crate::model::trial::Condition;
use crate::plan::Wait;
use crate::run::schedule::Schedule;
use crate::run::schedule::entry::Phase;

impl Schedule {
    /// What a trial waits for: first what it is doing, then a line for each thing.
    pub(crate) fn why(&self, place: usize) -> Vec<String> {
        let entry = &self.entries[place];
        let trial = &entry.trial.name;
        let is = |what: &str| format!("`{trial}` {what}");
        match &entry.phase {
            Phase::Ended(outcome) => vec![is(&format!("has ended: it {outcome}"))],
            Phase::Active { stopping: true, .. } => vec![is("is being stopped")],
            Phase::Active { .. } if self.is_to_go_on(place) => {
                [vec![is("is paused, and goes on when there is room:")], self.missing_room(place)].concat()
            }
            Phase::Active { .. } if entry.is_paused() => {
                let because = entry.paused.as_ref().map(|pause| pause.because.as_str()).unwrap_or_default();
                vec![is(&format!("is paused: {because}"))]
            }
            Phase::Active { started: true, .. } => vec![is(&format!("is running, attempt {}", entry.attempts))],
            Phase::Active { .. } => vec![is(&format!("is being started, attempt {}", entry.attempts))],
            Phase::Delayed => vec![is(&format!("waits for the delay before its attempt {}", entry.attempts + 1))],
            Phase::Ready => [vec![is("is ready and waits for room:")], self.missing_room(place)].concat(),
            Phase::Waiting => {
                let missing = self.missing_prerequisites(place);
                if missing.is_empty() {
                    vec![is("is a service that no trial next in line needs yet")]
                } else {
                    [vec![is("waits for others:")], missing].concat()
                }
            }
        }
    }

    fn missing_prerequisites(&self, place: usize) -> Vec<String> {
        let entry = &self.entries[place];
        let unmet = entry.waits.iter().zip(&entry.met).filter(|(_, met)| !**met);
        unmet.map(|(wait, _)| self.missing_prerequisite(*wait)).collect()
    }

    fn missing_prerequisite(&self, wait: Wait) -> String {
        let on = &self.entries[wait.on];
        let until = match wait.condition {
            Condition::Started => "to start",
            Condition::Healthy => "to be healthy",
            Condition::Completed => "to complete",
            Condition::Ended => "to end",
        };
        let does = match &on.phase {
            Phase::Waiting if on.trial.service && on.unmet == 0 => "which starts when a trial next in line needs it",
            Phase::Waiting => "which waits for others itself",
            Phase::Ready => "which waits for room",
            Phase::Delayed => "which failed and will be started again",
            Phase::Active { stopping: true, .. } => "which is being stopped",
            Phase::Active { started: false, .. } => "which is being started",
            Phase::Active { .. } if on.is_paused() => "which is paused",
            Phase::Active { .. } => "which is running",
            Phase::Ended(_) => "which has ended",
        };
        format!("`{}` {until}, {does}", on.trial.name)
    }

    fn missing_room(&self, place: usize) -> Vec<String> {
        let (ask, priority) = (self.ask(place), self.entries[place].trial.priority);
        let lacks = self.permits.lacks(&ask, None, usize::MAX);
        let mut lines: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        lines.extend(self.permits.why_not_beside_others(&ask, priority));
        if let Some(kept) = self.kept_for().filter(|kept| *kept != place) {
            lines.push(format!("room is kept for `{}`, which is before it", self.entries[kept].trial.name));
        }
        let before = self.ready.range(..self.entries[place].turn(place)).count();
        match before {
            0 => {}
            1 => lines.push("1 ready trial is before it".to_owned()),
            before => lines.push(format!("{before} ready trials are before it")),
        }
        lines
    }
}
