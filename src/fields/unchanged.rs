//! The quick proof that applying a text would change nothing, made while a live object is still the bytes of a page: the
//! text, its schema, the live object and our entry in `managedFields` are walked side by side and nothing is copied.
//!
//! **Invariant:** a yes is a proof. A no proves nothing: then [`declare`](super::declare) and [`compare`](super::compare)
//! look closer (other spellings of quantities, co-owners, unwritten defaults).

use super::declared::{go_json, item_key};
use super::managed::MANAGER;
use crate::object::SERVER_FIELDS;
use crate::schema::{ListType, Schema};
use serde_json::Value;
use serde_json_borrow::{ObjectAsVec, Value as Live};

/// The text of an object and what is added to it when it is applied.
pub struct Wanted<'a> {
    /// The object as the repository has it, canonical.
    pub text: &'a Value,
    /// The label that is added, with its value.
    pub label: (&'a str, &'a str),
    /// The annotation that is added; its value does not matter while our entry holds it (design §3).
    pub annotation: &'a str,
    /// The schema of its kind in its version.
    pub schema: Option<Schema<'a>>,
    /// Whether its kind is a custom resource, whose values are stored as they are sent.
    pub custom: bool,
}

/// What a part of the text is to our entry in `managedFields`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It is there, and the live value is the declared one.
    Member,
    /// It declares nothing (an empty list of items that are told apart), and nothing is there.
    Nothing,
    /// Something is not proven.
    Unproven,
}

impl Found {
    fn proven_if(holds: bool) -> Self {
        if holds { Self::Member } else { Self::Unproven }
    }
}

/// Whether applying the text would provably change nothing: neither a value nor who holds what.
pub fn is_unchanged(wanted: &Wanted<'_>, live: &Live<'_>) -> bool {
    prove(wanted, live).is_some()
}

fn prove(wanted: &Wanted<'_>, live: &Live<'_>) -> Option<()> {
    let live = live.as_object()?;
    let metadata = live.get("metadata")?.as_object()?;
    if metadata.contains_key("deletionTimestamp") {
        return None;
    }
    let ours = our_fields(metadata, wanted.text.get("apiVersion")?.as_str()?)?;
    let mut members = 0;
    for (name, child) in wanted.text.as_object()? {
        let found = match name.as_str() {
            "apiVersion" | "kind" | "status" => continue,
            "metadata" => self::metadata(wanted, child, metadata, field(ours, "metadata")),
            name => {
                let schema = wanted.schema.and_then(|s| s.property(name));
                let place = Place { live: live.get(name), fields: field(ours, name), keyed: schema.is_none() };
                wanted.node(child, &place, schema)
            }
        };
        members += count(found)?;
    }
    (ours.len() == members).then_some(())
}

fn count(found: Found) -> Option<usize> {
    match found {
        Found::Member => Some(1),
        Found::Nothing => Some(0),
        Found::Unproven => None,
    }
}

/// The fields of our entry, when it is of that apiVersion and no other manager holds any of them.
fn our_fields<'a, 'p>(metadata: &'a ObjectAsVec<'p>, api_version: &str) -> Option<&'a ObjectAsVec<'p>> {
    let entries = metadata.get("managedFields")?.as_array()?;
    let ours =
        entries.iter().find(|entry| is_ours(entry)).filter(|entry| text_of(entry, "apiVersion") == api_version)?;
    let ours = fields_of(ours)?;
    let mut others = entries.iter().filter(|entry| !is_ours(entry) && text_of(entry, "subresource") != "status");
    others.all(|entry| fields_of(entry).is_none_or(|other| !overlaps(ours, other))).then_some(ours)
}

fn is_ours(entry: &Live<'_>) -> bool {
    text_of(entry, "manager") == MANAGER
        && text_of(entry, "operation") == "Apply"
        && text_of(entry, "subresource").is_empty()
}

fn text_of<'a>(entry: &'a Live<'_>, name: &str) -> &'a str {
    entry.as_object().and_then(|entry| entry.get(name)?.as_str()).unwrap_or_default()
}

fn fields_of<'a, 'p>(entry: &'a Live<'p>) -> Option<&'a ObjectAsVec<'p>> {
    entry.as_object()?.get("fieldsV1")?.as_object()
}

/// Whether two sets of fields share a path.
fn overlaps(ours: &ObjectAsVec<'_>, theirs: &ObjectAsVec<'_>) -> bool {
    theirs.iter().filter(|(element, _)| *element != ".").any(|(element, below)| {
        let (Some(mine), Some(below)) = (ours.get(element).and_then(Live::as_object), below.as_object()) else {
            return false;
        };
        let member = |set: &ObjectAsVec<'_>| set.is_empty() || set.contains_key(".");
        member(mine) && member(below) || overlaps(mine, below)
    })
}

