//! What the API server demands of the kinds of Gateway API beyond their schemas: the rules of the specification that its
//! definitions have in CEL, as tables of our own, one module for each kind of part. They judge where no definition is at hand.
//!
//! **Invariant:** what is said here is refused by the API server with the definitions of that release and channel;
//! `tests/it/gateway_rules.rs` asks it. Values come with the defaults of their schema.

mod filter;
mod grpc_route;
mod http_route;
mod listener;
mod policy;
mod route;

use super::{each, text};
use crate::kinds::GATEWAY;
use crate::object::GroupKind;
use crate::schema::{Edition, Violation};
use serde_json::Value;

/// A rule about some nodes of a kind.
struct Rule {
    /// The paths of the nodes.
    at: &'static [&'static str],
    /// Which releases, channels and versions of the kind have the rule.
    holds: fn(Place<'_>) -> bool,
    /// Says what is wrong with a node.
    judge: fn(&Value, &mut Findings),
}

/// Where an object is judged.
#[derive(Clone, Copy)]
struct Place<'a> {
    edition: Edition,
    /// The version in which the object is written.
    version: &'a str,
}

impl Place<'_> {
    fn is_experimental(self) -> bool {
        self.edition.experimental
    }

    /// Whether the release is `1.MINOR` or newer.
    fn is_at_least(self, minor: u64) -> bool {
        self.edition.release >= (1, minor)
    }
}

const fn rule(at: &'static [&'static str], judge: fn(&Value, &mut Findings)) -> Rule {
    Rule { at, holds: |_| true, judge }
}

/// What is found at one node.
struct Findings {
    node: String,
    found: Vec<Violation>,
}

impl Findings {
    /// Says what is wrong with a field below the node (`/name`; empty is the node itself), and what to do.
    fn say(&mut self, below: &str, message: impl Into<String>, help: impl Into<String>) {
        let violation = Violation::new(format!("{}{below}", self.node), message);
        self.found.push(Violation { help: Some(help.into()), ..violation });
    }
}

/// The tables of a kind.
fn rules_of(kind: &str) -> Vec<&'static [Rule]> {
    match kind {
        "HTTPRoute" => {
            vec![route::COMMON, route::NAMES, route::SESSIONS, filter::COMMON, filter::HTTP, http_route::RULES]
        }
        "GRPCRoute" => vec![route::COMMON, route::NAMES, route::SESSIONS, filter::COMMON, grpc_route::RULES],
        "TLSRoute" => vec![route::COMMON, route::STREAM_NAMES, route::TLS],
        "TCPRoute" | "UDPRoute" => vec![route::COMMON, route::STREAM_NAMES],
        "Gateway" => vec![listener::COMMON, filter::OF_LISTENERS, listener::GATEWAY],
        "ListenerSet" => vec![listener::COMMON, filter::OF_LISTENERS],
        "BackendTLSPolicy" => vec![policy::RULES],
        _ => Vec::new(),
    }
}

/// What the rules of a release and channel say of an object, whose value has the defaults of its schema.
pub fn broken_rules(kind: &GroupKind, version: &str, value: &Value, edition: Edition) -> Vec<Violation> {
    if kind.group != GATEWAY {
        return Vec::new();
    }
    let place = Place { edition, version };
    let mut findings = Findings { node: String::new(), found: Vec::new() };
    for rule in rules_of(&kind.kind).into_iter().flatten().filter(|rule| (rule.holds)(place)) {
        for (pointer, node) in rule.at.iter().flat_map(|path| each(value, path)) {
            findings.node = pointer;
            (rule.judge)(node, &mut findings);
        }
    }
    findings.found
}

/// The items of a list.
fn items<'a>(node: &'a Value, field: &str) -> &'a [Value] {
    node.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Says of each item that has the key of an earlier one.
fn repeated<K: PartialEq>(list: &Value, key: impl Fn(&Value) -> Option<K>, mut say: impl FnMut(usize, &Value)) {
    let mut known: Vec<K> = Vec::new();
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        let Some(key) = key(item) else { continue };
        if known.contains(&key) {
            say(index, item);
        } else {
            known.push(key);
        }
    }
}

/// Says which of the fields that go with the values of another one are missing, or there without it.
fn union(node: &Value, tag: &str, members: &[(&str, &str)], findings: &mut Findings) {
    let chosen = text(node, tag);
    for (value, field) in members {
        match (chosen == *value, node.get(field).is_some_and(|field| !field.is_null())) {
            (true, false) => findings.say(
                &format!("/{field}"),
                format!("Required value: must be set when `{tag}` is {value}"),
                format!("Add `{field}`, or write the `{tag}` that is meant."),
            ),
            (false, true) => findings.say(
                &format!("/{field}"),
                format!(
                    "Invalid value: must not be set when `{tag}` is {}",
                    if chosen.is_empty() { "not set" } else { chosen }
                ),
                format!("Write `{tag}: {value}`, or remove `{field}`."),
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
