//! The types of the kinds that are wanted: definitions of custom kinds, and the API server's own documents where its
//! version is not that of the built-in table.
//!
//! A definition is large and hardly ever changes, so it is kept on disk under its uid and generation: which those are now
//! one LIST of metadata says.

use super::discovery::definition_state;
use super::{Cluster, cache};
use crate::desired::Desired;
use crate::live::Live;
use crate::object::{GroupKind, ObjectRef, api_version};
use crate::schema::{CRD_GROUP, Schemas, compact_crd, compact_document, is_known_document};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A definition without labels, annotations and status: they change without its generation, and it may have been read long
/// ago.
fn type_only(definition: &Value) -> Value {
    let mut made = definition.clone();
    if let Some(map) = made.as_object_mut() {
        map.shift_remove("status");
    }
    if let Some(metadata) = made.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| matches!(field.as_str(), "name" | "uid" | "generation"));
    }
    made
}

impl Cluster {
    /// The definitions of wanted kinds, without prose.
    pub(super) async fn definitions(
        &self,
        desired: &Desired,
        live: &Live,
        states: Option<&BTreeMap<String, String>>,
    ) -> Vec<Value> {
        let definition = GroupKind::new(CRD_GROUP, "CustomResourceDefinition");
        let Some(served) = live.kinds.get(&definition) else { return Vec::new() };
        let built_in = Schemas::default();
        let kinds: BTreeSet<GroupKind> = desired
            .objects
            .iter()
            .filter(|(r, m)| built_in.of(&r.group_kind(), &m.object.version).is_none())
            .map(|(r, _)| r.group_kind())
            .collect();
        let names = kinds.iter().filter_map(|kind| Some(format!("{}.{}", live.kinds.get(kind)?.plural, kind.group)));
        let names: BTreeSet<String> = names.collect();
        if names.is_empty() {
            return Vec::new();
        }
        let state = |name: &String| match states {
            Some(states) => states.get(name).cloned(),
            // Without permission to list them each is asked for.
            None => Some(String::new()),
        };
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in &names {
            match state(name).map(|state| (cache::read(&self.server, &state), state)) {
                Some((Some(definition), _)) => found.push(definition),
                Some((None, _)) => missing.push(ObjectRef::new(CRD_GROUP, "CustomResourceDefinition", "", name)),
                None => {}
            }
        }
        for (reference, answer) in self.get_all(missing, served, false).await {
            let Ok(Some(value)) = answer else { continue };
            let value = type_only(&compact_crd(&value));
            // What was read may be newer than what was listed.
            let generation = value.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or_default();
            let key = definition_state(crate::object::meta(&value, "uid"), generation);
            if states.and_then(|states| states.get(&reference.name)) == Some(&key) {
                cache::write(&self.server, &key, &value);
            }
            found.push(value);
        }
        found
    }

    /// The documents of wanted kinds that are neither custom nor as the built-in table has them; each is kept on disk by its
    /// hash.
    pub(super) async fn documents(
        &self,
        desired: &Desired,
        schemas: &Schemas,
        urls: &BTreeMap<String, String>,
    ) -> Vec<Value> {
        let wanted: BTreeSet<String> = desired
            .objects
            .iter()
            .filter(|(r, m)| !schemas.is_custom(&r.group_kind(), &m.object.version))
            .map(|(r, m)| {
                let root = if r.group.is_empty() { "api" } else { "apis" };
                format!("{root}/{}", api_version(&r.group, &m.object.version))
            })
            .collect();
        let mut found = Vec::new();
        for (path, url) in wanted.iter().filter_map(|path| Some((path, urls.get(path)?))) {
            let Some((_, hash)) = url.split_once("hash=").filter(|(_, hash)| !is_known_document(path, hash)) else {
                continue;
            };
            let key = format!("document {path} {hash}");
            let document = match cache::read(&self.server, &key) {
                Some(document) => Some(document),
                None => self.read("OPENAPI", url, "application/json").await.ok().map(|openapi| {
                    let document = compact_document(&openapi);
                    cache::write(&self.server, &key, &document);
                    document
                }),
            };
            found.extend(document);
        }
        found
    }
}
