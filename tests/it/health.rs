//! `status -o json` on every state that peers get wrong, with statuses as controllers write them.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::json;
use serde_json::{Value, json};

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
    bed.app("unpullable", false, &settled, Some((image, true, [2, 1, 2, 3], "ReplicaSetUpdated")));
    bed.cluster.send("POST", "/api/v1/namespaces/default/pods", "application/json", &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"core.spinkube.dev/app-name": "unpullable"}}, "spec": {"containers": [{"name": "c", "image": image}]}}));
    bed.status("/api/v1/namespaces/default/pods", "p", &json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}}}]}));

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
        ("SpinApp", "unpullable", "failed", "ImagePullBackOff"),
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
