//! The pool: what several runs share of their machines, what each of them has of it, and who waits longest for more.
//!
//! Pure, and it knows runs by numbers only: it could as well be kept for all processes of a machine. The rules are those of
//! one run (see `permits`), over all of them: services are not held back for CPUs and memory, the first trial always fits in
//! these where nothing but services runs, and nothing of which there is one is given twice. A run that is the only one is not
//! held to the pool: its own budget says what it may.
//!
//! Each run stands in the line with the first of its trials that lacks nothing but room of the pool. Services come first,
//! then higher priorities, then who has stood there longest, and runs take turns so: whoever is served goes to the end. Room
//! is kept for whoever fits, until its run has taken it, and for the first that does not fit, while trials run that will give
//! back what it lacks. Nobody else stands in the line, or room would be kept for a run that cannot use it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::capability::{Capabilities, Gpu};
use crate::model::name::EngineName;
use crate::model::options::{Budget, HostBudget, Options, Reserve};
use crate::run::permits::amount::Amount;
use crate::run::permits::ask::{Ask, GpuAsk, millis};
use crate::run::permits::lack::Lack;

/// What several runs share.
#[derive(Debug)]
pub(super) struct Pool {
    budget: Budget,
    reserve: Option<Reserve>,
    hosts: Vec<PoolHost>,
    limits: BTreeMap<String, Amount>,
    runs: BTreeMap<u64, Member>,
    held: BTreeMap<u64, Holding>,
    /// Trials of all runs that run, services apart.
    running: usize,
    /// How often something was taken or given back.
    changes: u64,
    /// The last number that was given to a run, to something held, or to a place in the line.
    last: u64,
}

/// A machine that trials run on.
#[derive(Debug)]
struct PoolHost {
    /// The engine that is there; absent: it is this machine.
    engine: Option<EngineName>,
    /// Its CPUs, for shares of them.
    size: f64,
    cpus: Amount,
    memory: Amount,
    /// For each core, whether a pinned trial has it.
    cores: Vec<bool>,
    running: usize,
}

/// A run that has a share.
#[derive(Debug, Default)]
struct Member {
    /// How many of its trials hold something.
    holds: usize,
    /// Its place in the line.
    head: Option<Head>,
    /// As of that change, nothing of it can go on but with what others have.
    stuck: Option<u64>,
}

#[derive(Debug)]
struct Head {
    rank: Rank,
    demand: Demand,
}

/// The order of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    work: bool,
    priority: Reverse<i32>,
    /// Smaller: it has stood in the line for longer.
    since: u64,
}

/// What a run wants for one of its trials.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Demand {
    /// Its host is one of the pool's.
    pub(super) ask: Ask,
    /// CPUs as the run counts them, in thousandths.
    pub(super) cpus: u64,
    pub(super) priority: i32,
    /// The GPUs that are free as far as the run knows, in the order in which it would take them.
    pub(super) gpus: Vec<Gpu>,
    /// How many GPUs the run may use.
    pub(super) all_gpus: usize,
}

/// What one trial has.
#[derive(Debug)]
struct Holding {
    run: u64,
    demand: Demand,
    cores: Vec<u32>,
    /// Those of the demand's GPUs that it has.
    gpus: Vec<Gpu>,
}

/// What a trial was given.
#[derive(Debug, PartialEq)]
pub(super) struct Grant {
    /// By which it is given back.
    pub(super) number: u64,
    pub(super) cores: Vec<u32>,
    /// Ids of GPUs, as its run calls them.
    pub(super) gpus: Vec<String>,
}

/// The sum of what is kept for others.
#[derive(Debug, Default)]
struct Beside<'a> {
    running: usize,
    /// By host: CPUs, memory and cores.
    sums: BTreeMap<usize, (u64, u64, usize)>,
    demands: Vec<&'a Demand>,
}

impl Pool {
    pub(super) fn new(options: &Options) -> Self {
        let limits = options.budget.limits.iter().map(|(name, all)| (name.clone(), Amount::of(u64::from(*all))));
        Self {
            budget: options.budget.clone(),
            reserve: options.reserve,
            hosts: Vec::new(),
            limits: limits.collect(),
            runs: BTreeMap::new(),
            held: BTreeMap::new(),
            running: 0,
            changes: 0,
            last: 0,
        }
    }

    /// Another run: its number.
    pub(super) fn join(&mut self) -> u64 {
        self.last += 1;
        self.runs.insert(self.last, Member::default());
        self.last
    }

