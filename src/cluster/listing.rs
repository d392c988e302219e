//! Reading live state: what planning needs, by as few requests as it can be proven with (design law 5).

use super::{Cluster, Error};
use crate::desired::{Desired, Selector};
use crate::inventory::{Parent, find, ids};
use crate::kinds::{self, GATEWAY, SPIN};
use crate::live::{Coverage, Live, Served, Source};
use crate::object::{GroupKind, ObjectRef, api_version, split_api_version};
use crate::plan::Refused;
use crate::schema::CRD_GROUP;
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Objects in one page of a LIST.
const PAGE: usize = 500;
/// Requests under way at once.
const CONCURRENCY: usize = 8;
/// Up to so many missing objects of a kind are looked up one by one.
const SINGLES: usize = 10;

/// Live state with the inventory that was found.
#[derive(Default)]
pub struct Reading {
    /// Live state.
    pub live: Live,
    /// The inventory of each partition.
    pub parents: Vec<Parent>,
    /// Partitions whose inventory cannot be read, and why.
    pub broken: BTreeMap<String, String>,
}

/// What to list of a kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// All objects.
    Whole,
    /// Those with an inventory label.
    Owned,
    /// Those of SpinApps.
    Apps,
}

impl Cluster {
    /// Reads what planning the desired objects needs.
    ///
    /// # Errors
    /// The API server cannot be used at all. A kind that cannot be read is recorded as unknown instead.
    pub async fn observe(&self, desired: &Desired) -> Result<Reading, Error> {
        let mut reading = Reading::default();
        reading.live.source = Source::Cluster;
        reading.live.time = jiff::Timestamp::now().round(jiff::Unit::Second).map(|t| t.to_string()).unwrap_or_default();
        reading.live.kinds = self.discover().await?;
        reading.live.cluster_uid = self.cluster_uid(&reading.live).await?;
        self.read_parents(desired, &mut reading).await;
        self.read_definitions(desired, &mut reading).await;
        self.list_kinds(desired, &mut reading).await;
        self.look_up_missing(desired, &mut reading).await;
        self.read_in_own_version(desired, &mut reading).await;
        self.look_up_references(desired, &mut reading).await;
        reading.live.learn(desired);
        Ok(reading)
    }

    async fn cluster_uid(&self, live: &Live) -> Result<String, Error> {
        let namespace = ObjectRef::new("", "Namespace", "", "kube-system");
        let Some(served) = live.kinds.get(&namespace.group_kind()) else {
            return Err(Error::Server("it serves no namespaces".to_owned()));
        };
        match self.get_metadata(&namespace, "v1", served).await {
            Ok(found) => Ok(found.as_ref().map(|v| crate::object::meta(v, "uid").to_owned()).unwrap_or_default()),
            Err(refused) => Err(Error::Server(format!(
                "namespace kube-system, which identifies the cluster, cannot be read: {}",
                refused.message.terminal()
            ))),
        }
    }

    async fn read_parents(&self, desired: &Desired, reading: &mut Reading) {
        let Some(config) = &desired.config else { return };
        let kind = GroupKind::new("", "ConfigMap");
        let Some(served) = reading.live.kinds.get(&kind).cloned() else { return };
        let found = self
            .list_in(
                &kind,
                "v1",
                &served,
                Some(&config.inventory.namespace),
                Some(crate::inventory::ID),
                "application/json",
            )
            .await;
        let maps = found.as_ref().map(Vec::as_slice).unwrap_or_default();
        (reading.parents, reading.broken) = find(desired, maps.iter());
        if let Err(refused) = found {
            let reason = format!("the inventories cannot be listed ({} {})", refused.code, refused.reason);
            reading.broken = reading.parents.iter().map(|p| (p.partition.clone(), reason.clone())).collect();
        }
    }

    /// The definitions of the custom kinds that are wanted, for their schemas.
    async fn read_definitions(&self, desired: &Desired, reading: &mut Reading) {
        let definition = GroupKind::new(CRD_GROUP, "CustomResourceDefinition");
        let Some(served) = reading.live.kinds.get(&definition).cloned() else { return };
        let wanted: BTreeSet<GroupKind> = desired.objects.keys().map(ObjectRef::group_kind).collect();
        let names = wanted
            .iter()
            .filter(|kind| {
                kind.group.contains('.') && !kind.group.ends_with(".k8s.io") || kind.group.contains("gateway")
            })
            .filter_map(|kind| {
                let plural = &reading.live.kinds.get(kind)?.plural;
                Some(ObjectRef::new(CRD_GROUP, "CustomResourceDefinition", "", &format!("{plural}.{}", kind.group)))
            });
        let found = self.get_all(names.collect(), &served, false).await;
        for (_, answer) in found {
            if let Ok(Some(value)) = answer {
                reading.live.insert(value);
            }
        }
    }

