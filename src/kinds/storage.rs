//! Storage: PersistentVolumeClaim and PersistentVolume.

use super::health::{Health, Verdict, World};
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use serde_json::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "PersistentVolumeClaim",
        references: &[Rule { at: "spec.volumeName", to: To::ClusterName("", "PersistentVolume") }],
        health: claim,
        held: true,
        immutable: &[
            "spec.accessModes",
            "spec.storageClassName",
            "spec.volumeName",
            "spec.volumeMode",
            "spec.selector",
        ],
        ..PLAIN
    },
    Kind { kind: "PersistentVolume", health: super::general::exists, held: true, ..PLAIN },
];

fn claim(live: &Value, _: &dyn World) -> Health {
    match live.pointer("/status/phase").and_then(Value::as_str) {
        Some("Bound") => Health::current(),
        Some("Lost") => Health::failed("Lost", "Its volume is gone."),
        // Most classes bind a claim only for its first pod (WaitForFirstConsumer): nothing may wait for that here.
        phase => Health::new(
            Verdict::Unknown,
            phase.unwrap_or("Pending"),
            "It is not bound to a volume; its class may wait for the first pod.",
        ),
    }
}
