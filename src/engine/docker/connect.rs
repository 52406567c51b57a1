//! Connections to the daemon: `DOCKER_HOST`, contexts, TLS, ssh, the usual sockets. Asks the daemon only who
//! it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bollard::{API_DEFAULT_VERSION, Docker as Api};
use jiff::{SignedDuration, Timestamp};
use rustix::process::getuid;
use serde::Deserialize;

use crate::engine::docker::call;
use crate::engine::docker::tunnel::Tunnel;
use crate::engine::error::EngineError;
use crate::model::capability::{Capabilities, Daemon};
use crate::model::name::EngineName;

/// Longest the daemon may take to begin an answer, in seconds: a start on a crowded host takes tens of them.
const TIMEOUT: u64 = 180;

/// Longest a daemon may take to say who it is, in seconds, before it is said that it does not answer.
const FIRST_TIMEOUT: u64 = 15;

/// Reads a variable of the environment; an empty one counts as absent, as in the Docker CLI.
pub(super) type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// An address where a daemon may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `unix:///var/run/docker.sock`, `tcp://host:2375`, `ssh://user@host`.
    host: String,
    /// Folder of `ca.pem`, `cert.pem` and `key.pem`.
    certificates: Option<PathBuf>,
}

/// A daemon that answered.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) api: Api,
    pub(super) address: String,
    /// True for Podman, which speaks Docker's language.
    pub(super) is_podman: bool,
    /// Longest time it may take to begin an answer.
    pub(super) within: Duration,
    /// How far the daemon's clock was ahead of ours when it was asked.
    ahead: SignedDuration,
    /// The way there, where ssh is it.
    tunnel: Option<Tunnel>,
}

impl Connection {
    /// The meaning of a call's error; `action` is a verb and its object.
    pub(super) fn failure(&self, action: impl Into<String>, error: bollard::errors::Error) -> EngineError {
        meaning(&self.address, self.tunnel.as_ref(), action, error)
    }

    /// The time on the daemon's clock.
    pub(super) fn now(&self) -> SystemTime {
        Timestamp::now().saturating_add(self.ahead).map_or_else(|_| SystemTime::now(), SystemTime::from)
    }

    /// True when the daemon sees this machine's files.
    pub(super) fn is_here(&self) -> bool {
        self.address.starts_with("unix://")
    }

    /// A client of the daemon that waits longer than usual for answers.
    pub(super) fn patient(&self, extra: Duration) -> Api {
        self.api.clone().with_timeout(self.within.saturating_add(extra))
    }

    /// A connection to the daemon that waits so long for answers.
    pub(super) fn answering_within(self, within: Duration) -> Self {
        Self { api: self.api.with_timeout(within), within, ..self }
    }
}

