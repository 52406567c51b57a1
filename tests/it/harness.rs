//! A lab: a folder of its own to run the `combu` binary in, cut off from the caller's environment and from any Docker.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use combu::store::{Search, StateDir};
use rustix::process::{Pid, Signal};
use serde_json::Value;

/// Longest anything in a test may take; only a test that has failed waits for it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A folder with specs, and what combu finds in its environment there.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
    /// The state folder, where it is not in the lab's.
    state: Option<tempfile::TempDir>,
}

/// What a combu that has ended said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A combu that runs. Dropping it kills it.
pub(crate) struct Live {
    pid: Pid,
    lines: Receiver<String>,
    seen: String,
    stderr: Receiver<String>,
    status: Receiver<Option<i32>>,
    deadline: Instant,
    is_over: bool,
}

/// How often each kind of fault is tried; a figure of the environment for longer watches.
pub(crate) fn fault_rounds(usual: u64) -> u64 {
    std::env::var("COMBU_FAULT_ROUNDS").map_or(usual, |text| text.parse().expect("COMBU_FAULT_ROUNDS is a number"))
}

/// The combu under test. `COMBU_TEST_BINARY` names another one, to see which promises that one does not hold.
fn program() -> String {
    std::env::var("COMBU_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_combu").to_owned())
}

impl Lab {
    /// A new lab, where no Docker answers.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let path = std::env::var("PATH").unwrap();
        let env = [
            ("PATH", path.as_str()),
            ("HOME", &home),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("COLUMNS", "80"),
            ("NO_COLOR", "1"),
            ("DOCKER_HOST", "unix:///nonexistent"),
            ("COMBU_MACHINE_CONFIG", "/nonexistent"),
        ];
        Self { env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), folder, state: None }
    }

    /// A new lab with one spec, `spec.jsonnet`.
    pub(crate) fn with(spec: &str) -> Self {
        let lab = Self::new();
        lab.write("spec.jsonnet", spec);
        lab
    }

    /// Keeps combu's state in memory from now on, if there is a place: disks are slow at thousands of small files.
    pub(crate) fn keep_state_in_memory(&mut self) {
        self.state = tempfile::tempdir_in("/dev/shm").ok();
        if let Some(state) = &self.state {
            let path = state.path().display().to_string();
            self.set("COMBU_DIR", path);
        }
    }

    /// Sets a variable of every combu that is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<str>) {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
    }

    /// The lab's folder, or a path in it.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file, and the folders it lies in.
    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, below: impl AsRef<Path>) -> String {
        let path = self.folder.path().join(below);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs combu in the lab's folder to its end.
    pub(crate) fn combu<S: AsRef<OsStr>>(&self, args: &[S]) -> Said {
        self.start(args).end()
    }

    /// Starts combu in the lab's folder.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Live {
        Live::new(self.command(&program()).args(args).spawn().unwrap())
    }

    /// Runs combu to its end, which cannot write a file of more than 2 MB: what comes after that meets an error, as on a
    /// full disk.
    pub(crate) fn combu_that_may_write_little(&self, args: &[&str]) -> Said {
        let line = r#"trap "" XFSZ; ulimit -f 4000; exec "$0" "$@""#;
        let combu = env!("CARGO_BIN_EXE_combu");
        Live::new(self.command("sh").args(["-c", line, combu]).args(args).spawn().unwrap()).end()
    }

    /// A program in the lab's folder and environment, all of its output piped.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Makes a pipe that a trial writes to when it is ready: `echo $$ > NAME`.
    pub(crate) fn pipe(&self, below: &str) {
        let made = Command::new("mkfifo").arg(self.path(below)).status().unwrap();
        assert!(made.success());
    }

    /// Waits until a trial has written a line to the pipe, and returns it.
    pub(crate) fn hear(&self, below: &str) -> String {
        let (path, (sender, heard)) = (self.path(below), channel());
        thread::spawn(move || sender.send(fs::read_to_string(path).unwrap().trim().to_owned()));
        heard.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("nothing was written to {below}"))
    }

    /// Folders of the runs.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let state = self.state.as_ref().map_or_else(|| self.path(".combu"), |state| state.path().to_owned());
        let entries = fs::read_dir(state.join("runs")).map(|entries| entries.map(|entry| entry.unwrap().path()));
        let mut runs: Vec<PathBuf> = entries.map(Iterator::collect).unwrap_or_default();
        runs.sort();
        runs
    }

    /// The folder of the only run.
    pub(crate) fn only_run(&self) -> PathBuf {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// What a trial of the only run wrote to its standard output in its first attempt.
    pub(crate) fn log(&self, trial: &str) -> String {
        self.read(self.only_run().join(trial).join("1/stdout.log"))
    }

    /// The events of the only run.
    pub(crate) fn events(&self) -> Vec<Value> {
        stored(&self.only_run())
    }
}

