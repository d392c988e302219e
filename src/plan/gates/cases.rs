//! Cases by name that a reviewer of the gates thought of.

use super::super::conclude::sequence_steps;
use super::*;
use crate::apply::{Gatekeeper, Run, Standing};
use crate::desired::{Entry, Tree, read};
use crate::graph::Graph;
use crate::inventory::{PART_OF, Parent};
use crate::kinds::PROBE;
use crate::live::Coverage;
use crate::object::GroupKind;
use crate::plan::{Action, Change, Step};
use serde_json::json;

const KINDS: [(&str, &str); 8] = [
    (SPIN, "SpinApp"),
    (SPIN, "SpinAppExecutor"),
    ("apps", "Deployment"),
    ("", "Service"),
    ("discovery.k8s.io", "EndpointSlice"),
    (GATEWAY, "HTTPRoute"),
    (GATEWAY, "Gateway"),
    ("", "Pod"),
];

fn wanted(values: &[Value]) -> Desired {
    let text: Vec<String> = values.iter().map(Value::to_string).collect();
    let entries = [("all.yaml".to_owned(), Entry::File(text.join("\n---\n").into_bytes()))].into();
    read(&Tree::of(entries), None).expect("it can be read")
}

fn cluster(values: &[Value]) -> Live {
    let mut live = Live::default();
    live.source = crate::live::Source::Cluster;
    for (group, kind) in KINDS {
        live.coverage.insert(GroupKind::new(group, kind), Coverage::All);
    }
    for (index, value) in values.iter().enumerate() {
        let mut value = value.clone();
        if meta(&value, "uid").is_empty() {
            value["metadata"]["uid"] = json!(format!("u{index}"));
        }
        value["metadata"]["labels"][PART_OF] = json!(Parent::default().id);
        live.insert(value);
    }
    live
}

/// A wanted object as the API server would show it.
fn accepted_like(before: &Value, after: &Value) -> Value {
    let mut shown = before.clone();
    let after = if before["spec"]["parentRefs"].is_array() { accepted(after.clone()) } else { after.clone() };
    shown["spec"] = after["spec"].clone();
    shown
}

/// A plan of all that differs; `held` are blocked for another reason.
fn plan(desired: &Desired, live: &Live, held: &[&ObjectRef]) -> Plan {
    let mut plan = Plan { parents: vec![Parent::default()], ..Plan::default() };
    let planned = |object: &&ObjectRef| {
        object.is(GATEWAY, "ReferenceGrant")
            || object.is("apps", "Deployment")
            || object.is("", "Service")
            || is_route(object)
    };
    let gone = live.identities().filter(planned).filter(|o| live.get(o).is_some_and(|v| v["made"].is_null()));
    let all: BTreeSet<&ObjectRef> = gone.chain(desired.objects.keys()).collect();
    for object in all {
        let (before, after) = (live.get(object), desired.objects.get(object).map(|m| m.object.value.clone()));
        let action = match (before, &after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(before), Some(after)) if *before == accepted_like(before, after) => continue,
            _ => Action::Update,
        };
        let uid = before.map(|value| meta(value, "uid").to_owned()).unwrap_or_default();
        let unchanged = Change::unchanged(object, "v1", crate::desired::PLATFORM);
        let acting = if held.contains(&object) { Action::Blocked } else { action };
        plan.changes.push(Change { action: acting, intended: action, body: after, uid, ..unchanged });
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

fn app(name: &str) -> Value {
    json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}")},
        "spec": {"image": "x", "executor": "e", "replicas": 1}})
}

/// An app with what its operator made, healthy.
fn running(name: &str) -> Vec<Value> {
    let made = |mut value: Value| {
        value["made"] = json!(true);
        value
    };
    vec![
        app(name),
        made(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "ns", "generation": 1, "ownerReferences": [{"uid": format!("uid-{name}")}]},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": name, "image": "x"}]}}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
                "conditions": [{"type": "Available", "status": "True"}]}}),
        ),
        made(service(name, &json!({(format!("core.spinkube.dev/app.{name}.status")): "ready"}))),
        made(slice(name)),
    ]
}

