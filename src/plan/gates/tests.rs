//! Laws 1, 2 and 13 over random worlds: apps that are healthy, settling or sick, routes that take over from each other, turns
//! that are killed, a proxy that follows late. Whatever the order and whichever turn it is, no request that is served before and
//! after goes unserved, and none goes to what is not healthy that did not before.

use super::super::conclude::sequence_steps;
use super::*;
use crate::apply::{Gatekeeper, Run, State};
use crate::desired::{Entry, Tree, read};
use crate::graph::Graph;
use crate::inventory::{PART_OF, Parent};
use crate::live::Coverage;
use crate::object::GroupKind;
use crate::plan::{Action, Change};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

const NS: &str = "ns";
/// The proxy follows a change of a route after so many seconds at the latest; a step rests longer.
const LAG: f64 = 4.4;
const HOSTS: [&str; 2] = ["a.example", "b.example"];
const PATHS: [&str; 3] = ["/", "/cart", "/pay"];

/// How an app does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Good,
    /// It becomes healthy at some time.
    Slow,
    Never,
    Sick,
}

/// One route: hosts and paths as bits, what answers: one or two apps, or a redirect to the other host.
#[derive(Clone, Debug, PartialEq)]
struct RouteIs {
    hosts: u8,
    paths: u8,
    apps: Vec<usize>,
    redirect: bool,
}

#[derive(Clone, Debug)]
struct Wanted {
    apps: [bool; 3],
    routes: [Option<RouteIs>; 3],
}

#[derive(Clone, Debug)]
struct World {
    fates: [Fate; 3],
    states: Vec<Wanted>,
    kills: bool,
    seed: u64,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let route = (1..4_u8, 1..8_u8, prop::collection::btree_set(0..3_usize, 1..3), prop::bool::weighted(0.1));
    let routes = prop::array::uniform3(prop::option::weighted(0.7, route));
    (prop::array::uniform3(prop::bool::weighted(0.8)), routes).prop_map(|(apps, routes)| {
        let mut made = Wanted { apps, routes: [None, None, None] };
        for (index, route) in routes.into_iter().enumerate() {
            made.routes[index] = route.and_then(|(hosts, paths, backends, redirect)| {
                let apps: Vec<usize> = backends.into_iter().filter(|app| apps[*app]).collect();
                let redirect = redirect && hosts != 3;
                (redirect || !apps.is_empty()).then_some(RouteIs { hosts, paths, apps, redirect })
            });
        }
        without_conflicts(made)
    })
}

/// Two routes with the same match, and a redirect to nowhere, are findings of `check`.
fn without_conflicts(mut made: Wanted) -> Wanted {
    let mut taken = BTreeSet::new();
    for route in &mut made.routes {
        let Some(is) = route else { continue };
        let claimed: Vec<(u8, u8)> = (0..2)
            .flat_map(|h| (0..3).map(move |p| (1 << h, 1 << p)))
            .filter(|(h, p)| is.hosts & h != 0 && is.paths & p != 0)
            .collect();
        if claimed.iter().any(|claim| taken.contains(claim)) {
            *route = None;
        } else {
            taken.extend(claimed);
        }
    }
    let routes = made.routes.clone();
    let serves = |host: u8, path: u8| {
        routes.iter().flatten().any(|r| !r.redirect && r.hosts & host != 0 && (r.paths & path != 0 || r.paths & 1 != 0))
    };
    for route in &mut made.routes {
        let leads =
            |is: &RouteIs| (0..3).map(|p| 1 << p).filter(|p| is.paths & p != 0).all(|p| serves(3 - is.hosts, p));
        if route.as_ref().is_some_and(|is| is.redirect && !leads(is)) {
            *route = None;
        }
    }
    made
}

fn world() -> impl Strategy<Value = World> {
    let fate = prop_oneof![5 => Just(Fate::Good), 2 => Just(Fate::Slow), 1 => Just(Fate::Never), 1 => Just(Fate::Sick)];
    (prop::array::uniform3(fate), prop::collection::vec(wanted(), 2..4), prop::bool::ANY, any::<u64>())
        .prop_map(|(fates, states, kills, seed)| World { fates, states, kills, seed })
}

fn app_value(index: usize) -> Value {
    json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {"name": format!("app{index}"), "namespace": NS},
        "spec": {"image": "x", "executor": "e", "replicas": 1}})
}

