//! Addresses of daemons that are reached by ssh, `ssh://user@box:2222/run/docker.sock`, and what the ssh client says. Starts
//! nothing.

use std::fmt;
use std::path::Path;

/// The socket of a daemon where an address names none.
const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// Characters that ssh, its configuration or the shells it starts take for something else than themselves.
const SPECIAL: &[char] = &['\'', '"', '`', '$', '\\', ';', '&', '<', '>', '|', '(', ')', '{', '}', '%', '*'];

/// Most lines of what ssh said that are told: one line says what failed, and the one before it sometimes why.
const TOLD: usize = 2;

/// The way to a daemon on another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SshAddress {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// The daemon's socket on that machine.
    pub(super) socket: String,
}

impl fmt::Display for SshAddress {
    /// As ssh takes it: `-p 2222 user@box`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(port) = self.port {
            write!(f, "-p {port} ")?;
        }
        write!(f, "{}", self.destination())
    }
}

impl SshAddress {
    /// Reads what follows `ssh://`.
    ///
    /// # Errors
    /// A sentence about what is wrong, which never repeats a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (machine, socket) = text.find('/').map_or((text, ""), |at| text.split_at(at));
        let (user, host) = machine.rsplit_once('@').map_or((None, machine), |(user, host)| (Some(user), host));
        if user.is_some_and(|user| user.contains(':')) {
            return Err("there is a password in the address, and ssh takes none: a key or its agent opens".to_owned());
        }
        let (host, port) = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
                None => return Err(format!("`{host}` lacks its `]`")),
            },
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => match port.parse() {
                Ok(number) if number > 0 => Some(number),
                _ if port.contains(':') => {
                    return Err(format!("`{port}` is no port (an IPv6 address stands in brackets: `ssh://[::1]:22`)"));
                }
                _ => return Err(format!("`{port}` is no port")),
            },
            None => None,
        };
        if host.is_empty() {
            return Err("no machine is named: `ssh://user@machine`, or a `Host` of ~/.ssh/config".to_owned());
        }
        let socket = if socket.is_empty() || socket == "/" { USUAL_SOCKET } else { socket };
        for (what, part) in [("user", user.unwrap_or("user")), ("machine", host)] {
            plain(what, part)?;
            if part.is_empty() {
                return Err(format!("the name of the {what} is empty"));
            }
            if part.starts_with('-') {
                return Err(format!("`{part}` is no name of a {what}: ssh would take it for an option"));
            }
        }
        plain("socket", socket)?;
        if let Some(odd) = socket.chars().find(|c| matches!(c, ':' | '?' | '#')) {
            return Err(format!("`{odd}` in the path of the socket, `{socket}`, is something else for ssh"));
        }
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port, socket: socket.to_owned() })
    }

    fn destination(&self) -> String {
        self.user.as_ref().map_or_else(|| self.host.clone(), |user| format!("{user}@{}", self.host))
    }

    /// The arguments of an ssh that asks for nothing, runs nothing there, and forwards a socket of here to the daemon's.
    ///
    /// It uses a shared connection that is there, and leaves none behind. A machine that has gone is noticed in a minute.
    pub(super) fn arguments(&self, socket: &Path) -> Vec<String> {
        const OPTIONS: [&str; 6] = [
            "BatchMode=yes",
            "ControlMaster=no",
            "ExitOnForwardFailure=yes",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "StreamLocalBindUnlink=yes",
        ];
        let mut arguments = vec!["-nNT".to_owned()];
        arguments.extend(OPTIONS.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        arguments.extend(self.port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
        arguments.extend(["-L".to_owned(), format!("{}:{}", socket.display(), self.socket)]);
        arguments.extend(["--".to_owned(), self.destination()]);
        arguments
    }

    /// What became of an ssh that has ended, from what it said, with what to do about it.
    pub(super) fn failure(&self, said: &str) -> String {
        let said = last_words(said).unwrap_or_else(|| "it was ended, and said nothing".to_owned());
        let advice = if said.contains("Host key verification failed") {
            format!(
                "the machine is not among the known hosts, or has another key than then: `ssh {self}` shows it and asks"
            )
        } else if said.contains("ermission denied") {
            format!(
                "`ssh {self} docker version` has to work without a question: put a key there, or into the ssh agent"
            )
        } else {
            format!("does `ssh {self} docker version` work?")
        };
        format!("ssh to {} failed: {said} ({advice})", self.destination())
    }

    /// What to say of a daemon that does not answer through an ssh that works.
    pub(super) fn no_daemon(&self, said: &str) -> String {
        let said = last_words(said).map(|said| format!(": {said}")).unwrap_or_default();
        format!(
            "{} is reached, and nothing answers at {} there{said} (does the daemon run, and may the user use its socket? A \
             rootless one has another path: `ssh://{}/run/user/1000/docker.sock`)",
            self.destination(),
            self.socket,
            self.destination(),
        )
    }
}

/// Refuses what is not taken for itself by everything it passes through.
fn plain(what: &str, part: &str) -> Result<(), String> {
    match part.chars().find(|c| c.is_whitespace() || c.is_control() || SPECIAL.contains(c)) {
        Some(odd) => Err(format!("{odd:?} cannot stand in the name of a {what}")),
        None => Ok(()),
    }
}

/// The end of what ssh said, in one line.
fn last_words(said: &str) -> Option<String> {
    let lines = said.lines().map(|line| line.trim().trim_end_matches('.'));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("Warning: Permanently")).collect();
    let from = lines.len().saturating_sub(TOLD);
    let text = lines[from..].join("; ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::SshAddress;

    #[test]
    fn addresses_become_arguments_of_ssh() {
        let seen = |text: &str| {
            let arguments = SshAddress::parse(text).unwrap().arguments(Path::new("/t/s"));
            arguments[13..].join(" ")
        };
        assert_eq!(seen("box"), "-L /t/s:/var/run/docker.sock -- box");
        assert_eq!(seen("box/"), "-L /t/s:/var/run/docker.sock -- box");
        assert_eq!(seen("me@box:2222"), "-p 2222 -L /t/s:/var/run/docker.sock -- me@box");
        let rootless = "me@box/run/user/1000/docker.sock";
        assert_eq!(seen(rootless), "-L /t/s:/run/user/1000/docker.sock -- me@box");
        assert_eq!(seen("me@[fe80::1]:22/x.sock"), "-p 22 -L /t/s:/x.sock -- me@fe80::1");
        assert_eq!(seen("[::1]"), "-L /t/s:/var/run/docker.sock -- ::1");
        // A user of a directory service.
        assert_eq!(seen("me@lab.example@box"), "-L /t/s:/var/run/docker.sock -- me@lab.example@box");
        let first = SshAddress::parse("box").unwrap().arguments(Path::new("/t/s"))[..13].join(" ");
        assert_eq!(
            first,
            "-nNT -o BatchMode=yes -o ControlMaster=no -o ExitOnForwardFailure=yes -o ServerAliveInterval=15 -o \
             ServerAliveCountMax=4 -o StreamLocalBindUnlink=yes"
        );
    }

    #[test]
    fn what_ssh_or_a_shell_would_take_for_something_else_is_refused() {
        let odd = [
            "",
            "me@",
            "@box",
            "-oProxyCommand=x",
            "-oProxyCommand=x@box",
            "me@-oProxyCommand=x",
            "me:secret@box",
            "box:port",
            "box:0",
            "::1",
            "[::1",
            "[::1]x",
            "box;id",
            "$(id)@box",
            "a box",
            "%h",
            "box/a:b",
            "box/${HOME}",
            "box/docker.sock?x",
        ];
        let lines: Vec<String> = odd.iter().map(|text| SshAddress::parse(text).unwrap_err()).collect();
        assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
        insta::assert_snapshot!(lines.join("\n"), @r"
        no machine is named: `ssh://user@machine`, or a `Host` of ~/.ssh/config
        no machine is named: `ssh://user@machine`, or a `Host` of ~/.ssh/config
        the name of the user is empty
        `-oProxyCommand=x` is no name of a machine: ssh would take it for an option
        `-oProxyCommand=x` is no name of a user: ssh would take it for an option
        `-oProxyCommand=x` is no name of a machine: ssh would take it for an option
        there is a password in the address, and ssh takes none: a key or its agent opens
        `port` is no port
        `0` is no port
        `:1` is no port (an IPv6 address stands in brackets: `ssh://[::1]:22`)
        `[::1` lacks its `]`
        `x` is no port
        ';' cannot stand in the name of a machine
        '$' cannot stand in the name of a user
        ' ' cannot stand in the name of a machine
        '%' cannot stand in the name of a machine
        `:` in the path of the socket, `/a:b`, is something else for ssh
        '$' cannot stand in the name of a socket
        `?` in the path of the socket, `/docker.sock?x`, is something else for ssh
        ");
    }

    #[test]
    fn what_ssh_says_is_told_with_what_to_do() {
        let address = SshAddress::parse("me@box:2222").unwrap();
        let lines = [
            "Warning: Permanently added 'box' (ED25519) to the list of known hosts.\r\nme@box: Permission denied (publickey).\r\n",
            "No ED25519 host key is known for box and you have requested strict checking.\r\nHost key verification failed.\r\n",
            "ssh: connect to host box port 2222: Connection refused\r\n",
            "",
        ];
        let mut lines: Vec<String> = lines.iter().map(|said| address.failure(said)).collect();
        lines.push(address.no_daemon("channel 2: open failed: connect failed: open failed\r\n"));
        insta::assert_snapshot!(lines.join("\n"), @r"
        ssh to me@box failed: me@box: Permission denied (publickey) (`ssh -p 2222 me@box docker version` has to work without a question: put a key there, or into the ssh agent)
        ssh to me@box failed: No ED25519 host key is known for box and you have requested strict checking; Host key verification failed (the machine is not among the known hosts, or has another key than then: `ssh -p 2222 me@box` shows it and asks)
        ssh to me@box failed: ssh: connect to host box port 2222: Connection refused (does `ssh -p 2222 me@box docker version` work?)
        ssh to me@box failed: it was ended, and said nothing (does `ssh -p 2222 me@box docker version` work?)
        me@box is reached, and nothing answers at /var/run/docker.sock there: channel 2: open failed: connect failed: open failed (does the daemon run, and may the user use its socket? A rootless one has another path: `ssh://me@box/run/user/1000/docker.sock`)
        ");
    }
}
