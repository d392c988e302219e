//! What a run costs the API server: which requests, and how it follows a server that is busy.

use crate::cluster::Cluster;
use crate::proxy::{Proxy, answer, status};
use crate::repo::Repo;
use crate::run::{Ran, code, json, row, stderr, stdout};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Apps with their routes and ConfigMaps.
fn apps(count: usize) -> String {
    let app = |n: usize| {
        format!(
            "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: a{n}, namespace: default}}\nspec: {{image: \"i:1\", replicas: 1, executor: e, variables: [{{name: v, value: x}}]}}\n\
             ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: a{n}, namespace: default}}\nspec:\n  parentRefs: [{{name: g}}]\n  rules: [{{matches: [{{path: {{value: /a{n}}}}}], backendRefs: [{{name: a{n}, port: 80}}]}}]\n\
             ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a{n}, namespace: default}}\ndata: {{k: v}}\n"
        )
    };
    (0..count).map(app).collect()
}

fn applied(cluster: &Cluster, text: &str) -> Repo {
    let repo = Repo::with_config();
    repo.write(
        "platform/base.yaml",
        "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: e, namespace: default}\nspec: {createDeployment: false}\n\
         ---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: example.com/c}\n\
         ---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: default}\nspec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}]}\n",
    );
    repo.write("apps/one/all.yaml", text);
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--no-wait"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    repo
}