fn service(name: &str, selector: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "ns"}, "spec": {"selector": selector, "ports": [{"port": 80}]}})
}

fn slice(name: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": name, "namespace": "ns", "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]})
}

fn route(name: &str, hosts: &[&str], rules: &Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "ns"},
        "spec": {"parentRefs": [{"name": "g"}], "hostnames": hosts, "rules": rules}})
}

fn accepted(mut route: Value) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": kind});
    // The API server's defaults.
    for parent in route["spec"]["parentRefs"].as_array_mut().into_iter().flatten() {
        parent["group"] = json!(GATEWAY);
        parent["kind"] = json!("Gateway");
    }
    route["status"] = json!({"parents": [{"parentRef": {"name": "g"}, "conditions": [condition("Accepted"), condition("ResolvedRefs")]}]});
    route
}

fn to(path: &str, backend: &str) -> Value {
    json!({"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": backend, "port": 80}]})
}

fn moved(path: &str, filter: &Value) -> Value {
    json!({"matches": [{"path": {"type": "PathPrefix", "value": path}}], "filters": [{"type": "RequestRedirect", "requestRedirect": filter}]})
}

fn object(kind: &str, name: &str) -> ObjectRef {
    let group = match kind {
        "Service" => "",
        "Deployment" => "apps",
        "SpinApp" => SPIN,
        _ => GATEWAY,
    };
    ObjectRef::new(group, kind, "ns", name)
}

/// Does a plan against a cluster where everything becomes healthy as soon as it is written; gives what was sent.
fn done(plan: &Plan, desired: &Desired, mut live: Live) -> (Vec<String>, bool) {
    let mut run = Run::new(plan, 60.0, true);
    let (mut sent, mut now) = (Vec::new(), 0.0);
    while !run.is_finished() && now < 600.0 {
        for step in run.start_ready(now) {
            let Step { kind, body, .. } = &plan.steps[step];
            sent.push(format!("{kind:?} {}", run.object(step).name));
            match body {
                Some(body) => {
                    live.insert(if body["kind"] == "HTTPRoute" { accepted(body.clone()) } else { body.clone() });
                }
                None => live.remove(run.object(step)),
            }
            run.accepted(step, now);
        }
        let settling: Vec<usize> = run.settling().collect();
        for step in settling {
            let there = live.has(run.object(step));
            let health = there.then(|| Observed::new(desired, &live).health(run.object(step)));
            run.observed(step, health.as_ref(), now);
        }
        let gated: Vec<usize> = run.gated().collect();
        for step in gated {
            let standing = standing(plan, step, desired, &live);
            run.judged(step, standing, now);
        }
        now += 1.0;
    }
    let complete = run.states().iter().all(|state| *state == crate::apply::State::Done);
    (sent, complete)
}

fn standing(plan: &Plan, step: usize, desired: &Desired, live: &Live) -> Standing {
    let observed = Observed::new(desired, live);
    let keeper = Gatekeeper { plan, desired, live, observed, unread: Vec::new(), users: OnceCell::new() };
    keeper.standing(step, &plan.steps[step].gates)
}

/// What is served under a new name, with a redirect from the old one: the route has both names for a while.
#[test]
fn a_hostname_moves_and_a_redirect_stays() {
    let desired = wanted(&[
        app("a"),
        route("main", &["new.example"], &json!([to("/", "a")])),
        route("old", &["old.example"], &json!([moved("/", &json!({"hostname": "new.example"}))])),
    ]);
    let mut there = running("a");
    there.push(accepted(route("main", &["old.example"], &json!([to("/", "a")]))));
    let live = cluster(&there);
    let plan = plan(&desired, &live, &[]);
    let (sent, complete) = done(&plan, &desired, live);
    let breaks: Vec<_> = plan.changes.iter().filter_map(|c| c.breaks.clone()).collect();
    assert!(complete, "{sent:?} {breaks:?}");
    assert_eq!(sent, ["Expand main", "Set old", "Contract main"], "{breaks:?}");
    assert!(breaks.is_empty());
}

