//! SPW015.

use super::kept_prefix::is_spin;
use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Object, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW015",
    name: "spin-info",
    severity: Severity::Note,
    guards: false,
    what: "A route lets anyone read what a Spin app says of itself.",
    why: "Spin answers `/.well-known/spin/info` before any route of the app, with its name, version and where it came from. A \
          rule for a prefix forwards that too.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: a, executor: e}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: {rules: [{backendRefs: [{name: cart, port: 80}]}]}",
    remedy: "Where that matters, add a rule for the prefix with `/.well-known/spin` behind it that leads elsewhere, or match the \
             app's own paths.",
    run,
};

const WELL_KNOWN: &str = "/.well-known/spin";

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let http = context.objects().filter(|o| o.reference.is(GATEWAY, "HTTPRoute"));
    http.filter_map(|route| of_route(context, route)).collect()
}

/// One finding for a route is enough.
fn of_route(context: &Context<'_>, route: &Object) -> Option<Diagnostic> {
    let rules = each(&route.value, "spec.rules[]");
    let paths = |rule: &Value| -> Vec<(String, String)> {
        let matches = each(rule, "matches[]");
        if matches.is_empty() {
            return vec![(String::new(), String::new())];
        }
        let prefixes = matches
            .into_iter()
            .filter(|(_, value)| value.pointer("/path/type").is_none_or(|kind| kind == "PathPrefix"));
        let plain = |value: &Value| {
            value.pointer("/path/value").and_then(Value::as_str).unwrap_or("/").trim_end_matches('/').to_owned()
        };
        prefixes.map(|(pointer, value)| (pointer, plain(value))).collect()
    };
    let leads =
        |rule: &Value| each(rule, "backendRefs[]").into_iter().any(|(_, backend)| is_spin(context, route, backend));
    let closed: Vec<String> =
        rules.iter().filter(|(_, rule)| !leads(rule)).flat_map(|(_, rule)| paths(rule)).map(|(_, path)| path).collect();
    for (pointer, rule) in rules.iter().filter(|(_, rule)| leads(rule)) {
        let rewritten = !each(rule, "filters[].urlRewrite.path").is_empty();
        let open = |path: &String| {
            let shown = format!("{path}{WELL_KNOWN}");
            // Without a rewrite the app sees the prefix, and answers for itself at the root alone.
            (rewritten || WELL_KNOWN.starts_with(path.as_str())) && !closed.contains(&shown)
        };
        if let Some((below, path)) = paths(rule).into_iter().find(|(_, path)| open(path)) {
            let message = format!("Anyone may read {path}{WELL_KNOWN}/info.");
            return Some(context.finding(&CHECK, route, &format!("{pointer}{below}"), message).help(CHECK.remedy));
        }
    }
    None
}
