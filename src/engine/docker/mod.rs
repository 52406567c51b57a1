//! The Docker engine: a trial is a container. The only folder that names bollard.
//!
//! An attempt costs the calls create, attach, start, wait, logs (its end) and remove, and an inspection when it did not end
//! with 0; no other: whatever is shared by attempts is asked for once, and what a container takes is read from its control group.

mod call;
mod connect;
mod convert;
mod credentials;
#[cfg(test)]
mod fuzz;
mod health;
mod image;
mod logs;
mod memory;
mod mounts;
mod network;
mod once;
mod outputs;
mod restart;
mod ssh;
mod start;
mod survey;
mod tunnel;
mod wait;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{InspectContainerOptions, KillContainerOptions, StopContainerOptionsBuilder};
use tokio::sync::OnceCell;

use crate::engine::cgroup::ControlGroups;
use crate::engine::docker::connect::Connection;
use crate::engine::docker::image::Images;
use crate::engine::docker::logs::Pieces;
use crate::engine::docker::network::Networks;
use crate::engine::docker::restart::Breaks;
use crate::engine::docker::start::StartFailure;
use crate::engine::error::EngineError;
use crate::engine::found::{Cleaned, Found, Selector, Survey};
use crate::engine::gpus::GpuSource;
use crate::engine::launch::Launch;
use crate::engine::output::Output;
use crate::engine::outputs::Outputs;
use crate::engine::records;
use crate::engine::seam::{Engine, Health, PrepareProgress};
use crate::engine::settings::Settings;
use crate::model::capability::{Capabilities, Gpu};
use crate::model::event::Usage;
use crate::model::handle::Handle;
use crate::model::name::EngineName;
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;
use crate::model::trial::settled::Settled;

/// A Docker daemon, or one that speaks its language.
#[derive(Debug)]
pub struct Docker {
    daemon: Connection,
    capabilities: Capabilities,
    /// The Docker CLI's configuration folder, for registry credentials.
    config: Option<PathBuf>,
    images: Images,
    networks: Networks,
    gpus: GpuSource,
    groups: ControlGroups,
    /// True when the daemon mounts this machine's files; empty until it was asked.
    mounts: OnceCell<bool>,
    /// Output of started containers, until `wait` takes it.
    attached: Mutex<HashMap<String, Pieces>>,
    breaks: Breaks,
}

