//! The one comment that a pull request has for an environment: found by who wrote it and by its marker, and updated in
//! place. It speaks GitHub's API, as others do.

use super::{ATTEMPTS, client};
use serde_json::{Value, json};
use std::time::Duration;

/// The most characters of a comment.
pub const MAX_COMMENT: usize = 65_536;
/// Comments of one page, and the most pages that are read.
const PAGE: usize = 100;
const MAX_PAGES: usize = 50;

/// A pull request on a server.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The API: `https://api.github.com`.
    pub api: String,
    /// `OWNER/NAME`.
    pub repository: String,
    /// Its number.
    pub number: u64,
    /// The token.
    pub token: String,
    /// As whom we write: a comment of anyone else is never touched.
    pub author: String,
}

/// Why a comment could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CommentError {
    /// The server cannot be reached.
    #[error("the server cannot be reached: {0}")]
    Transport(String),
    /// The server refuses.
    #[error("the server answers {0} to {1}")]
    Status(u16, &'static str),
    /// The pull request is not that of the run.
    #[error("pull request {0} is not at the revision of this run")]
    Other(u64),
}

/// What became of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commented {
    /// It is new.
    Made,
    /// It was updated.
    Updated,
    /// It said so already.
    Same,
    /// There was nothing to say, and nothing was said before.
    Nothing,
}

impl PullRequest {
    /// Writes what is to be said of an environment; a first comment only when there is something to say.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn comment(&self, environment: &str, text: &str, worth: bool) -> Result<Commented, CommentError> {
        let marker = marker(environment);
        let body = format!("{marker}\n{text}");
        match self.find(&marker).await? {
            Some((_, known)) if known == body => Ok(Commented::Same),
            Some((id, _)) => {
                let path = format!("/repos/{}/issues/comments/{id}", self.repository);
                self.ask("PATCH", &path, Some(json!({"body": body})), "update the comment").await?;
                Ok(Commented::Updated)
            }
            None if !worth => Ok(Commented::Nothing),
            None => {
                let path = format!("/repos/{}/issues/{}/comments", self.repository, self.number);
                self.ask("POST", &path, Some(json!({"body": body})), "write the comment").await?;
                Ok(Commented::Made)
            }
        }
    }

    /// Makes sure that the pull request is at that commit: its number may come from someone else's data.
    ///
    /// # Errors
    /// It is not, or the server cannot be asked.
    pub async fn is_at(&self, commit: &str) -> Result<(), CommentError> {
        let path = format!("/repos/{}/pulls/{}", self.repository, self.number);
        let found = self.ask("GET", &path, None, "read the pull request").await?;
        let head = found.pointer("/head/sha").and_then(Value::as_str);
        if head == Some(commit) { Ok(()) } else { Err(CommentError::Other(self.number)) }
    }

    /// Our own comment with a marker at its beginning: its id and text.
    async fn find(&self, marker: &str) -> Result<Option<(u64, String)>, CommentError> {
        for page in 1..=MAX_PAGES {
            let path =
                format!("/repos/{}/issues/{}/comments?per_page={PAGE}&page={page}", self.repository, self.number);
            let found = self.ask("GET", &path, None, "read the comments").await?;
            let comments = found.as_array().cloned().unwrap_or_default();
            let last = comments.len() < PAGE;
            let ours = comments.iter().find(|comment| {
                let text = |pointer: &str| comment.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                text("/user/login") == self.author && text("/body").lines().next() == Some(marker)
            });
            if let Some(comment) = ours {
                let body = comment["body"].as_str().unwrap_or_default().to_owned();
                return Ok(comment["id"].as_u64().map(|id| (id, body)));
            }
            if last {
                break;
            }
        }
        Ok(None)
    }

    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        what: &'static str,
    ) -> Result<Value, CommentError> {
        let Some(client) = client() else { return Err(CommentError::Transport("no client".to_owned())) };
        let url = format!("{}{path}", self.api.trim_end_matches('/'));
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let mut failed = CommentError::Transport(String::new());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
            }
            let mut request = client.request(method.clone(), &url).bearer_auth(&self.token);
            request = request.header("accept", "application/vnd.github+json");
            if let Some(body) = &body {
                request = request.json(body);
            }
            failed = match request.send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer.json().await.unwrap_or_default()),
                Ok(answer) => {
                    let code = answer.status().as_u16();
                    // A comment that may have been written is not written again: only what surely failed is repeated.
                    let again = code == 429 || code >= 500 && method != reqwest::Method::POST;
                    if !again {
                        return Err(CommentError::Status(code, what));
                    }
                    CommentError::Status(code, what)
                }
                Err(error) => CommentError::Transport(error.without_url().to_string()),
            };
        }
        Err(failed)
    }
}

/// The first line of our comment for an environment.
fn marker(environment: &str) -> String {
    let name: String = environment.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("<!-- spinway: {name} -->")
}
