//! Valid objects of the kinds that are checked before they are sent, and random changes that may make them invalid.

use crate::oracle::texts::Random;
use serde_json::{Map, Value, json};

/// A kind whose objects are changed: the parts of its path, and valid objects.
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    /// Whether its type is a CustomResourceDefinition of the cluster.
    pub custom: bool,
    bodies: Vec<Value>,
}

impl Kind {
    /// The path of an object of the kind.
    pub fn path(&self, name: &str) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let slash = if self.group.is_empty() { "" } else { "/" };
        format!("/{root}/{}{slash}{}/namespaces/default/{}/{name}", self.group, self.version, self.plural)
    }

    /// A valid object.
    pub fn valid(&self, name: &str, random: &mut Random) -> Value {
        let slash = if self.group.is_empty() { "" } else { "/" };
        let mut made = Map::new();
        made.insert("apiVersion".to_owned(), json!(format!("{}{slash}{}", self.group, self.version)));
        made.insert("kind".to_owned(), json!(self.kind));
        let labels = json!({"app.kubernetes.io/name": "a", "team": "b_2"});
        made.insert("metadata".to_owned(), json!({"name": name, "namespace": "default", "labels": labels}));
        made.extend(random.of(&self.bodies).as_object().cloned().unwrap_or_default());
        Value::Object(made)
    }
}

/// The kinds.
pub fn kinds() -> Vec<Kind> {
    let kind = |group, version, kind, plural, custom, bodies| Kind { group, version, kind, plural, custom, bodies };
    let gateway = "gateway.networking.k8s.io";
    let spin = "core.spinkube.dev";
    vec![
        kind(gateway, "v1", "HTTPRoute", "httproutes", true, http_routes()),
        kind(gateway, "v1", "Gateway", "gateways", true, gateways()),
        kind(gateway, "v1", "GRPCRoute", "grpcroutes", true, grpc_routes()),
        kind(gateway, "v1", "ListenerSet", "listenersets", true, listener_sets()),
        kind(gateway, "v1", "BackendTLSPolicy", "backendtlspolicies", true, backend_tls_policies()),
        kind(spin, "v1alpha1", "SpinApp", "spinapps", true, spin_apps()),
        kind(spin, "v1alpha1", "SpinAppExecutor", "spinappexecutors", true, executors()),
        kind("apps", "v1", "Deployment", "deployments", false, deployments()),
        kind("", "v1", "Service", "services", false, services()),
        kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", false, network_policies()),
        kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", false, autoscalers()),
    ]
}

fn parents() -> Value {
    json!([{"name": "public", "namespace": "infra", "sectionName": "https"}, {"name": "internal", "kind": "Gateway"}])
}

fn http_routes() -> Vec<Value> {
    vec![
        json!({"spec": {"parentRefs": parents(), "hostnames": ["shop.example", "*.shop.example"], "rules": [{
            "name": "cart",
            "matches": [{"path": {"type": "PathPrefix", "value": "/cart"}, "method": "GET", "headers": [{"type": "Exact", "name": "x-canary", "value": "1"}],
                "queryParams": [{"name": "v", "value": "2"}]}],
            "filters": [
                {"type": "URLRewrite", "urlRewrite": {"hostname": "in.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}], "add": [{"name": "c", "value": "d"}], "remove": ["e"]}},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "mirror", "port": 80}, "percent": 10}}],
            "backendRefs": [{"name": "cart", "port": 80, "weight": 90}, {"name": "cart-canary", "port": 80, "weight": 10}],
            "timeouts": {"request": "10s", "backendRequest": "5s"}}]}}),
        json!({"spec": {"parentRefs": [{"name": "public", "namespace": "infra"}], "rules": [
            {"matches": [{"path": {"type": "Exact", "value": "/old"}}],
             "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "hostname": "new.example", "port": 443, "statusCode": 301, "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}}}]},
            {"matches": [{"path": {"type": "RegularExpression", "value": "/a.*"}}, {"headers": [{"type": "RegularExpression", "name": "accept", "value": "x.*"}]}],
             "backendRefs": [{"group": "", "kind": "Service", "namespace": "shop", "name": "a", "port": 8080, "filters": [
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}]}]}]}}),
        json!({"spec": {"hostnames": ["api.shop.example"], "rules": [{"filters": [
            {"type": "ExtensionRef", "extensionRef": {"group": "gateway.nginx.org", "kind": "AuthenticationFilter", "name": "jwt"}},
            {"type": "CORS", "cors": {"allowOrigins": ["https://shop.example"], "allowMethods": ["GET", "POST"], "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"], "maxAge": 60, "allowCredentials": true}}],
            "backendRefs": [{"name": "api", "port": 80}]}]}}),
    ]
}

