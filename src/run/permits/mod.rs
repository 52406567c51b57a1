//! Permits: whether a trial fits beside those that run. Pure arithmetic over counts, CPUs, memory, cores, GPUs, ports of the
//! host and named limits.
//!
//! Services take CPUs and memory but are never held back for them: trials that hold permits may be waiting for them
//! (docker/compose#5864 is what happens otherwise). And where nothing but services runs, the first trial always fits in
//! CPUs and memory, or nothing would ever start. GPUs, cores, ports and limits are never given twice, whoever asks.
//!
//! Where several runs share a room (`share`), what fits a run's own budget must fit there, too.

mod amount;
mod ask;
mod gpus;
mod lack;
mod pool;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::model::capability::Gpu;
use crate::model::name::EngineName;
use crate::model::options::{Budget, HostBudget, Options, Parallel};
use crate::model::trial::HostPort;
use crate::model::trial::settled::Settled;
use crate::plan::Engines;
use crate::run::permits::amount::Amount;
use crate::run::permits::ask::millis;
use crate::run::permits::gpus::Ledger;
use crate::run::permits::pool::Demand;
use crate::run::permits::share::Share;

pub(crate) use ask::Ask;
pub(crate) use lack::Lack;
pub(crate) use share::SharedRoom;

/// The room of a run: how many trials, and what they may take of each host.
#[derive(Debug)]
pub(crate) struct Permits {
    /// One per machine; engines on this machine share one.
    hosts: Vec<Host>,
    places: BTreeMap<EngineName, usize>,
    /// Engines that publish ports of containers on their host.
    publishing: BTreeSet<EngineName>,
    /// Most trials at once, if someone said a number.
    parallel: Option<Parallel>,
    limit: Option<usize>,
    running: usize,
    limits: BTreeMap<String, Amount>,
    /// What the run has of the room of several.
    share: Option<Share>,
}

#[derive(Debug)]
struct Host {
    /// CPUs of the machine, for shares of them.
    size: f64,
    /// In thousandths of a CPU: sums must come back to zero.
    cpus: Amount,
    memory: Amount,
    /// For each core, whether a pinned trial has it.
    cores: Vec<bool>,
    gpus: Ledger,
    ports: BTreeSet<HostPort>,
    running: usize,
    paused: usize,
}

/// The room a running trial holds.
#[derive(Debug)]
pub(crate) struct Permit {
    ask: Ask,
    /// What it counted then: the number of trials at once may have been set since.
    cpus: u64,
    /// Cores of its own.
    pub(crate) cores: Vec<u32>,
    /// Ids of GPUs of its own.
    pub(crate) gpus: Vec<String>,
    /// Its number in the room of several.
    number: Option<u64>,
}

impl Permits {
    /// The room of a run, which shares that one, if there is one, with others.
    pub(crate) fn new(engines: &Engines, options: &Options, room: Option<&SharedRoom>) -> Self {
        let mut permits = Self {
            hosts: Vec::new(),
            places: BTreeMap::new(),
            publishing: engines.iter().filter(|(_, engine)| engine.containers).map(|(name, _)| *name).collect(),
            parallel: options.budget.parallel,
            limit: None,
            running: 0,
            limits: BTreeMap::new(),
            share: None,
        };
        let mut here: Option<usize> = None;
        for (name, engine) in engines {
            let budget = HostBudget::of(&options.budget, options.reserve, engine);
            let place = match here {
                Some(place) if engine.here => {
                    // Two engines see the same machine; where they differ, the smaller figure is safe.
                    permits.hosts[place].narrow(&budget, engine.cpus);
                    permits.hosts[place].gpus.learn(&engine.gpus);
                    place
                }
                _ => {
                    permits.hosts.push(Host::new(&budget, engine.cpus, &engine.gpus, options.budget.gpus.is_some()));
                    permits.hosts.len() - 1
                }
            };
            if engine.here {
                here = Some(place);
            }
            permits.places.insert(*name, place);
        }
        for (name, all) in &options.budget.limits {
            permits.limits.insert(name.clone(), Amount::of(u64::from(*all)));
        }
        permits.limit = permits.parallel.map(|parallel| parallel.on(permits.size()));
        permits.share = room.map(|room| Share::new(room, engines, &permits.places));
        (0..permits.hosts.len()).for_each(|place| permits.acquit(place));
        permits
    }

