//! JSON schemas of the local kinds, for editors.

use super::{App, Approval, Config, GROUP, patch};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// The kinds that only spinway reads.
pub const LOCAL_KINDS: [&str; 4] = ["App", "Patch", "Config", "Approval"];

/// The JSON schema (draft 2020-12) of a local kind; none for other kinds.
pub fn json_schema(kind: &str) -> Option<Value> {
    let spec = match kind {
        "App" => spec_of::<App>(),
        "Patch" => spec_of::<patch::Spec>(),
        "Config" => spec_of::<Config>(),
        "Approval" => spec_of::<Approval>(),
        _ => return None,
    };
    let mut spec = spec.to_value();
    let dialect = spec.as_object_mut().and_then(|spec| spec.shift_remove("$schema"));
    let definitions = spec.as_object_mut().and_then(|spec| spec.shift_remove("$defs"));
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let mut metadata = json!({"name": text, "labels": texts, "annotations": texts});
    if kind == "App" {
        metadata["namespace"] = text;
    }
    let mut schema = json!({
        "$schema": dialect,
        "title": kind,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": format!("{GROUP}/v1alpha1")},
            "kind": {"const": kind},
            "metadata": {"type": "object", "required": ["name"], "properties": metadata},
            "spec": spec,
        },
    });
    if let Some(definitions) = definitions {
        schema["$defs"] = definitions;
    }
    Some(schema)
}

/// The JSON schema of the `spec` of a local kind.
pub(super) fn spec_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}
