//! STUB
#![allow(missing_docs)]
use crate::model::event::Sink;
use crate::model::name::RunId;
use crate::model::options::Options;
use crate::model::summary::Summary;
use crate::plan::Plan;
use crate::run::session::Session;
use crate::spec::LoadOptions;
use std::any::Any;
use std::path::{Path, PathBuf};
use std::rc::Rc;
pub const STACK: usize = 64 << 20;
pub struct Host {
    pub session: Session,
    pub args: Vec<String>,
    pub options: Options,
    pub load: LoadOptions,
    pub stage: Rc<dyn Stage>,
}
pub trait Stage {
    fn open(&self, plan: &Plan, run: &RunId) -> Result<Opened, String>;
    fn print(&self, text: &str);
    fn debug(&self, place: &str, text: &str);
    fn closed(&self, summary: &Summary);
    fn live_kill(&self, spec: &Path) -> Result<Vec<String>, String>;
}
pub struct Opened {
    pub folder: Option<PathBuf>,
    pub sinks: Vec<Box<dyn Sink>>,
    pub keep: Box<dyn Any>,
}
#[derive(Debug, Default)]
pub struct Finish {
    pub failed: bool,
    pub halted: bool,
    pub exit: Option<i32>,
}
impl Finish {
    pub fn code(&self) -> i32 {
        0
    }
}
pub fn execute(_: &Path, _: Host) -> Result<Finish, ScriptError> {
    Ok(Finish::default())
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    pub file: PathBuf,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub source_line: Option<String>,
    pub message: String,
    pub hint: Option<String>,
    pub kind: Kind,
    pub trace: Vec<Place>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Read,
    Parse,
    Run,
    Interrupted(String),
    Engine,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    pub called: String,
}