    /// A run has ended: everything that it still had is given back. True when somebody else may be glad of it.
    pub(super) fn leave(&mut self, run: u64) -> bool {
        let left: Vec<u64> = self.held.iter().filter(|(_, held)| held.run == run).map(|(number, _)| *number).collect();
        for number in left {
            self.give_back(number);
        }
        self.runs.remove(&run);
        !self.runs.is_empty()
    }

    /// The place of an engine's host. Engines on this machine share one, and where they differ, the smaller figure is safe.
    pub(super) fn host(&mut self, name: EngineName, engine: &Capabilities) -> usize {
        let key = (!engine.here).then_some(name);
        let budget = HostBudget::of(&self.budget, self.reserve, engine);
        if let Some(place) = self.hosts.iter().position(|host| host.engine == key) {
            let host = &mut self.hosts[place];
            host.size = host.size.min(engine.cpus);
            host.cpus.all = host.cpus.all.min(millis(budget.cpus));
            host.memory.all = host.memory.all.min(budget.memory);
            return place;
        }
        self.hosts.push(PoolHost {
            engine: key,
            size: engine.cpus,
            cpus: Amount::of(millis(budget.cpus)),
            memory: Amount::of(budget.memory),
            cores: vec![false; engine.cpus as usize],
            running: 0,
        });
        self.hosts.len() - 1
    }

    /// Whether a trial of any run has that GPU.
    pub(super) fn has(&self, host: usize, gpu: &Gpu) -> bool {
        self.held.values().any(|held| held.demand.ask.host == host && held.gpus.iter().any(|one| same(one, gpu)))
    }

    /// Takes the room for a trial. `first`: no trial of the run before it waits for the pool; where there is no room then,
    /// the run stands in the line with this one. True when somebody else may start now.
    pub(super) fn take(&mut self, run: u64, demand: &Demand, first: bool) -> (Option<Grant>, bool) {
        let beside = self.beside(self.rank(run, demand, first), first.then_some(run));
        let fits = self.lacks_of(demand, &beside).is_empty();
        let gpus = if fits { self.choose(demand, &beside) } else { None };
        let Some(gpus) = gpus else { return (None, first && self.stand(run, demand)) };
        let news = first && self.stand_aside(run);
        let cores = self.free_cores(demand);
        let ids = gpus.iter().map(|gpu| gpu.id.clone()).collect();
        let number = self.hold(run, demand.clone(), cores.clone(), gpus);
        (Some(Grant { number, cores, gpus: ids }), news)
    }

    /// Notes what a trial has already: the number by which it is given back.
    pub(super) fn hold(&mut self, run: u64, demand: Demand, cores: Vec<u32>, gpus: Vec<Gpu>) -> u64 {
        let (ask, host) = (&demand.ask, &mut self.hosts[demand.ask.host]);
        host.cpus.taken += demand.cpus;
        host.memory.taken += ask.memory;
        host.running += ask.counts();
        self.running += ask.counts();
        host.mark(&cores, true);
        for (name, amount) in &ask.limits {
            if let Some(limit) = self.limits.get_mut(name) {
                limit.taken += u64::from(*amount);
            }
        }
        self.runs.entry(run).or_default().holds += 1;
        (self.changes, self.last) = (self.changes + 1, self.last + 1);
        self.held.insert(self.last, Holding { run, demand, cores, gpus });
        self.last
    }

    /// Gives back what a trial had.
    pub(super) fn give_back(&mut self, number: u64) {
        let Some(Holding { run, demand, cores, .. }) = self.held.remove(&number) else { return };
        self.changes += 1;
        let (ask, host) = (&demand.ask, &mut self.hosts[demand.ask.host]);
        host.cpus.taken -= demand.cpus;
        host.memory.taken -= ask.memory;
        host.running -= ask.counts();
        self.running -= ask.counts();
        host.mark(&cores, false);
        for (name, amount) in &ask.limits {
            if let Some(limit) = self.limits.get_mut(name) {
                limit.taken -= u64::from(*amount);
            }
        }
        if let Some(run) = self.runs.get_mut(&run) {
            run.holds -= 1;
        }
    }

