//! Looking again and again at the objects of a run that are becoming healthy or going.
//!
//! Each kind is heard by one stream, so a wait costs one request a kind however long it lasts. What no stream shows (an
//! API server without them, a list that may not be watched, Secrets, an object that left the list) is asked for: one LIST a
//! kind, or one GET for a single object, at a pace that slows down while nothing changes.
//!
//! **Invariant:** what is shown is never older than what is known already: an object that a stream shows in an older version
//! than live state has it is not shown until the stream has caught up.

use super::list::List;
use super::listing::{APP_NAME, is_secret, is_short};
use super::lookup::{Look, PodsOf};
use super::stream::{Keeps, Now, Stream, key, version};
use super::{CONCURRENCY, Cluster};
use crate::api::Refused;
use crate::inventory::PART_OF;
use crate::kinds::SPIN;
use crate::live::Live;
use crate::object::{GroupKind, ObjectRef, meta};
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many objects of a kind have a stream each; more of them share one.
const FEW: usize = 2;
/// In so many namespaces each has a stream of its own; in more of them one stream is for all.
const NAMESPACES: usize = 3;
/// How long a stream may take to show what there is, before it is asked for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first pause between two questions.
const SHORTEST: Duration = Duration::from_millis(200);
/// The longest.
const LONGEST: Duration = Duration::from_secs(2);

/// When to ask again: soon while something changes, later and later while nothing does.
#[derive(Clone, Debug)]
struct Pace {
    pause: Duration,
    due: Instant,
}

impl Pace {
    /// A pace whose first question comes after a time.
    fn after(now: Instant, first: Duration) -> Self {
        Self { pause: SHORTEST.max(first), due: now + first }
    }

    /// Whether it is time to ask.
    fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// It was asked, and something changed or not.
    fn asked(&mut self, now: Instant, changed: bool) {
        self.pause = if changed { SHORTEST } else { (self.pause * 2).min(LONGEST) };
        self.due = now + self.pause;
    }
}

/// An object to look at: the step of a run that waits for it, and the version in which the repository writes it.
pub type Sought<'a> = (usize, &'a ObjectRef, &'a str);

/// Objects that one list shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    kind: GroupKind,
    version: String,
    namespace: Option<String>,
    shows: Shows,
    /// Whether they are Deployments that an operator makes for apps.
    of_apps: bool,
}

/// Which objects of a kind a list shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Shows {
    /// All.
    All,
    /// Those with a label.
    Labelled(&'static str),
    /// One alone.
    One(String),
}

/// How the objects of a group are heard of.
struct Heard {
    list: List,
    stream: Stream,
    begun: Instant,
    pace: Pace,
}

/// Looks at objects for one run.
pub struct Observer {
    cluster: Cluster,
    /// The objects of the run; of apps also their Deployments.
    interest: Arc<BTreeSet<(GroupKind, String)>>,
    /// How many of them there are of a kind.
    counts: BTreeMap<GroupKind, usize>,
    /// The namespaces of the run's objects.
    namespaces: usize,
    /// Whether what is applied has the label of an inventory.
    labelled: bool,
    groups: BTreeMap<Group, Heard>,
    /// Objects that are asked for one by one.
    singles: BTreeMap<ObjectRef, Pace>,
    /// Why objects cannot be read.
    refused: BTreeMap<ObjectRef, Refused>,
    /// The namespaces in which pods are asked for.
    pods: BTreeMap<Option<String>, Pace>,
}

/// What can be said of one object.
enum Said {
    /// Nothing yet.
    Nothing,
    /// It is as it was.
    Same,
    /// It is so, or not there.
    Found(Option<Value>),
    /// It cannot be read.
    Refused(Refused),
}

fn deployment_of(object: &ObjectRef) -> Option<ObjectRef> {
    object.is(SPIN, "SpinApp").then(|| ObjectRef::new("apps", "Deployment", object.namespace(), &object.name))
}

