//! A share: what one run has of the room of several. The runs' dispatchers are woken when some of it is given back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::model::capability::Gpu;
use crate::model::name::EngineName;
use crate::model::options::Options;
use crate::plan::Engines;
use crate::run::permits::lack::Lack;
use crate::run::permits::pool::{Demand, Grant, Pool};

/// The room of several runs, such as those of a script. Clones are the same room.
#[derive(Debug, Clone)]
pub(crate) struct SharedRoom {
    pool: Arc<Mutex<Pool>>,
    /// For each run, what wakes its dispatcher when something may fit that did not: in the order of their beginnings, or a
    /// simulation would not be the same twice.
    wakes: Arc<Mutex<BTreeMap<u64, Arc<Notify>>>>,
}

/// What one run has of it. Dropping it gives everything back.
#[derive(Debug)]
pub(super) struct Share {
    room: SharedRoom,
    run: u64,
    /// The pool's places of the run's hosts.
    hosts: Vec<usize>,
    /// True while the run stands in the line.
    stands: bool,
    /// True once this look through the run's trials has met one that waits for the pool.
    waits: bool,
}

impl SharedRoom {
    /// The room that those options give to all runs together.
    pub(crate) fn new(options: &Options) -> Self {
        Self { pool: Arc::new(Mutex::new(Pool::new(options))), wakes: Arc::default() }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().expect("no code panics while it holds the lock")
    }

    fn wakes(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.wakes.lock().expect("no code panics while it holds the lock")
    }

    /// Wakes the others, if there is news. That run looks again by itself.
    fn tell(&self, run: u64, is_news: bool) {
        if is_news {
            self.wakes().iter().filter(|(other, _)| **other != run).for_each(|(_, wake)| wake.notify_one());
        }
    }
}

impl Share {
    /// The share of another run; `places` says on which of the run's hosts an engine is.
    pub(super) fn new(room: &SharedRoom, engines: &Engines, places: &BTreeMap<EngineName, usize>) -> Self {
        let mut pool = room.pool();
        let mut hosts = vec![0; places.values().max().map_or(0, |last| last + 1)];
        for (name, engine) in engines {
            hosts[places[name]] = pool.host(*name, engine);
        }
        let run = pool.join();
        room.wakes().insert(run, Arc::default());
        Self { run, room: room.clone(), hosts, stands: false, waits: false }
    }

    /// What wakes the run's dispatcher when something may fit that did not.
    pub(super) fn wake(&self) -> Arc<Notify> {
        self.room.wakes()[&self.run].clone()
    }

    /// Whether a trial of any run has that GPU of one of the run's hosts.
    pub(super) fn has(&self, host: usize, gpu: &Gpu) -> bool {
        self.room.pool().has(self.hosts[host], gpu)
    }

    /// The trials of the run are looked at anew, in their order.
    pub(super) fn look(&mut self) {
        self.waits = false;
    }

    /// The trials of the run were looked at, and none can start.
    pub(super) fn looked(&mut self) {
        if !self.waits {
            self.stand_aside();
        }
    }

    /// The run can start nothing now, whatever there is.
    pub(super) fn stand_aside(&mut self) {
        if std::mem::take(&mut self.stands) {
            let news = self.room.pool().stand_aside(self.run);
            self.room.tell(self.run, news);
        }
    }

    /// Takes room for a trial.
    pub(super) fn take(&mut self, demand: Demand) -> Option<Grant> {
        let (demand, first) = (self.here(demand), !self.waits);
        let (grant, news) = self.room.pool().take(self.run, &demand, first);
        self.room.tell(self.run, news);
        if first {
            (self.stands, self.waits) = (grant.is_none(), grant.is_none());
        }
        grant
    }

    /// Notes what a trial has already: the number by which it is given back.
    pub(super) fn hold(&self, demand: Demand, cores: Vec<u32>, gpus: Vec<Gpu>) -> u64 {
        self.room.pool().hold(self.run, self.here(demand), cores, gpus)
    }

    /// A trial keeps only a part of what it had: that of this demand.
    pub(super) fn change(&self, number: u64, demand: Demand) {
        let mut pool = self.room.pool();
        pool.change(number, self.here(demand));
        let news = pool.is_shared();
        drop(pool);
        self.room.tell(self.run, news);
    }

    /// Gives back what a trial had.
    pub(super) fn give_back(&self, number: u64) {
        let mut pool = self.room.pool();
        pool.give_back(number);
        let news = pool.is_shared();
        drop(pool);
        self.room.tell(self.run, news);
    }

    /// Whether other runs are there.
    pub(super) fn is_shared(&self) -> bool {
        self.room.pool().is_shared()
    }

    /// The run has nothing but services, and waits with that trial: what it lacks for ever, if it does.
    pub(super) fn stuck(&self, demand: Demand) -> Option<Lack> {
        let demand = self.here(demand);
        let (lack, news) = self.room.pool().stuck(self.run, &demand);
        self.room.tell(self.run, news);
        lack
    }

    /// What keeps a trial from starting beside those of other runs, as sentences for people.
    pub(super) fn why(&self, demand: Demand) -> Vec<String> {
        let (demand, pool) = (self.here(demand), self.room.pool());
        let lacks = pool.lacks(&demand);
        if lacks.is_empty() && pool.keeps_from(self.run, &demand) {
            return vec!["room is kept for a trial of another run of the script, which is before it".to_owned()];
        }
        let told = |lack: &Lack| format!("{lack}; other runs of the script have some of it");
        lacks.iter().map(told).collect()
    }

    fn here(&self, mut demand: Demand) -> Demand {
        demand.ask.host = self.hosts[demand.ask.host];
        demand
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // A run that failed inside must not fail twice.
        let news = self.room.pool.lock().is_ok_and(|mut pool| pool.leave(self.run));
        if let Ok(mut wakes) = self.room.wakes.lock() {
            wakes.remove(&self.run);
            wakes.values().filter(|_| news).for_each(|wake| wake.notify_one());
        }
    }
}
