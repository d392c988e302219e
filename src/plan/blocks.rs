//! What is held back, and why: errors, sick needs, approvals that are missing, uses that last.

use super::guard;
use super::{Action, Change, Options, Plan, Reason};
use crate::check;
use crate::desired::{Desired, Member, Tenant, allows_all};
use crate::graph::{Circle, Graph, LIMITS, Limits, Link, LinkKind, pod_labels};
use crate::inventory::{Held, names};
use crate::kinds::{self, Health, Verdict};
use crate::live::{Live, Observed};
use crate::object::{Diagnostic, ObjectRef, Origin, Severity};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks a change, and says why.
pub(super) fn block(change: &mut Change, reason: Reason) {
    change.action = Action::Blocked;
    change.because.push(reason);
}

/// Blocks what has errors, what belongs to an inventory that cannot be read, and what may only be done as a service account that is
/// not named.
pub(super) fn block_erroneous(plan: &mut Plan, desired: &Desired, broken: &BTreeMap<String, String>) {
    let mut errors: BTreeMap<ObjectRef, BTreeSet<&'static str>> = BTreeMap::new();
    for error in plan.diagnostics.iter().filter(|d| d.severity == Severity::Error) {
        if let Some(object) = &error.object {
            errors.entry(object.clone()).or_default().insert(error.id);
        }
    }
    for change in &mut plan.changes {
        let Some(ids) = errors.get(&change.object) else { continue };
        match change.because.iter_mut().find(|reason| matches!(reason, Reason::Erroneous(_))) {
            // What was known when it was read; checks of a change may have found more.
            Some(reason) => *reason = Reason::Erroneous(ids.clone()),
            None if change.action != Action::Blocked => block(change, Reason::Erroneous(ids.clone())),
            None => {}
        }
    }
    for change in plan.changes.iter_mut().filter(|c| c.action.is_acting()) {
        if let Some(why) = broken.get(&change.partition) {
            let partition = change.partition.clone();
            block(change, Reason::InventoryUnreadable { partition, why: why.clone() });
        }
    }
    let lacking = check::without_account(desired);
    for change in plan.changes.iter_mut().filter(|c| c.action.is_acting() && lacking.contains(c.partition.as_str())) {
        let tenant = change.partition.clone();
        block(change, Reason::NoAccount { tenant });
    }
    plan.broken = broken.keys().cloned().collect();
}

/// Blocks all of an App of which an object has errors: what is left of it would run without its limits, or not be reached.
pub(super) fn block_apps(plan: &mut Plan, desired: &Desired, live: &Live) {
    let errors = plan.diagnostics.iter().filter(|d| d.severity == Severity::Error).filter_map(|d| d.object.as_ref());
    // Each team's own: whoever writes the annotation that names an App of another is not of it.
    let of = |object: &ObjectRef| {
        let member = desired.objects.get(object)?;
        Some(((member.partition.as_str(), kinds::app_of(object, &member.object.value)?), object.clone()))
    };
    let apps: BTreeMap<(&str, String), ObjectRef> = errors.filter_map(of).collect();
    if apps.is_empty() {
        return;
    }
    for change in plan.changes.iter_mut().filter(|change| change.action.is_acting()) {
        let wanted = desired.objects.get(&change.object).map(|member| &member.object.value);
        let Some(value) = wanted.or_else(|| live.get(&change.object)) else { continue };
        let app = kinds::app_of(&change.object, value);
        if let Some((app, object)) =
            app.and_then(|app| Some((app.clone(), apps.get(&(change.partition.as_str(), app))?)))
        {
            block(change, Reason::OfErroneousApp { object: object.clone(), app: app.clone() });
        }
    }
}

/// Blocks what is at fault in a circle.
pub(super) fn block_circles(plan: &mut Plan, circles: &[Circle]) {
    let at_fault: BTreeSet<&ObjectRef> = circles.iter().flat_map(|circle| &circle.at_fault).collect();
    for change in plan.changes.iter_mut().filter(|c| c.action.is_acting() && at_fault.contains(&c.object)) {
        block(change, Reason::InCycle);
    }
}

