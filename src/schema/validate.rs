//! The checks of a schema that can be made without the API server, in its words: unknown fields, types, keys of lists,
//! required fields, enumerations, patterns, sizes and formats; and, where all of these hold, the rules in CEL.

use super::quantity::is_quantity;
use super::rules::Rules;
use super::{ListType, Schema, with_defaults};
use crate::object::{distance, escape};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// How much of a value a message shows.
const SHOWN: usize = 80;
/// How large a pattern may become; those of known definitions are far below.
const PATTERN_BYTES: usize = 1 << 20;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The JSON pointer of the field.
    pub pointer: String,
    /// What is wrong, as the API server says it.
    pub message: String,
    /// Whether the schema does not have the field.
    pub unknown: bool,
    /// Whether the API server surely refuses it.
    pub sure: bool,
    /// The field that may be meant.
    pub meant: Option<String>,
    /// What to do, where more is known than that the schema refuses it.
    pub help: Option<String>,
}

impl Violation {
    /// A field whose value is wrong.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), unknown: false, sure: true, meant: None, help: None }
    }
}

/// Holds values against their schemas. Patterns and rules of schemas are kept, since many objects share them.
#[derive(Default)]
pub struct Validator<'a> {
    /// A pattern that this engine cannot read is the server's to judge.
    patterns: HashMap<String, Option<Regex>>,
    rules: Rules<'a>,
    /// Whether the schema is all that decides, as for custom resources. Built-in kinds are read by Go, for which null is
    /// nothing and what is absent is a zero value, and then judged by code.
    decides: bool,
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

impl<'a> Validator<'a> {
    /// What is wrong with the fields of a built-in kind; apiVersion, kind, metadata and status are not looked at.
    pub fn structure(&mut self, value: &Value, schema: Schema<'_>) -> Vec<Violation> {
        self.decides = false;
        self.node(value, schema, None);
        std::mem::take(&mut self.found)
    }

    /// What is wrong with a custom resource with its defaults, as it is stored. Its rules in CEL are looked at only when nothing
    /// else is wrong, as in the API server.
    pub fn violations(&mut self, value: &Value, schema: Schema<'a>) -> Vec<Violation> {
        self.decides = true;
        let stored = with_defaults(value, schema);
        self.node(&stored, schema, None);
        if !self.found.is_empty() {
            return std::mem::take(&mut self.found);
        }
        self.rules.broken(&stored, schema)
    }

    fn say(&mut self, place: Option<&Place<'_>>, message: impl Into<String>) {
        self.found.push(Violation::new(pointer(place), message));
    }

    fn node(&mut self, value: &Value, schema: Schema<'_>, place: Option<&Place<'_>>) {
        if value.is_null() {
            let wrong = self.decides && !schema.is_nullable() && schema.default().is_none();
            let expected = if schema.is_int_or_string() { Some("integer,string") } else { schema.text("type") };
            if let Some(expected) = expected.filter(|_| wrong) {
                self.say(place, format!("Invalid value: \"null\": must be of type {expected}: \"null\""));
            }
            return;
        }
        if let Some(message) = wrong_type(value, schema) {
            return self.say(place, message);
        }
        self.facets(value, schema, place);
        match value {
            Value::Object(map) => self.fields(map, schema, place),
            Value::Array(items) => self.items(items, schema, place),
            _ => {}
        }
    }

