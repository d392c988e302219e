//! What drifted and is left as it is: because the environment only reports drift, or because someone else writes a field
//! back each time.

use super::drift::{Drift, is_annotation};
use super::{Cause, FieldChange, Options, Reason};
use crate::fields::{Declared, Element, FieldPath, Holder, Managers, Operation, value_at};
use crate::inventory::{APPLIED, Applied, State};
use crate::live::is_masked;
use crate::object::{GroupKind, ObjectRef, Untrusted, hex};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What is needed to know what of an object's drift is left.
pub(super) struct Leaving<'a> {
    pub(super) object: &'a ObjectRef,
    pub(super) state: Option<&'a State>,
    pub(super) options: &'a Options,
    pub(super) declared: &'a Declared<'a>,
    pub(super) live: &'a Value,
    pub(super) managers: &'a Managers,
}

impl Leaving<'_> {
    /// Takes what is left out of the differences and out of the text. A leaf that is left whole is not sent when another
    /// manager holds it, and is sent with its live value when nobody else does. Where only a part of one is left, as a
    /// weight in the rules of a route, the rest goes through beside the live value of that part. Gives what is left, with
    /// the reasons why.
    pub(super) fn leave(&self, drift: &mut Drift, body: &mut Value) -> (Vec<FieldChange>, Vec<Reason>) {
        let mut reasons = Vec::new();
        let (mut left, mut rest) = (Vec::new(), Vec::new());
        for mut field in std::mem::take(&mut drift.fields) {
            self.remember(&mut field, body);
            match self.why(&field, body) {
                Some(why) => left.push((field, why)),
                None => rest.push(field),
            }
        }
        let parted: BTreeSet<&FieldPath> = rest.iter().filter_map(|field| self.leaf(&field.path)).collect();
        let is_parted = |field: &FieldChange| self.leaf(&field.path).is_some_and(|leaf| parted.contains(leaf));
        // Among other items it is another field.
        let (left, moved): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(field, _)| !is_parted(field) || self.is_in_place(&field.path, body));
        for (field, why) in &left {
            if !reasons.contains(why) {
                reasons.push(why.clone());
            }
            if is_parted(field) {
                super::edit::put_at(body, &field.path, value_at(self.live, &field.path));
            } else {
                self.take_out(body, &field.path);
            }
        }
        let beside: BTreeSet<&FieldPath> =
            left.iter().filter(|(field, _)| is_parted(field)).filter_map(|(field, _)| self.leaf(&field.path)).collect();
        let renewed = Applied::read(self.live).map(|then| then.digest) != Applied::read(body).map(|now| now.digest);
        for field in rest.iter_mut().filter(|field| renewed && field.cause == Cause::Drift) {
            // Who holds the whole for the sake of the contested part says nothing about the parts beside it.
            if self.leaf(&field.path).is_some_and(|leaf| beside.contains(leaf)) {
                field.cause = Cause::Pending;
                field.holder = None;
            }
        }
        drift.fields = rest;
        drift.fields.extend(moved.into_iter().map(|(field, _)| field));
        drift.fields.sort_by(|a, b| a.path.cmp(&b.path));
        (left.into_iter().map(|(field, _)| field).collect(), reasons)
    }

    /// Why a field is left, if it is.
    fn why(&self, field: &FieldChange, body: &Value) -> Option<Reason> {
        if self.is_contested(field, body) {
            let by = field.holder.as_ref().map(|holder| holder.manager.clone());
            return Some(Reason::Contested { path: field.path.clone(), by });
        }
        let reported = self.options.leave.is_some() && field.cause == Cause::Drift;
        (reported && !self.changed_in_repository(&field.path)).then_some(Reason::DriftReported)
    }

    /// Whether someone contests a field: the agent corrected it too often, and the repository wants what it wanted then.
    /// The command line always corrects.
    fn is_contested(&self, field: &FieldChange, body: &Value) -> bool {
        let Some(state) = self.state.filter(|_| self.options.by_agent && field.cause == Cause::Drift) else {
            return false;
        };
        let wanted = wanted(&self.object.group_kind(), body, &field.path);
        state.contested(self.object, &field.path.to_string(), &wanted, self.options.now).is_some()
    }

    /// What is remembered of the corrections of a field tells better why it differs than who holds it now: the whole that it is
    /// a part of is ours again once it was sent with the live value of the part, and is theirs also when the repository wants
    /// another value.
    fn remember(&self, field: &mut FieldChange, body: &Value) {
        let known = self.state.and_then(|state| state.corrections_of(self.object, &field.path.to_string()));
        let Some(known) = known.filter(|known| !known.wanted.is_empty()) else { return };
        let same = known.wanted == wanted(&self.object.group_kind(), body, &field.path);
        match (field.cause, same) {
            (Cause::Pending, true) => field.cause = Cause::Drift,
            (Cause::Drift, false) => (field.cause, field.holder) = (Cause::Pending, None),
            _ => {}
        }
        if field.cause == Cause::Drift && field.holder.is_none() && !known.by.is_empty() {
            let manager = Untrusted::new(known.by.as_str());
            field.holder =
                Some(Holder { manager, operation: Operation::Update, subresource: String::new(), time: None });
        }
    }

    fn leaf(&self, path: &FieldPath) -> Option<&FieldPath> {
        self.declared.leaves.iter().map(|leaf| &leaf.path).find(|leaf| path.is_below(leaf))
    }

    /// Takes a field out of the text, or puts its live value there.
    fn take_out(&self, body: &mut Value, path: &FieldPath) {
        let leaf = self.leaf(path);
        match (leaf, value_at(self.live, leaf.unwrap_or(path))) {
            // When something else is written it is put back with it ([`super::conclude`]).
            _ if is_annotation(path) => super::assess::take_record(body),
            (Some(leaf), Some(value)) if self.managers.other_of(leaf).is_none() => super::edit::set(body, leaf, value),
            (None, Some(_)) => super::edit::order_as(body, path, self.live, self.declared),
            (leaf, _) => super::edit::remove(body, leaf.unwrap_or(path)),
        };
    }

    /// Whether the lists on the way to a field have as many items in the text as live, so that the path means the same item.
    fn is_in_place(&self, path: &FieldPath, body: &Value) -> bool {
        let count = |value, list: &FieldPath| value_at(value, list).and_then(Value::as_array).map(Vec::len);
        path.0.iter().enumerate().filter(|(_, element)| matches!(element, Element::Index(_))).all(|(depth, _)| {
            let list = FieldPath(path.0[..depth].to_vec());
            count(body, &list) == count(self.live, &list)
        })
    }

    /// Whether the repository itself gave the leaf at a path another value since the last apply.
    fn changed_in_repository(&self, path: &FieldPath) -> bool {
        let Some(renewed) = self.options.leave.as_ref().and_then(|leave| leave.renewed.get(self.object)) else {
            return false;
        };
        // Before, it was not in the repository at all.
        let Some(before) = renewed else { return true };
        let leaf = self.declared.leaves.iter().find(|leaf| path.is_below(&leaf.path));
        leaf.is_some_and(|leaf| value_at(before, &leaf.path) != Some(leaf.value))
    }
}

