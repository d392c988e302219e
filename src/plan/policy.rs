//! The conflict policy (design law 4): what to do with a declared path that another manager holds, and with paths that
//! the Config says to ignore.

use super::Reason;
use super::edit::{put_at, remove, set};
use crate::desired::{Config, ConflictAction, Desired, IgnoreRule};
use crate::fields::{Element, FieldPath, Holder, Managers, Operation, declare, value_at};
use crate::kinds;
use crate::live::{Live, NOT_SHOWN};
use crate::object::ObjectRef;
use crate::schema::Schema;
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds whose number of pods an autoscaler may decide.
const SCALABLE: [&str; 5] = ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "SpinApp"];

/// What is decided about one object before anything is sent.
#[derive(Default)]
pub(super) struct Ruling {
    /// Why the object cannot be applied.
    pub(super) failed: Vec<Reason>,
    /// The paths that are taken, and from whom.
    pub(super) taken: Vec<(FieldPath, Holder)>,
    /// Fields that are no longer declared and are sent with their live values, until who takes them over has written them.
    pub(super) kept: Vec<FieldPath>,
    /// Notes for the report.
    pub(super) notes: Vec<Reason>,
    /// Atomic fields in which leaves were ignored: who holds them does not matter while their values are the same.
    pub(super) ignored: BTreeSet<FieldPath>,
}

/// What the policy needs to know of an object.
pub(super) struct Case<'a> {
    pub(super) object: &'a ObjectRef,
    pub(super) live: &'a Value,
    pub(super) managers: &'a Managers,
    pub(super) schema: Option<Schema<'a>>,
    pub(super) config: &'a Config,
    /// Whether the object is being adopted.
    pub(super) adopting: bool,
    /// Whether the live object is one of a snapshot, which does not hold every value.
    pub(super) is_snapshot: bool,
}

