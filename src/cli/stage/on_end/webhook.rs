//! A message to a webhook, over HTTP.

use crate::run::session::Session;

/// Whether this combu can send any.
pub(super) const IS_BUILT_IN: bool = cfg!(feature = "webhooks");

/// Why it cannot, where it cannot.
pub(super) const NOT_BUILT_IN: &str = "this combu was built without its feature `webhooks`: build it with `--features webhooks`, or run a command such as curl";

/// Posts a JSON text.
///
/// # Errors
/// A clause without the address.
#[cfg(feature = "webhooks")]
pub(super) fn post(session: &Session, url: &str, body: String) -> Result<(), String> {
    use std::time::Duration;

    use reqwest::header::CONTENT_TYPE;
    use reqwest::redirect::Policy;

    /// Longest that it may take.
    const LIMIT: Duration = Duration::from_secs(10);
    /// Most of an answer that is shown.
    const SHOWN: usize = 200;

    // Somebody else may have done so before.
    let _done = rustls::crypto::ring::default_provider().install_default();
    let send = async {
        // What is sent on to elsewhere may not arrive as it was sent.
        let client = reqwest::Client::builder().timeout(LIMIT).redirect(Policy::none()).build()?;
        let answer = client.post(url).header(CONTENT_TYPE, "application/json").body(body).send().await?;
        let (status, mut answer) = (answer.status(), answer);
        let mut said = Vec::new();
        while said.len() < SHOWN && !status.is_success() {
            match answer.chunk().await? {
                Some(bytes) => said.extend_from_slice(&bytes),
                None => break,
            }
        }
        said.truncate(SHOWN);
        Ok::<_, reqwest::Error>((status, String::from_utf8_lossy(&said).trim().replace('\n', " ")))
    };
    match session.wait_for(send) {
        Ok((status, _)) if status.is_success() => Ok(()),
        Ok((status, said)) if said.is_empty() => Err(format!("it answered {status}")),
        Ok((status, said)) => Err(format!("it answered {status}: {said}")),
        Err(error) if error.is_timeout() => Err(format!("no answer in {} s", LIMIT.as_secs())),
        Err(error) => Err(reason(&error.without_url())),
    }
}

/// The last cause of an error, which says what happened.
#[cfg(feature = "webhooks")]
fn reason(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(not(feature = "webhooks"))]
pub(super) fn post(_session: &Session, _url: &str, _body: String) -> Result<(), String> {
    Err(NOT_BUILT_IN.to_owned())
}