fn requests(cluster: &Cluster, repo: &Repo) -> Value {
    let ran = cluster.spinway(&["plan", repo.dir(), "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    json(&ran)["requests"].clone()
}

#[test]
fn a_turn_costs_lists_and_one_dry_run_for_each_object_that_differs() {
    let cluster = Cluster::take();
    let repo = applied(&cluster, &apps(20));
    let quiet = requests(&cluster, &repo);
    assert_eq!(quiet.get("dry-run"), None, "{quiet}");
    assert_eq!(quiet.get("GET"), None, "nothing is asked for by itself: {quiet}");
    assert!(quiet["LIST"].as_u64().is_some_and(|n| n <= 20), "{quiet}");
    for n in [3, 7] {
        let path = format!("/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps/a{n}");
        cluster.edit(&path, "kubectl-edit", &json!({"spec": {"replicas": 5}}));
    }
    // A status is no drift, and no reason to ask.
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/a1/status";
    cluster.edit(route, "controller", &json!({"status": {"parents": []}}));
    let drifted = requests(&cluster, &repo);
    assert_eq!(drifted["dry-run"], 2, "{drifted}");
    assert_eq!(drifted["LIST"], quiet["LIST"]);
    let text = stdout(&cluster.spinway(&["plan", repo.dir()]));
    assert!(text.contains(" requests: ") && text.contains("2 dry-run"), "{text}");
    assert!(text.contains("Seconds: read ") && text.contains("compare "), "{text}");
    let markdown = stdout(&cluster.spinway(&["plan", repo.dir(), "-o", "markdown"]));
    assert!(markdown.contains(" requests: "), "{markdown}");
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let cluster = Cluster::take();
    let repo = applied(&cluster, &apps(3));
    repo.edit("apps/one/all.yaml", "k: v", "k: w");
    let left = Arc::new(AtomicUsize::new(6));
    let busy = Arc::clone(&left);
    let before = move |head: &http::request::Parts| {
        let refused = head.method == http::Method::PATCH
            && busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        refused.then(|| {
            let mut answer = status(429, "TooManyRequests", "too many requests, please try again later");
            answer.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
            answer
        })
    };
    let proxy = Proxy::start(&cluster, before, |_| {});
    repo.write("kubeconfig", &proxy.kubeconfig());
    let start = Instant::now();
    let ran = cluster
        .command(&["apply", repo.dir(), "--yes", "--no-wait", "-o", "json"])
        .env("KUBECONFIG", repo.file("kubeconfig"))
        .output()
        .expect("spinway runs");
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(left.load(Ordering::SeqCst), 0, "all refusals were used");
    assert!(start.elapsed().as_secs() >= 1, "it waited as long as the server said");
    let report = json(&ran);
    // Three dry-runs and three writes, six of which were sent twice; and the turn is recorded.
    let sent = report["requests"]["dry-run"].as_u64().unwrap_or(0) + report["requests"]["PATCH"].as_u64().unwrap_or(0);
    assert_eq!(sent, 13, "each attempt is counted: {}", report["requests"]);
    assert_eq!(row(&report, "ConfigMap", "a0")["result"], "done");
}

#[test]
fn a_list_that_expires_is_begun_again_and_half_of_one_proves_nothing() {
    let cluster = Cluster::take();
    let repo = applied(&cluster, &apps(3));
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let first = cluster.get("/api/v1/namespaces/default/configmaps").expect("a list");
    let before = move |head: &http::request::Parts| {
        let query = head.uri.query().unwrap_or_default();
        if head.uri.path() != "/api/v1/configmaps" || !query.contains("part-of") {
            return None;
        }
        // The first page is there, the second has expired; then the list is served whole.
        match seen.fetch_add(1, Ordering::SeqCst) {
            0 => Some(answer(200, &json!({"metadata": {"continue": "t"}, "items": [first["items"][0]]}))),
            1 => Some(status(410, "Expired", "The provided continue parameter is too old")),
            _ => None,
        }
    };
    let proxy = Proxy::start(&cluster, before, |_| {});
    repo.write("kubeconfig", &proxy.kubeconfig());
    let plan = |repo: &Repo| {
        let mut command = cluster.command(&["plan", repo.dir(), "-o", "json"]);
        command.env("KUBECONFIG", repo.file("kubeconfig")).output().expect("spinway runs")
    };
    let ran = plan(&repo);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(json(&ran)["summary"]["unchanged"], 12, "{}", Ran(&ran));
    assert!(calls.load(Ordering::SeqCst) >= 3);
    // A list that ends in the middle is no list: the kind is unknown, and nothing of it is deleted.
    let broken = Proxy::start(
        &cluster,
        |head| {
            let wanted =
                head.uri.path() == "/api/v1/configmaps" && head.uri.query().unwrap_or_default().contains("part-of");
            wanted.then(|| {
                http::Response::new(http_body_util::Full::new(hyper::body::Bytes::from_static(
                    b"{\"metadata\":{},\"items\":[{\"metadata\":{",
                )))
            })
        },
        |_| {},
    );
    repo.write("kubeconfig", &broken.kubeconfig());
    repo.write("apps/one/all.yaml", &apps(2));
    let ran = plan(&repo);
    let report = json(&ran);
    assert!(report["summary"]["blocked"].as_u64().is_some_and(|n| n >= 2), "{}", report["summary"]);
    assert_eq!(report["summary"]["delete"], 0, "{}", report["summary"]);
}

#[test]
fn types_are_kept_on_disk_until_they_change() {
    let cluster = Cluster::take();
    let scaler = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: default}\n\
                  spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}\n";
    let repo = applied(&cluster, &format!("{}---\n{scaler}", apps(1)));
    let cache = tempfile::tempdir().expect("a folder");
    let plan = || {
        let mut command = cluster.command(&["plan", repo.dir(), "-o", "json"]);
        let ran = command.env("SPINWAY_CACHE", cache.path()).output().expect("spinway runs");
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    };
    // autoscaling/v1 is not in the built-in table: its document is read once, as are the definitions.
    let first = plan()["requests"].clone();
    assert_eq!((&first["OPENAPI"], first["GET"].as_u64().is_some_and(|n| n >= 4)), (&json!(2), true), "{first}");
    let second = plan()["requests"].clone();
    // The one object that is asked for is the Deployment that the autoscaler names.
    assert_eq!((&second["OPENAPI"], &second["GET"], second.get("dry-run")), (&json!(1), &json!(1), None), "{second}");
    // A definition that changes is read again, and a field that it adds is known at once.
    repo.edit("apps/one/all.yaml", "replicas: 1", "replicas: 1, colour: red");
    let findings = |report: &Value| report["diagnostics"].to_string();
    let before = plan();
    assert!(findings(&before).contains("spec.colour: field not declared in schema"), "{}", findings(&before));
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/spinapps.core.spinkube.dev";
    let add = json!([{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/colour", "value": {"type": "string"}}]);
    cluster.send("PATCH", path, "application/json-patch+json", &add);
    let after = plan();
    assert!(!findings(&after).contains("colour"), "{}", findings(&after));
    assert_eq!(row(&after, "SpinApp", "a0")["intended"], "update");
    // Damage is repaired, and a folder that cannot be written is no failure.
    for entry in std::fs::read_dir(cache.path()).expect("the cache").flatten() {
        std::fs::write(entry.path(), "{").expect("a file");
    }
    plan();
    let none =
        cluster.command(&["plan", repo.dir()]).env("SPINWAY_CACHE", "/proc/none").output().expect("spinway runs");
    assert_eq!(code(&none), 0, "{}", stderr(&none));
}

/// Ten objects of which each waits for the one before: a namespace, a class, a Gateway, an executor, two apps with their
/// settings, two routes.
const TEN: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: stand-in.example/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g, namespace: shop}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: e, namespace: shop}
spec: {createDeployment: true}
";

fn app_of_ten(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{k: v}}\n\
         ---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{image: \"i:1\", replicas: 1, executor: e}}\n\
         ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{parentRefs: [{{name: g}}], rules: [{{matches: [{{path: {{value: /{name}}}}}], backendRefs: [{{name: {name}, port: 80}}]}}]}}\n"
    )
}

