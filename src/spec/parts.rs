//! The fields of a trial that have several written forms: commands, ports, volumes, dependencies, checks, limits.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use regex::Error;
use regex::bytes::Regex;
use serde_json::Value;

use crate::model::name::Name;
use crate::model::trial::{Condition, Dependency, Gpus, Healthcheck, Port, Protocol, Ulimit, Volume, output};
use crate::spec::reader::Item;
use crate::spec::units::{positive_span, span};
use crate::spec::words::words;

/// Longest host name: a label of DNS.
const LONGEST_HOST_NAME: usize = 63;

thread_local! {
    /// The patterns that were looked at, and what is wrong with them.
    static CHECKED: RefCell<HashMap<String, Result<(), String>>> = RefCell::default();
}

/// A command; an empty one is the image's own, as it was in the first combu.
pub(super) fn command(item: Item<'_>) -> Option<Vec<String>> {
    entrypoint(item).filter(|words| !words.is_empty())
}

/// A string split as a shell would, or a list of words.
pub(super) fn entrypoint(item: Item<'_>) -> Option<Vec<String>> {
    match item.value {
        Value::String(_) => words(item, item.text()?),
        _ => item.list("a list of words, or a string", |item| item.scalar()),
    }
}

/// A host name.
pub(super) fn host_name(item: Item<'_>) -> Option<String> {
    let name = item.some_text()?;
    match name.chars().count() {
        length if length > LONGEST_HOST_NAME => {
            item.fail(format!("a host name has at most {LONGEST_HOST_NAME} letters (RFC 1123), and this one {length}"))
        }
        _ => Some(name),
    }
}

/// Metrics and the patterns that find them.
pub(super) fn metrics(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    item.table("an object of patterns", |key, item| {
        if key.is_empty() || key == "step" {
            return item.fail("a metric's name is not empty, and not `step`");
        }
        let text = item.some_text()?;
        // The trials of a sweep mostly have the same patterns.
        let known =
            CHECKED.with_borrow_mut(|checked| checked.entry(text.clone()).or_insert_with(|| pattern(&text)).clone());
        item.check(known.map(|()| text.clone()))
    })
}

/// Paths that are copied out.
pub(super) fn outputs(item: Item<'_>) -> Option<Vec<String>> {
    item.list("a list of paths", |item| {
        let path = item.some_text()?;
        if output::place(&path).is_none() {
            return item.fail(format!("`{path}` is no path to collect: name a file or folder, such as \"/out/model\""));
        }
        Some(path)
    })
}

/// Whether the pattern is one, and has the group that is the metric's value.
fn pattern(text: &str) -> Result<(), String> {
    let fault = |error: Error| match error {
        Error::Syntax(text) => text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        other => other.to_string(),
    };
    let regex = Regex::new(text).map_err(|error| format!("`{text}` is no regular expression: {}", fault(error)))?;
    match regex.captures_len() {
        2 => Ok(()),
        1 => Err(format!("`{text}` has no group for the value: put its part in brackets, as in `loss=([0-9.]+)`")),
        _ => Err(format!("`{text}` has more than one group: write `(?:..)` for those that are not the value")),
    }
}

/// A published port: an object, `"8080:80"`, or the container's port alone.
pub(super) fn port(item: Item<'_>) -> Option<Port> {
    match item.value {
        Value::String(text) => port_text(item, text),
        Value::Object(_) => {
            let object = item.object("a port", &["host", "container", "ip", "protocol"])?;
            let container = object.need("container", side);
            let host = object.get("host");
            let (host, other) = match host.map(side) {
                Some(read) => read.map(|(port, protocol)| (Some(port), protocol))?,
                None => (None, None),
            };
            let ip = object.read("ip", |item| address(item, item.text()?));
            let named = object.read("protocol", |item| item.word(&["tcp", "udp", "sctp"], protocol));
            let (container, own) = container?;
            let mut said = [own, other, named].into_iter().flatten();
            let protocol = said.next().unwrap_or_default();
            if said.any(|other| other != protocol) {
                return item.fail("the protocols of the two sides differ");
            }
            Some(Port { ip, host, container, protocol })
        }
        Value::Number(_) => {
            let (container, protocol) = side(item)?;
            Some(Port { ip: None, host: None, container, protocol: protocol.unwrap_or_default() })
        }
        _ => item.expected("a port: {host, container} or \"8080:80\""),
    }
}

