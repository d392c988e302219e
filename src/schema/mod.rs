//! What is known of the types of objects: structural schemas of custom resources (from the repository, the cluster or a
//! snapshot) and a built-in table for Kubernetes' own kinds.
//!
//! **Invariant:** unknown is a value: a kind or field without schema is never guessed about, callers ask the server.

mod builtin;
mod defaults;
mod definition;
mod features;
pub mod quantity;
mod released;
mod rules;
mod validate;

pub use builtin::{
    VERSION as BUILTIN_VERSION, compact_crd, compact_document, groups, groups_of, is_known_document, kinds_of,
};
pub use defaults::with_defaults;
pub use definition::{BUNDLE, CHANNEL, is_downgraded, is_narrowed, is_set, lost_version, version_names};
pub use features::{Release, Standing, Support, project_of};
pub use released::{
    Edition, Installed, Numbers, has_editions, is_released, release_numbers, released, releases, versions_in, who_has,
};
pub use validate::{Validator, Violation};

use crate::object::{GroupKind, ObjectRef, unescape};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The group of CustomResourceDefinition.
pub const CRD_GROUP: &str = "apiextensions.k8s.io";

/// The schemas that are at hand, by group, kind and version.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    custom: BTreeMap<(GroupKind, String), Arc<Value>>,
    /// From the API server's own documents, where the built-in table is of another version: document and definition.
    published: BTreeMap<(GroupKind, String), (Arc<Value>, String)>,
    /// The release and channel whose kinds are taken to be installed where there is no definition; none when nothing is.
    assumed: Option<Installed>,
}

/// How the items of a list are told apart (`x-kubernetes-list-type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType<'a> {
    /// The list is one value.
    Atomic,
    /// Each value is an item.
    Set,
    /// Items are known by these fields.
    Map(Vec<&'a str>),
}

/// The schema of one node, in OpenAPI form.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    node: &'a Map<String, Value>,
    definitions: Option<&'a Map<String, Value>>,
}

impl Schemas {
    /// The schemas of the CustomResourceDefinitions among some objects.
    pub fn with_crds<'a>(objects: impl Iterator<Item = &'a Value>) -> Self {
        let mut schemas = Self::default();
        let is_crd = |o: &&Value| ObjectRef::of(o).is_some_and(|r| r.is(CRD_GROUP, "CustomResourceDefinition"));
        objects.filter(is_crd).for_each(|crd| schemas.add_crd(crd));
        schemas
    }

    /// Adds the schemas of a CustomResourceDefinition.
    pub fn add_crd(&mut self, crd: &Value) {
        let Some((kind, versions)) = crd_versions(crd) else { return };
        for version in versions {
            let name = version.get("name").and_then(Value::as_str).unwrap_or_default();
            if let Some(schema) = version.pointer("/schema/openAPIV3Schema") {
                self.custom.insert((kind.clone(), name.to_owned()), Arc::new(schema.clone()));
            }
        }
    }

    /// Adds the kinds of a document, in the form of [`compact_document`].
    pub fn publish(&mut self, document: Value) {
        let document = Arc::new(document);
        for row in document.get("kinds").and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let kind = GroupKind { group: text("group"), kind: text("kind") };
            self.published.insert((kind, text("version")), (Arc::clone(&document), text("definition")));
        }
    }

    /// The schema of a kind in a version; none is known for the rest.
    pub fn of(&self, kind: &GroupKind, version: &str) -> Option<Schema<'_>> {
        let key = (kind.clone(), version.to_owned());
        if let Some(schema) = self.custom.get(&key) {
            return Some(Schema { node: schema.as_object()?, definitions: None });
        }
        match self.published.get(&key) {
            Some((document, definition)) => {
                let definitions = document.get("definitions")?.as_object()?;
                Some(Schema { node: definitions.get(definition)?.as_object()?, definitions: Some(definitions) })
            }
            None => builtin::schema(kind, version).or_else(|| self.of_release(kind, version)),
        }
    }

    /// Takes the kinds of a release to be installed where no definition says what they are.
    pub fn assume(&mut self, installed: Installed) {
        self.assumed = Some(installed);
    }

    /// The schema of a kind in the release that is taken to be installed; of several, in the one that has most.
    fn of_release(&self, kind: &GroupKind, version: &str) -> Option<Schema<'static>> {
        let installed = self.assumed?;
        let editions = if has_editions(kind) { installed.editions() } else { Installed::default().editions() };
        editions.into_iter().rev().find_map(|edition| released(kind, version, edition))
    }

    /// Whether a kind is one of a CustomResourceDefinition: then values are stored as they are sent.
    pub fn is_custom(&self, kind: &GroupKind, version: &str) -> bool {
        self.custom.contains_key(&(kind.clone(), version.to_owned())) || self.assumed_for(kind, version).is_some()
    }

    /// The releases by whose tables a kind is judged, since nothing defines it here; none where something does.
    pub fn assumed_for(&self, kind: &GroupKind, version: &str) -> Option<Installed> {
        let key = (kind.clone(), version.to_owned());
        let is_defined = self.custom.contains_key(&key) || self.published.contains_key(&key);
        let is_released = || builtin::schema(kind, version).is_none() && self.of_release(kind, version).is_some();
        self.assumed.filter(|_| !is_defined && is_released())
    }
}

/// Kind and versions that a CustomResourceDefinition declares.
pub fn crd_versions(crd: &Value) -> Option<(GroupKind, &Vec<Value>)> {
    let spec = crd.get("spec")?;
    let kind = GroupKind::new(spec.get("group")?.as_str()?, spec.pointer("/names/kind")?.as_str()?);
    Some((kind, spec.get("versions")?.as_array()?))
}

