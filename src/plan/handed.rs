//! An app whose number of pods is handed to an autoscaler. Its operator lets go of the number in the same write, and the API
//! server falls back to one pod when nobody else has written it: an autoscaler only writes when it wants another number.

use super::{Action, Break, Change};
use crate::desired::Desired;
use crate::fields::{FieldPath, Managers};
use crate::kinds::{self, SPIN};
use crate::live::Live;
use crate::object::ObjectRef;
use serde_json::Value;

/// The manager by which the Spin operator writes Deployments.
const OPERATOR: &str = "spin-operator";

/// The pods of an app fall back to one until its autoscaler acts. `None` when nothing falls.
pub(super) fn falls_back(change: &Change, desired: &Desired, live: &Live) -> Option<Break> {
    if !change.object.is(SPIN, "SpinApp") || !matches!(change.action, Action::Update | Action::Adopt) {
        return None;
    }
    let (before, after) = (live.get(&change.object)?, change.body.as_ref()?);
    let is_on = |app: &Value| app.pointer("/spec/enableAutoscaling") == Some(&Value::Bool(true));
    if is_on(before) || !is_on(after) {
        return None;
    }
    let target = ObjectRef::new("apps", "Deployment", change.object.namespace(), &change.object.name);
    let deployment = live.get(&target);
    if deployment.is_some_and(is_held_by_another) {
        return None;
    }
    let replicas = |value: &Value| value.pointer("/spec/replicas").and_then(Value::as_i64);
    let now = deployment.and_then(replicas).or_else(|| replicas(before)).filter(|now| *now > 1)?;
    let scaler = scaler_of(&target, desired, live);
    // It wants more than there are, so it writes the number before the operator lets go of it.
    if scaler.as_ref().is_some_and(|(_, least)| *least > now) {
        return None;
    }
    Some(Break::ScaledDown { target, from: now, scaler: scaler.map(|(scaler, _)| scaler) })
}

fn is_held_by_another(deployment: &Value) -> bool {
    let path = FieldPath::of(&["spec", "replicas"]);
    Managers::of(deployment).holders_of(&path).iter().any(|holder| holder.manager.raw() != OPERATOR)
}

/// The autoscaler of an object, as it is wanted or else as it is, with the least number of pods that it keeps.
fn scaler_of(target: &ObjectRef, desired: &Desired, live: &Live) -> Option<(ObjectRef, i64)> {
    let targets = |scaler: &ObjectRef, value: &Value| kinds::references(scaler, value).iter().any(|r| r.to == *target);
    let found = kinds::SCALERS.into_iter().find_map(|(group, kind)| {
        let wanted = desired.of_kind(group, kind, Some(target.namespace()));
        let mut wanted = wanted.map(|(scaler, member)| (scaler, &member.object.value));
        let mut there = live.of_kind(group, kind, Some(target.namespace()));
        wanted.find(|(s, v)| targets(s, v)).or_else(|| there.find(|(s, v)| targets(s, v)))
    });
    let (scaler, value) = found?;
    let least = |pointer: &str, default: i64| value.pointer(pointer).and_then(Value::as_i64).unwrap_or(default);
    let least = match scaler.kind.as_str() {
        "ScaledObject" => least("/spec/minReplicaCount", 0),
        _ => least("/spec/minReplicas", 1),
    };
    Some((scaler.clone(), least))
}
