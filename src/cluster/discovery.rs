//! What an API server knows of types: the kinds that it serves, by aggregated discovery (two requests), and which versions of
//! definitions and OpenAPI documents it has (one request each). Nothing here depends on a repository.

use super::list::List;
use super::{Cluster, Error};
use crate::live::Served;
use crate::object::GroupKind;
use crate::schema::CRD_GROUP;
use serde_json::Value;
use serde_json_borrow::Value as Listed;
use std::collections::BTreeMap;

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// What an API server knows of types.
pub struct Types {
    /// The kinds that are served, with all their versions.
    pub kinds: BTreeMap<GroupKind, Served>,
    /// The definitions by name, each with a text that changes when it does; none without permission to list them.
    pub(super) definitions: Option<BTreeMap<String, String>>,
    /// The URLs of OpenAPI documents by their paths; each carries a hash.
    pub(super) documents: BTreeMap<String, String>,
}

impl Cluster {
    /// Asks for everything about types at once.
    ///
    /// # Errors
    /// As [`Cluster::discover`].
    pub async fn types(&self) -> Result<Types, Error> {
        let (kinds, definitions, documents) =
            tokio::join!(self.discover(), self.definition_states(), self.document_index());
        Ok(Types { kinds: kinds?, definitions, documents })
    }

    /// The kinds that are served, with all their versions.
    ///
    /// # Errors
    /// The API server cannot be reached, or does not aggregate its discovery (before Kubernetes 1.26).
    pub async fn discover(&self) -> Result<BTreeMap<GroupKind, Served>, Error> {
        let (core, groups) =
            tokio::join!(self.read("DISCOVER", "/api", ACCEPT), self.read("DISCOVER", "/apis", ACCEPT));
        let mut kinds = BTreeMap::new();
        for answer in [core, groups] {
            let answer = answer.map_err(|r| Error::Server(format!("{} {}", r.code, r.message.terminal())))?;
            let Some(groups) = answer.get("items").and_then(Value::as_array) else {
                return Err(Error::Server(
                    "it does not aggregate its discovery; Kubernetes 1.26 or later is needed".to_owned(),
                ));
            };
            for group in groups {
                add_group(group, &mut kinds);
            }
        }
        Ok(kinds)
    }

    async fn definition_states(&self) -> Option<BTreeMap<String, String>> {
        let definition = GroupKind::new(CRD_GROUP, "CustomResourceDefinition");
        let served = Served {
            versions: vec!["v1".to_owned()],
            plural: "customresourcedefinitions".to_owned(),
            namespaced: false,
        };
        let state = |item: &Listed<'_>| {
            let metadata = item.as_object()?.get("metadata")?.as_object()?;
            let text = |field: &str| metadata.get(field).and_then(Listed::as_str).unwrap_or_default();
            let generation = metadata.get("generation").and_then(Listed::as_u64).unwrap_or_default();
            Some((text("name").to_owned(), definition_state(text("uid"), generation)))
        };
        let listed = self.pages(&List::of(&definition, "v1", &served).metadata(), &state).await;
        listed.ok().map(BTreeMap::from_iter)
    }

    async fn document_index(&self) -> BTreeMap<String, String> {
        let index = self.read("OPENAPI", "/openapi/v3", "application/json").await.unwrap_or_default();
        let rows = index.get("paths").and_then(Value::as_object);
        let url = |row: &Value| Some(row.get("serverRelativeURL")?.as_str()?.to_owned());
        rows.into_iter().flatten().filter_map(|(path, row)| Some((path.clone(), url(row)?))).collect()
    }
}

/// A text that changes when a definition does.
pub(super) fn definition_state(uid: &str, generation: u64) -> String {
    format!("definition {uid} {generation}")
}

fn add_group(group: &Value, kinds: &mut BTreeMap<GroupKind, Served>) {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text(group, "/metadata/name");
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    for version in list(group, "versions") {
        for resource in list(&version, "resources") {
            let verbs = list(&resource, "verbs");
            // What cannot be listed (reviews, say) is no object.
            if !verbs.iter().any(|verb| verb == "list") {
                continue;
            }
            let kind = GroupKind::new(&name, &text(&resource, "/responseKind/kind"));
            let served = kinds.entry(kind).or_insert_with(|| Served {
                versions: Vec::new(),
                plural: text(&resource, "/resource"),
                namespaced: text(&resource, "/scope") == "Namespaced",
            });
            served.versions.push(text(&version, "/version"));
        }
    }
}
