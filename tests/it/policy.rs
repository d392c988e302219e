//! The rows of the conflict policy (law 4), each on the real API server.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, row};
use serde_json::{Value, json};

const MAP: &str = "/api/v1/namespaces/default/configmaps/m";

fn repo(config: &str) -> Repo {
    let repo = Repo::with_config();
    repo.edit("spinway.yaml", "  approvals:", &format!("{config}  approvals:"));
    repo.write(
        "platform/m.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: default}\ndata: {a: \"1\", b: \"1\"}\n",
    );
    repo
}

fn apply(cluster: &Cluster, repo: &Repo, expected: i32) -> Value {
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "3", "-o", "json"]);
    assert_eq!(code(&ran), expected, "{}", Ran(&ran));
    json(&ran)
}

#[test]
fn a_path_that_we_declared_is_taken_back_from_an_update_and_reported() {
    let cluster = Cluster::take();
    let repo = repo("");
    apply(&cluster, &repo, 0);
    cluster.edit(MAP, "kubectl-edit", &json!({"data": {"a": "theirs"}}));
    let report = apply(&cluster, &repo, 0);
    assert!(
        row(&report, "ConfigMap", "m")["because"].to_string().contains("data.a is taken from kubectl-edit"),
        "{report:#}"
    );
    assert_eq!(cluster.get(MAP).expect("m")["data"]["a"], "1");
}

#[test]
fn a_path_that_another_applier_holds_blocks_the_object() {
    let mut cluster = Cluster::take();
    let repo = repo("");
    apply(&cluster, &repo, 0);
    cluster.apply_as(
        MAP,
        "flux",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "flux"}}),
    );
    cluster.mark();
    let report = apply(&cluster, &repo, 1);
    let change = row(&report, "ConfigMap", "m");
    assert_eq!(change["action"], "blocked");
    assert!(change["because"].to_string().contains("data.a is held by flux (Apply)"), "{change:#}");
    // A first declaration of what an Update holds fails too.
    cluster.edit(MAP, "someone", &json!({"data": {"a": "1", "c": "theirs"}}));
    repo.edit("platform/m.yaml", "b: \"1\"", "b: \"1\", c: \"ours\"");
    let report = apply(&cluster, &repo, 1);
    assert!(
        row(&report, "ConfigMap", "m")["because"].to_string().contains("data.c is held by someone (Update)"),
        "{report:#}"
    );
    // The first of them is in the history, and nothing else was written.
    let written = |object: &str| cluster.writes().iter().filter(|write| write.object.contains(object)).count();
    let inventory = written("configmaps spinway-system/");
    assert_eq!(
        (inventory, written("configmaps default/")),
        (1, 0),
        "{:?}",
        cluster.writes().iter().map(|w| w.object.clone()).collect::<Vec<_>>()
    );
}

#[test]
fn a_rule_of_the_config_decides_over_the_default() {
    let cluster = Cluster::take();
    let repo = repo(
        "  conflicts: {rules: [{kind: ConfigMap, path: data.a, manager: \"fl*\", action: take}, {path: data.b, action: yield}]}\n",
    );
    apply(&cluster, &repo, 0);
    cluster.apply_as(MAP, "flux", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "flux", "b": "flux"}}));
    apply(&cluster, &repo, 0);
    let data = cluster.get(MAP).expect("m")["data"].clone();
    assert_eq!(data, json!({"a": "1", "b": "flux"}));
    let plan = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!(code(&plan), 0, "{}", Ran(&plan));
}

#[test]
fn replicas_are_left_to_an_autoscaler() {
    let cluster = Cluster::take();
    let repo = repo("");
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: default}\nspec:\n  replicas: 2\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}\n";
    let scaler = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: d, namespace: default}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}, maxReplicas: 9}\n";
    repo.write("platform/d.yaml", &format!("{deployment}{scaler}"));
    cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1"]);
    let path = "/apis/apps/v1/namespaces/default/deployments/d";
    cluster.send(
        "PATCH",
        &format!("{path}/scale?fieldManager=kube-controller-manager"),
        "application/merge-patch+json",
        &json!({"spec": {"replicas": 5}}),
    );
    repo.edit("platform/d.yaml", "image: x", "image: changed");
    cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1"]);
    let live = cluster.get(path).expect("d");
    assert_eq!(
        (live["spec"]["replicas"].as_i64(), live["spec"]["template"]["spec"]["containers"][0]["image"].as_str()),
        (Some(5), Some("changed"))
    );
}

