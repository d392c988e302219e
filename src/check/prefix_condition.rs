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
            let filters = [
                "filters[].urlRewrite.path.type",
                "filters[].requestRedirect.path.type",
                "backendRefs[].filters[].urlRewrite.path.type",
            ];
            let replaces =
                filters.iter().flat_map(|path| each(rule, path)).find(|(_, kind)| *kind == "ReplacePrefixMatch");
            let Some((below, _)) = replaces else { continue };
            let matches = each(rule, "matches[]");
            let is_prefix = |value: &Value| {
                let kind = value.pointer("/path/type").and_then(Value::as_str);
                kind.is_none_or(|kind| kind == "PathPrefix")
            };
            // Without matches there is one, of the prefix `/`.
            if matches.len() > 1 || !matches.iter().all(|(_, value)| is_prefix(value)) {
                let message = "ReplacePrefixMatch needs exactly one match, by PathPrefix.";
                found.push(context.finding(&CHECK, route, &format!("{pointer}{below}"), message).help(CHECK.remedy));
            }
        }
    }
    found
}
