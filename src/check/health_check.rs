//! SPW026.

use super::{Check, Context};
use crate::kinds::{SPIN, each};
use crate::object::{Diagnostic, ObjectRef, Severity};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "SPW026",
    name: "health-check",
    severity: Severity::Warning,
    guards: false,
    what: "A SpinApp that a route leads to has no readiness check.",
    why: "Its pods count as ready when the process starts, so a rollout that succeeds proves nothing, and requests reach what \
          does not answer yet.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: a, executor: e}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: {rules: [{backendRefs: [{name: cart, port: 80}]}]}",
    remedy: "Spin answers for itself: `checks: {readiness: {httpGet: {path: /.well-known/spin/health}}}`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut served: BTreeSet<ObjectRef> = BTreeSet::new();
    for route in context.routes() {
        for (_, backend) in each(&route.value, "spec.rules[].backendRefs[]") {
            let text = |field: &str| backend.get(field).and_then(Value::as_str);
            let namespace = text("namespace").unwrap_or(route.reference.namespace());
            served.insert(ObjectRef::new(SPIN, "SpinApp", namespace, text("name").unwrap_or_default()));
        }
    }
    let ready = |value: &Value| value.pointer("/spec/checks/readiness/httpGet").is_some();
    let without = context.objects().filter(|o| served.contains(&o.reference) && !ready(&o.value));
    without
        .map(|object| {
            let message = format!("{} is served, and nothing says when it is ready.", object.reference);
            context.finding(&CHECK, object, "/spec", message).help(CHECK.remedy)
        })
        .collect()
}
