//! What is copied out of ended trials, on the fake engine.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use insta::assert_snapshot;
use tokio::runtime::Handle as Tokio;

use crate::engine::Engine;
use crate::engine::fake::{Fake, Scene};
use crate::model::command::Command;
use crate::model::event::Fact;
use crate::model::name::{EngineName, RunId};
use crate::model::options::Options;
use crate::model::retry::Retries;
use crate::model::summary::Summary;
use crate::model::trial::{Timeout, Trial};
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::session::live::Live;
use crate::run::session::start_on;
use crate::run::traces::shaky::{Shaky, Trouble};
use crate::run::traces::{anew, follow, planned, seconds, trial, unkept};

fn start(engine: Arc<dyn Engine>, trials: Vec<Trial>, folder: &Path) -> Live {
    let plan = planned(&Fake::new(2.0), trials, Options::default());
    let engines = [(EngineName::Fake, engine.capabilities().clone())].into();
    let folder = Some(folder.to_owned());
    let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, folder, Connections::with(engine));
    start_on(&(&Tokio::current()).into(), plan, engines, context, unkept(), anew()).0
}

fn with_outputs(mut trial: Trial, outputs: &[&str]) -> Trial {
    trial.outputs = outputs.iter().map(|path| (*path).to_owned()).collect();
    trial
}

/// What the summary says was collected, and what is there.
fn collected(summary: &Summary, folder: &Path) -> String {
    let of = |result: &crate::model::summary::TrialResult| {
        let files: Vec<_> = result.outputs.iter().map(|file| file.path.as_str()).collect();
        let texts: Vec<_> = (result.outputs.iter())
            .map(|file| fs::read_to_string(folder.join(result.trial.name.as_str()).join("outputs").join(&file.path)))
            .map(Result::unwrap)
            .collect();
        format!("{} {files:?} {texts:?}\n", result.trial.name)
    };
    let mut lines: String = summary.results.iter().map(of).collect();
    lines.extend(summary.warnings.iter().map(|warning| format!("warned: {warning}\n")));
    lines
}

#[tokio::test(start_paused = true)]
async fn outputs_are_there_before_the_end_is_told_however_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let timed = Trial { timeout: Some(Timeout::After(seconds(1.0))), ..trial("late", "write /out/a half; sleep 9") };
    let trials = vec![
        with_outputs(
            trial("fine", "write /out/a one; write /out/sub/b two; write /log text; write /tmp/c no"),
            &["/out", "/log"],
        ),
        with_outputs(trial("bad", "write /out/a why; exit 3"), &["/out/"]),
        with_outputs(timed, &["out/a"]),
        trial("told", "write /model pt; echo ::combu artifact /model"),
        trial("none", "write /out/a x"),
    ];
    let mut told = Vec::new();
    let live = start(Arc::new(Fake::new(8.0)), trials, folder.path());
    let (_, summary) = follow(live, |event, _| match &event.fact {
        Fact::OutputsCollected { trial, attempt, folder, files } => {
            assert!(folder.ends_with(format!("{trial}/outputs")), "{}", folder.display());
            told.push(format!("{trial} {attempt}: {} files", files.len()));
        }
        Fact::AttemptEnded { trial, .. } => told.push(format!("{trial} ended")),
        _ => {}
    })
    .await;
    assert_snapshot!(told.join("\n"), @"
    fine 1: 3 files
    fine ended
    bad 1: 1 files
    bad ended
    told 1: 1 files
    told ended
    none ended
    late 1: 1 files
    late ended
    ");
    assert_snapshot!(collected(&summary, folder.path()), @r#"
    fine ["log", "out/a", "out/sub/b"] ["text", "one", "two"]
    bad ["out/a"] ["why"]
    late ["out/a"] ["half"]
    told ["model"] ["pt"]
    none [] []
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_last_attempts_outputs_replace_those_before_and_what_is_missing_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let scene = |files: Vec<(String, String)>, code| Scene {
        files,
        exit: crate::model::outcome::Exit::Code(code),
        ..Scene::default()
    };
    let scenes = [scene(vec![file("/out/a", "1"), file("/out/old", "1")], 1), scene(vec![file("/out/a", "2")], 0)];
    let engine = Fake::new(2.0).scene("aa", scenes);
    let again = Trial { retries: Some(Retries::count(1).into()), ..trial("aa", "") };
    let trials = vec![with_outputs(again, &["/out", "/none", "/neither"])];
    let (_, summary) = follow(start(Arc::new(engine), trials, folder.path()), |_, _| {}).await;
    assert_snapshot!(collected(&summary, folder.path()), @r#"
    aa ["out/a"] ["2"]
    warned: `aa` left nothing to collect at `/neither`, `/none`
    "#);
    assert!(!folder.path().join("aa/outputs/out/old").exists());
    assert!(summary.ok(), "a path that is missing fails nothing");
}

fn writes() -> Scene {
    Scene { files: vec![("/out/a".to_owned(), "text".to_owned())], ..Scene::default() }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_is_asked_again_for_the_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let shaky = Shaky { collects: Trouble::passing(3), ..Shaky::new(writes()) };
    let trials = || vec![with_outputs(trial("aa", ""), &["/out"])];
    let (_, summary) = follow(start(Arc::new(shaky), trials(), folder.path()), |_, _| {}).await;
    let refuses = Shaky { collects: Trouble::lasting(), ..Shaky::new(writes()) };
    let other = tempfile::tempdir().unwrap();
    let (_, refused) = follow(start(Arc::new(refuses), trials(), other.path()), |_, _| {}).await;
    let both = format!("{}\n{}", collected(&summary, folder.path()), collected(&refused, other.path()));
    assert_snapshot!(both, @r#"
    aa ["out/a"] ["text"]
    warned: `aa` could not be asked for its outputs and is asked again: failed to ask: connection reset

    aa [] []
    warned: the outputs of `aa` are not complete: there is no such probe
    warned: logs or outputs of `aa` could not be fetched from its container, which stays: there is no such probe; `combu resume` tries again
    "#);
    assert!(summary.ok() && refused.ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_twice_for_the_end_does_not_wait_for_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(Shaky { collects: Trouble::passing(usize::MAX), ..Shaky::new(writes()) });
    let live = start(engine.clone(), vec![with_outputs(trial("aa", ""), &["/out"])], folder.path());
    let commands = live.commands().clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::time::sleep(seconds(20.0)).await;
            commands.send(Command::Cancel { by: "SIGINT".to_owned() });
        }
    });
    let (lines, summary) = follow(live, |_, _| {}).await;
    assert_snapshot!(lines, @r#"
     0.00  aa started
     0.00  warned: `aa` could not be asked for its outputs and is asked again: failed to ask: connection reset
    20.00  taken: stop (by SIGINT)
    40.00  taken: stop (by SIGINT)
    40.00  warned: the outputs of `aa` are not complete: it was ended at once
    40.00  aa succeeded
    40.00  end: Cancelled("SIGINT")
    "#);
    assert_eq!(summary.results[0].outputs, []);
    let left = engine.fake.find(&crate::engine::Selector::default()).await.unwrap();
    assert_eq!(left.len(), 1, "what it left is still in it");
}
