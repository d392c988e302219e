//! A commit.

use super::Untrusted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: Untrusted,
    /// Who wrote it.
    pub author: Untrusted,
}
