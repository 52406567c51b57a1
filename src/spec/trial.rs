//! One trial from its object, in every form that `docs/spec.md` allows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use crate::model::label;
use crate::model::name::Name;
use crate::model::nesting::{self, DEEPEST};
use crate::model::trial::Trial;
use crate::spec::error::Problems;
use crate::spec::fields;
use crate::spec::options::{engine, limits, nice, pull, retries, timeout};
use crate::spec::parts::{
    addresses, command, dependency, entrypoint, gpus, healthcheck, host_name, metrics, network, outputs, pids, port,
    tmpfs, trial_name, ulimits, volume,
};
use crate::spec::reader::{Item, Report};
use crate::spec::units::{bytes, cpus, span};
use crate::spec::variables::{self, Variables};

/// The key of a trial's labels.
const LABELS: &str = "labels";

/// Reads one trial; relative paths of the host are resolved from `folder`, which is absolute.
///
/// # Errors
/// Everything that is wrong with it, with the place of each.
pub fn trial(value: &Value, folder: &Path) -> Result<Trial, Problems> {
    let report = Report::default();
    let read = read(Item::root(value, &report), folder, None);
    report.finish(read)
}

/// Reads a trial; `name` stands in for an absent one, which is for defaults only.
pub(super) fn read(item: Item<'_>, folder: &Path, name: Option<Name>) -> Option<Trial> {
    let object = item.object("a trial (an object)", fields::names())?;
    let strings = |item: Item<'_>| item.list("a list of strings", |item| item.some_text());
    // Read before the rest, so that problems come in the order of the manual.
    let name = match name {
        Some(name) => object.read("name", |item| item.fail("a default name cannot be unique")).or(Some(name)),
        None => object.need("name", trial_name),
    };
    let Variables { env, pass_env, env_file } = variables::read(&object, folder);
    Some(Trial {
        engine: object.read("engine", engine),
        image: object.read("image", image),
        cmd: object.read("cmd", command),
        entrypoint: object.read("entrypoint", entrypoint),
        env,
        pass_env,
        env_file,
        workdir: object.read("workdir", |item| item.some_text()),
        user: object.read("user", user),
        hostname: object.read("hostname", host_name),
        labels: object.read(LABELS, labels).unwrap_or_default(),
        ports: object.read("ports", |item| item.list("a list of ports", port)).unwrap_or_default(),
        volumes: object
            .read("volumes", |item| item.list("a list of volumes", |item| volume(item, folder)))
            .unwrap_or_default(),
        networks: object.read("networks", |item| item.list("a list of networks", network)).unwrap_or_default(),
        depends: object.read("depends", |item| item.list("a list of trials", dependency)).unwrap_or_default(),
        service: object.read("service", |item| item.boolean()),
        healthcheck: object.read("healthcheck", healthcheck).map(Box::new),
        cpus: object.read("cpus", cpus),
        memory: object.read("memory", bytes),
        gpus: object.read("gpus", gpus).map(Box::new),
        pin: object.read("pin", |item| item.boolean()).unwrap_or_default(),
        limits: object.read("limits", limits).unwrap_or_default(),
        nice: object.read("nice", nice),
        shm_size: object.read("shm_size", bytes),
        pids_limit: object.read("pids_limit", pids),
        timeout: object.read("timeout", timeout),
        stop_signal: object.read("stop_signal", signal),
        stop_grace: object.read("stop_grace", span),
        retries: object.read("retries", retries).map(Arc::new),
        params: object.read("params", params).unwrap_or_default(),
        metrics: object.read("metrics", metrics).unwrap_or_default(),
        outputs: object.read("outputs", outputs).unwrap_or_default(),
        priority: object.read("priority", priority).unwrap_or_default(),
        pull: object.read("pull", pull),
        init: object.read("init", |item| item.boolean()),
        platform: object.read("platform", |item| item.some_text()),
        ulimits: object.read("ulimits", ulimits).unwrap_or_default(),
        tmpfs: object.read("tmpfs", tmpfs).unwrap_or_default(),
        devices: object.read("devices", strings).unwrap_or_default(),
        cap_add: object.read("cap_add", strings).unwrap_or_default(),
        extra_hosts: object.read("extra_hosts", addresses).unwrap_or_default(),
        name: name?,
    })
}

