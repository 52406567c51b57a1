//! Errors between combu and an engine.

use crate::model::capability::Daemon;
use crate::model::name::EngineName;

/// Errors between combu and an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers where the engine should be.
    #[error("no {engine} engine answers at {address}")]
    Unreachable {
        /// The engine.
        engine: EngineName,
        /// The address where it was looked for.
        address: String,
        /// The connection's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another daemon answers than the one that a run used: it knows nothing of the run's containers.
    #[error("{}", other(then, now))]
    OtherDaemon {
        /// The engine.
        engine: EngineName,
        /// The daemon that the run used.
        then: Box<Daemon>,
        /// The one that answers.
        now: Box<Daemon>,
    },
    /// An image could not be had.
    #[error("no image `{image}`: {message}")]
    Image {
        /// The image.
        image: String,
        /// The reason.
        message: String,
    },
    /// The engine refused this launch and would refuse it again.
    #[error("{message}")]
    Refused {
        /// The engine's words.
        message: String,
    },
    /// The launch needs something that others use now: a host port, a name, room on a disk. It can be made again.
    #[error("{message}")]
    Busy {
        /// What it lacks and who has it, with how to free it.
        message: String,
    },
    /// Nobody knows whether the attempt ran, and nothing of it runs now.
    #[error("{message}")]
    Lost {
        /// What happened to it.
        message: String,
    },
    /// A call failed that may succeed another time.
    #[error("failed to {action}")]
    Call {
        /// The action that was tried, as a verb and its object: "create container `a`".
        action: String,
        /// The engine's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn other(then: &Daemon, now: &Daemon) -> String {
    let Daemon { id, data, address } = then;
    if *address == now.address {
        return format!(
            "the daemon at {address} is not the one that the run used: that was {id} with its data in {data}, this is {} \
             with its data in {}",
            now.id, now.data
        );
    }
    format!("the run used the daemon at {address}, and the one at {} is another", now.address)
}

impl EngineError {
    /// The engine that is out of reach, or is another one, if that is the error.
    pub fn out_of_reach(&self) -> Option<EngineName> {
        match self {
            Self::Unreachable { engine, .. } | Self::OtherDaemon { engine, .. } => Some(*engine),
            Self::Image { .. } | Self::Refused { .. } | Self::Busy { .. } | Self::Lost { .. } | Self::Call { .. } => {
                None
            }
        }
    }

    /// True when the same call may succeed another time.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Call { .. })
    }

    /// The message and those of its causes in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        text
    }
}
