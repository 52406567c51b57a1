//! The store in trouble: a full disk, another version, damage. The run goes on, or is told clearly why it cannot begin.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use combu::store::{Search, StateDir};
use rusqlite::Connection;

use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{Lab, Live, eventually, named, stored};
use crate::small_disk::SmallDisk;

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
    let Some(_small) = SmallDisk::on(&lab.path("small")) else { return };
    let small = lab.path("small").display().to_string();
    lab.set("COMBU_DIR", small);
    // The logs of two trials are not complete.
    let said = lab.combu(&["run", "spec.jsonnet", "-j", "1"]).code(1);
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
    let Some(_small) = SmallDisk::on(&lab.path("small")) else { return };
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
    let state = StateDir::locate(&lab.path(""), Search::default()).unwrap();
    for run in state.past_runs().unwrap().runs {
        assert_eq!(run.ends().unwrap().len(), 60);
    }
}

#[test]
fn a_new_state_folder_is_its_owners_and_one_that_was_there_stays_as_it_is() {
    let lab = Lab::with("[{ name: 'one', engine: 'fake', cmd: 'true' }]");
    let mode = || fs::metadata(lab.path(".combu")).unwrap().permissions().mode() & 0o7777;
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    assert_eq!(mode(), 0o700);
    fs::remove_dir_all(lab.path(".combu")).unwrap();
    fs::create_dir(lab.path(".combu")).unwrap();
    fs::set_permissions(lab.path(".combu"), fs::Permissions::from_mode(0o2770)).unwrap();
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    assert_eq!(mode(), 0o2770);
}

