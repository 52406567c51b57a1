//! What an engine can do, and how large its host is.

use serde::{Deserialize, Serialize};

use crate::model::name::EngineName;
use crate::model::trial::fields::Actor;

/// What an engine can do, and how large its host is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capabilities {
    /// The engine.
    pub engine: EngineName,
    /// The daemon behind it; absent: there is none, or it does not say who it is.
    pub daemon: Option<Daemon>,
    /// One line for people: `Docker 20.10.24 at unix:///var/run/docker.sock`.
    pub description: String,
    /// CPUs of the engine's host.
    pub cpus: f64,
    /// Memory of the engine's host in bytes.
    pub memory: u64,
    /// Whether its host is this machine.
    pub here: bool,
    /// GPUs of the engine's host; empty until somebody looked for them.
    pub gpus: Vec<Gpu>,
    /// Most starts in flight: beyond it the engine gets no faster.
    pub starts: usize,
    /// Whether trials are images (then `image` is required).
    pub images: bool,
    /// Whether trials run in containers of their own, with everything of a trial that only those have.
    pub containers: bool,
}

/// A daemon: containers are known to the one that made them and to no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// What it calls itself: the `ID` of `docker info`.
    pub id: String,
    /// Its data folder, on its host: before Docker 23, the daemons of one host may share an id.
    pub data: String,
    /// Where it was reached: `unix:///var/run/docker.sock`.
    pub address: String,
}

impl Daemon {
    /// Whether it is that one, wherever both were reached.
    pub fn is(&self, other: &Self) -> bool {
        (&self.id, &self.data) == (&other.id, &other.data)
    }
}

impl Capabilities {
    /// Whether the fields of that actor are acted on; the plan warns of the others.
    pub fn acts_on(&self, actor: Actor) -> bool {
        match actor {
            Actor::Run | Actor::Engine => true,
            Actor::Containers | Actor::Reserved => self.containers,
        }
    }
}

/// A GPU of an engine's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// What a request names it: an index (`0`), a UUID, or a CDI name (`nvidia.com/gpu=0`).
    pub id: String,
    /// Its UUID, where known.
    pub uuid: Option<String>,
    /// The model: `NVIDIA A100-SXM4-80GB`; empty where unknown.
    pub name: String,
    /// Bytes of its memory; 0 where unknown.
    pub memory: u64,
    /// Who uses it now, for people: `python (pid 4711)`; absent: nobody.
    pub busy: Option<String>,
}

impl Gpu {
    /// The GPU that somebody named, in their words, with what is known of it; whoever uses it does not count.
    pub fn named(id: &str, known: &[Self]) -> Self {
        let short = id.rsplit_once('=').map_or(id, |(_, name)| name);
        let same = known.iter().find(|gpu| {
            [&gpu.id, gpu.uuid.as_ref().unwrap_or(&gpu.id)].iter().any(|name| *name == id || *name == short)
        });
        let unknown = Self { id: String::new(), uuid: None, name: String::new(), memory: 0, busy: None };
        Self { id: id.to_owned(), busy: None, ..same.cloned().unwrap_or(unknown) }
    }
}

#[cfg(test)]
mod tests {
    use super::Gpu;

    #[test]
    fn a_named_gpu_is_known_by_each_of_its_names_and_free_for_who_named_it() {
        let uuid = Some("GPU-5a1b".to_owned());
        let known = [Gpu { id: "0".into(), uuid, name: "A100".into(), memory: 1, busy: Some("python".into()) }];
        for id in ["0", "GPU-5a1b", "nvidia.com/gpu=0", "nvidia.com/gpu=GPU-5a1b"] {
            let named = Gpu::named(id, &known);
            assert_eq!((named.id.as_str(), named.name.as_str(), named.busy), (id, "A100", None));
        }
        let other = Gpu { id: "1".into(), uuid: None, name: String::new(), memory: 0, busy: None };
        assert_eq!(Gpu::named("1", &known), other);
    }
}
