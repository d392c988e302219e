//! A stand-in for what is in no registry: the Spin operator and a Gateway controller with their observable behaviour
//! (children, labels, status and its lag). It serves no traffic and runs no pod.
//!
//! Since it runs no pods, it publishes the endpoints of Services itself: those of a SpinApp are ready when its Deployment says
//! so, those of any other Service always.
//!
//! Annotations steer it: `test/reject: REASON` makes a Gateway be refused; an image that holds `bad` never starts, and one
//! whose environment holds `crash` crashes.

use crate::cluster::Cluster;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const GATEWAY: &str = "/apis/gateway.networking.k8s.io/v1";

/// The running controller; it stops when it is dropped.
pub struct StandIn {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts it; everything is answered `delay` after it was first seen in a generation.
    pub fn start(cluster: &Cluster, delay: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut controller = Controller {
            client: cluster.client(),
            handle: cluster.runtime().handle().clone(),
            delay,
            seen: HashMap::new(),
            made: HashMap::new(),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                controller.turn();
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Controller {
    client: kube::Client,
    handle: tokio::runtime::Handle,
    delay: Duration,
    /// When a generation of an object was first seen.
    seen: HashMap<String, Instant>,
    /// What was made of each app, by uid.
    made: HashMap<String, Value>,
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn condition(kind: &str, holds: bool, reason: &str, generation: i64) -> Value {
    json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": format!("{kind} by the stand-in"),
           "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation})
}

impl Controller {
    fn request(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Option<Value> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", content_type).body(body).ok()?;
        let answer = self.handle.block_on(self.client.request(request));
        // Objects come and go under the controller's feet; anything else is its own fault.
        if let Err(kube::Error::Api(status)) = &answer {
            assert!(matches!(status.code, 403 | 404 | 409), "{method} {path}: {status:?}");
        }
        answer.ok()
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.request("GET", path, "application/json", &Value::Null);
        answer.and_then(|a| a["items"].as_array().cloned()).unwrap_or_default()
    }

    fn status(&self, path: &str, status: &Value) {
        self.request(
            "PATCH",
            &format!("{path}/status?fieldManager=stand-in"),
            "application/merge-patch+json",
            &json!({"status": status}),
        );
    }

    fn apply(&self, path: &str, body: &Value) {
        self.request(
            "PATCH",
            &format!("{path}?fieldManager=spin-operator&force=true"),
            "application/apply-patch+yaml",
            body,
        );
    }

    /// Whether the delay has passed since this generation was first seen.
    fn is_due(&mut self, object: &Value) -> bool {
        let key = format!("{} {}", text(object, "/metadata/uid"), number(object, "/metadata/generation"));
        self.seen.entry(key).or_insert_with(Instant::now).elapsed() >= self.delay
    }

    fn turn(&mut self) {
        for class in self.list(&format!("{GATEWAY}/gatewayclasses")) {
            let generation = number(&class, "/metadata/generation");
            if self.is_due(&class) && number(&class, "/status/conditions/0/observedGeneration") != generation {
                let path = format!("{GATEWAY}/gatewayclasses/{}", text(&class, "/metadata/name"));
                self.status(&path, &json!({"conditions": [condition("Accepted", true, "Accepted", generation)]}));
            }
        }
        let gateways = self.list(&format!("{GATEWAY}/gateways"));
        for gateway in &gateways {
            self.gateway(gateway);
        }
        let services = self.list("/api/v1/services");
        for route in self.list(&format!("{GATEWAY}/httproutes")) {
            self.route(&route, &gateways, &services);
        }
        for app in self.list("/apis/core.spinkube.dev/v1alpha1/spinapps") {
            self.app(&app);
        }
        let deployments = self.list("/apis/apps/v1/deployments");
        for deployment in &deployments {
            self.deployment(deployment);
        }
        let slices = self.list(
            "/apis/discovery.k8s.io/v1/endpointslices?labelSelector=endpointslice.kubernetes.io/managed-by=stand-in",
        );
        for service in &services {
            self.endpoints(service, &deployments, &slices);
        }
    }

    fn gateway(&mut self, gateway: &Value) {
        let generation = number(gateway, "/metadata/generation");
        let conditions = gateway.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        if !self.is_due(gateway) || conditions.iter().any(|c| c["observedGeneration"] == generation) {
            return;
        }
        let reject = text(gateway, "/metadata/annotations/test~1reject");
        let (accepted, reason) = if reject.is_empty() { (true, "Accepted") } else { (false, reject) };
        let programmed = if accepted { "Programmed" } else { "Invalid" };
        let listeners: Vec<Value> = gateway["spec"]["listeners"].as_array().into_iter().flatten().map(|listener| {
            json!({"name": listener["name"], "attachedRoutes": 0, "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
                   "conditions": [condition("Accepted", true, "Accepted", generation), condition("Programmed", true, "Programmed", generation)]})
        }).collect();
        let path = format!(
            "{GATEWAY}/namespaces/{}/gateways/{}",
            text(gateway, "/metadata/namespace"),
            text(gateway, "/metadata/name")
        );
        let conditions = [
            condition("Accepted", accepted, reason, generation),
            condition("Programmed", accepted, programmed, generation),
        ];
        self.status(&path, &json!({"conditions": conditions, "listeners": listeners}));
    }

    fn route(&mut self, route: &Value, gateways: &[Value], services: &[Value]) {
        let (namespace, generation) =
            (text(route, "/metadata/namespace").to_owned(), number(route, "/metadata/generation"));
        if !self.is_due(route) {
            return;
        }
        let in_namespace = |reference: &Value| reference["namespace"].as_str().unwrap_or(&namespace).to_owned();
        let exists = |list: &[Value], reference: &Value| {
            list.iter()
                .find(|o| {
                    o["metadata"]["name"] == reference["name"]
                        && o["metadata"]["namespace"] == in_namespace(reference).as_str()
                })
                .cloned()
        };
        let rules = route["spec"]["rules"].as_array().cloned().unwrap_or_default();
        let backends: Vec<&Value> =
            rules.iter().flat_map(|r| r["backendRefs"].as_array().into_iter().flatten()).collect();
        let resolved = backends.iter().all(|b| exists(services, b).is_some());
        let parents: Vec<Value> = route["spec"]["parentRefs"].as_array().into_iter().flatten().filter_map(|parent| {
            let gateway = exists(gateways, parent)?;
            let listeners = gateway["spec"]["listeners"].as_array().cloned().unwrap_or_default();
            let matches = parent.get("sectionName").is_none_or(|section| listeners.iter().any(|l| l["name"] == *section));
            let refs = if resolved { "ResolvedRefs" } else { "BackendNotFound" };
            let accepted = if matches { "Accepted" } else { "NoMatchingParent" };
            Some(json!({"parentRef": parent, "controllerName": "stand-in.example/controller",
                        "conditions": [condition("Accepted", matches, accepted, generation), condition("ResolvedRefs", resolved, refs, generation)]}))
        }).collect();
        let status = json!({"parents": parents});
        if route["status"] != status {
            let path = format!("{GATEWAY}/namespaces/{namespace}/httproutes/{}", text(route, "/metadata/name"));
            self.status(&path, &status);
        }
    }

    /// The children that the operator makes, and the status that it copies from the Deployment of its previous look.
    fn app(&mut self, app: &Value) {
        let (namespace, name) = (text(app, "/metadata/namespace"), text(app, "/metadata/name"));
        if !self.is_due(app) || app["metadata"].get("deletionTimestamp").is_some() {
            return;
        }
        let owner = json!([{"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "name": name, "uid": app["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}]);
        let labels = json!({"core.spinkube.dev/app-name": name});
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        let before = self.request("GET", &path, "application/json", &Value::Null);
        let ready = format!("core.spinkube.dev/app.{name}.status");
        let pod_labels = json!({"core.spinkube.dev/app-name": name, &ready: "ready"});
        let mut spec = json!({"selector": {"matchLabels": pod_labels}, "template": {"metadata": {"labels": pod_labels}, "spec": pod_spec(app)}});
        for (from, to) in [("podLabels", "labels"), ("podAnnotations", "annotations")] {
            for (key, value) in app["spec"][from].as_object().into_iter().flatten() {
                spec["template"]["metadata"][to][key] = value.clone();
            }
        }
        if app["spec"]["enableAutoscaling"] != json!(true) {
            spec["replicas"] = app["spec"].get("replicas").cloned().unwrap_or(json!(1));
        }
        let image = before.as_ref().map(|d| d["spec"]["template"]["spec"]["containers"][0]["image"].clone());
        let replicas = before.as_ref().map(|d| d["spec"]["replicas"].clone());
        let metadata = json!({"name": name, "namespace": namespace, "labels": labels, "annotations": app["spec"].get("deploymentAnnotations").cloned().unwrap_or(json!({})), "ownerReferences": owner});
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
        let uid = text(app, "/metadata/uid").to_owned();
        if self.made.get(&uid) != Some(&body)
            || image.as_ref() != Some(&app["spec"]["image"])
            || (spec.get("replicas").is_some() && replicas.as_ref() != spec.get("replicas"))
        {
            self.apply(&path, &body);
            self.made.insert(uid, body);
        }
        let service = format!("/api/v1/namespaces/{namespace}/services/{name}");
        if self.request("GET", &service, "application/json", &Value::Null).is_none() {
            self.apply(
                &service,
                &json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owner},
                "spec": {"selector": {&ready: "ready"}, "ports": [{"port": 80, "targetPort": "http-app"}]}}),
            );
        }
        let status = match before
            .and_then(|d| d["status"].get("conditions").cloned().map(|c| (c, d["status"]["readyReplicas"].clone())))
        {
            Some((conditions, ready)) => {
                let conditions: Vec<Value> = conditions.as_array().into_iter().flatten().map(|c| {
                    json!({"type": c["type"], "status": c["status"], "reason": c["reason"], "message": c["message"].as_str().unwrap_or_default(), "lastTransitionTime": "2026-01-01T00:00:00Z"})
                }).collect();
                json!({"conditions": conditions, "readyReplicas": if ready.is_null() { json!(0) } else { ready }})
            }
            None => json!({"conditions": [], "readyReplicas": 0}),
        };
        if app["status"]["conditions"] != status["conditions"]
            || app["status"]["readyReplicas"] != status["readyReplicas"]
        {
            self.status(&format!("/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"), &status);
        }
    }

    /// The endpoints of a Service, of which the real endpoint controller makes none without pods.
    fn endpoints(&self, service: &Value, deployments: &[Value], slices: &[Value]) {
        let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
        let selector = service["spec"]["selector"].as_object().cloned().unwrap_or_default();
        if namespace == "default" && name == "kubernetes" || selector.is_empty() {
            return;
        }
        let app = selector.keys().find_map(|key| key.strip_prefix("core.spinkube.dev/app.")?.strip_suffix(".status"));
        let is = |object: &&Value, name: &str| {
            text(object, "/metadata/namespace") == namespace && text(object, "/metadata/name") == name
        };
        let ready = app.is_none_or(|app| {
            let deployment = deployments.iter().find(|deployment| is(deployment, app));
            deployment.is_some_and(|deployment| number(deployment, "/status/availableReplicas") > 0)
        });
        let slice = format!("{name}-stand-in");
        let known = slices.iter().find(|known| is(known, &slice));
        if known.is_some_and(|known| known["endpoints"][0]["conditions"]["ready"] == json!(ready)) {
            return;
        }
        let owner = json!([{"apiVersion": "v1", "kind": "Service", "name": name, "uid": service["metadata"]["uid"]}]);
        self.apply(
            &format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{slice}"),
            &json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": slice, "namespace": namespace, "ownerReferences": owner,
                "labels": {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "stand-in"}},
            "endpoints": [{"addresses": ["10.77.0.9"], "conditions": {"ready": ready}}],
            "ports": [{"name": "", "port": 80, "protocol": "TCP"}]}),
        );
    }

    /// What the Deployment controller and a kubelet would report.
    fn deployment(&mut self, deployment: &Value) {
        let generation = number(deployment, "/metadata/generation");
        let env = deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array);
        let crashes = env.into_iter().flatten().any(|variable| text(variable, "/value").contains("crash"));
        let bad = crashes || text(deployment, "/spec/template/spec/containers/0/image").contains("bad");
        if !self.is_due(deployment) || number(deployment, "/status/observedGeneration") == generation {
            return;
        }
        if crashes {
            self.crashing_pod(deployment);
        }
        let wanted = number(deployment, "/spec/replicas");
        let old = number(deployment, "/status/readyReplicas");
        let progress = if bad { "ReplicaSetUpdated" } else { "NewReplicaSetAvailable" };
        let (updated, ready) = if bad { (1, old) } else { (wanted, wanted) };
        let row = |kind: &str, holds: bool, reason: &str| json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"});
        let path = format!(
            "/apis/apps/v1/namespaces/{}/deployments/{}",
            text(deployment, "/metadata/namespace"),
            text(deployment, "/metadata/name")
        );
        self.status(&path, &json!({"observedGeneration": generation, "replicas": if bad { ready + updated } else { ready.max(updated) }, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
            "conditions": [row("Available", ready > 0, "MinimumReplicasAvailable"), row("Progressing", true, progress)]}));
    }

    /// A pod of a Deployment's template that crashes each time.
    fn crashing_pod(&self, deployment: &Value) {
        let (namespace, name) = (text(deployment, "/metadata/namespace"), text(deployment, "/metadata/name"));
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let name = format!("{name}-{}", number(deployment, "/metadata/generation"));
        let template = &deployment["spec"]["template"];
        let mut metadata = template["metadata"].clone();
        metadata["name"] = json!(name);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]});
        self.request("POST", &pods, "application/json", &pod);
        let waiting =
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
        self.status(&format!("{pods}/{name}"), &json!({"phase": "Running", "containerStatuses": [{"name": template["spec"]["containers"][0]["name"], "image": "i", "imageID": "", "ready": false, "restartCount": 2, "state": waiting}]}));
    }
}