    /// A trial keeps the CPUs and the memory of this demand, and its cores, GPUs and limits.
    pub(super) fn change(&mut self, number: u64, demand: Demand) {
        let Some(held) = self.held.get_mut(&number) else { return };
        self.changes += 1;
        let host = &mut self.hosts[held.demand.ask.host];
        host.cpus.taken = host.cpus.taken + demand.cpus - held.demand.cpus;
        host.running = host.running + demand.ask.counts() - held.demand.ask.counts();
        self.running = self.running + demand.ask.counts() - held.demand.ask.counts();
        held.demand = Demand { gpus: std::mem::take(&mut held.demand.gpus), ..demand };
    }

    /// The run waits for nothing of the pool. True when it did.
    pub(super) fn stand_aside(&mut self, run: u64) -> bool {
        self.runs.get_mut(&run).is_some_and(|run| {
            run.stuck = None;
            run.head.take().is_some()
        })
    }

    /// What other runs have of what a trial asks for; nothing where there is room, or it is only kept for others.
    pub(super) fn lacks(&self, demand: &Demand) -> Vec<Lack> {
        self.lacks_of(demand, &Beside::default())
    }

    /// Whether room is kept for trials of other runs that a trial needs.
    pub(super) fn keeps_from(&self, run: u64, demand: &Demand) -> bool {
        let beside = self.beside(self.rank(run, demand, true), Some(run));
        !beside.demands.is_empty() && !self.lacks_of(demand, &beside).is_empty()
    }

    /// The run has nothing but services, and waits with that trial. What it lacks for ever, because whoever has it waits in the
    /// same way; true when others may find the same now.
    pub(super) fn stuck(&mut self, run: u64, demand: &Demand) -> (Option<Lack>, bool) {
        let lack = self.lacks(demand).into_iter().find(Lack::is_exclusive);
        let now = lack.is_some().then_some(self.changes).filter(|_| self.running == 0);
        let before = std::mem::replace(&mut self.runs.entry(run).or_default().stuck, now);
        if now.is_none() {
            return (None, false);
        }
        let mut others = self.runs.iter().filter(|(other, member)| **other != run && member.holds > 0);
        if !others.all(|(_, member)| member.stuck == now) {
            return (None, before != now);
        }
        // One that gives up is enough: what it gives back, the others wait for.
        self.changes += 1;
        (lack, false)
    }

    /// Whether other runs are there.
    pub(super) fn is_shared(&self) -> bool {
        self.runs.len() > 1
    }

    /// The run stands in the line with that trial, at the place that it has or else at the end. True when it stood there
    /// with another one: less may be kept now.
    fn stand(&mut self, run: u64, demand: &Demand) -> bool {
        let mut rank = self.rank(run, demand, true);
        if rank.since == u64::MAX {
            self.last += 1;
            rank.since = self.last;
        }
        let run = self.runs.entry(run).or_default();
        let before = run.head.replace(Head { rank, demand: demand.clone() });
        let is_other = before.is_some_and(|before| before.demand != *demand);
        run.stuck = run.stuck.filter(|_| !is_other);
        is_other
    }

    /// Where a run's trial stands in the line, or would: the first of its run has the run's place, the others come last.
    fn rank(&self, run: u64, demand: &Demand, first: bool) -> Rank {
        let head = self.runs.get(&run).and_then(|run| run.head.as_ref()).filter(|_| first);
        let since = head.map_or(u64::MAX, |head| head.rank.since);
        Rank { work: !demand.ask.service, priority: Reverse(demand.priority), since }
    }

