//! What trials told of themselves and what they took, on the local engine, as users meet it.

use crate::harness::{Lab, named};

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
