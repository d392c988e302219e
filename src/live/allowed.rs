//! What of a live object may leave the cluster in a snapshot: what planning reads of it, and nothing else.
//!
//! Of every object: its identity, labels, owners and marks, who holds which field, what it refers to and is judged by. Of
//! the rest, the fields that we applied or that the repository declares. Values of Secrets never; those of ConfigMaps, of
//! variables and of headers only where the repository has the same.

use super::mask::masked;
use crate::desired::Desired;
use crate::fields::{Element, FieldPath, FieldSet, Leaf, Managers, declare, restrict, value_at};
use crate::inventory::{ID, is_mark};
use crate::kinds;
use crate::object::{GroupKind, ObjectRef, label, unescape};
use crate::schema::{CRD_GROUP, Schemas, compact_crd, crd_versions};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Fields of `metadata` that are kept. A resourceVersion says nothing that outlives the next write of a status.
const METADATA: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "finalizers",
    "ownerReferences",
];
/// Annotations that are kept because of who defines them.
const DOMAINS: [&str; 3] = ["spinway.dev/", "applyset.kubernetes.io/", "gateway.networking.k8s.io/"];
/// Where routes set headers, whose values may be credentials.
const HEADERS: [&str; 2] = ["requestHeaderModifier", "responseHeaderModifier"];

/// What stands in place of a value that the repository did not have when the snapshot was taken: unlike a masked one it is
/// known to differ from what was applied then.
pub const NOT_SHOWN: &str = "(not in the repository)";

/// Decides what may leave.
pub(super) struct Allowed<'a> {
    desired: &'a Desired,
    schemas: &'a Schemas,
    /// Literal values that are in the repository, and so no secret.
    public: BTreeSet<&'a str>,
    /// Kinds whose definition is in the repository: which fields their objects have decides whether it may change.
    changing: BTreeSet<GroupKind>,
}

impl<'a> Allowed<'a> {
    pub(super) fn new(desired: &'a Desired, schemas: &'a Schemas) -> Self {
        let values = desired.objects.iter().flat_map(|(reference, member)| {
            let variables = kinds::each(&member.object.value, "spec.variables[].value").into_iter().map(|(_, v)| v);
            variables.chain(literals(&reference.group_kind(), &member.object.value).into_iter().map(|(_, v)| v))
        });
        let definitions = desired.objects.iter().filter(|(r, _)| r.is(CRD_GROUP, "CustomResourceDefinition"));
        let changing = definitions.filter_map(|(_, member)| crd_versions(&member.object.value).map(|(kind, _)| kind));
        Self { desired, schemas, public: values.filter_map(Value::as_str).collect(), changing: changing.collect() }
    }