#[test]
fn what_combu_makes_in_the_state_folder_is_open_to_whom_that_is() {
    let lab = Lab::with("[{ name: 'one', engine: 'local', cmd: ['sh', '-c', 'echo x; echo y >&2'] }]");
    // As if the caller's mask took nothing away.
    let modes = |state: u32| {
        let line = r#"umask 000; exec "$0" "$@""#;
        let mut command = lab.command("sh");
        let (code, stderr) = said(command.args(["-c", line, env!("CARGO_BIN_EXE_combu"), "run", "spec.jsonnet"]));
        assert_eq!(code, Some(0), "{stderr}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&lab.path(".combu")), state);
        let run = lab.only_run();
        let files =
            ["run.json", "lock", "provenance.json", "one/1/stdout.log", "one/1/stderr.log"].map(|file| run.join(file));
        let all = files.iter().chain([&lab.path(".combu/combu.db")]).map(|path| mode(path)).collect::<Vec<_>>();
        let folders = [run.clone(), run.join("one/1")].map(|path| mode(&path));
        fs::remove_dir_all(lab.path(".combu")).unwrap();
        (all, folders)
    };
    assert_eq!(modes(0o700), (vec![0o600; 6], [0o700; 2]));
    fs::create_dir(lab.path(".combu")).unwrap();
    fs::set_permissions(lab.path(".combu"), fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(modes(0o770), (vec![0o660; 6], [0o770; 2]));
}

/// Runs a program, and says with which code it ended and what it wrote to its standard error.
fn said(command: &mut Command) -> (Option<i32>, String) {
    let said = command.output().unwrap();
    (said.status.code(), String::from_utf8(said.stderr).unwrap())
}

#[test]
fn a_stranger_may_look_and_starts_or_signals_nothing() {
    if !rustix::process::getuid().is_root() {
        writeln!(
            std::io::stderr(),
            "SKIPPED (only root is two users): a_stranger_may_look_and_starts_or_signals_nothing"
        )
        .expect("stderr can be written");
        return;
    }
    let lab =
        Lab::with("[{ name: 'one', engine: 'fake', cmd: 'true' }, { name: 'two', engine: 'fake', cmd: 'sleep 600' }]");
    let program = lab.path("combu");
    fs::copy(env!("CARGO_BIN_EXE_combu"), &program).unwrap();
    let mut live = lab.start(&["run", "spec.jsonnet", "-j", "2", "--progress", "json"]);
    live.event("trial-ended", "one");
    let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(lab.path("")).status().unwrap();
    assert!(opened.success());
    let stranger = |args: &[&str]| {
        let mut command = lab.command(&program.display().to_string());
        said(command.args(args).uid(65534).gid(65534))
    };
    let looks = || {
        for look in [&["ls"][..], &["ps"], &["show"], &["results"]] {
            let (code, stderr) = stranger(look);
            assert_eq!(code, Some(0), "{look:?}: {stderr}");
        }
    };
    looks();
    let (code, stderr) = stranger(&["kill", "last"]);
    assert!(code == Some(1) && stderr.contains("belongs to another user (uid 0)"), "{code:?} {stderr}");
    live.signal(rustix::process::Signal::KILL);
    live.end();
    // Left as a killed combu leaves it, and then as one that ended.
    looks();
    assert_eq!(stranger(&["why", "one"]).0, Some(0));
    for verb in [&["resume"][..], &["run", "spec.jsonnet"], &["rerun", "last"], &["rm", "last"]] {
        let (code, stderr) = stranger(verb);
        assert!(code == Some(1) && stderr.contains("belongs to another user (uid 0)"), "{verb:?}: {code:?} {stderr}");
    }
    Connection::open(lab.path(".combu/combu.db"))
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    looks();
}

#[test]
fn a_project_ends_at_the_root_of_its_repository() {
    let lab = Lab::new();
    for folder in [".combu", "repository/.git", "repository/sweeps", "home/.combu", "home/project"] {
        fs::create_dir_all(lab.path(folder)).unwrap();
    }
    for spec in ["repository/sweeps/spec.jsonnet", "home/project/spec.jsonnet", "home/spec.jsonnet"] {
        lab.write(spec, "[{ name: 'one', engine: 'fake', cmd: 'true' }]");
    }
    let run = |folder: &str, spec: &str| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_combu"));
        command.current_dir(lab.path(folder)).args(["run", spec]).env("HOME", lab.path("home").canonicalize().unwrap());
        let (code, stderr) = said(&mut command);
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    };
    let above = lab.path(".combu").canonicalize().unwrap();
    let note = format!("note: the runs in `{0}` are not of this project; COMBU_DIR={0} uses it", above.display());
    assert!(run("repository/sweeps", "spec.jsonnet").contains(&note));
    assert!(lab.path("repository/sweeps/.combu/combu.db").exists());
    assert!(!run("repository/sweeps", "spec.jsonnet").contains("note:"));
    // Not that of the home folder, but for what lies in it.
    fs::create_dir(lab.path("home/.git")).unwrap();
    assert!(run("home/project", "spec.jsonnet").contains("home/.combu` are not of this project"));
    assert!(lab.path("home/project/.combu/combu.db").exists() && !lab.path("home/.combu/combu.db").exists());
    run("home", "spec.jsonnet");
    assert!(lab.path("home/.combu/combu.db").exists());
}

#[test]
fn what_was_forgotten_gives_its_space_back() {
    let lab = Lab::with("[{ name: 'trial-%d' % n, engine: 'fake', cmd: 'true' } for n in std.range(1, 2000)]");
    lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(0);
    let size = || fs::metadata(lab.path(".combu/combu.db")).unwrap().len();
    let before = size();
    lab.combu(&["rm", "last"]).code(0);
    assert!(size() < before / 10, "{} of {before} bytes are left", size());
    assert!(fs::metadata(lab.path(".combu/combu.db-wal")).map_or(0, |wal| wal.len()) == 0);
}

/// A lab with a live run: one trial has ended, another writes on once it may.
fn half_way() -> (Lab, Live) {
    let lab = Lab::with(
        "[{ name: 'early', engine: 'local', cmd: 'echo early' },
          { name: 'late', engine: 'local', workdir: '.', outputs: ['result'], depends: [{ trial: 'early', condition: 'completed' }],
            cmd: ['sh', '-c', 'echo first; echo 4 > result; until test -e go; do sleep 0.02; done; echo second'] }]",
    );
    lab.combu(&["run", "spec.jsonnet", "--where", "name == \"early\""]).code(0);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "late");
    let log = || lab.runs().iter().any(|run| run.join("late/1/stdout.log").metadata().is_ok_and(|log| log.len() > 0));
    eventually("it writes", log);
    (lab, live)
}