/// The route that takes over is held by something else: what gives up its requests must not go on.
#[test]
fn requests_are_not_given_up_to_a_change_that_is_held() {
    let desired = wanted(&[
        app("a"),
        route("gives", &["a.example"], &json!([to("/x", "a")])),
        route("takes", &["a.example"], &json!([to("/y", "a"), to("/cart", "a")])),
    ]);
    let mut there = running("a");
    there.push(accepted(route("gives", &["a.example"], &json!([to("/x", "a"), to("/cart", "a")]))));
    there.push(accepted(route("takes", &["a.example"], &json!([to("/y", "a")]))));
    let live = cluster(&there);
    let plan = plan(&desired, &live, &[&object("HTTPRoute", "takes")]);
    let (sent, _) = done(&plan, &desired, live);
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(plan.change(&object("HTTPRoute", "gives")).expect("it").action, Action::Blocked);
}

/// The API server adds defaults to what was written: the requests are the same.
#[test]
fn defaults_of_conditions_make_no_other_claim() {
    let rule = |matches: Value, backend: &str| json!([{"matches": [matches], "backendRefs": [{"name": backend}]}]);
    let value = |matches: Value, backend: &str| route("r", &["a.example"], &rule(matches, backend));
    let route = object("HTTPRoute", "r");
    let of = |matches: Value| claims(&route, &value(matches, "a"));
    let written = of(
        json!({"headers": [{"name": "X-B", "value": "1"}, {"name": "X-A", "value": "1"}], "queryParams": [{"name": "q", "value": "1"}]}),
    );
    let live = of(json!({"path": {"type": "PathPrefix", "value": "/"},
        "headers": [{"name": "x-a", "type": "Exact", "value": "1"}, {"name": "X-B", "type": "Exact", "value": "1"}],
        "queryParams": [{"name": "q", "type": "Exact", "value": "1"}]}));
    assert!(written[0].is_same(&live[0]));
    let other = of(json!({"headers": [{"name": "X-A", "value": "2"}]}));
    assert!(!written[0].is_same(&other[0]));
}

/// Redirects to HTTPS on another listener lead to the same hostname: neither waits for the other.
#[test]
fn redirects_to_https_do_not_wait_for_each_other() {
    let https = json!({"scheme": "https"});
    let desired = wanted(&[
        app("a"),
        route("main", &["a.example"], &json!([to("/", "a")])),
        route("plain", &["a.example"], &json!([moved("/", &https)])),
        route("plain-old", &["a.example"], &json!([moved("/old", &https)])),
    ]);
    let live = cluster(&running("a"));
    let plan = plan(&desired, &live, &[]);
    let breaks: Vec<_> = plan.changes.iter().filter_map(|c| c.breaks.clone()).collect();
    let (sent, complete) = done(&plan, &desired, live);
    assert!(complete, "{sent:?} {breaks:?}");
    assert!(breaks.is_empty(), "{breaks:?}");
}

/// An executor that makes no Deployment: nothing but the endpoints tells whether its app serves.
#[test]
fn an_app_without_a_deployment_is_judged_by_its_endpoints() {
    let executor = json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinAppExecutor", "metadata": {"name": "e", "namespace": "ns"}, "spec": {"createDeployment": false}});
    let desired = wanted(&[app("a"), app("b"), executor.clone(), route("r", &["a.example"], &json!([to("/", "b")]))]);
    let mut there = vec![
        executor,
        app("a"),
        app("b"),
        service("a", &json!({"x": "a"})),
        service("b", &json!({"x": "b"})),
        slice("a"),
    ];
    there.iter_mut().for_each(|value| value["made"] = json!(true));
    there.push(accepted(route("r", &["a.example"], &json!([to("/", "a")]))));
    let mut live = cluster(&there);
    let plan = plan(&desired, &live, &[]);
    assert_eq!(plan.steps.len(), 1);
    let shut = standing(&plan, 0, &desired, &live);
    assert!(matches!(shut, Standing::NotYet(..)), "{shut:?}");
    live.insert(slice("b"));
    assert_eq!(standing(&plan, 0, &desired, &live), Standing::Open);
}

