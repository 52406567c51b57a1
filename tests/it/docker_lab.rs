//! A lab with a Docker daemon: specs whose names are this test's own, and a look at what is on the daemon.

use std::collections::{BTreeMap, HashMap};

use bollard::container::LogOutput;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder, LogsOptionsBuilder,
};
use futures_util::StreamExt;

use crate::daemon::{Daemon, IMAGE, address, apart, daemon};
use crate::harness::{Lab, Live, Said};

/// A lab whose combu finds the daemon.
pub(crate) struct DockerLab {
    pub(crate) lab: Lab,
    pub(crate) daemon: Daemon,
}

/// A lab with that `spec.jsonnet`, where a daemon answers. In the spec `@` stands for the beginning of this test's own
/// names, and `IMAGE` for the test image.
pub(crate) fn docker_lab(spec: &str) -> Option<DockerLab> {
    let daemon = daemon()?;
    let mut lab = Lab::new();
    lab.set("DOCKER_HOST", address(&daemon.engine));
    let lab = DockerLab { lab, daemon };
    lab.spec(spec);
    Some(lab)
}

impl DockerLab {
    /// Writes the spec anew.
    pub(crate) fn spec(&self, spec: &str) {
        self.lab.write("spec.jsonnet", &self.own(spec));
    }

    /// The text with this test's own names.
    pub(crate) fn own(&self, text: &str) -> String {
        text.replace('@', &self.daemon.name("")).replace("IMAGE", IMAGE)
    }

    pub(crate) fn run(&self, options: &[&str]) -> Said {
        self.lab.combu(&[&["-f", "spec.jsonnet", "run"][..], options].concat())
    }

    pub(crate) fn kill(&self) -> Said {
        self.lab.combu(&["-f", "spec.jsonnet", "kill", "--grace", "0s"])
    }

    /// Starts the spec and waits until that trial runs.
    pub(crate) fn start_until(&self, trial: &str) -> Live {
        let mut live = self.lab.start(&["-f", "spec.jsonnet", "run", "--progress", "json"]);
        live.event("attempt-started", &self.own(trial));
        live
    }

    /// This test's containers and what they are doing.
    pub(crate) fn containers(&self) -> BTreeMap<String, String> {
        let prefix = self.daemon.name("");
        let named = HashMap::from([("name", vec![prefix.clone()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&named).build();
        let found = apart(async { self.daemon.api.list_containers(Some(options)).await.unwrap() });
        let one = |container: bollard::models::ContainerSummary| {
            let name = container.names.unwrap()[0].trim_start_matches('/').replacen(&prefix, "", 1);
            (name, container.state.unwrap().to_string())
        };
        found.into_iter().map(one).collect()
    }

    /// This test's networks.
    pub(crate) fn networks(&self) -> Vec<String> {
        let prefix = self.daemon.name("");
        let named = HashMap::from([("name", vec![prefix.clone()])]);
        let options = ListNetworksOptionsBuilder::new().filters(&named).build();
        let found = apart(async { self.daemon.api.list_networks(Some(options)).await.unwrap() });
        let mut names: Vec<String> =
            found.into_iter().map(|network| network.name.unwrap().replacen(&prefix, "", 1)).collect();
        names.sort();
        names
    }

    /// Fails unless nothing of this test is on the daemon.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert_eq!((self.containers(), self.networks()), (BTreeMap::new(), Vec::new()));
    }

    pub(crate) fn inspect(&self, name: &str) -> ContainerInspectResponse {
        let name = self.own(name);
        apart(async { self.daemon.api.inspect_container(&name, None::<InspectContainerOptions>).await.unwrap() })
    }

    /// What `docker logs` says of a container.
    pub(crate) fn docker_logs(&self, name: &str) -> String {
        let name = self.own(name);
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
        apart(async {
            let parts: Vec<LogOutput> =
                self.daemon.api.logs(&name, Some(options)).map(|part| part.unwrap()).collect().await;
            parts.iter().map(ToString::to_string).collect()
        })
    }
}
