//! The parent ConfigMap of a partition: hints, and the state that labels cannot hold.

use super::contest::{Correction, Corrections, corrected};
use super::history::{Entry, KEPT};
use super::stop::read as read_stops;
use super::{ID, id, parent_name};
use crate::desired::Stop;
use crate::kinds::SPIN;
use crate::object::{GroupKind, ObjectRef, annotation, label, meta};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};

/// The value of the `tooling` annotation.
pub const TOOLING: &str = concat!("spinway/v", env!("CARGO_PKG_VERSION"));
const TOOLING_ANNOTATION: &str = "applyset.kubernetes.io/tooling";
const KINDS_ANNOTATION: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES_ANNOTATION: &str = "applyset.kubernetes.io/additional-namespaces";
/// Where approvals by annotation stand: `DIGEST=EXPIRES`, by comma.
pub const APPROVED_ANNOTATION: &str = "spinway.dev/approved";
/// The most bytes a state may have when unpacked.
const MAX_STATE_BYTES: u64 = 64 << 20;

/// The inventory of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// The partition.
    pub partition: String,
    /// The ConfigMap's name.
    pub name: String,
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The id that members carry as a label.
    pub id: String,
    /// Kinds that members may have.
    pub kinds: BTreeSet<GroupKind>,
    /// Namespaces that members may be in.
    pub namespaces: BTreeSet<String>,
    /// What labels cannot hold.
    pub state: State,
    /// Approvals by annotation: digest and end.
    pub approvals: BTreeMap<String, String>,
    /// What people stopped.
    pub stops: Vec<Stop>,
    /// The ConfigMap's uid; empty while there is none.
    pub uid: String,
    /// Its resourceVersion: a write that does not build on what was read is refused.
    pub resource_version: String,
}

/// What the parent keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Repository URL and path; another source is refused.
    pub source: String,
    /// The cluster's uid at the first apply.
    pub cluster: String,
    /// The revision that was applied last; empty for a directory.
    pub revision: String,
    /// The digest of the texts of the last apply: when others are applied and stand nowhere in the history, the run that
    /// applied them ended before it could say so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub texts: String,
    /// Whether a turn that changes several objects, some of them in place, has begun and has not recorded its end. If it stays so, the
    /// turn was killed, and which of its changes became healthy is unknown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// The objects of the last apply with their uids.
    pub objects: BTreeMap<String, String>,
    /// For Jobs: the digest that was applied, so that one that vanished by its TTL is not run again.
    pub jobs: BTreeMap<String, String>,
    /// The deletions that still count.
    pub deletions: Vec<Deletion>,
    /// The last turns that changed something, the newest at the end.
    pub history: Vec<Entry>,
    /// For apps that may be rolled back by themselves (`NAMESPACE/NAME`): the revision at which they were last healthy.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub healthy: BTreeMap<String, String>,
    /// Fields that were corrected, by object and path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub corrections: BTreeMap<String, Corrections>,
}

/// One deletion, for the budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The uid of what was deleted.
    pub uid: String,
    /// What takes its place, when it is a rename: it is not counted, and nothing else is succeeded by the same object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
}

impl Deletion {
    /// One that is about to be done.
    pub fn of(at: i64, uid: &str, successor: Option<&ObjectRef>) -> Self {
        Self { at, uid: uid.to_owned(), successor: successor.map(key) }
    }

    /// Whether it is a rename to this object.
    pub fn is_succeeded_by(&self, object: &ObjectRef) -> bool {
        self.successor.as_ref().is_some_and(|successor| *successor == key(object))
    }
}

/// Why a parent's state cannot be read. Nothing of its partition is pruned then.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It belongs to another tool.
    #[error("the inventory ConfigMap {0} belongs to `{1}`")]
    Tooling(String, String),
    /// Its id is not that of its name.
    #[error("the inventory ConfigMap {0} carries another id")]
    Id(String),
    /// The state is damaged.
    #[error("the state in the inventory ConfigMap {0} is damaged")]
    Damaged(String),
}

impl Parent {
    /// The parent of a partition, without members yet.
    pub fn new(config: &str, environment: &str, partition: &str, namespace: &str) -> Self {
        let name = parent_name(config, environment, partition);
        let id = id(&name, namespace);
        Self { partition: partition.to_owned(), name, namespace: namespace.to_owned(), id, ..Self::default() }
    }

