//! Comparisons in scripts: which of several settings is better, and whether that is more than chance.

use std::collections::{BTreeSet, HashMap};

use rhai::{Array, Dynamic, Engine, Map};
use serde_json::Value;

use crate::model::options::Goal;
use crate::model::suggest::did_you_mean;
use crate::report::table::list;
use crate::script::api::replicate::read_confidence;
use crate::script::api::result::{UNBOUNDED, unread};
use crate::script::fault::{Answer, fault, fault_with};
use crate::script::values::convert::{from_json, from_object};
use crate::script::values::result::{RunResult, TrialView};
use crate::script::values::series::kind;
use crate::space::Point;
use crate::stats::{Comparison, Sample};

/// The options of `compare`.
pub(crate) const KNOWN: [&str; 4] = ["by", "goal", "paired", "confidence"];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("compare", |result: RunResult, options: Map| {
        let views: Vec<TrialView> = result.shown().collect();
        compare(&views, &CompareOptions::read(&options, result.goal())?)
    });
    engine.register_fn("compare", |trials: Array, options: Map| {
        let views = trials.into_iter().map(|trial| {
            let found = kind(&trial);
            trial
                .try_cast::<TrialView>()
                .ok_or_else(|| fault(format!("`compare` takes results of trials, not {found}")))
        });
        compare(&views.collect::<Answer<Vec<_>>>()?, &CompareOptions::read(&options, None)?)
    });
}

struct CompareOptions {
    /// The params whose values make the groups.
    by: Vec<String>,
    /// Whether it was one param that was named, and no list.
    is_one: bool,
    goal: Goal,
    /// The param whose values say which trials belong together.
    paired: Option<String>,
    confidence: f64,
}

impl CompareOptions {
    fn read(options: &Map, goal: Option<&Goal>) -> Answer<Self> {
        if let Some(key) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            let hint = match key.as_str() {
                "metric" => "say which values are better, too: `goal: \"min time\"`".to_owned(),
                key => did_you_mean(key, KNOWN).unwrap_or_else(|| format!("there are {}", KNOWN.join(", "))),
            };
            return Err(fault_with(format!("`compare` has no option `{key}`"), hint));
        }
        let Some(by) = options.get("by") else {
            return Err(fault_with("`compare` is not told what to compare by", "name a param: `by: \"algo\"`"));
        };
        let list = by.read_lock::<Array>().map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        let is_one = list.is_none();
        let goal = match (options.get("goal"), goal) {
            (Some(goal), _) => Goal::parse(&goal.to_string()).map_err(fault)?,
            (None, Some(goal)) => goal.clone(),
            (None, None) => {
                return Err(fault_with(
                    "`compare` is not told what is better",
                    "give the run a goal, or say it here: `compare(result, #{ by: \"algo\", goal: \"min time\" })`",
                ));
            }
        };
        let confidence = options.get("confidence").map_or(Ok(0.95), read_confidence)?;
        let paired = options.get("paired").map(ToString::to_string);
        Ok(Self { by: list.unwrap_or_else(|| vec![by.to_string()]), is_one, goal, paired, confidence })
    }

    /// What a group is called: the value of the param, or those of several.
    fn label(&self, params: &Point) -> Dynamic {
        match self.is_one {
            true => params.values().next().map_or(Dynamic::UNIT, from_json),
            false => from_object(params).into(),
        }
    }
}

/// Trials with the same values of the params that they are compared by.
struct Group {
    params: Point,
    values: Vec<f64>,
    /// By what belongs together, where that was said.
    pairs: HashMap<String, f64>,
    /// How many of its trials have no value.
    without: usize,
    sample: Option<Sample>,
}

/// The best group beside another.
struct Rival<'g> {
    group: &'g Group,
    comparison: Comparison,
    pairs: Option<usize>,
}

