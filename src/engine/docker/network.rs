//! Networks: made when missing, joined whoever made them, removed only when they carry our labels and nobody uses them.

use std::collections::HashMap;

use bollard::errors::Error;
use bollard::models::{Network, NetworkCreateRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions, ListNetworksOptionsBuilder};

use crate::engine::docker::call::{message, status, steady};
use crate::engine::docker::connect::Connection;
use crate::engine::docker::convert;
use crate::engine::docker::once::Once;
use crate::engine::error::EngineError;
use crate::engine::found::{Cleaned, Selector};
use crate::engine::launch::Launch;
use crate::engine::seam::PrepareProgress;
use crate::model::label;

/// The networks known to be there.
#[derive(Debug, Default)]
pub(super) struct Networks {
    known: Once<String, ()>,
}

impl Networks {
    /// Makes sure that the launch's networks are there.
    pub(super) async fn prepare(
        &self,
        daemon: &Connection,
        launch: &Launch,
        progress: &PrepareProgress<'_>,
    ) -> Result<(), EngineError> {
        // Another container's network comes and goes with it.
        for name in launch.trial.networks.iter().filter(|name| !name.starts_with("container:")) {
            let cell = self.known.cell(name.clone());
            cell.get_or_try_init(async || {
                let there = named(daemon, name).await?;
                if there.is_empty() {
                    create(daemon, name, launch).await?;
                    progress(&format!("network {name}"), "created");
                    return Ok(());
                }
                keep_oldest(daemon, name, there).await
            })
            .await?;
        }
        Ok(())
    }

    /// Forgets that the launch's networks were there.
    pub(super) fn forget(&self, launch: &Launch) {
        self.known.forget(|name| launch.trial.networks.contains(name));
    }

    /// Removes the networks of ours that carry the labels and that nobody uses.
    pub(super) async fn clean(&self, daemon: &Connection, selector: &Selector) -> Result<Cleaned, EngineError> {
        let mut labels: Vec<String> = selector.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.push(label::RUN.to_owned());
        let mut cleaned = Cleaned::default();
        for network in list(daemon, HashMap::from([("label", labels)])).await? {
            let name = network.name.unwrap_or_default();
            let id = network.id.as_deref().unwrap_or(&name);
            let is_in_use = |error: &Error| message(error).contains("active endpoints");
            let mut removed = steady(|| daemon.api.remove_network(id)).await;
            if removed.as_ref().is_err_and(is_in_use) {
                release_all(daemon, id).await?;
                removed = steady(|| daemon.api.remove_network(id)).await;
            }
            match removed {
                Ok(()) => {
                    self.known.forget(|known| *known == name);
                    cleaned.removed.push(format!("network {name}"));
                }
                Err(error) if status(&error) == Some(404) => {}
                Err(error) if is_in_use(&error) => cleaned.kept.push(format!("network {name}")),
                Err(error) => return Err(daemon.failure(format!("remove network `{name}`"), error)),
            }
        }
        Ok(cleaned)
    }
}

/// Takes a container out of a network that still notes it, if there is none of that name any more: it ended while no daemon
/// was there (seen with `live-restore` and Docker 20.10). One that is being started is noted before it has joined.
pub(super) async fn release(daemon: &Connection, network: &str, container: &str) -> Result<(), EngineError> {
    match steady(|| daemon.api.inspect_container(container, None::<InspectContainerOptions>)).await {
        Err(error) if status(&error) == Some(404) => {}
        Err(error) => return Err(daemon.failure(format!("look at container `{container}`"), error)),
        Ok(_) => return Ok(()),
    }
    let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
    match steady(|| daemon.api.disconnect_network(network, request.clone())).await {
        Err(error) if status(&error) != Some(404) => {
            Err(daemon.failure(format!("take `{container}` out of network `{network}`"), error))
        }
        _ => Ok(()),
    }
}

/// Takes all containers out of a network that are not there any more.
async fn release_all(daemon: &Connection, network: &str) -> Result<(), EngineError> {
    let found = steady(|| daemon.api.inspect_network(network, None::<InspectNetworkOptions>))
        .await
        .map_err(|error| daemon.failure(format!("look at network `{network}`"), error))?;
    let noted = found.containers.unwrap_or_default();
    // A container that has joined stands under its id.
    for (_, gone) in noted.into_iter().filter(|(id, _)| id.starts_with("ep-")) {
        release(daemon, network, &gone.name.unwrap_or_default()).await?;
    }
    Ok(())
}

/// Every network of the daemon: its name, and whether combu made it.
pub(super) async fn all(daemon: &Connection) -> Result<HashMap<String, bool>, EngineError> {
    let networks = list(daemon, HashMap::new()).await?;
    Ok(networks.into_iter().filter_map(|network| Some((network.name.clone()?, is_ours(&network)))).collect())
}

fn is_ours(network: &Network) -> bool {
    network.labels.as_ref().is_some_and(|labels| labels.contains_key(label::RUN))
}

/// The networks of exactly that name: Docker's filter takes a part of a name, and a name can be there twice.
async fn named(daemon: &Connection, name: &str) -> Result<Vec<Network>, EngineError> {
    let mut networks = list(daemon, HashMap::from([("name", vec![name.to_owned()])])).await?;
    networks.retain(|network| network.name.as_deref() == Some(name));
    Ok(networks)
}

async fn list(daemon: &Connection, filters: HashMap<&str, Vec<String>>) -> Result<Vec<Network>, EngineError> {
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    steady(|| daemon.api.list_networks(Some(options.clone())))
        .await
        .map_err(|error| daemon.failure("list networks", error))
}

async fn create(daemon: &Connection, name: &str, launch: &Launch) -> Result<(), EngineError> {
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        labels: Some(convert::shared_labels(launch)),
        ..Default::default()
    };
    // Made again where the answer was lost: of two of them, one is kept.
    match steady(|| daemon.api.create_network(request.clone())).await {
        // Older daemons let two processes create the same name, and then refuse both.
        Ok(_) => keep_oldest(daemon, name, named(daemon, name).await?).await,
        // Newer daemons refuse a second one of that name; then another process was faster, which is as good.
        Err(error) if status(&error) == Some(409) => Ok(()),
        Err(error) if message(&error).contains("address pool") => {
            let message = format!(
                "no room for network `{name}`: {} (`docker network prune` removes unused ones)",
                message(&error)
            );
            Err(EngineError::Refused { message })
        }
        Err(error) => Err(daemon.failure(format!("create network `{name}`"), error)),
    }
}

/// Removes what has the oldest's name, whoever of us made it: one that is registered late can be older than one that
/// was alone when its maker looked.
async fn keep_oldest(daemon: &Connection, name: &str, mut same_name: Vec<Network>) -> Result<(), EngineError> {
    same_name.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    for second in same_name.iter().skip(1).filter(|network| is_ours(network)) {
        let id = second.id.as_deref().unwrap_or_default();
        match steady(|| daemon.api.remove_network(id)).await {
            Err(error) if status(&error) != Some(404) => {
                return Err(daemon.failure(format!("remove the second network `{name}`"), error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
