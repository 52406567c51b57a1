//! What trials told of themselves and what they took, on the local engine, as users meet it.

use serde_json::{Value, json};

use crate::harness::{Lab, named};

/// The value of a metric in a run's result, as `-o json` shows it.
fn last(result: &Value, metric: &str) -> Value {
    result["results"][0]["metrics"][metric]["last"].clone()
}

#[test]
fn what_a_local_trial_took_is_in_its_end() {
    // 64 MiB are more than combu itself holds: what is not above that is not known to be the trial's own.
    let lab = Lab::with(
        r#"[{name: 'busy', engine: 'local', cmd: ['sh', '-c', 'head -c 64m /dev/zero | tail -c 64m | wc -c; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done']},
            {name: 'idle', engine: 'local', cmd: 'true'}]"#,
    );
    let result = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(0).json();
    let usage = |place: usize| result["results"][place]["usage"].clone();
    assert!(usage(0)["peak_memory"].as_u64().unwrap() > 64 << 20, "{}", usage(0));
    assert!(usage(0)["cpu_seconds"].as_f64().unwrap() > 0.01, "{}", usage(0));
    assert!(usage(1)["cpu_seconds"].as_f64().unwrap() < usage(0)["cpu_seconds"].as_f64().unwrap());
    assert!(usage(1)["peak_memory"].is_null(), "combu's own memory is not the trial's: {}", usage(1));
    assert!(usage(1)["written_bytes"].is_u64(), "{}", usage(1));
    let events = lab.events();
    assert_eq!(named(&events, "attempt-ended").iter().filter(|end| end["usage"]["cpu_seconds"].is_f64()).count(), 2);
}

#[test]
fn a_local_trial_tells_its_metrics_in_three_ways() {
    let lab = Lab::with(
        r#"[{name: 'train', engine: 'local', metrics: {acc: 'accuracy: ([0-9.]+) %'}, cmd: ['sh', '-c', |||
            echo '::combu metric loss=0.5 step=1'
            echo '::combu tag phase=warmup'
            echo '::combu artifact /out/model.pt'
            echo 'accuracy: 87.5 %'
            echo '{"from_file": 3, "step": 7, "note": "hi"}' >> "$COMBU_METRICS"
            printf '::combu metric loss=0.25 step=2'
            printf '{"unended": 4}' >> "$COMBU_METRICS"
        |||]}]"#,
    );
    let result = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(0).json();
    assert_eq!(last(&result, "loss"), 0.25);
    assert_eq!(last(&result, "acc"), 87.5);
    assert_eq!((last(&result, "from_file"), last(&result, "unended")), (json!(3.0), json!(4.0)));
    assert_eq!(result["results"][0]["metrics"]["from_file"]["step"], 7);
    assert_eq!(result["results"][0]["tags"], json!({"note": "hi", "phase": "warmup"}));
    assert_eq!(result["results"][0]["artifacts"], json!(["/out/model.pt"]));
    assert_eq!(result["warnings"], json!(["`train` left nothing to collect at `/out/model.pt`"]));
    let events = lab.events();
    let first = named(&events, "recorded")[0].clone();
    assert_eq!((&first["trial"], &first["attempt"], &first["kind"]), (&json!("train"), &json!(1), &json!("metric")));
}

#[test]
fn what_a_file_tells_is_heard_while_the_trial_runs_and_each_attempt_has_its_own() {
    let lab = Lab::with(
        r#"[{name: 'train', engine: 'local', retries: 1, cmd: ['sh', '-c', |||
            printf '{"n": %s}\n' $COMBU_ATTEMPT >> $COMBU_METRICS
            [ $COMBU_ATTEMPT = 2 ] || exit 1
            cat ready
        |||]}]"#,
    );
    lab.pipe("ready");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.line(r#""kind":"metric","name":"n","value":2.0"#);
    std::fs::write(lab.path("ready"), "").unwrap();
    live.end().code(0);
    let told = lab.events();
    let values: Vec<_> =
        named(&told, "recorded").iter().map(|event| format!("{} {}", event["attempt"], event["value"])).collect();
    assert_eq!(values, ["1 1.0", "2 2.0"]);
}

#[test]
fn what_cannot_be_read_is_said_once_and_fails_nothing() {
    let lab = Lab::with(
        r#"[{name: 'train', engine: 'local', cmd: ['sh', '-c',
            'echo ::combu metric loss=nan; echo ::combu metrics; mkfifo $COMBU_METRICS']}]"#,
    );
    let said = lab.combu(&["run", "spec.jsonnet", "--progress", "json"]).code(0);
    let events = said.events();
    let messages: Vec<_> = named(&events, "warned").iter().map(|event| event["message"].clone()).collect();
    let message =
        "`train` told something that cannot be read, 3 times; the first: `loss=nan`: a metric is a finite number";
    assert_eq!(messages, [message]);
}