impl Docker {
    /// Connects to the daemon that the environment names: `DOCKER_HOST`, `DOCKER_CONTEXT` and the Docker CLI's current
    /// context, else the usual sockets.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when nothing answers there.
    pub async fn connect(settings: &Settings) -> Result<Self, EngineError> {
        Self::connect_as(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()), settings).await
    }

    /// Connects to the daemon at an address, whatever the environment says: `unix:///run/docker.sock`,
    /// `ssh://me@box`.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when nothing answers there.
    pub async fn connect_to(host: &str) -> Result<Self, EngineError> {
        Self::connect_as(&|name| (name == "DOCKER_HOST").then(|| host.to_owned()), &Settings::default()).await
    }

    /// An engine whose daemon has to begin an answer within that time, in whole seconds: 180 s otherwise.
    pub fn answering_within(self, within: Duration) -> Self {
        Self { daemon: self.daemon.answering_within(within), ..self }
    }

    async fn connect_as(env: connect::Env<'_>, settings: &Settings) -> Result<Self, EngineError> {
        let (daemon, capabilities) = connect::connect(env).await?;
        Ok(Self {
            daemon,
            capabilities,
            config: connect::config_folder(env),
            images: Images::default(),
            networks: Networks::default(),
            gpus: GpuSource::new(settings),
            groups: ControlGroups::default(),
            mounts: OnceCell::new(),
            attached: Mutex::default(),
            breaks: Breaks::default(),
        })
    }

    fn take_attached(&self, handle: &Handle) -> Option<Pieces> {
        self.attached.lock().expect("no code panics while it holds the lock").remove(&handle.id)
    }

    /// True when the daemon mounts this machine's files: its socket may lead out of a container, or into a virtual machine.
    async fn mounts(&self) -> bool {
        let ask = async || {
            let info = self.daemon.api.info().await.ok()?;
            let is_here = Path::new(&info.docker_root_dir?).exists();
            Some(is_here && info.operating_system.as_deref() != Some("Docker Desktop"))
        };
        self.daemon.is_here() && *self.mounts.get_or_init(async || ask().await.unwrap_or(false)).await
    }

    /// Makes the file that an attempt may write its metrics to; without it, it starts all the same. Beside it the attempt
    /// finds the params that its environment has no room for.
    ///
    /// # Errors
    /// When those cannot be written.
    async fn with_files<'a>(&self, launch: &'a Launch) -> Result<Cow<'a, Launch>, EngineError> {
        if launch.folder.is_none() {
            return Ok(Cow::Borrowed(launch));
        }
        if let (Some(params), Some(_)) = (&launch.params, self.params_file(launch).await)
            && let Some(metrics) = records::shared(launch)
        {
            let written = records::make_shared(&metrics).and_then(|()| records::write_shared_params(&metrics, params));
            written.map_err(|error| EngineError::Call {
                action: format!("write the params of `{}`", launch.trial.name),
                source: error.into(),
            })?;
        }
        match self.metrics_file(launch).await.map(|file| records::make_shared(&file)) {
            Some(Ok(())) => Ok(Cow::Borrowed(launch)),
            Some(Err(_)) | None => Ok(Cow::Owned(Launch { folder: None, ..launch.clone() })),
        }
    }

    /// Keeps what a container takes of the machine, until it is gone or that cannot be seen from here. May be dropped.
    async fn meter(&self, id: &str, usage: &mut Usage) {
        if !self.daemon.is_here() {
            return;
        }
        let mut group = self.groups.find(id);
        if group.is_none() && self.groups.asks() {
            let found = self.daemon.api.inspect_container(id, None::<InspectContainerOptions>).await;
            // Without an answer it stays unknown, which stops nothing; whoever waits for the container hears of the cause.
            let pid = found.ok().and_then(|found| found.state?.pid).filter(|pid| *pid > 0);
            group = pid.and_then(|pid| self.groups.learn(id, pid));
        }
        if let Some(group) = group {
            group.follow(usage).await;
        }
    }
}

#[async_trait]
impl Engine for Docker {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn survey(&self, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError> {
        let mut survey = survey::survey(&self.daemon, spec, trials).await?;
        if self.mounts().await {
            mounts::folders(trials, &mut survey);
        }
        Ok(survey)
    }

    async fn prepare(&self, launch: &Launch, progress: &PrepareProgress<'_>) -> Result<Option<String>, EngineError> {
        if self.daemon.is_here() {
            mounts::make_folders(launch, progress)?;
        }
        let content = self.images.prepare(&self.daemon, self.config.as_deref(), launch, progress).await?;
        self.networks.prepare(&self.daemon, launch, progress).await?;
        Ok(content)
    }

    async fn fetch(&self, launch: &Launch, progress: &PrepareProgress<'_>) -> Result<(), EngineError> {
        self.images.prepare(&self.daemon, self.config.as_deref(), launch, progress).await.map(drop)
    }

    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError> {
        self.breaks.are_over().await;
        let launch = &*self.with_files(launch).await?;
        let started = match start::start(&self.daemon, launch).await {
            Err(StartFailure::Gone(_)) => {
                self.images.forget(launch);
                self.networks.forget(launch);
                // Another process may be making or removing the same network at this moment.
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.prepare(launch, &|_, _| {}).await?;
                start::start(&self.daemon, launch).await
            }
            Err(StartFailure::StillNoted { network, .. }) => {
                network::release(&self.daemon, &network, &launch.trial.container()).await?;
                start::start(&self.daemon, launch).await
            }
            answer => answer,
        };
        let (id, pieces) = started?;
        self.attached.lock().expect("no code panics while it holds the lock").insert(id.clone(), pieces);
        Ok(Handle { engine: EngineName::Docker, id })
    }

    async fn healthy(&self, handle: &Handle, _check: &Healthcheck) -> Result<Health, EngineError> {
        health::healthy(&self.daemon, &handle.id).await
    }

    async fn metrics_file(&self, launch: &Launch) -> Option<PathBuf> {
        if self.mounts().await { records::shared(launch) } else { None }
    }

    async fn params_file(&self, launch: &Launch) -> Option<String> {
        if self.mounts().await { convert::params_file(launch) } else { None }
    }

    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        let attached = self.take_attached(handle);
        let mut usage = Usage::default();
        let waited = {
            let mut meter = pin!(self.meter(&handle.id, &mut usage));
            let mut wait = pin!(wait::wait(&self.daemon, &handle.id, attached, &self.breaks, output));
            tokio::select! {
                waited = &mut wait => waited,
                () = &mut meter => wait.await,
            }
        };
        output.used(&usage);
        waited
    }