    fn fields(&mut self, map: &Map<String, Value>, schema: Schema<'_>, place: Option<&Place<'_>>) {
        let required = schema.keyword("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !map.contains_key(name) && schema.property(name).and_then(Schema::default).is_none() {
                let at = pointer(Some(&Place { parent: place, step: Step::Key(name) }));
                self.found.push(Violation { sure: self.decides, ..Violation::new(at, "Required value") });
            }
        }
        for (name, child) in map {
            let of_object = matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            if of_object && (place.is_none() || schema.is_object()) || place.is_none() && name == "status" {
                continue;
            }
            let below = Place { parent: place, step: Step::Key(name) };
            match schema.property(name).or_else(|| schema.additional()) {
                Some(schema) => self.node(child, schema, Some(&below)),
                None if schema.preserves_unknown() || is_open(schema) => {}
                None => {
                    let message = "field not declared in schema";
                    let meant = meant(name, schema).map(str::to_owned);
                    let violation = Violation::new(pointer(Some(&below)), message);
                    self.found.push(Violation { unknown: true, meant, ..violation });
                }
            }
        }
    }

    fn items(&mut self, items: &[Value], schema: Schema<'_>, place: Option<&Place<'_>>) {
        let Some(of_items) = schema.items() else { return };
        for (index, item) in items.iter().enumerate() {
            self.node(item, of_items, Some(&Place { parent: place, step: Step::Index(index) }));
        }
        if let Some(message) = wrong_keys(items, schema.list_type(), of_items) {
            let sure = self.decides || !message.ends_with(WITHOUT_KEY);
            self.found.push(Violation { sure, ..Violation::new(pointer(place), message) });
        }
    }

    fn facets(&mut self, value: &Value, schema: Schema<'_>, place: Option<&Place<'_>>) {
        if let Some(message) = wrong_choice(value, schema) {
            self.say(place, message);
        }
        if let Some(message) = wrong_size(value, schema) {
            self.say(place, message);
        }
        if let Some(format) = schema.text("format").filter(|format| !fits_format(value, format)) {
            self.say(place, format!("Invalid value: {}: must be of type {format}", shown(value)));
        }
        if let (Value::String(text), Some(pattern)) = (value, schema.text("pattern"))
            && !self.matches(text, pattern)
        {
            self.say(place, format!("Invalid value: {}: should match '{pattern}'", shown(value)));
        }
        if !self.fits_combined(value, schema) {
            let message = format!("Invalid value: {}: must validate one of the schemas of this field", shown(value));
            self.say(place, message);
        }
    }

    fn matches(&mut self, text: &str, pattern: &str) -> bool {
        if !self.patterns.contains_key(pattern) {
            self.patterns.insert(pattern.to_owned(), read_pattern(pattern));
        }
        self.patterns[pattern].as_ref().is_none_or(|regex| regex.is_match(text))
    }

    /// Whether a value fits what its schema combines. Structural schemas combine checks of values alone, never fields; where one
    /// of them says what is not read here, nothing is said.
    fn fits_combined(&mut self, value: &Value, schema: Schema<'_>) -> bool {
        let keywords = ["oneOf", "anyOf", "allOf"].map(|keyword| schema.combined(keyword)).concat();
        if !keywords.into_iter().chain(schema.negated()).all(is_read) {
            return true;
        }
        let mut counted = |keyword: &str| {
            let schemas = schema.combined(keyword);
            (!schemas.is_empty()).then(|| {
                let fitting = schemas.iter().filter(|one| self.fits(value, **one)).count();
                (fitting, schemas.len())
            })
        };
        counted("oneOf").is_none_or(|(fitting, _)| fitting == 1)
            && counted("anyOf").is_none_or(|(fitting, _)| fitting > 0)
            && counted("allOf").is_none_or(|(fitting, all)| fitting == all)
            && schema.negated().is_none_or(|not| !self.fits(value, not))
    }

    /// Whether a value fits a schema, all fields that are there included.
    fn fits(&mut self, value: &Value, schema: Schema<'_>) -> bool {
        let text = value.as_str();
        let pattern = schema.text("pattern").zip(text);
        wrong_type(value, schema).is_none()
            && wrong_choice(value, schema).is_none()
            && wrong_size(value, schema).is_none()
            && schema.text("format").is_none_or(|format| fits_format(value, format))
            && pattern.is_none_or(|(pattern, text)| self.matches(text, pattern))
            && has_required(value, schema)
            && schema.properties().all(|(name, below)| value.get(name).is_none_or(|child| self.fits(child, below)))
            && schema.items().is_none_or(|below| {
                value.as_array().is_none_or(|items| items.iter().all(|item| self.fits(item, below)))
            })
            && self.fits_combined(value, schema)
    }
}

/// What a list says of an item without keys; in built-in kinds a key may have an empty default.
const WITHOUT_KEY: &str = "associative list with keys has an element that omits all key fields";

