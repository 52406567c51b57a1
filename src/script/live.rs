//! Live runs: one run followed from the script, either to its end (`run`) or trial by trial (`start`).

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use rhai::{AST, Dynamic, Engine, Map};

use crate::model::command::Command;
use crate::model::event::{Early, Event, Fact, Sink};
use crate::model::name::RunId;
use crate::model::summary::{Counts, Summary};
use crate::run::session::live::Live;
use crate::run::session::observer::{feed, observe};
use crate::run::session::start::Start;
use crate::script::fault::{Answer, fault, run_fault, unreachable_fault};
use crate::script::hooks::{Caller, Hooks};
use crate::script::host::{PendingRun, Script};
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::json::to_object;
use crate::script::values::result::{Ran, RunResult, TrialView};
use crate::script::way::Way;
use crate::spec;

/// A run as scripts hold it: the way to act on it, and what `start` returned also to follow it.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) way: Way,
    pub(super) counts: Counts,
    pub(super) following: Option<Rc<Following>>,
}

/// The run as its hooks get it.
fn in_hook(way: &Way, summary: &Summary) -> Dynamic {
    Dynamic::from(Run { way: way.clone(), counts: summary.counts(), following: None })
}

/// A run that has started.
struct Started {
    live: Live,
    sinks: Vec<Box<dyn Sink>>,
    keep: Box<dyn Any>,
    experiment: ScriptExperiment,
    hooks: Hooks,
}

/// Plans and starts an experiment with the script's options; the command line's win.
fn begin(script: &Script, experiment: &ScriptExperiment, mut options: Map) -> Answer<Started> {
    script.check_interrupt()?;
    script.args.check(false)?;
    let hooks = Hooks::take(&mut options, &script.functions)?;
    let options = spec::options(&to_object(&options)?).map_err(|problems| fault(problems.to_string()))?;
    let options = script.options.clone().over(options);
    let (session, model) = (script.session.clone(), script.to_run(experiment));
    // The engines are asked here, where an interrupt ends the waiting; the start asks them nothing more.
    let prepare = move || session.prepare(model, options).and_then(|it| session.survey(&it).map(drop).map(|()| it));
    let prepared = script.wait_for(prepare)?.map_err(|error| run_fault(&error))?;
    let run = RunId::from(script.stage.id().as_str());
    let mut opened = script.stage.open(&prepared, &run).map_err(fault)?;
    let journal = std::mem::replace(&mut opened.journal, Start::unkept(run.clone(), None).journal);
    let start = Start { journal, ..Start::unkept(run.clone(), opened.folder.clone()) };
    let live = match script.session.start(prepared, start) {
        Ok(live) => live,
        Err(error) => {
            script.stage.discard(opened).map_err(fault)?;
            return Err(run_fault(&error));
        }
    };
    script.stage.started(&run, live.commands());
    Ok(Started { live, sinks: opened.sinks, keep: opened.keep, experiment: experiment.clone(), hooks })
}

/// Runs an experiment to its end.
pub(super) fn run(
    script: &Script,
    caller: &Caller<'_>,
    experiment: &ScriptExperiment,
    options: Map,
) -> Answer<RunResult> {
    let mut started = begin(script, experiment, options)?;
    let hooks = &started.hooks;
    let way = Way::new(started.live.commands().clone());
    let observed = observe(Summary::default(), &mut started.live, &mut started.sinks, |event, summary, _| {
        way.history.hear(event);
        hooks.call(caller, script, (event, summary), &way, in_hook)
    });
    drop(started.keep);
    let summary = observed?;
    close(script, Ran { experiment: started.experiment, summary, folder: script.folder.clone(), history: way.history })
}

