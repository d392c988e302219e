//! A repository of any size, as a careful platform team keeps it: tenants with every kind of rule and an account of their
//! own, network policies, quotas; apps as teams write them, as Apps and as plain manifests.

use std::fs;
use std::path::{Path, PathBuf};

/// Apps that share a namespace.
const APPS_PER_NAMESPACE: usize = 25;
/// Namespaces that a tenant owns.
const NAMESPACES_PER_TENANT: usize = 2;
/// Of so many apps one is written as an App; the others are plain manifests.
const ONE_APP_OF: usize = 3;
/// Objects of the platform: GatewayClass, Gateway and its namespace.
const PLATFORM: usize = 3;
/// Objects of a tenant beside its namespaces: its account.
const EACH_TENANT: usize = 1;
/// Objects of a namespace: itself, its executor, quota, limits, two policies, and the rights of the tenant's account.
const EACH_NAMESPACE: usize = 8;
/// Objects of an app in plain manifests: SpinApp, HTTPRoute, ConfigMap.
const EACH_PLAIN: usize = 3;
/// Objects of an App: SpinApp, Service, two HTTPRoutes, NetworkPolicy, HorizontalPodAutoscaler, and the ConfigMap beside it.
const EACH_APP: usize = 7;

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
        let each = (1..).take_while(|apps| count(*apps) <= objects).last().unwrap_or(1);
        let workload = Self { dir: tempfile::tempdir().expect("a temporary folder"), apps: each, seed };
        workload.write_all();
        workload
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How many objects it holds.
    pub fn objects(&self) -> usize {
        count(self.apps)
    }

    /// How many objects its plain manifests of all apps are.
    pub fn plain_objects(&self) -> usize {
        EACH_PLAIN * self.apps
    }

    fn namespaces(&self) -> usize {
        self.apps.div_ceil(APPS_PER_NAMESPACE)
    }

    /// The namespace and name of an app.
    pub fn app(&self, index: usize) -> (String, String) {
        (namespace(index / APPS_PER_NAMESPACE), format!("app-{index:05}"))
    }

    /// So many apps in plain manifests, spread over all; fewer where there are not so many.
    pub fn plain_apps(&self, wanted: usize) -> Vec<usize> {
        let all: Vec<usize> = (0..self.apps).filter(|index| !is_app(*index)).collect();
        let step = (all.len() / wanted.max(1)).max(1);
        all.into_iter().step_by(step).take(wanted).collect()
    }

    fn write_all(&self) {
        let tenants: String = (0..self.namespaces().div_ceil(NAMESPACES_PER_TENANT)).map(|t| self.tenant(t)).collect();
        self.write("spinway.yaml", &format!("{CONFIG}{tenants}"));
        self.write("platform/gateway.yaml", GATEWAY);
        for index in 0..self.namespaces() {
            let team = index / NAMESPACES_PER_TENANT;
            let of_namespace = NAMESPACE.replace("NAMESPACE", &namespace(index)).replace("TEAM", &team_name(team));
            let of_namespace = of_namespace.replace("HOME", &namespace(team * NAMESPACES_PER_TENANT));
            self.write(&format!("platform/{}.yaml", namespace(index)), &of_namespace);
            if index % NAMESPACES_PER_TENANT == 0 {
                let account = format!(
                    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: deployer, namespace: {}}}\n",
                    namespace(index)
                );
                self.write(&format!("platform/{}.yaml", team_name(team)), &account);
            }
        }
        for index in 0..self.apps {
            self.write_app(index, 0);
        }
    }

    /// The entry of a tenant, with every kind of rule.
    fn tenant(&self, tenant: usize) -> String {
        let of_tenant = tenant * NAMESPACES_PER_TENANT..(tenant + 1) * NAMESPACES_PER_TENANT;
        let namespaces: Vec<String> = of_tenant.filter(|index| *index < self.namespaces()).map(namespace).collect();
        let hosts: Vec<String> = namespaces.iter().map(|name| format!("\"{name}.${{domain}}\"")).collect();
        let prefixes: Vec<String> = namespaces.iter().map(|name| format!("/{name}")).collect();
        let images: Vec<String> = namespaces.iter().map(|name| format!("\"ghcr.io/acme/{name}/*\"")).collect();
        format!(
            "    - name: {team}
      paths: [apps/{team}]
      owners: [{team}]
      namespaces: [{namespaces}]
      kinds: [SpinApp, HTTPRoute, Service, ConfigMap, NetworkPolicy, HorizontalPodAutoscaler]
      gateways: [infra/public/http]
      hostnames: [\"${{domain}}\"]
      ownHostnames: [{hosts}]
      pathPrefixes: [{prefixes}]
      images: [{images}]
      egress: [\"https://api.payments.example\", 10.20.0.0/16]
      podServiceAccounts: [worker]
      serviceAccount: {home}/deployer
",
            team = team_name(tenant),
            home = namespaces[0],
            namespaces = namespaces.join(", "),
            hosts = hosts.join(", "),
            prefixes = prefixes.join(", "),
            images = images.join(", "),
        )
    }

    fn file(&self, index: usize) -> PathBuf {
        let of = index / APPS_PER_NAMESPACE;
        let team = team_name(of / NAMESPACES_PER_TENANT);
        self.dir.path().join(format!("apps/{team}/{}/app-{index:05}.yaml", namespace(of)))
    }

    /// Writes the file of an app; the revision is part of its image's tag.
    pub fn write_app(&self, index: usize, revision: u64) {
        let path = self.file(index);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, self.text(index, revision)).expect("the file can be written");
    }

    /// Any number that the seed and the index decide.
    fn draw(&self, index: usize) -> u64 {
        (self.seed ^ index as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33
    }

    fn text(&self, index: usize, revision: u64) -> String {
        if is_app(index) { self.app_text(index, revision) } else { self.plain_text(index, revision) }
    }

    fn app_text(&self, index: usize, revision: u64) -> String {
        let (namespace, name) = self.app(index);
        let draw = self.draw(index);
        let digest = format!("{draw:016x}").repeat(4);
        format!(
            "apiVersion: spinway.dev/v1alpha1
kind: App
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  image: ghcr.io/acme/{namespace}/{name}:1.{revision}.{minor}@sha256:{digest}
  resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{memory: 128Mi}}}}
  variables: {{log_level: info, currency: {{configMap: {{name: {name}, key: currency}}}}}}
  egress: [\"https://api.payments.example\"]
  autoscale: {{min: {min}, max: 10, cpu: 60}}
  rollout: {{settle: 1s}}
  routes:
    - {{name: shared, gateway: infra/public, section: http, hosts: [\"${{domain}}\"], path: /{namespace}/{name}}}
    - {{name: own, gateway: infra/public, section: http, hosts: [\"{namespace}.${{domain}}\"], path: /{name}}}
---
{map}",
            minor = draw % 40,
            min = 1 + draw % 3,
            map = config_map(&namespace, &name, draw),
        )
    }

    fn plain_text(&self, index: usize, revision: u64) -> String {
        let (namespace, name) = self.app(index);
        let draw = self.draw(index);
        let digest = format!("{draw:016x}").repeat(4);
        format!(
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
  checks:
    readiness: {{httpGet: {{path: /.well-known/spin/health}}}}
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
{map}",
            minor = draw % 40,
            replicas = 1 + draw % 3,
            weight = 1 + draw % 9,
            map = config_map(&namespace, &name, draw),
        )
    }

    /// The plain manifests, one object a file, or all in one file, in a folder without Config.
    pub fn plain(&self, one_file: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut all = String::new();
        for index in 0..self.apps {
            let text = self.plain_text(index, 0);
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

/// How many objects a repository of so many apps holds.
fn count(apps: usize) -> usize {
    let namespaces = apps.div_ceil(APPS_PER_NAMESPACE);
    let written_as_app = apps.div_ceil(ONE_APP_OF);
    PLATFORM
        + namespaces.div_ceil(NAMESPACES_PER_TENANT) * EACH_TENANT
        + namespaces * EACH_NAMESPACE
        + written_as_app * EACH_APP
        + (apps - written_as_app) * EACH_PLAIN
}

/// Whether it is written as an App.
fn is_app(index: usize) -> bool {
    index.is_multiple_of(ONE_APP_OF)
}

fn namespace(index: usize) -> String {
    format!("shop-{index:03}")
}

fn team_name(tenant: usize) -> String {
    format!("team-{tenant:02}")
}

fn config_map(namespace: &str, name: &str, draw: u64) -> String {
    format!(
        "apiVersion: v1
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
        limit = draw % 1000,
    )
}

const CONFIG: &str = "apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: bench}
spec:
  sources: [platform, apps]
  environments: [{name: bench, values: {domain: shop.example}}]
  controllers: [{gatewayClass: bench, release: envoy-gateway@1.9}]
  externals: [{kind: RuntimeClass, name: wasmtime-spin-v2}]
  conflicts: {rules: [{kind: Deployment, path: spec.replicas, action: yield}]}
  ignore: [{kind: HorizontalPodAutoscaler, path: metadata.annotations.autoscaling}]
  defaults: {healthChecks: {readiness: {path: /.well-known/spin/health}}}
  tenants:
";

const GATEWAY: &str = "apiVersion: v1
kind: Namespace
metadata: {name: infra}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: bench}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec:
  gatewayClassName: bench
  listeners:
    - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {exposed: \"true\"}}}}}
";

/// What the platform keeps in each namespace.
const NAMESPACE: &str = "apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {exposed: \"true\", team: TEAM, pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: containerd-shim-spin, namespace: NAMESPACE}
spec: {createDeployment: true, deploymentConfig: {runtimeClassName: wasmtime-spin-v2}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: pods, namespace: NAMESPACE}
spec: {hard: {pods: \"500\"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: defaults, namespace: NAMESPACE}
spec: {limits: [{type: Container, defaultRequest: {cpu: 50m}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: from-the-gateway, namespace: NAMESPACE}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: infra}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: egress, namespace: NAMESPACE}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.20.0.0/16}}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: NAMESPACE}
rules:
  - {apiGroups: [\"\"], resources: [configmaps, services], verbs: [create, patch, delete]}
  - {apiGroups: [core.spinkube.dev], resources: [spinapps], verbs: [create, patch, delete]}
  - {apiGroups: [gateway.networking.k8s.io], resources: [httproutes], verbs: [create, patch, delete]}
  - {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [create, patch, delete]}
  - {apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [create, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: ServiceAccount, name: deployer, namespace: HOME}]
";
