//! Methods of GRPCRoute.

use super::route::count_matches;
use super::{Findings, Rule, rule, text};
use serde_json::Value;

pub(super) const RULES: &[Rule] =
    &[rule(&["spec.rules"], count_matches), rule(&["spec.rules[].matches[].method"], method)];

fn method(node: &Value, findings: &mut Findings) {
    let part = |field: &str| node.get(field).and_then(Value::as_str);
    if part("service").is_none() && part("method").is_none() {
        let message = "Required value: needs `service`, `method` or both";
        return findings.say("", message, "Add `service: package.Service`, or remove `method` to match every call.");
    }
    if !matches!(text(node, "type"), "" | "Exact") {
        return;
    }
    if let Some(service) = part("service").filter(|service| !is_service(service)) {
        let message = format!("Invalid value: \"{service}\": is not a name of a gRPC service");
        findings.say("/service", message, "Write it as the proto file has it, with its package: `shop.v1.Orders`.");
    }
    if let Some(method) = part("method").filter(|method| !is_identifier(method)) {
        let message = format!("Invalid value: \"{method}\": is not a name of a gRPC method");
        findings.say("/method", message, "Write it as the proto file has it, without the service: `GetOrder`.");
    }
}

fn is_service(name: &str) -> bool {
    name.strip_prefix('.').unwrap_or(name).split('.').all(is_identifier)
}

fn is_identifier(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