/// A Service goes over from one Deployment to another: the old one stays until the new one serves.
#[test]
fn a_deployment_that_a_service_leads_to_goes_after_the_service_leads_elsewhere() {
    let deployment = |name: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "ns"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"v": name}}, "template": {"metadata": {"labels": {"v": name}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}})
    };
    let r = route("r", &["a.example"], &json!([to("/", "web")]));
    let desired = wanted(&[deployment("two"), service("web", &json!({"v": "two"})), r.clone()]);
    let live = cluster(&[deployment("one"), service("web", &json!({"v": "one"})), slice("web"), accepted(r)]);
    let plan = plan(&desired, &live, &[]);
    let at = |kind: StepKind, name: &str| {
        plan.steps.iter().position(|s| s.kind == kind && plan.changes[s.change].object.name == name).expect("a step")
    };
    let (web, one) = (at(StepKind::Set, "web"), at(StepKind::Delete, "one"));
    assert!(plan.order.contains(&(web, one)), "{:?}", plan.order);
}

/// Of many versions that are superseded each finds who uses it and what takes its place (and no product of them is looked at).
#[test]
fn each_of_many_superseded_versions_waits_for_its_own_successor() {
    let (mut want, mut have) = (Vec::new(), Vec::new());
    let labelled = |mut value: Value, name: String| {
        value["metadata"]["labels"] = json!({APP: name, "kubernetes.io/service-name": value["metadata"]["name"]});
        value
    };
    for n in 0..600 {
        want.push(labelled(app(&format!("a{n}-2")), format!("a{n}")));
        want.push(route(&format!("a{n}"), &[&format!("a{n}.example")], &json!([to("/", &format!("a{n}-2"))])));
        have.extend(running(&format!("a{n}-1")).into_iter().map(|value| labelled(value, format!("a{n}"))));
        have.push(route(&format!("a{n}"), &[&format!("a{n}.example")], &json!([to("/", &format!("a{n}-1"))])));
    }
    let desired = wanted(&want);
    let live = cluster(&have);
    let guard = Guard::new(&desired, &live, BTreeSet::new());
    for n in 0..600 {
        let mut found = Found::default();
        guard.superseded(&object("SpinApp", &format!("a{n}-1")), &mut found);
        assert!(found.gates.contains_key(&(object("SpinApp", &format!("a{n}-2")), Proof::Healthy)), "{n}");
    }
    let users = Users::of(&live);
    for n in 0..600 {
        assert!(users.user_of(&object("SpinApp", &format!("a{n}-1")), &live).is_some());
    }
}

/// A change that failed leaves the pods of the one before it: they serve.
#[test]
fn an_app_whose_last_change_failed_is_not_down_while_it_has_pods() {
    let desired = wanted(&[app("b"), route("takes", &["a.example"], &json!([to("/", "b")]))]);
    let mut there = running("a");
    there.extend(running("b"));
    there[1]["status"]["conditions"] =
        json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    there[1]["status"]["updatedReplicas"] = json!(0);
    there.push(accepted(route("gives", &["a.example"], &json!([to("/", "a")]))));
    let live = cluster(&there);
    let serves = |live: &Live| {
        let plan = plan(&desired, live, &[]);
        let gives = plan.steps.iter().find(|s| plan.changes[s.change].object.name == "gives").expect("a step");
        gives.gates.iter().any(|gate| gate.proof == Proof::Serves)
    };
    assert_eq!(Observed::new(&desired, &live).health(&object("SpinApp", "a")).verdict, Verdict::Failed);
    assert!(serves(&live), "who takes over must serve");
    there[1]["status"]["availableReplicas"] = json!(0);
    assert!(!serves(&cluster(&there)), "nothing is lost");
}