    /// What is kept for the heads of runs before that rank, but for those of one.
    fn beside(&self, rank: Rank, but: Option<u64>) -> Beside<'_> {
        let heads = self.runs.iter().filter(|(run, _)| but != Some(**run));
        let heads = heads.filter_map(|(_, member)| member.head.as_ref());
        let mut before: Vec<&Head> = heads.filter(|head| head.rank < rank).collect();
        before.sort_unstable_by_key(|head| head.rank);
        let (mut beside, mut waits) = (Beside::default(), false);
        for Head { demand, .. } in before {
            let fits = self.lacks_of(demand, &beside).is_empty();
            // Where nothing runs, nothing is given back: whoever does not fit then must not keep others from starting.
            if fits || (!waits && self.running > 0) {
                waits |= !fits;
                beside.add(demand);
            }
        }
        beside
    }

    fn lacks_of(&self, demand: &Demand, beside: &Beside<'_>) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if !self.is_shared() {
            return lacks;
        }
        let (ask, host) = (&demand.ask, &self.hosts[demand.ask.host]);
        let kept = beside.sums.get(&ask.host);
        let (cpus, memory, cores) = kept.copied().unwrap_or_default();
        if let Some(limit) = self.limit().filter(|limit| !ask.service && self.running + beside.running >= *limit) {
            lacks.push(Lack::Place { limit });
        }
        if !ask.service && (host.running > 0 || kept.is_some()) {
            if !host.cpus.fits(demand.cpus, cpus) {
                lacks.push(Lack::Cpus { asks: demand.cpus, free: host.cpus.free(), all: host.cpus.all });
            }
            if !host.memory.fits(ask.memory, memory) {
                lacks.push(Lack::Memory { asks: ask.memory, free: host.memory.free(), all: host.memory.all });
            }
        }
        let free_cores = host.cores.iter().filter(|taken| !**taken).count();
        // Nothing waits for more than there is: what its run allows it gets where nobody has any of it.
        if ask.cores > 0 && ask.cores.min(host.cores.len()) + cores > free_cores {
            lacks.push(Lack::Cores { asks: ask.cores, free: free_cores });
        }
        if self.choose(demand, beside).is_none() {
            let free = self.free_gpus(demand).len();
            lacks.push(Lack::Gpus { asks: ask.gpus.to_string(), free, all: demand.all_gpus, strangers: Vec::new() });
        }
        let held = self.held.values().map(|held| &held.demand).chain(beside.demands.iter().copied());
        let here: Vec<&Ask> = match ask.ports.is_empty() {
            true => Vec::new(),
            false => held.map(|demand| &demand.ask).filter(|other| other.host == ask.host).collect(),
        };
        let mut ports = ask.ports.iter();
        let taken = ports.find(|port| here.iter().flat_map(|ask| &ask.ports).any(|other| other.meets(port)));
        lacks.extend(taken.map(|port| Lack::Port(port.clone())));
        for (name, amount) in &ask.limits {
            let Some(limit) = self.limits.get(name) else { continue };
            let kept = beside.demands.iter().filter_map(|demand| demand.ask.limits.get(name)).sum::<u32>();
            if !limit.fits(u64::from(*amount).min(limit.all), u64::from(kept)) {
                lacks.push(Lack::Limit { name: name.clone(), asks: *amount, free: limit.free(), all: limit.all });
            }
        }
        lacks
    }

    /// Most trials at once, if someone said a number.
    fn limit(&self) -> Option<usize> {
        let size = self.hosts.iter().map(|host| host.size).fold(1.0, f64::max);
        self.budget.parallel.map(|parallel| parallel.on(size))
    }

    fn free_gpus<'a>(&self, demand: &'a Demand) -> Vec<&'a Gpu> {
        demand.gpus.iter().filter(|gpu| !self.has(demand.ask.host, gpu)).collect()
    }

    /// The GPUs that would be given. Of those that nobody waits for first.
    fn choose(&self, demand: &Demand, beside: &Beside<'_>) -> Option<Vec<Gpu>> {
        if demand.ask.gpus == GpuAsk::Count(0) {
            return Some(Vec::new());
        }
        let mut free = self.free_gpus(demand);
        let waits = || beside.demands.iter().filter(|other| other.ask.host == demand.ask.host);
        let wants = |other: &Demand, gpu: &Gpu| other.gpus.iter().any(|one| same(one, gpu));
        // Whoever waits for all of those, or for some by their names, leaves none of them to others.
        free.retain(|gpu| {
            !waits().any(|other| match &other.ask.gpus {
                GpuAsk::Count(_) => false,
                GpuAsk::All => wants(other, gpu),
                GpuAsk::Ids(ids) => ids.iter().any(|id| is(gpu, id)),
            })
        });
        let counted =
            |gpu: &Gpu| waits().any(|other| matches!(other.ask.gpus, GpuAsk::Count(1..)) && wants(other, gpu));
        free.sort_by_key(|gpu| counted(gpu));
        let chosen: Vec<&Gpu> = match &demand.ask.gpus {
            GpuAsk::Count(count) => free.get(..*count)?.to_vec(),
            GpuAsk::All if free.len() < demand.all_gpus || free.is_empty() => return None,
            GpuAsk::All => free.clone(),
            GpuAsk::Ids(ids) => {
                let find = |id: &String| free.iter().copied().find(|gpu| is(gpu, id));
                ids.iter().map(find).collect::<Option<Vec<_>>>()?
            }
        };
        let left = |other: &Demand| {
            let is_left = |gpu: &&&Gpu| wants(other, gpu) && !chosen.iter().any(|one| same(one, gpu));
            free.iter().filter(is_left).count()
        };
        // Of the same GPUs, several may wait for some: all of them together are kept.
        let mut kept = 0;
        for other in waits() {
            let GpuAsk::Count(count @ 1..) = other.ask.gpus else { continue };
            kept += count;
            if left(other) < kept && chosen.iter().any(|gpu| wants(other, gpu)) {
                return None;
            }
        }
        Some(chosen.into_iter().cloned().collect())
    }

    /// The last cores that are free.
    fn free_cores(&self, demand: &Demand) -> Vec<u32> {
        let cores = &self.hosts[demand.ask.host].cores;
        let free = (0..cores.len()).rev().filter(|core| !cores[*core]).take(demand.ask.cores);
        let mut cores: Vec<u32> = free.filter_map(|core| u32::try_from(core).ok()).collect();
        cores.reverse();
        cores
    }
}

