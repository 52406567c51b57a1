//! The functions of the script API as people read them: `reference.md`, which a test holds against what is registered.

/// The table, which is also most of the manual.
pub(super) const TEXT: &str = include_str!("reference.md");

/// The signatures in a heading: ``### `run(what)`, `run(what, options)` ``.
fn entries() -> impl Iterator<Item = &'static str> {
    let headings = TEXT.lines().filter_map(|line| line.strip_prefix("### "));
    headings.flat_map(|heading| heading.split('`').skip(1).step_by(2))
}

/// The names of functions and methods.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    entries().filter(|signature| signature.contains('(')).map(name)
}

/// The names in a heading, which begins behind its first backtick.
pub(super) fn names_in(heading: &str) -> impl Iterator<Item = &str> {
    let signatures = heading.split('`').step_by(2).filter(|signature| !signature.starts_with(", "));
    signatures.filter(|signature| !signature.contains(" + ") && !signature.ends_with(']')).map(name)
}

/// Signatures of a function, in each of its forms.
pub(crate) fn signatures(wanted: &str) -> impl Iterator<Item = &'static str> {
    entries().filter(move |signature| signature.contains('(') && name(signature) == wanted)
}

/// What the manual says of a function, with its heading; of each, where several have that name.
pub fn section(wanted: &str) -> Option<String> {
    let sections = TEXT.split("\n### ").skip(1);
    let is_of = |section: &&str| {
        let heading = section.lines().next().unwrap_or_default();
        heading.split('`').skip(1).step_by(2).any(|signature| name(signature) == wanted)
    };
    let found: Vec<_> = sections.filter(is_of).map(|text| text.split("\n## ").next().unwrap_or_default()).collect();
    let found: Vec<_> = found.iter().map(|text| format!("### {}", text.trim_end())).collect();
    (!found.is_empty()).then(|| found.join("\n\n"))
}

/// The names of the functions, without those that only stand for others.
pub fn functions() -> impl Iterator<Item = &'static str> {
    names().filter(|name| !name.is_empty())
}

/// The properties of a trial's result: `exit` in `t.exit`.
pub(super) fn properties_of_results() -> impl Iterator<Item = &'static str> {
    entries().filter_map(|signature| signature.strip_prefix("t.")).filter(|property| !property.contains('('))
}

/// The name in a signature: `filter` in `experiment.filter(closure)`, `ok` in `result.ok`.
fn name(signature: &str) -> &str {
    let called = signature.split('(').next().unwrap_or_default();
    called.rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{TEXT, entries, name};
    use crate::script::harness::Lab;

    /// What exists so that Rhai can print, compare and index, and what is Rhai's own or no function.
    const SILENT: [&str; 8] = ["to_string", "to_debug", "==", "!=", "index$get$", "index$set$", "pad", "blob"];
    const NOT_REGISTERED: [&str; 13] = [
        "print",
        "debug",
        "FIELD",
        "NAME",
        "on_start",
        "on_metric",
        "on_complete",
        "on_fail",
        "on_retry",
        "on_event",
        "",
        "+",
        "call",
    ];

    #[test]
    fn the_table_names_what_is_registered_and_nothing_else() {
        let lab = Lab::new();
        let metadata: serde_json::Value = serde_json::from_str(&lab.functions()).unwrap();
        let registered: BTreeSet<String> = metadata["functions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|function| function["name"].as_str().unwrap())
            .map(|name| name.trim_start_matches("get$").trim_start_matches("set$").to_owned())
            .filter(|name| !SILENT.contains(&name.as_str()))
            .collect();
        let written: BTreeSet<String> = entries()
            .map(|signature| if signature.ends_with(']') { "" } else { name(signature) })
            .map(|name| if name.contains(" + ") { "+" } else { name })
            .map(str::to_owned)
            .collect();
        let without: Vec<_> = registered.difference(&written).filter(|name| *name != "+").collect();
        let unknown: Vec<_> =
            written.difference(&registered).filter(|name| !NOT_REGISTERED.contains(&name.as_str())).collect();
        assert!(without.is_empty(), "registered but not in reference.md: {without:?}");
        assert!(unknown.is_empty(), "in reference.md but not registered: {unknown:?}");
    }

    /// The examples of a text.
    fn examples(text: &str) -> impl Iterator<Item = &str> {
        text.split("```rhai\n").skip(1).map(|block| block.split("```").next().unwrap())
    }

    /// A lab with the files that examples read.
    fn lab_of_examples() -> Lab {
        let solver =
            "name: 'solver-' + m + '-' + i, image: 'busybox', cmd: 'echo loss=0.5', params: { mode: m, id: i }";
        let spec = format!("[{{ {solver} }} for m in ['a', 'b'] for i in [1, 2]]");
        let lab = Lab::new();
        lab.file("experiment.jsonnet", &format!("local x = 1; {spec}"));
        lab.file("a.jsonnet", "[{ name: 'one', image: 'busybox' }]")
            .file("b.jsonnet", "[{ name: 'two', image: 'busybox' }]");
        lab.file("results.csv", "mode,loss\na,0.05\nb,0.5\n");
        lab
    }

    /// Each runs on the fake engine; what a line prints stands behind it, where that is the same everywhere.
    #[test]
    fn every_example_runs_and_prints_what_it_says() {
        let mut count = 0;
        let (mut compared, mut faults) = (0, Vec::new());
        for example in examples(TEXT) {
            let output = lab_of_examples().output(example);
            count += 1;
            if output.contains("script.rhai:") && !output.contains("debug script.rhai") {
                faults.push(format!("{example}{output}"));
            }
            for line in example.lines().filter(|line| line.trim_start().starts_with("print(")) {
                let Some((_, shown)) = line.split_once(");").and_then(|(_, rest)| rest.split_once("// ")) else {
                    continue;
                };
                compared += 1;
                if !output.lines().any(|printed| printed == shown) {
                    faults.push(format!("{line}\nis not what is printed:\n{output}"));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
        assert!(count > 90 && compared > 15, "{count} examples, {compared} lines with what they print");
    }

    #[test]
    fn every_function_has_an_example() {
        let called: BTreeSet<&str> = examples(TEXT)
            .flat_map(|example| example.lines().map(|line| line.split("//").next().unwrap_or_default()))
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .collect();
        let without: Vec<&str> = entries()
            .filter(|entry| !entry.ends_with(']') && !entry.contains(" + "))
            .map(name)
            .filter(|name| !["FIELD", "NAME"].contains(name) && !called.contains(name))
            .collect();
        assert!(without.is_empty(), "without an example: {without:?}");
        let sections = TEXT.split("\n### ").skip(1).map(|section| section.split("\n## ").next().unwrap());
        let bare: Vec<&str> = sections
            .filter(|section| !section.contains("```rhai"))
            .filter_map(|section| section.lines().next())
            .collect();
        assert!(bare.is_empty(), "without an example: {bare:?}");
    }

    /// Each line that prints has what it prints behind it.
    #[test]
    fn what_the_page_for_python_people_shows_is_so() {
        let page = include_str!("../../../docs/rhai.md");
        let mut lines = 0;
        for block in page.split("```rhai\n").skip(1) {
            let example = block.split("```").next().unwrap();
            let shown: Vec<&str> = example
                .lines()
                .filter(|line| line.contains("print("))
                .map(|line| line.split("// ").nth(1).unwrap())
                .collect();
            assert_eq!(Lab::new().output(example).lines().map(str::trim).collect::<Vec<_>>(), shown, "{example}");
            lines += shown.len();
        }
        assert!(lines > 5, "{lines} lines");
    }
}