fn gateways() -> Vec<Value> {
    vec![
        json!({"spec": {"gatewayClassName": "nginx", "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
            {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.shop.example", "tls": {"mode": "Terminate", "certificateRefs": [{"name": "shop-tls", "namespace": "certs"}]},
             "allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}], "namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "shop"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}}}],
            "addresses": [{"type": "IPAddress", "value": "192.0.2.1"}],
            "infrastructure": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "parametersRef": {"group": "gateway.nginx.org", "kind": "NginxProxy", "name": "p"}}}}),
        json!({"spec": {"gatewayClassName": "envoy", "listeners": [
            {"name": "tls", "port": 8443, "protocol": "TLS", "hostname": "t.example", "tls": {"mode": "Passthrough"}},
            {"name": "tcp", "port": 5432, "protocol": "TCP"}],
            "addresses": [{"type": "Hostname", "value": "gw.example"}]}}),
    ]
}

fn grpc_routes() -> Vec<Value> {
    vec![json!({"spec": {"parentRefs": parents(), "hostnames": ["grpc.shop.example"], "rules": [{
        "name": "orders",
        "matches": [{"method": {"type": "Exact", "service": "shop.Orders", "method": "Get"}, "headers": [{"name": "x", "value": "1"}]}],
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 80}, "fraction": {"numerator": 1, "denominator": 10}}}],
        "backendRefs": [{"name": "orders", "port": 50051, "weight": 1}]}]}})]
}

fn listener_sets() -> Vec<Value> {
    vec![
        json!({"spec": {"parentRef": {"name": "public", "namespace": "infra", "kind": "Gateway", "group": "gateway.networking.k8s.io"}, "listeners": [
        {"name": "a", "port": 8080, "protocol": "HTTP", "hostname": "a.example", "allowedRoutes": {"namespaces": {"from": "Same"}}},
        {"name": "b", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"kind": "Secret", "name": "t"}]}}]}}),
    ]
}

fn backend_tls_policies() -> Vec<Value> {
    vec![
        json!({"spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "a", "sectionName": "https"}],
            "validation": {"hostname": "a.example", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}],
                "subjectAltNames": [{"type": "Hostname", "hostname": "b.example"}, {"type": "URI", "uri": "spiffe://a/b"}]}}}),
        json!({"spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "a"}, {"group": "", "kind": "Service", "name": "b"}],
            "validation": {"hostname": "a.example", "wellKnownCACertificates": "System"}}}),
    ]
}

