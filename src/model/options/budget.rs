//! The budget of a run: what it leaves to others, and when it starts nothing new because of them. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::capability::Capabilities;

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
pub struct HostBudget {
    /// CPUs.
    pub cpus: f64,
    /// Bytes of memory.
    pub memory: u64,
}

impl HostBudget {
    /// The budget of a run on an engine's host: what its own says, else all of the host, less what is left to others.
    pub fn of(budget: &Budget, reserve: Option<Reserve>, host: &Capabilities) -> Self {
        let reserve = reserve.unwrap_or_default();
        Self {
            cpus: (budget.cpus.unwrap_or(host.cpus) - reserve.cpus).max(0.0),
            memory: budget.memory.unwrap_or(host.memory).saturating_sub(reserve.memory),
        }
    }
}

/// How many trials run at once, in GNU parallel's words for `-j`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parallel {
    /// Exactly that many.
    Count(usize),
    /// That part of the host's CPUs, in percent.
    Percent(f64),
    /// The host's CPUs less that many.
    AllBut(usize),
}

impl Parallel {
    /// Reads `4`, `50%` or `-1`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)")
        };
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            return if percent > 0.0 && percent.is_finite() { Ok(Self::Percent(percent)) } else { Err(wrong()) };
        }
        let number: i64 = text.parse().map_err(|_| wrong())?;
        match number {
            0 => Err(wrong()),
            1.. => Ok(Self::Count(number as usize)),
            _ => Ok(Self::AllBut(number.unsigned_abs() as usize)),
        }
    }

    /// The number on a host of `cpus` CPUs: at least one.
    pub fn on(self, cpus: f64) -> usize {
        match self {
            Self::Count(count) => count.max(1),
            Self::Percent(percent) => ((cpus * percent / 100.0).floor() as usize).max(1),
            Self::AllBut(count) => (cpus.floor() as usize).saturating_sub(count).max(1),
        }
    }
}

impl fmt::Display for Parallel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::AllBut(count) => write!(f, "-{count}"),
        }
    }
}

impl<'de> Deserialize<'de> for Parallel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Parallel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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

/// What a run may take of the machine; of a change while it runs, what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// How many trials run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Parallel>,
    /// CPUs; absent: those of the engine's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Bytes of memory; absent: those of the engine's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Ids of the GPUs; absent: those found on the engine's host that nobody else uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Vec<String>>,
    /// Named limits: name -> how much the trials that run may take of it together.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub limits: BTreeMap<String, u32>,
    /// The load above which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Free memory in bytes below which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memfree: Option<u64>,
    /// Share of the time, in percent, in which something waits for CPU, memory or disk (the kernel's pressure-stall
    /// information over 10 s) above which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
}

impl Budget {
    /// This budget where it says something, else that of `below`; named limits are merged name by name.
    pub fn over(&self, below: &Self) -> Self {
        over(self, below)
    }
}

/// As it is asked for: `parallel 2, memory 1024, limit license=1`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Err(fmt::Error) };
        let word = |value: &Value| match (value, value.as_f64()) {
            (Value::String(text), _) => text.clone(),
            (_, Some(number)) => number.to_string(),
            (value, None) => value.to_string(),
        };
        let part = |(name, value): (&String, &Value)| match value {
            Value::Object(limits) => {
                limits.iter().map(|(limit, most)| format!("limit {limit}={most}")).collect::<Vec<_>>().join(", ")
            }
            Value::Array(ids) => format!("{name} {}", ids.iter().map(word).collect::<Vec<_>>().join(",")),
            value => format!("{name} {}", word(value)),
        };
        write!(f, "{}", fields.iter().map(part).collect::<Vec<_>>().join(", "))
    }
}

/// What `above` says, else what `below` does, field by field of their JSON form; named limits one by one.
pub(super) fn over<T: Serialize + DeserializeOwned>(above: &T, below: &T) -> T {
    let fields = |options: &T| match serde_json::to_value(options) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("options serialize to an object, not {other:?}"),
    };
    let mut merged = fields(below);
    for (name, value) in fields(above) {
        match (merged.get_mut(&name), value) {
            (Some(Value::Object(limits)), Value::Object(own)) if name == "limits" => limits.extend(own),
            (_, value) => drop(merged.insert(name, value)),
        }
    }
    serde_json::from_value(Value::Object(merged)).expect("every option reads back from its own JSON form")
}

fn is_none_of(cpus: &f64) -> bool {
    *cpus == 0.0
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

#[cfg(test)]
mod tests {
    use super::{Load, Parallel};

    #[test]
    fn parallel_reads_gnu_parallels_forms() {
        let on_8 = |text| Parallel::parse(text).map(|parallel| parallel.on(8.0));
        assert_eq!(on_8("3"), Ok(3));
        assert_eq!(on_8("50%"), Ok(4));
        assert_eq!(on_8("-1"), Ok(7));
        assert_eq!(on_8("-100"), Ok(1));
        assert_eq!(on_8("1%"), Ok(1));
        for wrong in ["", "0", "x", "-0%", "0%", "1.5"] {
            assert!(Parallel::parse(wrong).is_err(), "{wrong}");
        }
    }

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
