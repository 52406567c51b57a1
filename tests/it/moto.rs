//! A real S3 server of its own for a test: moto's, from Python's packages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use rustix::process::{Pid, Signal};

use crate::harness::{LIMIT, Lab};

/// A server. Dropping it ends it.
pub(crate) struct Moto {
    server: Child,
    /// `127.0.0.1:4711`.
    address: String,
}

/// A server that was just started, with one bucket, `lab`. Where its program is missing, the test is skipped aloud, or
/// fails if `COMBU_TEST_S3=required`.
pub(crate) fn moto(env: &[(&str, &str)]) -> Option<Moto> {
    let Some(program) = program() else {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let is_required = std::env::var("COMBU_TEST_S3").is_ok_and(|wish| wish == "required");
        assert!(!is_required, "COMBU_TEST_S3=required, but there is no `moto_server`");
        let line = "no moto_server: python3 -m venv target/moto && target/moto/bin/pip install 'moto[server]'";
        writeln!(std::io::stderr(), "SKIPPED (no S3): {test}: {line}").expect("stderr can be written");
        return None;
    };
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", "0"]).envs(env.iter().copied()).stdin(Stdio::null());
    let mut server = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, heard) = channel();
    let said = BufReader::new(server.stderr.take().unwrap());
    // Read to its end, or the server would wait for a reader.
    thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("Running on http://") {
                let _once = sender.send(address.trim().to_owned());
            }
        }
    });
    let Ok(address) = heard.recv_timeout(LIMIT) else {
        let _ended = server.kill();
        panic!("moto's server did not say where it listens");
    };
    let moto = Moto { server, address };
    moto.ask("PUT", "/lab");
    Some(moto)
}

fn program() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto/bin/moto_server");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&paths).map(|folder| folder.join("moto_server")).chain([own]);
    all.find(|path| path.exists())
}

impl Moto {
    /// Tells a lab's combu where it is, and who asks.
    pub(crate) fn introduce(&self, lab: &mut Lab) {
        lab.set("AWS_ENDPOINT_URL", format!("http://{}", self.address));
        for (name, value) in [
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ] {
            lab.set(name, value);
        }
    }

    /// Stops it, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.server.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it something without any library; the body of its answer.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // Whoever signs may read; it does not look at the signature.
        let signed =
            "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {signed}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        answer.split_off(end + 4)
    }

    /// The names of what is in the bucket.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = String::from_utf8(self.ask("GET", "/lab?list-type=2")).unwrap();
        let keys = listed.split("<Key>").skip(1).filter_map(|part| part.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It keeps nothing: whatever happens, its next start is a new one.
        let _ended = self.server.kill();
        let _reaped = self.server.wait();
    }
}