fn route_value(index: usize, route: &RouteIs) -> Value {
    let hosts: Vec<&str> = (0..2).filter(|host| route.hosts & (1 << host) != 0).map(|host| HOSTS[host]).collect();
    let matches: Vec<Value> = (0..3)
        .filter(|path| route.paths & (1 << path) != 0)
        .map(|path| json!({"path": {"type": "PathPrefix", "value": PATHS[path]}}))
        .collect();
    let rule = if route.redirect {
        let other = HOSTS[usize::from(route.hosts == 1)];
        json!({"matches": matches, "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": other}}]})
    } else {
        let backends: Vec<Value> =
            route.apps.iter().map(|app| json!({"name": format!("app{app}"), "port": 80})).collect();
        json!({"matches": matches, "backendRefs": backends})
    };
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": format!("route{index}"), "namespace": NS},
        "spec": {"parentRefs": [{"name": "gateway"}], "hostnames": hosts, "rules": [rule]}})
}

fn desired(wanted: &Wanted) -> Desired {
    let apps = (0..3).filter(|app| wanted.apps[*app]).map(app_value);
    let routes =
        wanted.routes.iter().enumerate().filter_map(|(index, route)| Some(route_value(index, route.as_ref()?)));
    let text: Vec<String> = apps.chain(routes).map(|value| value.to_string()).collect();
    let entries = [("all.yaml".to_owned(), Entry::File(text.join("\n---\n").into_bytes()))].into();
    read(&Tree::of(entries), None).expect("it can be read")
}

/// The cluster: its objects, and the routes that the proxy knows.
struct Cluster {
    live: Live,
    parent: Parent,
    fates: [Fate; 3],
    ready: [bool; 3],
    count: u64,
    proxy: Vec<Value>,
    /// Since when the proxy is behind.
    behind: Option<f64>,
}

impl Cluster {
    fn new(fates: [Fate; 3]) -> Self {
        let mut live = Live::default();
        live.source = crate::live::Source::Cluster;
        for (group, kind) in [
            (SPIN, "SpinApp"),
            ("apps", "Deployment"),
            ("", "Service"),
            ("discovery.k8s.io", "EndpointSlice"),
            (GATEWAY, "HTTPRoute"),
            (GATEWAY, "Gateway"),
            ("", "Pod"),
        ] {
            live.coverage.insert(GroupKind::new(group, kind), Coverage::All);
        }
        live.insert(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gateway", "namespace": NS, "generation": 1},
            "status": {"conditions": [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "True"}]}}));
        let parent = Parent::new("t", "e", crate::desired::PLATFORM, NS);
        Self { live, parent, fates, ready: [false; 3], count: 0, proxy: Vec::new(), behind: None }
    }

    fn write(&mut self, body: &Value, now: f64) {
        self.count += 1;
        let object = ObjectRef::of(body).expect("an object");
        let before = self.live.get(&object).cloned();
        let mut value = body.clone();
        let known = |field: &str| before.as_ref().and_then(|b| b.pointer(&format!("/metadata/{field}"))).cloned();
        value["metadata"]["uid"] = known("uid").unwrap_or_else(|| json!(format!("u{}", self.count)));
        value["metadata"]["generation"] = json!(self.count);
        value["metadata"]["born"] = known("born").unwrap_or_else(|| json!(self.count));
        value["metadata"]["labels"] = json!({PART_OF: self.parent.id});
        if object.kind == "HTTPRoute" {
            self.behind.get_or_insert(now);
        }
        if let (true, Some(index)) = (object.kind == "SpinApp", index_of(&object)) {
            self.ready[index] = false;
            self.live.insert(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": object.name, "namespace": NS},
                "spec": {"selector": {(format!("core.spinkube.dev/app.{}.status", object.name)): "ready"}, "ports": [{"port": 80}]}}));
            self.live.insert(value);
            self.show(index);
            return;
        }
        self.live.insert(value);
    }

    /// Brings what the operator and the kubelet say of an app up to date.
    fn show(&mut self, index: usize) {
        let name = format!("app{index}");
        let Some(app) = self.live.get(&ObjectRef::new(SPIN, "SpinApp", NS, &name)) else { return };
        let uid = meta(app, "uid").to_owned();
        let ready = self.ready[index];
        let count = i64::from(ready);
        let progressing = if self.fates[index] == Fate::Sick {
            json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"})
        } else {
            json!({"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"})
        };
        self.live.insert(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NS, "generation": 1, "ownerReferences": [{"uid": uid}]},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": name, "image": "x"}]}}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": count, "availableReplicas": count,
                "conditions": [{"type": "Available", "status": if ready { "True" } else { "False" }}, progressing]}}));
        self.live.insert(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": name, "namespace": NS, "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"port": 80}], "endpoints": if ready { json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]) } else { json!([]) }}));
    }

    fn delete(&mut self, object: &ObjectRef, now: f64) {
        self.live.remove(object);
        if object.kind == "HTTPRoute" {
            self.behind.get_or_insert(now);
        } else if let Some(index) = index_of(object) {
            self.ready[index] = false;
            for (group, kind) in [("apps", "Deployment"), ("", "Service"), ("discovery.k8s.io", "EndpointSlice")] {
                self.live.remove(&ObjectRef::new(group, kind, NS, &object.name));
            }
        }
    }

    fn routes(&self) -> Vec<Value> {
        self.live.of_kind(GATEWAY, "HTTPRoute", None).map(|(_, value)| value.clone()).collect()
    }

    fn follow(&mut self) {
        self.proxy = self.routes();
        self.behind = None;
    }

    /// The controller answers for a route.
    fn accept(&mut self, pick: usize) {
        let routes = self.routes();
        let Some(mut route) = (!routes.is_empty()).then(|| routes[pick % routes.len()].clone()) else { return };
        let generation = route["metadata"]["generation"].clone();
        let condition =
            |kind: &str| json!({"type": kind, "status": "True", "reason": kind, "observedGeneration": generation});
        route["status"] = json!({"parents": [{"parentRef": {"name": "gateway"}, "conditions": [condition("Accepted"), condition("ResolvedRefs")]}]});
        self.live.insert(route);
    }

    fn start_an_app(&mut self, pick: usize) {
        let starts = |index: &usize| {
            !self.ready[*index]
                && matches!(self.fates[*index], Fate::Good | Fate::Slow)
                && self.live.has(&ObjectRef::new(SPIN, "SpinApp", NS, &format!("app{index}")))
        };
        let able: Vec<usize> = (0..3).filter(starts).collect();
        if let Some(index) = (!able.is_empty()).then(|| able[pick % able.len()]) {
            self.ready[index] = true;
            self.show(index);
        }
    }
}

