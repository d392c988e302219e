//! Differences that are easily overlooked: each of these was once called unchanged, or mended in the wrong place.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, row};
use serde_json::{Value, json};

fn apply(cluster: &Cluster, repo: &Repo) {
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--no-wait"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
}

fn plan(cluster: &Cluster, repo: &Repo) -> Value {
    let ran = cluster.spinway(&["plan", repo.dir(), "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    json(&ran)
}

fn repo(config: &str, text: &str) -> Repo {
    let repo = Repo::with_config();
    repo.edit("spinway.yaml", "  approvals:", &format!("{config}  approvals:"));
    repo.write("platform/all.yaml", text);
    repo
}

#[test]
fn an_ignored_path_means_the_item_with_its_own_key() {
    let cluster = Cluster::take();
    let service = |labels: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: dns, namespace: default{labels}}}\nspec:\n  selector: {{a: b}}\n  ports:\n    \
             - {{name: tcp, port: 53, targetPort: 1053}}\n    - {{name: udp, port: 53, protocol: UDP, targetPort: 1053}}\n"
        )
    };
    let repo = repo("  ignore: [{kind: Service, path: \"spec.ports[].targetPort\"}]\n", &service(""));
    apply(&cluster, &repo);
    let path = "/api/v1/namespaces/default/services/dns";
    let change = json!([{"op": "replace", "path": "/spec/ports/1/targetPort", "value": 9999}]);
    cluster.send("PATCH", &format!("{path}?fieldManager=kubectl-edit"), "application/json-patch+json", &change);
    repo.write("platform/all.yaml", &service(", labels: {x: z}"));
    apply(&cluster, &repo);
    let ports = cluster.get(path).expect("dns")["spec"]["ports"].clone();
    assert_eq!((&ports[0]["targetPort"], &ports[1]["targetPort"]), (&json!(1053), &json!(9999)), "{ports}");
}

#[test]
fn an_ignored_difference_hides_no_other() {
    let cluster = Cluster::take();
    let deployment = |replicas: u8, note: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: default}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{a: b}}}}\n  \
             template: {{metadata: {{labels: {{a: b}}{note}}}, spec: {{containers: [{{name: c, image: i}}]}}}}\n"
        )
    };
    let repo = repo("  ignore: [{kind: Deployment, path: spec.template.metadata.annotations}]\n", &deployment(3, ""));
    apply(&cluster, &repo);
    repo.write("platform/all.yaml", &deployment(0, ", annotations: {k: v}"));
    apply(&cluster, &repo);
    let live = cluster.get("/apis/apps/v1/namespaces/default/deployments/d").expect("d");
    assert_eq!(live["spec"]["replicas"], 0);
}

#[test]
fn a_word_that_masks_values_in_snapshots_hides_nothing_in_a_cluster() {
    let cluster = Cluster::take();
    let repo = repo("", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\ndata: {k: v}\n");
    apply(&cluster, &repo);
    let path = "/api/v1/namespaces/default/configmaps/c";
    cluster.edit(path, "kubectl-edit", &json!({"data": {"k": "spinway.dev/masked"}}));
    let report = plan(&cluster, &repo);
    assert_eq!(row(&report, "ConfigMap", "c")["fields"][0]["manager"], "kubectl-edit");
    apply(&cluster, &repo);
    assert_eq!(cluster.get(path).expect("c")["data"]["k"], "v");
}

#[test]
fn an_amount_in_another_family_of_suffixes_is_another_text() {
    let cluster = Cluster::take();
    let deployment = |memory: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: default}}\nspec:\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    \
             spec: {{containers: [{{name: c, image: i, resources: {{limits: {{memory: {memory}}}}}}}]}}\n"
        )
    };
    let memory = || {
        let live = cluster.get("/apis/apps/v1/namespaces/default/deployments/d").expect("d");
        live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].clone()
    };
    let repo = repo("", &deployment("1073741824"));
    apply(&cluster, &repo);
    assert_eq!(memory(), "1073741824");
    repo.write("platform/all.yaml", &deployment("1Gi"));
    apply(&cluster, &repo);
    assert_eq!(memory(), "1Gi");
    repo.write("platform/all.yaml", &deployment("1024Mi"));
    assert_eq!(plan(&cluster, &repo)["summary"]["unchanged"], 1, "the API server writes both as 1Gi");
}

