//! Faults of the state folder by seed: it is removed, replaced, locked or full at any moment of a run of local trials. Each
//! trial is launched once and ends as it would have, and the exit code is 0 only where nothing is missing.
//! `COMBU_FAULT_ROUNDS` runs more rounds of each.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{Lab, Live, fault_rounds, named};
use crate::small_disk::SmallDisk;

const TRIALS: usize = 12;
const LINES: usize = 40;

fn spec() -> String {
    format!(
        r#"
local seq = 'i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; sleep 0.01; done; ';
{{ engine: 'local', parallel: 4, trials: [
  {{ name: 't%d' % n, workdir: '.', outputs: ['out%d' % n],
     cmd: ['sh', '-c', 'echo t%d >>launches; echo %d >out%d; ' % [n, n, n] + seq] }} for n in std.range(0, {TRIALS} - 1)] }}"#
    )
}

/// A run, and a fault of its state folder at any moment.
struct Round {
    lab: Lab,
    state: PathBuf,
    random: Xoshiro256PlusPlus,
    context: String,
}

impl Round {
    fn new(kind: &str, seed: u64) -> Self {
        let lab = Lab::with(&spec());
        let state = lab.path(".combu");
        Self { lab, state, random: Xoshiro256PlusPlus::seed_from_u64(seed), context: format!("{kind} seed {seed}") }
    }

    /// Starts the run and waits for any moment of it.
    fn begin(&mut self) -> Live {
        let mut live = self.lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
        live.line(r#""event":"attempt-started""#);
        for _ in 0..self.random.random_range(0..40) {
            if live.any_line().is_none() {
                break;
            }
        }
        self.pause(100);
        live
    }

    fn pause(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.random.random_range(0..most)));
    }

    fn judge(&self, live: Live) {
        let said = live.end();
        let events = said.events();
        let story = || format!("{}\n{}\n{}", self.context, said.stdout, said.stderr);
        let ends = named(&events, "trial-ended");
        assert_eq!(ends.len(), TRIALS, "{}", story());
        assert!(ends.iter().all(|end| end["status"] == "succeeded"), "{}", story());
        let mut launches: Vec<String> = self.lab.read("launches").lines().map(str::to_owned).collect();
        launches.sort();
        launches.dedup();
        assert_eq!((launches.len(), self.lab.read("launches").lines().count()), (TRIALS, TRIALS), "{}", story());
        let code = said.code.expect("it ended by itself");
        if code != 0 {
            assert_eq!(code, 1, "{}", story());
            let is_more = |event: &Value, what: &str| event[what].as_u64().is_some_and(|count| count > 0);
            let is_said = events
                .iter()
                .any(|event| event["incomplete"] == true || is_more(event, "unkept") || is_more(event, "lost"));
            assert!(is_said, "{}", story());
            return;
        }
        // Nothing is missing, and everything that is shown is there.
        let listed = self.lab.combu(&["ls", "-o", "json"]).code(0).json();
        assert_eq!(listed[0]["counts"]["succeeded"], TRIALS, "{}: {listed}", story());
        let whole: String = (1..=LINES).map(|line| format!("line {line}\n")).collect();
        for n in 0..TRIALS {
            let trial = format!("t{n}");
            let log = self.lab.combu(&["logs", &trial]).code(0).stdout;
            assert!(log == whole, "{trial}: {log:?} {}", story());
            let run = fs::read_dir(self.state.join("runs")).unwrap().next().unwrap().unwrap().path();
            let output = fs::read_to_string(run.join(&trial).join(format!("outputs/out{n}")));
            assert_eq!(output.ok(), Some(format!("{n}\n")), "{trial}: {}", story());
        }
    }
}

#[test]
fn a_state_folder_that_goes_under_a_run_costs_no_trial() {
    for seed in 0..fault_rounds(3) {
        let mut round = Round::new("removed", seed);
        let live = round.begin();
        match round.random.random_range(0..3) {
            // What is written while it goes may stay, and then it says so.
            0 => drop(Command::new("rm").arg("-rf").arg(&round.state).output().unwrap()),
            1 => fs::rename(&round.state, round.lab.path("moved")).unwrap(),
            _ => {
                for file in ["combu.db", "combu.db-wal", "combu.db-shm"] {
                    let _absent = fs::remove_file(round.state.join(file));
                }
            }
        }
        round.judge(live);
    }
}

#[test]
fn a_database_that_is_locked_under_a_run_costs_nothing() {
    for seed in 0..fault_rounds(3) {
        let mut round = Round::new("locked", seed);
        let live = round.begin();
        {
            let other = Connection::open(round.state.join("combu.db")).unwrap();
            other.busy_timeout(Duration::from_secs(10)).unwrap();
            other.execute_batch("BEGIN EXCLUSIVE").unwrap();
            round.pause(4000);
        }
        round.judge(live);
    }
}

#[test]
fn a_disk_that_is_full_under_a_run_costs_no_trial() {
    for seed in 0..fault_rounds(3) {
        let mut round = Round::new("full", seed);
        round.state = round.lab.path("small");
        let Some(_disk) = SmallDisk::on(&round.state) else { return };
        let state = round.state.display().to_string();
        round.lab.set("COMBU_DIR", state);
        let live = round.begin();
        let filler = round.state.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        round.pause(2000);
        if round.random.random_bool(0.7) {
            fs::remove_file(&filler).unwrap();
        }
        round.judge(live);
    }
}
