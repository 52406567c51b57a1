//! Runs on a daemon that is reached by ssh, through an sshd of the test's own: nothing is lost, nothing is left, and what
//! does not work is said.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::address;
use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{eventually, named};

/// Says when it goes on, and ends when asked to.
const POLITE: &str = "[{name: '@long', image: 'IMAGE', stop_grace: '20s',
    cmd: ['sh', '-c', 'trap \"echo asked; exit 0\" TERM; echo ready; sleep 600 & wait']}]";

const SSHD: &str = "/usr/sbin/sshd";

/// A lab whose combu finds the tests' daemon as `ssh://box`, with an sshd, a key and known hosts in the lab's folder.
struct SshLab {
    docker: DockerLab,
    port: u16,
    /// The server, until it is ended.
    sshd: Option<Child>,
}

/// Such a lab, where there are Docker and sshd. Where not, the test is skipped aloud, or fails if `COMBU_TEST_SSH=required`.
fn ssh_lab(spec: &str) -> Option<SshLab> {
    let is_required = std::env::var("COMBU_TEST_SSH").is_ok_and(|wish| wish == "required");
    if !Path::new(SSHD).exists() {
        assert!(!is_required, "COMBU_TEST_SSH=required, but there is no {SSHD}");
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED (no sshd): {test}: no {SSHD}").expect("stderr can be written");
        return None;
    }
    let docker = docker_lab(spec);
    assert!(docker.is_some() || !is_required, "COMBU_TEST_SSH=required, but no Docker answers");
    let mut docker = docker?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = format!("ssh://box{}", socket(&docker));
    let lab = &mut docker.lab;
    for key in ["host", "key", "stranger"] {
        let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", key];
        assert!(lab.command("ssh-keygen").args(arguments).status().unwrap().success());
    }
    lab.write("authorized", &lab.read("key.pub"));
    lab.write("known", &format!("[127.0.0.1]:{port} {}", lab.read("host.pub")));
    // ssh takes its user's home from the system and not from HOME: an ssh that comes first on the PATH names the file.
    lab.write("bin/ssh", &format!("#!/bin/sh\nexec {} -F '{}' \"$@\"\n", ssh(), lab.path("config").display()));
    fs::set_permissions(lab.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    lab.set("PATH", format!("{}:{path}", lab.path("bin").display()));
    lab.write("tmp/.keep", "");
    lab.set("TMPDIR", lab.path("tmp").display().to_string());
    lab.set("DOCKER_HOST", daemon);
    let mut lab = SshLab { docker, port, sshd: None };
    lab.config("key", "known");
    lab.start();
    Some(lab)
}

/// The system's ssh client.
fn ssh() -> String {
    let folders = std::env::var("PATH").unwrap();
    let found = folders.split(':').map(|folder| format!("{folder}/ssh")).find(|path| Path::new(path).exists());
    found.expect("ssh is installed where sshd is")
}

/// The path of the tests' daemon.
fn socket(docker: &DockerLab) -> String {
    address(&docker.daemon.engine).strip_prefix("unix://").expect("the tests' daemon is local").to_owned()
}

impl SshLab {
    /// Writes the client's configuration, with that key and those known hosts.
    fn config(&self, key: &str, known: &str) {
        let file = |name: &str| self.docker.lab.path(name).display().to_string();
        let lines = [
            "Host box".to_owned(),
            "HostName 127.0.0.1".to_owned(),
            format!("Port {}", self.port),
            format!("IdentityFile {}", file(key)),
            "IdentitiesOnly yes".to_owned(),
            "IdentityAgent none".to_owned(),
            format!("UserKnownHostsFile {}", file(known)),
            "GlobalKnownHostsFile /dev/null".to_owned(),
        ];
        self.docker.lab.write("config", &(lines.join("\n") + "\n"));
    }

    /// Starts the server and waits until it listens.
    fn start(&mut self) {
        let file = |name: &str| self.docker.lab.path(name).display().to_string();
        let lines = [
            format!("ListenAddress 127.0.0.1:{}", self.port),
            format!("HostKey {}", file("host")),
            format!("AuthorizedKeysFile {}", file("authorized")),
            "PidFile none".to_owned(),
            "StrictModes no".to_owned(),
            "UsePAM no".to_owned(),
            "PermitRootLogin prohibit-password".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
        ];
        self.docker.lab.write("sshd_config", &(lines.join("\n") + "\n"));
        if rustix::process::getuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = fs::File::options().create(true).append(true).open(self.docker.lab.path("sshd.log")).unwrap();
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-f"]).arg(self.docker.lab.path("sshd_config"));
        self.sshd = Some(sshd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        eventually("sshd listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Ends the server with all its connections.
    fn end(&mut self) {
        let Some(mut sshd) = self.sshd.take() else { return };
        sshd.kill().unwrap();
        sshd.wait().unwrap();
        for pid in self.clients() {
            kill(&pid);
        }
    }

    /// The ssh clients that combu started.
    fn clients(&self) -> Vec<String> {
        let marks =
            [self.docker.lab.path("config"), self.docker.lab.path("tmp")].map(|path| path.display().to_string());
        let is_client = |pid: &String| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.starts_with("/")
                && !line.starts_with("/bin/sh")
                && marks.iter().all(|mark| line.contains(mark.as_str()))
        };
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().into_string().ok());
        numbers.filter(|name| name.parse::<i32>().is_ok()).filter(is_client).collect()
    }

    /// The folders of tunnels.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.docker.lab.path("tmp")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// Fails unless nothing of a tunnel is left.
    #[track_caller]
    fn assert_no_tunnel(&self) {
        eventually("ssh ends with its combu", || self.clients().is_empty());
        eventually("the tunnel's folder goes with its combu", || self.folders().is_empty());
    }

    /// What a combu says that does not come to the daemon.
    fn refusal(&self) -> String {
        let said = self.docker.run(&[]).code(125);
        self.assert_no_tunnel();
        said.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Drop for SshLab {
    fn drop(&mut self) {
        self.end();
    }
}

fn kill(pid: &str) {
    // It may have ended by itself.
    let _gone = kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL);
}

#[test]
fn a_run_over_ssh_is_a_run() {
    let Some(lab) = ssh_lab(
        "[{name: '@good', image: 'IMAGE', networks: ['@net'], outputs: ['/out'],
           cmd: ['sh', '-c', 'mkdir /out; echo kept > /out/x; echo fine; echo aside >&2']},
          {name: '@bad', image: 'IMAGE', cmd: \"sh -c 'seq 1 200000; exit 3'\"},
          {name: '@long', image: 'IMAGE', cmd: 'sleep 600', timeout: '300ms', stop_grace: '100ms'}]",
    ) else {
        return;
    };
    let result = lab.docker.run(&["-o", "json"]).code(100).json();
    let state = |place: usize| result["results"][place]["state"]["ended"]["status"].clone();
    assert_eq!((state(0), state(1), state(2)), ("succeeded".into(), "failed".into(), "timed-out".into()));
    assert_eq!(result["results"][1]["state"]["ended"]["exit"]["code"], 3);
    assert_eq!(lab.docker.lab.log(&lab.docker.own("@good")), "fine\n");
    let numbers: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(lab.docker.lab.log(&lab.docker.own("@bad")) == numbers, "the log is not what was written");
    lab.assert_no_tunnel();
    lab.docker.kill().code(0);
    lab.docker.assert_empty();
    lab.assert_no_tunnel();
}

#[test]
fn a_run_outlives_its_ssh_and_loses_nothing() {
    let Some(mut lab) = ssh_lab(
        "[{name: '@%d' % n, image: 'IMAGE', networks: ['none'], volumes: ['.:/lab'],
           cmd: ['sh', '-c', 'seq 1 500; echo ready; until [ -e /lab/go ]; do sleep 0.05; done; seq 501 1000']}
          for n in [1, 2]]",
    ) else {
        return;
    };
    let mut live = lab.docker.lab.start(&["-f", "spec.jsonnet", "run", "--progress", "json"]);
    for _ in 0..2 {
        live.line(r#""event":"attempt-started""#);
    }
    let first = lab.clients();
    assert_eq!(first.len(), 1, "one ssh for all trials");
    kill(&first[0]);
    eventually("ssh is started again", || lab.clients().iter().any(|pid| *pid != first[0]));
    // The machine goes away, and comes back.
    lab.end();
    let away = live.line(r#""event":"engine-away""#);
    assert!(away.contains("ssh to box failed: ") && away.contains("it is started again"), "{away}");
    lab.docker.lab.write("go", "");
    eventually("the trials end meanwhile", || lab.docker.containers().values().all(|state| state == "exited"));
    lab.start();
    let said = live.end().code(0);
    assert_eq!(named(&said.events(), "engine-away").len(), 1, "it is said once\n{}", said.stdout);
    let numbers: String = (1..=500).map(|n| format!("{n}\n")).collect();
    let more: String = (501..=1000).map(|n| format!("{n}\n")).collect();
    for name in ["@1", "@2"] {
        assert_eq!(lab.docker.lab.log(&lab.docker.own(name)), format!("{numbers}ready\n{more}"));
    }
    lab.assert_no_tunnel();
    lab.docker.assert_empty();
}

#[test]
fn a_daemon_that_is_away_behind_a_working_ssh_is_waited_for() {
    let Some(mut lab) = ssh_lab(
        "[{name: '@1', image: 'IMAGE', networks: ['none'], volumes: ['.:/lab'],
           cmd: ['sh', '-c', 'echo ready; until [ -e /lab/go ]; do sleep 0.05; done; echo done']},
          {name: '@2', image: 'IMAGE', networks: ['none'], cmd: 'echo then',
           depends: [{trial: '@1', condition: 'completed'}]}]",
    ) else {
        return;
    };
    let link = lab.docker.lab.path("docker.sock");
    let socket = socket(&lab.docker);
    symlink(&socket, &link).unwrap();
    lab.docker.lab.set("DOCKER_HOST", format!("ssh://box{}", link.display()));
    let live = lab.docker.start_until("@1");
    fs::remove_file(&link).unwrap();
    kill(&lab.clients()[0]);
    let is_told =
        |folder: &PathBuf| fs::read_to_string(folder.join("ssh.log")).is_ok_and(|said| said.contains("open failed"));
    eventually("a call fails behind an ssh that works", || lab.folders().iter().any(is_told));
    lab.docker.lab.write("go", "");
    symlink(&socket, &link).unwrap();
    live.end().code(0);
    assert_eq!(lab.docker.lab.log(&lab.docker.own("@1")), "ready\ndone\n");
    assert_eq!(lab.docker.lab.log(&lab.docker.own("@2")), "then\n");
    lab.assert_no_tunnel();
    lab.docker.assert_empty();
}

