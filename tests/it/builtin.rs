//! `src/schema/builtin.json` is made from the real API server; with `SPINWAY_REGENERATE=1` this test writes it.

use crate::cluster::Cluster;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The group versions of the table.
const DOCUMENTS: [&str; 14] = [
    "api/v1",
    "apis/apps/v1",
    "apis/batch/v1",
    "apis/autoscaling/v2",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/node.k8s.io/v1",
    "apis/scheduling.k8s.io/v1",
    "apis/storage.k8s.io/v1",
    "apis/admissionregistration.k8s.io/v1",
    "apis/apiregistration.k8s.io/v1",
    "apis/coordination.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
];

/// Whole schemas inside an atomic list: never looked into.
const OPAQUE: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

#[test]
fn the_built_in_table_is_what_the_api_server_says() {
    let cluster = Cluster::take();
    let made = table(&cluster);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/builtin.json");
    if std::env::var_os("SPINWAY_REGENERATE").is_some() {
        std::fs::write(path, format!("{}\n", serde_json::to_string(&made).expect("JSON")))
            .expect("the table can be written");
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the table")).expect("JSON");
    assert!(kept == made, "the table is not that of this API server: SPINWAY_REGENERATE=1 cargo test built_in_table");
}

fn table(cluster: &Cluster) -> Value {
    let mut kinds = Vec::new();
    let mut definitions = Map::new();
    for document in DOCUMENTS {
        let openapi = cluster.get(&format!("/openapi/v3/{document}")).expect("an OpenAPI document");
        let resources = cluster.get(&format!("/{document}")).expect("a list of resources");
        let schemas = openapi["components"]["schemas"].as_object().expect("schemas").clone();
        for resource in resources["resources"].as_array().expect("resources") {
            let name = resource["name"].as_str().unwrap_or_default();
            let kind = resource["kind"].as_str().unwrap_or_default();
            let verbs = resource["verbs"].to_string();
            if name.contains('/') || !verbs.contains("\"patch\"") {
                continue;
            }
            let (group, version) =
                document.trim_start_matches("apis/").trim_start_matches("api/").rsplit_once('/').unwrap_or(("", "v1"));
            let has_kind = |schema: &&String| {
                schemas[*schema]["x-kubernetes-group-version-kind"].as_array().into_iter().flatten().any(|gvk| {
                    gvk["kind"] == kind
                        && gvk["group"].as_str().unwrap_or_default() == group
                        && gvk["version"] == version
                })
            };
            let Some(definition) = schemas.keys().find(has_kind) else { continue };
            reach(definition, &schemas, &mut definitions);
            kinds.push(json!({"group": group, "version": version, "kind": kind, "namespaced": resource["namespaced"], "definition": definition}));
        }
    }
    kinds.sort_by_key(ToString::to_string);
    definitions.sort_keys();
    json!({"source": "kube-apiserver v1.36.3 /openapi/v3, by tests/it/builtin.rs", "kinds": kinds, "definitions": definitions})
}

/// Adds a definition and all that it refers to.
fn reach(name: &str, schemas: &Map<String, Value>, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(name) {
        return;
    }
    let made = if name == OPAQUE {
        json!({"x-kubernetes-preserve-unknown-fields": true})
    } else {
        spinway::schema::compact(&schemas[name])
    };
    let text = made.to_string();
    definitions.insert(name.to_owned(), made);
    let references: BTreeSet<&str> =
        text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for reference in references {
        reach(reference, schemas, definitions);
    }
}
