//! Law 6 on a real API server: nothing is deleted that must not be, and what is held waits for approval.

use crate::cluster::Cluster;
use crate::proxy::{Proxy, Strike};
use crate::repo::{Repo, WIDE};
use crate::run::{Ran, code, json, row};
use serde_json::{Value, json};
use spinway::inventory::{Deletion, Parent};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn config_map(name: &str, namespace: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: v}}\n")
}

fn namespaces() -> String {
    ["one", "two", "shared"]
        .map(|name| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"))
        .join("---\n")
}

/// A repository whose two tenants have ten ConfigMaps each, applied.
fn applied(cluster: &Cluster) -> Repo {
    let repo = Repo::with_config();
    repo.write("platform/namespaces.yaml", &namespaces());
    for tenant in ["one", "two"] {
        for n in 0..10 {
            repo.write(&format!("apps/{tenant}/c{n}.yaml"), &config_map(&format!("c{n}"), tenant));
        }
    }
    apply(cluster, &repo, &[], 0);
    repo
}

fn apply(cluster: &Cluster, repo: &Repo, more: &[&str], expected: i32) -> Value {
    let mut arguments = vec!["apply", repo.dir(), "--yes", "-o", "json", "--timeout", "20"];
    arguments.extend(more);
    let ran = cluster.spinway(&arguments);
    assert_eq!(code(&ran), expected, "{}", Ran(&ran));
    json(&ran)
}

fn deletes(cluster: &Cluster) -> Vec<String> {
    cluster.writes().into_iter().filter(|w| w.verb == "delete").map(|w| w.object).collect()
}

#[test]
fn a_few_deletions_are_done_and_more_are_held_until_approved() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    cluster.mark();
    repo.remove("apps/one/c0.yaml");
    apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster), ["configmaps one/c0"]);
    cluster.mark();
    for n in 1..5 {
        repo.remove(&format!("apps/one/c{n}.yaml"));
    }
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster), Vec::<String>::new());
    assert_eq!(report["summary"]["held"], 4);
    assert_eq!(row(&report, "ConfigMap", "c1")["action"], "held");
    let digest = report["destruction"]["digest"].as_str().expect("a digest").to_owned();
    // Another tenant is not held up by it.
    repo.remove("apps/two/c0.yaml");
    apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster), ["configmaps two/c0"]);
    let report = apply(&cluster, &repo, &["--approve", &digest], 0);
    assert_eq!(report["summary"]["held"], 0);
    assert_eq!(deletes(&cluster).len(), 5);
}

#[test]
fn what_is_always_held_is_held_and_an_approval_survives_a_squash_and_a_status_write() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    let held = "\
apiVersion: v1
kind: Namespace
metadata: {name: old}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shared}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: none, volumeName: none}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: old}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /old}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: old}
spec: {controllerName: example.com/old}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: old, namespace: shared}
spec: {createDeployment: true}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: old}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: old}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: old}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: old, namespace: shared}
spec: {gatewayClassName: old, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: old, namespace: shared}
spec: {parentRef: {name: old}, listeners: [{name: more, port: 81, protocol: HTTP}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: old, namespace: shared}
spec: {serviceName: s, replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: own, namespace: spinway-system}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: old.example.com}
webhooks: []
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: old.example.com}
webhooks: []
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: olds.example.com}
spec:
  group: example.com
  names: {kind: Old, plural: olds}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
