//! What a plan says of its gates before it is done: what is known to be sick blocks a change, what may become healthy is waited for.

use super::{acting, makers};
use crate::desired::Desired;
use crate::graph::Graph;
use crate::kinds::{GATEWAY, Health, Verdict};
use crate::live::{Live, Observed, Presence, Source};
use crate::object::ObjectRef;
use crate::plan::blocks::{block, block_used_deletes, block_waiting, sick_need};
use crate::plan::steps::{Need, Proof, available, needs_of};
use crate::plan::{Action, Change, Plan, Reason};
use crate::routing::{Claims, beyond, claims, is_route};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks what would move requests to something that is known to be sick, and says of the rest what it waits for. Gives whether
/// anything was blocked.
pub(in crate::plan) fn judge_gates(plan: &mut Plan, desired: &Desired, live: &Live, graph: &Graph) -> bool {
    if live.source == Source::None || plan.steps.is_empty() {
        return false;
    }
    let observed = Observed::new(desired, live);
    let changed: BTreeSet<ObjectRef> =
        plan.changes.iter().filter(|c| c.action.is_acting()).map(|c| c.object.clone()).collect();
    // By the object that is in the way, so that each is told once and in their order.
    let mut notes: BTreeMap<usize, BTreeMap<ObjectRef, Reason>> = BTreeMap::new();
    for step in &plan.steps {
        for gate in step.gates.iter().filter(|gate| matches!(gate.proof, Proof::Healthy | Proof::Serves)) {
            let judged = match gate.proof {
                Proof::Serves => backend_health(&gate.object, desired, live, &observed, &changed),
                _ if changed.contains(&gate.object) => None,
                _ => Some((gate.object.clone(), observed.health(&gate.object))),
            };
            let Some((object, health)) = judged else { continue };
            let Some(reason) = Reason::of_backend(&object, &health) else { continue };
            notes.entry(step.change).or_default().insert(object, reason);
        }
    }
    let mut blocked = false;
    for (index, route) in given_up(plan, desired, live) {
        block(&mut plan.changes[index], Reason::GivesUp { route });
        blocked = true;
        notes.remove(&index);
    }
    for (index, by) in still_needed(plan, live) {
        block(&mut plan.changes[index], Reason::StillNeeded { by });
        blocked = true;
        notes.remove(&index);
    }
    for (index, reasons) in notes {
        let change = &mut plan.changes[index];
        for reason in reasons.into_values() {
            if let Reason::BackendSick { object, health } = &reason {
                plan.diagnostics.push(
                    sick_need(&change.object, object, health, change.origin.as_ref()).help(
                        "Fix it, or point the route to a healthy backend. What is already applied stays as it is.",
                    ),
                );
                change.action = Action::Blocked;
                blocked = true;
            }
            if !change.because.contains(&reason) {
                change.because.push(reason);
            }
        }
    }
    if blocked {
        block_waiting(plan, desired, graph);
        block_used_deletes(plan, live);
    }
    blocked
}

/// Changes of routes that give up requests which the repository wants another route to take over, while that one is held,
/// blocked or not selected: it does not come before them, and not with this plan.
fn given_up(plan: &Plan, desired: &Desired, live: &Live) -> Vec<(usize, ObjectRef)> {
    let acting = acting(plan);
    let mut withheld: Claims<&ObjectRef> = Claims::default();
    for (route, member) in desired.objects.iter().filter(|(object, _)| is_route(object) && !acting.contains(*object)) {
        let of = |value: &Value| claims(route, value);
        let (there, wanted) = (live.get(route).map(of).unwrap_or_default(), of(&member.object.value));
        let missing = beyond(&wanted, &there).into_iter().filter(|claim| claim.is_served());
        missing.for_each(|claim| withheld.add(route, claim.clone()));
    }
    if withheld.all().is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, change) in plan.changes.iter().enumerate().filter(|(_, c)| c.action.is_acting() && is_route(&c.object))
    {
        let of = |value: Option<&Value>| value.map(|value| claims(&change.object, value)).unwrap_or_default();
        let (before, after) = (of(live.get(&change.object)), of(change.body.as_ref()));
        let mut lost = beyond(&before, &after).into_iter().filter(|claim| claim.is_served());
        let route = lost.find_map(|claim| withheld.meeting(claim).next().map(|(route, _)| (*route).clone()));
        found.extend(route.map(|route| (index, route)));
    }
    found
}