fn spin_apps() -> Vec<Value> {
    vec![
        json!({"spec": {"image": "ghcr.io/acme/cart:1", "executor": "spin", "replicas": 2,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi", "cpu": 1}},
            "checks": {"readiness": {"httpGet": {"path": "/ready", "httpHeaders": [{"name": "a", "value": "b"}]}, "periodSeconds": 5}},
            "variables": [{"name": "a", "value": "b"}, {"name": "c", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "podLabels": {"a": "b"}, "imagePullSecrets": [{"name": "pull"}]}}),
        json!({"spec": {"image": "ghcr.io/acme/cart:1", "executor": "spin", "enableAutoscaling": true, "components": ["a"],
            "runtimeConfig": {"keyValueStores": [{"name": "default", "type": "redis", "options": [{"name": "url", "value": "redis://r"}]}]},
            "invocationLimits": {"memory": "64Mi"}, "serviceAccountName": "cart"}}),
    ]
}

fn executors() -> Vec<Value> {
    vec![
        json!({"spec": {"createDeployment": true, "deploymentConfig": {"runtimeClassName": "spin", "installDefaultCACerts": true, "otel": {"exporter_otlp_endpoint": "http://o:4318"}}}}),
    ]
}

fn deployments() -> Vec<Value> {
    let probe = json!({"httpGet": {"path": "/", "port": "http", "scheme": "HTTP", "httpHeaders": [{"name": "a", "value": "b"}]}, "periodSeconds": 10, "failureThreshold": 3});
    vec![
        json!({"spec": {"replicas": 2, "revisionHistoryLimit": 3, "minReadySeconds": 1, "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
        "selector": {"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]},
        "template": {"metadata": {"labels": {"app": "a"}, "annotations": {"x": "y"}}, "spec": {
            "serviceAccountName": "a", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "nodeSelector": {"a": "b"},
            "tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}],
            "imagePullSecrets": [{"name": "pull"}],
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 1000},
            "containers": [{"name": "c", "image": "i:1", "imagePullPolicy": "IfNotPresent", "args": ["a"], "workingDir": "/x",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "env": [{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "envFrom": [{"configMapRef": {"name": "cm"}}],
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": probe, "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w", "readOnly": true}]}],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "w", "configMap": {"name": "cm", "defaultMode": 420, "items": [{"key": "a", "path": "a"}]}}]}}}}),
        json!({"spec": {"selector": {"matchLabels": {"app": "a"}}, "strategy": {"type": "Recreate"}, "template": {"metadata": {"labels": {"app": "a", "v": "1"}}, "spec": {
            "containers": [{"name": "c", "image": "i:1", "livenessProbe": {"tcpSocket": {"port": 80}}, "lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}],
            "initContainers": [{"name": "init", "image": "i:2", "command": ["sh"]}],
            "volumes": [{"name": "s", "secret": {"secretName": "x"}}]}}}}),
    ]
}

fn services() -> Vec<Value> {
    vec![
        json!({"spec": {"type": "ClusterIP", "selector": {"app": "a"}, "sessionAffinity": "None", "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}, {"name": "metrics", "port": 9090, "targetPort": "metrics"}]}}),
        json!({"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "a"}, "ports": [{"port": 443}], "loadBalancerSourceRanges": ["10.0.0.0/8"]}}),
        json!({"spec": {"clusterIP": "None", "selector": {"app": "a"}, "publishNotReadyAddresses": true, "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2, "protocol": "UDP"}]}}),
    ]
}

fn network_policies() -> Vec<Value> {
    vec![json!({"spec": {"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}}], "ports": [{"port": 80, "protocol": "TCP"}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 1000, "endPort": 2000}, {"port": "http"}]}, {"to": [{"podSelector": {}}]}]}})]
}

fn autoscalers() -> Vec<Value> {
    vec![
        json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "minReplicas": 1, "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
            {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300, "selectPolicy": "Max", "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]}}}}),
    ]
}

/// Texts that are wrong in many places, and right in some.
const TEXTS: [&str; 16] = [
    "",
    "UPPER",
    "with space",
    "-dash",
    "under_score",
    "a/b",
    "/",
    "//",
    "*.example",
    "10.0.0.1",
    "10m",
    "1.5h",
    "Exact",
    "Service",
    "x.example/y",
    "ünicode",
];

/// A change of an object below its fields (never its name): what was done, for people.
pub fn mutate(object: &mut Value, random: &mut Random) -> String {
    let mut places = Vec::new();
    for field in object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        if !matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
            gather(&object[&field], &format!("/{field}"), &mut places);
        }
    }
    if random.below(20) == 0 {
        places = vec!["/metadata/labels".to_owned(), "/metadata/labels/team".to_owned()];
    }
    let place = random.of(&places).clone();
    let others: Vec<Value> =
        places.iter().filter_map(|other| object.pointer(other)).filter(|v| !v.is_object()).cloned().collect();
    let value = object.pointer_mut(&place).expect("it was gathered");
    let done = change(value, &others, random);
    if let Some(done) = done {
        return format!("{place}: {done}");
    }
    let (parent, key) = place.rsplit_once('/').expect("a pointer");
    match object.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.shift_remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            items.remove(key.parse().expect("an index"));
        }
        _ => {}
    }
    format!("{place}: removed")
}

/// Changes a value in place; none: it is to be removed.
fn change(value: &mut Value, others: &[Value], random: &mut Random) -> Option<String> {
    let mut to = |made: Value| {
        *value = made;
        Some(format!("{value}"))
    };
    match random.below(10) {
        0 | 1 => return None,
        2 => {
            return to(random
                .of(&[json!("text"), json!(7), json!(true), json!({"a": "b"}), json!(["a"]), json!(null), json!(1.5)])
                .clone());
        }
        3 if !others.is_empty() => return to(random.of(others).clone()),
        _ => {}
    }
    match value {
        Value::Object(map) => {
            let name = random.of(&["unknown", "Name", "port", "type", "a/b", "name"]);
            map.insert((*name).to_owned(), random.of(&[json!("x"), json!(1), json!({})]).clone());
            Some(format!("with {name}"))
        }
        Value::Array(items) => {
            let many = random.of(&[1, 1, 2, 17, 70]);
            match (random.below(4), items.first().cloned()) {
                (0, _) | (_, None) => items.clear(),
                (1, Some(first)) => items.extend((0..*many).map(|number| numbered(&first, number))),
                (_, Some(first)) => items.push(first),
            }
            Some(format!("{} items", items.len()))
        }
        Value::String(text) => {
            let made = match random.below(8) {
                0 => "x".repeat(*random.of(&[64, 254, 300, 1025, 5000])),
                1 => format!("{text}."),
                2 => text.to_uppercase(),
                3 => format!("{text}-{text}"),
                _ => (*random.of(&TEXTS)).to_owned(),
            };
            *text = made;
            Some(format!("{value}"))
        }
        Value::Number(_) => {
            let made = *random.of(&[-1_i64, 0, 1, 99, 600, 65_535, 65_536, 2_147_483_648, 1_000_001]);
            *value = json!(made);
            Some(format!("{value}"))
        }
        Value::Bool(on) => {
            *value = json!(!*on);
            Some(format!("{value}"))
        }
        Value::Null => None,
    }
}

/// An item that differs from another by the texts and numbers in it.
fn numbered(item: &Value, number: usize) -> Value {
    match item {
        Value::String(text) => json!(format!("{text}{number}")),
        Value::Object(map) => {
            let mut made = map.clone();
            for key in ["name", "port"] {
                match made.get(key) {
                    Some(Value::String(text)) => made.insert(key.to_owned(), json!(format!("{text}{number}"))),
                    Some(Value::Number(old)) => {
                        made.insert(key.to_owned(), json!(old.as_u64().unwrap_or(1) + number as u64))
                    }
                    _ => None,
                };
            }
            Value::Object(made)
        }
        other => other.clone(),
    }
}

/// The pointers of a value and all below it.
fn gather(value: &Value, pointer: &str, places: &mut Vec<String>) {
    places.push(pointer.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, child)| {
            gather(child, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), places);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, child)| gather(child, &format!("{pointer}/{index}"), places));
        }
        _ => {}
    }
}