/// A pattern, where this engine reads it as the API server's (RE2) does and within bounds.
fn read_pattern(pattern: &str) -> Option<Regex> {
    const OTHERWISE: [&str; 6] = ["\\<", "\\>", "\\b{", "&&", "--", "~~"];
    if OTHERWISE.iter().any(|part| pattern.contains(part)) {
        return None;
    }
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build().ok()
}

/// Whether all fields are there that a schema demands.
fn has_required(value: &Value, schema: Schema<'_>) -> bool {
    let Value::Object(map) = value else { return true };
    let mut required = schema.keyword("required").and_then(Value::as_array).into_iter().flatten();
    required.all(|name| name.as_str().is_none_or(|name| map.contains_key(name)))
}

/// The keywords that are read of schemas that others combine.
const READ: [&str; 21] = [
    "type",
    "enum",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "required",
    "properties",
    "items",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "nullable",
    "description",
];

/// Whether all that a combined schema says is read here.
fn is_read(schema: Schema<'_>) -> bool {
    schema.keywords().all(|keyword| READ.contains(&keyword.as_str()))
        && schema.properties().all(|(_, below)| is_read(below))
        && schema.items().is_none_or(is_read)
        && ["oneOf", "anyOf", "allOf"].iter().all(|keyword| schema.combined(keyword).into_iter().all(is_read))
        && schema.negated().is_none_or(is_read)
}

/// What is wrong with the keys of the items of a list: those of a map differ in them, those of a set in themselves.
fn wrong_keys(items: &[Value], list: ListType<'_>, of_items: Schema<'_>) -> Option<String> {
    let keys = match list {
        ListType::Atomic => return None,
        ListType::Set => Vec::new(),
        ListType::Map(keys) => keys,
    };
    let default = |key: &str| of_items.property(key).and_then(Schema::default);
    let mut known = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let name = match item {
            item if keys.is_empty() => item.to_string(),
            Value::Object(map) => {
                if keys.iter().all(|key| !map.contains_key(*key) && default(key).is_none()) {
                    return Some(format!("element {index}: {WITHOUT_KEY}"));
                }
                let key = |key: &&str| map.get(*key).or(default(key)).map(|value| format!("{key}={value}"));
                format!("[{}]", keys.iter().filter_map(key).collect::<Vec<_>>().join(","))
            }
            Value::Null => {
                return Some(format!("element {index}: associative list with keys may not have a null element"));
            }
            _ => return Some(format!("element {index}: associative list with keys may not have non-map elements")),
        };
        if !known.insert(name.clone()) {
            return Some(format!("duplicate entries for key {}", cut(name)));
        }
    }
    None
}

/// What is wrong with a value of which only some are there.
fn wrong_choice(value: &Value, schema: Schema<'_>) -> Option<String> {
    let allowed = schema.keyword("enum").and_then(Value::as_array).filter(|allowed| !allowed.contains(value))?;
    let mut names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    names.sort();
    Some(format!("Unsupported value: {}: supported values: {}", shown(value), names.join(", ")))
}

/// What is wrong with how large a value is.
fn wrong_size(value: &Value, schema: Schema<'_>) -> Option<String> {
    let limit = |keyword: &str| schema.keyword(keyword).and_then(Value::as_f64);
    let (least, most, size, unit) = match value {
        Value::String(text) => ("minLength", "maxLength", text.chars().count() as f64, " chars long"),
        Value::Array(items) => ("minItems", "maxItems", items.len() as f64, " items"),
        Value::Object(map) => ("minProperties", "maxProperties", map.len() as f64, " properties"),
        Value::Number(number) => ("minimum", "maximum", number.as_f64()?, ""),
        _ => return None,
    };
    if let Some(least) = limit(least).filter(|least| size < *least) {
        let value = shown(value);
        return Some(match unit {
            "" => format!("Invalid value: {value}: should be greater than or equal to {least}"),
            unit => format!("Invalid value: {value}: should be at least {least}{unit}"),
        });
    }
    let most = limit(most).filter(|most| size > *most)?;
    Some(match value {
        Value::String(_) => format!("Too long: may not be more than {most} bytes"),
        Value::Number(_) => format!("Invalid value: {}: should be less than or equal to {most}", shown(value)),
        _ => format!("Too many: {size}: must have at most {most} items"),
    })
}

