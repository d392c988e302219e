//! Generated attempts of a tenant to get past its rules: a kind, what it wants, a way to say it, and a place.
//!
//! The generator knows what it means by each attempt, and the oracle judges that from the rules' documentation alone: neither
//! reads what spinway made of the text. Held against it are the plan and, with all checks left out, the last gate.

use crate::oracle::texts::Random;
use serde_json::{Value, json};
use spinway::apply::{Asked, Monitor};
use spinway::check::guard;
use spinway::desired::{Desired, Entry, Tree, read};
use spinway::live::Served;
use spinway::object::{GroupKind, ObjectRef, Severity, api_version};
use std::collections::{BTreeMap, BTreeSet};

/// How many attempts CI makes, and the full campaign.
pub const SAMPLE: usize = 500;
pub const FULL: usize = 20_000;

/// A kind as an API server serves it.
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
    /// Whether a tenant without `kinds` may declare it.
    pub own: bool,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
    own: bool,
) -> Kind {
    Kind { group, version, kind, plural, namespaced, own }
}

const GATEWAY: &str = "gateway.networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const NGINX: &str = "gateway.nginx.org";

/// Kinds of a discovery document: those of Kubernetes, and of what is installed beside it.
pub const KINDS: [Kind; 64] = [
    kind("", "v1", "ConfigMap", "configmaps", true, true),
    kind("", "v1", "Secret", "secrets", true, true),
    kind("", "v1", "Service", "services", true, true),
    kind("", "v1", "ServiceAccount", "serviceaccounts", true, true),
    kind("", "v1", "Namespace", "namespaces", false, false),
    kind("", "v1", "Node", "nodes", false, false),
    kind("", "v1", "PersistentVolume", "persistentvolumes", false, false),
    kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true, false),
    kind("", "v1", "Pod", "pods", true, false),
    kind("", "v1", "ReplicationController", "replicationcontrollers", true, false),
    kind("", "v1", "ResourceQuota", "resourcequotas", true, false),
    kind("", "v1", "LimitRange", "limitranges", true, false),
    kind("", "v1", "Endpoints", "endpoints", true, false),
    kind("apps", "v1", "Deployment", "deployments", true, true),
    kind("apps", "v1", "StatefulSet", "statefulsets", true, true),
    kind("apps", "v1", "DaemonSet", "daemonsets", true, false),
    kind("apps", "v1", "ReplicaSet", "replicasets", true, false),
    kind("batch", "v1", "Job", "jobs", true, true),
    kind("batch", "v1", "CronJob", "cronjobs", true, true),
    kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true, true),
    kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true, true),
    kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true, true),
    kind("networking.k8s.io", "v1", "Ingress", "ingresses", true, false),
    kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses", false, false),
    kind(RBAC, "v1", "Role", "roles", true, false),
    kind(RBAC, "v1", "RoleBinding", "rolebindings", true, false),
    kind(RBAC, "v1", "ClusterRole", "clusterroles", false, false),
    kind(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", false, false),
    kind(ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false, false),
    kind(ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false, false),
    kind(ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false, false),
    kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false, false),
    kind("apiregistration.k8s.io", "v1", "APIService", "apiservices", false, false),
    kind("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", false, false),
    kind("coordination.k8s.io", "v1", "Lease", "leases", true, false),
    kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true, false),
    kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false, false),
    kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", false, false),
    kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false, false),
    kind("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", false, false),
    kind(GATEWAY, "v1", "HTTPRoute", "httproutes", true, true),
    kind(GATEWAY, "v1", "GRPCRoute", "grpcroutes", true, true),
    kind(GATEWAY, "v1", "Gateway", "gateways", true, false),
    kind(GATEWAY, "v1", "GatewayClass", "gatewayclasses", false, false),
    kind(GATEWAY, "v1", "ReferenceGrant", "referencegrants", true, false),
    kind(GATEWAY, "v1", "ListenerSet", "listenersets", true, false),
    kind(GATEWAY, "v1", "TLSRoute", "tlsroutes", true, false),
    kind("gateway.networking.x-k8s.io", "v1alpha1", "XListenerSet", "xlistenersets", true, false),
    kind("core.spinkube.dev", "v1alpha1", "SpinApp", "spinapps", true, true),
    kind("core.spinkube.dev", "v1alpha1", "SpinAppExecutor", "spinappexecutors", true, false),
    kind(NGINX, "v1alpha1", "AuthenticationFilter", "authenticationfilters", true, true),
    kind(NGINX, "v1alpha1", "SnippetsFilter", "snippetsfilters", true, false),
    kind("gateway.envoyproxy.io", "v1alpha1", "EnvoyPatchPolicy", "envoypatchpolicies", true, false),
    kind("networking.istio.io", "v1", "VirtualService", "virtualservices", true, false),
    kind("traefik.io", "v1alpha1", "IngressRoute", "ingressroutes", true, false),
    kind("projectcontour.io", "v1", "HTTPProxy", "httpproxies", true, false),
    kind("route.openshift.io", "v1", "Route", "routes", true, false),
    kind("k8s.nginx.org", "v1", "VirtualServer", "virtualservers", true, false),
    kind("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories", true, false),
    kind("argoproj.io", "v1alpha1", "Application", "applications", true, false),
    kind("argoproj.io", "v1alpha1", "Rollout", "rollouts", true, false),
    kind("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", true, false),
    kind("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors", true, true),
    kind("external-secrets.io", "v1", "ExternalSecret", "externalsecrets", true, true),
];

