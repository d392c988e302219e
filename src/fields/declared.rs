//! The fields that a text declares when it is applied: the fieldset that the API server would record for it.

use super::set::{Element, FieldPath, FieldSet};
use crate::object::SERVER_FIELDS;
use crate::object::escape;
use crate::schema::{ListType, Schema};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A declared field that holds a value as a whole.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// Its path.
    pub path: FieldPath,
    /// The value that is declared.
    pub value: &'a Value,
    /// Its schema, where known.
    pub schema: Option<Schema<'a>>,
}

/// What a text declares.
#[derive(Clone, Debug, Default)]
pub struct Declared<'a> {
    /// All paths, as `managedFields` would list them.
    pub set: FieldSet,
    /// The leaves with their values.
    pub leaves: Vec<Leaf<'a>>,
    /// The lists whose items are told apart, with the items in the order of the text.
    pub lists: Vec<(FieldPath, Vec<Element>)>,
}

/// Derives what an object declares. Without schema, maps are granular and lists atomic, as the server deduces.
pub fn declare<'a>(value: &'a Value, schema: Option<Schema<'a>>) -> Declared<'a> {
    let mut declared = Declared::default();
    let Some(map) = value.as_object() else { return declared };
    for (name, child) in map {
        let path = FieldPath::of(&[name]);
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => declared.metadata(child),
            _ => declared.field(
                path,
                child,
                schema.and_then(|s| s.property(name)),
                schema.is_none_or(|s| s.property(name).is_none()),
            ),
        }
    }
    declared
}

impl<'a> Declared<'a> {
    /// Metadata has the same types for every kind.
    fn metadata(&mut self, metadata: &'a Value) {
        for (name, child) in metadata.as_object().into_iter().flatten() {
            let path = FieldPath::of(&["metadata", name]);
            match (name.as_str(), child) {
                ("name" | "namespace", _) => {}
                (name, _) if SERVER_FIELDS.contains(&name) => {}
                ("finalizers", Value::Array(items)) => self.set_items(&path, items),
                ("ownerReferences", Value::Array(items)) => {
                    for item in items {
                        let uid = item.get("uid").cloned().unwrap_or_default();
                        let keys = Value::Object(Map::from_iter([("uid".to_owned(), uid)]));
                        self.leaf(path.join(Element::Key(keys.to_string())), item, None);
                    }
                }
                _ => self.field(path, child, None, false),
            }
        }
    }

    fn leaf(&mut self, path: FieldPath, value: &'a Value, schema: Option<Schema<'a>>) {
        self.set.insert(&path);
        self.leaves.push(Leaf { path, value, schema });
    }

    /// `keyed`: the last step of the path is a key of a map and not a declared property, so it is itself in the set.
    fn field(&mut self, path: FieldPath, value: &'a Value, schema: Option<Schema<'a>>, keyed: bool) {
        match value {
            Value::Object(map) if !map.is_empty() && !schema.is_some_and(Schema::is_atomic_map) => {
                if keyed && path.0.first().is_some_and(|first| !first.is("metadata")) {
                    self.set.insert(&path);
                }
                for (name, child) in map {
                    let property = schema.and_then(|s| s.property(name));
                    let below = property.or_else(|| schema.and_then(Schema::additional));
                    self.field(path.field(name), child, below, property.is_none());
                }
            }
            Value::Array(items) => match schema.map(Schema::list_type) {
                Some(ListType::Set) => self.set_items(&path, items),
                Some(ListType::Map(keys)) => self.map_items(&path, items, schema.and_then(Schema::items), &keys),
                _ => self.leaf(path, value, schema),
            },
            _ => self.leaf(path, value, schema),
        }
    }

    fn set_items(&mut self, path: &FieldPath, items: &'a [Value]) {
        let mut order = Vec::new();
        for item in items {
            let element = Element::Value(go_json(item));
            self.leaf(path.join(element.clone()), item, None);
            order.push(element);
        }
        self.lists.push((path.clone(), order));
    }