fn index_of(object: &ObjectRef) -> Option<usize> {
    object.name.strip_prefix("app")?.parse().ok()
}

/// How a request fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fares {
    Unserved,
    /// A part of the requests, or all, go to what is not healthy.
    Sick,
    Well,
}

/// How requests for a host and path fare by these routes; `ready` says of each app whether it is there and healthy.
fn fares(routes: &[Value], host: usize, path: usize, ready: &dyn Fn(usize) -> bool, depth: usize) -> Fares {
    let covers = |value: &str| value == "/" || PATHS[path] == value;
    let matching = routes.iter().filter(|route| {
        let hosts = route["spec"]["hostnames"].as_array().cloned().unwrap_or_default();
        hosts.contains(&json!(HOSTS[host]))
    });
    let rules = matching.flat_map(|route| {
        let rules = route["spec"]["rules"].as_array().into_iter().flatten();
        rules.map(move |rule| (route, rule))
    });
    let best = rules.filter_map(|(route, rule)| {
        let paths =
            rule["matches"].as_array()?.iter().filter_map(|m| m["path"]["value"].as_str()).filter(|p| covers(p));
        let length = paths.map(str::len).max()?;
        Some((std::cmp::Reverse(length), route["metadata"]["born"].as_u64().unwrap_or(u64::MAX), rule))
    });
    let Some((.., rule)) = best.min_by_key(|(length, born, _)| (*length, *born)) else { return Fares::Unserved };
    if rule.get("filters").is_some() {
        return if depth > 2 { Fares::Unserved } else { fares(routes, 1 - host, path, ready, depth + 1) };
    }
    let mut backends = rule["backendRefs"].as_array().into_iter().flatten().filter_map(|b| b["name"].as_str());
    let well = backends.all(|name| name.strip_prefix("app").and_then(|n| n.parse().ok()).is_some_and(ready));
    if well { Fares::Well } else { Fares::Sick }
}

fn classes() -> impl Iterator<Item = (usize, usize)> {
    (0..2).flat_map(|host| (0..3).map(move |path| (host, path)))
}

fn plan_of(desired: &Desired, cluster: &Cluster) -> Plan {
    let live = &cluster.live;
    let mut plan = Plan { parents: vec![cluster.parent.clone()], ..Plan::default() };
    let kinds = |object: &&ObjectRef| is_route(object) || object.is(SPIN, "SpinApp");
    let all: BTreeSet<&ObjectRef> = live.identities().chain(desired.objects.keys()).filter(kinds).collect();
    for object in all {
        let (before, after) = (live.get(object), desired.objects.get(object).map(|m| m.object.value.clone()));
        let action = match (before, &after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(before), Some(after)) if before["spec"] == after["spec"] => continue,
            _ => Action::Update,
        };
        let uid = before.map(|value| meta(value, "uid").to_owned()).unwrap_or_default();
        let unchanged = Change::unchanged(object, "v1", crate::desired::PLATFORM);
        plan.changes.push(Change { action, intended: action, body: after, uid, ..unchanged });
    }
    let graph = Graph::build(desired, live);
    super::super::blocks::block_used_deletes(&mut plan, live);
    loop {
        sequence_steps(&mut plan, desired, live);
        guard_steps(&mut plan, desired, live);
        if !judge_gates(&mut plan, desired, live, &graph) {
            return plan;
        }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }
}

