//! Outputs out of containers: the daemon sends what lies at a path as a tar archive, also of a container that has ended.

use std::io::{self, Read};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, InspectContainerOptions};
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::engine::docker::call;
use crate::engine::docker::connect::Connection;
use crate::engine::error::EngineError;
use crate::engine::launch::Launch;
use crate::engine::outputs::{Outputs, take_archive};

/// Pieces of an archive that wait to be written: enough to keep the disk busy, and no file's worth of memory.
const WAITING: usize = 8;

/// Longest pause in the middle of an archive; a daemon that reads from a slow disk sends something meanwhile.
const SILENCE: Duration = Duration::from_secs(180);

/// Copies what lies at a path of an ended container to the place below the outputs; false where nothing lies there.
pub(super) async fn collect(
    daemon: &Connection,
    id: &str,
    launch: &Launch,
    (path, place): (&str, &str),
    outputs: &Outputs,
) -> Result<bool, EngineError> {
    let path = absolute(daemon, id, launch, (path, place)).await?;
    let options = DownloadFromContainerOptionsBuilder::new().path(&path).build();
    let mut pieces = pin!(daemon.api.download_from_container(id, Some(options)));
    let action = || format!("copy `{path}` out of container `{id}`");
    let silent = || EngineError::Call { action: action(), source: "no answer in 180 s".into() };
    let mut piece = match timeout(SILENCE, pieces.next()).await.map_err(|_| silent())? {
        Some(Err(error)) if is_missing(&error) => return Ok(false),
        Some(Err(error)) => return Err(daemon.failure(action(), error)),
        Some(Ok(piece)) => Some(piece),
        None => None,
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let (copy, place) = (outputs.clone(), place.to_owned());
    let taking = tokio::task::spawn_blocking(move || {
        take_archive(&copy, &place, Archive { pieces: receiver, piece: Bytes::new() })
    });
    let mut broken = None;
    while let Some(bytes) = piece.take() {
        // Whoever takes them takes no more: this machine's disk is full.
        if sender.send(bytes).await.is_err() {
            break;
        }
        piece = match timeout(SILENCE, pieces.next()).await {
            Ok(Some(Ok(next))) => Some(next),
            Ok(None) => None,
            Ok(Some(Err(error))) => {
                broken = Some(daemon.failure(action(), error));
                None
            }
            Err(_) => {
                broken = Some(silent());
                None
            }
        };
    }
    drop(sender);
    let taken = taking.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    match (broken, taken) {
        (Some(error), _) => Err(error),
        (None, Err(source)) => Err(EngineError::Call { action: action(), source: source.into() }),
        (None, Ok(())) => Ok(true),
    }
}

/// A path as the daemon takes it: one that is relative starts at the folder that the trial's command ran in.
async fn absolute(
    daemon: &Connection,
    id: &str,
    launch: &Launch,
    (path, place): (&str, &str),
) -> Result<String, EngineError> {
    // The daemon takes a `/.` at the end, or a `/` behind a link, to mean something else than the name before it.
    if path.starts_with('/') {
        return Ok(format!("/{place}"));
    }
    let folder = match &launch.trial.workdir {
        Some(folder) => folder.clone(),
        None => {
            let asked = call::steady(|| daemon.api.inspect_container(id, None::<InspectContainerOptions>)).await;
            let found = asked.map_err(|error| daemon.failure(format!("inspect container `{id}`"), error))?;
            found.config.and_then(|config| config.working_dir).unwrap_or_default()
        }
    };
    Ok(Path::new("/").join(folder).join(place).to_string_lossy().into_owned())
}

/// True when the daemon says that nothing lies at the path, and not that there is no such container.
fn is_missing(error: &bollard::errors::Error) -> bool {
    call::status(error) == Some(404) && !call::message(error).to_lowercase().contains("no such container:")
}

/// An archive that comes piece by piece, for those who read it on a thread of their own.
struct Archive {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Archive {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = to.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut to[..length]);
        Ok(length)
    }
}
