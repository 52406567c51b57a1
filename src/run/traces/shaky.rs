//! An engine some of whose calls fail: what happens while a daemon is away, in virtual time.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use crate::engine::fake::{Fake, Scene};
use crate::engine::{
    Cleaned, Engine, EngineError, Found, Health, Launch, Output, Outputs, PrepareProgress, Selector, Survey,
};
use crate::model::capability::{Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::name::EngineName;
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;
use crate::model::trial::settled::Settled;

/// What the calls of a [`Shaky`] engine meet.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Kind>);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    None,
    /// So many calls fail, and may succeed another time.
    Passing(usize),
    /// Every call fails, for good.
    Lasting,
    /// Nothing answers between these moments.
    Away(Instant, Instant),
}

impl Trouble {
    pub(crate) fn passing(times: usize) -> Self {
        Self(Mutex::new(Kind::Passing(times)))
    }

    pub(crate) fn lasting() -> Self {
        Self(Mutex::new(Kind::Lasting))
    }

    /// Nothing answers from that second on to that one.
    pub(crate) fn away(from: u64, to: u64) -> Self {
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        Self(Mutex::new(Kind::Away(at(from), at(to))))
    }

    /// When the engine goes away, and when it is back.
    fn absence(&self) -> Option<(Instant, Instant)> {
        match *self.0.lock().unwrap() {
            Kind::Away(from, to) => Some((from, to)),
            _ => None,
        }
    }

    fn meet(&self) -> Result<(), EngineError> {
        let now = Instant::now();
        match &mut *self.0.lock().unwrap() {
            Kind::Passing(left) if *left > 0 => {
                *left -= 1;
                Err(EngineError::Call { action: "ask".to_owned(), source: "connection reset".into() })
            }
            Kind::Lasting => Err(EngineError::Refused { message: "there is no such probe".to_owned() }),
            Kind::Away(from, to) if (*from..*to).contains(&now) => Err(EngineError::Unreachable {
                engine: EngineName::Fake,
                address: "the stage".to_owned(),
                source: "connection refused".into(),
            }),
            Kind::None | Kind::Passing(_) | Kind::Away(..) => Ok(()),
        }
    }
}

/// The fake engine, some of whose calls fail.
#[derive(Debug)]
pub(crate) struct Shaky {
    pub(crate) fake: Fake,
    pub(crate) waits: Trouble,
    pub(crate) collects: Trouble,
    /// Everything, but for pauses.
    pub(crate) all: Trouble,
    pub(crate) starts: Trouble,
    pub(crate) looks: Trouble,
    pub(crate) stops: Trouble,
    pub(crate) pauses: Trouble,
    pub(crate) unpauses: Trouble,
    /// When it was asked to stop, and with which grace, in seconds from the test's begin; and to pause and resume.
    pub(crate) stopped: Mutex<Vec<String>>,
    pub(crate) began: Instant,
}

impl Shaky {
    pub(crate) fn new(scene: Scene) -> Self {
        Self {
            fake: Fake::new(2.0).scene("aa", [scene]),
            waits: Trouble::default(),
            collects: Trouble::default(),
            all: Trouble::default(),
            starts: Trouble::default(),
            looks: Trouble::default(),
            stops: Trouble::default(),
            pauses: Trouble::default(),
            unpauses: Trouble::default(),
            stopped: Mutex::default(),
            began: Instant::now(),
        }
    }

    fn note(&self, what: &str) {
        let at = self.began.elapsed().as_secs_f64();
        self.stopped.lock().unwrap().push(format!("{at:.0}/{what}"));
    }
}

#[async_trait]
impl Engine for Shaky {
    fn capabilities(&self) -> &Capabilities {
        self.fake.capabilities()
    }
    async fn survey(&self, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError> {
        self.all.meet()?;
        self.fake.survey(spec, trials).await
    }
    async fn prepare(&self, launch: &Launch, progress: &PrepareProgress<'_>) -> Result<Option<String>, EngineError> {
        self.all.meet()?;
        self.fake.prepare(launch, progress).await
    }
    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError> {
        self.all.meet()?;
        self.starts.meet()?;
        self.fake.start(launch).await
    }
    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError> {
        self.looks.meet()?;
        self.all.meet()?;
        self.fake.healthy(handle, check).await
    }
    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        self.all.meet()?;
        self.waits.meet()?;
        let breaks = self.all.absence().map(|(from, _)| from).filter(|from| *from > Instant::now());
        let broken = async {
            match breaks {
                Some(from) => sleep_until(from).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            exit = self.fake.wait(handle, output) => exit,
            () = broken => Err(EngineError::Call { action: "wait".to_owned(), source: "connection reset".into() }),
        }
    }
    async fn collect(
        &self,
        handle: &Handle,
        launch: &Launch,
        (path, place): (&str, &str),
        outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        self.all.meet()?;
        self.collects.meet()?;
        self.fake.collect(handle, launch, (path, place), outputs).await
    }
    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        self.note(&grace.as_secs().to_string());
        self.stops.meet()?;
        self.all.meet()?;
        self.fake.stop(handle, grace).await
    }
    async fn pause(&self, handle: &Handle) -> Result<(), EngineError> {
        self.note("pause");
        self.pauses.meet()?;
        self.fake.pause(handle).await
    }

    async fn unpause(&self, handle: &Handle) -> Result<(), EngineError> {
        self.note("unpause");
        self.unpauses.meet()?;
        self.fake.unpause(handle).await
    }

    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError> {
        self.fake.gpus().await
    }

    async fn remove(&self, handle: &Handle) -> Result<(), EngineError> {
        self.all.meet()?;
        self.fake.remove(handle).await
    }
    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError> {
        self.all.meet()?;
        self.fake.find(selector).await
    }
    async fn clean(&self, selector: &Selector) -> Result<Cleaned, EngineError> {
        self.all.meet()?;
        self.fake.clean(selector).await
    }
}
