//! What must be true when a step is sent, whoever changed it and whenever (law 1): an order is made of what a plan changes;
//! a gate is held against what is live. A step that moves requests, or takes away what serves them, waits until what takes
//! over is healthy and the Gateway has had time to learn of it.

use super::Plan;
use super::blocks::block;
use super::steps::{Gate, Proof, StepKind, new_redirects};
use crate::desired::{Desired, Member};
use crate::graph::Graph;
use crate::inventory::{Owner, ids, keep_mark, owner};
use crate::kinds::{self, APP, GATEWAY, Health, SETTLE, SPIN, Verdict};
use crate::live::{Live, Observed, Presence, Source};
use crate::object::{Diagnostic, ObjectRef, Untrusted, annotation, label, meta};
use crate::routing::{Claim, Claims, beyond, claims, is_route, lag_of_controllers};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// What makes the Service that a backend names, or what its selector leads to: SpinApps, and workloads that the repository has.
pub fn makers<'a>(
    backend: &ObjectRef,
    desired: &'a Desired,
    live: &'a Live,
) -> impl Iterator<Item = ObjectRef> + use<'a> {
    let app = ObjectRef::new(SPIN, "SpinApp", backend.namespace(), &backend.name);
    let wanted = desired.objects.get(backend).map(|member| &member.object.value);
    let own = (wanted.is_none() && (desired.objects.contains_key(&app) || live.has(&app))).then_some(app);
    let service = wanted.or_else(|| live.get(backend)).filter(|_| own.is_none());
    let selected = service.map(|value| selected_apps(backend, value)).unwrap_or_default();
    let behind = service.into_iter().flat_map(|value| {
        let all = workloads(desired, backend.namespace());
        all.filter(|(_, workload)| kinds::leads_to(value, workload)).map(|(workload, _)| workload.clone())
    });
    let behind: Vec<ObjectRef> = behind.collect();
    own.into_iter().chain(selected).chain(behind)
}

/// The workloads with pods that the repository wants in a namespace.
fn workloads<'a>(desired: &'a Desired, namespace: &str) -> impl Iterator<Item = (&'a ObjectRef, &'a Value)> {
    let all = WORKLOADS.into_iter().flat_map(move |kind| desired.of_kind("apps", kind, Some(namespace)));
    all.map(|(workload, member)| (workload, &member.object.value))
}

/// The SpinApps whose pods a Service selects.
fn selected_apps(service: &ObjectRef, value: &Value) -> Vec<ObjectRef> {
    let found = kinds::references(service, value).into_iter().map(|reference| reference.to);
    found.filter(|to| to.is(SPIN, "SpinApp")).collect()
}

/// Workloads whose pods Services select.
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// What an object, its kind known, does for requests: kinds whose deletion takes something away that may still be asked.
fn serves_requests(object: &ObjectRef) -> bool {
    let kinds = [
        (SPIN, "SpinApp"),
        ("", "Service"),
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        (GATEWAY, "Gateway"),
        (GATEWAY, "ListenerSet"),
        (GATEWAY, "ReferenceGrant"),
    ];
    kinds.iter().any(|(group, kind)| object.is(group, kind))
}

/// Gives the steps of a plan what must hold before each, and the time that each rests.
pub(super) fn guard_steps(plan: &mut Plan, desired: &Desired, live: &Live) {
    if plan.steps.is_empty() {
        return;
    }
    let guard = Guard::new(desired, live);
    let mut states: BTreeMap<usize, Option<Value>> = BTreeMap::new();
    for index in 0..plan.steps.len() {
        let step = &plan.steps[index];
        let change = &plan.changes[step.change];
        let known = states.remove(&step.change);
        let before = match &known {
            Some(state) => state.as_ref(),
            None => live.get(&change.object),
        };
        let mut found = Found::default();
        guard.step(&change.object, step.kind, (before, step.body.as_ref()), &mut found);
        if change.breaks.is_some() {
            // What has no safe order cannot wait for one: it is named, and held where that is asked for.
            found.gates.remove(&(change.object.clone(), Proof::Unused));
        }
        if change.superseded {
            guard.superseded(&change.object, &mut found);
        }
        let seconds = if found.settles { guard.settle(&change.object, before) } else { 0.0 };
        let (of, body) = (step.change, step.body.clone());
        let step = &mut plan.steps[index];
        step.settle = seconds;
        step.gates = found.gates.into_iter().map(|((object, proof), always)| Gate { object, proof, always }).collect();
        states.insert(of, body);
    }
}