/// Blocks what needs a blocked object, and creates whose need is sick and is not changed.
pub(super) fn block_dependents(plan: &mut Plan, desired: &Desired, live: &Live, graph: &Graph) {
    let observed = Observed::new(desired, live);
    let actions: BTreeMap<ObjectRef, Action> = plan.changes.iter().map(|c| (c.object.clone(), c.action)).collect();
    let blocked = actions.iter().filter(|(_, action)| **action == Action::Blocked).map(|(object, _)| object.clone());
    let mut sick = Vec::new();
    spread(plan, desired, graph, blocked.collect(), |change, need, link, is_blocked| {
        let place = link.origin.clone();
        if is_blocked {
            return Some(Reason::NeedBlocked { need: need.clone(), place });
        }
        let changes = !matches!(actions.get(need), Some(Action::Unchanged) | None);
        if changes || change.action != Action::Create {
            return None;
        }
        let health = observed.health(need);
        if !matches!(health.verdict, Verdict::Failed | Verdict::Terminating) {
            return None;
        }
        let help = "Fix it first. Changes of objects that are already applied are not blocked.";
        sick.push(sick_need(&change.object, need, &health, link.origin.as_ref()).help(help));
        Some(Reason::NeedSick { need: need.clone(), health: Box::new(health), place })
    });
    plan.diagnostics.extend(sick);
}

/// Blocks changes for which a need gives a reason, and then what needs those. `judge` is asked about each need of a change, with
/// whether the need is among the `held` objects.
///
/// Each link is looked at once when its object is first judged, and once more when its need is blocked: a tenant may declare a
/// chain of thousands.
fn spread(
    plan: &mut Plan,
    desired: &Desired,
    graph: &Graph,
    mut held: BTreeSet<ObjectRef>,
    mut judge: impl FnMut(&Change, &ObjectRef, &Link, bool) -> Option<Reason>,
) {
    let may_act = |change: &Change| change.action.is_acting() && change.action != Action::Delete;
    let acting = plan.changes.iter().enumerate().filter(|(_, change)| may_act(change));
    // What a tenant writes where it may not is not what others need.
    let is_meant = |change: &Change, need: &ObjectRef| {
        let counts = |of: &Member| of.partition == change.partition || desired.counts(of);
        desired.objects.get(need).is_none_or(counts)
    };
    let meant = |change: &Change| {
        let mut needs = needs_through_makers(graph, &change.object);
        needs.retain(|(need, _)| is_meant(change, need));
        needs
    };
    let needs: BTreeMap<usize, Vec<(&ObjectRef, &Link)>> = acting.map(|(at, change)| (at, meant(change))).collect();
    let mut needed_by: BTreeMap<&ObjectRef, Vec<usize>> = BTreeMap::new();
    for (at, of_it) in &needs {
        of_it.iter().for_each(|(need, _)| needed_by.entry(need).or_default().push(*at));
    }
    let mut next: BTreeSet<usize> = needs.keys().copied().collect();
    while !next.is_empty() {
        // All are judged by what was held before, so that a reason names what came first.
        let mut blocked = Vec::new();
        for at in &next {
            let change = &plan.changes[*at];
            let reason = needs[at].iter().find_map(|(need, link)| judge(change, need, link, held.contains(*need)));
            blocked.extend(reason.map(|reason| (*at, reason)));
        }
        next.clear();
        for (at, reason) in blocked {
            let change = &mut plan.changes[at];
            block(change, reason);
            held.insert(change.object.clone());
            next.extend(needed_by.get(&change.object).into_iter().flatten());
        }
        next.retain(|at| may_act(&plan.changes[*at]));
    }
}

