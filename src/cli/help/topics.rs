//! The topics of `combu help`, and the words that it knows.

use crate::report::Style;
use crate::spec::{self, BUDGET, FIELDS, Key, OPTIONS, TOP};

/// A topic: a page of the manual.
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// The page as Markdown.
    pub(super) text: fn() -> String,
}

const fn topic(name: &'static str, about: &'static str, text: fn() -> String) -> Topic {
    Topic { name, about, text }
}

/// Every topic, in the order in which a newcomer needs them.
pub(super) const TOPICS: [Topic; 9] = [
    topic("spec", "how experiments are described", spec::reference),
    topic("fields", "the fields of trials and the run options, in short", String::new),
    topic("schema", "the JSON Schema of specs, for editors", String::new),
    topic("script", "the functions of scripts", crate::script::reference),
    topic("metrics", "metrics of trials, and what they use of the machine", || {
        include_str!("../../../docs/metrics.md").to_owned()
    }),
    topic("outputs", "files that trials make", || include_str!("../../../docs/outputs.md").to_owned()),
    topic("looking", "what runs did, and their results", || include_str!("../../../docs/looking.md").to_owned()),
    topic("guest", "sharing a machine with others", || include_str!("../../../docs/guest.md").to_owned()),
    topic("gpus", "trials on GPUs", || include_str!("../../../docs/gpus.md").to_owned()),
];

/// The keys of a spec, under their headings.
fn keys() -> [(&'static str, Vec<&'static Key>); 3] {
    [
        ("Fields of a trial", FIELDS.iter().collect()),
        ("Run options, at the top level of a spec", BUDGET.iter().chain(OPTIONS).collect()),
        ("Other keys of the top level", TOP.iter().collect()),
    ]
}

/// The words of specs and scripts.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    keys().into_iter().flat_map(|(_, keys)| keys).map(|key| key.name).chain(crate::script::functions())
}

/// The keys of a spec with the first sentence that the manual says of each.
pub(super) fn fields(style: &Style) -> String {
    let mut text = String::new();
    let width = keys().iter().flat_map(|(_, keys)| keys).map(|key| key.name.len()).max().unwrap_or_default();
    for (heading, keys) in keys() {
        text.push_str(&format!("{}\n", style.bold(&format!("{heading}:"))));
        for key in keys {
            let about = without_links(key.meaning.split_inclusive(". ").next().unwrap_or_default().trim());
            let head = format!("  {:width$}  ", key.name);
            for line in style.wrap(&head, &about, width + 4) {
                text.push_str(&format!("{line}\n"));
            }
        }
        text.push('\n');
    }
    text.push_str("`combu help fields NAME` says all of one of them, `combu help spec` of all.");
    text
}

/// Markdown's links as their texts: `[outputs.md](outputs.md)` is `outputs.md`.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let parts = link.split_once("](").and_then(|(name, place)| Some((name, place.split_once(')')?.1)));
        let Some((name, after)) = parts else { break };
        plain.push_str(before);
        plain.push_str(name);
        rest = after;
    }
    plain + rest
}

/// What the manual says of a key of a spec, as Markdown: a name may be a field's and an option's.
pub(super) fn key(name: &str) -> Option<String> {
    let mut text = String::new();
    for (heading, keys) in keys() {
        for key in keys.iter().filter(|key| key.name == name) {
            let forms: Vec<_> = key.forms.iter().map(|form| format!("  {name}: {form}")).collect();
            text.push_str(&format!("**`{name}`** ({heading})\n\n{}\n\n", key.meaning));
            text.push_str(&format!("```\n{}\n```\n\n", forms.join("\n")));
        }
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{TOPICS, fields, key, words};
    use crate::report::Style;

    #[test]
    fn every_word_has_something_said_of_it() {
        for word in words() {
            let said = key(word).or_else(|| crate::script::section(word));
            assert!(said.is_some_and(|text| text.len() > word.len() + 20), "{word}");
        }
        for topic in TOPICS.iter().filter(|topic| !["fields", "schema"].contains(&topic.name)) {
            assert!((topic.text)().starts_with("# "), "{}", topic.name);
        }
        for line in fields(&Style { width: 40, ..Style::PLAIN }).lines().filter(|line| line.starts_with(' ')) {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn a_name_of_a_field_and_of_an_option_tells_both() {
        insta::assert_snapshot!(key("pull").unwrap(), @"
        **`pull`** (Fields of a trial)

        When the image is pulled; always means once per run. Default: `missing`.

        ```
          pull: 'always'
          pull: 'missing'
          pull: 'never'
        ```

        **`pull`** (Run options, at the top level of a spec)

        `pull` of trials that do not say it themselves.

        ```
          pull: 'always'
          pull: 'missing'
          pull: 'never'
        ```
        ");
    }
}
