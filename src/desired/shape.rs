//! The fields that local kinds have, by the schema of their types: every unknown field and value is found, at every depth and
//! all at once, with the name that was probably meant.

use super::{App, Approval, Config, json_schema::spec_of, patch};
use crate::object::{escape, nearest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// So many mistakes of one text are told: whoever fixes them sees the next.
const MOST_TOLD: usize = 50;

/// One mistake in the text of a local kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The JSON pointer of the field.
    pub(super) pointer: String,
    /// What is wrong, as the beginning of a sentence without its full stop.
    pub(super) message: String,
    /// What is allowed instead, where that is known.
    pub(super) help: Option<String>,
}

/// The `spec` of a local kind.
pub(super) trait Local: DeserializeOwned {
    /// The kind.
    const KIND: &'static str;

    /// The JSON schema of the spec.
    fn schema() -> &'static Value;
}

macro_rules! local {
    ($type:ty, $kind:literal) => {
        impl Local for $type {
            const KIND: &'static str = $kind;

            fn schema() -> &'static Value {
                static SCHEMA: LazyLock<Value> = LazyLock::new(|| spec_of::<$type>().to_value());
                &SCHEMA
            }
        }
    };
}

local!(App, "App");
local!(patch::Spec, "Patch");
local!(Config, "Config");
local!(Approval, "Approval");

/// Reads a spec that stands at a JSON pointer, with everything that is wrong in it. Where fields are unknown, the value is what is
/// left without them; whoever gets flaws must not use it but to find more of them.
pub(super) fn read<T: Local>(value: &Value, at: &str) -> (Option<T>, Vec<Flaw>) {
    let mut flaws = unknown::<T>(value, at);
    let mut rest = value.clone();
    for flaw in &flaws {
        remove(&mut rest, &flaw.pointer[at.len()..]);
    }
    // serde stops at the first value of a wrong type; without that value it finds the next.
    while flaws.len() < MOST_TOLD {
        let (pointer, message) = match super::config::typed::<T>(&rest, at) {
            Ok(typed) => return (Some(typed), flaws),
            Err(wrong) => wrong,
        };
        let lacks = |flaw: &Flaw| flaw.pointer.rsplit_once('/').is_some_and(|(parent, _)| parent == pointer);
        if flaws.iter().any(|flaw| flaw.pointer == pointer || lacks(flaw)) {
            break;
        }
        let below = pointer[at.len()..].to_owned();
        flaws.push(Flaw { pointer, message, help: None });
        if below.is_empty() || !remove(&mut rest, &below) {
            break;
        }
    }
    (None, flaws)
}

/// The unknown fields, and the values that are none of those which their field has, of a part of a spec.
pub(super) fn unknown<T: Local>(value: &Value, at: &str) -> Vec<Flaw> {
    let root = T::schema();
    let mut found = Vec::new();
    Walk { root, kind: T::KIND, found: &mut found }.node(value, &nodes(root, root), at);
    found.truncate(MOST_TOLD);
    found
}

/// The fields around the spec of a local kind: pointers of those that there are not.
pub(super) fn unknown_around(object: &Value, kind: &str) -> Vec<Flaw> {
    const ROOT: &[&str] = &["apiVersion", "kind", "metadata", "spec"];
    const METADATA: &[&str] = &["name", "namespace", "labels", "annotations", "creationTimestamp"];
    let mut found = Vec::new();
    for (at, known) in [("", ROOT), ("/metadata", METADATA)] {
        let Some(Value::Object(entries)) = object.pointer(at) else { continue };
        let unknown = entries.keys().filter(|name| !known.contains(&name.as_str()));
        found.extend(unknown.map(|name| no_field(format!("{at}/{}", escape(name)), name, known.iter().copied(), kind)));
    }
    found
}

fn no_field<'a>(pointer: String, name: &str, known: impl IntoIterator<Item = &'a str>, kind: &str) -> Flaw {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("Did you mean `{meant}`?"),
        None if known.is_empty() => format!("`spinway schema {kind}` prints all fields."),
        None => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("Allowed here: {}. `spinway schema {kind}` prints all fields.", names.join(", "))
        }
    };
    Flaw { pointer, message: format!("Unknown field `{name}`"), help: Some(help) }
}

