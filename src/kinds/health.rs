//! Verdicts on live objects, and what all kinds share in judging them.

use crate::object::{ObjectRef, Untrusted, seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a live object does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Current,
    /// It is on its way.
    Progressing,
    /// It will not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It cannot be judged.
    Unknown,
    /// It does not exist.
    Missing,
}

/// A verdict with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub verdict: Verdict,
    /// The reason in one word, as the controller gave it or as spinway names it.
    pub reason: Untrusted,
    /// The details.
    pub message: Untrusted,
    /// A finding that does not change the verdict.
    pub warning: Option<Untrusted>,
}

impl Health {
    /// A verdict.
    pub fn new(verdict: Verdict, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { verdict, reason: Untrusted::new(reason), message: Untrusted::new(message), warning: None }
    }

    /// All is well.
    pub fn current() -> Self {
        Self::new(Verdict::Current, "", "")
    }

    /// On its way.
    pub fn progressing(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Verdict::Progressing, reason, message)
    }

    /// It will not get there.
    pub fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, reason, message)
    }
}

/// What a rule may know of other objects.
pub trait World {
    /// A live object.
    fn live(&self, reference: &ObjectRef) -> Option<&Value>;
    /// Whether an object could not be read, so that nothing is known of it.
    fn is_unread(&self, reference: &ObjectRef) -> bool;
    /// Whether an object is wanted, or made by one that is.
    fn is_desired(&self, reference: &ObjectRef) -> bool;
    /// The live objects of a kind in a namespace.
    fn all(&self, group: &str, kind: &str, namespace: &str) -> Vec<&Value>;
    /// Whether the objects of a kind were read, as far as they concern what is wanted.
    fn has_read(&self, group: &str, kind: &str) -> bool;
    /// The time, in seconds since 1970; none when nobody knows it.
    fn now(&self) -> Option<i64>;
    /// Whether objects show only some of their fields, as in a snapshot.
    fn is_partial(&self) -> bool;
}

/// The condition of a type in the list at a pointer.
pub fn condition<'a>(value: &'a Value, pointer: &str, kind: &str) -> Option<&'a Value> {
    conditions(value, pointer).find(|c| c.get("type").is_some_and(|t| t == kind))
}

/// The conditions in the list at a pointer.
pub(super) fn conditions<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The status of a condition.
pub(super) fn status(condition: &Value) -> &str {
    condition.get("status").and_then(Value::as_str).unwrap_or_default()
}

/// The reason of a condition.
pub(super) fn reason(condition: &Value) -> &str {
    condition.get("reason").and_then(Value::as_str).unwrap_or_default()
}

/// The message of a condition.
pub(super) fn message(condition: &Value) -> &str {
    condition.get("message").and_then(Value::as_str).unwrap_or_default()
}

/// A verdict that a condition gives.
pub(super) fn from_condition(verdict: Verdict, condition: &Value) -> Health {
    let kind = condition.get("type").and_then(Value::as_str).unwrap_or_default();
    let text = format!("{kind}={}: {}", status(condition), message(condition));
    Health::new(verdict, reason(condition), text.trim_end_matches([':', ' ']))
}

/// `metadata.generation`.
pub(super) fn generation(value: &Value) -> i64 {
    value.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

/// Whether a condition was made for an older generation of its object. One that records none is not stale.
pub(super) fn is_stale(value: &Value, condition: &Value) -> bool {
    condition.get("observedGeneration").and_then(Value::as_i64).is_some_and(|seen| seen < generation(value))
}

/// When an object was last written, in seconds since 1970; writes through a subresource, such as its status, do not count.
pub(super) fn written_at(value: &Value) -> Option<i64> {
    let entries = conditions(value, "/metadata/managedFields");
    let own = entries.filter(|entry| entry.get("subresource").and_then(Value::as_str).is_none_or(str::is_empty));
    let times = own.filter_map(|entry| seconds(entry.get("time")?.as_str()?));
    times.max()
}

/// An integer at a pointer, 0 when absent.
pub(super) fn count(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}