    fn map_items(&mut self, path: &FieldPath, items: &'a [Value], schema: Option<Schema<'a>>, keys: &[&str]) {
        let mut order = Vec::new();
        for item in items {
            let element = item_key(item, schema, keys);
            let below = path.join(element.clone());
            order.push(element);
            self.set.insert(&below);
            if schema.is_some_and(Schema::is_atomic_map) {
                self.leaf(below, item, schema);
                continue;
            }
            for (name, child) in item.as_object().into_iter().flatten() {
                let property = schema.and_then(|s| s.property(name));
                self.field(below.field(name), child, property, property.is_none());
            }
        }
        self.lists.push((path.clone(), order));
    }
}

/// The element of an item: its key fields with defaults, sorted by name.
pub(super) fn item_key(item: &Value, schema: Option<Schema<'_>>, keys: &[&str]) -> Element {
    let mut sorted: Vec<&str> = keys.to_vec();
    sorted.sort_unstable();
    let pairs = sorted.iter().filter_map(|key| {
        let given = item.get(*key).filter(|v| !v.is_null());
        let value = given.or_else(|| schema?.property(key)?.default())?;
        Some(((*key).to_owned(), value.clone()))
    });
    Element::Key(go_json(&Value::Object(pairs.collect())))
}

/// JSON as Go writes it, with the characters escaped that mean something in HTML: elements of paths are compared as texts.
pub(super) fn go_json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    let escaped = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    escaped.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// The index of the item that an element of a path names. Where no item states all key fields, one that leaves some out
/// is meant: only their defaults can be, and the element was made with them.
fn index_of(items: &[Value], element: &Element) -> Option<usize> {
    match element {
        Element::Field(_) => None,
        Element::Index(index) => Some(*index).filter(|index| *index < items.len()),
        Element::Key(keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            let all = |item: &Value| keys.iter().all(|(k, v)| item.get(k) == Some(v));
            let some = |item: &Value| {
                keys.iter().all(|(k, v)| item.get(k).is_none_or(|have| have == v))
                    && keys.keys().any(|k| item.get(k).is_some())
            };
            items.iter().position(all).or_else(|| items.iter().position(some))
        }
        Element::Value(value) => {
            let value: Value = serde_json::from_str(value).ok()?;
            items.iter().position(|item| *item == value)
        }
    }
}

/// The value at a path.
pub fn value_at<'a>(value: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.0.iter().try_fold(value, |value, element| match element.name() {
        Some(name) => value.get(name),
        None => value.as_array().and_then(|items| items.get(index_of(items, element)?)),
    })
}

/// A copy of a value with what some sets of paths cover alone: a path without paths below it covers all that is there. Items
/// of lists keep the fields by which they are told apart.
pub fn restrict(value: &Value, sets: &[&FieldSet]) -> Value {
    if sets.iter().any(|set| set.is_empty()) {
        return value.clone();
    }
    match value {
        Value::Object(map) => {
            let covered = map.iter().filter_map(|(name, child)| {
                let element = Element::Field(name.clone());
                let below: Vec<&FieldSet> = sets.iter().filter_map(|set| set.children.get(&element)).collect();
                (!below.is_empty()).then(|| (name.clone(), restrict(child, &below)))
            });
            covered.collect()
        }
        Value::Array(items) => {
            let mut found: BTreeMap<usize, (Vec<&FieldSet>, Map<String, Value>)> = BTreeMap::new();
            for (element, below) in sets.iter().flat_map(|set| &set.children) {
                let Some(index) = index_of(items, element) else { continue };
                let (sets, keys) = found.entry(index).or_default();
                sets.push(below);
                keys.extend(element.keys());
            }
            let item = |(index, (sets, keys)): (usize, (Vec<&FieldSet>, Map<String, Value>))| {
                let mut item = restrict(&items[index], &sets);
                if let Some(item) = item.as_object_mut() {
                    for (key, value) in keys {
                        item.entry(key).or_insert(value);
                    }
                }
                item
            };
            found.into_iter().map(item).collect()
        }
        scalar => scalar.clone(),
    }
}

