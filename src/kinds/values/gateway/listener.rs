//! Listeners of Gateway and ListenerSet, and the other parts of a Gateway.

use super::{Findings, Place, Rule, items, repeated, rule, text};
use crate::kinds::values::is_subdomain;
use serde_json::Value;

pub(super) const COMMON: &[Rule] = &[
    rule(&["spec.listeners"], names),
    rule(&["spec.listeners"], distinct),
    rule(&["spec.listeners[]"], tls),
    rule(&["spec.listeners[]"], hostname),
    rule(&["spec.listeners[].tls"], certificates),
];

const KEYS: &[&str] = &["spec.infrastructure.labels", "spec.infrastructure.annotations"];
const AUTHORITIES: &[&str] = &[
    "spec.tls.frontend.default.validation.caCertificateRefs[]",
    "spec.tls.frontend.perPort[].tls.validation.caCertificateRefs[]",
];

pub(super) const GATEWAY: &[Rule] = &[
    rule(&["spec.listeners[]"], filters),
    rule(&["spec.addresses"], addresses),
    rule(&["spec.addresses[]"], address),
    rule(&["spec.addresses[].routability"], routability),
    rule(KEYS, keys),
    rule(&["spec.tls.frontend.perPort"], ports),
    Rule { at: AUTHORITIES, holds: has_bundles, judge: bundle },
];

/// References to ClusterTrustBundles are judged since the experimental channel of 1.7.
fn has_bundles(place: Place<'_>) -> bool {
    place.is_experimental() && place.is_at_least(7)
}

fn names(list: &Value, findings: &mut Findings) {
    repeated(
        list,
        |item| Some(text(item, "name").to_owned()),
        |index, item| {
            let message = format!("Duplicate value: \"{}\": the name of another listener", text(item, "name"));
            findings.say(&format!("/{index}/name"), message, "Give each listener a name of its own.");
        },
    );
}

fn distinct(list: &Value, findings: &mut Findings) {
    let port = |item: &Value| item.get("port").and_then(Value::as_i64);
    let key = |item: &Value| {
        let hostname = item.get("hostname").and_then(Value::as_str).map(str::to_owned);
        Some((port(item)?, text(item, "protocol").to_owned(), hostname))
    };
    repeated(list, key, |index, item| {
        let hostname = item.get("hostname").and_then(Value::as_str).unwrap_or("every hostname");
        let (port, protocol) = (port(item).unwrap_or_default(), text(item, "protocol"));
        let message = format!("Duplicate value: another listener has port {port}, protocol {protocol} and {hostname}");
        findings.say(&format!("/{index}"), message, "Listeners differ in port, protocol or hostname.");
    });
}

fn tls(listener: &Value, findings: &mut Findings) {
    let protocol = text(listener, "protocol");
    let tls = listener.get("tls").filter(|tls| !tls.is_null());
    let mode = tls.map(|tls| text(tls, "mode")).unwrap_or_default();
    match (protocol, tls) {
        ("HTTP" | "TCP" | "UDP", Some(_)) => {
            let message = format!("Invalid value: must not be set when `protocol` is {protocol}");
            findings.say("/tls", message, "Write `protocol: HTTPS` or `protocol: TLS`, or remove `tls`.");
        }
        ("HTTPS", Some(_)) if !matches!(mode, "" | "Terminate") => {
            let message = format!("Invalid value: \"{mode}\": must be Terminate when `protocol` is HTTPS");
            findings.say("/tls/mode", message, "Write `protocol: TLS` to pass connections through to the backend.");
        }
        ("TLS", _) if mode.is_empty() => {
            let message = "Required value: must be set when `protocol` is TLS";
            findings.say(
                "/tls/mode",
                message,
                "Write `tls: {mode: Passthrough}`, or `Terminate` with `certificateRefs`.",
            );
        }
        _ => {}
    }
}

fn hostname(listener: &Value, findings: &mut Findings) {
    let protocol = text(listener, "protocol");
    if matches!(protocol, "TCP" | "UDP") && !text(listener, "hostname").is_empty() {
        let message = format!("Invalid value: must not be set when `protocol` is {protocol}");
        findings.say("/hostname", message, "Remove `hostname`: such connections have none. TLS with SNI has.");
    }
}

