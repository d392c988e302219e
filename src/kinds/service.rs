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
        sealed: sealed_service,
        carried: &["spec.clusterIP", "spec.clusterIPs"],
        fallback: &[("spec.type", "\"ClusterIP\"")],
        evidence: &["spec.type", "spec.ports", "status.loadBalancer"],
        ..PLAIN
    },
    Kind { kind: "ConfigMap", sealed: sealed_data, evidence: &["immutable"], ..SIMPLE },
    // Of its values there are only the names of their keys, wherever it goes.
    Kind {
        kind: "Secret",
        immutable: &["type"],
        sealed: sealed_data,
        fallback: &[("type", "\"Opaque\"")],
        evidence: &["type", "immutable", "data"],
        ..SIMPLE
    },
    Kind {
        kind: "ServiceAccount",
        references: &[
            Rule { at: "secrets[]", to: To::Local("", "Secret") },
            Rule { at: "imagePullSecrets[]", to: To::Local("", "Secret") },
        ],
        ..SIMPLE
    },
    Kind { kind: "LimitRange", ..SIMPLE },
    Kind { kind: "ResourceQuota", immutable: &["spec.scopes"], ..SIMPLE },
    Kind { group: "networking.k8s.io", kind: "NetworkPolicy", ..SIMPLE },
    Kind { group: "networking.k8s.io", kind: "IngressClass", immutable: &["spec.controller"], ..SIMPLE },
    Kind { group: "networking.k8s.io", kind: "ServiceCIDR", immutable: &["spec.cidrs"], ..PLAIN },
    Kind { group: "networking.k8s.io", kind: "IPAddress", immutable: &["spec.parentRef"], ..SIMPLE },
    Kind { group: "discovery.k8s.io", kind: "EndpointSlice", immutable: &["addressType"], ..SIMPLE },
    Kind { group: "apps", kind: "ControllerRevision", immutable: &["data"], ..SIMPLE },
    Kind {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        immutable: &["value", "preemptionPolicy"],
        fallback: &[("preemptionPolicy", "\"PreemptLowerPriority\"")],
        ..SIMPLE
    },
    Kind { group: "policy", kind: "PodDisruptionBudget", ..SIMPLE },
];

/// The values of a ConfigMap or Secret that says that they do not change.
fn sealed_data(object: &Value) -> &'static [&'static str] {
    let is_sealed = object.get("immutable") == Some(&Value::Bool(true));
    if is_sealed { &["immutable", "data", "binaryData"] } else { &[] }
}

/// The address of a Service, unless it has none, and the class of its load balancer.
fn sealed_service(service: &Value) -> &'static [&'static str] {
    match service.pointer("/spec/type").and_then(Value::as_str) {
        Some("ExternalName") => &[],
        Some("LoadBalancer") => &["spec.clusterIP", "spec.clusterIPs", "spec.loadBalancerClass"],
        _ => &["spec.clusterIP", "spec.clusterIPs"],
    }
}

/// A load balancer needs its address; every other Service is right at once.
fn service(live: &Value, _: &dyn World) -> Health {
    let balancer = live.pointer("/spec/type").is_some_and(|t| t == "LoadBalancer");
    let addresses = live.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if balancer && addresses.is_none_or(Vec::is_empty) {
        return Health::progressing("NoAddress", "The load balancer has no address yet.");
    }
    Health::current()
}
