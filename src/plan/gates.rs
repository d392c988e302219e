//! What must be true when a step is sent, whoever changed it and whenever (law 1): an order is made of what a plan changes;
//! a gate is held against what is live. A step that moves requests, or takes away what serves them, waits until what takes
//! over is healthy and the Gateway has had time to learn of it.

mod judge;

pub(super) use judge::judge_gates;

use super::Plan;
use super::steps::{Gate, Proof, StepKind, WORKLOADS, new_redirects};
use crate::desired::{Desired, MAX_SETTLE, Member};
use crate::inventory::{Owner, ids, keep_mark, owner};
use crate::kinds::{self, APP, GATEWAY, Health, SETTLE, SPIN, Verdict};
use crate::live::{Coverage, Live, Observed, Presence};
use crate::object::{ObjectRef, annotation, label, meta};
use crate::routing::{
    Claim, Claims, Probe, attached, attached_beyond, beyond, carries, claims, is_route, is_route_kind,
    lag_of_controllers, probe_of,
};
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

/// What an object, its kind known, does for requests: kinds whose deletion takes something away that may still be asked.
pub(super) fn serves_requests(object: &ObjectRef) -> bool {
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
    let guard = Guard::new(desired, live, acting(plan));
    let later = Later::new(plan);
    let in_steps = in_steps(plan);
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
            let after = later.objects(plan, index);
            found.gates.retain(|(object, _), _| *object == change.object || !after.contains(object));
        }
        // A replace deletes too.
        if step.kind == StepKind::Replace && before.is_some_and(|live| is_ours(plan, &change.uid, live)) {
            found.gate(&change.object, Proof::Ours, true);
        }
        if change.superseded {
            guard.superseded(&change.object, &mut found);
        }
        let seconds = if found.settles { guard.settle(&change.object, before) } else { 0.0 };
        let probes = if seconds > 0.0 && step.kind == StepKind::Delete {
            guard.probes(&change.object, &found, &in_steps)
        } else {
            Vec::new()
        };
        let (of, body) = (step.change, step.body.clone());
        let step = &mut plan.steps[index];
        (step.settle, step.probes) = (seconds, probes);
        step.gates = found.gates.into_iter().map(|((object, proof), always)| Gate { object, proof, always }).collect();
        states.insert(of, body);
    }
}

/// The objects to which the plan does something.
fn acting(plan: &Plan) -> BTreeSet<ObjectRef> {
    plan.changes.iter().filter(|change| change.action.is_acting()).map(|change| change.object.clone()).collect()
}

/// The objects that hold both the old and the new for a while.
fn in_steps(plan: &Plan) -> BTreeSet<ObjectRef> {
    let contracts = plan.steps.iter().filter(|step| step.kind == StepKind::Contract);
    contracts.map(|step| plan.changes[step.change].object.clone()).collect()
}

/// What comes after a step: a step that was named as a break cannot wait for that.
struct Later {
    after: Vec<Vec<usize>>,
}

impl Later {
    fn new(plan: &Plan) -> Self {
        let mut after = vec![Vec::new(); plan.steps.len()];
        if plan.changes.iter().any(|change| change.breaks.is_some()) {
            plan.order.iter().for_each(|(first, then)| after[*first].push(*then));
        }
        Self { after }
    }