/// The requests of a report, all verbs together.
fn total(report: &Value) -> u64 {
    report["requests"].as_object().expect("requests").values().filter_map(Value::as_u64).sum()
}

/// Applies the ten objects while controllers take their time; gives the report and how long it took.
fn apply_ten(cluster: &Cluster, delay: Duration, kubeconfig: Option<&str>) -> (Value, Duration) {
    let _controller = StandIn::start(cluster, delay);
    let repo = Repo::with_config();
    repo.write("platform/all.yaml", &format!("{TEN}{}{}", app_of_ten("a"), app_of_ten("b")));
    let mut command = cluster.command(&["apply", repo.dir(), "--yes", "--timeout", "60", "-o", "json"]);
    if let Some(text) = kubeconfig {
        repo.write("kubeconfig", text);
        command.env("KUBECONFIG", repo.file("kubeconfig"));
    }
    let begun = Instant::now();
    let ran = command.output().expect("spinway runs");
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let report = json(&ran);
    assert_eq!(report["summary"]["create"], 10, "{}", report["summary"]);
    (report, begun.elapsed())
}

#[test]
fn a_first_apply_of_ten_objects_costs_at_most_sixty_requests_however_long_it_waits() {
    let cluster = Cluster::take();
    let (report, took) = apply_ten(&cluster, Duration::from_millis(2500), None);
    assert!(took > Duration::from_secs(8), "it waited for every controller: {took:?}");
    println!("{} requests in {took:?}: {}", total(&report), report["requests"]);
    assert!(total(&report) <= 60, "{}", report["requests"]);
}

#[test]
fn an_api_server_that_streams_nothing_is_asked_less_and_less_often() {
    let cluster = Cluster::take();
    let refuses = |head: &http::request::Parts| {
        let watches = head.uri.query().unwrap_or_default().contains("watch=true");
        watches.then(|| status(403, "Forbidden", "watch is forbidden"))
    };
    let proxy = Proxy::start(&cluster, refuses, |_| {});
    let (report, took) = apply_ten(&cluster, Duration::from_millis(2500), Some(&proxy.kubeconfig()));
    assert!(took > Duration::from_secs(8), "it waited for every controller: {took:?}");
    println!("{} requests in {took:?}: {}", total(&report), report["requests"]);
    assert!(total(&report) <= 130, "{}", report["requests"]);
}

#[test]
fn a_wait_in_many_namespaces_is_one_watch_a_kind() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_secs(1));
    let repo = Repo::with_config();
    let namespace = |n: usize| {
        format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{n}}}\n\
             ---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {{name: e, namespace: n{n}}}\nspec: {{createDeployment: true}}\n\
             ---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: a, namespace: n{n}}}\nspec: {{image: \"i:1\", replicas: 1, executor: e}}\n"
        )
    };
    repo.write("platform/all.yaml", &(0..6).map(namespace).collect::<String>());
    let apply = || {
        let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "60", "-o", "json"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    };
    let report = apply();
    assert_eq!(report["summary"]["create"], 18, "{}", report["summary"]);
    // Of apps and of their Deployments.
    assert_eq!(report["requests"]["WATCH"], 2, "{}", report["requests"]);
    repo.edit("platform/all.yaml", "i:1", "i:2");
    let report = apply();
    assert_eq!(report["summary"]["update"], 6, "{}", report["summary"]);
    assert_eq!(report["requests"]["WATCH"], 2, "{}", report["requests"]);
}