/// Checks the defaults as a trial without a name.
pub(super) fn defaults(item: Item<'_>, folder: &Path) -> Option<()> {
    let name = Name::parse("defaults").expect("a constant that follows the rule");
    read(item, folder, Some(name)).map(|_| ())
}

/// A trial's object on top of the defaults: fields that merge key by key, the others as a whole.
pub(super) fn merge(defaults: &Map<String, Value>, own: &Map<String, Value>) -> Value {
    let mut merged = defaults.clone();
    if let Some(labels) = merged.get_mut(LABELS)
        && let Some(table) = label_table(labels)
    {
        *labels = table;
    }
    for (key, value) in own {
        let listed = if key == LABELS { label_table(value) } else { None };
        let value = listed.as_ref().unwrap_or(value);
        match (merged.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) if merges(key) => {
                below.extend(above.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    variables::merge(defaults, own, &mut merged);
    Value::Object(merged)
}

fn merges(key: &str) -> bool {
    static MERGING: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let name = Name::parse("any").expect("a constant that follows the rule");
        Trial::new(name).fields().iter().filter(|field| field.merges).map(|field| field.name).collect()
    });
    MERGING.contains(&key)
}

fn image(item: Item<'_>) -> Option<String> {
    let text = item.some_text()?;
    if text.contains(char::is_whitespace) {
        item.fail(format!("`{text}` is no image: it has a blank"))
    } else {
        Some(text)
    }
}

fn user(item: Item<'_>) -> Option<String> {
    match item.value {
        Value::Number(_) => item.count().map(|uid| uid.to_string()),
        _ => item.some_text(),
    }
}

fn labels(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    let is_free = |key: &str, item: &Item<'_>| match key.starts_with(label::PREFIX) {
        true => item.fail(format!("labels that begin with `{}` are combu's own", label::PREFIX)),
        false => Some(()),
    };
    if item.value.is_array() {
        let list = item.list("a list of labels", |item| {
            let (name, value) = listed_label(item.text()?);
            is_free(name, &item)?;
            Some((name.to_owned(), value.to_owned()))
        });
        return list.map(BTreeMap::from_iter);
    }
    item.table("an object of labels, or a list: \"NAME=VALUE\"", |key, item| {
        is_free(key, &item)?;
        item.scalar()
    })
}

/// `owner=lab`, as compose lists labels; a bare name has an empty value.
fn listed_label(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

/// A list of labels as an object. `None`: it is no such list.
fn label_table(value: &Value) -> Option<Value> {
    let labels = value.as_array()?.iter().map(|entry| {
        let (name, value) = listed_label(entry.as_str()?);
        Some((name.to_owned(), Value::from(value)))
    });
    labels.collect::<Option<Map<String, Value>>>().map(Value::Object)
}

fn params(item: Item<'_>) -> Option<Map<String, Value>> {
    match item.value {
        Value::Object(_) if !nesting::fits(item.value, DEEPEST) => {
            item.fail(format!("more than {DEEPEST} lists and objects within each other"))
        }
        Value::Object(map) => Some(map.clone()),
        _ => item.expected("an object of parameters"),
    }
}

/// A signal as Docker takes it: a name, with or without `SIG`, or a number.
fn signal(item: Item<'_>) -> Option<String> {
    let text = item.scalar()?;
    let is_name = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '+' | '-'));
    let is_number = text.parse().is_ok_and(|number: u8| (1..=64).contains(&number));
    if is_name || is_number {
        Some(text)
    } else {
        item.fail_with(format!("`{text}` is no signal"), "write its name, such as \"SIGINT\", or its number, 1 to 64")
    }
}

