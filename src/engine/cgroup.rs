//! Usage of control groups, from the kernel's own files (cgroup v1 and v2). Never changes a group.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::model::event::Usage;

/// Folder in which the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Folders in which runtimes put a container's group, `{}` being its id: Docker by itself, and Docker through systemd.
const LAYOUTS: [&str; 2] = ["docker/{}", "system.slice/docker-{}.scope"];

/// Most questions for a container's process, from which groups are found; past them, groups are out of reach: the
/// daemon runs in a machine or a namespace of its own.
const QUESTIONS: usize = 8;

/// First and longest pause between two looks. A group vanishes with its container, so short trials need short pauses; of
/// a long one, the process's end is heard of anyway, and one look costs some 50 µs.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The control group of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ControlGroup {
    root: PathBuf,
    /// Below the root, or below each controller's folder.
    path: String,
    /// True for a group of cgroup v2.
    unified: bool,
}

/// Knows where the groups of containers lie.
#[derive(Debug)]
pub(super) struct ControlGroups {
    root: PathBuf,
    layouts: Mutex<Vec<String>>,
    /// Questions that may still be asked.
    questions: AtomicUsize,
}

impl Default for ControlGroups {
    fn default() -> Self {
        Self::below(ROOT.into())
    }
}

impl ControlGroups {
    fn below(root: PathBuf) -> Self {
        let layouts = Mutex::new(LAYOUTS.map(str::to_owned).to_vec());
        Self { root, layouts, questions: AtomicUsize::new(QUESTIONS) }
    }

    /// The group of a container, where the containers before had theirs, or where it usually lies.
    pub(super) fn find(&self, id: &str) -> Option<ControlGroup> {
        let layouts = self.layouts.lock().expect("no code panics while it holds the lock");
        let paths = layouts.iter().map(|layout| layout.replace("{}", id));
        let found = paths.map(|path| self.group(path)).find(ControlGroup::is_there)?;
        // Known from now on: one that is not there has ended.
        self.questions.store(0, Ordering::Relaxed);
        Some(found)
    }

    /// True while it is worth the trouble to find out a container's process.
    pub(super) fn asks(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Learns from a container's process where groups lie.
    pub(super) fn learn(&self, id: &str, pid: i64) -> Option<ControlGroup> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = path_of(&text, id)?;
        let layout = path.replace(id, "{}");
        self.layouts.lock().expect("no code panics while it holds the lock").insert(0, layout);
        self.find(id)
    }

    fn group(&self, path: String) -> ControlGroup {
        let unified = self.root.join("cgroup.controllers").exists();
        ControlGroup { root: self.root.clone(), path, unified }
    }
}

impl ControlGroup {
    fn is_there(&self) -> bool {
        self.file("memory", "cgroup.procs").exists()
    }

    fn file(&self, controller: &str, name: &str) -> PathBuf {
        let controller = if self.unified { Path::new("") } else { Path::new(controller) };
        self.root.join(controller).join(&self.path).join(name)
    }

    fn read(&self, controller: &str, name: &str) -> Option<String> {
        fs::read_to_string(self.file(controller, name)).ok()
    }

    /// Usage so far; nothing once the group is gone.
    fn look(&self) -> Usage {
        if self.unified {
            let peak = self.read("memory", "memory.peak").or_else(|| self.read("memory", "memory.current"));
            return Usage {
                cpu_seconds: self.read("cpu", "cpu.stat").and_then(|text| cpu_of_stat(&text)),
                peak_memory: peak.and_then(|text| text.trim().parse().ok()),
                ..self.read("io", "io.stat").map(|text| io_of_stat(&text)).unwrap_or_default()
            };
        }
        let nanoseconds = |text: String| Some(text.trim().parse::<u64>().ok()? as f64 / 1e9);
        Usage {
            cpu_seconds: self.read("cpuacct", "cpuacct.usage").and_then(nanoseconds),
            peak_memory: self.read("memory", "memory.max_usage_in_bytes").and_then(|text| text.trim().parse().ok()),
            ..self.read("blkio", "blkio.throttle.io_service_bytes").map(|text| io_of_blkio(&text)).unwrap_or_default()
        }
    }

