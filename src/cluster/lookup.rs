//! Looking up single objects: those that no LIST would show, and those that are becoming healthy.

use super::list::List;
use super::listing::{Reading, is_secret, is_short, wanted_version};
use super::{CONCURRENCY, Cluster};
use crate::api::Refused;
use crate::desired::{Desired, Selector};
use crate::graph::Graph;
use crate::kinds::SPIN;
use crate::live::{Coverage, Live, Served};
use crate::object::{GroupKind, ObjectRef, api_version, label};
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many missing objects of a kind are looked up one by one.
const SINGLES: usize = 10;

impl Cluster {
    pub(super) async fn get_all(
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

    /// Desired objects that a labelled LIST did not show may exist without our label.
    pub(super) async fn look_up_missing(&self, desired: &Desired, reading: &mut Reading) {
        let mut missing: BTreeMap<GroupKind, Vec<ObjectRef>> = BTreeMap::new();
        let unseen = reading.live.beside(&desired.objects).filter(|(_, _, stored)| stored.is_none());
        for (reference, _, _) in unseen {
            let kind = reference.group_kind();
            if matches!(reading.live.coverage.get(&kind), Some(Coverage::Labelled) | None) {
                missing.entry(kind).or_default().push(reference.clone());
            }
        }
        for (kind, mut objects) in missing {
            let Some(mut served) = reading.live.kinds.get(&kind).cloned() else { continue };
            served.versions = vec![wanted_version(desired, &kind, &served)];
            let many = objects.len() > SINGLES && !(self.sparing && is_secret(&kind));
            let there = if many { self.list_identities(&kind, &served).await.ok() } else { None };
            if let Some(there) = there {
                for object in objects.iter().filter(|o| !there.contains(o)) {
                    reading.live.prove_absent(object.clone());
                }
                objects.retain(|o| there.contains(o));
            }
            for (object, answer) in self.get_all(objects, &served, false).await {
                record(&mut reading.live, object, answer);
            }
        }
    }

    /// Objects that are referred to and not wanted: only whether they exist, so only their metadata is read.
    pub async fn look_up_references(&self, desired: &Desired, graph: &Graph, reading: &mut Reading) {
        let mut wanted: BTreeMap<GroupKind, BTreeSet<ObjectRef>> = BTreeMap::new();
        let externals: &[Selector] = &desired.rules().externals;
        for to in graph.outside() {
            let seen = reading.live.has(to) || externals.iter().any(|e| e.matches(to));
            if !seen && !matches!(reading.live.coverage.get(&to.group_kind()), Some(Coverage::All)) {
                wanted.entry(to.group_kind()).or_default().insert(to.clone());
            }
        }
        for (kind, objects) in wanted.into_iter().filter(|(kind, _)| !(self.sparing && is_secret(kind))) {
            let Some(served) = reading.live.kinds.get(&kind).cloned() else { continue };
            let whole = kind.kind == "SpinAppExecutor" || kind.kind == "Deployment";
            let many = !whole && objects.len() > SINGLES;
            let there = if many { self.list_identities(&kind, &served).await.ok() } else { None };
            if let Some(there) = there {
                for object in objects {
                    // Only whether it exists matters.
                    let found = there.contains(&object).then(|| identity(&object));
                    record(&mut reading.live, object, Ok(found));
                }
                continue;
            }
            for (object, answer) in self.get_all(objects.into_iter().collect(), &served, !whole).await {
                record(&mut reading.live, object, answer);
            }
        }
    }

    /// Reads one object again, with what its health is judged by.
    pub async fn refresh(&self, live: &mut Live, object: &ObjectRef, version: &str) -> Option<Refused> {
        match self.look(live, object, version).await {
            Ok(look) => look.show(live),
            Err(refused) => return Some(refused),
        }
        None
    }

    /// Reads all objects of a kind again, in one namespace or everywhere; those that are gone are proven absent.
    ///
    /// # Errors
    /// The API server refuses; then nothing is known of the kind any more.
    pub async fn read_again(&self, live: &mut Live, kind: &GroupKind, namespace: Option<&str>) -> Result<(), Refused> {
        let Some(served) = live.kinds.get(kind).cloned() else { return Ok(()) };
        // A kind of which objects are known is read in the version that they are known in.
        let known = live.of_kind(&kind.group, &kind.kind, None).next().and_then(|(_, value)| {
            Some(crate::object::split_api_version(value.get("apiVersion")?.as_str()?).1.to_owned())
        });
        let version = known.or_else(|| served.versions.first().cloned()).unwrap_or_default();
        let list = List::of(kind, &version, &served).within(namespace);
        let found = match self.list_whole(&list).await {
            Ok(found) => found,
            Err(refused) => {
                let reason = format!("{} {}", refused.code, refused.reason);
                live.coverage.insert(kind.clone(), Coverage::Unknown(reason));
                return Err(refused);
            }
        };
        let old: Vec<ObjectRef> =
            live.of_kind(&kind.group, &kind.kind, namespace).map(|(reference, _)| reference.clone()).collect();
        old.iter().for_each(|reference| live.remove(reference));
        found.into_iter().for_each(|value| live.insert(value));
        if !matches!(live.coverage.get(kind), Some(Coverage::All)) && namespace.is_none() {
            live.coverage.insert(kind.clone(), Coverage::All);
        }
        live.coverage.entry(kind.clone()).or_insert(Coverage::Labelled);
        Ok(())
    }

    /// Looks at one object again, with what its health is judged by.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn look(&self, live: &Live, object: &ObjectRef, version: &str) -> Result<Look, Refused> {
        let mut look = Look::default();
        if let Some(served) = live.kinds.get(&object.group_kind()) {
            look.found.push((object.clone(), self.get(object, version, served).await?));
        }
        if object.is(SPIN, "SpinApp") {
            let deployment = ObjectRef::new("apps", "Deployment", object.namespace(), &object.name);
            let Some(served) = live.kinds.get(&deployment.group_kind()) else { return Ok(look) };
            match self.get(&deployment, "v1", served).await {
                // Without permission to read its Deployment the app itself is all there is.
                Err(refused) if refused.code == 403 => return Ok(look),
                answer => look.found.push((deployment, answer?)),
            }
        }
        // The last one is the workload, if there is any.
        if let Some((reference, Some(workload))) = look.found.last() {
            look.pods = self.pods_of(live, reference, workload).await;
        }
        Ok(look)
    }

