//! SPW028.

use super::{Check, Context};
use crate::kinds::each;
use crate::object::{Diagnostic, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW028",
    name: "zero-weights",
    severity: Severity::Error,
    guards: false,
    what: "All backends of a rule have weight 0.",
    why: "Nobody gets the requests; what answers is not specified, usually a 500.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: {rules: \
              [{backendRefs: [{name: a, port: 80, weight: 0}, {name: b, port: 80, weight: 0}]}]}",
    remedy: "Give one of them a weight above 0.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.routes() {
        for (pointer, rule) in each(&route.value, "spec.rules[]") {
            let backends = each(rule, "backendRefs[]");
            let weight = |backend: &Value| backend.get("weight").and_then(Value::as_i64).unwrap_or(1);
            if !backends.is_empty() && backends.iter().all(|(_, backend)| weight(backend) == 0) {
                let message = "No backend of this rule gets any request.";
                found.push(
                    context.finding(&CHECK, route, &format!("{pointer}/backendRefs"), message).help(CHECK.remedy),
                );
            }
        }
    }
    found
}
