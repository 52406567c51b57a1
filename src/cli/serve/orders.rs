//! Orders of a page: what is done to a run or a trial, through the control socket of the run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cli::control::wire::{ControlReply, ControlRequest, ask};
use crate::cli::error::CliError;
use crate::cli::serve::served::ServedRuns;
use crate::model::name::Name;

/// Who asks.
const BY: &str = "combu serve";

/// Time that an ending trial is waited for: the page shows its end when it comes.
const WAIT: Duration = Duration::from_millis(500);

/// An order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageOrder {
    run: String,
    trial: Option<Name>,
    action: OrderAction,
    parallel: Option<u32>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderAction {
    /// End it, with its grace.
    Stop,
    /// End it at once.
    Kill,
    /// Run an ended trial again.
    Retry,
    /// Set how many trials run at once.
    Set,
}

/// The answer to an order.
#[derive(Debug, Serialize)]
pub(super) struct OrderReply {
    ok: bool,
    message: String,
}

impl OrderReply {
    fn yes(message: impl Into<String>) -> Self {
        Self { ok: true, message: message.into() }
    }

    pub(super) fn no(message: &str) -> Self {
        Self { ok: false, message: message.to_owned() }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a text and a truth value have a JSON form")
    }
}

/// Carries out an order.
pub(super) fn carry_out(order: &PageOrder, served: &ServedRuns) -> OrderReply {
    try_to(order, served).unwrap_or_else(|error| OrderReply::no(&error.message))
}

fn try_to(order: &PageOrder, served: &ServedRuns) -> Result<OrderReply, CliError> {
    served.state().check_owner()?;
    let run = &order.run;
    let Some(live) = served.live(run)? else {
        return Ok(OrderReply::no(&format!("run {run} does not run any more")));
    };
    let at_once = order.action == OrderAction::Kill;
    let (request, wait) = match (order.action, &order.trial) {
        (OrderAction::Stop | OrderAction::Kill, Some(trial)) => {
            let within = WAIT.as_secs_f64();
            (ControlRequest::Kill { trials: vec![trial.clone()], within, at_once }, WAIT)
        }
        (OrderAction::Stop | OrderAction::Kill, None) => {
            (ControlRequest::Cancel { by: BY.to_owned(), at_once }, Duration::ZERO)
        }
        (OrderAction::Retry, Some(trial)) => match served.trial(&live.record.run, trial) {
            Some(trial) => (ControlRequest::Retry { trial: Box::new(trial) }, Duration::ZERO),
            None => return Ok(OrderReply::no(&format!("run {run} has no trial `{trial}`"))),
        },
        (OrderAction::Set, None) if let Some(parallel) = order.parallel => {
            let change = [("parallel".to_owned(), parallel.into())].into_iter().collect();
            (ControlRequest::Set { change }, Duration::ZERO)
        }
        (OrderAction::Retry, None) => return Ok(OrderReply::no("a retry is of a trial, and none is named")),
        (OrderAction::Set, _) => {
            return Ok(OrderReply::no("`parallel` of a run can be set, and a number belongs to it"));
        }
    };
    Ok(match ask(&live, request, wait)? {
        ControlReply::Taken => OrderReply::yes("the run does it"),
        ControlReply::Unanswered => OrderReply::yes("the run has heard it, and has not answered yet"),
        ControlReply::Refused { message } => OrderReply::no(&message),
        ControlReply::Killed { ended, refused, .. } => match refused.first() {
            Some(message) => OrderReply::no(message),
            None if ended.is_empty() => OrderReply::yes("it is being stopped"),
            None => OrderReply::yes("it has ended"),
        },
        ControlReply::Why { .. } | ControlReply::NoTrial => {
            OrderReply::no("the run gave another answer than was asked for")
        }
    })
}
