//! How a live object differs from the text that would be applied, field by field, and why (design §3).

use super::{Cause, FieldChange, Ownership};
use crate::fields::{
    Answer, Declared, FieldPath, Holder, Keys, Known, Managers, change_root, compare, difference, restrict, value_at,
};
use crate::inventory::{APPLIED, Applied};
use crate::kinds::{fallback, named_lists};
use crate::live::{MASK, NOT_SHOWN, Source};
use crate::object::{GroupKind, api_version, split_api_version};
use crate::schema::{Schema, is_zero, with_defaults};
use serde_json::Value;
use std::collections::BTreeSet;

/// The differences of one object.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    /// The fields, in the order of their paths.
    pub fields: Vec<FieldChange>,
    /// Whether only the API server can say if anything would change.
    pub ask: bool,
    /// Differences in ownership alone: a write without change of value.
    pub ownership: Vec<Ownership>,
    /// Whether a value could not be compared because it is masked.
    pub masked: bool,
}

/// The text's side of a comparison.
pub(super) struct Text<'a> {
    pub(super) value: &'a Value,
    pub(super) declared: &'a Declared<'a>,
    pub(super) custom: bool,
    pub(super) applied: &'a Applied,
    /// Where live state comes from: values of a snapshot may be masked, and only a cluster can be asked.
    pub(super) source: Source,
    /// Whether the inventory has the object from an apply before: then our record stood on it.
    pub(super) was_member: bool,
    /// Fields whose holder does not matter while their values are the same.
    pub(super) ignored: &'a BTreeSet<FieldPath>,
    /// The schema of the whole, where known.
    pub(super) schema: Option<Schema<'a>>,
}

impl Text<'_> {
    /// The kind of the object.
    pub(super) fn kind(&self) -> GroupKind {
        let text = |field: &str| self.value.get(field).and_then(Value::as_str).unwrap_or_default();
        GroupKind::new(split_api_version(text("apiVersion")).0, text("kind"))
    }
}

