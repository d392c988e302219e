//! What may be deleted, and what waits for approval (design law 6).

use super::{Action, Change, Destructive, Options, Reason, renamed};
use crate::desired::{Budget, Desired, GROUP, Member};
use crate::fields::Managers;
use crate::inventory::{Held, Owner, Parent, ids, keep_mark, owner};
use crate::kinds::{self, SPIN, each};
use crate::live::{Coverage, Live};
use crate::object::{Diagnostic, ObjectRef, hex, label, meta};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The deletes that the repository asks for, and what is said about those that are not made.
pub(super) fn deletions(
    desired: &Desired,
    live: &Live,
    parents: &[Parent],
    frozen: &BTreeMap<String, String>,
) -> (Vec<Change>, Vec<Diagnostic>) {
    let ids = ids(parents);
    let mut changes = Vec::new();
    let mut diagnostics = Vec::new();
    for (reference, stored) in live.others(&desired.objects) {
        let value = stored.value();
        let Owner::Ours(partition) = owner(value, &ids) else { continue };
        if !meta(value, "deletionTimestamp").is_empty() {
            continue;
        }
        let known = parents.iter().any(|p| p.known_uid(reference) == Some(meta(value, "uid")));
        let mut keep = |id, message: String| diagnostics.push(Diagnostic::warning(id, message).about(reference));
        if Managers::of(value).ours().is_none() && !known {
            keep("prune-foreign", format!("{reference} carries our label but was not applied by us; it is kept."));
            continue;
        }
        if let Some(mark) = keep_mark(value) {
            keep("prune-kept", format!("{reference} is no longer in the repository and is kept: {mark}."));
            continue;
        }
        if let Some(reason) = frozen.get(&partition) {
            keep(
                "prune-frozen",
                format!("{reference} is no longer wanted; nothing of partition {partition} is deleted while {reason}."),
            );
            continue;
        }
        let superseded = superseded_by(reference, value, &partition, desired);
        let is_superseded = superseded.is_some();
        let because = superseded.map_or(Reason::Undeclared, |app| Reason::Superseded { app });
        changes.push(Change {
            action: Action::Delete,
            intended: Action::Delete,
            superseded: is_superseded,
            because: vec![because],
            uid: meta(value, "uid").to_owned(),
            resource_version: meta(value, "resourceVersion").to_owned(),
            ..Change::unchanged(reference, &meta_version(value), &partition)
        });
    }
    (changes, diagnostics)
}

/// The App, if it has other versions than this one in the repository.
fn superseded_by(
    reference: &ObjectRef,
    value: &serde_json::Value,
    partition: &str,
    desired: &Desired,
) -> Option<String> {
    let versioned =
        reference.is(SPIN, "SpinApp") || kinds::SCALERS.iter().any(|(group, kind)| reference.is(group, kind));
    let version = ObjectRef::new(SPIN, "SpinApp", reference.namespace(), &reference.name);
    let app = label(value, kinds::APP).filter(|_| versioned && !desired.objects.contains_key(&version))?;
    let mut others = desired.of_kind(SPIN, "SpinApp", Some(reference.namespace()));
    let is_version =
        |member: &Member| member.partition == partition && label(&member.object.value, kinds::APP) == Some(app);
    others.any(|(_, member)| is_version(member)).then(|| format!("{}/{app}", reference.namespace()))
}

fn meta_version(value: &serde_json::Value) -> String {
    let api_version = value.get("apiVersion").and_then(serde_json::Value::as_str).unwrap_or_default();
    crate::object::split_api_version(api_version).1.to_owned()
}

/// The partitions in which nothing may be deleted, with the reason.
pub(super) fn frozen(
    desired: &Desired,
    live: &Live,
    parents: &[Parent],
    broken: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut frozen = broken.clone();
    for partition in &desired.unread {
        frozen.entry(partition.clone()).or_insert_with(|| "a part of its files could not be read".to_owned());
    }
    let unknown = live.has_unknown();
    for parent in parents {
        let has = |object: &ObjectRef| {
            parent.known_uid(object).is_some()
                || object.is(GROUP, "App") && parent.knows_app(object.namespace(), &object.name)
        };
        if let Some((object, place)) = desired.unowned.iter().find(|(object, _)| has(object)) {
            frozen
                .entry(parent.partition.clone())
                .or_insert_with(|| format!("{object} stands in {}, which nobody owns", place.file));
        }
        let members = desired.objects.iter().filter(|(_, m)| m.partition == parent.partition);
        let kinds: BTreeSet<_> =
            parent.kinds.iter().cloned().chain(members.clone().map(|(r, _)| r.group_kind())).collect();
        for kind in kinds {
            if let Some(Coverage::Unknown(reason)) = live.coverage.get(&kind) {
                frozen
                    .entry(parent.partition.clone())
                    .or_insert_with(|| format!("{kind} could not be listed ({reason})"));
            }
        }
        for (reference, _) in members {
            if live
                .namespaced(&reference.group_kind())
                .is_some_and(|namespaced| namespaced != reference.namespace.is_some())
            {
                frozen.entry(parent.partition.clone()).or_insert_with(|| format!("{reference} says the wrong scope"));
            }
            if let Some(reason) = live.unknown(reference).filter(|_| unknown) {
                frozen
                    .entry(parent.partition.clone())
                    .or_insert_with(|| format!("{reference} could not be read ({reason})"));
            }
        }
    }
    frozen
}

