//! The modules of the binary that are written in Rhai.

/// By their names.
pub(super) const EMBEDDED: [(&str, &str); 2] =
    [("combu/lab", include_str!("../../stdlib/lab.rhai")), ("combu/search", include_str!("../../stdlib/search.rhai"))];

/// The text of one.
pub(super) fn embedded(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
