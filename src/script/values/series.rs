//! The values of a metric as scripts have them: to a script an array like any other, which costs nothing to ask for.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use rhai::{Array, Dynamic, Map};

/// What a metric told up to some moment. All series of a metric share one list, which only grows at its end: to make one, and
/// to hand it from variable to variable, copies nothing.
#[derive(Clone)]
pub(crate) struct Series {
    /// An array of maps, all of which are shared, and which nobody changes.
    all: Dynamic,
    /// How many of them there were.
    length: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self { all: Dynamic::from_array(Array::new()).into_read_only().into_shared(), length: 0 }
    }
}

impl Series {
    /// Adds what the list lacks; false where a script goes through the list as an array, so that it cannot grow.
    pub(crate) fn grow(&mut self, missing: impl Iterator<Item = Map>) -> bool {
        let Some(mut all) = self.all.write_lock::<Array>() else { return false };
        all.extend(missing.map(|map| Dynamic::from_map(map).into_read_only().into_shared()));
        self.length = all.len();
        true
    }

    /// The whole list as an array that is not copied where it is read in passing.
    pub(crate) fn in_passing(&self) -> Dynamic {
        self.all.clone()
    }

    fn all(&self) -> impl Deref<Target = Array> {
        self.all.read_lock::<Array>().expect("where scripts have series, none has the list itself")
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The value at a place, which the caller may change as its own.
    pub(crate) fn get(&self, place: usize) -> Option<Dynamic> {
        if place >= self.length {
            return None;
        }
        self.all().get(place).map(|value| value.clone().flatten())
    }

    /// The values of some places, which the caller may change as its own.
    pub(crate) fn part(&self, places: Range<usize>) -> Array {
        #[cfg(test)]
        copies::count(places.len());
        self.all()[places].iter().map(|value| value.clone().flatten()).collect()
    }

    /// An array of the values as they are shared: to be read, not changed.
    pub(crate) fn shared(&self) -> Array {
        #[cfg(test)]
        copies::count(self.length);
        self.all()[..self.length].to_vec()
    }

    /// An ordinary array of the same values.
    pub(crate) fn array(&self) -> Array {
        self.part(0..self.length)
    }
}

impl IntoIterator for Series {
    type Item = Dynamic;
    type IntoIter = SeriesValues;

    fn into_iter(self) -> SeriesValues {
        SeriesValues { of: self, next: 0 }
    }
}

/// The values of a series, one after the other.
pub(crate) struct SeriesValues {
    of: Series,
    next: usize,
}

impl Iterator for SeriesValues {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        let value = self.of.get(self.next)?;
        self.next += 1;
        Some(value)
    }
}

/// A value without what scripts do not see: that a closure shares it, or that it is the series of a metric and no array.
pub(crate) fn plain(value: &Dynamic) -> Cow<'_, Dynamic> {
    if let Some(series) = value.read_lock::<Series>() {
        return Cow::Owned(series.shared().into());
    }
    if value.is_shared() { Cow::Owned(value.clone().flatten()) } else { Cow::Borrowed(value) }
}

/// What a value is called in messages.
pub(crate) fn kind(value: &Dynamic) -> &'static str {
    if value.is::<Series>() { KIND } else { value.type_name() }
}

/// What a series is called: what it is to scripts.
pub(crate) const KIND: &str = "array";

/// For tests: how many values were copied from series to arrays.
#[cfg(test)]
pub(crate) mod copies {
    use std::cell::Cell;

    thread_local!(static COPIES: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count(more: usize) {
        COPIES.set(COPIES.get() + more);
    }

    /// The number since it was last asked for.
    pub(crate) fn take() -> usize {
        COPIES.take()
    }
}
