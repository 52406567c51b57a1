//! Fuzz targets: whatever a trial prints, or writes to its file of metrics, is a record, a complaint, or nobody's business;
//! and it is the same in whatever pieces it comes.

use crate::engine::records::recorder::tests::recorder;
use crate::engine::records::scan::Scanner;
use crate::fuzz::{check, texts};
use crate::model::event::Record;

/// What was told, and what was said of the rest.
fn heard(
    pieces: &[&[u8]],
    patterns: &[(&str, &str)],
    form: fn(&super::Recorder) -> Scanner,
) -> (Vec<Record>, Vec<String>) {
    let (recorder, told) = recorder(patterns);
    let mut scanner = form(&recorder);
    pieces.iter().for_each(|piece| scanner.take(piece));
    scanner.end();
    let clauses = recorder.finish();
    let told = told.lock().unwrap().clone();
    (told, clauses)
}

/// Every record reads back from what is stored of it.
fn are_kept(records: &[Record]) {
    for record in records {
        let stored = serde_json::to_string(record).unwrap();
        assert_eq!(serde_json::from_str(&stored).ok().as_ref(), Some(record), "{stored}");
    }
}

#[test]
fn output_of_trials() {
    const PATTERNS: [(&str, &str); 2] = [("loss", "loss:? ([-0-9.e]+)"), ("acc", "(?i)acc.*?(\\S+) ?%")];
    let told = texts(&[]).filter(|text| text.contains("::combu") || text.contains("loss"));
    check(told.map(String::into_bytes).chain([b"::combu metric loss=1\r\nloss: 2\nx".repeat(9)]), |input| {
        for patterns in [&PATTERNS[..], &[]] {
            let whole = heard(&[input], patterns, Scanner::of_output);
            are_kept(&whole.0);
            let pieces: Vec<&[u8]> = input.chunks(3).collect();
            assert_eq!(heard(&pieces, patterns, Scanner::of_output), whole, "in pieces");
        }
    });
}

#[test]
fn files_of_metrics() {
    let told = texts(&["jsonl"]).filter(|text| text.starts_with('{'));
    check(
        told.map(String::into_bytes).chain([b"{\"loss\": 0.3, \"step\": 1, \"phase\": \"a\"}\n".repeat(3)]),
        |input| {
            let whole = heard(&[input], &[], Scanner::of_json);
            are_kept(&whole.0);
            let pieces: Vec<&[u8]> = input.chunks(5).collect();
            assert_eq!(heard(&pieces, &[], Scanner::of_json), whole, "in pieces");
        },
    );
}

#[test]
fn patterns_of_metrics() {
    let seeds = texts(&[]).filter(|text| text.contains('(') && text.len() < 60);
    check(seeds.map(|text| format!("{text}\nloss: 0.5 acc 90 %")), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let (pattern, line) = text.split_once('\n').unwrap_or((text, ""));
        // Each is kept as long as the process, and of a real one there are few.
        if pattern.len() < 100
            && let Ok(pattern) = super::pattern::Pattern::new("loss", pattern)
            && let Some(Ok(records)) = pattern.find(line.as_bytes())
        {
            are_kept(&records);
        }
    });
}
