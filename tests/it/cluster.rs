//! One cluster for all tests of the process: each test takes it for itself, reset to how it was when new.

use crate::control_plane::{ControlPlane, gateway_api_crds, kubeconfig, tests_dir};
use crate::etcd::{Etcd, Row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// What the control plane itself keeps writing, and what only says that something happened.
const VOLATILE: [&str; 7] =
    ["leases/", "masterleases/", "events/", "services/endpoints/", "endpointslices/", "ranges/", "peerserverleases/"];

static SHARED: OnceLock<Mutex<Shared>> = OnceLock::new();

struct Shared {
    plane: ControlPlane,
    base: BTreeMap<String, Row>,
}

/// The cluster, held by one test.
pub struct Cluster {
    shared: MutexGuard<'static, Shared>,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    audit_start: usize,
}

impl Audited {
    /// Whether it is about an object that a repository wants, of those whose tests have no ConfigMaps: neither an inventory
    /// nor the Lease.
    pub fn is_of_the_repository(&self) -> bool {
        !self.object.starts_with("configmaps ") && !self.object.starts_with("leases ")
    }

    pub fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=All")
    }
}

/// One request from the audit log.
#[derive(Clone, Debug)]
pub struct Audited {
    pub verb: String,
    pub user_agent: String,
    /// `RESOURCE NAMESPACE/NAME`.
    pub object: String,
    pub code: u64,
    /// Whom it was sent as, when it was not sent as its own user.
    pub acting_as: String,
    pub uri: String,
    pub body: Value,
}

impl Cluster {
    /// Takes the cluster: Gateway API and SpinKube kinds are installed, nothing else is there.
    pub fn take() -> Self {
        let shared = SHARED.get_or_init(|| Mutex::new(Shared::start()));
        let shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let client = runtime.block_on(client(&shared.plane));
        let mut cluster = Self { shared, runtime, client, audit_start: 0 };
        cluster.again();
        cluster
    }

    /// Makes the cluster as new again.
    pub fn again(&mut self) {
        self.shared.reset();
        self.mark();
    }

    /// Takes the cluster without any custom resource definition.
    pub fn take_empty() -> Self {
        let mut cluster = Self::take();
        cluster.shared.remove_crds();
        let served =
            || cluster.get("/apis").is_some_and(|groups| groups.to_string().contains("gateway.networking.k8s.io"));
        cluster.shared.plane.wait("custom resource definitions to go", || !served());
        cluster.audit_start = fs::read(cluster.shared.plane.dir.join("audit.log")).map_or(0, |log| log.len());
        cluster
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// The folder of the control plane's files; its processes name it in their command lines.
    pub fn folder(&self) -> &Path {
        &self.shared.plane.dir
    }

    /// A kubeconfig for another identity: the token is also the user's name.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        let path = self.shared.plane.dir.join(format!("kubeconfig-{user}"));
        fs::write(&path, kubeconfig(&self.shared.plane.dir, self.shared.plane.apiserver, user))
            .expect("the folder can be written");
        path
    }

    /// Installs the agent of a repository as an administrator would, with exactly the permissions that `spinway install`
    /// prints; gives a kubeconfig with a token of its ServiceAccount.
    pub fn install(&self, repository: &Path, more: &[&str]) -> PathBuf {
        let dir = repository.to_str().expect("a path");
        let mut arguments = vec!["install", dir, "--url", "https://git.example/shop.git"];
        arguments.extend(more);
        let printed = self.spinway(&arguments);
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let text = String::from_utf8(printed.stdout).expect("a text");
        let (documents, _) = spinway::desired::yaml::read(&std::sync::Arc::from("install"), &text);
        let mut account = (String::new(), String::new());
        for document in documents {
            let object = document.value;
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (namespace, name, kind) = (text("/metadata/namespace"), text("/metadata/name"), text("/kind"));
            if kind == "ServiceAccount" {
                account = (namespace.clone(), name.clone());
            }
            let root = if text("/apiVersion").contains('/') { "apis" } else { "api" };
            let within = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
            let lower = kind.to_lowercase();
            let plural = lower.strip_suffix('y').map_or_else(|| format!("{lower}s"), |stem| format!("{stem}ies"));
            let path = format!("/{root}/{}{within}/{plural}/{name}", text("/apiVersion"));
            self.apply_as(&path, "administrator", &object);
        }
        self.kubeconfig_of_account(&account.0, &account.1)
    }

