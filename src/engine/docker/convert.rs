//! Launch -> the body of Docker's create call. Pure.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointSettings, HealthConfig, HostConfig, Mount, MountType,
    MountVolumeOptions, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits,
};

use crate::engine::launch::Launch;
use crate::engine::records::{FILE, INSIDE, PARAMS, PARAMS_VARIABLE, VARIABLE, shared};
use crate::model::label;
use crate::model::trial::settled::Settled;
use crate::model::trial::{Healthcheck, Trial, Volume};

/// Networks that every daemon has; a container cannot have further names there.
const PREDEFINED: [&str; 4] = ["bridge", "host", "none", "default"];

/// The create body of a launch; `caller` is the `uid:gid` that the user `host` stands for.
#[expect(clippy::too_many_lines, reason = "a line for each field of a trial")]
pub(super) fn body(launch: &Launch, caller: &str) -> ContainerCreateBody {
    // Without `..`: a new field does not compile before it was thought of here.
    let Settled {
        written,
        engine: _,
        service: _,
        retries: _,
        timeout: _,
        stop_grace,
        pull: _,
        nice,
        memory,
        prefix: _,
    } = &*launch.trial;
    let Trial {
        image,
        cmd,
        entrypoint,
        workdir,
        user,
        hostname,
        networks,
        healthcheck,
        stop_signal,
        // What has a function of its own below.
        env: _,
        pass_env: _,
        env_file: _,
        labels: _,
        ports: _,
        volumes: _,
        cpus: _,
        shm_size: _,
        pids_limit: _,
        init: _,
        ulimits: _,
        tmpfs: _,
        devices: _,
        cap_add: _,
        extra_hosts: _,
        // What was decided, or given to the attempt.
        engine: _,
        service: _,
        memory: _,
        gpus: _,
        pin: _,
        nice: _,
        timeout: _,
        stop_grace: _,
        retries: _,
        pull: _,
        // What runs act on, or other calls.
        name: _,
        depends: _,
        limits: _,
        params: _,
        metrics: _,
        outputs: _,
        priority: _,
        platform: _,
    } = &**written;
    let endpoint = networks.first().and_then(|network| endpoint(written, network));
    ContainerCreateBody {
        image: launch.content.as_ref().or(image.as_ref()).cloned(),
        cmd: cmd.clone(),
        entrypoint: entrypoint.clone(),
        env: some(env(launch)),
        working_dir: workdir.clone(),
        user: user.as_deref().map(|user| if user == "host" { caller.to_owned() } else { user.to_owned() }),
        hostname: hostname.clone(),
        labels: Some(labels(launch)),
        exposed_ports: some(ports(written).into_keys().collect()),
        healthcheck: healthcheck.as_deref().map(health_config),
        stop_signal: stop_signal.clone(),
        stop_timeout: Some(i64::from(whole_seconds(*stop_grace))),
        networking_config: endpoint
            .map(|(name, endpoint)| NetworkingConfig { endpoints_config: Some(HashMap::from([(name, endpoint)])) }),
        host_config: Some(host_config(launch, *memory, *nice)),
        ..Default::default()
    }
}

/// The networks to join between create and start: API 1.41 takes only one at create.
pub(super) fn further_networks(trial: &Trial) -> impl Iterator<Item = (String, EndpointSettings)> {
    trial.networks.iter().skip(1).map(|network| {
        let endpoint = endpoint(trial, network).map(|(_, endpoint)| endpoint);
        (network.clone(), endpoint.unwrap_or_default())
    })
}

/// Labels of what a launch makes beside its container: everything that does not name the trial.
pub(super) fn shared_labels(launch: &Launch) -> HashMap<String, String> {
    [label::RUN, label::EXPERIMENT, label::SPEC, label::VERSION]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), launch.labels.get(key)?.clone())))
        .collect()
}

/// Seconds as Docker takes them, never less than asked for.
pub(super) fn whole_seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs() + u64::from(span.subsec_nanos() > 0)).unwrap_or(i32::MAX)
}

