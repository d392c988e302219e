//! The order of steps: cases by name, and law 2 over random worlds.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn gateway(listeners: &[(&str, u16)]) -> Value {
    let listeners: Vec<Value> =
        listeners.iter().map(|(name, port)| json!({"name": name, "port": port, "protocol": "HTTP"})).collect();
    json!({"spec": {"gatewayClassName": "c", "listeners": listeners}})
}

fn route(parent: (&str, &str), backend: (&str, u16)) -> Value {
    json!({"spec": {"parentRefs": [{"name": parent.0, "sectionName": parent.1}], "rules": [{"backendRefs": [{"name": backend.0, "port": backend.1}]}]}})
}

fn service(ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|p| json!({"port": p})).collect();
    json!({"spec": {"ports": ports}})
}

fn reference(kind: &str, name: &str) -> ObjectRef {
    let group = match kind {
        "Service" => "",
        "SpinApp" => kinds::SPIN,
        _ => GATEWAY,
    };
    ObjectRef::new(group, kind, "ns", name)
}

static NOTHING: BTreeSet<ObjectRef> = BTreeSet::new();

type Row = (ObjectRef, Option<Value>, Option<Value>);

fn shown(rows: &[Row]) -> Vec<String> {
    let changes: Vec<Stepped<'_>> = rows
        .iter()
        .map(|(object, before, after)| Stepped {
            object,
            before: before.as_ref(),
            after: after.as_ref(),
            replace: false,
            also: &[],
            through: &NOTHING,
        })
        .collect();
    let (steps, _, breaks) = sequence(&changes);
    assert!(breaks.is_empty(), "{breaks:?}");
    steps.iter().map(|s| format!("{:?} {}", s.kind, rows[s.change].0.name)).collect()
}

#[test]
fn a_renamed_app_is_made_then_used_then_the_old_one_goes() {
    let app = json!({"spec": {"image": "x"}});
    let rows = [
        (reference("SpinApp", "new"), None, Some(app.clone())),
        (reference("SpinApp", "old"), Some(app), None),
        (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("old", 80))), Some(route(("gw", "a"), ("new", 80)))),
    ];
    assert_eq!(shown(&rows), ["Set new", "Set route", "Delete old"]);
}

#[test]
fn a_workload_goes_after_the_service_that_selects_its_pods() {
    let deployment = |app: &str| json!({"spec": {"template": {"metadata": {"labels": {"app": app}}}}});
    let service = |app: &str| json!({"spec": {"selector": {"app": app}, "ports": [{"port": 80}]}});
    let of = |name: &str| ObjectRef::new("apps", "Deployment", "ns", name);
    // The names are such that the order is not that of the names.
    let rows = [
        (of("a-old"), Some(deployment("old")), None),
        (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("old", 80))), Some(route(("gw", "a"), ("new", 80)))),
        (reference("Service", "old"), Some(service("old")), None),
    ];
    assert_eq!(shown(&rows), ["Set route", "Delete old", "Delete a-old"]);
    let rows = [
        (of("a-old"), Some(deployment("old")), None),
        (reference("Service", "s"), Some(service("old")), Some(service("new"))),
    ];
    assert_eq!(shown(&rows), ["Set s", "Delete a-old"]);
}

#[test]
fn a_renamed_listener_is_expanded() {
    let rows = [
        (reference("Gateway", "gw"), Some(gateway(&[("a", 80)])), Some(gateway(&[("b", 8080)]))),
        (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "b"), ("s", 80)))),
    ];
    assert_eq!(shown(&rows), ["Expand gw", "Set route", "Contract gw"]);
}

#[test]
fn a_listener_renamed_on_its_port_lets_the_route_hold_both() {
    let rows = [
        (reference("Gateway", "gw"), Some(gateway(&[("a", 80)])), Some(gateway(&[("b", 80)]))),
        (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "b"), ("s", 80)))),
    ];
    assert_eq!(shown(&rows), ["Expand route", "Set gw", "Contract route"]);
}

#[test]
fn a_moved_route_is_attached_to_both_gateways() {
    let rows = [
        (reference("Gateway", "new"), None, Some(gateway(&[("a", 80)]))),
        (reference("Gateway", "old"), Some(gateway(&[("a", 80)])), None),
        (reference("HTTPRoute", "route"), Some(route(("old", "a"), ("s", 80))), Some(route(("new", "a"), ("s", 80)))),
    ];
    assert_eq!(shown(&rows), ["Set new", "Expand route", "Contract route", "Delete old"]);
}

