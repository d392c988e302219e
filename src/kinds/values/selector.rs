//! Label selectors.

use super::fact::{wrong_key, wrong_label_value};
use super::{each, is_empty, text};
use crate::object::escape;
use crate::schema::Violation;
use serde_json::Value;

/// Holds the selectors at a path against what they may be.
pub(super) fn check(value: &Value, path: &str, found: &mut Vec<Violation>) {
    for (pointer, selector) in each(value, path) {
        labels(selector, &format!("{pointer}/matchLabels"), "matchLabels", found);
        for (below, expression) in each(selector, "matchExpressions[]") {
            self::expression(expression, &format!("{pointer}{below}"), found);
        }
    }
}

/// Holds a map of labels against what they may be.
pub(super) fn labels(value: &Value, pointer: &str, field: &str, found: &mut Vec<Violation>) {
    for (key, label) in value.get(field).and_then(Value::as_object).into_iter().flatten() {
        let wrong = wrong_key(key).map(|wrong| format!("\"{key}\": {wrong}"));
        let wrong = wrong.or_else(|| Some(format!("{label}: {}", wrong_label_value(label.as_str()?)?)));
        if let Some(wrong) = wrong {
            found.push(Violation::new(format!("{pointer}/{}", escape(key)), format!("Invalid value: {wrong}")));
        }
    }
}

fn expression(expression: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let mut say = |field: &str, message: String| found.push(Violation::new(format!("{pointer}/{field}"), message));
    let key = text(expression, "key");
    if let Some(wrong) = wrong_key(key) {
        say("key", format!("Invalid value: \"{key}\": {wrong}"));
    }
    let has_values = expression.get("values").is_some_and(|values| !is_empty(values));
    match text(expression, "operator") {
        "In" | "NotIn" if !has_values => {
            say("values", "Required value: must be specified when `operator` is 'In' or 'NotIn'".to_owned());
        }
        "Exists" | "DoesNotExist" if has_values => {
            say("values", "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'".to_owned());
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        operator => say("operator", format!("Invalid value: \"{operator}\": not a valid selector operator")),
    }
    for (below, value) in each(expression, "values[]") {
        if let Some(wrong) = value.as_str().and_then(wrong_label_value) {
            say(&below[1..], format!("Invalid value: {value}: {wrong}"));
        }
    }
}

/// Whether a selector takes an object with these labels.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let wanted = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut wanted = wanted.map(|(key, value)| label(key) == value.as_str());
    wanted.all(|same| same)
        && each(selector, "matchExpressions[]").iter().all(|(_, expression)| {
            let is = label(text(expression, "key"));
            let values: Vec<&str> =
                each(expression, "values[]").iter().filter_map(|(_, value)| value.as_str()).collect();
            match text(expression, "operator") {
                "In" => is.is_some_and(|is| values.contains(&is)),
                "NotIn" => is.is_none_or(|is| !values.contains(&is)),
                "Exists" => is.is_some(),
                "DoesNotExist" => is.is_none(),
                // What it says is wrong in itself.
                _ => true,
            }
        })
}
