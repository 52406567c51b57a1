//! Every value of every metric, for scripts that look back. Kept only where a script follows the run.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use rhai::{Array, Dynamic, Map};

use crate::model::event::{Event, Fact, Record};
use crate::model::name::Name;
use crate::script::values::series::Series;

/// The values that the last attempt of each trial told, in order.
#[derive(Clone, Default)]
pub(crate) struct MetricHistory(Rc<RefCell<HashMap<Name, Metrics>>>);

type Metrics = BTreeMap<String, MetricCurve>;

/// The values of a metric.
#[derive(Default)]
struct MetricCurve {
    points: Vec<MetricValue>,
    /// The same as scripts have them, as far as one asked for it: a hook may ask at each value.
    series: Series,
}

/// A value of a metric.
#[derive(Clone, Copy)]
struct MetricValue {
    step: Option<u64>,
    value: f64,
    /// Milliseconds since 1970-01-01 UTC.
    at: u64,
}

impl MetricHistory {
    /// Takes one more event into account.
    pub(crate) fn hear(&self, event: &Event) {
        match &event.fact {
            Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. } => {
                let point = MetricValue { step: *step, value: *value, at: event.at };
                let mut all = self.0.borrow_mut();
                all.entry(trial.clone()).or_default().entry(name.clone()).or_default().points.push(point);
            }
            Fact::AttemptStarting { trial, .. } | Fact::AttemptAdopted { trial, .. } => {
                self.0.borrow_mut().remove(trial);
            }
            _ => {}
        }
    }

    /// The values of a trial's metric as a script has them: what stands for an array, or an array itself, which is copied where
    /// a variable gets it. In passing nobody can change either: a sorted list would be lost.
    pub(crate) fn of(&self, trial: &Name, metric: &str, may_stand: bool) -> Dynamic {
        let mut all = self.0.borrow_mut();
        let mut none = MetricCurve::default();
        let curve = all.get_mut(trial).and_then(|metrics| metrics.get_mut(metric)).unwrap_or(&mut none);
        let missing = curve.points[curve.series.len()..].iter().map(|point| point.map());
        if !curve.series.grow(missing) {
            let map = |point: &MetricValue| point.map().into();
            return curve.points.iter().map(map).collect::<Array>().into();
        }
        if may_stand { Dynamic::from(curve.series.clone()).into_read_only() } else { curve.series.in_passing() }
    }
}

impl MetricValue {
    fn map(self) -> Map {
        let at = self.at as f64 / 1000.0;
        Map::from([("step".into(), step(self.step)), ("value".into(), self.value.into()), ("at".into(), at.into())])
    }
}