#[test]
fn a_state_folder_that_is_removed_under_a_run_is_made_again_and_what_is_missing_is_said() {
    let (lab, live) = half_way();
    fs::remove_dir_all(lab.path(".combu")).unwrap();
    lab.write("go", "");
    let said = live.end().code(1);
    let restored = named(&said.events(), "store-restored").into_iter().cloned().collect::<Vec<_>>();
    assert_eq!((restored.len(), &restored[0]["lost"]), (1, &1.into()), "{}", said.stdout);
    assert_eq!(lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["counts"]["succeeded"], 2);
    assert_eq!(lab.combu(&["logs", "late"]).code(0).stdout, "first\nsecond\n");
    assert_eq!(lab.combu(&["ps", "-o", "json"]).code(0).json()[1]["status"], "succeeded");
    assert_eq!(lab.read(lab.only_run().join("late/outputs/result")), "4\n");
    assert_eq!(named(&lab.events(), "run-started").len(), 1);
    assert_eq!(lab.combu(&["resume"]).code(4).stdout, "");
}

#[test]
fn a_database_that_is_removed_or_replaced_under_a_run_is_made_again() {
    for replaced in [false, true] {
        let (lab, live) = half_way();
        let run = lab.runs().into_iter().find(|run| run.join("late").exists()).unwrap();
        for file in ["combu.db", "combu.db-wal", "combu.db-shm"] {
            let _absent = fs::remove_file(lab.path(".combu").join(file));
        }
        if replaced {
            Connection::open(lab.path(".combu/combu.db")).unwrap().execute_batch("PRAGMA user_version = 0").unwrap();
        }
        lab.write("go", "");
        let said = live.end().code(0);
        assert_eq!(named(&said.events(), "store-restored")[0]["lost"], 0);
        let events = stored(&run);
        assert_eq!((named(&events, "trial-ended").len(), named(&events, "run-ended").len()), (2, 1));
    }
}

#[test]
fn what_goes_after_a_removed_database_was_made_again_is_said_too() {
    let (lab, mut live) = half_way();
    let run = lab.runs().into_iter().find(|run| run.join("late").exists()).unwrap();
    // As `rm -rf` does it: one after the other.
    fs::remove_file(lab.path(".combu/combu.db")).unwrap();
    let made_again = || {
        lab.combu(&["set", "-j", "3"]);
        lab.path(".combu/combu.db").exists()
    };
    eventually("the database is made again", made_again);
    live.line(r#""event":"store-restored""#);
    fs::remove_file(run.join("early/1/stdout.log")).unwrap();
    lab.write("go", "");
    let said = live.end().code(1);
    let lost: Vec<_> = named(&said.events(), "store-restored").iter().map(|fact| fact["lost"].clone()).collect();
    assert_eq!(lost, [0, 1], "{}", said.stdout);
}

/// Lines of two megabytes and an output, more than the small disk holds.
const LARGE: &str = "{name: '@large', image: 'IMAGE', networks: ['none'], outputs: ['/out'],
    cmd: ['sh', '-c', 'mkdir /out; echo result > /out/result; seq 1 300000; echo last']}";

fn full(more: &str) -> Option<(DockerLab, SmallDisk)> {
    let mut lab = docker_lab(&format!("[{LARGE}{more}]"))?;
    let small = SmallDisk::on(&lab.lab.path("small"))?;
    let path = lab.lab.path("small").display().to_string();
    lab.lab.set("COMBU_DIR", path);
    Some((lab, small))
}

/// The log of a large trial ends as it should, and its output is there.
#[track_caller]
fn assert_whole(lab: &DockerLab, trial: &str) {
    let run = fs::read_dir(lab.lab.path("small/runs")).unwrap().next().unwrap().unwrap().path();
    let trial = run.join(lab.own(trial));
    let log = fs::read_to_string(trial.join("1/stdout.log")).unwrap();
    assert!(log.starts_with("1\n2\n") && log.ends_with("300000\nlast\n"), "{} bytes", log.len());
    assert_eq!(fs::read_to_string(trial.join("outputs/out/result")).unwrap(), "result\n");
}