    /// A copy of an object with what may leave.
    pub(super) fn copy(&self, reference: &ObjectRef, value: &Value) -> Value {
        let kind = reference.group_kind();
        let wanted = self.desired.objects.get(reference);
        let mut read = FieldSet::default();
        for pointer in self.read_at(reference, value) {
            read.insert(&path(value, &pointer));
        }
        let declared =
            wanted.map(|member| declare(&member.object.value, self.schemas.of(&kind, &member.object.version)));
        let leaves: Vec<&Leaf<'_>> = declared.iter().flat_map(|declared| &declared.leaves).collect();
        // What is empty in the repository says nothing of what others put there.
        let mut known = FieldSet::default();
        leaves.iter().filter(|leaf| !is_empty(leaf.value)).for_each(|leaf| known.insert(&leaf.path));
        let managers = Managers::of(value);
        let ours = managers.ours().map(FieldSet::paths).unwrap_or_default();
        let mut held = FieldSet::default();
        for path in &ours {
            let is_map = value_at(value, path).is_some_and(Value::is_object);
            if !is_map || known.contains(path) {
                held.insert(path);
            }
        }
        // A set without any path would cover everything.
        let sets: Vec<&FieldSet> = [&read, &known, &held].into_iter().filter(|set| !set.is_empty()).collect();
        let mut made = restrict(value, &sets);
        // That it is there is ours to know.
        let lists = declared.iter().flat_map(|declared| &declared.lists).map(|(path, _)| path);
        for path in leaves.iter().map(|leaf| &leaf.path).chain(lists).chain(&ours) {
            keep_container(&mut made, value, path);
        }
        if self.changing.contains(&kind) {
            for (name, child) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != "metadata") {
                if let Some(made) = made.as_object_mut() {
                    fill(made.entry(name).or_insert_with(|| skeleton(child)), child);
                }
            }
        }
        self.metadata(&mut made, value);
        mark_status(&mut made, value);
        self.mask_config_map(reference, &mut made);
        self.mask_values(&kind, &mut made);
        let made = masked(made, &|text| self.public.contains(text));
        let is_definition = reference.is(CRD_GROUP, "CustomResourceDefinition");
        if is_definition && wanted.is_none() { compact_crd(&made) } else { made }
    }

    /// The pointers at which an object of this kind is read, whoever wrote it.
    fn read_at(&self, reference: &ObjectRef, value: &Value) -> Vec<String> {
        let mut patterns = vec!["apiVersion", "kind"];
        patterns.extend(kinds::read_at(&reference.group_kind()));
        if self.is_inventory(reference, value) {
            // An inventory is ours from end to end.
            patterns.extend(["data", "binaryData"]);
        }
        let found = patterns.iter().flat_map(|pattern| kinds::each(value, pattern));
        let mut found: Vec<String> = found.map(|(pointer, _)| pointer).collect();
        if reference.is(CRD_GROUP, "CustomResourceDefinition") {
            // Versions in which objects may be stored cannot go.
            found.extend(kinds::each(value, "status.storedVersions").into_iter().map(|(pointer, _)| pointer));
        }
        // Whether a reference is optional stands beside it.
        let beside = found.iter().filter_map(|pointer| Some(format!("{}/optional", pointer.rsplit_once('/')?.0)));
        let beside: Vec<String> =
            beside.filter(|pointer| value.pointer(pointer).is_some_and(Value::is_boolean)).collect();
        found.extend(beside);
        found.extend(METADATA.iter().map(|field| format!("/metadata/{field}")));
        found
    }

    /// Whether it is an inventory, which is ours wherever others may put its label.
    fn is_inventory(&self, reference: &ObjectRef, value: &Value) -> bool {
        let namespace = &self.desired.rules().inventory.namespace;
        reference.is("", "ConfigMap") && reference.namespace() == namespace && label(value, ID).is_some()
    }

    /// Keeps annotations that are read beside those that are covered already, and who holds which field.
    fn metadata(&self, made: &mut Value, value: &Value) {
        let Some(metadata) = made.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let live = value.pointer("/metadata/annotations").and_then(Value::as_object);
        let read = live.into_iter().flatten().filter(|(name, _)| {
            is_mark(name)
                || DOMAINS.iter().any(|domain| name.starts_with(domain))
                || *name == "config.kubernetes.io/depends-on"
        });
        let read: Map<String, Value> = read.map(|(name, text)| (name.clone(), text.clone())).collect();
        if !read.is_empty()
            && let Some(kept) =
                metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
        {
            kept.extend(read);
        }
        let rows = value.pointer("/metadata/managedFields").and_then(Value::as_array);
        // Whoever writes statuses does so all the time, and holds nothing that anybody else declares.
        let rows: Vec<Value> =
            rows.into_iter().flatten().filter(|row| row.get("subresource").is_none()).cloned().collect();
        if !rows.is_empty() {
            metadata.insert("managedFields".to_owned(), Value::Array(rows));
        }
    }

    /// Masks values of a ConfigMap that the repository does not have at the same key. Who holds them proves nothing: what
    /// admission webhooks put into what we apply is recorded as ours.
    fn mask_config_map(&self, reference: &ObjectRef, made: &mut Value) {
        if !reference.is("", "ConfigMap") || self.is_inventory(reference, made) {
            return;
        }
        let wanted = self.desired.objects.get(reference).map(|member| &member.object.value);
        for field in ["data", "binaryData"] {
            for (key, value) in made.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                let known = wanted.and_then(|wanted| wanted.get(field)?.get(key));
                if known != Some(value) {
                    *value = Value::from(NOT_SHOWN);
                }
            }
        }
    }

    /// Masks headers and environment variables that the repository does not set to the same.
    fn mask_values(&self, kind: &GroupKind, made: &mut Value) {
        let found: Vec<String> = literals(kind, made).into_iter().map(|(pointer, _)| pointer).collect();
        for pointer in found {
            if let Some(value) = made.pointer_mut(&pointer)
                && value.as_str().is_some_and(|text| !self.public.contains(text))
            {
                *value = Value::from(NOT_SHOWN);
            }
        }
    }
}

