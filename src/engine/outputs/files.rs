//! The files that were copied out of one attempt so far, and what was left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::engine::outputs::tree::{self, Tree};
use crate::model::event::Collected;

/// Bytes copied at a time.
const PIECE: usize = 128 << 10;

/// Takes the outputs of one attempt and keeps them in a folder. Clones share one state: copying blocks, so it is done on
/// other threads.
#[derive(Debug, Clone)]
pub struct Outputs(Arc<OutputsShared>);

#[derive(Debug)]
struct OutputsShared {
    tree: Tree,
    given_up: AtomicBool,
    state: Mutex<OutputsState>,
}

#[derive(Debug, Default)]
struct OutputsState {
    files: BTreeMap<PathBuf, Collected>,
    left_out: u64,
    /// The reason why the first of them was left out.
    because: Option<String>,
    error: Option<io::Error>,
}

/// Something that is copied, besides folders.
pub(super) enum OutputItem<'a> {
    File {
        mode: u32,
        modified: SystemTime,
        content: &'a mut dyn Read,
        original: Option<&'a File>,
    },
    Link(&'a Path),
    /// Another name of a file that was copied before.
    Again(&'a Path),
}

impl Outputs {
    /// Outputs kept in `folder`, which is made when the first comes. What an earlier attempt left there is removed.
    ///
    /// # Errors
    /// When that cannot be removed.
    pub fn into_folder(folder: &Path) -> io::Result<Self> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (tree, state) = (Tree::new(folder.to_owned()), Mutex::default());
        Ok(Self(Arc::new(OutputsShared { tree, given_up: AtomicBool::new(false), state })))
    }

    /// Takes the text of a file.
    pub fn take_text(&self, place: &str, text: &str) {
        let mut content = text.as_bytes();
        let modified = SystemTime::UNIX_EPOCH;
        let item = OutputItem::File { mode: 0o644, modified, content: &mut content, original: None };
        self.take(Path::new(place), item).expect("bytes in memory can be read");
    }

    /// Takes no more from now on.
    pub fn give_up(&self) {
        self.0.given_up.store(true, Ordering::Relaxed);
    }

    /// The files so far, by path.
    pub fn files(&self) -> Vec<Collected> {
        self.lock().files.values().cloned().collect()
    }

    /// Things that were not copied although they are there, as a clause for people; to be asked when all was taken.
    pub fn left_out(&self) -> Option<String> {
        let state = self.lock();
        let because = state.because.as_ref()?;
        Some(match state.left_out {
            1 => format!("something was left out: {because}"),
            count => format!("{count} things were left out; the first: {because}"),
        })
    }

    /// The reason why they are not complete, if this machine could not keep them.
    pub fn error(&self) -> Option<String> {
        self.lock().error.as_ref().map(ToString::to_string)
    }

    /// True when nothing more is taken.
    pub(super) fn is_over(&self) -> bool {
        self.0.given_up.load(Ordering::Relaxed) || self.lock().error.is_some()
    }

    /// Makes a folder; one that is there stays.
    pub(super) fn take_folder(&self, place: &Path, mode: u32) {
        if let Err(error) = self.0.tree.folder(place, mode) {
            self.meet(place, error);
        }
    }

    /// Takes what is no folder. Whatever this machine cannot do about it is kept for [`Self::error`] and
    /// [`Self::left_out`].
    ///
    /// # Errors
    /// When the content cannot be read.
    pub(super) fn take(&self, place: &Path, item: OutputItem<'_>) -> io::Result<()> {
        let taken = match item {
            OutputItem::File { mode, modified, content, original } => {
                match self.0.tree.file(place).and_then(|file| self.fill(file, content, original)) {
                    Ok(Ok((file, bytes, sha256))) => {
                        tree::finish(&file, mode, modified).map(|()| (bytes, Some(sha256)))
                    }
                    Ok(Err(error)) => {
                        self.0.tree.remove(place);
                        return Err(error);
                    }
                    Err(error) => Err(error),
                }
                .inspect_err(|_| self.0.tree.remove(place))
            }
            OutputItem::Link(target) => match tree::inward(place, target) {
                Some(target) => self.0.tree.link(place, &target).map(|()| (0, None)),
                None => {
                    self.leave_out(place, &format!("is a link that leads out, to `{}`", target.display()));
                    return Ok(());
                }
            },
            OutputItem::Again(of) => {
                let first = self.lock().files.get(of).map(|file| (file.bytes, file.sha256.clone()));
                match first {
                    Some(first) => self.0.tree.again(place, of).map(|()| first),
                    None => {
                        self.leave_out(place, "is another name of what was not copied");
                        return Ok(());
                    }
                }
            }
        };
        match taken {
            Ok((bytes, sha256)) => {
                let path = place.to_string_lossy().into_owned();
                self.lock().files.insert(place.to_owned(), Collected { path, bytes, sha256 });
            }
            Err(error) => self.meet(place, error),
        }
        Ok(())
    }

    /// Copies a file's content: its bytes and their hash. The outer error is of writing, the inner one of reading.
    fn fill(
        &self,
        mut to: File,
        content: &mut dyn Read,
        original: Option<&File>,
    ) -> io::Result<io::Result<(File, u64, String)>> {
        // Where the file system can share the blocks, only the hash is left to be found.
        let shared = original.is_some_and(|original| rustix::fs::ioctl_ficlone(&to, original).is_ok());
        let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
        loop {
            if self.0.given_up.load(Ordering::Relaxed) {
                return Err(io::Error::other("it was given up"));
            }
            let length = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            hash.update(&piece[..length]);
            bytes += length as u64;
            if !shared {
                io::Write::write_all(&mut to, &piece[..length])?;
            }
        }
        let digits = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Ok((to, bytes, digits)))
    }

    /// Takes an error of this machine: one about a single name leaves that out, any other ends it all.
    fn meet(&self, place: &Path, error: io::Error) {
        match Errno::from_io_error(&error) {
            Some(Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP) => {
                self.leave_out(place, "is in the way of something else, or behind a link");
            }
            Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ) => {
                self.leave_out(place, "has a name that cannot be here");
            }
            _ => drop(self.lock().error.get_or_insert(error)),
        }
    }

    /// Notes that something is there and was not copied; `because` is a clause about it.
    pub(super) fn leave_out(&self, place: &Path, because: &str) {
        let mut state = self.lock();
        state.left_out += 1;
        state.because.get_or_insert_with(|| format!("`{}` {because}", place.display()));
    }

    fn lock(&self) -> MutexGuard<'_, OutputsState> {
        self.0.state.lock().expect("no code panics while it holds the lock")
    }
}

/// True for a path of names only.
pub(super) fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}