/// The pods that the operator wants for an app.
fn pod_spec(app: &Value) -> Value {
    let spec = &app["spec"];
    let variables = spec["variables"].as_array().cloned().unwrap_or_default();
    let env: Vec<Value> = variables
        .iter()
        .map(|variable| {
            let mut entry = variable.clone();
            entry["name"] = json!(format!("SPIN_VARIABLE_{}", text(variable, "/name").to_uppercase()));
            entry
        })
        .collect();
    let mut container = json!({"name": app["metadata"]["name"], "image": spec["image"], "command": ["/"], "env": env, "ports": [{"name": "http-app", "containerPort": 80}]});
    for (check, probe) in [("readiness", "readinessProbe"), ("liveness", "livenessProbe")] {
        if let Some(wanted) = spec["checks"].get(check).filter(|wanted| wanted.get("httpGet").is_some()) {
            container[probe] = wanted.clone();
            container[probe]["httpGet"]["port"] = json!(80);
        }
    }
    for field in ["resources", "volumeMounts"] {
        if let Some(value) = spec.get(field) {
            container[field] = value.clone();
        }
    }
    let mut pod = json!({"containers": [container]});
    for field in ["imagePullSecrets", "serviceAccountName", "volumes"] {
        if let Some(value) = spec.get(field) {
            pod[field] = value.clone();
        }
    }
    pod
}
