//! The budget of a run: what it leaves to others, and when it starts nothing new because of them. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::capability::Capabilities;
use crate::model::options::{Options, Parallel};

/// What of the host is left to the people at the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Reserve {
    /// CPUs.
    #[serde(skip_serializing_if = "is_none_of", default)]
    pub cpus: f64,
    /// Bytes of memory.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub memory: u64,
}

/// What a run may take of one host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// CPUs.
    pub cpus: f64,
    /// Bytes of memory.
    pub memory: u64,
}

impl Budget {
    /// The budget of a run on an engine's host: what the options say, else all of it, less what is left to others.
    pub fn of(options: &Options, host: &Capabilities) -> Self {
        let reserve = options.reserve.unwrap_or_default();
        Self {
            cpus: (options.cpus.unwrap_or(host.cpus) - reserve.cpus).max(0.0),
            memory: options.memory.unwrap_or(host.memory).saturating_sub(reserve.memory),
        }
    }
}

/// The load above which nothing new is started: GNU parallel's `--load`.
///
/// The load is the number of processes that run or want to run at this moment, not the average that `uptime` shows: the
/// average lags a minute behind, and everything would be started within that minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// That many processes.
    Count(f64),
    /// That share of the host's CPUs, in percent.
    Percent(f64),
}

impl Load {
    /// Reads `3`, `1.5` or `80%`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (number, percent) = text.strip_suffix('%').map_or((text, false), |number| (number.trim(), true));
        match number.parse::<f64>() {
            Ok(number) if number > 0.0 && number.is_finite() => {
                Ok(if percent { Self::Percent(number) } else { Self::Count(number) })
            }
            _ => Err(format!("`{text}` is not a load: write `80%` (of the host's CPUs) or a number of processes")),
        }
    }

    /// The number of processes on a host of `cpus` CPUs.
    pub fn on(self, cpus: f64) -> f64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => cpus * percent / 100.0,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for Load {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Load {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What of a run's budget is changed while it runs; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// How many trials run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Parallel>,
    /// CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Ids of the GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Vec<String>>,
    /// Named limits; those that are not named here stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub limits: BTreeMap<String, u32>,
    /// The load above which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Free memory in bytes below which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memfree: Option<u64>,
    /// Pressure in percent above which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.parallel.map(|parallel| format!("parallel {parallel}")));
        parts.extend(self.cpus.map(|cpus| format!("cpus {cpus}")));
        parts.extend(self.memory.map(|memory| format!("memory {memory}")));
        parts.extend(self.gpus.as_ref().map(|gpus| format!("gpus {}", gpus.join(","))));
        parts.extend(self.limits.iter().map(|(name, limit)| format!("limit {name}={limit}")));
        parts.extend(self.load.map(|load| format!("load {load}")));
        parts.extend(self.memfree.map(|memfree| format!("memfree {memfree}")));
        parts.extend(self.pressure.map(|pressure| format!("pressure {pressure}")));
        write!(f, "{}", parts.join(", "))
    }
}

fn is_none_of(cpus: &f64) -> bool {
    *cpus == 0.0
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn a_load_is_a_number_of_processes_or_a_share_of_the_cpus() {
        let on_8 = |text| Load::parse(text).map(|load| load.on(8.0));
        assert_eq!(on_8("80%"), Ok(6.4));
        assert_eq!(on_8("1.5"), Ok(1.5));
        for wrong in ["", "x", "0", "-1", "%", "inf"] {
            assert!(Load::parse(wrong).is_err(), "{wrong}");
        }
    }
}
