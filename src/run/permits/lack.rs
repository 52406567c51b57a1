//! A lack: what a trial waits for that its host or the run's budget does not have free now.

use std::fmt;

use crate::model::trial::HostPort;

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lack {
    /// As many trials run as may.
    Place { limit: usize },
    /// CPUs, in thousandths.
    Cpus { asks: u64, free: u64, all: u64 },
    /// Bytes of memory.
    Memory { asks: u64, free: u64, all: u64 },
    /// Cores for itself.
    Cores { asks: usize, free: usize },
    /// GPUs. `strangers`: who uses those that no trial of the run has.
    Gpus { asks: String, free: usize, all: usize, strangers: Vec<String> },
    /// A port of the host that another trial of the run publishes.
    Port(HostPort),
    /// A named limit.
    Limit { name: String, asks: u32, free: u64, all: u64 },
}

impl Lack {
    /// Whether trials of the run will give back what is missing; else keeping room for it would be in vain.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Self::Gpus { strangers, .. } if !strangers.is_empty())
    }

    /// Whether services may hold it for as long as they run: nothing then gives it back.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::Cores { .. } | Self::Gpus { .. } | Self::Port(_) | Self::Limit { .. })
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { limit } => write!(f, "one of the {limit} places for trials that run at once"),
            Self::Cpus { asks, free, all } => {
                let noun = if *asks == 1000 { "CPU" } else { "CPUs" };
                write!(f, "{} {noun}: {} of {} are free", cpus(*asks), cpus(*free), cpus(*all))
            }
            Self::Memory { asks, free, all } => {
                write!(f, "{} MiB of memory: {} of {} MiB are free", asks >> 20, free >> 20, all >> 20)
            }
            Self::Cores { asks, free } => write!(f, "{asks} cores of its own: {free} have no pinned trial"),
            Self::Gpus { asks, free, all, strangers } => {
                write!(f, "{asks}: {free} of {all} are free")?;
                if strangers.is_empty() { Ok(()) } else { write!(f, ", others use {}", strangers.join(", ")) }
            }
            Self::Port(port) => write!(f, "the host's port {port}, which another trial publishes"),
            Self::Limit { name, asks, free, all } => {
                write!(f, "{asks} of the limit `{name}`: {free} of {all} are free")
            }
        }
    }
}

fn cpus(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