/// The rule that an attempt is about, beside that of its kind and namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Kind,
    Namespace,
    Gateway,
    Hostname,
    Path,
    Image,
    Egress,
    Account,
    Privilege,
}

impl Rule {
    /// The check that guards it.
    fn guard(self) -> &'static str {
        match self {
            Self::Namespace => "SPW101",
            Self::Kind => "SPW102",
            Self::Gateway => "SPW103",
            Self::Hostname => "SPW104",
            Self::Path => "SPW105",
            Self::Image => "SPW106",
            Self::Egress => "SPW107",
            Self::Account => "SPW108",
            Self::Privilege => "SPW109",
        }
    }
}

/// What an attempt means, whatever it looks like.
#[derive(Clone)]
pub struct Intent {
    pub kind: &'static Kind,
    pub namespace: &'static str,
    /// The rest of the object.
    pub rest: Value,
    /// What it may not do, by the documentation; empty when it is right.
    pub broken: BTreeSet<Rule>,
}

/// The namespaces of attempts, and whether they are the tenant's.
pub const NAMESPACES: [(&str, bool); 9] = [
    ("checkout", true),
    ("checkout-blue", true),
    ("catalog", false),
    ("infra", false),
    ("kube-system", false),
    ("default", false),
    ("spinway", false),
    ("checkoutx", false),
    ("check", false),
];

