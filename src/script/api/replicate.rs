//! Replicates in scripts: each point is run again and again, until its mean is known, or not worth knowing.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};
use serde_json::Value;

use crate::model::options::Goal;
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::trial::Trial;
use crate::script::api::result::unread;
use crate::script::api::space::{bad, point};
use crate::script::api::{experiment, trial};
use crate::script::caller::Caller;
use crate::script::driven::driven;
use crate::script::fault::{Answer, fault, fault_with, within};
use crate::script::hooks::HOOKS;
use crate::script::host::Script;
use crate::script::live;
use crate::script::values::convert::as_number;
use crate::script::values::result::{RunResult, TrialView};
use crate::space::Point;
use crate::spec::{BUDGET, OPTIONS, Template};
use crate::stats::{Margin, ReplicateRule, Replicates, Within};

/// The options of `replicate` that are none of a run.
pub(crate) const OWN: [&str; 7] = ["over", "within", "confidence", "least", "most", "margin", "name"];

/// A call, for messages.
const SHOWN: &str = "replicate(base, points, #{ goal: \"min loss\", within: 0.02 })";

pub(super) fn register(engine: &mut Engine, script: &Rc<Script>) {
    let made = script.clone();
    engine.register_fn("replicate", move |context: NativeCallContext, base: Dynamic, points: Array, options: Map| {
        replicate(&made, &Caller::Inside(&context), &base, &points, options)
    });
}

/// What `replicate` is asked for besides the options of a run.
struct ReplicateOptions {
    goal: Goal,
    /// The param that counts the replicates of a point.
    over: String,
    rule: ReplicateRule,
    name: Option<String>,
}

/// Tells what is wrong with the options, as far as they are none of a run.
pub(crate) fn check(mut options: Map) -> Answer<()> {
    ReplicateOptions::take(&mut options).map(drop)
}

impl ReplicateOptions {
    fn take(options: &mut Map) -> Answer<Self> {
        let Some(goal) = options.get("goal") else {
            return Err(fault_with("`replicate` has a goal", format!("say what is measured: `{SHOWN}`")));
        };
        let goal = Goal::parse(&goal.to_string()).map_err(fault)?;
        let name = options.remove("name").map(|name| name.to_string());
        let over = options.remove("over").map_or_else(|| "seed".to_owned(), |over| over.to_string());
        if !rhai::is_valid_identifier(&over) {
            let hint = "it counts the replicates of each point: `over: \"fold\"`";
            return Err(fault_with(format!("over: `{over}` cannot be the name of a param"), hint));
        }
        let within = options.remove("within").map(|width| read_within(&width)).transpose()?;
        let margin = options.remove("margin").map(|margin| {
            let by = as_number(&margin).filter(|by| *by >= 0.0 && by.is_finite());
            let wrong =
                || fault(format!("margin: `{margin}` is no distance from the best mean: write one, such as 0.02"));
            by.map(|by| Margin { goal: goal.clone(), by }).ok_or_else(wrong)
        });
        let margin = margin.transpose()?;
        if within.is_none() && margin.is_none() {
            let hint = "by the interval of its mean, `within: 0.02` or `within: \"5%\"`, or by its distance from the best, \
                        `margin: 0.02`";
            return Err(fault_with("`replicate` is not told when a point has enough replicates", hint));
        }
        let confidence = options.remove("confidence").unwrap_or_else(|| 0.95.into());
        let rule = ReplicateRule {
            confidence: read_confidence(&confidence)?,
            least: count(options, "least", if within.is_some() { 5 } else { 1 })?,
            most: count(options, "most", 40)?,
            within,
            margin,
        };
        if rule.within.is_some() && rule.least < 2 {
            let hint = "an interval needs two values; it is honest from about five on, which is the default";
            return Err(fault_with("least: 1 value has no interval", hint));
        }
        if rule.most < rule.least {
            let hint = "say both: `least: 3, most: 4`";
            return Err(fault_with(format!("most: {} is less than least: {}", rule.most, rule.least), hint));
        }
        check_rest(options)?;
        Ok(Self { goal, over, rule, name })
    }
}