fn host_config(launch: &Launch, memory: Option<u64>, nice: u8) -> HostConfig {
    let trial = &*launch.trial.written;
    let (memory, nice) = (memory.map(signed), Some(nice).filter(|nice| *nice > 0));
    HostConfig {
        network_mode: trial.networks.first().cloned(),
        port_bindings: Some(ports(trial)).filter(|ports| !ports.is_empty()),
        mounts: some(trial.volumes.iter().map(|volume| mount(volume, launch)).chain(metrics_mount(launch)).collect()),
        nano_cpus: trial.cpus.map(|cpus| (cpus * 1e9).round() as i64),
        cpuset_cpus: some(launch.cores.iter().map(u32::to_string).collect::<Vec<_>>()).map(|cores| cores.join(",")),
        cpu_shares: nice.map(cpu_shares),
        blkio_weight: nice.map(disk_weight),
        memory,
        // The same number means no swap: a trial over its limit is killed instead of slowing the machine down.
        memory_swap: memory,
        shm_size: trial.shm_size.map(signed),
        pids_limit: trial.pids_limit,
        init: trial.init,
        ulimits: some(
            trial
                .ulimits
                .iter()
                .map(|limit| ResourcesUlimits {
                    name: Some(limit.name.clone()),
                    soft: Some(limit.soft),
                    hard: Some(limit.hard),
                })
                .collect(),
        ),
        tmpfs: Some(trial.tmpfs.clone().into_iter().collect::<HashMap<_, _>>()).filter(|tmpfs| !tmpfs.is_empty()),
        devices: some(trial.devices.iter().map(|device| device_mapping(device)).collect()),
        device_requests: some(device_requests(&launch.gpus)),
        cap_add: some(trial.cap_add.clone()),
        extra_hosts: some(trial.extra_hosts.clone()),
        ..Default::default()
    }
}

fn env(launch: &Launch) -> Vec<String> {
    let file = metrics_mount(launch).filter(|_| launch.variable(VARIABLE).is_none());
    let file = file.map(|_| format!("{VARIABLE}={INSIDE}/{FILE}"));
    let params = params_file(launch).filter(|_| launch.variable(PARAMS_VARIABLE).is_none());
    let params = params.map(|path| format!("{PARAMS_VARIABLE}={path}"));
    file.into_iter().chain(params).chain(launch.variables().map(|(name, value)| format!("{name}={value}"))).collect()
}

/// Where the container finds its params as a file, if it needs and gets one.
pub(super) fn params_file(launch: &Launch) -> Option<String> {
    launch.params.as_ref().and_then(|_| metrics_mount(launch)).map(|_| format!("{INSIDE}/{PARAMS}"))
}

fn labels(launch: &Launch) -> HashMap<String, String> {
    launch.trial.labels.iter().chain(&launch.labels).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn ports(trial: &Trial) -> PortMap {
    let mut ports = PortMap::new();
    for port in &trial.ports {
        let inside = format!("{}/{}", port.container, port.protocol.as_str());
        let binding = PortBinding { host_ip: port.ip.clone(), host_port: port.host.map(|port| port.to_string()) };
        ports.entry(inside).or_default().get_or_insert_default().push(binding);
    }
    ports
}

/// A mount rather than a bind: Docker refuses one whose source is missing, and would create the other's as root.
fn mount(volume: &Volume, launch: &Launch) -> Mount {
    let bind = volume.path().is_some();
    Mount {
        typ: Some(if bind { MountType::BIND } else { MountType::VOLUME }),
        source: volume.host.clone(),
        target: Some(volume.container.clone()),
        read_only: volume.readonly.then_some(true),
        volume_options: (!bind)
            .then(|| MountVolumeOptions { labels: Some(shared_labels(launch)), ..Default::default() }),
        ..Default::default()
    }
}

/// The folder with the file for metrics, unless the trial has something of its own there.
fn metrics_mount(launch: &Launch) -> Option<Mount> {
    let folder = shared(launch)?.parent()?.to_str()?.to_owned();
    let is_taken = launch.trial.volumes.iter().any(|volume| volume.container.trim_end_matches('/') == INSIDE)
        || launch.trial.tmpfs.keys().any(|path| path.trim_end_matches('/') == INSIDE);
    (!is_taken).then(|| Mount {
        typ: Some(MountType::BIND),
        source: Some(folder),
        target: Some(INSIDE.to_owned()),
        ..Default::default()
    })
}

fn endpoint(trial: &Trial, network: &str) -> Option<(String, EndpointSettings)> {
    (!PREDEFINED.contains(&network) && !network.starts_with("container:")).then(|| {
        let aliases = Some(vec![trial.name.to_string()]);
        (network.to_owned(), EndpointSettings { aliases, ..Default::default() })
    })
}

fn health_config(check: &Healthcheck) -> HealthConfig {
    let nanos = |span: Option<Duration>| span.map(|span| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX));
    HealthConfig {
        test: Some(check.test.clone()),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: check.retries.map(i64::from),
        start_period: nanos(check.start_period),
        start_interval: None,
    }
}

