//! The types of the kinds that are wanted: definitions of custom kinds, and the API server's own documents where its
//! version is not that of the built-in table.
//!
//! A definition is large and hardly ever changes, so it is kept on disk under its uid and generation: which those are now
//! one LIST of metadata says.

use super::listing::List;
use super::{Cluster, cache};
use crate::desired::Desired;
use crate::live::Live;
use crate::object::{GroupKind, ObjectRef, api_version};
use crate::schema::{CRD_GROUP, Schemas, compact_crd, compact_document, is_known_document};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

impl Cluster {
    /// The definitions of wanted kinds, without prose.
    pub(super) async fn definitions(&self, desired: &Desired, live: &Live) -> Vec<Value> {
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
        let version = served.versions.first().cloned().unwrap_or_default();
        let list = List::of(&definition, &version, served).metadata();
        let listed = self
            .pages(&list, &|item| {
                let metadata = item.as_object().and_then(|item| item.get("metadata")?.as_object());
                let text = |field: &str| metadata.and_then(|m| m.get(field)?.as_str()).unwrap_or_default().to_owned();
                let generation = metadata.and_then(|m| m.get("generation")?.as_u64()).unwrap_or_default();
                Some((text("name"), format!("definition {} {generation}", text("uid"))))
            })
            .await;
        let (listed, states) = (listed.is_ok(), BTreeMap::from_iter(listed.unwrap_or_default()));
        // Without permission to list them each is asked for.
        let state = |name: &String| if listed { states.get(name).cloned() } else { Some(String::new()) };
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in &names {
            match state(name).map(|state| (cache::read(&state), state)) {
                Some((Some(definition), _)) => found.push(definition),
                Some((None, _)) => missing.push(ObjectRef::new(CRD_GROUP, "CustomResourceDefinition", "", name)),
                None => {}
            }
        }
        for (reference, answer) in self.get_all(missing, served, false).await {
            let Ok(Some(value)) = answer else { continue };
            let value = compact_crd(&value);
            // What was read may be newer than what was listed.
            let generation = value.pointer("/metadata/generation").and_then(Value::as_u64).unwrap_or_default();
            let key = format!("definition {} {generation}", crate::object::meta(&value, "uid"));
            if states.get(&reference.name) == Some(&key) {
                cache::write(&key, &value);
            }
            found.push(value);
        }
        found
    }

    /// The documents of wanted kinds that are neither custom nor as the built-in table has them. The index names each by a
    /// hash, and under that it is kept on disk.
    pub(super) async fn documents(&self, desired: &Desired, schemas: &Schemas) -> Vec<Value> {
        let wanted: BTreeSet<String> = desired
            .objects
            .iter()
            .filter(|(r, m)| !schemas.is_custom(&r.group_kind(), &m.object.version))
            .map(|(r, m)| {
                let root = if r.group.is_empty() { "api" } else { "apis" };
                format!("{root}/{}", api_version(&r.group, &m.object.version))
            })
            .collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        let json = "application/json";
        let Ok(index) = self.read("OPENAPI", "/openapi/v3", json).await else { return Vec::new() };
        let mut found = Vec::new();
        for path in &wanted {
            let url = index.get("paths").and_then(|p| p.get(path)?.get("serverRelativeURL")?.as_str());
            let Some((url, hash)) = url.and_then(|url| Some((url, url.split_once("hash=")?.1))) else { continue };
            if is_known_document(path, hash) {
                continue;
            }
            let key = format!("document {path} {hash}");
            let document = match cache::read(&key) {
                Some(document) => Some(document),
                None => self.read("OPENAPI", url, json).await.ok().map(|openapi| {
                    let document = compact_document(&openapi);
                    cache::write(&key, &document);
                    document
                }),
            };
            found.extend(document);
        }
        found
    }
}
