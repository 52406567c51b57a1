//! What the Docker engine does on a real daemon, beyond the contract of all engines.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, TagImageOptionsBuilder,
};
use combu::engine::docker::Docker;
use combu::engine::{Engine, EngineError, Health, Launch, Obstacle, Output, Selector, Standing};
use combu::model::handle::Handle;
use combu::model::label;
use combu::model::outcome::Exit;
use combu::model::trial::{Healthcheck, Port, Protocol, Pull, Ulimit, Volume};

use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::contract::surveyed;
use crate::daemon::{Daemon, IMAGE, address, daemon};
use crate::harness::written;

/// Starts a launch with everything it needs.
async fn start(daemon: &Daemon, launch: &Launch) -> Result<Handle, EngineError> {
    daemon.engine.prepare(launch, &|_, _| {}).await?;
    daemon.engine.start(launch).await
}

/// How an attempt ended and what it wrote to its standard output and error.
struct Ended {
    exit: Exit,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap().trim_end()
    }
}

async fn wait(daemon: &Daemon, handle: &Handle) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let mut output = Output::into_folder(folder.path());
    let exit = daemon.engine.wait(handle, &mut output).await.unwrap();
    read(exit, &output)
}

fn read(exit: Exit, output: &Output) -> Ended {
    assert!(output.error().is_none());
    let logs = output.logs().unwrap();
    let (stdout, stderr) = (written(&logs.stdout), written(&logs.stderr));
    assert_eq!((stdout.len() as u64, stderr.len() as u64), (logs.stdout_bytes, logs.stderr_bytes));
    Ended { exit, stdout, stderr }
}

async fn run(daemon: &Daemon, launch: &Launch) -> Ended {
    let handle = start(daemon, launch).await.unwrap();
    wait(daemon, &handle).await
}

async fn inspect(daemon: &Daemon, name: &str) -> Option<ContainerInspectResponse> {
    daemon.api.inspect_container(name, None::<InspectContainerOptions>).await.ok()
}

/// Whether a container has written anything yet.
async fn has_written(daemon: &Daemon, name: &str) -> bool {
    let options = LogsOptionsBuilder::new().stdout(true).build();
    daemon.api.logs(name, Some(options)).next().await.is_some()
}

/// A further attempt of the same trial.
fn again(mut launch: Launch, attempt: u32) -> Launch {
    launch.attempt = attempt;
    launch.labels.insert(label::ATTEMPT.to_owned(), attempt.to_string());
    launch
}

fn selector(daemon: &Daemon) -> Selector {
    Selector { labels: [(label::RUN.to_owned(), daemon.run())].into() }
}

fn bind(host: &Path, readonly: bool) -> Volume {
    Volume { host: Some(host.to_str().unwrap().to_owned()), container: "/data".to_owned(), readonly }
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, EngineError>) -> String {
    match answer {
        Err(EngineError::Refused { message }) => message,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Tries again until it is true: the daemon tells nobody of what happens inside a container.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "not so after 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_container_carries_labels_and_variables_and_keeps_its_log_for_docker_logs() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "echo $COMBU $COMBU_SEED $MODE; echo problem >&2; exit 3", |trial| {
        trial.env = [("COMBU_SEED".to_owned(), "mine".to_owned()), ("MODE".to_owned(), "x y".to_owned())].into();
        trial.labels = [("lab".to_owned(), "one".to_owned())].into();
    });
    let handle = start(&daemon, &launch).await.unwrap();
    let ended = wait(&daemon, &handle).await;
    assert_eq!((ended.exit, ended.text(), ended.stderr.as_slice()), (Exit::Code(3), "1 mine x y", &b"problem\n"[..]));

    let found = daemon.engine.find(&selector(&daemon)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].handle, &found[0].trial, found[0].standing), (&handle, &launch.trial.name, Standing::Ended));
    assert_eq!(found[0].labels.get("lab").map(String::as_str), Some("one"));
    assert!(launch.labels.iter().all(|(key, value)| found[0].labels.get(key) == Some(value)));

    // Another process has no attached stream: it reads the daemon's log.
    let second = wait(&daemon, &handle).await;
    assert_eq!((second.exit, second.stdout, second.stderr), (ended.exit, ended.stdout, ended.stderr));

    daemon.engine.remove(&handle).await.unwrap();
    daemon.engine.remove(&handle).await.unwrap();
    assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_container_that_somebody_starts_again_has_the_lines_of_both_times_and_says_so() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "echo line", |_| {});
    let handle = start(&daemon, &launch).await.unwrap();
    let ended_times = async |times: &str| {
        until("it has ended", async || {
            let found = inspect(&daemon, &handle.id).await.unwrap();
            let log = daemon.api.logs(&handle.id, Some(LogsOptionsBuilder::new().stdout(true).build())).count().await;
            found.state.unwrap().running == Some(false) && log.to_string() == times
        })
        .await;
    };
    ended_times("1").await;
    let again = None::<bollard::query_parameters::StartContainerOptions>;
    daemon.api.start_container(&handle.id, again).await.unwrap();
    ended_times("2").await;
    let folder = tempfile::tempdir().unwrap();
    let mut output = Output::into_folder(folder.path());
    let exit = daemon.engine.wait(&handle, &mut output).await.unwrap();
    assert_eq!(output.remark().map(|remark| remark.starts_with("was started again")), Some(true));
    assert_eq!((exit, read(exit, &output).text()), (Exit::Code(0), "line\nline"));
}