impl Observer {
    /// An observer of a run that may wait for these objects. `labelled` says whether what is applied has the label of an
    /// inventory.
    pub fn new<'a>(cluster: &Cluster, objects: impl Iterator<Item = &'a ObjectRef>, labelled: bool) -> Self {
        let mut interest = BTreeSet::new();
        let mut namespaces = BTreeSet::new();
        for object in objects {
            namespaces.insert(object.namespace.clone());
            for object in [Some(object.clone()), deployment_of(object)].into_iter().flatten() {
                interest.insert((object.group_kind(), key(object.namespace(), &object.name)));
            }
        }
        let mut counts = BTreeMap::new();
        interest.iter().for_each(|(kind, _): &(GroupKind, String)| *counts.entry(kind.clone()).or_default() += 1);
        Self {
            cluster: cluster.clone(),
            interest: Arc::new(interest),
            counts,
            namespaces: namespaces.iter().flatten().count(),
            labelled,
            groups: BTreeMap::new(),
            singles: BTreeMap::new(),
            refused: BTreeMap::new(),
            pods: BTreeMap::new(),
        }
    }

    /// Looks at objects with what their health is judged by: those of which something is known by now.
    pub async fn look_all(&mut self, live: &Live, sought: &[Sought<'_>]) -> Vec<(usize, Result<Look, Refused>)> {
        let mut wanted: BTreeMap<Group, BTreeSet<ObjectRef>> = BTreeMap::new();
        for (_, object, version) in sought {
            wanted.entry(self.group(object, version, false)).or_default().insert((*object).clone());
            if let Some(deployment) = deployment_of(object) {
                wanted.entry(self.group(&deployment, "v1", true)).or_default().insert(deployment);
            }
        }
        wanted.retain(|group, _| live.kinds.contains_key(&group.kind));
        wanted.keys().for_each(|group| self.begin(live, group));
        self.ask(&wanted).await;
        self.ask_singles(live, &wanted).await;
        let mut looks: Vec<(usize, ObjectRef, Result<Look, Refused>)> = Vec::new();
        for (step, object, version) in sought {
            let look = self.look(live, object, version).transpose();
            looks.extend(look.map(|look| (*step, (*object).clone(), look)));
        }
        self.look_at_pods(live, &mut looks).await;
        looks.into_iter().map(|(step, _, look)| (step, look)).collect()
    }

    fn group(&self, object: &ObjectRef, version: &str, of_apps: bool) -> Group {
        let (kind, version) = (object.group_kind(), version.to_owned());
        let many = self.counts.get(&kind).is_some_and(|count| *count > FEW);
        let expected = self.interest.contains(&(kind.clone(), key(object.namespace(), &object.name)));
        if !(many && expected) {
            let shows = Shows::One(object.name.clone());
            return Group { kind, version, namespace: object.namespace.clone(), shows, of_apps };
        }
        let shows = match (of_apps, self.labelled) {
            (true, _) => Shows::Labelled(APP_NAME),
            (false, true) => Shows::Labelled(PART_OF),
            (false, false) => Shows::All,
        };
        let namespace = object.namespace.clone().filter(|_| self.namespaces <= NAMESPACES);
        Group { kind, version, namespace, shows, of_apps }
    }

    fn begin(&mut self, live: &Live, group: &Group) {
        let Some(served) = live.kinds.get(&group.kind).filter(|_| !self.groups.contains_key(group)) else { return };
        let list = List::of(&group.kind, &group.version, served).within(group.namespace.as_deref());
        let list = match &group.shows {
            Shows::All => list,
            Shows::Labelled(label) => list.labelled(label),
            Shows::One(name) => list.named(name),
        };
        let (interest, kind) = (Arc::clone(&self.interest), group.kind.clone());
        let one = matches!(group.shows, Shows::One(_));
        let keeps: Keeps = Box::new(move |key| one || interest.contains(&(kind.clone(), key.to_owned())));
        let stream =
            if is_asked_alone(&group.kind) { Stream::none() } else { Stream::begin(&self.cluster, &list, keeps) };
        let begun = Instant::now();
        self.groups.insert(group.clone(), Heard { list, stream, begun, pace: Pace::after(begun, Duration::ZERO) });
    }

    /// Asks for what no stream shows: a LIST for each group, where that is fewer requests than one for each object.
    async fn ask(&mut self, wanted: &BTreeMap<Group, BTreeSet<ObjectRef>>) {
        let now = Instant::now();
        let mut due = Vec::new();
        for (group, objects) in wanted {
            let Some(heard) = self.groups.get_mut(group) else { continue };
            let known = heard.stream.known();
            let silent = known.ended || !known.whole && now.duration_since(heard.begun) >= PATIENCE;
            drop(known);
            let alone = objects.len() == 1 || is_asked_alone(&group.kind);
            if silent && alone {
                // Each is asked for by itself.
                for object in objects {
                    self.singles.entry(object.clone()).or_insert_with(|| Pace::after(now, Duration::ZERO));
                }
            } else if silent && heard.pace.is_due(now) {
                due.push((group.clone(), heard.list.clone()));
            }
        }
        let cluster = &self.cluster;
        let lists = due.into_iter().map(|(group, list)| async move {
            let answer = cluster.list_whole(&list).await;
            (group, answer)
        });
        let answers: Vec<_> = stream::iter(lists).buffer_unordered(CONCURRENCY).collect().await;
        for (group, answer) in answers {
            let objects = wanted.get(&group).into_iter().flatten();
            let Some(heard) = self.groups.get_mut(&group) else { continue };
            let Ok(items) = answer else {
                // Perhaps a single one may be read.
                for object in objects {
                    self.singles.entry(object.clone()).or_insert_with(|| Pace::after(now, Duration::ZERO));
                }
                heard.pace.asked(now, false);
                continue;
            };
            let mut changed = false;
            let mut known = heard.stream.known();
            for item in items {
                let key = key(meta(&item, "namespace"), meta(&item, "name"));
                let version = version(&item);
                if !self.interest.contains(&(group.kind.clone(), key.clone())) {
                    continue;
                }
                changed |= known.objects.get(&key).is_none_or(|known| known.version != version);
                known.put(key, version, Now::Fresh(item));
            }
            known.whole = true;
            drop(known);
            heard.pace.asked(now, changed);
        }
    }

    /// Asks for each object that a list does not show, or shows too late.
    async fn ask_singles(&mut self, live: &Live, wanted: &BTreeMap<Group, BTreeSet<ObjectRef>>) {
        let now = Instant::now();
        let mut due = Vec::new();
        for (group, objects) in wanted {
            for object in objects {
                let first = match self.first_question(live, group, object) {
                    Some(first) => first,
                    None if self.singles.contains_key(object) && !self.is_whole(group) => Duration::ZERO,
                    None => {
                        self.singles.remove(object);
                        self.refused.remove(object);
                        continue;
                    }
                };
                let pace = self.singles.entry(object.clone()).or_insert_with(|| Pace::after(now, first));
                if let (true, Some(served)) = (pace.is_due(now), live.kinds.get(&group.kind)) {
                    due.push((group.clone(), object.clone(), served));
                }
            }
        }
        let cluster = &self.cluster;
        let gets = due.into_iter().map(|(group, object, served)| async move {
            let answer = cluster.get(&object, &group.version, served).await;
            (group, object, answer)
        });
        let answers: Vec<_> = stream::iter(gets).buffer_unordered(CONCURRENCY).collect().await;
        for (group, object, answer) in answers {
            self.answered(&group, &object, answer, now);
        }
    }

    fn answered(&mut self, group: &Group, object: &ObjectRef, answer: Result<Option<Value>, Refused>, now: Instant) {
        let Some(heard) = self.groups.get(group) else { return };
        let key = key(object.namespace(), &object.name);
        let mut known = heard.stream.known();
        let before = known.objects.get(&key).map(|heard| heard.version);
        let mut changed = false;
        match answer {
            Ok(Some(value)) => {
                let version = version(&value);
                changed = before != Some(version);
                known.put(key, version, Now::Fresh(value));
                self.refused.remove(object);
            }
            Ok(None) => {
                known.gone(key);
                self.refused.remove(object);
            }
            Err(refused) => {
                self.refused.insert(object.clone(), refused);
            }
        }
        if let Some(pace) = self.singles.get_mut(object) {
            pace.asked(now, changed);
        }
    }

    fn is_whole(&self, group: &Group) -> bool {
        self.groups.get(group).is_some_and(|heard| {
            let known = heard.stream.known();
            known.whole && !known.ended
        })
    }

    /// Whether an object must be asked for by itself though its list is known, and after which time.
    fn first_question(&self, live: &Live, group: &Group, object: &ObjectRef) -> Option<Duration> {
        let known = self.groups.get(group)?.stream.known();
        if !known.whole {
            return None;
        }
        let labelled = matches!(group.shows, Shows::Labelled(_));
        match known.objects.get(&key(object.namespace(), &object.name)) {
            // Its operator makes it in a moment; one that others made may have no label.
            None if group.of_apps => labelled.then_some(LONGEST),
            None => Some(Duration::ZERO),
            Some(heard) => match heard.now {
                Now::Left => Some(Duration::ZERO),
                // The stream is behind what was written.
                _ if heard.version < live.get(object).map_or(0, version) => Some(PATIENCE),
                // What was gone may come back without its label.
                Now::Gone if known.ended || labelled => Some(SHORTEST),
                _ => None,
            },
        }
    }

    /// What can be said of an object, and of what it is judged by; pods apart.
    fn look(&self, live: &Live, object: &ObjectRef, version: &str) -> Result<Option<Look>, Refused> {
        let deployment = deployment_of(object).map(|deployment| {
            let group = self.group(&deployment, "v1", true);
            (deployment, group)
        });
        let parts = [Some((object.clone(), self.group(object, version, false))), deployment];
        let parts = || parts.iter().flatten().filter(|(object, _)| live.kinds.contains_key(&object.group_kind()));
        // What is taken out of one part would be lost if the other were not there yet.
        if !parts().all(|(object, group)| self.is_known(live, group, object)) {
            return Ok(None);
        }
        let mut look = Look::default();
        for (object, group) in parts() {
            match self.said(live, group, object) {
                // Without permission to read its Deployment the app itself is all there is.
                Said::Refused(refused) if refused.code == 403 && group.of_apps => {}
                Said::Refused(refused) => return Err(refused),
                Said::Nothing | Said::Same => {}
                Said::Found(value) => look.saw(object.clone(), value),
            }
        }
        Ok(Some(look))
    }

    /// Whether anything can be said of an object.
    fn is_known(&self, live: &Live, group: &Group, object: &ObjectRef) -> bool {
        let Some(heard) = self.groups.get(group) else { return false };
        if self.refused.contains_key(object) {
            return true;
        }
        let known = heard.stream.known();
        match known.objects.get(&key(object.namespace(), &object.name)) {
            None => known.whole && group.of_apps,
            Some(heard) => heard.version >= live.get(object).map_or(0, version) && !matches!(heard.now, Now::Left),
        }
    }

    fn said(&self, live: &Live, group: &Group, object: &ObjectRef) -> Said {
        let Some(heard) = self.groups.get(group) else { return Said::Nothing };
        if let Some(refused) = self.refused.get(object) {
            return Said::Refused(refused.clone());
        }
        if !self.is_known(live, group, object) {
            return Said::Nothing;
        }
        let mut known = heard.stream.known();
        let Some(heard) = known.objects.get_mut(&key(object.namespace(), &object.name)) else {
            return Said::Found(None);
        };
        match std::mem::replace(&mut heard.now, Now::Shown) {
            Now::Fresh(value) => Said::Found(Some(value)),
            Now::Shown => Said::Same,
            gone @ (Now::Left | Now::Gone) => {
                heard.now = gone;
                Said::Found(None)
            }
        }
    }

    /// Adds their pods to the looks at workloads that are short of them: one LIST a namespace.
    async fn look_at_pods(&mut self, live: &Live, looks: &mut [(usize, ObjectRef, Result<Look, Refused>)]) {
        let now = Instant::now();
        let mut short: BTreeMap<Option<String>, Vec<(usize, PodsOf)>> = BTreeMap::new();
        for (index, (_, object, look)) in looks.iter_mut().enumerate() {
            let Ok(look) = look else { continue };
            let workload = deployment_of(object).unwrap_or_else(|| object.clone());
            let Some(value) = look.latest(live, &workload) else { continue };
            let Some(pods) = PodsOf::none(&workload, value) else { continue };
            if is_short(value) {
                short.entry(object.namespace.clone()).or_default().push((index, pods));
            } else if look.holds(&workload) {
                // What was seen of its pods before is over.
                look.has_pods(pods);
            }
        }
        self.pods.retain(|namespace, _| short.contains_key(namespace));
        let kind = GroupKind::new("", "Pod");
        let Some(served) = live.kinds.get(&kind) else { return };
        for (namespace, workloads) in short {
            let pace = self.pods.entry(namespace.clone()).or_insert_with(|| Pace::after(now, PATIENCE));
            if !pace.is_due(now) {
                continue;
            }
            pace.asked(now, false);
            let list = List::of(&kind, "v1", served).within(namespace.as_deref());
            let list = match workloads.as_slice() {
                [(_, alone)] => list.labelled(&alone.labels()),
                many if many.iter().all(|(index, _)| looks[*index].1.is(SPIN, "SpinApp")) => list.labelled(APP_NAME),
                _ => list,
            };
            let Ok(found) = self.cluster.list_whole(&list).await else { continue };
            for (index, pods) in workloads {
                if let (_, _, Ok(look)) = &mut looks[index] {
                    look.has_pods(pods.of(&found));
                }
            }
        }
    }
}

/// Whether objects of a kind are asked for by themselves: Secrets, of which not more than these shall be read, and
/// definitions, which are large and soon established.
fn is_asked_alone(kind: &GroupKind) -> bool {
    is_secret(kind) || kind.kind == "CustomResourceDefinition"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_slows_down_to_two_seconds_and_starts_again_with_a_change() {
        let begun = Instant::now();
        let mut pace = Pace::after(begun, Duration::ZERO);
        let mut pauses = Vec::new();
        let mut now = begun;
        for changed in [false, false, false, false, false, true, false] {
            assert!(pace.is_due(now));
            pace.asked(now, changed);
            pauses.push(pace.due.duration_since(now).as_millis());
            now = pace.due;
            assert!(!pace.is_due(now.checked_sub(Duration::from_millis(1)).unwrap_or(begun)));
        }
        assert_eq!(pauses, [400, 800, 1600, 2000, 2000, 200, 400]);
    }
}