";
    repo.write("platform/namespaces.yaml", &namespaces());
    repo.write("platform/held.yaml", held);
    repo.commit("all");
    // Nothing answers for the class, the claim and the set here: runs end before all are healthy, and later ones go on.
    let mut arguments = vec!["apply", repo.dir(), "--yes", "--timeout", "1"];
    while row_count(&cluster, &repo) > 0 {
        cluster.spinway(&arguments);
    }
    repo.remove("platform/held.yaml");
    repo.commit("remove them");
    cluster.mark();
    arguments.extend(["-o", "json"]);
    let ran = cluster.spinway(&arguments);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let report = json(&ran);
    assert_eq!(report["summary"]["held"], 14, "{report:#}");
    assert_eq!(deletes(&cluster), Vec::<String>::new());
    let digest = report["destruction"]["digest"].as_str().expect("a digest").to_owned();

    // A squash merge makes another commit, a controller writes a status: the digest stays.
    repo.git(&["commit", "-q", "--amend", "-m", "squashed"]);
    cluster.send("PATCH", "/apis/gateway.networking.k8s.io/v1/gatewayclasses/old/status", "application/merge-patch+json",
        &json!({"status": {"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}));
    let report = json(&cluster.spinway(&["plan", repo.dir(), "--ref", "HEAD", "-o", "json"]));
    assert_eq!(report["destruction"]["digest"], digest.as_str());

    // The approval as a file, in the folder that the Config names.
    repo.write("approvals/old.yaml", &format!("apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {{name: old}}\nspec: {{environment: test, digest: \"{digest}\", expires: \"{}\"}}\n", in_a_day()));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "15", "-o", "json"]);
    assert_eq!(deletes(&cluster).len(), 14, "{}", Ran(&ran));
    // It was good for these objects alone.
    repo.write("platform/again.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: newer}\n");
    apply(&cluster, &repo, &[], 0);
    repo.remove("platform/again.yaml");
    assert_eq!(apply(&cluster, &repo, &[], 0)["summary"]["held"], 1);
}

/// How many objects are still to be created.
fn row_count(cluster: &Cluster, repo: &Repo) -> u64 {
    json(&cluster.spinway(&["plan", repo.dir(), "-o", "json"]))["summary"]["create"].as_u64().expect("a count")
}

fn in_a_day() -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", "+1 day", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("date runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_last_route_of_a_hostname_is_held() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/namespaces.yaml", &namespaces());
    let route = |name: &str, host: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shared}}\nspec: {{hostnames: [{host}]}}\n"
        )
    };
    for (name, host) in [("a", "a.example"), ("b", "b.example"), ("b2", "b.example")] {
        repo.write(&format!("platform/{name}.yaml"), &route(name, host));
    }
    apply(&cluster, &repo, &[], 0);
    cluster.mark();
    repo.remove("platform/a.yaml");
    repo.remove("platform/b.yaml");
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!(row(&report, "HTTPRoute", "a")["action"], "held");
    assert_eq!(deletes(&cluster), ["httproutes shared/b"]);
}

#[test]
fn an_unparsable_file_freezes_its_own_partition_only() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    cluster.mark();
    repo.remove("apps/one/c0.yaml");
    repo.remove("apps/two/c0.yaml");
    repo.write("apps/one/broken.yaml", "a: [1\n");
    apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster), ["configmaps two/c0"]);
}

#[test]
fn a_forbidden_kind_freezes_its_own_partition_only() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    repo.allow("ConfigMap, LimitRange");
    repo.write(
        "apps/one/quota.yaml",
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l, namespace: one}\nspec: {limits: []}\n",
    );
    apply(&cluster, &repo, &[], 0);
    // An identity that may do everything with what the tenants have, but not read LimitRanges.
    cluster.send(
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "application/json",
        &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "limited"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["*"]}, {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}]}),
    );
    cluster.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "application/json", &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]}));
    repo.remove("apps/one/c0.yaml");
    repo.remove("apps/two/c0.yaml");
    cluster.mark();
    let kubeconfig = cluster.kubeconfig_of("limited");
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--kubeconfig", kubeconfig.to_str().expect("a path")]);
    // The LimitRange itself cannot be read, so it is blocked: something failed.
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    assert_eq!(deletes(&cluster), ["configmaps two/c0"], "{}", Ran(&ran));
}