/// Holds what needs approval; gives what is held.
pub(super) fn hold(
    changes: &mut [Change],
    desired: &Desired,
    live: &Live,
    parents: &[Parent],
    options: &Options,
) -> Vec<Held> {
    let budget = desired.rules().budget(&desired.environment);
    renamed::find(changes, desired, live, parents, options.now - budget.window);
    let crowded = over_budget(changes, desired, parents, budget, options.now);
    let last = last_routes(changes, desired, live);
    let inventory = &desired.rules().inventory.namespace;
    let mut held = Vec::new();
    for change in changes.iter_mut() {
        if !matches!(change.action, Action::Delete | Action::Replace) || change.superseded {
            continue;
        }
        let reason = if change.action == Action::Replace {
            Some(Destructive::Replace)
        } else if kinds::of(&change.object.group_kind()).held {
            Some(Destructive::Kind(change.object.group_kind()))
        } else if change.object.namespace() == inventory.as_str() && desired.config.is_some() {
            Some(Destructive::Own)
        } else if desired.environment.protected {
            Some(Destructive::Protected)
        } else if let Some(hostname) = last.get(&change.object) {
            Some(Destructive::LastRoute { hostname: hostname.clone() })
        } else {
            crowded.get(&change.partition).filter(|_| change.successor.is_none()).cloned()
        };
        if let Some(reason) = reason {
            change.because.push(Reason::Destructive(reason));
            held.push(destroys(change, if change.action == Action::Replace { "replace" } else { "delete" }));
            change.action = Action::Held;
        }
    }
    held
}

/// A held change as the destruction digest names it.
pub(super) fn destroys(change: &Change, action: &str) -> Held {
    let text = change.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let new = if text.is_empty() { String::new() } else { hex(&Sha256::digest(text)) };
    Held { action: action.to_owned(), object: change.object.clone(), uid: change.uid.clone(), new }
}

/// The partitions in which more is deleted than the budget allows, and all of them when that of the environment is passed.
fn over_budget(
    changes: &[Change],
    desired: &Desired,
    parents: &[Parent],
    budget: Budget,
    now: i64,
) -> BTreeMap<String, Destructive> {
    let mut planned: BTreeMap<&str, usize> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.is_loss()) {
        *planned.entry(change.partition.as_str()).or_default() += 1;
    }
    // A deletion that was announced by an interrupted run is the same one that is planned now.
    let planned_uid = |uid: &String| changes.iter().any(|c| c.uid == *uid);
    let recent = |parent: &Parent| {
        let counted = parent.state.deletions.iter().filter(|d| d.at > now - budget.window && d.successor.is_none());
        let uids: BTreeSet<&String> = counted.map(|d| &d.uid).collect();
        uids.into_iter().filter(|uid| !planned_uid(uid)).count()
    };
    let past: usize = parents.iter().map(&recent).sum();
    let all: usize = planned.values().sum();
    let (window, total) = (budget.window, budget.total);
    let mut over = BTreeMap::new();
    for (partition, count) in planned {
        let parent = parents.iter().find(|p| p.partition == partition);
        let size = parent
            .map_or(0, |p| p.state.objects.len())
            .max(desired.objects.values().filter(|m| m.partition == partition).count());
        let allowed = budget.of_partition(size);
        let in_partition = count + parent.map_or(0, &recent);
        if in_partition > allowed {
            let of = Some(partition.to_owned());
            over.insert(
                partition.to_owned(),
                Destructive::Budget { deletions: in_partition, partition: of, window, allowed },
            );
        } else if all + past > total {
            over.insert(
                partition.to_owned(),
                Destructive::Budget { deletions: all + past, partition: None, window, allowed: total },
            );
        }
    }
    over
}

/// Deleted routes with a hostname that no remaining route serves.
fn last_routes(changes: &[Change], desired: &Desired, live: &Live) -> BTreeMap<ObjectRef, String> {
    let is_route = |r: &ObjectRef| r.group == kinds::GATEWAY && r.kind.ends_with("Route");
    let hostnames = |value: &serde_json::Value| -> Vec<String> {
        each(value, "spec.hostnames[]").iter().filter_map(|(_, h)| h.as_str().map(str::to_owned)).collect()
    };
    let deleted: BTreeSet<&ObjectRef> =
        changes.iter().filter(|c| c.action == Action::Delete && is_route(&c.object)).map(|c| &c.object).collect();
    if deleted.is_empty() {
        return BTreeMap::new();
    }
    let wanted = desired.objects.iter().filter(|(r, _)| is_route(r)).flat_map(|(_, m)| hostnames(&m.object.value));
    let others =
        live.objects().filter(|(r, _)| is_route(r) && !deleted.contains(r) && !desired.objects.contains_key(r));
    let kept: BTreeSet<String> = wanted.chain(others.flat_map(|(_, v)| hostnames(v))).collect();
    let lost = deleted.iter().filter_map(|route| {
        let hostname = hostnames(live.get(route)?).into_iter().find(|h| !kept.contains(h))?;
        Some(((*route).clone(), hostname))
    });
    lost.collect()
}
