//! What happened to a partition: one entry for each turn that changed something, or was to and could not when the last entry
//! says that all was done.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many entries are kept.
pub(super) const KEPT: usize = 20;

/// One turn that changed something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Entry {
    /// Which turn of the environment it was, among those that changed something: clocks of different machines do not tell.
    pub number: u64,
    /// When it began, in seconds since 1970.
    pub at: i64,
    /// The commit; empty for a directory.
    pub revision: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// The digest of the plan.
    pub plan: String,
    /// How many objects of the partition were changed, by action; none when a run before changed them and was killed before
    /// it could say so, and when a turn could change nothing of what it was to change.
    pub counts: BTreeMap<String, usize>,
    /// `done`, `unfinished` (something still became healthy, the next turn goes on), `failed`, `overtaken`
    /// (its waits were ended by a newer commit) or `interrupted`.
    pub result: String,
    /// Whether all that it was to change was blocked: then its revision was not applied.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// Objects that were written and were not healthy at its end: turns after it look at them, until they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// Milliseconds it took.
    pub milliseconds: u64,
    /// Revisions since the entry before that were overtaken by this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<String>,
}
