//! Law 2 on a real API server: expand, move, contract, as the audit log shows it.

use crate::cluster::{Audited, Cluster};
use crate::repo::Repo;
use crate::run::{Ran, code};
use crate::stand_in::StandIn;
use std::time::Duration;

const BASE: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: data}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: stand-in.example/controller}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: shim, namespace: shop}
spec: {createDeployment: true}
";

fn gateway(name: &str, listeners: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{gatewayClassName: c, listeners: [{listeners}]}}\n"
    )
}

fn listener(name: &str, port: u16) -> String {
    format!("{{name: {name}, port: {port}, protocol: HTTP}}")
}

fn app(name: &str) -> String {
    format!(
        "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{image: \"example/{name}:1\", executor: shim, replicas: 1}}\n"
    )
}

fn service(name: &str, namespace: &str, port: u16) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{selector: {{a: b}}, ports: [{{port: {port}}}]}}\n"
    )
}

fn route(name: &str, gateway: &str, section: &str, backend: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{parentRefs: [{{name: {gateway}, sectionName: {section}}}], hostnames: [{name}.example], rules: [{{backendRefs: [{backend}]}}]}}\n"
    )
}

/// Applies one state, then another; gives the writes of the second: `VERB OBJECT`, and whether a name is in the body.
fn change(before: &[String], after: &[String]) -> Vec<(String, String)> {
    let mut cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(30));
    let repo = Repo::with_config();
    for (state, marked) in [(before, false), (after, true)] {
        repo.write("platform/all.yaml", &format!("{BASE}{}", state.concat()));
        if marked {
            cluster.mark();
        }
        let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "30"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    }
    let again = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!(code(&again), 0, "{}", Ran(&again));
    let writes = cluster.writes().into_iter().filter(Audited::is_of_the_repository);
    writes.map(|w| (format!("{} {}", w.verb, w.object), w.body.to_string())).collect()
}

fn verbs(writes: &[(String, String)]) -> Vec<&str> {
    writes.iter().map(|(verb, _)| verb.as_str()).collect()
}

#[test]
fn a_renamed_app_is_made_used_and_then_deleted() {
    let base = |name: &str| {
        vec![
            gateway("g", &listener("http", 80)),
            app(name),
            route("r", "g", "http", &format!("{{name: {name}, port: 80}}")),
        ]
    };
    let writes = change(&base("old"), &base("new"));
    assert_eq!(verbs(&writes), ["patch spinapps shop/new", "patch httproutes shop/r", "delete spinapps shop/old"]);
}

#[test]
fn a_moved_route_is_attached_to_both_gateways_in_between() {
    let gateways = [gateway("old", &listener("http", 80)), gateway("new", &listener("http", 8080)), app("a")].concat();
    let base = |gateway: &str| vec![gateways.clone(), route("r", gateway, "http", "{name: a, port: 80}")];
    let writes = change(&base("old"), &base("new"));
    assert_eq!(verbs(&writes), ["patch httproutes shop/r", "patch httproutes shop/r"]);
    assert!(writes[0].1.contains("\"old\"") && writes[0].1.contains("\"new\"") && !writes[1].1.contains("\"old\""));
}

#[test]
fn a_renamed_listener_is_expanded_and_contracted() {
    let base = |section: &str, port: u16| {
        vec![gateway("g", &listener(section, port)), app("a"), route("r", "g", section, "{name: a, port: 80}")]
    };
    let writes = change(&base("http", 80), &base("web", 8080));
    assert_eq!(verbs(&writes), ["patch gateways shop/g", "patch httproutes shop/r", "patch gateways shop/g"]);
    assert!(writes[0].1.contains("\"http\"") && writes[0].1.contains("\"web\""));
    // On the same port a Gateway cannot have both, so the route holds both names instead.
    let writes = change(&base("http", 80), &base("web", 80));
    assert_eq!(verbs(&writes), ["patch httproutes shop/r", "patch gateways shop/g", "patch httproutes shop/r"]);
}

#[test]
fn swapped_backends_need_no_detour() {
    let base = |a: &str, b: &str| {
        vec![
            gateway("g", &listener("http", 80)),
            app("v"),
            app("w"),
            route("a", "g", "http", &format!("{{name: {a}, port: 80}}")),
            route("b", "g", "http", &format!("{{name: {b}, port: 80}}")),
        ]
    };
    let writes = change(&base("v", "w"), &base("w", "v"));
    let mut verbs = verbs(&writes);
    verbs.sort_unstable();
    assert_eq!(verbs, ["patch httproutes shop/a", "patch httproutes shop/b"]);
}

#[test]
fn a_grant_is_narrowed_after_its_user_has_moved() {
    let grant = |kinds: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{name: g, namespace: data}}\nspec: {{from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}}], to: [{kinds}]}}\n"
        )
    };
    let both = "{group: \"\", kind: Service, name: a}, {group: \"\", kind: Service, name: b}";
    let base = |to: &str, backend: &str| {
        vec![
            gateway("g", &listener("http", 80)),
            service("a", "data", 80),
            service("b", "data", 80),
            grant(to),
            route("r", "g", "http", &format!("{{name: {backend}, namespace: data, port: 80}}")),
        ]
    };
    let writes = change(&base(both, "a"), &base("{group: \"\", kind: Service, name: b}", "b"));
    assert_eq!(verbs(&writes), ["patch httproutes shop/r", "patch referencegrants data/g"]);
}

#[test]
fn a_changed_service_port_is_expanded_and_contracted() {
    let base = |port: u16| {
        vec![
            gateway("g", &listener("http", 80)),
            service("s", "shop", port),
            route("r", "g", "http", &format!("{{name: s, port: {port}}}")),
        ]
    };
    let writes = change(&base(80), &base(8080));
    assert_eq!(verbs(&writes), ["patch services shop/s", "patch httproutes shop/r", "patch services shop/s"]);
}

#[test]
fn an_app_is_deleted_after_its_route() {
    let keep = [gateway("g", &listener("http", 80)), app("b"), route("b", "g", "http", "{name: b, port: 80}")].concat();
    // Another route keeps the hostname, so that the deletion is not held.
    let twin = route("a2", "g", "http", "{name: b, port: 80}").replace("a2.example", "a.example");
    let writes =
        change(&[keep.clone(), twin.clone(), app("a"), route("a", "g", "http", "{name: a, port: 80}")], &[keep, twin]);
    assert_eq!(verbs(&writes), ["delete httproutes shop/a", "delete spinapps shop/a"]);
}