fn compare(views: &[TrialView], options: &CompareOptions) -> Answer<Map> {
    for param in options.by.iter().chain(&options.paired) {
        check_param(views, param)?;
    }
    let mut groups: Vec<Group> = Vec::new();
    for view in views {
        add(&mut groups, view, options)?;
    }
    if let [only] = &groups[..] {
        let values = only.params.iter().map(|(name, value)| format!("`{name}` is {value}"));
        let values = values.collect::<Vec<_>>().join(", ");
        return Err(fault(format!("there is nothing to compare: in all trials {values}")));
    }
    for group in &mut groups {
        group.sample = Sample::of(&group.values);
    }
    groups.sort_by(|one, other| match (&one.sample, &other.sample) {
        (Some(one), Some(other)) => options.goal.order(one.mean, other.mean),
        (one, other) => one.is_none().cmp(&other.is_none()),
    });
    let rivals = rivals(&groups, options)?;
    // Whoever is hardest to tell from the best one says whether there is a winner.
    let hardest = rivals.iter().max_by(|one, other| one.comparison.p.total_cmp(&other.comparison.p));
    let best = groups.iter().find(|group| group.values.len() > 1);
    let is_better = |rival: &Rival<'_>| options.goal.order(rival.comparison.difference, 0.0).is_lt();
    let wins = hardest.is_some_and(|hardest| hardest.comparison.p < 1.0 - options.confidence);
    let winner = best.filter(|_| wins && rivals.iter().all(is_better));
    let mut found = hardest.map(|hardest| hardest.to_map(None)).unwrap_or_else(Rival::nothing);
    found.insert("winner".into(), winner.map_or(Dynamic::UNIT, |winner| options.label(&winner.params)));
    found.insert("table".into(), table(&groups, options).into());
    let each = groups.iter().map(|group| group.to_map(options.confidence).into());
    found.insert("groups".into(), each.collect::<Array>().into());
    let each = rivals.iter().map(|rival| rival.to_map(Some(from_object(&rival.group.params).into())).into());
    found.insert("against".into(), each.collect::<Array>().into());
    Ok(found)
}

/// Tells a param that no trial has.
fn check_param(views: &[TrialView], param: &str) -> Answer<()> {
    let known = || views.iter().flat_map(|view| view.result.trial.params.keys()).map(String::as_str);
    if known().any(|known| known == param) {
        return Ok(());
    }
    let hint = did_you_mean(param, known()).unwrap_or_else(|| {
        let names: BTreeSet<&str> = known().collect();
        format!("there are {}", names.into_iter().collect::<Vec<_>>().join(", "))
    });
    Err(fault_with(format!("no trial has the param `{param}`"), hint))
}

/// Adds a trial to its group; one without these params is in none.
fn add(groups: &mut Vec<Group>, view: &TrialView, options: &CompareOptions) -> Answer<()> {
    let all = &view.result.trial.params;
    let params = options.by.iter().map(|name| Some((name.clone(), all.get(name)?.clone()))).collect::<Option<Point>>();
    let Some(params) = params else { return Ok(()) };
    let place = groups.iter().position(|group| group.params == params).unwrap_or_else(|| {
        let (values, pairs) = (Vec::new(), HashMap::new());
        groups.push(Group { params, values, pairs, without: 0, sample: None });
        groups.len() - 1
    });
    let group = &mut groups[place];
    let value = if view.ok() { view.toward(&options.goal) } else { Ok(None) };
    let value = value.map_err(|error| unread(view, &error))?;
    let Some(value) = value.filter(|value| value.is_finite()) else {
        group.without += 1;
        return Ok(());
    };
    group.values.push(value);
    if let Some((param, key)) = options.paired.as_ref().and_then(|param| Some((param, all.get(param)?.to_string())))
        && group.pairs.insert(key.clone(), value).is_some()
    {
        return Err(fault_with(
            format!("two trials of a group have `{param}` = {key}, and only one of them has a pair"),
            "name all params that tell the groups apart: `by: [\"algo\", \"size\"]`",
        ));
    }
    Ok(())
}

/// The best group with two values or more beside each other such group. Each of several comparisons may be wrong by chance:
/// they share what all together may be wrong (Bonferroni).
fn rivals<'g>(groups: &'g [Group], options: &CompareOptions) -> Answer<Vec<Rival<'g>>> {
    let known: Vec<&Group> = groups.iter().filter(|group| group.values.len() > 1).collect();
    let Some((best, others)) = known.split_first() else { return Ok(Vec::new()) };
    let share = others.len().max(1) as f64;
    let confidence = 1.0 - (1.0 - options.confidence) / share;
    let beside = |group: &&'g Group| {
        let (comparison, pairs) = match &options.paired {
            None => (Comparison::welch(&best.sample?, &group.sample?, confidence)?, None),
            Some(_) => {
                let mut shared: Vec<_> =
                    best.pairs.iter().filter_map(|(key, one)| Some((key, one - group.pairs.get(key)?))).collect();
                // A sum of fractions depends on their order.
                shared.sort_by_key(|(key, _)| *key);
                let differences: Vec<f64> = shared.into_iter().map(|(_, difference)| difference).collect();
                (Comparison::paired(&differences, confidence)?, Some(differences.len()))
            }
        };
        let comparison = Comparison { p: (comparison.p * share).min(1.0), ..comparison };
        Some(Rival { group, comparison, pairs })
    };
    let found: Vec<Rival<'g>> = others.iter().filter_map(beside).collect();
    match &options.paired {
        Some(paired) if found.is_empty() && !others.is_empty() => {
            Err(fault(format!("no two values of `{paired}` are in the best group and in another one")))
        }
        _ => Ok(found),
    }
}