/// What was found for one step.
#[derive(Default)]
struct Found {
    /// Each gate, and whether it is asked always.
    gates: BTreeMap<(ObjectRef, Proof), bool>,
    settles: bool,
}

impl Found {
    fn gate(&mut self, object: &ObjectRef, proof: Proof, always: bool) {
        *self.gates.entry((object.clone(), proof)).or_default() |= always;
    }

    /// What serves a claim must be healthy, and be accepted where it is a route.
    fn served_by(&mut self, route: &ObjectRef, claim: &Claim) {
        self.gate(route, Proof::Healthy, true);
        for backend in claim.backends.keys() {
            self.gate(backend, Proof::Serves, true);
        }
    }
}

struct Guard<'a> {
    desired: &'a Desired,
    live: &'a Live,
    /// The claims of the routes that the repository wants.
    wanted: OnceCell<Claims<&'a ObjectRef>>,
    /// The claims of the live routes.
    there: OnceCell<Claims<&'a ObjectRef>>,
    /// Whether there is any route, wanted or live.
    routes: OnceCell<bool>,
    observed: OnceCell<Observed<'a>>,
}

impl<'a> Guard<'a> {
    fn new(desired: &'a Desired, live: &'a Live) -> Self {
        let (wanted, there) = (OnceCell::new(), OnceCell::new());
        Self { desired, live, wanted, there, routes: OnceCell::new(), observed: OnceCell::new() }
    }

    fn health(&self, object: &ObjectRef) -> Health {
        self.observed.get_or_init(|| Observed::new(self.desired, self.live)).health(object)
    }