/// Takes note of a run's end.
fn close(script: &Script, ran: Ran) -> Answer<RunResult> {
    script.stage.closed(&ran.summary);
    let early = ran.summary.early.clone();
    let end = (ran.summary.ok(), matches!(early, Some(Early::Halted(_))));
    script.ends.borrow_mut().insert(ran.experiment.name().to_owned(), end);
    script.check_interrupt()?;
    match early {
        Some(Early::Unreachable(message)) => Err(unreachable_fault(&message)),
        _ => Ok(RunResult(Rc::new(ran))),
    }
}

/// Starts an experiment and leaves following it to the script.
pub(super) fn start(script: &Script, experiment: &ScriptExperiment, options: Map) -> Answer<Run> {
    let started = begin(script, experiment, options)?;
    let way = Way::new(started.live.commands().clone());
    let state = FollowingState { started, summary: Summary::default(), failure: None };
    let following = Rc::new(Following {
        way: way.clone(),
        experiment: experiment.clone(),
        state: RefCell::new(Some(state)),
        result: RefCell::new(None),
    });
    script.open.borrow_mut().push(following.clone());
    Ok(Run { way, counts: Counts::default(), following: Some(following) })
}

/// A run that a script follows trial by trial.
pub(super) struct Following {
    way: Way,
    experiment: ScriptExperiment,
    /// Absent once the run has ended.
    state: RefCell<Option<FollowingState>>,
    result: RefCell<Option<RunResult>>,
}

struct FollowingState {
    started: Started,
    summary: Summary,
    failure: Option<Box<rhai::EvalAltResult>>,
}

impl PendingRun for Following {
    fn experiment(&self) -> &ScriptExperiment {
        &self.experiment
    }

    fn cancel(&self, by: &str) {
        self.way.send(Command::Cancel { by: by.to_owned() });
    }

    fn close(&self, script: &Script, engine: &Engine, ast: &AST) -> Answer<()> {
        self.wait(script, &Caller::Outside(engine, ast)).map(drop)
    }
}

impl Following {
    pub(super) fn counts(&self) -> Option<Counts> {
        let state = self.state.try_borrow().ok()?;
        match &*state {
            Some(state) => Some(state.summary.counts()),
            None => self.result.borrow().as_ref().map(|result| result.0.summary.counts()),
        }
    }