impl Group {
    fn to_map(&self, confidence: f64) -> Map {
        let number = |number: Option<f64>| number.map_or(Dynamic::UNIT, Dynamic::from);
        let of = |what: fn(&Sample) -> f64| number(self.sample.as_ref().map(what));
        [
            ("params", from_object(&self.params).into()),
            ("n", (self.values.len() as i64).into()),
            ("mean", of(|sample| sample.mean)),
            ("sd", of(|sample| sample.sd)),
            ("within", number(self.sample.and_then(|sample| sample.within(confidence)))),
        ]
        .map(|(key, value)| (key.into(), value))
        .into()
    }
}

impl Rival<'_> {
    fn to_map(&self, params: Option<Dynamic>) -> Map {
        let Comparison { difference, interval: (low, high), p } = self.comparison;
        let interval = Dynamic::from_array(vec![low.into(), high.into()]);
        let pairs = self.pairs.map_or(Dynamic::UNIT, |pairs| (pairs as i64).into());
        let all = [("difference", difference.into()), ("interval", interval), ("p", p.into()), ("pairs", pairs)];
        all.into_iter().chain(params.map(|params| ("params", params))).map(|(key, value)| (key.into(), value)).collect()
    }

    /// What is known where there is nobody to compare the best one with.
    fn nothing() -> Map {
        ["difference", "interval", "p", "pairs"].map(|key| (key.into(), Dynamic::UNIT)).into()
    }
}