#[test]
fn directories_without_config_never_prune_each_other() {
    let mut cluster = Cluster::take();
    let (a, b) = (Repo::empty(), Repo::empty());
    a.write("a.yaml", &config_map("a", "default"));
    b.write("b.yaml", &config_map("b", "default"));
    apply(&cluster, &a, &[], 0);
    cluster.mark();
    apply(&cluster, &b, &[], 0);
    b.write("b.yaml", &config_map("b2", "default"));
    apply(&cluster, &b, &[], 0);
    assert_eq!(deletes(&cluster), Vec::<String>::new());
    assert!(cluster.get("/api/v1/namespaces/default/configmaps/a").is_some());
    assert!(cluster.get("/api/v1/namespaces/default/configmaps/b").is_some());
}

#[test]
fn the_wrong_cluster_an_empty_repository_and_another_source_are_refused() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    cluster.mark();
    let other = Repo::with_config();
    other.write("platform/namespaces.yaml", &namespaces());
    let refused = cluster.spinway(&["apply", other.dir(), "--yes"]);
    assert_eq!(code(&refused), 3, "{}", Ran(&refused));
    for n in 0..10 {
        repo.remove(&format!("apps/one/c{n}.yaml"));
        repo.remove(&format!("apps/two/c{n}.yaml"));
    }
    repo.remove("platform/namespaces.yaml");
    let refused = cluster.spinway(&["apply", repo.dir(), "--yes"]);
    assert_eq!(code(&refused), 3, "{}", Ran(&refused));
    repo.write("platform/namespaces.yaml", &namespaces());
    repo.edit(
        "spinway.yaml",
        "environments: [{name: test}]",
        "environments: [{name: test, cluster: {context: \"prod-*\"}}]",
    );
    let refused = cluster.spinway(&["apply", repo.dir(), "--yes"]);
    assert_eq!(code(&refused), 3, "{}", Ran(&refused));
    repo.edit("spinway.yaml", "{context: \"prod-*\"}", "{uid: another}");
    let refused = cluster.spinway(&["apply", repo.dir(), "--yes"]);
    assert_eq!(code(&refused), 3, "{}", Ran(&refused));
    assert!(cluster.writes().is_empty());
}

#[test]
fn what_is_not_ours_is_kept() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    let map = |n: u32| format!("/api/v1/namespaces/one/configmaps/c{n}");
    let marks = [
        ("argocd.argoproj.io/sync-options", "Prune=false"),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ("helm.sh/resource-policy", "keep"),
    ];
    for (n, (name, value)) in (2..).zip(marks) {
        cluster.edit(&map(n), "someone", &json!({"metadata": {"annotations": {name: value}}}));
    }
    // Our label on an object that we never applied.
    let part_of = cluster.get(&map(1)).expect("c1")["metadata"]["labels"]["applyset.kubernetes.io/part-of"].clone();
    cluster.send("POST", "/api/v1/namespaces/one/configmaps", "application/json", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stranger", "labels": {"applyset.kubernetes.io/part-of": part_of}}}));
    cluster.mark();
    (2..5).for_each(|n| repo.remove(&format!("apps/one/c{n}.yaml")));
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster), Vec::<String>::new());
    let findings = report["diagnostics"].as_array().expect("findings");
    let count = |id: &str| findings.iter().filter(|d| d["id"] == id).count();
    assert_eq!((count("prune-kept"), count("prune-foreign")), (3, 1), "{findings:#?}");
}