impl Case<'_> {
    /// Applies `ignore` and `yield` to the text: a path that another manager holds is left out; one that we alone hold is
    /// sent with its live value, since leaving it out would bring its default back. Inside an atomic list the live value
    /// of that leaf is sent.
    pub(super) fn soften(&self, body: &mut Value, desired: &Desired, live: &Live, ruling: &mut Ruling) {
        let rules = self.config.ignore.iter().filter(|rule| rule.selector().matches(self.object));
        for rule in rules {
            self.ignore(body, rule, ruling);
        }
        for path in self.yielded(body, desired, live) {
            if let Some(holder) = self.managers.other_of(&path)
                && remove(body, &path)
            {
                ruling.notes.push(Reason::LeftTo { path, by: holder.manager.clone() });
            } else if let Some(value) = self.given_up(body, &path)
                && put_at(body, &path, Some(value))
            {
                ruling.notes.push(Reason::KeptForAutoscaler { path: path.clone() });
                ruling.kept.push(path);
            }
        }
    }

    /// The live value of a field that is no longer declared and that we alone hold, where it is more than its default: without
    /// us it would fall back to that. An app that hands its pods to an autoscaler must not name their number, so of that one
    /// the autoscaler comes first.
    fn given_up(&self, body: &Value, path: &FieldPath) -> Option<&Value> {
        let ours = self.managers.ours();
        // Of another revision nothing is recorded: it holds what it declares.
        let is_ours = ours.is_none_or(|ours| ours.contains(path)) && self.managers.other_of(path).is_none();
        let value = value_at(self.live, path).filter(|_| is_ours && value_at(body, path).is_none())?;
        let default = kinds::fallback(&self.object.group_kind(), self.schema, path);
        (!self.object.is(kinds::SPIN, "SpinApp") && default.as_ref() != Some(value)).then_some(value)
    }

    fn ignore(&self, body: &mut Value, rule: &IgnoreRule, ruling: &mut Ruling) {
        let text = body.clone();
        let declared = declare(&text, self.schema);
        for leaf in &declared.leaves {
            if leaf.path.fits(&rule.path) {
                if self.managers.other_of(&leaf.path).is_some() {
                    remove(body, &leaf.path);
                } else if let Some(value) = value_at(self.live, &leaf.path) {
                    set(body, &leaf.path, value);
                }
            } else if let Some(rest) = inside(&leaf.path, &rule.path) {
                let Some(value) = value_at(self.live, &leaf.path) else { continue };
                let mut merged = leaf.value.clone();
                if copy_inside(&mut merged, value, &rest) {
                    set(body, &leaf.path, &merged);
                    ruling.ignored.insert(leaf.path.clone());
                } else {
                    let (rule, list) = (rule.path.clone(), leaf.path.clone());
                    ruling.notes.push(Reason::IgnoreMisses { rule, list });
                }
            }
        }
    }

    /// Paths that controllers own by their nature: replicas under an autoscaler, injected CA bundles.
    fn yielded(&self, body: &Value, desired: &Desired, live: &Live) -> Vec<FieldPath> {
        let mut found = Vec::new();
        if SCALABLE.contains(&self.object.kind.as_str()) && is_autoscaled(self.object, desired, live) {
            found.push(FieldPath::of(&["spec", "replicas"]));
        }
        let declared = declare(body, self.schema);
        found.extend(declared.leaves.iter().map(|l| &l.path).filter(|p| p.ends_with("caBundle")).cloned());
        found
    }

    /// Decides about every declared path that another manager holds with another text.
    pub(super) fn judge(&self, body: &Value, was_declared: &dyn Fn(&FieldPath) -> bool, ruling: &mut Ruling) {
        for leaf in declare(body, self.schema).leaves {
            if value_at(self.live, &leaf.path) == Some(leaf.value) {
                continue;
            }
            let shown = value_at(self.live, &leaf.path).is_some_and(|value| value != NOT_SHOWN);
            for holder in self.managers.holders_of(&leaf.path) {
                let (path, by) = (leaf.path.clone(), holder.manager.clone());
                match self.decide(&leaf.path, holder, was_declared(&leaf.path)) {
                    ConflictAction::Take | ConflictAction::Yield => ruling.taken.push((path, holder.clone())),
                    // It may be the same.
                    ConflictAction::Fail if self.is_snapshot && !shown => {
                        ruling.notes.push(Reason::HeldUnseen { path, by });
                    }
                    ConflictAction::Fail => {
                        ruling.failed.push(Reason::HeldBy { path, by, operation: holder.operation });
                    }
                }
            }
        }
    }

    /// The paths that the Config's rules leave to others.
    pub(super) fn configured_yields(&self, body: &Value, was_declared: &dyn Fn(&FieldPath) -> bool) -> Vec<FieldPath> {
        let declared = declare(body, self.schema);
        let held = declared.leaves.into_iter().filter_map(|leaf| Some((self.managers.other_of(&leaf.path)?, leaf)));
        let yielding = held.filter(|(holder, leaf)| {
            self.decide(&leaf.path, holder, was_declared(&leaf.path)) == ConflictAction::Yield
        });
        yielding.map(|(_, leaf)| leaf.path).collect()
    }

    fn decide(&self, path: &FieldPath, holder: &Holder, was_declared: bool) -> ConflictAction {
        let like =
            |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|w| crate::desired::glob(w, value));
        let rule = self.config.conflicts.rules.iter().find(|rule| {
            rule.kind.as_ref().is_none_or(|kind| *kind == self.object.kind)
                && rule.path.as_ref().is_none_or(|p| path.fits(p))
                && like(&rule.manager, holder.manager.raw())
        });
        if let Some(action) = rule.map(|r| r.action).or(self.config.conflicts.default) {
            return action;
        }
        let updated = holder.operation == Operation::Update;
        if updated && (was_declared || self.adopting) { ConflictAction::Take } else { ConflictAction::Fail }
    }
}