#[test]
fn an_injected_ca_bundle_is_left_to_its_injector() {
    let cluster = Cluster::take();
    let repo = repo("");
    let hook = |bundle: &str, rules: &str| {
        format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: h.example.com}}\nwebhooks:\n  - {{name: h.example.com, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: {{url: \"https://127.0.0.1:1/x\", caBundle: \"{bundle}\"}}, rules: [{{apiGroups: [{rules}], apiVersions: [v1], operations: [CREATE], resources: [x]}}]}}\n"
        )
    };
    repo.write("platform/h.yaml", &hook("", "a.example"));
    apply(&cluster, &repo, 0);
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/h.example.com";
    let authority = cluster.authority();
    cluster.send(
        "PATCH",
        &format!("{path}?fieldManager=cainjector"),
        "application/json-patch+json",
        &json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": authority}]),
    );
    repo.write("platform/h.yaml", &hook("", "b.example"));
    apply(&cluster, &repo, 0);
    let live = cluster.get(path).expect("h");
    assert_eq!(live["webhooks"][0]["clientConfig"]["caBundle"], authority);
    assert_eq!(live["webhooks"][0]["rules"][0]["apiGroups"][0], "b.example");
}

#[test]
fn an_ignored_path_is_left_alone_in_plan_drift_and_apply() {
    let cluster = Cluster::take();
    let repo = repo("  ignore: [{kind: ConfigMap, path: data.a}]\n");
    apply(&cluster, &repo, 0);
    cluster.edit(MAP, "kubectl-edit", &json!({"data": {"a": "theirs"}}));
    let plan = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!(code(&plan), 0, "{}", Ran(&plan));
    let drift = json(&cluster.spinway(&["drift", repo.dir(), "-o", "json"]));
    assert_eq!(drift["changes"], json!([]));
    repo.edit("platform/m.yaml", "b: \"1\"", "b: \"2\"");
    apply(&cluster, &repo, 0);
    assert_eq!(cluster.get(MAP).expect("m")["data"], json!({"a": "theirs", "b": "2"}));
    // While we alone hold it, its live value is sent: it does not fall back.
    repo.edit("platform/m.yaml", "a: \"1\"", "a: \"9\"");
    apply(&cluster, &repo, 0);
    assert_eq!(cluster.get(MAP).expect("m")["data"]["a"], "theirs");
}

#[test]
fn an_ignored_leaf_inside_an_atomic_list_keeps_its_live_value() {
    let cluster = Cluster::take();
    let repo = repo("  ignore: [{kind: HTTPRoute, path: \"spec.rules[].backendRefs[].weight\"}]\n");
    let route = |path: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: default}}\nspec: {{rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: a, port: 80, weight: 90}}, {{name: b, port: 80, weight: 10}}]}}]}}\n"
        )
    };
    repo.write("platform/r.yaml", &route("/one"));
    apply(&cluster, &repo, 0);
    let path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/r";
    let shift = json!([{"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 50}, {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 50}]);
    cluster.send("PATCH", &format!("{path}?fieldManager=canary"), "application/json-patch+json", &shift);
    let plan = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!(code(&plan), 0, "{}", Ran(&plan));
    repo.write("platform/r.yaml", &route("/two"));
    apply(&cluster, &repo, 0);
    let rule = cluster.get(path).expect("r")["spec"]["rules"][0].clone();
    assert_eq!((&rule["matches"][0]["path"]["value"], &rule["backendRefs"][0]["weight"]), (&json!("/two"), &json!(50)));
}
