//! The ledger of one host's GPUs: each is given to one trial at a time, and one that a stranger uses to none.
//!
//! A request for a number of GPUs always gets the first ones from Docker (moby's `countToDevices`), so the ledger gives
//! ids. GPUs that the user named are given whoever uses them.

use crate::model::capability::Gpu;
use crate::run::permits::ask::GpuAsk;
use crate::run::permits::lack::Lack;

#[derive(Debug)]
pub(super) struct Ledger {
    devices: Vec<Device>,
    /// Whether the user said which: then strangers do not matter.
    named: bool,
}

#[derive(Debug)]
struct Device {
    gpu: Gpu,
    /// Whether the run may use it.
    allowed: bool,
    /// Whether a trial of the run has it.
    taken: bool,
}

impl Device {
    fn is(&self, id: &str) -> bool {
        self.gpu.id == id || self.gpu.uuid.as_deref() == Some(id)
    }
}

impl Ledger {
    pub(super) fn new(gpus: &[Gpu], named: bool) -> Self {
        let mut ledger = Self { devices: Vec::new(), named };
        ledger.learn(gpus);
        ledger
    }

    /// Adds devices that are not known yet.
    pub(super) fn learn(&mut self, gpus: &[Gpu]) {
        for gpu in gpus {
            if !self.knows(&gpu.id) {
                self.devices.push(Device { gpu: gpu.clone(), allowed: true, taken: false });
            }
        }
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.devices.iter().any(|device| device.is(id))
    }

    pub(super) fn is_known(&self) -> bool {
        !self.devices.is_empty()
    }

    /// Whether strangers matter.
    pub(super) fn is_watched(&self) -> bool {
        !self.named && self.is_known()
    }

    /// From now on the run uses these and no other; whoever else uses them.
    pub(super) fn allow(&mut self, ids: &[String]) {
        self.named = true;
        for device in &mut self.devices {
            device.allowed = ids.iter().any(|id| device.is(id));
        }
        for id in ids.iter().filter(|id| !self.knows(id)).cloned().collect::<Vec<_>>() {
            let gpu = Gpu { id, uuid: None, name: String::new(), memory: 0, busy: None };
            self.devices.push(Device { gpu, allowed: true, taken: false });
        }
    }

    /// Who uses them now.
    pub(super) fn see(&mut self, gpus: &[Gpu]) {
        for device in &mut self.devices {
            if let Some(seen) = gpus.iter().find(|gpu| gpu.id == device.gpu.id) {
                // Whoever is seen on one that a trial of ours has is that trial.
                device.gpu.busy = seen.busy.clone().filter(|_| !device.taken);
            }
        }
    }

    /// Nobody but trials of ours uses those for which that holds.
    pub(super) fn acquit(&mut self, is_ours: impl Fn(&Gpu) -> bool) {
        for device in self.devices.iter_mut().filter(|device| is_ours(&device.gpu)) {
            device.gpu.busy = None;
        }
    }

    /// Those that may be given now, beside what is kept for another, and how many the run may use at all.
    pub(super) fn offer(&self, kept: Option<&GpuAsk>) -> (Vec<Gpu>, usize) {
        let is_kept = |device: &Device| match kept {
            Some(GpuAsk::All) => true,
            Some(GpuAsk::Ids(ids)) => ids.iter().any(|id| device.is(id)),
            Some(GpuAsk::Count(_)) | None => false,
        };
        let free = self.devices.iter().filter(|device| self.is_free(device) && !is_kept(device));
        (free.map(|device| device.gpu.clone()).collect(), self.devices.iter().filter(|device| device.allowed).count())
    }

    /// The devices of those ids.
    pub(super) fn named(&self, ids: &[String]) -> Vec<Gpu> {
        let devices = self.devices.iter().filter(|device| ids.contains(&device.gpu.id));
        devices.map(|device| device.gpu.clone()).collect()
    }

    /// What is missing of what was asked, beside what is kept for another.
    pub(super) fn lack(&self, ask: &GpuAsk, kept: Option<&GpuAsk>) -> Option<Lack> {
        let wanted = self.choose(ask, kept);
        if wanted.is_some() {
            return None;
        }
        let allowed: Vec<&Device> = self.devices.iter().filter(|device| device.allowed).collect();
        let strangers = allowed.iter().filter(|device| !device.taken && !self.is_free(device));
        Some(Lack::Gpus {
            asks: ask.to_string(),
            free: allowed.iter().filter(|device| self.is_free(device)).count(),
            all: allowed.len(),
            strangers: strangers
                .map(|device| format!("{} ({})", device.gpu.id, device.gpu.busy.as_deref().unwrap_or_default()))
                .collect(),
        })
    }

    /// Takes what was asked, if it is free: the ids.
    pub(super) fn take(&mut self, ask: &GpuAsk) -> Option<Vec<String>> {
        let chosen = self.choose(ask, None)?;
        for place in &chosen {
            self.devices[*place].taken = true;
        }
        Some(chosen.into_iter().map(|place| self.devices[place].gpu.id.clone()).collect())
    }

    /// Notes that a trial has them.
    pub(super) fn claim(&mut self, ids: &[String]) {
        for device in self.devices.iter_mut().filter(|device| ids.contains(&device.gpu.id)) {
            device.taken = true;
            device.gpu.busy = None;
        }
    }

