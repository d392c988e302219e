//! A repository of any size: apps as teams write them, each a SpinApp, an HTTPRoute with rewrites and a ConfigMap.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Apps that share a namespace.
const APPS_PER_NAMESPACE: usize = 50;
/// Namespaces that a tenant owns.
const NAMESPACES_PER_TENANT: usize = 5;
/// Objects of the platform: GatewayClass, Gateway and its namespace.
const PLATFORM: usize = 3;

/// A generated repository.
pub struct Workload {
    dir: tempfile::TempDir,
    /// How many apps there are.
    pub apps: usize,
    seed: u64,
}

impl Workload {
    /// A repository of about so many objects.
    pub fn of(objects: usize, seed: u64) -> Self {
        let each = 3 * APPS_PER_NAMESPACE + 2;
        let apps = (objects.saturating_sub(PLATFORM) * APPS_PER_NAMESPACE / each).max(1);
        let workload = Self { dir: tempfile::tempdir().expect("a temporary folder"), apps, seed };
        workload.write_all();
        workload
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How many objects it holds.
    pub fn objects(&self) -> usize {
        3 * self.apps + 2 * self.namespaces() + PLATFORM
    }

    fn namespaces(&self) -> usize {
        self.apps.div_ceil(APPS_PER_NAMESPACE)
    }

    /// The namespace and name of an app.
    pub fn app(&self, index: usize) -> (String, String) {
        (format!("shop-{:03}", index / APPS_PER_NAMESPACE), format!("app-{index:05}"))
    }

    fn write_all(&self) {
        let tenants: String = (0..self.namespaces().div_ceil(NAMESPACES_PER_TENANT))
            .map(|tenant| format!("    - {{name: team-{tenant:02}, paths: [apps/team-{tenant:02}]}}\n"))
            .collect();
        self.write(
            "spinway.yaml",
            &format!(
                "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: bench}}\nspec:\n  sources: [platform, apps]\n  \
                 environments: [{{name: bench}}]\n  \
                 externals: [{{kind: RuntimeClass, name: wasmtime-spin-v2}}]\n  tenants:\n{tenants}"
            ),
        );
        self.write(
            "platform/gateway.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: infra}\n---\n\
             apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: bench}\nspec: {controllerName: example.com/bench}\n---\n\
             apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: infra}\nspec:\n  gatewayClassName: bench\n  \
             listeners:\n    - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}\n",
        );
        for namespace in 0..self.namespaces() {
            let team = namespace / NAMESPACES_PER_TENANT;
            self.write(
                &format!("apps/team-{team:02}/shop-{namespace:03}.yaml"),
                &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop-{namespace:03}}}\n---\n\
                     apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {{name: containerd-shim-spin, namespace: shop-{namespace:03}}}\n\
                     spec: {{createDeployment: true, deploymentConfig: {{runtimeClassName: wasmtime-spin-v2}}}}\n"),
            );
        }
        for index in 0..self.apps {
            self.write_app(index, 0);
        }
    }

    fn file(&self, index: usize) -> PathBuf {
        let namespace = index / APPS_PER_NAMESPACE;
        let team = namespace / NAMESPACES_PER_TENANT;
        self.dir.path().join(format!("apps/team-{team:02}/shop-{namespace:03}/app-{index:05}.yaml"))
    }

    /// Writes the file of an app; the revision is part of its image's tag.
    pub fn write_app(&self, index: usize, revision: u64) {
        let path = self.file(index);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, self.app_text(index, revision)).expect("the file can be written");
    }

    fn app_text(&self, index: usize, revision: u64) -> String {
        let (namespace, name) = self.app(index);
        // Any number that the seed and the index decide.
        let draw =
            (self.seed ^ index as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
                >> 33;
        let digest = format!("{draw:016x}").repeat(4);
        let mut text = String::new();
        let _ = write!(
            text,
            "apiVersion: core.spinkube.dev/v1alpha1
kind: SpinApp
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {name}
    app.kubernetes.io/part-of: shop
spec:
  image: ghcr.io/acme/{namespace}/{name}:1.{revision}.{minor}@sha256:{digest}
  replicas: {replicas}
  executor: containerd-shim-spin
  resources:
    requests: {{cpu: 50m, memory: 64Mi}}
    limits: {{memory: 128Mi}}
  variables:
    - name: log_level
      value: info
    - name: currency
      valueFrom: {{configMapKeyRef: {{name: {name}, key: currency}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {name}
spec:
  parentRefs:
    - {{name: public, namespace: infra, sectionName: http}}
  hostnames: [\"{namespace}.shop.example\"]
  rules:
    - matches:
        - path: {{type: PathPrefix, value: /{name}}}
      filters:
        - type: URLRewrite
          urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /}}}}
      backendRefs:
        - {{name: {name}, port: 80}}
    - matches:
        - path: {{type: PathPrefix, value: /v2/{name}}}
          headers:
            - {{name: x-version, value: \"2\"}}
      filters:
        - type: URLRewrite
          urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /v2}}}}
      backendRefs:
        - {{name: {name}, port: 80, weight: {weight}}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {name}
data:
  currency: EUR
  limit: \"{limit}\"
  greeting: |
    Welcome to {name}.
    Orders before noon leave the same day.
",
            minor = draw % 40,
            replicas = 1 + draw % 3,
            weight = 1 + draw % 9,
            limit = draw % 1000,
        );
        text
    }

    /// The same manifests, one object a file, or all in one file, in a folder without Config.
    pub fn plain(&self, one_file: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut all = String::new();
        for index in 0..self.apps {
            let text = self.app_text(index, 0);
            if one_file {
                all.push_str("---\n");
                all.push_str(&text);
                continue;
            }
            for (part, document) in text.split("---\n").enumerate() {
                fs::write(dir.path().join(format!("app-{index:05}-{part}.yaml")), document)
                    .expect("the file can be written");
            }
        }
        if one_file {
            fs::write(dir.path().join("all.yaml"), all).expect("the file can be written");
        }
        dir
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }
}
