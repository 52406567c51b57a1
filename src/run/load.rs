//! The load of this machine, and whether something new may be started beside it. What is read is a value; what follows
//! from it is decided in pure functions.
//!
//! A trial that was started a moment ago does not show in what the kernel tells, so those that were started since the last
//! reading are added to it; a reading serves for a second.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::options::Budget;
use crate::model::trial::settled::Settled;

/// How long a reading is good for.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// What the kernel tells of this machine at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Reading {
    /// Processes that run, want to run, or wait for a disk, this one not counted (`/proc/stat`).
    pub(crate) processes: f64,
    /// CPUs that this process may use.
    pub(crate) cpus: f64,
    /// Bytes of memory that can be had without swapping (`MemAvailable` in `/proc/meminfo`).
    pub(crate) free: u64,
    /// The largest of the three pressures `some avg10`, in percent (`/proc/pressure/*`); absent: the kernel has none.
    pub(crate) pressure: Option<f64>,
}

impl Reading {
    /// What a machine tells that has nothing to do.
    pub(crate) fn idle() -> Self {
        Self { processes: 0.0, cpus: 1.0, free: u64::MAX, pressure: None }
    }

    /// What the kernel tells now; a file that cannot be read holds nothing back.
    pub(crate) fn now() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let pressures = ["cpu", "memory", "io"].map(|what| pressure(&read(&format!("/proc/pressure/{what}"))));
        Self {
            processes: processes(&read("/proc/stat")),
            cpus: std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64),
            free: free(&read("/proc/meminfo")),
            pressure: pressures.into_iter().flatten().reduce(f64::max),
        }
    }
}

/// Where readings come from.
pub(crate) type Machine = fn() -> Reading;

/// Holds back new starts while the machine has too much to do.
#[derive(Debug)]
pub(crate) struct Gate {
    /// What the user said of `load`, `memfree` and `pressure`.
    budget: Budget,
    source: Machine,
    read: Option<(Instant, Reading)>,
    /// Trials started since the reading, and the memory they asked for.
    started: (usize, u64),
    /// Since when and why nothing new is started.
    held: Option<(Instant, String)>,
}

/// What changed about a gate.
#[derive(Debug, PartialEq)]
pub(crate) enum Turned {
    /// It holds back now; why.
    Held(String),
    /// It lets pass again; how long it held back.
    Released(Duration),
}

impl Gate {
    pub(crate) fn new(budget: &Budget, source: Machine) -> Self {
        Self { budget: budget.clone(), source, read: None, started: (0, 0), held: None }
    }

    /// Whether it looks at anything.
    pub(crate) fn is_set(&self) -> bool {
        self.budget.load.is_some() || self.budget.memfree.is_some() || self.budget.pressure.is_some()
    }

    /// Why nothing new is started now, if so.
    pub(crate) fn held(&self) -> Option<&str> {
        self.held.as_ref().map(|(_, because)| because.as_str())
    }

    pub(crate) fn set(&mut self, change: &Budget) {
        self.budget = change.over(&self.budget);
    }

    /// A trial is being started.
    pub(crate) fn passed(&mut self, trial: &Settled) {
        self.started.0 += 1;
        self.started.1 += trial.memory.unwrap_or(0);
    }

    /// Looks at the machine, if the last look is too old; what changed by it.
    pub(crate) fn look(&mut self, now: Instant) -> Option<Turned> {
        if !self.is_set() {
            return None;
        }
        let reading = match self.read {
            Some((at, reading)) if now.duration_since(at) < FRESH => reading,
            _ => {
                let reading = (self.source)();
                self.read = Some((now, reading));
                self.started = (0, 0);
                reading
            }
        };
        match (self.judge(&reading), &self.held) {
            (Some(because), None) => {
                self.held = Some((now, because.clone()));
                Some(Turned::Held(because))
            }
            (None, Some((since, _))) => {
                let elapsed = now.duration_since(*since);
                self.held = None;
                Some(Turned::Released(elapsed))
            }
            (Some(because), Some((since, _))) => {
                self.held = Some((*since, because));
                None
            }
            (None, None) => None,
        }
    }