/// Whether a value has a format of those that the API server knows; others say nothing.
fn fits_format(value: &Value, format: &str) -> bool {
    match (value, format) {
        (Value::String(text), "quantity") => is_quantity(text),
        (Value::Number(number), "int32" | "int-or-string") => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        (Value::Number(number), "int64") => number.as_i64().is_some(),
        (Value::String(text), "ipv4") => text.parse::<Ipv4Addr>().is_ok(),
        (Value::String(text), "ipv6") => text.parse::<Ipv6Addr>().is_ok(),
        (Value::String(text), "date-time") => text.parse::<jiff::Timestamp>().is_ok(),
        _ => true,
    }
}

/// A schema that says nothing about fields: built-in types such as RawExtension.
fn is_open(schema: Schema<'_>) -> bool {
    let additional = schema.keyword("additionalProperties");
    additional == Some(&Value::Bool(true)) || schema.keyword("properties").is_none() && additional.is_none()
}

/// The declared field that a name resembles.
fn meant<'a>(name: &str, schema: Schema<'a>) -> Option<&'a str> {
    let near = schema.properties().map(|(known, _)| known.as_str());
    let near = near.filter(|known| {
        known.eq_ignore_ascii_case(name)
            || known.starts_with(name)
            || name.starts_with(known)
            || distance(known, name) <= 2
    });
    near.min_by_key(|known| distance(known, name))
}

/// What is wrong with the type of a value.
fn wrong_type(value: &Value, schema: Schema<'_>) -> Option<String> {
    if schema.is_int_or_string() || schema.is_quantity() {
        let fits = value.is_string() || (value.is_number() && (schema.is_quantity() || value.as_i64().is_some()));
        return (!fits).then(|| format!("expected a number or a string, got {}", shown(value)));
    }
    let (fits, expected) = match schema.text("type")? {
        "object" => (value.is_object(), "map"),
        "array" => (value.is_array(), "list"),
        "string" => (value.is_string(), "string"),
        "boolean" => (value.is_boolean(), "boolean"),
        "integer" | "number" => (value.is_number(), "numeric (int or float)"),
        _ => return None,
    };
    if !fits {
        return Some(format!("expected {expected}, got {}", shown(value)));
    }
    let whole = value.as_f64().is_none_or(|number| number.fract() == 0.0);
    let wrong = schema.text("type") == Some("integer") && !whole;
    wrong.then(|| format!("Invalid value: {}: must be of type integer: \"number\"", shown(value)))
}

