//! The manual of the script API, `docs/scripting.md`: the table of functions and what the modules say of themselves.

use std::collections::BTreeSet;

use crate::report::Style;
use crate::script::api::table;
use crate::script::stdlib::EMBEDDED;

/// Widest line of a page.
const WIDTH: usize = 120;

/// The text of `docs/scripting.md`.
pub fn reference() -> String {
    let mut text = table::TEXT.to_owned();
    text.push_str("\n## Modules\n");
    for (name, source) in EMBEDDED {
        module(&mut text, name, source);
    }
    let first = text.find("\n## ").unwrap_or(text.len());
    text.insert_str(first, &contents(&text));
    text
}

/// The sections with links, and the functions in each.
fn contents(text: &str) -> String {
    let mut lines = "\n## Contents\n\n".to_owned();
    for section in text.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let anchor = title.to_lowercase().replace(' ', "-");
        let names = section.lines().filter_map(|line| line.strip_prefix("### `").or(line.strip_prefix("#### `")));
        let mut names: Vec<&str> = names.flat_map(table::names_in).collect();
        let mut seen = BTreeSet::new();
        let is_name = |name: &str| !name.is_empty() && !name.contains(' ') && name != "FIELD" && name != "NAME";
        names.retain(|name| is_name(name) && seen.insert(*name));
        let line = format!("* [{title}](#{anchor}): {}", names.join(", "));
        lines.push_str(&Style { width: WIDTH, ..Style::PLAIN }.wrap("", &line, 2).join("\n"));
        lines.push('\n');
    }
    lines
}

/// A module's own comments: the head, and what stands above each function.
fn module(text: &mut String, name: &str, source: &str) {
    let head: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("// ")).collect();
    let short = name.rsplit('/').next().unwrap_or(name);
    text.push_str(&format!("\n### `import \"{name}\" as {short};`\n\n{}\n", head.join("\n")));
    let mut comment: Vec<&str> = Vec::new();
    for line in source.lines() {
        if let Some(said) = line.strip_prefix("/// ") {
            comment.push(said);
            continue;
        }
        if let Some(signature) = line.strip_prefix("fn ") {
            let signature = signature.trim_end_matches(" {");
            text.push_str(&format!("\n#### `{short}::{signature}`\n\n{}\n", comment.join("\n")));
        }
        comment.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[test]
    fn docs_scripting_md_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scripting.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == reference(), "run the tests with UPDATE_DOCS=1 to write docs/scripting.md");
    }
}
