//! Services.

use super::fact::Fact::{Between, Cidr, ClusterIp, Label, Labels, OneOf, TargetPort};
use super::{Row, each, hold, is_empty, optional, required, text, twice};
use crate::schema::Violation;
use serde_json::Value;

const ROWS: [Row; 9] = [
    optional("spec", "type", OneOf(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])),
    optional("spec", "sessionAffinity", OneOf(&["ClientIP", "None"])),
    optional("spec", "externalTrafficPolicy", OneOf(&["Cluster", "Local"])),
    optional("spec", "selector", Labels),
    optional("spec", "clusterIP", ClusterIp),
    optional("spec.ports[]", "name", Label),
    required("spec.ports[]", "port", Between(1, 65_535)),
    optional("spec.ports[]", "targetPort", TargetPort),
    optional("spec.ports[]", "protocol", OneOf(&["SCTP", "TCP", "UDP"])),
];

/// Holds a Service against what it may be.
pub(super) fn check(value: &Value, found: &mut Vec<Violation>) {
    hold(value, "", &ROWS, found);
    let Some(spec) = value.get("spec") else {
        return found.push(Violation::new("/spec/ports", "Required value"));
    };
    let kind = text(spec, "type");
    ports(spec, kind, found);
    let mut forbid = |field: &str, message: &str| {
        if spec.get(field).is_some_and(|value| !is_empty(value)) {
            found.push(Violation::new(format!("/spec/{field}"), message));
        }
    };
    if !matches!(kind, "LoadBalancer" | "NodePort") && each(spec, "externalIPs[]").is_empty() {
        forbid("externalTrafficPolicy", "Invalid value: may only be set for externally-accessible services");
    }
    if kind != "LoadBalancer" {
        forbid("loadBalancerSourceRanges", "Forbidden: may only be used when `type` is 'LoadBalancer'");
    }
    if kind == "ExternalName" && text(spec, "externalName").is_empty() {
        found.push(Violation::new("/spec/externalName", "Required value"));
    }
    for (pointer, range) in each(spec, "loadBalancerSourceRanges[]") {
        let trimmed = range.as_str().map(|range| Value::from(range.trim()));
        let wrong = trimmed.and_then(|range| Cidr.wrong(&range));
        found.extend(wrong.map(|message| Violation::new(format!("/spec{pointer}"), message)));
    }
}

fn ports(spec: &Value, kind: &str, found: &mut Vec<Violation>) {
    let ports = each(spec, "ports[]");
    let portless = kind == "ExternalName" || text(spec, "clusterIP") == "None";
    if ports.is_empty() && !portless {
        found.push(Violation::new("/spec/ports", "Required value"));
    }
    if ports.len() > 1 {
        for (pointer, _) in ports.iter().filter(|(_, port)| text(port, "name").is_empty()) {
            found.push(Violation::new(format!("/spec{pointer}/name"), "Required value"));
        }
    }
    twice(ports.iter().map(|(pointer, port)| (format!("/spec{pointer}/name"), text(port, "name"))), found);
}