/// Connects to the daemon that the environment names.
pub(super) async fn connect(env: Env<'_>) -> Result<(Connection, Capabilities), EngineError> {
    let mut first_error = None;
    for address in addresses(env)? {
        match open(&address).await {
            Ok(open) => return Ok(open),
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    Err(first_error.expect("there is always an address to try"))
}

/// The meaning of a call's error, at whichever end of a tunnel the trouble is.
fn meaning(
    address: &str,
    tunnel: Option<&Tunnel>,
    action: impl Into<String>,
    error: bollard::errors::Error,
) -> EngineError {
    match tunnel {
        Some(tunnel) if call::is_unreached(&error) => tunnel.failure(false),
        Some(tunnel) if call::is_cut_off(&error) => tunnel.failure(true),
        _ => call::failure(address, action, error),
    }
}

async fn open(address: &Address) -> Result<(Connection, Capabilities), EngineError> {
    let host = address.host.as_str();
    let tunnel = if host.starts_with("ssh://") { Some(Tunnel::open(host).await?) } else { None };
    let fail = |error| match meaning(host, tunnel.as_ref(), "ask the daemon who it is", error) {
        unreachable @ EngineError::Unreachable { .. } => unreachable,
        other => call::unreachable(host, other.chain()),
    };
    let socket = tunnel.as_ref().map(|tunnel| format!("unix://{}", tunnel.socket().display()));
    let api = match (socket.as_deref().unwrap_or(host).split_once("://"), &address.certificates) {
        (Some(("unix", path)), _) => Api::connect_with_unix(path, TIMEOUT, API_DEFAULT_VERSION),
        (Some(("tcp" | "https", _)), Some(folder)) => {
            let file = |name| folder.join(name);
            let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
            Api::connect_with_ssl(host.trim_end_matches('/'), &key, &cert, &ca, TIMEOUT, API_DEFAULT_VERSION)
        }
        (Some(("tcp" | "http", _)), None) => {
            Api::connect_with_http(host.trim_end_matches('/'), TIMEOUT, API_DEFAULT_VERSION)
        }
        _ => {
            return Err(call::unreachable(
                host,
                "an address starts with unix://, ssh://, tcp:// or http://".to_owned(),
            ));
        }
    };
    let api = api.map_err(fail)?.with_timeout(Duration::from_secs(FIRST_TIMEOUT));
    let api = call::steady(|| api.clone().negotiate_version()).await.map_err(fail)?;
    let version = call::steady(|| api.version()).await.map_err(fail)?;
    let info = call::steady(|| api.info()).await.map_err(fail)?;
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|part| part.name.starts_with("Podman"));
    let kind = if is_podman { "Podman" } else { "Docker" };
    let number = info.server_version.or(version.version).unwrap_or_default();
    let number = number.split_once('+').map_or(number.as_str(), |(number, _build)| number);
    let description = format!("{kind} {number} at {host}");
    let theirs = info.system_time.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    let theirs = theirs.filter(|_| !host.starts_with("unix://"));
    let ahead = theirs.map(|theirs| theirs.duration_since(Timestamp::now())).unwrap_or_default();
    let data = info.docker_root_dir.unwrap_or_default();
    let daemon = info.id.filter(|id| !id.is_empty()).map(|id| Daemon { id, data, address: host.to_owned() });
    let capabilities = Capabilities { daemon, ..capabilities(description, host, info.ncpu, info.mem_total) };
    let (within, address) = (Duration::from_secs(TIMEOUT), host.to_owned());
    Ok((Connection { api: api.with_timeout(within), address, is_podman, within, ahead, tunnel }, capabilities))
}

fn capabilities(description: String, host: &str, cpus: Option<i64>, memory: Option<i64>) -> Capabilities {
    let cpus = usize::try_from(cpus.unwrap_or(1)).unwrap_or(1).max(1);
    Capabilities {
        here: host.starts_with("unix://"),
        gpus: Vec::new(),
        engine: EngineName::Docker,
        daemon: None,
        description,
        cpus: cpus as f64,
        memory: memory.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        // Measured: with 16 on two cores a daemon starts twice as many as with 4, and with 32 no more than that.
        starts: (8 * cpus).clamp(8, 32),
        images: true,
        containers: true,
    }
}

/// The folder of the Docker CLI's configuration.
pub(super) fn config_folder(env: Env<'_>) -> Option<PathBuf> {
    env("DOCKER_CONFIG").map(PathBuf::from).or_else(|| env("HOME").map(|home| Path::new(&home).join(".docker")))
}

/// Addresses to try, the preferred one first; the environment's wish leaves no choice.
fn addresses(env: Env<'_>) -> Result<Vec<Address>, EngineError> {
    let config = config_folder(env);
    if let Some(host) = env("DOCKER_HOST") {
        let verify = env("DOCKER_TLS_VERIFY").is_some() || host.starts_with("https://");
        let certificates = verify.then(|| env("DOCKER_CERT_PATH").map(PathBuf::from).or(config)).flatten();
        return Ok(vec![Address { host, certificates }]);
    }
    let context = env("DOCKER_CONTEXT").or_else(|| current_context(config.as_deref()?));
    match context.filter(|name| name != "default") {
        Some(name) => Ok(vec![context_address(config.as_deref(), &name)?]),
        None => Ok(sockets(env)),
    }
}

fn sockets(env: Env<'_>) -> Vec<Address> {
    let runtime = env("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{}", getuid().as_raw()));
    let mut paths = vec![PathBuf::from("/var/run/docker.sock")];
    let others = [format!("{runtime}/docker.sock"), format!("{runtime}/podman/podman.sock")];
    let others = others.into_iter().chain(["/run/podman/podman.sock".to_owned()]).map(PathBuf::from);
    paths.extend(others.filter(|path| path.exists()));
    paths.into_iter().map(|path| Address { host: format!("unix://{}", path.display()), certificates: None }).collect()
}

pub(super) fn current_context(config: &Path) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ContextConfig {
        current_context: Option<String>,
    }
    let text = std::fs::read(config.join("config.json")).ok()?;
    serde_json::from_slice::<ContextConfig>(&text).ok()?.current_context.filter(|name| !name.is_empty())
}