/// One turn. Fails where a request fares worse than it did before and will after.
fn turn(
    wanted: &Wanted,
    cluster: &mut Cluster,
    dice: &mut Dice,
    now: &mut f64,
    kills: bool,
) -> Result<bool, TestCaseError> {
    let desired = desired(wanted);
    let plan = plan_of(&desired, cluster);
    prop_assume!(plan.changes.iter().all(|change| change.breaks.is_none()));
    let has = |live: &Live, app: usize| live.has(&ObjectRef::new("", "Service", NS, &format!("app{app}")));
    let now_ready =
        |cluster: &Cluster| -> [bool; 3] { std::array::from_fn(|app| has(&cluster.live, app) && cluster.ready[app]) };
    let ready = now_ready(cluster);
    // What an earlier turn took away, as it was to, may still be answered by the proxy for a moment.
    let routes = cluster.routes();
    let faring = |routes: &[Value], (host, path)| fares(routes, host, path, &|app| ready[app], 0);
    let mut before: Vec<Fares> =
        classes().map(|class| faring(&cluster.proxy, class).min(faring(&routes, class))).collect();
    let known = |value: &Value| {
        cluster.live.get(&ObjectRef::of(value).expect("an object")).map(|v| v["metadata"]["born"].clone())
    };
    let end: Vec<Value> = desired
        .objects
        .iter()
        .filter(|(object, _)| is_route(object))
        .map(|(_, member)| {
            let mut value = member.object.value.clone();
            value["metadata"]["born"] = known(&value).unwrap_or(json!(u32::MAX));
            value
        })
        .collect();
    let after: Vec<Fares> = classes().map(|(h, p)| fares(&end, h, p, &|_| true, 0)).collect();
    let (mut run, start) = (Run::new(&plan, 60.0, true), *now);
    let mut sent: Vec<usize> = Vec::new();
    let mut log: Vec<String> = Vec::new();
    for _ in 0..4000 {
        sent.extend(run.start_ready(*now - start));
        if run.is_finished() && sent.is_empty() {
            break;
        }
        let pick = dice.roll(1 << 20);
        match dice.roll(if kills { 61 } else { 60 }) / 10 {
            0 if !sent.is_empty() => {
                let step = sent.remove(pick % sent.len());
                log.push(format!("{now:.1} {:?} {}", plan.steps[step].kind, run.object(step)));
                match &plan.steps[step].body {
                    Some(body) => cluster.write(body, *now),
                    None => cluster.delete(run.object(step), *now),
                }
                run.accepted(step, *now - start);
            }
            1 => {
                let settling: Vec<usize> = run.settling().collect();
                if let Some(step) = (!settling.is_empty()).then(|| settling[pick % settling.len()]) {
                    let observed = Observed::new(&desired, &cluster.live);
                    let there = cluster.live.has(run.object(step));
                    let health = there.then(|| observed.health(run.object(step)));
                    run.observed(step, health.as_ref(), *now - start);
                }
            }
            2 => {
                let gated: Vec<usize> = run.gated().collect();
                if let Some(step) = (!gated.is_empty()).then(|| gated[pick % gated.len()]) {
                    let observed = Observed::new(&desired, &cluster.live);
                    let (live, unread) = (&cluster.live, Vec::new());
                    let keeper =
                        Gatekeeper { plan: &plan, desired: &desired, live, observed, unread, users: OnceCell::new() };
                    run.judged(step, keeper.standing(step, &plan.steps[step].gates), *now - start);
                }
            }
            3 => cluster.accept(pick),
            4 => cluster.start_an_app(pick),
            6 => return Ok(false),
            _ => cluster.follow(),
        }
        *now += f64::from(u32::try_from(dice.roll(10)).unwrap_or_default()) / 10.0;
        if cluster.behind.is_some_and(|since| *now - since > LAG) {
            cluster.follow();
        }
        let ready = now_ready(cluster);
        for (index, (host, path)) in classes().enumerate() {
            let faring = fares(&cluster.proxy, host, path, &|app| ready[app], 0);
            // What became well in between must stay so too.
            let promised = before[index].min(after[index]);
            prop_assert!(
                faring >= promised,
                "{}{} is {faring:?}, was {:?}\n{}\n{:#?}",
                HOSTS[host],
                PATHS[path],
                before[index],
                log.join("\n"),
                plan.steps
            );
            let kept = fares(&cluster.routes(), host, path, &|app| ready[app], 0);
            before[index] = before[index].max(faring.min(kept));
        }
    }
    prop_assert!(run.is_finished(), "it does not end: {:?}", run.states());
    Ok(run.states().iter().all(|state| *state == State::Done)
        && plan.changes.iter().all(|change| change.action != Action::Blocked))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::campaign(300, 20_000), failure_persistence: None, max_global_rejects: crate::campaign(300, 20_000), rng_seed: RngSeed::Fixed(20_261_128), ..ProptestConfig::default() })]

    #[test]
    fn no_turn_makes_a_request_fare_worse(world in world()) {
        let mut cluster = Cluster::new(world.fates);
        let (mut dice, mut now) = (Dice(world.seed), 0.0);
        // The first state is there, as far as its apps came.
        let first = desired(&world.states[0]);
        for member in first.objects.values() {
            cluster.write(&member.object.value, now);
        }
        for app in 0..3 {
            if world.fates[app] == Fate::Good {
                cluster.ready[app] = cluster.live.has(&ObjectRef::new(SPIN, "SpinApp", NS, &format!("app{app}")));
                cluster.show(app);
            }
        }
        (0..12).for_each(|pick| cluster.accept(pick));
        cluster.follow();
        for state in &world.states[1..] {
            turn(state, &mut cluster, &mut dice, &mut now, world.kills)?;
        }
        // Without another commit, whatever was left is completed when nothing is in its way.
        let last = world.states.last().expect("a state");
        turn(last, &mut cluster, &mut dice, &mut now, false)?;
        let able = (0..3).all(|app| !last.apps[app] || matches!(world.fates[app], Fate::Good | Fate::Slow));
        if able {
            let mut done = turn(last, &mut cluster, &mut dice, &mut now, false)?;
            for _ in 0..3 {
                done = done || turn(last, &mut cluster, &mut dice, &mut now, false)?;
            }
            let plan = plan_of(&desired(last), &cluster);
            prop_assert!(done && plan.changes.is_empty(), "{:#?}", plan.changes);
        }
    }
}

