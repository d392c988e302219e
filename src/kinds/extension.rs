//! What extends the API server: custom resource definitions, webhooks, aggregated APIs, admission policies.

use super::general::{by_condition, exists};
use super::health::{Health, Verdict, World, condition, from_condition, status};
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use serde_json::Value;

const HOOKS: &[Rule] = &[Rule { at: "webhooks[].clientConfig.service", to: To::Object("", "Service") }];

const WEBHOOK: Kind =
    Kind { group: "admissionregistration.k8s.io", references: HOOKS, health: exists, held: true, ..PLAIN };
const POLICY: Kind = Kind { references: &[], health: exists, held: false, ..WEBHOOK };

pub(super) const KINDS: &[Kind] = &[
    Kind {
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        references: &[Rule { at: "spec.conversion.webhook.clientConfig.service", to: To::Object("", "Service") }],
        health: definition,
        held: true,
        immutable: &["spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"],
        evidence: &["spec", "status"],
        ..PLAIN
    },
    Kind { kind: "ValidatingWebhookConfiguration", ..WEBHOOK },
    Kind { kind: "MutatingWebhookConfiguration", ..WEBHOOK },
    Kind { kind: "ValidatingAdmissionPolicy", ..POLICY },
    Kind {
        kind: "ValidatingAdmissionPolicyBinding",
        references: &[Rule {
            at: "spec.policyName",
            to: To::ClusterName("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        }],
        ..POLICY
    },
    Kind { kind: "MutatingAdmissionPolicy", ..POLICY },
    Kind {
        kind: "MutatingAdmissionPolicyBinding",
        references: &[Rule {
            at: "spec.policyName",
            to: To::ClusterName("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        }],
        ..POLICY
    },
    Kind {
        group: "apiregistration.k8s.io",
        kind: "APIService",
        references: &[Rule { at: "spec.service", to: To::Object("", "Service") }],
        health: |live, _| by_condition(live, "Available", &[]),
        held: true,
        ..PLAIN
    },
];

/// Established, and no name refused.
fn definition(live: &Value, _: &dyn World) -> Health {
    if let Some(c) = condition(live, "/status/conditions", "NamesAccepted").filter(|c| status(c) == "False") {
        return from_condition(Verdict::Failed, c);
    }
    by_condition(live, "Established", &[])
}
