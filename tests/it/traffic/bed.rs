//! The traffic bed: a real control plane, a fake kubelet with real servers, the stand-in operator, and real Traefik.

use super::api::Api;
use super::kubelet::{Kubelet, Pods};
use super::load::{Load, Target, served};
use super::traefik::{CONTROLLER, Lane, Traefik};
use super::{churn, operator};
use crate::cluster::{client, install_crds};
use crate::control_plane::{ControlPlane, Options, Supervised, manager};
use crate::proxy::{Proxy, Strike};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// All controllers, but for those that find a node dead whose kubelet sends no heartbeat.
const CONTROLLERS: &str = "*,-node-lifecycle-controller,-taint-eviction-controller,-cloud-node-lifecycle-controller";

/// Milliseconds that writes are held up, one after another.
const HELD_UP: [u64; 7] = [600, 50, 900, 200, 50, 400, 100];

/// The bed. It ends when it is dropped, or with the namespace.
pub struct Bed {
    // Before the control plane: they end first.
    lanes: Mutex<BTreeMap<Lane, Traefik>>,
    _manager: Supervised,
    pub plane: ControlPlane,
    pub runtime: tokio::runtime::Runtime,
    pub api: Api,
    pub kubelet: Kubelet,
    slow: Proxy,
    _folder: tempfile::TempDir,
}

impl Bed {
    /// Starts it, inside the namespace.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("plane");
        let plane = ControlPlane::start_with(Options { dir, advertise: Some("10.77.0.1"), controllers: None });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().expect("a runtime");
        plane.wait("the API server's certificate", || plane.dir.join("certs/apiserver.crt").exists());
        let client = runtime.block_on(client(&plane));
        let api = Api { client: client.clone() };
        let answers = |path: &str| {
            let request = http::Request::get(path).body(Vec::new()).expect("a request");
            runtime.block_on(client.request_text(request)).is_ok()
        };
        plane.wait("the API server to be ready", || answers("/readyz"));
        plane.wait("the namespace default", || answers("/api/v1/namespaces/default"));
        install_crds(&runtime, &client);
        for path in ["gateway.networking.k8s.io/v1/httproutes", "core.spinkube.dev/v1alpha1/spinapps"] {
            plane.wait(path, || answers(&format!("/apis/{path}")));
        }
        // After the definitions: the garbage collector looks for new kinds only twice a minute.
        let mut process = manager(&plane.dir, CONTROLLERS);
        let argv = process["argv"].as_array_mut().expect("its arguments");
        argv.extend([json!("--kube-api-qps=200"), json!("--kube-api-burst=400")]);
        let managers = folder.path().join("manager");
        std::fs::create_dir_all(&managers).expect("the temporary folder can be written");
        let manager = Supervised::start(&managers, &json!([process]));
        let kubelet = runtime.block_on(Kubelet::start(api.clone()));
        let guard = runtime.enter();
        operator::start(api.clone());
        drop(guard);
        let slow = Proxy::before(client, runtime.handle(), hold_up(), |_| {});
        Self { lanes: Mutex::default(), _manager: manager, plane, runtime, api, kubelet, slow, _folder: folder }
    }

    /// The address of a lane's Traefik, which is started when nobody has asked for it yet.
    pub fn door(&self, lane: Lane) -> SocketAddr {
        let mut lanes = self.lanes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lanes.entry(lane).or_insert_with(|| {
            let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
                "metadata": {"name": lane.class(), "labels": {"lane": lane.class()}}, "spec": {"controllerName": CONTROLLER}});
            let path = format!("/apis/gateway.networking.k8s.io/v1/gatewayclasses/{}", lane.class());
            self.runtime.block_on(self.api.apply(&path, "bed", &class)).expect("the GatewayClass");
            let dir = self._folder.path().join(lane.class());
            let authority = self.plane.dir.join("certs/apiserver.crt");
            let traefik = Traefik::start(lane, &dir, self.plane.apiserver, &authority);
            if lane.churn {
                self.runtime.block_on(churn::start(self.api.clone(), lane));
            }
            traefik
        });
        lane.door()
    }

    /// Sets how pods of a namespace begin and end.
    pub fn pods(&self, namespace: &str, pods: Pods) {
        self.kubelet.set(namespace, pods);
    }

    /// Starts requests to a lane's Traefik.
    pub fn load(&self, lane: Lane, targets: Vec<Target>) -> Load {
        Load::start(self.runtime.handle(), self.door(lane), targets)
    }

    /// Waits until every target is served, or tells what was wrong last.
    pub fn served(&self, lane: Lane, targets: &[Target], patience: Duration) -> Result<(), String> {
        served(self.runtime.handle(), self.door(lane), targets, patience)
    }

    /// The body of a GET; none unless it succeeds.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.runtime.block_on(self.api.get(path))
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.dir.join("kubeconfig")
    }

    /// A kubeconfig through a proxy that holds writes up, as admission webhooks do: their order becomes visible.
    pub fn slow_kubeconfig(&self) -> PathBuf {
        let file = self._folder.path().join("slow-kubeconfig");
        std::fs::write(&file, self.slow.kubeconfig()).expect("the temporary folder can be written");
        file
    }

    /// A proxy before the bed's API server; `before` may harm a request, `after` hears the number of each answer.
    pub fn proxy(
        &self,
        before: impl Fn(&http::request::Parts) -> Strike + Send + Sync + 'static,
        after: impl Fn(usize) + Send + Sync + 'static,
    ) -> Proxy {
        Proxy::before(self.api.client.clone(), self.runtime.handle(), before, after)
    }

    /// The binary against the bed's cluster.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
        command.args(arguments).env("KUBECONFIG", self.kubeconfig()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the binary against the bed's cluster.
    pub fn spinway(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("spinway runs")
    }

    /// kubectl against the bed's cluster.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.plane.kubectl);
        command.args(arguments).env("KUBECONFIG", self.kubeconfig()).stdin(Stdio::null());
        command
    }

    /// Runs kubectl against the bed's cluster.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_command(arguments).output().expect("kubectl runs")
    }
}

/// Holds each write up for another time.
fn hold_up() -> impl Fn(&http::request::Parts) -> Strike + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |head| {
        let writes = matches!(head.method.as_str(), "PATCH" | "POST" | "PUT" | "DELETE");
        if !writes || head.uri.query().is_some_and(|query| query.contains("dryRun")) {
            return Strike::Pass;
        }
        let number = count.fetch_add(1, Ordering::Relaxed);
        Strike::Hang(Duration::from_millis(HELD_UP[number % HELD_UP.len()]))
    }
}