/// The finding that an object needs another one that is not healthy.
pub(super) fn sick_need(object: &ObjectRef, need: &ObjectRef, health: &Health, place: Option<&Origin>) -> Diagnostic {
    let details = [health.reason.raw(), health.message.raw()].into_iter().filter(|text| !text.is_empty());
    let details = details.collect::<Vec<_>>().join(": ");
    let mut finding = Diagnostic::error("need-sick", format!("{object} needs {need}, which is not healthy: {details}"));
    finding.origin = place.cloned();
    finding.about(object)
}

/// What an object needs, where an object that a controller makes stands for its maker.
fn needs_through_makers<'a>(graph: &'a Graph, object: &ObjectRef) -> Vec<(&'a ObjectRef, &'a Link)> {
    let mut found = Vec::new();
    for (need, link) in graph.needs(object) {
        let makers: Vec<_> = graph.needs(need).into_iter().filter(|(_, link)| link.kind == LinkKind::Maker).collect();
        if makers.is_empty() {
            found.push((need, link));
        }
        found.extend(makers.into_iter().map(|(maker, _)| (maker, link)));
    }
    found
}

/// What needs a held object waits with it.
pub(super) fn block_waiting(plan: &mut Plan, desired: &Desired, graph: &Graph) {
    let waits = |change: &&Change| {
        change.action == Action::Held || change.action == Action::Blocked && change.intended != Action::Delete
    };
    let waiting = plan.changes.iter().filter(waits).map(|change| change.object.clone()).collect();
    let waits_for = |need: &ObjectRef| Reason::NeedWaits { need: need.clone() };
    spread(plan, desired, graph, waiting, |_, need, _, waits| waits.then(|| waits_for(need)));
}

/// A deletion waits while anything live uses the object and is not about to cease to: a use that is held, blocked, not
/// selected or not ours keeps what it uses (laws 2 and 6). Contents of a namespace go with it and do not count.
pub(super) fn block_used_deletes(plan: &mut Plan, live: &Live) {
    if !plan.changes.iter().any(|c| c.action == Action::Delete) {
        return;
    }
    let uses: Vec<(&ObjectRef, Vec<ObjectRef>)> = live
        .objects()
        .map(|(user, value)| {
            (user, kinds::references(user, value).into_iter().filter(|r| !r.optional).map(|r| r.to).collect())
        })
        .collect();
    loop {
        let ceases = |user: &ObjectRef, target: &ObjectRef| {
            plan.change(user).is_some_and(|change| match (change.action, &change.body) {
                (Action::Delete, _) => true,
                (action, Some(body)) if action.is_acting() => {
                    !kinds::references(user, body).iter().any(|r| r.to == *target)
                }
                _ => false,
            })
        };
        let used =
            plan.changes.iter().enumerate().filter(|(_, c)| c.action == Action::Delete).find_map(|(index, change)| {
                let value = live.get(&change.object)?;
                let mut targets = kinds::provides(&change.object, value);
                targets.push(change.object.clone());
                let made_by_it = |user: &ObjectRef| targets.contains(user);
                let mut users = uses.iter().filter(|(user, _)| **user != change.object && !made_by_it(user));
                let user = users.find(|(user, to)| to.iter().any(|t| targets.contains(t) && !ceases(user, t)))?;
                Some((index, user.0.clone()))
            });
        let Some((index, user)) = used.or_else(|| selected(plan, live)) else { return };
        block(&mut plan.changes[index], Reason::StillUsed { by: user });
    }
}

/// Blocks what would run without the policy that limits where it may connect, because that one is blocked (law 11).
pub(super) fn block_unlimited(plan: &mut Plan, desired: &Desired) {
    let blocked = plan.changes.iter().filter(|change| change.action == Action::Blocked);
    let withheld: BTreeSet<&ObjectRef> =
        blocked.map(|change| &change.object).filter(|object| object.is("networking.k8s.io", "NetworkPolicy")).collect();
    if withheld.is_empty() {
        return;
    }
    let unlimited: BTreeMap<ObjectRef, ObjectRef> = check::unlimited(desired, &withheld).into_iter().collect();
    for change in plan.changes.iter_mut().filter(|change| change.action.is_acting()) {
        if let Some(policy) = unlimited.get(&change.object) {
            block(change, Reason::Unlimited { policy: policy.clone() });
        }
    }
}