    /// The first of its processes, as far as this machine has a number for it.
    fn first(&self) -> Option<Pid> {
        let processes = self.read("memory", "cgroup.procs")?;
        Pid::from_raw(processes.lines().next()?.parse().ok()?)
    }

    /// Looks at it until it is gone, and keeps in `usage` what it took: exact where the end of its first process can be
    /// heard of, since the group outlives that by some milliseconds; else as of the last look. May be dropped.
    pub(super) async fn follow(&self, usage: &mut Usage) {
        let mut pause = PAUSES.0;
        let mut ended = None;
        loop {
            let first = self.first().filter(|first| Some(*first) != ended);
            let process = first.and_then(end_of);
            loop {
                let seen = self.look();
                usage.see(&seen);
                if seen == Usage::default() {
                    return;
                }
                tokio::select! {
                    () = over(process.as_ref()) => break,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                }
            }
            (ended, pause) = (first, PAUSES.0);
        }
    }
}

#[expect(deprecated, reason = "its successor is an unsafe function; an `OwnedFd` upholds what that one asks for")]
fn end_of(process: Pid) -> Option<AsyncFd<OwnedFd>> {
    let pidfd = rustix::process::pidfd_open(process, PidfdFlags::NONBLOCK).ok()?;
    AsyncFd::with_interest(pidfd, Interest::READABLE).ok()
}

/// Waits for the end of a process; for ever, where nobody tells of it.
async fn over(process: Option<&AsyncFd<OwnedFd>>) {
    match process {
        Some(process) if process.readable().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// The path in `/proc/PID/cgroup` that holds the container's id: `9:memory:/docker/ID`, `0::/system.slice/docker-ID.scope`.
pub(super) fn path_of<'a>(text: &'a str, id: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    });
    let memory = |(controllers, path): &(&str, &str)| {
        path.contains(id) && (controllers.is_empty() || controllers.split(',').any(|name| name == "memory"))
    };
    lines.find(memory).map(|(_, path)| path.trim_start_matches('/'))
}

/// Seconds in `cpu.stat` of cgroup v2.
pub(super) fn cpu_of_stat(text: &str) -> Option<f64> {
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(microseconds.trim().parse::<u64>().ok()? as f64 / 1e6)
}

/// Bytes in `io.stat` of cgroup v2, of all devices: `259:0 rbytes=4096 wbytes=0 rios=1 ...`.
pub(super) fn io_of_stat(text: &str) -> Usage {
    let sum = |key: &str| {
        text.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum::<u64>()
    };
    Usage { read_bytes: Some(sum("rbytes=")), written_bytes: Some(sum("wbytes=")), ..Usage::default() }
}