    fn judge(&self, reading: &Reading) -> Option<String> {
        let processes = reading.processes + self.started.0 as f64;
        let free = reading.free.saturating_sub(self.started.1);
        if let Some(load) = self.budget.load
            && processes >= load.on(reading.cpus)
        {
            return Some(format!("{processes} processes want to run, and the load may be {}", load.on(reading.cpus)));
        }
        if let Some(wanted) = self.budget.memfree
            && free < wanted
        {
            return Some(format!("{} MiB of memory are free, and {} MiB shall stay free", free >> 20, wanted >> 20));
        }
        match (self.budget.pressure, reading.pressure) {
            (Some(most), Some(pressure)) if pressure > most => {
                Some(format!("the pressure on the machine is {pressure}%, above {most}%"))
            }
            _ => None,
        }
    }
}

/// Whether this kernel tells its pressure.
pub(crate) fn knows_pressure() -> bool {
    std::path::Path::new("/proc/pressure/cpu").exists()
}

/// `procs_running` and `procs_blocked`, without this process, which runs while it reads.
fn processes(stat: &str) -> f64 {
    let number = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse::<f64>().ok()).unwrap_or(0.0)
    };
    (number("procs_running ") - 1.0).max(0.0) + number("procs_blocked ")
}

fn free(meminfo: &str) -> u64 {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = kib.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib << 10)
}

/// `some avg10` of one file.
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Gate, Reading, Turned, free, pressure, processes};
    use crate::model::name::Name;
    use crate::model::options::{Budget, Load};
    use crate::model::trial::Trial;
    use crate::model::trial::settled::Settled;

    fn quiet() -> Reading {
        Reading { processes: 1.0, cpus: 4.0, free: 4 << 30, pressure: Some(3.5) }
    }

    fn gate(budget: &Budget) -> Gate {
        Gate::new(budget, quiet)
    }

    fn judged(budget: &Budget) -> String {
        gate(budget).look(Instant::now()).map_or("passes".to_owned(), |turned| format!("{turned:?}"))
    }

    #[test]
    fn each_figure_holds_back_on_its_own() {
        let none = Budget::default;
        assert_eq!(judged(&none()), "passes");
        assert_eq!(judged(&Budget { load: Some(Load::Percent(50.0)), ..none() }), "passes");
        insta::assert_snapshot!(judged(&Budget { load: Some(Load::Count(1.0)), ..none() }), @r#"Held("1 processes want to run, and the load may be 1")"#);
        assert_eq!(judged(&Budget { memfree: Some(4 << 30), ..none() }), "passes");
        insta::assert_snapshot!(judged(&Budget { memfree: Some(5 << 30), ..none() }), @r#"Held("4096 MiB of memory are free, and 5120 MiB shall stay free")"#);
        assert_eq!(judged(&Budget { pressure: Some(20.0), ..none() }), "passes");
        insta::assert_snapshot!(judged(&Budget { pressure: Some(3.0), ..none() }), @r#"Held("the pressure on the machine is 3.5%, above 3%")"#);
    }

    #[test]
    fn what_was_started_since_the_reading_counts_and_a_new_reading_forgets_it() {
        let mut gate = gate(&Budget { load: Some(Load::Count(3.0)), memfree: Some(3 << 30), ..Budget::default() });
        let trial = Trial { memory: Some(512 << 20), ..Trial::new(Name::parse("solver").unwrap()) };
        let trial = Settled::from(trial);
        let now = Instant::now();
        assert_eq!(gate.look(now), None);
        gate.passed(&trial);
        assert_eq!(gate.look(now), None);
        gate.passed(&trial);
        assert!(matches!(gate.look(now), Some(Turned::Held(_))));
        assert!(gate.held().is_some());
        let later = now + Duration::from_secs(1);
        assert_eq!(gate.look(later), Some(Turned::Released(Duration::from_secs(1))));
        assert_eq!(gate.held(), None);
    }

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(processes("cpu 1 2\nprocs_running 4\nprocs_blocked 2\n"), 5.0);
        assert_eq!((processes(""), free("")), (0.0, u64::MAX));
        assert_eq!(free("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), 2 << 20);
        let text = "some avg10=1.25 avg60=0.50 avg300=0.10 total=123\nfull avg10=0.00 avg60=0 avg300=0 total=0\n";
        assert_eq!((pressure(text), pressure("")), (Some(1.25), None));
        // What this machine says is a number, whatever it is.
        assert!(Reading::now().free > 0);
    }
}
