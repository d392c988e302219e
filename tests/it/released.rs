//! `src/schema/released.json` is made from the definitions that Gateway API releases, and from the project's own of SpinKube;
//! with `SPINWAY_REGENERATE=1` this test writes it.

use crate::control_plane::{module_dir, tests_dir};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use spinway::desired::yaml;
use spinway::schema::compact_crd;
use std::path::Path;
use std::sync::Arc;

const MODULE: &str = "sigs.k8s.io/gateway-api";
const VERSIONS: [&str; 3] = ["v1.5.1", "v1.6.3", "v1.7.0"];
const CHANNELS: [&str; 2] = ["standard", "experimental"];
/// Nodes that are written out are smaller than a reference to them.
const WORTH_A_NAME: usize = 120;

#[test]
fn the_released_schemas_are_what_the_definitions_say() {
    let made = serde_json::to_string(&table()).expect("JSON");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/released.json");
    if std::env::var_os("SPINWAY_REGENERATE").is_some() {
        std::fs::write(path, format!("{made}\n")).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept.trim_end() == made,
        "the table is not that of {MODULE} {VERSIONS:?}: SPINWAY_REGENERATE=1 cargo test released"
    );
}

fn table() -> Value {
    let (mut rows, mut definitions) = (Vec::new(), Map::new());
    for version in VERSIONS {
        let module = module_dir(MODULE, version);
        for channel in CHANNELS {
            let folder = module.join("config/crd").join(channel);
            let files = std::fs::read_dir(&folder).expect("the definitions").flatten().map(|entry| entry.path());
            let mut files: Vec<_> =
                files.filter(|path| path.to_string_lossy().contains("networking.k8s.io_")).collect();
            files.sort();
            files.iter().for_each(|file| add(file, version, channel, &mut rows, &mut definitions));
        }
    }
    add(&tests_dir().join("crds/spinkube.yaml"), "v0.6.1", "", &mut rows, &mut definitions);
    definitions.sort_keys();
    json!({"source": format!("{MODULE} {} (standard, experimental) and tests/crds/spinkube.yaml, by tests/it/released.rs", VERSIONS.join(", ")),
        "kinds": rows, "definitions": definitions})
}

/// Adds the served versions of the definitions in a file.
fn add(file: &Path, release: &str, channel: &str, rows: &mut Vec<Value>, definitions: &mut Map<String, Value>) {
    let text = std::fs::read_to_string(file).expect("a definition");
    for document in yaml::read(&Arc::from("crd"), &text).0 {
        if document.value["kind"] != "CustomResourceDefinition" {
            continue;
        }
        let crd = compact_crd(&document.value);
        for version in crd["spec"]["versions"].as_array().expect("versions").iter().filter(|v| v["served"] == true) {
            let mut schema = without_rules(&version["schema"]["openAPIV3Schema"]);
            // What controllers report is not held against anything.
            schema["properties"].as_object_mut().expect("properties").shift_remove("status");
            let name = shared(schema, definitions);
            rows.push(json!([
                release,
                channel,
                crd["spec"]["group"],
                crd["spec"]["names"]["kind"],
                version["name"],
                name
            ]));
        }
    }
}

/// A schema without its rules in CEL, which are code of the project that wrote them.
fn without_rules(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| *key != "x-kubernetes-validations");
            Value::Object(kept.map(|(key, value)| (key.clone(), without_rules(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_rules).collect()),
        other => other.clone(),
    }
}

/// Puts a schema among the definitions, under a name that its content decides, and gives the name.
fn shared(schema: Value, definitions: &mut Map<String, Value>) -> String {
    let schema = parts_shared(schema, definitions);
    let digest = Sha256::digest(schema.to_string().as_bytes());
    let name: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    definitions.insert(name.clone(), schema);
    name
}

/// A schema whose larger maps are references to definitions: most are there many times.
fn parts_shared(schema: Value, definitions: &mut Map<String, Value>) -> Value {
    let Value::Object(map) = schema else { return schema };
    let mut made = Map::new();
    for (keyword, value) in map {
        let value = match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => Value::Object(
                properties.into_iter().map(|(name, schema)| (name, reference(schema, definitions))).collect(),
            ),
            ("items" | "additionalProperties", schema) => reference(schema, definitions),
            (_, value) => value,
        };
        made.insert(keyword, value);
    }
    Value::Object(made)
}

fn reference(schema: Value, definitions: &mut Map<String, Value>) -> Value {
    if schema["type"] != "object" || schema.to_string().len() < WORTH_A_NAME {
        return parts_shared(schema, definitions);
    }
    json!({"$ref": shared(schema, definitions)})
}
