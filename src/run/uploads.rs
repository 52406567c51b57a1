//! Uploads: outputs that were collected are sent to a bucket or a folder. Decides nothing and touches no trial.
//!
//! The only folder that names `object_store`. Credentials and endpoint come from the AWS variables.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::{Path as Key, PathPart};
use object_store::{Error, ObjectStore, ObjectStoreExt};
use rustix::fs::OFlags;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::model::event::Collected;
use crate::model::name::{Name, RunId};
use crate::model::options::Destination;

/// Files in flight at once: each holds up to three pieces in memory.
const FILES: usize = 4;

/// Smallest piece of a file that is sent in pieces: S3 takes none below 5 MiB.
const PIECE: u64 = 8 << 20;

/// Most pieces of a file: S3 takes 10,000.
const PIECES: u64 = 9_000;

/// Pieces of one file in flight at once.
const AT_ONCE: usize = 2;

/// How long the first word of a destination may take.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// A destination cannot be sent to.
#[derive(Debug, thiserror::Error)]
#[error("outputs cannot be sent to `{url}`: {message}")]
pub struct UploadError {
    url: String,
    message: String,
}

/// Where the outputs of a run are sent to.
#[derive(Debug)]
pub(crate) struct Uploads {
    store: Arc<dyn ObjectStore>,
    /// What the names of this run begin with, and the same as a URL.
    base: Key,
    url: String,
    places: Semaphore,
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) url: String,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

impl Uploads {
    /// Finds out whether outputs can be sent there: an upload is begun and given up, which leaves nothing.
    pub(crate) async fn open(destination: &Destination, experiment: &str, run: &RunId) -> Result<Self, UploadError> {
        let failed = |message: String| UploadError { url: destination.to_string(), message };
        let (store, prefix) = store(destination).map_err(failed)?;
        let parts = prefix.split('/').filter(|part| !part.is_empty()).chain([experiment, run.as_str()]);
        let base: Key = parts.map(PathPart::from).collect();
        let own: Key = [experiment, run.as_str()].into_iter().map(PathPart::from).collect();
        let url = format!("{destination}/{own}");
        let probe = base.clone().join(".combu");
        match timeout(FIRST_WORD, store.put_multipart(&probe)).await {
            Ok(Ok(mut upload)) => {
                // What may be begun may not always be given up: then a few bytes of bookkeeping stay.
                let _stays = timeout(FIRST_WORD, upload.abort()).await;
            }
            Ok(Err(error)) => return Err(failed(reason(&error))),
            Err(_) => return Err(failed(format!("no answer in {} s", FIRST_WORD.as_secs()))),
        }
        Ok(Self { store, base, url, places: Semaphore::new(FILES) })
    }

    /// Sends the files of a trial that lie below that folder; links are not sent. Each is tried, and for some time again.
    ///
    /// # Errors
    /// How many could not be sent, and why the first could not.
    pub(crate) async fn send(&self, trial: &Name, folder: &Path, files: &[Collected]) -> Result<Sent, String> {
        let url = format!("{}/{}/", self.url, PathPart::from(trial.as_str()).as_ref());
        let files: Vec<&Collected> = files.iter().filter(|file| file.sha256.is_some()).collect();
        let sends: Vec<_> = files.iter().map(|file| self.send_one(trial, folder, file).boxed()).collect();
        let problems: Vec<String> = stream::iter(sends)
            .buffer_unordered(FILES)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .filter_map(|sent| sent.err().map(|error| error.to_string()))
            .collect();
        match problems.first() {
            None => Ok(Sent { url, files: files.len(), bytes: files.iter().map(|file| file.bytes).sum() }),
            Some(first) => Err(format!(
                "{} of {} outputs of `{trial}` were not sent to {url}: {first}",
                problems.len(),
                files.len()
            )),
        }
    }

    async fn send_one(&self, trial: &Name, folder: &Path, file: &Collected) -> io::Result<()> {
        let _place = self.places.acquire().await.map_err(io::Error::other)?;
        let parts = [trial.as_str()].into_iter().chain(file.path.split('/')).map(PathPart::from);
        let key = parts.fold(self.base.clone(), Key::join);
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let open = tokio::fs::OpenOptions::new().read(true).custom_flags(flags).open(folder.join(&file.path)).await;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", file.path));
        let mut from = BufReader::with_capacity(1 << 20, open.map_err(named)?);
        let piece = usize::try_from(PIECE.max(file.bytes / PIECES + 1)).unwrap_or(usize::MAX);
        let mut to = BufWriter::with_capacity(self.store.clone(), key, piece).with_max_concurrency(AT_ONCE);
        let sent = async {
            match tokio::io::copy_buf(&mut from, &mut to).await {
                Ok(bytes) if bytes == file.bytes => Ok(()),
                Ok(bytes) => Err(io::Error::other(format!("it has {bytes} bytes now, and had {}", file.bytes))),
                Err(error) => Err(error),
            }
        };
        if let Err(error) = sent.await {
            // What was sent of it would stay as pieces; where that cannot be told either, the error above is what counts.
            let _stays = timeout(FIRST_WORD, to.abort()).await;
            return Err(named(short(&error)));
        }
        // After this it cannot be given up any more.
        to.shutdown().await.map_err(|error| named(short(&error)))
    }
}

/// The store of a destination, and what names in it begin with.
fn store(destination: &Destination) -> Result<(Arc<dyn ObjectStore>, &str), String> {
    match destination {
        Destination::Folder(path) => {
            std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
            let folder = LocalFileSystem::new_with_prefix(path).map_err(|error| reason(&error))?;
            Ok((Arc::new(folder), ""))
        }
        Destination::Bucket { bucket, prefix } => Ok((store_of_bucket(bucket)?, prefix)),
    }
}

#[cfg(feature = "s3")]
fn store_of_bucket(name: &str) -> Result<Arc<dyn ObjectStore>, String> {
    use object_store::ClientConfigKey;
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

    /// Longest that one piece may take on a slow line.
    const ONE_PIECE: &str = "300s";

    // Another run may have done so before.
    let _done = rustls::crypto::ring::default_provider().install_default();
    let key = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
    let builder = AmazonS3Builder::new().with_config(key, ONE_PIECE);
    let from_env = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok())??;
        Some((key, value))
    });
    let builder = from_env.fold(builder, |builder, (key, value)| builder.with_config(key, value));
    let built = builder.with_bucket_name(name).build().map_err(|error| reason(&error))?;
    Ok(Arc::new(built))
}

#[cfg(not(feature = "s3"))]
fn store_of_bucket(_name: &str) -> Result<Arc<dyn ObjectStore>, String> {
    Err("this combu was built without its feature `s3`: build it with `--features s3`, or send them to a `file:///folder`"
        .to_owned())
}

/// Why a destination cannot be used, as a clause.
fn reason(error: &Error) -> String {
    match error {
        Error::NotFound { .. } => "there is no such bucket".to_owned(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "the credentials are not accepted, or may not write there".to_owned()
        }
        other => short(&io::Error::other(other.to_string())).to_string(),
    }
}

/// An error in one line, without the whole answer of a server.
fn short(error: &io::Error) -> io::Error {
    const LONGEST: usize = 300;
    let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(LONGEST).collect();
    io::Error::new(error.kind(), if short.len() < text.len() { format!("{short}…") } else { short })
}