/// `[[ip:]host:]container[/protocol]`, an IPv6 address in brackets.
fn port_text(item: Item<'_>, text: &str) -> Option<Port> {
    let (container, rest) = match text.rsplit_once(':') {
        Some((rest, container)) => (container, Some(rest)),
        None => (text, None),
    };
    let (container, own) = side_text(item, container)?;
    let (ip, host) = match rest.map(|rest| rest.rsplit_once(':').unwrap_or(("", rest))) {
        None => (None, None),
        Some((ip, host)) => {
            let host = if host.is_empty() && !ip.is_empty() { None } else { Some(side_text(item, host)?) };
            let ip = if ip.is_empty() { None } else { Some(address(item, ip)?) };
            (ip, host)
        }
    };
    let (host, other) = host.map_or((None, None), |(port, protocol)| (Some(port), protocol));
    match (own, other) {
        (Some(own), Some(other)) if own != other => item.fail("the protocols of the two sides differ"),
        _ => Some(Port { ip, host, container, protocol: own.or(other).unwrap_or_default() }),
    }
}

/// One side of a port: `80`, `"80"` or `"80/tcp"`.
fn side(item: Item<'_>) -> Option<(u16, Option<Protocol>)> {
    match item.value {
        Value::String(text) => side_text(item, text),
        Value::Number(_) => {
            let port = item.integer(1, u16::MAX.into())?;
            u16::try_from(port).ok().map(|port| (port, None))
        }
        _ => item.expected("a port such as 80 or \"80/tcp\""),
    }
}

fn side_text(item: Item<'_>, text: &str) -> Option<(u16, Option<Protocol>)> {
    let (number, word) = text.split_once('/').map_or((text, None), |(number, word)| (number, Some(word)));
    let named = match word {
        None => None,
        Some(word) => match protocol(&word.to_ascii_lowercase()) {
            Some(protocol) => Some(protocol),
            None => return item.fail(format!("`{word}` is no protocol: write tcp, udp or sctp")),
        },
    };
    match number.trim().parse::<u16>() {
        Ok(port) if port > 0 => Some((port, named)),
        _ if number.contains('-') => item.fail_with(format!("`{text}` is a range"), "write one entry for each port"),
        _ => item.fail(format!("`{text}` is not a port between 1 and 65535")),
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|protocol| protocol.as_str() == word)
}

fn address(item: Item<'_>, text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Some(ip.to_string()),
        Err(_) => item.fail(format!("`{text}` is not an IP address")),
    }
}

/// A mount: an object, `"host:container[:ro|rw]"`, or the path in the container alone.
pub(super) fn volume(item: Item<'_>, folder: &Path) -> Option<Volume> {
    if item.value.is_string() {
        let text = item.text()?;
        let parts: Vec<_> = text.split(':').collect();
        let (host, container, mode) = match parts[..] {
            [container] if container.starts_with('/') => {
                return Some(Volume { host: None, container: inside(item, container)?, readonly: false });
            }
            [host, container] => (host, container, "rw"),
            [host, container, mode] => (host, container, mode),
            _ => {
                return item.fail(format!(
                    "`{text}` is not `host:container`, `host:container:ro`, or a path in the container"
                ));
            }
        };
        let readonly = match mode {
            "ro" => true,
            "rw" => false,
            _ => return item.fail(format!("`{mode}` is no way to mount: write `ro` or `rw`")),
        };
        let (host, container) = (host_side(item, host, folder), inside(item, container));
        return Some(Volume { host: Some(host?), container: container?, readonly });
    }
    let object =
        item.object("a volume: {host, container} or \"host:container\"", &["host", "container", "readonly"])?;
    let host = object.read("host", |item| host_side(item, item.text()?, folder));
    let container = object.need("container", |item| inside(item, item.text()?));
    let readonly = object.read("readonly", |item| item.boolean()).unwrap_or_default();
    Some(Volume { host, container: container?, readonly })
}

