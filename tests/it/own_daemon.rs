//! A Docker daemon of a test's own, in a network namespace of its own, that may be stopped, killed and started again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::daemon::{apart, ensure_image};
use crate::harness::{Lab, eventually, is_alive};

/// A daemon with everything of its own in one folder. Dropping it removes its containers and ends it.
pub(crate) struct OwnDaemon {
    folder: tempfile::TempDir,
    live_restore: bool,
    process: Option<Child>,
    /// What keeps the daemon's network namespace while there is no daemon: its networks are in it.
    network: Network,
}

/// A process that holds a network namespace until it is dropped.
struct Network(Child);

impl Network {
    fn new() -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn();
        let network = Self(holder.expect("unshare (util-linux) is installed"));
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
        // Before it has one of its own, a dockerd would take the host's `docker0` away.
        let holder = network.0.id().to_string();
        eventually("there is a network namespace", || namespace(&holder) != namespace("self"));
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

/// How a daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Asked to: it ends its containers, unless they outlive it.
    Stop,
    /// At once: its containers go on until it is back.
    Crash,
}

impl OwnDaemon {
    /// A daemon, where one can be started. Where none can, the test is skipped aloud, or fails if
    /// `COMBU_TEST_DOCKERD=required`.
    pub(crate) fn new(live_restore: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("daemon.json"), "{}").unwrap();
        let mut daemon = Self { folder, live_restore, process: None, network: Network::new() };
        let problem = if !rustix::process::getuid().is_root() {
            "only root may start a dockerd".to_owned()
        } else {
            match daemon.start() {
                Ok(()) => {
                    apart(async { ensure_image(&daemon.api()).await });
                    return Some(daemon);
                }
                Err(problem) => problem,
            }
        };
        let required = std::env::var("COMBU_TEST_DOCKERD").is_ok_and(|wish| wish == "required");
        assert!(!required, "COMBU_TEST_DOCKERD=required, but {problem}");
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED (no dockerd of its own): {test}: {problem}")
            .expect("stderr can be written");
        None
    }

    pub(crate) fn start(&mut self) -> Result<(), String> {
        // A containerd that was killed with its daemon does not always come up again at its first start, and a daemon may
        // stumble over what a killed one left.
        let mut up = self.try_start();
        for _ in 0..2 {
            let pid = fs::read_to_string(self.folder.path().join("exec/containerd/containerd.pid")).unwrap_or_default();
            if let (Err(_), Some(pid)) = (&up, pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw)) {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            up = up.or_else(|_| self.try_start());
        }
        up
    }

    fn try_start(&mut self) -> Result<(), String> {
        let path = |name: &str| self.folder.path().join(name);
        let log = fs::File::options().create(true).append(true).open(path("log")).unwrap();
        // In a network of its own: a dockerd without a bridge takes the host's `docker0` away, from every other daemon.
        let mut dockerd = Command::new("nsenter");
        dockerd.arg(format!("--net=/proc/{}/ns/net", self.network.0.id())).arg("dockerd");
        dockerd.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        for (option, name) in
            [("--config-file", "daemon.json"), ("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")]
        {
            dockerd.arg(option).arg(path(name));
        }
        dockerd.args(["--host", &self.address(), "--bridge=none", "--iptables=false", "--ip6tables=false"]);
        dockerd.args(["--storage-driver=vfs", "--log-driver=json-file"]);
        dockerd.args(self.live_restore.then_some("--live-restore"));
        dockerd.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = dockerd.spawn().map_err(|error| format!("dockerd: {error}"))?;
        for _ in 0..600 {
            if self.answers() {
                self.process = Some(process);
                return Ok(());
            }
            if process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ended = (process.kill(), process.wait());
        let log = fs::read_to_string(path("log")).unwrap_or_default();
        let why = log.lines().rfind(|line| line.starts_with("panic:") || line.starts_with("failed to"));
        let why = why.or(log.lines().last()).unwrap_or("it said nothing");
        Err(format!("dockerd did not come up: {why}"))
    }

    pub(crate) fn end(&mut self, end: End) {
        let Some(mut process) = self.process.take() else { return };
        let signal = if end == End::Stop { rustix::process::Signal::TERM } else { rustix::process::Signal::KILL };
        let containerd = fs::read_to_string(self.folder.path().join("exec/containerd/containerd.pid"));
        rustix::process::kill_process(rustix::process::Pid::from_child(&process), signal).unwrap();
        process.wait().unwrap();
        // Its containerd is killed with it. The next daemon would wait for one that is still there, and about to go.
        if let Ok(pid) = containerd {
            eventually("containerd ends with its daemon", || !is_alive(pid.trim()));
        }
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let process = self.process.as_ref().expect("it was started");
        rustix::process::kill_process(rustix::process::Pid::from_child(process), signal).unwrap();
    }

    fn answers(&self) -> bool {
        let api = bollard::Docker::connect_with_host(&self.address());
        api.is_ok_and(|api| apart(async { api.ping().await.is_ok() }))
    }

    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    pub(crate) fn api(&self) -> bollard::Docker {
        bollard::Docker::connect_with_host(&self.address()).unwrap()
    }

    /// Ends what daemons that were killed left: a shim for each container that they were starting, and what is below it.
    fn end_shims(&self) {
        let folder = self.folder.path().display().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for number in numbers {
            let line = fs::read_to_string(format!("/proc/{number}/cmdline")).unwrap_or_default();
            if !line.contains("containerd-shim") || !line.contains(&folder) {
                continue;
            }
            let children = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse().ok());
            for pid in children.chain([number]).filter_map(rustix::process::Pid::from_raw) {
                let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// How many containers there are.
    pub(crate) fn containers(&self) -> usize {
        let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
        apart(async { self.api().list_containers(Some(options)).await.unwrap().len() })
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.signal(rustix::process::Signal::CONT);
        }
        let is_up = self.folder.path().join("data").exists() && (self.process.is_some() || self.start().is_ok());
        apart(async {
            if !is_up {
                return;
            }
            let api = self.api();
            let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
            for container in api.list_containers(Some(options)).await.unwrap_or_default() {
                let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).build();
                let _gone = api.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
            }
        });
        self.end(End::Stop);
        self.end_shims();
        // What the daemon leaves mounted would keep the folder from being removed.
        for line in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
            let point = line.split(' ').nth(4).unwrap_or_default();
            if Path::new(point).starts_with(self.folder.path()) {
                let _unmounted = Command::new("umount").args(["--lazy", point]).status();
            }
        }
    }
}

/// A lab with that spec, whose combu finds the daemon. In the spec, `IMAGE` stands for the test image.
pub(crate) fn lab(daemon: &OwnDaemon, spec: &str) -> Lab {
    let mut lab = Lab::with(&spec.replace("IMAGE", crate::daemon::IMAGE));
    lab.set("DOCKER_HOST", daemon.address());
    fs::create_dir(lab.path("shared")).unwrap();
    lab
}
