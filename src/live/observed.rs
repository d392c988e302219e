//! Live objects beside what is wanted: what health rules look at.

use super::{Live, Presence};
use crate::desired::Desired;
use crate::kinds::{self, Health, Verdict, World};
use crate::object::ObjectRef;
use serde_json::Value;
use std::collections::BTreeSet;

/// The view of health rules.
pub struct Observed<'a> {
    desired: &'a Desired,
    live: &'a Live,
    made: BTreeSet<ObjectRef>,
}

impl<'a> Observed<'a> {
    /// Looks at live objects and what is wanted of them.
    pub fn new(desired: &'a Desired, live: &'a Live) -> Self {
        let made = desired.objects.iter().flat_map(|(r, m)| kinds::provides(r, &m.object.value)).collect();
        Self { desired, live, made }
    }

    /// The health of an object.
    pub fn health(&self, object: &ObjectRef) -> Health {
        match self.live.presence(object) {
            Presence::Present(value) => self.health_of(object, value),
            Presence::Absent => Health::new(Verdict::Missing, "Missing", "It does not exist."),
            Presence::Unknown(reason) => {
                Health::new(Verdict::Unknown, "NotRead", format!("It was not read: {reason}."))
            }
        }
    }

    /// The health of an object in a given state.
    pub fn health_of(&self, object: &ObjectRef, value: &Value) -> Health {
        kinds::health(object, value, self, &self.desired.rules())
    }
}

impl World for Observed<'_> {
    fn live(&self, reference: &ObjectRef) -> Option<&Value> {
        self.live.get(reference)
    }

    fn is_desired(&self, reference: &ObjectRef) -> bool {
        self.desired.objects.contains_key(reference) || self.made.contains(reference)
    }

    fn all(&self, group: &str, kind: &str, namespace: &str) -> Vec<&Value> {
        let first = ObjectRef::new(group, kind, namespace, "");
        let rest = self.live.objects().range(first..);
        rest.take_while(|(r, _)| r.is(group, kind) && r.namespace() == namespace).map(|(_, value)| value).collect()
    }
}