    pub(super) fn give_back(&mut self, ids: &[String]) {
        for device in &mut self.devices {
            if ids.contains(&device.gpu.id) {
                device.taken = false;
            }
        }
    }

    fn is_free(&self, device: &Device) -> bool {
        device.allowed && !device.taken && (self.named || device.gpu.busy.is_none())
    }

    /// The places of the devices that would be given.
    fn choose(&self, ask: &GpuAsk, kept: Option<&GpuAsk>) -> Option<Vec<usize>> {
        if *ask == GpuAsk::Count(0) {
            return Some(Vec::new());
        }
        let (kept_count, kept_ids): (usize, &[String]) = match kept {
            None => (0, &[]),
            Some(GpuAsk::Count(count)) => (*count, &[]),
            // Whoever waits for all of them leaves none to others.
            Some(GpuAsk::All) => return None,
            Some(GpuAsk::Ids(ids)) => (0, ids),
        };
        let is_kept = |device: &Device| kept_ids.iter().any(|id| device.is(id));
        let free = |device: &Device| self.is_free(device) && !is_kept(device);
        let all_free: Vec<usize> = (0..self.devices.len()).filter(|place| free(&self.devices[*place])).collect();
        let chosen = match ask {
            GpuAsk::Count(count) => all_free.get(..*count)?.to_vec(),
            GpuAsk::All => {
                let allowed = self.devices.iter().filter(|device| device.allowed).count();
                if all_free.len() < allowed || allowed == 0 {
                    return None;
                }
                all_free.clone()
            }
            GpuAsk::Ids(ids) => {
                let place = |id: &String| all_free.iter().copied().find(|place| self.devices[*place].is(id));
                ids.iter().map(place).collect::<Option<Vec<_>>>()?
            }
        };
        (all_free.len() - chosen.len() >= kept_count).then_some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;
    use crate::model::capability::Gpu;
    use crate::run::permits::ask::GpuAsk;

    fn gpus(count: usize, busy: &[usize]) -> Vec<Gpu> {
        let gpu = |place: usize| Gpu {
            id: place.to_string(),
            uuid: Some(format!("GPU-{place}")),
            name: "A100".to_owned(),
            memory: 80 << 30,
            busy: busy.contains(&place).then(|| "python (pid 7)".to_owned()),
        };
        (0..count).map(gpu).collect()
    }

    fn ids(ids: &[&str]) -> GpuAsk {
        GpuAsk::Ids(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    fn taken(ledger: &mut Ledger, ask: &GpuAsk) -> Option<String> {
        ledger.take(ask).map(|ids| ids.join(","))
    }

    #[test]
    fn each_gpu_is_given_once_and_given_back() {
        let mut ledger = Ledger::new(&gpus(3, &[]), false);
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)).as_deref(), Some("0"));
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(2)).as_deref(), Some("1,2"));
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)), None);
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(0)).as_deref(), Some(""));
        ledger.give_back(&["1".to_owned()]);
        assert_eq!(taken(&mut ledger, &GpuAsk::All), None);
        assert_eq!(taken(&mut ledger, &ids(&["GPU-1"])).as_deref(), Some("1"));
        assert_eq!(taken(&mut ledger, &ids(&["1"])), None);
    }

    #[test]
    fn a_gpu_that_a_stranger_uses_is_skipped_until_it_leaves() {
        let mut ledger = Ledger::new(&gpus(2, &[0]), false);
        let lack = ledger.lack(&GpuAsk::Count(2), None).unwrap();
        assert!(!lack.is_ours());
        insta::assert_snapshot!(lack, @"2 GPUs: 1 of 2 are free, others use 0 (python (pid 7))");
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)).as_deref(), Some("1"));
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)), None);
        ledger.see(&gpus(2, &[1]));
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)).as_deref(), Some("0"));
    }

    #[test]
    fn named_gpus_are_given_whoever_uses_them() {
        let mut ledger = Ledger::new(&gpus(2, &[0, 1]), true);
        assert!(!ledger.is_watched());
        assert_eq!(taken(&mut ledger, &GpuAsk::All).as_deref(), Some("0,1"));
    }

    #[test]
    fn a_set_of_gpus_can_be_changed_while_they_are_used() {
        let mut ledger = Ledger::new(&gpus(2, &[]), false);
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)).as_deref(), Some("0"));
        ledger.allow(&["1".to_owned(), "nvidia.com/gpu=2".to_owned()]);
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(2)).as_deref(), Some("1,nvidia.com/gpu=2"));
        ledger.give_back(&["0".to_owned()]);
        assert_eq!(taken(&mut ledger, &GpuAsk::Count(1)), None);
    }

    #[test]
    fn gpus_are_kept_for_whoever_waits_longer() {
        let ledger = Ledger::new(&gpus(3, &[]), false);
        assert!(ledger.lack(&GpuAsk::Count(1), Some(&GpuAsk::Count(2))).is_none());
        assert!(ledger.lack(&GpuAsk::Count(2), Some(&GpuAsk::Count(2))).is_some());
        assert!(ledger.lack(&GpuAsk::Count(1), Some(&GpuAsk::All)).is_some());
        assert!(ledger.lack(&ids(&["1"]), Some(&ids(&["1"]))).is_some());
        assert!(ledger.lack(&ids(&["0"]), Some(&ids(&["1"]))).is_none());
    }
}
