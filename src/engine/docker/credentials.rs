//! Registry credentials, as the Docker CLI keeps them: in its config file or behind a credential helper. Keeps none.
//!
//! The crate `docker_credential` (1.4) does not fit: it blocks while a helper runs, prefers `auths` to the store, takes no
//! pair of `username` and `password` and no registry token, and its errors name neither the file nor the cause.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Docker Hub's name in the config file.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CredentialConfig {
    auths: HashMap<String, Auth>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "lowercase")]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Credentials for a registry (`docker.io`, `host:5000`), if the Docker config in `folder` has any.
///
/// # Errors
/// A sentence about a config or helper that cannot be used. Public images need neither.
pub(super) async fn find(folder: Option<&Path>, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let Some(path) = folder.map(|folder| folder.join("config.json")) else { return Ok(None) };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
    };
    let config: CredentialConfig = serde_json::from_slice(&text)
        .map_err(|error| format!("`{}` is not a Docker config: {error}", path.display()))?;
    let server = if registry == "docker.io" { HUB } else { registry };
    let helper = [server, registry].into_iter().find_map(|name| config.cred_helpers.get(name));
    if let Some(helper) = helper.or(config.creds_store.as_ref().filter(|store| !store.is_empty()))
        && let Some(found) = ask(helper, server).await?
    {
        return Ok(Some(found));
    }
    let exact = config.auths.get(server);
    let auth = exact.or_else(|| config.auths.iter().find(|(key, _)| host(key) == registry).map(|(_, auth)| auth));
    auth.map(|auth| stored(auth, server)).transpose().map(Option::flatten)
}

/// The host of a config key: `https://host:5000/v2/` and `host:5000` are the same registry.
fn host(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    bare.split('/').next().unwrap_or(bare)
}

fn stored(auth: &Auth, server: &str) -> Result<Option<DockerCredentials>, String> {
    let mut found = DockerCredentials {
        username: auth.username.clone(),
        password: auth.password.clone(),
        identitytoken: auth.identitytoken.clone(),
        registrytoken: auth.registrytoken.clone(),
        serveraddress: Some(server.to_owned()),
        ..Default::default()
    };
    if let Some(encoded) = auth.auth.as_deref().filter(|encoded| !encoded.is_empty()) {
        let bytes = BASE64_STANDARD.decode(encoded).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let (username, password) = text
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .ok_or_else(|| format!("the `auth` of `{server}` in the Docker config cannot be read"))?;
        found.username = Some(username.to_owned());
        found.password = Some(password.trim_end_matches('\0').to_owned());
    }
    let known = found.username.is_some() || found.identitytoken.is_some() || found.registrytoken.is_some();
    Ok(known.then_some(found))
}

/// Asks a helper: it reads the server from its input and answers with JSON.
async fn ask(helper: &str, server: &str) -> Result<Option<DockerCredentials>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct HelperAnswer {
        username: String,
        secret: String,
    }
    let program = format!("docker-credential-{helper}");
    let unusable = |error: &dyn std::fmt::Display| format!("the credential helper `{program}` failed: {error}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| unusable(&error))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that ends without reading says why by its exit.
        let _ended = input.write_all(server.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|error| unusable(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.trim();
        return if said.contains("credentials not found") { Ok(None) } else { Err(unusable(&said)) };
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout).map_err(|error| unusable(&error))?;
    let serveraddress = Some(server.to_owned());
    Ok(Some(if answer.username == "<token>" {
        DockerCredentials { identitytoken: Some(answer.secret), serveraddress, ..Default::default() }
    } else {
        let (username, password) = (Some(answer.username), Some(answer.secret));
        DockerCredentials { username, password, serveraddress, ..Default::default() }
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;

    async fn seen(folder: &Path, registry: &str) -> String {
        match find(Some(folder), registry).await {
            Ok(Some(found)) => [found.username, found.password, found.identitytoken, found.serveraddress]
                .map(|part| part.unwrap_or_else(|| "-".to_owned()))
                .join(" "),
            Ok(None) => "none".to_owned(),
            Err(problem) => problem.replace(&folder.display().to_string(), "FOLDER"),
        }
    }

    #[tokio::test]
    async fn credentials_are_found_under_every_way_to_write_a_registry() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6c2VjOnJldA=="},
            "https://box:5000/v2/": {"username": "a", "password": "b"},
            "token.example": {"auth": "", "identitytoken": "t"},
            "empty.example": {},
            "bad.example": {"auth": "?"}
        }}"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let folder = folder.path();
        assert_eq!(seen(folder, "docker.io").await, "me sec:ret - https://index.docker.io/v1/");
        assert_eq!(seen(folder, "box:5000").await, "a b - box:5000");
        assert_eq!(seen(folder, "token.example").await, "- - t token.example");
        assert_eq!(seen(folder, "empty.example").await, "none");
        assert_eq!(seen(folder, "other.example").await, "none");
        assert_eq!(
            seen(folder, "bad.example").await,
            "the `auth` of `bad.example` in the Docker config cannot be read"
        );
        assert!(find(None, "docker.io").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_missing_helper_or_a_broken_config_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.json");
        std::fs::write(&config, r#"{"credHelpers": {"box:5000": "combu-no-such-helper"}}"#).unwrap();
        let missing = seen(folder.path(), "box:5000").await;
        assert!(
            missing.starts_with("the credential helper `docker-credential-combu-no-such-helper` failed: "),
            "{missing}"
        );
        assert_eq!(seen(folder.path(), "other.example").await, "none");
        std::fs::write(&config, "{").unwrap();
        let broken = seen(folder.path(), "box:5000").await;
        assert!(broken.starts_with("`FOLDER/config.json` is not a Docker config: "), "{broken}");
    }
}