/// A field below a set of fields.
fn field<'a, 'p>(fields: &'a ObjectAsVec<'p>, name: &str) -> Option<&'a ObjectAsVec<'p>> {
    let found = fields.iter().find(|(element, _)| element.strip_prefix("f:") == Some(name))?;
    found.1.as_object()
}

/// Metadata has the same types for every kind.
fn metadata(wanted: &Wanted<'_>, text: &Value, live: &ObjectAsVec<'_>, fields: Option<&ObjectAsVec<'_>>) -> Found {
    let Some(fields) = fields else { return Found::Unproven };
    let entries = |map: &str| text.get(map).and_then(Value::as_object);
    let others = text.as_object().into_iter().flatten().all(|(name, _)| {
        matches!(name.as_str(), "name" | "namespace" | "labels" | "annotations")
            || SERVER_FIELDS.contains(&name.as_str())
    });
    let (label, value) = wanted.label;
    let labels = texts(entries("labels"), label, live.get("labels"), field(fields, "labels"))
        && live.get("labels").and_then(|l| l.as_object()?.get(label)?.as_str()) == Some(value);
    let annotations =
        texts(entries("annotations"), wanted.annotation, live.get("annotations"), field(fields, "annotations"));
    Found::proven_if(others && labels && annotations && fields.len() == 2)
}

/// Labels or annotations: what is declared, and one that is added, of which only the presence is proven.
fn texts(
    declared: Option<&serde_json::Map<String, Value>>,
    added: &str,
    live: Option<&Live<'_>>,
    fields: Option<&ObjectAsVec<'_>>,
) -> bool {
    let (Some(live), Some(fields)) = (live.and_then(Live::as_object), fields) else { return false };
    let is_leaf = |name: &str| field(fields, name).is_some_and(ObjectAsVec::is_empty);
    let declared = || declared.into_iter().flatten().filter(|(name, _)| *name != added);
    let same = declared().all(|(name, value)| {
        value.is_string() && live.get(name).and_then(Live::as_str) == value.as_str() && is_leaf(name)
    });
    same && live.contains_key(added) && is_leaf(added) && fields.len() == declared().count() + 1
}

/// Where a part of the text stands in the live object and in our entry.
struct Place<'a, 'p> {
    live: Option<&'a Live<'p>>,
    fields: Option<&'a ObjectAsVec<'p>>,
    /// Whether its key is one of a map and not a declared property: then the key itself is a member.
    keyed: bool,
}

