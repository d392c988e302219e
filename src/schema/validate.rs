//! The checks of a structural schema that can be made without the API server: unknown fields, types, required fields,
//! enumerations, patterns and sizes.

use super::Schema;
use crate::object::escape;
use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;

/// One violation: the JSON pointer of the field and what is wrong with it.
pub type Violation = (String, String);

/// Holds values against their schemas. The patterns of schemas are kept, since many objects share them.
#[derive(Default)]
pub struct Validator {
    /// A pattern that this engine cannot read is the server's to judge.
    patterns: HashMap<String, Option<Regex>>,
    found: Vec<Violation>,
}

/// Where a node stands, from itself up to the root.
struct Place<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The JSON pointer of a place; it is only made where something is wrong.
fn pointer(place: Option<&Place<'_>>) -> String {
    let Some(place) = place else { return String::new() };
    let above = pointer(place.parent);
    match place.step {
        Step::Key(key) => format!("{above}/{}", escape(key)),
        Step::Index(index) => format!("{above}/{index}"),
    }
}

impl Validator {
    /// What is wrong with a value; apiVersion, kind, metadata and status are not looked at.
    pub fn violations(&mut self, value: &Value, schema: Schema<'_>) -> Vec<Violation> {
        self.node(value, schema, None);
        std::mem::take(&mut self.found)
    }

    fn say(&mut self, place: Option<&Place<'_>>, message: String) {
        self.found.push((pointer(place), message));
    }

    fn node(&mut self, value: &Value, schema: Schema<'_>, place: Option<&Place<'_>>) {
        if value.is_null() {
            return;
        }
        if let Some(expected) = wrong_type(value, schema) {
            self.say(place, format!("Must be {expected}, is {}.", type_name(value)));
            return;
        }
        self.facets(value, schema, place);
        match value {
            Value::Object(map) => {
                for name in
                    schema.keyword("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
                {
                    let defaulted = schema.property(name).is_some_and(|p| p.default().is_some());
                    if !map.contains_key(name) && !defaulted {
                        self.say(place, format!("The field `{name}` is required."));
                    }
                }
                for (name, child) in map {
                    if place.is_none() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
                        continue;
                    }
                    let below = Place { parent: place, step: Step::Key(name) };
                    match schema.property(name).or_else(|| schema.additional()) {
                        Some(schema) => self.node(child, schema, Some(&below)),
                        None if schema.preserves_unknown() || is_open(schema) => {}
                        None => self.say(Some(&below), unknown(name, schema)),
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = schema.items() {
                    for (index, item) in items.iter().enumerate() {
                        self.node(item, schema, Some(&Place { parent: place, step: Step::Index(index) }));
                    }
                }
            }
            _ => {}
        }
    }

    fn facets(&mut self, value: &Value, schema: Schema<'_>, place: Option<&Place<'_>>) {
        if let Some(allowed) =
            schema.keyword("enum").and_then(Value::as_array).filter(|allowed| !allowed.contains(value))
        {
            let names: Vec<String> =
                allowed.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
            self.say(place, format!("Must be one of {}.", names.join(", ")));
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
                self.say(place, format!("Must be at least {least} {unit}").trim_end().to_owned() + ".");
            }
            if let Some(most) = limit(most).filter(|most| size > *most) {
                self.say(place, format!("Must be at most {most} {unit}").trim_end().to_owned() + ".");
            }
        }
        if let (Value::String(text), Some(pattern)) = (value, schema.text("pattern")) {
            if !self.patterns.contains_key(pattern) {
                self.patterns.insert(pattern.to_owned(), Regex::new(pattern).ok());
            }
            if self.patterns[pattern].as_ref().is_some_and(|regex| !regex.is_match(text)) {
                self.say(place, format!("Must match the pattern {pattern}."));
            }
        }
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
