//! Live runs as scripts see them.

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
fn what_succeeded_before_is_taken_over_with_what_it_told() {
    let script = "let seen = []; let trials = [#{ name: \"old\", cmd: \"exit 3\", params: #{ x: 1 } }, #{ name: \"new\" }];
        let r = run(experiment(\"e\", trials), #{ reuse: true, goal: \"min loss\", on_complete: |t| seen.push(`${t.name} ${t.status}`),
            on_metric: |t, name, value| seen.push(`${name} ${value}`) });
        print(seen); print(r.best().name); let old = r.get(\"old\"); print(`${old.attempts} ${old.elapsed} ${old.history(\"loss\")}`);
        print(old.reused); print(r.get(\"new\").reused == ()); print(r.counts);";
    assert_snapshot!(Lab::new().output(script), @r#"
    closed e 2/2
    ["loss 0.5", "old succeeded", "new succeeded"]
    old
    2 7.0 [#{"at": 0.001, "step": 3, "value": 0.5}]
    before
    true
    #{"failed": 0, "flaky": 0, "killed": 0, "paused": 0, "pruned": 0, "reused": 1, "running": 0, "skipped": 0, "succeeded": 2, "total": 2, "waiting": 0}
    "#);
    assert_snapshot!(Lab::new().output("run([#{ name: \"aa\" }], #{ reuse: 1 });"), @r#"
    script.rhai:1:1: `reuse` is true or false, not i64
      | run([#{ name: "aa" }], #{ reuse: 1 });
    "#);
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
    #{"failed": 1, "flaky": 0, "killed": 0, "paused": 0, "pruned": 0, "reused": 0, "running": 0, "skipped": 0, "succeeded": 1, "total": 2, "waiting": 0}
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
    assert_snapshot!(output(&lab, "run(e, #{\n  on_error: \"stop\", on_complete: |t| {\n    t.nothing()\n  },\n});"), @"
    closed two 1/2
    script.rhai:4:7: no function `nothing (TrialResult)`
      | t.nothing()
      = `combu help script` lists every function
      < a closure at script.rhai:2:1
    ");
    assert_snapshot!(output(&lab, "run(e, #{ on_complete: |t, run, more| 1 });"), @"
    script.rhai:2:1: `on_complete` cannot be called: this closure takes 3 arguments
      | run(e, #{ on_complete: |t, run, more| 1 });
      = write `|t|`, `|t, run|` or `||`
    ");
    assert_snapshot!(output(&lab, "run(e, #{ parallel: 1, on_error: \"stop\", on_start: |t| t.retry() });"), @r#"
    closed two 1/2
    script.rhai:2:58: `first` has not ended
      | run(e, #{ parallel: 1, on_error: "stop", on_start: |t| t.retry() });
      = retry from `on_complete` or `on_fail`; the option `retries` repeats failed attempts by itself
      < a closure at script.rhai:2:1
    "#);
    assert_snapshot!(output(&lab, "run(e, #{ on_complete: |t| exit(7) });"), @"
    closed two 1/2
    [exit 7]
    ");
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
    script.rhai:12:14: the run has ended and takes no more trials such as `dead`
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
        live.drain(); try { live.submit(#{ name: \"three\" }) } catch (error) { print(error.message) } live.wait();";
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
    `three` was not submitted: the script has ended the run
    closed search 3/3
    [exit 100]
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
    closed two 1/2
    script.rhai:9:115: the run has no trial `secnod`
      | run(e, #{ parallel: 1, on_start: |t, run| { run.set(#{ parallel: 2 }); if t.name == "first" { asked = run.why("secnod") } } });
      = did you mean `second`?
      < a closure at script.rhai:9:9
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

#[test]
fn an_error_in_a_hook_lets_what_runs_end_and_starts_no_more() {
    let quick = Scene { run_for: Duration::from_millis(5), ..Scene::default() };
    let lab = Lab::on(Fake::default().scene("first", [quick.clone()]).scene("second", [quick]));
    let lines = "let seen = []; let live = start(e, #{ parallel: 1, on_start: |t| t.retry() });
        try { loop { let t = live.next(); if t == () { break; } } } catch (error) { print(error.message) }
        print(live.counts.succeeded); print(live.counts.failed + live.counts.skipped);
        try { live.wait() } catch (error) { print(error.message) }
        try { run(e, #{ on_error: \"ignore\" }) } catch (error) { print(error.message); print(error.hint) } exit(0);";
    assert_snapshot!(output(&lab, lines), @r#"
    closed two 1/2
    `first` has not ended
    1
    1
    the run has ended with an error
    `on_error: ignore` is not what an error in a hook can do
    write "drain" (what runs may end; the default) or "stop"
    "#);
}

#[test]
fn whoever_waits_serves_every_open_run() {
    let scene = |seconds: u64| Scene { run_for: Duration::from_millis(20 * seconds), ..Scene::default() };
    let engine = || Fake::default().scene("long", [scene(20)]).scene("one", [scene(1)]).scene("two", [scene(2)]);
    let begin = "let said = [];
        let long = start(experiment(\"slow\", [#{ name: \"long\" }]));
        let short = start(experiment(\"quick\", [#{ name: \"one\" }, #{ name: \"two\" }]), #{ on_complete: |t| said.push(t.name) });\n";
    for waits in [
        "long.wait();",
        "long.next();",
        "sleep(0.2);",
        "sh(\"sleep 0.2\");",
        "run([#{ name: \"next\", cmd: \"sleep 0.2\" }]);",
    ] {
        let lines = format!("{begin} {waits} print(said); if long.counts.running == 1 {{ long.kill() }} exit(0);");
        let said = Lab::on(engine()).output(&lines);
        assert!(said.contains("[\"one\", \"two\"]"), "{waits}: {said}");
    }
}

#[test]
fn a_script_follows_several_runs_at_once() {
    let scene = |seconds: u64| Scene { run_for: Duration::from_millis(20 * seconds), ..Scene::default() };
    let engine = Fake::default().scene("a1", [scene(1)]).scene("b2", [scene(3)]).scene("a3", [scene(6)]);
    let lines = "let a = start(experiment(\"a\", [#{ name: \"a1\" }, #{ name: \"a3\" }]));
        let b = start(experiment(\"b\", [#{ name: \"b2\" }]));
        loop {
            let t = next_of([a, b]);
            if t == () { break; }
            print(t.name);
            if t.name == \"a3\" { b.submit(#{ name: \"b4\" }); }
        }
        print(next_of([])); print(a.name); a.wait(); b.wait(); next_of([1]);";
    assert_snapshot!(Lab::on(engine).output(lines), @"
    a1
    b2
    a3
    b4

    a
    closed a 2/2
    closed b 2/2
    script.rhai:9:64: `next_of` takes runs that `start` gave, not i64
      | print(next_of([])); print(a.name); a.wait(); b.wait(); next_of([1]);
    ");
}

#[test]
fn trials_of_a_live_run_are_seen_and_killed_by_name_expression_or_handle() {
    let slow = Scene { run_for: Duration::from_secs(60), ..Scene::default() };
    let engine = ["a1", "a2", "a3", "a4"].iter().fold(Fake::default(), |fake, name| fake.scene(name, [slow.clone()]));
    let lines = "let five = [1, 2, 3, 4, 5].map(|n| #{ name: `a${n}`, params: #{ n: n } });
        let live = start(experiment(\"x\", five), #{ parallel: 2 });
        while live.trials(\"running\").len() < 2 { sleep(0.01) }
        print(live.counts); print(live.trials().len()); print(live.get(\"a1\").status); print(live.get(\"a5\").status);
        print(live.trials(\"running && params.n > 1\").map(|t| t.name)); print(live.trials(\"waiting\").len());
        print(live.kill(\"a4\")); print(live.kill(\"waiting && params.n == 5\")); print(live.kill([live.get(\"a1\"), \"a2\"]));
        print(live.prune(\"a3\", \"enough\"));
        for wrong in [\"a6\", \"runing\", 7, \"params.m == 1\"] { try { live.kill(wrong) } catch (error) { print(error.message + \" = \" + error.hint) } }
        let r = live.wait(); for t in r { print(`${t.name} ${t.status}`) } exit(0);";
    assert_snapshot!(Lab::on(engine).output(lines), @r#"
    #{"failed": 0, "flaky": 0, "killed": 0, "paused": 0, "pruned": 0, "reused": 0, "running": 2, "skipped": 0, "succeeded": 0, "total": 5, "waiting": 3}
    5
    running
    waiting
    ["a2"]
    3
    1
    1
    2
    1
    the run has no trial `a6` = did you mean `a1`?
    the run has no trial `runing` = did you mean `running`?
    i64 says no trial = write a name, an expression such as "running", a trial, or a list
    no trial has the param `m` = did you mean `n`?
    closed x 0/5
    a1 killed
    a2 killed
    a3 pruned
    a4 killed
    a5 killed
    "#);
}

const A_MINUTE: &str = "fn trial(t, random) { #{ takes: 60 } }";

#[test]
fn runs_of_a_script_share_what_the_command_line_gives() {
    let mut lab = Lab::simulated(A_MINUTE);
    lab.options.budget.cpus = Some(2.0);
    let lines = "let began = now();
        let runs = [\"a\", \"b\", \"c\", \"d\"].map(|run| start(experiment(run, [1, 2].map(|n| #{ name: `${run}${n}` }))));
        sleep(30); print(runs[3].why(\"d1\")); print(runs.map(|run| run.counts.running));
        for run in runs { run.wait(); } print(now() - began);";
    assert_snapshot!(lab.output(lines), @r#"
    ["`d1` is ready and waits for room:", "1 CPU: 0 of 2 are free; other runs of the script have some of it"]
    [2, 0, 0, 0]
    closed a 2/2
    closed b 2/2
    closed c 2/2
    closed d 2/2
    240.0
    "#);
}

#[test]
fn a_run_in_a_hook_goes_on_though_the_outer_trials_have_all_cpus() {
    let lines = "let began = now(); let outer = [1, 2, 3].map(|n| #{ name: `outer-${n}` });
        let inner = |t| print(`${now() - began} ${run(experiment(\"inner\", [1, 2].map(|n| #{ name: `${n}-of-${t.name}` })))}`);
        print(run(outer, #{ on_complete: inner })); print(now() - began);";
    let mut lab = Lab::simulated(A_MINUTE);
    lab.options.budget.cpus = Some(1.0);
    assert_snapshot!(lab.output(lines), @"
    closed inner 2/2
    60.0 inner: 2 of 2 succeeded
    closed inner 2/2
    300.0 inner: 2 of 2 succeeded
    closed inner 2/2
    420.0 inner: 2 of 2 succeeded
    closed script 3/3
    script: 3 of 3 succeeded
    540.0
    ");
}