    async fn get_all(
        &self,
        objects: Vec<ObjectRef>,
        served: &Served,
        metadata: bool,
    ) -> Vec<(ObjectRef, Result<Option<Value>, Refused>)> {
        let version = served.versions.first().cloned().unwrap_or_default();
        let requests = objects.into_iter().map(|object| {
            let version = &version;
            async move {
                let answer = if metadata {
                    self.get_metadata(&object, version, served).await
                } else {
                    self.get(&object, version, served).await
                };
                (object, answer)
            }
        });
        stream::iter(requests).buffer_unordered(CONCURRENCY).collect().await
    }

    async fn list_kinds(&self, desired: &Desired, reading: &mut Reading) {
        let selector = owned_selector(&reading.parents);
        let lists: Vec<(GroupKind, Scope, Served, String)> = scopes(desired, &reading.parents, &reading.live)
            .into_iter()
            .filter_map(|(kind, scope)| {
                let served = reading.live.kinds.get(&kind)?.clone();
                let version = wanted_version(desired, &kind, &served);
                Some((kind, scope, served, version))
            })
            .collect();
        let requests = lists.iter().map(|(kind, scope, served, version)| {
            let selector = match scope {
                Scope::Whole => None,
                Scope::Owned => Some(selector.as_str()),
                Scope::Apps => Some("core.spinkube.dev/app-name"),
            };
            async move { (kind, *scope, self.list(kind, version, served, selector, "application/json").await) }
        });
        let answers: Vec<_> = stream::iter(requests).buffer_unordered(CONCURRENCY).collect().await;
        for (kind, scope, answer) in answers {
            let coverage = match answer {
                Ok(items) => {
                    items.into_iter().for_each(|item| reading.live.insert(item));
                    if scope == Scope::Whole { Coverage::All } else { Coverage::Labelled }
                }
                Err(refused) if scope == Scope::Apps && kind.kind == "Pod" && refused.code == 403 => continue,
                Err(refused) => Coverage::Unknown(format!("{} {}", refused.code, refused.reason)),
            };
            let known = reading.live.coverage.get(kind);
            if !matches!(known, Some(Coverage::All | Coverage::Unknown(_))) {
                reading.live.coverage.insert(kind.clone(), coverage);
            }
        }
    }

    /// All pages of a LIST over all namespaces.
    async fn list(
        &self,
        kind: &GroupKind,
        version: &str,
        served: &Served,
        selector: Option<&str>,
        accept: &str,
    ) -> Result<Vec<Value>, Refused> {
        self.list_in(kind, version, served, None, selector, accept).await
    }

