//! What a plan warns of: what will not be acted on, and what a reader would not expect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::label::param_variable;
use crate::model::name::{EngineName, Name};
use crate::model::trial::fields::Actor;
use crate::model::trial::settled::Settled;
use crate::model::trial::{Condition, HostPort};
use crate::plan::admission::Engines;
use crate::plan::graph::Wait;

/// Every warning, as sentences.
pub(super) fn all(trials: &[Arc<Settled>], waits: &[Vec<Wait>], engines: &Engines) -> Vec<String> {
    let mut warnings = ignored(trials, engines);
    warnings.extend(unread_by_a_shell(trials));
    warnings.extend(unfinished(trials, waits));
    warnings.extend(unprobed(trials, waits));
    warnings.extend(ports_in_turn(trials, engines));
    warnings.extend(colliding(trials));
    warnings
}

/// Trials as they are named in a sentence: `t1`; `t1` and `t2`; `t1` and 39 more.
fn some(names: &[&Name]) -> String {
    match names {
        [one] => format!("`{one}`"),
        [one, other] => format!("`{one}` and `{other}`"),
        [first, rest @ ..] => format!("`{first}` and {} more", rest.len()),
        [] => String::new(),
    }
}

/// Commands with signs that a shell would act on. Nothing does where no shell is started.
fn unread_by_a_shell(trials: &[Arc<Settled>]) -> Vec<String> {
    let mut signs: BTreeMap<&str, Vec<&Name>> = BTreeMap::new();
    for trial in trials {
        if let Some(sign) = shell_sign(trial) {
            signs.entry(sign).or_default().push(&trial.name);
        }
    }
    let warning = |(sign, names): (&str, Vec<&Name>)| {
        format!(
            "`{sign}` in the `cmd` of {} is passed to the program as it stands: no shell reads a `cmd`; where a shell \
             is to read it, write cmd: ['sh', '-c', '..']",
            some(&names)
        )
    };
    signs.into_iter().map(warning).collect()
}

/// The first word of a trial's command that means something to a shell alone. A word behind `-c` or `-e` is a program.
fn shell_sign(trial: &Settled) -> Option<&str> {
    let words: Vec<&str> =
        trial.entrypoint.iter().flatten().chain(trial.cmd.iter().flatten()).map(String::as_str).collect();
    if words.iter().any(|word| matches!(*word, "-c" | "-e" | "-lc" | "-ec" | "-ic")) {
        return None;
    }
    let is_sign = |word: &&str| {
        matches!(*word, "&&" | "||" | "|" | ">" | ">>" | "<" | "<<" | ";" | "&" | "2>" | "2>>" | "2>&1" | "&>" | "*")
            || names_variable(word)
    };
    words.get(1..)?.iter().copied().find(is_sign)
}

/// Whether a word has a `$NAME` or `${NAME}` in it.
fn names_variable(word: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let mut rest = word.split('$').skip(1);
    !word.contains(char::is_whitespace) && rest.any(|rest| rest.strip_prefix('{').unwrap_or(rest).starts_with(is_start))
}

/// Bare prerequisites that run a command and end by themselves. Who waits for one starts as soon as it has started, and not
/// when it is done, as in make.
fn unfinished(trials: &[Arc<Settled>], waits: &[Vec<Wait>]) -> Option<String> {
    let ends = |on: usize| {
        let trial = &trials[on];
        trial.cmd.is_some() && trial.healthcheck.is_none() && trial.written.service.is_none()
    };
    let mut on = BTreeSet::new();
    let mut waiting = Vec::new();
    for (place, waits) in waits.iter().enumerate() {
        let bare = waits.iter().filter(|wait| {
            let mut written = trials[place].depends.iter();
            written.any(|edge| edge.trial == trials[wait.on].name && edge.condition.is_none())
        });
        let before = on.len();
        on.extend(bare.map(|wait| wait.on).filter(|on| ends(*on)));
        if on.len() > before || waits.iter().any(|wait| on.contains(&wait.on)) {
            waiting.push(&trials[place].name);
        }
    }
    let names: Vec<&Name> = on.into_iter().map(|on| &trials[on].name).collect();
    (!names.is_empty()).then(|| {
        let (verb, does) = if waiting.len() == 1 { ("starts", "it needs") } else { ("start", "they need") };
        let (has, is, end) =
            if names.len() == 1 { ("has", "it is", "its end") } else { ("have", "they are", "their end") };
        format!(
            "{} {verb} as soon as {} {has} started, and not when {is} done: if {does} {end}, write \
             {{ trial: '{}', condition: 'completed' }} in `depends`",
            some(&waiting),
            some(&names),
            names[0]
        )
    })
}