/// A superseded version goes as soon as the Gateway answers with the route that took over, unless more than that may lead to it.
#[test]
fn what_is_asked_while_a_version_rests_is_every_route_that_leads_to_it() {
    let version = |mut value: Value| {
        value["metadata"]["labels"][APP] = json!("cart");
        value
    };
    let asked = |backend: &str| {
        let mut value = route("r", &["a.example"], &json!([to("/", backend)]));
        let mark = crate::routing::mark_of(&value["spec"]);
        value["spec"]["rules"][0]["filters"] = json!([{"type": "ResponseHeaderModifier",
            "responseHeaderModifier": {"set": [{"name": crate::routing::MARK, "value": mark}]}}]);
        value["metadata"]["annotations"] = json!({PROBE: "/"});
        value
    };
    let probes = |more: &[Value]| {
        let desired = wanted(&[version(app("b")), asked("b")]);
        let mut there: Vec<Value> = running("a").into_iter().chain(running("b")).collect();
        there[0] = version(there[0].clone());
        there[5] = version(there[5].clone());
        there.push(accepted(asked("a")));
        there.extend(more.iter().cloned());
        let live = cluster(&there);
        let old = object("SpinApp", "a");
        let guard = Guard::new(&desired, &live, [object("HTTPRoute", "r")].into());
        let mut found = Found::default();
        guard.superseded(&old, &mut found);
        (guard.probes(&old, &found, &BTreeSet::new()), guard.probes(&old, &found, &[object("HTTPRoute", "r")].into()))
    };
    let (alone, in_steps) = probes(&[]);
    assert_eq!(
        alone.iter().map(|probe| &probe.mark).collect::<Vec<_>>(),
        [&crate::routing::mark_of(&asked("b")["spec"])]
    );
    assert!(in_steps.is_empty(), "while it holds the old and the new it carries the mark already");
    // The turn after: the route is as it is wanted, with the API server's defaults.
    let (desired, old) = (wanted(&[version(app("b")), asked("b")]), object("SpinApp", "a"));
    let found = |live: &Live, acting: BTreeSet<ObjectRef>| {
        let guard = Guard::new(&desired, live, acting);
        let mut found = Found::default();
        found.gate(&object("HTTPRoute", "r"), Proof::Healthy, true);
        guard.probes(&old, &found, &BTreeSet::new()).len()
    };
    let there = |live: Value| cluster(&[version(app("a")), version(app("b")), accepted(live)]);
    assert_eq!(found(&there(asked("b")), BTreeSet::new()), 1);
    // Someone edited it: the mark says nothing.
    let mut edited = asked("b");
    edited["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("c");
    assert_eq!(found(&there(edited), [object("HTTPRoute", "r")].into()), 0);
    // It is held as it was.
    assert_eq!(found(&there(asked("c")), BTreeSet::new()), 0);
    // Another route answers for the path.
    let mut live = there(asked("b"));
    live.insert(accepted(route(
        "longer",
        &["a.example"],
        &json!([{"matches": [{"path": {"type": "Exact", "value": "/"}}], "backendRefs": [{"name": "c"}]}]),
    )));
    assert_eq!(found(&live, BTreeSet::new()), 0);
    let foreign = |backend: &str| accepted(route("foreign", &["b.example"], &json!([to("/", backend)])));
    assert!(probes(&[foreign("a")]).0.is_empty(), "nobody asks whether this one is followed");
    let stable = service("cart", &json!({"core.spinkube.dev/app.a.status": "ready"}));
    assert!(probes(&[stable, foreign("cart")]).0.is_empty(), "it leads there by a Service");
}

/// An app moves to another repository: its route there must serve before the one here goes.
#[test]
fn requests_that_go_to_a_route_of_another_repository_are_waited_for() {
    let there = |host: &str, serves: bool| {
        let mut foreign = accepted(route("foreign", &[host], &json!([to("/cart", "b")])));
        foreign["made"] = json!(true);
        let mut there = running("a");
        there.push(accepted(route("ours", &["a.example"], &json!([to("/cart", "a")]))));
        there.extend([foreign, service("b", &json!({"x": "b"}))].map(|mut value| {
            value["made"] = json!(true);
            value
        }));
        there.extend(serves.then(|| slice("b")));
        cluster(&there)
    };
    let desired = wanted(&[app("a")]);
    let standing_of_ours = |live: &Live| {
        let plan = plan(&desired, live, &[]);
        let at = plan.steps.iter().position(|s| plan.changes[s.change].object.name == "ours").expect("a step");
        (standing(&plan, at, &desired, live), plan.steps[at].settle)
    };
    let (waits, settle) = standing_of_ours(&there("a.example", false));
    assert!(matches!(waits, Standing::NotYet(..)) && settle > 0.0, "{waits:?}");
    assert_eq!(standing_of_ours(&there("a.example", true)).0, Standing::Open);
    let (whatever, _) = standing_of_ours(&there("*.example", false));
    assert_eq!(whatever, Standing::Open, "one for whatever comes takes over whatever is deleted");
}

/// Nothing of the repository asks for routes, so none were listed; there may be some all the same.
#[test]
fn what_serves_requests_is_not_deleted_before_all_routes_were_looked_at() {
    let desired = wanted(&[app("b")]);
    let mut live = cluster(&[service("a", &json!({"x": "a"}))]);
    let kind = GroupKind::new(GATEWAY, "HTTPRoute");
    live.coverage.remove(&kind);
    let gates = |live: &Live| {
        let plan = plan(&desired, live, &[]);
        let at = plan.steps.iter().position(|s| plan.changes[s.change].object.name == "a").expect("a step");
        (plan.steps[at].gates.clone(), plan, at)
    };
    let unused = |gates: &[Gate]| gates.iter().any(|gate| gate.proof == Proof::Unused);
    assert!(!unused(&gates(&live).0), "the cluster has no routes");
    let served =
        crate::live::Served { versions: vec!["v1".to_owned()], plural: "httproutes".to_owned(), namespaced: true };
    live.kinds.insert(kind.clone(), served);
    let (found, plan, at) = gates(&live);
    assert!(unused(&found));
    let refused = crate::api::Refused { code: 403, ..Default::default() };
    let unread = vec![(ObjectRef::new(GATEWAY, "HTTPRoute", "", ""), refused)];
    let observed = Observed::new(&desired, &live);
    let keeper = Gatekeeper { plan: &plan, desired: &desired, live: &live, observed, unread, users: OnceCell::new() };
    assert!(matches!(keeper.standing(at, &found), Standing::Unreadable(about, _) if about == kind));
}

/// What a route that is held needs stays: its grant, and its listener.
#[test]
fn a_route_that_is_held_keeps_its_grant_and_its_listener() {
    let grant = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "ReferenceGrant", "metadata": {"name": "grant", "namespace": "other"},
        "spec": {"from": [{"group": GATEWAY, "kind": "HTTPRoute", "namespace": "ns"}], "to": [{"group": "", "kind": "Service"}]}});
    let gateway = |listeners: &[&str]| {
        let listeners: Vec<Value> =
            listeners.iter().map(|name| json!({"name": name, "port": 80, "protocol": "HTTP"})).collect();
        accepted(
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g", "namespace": "ns"}, "spec": {"gatewayClassName": "c", "listeners": listeners}}),
        )
    };
    let at = |listener: &str, rule: Value| {
        let mut route = route("r", &["a.example"], &json!([rule]));
        route["spec"]["parentRefs"] = json!([{"name": "g", "sectionName": listener}]);
        route
    };
    let cross = json!({"backendRefs": [{"name": "b", "namespace": "other", "port": 80}]});
    let desired = wanted(&[app("a"), gateway(&["new"]), at("new", to("/", "a"))]);
    let mut there = running("a");
    there.extend([grant.clone(), gateway(&["old"]), accepted(at("old", cross))]);
    let live = cluster(&there);
    let grant = ObjectRef::of(&grant).expect("an object");
    let r = object("HTTPRoute", "r");
    let free = plan(&desired, &live, &[]);
    let action = |plan: &Plan, object: &ObjectRef| plan.change(object).expect("a change").action;
    assert_eq!((action(&free, &grant), action(&free, &object("Gateway", "g"))), (Action::Delete, Action::Update));
    let held = plan(&desired, &live, &[&r]);
    assert_eq!((action(&held, &grant), action(&held, &object("Gateway", "g"))), (Action::Blocked, Action::Blocked));
    assert!(held.steps.is_empty());
}

