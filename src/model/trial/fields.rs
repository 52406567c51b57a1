//! The table of a trial's fields: one row each, for whoever asks about a field by its name.
//!
//! A field that is added to [`Trial`] does not compile until it has its row here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::name::{EngineName, Name};
use crate::model::retry::Retries;
use crate::model::span;
use crate::model::trial::{Gpus, Healthcheck, Pull, Timeout, Trial};

/// A field of a trial.
pub struct Field<'a> {
    /// The key in specs.
    pub name: &'static str,
    /// Who acts on it.
    pub actor: Actor,
    /// The kind of difference it makes between two trials; absent: trials that differ in nothing else are the same.
    pub trigger: Option<Trigger>,
    /// Whether the value under `defaults` and that of a trial are merged, key by key or name by name.
    pub merges: bool,
    /// What the trial says in it.
    pub value: &'a dyn FieldValue,
}

/// Who acts on a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Runs themselves, whatever the engine.
    Run,
    /// Every engine.
    Engine,
    /// Engines of containers.
    Containers,
    /// Engines of containers; runs reserve the amount on every engine.
    Reserved,
}

/// What makes two trials different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The image, by name and by the id of its content.
    Image,
    /// Command, entrypoint, working folder, user, engine.
    Cmd,
    /// Environment.
    Env,
    /// Volumes, tmpfs, devices, networks.
    Mounts,
    /// CPUs, memory, GPUs and other limits of the engine.
    Limits,
    /// Parameters.
    Params,
    /// The run's seed, from which the trial's own is derived.
    Seed,
}

impl Trigger {
    /// All of them, in the order of the manual.
    pub const ALL: [Self; 7] =
        [Self::Image, Self::Cmd, Self::Env, Self::Mounts, Self::Limits, Self::Params, Self::Seed];

    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Cmd => "cmd",
            Self::Env => "env",
            Self::Mounts => "mounts",
            Self::Limits => "limits",
            Self::Params => "params",
            Self::Seed => "seed",
        }
    }
}

/// The value of a field.
pub trait FieldValue {
    /// Whether the trial says something in the field.
    fn is_said(&self) -> bool;
    /// The value as JSON; where nothing is said, the field's empty form: `null`, `[]`, `{}`, `false`, `0`.
    fn to_json(&self) -> Value;
}

fn row<'a>(name: &'static str, actor: Actor, trigger: Option<Trigger>, value: &'a dyn FieldValue) -> Field<'a> {
    Field { name, actor, trigger, merges: false, value }
}

impl Field<'_> {
    fn merged(self) -> Self {
        Self { merges: true, ..self }
    }
}

impl Trial {
    /// The number of fields.
    pub const FIELDS: usize = 42;

