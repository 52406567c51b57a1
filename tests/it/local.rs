//! What the local engine promises beyond the contract: no orphans, no stranger killed, messages that help.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use combu::engine::local::Local;
use combu::engine::{Engine, Health, Launch, Output, Settings};
use combu::model::handle::Handle;
use combu::model::label;
use combu::model::name::{EngineName, Name, RunId};
use combu::model::outcome::Exit;
use combu::model::trial::{Healthcheck, Trial};

use crate::contract::until;
use crate::harness::written;

const COMBU: &str = env!("CARGO_BIN_EXE_combu");
const GUARD: Duration = Duration::from_secs(60);

/// Runs a test of the engine within [`GUARD`]; what it starts ends with the engine.
fn with_engine(test: impl AsyncFnOnce(&Local, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let local = Local::connect(&Settings { watch: Some(COMBU.into()), ..Settings::default() }).unwrap();
        tokio::time::timeout(GUARD, test(&local, folder.path())).await.expect("within a minute");
    });
}

fn launch(folder: &Path, edit: impl FnOnce(&mut Trial)) -> Launch {
    let mut trial = Trial::new(Name::parse("trial").unwrap());
    edit(&mut trial);
    let spec = folder.join("spec.jsonnet").to_str().unwrap().to_owned();
    let labels = [(label::TRIAL, "trial".to_owned()), (label::SPEC, spec)];
    Launch {
        run: RunId::from("local0000run"),
        trial: Arc::new(trial.into()),
        attempt: 1,
        content: None,
        cores: Vec::new(),
        gpus: Vec::new(),
        folder: None,
        env: Vec::new(),
        passed: Vec::new(),
        params: None,
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>(),
    }
}

fn shell(folder: &Path, line: &str) -> Launch {
    launch(folder, |trial| trial.cmd = Some(["sh", "-c", line].map(str::to_owned).to_vec()))
}

/// Waits for an attempt; returns its exit and its standard output.
async fn wait(local: &Local, folder: &Path, handle: &Handle) -> (Exit, String) {
    let mut output = Output::into_folder(&folder.join("output"));
    let exit = local.wait(handle, &mut output).await.unwrap();
    (exit, String::from_utf8(written(&output.logs().unwrap().stdout)).unwrap())
}

/// The state and start time in `/proc/PID/stat`; absent for what is not there or a zombie.
fn start_of(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields[0] != "Z").then(|| fields[19].to_owned())
}

fn is_alive(pid: &str) -> bool {
    start_of(pid).is_some()
}

