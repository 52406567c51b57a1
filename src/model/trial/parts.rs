//! The parts of a trial that have fields of their own: ports, mounts, edges, checks, GPUs, limits.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::name::Name;
use crate::model::span;

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Address of the host to listen on; absent: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Port of the host; absent: the engine chooses a free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<u16>,
    /// Port in the container.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

/// A port of the host that a trial publishes: only one at a time can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    port: u16,
    protocol: Protocol,
    ip: Option<String>,
}

impl HostPort {
    /// Whether two trials cannot publish both at once: the same port on the same address, or one of them on every address.
    pub fn meets(&self, other: &Self) -> bool {
        let everywhere = |ip: Option<&str>| matches!(ip, None | Some("0.0.0.0" | "::"));
        let (ip, theirs) = (self.ip.as_deref(), other.ip.as_deref());
        (self.port, self.protocol) == (other.port, other.protocol)
            && (ip == theirs || everywhere(ip) || everywhere(theirs))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ip) = &self.ip {
            write!(f, "{ip}:")?;
        }
        write!(f, "{}", self.port)?;
        if self.protocol == Protocol::Tcp { Ok(()) } else { write!(f, "/{}", self.protocol.as_str()) }
    }
}

impl Port {
    /// The port of the host that it takes; none where the engine chooses one.
    pub fn on_host(&self) -> Option<HostPort> {
        let port = self.host.filter(|port| *port > 0)?;
        Some(HostPort { port, protocol: self.protocol, ip: self.ip.clone() })
    }
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The word behind the slash in `80/tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A mount: `host` is an absolute path (bind mount) or a bare name (named volume).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Absolute path on the host, or name of a volume; absent: a volume without a name, which goes with the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Absolute path in the container.
    pub container: String,
    /// Mounted read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub readonly: bool,
}

impl Volume {
    /// The path on the host, where it mounts one.
    pub fn path(&self) -> Option<&str> {
        self.host.as_deref().filter(|host| host.starts_with('/'))
    }

    /// The name of the volume, where it mounts one that has a name.
    pub fn name(&self) -> Option<&str> {
        self.host.as_deref().filter(|host| !host.starts_with('/'))
    }
}

/// One edge of the dependency graph, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The prerequisite.
    pub trial: Name,
    /// What is awaited; absent: started, and healthy where the prerequisite has a healthcheck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// What a dependant waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The prerequisite's process has been started.
    Started,
    /// Its healthcheck passed.
    Healthy,
    /// It ended successfully.
    Completed,
    /// It ended, however it did; what is skipped has ended too.
    Ended,
}

impl Condition {
    /// Every condition, in the order of the manual.
    pub const ALL: [Self; 4] = [Self::Started, Self::Healthy, Self::Completed, Self::Ended];

    /// The word in specs and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Completed => "completed",
            Self::Ended => "ended",
        }
    }
}

/// How readiness is probed, with compose's fields and Docker's defaults where absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// `["CMD", word..]` or `["CMD-SHELL", line]`, as in Docker.
    pub test: Vec<String>,
    /// Seconds between probes (Docker: 30).
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub interval: Option<Duration>,
    /// Seconds a probe may take (Docker: 30).
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub timeout: Option<Duration>,
    /// Failures in a row that mean unhealthy (Docker: 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Seconds after the start in which failures do not count (Docker: 0).
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub start_period: Option<Duration>,
}

/// GPUs a trial needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Gpus {
    /// That many, whichever are free.
    Count(u32),
    /// `"all"`, or one device id.
    Word(String),
    /// These device ids.
    Ids(Vec<String>),
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// Once per run, even if it is there.
    Always,
    /// When it is not there.
    Missing,
    /// Never: it must be there.
    Never,
}

impl Pull {
    /// Every policy, in the order of the manual.
    pub const ALL: [Self; 3] = [Self::Always, Self::Missing, Self::Never];

    /// The word in specs and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Missing => "missing",
            Self::Never => "never",
        }
    }

    /// The policy a word names, if any.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pull| pull.as_str() == word)
    }
}

/// A resource limit as in `docker run --ulimit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Name without `RLIMIT_`, lower case: `nofile`.
    pub name: String,
    /// Soft limit; -1 is unlimited.
    pub soft: i64,
    /// Hard limit; -1 is unlimited.
    pub hard: i64,
}
