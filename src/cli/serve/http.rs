//! What a browser may ask: the page, what is new, and, where that is allowed, that something is done. Only from this machine,
//! under its own name, with the token.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::serve::orders::{OrderReply, PageOrder, carry_out};
use crate::cli::serve::served::ServedRuns;
use crate::page::{Serving, page};

/// The header in which a page gives its token with an order.
const TOKEN: &str = "x-combu-token";

/// Hosts under whose names the page may be asked for: any other is a stranger's name that leads here.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Time after which a page that hears nothing is told that combu is there.
const ALIVE: Duration = Duration::from_secs(15);

/// The door that browsers knock at.
#[derive(Clone)]
pub(super) struct Door {
    served: Arc<ServedRuns>,
    token: Arc<str>,
    has_control: bool,
}

/// The token in an address.
#[derive(Deserialize)]
struct GivenToken {
    #[serde(default)]
    token: String,
}

impl Door {
    pub(super) fn new(served: Arc<ServedRuns>, has_control: bool) -> Self {
        let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        Self { served, token: token.into(), has_control }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/", get(whole))
            .route("/events", get(events))
            .route("/control", post(control))
            .layer(middleware::map_response(guarded))
            .with_state(self)
    }

    /// Whether whoever asks may be answered.
    fn lets_in(&self, headers: &HeaderMap, token: &str) -> bool {
        is_known_host(headers) && is_same(token.as_bytes(), self.token.as_bytes())
    }
}

/// Whether the page is asked for under a name of this machine.
fn is_known_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    HOSTS.contains(&name)
}

/// Whether an order comes from the page itself, and not from another one in the same browser.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.strip_prefix("http://") == Some(host),
        // Not a browser.
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// Compares in a time that says nothing of where two texts differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
}

/// Whatever is answered: it is kept nowhere, shown in no frame, and its address is told to nobody.
async fn guarded(mut response: Response) -> Response {
    let rules = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    response.headers_mut().extend(rules.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// The answer to whoever does not have the token.
fn refused() -> Response {
    let text = "This page needs the token that is in the address which `combu serve` printed.\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

async fn whole(State(door): State<Door>, Query(given): Query<GivenToken>, headers: HeaderMap) -> Response {
    if !door.lets_in(&headers, &given.token) {
        return refused();
    }
    Html(page("combu", None, Some(Serving { has_control: door.has_control }))).into_response()
}

async fn events(State(door): State<Door>, Query(given): Query<GivenToken>, headers: HeaderMap) -> Response {
    if !door.lets_in(&headers, &given.token) {
        return refused();
    }
    let served = door.served.clone();
    let (whole, patches) = match tokio::task::spawn_blocking(move || served.subscribe()).await {
        Ok(Ok(subscribed)) => subscribed,
        Ok(Err(error)) => return (StatusCode::INTERNAL_SERVER_ERROR, error.message).into_response(),
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    };
    let patches = stream::unfold((Some(whole), patches), |(whole, mut patches)| async move {
        let text = match whole {
            Some(whole) => whole,
            None => match patches.recv().await {
                Ok(text) => text,
                // A page that is too far behind asks again, and gets everything.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            },
        };
        Some((Ok::<_, Infallible>(Event::default().data(&*text)), (None, patches)))
    });
    Sse::new(patches).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

async fn control(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers.get(TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default();
    if !door.lets_in(&headers, token) || !is_own_origin(&headers) {
        return refused();
    }
    if !door.has_control {
        let reply = OrderReply::no("this page only looks: `combu serve --allow-control` lets it do more");
        return (StatusCode::FORBIDDEN, reply.to_json()).into_response();
    }
    let reply = match serde_json::from_slice::<PageOrder>(&body) {
        Ok(order) => {
            let served = door.served.clone();
            let answer = tokio::task::spawn_blocking(move || carry_out(&order, &served)).await;
            answer.unwrap_or_else(|error| OrderReply::no(&error.to_string()))
        }
        Err(error) => OrderReply::no(&format!("this is no order: {error}")),
    };
    ([(header::CONTENT_TYPE, "application/json")], reply.to_json()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{is_known_host, is_own_origin, is_same};

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        origin.map(|origin| headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap()));
        headers
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["127.0.0.1:8642", "localhost:9000", "localhost", "[::1]:8642"] {
            assert!(is_known_host(&headers(host, None)), "{host}");
        }
        for host in ["evil.example:8642", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "0.0.0.0:8642"] {
            assert!(!is_known_host(&headers(host, None)), "{host}");
        }
        assert!(!is_known_host(&HeaderMap::new()));
    }

    #[test]
    fn an_order_comes_from_the_page_itself() {
        assert!(is_own_origin(&headers("127.0.0.1:8642", Some("http://127.0.0.1:8642"))));
        assert!(is_own_origin(&headers("127.0.0.1:8642", None)));
        for origin in ["http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8642", "null"] {
            assert!(!is_own_origin(&headers("127.0.0.1:8642", Some(origin))), "{origin}");
        }
    }

    #[test]
    fn tokens_are_the_same_or_not() {
        assert!(is_same(b"abc", b"abc") && !is_same(b"abc", b"abd") && !is_same(b"ab", b"abc") && !is_same(b"", b"a"));
    }
}