/// Compares a text with the live object.
pub(super) fn differences(text: &Text<'_>, live: &Value) -> Drift {
    let managers = Managers::of(live);
    let before = Applied::read(live);
    let was_declared = |path: &FieldPath| before.as_ref().is_some_and(|b| b.declared(path, text.applied));
    let record = FieldPath::of(&["metadata", "annotations", APPLIED]);
    let same_text = before.as_ref().is_some_and(|b| b.digest == text.applied.digest)
        && managers.ours().is_some_and(|ours| ours.contains(&record));
    let is_recordless = text.was_member && before.is_none() && managers.ours().is_some();
    let mut drift = Drift::default();
    for leaf in &text.declared.leaves {
        let mine = managers.ours().is_some_and(|ours| ours.contains(&leaf.path));
        if is_annotation(&leaf.path) {
            let present = value_at(live, &leaf.path).is_some();
            if present && mine {
                continue;
            }
            if before.is_none() && managers.ours().is_none() {
                continue;
            }
        }
        let have = value_at(live, &leaf.path);
        if text.source == Source::Snapshot && have.is_some_and(|have| holds(have, MASK)) {
            drift.masked = true;
            continue;
        }
        // What differed from the text of then may be what the text of now has; what is beside it is compared.
        let revealed =
            have.filter(|have| text.source == Source::Snapshot && !same_text && holds(have, NOT_SHOWN)).map(|have| {
                let mut guess = have.clone();
                reveal(&mut guess, leaf.value);
                guess
            });
        drift.ask |= revealed.is_some();
        let have = revealed.as_ref().or(have);
        let other = managers.other_of(&leaf.path);
        let answer = if is_annotation(&leaf.path) {
            Answer::Differs
        } else {
            let applied = same_text && mine && other.is_none();
            let answer = compare(leaf.value, have, Known { schema: leaf.schema, custom: text.custom, applied });
            match answer {
                // With nobody to ask, what the text has now and had not is a change.
                Answer::Ask
                    if text.source != Source::Cluster
                        && !same_text
                        && is_other(leaf.value, have, mine, text.source) =>
                {
                    Answer::Differs
                }
                _ => answer,
            }
        };
        match (answer, mine) {
            (Answer::Same, true) if other.is_none() || have == Some(leaf.value) => {}
            (Answer::Same, _) if text.ignored.contains(&leaf.path) => {}
            (Answer::Same, true) | (Answer::Ask, _) => drift.ask = true,
            (Answer::Same, false) => match other {
                Some(_) if have != Some(leaf.value) => drift.ask = true,
                _ => drift.ownership.push(Ownership::Regained(leaf.path.clone())),
            },
            (Answer::Differs, _) => {
                let known = was_declared(&leaf.path);
                let cause = match (mine, known, other) {
                    // With whatever we applied it stood there; and without it all that is not ours any more may be drift.
                    _ if is_annotation(&leaf.path) => Cause::Drift,
                    (false, _, _) if is_recordless => Cause::Drift,
                    (false, true, _) => Cause::Drift,
                    (false, false, Some(_)) => Cause::Unowned,
                    _ => Cause::Pending,
                };
                let holder = other.filter(|_| !mine);
                let root = change_root(&leaf.path, live);
                if root == leaf.path {
                    push_leaf(&mut drift.fields, &text.kind(), leaf, have, cause, holder);
                } else if drift.fields.last().is_none_or(|last| last.path != root) {
                    let (before, after) = (value_at(live, &root).cloned(), value_at(text.value, &root).cloned());
                    drift.fields.push(FieldChange { path: root, before, after, cause, holder: holder.cloned() });
                }
            }
        }
    }
    removed(&mut drift, text, &managers, live);
    emptied(&mut drift, text, live, same_text || is_recordless);
    unheld(&mut drift, text, &managers);
    let same = before.as_ref().map_or(is_recordless, |before| before.digest == text.applied.digest);
    reordered(&mut drift, text, live, same);
    let (group, version) = split_api_version(text.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default());
    let ours = managers.our_api_version().unwrap_or_default();
    if !ours.is_empty() && ours != api_version(group, version) {
        drift.ownership.push(Ownership::ApiVersion { from: ours.to_owned() });
    }
    drift.fields.sort_by(|a, b| a.path.cmp(&b.path));
    drift
}

/// Whether it is the path of the record that every apply of ours leaves.
pub(super) fn is_annotation(path: &FieldPath) -> bool {
    path.0.len() == 3 && path.0[1].is("annotations") && path.ends_with(APPLIED)
}

/// Whether a declared value of which only the API server knows what it makes is another one than is there: where there is none, one
/// that was not declared before; in the place of a plain value an empty one. Of maps and lists a snapshot has what the API server
/// put beside what was declared, so they tell nothing there; a revision has what it declares and no more.
fn is_other(want: &Value, have: Option<&Value>, mine: bool, source: Source) -> bool {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    match have {
        None => !mine && !want.is_null(),
        Some(have) if is_plain(want) || is_plain(have) => is_zero(want) && !is_zero(have),
        Some(_) => source == Source::Revision,
    }
}

/// Puts wanted texts in the place of those that are not shown.
fn reveal(have: &mut Value, want: &Value) {
    match (have, want) {
        (Value::String(text), Value::String(wanted)) if text == NOT_SHOWN => text.clone_from(wanted),
        (Value::Array(items), Value::Array(wanted)) => items.iter_mut().zip(wanted).for_each(|(i, w)| reveal(i, w)),
        (Value::Object(map), Value::Object(wanted)) => {
            map.iter_mut().filter_map(|(key, value)| Some((value, wanted.get(key)?))).for_each(|(v, w)| reveal(v, w));
        }
        _ => {}
    }
}

fn holds(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Array(items) => items.iter().any(|item| holds(item, word)),
        Value::Object(map) => map.values().any(|value| holds(value, word)),
        _ => false,
    }
}

