//! Settings that the command line and the environment give to engines.

use std::path::PathBuf;

/// Settings of the way to engines.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The program started (with `__watch`) to end local trials when combu dies; absent: none is started.
    pub watch: Option<PathBuf>,
    /// The program that tells this machine's GPUs, as `nvidia-smi` does; absent: `nvidia-smi`, where that is in `PATH`.
    pub nvidia_smi: Option<PathBuf>,
}
