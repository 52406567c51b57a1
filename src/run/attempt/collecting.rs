//! Collecting: the outputs of an ended attempt are copied out of it before its end is told, so that whoever hears of the end
//! finds them. Never fails an attempt.

use std::future::pending;

use crate::engine::{Engine, EngineError, Outputs};
use crate::model::handle::Handle;
use crate::model::trial::output;
use crate::run::attempt::flight::{Attempt, Stop};
use crate::run::attempt::patience::Patience;
use crate::run::context::RunContext;
use crate::run::message::Stage;

/// A path of an attempt, and where it goes below the folder of outputs.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    path: String,
    place: String,
}

impl Attempt {
    /// Copies the trial's `outputs` and the artifacts that it told of; why something is left that only the attempt has, if so.
    pub(super) async fn collect(
        &self,
        context: &RunContext,
        engine: &dyn Engine,
        handle: &Handle,
        artifacts: &[String],
    ) -> Option<String> {
        let folder = context.output_folder(&self.launch.trial.name)?;
        let declared = &self.launch.trial.outputs;
        if declared.is_empty() && artifacts.is_empty() {
            return None;
        }
        let name = &self.launch.trial.name;
        let mut missing: Vec<&str> = Vec::new();
        let wanted = wanted(declared.iter().chain(artifacts), &mut missing);
        let outputs = match Outputs::into_folder(&folder) {
            Ok(outputs) => outputs,
            Err(error) => return Some(format!("{}: {error}", folder.display())),
        };
        let because = tokio::select! {
            biased;
            () = self.at_once() => {
                outputs.give_up();
                Some("it was ended at once".to_owned())
            }
            collected = self.collect_all(engine, handle, &wanted, &outputs) => match collected {
                Ok(gone) => {
                    missing.extend(gone);
                    outputs.error()
                }
                Err(error) => Some(error.chain()),
            },
        };
        if !missing.is_empty() && context.tells_of_outputs(name) {
            let missing = missing.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
            self.warn(format!("`{name}` left nothing to collect at {missing}"));
        }
        if let Some(clause) = outputs.left_out() {
            self.warn(format!("of the outputs of `{name}`, {clause}"));
        }
        self.say(Stage::Collected { folder, files: outputs.files() });
        because
    }

    /// Copies the trial's `outputs` of an attempt that was lost beside its logs, as far as it has left some: the next attempt
    /// takes the place of its container. Why something is left that only it has, if so.
    pub(super) async fn keep_lost(&self, context: &RunContext, engine: &dyn Engine, handle: &Handle) -> Option<String> {
        let folder = context.log_folder(&self.launch)?.join("outputs");
        let wanted = wanted(self.launch.trial.outputs.iter(), &mut Vec::new());
        if wanted.is_empty() {
            return None;
        }
        let outputs = match Outputs::into_folder(&folder) {
            Ok(outputs) => outputs,
            Err(error) => return Some(format!("{}: {error}", folder.display())),
        };
        match self.collect_all(engine, handle, &wanted, &outputs).await {
            Ok(_) => outputs.error(),
            // It may be gone altogether, as its outcome says.
            Err(EngineError::Refused { .. }) => None,
            Err(error) => Some(error.chain()),
        }
    }

    /// Copies each, also while the engine is away for a while; those of them that are not there.
    async fn collect_all<'a>(
        &self,
        engine: &dyn Engine,
        handle: &Handle,
        wanted: &'a [Wanted],
        outputs: &Outputs,
    ) -> Result<Vec<&'a str>, EngineError> {
        let mut missing = Vec::new();
        for Wanted { path, place } in wanted {
            let mut patience = Patience::new(self, "could not be asked for its outputs and is asked again");
            loop {
                match engine.collect(handle, &self.launch, (path, place), outputs).await {
                    Ok(true) => {}
                    Ok(false) => missing.push(path.as_str()),
                    Err(error) if error.may_pass() && patience.lasts(&error).await => continue,
                    Err(error) => return Err(error),
                }
                break;
            }
        }
        Ok(missing)
    }

    /// Waits until somebody asks for the end at once.
    async fn at_once(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|asked| *asked == Some(Stop::Killed { at_once: true })).await.is_err() {
            // Nobody will ask any more.
            pending().await
        }
    }
}

/// The paths to copy, without those that lie in others; what names no place goes to `none`.
fn wanted<'a>(paths: impl Iterator<Item = &'a String>, none: &mut Vec<&'a str>) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for path in paths {
        match output::place(path) {
            Some(place) => all.push(Wanted { path: path.clone(), place }),
            None => none.push(path),
        }
    }
    // A folder comes before what lies in it, and each path once.
    all.sort_by(|a, b| a.place.cmp(&b.place));
    let mut kept: Vec<Wanted> = Vec::with_capacity(all.len());
    for one in all {
        let covers = |other: &Wanted| {
            let rest = one.place.strip_prefix(&other.place);
            other.path.starts_with('/') == one.path.starts_with('/')
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !kept.iter().any(covers) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn what_lies_in_a_wanted_folder_is_not_copied_twice() {
        let paths = ["/out/model", "/out", "/out-b", "/out/", "log/a", "/", "/log", "./log/a"].map(str::to_owned);
        let mut none = Vec::new();
        let kept = wanted(paths.iter(), &mut none);
        let kept: Vec<_> = kept.iter().map(|one| format!("{} to {}", one.path, one.place)).collect();
        assert_eq!(kept, ["/log to log", "log/a to log/a", "/out to out", "/out-b to out-b"]);
        assert_eq!(none, ["/"]);
    }
}
