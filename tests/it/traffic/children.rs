//! The objects that the Spin operator makes of a SpinApp.

use super::api::{now, text};
use base64::Engine as _;
use serde_json::{Value, json};

fn owner(app: &Value, controller: bool) -> Value {
    json!([{"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "name": app["metadata"]["name"], "uid": app["metadata"]["uid"],
            "controller": controller, "blockOwnerDeletion": controller}])
}

fn status_label(name: &str) -> String {
    format!("core.spinkube.dev/app.{name}.status")
}

/// The Secret with the runtime configuration; its name changes with its contents.
pub fn secret(app: &Value) -> Value {
    let (namespace, name) = (text(app, "/metadata/namespace"), text(app, "/metadata/name"));
    let stores = |field: &str, table: &str| -> String {
        let all = app["spec"]["runtimeConfig"][field].as_array().into_iter().flatten();
        all.map(|store| format!("[{table}.{}]\ntype = \"{}\"\n", text(store, "/name"), text(store, "/type"))).collect()
    };
    let toml = format!(
        "[[config_provider]]\nprefix = \"SPIN_VARIABLE\"\ntype = \"env\"\n{}{}",
        stores("keyValueStores", "key_value_store"),
        stores("sqliteDatabases", "sqlite_database")
    );
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{name}-{:08x}", adler32(toml.as_bytes())), "namespace": namespace,
           "ownerReferences": owner(app, false)}, "data": {"runtime-config.toml": base64::engine::general_purpose::STANDARD.encode(&toml)}})
}

fn adler32(bytes: &[u8]) -> u32 {
    let step = |(a, b): (u32, u32), byte: &u8| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (a + b) % 65521)
    };
    let (a, b) = bytes.iter().fold((1, 0), step);
    (b << 16) | a
}

/// The Deployment.
pub fn deployment(app: &Value, secret: &str) -> Value {
    let (namespace, name, spec) = (text(app, "/metadata/namespace"), text(app, "/metadata/name"), &app["spec"]);
    let selector = json!({"core.spinkube.dev/app-name": name, status_label(name): "ready"});
    let mut labels = spec["podLabels"].clone();
    if labels.is_null() {
        labels = json!({});
    }
    for (key, value) in selector.as_object().into_iter().flatten() {
        labels[key] = value.clone();
    }
    let mut template = json!({"metadata": {"labels": labels}, "spec": pod(app, secret)});
    let mut metadata = json!({"name": name, "namespace": namespace, "labels": {"core.spinkube.dev/app-name": name}, "ownerReferences": owner(app, true)});
    for (from, into) in [("podAnnotations", &mut template["metadata"]), ("deploymentAnnotations", &mut metadata)] {
        if spec[from].is_object() {
            into["annotations"] = spec[from].clone();
        }
    }
    let mut made = json!({"selector": {"matchLabels": selector}, "template": template});
    if spec["enableAutoscaling"] != true {
        made["replicas"] = spec.get("replicas").cloned().unwrap_or(json!(1));
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": made})
}

fn pod(app: &Value, secret: &str) -> Value {
    let spec = &app["spec"];
    let list = |field: &str| spec[field].as_array().cloned().unwrap_or_default();
    let mut env: Vec<Value> = list("variables").iter().map(variable).collect();
    env.push(json!({"name": "SPIN_HTTP_LISTEN_ADDR", "value": "0.0.0.0:80"}));
    if spec["components"].is_array() {
        let names: Vec<String> = list("components").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        env.push(json!({"name": "SPIN_COMPONENTS_TO_RETAIN", "value": names.join(",")}));
    }
    let mut mounts = vec![
        json!({"name": "spin-runtime-config", "mountPath": "/runtime-config.toml", "subPath": "runtime-config.toml", "readOnly": true}),
    ];
    mounts.extend(list("volumeMounts"));
    let mut volumes = vec![json!({"name": "spin-runtime-config", "secret": {"secretName": secret, "optional": true}})];
    volumes.extend(list("volumes"));
    let mut container = json!({"name": text(app, "/metadata/name"), "image": spec["image"], "command": ["/"], "env": env, "volumeMounts": mounts,
        "ports": [{"name": "http-app", "containerPort": 80, "protocol": "TCP"}]});
    for (from, into) in [("readiness", "readinessProbe"), ("liveness", "livenessProbe")] {
        if let Some(probe) = spec.pointer(&format!("/checks/{from}")).filter(|probe| probe.is_object()) {
            container[into] = with_port(probe.clone());
        }
    }
    if spec["resources"].is_object() {
        container["resources"] = spec["resources"].clone();
    }
    let mut pod = json!({"containers": [container], "volumes": volumes});
    if !list("imagePullSecrets").is_empty() {
        pod["imagePullSecrets"] = json!(list("imagePullSecrets"));
    }
    if spec["serviceAccountName"].is_string() {
        pod["serviceAccountName"] = spec["serviceAccountName"].clone();
    }
    pod
}

/// The operator hands variables to the app in its environment.
fn variable(variable: &Value) -> Value {
    let mut made = json!({"name": format!("SPIN_VARIABLE_{}", text(variable, "/name").to_uppercase())});
    for field in ["value", "valueFrom"] {
        if let Some(value) = variable.get(field) {
            made[field] = value.clone();
        }
    }
    made
}

fn with_port(mut probe: Value) -> Value {
    probe["httpGet"]["port"] = json!(80);
    probe
}

/// The Service.
pub fn service(app: &Value) -> Value {
    let (namespace, name) = (text(app, "/metadata/namespace"), text(app, "/metadata/name"));
    let mut metadata = json!({"name": name, "namespace": namespace, "labels": {"core.spinkube.dev/app-name": name}, "ownerReferences": owner(app, true)});
    if app["spec"]["serviceAnnotations"].is_object() {
        metadata["annotations"] = app["spec"]["serviceAnnotations"].clone();
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
           "spec": {"type": "ClusterIP", "selector": {status_label(name): "ready"}, "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http-app"}]}})
}

/// The Event about a SpinApp whose executor is not there.
pub fn missing_executor(app: &Value) -> Value {
    let namespace = text(app, "/metadata/namespace");
    json!({"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "missing-executor-", "namespace": namespace}, "type": "Warning", "reason": "MissingExecutor",
           "message": "Could not find executor", "firstTimestamp": now(), "lastTimestamp": now(), "count": 1, "source": {"component": "spinapp-reconciler"},
           "involvedObject": {"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "namespace": namespace, "name": app["metadata"]["name"], "uid": app["metadata"]["uid"]}})
}