    fn wanted(&self) -> &Claims<&'a ObjectRef> {
        self.wanted.get_or_init(|| {
            let routes = self.desired.objects.iter().filter(|(object, _)| is_route(object));
            collect(routes.map(|(object, member)| (object, &member.object.value)))
        })
    }

    fn there(&self) -> &Claims<&'a ObjectRef> {
        self.there.get_or_init(|| {
            let routes: Vec<&ObjectRef> = self.live.identities().filter(|object| is_route(object)).collect();
            collect(routes.into_iter().filter_map(|object| Some((object, self.live.get(object)?))))
        })
    }

    fn has_routes(&self) -> bool {
        let any = || self.desired.objects.keys().chain(self.live.identities()).any(is_route);
        *self.routes.get_or_init(any)
    }

    fn step(
        &self,
        object: &ObjectRef,
        kind: StepKind,
        (before, after): (Option<&Value>, Option<&Value>),
        found: &mut Found,
    ) {
        if kind == StepKind::Delete {
            found.gate(object, Proof::Ours, true);
        }
        if kind == StepKind::Delete && serves_requests(object) && self.has_routes() {
            found.gate(object, Proof::Unused, true);
            found.settles = true;
            if let Some(before) = before.filter(|_| object.group == "apps") {
                self.workload_goes(object, before, found);
            }
        }
        if kind == StepKind::Contract && (serves_requests(object) || is_route(object)) {
            found.settles = true;
        }
        if is_route(object) {
            self.route(object, before, after, found);
        } else if object.is("", "Service") {
            self.service(object, before, after, found);
        } else if let (true, Some(before), Some(after)) = (object.is(GATEWAY, "Gateway"), before, after) {
            self.gained_references(object, before, after, found);
        }
    }

    fn route(&self, object: &ObjectRef, before: Option<&Value>, after: Option<&Value>, found: &mut Found) {
        let of = |value: Option<&Value>| value.map(|value| claims(object, value)).unwrap_or_default();
        let (old, new) = (of(before), of(after));
        for claim in &new {
            match old.iter().find(|known| known.is_same(claim)) {
                Some(known) => {
                    let gains = |(backend, share): &(&ObjectRef, &u64)| {
                        known.backends.get(*backend).is_none_or(|had| had < *share)
                    };
                    for (backend, _) in claim.backends.iter().filter(gains) {
                        let proof =
                            if known.backends.contains_key(backend) { Proof::StillServes } else { Proof::Serves };
                        found.gate(backend, proof, true);
                    }
                }
                None => self.gained(object, claim, &old, found),
            }
        }
        for target in new_redirects(&old, &new) {
            for (route, claim) in self.wanted().meeting_target(target).filter(|(route, _)| *route != object) {
                found.served_by(route, claim);
                found.settles = true;
            }
        }
        for claim in beyond(&old, &new).into_iter().filter(|claim| claim.is_served()) {
            let down = self.is_down(claim);
            for (route, next) in self.wanted().meeting(claim).filter(|(route, _)| *route != object) {
                if !next.is_served() {
                    continue;
                }
                found.settles = true;
                if down {
                    // Its requests fail already: whoever takes them over need not do better, but must be there.
                    found.gate(route, Proof::Healthy, true);
                } else {
                    found.served_by(route, next);
                }
            }
        }
        for claim in beyond(&old, &new) {
            self.led_to(object, claim, found);
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.gained_references(object, before, after, found);
        }
    }

    /// A claim that goes and that a live redirect leads to: who answers in the place of the redirect comes first.
    fn led_to(&self, object: &ObjectRef, claim: &Claim, found: &mut Found) {
        let leads = |(route, known): &&(&ObjectRef, Claim)| {
            *route != object && known.redirect.as_ref().is_some_and(|target| target.is_met_by(claim))
        };
        for (route, redirect) in self.there().all().iter().filter(leads) {
            let Some(member) = self.desired.objects.get(*route) else { continue };
            let after = claims(route, &member.object.value);
            for next in after.iter().filter(|next| next.meets(redirect) && next.redirect != redirect.redirect) {
                found.served_by(route, next);
                found.settles = true;
            }
        }
    }

    /// A claim that is new to a route. Where someone serves its requests now, they move; where nobody does, only an app that
    /// is started is waited for.
    fn gained(&self, route: &ObjectRef, claim: &Claim, old: &[Claim], found: &mut Found) {
        let takes = old.iter().any(|own| own.is_served() && own.meets(claim))
            || self.there().meeting(claim).any(|(other, known)| *other != route && known.is_served());
        for backend in claim.backends.keys() {
            if takes {
                found.gate(backend, Proof::Serves, true);
            } else {
                makers(backend, self.desired, self.live).for_each(|app| found.gate(&app, Proof::Healthy, false));
            }
        }
    }

    /// Whether no backend of a claim serves, as far as it was looked at: then nothing is lost with it.
    fn is_down(&self, claim: &Claim) -> bool {
        let down = |backend: &ObjectRef| {
            let apps: Vec<ObjectRef> = makers(backend, self.desired, self.live).collect();
            let dead = |app: &ObjectRef| matches!(self.health(app).verdict, Verdict::Failed | Verdict::Missing);
            !apps.is_empty() && apps.iter().all(dead) || self.live.presence(backend) == Presence::Absent
        };
        claim.redirect.is_none() && claim.backends.keys().all(down)
    }

    /// A Service that leads to other pods.
    fn service(&self, object: &ObjectRef, before: Option<&Value>, after: Option<&Value>, found: &mut Found) {
        let Some(after) = after else { return };
        let known = before.map(|before| selected_apps(object, before)).unwrap_or_default();
        for app in selected_apps(object, after).iter().filter(|app| !known.contains(app)) {
            found.gate(app, Proof::Healthy, before.is_some());
        }
        let selector = |value: &Value| value.pointer("/spec/selector").cloned();
        let Some(before) = before.filter(|before| selector(before) != selector(after)) else { return };
        for (workload, value) in workloads(self.desired, object.namespace()) {
            if kinds::leads_to(after, value) && !kinds::leads_to(before, value) {
                found.gate(workload, Proof::Healthy, true);
            }
        }
    }

    /// A workload goes. A Service that selects its pods uses it, though no field names it: one that goes as well must have no
    /// user any more, and one that stays must have healthy pods of others, if others are to be behind it.
    fn workload_goes(&self, object: &ObjectRef, before: &Value, found: &mut Found) {
        let services =
            self.live.identities().filter(|other| other.is("", "Service") && other.namespace == object.namespace);
        let selects = |service: &&ObjectRef| self.live.get(service).is_some_and(|value| kinds::leads_to(value, before));
        for service in services.filter(selects) {
            let Some(after) = self.desired.objects.get(service).map(|member| &member.object.value) else {
                found.gate(service, Proof::Unused, true);
                continue;
            };
            let behind = workloads(self.desired, object.namespace()).filter(|(_, value)| kinds::leads_to(after, value));
            behind.for_each(|(workload, _)| found.gate(workload, Proof::Healthy, true));
        }
    }

    /// A Gateway that goes over to another class, a route that goes over to another parent.
    fn gained_references(&self, object: &ObjectRef, before: &Value, after: &Value, found: &mut Found) {
        let of = |value: &Value| -> BTreeSet<ObjectRef> {
            let references = kinds::references(object, value).into_iter().filter(|reference| !reference.optional);
            references.map(|reference| reference.to).filter(|to| to.group == GATEWAY).collect()
        };
        for to in of(after).difference(&of(before)) {
            found.gate(to, Proof::Healthy, true);
        }
    }

    /// A version of an App goes when the versions that take its place are healthy; one that is not healthy itself takes nothing
    /// with it.
    fn superseded(&self, object: &ObjectRef, found: &mut Found) {
        let version = ObjectRef::new(SPIN, "SpinApp", object.namespace(), &object.name);
        let Some(app) = self.live.get(object).and_then(|value| label(value, APP)) else { return };
        if self.health(&version).verdict != Verdict::Current {
            return;
        }
        let versions: BTreeSet<&ObjectRef> =
            self.versions(object.namespace(), app).map(|(version, _)| version).collect();
        let mut used: BTreeSet<ObjectRef> = BTreeSet::new();
        for (route, member) in self.desired.objects.iter().filter(|(object, _)| is_route(object)) {
            let claimed = claims(route, &member.object.value);
            let backends = claimed.iter().flat_map(|claim| claim.backends.keys());
            let apps: BTreeSet<ObjectRef> =
                backends.flat_map(|backend| makers(backend, self.desired, self.live)).collect();
            if apps.iter().any(|app| versions.contains(app)) {
                found.gate(route, Proof::Healthy, true);
                used.extend(apps);
            }
        }
        for (service, member) in self.desired.of_kind("", "Service", Some(object.namespace())) {
            used.extend(selected_apps(service, &member.object.value));
        }
        used.iter().filter(|app| versions.contains(app)).for_each(|app| found.gate(app, Proof::Healthy, true));
    }

    fn versions<'b>(
        &'b self,
        namespace: &'b str,
        app: &'b str,
    ) -> impl Iterator<Item = (&'a ObjectRef, &'a Member)> + 'b {
        let of_app = move |member: &Member| label(&member.object.value, APP) == Some(app);
        self.desired.of_kind(SPIN, "SpinApp", Some(namespace)).filter(move |(_, member)| of_app(member))
    }

    /// For how many seconds a step rests: what the App says, else the environment, else what is known of its controllers.
    fn settle(&self, object: &ObjectRef, before: Option<&Value>) -> f64 {
        let app = before.and_then(|value| label(value, APP));
        let asked = app.and_then(|app| {
            let mut versions = self.versions(object.namespace(), app);
            versions.find_map(|(_, member)| annotation(&member.object.value, SETTLE)?.parse::<f64>().ok())
        });
        let asked = asked.or_else(|| self.desired.environment.settle.as_ref().map(|settle| settle.seconds));
        asked.filter(|seconds| (0.0..=3600.0).contains(seconds)).unwrap_or_else(|| self.lag())
    }

    fn lag(&self) -> f64 {
        let wanted = self.desired.of_kind(GATEWAY, "GatewayClass", None).map(|(_, member)| &member.object.value);
        let live = self.live.of_kind(GATEWAY, "GatewayClass", None).map(|(_, value)| value);
        let names = wanted.chain(live).filter_map(|class| class.pointer("/spec/controllerName")?.as_str());
        lag_of_controllers(names)
    }
}

