//! From Docker's output streams to an attempt's output. Never interprets what it copies.

use std::fmt;
use std::io;
use std::pin::Pin;

use bollard::Docker as Api;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{AttachContainerOptionsBuilder, LogsOptionsBuilder};
use futures_util::{Stream, StreamExt};

use crate::engine::output::Output;

/// Most pieces that are written at once: a program that writes line by line would cost a write call per line.
const BATCH: usize = 256;

/// Pieces of a container's output.
pub(super) struct Pieces {
    stream: Pin<Box<dyn Stream<Item = Batch> + Send>>,
    is_log: bool,
}

type Batch = Vec<Result<LogOutput, Error>>;

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl Pieces {
    /// Pieces that a created container will write, from its first byte on.
    pub(super) async fn attach(api: &Api, id: &str) -> Result<Self, Error> {
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = api.attach_container(id, Some(options)).await?;
        Ok(Self { stream: Box::pin(attached.output.ready_chunks(BATCH)), is_log: false })
    }

    /// Pieces that a container has written and will write, as its log driver kept them.
    pub(super) fn logs(api: &Api, id: &str) -> Self {
        let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
        Self { stream: Box::pin(api.logs(id, Some(options)).ready_chunks(BATCH)), is_log: true }
    }

    /// True for pieces of the log, which does not end before the container.
    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }

    /// Copies what is there; false at the end. May be dropped while it waits, and loses nothing.
    pub(super) async fn copy(&mut self, output: &mut Output) -> Result<bool, Error> {
        let Some(batch) = self.stream.next().await else { return Ok(false) };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut failure = None;
        for piece in batch {
            match piece {
                Ok(LogOutput::StdErr { message }) => stderr.extend_from_slice(&message),
                Ok(LogOutput::StdOut { message }) => stdout.extend_from_slice(&message),
                // Without a terminal, every piece names its stream; this is half a piece of a connection that broke.
                Ok(LogOutput::Console { .. } | LogOutput::StdIn { .. }) => {
                    failure = Some(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                Err(error) => failure = Some(error),
            }
        }
        if !stdout.is_empty() {
            output.stdout(&stdout);
        }
        if !stderr.is_empty() {
            output.stderr(&stderr);
        }
        failure.map_or(Ok(true), Err)
    }
}