impl<'a> Schema<'a> {
    /// The schema that a node's `$ref` (plain or in `allOf`) names, or the node's own.
    fn resolved(self) -> Self {
        let reference =
            self.node.get("$ref").or_else(|| self.node.get("allOf")?.get(0)?.get("$ref")).and_then(Value::as_str);
        let target = reference.and_then(|name| self.definitions?.get(name)?.as_object());
        target.map_or(self, |node| Self { node, ..self })
    }

    fn child(self, node: &'a Value) -> Option<Self> {
        Some(Self { node: node.as_object()?, ..self })
    }

    /// A keyword of the node itself, before its `$ref` is followed.
    pub fn own(self, keyword: &str) -> Option<&'a Value> {
        self.node.get(keyword)
    }

    /// A keyword.
    pub fn keyword(self, keyword: &str) -> Option<&'a Value> {
        self.resolved().node.get(keyword)
    }

    /// A keyword that is a text.
    pub fn text(self, keyword: &str) -> Option<&'a str> {
        self.keyword(keyword)?.as_str()
    }

    fn flag(self, keyword: &str) -> bool {
        self.keyword(keyword).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A declared property.
    pub fn property(self, name: &str) -> Option<Self> {
        let resolved = self.resolved();
        resolved.child(resolved.node.get("properties")?.get(name)?)
    }

    /// The declared properties.
    pub fn properties(self) -> impl Iterator<Item = (&'a String, Self)> {
        let resolved = self.resolved();
        let properties = resolved.node.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().filter_map(move |(name, node)| Some((name, resolved.child(node)?)))
    }

    /// The schema of every other key of a map.
    pub fn additional(self) -> Option<Self> {
        let resolved = self.resolved();
        resolved.child(resolved.node.get("additionalProperties")?)
    }

    /// The schema of the items of a list.
    pub fn items(self) -> Option<Self> {
        let resolved = self.resolved();
        resolved.child(resolved.node.get("items")?)
    }

    /// The schema of the node at a JSON pointer below this one.
    pub fn at(self, pointer: &str) -> Option<Self> {
        pointer.split('/').skip(1).try_fold(self, |schema, step| {
            let name = unescape(step);
            schema.property(&name).or_else(|| schema.additional()).or_else(|| schema.items())
        })
    }

    /// The keywords of a node.
    pub(crate) fn keywords(self) -> impl Iterator<Item = &'a String> {
        self.resolved().node.keys()
    }

    /// The schemas that a node combines under a keyword (`oneOf`, `anyOf`, `allOf`), references apart.
    pub(crate) fn combined(self, keyword: &str) -> Vec<Self> {
        let schemas = self.keyword(keyword).and_then(Value::as_array).into_iter().flatten();
        schemas.filter(|node| node.get("$ref").is_none()).filter_map(|node| self.child(node)).collect()
    }

    /// The schema that a value must not fit.
    pub(crate) fn negated(self) -> Option<Self> {
        self.child(self.keyword("not")?)
    }

    /// How items of a list are told apart; absent means atomic.
    pub fn list_type(self) -> ListType<'a> {
        match self
            .own("x-kubernetes-list-type")
            .or_else(|| self.keyword("x-kubernetes-list-type"))
            .and_then(Value::as_str)
        {
            Some("set") => ListType::Set,
            Some("map") => {
                let keys = self.own("x-kubernetes-list-map-keys").and_then(Value::as_array);
                ListType::Map(keys.into_iter().flatten().filter_map(Value::as_str).collect())
            }
            _ => ListType::Atomic,
        }
    }

    /// Whether a map or struct is one value.
    pub fn is_atomic_map(self) -> bool {
        self.own("x-kubernetes-map-type").is_some_and(|t| t == "atomic")
            || self.text("x-kubernetes-map-type") == Some("atomic")
    }

    /// Whether undeclared fields are kept.
    pub fn preserves_unknown(self) -> bool {
        self.flag("x-kubernetes-preserve-unknown-fields")
    }

    /// Whether a number or a text may stand here.
    pub fn is_int_or_string(self) -> bool {
        self.flag("x-kubernetes-int-or-string") || self.text("format") == Some("int-or-string")
    }

    /// Whether a whole object stands here, with the fields that every object has.
    pub(crate) fn is_object(self) -> bool {
        self.flag("x-kubernetes-embedded-resource")
    }

    /// Whether a quantity of Kubernetes stands here (built-in types only).
    pub fn is_quantity(self) -> bool {
        self.text("format") == Some("quantity")
    }

    /// Whether null is a value.
    pub fn is_nullable(self) -> bool {
        self.flag("nullable")
    }

    /// The default, which a node may set beside its `$ref`.
    pub fn default(self) -> Option<&'a Value> {
        self.own("default").or_else(|| self.keyword("default"))
    }
}

/// Whether a value is the zero value of its type, which Go leaves out of JSON.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Which kinds are namespaced, as far as is known.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    custom: BTreeMap<GroupKind, bool>,
}

impl Scopes {
    /// The scopes of built-in kinds and of the CustomResourceDefinitions among some objects.
    pub fn with_crds<'a>(objects: impl Iterator<Item = &'a Value>) -> Self {
        let crds = objects.filter(|o| ObjectRef::of(o).is_some_and(|r| r.is(CRD_GROUP, "CustomResourceDefinition")));
        let custom = crds.filter_map(|crd| {
            let (kind, _) = crd_versions(crd)?;
            Some((kind, crd.pointer("/spec/scope")?.as_str()? == "Namespaced"))
        });
        Self { custom: custom.collect() }
    }

    /// Whether a kind is namespaced; none where neither Kubernetes, Gateway API, SpinKube nor the objects say.
    pub fn namespaced(&self, kind: &GroupKind) -> Option<bool> {
        builtin::namespaced(kind).or_else(|| self.custom.get(kind).copied())
    }
}
