//! What people stop: an environment, a tenant or an app is suspended, or held at an older revision. Each has an end.

use crate::object::seconds;
use serde::{Deserialize, Serialize};

/// The longest that an object may be paused, and that a rollback holds, in seconds.
pub const MAX_PAUSE: i64 = 24 * 3600;

/// What a stop is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All partitions; it stands on the platform's parent.
    Environment,
    /// The partition on whose parent it stands.
    Tenant,
    /// One app, `NAMESPACE/NAME`.
    App(String),
}

/// One stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// What it is about.
    pub scope: Scope,
    /// When it ends, RFC 3339.
    pub until: String,
    /// Who set it, as the API server knows them.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// For a rollback that was made because an app failed: the digest of the text that failed. It ends when the repository has
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The revision that is held; none when nothing at all is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

impl Stop {
    /// Whether it is in force. A time that cannot be read never ends: what someone meant to stop is not started by a typing
    /// error.
    pub fn is_in_force(&self, now: i64) -> bool {
        seconds(&self.until).is_none_or(|end| now < end)
    }

    /// Whether it holds something at a revision now: for at most 24 hours ahead, whoever wrote it.
    pub fn is_rollback(&self, now: i64) -> bool {
        self.revision.is_some() && seconds(&self.until).is_some_and(|end| now < end && end - now <= MAX_PAUSE)
    }
}