#[tokio::test]
async fn a_hundred_megabytes_arrive_complete_and_in_order() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "seq 1 20000000 | head -c 100000000", |_| {});
    let handle = start(&daemon, &launch).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut output = Output::into_folder(folder.path());
    let exit = daemon.engine.wait(&handle, &mut output).await.unwrap();
    let stdout = read(exit, &output).stdout;
    assert_eq!((exit, stdout.len()), (Exit::Code(0), 100_000_000));
    let mut rest = stdout.as_slice();
    for number in 1u64.. {
        let line = format!("{number}\n");
        let expected = &line.as_bytes()[..line.len().min(rest.len())];
        assert!(rest.starts_with(expected), "the line {number} is not where it should be");
        rest = &rest[expected.len()..];
        if rest.is_empty() {
            break;
        }
    }
}

#[tokio::test]
async fn every_byte_arrives_as_it_was_written_on_both_streams() {
    let Some(daemon) = daemon() else { return };
    let folder = tempfile::tempdir().unwrap();
    // Every byte value at every distance: also what looks like a frame header of Docker's own.
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i >> 8).wrapping_mul(31) ^ i) as u8).collect();
    std::fs::write(folder.path().join("bytes"), &bytes).unwrap();
    let launch = daemon.launch("a", "cat /data/bytes >&2 & cat /data/bytes; wait; printf 'no newline'", |trial| {
        trial.volumes = vec![bind(folder.path(), true)];
    });
    let ended = run(&daemon, &launch).await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(ended.stderr == bytes, "standard error differs");
    assert!(ended.stdout == [bytes.as_slice(), b"no newline"].concat(), "standard output differs");
}

#[tokio::test]
async fn a_wait_that_was_dropped_is_taken_up_again_from_the_start() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "echo one; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo two", |_| {});
    let handle = start(&daemon, &launch).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut output = Output::into_folder(folder.path());
    let first = tokio::time::timeout(Duration::from_millis(300), daemon.engine.wait(&handle, &mut output)).await;
    assert!(first.is_err(), "it waits for a file");
    let go = daemon.launch("b", "true", |trial| trial.entrypoint = Some(vec!["true".to_owned()]));
    assert_eq!(run(&daemon, &go).await.exit, Exit::Code(0));
    let tar = tar_of_empty_file("go");
    let options = bollard::query_parameters::UploadToContainerOptionsBuilder::new().path("/tmp").build();
    daemon.api.upload_to_container(&handle.id, Some(options), bollard::body_full(tar.into())).await.unwrap();
    let exit = daemon.engine.wait(&handle, &mut output).await.unwrap();
    let ended = read(exit, &output);
    assert_eq!((ended.exit, ended.text()), (Exit::Code(0), "one\ntwo"));
}

/// A tar with one empty file.
fn tar_of_empty_file(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), "").unwrap();
    std::process::Command::new("tar").arg("-C").arg(folder.path()).args(["-cf", "-", name]).output().unwrap().stdout
}

#[tokio::test]
async fn a_program_that_closes_its_output_is_waited_for() {
    let Some(daemon) = daemon() else { return };
    let ended = run(&daemon, &daemon.launch("a", "echo said; exec >&- 2>&-; sleep 2; exit 4", |_| {})).await;
    assert_eq!((ended.exit, ended.text()), (Exit::Code(4), "said"));
}

#[tokio::test]
async fn running_out_of_memory_is_an_exit_of_its_own_for_each_of_many() {
    let Some(daemon) = daemon() else { return };
    let launches = ["exec tail /dev/zero", "tail /dev/zero"].into_iter().cycle().take(12).enumerate();
    let attempts = launches.map(|(index, line)| {
        let launch = daemon.launch(&format!("a{index}"), line, |trial| trial.memory = Some(16 << 20));
        async { run(&daemon, &{ launch }).await.exit }
    });
    assert_eq!(futures_util::future::join_all(attempts).await, [Exit::Oom; 12]);
}

#[tokio::test]
async fn a_kill_of_a_trial_with_limited_memory_is_a_kill() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "exec sleep 1000", |trial| trial.memory = Some(16 << 20));
    for grace in [Duration::ZERO, Duration::from_millis(100)] {
        let handle = start(&daemon, &launch).await.unwrap();
        let (ended, stopped) = tokio::join!(wait(&daemon, &handle), daemon.engine.stop(&handle, grace));
        assert!(stopped.is_ok(), "{stopped:?}");
        assert_eq!(ended.exit, Exit::Signal(9));
    }
}

#[tokio::test]
async fn stopping_asks_then_kills_and_may_be_repeated() {
    let Some(daemon) = daemon() else { return };
    let grace = Duration::from_secs(10);
    let launch = daemon.launch("a", "echo ready; exec sleep 1000", |trial| trial.init = Some(true));
    let polite = start(&daemon, &launch).await.unwrap();
    // A signal that comes before the init process listens to it is lost.
    until("the trial runs", async || has_written(&daemon, launch.trial.name.as_str()).await).await;
    daemon.engine.stop(&polite, grace).await.unwrap();
    daemon.engine.stop(&polite, grace).await.unwrap();
    assert_eq!(wait(&daemon, &polite).await.exit, Exit::Signal(15));

    // Without an init, the first process of a container ignores signals it does not handle.
    let launch = daemon.launch("b", "echo ready; exec sleep 1000", |_| {});
    let stubborn = start(&daemon, &launch).await.unwrap();
    until("the trial runs", async || has_written(&daemon, launch.trial.name.as_str()).await).await;
    daemon.engine.stop(&stubborn, Duration::from_millis(200)).await.unwrap();
    assert_eq!(wait(&daemon, &stubborn).await.exit, Exit::Signal(9));

    let killed = start(&daemon, &daemon.launch("c", "exec sleep 1000", |_| {})).await.unwrap();
    daemon.engine.stop(&killed, Duration::ZERO).await.unwrap();
    assert_eq!(wait(&daemon, &killed).await.exit, Exit::Signal(9));
    daemon.engine.stop(&killed, Duration::ZERO).await.unwrap();
    daemon.engine.remove(&killed).await.unwrap();
    daemon.engine.stop(&killed, Duration::ZERO).await.unwrap();
    daemon.engine.stop(&killed, grace).await.unwrap();
    let gone = daemon.engine.wait(&killed, &mut Output::nowhere()).await;
    assert!(refusal(gone).contains("is gone"));
}