/// The JSON pointer of a path in a value, as far as the value has it.
pub fn pointer_of(value: &Value, path: &FieldPath) -> String {
    let mut pointer = String::new();
    let mut node = Some(value);
    for element in &path.0 {
        let step = match element.name() {
            Some(name) => name.to_owned(),
            None => match node.and_then(Value::as_array).and_then(|items| index_of(items, element)) {
                Some(index) => index.to_string(),
                None => break,
            },
        };
        node = node.and_then(|n| match n {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(&step),
        });
        pointer.push('/');
        pointer.push_str(&escape(&step));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use crate::schema::Schemas;
    use serde_json::json;

    fn derived(value: &Value) -> Value {
        let schemas = Schemas::default();
        let reference = crate::object::ObjectRef::of(value);
        let kind = reference.map_or_else(|| GroupKind::new("", ""), |r| r.group_kind());
        let version = value["apiVersion"].as_str().and_then(|v| v.rsplit('/').next()).unwrap_or_default();
        declare(value, schemas.of(&kind, version)).set.to_json()
    }

    #[test]
    fn a_service_is_derived_as_the_server_does() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "n", "labels": {"a/b": "c"}},
            "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}], "externalIPs": []}});
        assert_eq!(
            derived(&service),
            json!({"f:metadata": {"f:labels": {"f:a/b": {}}}, "f:spec": {
                "f:externalIPs": {},
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:targetPort": {}}},
                "f:selector": {}}})
        );
    }

    #[test]
    fn keys_of_maps_are_members_and_empty_map_lists_are_nothing() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "finalizers": ["a.b/c"]}, "spec": {"containers": [], "nodeSelector": {}}});
        assert_eq!(
            derived(&pod),
            json!({"f:metadata": {"f:finalizers": {"v:\"a.b/c\"": {}}}, "f:spec": {"f:nodeSelector": {}}})
        );
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {}}, "data": {"a.b": "1"}});
        assert_eq!(derived(&config), json!({"f:metadata": {"f:labels": {}}, "f:data": {"f:a.b": {}}}));
    }

    #[test]
    fn a_restricted_value_has_what_the_set_covers_and_the_keys_of_items() {
        let live = json!({"spec": {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": "x", "other": 1}],
            "whole": {"a": [1]}, "not": 2}});
        let set = FieldSet::parse(
            &json!({"f:spec": {"f:whole": {}, "f:gone": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}}}),
        );
        let covered = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "x"}], "whole": {"a": [1]}}});
        assert_eq!(restrict(&live, &[&set]), covered);
        let all = FieldSet::parse(&json!({"f:spec": {"f:ports": {}}}));
        assert_eq!(restrict(&live, &[&set, &all])["spec"]["ports"], live["spec"]["ports"]);
    }

    #[test]
    fn paths_lead_to_values_and_pointers() {
        let value = json!({"spec": {"ports": [{"port": 1}, {"port": 80, "name": "x"}]}});
        let path = FieldPath::spelt(&["f:spec", "f:ports", "k:{\"port\":80,\"protocol\":\"TCP\"}", "f:name"]);
        assert_eq!(value_at(&value, &path), Some(&json!("x")));
        // The item that states its key goes before one that leaves it out.
        let text = json!({"ports": [{"port": 53}, {"port": 53, "protocol": "UDP", "name": "u"}]});
        let udp = FieldPath::spelt(&["f:ports", "k:{\"port\":53,\"protocol\":\"UDP\"}", "f:name"]);
        assert_eq!(value_at(&text, &udp), Some(&json!("u")));
        assert_eq!(go_json(&json!("a<b&c")), "\"a\\u003cb\\u0026c\"");
        assert_eq!(pointer_of(&value, &path), "/spec/ports/1/name");
    }
}
