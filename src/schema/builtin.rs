//! The built-in table: structural facts about Kubernetes' own kinds (field names, types, list types, defaults), made
//! from a real API server's OpenAPI documents by `tests/it/builtin.rs`, without prose.

use super::{Schema, is_zero};
use crate::object::GroupKind;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The Kubernetes version that the table was made from.
pub const VERSION: &str = "v1.36.3";

static TABLE: LazyLock<Table> = LazyLock::new(Table::load);

/// Cluster-scoped kinds that come as custom resources of the projects this tool is for.
const CLUSTER_SCOPED: [(&str, &str); 6] = [
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("gateway.networking.x-k8s.io", "XMesh"),
    ("keda.sh", "ClusterTriggerAuthentication"),
    ("external-secrets.io", "ClusterSecretStore"),
    ("external-secrets.io", "ClusterExternalSecret"),
    ("cert-manager.io", "ClusterIssuer"),
];
/// Namespaced ones.
const NAMESPACED: [(&str, &[&str]); 6] = [
    ("bitnami.com", &["SealedSecret"]),
    (
        "gateway.networking.k8s.io",
        &[
            "Gateway",
            "ListenerSet",
            "HTTPRoute",
            "GRPCRoute",
            "TLSRoute",
            "TCPRoute",
            "UDPRoute",
            "ReferenceGrant",
            "BackendTLSPolicy",
        ],
    ),
    ("core.spinkube.dev", &["SpinApp", "SpinAppExecutor"]),
    ("keda.sh", &["ScaledObject", "ScaledJob", "TriggerAuthentication"]),
    ("external-secrets.io", &["ExternalSecret", "SecretStore"]),
    ("cert-manager.io", &["Certificate", "CertificateRequest", "Issuer"]),
];

/// Whole schemas inside an atomic list: never looked into.
const OPAQUE: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

#[derive(Default)]
struct Table {
    kinds: BTreeMap<GroupKind, Kind>,
    definitions: Map<String, Value>,
    /// The hashes of the documents that it was made from, by path.
    documents: BTreeMap<String, String>,
}

struct Kind {
    namespaced: bool,
    /// Definition by version.
    versions: BTreeMap<String, String>,
}

impl Table {
    /// Reads the file. It is part of the binary and a test reads it, so an unreadable one is an empty table.
    fn load() -> Self {
        let mut table = Self::default();
        let Ok(Value::Object(mut file)) = serde_json::from_str(include_str!("builtin.json")) else { return table };
        if let Some(Value::Object(definitions)) = file.remove("definitions") {
            table.definitions = definitions;
        }
        for (path, hash) in file.get("documents").and_then(Value::as_object).into_iter().flatten() {
            table.documents.insert(path.clone(), hash.as_str().unwrap_or_default().to_owned());
        }
        for row in file.get("kinds").and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default();
            let kind = table.kinds.entry(GroupKind::new(text("group"), text("kind")));
            let kind = kind.or_insert_with(|| Kind {
                namespaced: row.get("namespaced") == Some(&Value::Bool(true)),
                versions: BTreeMap::new(),
            });
            kind.versions.insert(text("version").to_owned(), text("definition").to_owned());
        }
        table
    }
}

/// The schema of a built-in kind.
pub(super) fn schema(kind: &GroupKind, version: &str) -> Option<Schema<'static>> {
    let definition = TABLE.kinds.get(kind)?.versions.get(version)?;
    Some(Schema { node: TABLE.definitions.get(definition)?.as_object()?, definitions: Some(&TABLE.definitions) })
}

/// Whether the table says the same as an API server's OpenAPI document of that path and hash.
pub fn is_known_document(path: &str, hash: &str) -> bool {
    TABLE.documents.get(path).is_some_and(|known| known == hash)
}

/// What this tool reads of an OpenAPI v3 document: its kinds with the names of their definitions, and all definitions that
/// these refer to.
pub fn compact_document(openapi: &Value) -> Value {
    let nothing = Map::new();
    let schemas = openapi.pointer("/components/schemas").and_then(Value::as_object).unwrap_or(&nothing);
    let (mut kinds, mut definitions) = (Vec::new(), Map::new());
    for (name, schema) in schemas {
        let rows = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        for row in rows.into_iter().flatten() {
            let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default();
            kinds.push(
                json!({"group": text("group"), "version": text("version"), "kind": text("kind"), "definition": name}),
            );
            reach(name, schemas, &mut definitions);
        }
    }
    json!({"kinds": kinds, "definitions": definitions})
}

/// Adds a definition and all that it refers to.
fn reach(name: &str, schemas: &Map<String, Value>, definitions: &mut Map<String, Value>) {
    let Some(schema) = schemas.get(name).filter(|_| !definitions.contains_key(name)) else { return };
    let made = if name == OPAQUE { json!({"x-kubernetes-preserve-unknown-fields": true}) } else { compact(schema) };
    let text = made.to_string();
    definitions.insert(name.to_owned(), made);
    for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        reach(reference, schemas, definitions);
    }
}

/// The API groups that have a kind of this name: Kubernetes' own, and those of the projects this tool is for.
pub fn groups_of(name: &str) -> BTreeSet<&'static str> {
    let own = TABLE.kinds.keys().filter(|kind| kind.kind == name).map(|kind| kind.group.as_str());
    let namespaced = NAMESPACED.iter().filter(|(_, names)| names.contains(&name)).map(|(group, _)| *group);
    let clustered = CLUSTER_SCOPED.iter().filter(|(_, kind)| *kind == name).map(|(group, _)| *group);
    own.chain(namespaced).chain(clustered).collect()
}

