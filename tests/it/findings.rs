//! What checks find of a change is part of its plan, on the real API server (law 12).

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, row};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::time::Duration;

const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/cart";

fn route(section: &str, port: u16) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: cart, namespace: default}}\nspec:\n  parentRefs: [{{name: public, sectionName: {section}}}]\n  hostnames: [shop.example]\n  rules: [{{backendRefs: [{{name: cart, port: {port}}}]}}]\n"
    )
}

fn map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m, namespace: default}}\ndata: {{k: {value}}}\n")
}

fn gateway(listener: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "public", "namespace": "default"},
        "spec": {"gatewayClassName": "c", "listeners": [{"name": listener, "port": 80, "protocol": "HTTP"}]}})
}

/// A Gateway and a Service that live in the cluster alone.
fn platform(cluster: &Cluster) {
    let path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/public";
    cluster.apply_as(path, "platform-team", &gateway("http"));
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "default"},
        "spec": {"ports": [{"port": 80}]}});
    cluster.apply_as("/api/v1/namespaces/default/services/cart", "platform-team", &service);
}

fn run(cluster: &Cluster, verb: &str, repo: &Repo) -> (i32, Value) {
    let mut arguments = vec![verb, repo.dir(), "-o", "json"];
    if verb == "apply" {
        arguments.extend(["--yes", "--timeout", "2"]);
    }
    let ran = cluster.spinway(&arguments);
    (code(&ran), json(&ran))
}

fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found = report["diagnostics"].as_array().expect("diagnostics");
    found.iter().find(|finding| finding["id"] == id).unwrap_or(&Value::Null)
}

#[test]
fn a_change_that_detaches_a_live_route_is_blocked_and_nothing_else() {
    let cluster = Cluster::take();
    platform(&cluster);
    let repo = Repo::with_config();
    repo.write("apps/one/route.yaml", &route("http", 80));
    repo.write("apps/one/map.yaml", &map("v1"));
    run(&cluster, "apply", &repo);
    let spec = || cluster.get(ROUTE).expect("the route")["spec"].clone();
    let before = spec();
    for (wrong, id, line) in [(route("htpp", 80), "SPW003", 5), (route("http", 8080), "SPW005", 7)] {
        repo.write("apps/one/route.yaml", &wrong);
        repo.write("apps/one/map.yaml", &map(id));
        let (_, report) = run(&cluster, "plan", &repo);
        let found = finding(&report, id);
        assert_eq!((&found["severity"], &found["line"]), (&json!("error"), &json!(line)), "{report:#}");
        assert_eq!(row(&report, "HTTPRoute", "cart")["action"], "blocked", "{report:#}");
        let (exit, report) = run(&cluster, "apply", &repo);
        assert_eq!((exit, &row(&report, "HTTPRoute", "cart")["action"]), (1, &json!("blocked")), "{report:#}");
        assert_eq!(spec(), before);
        assert_eq!(cluster.get("/api/v1/namespaces/default/configmaps/m").expect("m")["data"]["k"], id);
    }
    // Whoever means it says so.
    let meant =
        route("htpp", 80).replace("sectionName: htpp}]", "sectionName: htpp}]   # spinway:ignore SPW003: comes later");
    repo.write("apps/one/route.yaml", &meant);
    let (_, report) = run(&cluster, "plan", &repo);
    assert_eq!(
        (finding(&report, "SPW003"), &row(&report, "HTTPRoute", "cart")["action"]),
        (&Value::Null, &json!("update"))
    );
}

#[test]
fn a_change_that_takes_the_listener_of_an_unchanged_route_is_blocked_and_its_error_is_told() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(30));
    let repo = Repo::with_config();
    let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "c"},
        "spec": {"controllerName": "stand-in.example/controller"}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "default"},
        "spec": {"ports": [{"port": 80}]}});
    repo.write("platform/class.json", &class.to_string());
    repo.write("platform/service.json", &service.to_string());
    repo.write("platform/gateway.json", &gateway("http").to_string());
    repo.write("apps/one/route.yaml", &route("http", 80));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "20"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    repo.write("platform/gateway.json", &gateway("web").to_string());
    let (exit, report) = run(&cluster, "plan", &repo);
    let found = finding(&report, "SPW003");
    let expected = (0, &json!("error"), &json!("apps/one/route.yaml"));
    assert_eq!((exit, &found["severity"], &found["file"]), expected, "{report:#}");
    assert_eq!(row(&report, "HTTPRoute", "cart")["action"], "unchanged", "{report:#}");
    // What would detach it is not done: nothing in this plan takes the route elsewhere.
    assert_eq!(row(&report, "Gateway", "public")["action"], "blocked", "{report:#}");
}