fn eventually(is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < GUARD, "not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A child of this test that is killed and reaped at its end.
struct Kid(Child);

impl Kid {
    fn start(command: &mut Command) -> Self {
        Self(command.process_group(0).stderr(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// The first line it writes.
    fn says(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_watch_ends_what_a_killed_combu_left_wherever_it_hides() {
    let token = format!("test-{}", std::process::id());
    let mut watch = Kid::start(Command::new(COMBU).args(["__watch", &token]).stdin(Stdio::piped()));
    // One child stays in the group, one flees into a session of its own.
    let line = "setsid sh -c 'echo $$; exec sleep 600' & exec sleep 600";
    let marked = |token: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("COMBU_WATCH", token).stdout(Stdio::piped());
        Kid::start(&mut command)
    };
    let (mut ours, mut others) = (marked(&token), marked(&format!("{token}-2")));
    let (fled, stranger) = (ours.says(), others.says());
    assert!([&fled, &stranger, &ours.pid(), &others.pid()].into_iter().all(|pid| is_alive(pid)));

    // The pipe's end is combu's end.
    drop(watch.0.stdin.take());
    assert!(watch.0.wait().unwrap().success());
    eventually(|| !is_alive(&fled) && !is_alive(&ours.pid()));
    assert!(is_alive(&stranger) && is_alive(&others.pid()));
    Command::new("kill").args(["-9", &stranger]).status().unwrap();
}

#[test]
fn the_watch_ends_the_groups_it_was_told_of_and_no_later_process_of_their_number() {
    let mut watch = Kid::start(Command::new(COMBU).args(["__watch", "no-process-has-this"]).stdin(Stdio::piped()));
    let sleeper = || Kid::start(Command::new("sleep").arg("600").env_clear());
    let [running, ended, reused] = [sleeper(), sleeper(), sleeper()];
    let start = |kid: &Kid| start_of(&kid.pid()).unwrap();
    let mut pipe = watch.0.stdin.take().unwrap();
    writeln!(pipe, "+{}:{}", running.pid(), start(&running)).unwrap();
    writeln!(pipe, "+{0}:{1}\n-{0}:{1}", ended.pid(), start(&ended)).unwrap();
    writeln!(pipe, "+{}:1{}", reused.pid(), start(&reused)).unwrap();
    drop(pipe);
    assert!(watch.0.wait().unwrap().success());
    eventually(|| !is_alive(&running.pid()));
    assert!(is_alive(&ended.pid()) && is_alive(&reused.pid()));
}

#[test]
fn the_watch_ignores_the_signals_that_end_combu() {
    let mut watch = Kid::start(Command::new(COMBU).args(["__watch", "no-process-has-this"]).stdin(Stdio::piped()));
    let pid = watch.pid();
    // HUP, INT, QUIT and TERM, as bits of the signals it catches.
    let wanted = [1, 2, 3, 15].into_iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1));
    eventually(|| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & wanted == wanted
    });
    for signal in ["-HUP", "-INT", "-QUIT", "-TERM"] {
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
    drop(watch.0.stdin.take());
    assert!(watch.0.wait().unwrap().success());
}

#[test]
fn an_engine_that_is_gone_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let (leader, fled) = (folder.path().join("leader"), folder.path().join("fled"));
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let written = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'));
    with_engine(async |local, _| {
        let line = "echo $$ > leader; setsid sh -c 'echo $$ > fled; exec sleep 600' & exec sleep 600";
        local.start(&shell(folder.path(), line)).await.unwrap();
        until(|| written(&leader) && written(&fled)).await;
        assert!(is_alive(&read(&leader)) && is_alive(&read(&fled)));
    });
    eventually(|| !is_alive(&read(&leader)) && !is_alive(&read(&fled)));
}

#[test]
fn a_lost_watch_is_replaced() {
    with_engine(async |local, folder| {
        let next = async || {
            let handle = local.start(&shell(folder, "echo $COMBU_WATCH")).await.unwrap();
            wait(local, folder, &handle).await
        };
        let (exit, token) = next().await;
        assert_eq!((exit, token.trim().len()), (Exit::Code(0), 16));
        let watches = || {
            let entries = fs::read_dir("/proc").unwrap().flatten();
            let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let is_watch = |pid: &String| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                is_alive(pid) && line.ends_with(format!("\0__watch\0{}\0", token.trim()).as_bytes())
            };
            pids.filter(is_watch).collect::<Vec<_>>()
        };
        let first = watches();
        assert_eq!(first.len(), 1, "{first:?}");
        Command::new("kill").args(["-9", &first[0]]).status().unwrap();
        until(|| watches().is_empty()).await;
        // The first start finds the pipe broken, the second brings a new watch.
        for _ in 0..2 {
            assert_eq!(next().await, (Exit::Code(0), token.clone()));
        }
        assert_eq!(watches().len(), 1);
    });
}

#[test]
fn a_later_process_of_the_same_number_is_never_touched() {
    let stranger = Kid::start(Command::new("sleep").arg("600"));
    let id = format!("{}:1{}", stranger.pid(), start_of(&stranger.pid()).unwrap());
    with_engine(async |local, _| {
        let handle = Handle { engine: EngineName::Local, id };
        local.stop(&handle, Duration::from_secs(1)).await.unwrap();
        local.stop(&handle, Duration::ZERO).await.unwrap();
        local.remove(&handle).await.unwrap();
        let error = local.wait(&handle, &mut Output::nowhere()).await.unwrap_err();
        assert!(error.to_string().contains("started by another combu"), "{error}");
    });
    assert!(is_alive(&stranger.pid()));
}

#[test]
fn a_trial_ends_with_its_leader_and_everything_in_its_group_with_it() {
    with_engine(async |local, folder| {
        let handle = local.start(&shell(folder, "sleep 600 & echo $!")).await.unwrap();
        let (exit, child) = wait(local, folder, &handle).await;
        assert_eq!(exit, Exit::Code(0));
        until(|| !is_alive(child.trim())).await;
    });
}

#[test]
fn a_fled_process_that_holds_the_output_does_not_hold_the_trial() {
    with_engine(async |local, folder| {
        let flees = async |name: &str, then: &str| {
            let line = format!(
                "setsid sh -c 'echo $$; touch {name}; {then}' & while [ ! -e {name} ]; do sleep 0.01; done; exit 4"
            );
            let handle = local.start(&shell(folder, &line)).await.unwrap();
            let (exit, output) = wait(local, &folder.join(format!("of-{name}")), &handle).await;
            assert_eq!(exit, Exit::Code(4));
            let fled = output.lines().next().unwrap();
            assert!(is_alive(fled), "{output}");
        };
        tokio::join!(flees("silent", "exec sleep 600"), flees("chatty", "while :; do echo x; sleep 0.01; done"));
    });
}

#[test]
fn the_whole_group_has_the_grace_to_save_its_work() {
    with_engine(async |local, folder| {
        // The shell ends at once; its child takes a moment, as a training that writes its last checkpoint does.
        let child = "trap 'sleep 0.3; echo saved; exit' TERM; touch ready; while :; do sleep 0.02; done";
        let line = format!("trap 'exit 7' TERM; ({child}) & wait");
        let handle = local.start(&shell(folder, &line)).await.unwrap();
        until(|| folder.join("ready").exists()).await;
        let asked = Instant::now();
        let (stopped, ended) = tokio::join!(local.stop(&handle, GUARD), wait(local, folder, &handle));
        assert!(stopped.is_ok(), "{stopped:?}");
        assert_eq!(ended, (Exit::Code(7), "saved\n".to_owned()));
        assert!(asked.elapsed() < Duration::from_secs(40), "the grace is not waited out");
    });
}

#[test]
fn what_cannot_run_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("plain", "x", 0o644);
    write("nonsense", "x\n", 0o755);
    write("orphan", "#!/no/such/interpreter\n", 0o755);
    let cmd = |word: &'static str| move |trial: &mut Trial| trial.cmd = Some(vec![word.to_owned()]);
    let within = |folder: &'static str| {
        move |trial: &mut Trial| {
            cmd("true")(trial);
            trial.workdir = Some(folder.to_owned());
        }
    };
    let as_nobody = |trial: &mut Trial| {
        cmd("true")(trial);
        trial.user = Some("nobody".to_owned());
    };
    let edits: [&dyn Fn(&mut Trial); 10] = [
        &|_| {},
        &cmd(""),
        &cmd("no-such-program"),
        &cmd("./no-such-program"),
        &cmd("./plain"),
        &cmd("./nonsense"),
        &cmd("./orphan"),
        &within("missing"),
        &within("plain"),
        &as_nobody,
    ];
    let mut messages = String::new();
    with_engine(async |local, _| {
        for edit in edits {
            let error = local.start(&launch(folder.path(), edit)).await.unwrap_err();
            messages += &format!("{error}\n");
        }
    });
    insta::assert_snapshot!(messages.replace(folder.path().to_str().unwrap(), "SPEC"), @r#"
    needs a `cmd`: the local engine has no image to take one from
    no program `` in PATH
    no program `no-such-program` in PATH
    no program `./no-such-program` in `SPEC`: No such file or directory (os error 2)
    `./plain` is not executable (in `SPEC`)
    cannot run `SPEC/./nonsense`: not a program of this machine, nor a script that begins with `#!`
    cannot run `SPEC/./orphan`: its interpreter is missing
    no folder `SPEC/missing` to run in: No such file or directory (os error 2)
    cannot run in `SPEC/plain`: it is not a folder
    cannot run as user `nobody`: local trials run as the caller (`user: "host"`)
    "#);
}

