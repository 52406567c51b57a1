//! What containers told of themselves and what they took, on a real daemon.

use crate::docker_lab::docker_lab;

#[test]
fn what_a_container_took_is_read_from_its_control_group() {
    let Some(lab) = docker_lab(
        "[{name: '@busy', image: 'IMAGE', cmd: ['sh', '-c',
            'head -c 40m /dev/zero | tail -c 40m | { sleep 1; wc -c; }; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done']}]",
    ) else {
        return;
    };
    let result = lab.run(&["-o", "json"]).code(0).json();
    let usage = &result["results"][0]["usage"];
    assert!(usage["peak_memory"].as_u64().unwrap() > 1 << 20, "{usage}");
    assert!(usage["cpu_seconds"].as_f64().unwrap() > 0.0, "{usage}");
}