    /// All pages of a LIST.
    async fn list_in(
        &self,
        kind: &GroupKind,
        version: &str,
        served: &Served,
        namespace: Option<&str>,
        selector: Option<&str>,
        accept: &str,
    ) -> Result<Vec<Value>, Refused> {
        let root = if kind.group.is_empty() { "api" } else { "apis" };
        let namespace = namespace.map(|n| format!("/namespaces/{n}")).unwrap_or_default();
        let path = format!("/{root}/{}{namespace}/{}?limit={PAGE}", api_version(&kind.group, version), served.plural);
        let selector = selector.map(|s| format!("&labelSelector={}", encode(s))).unwrap_or_default();
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let next = if token.is_empty() { String::new() } else { format!("&continue={}", encode(&token)) };
            let mut page = self.read("LIST", &format!("{path}{selector}{next}"), accept).await?;
            let rows = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
            items.extend(rows.into_iter().map(|mut row| {
                row["apiVersion"] = json!(api_version(&kind.group, version));
                row["kind"] = json!(kind.kind);
                row
            }));
            token = page.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default().to_owned();
            if token.is_empty() {
                return Ok(items);
            }
        }
    }

    /// Desired objects that a labelled LIST did not show may exist without our label.
    async fn look_up_missing(&self, desired: &Desired, reading: &mut Reading) {
        let mut missing: BTreeMap<GroupKind, Vec<ObjectRef>> = BTreeMap::new();
        for reference in desired.objects.keys() {
            let kind = reference.group_kind();
            let unseen = reading.live.get(reference).is_none()
                && matches!(reading.live.coverage.get(&kind), Some(Coverage::Labelled) | None);
            if unseen {
                missing.entry(kind).or_default().push(reference.clone());
            }
        }
        for (kind, mut objects) in missing {
            let Some(mut served) = reading.live.kinds.get(&kind).cloned() else { continue };
            served.versions = vec![wanted_version(desired, &kind, &served)];
            if objects.len() > SINGLES {
                let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
                if let Ok(rows) = self.list(&kind, &served.versions[0], &served, None, accept).await {
                    let there: BTreeSet<ObjectRef> = rows.iter().filter_map(ObjectRef::of).collect();
                    for object in objects.iter().filter(|o| !there.contains(o)) {
                        reading.live.prove_absent(object.clone());
                    }
                    objects.retain(|o| there.contains(o));
                }
            }
            for (object, answer) in self.get_all(objects, &served, false).await {
                record(&mut reading.live, object, answer);
            }
        }
    }

    /// Objects that are referred to and not wanted: only whether they exist, so only their metadata is read.
    async fn look_up_references(&self, desired: &Desired, reading: &mut Reading) {
        let mut wanted: BTreeMap<GroupKind, BTreeSet<ObjectRef>> = BTreeMap::new();
        let externals: Vec<Selector> = desired.rules().externals;
        for (reference, member) in &desired.objects {
            for found in kinds::references(reference, &member.object.value) {
                let to = found.to;
                let seen = desired.objects.contains_key(&to)
                    || reading.live.get(&to).is_some()
                    || externals.iter().any(|e| e.matches(&to));
                if !seen && !matches!(reading.live.coverage.get(&to.group_kind()), Some(Coverage::All)) {
                    wanted.entry(to.group_kind()).or_default().insert(to);
                }
            }
        }
        for (kind, objects) in wanted {
            let Some(served) = reading.live.kinds.get(&kind).cloned() else { continue };
            let whole = kind.kind == "SpinAppExecutor" || kind.kind == "Deployment";
            for (object, answer) in self.get_all(objects.into_iter().collect(), &served, !whole).await {
                record(&mut reading.live, object, answer);
            }
        }
    }

    /// Reads what the inventories in a namespace own, without any repository.
    ///
    /// # Errors
    /// The API server cannot be used at all, or the inventories cannot be listed.
    pub async fn observe_owned(&self, namespace: &str) -> Result<Reading, Error> {
        let failed = |refused: Refused| {
            Error::Server(format!(
                "the inventories in namespace {namespace} cannot be listed: {}",
                refused.message.terminal()
            ))
        };
        let mut reading = Reading::default();
        reading.live.source = Source::Cluster;
        reading.live.kinds = self.discover().await?;
        let config_map = GroupKind::new("", "ConfigMap");
        let Some(served) = reading.live.kinds.get(&config_map).cloned() else { return Ok(reading) };
        let found = self
            .list(&config_map, "v1", &served, Some(crate::inventory::ID), "application/json")
            .await
            .map_err(failed)?;
        for value in found.iter().filter(|v| crate::object::meta(v, "namespace") == namespace) {
            let name = crate::object::meta(value, "name");
            let parent = Parent {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                id: crate::inventory::id(name, namespace),
                partition: name.to_owned(),
                ..Parent::default()
            };
            match parent.read(value) {
                Ok(parent) => reading.parents.push(parent),
                Err(error) => {
                    reading.broken.insert(name.to_owned(), error.to_string());
                }
            }
        }
        let ids: Vec<&str> = reading.parents.iter().map(|p| p.id.as_str()).collect();
        let selector = format!("{} in ({})", crate::inventory::PART_OF, ids.join(","));
        let kinds: BTreeSet<GroupKind> = reading.parents.iter().flat_map(|p| p.kinds.iter().cloned()).collect();
        let mut lists: Vec<(GroupKind, &str)> = kinds.iter().map(|kind| (kind.clone(), selector.as_str())).collect();
        if kinds.iter().any(|kind| kind.group == SPIN) {
            lists.push((GroupKind::new("apps", "Deployment"), "core.spinkube.dev/app-name"));
            lists.push((GroupKind::new("", "Pod"), "core.spinkube.dev/app-name"));
        }
        for (kind, selector) in lists {
            let Some(served) = reading.live.kinds.get(&kind).cloned() else { continue };
            let version = served.versions.first().cloned().unwrap_or_default();
            let coverage = match self.list(&kind, &version, &served, Some(selector), "application/json").await {
                Ok(items) => {
                    items.into_iter().for_each(|item| reading.live.insert(item));
                    Coverage::Labelled
                }
                Err(refused) => Coverage::Unknown(format!("{} {}", refused.code, refused.reason)),
            };
            reading.live.coverage.insert(kind, coverage);
        }
        Ok(reading)
    }

    /// Reads one object again, with what its health is judged by.
    pub async fn refresh(&self, live: &mut Live, object: &ObjectRef, version: &str) -> Option<Refused> {
        let mut wanted = vec![(object.clone(), version.to_owned())];
        if object.is(SPIN, "SpinApp") {
            wanted.push((ObjectRef::new("apps", "Deployment", object.namespace(), &object.name), "v1".to_owned()));
        }
        for (reference, version) in wanted {
            // A kind that the plan itself defined was not served when live state was read.
            if !live.kinds.contains_key(&reference.group_kind()) {
                live.kinds.extend(self.discover().await.unwrap_or_default());
            }
            let Some(served) = live.kinds.get(&reference.group_kind()).cloned() else { continue };
            match self.get(&reference, &version, &served).await {
                Ok(Some(value)) => live.insert(value),
                Ok(None) => live.prove_absent(reference),
                // Without permission to read its Deployment the app itself is all there is.
                Err(refused) if refused.code == 403 && reference != *object => {}
                Err(refused) => return Some(refused),
            }
        }
        if object.is(SPIN, "SpinApp") {
            self.refresh_pods(live, object).await;
        }
        None
    }

    /// Reads the pods of an app again; those that are gone are forgotten.
    async fn refresh_pods(&self, live: &mut Live, app: &ObjectRef) {
        let kind = GroupKind::new("", "Pod");
        let Some(served) = live.kinds.get(&kind).cloned() else { return };
        let selector = format!("core.spinkube.dev/app-name={}", app.name);
        let found =
            self.list_in(&kind, "v1", &served, app.namespace.as_deref(), Some(&selector), "application/json").await;
        let old = live.objects().iter().filter(|(r, value)| {
            r.is("", "Pod")
                && r.namespace == app.namespace
                && crate::object::label(value, "core.spinkube.dev/app-name") == Some(&app.name)
        });
        let old: Vec<ObjectRef> = old.map(|(r, _)| r.clone()).collect();
        old.iter().for_each(|pod| live.remove(pod));
        found.unwrap_or_default().into_iter().for_each(|pod| live.insert(pod));
    }

    /// Objects that the repository writes in another version than their kind was listed in.
    async fn read_in_own_version(&self, desired: &Desired, reading: &mut Reading) {
        for (reference, member) in &desired.objects {
            let version = &member.object.version;
            let Some(served) = reading.live.kinds.get(&reference.group_kind()).cloned() else { continue };
            let listed = reading.live.get(reference).and_then(|v| v.get("apiVersion")).and_then(Value::as_str);
            let other = listed.is_some_and(|listed| split_api_version(listed).1 != version);
            if other && served.versions.contains(version) {
                let answer = self.get(reference, version, &served).await;
                record(&mut reading.live, reference.clone(), answer);
            }
        }
    }
}