    /// The next trial that ended, services apart; `None` when nothing is left to do.
    pub(super) fn next(&self, script: &Script, caller: &Caller<'_>) -> Answer<Option<TrialView>> {
        let mut state = self.state.try_borrow_mut().map_err(|_| fault("a hook cannot follow the run it belongs to"))?;
        let Some(state) = &mut *state else { return Ok(None) };
        while let Some(event) = state.started.live.next_event() {
            self.hear(state, script, caller, &event);
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            if let Fact::TrialEnded { trial, .. } = &event.fact
                && let Some(result) = state.summary.get(trial)
                && !result.service
            {
                return Ok(Some(TrialView {
                    result: Rc::new(result.clone()),
                    way: Some(self.way.clone()),
                    folder: script.folder.clone(),
                    history: self.way.history.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// Follows the run to its end.
    pub(super) fn wait(&self, script: &Script, caller: &Caller<'_>) -> Answer<RunResult> {
        let taken =
            self.state.try_borrow_mut().map_err(|_| fault("a hook cannot wait for the run it belongs to"))?.take();
        let Some(mut state) = taken else {
            return self.result.borrow().clone().ok_or_else(|| fault("the run has ended with an error"));
        };
        while let Some(event) = state.started.live.next_to_end() {
            self.hear(&mut state, script, caller, &event);
        }
        drop(state.started.keep);
        script.open.borrow_mut().retain(|open| !std::ptr::addr_eq(Rc::as_ptr(open), self));
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        let (experiment, folder) = (state.started.experiment, script.folder.clone());
        let result =
            close(script, Ran { experiment, summary: state.summary, folder, history: self.way.history.clone() })?;
        self.result.replace(Some(result.clone()));
        Ok(result)
    }

    /// Stored before shown, shown before hooked; after a hook's error the trials are stopped.
    fn hear(&self, state: &mut FollowingState, script: &Script, caller: &Caller<'_>, event: &Event) {
        state.summary.add(event);
        feed(&mut state.started.sinks, event);
        self.way.history.hear(event);
        if state.failure.is_none()
            && let Err(failure) = state.started.hooks.call(caller, script, (event, &state.summary), &self.way, in_hook)
        {
            self.cancel("an error in the script");
            state.failure = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use crate::engine::fake::{Fake, Scene};
    use crate::model::outcome::Exit;
    use crate::script::harness::Lab;

    /// Fails so often, then succeeds.
    fn failing(times: usize) -> Vec<Scene> {
        let failed = Scene { exit: Exit::Code(3), stdout: "loss=9\n".to_owned(), ..Scene::default() };
        let good = Scene { stdout: "loss=0.5\n".to_owned(), ..Scene::default() };
        [vec![failed; times], vec![good]].concat()
    }

    const TWO: &str = "let e = experiment(\"two\", [#{ name: \"first\", params: #{ mode: \"a\" } }, \
                       #{ name: \"second\", params: #{ mode: \"b\" }, cmd: \"echo loss=1 ; exit 3\" }]);\n";

    fn output(lab: &Lab, lines: &str) -> String {
        lab.output(&format!("{TWO}{lines}"))
    }

    #[test]
    fn what_a_trial_took_is_in_its_result_where_the_engine_can_say() {
        let script = "let r = run([#{ name: \"some\", cmd: \"usage 1.5 64m\" }, #{ name: \"none\" }]);
            print(r[\"some\"].cpu_seconds + r[\"some\"].peak_memory / 1048576); print(r[\"none\"].peak_memory == ());
            print(r.table([\"name\", \"cpu_seconds\", \"peak_memory\"]));";
        assert_snapshot!(Lab::new().output(script), @"
        closed script 2/2
        65.5
        true
        name  cpu_seconds  peak_memory
        some          1.5     67108864
        none
        ");
    }

    #[test]
    fn a_run_gives_its_result() {
        let lines = "let r = run(e);
            print(r); print(r.ok); print(r.counts); print(r.name); print(r.run); print(r.len()); print(r.failed_count);
            for t in r { print(`${t.name} ${t.status} ${t.exit} ${t.ok} ${t.attempts} ${t.params.mode} ${t.value(\"loss\")}`); }
            print(r[\"second\"].message); print(r.get(\"second\").stdout); print(r.filter(|t| t.ok)); print(r.failed().names());
            print(r.only([\"first\"])[0].trial.name); print(r.experiment.len()); print(r[\"second\"].cmd);
            print(r[\"second\"].values(\"loss\")); print(r[\"first\"].value(\"loss\", 7)); print(r[\"second\"].log(1));";
        assert_snapshot!(output(&Lab::new(), lines), @r#"
        closed two 1/2
        two: 1 of 2 succeeded, 1 failed
        false
        #{"failed": 1, "flaky": 0, "killed": 0, "pruned": 0, "reused": 0, "running": 0, "skipped": 0, "succeeded": 1, "total": 2, "waiting": 0}
        two
        id0000000002
        2
        1
        first succeeded 0 true 1 a 
        second failed 3 false 1 b 1.0
        failed (exit code 3)
        loss=1

        [first succeeded]
        ["second"]
        first
        2
        ["echo", "loss=1", ";", "exit", "3"]
        [1.0]
        7
        loss=1
        [exit 100]
        "#);
    }

    #[test]
    fn a_result_is_a_table_csv_and_json() {
        let lines = "let r = run(e); print(r.table([\"name\", \"status\", \"exit\", \"mode\", \"loss\"]));
            print(r.csv([\"name\", \"mode\", \"loss\"])); print(r.rows([\"mode\", \"loss\"])); exit(0)";
        assert_snapshot!(output(&Lab::new(), lines), @r#"
        closed two 1/2
        name    status     exit  mode  loss
        first   succeeded     0  a
        second  failed        3  b        1
        name,mode,loss
        first,a,
        second,b,1.0

        [#{"loss": (), "mode": "a"}, #{"loss": 1.0, "mode": "b"}]
        "#);
        let columns = "let r = run(e); print(r.csv().split(\"\\n\")[0]); print(from_json(r.json())[1].params); exit(0)";
        assert_snapshot!(output(&Lab::new(), columns), @r#"
        closed two 1/2
        name,status,exit,elapsed,attempts,mode
        #{"mode": "b"}
        "#);
    }

    #[test]
    fn trials_run_without_an_experiment() {
        let lines = "print(run([#{ name: \"one\" }, trial(#{ name: \"two\" })]).name); print(run(trial(#{ name: \"three\" })).len());
            print(run(trial(#{ name: \"four\" }), #{ parallel: 1 }).ok);";
        assert_snapshot!(Lab::new().output(lines), @"
        closed script 2/2
        script
        closed script 1/1
        1
        closed script 1/1
        true
        ");
    }

    #[test]
    fn a_rerun_of_what_failed_mends_the_exit_code() {
        let lab = Lab::on(Fake::default().scene("second", failing(1)));
        assert_snapshot!(output(&lab, "run(e);"), @"
        closed two 1/2
        [exit 100]
        ");
        let lines = "let r = run(e); if !r.ok { print(run(r.failed().map(|t| { t.cmd = \"echo fine\"; t }))) }";
        assert_snapshot!(output(&Lab::new(), lines), @"
        closed two 1/2
        closed two 1/1
        two: 1 of 1 succeeded
        ");
        assert_snapshot!(output(&Lab::new(), "run(e, #{ halt: \"now,fail=1\", parallel: 1 });"), @"
        closed two 1/2
        [exit 101]
        ");
    }

    #[test]
    fn failed_trials_keep_what_a_hook_changed_and_lose_the_runs_options() {
        let lines = "e = e.map(|t| { t.cmd = \"exit 3\"; t });
            let r = run(e, #{ timeout: 50, parallel: 1, on_fail: |t| if t.name == \"first\" && t.attempts == 1 { t.retry(#{ cpus: 2 }) } });
            let again = r.failed(); print(again.names()); print(again[\"first\"].cpus); print(again[\"second\"].timeout); exit(0)";
        assert_snapshot!(output(&Lab::new(), lines), @r#"
        closed two 0/2
        ["first", "second"]
        2.0
        "#);
    }

    #[test]
    fn options_are_checked() {
        assert_snapshot!(output(&Lab::new(), "run(e, #{ paralel: 2 });"), @"
        script.rhai:2:1: unknown key `paralel`; did you mean `parallel`?
          | run(e, #{ paralel: 2 });
        ");
        assert_snapshot!(output(&Lab::new(), "run(e, #{ parallel: 0 });"), @"
        script.rhai:2:1: parallel: `0` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)
          | run(e, #{ parallel: 0 });
        ");
        assert_snapshot!(output(&Lab::new(), "run(e, #{ on_compleet: |t| 1 });"), @"
        script.rhai:2:1: there is no hook `on_compleet`
          | run(e, #{ on_compleet: |t| 1 });
          = did you mean `on_complete`?
        ");
        assert_snapshot!(output(&Lab::new(), "run(e, #{ on_complete: 1 });"), @"
        script.rhai:2:1: `on_complete` takes a closure such as `|t| print(t.name)`, not i64
          | run(e, #{ on_complete: 1 });
        ");
        assert_snapshot!(output(&Lab::new(), "run(experiment(\"refused\", [#{ name: \"first\" }]));"), @r#"
        script.rhai:2:1: no room for this run
          | run(experiment("refused", [#{ name: "first" }]));
        "#);
        assert_snapshot!(output(&Lab::new(), "run([]);"), @"
        script.rhai:2:1: the experiment `script` cannot run: it has no trials
          | run([]);
        ");
    }

    #[test]
    fn the_command_lines_options_win() {
        let mut lab = Lab::new();
        lab.options.defaults.retries = Some(crate::model::retry::Retries::count(2).into());
        assert_snapshot!(output(&lab, "print(run(e, #{ retries: 0 })[\"second\"].attempts); exit(0);"), @"
        closed two 1/2
        3
        ");
    }

    #[test]
    fn hooks_are_called_while_others_run() {
        let quick = Scene { run_for: Duration::from_millis(1), ..Scene::default() };
        let slow = Scene { run_for: Duration::from_secs(60), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("first", [quick]).scene("second", [slow]));
        let lines = "let seen = [];
            let started = false;
            let r = run(e, #{
                on_start: || started = true,
                on_complete: |t, run| {
                    seen.push(`${t.name} ${t.status} ${run.counts.running}`);
                    if t.name == \"first\" { run.kill(); }
                },
            });
            print(seen); print(r); print(started);";
        assert_snapshot!(output(&lab, lines), @r#"
        closed two 1/2
        ["first succeeded 1", "second killed 0"]
        two: 1 of 2 succeeded, 1 killed
        true
        [exit 100]
        "#);
    }

    #[test]
    fn a_hook_retries_kills_and_submits() {
        let lab = Lab::on(Fake::default().scene("second", failing(2)));
        let lines = "let attempts = 0;
            let r = run(e, #{
                on_fail: |t| { attempts += 1; if t.value(\"loss\") > 1.0 { t.retry(#{ cpus: t.attempts + 1 }) } },
                on_complete: |t, run| if t.name == \"first\" { run.parallel = 2; run.submit(#{ name: \"third\" }) },
            });
            print(attempts); print(r); print(r[\"second\"].trial.cpus); print(r[\"second\"].attempts);";
        assert_snapshot!(output(&lab, lines), @"
        closed two 3/3
        2
        two: 3 of 3 succeeded
        3.0
        3
        ");
        let slow = Scene { run_for: Duration::from_secs(60), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("second", [slow]));
        assert_snapshot!(output(&lab, "print(run(e, #{ on_start: |t| if t.name == \"second\" { t.kill() } })); exit(0);"), @"
        closed two 1/2
        two: 1 of 2 succeeded, 1 killed
        ");
    }

    #[test]
    fn on_retry_and_on_event_see_what_happens() {
        let lab = Lab::on(Fake::default().scene("second", failing(1)));
        let lines = "let events = [];
            run(e, #{ retries: 1, parallel: 1, on_retry: |t| print(`again ${t.name} ${t.attempts}`), on_event: |event| events.push(event.event) });
            print(events);";
        assert_snapshot!(output(&lab, lines), @r#"
        again second 1
        closed two 2/2
        ["run-started", "warned", "attempt-starting", "attempt-started", "attempt-ended", "trial-ended", "attempt-starting", "attempt-started", "attempt-ended", "retry-scheduled", "attempt-starting", "attempt-started", "attempt-ended", "trial-ended", "run-ended"]
        "#);
    }

    #[test]
    fn an_error_in_a_hook_stops_the_trials_and_shows_its_line() {
        let slow = Scene { run_for: Duration::from_secs(60), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("second", [slow]));
        assert_snapshot!(output(&lab, "run(e, #{\n  on_complete: |t| {\n    t.nothing()\n  },\n});"), @"
        script.rhai:4:7: no function `nothing (TrialResult)`
          | t.nothing()
          = `combu help script` lists every function; a closure in a variable is called `nothing.call(..)`
          < a closure at script.rhai:2:1
        ");
        assert_snapshot!(output(&lab, "run(e, #{ on_complete: |t, run, more| 1 });"), @"
        script.rhai:2:1: `on_complete` cannot be called: this closure takes 3 arguments
          | run(e, #{ on_complete: |t, run, more| 1 });
          = write `|t|`, `|t, run|` or `||`
        ");
        assert_snapshot!(output(&lab, "run(e, #{ parallel: 1, on_start: |t| t.retry() });"), @"
        script.rhai:2:40: `first` has not ended
          | run(e, #{ parallel: 1, on_start: |t| t.retry() });
          = retry from `on_complete` or `on_fail`; the option `retries` repeats failed attempts by itself
          < a closure at script.rhai:2:1
        ");
        assert_snapshot!(output(&lab, "run(e, #{ on_complete: |t| exit(7) });"), @"[exit 7]");
        assert_snapshot!(output(&Lab::new(), "let r = run(e);\nr[\"first\"].retry();"), @r#"
        closed two 1/2
        script.rhai:3:12: `first` cannot be retried: its run has ended
          | r["first"].retry();
          = act from a hook, or run what failed again: `run(result.failed())`
        "#);
        assert_snapshot!(output(&Lab::new(), "let r = run(e);\nr[\"frist\"];"), @r#"
        closed two 1/2
        script.rhai:3:2: the run of `two` has no trial or property `frist`
          | r["frist"];
          = did you mean `first`?
        "#);
    }

    #[test]
    fn a_hook_may_run_another_experiment() {
        let lines = "run(e, #{ on_fail: |t| print(run([#{ name: \"inner\" }])) }); exit(0);";
        assert_snapshot!(output(&Lab::new(), lines), @"
        closed script 1/1
        script: 1 of 1 succeeded
        closed two 1/2
        ");
    }

    #[test]
    fn a_started_run_is_followed_trial_by_trial() {
        let lines = "let live = start(experiment(\"search\", [#{ name: \"x-0\", params: #{ x: 0 }, cmd: \"echo y=9\" }]));
            let told = [];
            loop {
                let t = live.next();
                if t == () { break; }
                told.push([t.params.x, t.value(\"y\")]);
                let x = t.params.x + 1;
                if x < 4 { live.submit(#{ name: `x-${x}`, params: #{ x: x }, cmd: `echo y=${(x - 2) * (x - 2)}` }); }
            }
            print(told); print(live.counts.total); live.submit(trial(#{ name: \"late\" })); print(live.next().name); print(live.next());
            let r = live.wait(); print(r); print(live.wait().len()); print(live);
            live.submit(#{ name: \"dead\" });";
        assert_snapshot!(Lab::new().output(lines), @r#"
        [[0, 9.0], [1, 1.0], [2, 0.0], [3, 1.0]]
        4
        late

        closed search 5/5
        search: 5 of 5 succeeded
        5
        a run that has ended
        script.rhai:12:18: the run has ended and takes no more trials such as `dead`
          | live.submit(#{ name: "dead" });
        "#);
    }

    #[test]
    fn a_refused_trial_does_not_hang_its_run() {
        let lines = "let live = start(experiment(\"search\", [#{ name: \"one\" }]));
            print(live.next().name);
            try { live.submit(#{ name: \"two\", depends: [#{ trial: \"one\", condition: \"healthy\" }] }) } catch (error) { print(error.message) }
            print(live.next()); live.submit(#{ name: \"two\" }); print(live.next().name); print(live.wait());";
        assert_snapshot!(Lab::new().output(lines), @"
        one
        `two` was not submitted: it waits until `one` is healthy, but `one` has no healthcheck (engine fake)

        two
        closed search 2/2
        search: 2 of 2 succeeded
        ");
    }

    #[test]
    fn a_submission_that_the_run_will_refuse_is_an_error_that_can_be_caught() {
        // An engine of the command line would run all of them.
        let mut lab = Lab::new();
        lab.options.defaults.engine = None;
        let lines = "let on = #{ engine: \"fake\" };
            let live = start(experiment(\"search\", [on + #{ name: \"db\", service: true }, on + #{ name: \"one\", depends: [\"db\"] }]));
            for wrong in [
                on + #{ name: \"one\" }, on + #{ name: \"two\", depends: [\"oen\"] }, #{ name: \"two\" }, on + #{ name: \"two\", cpus: 1000 },
                on + #{ name: \"two\", depends: [#{ trial: \"db\", condition: \"completed\" }] },
            ] { try { live.submit(wrong) } catch (error) { print(error.message); print(error.hint) } }
            live.submit(on + #{ name: \"two\", depends: [#{ trial: \"one\", condition: \"completed\" }] }); print(live.next().name); print(live.next().name);
            live.drain(); live.submit(#{ name: \"three\" });";
        assert_snapshot!(lab.output(lines), @r#"
        `one` was not submitted: the run has a trial of that name
        give it another name, or run the old one again with `t.retry()`
        `two` was not submitted: it depends on `oen`, which is not in the run
        did you mean `one`?
        `two` was not submitted: no trial of the run's plan uses the engine docker

        `two` was not submitted: it asks for 1000 CPUs, but the engine's host has 4 CPUs
        ask for less, or run it on a larger host
        `two` was not submitted: it waits for the service `db` to end, but a service runs until nothing needs it
        give `db` a `cmd` or `service: false`, or wait for "started"
        one
        two
        closed search 3/3
        script.rhai:8:32: `three` was not submitted: the script has ended the run
          | live.drain(); live.submit(#{ name: "three" });
        "#);
    }

    #[test]
    fn a_live_run_is_changed_and_asked() {
        let lines = "let live = start(experiment(\"search\", [#{ name: \"one\", limits: #{ license: 1 } }]), #{ limits: #{ license: 1 } });
            live.set(#{ parallel: 2, cpus: 1, limits: #{ license: 2 } });
            try { live.set(#{}) } catch (error) { print(error.message) }
            try { live.set(#{ paralel: 2, seed: 1 }) } catch (error) { print(error.message) }
            print(type_of(live.why(\"one\"))); live.wait();
            try { live.why(\"one\") } catch (error) { print(error.message) }
            let asked = ();
            run(e, #{ parallel: 1, on_start: |t, run| { run.set(#{ parallel: 2 }); if t.name == \"first\" { asked = run.why(\"secnod\") } } });";
        assert_snapshot!(output(&Lab::new(), lines), @r#"
        nothing is set
        unknown key `paralel`; did you mean `parallel`?
        unknown key `seed`; `combu help fields` lists the known ones
        array
        closed search 1/1
        the run has ended, and nothing waits any more
        script.rhai:9:119: the run has no trial `secnod`
          | run(e, #{ parallel: 1, on_start: |t, run| { run.set(#{ parallel: 2 }); if t.name == "first" { asked = run.why("secnod") } } });
          = did you mean `second`?
          < a closure at script.rhai:9:13
        "#);
    }

    #[test]
    fn an_open_run_is_waited_for_and_stopped_after_an_error() {
        let lab = Lab::new();
        assert_snapshot!(output(&lab, "start(e, #{ on_fail: |t| print(`failed ${t.name}`) }); print(\"end\");"), @"
        end
        failed second
        closed two 1/2
        [exit 100]
        ");
        let slow = Scene { run_for: Duration::from_secs(60), ..Scene::default() };
        let lab = Lab::on(Fake::default().scene("first", [slow.clone()]).scene("second", [slow]));
        assert_snapshot!(output(&lab, "start(e); throw \"no\";"), @r#"
        closed two 0/2
        script.rhai:2:11: no
          | start(e); throw "no";
        "#);
    }

    #[test]
    fn a_plan_is_text() {
        assert_snapshot!(output(&Lab::new(), "print(plan(e)); print(plan(e, #{ parallel: 1 }).len() > 10);"), @"
        experiment two: 2 trials in 1 group

        group 1: 2 trials
          first
          second  echo 'loss=1' ';' exit 3

        true
        ");
    }
}
