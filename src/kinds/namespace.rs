//! Namespace.

use super::health::{Health, World};
use super::{Kind, PLAIN};
use serde_json::Value;

pub(super) const KINDS: &[Kind] = &[Kind { kind: "Namespace", health, held: true, ..PLAIN }];

fn health(live: &Value, _: &dyn World) -> Health {
    match live.pointer("/status/phase").and_then(Value::as_str) {
        Some("Terminating") => Health::new(super::Verdict::Terminating, "Terminating", ""),
        _ => Health::current(),
    }
}
