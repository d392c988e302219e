//! Drift as the cluster alone tells it, when there is no repository to compare with.

use super::{Cause, FieldChange};
use crate::fields::{FieldPath, Managers, value_at};
use crate::inventory::{Applied, PART_OF, Parent};
use crate::live::{Coverage, Live};
use crate::object::{ObjectRef, label, meta};
use serde_json::Value;
use std::collections::BTreeSet;

/// What drifted of an object that an inventory owns, as far as the cluster alone tells it: without the repository there is no
/// `before` value, and a removed field is only counted.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnDrift {
    /// The object.
    pub object: ObjectRef,
    /// Its uid; empty when it is gone.
    pub uid: String,
    /// The partition whose inventory owns it.
    pub partition: String,
    /// Fields that others changed.
    pub fields: Vec<FieldChange>,
    /// How many declared fields were removed.
    pub removed: usize,
    /// Whether it was there after the last apply, and is no more, or no more as a part of the inventory.
    pub gone: bool,
}

/// What drifted of the objects that inventories own.
pub fn drift_of_owned(live: &Live, parents: &[Parent]) -> Vec<OwnDrift> {
    let mut found = Vec::new();
    for (object, value) in live.objects() {
        let Some(parent) = label(value, PART_OF).and_then(|id| parents.iter().find(|p| p.id == id)) else { continue };
        let (fields, removed) = drift(value);
        if !fields.is_empty() || removed > 0 {
            let (uid, partition) = (meta(value, "uid").to_owned(), parent.partition.clone());
            found.push(OwnDrift { object: object.clone(), uid, partition, fields, removed, gone: false });
        }
    }
    for parent in parents {
        let listed = |object: &ObjectRef| live.coverage.get(&object.group_kind()) == Some(&Coverage::Labelled);
        // What ran and went by its TTL, and what we deleted ourselves, is no drift.
        let expected = |object: &ObjectRef| {
            let uid = parent.known_uid(object).unwrap_or_default();
            parent.state.job(object).is_some() || parent.state.deletions.iter().any(|deletion| deletion.uid == uid)
        };
        let references = parent.state.references().into_iter();
        let gone = references.filter(|object| listed(object) && !live.has(object) && !expected(object));
        found.extend(gone.map(|object| OwnDrift {
            object,
            uid: String::new(),
            partition: parent.partition.clone(),
            fields: Vec::new(),
            removed: 0,
            gone: true,
        }));
    }
    found.sort_by(|a, b| a.object.cmp(&b.object));
    found
}

fn drift(live: &Value) -> (Vec<FieldChange>, usize) {
    let managers = Managers::of(live);
    // Our record went with an edit by others, and took with it what else is known of that edit.
    let Some(applied) = Applied::read(live) else { return (Vec::new(), usize::from(managers.ours().is_some())) };
    let mut known: BTreeSet<FieldPath> =
        managers.ours().map(|ours| ours.paths().into_iter().collect()).unwrap_or_default();
    let mut fields: Vec<FieldChange> = Vec::new();
    for (path, holder) in managers.foreign() {
        // Without the text, only listed hashes prove that a path was declared.
        if applied.declared(&path, &Applied::default()) && !known.contains(&path) {
            let before = value_at(live, &path).cloned();
            if before.is_some() && !fields.iter().any(|f| f.path == path) {
                fields.push(FieldChange {
                    path: path.clone(),
                    before,
                    after: None,
                    cause: Cause::Drift,
                    holder: Some(holder.clone()),
                });
            }
            known.insert(path);
        }
    }
    fields.sort_by(|a, b| a.path.cmp(&b.path));
    (fields, applied.missing_from(&known))
}