    /// A kubeconfig with a token of a ServiceAccount.
    pub fn kubeconfig_of_account(&self, namespace: &str, name: &str) -> PathBuf {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}});
        let answer = self.send("POST", &path, "application/json", &request);
        let file = self.shared.plane.dir.join(format!("kubeconfig-{name}"));
        let token = answer["status"]["token"].as_str().expect("a token");
        fs::write(&file, kubeconfig(&self.shared.plane.dir, self.shared.plane.apiserver, token)).expect("a file");
        file
    }

    /// All requests of agents since the mark.
    pub fn by_agents(&self) -> Vec<String> {
        let all = self.audit_of("system:serviceaccount:spinway-system:");
        all.into_iter().map(|request| format!("{} {}", request.verb, request.uri)).collect()
    }

    /// What was forbidden to the agents since the mark.
    pub fn forbidden(&self) -> Vec<String> {
        let all = self.audit_of("system:serviceaccount:spinway-system:");
        all.into_iter().filter(|request| request.code == 403).map(|r| format!("{} {}", r.verb, r.uri)).collect()
    }

    /// The API server's certificate, in base64: a certificate authority that is well formed.
    pub fn authority(&self) -> String {
        use base64::Engine as _;
        let pem = fs::read(self.shared.plane.dir.join("certs/apiserver.crt")).expect("a certificate");
        base64::engine::general_purpose::STANDARD.encode(pem)
    }

    /// Makes a SpinApp of namespace `default` healthy, as its operator and a kubelet would.
    pub fn stand_for_operator(&self, name: &str) {
        let Some(app) = self.get(&format!("/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps/{name}"))
        else {
            return;
        };
        let labels = serde_json::json!({"core.spinkube.dev/app-name": name});
        let path = format!("/apis/apps/v1/namespaces/default/deployments/{name}");
        self.apply_as(&path, "spin-operator", &serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [{"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "name": name, "uid": app["metadata"]["uid"], "controller": true}]},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": app["spec"]["image"]}]}}}}));
        let status = serde_json::json!({"status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}});
        self.send("PATCH", &format!("{path}/status"), "application/merge-patch+json", &status);
    }

    /// Waits for a condition, or ends the test with the API server's log.
    pub fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        self.shared.plane.wait(what, holds);
    }

    /// The program kubectl.
    pub fn kubectl(&self) -> PathBuf {
        self.shared.plane.kubectl.clone()
    }

    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The body of a GET; none unless it succeeds.
    pub fn get(&self, path: &str) -> Option<Value> {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        self.runtime.block_on(self.client.request(request)).ok()
    }

    /// Sends any request; the answer must be a success.
    pub fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Value {
        self.try_send(method, path, content_type, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub fn try_send(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Result<Value, kube::Error> {
        let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.runtime.block_on(self.client.request(request.body(body).expect("a request")))
    }

    /// A merge patch by a manager of that name (an Update).
    pub fn edit(&self, path: &str, manager: &str, patch: &Value) -> Value {
        self.send("PATCH", &format!("{path}?fieldManager={manager}"), "application/merge-patch+json", patch)
    }

    /// A server-side apply by another manager.
    pub fn apply_as(&self, path: &str, manager: &str, body: &Value) -> Value {
        self.send("PATCH", &format!("{path}?fieldManager={manager}&force=true"), "application/apply-patch+yaml", body)
    }

    /// Runs the binary against the cluster.
    pub fn spinway(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("spinway runs")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null());
        command
    }

    /// The requests since the test took the cluster that are no reads, by spinway.
    pub fn audit(&self) -> Vec<Audited> {
        let read = |request: &Audited| matches!(request.verb.as_str(), "get" | "list" | "watch");
        self.audit_of("").into_iter().filter(|a| a.user_agent.starts_with("spinway") && !read(a)).collect()
    }

    /// All audited requests by users whose names begin so.
    fn audit_of(&self, user: &str) -> Vec<Audited> {
        let log = fs::read(self.shared.plane.dir.join("audit.log")).unwrap_or_default();
        let lines = String::from_utf8_lossy(&log[self.audit_start..]).into_owned();
        let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let named = |event: &Value| event["user"]["username"].as_str().is_some_and(|name| name.starts_with(user));
        let all = events.filter(named).map(|event| {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let uri = text("/requestURI");
            Audited {
                verb: text("/verb"),
                user_agent: text("/userAgent"),
                object: format!(
                    "{} {}/{}",
                    text("/objectRef/resource"),
                    text("/objectRef/namespace"),
                    text("/objectRef/name")
                ),
                code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
                acting_as: text("/impersonatedUser/username"),
                uri,
                body: event.get("requestObject").cloned().unwrap_or_default(),
            }
        });
        all.collect()
    }

    /// Forgets the audit log so far.
    pub fn mark(&mut self) {
        self.audit_start = fs::read(self.shared.plane.dir.join("audit.log")).map_or(0, |log| log.len());
    }

    /// The real writes by spinway since the mark, Events apart.
    pub fn writes(&self) -> Vec<Audited> {
        let counts = |a: &Audited| !a.is_dry_run() && a.code < 300 && !a.object.starts_with("events ");
        self.audit().into_iter().filter(counts).collect()
    }
}

/// Installs the kinds of the Gateway API and of SpinKube.
pub fn install_crds(runtime: &tokio::runtime::Runtime, client: &kube::Client) {
    let mut crds: Vec<PathBuf> =
        fs::read_dir(gateway_api_crds()).expect("the CRDs are there").flatten().map(|e| e.path()).collect();
    crds.push(tests_dir().join("crds/spinkube.yaml"));
    crds.sort();
    for path in crds.iter().filter(|p| !p.ends_with("gateway.networking.k8s.io_vap_safeupgrades.yaml")) {
        let text = fs::read_to_string(path).expect("a CRD file");
        let (documents, _) = spinway::desired::yaml::read(&std::sync::Arc::from("crd"), &text);
        for document in documents {
            let name = document.value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let request = http::Request::patch(format!(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=tests"
            ))
            .header("content-type", "application/apply-patch+yaml")
            .body(document.value.to_string().into_bytes());
            let answer = runtime.block_on(client.request::<Value>(request.expect("a request")));
            answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// A client of the administrator.
pub async fn client(plane: &ControlPlane) -> kube::Client {
    let config = kube::config::Kubeconfig::read_from(plane.dir.join("kubeconfig")).expect("the kubeconfig is readable");
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await.expect("the kubeconfig is usable");
    kube::Client::try_from(config).expect("a client")
}

impl Shared {
    fn start() -> Self {
        let plane = ControlPlane::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        plane.wait("the API server's certificate", || plane.dir.join("certs/apiserver.crt").exists());
        let client = runtime.block_on(async { client(&plane).await });
        let get = |path: &str| {
            let request = http::Request::get(path).body(Vec::new()).expect("a request");
            runtime.block_on(client.request_text(request)).is_ok()
        };
        plane.wait("the API server to be ready", || get("/readyz"));
        plane.wait("the namespace default", || get("/api/v1/namespaces/default"));
        install_crds(&runtime, &client);
        let shared = Self { base: BTreeMap::new(), plane };
        shared.wait_for_crds(&runtime, &client);
        let etcd = Etcd { port: shared.plane.etcd };
        Self { base: etcd.all(false), ..shared }
    }

    fn wait_for_crds(&self, runtime: &tokio::runtime::Runtime, client: &kube::Client) {
        let served = |path: &str| {
            let request = http::Request::get(path).body(Vec::new()).expect("a request");
            runtime.block_on(client.request_text(request)).is_ok()
        };
        for path in [
            "gateway.networking.k8s.io/v1/httproutes",
            "gateway.networking.k8s.io/v1/gatewayclasses",
            "core.spinkube.dev/v1alpha1/spinapps",
        ] {
            self.plane.wait(path, || served(&format!("/apis/{path}")));
        }
    }

    /// Deletes what is not in the base and restores what was changed or deleted of it, in etcd: the API server's caches
    /// follow within milliseconds, where deleting namespaces would take seconds.
    fn reset(&mut self) {
        let etcd = Etcd { port: self.plane.etcd };
        let now = etcd.all(true);
        let stays = |key: &str| {
            let path = decode(key);
            let ours = path.starts_with("/registry/leases/spinway-");
            !ours && VOLATILE.iter().any(|v| path.starts_with(&format!("/registry/{v}")))
                || path.starts_with("/registry/apiregistration.k8s.io/")
        };
        for key in now.keys().filter(|key| !self.base.contains_key(*key) && !stays(key)) {
            etcd.delete(key);
        }
        let mut restored = false;
        for (key, row) in self.base.iter().filter(|(key, _)| !stays(key)) {
            if now.get(key).is_none_or(|found| found.revision != row.revision) {
                etcd.put(key, &row.value);
                restored = true;
            }
        }
        if restored {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let client = runtime.block_on(client(&self.plane));
            self.wait_for_crds(&runtime, &client);
            let now = etcd.all(true);
            for (key, row) in &mut self.base {
                if let Some(found) = now.get(key) {
                    row.revision.clone_from(&found.revision);
                }
            }
        }
    }

    fn remove_crds(&mut self) {
        let etcd = Etcd { port: self.plane.etcd };
        for key in self.base.keys().filter(|key| decode(key).starts_with("/registry/apiextensions.k8s.io/")) {
            etcd.delete(key);
        }
    }
}

fn decode(key: &str) -> String {
    use base64::Engine as _;
    String::from_utf8_lossy(&base64::engine::general_purpose::STANDARD.decode(key).unwrap_or_default()).into_owned()
}
