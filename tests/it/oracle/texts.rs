//! Random texts of twelve kinds, random changes of them, and what others do to live objects.

use crate::cluster::Cluster;
use serde_json::{Map, Value, json};

/// Numbers that a seed decides (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below another.
    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

const QUANTITIES: [&str; 14] =
    ["500m", "0.5", "1", "1000m", "1Gi", "1024Mi", "1073741824", "0.5Gi", "2", "100m", "1e3", "1k", "1000", "+1"];

/// A random text of a random kind, and the path of its object.
pub fn text(number: usize, random: &mut Random) -> (String, Value) {
    let name = format!("o{number}");
    let (group, version, plural, kind, mut body) = match number % 12 {
        0 => ("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", http_route(random)),
        1 => ("gateway.networking.k8s.io", "v1", "gateways", "Gateway", gateway(random)),
        2 => ("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute", grpc_route(random)),
        3 => ("core.spinkube.dev", "v1alpha1", "spinapps", "SpinApp", spin_app(random)),
        4 => ("core.spinkube.dev", "v1alpha1", "spinappexecutors", "SpinAppExecutor", executor(random)),
        5 => ("apps", "v1", "deployments", "Deployment", deployment(random)),
        6 => ("", "v1", "services", "Service", service(random)),
        7 => ("", "v1", "configmaps", "ConfigMap", config_map(random)),
        8 => ("", "v1", "secrets", "Secret", secret(random)),
        9 => ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", autoscaler(random)),
        10 => ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", network_policy(random)),
        _ => ("rbac.authorization.k8s.io", "v1", "roles", "Role", role(random)),
    };
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let root = if group.is_empty() { "api" } else { "apis" };
    let mut metadata = json!({"name": name, "namespace": "default"});
    if random.chance(60) {
        metadata["labels"] = json!({"app.kubernetes.io/name": name, "team": random.of(&["a", "b"])});
    }
    if random.chance(30) {
        metadata["annotations"] = json!({"example.com/note": "x y", "quote\"d.example/k": "v"});
    }
    let mut made = Map::new();
    made.insert("apiVersion".to_owned(), json!(api_version));
    made.insert("kind".to_owned(), json!(kind));
    made.insert("metadata".to_owned(), metadata);
    made.append(body.as_object_mut().expect("a map"));
    (format!("/{root}/{api_version}/namespaces/default/{plural}/{name}"), Value::Object(made))
}

fn maybe(random: &mut Random, percent: usize, body: &mut Value, pointer: &str, value: Value) {
    if random.chance(percent) {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        if let Some(map) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
            map.insert(key.to_owned(), value);
        }
    }
}

fn backend(random: &mut Random) -> Value {
    let weight = 1 + random.below(5);
    let mut backend = json!({"name": random.of(&["cart", "pay"]), "port": 80});
    maybe(random, 40, &mut backend, "/weight", json!(weight));
    backend
}

fn http_route(random: &mut Random) -> Value {
    let rules: Vec<Value> = (0..1 + random.below(3))
        .map(|n| {
            let mut rule = json!({"backendRefs": [backend(random)]});
            maybe(random, 80, &mut rule, "/matches", json!([{"path": {"type": "PathPrefix", "value": format!("/p{n}")}}]));
            maybe(random, 20, &mut rule, "/matches", json!([{"path": {"value": "/x"}, "headers": [{"name": "x-v", "value": "2"}]}]));
            maybe(random, 40, &mut rule, "/filters", json!([{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}]));
            maybe(random, 30, &mut rule, "/timeouts", json!({"request": "5s"}));
            maybe(random, 30, &mut rule, "/name", json!(format!("rule-{n}")));
            rule
        })
        .collect();
    let mut body = json!({"spec": {"parentRefs": [{"name": "public"}]}});
    maybe(random, 90, &mut body, "/spec/rules", json!(rules));
    maybe(random, 60, &mut body, "/spec/hostnames", json!(["a.example", "b.example"]));
    maybe(
        random,
        30,
        &mut body,
        "/spec/parentRefs",
        json!([{"name": "public", "sectionName": "http"}, {"name": "other", "namespace": "infra", "port": 80}]),
    );
    body
}

fn grpc_route(random: &mut Random) -> Value {
    let mut body = json!({"spec": {"parentRefs": [{"name": "public"}], "rules": [{"backendRefs": [backend(random)]}]}});
    let method = json!([{"method": {"service": "shop.Cart", "method": "Add"}}]);
    maybe(random, 80, &mut body, "/spec/rules/0/matches", method);
    maybe(random, 50, &mut body, "/spec/hostnames", json!(["grpc.example"]));
    body
}