/// A share of intervals that have the true value in them.
pub(super) fn read_confidence(confidence: &Dynamic) -> Answer<f64> {
    let share = as_number(confidence).filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| fault(format!("confidence: `{confidence}` is no share between 0 and 1, such as 0.95")))
}

fn read_within(width: &Dynamic) -> Answer<Within> {
    let text = width.to_string();
    let (number, share) = match text.strip_suffix('%') {
        Some(percent) if width.is_string() => (percent.trim().parse().ok(), true),
        _ => (as_number(width), false),
    };
    match number.filter(|number: &f64| *number > 0.0 && number.is_finite()) {
        Some(percent) if share => Ok(Within::Share(percent / 100.0)),
        Some(distance) => Ok(Within::Distance(distance)),
        None => Err(fault(format!(
            "within: `{text}` is no width: write a distance from the mean above 0, such as 0.02, or a share of it, \"5%\""
        ))),
    }
}

fn count(options: &mut Map, key: &str, usual: usize) -> Answer<usize> {
    let Some(said) = options.remove(key) else { return Ok(usual) };
    let whole = said.as_int().ok().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    whole.ok_or_else(|| fault(format!("{key}: `{said}` is no number of replicates: write a whole one from 1 on")))
}

/// Tells an option that neither `replicate` nor a run has.
fn check_rest(options: &Map) -> Answer<()> {
    let of_runs = || BUDGET.iter().chain(OPTIONS).map(|option| option.name).chain(HOOKS).chain(live::OWN);
    let unknown = options.keys().find(|key| !of_runs().any(|known| known == key.as_str()));
    let Some(key) = unknown else { return Ok(()) };
    let hint = match key.as_str() {
        "metric" => Some("the metric stands in the goal: `goal: \"min time\"`".to_owned()),
        key => did_you_mean(key, OWN.into_iter().chain(of_runs())),
    };
    let hint = hint.unwrap_or_else(|| format!("there are goal, {}, and the options of `run`", OWN.join(", ")));
    Err(fault_with(format!("`replicate` has no option `{key}`"), hint))
}

/// The trials of points, by the numbers of their replicates.
struct Replicated<'s> {
    /// Each with the fields of its trials, whose name asks for the param that counts them.
    points: Vec<(Point, Template)>,
    over: &'s str,
    script: &'s Script,
    /// What a trial of that name is a replicate of, and which.
    places: HashMap<String, (usize, usize)>,
}

impl<'s> Replicated<'s> {
    fn new(script: &'s Script, base: &Dynamic, points: &[Dynamic], over: &'s str) -> Answer<Self> {
        let fields = trial::fields_of(base, &script.folder)?;
        let points = read_points(points, over)?;
        let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
        let names: Vec<String> = match name.contains('{') {
            true => {
                // Two of each point show whether the name tells them apart.
                let two = points.iter().flat_map(|point| [numbered(point, over, 1), numbered(point, over, 2)]);
                Template::new(fields.clone()).named(&two.collect::<Vec<_>>()).map_err(bad)?;
                vec![name.to_owned(); points.len()]
            }
            false => {
                let named = Template::new(fields.clone()).named(&points).map_err(bad)?;
                named.into_iter().map(|(name, _)| format!("{name}-{{{over}}}")).collect()
            }
        };
        let template = |name: String| {
            let mut fields = fields.clone();
            fields.insert("name".to_owned(), name.into());
            Template::new(fields)
        };
        let points = points.into_iter().zip(names.into_iter().map(template)).collect();
        Ok(Self { points, over, script, places: HashMap::new() })
    }

    fn trial(&mut self, place: usize, number: usize) -> Answer<Arc<Trial>> {
        let (point, template) = &self.points[place];
        let fields = template.trials(&[numbered(point, self.over, number)]).map_err(bad)?.remove(0);
        let trial = trial::parse(&Value::Object(fields), &self.script.folder)?;
        self.places.insert(trial.name.to_string(), (place, number));
        Ok(trial)
    }
}

