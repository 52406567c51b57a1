//! Fuzz targets: whatever the events of a run say, every report of them is made; and whatever a pattern of names is.

use std::io::sink;
use std::time::Duration;

use crate::cli::args::NamePattern;
use crate::cli::time::{minute, second, utc};
use crate::fuzz::{check, texts};
use crate::model::event::{Event, Fact, Sink};
use crate::model::history::History;
use crate::model::name::Name;
use crate::report::results::{ResultRow, cells, csv, facts};
use crate::report::{Json, NextCommands, Plain, Style, results_table, summary};

#[test]
fn reports_of_events() {
    let lines = crate::model::event::tests::facts().into_iter().map(|fact| serde_json::to_string(&fact).unwrap());
    let lines: Vec<String> = lines.collect();
    let told = texts(&[]).filter(|text| text.contains("\"event\""));
    let seeds = told.chain([lines.join("\n")]).chain(lines);
    check(seeds.collect::<Vec<_>>(), |input| {
        let read = |(at, line): (usize, &[u8])| {
            let of_run = |fact: Fact| Event { at: 1_795_000_000_000 + at as u64, run: "aaaaaaaaaaaa".into(), fact };
            let event = serde_json::from_slice(line).or_else(|_| serde_json::from_slice(line).map(of_run)).ok()?;
            // Logs are files of this machine, of which a report shows the last lines.
            let has_logs = matches!(&event, Event { fact: Fact::AttemptEnded { logs: Some(_), .. }, .. });
            (!has_logs).then_some(event)
        };
        let events: Vec<Event> = input.split(|byte| *byte == b'\n').enumerate().filter_map(read).collect();
        let colored = Style { color: true, width: 40, height: 10, unicode: true };
        for style in [Style::PLAIN, colored, Style { width: 1, ..colored }] {
            let (mut plain, mut json) = (Plain::new(Box::new(sink()), style), Json::new(Box::new(sink())));
            let mut history = History::default();
            for event in &events {
                history.add(event);
                plain.consume(event).unwrap();
                json.consume(event).unwrap();
                let _ = (minute(event.at), second(event.at), utc(event.at));
            }
            let (folder, kill) = (Some("/state/runs/a".as_ref()), Some("combu kill"));
            let next = NextCommands { folder, kill, combu: Some("combu"), run: None };
            assert!(summary(&history.summary, &next, &style).ends_with('\n'));
            let columns: Vec<String> =
                facts().map(str::to_owned).chain(["loss".to_owned(), "tags.x".to_owned()]).collect();
            let row = |result| {
                let row = ResultRow { result, status: "ended", origin: None };
                assert!(row.to_json().is_object());
                columns.iter().map(|column| row.value(column).unwrap_or_default()).collect()
            };
            let rows: Vec<Vec<_>> = history.summary.results.iter().map(row).collect();
            assert!(csv(&columns, &rows).unwrap().starts_with("name,"));
            assert!(!results_table(&columns, &cells(&rows), &style).is_empty());
        }
    });
}

#[test]
fn patterns_of_names() {
    let seeds = ["solver-*\nsolver-1", "a?[0-9]\na1b", "[!a]1\nb1", "{a}*\naa", "[z-a]\naa", "[\naa"];
    check(seeds, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let (pattern, name) = text.split_once('\n').unwrap_or((text, "solver-1"));
        let (Ok(pattern), Ok(name)) = (NamePattern::parse(pattern), Name::parse(name)) else { return };
        let started = std::time::Instant::now();
        let fits = pattern.fits(&name);
        assert!(started.elapsed() < Duration::from_secs(5), "it takes linear time");
        assert!(pattern.is_open() || fits == (pattern.text() == name.as_str()));
    });
}