fn gateway(random: &mut Random) -> Value {
    let mut listeners = vec![json!({"name": "http", "port": 80, "protocol": "HTTP"})];
    if random.chance(60) {
        listeners.push(json!({"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.shop.example", "tls": {"certificateRefs": [{"name": "cert"}]}, "allowedRoutes": {"namespaces": {"from": "All"}}}));
    }
    if random.chance(30) {
        listeners.push(json!({"name": "alt", "port": 8080, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}}));
    }
    let mut body = json!({"spec": {"gatewayClassName": "bench", "listeners": listeners}});
    maybe(random, 30, &mut body, "/spec/infrastructure", json!({"labels": {"tier": "edge"}}));
    body
}

fn spin_app(random: &mut Random) -> Value {
    let mut body = json!({"spec": {"image": "ghcr.io/acme/cart:1", "executor": "containerd-shim-spin", "replicas": 2}});
    let cpu = *random.of(&QUANTITIES);
    maybe(
        random,
        50,
        &mut body,
        "/spec/resources",
        json!({"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"memory": "128Mi"}}),
    );
    maybe(
        random,
        50,
        &mut body,
        "/spec/variables",
        json!([{"name": "level", "value": "info"}, {"name": "key", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
    );
    maybe(
        random,
        40,
        &mut body,
        "/spec/checks",
        json!({"readiness": {"httpGet": {"path": "/ready"}, "initialDelaySeconds": 3}}),
    );
    maybe(random, 30, &mut body, "/spec/podLabels", json!({"team": "a", "tier": "web"}));
    maybe(random, 30, &mut body, "/spec/serviceAnnotations", json!({"a.b/c": "d"}));
    body
}

fn executor(random: &mut Random) -> Value {
    let mut body = json!({"spec": {"createDeployment": true, "deploymentConfig": {"runtimeClassName": "wasmtime-spin-v2", "installDefaultCACerts": true}}});
    maybe(random, 30, &mut body, "/spec/deploymentConfig/caCertSecret", json!("ca"));
    if random.chance(30) {
        body = json!({"spec": {"createDeployment": false}});
    }
    body
}

fn deployment(random: &mut Random) -> Value {
    let mut container = json!({"name": "web", "image": "nginx:1.25", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]});
    let (cpu, memory) = (*random.of(&QUANTITIES), *random.of(&["1Gi", "1024Mi", "1.5Gi", "64M"]));
    maybe(random, 60, &mut container, "/resources", json!({"requests": {"cpu": cpu, "memory": memory}}));
    maybe(random, 50, &mut container, "/ports", json!([{"containerPort": 80, "name": "http"}, {"containerPort": 443}]));
    maybe(
        random,
        40,
        &mut container,
        "/readinessProbe",
        json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5}),
    );
    maybe(random, 30, &mut container, "/args", json!(["--a", "--b"]));
    maybe(random, 20, &mut container, "/volumeMounts", json!([{"name": "tmp", "mountPath": "/tmp"}]));
    let mut body = json!({"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}]}}}});
    maybe(random, 60, &mut body, "/spec/replicas", json!(2));
    maybe(random, 30, &mut body, "/spec/template/spec/nodeSelector", json!({"a": "b"}));
    maybe(random, 30, &mut body, "/spec/template/spec/tolerations", json!([{"key": "wasm", "operator": "Exists"}]));
    maybe(
        random,
        30,
        &mut body,
        "/spec/template/spec/topologySpreadConstraints",
        json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}]),
    );
    maybe(random, 20, &mut body, "/spec/minReadySeconds", json!(0));
    maybe(random, 20, &mut body, "/spec/template/spec/securityContext", json!({}));
    body
}

fn service(random: &mut Random) -> Value {
    let mut body =
        json!({"spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}});
    maybe(
        random,
        50,
        &mut body,
        "/spec/ports",
        json!([{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "https", "port": 443, "targetPort": 8443}]),
    );
    maybe(random, 30, &mut body, "/spec/type", json!("ClusterIP"));
    maybe(random, 20, &mut body, "/spec/externalIPs", json!([]));
    maybe(random, 20, &mut body, "/spec/sessionAffinity", json!("None"));
    maybe(random, 20, &mut body, "/spec/publishNotReadyAddresses", json!(false));
    body
}

fn config_map(random: &mut Random) -> Value {
    let mut body = json!({"data": {"a": "1", "b.txt": "line\nline\n", "c": ""}});
    maybe(random, 20, &mut body, "/binaryData", json!({"x": "AAEC"}));
    maybe(random, 15, &mut body, "/data/d", Value::Null);
    if random.chance(8) {
        body = json!({"data": {}});
    }
    body
}

fn secret(random: &mut Random) -> Value {
    let mut body = json!({"type": "Opaque", "data": {"k": "dg=="}});
    maybe(random, 50, &mut body, "/stringData", json!({"user": "u", "password": "p"}));
    maybe(random, 15, &mut body, "/data/n", Value::Null);
    maybe(random, 15, &mut body, "/data/l", json!("QUFB\nQUFB\n"));
    body
}

fn autoscaler(random: &mut Random) -> Value {
    let mut body = json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 5}});
    maybe(random, 50, &mut body, "/spec/minReplicas", json!(2));
    maybe(
        random,
        60,
        &mut body,
        "/spec/metrics",
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]),
    );
    let amount = *random.of(&QUANTITIES);
    let memory = json!({"name": "memory", "target": {"type": "AverageValue", "averageValue": amount}});
    maybe(random, 30, &mut body, "/spec/metrics", json!([{"type": "Resource", "resource": memory}]));
    maybe(
        random,
        30,
        &mut body,
        "/spec/behavior",
        json!({"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}),
    );
    body
}

fn network_policy(random: &mut Random) -> Value {
    let mut body = json!({"spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}});
    maybe(random, 50, &mut body, "/spec/ingress", json!([{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]));
    maybe(random, 30, &mut body, "/spec/ingress", json!([]));
    maybe(
        random,
        30,
        &mut body,
        "/spec/egress",
        json!([{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"protocol": "UDP", "port": 53}]}]),
    );
    maybe(random, 20, &mut body, "/spec/podSelector", json!({}));
    maybe(random, 20, &mut body, "/spec/ingress", json!([{}]));
    body
}

fn role(random: &mut Random) -> Value {
    let mut body = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]});
    maybe(
        random,
        40,
        &mut body,
        "/rules",
        json!([{"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"], "verbs": ["get"]}, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]),
    );
    maybe(random, 10, &mut body, "/rules", json!([]));
    body
}

