//! NetworkPolicies.

use super::fact::Fact::{Between, Cidr, OneOf, Port};
use super::fact::is_cidr;
use super::{Row, each, hold, optional, required, selector};
use crate::schema::Violation;
use serde_json::Value;
use std::net::IpAddr;

const PORT: [Row; 3] = [
    optional("ports[]", "protocol", OneOf(&["SCTP", "TCP", "UDP"])),
    optional("ports[]", "port", Port),
    optional("ports[]", "endPort", Between(1, 65_535)),
];
const PEER: [Row; 1] = [required("ipBlock", "cidr", Cidr)];

/// Holds a NetworkPolicy against what it may be.
pub(super) fn check(value: &Value, found: &mut Vec<Violation>) {
    selector::check(value, "spec.podSelector", found);
    for (pointer, kind) in each(value, "spec.policyTypes[]") {
        let wrong = OneOf(&["Ingress", "Egress"]).wrong(kind);
        found.extend(wrong.map(|message| Violation::new(pointer, message)));
    }
    if each(value, "spec.policyTypes[]").len() > 2 {
        found.push(Violation::new("/spec/policyTypes", "Invalid value: may not specify more than two policyTypes"));
    }
    for (rules, peers) in [("spec.ingress[]", "from[]"), ("spec.egress[]", "to[]")] {
        hold(value, rules, &PORT, found);
        for (pointer, rule) in each(value, rules) {
            each(rule, "ports[]").iter().for_each(|(below, port)| range(port, &format!("{pointer}{below}"), found));
            for (below, peer) in each(rule, peers) {
                self::peer(peer, &format!("{pointer}{below}"), found);
            }
        }
    }
}

/// A range of ports goes upwards from a number.
fn range(port: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let Some(end) = port.get("endPort").and_then(Value::as_i64) else { return };
    let message = match port.get("port") {
        None | Some(Value::Null) => "Invalid value: may not be specified when `port` is not specified",
        Some(Value::String(_)) => "Invalid value: may not be specified when `port` is non-numeric",
        Some(Value::Number(first)) if first.as_i64().is_some_and(|first| end < first) => {
            "Invalid value: must be greater than or equal to `port`"
        }
        _ => return,
    };
    found.push(Violation::new(format!("{pointer}/endPort"), message));
}

fn peer(peer: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let has = |field: &str| peer.get(field).is_some_and(|value| !value.is_null());
    let selects = has("podSelector") || has("namespaceSelector");
    if !selects && !has("ipBlock") {
        return found.push(Violation::new(pointer, "Required value: must specify a peer"));
    }
    if selects && has("ipBlock") {
        found.push(Violation::new(pointer, "Forbidden: may not specify both ipBlock and another peer"));
    }
    let mut below = Vec::new();
    hold(peer, "", &PEER, &mut below);
    selector::check(peer, "podSelector", &mut below);
    selector::check(peer, "namespaceSelector", &mut below);
    for (excepted, cidr) in each(peer, "ipBlock.except[]") {
        let range = peer.pointer("/ipBlock/cidr").and_then(Value::as_str).unwrap_or_default();
        let outside = cidr.as_str().filter(|cidr| is_cidr(range) && !is_within(cidr, range));
        let outside = outside.map(|cidr| format!("Invalid value: \"{cidr}\": must be a strict subset of `cidr`"));
        below.extend(Cidr.wrong(cidr).or(outside).map(|message| Violation::new(excepted, message)));
    }
    found.extend(below.into_iter().map(|v| Violation { pointer: format!("{pointer}{}", v.pointer), ..v }));
}

/// Whether a range of addresses is a part of another one, and not all of it.
fn is_within(part: &str, whole: &str) -> bool {
    let (Some((part, longer)), Some((whole, shorter))) = (prefix(part), prefix(whole)) else { return false };
    part.is_ipv4() == whole.is_ipv4() && longer > shorter && bits(part, shorter) == bits(whole, shorter)
}

fn prefix(cidr: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = cidr.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok()?))
}

/// The first bits of an address.
fn bits(address: IpAddr, count: u32) -> u128 {
    let (all, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    all.checked_shr(width - count.min(width)).unwrap_or_default()
}