/// The kinds of a group: all of Kubernetes' own, and those of the projects this tool is for that are known; none of other groups.
pub fn kinds_of(group: &str) -> BTreeSet<&'static str> {
    if !WHOLE.contains(&group) && !TABLE.kinds.keys().any(|kind| kind.group == group) {
        return BTreeSet::new();
    }
    let own = TABLE.kinds.keys().filter(|kind| kind.group == group).map(|kind| kind.kind.as_str());
    let namespaced =
        NAMESPACED.iter().filter(|(known, _)| *known == group).flat_map(|(_, names)| names.iter().copied());
    let clustered = CLUSTER_SCOPED.iter().filter(|(known, _)| *known == group).map(|(_, name)| *name);
    own.chain(namespaced).chain(clustered).chain(super::released::kinds_of(group)).collect()
}

/// The groups of which [`kinds_of`] knows the kinds; the core group has an empty name.
pub fn groups() -> BTreeSet<&'static str> {
    TABLE.kinds.keys().map(|kind| kind.group.as_str()).chain(WHOLE).collect()
}

/// The groups beside Kubernetes' own of which all kinds are known.
const WHOLE: [&str; 2] = ["gateway.networking.k8s.io", "core.spinkube.dev"];

/// Whether a kind is namespaced, where the table or the projects this tool is for say.
pub(super) fn namespaced(kind: &GroupKind) -> Option<bool> {
    if let Some(known) = TABLE.kinds.get(kind) {
        return Some(known.namespaced);
    }
    let is = |group: &str, name: &str| kind.group == group && kind.kind == name;
    if CLUSTER_SCOPED.iter().any(|(group, name)| is(group, name)) {
        return Some(false);
    }
    NAMESPACED.iter().any(|(group, names)| names.iter().any(|name| is(group, name))).then_some(true)
}

/// Strips a schema to what this tool reads: no prose, no zero-value defaults, short names of definitions.
fn compact(schema: &Value) -> Value {
    const KEPT: [&str; 9] = [
        "type",
        "format",
        "required",
        "nullable",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
    ];
    let Some(node) = schema.as_object() else { return schema.clone() };
    if let Some(name) = node.get("$ref").or_else(|| node.get("allOf")?.get(0)?.get("$ref")).and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or(name);
        let mut made = match name {
            "io.k8s.apimachinery.pkg.api.resource.Quantity" => json!({"format": "quantity"}),
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString" => json!({"format": "int-or-string"}),
            _ => json!({"$ref": name}),
        };
        if let Some(map) = made.as_object_mut() {
            map.extend(
                KEPT.iter()
                    .filter(|k| k.starts_with("x-"))
                    .filter_map(|k| Some(((*k).to_owned(), node.get(*k)?.clone()))),
            );
        }
        return made;
    }
    let mut made = Map::new();
    for keyword in KEPT {
        if let Some(value) = node.get(keyword) {
            made.insert(keyword.to_owned(), value.clone());
        }
    }
    if let Some(default) = node.get("default").filter(|d| !is_zero(d)) {
        made.insert("default".to_owned(), default.clone());
    }
    if let Some(properties) = node.get("properties").and_then(Value::as_object) {
        made.insert("properties".to_owned(), properties.iter().map(|(name, p)| (name.clone(), compact(p))).collect());
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(value) = node.get(keyword) {
            made.insert(keyword.to_owned(), compact(value));
        }
    }
    Value::Object(made)
}

/// A CustomResourceDefinition without prose: what is needed to read and default its objects, and to know it again.
pub fn compact_crd(crd: &Value) -> Value {
    let mut made = crd.clone();
    for version in made.pointer_mut("/spec/versions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
            let mut short = strip(schema);
            std::mem::swap(schema, &mut short);
        }
    }
    made
}

/// A schema without descriptions and examples.
fn strip(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let kept = map.iter().filter(|(keyword, value)| {
                !(matches!(keyword.as_str(), "description" | "example") && value.is_string())
            });
            // What stands under these is data, whatever its keys are called.
            let data = |keyword: &str| matches!(keyword, "default" | "enum");
            let strip_one = |keyword: &str, value: &Value| if data(keyword) { value.clone() } else { strip(value) };
            Value::Object(kept.map(|(keyword, value)| (keyword.clone(), strip_one(keyword, value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(strip).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ListType, Schemas};

    #[test]
    fn the_table_knows_list_types_and_scopes() {
        let schemas = Schemas::default();
        let service = schemas
            .of(&GroupKind::new("", "Service"), "v1")
            .and_then(|s| s.property("spec"))
            .and_then(|s| s.property("ports"));
        assert_eq!(service.map(Schema::list_type), Some(ListType::Map(vec!["port", "protocol"])));
        let protocol = service.and_then(Schema::items).and_then(|i| i.property("protocol")).and_then(Schema::default);
        assert_eq!(protocol, Some(&json!("TCP")));
        assert_eq!(namespaced(&GroupKind::new("apps", "Deployment")), Some(true));
        assert_eq!(namespaced(&GroupKind::new("", "Namespace")), Some(false));
        assert_eq!(namespaced(&GroupKind::new("x.example", "Y")), None);
    }
}
