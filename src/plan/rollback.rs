//! What people hold at an older revision: the objects of then take the place of those of now.

use super::selection;
use crate::desired::{Desired, Member, PLATFORM};
use crate::inventory::{Parent, Scope, Stop};
use crate::kinds;
use crate::object::{Diagnostic, ObjectRef, hex};
use crate::schema::CRD_GROUP;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The rollbacks in force, with the partition that each stands on.
pub fn holds(desired: &Desired, parents: &[Parent], now: i64) -> Vec<(String, Stop)> {
    let all =
        parents.iter().flat_map(|parent| parent.stops.iter().map(|stop| (parent.partition.clone(), stop.clone())));
    let known = |partition: &str| desired.config.as_ref().is_some_and(|c| c.partitions().contains(&partition));
    let rollbacks = all.filter(|(partition, stop)| stop.is_rollback(now) && known(partition));
    // One that a failure made is over when the repository has another text for the app.
    rollbacks.filter(|(_, stop)| stop.failed.is_none() || stop.failed == text_of(desired, &stop.scope)).collect()
}

/// The digest of the text of a stop's app.
fn text_of(desired: &Desired, scope: &Scope) -> Option<String> {
    if let Scope::App(app) = scope { text_digest(desired, app) } else { None }
}

/// The digest of what the repository has of an app (`NAMESPACE/NAME`): everything that an App makes, or a SpinApp.
pub fn text_digest(desired: &Desired, app: &str) -> Option<String> {
    let mut digest = Sha256::new();
    let mut any = false;
    for (reference, member) in &desired.objects {
        if kinds::app_of(reference, &member.object.value).as_deref() == Some(app) {
            digest.update(member.object.value.to_string());
            any = true;
        }
    }
    any.then(|| hex(&digest.finalize()[..16]))
}

/// Puts the objects of an older revision in the place of today's, as far as a stop covers them. Definitions of kinds stay as
/// they are today: what is stored may be of their newer versions.
pub fn hold_back(desired: &mut Desired, older: &Desired, partition: &str, stop: &Stop) {
    let covered = |reference: &ObjectRef, value: &Value, of: &str| covers(reference, value, of, partition, stop);
    // Covered is what is of it now or was then; a route that was shared then and is its own now goes back as a whole.
    let now = desired.objects.iter().filter(|(r, m)| covered(r, &m.object.value, &m.partition));
    let then = older.objects.iter().filter(|(r, m)| covered(r, &m.object.value, &m.partition));
    let all: BTreeSet<ObjectRef> = now.chain(then).map(|(reference, _)| reference.clone()).collect();
    for reference in all {
        let (new, old) = (desired.objects.get(&reference), older.objects.get(&reference));
        // What is someone else's today stays theirs, and what was someone else's then is not brought back.
        let foreign =
            |of: Option<&Member>| of.is_some_and(|m| stop.scope != Scope::Environment && m.partition != partition);
        if foreign(new) || foreign(old) {
            continue;
        }
        desired.held_back.insert(reference.clone(), stop.clone());
        match old.cloned() {
            Some(member) => desired.objects.insert(reference, member),
            None => desired.objects.remove(&reference),
        };
    }
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
        let revision = stop.revision.as_deref().unwrap_or_default();
        let text = format!("{reference} is held at revision {revision}, which cannot be read: {why}");
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
