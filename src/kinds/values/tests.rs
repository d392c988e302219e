//! What is said of values that are wrong; that the API server agrees is the test of `tests/it/validation.rs`.

use super::*;
use serde_json::{Value, json};

/// What is said of an object: `POINTER message`.
fn said(api_version: &str, kind: &str, spec: &Value) -> Vec<String> {
    let object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "b"}, "spec": spec});
    let found = ObjectRef::of(&object).map(|reference| wrong_values(&reference, &object)).unwrap_or_default();
    found.iter().map(|violation| format!("{} {}", violation.pointer, violation.message)).collect()
}

fn deployment(pod: &Value) -> Value {
    json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}})
}

#[test]
fn pods_name_their_mounts_sources_and_limits() {
    let container = |more: Value| {
        let mut container = json!({"name": "c", "image": "i"});
        container.as_object_mut().into_iter().for_each(|map| map.extend(more.as_object().cloned().unwrap_or_default()));
        said(
            "apps/v1",
            "Deployment",
            &deployment(&json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]})),
        )
    };
    let at = "/spec/template/spec/containers/0";
    for (fields, expected) in [
        (json!({}), None),
        (json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), None),
        (json!({"volumeMounts": [{"name": "w", "mountPath": "/v"}]}), Some("/volumeMounts/0/name Not found: \"w\"")),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            Some(
                "/env/0/valueFrom Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
            ),
        ),
        (
            json!({"readinessProbe": {"periodSeconds": 3}}),
            Some("/readinessProbe Required value: must specify a handler type"),
        ),
        (
            json!({"readinessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 80}}}),
            Some("/readinessProbe Forbidden: may not specify more than 1 handler type"),
        ),
        (
            json!({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "64Mi"}}}),
            Some("/resources/requests/memory Invalid value: \"1Gi\": must be less than or equal to memory limit"),
        ),
        (json!({"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}}}), None),
        (
            json!({"name": "Not_a_label"}),
            Some(
                "/name Invalid value: \"Not_a_label\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character, at most 63",
            ),
        ),
        (json!({"image": ""}), Some("/image Required value")),
    ] {
        let expected: Vec<String> = expected.iter().map(|expected| format!("{at}{expected}")).collect();
        assert_eq!(container(fields.clone()), expected, "{fields}");
    }
}

#[test]
fn workloads_select_what_they_make() {
    let mut spec = deployment(&json!({"containers": [{"name": "c", "image": "i"}]}));
    assert!(said("apps/v1", "Deployment", &spec).is_empty());
    for (operator, values, fine) in [
        ("In", json!(["b"]), true),
        ("NotIn", json!(["b"]), false),
        ("Exists", json!([]), true),
        ("DoesNotExist", json!([]), false),
    ] {
        spec["selector"]["matchExpressions"] = json!([{"key": "a", "operator": operator, "values": values}]);
        assert_eq!(said("apps/v1", "Deployment", &spec).is_empty(), fine, "{operator}");
    }
    let claims = json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}}]});
    let mut stateful = deployment(
        &json!({"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]}),
    );
    stateful["volumeClaimTemplates"] = claims["volumeClaimTemplates"].clone();
    assert!(said("apps/v1", "StatefulSet", &stateful).is_empty());
    spec["selector"] = json!({"matchLabels": {"a": "c"}});
    spec["strategy"] = json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}});
    assert_eq!(
        said("apps/v1", "Deployment", &spec),
        [
            "/spec/template/metadata/labels Invalid value: `selector` does not match template `labels`",
            "/spec/strategy/rollingUpdate Forbidden: may not be specified when strategy `type` is 'Recreate'",
            "/spec/strategy/rollingUpdate/maxUnavailable Invalid value: may not be 0 when `maxSurge` is 0",
        ]
    );
    assert_eq!(said("batch/v1", "Job", &json!({})), ["/spec/template/spec/containers Required value"]);
}