/// A path becomes absolute; anything else is the name of a volume.
fn host_side(item: Item<'_>, text: &str, folder: &Path) -> Option<String> {
    match text {
        text if text.starts_with(['/', '.', '~']) => path(item, text, folder),
        text if Name::parse(text).is_ok() => Some(text.to_owned()),
        text if text.starts_with('$') => item.fail_with(
            format!("`{text}`: variables of the environment are not put in here"),
            "write `std.extVar('NAME')` in its place, and run it with `--ext-str NAME`",
        ),
        text if text.contains('/') => {
            item.fail_with(format!("`{text}` is not a volume's name"), format!("a path begins with `./`: `./{text}`"))
        }
        text => item.fail(format!(
            "`{text}` is not a volume's name: two or more letters (a-z, A-Z), digits, `_`, `.` or `-`, a letter or digit first"
        )),
    }
}

/// A path of this machine, absolute: a relative one starts in `folder`, `~/` in the caller's home.
pub(super) fn path(item: Item<'_>, text: &str, folder: &Path) -> Option<String> {
    let path = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match std::env::home_dir() {
            Some(home) => home.join(rest.trim_start_matches('/')),
            None => return item.fail("`~` stands for the home folder, and there is none"),
        },
        Some(_) => return item.fail(format!("`{text}`: only the caller's own home, `~/`, is known")),
        None => folder.join(text),
    };
    match clean(&path).into_os_string().into_string() {
        Ok(path) => Some(path),
        Err(_) => item.fail("the path of the folder is not UTF-8, which engines cannot take"),
    }
}

/// The path without `.` and `..`. Symbolic links are not followed: the folder may not exist yet.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            _ => clean.push(component),
        }
    }
    clean
}

/// A path in the container.
fn inside(item: Item<'_>, text: &str) -> Option<String> {
    if text.starts_with('/') { Some(text.to_owned()) } else { item.fail(format!("`{text}` is not an absolute path")) }
}

/// The name of a network.
pub(super) fn network(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal) {
        return Some(text.to_owned());
    }
    item.fail(format!(
        "`{text}` is not a network's name: letters (a-z, A-Z), digits, `_`, `.` or `-`, a letter or digit first"
    ))
}

/// The name of a trial.
pub(super) fn trial_name(item: Item<'_>) -> Option<Name> {
    let text = item.text()?;
    item.check(Name::parse(text).map_err(|bad| format!("`{text}` cannot be a trial's name: {bad}")))
}

/// A prerequisite: its name, or `{trial, condition}`.
pub(super) fn dependency(item: Item<'_>) -> Option<Dependency> {
    if item.value.is_string() {
        return trial_name(item).map(|trial| Dependency { trial, condition: None });
    }
    let object = item.object("a trial's name, or {trial, condition}", &["trial", "condition"])?;
    let trial = object.need("trial", trial_name);
    let all = Condition::ALL;
    let condition = object.read("condition", |item| {
        item.word(&all.map(Condition::as_str), |word| all.into_iter().find(|condition| condition.as_str() == word))
    });
    Some(Dependency { trial: trial?, condition })
}

/// A healthcheck; a string is a line for the container's shell.
pub(super) fn healthcheck(item: Item<'_>) -> Option<Healthcheck> {
    let keys = ["test", "interval", "timeout", "retries", "start_period"];
    let object = item.object("a healthcheck (an object)", &keys)?;
    let test = object.need("test", probe);
    let check = Healthcheck {
        test: Vec::new(),
        interval: object.read("interval", positive_span),
        timeout: object.read("timeout", positive_span),
        retries: object.read("retries", |item| item.integer(1, u32::MAX.into()).and_then(|n| u32::try_from(n).ok())),
        start_period: object.read("start_period", span),
    };
    Some(Healthcheck { test: test?, ..check })
}