/// Blocks what takes away the last policy that limits where live pods connect to: also while their replacement rolls out, is
/// paused or is refused, the pods that run keep their labels (law 11).
pub(super) fn block_unlimiting(plan: &mut Plan, desired: &Desired, live: &Live) {
    let last = last_limits(plan, desired, live);
    for change in plan.changes.iter_mut().filter(|change| change.action.is_acting()) {
        if let Some(pods) = last.get(&change.object) {
            block(change, Reason::LastLimit { pods: pods.clone() });
        }
    }
}

/// The live policies without which pods that go on running would be unlimited after the plan, each with what has such pods.
fn last_limits(plan: &Plan, desired: &Desired, live: &Live) -> BTreeMap<ObjectRef, ObjectRef> {
    let of_policy =
        |change: &&Change| change.object.is("networking.k8s.io", "NetworkPolicy") && change.action.is_acting();
    let changed: BTreeMap<&ObjectRef, &Change> =
        plan.changes.iter().filter(of_policy).map(|change| (&change.object, change)).collect();
    let mut last = BTreeMap::new();
    if !changed.keys().any(|policy| live.get(policy).is_some()) {
        return last;
    }
    let before: Vec<(&ObjectRef, &Value)> =
        live.objects().filter(|(object, _)| object.is("networking.k8s.io", "NetworkPolicy")).collect();
    let kept = before.iter().copied().filter(|(object, _)| !changed.contains_key(object));
    let made = changed.values().filter(|change| change.action != Action::Delete);
    let made = made.filter_map(|change| Some((&change.object, change.body.as_ref()?)));
    let after: Vec<(&ObjectRef, &Value)> = kept.chain(made).collect();
    let (before, after) = (Limits::among(&before), Limits::among(&after));
    let ends: BTreeSet<&ObjectRef> =
        plan.changes.iter().filter(|change| change.action == Action::Delete).map(|change| &change.object).collect();
    // All that is live, also what no change is about: it was not selected, is kept, or its file cannot be read.
    // What a controller made runs as long as its owner, which has the labels too.
    let is_made = |value: &Value| value.pointer("/metadata/ownerReferences/0").is_some();
    let stays = |(object, value): &(&ObjectRef, &Value)| !ends.contains(object) && !is_made(value);
    for (object, value) in live.objects().filter(stays) {
        let Some(labels) = pod_labels(object, value) else { continue };
        if after.on(object, &labels).next().is_none() {
            let policies = before.on(object, &labels).take(LIMITS);
            last.extend(policies.map(|policy| (policy.clone(), object.clone())));
        }
    }
    let mut rolling: BTreeMap<&str, Vec<(&ObjectRef, &Value)>> = BTreeMap::new();
    for (object, value) in live.objects().filter(|live| stays(live) && is_rolling(live.1)) {
        rolling.entry(object.namespace()).or_default().push((object, value));
    }
    for (policy, change) in &changed {
        let after = change.body.as_ref().filter(|_| change.action != Action::Delete);
        let (Some(before), Some(rolling)) = (live.get(policy), rolling.get(policy.namespace())) else { continue };
        if after.is_some_and(|after| selection(after) == selection(before)) {
            continue;
        }
        // Of very many each is taken to be meant.
        let meant = rolling.iter().find(|(_, value)| rolling.len() > LIMITS || may_select(before, value));
        if let Some((pods, _)) = meant {
            last.entry((*policy).clone()).or_insert_with(|| (*pods).clone());
        }
    }
    // The platform team may lift its own limits.
    let limited = limited_partitions(desired);
    last.retain(|policy, _| changed.get(policy).is_some_and(|change| limited.contains(change.partition.as_str())));
    last
}

