//! What is done when a run has ended: somebody is told, or a command runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that is done when a run has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnEnd {
    /// Who is told, or what runs.
    #[serde(flatten)]
    pub to: Recipient,
    /// After which ends.
    #[serde(skip_serializing_if = "Occasion::is_always", default)]
    pub when: Occasion,
}

/// Who is told of the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipient {
    /// A service that takes messages over HTTP: Slack, Discord, Mattermost.
    Webhook(Webhook),
    /// A command, for `sh -c`.
    Command(String),
    /// An address, or several with commas between.
    Mail(String),
    /// Nobody, whatever is said elsewhere; always true.
    Nobody(bool),
}

/// After which ends of a run something is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// After each.
    #[default]
    Always,
    /// Unless all went well.
    Failed,
}

impl Occasion {
    /// The words for them.
    pub const ALL: [Self; 2] = [Self::Always, Self::Failed];

    /// The word in specs and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Failed => "failed",
        }
    }

    /// That which a word names, if any.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|occasion| occasion.as_str() == word)
    }

    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

/// The address of a webhook. Whoever knows it can write there: where it is shown or recorded, only its host is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Webhook(String);

/// What stands for the secret part of a webhook where it is shown.
const HIDDEN: &str = "/…";

impl Webhook {
    /// Reads `https://host/..`, `http://host/..`, or `$NAME` for a variable that holds such an address.
    ///
    /// # Errors
    /// A sentence that says what is accepted, without the address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let webhook = Self(text.to_owned());
        let has_host = webhook.origin().is_some_and(|(_, host)| !host.is_empty());
        let is_one_word = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        match (webhook.variable(), has_host && is_one_word) {
            (Some(_), _) | (None, true) => Ok(webhook),
            _ => {
                Err("this is no address of a webhook: write `https://host/..`, or `$NAME` for a variable that holds it"
                    .to_owned())
            }
        }
    }

    /// The variable that holds the address, if it is not said itself.
    pub fn variable(&self) -> Option<&str> {
        let name = self.0.strip_prefix('$')?;
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        Some(name).filter(|_| is_name)
    }

    /// The whole address, secret as it is; absent where only its host was recorded, or a variable holds it.
    pub fn secret(&self) -> Option<&str> {
        Some(&*self.0).filter(|text| self.variable().is_none() && !text.ends_with(HIDDEN))
    }

    /// Scheme and host.
    fn origin(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.0.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // What stands before the host is a name and a password.
        Some((scheme, authority.rsplit_once('@').map_or(authority, |(_, host)| host)))
    }
}

/// Scheme and host, and that there is more.
impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin() {
            Some((scheme, host)) => write!(f, "{scheme}://{host}{HIDDEN}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Webhook {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Webhook> for String {
    fn from(webhook: Webhook) -> Self {
        webhook.to_string()
    }
}

impl OnEnd {
    /// The keys that say who, in specs.
    pub const WHO: [&str; 3] = ["webhook", "command", "mail"];

    /// Reads an address of a webhook, `mailto:` and an address, `none`, or else a command.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.split_once(':') {
            Some(("http" | "https", _)) => Self::of("webhook", text),
            Some(("mailto", address)) => Self::of("mail", address),
            _ if text == "none" => Ok(Self { to: Recipient::Nobody(true), when: Occasion::Always }),
            _ => Self::of("command", text),
        }
    }

    /// What a key of [`Self::WHO`] and its value say.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn of(who: &str, text: &str) -> Result<Self, String> {
        let to = match who {
            "webhook" => Recipient::Webhook(Webhook::parse(text)?),
            "mail" => Recipient::Mail(address(text)?),
            _ if text.trim().is_empty() => {
                return Err("a command is missing: write one, or `https://..`, `mailto:you@lab`, `none`".to_owned());
            }
            _ => Recipient::Command(text.to_owned()),
        };
        Ok(Self { to, when: Occasion::Always })
    }
}

/// Addresses for the header of a mail.
fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_one = |one: &str| {
        let one = one.trim();
        !one.is_empty() && !one.starts_with('-') && one.chars().all(|c| !c.is_whitespace() && !c.is_control())
    };
    match text.split(',').all(is_one) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{}` is no address: write `hana@lab`", text.escape_debug())),
    }
}

/// As it is shown: the secret part of a webhook is not.
impl fmt::Display for OnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Recipient::Webhook(webhook) => write!(f, "{webhook}"),
            Recipient::Command(command) => write!(f, "{command}"),
            Recipient::Mail(address) => write!(f, "mailto:{address}"),
            Recipient::Nobody(_) => write!(f, "none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OnEnd, Webhook};

    #[test]
    fn a_text_is_a_webhook_a_mail_or_a_command() {
        let read = |text: &str| match OnEnd::parse(text) {
            Ok(read) => serde_json::to_string(&read).unwrap(),
            Err(error) => error,
        };
        let texts = [
            "https://hooks.slack.com/services/T0/B0/secret",
            "http://user:word@lab:8080?key=secret",
            "mailto:hana@lab,ken@lab",
            "notify-send \"$COMBU_SUMMARY\"",
            "none",
            "",
            "https://",
            "mailto:a b",
            "https://host/a b",
            "mailto:a\nBcc: b",
        ];
        insta::assert_snapshot!(texts.map(read).join("\n"), @r#"
        {"webhook":"https://hooks.slack.com/…"}
        {"webhook":"http://lab:8080/…"}
        {"mail":"hana@lab,ken@lab"}
        {"command":"notify-send \"$COMBU_SUMMARY\""}
        {"nobody":true}
        a command is missing: write one, or `https://..`, `mailto:you@lab`, `none`
        this is no address of a webhook: write `https://host/..`, or `$NAME` for a variable that holds it
        `a b` is no address: write `hana@lab`
        this is no address of a webhook: write `https://host/..`, or `$NAME` for a variable that holds it
        `a\nBcc: b` is no address: write `hana@lab`
        "#);
    }

    #[test]
    fn what_is_secret_is_neither_shown_nor_written() {
        let whole = "https://hooks.example.com/services/secret?token=secret";
        let webhook = Webhook::parse(whole).unwrap();
        assert_eq!(webhook.secret(), Some(whole));
        let shown = [format!("{webhook}"), format!("{webhook:?}"), serde_json::to_string(&webhook).unwrap()];
        assert!(shown.iter().all(|shown| !shown.contains("secret")), "{shown:?}");
        let read: Webhook = serde_json::from_str(&shown[2]).unwrap();
        assert_eq!((read.secret(), read.to_string()), (None, webhook.to_string()));
        let named = Webhook::parse("${SLACK_HOOK}").unwrap();
        assert_eq!(
            (named.variable(), named.secret(), named.to_string()),
            (Some("SLACK_HOOK"), None, "${SLACK_HOOK}".into())
        );
    }
}
