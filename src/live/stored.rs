//! How live objects are kept: whole, or packed when all of it will hardly be looked at.

use crate::kinds::SPIN;
use crate::object::{ObjectRef, meta, split_api_version};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json_borrow::{ObjectAsVec, Value as Borrowed};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::OnceLock;

/// The annotation in which kubectl keeps a whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A live object.
#[derive(Clone, Debug)]
pub enum Stored {
    /// All of it.
    Whole(Value),
    /// Its text without what only a comparison of fields needs.
    Packed(Packed),
    /// As packed; it was proven that applying what the repository wants would change nothing.
    Unchanged(Packed),
}

/// The JSON of an object without `managedFields`, read again when it is looked at.
#[derive(Clone, Debug)]
pub struct Packed {
    text: Box<str>,
    uid: Box<str>,
    value: OnceLock<Value>,
}

impl Packed {
    /// Packs an object of a list, whose items do not say their type.
    pub fn of(item: &Borrowed<'_>, api_version: &str, kind: &str) -> Self {
        let text = serde_json::to_string(&Lean { item, api_version, kind }).unwrap_or_default();
        let metadata = item.as_object().and_then(|item| item.get("metadata")?.as_object());
        let uid = metadata.and_then(|metadata| metadata.get("uid")?.as_str()).unwrap_or_default();
        Self { text: text.into_boxed_str(), uid: uid.into(), value: OnceLock::new() }
    }

    fn value(&self) -> &Value {
        self.value.get_or_init(|| unpack(&self.text))
    }
}

/// The text was written here, so it can be read.
fn unpack(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

impl Stored {
    /// An object of a list as a whole.
    pub fn whole(item: &Borrowed<'_>, api_version: &str, kind: &str) -> Self {
        let mut value = Value::from(item);
        if let Some(map) = value.as_object_mut() {
            map.insert("apiVersion".to_owned(), Value::from(api_version));
            map.insert("kind".to_owned(), Value::from(kind));
        }
        Self::Whole(value)
    }

    /// The object, taken out.
    pub fn into_value(self) -> Value {
        match self {
            Self::Whole(value) => value,
            Self::Packed(packed) | Self::Unchanged(packed) => {
                packed.value.into_inner().unwrap_or_else(|| unpack(&packed.text))
            }
        }
    }

    /// Whether it was proven, when it was read, that applying what the repository wants would change nothing.
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged(_))
    }

    /// The uid of the object.
    pub fn uid(&self) -> &str {
        match self {
            Self::Whole(value) => meta(value, "uid"),
            Self::Packed(packed) | Self::Unchanged(packed) => &packed.uid,
        }
    }

    /// Writes what is kept of the object.
    pub(super) fn write(&self, reference: &ObjectRef, mut to: impl Write) -> std::io::Result<()> {
        writeln!(to, "{reference}")?;
        match self {
            Self::Whole(value) => serde_json::to_writer(to, value).map_err(std::io::Error::from),
            Self::Packed(packed) | Self::Unchanged(packed) => to.write_all(packed.text.as_bytes()),
        }
    }

    /// Lets go of what was read again of a packed object; its text stays.
    pub fn pack(&mut self) {
        if let Self::Packed(packed) | Self::Unchanged(packed) = self {
            packed.value = OnceLock::new();
        }
    }

    /// The object; of a packed one without `managedFields`.
    pub fn value(&self) -> &Value {
        match self {
            Self::Whole(value) => value,
            Self::Packed(packed) | Self::Unchanged(packed) => packed.value(),
        }
    }
}

struct Lean<'a> {
    item: &'a Borrowed<'a>,
    api_version: &'a str,
    kind: &'a str,
}

impl Serialize for Lean<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("apiVersion", self.api_version)?;
        map.serialize_entry("kind", self.kind)?;
        for (name, value) in self.item.as_object().into_iter().flat_map(ObjectAsVec::iter) {
            match (name, value) {
                ("apiVersion" | "kind", _) => {}
                ("metadata", Borrowed::Object(metadata)) => {
                    let times = DATED.contains(&(split_api_version(self.api_version).0, self.kind));
                    let metadata = Without { map: metadata, left_out: "managedFields" };
                    map.serialize_entry(name, &Metadata { metadata, times })?;
                }
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

/// Kinds whose health depends on when they were written (`kinds::spin`): of their `managedFields` the times are kept.
const DATED: [(&str, &str); 2] = [(SPIN, "SpinApp"), ("apps", "Deployment")];

/// Metadata with no more of `managedFields` than times.
struct Metadata<'a> {
    metadata: Without<'a>,
    times: bool,
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.metadata.entries(&mut map)?;
        let managers = self.metadata.map.get("managedFields").and_then(Borrowed::as_array).filter(|_| self.times);
        if let Some(managers) = managers {
            let text = |entry: &Borrowed<'_>, field: &str| Some(entry.as_object()?.get(field)?.as_str()?.to_owned());
            let own = managers.iter().filter(|entry| text(entry, "subresource").is_none_or(|name| name.is_empty()));
            let times = own.filter_map(|entry| text(entry, "time")).map(|time| BTreeMap::from([("time", time)]));
            map.serialize_entry("managedFields", &times.collect::<Vec<_>>())?;
        }
        map.end()
    }
}

/// A map without one key, and its annotations without the copy that kubectl keeps.
struct Without<'a> {
    map: &'a ObjectAsVec<'a>,
    left_out: &'static str,
}

impl Without<'_> {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, value) in self.map.iter().filter(|(name, _)| *name != self.left_out) {
            match value {
                Borrowed::Object(annotations) if name == "annotations" => {
                    map.serialize_entry(name, &Without { map: annotations, left_out: LAST_APPLIED })?;
                }
                _ => map.serialize_entry(name, value)?,
            }
        }
        Ok(())
    }
}

impl Serialize for Without<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_packed_object_has_all_but_what_only_comparison_needs() {
        let text = r#"{"metadata":{"name":"a\"b","managedFields":[{"manager":"x"}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}","k":"v"}},"data":{"managedFields":"stays"}}"#;
        let item: Borrowed<'_> = serde_json::from_str(text).unwrap_or_default();
        let packed = Stored::Packed(Packed::of(&item, "v1", "ConfigMap"));
        assert_eq!(
            packed.value(),
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a\"b", "annotations": {"k": "v"}}, "data": {"managedFields": "stays"}})
        );
        let text = r#"{"metadata":{"managedFields":[{"manager":"x","time":"2026-01-01T00:00:00Z","fieldsV1":{}},{"subresource":"status","time":"2026-01-02T00:00:00Z"}]}}"#;
        let app: Borrowed<'_> = serde_json::from_str(text).unwrap_or_default();
        let packed = Stored::Packed(Packed::of(&app, "core.spinkube.dev/v1alpha1", "SpinApp"));
        let times = json!([{"time": "2026-01-01T00:00:00Z"}]);
        assert_eq!(packed.value()["metadata"], json!({"managedFields": times}));
        let whole = Stored::whole(&item, "v1", "ConfigMap");
        assert_eq!(whole.value()["metadata"]["managedFields"][0]["manager"], "x");
        assert_eq!(whole.value()["kind"], "ConfigMap");
    }
}