/// Values that may be credentials: of headers and of the query that a route sets or asks for, and of the environment of
/// containers.
fn literals<'v>(kind: &GroupKind, value: &'v Value) -> Vec<(String, &'v Value)> {
    let of = |patterns: Vec<String>| patterns.iter().flat_map(|pattern| kinds::each(value, pattern)).collect();
    if kind.group == kinds::GATEWAY {
        let filters = ["spec.rules[].filters[]", "spec.rules[].backendRefs[].filters[]"];
        let lists = filters.iter().flat_map(|filter| HEADERS.iter().map(move |name| format!("{filter}.{name}")));
        let set = lists.flat_map(|at| ["set", "add"].map(|list| format!("{at}.{list}[].value")));
        let asked = ["headers", "queryParams"].map(|list| format!("spec.rules[].matches[].{list}[].value"));
        return of(set.chain(asked).collect());
    }
    let pods = ["spec.", "spec.template.spec.", "spec.jobTemplate.spec.template.spec."];
    let lists =
        pods.iter().flat_map(|pod| ["containers", "initContainers"].map(|list| format!("{pod}{list}[].env[].value")));
    of(lists.collect())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Puts an empty map or list where the live object has one that was left out, at a path of plain names.
fn keep_container(made: &mut Value, value: &Value, path: &FieldPath) {
    let empty = match value_at(value, path) {
        Some(Value::Object(_)) => Value::Object(Map::new()),
        Some(Value::Array(_)) => Value::Array(Vec::new()),
        _ => return,
    };
    if value_at(made, path).is_some() {
        return;
    }
    let Some((last, parents)) = path.0.split_last() else { return };
    let mut node = made;
    for element in parents {
        let Some(name) = element.name() else { return };
        let Some(map) = node.as_object_mut() else { return };
        node = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    if let (Some(name), Some(map)) = (last.name(), node.as_object_mut()) {
        map.insert(name.to_owned(), empty);
    }
}

/// Adds the fields that were left out, without their values.
fn fill(made: &mut Value, value: &Value) {
    match (made, value) {
        (Value::Object(made), Value::Object(map)) => {
            for (name, child) in map {
                match made.get_mut(name) {
                    Some(kept) => fill(kept, child),
                    None => drop(made.insert(name.clone(), skeleton(child))),
                }
            }
        }
        (Value::Array(made), Value::Array(items)) if made.len() == items.len() => {
            made.iter_mut().zip(items).for_each(|(made, item)| fill(made, item));
        }
        _ => {}
    }
}

fn skeleton(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(name, child)| (name.clone(), skeleton(child))).collect(),
        Value::Array(items) => items.iter().map(skeleton).collect(),
        Value::String(_) => Value::from(NOT_SHOWN),
        other => other.clone(),
    }
}

/// A status without anything that is read of it is one all the same: someone has written it.
fn mark_status(made: &mut Value, value: &Value) {
    let is_full = |value: &Value| value.get("status").and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    if let (true, false, Some(made)) = (is_full(value), is_full(made), made.as_object_mut()) {
        made.insert("status".to_owned(), serde_json::json!({"conditions": []}));
    }
}

