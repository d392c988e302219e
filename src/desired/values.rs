//! `${name}` in texts, replaced from the values of the environment (design §2).

use super::Environment;
use crate::object::{Diagnostic, did_you_mean};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is said of a name that has no value.
pub(super) fn is_unknown(name: &str, environment: &Environment) -> Diagnostic {
    let meant = did_you_mean(name, environment.values.keys().map(String::as_str));
    let meant = meant.map_or_else(String::new, |meant| format!("{meant} Otherwise: "));
    let message = format!("There is no value `{name}` in environment `{}`.", environment.name);
    let help = format!("{meant}Add it to `values` of the environment, or write `$${{` for a literal `${{`.");
    Diagnostic::error("value-unknown", message).help(help)
}

/// A `${name}` in an object in which no values are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Where it stands.
    pub(super) pointer: String,
    /// What stands between the brackets.
    pub(super) name: String,
    /// The value of the environment that has this name, the case of its letters apart.
    pub(super) value: Option<String>,
}

/// The `${name}` of an object in which no values are replaced: those that a value has the name of, and else the first that is part
/// of a single word. What a shell or another program is to replace stands in longer texts.
pub(super) fn literals(object: &Value, values: &BTreeMap<String, Value>) -> Vec<Literal> {
    let mut found = Vec::new();
    gather(object, values, "", &mut found);
    let first = found.iter().position(|literal| literal.value.is_none());
    let mut at = 0..;
    found.retain(|literal| {
        let at = at.next();
        literal.value.is_some() || at == first
    });
    if found.iter().any(|literal| literal.value.is_some()) {
        found.retain(|literal| literal.value.is_some());
    }
    found
}

fn gather(value: &Value, values: &BTreeMap<String, Value>, pointer: &str, found: &mut Vec<Literal>) {
    match value {
        Value::String(text) if text.contains("${") => {
            let is_word = !text.contains(char::is_whitespace);
            for name in names(text) {
                let value = values.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
                if value.is_some() || is_word {
                    found.push(Literal { pointer: pointer.to_owned(), name: name.to_owned(), value });
                }
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| gather(item, values, &format!("{pointer}/{at}"), found));
        }
        Value::Object(map) => {
            // The words of a command are for its shell.
            let entries = map.iter().filter(|(key, _)| !matches!(key.as_str(), "command" | "args"));
            for (key, item) in entries {
                gather(item, values, &format!("{pointer}/{}", crate::object::escape(key)), found);
            }
        }
        _ => {}
    }
}

/// The names in `${name}`, apart from `$${name}`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("${").filter_map(move |(at, _)| {
        let name = text[at + 2..].split_once('}')?.0;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        (is_name && !text[..at].ends_with('$')).then_some(name)
    })
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

    #[test]
    fn names_that_nobody_replaces_are_found() {
        let values = BTreeMap::from([("domain".to_owned(), json!("shop.example"))]);
        let found = |object: Value| -> Vec<String> {
            let all = literals(&object, &values).into_iter();
            all.map(|l| format!("{} {} {}", l.pointer, l.name, l.value.unwrap_or_default())).collect()
        };
        assert_eq!(found(json!({"data": {"url": "https://${domain}/${PATH}"}})), ["/data/url domain domain"]);
        assert_eq!(
            found(json!({"data": {"a": "x.${DOMAIN}", "b": "for ${domain} do"}})),
            ["/data/a DOMAIN domain", "/data/b domain domain"]
        );
        assert_eq!(found(json!({"data": {"a": "${HOST}:${PORT}", "b": "${HOST}"}})), ["/data/a HOST "]);
        let route = json!({"metadata": {"annotations": {"dns.example/target": "edge.${DOMAIN}"}}});
        assert_eq!(found(route), ["/metadata/annotations/dns.example~1target DOMAIN domain"]);
        let script = json!({"data": {"run.sh": "#!/bin/sh\necho ${HOME}\n"}, "spec": {"args": ["${HOME}"], "command": ["${SHELL}"]}});
        assert_eq!(found(script), Vec::<String>::new());
        assert_eq!(found(json!({"data": {"a": "$${domain}", "b": "${a:-b}", "c": "${open"}})), Vec::<String>::new());
    }
}