#[tokio::test]
async fn a_launch_that_docker_refuses_leaves_nothing_behind() {
    let Some(daemon) = daemon() else { return };
    let program = daemon.launch("a", "", |trial| trial.cmd = Some(vec!["no-such-program".to_owned()]));
    let message = refusal(start(&daemon, &program).await);
    assert!(message.ends_with(r#"exec: "no-such-program": executable file not found in $PATH"#), "{message}");
    assert!(message.starts_with(&format!("failed to start container `{}`: ", program.trial.name)), "{message}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let missing = folder.path().join("file/below");
    let volume = daemon.launch("b", "true", |trial| trial.volumes = vec![bind(&missing, false)]);
    let message = refusal(start(&daemon, &volume).await);
    assert!(message.contains(missing.to_str().unwrap()), "{message}");

    let greedy = daemon.launch("c", "true", |trial| trial.cpus = Some(100_000.0));
    assert!(refusal(start(&daemon, &greedy).await).contains("CPUs"));

    let two = vec!["host".to_owned(), daemon.name("net")];
    let network = daemon.launch("d", "true", |trial| trial.networks = two.clone());
    let message = refusal(start(&daemon, &network).await);
    assert!(message.starts_with(&format!("failed to join network `{}` with container", two[1])), "{message}");
    assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_image_is_told_once_and_to_all() {
    let Some(daemon) = daemon() else { return };
    let image = format!("localhost:1/{}:1", daemon.name("image"));
    let launch = daemon.launch("a", "true", |trial| trial.image = Some(image.clone()));
    let lines = Mutex::new(Vec::new());
    let progress = |object: &str, state: &str| lines.lock().unwrap().push(format!("{object}: {state}"));
    let prepares = (0..50).map(|_| daemon.engine.prepare(&launch, &progress));
    let errors: Vec<String> =
        futures_util::future::join_all(prepares).await.into_iter().map(|answer| answer.unwrap_err().chain()).collect();
    assert!(errors.iter().all(|error| *error == errors[0]));
    assert!(errors[0].starts_with(&format!("no image `{image}`: ")), "{}", errors[0]);
    assert!(errors[0].contains("the image is not on this machine: check its name with"), "{}", errors[0]);
    assert_eq!(*lines.lock().unwrap(), [format!("image {image}: pulling")]);

    let never = daemon.launch("a", "true", |trial| {
        trial.image = Some(image.clone());
        trial.pull = Some(Pull::Never);
    });
    let error = daemon.engine.prepare(&never, &|_, _| {}).await.unwrap_err().chain();
    assert!(error.ends_with("it is not there, and `pull` is `never`"), "{error}");
    let survey = surveyed(&daemon.engine, &[launch, never]).await.unwrap();
    assert_eq!(survey.makes, [format!("pull image {image}")]);
    assert_eq!(survey.obstacles, [Obstacle::MissingImage { image }]);
}

#[tokio::test]
async fn an_image_that_was_removed_after_prepare_is_noticed() {
    let Some(daemon) = daemon() else { return };
    let image = format!("{}:1", daemon.name("image"));
    let (repo, tag) = image.split_once(':').unwrap();
    let options = TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
    daemon.api.tag_image(IMAGE, Some(options)).await.unwrap();
    let launch = daemon.launch("a", "true", |trial| {
        trial.image = Some(image.clone());
        trial.pull = Some(Pull::Never);
    });
    assert_eq!(run(&daemon, &launch).await.exit, Exit::Code(0));
    let options = bollard::query_parameters::RemoveImageOptionsBuilder::new().force(true).build();
    daemon.api.remove_image(&image, Some(options), None).await.unwrap();
    let error = start(&daemon, &launch).await.unwrap_err();
    assert!(matches!(error, EngineError::Image { .. }), "{error:?}");
}

#[tokio::test]
async fn trials_find_each_other_by_name_on_every_network_they_share() {
    let Some(daemon) = daemon() else { return };
    let (one, two) = (daemon.name("one"), daemon.name("two"));
    let line = "mkdir /tmp/www && echo hello > /tmp/www/index.html && exec httpd -f -p 80 -h /tmp/www";
    let server = daemon.launch("server", line, |trial| trial.networks = vec![one.clone(), two.clone()]);
    let lines = Mutex::new(Vec::new());
    let progress = |object: &str, state: &str| lines.lock().unwrap().push(format!("{object}: {state}"));
    daemon.engine.prepare(&server, &progress).await.unwrap();
    daemon.engine.prepare(&server, &progress).await.unwrap();
    assert_eq!(*lines.lock().unwrap(), [format!("network {one}: created"), format!("network {two}: created")]);
    let handle = daemon.engine.start(&server).await.unwrap();
    for network in [&one, &two] {
        let url = format!("http://{}/", server.trial.name);
        let line = format!("until wget -q -O - {url}; do sleep 0.1; done");
        let client = daemon.launch("client", &line, |trial| trial.networks = vec![network.clone()]);
        let ended = run(&daemon, &client).await;
        assert_eq!((ended.exit, ended.text()), (Exit::Code(0), "hello"));
    }
    assert!(
        daemon.engine.clean(&selector(&daemon)).await.unwrap().removed.iter().all(|line| !line.ends_with("server"))
    );
    assert!(daemon.api.inspect_network(&one, None).await.is_ok(), "a network in use is kept");
    daemon.engine.remove(&handle).await.unwrap();
    let mut removed = daemon.engine.clean(&selector(&daemon)).await.unwrap().removed;
    removed.sort();
    assert_eq!(removed, [format!("network {one}"), format!("network {two}")]);

    // A network that something else removed is made again, at the first network as at the second.
    for networks in [vec![one.clone(), two.clone()], vec![two.clone(), one.clone()]] {
        let launch = daemon.launch("again", "true", |trial| trial.networks = networks.clone());
        daemon.engine.prepare(&launch, &|_, _| {}).await.unwrap();
        daemon.api.remove_network(&one).await.unwrap();
        let handle = daemon.engine.start(&launch).await.unwrap();
        assert_eq!(wait(&daemon, &handle).await.exit, Exit::Code(0));
    }
}

#[tokio::test]
async fn a_trial_without_a_network_skips_the_bridge() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "ls /sys/class/net", |trial| trial.networks = vec!["none".to_owned()]);
    let ended = run(&daemon, &launch).await;
    assert_eq!((ended.exit, ended.text()), (Exit::Code(0), "lo"));
    let found = inspect(&daemon, launch.trial.name.as_str()).await.unwrap();
    assert_eq!(found.host_config.unwrap().network_mode.as_deref(), Some("none"));
    let networks = found.network_settings.unwrap().networks.unwrap();
    assert_eq!(networks.keys().collect::<Vec<_>>(), ["none"]);
    // Docker lists every container's network; what costs a start is an address on a bridge.
    assert!(networks["none"].ip_address.as_deref().unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_network_of_somebody_else_is_joined_and_never_removed() {
    let Some(daemon) = daemon() else { return };
    let name = daemon.name("foreign");
    daemon.api.create_network(NetworkCreateRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    let missing = daemon.name("missing");
    let launch = daemon.launch("a", "true", |trial| trial.networks = vec![name.clone(), missing.clone()]);
    let survey = surveyed(&daemon.engine, std::slice::from_ref(&launch)).await.unwrap();
    assert_eq!(survey.makes, [format!("create network {missing}")]);
    let joined = format!("network {name} (not combu's: joined, never removed)");
    assert_eq!(survey.uses, [format!("image {IMAGE}"), joined]);
    assert_eq!(run(&daemon, &launch).await.exit, Exit::Code(0));
    assert_eq!(daemon.engine.clean(&selector(&daemon)).await.unwrap().removed, [format!("network {missing}")]);
    assert!(daemon.api.inspect_network(&name, None).await.is_ok());
}

#[tokio::test]
async fn processes_that_create_the_same_network_at_once_end_up_with_one() {
    let Some(daemon) = daemon() else { return };
    let name = daemon.name("shared");
    let mut engines = Vec::new();
    for _ in 0..8 {
        engines.push(Docker::connect(&combu::engine::Settings::default()).await.unwrap());
    }
    let launch = daemon.launch("a", "true", |trial| trial.networks = vec![name.clone()]);
    let prepares = engines.iter().map(|engine| engine.prepare(&launch, &|_, _| {}));
    assert!(futures_util::future::join_all(prepares).await.iter().all(Result::is_ok));
    let filter = std::collections::HashMap::from([("name", vec![name.as_str()])]);
    let options = bollard::query_parameters::ListNetworksOptionsBuilder::new().filters(&filter).build();
    assert_eq!(daemon.api.list_networks(Some(options)).await.unwrap().len(), 1);
    assert_eq!(run(&daemon, &launch).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn files_of_a_bind_mount_belong_to_the_host_user_and_a_named_volume_lasts() {
    let Some(daemon) = daemon() else { return };
    let folder = tempfile::tempdir().unwrap();
    let launch = daemon.launch("a", "id -u; id -g; echo kept > /data/file", |trial| {
        trial.volumes = vec![bind(folder.path(), false)];
        trial.user = Some("host".to_owned());
    });
    let ended = run(&daemon, &launch).await;
    use std::os::unix::fs::MetadataExt;
    let own = std::fs::metadata(folder.path()).unwrap();
    assert_eq!((ended.exit, ended.text()), (Exit::Code(0), format!("{}\n{}", own.uid(), own.gid()).as_str()));
    let made = std::fs::metadata(folder.path().join("file")).unwrap();
    assert_eq!((made.uid(), made.gid()), (own.uid(), own.gid()));

    let readonly = daemon.launch("b", "touch /data/other", |trial| trial.volumes = vec![bind(folder.path(), true)]);
    assert_eq!(run(&daemon, &readonly).await.exit, Exit::Code(1));

    let volume = Volume { host: Some(daemon.name("volume")), container: "/data".to_owned(), readonly: false };
    let write = daemon.launch("c", "echo kept > /data/file", |trial| trial.volumes = vec![volume.clone()]);
    assert_eq!(run(&daemon, &write).await.exit, Exit::Code(0));
    let read = daemon.launch("d", "cat /data/file", |trial| trial.volumes = vec![volume.clone()]);
    assert_eq!(run(&daemon, &read).await.text(), "kept");
    let made = daemon.api.inspect_volume(&daemon.name("volume")).await.unwrap();
    assert_eq!(made.labels.get(label::RUN), Some(&daemon.run()));
}

#[tokio::test]
async fn limits_and_settings_reach_the_container() {
    let Some(daemon) = daemon() else { return };
    let line = "hostname; pwd; cat /etc/hosts; df -k /dev/shm /scratch; ls /dev/nought; echo $0 $@";
    let launch = daemon.launch("a", "", |trial| {
        trial.entrypoint = Some(["sh", "-c", line].map(str::to_owned).to_vec());
        trial.cmd = Some(["first", "second"].map(str::to_owned).to_vec());
        trial.cpus = Some(0.5);
        trial.memory = Some(64 << 20);
        trial.shm_size = Some(1 << 20);
        trial.pids_limit = Some(50);
        trial.hostname = Some("box".to_owned());
        trial.workdir = Some("/tmp".to_owned());
        trial.ulimits = vec![Ulimit { name: "nofile".to_owned(), soft: 100, hard: 200 }];
        trial.tmpfs = [("/scratch".to_owned(), "size=2m".to_owned())].into();
        trial.devices = vec!["/dev/null:/dev/nought:r".to_owned()];
        trial.cap_add = vec!["SYS_PTRACE".to_owned()];
        trial.extra_hosts = vec!["db:10.0.0.1".to_owned()];
        trial.stop_grace = Some(Duration::from_secs(3));
        trial.platform = Some("linux/amd64".to_owned()).filter(|_| cfg!(target_arch = "x86_64"));
    });
    let ended = run(&daemon, &launch).await;
    let said = ended.text();
    assert_eq!(ended.exit, Exit::Code(0), "{said}");
    let mut lines = said.lines();
    assert_eq!((lines.next(), lines.next(), lines.last()), (Some("box"), Some("/tmp"), Some("first second")));
    assert!(said.contains("10.0.0.1\tdb") && said.contains(" 1024 ") && said.contains(" 2048 "), "{said}");
    let found = inspect(&daemon, launch.trial.name.as_str()).await.unwrap();
    let host = found.host_config.unwrap();
    assert_eq!((host.nano_cpus, host.memory, host.memory_swap), (Some(500_000_000), Some(64 << 20), Some(64 << 20)));
    assert_eq!((host.pids_limit, host.shm_size), (Some(50), Some(1 << 20)));
    assert_eq!(host.ulimits.unwrap()[0].hard, Some(200));
    assert_eq!(found.config.unwrap().stop_timeout, Some(3));
}

#[tokio::test]
async fn cores_and_niceness_reach_the_container() {
    let Some(daemon) = daemon() else { return };
    let line = "grep Cpus_allowed_list /proc/self/status | cut -f2; cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu.weight";
    let mut launch = daemon.launch("a", line, |trial| trial.nice = Some(10));
    launch.cores = vec![0];
    let ended = run(&daemon, &launch).await;
    // One of the two, as the host has cgroups of version 1 or 2; and runc has changed its way from shares to a weight.
    let mut said = ended.text().lines();
    assert_eq!(said.next(), Some("0"), "{}", ended.text());
    let weight: u64 = said.next().expect("the container's own weight").parse().unwrap();
    assert!(weight == 110 || weight < 39, "{weight}");
    let host = inspect(&daemon, launch.trial.name.as_str()).await.unwrap().host_config.unwrap();
    assert_eq!((host.cpuset_cpus.as_deref(), host.cpu_shares), (Some("0"), Some(110)));
    // A daemon whose kernel has no disk weights says so in a warning, and starts the container without one.
    assert!([None, Some(0), Some(11)].contains(&host.blkio_weight), "{:?}", host.blkio_weight);
}

#[tokio::test]
async fn cores_that_the_host_lacks_are_refused() {
    let Some(daemon) = daemon() else { return };
    let mut launch = daemon.launch("a", "true", |_| {});
    launch.cores = vec![4000];
    let message = refusal(start(&daemon, &launch).await);
    assert!(message.contains("4000"), "{message}");
    assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_gpu_that_the_daemon_cannot_give_is_refused_with_what_to_install() {
    let Some(daemon) = daemon() else { return };
    let refused = async |id: &str| {
        let mut launch = daemon.launch("a", "true", |_| {});
        // No host has so many: also where the daemon can give GPUs, this one is refused.
        launch.gpus = vec![id.to_owned()];
        refusal(start(&daemon, &launch).await)
    };
    let message = refused("4000").await;
    if message.contains("could not select device driver") {
        let words = "(the daemon cannot give GPUs to containers: install nvidia-container-toolkit on its machine, run \
                     `nvidia-ctk runtime configure --runtime=docker` there, and restart it)";
        assert!(message.ends_with(words), "{message}");
    }
    let message = refused("nvidia.com/gpu=4000").await;
    assert!(message.contains("CDI"), "{message}");
    assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_published_port_answers_and_a_taken_one_can_be_asked_for_again() {
    let Some(daemon) = daemon() else { return };
    let port = |host| Port { ip: Some("127.0.0.1".to_owned()), host, container: 80, protocol: Protocol::Tcp };
    let line = "while true; do echo hello | nc -l -p 80; done";
    let first = daemon.launch("a", line, |trial| trial.ports = vec![port(None)]);
    let handle = start(&daemon, &first).await.unwrap();
    let found = inspect(&daemon, &handle.id).await.unwrap().network_settings.unwrap().ports.unwrap();
    let binding = found["80/tcp"].as_ref().unwrap()[0].clone();
    assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
    let number: u16 = binding.host_port.unwrap().parse().unwrap();
    until("the port says hello", async || {
        let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", number)).await else { return false };
        let mut text = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text);
        matches!(tokio::time::timeout(Duration::from_secs(2), read).await, Ok(Ok(_))) && text == "hello\n"
    })
    .await;

    let second = daemon.launch("b", "true", |trial| trial.ports = vec![port(Some(number))]);
    let Err(EngineError::Busy { message }) = start(&daemon, &second).await else { panic!("the port is in use") };
    assert!(message.contains(&format!("127.0.0.1:{number}")) && message.contains("already"), "{message}");
    assert!(!message.contains("external connectivity"), "{message}");
    assert!(inspect(&daemon, second.trial.name.as_str()).await.is_none(), "nothing is left of it");
}

#[tokio::test]
async fn health_is_awaited_until_it_is_decided() {
    let Some(daemon) = daemon() else { return };
    let check = |line: &str| Healthcheck {
        test: ["CMD-SHELL", line].map(str::to_owned).to_vec(),
        interval: Some(Duration::from_millis(200)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(2),
        start_period: None,
    };
    for (name, line, test, healthy) in [
        (
            "a",
            "sleep 0.5; touch /tmp/ready; sleep 1000",
            "while [ ! -e /tmp/ready ]; do sleep 0.1; done",
            Health::Healthy,
        ),
        ("b", "sleep 1000", "false", Health::Unhealthy),
        ("c", "sleep 0.5", "sleep 100", Health::Ended),
    ] {
        let launch = daemon.launch(name, line, |trial| trial.healthcheck = Some(check(test).into()));
        let handle = start(&daemon, &launch).await.unwrap();
        assert_eq!(daemon.engine.healthy(&handle, &check(test)).await.unwrap(), healthy, "{name}");
    }
    let without = start(&daemon, &daemon.launch("d", "sleep 1000", |_| {})).await.unwrap();
    assert_eq!(daemon.engine.healthy(&without, &check("true")).await.unwrap(), Health::Healthy);
}

#[tokio::test]
async fn a_foreign_container_of_the_same_name_is_never_touched() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "true", |_| {});
    let name = launch.trial.name.to_string();
    let body =
        ContainerCreateBody { image: Some(IMAGE.to_owned()), cmd: Some(vec!["true".to_owned()]), ..Default::default() };
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let id = daemon.api.create_container(Some(options), body).await.unwrap().id;
    let survey = surveyed(&daemon.engine, std::slice::from_ref(&launch)).await.unwrap();
    let holder = format!("a container of image {IMAGE}, which is not combu's and is being started, or could not be");
    let frees = format!("docker rm -f {name}");
    let trial = launch.trial.name.clone();
    let found = Obstacle::Foreign { trial, name: name.clone(), holder: holder.clone(), frees: frees.clone() };
    assert_eq!(survey.obstacles, [found]);
    let message = refusal(start(&daemon, &launch).await);
    assert_eq!(message, format!("the name `{name}` is taken by {holder}: `{frees}` frees it"));
    assert_eq!(inspect(&daemon, &name).await.unwrap().id, Some(id));
    assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_finished_attempt_is_replaced_and_a_running_one_is_not() {
    let Some(daemon) = daemon() else { return };
    let launch = daemon.launch("a", "true", |_| {});
    let first = start(&daemon, &launch).await.unwrap();
    assert_eq!(wait(&daemon, &first).await.exit, Exit::Code(0));
    let survey = surveyed(&daemon.engine, std::slice::from_ref(&launch)).await.unwrap();
    assert_eq!(survey.makes, [format!("replace finished container {}", launch.trial.name)]);
    assert!(survey.obstacles.is_empty());

    let long = again(daemon.launch("a", "sleep 1000", |_| {}), 2);
    let second = start(&daemon, &long).await.unwrap();
    assert_ne!(first.id, second.id);
    let survey = surveyed(&daemon.engine, std::slice::from_ref(&launch)).await.unwrap();
    assert_eq!(survey.obstacles, [Obstacle::Running { trial: launch.trial.name.clone(), run: daemon.run() }]);
    let mut other = again(launch.clone(), 3);
    other.labels.insert(label::RUN.to_owned(), "another".to_owned());
    let Err(EngineError::Busy { message }) = start(&daemon, &other).await else { panic!("the name is in use") };
    assert_eq!(message, format!("trial `{}` still runs, from run {}", launch.trial.name, daemon.run()));
    assert!(daemon.engine.find(&selector(&daemon)).await.unwrap()[0].standing == Standing::Running);

    // To its own run it is over, and somebody started it again.
    start(&daemon, &again(launch.clone(), 3)).await.unwrap();
    let found = daemon.engine.find(&selector(&daemon)).await.unwrap();
    assert_eq!((found.len(), found[0].attempt()), (1, Some(3)));
}

#[tokio::test]
async fn a_trial_is_launched_again_while_its_old_container_is_being_removed() {
    let Some(daemon) = daemon() else { return };
    // Many files make the removal slow.
    let launch = daemon.launch("a", "cd /tmp; seq 1 1000 | xargs touch", |_| {});
    let mut old = start(&daemon, &launch).await.unwrap();
    for round in 0..4 {
        assert_eq!(wait(&daemon, &old).await.exit, Exit::Code(0));
        // In the same moment, and a little later each time.
        let next = again(launch.clone(), round + 2);
        let relaunch = async {
            tokio::time::sleep(Duration::from_millis(u64::from(round) * 5)).await;
            daemon.engine.start(&next).await
        };
        let (removed, again) = tokio::join!(daemon.engine.remove(&old), relaunch);
        removed.unwrap();
        assert!(inspect(&daemon, &old.id).await.is_none(), "round {round}: what was removed is still there");
        old = again.unwrap_or_else(|error| panic!("round {round}: {}", error.chain()));
    }
}

/// What a [`proxy`] does to the first call of a kind.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The daemon does what it is asked, and its reply is lost.
    Reply,
    /// The connection breaks after so many bytes of the reply.
    After(usize),
    /// The daemon does what it is asked, and says that it failed.
    Trouble,
    /// The connection stays, and after so many bytes of the reply nothing more comes.
    Silence(usize),
}

/// An engine whose connection to the daemon has that fault, once, at the first call whose path contains `call`.
async fn faulty(daemon: &Daemon, call: &'static str, fault: Fault) -> (Docker, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let upstream = address(&daemon.engine).strip_prefix("unix://").expect("the tests' daemon is local").to_owned();
    tokio::spawn(async move {
        let mut armed = true;
        while let Ok((client, _)) = listener.accept().await {
            let upstream = UnixStream::connect(&upstream).await.unwrap();
            let mut client = BufReader::new(client);
            let mut line = String::new();
            // A connection carries one call: bollard keeps none open.
            client.read_line(&mut line).await.unwrap();
            let fault = (armed && line.contains(call)).then_some(fault);
            armed = armed && fault.is_none();
            tokio::spawn(pass(client, upstream, line, fault));
        }
    });
    (Docker::connect_to(&format!("unix://{}", socket.display())).await.unwrap(), folder)
}

async fn pass(mut client: BufReader<UnixStream>, mut daemon: UnixStream, line: String, fault: Option<Fault>) {
    daemon.write_all(line.as_bytes()).await.unwrap();
    let Some(fault) = fault else {
        // Ends with an error when either side goes away, as it may.
        let _closed = tokio::io::copy_bidirectional(&mut client, &mut daemon).await;
        return;
    };
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_daemon, mut to_daemon) = daemon.split();
    let reply = async {
        match fault {
            Fault::Reply => drop(from_daemon.read_u8().await),
            Fault::Silence(bytes) => {
                drop(tokio::io::copy(&mut from_daemon.take(bytes as u64), &mut to_client).await);
                std::future::pending().await
            }
            Fault::Trouble => {
                let _sent = from_daemon.read_u8().await;
                let answer = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\
                              Connection: close\r\n\r\n{\"message\":\"trouble\"}";
                drop(to_client.write_all(answer.as_bytes()).await);
            }
            Fault::After(bytes) => {
                drop(tokio::io::copy(&mut from_daemon.take(bytes as u64), &mut to_client).await);
            }
        }
    };
    tokio::select! {
        () = reply => {}
        // The client has said everything when it only listens; the reply decides the end.
        () = async { drop(tokio::io::copy(&mut from_client, &mut to_daemon).await); std::future::pending().await } => {}
    }
}

#[tokio::test]
async fn a_lost_reply_does_not_launch_twice() {
    let Some(daemon) = daemon() else { return };
    let faults = [Fault::Reply, Fault::After(40), Fault::Trouble];
    for (call, fault) in
        ["/containers/create", "/start", "/attach"].into_iter().flat_map(|call| faults.map(|f| (call, f)))
    {
        let (engine, _socket) = faulty(&daemon, call, fault).await;
        let folder = tempfile::tempdir().unwrap();
        let launch = daemon.launch("a", "echo launched | tee -a /data/launches", |trial| {
            trial.volumes = vec![bind(folder.path(), false)];
        });
        engine.prepare(&launch, &|_, _| {}).await.unwrap();
        let handle = engine.start(&launch).await.unwrap();
        let mut output = Output::into_folder(folder.path());
        let exit = engine.wait(&handle, &mut output).await.unwrap();
        assert_eq!((exit, read(exit, &output).text()), (Exit::Code(0), "launched"), "{call} {fault:?}");
        assert_eq!(std::fs::read_to_string(folder.path().join("launches")).unwrap(), "launched\n", "{call} {fault:?}");
        engine.remove(&handle).await.unwrap();
        assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty(), "{call} {fault:?}");
    }
}

#[tokio::test]
async fn a_lost_reply_leaves_no_container_and_no_second_network() {
    let Some(daemon) = daemon() else { return };
    for fault in [Fault::Reply, Fault::Trouble] {
        for call in ["DELETE /containers", "/networks/create", "/connect", "DELETE /networks"] {
            let (engine, _socket) = faulty(&daemon, call, fault).await;
            let (first, second) = (daemon.name("first"), daemon.name("second"));
            let launch = daemon.launch("a", "true", |trial| trial.networks = vec![first, second]);
            engine.prepare(&launch, &|_, _| {}).await.unwrap();
            let handle = engine.start(&launch).await.unwrap();
            assert_eq!(engine.wait(&handle, &mut Output::nowhere()).await.unwrap(), Exit::Code(0), "{call} {fault:?}");
            engine.remove(&handle).await.unwrap();
            engine.clean(&selector(&daemon)).await.unwrap();
            assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty(), "{call} {fault:?}");
            let filter = std::collections::HashMap::from([("name", vec![daemon.name("")])]);
            let options = bollard::query_parameters::ListNetworksOptionsBuilder::new().filters(&filter).build();
            assert_eq!(daemon.api.list_networks(Some(options)).await.unwrap(), [], "{call} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_container_that_is_this_very_attempt_is_taken_over() {
    let Some(daemon) = daemon() else { return };
    let folder = tempfile::tempdir().unwrap();
    let launch = daemon.launch("a", "echo one | tee -a /data/launches; cat /data/go; echo two", |trial| {
        trial.volumes = vec![bind(folder.path(), false)];
    });
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("go")).status().unwrap();
    assert!(made.success());
    // Made by an earlier combu, which died before it could start it.
    let made = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: launch.trial.cmd.clone(),
        labels: Some(launch.labels.clone().into_iter().collect()),
        host_config: Some(bollard::models::HostConfig {
            binds: Some(vec![format!("{}:/data", folder.path().display())]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(launch.trial.name.as_str()).build();
    let id = daemon.api.create_container(Some(options), made).await.unwrap().id;
    assert_eq!(daemon.engine.find(&selector(&daemon)).await.unwrap()[0].standing, Standing::Created);

    // Never started, then running, then ended: it is launched once, and each has its whole output.
    let created = daemon.engine.start(&launch).await.unwrap();
    let other = Docker::connect(&combu::engine::Settings::default()).await.unwrap();
    let running = other.start(&launch).await.unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    let mut output = Output::into_folder(&folder.path().join("second"));
    let exit = other.wait(&running, &mut output).await.unwrap();
    assert_eq!((exit, read(exit, &output).text()), (Exit::Code(0), "one\ntwo"));
    assert_eq!(wait(&daemon, &created).await.text(), "one\ntwo");
    let ended = daemon.engine.start(&launch).await.unwrap();
    assert_eq!(wait(&daemon, &ended).await.text(), "one\ntwo");
    assert_eq!([&created.id, &running.id, &ended.id], [&id; 3]);
    assert_eq!(std::fs::read_to_string(folder.path().join("launches")).unwrap(), "one\n");
}

#[tokio::test]
async fn output_is_complete_although_its_connection_broke() {
    let Some(daemon) = daemon() else { return };
    // In the middle of the output, and before an answer.
    for (call, bytes) in [("/attach", 50_000), ("/wait", 100)] {
        let (engine, _socket) = faulty(&daemon, call, Fault::After(bytes)).await;
        let launch = daemon.launch("a", "seq 1 20000; sleep 0.5; seq 20001 40000; exit 3", |_| {});
        engine.prepare(&launch, &|_, _| {}).await.unwrap();
        let handle = engine.start(&launch).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::into_folder(folder.path());
        let exit = engine.wait(&handle, &mut output).await.unwrap();
        let expected: String = (1..=40000).map(|number| format!("{number}\n")).collect();
        assert!(read(exit, &output).stdout == expected.as_bytes(), "{call}");
        assert_eq!(exit, Exit::Code(3), "{call}");
    }
}

#[tokio::test]
async fn a_reply_that_never_comes_is_not_waited_for() {
    let Some(daemon) = daemon() else { return };
    let calls = ["/containers/create", "/attach", "/start", "/wait", "/logs", "DELETE /containers"];
    let rounds = calls.map(|call| (call, Fault::Silence(0))).into_iter().chain([("/wait", Fault::Silence(150))]);
    for (call, fault) in rounds {
        let (engine, _socket) = faulty(&daemon, call, fault).await;
        let engine = engine.answering_within(Duration::from_secs(1));
        let folder = tempfile::tempdir().unwrap();
        let launch = daemon.launch("a", "echo launched | tee -a /data/launches; sleep 1.5", |trial| {
            trial.volumes = vec![bind(folder.path(), false)];
        });
        engine.prepare(&launch, &|_, _| {}).await.unwrap();
        // Whoever calls goes on until it is known what became of it.
        let handle = loop {
            match engine.start(&launch).await {
                Ok(handle) => break handle,
                Err(error) => assert!(error.may_pass(), "{call}: {}", error.chain()),
            }
        };
        let mut output = Output::into_folder(folder.path());
        let exit = engine.wait(&handle, &mut output).await.unwrap();
        assert_eq!((exit, read(exit, &output).text()), (Exit::Code(0), "launched"), "{call} {fault:?}");
        assert_eq!(std::fs::read_to_string(folder.path().join("launches")).unwrap(), "launched\n", "{call} {fault:?}");
        while let Err(error) = engine.remove(&handle).await {
            assert!(error.may_pass(), "{call}: {}", error.chain());
        }
        assert!(daemon.engine.find(&selector(&daemon)).await.unwrap().is_empty(), "{call} {fault:?}");
    }
}

#[tokio::test]
async fn a_missing_folder_to_mount_is_made_by_the_caller() {
    let Some(daemon) = daemon() else { return };
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("out/a");
    let launch = daemon.launch("maker", "echo made > /out/file", |trial| {
        trial.volumes =
            vec![Volume { host: Some(missing.display().to_string()), container: "/out".to_owned(), readonly: false }];
    });
    daemon.engine.prepare(&launch, &|_, _| {}).await.unwrap();
    let handle = start(&daemon, &launch).await.unwrap();
    assert_eq!(daemon.engine.wait(&handle, &mut Output::nowhere()).await.unwrap(), Exit::Code(0));
    assert_eq!(std::fs::read_to_string(missing.join("file")).unwrap(), "made\n");
}

#[tokio::test]
async fn output_that_a_trial_closes_itself_is_kept_as_it_was_written() {
    let Some(daemon) = daemon() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut output = Output::into_folder(folder.path());
    // More than the daemon's log may keep, were it asked for it, and bytes that the log cannot hold.
    let launch = daemon.launch("closer", "head -c 3000000 /dev/urandom; echo; exec >&- 2>&-; sleep 2", |_| {});
    let handle = start(&daemon, &launch).await.unwrap();
    assert_eq!(daemon.engine.wait(&handle, &mut output).await.unwrap(), Exit::Code(0));
    assert_eq!((output.bytes(), output.error().is_none()), (3_000_001, true));
}