    /// The parent of a name that [`Parent::new`] gave, with its Config and environment; none for another name.
    pub fn named<'a>(name: &'a str, namespace: &str) -> Option<(Self, &'a str, &'a str)> {
        let mut parts = name.splitn(4, '.').skip(1);
        let (config, environment, partition) = (parts.next()?, parts.next()?, parts.next()?);
        Some((Self::new(config, environment, partition, namespace), config, environment))
    }

    /// Reads a live ConfigMap of whatever name; another than [`Parent::new`] gives stands for the partition too.
    ///
    /// # Errors
    /// It is not ours, or its state is damaged.
    pub fn found(live: &Value) -> Result<Self, StateError> {
        let (name, namespace) = (meta(live, "name"), meta(live, "namespace"));
        let other = || Self {
            id: id(name, namespace),
            name: name.to_owned(),
            partition: name.to_owned(),
            namespace: namespace.to_owned(),
            ..Self::default()
        };
        Self::named(name, namespace).map_or_else(other, |(parent, ..)| parent).read(live)
    }

    /// Its identity.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new("", "ConfigMap", &self.namespace, &self.name)
    }

    /// Reads it from a live ConfigMap.
    ///
    /// # Errors
    /// It is not ours, or its state is damaged.
    pub fn read(&self, live: &Value) -> Result<Self, StateError> {
        let shown = self.reference().path();
        let tooling = annotation(live, TOOLING_ANNOTATION).unwrap_or_default();
        if !tooling.starts_with("spinway/") {
            return Err(StateError::Tooling(shown, tooling.to_owned()));
        }
        if label(live, ID) != Some(&self.id) {
            return Err(StateError::Id(shown));
        }
        let list = |name: &str| {
            annotation(live, name)
                .unwrap_or_default()
                .split(',')
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let state =
            live.pointer("/binaryData/state").and_then(Value::as_str).map_or_else(|| Some(State::default()), unpack);
        let approvals = list(APPROVED_ANNOTATION)
            .iter()
            .filter_map(|a| a.split_once('=').map(|(d, e)| (d.to_owned(), e.to_owned())))
            .collect();
        Ok(Self {
            kinds: list(KINDS_ANNOTATION).iter().map(|text| GroupKind::parse(text)).collect(),
            namespaces: list(NAMESPACES_ANNOTATION).into_iter().collect(),
            state: state.ok_or(StateError::Damaged(shown))?,
            approvals,
            stops: read_stops(live),
            uid: meta(live, "uid").to_owned(),
            resource_version: meta(live, "resourceVersion").to_owned(),
            ..self.clone()
        })
    }

    /// The ConfigMap to apply.
    pub fn render(&self) -> Value {
        let join = |items: Vec<String>| items.join(",");
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {ID: self.id, "app.kubernetes.io/managed-by": "spinway"},
                "annotations": {
                    TOOLING_ANNOTATION: TOOLING,
                    KINDS_ANNOTATION: join(self.kinds.iter().map(ToString::to_string).collect()),
                    NAMESPACES_ANNOTATION: join(self.namespaces.iter().cloned().collect()),
                },
            },
            "binaryData": {"state": pack(&self.state)},
        })
    }

    /// The uid that an object had at the last apply.
    pub fn known_uid(&self, reference: &ObjectRef) -> Option<&str> {
        self.state.objects.get(&key(reference)).map(String::as_str)
    }

    /// Whether it knows an app: its SpinApp, or a version of it beside the Service that an App makes.
    pub fn knows_app(&self, namespace: &str, name: &str) -> bool {
        let app = |name: &str| ObjectRef::new(SPIN, "SpinApp", namespace, name);
        let stable = ObjectRef::new("", "Service", namespace, name);
        let version = key(&app(&format!("{name}-")));
        let has_version =
            || self.state.objects.keys().any(|known| known.len() == version.len() + 6 && known.starts_with(&version));
        self.known_uid(&app(name)).is_some() || (self.known_uid(&stable).is_some() && has_version())
    }

    /// Records an object of an apply.
    pub fn record(&mut self, reference: &ObjectRef, uid: &str) {
        self.state.objects.insert(key(reference), uid.to_owned());
        self.kinds.insert(reference.group_kind());
        self.namespaces.extend(reference.namespace.clone());
    }

    /// Forgets an object.
    pub fn forget(&mut self, reference: &ObjectRef) {
        self.state.objects.remove(&key(reference));
        self.state.jobs.remove(&key(reference));
    }
}

/// An object as a key of the state.
pub(super) fn key(reference: &ObjectRef) -> String {
    format!("{}|{}|{}", reference.group_kind(), reference.namespace(), reference.name)
}

/// A field of an object as a key of the state.
fn field(object: &ObjectRef, path: &str) -> String {
    format!("{} {path}", key(object))
}

impl State {
    /// The digest of the Job that ran under that name.
    pub fn job(&self, reference: &ObjectRef) -> Option<&str> {
        self.jobs.get(&key(reference)).map(String::as_str)
    }

    /// Records a Job that was applied.
    pub fn ran(&mut self, reference: &ObjectRef, digest: &str) {
        self.jobs.insert(key(reference), digest.to_owned());
    }