#[test]
fn ctrl_c_stops_the_trials_over_ssh() {
    let Some(lab) = ssh_lab(POLITE) else { return };
    let mut live = lab.docker.start_until("@long");
    live.signal(Signal::INT);
    live.line(r#""event":"trial-ended""#);
    live.end().code(130);
    assert_eq!(lab.docker.docker_logs("@long"), "ready\nasked\n");
    lab.assert_no_tunnel();
    lab.docker.kill().code(0);
    lab.docker.assert_empty();
}

#[test]
fn ssh_ends_with_a_combu_that_is_killed_and_the_run_is_gone_on_with() {
    let Some(lab) = ssh_lab(
        "[{name: '@one', image: 'IMAGE', networks: ['none'], volumes: ['.:/lab'],
           cmd: ['sh', '-c', 'echo ready; until [ -e /lab/go ]; do sleep 0.05; done; echo done']}]",
    ) else {
        return;
    };
    let live = lab.docker.start_until("@one");
    let clients = lab.clients();
    let own = format!("/proc/{}/stat", clients[0]);
    let group = fs::read_to_string(own).unwrap().rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().to_owned();
    assert_ne!(group, live.pid(), "the terminal's signals do not come to ssh");
    live.signal(Signal::KILL);
    live.end();
    lab.assert_no_tunnel();
    assert_eq!(lab.docker.containers()["one"], "running");
    let id = lab.docker.inspect("@one").id;
    let resumed = lab.docker.lab.start(&["resume", "--progress", "json"]);
    eventually("it is connected again", || !lab.clients().is_empty());
    lab.docker.lab.write("go", "");
    resumed.end().code(0);
    assert_eq!(lab.docker.lab.log(&lab.docker.own("@one")), "ready\ndone\n", "the container {id:?} was taken over");
    lab.assert_no_tunnel();
    lab.docker.assert_empty();
}