    /// Most trials at once; without a number, as many as the budget has CPUs.
    pub(crate) fn most(&self) -> usize {
        let cpus = self.hosts.iter().map(|host| host.cpus.all / 1000).max().unwrap_or(1);
        self.limit.unwrap_or(usize::try_from(cpus).unwrap_or(usize::MAX)).max(1)
    }

    /// How many more trials the count allows now.
    pub(crate) fn free(&self) -> usize {
        self.most().saturating_sub(self.running)
    }

    /// Bytes of memory that trials may take on that engine's host.
    pub(crate) fn memory(&self, engine: EngineName) -> u64 {
        self.places.get(&engine).map_or(u64::MAX, |place| self.hosts[*place].memory.all)
    }

    /// Whether any trial but services runs.
    pub(crate) fn is_busy(&self) -> bool {
        self.running > 0
    }

    /// Whether trials are paused, which keep their memory and more.
    pub(crate) fn has_paused(&self) -> bool {
        self.hosts.iter().any(|host| host.paused > 0)
    }

    /// What a trial asks for.
    pub(crate) fn ask(&self, trial: &Settled) -> Ask {
        let host = self.places.get(&trial.engine).copied().unwrap_or_default();
        Ask::new(trial, host, self.publishing.contains(&trial.engine))
    }

    /// Changes the budget. What runs keeps what it has; nothing new starts until it fits.
    ///
    /// # Errors
    /// Why it cannot be changed so; nothing was changed then.
    pub(crate) fn set(&mut self, change: &Budget) -> Result<(), String> {
        if let Some(ids) = &change.gpus
            && let Some(unknown) = ids.iter().find(|id| !self.hosts.iter().any(|host| host.gpus.knows(id)))
            && self.hosts.iter().any(|host| host.gpus.is_known())
        {
            return Err(format!("no GPU `{unknown}` was found on the engine's host"));
        }
        for host in &mut self.hosts {
            host.cpus.all = change.cpus.map_or(host.cpus.all, millis);
            host.memory.all = change.memory.unwrap_or(host.memory.all);
            if let Some(ids) = &change.gpus {
                host.gpus.allow(ids);
            }
        }
        for (name, all) in &change.limits {
            self.limits.entry(name.clone()).or_default().all = u64::from(*all);
        }
        if let Some(parallel) = change.parallel {
            self.limit = Some(parallel.on(self.size()));
            self.parallel = Some(parallel);
        }
        Ok(())
    }

    /// What wakes the run's dispatcher when other runs have given room back, where there may be some.
    pub(crate) fn wake(&self) -> Option<Arc<Notify>> {
        self.share.as_ref().map(Share::wake)
    }

    /// The ready trials are looked at anew, in their order.
    pub(crate) fn look(&mut self) {
        self.share.iter_mut().for_each(Share::look);
    }

    /// The ready trials were looked at, and none can start.
    pub(crate) fn looked(&mut self) {
        self.share.iter_mut().for_each(Share::looked);
    }

    /// The run can start nothing now, whatever room there is: it must not wait for that of others.
    pub(crate) fn stand_aside(&mut self) {
        self.share.iter_mut().for_each(Share::stand_aside);
    }

    /// Takes the room for what was asked by a trial of that priority, if there is some beside what is kept for `kept`.
    pub(crate) fn take(&mut self, ask: &Ask, priority: i32, kept: Option<&Ask>) -> Option<Permit> {
        if !self.lacks(ask, kept, 1).is_empty() {
            return None;
        }
        let demand = self.share.is_some().then(|| self.demand(ask, priority, kept));
        let host = &mut self.hosts[ask.host];
        let (cores, gpus, number) = match self.share.as_mut().zip(demand) {
            None => {
                let gpus = host.gpus.take(&ask.gpus)?;
                (host.take_cores(ask.cores), gpus, None)
            }
            Some((share, demand)) => {
                let grant = share.take(demand)?;
                host.gpus.claim(&grant.gpus);
                host.mark(&grant.cores, true);
                (grant.cores, grant.gpus, Some(grant.number))
            }
        };
        let cpus = self.cpus_of(ask);
        self.occupy(ask, cpus);
        Some(Permit { ask: ask.clone(), cpus, cores, gpus, number })
    }

    fn occupy(&mut self, ask: &Ask, cpus: u64) {
        let host = &mut self.hosts[ask.host];
        host.cpus.taken += cpus;
        host.memory.taken += ask.memory;
        host.ports.extend(ask.ports.iter().cloned());
        host.running += ask.counts();
        host.paused += usize::from(ask.paused);
        self.running += ask.counts();
        for (name, amount) in &ask.limits {
            self.limits.entry(name.clone()).or_default().taken += u64::from(*amount);
        }
    }

