//! Whether a declared value and a live one are the same after what the API server does to values.

use super::set::FieldPath;
use crate::schema::quantity::{family, nanos};
use crate::schema::{Schema, is_zero, with_defaults};
use serde_json::Value;
use std::borrow::Cow;

/// Whether applying a value would change a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would not.
    Same,
    /// It would.
    Differs,
    /// It cannot be told here: a dry-run must say.
    Ask,
}

impl Answer {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Differs, _) | (_, Self::Differs) => Self::Differs,
            (Self::Ask, _) | (_, Self::Ask) => Self::Ask,
            _ => Self::Same,
        }
    }
}

/// What is known of a value beside itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its schema.
    pub schema: Option<Schema<'a>>,
    /// Whether its kind is a custom resource: its values are stored as sent, after defaulting; those of built-in kinds are
    /// rewritten (quantities, empty values, unwritten defaults).
    pub custom: bool,
    /// Whether it stands in the text that was applied last and the field is still ours alone: then an empty value that is
    /// not there was left out by the API server and by nobody else.
    pub applied: bool,
}

/// Compares a declared value with the live one.
pub fn compare(want: &Value, have: Option<&Value>, known: Known<'_>) -> Answer {
    if known.custom {
        let want = known.schema.map_or(Cow::Borrowed(want), |schema| Cow::Owned(wrapped_default(want, schema)));
        return custom_value(&want, have, known.applied);
    }
    built_in(want, have, known)
}

/// Null takes the default of the node itself.
fn wrapped_default(want: &Value, schema: Schema<'_>) -> Value {
    match (want, schema.default()) {
        (Value::Null, Some(default)) if !schema.is_nullable() => with_defaults(default, schema),
        _ => with_defaults(want, schema),
    }
}

fn custom_value(want: &Value, have: Option<&Value>, applied: bool) -> Answer {
    match have {
        Some(have) if equal(want, have) => Answer::Same,
        None if want.is_null() => {
            if applied {
                Answer::Same
            } else {
                Answer::Ask
            }
        }
        _ => Answer::Differs,
    }
}

/// Equality of JSON in which `1.0` is `1`, as Go writes it.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.as_f64() == b.as_f64() && a.as_f64().is_some_and(|n| n.abs() < 9.0e15)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

fn built_in(want: &Value, have: Option<&Value>, known: Known<'_>) -> Answer {
    if known.applied && is_zero(want) && have.is_none_or(is_zero) {
        return Answer::Same;
    }
    let Some(have) = have else {
        return if is_zero(want) { Answer::Ask } else { Answer::Differs };
    };
    if want == have {
        return Answer::Same;
    }
    let Some(schema) = known.schema else { return if is_zero(want) { Answer::Ask } else { Answer::Differs } };
    if schema.is_quantity() {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (want, have) = (text(want), text(have));
        return match (nanos(&want), nanos(&have)) {
            // An amount keeps the family of its suffix (binary, decimal, exponent), so in another it is another text.
            (Some(a), Some(b)) if a == b && family(&want).is_some_and(|f| Some(f) == family(&have)) => Answer::Same,
            (Some(a), Some(b)) if a == b => Answer::Ask,
            // Amounts below 1m are rounded up.
            (Some(a), _) if a % 1_000_000 != 0 => Answer::Ask,
            (Some(_), Some(_)) => Answer::Differs,
            _ => Answer::Ask,
        };
    }
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            let below = |name: &str| Known { schema: schema.property(name).or_else(|| schema.additional()), ..known };
            let declared = want.iter().map(|(name, value)| built_in(value, have.get(name), below(name)));
            // What the server put beside what we declared may be a default that the table does not know.
            let extra = have.iter().filter(|(name, _)| !want.contains_key(*name)).map(|(name, value)| {
                if schema.property(name).and_then(Schema::default) == Some(value) { Answer::Same } else { Answer::Ask }
            });
            declared.chain(extra).fold(Answer::Same, Answer::and)
        }
        (Value::Array(want), Value::Array(have)) if want.len() == have.len() => {
            let item = Known { schema: schema.items(), ..known };
            want.iter().zip(have).map(|(w, h)| built_in(w, Some(h), item)).fold(Answer::Same, Answer::and)
        }
        _ if is_zero(want) || want.is_null() => Answer::Ask,
        _ => Answer::Differs,
    }
}

/// The places in which two values differ, each with what it was and what it is; list items are taken by index.
pub fn difference(
    path: &FieldPath,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Vec<(FieldPath, Option<Value>, Option<Value>)> {
    match (before, after) {
        (Some(before), Some(after)) if equal(before, after) => Vec::new(),
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.flat_map(|key| difference(&path.field(key), a.get(key), b.get(key))).collect()
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let count = a.len().max(b.len());
            (0..count).flat_map(|i| difference(&path.index(i), a.get(i), b.get(i))).collect()
        }
        (None, None) => Vec::new(),
        (before, after) => vec![(path.clone(), before.cloned(), after.cloned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use crate::schema::Schemas;
    use serde_json::json;

    fn deployment(want: &Value, have: &Value) -> Answer {
        let schemas = Schemas::default();
        let schema = schemas.of(&GroupKind::new("apps", "Deployment"), "v1");
        compare(want, Some(have), Known { schema, ..Known::default() })
    }

    #[test]
    fn quantities_of_built_in_kinds_are_compared_by_amount() {
        let with = |cpu: Value| json!({"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": cpu}}}]}}}});
        assert_eq!(deployment(&with(json!("0.5")), &with(json!("500m"))), Answer::Same);
        assert_eq!(deployment(&with(json!(1)), &with(json!("1"))), Answer::Same);
        assert_eq!(deployment(&with(json!("1Gi")), &with(json!("1073741824"))), Answer::Ask);
        assert_eq!(deployment(&with(json!("+1")), &with(json!("1"))), Answer::Ask);
        assert_eq!(deployment(&with(json!("0.0005")), &with(json!("1m"))), Answer::Ask);
        assert_eq!(deployment(&with(json!("1")), &with(json!("2"))), Answer::Differs);
        assert_eq!(
            compare(&json!("1000m"), Some(&json!("1")), Known { custom: true, ..Known::default() }),
            Answer::Differs
        );
    }

    #[test]
    fn unwritten_defaults_and_zero_values_are_asked_about() {
        assert_eq!(compare(&json!(false), None, Known::default()), Answer::Ask);
        let applied = Known { applied: true, ..Known::default() };
        assert_eq!(compare(&json!([]), None, applied), Answer::Same);
        assert_eq!(compare(&json!([]), Some(&Value::Null), applied), Answer::Same);
        assert_eq!(deployment(&json!({"spec": {}}), &json!({"spec": {"replicas": 1}})), Answer::Ask);
        assert_eq!(compare(&json!("x"), None, Known::default()), Answer::Differs);
    }

    #[test]
    fn a_difference_in_an_atomic_list_is_shown_at_the_leaf() {
        let path = FieldPath::of(&["spec", "rules"]);
        let found =
            difference(&path, Some(&json!([{"b": [{"w": 1}, {"w": 2}]}])), Some(&json!([{"b": [{"w": 1}, {"w": 3}]}])));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.to_string(), "spec.rules[0].b[1].w");
    }
}
