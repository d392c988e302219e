//! The repository of one cell: its own namespace, hostnames, Gateway and inventory, so that cells do not meet.

use super::traefik::{Lane, PORT};
use std::fmt::Write as _;

/// Files of a repository by path.
pub type Files = Vec<(String, String)>;

/// Whose repository it is.
#[derive(Clone, Debug)]
pub struct Team {
    /// Also its namespace.
    pub name: String,
    pub lane: Lane,
}

impl Team {
    /// The main hostname.
    pub fn host(&self) -> String {
        format!("{}.example", self.name)
    }

    /// An image whose version is named by the digit.
    pub fn image(&self, app: &str, digit: char) -> String {
        format!("{}/{app}:1@sha256:{}", self.host(), digit.to_string().repeat(64))
    }

    /// How long the old way is kept after the new one was accepted: longer than the controller lags.
    fn settle(&self) -> &'static str {
        if self.lane.throttle > 2 { "8s" } else { "5s" }
    }

    /// spinway.yaml.
    pub fn config(&self) -> (String, String) {
        let text = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: {name}}}\nspec:\n  \
             sources: [platform, apps]\n  inventory: {{namespace: {name}-inventory}}\n  environments: [{{name: test}}]\n  \
             executors: {{default: containerd-shim-spin}}\n  externals: [{{kind: GatewayClass, name: {class}}}]\n  \
             defaults:\n    rollout: {{settle: {settle}}}\n    \
             healthChecks: {{readiness: {{initialDelaySeconds: 1, periodSeconds: 1}}}}\n",
            name = self.name,
            class = self.lane.class(),
            settle = self.settle(),
        );
        ("spinway.yaml".to_owned(), text)
    }

    /// The platform: a namespace, an executor, and Gateways `NAME` with a listener `SECTION` each.
    pub fn platform(&self, gateways: &[(&str, &str)]) -> (String, String) {
        let name = &self.name;
        let mut text = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n---\napiVersion: core.spinkube.dev/v1alpha1\n\
             kind: SpinAppExecutor\nmetadata: {{name: containerd-shim-spin, namespace: {name}}}\nspec: {{createDeployment: true}}\n"
        );
        for (gateway, section) in gateways {
            let _ = write!(
                text,
                "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {gateway}, namespace: {name}}}\n\
                 spec:\n  gatewayClassName: {}\n  listeners: [{{name: {section}, port: {PORT}, protocol: HTTP}}]\n",
                self.lane.class()
            );
        }
        ("platform/all.yaml".to_owned(), text)
    }

    /// An App with its routes, and the rest of its spec.
    pub fn app(&self, app: &str, image: &str, routes: &[String], more: &str) -> (String, String) {
        let text = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: {app}, namespace: {}}}\nspec:\n  image: {image}\n  \
             replicas: 2\n  routes:\n{}{more}",
            self.name,
            routes.iter().map(|route| format!("    - {route}\n")).collect::<String>()
        );
        (format!("apps/{app}.yaml"), text)
    }

    /// A SpinApp without an App.
    pub fn spin_app(&self, app: &str, image: &str) -> (String, String) {
        let text = format!(
            "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {app}, namespace: {}}}\nspec:\n  image: {image}\n  \
             executor: containerd-shim-spin\n  replicas: 2\n  checks: {{readiness: {{httpGet: {{path: /ready}}, initialDelaySeconds: 1, periodSeconds: 1}}}}\n",
            self.name
        );
        (format!("apps/{app}.yaml"), text)
    }

    /// An HTTPRoute by path to a Service.
    pub fn route(&self, route: &str, parent: &str, path: &str, backend: &str) -> (String, String) {
        let text = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {route}, namespace: {}}}\nspec:\n  \
             parentRefs: [{parent}]\n  hostnames: [{}]\n  rules:\n    - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]\n      \
             backendRefs: [{{name: {backend}, port: 80}}]\n",
            self.name,
            self.host()
        );
        (format!("apps/route-{route}.yaml"), text)
    }

    /// A Deployment with its Service.
    pub fn deployment(&self, app: &str, image: &str) -> (String, String) {
        let namespace = &self.name;
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {app}, namespace: {namespace}}}\nspec:\n  replicas: 2\n  \
             selector: {{matchLabels: {{app: {app}}}}}\n  template:\n    metadata: {{labels: {{app: {app}}}}}\n    spec:\n      containers:\n        \
             - name: c\n          image: {image}\n          ports: [{{name: http, containerPort: 8080}}]\n          \
             readinessProbe: {{httpGet: {{path: /ready, port: http}}, initialDelaySeconds: 1, periodSeconds: 1}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: {app}, namespace: {namespace}}}\nspec: {{selector: {{app: {app}}}, ports: [{{port: 80, targetPort: http}}]}}\n"
        );
        (format!("apps/{app}.yaml"), text)
    }
}