    /// The pods of a workload that is short of them, which say why; of one that is not, none: what was seen of them is over.
    async fn pods_of(&self, live: &Live, reference: &ObjectRef, workload: &Value) -> Option<PodsOf> {
        let mut pods = PodsOf::none(reference, workload)?;
        let kind = GroupKind::new("", "Pod");
        if let Some(served) = live.kinds.get(&kind).filter(|_| is_short(workload)) {
            let list = List::of(&kind, "v1", served).within(pods.namespace.as_deref()).labelled(&pods.labels());
            pods.found = self.list_whole(&list).await.unwrap_or_default();
        }
        Some(pods)
    }

    /// The pods of wanted workloads that are short of them; of SpinApps they are listed anyway.
    pub(super) async fn look_up_pods(&self, desired: &Desired, reading: &mut Reading) {
        let live = &reading.live;
        let short = desired.objects.keys().filter(|reference| matches!(reference.group.as_str(), "apps" | "batch"));
        let short = short.filter_map(|reference| Some((reference, live.get(reference).filter(|w| is_short(w))?)));
        let looks = short.take(SINGLES).map(|(reference, workload)| self.pods_of(live, reference, workload));
        let found: Vec<Option<PodsOf>> = stream::iter(looks).buffer_unordered(CONCURRENCY).collect().await;
        for pods in found.into_iter().flatten() {
            Look { found: Vec::new(), pods: Some(pods) }.show(&mut reading.live);
        }
    }

    /// Objects that the repository writes in another version than their kind was listed in.
    pub(super) async fn read_in_own_version(&self, desired: &Desired, reading: &mut Reading) {
        let mut listed: BTreeMap<GroupKind, String> = BTreeMap::new();
        for (reference, member) in &desired.objects {
            let version = &member.object.version;
            let Some(served) = reading.live.kinds.get(&reference.group_kind()).cloned() else { continue };
            let listed =
                listed.entry(reference.group_kind()).or_insert_with_key(|kind| wanted_version(desired, kind, &served));
            if version != listed && reading.live.has(reference) && served.versions.contains(version) {
                let answer = self.get(reference, version, &served).await;
                record(&mut reading.live, reference.clone(), answer);
            }
        }
    }
}

