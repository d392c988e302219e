//! Changes of custom resource definitions that lose something: a stored version, a field or a version that is in use, the
//! channel or the bundle that they came from. Kubernetes accepts most of them, and what is lost shows later.

use super::blocks::block;
use super::{Action, Change, DefinitionLoss, Plan, Reason, guard};
use crate::desired::Desired;
use crate::inventory::Held;
use crate::live::Live;
use crate::object::GroupKind;
use crate::schema::{
    Schemas, Validator, crd_versions, is_downgraded, is_narrowed, is_set, lost_version, version_names,
};
use serde_json::Value;

/// Objects that are looked at for fields that would go.
const LOOKED_AT: usize = 1000;

/// Holds changes of definitions that lose something, and blocks those that the API server would refuse or that cannot be
/// undone.
pub(super) fn hold_definitions(plan: &mut Plan, desired: &Desired, live: &Live) -> Vec<Held> {
    let mut held = Vec::new();
    for change in &mut plan.changes {
        if change.object.kind != "CustomResourceDefinition" || change.action != Action::Update {
            continue;
        }
        let (Some(before), Some(after)) = (live.get(&change.object), change.body.clone()) else { continue };
        if let Some(lost) = stored(before, &after) {
            block(change, Reason::Definition(lost));
            continue;
        }
        let mut reasons: Vec<DefinitionLoss> = lower(before, &after).into_iter().collect();
        reasons.extend(unserved(&after, desired));
        reasons.extend(lost_field(&after, live));
        if reasons.is_empty() {
            continue;
        }
        change.because.extend(reasons.into_iter().map(Reason::Definition));
        held.push(hold(change));
    }
    held
}

fn hold(change: &mut Change) -> Held {
    let held = guard::destroys(change, "change");
    change.action = Action::Held;
    held
}

/// A version in which objects may be stored cannot go: they could not be read any more.
fn stored(before: &Value, after: &Value) -> Option<DefinitionLoss> {
    Some(DefinitionLoss::Stored { version: lost_version(before, after)?.to_owned() })
}

/// An older bundle, or the standard channel over the experimental one.
fn lower(before: &Value, after: &Value) -> Option<DefinitionLoss> {
    if is_narrowed(before, after) {
        return Some(DefinitionLoss::Channel);
    }
    is_downgraded(before, after).map(|(from, to)| DefinitionLoss::Bundle { from: from.to_owned(), to: to.to_owned() })
}

/// A version that the repository still writes.
fn unserved(after: &Value, desired: &Desired) -> Option<DefinitionLoss> {
    let (kind, _) = crd_versions(after)?;
    let served = version_names(after, |version| is_set(version, "served"));
    let mut written = desired.objects.iter().filter(|(reference, _)| reference.group_kind() == kind);
    let (reference, member) = written.find(|(_, member)| !served.contains(member.object.version.as_str()))?;
    Some(DefinitionLoss::Unserved { object: reference.clone(), version: member.object.version.clone() })
}

/// A field of a live object that the new definition does not know.
fn lost_field(after: &Value, live: &Live) -> Option<DefinitionLoss> {
    let mut schemas = Schemas::default();
    schemas.add_crd(after);
    let (kind, _): (GroupKind, _) = crd_versions(after)?;
    let mut validator = Validator::default();
    live.of_kind(&kind.group, &kind.kind, None).take(LOOKED_AT).find_map(|(reference, value)| {
        let version = crate::object::split_api_version(value.get("apiVersion")?.as_str()?).1;
        let mut text = value.clone();
        // What controllers report is theirs to write again.
        text.as_object_mut()?.shift_remove("status");
        let schema = schemas.of(&kind, version)?;
        let unknown = validator.structure(&text, schema).into_iter().find(|violation| violation.unknown)?;
        let field = crate::object::dotted(&unknown.pointer);
        Some(DefinitionLoss::Field { object: reference.clone(), field })
    })
}
