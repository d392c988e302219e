//! What the API server demands of the values of built-in kinds beyond what its OpenAPI documents say: names, ports, what
//! excludes what. Kubernetes checks this in code (`pkg/apis/*/validation`), so it is a table here, by measurement: whatever
//! is not in it is verified at apply.
//!
//! **Invariant:** what is said here is refused by every Kubernetes that is supported; doubt is silence.

mod autoscaler;
mod fact;
mod gateway;
mod metadata;
mod network_policy;
mod pod;
mod selector;
mod service;

pub(crate) use fact::is_subdomain;
pub use gateway::broken_rules;

use super::each;
use crate::object::ObjectRef;
use crate::schema::Violation;
use fact::Fact;
use serde_json::Value;

/// A field below some nodes and what its value must be. A field that is empty is absent, as in Go.
struct Row {
    /// The path of the nodes: `spec.ports[]`.
    of: &'static str,
    /// The field of them.
    field: &'static str,
    /// Whether it must be there.
    required: bool,
    /// What it must be when it is there.
    fact: Fact,
}

const fn required(of: &'static str, field: &'static str, fact: Fact) -> Row {
    Row { of, field, required: true, fact }
}

const fn optional(of: &'static str, field: &'static str, fact: Fact) -> Row {
    Row { of, field, required: false, fact }
}

/// What is wrong with the values of an object, whatever its schema says.
pub fn wrong_values(reference: &ObjectRef, value: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    metadata::check(value, &mut found);
    match (reference.group.as_str(), reference.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            pod::template(value, "spec.template", &mut found);
            pod::selects_itself(value, &mut found);
            pod::strategy(&reference.kind, value, &mut found);
        }
        ("batch", "Job") => pod::template(value, "spec.template", &mut found),
        ("batch", "CronJob") => pod::template(value, "spec.jobTemplate.spec.template", &mut found),
        ("", "Pod") => pod::spec(value, "spec", &mut found),
        ("", "Service") => service::check(value, &mut found),
        ("networking.k8s.io", "NetworkPolicy") => network_policy::check(value, &mut found),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler::check(value, &mut found),
        _ => {}
    }
    found
}

/// Holds the nodes below a path of a value against a table.
fn hold(value: &Value, root: &str, rows: &[Row], found: &mut Vec<Violation>) {
    for (below, node) in each(value, root) {
        for row in rows {
            for (pointer, parent) in each(node, row.of).into_iter().filter(|(_, parent)| parent.is_object()) {
                let place = format!("{below}{pointer}/{}", row.field);
                match parent.get(row.field).filter(|value| !is_empty(value)) {
                    Some(value) => found.extend(row.fact.wrong(value).map(|message| Violation::new(place, message))),
                    None if row.required => found.push(Violation::new(place, "Required value")),
                    None => {}
                }
            }
        }
    }
}

/// Whether Go leaves a value out: numbers stay, since a 0 that is written is a mistake where it is none.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The text of a field, empty when it is absent.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Says of all but the first of equal items that they are there twice.
fn twice<'a>(items: impl Iterator<Item = (String, &'a str)>, found: &mut Vec<Violation>) {
    let mut known = std::collections::HashSet::new();
    for (pointer, name) in items.filter(|(_, name)| !name.is_empty()) {
        if !known.insert(name) {
            found.push(Violation::new(pointer, format!("Duplicate value: \"{name}\"")));
        }
    }
}

#[cfg(test)]
mod tests;