#[test]
fn a_trial_runs_in_the_specs_folder_with_its_own_search_path() {
    with_engine(async |local, folder| {
        let bin = folder.join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("tool"), "#!/bin/sh\necho $# $1; pwd\n").unwrap();
        fs::set_permissions(bin.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        let launch = launch(folder, |trial| {
            trial.entrypoint = Some(vec!["tool".to_owned()]);
            trial.cmd = Some(vec!["a b".to_owned()]);
            trial.env = BTreeMap::from([("PATH".to_owned(), "bin:/usr/bin:/bin".to_owned())]);
            trial.user = Some("host".to_owned());
        });
        let handle = local.start(&launch).await.unwrap();
        let here = folder.canonicalize().unwrap();
        assert_eq!(wait(local, folder, &handle).await, (Exit::Code(0), format!("1 a b\n{}\n", here.display())));
    });
}

#[test]
fn a_probe_that_cannot_run_is_told_in_words() {
    with_engine(async |local, folder| {
        let check = Healthcheck {
            test: ["CMD", "no-such-probe"].map(str::to_owned).to_vec(),
            interval: Some(Duration::from_millis(20)),
            timeout: None,
            retries: Some(1),
            start_period: None,
        };
        let launch = launch(folder, |trial| {
            trial.cmd = Some(["sleep", "600"].map(str::to_owned).to_vec());
            trial.healthcheck = Some(check.clone().into());
        });
        let handle = local.start(&launch).await.unwrap();
        let error = local.healthy(&handle, &check).await.unwrap_err();
        assert_eq!(error.to_string(), "no program `no-such-probe` in PATH");
        let hangs = Healthcheck {
            test: ["CMD-SHELL", "sleep 600"].map(str::to_owned).to_vec(),
            timeout: Some(Duration::from_millis(20)),
            ..check.clone()
        };
        assert_eq!(local.healthy(&handle, &hangs).await.unwrap(), Health::Unhealthy);
        let endless = Healthcheck { interval: Some(Duration::MAX), start_period: Some(Duration::MAX), ..check.clone() };
        let asked = tokio::time::timeout(Duration::from_millis(300), local.healthy(&handle, &endless)).await;
        assert!(asked.is_err(), "decided before an endless start period is over");
        let none = Healthcheck { test: vec!["NONE".to_owned()], ..check };
        assert_eq!(local.healthy(&handle, &none).await.unwrap(), Health::Healthy);
    });
}