    /// The corrections of a field that is contested and wanted to be as a digest says.
    pub fn contested(&self, object: &ObjectRef, path: &str, wanted: &str, now: i64) -> Option<&Corrections> {
        self.corrections_of(object, path).filter(|found| found.is_contested(now) && found.is_of(wanted))
    }

    /// The corrections of a field.
    pub fn corrections_of(&self, object: &ObjectRef, path: &str) -> Option<&Corrections> {
        if self.corrections.is_empty() {
            return None;
        }
        self.corrections.get(&field(object, path))
    }

    /// Forgets the corrections of fields that the repository changed since.
    pub fn renewed(&mut self, fields: &[(ObjectRef, String)]) {
        if !self.corrections.is_empty() {
            fields.iter().for_each(|(object, path)| {
                self.corrections.remove(&field(object, path));
            });
        }
    }

    /// Records which fields a turn corrected; those that it did not have to correct are no longer in a row.
    pub fn corrected(&mut self, fields: Vec<(ObjectRef, Correction)>, now: i64) {
        let named = fields.into_iter().map(|(object, found)| (field(&object, &found.path), found));
        corrected(&mut self.corrections, named.collect(), now);
    }

    /// Records a turn.
    pub fn record_turn(&mut self, entry: Entry) {
        self.history.push(entry);
        let excess = self.history.len().saturating_sub(KEPT);
        self.history.drain(..excess);
    }

    /// The newest entry of a revision that was applied.
    pub fn newest(&self) -> Option<&Entry> {
        self.history.iter().rev().find(|entry| !entry.revision.is_empty() && !entry.blocked)
    }

    /// The objects that the last turn did not see healthy, as the history names them.
    pub fn waits(&self) -> &[String] {
        self.history.last().map(|entry| entry.waits.as_slice()).unwrap_or_default()
    }

    /// The identities of the last apply.
    pub fn references(&self) -> Vec<ObjectRef> {
        let parse = |text: &String| {
            let mut parts = text.splitn(3, '|');
            let kind = GroupKind::parse(parts.next()?);
            Some(ObjectRef::new(&kind.group, &kind.kind, parts.next()?, parts.next()?))
        };
        self.objects.keys().filter_map(parse).collect()
    }
}

fn pack(state: &State) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail; an empty state is read as damaged.
    let _ = encoder.write_all(serde_json::to_string(state).unwrap_or_default().as_bytes());
    STANDARD.encode(encoder.finish().unwrap_or_default())
}

fn unpack(text: &str) -> Option<State> {
    let bytes = STANDARD.decode(text).ok()?;
    let mut json = String::new();
    GzDecoder::new(bytes.as_slice()).take(MAX_STATE_BYTES).read_to_string(&mut json).ok()?;
    serde_json::from_str(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_survives_a_round_trip() {
        let mut parent = Parent::new("shop", "staging", "checkout", "spinway-system");
        let cart = ObjectRef::new("core.spinkube.dev", "SpinApp", "checkout", "cart");
        parent.record(&cart, "u1");
        parent.state.deletions.push(Deletion { at: 5, uid: "u0".into(), successor: None });
        let empty = Parent::new("shop", "staging", "checkout", "spinway-system");
        let read = empty.read(&parent.render());
        assert_eq!(read.ok().as_ref(), Some(&parent));
        assert_eq!(parent.state.references(), [cart]);
    }

    #[test]
    fn a_revision_of_which_all_was_blocked_was_not_applied() {
        let entry = |revision: &str, blocked| Entry { revision: revision.to_owned(), blocked, ..Entry::default() };
        let state = State { history: vec![entry("a", false), entry("b", true), entry("", false)], ..State::default() };
        assert_eq!(state.newest().map(|entry| entry.revision.as_str()), Some("a"));
    }

    #[test]
    fn only_the_last_turns_are_kept() {
        let mut state = State::default();
        for at in 0..30 {
            state.record_turn(Entry { at, ..Entry::default() });
        }
        assert_eq!((state.history.len(), state.history[0].at), (KEPT, 10));
    }

    #[test]
    fn a_parent_of_another_tool_or_id_is_refused() {
        let parent = Parent::new("shop", "staging", "checkout", "spinway-system");
        let mut foreign = parent.render();
        foreign["metadata"]["annotations"][TOOLING_ANNOTATION] = json!("kubectl/v1.30");
        assert!(parent.read(&foreign).is_err());
        assert!(Parent::new("shop", "production", "checkout", "spinway-system").read(&parent.render()).is_err());
        let mut damaged = parent.render();
        damaged["binaryData"]["state"] = json!("AAAA");
        assert!(matches!(parent.read(&damaged), Err(StateError::Damaged(_))));
    }
}
