//! Processes of this machine: what `/proc` says of them, and signals to their groups. Decides nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal};

/// Holds the labels of the attempt a process belongs to, as JSON.
pub(super) const LABELS: &str = "COMBU_LABELS";
/// Names the engine that a process belongs to; trials inherit it and so do their children.
pub(super) const TOKEN: &str = "COMBU_WATCH";

/// A process, told apart from a later one of the same number by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Clock ticks from boot to its start.
    pub(super) start: u64,
}

/// A line of `/proc/PID/stat`, as far as we need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) process: Process,
    /// The process group.
    pub(super) group: i32,
    /// False for a zombie: it has ended, and nobody asked how.
    pub(super) alive: bool,
    /// True while the program's environment cannot be read yet.
    begins: bool,
}

/// Processes of one attempt that share a process group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessGroup {
    /// The group's leader, or its oldest survivor.
    pub(super) first: Process,
    pub(super) labels: BTreeMap<String, String>,
}

impl Process {
    /// The process that runs under this number now, or a zombie.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Some(stat(pid)?.process)
    }

    /// Reads what [`Process::id`] wrote.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (pid, start) = id.split_once(':')?;
        Some(Self { pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    /// `pid:start`.
    pub(super) fn id(self) -> String {
        format!("{}:{}", self.pid, self.start)
    }

    /// The process's line, unless it has ended; a later process of the same number does not count.
    pub(super) fn alive(self) -> Option<Stat> {
        stat(self.pid).filter(|stat| stat.process == self && stat.alive)
    }
}

/// The line of `/proc/PID/stat`; absent when there is no such process.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(pid, &short(&format!("/proc/{pid}/stat"))?)
}

