//! Fuzz target: whatever another process says on the control socket, or answers there, is a request or an answer or an error.

use serde_json::json;

use crate::cli::control::server::request;
use crate::cli::control::wire::{ControlReply, ControlRequest, VERSION, VersionedRequest, line};
use crate::fuzz::{check, texts};
use crate::model::name::Name;
use crate::model::trial::Trial;

#[test]
fn messages_of_the_control_socket() {
    let name = |text: &str| Name::parse(text).unwrap();
    let change = json!({"parallel": 2, "memory": "2g", "limits": {"license": 1}}).as_object().cloned().unwrap();
    let asks = [
        ControlRequest::Set { change },
        ControlRequest::Why { trial: name("a1") },
        ControlRequest::Kill { trials: vec![name("a1"), name("b1")], within: 1.5, at_once: true },
        ControlRequest::Cancel { by: "combu serve".to_owned(), at_once: false },
        ControlRequest::Retry { trial: Box::new(Trial::new(name("a1"))) },
    ];
    let asks = asks.map(|ask| line(&VersionedRequest { version: VERSION, ask }).unwrap());
    let replies = [
        ControlReply::Taken,
        ControlReply::Refused { message: "no".to_owned() },
        ControlReply::Unanswered,
        ControlReply::Why { lines: vec!["it waits".to_owned()] },
        ControlReply::NoTrial,
        ControlReply::Killed { ended: vec![name("a1")], left: Vec::new(), refused: vec!["no".to_owned()] },
    ];
    let replies = replies.map(|reply| line(&reply).unwrap());
    let told = texts(&[]).filter(|text| text.contains("\"ask\"") || text.contains("\"answer\""));
    check(told.map(String::into_bytes).chain(asks).chain(replies), |input| {
        match request(input) {
            Ok(ask) => {
                if let ControlRequest::Set { change } = &ask {
                    let _ = crate::spec::budget(change);
                }
                let shown = format!("{ask:?}");
                let written = line(&VersionedRequest { version: VERSION, ask }).unwrap();
                assert_eq!(request(&written).map(|ask| format!("{ask:?}")), Ok(shown));
            }
            Err(message) => assert!(!message.is_empty()),
        }
        if let Ok(reply) = serde_json::from_slice::<ControlReply>(input) {
            assert_eq!(serde_json::from_slice::<ControlReply>(&line(&reply).unwrap()).ok(), Some(reply));
        }
    });
}