    fn objects(&self, plan: &Plan, step: usize) -> BTreeSet<ObjectRef> {
        let (mut found, mut queue) = (BTreeSet::new(), vec![step]);
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        while let Some(step) = queue.pop() {
            for then in self.after[step].iter().filter(|then| seen.insert(**then)) {
                found.insert(plan.changes[plan.steps[*then].change].object.clone());
                queue.push(*then);
            }
        }
        found
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
    /// The objects to which the plan does something.
    acting: BTreeSet<ObjectRef>,
    /// The claims of the routes of the repository as they are after the plan: one that is held stays as it is.
    wanted: OnceCell<Claims<&'a ObjectRef>>,
    /// The claims of the live routes.
    there: OnceCell<Claims<&'a ObjectRef>>,
    /// Whether there may be any route, wanted or live.
    routes: OnceCell<bool>,
    observed: OnceCell<Observed<'a>>,
    /// What the wanted routes and Services lead to.
    leads: OnceCell<Leads<'a>>,
}

/// What wanted routes and Services lead to.
struct Leads<'a> {
    /// The routes that lead to any app, with all apps that they lead to.
    routes: Vec<(&'a ObjectRef, BTreeSet<ObjectRef>)>,
    /// The places of the routes that lead to an app.
    by_app: BTreeMap<ObjectRef, Vec<usize>>,
    /// The apps that Services lead to.
    by_service: BTreeSet<ObjectRef>,
    /// The versions of each App, by namespace and name.
    versions: BTreeMap<(&'a str, &'a str), Vec<(&'a ObjectRef, &'a Member)>>,
}

impl<'a> Leads<'a> {
    fn of(desired: &'a Desired, live: &Live) -> Self {
        let (mut routes, mut by_app): (Vec<_>, BTreeMap<ObjectRef, Vec<usize>>) = (Vec::new(), BTreeMap::new());
        for (route, member) in desired.objects.iter().filter(|(object, _)| is_route(object)) {
            let claimed = claims(route, &member.object.value);
            let backends: BTreeSet<&ObjectRef> = claimed.iter().flat_map(|claim| claim.backends.keys()).collect();
            let apps: BTreeSet<ObjectRef> =
                backends.into_iter().flat_map(|backend| makers(backend, desired, live)).collect();
            apps.iter().for_each(|app| by_app.entry(app.clone()).or_default().push(routes.len()));
            routes.push((route, apps));
        }
        let services = desired.of_kind("", "Service", None);
        let by_service = services.flat_map(|(object, member)| selected_apps(object, &member.object.value)).collect();
        let mut versions: BTreeMap<(&str, &str), Vec<(&ObjectRef, &Member)>> = BTreeMap::new();
        for (version, member) in desired.of_kind(SPIN, "SpinApp", None) {
            if let Some(app) = label(&member.object.value, APP) {
                versions.entry((version.namespace(), app)).or_default().push((version, member));
            }
        }
        Self { routes, by_app, by_service, versions }
    }
}

impl<'a> Guard<'a> {
    fn new(desired: &'a Desired, live: &'a Live, acting: BTreeSet<ObjectRef>) -> Self {
        let (wanted, there) = (OnceCell::new(), OnceCell::new());
        let (routes, observed, leads) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { desired, live, acting, wanted, there, routes, observed, leads }
    }

    fn health(&self, object: &ObjectRef) -> Health {
        self.observed.get_or_init(|| Observed::new(self.desired, self.live)).health(object)
    }

    fn wanted(&self) -> &Claims<&'a ObjectRef> {
        self.wanted.get_or_init(|| {
            let routes = self.desired.objects.iter().filter(|(object, _)| is_route(object));
            collect(routes.filter_map(|(object, _)| Some((object, self.value_after(object)?))))
        })
    }

