//! What `spinway check` costs: a repository of Apps of many teams, held against every rule, without a cluster.

use crate::measure::{self, Cost, median};
use spinway::ops::{Given, Place};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// How many Apps there are.
pub const APPS: usize = 1000;
/// How many teams share them.
pub const TENANTS: usize = 40;

/// A row of the table.
pub struct Row {
    /// What was checked.
    pub name: &'static str,
    /// What it cost.
    pub cost: Cost,
    /// How many objects the Apps expand to, in all environments.
    pub objects: usize,
}

/// Measures the check of one environment and of two.
pub fn run(runs: usize) -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_all(dir.path());
    let of = |name, environment: Option<&str>, environments: usize| {
        let place = Place::Directory { directory: dir.path().to_owned(), revision: None };
        let (_, desired) = Given { place, environment: Some("production".to_owned()) }.read().expect("it can be read");
        assert!(desired.objects.len() > 3 * APPS, "the Apps are expanded");
        let cost = median((0..runs).map(|_| check(dir.path(), environment)).collect());
        eprintln!("  {name}: {:.2} s, {:.2} s CPU, {:.0} MiB", cost.wall, cost.cpu, cost.peak);
        Row { name, cost, objects: environments * desired.objects.len() }
    };
    vec![
        of("check 1,000 Apps, one environment", Some("production"), 1),
        of("check 1,000 Apps, two environments", None, 2),
    ]
}

fn check(dir: &Path, environment: Option<&str>) -> Cost {
    let folder = dir.display().to_string();
    let mut arguments = vec!["check", &folder];
    arguments.extend(environment.into_iter().flat_map(|name| ["--env", name]));
    let cost = measure::run(dir, Path::new(env!("CARGO_BIN_EXE_spinway")), &arguments, &[]);
    assert_eq!(cost.code, 0, "nothing is wrong with it: {}", cost.output);
    cost
}

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
    fs::write(path, text).expect("the file can be written");
}

fn team(tenant: usize) -> String {
    format!("team-{tenant:02}")
}

/// A repository in which every rule has something to look at, and none finds worse than notes.
fn write_all(dir: &Path) {
    write(dir, "spinway.yaml", &config());
    write(dir, "platform/gateway.yaml", GATEWAY);
    for tenant in 0..TENANTS {
        let team = team(tenant);
        let text = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {team}, labels: {{exposed: \"true\"}}}}\n---\n\
             apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {{name: containerd-shim-spin, namespace: {team}}}\n\
             spec: {{createDeployment: true, deploymentConfig: {{runtimeClassName: wasmtime-spin-v2}}}}\n"
        );
        write(dir, &format!("platform/{team}.yaml"), &text);
    }
    for index in 0..APPS {
        let team = team(index % TENANTS);
        write(dir, &format!("apps/{team}/app-{index:04}.yaml"), &app(&team, index));
    }
}

const GATEWAY: &str = "apiVersion: v1
kind: Namespace
metadata: {name: infra}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: envoy}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: public, namespace: infra, annotations: {spinway.dev/substitute: enabled}}
spec: {secretName: public-tls, dnsNames: [\"${domain}\", \"*.${domain}\"], issuerRef: {kind: ClusterIssuer, name: letsencrypt}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec:
  gatewayClassName: envoy
  listeners:
    - name: https
      port: 443
      protocol: HTTPS
      tls: {certificateRefs: [{name: public-tls}]}
      allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {exposed: \"true\"}}}}
";

fn config() -> String {
    let mut text = String::from(
        "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: bench}\nspec:\n  sources: [platform, apps]\n  environments:\n    \
         - {name: staging, values: {domain: staging.shop.example}, cluster: {uid: aaaa}}\n    \
         - {name: production, values: {domain: shop.example}, cluster: {uid: bbbb}, protected: true}\n  \
         controllers: [{gatewayClass: envoy, release: envoy-gateway@1.9}]\n  \
         externals: [{kind: RuntimeClass}, {kind: ClusterIssuer}]\n  tenants:\n",
    );
    for tenant in 0..TENANTS {
        let team = team(tenant);
        let _ = writeln!(
            text,
            "    - name: {team}\n      paths: [apps/{team}]\n      namespaces: [{team}]\n      gateways: [infra/public/https]\n      \
             hostnames: [\"${{domain}}\"]\n      ownHostnames: [\"{team}.${{domain}}\"]\n      pathPrefixes: [/{team}]\n      \
             images: [\"ghcr.io/acme/{team}/*\"]\n      egress: [\"https://api.payments.example\", 10.20.0.0/16]\n      \
             serviceAccount: {team}/deployer"
        );
    }
    text
}

fn app(team: &str, index: usize) -> String {
    let digest = format!("{index:08x}").repeat(8);
    format!(
        "apiVersion: spinway.dev/v1alpha1
kind: App
metadata: {{name: app-{index:04}, namespace: {team}}}
spec:
  image: ghcr.io/acme/{team}/app-{index:04}:1.0.0@sha256:{digest}
  replicas: 2
  resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{memory: 128Mi}}}}
  variables: {{log_level: info, currency: EUR}}
  egress: [\"https://api.payments.example\", \"10.20.3.0/24:6379\"]
  routes:
    - {{name: shared, gateway: infra/public, section: https, hosts: [\"${{domain}}\"], path: /{team}/app-{index:04}, timeout: 10s}}
    - {{name: own, gateway: infra/public, section: https, hosts: [\"{team}.${{domain}}\"], path: /app-{index:04}, timeout: 10s}}
"
    )
}
