//! Reading live state: what planning needs, by as few requests as it can be proven with (design law 5).

use super::discovery::Types;
use super::list::List;
use super::{Cluster, Error};
use crate::api::Refused;
use crate::desired::Desired;
use crate::inventory::{Parent, find, ids};
use crate::kinds::{GATEWAY, SPIN};
use crate::live::{Coverage, Live, Served, Source, Stored};
use crate::object::{GroupKind, ObjectRef};
use crate::plan::Screen;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;

/// The label by which the Spin operator marks what it makes.
pub(super) const APP_NAME: &str = "core.spinkube.dev/app-name";

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

/// The ConfigMaps of inventories, or why they cannot be read.
pub type Inventories = Result<Vec<Value>, Refused>;

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
    /// Reads what planning the desired objects needs, but what they refer to ([`Cluster::look_up_references`]), of the
    /// types that [`Cluster::types`] gave. With `everything` each
    /// object is kept as it is, for a snapshot.
    ///
    /// # Errors
    /// The API server cannot be used at all. A kind that cannot be read is recorded as unknown instead.
    pub async fn observe(
        &self,
        desired: &Arc<Desired>,
        types: Types,
        maps: Inventories,
        everything: bool,
    ) -> Result<Reading, Error> {
        let mut reading = Reading::default();
        reading.live.source = Source::Cluster;
        reading.live.time = now();
        reading.live.kinds = types.kinds;
        let definitions = self.definitions(desired, &reading.live, types.definitions.as_ref()).await;
        definitions.iter().for_each(|definition| reading.live.define(definition, desired));
        let documents = self.documents(desired, &reading.live.schemas, &types.documents).await;
        documents.into_iter().for_each(|document| reading.live.schemas.publish(document));
        read_parents(desired, maps, &mut reading);
        self.list_kinds(desired, &mut reading, everything).await;
        reading.live.cluster_uid = self.cluster_uid(&reading.live).await?;
        self.look_up_missing(desired, &mut reading).await;
        self.read_in_own_version(desired, &mut reading).await;
        self.look_up_pods(desired, &mut reading).await;
        reading.live.learn(desired);
        Ok(reading)
    }

    /// The uid of namespace `kube-system`: from the namespaces that were listed, else it is asked for.
    async fn cluster_uid(&self, live: &Live) -> Result<String, Error> {
        let namespace = ObjectRef::new("", "Namespace", "", "kube-system");
        if let Some(uid) = live.uid(&namespace) {
            return Ok(uid.to_owned());
        }
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

    /// The ConfigMaps of all inventories in a namespace; none without one.
    pub async fn inventories(&self, namespace: Option<&str>, kinds: &BTreeMap<GroupKind, Served>) -> Inventories {
        let kind = GroupKind::new("", "ConfigMap");
        let (Some(namespace), Some(served)) = (namespace, kinds.get(&kind)) else { return Ok(Vec::new()) };
        let list = List::of(&kind, "v1", served).within(Some(namespace));
        self.list_whole(&list.labelled(crate::inventory::ID)).await
    }

    async fn list_kinds(&self, desired: &Arc<Desired>, reading: &mut Reading, everything: bool) {
        let screen = Arc::new(Screen::new(desired, &reading.parents, &reading.live.schemas, everything));
        let selector = owned_selector(&reading.parents);
        let mut lists = JoinSet::new();
        let mut left: BTreeMap<GroupKind, usize> = BTreeMap::new();
        let scopes = scopes(desired, &reading.parents, &reading.live);
        let apps = scopes.iter().any(|(_, scope)| *scope == Scope::Apps);
        for (kind, scope) in scopes {
            let Some(served) = reading.live.kinds.get(&kind) else { continue };
            let list = List::of(&kind, &wanted_version(desired, &kind, served), served);
            let list = match scope {
                Scope::Whole => list,
                Scope::Owned => list.labelled(&selector),
                Scope::Apps => list.labelled(APP_NAME),
            };
            let within: Vec<List> = match self.sparing && is_secret(&kind) {
                true => {
                    secret_namespaces(desired, &reading.parents).iter().map(|n| list.clone().within(Some(n))).collect()
                }
                false => vec![list],
            };
            // A list whose task ends early leaves its kind unknown.
            *left.entry(kind).or_insert(0) += within.len();
            for list in within {
                let (cluster, screen) = (self.clone(), Arc::clone(&screen));
                lists.spawn(async move { (scope, cluster.list_screened(&list, &screen).await, list) });
            }
        }
        let mut sick = false;
        while let Some(answer) = lists.join_next().await {
            let Ok((scope, answer, list)) = answer else { continue };
            let coverage = match answer {
                Ok(kept) => {
                    sick |= scope == Scope::Apps && kept.iter().any(|(_, stored)| is_short(stored.value()));
                    reading.live.keep_all(kept);
                    if scope == Scope::Whole { Coverage::All } else { Coverage::Labelled }
                }
                Err(refused) => Coverage::Unknown(format!("{} {}", refused.code, refused.reason)),
            };
            left.entry(list.kind.clone()).and_modify(|n| *n -= 1);
            let known = reading.live.coverage.get(&list.kind);
            if !matches!(known, Some(Coverage::All | Coverage::Unknown(_))) {
                reading.live.coverage.insert(list.kind, coverage);
            }
        }
        for (kind, _) in left.into_iter().filter(|(_, left)| *left > 0) {
            let reason = "it was not listed to the end".to_owned();
            reading.live.coverage.insert(kind, Coverage::Unknown(reason));
        }
        if sick || everything && apps {
            self.list_pods(reading, &screen).await;
        }
    }

    /// The pods of SpinApps say why a Deployment has too few of them; without permission that stays unknown.
    async fn list_pods(&self, reading: &mut Reading, screen: &Screen) {
        let kind = GroupKind::new("", "Pod");
        let Some(served) = reading.live.kinds.get(&kind) else { return };
        let list = List::of(&kind, "v1", served).labelled(APP_NAME);
        if let Ok(kept) = self.list_screened(&list, screen).await {
            reading.live.keep_all(kept);
            reading.live.coverage.entry(kind).or_insert(Coverage::Labelled);
        }
    }

    /// All pages of a LIST, each object as the screen keeps it.
    async fn list_screened(&self, list: &List, screen: &Screen) -> Result<Vec<(ObjectRef, Stored)>, Refused> {
        let listing = screen.listing(&list.kind, &list.api_version);
        self.pages(list, &|item| screen.keep(&listing, item)).await
    }

    /// Reads what inventories own, without any repository: those that `ours` finds among the ConfigMaps of a namespace.
    ///
    /// # Errors
    /// The API server cannot be used at all, or the inventories cannot be listed.
    pub async fn observe_owned(
        &self,
        namespace: &str,
        ours: impl FnOnce(&[Value]) -> Vec<Parent>,
    ) -> Result<Reading, Error> {
        let failed = |refused: Refused| {
            Error::Server(format!(
                "the inventories in namespace {namespace} cannot be listed: {}",
                refused.message.terminal()
            ))
        };
        let mut reading = Reading::default();
        reading.live.source = Source::Cluster;
        reading.live.time = now();
        reading.live.kinds = self.discover().await?;
        let found = self.inventories(Some(namespace), &reading.live.kinds).await.map_err(failed)?;
        reading.parents = ours(&found);
        for (kind, list) in owned_lists(&reading, self.sparing) {
            let coverage = match self.list_whole(&list).await {
                Ok(items) => {
                    items.into_iter().for_each(|item| reading.live.insert(item));
                    Coverage::Labelled
                }
                Err(refused) => Coverage::Unknown(format!("{} {}", refused.code, refused.reason)),
            };
            let known = reading.live.coverage.entry(kind).or_insert(Coverage::Labelled);
            if !matches!(known, Coverage::Unknown(_)) {
                *known = coverage;
            }
        }
        Ok(reading)
    }
}