const WIDGETS: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                size: {type: integer}
                sub: {type: object, properties: {ports: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [port], items: {type: object, required: [port], properties: {port: {type: integer}}}}}}
                words: {type: array, x-kubernetes-list-type: set, items: {type: string}}
";

fn widget(spec: &str) -> String {
    format!("---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w, namespace: default}}\nspec: {spec}\n")
}

#[test]
fn an_empty_list_is_a_value_of_a_custom_resource() {
    let cluster = Cluster::take();
    let repo = repo("", &format!("{WIDGETS}{}", widget("{size: 1}")));
    apply(&cluster, &repo);
    let spec = || cluster.get("/apis/example.com/v1/namespaces/default/widgets/w").expect("w")["spec"].clone();
    repo.write("platform/all.yaml", &format!("{WIDGETS}{}", widget("{size: 1, words: [], sub: {ports: []}}")));
    apply(&cluster, &repo);
    assert_eq!(spec(), json!({"size": 1, "words": [], "sub": {"ports": []}}));
    assert_eq!(plan(&cluster, &repo)["summary"]["unchanged"], 2);
    let remove = json!([{"op": "remove", "path": "/spec/words"}]);
    let path = "/apis/example.com/v1/namespaces/default/widgets/w?fieldManager=kubectl-edit";
    cluster.send("PATCH", path, "application/json-patch+json", &remove);
    assert_eq!(row(&plan(&cluster, &repo), "Widget", "w")["fields"][0]["cause"], "drift");
    apply(&cluster, &repo);
    assert_eq!(spec()["words"], json!([]));
    // An element with characters that Go escapes is known again.
    repo.write("platform/all.yaml", &format!("{WIDGETS}{}", widget("{size: 1, words: [\"a<b>&c\"]}")));
    apply(&cluster, &repo);
    let requests = plan(&cluster, &repo)["requests"].clone();
    assert_eq!(requests.get("dry-run"), None, "{requests}");
}

#[test]
fn plain_manifests_with_a_definition_and_its_object_are_unchanged_the_second_time() {
    let cluster = Cluster::take();
    let repo = Repo::empty();
    repo.write("all.yaml", &format!("{WIDGETS}{}", widget("{size: 1}")));
    apply(&cluster, &repo);
    let report = plan(&cluster, &repo);
    assert_eq!(report["summary"]["unchanged"], 2, "{report:#}");
}

#[test]
fn a_definition_that_was_released_is_not_deleted_because_it_was_once_read() {
    let cluster = Cluster::take();
    let repo = repo("", WIDGETS);
    repo.allow("Widget.example.com");
    repo.write("apps/one/w.yaml", &widget("{size: 1}"));
    apply(&cluster, &repo);
    plan(&cluster, &repo);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com?fieldManager=admin";
    let release = json!({"metadata": {"labels": {"applyset.kubernetes.io/part-of": null}}});
    cluster.send("PATCH", path, "application/merge-patch+json", &release);
    repo.write("platform/all.yaml", "");
    let report = plan(&cluster, &repo);
    assert_eq!((&report["summary"]["held"], &report["summary"]["delete"]), (&json!(0), &json!(0)), "{report:#}");
}

#[test]
fn an_object_that_breaks_the_repositorys_new_definition_is_named() {
    let cluster = Cluster::take();
    let repo = repo("", &format!("{WIDGETS}{}", widget("{size: 1}")));
    apply(&cluster, &repo);
    repo.edit("platform/all.yaml", "size: {type: integer}", "size: {type: integer, minimum: 5}");
    let findings = plan(&cluster, &repo)["diagnostics"].to_string();
    assert!(findings.contains("should be greater than or equal to 5"), "{findings}");
}
