//! Whether a declared value and a live one are the same after what the API server does to values.

use super::declared::{item_key, value_at};
use super::set::{Element, FieldPath};
use crate::schema::quantity::{family, nanos};
use crate::schema::{ListType, Schema, is_zero, with_defaults};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

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

/// How the items of lists are told apart where two values are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'a> {
    /// The schema of the node, where known.
    pub schema: Option<Schema<'a>>,
    /// Lists that are one value to the API server and whose items have names all the same, with the field of the name.
    pub named: &'a [(&'a str, &'a str)],
}

impl<'a> Keys<'a> {
    fn property(self, name: &str) -> Self {
        Self { schema: self.schema.and_then(|s| s.property(name).or_else(|| s.additional())), ..self }
    }

    fn items(self) -> Self {
        Self { schema: self.schema.and_then(Schema::items), ..self }
    }

    /// The elements of paths that name the items of a list, when each has one of its own.
    fn elements(self, path: &FieldPath, items: &[Value]) -> Option<Vec<Element>> {
        let named = || {
            let is_it = |at: &str| path.fits(at) && path.0.iter().filter_map(Element::name).count() == depth(at);
            self.named.iter().find(|(at, _)| is_it(at)).map(|(_, field)| vec![*field])
        };
        let fields = match self.schema.map(Schema::list_type) {
            Some(ListType::Map(keys)) => keys,
            _ => named()?,
        };
        let known = |item: &Value| fields.iter().any(|field| item.get(*field).is_some_and(|value| !value.is_null()));
        let of_item = |item| Some(item_key(item, self.schema.and_then(Schema::items), &fields)).filter(|_| known(item));
        let elements: Option<Vec<Element>> = items.iter().map(of_item).collect();
        elements.filter(|all| all.iter().collect::<BTreeSet<_>>().len() == all.len())
    }
}

fn depth(pattern: &str) -> usize {
    pattern.split('.').count()
}

/// A place in which two values differ, with what it was and what it is.
pub type Difference = (FieldPath, Option<Value>, Option<Value>);

/// The places in which two values differ, each with what it was and what it is. Items of lists that have keys are compared by
/// key, so that one which comes between two others is one difference; all others by index.
pub fn difference(path: &FieldPath, before: Option<&Value>, after: Option<&Value>, keys: Keys<'_>) -> Vec<Difference> {
    match (before, after) {
        (Some(before), Some(after)) if equal(before, after) => Vec::new(),
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            let below = |name: &String| difference(&path.field(name), a.get(name), b.get(name), keys.property(name));
            names.flat_map(below).collect()
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => by_key(path, a, b, keys).unwrap_or_else(|| {
            let count = a.len().max(b.len());
            (0..count).flat_map(|i| difference(&path.index(i), a.get(i), b.get(i), keys.items())).collect()
        }),
        (None, None) => Vec::new(),
        (before, after) => vec![(path.clone(), before.cloned(), after.cloned())],
    }
}

/// The differences of two lists whose items have keys; `None` where they have none, or where those of both have changed places,
/// which only shows by index.
fn by_key(path: &FieldPath, a: &[Value], b: &[Value], keys: Keys<'_>) -> Option<Vec<Difference>> {
    let (old, new) = (keys.elements(path, a)?, keys.elements(path, b)?);
    let places = |all: &[Element]| -> HashMap<Element, usize> {
        all.iter().enumerate().map(|(place, element)| (element.clone(), place)).collect()
    };
    let (old_places, new_places) = (places(&old), places(&new));
    let kept: Vec<usize> = old.iter().filter_map(|element| new_places.get(element).copied()).collect();
    if kept.windows(2).any(|pair| pair[0] > pair[1]) {
        return None;
    }
    let all = old.iter().chain(new.iter().filter(|element| !old_places.contains_key(*element)));
    let item = |items: &'_ [Value], places: &HashMap<Element, usize>, element: &Element| {
        places.get(element).and_then(|place| items.get(*place).cloned())
    };
    let differences = all.flat_map(|element| {
        let (before, after) = (item(a, &old_places, element), item(b, &new_places, element));
        difference(&path.join(element.clone()), before.as_ref(), after.as_ref(), keys.items())
    });
    Some(differences.collect())
}

/// Where a change of a field shows: at the field, or where a map or a list takes the place of a plain value on the way to it.
pub fn change_root(path: &FieldPath, before: &Value) -> FieldPath {
    let mut node = before;
    for (depth, element) in path.0.iter().enumerate() {
        let next = match (node, element.name()) {
            (Value::Object(map), Some(name)) => map.get(name),
            (Value::Array(_), None) => value_at(node, &FieldPath(vec![element.clone()])),
            (Value::Null, _) => None,
            _ => return FieldPath(path.0[..depth].to_vec()),
        };
        let Some(next) = next else { break };
        node = next;
    }
    path.clone()
}

