//! The store in trouble: a full disk, another version, damage. The run goes on, or is told clearly why it cannot begin.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use combu::store::StateDir;
use rusqlite::Connection;

use crate::harness::{Lab, named, stored};

/// A file system of a megabyte. Dropping it unmounts it.
struct Small(PathBuf);

impl Small {
    /// Nothing where this process may not mount one, which is said.
    fn on(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|said| said.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED (may not mount a small file system): {test}")
            .expect("stderr can be written");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_a_warning_and_what_could_not_be_kept_is_kept_later() {
    let mut lab = Lab::with(
        "local after(on) = [{trial: on, condition: 'completed'}];
        {engine: 'local', trials: [
            {name: 'fill', cmd: ['sh', '-c', 'head -c 2000000 /dev/zero > small/fill; true'], workdir: '.'},
            {name: 'full', cmd: ['sh', '-c', 'test ! -e small/more && head -c 200000 /dev/zero >> small/fill; true'],
                workdir: '.', depends: after('fill')}]
          + [{name: 'during-' + n, cmd: 'true', depends: after('full')} for n in std.range(1, 40)]
          + [{name: 'empty', cmd: 'rm small/fill', workdir: '.', depends: after('during-40')},
             {name: 'later', cmd: 'sleep 1.5', depends: after('empty')}]}",
    );
    let Some(_small) = Small::on(&lab.path("small")) else { return };
    let small = lab.path("small").display().to_string();
    lab.set("COMBU_DIR", small);
    let said = lab.combu(&["run", "spec.jsonnet", "-j", "1"]).code(0);
    assert!(said.stderr.contains("the store cannot be written, and the run goes on"), "{}", said.stderr);
    assert!(said.stderr.contains("database or disk is full"), "{}", said.stderr);
    assert!(said.stderr.contains("the store can be written again"), "{}", said.stderr);
    let runs = fs::read_dir(lab.path("small/runs")).unwrap();
    let run = runs.map(|entry| entry.unwrap().path()).next().unwrap();
    let events = stored(&run);
    assert_eq!(named(&events, "trial-ended").len(), 44);
    assert_eq!(named(&events, "run-ended").len(), 1);
}

#[test]
fn a_disk_that_is_full_from_the_start_lets_nothing_begin() {
    let mut lab =
        Lab::with("{engine: 'local', trials: [{name: 'a1', cmd: ['sh', '-c', 'touch began'], workdir: '.'}]}");
    let Some(_small) = Small::on(&lab.path("small")) else { return };
    let small = lab.path("small").display().to_string();
    lab.set("COMBU_DIR", small);
    let _full = fs::write(lab.path("small/fill"), vec![0; 2_000_000]);
    let said = lab.combu(&["run", "spec.jsonnet"]).code(1);
    assert!(said.stderr.contains("set COMBU_DIR to a folder that can be written: "), "{}", said.stderr);
    assert!(said.stderr.contains("full") || said.stderr.contains("No space left"), "{}", said.stderr);
    assert!(!lab.path("began").exists());
}

#[test]
fn a_store_of_another_version_or_a_damaged_one_lets_nothing_begin_and_is_left_as_it_is() {
    let lab = Lab::with("{engine: 'local', trials: [{name: 'a1', cmd: ['sh', '-c', 'touch began'], workdir: '.'}]}");
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    fs::remove_file(lab.path("began")).unwrap();
    let database = lab.path(".combu/combu.db");
    Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let shown = |text: &str| text.replace(&lab.path("").canonicalize().unwrap().display().to_string(), "[LAB]");
    let said = lab.combu(&["run", "spec.jsonnet"]).code(1);
    insta::assert_snapshot!(shown(&said.stderr), @"error: `[LAB]/.combu/combu.db` was written by a newer combu (its version is 99, this combu knows 1): use that one, or set COMBU_DIR to another folder");
    assert_eq!(lab.runs().len(), 1, "no run is left that did not begin");
    lab.combu(&["resume"]).code(1);
    Connection::open(&database).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(lab.events().len(), 6, "nothing was lost");
    fs::write(&database, "x".repeat(10_000)).unwrap();
    let said = lab.combu(&["run", "spec.jsonnet"]).code(1);
    insta::assert_snapshot!(shown(&said.stderr), @"error: `[LAB]/.combu/combu.db` is damaged or no database; move it away to begin anew: the logs in `runs/` do not need it: file is not a database");
    assert!(!lab.path("began").exists());
    assert_eq!(fs::read_to_string(&database).unwrap().len(), 10_000);
}

#[test]
fn several_processes_write_one_store_at_once() {
    let lab = Lab::new();
    for name in ["a", "b", "c"] {
        lab.write(
            &format!("{name}.jsonnet"),
            &format!("{{engine: 'local', trials: [{{name: '{name}-' + n, cmd: 'true'}} for n in std.range(1, 60)]}}"),
        );
    }
    let lives = ["a", "b", "c"].map(|name| lab.start(&["run", &format!("{name}.jsonnet"), "-j", "4"]));
    for live in lives {
        let said = live.end().code(0);
        assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    }
    let state = StateDir::locate(&lab.path(""), None, None).unwrap();
    for run in state.past_runs().unwrap().runs {
        assert_eq!(run.ends().unwrap().len(), 60);
    }
}
