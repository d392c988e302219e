//! Objects whose controller makes a Secret: ExternalSecret, SealedSecret, Certificate.

use super::general::by_condition;
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use crate::object::ObjectRef;
use serde_json::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        group: "external-secrets.io",
        kind: "ExternalSecret",
        references: &[
            Rule { at: "spec.secretStoreRef", to: To::Local("external-secrets.io", "SecretStore") },
            Rule { at: "spec.data[].sourceRef.storeRef", to: To::Local("external-secrets.io", "SecretStore") },
        ],
        provides: |object, value| secret(object, value, "/spec/target/name"),
        health: |live, _| by_condition(live, "Ready", &[]),
        ..PLAIN
    },
    Kind {
        group: "bitnami.com",
        kind: "SealedSecret",
        provides: |object, value| secret(object, value, "/spec/template/metadata/name"),
        health: |live, _| by_condition(live, "Synced", &["ErrUnsealFailed"]),
        ..PLAIN
    },
    Kind {
        group: "cert-manager.io",
        kind: "Certificate",
        references: &[Rule { at: "spec.issuerRef", to: To::Local("cert-manager.io", "Issuer") }],
        provides: |object, value| secret(object, value, "/spec/secretName"),
        health: |live, _| by_condition(live, "Ready", &[]),
        ..PLAIN
    },
];

fn secret(object: &ObjectRef, value: &Value, pointer: &str) -> Vec<ObjectRef> {
    let name = value.pointer(pointer).and_then(Value::as_str).unwrap_or(&object.name);
    vec![ObjectRef::new("", "Secret", object.namespace(), name)]
}