#[test]
fn a_changed_service_port_is_expanded_and_swapped_backends_are_not() {
    let rows = [
        (reference("Service", "s"), Some(service(&[80])), Some(service(&[8080]))),
        (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "a"), ("s", 8080)))),
    ];
    assert_eq!(shown(&rows), ["Expand s", "Set route", "Contract s"]);
    let rows = [
        (reference("HTTPRoute", "r1"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "a"), ("t", 80)))),
        (reference("HTTPRoute", "r2"), Some(route(("gw", "a"), ("t", 80))), Some(route(("gw", "a"), ("s", 80)))),
    ];
    assert_eq!(shown(&rows).len(), 2);
}

#[test]
fn an_autoscaler_comes_before_autoscaling_is_switched_on() {
    let scaler = ObjectRef::new("autoscaling", "HorizontalPodAutoscaler", "ns", "scaler");
    let target = json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}}});
    let (off, on) = (json!({"spec": {"replicas": 3}}), json!({"spec": {"enableAutoscaling": true}}));
    let rows =
        [(reference("SpinApp", "app"), Some(off), Some(on.clone())), (scaler.clone(), None, Some(target.clone()))];
    assert_eq!(shown(&rows), ["Set scaler", "Set app"]);
    let rows = [(reference("SpinApp", "app"), None, Some(on)), (scaler, None, Some(target))];
    assert_eq!(shown(&rows), ["Set app", "Set scaler"]);
}

#[test]
fn depends_on_is_an_order_too() {
    let map = |name: &str| ObjectRef::new("", "ConfigMap", "ns", name);
    let after = json!({"metadata": {"annotations": {"config.kubernetes.io/depends-on": "/namespaces/ns/ConfigMap/z"}}});
    let rows = [(map("a"), None, Some(after)), (map("z"), None, Some(json!({})))];
    assert_eq!(shown(&rows), ["Set z", "Set a"]);
}

#[test]
fn an_app_goes_after_its_route() {
    let rows = [
        (reference("SpinApp", "app"), Some(json!({"spec": {}})), None),
        (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("app", 80))), None),
    ];
    assert_eq!(shown(&rows), ["Delete route", "Delete app"]);
}

/// A small world: gateways, services and routes, each present or not.
fn world() -> impl Strategy<Value = Vec<Option<Value>>> {
    let listeners = prop::collection::btree_set(0..3_u16, 1..3);
    let gateways = prop::collection::vec(prop::option::weighted(0.8, listeners), 2);
    let services = prop::collection::vec(prop::option::weighted(0.8, prop::collection::btree_set(0..3_u16, 1..3)), 2);
    let routes = prop::collection::vec(prop::option::weighted(0.8, (0..2_usize, 0..3_u16, 0..2_usize, 0..3_u16)), 3);
    (gateways, services, routes, prop::bool::ANY).prop_map(|(gateways, services, routes, same_port)| {
        let names = ["a", "b", "c"];
        let port = |l: u16| if same_port { 80 } else { 8000 + l };
        let mut made: Vec<Option<Value>> = Vec::new();
        made.extend(gateways.into_iter().map(|g| {
            g.map(|ls| {
                let ls: Vec<(&str, u16)> =
                    ls.iter().take(if same_port { 1 } else { 3 }).map(|l| (names[usize::from(*l)], port(*l))).collect();
                gateway(&ls)
            })
        }));
        made.extend(
            services.into_iter().map(|s| s.map(|ports| service(&ports.iter().map(|p| 80 + p).collect::<Vec<_>>()))),
        );
        made.extend(routes.into_iter().enumerate().map(|(index, r)| {
            r.map(|(g, l, s, p)| {
                let mut route = route((["g0", "g1"][g], names[usize::from(l)]), (["s0", "s1"][s], 80 + p));
                // Requests of their own: who takes over whose requests is held against in the tests of gates.
                route["spec"]["hostnames"] = json!([format!("r{index}.example")]);
                route
            })
        }));
        made
    })
}

