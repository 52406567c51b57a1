//! Mounts on a real daemon: what is missing is said before anything starts, and nothing is made in its place.

use bollard::query_parameters::RemoveVolumeOptions;

use crate::daemon::apart;
use crate::docker_lab::docker_lab;

#[test]
fn what_would_be_made_for_mounts_is_said_by_plan_and_by_run() {
    let spec = "[{name: '@a', image: 'IMAGE', networks: ['none'], cmd: ['sh', '-c', 'echo 1 >/out/x'],
                  volumes: ['./out:/out', '@cache:/cache']},
                 {name: '@b', image: 'IMAGE', networks: ['none'], cmd: 'cat /in/x', volumes: ['./out:/in:ro'],
                  depends: [{trial: '@a', condition: 'completed'}]}]";
    let Some(lab) = docker_lab(spec) else { return };
    let cache = lab.own("@cache");
    std::fs::create_dir(lab.lab.path(&cache)).unwrap();
    let out =
        lab.lab.path("out").canonicalize().unwrap_or_else(|_| lab.lab.path("").canonicalize().unwrap().join("out"));
    let folder = format!("folder {}", out.display());
    let plan = lab.lab.combu(&["plan", "spec.jsonnet"]).code(0);
    assert!(plan.stdout.contains(&format!("create {folder} (mounted in 2 trials)")), "{}", plan.stdout);
    assert!(plan.stdout.contains(&format!("create volume {cache}")), "{}", plan.stdout);
    let warning = format!("`{cache}` in `volumes` is a volume of Docker, and not the folder of that name");
    assert!(plan.stderr.replace('\n', " ").replace("  ", "").contains(&warning[..40]), "{}", plan.stderr);
    assert!(!lab.lab.path("out").exists(), "a plan makes nothing");
    let run = lab.run(&["--progress", "plain"]).code(0);
    assert!(run.stderr.contains(&folder) && run.stderr.contains("created"), "{}", run.stderr);
    assert_eq!(lab.lab.log(&lab.own("@b")), "1\n");
    lab.kill().code(0);
    apart(async { lab.daemon.api.remove_volume(&cache, None::<RemoveVolumeOptions>).await.unwrap() });
}

#[test]
fn a_mistyped_file_and_an_empty_read_only_folder_start_nothing() {
    let spec = "[{name: '@a', image: 'IMAGE', networks: ['none'], cmd: 'true', volumes: ['./confg.yaml:/cfg.yaml']},
                 {name: '@b', image: 'IMAGE', networks: ['none'], cmd: 'true', volumes: ['./data:/data:ro']}]";
    let Some(lab) = docker_lab(spec) else { return };
    for said in [lab.lab.combu(&["plan", "spec.jsonnet"]).code(2), lab.run(&[]).code(2)] {
        assert!(said.stderr.contains("confg.yaml") && said.stderr.contains("is not there"), "{}", said.stderr);
        assert!(said.stderr.contains("/data`"), "{}", said.stderr);
    }
    assert!(!lab.lab.path("confg.yaml").exists() && !lab.lab.path("data").exists());
    assert_eq!(lab.lab.runs(), Vec::<std::path::PathBuf>::new());
    lab.assert_empty();
}

#[test]
fn a_volume_without_a_host_side_goes_with_its_container() {
    let spec = "[{name: '@a', image: 'IMAGE', networks: ['none'], cmd: 'touch /scratch/x', volumes: ['/scratch']}]";
    let Some(lab) = docker_lab(spec) else { return };
    lab.run(&["--rm", "never"]).code(0);
    let mounts = lab.inspect("@a").mounts.unwrap();
    let volume = mounts.iter().find(|mount| mount.destination.as_deref() == Some("/scratch")).unwrap();
    let volume = volume.name.clone().unwrap();
    let is_there = || apart(async { lab.daemon.api.inspect_volume(&volume).await.is_ok() });
    assert!(is_there());
    lab.kill().code(0);
    assert!(!is_there());
}
