//! Live state: what a cluster holds, as far as it was looked at, and what is known of its kinds.
//!
//! **Invariant:** absence must be proven (design law 6). An object is [`Presence::Absent`] only when its kind was listed
//! in a way that would have shown it, or when the server said 404 for it.

mod allowed;
mod mask;
mod observed;
mod snapshot;
mod stored;

pub use allowed::NOT_SHOWN;
pub use mask::{MASK, is_masked};
pub use observed::Observed;
pub use snapshot::{Age, SCHEMA as SNAPSHOT_SCHEMA, SnapshotError, content, taken};
pub use stored::{Packed, Stored};

use crate::desired::Desired;
use crate::object::{GroupKind, ObjectRef};
use crate::schema::{CRD_GROUP, Schemas, crd_versions};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Where live state comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// An API server, now.
    Cluster,
    /// A file that was made from one.
    Snapshot,
    /// Another revision of the repository: as an apply of it leaves a cluster, without what only a cluster knows.
    Revision,
    /// Nothing was given.
    #[default]
    None,
}

/// What a listing of a kind proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Every object of the kind was listed.
    All,
    /// Every object with an inventory label of this environment was listed.
    Labelled,
    /// The kind could not be listed, and why.
    Unknown(String),
}

/// Whether an object exists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Presence<'a> {
    /// It does.
    Present(&'a Value),
    /// It provably does not.
    Absent,
    /// It could not be read; the reason.
    Unknown(&'a str),
    /// It was not looked for where it could have been seen, which proves nothing.
    Unseen,
}

/// A kind that the API server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The versions, the preferred one first.
    pub versions: Vec<String>,
    /// The name in URLs.
    pub plural: String,
    /// Whether it is namespaced.
    pub namespaced: bool,
}

/// Live state.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Where it comes from.
    pub source: Source,
    /// The uid of namespace `kube-system`; empty when unknown.
    pub cluster_uid: String,
    /// The kinds that are served.
    pub kinds: BTreeMap<GroupKind, Served>,
    /// Schemas of custom resources.
    pub schemas: Schemas,
    /// What was listed.
    pub coverage: BTreeMap<GroupKind, Coverage>,
    /// When it was read, RFC 3339; empty when unknown.
    pub time: String,
    /// The namespace of the kubeconfig context that it was read by; empty when unknown.
    pub namespace: String,
    objects: BTreeMap<ObjectRef, Stored>,
    absent: BTreeSet<ObjectRef>,
    unreadable: BTreeMap<ObjectRef, String>,
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

impl Live {
    /// Adds an object; a CustomResourceDefinition also adds its schemas and kinds.
    pub fn insert(&mut self, value: Value) {
        let Some(reference) = ObjectRef::of(&value) else { return };
        if reference.is(CRD_GROUP, "CustomResourceDefinition") {
            self.schemas.add_crd(&value);
        }
        self.keep(reference, Stored::Whole(value));
    }

    /// Adds the schemas of a CustomResourceDefinition, and itself as an object that is hardly ever looked at, unless it is
    /// wanted: then it is read as what it is compared with.
    pub fn define(&mut self, definition: &Value, desired: &Desired) {
        let Some(reference) = ObjectRef::of(definition) else { return };
        self.schemas.add_crd(definition);
        if desired.objects.contains_key(&reference) {
            return;
        }
        let item = serde_json_borrow::Value::from(definition);
        let (api_version, kind) = (text(definition, "apiVersion"), text(definition, "kind"));
        self.keep(reference, Stored::Packed(Packed::of(&item, api_version, kind)));
    }

    /// Adds an object as it is to be kept.
    pub fn keep(&mut self, reference: ObjectRef, stored: Stored) {
        self.absent.remove(&reference);
        self.objects.insert(reference, stored);
    }

    /// Adds many objects as they are to be kept.
    pub fn keep_all(&mut self, objects: Vec<(ObjectRef, Stored)>) {
        if !self.absent.is_empty() {
            objects.iter().for_each(|(reference, _)| {
                self.absent.remove(reference);
            });
        }
        self.objects.append(&mut objects.into_iter().collect());
    }

    /// Forgets an object that was deleted.
    pub fn remove(&mut self, reference: &ObjectRef) {
        self.objects.remove(reference);
        self.absent.insert(reference.clone());
    }

    /// Records that the server said 404 for an object.
    pub fn prove_absent(&mut self, reference: ObjectRef) {
        self.objects.remove(&reference);
        self.absent.insert(reference);
    }

    /// Records why an object could not be read.
    pub fn unreadable(&mut self, reference: ObjectRef, reason: String) {
        self.unreadable.insert(reference, reason);
    }

    /// The identities of the objects that were seen.
    pub fn identities(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    /// The objects. Those that were packed are read again: ask by kind or identity where that is enough.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectRef, &Value)> {
        self.objects.iter().map(|(reference, stored)| (reference, stored.value()))
    }