/// A digest of what a text wants a field to be, to know later whether the repository still wants the same. Of a secret no
/// digest of its own is kept: it could be guessed by it. That of the whole object stands for it.
pub fn wanted(kind: &GroupKind, body: &Value, path: &FieldPath) -> String {
    if is_masked(kind, path) {
        return Applied::read(body).map(|applied| short(applied.digest.as_bytes())).unwrap_or_default();
    }
    if path.fits("metadata.annotations") && path.ends_with(APPLIED) {
        return "record".to_owned();
    }
    short(value_at(body, path).map_or_else(|| "absent".to_owned(), Value::to_string).as_bytes())
}

fn short(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::declare;
    use crate::inventory::Correction;
    use crate::plan::drift::{Text, differences};
    use crate::schema::Schemas;
    use serde_json::json;

    const PORT: &str = "spec.ingress[0].ports[0].port";

    fn policy(port: u16, other: u16) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "n"},
            "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": port, "protocol": "TCP"}, {"port": other, "protocol": "TCP"}]}]}})
    }

    /// The same with the record of an apply of a text.
    fn recorded(mut value: Value, text: &Value) -> Value {
        let schemas = Schemas::default();
        let schema = schemas.of(&GroupKind::new("networking.k8s.io", "NetworkPolicy"), "v1");
        value["metadata"]["annotations"] = json!({APPLIED: Applied::of(text, &declare(text, schema).set).text()});
        value
    }

    /// A text as it is sent.
    fn sent(text: Value) -> Value {
        let copy = text.clone();
        recorded(text, &copy)
    }

    fn held_by(mut live: Value, manager: &str, operation: &str) -> Value {
        let fields =
            json!({"f:spec": {"f:podSelector": {}}, "f:metadata": {"f:annotations": {format!("f:{APPLIED}"): {}}}});
        live["metadata"]["managedFields"] = json!([
            {"manager": "spinway", "operation": "Apply", "fieldsV1": fields},
            {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:ingress": {}}}}]);
        live
    }

    /// What is left and what goes on, with the text that is sent, of a port that was corrected to 80 three times.
    fn leave(mut body: Value, live: &Value, by_agent: bool) -> (Vec<FieldChange>, Vec<FieldChange>, Value) {
        let object = ObjectRef::new("networking.k8s.io", "NetworkPolicy", "n", "p");
        let schemas = Schemas::default();
        let schema = schemas.of(&object.group_kind(), "v1");
        let path = FieldPath::spelt(&["f:spec", "f:ingress", "i:0", "f:ports", "i:0", "f:port"]);
        let mut state = State::default();
        let first = policy(80, 443);
        let wanted = wanted(&object.group_kind(), &first, &path);
        for now in 0..3 {
            let correction = Correction { path: PORT.to_owned(), wanted: wanted.clone(), by: "canary".to_owned() };
            state.corrected(vec![(object.clone(), correction)], now);
        }
        let text = body.clone();
        let declared = declare(&text, schema);
        let applied = Applied::read(&text).unwrap();
        let ignored = BTreeSet::new();
        let seen = Text {
            value: &text,
            declared: &declared,
            custom: false,
            applied: &applied,
            source: crate::live::Source::Cluster,
            was_member: true,
            ignored: &ignored,
            schema: None,
        };
        let mut drift = differences(&seen, live);
        let options = Options { by_agent, now: 10, ..Options::default() };
        let managers = Managers::of(live);
        let leaving = Leaving {
            object: &object,
            state: Some(&state),
            options: &options,
            declared: &declared,
            live,
            managers: &managers,
        };
        let (left, _) = leaving.leave(&mut drift, &mut body);
        (left, drift.fields, body)
    }

    fn paths(fields: &[FieldChange]) -> Vec<(String, Cause)> {
        fields.iter().map(|field| (field.path.to_string(), field.cause)).collect()
    }

    #[test]
    fn a_list_of_which_only_the_contested_part_differs_is_not_sent() {
        let live = held_by(recorded(policy(50, 443), &policy(80, 443)), "canary", "Update");
        let (left, rest, body) = leave(sent(policy(80, 443)), &live, true);
        assert_eq!((paths(&left), rest.len()), (vec![(PORT.to_owned(), Cause::Drift)], 0));
        assert_eq!(body.pointer("/spec/ingress"), None);
    }

    #[test]
    fn beside_a_contested_part_the_rest_of_a_list_goes_through() {
        let live = held_by(recorded(policy(50, 443), &policy(80, 443)), "canary", "Update");
        let (left, rest, body) = leave(sent(policy(80, 444)), &live, true);
        assert_eq!(paths(&left), [(PORT.to_owned(), Cause::Drift)]);
        assert_eq!(paths(&rest), [("spec.ingress[0].ports[1].port".to_owned(), Cause::Pending)]);
        let ports = body.pointer("/spec/ingress/0/ports").unwrap();
        assert_eq!((&ports[0]["port"], &ports[1]["port"]), (&json!(50), &json!(444)));
        // From then on the list is ours, and differs from what is wanted.
        let mut live = recorded(policy(50, 444), &policy(80, 444));
        live["metadata"]["managedFields"] = json!([{"manager": "spinway", "operation": "Apply", "fieldsV1":
            {"f:spec": {"f:podSelector": {}, "f:ingress": {}}, "f:metadata": {"f:annotations": {format!("f:{APPLIED}"): {}}}}}]);
        let (left, rest, body) = leave(sent(policy(80, 444)), &live, true);
        assert_eq!((paths(&left), rest.len()), (vec![(PORT.to_owned(), Cause::Drift)], 0));
        assert_eq!(body.pointer("/spec/ingress/0/ports/0/port"), Some(&json!(50)));
    }

    #[test]
    fn what_the_repository_wants_anew_is_no_drift() {
        let live = held_by(recorded(policy(50, 443), &policy(80, 443)), "canary", "Update");
        let (left, rest, body) = leave(sent(policy(70, 443)), &live, true);
        assert_eq!((left.len(), paths(&rest)), (0, vec![(PORT.to_owned(), Cause::Pending)]));
        assert_eq!(body.pointer("/spec/ingress/0/ports/0/port"), Some(&json!(70)));
    }

    #[test]
    fn among_other_items_it_is_another_field() {
        let mut text = policy(80, 443);
        text["spec"]["ingress"][0]["ports"].as_array_mut().unwrap().push(json!({"port": 9, "protocol": "TCP"}));
        let live = held_by(recorded(policy(50, 443), &policy(80, 443)), "canary", "Update");
        let (left, rest, body) = leave(sent(text), &live, true);
        assert_eq!((left.len(), rest.len()), (0, 2));
        assert_eq!(body.pointer("/spec/ingress/0/ports/0/port"), Some(&json!(80)));
    }

    #[test]
    fn the_command_line_corrects() {
        let live = held_by(recorded(policy(50, 443), &policy(80, 443)), "canary", "Update");
        let (left, rest, _) = leave(sent(policy(80, 443)), &live, false);
        assert_eq!((left.len(), paths(&rest)), (0, vec![(PORT.to_owned(), Cause::Drift)]));
    }

    #[test]
    fn no_digest_of_a_secret_value_alone_is_kept() {
        let secret =
            |value: &str, digest: &str| json!({"metadata": {"annotations": {APPLIED: digest}}, "data": {"k": value}});
        let of = |value: &Value| wanted(&GroupKind::new("", "Secret"), value, &FieldPath::of(&["data", "k"]));
        assert_eq!(of(&secret("one", "a")), of(&secret("two", "a")));
        assert_ne!(of(&secret("one", "a")), of(&secret("one", "b")));
    }
}
