//! Telling people what a turn came to: Events on the objects, metrics, messages, commit statuses. Nothing here can hold a
//! turn up or fail it.

mod comment;
mod events;
mod messages;
mod metrics;
mod news;
mod status;

pub use comment::{CommentError, Commented, MAX_COMMENT, PullRequest};
pub use events::send_events;
pub use messages::{Messages, Routes};
pub use metrics::{Measured, Metrics, serve};
pub use news::{News, What, gather, of_drift};
pub use status::{Status, Statuses};

use std::time::Duration;

/// How long one attempt to tell someone may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How often it is tried in one turn.
const ATTEMPTS: u32 = 3;

/// A client for those who are told.
fn client() -> Option<reqwest::Client> {
    let agent = concat!("spinway/", env!("CARGO_PKG_VERSION"));
    let policy = reqwest::redirect::Policy::none();
    reqwest::Client::builder().user_agent(agent).timeout(ATTEMPT).redirect(policy).build().ok()
}

/// Sends a request until it is taken; false when it never was. Addresses may be secrets, so they are not in the log.
async fn deliver(what: &str, request: reqwest::RequestBuilder) -> bool {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
        }
        let Some(request) = request.try_clone() else { return false };
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return true,
            Ok(answer) => {
                let code = answer.status().as_u16();
                tracing::warn!(what, code, "not taken");
                // Only what may pass is tried again.
                if !matches!(code, 408 | 429 | 500..=599) {
                    return false;
                }
            }
            Err(error) => tracing::warn!(what, error = %error.without_url(), "not delivered"),
        }
    }
    false
}