#[test]
fn services_name_their_ports() {
    let service = |spec: Value| said("v1", "Service", &spec);
    assert!(service(json!({"ports": [{"port": 80, "targetPort": "http"}]})).is_empty());
    assert!(service(json!({"clusterIP": "None"})).is_empty());
    assert_eq!(service(json!({})), ["/spec/ports Required value"]);
    assert_eq!(
        service(json!({"ports": [{"name": "a", "port": 1}, {"port": 2}]})),
        ["/spec/ports/1/name Required value"]
    );
    assert_eq!(
        service(json!({"ports": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]})),
        ["/spec/ports/1/name Duplicate value: \"a\""]
    );
    assert_eq!(
        service(json!({"externalTrafficPolicy": "Local", "ports": [{"port": 1}]})),
        ["/spec/externalTrafficPolicy Invalid value: may only be set for externally-accessible services"]
    );
    assert_eq!(service(json!({"type": "ExternalName"})), ["/spec/externalName Required value"]);
}

#[test]
fn policies_name_peers_and_ranges() {
    let egress =
        |rule: Value| said("networking.k8s.io/v1", "NetworkPolicy", &json!({"podSelector": {}, "egress": [rule]}));
    for (rule, expected) in [
        (json!({"to": [{"podSelector": {}}], "ports": [{"port": 1, "endPort": 2}]}), None),
        (json!({"to": [{}]}), Some("/to/0 Required value: must specify a peer")),
        (
            json!({"to": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}),
            Some("/to/0 Forbidden: may not specify both ipBlock and another peer"),
        ),
        (json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}), None),
        (
            json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.1.0.0/16"]}}]}),
            Some("/to/0/ipBlock/except/0 Invalid value: \"11.1.0.0/16\": must be a strict subset of `cidr`"),
        ),
        (
            json!({"to": [{"ipBlock": {"cidr": "fd00::/8", "except": ["fd00::/8"]}}]}),
            Some("/to/0/ipBlock/except/0 Invalid value: \"fd00::/8\": must be a strict subset of `cidr`"),
        ),
        (
            json!({"ports": [{"port": 2, "endPort": 1}]}),
            Some("/ports/0/endPort Invalid value: must be greater than or equal to `port`"),
        ),
        (
            json!({"ports": [{"port": "http", "endPort": 1}]}),
            Some("/ports/0/endPort Invalid value: may not be specified when `port` is non-numeric"),
        ),
        (
            json!({"ports": [{"endPort": 1}]}),
            Some("/ports/0/endPort Invalid value: may not be specified when `port` is not specified"),
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|expected| format!("/spec/egress/0{expected}")).collect();
        assert_eq!(egress(rule.clone()), expected, "{rule}");
    }
}

#[test]
fn autoscalers_have_bounds_and_targets() {
    let scaler = |more: Value| {
        let mut spec =
            json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "maxReplicas": 2});
        spec.as_object_mut().into_iter().for_each(|map| map.extend(more.as_object().cloned().unwrap_or_default()));
        said("autoscaling/v2", "HorizontalPodAutoscaler", &spec)
    };
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    let metric = |metric: Value| scaler(json!({"metrics": [metric]}));
    assert!(scaler(json!({})).is_empty());
    assert!(metric(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})).is_empty());
    assert_eq!(
        scaler(json!({"minReplicas": 3})),
        ["/spec/maxReplicas Invalid value: 2: must be greater than or equal to `minReplicas`"]
    );
    assert_eq!(
        scaler(json!({"minReplicas": 0})),
        [
            "/spec/metrics Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"
        ]
    );
    assert_eq!(
        metric(json!({"type": "Pods", "resource": {"name": "cpu", "target": target}})),
        [
            "/spec/metrics/0/resource Forbidden: must populate the given metric source only",
            "/spec/metrics/0/pods Required value: must populate information for the given metric source",
        ]
    );
    assert_eq!(
        metric(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}})),
        [
            "/spec/metrics/0/resource/target/averageUtilization Required value: must set either a target raw value or a target utilization"
        ]
    );
    assert_eq!(
        scaler(json!({"behavior": {"scaleUp": {"policies": []}}})),
        ["/spec/behavior/scaleUp/policies Required value: must specify at least one Policy"]
    );
}

#[test]
fn labels_are_labels() {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a",
        "labels": {"ok": "", "a/b": "c", "/x": "y", "v": "-"}, "annotations": {"Example.com/A": "b c", "a b": ""}}});
    let found = ObjectRef::of(&object).map(|reference| wrong_values(&reference, &object)).unwrap_or_default();
    let pointers: Vec<&str> = found.iter().map(|violation| violation.pointer.as_str()).collect();
    assert_eq!(pointers, ["/metadata/labels/~1x", "/metadata/labels/v", "/metadata/annotations/a b"]);
}