    /// An object of the repository as it is after the plan.
    fn value_after(&self, object: &ObjectRef) -> Option<&'a Value> {
        let stays = if self.acting.contains(object) { None } else { self.live.get(object) };
        stays.or_else(|| self.desired.objects.get(object).map(|member| &member.object.value))
    }

    fn there(&self) -> &Claims<&'a ObjectRef> {
        self.there.get_or_init(|| {
            let routes: Vec<&ObjectRef> = self.live.identities().filter(|object| is_route(object)).collect();
            collect(routes.into_iter().filter_map(|object| Some((object, self.live.get(object)?))))
        })
    }

    /// Whether there may be a route: one is known, or the cluster serves a kind of them that was not listed as a whole, since
    /// nothing of the repository asked for it.
    fn has_routes(&self) -> bool {
        let known = || self.desired.objects.keys().chain(self.live.identities()).any(is_route);
        let unlisted = || {
            let served = self.live.kinds.keys().filter(|kind| is_route_kind(kind));
            served.into_iter().any(|kind| self.live.coverage.get(kind) != Some(&Coverage::All))
        };
        *self.routes.get_or_init(|| known() || unlisted())
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
            self.workload(object, found);
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
        for (redirect, target) in new_redirects(&old, &new) {
            let serves = self
                .wanted()
                .meeting_target(target)
                .filter(|(route, claim)| *route != object && !claim.lead_to_each_other(redirect));
            for (route, claim) in serves {
                found.served_by(route, claim);
                found.settles = true;
            }
        }
        for claim in beyond(&old, &new).into_iter().filter(|claim| claim.is_served()) {
            let down = self.is_down(claim);
            let next = self.wanted().meeting(claim).chain(self.foreign(claim));
            for (route, next) in next.filter(|(route, _)| *route != object) {
                if !next.is_served() {
                    continue;
                }
                found.settles = true;
                if down {
                    // Its requests fail already: whoever takes them over need not do better, but must be there.
                    found.gate(route, Proof::Healthy, true);
                } else {
                    self.taken_over(object, (route, next), found);
                }
            }
        }
        for claim in beyond(&old, &new) {
            self.led_to(object, claim, found);
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.gained_references(object, before, after, found);
            let left = attached_beyond(&attached(object, before), &attached(object, after));
            let kept = old.iter().filter(|claim| claim.is_served() && !left.is_empty());
            for (route, next) in kept.flat_map(|claim| self.wanted().meeting(claim)).filter(|(r, _)| *r != object) {
                let value = self.value_after(route);
                let there = value.map(|value| attached(route, value)).unwrap_or_default();
                if next.is_served() && there.iter().any(|at| left.iter().any(|left| left.overlaps(at))) {
                    self.taken_over(object, (route, next), found);
                    found.settles = true;
                }
            }
        }
    }

    /// Live routes that are not of the repository and are asked for a claim on the same hostname when it is given up: an app that
    /// moves to another repository. Routes of all hostnames, as those that tell that there is nothing, do not count: they take over
    /// whatever is deleted.
    fn foreign<'s>(&'s self, claim: &'s Claim) -> impl Iterator<Item = &'s (&'a ObjectRef, Claim)> {
        let is_foreign = |route: &ObjectRef| !self.desired.objects.contains_key(route) && !self.acting.contains(route);
        let same_host =
            |next: &Claim| next.exact_hostname().is_some() && next.exact_hostname() == claim.exact_hostname();
        let next = self.there().meeting(claim).filter(move |(route, _)| is_foreign(route));
        let as_wide = |next: &Claim| !claim.is_wider_than(next) && !next.is_wider_than(claim);
        next.filter(move |(_, next)| same_host(next) && as_wide(next))
    }

    /// Requests of an object go to another route: that serves them, or leads to one that does.
    fn taken_over(&self, object: &ObjectRef, (route, next): (&ObjectRef, &Claim), found: &mut Found) {
        found.served_by(route, next);
        let Some(target) = &next.redirect else { return };
        let serves = self.wanted().meeting_target(target);
        let serves = serves.filter(|(to, claim)| *to != object && *to != route && claim.redirect.is_none());
        serves.for_each(|(to, claim)| found.served_by(to, claim));
    }

    /// A claim that goes and that a live redirect leads to: who answers in the place of the redirect comes first.
    fn led_to(&self, object: &ObjectRef, claim: &Claim, found: &mut Found) {
        let leads = |(route, known): &&(&ObjectRef, Claim)| {
            *route != object && known.redirect.as_ref().is_some_and(|target| target.is_met_by(claim))
        };
        for (_, redirect) in self.there().all().iter().filter(leads) {
            let wanted: Vec<&(&ObjectRef, Claim)> = self.wanted().meeting(redirect).collect();
            let stays = wanted.iter().any(|(_, next)| next.is_same(redirect) && next.redirect == redirect.redirect);
            let takes = |(route, next): &&&(&ObjectRef, Claim)| {
                *route != object && next.is_served() && next.redirect != redirect.redirect
            };
            for (route, next) in wanted.iter().filter(takes).filter(|_| !stays) {
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
            let dead = |app: &ObjectRef| {
                matches!(self.health(app).verdict, Verdict::Failed | Verdict::Missing) && !self.has_pods(app)
            };
            !apps.is_empty() && apps.iter().all(dead) || self.live.presence(backend) == Presence::Absent
        };
        claim.redirect.is_none() && claim.backends.keys().all(down)
    }

    /// Whether an app has pods that are available: one whose last change failed serves with those of the change before it.
    fn has_pods(&self, app: &ObjectRef) -> bool {
        let deployment = self.live.get(&ObjectRef::new("apps", "Deployment", app.namespace(), &app.name));
        let available = deployment.and_then(|value| value.pointer("/status/availableReplicas")?.as_i64());
        available.is_some_and(|count| count > 0)
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

    /// A workload goes when those are healthy that the Services lead to which led to it.
    fn workload(&self, object: &ObjectRef, found: &mut Found) {
        let gone = self.live.get(object).filter(|_| object.group == "apps");
        let Some(gone) = gone else { return };
        let services = self.live.of_kind("", "Service", Some(object.namespace()));
        for (service, _) in services.filter(|(_, value)| kinds::leads_to(value, gone)) {
            let Some(member) = self.desired.objects.get(service) else {
                // It goes as well, and first: nothing may ask it any more.
                found.gate(service, Proof::Unused, true);
                continue;
            };
            let behind = workloads(self.desired, object.namespace());
            let next = behind.filter(|(_, workload)| kinds::leads_to(&member.object.value, workload));
            next.for_each(|(workload, _)| found.gate(workload, Proof::Healthy, true));
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

    /// A version of an App goes when the versions that take its place are healthy; one that is not healthy itself and has no pod
    /// that serves takes nothing with it.
    fn superseded(&self, object: &ObjectRef, found: &mut Found) {
        let version = ObjectRef::new(SPIN, "SpinApp", object.namespace(), &object.name);
        let Some(app) = self.live.get(object).and_then(|value| label(value, APP)) else { return };
        if !matches!(self.health(&version).verdict, Verdict::Current | Verdict::Unknown) && !self.has_pods(&version) {
            return;
        }
        let leads = self.leads();
        let versions = leads.versions.get(&(object.namespace(), app)).map(Vec::as_slice).unwrap_or_default();
        let routes: BTreeSet<usize> =
            versions.iter().filter_map(|(version, _)| leads.by_app.get(*version)).flatten().copied().collect();
        let mut used: BTreeSet<&ObjectRef> = BTreeSet::new();
        for (route, apps) in routes.into_iter().map(|place| &leads.routes[place]) {
            found.gate(route, Proof::Healthy, true);
            used.extend(apps);
        }
        let taking =
            versions.iter().filter(|(version, _)| used.contains(version) || leads.by_service.contains(*version));
        taking.for_each(|(version, _)| found.gate(version, Proof::Healthy, true));
    }

    fn leads(&self) -> &Leads<'a> {
        self.leads.get_or_init(|| Leads::of(self.desired, self.live))
    }

    /// For how many seconds a step rests: what the App says, else the environment, else what is known of its controllers.
    fn settle(&self, object: &ObjectRef, before: Option<&Value>) -> f64 {
        let app = before.and_then(|value| label(value, APP));
        let asked = app.and_then(|app| {
            let versions = self.leads().versions.get(&(object.namespace(), app))?;
            versions.iter().find_map(|(_, member)| annotation(&member.object.value, SETTLE)?.parse::<f64>().ok())
        });
        let asked = asked.or_else(|| self.desired.environment.settle.as_ref().and_then(|settle| settle.seconds));
        asked.filter(|seconds| (0.0..=MAX_SETTLE).contains(seconds)).unwrap_or_else(|| self.lag())
    }

    /// What is asked while a version of an App rests before it goes: all routes that take over from it. Nothing, so that it rests for
    /// the whole time, when one of them cannot be asked, when one holds old and new for a while (it would answer before it gave up
    /// the old), or when a route leads to the version that is not among them.
    fn probes(&self, object: &ObjectRef, found: &Found, in_steps: &BTreeSet<ObjectRef>) -> Vec<Probe> {
        let routes: BTreeSet<&ObjectRef> =
            found.gates.keys().map(|(object, _)| object).filter(|o| is_route(o)).collect();
        if !object.is(SPIN, "SpinApp") || routes.iter().any(|route| in_steps.contains(*route)) {
            return Vec::new();
        }
        let probes = routes.iter().map(|route| self.probe(route));
        let probes = probes.collect::<Option<Vec<Probe>>>().unwrap_or_default();
        let leads = |backend: &ObjectRef| {
            let service = self.live.get(backend).map(|service| selected_apps(backend, service)).unwrap_or_default();
            backend.is("", "Service") && backend.namespace() == object.namespace() && backend.name == object.name
                || service.contains(object)
        };
        let live = self.there().all().iter().filter(|(route, _)| !routes.contains(*route));
        let others = || live.flat_map(|(_, claim)| claim.backends.keys()).any(leads);
        if probes.is_empty() || others() { Vec::new() } else { probes }
    }

    /// What is asked about a route as it is wanted. Nothing when it is not done by this plan and not done already, when it carries the
    /// mark already although it is changed (someone edited it, or a turn was killed half done), or when another route answers for
    /// the path.
    fn probe(&self, route: &ObjectRef) -> Option<Probe> {
        let changes = self.acting.contains(route);
        let wanted = &self.desired.objects.get(route)?.object.value;
        let live = self.live.get(route);
        let probe = probe_of(route, wanted)?;
        let carried = live.is_some_and(|live| carries(live, &probe.mark));
        let hosts: Vec<Option<&str>> = match probe.hosts.as_slice() {
            [] => vec![None],
            hosts => hosts.iter().map(|host| Some(host.as_str())).collect(),
        };
        let own = claims(route, wanted);
        let at = attached(route, wanted);
        let beside = |other: &ObjectRef| {
            let value = self.value_after(other).or_else(|| self.live.get(other));
            let there = value.map(|value| attached(other, value)).unwrap_or_default();
            there.iter().any(|there| at.iter().any(|at| at.overlaps(there)))
        };
        let hides = |(other, claim): &&(&ObjectRef, Claim)| {
            let wins = |host: &Option<&str>| {
                let mut own = own.iter().filter(|own| own.serves(*host, &probe.path));
                claim.serves(*host, &probe.path) && !own.any(|own| claim.is_wider_than(own))
            };
            *other != route && hosts.iter().any(wins) && beside(other)
        };
        let hidden = self.wanted().all().iter().chain(self.there().all()).any(|known| hides(&known));
        // An unchanged route was proven to be as it is wanted, so it carries the mark.
        (changes != carried && !hidden).then_some(probe)
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

/// Whether an object still is the one that was judged, still belongs to one of the plan's inventories, and carries no mark that
/// keeps it.
pub fn is_ours(plan: &Plan, uid: &str, live: &Value) -> bool {
    meta(live, "uid") == uid && matches!(owner(live, &ids(&plan.parents)), Owner::Ours(_)) && keep_mark(live).is_none()
}

/// Live routes and Services by what they refer to.
#[derive(Debug)]
pub struct Users<'a>(BTreeMap<ObjectRef, Vec<&'a ObjectRef>>);

impl<'a> Users<'a> {
    /// Looks at all of them once.
    pub fn of(live: &'a Live) -> Self {
        let mut found: BTreeMap<ObjectRef, Vec<&ObjectRef>> = BTreeMap::new();
        let users = live.identities().filter(|user| is_route(user) || user.is("", "Service"));
        for (user, value) in users.filter_map(|user| Some((user, live.get(user)?))) {
            let references = kinds::references(user, value).into_iter().filter(|reference| !reference.optional);
            references.for_each(|reference| found.entry(reference.to).or_default().push(user));
        }
        Self(found)
    }

    /// A live object that refers to an object, or to what is made for it.
    pub fn user_of(&self, object: &ObjectRef, live: &Live) -> Option<&'a ObjectRef> {
        let mut targets = live.get(object).map(|value| kinds::provides(object, value)).unwrap_or_default();
        targets.push(object.clone());
        let users = targets.iter().filter_map(|target| self.0.get(target)).flatten().copied();
        users.filter(|user| !targets.contains(user)).min()
    }
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