    /// The objects of a kind, in one namespace or (with none) wherever.
    pub fn of_kind(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&ObjectRef, &Value)> + use<'_> {
        let first = ObjectRef::new(group, kind, namespace.unwrap_or_default(), "");
        let whole = namespace.is_none();
        let rest = self.objects.range(first.clone()..);
        let same = move |(r, _): &(&ObjectRef, &Stored)| {
            r.is(&first.group, &first.kind) && (whole || r.namespace == first.namespace)
        };
        rest.take_while(same).map(|(reference, stored)| (reference, stored.value()))
    }

    /// An object, when it was seen.
    pub fn get(&self, reference: &ObjectRef) -> Option<&Value> {
        self.objects.get(reference).map(Stored::value)
    }

    /// Lets go of what was read again of packed objects: who looks at all of them, one after the other, needs no memory for
    /// all at once.
    pub fn pack(&mut self) {
        self.objects.values_mut().for_each(Stored::pack);
    }

    /// Whether it was proven, when it was read, that an object is as the repository wants it.
    pub fn is_unchanged(&self, reference: &ObjectRef) -> bool {
        self.objects.get(reference).is_some_and(Stored::is_unchanged)
    }

    /// The uid of an object that was seen.
    pub fn uid(&self, reference: &ObjectRef) -> Option<&str> {
        self.objects.get(reference).map(Stored::uid)
    }

    /// Whether an object was seen.
    pub fn has(&self, reference: &ObjectRef) -> bool {
        self.objects.contains_key(reference)
    }

    /// Whether an object exists.
    pub fn presence(&self, reference: &ObjectRef) -> Presence<'_> {
        match self.objects.get(reference) {
            Some(stored) => Presence::Present(stored.value()),
            None => self.absence(reference),
        }
    }

    /// Objects by identity, in order, each with what was seen of it. Both sides are sorted, so nothing is searched.
    pub fn beside<'a, T>(
        &'a self,
        wanted: &'a BTreeMap<ObjectRef, T>,
    ) -> impl Iterator<Item = (&'a ObjectRef, &'a T, Option<&'a Stored>)> {
        let mut seen = self.objects.iter().peekable();
        wanted.iter().map(move |(reference, value)| {
            while seen.next_if(|(found, _)| *found < reference).is_some() {}
            (reference, value, seen.next_if(|(found, _)| *found == reference).map(|(_, stored)| stored))
        })
    }

    /// The objects that are not among some.
    pub fn others<'a, T>(
        &'a self,
        wanted: &'a BTreeMap<ObjectRef, T>,
    ) -> impl Iterator<Item = (&'a ObjectRef, &'a Stored)> {
        let mut wanted = wanted.keys().peekable();
        self.objects.iter().filter(move |(reference, _)| {
            while wanted.next_if(|known| *known < *reference).is_some() {}
            wanted.peek() != Some(reference)
        })
    }

    /// A digest of all objects as they were read. While it is the same nothing was written.
    pub fn fingerprint(&self) -> [u8; 32] {
        let (mut state, mut text) = (Sha256::new(), Vec::new());
        for (reference, stored) in &self.objects {
            text.clear();
            // Writing to memory cannot fail.
            let _ = stored.write(reference, &mut text);
            state.update(&text);
        }
        state.finalize().into()
    }

    /// Whether there is anything of which it is not known if it exists.
    pub fn has_unknown(&self) -> bool {
        !self.unreadable.is_empty() || self.coverage.values().any(|c| matches!(c, Coverage::Unknown(_)))
    }

    /// Why it is not known whether an object exists, if so.
    pub fn unknown(&self, reference: &ObjectRef) -> Option<&str> {
        match self.absence(reference) {
            Presence::Unknown(reason) if !self.has(reference) => Some(reason),
            _ => None,
        }
    }

    /// What is known of an object that was not seen.
    fn absence(&self, reference: &ObjectRef) -> Presence<'_> {
        if let Some(reason) = self.unreadable.get(reference) {
            return Presence::Unknown(reason);
        }
        let kind = reference.group_kind();
        match self.coverage.get(&kind) {
            _ if self.absent.contains(reference) => Presence::Absent,
            Some(Coverage::All) => Presence::Absent,
            Some(Coverage::Unknown(reason)) => Presence::Unknown(reason),
            _ if !self.kinds.is_empty() && !self.kinds.contains_key(&kind) => Presence::Absent,
            _ => Presence::Unseen,
        }
    }

    /// Whether a kind is namespaced, as the server says.
    pub fn namespaced(&self, kind: &GroupKind) -> Option<bool> {
        self.kinds.get(kind).map(|served| served.namespaced)
    }

    /// Adds the schemas of the CustomResourceDefinitions that a repository holds for kinds that are not served yet.
    pub fn learn(&mut self, desired: &Desired) {
        for member in desired.objects.values() {
            let value = &member.object.value;
            if !member.object.reference.is(CRD_GROUP, "CustomResourceDefinition") {
                continue;
            }
            let unserved = crd_versions(value).is_some_and(|(kind, _)| !self.kinds.contains_key(&kind));
            if unserved {
                self.schemas.add_crd(value);
            }
        }
    }
}
