//! The floor of `benches/launch`: the same containers through nothing but the calls a container cannot do without.
//!
//!   cargo bench --bench raw -- [CONTAINERS] [AT_ONCE] [NETWORK] [IMAGE]
//!
//! AT_ONCE workers each create, start, wait for and remove one container of `true` after the other, with no logs, no
//! labels to find it by and no plan. Prints one line: wall time, containers per second, and the CPU time
//! of this process per container. What combu takes beyond it is combu's price.

use std::error::Error;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, WaitContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;

/// What every container is.
struct Wish {
    network: String,
    image: String,
    /// Of this process alone, so that two floors can be measured at once.
    prefix: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let word = |place: usize, default: &str| arguments.get(place).map_or(default, String::as_str).to_owned();
    let (count, at_once): (usize, usize) = (word(0, "60").parse()?, word(1, "4").parse()?);
    let prefix = format!("combu-bench-r{}", std::process::id());
    let wish = Arc::new(Wish { network: word(2, "none"), image: word(3, "combu-bench/true:1"), prefix });
    let api = connect()?.negotiate_version().await?;

    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let workers = (0..at_once).map(|_| {
        let (api, next, wish) = (api.clone(), next.clone(), wish.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                one(&api, &wish, number).await?;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        let ended: Result<(), bollard::errors::Error> = worker.await?;
        ended?;
    }
    let wall = began.elapsed().as_secs_f64();
    let cpu = cpu_ms() / count as f64;
    writeln!(
        std::io::stdout(),
        "raw: {count} containers, {at_once} at once, network {}: {wall:.2} s, {:.1}/s, {cpu:.2} ms of CPU each",
        wish.network,
        count as f64 / wall
    )?;
    Ok(())
}

/// The kind of connection that combu uses.
fn connect() -> Result<Docker, bollard::errors::Error> {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => Docker::connect_with_host(&host),
        _ => Docker::connect_with_unix("/var/run/docker.sock", 180, API_DEFAULT_VERSION),
    }
}

async fn one(api: &Docker, wish: &Wish, number: usize) -> Result<(), bollard::errors::Error> {
    let name = format!("{}-{number}", wish.prefix);
    let body = ContainerCreateBody {
        image: Some(wish.image.clone()),
        cmd: Some(vec!["true".to_owned()]),
        host_config: Some(HostConfig { network_mode: Some(wish.network.clone()), ..Default::default() }),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let id = api.create_container(Some(options), body).await?.id;
    api.start_container(&id, None::<StartContainerOptions>).await?;
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    if let Some(Err(error)) = pin!(api.wait_container(&id, Some(options))).next().await {
        return Err(error);
    }
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    api.remove_container(&id, Some(options)).await
}

/// CPU time of this process so far in milliseconds, from the kernel's own account: user and system time, in hundredths
/// of a second.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}