/// Reads `host[:container[:rwm]]`; a second part of only r, w and m is the rights, as in `docker run --device`.
pub(super) fn device_mapping(text: &str) -> DeviceMapping {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let is_rights = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
    let (inside, rights) = match (parts.next(), parts.next()) {
        (Some(rights), None) if is_rights(rights) => (host, rights),
        (inside, rights) => (inside.unwrap_or(host), rights.unwrap_or("rwm")),
    };
    DeviceMapping {
        path_on_host: Some(host.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(rights.to_owned()),
    }
}

/// The request that `docker run` sends for `--gpus '"device=0,1"'` and for `--device nvidia.com/gpu=0`: always explicit ids, since a
/// count gives every container the same first GPUs (moby's `countToDevices`).
fn device_requests(gpus: &[String]) -> Vec<DeviceRequest> {
    let (cdi, plain): (Vec<_>, Vec<_>) = gpus.iter().cloned().partition(|id| is_cdi(id));
    let plain = some(plain).map(|ids| DeviceRequest {
        driver: Some(String::new()),
        count: Some(0),
        device_ids: Some(ids),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        options: Some(HashMap::new()),
    });
    let cdi = some(cdi).map(|ids| DeviceRequest {
        driver: Some("cdi".to_owned()),
        count: Some(0),
        device_ids: Some(ids),
        capabilities: None,
        options: None,
    });
    plain.into_iter().chain(cdi).collect()
}

/// True for a device that is named as the Container Device Interface does: `vendor/class=name`.
pub(super) fn is_cdi(id: &str) -> bool {
    id.split_once('=').is_some_and(|(kind, name)| !name.is_empty() && kind.contains('/'))
}

/// CPU shares, where 1024 are everybody's. Each level is a factor of 1.25, as in the kernel's own weights of processes
/// (`sched_prio_to_weight` in kernel/sched/core.c); the kernel takes no fewer than 2.
fn cpu_shares(nice: u8) -> i64 {
    ((1024.0 / 1.25_f64.powi(i32::from(nice))).round() as i64).max(2)
}

/// The weight in the disk's queue, by the same factor, from 10 to 19 and so below what containers have that say nothing.
///
/// Their weight is 500 in the old CFQ scheduler only: it is 100 in BFQ, and 100 of cgroup v2's `io.weight`, for which
/// runc stretches Docker's 10 to 1000 over 1 to 10000 (`ConvertBlkIOToIOWeightValue`), so that 20 is above 100 already.
fn disk_weight(nice: u8) -> u16 {
    ((100.0 / 1.25_f64.powi(i32::from(nice))).round() as u16).clamp(10, 19)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{body, cpu_shares, device_mapping, disk_weight, further_networks, is_cdi, whole_seconds};
    use crate::engine::launch::Launch;
    use crate::model::label;
    use crate::model::name::Name;
    use crate::model::trial::{Healthcheck, Port, Protocol, Trial, Ulimit, Volume};

    fn launch(trial: Trial) -> Launch {
        let labels = [(label::RUN, "r1"), (label::TRIAL, "solver"), (label::SPEC, "/x/a.jsonnet")];
        Launch {
            run: "r1".into(),
            trial: Arc::new(trial.into()),
            attempt: 1,
            content: None,
            cores: Vec::new(),
            gpus: Vec::new(),
            folder: None,
            env: vec![("COMBU".to_owned(), "1".to_owned()), ("COMBU_SEED".to_owned(), "7".to_owned())],
            passed: vec![("TOKEN".to_owned(), "s3cret".into()), ("COMBU_SEED".to_owned(), "8".into())],
            params: None,
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }

    /// The body, one line per field, in order: bollard's maps are hashed.
    fn lines(trial: Trial) -> String {
        let serde_json::Value::Object(mut body) = serde_json::to_value(body(&launch(trial), "1000:100")).unwrap()
        else {
            panic!("a body is an object");
        };
        let host = body.remove("HostConfig").unwrap();
        let host = host.as_object().unwrap().iter().map(|(key, value)| (format!("HostConfig.{key}"), value));
        let fields = body.iter().map(|(key, value)| (key.clone(), value)).chain(host);
        let mut lines: Vec<_> = fields.map(|(key, value)| format!("{key}: {}", sorted(value))).collect();
        lines.sort();
        lines.join("\n")
    }

    fn sorted(value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut pairs: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs.into_iter().collect()
            }
            serde_json::Value::Array(list) => list.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn trial_with_every_field() -> Trial {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let port = |ip: Option<&str>, host, protocol| Port { ip: ip.map(str::to_owned), host, container: 80, protocol };
        let volume =
            |host: &str, readonly| Volume { host: Some(host.to_owned()), container: "/data".to_owned(), readonly };
        let mut trial = Trial::new(Name::parse("solver").unwrap());
        trial.image = Some("lab/solver:2".to_owned());
        trial.cmd = Some(words("solve fast"));
        trial.entrypoint = Some(words("/entry -v"));
        trial.env = pairs(&[("COMBU_SEED", "mine"), ("MODE", "a=b")]);
        trial.workdir = Some("/work".to_owned());
        trial.user = Some("host".to_owned());
        trial.hostname = Some("box".to_owned());
        trial.labels = pairs(&[("lab", "one")]);
        trial.ports = vec![
            port(None, Some(8080), Protocol::Tcp),
            port(Some("127.0.0.1"), Some(8081), Protocol::Tcp),
            port(None, None, Protocol::Udp),
        ];
        trial.volumes = vec![volume("/home/me/data", true), volume("cache", false)];
        trial.networks = words("irl other");
        trial.healthcheck = Some(
            Healthcheck {
                test: words("CMD true"),
                interval: Some(Duration::from_millis(500)),
                timeout: None,
                retries: Some(4),
                start_period: Some(Duration::from_secs(2)),
            }
            .into(),
        );
        trial.cpus = Some(1.5);
        trial.memory = Some(64 << 20);
        trial.shm_size = Some(1 << 20);
        trial.pids_limit = Some(50);
        trial.stop_signal = Some("SIGINT".to_owned());
        trial.stop_grace = Some(Duration::from_millis(2500));
        trial.init = Some(true);
        trial.platform = Some("linux/amd64".to_owned());
        trial.ulimits = vec![Ulimit { name: "nofile".to_owned(), soft: 10, hard: 20 }];
        trial.tmpfs = pairs(&[("/scratch", "size=1m")]);
        trial.devices = words("/dev/fuse /dev/null:/dev/zero:r");
        trial.cap_add = words("SYS_PTRACE");
        trial.extra_hosts = words("db:10.0.0.1");
        trial
    }

    #[test]
    fn a_bare_trial_leaves_everything_else_to_docker() {
        let mut trial = Trial::new(Name::parse("solver").unwrap());
        trial.image = Some("busybox".to_owned());
        insta::assert_snapshot!(lines(trial), @r#"
        Env: ["COMBU=1","TOKEN=s3cret","COMBU_SEED=8"]
        Image: "busybox"
        Labels: {"combu.run":"r1","combu.spec":"/x/a.jsonnet","combu.trial":"solver"}
        StopTimeout: 10
        "#);
    }

    #[test]
    fn every_field_reaches_docker() {
        let trial = trial_with_every_field();
        let further: Vec<_> = further_networks(&trial).collect();
        assert_eq!(further.len(), 1);
        assert_eq!((further[0].0.as_str(), further[0].1.aliases.clone()), ("other", Some(words("solver"))));
        insta::assert_snapshot!(lines(trial), @r#"
        Cmd: ["solve","fast"]
        Entrypoint: ["/entry","-v"]
        Env: ["COMBU=1","TOKEN=s3cret","COMBU_SEED=mine","MODE=a=b"]
        ExposedPorts: {"80/tcp":{},"80/udp":{}}
        Healthcheck: {"Interval":500000000,"Retries":4,"StartPeriod":2000000000,"Test":["CMD","true"]}
        HostConfig.CapAdd: ["SYS_PTRACE"]
        HostConfig.Devices: [{"CgroupPermissions":"rwm","PathInContainer":"/dev/fuse","PathOnHost":"/dev/fuse"},{"CgroupPermissions":"r","PathInContainer":"/dev/zero","PathOnHost":"/dev/null"}]
        HostConfig.ExtraHosts: ["db:10.0.0.1"]
        HostConfig.Init: true
        HostConfig.Memory: 67108864
        HostConfig.MemorySwap: 67108864
        HostConfig.Mounts: [{"ReadOnly":true,"Source":"/home/me/data","Target":"/data","Type":"bind"},{"Source":"cache","Target":"/data","Type":"volume","VolumeOptions":{"Labels":{"combu.run":"r1","combu.spec":"/x/a.jsonnet"}}}]
        HostConfig.NanoCpus: 1500000000
        HostConfig.NetworkMode: "irl"
        HostConfig.PidsLimit: 50
        HostConfig.PortBindings: {"80/tcp":[{"HostPort":"8080"},{"HostIp":"127.0.0.1","HostPort":"8081"}],"80/udp":[{}]}
        HostConfig.ShmSize: 1048576
        HostConfig.Tmpfs: {"/scratch":"size=1m"}
        HostConfig.Ulimits: [{"Hard":20,"Name":"nofile","Soft":10}]
        Hostname: "box"
        Image: "lab/solver:2"
        Labels: {"combu.run":"r1","combu.spec":"/x/a.jsonnet","combu.trial":"solver","lab":"one"}
        NetworkingConfig: {"EndpointsConfig":{"irl":{"Aliases":["solver"]}}}
        StopSignal: "SIGINT"
        StopTimeout: 3
        User: "1000:100"
        WorkingDir: "/work"
        "#);
    }

    #[test]
    fn a_network_of_every_daemon_gets_no_alias() {
        let mut trial = Trial::new(Name::parse("solver").unwrap());
        trial.networks = vec!["host".to_owned()];
        let body = body(&launch(trial), "0:0");
        assert!(body.networking_config.is_none());
        assert_eq!(body.host_config.unwrap().network_mode.as_deref(), Some("host"));
    }

    #[test]
    fn a_device_is_read_as_docker_run_does() {
        let seen = |text| {
            let device = device_mapping(text);
            [device.path_on_host, device.path_in_container, device.cgroup_permissions].map(Option::unwrap).join(" ")
        };
        assert_eq!(seen("/dev/a"), "/dev/a /dev/a rwm");
        assert_eq!(seen("/dev/a:rw"), "/dev/a /dev/a rw");
        assert_eq!(seen("/dev/a:/dev/b"), "/dev/a /dev/b rwm");
        assert_eq!(seen("/dev/a:/dev/b:r"), "/dev/a /dev/b r");
    }

    #[test]
    fn cores_gpus_and_niceness_reach_docker() {
        let mut trial = Trial::new(Name::parse("solver").unwrap());
        trial.nice = Some(10);
        let mut launch = launch(trial.clone());
        (launch.cores, launch.gpus) = (vec![0, 3], words("1 nvidia.com/gpu=0"));
        let host = body(&launch, "0:0").host_config.unwrap();
        assert_eq!(
            (host.cpuset_cpus.as_deref(), host.cpu_shares, host.blkio_weight),
            (Some("0,3"), Some(110), Some(11))
        );
        assert_eq!(host.device_requests.unwrap().len(), 2);
        trial.nice = Some(0);
        let host = body(&super::tests::launch(trial), "0:0").host_config.unwrap();
        assert_eq!((host.cpuset_cpus, host.cpu_shares, host.blkio_weight), (None, None, None));
    }

    #[test]
    fn each_level_of_niceness_is_the_kernels_and_never_raises_a_weight() {
        // The kernel's own table for 1, 5, 10, 15 and 19.
        assert_eq!([1, 5, 10, 15, 19].map(cpu_shares), [819, 336, 110, 36, 15]);
        assert_eq!((cpu_shares(40), cpu_shares(255)), (2, 2));
        assert_eq!([1, 5, 8, 9, 10, 19, 255].map(disk_weight), [19, 19, 17, 13, 11, 10, 10]);
        // What runc makes of it for `io.weight`, where others have 100.
        assert!((1..=19).map(|nice| 1 + (u64::from(disk_weight(nice)) - 10) * 9999 / 990).all(|weight| weight < 100));
    }

    #[test]
    fn a_cdi_name_is_told_from_an_index_and_a_uuid() {
        let ids = ["nvidia.com/gpu=0", "amd.com/gpu=all", "0", "GPU-1a", "a=b", "a/b=", "/dev/nvidia0"];
        assert_eq!(ids.map(is_cdi), [true, true, false, false, false, false, false]);
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
        assert_eq!(whole_seconds(Duration::from_secs(u64::MAX)), i32::MAX);
    }
}