/// A short file of the kernel's, which gives all of it with the first read.
fn short(path: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let length = File::open(path).ok()?.read(&mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// The numbers of all processes.
pub(super) fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The value of a variable in the environment a process was started with. Blocks for a moment where it only starts.
///
/// Absent also where it is another user's process, which may not be read.
pub(super) fn variable(pid: i32, name: &str) -> Option<Vec<u8>> {
    let environ = environ(pid)?;
    let entries = environ.split(|byte| *byte == 0);
    let mut values = entries.filter_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.next().map(<[u8]>::to_vec)
}

fn environ(pid: i32) -> Option<Vec<u8>> {
    // The kernel reports a start before it has laid out the new program's environment: 100 looks are 5 ms, and that
    // takes microseconds.
    for _ in 0..100 {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        if !environ.is_empty() || !stat(pid)?.begins {
            return Some(environ);
        }
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
    None
}

/// A process of the group that has not ended; zombies do not count. Reads all of `/proc`.
pub(super) fn member(group: i32) -> Option<Process> {
    Some(pids().filter_map(stat).find(|stat| stat.group == group && stat.alive)?.process)
}

/// Signals a group. Its end just before, or members of another user, are no error: there is nothing else to try.
pub(super) fn send(group: Pid, signal: Signal) {
    let _gone = rustix::process::kill_process_group(group, signal);
}

/// The running attempts of ours that carry all those labels.
pub(super) fn groups(labels: &BTreeMap<String, String>) -> Vec<ProcessGroup> {
    let mut found: BTreeMap<(i32, Vec<u8>), Vec<Process>> = BTreeMap::new();
    for pid in pids() {
        let Some(carried) = variable(pid, LABELS) else { continue };
        let Some(stat) = stat(pid).filter(|stat| stat.alive) else { continue };
        found.entry((stat.group, carried)).or_default().push(stat.process);
    }
    let groups = found.into_iter().filter_map(|((group, carried), members)| {
        let leader = members.iter().find(|member| member.pid == group);
        let first = *leader.or_else(|| members.iter().min_by_key(|member| member.start))?;
        Some(ProcessGroup { first, labels: serde_json::from_slice(&carried).ok()? })
    });
    groups.filter(|group| labels.iter().all(|(key, value)| group.labels.get(key) == Some(value))).collect()
}

/// Bytes that a process, and those of its children that it waited for, read from and wrote to disks; of a zombie too.
pub(super) fn io(pid: i32) -> Option<(u64, u64)> {
    parse_io(std::str::from_utf8(&short(&format!("/proc/{pid}/io"))?).ok()?)
}

fn parse_io(text: &str) -> Option<(u64, u64)> {
    let bytes = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    Some((bytes("read_bytes:")?, bytes("write_bytes:")?))
}

/// True for a child's peak of memory, in bytes, that is the child's own. A child begins with its parent's memory, and the
/// kernel counts that as the child's (`exec_mmap` in fs/exec.c): what is not above this process's own peak says nothing.
pub(super) fn is_own_peak(peak: u64) -> bool {
    // A peak only grows: what an old one reaches, the one of now does, and short trials cost no look.
    static OWN: AtomicU64 = AtomicU64::new(0);
    peak > OWN.load(Ordering::Relaxed)
        && own_peak().is_some_and(|own| {
            OWN.store(own, Ordering::Relaxed);
            peak > own
        })
}

/// Most memory this process ever held, in bytes.
fn own_peak() -> Option<u64> {
    let status = short("/proc/self/status")?;
    kibibytes(&String::from_utf8_lossy(&status), "VmHWM:")
}

/// Memory of this machine in bytes, or of the control group combu is confined to.
pub(super) fn memory() -> u64 {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_total(&text)).unwrap_or(0);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = |path: &str| fs::read_to_string(Path::new(path)).ok()?.trim().parse::<u64>().ok();
    limits.into_iter().filter_map(limit).fold(total, u64::min)
}

fn parse_total(meminfo: &str) -> Option<u64> {
    kibibytes(meminfo, "MemTotal:")
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Fields are counted from behind the program's name, which may hold spaces and brackets; see `man 5 proc`.
fn parse_stat(pid: i32, line: &[u8]) -> Option<Stat> {
    let behind = line.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&line[behind..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(16)?.parse().ok()?;
    // A kernel thread has neither memory nor an environment.
    let (memory, environ_end) = (fields.next()?, fields.nth(27)?);
    let begins = memory != "0" && environ_end == "0";
    Some(Stat { process: Process { pid, start }, group, alive: !matches!(state, "Z" | "X" | "x"), begins })
}

#[cfg(test)]
mod tests {
    use super::{
        Process, Stat, is_own_peak, member, memory, own_peak, parse_io, parse_stat, parse_total, stat, variable,
    };

    #[test]
    fn a_programs_name_cannot_disturb_its_stat_line() {
        let line = |memory: &str, environ_end: &str| {
            let zeros = "0 ".repeat(27);
            let end =
                format!("R 1 40 40 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 98765 {memory} {zeros}{environ_end} 0\n");
            [b"42 (a) Z (b\xff) ".as_slice(), end.as_bytes()].concat()
        };
        let process = Process { pid: 42, start: 98765 };
        let expected = Stat { process, group: 40, alive: true, begins: false };
        assert_eq!(parse_stat(42, &line("5000", "140730")), Some(expected));
        assert_eq!(parse_stat(42, &line("5000", "0")), Some(Stat { begins: true, ..expected }));
        assert_eq!(parse_stat(42, &line("0", "0")), Some(expected));
        assert_eq!(parse_stat(42, b"42 (a"), None);
    }

    #[test]
    fn this_process_is_found_and_a_later_one_of_its_number_is_not_taken_for_it() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Process::of(pid).unwrap();
        assert_eq!(Process::parse(&me.id()), Some(me));
        assert!(me.alive().is_some_and(|stat| member(stat.group).is_some()));
        assert_eq!(Process { start: me.start + 1, ..me }.alive(), None);
        assert_eq!(stat(-5), None);
        let path = std::env::var("PATH").unwrap();
        assert_eq!(variable(pid, "PATH"), Some(path.into_bytes()));
        assert_eq!(variable(pid, "PAT"), None);
    }

    #[test]
    fn what_a_process_moved_from_and_to_disks_is_read() {
        let text =
            "rchar: 9\nwchar: 9\nsyscr: 1\nsyscw: 1\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n";
        assert_eq!(parse_io(text), Some((4096, 8192)));
        assert_eq!(parse_io("rchar: 9\n"), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(parse_total("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert!(memory() > 1 << 20);
        let own = own_peak().unwrap();
        assert!(own > 1 << 16 && !is_own_peak(1 << 16) && is_own_peak(own * 100) && !is_own_peak(1 << 16));
    }
}