/// What was seen when an object was looked at again.
#[derive(Default)]
pub struct Look {
    found: Vec<(ObjectRef, Option<Value>)>,
    pods: Option<PodsOf>,
}

/// All pods of a workload.
pub(super) struct PodsOf {
    namespace: Option<String>,
    selector: Vec<(String, String)>,
    found: Vec<Value>,
}

/// The labels by which a workload finds its pods; none for anything else.
fn pod_selector(reference: &ObjectRef, workload: &Value) -> Option<Vec<(String, String)>> {
    if !matches!(reference.group.as_str(), "apps" | "batch") {
        return None;
    }
    let labels = workload.pointer("/spec/selector/matchLabels")?.as_object()?;
    let labels = labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Some(labels.collect::<Vec<_>>()).filter(|labels| !labels.is_empty())
}

impl PodsOf {
    /// None so far; nothing when it is no workload.
    pub(super) fn none(reference: &ObjectRef, workload: &Value) -> Option<Self> {
        let selector = pod_selector(reference, workload)?;
        Some(Self { namespace: reference.namespace.clone(), selector, found: Vec::new() })
    }

    /// The label selector that finds them.
    pub(super) fn labels(&self) -> String {
        let labels: Vec<String> = self.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.join(",")
    }

    /// Takes those of the workload out of pods of its namespace.
    pub(super) fn of(mut self, pods: &[Value]) -> Self {
        self.found = pods.iter().filter(|pod| self.has(pod)).cloned().collect();
        self
    }

    fn has(&self, pod: &Value) -> bool {
        self.selector.iter().all(|(key, wanted)| label(pod, key) == Some(wanted))
    }
}

impl Look {
    /// An object was seen, or that it is not there.
    pub(super) fn saw(&mut self, object: ObjectRef, value: Option<Value>) {
        self.found.push((object, value));
    }

    /// Whether it says anything of an object.
    pub(super) fn holds(&self, object: &ObjectRef) -> bool {
        self.found.iter().any(|(found, _)| found == object)
    }

    /// How an object is after this look.
    pub(super) fn latest<'a>(&'a self, live: &'a Live, object: &ObjectRef) -> Option<&'a Value> {
        let seen = self.found.iter().find(|(found, _)| found == object);
        seen.map_or_else(|| live.get(object), |(_, value)| value.as_ref())
    }

    /// These are all pods of the workload that it is about.
    pub(super) fn has_pods(&mut self, pods: PodsOf) {
        self.pods = Some(pods);
    }

    /// Brings live state up to date; pods that are gone are forgotten.
    pub fn show(self, live: &mut Live) {
        for (reference, value) in self.found {
            match value {
                Some(value) => live.insert(value),
                None => live.prove_absent(reference),
            }
        }
        let Some(pods) = self.pods else { return };
        let old = live.of_kind("", "Pod", pods.namespace.as_deref()).filter(|(_, pod)| pods.has(pod));
        let old: Vec<ObjectRef> = old.map(|(r, _)| r.clone()).collect();
        old.iter().for_each(|pod| live.remove(pod));
        pods.found.into_iter().for_each(|pod| live.insert(pod));
    }
}

/// An object of which only the identity is known.
fn identity(object: &ObjectRef) -> Value {
    let mut metadata = serde_json::json!({"name": object.name});
    if let (Some(namespace), Some(map)) = (&object.namespace, metadata.as_object_mut()) {
        map.insert("namespace".to_owned(), Value::from(namespace.as_str()));
    }
    serde_json::json!({"apiVersion": api_version(&object.group, ""), "kind": object.kind, "metadata": metadata})
}

fn record(live: &mut Live, object: ObjectRef, answer: Result<Option<Value>, Refused>) {
    match answer {
        Ok(Some(value)) => live.insert(value),
        Ok(None) => live.prove_absent(object),
        Err(refused) => live.unreadable(object, format!("{} {}", refused.code, refused.reason)),
    }
}