/// The time in whole seconds, RFC 3339.
fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map(|time| time.to_string()).unwrap_or_default()
}

/// The lists that show what inventories own; Secrets, where they are to be spared, in the namespaces alone that had them at
/// the last apply.
fn owned_lists(reading: &Reading, sparing: bool) -> Vec<(GroupKind, List)> {
    let ids: Vec<&str> = reading.parents.iter().map(|p| p.id.as_str()).collect();
    let selector = format!("{} in ({})", crate::inventory::PART_OF, ids.join(","));
    let kinds: BTreeSet<GroupKind> = reading.parents.iter().flat_map(|p| p.kinds.iter().cloned()).collect();
    let mut lists: Vec<(GroupKind, &str)> = kinds.iter().map(|kind| (kind.clone(), selector.as_str())).collect();
    if kinds.iter().any(|kind| kind.group == SPIN) {
        lists.push((GroupKind::new("apps", "Deployment"), APP_NAME));
        lists.push((GroupKind::new("", "Pod"), APP_NAME));
    }
    let mut made = Vec::new();
    for (kind, selector) in lists {
        let Some(served) = reading.live.kinds.get(&kind) else { continue };
        let list = List::of(&kind, served.versions.first().map_or("", String::as_str), served).labelled(selector);
        if sparing && is_secret(&kind) {
            let namespaces = secret_namespaces(&Desired::default(), &reading.parents);
            made.extend(namespaces.iter().map(|namespace| (kind.clone(), list.clone().within(Some(namespace)))));
        } else {
            made.push((kind, list));
        }
    }
    made
}

