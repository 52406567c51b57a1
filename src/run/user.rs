//! Who runs combu.

use std::process::{Command, Stdio};

use rustix::process::getuid;

/// The name of the account: `USER`, or what this machine knows, for cron and systemd set no `USER`; the number where there
/// is no name.
pub fn name() -> String {
    let named = std::env::var("USER").ok().filter(|user| !user.is_empty());
    named.or_else(account).unwrap_or_else(|| getuid().as_raw().to_string())
}

fn account() -> Option<String> {
    let said = Command::new("id").arg("-un").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let name = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    (said.status.success() && !name.is_empty()).then_some(name)
}