/// Parts of a pod that are an app's own, or reach beyond it.
const POD: [(&str, Option<Rule>); 36] = [
    (r#"{"terminationGracePeriodSeconds": 5}"#, None),
    (r#"{"containers": [{"securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}}}]}"#, None),
    (r#"{"hostNetwork": true}"#, Some(Rule::Privilege)),
    (r#"{"hostPID": true}"#, Some(Rule::Privilege)),
    (r#"{"hostIPC": true}"#, Some(Rule::Privilege)),
    (r#"{"nodeName": "control-plane"}"#, Some(Rule::Privilege)),
    (r#"{"priorityClassName": "system-node-critical"}"#, Some(Rule::Privilege)),
    (r#"{"tolerations": [{"operator": "Exists"}]}"#, Some(Rule::Privilege)),
    (r#"{"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}"#, Some(Rule::Privilege)),
    (r#"{"containers": [{"securityContext": {"privileged": true}}]}"#, Some(Rule::Privilege)),
    (
        r#"{"initContainers": [{"name": "i", "image": "ghcr.io/acme/checkout/i:1", "securityContext": {"privileged": true}}]}"#,
        Some(Rule::Privilege),
    ),
    (r#"{"containers": [{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}"#, Some(Rule::Privilege)),
    (r#"{"containers": [{"ports": [{"containerPort": 80, "hostPort": 80}]}]}"#, Some(Rule::Privilege)),
    (r#"{"securityContext": {"windowsOptions": {"hostProcess": true}}}"#, Some(Rule::Privilege)),
    (r#"{"containers": [{"securityContext": {"windowsOptions": {"hostProcess": true}}}]}"#, Some(Rule::Privilege)),
    (r#"{"volumes": [{"name": "v", "image": {"reference": "docker.io/evil/x:1"}}]}"#, Some(Rule::Image)),
    (r#"{"initContainers": [{"name": "i", "image": "docker.io/evil/x:1"}]}"#, Some(Rule::Image)),
    (r#"{"containers": [{"image": "docker.io/evil/x:1"}]}"#, Some(Rule::Image)),
    (r#"{"containers": [{"image": "ghcr.io/acme/checkoutx/x:1"}]}"#, Some(Rule::Image)),
    (r#"{"volumes": [{"name": "v", "csi": {"driver": "hostpath.csi.k8s.io"}}]}"#, Some(Rule::Privilege)),
    (r#"{"volumes": [{"name": "v", "nfs": {"server": "nas", "path": "/"}}]}"#, Some(Rule::Privilege)),
    (
        r#"{"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}}]}"#,
        Some(Rule::Privilege),
    ),
    (r#"{"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "secret": {"secretName": "s"}}]}"#, None),
    (r#"{"securityContext": {"seccompProfile": {"type": "Unconfined"}}}"#, Some(Rule::Privilege)),
    (r#"{"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 1}}"#, None),
    (r#"{"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}"#, Some(Rule::Privilege)),
    (r#"{"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]}"#, Some(Rule::Privilege)),
    (r#"{"tolerations": [{"key": "gpu", "operator": "Exists"}]}"#, None),
    (r#"{"fieldOfTomorrow": {"a": "b"}}"#, Some(Rule::Privilege)),
    (r#"{"containers": [{"fieldOfTomorrow": true}]}"#, Some(Rule::Privilege)),
    (r#"{"schedulerName": "mine"}"#, Some(Rule::Privilege)),
    (r#"{"containers": [{"livenessProbe": {"httpGet": {"host": "192.0.2.1", "port": 80}}}]}"#, Some(Rule::Privilege)),
    (r#"{"containers": [{"livenessProbe": {"httpGet": {"path": "/health", "port": 80}}}]}"#, None),
    (r#"{"serviceAccountName": "deployer"}"#, Some(Rule::Account)),
    (r#"{"serviceAccountName": "other"}"#, Some(Rule::Account)),
    (r#"{"serviceAccountName": "default"}"#, None),
];

fn pod(random: &mut Random, broken: &mut BTreeSet<Rule>) -> Value {
    let mut spec = json!({"containers": [{"name": "c", "image": "ghcr.io/acme/checkout/c:1"}]});
    let (part, rule) = random.of(&POD);
    let part: Value = serde_json::from_str(part).expect("JSON");
    for (key, value) in part.as_object().expect("a map") {
        match (spec.get_mut(key), value) {
            (Some(Value::Array(had)), Value::Array(more)) => {
                for (key, value) in more[0].as_object().expect("a container") {
                    had[0][key] = value.clone();
                }
            }
            _ => spec[key] = value.clone(),
        }
    }
    broken.extend(rule);
    spec
}

/// What `PUBLIC` stands for in the specs below: the listener that the tenant may use.
const PUBLIC: &str = r#""parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "https"}]"#;

/// Routes, policies and Services, each with the rule it breaks.
const ROUTES: [(&str, Option<Rule>); 14] = [
    (
        r#"{PUBLIC, "hostnames": ["shop.example"], "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/checkout/a"}}]}]}"#,
        None,
    ),
    (
        r#"{PUBLIC, "hostnames": ["checkout.example"], "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]}"#,
        None,
    ),
    (
        r#"{PUBLIC, "hostnames": ["shop.example"], "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/catalog"}}]}]}"#,
        Some(Rule::Path),
    ),
    (
        r#"{PUBLIC, "hostnames": ["shop.example"], "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/checkoutx"}}]}]}"#,
        Some(Rule::Path),
    ),
    (
        r#"{PUBLIC, "hostnames": ["shop.example"], "rules": [{"matches": [{"path": {"type": "Exact", "value": "/"}}]}]}"#,
        Some(Rule::Path),
    ),
    (
        r#"{PUBLIC, "hostnames": ["shop.example"], "rules": [{"matches": [{"path": {"type": "RegularExpression", "value": "/checkout|/catalog"}}]}]}"#,
        Some(Rule::Path),
    ),
    (
        r#"{PUBLIC, "hostnames": ["shop.example"], "rules": [{"matches": [{"headers": [{"name": "a", "value": "b"}]}]}]}"#,
        Some(Rule::Path),
    ),
    (
        r#"{PUBLIC, "hostnames": ["catalog.example"], "rules": [{"matches": [{"path": {"value": "/checkout"}}]}]}"#,
        Some(Rule::Hostname),
    ),
    (
        r#"{PUBLIC, "hostnames": ["*.example"], "rules": [{"matches": [{"path": {"value": "/checkout"}}]}]}"#,
        Some(Rule::Hostname),
    ),
    (r#"{PUBLIC, "rules": [{"matches": [{"path": {"value": "/checkout"}}]}]}"#, Some(Rule::Hostname)),
    (
        r#"{PUBLIC, "hostnames": ["checkout.example"], "rules": [{"backendRefs": [{"group": "networking.istio.io", "kind": "Hostname", "name": "login.internal"}]}]}"#,
        Some(Rule::Privilege),
    ),
    (
        r#"{"parentRefs": [{"name": "private", "namespace": "infra"}], "hostnames": ["checkout.example"]}"#,
        Some(Rule::Gateway),
    ),
    (
        r#"{"parentRefs": [{"name": "public", "namespace": "infra"}], "hostnames": ["checkout.example"]}"#,
        Some(Rule::Gateway),
    ),
    (
        r#"{"parentRefs": [{"name": "public", "namespace": "infra", "sectionName": "admin"}], "hostnames": ["checkout.example"]}"#,
        Some(Rule::Gateway),
    ),
];
const GRPC_ROUTES: [(&str, Option<Rule>); 4] = [
    (r#"{PUBLIC, "hostnames": ["checkout.example"]}"#, None),
    (r#"{PUBLIC, "hostnames": ["a.example"]}"#, Some(Rule::Hostname)),
    (r#"{PUBLIC}"#, Some(Rule::Hostname)),
    (
        r#"{"parentRefs": [{"name": "other", "namespace": "infra", "sectionName": "https"}], "hostnames": ["checkout.example"]}"#,
        Some(Rule::Gateway),
    ),
];
const POLICIES: [(&str, Option<Rule>); 6] = [
    (r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": []}"#, None),
    (r#"{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}"#, None),
    (r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}"#, Some(Rule::Egress)),
    (
        r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}"#,
        Some(Rule::Egress),
    ),
    (
        r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {}}]}]}"#,
        Some(Rule::Egress),
    ),
    (
        r#"{"podSelector": {}, "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "catalog"}}}]}]}"#,
        Some(Rule::Egress),
    ),
];
const SERVICES: [(&str, Option<Rule>); 7] = [
    (r#"{"selector": {"app": "a"}, "ports": [{"port": 80}]}"#, None),
    (r#"{"selector": {"app": "a"}, "ports": [{"port": 80, "nodePort": 30000}]}"#, Some(Rule::Privilege)),
    (r#"{"selector": {"app": "a"}, "loadBalancerClass": "mine"}"#, Some(Rule::Privilege)),
    (r#"{"type": "LoadBalancer", "ports": [{"port": 80}]}"#, Some(Rule::Privilege)),
    (r#"{"type": "NodePort", "ports": [{"port": 80}]}"#, Some(Rule::Privilege)),
    (r#"{"type": "ExternalName", "externalName": "catalog.catalog.svc"}"#, Some(Rule::Privilege)),
    (r#"{"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}"#, Some(Rule::Privilege)),
];

/// A random attempt.
pub fn intent(random: &mut Random) -> Intent {
    // Half of the attempts are of a kind that the tenant has: there the other rules are what holds.
    let own: Vec<&Kind> = KINDS.iter().filter(|kind| kind.own).collect();
    let kind = if random.chance(55) { *random.of(&own) } else { random.of(&KINDS) };
    let (namespace, is_own) = if random.chance(60) { NAMESPACES[0] } else { *random.of(&NAMESPACES) };
    let mut broken = BTreeSet::new();
    if !kind.own {
        broken.insert(Rule::Kind);
    }
    if kind.namespaced && !is_own {
        broken.insert(Rule::Namespace);
    }
    let one = |random: &mut Random, of: &[(&str, Option<Rule>)], broken: &mut BTreeSet<Rule>| {
        let (spec, rule) = random.of(of);
        broken.extend(rule);
        json!({"spec": serde_json::from_str::<Value>(&spec.replace("PUBLIC", PUBLIC)).expect("JSON")})
    };
    let rest = match kind.kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "ReplicationController" | "Rollout" => {
            json!({"spec": {"template": {"spec": pod(random, &mut broken)}}})
        }
        "CronJob" => json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod(random, &mut broken)}}}}}),
        "Pod" => json!({"spec": pod(random, &mut broken)}),
        "SpinApp" if random.chance(50) => json!({"spec": {"image": "ghcr.io/acme/checkout/c:1", "executor": "e"}}),
        "SpinApp" => {
            broken.insert(Rule::Image);
            json!({"spec": {"image": "ghcr.io/acme/catalog/c:1", "executor": "e"}})
        }
        "GRPCRoute" => one(random, &GRPC_ROUTES, &mut broken),
        "HTTPRoute" => one(random, &ROUTES, &mut broken),
        "NetworkPolicy" => one(random, &POLICIES, &mut broken),
        "Service" => one(random, &SERVICES, &mut broken),
        "Secret" if random.chance(30) => {
            broken.insert(Rule::Privilege);
            json!({"type": "kubernetes.io/service-account-token", "metadata": {"annotations": {"kubernetes.io/service-account.name": "deployer"}}})
        }
        "Secret" | "ConfigMap" => json!({"data": {}}),
        "Role" | "ClusterRole" => json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
        "RoleBinding" | "ClusterRoleBinding" => json!({
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": "checkout"}],
        }),
        _ => json!({}),
    };
    Intent { kind, namespace, rest, broken }
}

/// The object that is meant.
pub fn meant(intent: &Intent, name: &str, with_namespace: bool) -> Value {
    let Kind { group, version, kind, .. } = intent.kind;
    let mut object = json!({"apiVersion": api_version(group, version), "kind": kind, "metadata": {"name": name}});
    for (key, value) in intent.rest.as_object().expect("a map").iter().filter(|(key, _)| *key != "metadata") {
        object[key] = value.clone();
    }
    for (key, value) in intent.rest.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        object["metadata"][key] = value.clone();
    }
    if with_namespace {
        object["metadata"]["namespace"] = json!(intent.namespace);
    }
    object
}

/// The ways to say an object: the files of the tenant that say it.
pub fn say(random: &mut Random, intent: &Intent, name: &str) -> Vec<(String, String)> {
    let Kind { kind, namespaced, .. } = intent.kind;
    // What has no namespace may still name one: the API server leaves it out.
    let mut object = meant(intent, name, *namespaced || random.chance(50));
    let place = *random.of(&[
        "apps/checkout/a.yaml",
        "apps/checkout/deep/er/b.yml",
        "apps/checkout/c.json",
        "apps/checkout/.d.yaml",
    ]);
    let file = |text: String| (place.to_owned(), text);
    match random.below(8) {
        // As JSON, which is YAML too.
        0..=2 => vec![file(object.to_string())],
        3 => vec![file(json!({"apiVersion": "v1", "kind": "List", "items": [object]}).to_string())],
        4 => vec![file(json!({"apiVersion": "v1", "kind": format!("{kind}List"), "items": [object]}).to_string())],
        // By an alias of a part that stands elsewhere in the document.
        5 => {
            let metadata = object["metadata"].take();
            object.as_object_mut().expect("a map").remove("metadata");
            let inner = object.to_string();
            vec![file(format!("{{\"x-part\": &part {metadata}, \"metadata\": *part, {}", &inner[1..]))]
        }
        // By values of the environment.
        6 => {
            object["metadata"]["annotations"]["spinway.dev/substitute"] = json!("enabled");
            if object["metadata"].get("namespace").is_some() {
                object["metadata"]["namespace"] = json!(format!("${{in-{}}}", intent.namespace));
            }
            vec![file(object.to_string())]
        }
        // By a patch of the tenant's own, which adds what is wrong to what is not.
        _ => {
            let spec = object.as_object_mut().expect("a map").remove("spec");
            let Some(spec) = spec else { return vec![file(object.to_string())] };
            let target = json!({"kind": kind, "name": name});
            let change = if random.chance(50) {
                json!({"target": target, "merge": {"spec": spec}})
            } else {
                json!({"target": target, "json": [{"op": "add", "path": "/spec", "value": spec}]})
            };
            let patch = json!({"apiVersion": "spinway.dev/v1alpha1", "kind": "Patch", "metadata": {"name": "p"}, "spec": change});
            vec![file(object.to_string()), ("apps/checkout/patch.yaml".to_owned(), patch.to_string())]
        }
    }
}

/// The rules.
pub fn config() -> String {
    let values: Vec<String> = NAMESPACES.iter().map(|(name, _)| format!("in-{name}: {name}")).collect();
    format!(
        "apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {{name: shop}}
spec:
  sources: [platform, apps]
  environments: [{{name: test, values: {{{}}}}}]
  inventory: {{namespace: spinway}}
  tenants:
    - name: checkout
      paths: [apps/checkout]
      namespaces: [checkout, \"checkout-*\"]
      gateways: [infra/public/https]
      hostnames: [shop.example]
      ownHostnames: [checkout.example]
      pathPrefixes: [/checkout]
      images: [\"ghcr.io/acme/checkout/*\"]
      egress: []
      serviceAccount: checkout/deployer
    - {{name: catalog, paths: [apps/catalog], namespaces: [catalog], serviceAccount: catalog/deployer}}
",
        values.join(", ")
    )
}

/// Policies that limit all pods of the tenant, which its `egress` asks for.
pub const LIMITS: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: checkout}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: checkout-blue}
spec: {podSelector: {}, policyTypes: [Egress]}
";

/// What spinway reads of the tenant's files.
pub fn desired(files: Vec<(String, String)>) -> Desired {
    let ours = [
        ("spinway.yaml", config()),
        ("apps/checkout/limits.yaml", LIMITS.to_owned()),
        ("platform/.spinwayignore", String::new()),
        ("apps/catalog/.spinwayignore", String::new()),
    ];
    let ours = ours.into_iter().map(|(path, text)| (path.to_owned(), text));
    let entries = ours.chain(files).map(|(path, text)| (path, Entry::File(text.into_bytes())));
    read(&Tree::of(entries.collect()), Some("test")).expect("the Config can be used")
}

/// The objects of the tenant that a plan without one guard has.
fn planned<'a>(
    desired: &'a Desired,
    found: &BTreeMap<ObjectRef, BTreeSet<&'static str>>,
    without: &str,
) -> Vec<&'a ObjectRef> {
    let is_kept = |object: &&ObjectRef| found.get(*object).is_none_or(|ids| ids.iter().all(|id| *id == without));
    desired.objects.keys().filter(is_kept).filter(|object| object.name.starts_with("attempt")).collect()
}

/// What is refused, by object: by the guards, and because it cannot be read.
fn refused(desired: &Desired) -> BTreeMap<ObjectRef, BTreeSet<&'static str>> {
    let guarded = guard(desired);
    let mut found: BTreeMap<ObjectRef, BTreeSet<&'static str>> = BTreeMap::new();
    for finding in desired.diagnostics.iter().chain(&guarded).filter(|finding| finding.severity == Severity::Error) {
        if let Some(object) = &finding.object {
            found.entry(object.clone()).or_default().insert(finding.id);
        }
    }
    found
}

/// As whom everything of the tenant is done.
pub const DEPLOYER: &str = "system:serviceaccount:checkout:deployer";

/// The path of an object, in a namespace or in none.
pub fn path(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    let root = if kind.group.is_empty() { "api" } else { "apis" };
    let namespace = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
    format!("/{root}/{}{namespace}/{}/{name}", api_version(kind.group, kind.version), kind.plural)
}

/// Whether the last gate lets an object through as it would be sent.
fn passes(monitor: &Monitor, kind: &Kind, desired: &Desired, object: &ObjectRef) -> bool {
    let path = path(kind, object.namespace.as_deref(), &object.name);
    let body = desired.objects[object].object.value.to_string();
    monitor.check(&Asked { method: "PATCH", path: &path, user: Some(DEPLOYER), body: body.as_bytes() }).is_ok()
}

#[test]
fn no_tenant_gets_past_its_rules() {
    let wanted = if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { FULL } else { SAMPLE };
    let served = KINDS.iter().map(|kind| {
        let served = Served {
            versions: vec![kind.version.to_owned()],
            plural: kind.plural.to_owned(),
            namespaced: kind.namespaced,
        };
        (GroupKind::new(kind.group, kind.kind), served)
    });
    let served: BTreeMap<GroupKind, Served> = served.collect();
    let mut random = Random::new(20_261_130);
    let (mut escapes, mut strict, mut gated) = (Vec::new(), BTreeMap::new(), Vec::new());
    // How many attempts each guard alone holds back.
    let mut alone: BTreeMap<Rule, usize> = BTreeMap::new();
    let (mut right, mut wrong) = (0, 0);
    for number in 0..wanted {
        let intent = intent(&mut random);
        let name = format!("attempt-{number}");
        let files = say(&mut random, &intent, &name);
        let shown = || format!("{:?} {} {}: {files:?}", intent.broken, intent.kind.kind, intent.namespace);
        let desired = desired(files.clone());
        let found = refused(&desired);
        let is_planned = !planned(&desired, &found, "").is_empty();
        if intent.broken.is_empty() {
            right += 1;
            if !is_planned {
                let ids = found.values().flatten().chain(desired.diagnostics.iter().map(|d| &d.id)).next();
                strict.entry((intent.kind.kind, ids.copied())).or_insert_with(shown);
            }
        } else {
            wrong += 1;
            if is_planned {
                escapes.push(shown());
            }
            for rule in &intent.broken {
                if !is_planned && !planned(&desired, &found, rule.guard()).is_empty() {
                    *alone.entry(*rule).or_default() += 1;
                }
            }
        }
        // With all checks off the last gate alone: kind, namespace and identity are its business.
        let monitor =
            Monitor::of(desired.rules(), &desired.environment, "checkout", &served).expect("the tenant has one");
        let is_its = [Rule::Kind, Rule::Namespace].iter().any(|rule| intent.broken.contains(rule));
        let passing = desired.objects.keys().filter(|object| object.name == name);
        let passing = passing.filter(|object| passes(&monitor, intent.kind, &desired, object)).count();
        if is_its && passing > 0 {
            gated.push(shown());
        }
        if intent.broken.is_empty() && is_planned && passing == 0 {
            gated.push(format!("refused though it is right: {}", shown()));
        }
    }
    println!(
        "escapes: {wrong} attempts, {right} that are right; each guard alone holds back {alone:?}; strict: {strict:#?}"
    );
    assert!(escapes.is_empty(), "{} escape, such as\n{}", escapes.len(), escapes[..escapes.len().min(5)].join("\n"));
    assert!(
        gated.is_empty(),
        "{} pass the last gate, such as\n{}",
        gated.len(),
        gated[..gated.len().min(5)].join("\n")
    );
    assert!(strict.is_empty(), "{strict:#?}");
    // Without any one guard there is an escape.
    for rule in [
        Rule::Kind,
        Rule::Namespace,
        Rule::Gateway,
        Rule::Hostname,
        Rule::Path,
        Rule::Image,
        Rule::Egress,
        Rule::Account,
        Rule::Privilege,
    ] {
        assert!(alone.get(&rule).is_some_and(|count| *count > 0), "nothing is held back by {} alone", rule.guard());
    }
}
