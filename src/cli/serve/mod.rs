//! `combu serve`: the page of `combu report`, kept up to date while runs go on.

mod http;
mod orders;
mod served;

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use rustix::system::uname;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::context::state_or_here;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::serve::http::Door;
use crate::cli::serve::served::ServedRuns;
use crate::cli::ui::Ui;
use crate::run::user;

/// The first port that is tried where none is asked for.
const PORT: u16 = 8642;

/// Ports that are tried from there on.
const TRIES: u16 = 20;

/// Show runs in a browser while they go on: the page of `combu report`, kept up to date.
///
/// The page is served to this machine only, and to whoever has the address that is printed: the token in it is new each time.
/// It follows the runs that are named; without any, those that are live in this project or start later, from whatever
/// shell, and where none is live, the last one. It only looks, unless `--allow-control` is given: then runs and trials can be stopped,
/// retried and set from it, as `combu kill` and `combu set` do. Ctrl-C ends the page; runs go on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu serve                           what is live in this project
  combu serve k3jd a81x                 two runs
  combu serve --port 9000 --allow-control")]
pub(crate) struct ServeArgs {
    /// Runs: the beginning of an id, or `last`.
    #[arg(value_name = "RUN")]
    what: Vec<String>,

    /// The port. Default: 8642, or the next that is free.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Let the page stop and retry trials, stop runs, and set how many trials run at once.
    #[arg(long)]
    allow_control: bool,
}

pub(crate) fn main(file: Option<&Path>, args: &ServeArgs, ui: &Ui) -> Result<u8, CliError> {
    let state = state_or_here(file)?;
    if args.allow_control {
        state.check_owner()?;
    }
    let served = Arc::new(ServedRuns::new(state, file, &args.what, ui)?);
    let failed = |error: io::Error| CliError::new(exit::INTERNAL, format!("failed to start: {error}"));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    served.follow();
    tokio.block_on(async {
        let listener = listen(args.port).await?;
        let port = listener.local_addr().map_err(failed)?.port();
        let door = Door::new(served, args.allow_control);
        let address = format!("http://127.0.0.1:{port}/?token={}", door.token());
        ui.result(&address)?;
        let (user, host) = (user::name(), uname());
        let host = host.nodename().to_string_lossy();
        ui.message(&format!(
            "from another machine: ssh -L {port}:127.0.0.1:{port} {user}@{host}, and the same address there"
        ));
        ui.message("Ctrl-C ends the page; runs go on");
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            ended = axum::serve(listener, door.routes()) => ended.map_err(failed)?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(exit::OK)
    })
}

/// Listens on that port of this machine, or on one of those that are tried without one.
async fn listen(port: Option<u16>) -> Result<TcpListener, CliError> {
    let ports = match port {
        Some(port) => port..=port,
        None => PORT..=PORT + TRIES,
    };
    let mut problem = None;
    for port in ports.clone() {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => problem = Some(error),
        }
    }
    let ports = match port {
        Some(port) => format!("port {port}"),
        None => format!("the ports {} to {}", ports.start(), ports.end()),
    };
    let problem = problem.map(|error| error.to_string()).unwrap_or_default();
    Err(CliError::new(exit::USAGE, format!("the page cannot be served on {ports}: {problem}"))
        .hint("`--port PORT` says another; `--port 0` takes any that is free"))
}
