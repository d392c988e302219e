//! `src/schema/builtin.json` is made from the real API server; with `SPINWAY_REGENERATE=1` this test writes it.

use crate::cluster::Cluster;
use serde_json::{Map, Value, json};

/// The group versions of the table.
const DOCUMENTS: [&str; 14] = [
    "api/v1",
    "apis/apps/v1",
    "apis/batch/v1",
    "apis/autoscaling/v2",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/node.k8s.io/v1",
    "apis/scheduling.k8s.io/v1",
    "apis/storage.k8s.io/v1",
    "apis/admissionregistration.k8s.io/v1",
    "apis/apiregistration.k8s.io/v1",
    "apis/coordination.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
];

#[test]
fn the_built_in_table_is_what_the_api_server_says() {
    let cluster = Cluster::take();
    let made = table(&cluster);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/builtin.json");
    if std::env::var_os("SPINWAY_REGENERATE").is_some() {
        std::fs::write(path, format!("{}\n", serde_json::to_string(&made).expect("JSON")))
            .expect("the table can be written");
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the table")).expect("JSON");
    assert!(kept == made, "the table is not that of this API server: SPINWAY_REGENERATE=1 cargo test built_in_table");
}

fn table(cluster: &Cluster) -> Value {
    let index = cluster.get("/openapi/v3").expect("the index of OpenAPI documents");
    let (mut kinds, mut definitions, mut documents) = (Vec::new(), Map::new(), Map::new());
    for path in DOCUMENTS {
        let openapi = cluster.get(&format!("/openapi/v3/{path}")).expect("an OpenAPI document");
        let resources = cluster.get(&format!("/{path}")).expect("a list of resources");
        let made = spinway::schema::compact_document(&openapi);
        let url = index["paths"][path]["serverRelativeURL"].as_str().expect("a URL");
        documents.insert(path.to_owned(), json!(url.split_once("hash=").expect("a hash").1));
        for row in made["kinds"].as_array().expect("kinds") {
            let own =
                path.trim_start_matches("apis/").trim_start_matches("api/").rsplit_once('/').unwrap_or(("", "v1"));
            let objects = resources["resources"].as_array().expect("resources").iter().find(|resource| {
                let verbs = resource["verbs"].to_string();
                let plain = !resource["name"].as_str().unwrap_or_default().contains('/');
                plain && resource["kind"] == row["kind"] && verbs.contains("\"patch\"")
            });
            let Some(resource) = objects.filter(|_| row["group"] == own.0 && row["version"] == own.1) else { continue };
            let mut row = row.clone();
            row["namespaced"] = resource["namespaced"].clone();
            reach(row["definition"].as_str().expect("a name"), &made["definitions"], &mut definitions);
            kinds.push(row);
        }
    }
    kinds.sort_by_key(ToString::to_string);
    for (path, text) in probes() {
        fill(cluster, path, &text, &kinds, &mut definitions);
    }
    definitions.sort_keys();
    json!({"source": "kube-apiserver v1.36.3 /openapi/v3, by tests/it/builtin.rs", "documents": documents, "kinds": kinds, "definitions": definitions})
}

/// Adds a definition and all that it refers to: a document also has kinds that are no objects.
fn reach(name: &str, all: &Value, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(name) {
        return;
    }
    let text = all[name].to_string();
    definitions.insert(name.to_owned(), all[name].clone());
    for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        reach(reference, all, definitions);
    }
}

/// Texts that say as little as they may inside values that are owned as a whole: what the API server fills in there stands
/// in no document.
fn probes() -> [(&'static str, Value); 5] {
    let pod = json!({
        "containers": [{
            "name": "c",
            "image": "i:1",
            "env": [
                {"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "b", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "d", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
            "readinessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a", "value": "b"}]}},
        }],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "volumes": [
            {"name": "p", "projected": {"sources": [
                {"serviceAccountToken": {"path": "t"}},
                {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
            ]}},
            {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        ],
    });
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let workload = |kind: &str, extra: Value| {
        let mut spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
        spec.as_object_mut().expect("a map").extend(extra.as_object().cloned().unwrap_or_default());
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "probe", "namespace": "default"}, "spec": spec})
    };
    let claims = json!({"serviceName": "s", "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]});
    [
        ("/apis/apps/v1/namespaces/default/deployments/probe", workload("Deployment", json!({}))),
        ("/apis/apps/v1/namespaces/default/statefulsets/probe", workload("StatefulSet", claims)),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/probe",
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "probe", "namespace": "default"},
                "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}], "egress": [{"ports": [{"port": 80}]}]}}),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/probe",
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "probe", "namespace": "default"},
                "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}),
        ),
        (
            "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/probe",
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "probe", "namespace": "default"},
                "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 2, "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
                    "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}}}]}}),
        ),
    ]
}

/// Records as defaults what the API server fills into the values of a text that are owned as a whole.
fn fill(cluster: &Cluster, path: &str, text: &Value, kinds: &[Value], definitions: &mut Map<String, Value>) {
    let query = "?fieldManager=tests&dryRun=All";
    let made = cluster.send("PATCH", &format!("{path}{query}"), "application/apply-patch+yaml", text);
    let row = kinds.iter().find(|row| row["kind"] == text["kind"]).expect("a kind of the table");
    let definition = row["definition"].as_str().expect("a definition").to_owned();
    for name in text
        .as_object()
        .expect("a map")
        .keys()
        .filter(|name| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
    {
        let node = json!({"$ref": definition});
        let node = definitions[node["$ref"].as_str().expect("a name")]["properties"][name].clone();
        walk(&text[name], &made[name], &node, (&definition, name), false, definitions);
    }
}

/// `place` is the definition and property that the node came from; `whole` says that it is part of an atomic value.
fn walk(
    want: &Value,
    have: &Value,
    node: &Value,
    place: (&str, &str),
    whole: bool,
    definitions: &mut Map<String, Value>,
) {
    let reference = node["$ref"].as_str().map(str::to_owned);
    let target = reference.as_ref().map_or_else(|| node.clone(), |name| definitions[name].clone());
    let marked = |mark: &str| node[mark] == "atomic" || target[mark] == "atomic";
    let definition = reference.as_deref().unwrap_or(place.0);
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            let whole = whole || marked("x-kubernetes-map-type");
            for (name, value) in have {
                let property = target["properties"][name].clone();
                match want.get(name) {
                    Some(want) => walk(want, value, &property, (definition, name), whole, definitions),
                    None if whole && !value.is_object() && !value.is_array() => {
                        definitions[definition]["properties"][name]["default"] = value.clone();
                    }
                    None => {}
                }
            }
        }
        (Value::Array(want), Value::Array(have)) => {
            let list = node["x-kubernetes-list-type"].as_str().or_else(|| target["x-kubernetes-list-type"].as_str());
            let whole = whole || !matches!(list, Some("map" | "set"));
            for (want, have) in want.iter().zip(have) {
                walk(want, have, &target["items"], place, whole, definitions);
            }
        }
        _ => {}
    }
}