/// The listener without TLS goes over to a redirect: it is there before the route leaves that listener.
#[test]
fn a_redirect_takes_over_a_listener() {
    let at = |section: Option<&str>, mut route: Value| {
        if let Some(section) = section {
            route["spec"]["parentRefs"] = json!([{"name": "g", "sectionName": section}]);
        }
        route
    };
    let main = |name: &str, path: &str| route(name, &["a.example"], &json!([to(path, "a")]));
    let plain = route("plain", &["a.example"], &json!([moved("/", &json!({"scheme": "https"}))]));
    let listeners =
        json!([{"name": "http", "port": 80, "protocol": "HTTP"}, {"name": "https", "port": 443, "protocol": "HTTPS"}]);
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g", "namespace": "ns"},
        "spec": {"gatewayClassName": "c", "listeners": listeners},
        "status": {"conditions": [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "True"}]}});
    let desired = wanted(&[
        app("a"),
        gateway.clone(),
        at(Some("https"), main("main", "/")),
        at(Some("https"), main("cart", "/cart")),
        at(Some("http"), plain),
    ]);
    let mut there = running("a");
    there.extend([gateway, accepted(main("main", "/")), accepted(main("cart", "/cart"))]);
    let live = cluster(&there);
    let plan = plan(&desired, &live, &[]);
    let breaks: Vec<_> = plan.changes.iter().filter_map(|c| c.breaks.clone()).collect();
    assert!(breaks.is_empty(), "{breaks:?}");
    let first = &plan.changes[plan.steps[0].change].object;
    assert_eq!(first.name, "plain");
    for step in 1..3 {
        assert!(plan.order.contains(&(0, step)) && plan.steps[step].settle > 0.0);
        assert!(plan.steps[step].gates.iter().any(|g| g.object == *first && g.proof == Proof::Healthy && g.always));
    }
}