/// The groups, the best first, with the means and how well they are known.
fn table(groups: &[Group], options: &CompareOptions) -> String {
    let some_lack = groups.iter().any(|group| group.without > 0);
    let mut columns = options.by.clone();
    columns.extend(["n", "mean", "within"].map(str::to_owned));
    columns.extend(some_lack.then(|| "failed".to_owned()));
    let row = |group: &Group| {
        let within = group.sample.and_then(|sample| sample.within(options.confidence));
        let mut cells: Vec<String> = group.params.values().map(cell).collect();
        cells.push(group.values.len().to_string());
        cells.push(
            group.sample.map(|sample| rounded(sample.mean, within.unwrap_or(sample.mean / 100.0))).unwrap_or_default(),
        );
        cells.push(within.map(|within| rounded(within, within)).unwrap_or_default());
        cells.extend(some_lack.then(|| group.without.to_string()));
        cells
    };
    let mut text = list(&columns, &groups.iter().map(row).collect::<Vec<_>>(), &UNBOUNDED);
    // `print` ends the last line.
    text.pop();
    text
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A number to the second digit of how well it is known.
fn rounded(number: f64, within: f64) -> String {
    let digits = if within == 0.0 { 6.0 } else { 1.0 - within.abs().log10().floor() };
    format!("{number:.*}", digits.clamp(0.0, 12.0) as usize)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    const MODEL: &str = "fn trial(t, random) {
        let noise = random(t.params.seed).normal(); let own = random(t.params.seed * 31 + t.params.size).normal();
        let time = 10.0 * t.params.size + noise + (if t.params.algo == \"b\" { -0.5 + 0.1 * own } else { 0.0 });
        #{ takes: 10, metrics: [[1, \"time\", time]], exit: if t.params.seed == 9 && t.params.algo == \"b\" { 1 } else { 0 } }
    }";

    const RUN: &str = "let base = #{ name: \"bench\" }; let goal = #{ goal: \"min time\", rm: \"always\" };
        let all = |size, algo, n| experiment(\"bench\", base, grid(#{ size: size, algo: algo, seed: 1..=n }));
        let show = |c| { let k = c; k.remove(\"groups\"); k.remove(\"table\"); k.remove(\"against\"); print(k); };\n";

    fn output(lines: &str) -> String {
        Lab::simulated(MODEL).output(&format!("{RUN}{lines}"))
    }

    #[test]
    fn two_groups_are_compared_by_all_their_values_or_in_pairs() {
        let lines = "let r = run(all.call(1, [\"a\", \"b\"], 9), goal); let c = compare(r, #{ by: \"algo\" });
            print(c.table); show.call(c); show.call(compare(r, #{ by: \"algo\", paired: \"seed\" }));
            show.call(compare(r, #{ by: \"algo\", paired: \"seed\", goal: \"max time\", confidence: 0.5 }));
            print(c.groups[0]); print(c.against.len()); print(compare(r.filter(|t| t.params.seed < 3), #{ by: \"algo\", goal: \"min time\" }).table); exit(0);";
        assert_snapshot!(output(lines), @r#"
        closed bench 17/18
        algo  n  mean  within  failed
        b     8  8.82    0.58       1
        a     9  9.27    0.47       0
        #{"difference": -0.4443282314300774, "interval": [-1.1261828889233838, 0.23752642606322916], "p": 0.1840667412559155, "pairs": (), "winner": ()}
        #{"difference": -0.5053037320181715, "interval": [-0.6021297997233435, -0.40847766431299953], "p": 5.26947639531265e-6, "pairs": 8, "winner": "b"}
        #{"difference": 0.5053037320181715, "interval": [0.4761840687540643, 0.5344233952822787], "p": 5.26947639531265e-6, "pairs": 8, "winner": "a"}
        #{"mean": 8.821157624039207, "n": 8, "params": #{"algo": "b"}, "sd": 0.6937013870468036, "within": 0.5799488729346749}
        1
        algo  n  mean  within
        b     2     9      11
        a     2     9      10
        "#);
    }

    #[test]
    fn several_groups_are_compared_with_the_best() {
        let lines = "let r = run(all.call([1, 2], [\"a\", \"b\"], 5), goal);
            let c = compare(r, #{ by: [\"algo\", \"size\"], paired: \"seed\" }); print(c.table); print(c.winner);
            for other in c.against { print(`${other.params} ${other.p < 0.05} ${other.difference < 0.0}`); }
            let two = compare(r.filter(|t| t.params.size == 1), #{ by: \"algo\", paired: \"seed\", goal: \"min time\" });
            print((c.against[0].p / two.p - 3.0).abs() < 1e-9); print(c.against[0].interval[1] > two.interval[1]);
            print(compare(r, #{ by: \"size\" }).winner);
            let one = run(all.call(1, [\"a\", \"b\"], 1), goal); let c = compare(one, #{ by: \"algo\" }); print(c.table); show.call(c); exit(0);";
        assert_snapshot!(output(lines), @r#"
        closed bench 20/20
        algo  size  n   mean  within
        b        1  5   8.79    0.93
        a        1  5   9.26    0.84
        b        2  5  18.75    0.95
        a        2  5  19.26    0.84
        #{"algo": "b", "size": 1}
        #{"algo": "a", "size": 1} true true
        #{"algo": "b", "size": 2} true true
        #{"algo": "a", "size": 2} true true
        true
        true
        1
        closed bench 2/2
        algo  n   mean  within
        b     1  9.590
        a     1  9.967
        #{"difference": (), "interval": (), "p": (), "pairs": (), "winner": ()}
        "#);
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let lab = Lab::simulated(MODEL);
        let made = "let r = run(all.call([1, 2], [\"a\", \"b\"], 2));";
        let told = |line: &str| lab.refusal(&format!("{RUN}{made} {line}"));
        let all = [
            "compare(r, #{ by: \"algo\" })",
            "compare(r, #{ goal: \"min time\" })",
            "compare(r, #{ by: \"algo\", metric: \"time\" })",
            "compare(r, #{ by: \"algo\", goal: \"min time\", piared: \"seed\" })",
            "compare(r, #{ by: \"agl\", goal: \"min time\" })",
            "compare(r, #{ by: \"algo\", goal: \"min time\", paired: \"sede\" })",
            "compare(r, #{ by: \"algo\", goal: \"min time\", paired: \"seed\" })",
            "compare(r, #{ by: \"algo\", goal: \"min time\", confidence: 1 })",
            "compare(r, #{ by: \"seed\", goal: \"min time\", paired: \"seed\" })",
            "compare(r.filter(|t| t.params.algo == \"a\"), #{ by: \"algo\", goal: \"min time\" })",
            "compare([1], #{ by: \"algo\", goal: \"min time\" })",
        ];
        assert_snapshot!(all.map(told).join("\n"), @r#"
        `compare` is not told what is better = give the run a goal, or say it here: `compare(result, #{ by: "algo", goal: "min time" })`
        `compare` is not told what to compare by = name a param: `by: "algo"`
        `compare` has no option `metric` = say which values are better, too: `goal: "min time"`
        `compare` has no option `piared` = did you mean `paired`?
        no trial has the param `agl` = there are algo, seed, size
        no trial has the param `sede` = did you mean `seed`?
        two trials of a group have `seed` = 1, and only one of them has a pair = name all params that tell the groups apart: `by: ["algo", "size"]`
        confidence: `1` is no share between 0 and 1, such as 0.95
        two trials of a group have `seed` = 1, and only one of them has a pair = name all params that tell the groups apart: `by: ["algo", "size"]`
        there is nothing to compare: in all trials `algo` is "a"
        `compare` takes results of trials, not i64
        "#);
    }
}