impl Wanted<'_> {
    fn node(&self, text: &Value, place: &Place<'_, '_>, schema: Option<Schema<'_>>) -> Found {
        match text {
            Value::Object(map) if !map.is_empty() && !schema.is_some_and(Schema::is_atomic_map) => {
                self.map(map, place, schema)
            }
            Value::Array(items) => match schema.map(Schema::list_type) {
                Some(ListType::Set) => set_items(items, place),
                Some(ListType::Map(keys)) => self.map_items(items, place, schema.and_then(Schema::items), &keys),
                _ => self.leaf(text, place, schema),
            },
            _ => self.leaf(text, place, schema),
        }
    }

    fn leaf(&self, text: &Value, place: &Place<'_, '_>, schema: Option<Schema<'_>>) -> Found {
        let held = place.fields.is_some_and(ObjectAsVec::is_empty);
        Found::proven_if(held && place.live.is_some_and(|live| self.same(text, live, schema)))
    }

    fn map(&self, map: &serde_json::Map<String, Value>, place: &Place<'_, '_>, schema: Option<Schema<'_>>) -> Found {
        let Some(live) = place.live.and_then(Live::as_object) else { return Found::Unproven };
        let mut members = 0;
        for (name, child) in map {
            let property = schema.and_then(|s| s.property(name));
            let below = property.or_else(|| schema.and_then(Schema::additional));
            let fields = place.fields.and_then(|fields| field(fields, name));
            let found = self.node(child, &Place { live: live.get(name), fields, keyed: property.is_none() }, below);
            match count(found) {
                Some(one) => members += one,
                None => return Found::Unproven,
            }
        }
        match place.fields {
            None if members == 0 && !place.keyed => Found::Nothing,
            Some(fields) => Found::proven_if(members > 0 && is_parent(fields, members, place.keyed)),
            None => Found::Unproven,
        }
    }

    fn map_items(&self, items: &[Value], place: &Place<'_, '_>, schema: Option<Schema<'_>>, keys: &[&str]) -> Found {
        let (Some(live), Some(fields)) = (place.live.and_then(Live::as_array), place.fields) else {
            return nothing_declared(items, place);
        };
        // Our items stand in the order of the text, with those of others anywhere between.
        let mut rest = live.iter();
        let proven = items.iter().all(|item| {
            let element = item_key(item, schema, keys).spelt();
            let Some(below) = fields.get(&element).and_then(Live::as_object) else { return false };
            let key = |live: &Live<'_>, key: &str| {
                let given = item.get(key).filter(|v| !v.is_null()).or_else(|| schema?.property(key)?.default());
                match (given, live.as_object().and_then(|l| l.get(key))) {
                    (Some(given), Some(have)) => exact(given, have),
                    (given, have) => given.is_none() && have.is_none(),
                }
            };
            let Some(found) = rest.find(|live| keys.iter().all(|k| key(live, k))) else { return false };
            self.item(item, found, below, schema)
        });
        Found::proven_if(proven && !items.is_empty() && fields.len() == items.len())
    }

    fn item(&self, item: &Value, live: &Live<'_>, fields: &ObjectAsVec<'_>, schema: Option<Schema<'_>>) -> bool {
        if schema.is_some_and(Schema::is_atomic_map) {
            return fields.is_empty() && self.same(item, live, schema);
        }
        match item.as_object() {
            Some(map) => {
                self.map(map, &Place { live: Some(live), fields: Some(fields), keyed: true }, schema) == Found::Member
            }
            None => false,
        }
    }

    /// Whether a declared value and a live one are the same, defaults of custom resources included. Null and whatever a
    /// built-in type rewrites are not looked into.
    fn same(&self, text: &Value, live: &Live<'_>, schema: Option<Schema<'_>>) -> bool {
        match (text, live) {
            (Value::Object(want), Live::Object(have)) => {
                let below = |name: &str| schema.and_then(|s| s.property(name).or_else(|| s.additional()));
                let declared = want
                    .iter()
                    .all(|(name, child)| have.get(name).is_some_and(|live| self.same(child, live, below(name))));
                let defaults = || {
                    let all = schema.filter(|_| self.custom).into_iter().flat_map(Schema::properties);
                    all.filter(|(name, _)| !want.contains_key(*name))
                        .filter_map(|(name, s)| Some((name, s, s.default()?)))
                };
                declared
                    && defaults().all(|(name, schema, default)| {
                        have.get(name).is_some_and(|live| self.same(default, live, Some(schema)))
                    })
                    && have.len() == want.len() + defaults().count()
            }
            (Value::Array(want), Live::Array(have)) => {
                let items = schema.and_then(Schema::items);
                want.len() == have.len()
                    && want.iter().zip(have.iter()).all(|(want, have)| self.same(want, have, items))
            }
            _ => exact(text, live),
        }
    }
}

/// An empty list of items that are told apart declares no field, but the list itself would be made where there is none.
fn nothing_declared(items: &[Value], place: &Place<'_, '_>) -> Found {
    let there = place.live.is_some_and(|live| live.as_array().is_some());
    if items.is_empty() && place.fields.is_none() && there { Found::Nothing } else { Found::Unproven }
}

/// Whether a set of fields is that of a parent of so many members, which itself is one or not.
fn is_parent(fields: &ObjectAsVec<'_>, members: usize, keyed: bool) -> bool {
    let itself = fields.contains_key(".");
    itself == (keyed && members > 0) && fields.len() == members + usize::from(itself)
}

fn set_items(items: &[Value], place: &Place<'_, '_>) -> Found {
    let (Some(live), Some(fields)) = (place.live.and_then(Live::as_array), place.fields) else {
        return nothing_declared(items, place);
    };
    let mut rest = live.iter();
    let proven = items.iter().all(|item| {
        let held =
            fields.get(&format!("v:{}", go_json(item))).and_then(Live::as_object).is_some_and(ObjectAsVec::is_empty);
        held && rest.any(|live| exact(item, live))
    });
    Found::proven_if(proven && !items.is_empty() && fields.len() == items.len())
}

/// Equality of scalars; a number in two spellings is left to [`compare`](super::compare).
fn exact(text: &Value, live: &Live<'_>) -> bool {
    match (text, live) {
        (Value::String(want), Live::Str(have)) => want == have,
        (Value::Bool(want), Live::Bool(have)) => want == have,
        (Value::Number(want), Live::Number(_)) if want.is_f64() => false,
        (Value::Number(want), Live::Number(have)) => want.as_i64() == have.as_i64() && want.as_u64() == have.as_u64(),
        _ => false,
    }
}
