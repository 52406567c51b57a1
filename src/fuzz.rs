//! Fuzzing of the readers, for tests alone: where inputs begin, and the two ways in which they are varied.
//!
//! A target is a test in a file `fuzz.rs` beside its readers; it gives [`check`] what inputs begin with, and what is to be
//! true of any input whatever. `cargo test` tries all beginnings and some variations, the same every time. Built as
//! `.ci/fuzz` does, the same test goes on for as long as it is told, and libFuzzer varies what reached new code.

use std::collections::BTreeSet;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use serde::Deserialize;
use serde_json::Value;

/// The variable that names a file or a folder of further inputs: a finding, or specs from elsewhere.
const MORE: &str = "COMBU_FUZZ_SEEDS";

/// Stack of the thread that reads: scripts are promised as much, and libFuzzer's build takes more of it than others.
const STACK: usize = 256 << 20;

/// Longest input in bytes: a longer one reaches nothing that this one does not.
#[cfg(not(fuzzing_libfuzzer))]
const LONGEST: usize = 64 << 10;

/// Reads every input that the target begins with, and variations of them.
pub(crate) fn check(seeds: impl IntoIterator<Item = impl Into<Vec<u8>>>, read: fn(&[u8])) {
    let mut all: BTreeSet<Vec<u8>> = seeds.into_iter().map(Into::into).collect();
    assert!(!all.is_empty(), "nothing to begin with");
    if let Some(more) = std::env::var_os(MORE) {
        files(Path::new(&more), &mut |_, content| _ = all.insert(content));
    }
    let seeds: Vec<Vec<u8>> = all.into_iter().collect();
    let reader = thread::Builder::new().stack_size(STACK).spawn(move || vary(&seeds, read));
    if let Err(panic) = reader.unwrap().join() {
        resume_unwind(panic);
    }
}

/// Leaves it to libFuzzer, whose arguments are in `BOLERO_LIBFUZZER_ARGS`, and which reads the seeds from a folder.
#[cfg(fuzzing_libfuzzer)]
fn vary(seeds: &[Vec<u8>], read: fn(&[u8])) {
    let folder = std::env::var_os("COMBU_FUZZ_FOLDER").expect("`.ci/fuzz` names a folder for the seeds");
    for (index, seed) in seeds.iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("{index:05}")), seed).unwrap();
    }
    bolero::check!().for_each(move |input: &[u8]| read(input));
}

#[cfg(not(fuzzing_libfuzzer))]
fn vary(seeds: &[Vec<u8>], read: fn(&[u8])) {
    use rand::rngs::StdRng;
    use rand::seq::IndexedRandom;
    use rand::{RngExt, SeedableRng};

    /// Variations of all seeds together.
    const VARIATIONS: usize = 500;

    /// Says which input it was that a reader did not survive.
    struct Shown<'a>(&'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                panic_input(self.0);
            }
        }
    }

    let try_one = |input: &[u8]| {
        let _shown = Shown(input);
        read(input);
    };
    seeds.iter().for_each(|seed| try_one(seed));
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..VARIATIONS {
        let mut input = seeds.choose(&mut random).cloned().unwrap_or_default();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..=input.len());
            let end = (at + random.random_range(0..16)).min(input.len());
            let other = seeds.choose(&mut random).map_or(&[][..], Vec::as_slice);
            let new = match random.random_range(0..6) {
                0 => Vec::new(),
                1 => input[at..end].repeat(random.random_range(2..40)),
                2 => vec![random.random::<u8>()],
                3 => other[random.random_range(0..=other.len())..].to_vec(),
                4 => input.get(at).map(|byte| byte ^ (1 << random.random_range(0..8))).into_iter().collect(),
                _ => WORDS.choose(&mut random).map_or(&[][..], |word| word.as_bytes()).to_vec(),
            };
            input.splice(at..end, new);
            input.truncate(LONGEST);
        }
        try_one(&input);
    }
}

/// Where limits lie, and what stands between things.
#[cfg(not(fuzzing_libfuzzer))]
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "NaN",
    "255",
    "65536",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e-320",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\0",
    "\r\n",
    "題",
    "\u{feff}",
    "\\",
    "'",
    "=",
];

/// Shown as bytes: what stands in it may be no text.
#[cfg(not(fuzzing_libfuzzer))]
#[expect(clippy::print_stderr, reason = "the test has failed, and this says with what")]
fn panic_input(input: &[u8]) {
    eprintln!("the input: b\"{}\"", input.escape_ascii());
}

