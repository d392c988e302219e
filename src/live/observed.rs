//! Live objects beside what is wanted: what health rules look at.

use super::{Coverage, Live, Presence, Source};
use crate::desired::Desired;
use crate::kinds::{self, Health, Verdict, World};
use crate::object::{GroupKind, ObjectRef, seconds};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The view of health rules.
pub struct Observed<'a> {
    desired: &'a Desired,
    live: &'a Live,
    made: Cow<'a, BTreeSet<ObjectRef>>,
    now: Option<i64>,
}

impl<'a> Observed<'a> {
    /// Looks at live objects and what is wanted of them.
    pub fn new(desired: &'a Desired, live: &'a Live) -> Self {
        Self { desired, live, made: Cow::Owned(Self::made(desired)), now: seconds(&live.time) }
    }

    /// As [`Observed::new`], with what [`Observed::made`] gave before.
    pub fn with_made(desired: &'a Desired, live: &'a Live, made: &'a BTreeSet<ObjectRef>) -> Self {
        Self { desired, live, made: Cow::Borrowed(made), now: seconds(&live.time) }
    }

    /// The same at a time, in seconds since 1970; without it, it is the time at which live state was read.
    #[must_use]
    pub fn at(self, now: i64) -> Self {
        Self { now: Some(now), ..self }
    }

    /// The objects that are made for desired ones.
    pub fn made(desired: &Desired) -> BTreeSet<ObjectRef> {
        desired.objects.iter().flat_map(|(r, m)| kinds::provides(r, &m.object.value)).collect()
    }

    /// The health of an object.
    pub fn health(&self, object: &ObjectRef) -> Health {
        match self.live.presence(object) {
            Presence::Present(_) if self.live.source == Source::Revision => {
                Health::new(Verdict::Unknown, "NotRead", "A revision of the repository has no health.")
            }
            Presence::Present(value) => self.health_of(object, value),
            Presence::Absent => Health::new(Verdict::Missing, "Missing", "It does not exist."),
            Presence::Unseen => Health::new(Verdict::Unknown, "NotRead", "It was not looked for."),
            Presence::Unknown(reason) => {
                Health::new(Verdict::Unknown, "NotRead", format!("It was not read: {reason}."))
            }
        }
    }

    /// The health of an object in a given state.
    pub fn health_of(&self, object: &ObjectRef, value: &Value) -> Health {
        kinds::health(object, value, self, &self.desired.rules().health)
    }
}

impl World for Observed<'_> {
    fn live(&self, reference: &ObjectRef) -> Option<&Value> {
        self.live.get(reference)
    }

    fn is_unread(&self, reference: &ObjectRef) -> bool {
        self.live.unknown(reference).is_some()
    }

    fn is_desired(&self, reference: &ObjectRef) -> bool {
        self.desired.objects.contains_key(reference) || self.made.contains(reference)
    }

    fn all(&self, group: &str, kind: &str, namespace: &str) -> Vec<&Value> {
        self.live.of_kind(group, kind, Some(namespace)).map(|(_, value)| value).collect()
    }

    fn has_read(&self, group: &str, kind: &str) -> bool {
        let coverage = self.live.coverage.get(&GroupKind::new(group, kind));
        matches!(coverage, Some(Coverage::All | Coverage::Labelled))
    }

    fn now(&self) -> Option<i64> {
        self.now
    }

    fn is_partial(&self) -> bool {
        self.live.source == Source::Snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, Tree, read};
    use serde_json::json;

    /// A missing backend is on its way only while the repository wants it.
    #[test]
    fn a_missing_backend_fails_unless_it_is_desired() {
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "ns", "generation": 1},
            "spec": {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "cart", "port": 80}]}]},
            "status": {"parents": [{"parentRef": {"name": "g"}, "conditions": [
                {"type": "Accepted", "status": "True", "reason": "Accepted", "observedGeneration": 1},
                {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "observedGeneration": 1}]}]}});
        let mut live = Live::default();
        live.insert(route);
        let object = ObjectRef::new(kinds::GATEWAY, "HTTPRoute", "ns", "r");
        // Without a repository nothing is desired.
        let nothing = Desired::default();
        assert_eq!(Observed::new(&nothing, &live).health(&object).verdict, Verdict::Failed);
        let app =
            "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: ns}\nspec: {}\n";
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(app.as_bytes().to_vec()))].into());
        let desired = read(&tree, None).unwrap_or_default();
        assert_eq!(Observed::new(&desired, &live).health(&object).verdict, Verdict::Progressing);
    }
}