/// Removes what stands at a pointer: a field goes, an item of a list becomes null so that the others keep their places. False where
/// it is gone already.
fn remove(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(crate::object::unescape(key).as_ref()).is_some(),
        Some(Value::Array(items)) => match key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            Some(item) if !item.is_null() => {
                *item = Value::Null;
                true
            }
            _ => false,
        },
        _ => false,
    }
}

type Node = &'static Map<String, Value>;

/// The alternatives that a schema stands for, without references between them.
fn nodes(schema: &'static Value, root: &'static Value) -> Vec<Node> {
    let mut found = Vec::new();
    gather(schema, root, &mut found);
    found
}

fn gather(schema: &'static Value, root: &'static Value, found: &mut Vec<Node>) {
    static OPEN: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    let Some(node) = schema.as_object() else {
        // `true` takes everything.
        return found.push(&OPEN);
    };
    if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        if let Some(target) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            gather(target, root, found);
        }
        return;
    }
    let alternatives = ["anyOf", "oneOf", "allOf"].iter().filter_map(|name| node.get(*name)?.as_array()).flatten();
    let before = found.len();
    alternatives.for_each(|alternative| gather(alternative, root, found));
    if found.len() == before || node.contains_key("properties") {
        found.push(node);
    }
}

struct Walk<'a> {
    root: &'static Value,
    kind: &'static str,
    found: &'a mut Vec<Flaw>,
}

impl Walk<'_> {
    fn node(&mut self, value: &Value, nodes: &[Node], at: &str) {
        match value {
            Value::Object(map) => self.map(map, nodes, at),
            Value::Array(items) => {
                let below: Vec<Node> =
                    nodes.iter().filter_map(|node| node.get("items")).flat_map(|n| self.nodes(n)).collect();
                items.iter().enumerate().for_each(|(index, item)| self.node(item, &below, &format!("{at}/{index}")));
            }
            Value::String(text) => self.text(text, nodes, at),
            _ => {}
        }
    }

    fn nodes(&self, schema: &'static Value) -> Vec<Node> {
        nodes(schema, self.root)
    }

    fn map(&mut self, map: &Map<String, Value>, nodes: &[Node], at: &str) {
        let maps = || nodes.iter().filter(|node| is_of(node, "object"));
        let properties = || maps().filter_map(|node| node.get("properties")?.as_object()).flatten().collect::<Vec<_>>();
        let mut known: BTreeMap<&str, Vec<&'static Value>> = BTreeMap::new();
        properties().into_iter().for_each(|(name, schema)| known.entry(name).or_default().push(schema));
        let others: Vec<&'static Value> = maps().filter_map(|node| node.get("additionalProperties")).collect();
        let is_closed =
            maps().count() > 0 && maps().all(|node| node.get("additionalProperties") == Some(&Value::Bool(false)));
        for (name, value) in map {
            let pointer = format!("{at}/{}", escape(name));
            let schemas = match known.get(name.as_str()) {
                Some(schemas) => schemas.clone(),
                None if is_closed => {
                    let names = known.keys().copied().collect::<Vec<_>>();
                    self.found.push(no_field(pointer, name, names, self.kind));
                    continue;
                }
                None => others.iter().copied().filter(|schema| schema.is_object()).collect(),
            };
            let below: Vec<Node> = schemas.into_iter().flat_map(|schema| self.nodes(schema)).collect();
            self.node(value, &below, &pointer);
        }
    }

    /// Finds a text that is none of the words which its field has.
    fn text(&mut self, text: &str, nodes: &[Node], at: &str) {
        let texts: Vec<&Node> = nodes.iter().filter(|node| is_of(node, "string")).collect();
        let words = |node: &&Node| -> Option<Vec<&'static str>> {
            let one = node.get("const").and_then(Value::as_str);
            let several = node.get("enum").and_then(Value::as_array);
            let several = several.map(|words| words.iter().filter_map(Value::as_str).collect());
            one.map(|word| vec![word]).or(several)
        };
        let all: Option<Vec<Vec<&str>>> = texts.iter().map(words).collect();
        // A value is replaced later, by the rules of the environment.
        let Some(words) = all.map(|words| words.concat()).filter(|words| !words.is_empty() && !text.contains("${"))
        else {
            return;
        };
        if words.contains(&text) {
            return;
        }
        let field = at.rsplit('/').next().unwrap_or_default();
        let help = match nearest(text, words.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                format!("Allowed: {}.", words.join(", "))
            }
        };
        let message = format!("`{text}` is not a value of `{field}`");
        self.found.push(Flaw { pointer: at.to_owned(), message, help: Some(help) });
    }
}

