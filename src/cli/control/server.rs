//! The control socket, through which other processes reach a run of this one. It delays nothing: each connection is a tokio
//! task with a time limit, and a run without a socket goes on all the same.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle as Tokio;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::cli::control::wire::{
    ControlReply, ControlRequest, MOST, PATIENCE, VERSION, VersionedRequest, line, socket,
};
use crate::model::command::Command;
use crate::model::event::{Event, Fact, Sink};
use crate::model::name::Name;
use crate::run::session::live::Commands;
use crate::spec;

/// Time limit of a request whose answer has to be waited for.
const LONGEST: Duration = Duration::from_secs(600);

/// The control socket of one run: it listens from `listen` on until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Control {
    requests: Arc<Requests>,
    listening: RefCell<Option<Listening>>,
}

/// Requests of other processes, and the run's events that answer them.
#[derive(Debug, Default)]
struct Requests {
    state: Mutex<RequestState>,
    /// Wakes waiting requests at the end of every trial.
    ended: Notify,
}

#[derive(Debug, Default)]
struct RequestState {
    /// Commands that were sent, and the channel that waits for the answer to each.
    sent: Vec<(Command, oneshot::Sender<Result<(), String>>)>,
    ended: HashSet<Name>,
}

/// The sink of the run's events that answers requests.
struct ControlSink(Arc<Requests>);

/// A socket that is listened on; removed at the end.
#[derive(Debug)]
struct Listening {
    accepting: AbortHandle,
    socket: PathBuf,
    /// The path of the socket leads through it.
    _folder: File,
}

impl Control {
    /// A sink for the run's events, without which no request is answered.
    pub(crate) fn sink(&self) -> Box<dyn Sink> {
        Box::new(ControlSink(self.requests.clone()))
    }

    /// Listens on the socket in the run's folder.
    ///
    /// # Errors
    /// When the folder cannot hold a socket: some network file systems cannot.
    pub(crate) fn listen(&self, run: &Path, tokio: &Tokio, commands: Commands) -> io::Result<()> {
        let (folder, socket) = socket(run)?;
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = StdListener::bind(&socket)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _inside = tokio.enter();
            UnixListener::from_std(listener)?
        };
        let accepting = tokio.spawn(accept(listener, self.requests.clone(), commands)).abort_handle();
        self.listening.replace(Some(Listening { accepting, socket, _folder: folder }));
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
        // A run's folder that was removed has taken its socket along.
        let _gone = fs::remove_file(&self.socket);
    }
}

impl Sink for ControlSink {
    fn name(&self) -> &'static str {
        "the control socket"
    }

    fn consume(&mut self, event: &Event) -> io::Result<()> {
        match &event.fact {
            Fact::CommandTaken { command } => self.0.answer(command, Ok(())),
            Fact::CommandRefused { command, message } => self.0.answer(command, Err(message.clone())),
            Fact::TrialEnded { trial, .. } => {
                self.0.state().ended.insert(trial.clone());
                self.0.ended.notify_waiters();
            }
            Fact::TrialReopened { trial } => {
                self.0.state().ended.remove(trial);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Requests {
    fn state(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().expect("no code panics while it holds the lock")
    }

    /// Answers the first request that sent such a command.
    fn answer(&self, command: &Command, answer: Result<(), String>) {
        let mut state = self.state();
        if let Some(place) = state.sent.iter().position(|(sent, _)| sent == command) {
            // The asking process may have gone.
            let _gone = state.sent.remove(place).1.send(answer);
        }
    }

    fn send(&self, commands: &Commands, command: Command) -> oneshot::Receiver<Result<(), String>> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.state();
        state.sent.retain(|(_, waiting)| !waiting.is_closed());
        state.sent.push((command.clone(), sender));
        commands.send(command);
        answer
    }

    async fn carry_out(&self, ask: ControlRequest, commands: &Commands) -> ControlReply {
        match ask {
            _ if commands.is_closed() => ControlReply::Refused { message: "the run has ended".to_owned() },
            ControlRequest::Set { change } => match spec::budget(&change) {
                Ok(change) => self.give(commands, Command::Set { change: Box::new(change) }).await,
                Err(problems) => ControlReply::Refused { message: problems.to_string() },
            },
            ControlRequest::Why { trial } => {
                let commands = commands.clone();
                let lines = tokio::task::spawn_blocking(move || commands.why(&trial)).await;
                lines
                    .ok()
                    .flatten()
                    .and_then(Result::ok)
                    .map_or(ControlReply::NoTrial, |lines| ControlReply::Why { lines })
            }
            ControlRequest::Kill { trials, within, at_once } => self.kill(trials, at_once, within, commands).await,
            ControlRequest::Retry { trial } => self.give(commands, Command::Retry { trial }).await,
            ControlRequest::Cancel { by, at_once } => {
                // The second request is what leaves no time.
                if at_once {
                    self.give(commands, Command::Cancel { by: by.clone() }).await;
                }
                self.give(commands, Command::Cancel { by }).await
            }
        }
    }

    /// Gives the run a command, and waits for whether it takes it.
    async fn give(&self, commands: &Commands, command: Command) -> ControlReply {
        match timeout(PATIENCE, self.send(commands, command)).await {
            Ok(Ok(Ok(()))) => ControlReply::Taken,
            Ok(Ok(Err(message))) => ControlReply::Refused { message },
            Ok(Err(_)) | Err(_) => ControlReply::Unanswered,
        }
    }

    async fn kill(&self, trials: Vec<Name>, at_once: bool, within: f64, commands: &Commands) -> ControlReply {
        let within = Duration::try_from_secs_f64(within).unwrap_or_default().min(LONGEST);
        let sent: Vec<_> = trials
            .into_iter()
            .map(|trial| (trial.clone(), self.send(commands, Command::Kill { trial, at_once })))
            .collect();
        let (mut open, mut refused) = (Vec::new(), Vec::new());
        let ends = async {
            for (trial, answer) in sent {
                match answer.await {
                    Ok(Err(message)) => refused.push(message),
                    // Without an answer, the trial may be ending all the same.
                    Ok(Ok(())) | Err(_) => open.push(trial),
                }
            }
            loop {
                let more = self.ended.notified();
                tokio::pin!(more);
                // From here on, no end is missed.
                more.as_mut().enable();
                if open.iter().all(|trial| self.state().ended.contains(trial)) {
                    return;
                }
                more.await;
            }
        };
        let _in_time = timeout(within, ends).await;
        let state = self.state();
        let (ended, left) = open.into_iter().partition(|trial| state.ended.contains(trial));
        ControlReply::Killed { ended, left, refused }
    }
}

async fn accept(listener: UnixListener, requests: Arc<Requests>, commands: Commands) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (requests, commands) = (requests.clone(), commands.clone());
                // A process that hangs, or breaks off, wastes no time but its own.
                tokio::spawn(async move { drop(serve(stream, &requests, &commands).await) });
            }
            // Too many open files, most likely: other connections close theirs.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(mut stream: UnixStream, requests: &Requests, commands: &Commands) -> io::Result<()> {
    let asker = stream.peer_cred()?.uid();
    if asker != rustix::process::geteuid().as_raw() && asker != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut text = Vec::new();
    let mut reader = BufReader::new((&mut stream).take(MOST));
    timeout(PATIENCE, reader.read_until(b'\n', &mut text)).await??;
    let answer = match request(&text) {
        Ok(ask) => requests.carry_out(ask, commands).await,
        Err(message) => ControlReply::Refused { message },
    };
    timeout(PATIENCE, stream.write_all(&line(&answer)?)).await?
}