#[test]
fn kill_over_ssh_ends_a_detached_run() {
    let Some(lab) = ssh_lab(POLITE) else { return };
    let said = lab.docker.run(&["--detach"]).code(0);
    eventually("its container runs", || lab.docker.containers().get("long").is_some_and(|state| state == "running"));
    let killed = lab.docker.kill().code(0);
    let lines = format!("ended run {}removed @long\n", said.stdout);
    assert_eq!(killed.stderr, lab.docker.own(&lines));
    lab.docker.assert_empty();
    lab.assert_no_tunnel();
}

#[test]
fn a_context_leads_over_ssh_too() {
    let Some(mut lab) = ssh_lab("[{name: '@one', image: 'IMAGE', cmd: 'echo fine'}]") else { return };
    let host = format!("ssh://box{}", socket(&lab.docker));
    let meta = format!(r#"{{"Name":"lab","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
    lab.docker.lab.write(".docker/contexts/meta/aa/meta.json", &meta);
    lab.docker.lab.set("DOCKER_HOST", "");
    lab.docker.lab.set("DOCKER_CONTEXT", "lab");
    lab.docker.run(&[]).code(0);
    let shown = lab.docker.lab.combu(&["show"]).code(0);
    assert!(shown.stdout.contains(&host), "{}", shown.stdout);
    assert_eq!(lab.docker.lab.log(&lab.docker.own("@one")), "fine\n");
    lab.docker.assert_empty();
}

#[test]
fn a_mount_that_is_only_here_is_refused_with_the_way_out() {
    let Some(lab) =
        ssh_lab("[{name: '@one', image: 'IMAGE', networks: ['none'], volumes: ['./data:/data'], cmd: 'true'}]")
    else {
        return;
    };
    let said = lab.docker.run(&["-o", "json"]).code(100);
    let message = said.json()["results"][0]["state"]["ended"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("bind source path does not exist"), "{message}");
    assert!(message.contains("the daemon mounts folders of its own machine"), "{message}");
    assert!(!lab.docker.lab.path("data").exists(), "nothing is made here for a daemon elsewhere");
}

#[test]
fn what_keeps_ssh_from_the_daemon_is_said() {
    let Some(mut lab) = ssh_lab("[{name: '@one', image: 'IMAGE', cmd: 'true'}]") else { return };
    lab.config("stranger", "known");
    let said = lab.refusal();
    assert!(said.contains("ssh to box failed") && said.contains("Permission denied (publickey)"), "{said}");
    assert!(said.contains("`ssh box docker version` has to work without a question"), "{said}");

    lab.config("key", "nobody");
    let said = lab.refusal();
    assert!(said.contains("Host key verification failed"), "{said}");
    assert!(said.contains("is not among the known hosts"), "{said}");

    lab.config("key", "known");
    lab.docker.lab.set("DOCKER_HOST", "ssh://box/nonexistent/docker.sock");
    let said = lab.refusal();
    assert!(said.contains("box is reached, and nothing answers at /nonexistent/docker.sock there: channel "), "{said}");

    lab.docker.lab.set("DOCKER_HOST", "ssh://-oProxyCommand=true");
    let said = lab.refusal();
    assert!(said.contains("ssh would take it for an option"), "{said}");

    lab.docker.lab.set("DOCKER_HOST", "ssh://box");
    lab.end();
    let said = lab.refusal();
    assert!(said.contains("Connection refused") && said.contains("does `ssh box docker version` work?"), "{said}");

    // Only a shell and what cleans up.
    let path = lab.docker.lab.path("few");
    fs::create_dir(&path).unwrap();
    for program in ["sh", "rm"] {
        symlink(Path::new("/bin").join(program), path.join(program)).unwrap();
    }
    lab.docker.lab.set("PATH", path.display().to_string());
    let said = lab.refusal();
    assert!(said.contains("there is no program `ssh` on the PATH"), "{said}");
}