#[test]
fn what_a_full_disk_did_not_take_is_fetched_from_its_container_by_resume_or_kill() {
    let other = LARGE.replace("@large", "@other");
    let Some((lab, small)) = full(&format!(", {other}")) else { return };
    let said = lab.run(&[]).code(1);
    assert!(said.stderr.contains("missing: logs or outputs of 2 trials"), "{}", said.stderr);
    // They are the only copies, and stay as long as there is no room.
    let said = lab.lab.combu(&["kill", "last"]);
    assert!(said.code == Some(1) && said.stderr.contains("large"), "{said:?}");
    assert_eq!(lab.containers().values().collect::<Vec<_>>(), ["exited", "exited"]);
    small.grow();
    lab.lab.combu(&["kill", "last", "--trial", &lab.own("@large")]).code(0);
    assert_whole(&lab, "@large");
    assert_eq!(lab.containers().keys().collect::<Vec<_>>(), ["other"]);
    lab.lab.combu(&["resume"]).code(0);
    assert_whole(&lab, "@other");
    lab.assert_empty();
    assert_eq!(lab.lab.combu(&["resume", "last"]).code(4).stdout, "");
}

#[test]
fn what_a_full_disk_did_not_take_is_fetched_at_the_end_of_the_same_run() {
    let Some((lab, _small)) = full(
        ", {name: '@room', engine: 'local', cmd: 'mount -o remount,size=20m small', workdir: '.',
            depends: [{trial: '@large', condition: 'completed'}]}",
    ) else {
        return;
    };
    let said = lab.run(&[]).code(0);
    assert!(!said.stderr.contains("missing:"), "{}", said.stderr);
    assert_whole(&lab, "@large");
    lab.assert_empty();
}

#[test]
fn a_resume_on_a_full_disk_changes_nothing_and_says_so() {
    let mut lab = Lab::with(
        "[{ name: 'one', engine: 'local', workdir: '.', cmd: ['sh', '-c', 'test -e go || exec sleep 600'] }]",
    );
    let Some(small) = SmallDisk::on(&lab.path("small")) else { return };
    let path = lab.path("small").display().to_string();
    lab.set("COMBU_DIR", path);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "one");
    live.signal(rustix::process::Signal::KILL);
    live.end();
    lab.write("go", "");
    let run = fs::read_dir(lab.path("small/runs")).unwrap().next().unwrap().unwrap().path();
    let _full = fs::write(lab.path("small/fill"), vec![0; 2_000_000]);
    let before = (fs::read(run.join("run.json")).unwrap(), stored(&run).len());
    let said = lab.combu(&["resume"]).code(1);
    assert!(said.stderr.contains("the disk is full"), "{}", said.stderr);
    assert_eq!((fs::read(run.join("run.json")).unwrap(), stored(&run).len()), before);
    small.grow();
    lab.combu(&["resume"]).code(0);
}

#[test]
fn events_that_a_full_stdout_does_not_take_are_an_error() {
    let lab = Lab::with("[{ name: 'one', engine: 'fake', cmd: 'true' }]");
    let mut command = lab.command(env!("CARGO_BIN_EXE_combu"));
    command.args(["run", "spec.jsonnet", "--progress", "json"]).stdout(fs::File::create("/dev/full").unwrap());
    let (code, stderr) = said(&mut command);
    assert_eq!(
        (code, stderr.as_str()),
        (Some(1), "error: cannot write to stdout: No space left on device (os error 28)\n")
    );
}

/// A folder that is seen through FUSE, without shared memory. Dropping it unmounts it.
struct Bound(PathBuf);