/// A step as scripts have it: a whole number, or `()`.
pub(crate) fn step(step: Option<u64>) -> Dynamic {
    step.map_or(Dynamic::UNIT, |step| i64::try_from(step).unwrap_or(i64::MAX).into())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::engine::fake::{Fake, Scene};
    use crate::model::outcome::Exit;
    use crate::script::harness::Lab;

    /// A lab whose trial `one` fails and then tells more, and whose trial `two` tells nothing.
    fn lab() -> Lab {
        let first = "::combu metric loss=7\n";
        let last = "::combu metric loss=2 acc=0.5 step=1\n::combu metric loss=1 step=2\n::combu metric loss=3\n\
                    ::combu tag phase=main n=3\n::combu artifact /out/x\n";
        let scene =
            |stdout: &str, code| Scene { stdout: stdout.to_owned(), exit: Exit::Code(code), ..Scene::default() };
        Lab::on(Fake::default().scene("one", [scene(first, 1), scene(last, 0)]))
    }

    const RUN: &str = "let e = experiment(\"told\", [#{ name: \"one\", retries: 1, params: #{ mode: \"a\" } }, #{ name: \"two\" }]);\n";

    #[test]
    fn a_list_of_values_is_made_once_and_changed_by_nobody() {
        let lines = "let r = run(e, #{ on_metric: |t, name| if name == \"loss\" { print(t.history(\"loss\").len()); } }); let t = r[\"one\"];
            let same = r[\"one\"]; print(t.history(\"loss\").map(|p| same.history(\"loss\").len())); let mine = t.history(\"loss\"); mine.sort_by(\"value\"); mine.pop();
            mine.push(7); print(t.history(\"loss\").len()); fn last(h) { h[-1].value } print(last(t.history(\"loss\")));
            for p in t.history(\"loss\") { print(p.value); } print(t.history(\"loss\").filter(|p| p.value > 1.5).len());
            fn sorted(h) { h.sort(|a, b| a.value < b.value) } 
            sorted(t.history(\"loss\")); try { t.history(\"loss\").push(1); } catch { print(\"refused\"); }
            try { t.history(\"loss\").sort(|a, b| a.value < b.value); } catch { print(\"refused\"); }
            print(t.history(\"loss\").map(|p| p.value));";
        assert_snapshot!(lab().output(&format!("{RUN}{lines}")), @r#"
        1
        1
        2
        3
        closed told 2/2
        [3, 3, 3]
        3
        3.0
        2.0
        1.0
        3.0
        2
        refused
        refused
        [2.0, 1.0, 3.0]
        "#);
    }

    #[test]
    fn a_list_in_a_variable_reads_like_any_other() {
        let lines = "let r = run(e); let h = r[\"one\"].history(\"loss\");
            print(h[-1].value + h[0][\"value\"]); print(h.map(|p| p.step)); print(h.sort_by(\"value\")[0].value);
            for p in h { p.value += 1.0; print(p.value); } let p = h[0]; p.value = 9.0; print(h.map(|p| p.value));
            print(h.extract(0, 2).map(|p| p.keys().len())); print(to_json(h[0].value)); print(h.reduce(|sum, p| sum + p.value, 0.0));
            print(h.group_by(\"step\").keys()); print(h[0].contains(\"at\") && \"step\" in h[0]); print(type_of(h[0]));
            print(h.filter(|p| p.step == 1)[0].value); print(h.index_of(h[1])); print(h[0] == h[0] && h[0] != h[1]);
            print(from_json(to_json(h)).len()); print(h.unique().len()); print(`${h[0]}`.contains(\"value\"));
            h[0].value = 5.0; h[1] = 7; print(h[0].value + h[1]);
            h.pop(); h.insert(0, 7); h.sort(|a, b| a == 7); h += 3; print(h.len()); print(r[\"one\"].history(\"loss\").map(|p| p.value));";
        assert_snapshot!(lab().output(&format!("{RUN}{lines}")), @r#"
        closed told 2/2
        5.0
        [1, 2, ()]
        1.0
        3.0
        2.0
        4.0
        [2.0, 1.0, 3.0]
        [3, 3]
        2.0
        6.0
        ["", "1", "2"]
        true
        map
        2.0
        1
        true
        3
        3
        true
        12.0
        4
        [2.0, 1.0, 3.0]
        "#);
    }

    #[test]
    fn a_result_knows_what_its_trial_told() {
        let lines = "let r = run(e); let t = r[\"one\"];
            print(t.metrics); print(t.metrics.loss); print(t.tags); print(t.artifacts); print(t.metric(\"loss\"));
            print(t.history(\"loss\").map(|p| [p.step, p.value])); print(t.history(\"loss\")[0].at > 1e9);
            print(t.metric(\"none\") == ()); print(t.history(\"none\")); print(r[\"two\"].metrics);
            print(r.rows()[0].keys()); print(r.table([\"loss\", \"phase\"])); print(t.value(\"loss\"));
            print(r.json().contains(`\"metrics\":{\"acc\":0.5,\"loss\":3.0},\"tags\":{\"n\":3,\"phase\":\"main\"},\"artifacts\":[\"/out/x\"]`));";
        let output = lab().output(&format!("{RUN}{lines}"));
        assert_snapshot!(output, @r#"
        closed told 2/2
        #{"acc": 0.5, "loss": 3.0}
        3.0
        #{"n": 3, "phase": "main"}
        ["/out/x"]
        #{"count": 3, "last": 3.0, "max": 3.0, "min": 1.0, "step": ()}
        [[1, 2.0], [2, 1.0], [(), 3.0]]
        true
        true
        []
        #{}
        ["acc", "attempts", "elapsed", "exit", "loss", "mode", "name", "status"]
        loss  phase
           3  main

        3.0
        true
        "#);
    }

    #[test]
    fn on_metric_takes_as_much_as_it_wants_and_can_kill() {
        let closures = [
            "|t, name, value, step| print(`${t.name} ${name} ${value} ${step} ${t.history(name).len()}`)",
            "|t, name, value| print(`${name} ${value}`)",
            "|t, name| print(name)",
            "|t| print(t.metrics)",
            "|| print(1)",
            "|t, name, value, step, run| print(run.counts.total)",
            "|t, name, value, step, run, more| print(1)",
        ];
        let all: Vec<_> = closures
            .iter()
            .map(|closure| {
                lab().output(&format!("{RUN}run(e, #{{ on_metric: {closure} }});").replace("retries: 1, ", ""))
            })
            .collect();
        assert_snapshot!(all.join("\n--\n"), @r#"
        one loss 7.0  1
        closed told 1/2
        [exit 100]
        --
        loss 7.0
        closed told 1/2
        [exit 100]
        --
        loss
        closed told 1/2
        [exit 100]
        --
        #{"loss": 7.0}
        closed told 1/2
        [exit 100]
        --
        1
        closed told 1/2
        [exit 100]
        --
        2
        closed told 1/2
        [exit 100]
        --
        script.rhai:2:1: `on_metric` cannot be called: this closure takes 6 arguments
          | run(e, #{ on_metric: |t, name, value, step, run, more| print(1) });
          = write `|t, name, value, step, run|`, or the first of these
        "#);
        let slow = Scene {
            run_for: std::time::Duration::from_secs(600),
            stdout: "::combu metric loss=9\n".to_owned(),
            ..Scene::default()
        };
        let lab = Lab::on(Fake::default().scene("one", [slow]));
        let kills = "let r = run(e, #{ on_metric: |t, name, value, step| if value > 5.0 { t.kill() } }); print(r[\"one\"].status);";
        assert_snapshot!(lab.output(&format!("{RUN}{kills}")), @"
        closed told 1/2
        killed
        [exit 100]
        ");
    }
}