fn collect<'a>(routes: impl Iterator<Item = (&'a ObjectRef, &'a Value)>) -> Claims<&'a ObjectRef> {
    let mut found = Claims::default();
    for (object, value) in routes {
        claims(object, value).into_iter().for_each(|claim| found.add(object, claim));
    }
    found
}

/// Blocks what would move requests to something that is known to be sick, and says of the rest what it waits for. Gives whether
/// anything was blocked.
pub(super) fn judge_gates(plan: &mut Plan, desired: &Desired, live: &Live, graph: &Graph) -> bool {
    if matches!(live.source, Source::Revision | Source::None) || plan.steps.is_empty() {
        return false;
    }
    let observed = Observed::new(desired, live);
    let changed: BTreeSet<ObjectRef> =
        plan.changes.iter().filter(|c| c.action.is_acting()).map(|c| c.object.clone()).collect();
    let mut notes: BTreeMap<usize, (bool, BTreeSet<String>)> = BTreeMap::new();
    for step in &plan.steps {
        for gate in step.gates.iter().filter(|gate| matches!(gate.proof, Proof::Healthy | Proof::Serves)) {
            let judged = match gate.proof {
                Proof::Serves => backend_health(&gate.object, desired, live, &observed, &changed),
                _ if changed.contains(&gate.object) => None,
                _ => Some((gate.object.clone(), observed.health(&gate.object))),
            };
            let Some((object, health)) = judged else { continue };
            let Some((blocks, text)) = told(&object, &health) else { continue };
            let entry = notes.entry(step.change).or_default();
            entry.0 |= blocks;
            entry.1.insert(text);
        }
    }
    let mut blocked = false;
    for (index, (blocks, texts)) in notes {
        let change = &mut plan.changes[index];
        let text = texts.into_iter().collect::<Vec<_>>().join(" ");
        let known = change.because.iter().any(|because| because.raw() == text);
        if blocks {
            let mut diagnostic =
                Diagnostic::error("need-sick", format!("{}: {text}", change.object)).about(&change.object).help(
                    "Fix it, or change the route to a backend that is healthy; what is already applied stays as it is.",
                );
            diagnostic.origin.clone_from(&change.origin);
            plan.diagnostics.push(diagnostic);
            block(change, text);
            blocked = true;
        } else if !known {
            change.because.push(Untrusted::new(text));
        }
    }
    if blocked {
        super::blocks::block_waiting(plan, graph);
        super::blocks::block_used_deletes(plan, live);
    }
    blocked
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

/// What is said of a gate, and whether it blocks the step already; none when nothing stands in its way.
fn told(object: &ObjectRef, health: &Health) -> Option<(bool, String)> {
    let details = [health.reason.raw(), health.message.raw()];
    let details: Vec<&str> = details.into_iter().filter(|text| !text.is_empty()).collect();
    let details = details.join(": ");
    match health.verdict {
        Verdict::Failed => Some((true, format!("{object} would serve requests and has failed: {details}"))),
        Verdict::Terminating => Some((true, format!("{object} would serve requests and is being deleted."))),
        Verdict::Missing => Some((true, format!("{object} would serve requests and does not exist."))),
        Verdict::Progressing => Some((false, format!("It waits until {object} is healthy ({details})."))),
        Verdict::Current | Verdict::Unknown => None,
    }
}

/// Whether an object still is the one that was judged, still belongs to one of the plan's inventories, and carries no mark that
/// keeps it.
pub fn is_ours(plan: &Plan, uid: &str, live: &Value) -> bool {
    meta(live, "uid") == uid && matches!(owner(live, &ids(&plan.parents)), Owner::Ours(_)) && keep_mark(live).is_none()
}

/// A live object that refers to an object, or to what is made for it.
pub fn user_of<'a>(object: &ObjectRef, live: &'a Live) -> Option<&'a ObjectRef> {
    let mut targets = live.get(object).map(|value| kinds::provides(object, value)).unwrap_or_default();
    targets.push(object.clone());
    let users = live.identities().filter(|user| is_route(user) || user.is("", "Service"));
    let mut users = users.filter(|user| !targets.contains(user));
    users.find(|user| {
        let references = live.get(user).map(|value| kinds::references(user, value)).unwrap_or_default();
        references.iter().any(|reference| !reference.optional && targets.contains(&reference.to))
    })
}

#[cfg(test)]
mod tests;
