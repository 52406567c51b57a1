//! What containers told of themselves and what they took, on a real daemon.

use rustix::process::Signal;
use serde_json::json;

use crate::docker_lab::docker_lab;

#[test]
fn what_a_container_took_is_read_from_its_control_group() {
    let Some(lab) = docker_lab(
        "[{name: '@busy', image: 'IMAGE', networks: ['none'], cmd: ['sh', '-c',
            'head -c 40m /dev/zero | tail -c 40m | { sleep 1; wc -c; }; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done']}]",
    ) else {
        return;
    };
    let result = lab.run(&["-o", "json"]).code(0).json();
    let usage = &result["results"][0]["usage"];
    assert!(usage["peak_memory"].as_u64().unwrap() > 1 << 20, "{usage}");
    assert!(usage["cpu_seconds"].as_f64().unwrap() > 0.0, "{usage}");
}

#[test]
fn a_container_tells_its_metrics_in_three_ways_whoever_its_user_is() {
    let line = "umask 077; echo ::combu metric loss=0.5 step=1; echo ::combu tag phase=warmup; echo accuracy: 87.5 %; \
                echo ::combu artifact /out/model.pt; printf '{\\\\042from_file\\\\042: 3}' >> $COMBU_METRICS";
    for user in ["", "user: '12345:12345', ", "user: 'host', "] {
        let spec = format!(
            "[{{name: '@train', image: 'IMAGE', networks: ['none'], {user}metrics: {{acc: 'accuracy: ([0-9.]+)'}}, cmd: ['sh', '-c', \"{line}\"]}}]"
        );
        let Some(lab) = docker_lab(&spec) else { return };
        let result = lab.run(&["-o", "json"]).code(0).json();
        let told = &result["results"][0];
        let last = |metric: &str| told["metrics"][metric]["last"].clone();
        assert_eq!(
            [last("loss"), last("acc"), last("from_file")],
            [0.5, 87.5, 3.0].map(|value| json!(value)),
            "{told}"
        );
        assert_eq!(told["tags"], json!({"phase": "warmup"}));
        assert_eq!(told["artifacts"], json!(["/out/model.pt"]));
        let missing = lab.own("`@train` left nothing to collect at `/out/model.pt`");
        assert_eq!(result["warnings"], json!([missing]));
    }
}

#[test]
fn a_trial_may_have_its_own_things_where_combus_file_would_be() {
    let Some(lab) = docker_lab(
        "[{name: '@tmpfs', image: 'IMAGE', networks: ['none'], tmpfs: ['/run'], cmd: ['sh', '-c', 'echo {} >> $COMBU_METRICS; ls /run']},
          {name: '@taken', image: 'IMAGE', networks: ['none'], tmpfs: ['/run/combu'], cmd: ['sh', '-c', 'echo x$COMBU_METRICS; ls /run/combu']},
          {name: '@own', image: 'IMAGE', networks: ['none'], env: {COMBU_METRICS: 'mine'}, cmd: ['sh', '-c', 'echo $COMBU_METRICS']}]",
    ) else {
        return;
    };
    lab.run(&[]).code(0);
    assert_eq!(lab.lab.log(&lab.own("@tmpfs")), "combu\n");
    let left = |trial: &str| lab.lab.only_run().join(lab.own(trial)).join("1/metrics").exists();
    assert_eq!(["@tmpfs", "@taken", "@own"].map(left), [true, false, false], "what tells nothing leaves nothing");
    assert_eq!(lab.lab.log(&lab.own("@taken")), "x\n");
    assert_eq!(lab.lab.log(&lab.own("@own")), "mine\n");
}

#[test]
fn what_a_container_told_is_known_once_also_when_another_combu_goes_on() {
    let Some(lab) = docker_lab(
        "[{name: '@train', image: 'IMAGE', networks: ['none'], volumes: ['./flag:/flag'], cmd: ['sh', '-c', |||
            echo ::combu metric loss=1
            printf '{\"from_file\": 5}\\n' >> $COMBU_METRICS
            while [ ! -e /flag/go ]; do sleep 0.05; done
            echo ::combu metric loss=2 step=7
            printf '{\"from_file\": 3}\\n' >> $COMBU_METRICS
        |||]}]",
    ) else {
        return;
    };
    let mut live = lab.lab.start(&["-f", "spec.jsonnet", "run", "--progress", "json"]);
    live.line(r#""name":"from_file""#);
    live.signal(Signal::KILL);
    live.end();
    lab.lab.write("flag/go", "");
    let result = lab.lab.combu(&["resume", "-o", "json"]).code(0).json();
    assert_eq!(result["results"][0]["attempts"], 1);
    let metrics = &result["results"][0]["metrics"];
    assert_eq!(metrics["loss"], json!({"last": 2.0, "step": 7, "min": 1.0, "max": 2.0, "count": 2}));
    assert_eq!(metrics["from_file"], json!({"last": 3.0, "min": 3.0, "max": 5.0, "count": 2}));
}
