//! The canonical text of an object: what is compared and sent. Each rule removes a rewrite by the API server that would
//! make an unchanged object be written for ever, or hide who changed it (measured on kube-apiserver 1.36).

use crate::object::{Object, ObjectRef, SERVER_FIELDS, Traced, split_api_version};
use base64::Engine as _;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Makes an object canonical: server fields and `status` are dropped; Secret `stringData` becomes `data`; null under
/// `data`, `labels` and `annotations` becomes an empty text; the empty lists and maps of a NetworkPolicy that the
/// server forgets are dropped.
pub fn canonical(value: &mut Value) {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let core = value.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let Some(object) = value.as_object_mut() else { return };
    object.shift_remove("status");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in SERVER_FIELDS {
            metadata.shift_remove(field);
        }
        for field in ["labels", "annotations"] {
            null_to_empty(metadata.get_mut(field));
        }
    }
    if core && kind == "Secret" {
        string_data(object);
    }
    if core && (kind == "Secret" || kind == "ConfigMap") {
        null_to_empty(object.get_mut("data"));
        base64_without_breaks(object, if kind == "Secret" { "data" } else { "binaryData" });
    }
    if let (true, Some(spec)) = (kind == "NetworkPolicy", object.get_mut("spec")) {
        network_policy(spec);
    }
}

fn null_to_empty(map: Option<&mut Value>) {
    for value in map.and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut()) {
        if value.is_null() {
            *value = Value::String(String::new());
        }
    }
}

/// `stringData` wins over `data` of the same key, as in the API server.
fn string_data(object: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = object.shift_remove("stringData") else { return };
    let data = object.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        let encoded = match text {
            Value::String(text) => Value::String(base64::engine::general_purpose::STANDARD.encode(text)),
            Value::Null => Value::String(String::new()),
            // Left as it is, so that the server names the wrong type.
            other => other,
        };
        data.insert(key, encoded);
    }
}

fn base64_without_breaks(object: &mut Map<String, Value>, field: &str) {
    for value in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut()) {
        if let Value::String(text) = value {
            text.retain(|c| c != '\n' && c != '\r');
        }
    }
}

fn network_policy(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten() {
            for peer in rule.get_mut(peers).and_then(Value::as_array_mut).into_iter().flatten() {
                for selector in ["podSelector", "namespaceSelector"] {
                    drop_empty(peer.get_mut(selector), &["matchExpressions", "matchLabels"]);
                }
            }
            drop_empty(Some(rule), &[peers, "ports"]);
        }
    }
    drop_empty(spec.get_mut("podSelector"), &["matchExpressions", "matchLabels"]);
    for direction in ["ingress", "egress"] {
        if spec.get(direction).is_some_and(is_empty) {
            spec.shift_remove(direction);
        }
    }
}

fn drop_empty(parent: Option<&mut Value>, fields: &[&str]) {
    let Some(parent) = parent.and_then(Value::as_object_mut) else { return };
    for field in fields {
        if parent.get(*field).is_some_and(is_empty) {
            parent.shift_remove(*field);
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        value => value.is_null(),
    }
}

/// An object from its text, canonical.
pub(super) fn object(text: &Traced) -> Option<Object> {
    let mut value = text.value();
    let reference = ObjectRef::of(&value)?;
    let version = split_api_version(value.get("apiVersion")?.as_str()?).1.to_owned();
    canonical(&mut value);
    Some(Object { reference, version, value, origin: text.origin.clone(), positions: Arc::new(text.positions()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made(mut value: Value) -> Value {
        canonical(&mut value);
        value
    }

    #[test]
    fn string_data_becomes_data() {
        let made = made(
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eA=\n=", "n": null}, "stringData": {"b": "hi", "n": "y"}}),
        );
        assert_eq!(made["data"], json!({"a": "eA==", "n": "eQ==", "b": "aGk="}));
        assert_eq!(made.get("stringData"), None);
    }

    #[test]
    fn a_network_policy_loses_what_the_server_forgets_and_nothing_else() {
        let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {
            "podSelector": {"matchLabels": {}}, "ingress": [], "egress": [{}, {"to": [], "ports": []}, {"to": [{}, {"podSelector": {}}]}]}});
        assert_eq!(
            made(policy)["spec"],
            json!({"podSelector": {}, "egress": [{}, {}, {"to": [{}, {"podSelector": {}}]}]})
        );
    }

    #[test]
    fn server_fields_and_status_are_dropped() {
        let made =
            made(json!({"kind": "X", "metadata": {"name": "n", "uid": "u", "labels": {"a": null}}, "status": {}}));
        assert_eq!(made, json!({"kind": "X", "metadata": {"name": "n", "labels": {"a": ""}}}));
    }
}