fn read_parents(desired: &Desired, maps: Result<Vec<Value>, Refused>, reading: &mut Reading) {
    if desired.config.is_none() {
        return;
    }
    (reading.parents, reading.broken) = find(desired, maps.as_ref().map(Vec::as_slice).unwrap_or_default().iter());
    if let Err(refused) = maps {
        let reason = format!("the inventories cannot be listed ({} {})", refused.code, refused.reason);
        reading.broken = reading.parents.iter().map(|p| (p.partition.clone(), reason.clone())).collect();
    }
}

pub(super) fn is_secret(kind: &GroupKind) -> bool {
    kind.group.is_empty() && kind.kind == "Secret"
}

/// The namespaces in which the repository declares Secrets, or did at the last apply.
pub(super) fn secret_namespaces(desired: &Desired, parents: &[Parent]) -> BTreeSet<String> {
    let now = desired.objects.keys().cloned();
    let then = parents.iter().flat_map(|parent| parent.state.references());
    now.chain(then).filter(|r| is_secret(&r.group_kind())).filter_map(|r| r.namespace).collect()
}

/// Whether a workload has fewer available pods of its current template than it wants.
pub(super) fn is_short(workload: &Value) -> bool {
    let count = |pointer: &str| workload.pointer(pointer).and_then(Value::as_u64);
    let status = |field: &str| count(&format!("/status/{field}")).unwrap_or(0);
    match workload.get("kind").and_then(Value::as_str) {
        Some("Job") => status("active") > status("ready"),
        Some("DaemonSet") => {
            let wanted = status("desiredNumberScheduled");
            status("updatedNumberScheduled") < wanted || status("numberAvailable") < wanted
        }
        _ => {
            let wanted = count("/spec/replicas").unwrap_or(1);
            status("availableReplicas") < wanted
                || status("updatedReplicas") < wanted
                // During a rollout pods of the old template are counted too.
                || status("replicas") > status("updatedReplicas")
                || status("unavailableReplicas") > 0
        }
    }
}

/// The version in which the repository writes a kind, else the preferred one.
pub(super) fn wanted_version(desired: &Desired, kind: &GroupKind, served: &Served) -> String {
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
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rollout_that_is_stuck_beside_healthy_pods_is_short() {
        let deployment = |status: Value| json!({"spec": {"replicas": 1}, "status": status});
        let healthy = json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
        assert!(!is_short(&deployment(healthy)));
        for status in [
            json!({}),
            json!({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1, "unavailableReplicas": 1}),
            json!({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}),
            json!({"replicas": 1, "updatedReplicas": 0, "availableReplicas": 1}),
        ] {
            assert!(is_short(&deployment(status.clone())), "{status}");
        }
    }
}
