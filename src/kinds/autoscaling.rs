//! Autoscalers: HorizontalPodAutoscaler and KEDA's ScaledObject. They target a Deployment, also that of a SpinApp,
//! which has no scale subresource of its own (SpinKube #86).

use super::general::{by_condition, exists};
use super::health::{Health, Verdict, World, condition, from_condition, status};
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use serde_json::Value;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        group: "autoscaling",
        kind: "HorizontalPodAutoscaler",
        references: &[Rule { at: "spec.scaleTargetRef", to: To::Typed("apps/v1", "Deployment") }],
        health: autoscaler,
        ..PLAIN
    },
    Kind {
        group: "keda.sh",
        kind: "ScaledObject",
        references: &[
            Rule { at: "spec.scaleTargetRef", to: To::Typed("apps/v1", "Deployment") },
            Rule { at: "spec.triggers[].authenticationRef", to: To::Local("keda.sh", "TriggerAuthentication") },
        ],
        health: |live, _| by_condition(live, "Ready", &["ScaledObjectCheckFailed"]),
        ..PLAIN
    },
    Kind {
        group: "keda.sh",
        kind: "TriggerAuthentication",
        references: &[
            Rule { at: "spec.secretTargetRef[]", to: To::Local("", "Secret") },
            Rule { at: "spec.configMapTargetRef[]", to: To::Local("", "ConfigMap") },
        ],
        health: exists,
        ..PLAIN
    },
];

/// An autoscaler that cannot scale has failed; one that has not been looked at yet does no harm.
fn autoscaler(live: &Value, _: &dyn World) -> Health {
    match condition(live, "/status/conditions", "AbleToScale") {
        Some(c) if status(c) == "False" => from_condition(Verdict::Failed, c),
        _ => Health::current(),
    }
}