fn read_points(points: &[Dynamic], over: &str) -> Answer<Vec<Point>> {
    if points.is_empty() {
        return Err(fault_with("there are no points", "one without params is `[#{}]`"));
    }
    let mut seen = HashSet::new();
    let read = |(place, value): (usize, &Dynamic)| {
        let found = point(value).map_err(|error| within(&format!("point [{place}]"), *error))?;
        if found.contains_key(over) {
            let hint = format!("leave `{over}` out of the points, or count by another param: `over: \"replicate\"`");
            return Err(fault_with(format!("point [{place}] has the param `{over}`, which counts replicates"), hint));
        }
        let text = Value::Object(found.clone()).to_string();
        if seen.insert(text.clone()) {
            Ok(found)
        } else {
            Err(fault(format!("point [{place}] is there twice: {text}")))
        }
    };
    points.iter().enumerate().map(read).collect()
}

fn numbered(point: &Point, over: &str, number: usize) -> Point {
    let mut point = point.clone();
    point.insert(over.to_owned(), number.into());
    point
}

/// What the experiment is called where nobody says it: as the base, or like the script.
fn usual_name(script: &Script, base: &Dynamic) -> Answer<String> {
    let fields = trial::fields_of(base, &script.folder)?;
    let name = fields.get("name").and_then(Value::as_str).filter(|name| !name.contains('{')).map(str::to_owned);
    Ok(name.unwrap_or_else(|| script.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()))
}

