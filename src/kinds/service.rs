//! Plain objects that are right as soon as they exist: Service, ConfigMap, ServiceAccount, NetworkPolicy and the like.

use super::general::exists;
use super::health::{Health, World};
use super::reference::{Rule, To};
use super::{Kind, PLAIN};
use serde_json::Value;

const SIMPLE: Kind = Kind { health: exists, ..PLAIN };

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "Service",
        references: &[Rule { at: "spec.selector{}", to: To::PodsOfSpinApp }],
        health: service,
        immutable: &["spec.clusterIP", "spec.clusterIPs"],
        evidence: &["spec.type", "spec.ports", "status.loadBalancer"],
        ..PLAIN
    },
    Kind { kind: "ConfigMap", evidence: &["immutable"], ..SIMPLE },
    // Of its values there are only the names of their keys, wherever it goes.
    Kind { kind: "Secret", immutable: &["type"], evidence: &["type", "immutable", "data"], ..SIMPLE },
    Kind {
        kind: "ServiceAccount",
        references: &[
            Rule { at: "secrets[]", to: To::Local("", "Secret") },
            Rule { at: "imagePullSecrets[]", to: To::Local("", "Secret") },
        ],
        ..SIMPLE
    },
    Kind { kind: "LimitRange", ..SIMPLE },
    Kind { kind: "ResourceQuota", ..SIMPLE },
    Kind { group: "networking.k8s.io", kind: "NetworkPolicy", ..SIMPLE },
    Kind { group: "scheduling.k8s.io", kind: "PriorityClass", immutable: &["value", "preemptionPolicy"], ..SIMPLE },
    Kind { group: "policy", kind: "PodDisruptionBudget", ..SIMPLE },
];

/// A load balancer needs its address; every other Service is right at once.
fn service(live: &Value, _: &dyn World) -> Health {
    let balancer = live.pointer("/spec/type").is_some_and(|t| t == "LoadBalancer");
    let addresses = live.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if balancer && addresses.is_none_or(Vec::is_empty) {
        return Health::progressing("NoAddress", "The load balancer has no address yet.");
    }
    Health::current()
}