/// Changes that take away a listener, a port or a grant which a live route needs and goes on to need: as with the deletion of a
/// whole object, a use that is held, not selected or not ours keeps what it uses (law 2).
fn still_needed(plan: &Plan, live: &Live) -> Vec<(usize, ObjectRef)> {
    let kinds = [(GATEWAY, "Gateway"), (GATEWAY, "ListenerSet"), (GATEWAY, "ReferenceGrant"), ("", "Service")];
    let (mut providers, mut grants): (BTreeMap<&ObjectRef, usize>, Vec<usize>) = (BTreeMap::new(), Vec::new());
    let mut changes: BTreeMap<&ObjectRef, &Change> = BTreeMap::new();
    for (index, change) in plan.changes.iter().enumerate().filter(|(_, change)| change.action.is_acting()) {
        changes.insert(&change.object, change);
        if live.has(&change.object) && kinds.iter().any(|(group, kind)| change.object.is(group, kind)) {
            providers.insert(&change.object, index);
            grants.extend(change.object.is(GATEWAY, "ReferenceGrant").then_some(index));
        }
    }
    let mut found = Vec::new();
    if providers.is_empty() {
        return found;
    }
    let states = |index: usize| (live.get(&plan.changes[index].object), plan.changes[index].body.as_ref());
    let meets =
        |object: &ObjectRef, state: Option<&Value>, need: &Need| state.is_some_and(|s| available(object, s, need));
    // Another grant may allow the same, as it will be after the plan.
    let others = |index: usize, need: &Need| {
        let all =
            live.of_kind(GATEWAY, "ReferenceGrant", None).filter(|(grant, _)| **grant != plan.changes[index].object);
        all.into_iter().any(|(grant, value)| {
            let after = changes.get(grant).map_or(Some(value), |change| change.body.as_ref());
            meets(grant, after, need)
        })
    };
    for (route, value) in live.objects().filter(|(object, _)| is_route(object)) {
        let after = changes.get(route).map_or(Some(value), |change| change.body.as_ref());
        let Some(after) = after else { continue };
        let keeps = needs_of(route, after);
        for need in needs_of(route, value).intersection(&keeps) {
            let by: &[usize] = match need {
                Need::Grant(..) => &grants,
                // Whether a whole object goes that is used is looked at before.
                Need::Object(object, Some(_)) => providers.get(object).map_or(&[], std::slice::from_ref),
                Need::Object(..) => &[],
            };
            for index in by {
                let (object, (before, then)) = (&plan.changes[*index].object, states(*index));
                let goes = then.is_some() || matches!(need, Need::Grant(..));
                if goes && meets(object, before, need) && !meets(object, then, need) && !others(*index, need) {
                    found.push((*index, route.clone()));
                }
            }
        }
    }
    found.sort();
    found.dedup_by_key(|(index, _)| *index);
    found
}

/// The health of what a backend is made of, as far as planning looks; none when this plan changes it, or nothing is known.
fn backend_health(
    backend: &ObjectRef,
    desired: &Desired,
    live: &Live,
    observed: &Observed<'_>,
    changed: &BTreeSet<ObjectRef>,
) -> Option<(ObjectRef, Health)> {
    if changed.contains(backend) {
        return None;
    }
    let apps: Vec<ObjectRef> = makers(backend, desired, live).collect();
    if apps.iter().any(|app| changed.contains(app)) {
        return None;
    }
    let sick =
        apps.into_iter().map(|app| (observed.health(&app), app)).find(|(health, _)| health.verdict != Verdict::Current);
    if let Some((health, app)) = sick {
        return Some((app, health));
    }
    let gone = live.presence(backend) == Presence::Absent && !desired.objects.contains_key(backend);
    (gone && makers(backend, desired, live).next().is_none()).then(|| (backend.clone(), observed.health(backend)))
}
