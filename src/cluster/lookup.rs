//! Looking up single objects: those that no LIST would show, and those that are becoming healthy.

use super::list::List;
use super::listing::{APP_NAME, Reading, is_secret, is_short, wanted_version};
use super::{CONCURRENCY, Cluster};
use crate::desired::{Desired, Selector};
use crate::graph::Graph;
use crate::kinds::SPIN;
use crate::live::{Coverage, Live, Served};
use crate::object::{GroupKind, ObjectRef, api_version};
use crate::plan::Refused;
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
    pub async fn read_again(
        &self,
        live: &mut Live,
        kind: &GroupKind,
        namespace: Option<&str>,
    ) -> Result<(), Refused> {
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
            self.look_at_app(live, object, &mut look).await?;
        }
        Ok(look)
    }

    /// An app is judged by its Deployment, and one that is short of pods by these.
    async fn look_at_app(&self, live: &Live, app: &ObjectRef, look: &mut Look) -> Result<(), Refused> {
        let deployment = ObjectRef::new("apps", "Deployment", app.namespace(), &app.name);
        let Some(served) = live.kinds.get(&deployment.group_kind()) else { return Ok(()) };
        let found = match self.get(&deployment, "v1", served).await {
            // Without permission to read its Deployment the app itself is all there is.
            Err(refused) if refused.code == 403 => return Ok(()),
            answer => answer?,
        };
        let short = found.as_ref().is_some_and(is_short);
        look.found.push((deployment, found));
        let kind = GroupKind::new("", "Pod");
        if !short {
            // What was seen of its pods before is over.
            look.pods = Some((app.clone(), Vec::new()));
        } else if let Some(served) = live.kinds.get(&kind) {
            let selector = format!("{APP_NAME}={}", app.name);
            let list = List::of(&kind, "v1", served).within(app.namespace.as_deref()).labelled(&selector);
            look.pods = Some((app.clone(), self.list_whole(&list).await.unwrap_or_default()));
        }
        Ok(())
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
    /// An app and all of its pods.
    pods: Option<(ObjectRef, Vec<Value>)>,
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

    /// These are all pods of an app.
    pub(super) fn has_pods(&mut self, app: ObjectRef, pods: Vec<Value>) {
        self.pods = Some((app, pods));
    }

    /// Brings live state up to date; pods that are gone are forgotten.
    pub fn show(self, live: &mut Live) {
        for (reference, value) in self.found {
            match value {
                Some(value) => live.insert(value),
                None => live.prove_absent(reference),
            }
        }
        let Some((app, pods)) = self.pods else { return };
        let of_app = |value: &Value| crate::object::label(value, APP_NAME) == Some(&app.name);
        let old = live.of_kind("", "Pod", app.namespace.as_deref()).filter(|(_, value)| of_app(value));
        let old: Vec<ObjectRef> = old.map(|(r, _)| r.clone()).collect();
        old.iter().for_each(|pod| live.remove(pod));
        pods.into_iter().for_each(|pod| live.insert(pod));
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
