//! What the events of a run tell that the script began before it died.

use std::collections::VecDeque;

use crate::model::command::Command;
use crate::model::event::{Early, Event, Fact};
use crate::model::experiment::Experiment;
use crate::model::history::History;
use crate::script::stage::EarlierRun;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::way::BY;

/// A run that the script began before it died.
pub(super) struct RecalledRun {
    /// Its events, in order.
    pub(super) events: VecDeque<RecalledEvent>,
    /// All that they tell.
    pub(super) history: History,
    /// Whether it came to the end that it was to have: nothing of it is to be run.
    pub(super) is_over: bool,
    /// Commands of the script that the run has taken, and that are not to be given again.
    pub(super) commands: Vec<Command>,
    /// The experiment, to be planned again.
    pub(super) experiment: Experiment,
}

/// An event of before.
pub(super) struct RecalledEvent {
    pub(super) event: Event,
    /// It is the end of a trial that came of the script's death: the trial runs again.
    pub(super) is_cut: bool,
}

impl RecalledRun {
    /// Reads the events of a run; absent where it had not begun, or where it was of another experiment.
    pub(super) fn of(earlier: EarlierRun, experiment: &ScriptExperiment) -> Option<Self> {
        let EarlierRun { events, spec, id } = earlier;
        let (mut history, mut past) = (History::default(), VecDeque::with_capacity(events.len()));
        let (mut commands, mut interrupted, mut end) = (Vec::new(), false, None);
        for event in events {
            history.add(&event);
            match &event.fact {
                Fact::RunStarted { experiment: name, trials, .. } => {
                    let written: Vec<_> = trials.iter().map(|trial| &*trial.written).collect();
                    let is_same = written.len() == experiment.trials().len()
                        && experiment.trials().iter().all(|trial| written.contains(&&**trial));
                    if name != experiment.name() || !is_same {
                        return None;
                    }
                }
                Fact::RunResumed { .. } => (interrupted, end) = (false, None),
                Fact::RunEnded { early, .. } => end = Some(early.clone()),
                Fact::CommandTaken { command } => {
                    interrupted |= matches!(command, Command::Cancel { by } | Command::Drain { by } if by != BY);
                    commands.push(command.clone());
                }
                _ => {}
            }
            let ended = match &event.fact {
                Fact::TrialEnded { trial, .. } => Some(trial),
                _ => None,
            };
            let is_cut = interrupted && ended.is_some_and(|trial| history.reopens(trial));
            past.push_back(RecalledEvent { event, is_cut });
        }
        let is_over = match end {
            None | Some(Some(Early::Unreachable(_))) => false,
            Some(Some(Early::Cancelled(by))) => by == BY,
            Some(None | Some(Early::Halted(_) | Early::Killed(_))) => true,
        };
        if !is_over {
            // The life to come does not know of them.
            commands.retain(|command| {
                !matches!(
                    command,
                    Command::Cancel { .. } | Command::Drain { .. } | Command::Pause { .. } | Command::Unpause { .. }
                )
            });
        }
        if !history.has_begun() {
            return None;
        }
        let experiment = history.experiment(spec, id);
        Some(Self { events: past, history, is_over, commands, experiment })
    }
}

#[cfg(test)]
mod tests {
    use crate::script::harness::Lab;

