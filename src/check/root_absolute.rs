//! SPW012.

use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW012",
    name: "root-absolute",
    severity: Severity::Warning,
    guards: false,
    what: "An answer behind a path prefix sets a cookie or leads to a place outside of it.",
    why: "A Gateway rewrites requests and not answers. A cookie with `Path=/` goes to every app of the hostname, and a \
          `Location: /x` leads to whoever serves `/x` there.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  rules:\n    \
              - matches: [{path: {type: PathPrefix, value: /cart}}]\n      filters:\n        \
              - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}\n        \
              - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: set-cookie, value: \"a=b; Path=/\"}]}}",
    remedy: "Put the prefix in front (`Path=/cart`), or give the app a hostname of its own.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.objects().filter(|o| o.reference.is(GATEWAY, "HTTPRoute")) {
        for (pointer, rule) in each(&route.value, "spec.rules[]") {
            if each(rule, "filters[].urlRewrite.path").is_empty() {
                continue;
            }
            let prefix =
                rule.pointer("/matches/0/path/value").and_then(Value::as_str).unwrap_or("/").trim_end_matches('/');
            for list in ["set", "add"] {
                for (below, header) in each(rule, &format!("filters[].responseHeaderModifier.{list}[]")) {
                    if let Some(path) = outside(header, prefix) {
                        let message = format!("The answer leads to {path}, outside of {prefix}.");
                        found.push(
                            context.finding(&CHECK, route, &format!("{pointer}{below}"), message).help(CHECK.remedy),
                        );
                    }
                }
            }
        }
    }
    found
}

/// The path of a header of answers, if it is not below the prefix.
fn outside<'a>(header: &'a Value, prefix: &str) -> Option<&'a str> {
    let text = |field: &str| header.get(field).and_then(Value::as_str).unwrap_or_default();
    let value = text("value");
    let path = match text("name").to_ascii_lowercase().as_str() {
        "location" => value,
        "set-cookie" => value.split(';').find_map(|part| {
            let (name, path) = part.trim().split_once('=')?;
            name.eq_ignore_ascii_case("path").then_some(path)
        })?,
        _ => return None,
    };
    let inside = path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_path = path.starts_with('/') && !path.starts_with("//");
    (is_path && !inside && !prefix.is_empty()).then_some(path)
}
