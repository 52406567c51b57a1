//! What an engine can do, and how large its host is.

use serde::Serialize;

use crate::model::name::EngineName;

/// What an engine can do, and how large its host is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capabilities {
    /// The engine.
    pub engine: EngineName,
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
    /// Most starts in flight: beyond it the engine only gets slower.
    pub starts: usize,
    /// Whether trials are images (then `image` is required).
    pub images: bool,
    /// The trial fields of the spec that this engine acts on; the plan warns of the others.
    pub acts_on: &'static [&'static str],
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

/// The trial fields that engines of containers act on.
pub const CONTAINER_FIELDS: &[&str] = &[
    "image",
    "cmd",
    "entrypoint",
    "env",
    "workdir",
    "user",
    "hostname",
    "labels",
    "ports",
    "volumes",
    "networks",
    "healthcheck",
    "cpus",
    "memory",
    "shm_size",
    "pids_limit",
    "pull",
    "init",
    "platform",
    "ulimits",
    "tmpfs",
    "devices",
    "cap_add",
    "extra_hosts",
];