impl Bound {
    /// Nothing where this process may not mount one, or has no bindfs, which is said.
    fn on(folder: &Path, behind: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        fs::create_dir_all(behind).unwrap();
        let mounted = Command::new("bindfs").args(["-o", "direct_io"]).arg(behind).arg(folder).output();
        if mounted.is_ok_and(|said| said.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED (bindfs is missing, or may not mount): {test}")
            .expect("stderr can be written");
        None
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_state_folder_on_a_file_system_without_shared_memory_works() {
    let mut lab = Lab::with("[{ name: 'one', engine: 'local', cmd: 'echo one' }]");
    let Some(_bound) = Bound::on(&lab.path("bound"), &lab.path("behind")) else { return };
    let path = lab.path("bound").display().to_string();
    lab.set("COMBU_DIR", path);
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    let rows = lab.combu(&["ls", "-o", "json"]).code(0).json();
    assert_eq!((&rows[0]["state"], &rows[1]["counts"]["succeeded"]), (&"ended".into(), &1.into()));
    assert_eq!(lab.combu(&["logs", "one"]).code(0).stdout, "one\n");
    assert!(!lab.path("behind/combu.db-shm").exists());
}
#[test]
fn one_row_that_cannot_be_read_costs_that_row() {
    let lab = Lab::new();
    for name in ["good", "bad"] {
        let spec = format!("[{{name: '{name}-' + n, engine: 'local', cmd: 'echo hi'}} for n in std.range(1, 2)]");
        lab.write(&format!("{name}.jsonnet"), &spec);
        lab.combu(&["run", &format!("{name}.jsonnet"), "--progress", "none"]).code(0);
    }
    let state = StateDir::locate(&lab.path(""), Search::default()).unwrap();
    let runs = state.past_runs().unwrap().runs;
    let id = |name: &str| runs.iter().find(|run| run.record.experiment == name).unwrap().record.run.to_string();
    let (good, bad) = (id("good"), id("bad"));
    let database = Connection::open(lab.path(".combu/combu.db")).unwrap();
    let row: i64 = database
        .query_row("SELECT max(id) FROM events WHERE run = ?1 AND event = 'trial-ended'", [&bad], |row| row.get(0))
        .unwrap();
    // As a disk that lies, and as a newer combu.
    database.execute("UPDATE events SET fact = '{' || char(27) WHERE id = ?1", [row]).unwrap();
    database
        .execute("INSERT INTO events (run, at, event, fact) VALUES (?1, 1, 'moved', '{\"event\":\"moved\"}')", [&bad])
        .unwrap();
    drop(database);
    let warning = |text: &str| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        text.contains(&format!("row {row} of run {bad} in the store (`trial-ended`) cannot be read and is left out"))
    };
    let bad_trials = format!("{bad}/*");
    for look in
        [&["ls"][..], &["ps", &bad], &["show", &bad], &["results", &bad], &["logs", &bad_trials], &["why", "bad-1"]]
    {
        let said = lab.combu(look).code(0);
        assert!(warning(&said.stderr), "{look:?}: {}", said.stderr);
    }
    assert!(lab.combu(&["ps", &bad, "--all"]).stdout.contains("bad-1"), "the rest is shown");
    assert!(lab.combu(&["ls"]).stdout.contains(&good));
    for look in [&["ps", &good][..], &["show", &good], &["results", &good], &["logs", &format!("{good}/*")]] {
        let said = lab.combu(look).code(0);
        assert!(!said.stderr.contains("cannot be read"), "{look:?}: {}", said.stderr);
    }
    for go_on in [&["resume", &bad][..], &["rerun", &bad], &["run", "--resume", "bad.jsonnet"]] {
        let said = lab.combu(go_on).code(2);
        assert!(warning(&said.stderr) && said.stderr.contains("nothing was done"), "{go_on:?}: {}", said.stderr);
    }
    lab.combu(&["run", "--resume", "good.jsonnet", "--progress", "none"]).code(0);
    lab.combu(&["rm", &bad]).code(0);
    let said = lab.combu(&["ls"]).code(0);
    assert!(!said.stdout.contains(&bad) && said.stderr.is_empty(), "{}", said.stderr);
}

#[test]
fn what_nests_too_deep_to_be_read_again_is_not_written() {
    let lab = Lab::with(
        "local nest(n) = if n == 0 then 1 else { a: nest(n - 1) };
        [{ name: 'deep', engine: 'local', cmd: 'true', params: nest(std.extVar('levels')) }]",
    );
    let run = |levels: &str| lab.combu(&["run", "spec.jsonnet", "--ext-code", &format!("levels={levels}")]);
    let said = run("101").code(2);
    assert!(said.stderr.contains("[0].params: more than 100 lists and objects within each other"), "{}", said.stderr);
    run("100").code(0);
    for look in [&["ls"][..], &["ps"], &["show", "-o", "json"], &["results"], &["rerun", "last", "deep"]] {
        lab.combu(look).code(0);
    }
}
