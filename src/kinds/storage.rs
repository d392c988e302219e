//! Storage: PersistentVolumeClaim and PersistentVolume.

use super::general::exists;
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
        immutable: &["spec"],
        mutable: &["spec.resources", "spec.volumeAttributesClassName"],
        once: &["spec.volumeName", "spec.storageClassName"],
        fallback: &[("spec.volumeMode", "\"Filesystem\"")],
        ..PLAIN
    },
    Kind {
        kind: "PersistentVolume",
        health: exists,
        held: true,
        immutable: VOLUME,
        mutable: &["spec.csi.controllerExpandSecretRef", "spec.csi.nodeExpandSecretRef"],
        fallback: &[("spec.volumeMode", "\"Filesystem\"")],
        ..PLAIN
    },
    Kind {
        group: "storage.k8s.io",
        kind: "StorageClass",
        health: exists,
        immutable: &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
        fallback: &[("reclaimPolicy", "\"Delete\""), ("volumeBindingMode", "\"Immediate\"")],
        ..PLAIN
    },
    Kind {
        group: "storage.k8s.io",
        kind: "CSIDriver",
        health: exists,
        immutable: &["spec.attachRequired", "spec.volumeLifecycleModes"],
        fallback: &[("spec.attachRequired", "true"), ("spec.volumeLifecycleModes", "[\"Persistent\"]")],
        ..PLAIN
    },
    Kind {
        group: "storage.k8s.io",
        kind: "VolumeAttributesClass",
        health: exists,
        immutable: &["driverName", "parameters"],
        ..PLAIN
    },
];

/// Where a volume is, of whatever type it is.
const VOLUME: &[&str] = &[
    "spec.awsElasticBlockStore",
    "spec.azureDisk",
    "spec.azureFile",
    "spec.cephfs",
    "spec.cinder",
    "spec.csi",
    "spec.fc",
    "spec.flexVolume",
    "spec.gcePersistentDisk",
    "spec.glusterfs",
    "spec.hostPath",
    "spec.iscsi",
    "spec.local",
    "spec.nfs",
    "spec.portworxVolume",
    "spec.rbd",
    "spec.scaleIO",
    "spec.storageos",
    "spec.volumeMode",
    "spec.vsphereVolume",
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
