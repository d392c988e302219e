//! Commit statuses on servers that speak GitHub's API: what came of a revision in an environment.

use super::{client, deliver};
use serde_json::json;
use std::path::PathBuf;

/// What is said of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All of it is applied and healthy.
    Success,
    /// It is applied, and something still becomes healthy or waits for people.
    Pending,
    /// Something of it failed or is blocked.
    Failure,
    /// The turn could not be done.
    Error,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Pending => "pending",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// Where statuses go.
#[derive(Clone, Debug)]
pub struct Statuses {
    /// The API of the repository: `https://api.github.com/repos/OWNER/NAME`.
    pub url: String,
    /// The token.
    pub token: String,
    /// Where it is remembered between processes what was said last; none in memory only.
    pub memory: Option<PathBuf>,
    /// What was said last.
    pub said: String,
}

/// The longest description that is taken.
const DESCRIPTION: usize = 140;

impl Statuses {
    /// Says what came of a revision; a failure to say it is only logged.
    pub async fn say(&mut self, revision: &str, environment: &str, status: Status, text: &str) {
        let (Some(client), false) = (client(), revision.is_empty()) else { return };
        let saying = format!("{revision} {environment} {} {text}", status.word());
        if let (true, Some(path)) = (self.said.is_empty(), &self.memory) {
            self.said = std::fs::read_to_string(path).unwrap_or_default();
        }
        if self.said == saying {
            return;
        }
        let body = json!({
            "state": status.word(),
            "context": format!("spinway/{environment}"),
            "description": text.chars().take(DESCRIPTION).collect::<String>(),
        });
        let url = format!("{}/statuses/{revision}", self.url.trim_end_matches('/'));
        let request = client.post(url).bearer_auth(&self.token).header("accept", "application/vnd.github+json");
        if deliver("commit status", request.json(&body)).await {
            if let Some(path) = &self.memory {
                // It is said once more at worst.
                let _ = std::fs::write(path, &saying);
            }
            self.said = saying;
        }
    }
}
