//! Cells for things that are made once, however many launches ask for them at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

/// A cell for each key; the first who asks fills it, the others wait for it.
#[derive(Debug)]
pub(super) struct Once<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self { cells: Mutex::default() }
    }
}

impl<K: Eq + Hash, V> Once<K, V> {
    /// The cell of that key.
    pub(super) fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        let mut cells = self.cells.lock().expect("no code panics while it holds the lock");
        Arc::clone(cells.entry(key).or_default())
    }

    /// Forgets the cells of the keys that match: what they stood for may be gone.
    pub(super) fn forget(&self, matches: impl Fn(&K) -> bool) {
        self.cells.lock().expect("no code panics while it holds the lock").retain(|key, _| !matches(key));
    }
}