fn objects() -> Vec<ObjectRef> {
    let rows = [
        ("Gateway", "g0"),
        ("Gateway", "g1"),
        ("Service", "s0"),
        ("Service", "s1"),
        ("HTTPRoute", "r0"),
        ("HTTPRoute", "r1"),
        ("HTTPRoute", "r2"),
    ];
    rows.iter().map(|(kind, name)| reference(kind, name)).collect()
}

fn met(state: &[Option<Value>], need: &Need) -> bool {
    objects().iter().zip(state).any(|(object, value)| value.as_ref().is_some_and(|v| available(object, v, need)))
}

/// The parents of a route that resolve.
fn attached(state: &[Option<Value>], route: usize) -> usize {
    let needs = state[route].as_ref().map(|v| needs_of(&objects()[route], v)).unwrap_or_default();
    needs
        .iter()
        .filter(|n| matches!(n, Need::Object(o, Some(_)) if o.kind == "Gateway"))
        .filter(|n| met(state, n))
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::campaign(300, 20_000), max_global_rejects: crate::campaign(300, 20_000) / 100, rng_seed: RngSeed::Fixed(20_261_122), ..ProptestConfig::default() })]

    /// Law 2: whatever order respects the plan, what resolved before and resolves after never dangles in between.
    #[test]
    fn no_reference_dangles_in_any_order(before in world(), after in world(), picks in prop::collection::vec(0..64_usize, 24)) {
        let objects = objects();
        let changed: Vec<usize> = (0..objects.len()).filter(|i| before[*i] != after[*i]).collect();
        let changes: Vec<Stepped<'_>> = changed.iter().map(|i| Stepped { object: &objects[*i], before: before[*i].as_ref(), after: after[*i].as_ref(), replace: false, also: &[], through: &NOTHING }).collect();
        let (steps, order, breaks) = sequence(&changes);
        // What has no safe order is named: two gateways whose only listeners are renamed while two routes swap them, say.
        // Such worlds are rare, and more than one in a hundred would fail the test.
        prop_assume!(breaks.is_empty());
        let check = |state: &[Option<Value>]| -> Result<(), TestCaseError> {
            for user in 4..objects.len() {
                let (Some(old), Some(new)) = (&before[user], &after[user]) else { continue };
                let (old, new) = (needs_of(&objects[user], old), needs_of(&objects[user], new));
                let now = state[user].as_ref().map(|v| needs_of(&objects[user], v)).unwrap_or_default();
                for need in old.intersection(&new).filter(|n| met(&before, n) && met(&after, n)) {
                    prop_assert!(met(state, need), "{need:?} dangles");
                }
                // A need that is new must be met as soon as it is there, an old one as long as it is there.
                for need in now.iter().filter(|n| !matches!(n, Need::Object(_, Some(Section::Listener(_))))) {
                    let promised = (!new.contains(need) || met(&after, need)) && (!old.contains(need) || met(&before, need));
                    prop_assert!(met(state, need) || !promised, "{need:?} of {} dangles", objects[user]);
                }
                if attached(&before, user) > 0 && attached(&after, user) > 0 {
                    prop_assert!(attached(state, user) > 0, "{} is detached", objects[user]);
                }
            }
            Ok(())
        };
        let ready = |done: u32| (0..steps.len()).filter(|s| done & (1 << s) == 0 && order.iter().all(|(a, b)| b != s || done & (1 << a) != 0)).collect::<Vec<_>>();
        // The state after some steps depends on which they are alone, so every set that can be reached stands for all
        // orders that lead to it: all of them up to 8 steps, above that those of one random order.
        let mut queue = vec![(0_u32, before.clone())];
        let mut seen = BTreeSet::new();
        let mut pick = 0;
        while let Some((done, reached)) = queue.pop() {
            let state = reached;
            check(&state)?;
            let mut nexts = ready(done);
            prop_assert!(!nexts.is_empty() || done.count_ones() as usize == steps.len());
            if steps.len() > 8 && !nexts.is_empty() {
                nexts = vec![nexts[picks[pick % picks.len()] % nexts.len()]];
                pick += 1;
            }
            for step in nexts {
                let mut next = state.clone();
                next[changed[steps[step].change]].clone_from(&steps[step].body);
                if seen.insert(done | 1 << step) {
                    queue.push((done | 1 << step, next));
                }
            }
            if done.count_ones() as usize == steps.len() {
                prop_assert_eq!(&state, &after);
            }
        }
    }
}
