//! A commit.

use super::Untrusted;
use schemars::JsonSchema;
use serde::Serialize;

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revision {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: Untrusted,
    /// Who wrote it.
    pub author: Untrusted,
}
