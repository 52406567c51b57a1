//! A trial: one container (or process) to run, with everything the spec can say of it.
//!
//! The JSON form written here is the *resolved* form of `docs/spec.md`: durations are seconds, sizes are bytes,
//! and reading it back as a spec gives the same trial.

pub mod fields;
pub mod output;
mod parts;
pub mod settled;
mod timeout;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::name::{EngineName, Name};
use crate::model::retry::Retries;
use crate::model::span;

pub use parts::{Condition, Dependency, Gpus, Healthcheck, HostPort, Port, Protocol, Pull, Ulimit, Volume};
pub use timeout::Timeout;

/// One container (or process) to run. There may be hundreds of thousands: what is large and rare is boxed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Trial and container name, unique in its experiment.
    pub name: Name,
    /// Which engine runs it; absent: the run's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineName>,
    /// The image; absent only for engines without images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The command, already split into words; absent: the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Overrides the image's entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// Names of variables whose values the caller of combu passes on. Values are read when a run begins and kept nowhere.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub pass_env: BTreeSet<String>,
    /// Files of variables (absolute paths after loading), of which a later one wins. Their content is kept nowhere either.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub env_file: Vec<String>,
    /// Working folder in the container (or of the process; absolute after loading).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// `name`, `uid`, `uid:gid`, or `host` for the caller's own uid and gid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Host name inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The user's labels; combu's own come on top.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub labels: BTreeMap<String, String>,
    /// Published ports.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ports: Vec<Port>,
    /// Bind mounts and named volumes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub volumes: Vec<Volume>,
    /// Networks to join, each created when missing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub networks: Vec<String>,
    /// What must have started, be healthy or have completed before this trial starts.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub depends: Vec<Dependency>,
    /// Whether it is a service; absent: the plan decides (see `docs/spec.md`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<bool>,
    /// How the engine finds out that the trial is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Box<Healthcheck>>,
    /// CPUs it needs, reserved and enforced; absent: one is reserved, none enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Memory it needs, in bytes, reserved and enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// GPUs it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Box<Gpus>>,
    /// Whether it gets whole cores of its own, as many as its `cpus`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub pin: bool,
    /// Named limits it counts against: name -> how much it takes while it runs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub limits: BTreeMap<String, u32>,
    /// How much it gives way to other work of the machine: 0 (not at all) to 19, as in nice(1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<u8>,
    /// Size of `/dev/shm` in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
    /// Most processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<i64>,
    /// Longest an attempt may run: seconds, or a share of the median of the successes so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// The signal that asks it to end, as Docker names it: `SIGINT`; absent: the image's own, or SIGTERM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and the kill.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub stop_grace: Option<Duration>,
    /// How often and when a failed attempt is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Arc<Retries>>,
    /// The trial's point in the parameter space.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub params: Map<String, Value>,
    /// Metrics it prints: name -> a regular expression whose first group is the value, for lines of its standard output.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub metrics: BTreeMap<String, String>,
    /// Paths in the container (or on this machine) to collect after it ended; see [`output::place`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub outputs: Vec<String>,
    /// Higher starts earlier among the ready ones.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub priority: i32,
    /// When the image is pulled; absent: the run's policy, else when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// Run an init process as PID 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// `os/arch[/variant]` of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Resource limits of the processes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ulimits: Vec<Ulimit>,
    /// Path in the container -> mount options (may be empty).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub tmpfs: BTreeMap<String, String>,
    /// `host[:container[:rwm]]`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub devices: Vec<String>,
    /// Linux capabilities to add.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cap_add: Vec<String>,
    /// `host:address` lines for `/etc/hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub extra_hosts: Vec<String>,
}

impl Trial {
    /// The ports of the host that it takes. A container in the host's network, or in none, publishes nothing.
    pub fn host_ports(&self) -> impl Iterator<Item = HostPort> {
        let publishes = !self.networks.iter().any(|network| network == "host" || network == "none");
        self.ports.iter().filter(move |_| publishes).filter_map(|port| port.on_host())
    }

    /// A trial of that name with nothing else said.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            engine: None,
            image: None,
            cmd: None,
            entrypoint: None,
            env: BTreeMap::new(),
            pass_env: BTreeSet::new(),
            env_file: Vec::new(),
            workdir: None,
            user: None,
            hostname: None,
            labels: BTreeMap::new(),
            ports: Vec::new(),
            volumes: Vec::new(),
            networks: Vec::new(),
            depends: Vec::new(),
            service: None,
            healthcheck: None,
            cpus: None,
            memory: None,
            gpus: None,
            pin: false,
            limits: BTreeMap::new(),
            nice: None,
            shm_size: None,
            pids_limit: None,
            timeout: None,
            stop_signal: None,
            stop_grace: None,
            retries: None,
            params: Map::new(),
            metrics: BTreeMap::new(),
            outputs: Vec::new(),
            priority: 0,
            pull: None,
            init: None,
            platform: None,
            ulimits: Vec::new(),
            tmpfs: BTreeMap::new(),
            devices: Vec::new(),
            cap_add: Vec::new(),
            extra_hosts: Vec::new(),
        }
    }

    /// The trial as JSON, without the fields in which it says nothing.
    pub fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            other => unreachable!("a trial serializes to an object, not {other:?}"),
        }
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}
