//! SPW011.

use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW011",
    name: "prefix-condition",
    severity: Severity::Error,
    guards: false,
    what: "A rule replaces a path prefix that it does not match by.",
    why: "ReplacePrefixMatch takes off what was matched, so the rule must have exactly one match, of type PathPrefix (Gateway API, \
          HTTPRouteRule). The API server refuses anything else, for the whole route.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  rules:\n    \
              - matches: [{path: {type: PathPrefix, value: /cart}}, {path: {type: PathPrefix, value: /basket}}]\n      \
              filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]",
    remedy: "Write one rule for each prefix.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.objects().filter(|o| o.reference.is(GATEWAY, "HTTPRoute")) {
        for (pointer, rule) in each(&route.value, "spec.rules[]") {
            if matches_one_prefix(rule) {
                continue;
            }
            let Some((below, severity)) = replacing(rule) else { continue };
            let message = "ReplacePrefixMatch needs exactly one match, by PathPrefix.";
            let finding = context.finding(&CHECK, route, &format!("{pointer}{below}"), message).help(CHECK.remedy);
            found.push(Diagnostic { severity, ..finding });
        }
    }
    found
}

/// Whether a rule has one match, by prefix. Without `matches` there is one, of the prefix `/`; an empty list has none.
fn matches_one_prefix(rule: &Value) -> bool {
    let is_prefix = |value: &Value| {
        let kind = value.pointer("/path/type").and_then(Value::as_str);
        kind.is_none_or(|kind| kind == "PathPrefix")
    };
    match rule.get("matches").and_then(Value::as_array).map(Vec::as_slice) {
        Some([only]) => is_prefix(only),
        Some(_) => false,
        None => true,
    }
}

/// The first filter of a rule that replaces the prefix, and how bad that is: where several backends have one, the API server accepts
/// the route.
fn replacing(rule: &Value) -> Option<(String, Severity)> {
    const PATHS: [&str; 2] = ["filters[].urlRewrite.path.type", "filters[].requestRedirect.path.type"];
    let of = |node: &Value, path: &str| {
        let mut found = each(node, path).into_iter().filter(|(_, kind)| *kind == "ReplacePrefixMatch");
        found.next().map(|(pointer, _)| pointer)
    };
    if let Some(below) = PATHS.iter().find_map(|path| of(rule, path)) {
        return Some((below, CHECK.severity));
    }
    let of_backends: Vec<Vec<String>> = PATHS
        .iter()
        .map(|path| {
            let backends = each(rule, "backendRefs[]").into_iter();
            backends.filter_map(|(pointer, backend)| Some(pointer + &of(backend, path)?)).collect()
        })
        .collect();
    let only = of_backends.iter().find(|found| found.len() == 1);
    let severity = if only.is_some() { CHECK.severity } else { Severity::Warning };
    let found = only.or_else(|| of_backends.iter().find(|found| !found.is_empty()))?;
    Some((found.first()?.clone(), severity))
}
