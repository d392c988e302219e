//! `status -o json` on every state that peers get wrong, with statuses as controllers write them.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, stderr, stdout};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;

const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes";
const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways";
const CLASSES: &str = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
const APPS: &str = "/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn condition(kind: &str, status: &str, reason: &str, generation: i64) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": format!("about {kind}"), "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation})
}

/// One answer of a route's parent.
fn parent(name: &str, conditions: &[Value]) -> Value {
    json!({"parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}, "controllerName": "example.com/c", "conditions": conditions})
}

struct Bed {
    cluster: Cluster,
    repo: Repo,
}

impl Bed {
    fn write(&self, collection: &str, name: &str, object: &Value) -> Value {
        let mut body = object.clone();
        body["metadata"]["name"] = json!(name);
        if !collection.ends_with("gatewayclasses") {
            body["metadata"]["namespace"] = json!("default");
        }
        self.repo
            .write(&format!("platform/{}-{name}.json", body["kind"].as_str().unwrap_or_default()), &body.to_string());
        self.cluster.apply_as(&format!("{collection}/{name}"), "spinway", &body)
    }

    /// An object in generation 2.
    fn twice(&self, collection: &str, name: &str, first: &Value, second: &Value) {
        self.write(collection, name, first);
        let object = self.write(collection, name, second);
        assert_eq!(object["metadata"]["generation"], 2, "{name}");
    }

    fn status(&self, collection: &str, name: &str, status: &Value) {
        self.cluster.send(
            "PATCH",
            &format!("{collection}/{name}/status?fieldManager=controller"),
            "application/merge-patch+json",
            &json!({"status": status}),
        );
    }

    fn route(&self, name: &str, parents: &[&str], backend: &str, answers: &[Value]) {
        let route = |host: &str| {
            let parents: Vec<Value> = parents.iter().map(|p| json!({"name": p})).collect();
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {}, "spec": {"parentRefs": parents, "hostnames": [host], "rules": [{"backendRefs": [{"name": backend, "port": 80}]}]}})
        };
        self.twice(ROUTES, name, &route("a.example"), &route("b.example"));
        if !answers.is_empty() {
            self.status(ROUTES, name, &json!({"parents": answers}));
        }
    }

    fn gateway(&self, name: &str, status: &Value) {
        let gateway = |port: u16| json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {}, "spec": {"gatewayClassName": "c", "listeners": [{"name": "http", "port": port, "protocol": "HTTP"}]}});
        self.twice(GATEWAYS, name, &gateway(80), &gateway(81));
        if !status.is_null() {
            self.status(GATEWAYS, name, status);
        }
    }

    fn class(&self, name: &str, status: &str, reason: &str) {
        self.write(CLASSES, name, &json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {}, "spec": {"controllerName": "example.com/c"}}));
        if !status.is_empty() {
            self.status(CLASSES, name, &json!({"conditions": [condition("Accepted", status, reason, 1)]}));
        }
    }

    /// A SpinApp with what its operator copied, and its Deployment: (image, observed, wanted, updated, available, all).
    fn app(
        &self,
        name: &str,
        autoscaled: bool,
        conditions: &[(&str, &str, &str)],
        deployment: Option<(&str, bool, [i64; 4], &str)>,
    ) {
        let mut spec = json!({"image": "example/app:2", "executor": "shim"});
        if autoscaled {
            spec["enableAutoscaling"] = json!(true);
        } else {
            spec["replicas"] = json!(2);
        }
        let app = self.write(
            APPS,
            name,
            &json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {}, "spec": spec}),
        );
        let rows: Vec<Value> = conditions.iter().map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"})).collect();
        if !rows.is_empty() {
            self.status(APPS, name, &json!({"conditions": rows, "readyReplicas": 2}));
        }
        let Some((image, observed, [wanted, updated, available, all], progress)) = deployment else { return };
        let labels = json!({"core.spinkube.dev/app-name": name});
        let made = self.cluster.apply_as(&format!("{DEPLOYMENTS}/{name}"), "spin-operator", &json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "labels": labels, "ownerReferences": [{"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "name": name, "uid": app["metadata"]["uid"], "controller": true}]},
            "spec": {"replicas": wanted, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}}}));
        let generation = made["metadata"]["generation"].as_i64().unwrap_or_default() - i64::from(!observed);
        self.status(DEPLOYMENTS, name, &json!({"observedGeneration": generation, "replicas": all, "updatedReplicas": updated, "availableReplicas": available, "readyReplicas": available,
            "conditions": [{"type": "Progressing", "status": if progress == "ProgressDeadlineExceeded" { "False" } else { "True" }, "reason": progress, "message": ""}]}));
    }
}