#[test]
fn a_local_trial_sees_the_gpus_it_was_given_and_no_others() {
    with_engine(async |local, folder| {
        let says = async |gpus: &[&str], own: Option<&str>| {
            let mut launch = shell(folder, "echo $CUDA_DEVICE_ORDER ${CUDA_VISIBLE_DEVICES-unset}");
            launch.gpus = gpus.iter().map(|id| (*id).to_owned()).collect();
            let env = own.map(|own| ("CUDA_VISIBLE_DEVICES".to_owned(), own.to_owned()));
            Arc::get_mut(&mut Arc::get_mut(&mut launch.trial).unwrap().written).unwrap().env =
                env.into_iter().collect();
            let handle = local.start(&launch).await.unwrap();
            wait(local, folder, &handle).await.1.trim().to_owned()
        };
        assert_eq!(says(&["0", "2"], None).await, "PCI_BUS_ID 0,2");
        assert_eq!(says(&["nvidia.com/gpu=1", "GPU-5a1b"], None).await, "PCI_BUS_ID 1,GPU-5a1b");
        assert_eq!(says(&["0"], Some("7")).await, "7");
        if std::env::var_os("CUDA_VISIBLE_DEVICES").is_none() {
            assert_eq!(says(&[], None).await, "unset");
        }
    });
}

#[test]
fn a_local_trial_and_its_children_run_on_its_cores_and_give_way() {
    with_engine(async |local, folder| {
        let line = "sh -c 'grep Cpus_allowed_list /proc/self/status; nice'; nice";
        let says = async |cores: &[u32], nice| {
            let mut launch = shell(folder, line);
            launch.cores = cores.to_vec();
            Arc::get_mut(&mut launch.trial).unwrap().nice = nice;
            let handle = local.start(&launch).await.unwrap();
            wait(local, folder, &handle).await.1
        };
        let own: u8 = says(&[], 0).await.lines().last().unwrap().parse().unwrap();
        let nicer = (own + 10).min(19);
        assert_eq!(says(&[0], 10).await, format!("Cpus_allowed_list:\t0\n{nicer}\n{nicer}\n"));
        let mut launch = shell(folder, "true");
        launch.cores = vec![1000];
        let error = local.start(&launch).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot be pinned to the cores 1000: "), "{error}");
    });
}

#[test]
fn a_paused_trial_is_not_sick_for_answering_nobody() {
    with_engine(async |local, folder| {
        let check = Healthcheck {
            test: ["CMD-SHELL", "echo asked >> asked; false"].map(str::to_owned).to_vec(),
            interval: Some(Duration::from_millis(20)),
            timeout: None,
            retries: Some(1),
            start_period: None,
        };
        let mut launch = shell(folder, "sleep 600");
        Arc::get_mut(&mut Arc::get_mut(&mut launch.trial).unwrap().written).unwrap().healthcheck =
            Some(check.clone().into());
        let handle = local.start(&launch).await.unwrap();
        local.pause(&handle).await.unwrap();
        let asked = tokio::time::timeout(Duration::from_millis(500), local.healthy(&handle, &check)).await;
        assert!(asked.is_err(), "decided while it was paused");
        assert!(!folder.join("asked").exists());
        local.unpause(&handle).await.unwrap();
        assert_eq!(local.healthy(&handle, &check).await.unwrap(), Health::Unhealthy);
    });
}
