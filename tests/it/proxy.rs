//! A proxy before a daemon's socket that does to its calls what bad weather does, by seed: lost, refused, late and broken.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A proxy that listens as long as it lives. A connection carries one call: bollard keeps none open.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    harmed: Arc<AtomicUsize>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is passed on, and so is its reply.
    Passes,
    /// The connection is closed before the daemon hears of it.
    Reset,
    /// The daemon does what it is asked, and its reply is lost.
    Unheard,
    /// It is answered with 500, before the daemon hears of it or after it did what it was asked.
    Refused { done: bool },
    /// Its reply breaks after so many bytes.
    Cut(usize),
    /// Its reply, a stream, breaks after that time.
    Broken(Duration),
}

impl Proxy {
    /// A proxy before that socket.
    pub(crate) fn before(socket: &str, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let socket = PathBuf::from(socket.strip_prefix("unix://").expect("the tests' daemon is local"));
        let harmed = Arc::new(AtomicUsize::new(0));
        let counted = harmed.clone();
        // The thread ends with the process: it waits for a call, and nobody calls once the test is over.
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let (mut chance, socket, harmed) =
                    (StdRng::seed_from_u64(seed << 32 | number as u64), socket.clone(), counted.clone());
                // A connection that breaks by itself is as good as one that is broken.
                thread::spawn(move || client.and_then(|client| serve(client, &socket, &mut chance, &harmed)).is_ok());
            }
        });
        Self { folder, harmed }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// How many calls it harmed.
    pub(crate) fn harmed(&self) -> usize {
        self.harmed.load(Ordering::Relaxed)
    }
}

/// Draws a call's fate.
fn fate(call: &str, chance: &mut StdRng) -> Fate {
    let streams = ["/attach", "/events", "follow=true", "/wait"].iter().any(|part| call.contains(part));
    match chance.random_range(0..100) {
        0..3 => Fate::Reset,
        3..5 => Fate::Unheard,
        5..10 => Fate::Refused { done: chance.random_range(0..2) == 0 },
        10..15 => Fate::Cut(chance.random_range(1..400)),
        15..22 if streams => Fate::Cut(chance.random_range(100..4000)),
        22..30 if streams => Fate::Broken(Duration::from_millis(chance.random_range(0..1500))),
        _ => Fate::Passes,
    }
}

fn serve(mut client: UnixStream, socket: &Path, chance: &mut StdRng, harmed: &AtomicUsize) -> io::Result<()> {
    let head = head(&mut client)?;
    let call = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    let fate = fate(&call, chance);
    if chance.random_range(0..5) == 0 {
        thread::sleep(Duration::from_millis(chance.random_range(0..200)));
    }
    harmed.fetch_add(usize::from(fate != Fate::Passes), Ordering::Relaxed);
    if fate == Fate::Reset {
        return client.shutdown(Shutdown::Both);
    }
    if fate == (Fate::Refused { done: false }) {
        return refuse(&mut client);
    }
    let mut daemon = UnixStream::connect(socket)?;
    daemon.write_all(&head)?;
    let (mut from_client, mut to_daemon) = (client.try_clone()?, daemon.try_clone()?);
    thread::spawn(move || {
        // Whoever hangs up ends the call on both sides.
        let _ended = io::copy(&mut from_client, &mut to_daemon);
        let _gone = (to_daemon.shutdown(Shutdown::Both), from_client.shutdown(Shutdown::Both));
    });
    let passed = match fate {
        Fate::Unheard | Fate::Refused { .. } => {
            let heard = daemon.read(&mut [0]);
            if fate == Fate::Unheard { heard.map(drop) } else { refuse(&mut client) }
        }
        Fate::Cut(bytes) => io::copy(&mut (&daemon).take(bytes as u64), &mut client).map(drop),
        Fate::Broken(after) => pass_for(after, &mut daemon, &mut client),
        Fate::Passes | Fate::Reset => io::copy(&mut daemon, &mut client).map(drop),
    };
    let _gone = (daemon.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
    passed
}

/// What a call begins with, to the empty line.
fn head(client: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

fn refuse(client: &mut UnixStream) -> io::Result<()> {
    let body = r#"{"message":"the weather is bad"}"#;
    let head = format!("HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    client.write_all(format!("{head}Content-Type: application/json\r\n\r\n{body}").as_bytes())
}

/// Passes the reply on for that time.
fn pass_for(time: Duration, daemon: &mut UnixStream, client: &mut UnixStream) -> io::Result<()> {
    let until = Instant::now() + time;
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        daemon.set_read_timeout(Some(left))?;
        match daemon.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => client.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