impl Bed {
    /// A pod of an app that waits for a reason; with a time, since then.
    fn pod(&self, name: &str, image: &str, reason: &str, since: &str) {
        let pods = "/api/v1/namespaces/default/pods";
        self.cluster.send("POST", pods, "application/json", &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"core.spinkube.dev/app-name": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}));
        let mut status = json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": "back-off"}}}]});
        if !since.is_empty() {
            status["conditions"] = json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": since}]);
        }
        self.status(pods, name, &status);
    }
}

#[test]
#[allow(clippy::too_many_lines)]
fn status_is_right_on_every_state_that_peers_get_wrong() {
    let bed = Bed { cluster: Cluster::take(), repo: Repo::with_config() };
    let ok = |generation| {
        [
            condition("Accepted", "True", "Accepted", generation),
            condition("ResolvedRefs", "True", "ResolvedRefs", generation),
        ]
    };
    let missing =
        [condition("Accepted", "True", "Accepted", 2), condition("ResolvedRefs", "False", "BackendNotFound", 2)];
    bed.route("no-status", &["a"], "s", &[]);
    bed.route(
        "refused",
        &["a"],
        "s",
        &[parent(
            "a",
            &[
                condition("Accepted", "False", "NotAllowedByListeners", 2),
                condition("ResolvedRefs", "True", "ResolvedRefs", 2),
            ],
        )],
    );
    bed.route("backend-planned", &["a"], "planned", &[parent("a", &missing)]);
    bed.route("backend-missing", &["a"], "nowhere", &[parent("a", &missing)]);
    bed.route("one-of-two", &["a", "b"], "s", &[parent("a", &ok(2))]);
    bed.route("one-stale", &["a", "b"], "s", &[parent("a", &ok(2)), parent("b", &ok(1))]);
    bed.route("all-stale", &["a"], "s", &[parent("a", &ok(1))]);
    bed.route(
        "unknown",
        &["a"],
        "s",
        &[parent(
            "a",
            &[condition("Accepted", "Unknown", "Pending", 2), condition("ResolvedRefs", "True", "ResolvedRefs", 2)],
        )],
    );
    let mut partial = ok(2).to_vec();
    partial.push(condition("PartiallyInvalid", "True", "UnsupportedValue", 2));
    bed.route("partial", &["a"], "s", &[parent("a", &partial)]);
    bed.route("settled", &["a"], "s", &[parent("a", &ok(2))]);
    bed.repo.write(
        "platform/planned.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: planned, namespace: default}\nspec: {ports: [{port: 80}]}\n",
    );

    let listener = |conditions: &[Value]| json!([{"name": "http", "attachedRoutes": 0, "supportedKinds": [], "conditions": conditions}]);
    let both = |programmed: &str, reason: &str, generation| {
        json!([condition("Accepted", "True", "Accepted", 2), condition("Programmed", programmed, reason, generation)])
    };
    bed.gateway("pending", &Value::Null);
    bed.gateway("stale", &json!({"conditions": both("True", "Programmed", 1)}));
    bed.gateway("invalid", &json!({"conditions": both("False", "Invalid", 2)}));
    bed.gateway("no-address", &json!({"conditions": both("False", "AddressNotAssigned", 2)}));
    bed.gateway("conflicted", &json!({"conditions": both("True", "Programmed", 2), "listeners": listener(&[condition("Conflicted", "True", "HostnameConflict", 2)])}));
    bed.gateway("fine", &json!({"conditions": both("True", "Programmed", 2), "listeners": listener(&[condition("Accepted", "True", "Accepted", 2)])}));
    bed.class("waiting", "", "");
    bed.class("wrong", "False", "InvalidParameters");
    bed.class("right", "True", "Accepted");

    let settled =
        [("Available", "True", "MinimumReplicasAvailable"), ("Progressing", "True", "NewReplicaSetAvailable")];
    let image = "example/app:2";
    bed.app("settled", false, &settled, Some((image, true, [2, 2, 2, 2], "NewReplicaSetAvailable")));
    bed.app(
        "created",
        false,
        &[("Available", "Unknown", "DeploymentNotFound"), ("Progressing", "Unknown", "DeploymentNotFound")],
        None,
    );
    bed.app(
        "deadline",
        false,
        &[("Available", "True", "x"), ("Progressing", "False", "ProgressDeadlineExceeded")],
        Some((image, true, [2, 1, 2, 3], "ProgressDeadlineExceeded")),
    );
    bed.app("rolling", false, &settled, Some((image, true, [2, 1, 2, 3], "ReplicaSetUpdated")));
    bed.app("autoscaled", true, &settled, Some((image, true, [7, 7, 7, 7], "NewReplicaSetAvailable")));
    bed.app("silent", false, &[], None);
    // 0 to 1.3 s after an image change the app still says it is settled.
    bed.app("copied", false, &settled, Some(("example/app:1", true, [2, 2, 2, 2], "NewReplicaSetAvailable")));
    bed.app("unseen", false, &settled, Some((image, false, [2, 2, 2, 2], "NewReplicaSetAvailable")));
    // A bad image leaves the old replicas available.
    let long_ago = "2026-01-01T00:00:00Z";
    for (name, reason, since) in [
        ("unpullable", "ImagePullBackOff", ""),
        ("unpullable-long", "ImagePullBackOff", long_ago),
        ("secretless", "CreateContainerConfigError", long_ago),
        ("crashing", "CrashLoopBackOff", ""),
    ] {
        bed.app(name, false, &settled, Some((image, true, [2, 1, 2, 3], "ReplicaSetUpdated")));
        bed.pod(name, image, reason, since);
    }
    // A quota keeps pods from being created; only the Deployment says so.
    bed.app("over-quota", false, &settled, Some((image, true, [2, 0, 2, 2], "ReplicaSetUpdated")));
    bed.status(DEPLOYMENTS, "over-quota", &json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota", "lastTransitionTime": long_ago}]}));
    // Changes in place that the operator has not reacted to, beside a Deployment that is rolled out.
    for (name, change) in [
        ("variable", json!({"variables": [{"name": "greeting", "value": "new"}]})),
        ("probe", json!({"checks": {"readiness": {"httpGet": {"path": "/new"}}}})),
    ] {
        bed.app(name, false, &settled, Some((image, true, [2, 2, 2, 2], "NewReplicaSetAvailable")));
        let mut spec = json!({"image": image, "executor": "shim", "replicas": 2});
        change.as_object().into_iter().flatten().for_each(|(field, value)| spec[field] = value.clone());
        bed.write(
            APPS,
            name,
            &json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {}, "spec": spec}),
        );
    }

    let report = json(&bed.cluster.spinway(&["status", bed.repo.dir(), "-o", "json"]));
    let rows = report["health"].as_array().expect("health");
    let expected = [
        ("HTTPRoute", "no-status", "progressing", "NotClaimed"),
        ("HTTPRoute", "refused", "failed", "NotAllowedByListeners"),
        ("HTTPRoute", "backend-planned", "progressing", "BackendNotFound"),
        ("HTTPRoute", "backend-missing", "failed", "BackendNotFound"),
        ("HTTPRoute", "one-of-two", "progressing", "NotClaimed"),
        ("HTTPRoute", "one-stale", "progressing", "Stale"),
        ("HTTPRoute", "all-stale", "progressing", "Stale"),
        ("HTTPRoute", "unknown", "progressing", "Pending"),
        ("HTTPRoute", "partial", "current", "PartiallyInvalid"),
        ("HTTPRoute", "settled", "current", ""),
        ("Gateway", "pending", "progressing", "NotClaimed"),
        ("Gateway", "stale", "progressing", "Stale"),
        ("Gateway", "invalid", "failed", "Invalid"),
        ("Gateway", "no-address", "progressing", "AddressNotAssigned"),
        ("Gateway", "conflicted", "failed", "HostnameConflict"),
        ("Gateway", "fine", "current", ""),
        ("GatewayClass", "waiting", "progressing", "NotClaimed"),
        ("GatewayClass", "wrong", "failed", "InvalidParameters"),
        ("GatewayClass", "right", "current", ""),
        ("SpinApp", "settled", "current", ""),
        ("SpinApp", "created", "progressing", "DeploymentNotFound"),
        ("SpinApp", "deadline", "failed", "ProgressDeadlineExceeded"),
        ("SpinApp", "rolling", "progressing", "Updating"),
        ("SpinApp", "autoscaled", "current", ""),
        ("SpinApp", "silent", "progressing", "NotClaimed"),
        ("SpinApp", "copied", "progressing", "Updating"),
        ("SpinApp", "unseen", "progressing", "Stale"),
        ("SpinApp", "unpullable", "progressing", "ImagePullBackOff"),
        ("SpinApp", "unpullable-long", "failed", "ImagePullBackOff"),
        ("SpinApp", "secretless", "failed", "CreateContainerConfigError"),
        ("SpinApp", "crashing", "failed", "CrashLoopBackOff"),
        // The condition is older than what the Deployment wants now.
        ("SpinApp", "over-quota", "progressing", "FailedCreate"),
        ("SpinApp", "variable", "progressing", "Updating"),
        ("SpinApp", "probe", "progressing", "Updating"),
    ];
    let mut wrong = Vec::new();
    for (kind, name, verdict, reason) in expected {
        let row =
            rows.iter().find(|r| r["object"]["kind"] == kind && r["object"]["name"] == name).unwrap_or(&Value::Null);
        if row["verdict"] != verdict || row["reason"] != reason {
            wrong.push(format!("{kind} {name}: wanted {verdict}/{reason}, got {row}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let row = |name: &str| rows.iter().find(|r| r["object"]["name"] == name).expect("a row").clone();
    assert!(row("conflicted")["message"].as_str().is_some_and(|m| m.contains("`http`")));
    assert!(row("partial")["warning"].is_string());
}

/// An app that is changed in place, with its operator.
struct InPlace {
    cluster: Cluster,
    repo: Repo,
    _operator: StandIn,
}

const APP: &str = "/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps/cart";

impl InPlace {
    fn new() -> Self {
        let cluster = Cluster::take();
        let repo = Repo::with_config();
        repo.write(
            "platform/executor.yaml",
            "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: shim, namespace: default}\nspec: {createDeployment: true, deploymentConfig: {runtimeClassName: wasmtime-spin-v2}}\n",
        );
        // The real operator needs half a second.
        let operator = StandIn::start(&cluster, Duration::from_millis(500));
        Self { cluster, repo, _operator: operator }
    }

    fn write(&self, greeting: &str, on_failure: bool) {
        let annotations = if on_failure { ", annotations: {spinway.dev/on-failure: rollback}" } else { "" };
        let text = format!(
            "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: cart, namespace: default{annotations}}}\nspec:\n  image: ghcr.io/acme/cart:1\n  executor: shim\n  replicas: 1\n  variables: [{{name: greeting, value: {greeting}}}]\n"
        );
        self.repo.write("platform/cart.yaml", &text);
    }

    fn apply(&self, more: &[&str]) -> Output {
        self.apply_within("15", more)
    }

    fn apply_within(&self, seconds: &str, more: &[&str]) -> Output {
        let arguments = [&["apply", self.repo.dir(), "--yes", "--timeout", seconds], more].concat();
        self.cluster.spinway(&arguments)
    }

    fn results(&self) -> Vec<String> {
        let history = json(&self.cluster.spinway(&["history", "-o", "json"]));
        let entries = history["platform"]["history"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["result"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What was done with the Lease of the environment since the last mark.
    fn of_lease(&self) -> Vec<String> {
        let all = self.cluster.audit().into_iter().filter(|request| request.object.starts_with("leases "));
        all.filter(|request| request.code < 300).map(|request| request.verb).collect()
    }

    /// Who held that Lease since the last mark, one after the other.
    fn holders(&self) -> Vec<String> {
        let all = self.cluster.audit().into_iter().filter(|request| request.object.starts_with("leases "));
        let mut holders: Vec<String> = all
            .filter(|request| request.code < 300)
            .map(|request| request.body["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
            .collect();
        holders.dedup();
        holders
    }

    /// The Deployment of the app becomes healthy, whatever the stand-in thinks.
    fn heal(&self) {
        self.cluster.send(
            "PATCH",
            &format!("{DEPLOYMENTS}/cart/status?fieldManager=controller"),
            "application/merge-patch+json",
            &json!({"status": {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1, "unavailableReplicas": 0}}),
        );
    }

    fn greeting(&self) -> String {
        let app = self.cluster.get(APP).unwrap_or_default();
        app["spec"]["variables"][0]["value"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_changed_variable_that_crashes_fails_and_stays_failed_until_it_is_healthy() {
    let mut bed = InPlace::new();
    bed.write("hello", false);
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    bed.write("crash", false);
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(format!("{}", Ran(&ran)).contains("CrashLoopBackOff"), "{}", Ran(&ran));
    assert_eq!(bed.results(), ["done", "failed"]);
    // A rerun has nothing to write, and is not done.
    bed.cluster.mark();
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("CrashLoopBackOff"), "{}", Ran(&ran));
    assert!(stdout(&ran).contains("Failed: CrashLoopBackOff"), "{}", Ran(&ran));
    let ours = |bed: &InPlace| -> Vec<String> {
        let writes = bed.cluster.writes().into_iter().map(|write| write.object);
        writes
            .filter(|object| object.starts_with("configmaps") || object.starts_with("spinapps default/cart"))
            .collect()
    };
    assert!(ours(&bed).iter().all(|object| !object.starts_with("configmaps")), "{:?}", ours(&bed));
    assert_eq!(bed.results(), ["done", "failed"]);
    // Another change beside it does not make it done either.
    bed.repo.write("platform/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n");
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert_eq!(bed.results(), ["done", "failed", "failed"]);
    // The cause goes away: the next turn says so, once.
    bed.heal();
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(bed.results(), ["done", "failed", "failed", "done"]);
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(bed.results().len(), 4);
}

#[test]
fn apply_brings_back_what_does_not_become_healthy_or_says_that_it_cannot() {
    let mut bed = InPlace::new();
    bed.write("hello", true);
    bed.repo.commit("good");
    let ran = bed.apply(&["--ref", "HEAD"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    bed.write("crash", true);
    bed.repo.commit("crash");
    bed.cluster.mark();
    let ran = bed.apply(&["--ref", "HEAD"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    // Nobody can come in between: it is taken and given back once.
    let of_lease = bed.of_lease();
    assert!(of_lease.len() >= 2 && of_lease.iter().all(|verb| verb == "update"), "{of_lease:?}");
    let holders = bed.holders();
    assert_eq!(holders.len(), 2, "{holders:?}");
    assert!(!holders[0].is_empty() && holders[1].is_empty(), "{holders:?}");
    assert!(stderr(&ran).contains("App default/cart was brought back. Held at revision"), "{}", Ran(&ran));
    assert_eq!(bed.greeting(), "hello");
    // The text that failed is not tried again.
    let ran = bed.apply(&["--ref", "HEAD"]);
    assert_eq!((code(&ran), bed.greeting().as_str()), (0, "hello"), "{}", Ran(&ran));
    // Files have no revision to go back to.
    bed.write("crash-again", true);
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("was not brought back") || bed.greeting() == "hello", "{}", Ran(&ran));
}

/// The turn that changed the app was killed, and the next one has something else to do: it looks at the app all the same.
#[test]
fn an_app_that_a_killed_turn_changed_in_place_is_looked_at_by_the_next() {
    let bed = InPlace::new();
    let map = |value: &str| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: default}}\ndata: {{a: \"{value}\"}}\n"
        );
        bed.repo.write("platform/c.yaml", &text);
    };
    bed.write("hello", false);
    map("1");
    let ran = bed.apply(&["--lease", "2"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    bed.write("crash", false);
    map("2");
    let arguments = ["apply", bed.repo.dir(), "--yes", "--timeout", "60", "--lease", "2"];
    let mut killed = bed.cluster.command(&arguments).spawn().expect("spinway runs");
    let begun = std::time::Instant::now();
    while bed.greeting() != "crash" {
        assert!(begun.elapsed() < Duration::from_secs(30), "the app is not changed");
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().expect("it can be killed");
    let _ = killed.wait();
    map("3");
    let ran = bed.apply(&["--lease", "2"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(format!("{}", Ran(&ran)).contains("CrashLoopBackOff"), "{}", Ran(&ran));
    assert_eq!(bed.results(), ["done", "failed"]);
    bed.heal();
    let ran = bed.apply(&["--lease", "2"]);
    assert_eq!((code(&ran), bed.results().last().map(String::as_str)), (0, Some("done")), "{}", Ran(&ran));
}

/// A turn of which all is blocked writes nothing else, and does not leave a history behind that says that all is done.
#[test]
fn a_turn_that_is_blocked_as_a_whole_is_recorded_once() {
    let bed = InPlace::new();
    bed.write("hello", false);
    let ran = bed.apply(&[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let route = |kind: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: default}}\nspec:\n  \
             parentRefs: [{{name: nobody}}]\n  rules: [{{matches: [{{path: {{type: {kind}, value: /}}}}], backendRefs: [{{name: cart, port: 80}}]}}]\n"
        )
    };
    bed.repo.write("platform/route.yaml", &route("Nothing"));
    for _ in 0..2 {
        let ran = bed.apply(&[]);
        assert_eq!(code(&ran), 1, "{}", Ran(&ran));
        assert_eq!(bed.results(), ["done", "failed"]);
    }
    let shown = stdout(&bed.cluster.spinway(&["history"]));
    assert!(shown.contains("failed      nothing was changed"), "{shown}");
    // Where it goes away again nothing is to be done, and the history learns that.
    bed.repo.remove("platform/route.yaml");
    for _ in 0..2 {
        let ran = bed.apply(&[]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        assert_eq!(bed.results(), ["done", "failed", "done"]);
    }
}

/// What an earlier run left is waited for without the Lease; what came of it is recorded by the same run, under it.
#[test]
fn what_becomes_healthy_while_it_is_waited_for_is_recorded_at_once() {
    let mut bed = InPlace::new();
    bed.write("hello", false);
    let text = |image: &str| format!("image: ghcr.io/acme/{image}");
    bed.repo.edit("platform/cart.yaml", &text("cart:1"), &text("bad:1"));
    let ran = bed.apply_within("3", &[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stdout(&ran).contains("Waiting: not healthy after 3 s"), "{}", Ran(&ran));
    assert_eq!(bed.results(), ["unfinished"]);
    bed.cluster.mark();
    let arguments = ["apply", bed.repo.dir(), "--yes", "--timeout", "30"];
    let mut waiting = bed.cluster.command(&arguments).spawn().expect("spinway runs");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((waiting.try_wait().expect("its state"), bed.of_lease()), (None, Vec::new()));
    bed.heal();
    assert!(waiting.wait().expect("it ends").success());
    assert_eq!(bed.results(), ["unfinished", "done"]);
    assert_eq!(bed.holders().len(), 2, "{:?}", bed.holders());
    bed.cluster.mark();
    assert_eq!(code(&bed.apply(&[])), 0);
    assert!(bed.of_lease().is_empty());
}

/// The pods of any workload say why it is not healthy, not only those of apps.
#[test]
fn a_deployment_whose_pods_crash_fails_at_once() {
    let bed = InPlace::new();
    bed.write("hello", false);
    bed.repo.write(
        "platform/worker.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker, namespace: default}\nspec:\n  selector: {matchLabels: {app: worker}}\n  template:\n    metadata: {labels: {app: worker}}\n    spec: {containers: [{name: c, image: worker, env: [{name: A, value: crash}]}]}\n",
    );
    let ran = bed.apply_within("60", &[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert!(stdout(&ran).contains("Failed: CrashLoopBackOff: Pod default/worker-1"), "{}", Ran(&ran));
}