/// A leaf that differs; inside an atomic list it is shown at the places that do.
fn push_leaf(
    fields: &mut Vec<FieldChange>,
    kind: &GroupKind,
    leaf: &crate::fields::Leaf<'_>,
    have: Option<&Value>,
    cause: Cause,
    holder: Option<&Holder>,
) {
    let want = leaf.schema.map_or_else(|| leaf.value.clone(), |schema| with_defaults(leaf.value, schema));
    let keys = Keys { schema: leaf.schema, named: named_lists(kind) };
    for (path, before, after) in difference(&leaf.path, have, Some(&want), keys) {
        fields.push(FieldChange { path, before, after, cause, holder: holder.cloned() });
    }
}

/// Fields that we hold and no longer declare: the top of each removed part, with what of it is ours. What the API server put
/// beside that goes too, and was never declared.
fn removed(drift: &mut Drift, text: &Text<'_>, managers: &Managers, live: &Value) {
    let declared = text.declared;
    let mut tops: Vec<FieldPath> = Vec::new();
    let Some(ours) = managers.ours() else { return };
    for path in ours.paths() {
        // Who declares a part of a whole holds on to the whole.
        if declared.set.reaches(&path) || tops.iter().any(|top| path.is_below(top)) || is_annotation(&path) {
            continue;
        }
        if managers.other_of(&path).is_some() {
            drift.ownership.push(Ownership::Kept(path.clone()));
        } else if let Some(value) = value_at(live, &path) {
            // Nobody holds it any more, so it falls back to its default.
            let after = fallback(&text.kind(), text.schema, &path);
            if after.as_ref() == Some(value) {
                drift.ownership.push(Ownership::Default(path.clone()));
            } else {
                let before = Some(ours.node(&path).map_or_else(|| value.clone(), |held| restrict(value, &[held])));
                drift.fields.push(FieldChange {
                    path: path.clone(),
                    before,
                    after,
                    cause: Cause::Pending,
                    holder: None,
                });
            }
        } else {
            drift.ownership.push(Ownership::Released(path.clone()));
        }
        tops.push(path);
    }
}

/// An empty list of items that are told apart declares no field, but it is a value: where there is no list one is made, if
/// the kind keeps it.
fn emptied(drift: &mut Drift, text: &Text<'_>, live: &Value, same_text: bool) {
    for (path, _) in text.declared.lists.iter().filter(|(_, items)| items.is_empty()) {
        let have = value_at(live, path);
        if have.is_some_and(Value::is_array) {
            continue;
        }
        if text.custom {
            let after = Some(Value::Array(Vec::new()));
            let cause = if same_text { Cause::Drift } else { Cause::Pending };
            drift.fields.push(FieldChange { path: path.clone(), before: have.cloned(), after, cause, holder: None });
        } else if !same_text {
            drift.ask = true;
        }
    }
}

/// Members that are no leaves (items of lists, keys of maps) and that our entry lacks.
fn unheld(drift: &mut Drift, text: &Text<'_>, managers: &Managers) {
    let Some(ours) = managers.ours() else { return };
    let excused = |path: &FieldPath| text.ignored.iter().any(|i| path.is_below(i) || i.is_below(path));
    // Of leaves it was told above.
    let leaves: BTreeSet<&FieldPath> = text.declared.leaves.iter().map(|leaf| &leaf.path).collect();
    let lacks = |path: &FieldPath| !ours.contains(path) && !leaves.contains(path) && !excused(path);
    drift.ask |= text.declared.set.paths().iter().any(lacks);
}

/// Another order of our items in a list: drift while the text is what was applied, else the repository's wish.
fn reordered(drift: &mut Drift, text: &Text<'_>, live: &Value, same: bool) {
    for (path, wanted) in &text.declared.lists {
        let positions: Vec<usize> = wanted
            .iter()
            .filter_map(|element| {
                let pointer = crate::fields::pointer_of(live, &path.join((*element).clone()));
                pointer.rsplit('/').next()?.parse().ok()
            })
            .collect();
        if positions.len() == wanted.len() && positions.windows(2).any(|pair| pair[0] > pair[1]) {
            let cause = if same { Cause::Drift } else { Cause::Pending };
            let (have, want) = (value_at(live, path).cloned(), value_at(text.value, path).cloned());
            drift.fields.push(FieldChange { path: path.clone(), before: have, after: want, cause, holder: None });
        }
    }
}