fn replicate(
    script: &Script,
    caller: &Caller<'_>,
    base: &Dynamic,
    points: &[Dynamic],
    mut options: Map,
) -> Answer<RunResult> {
    let ReplicateOptions { goal, over, rule, name } = ReplicateOptions::take(&mut options)?;
    let mut replicated = Replicated::new(script, base, points, &over)?;
    let name = name.map_or_else(|| usual_name(script, base), Ok)?;
    // One of each point, then the second of each: what changes with time changes for all of them.
    let turns = (1..=rule.least).flat_map(|number| (0..points.len()).map(move |place| (place, number)));
    let first = turns.map(|(place, number)| replicated.trial(place, number).map(Dynamic::from));
    let experiment = experiment::make(script, &name, &first.collect::<Answer<Array>>()?)?;
    let most = rule.most;
    let mut replicates = Replicates::new(rule, points.len());
    let mut untold: Vec<TrialView> = Vec::new();
    let result = driven(script, caller, &experiment, options, |ended| {
        let Some(&(place, number)) = replicated.places.get(ended.name()) else { return Ok(Vec::new()) };
        if let Some(Outcome::Killed | Outcome::Skipped { .. }) = ended.result.outcome() {
            // Whoever ends a trial wants no other one instead.
            replicates.leave(place);
        }
        let value = if ended.ok() { ended.toward(&goal) } else { Ok(None) };
        let value = value.map_err(|error| unread(ended, &error))?;
        untold.extend((ended.ok() && value.is_none()).then(|| ended.clone()));
        replicates.tell(place, number, value).map(|number| replicated.trial(place, number)).collect()
    })?;
    if let Some(first) = untold.first() {
        let hint = did_you_mean(&goal.metric, first.result.metrics.keys().map(String::as_str));
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let (count, metric) = (untold.len(), &goal.metric);
        let told = format!("`{metric}` was not told by {count} of the trials that succeeded");
        script.stage.say(&format!("note: {told}: they count as failed{hint}"));
    }
    if let unsure @ 1.. = replicates.unsure() {
        let of = format!("the mean of {unsure} of {} points", points.len());
        script.stage.say(&format!("note: after {most} replicates {of} is not known as well as asked"));
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    /// A score around `10 * a`, with the deviation `a`. The fourth replicate tells none, and the second of `a: 3` fails.
    const MODEL: &str = "fn trial(t, random) {
        let a = t.params.a; let source = random(t.params.seed * 100 + a);
        let told = if t.params.seed == 4 { [] } else { [[1, \"score\", a * 10 + a * source.normal()]] };
        #{ takes: 60 * t.params.seed, metrics: told, exit: if a == 3 && t.params.seed == 2 { 1 } else { 0 } }
    }";

    const BASE: &str = "let base = #{ name: \"rep\", cmd: \"go {a} {seed}\" }; let points = grid(#{ a: [1, 2, 3] });\n";

    fn output(lines: &str) -> String {
        Lab::simulated(MODEL).output(&format!("{BASE}{lines}"))
    }

    #[test]
    fn each_point_is_repeated_until_its_mean_is_known() {
        let lines = "let r = replicate(base, points, #{ goal: \"max score\", within: 1.0, most: 20, parallel: 3 });
            for g in compare(r, #{ by: \"a\" }).groups { print(`${g.params.a}: ${g.n} ${g.within <= 1.0}`); }
            print(r.trials.map(|t| t.name).extract(0, 6)); print(r[0].params); print(r[0].cmd); print(r.name); print(r.best().params.a);
            let wide = replicate(base, points, #{ goal: \"max score\", within: 1.0, most: 20, parallel: 16 });
            let names = |r| { let all = r.trials.map(|t| t.name); all.sort(); all };
            print(names.call(wide) == names.call(r));
            print(replicate(base, points, #{ goal: \"max score\", within: \"50%\", name: \"share\" }).len()); exit(0);";
        assert_snapshot!(output(lines), @r#"
        closed rep 47/48
        note: `score` was not told by 3 of the trials that succeeded: they count as failed
        note: after 20 replicates the mean of 2 of 3 points is not known as well as asked
        3: 18 false
        2: 19 false
        1: 7 true
        ["rep-1-1", "rep-2-1", "rep-3-1", "rep-1-2", "rep-2-2", "rep-3-2"]
        #{"a": 1, "seed": 1}
        ["go", "1", "1"]
        rep
        3
        closed rep 47/48
        note: `score` was not told by 3 of the trials that succeeded: they count as failed
        note: after 20 replicates the mean of 2 of 3 points is not known as well as asked
        true
        closed share 18/19
        note: `score` was not told by 3 of the trials that succeeded: they count as failed
        19
        "#);
    }

    #[test]
    fn a_point_that_is_behind_gets_no_more() {
        let lines = "let base = #{ name: \"cv-{a}.{seed}\" };
            let r = replicate(base, points, #{ goal: \"min score\", margin: 5, most: 3, name: \"cv\", parallel: 3 });
            print(r.trials.map(|t| t.name)); print(r.name);
            let both = #{ goal: \"min score\", margin: 5, within: 0.5, least: 3, most: 10 };
            print(replicate(base, points, both).trials.map(|t| t.name)); exit(0);";
        assert_snapshot!(output(lines), @r#"
        closed cv 5/5
        ["cv-1.1", "cv-2.1", "cv-3.1", "cv-1.2", "cv-1.3"]
        cv
        closed script 17/18
        note: `score` was not told by 2 of the trials that succeeded: they count as failed
        note: after 10 replicates the mean of 1 of 3 points is not known as well as asked
        ["cv-1.1", "cv-2.1", "cv-3.1", "cv-1.2", "cv-2.2", "cv-3.2", "cv-1.3", "cv-2.3", "cv-3.3", "cv-1.4", "cv-1.5", "cv-1.6", "cv-3.4", "cv-1.7", "cv-1.8", "cv-1.9", "cv-1.10", "cv-3.5"]
        "#);
    }

    #[test]
    fn what_is_not_told_fails_or_is_killed_is_no_value() {
        let lines = "let few = #{ goal: \"max score\", within: 0.01, least: 3, most: 5 };
            let r = replicate(base, [#{ a: 3 }], few); print(r); print(r.trials.map(|t| t.value(\"score\") != ()));
            print(replicate(base, [#{ a: 1 }], few + #{ goal: \"max scroe\", name: \"untold\" }).len());
            print(replicate(base, [#{ a: 1 }], few + #{ on_complete: |t| (), on_start: |t| if t.params.seed == 2 { t.kill() }, name: \"killed\" }));
            print(replicate(base, points, few + #{ halt: \"now,success=4\", name: \"halted\", parallel: 1 }));
            print(replicate(base, points, few + #{ on_complete: |t, run| run.drain(), name: \"drained\", parallel: 1 })); exit(0);";
        assert_snapshot!(output(lines), @"
        closed rep 4/5
        note: `score` was not told by 1 of the trials that succeeded: they count as failed
        note: after 5 replicates the mean of 1 of 1 points is not known as well as asked
        rep: 4 of 5 succeeded, 1 failed
        [true, true, true, false, true]
        closed untold 3/3
        note: `scroe` was not told by 3 of the trials that succeeded: they count as failed; did you mean `score`?
        3
        closed killed 2/3
        killed: 2 of 3 succeeded, 1 killed
        closed halted 4/9
        halted: 4 of 9 succeeded, 5 skipped
        closed drained 2/9
        drained: 2 of 9 succeeded, 7 skipped
        ");
    }

    #[test]
    fn what_replicates_lack_is_told() {
        let told = |line: &str| Lab::new().refusal(&format!("{BASE}{line}"));
        let all = [
            "replicate(base, points, #{ within: 1 })",
            "replicate(base, points, #{ goal: \"score\", within: 1 })",
            "replicate(base, points, #{ goal: \"max score\" })",
            "replicate(base, points, #{ goal: \"max score\", within: 0 })",
            "replicate(base, points, #{ goal: \"max score\", within: \"x%\" })",
            "replicate(base, points, #{ goal: \"max score\", within: \"1\" })",
            "replicate(base, points, #{ goal: \"max score\", margin: -1 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, confidence: 95 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, least: 1 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, least: 2.5 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, most: 4 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, over: \"a b\" })",
            "replicate(base, points, #{ goal: \"max score\", wihtin: 1, margin: 1 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, paralel: 1 })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, metric: \"x\" })",
            "replicate(base, points, #{ goal: \"max score\", within: 1, parallel: 0 })",
            "replicate(base, [], #{ goal: \"max score\", within: 1 })",
            "replicate(base, [1], #{ goal: \"max score\", within: 1 })",
            "replicate(base, [#{ a: 1, seed: 3 }], #{ goal: \"max score\", within: 1 })",
            "replicate(base, [#{ a: 1 }, #{ a: 1 }], #{ goal: \"max score\", within: 1 })",
            "replicate(#{ cmd: \"go\" }, points, #{ goal: \"max score\", within: 1 })",
            "replicate(#{ name: \"rep-{a}\" }, points, #{ goal: \"max score\", margin: 1 })",
            "replicate(#{ name: \"rep\", cmd: \"go {fold}\" }, points, #{ goal: \"max score\", within: 1 })",
        ];
        assert_snapshot!(all.map(told).join("\n"), @r#"
        `replicate` has a goal = say what is measured: `replicate(base, points, #{ goal: "min loss", within: 0.02 })`
        `score` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps
        `replicate` is not told when a point has enough replicates = by the interval of its mean, `within: 0.02` or `within: "5%"`, or by its distance from the best, `margin: 0.02`
        within: `0` is no width: write a distance from the mean above 0, such as 0.02, or a share of it, "5%"
        within: `x%` is no width: write a distance from the mean above 0, such as 0.02, or a share of it, "5%"
        within: `1` is no width: write a distance from the mean above 0, such as 0.02, or a share of it, "5%"
        margin: `-1` is no distance from the best mean: write one, such as 0.02
        confidence: `95` is no share between 0 and 1, such as 0.95
        least: 1 value has no interval = an interval needs two values; it is honest from about five on, which is the default
        least: `2.5` is no number of replicates: write a whole one from 1 on
        most: 4 is less than least: 5 = say both: `least: 3, most: 4`
        over: `a b` cannot be the name of a param = it counts the replicates of each point: `over: "fold"`
        `replicate` has no option `wihtin` = did you mean `within`?
        `replicate` has no option `paralel` = did you mean `parallel`?
        `replicate` has no option `metric` = the metric stands in the goal: `goal: "min time"`
        parallel: `0` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)
        there are no points = one without params is `[#{}]`
        point [0]: a point is a map such as `#{ lr: 0.1 }`, not i64 = `grid(space)`, `zip(space)` and `sample(space, n)` make points
        point [0] has the param `seed`, which counts replicates = leave `seed` out of the points, or count by another param: `over: "replicate"`
        point [1] is there twice: {"a":1}
        the base has no name = the trials are named after it: `name: "train"`
        the name `rep-{a}` makes two trials `rep-1` = name every param that varies in it, or none: they are named by their values then
        `cmd[1]` asks for `{fold}`, which is no param of the trial = there are a, seed; for braces as they stand, write `{{fold}}`
        "#);
    }
}
