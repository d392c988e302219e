//! Filters of HTTPRoute and GRPCRoute.

use super::route::{no_port_of_backend, port_of_service};
use super::{Findings, Rule, rule, text, union};
use serde_json::Value;

const FILTERS: &[&str] = &["spec.rules[].filters[]", "spec.rules[].backendRefs[].filters[]"];
const LISTS: &[&str] = &["spec.rules[].filters", "spec.rules[].backendRefs[].filters"];

/// What filters of both kinds have.
pub(super) const COMMON: &[Rule] = &[
    rule(FILTERS, |filter, findings| {
        union(
            filter,
            "type",
            &[
                ("RequestHeaderModifier", "requestHeaderModifier"),
                ("ResponseHeaderModifier", "responseHeaderModifier"),
                ("RequestMirror", "requestMirror"),
                ("ExtensionRef", "extensionRef"),
            ],
            findings,
        );
    }),
    rule(LISTS, |list, findings| once(list, &["RequestHeaderModifier", "ResponseHeaderModifier"], findings)),
    rule(
        &["spec.rules[].filters[].requestMirror", "spec.rules[].backendRefs[].filters[].requestMirror"],
        share_of_mirror,
    ),
];

/// What only those of HTTPRoute have.
pub(super) const HTTP: &[Rule] = &[
    rule(FILTERS, |filter, findings| {
        union(
            filter,
            "type",
            &[
                ("RequestRedirect", "requestRedirect"),
                ("URLRewrite", "urlRewrite"),
                ("CORS", "cors"),
                ("ExternalAuth", "externalAuth"),
            ],
            findings,
        );
    }),
    rule(LISTS, |list, findings| once(list, &["RequestRedirect", "URLRewrite", "CORS"], findings)),
    rule(LISTS, redirect_or_rewrite),
    rule(
        &[
            "spec.rules[].filters[].requestRedirect.path",
            "spec.rules[].filters[].urlRewrite.path",
            "spec.rules[].backendRefs[].filters[].requestRedirect.path",
            "spec.rules[].backendRefs[].filters[].urlRewrite.path",
        ],
        |path, findings| {
            let members = [("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch")];
            union(path, "type", &members, findings);
        },
    ),
    rule(&["spec.rules[].filters[].externalAuth", "spec.rules[].backendRefs[].filters[].externalAuth"], protocol),
    rule(
        &[
            "spec.rules[].filters[].cors.allowOrigins",
            "spec.rules[].filters[].cors.allowMethods",
            "spec.rules[].filters[].cors.allowHeaders",
            "spec.rules[].backendRefs[].filters[].cors.allowOrigins",
            "spec.rules[].backendRefs[].filters[].cors.allowMethods",
            "spec.rules[].backendRefs[].filters[].cors.allowHeaders",
        ],
        all_or_some,
    ),
];

/// Filters of listeners (experimental, 1.7).
pub(super) const OF_LISTENERS: &[Rule] = &[
    rule(&["spec.listeners[].filters.requests[]"], |filter, findings| {
        union(filter, "type", &[("ExternalAuth", "externalAuth"), ("ExtensionRef", "extensionRef")], findings);
    }),
    rule(&["spec.listeners[].filters.requests[].externalAuth"], protocol),
    rule(&["spec.listeners[].filters.requests[].externalAuth.backendRef"], port_of_service),
    rule(&["spec.listeners[].filters.requests[].externalAuth.backendRef"], no_port_of_backend),
];

/// Says of each filter whose type may be there once and is there again.
fn once(list: &Value, types: &[&str], findings: &mut Findings) {
    let of_type = |filter: &Value| types.iter().position(|name| *name == text(filter, "type"));
    super::repeated(list, of_type, |index, filter| {
        let message = format!("Duplicate value: \"{}\": a filter that cannot be repeated", text(filter, "type"));
        findings.say(&format!("/{index}"), message, "Put all of it into one filter of this type.");
    });
}

fn redirect_or_rewrite(list: &Value, findings: &mut Findings) {
    let of_type = |name: &str| list.as_array()?.iter().position(|filter| text(filter, "type") == name);
    if let (Some(redirect), Some(rewrite)) = (of_type("RequestRedirect"), of_type("URLRewrite")) {
        let message = "Invalid value: URLRewrite and RequestRedirect must not be used together";
        let help = "A redirect answers the request, so nothing of it is rewritten: set host and path in the redirect.";
        findings.say(&format!("/{}", redirect.max(rewrite)), message, help);
    }
}

fn share_of_mirror(mirror: &Value, findings: &mut Findings) {
    let fraction = mirror.get("fraction").filter(|value| !value.is_null());
    if fraction.is_some() && mirror.get("percent").is_some() {
        let message = "Invalid value: `percent` and `fraction` must not be set together";
        findings.say("", message, "Keep one of them.");
    }
    let number = |field: &str| fraction?.get(field)?.as_i64();
    if let (Some(numerator), Some(denominator)) = (number("numerator"), number("denominator").or(Some(100)))
        && numerator > denominator
    {
        let message = format!("Invalid value: {numerator}: must be at most the denominator, {denominator}");
        findings.say("/fraction/numerator", message, "A mirror gets at most all requests: 1/1.");
    }
}

fn protocol(auth: &Value, findings: &mut Findings) {
    union(auth, "protocol", &[("GRPC", "grpc"), ("HTTP", "http")], findings);
}

fn all_or_some(list: &Value, findings: &mut Findings) {
    let values = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if let (Some(index), true) = (values.iter().position(|value| value == "*"), values.len() > 1) {
        let message = "Invalid value: \"*\": must not stand beside other values";
        findings.say(&format!("/{index}"), message, "Write `\"*\"` alone, or name what is allowed.");
    }
}
