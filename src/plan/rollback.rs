//! What people hold at an older revision: the objects of then take the place of those of now.

use super::selection;
use crate::desired::{Desired, PLATFORM};
use crate::inventory::{Parent, Scope, Stop};
use crate::object::{Diagnostic, ObjectRef};
use crate::schema::CRD_GROUP;
use serde_json::Value;

/// The rollbacks in force, with the partition that each stands on.
pub fn holds(desired: &Desired, parents: &[Parent], now: i64) -> Vec<(String, Stop)> {
    let all =
        parents.iter().flat_map(|parent| parent.stops.iter().map(|stop| (parent.partition.clone(), stop.clone())));
    let known = |partition: &str| desired.config.as_ref().is_some_and(|c| c.partitions().contains(&partition));
    all.filter(|(partition, stop)| stop.revision.is_some() && stop.is_in_force(now) && known(partition)).collect()
}

/// Puts the objects of an older revision in the place of today's, as far as a stop covers them. Definitions of kinds stay as
/// they are today: what is stored may be of their newer versions.
pub fn hold_back(desired: &mut Desired, older: &Desired, partition: &str, stop: &Stop) {
    let covered = |reference: &ObjectRef, value: &Value, of: &str| covers(reference, value, of, partition, stop);
    desired.objects.retain(|reference, member| !covered(reference, &member.object.value, &member.partition));
    let then = older.objects.iter().filter(|(r, m)| covered(r, &m.object.value, &m.partition));
    desired.objects.extend(then.map(|(reference, member)| (reference.clone(), member.clone())));
    // What could not be read then may be what is covered.
    desired.unread.extend(older.unread.iter().filter(|unread| *unread == partition).cloned());
}

/// An older revision that cannot be read: nothing of what it covers is changed.
pub fn hold_unread(desired: &mut Desired, partition: &str, stop: &Stop, why: &str) {
    let covered: Vec<ObjectRef> = desired
        .objects
        .iter()
        .filter(|(reference, member)| covers(reference, &member.object.value, &member.partition, partition, stop))
        .map(|(reference, _)| reference.clone())
        .collect();
    for reference in covered {
        let text = format!("{} It cannot be read: {why}", stop.text().terminal());
        desired.diagnostics.push(Diagnostic::error("rollback", text).about(&reference));
    }
    desired.unread.insert(partition.to_owned());
}

fn covers(reference: &ObjectRef, value: &Value, of: &str, partition: &str, stop: &Stop) -> bool {
    if reference.is(CRD_GROUP, "CustomResourceDefinition") {
        return false;
    }
    match &stop.scope {
        Scope::Environment => partition == PLATFORM,
        Scope::Tenant => of == partition,
        Scope::App(app) => of == partition && selection::is_of_app(reference, value, app),
    }
}