/// The path of a JSON pointer into a value.
fn path(value: &Value, pointer: &str) -> FieldPath {
    let mut node = Some(value);
    let elements = pointer.split('/').skip(1).map(|step| {
        let name = unescape(step);
        let is_item = node.is_some_and(Value::is_array);
        node = node.and_then(|node| match name.parse::<usize>() {
            Ok(index) if is_item => node.get(index),
            _ => node.get(name.as_ref()),
        });
        match name.parse() {
            Ok(index) if is_item => Element::Index(index),
            _ => Element::Field(name.into_owned()),
        }
    });
    FieldPath(elements.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, Tree, read};
    use serde_json::json;

    fn desired(text: &str) -> Desired {
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into());
        read(&tree, None).unwrap_or_default()
    }

    fn copy(desired: &Desired, value: &Value) -> Value {
        let reference = ObjectRef::of(value);
        reference.map_or(Value::Null, |r| Allowed::new(desired, &Schemas::default()).copy(&r, value))
    }

    #[test]
    fn only_what_is_ours_or_declared_leaves() {
        let live = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "m", "namespace": "ns", "uid": "u", "resourceVersion": "7", "labels": {"l": "1"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hush", "other": "hush", "helm.sh/resource-policy": "keep", "spinway.dev/applied": "d"},
                "managedFields": [
                    {"manager": "spinway", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:ours": {}, "f:1": {}, "f:older": {}}}},
                    {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:1": {}}}},
                    {"manager": "x", "operation": "Update", "subresource": "status", "fieldsV1": {}}]},
            "data": {"ours": "same", "older": "hush", "1": "hush", "theirs": "hush", "new": "there"}});
        let wanted = desired(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: ns}\ndata: {ours: same, '1': other, new: there}\n",
        );
        let made = copy(&wanted, &live);
        assert!(!made.to_string().contains("hush"), "{made}");
        assert_eq!(made["data"], json!({"ours": "same", "older": NOT_SHOWN, "1": NOT_SHOWN, "new": "there"}));
        assert_eq!(
            made["metadata"]["annotations"],
            json!({"helm.sh/resource-policy": "keep", "spinway.dev/applied": "d"})
        );
        assert_eq!(made["metadata"]["managedFields"].as_array().map(Vec::len), Some(2));
        assert_eq!(made["metadata"]["resourceVersion"], Value::Null);
        // Of a map of others there is its name alone.
        assert_eq!(copy(&Desired::default(), &live)["data"].get("theirs"), None);
    }

    #[test]
    fn routes_keep_what_attaches_them_and_hide_headers_that_are_not_in_git() {
        let rules = |value: &str| {
            json!([{"matches": [{"path": {"type": "PathPrefix", "value": "/a"}}],
            "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "authorization", "value": value}]}}]}])
        };
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "n"},
            "spec": {"rules": rules("hush")}, "status": {"parents": []}});
        let made = copy(&Desired::default(), &route);
        assert_eq!(made["spec"]["rules"], rules(NOT_SHOWN));
        assert_eq!(made["status"], route["status"]);
        let wanted = desired(&route.to_string());
        assert_eq!(copy(&wanted, &route)["spec"]["rules"], rules("hush"));
    }

    #[test]
    fn an_empty_map_of_ours_covers_nothing_of_others() {
        let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "ns", "annotations": {"theirs": "hush"},
            "managedFields": [{"manager": "spinway", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:metadata": {"f:annotations": {}}, "f:data": {}}}]},
            "data": {"theirs": "hush"}});
        let wanted =
            desired("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: ns, annotations: {}}\ndata: {}\n");
        for desired in [&wanted, &Desired::default()] {
            let made = copy(desired, &live);
            assert!(!made.to_string().contains("hush"), "{made}");
            // That the map is there stays known.
            assert_eq!((&made["data"], &made["metadata"]["annotations"]), (&json!({}), &json!({})));
        }
        // Nor does nothing at all, which templates leave.
        let wanted = desired("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: ns, annotations: }\n");
        assert!(!copy(&wanted, &live).to_string().contains("hush"));
    }

    #[test]
    fn fields_of_a_kind_whose_definition_is_ours_are_told_by_name() {
        let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n\
            spec: {group: example.com, scope: Namespaced, names: {plural: things, kind: Thing}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}\n";
        let live = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "ns"},
            "spec": {"secret": "hush", "list": [{"n": 1}]}, "status": {"whatever": "hush"}});
        let made = copy(&desired(definition), &live);
        assert_eq!(made["spec"], json!({"secret": NOT_SHOWN, "list": [{"n": 1}]}));
        // Of other kinds there is not even that, but that someone wrote a status.
        let made = copy(&Desired::default(), &live);
        assert_eq!((made.get("spec"), &made["status"]), (None, &json!({"conditions": []})));
    }

    #[test]
    fn the_versions_in_which_objects_may_be_stored_are_kept() {
        let crd = serde_json::json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ws.t.example"},
            "spec": {"group": "t.example", "names": {"kind": "W"}}, "status": {"storedVersions": ["v1", "v2"], "conditions": [{"type": "Established"}]}});
        let (desired, schemas) = (Desired::default(), Schemas::default());
        let reference = ObjectRef::new(CRD_GROUP, "CustomResourceDefinition", "", "ws.t.example");
        let made = Allowed::new(&desired, &schemas).copy(&reference, &crd);
        assert_eq!(made.pointer("/status/storedVersions"), crd.pointer("/status/storedVersions"));
    }
}