/// The places of a text that a change may touch: below `spec`, `data` and the like, labels and annotations.
fn places(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, child) in value.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for map in ["labels", "annotations"] {
                    if let Some(entries) = child.get(map) {
                        collect(entries, &format!("/metadata/{map}"), &mut found);
                    }
                }
            }
            name => collect(child, &format!("/{name}"), &mut found),
        }
    }
    found.retain(|p| !p.contains("applyset.kubernetes.io") && !p.contains("spinway.dev~1applied"));
    found
}

fn collect(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| collect(v, &format!("{pointer}/{}", escape(k)), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| collect(v, &format!("{pointer}/{i}"), found)),
        _ => {}
    }
}

/// Another value of the same type; what the API server refuses is drawn again.
fn other(value: &Value, random: &mut Random) -> Value {
    match value {
        Value::Bool(b) => json!(!b),
        Value::Number(n) => json!(n.as_i64().unwrap_or(1) + 1 + random.below(3) as i64),
        Value::String(text) if QUANTITIES.contains(&text.as_str()) || text.ends_with("Mi") || text.ends_with("Gi") => {
            json!(random.of(&QUANTITIES))
        }
        Value::String(text) => match text.as_str() {
            "PathPrefix" => json!("Exact"),
            "ClusterIP" => json!("NodePort"),
            "TCP" => json!("UDP"),
            "All" => json!("Same"),
            "dg==" => json!("dzI="),
            "Exists" => json!("Equal"),
            _ if random.chance(10) => json!(""),
            text => json!(format!("{text}x")),
        },
        Value::Array(items) if items.len() > 1 && random.chance(60) => {
            let mut items = items.clone();
            let at = random.below(items.len() - 1);
            items.swap(at, at + 1);
            Value::Array(items)
        }
        Value::Array(items) if !items.is_empty() => {
            let mut items = items.clone();
            if random.chance(50) {
                items.pop();
            } else {
                let last = items[items.len() - 1].clone();
                items.push(varied(&last, random));
            }
            Value::Array(items)
        }
        Value::Object(map) => {
            let mut map = map.clone();
            if map.values().all(Value::is_string) {
                map.insert("extra".to_owned(), json!("1"));
            }
            Value::Object(map)
        }
        other => other.clone(),
    }
}

/// An item of a list with other keys.
fn varied(value: &Value, random: &mut Random) -> Value {
    match value {
        Value::Object(map) => {
            let keys = ["name", "port", "containerPort", "mountPath", "key"];
            let map = map
                .iter()
                .map(|(k, v)| (k.clone(), if keys.contains(&k.as_str()) { other(v, random) } else { v.clone() }));
            Value::Object(map.collect())
        }
        scalar => other(scalar, random),
    }
}

