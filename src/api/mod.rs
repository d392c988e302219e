//! What an API server says, as values. Kubernetes words most of its refusals for people only; this is the one place that reads
//! them, so that nothing behind it decides by a text.

use crate::object::Untrusted;
use serde_json::Value;

/// A refused request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status code; 0 when there was no answer.
    pub code: u16,
    /// The reason as Kubernetes names it.
    pub reason: String,
    /// The message, already without secret values.
    pub message: Untrusted,
    /// What it means.
    pub fault: Fault,
    /// For a field conflict: the field and the manager that holds it, as the server says it.
    pub conflicts: Vec<(Untrusted, Untrusted)>,
    /// For an invalid object: the fields that the server names.
    pub invalid: Vec<Invalid>,
    /// Whether the object would be valid under another name; none when that was not asked or cannot be.
    pub proved: Option<bool>,
}

/// A field of an invalid object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field, as the server writes paths.
    pub field: String,
    /// What the server says of it; empty when that may repeat a secret value.
    pub message: String,
    /// Whether the server says that the field cannot be changed.
    pub immutable: bool,
}

/// What a refusal means for whoever may send the request again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// There was no answer, so it is unknown what came of the request.
    #[default]
    Unheard,
    /// The request will not be accepted as it is.
    Final,
    /// The request's namespace is being deleted.
    Terminating,
    /// The kind or the namespace is not there yet, or not any more.
    NotServed,
    /// Someone wrote the object since it was read.
    Stale,
    /// The server, its storage or a webhook cannot answer now.
    Unavailable,
    /// Our own: the lease is not held any more, so nothing is written.
    LeaseLost,
    /// Our own: the monitor does not let the request through.
    Breach,
}

impl Refused {
    /// Reads the `Status` that came with a code.
    pub fn of(code: u16, status: &Value) -> Self {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let causes = status.pointer("/details/causes").and_then(Value::as_array).cloned().unwrap_or_default();
        let (conflicts, invalid): (Vec<&Value>, Vec<&Value>) =
            causes.iter().partition(|c| text(c, "reason") == "FieldManagerConflict");
        let conflict = |c: &Value| (Untrusted::new(text(c, "field")), Untrusted::new(text(c, "message")));
        let conflicts: Vec<_> = conflicts.into_iter().map(conflict).collect();
        let invalid = invalid.into_iter().map(|cause| Invalid::new(text(cause, "field"), text(cause, "message")));
        let (reason, message) = (text(status, "reason"), text(status, "message"));
        let is_conflict = reason == "Conflict" && conflicts.is_empty();
        Self {
            code,
            fault: fault(code, is_conflict, &message),
            reason,
            message: Untrusted::new(message),
            conflicts,
            invalid: invalid.collect(),
            proved: None,
        }
    }
}

impl Invalid {
    fn new(field: String, message: String) -> Self {
        // As Kubernetes words it in its own validation (apimachinery's `validation.FieldImmutableErrorMsg` and its kin).
        const FIXED: [&str; 4] =
            ["field is immutable", "is immutable after creation", "may not change once set", "is immutable when"];
        let immutable = FIXED.iter().any(|words| message.contains(words));
        Self { field, message, immutable }
    }
}

/// The status code alone does not tell: server-side apply answers 500 for a text that is wrong for good, and 403 for a
/// namespace that is still being deleted (measured on kube-apiserver 1.36).
fn fault(code: u16, is_conflict: bool, message: &str) -> Fault {
    let says = |words: &str| message.contains(words);
    match code {
        0 => Fault::Unheard,
        403 if says("being terminated") => Fault::Terminating,
        // A kind that was defined a moment ago, or a namespace that is being made.
        404 if says("could not find the requested resource") || says("namespaces \"") || says("page not found") => {
            Fault::NotServed
        }
        409 if is_conflict && says("please apply your changes to the latest version") && !says("UID in ") => {
            Fault::Stale
        }
        500 if says("failed calling webhook")
            || says("etcdserver: leader changed")
            || says("etcdserver: request timed out") =>
        {
            Fault::Unavailable
        }
        // A server that is too busy (429) is asked again where the request is sent.
        502..=504 => Fault::Unavailable,
        _ => Fault::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(code: u16, reason: &str, message: &str) -> Fault {
        Refused::of(code, &json!({"reason": reason, "message": message})).fault
    }

    #[test]
    fn a_refusal_is_read_once() {
        let for_good = "failed to create typed patch object (x): .spec.y: field not declared in schema";
        assert_eq!(read(500, "InternalError", for_good), Fault::Final);
        assert_eq!(
            read(500, "InternalError", "Internal error occurred: failed calling webhook \"m\""),
            Fault::Unavailable
        );
        let going = "unable to create new content in namespace a because it is being terminated";
        assert_eq!(read(403, "Forbidden", going), Fault::Terminating);
        assert_eq!(read(403, "Forbidden", "user cannot patch"), Fault::Final);
        assert_eq!(read(404, "NotFound", "the server could not find the requested resource"), Fault::NotServed);
        assert_eq!(read(404, "NotFound", "configmaps \"a\" not found"), Fault::Final);
        let newer = "the object has been modified; please apply your changes to the latest version and try again";
        assert_eq!(read(409, "Conflict", newer), Fault::Stale);
        let of_name = format!("Operation cannot be fulfilled on configmaps \"user-guide\": {newer}");
        assert_eq!(read(409, "Conflict", &of_name), Fault::Stale);
        assert_eq!(read(409, "Conflict", "Precondition failed: UID in precondition"), Fault::Final);
        assert_eq!(read(0, "", "connection reset"), Fault::Unheard);
    }

    #[test]
    fn what_cannot_be_changed_is_known_by_field() {
        let causes = json!([
            {"field": "spec.selector", "message": "Invalid value: {}: field is immutable"},
            {"field": "spec.clusterIPs[0]", "message": "Invalid value: []: may not change once set"},
            {"field": "spec.x", "message": "Required value"},
            {"reason": "FieldManagerConflict", "field": ".spec.y", "message": "conflict with \"a\""}]);
        let refused = Refused::of(422, &json!({"reason": "Invalid", "details": {"causes": causes}}));
        assert_eq!(refused.invalid.iter().map(|i| i.immutable).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(refused.conflicts.len(), 1);
    }
}