fn record(live: &mut Live, object: ObjectRef, answer: Result<Option<Value>, Refused>) {
    match answer {
        Ok(Some(value)) => live.insert(value),
        Ok(None) => live.prove_absent(object),
        Err(refused) => live.unreadable(object, format!("{} {}", refused.code, refused.reason)),
    }
}

/// The version in which the repository writes a kind, else the preferred one.
fn wanted_version(desired: &Desired, kind: &GroupKind, served: &Served) -> String {
    let written = desired
        .objects
        .iter()
        .find(|(r, _)| r.group == kind.group && r.kind == kind.kind)
        .map(|(_, m)| m.object.version.clone());
    let written = written.filter(|version| served.versions.contains(version));
    written.or_else(|| served.versions.first().cloned()).unwrap_or_default()
}

fn owned_selector(parents: &[Parent]) -> String {
    let ids: Vec<String> = ids(parents).into_iter().map(|(id, _)| id).collect();
    format!("{} in ({})", crate::inventory::PART_OF, ids.join(","))
}

/// The kinds to list: those that are wanted or may be owned, and what routes and apps are judged by.
fn scopes(desired: &Desired, parents: &[Parent], live: &Live) -> BTreeSet<(GroupKind, Scope)> {
    let wanted: BTreeSet<GroupKind> = desired.objects.keys().map(ObjectRef::group_kind).collect();
    let owned = parents.iter().flat_map(|p| p.kinds.iter().cloned());
    let routes = wanted.iter().any(|kind| kind.group == GATEWAY);
    let mut scopes = BTreeSet::new();
    for kind in wanted.iter().cloned().chain(owned) {
        let whole = kind.group == GATEWAY
            || kind.group == SPIN
            || kind.kind == "Namespace" && kind.group.is_empty()
            || kind.kind == "Service" && routes;
        match (whole, parents.is_empty()) {
            (true, _) => scopes.insert((kind, Scope::Whole)),
            (false, false) => scopes.insert((kind, Scope::Owned)),
            // Without inventory there is no label: each object is looked up.
            (false, true) => false,
        };
    }
    scopes.insert((GroupKind::new("", "Namespace"), Scope::Whole));
    if routes {
        scopes.extend(live.kinds.keys().filter(|kind| kind.group == GATEWAY).map(|kind| (kind.clone(), Scope::Whole)));
        scopes.insert((GroupKind::new("", "Service"), Scope::Whole));
    }
    if wanted.iter().any(|kind| kind.group == SPIN) {
        scopes.insert((GroupKind::new("apps", "Deployment"), Scope::Apps));
        scopes.insert((GroupKind::new("", "Pod"), Scope::Apps));
    }
    scopes
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
