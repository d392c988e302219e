//! A fake kubelet of one node: binds pods, runs a real HTTP server for each, reports and ends them as a kubelet does.
//!
//! It differs from a real one in that a container is a server in this process, probes are not sent but known (a container
//! is up or not), a crash takes half a second, and back-offs are shorter (at most 4 s).

use super::api::{Api, MERGE, Seen, now, text};
use super::backend::Backend;
use super::images::{Fault, Images};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub const NODE: &str = "n1";
const LONGEST_BACK_OFF: Duration = Duration::from_secs(4);

/// How pods of a namespace begin and end.
#[derive(Clone, Copy, Debug)]
pub struct Pods {
    /// How long a container needs until it is up.
    pub start: Duration,
    /// How long a pod goes on serving after it was deleted: zero without a preStop hook.
    pub end: Duration,
}

impl Default for Pods {
    fn default() -> Self {
        Self { start: Duration::from_secs(1), end: Duration::ZERO }
    }
}

/// The kubelet.
#[derive(Clone)]
pub struct Kubelet {
    api: Api,
    pub images: Images,
    namespaces: Arc<Mutex<HashMap<String, Pods>>>,
    addresses: Arc<AtomicU32>,
}

impl Kubelet {
    /// Starts it. It registers its node.
    pub async fn start(api: Api) -> Self {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"podCIDR": "10.77.0.0/16"}});
        api.apply(&format!("/api/v1/nodes/{NODE}"), "kubelet", &node).await.expect("the node");
        let kubelet = Self { api, images: Images::default(), namespaces: Arc::default(), addresses: Arc::default() };
        tokio::spawn(kubelet.clone().run());
        kubelet
    }

    /// Sets how pods of a namespace begin and end.
    pub fn set(&self, namespace: &str, pods: Pods) {
        self.namespaces.lock().expect("a lock").insert(namespace.to_owned(), pods);
    }

    async fn run(self) {
        let mut pods = self.api.follow("/api/v1/pods");
        let mut running: HashMap<String, watch::Sender<bool>> = HashMap::new();
        while let Some(seen) = pods.recv().await {
            let (pod, gone) = match seen {
                Seen::Is(pod) => (pod, false),
                Seen::Gone(pod) => (pod, true),
            };
            let uid = text(&pod, "/metadata/uid").to_owned();
            let ending = gone || pod["metadata"].get("deletionTimestamp").is_some();
            if !running.contains_key(&uid) && !gone {
                let (sender, receiver) = watch::channel(false);
                running.insert(uid.clone(), sender);
                tokio::spawn(self.pod(pod).live(receiver));
            }
            if let Some(sender) = running.get(&uid).filter(|_| ending) {
                sender.send_replace(true);
            }
            if gone {
                running.remove(&uid);
            }
        }
    }

    fn pod(&self, object: Value) -> Pod {
        let of = self.namespaces.lock().expect("a lock").get(text(&object, "/metadata/namespace")).copied();
        // Addresses are not used twice, so that whoever still asks an old one meets nobody.
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        let octet = |n: u32| u8::try_from(n).expect("fewer pods than addresses");
        let address = Ipv4Addr::new(10, 77, octet(16 + number / 250), octet(1 + number % 250));
        Pod {
            api: self.api.clone(),
            images: self.images.clone(),
            pods: of.unwrap_or_default(),
            address,
            path: format!(
                "/api/v1/namespaces/{}/pods/{}",
                text(&object, "/metadata/namespace"),
                text(&object, "/metadata/name")
            ),
            object,
            restarts: 0,
        }
    }
}

/// One pod, of one container.
struct Pod {
    api: Api,
    images: Images,
    pods: Pods,
    address: Ipv4Addr,
    path: String,
    object: Value,
    restarts: u32,
}