fn priority(item: Item<'_>) -> Option<i32> {
    item.integer(i32::MIN.into(), i32::MAX.into()).and_then(|priority| i32::try_from(priority).ok())
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::trial;
    use crate::model::trial::{Timeout, Trial};

    const FOLDER: &str = "/lab/maze";

    pub(in crate::spec) fn read(value: Value) -> Result<Trial, String> {
        trial(&value, Path::new(FOLDER)).map_err(|problems| problems.to_string())
    }

    /// One trial with every field set.
    pub(in crate::spec) fn full() -> Trial {
        let mut fields = json!({
            "name": "solver-1",
            "engine": "docker",
            "image": "lab/solver:2",
            "cmd": "python solve.py --name 'maze one'",
            "entrypoint": ["sh", "-c"],
            "env": {"LR": 0.1, "SEED": 3, "BIG": 1e20, "DEBUG": true, "MODE": "hard", "NOT": null, "題": "迷路"},
            "workdir": "work",
            "user": 1000,
            "hostname": "solver",
            "labels": {"paper": 3},
            "ports": [{"host": "2222/udp", "container": 22, "ip": "127.0.0.1"}, "8080:80", 90],
            "volumes": ["./out:/out", {"host": "cache", "container": "/cache", "readonly": true}],
            "networks": ["maze", "x"],
            "depends": ["db", {"trial": "cache", "condition": "healthy"}],
            "service": false,
            "healthcheck": {"test": "true", "interval": "2s", "timeout": 1.5, "retries": 5, "start_period": "1m"},
            "cpus": "1.5",
            "memory": "512m",
            "gpus": ["0", 1],
            "pin": true,
            "limits": {"license": 1},
            "nice": true,
            "shm_size": "64MiB",
            "pids_limit": -1,
            "timeout": "1h 30m",
            "stop_signal": "SIGINT",
            "stop_grace": "1500ms",
            "retries": {"count": 3, "delay": "5s", "backoff": "exponential", "max_delay": "1m", "jitter": true},
            "params": {"lr": 0.1, "layers": [64, {"a": null}], "学習率": 1e-5},
            "metrics": {"loss": "loss: ([0-9.]+)", "精度": "acc (\\d+) %"},
            "outputs": ["/out/model"],
            "priority": -2,
            "pull": "missing",
            "init": true,
            "platform": "linux/arm64",
            "ulimits": {"nofile": 1024, "core": {"soft": 0, "hard": -1}},
            "tmpfs": ["/run:size=64m", "/tmp"],
            "devices": ["/dev/fuse"],
            "cap_add": ["SYS_PTRACE"],
            "extra_hosts": {"registry": "10.0.0.5"},
        });
        // Apart: the macro takes no more fields at once.
        fields["pass_env"] = json!(["TOKEN", "AWS_KEY"]);
        fields["env_file"] = json!([".env", "/etc/lab.env"]);
        read(fields).unwrap()
    }

    #[test]
    fn every_field_is_read_and_reads_back_from_its_resolved_form() {
        let full = full();
        let lines: Vec<_> = full.to_json().iter().map(|(key, value)| format!("{key}: {value}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        name: "solver-1"
        engine: "docker"
        image: "lab/solver:2"
        cmd: ["python","solve.py","--name","maze one"]
        entrypoint: ["sh","-c"]
        env: {"BIG":"1e+20","DEBUG":"true","LR":"0.1","MODE":"hard","SEED":"3","題":"迷路"}
        pass_env: ["AWS_KEY","TOKEN"]
        env_file: ["/lab/maze/.env","/etc/lab.env"]
        workdir: "work"
        user: "1000"
        hostname: "solver"
        labels: {"paper":"3"}
        ports: [{"ip":"127.0.0.1","host":2222,"container":22,"protocol":"udp"},{"host":8080,"container":80,"protocol":"tcp"},{"container":90,"protocol":"tcp"}]
        volumes: [{"host":"/lab/maze/out","container":"/out"},{"host":"cache","container":"/cache","readonly":true}]
        networks: ["maze","x"]
        depends: [{"trial":"db"},{"trial":"cache","condition":"healthy"}]
        service: false
        healthcheck: {"test":["CMD-SHELL","true"],"interval":2,"timeout":1.5,"retries":5,"start_period":60}
        cpus: 1.5
        memory: 536870912
        gpus: ["0","1"]
        pin: true
        limits: {"license":1}
        nice: 10
        shm_size: 67108864
        pids_limit: -1
        timeout: 5400
        stop_signal: "SIGINT"
        stop_grace: 1.5
        retries: {"count":3,"delay":5,"backoff":"exponential","max_delay":60,"jitter":true}
        params: {"lr":0.1,"layers":[64,{"a":null}],"学習率":0.00001}
        metrics: {"loss":"loss: ([0-9.]+)","精度":"acc (\\d+) %"}
        outputs: ["/out/model"]
        priority: -2
        pull: "missing"
        init: true
        platform: "linux/arm64"
        ulimits: [{"name":"core","soft":0,"hard":-1},{"name":"nofile","soft":1024,"hard":1024}]
        tmpfs: {"/run":"size=64m","/tmp":""}
        devices: ["/dev/fuse"]
        cap_add: ["SYS_PTRACE"]
        extra_hosts: ["registry:10.0.0.5"]
        "#);
        assert_eq!(serde_json::from_value(Value::Object(full.to_json())).ok().as_ref(), Some(&full), "as stored");
        assert_eq!(read(Value::Object(full.to_json())), Ok(full));
    }

    #[test]
    fn each_written_form_reads_back_from_its_resolved_form() {
        for fields in [
            json!({}),
            json!({"gpus": 2}),
            json!({"gpus": "all"}),
            json!({"gpus": "GPU-1a2b"}),
            json!({"ports": [{"host": 1, "container": "1/sctp"}, "[::1]:1:2", "127.0.0.1::80", "53/udp"]}),
            json!({"timeout": 0.000_000_001, "stop_grace": 0, "memory": u64::MAX}),
            json!({"timeout": 123_456.789_012_345}),
            json!({"entrypoint": []}),
            json!({"retries": 0, "cpus": 0.1, "priority": 3.0}),
            json!({"healthcheck": {"test": ["CMD", "a", "b"]}}),
            json!({"healthcheck": {"test": ["CMD-SHELL", "a b"]}}),
            json!({"user": "host", "service": true, "tmpfs": "/run"}),
            json!({"env": ["TOKEN", "A=b=c", "EMPTY="], "pass_env": ["TOKEN"], "env_file": "x/../.env"}),
        ] {
            let mut value = json!({"name": "some"});
            value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let once = read(value).unwrap();
            assert_eq!(read(Value::Object(once.to_json())), Ok(once));
        }
    }

    #[test]
    fn a_port_has_its_protocol_on_either_side() {
        let written = |port: Value| {
            read(json!({"name": "some", "ports": [port]})).map(|trial| serde_json::to_string(&trial.ports[0]).unwrap())
        };
        let udp = r#"{"host":1,"container":2,"protocol":"udp"}"#;
        for port in [
            json!("1:2/udp"),
            json!("1/udp:2"),
            json!({"host": "1/udp", "container": 2}),
            json!({"host": "1", "container": "2/UDP"}),
            json!({"host": "1/udp", "container": "2/udp"}),
            json!({"host": 1, "container": 2, "protocol": "udp"}),
        ] {
            assert_eq!(written(port).unwrap(), udp);
        }
        let mut wrong = String::new();
        for port in [
            json!("1/udp:2/tcp"),
            json!({"host": "1/udp", "container": "2/tcp"}),
            json!({"host": 1, "container": 2, "protocol": "http"}),
            json!({"host": 0, "container": 65536}),
            json!({"host": 1}),
            json!({"hots": 1, "container": 2}),
            json!("3000-3005:3000-3005"),
            json!("localhost:80:80"),
            json!("a:80"),
            json!(":80"),
            json!("80/http"),
            json!(true),
        ] {
            wrong += &format!("{port} -> {}\n", written(port.clone()).unwrap_err());
        }
        insta::assert_snapshot!(wrong, @r#"
        "1/udp:2/tcp" -> ports[0]: the protocols of the two sides differ
        {"host":"1/udp","container":"2/tcp"} -> ports[0]: the protocols of the two sides differ
        {"host":1,"container":2,"protocol":"http"} -> ports[0].protocol: `http` is none of `tcp`, `udp`, `sctp`
        {"host":0,"container":65536} -> ports[0].container: 65536 is not between 1 and 65535
        ports[0].host: 0 is not between 1 and 65535
        {"host":1} -> ports[0]: `container` is missing
        {"hots":1,"container":2} -> ports[0]: unknown key `hots`; did you mean `host`?
        "3000-3005:3000-3005" -> ports[0]: `3000-3005` is a range; write one entry for each port
        "localhost:80:80" -> ports[0]: `localhost` is not an IP address
        "a:80" -> ports[0]: `a` is not a port between 1 and 65535
        ":80" -> ports[0]: `` is not a port between 1 and 65535
        "80/http" -> ports[0]: `http` is no protocol: write tcp, udp or sctp
        true -> ports[0]: expected a port: {host, container} or "8080:80", found true
        "#);
    }

    #[test]
    fn a_path_is_a_bind_mount_and_a_name_is_a_volume() {
        let host = |volume: &str| {
            read(json!({"name": "some", "volumes": [volume]})).map(|trial| {
                let volume = &trial.volumes[0];
                let host = volume.host.as_deref().unwrap_or_default();
                format!("{host} {}", if volume.path().is_some() { "bind" } else { "volume" })
            })
        };
        let home = std::env::home_dir().unwrap();
        assert_eq!(host("/data:/d").unwrap(), "/data bind");
        assert_eq!(host(".:/d:rw").unwrap(), "/lab/maze bind");
        assert_eq!(host("./a/./b/../c:/d:ro").unwrap(), "/lab/maze/a/c bind");
        assert_eq!(host("../sets:/d").unwrap(), "/lab/sets bind");
        assert_eq!(host("../../../..:/d").unwrap(), "/ bind");
        assert_eq!(host(".cache:/d").unwrap(), "/lab/maze/.cache bind");
        assert_eq!(host("~:/d").unwrap(), format!("{} bind", home.display()));
        assert_eq!(host("~/a:/d").unwrap(), format!("{} bind", home.join("a").display()));
        assert_eq!(host("my_data-1.x:/d").unwrap(), "my_data-1.x volume");
        assert_eq!(host("/scratch").unwrap(), " volume");
        let mut wrong = String::new();
        for volume in ["data/x:/d", "実験:/d", "a:/d", "~bob:/d", "./data", "/a:d", "/a:/d:rx", "/a:/b:/c:/d"] {
            wrong += &format!("{volume} -> {}\n", host(volume).unwrap_err());
        }
        insta::assert_snapshot!(wrong, @"
        data/x:/d -> volumes[0]: `data/x` is not a volume's name; a path begins with `./`: `./data/x`
        実験:/d -> volumes[0]: `実験` is not a volume's name: two or more letters (a-z, A-Z), digits, `_`, `.` or `-`, a letter or digit first
        a:/d -> volumes[0]: `a` is not a volume's name: two or more letters (a-z, A-Z), digits, `_`, `.` or `-`, a letter or digit first
        ~bob:/d -> volumes[0]: `~bob`: only the caller's own home, `~/`, is known
        ./data -> volumes[0]: `./data` is not `host:container`, `host:container:ro`, or a path in the container
        /a:d -> volumes[0]: `d` is not an absolute path
        /a:/d:rx -> volumes[0]: `rx` is no way to mount: write `ro` or `rw`
        /a:/b:/c:/d -> volumes[0]: `/a:/b:/c:/d` is not `host:container`, `host:container:ro`, or a path in the container
        ");
    }

    #[test]
    fn an_empty_command_is_the_images_own() {
        for cmd in [json!(""), json!("  "), json!([]), json!(null)] {
            assert_eq!(read(json!({"name": "some", "cmd": cmd})).unwrap().cmd, None);
        }
        let cmd = |cmd: Value| read(json!({"name": "some", "cmd": cmd})).unwrap().cmd.unwrap();
        assert_eq!(cmd(json!(["train", 0.1, 3.0, true])), ["train", "0.1", "3", "true"]);
        assert_eq!(cmd(json!("  make  x 'y z' ")), ["make", "x", "y z"]);
    }

    #[test]
    fn durations_and_sizes_take_numbers_and_texts() {
        let trial = read(json!({"name": "some", "timeout": 90, "stop_grace": 0.5, "memory": 1e9, "shm_size": "1g"}));
        let trial = trial.unwrap();
        assert_eq!(trial.timeout, Some(Timeout::After(Duration::from_secs(90))));
        assert_eq!(trial.stop_grace, Some(Duration::from_millis(500)));
        assert_eq!((trial.memory, trial.shm_size), (Some(1_000_000_000), Some(1 << 30)));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = read(json!({
            "name": "実験", "imgae": "busybox", "image": "a b", "cmd": "echo 'all", "env": {"A=B": 1, "C": [1]},
            "labels": {"combu.run": "x"}, "networks": "irl", "depends": ["ok", {"trial": "db", "condition": "ready"}],
            "healthcheck": {"test": []}, "cpus": 0, "memory": "lots", "gpus": 1.5, "timeout": "soon",
            "retries": -1, "params": [1], "priority": 1e10, "pids_limit": 0, "user": true, "service": "yes",
            "ulimits": [{"name": "core", "soft": 2, "hard": 1}], "tmpfs": "run", "extra_hosts": ["registry"],
            "hostname": " ",
        }))
        .unwrap_err();
        insta::assert_snapshot!(wrong, @r#"
        unknown key `imgae`; did you mean `image`?
        name: `実験` cannot be a trial's name: `実` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule)
        env["A=B"]: a variable's name is not empty and has no `=`
        env.C: expected a string, a number, true or false, found a list
        image: `a b` is no image: it has a blank
        cmd: the ' at character 6 is never closed: 'all; or write a list
        user: expected a string, found true
        hostname: an empty string
        labels["combu.run"]: labels that begin with `combu.` are combu's own
        networks: expected a list of networks, found the string "irl"; write ["irl"]
        depends[1].condition: `ready` is none of `started`, `healthy`, `completed`, `ended`
        service: expected true or false, found the string "yes"
        healthcheck.test: not a test; write a line for the shell, ["CMD", word, ..] or ["CMD-SHELL", line]
        cpus: 0 is not a number of CPUs; write a number above zero, such as 2 or 0.5
        memory: `lots` is not a size: write `512m`, `2g`, `64MiB` or bytes
        gpus: 1.5 is not a whole number
        pids_limit: a limit of zero lets nothing run
        timeout: `soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
        retries: -1 is too small or too large: at least 0
        params: expected an object of parameters, found a list
        and 4 more
        "#);
    }

    /// The paths of all texts of a value, as JSON pointers.
    fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(at.to_owned()),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(place, value)| texts(value, &format!("{at}/{place}"), found));
            }
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                texts(value, &format!("{at}/{key}"), found);
            }),
            _ => {}
        }
    }

    #[test]
    fn no_text_that_a_program_or_an_engine_is_given_holds_a_nul_byte() {
        let full = Value::Object(full().to_json());
        let mut paths = Vec::new();
        texts(&full, "", &mut paths);
        assert!(paths.len() > 30, "{paths:?}");
        for path in paths.iter().filter(|path| !path.starts_with("/params")) {
            let mut broken = full.clone();
            let text = broken.pointer_mut(path).unwrap();
            *text = Value::String(format!("{}\0x", text.as_str().unwrap()));
            assert!(read(broken).is_err(), "{path}");
        }
    }

    #[test]
    fn a_trial_needs_a_name_and_is_an_object() {
        insta::assert_snapshot!(read(json!({"image": "busybox"})).unwrap_err(), @"`name` is missing");
        insta::assert_snapshot!(read(json!({"name": null, "iamge": 1})).unwrap_err(), @"
        unknown key `iamge`; did you mean `image`?
        `name` is missing
        ");
        insta::assert_snapshot!(read(json!("busybox")).unwrap_err(), @r#"expected a trial (an object), found the string "busybox""#);
        insta::assert_snapshot!(read(json!({"name": ""})).unwrap_err(), @"name: `` cannot be a trial's name: a name needs at least two characters");
        insta::assert_snapshot!(read(json!({"name": 7})).unwrap_err(), @"name: expected a string, found the number 7");
    }
}
