//! What a Kubernetes object is here: its identity, its value, where it was written, and what can be said about it.
//!
//! **Invariant:** nothing in this module knows a kind, a cluster or a file system.

mod credential;
mod diagnostic;
mod distance;
mod origin;
mod pointer;
mod reference;
mod revision;
mod traced;
mod untrusted;

pub use credential::{credential, credential_of};
pub use diagnostic::{Diagnostic, Severity};
pub use distance::{did_you_mean, distance, nearest};
pub use origin::{Origin, Position, Positions};
pub use pointer::{dotted, escape, unescape};
pub use reference::{GroupKind, ObjectRef};
pub use revision::Revision;
pub use traced::{Entries, Node, Operation, Traced};
pub use untrusted::{Untrusted, has_command, is_hidden, seen, unobeyed};

use serde_json::Value;
use std::sync::Arc;

/// One Kubernetes object of the repository: identity, value and the position of every node of its text.
#[derive(Clone, Debug)]
pub struct Object {
    /// Group, kind, namespace and name.
    pub reference: ObjectRef,
    /// The version of its apiVersion: `v1`, `v1alpha1`.
    pub version: String,
    /// The object as JSON, canonical (`desired::canonical`).
    pub value: Value,
    /// Where it begins.
    pub origin: Origin,
    /// Where each of its nodes stands.
    pub positions: Arc<Positions>,
}

impl Object {
    /// The `apiVersion` text: `GROUP/VERSION`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        api_version(&self.reference.group, &self.version)
    }

    /// The position of the node at a JSON pointer, or of its nearest parent that has one.
    pub fn origin_of(&self, pointer: &str) -> Origin {
        self.positions.nearest_in(&self.origin.file, pointer).unwrap_or_else(|| self.origin.clone())
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        annotation(&self.value, name)
    }
}

/// Fields of `metadata` that only the server sets.
pub const SERVER_FIELDS: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Joins group and version as `apiVersion` does.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Splits an `apiVersion` into group (empty for core) and version.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The value of an annotation of an object in JSON.
pub fn annotation<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// The value of a label of an object in JSON.
pub fn label<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// Seconds since 1970 of an RFC 3339 time.
pub fn seconds(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text field of `metadata` (`uid`, `resourceVersion`, `deletionTimestamp` ...), empty when absent.
pub fn meta<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}
