//! Outputs: where what a trial leaves goes.

/// Where a path of a trial goes below its folder of outputs: `/out/a` and `out/./a` to `out/a`. Nothing for a path that
/// names everything (`/`, `.`) or, being relative, leads out of the trial's working folder (`../a`).
pub fn place(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            // Above the root is the root.
            ".." if parts.pop().is_none() && !path.starts_with('/') => return None,
            ".." => {}
            part => parts.push(part),
        }
    }
    (!parts.is_empty() && !path.contains('\0')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_path_goes_to_the_same_place_below_the_outputs() {
        let places =
            ["/out/a", "out/./a", "//out//a/", "/../out/b/../a", "/", ".", "", "../a", "a/../../b", "a/..", "a\0b"];
        let found = places.map(|path| place(path).unwrap_or_default());
        assert_eq!(found, ["out/a", "out/a", "out/a", "out/a", "", "", "", "", "", "", ""]);
    }
}