#[test]
fn a_live_object_is_adopted_only_when_asked_and_never_from_another_tool() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &config_map("free", "default"));
    repo.write("platform/b.yaml", &config_map("helms", "default"));
    for (name, annotations) in [("free", json!({})), ("helms", json!({"meta.helm.sh/release-name": "web"}))] {
        cluster.send("POST", "/api/v1/namespaces/default/configmaps?fieldManager=someone", "application/json",
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations}, "data": {"k": "theirs"}}));
    }
    let report = apply(&cluster, &repo, &[], 1);
    assert_eq!(row(&report, "ConfigMap", "free")["action"], "blocked");
    let report = apply(&cluster, &repo, &["--adopt"], 1);
    assert_eq!(row(&report, "ConfigMap", "free")["action"], "adopt");
    assert_eq!(cluster.get("/api/v1/namespaces/default/configmaps/free").expect("free")["data"]["k"], "v");
    let because = row(&report, "ConfigMap", "helms")["because"].to_string();
    assert!(because.contains("Helm release web"), "{because}");
    assert_eq!(cluster.get("/api/v1/namespaces/default/configmaps/helms").expect("helms")["data"]["k"], "theirs");
}

#[test]
fn an_immutable_field_becomes_a_held_and_proved_replace() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    let job = |image: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j, namespace: default}}\nspec:\n  suspend: true\n  template:\n    spec: {{restartPolicy: Never, containers: [{{name: c, image: {image}}}]}}\n"
        )
    };
    repo.write("platform/job.yaml", &job("a"));
    cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1"]);
    let before = cluster.get("/apis/batch/v1/namespaces/default/jobs/j").expect("the job");
    repo.write("platform/job.yaml", &job("b"));
    cluster.mark();
    let report = apply(&cluster, &repo, &[], 0);
    let change = row(&report, "Job", "j");
    assert_eq!((change["action"].as_str(), change["intended"].as_str()), (Some("held"), Some("replace")), "{change:#}");
    assert!(cluster.writes().is_empty(), "{:?}", cluster.writes());
    let digest = report["destruction"]["digest"].as_str().expect("a digest").to_owned();
    cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "3", "--approve", &digest]);
    let after = cluster.get("/apis/batch/v1/namespaces/default/jobs/j").expect("the job");
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(after["spec"]["template"]["spec"]["containers"][0]["image"], "b");
}

#[test]
fn more_than_twenty_deletions_of_an_environment_are_held() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    let tenants: Vec<String> =
        (0..8).map(|n| format!("    - {{name: t{n}, namespaces: [\"*\"], paths: [apps/t{n}]}}\n")).collect();
    repo.edit(
        "spinway.yaml",
        &format!("    - {{name: one, {WIDE}, paths: [apps/one]}}\n    - {{name: two, {WIDE}, paths: [apps/two]}}\n"),
        &tenants.concat(),
    );
    let file = |tenant: usize, n: usize| format!("apps/t{tenant}/c{n}.yaml");
    for tenant in 0..8 {
        for n in 0..4 {
            repo.write(&file(tenant, n), &config_map(&format!("t{tenant}c{n}"), "default"));
        }
    }
    apply(&cluster, &repo, &[], 0);
    cluster.mark();
    // Three of each of six tenants are within every budget.
    (0..6).for_each(|tenant| (0..3).for_each(|n| repo.remove(&file(tenant, n))));
    apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster).len(), 18);
    // Three more of another tenant would be 21 within a day.
    (0..3).for_each(|n| repo.remove(&file(6, n)));
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!((report["summary"]["held"].as_u64(), deletes(&cluster).len()), (Some(3), 18), "{report:#}");
}

#[test]
fn an_approval_on_the_inventory_counts_and_ends() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/old.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: old}\n");
    repo.write("platform/new.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n");
    apply(&cluster, &repo, &[], 0);
    repo.remove("platform/old.yaml");
    cluster.mark();
    let digest = apply(&cluster, &repo, &[], 0)["destruction"]["digest"].as_str().expect("a digest").to_owned();
    let parent = "/api/v1/namespaces/spinway-system/configmaps/spinway.t.test.platform";
    for (expires, held) in [("2020-01-01T00:00:00Z".to_owned(), 1), (in_a_day(), 0)] {
        cluster.edit(
            parent,
            "approver",
            &json!({"metadata": {"annotations": {"spinway.dev/approved": format!("{digest}={expires}")}}}),
        );
        assert_eq!(apply(&cluster, &repo, &[], 0)["summary"]["held"], held);
    }
    assert_eq!(deletes(&cluster), ["namespaces old/old"]);
}