    /// Takes the room that an attempt has already, with those cores and GPUs of its own, whatever that makes of the budget.
    pub(crate) fn claim(&mut self, ask: Ask, cores: Vec<u32>, gpus: Vec<String>) -> Permit {
        let cpus = self.cpus_of(&ask);
        self.occupy(&ask, cpus);
        let demand = self.share.is_some().then(|| self.demand(&ask, 0, None));
        let host = &mut self.hosts[ask.host];
        host.gpus.claim(&gpus);
        host.mark(&cores, true);
        let named = || host.gpus.named(&gpus);
        let number = self.share.as_ref().zip(demand).map(|(share, demand)| share.hold(demand, cores.clone(), named()));
        Permit { ask, cpus, cores, gpus, number }
    }

    /// Gives back what `take` took.
    pub(crate) fn give_back(&mut self, permit: Permit) {
        let Permit { ask, cpus, cores, gpus, number } = permit;
        let host = &mut self.hosts[ask.host];
        host.gpus.give_back(&gpus);
        host.mark(&cores, false);
        host.cpus.taken -= cpus;
        host.memory.taken -= ask.memory;
        host.ports.retain(|port| !ask.ports.contains(port));
        host.running -= ask.counts();
        host.paused -= usize::from(ask.paused);
        self.running -= ask.counts();
        for (name, amount) in &ask.limits {
            self.limits.entry(name.clone()).or_default().taken -= u64::from(*amount);
        }
        if let Some((share, number)) = self.share.as_ref().zip(number) {
            share.give_back(number);
        }
    }

    /// The trial that holds this is paused: its CPUs and its place are given back, and it keeps the rest.
    pub(crate) fn pause(&mut self, permit: &mut Permit) {
        let paused = permit.ask.paused();
        let host = &mut self.hosts[paused.host];
        host.cpus.taken -= std::mem::take(&mut permit.cpus);
        host.running -= permit.ask.counts();
        host.paused += 1;
        self.running -= permit.ask.counts();
        if let Some((share, number)) = self.share.as_ref().zip(permit.number) {
            let demand = self.demand(&paused, 0, None);
            share.change(number, demand);
        }
        permit.ask = paused;
    }

    /// Whether other runs are there that share its room.
    pub(crate) fn is_shared(&self) -> bool {
        self.share.as_ref().is_some_and(Share::is_shared)
    }

    /// What that trial lacks for ever because services of other runs have it, whose trials wait likewise.
    pub(crate) fn lacks_for_ever(&self, ask: &Ask, priority: i32) -> Option<Lack> {
        self.share.as_ref().and_then(|share| share.stuck(self.demand(ask, priority, None)))
    }

    /// What keeps a trial of that priority from starting beside those of other runs, as sentences for people.
    pub(crate) fn why_not_beside_others(&self, ask: &Ask, priority: i32) -> Vec<String> {
        self.share.as_ref().map(|share| share.why(self.demand(ask, priority, None))).unwrap_or_default()
    }

    /// What keeps what was asked from being taken of the run's own room beside what is kept for `kept`; no more than `most`
    /// reasons.
    pub(crate) fn lacks(&self, ask: &Ask, kept: Option<&Ask>, most: usize) -> Vec<Lack> {
        let mut lacks = Vec::new();
        let Some(host) = self.hosts.get(ask.host) else { return lacks };
        let kept_here = kept.filter(|kept| kept.host == ask.host);
        if let Some(limit) = self.limit.filter(|_| !ask.service) {
            let kept = kept.map_or(0, Ask::counts);
            if self.running + kept >= limit {
                lacks.push(Lack::Place { limit });
            }
        }
        if !ask.service && (host.running > 0 || kept_here.is_some()) {
            let (cpus, keeps) = (self.cpus_of(ask), kept_here.map_or(0, |kept| self.cpus_of(kept)));
            if !host.cpus.fits(cpus, keeps) {
                lacks.push(Lack::Cpus { asks: cpus, free: host.cpus.free(), all: host.cpus.all });
            }
        }
        // What is paused keeps its memory.
        let is_alone = host.running + host.paused == 0 && kept_here.is_none();
        if !ask.service && !is_alone && !host.memory.fits(ask.memory, kept_here.map_or(0, |kept| kept.memory)) {
            lacks.push(Lack::Memory { asks: ask.memory, free: host.memory.free(), all: host.memory.all });
        }
        let free_cores = host.cores.iter().filter(|taken| !**taken).count();
        if ask.cores > 0 && ask.cores + kept_here.map_or(0, |kept| kept.cores) > free_cores {
            lacks.push(Lack::Cores { asks: ask.cores, free: free_cores });
        }
        lacks.extend(host.gpus.lack(&ask.gpus, kept_here.map(|kept| &kept.gpus)));
        let kept_ports = || kept_here.iter().flat_map(|kept| &kept.ports);
        let is_taken = |port: &&HostPort| host.ports.iter().chain(kept_ports()).any(|other| other.meets(port));
        lacks.extend(ask.ports.iter().find(is_taken).map(|port| Lack::Port(port.clone())));
        for (name, amount) in &ask.limits {
            let room = self.limits.get(name).copied().unwrap_or_default();
            let kept = kept.and_then(|kept| kept.limits.get(name)).copied().unwrap_or_default();
            if !room.fits(u64::from(*amount), u64::from(kept)) {
                lacks.push(Lack::Limit { name: name.clone(), asks: *amount, free: room.free(), all: room.all });
            }
        }
        lacks.truncate(most);
        lacks
    }