/// A value as a message shows it: texts in quotes, what is long cut.
fn shown(value: &Value) -> String {
    cut(value.to_string())
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use crate::schema::Schemas;
    use serde_json::json;

    /// What is said of a `spec` by the schema of it: `POINTER message`.
    fn said(schema: &Value, spec: &Value) -> Vec<String> {
        let mut schemas = Schemas::default();
        let root = json!({"type": "object", "properties": {"spec": schema}});
        let version = json!({"name": "v1", "schema": {"openAPIV3Schema": root}});
        schemas.add_crd(&json!({"spec": {"group": "g", "names": {"kind": "K"}, "versions": [version]}}));
        let schema = schemas.of(&GroupKind::new("g", "K"), "v1");
        let found = schema.map(|schema| Validator::default().violations(&json!({"spec": spec}), schema));
        found.unwrap_or_default().iter().map(|v| format!("{} {}", v.pointer, v.message)).collect()
    }

    fn object(more: &Value) -> Value {
        let text = json!({"type": "string"});
        let mut made = json!({"type": "object", "properties": {"a": text, "b": text}});
        made.as_object_mut().into_iter().for_each(|map| map.extend(more.as_object().cloned().unwrap_or_default()));
        made
    }

    #[test]
    fn what_schemas_combine_is_told_where_all_of_it_is_read() {
        let either = object(&json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}));
        assert!(said(&either, &json!({"a": "x"})).is_empty());
        assert_eq!(said(&either, &json!({"a": "x", "b": "x"})).len(), 1);
        assert!(said(&object(&json!({"not": {"required": ["a", "b"]}})), &json!({"a": "x"})).is_empty());
        let list = json!({"type": "array", "items": {"type": "string"}, "not": {"items": {"enum": ["z"]}}});
        assert!(said(&list, &json!(["a"])).is_empty() && said(&list, &json!(["z"])).len() == 1);
        // A keyword that is not read leaves all to the API server.
        assert!(said(&json!({"type": "integer", "not": {"multipleOf": 2}}), &json!(3)).is_empty());
    }

    #[test]
    fn open_and_embedded_objects_hold_what_they_may() {
        assert!(said(&json!({"type": "object", "additionalProperties": true}), &json!({"x": 1})).is_empty());
        let embedded = object(&json!({"x-kubernetes-embedded-resource": true}));
        assert!(
            said(&embedded, &json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "a": "b"})).is_empty()
        );
        let found = said(&embedded, &json!({"status": 1}));
        assert_eq!(found, ["/spec/status field not declared in schema"]);
    }

    #[test]
    fn items_are_told_apart_by_all_of_their_keys() {
        let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
        let long = "x".repeat(200);
        assert!(said(&set, &json!([format!("{long}1"), format!("{long}2")])).is_empty());
        assert_eq!(said(&set, &json!(["a", "a"])), ["/spec duplicate entries for key \"a\""]);
    }

    #[test]
    fn hostile_rules_and_patterns_are_left_to_the_server() {
        let rule = |rule: String| object(&json!({"x-kubernetes-validations": [{"rule": rule}]}));
        assert_eq!(said(&rule("self.a == 'x'".to_owned()), &json!({"a": "y"})).len(), 1);
        for hostile in [
            "1+".repeat(100_000) + "1 == 1",
            "(".repeat(500_000) + "1",
            "[".repeat(40) + "1",
            format!("self.a == '{}'", "x".repeat(10_000)),
            // The engine reads what follows two signs twice, each time.
            "!!(".repeat(12) + "false" + &")".repeat(12),
            "-int(-9223372036854775808) > 0".to_owned(),
            // The engine panics on messages.
            "Self {} == self.a".to_owned(),
            "has(self.a) && pkg.Kind{name: 'x'}.name == 'y'".to_owned(),
        ] {
            assert!(said(&rule(hostile), &json!({"a": "y"})).is_empty());
        }
        // A map is no message.
        assert_eq!(said(&rule("self.a in {'x': 1} || {'z': 2} == {'y': 3}".to_owned()), &json!({"a": "y"})).len(), 1);
        // Texts that grow, and lists that are made of texts; a blank before a bracket hides no call.
        let long = json!({"a": "a".repeat(1500)});
        for growing in [
            "self.a.replace('a', self.a).replace('a', self.a).size() < 0",
            "self.a.replace ('a', self.a).replace\n('a', self.a).size() < 0",
            "self.a.split('').all(x, self.a.split('').all(y, self.a.split('').all(z, x + y != z)))",
            "self.a.split('').map (x, self.a.split('').map (y, self.a.split('').map (z, x + y + z))).size() < 0",
        ] {
            assert!(said(&rule(growing.to_owned()), &long).is_empty(), "{growing}");
            // Of a short text they are cheap, and judged.
            assert!(!said(&rule(growing.replace("!= z", "== z")), &json!({"a": "bc"})).is_empty(), "{growing}");
        }
        let loops = json!({"type": "array", "items": {"type": "integer"},
            "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, self.all(z, x + y + z < 0)))"}]});
        assert_eq!(said(&loops, &json!([1, 2])).len(), 1);
        assert!(said(&loops, &json!(vec![1; 300])).is_empty());
        let pattern = json!({"type": "string", "pattern": format!("^[\\w]{{{}}}$", 900)});
        assert!(said(&pattern, &json!("x")).is_empty());
        assert!(said(&json!({"type": "string", "pattern": "^\\<x\\>$"}), &json!("<x>")).is_empty());
    }
}