#[test]
fn an_unproved_replace_must_be_named() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    let service = |ip: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: default}}\nspec: {{clusterIP: {ip}, ports: [{{port: 80}}]}}\n"
        )
    };
    repo.write("platform/s.yaml", &service("10.96.7.7"));
    apply(&cluster, &repo, &[], 0);
    repo.write("platform/s.yaml", &service("10.96.8.8"));
    cluster.mark();
    let report = apply(&cluster, &repo, &[], 0);
    let change = row(&report, "Service", "s");
    assert!(change["intended"] == "replace" && change["because"].to_string().contains("Unproved"), "{change:#}");
    let digest = report["destruction"]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(apply(&cluster, &repo, &["--approve", &digest], 0)["summary"]["held"], 1);
    assert!(cluster.writes().is_empty());
    let address = || cluster.get("/api/v1/namespaces/default/services/s").expect("s")["spec"]["clusterIP"].clone();
    apply(&cluster, &repo, &["--approve", &digest, "--approve", "Service default/s"], 0);
    assert_eq!(address(), "10.96.8.8");
    // An Approval names it in its list, exactly; a sentence names nothing, and one that has ended neither.
    repo.write("platform/s.yaml", &service("10.96.9.9"));
    let digest = apply(&cluster, &repo, &[], 0)["destruction"]["digest"].as_str().expect("a digest").to_owned();
    let approve = |hours: i64, objects: &str, reason: &str| {
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ");
        repo.write("approvals/a.yaml", &format!("apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {{name: a}}\nspec: {{environment: test, digest: \"{digest}\", expires: \"{expires}\", objects: [{objects}], reason: \"{reason}\"}}\n"));
        apply(&cluster, &repo, &[], 0)["summary"]["held"].clone()
    };
    assert_eq!(approve(24, "", "Service default/s may go"), 1);
    assert_eq!(approve(24, "Service default/s2, default/s", ""), 1);
    assert_eq!(approve(-1, "Service default/s", ""), 1);
    assert_eq!(address(), "10.96.8.8");
    assert_eq!(approve(24, "Service default/s", "moved"), 0);
    assert_eq!(address(), "10.96.9.9");
}

#[test]
fn a_job_that_went_by_its_ttl_is_not_run_again() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/job.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, namespace: default}\nspec:\n  ttlSecondsAfterFinished: 1\n  suspend: true\n  template:\n    spec: {restartPolicy: Never, containers: [{name: c, image: a}]}\n");
    cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1"]);
    cluster.send(
        "DELETE",
        "/apis/batch/v1/namespaces/default/jobs/j?propagationPolicy=Background",
        "application/json",
        &Value::Null,
    );
    let plan = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!(code(&plan), 0, "{}", Ran(&plan));
    repo.edit("platform/job.yaml", "image: a", "image: b");
    let plan = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!(code(&plan), 2, "{}", Ran(&plan));
}

#[test]
fn a_selection_takes_its_needs_along_and_deletes_nothing_else() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    repo.allow("ConfigMap, Namespace");
    repo.write("apps/one/new.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: fresh, labels: {a: b}}\n");
    repo.write("apps/two/other.yaml", &config_map("other", "two"));
    repo.remove("apps/one/c0.yaml");
    cluster.mark();
    apply(&cluster, &repo, &["-l", "a=b"], 0);
    let writes: Vec<String> =
        cluster.writes().into_iter().map(|w| w.object).filter(|o| !o.contains("spinway")).collect();
    assert_eq!(writes, ["namespaces fresh/fresh", "configmaps fresh/new"]);
    let plan = json(&cluster.spinway(&["plan", repo.dir(), "--tenant", "one", "-o", "json"]));
    assert_eq!((&plan["summary"]["delete"], &plan["summary"]["create"]), (&1.into(), &0.into()), "{plan:#}");
}

