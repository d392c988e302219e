//! Paths, redirects and timeouts of HTTPRoute. That a prefix is only replaced where one is matched is a check of its own.

use super::route::count_matches;
use super::{Findings, Rule, items, rule, text};
use serde_json::Value;

pub(super) const RULES: &[Rule] = &[
    rule(&["spec.rules"], count_matches),
    rule(&["spec.rules[].matches[].path"], path),
    rule(&["spec.rules[]"], redirect_with_backends),
    rule(&["spec.rules[].timeouts"], timeouts),
];

/// The characters of a path beside letters, digits and `%HH` (RFC 3986, pchar and `/`).
const PATH_SIGNS: &str = "-/._~!$&'()*+,;=:@";
/// What a path may not contain: it would be read in two ways.
const AMBIGUOUS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];

fn path(node: &Value, findings: &mut Findings) {
    let kind = text(node, "type");
    let Some(value) = node.get("value").and_then(Value::as_str) else { return };
    if !matches!(kind, "Exact" | "PathPrefix") {
        return;
    }
    let mut say = |wrong: &str, help: &str| {
        let message = format!("Invalid value: \"{value}\": {wrong} when `type` is {kind}");
        findings.say("/value", message, help);
    };
    if !value.starts_with('/') {
        return say("must start with `/`", &format!("Write `/{value}`."));
    }
    if let Some(part) = AMBIGUOUS.iter().find(|part| value.contains(**part)) {
        return say(&format!("must not contain `{part}`"), "Write the path as the app sees it, without such parts.");
    }
    if let Some(end) = ["/..", "/."].iter().find(|end| value.ends_with(**end)) {
        return say(&format!("must not end with `{end}`"), "Write the path that is meant.");
    }
    if !has_path_characters(value) {
        let help = format!(
            "Allowed: letters, digits, `{PATH_SIGNS}` and `%` with two hexadecimal digits. Encode anything else."
        );
        say("has a character that a path cannot have", &help);
    }
}

fn has_path_characters(value: &str) -> bool {
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let fits = match byte {
            b'%' => [rest.next(), rest.next()].iter().all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || PATH_SIGNS.as_bytes().contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

fn redirect_with_backends(node: &Value, findings: &mut Findings) {
    if items(node, "backendRefs").is_empty() {
        return;
    }
    if let Some(index) = items(node, "filters").iter().position(|filter| is_set(filter, "requestRedirect")) {
        let message = "Invalid value: RequestRedirect must not be used together with backendRefs";
        let help = "A redirect answers the request itself: remove `backendRefs`, or the filter.";
        findings.say(&format!("/filters/{index}"), message, help);
    }
}

fn is_set(node: &Value, field: &str) -> bool {
    node.get(field).is_some_and(|value| !value.is_null())
}

fn timeouts(node: &Value, findings: &mut Findings) {
    let length = |field: &str| milliseconds(node.get(field)?.as_str()?);
    let (Some(request), Some(backend)) = (length("request"), length("backendRequest")) else { return };
    if request != 0 && backend > request {
        let (whole, part) = (text(node, "request"), text(node, "backendRequest"));
        let message = format!("Invalid value: \"{part}\": must not be longer than `request`, {whole}");
        findings.say("/backendRequest", message, "`request` limits all attempts together, `backendRequest` each one.");
    }
}

/// A duration of Gateway API (GEP-2257), such as `1h30m` or `500ms`.
fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let (unit, length) = units.iter().find(|(unit, _)| after.starts_with(unit))?;
        sum = sum.checked_add(number.checked_mul(*length)?)?;
        rest = &after[unit.len()..];
    }
    Some(sum)
}