    const MODEL: &str = "fn trial(t, random) {
        let x = t.params.x;
        let told = []; for step in 1..=9 { told.push([step, \"loss\", (x - 0.3) * (x - 0.3) + 1.0 / step, step]); }
        #{ takes: 10, metrics: told, exit: if x > 0.95 { 3 } else { 0 } }
    }";

    /// A script that searches, prunes, submits, retries and remembers what its hooks saw.
    const SEARCH: &str = "let log = []; let began = now(); let tried = false;
        let base = #{ name: \"fit\", cmd: \"fit {x}\" };
        let seen = |t| log.push(`${t.name} ${t.status} ${t.params.x}`);
        let r = search(tpe(#{ x: uniform(0, 1) }, #{ seed: 5 }), base, #{
            goal: \"min loss\", trials: 12, parallel: 1, prune: asha(#{ from: 1, keep: 3 }), on_complete: seen });
        log.push(`best ${r.best().params}`);
        sleep(30);
        let more = start(experiment(\"more\", [#{ name: \"aa\", params: #{ x: 0.1 } }, #{ name: \"bb\", params: #{ x: 0.99 } }]), #{
            parallel: 1,
            on_complete: |t, run| { seen.call(t); if t.name == \"aa\" { run.submit(trial(#{ name: \"cc\", params: #{ x: if now() >= began { 0.2 } else { 0.9 } } })); } },
            on_fail: |t| if !tried { tried = true; t.retry() } });
        loop { let t = more.next(); if t == () { break } log.push(`next ${t.name}`); }
        log.push(more.wait().counts);
        for line in log { print(line); }";

    /// What is printed in the end: an earlier life printed a part of it perhaps, and its end came of nothing.
    fn printed(output: &str, last: usize) -> Vec<&str> {
        let lines: Vec<&str> = output.lines().filter(|line| !line.starts_with("closed")).collect();
        lines[lines.len().saturating_sub(last)..].to_vec()
    }

    #[test]
    fn a_script_that_dies_anywhere_and_is_gone_on_with_ends_as_if_nothing_had_happened() {
        let undisturbed = goes_on_wherever_it_dies(MODEL, SEARCH, 30);
        assert!(undisturbed.contains("pruned"), "{undisturbed}");
    }

    /// Lets a script die in each moment, and go on; what it prints without that.
    fn goes_on_wherever_it_dies(model: &str, script: &str, at_least: usize) -> String {
        let mut lab = Lab::simulated(model);
        let undisturbed = lab.output(script);
        let wanted = printed(&undisturbed, usize::MAX);
        assert!(wanted.len() > 12, "{undisturbed}");
        let mut deaths = 0;
        for after in 0.. {
            lab.forget();
            if !lab.dies(script, after) {
                break;
            }
            deaths += 1;
            let told = lab.told_before();
            let output = lab.output(script);
            assert_eq!(printed(&output, wanted.len()), wanted, "died after {after}: {output}");
            assert!(!output.contains("note:"), "died after {after}: {told}\n{output}");
            assert_eq!(lab.ran_in_vain(), [""; 0], "died after {after}: {told}");
        }
        assert!(deaths > at_least, "{deaths}");
        undisturbed
    }

    /// Replicates by the width of intervals, of which the order of ends changes nothing, and by a margin, which goes by it:
    /// what was cut off runs again from its beginning, and ends later than others then.
    const REPLICATES: &str = "let log = []; let base = #{ name: \"rep\", cmd: \"go {x} {seed}\" };
        let seen = |t| log.push(`${t.name} ${t.status}`);
        let goal = #{ goal: \"min loss\", on_complete: seen };
        let r = replicate(base, grid(#{ x: [0.0, 0.5] }), goal + #{ within: 1.0, least: 2, most: 9, parallel: 2 });
        log.sort(); log.push(compare(r, #{ by: \"x\" }).table);
        let r = replicate(base, grid(#{ x: [0.0, 0.5, 1.0] }), goal + #{ margin: 0.6, most: 4, name: \"folds\", parallel: 1 });
        log.push(compare(r, #{ by: \"x\" }).groups.map(|g| g.n));
        for line in log { print(line); }";

    #[test]
    fn replicates_that_die_anywhere_ask_for_the_same_when_they_go_on() {
        let model = "fn trial(t, random) {
            let noise = random(t.params.seed * 100 + (t.params.x * 10).to_int());
            #{ takes: 5 + noise.int(1, 9), metrics: [[1, \"loss\", t.params.x + noise.normal()]] }
        }";
        let undisturbed = goes_on_wherever_it_dies(model, REPLICATES, 20);
        assert!(undisturbed.contains("rep-0-8 succeeded"), "{undisturbed}");
    }

    /// Trials that are paused: by a rule, which lets some go on, and by a hook.
    const PAUSED: &str = "let log = [];
        let base = #{ name: \"fit\", cmd: \"fit {x}\" };
        let seen = |t| log.push(`${t.name} ${t.status} ${t.elapsed}`);
        let r = run(experiment(\"ruled\", base, [0.3, 0.4, 0.5, 0.9, 0.35, 0.31, 0.6].map(|x| #{ x: x })), #{
            goal: \"min loss\", parallel: 2, prune: asha(#{ from: 1, keep: 2, most: 4, pause: true }), on_complete: seen });
        let live = start(experiment(\"own\", base, [0.1, 0.2, 0.3, 0.4].map(|x| #{ x: x })), #{
            parallel: 2, on_complete: seen,
            on_metric: |t, name, value, step| if step == 3 && t.params.x < 0.25 { t.pause(\"it is small\") } });
        live.next();
        log.push(r.pruned); log.push(live.wait().counts);
        for line in log { print(line); }";

    #[test]
    fn what_was_paused_is_paused_when_the_script_goes_on() {
        let undisturbed = goes_on_wherever_it_dies(MODEL, PAUSED, 20);
        assert!(undisturbed.contains("fit-0.4 pruned"), "{undisturbed}");
    }

    /// Two runs whose hooks are called while the script sleeps, retries and waits.
    const TWO: &str = "let log = []; let tried = [];
        fn trials(name) { let all = []; for n in 0..4 { all.push(#{ name: `${name}${n}`, params: #{ x: n / 4.0 + 0.22 } }); } all }
        let seen = |t| log.push(`${t.name} ${t.status}`);
        let a = start(experiment(\"a\", trials(\"aa\")), #{ parallel: 2, on_complete: seen });
        let b = start(experiment(\"b\", trials(\"bb\")), #{ parallel: 1, on_complete: seen });
        sleep(12);
        loop {
            let t = next_of([a, b]);
            if t == () { break }
            if !t.ok && !tried.contains(t.name) { tried.push(t.name); t.retry(); }
            print(`next ${t.name}`);
        }
        log.push(a.wait().counts); log.push(b.wait().counts);
        log.sort(|x, y| x.to_string() < y.to_string());
        for line in log { print(line); }";

    #[test]
    fn what_ended_well_in_any_of_several_runs_runs_once() {
        let mut lab = Lab::simulated(MODEL);
        let wanted = lab.output(TWO);
        let wanted: Vec<&str> = printed(&wanted, 13);
        assert!(wanted.contains(&"aa3 failed") && wanted.contains(&"bb0 succeeded"), "{wanted:?}");
        for after in (0..).step_by(3) {
            lab.forget();
            if !lab.dies(TWO, after) {
                break;
            }
            // A second death is no other than the first.
            lab.dies(TWO, 3);
            let (told, output) = (lab.told_before(), lab.output(TWO));
            assert_eq!(printed(&output, wanted.len()), wanted, "died after {after}: {told}\n{output}");
            assert_eq!(lab.ran_in_vain(), [""; 0], "died after {after}: {told}");
        }
    }
}