/// The address of a context of the Docker CLI, looked up in its store by name.
pub(super) fn context_address(config: Option<&Path>, name: &str) -> Result<Address, EngineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Meta {
        name: String,
        #[serde(default)]
        endpoints: std::collections::HashMap<String, Endpoint>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Endpoint {
        host: Option<String>,
    }
    let contexts = config.unwrap_or(Path::new("")).join("contexts");
    let folders = std::fs::read_dir(contexts.join("meta")).into_iter().flatten().flatten();
    for folder in folders {
        // A file that cannot be read is another context's trouble; ours is then not found, which is said below.
        let Ok(text) = std::fs::read(folder.path().join("meta.json")) else { continue };
        let Ok(mut meta) = serde_json::from_slice::<Meta>(&text) else { continue };
        if meta.name == name
            && let Some(host) = meta.endpoints.remove("docker").and_then(|endpoint| endpoint.host)
        {
            let certificates = contexts.join("tls").join(folder.file_name()).join("docker");
            let certificates = certificates.join("ca.pem").exists().then_some(certificates);
            return Ok(Address { host, certificates });
        }
    }
    let advice = format!("no such context in {} (`docker context ls` lists them)", contexts.display());
    Err(call::unreachable(&format!("the Docker context `{name}`"), advice))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Address, addresses, connect};

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    fn context(config: &Path, folder: &str, name: &str, host: &str) {
        let folder = config.join("contexts/meta").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let meta = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
        std::fs::write(folder.join("meta.json"), meta).unwrap();
    }

    #[test]
    fn docker_host_wins_over_contexts_and_takes_its_certificates_along() {
        let host = "tcp://box:2376";
        let wish = [("DOCKER_HOST", host), ("DOCKER_CONTEXT", "lab"), ("DOCKER_TLS_VERIFY", "1"), ("HOME", "/h")];
        let found = addresses(&env(&wish)).unwrap();
        assert_eq!(found, [Address { host: host.to_owned(), certificates: Some("/h/.docker".into()) }]);
        let found = addresses(&env(&[("DOCKER_HOST", host), ("HOME", "/h")])).unwrap();
        assert_eq!(found[0].certificates, None);
    }

    #[test]
    fn a_context_is_found_by_its_name() {
        let config = tempfile::tempdir().unwrap();
        context(config.path(), "aa", "other", "unix:///other.sock");
        context(config.path(), "bb", "lab", "tcp://lab:2376");
        let certificates = config.path().join("contexts/tls/bb/docker");
        std::fs::create_dir_all(&certificates).unwrap();
        std::fs::write(certificates.join("ca.pem"), "").unwrap();
        std::fs::write(config.path().join("config.json"), r#"{"currentContext": "other", "auths": {}}"#).unwrap();
        let folder = config.path().to_str().unwrap();

        let current = addresses(&env(&[("DOCKER_CONFIG", folder)])).unwrap();
        assert_eq!(current, [Address { host: "unix:///other.sock".to_owned(), certificates: None }]);
        let named = addresses(&env(&[("DOCKER_CONFIG", folder), ("DOCKER_CONTEXT", "lab")])).unwrap();
        assert_eq!(named, [Address { host: "tcp://lab:2376".to_owned(), certificates: Some(certificates) }]);
        let default = addresses(&env(&[("DOCKER_CONFIG", folder), ("DOCKER_CONTEXT", "default")])).unwrap();
        assert_eq!(default[0].host, "unix:///var/run/docker.sock");

        let missing = addresses(&env(&[("DOCKER_CONFIG", folder), ("DOCKER_CONTEXT", "nope")])).unwrap_err().chain();
        assert!(
            missing.starts_with("no docker engine answers at the Docker context `nope`: no such context"),
            "{missing}"
        );
    }

    #[test]
    fn a_rootless_socket_comes_after_the_usual_one() {
        let runtime = tempfile::tempdir().unwrap();
        std::fs::write(runtime.path().join("docker.sock"), "").unwrap();
        let found = addresses(&env(&[("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap())])).unwrap();
        assert_eq!(found[0].host, "unix:///var/run/docker.sock");
        assert_eq!(found[1].host, format!("unix://{}/docker.sock", runtime.path().display()));
    }

    #[tokio::test]
    async fn an_address_nobody_can_reach_says_why() {
        let chain = async |host| connect(&env(&[("DOCKER_HOST", host)])).await.unwrap_err().chain();
        let ssh = chain("ssh://-oProxyCommand=x").await;
        assert!(ssh.contains("ssh would take it for an option"), "{ssh}");
        let password = chain("ssh://me:secret@box").await;
        assert!(
            !password.contains("secret") && password.contains("at ssh://...@box: there is a password"),
            "{password}"
        );
        let nothing = chain("unix:///nonexistent/docker.sock").await;
        assert!(nothing.contains("is the daemon running?"), "{nothing}");
        let odd = chain("box:2375").await;
        assert!(odd.contains("an address starts with"), "{odd}");
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let refused = chain(&format!("unix://{}", dead.display())).await;
        assert!(refused.contains("Connection refused"), "{refused}");
    }
}
