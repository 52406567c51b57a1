//! A program that runs when a run has ended: it is given a text, and a time.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long its last words are waited for once it has ended: another process may hold its stream.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Most of its last words, in bytes.
const MOST: u64 = 64 << 10;

/// Runs a program that reads a text, to its end. What it prints is shown only where it fails.
///
/// # Errors
/// A clause: that it cannot be started, ended badly, or was stopped after `limit`.
pub(super) fn run(mut command: Command, input: String, limit: Duration) -> Result<(), String> {
    // A group of its own: Ctrl-C is for combu, and whatever it starts ends with it.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let (sender, words) = channel();
    if let Some(mut stdin) = child.stdin.take() {
        // It need not read.
        thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || {
            let mut said = Vec::new();
            // As much as there is: what cannot be read says nothing more.
            let _cut = stderr.take(MOST).read_to_end(&mut said);
            let _late = sender.send(String::from_utf8_lossy(&said).into_owned());
        });
    }
    let status = wait(&mut child, limit)?;
    if status.success() {
        return Ok(());
    }
    let said = words.recv_timeout(LAST_WORDS).unwrap_or_default();
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!("{status}{}", last.map(|line| format!(": {}", line.trim())).unwrap_or_default()))
}

fn wait(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus, String> {
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Err(error) => return Err(error.to_string()),
            Ok(Some(status)) => return Ok(status),
            Ok(None) if since.elapsed() < limit => thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                // It may have ended in this moment, which is as good.
                let _gone = kill_process_group(Pid::from_child(child), Signal::KILL);
                let _reaped = child.wait();
                return Err(format!("it took longer than {} s and was killed", limit.as_secs_f64()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::run;

    fn sh(line: &str, limit: Duration) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        run(command, "told\n".repeat(100_000), limit)
    }

    #[test]
    fn a_program_has_its_time_and_its_last_words_count() {
        const LONG: Duration = Duration::from_secs(60);
        assert_eq!(sh("read line; [ $line = told ]", LONG), Ok(()));
        assert_eq!(sh("echo one >&2; echo two >&2; exit 3", LONG), Err("exit status: 3: two".to_owned()));
        let since = Instant::now();
        let late = sh("sleep 1000 & sleep 1000", Duration::from_millis(50));
        assert_eq!(late, Err("it took longer than 0.05 s and was killed".to_owned()));
        // Whoever it leaves behind holds nothing up.
        assert_eq!(sh("sleep 60 & exit 0", LONG), Ok(()));
        assert!(since.elapsed() < Duration::from_secs(30));
    }
}
