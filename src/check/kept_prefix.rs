//! SPW010.

use super::{Check, Context};
use crate::kinds::{self, GATEWAY, SPIN, each};
use crate::object::{Diagnostic, Object, ObjectRef, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW010",
    name: "kept-prefix",
    severity: Severity::Warning,
    guards: false,
    what: "A Spin app behind a path prefix sees the prefix.",
    why: "Spin routes from the root and knows no base path: unless its own routes begin with the prefix it answers 404.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: a, executor: e}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  rules:\n    \
              - matches: [{path: {type: PathPrefix, value: /cart}}]\n      backendRefs: [{name: cart, port: 80}]",
    remedy: "Take the prefix off: a filter URLRewrite with `path: {type: ReplacePrefixMatch, replacePrefixMatch: /}`. An App does \
             that by itself; where its routes do begin with the prefix, `keepPrefix: true` says so.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let http = context.objects().filter(|o| o.reference.is(GATEWAY, "HTTPRoute"));
    http.flat_map(|route| of_route(context, route)).collect()
}

/// Whether a backend is made for a SpinApp of the repository.
pub(super) fn is_spin(context: &Context<'_>, route: &Object, backend: &Value) -> bool {
    let text = |field: &str| backend.get(field).and_then(Value::as_str);
    let namespace = text("namespace").unwrap_or(route.reference.namespace());
    let app = ObjectRef::new(SPIN, "SpinApp", namespace, text("name").unwrap_or_default());
    text("kind").is_none_or(|kind| kind == "Service") && context.desired.objects.contains_key(&app)
}

fn of_route(context: &Context<'_>, route: &Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // An App says itself what its routes begin with.
    if crate::object::label(&route.value, kinds::APP).is_some() {
        return found;
    }
    for (pointer, rule) in each(&route.value, "spec.rules[]") {
        let rewritten = each(rule, "filters[].urlRewrite.path").into_iter().next().is_some();
        let spin = each(rule, "backendRefs[]").into_iter().any(|(_, backend)| is_spin(context, route, backend));
        if rewritten || !spin {
            continue;
        }
        for (below, path) in each(rule, "matches[].path") {
            let value = path.get("value").and_then(Value::as_str).unwrap_or("/");
            if !value.trim_end_matches('/').is_empty() {
                let message = format!("The Spin app sees requests with {value} in front.");
                found.push(
                    context.finding(&CHECK, route, &format!("{pointer}{below}/value"), message).help(CHECK.remedy),
                );
            }
        }
    }
    found
}