/// The stored events of the run with that folder.
pub(crate) fn stored(run: &Path) -> Vec<Value> {
    let state = run.parent().and_then(Path::parent).unwrap();
    let runs =
        StateDir::locate(state, Search { named: Some(state), ..Search::default() }).unwrap().past_runs().unwrap().runs;
    let past = runs.into_iter().find(|past| past.path == run).unwrap();
    past.events().unwrap().iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

/// What is in a log: nothing, if nothing was written and so no file was made.
pub(crate) fn written(log: &Path) -> Vec<u8> {
    match std::fs::read(log) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.unwrap(),
    }
}

impl Said {
    /// Fails unless combu ended with that code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The events on its standard output.
    pub(crate) fn events(&self) -> Vec<Value> {
        events(&self.stdout)
    }

    /// Its standard output as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }
}

impl Live {
    pub(crate) fn new(mut child: Child) -> Self {
        let (line_sender, lines) = channel();
        let (stderr_sender, stderr) = channel();
        let (status_sender, status) = channel();
        let pid = Pid::from_child(&child);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut errors = child.stderr.take().unwrap();
        // Nobody may listen any more when these send: a test that has failed.
        thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).unwrap() > 0 {
                let _gone = line_sender.send(String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned());
            }
        });
        thread::spawn(move || {
            let mut text = Vec::new();
            errors.read_to_end(&mut text).unwrap();
            let _gone = stderr_sender.send(String::from_utf8_lossy(&text).into_owned());
        });
        thread::spawn(move || {
            let _gone = status_sender.send(child.wait().unwrap().code());
        });
        Self { pid, lines, seen: String::new(), stderr, status, deadline: Instant::now() + LIMIT, is_over: false }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> String {
        self.pid.as_raw_nonzero().to_string()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid, signal).unwrap();
    }

    /// Waits for a line of its standard output that holds the text, and returns it.
    #[track_caller]
    pub(crate) fn line(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(self.left()) else {
                self.kill();
                let stderr = self.stderr.recv_timeout(LIMIT).unwrap_or_default();
                panic!("no line with {text:?} came:\n{}\n{stderr}", self.seen);
            };
            self.seen.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for its next line; nothing after its last.
    #[track_caller]
    pub(crate) fn any_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(self.left()) {
            Ok(line) => {
                self.seen.push_str(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no further line came:\n{}", self.seen),
        }
    }

    /// Sends a signal; one that has ended takes none.
    pub(crate) fn signal_if_alive(&self, signal: Signal) {
        let _gone = rustix::process::kill_process(self.pid, signal);
    }

    /// Waits for the event of that name about that trial, on a standard output with `--progress json`.
    #[track_caller]
    pub(crate) fn event(&mut self, event: &str, trial: &str) -> Value {
        let line = self.line(&format!(r#""event":"{event}","trial":"{trial}""#));
        serde_json::from_str(&line).unwrap()
    }

    /// Waits for its end; what it wrote is complete once no child of its holds its streams.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        let Ok(code) = self.status.recv_timeout(self.left()) else {
            self.kill();
            self.seen.extend(self.lines.iter());
            let stderr = self.stderr.recv_timeout(LIMIT).unwrap_or_default();
            panic!("combu did not end within {LIMIT:?}:\n{}\n{stderr}", self.seen);
        };
        self.is_over = true;
        while let Ok(line) = self.lines.recv_timeout(self.left()) {
            self.seen.push_str(&line);
        }
        let stderr = self.stderr.recv_timeout(self.left()).expect("nobody holds combu's stderr after its end");
        Said { code, stdout: std::mem::take(&mut self.seen), stderr }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn kill(&mut self) {
        // It may have ended in this moment, which is as good.
        let _gone = rustix::process::kill_process(self.pid, Signal::KILL);
        self.is_over = true;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.is_over {
            self.kill();
        }
    }
}

/// Lines of JSON.
pub(crate) fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The events of that name.
pub(crate) fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

/// The place of the event of that name about that trial.
#[track_caller]
pub(crate) fn place(events: &[Value], event: &str, trial: &str) -> usize {
    let found = events.iter().position(|one| one["event"] == event && one["trial"] == trial);
    found.unwrap_or_else(|| panic!("no event {event} of {trial}"))
}

/// Whether one of these processes lives, their numbers separated by blanks; one that only waits to be collected does not.
pub(crate) fn is_alive(pids: &str) -> bool {
    pids.split(' ').any(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    })
}

/// Looks until it is so: for ends that nobody tells of.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Takes out of snapshots what differs from run to run, for as long as the returned value lives.
pub(crate) fn steady(lab: &Lab) -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&regex_escape(&lab.path("").display().to_string()), "[LAB]/");
    settings.add_filter(r"\brun [a-z0-9]{12}\b", "run [RUN]");
    settings.add_filter(r"runs/[a-z0-9]{12}\b", "runs/[RUN]");
    settings.add_filter(r"combu (rerun|kill|resume) [a-z0-9]{12}\b", "combu $1 [RUN]");
    settings.add_filter(r"\bprocess \d+", "process [PID]");
    settings.add_filter(r"(\bin|after|,|ok +\S+|\d) +\d+(\.\d+)?(ms|s)\b", "$1 [TIME]");
    settings.bind_to_scope()
}

fn regex_escape(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || c == '/' { c.to_string() } else { format!("\\{c}") }).collect()
}
