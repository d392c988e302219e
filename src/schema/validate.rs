//! The checks of a structural schema that can be made without the API server: unknown fields, types, required fields,
//! enumerations, patterns and sizes.

use super::Schema;
use crate::object::escape;
use regex::Regex;
use serde_json::Value;

/// One violation: the JSON pointer of the field and what is wrong with it.
pub type Violation = (String, String);

/// Holds a value against its schema; apiVersion, kind, metadata and status are not looked at.
pub fn validate(value: &Value, schema: Schema<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    node(value, schema, "", true, &mut found);
    found
}

fn node(value: &Value, schema: Schema<'_>, pointer: &str, root: bool, found: &mut Vec<Violation>) {
    if value.is_null() {
        return;
    }
    if let Some(expected) = wrong_type(value, schema) {
        found.push((pointer.to_owned(), format!("Must be {expected}, is {}.", type_name(value))));
        return;
    }
    facets(value, schema, pointer, found);
    match value {
        Value::Object(map) => {
            for name in
                schema.keyword("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
            {
                let defaulted = schema.property(name).is_some_and(|p| p.default().is_some());
                if !map.contains_key(name) && !defaulted {
                    found.push((pointer.to_owned(), format!("The field `{name}` is required.")));
                }
            }
            for (name, child) in map {
                if root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
                    continue;
                }
                let below = format!("{pointer}/{}", escape(name));
                match schema.property(name).or_else(|| schema.additional()) {
                    Some(schema) => node(child, schema, &below, false, found),
                    None if schema.preserves_unknown() || is_open(schema) => {}
                    None => found.push((below, unknown(name, schema))),
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for (index, item) in items.iter().enumerate() {
                    node(item, schema, &format!("{pointer}/{index}"), false, found);
                }
            }
        }
        _ => {}
    }
}

/// A schema that says nothing about fields: built-in types such as RawExtension.
fn is_open(schema: Schema<'_>) -> bool {
    schema.keyword("properties").is_none() && schema.keyword("additionalProperties").is_none()
}

fn unknown(name: &str, schema: Schema<'_>) -> String {
    let near = schema
        .properties()
        .map(|(known, _)| known)
        .find(|known| known.eq_ignore_ascii_case(name) || known.starts_with(name) || name.starts_with(known.as_str()));
    near.map_or_else(
        || format!("There is no field `{name}`."),
        |near| format!("There is no field `{name}`; `{near}` is meant?"),
    )
}

fn wrong_type(value: &Value, schema: Schema<'_>) -> Option<&'static str> {
    if schema.is_int_or_string() || schema.is_quantity() {
        return (!value.is_number() && !value.is_string()).then_some("a number or a text");
    }
    let (fits, name) = match schema.text("type")? {
        "object" => (value.is_object(), "an object"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text"),
        "boolean" => (value.is_boolean(), "true or false"),
        "integer" => (value.as_f64().is_some_and(|n| n.fract() == 0.0), "an integer"),
        "number" => (value.is_number(), "a number"),
        _ => return None,
    };
    (!fits).then_some(name)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn facets(value: &Value, schema: Schema<'_>, pointer: &str, found: &mut Vec<Violation>) {
    let mut say = |message: String| found.push((pointer.to_owned(), message));
    if let Some(allowed) = schema.keyword("enum").and_then(Value::as_array).filter(|allowed| !allowed.contains(value)) {
        let names: Vec<String> =
            allowed.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
        say(format!("Must be one of {}.", names.join(", ")));
    }
    let limit = |keyword: &str| schema.keyword(keyword).and_then(Value::as_f64);
    let size = match value {
        Value::String(text) => Some((text.chars().count() as f64, "minLength", "maxLength", "characters")),
        Value::Array(items) => Some((items.len() as f64, "minItems", "maxItems", "items")),
        Value::Object(map) => Some((map.len() as f64, "minProperties", "maxProperties", "fields")),
        Value::Number(number) => number.as_f64().map(|n| (n, "minimum", "maximum", "")),
        _ => None,
    };
    if let Some((size, least, most, unit)) = size {
        if let Some(least) = limit(least).filter(|least| size < *least) {
            say(format!("Must be at least {least} {unit}").trim_end().to_owned() + ".");
        }
        if let Some(most) = limit(most).filter(|most| size > *most) {
            say(format!("Must be at most {most} {unit}").trim_end().to_owned() + ".");
        }
    }
    if let (Value::String(text), Some(pattern)) = (value, schema.text("pattern")) {
        // A pattern that this engine cannot read is the server's to judge.
        if Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            say(format!("Must match the pattern {pattern}."));
        }
    }
}