const ROUTED: &str = "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: e, namespace: default}\nspec: {createDeployment: true}\n";

fn app(name: &str) -> String {
    format!(
        "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {name}, namespace: default}}\nspec: {{image: x, executor: e, replicas: 1}}\n"
    )
}

fn route_to(name: &str, app: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: default}}\nspec: {{hostnames: [{name}.example], rules: [{{backendRefs: [{{name: {app}, port: 80}}]}}]}}\n"
    )
}

#[test]
fn what_a_live_route_uses_is_kept_while_the_route_is_held_blocked_or_unchanged() {
    let mut cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/e.yaml", ROUTED);
    // Enough objects that four deletions are within the budget.
    (0..50).for_each(|n| repo.write(&format!("platform/c{n}.yaml"), &config_map(&format!("c{n}"), "default")));
    for name in ["held", "old", "same"] {
        repo.write(&format!("platform/{name}.yaml"), &app(name));
        repo.write(&format!("platform/{name}-route.yaml"), &route_to(name, name));
    }
    for _ in 0..2 {
        cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1"]);
        // No operator runs here, so routes wait for apps for ever: they are applied as they would be.
        for name in ["held", "old", "same"] {
            cluster.stand_for_operator(name);
        }
    }
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "2"]);
    assert!(
        cluster.get("/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/same").is_some(),
        "{}",
        Ran(&ran)
    );
    cluster.mark();
    // The last route of a hostname is held; a route is blocked since its new backend has an error; a route stays as it is.
    repo.remove("platform/held.yaml");
    repo.remove("platform/held-route.yaml");
    repo.remove("platform/old.yaml");
    repo.write("platform/new.yaml", &app("new").replace("image: x", "imagee: x"));
    repo.write("platform/old-route.yaml", &route_to("old", "new"));
    repo.remove("platform/same.yaml");
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "1", "-o", "json"]);
    assert_eq!(deletes(&cluster), Vec::<String>::new(), "{}", Ran(&ran));
    let report = json(&ran);
    for name in ["held", "old", "same"] {
        let change = row(&report, "SpinApp", name);
        assert!(change["action"] == "blocked" && change["because"].to_string().contains("still uses it"), "{change:#}");
    }
}

#[test]
fn an_inventory_that_cannot_be_read_is_not_overwritten_and_holds_its_partition_only() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    let parent = "/api/v1/namespaces/spinway-system/configmaps/spinway.t.test.one";
    cluster.edit(parent, "someone", &json!({"binaryData": {"state": "AAAA"}}));
    cluster.mark();
    repo.remove("apps/one/c0.yaml");
    repo.remove("apps/two/c0.yaml");
    repo.edit("apps/one/c1.yaml", "k: v", "k: other");
    apply(&cluster, &repo, &[], 1);
    assert_eq!(deletes(&cluster), ["configmaps two/c0"]);
    assert_eq!(cluster.get(parent).expect("the parent")["binaryData"]["state"], "AAAA");
}

#[test]
fn a_wrong_name_or_a_missing_source_deletes_nothing() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    cluster.mark();
    repo.edit("apps/one/c0.yaml", ", namespace: one", "");
    repo.edit("apps/one/c1.yaml", "name: c1", "name: \"c1 \"");
    let plan = json(&cluster.spinway(&["plan", repo.dir(), "-o", "json"]));
    assert_eq!(plan["summary"]["delete"], 0, "{plan:#}");
    repo.edit("spinway.yaml", "sources: [platform, apps]", "sources: [platform, app]");
    apply(&cluster, &repo, &[], 0);
    assert_eq!(deletes(&cluster), Vec::<String>::new());
}

