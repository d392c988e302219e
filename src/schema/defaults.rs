//! Defaults of custom resources, filled in as the API server does (structural defaulting, top-down).

use super::Schema;
use serde_json::Value;

/// A value with the defaults of its schema. A default fires wherever its parent exists, inside lists too; null takes the
/// default unless it is a value there (`nullable`).
pub fn with_defaults(value: &Value, schema: Schema<'_>) -> Value {
    let mut made = value.clone();
    fill(&mut made, schema);
    made
}

fn fill(value: &mut Value, schema: Schema<'_>) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema.properties() {
                let absent = map.get(name).is_none_or(|v| v.is_null() && !property.is_nullable());
                if let (true, Some(default)) = (absent, property.default()) {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, child) in map.iter_mut() {
                if let Some(schema) = schema.property(name).or_else(|| schema.additional()) {
                    fill(child, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for item in items {
                    fill(item, schema);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use crate::schema::Schemas;
    use serde_json::json;

    #[test]
    fn defaults_fire_under_existing_parents_only() {
        let mut schemas = Schemas::default();
        schemas.add_crd(&json!({"spec": {"group": "g", "names": {"kind": "K"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {
                "rules": {"type": "array", "default": [{"m": {}}], "items": {"type": "object", "properties": {
                    "weight": {"type": "integer", "default": 1}, "m": {"type": "object", "properties": {"k": {"type": "string", "default": "Exact"}}}}}},
                "n": {"type": "string", "nullable": true, "default": "x"},
                "o": {"type": "object", "properties": {"p": {"type": "integer", "default": 3}}}}}}}}}]}}));
        let schema =
            schemas.of(&GroupKind::new("g", "K"), "v1").map(|s| with_defaults(&json!({"spec": {"n": null}}), s));
        assert_eq!(schema, Some(json!({"spec": {"n": null, "rules": [{"m": {"k": "Exact"}, "weight": 1}]}})));
    }
}
