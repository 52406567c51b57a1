//! The Docker daemon of the tests: an image made here, names that nobody else uses, and nothing left behind.

use std::collections::HashMap;
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
};
use combu::engine::docker::Docker;
use combu::engine::{Engine, Launch, Settings};
use combu::model::label;
use combu::model::name::Name;
use combu::model::trial::Trial;
use futures_util::StreamExt;

/// The image of the tests: busybox and nothing else.
pub(crate) const IMAGE: &str = "combu-test/busybox:1";

/// Images that stand in for those that the specs of the first combu name, each with the command it has by itself: a
/// server that ends when asked to, a program, a server that ends at once, and what busybox has everywhere.
const STAND_INS: [(&str, &str); 4] = [
    ("maze", r#"CMD ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]"#),
    ("navi", ""),
    ("web", r#"CMD ["true"]"#),
    ("busybox", r#"CMD ["sh"]"#),
];

/// A daemon, and one test's own names on it. Dropping it removes everything of those names.
pub(crate) struct Daemon {
    /// The engine under test.
    pub(crate) engine: Docker,
    /// The same daemon, to look behind the engine.
    pub(crate) api: bollard::Docker,
    prefix: String,
}

/// The daemon, where one answers. Where none does, the test is skipped aloud, or fails if `COMBU_TEST_DOCKER=required`.
pub(crate) fn daemon() -> Option<Daemon> {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let prefix = format!("combu-test-{}-{}-", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let connected = apart(async {
        let engine = Docker::connect(&Settings::default()).await.map_err(|error| error.chain())?;
        let api = bollard::Docker::connect_with_host(address(&engine)).map_err(|error| error.to_string())?;
        let api = api.negotiate_version().await.map_err(|error| error.to_string())?;
        ensure_image(&api).await;
        Ok::<_, String>((engine, api))
    });
    match connected {
        Ok((engine, api)) => Some(Daemon { engine, api, prefix }),
        Err(reason) if std::env::var("COMBU_TEST_DOCKER").is_ok_and(|wish| wish == "required") => {
            panic!("COMBU_TEST_DOCKER=required, but {reason}")
        }
        Err(reason) => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Written past libtest's capture: a skipped test must not look like one that passed.
            writeln!(std::io::stderr(), "SKIPPED (no Docker): {test}: {reason}").expect("stderr can be written");
            None
        }
    }
}

/// Where the engine found its daemon.
pub(crate) fn address(engine: &Docker) -> &str {
    engine.capabilities().description.split_once(" at ").expect("a description ends with the address").1
}

impl Daemon {
    /// A name of this test's own.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The value that identifies this test's run.
    pub(crate) fn run(&self) -> String {
        self.name("run")
    }

    /// A launch of a shell line in the test image, under a name of this test's own.
    pub(crate) fn launch(&self, name: &str, line: &str, edit: impl FnOnce(&mut Trial)) -> Launch {
        let mut trial = Trial::new(Name::parse(&self.name(name)).unwrap());
        trial.image = Some(IMAGE.to_owned());
        trial.cmd = Some(["sh", "-c", line].map(str::to_owned).to_vec());
        edit(&mut trial);
        let labels = [
            (label::RUN, self.run()),
            (label::EXPERIMENT, "combu-test".to_owned()),
            (label::TRIAL, trial.name.to_string()),
            (label::ATTEMPT, "1".to_owned()),
            (label::SPEC, format!("/{}", self.name("spec.jsonnet"))),
            (label::VERSION, "test".to_owned()),
        ];
        Launch {
            run: self.run().as_str().into(),
            trial: Arc::new(trial.into()),
            attempt: 1,
            content: None,
            cores: Vec::new(),
            gpus: Vec::new(),
            folder: None,
            env: vec![("COMBU".to_owned(), "1".to_owned()), ("COMBU_SEED".to_owned(), "7".to_owned())],
            passed: Vec::new(),
            params: None,
            labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let (api, prefix) = (self.api.clone(), self.prefix.clone());
        // Best effort: a test that removed its things itself leaves nothing, and what fails here has other names next time.
        apart(async move {
            let named = HashMap::from([("name", vec![prefix.clone()])]);
            let options = ListContainersOptionsBuilder::new().all(true).filters(&named).build();
            for container in api.list_containers(Some(options)).await.unwrap_or_default() {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                let _gone = api.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
            }
            let options = ListNetworksOptionsBuilder::new().filters(&named).build();
            for network in api.list_networks(Some(options)).await.unwrap_or_default() {
                let _gone = api.remove_network(&network.id.unwrap_or_default()).await;
            }
            let options = ListImagesOptionsBuilder::new().build();
            let images = api.list_images(Some(options)).await.unwrap_or_default();
            for name in images.into_iter().flat_map(|image| image.repo_tags).filter(|name| name.starts_with(&prefix)) {
                let _gone = api.remove_image(&name, None::<RemoveImageOptions>, None).await;
            }
            let options = ListVolumesOptionsBuilder::new().filters(&named).build();
            let volumes = api.list_volumes(Some(options)).await.unwrap_or_default().volumes;
            for volume in volumes.unwrap_or_default() {
                let _gone = api.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
            }
        });
    }
}

/// Runs a future on a runtime of its own thread: also inside another runtime, and while unwinding.
pub(crate) fn apart<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(future)
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("the thread does not panic"))
}

/// Makes the images that stand in for those of the first combu's specs.
pub(crate) fn ensure_stand_ins(daemon: &Daemon) {
    apart(async {
        for (repository, change) in STAND_INS {
            ensure(&daemon.api, &format!("combu-test/{repository}"), "latest", change).await;
        }
    });
}

pub(crate) async fn ensure_image(api: &bollard::Docker) {
    let (repository, tag) = IMAGE.split_once(':').expect("it has a tag");
    ensure(api, repository, tag, "").await;
}

/// Makes an image unless it is there; other test processes wait meanwhile.
async fn ensure(api: &bollard::Docker, repository: &str, tag: &str, change: &str) {
    let name = format!("{repository}:{tag}");
    if api.inspect_image(&name).await.is_ok() {
        return;
    }
    let lock = std::fs::File::create(std::env::temp_dir().join("combu-test-image.lock")).unwrap();
    lock.lock().unwrap();
    if api.inspect_image(&name).await.is_ok() {
        return;
    }
    import(api, repository, tag, change).await;
}

/// Makes an image, or moves its tag to a new content.
pub(crate) async fn import(api: &bollard::Docker, repository: &str, tag: &str, change: &str) {
    let changes = if change.is_empty() { Vec::new() } else { vec![change.to_owned()] };
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).changes(changes).build();
    let mut answers = api.create_image(Some(options), Some(bollard::body_full(root_filesystem().into())), None);
    while let Some(answer) = answers.next().await {
        answer.expect("the daemon imports the image of the tests");
    }
}

/// A tar of a root filesystem with busybox, and a `make` that says what it is asked for.
fn root_filesystem() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("a static busybox is installed (package busybox-static)");
    std::fs::copy(busybox, bin.join("busybox")).unwrap();
    let applets = String::from_utf8(Command::new(busybox).arg("--list").output().unwrap().stdout).unwrap();
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", bin.join(applet)).unwrap();
    }
    std::fs::write(bin.join("make"), "#!/bin/sh\necho made $*\n").unwrap();
    std::fs::set_permissions(bin.join("make"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let tmp = folder.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    std::fs::set_permissions(&tmp, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder.path()).args(["--owner=0", "--group=0", "-cf", "-", "bin", "tmp"]);
    let tar = tar.output().expect("tar is installed");
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}