#[test]
fn a_renamed_tenant_keeps_its_objects_and_a_removed_one_is_pruned() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    cluster.mark();
    repo.edit("spinway.yaml", "{name: one,", "{name: uno,");
    apply(&cluster, &repo, &[], 0);
    let plan = cluster.spinway(&["plan", repo.dir(), "--exit-code"]);
    assert_eq!((code(&plan), deletes(&cluster).len()), (0, 0), "{}", Ran(&plan));
    // Without its paths the tenant's objects are no longer wanted; they are more than the budget allows.
    repo.edit("spinway.yaml", &format!("    - {{name: two, {WIDE}, paths: [apps/two]}}\n"), "");
    (0..10).for_each(|n| repo.remove(&format!("apps/two/c{n}.yaml")));
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!(report["summary"]["held"], 10, "{report:#}");
}

#[test]
fn an_old_deletion_is_no_reason_to_write() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    let path = "/api/v1/namespaces/spinway-system/configmaps/spinway.t.test.one";
    let parent = Parent::new("t", "test", "one", "spinway-system").read(&cluster.get(path).expect("the parent"));
    let mut parent = parent.expect("our own inventory");
    parent.state.deletions.push(Deletion { at: 1, uid: "long-gone".to_owned(), successor: None });
    cluster.apply_as(path, "spinway", &parent.render());
    cluster.mark();
    apply(&cluster, &repo, &[], 0);
    assert!(cluster.writes().is_empty(), "{:#?}", cluster.writes());
}

#[test]
fn renames_are_not_counted_and_the_budget_is_that_of_the_config() {
    let mut cluster = Cluster::take();
    let repo = applied(&cluster);
    let file = |name: &str| format!("apps/one/{name}.yaml");
    // Five at once, and another one that takes no object's place.
    for n in 0..5 {
        repo.remove(&file(&format!("c{n}")));
        repo.write(&file(&format!("r{n}")), &config_map(&format!("r{n}"), "one"));
    }
    cluster.mark();
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!((report["summary"]["held"].as_u64(), deletes(&cluster).len()), (Some(0), 5), "{report:#}");
    assert!(row(&report, "ConfigMap", "c0")["because"].to_string().contains("takes its place"), "{report:#}");
    // Of four deletions beside a rename none is free by it.
    repo.remove(&file("c5"));
    repo.write(&file("s"), &config_map("s", "one"));
    (0..4).for_each(|n| repo.remove(&file(&format!("r{n}"))));
    cluster.mark();
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!((report["summary"]["held"].as_u64(), deletes(&cluster).len()), (Some(4), 1), "{report:#}");
    let held = row(&report, "ConfigMap", "r1")["because"].to_string();
    assert!(held.contains("4 deletions in partition one within 24 hours are more than 3"), "{held}");
    // The Config allows them, for this environment alone.
    repo.edit("spinway.yaml", "{name: test}", "{name: test, deletions: {count: 4, window: 48h}}");
    cluster.mark();
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!((report["summary"]["held"].as_u64(), deletes(&cluster).len()), (Some(0), 4), "{report:#}");
    repo.remove(&file("r4"));
    let report = apply(&cluster, &repo, &[], 0);
    let held = row(&report, "ConfigMap", "r4")["because"].to_string();
    assert!(held.contains("5 deletions in partition one within 48 hours are more than 4"), "{held}");
    repo.edit("spinway.yaml", "  approvals:", "  deletions: {percent: 90}\n  approvals:");
    let report = apply(&cluster, &repo, &[], 0);
    assert_eq!(
        report["summary"]["delete"], 1,
        "what is said for all holds beside what the environment says: {report:#}"
    );
}

