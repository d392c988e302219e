//! The kinds that an API server serves, by aggregated discovery (two requests).

use super::{Cluster, Error};
use crate::live::Served;
use crate::object::GroupKind;
use serde_json::Value;
use std::collections::BTreeMap;

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

impl Cluster {
    /// The kinds that are served, with all their versions.
    ///
    /// # Errors
    /// The API server cannot be reached, or does not aggregate its discovery (before Kubernetes 1.26).
    pub async fn discover(&self) -> Result<BTreeMap<GroupKind, Served>, Error> {
        let mut kinds = BTreeMap::new();
        for path in ["/api", "/apis"] {
            let answer = self
                .read("DISCOVER", path, ACCEPT)
                .await
                .map_err(|r| Error::Server(format!("{} {}", r.code, r.message.terminal())))?;
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