/// Bytes in `blkio.throttle.io_service_bytes` of cgroup v1, of all devices: `8:0 Read 4096`.
pub(super) fn io_of_blkio(text: &str) -> Usage {
    let sum = |operation: &str| {
        let amount = |line: &str| line.split_once(operation)?.1.trim().parse::<u64>().ok();
        text.lines().filter_map(amount).sum::<u64>()
    };
    Usage { read_bytes: Some(sum(" Read ")), written_bytes: Some(sum(" Write ")), ..Usage::default() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{ControlGroups, Usage, path_of};

    const ID: &str = "c6618374d4e8185bb665312b7714ad7ee1ca6441635b4c8fbf3ff157bc6b9f06";

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name.replace("ID", ID));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn a_group_of_version_1_is_read() {
        let root = tempfile::tempdir().unwrap();
        let blkio = "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 12288\n8:0 Async 0\n8:0 Discard 0\n8:0 Total 12288\n\
                     8:16 Read 1\n8:16 Write 2\n8:16 Total 3\nTotal 12291\n";
        write(
            root.path(),
            &[
                ("memory/docker/ID/cgroup.procs", "30017\n30044\n"),
                ("memory/docker/ID/memory.max_usage_in_bytes", "4345856\n"),
                ("cpuacct/docker/ID/cpuacct.usage", "25352730\n"),
                ("blkio/docker/ID/blkio.throttle.io_service_bytes", blkio),
            ],
        );
        let groups = ControlGroups::below(root.path().to_owned());
        let group = groups.find(ID).unwrap();
        let expected = Usage {
            cpu_seconds: Some(0.025_352_73),
            peak_memory: Some(4_345_856),
            read_bytes: Some(4097),
            written_bytes: Some(8194),
        };
        assert_eq!(group.look(), expected);
        assert_eq!(group.first().unwrap().as_raw_nonzero().get(), 30017);
        assert_eq!(groups.find("of-another"), None);
        assert!(!groups.asks(), "where groups lie is known");
        fs::remove_dir_all(root.path().join("cpuacct")).unwrap();
        assert_eq!(group.look(), Usage { cpu_seconds: None, ..expected });
    }

    #[test]
    fn a_group_of_version_2_is_read_also_by_an_older_kernel() {
        let root = tempfile::tempdir().unwrap();
        let group = "system.slice/docker-ID.scope";
        let stat = "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 0\n";
        let io = "259:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:0 rbytes=1 wbytes=0 rios=1 wios=0\n";
        write(
            root.path(),
            &[
                ("cgroup.controllers", "cpuset cpu io memory pids\n"),
                (&format!("{group}/cgroup.procs"), "0\n"),
                (&format!("{group}/memory.current"), "1000\n"),
                (&format!("{group}/cpu.stat"), stat),
                (&format!("{group}/io.stat"), io),
            ],
        );
        let found = ControlGroups::below(root.path().to_owned()).find(ID).unwrap();
        let expected = Usage {
            cpu_seconds: Some(1.234_567),
            peak_memory: Some(1000),
            read_bytes: Some(4097),
            written_bytes: Some(8192),
        };
        assert_eq!(found.look(), expected);
        assert_eq!(found.first(), None, "a process of another namespace has the number 0");
        write(root.path(), &[(&format!("{group}/memory.peak"), "5000\n")]);
        assert_eq!(found.look().peak_memory, Some(5000));
        let mut most = Usage { peak_memory: Some(9000), ..Usage::default() };
        most.see(&found.look());
        assert_eq!(most, Usage { peak_memory: Some(9000), ..expected });
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_is_followed_until_it_is_gone() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[("memory/docker/ID/cgroup.procs", ""), ("cpuacct/docker/ID/cpuacct.usage", "1500000000\n")],
        );
        let group = ControlGroups::below(root.path().to_owned()).find(ID).unwrap();
        let mut usage = Usage::default();
        let gone = async {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            fs::remove_dir_all(root.path()).unwrap();
        };
        tokio::join!(group.follow(&mut usage), gone);
        assert_eq!(usage, Usage { cpu_seconds: Some(1.5), ..Usage::default() });
    }

    #[test]
    fn the_path_of_a_process_counts_only_where_it_is_of_that_container() {
        let one = "9:name=systemd:/x\n4:cpu,memory:/lab/docker/ID\n2:cpuacct:/lab/docker/ID\n0::/lab/docker/ID\n";
        let two = "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope\n";
        let path = |text: &str| path_of(&text.replace("ID", ID), ID).map(|path| path.replace(ID, "ID"));
        assert_eq!(path(one).as_deref(), Some("lab/docker/ID"));
        assert_eq!(
            path(two).as_deref(),
            Some("user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope")
        );
        assert_eq!(path("0::/init.scope\n"), None, "a process of this machine that only has the same number");
    }

    #[test]
    fn nobody_is_asked_for_ever() {
        let groups = ControlGroups::below("/nonexistent".into());
        assert_eq!((0..100).filter(|_| groups.asks()).count(), super::QUESTIONS);
        assert_eq!(groups.learn(ID, i64::from(std::process::id())), None);
    }
}