/// Whether a node takes values of a type; one that names no type takes all.
fn is_of(node: &Node, wanted: &str) -> bool {
    match node.get("type") {
        None => true,
        Some(Value::Array(types)) => types.iter().any(|known| known == wanted),
        Some(known) => known == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flaws<T: Local>(value: &Value) -> Vec<(String, String)> {
        let found = read::<T>(value, "").1.into_iter();
        found.map(|flaw| (flaw.pointer, flaw.help.unwrap_or(flaw.message))).collect()
    }

    fn said(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(pointer, text)| ((*pointer).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn every_unknown_field_is_found_with_what_was_meant() {
        let app = json!({
            "image": "a", "replicsa": 2, "autoscale": {"min": 1, "max": 2, "cpus": 60},
            "variables": {"a": {"configMap": {"nmae": "x", "key": "k"}}, "b": {"secert": {"name": "x", "key": "k"}}, "c": "plain"},
            "routes": [{"gateway": "a/b", "hosts": ["x"]}, {"gatway": "a/b"}],
            "keyValueStores": {"s": {"type": "redis", "anything": "goes"}},
            "egress": ["http://a", {"ap": "b"}], "rollout": {"onFailure": "rolback"}, "trigger": "HTTP"
        });
        let expected = [
            ("/replicsa", "Did you mean `replicas`?"),
            ("/autoscale/cpus", "Did you mean `cpu`?"),
            ("/variables/a/configMap/nmae", "Did you mean `name`?"),
            ("/variables/b/secert", "Did you mean `secret`?"),
            ("/routes/1/gatway", "Did you mean `gateway`?"),
            ("/egress/1/ap", "Did you mean `app`?"),
            ("/rollout/onFailure", "Did you mean `rollback`?"),
            ("/trigger", "Did you mean `http`?"),
        ];
        let mut found = flaws::<App>(&app);
        found.retain(|(_, text)| text.starts_with("Did"));
        assert_eq!(found, said(&expected));
    }

    #[test]
    fn values_of_wrong_types_are_found_one_after_the_other() {
        let app = json!({"image": "a", "replicas": "two", "telemetry": 1, "components": "all"});
        let pointers: Vec<String> = flaws::<App>(&app).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/replicas", "/telemetry", "/components"]);
        let wrong = json!({"environment": 1, "digest": 2, "expires": "x"});
        assert_eq!(flaws::<Approval>(&wrong).len(), 2);
    }

    #[test]
    fn what_a_config_and_a_patch_have_is_known_at_every_depth() {
        let config = json!({
            "sources": ["a", {"path": "b", "namespce": "c"}], "environments": [{"name": "x", "drift": "corect", "cluster": {"context": "kind-*"}}],
            "conflicts": {"defualt": "fail"}, "tenants": [{"name": "t", "defaults": {"anything": 1}}]
        });
        let expected = [
            ("/sources/1/namespce", "Did you mean `namespace`?"),
            ("/environments/0/drift", "Did you mean `correct`?"),
            ("/conflicts/defualt", "Did you mean `default`?"),
        ];
        assert_eq!(flaws::<Config>(&config), said(&expected));
        let patch = json!({"target": {"knid": "App"}, "json": [{"op": "add", "path": "/a", "value": 1}], "merg": {}});
        let expected = [("/merg", "Did you mean `merge`?"), ("/target/knid", "Did you mean `kind`?")];
        let mut found = flaws::<patch::Spec>(&patch);
        found.sort();
        assert_eq!(found, said(&expected));
        assert_eq!(flaws::<patch::Spec>(&json!({"target": {}, "merge": {"a": {"b": null}}})), Vec::new());
    }

    #[test]
    fn what_stands_around_a_spec_is_known_too() {
        let object = json!({"apiVersion": "a", "kind": "Config", "metdata": {}, "metadata": {"name": "a", "label": {}}, "spec": {}, "tenants": []});
        let pointers: Vec<String> = unknown_around(&object, "Config").into_iter().map(|flaw| flaw.pointer).collect();
        assert_eq!(pointers, ["/metdata", "/tenants", "/metadata/label"]);
    }
}