/// Whether two states of an object differ in nothing but what controllers report: then what was judged of the first holds
/// for the second.
pub fn is_same_but_status(judged: &Value, now: &Value) -> bool {
    let strip = |value: &Value| {
        let mut value = value.clone();
        if let Some(map) = value.as_object_mut() {
            map.shift_remove("status");
        }
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.shift_remove("resourceVersion");
            metadata.shift_remove("managedFields");
        }
        value
    };
    let owners = |value: &Value| {
        let rows = Managers::of(value).ownership().into_iter();
        rows.filter(|(_, _, subresource, _, _)| subresource != "status").collect::<Vec<_>>()
    };
    strip(judged) == strip(now) && owners(judged) == owners(now)
}

/// Whether an autoscaler, wanted or live, targets the object or the Deployment made for it.
fn is_autoscaled(object: &ObjectRef, desired: &Desired, live: &Live) -> bool {
    let deployment = ObjectRef::new("apps", "Deployment", object.namespace(), &object.name);
    let is_app = object.is(kinds::SPIN, "SpinApp");
    let targets = |scaler: &ObjectRef, value: &Value| {
        kinds::references(scaler, value).iter().any(|r| r.to == *object || is_app && r.to == deployment)
    };
    kinds::SCALERS.into_iter().any(|(group, kind)| {
        let wanted = desired.of_kind(group, kind, Some(object.namespace()));
        wanted.into_iter().any(|(r, m)| targets(r, &m.object.value))
            || live.of_kind(group, kind, Some(object.namespace())).any(|(r, v)| targets(r, v))
    })
}

/// The rest of a pattern that goes on below an atomic leaf.
fn inside(leaf: &FieldPath, pattern: &str) -> Option<String> {
    let names: Vec<&str> = pattern.split('.').collect();
    let depth = leaf.0.len();
    let head: Vec<&str> = names.iter().take(depth).map(|n| n.trim_end_matches("[]")).collect();
    let plain: Vec<&str> = leaf.0.iter().filter_map(Element::name).collect();
    let last_is_list = names.get(depth.checked_sub(1)?)?.ends_with("[]");
    (plain.len() == depth && head == plain && names.len() > depth && last_is_list).then(|| names[depth..].join("."))
}

/// Copies the values at a pattern from one list of items into another of the same length.
fn copy_inside(into: &mut Value, from: &Value, pattern: &str) -> bool {
    let (Value::Array(into), Value::Array(from)) = (into, from) else { return false };
    into.len() == from.len() && into.iter_mut().zip(from).all(|(a, b)| copy_field(a, b, pattern))
}

fn copy_field(into: &mut Value, from: &Value, pattern: &str) -> bool {
    let (step, rest) = pattern.split_once('.').map_or((pattern, None), |(step, rest)| (step, Some(rest)));
    let name = step.trim_end_matches("[]");
    let Some(value) = from.get(name) else { return true };
    let Some(map) = into.as_object_mut() else { return false };
    match rest {
        None => {
            map.insert(name.to_owned(), value.clone());
            true
        }
        Some(rest) => match map.get_mut(name) {
            Some(child) if step.ends_with("[]") => copy_inside(child, value, rest),
            Some(child) => copy_field(child, value, rest),
            None => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_ignored_leaf_in_an_atomic_list_takes_the_live_value() {
        let leaf = FieldPath::of(&["spec", "rules"]);
        let rest = inside(&leaf, "spec.rules[].backendRefs[].weight");
        assert_eq!(rest.as_deref(), Some("backendRefs[].weight"));
        let mut text = json!([{"backendRefs": [{"name": "a", "weight": 1}, {"name": "b"}]}]);
        let live = json!([{"backendRefs": [{"name": "a", "weight": 7}, {"name": "b", "weight": 3}]}]);
        assert!(copy_inside(&mut text, &live, "backendRefs[].weight"));
        assert_eq!(text, live);
        assert!(!copy_inside(&mut text, &json!([]), "backendRefs[].weight"));
        assert_eq!(inside(&leaf, "spec.hostnames[].x"), None);
    }
}
