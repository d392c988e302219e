//! A part of a repository: what a run is limited to.

use super::{Action, Change};
use crate::desired::Desired;
use crate::graph::Graph;
use crate::kinds::{self, GATEWAY};
use crate::live::Live;
use crate::object::{ObjectRef, label};
use std::collections::BTreeSet;

/// The options `--app`, `--tenant`, `-n` and `-l`; an object must match each that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Apps by `NAME` or `NAMESPACE/NAME`: an App with all that it makes, or a SpinApp and the routes whose only backend it is.
    pub apps: Vec<String>,
    /// Tenants.
    pub tenants: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
    /// Labels with their values.
    pub labels: Vec<(String, String)>,
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    fn matches(&self, change: &Change, desired: &Desired, live: &Live) -> bool {
        let object = &change.object;
        let value = desired.objects.get(object).map(|m| &m.object.value).or_else(|| live.get(object));
        let any =
            |wanted: &[String], matches: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|w| matches(w));
        any(&self.tenants, &|tenant| change.partition == tenant)
            && any(&self.namespaces, &|namespace| object.namespace() == namespace)
            && self.labels.iter().all(|(name, wanted)| value.and_then(|v| label(v, name)) == Some(wanted))
            && any(&self.apps, &|app| value.is_some_and(|value| is_of_app(object, value, app)))
    }

    /// Leaves the changes that are selected, and those that they need; nothing else is deleted.
    pub(super) fn retain(&self, changes: &mut Vec<Change>, desired: &Desired, live: &Live, graph: &Graph) {
        if self.is_everything() {
            return;
        }
        let mut queue: Vec<ObjectRef> =
            changes.iter().filter(|c| self.matches(c, desired, live)).map(|c| c.object.clone()).collect();
        let mut kept: BTreeSet<ObjectRef> = queue.iter().cloned().collect();
        while let Some(object) = queue.pop() {
            for (need, _) in graph.needs(&object) {
                let deleted = changes.iter().any(|c| c.object == *need && c.intended == Action::Delete);
                if !deleted && kept.insert(need.clone()) {
                    queue.push(need.clone());
                }
            }
        }
        changes.retain(|c| kept.contains(&c.object));
    }
}

/// Whether an object is an app or was made by it, or is a route that has no other backend.
pub(super) fn is_of_app(object: &ObjectRef, value: &serde_json::Value, app: &str) -> bool {
    if let Some(of) = kinds::app_of(object, value) {
        return of == app || of.split_once('/').is_some_and(|(_, name)| name == app);
    }
    let named = |reference: &ObjectRef| reference.path() == app || reference.name == app;
    let is_route = object.group == GATEWAY && object.kind.ends_with("Route");
    let mut backends =
        kinds::references(object, value).into_iter().filter(|r| r.pointer.contains("backendRefs")).peekable();
    is_route && backends.peek().is_some() && backends.all(|r| r.to.is("", "Service") && named(&r.to))
}