#[test]
fn a_pattern_that_is_none_is_told_with_its_place() {
    let lab = Lab::with(
        "[{name: 'one', engine: 'local', cmd: 'true', metrics: {loss: 'loss: (', acc: 'acc', err: '(a)(b)', step: '(x)'}}]",
    );
    insta::assert_snapshot!(lab.combu(&["plan", "spec.jsonnet"]).code(2).stderr, @"
    error: the spec `spec.jsonnet` is not valid
      [0].metrics.acc: `acc` has no group for the value: put its part in brackets, as in `loss=([0-9.]+)`
      [0].metrics.err: `(a)(b)` has more than one group: write `(?:..)` for those that are not the value
      [0].metrics.loss: `loss: (` is no regular expression: unclosed group
      [0].metrics.step: a metric's name is not empty, and not `step`
    ");
}

#[test]
fn results_are_plotted_as_curves_or_bars() {
    let mut lab = Lab::with(
        r#"{goal: 'min loss', trials: [
            {name: 'fit-%02d' % n, engine: 'local', cmd: ['sh', '-c',
              'for i in 1 2 3; do echo "::combu metric loss=$((%d * 4 - i)) step=$i"; done; echo ::combu metric acc=%d' % [n, n]]}
            for n in std.range(1, 3)]}"#,
    );
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    insta::assert_snapshot!(lab.combu(&["results", "--plot", "loss", "--plot", "acc"]).code(0).stdout, @"
    loss by step
    11 │⠉⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀
       │                      ⠉⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀
       │                                               ⠉⠉⠉⠉⠉⠉⠒⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⡀
       │                                                                       ⠈⠉⠉c
       │
       │
       │⠉⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀
     6 │                      ⠉⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⣀⣀
       │                                                 ⠉⠉⠉⠉⠉⠉⠉⠒⠒⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⠤⣀⣀⣀b
       │
       │
       │⣀⣀⣀⡀
       │   ⠈⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠒⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀⡀
       │                            ⠈⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠒⠤⠤⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀
     1 │                                                     ⠉⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⢄⣀⣀a
       └───────────────────────────────────────────────────────────────────────────
        1                                                                         3
    a  fit-01  1
    b  fit-02  5
    c  fit-03  9

    acc
    fit-01  1  ███████████████████████
    fit-02  2  ██████████████████████████████████████████████
    fit-03  3  █████████████████████████████████████████████████████████████████████
    ");
    lab.set("LANG", "C");
    let ascii = lab.combu(&["results", "last/fit-01", "--plot", "loss", "--plot", "acc"]).code(0).stdout;
    assert!(ascii.is_ascii(), "{ascii}");
    let stderr = lab.combu(&["results", "--plot", "lost"]).code(4).stderr;
    assert!(stderr.starts_with("error: no value of `lost` was told\nhint: did you mean `loss`?"), "{stderr}");
    let stderr = lab.combu(&["results", "--plot", "loss", "-o", "csv"]).code(2).stderr;
    assert!(stderr.contains("cannot be used with"), "{stderr}");
}

#[test]
fn of_many_trials_three_curves_are_plotted_and_that_is_said() {
    let lab = Lab::with(
        r#"[{name: 'fit-%02d' % n, engine: 'local', cmd: ['sh', '-c',
              'echo ::combu metric loss=1 step=0; echo "::combu metric loss=%d step=1"; echo ::combu metric acc=%d' % [n, n]]}
            for n in std.range(1, 25)]"#,
    );
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    let said = |args: &[&str]| {
        let said = lab.combu(&[&["results", "--plot"], args].concat()).code(0).stdout;
        let lines: Vec<&str> = said.lines().collect();
        [&lines[..1], &lines[lines.len() - 3..]].concat().join("\n")
    };
    insta::assert_snapshot!(said(&["loss"]), @"
    loss by step: the lowest, median and highest of 25 trials
    a  fit-01 (lowest)   1
    b  fit-13 (median)   13
    c  fit-25 (highest)  25
    ");
    insta::assert_snapshot!(said(&["acc", "--sort", "loss", "-r"]), @"
    acc: the first 20 of 25 trials
    fit-08   8  █████████████████████▊
    fit-07   7  ███████████████████
    fit-06   6  ████████████████▍
    ");
}
