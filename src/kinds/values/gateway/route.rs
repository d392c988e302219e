//! What all kinds of routes have: parents, names of rules, backends, sessions.

use super::{Findings, Place, Rule, items, repeated, rule, text, union};
use serde_json::Value;
use std::net::IpAddr;

const BACKENDS: &[&str] = &[
    "spec.rules[].backendRefs[]",
    "spec.rules[].filters[].requestMirror.backendRef",
    "spec.rules[].filters[].externalAuth.backendRef",
    "spec.rules[].backendRefs[].filters[].requestMirror.backendRef",
    "spec.rules[].backendRefs[].filters[].externalAuth.backendRef",
];

pub(super) const COMMON: &[Rule] = &[
    Rule { at: &["spec.parentRefs"], holds: |place| !place.is_experimental(), judge: parents_by_section },
    Rule { at: &["spec.parentRefs"], holds: |place| place.is_experimental(), judge: parents_by_section_and_port },
    rule(BACKENDS, port_of_service),
    Rule { at: BACKENDS, holds: has_backends, judge: no_port_of_backend },
];

/// Names of rules of HTTPRoute and GRPCRoute.
pub(super) const NAMES: &[Rule] =
    &[Rule { at: &["spec.rules"], holds: |place| place.is_experimental() || place.is_at_least(7), judge: names }];

/// Names of rules of the other kinds, which only their first version holds apart.
pub(super) const STREAM_NAMES: &[Rule] =
    &[Rule { at: &["spec.rules"], holds: |place| place.version == "v1alpha2", judge: names }];

pub(super) const TLS: &[Rule] =
    &[Rule { at: &["spec.hostnames[]"], holds: |place| place.version != "v1alpha2", judge: no_address }];

const SESSION: &[&str] = &["spec.rules[].sessionPersistence"];

pub(super) const SESSIONS: &[Rule] = &[
    Rule {
        at: SESSION,
        holds: |place| place.is_experimental() && !place.is_at_least(7),
        judge: |node, findings| session(node, "cookieConfig", findings),
    },
    Rule {
        at: SESSION,
        holds: |place| place.is_experimental() && place.is_at_least(7),
        judge: |node, findings| session(node, "cookie", findings),
    },
    Rule {
        at: SESSION,
        holds: |place| place.is_experimental() && place.is_at_least(7),
        judge: |node, findings| union(node, "type", &[("Cookie", "cookie"), ("Header", "header")], findings),
    },
];

/// XBackend is of the experimental channel.
pub(super) fn has_backends(place: Place<'_>) -> bool {
    place.is_experimental() && place.is_at_least(7)
}

/// What a parent is known by, apart from its part.
fn parent(reference: &Value) -> [&str; 4] {
    ["group", "kind", "namespace", "name"].map(|field| text(reference, field))
}

fn port(reference: &Value) -> i64 {
    reference.get("port").and_then(Value::as_i64).unwrap_or_default()
}

const PARTS: &str = "Each of several references to one parent needs a `sectionName` of its own.";
const PARTS_OR_PORTS: &str = "Each of several references to one parent needs a `sectionName` or `port` of its own.";

fn parents_by_section(list: &Value, findings: &mut Findings) {
    parents(
        list,
        |item| (text(item, "sectionName"), 0),
        |item| (text(item, "sectionName").is_empty(), true),
        PARTS,
        findings,
    );
}

fn parents_by_section_and_port(list: &Value, findings: &mut Findings) {
    let is_whole = |item: &Value| (text(item, "sectionName").is_empty(), port(item) == 0);
    parents(list, |item| (text(item, "sectionName"), port(item)), is_whole, PARTS_OR_PORTS, findings);
}

fn parents<'a>(
    list: &'a Value,
    part: impl Fn(&'a Value) -> (&'a str, i64),
    is_whole: impl Fn(&'a Value) -> (bool, bool),
    help: &str,
    findings: &mut Findings,
) {
    let mut known: Vec<&'a Value> = Vec::new();
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        let mut same = known.iter().copied().filter(|other| parent(other) == parent(item));
        let name = text(item, "name");
        if same.clone().any(|other| part(other) == part(item)) {
            findings.say(&format!("/{index}"), format!("Duplicate value: `{name}` is referenced twice"), help);
        } else if same.any(|other| is_whole(other) != is_whole(item)) {
            let message = format!("Invalid value: `{name}` is referenced as a whole and by a part");
            findings.say(&format!("/{index}"), message, help);
        }
        known.push(item);
    }
}

pub(super) fn port_of_service(reference: &Value, findings: &mut Findings) {
    let is_service = text(reference, "group").is_empty() && text(reference, "kind") == "Service";
    if is_service && reference.get("port").is_none() {
        let message = format!("Required value: a reference to Service `{}` needs a port", text(reference, "name"));
        findings.say("/port", message, "Add `port`, the port of the Service (not of its pods).");
    }
}

pub(super) fn no_port_of_backend(reference: &Value, findings: &mut Findings) {
    let is_backend = text(reference, "group") == "gateway.networking.x-k8s.io" && text(reference, "kind") == "XBackend";
    if is_backend && reference.get("port").is_some() {
        findings.say("/port", "Invalid value: must not be set for an XBackend", "Remove `port`: the XBackend has it.");
    }
}

fn names(rules: &Value, findings: &mut Findings) {
    let name = |rule: &Value| rule.get("name").and_then(Value::as_str).map(str::to_owned);
    repeated(rules, name, |index, rule| {
        let message = format!("Duplicate value: \"{}\": the name of another rule of this route", text(rule, "name"));
        findings.say(&format!("/{index}/name"), message, "Give each rule a name of its own, or none.");
    });
}

/// How many matches all rules of a route may have.
const MOST_MATCHES: usize = 128;

pub(super) fn count_matches(rules: &Value, findings: &mut Findings) {
    let count: usize = rules.as_array().into_iter().flatten().map(|rule| items(rule, "matches").len()).sum();
    if count > MOST_MATCHES {
        let message = format!("Too many: {count} matches in all rules: must have at most {MOST_MATCHES}");
        findings.say("", message, "Split the route into several.");
    }
}

fn no_address(hostname: &Value, findings: &mut Findings) {
    if let Some(address) = hostname.as_str().filter(|hostname| hostname.parse::<IpAddr>().is_ok()) {
        let message = format!("Invalid value: \"{address}\": must not be an IP address");
        findings.say("", message, "Write the name that clients ask for (SNI).");
    }
}

fn session(session: &Value, cookie: &str, findings: &mut Findings) {
    let Some(of_cookie) = session.get(cookie).filter(|value| !value.is_null()) else { return };
    if text(of_cookie, "lifetimeType") == "Permanent" && session.get("absoluteTimeout").is_none() {
        let message = "Required value: a cookie with `lifetimeType: Permanent` needs it";
        findings.say("/absoluteTimeout", message, "Add `absoluteTimeout: 24h`, or write `lifetimeType: Session`.");
    }
    // In 1.7 the union says it.
    if cookie == "cookieConfig" && text(session, "type") != "Cookie" {
        findings.say(
            "/cookieConfig",
            "Invalid value: must not be set unless `type` is Cookie",
            "Write `type: Cookie`.",
        );
    }
}