fn probe(item: Item<'_>) -> Option<Vec<String>> {
    if item.value.is_string() {
        return item.some_text().map(|line| vec!["CMD-SHELL".to_owned(), line]);
    }
    let words = item.list("a list of words, or a line for the shell", |item| item.scalar())?;
    match words.first().map(String::as_str) {
        Some("CMD") if words.len() > 1 => Some(words),
        Some("CMD-SHELL") if words.len() == 2 => Some(words),
        _ => item.fail_with("not a test", "write a line for the shell, [\"CMD\", word, ..] or [\"CMD-SHELL\", line]"),
    }
}

/// A count, `"all"`, one device id, or a list of ids.
pub(super) fn gpus(item: Item<'_>) -> Option<Gpus> {
    match item.value {
        Value::Number(_) => item.count().map(Gpus::Count),
        Value::String(_) => item.some_text().map(Gpus::Word),
        Value::Array(ids) if ids.is_empty() => item.fail("an empty list of GPUs"),
        _ => item.list("a number of GPUs, \"all\" or a list of ids", |item| item.scalar()).map(Gpus::Ids),
    }
}

/// Most processes and threads: a count, or -1 for no limit.
pub(super) fn pids(item: Item<'_>) -> Option<i64> {
    match item.integer(-1, i64::MAX)? {
        0 => item.fail("a limit of zero lets nothing run"),
        limit => Some(limit),
    }
}

/// Resource limits: `{nofile: 1024}`, `{nofile: {soft, hard}}` or a list of `{name, soft, hard}`.
pub(super) fn ulimits(item: Item<'_>) -> Option<Vec<Ulimit>> {
    if item.value.is_array() {
        return item.list("limits", |item| {
            let object = item.object("a limit", &["name", "soft", "hard"])?;
            let name = object.need("name", |item| item.some_text());
            let (soft, hard) = (object.need("soft", limit), object.need("hard", limit));
            ordered(item, Ulimit { name: name?, soft: soft?, hard: hard? })
        });
    }
    let table = item.table("an object of limits, such as {nofile: 1024}", |name, item| {
        if item.value.is_number() {
            let both = limit(item)?;
            return Some(Ulimit { name: name.to_owned(), soft: both, hard: both });
        }
        let object = item.object("a limit: a number, or {soft, hard}", &["soft", "hard"])?;
        let (soft, hard) = (object.need("soft", limit), object.need("hard", limit));
        ordered(item, Ulimit { name: name.to_owned(), soft: soft?, hard: hard? })
    })?;
    Some(table.into_values().collect())
}

fn limit(item: Item<'_>) -> Option<i64> {
    item.integer(-1, i64::MAX)
}

fn ordered(item: Item<'_>, limit: Ulimit) -> Option<Ulimit> {
    let reach = |end: i64| if end < 0 { i64::MAX } else { end };
    if reach(limit.soft) > reach(limit.hard) {
        return item.fail("the soft limit is above the hard one");
    }
    Some(limit)
}

/// Memory mounts: `"/run:size=64m"`, a list of such, or an object of paths and options.
pub(super) fn tmpfs(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    let entry = |item: Item<'_>| {
        let text = item.text()?;
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        Some((inside(item, path)?, options.to_owned()))
    };
    match item.value {
        Value::String(_) => entry(item).map(|entry| BTreeMap::from([entry])),
        Value::Array(_) => item.list("a list of paths", entry).map(|entries| entries.into_iter().collect()),
        _ => item.table("a path, a list of paths, or an object of paths and options", |path, item| {
            inside(item, path)?;
            item.text().map(str::to_owned)
        }),
    }
}

/// Lines for `/etc/hosts`: `host:address`, or an object of both.
pub(super) fn addresses(item: Item<'_>) -> Option<Vec<String>> {
    if item.value.is_object() {
        let table = item.table("hosts", |host, item| item.some_text().map(|address| format!("{host}:{address}")))?;
        return Some(table.into_values().collect());
    }
    item.list("a list of \"host:address\"", |item| match item.text()? {
        text if text.contains(':') => Some(text.to_owned()),
        text => item.fail(format!("`{text}` is not `host:address`")),
    })
}