fn filters(listener: &Value, findings: &mut Findings) {
    let protocol = text(listener, "protocol");
    if listener.get("filters").is_some_and(|filters| !filters.is_null()) && !matches!(protocol, "HTTP" | "HTTPS") {
        let message = format!("Invalid value: must not be set when `protocol` is {protocol}");
        findings.say("/filters", message, "Only listeners of protocol HTTP and HTTPS have filters.");
    }
}

fn certificates(tls: &Value, findings: &mut Findings) {
    let has_options = tls.get("options").and_then(Value::as_object).is_some_and(|options| !options.is_empty());
    if text(tls, "mode") == "Terminate" && items(tls, "certificateRefs").is_empty() && !has_options {
        let message = "Required value: `certificateRefs` or `options` must be set when `mode` is Terminate";
        findings.say("/certificateRefs", message, "Add `certificateRefs: [{name: SECRET}]`.");
    }
}

fn addresses(list: &Value, findings: &mut Findings) {
    let key = |item: &Value| {
        let kind = text(item, "type");
        let value = item.get("value").filter(|_| matches!(kind, "IPAddress" | "Hostname"))?;
        Some((kind.to_owned(), value.clone()))
    };
    repeated(list, key, |index, item| {
        let message = format!("Duplicate value: \"{}\": another address of this Gateway", text(item, "value"));
        findings.say(&format!("/{index}"), message, "Remove it.");
    });
}

fn address(node: &Value, findings: &mut Findings) {
    let value = text(node, "value");
    let is_name = is_subdomain(value.strip_prefix("*.").unwrap_or(value));
    if text(node, "type") == "Hostname" && node.get("value").is_some() && !is_name {
        let message = format!("Invalid value: \"{value}\": is not a hostname");
        findings.say("/value", message, "Write a name in lower case, such as gw.shop.example.");
    }
}

fn routability(node: &Value, findings: &mut Findings) {
    let Some(value) = node.as_str().filter(|value| !matches!(*value, "" | "Cluster")) else { return };
    let (prefix, name) = value.split_once('/').unwrap_or((value, ""));
    let is_reserved = prefix == "k8s.io" || prefix.ends_with(".k8s.io");
    if name.is_empty() || is_reserved || !is_subdomain(prefix) {
        let message = format!("Invalid value: \"{value}\": is neither Cluster nor of the form DOMAIN/NAME");
        findings.say("", message, "Write Cluster, or a value of the controller such as example.com/internal.");
    }
}

fn keys(map: &Value, findings: &mut Findings) {
    for key in map.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| !is_key(key)) {
        let message = format!("Invalid value: \"{key}\": is not a key of a label or annotation");
        let help = "Write NAME or DOMAIN/NAME, with a NAME of at most 63 letters, digits, `-`, `_` and `.`.";
        findings.say(&format!("/{}", crate::object::escape(key)), message, help);
    }
}

/// Whether a text is a key of a label; `wrong_key` allows prefixes of 253 characters, the definition one less.
fn is_key(key: &str) -> bool {
    let first = key.split('/').next().unwrap_or_default();
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let ends = |end: Option<u8>| end.is_some_and(|b| b.is_ascii_alphanumeric());
    let is_name = plain && name.len() <= 63 && ends(name.bytes().next()) && ends(name.bytes().last());
    is_name && first.chars().count() < 253 && prefix.is_none_or(is_subdomain)
}

fn ports(list: &Value, findings: &mut Findings) {
    repeated(
        list,
        |item| item.get("port").and_then(Value::as_i64),
        |index, _| {
            let message = "Duplicate value: another entry is for this port";
            findings.say(&format!("/{index}/port"), message, "Put both into one entry.");
        },
    );
}

fn bundle(reference: &Value, findings: &mut Findings) {
    let is_bundle =
        text(reference, "group") == "certificates.k8s.io" && text(reference, "kind") == "ClusterTrustBundle";
    if is_bundle && reference.get("namespace").is_some() {
        findings.say("/namespace", "Invalid value: a ClusterTrustBundle has no namespace", "Remove `namespace`.");
    }
}