    /// Every field, in the order of the manual.
    #[expect(clippy::too_many_lines, reason = "a row for each field")]
    pub fn fields(&self) -> [Field<'_>; Self::FIELDS] {
        use Actor::{Containers, Engine, Reserved, Run};
        let Self {
            name,
            engine,
            image,
            cmd,
            entrypoint,
            env,
            pass_env,
            env_file,
            workdir,
            user,
            hostname,
            labels,
            ports,
            volumes,
            networks,
            depends,
            service,
            healthcheck,
            cpus,
            memory,
            gpus,
            pin,
            limits,
            nice,
            shm_size,
            pids_limit,
            timeout,
            stop_signal,
            stop_grace,
            retries,
            params,
            metrics,
            outputs,
            priority,
            pull,
            init,
            platform,
            ulimits,
            tmpfs,
            devices,
            cap_add,
            extra_hosts,
        } = self;
        [
            row("name", Run, None, name),
            row("image", Containers, Some(Trigger::Image), image),
            row("cmd", Engine, Some(Trigger::Cmd), cmd),
            row("entrypoint", Engine, Some(Trigger::Cmd), entrypoint),
            row("env", Engine, Some(Trigger::Env), env).merged(),
            // The name of what is passed on makes a difference, and not its value, which nobody writes down.
            row("pass_env", Engine, Some(Trigger::Env), pass_env).merged(),
            row("env_file", Engine, Some(Trigger::Env), env_file),
            row("workdir", Engine, Some(Trigger::Cmd), workdir),
            row("user", Engine, Some(Trigger::Cmd), user),
            row("hostname", Containers, Some(Trigger::Cmd), hostname),
            row("labels", Containers, None, labels).merged(),
            row("ports", Containers, None, ports),
            row("volumes", Containers, Some(Trigger::Mounts), volumes),
            row("networks", Containers, Some(Trigger::Mounts), networks),
            row("depends", Run, None, depends),
            row("service", Run, None, service),
            row("healthcheck", Engine, None, healthcheck),
            row("cpus", Reserved, Some(Trigger::Limits), cpus),
            row("memory", Reserved, Some(Trigger::Limits), memory),
            row("gpus", Engine, Some(Trigger::Limits), gpus),
            row("pin", Engine, Some(Trigger::Limits), pin),
            row("limits", Run, None, limits),
            row("nice", Engine, None, nice),
            row("shm_size", Containers, Some(Trigger::Limits), shm_size),
            row("pids_limit", Containers, Some(Trigger::Limits), pids_limit),
            row("timeout", Run, None, timeout),
            row("stop_signal", Containers, None, stop_signal),
            row("stop_grace", Run, None, stop_grace),
            row("retries", Run, None, retries),
            row("params", Run, Some(Trigger::Params), params).merged(),
            row("metrics", Run, None, metrics).merged(),
            row("outputs", Engine, None, outputs),
            row("priority", Run, None, priority),
            row("pull", Containers, None, pull),
            row("engine", Run, Some(Trigger::Cmd), engine),
            row("init", Containers, Some(Trigger::Cmd), init),
            row("platform", Containers, Some(Trigger::Image), platform),
            row("ulimits", Containers, Some(Trigger::Limits), ulimits),
            row("tmpfs", Containers, Some(Trigger::Mounts), tmpfs),
            row("devices", Containers, Some(Trigger::Mounts), devices),
            row("cap_add", Containers, Some(Trigger::Cmd), cap_add),
            row("extra_hosts", Containers, Some(Trigger::Env), extra_hosts),
        ]
    }
}

/// Values that are said or not, in their own JSON form.
macro_rules! said_or_not {
    ($($of:ty),* $(,)?) => {$(
        impl FieldValue for Option<$of> {
            fn is_said(&self) -> bool {
                self.is_some()
            }

            fn to_json(&self) -> Value {
                json(self)
            }
        }
    )*};
}

said_or_not![
    bool,
    u8,
    u64,
    i64,
    f64,
    String,
    Vec<String>,
    EngineName,
    Pull,
    Timeout,
    Arc<Retries>,
    Box<Gpus>,
    Box<Healthcheck>
];

/// Seconds, as in every other place.
impl FieldValue for Option<Duration> {
    fn is_said(&self) -> bool {
        self.is_some()
    }

    fn to_json(&self) -> Value {
        span::optional::serialize(self, serde_json::value::Serializer).expect("seconds have a JSON form")
    }
}

impl<T: Serialize> FieldValue for Vec<T> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

impl FieldValue for BTreeSet<String> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

impl<T: Serialize> FieldValue for BTreeMap<String, T> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

impl FieldValue for Map<String, Value> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

impl FieldValue for bool {
    fn is_said(&self) -> bool {
        *self
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

impl FieldValue for i32 {
    fn is_said(&self) -> bool {
        *self != 0
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

impl FieldValue for Name {
    fn is_said(&self) -> bool {
        true
    }

    fn to_json(&self) -> Value {
        json(self)
    }
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("every field of a trial has a JSON form")
}