/// Server-side apply has no precondition for what is not there yet; ours has.
#[test]
fn what_somebody_else_creates_after_the_plan_stays_theirs() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    let executor = "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: made, namespace: default}\nspec: {createDeployment: true}\n";
    repo.write("platform/map.yaml", &config_map("made", "default"));
    repo.write("platform/executor.yaml", executor);
    let paths = [
        "/api/v1/namespaces/default/configmaps/made",
        "/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinappexecutors/made",
    ];
    let sent = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&sent);
    let proxy = Proxy::striking(
        &cluster,
        move |head| {
            let path = head.uri.path().to_owned();
            let creates = head.method == "PATCH" && !head.uri.query().is_some_and(|query| query.contains("dryRun"));
            if !creates || !paths.contains(&path.as_str()) {
                return Strike::Pass;
            }
            if seen.lock().unwrap().insert(path) { Strike::Hang(Duration::from_secs(2)) } else { Strike::Pass }
        },
        |_| {},
    );
    let config = repo.file("kubeconfig");
    std::fs::write(&config, proxy.kubeconfig()).unwrap();
    let apply = ["apply", repo.dir(), "--yes", "--timeout", "5", "-o", "json"];
    let mut command = cluster.command(&apply);
    command.env("KUBECONFIG", &config).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("spinway runs");
    cluster.wait("both creates", || sent.lock().unwrap().len() == 2);
    let theirs = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": "default"}, "data": {"theirs": "v"}}),
        json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinAppExecutor", "metadata": {"name": "made", "namespace": "default"},
            "spec": {"createDeployment": true}}),
    ];
    let before: Vec<Value> = paths
        .iter()
        .zip(&theirs)
        .map(|(path, body)| cluster.apply_as(path, "someone", body)["metadata"].clone())
        .collect();
    let ran = child.wait_with_output().expect("it ends");
    let report = json(&ran);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    for kind in ["ConfigMap", "SpinAppExecutor"] {
        let row = row(&report, kind, "made");
        assert!(row.to_string().contains("created by someone else after the plan"), "{row:#}");
    }
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(cluster.get(path).expect("it is there")["metadata"], before);
    }
    // From then on it is an object that no inventory owns.
    let plan = json(&cluster.spinway(&["plan", repo.dir(), "-o", "json"]));
    assert_eq!(row(&plan, "ConfigMap", "made")["action"], "blocked", "{plan:#}");
}

/// The answer to the write of a replace is lost: the next attempt finds what it wrote.
#[test]
fn a_replace_whose_answer_is_lost_is_done() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    let map = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: fixed, namespace: default}}\nimmutable: true\ndata: {{k: {value}}}\n"
        )
    };
    repo.write("platform/map.yaml", &map("one"));
    apply(&cluster, &repo, &[], 0);
    repo.write("platform/map.yaml", &map("two"));
    let held = json(&cluster.spinway(&["plan", repo.dir(), "-o", "json"]));
    let digest = held["destruction"]["digest"].as_str().expect("a digest").to_owned();
    let path = "/api/v1/namespaces/default/configmaps/fixed";
    let lost = Arc::new(Mutex::new(0));
    let count = Arc::clone(&lost);
    let proxy = Proxy::striking(
        &cluster,
        move |head| {
            let writes = head.method == "PATCH" && !head.uri.query().is_some_and(|query| query.contains("dryRun"));
            let mut count = count.lock().unwrap();
            if head.uri.path() != path || !writes || *count > 0 {
                return Strike::Pass;
            }
            *count += 1;
            Strike::Lose
        },
        |_| {},
    );
    let config = repo.file("kubeconfig");
    std::fs::write(&config, proxy.kubeconfig()).unwrap();
    let mut command =
        cluster.command(&["apply", repo.dir(), "--yes", "--timeout", "20", "--approve", &digest, "-o", "json"]);
    let ran = command.env("KUBECONFIG", &config).output().expect("spinway runs");
    assert_eq!((code(&ran), *lost.lock().unwrap()), (0, 1), "{}", Ran(&ran));
    assert_eq!(cluster.get(path).expect("it is there")["data"]["k"], "two");
}
