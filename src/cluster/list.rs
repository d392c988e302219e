//! LIST requests: their paths, and what is kept of all their pages.

use super::{Cluster, get, not_json};
use crate::api::Refused;
use crate::live::{Served, Stored};
use crate::object::{GroupKind, ObjectRef, api_version};
use serde_json::Value;
use serde_json_borrow::Value as Listed;
use std::collections::BTreeSet;

/// Objects in one page of a LIST (ADR 0006: pages after the first cost the API server five times as much).
const PAGE: usize = 10_000;
/// How often a list is begun whose pages expire.
const LIST_ATTEMPTS: usize = 3;
/// A LIST of one kind.
#[derive(Clone)]
pub(super) struct List {
    pub(super) kind: GroupKind,
    pub(super) api_version: String,
    path: String,
    namespace: Option<String>,
    selector: Option<String>,
    name: Option<String>,
    accept: &'static str,
}

impl List {
    /// All objects of a kind in a version.
    pub(super) fn of(kind: &GroupKind, version: &str, served: &Served) -> Self {
        Self {
            kind: kind.clone(),
            api_version: api_version(&kind.group, version),
            path: served.plural.clone(),
            namespace: None,
            selector: None,
            name: None,
            accept: "application/json",
        }
    }

    /// Only those of a namespace.
    #[must_use]
    pub(super) fn within(self, namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), ..self }
    }

    /// Only those that a label selector selects.
    #[must_use]
    pub(super) fn labelled(self, selector: &str) -> Self {
        Self { selector: Some(selector.to_owned()), ..self }
    }

    /// Only the one of that name.
    #[must_use]
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Only their metadata.
    #[must_use]
    pub(super) fn metadata(self) -> Self {
        Self { accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", ..self }
    }

    /// The path by which what there is comes first, and then what becomes of it.
    pub(super) fn stream_url(&self, seconds: u64) -> String {
        let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        format!("{}&watch=true&allowWatchBookmarks=true&{initial}&timeoutSeconds={seconds}", self.url(""))
    }

    pub(super) fn url(&self, token: &str) -> String {
        let root = if self.kind.group.is_empty() { "api" } else { "apis" };
        let namespace = self.namespace.as_ref().map(|n| format!("/namespaces/{n}")).unwrap_or_default();
        let selector = self.selector.as_ref().map(|s| format!("&labelSelector={}", encode(s))).unwrap_or_default();
        let one = self.name.as_ref().map(|n| format!("&fieldSelector={}", encode(&format!("metadata.name={n}"))));
        let selector = selector + &one.unwrap_or_default();
        let next = if token.is_empty() { String::new() } else { format!("&continue={}", encode(token)) };
        format!("/{root}/{}{namespace}/{}?limit={PAGE}{selector}{next}", self.api_version, self.path)
    }
}

impl Cluster {
    /// All pages of a LIST, whole.
    pub(super) async fn list_whole(&self, list: &List) -> Result<Vec<Value>, Refused> {
        self.pages(list, &|item| Some(Stored::whole(item, &list.api_version, &list.kind.kind).into_value())).await
    }

    /// Which objects of a kind there are.
    pub(super) async fn list_identities(
        &self,
        kind: &GroupKind,
        served: &Served,
    ) -> Result<BTreeSet<ObjectRef>, Refused> {
        let version = served.versions.first().map(String::as_str).unwrap_or_default();
        let identity = |item: &Listed<'_>| {
            let metadata = item.as_object().and_then(|item| item.get("metadata")?.as_object());
            let text = |field: &str| metadata.and_then(|m| m.get(field)?.as_str()).unwrap_or_default();
            Some(ObjectRef::new(&kind.group, &kind.kind, text("namespace"), text("name")))
        };
        let there = self.pages(&List::of(kind, version, served).metadata(), &identity).await?;
        Ok(there.into_iter().collect())
    }

    /// What is kept of the objects of all pages. A list that expires on the way is begun again: half of it proves nothing.
    pub(super) async fn pages<T: Send>(
        &self,
        list: &List,
        keep: &(dyn Fn(&Listed<'_>) -> Option<T> + Sync),
    ) -> Result<Vec<T>, Refused> {
        let (mut kept, mut token, mut begun) = (Vec::new(), String::new(), 1);
        loop {
            let request = get(&list.url(&token), list.accept)?;
            let next = match self.page(request, &mut |item| kept.extend(keep(item))).await {
                Err(refused) if refused.code == 410 && begun < LIST_ATTEMPTS => {
                    begun += 1;
                    kept.clear();
                    token.clear();
                    continue;
                }
                answer => answer?,
            };
            if next == token && !next.is_empty() {
                return Err(not_json(200));
            }
            token = next;
            if token.is_empty() {
                return Ok(kept);
            }
        }
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
