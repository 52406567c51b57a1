//! What can go wrong in the state folder.

use std::io;
use std::path::PathBuf;

use crate::model::history::UnreadRow;
use crate::model::name::RunId;
use crate::store::run::LiveRun;

/// What can go wrong in the state folder.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something in it cannot be read.
    #[error("cannot read `{}` in the state folder; set COMBU_DIR to another folder", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something in it cannot be written.
    #[error("cannot write `{}` in the state folder; set COMBU_DIR to a folder that can be written", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something else has its name.
    #[error("the state folder `{}` is not a folder; move that file away or set COMBU_DIR", path.display())]
    NotAFolder {
        /// Where the state folder should be.
        path: PathBuf,
    },
    /// Another user owns it.
    #[error("the state folder `{}` belongs to another user (uid {owner}); set COMBU_DIR to it if you trust them, or to a folder of your own", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// It is a copy of a folder that is still there.
    #[error("`{}` is a copy of `{}`, whose runs are that one's: look at them here, and go on in the original; to begin anew here, remove the copy of the folder", path.display(), original.display())]
    Copy {
        /// The folder.
        path: PathBuf,
        /// What it is a copy of.
        original: PathBuf,
    },
    /// A run of that id was recorded before.
    #[error("the run `{run}` exists already: `{}`", path.display())]
    RunExists {
        /// The run.
        run: RunId,
        /// Its folder.
        path: PathBuf,
    },
    /// A live run forbids another one.
    #[error("the experiment `{}` is running: run {}, process {}", by.record.experiment, by.record.run, by.record.pid)]
    Refused {
        /// The run that is alive.
        by: Box<LiveRun>,
    },
    /// The file system gives no locks.
    #[error("cannot lock `{}`; set COMBU_DIR to a folder on a local disk", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// SQLite failed on the database.
    #[error("cannot use the database `{}`; set COMBU_DIR to a folder that can be written", path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The database's content makes no sense.
    #[error("`{}` is damaged or no database; move it away to begin anew: the logs in `runs/` do not need it", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The database has a form that this version does not know.
    #[error(
        "`{}` was written by a newer combu (its version is {version}, this combu knows {known}): use that one, or set \
         COMBU_DIR to another folder", path.display()
    )]
    Newer {
        /// Its file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The last version that this combu knows.
        known: usize,
    },
    /// A row that matters cannot be read.
    #[error("{row}; `combu rm {run}` forgets that run", row = .0, run = .0.run)]
    Row(UnreadRow),
}

impl StoreError {
    /// Whether it comes from a full disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } | Self::Lock { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Database { source, .. } => source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }
}