/// What a NetworkPolicy is about.
fn selection(policy: &Value) -> [Option<&Value>; 2] {
    ["/spec/podSelector", "/spec/policyTypes"].map(|part| policy.pointer(part))
}

/// Whether a policy may select pods of a workload: not when it asks for another value of a label of its selector, which all its pods have.
fn may_select(policy: &Value, workload: &Value) -> bool {
    let labels =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    let (asked, had) =
        (labels(policy, "/spec/podSelector/matchLabels"), labels(workload, "/spec/selector/matchLabels"));
    !asked.iter().any(|(key, value)| had.get(key).is_some_and(|own| own != value))
}

/// Whether pods of an earlier template may still run, whose labels nobody knows.
fn is_rolling(value: &Value) -> bool {
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    let is_paused = value.pointer("/spec/paused") == Some(&Value::Bool(true));
    let is_unseen =
        number("/status/observedGeneration").is_some_and(|seen| Some(seen) < number("/metadata/generation"));
    let updated = number("/status/updatedReplicas").unwrap_or_default();
    let is_behind = number("/status/replicas").is_some_and(|all| updated < all);
    value.pointer("/spec/template").is_some() && (is_paused || is_unseen || is_behind)
}

/// The tenants whose pods may not connect anywhere.
fn limited_partitions(desired: &Desired) -> BTreeSet<&str> {
    let is_limited = |tenant: &&Tenant| tenant.egress.as_ref().is_some_and(|egress| !allows_all(egress));
    desired.rules().tenants.iter().filter(is_limited).map(|tenant| tenant.name.as_str()).collect()
}

/// A workload that is to go while a Service that selects its pods is to go as well and cannot yet.
fn selected(plan: &Plan, live: &Live) -> Option<(usize, ObjectRef)> {
    let stays = |change: &&Change| {
        let waits = matches!(change.action, Action::Blocked | Action::Held) && change.intended == Action::Delete;
        waits && change.object.is("", "Service")
    };
    let services: Vec<_> =
        plan.changes.iter().filter(stays).filter_map(|c| Some((&c.object, live.get(&c.object)?))).collect();
    let goes = plan.changes.iter().enumerate().filter(|(_, c)| c.action == Action::Delete && c.object.group == "apps");
    let mut found = goes.filter_map(|(index, change)| {
        let pods = live.get(&change.object)?;
        let near = |service: &ObjectRef| service.namespace == change.object.namespace;
        let (service, _) = services.iter().find(|(service, value)| near(service) && kinds::leads_to(value, pods))?;
        Some((index, (*service).clone()))
    });
    found.next()
}

/// Approved: what was held is done, except an unproved replace that the approval does not name.
pub(super) fn release(plan: &mut Plan, desired: &Desired, options: &Options) {
    let destruction = &plan.destruction;
    let held: BTreeSet<ObjectRef> = destruction.objects.iter().map(|held| held.object.clone()).collect();
    for change in plan.changes.iter_mut().filter(|c| c.action == Action::Held && held.contains(&c.object)) {
        let named = || names(destruction, &change.object, &options.approve, &desired.approvals, options.now);
        if change.unproved && !named() {
            change.because.push(Reason::ApprovalMustName(change.object.to_string()));
            continue;
        }
        change.action = change.intended;
        change.because.push(Reason::Approved);
    }
}

/// In a protected environment a change without a safe order waits for approval too.
pub(super) fn hold_breaks(plan: &mut Plan, held: &mut Vec<Held>) {
    for change in plan.changes.iter_mut().filter(|c| c.action.is_acting() && c.breaks.is_some()) {
        held.push(guard::destroys(change, "break"));
        change.action = Action::Held;
    }
}