pub(super) fn request(text: &[u8]) -> Result<ControlRequest, String> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let wrong = |error: serde_json::Error| format!("this is no request: {error}");
    let Versioned { version } = serde_json::from_slice(text).map_err(wrong)?;
    if version != VERSION {
        return Err(format!("the run's combu {} understands another version of combu", env!("CARGO_PKG_VERSION")));
    }
    serde_json::from_slice(text).map(|request: VersionedRequest| request.ask).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileTypeExt;
    use std::sync::Arc;

    use super::{Control, request};
    use crate::engine::fake::Fake;
    use crate::model::experiment::Experiment;
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Options, TrialDefaults};
    use crate::model::trial::Trial;
    use crate::run::connections::Connections;
    use crate::run::session::Session;
    use crate::run::session::start::Start;

    #[test]
    fn a_stale_socket_is_replaced_and_a_folder_that_can_hold_none_is_an_error() {
        let session = Session::new(Connections::with(Arc::new(Fake::default()))).unwrap();
        let experiment = Experiment {
            name: "some".to_owned(),
            id: "aaaaaaaaaaaa".to_owned(),
            spec: "/lab/some.jsonnet".into(),
            options: Options::default(),
            trials: vec![Arc::new(Trial::new(Name::parse("some").unwrap()))],
        };
        let options = Options {
            defaults: TrialDefaults { engine: Some(EngineName::Fake), ..TrialDefaults::default() },
            ..Options::default()
        };
        let live = session
            .start(session.prepare(experiment, options).unwrap(), Start::unkept("aaaaaaaaaaaa".into(), None))
            .unwrap();
        let listen = |control: &Control, folder: &std::path::Path| {
            control.listen(folder, session.tokio(), live.commands().clone())
        };
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let control = Control::default();
        listen(&control, folder.path()).unwrap();
        assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
        assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
        drop(control);
        assert!(!socket.exists());
        fs::create_dir(&socket).unwrap();
        assert!(listen(&Control::default(), folder.path()).is_err());
        assert!(listen(&Control::default(), &folder.path().join("none")).is_err());
    }

    #[test]
    fn a_request_is_versioned_and_read_strictly() {
        let read = |text: &str| request(text.as_bytes()).map(|ask| format!("{ask:?}")).unwrap_or_else(|error| error);
        let mut read_back = String::new();
        for text in [
            r#"{"version":1,"ask":"set","change":{"parallel":2}}"#,
            r#"{"version":1,"ask":"kill","trials":["a1"],"within":1.5}"#,
            r#"{"version":1,"ask":"why","trial":"x y"}"#,
            r#"{"version":1,"ask":"dance"}"#,
            r#"{"version":2,"ask":"set","change":{}}"#,
            r#"{"ask":"set"}"#,
            "",
            "GET / HTTP/1.1",
        ] {
            read_back += &format!("{}\n", read(text));
        }
        insta::assert_snapshot!(read_back, @r#"
        Set { change: {"parallel": Number(2)} }
        Kill { trials: ["a1"], within: 1.5, at_once: false }
        this is no request: ` ` cannot stand there: a name starts with a letter (a-z, A-Z) or digit and goes on with these, `_`, `.` and `-` (Docker's rule) at line 1 column 39
        this is no request: unknown variant `dance`, expected one of `set`, `why`, `kill`, `cancel`, `retry` at line 1 column 27
        the run's combu 0.1.0 understands another version of combu
        this is no request: missing field `version` at line 1 column 13
        this is no request: EOF while parsing a value at line 1 column 0
        this is no request: expected value at line 1 column 1
        "#);
    }
}