/// A change of a text as a person makes it.
pub fn mutate(text: &Value, random: &mut Random) -> Value {
    let mut text = text.clone();
    for _ in 0..1 + random.below(2) {
        let places = places(&text);
        if places.is_empty() {
            return text;
        }
        let pointer = random.of(&places).clone();
        match random.below(10) {
            0..=5 => {
                let Some(value) = text.pointer_mut(&pointer) else { continue };
                *value = other(value, random);
            }
            6 | 7 => remove(&mut text, &pointer),
            8 => {
                // A default that is written out.
                let defaults = [
                    ("/spec/ports/0", "protocol", json!("TCP")),
                    ("/spec", "replicas", json!(1)),
                    ("/spec/rules/0/backendRefs/0", "weight", json!(1)),
                    ("/spec/template/spec", "restartPolicy", json!("Always")),
                    ("/spec/parentRefs/0", "kind", json!("Gateway")),
                ];
                let (parent, key, value) = random.of(&defaults).clone();
                if let Some(map) = text.pointer_mut(parent).and_then(Value::as_object_mut) {
                    map.insert(key.to_owned(), value);
                }
            }
            _ => {
                let map = random.of(&["labels", "annotations"]);
                if !text["metadata"][map].is_object() {
                    text["metadata"][map] = json!({});
                }
                text["metadata"][map]["new.example/key"] = json!("v");
            }
        }
    }
    text
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.shift_remove(&key);
        }
        Some(Value::Array(items)) => {
            if let Some(at) = key.parse::<usize>().ok().filter(|at| *at < items.len()) {
                items.remove(at);
            }
        }
        _ => {}
    }
}

/// What someone else does to a live object; what the API server refuses has not happened.
pub fn edit_live(cluster: &Cluster, path: &str, live: &Value, random: &mut Random) {
    let places = places(live);
    if places.is_empty() {
        return;
    }
    let pointer = random.of(&places).clone();
    let old = live.pointer(&pointer).cloned().unwrap_or_default();
    let json_patch = "application/json-patch+json";
    let manager = random.of(&["kubectl-edit", "kubectl-patch", "controller"]);
    let update = format!("{path}?fieldManager={manager}");
    let changed = other(&old, random);
    let done = match random.below(10) {
        0..=3 => cluster.try_send(
            "PATCH",
            &update,
            json_patch,
            &json!([{"op": "replace", "path": pointer, "value": changed}]),
        ),
        4 => cluster.try_send("PATCH", &update, json_patch, &json!([{"op": "remove", "path": pointer}])),
        5 => {
            // There and back.
            let there = json!([{"op": "replace", "path": pointer, "value": changed}]);
            let back = json!([{"op": "replace", "path": pointer, "value": old}]);
            cluster
                .try_send("PATCH", &update, json_patch, &there)
                .and_then(|_| cluster.try_send("PATCH", &update, json_patch, &back))
        }
        6 => cluster.try_send(
            "PATCH",
            &update,
            "application/merge-patch+json",
            &json!({"metadata": {"labels": {"foreign": "1"}, "annotations": {"foreign.example/a": "1"}}}),
        ),
        7 | 8 => {
            let value = if random.chance(50) { changed } else { old };
            let force = random.chance(70);
            let body = part(live, &pointer, value);
            cluster.try_send(
                "PATCH",
                &format!("{path}?fieldManager=rival&force={force}"),
                "application/apply-patch+yaml",
                &body,
            )
        }
        _ => cluster.try_send(
            "PATCH",
            &format!("{path}/scale?fieldManager=kubectl"),
            "application/merge-patch+json",
            &json!({"spec": {"replicas": 4}}),
        ),
    };
    // Refused edits leave the object as it was.
    let _ = done;
}

/// A text that declares one part of an object: down to the first list, which is taken whole.
fn part(live: &Value, pointer: &str, value: Value) -> Value {
    let mut body = json!({"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {"name": live["metadata"]["name"], "namespace": live["metadata"]["namespace"]}});
    let mut whole = live.clone();
    if let Some(place) = whole.pointer_mut(pointer) {
        *place = value;
    }
    let keys: Vec<String> = pointer.split('/').skip(1).map(|k| k.replace("~1", "/").replace("~0", "~")).collect();
    let (mut from, mut to) = (&whole, &mut body);
    for (depth, key) in keys.iter().enumerate() {
        let Some(next) = from.get(key) else { return body };
        let last = depth + 1 == keys.len() || next.is_array();
        let Some(map) = to.as_object_mut() else { return body };
        let entry = map.entry(key.clone()).or_insert_with(|| json!({}));
        if last {
            *entry = next.clone();
            return body;
        }
        (from, to) = (next, entry);
    }
    body
}
