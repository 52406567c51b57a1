//! The text of a script or module as Rhai reads it.

use std::borrow::Cow;

use crate::model::source::source_text;

/// The source text without a first line for the shell (`#!/usr/bin/env -S combu script`), whose end stays so that the other
/// lines keep their numbers.
pub(super) fn readable(text: &str) -> Cow<'_, str> {
    let text = source_text(text);
    if text.starts_with("#!") { text.trim_start_matches(|c| c != '\n').to_owned().into() } else { text }
}