/// Ports of the host that several trials publish: the run gives each to one at a time.
fn ports_in_turn(trials: &[Arc<Settled>], engines: &Engines) -> Vec<String> {
    let mut wanted: BTreeMap<String, Vec<(HostPort, &Name)>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| engines.get(&trial.engine).is_none_or(|engine| engine.containers)) {
        for port in trial.host_ports() {
            let group = wanted.values_mut().find(|group| group.iter().any(|(other, _)| other.meets(&port)));
            match group {
                Some(group) => group.push((port, &trial.name)),
                None => drop(wanted.insert(port.to_string(), vec![(port, &trial.name)])),
            }
        }
    }
    let warning = |(port, group): (String, Vec<(HostPort, &Name)>)| {
        let names: Vec<&Name> = group.iter().map(|(_, name)| *name).collect();
        format!("{} publish the host's port {port}: they run one after the other", some(&names))
    };
    wanted.into_iter().filter(|(_, group)| group.len() > 1).map(warning).collect()
}

/// Docker's images may bring a healthcheck that the spec does not show; one that has none is healthy as soon as it runs.
fn unprobed(trials: &[Arc<Settled>], waits: &[Vec<Wait>]) -> Vec<String> {
    let awaited = waits.iter().flatten().filter(|wait| wait.condition == Condition::Healthy).map(|wait| wait.on);
    let unprobed: BTreeSet<usize> = awaited.filter(|on| trials[*on].healthcheck.is_none()).collect();
    let warning = |on: usize| {
        let name = &trials[on].name;
        format!(
            "`{name}` is waited for until it is healthy and has no `healthcheck`: where its image has none either, it counts as healthy as soon as it runs"
        )
    };
    unprobed.into_iter().map(warning).collect()
}

/// Parameters of one trial that become the same variable.
fn colliding(trials: &[Arc<Settled>]) -> Option<String> {
    trials.iter().find_map(|trial| {
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        trial.params.keys().find_map(|name| {
            let other = seen.insert(param_variable(name), name)?;
            let variable = param_variable(name);
            Some(format!("the parameters `{other}` and `{name}` of `{}` are both `{variable}` in its environment: COMBU_PARAMS tells them apart", trial.name))
        })
    })
}

/// Fields that the engine of their trial does not act on. What is given to every trial was not asked of this one.
fn ignored(trials: &[Arc<Settled>], engines: &Engines) -> Vec<String> {
    let mut ignored: BTreeMap<(EngineName, &str), (usize, &Name, Actor)> = BTreeMap::new();
    for trial in trials {
        let Some(engine) = engines.get(&trial.engine) else { continue };
        for field in trial.written.fields() {
            if !engine.acts_on(field.actor) && field.value.is_said() {
                ignored.entry((engine.engine, field.name)).or_insert((0, &trial.name, field.actor)).0 += 1;
            }
        }
    }
    let warning = |((engine, field), (count, first, actor)): ((EngineName, &str), (usize, &Name, Actor))| {
        let whose = if count == 1 { format!("`{first}`") } else { format!("{count} trials, such as `{first}`") };
        if actor == Actor::Reserved {
            format!("the engine {engine} reserves `{field}` and does not enforce it ({whose})")
        } else {
            format!("the engine {engine} ignores `{field}` ({whose})")
        }
    };
    ignored.into_iter().map(warning).collect()
}
