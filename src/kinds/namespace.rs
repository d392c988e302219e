//! Namespace.

use super::health::{Health, World};
use super::{Kind, PLAIN};
use crate::object::ObjectRef;
use serde_json::Value;

/// Whether Kubernetes itself makes such an object in each namespace: it may come between a plan and its apply and is nobody's.
pub fn comes_with_its_namespace(object: &ObjectRef) -> bool {
    object.is("", "ServiceAccount") && &*object.name == "default"
        || object.is("", "ConfigMap") && &*object.name == "kube-root-ca.crt"
}

pub(super) const KINDS: &[Kind] = &[Kind { kind: "Namespace", health, held: true, ..PLAIN }];

fn health(live: &Value, _: &dyn World) -> Health {
    match live.pointer("/status/phase").and_then(Value::as_str) {
        Some("Terminating") => Health::new(super::Verdict::Terminating, "Terminating", ""),
        _ => Health::current(),
    }
}