    async fn collect(
        &self,
        handle: &Handle,
        launch: &Launch,
        (path, place): (&str, &str),
        outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        outputs::collect(&self.daemon, &handle.id, launch, (path, place), outputs).await
    }

    async fn ran(&self, handle: &Handle) -> Option<Duration> {
        wait::ran(&self.daemon, &handle.id).await
    }

    async fn was_stopped(&self, handle: &Handle) -> bool {
        memory::was_stopped(&self.daemon, &handle.id).await
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        let id = &handle.id;
        // A frozen container hears no signal, and not every daemon thaws it by itself.
        self.unpause(handle).await?;
        let answer = if grace.is_zero() {
            call::steady(|| self.daemon.api.kill_container(id, None::<KillContainerOptions>)).await
        } else {
            let options = StopContainerOptionsBuilder::new().t(convert::whole_seconds(grace)).build();
            let api = self.daemon.patient(grace);
            call::steady(|| api.stop_container(id, Some(options.clone()))).await
        };
        match answer {
            // Unknown, or not running: then it is stopped.
            Err(error) if matches!(call::status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(self.daemon.failure(format!("stop container `{id}`"), error)),
            Ok(()) => Ok(()),
        }
    }

    async fn pause(&self, handle: &Handle) -> Result<(), EngineError> {
        match call::steady(|| self.daemon.api.pause_container(&handle.id)).await {
            // Paused already, not running, or unknown: nothing of it runs.
            Err(error) if matches!(call::status(&error), Some(404 | 409)) => Ok(()),
            answer => answer.map_err(|error| self.daemon.failure(format!("pause container `{}`", handle.id), error)),
        }
    }

    async fn unpause(&self, handle: &Handle) -> Result<(), EngineError> {
        match call::steady(|| self.daemon.api.unpause_container(&handle.id)).await {
            // Not paused, not running, or unknown. Docker answers 500 to the first.
            Err(error) if matches!(call::status(&error), Some(404 | 409)) => Ok(()),
            Err(error) if call::message(&error).contains("is not paused") => Ok(()),
            answer => answer.map_err(|error| self.daemon.failure(format!("unpause container `{}`", handle.id), error)),
        }
    }

    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError> {
        // A daemon elsewhere does not tell its host's GPUs, and this machine's would be the wrong ones.
        if self.capabilities.here { self.gpus.look().await } else { Ok(Vec::new()) }
    }

    async fn remove(&self, handle: &Handle) -> Result<(), EngineError> {
        drop(self.take_attached(handle));
        self.breaks.forget(&handle.id);
        start::remove(&self.daemon, &handle.id, "has ended").await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError> {
        survey::find(&self.daemon, selector).await
    }

    async fn clean(&self, selector: &Selector) -> Result<Cleaned, EngineError> {
        self.networks.clean(&self.daemon, selector).await
    }
}