impl Pod {
    async fn live(mut self, mut ending: watch::Receiver<bool>) {
        let mut backend = None;
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => {}
            () = self.run(&mut backend) => {}
        }
        if backend.is_some() {
            tokio::time::sleep(self.pods.end).await;
        }
        drop(backend);
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0,
                             "preconditions": {"uid": self.object["metadata"]["uid"]}});
        // Gone already, when someone forced it.
        let _ = self.api.send("DELETE", &self.path, super::api::JSON, &options).await;
    }

    /// Runs it until it is to end; does not return.
    async fn run(&mut self, backend: &mut Option<Backend>) {
        self.bind().await;
        self.pull().await;
        self.configure().await;
        self.crash().await;
        self.start(backend).await;
        std::future::pending::<()>().await;
    }

    async fn bind(&self) {
        if text(&self.object, "/spec/nodeName").is_empty() {
            let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": text(&self.object, "/metadata/name")},
                                 "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}});
            let _ = self.api.send("POST", &format!("{}/binding", self.path), super::api::JSON, &binding).await;
        }
    }

    fn container(&self) -> &Value {
        &self.object["spec"]["containers"][0]
    }

    fn image(&self) -> String {
        text(self.container(), "/image").to_owned()
    }

    fn fault(&self) -> Option<Fault> {
        self.images.fault(text(self.container(), "/image"))
    }

    async fn pull(&self) {
        self.waits("ContainerCreating", "").await;
        let mut back_off = Duration::from_secs(1);
        loop {
            match self.fault() {
                Some(Fault::Bad) => {
                    self.waits("ErrImagePull", "rpc error: code = NotFound desc = not found").await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    self.waits("ImagePullBackOff", "Back-off pulling image").await;
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(LONGEST_BACK_OFF);
                }
                Some(Fault::Slow(time)) => return tokio::time::sleep(time).await,
                _ => return,
            }
        }
    }

    /// Waits for the Secrets that its variables come from.
    async fn configure(&self) {
        let references = self.container()["env"].as_array().cloned().unwrap_or_default();
        for reference in references.iter().filter_map(|variable| variable.pointer("/valueFrom/secretKeyRef")) {
            if reference["optional"] == true {
                continue;
            }
            let (name, key) = (text(reference, "/name"), text(reference, "/key"));
            let path = format!("/api/v1/namespaces/{}/secrets/{name}", text(&self.object, "/metadata/namespace"));
            while self.api.get(&path).await.is_none_or(|secret| secret["data"].get(key).is_none()) {
                self.waits("CreateContainerConfigError", &format!("secret \"{name}\" not found")).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Restarts for as long as the image crashes.
    async fn crash(&mut self) {
        let mut back_off = Duration::from_millis(500);
        while self.fault() == Some(Fault::Crash) {
            self.report("Running", false, &json!({"running": {"startedAt": now()}})).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let ended = json!({"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()});
            self.report("Running", false, &json!({"terminated": ended})).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.restarts += 1;
            let message = "back-off restarting failed container";
            self.report("Running", false, &json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}}))
                .await;
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(LONGEST_BACK_OFF);
        }
    }

    /// Starts the server; the pod is ready when its probe would have succeeded.
    async fn start(&self, backend: &mut Option<Backend>) {
        let began = Instant::now();
        let port = self.container()["ports"][0]["containerPort"].as_u64().unwrap_or(80);
        let address = SocketAddr::new(IpAddr::V4(self.address), u16::try_from(port).expect("a port"));
        let started = Backend::start(address, self.image(), text(&self.object, "/metadata/name").to_owned()).await;
        let server = backend.insert(started.unwrap_or_else(|error| panic!("{address}: {error}")));
        let running = json!({"running": {"startedAt": now()}});
        let probe = self.container()["readinessProbe"].clone();
        if probe.is_null() {
            // Ready as soon as its container runs, so that one must run late.
            tokio::time::sleep(self.pods.start).await;
            while self.fault() == Some(Fault::Never) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            server.set_up();
        } else {
            self.report("Running", false, &running).await;
            let seconds = |field: &str, default: u64| Duration::from_secs(probe[field].as_u64().unwrap_or(default));
            tokio::time::sleep(seconds("initialDelaySeconds", 0)).await;
            // The first probe comes at once and the next after a period, as the kubelet does it while a pod starts.
            while began.elapsed() < self.pods.start || self.fault() == Some(Fault::Never) {
                let left = self.pods.start.saturating_sub(began.elapsed());
                let period = seconds("periodSeconds", 10);
                tokio::time::sleep(if left.is_zero() { period } else { left.min(period) }).await;
            }
            server.set_up();
        }
        self.report("Running", true, &running).await;
    }

    async fn waits(&self, reason: &str, message: &str) {
        self.report("Pending", false, &json!({"waiting": {"reason": reason, "message": message}})).await;
    }

    async fn report(&self, phase: &str, ready: bool, state: &Value) {
        let time = now();
        let conditions: Vec<Value> = [("PodScheduled", true), ("Initialized", true), ("ContainersReady", ready), ("Ready", ready)]
            .iter()
            .map(|(kind, holds)| json!({"type": kind, "status": if *holds { "True" } else { "False" }, "lastTransitionTime": time}))
            .collect();
        let address = self.address.to_string();
        let container = json!({"name": text(self.container(), "/name"), "image": self.image(), "imageID": "", "ready": ready,
            "started": state.get("running").is_some(), "restartCount": self.restarts, "state": state});
        let status = json!({"phase": phase, "podIP": address, "podIPs": [{"ip": address}], "hostIP": "10.77.0.1", "hostIPs": [{"ip": "10.77.0.1"}],
            "startTime": text(&self.object, "/metadata/creationTimestamp"), "conditions": conditions, "containerStatuses": [container]});
        // A pod may be gone by now.
        let _ = self.api.send("PATCH", &format!("{}/status", self.path), MERGE, &json!({"status": status})).await;
    }
}