/// The schema of the node at a path below one with a schema.
pub fn schema_at<'a>(schema: Option<Schema<'a>>, path: &FieldPath) -> Option<Schema<'a>> {
    path.0.iter().try_fold(schema?, |schema, element| match element.name() {
        Some(name) => schema.property(name).or_else(|| schema.additional()),
        None => schema.items(),
    })
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
    fn a_map_in_place_of_a_text_is_one_change() {
        let before = json!({"spec": {"v": "was", "n": null, "l": [{"name": "a", "x": 1}]}});
        let root = |elements: &[&str]| change_root(&FieldPath::spelt(elements), &before).to_string();
        assert_eq!(root(&["f:spec", "f:v", "f:x", "f:y"]), "spec.v");
        assert_eq!(root(&["f:spec", "f:n", "f:x"]), "spec.n.x");
        assert_eq!(root(&["f:spec", "f:new", "f:x"]), "spec.new.x");
        assert_eq!(root(&["f:spec", "f:l", "k:{\"name\":\"a\"}", "f:x", "f:deep"]), "spec.l[name=a].x");
        assert_eq!(root(&["f:spec", "f:l", "f:x"]), "spec.l");
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
        let found = difference(
            &path,
            Some(&json!([{"b": [{"w": 1}, {"w": 2}]}])),
            Some(&json!([{"b": [{"w": 1}, {"w": 3}]}])),
            Keys::default(),
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.to_string(), "spec.rules[0].b[1].w");
    }

    /// `PATH: BEFORE -> AFTER` of all differences.
    fn shown(path: &FieldPath, before: &Value, after: &Value, keys: Keys<'_>) -> Vec<String> {
        let text = |value: Option<Value>| value.unwrap_or_default().to_string();
        let found = difference(path, Some(before), Some(after), keys);
        found.into_iter().map(|(path, before, after)| format!("{path}: {} -> {}", text(before), text(after))).collect()
    }

    #[test]
    fn items_with_keys_are_compared_by_key() {
        let schemas = Schemas::default();
        let schema = schemas.of(&GroupKind::new("", "Service"), "v1").and_then(|s| s.property("spec"));
        let keys = Keys { schema: schema.and_then(|s| s.property("ports")), named: &[] };
        let path = FieldPath::of(&["spec", "ports"]);
        let old = json!([{"port": 80, "targetPort": 1}, {"port": 443, "targetPort": 2}]);
        let new =
            json!([{"port": 53, "protocol": "UDP"}, {"port": 80, "targetPort": 1}, {"port": 443, "targetPort": 3}]);
        assert_eq!(
            shown(&path, &old, &new, keys),
            [
                "spec.ports[port=443,protocol=TCP].targetPort: 2 -> 3",
                "spec.ports[port=53,protocol=UDP]: null -> {\"port\":53,\"protocol\":\"UDP\"}"
            ]
        );
        assert_eq!(shown(&path, &new, &json!([{"port": 80, "targetPort": 1}]), keys).len(), 2);
    }

    #[test]
    fn items_of_atomic_lists_have_the_names_that_the_kind_gives_them() {
        let keys = Keys { schema: None, named: &[("spec.stores", "name"), ("spec.stores[].options", "name")] };
        let path = FieldPath::of(&["spec"]);
        let store = |name: &str, options: Value| json!({"name": name, "options": options});
        let option = |name: &str, value: &str| json!({"name": name, "value": value});
        let old = json!({"stores": [store("b", json!([option("x", "1")]))]});
        let new = json!({"stores": [store("a", json!([])), store("b", json!([option("w", "0"), option("x", "2")]))]});
        assert_eq!(
            shown(&path, &old, &new, keys),
            [
                "spec.stores[name=b].options[name=x].value: \"1\" -> \"2\"",
                "spec.stores[name=b].options[name=w]: null -> {\"name\":\"w\",\"value\":\"0\"}",
                "spec.stores[name=a]: null -> {\"name\":\"a\",\"options\":[]}"
            ]
        );
        // Where items changed places, or two have one name, only the index tells them apart.
        let swapped = json!({"stores": [store("b", json!([])), store("a", json!([]))]});
        let placed = json!({"stores": [store("a", json!([])), store("b", json!([]))]});
        assert_eq!(shown(&path, &swapped, &placed, keys)[0], "spec.stores[0].name: \"b\" -> \"a\"");
        let twice = json!({"stores": [store("a", json!([])), store("a", json!([]))]});
        assert_eq!(shown(&path, &placed, &twice, keys)[0], "spec.stores[1].name: \"b\" -> \"a\"");
    }
}