impl PoolHost {
    fn mark(&mut self, cores: &[u32], taken: bool) {
        for core in cores {
            // A core that is not there any more is nobody's.
            if let Some(mark) = self.cores.get_mut(*core as usize) {
                *mark = taken;
            }
        }
    }
}

impl<'a> Beside<'a> {
    fn add(&mut self, demand: &'a Demand) {
        let (cpus, memory, cores) = self.sums.entry(demand.ask.host).or_default();
        *cpus += demand.cpus;
        *memory += demand.ask.memory;
        *cores += demand.ask.cores;
        self.running += demand.ask.counts();
        self.demands.push(demand);
    }
}

/// Whether two runs mean the same GPU: each may call it by its index or by its UUID.
fn same(one: &Gpu, other: &Gpu) -> bool {
    is(one, &other.id) || other.uuid.as_ref().is_some_and(|uuid| is(one, uuid))
}

fn is(gpu: &Gpu, id: &str) -> bool {
    gpu.id == id || gpu.uuid.as_deref() == Some(id)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Demand, Pool};
    use crate::engine::Engine;
    use crate::engine::fake::Fake;
    use crate::model::capability::Gpu;
    use crate::model::name::EngineName;
    use crate::model::options::{Budget, Options, Parallel, Reserve};
    use crate::run::permits::ask::{Ask, GpuAsk};

    fn wants(cpus: u64, gpus: GpuAsk) -> Demand {
        let (limits, ports) = (BTreeMap::new(), BTreeSet::new());
        let ask =
            Ask { host: 0, service: false, paused: false, cpus: Some(cpus), memory: 0, cores: 0, gpus, limits, ports };
        Demand { ask, cpus: cpus * 1000, priority: 0, gpus: Vec::new(), all_gpus: 0 }
    }

    fn cpus(cpus: u64) -> Demand {
        wants(cpus, GpuAsk::Count(0))
    }

    fn gpus(ask: GpuAsk, ids: &[&str]) -> Demand {
        let gpu = |id: &&str| Gpu { id: (*id).to_owned(), uuid: None, name: String::new(), memory: 0, busy: None };
        Demand { gpus: ids.iter().map(gpu).collect(), all_gpus: ids.len(), ..wants(0, ask) }
    }

    /// A pool on a host of four CPUs, and the numbers of three runs.
    fn pool(budget: Budget) -> (Pool, [u64; 3]) {
        let reserve = Some(Reserve { cpus: 2.0, memory: 0 });
        let mut pool = Pool::new(&Options { budget, reserve, ..Options::default() });
        pool.host(EngineName::Fake, Fake::new(6.0).capabilities());
        let runs = [pool.join(), pool.join(), pool.join()];
        (pool, runs)
    }

    fn takes(pool: &mut Pool, run: u64, demand: &Demand) -> Option<u64> {
        pool.take(run, demand, true).0.map(|grant| grant.number)
    }

    #[test]
    fn the_only_run_is_held_to_nothing_and_a_large_trial_runs_alone() {
        let (mut pool, [a, b, c]) = pool(Budget::default());
        assert!(pool.leave(c) && pool.leave(b));
        let first = takes(&mut pool, a, &cpus(3)).unwrap();
        let more = takes(&mut pool, a, &cpus(3)).unwrap();
        let b = pool.join();
        assert_eq!(takes(&mut pool, b, &cpus(1)), None);
        pool.give_back(first);
        assert_eq!(takes(&mut pool, a, &cpus(1)), None, "it is kept");
        assert!(takes(&mut pool, b, &cpus(1)).is_some());
        assert_eq!(takes(&mut pool, b, &cpus(9)), None);
        pool.give_back(more);
        assert_eq!(takes(&mut pool, b, &cpus(9)), None);
        assert!(pool.leave(a) && takes(&mut pool, b, &cpus(9)).is_some());
    }

    #[test]
    fn nothing_waits_for_more_than_there_is() {
        let (mut pool, [a, b, _]) = pool(Budget { limits: [("license".to_owned(), 1)].into(), ..Budget::default() });
        let mut both = cpus(9);
        both.ask.limits.insert("license".to_owned(), 2);
        let first = takes(&mut pool, a, &both).unwrap();
        assert_eq!(takes(&mut pool, b, &both), None);
        pool.give_back(first);
        assert!(takes(&mut pool, b, &both).is_some());
    }

    #[test]
    fn the_longest_in_the_line_goes_first_and_who_was_served_goes_to_its_end() {
        let (mut pool, [a, b, c]) = pool(Budget::default());
        let all = takes(&mut pool, a, &cpus(4)).unwrap();
        assert_eq!((takes(&mut pool, b, &cpus(2)), takes(&mut pool, c, &cpus(2))), (None, None));
        assert_eq!((takes(&mut pool, a, &cpus(2)), takes(&mut pool, b, &cpus(2))), (None, None));
        pool.give_back(all);
        assert_eq!(takes(&mut pool, a, &cpus(2)), None, "two are before it");
        let second = takes(&mut pool, b, &cpus(2)).unwrap();
        assert_eq!(takes(&mut pool, b, &cpus(2)), None, "it has had its turn");
        assert!(takes(&mut pool, c, &cpus(2)).is_some());
        pool.give_back(second);
        assert_eq!(takes(&mut pool, b, &cpus(2)), None);
        assert!(takes(&mut pool, a, &cpus(2)).is_some());
    }

    #[test]
    fn room_is_kept_for_the_first_that_does_not_fit_and_for_all_that_do() {
        let (mut pool, [a, b, c]) = pool(Budget::default());
        let small = takes(&mut pool, a, &cpus(2)).unwrap();
        assert_eq!(takes(&mut pool, b, &cpus(3)), None);
        assert_eq!(takes(&mut pool, c, &cpus(2)), None, "2 CPUs are free, and 3 of 4 are kept");
        pool.give_back(small);
        // Both stand there; the first fits now, and its run will take it.
        assert_eq!(pool.take(a, &cpus(2), false).0, None);
        assert!(pool.keeps_from(a, &cpus(2)) && pool.lacks(&cpus(2)).is_empty());
        assert!(pool.take(a, &cpus(1), false).0.is_some());
        assert_eq!(takes(&mut pool, c, &cpus(2)), None);
        pool.stand_aside(b);
        assert!(takes(&mut pool, c, &cpus(2)).is_some());
    }

    #[test]
    fn a_run_that_leaves_gives_everything_back() {
        let (mut pool, [a, b, _]) = pool(Budget { parallel: Some(Parallel::Count(2)), ..Budget::default() });
        assert!(takes(&mut pool, a, &cpus(1)).is_some() && takes(&mut pool, a, &cpus(1)).is_some());
        assert_eq!(takes(&mut pool, b, &cpus(1)), None);
        insta::assert_snapshot!(pool.lacks(&cpus(1))[0], @"one of the 2 places for trials that run at once");
        assert!(pool.leave(a));
        assert!(takes(&mut pool, b, &cpus(1)).is_some());
    }

    #[test]
    fn gpus_are_kept_where_they_are_wanted_and_taken_elsewhere() {
        let (mut pool, [a, b, c]) = pool(Budget::default());
        let (one, all) = (GpuAsk::Count(1), ["0", "1", "2"]);
        let first = pool.take(a, &gpus(one.clone(), &all), true).0.unwrap();
        assert_eq!(first.gpus, ["0"]);
        assert_eq!(takes(&mut pool, b, &gpus(GpuAsk::Count(2), &["0", "1"])), None);
        assert_eq!(pool.take(c, &gpus(one.clone(), &all), true).0.unwrap().gpus, ["2"], "the other is kept");
        assert_eq!(takes(&mut pool, c, &gpus(one, &all)), None);
        assert_eq!(takes(&mut pool, a, &gpus(GpuAsk::All, &all)), None);
        pool.give_back(first.number);
        assert_eq!(pool.take(b, &gpus(GpuAsk::Count(2), &["0", "1"]), true).0.unwrap().gpus, ["0", "1"]);
    }
}
