//! `${name}` in texts, replaced from the values of the environment (design §2).

use crate::object::Diagnostic;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is said of a name that has no value.
pub(super) fn is_unknown(name: &str, environment: &str) -> Diagnostic {
    Diagnostic::error("value-unknown", format!("There is no value `{name}` in environment `{environment}`."))
        .help("Add it to `values` of the environment, or write `$${` for a literal `${`.")
}

/// Replaces every `${name}` below a value; `unknown` is told the JSON pointer and name of each that has no value.
/// A scalar that is exactly `${name}` takes the type of the value; `$${` stands for `${`.
pub fn substitute(
    value: &mut Value,
    values: &BTreeMap<String, Value>,
    pointer: &str,
    unknown: &mut impl FnMut(&str, &str),
) {
    match value {
        Value::String(text) => {
            if let Some(replaced) = replace(text, values, &mut |name| unknown(pointer, name)) {
                *value = replaced;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                substitute(item, values, &format!("{pointer}/{index}"), unknown);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                substitute(item, values, &format!("{pointer}/{}", crate::object::escape(key)), unknown);
            }
        }
        _ => {}
    }
}

/// How many bytes of values a text asks for: known before any is replaced.
pub(super) fn growth(value: &Value, values: &BTreeMap<String, Value>) -> usize {
    match value {
        Value::String(text) => {
            let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
            names.filter_map(|name| values.get(name)).map(length).sum()
        }
        Value::Array(items) => items.iter().map(|item| growth(item, values)).sum(),
        Value::Object(map) => map.values().map(|item| growth(item, values)).sum(),
        _ => 0,
    }
}

/// The bytes of a value as JSON, about.
fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| length(item) + 1).sum(),
        Value::Object(map) => map.iter().map(|(key, item)| key.len() + length(item) + 4).sum(),
        _ => 8,
    }
}

fn replace(text: &str, values: &BTreeMap<String, Value>, unknown: &mut impl FnMut(&str)) -> Option<Value> {
    if !text.contains("${") {
        return None;
    }
    let whole =
        text.strip_prefix("${").and_then(|t| t.strip_suffix('}')).filter(|name| !name.contains(['$', '{', '}']));
    if let Some(name) = whole {
        let value = values.get(name);
        if value.is_none() {
            unknown(name);
        }
        return value.cloned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(kept) = before.strip_suffix('$') {
            out.push_str(kept);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some(end) = after.find('}') else {
            rest = &rest[at..];
            break;
        };
        let name = &after[..end];
        match values.get(name) {
            Some(Value::String(value)) => out.push_str(value),
            Some(value) => out.push_str(&value.to_string()),
            None => unknown(name),
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Some(Value::String(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_replaced_and_unknown_ones_told() {
        let values = BTreeMap::from([("domain".to_owned(), json!("shop.example")), ("n".to_owned(), json!(3))]);
        let mut value = json!({"a": ["x.${domain}:${n}"], "b": "${n}", "c": "$${domain}", "d": "${no}", "e": "${open"});
        let mut unknown = Vec::new();
        substitute(&mut value, &values, "", &mut |pointer, name| unknown.push(format!("{pointer} {name}")));
        assert_eq!(value, json!({"a": ["x.shop.example:3"], "b": 3, "c": "${domain}", "d": "${no}", "e": "${open"}));
        assert_eq!(unknown, ["/d no"]);
    }

    #[test]
    fn what_values_add_is_known_before() {
        let values = BTreeMap::from([("v".to_owned(), json!("x".repeat(80)))]);
        assert_eq!(growth(&json!({"a": ["${v}${v}", "${w} v}"], "b": "${v"}), &values), 160);
    }
}