/// Texts that stand in the repository: files with one of these endings, blocks of its pages, and strings of its Rust code, in
/// which the tests have their specs, scripts, events and messages.
pub(crate) fn texts(endings: &[&str]) -> impl Iterator<Item = String> {
    let mut texts = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["benches", "docs", "scripts", "src", "stdlib", "tests", "README.md"] {
        files(&root.join(folder), &mut |path, content| {
            let Ok(text) = String::from_utf8(content) else { return };
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            match ending {
                "rs" => strings(&text, &mut texts),
                "md" => texts.extend(text.split("```").skip(1).step_by(2).map(block)),
                _ => {}
            }
            if endings.contains(&ending) {
                texts.insert(text);
            }
        });
    }
    assert!(texts.len() > 1_000, "the repository's texts were not found");
    texts.into_iter()
}

/// The values that stand as `json!(..)` in a source.
pub(crate) fn literals(source: &str) -> Vec<Value> {
    let value = |behind| Value::deserialize(&mut serde_json::Deserializer::from_str(behind)).ok();
    source.split("json!(").skip(1).filter_map(value).collect()
}

/// What stands in a fenced block, behind the word for its language.
fn block(fenced: &str) -> String {
    fenced.split_once('\n').map_or("", |(_, text)| text).to_owned()
}

/// The string literals of a source.
fn strings(source: &str, texts: &mut BTreeSet<String>) {
    let mut rest = source;
    while let Some(quote) = rest.find('"') {
        let (before, after) = rest.split_at(quote);
        let signs = before.len() - before.trim_end_matches('#').len();
        let raw = before[..before.len() - signs].ends_with('r');
        let after = &after[1..];
        let end = if raw { after.find(&format!("\"{}", "#".repeat(signs))) } else { closing(after) };
        let Some(end) = end else { return };
        let text = &after[..end];
        let text = if raw { text.to_owned() } else { unescaped(text) };
        // As a format, it has each of its braces twice.
        if text.contains("{{") {
            texts.insert(text.replace("{{", "{").replace("}}", "}"));
        }
        texts.insert(text);
        rest = &after[end + 1..];
    }
}

/// Where a literal ends.
fn closing(literal: &str) -> Option<usize> {
    let mut escaped = false;
    literal.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                // A line that goes on, with its indentation.
                Some('\n') => rest = rest.as_str().trim_start().chars(),
                Some('u') => {
                    let (code, behind) = rest.as_str().split_once('}').unwrap_or_default();
                    let code = u32::from_str_radix(code.trim_start_matches('{'), 16);
                    text.extend(code.ok().and_then(char::from_u32));
                    rest = behind.chars();
                }
                other => text.extend(other),
            },
            c => text.push(c),
        }
    }
    text
}

/// Calls `take` with every file at or below a path, and its content.
fn files(path: &Path, take: &mut impl FnMut(&Path, Vec<u8>)) {
    if path.is_dir() {
        let mut below: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        below.sort();
        below.iter().for_each(|path| files(path, take));
    } else {
        take(path, fs::read(path).unwrap());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[cfg(not(fuzzing_libfuzzer))]
    use super::check;
    use super::{literals, strings, texts};

    #[test]
    fn strings_of_a_source_are_what_they_stand_for() {
        let mut found = BTreeSet::new();
        let source = r###"let a = "one \"two\"\n\u{984c} \
                three"; let b = r#"{"x": 1}"#; format!("{{a}}");"###;
        strings(source, &mut found);
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["one \"two\"\n題 three", "{\"x\": 1}", "{a}", "{{a}}"]);
    }

    #[test]
    fn values_of_a_source_are_read() {
        let found = literals("let a = json!({\"x\": [1, \")\"]}); f(json!(2.5), json!(name))");
        assert_eq!(found, [serde_json::json!({"x": [1, ")"]}), serde_json::json!(2.5)]);
    }

    #[test]
    fn specs_and_scripts_of_the_repository_are_among_the_texts() {
        let all: Vec<String> = texts(&["rhai", "libsonnet"]).collect();
        for part in ["fn grid(", "local id = ", "trials: [", "\"event\":", "::combu metric"] {
            assert!(all.iter().any(|text| text.contains(part)), "{part}");
        }
    }

    #[test]
    #[should_panic(expected = "found it")]
    #[cfg(not(fuzzing_libfuzzer))]
    fn a_reader_that_panics_is_found() {
        check(["#7", "x"], |input| assert!(!input.starts_with(b"##"), "found it"));
    }
}
