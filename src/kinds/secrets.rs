//! Objects whose controller makes a Secret: ExternalSecret, SealedSecret, Certificate.

use super::general::by_condition;
use super::health::{Verdict, World};
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use crate::object::{ObjectRef, meta};
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
        evidence: &["spec.secretName"],
        ..PLAIN
    },
    // Its Secrets are in the namespace of cert-manager.
    Kind { kind: "ClusterIssuer", ..ISSUER },
    Kind { kind: "Issuer", references: &[Rule { at: "spec.ca.secretName", to: To::Name("", "Secret") }], ..ISSUER },
];

const ISSUER: Kind = Kind {
    group: "cert-manager.io",
    health: |live, _| by_condition(live, "Ready", &[]),
    // How a certificate is proved decides what has to be there before it.
    evidence: &["spec.acme.solvers"],
    ..PLAIN
};

/// Whether a Secret is still to be made by a live object whose controller makes it; `None` where no live object does.
pub(super) fn secret_to_come(secret: &ObjectRef, world: &dyn World) -> Option<bool> {
    let makers = KINDS.iter().flat_map(|kind| {
        let live = world.all(kind.group, kind.kind, secret.namespace()).into_iter();
        live.map(move |value| (kind, value))
    });
    let mut makers = makers.filter(|(kind, value)| {
        let object = ObjectRef::new(kind.group, kind.kind, secret.namespace(), meta(value, "name"));
        (kind.provides)(&object, value).contains(secret)
    });
    makers.next().map(|(kind, value)| (kind.health)(value, world).verdict != Verdict::Current)
}

fn secret(object: &ObjectRef, value: &Value, pointer: &str) -> Vec<ObjectRef> {
    let name = value.pointer(pointer).and_then(Value::as_str).unwrap_or(&object.name);
    vec![ObjectRef::new("", "Secret", object.namespace(), name)]
}