/// Where TLS ends moves from the Gateway to the backend: both are about the same requests.
#[test]
fn a_tls_route_takes_over_from_an_http_route() {
    let tls = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "TLSRoute", "metadata": {"name": "tls", "namespace": "ns"},
        "spec": {"parentRefs": [{"name": "g"}], "hostnames": ["a.example"], "rules": [{"backendRefs": [{"name": "a", "port": 443}]}]}});
    let desired = wanted(&[app("a"), tls]);
    let mut there = running("a");
    there.push(accepted(route("main", &["a.example"], &json!([to("/", "a")]))));
    let plan = plan(&desired, &cluster(&there), &[]);
    let names: Vec<&str> = plan.steps.iter().map(|s| plan.changes[s.change].object.name.as_str()).collect();
    assert_eq!(names, ["tls", "main"]);
    assert!(plan.order.contains(&(0, 1)));
}

/// Requests go to a redirect: who answers in the end must do so.
#[test]
fn a_redirect_that_takes_over_leads_to_who_serves() {
    let redirect = route("redirect", &["a.example"], &json!([moved("/", &json!({"hostname": "b.example"}))]));
    let target = route("target", &["b.example"], &json!([to("/", "b")]));
    let desired = wanted(&[app("a"), app("b"), redirect.clone(), target.clone()]);
    let mut there = running("a");
    there.extend(running("b"));
    there.extend([accepted(redirect), accepted(target)]);
    there.push(accepted(route("gives", &["a.example"], &json!([to("/cart", "a")]))));
    let mut live = cluster(&there);
    let differs = |plan: &Plan| plan.steps.iter().position(|s| plan.changes[s.change].object.name == "gives");
    let plan = plan(&desired, &live, &[]);
    let gives = differs(&plan).expect("a step");
    assert_eq!(standing(&plan, gives, &desired, &live), Standing::Open);
    live.remove(&ObjectRef::new("discovery.k8s.io", "EndpointSlice", "ns", "b"));
    assert!(matches!(standing(&plan, gives, &desired, &live), Standing::NotYet(..)));
}