/// The gates of the deletion of Deployment `old`, whose pods Service `s` selects; `wanted` is in the repository.
fn gates_of_the_old_deployment(wanted: &[Value]) -> Vec<(String, Proof)> {
    let mut cluster = Cluster::new([Fate::Good; 3]);
    let old = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "old", "namespace": NS},
        "spec": {"template": {"metadata": {"labels": {"app": "cart", "version": "1"}}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": NS},
        "spec": {"selector": {"app": "cart"}, "ports": [{"port": 80}]}});
    let route = RouteIs { hosts: 1, paths: 1, apps: vec![0], redirect: false };
    [&old, &service, &route_value(0, &route)].into_iter().for_each(|value| cluster.write(value, 0.0));
    let text: Vec<String> = wanted.iter().map(Value::to_string).collect();
    let entries = [("all.yaml".to_owned(), Entry::File(text.join("\n---\n").into_bytes()))].into();
    let desired = read(&Tree::of(entries), None).expect("it can be read");
    let mut found = Found::default();
    let object = ObjectRef::of(&old).expect("an object");
    Guard::new(&desired, &cluster.live, BTreeSet::new()).step(
        &object,
        StepKind::Delete,
        (Some(&old), None),
        &mut found,
    );
    let gates = found.gates.into_keys().map(|(object, proof)| (object.name, proof));
    gates.filter(|(name, _)| name != "old").collect()
}

#[test]
fn a_workload_goes_when_no_request_needs_its_pods() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": NS}});
    // Its Service goes as well: whoever asks that comes first.
    assert_eq!(gates_of_the_old_deployment(&[map]), [("s".to_owned(), Proof::Unused)]);
    // Its Service stays, and another Deployment is to be behind it.
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": NS},
        "spec": {"selector": {"app": "cart"}, "ports": [{"port": 80}]}});
    let new = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "new", "namespace": NS},
        "spec": {"template": {"metadata": {"labels": {"app": "cart", "version": "2"}}}}});
    assert_eq!(gates_of_the_old_deployment(&[service.clone(), new]), [("new".to_owned(), Proof::Healthy)]);
    // Nothing is to be behind it: that is what the repository says.
    assert_eq!(gates_of_the_old_deployment(&[service]), []);
}