    /// Whether a trial that asks so may wait for strangers, who are to be looked at.
    pub(crate) fn waits_for_strangers(&self, ask: &Ask) -> bool {
        ask.wants_gpus() && self.hosts.get(ask.host).is_some_and(|host| host.gpus.is_watched())
    }

    /// Who uses which GPUs now, on the machine of that engine. Those that trials of this run have are theirs.
    pub(crate) fn see_gpus(&mut self, engine: EngineName, gpus: &[Gpu]) {
        if let Some(place) = self.places.get(&engine) {
            let place = *place;
            self.hosts[place].gpus.see(gpus);
            self.acquit(place);
        }
    }

    /// Whoever is seen on a GPU that a trial of another run has is that trial.
    fn acquit(&mut self, place: usize) {
        if let Some(share) = &self.share {
            self.hosts[place].gpus.acquit(|gpu| share.has(place, gpu));
        }
    }

    /// What the run wants of the room of several for a trial.
    fn demand(&self, ask: &Ask, priority: i32, kept: Option<&Ask>) -> Demand {
        let (gpus, all_gpus) = match ask.wants_gpus() {
            true => self.hosts[ask.host].gpus.offer(kept.filter(|kept| kept.host == ask.host).map(|kept| &kept.gpus)),
            false => (Vec::new(), 0),
        };
        Demand { ask: ask.clone(), cpus: self.cpus_of(ask), priority, gpus, all_gpus }
    }

    /// A trial that says nothing counts one CPU, unless someone said how many trials run at once.
    fn cpus_of(&self, ask: &Ask) -> u64 {
        let unsaid = if ask.service || self.parallel.is_some() { 0 } else { 1000 };
        ask.cpus.unwrap_or(unsaid)
    }

    /// CPUs of the largest machine.
    fn size(&self) -> f64 {
        self.hosts.iter().map(|host| host.size).fold(1.0, f64::max)
    }
}

impl Host {
    fn new(budget: &HostBudget, size: f64, gpus: &[Gpu], named: bool) -> Self {
        Self {
            size,
            cpus: Amount::of(millis(budget.cpus)),
            memory: Amount::of(budget.memory),
            cores: vec![false; size as usize],
            gpus: Ledger::new(gpus, named),
            ports: BTreeSet::new(),
            running: 0,
            paused: 0,
        }
    }

    fn narrow(&mut self, budget: &HostBudget, size: f64) {
        self.size = self.size.min(size);
        self.cpus.all = self.cpus.all.min(millis(budget.cpus));
        self.memory.all = self.memory.all.min(budget.memory);
        self.cores.truncate(size as usize);
    }

    /// The last cores that are free: what is left to others is the first ones, where the kernel and people's shells are.
    fn take_cores(&mut self, count: usize) -> Vec<u32> {
        let free = (0..self.cores.len()).rev().filter(|core| !self.cores[*core]).take(count);
        let mut cores: Vec<u32> = free.filter_map(|core| u32::try_from(core).ok()).collect();
        cores.reverse();
        self.mark(&cores, true);
        cores
    }

    fn mark(&mut self, cores: &[u32], taken: bool) {
        for core in cores {
            // A core that is not there any more is nobody's.
            if let Some(mark) = self.cores.get_mut(*core as usize) {
                *mark = taken;
            }
        }
    }
}
