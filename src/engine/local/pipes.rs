//! The two pipes an attempt writes to. Never interprets what is in them.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe::Receiver;

use crate::engine::output::Output;

/// Bytes read at a time: a pipe's capacity on Linux, once an attempt writes much. Most write little, and memory of that
/// size for each of them costs more than the reading.
const CHUNK: usize = 64 << 10;
const FIRST_CHUNK: usize = 4 << 10;

/// Pipes that an attempt writes to, until both of its streams have ended.
#[derive(Debug)]
pub(super) struct Pipes {
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    chunk: Vec<u8>,
}

impl Pipes {
    /// The pipes of a process that has just started.
    ///
    /// # Errors
    /// When the system cannot tell when there is something in them.
    pub(super) fn new(stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            stdout: stdout.map(Receiver::from_owned_fd).transpose()?,
            stderr: stderr.map(Receiver::from_owned_fd).transpose()?,
            chunk: Vec::new(),
        })
    }

    /// Copies what one of the pipes holds; false at the end of both. Nothing is lost when it is dropped.
    pub(super) async fn step(&mut self, output: &mut Output) -> io::Result<bool> {
        if self.stdout.is_none() && self.stderr.is_none() {
            self.chunk = Vec::new();
            return Ok(false);
        }
        tokio::select! {
            ready = readable(self.stdout.as_ref()) => {
                ready?;
                if !read(&mut self.stdout, &mut self.chunk)? {
                    self.stdout = None;
                }
                output.stdout(&self.chunk);
            }
            ready = readable(self.stderr.as_ref()) => {
                ready?;
                if !read(&mut self.stderr, &mut self.chunk)? {
                    self.stderr = None;
                }
                output.stderr(&self.chunk);
            }
        }
        Ok(true)
    }
}

async fn readable(pipe: Option<&Receiver>) -> io::Result<()> {
    match pipe {
        Some(pipe) => pipe.readable().await,
        None => pending().await,
    }
}

/// Fills `chunk` with what is there, perhaps nothing; false at the pipe's end.
fn read(pipe: &mut Option<Receiver>, chunk: &mut Vec<u8>) -> io::Result<bool> {
    let is_full = chunk.len() >= FIRST_CHUNK && chunk.len() == chunk.capacity();
    chunk.clear();
    chunk.reserve(if is_full { CHUNK } else { FIRST_CHUNK });
    match pipe.as_ref().map_or(Ok(0), |pipe| pipe.try_read_buf(chunk)) {
        Ok(count) => Ok(count > 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}
