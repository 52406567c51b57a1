//! Rules that end trials early, as scripts write them: `prune: asha(#{ from: 1, keep: 3 })`. Each is its text form, which specs
//! and the command line have too.

use rhai::{Dynamic, Engine, Map};

use crate::model::options::Prune;
use crate::script::fault::{Answer, fault};
use crate::script::values::convert::number;

pub(super) fn register(engine: &mut Engine) {
    for name in ["asha", "median", "plateau"] {
        engine.register_fn(name, move |settings: Map| rule(name, &settings));
    }
    engine.register_fn("asha", || rule("asha", &Map::new()));
    engine.register_fn("plateau", || rule("plateau", &Map::new()));
    for (name, sign) in [("above", '>'), ("below", '<')] {
        engine.register_fn(name, move |metric: &str, limit: Dynamic| -> Answer<String> {
            read(&format!("{metric} {sign} {}", number(&limit)?))
        });
    }
}

fn rule(name: &str, settings: &Map) -> Answer<String> {
    let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    read(&format!("{name}({})", settings.join(", ")))
}

fn read(text: &str) -> Answer<String> {
    Prune::parse(text).map(|rule| rule.to_string()).map_err(fault)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    const BASE: &str = "let base = #{ name: \"fit\", cmd: \"echo ::combu metric loss={x} step=1 ; sleep 0.05\" };
        let points = [#{ x: 2 }, #{ x: 3 }, #{ x: 1 }, #{ x: 4 }];\n";

    fn output(lines: &str) -> String {
        Lab::new().output(&format!("{BASE}{lines}"))
    }

    #[test]
    fn a_run_ends_trials_by_its_rules_and_is_fine() {
        let lines = "let e = experiment(\"asha\", base, points);
            let r = run(e, #{ goal: \"min loss\", parallel: 1, prune: asha(#{ from: 1, keep: 2 }) });
            print(r); print(r.pruned); print(r.steps); print(r.ok); print(r[1].status); print(r[1].message); print(r.best().params.x);
            print(r.table([\"x\", \"status\"]));
            let r = run(e, #{ parallel: 1, prune: [above(\"loss\", 3), below(\"loss\", 2.0)] }); print(r.filter(|t| t.status == \"pruned\").len());
            print(plateau()); print(median(#{ grace: 1 })); print([1, 3].median());";
        assert_snapshot!(output(lines), @"
        closed asha 2/4
        asha: 2 of 4 succeeded, 2 pruned
        2
        4
        true
        pruned
        pruned because its loss at step 1, 3, is not the best of 2
        1
        x  status
        1  succeeded
        2  succeeded
        3  pruned
        4  pruned
        closed asha 2/4
        2
        plateau(steps=10, by=0)
        median(grace=1, least=3)
        2.0
        ");
    }

    #[test]
    fn a_script_ends_a_trial_that_is_not_worth_it() {
        let lines = "let r = run(experiment(\"own\", base, points), #{
                parallel: 1, on_metric: |t, name, value| if value > 2.0 { t.prune(`${name} is ${value}`) } });
            print(r); for t in r { print(t.message); }
            r[0].prune();";
        assert_snapshot!(output(lines), @"
        closed own 2/4
        own: 2 of 4 succeeded, 2 pruned
        succeeded
        pruned because loss is 3.0
        succeeded
        pruned because loss is 4.0
        script.rhai:6:18: `fit-2` cannot be pruned: its run has ended
          | r[0].prune();
          = act from a hook, or run what failed again: `run(result.failed())`
        ");
    }

    /// Trials that tell their loss each second for nine seconds.
    const MODEL: &str = "fn trial(t, random) {
        let told = []; for step in 1..=9 { told.push([step, \"loss\", t.params.x, step]); }
        #{ takes: 10, metrics: told }
    }";

    #[test]
    fn losers_that_are_paused_go_on_when_they_are_among_the_best_of_more() {
        let lines = "let e = experiment(\"asha\", base, [1, 2, 3, 4, 5].map(|x| #{ x: x }));
            let seen = [];
            let r = run(e, #{ goal: \"min loss\", parallel: 1, prune: asha(#{ keep: 2, most: 2, pause: true, hold: \"1g\" }),
                on_complete: |t, run| seen.push(`${t.name} ${t.status}, ${run.counts.paused} paused`) });
            print(r); for line in seen { print(line); } print(asha(#{ pause: true, hold: 1024 }));";
        assert_snapshot!(Lab::simulated(MODEL).output(&format!("{BASE}{lines}")), @"
        closed asha 2/5
        asha: 2 of 5 succeeded, 3 pruned
        fit-1 succeeded, 0 paused
        fit-2 succeeded, 2 paused
        fit-3 pruned, 0 paused
        fit-4 pruned, 0 paused
        fit-5 pruned, 0 paused
        asha(from=1, keep=3, pause=true, hold=1024)
        ");
    }

    #[test]
    fn a_script_pauses_trials_and_lets_them_go_on() {
        let lines = "let live = start(experiment(\"own\", base, points), #{ parallel: 1,
                on_metric: |t, name, value, step| if value == 3.0 && step == 2 { t.pause(`${name} is ${value}`) } });
            let t = live.next(); print(t.status);
            print(live.next().name);
            let two = live.get(\"fit-3\"); print(two.status); print(two.message); print(live.counts.paused);
            print(live.trials(\"paused\").map(|t| t.name)); print(live.why(\"fit-3\"));
            print(live.pause(\"waiting || paused\"));
            print(live.unpause(\"paused\")); print(live.why(\"fit-3\"));
            let r = live.wait(); print(r); print(r.get(\"fit-3\").elapsed); r[0].pause();";
        assert_snapshot!(Lab::simulated(MODEL).output(&format!("{BASE}{lines}")), @r#"
        succeeded
        fit-1
        paused
        paused
        1
        ["fit-3"]
        ["`fit-3` is paused: loss is 3.0"]
        1
        1
        ["`fit-3` is paused, and goes on when there is room:", "one of the 1 places for trials that run at once"]
        closed own 4/4
        own: 4 of 4 succeeded
        10.0
        script.rhai:11:80: `fit-2` cannot be paused: its run has ended
          | let r = live.wait(); print(r); print(r.get("fit-3").elapsed); r[0].pause();
          = act from a hook, or run what failed again: `run(result.failed())`
        "#);
    }

    #[test]
    fn a_rule_that_is_wrong_starts_nothing() {
        let made = "let e = experiment(\"x\", base, points);";
        let told = |line: &str| Lab::new().refusal(&format!("{BASE}{made} {line}"));
        let all = [
            "asha(#{ form: 1 })",
            "run(e, #{ prune: asha() })",
            "run(e, #{ prune: \"asha(keep=1)\", goal: \"min loss\" })",
            "run(e, #{ prune: 3 })",
            "above(\"loss\", \"x\")",
            "asha(#{ hold: \"8g\" })",
            "asha(#{ pause: 1 })",
            "asha(#{ pause: true, hold: \"lots\" })",
        ];
        assert_snapshot!(all.map(told).join("\n"), @"
        `asha` has no setting `form`: did you mean `from`?
        the experiment `x` cannot run: `prune: asha(from=1, keep=3)` compares trials by the run's goal, and there is none: give a `goal` such as `min loss`
        prune: `keep=1` is not a whole number from 2 on
        prune: expected a string, found the number 3
        a number belongs here, not string
        `hold` goes with `pause=true`
        `pause=1` is not `true` or `false`
        `lots` is not a size: write `512m`, `2g`, `64MiB` or bytes
        ");
    }
}
