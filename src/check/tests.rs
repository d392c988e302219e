//! What tenants try, and the rule that refuses it (design law 11).

use super::*;
use crate::desired::{Entry, ReadError, Tree, read};
use crate::object::{Diagnostic, ObjectRef};
use std::collections::BTreeSet;

mod allowed;
mod attacks;
mod bounds;
mod gateway_api;

const CONFIG: &str = r#"
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: t}
spec:
  sources: [platform, apps]
  environments: [{name: test, values: {domain: shop.example, elsewhere: catalog, system: kube-system, admin: cluster-admin}}]
  approvals: {paths: [platform/approvals]}
  tenants:
    - name: checkout
      paths: [apps/checkout]
      namespaces: [checkout]
      gateways: [infra/public/https]
      hostnames: ["${domain}"]
      ownHostnames: ["cart.${domain}", "*.pay.${domain}"]
      pathPrefixes: [/cart, /pay]
      images: ["ghcr.io/acme/checkout/*"]
      egress: ["https://api.payments.example", "10.20.0.0/16", "10.30.0.0/16:6379", "https://192.0.2.9:443", "namespace:shared"]
      podServiceAccounts: [runner]
      serviceAccount: checkout/deployer
      kinds: [App, SpinApp, "*Route.gateway.networking.k8s.io", Service, ConfigMap, Secret, NetworkPolicy, HorizontalPodAutoscaler, ScaledObject, ClientSettingsPolicy, BackendTLSPolicy, Deployment, CronJob, Rollout, ServiceAccount, CiliumNetworkPolicy, Route]
    - name: catalog
      paths: [apps/catalog]
      namespaces: [catalog]
      hostnames: ["${domain}"]
      pathPrefixes: [/catalog]
      images: ["ghcr.io/acme/catalog/*"]
      kinds: [ConfigMap, "Role.rbac.authorization.k8s.io"]
    - name: free
      paths: [apps/free]
      namespaces: ["*"]
      gateways: ["*"]
      hostnames: ["*"]
      pathPrefixes: ["*"]
      images: ["*"]
"#;

const VICTIM: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: prices, namespace: catalog}\ndata: {a: \"1\"}\n";

fn desired(file: &str, text: &str) -> Desired {
    let files =
        [("spinway.yaml", CONFIG), ("apps/catalog/prices.yaml", VICTIM), ("platform/.spinwayignore", ""), (file, text)];
    let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    match read(&Tree::of(entries.into()), Some("test")) {
        Ok(desired) => desired,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// What is said of a file of team checkout: errors alone.
fn refused(text: &str) -> (Desired, Vec<Diagnostic>) {
    let desired = desired("apps/checkout/a.yaml", text);
    let mut found: Vec<Diagnostic> = desired.diagnostics.clone();
    found.extend(guard(&desired));
    found.retain(|d| d.severity == Severity::Error);
    (desired, found)
}

fn object(api_version: &str, kind: &str, rest: &str) -> String {
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x, namespace: checkout}}\n{rest}\n")
}

fn route(spec: &str) -> String {
    object("gateway.networking.k8s.io/v1", "HTTPRoute", &format!("spec: {{{spec}}}"))
}

const PARENT: &str = "parentRefs: [{namespace: infra, name: public, sectionName: https}]";

fn host(hostnames: &str, path: &str) -> String {
    route(&format!("{PARENT}, hostnames: {hostnames}, rules: [{{matches: [{{path: {path}}}]}}]"))
}

fn app(spec: &str) -> String {
    format!(
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: checkout}}\nspec: {{image: ghcr.io/acme/checkout/cart:1, egress: [], {spec}}}\n"
    )
}

/// A Deployment, with a policy that limits its pods.
fn pod(spec: &str) -> String {
    object("apps/v1", "Deployment", &format!("spec: {{template: {{spec: {{{spec}}}}}}}"))
        + "---\n"
        + &beside(&policy(""))
}

/// Under another name: it is no part of what is tried.
fn beside(policy: &str) -> String {
    policy.replace("name: x,", "name: beside,")
}

fn patch(target: &str, merge: &str) -> String {
    format!(
        "apiVersion: spinway.dev/v1alpha1\nkind: Patch\nmetadata: {{name: p}}\nspec: {{target: {{{target}}}, merge: {merge}}}\n"
    )
}

fn policy(egress: &str) -> String {
    object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        &format!("spec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{egress}]}}"),
    )
}

/// A policy that names a host beside it.
fn named(host: &str, egress: &str) -> String {
    let annotations = format!("namespace: checkout, annotations: {{spinway.dev/not-enforced: \"{host}\"}}}}");
    policy(egress).replace("namespace: checkout}", &annotations)
}

/// One that names the host that team checkout may reach.
fn opened(egress: &str) -> String {
    named("https://api.payments.example", egress)
}

/// A rule to the cluster's system.
fn system(ports: &str) -> String {
    let selector = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}";
    format!("{{to: [{selector}], ports: {ports}}}")
}

/// An App with a host, and a patch of its policy.
fn egress_patch(operation: &str) -> String {
    app(&format!("patches: [{{target: {{kind: NetworkPolicy}}, json: [{operation}]}}]"))
        .replace("egress: []", "egress: [\"https://api.payments.example\"]")
}

fn spin(labels: &str) -> String {
    object(
        "core.spinkube.dev/v1alpha1",
        "SpinApp",
        &format!("spec: {{image: ghcr.io/acme/checkout/cart, executor: e, podLabels: {{{labels}}}}}"),
    )
}

fn limiting(spec: &str) -> String {
    object("networking.k8s.io/v1", "NetworkPolicy", &format!("spec: {{{spec}}}"))
}

/// What team checkout tries: the rule that refuses it, and the text.
fn escapes() -> Vec<(&'static str, String)> {
    let map = |metadata: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{{metadata}}}\n");
    let ok = "{type: PathPrefix, value: /cart}";
    vec![
        // Namespaces.
        ("SPW101", map("name: x, namespace: catalog")),
        ("SPW101", map("name: x, namespace: kube-system")),
        ("SPW101", map("name: x, namespace: spinway-system")),
        ("SPW101", map("name: x, namespace: \"${elsewhere}\", annotations: {spinway.dev/substitute: enabled}")),
        ("SPW101", map("name: x, namespace: \"${system}\", annotations: {spinway.dev/substitute: enabled}")),
        ("SPW101", map("name: x, namespace: checkout2")),
        ("SPW101", "apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: catalog}}\n".to_owned()),
        ("SPW101", app("replicas: 1").replace("namespace: checkout", "namespace: catalog")),
        ("SPW101", app("replicas: 1").replace("namespace: checkout", "namespace: \"${elsewhere}\"")),
        ("object-name", map("generateName: x-, namespace: checkout")),
        ("object-name", map("name: ../../catalog/x, namespace: checkout")),
        ("object-name", map("name: x, namespace: \"checkout/../catalog\"")),
        // Kinds.
        ("SPW102", object("rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef: {kind: ClusterRole, name: admin}")),
        ("SPW102", object("rbac.authorization.k8s.io/v1", "Role", "rules: []")),
        ("SPW102", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: ClusterRole, name: cluster-admin}\n".to_owned()),
        ("SPW102", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n".to_owned()),
        ("SPW102", "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: x}\n".to_owned()),
        ("SPW102", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: x}\n".to_owned()),
        ("SPW102", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.com}\nspec: {group: example.com, names: {kind: X, plural: xs}, scope: Cluster, versions: []}\n".to_owned()),
        ("SPW102", "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.example.com}\n".to_owned()),
        ("SPW102", "apiVersion: v1\nkind: Namespace\nmetadata: {name: checkout, labels: {shop.example/exposed: \"true\"}}\n".to_owned()),
        ("SPW102", "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: x}\nspec: {}\n".to_owned()),
        ("SPW102", "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: x}\nhandler: runc\n".to_owned()),
        ("SPW102", "apiVersion: unheard.example/v1\nkind: Everything\nmetadata: {name: x}\n".to_owned()),
        ("SPW102", object("v1", "ResourceQuota", "spec: {}")),
        ("SPW102", object("v1", "LimitRange", "spec: {}")),
        ("SPW102", object("v1", "Endpoints", "subsets: []")),
        ("SPW102", object("discovery.k8s.io/v1", "EndpointSlice", "addressType: IPv4")),
        ("SPW102", object("coordination.k8s.io/v1", "Lease", "spec: {}")),
        ("SPW102", object("core.spinkube.dev/v1alpha1", "SpinAppExecutor", "spec: {createDeployment: true, deploymentConfig: {spinImage: evil}}")),
        ("SPW102", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: x}\nspec: {controllerName: a/b}\n".to_owned()),
        ("SPW102", object("gateway.networking.k8s.io/v1", "Gateway", "spec: {gatewayClassName: nginx, listeners: []}")),
        ("SPW102", object("gateway.networking.k8s.io/v1", "ListenerSet", "spec: {}")),
        ("SPW102", object("gateway.nginx.org/v1alpha1", "SnippetsFilter", "spec: {}")),
        ("SPW102", object("gateway.envoyproxy.io/v1alpha1", "EnvoyPatchPolicy", "spec: {}")),
        ("SPW102", object("networking.k8s.io/v1", "Ingress", "spec: {}")),
        ("SPW102", object("networking.istio.io/v1", "VirtualService", "spec: {}")),
        ("SPW102", object("traefik.io/v1alpha1", "IngressRoute", "spec: {}")),
        ("SPW102", object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "spec: {}")),
        ("SPW102", object("unheard.example/v1", "Anything", "spec: {}")),
        // Gateways.
        ("SPW103", route("parentRefs: [{namespace: infra, name: internal, sectionName: https}], hostnames: [cart.shop.example]")),
        ("SPW103", route("parentRefs: [{namespace: infra, name: public}], hostnames: [cart.shop.example]")),
        ("SPW103", route("parentRefs: [{namespace: infra, name: public, sectionName: admin}], hostnames: [cart.shop.example]")),
        ("SPW103", route("parentRefs: [{name: public, sectionName: https}], hostnames: [cart.shop.example]")),
        ("SPW103", route("parentRefs: [{kind: Service, group: \"\", namespace: catalog, name: search}], hostnames: [cart.shop.example]")),
        ("SPW103", app("routes: [{gateway: infra/internal, section: https, hosts: [cart.shop.example]}]")),
        ("SPW103", object("gateway.nginx.org/v1alpha1", "ClientSettingsPolicy", "spec: {targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: public}}")),
        // Hostnames.
        ("SPW104", host("[login.example]", ok)),
        ("SPW104", host("[\"*.shop.example\"]", ok)),
        ("SPW104", host("[shop.example, catalog.shop.example]", ok)),
        ("SPW104", host("[\"${domain}.evil.example\"]", ok)),
        ("SPW104", host("[pay.shop.example]", ok)),
        ("SPW104", route(&format!("{PARENT}, rules: [{{matches: [{{path: {ok}}}]}}]"))),
        ("SPW104", app("routes: [{gateway: infra/public, section: https, hosts: [\"www.${domain}\"], path: /cart}]")),
        ("SPW104", object("gateway.networking.k8s.io/v1", "TCPRoute", &format!("spec: {{{PARENT}}}"))),
        // Paths.
        ("SPW105", host("[shop.example]", "{type: PathPrefix, value: /}")),
        ("SPW105", host("[shop.example]", "{type: PathPrefix, value: /catalog}")),
        ("SPW105", host("[shop.example]", "{type: PathPrefix, value: /carts}")),
        ("SPW105", host("[shop.example]", "{type: RegularExpression, value: /cart|/catalog}")),
        ("SPW105", host("[shop.example]", "{type: Exact, value: /cart/%2e%2e/catalog}")),
        ("SPW105", route(&format!("{PARENT}, hostnames: [shop.example]"))),
        ("SPW105", route(&format!("{PARENT}, hostnames: [shop.example], rules: [{{backendRefs: []}}]"))),
        ("SPW105", route(&format!("{PARENT}, hostnames: [shop.example], rules: [{{matches: [{{headers: [{{name: a, value: b}}]}}]}}]"))),
        ("SPW105", host("[cart.shop.example, shop.example]", "{type: PathPrefix, value: /}")),
        ("SPW105", object("gateway.networking.k8s.io/v1", "TLSRoute", &format!("spec: {{{PARENT}, hostnames: [shop.example]}}"))),
        ("SPW105", app("routes: [{gateway: infra/public, section: https, hosts: [\"${domain}\"], path: /}]")),
        ("SPW105", host("[shop.example]", "{type: ImplementationSpecific, value: /cart}")),
        ("SPW105", object("gateway.networking.k8s.io/v1", "GRPCRoute", &format!("spec: {{{PARENT}, hostnames: [shop.example]}}"))),
        // Images.
        ("SPW106", app("replicas: 1").replace("ghcr.io/acme/checkout/cart:1", "docker.io/evil/cart:1")),
        ("SPW106", app("replicas: 1").replace("acme/checkout/cart:1", "acme/checkout/a/b:1")),
        ("SPW106", app("replicas: 1").replace("acme/checkout/cart:1", "acme/checkout/../catalog/x:1")),
        ("SPW106", app("routes: [{gateway: infra/public, section: https, hosts: [cart.shop.example]}], canary: {image: \"ghcr.io/acme/catalog/x:1\", weight: 1}")),
        ("SPW106", app("environments: {test: {image: \"evil:1\"}}")),
        ("SPW106", app("patches: [{target: {kind: SpinApp}, merge: {spec: {image: \"evil:1\"}}}]")),
        ("SPW106", pod("containers: [{name: c, image: \"evil\"}]")),
        ("SPW106", pod("initContainers: [{name: c, image: \"ghcr.io:443/acme/checkout/x\"}]")),
        ("SPW106", object("argoproj.io/v1alpha1", "Rollout", "spec: {template: {spec: {containers: [{image: evil}]}}}") + "---\n" + &beside(&policy(""))),
        ("SPW106", pod("volumes: [{name: v, image: {reference: evil}}]")),
        // Egress.
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [\"https://evil.example\"]")),
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [0.0.0.0/0]")),
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [\"10.0.0.0/8:6379\"]")),
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [{labels: {app: db}, namespace: catalog}]")),
        ("SPW107", app("replicas: 1").replace("egress: [], ", "")),
        ("SPW107", policy("{}")),
        ("SPW107", policy("{ports: [{port: 443}]}")),
        ("SPW107", policy("{to: [{namespaceSelector: {}}]}")),
        // Ports that are none of the hosts that are named beside them.
        ("SPW107", opened("{ports: [{protocol: TCP}, {protocol: UDP}]}")),
        ("SPW107", opened("{ports: [{port: 443}, {port: 1, endPort: 65535}]}")),
        ("SPW107", opened("{ports: [{port: 443, endPort: 65535}]}")),
        ("SPW107", opened("{ports: [{port: 443, protocol: UDP}]}")),
        ("SPW107", opened("{ports: [{port: 443}, {port: 22}]}")),
        ("SPW107", opened("{ports: [{port: https}]}")),
        ("SPW107", opened("{ports: [{port: 65979}]}")),
        ("SPW107", opened("{ports: []}")),
        ("SPW107", opened("{to: [], ports: [{port: 443, endPort: 444}]}")),
        ("SPW107", named("https://192.0.2.9:443", "{ports: [{port: 443}]}")),
        ("SPW107", named("10.30.0.0/16:6379", "{ports: [{port: 6379}]}")),
        ("SPW107", named("namespace:shared", "{ports: [{port: 443}]}")),
        ("SPW107", named("https://api.payments.example https://evil.example:22", "{ports: [{port: 22}]}")),
        ("SPW107", egress_patch("{op: replace, path: /spec/egress/0, value: {ports: [{protocol: TCP}, {protocol: UDP}]}}")),
        ("SPW107", egress_patch("{op: add, path: /spec/egress/0/ports/-, value: {port: 1, endPort: 65535}}")),
        // Ports of networks.
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [\"10.30.0.0/16\"]")),
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [\"10.30.0.0/16:22\"]")),
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [\"http://192.0.2.9\"]")),
        ("SPW107", policy("{to: [{ipBlock: {cidr: 10.30.0.0/16}}], ports: [{port: 6379}, {port: 6379, protocol: UDP}]}")),
        ("SPW107", policy("{to: [{ipBlock: {cidr: 10.30.0.0/16}}], ports: [{port: 6379, endPort: 6380}]}")),
        // More of the cluster's system than its names.
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [{labels: {component: kube-apiserver}, namespace: kube-system, port: 6443}]")),
        ("SPW107", app("replicas: 1").replace("egress: []", "egress: [{labels: {k8s-app: kube-dns}, namespace: kube-system}]")),
        ("SPW107", policy(&system("[]"))),
        ("SPW107", policy(&system("[{port: 53}, {port: 6443}]"))),
        ("SPW107", policy(&system("[{port: 53, endPort: 6443}]"))),
        ("SPW107", policy(&system("[{port: 53, protocol: SCTP}]"))),
        ("SPW107", policy(&system("[{protocol: UDP}]"))),
        ("SPW107", spin("a: b")),
        ("SPW107", object("apps/v1", "Deployment", "spec: {template: {spec: {containers: []}}}")),
        ("SPW107", object("batch/v1", "CronJob", "spec: {jobTemplate: {spec: {template: {metadata: {labels: {a: b}}}}}}") + "---\n" + &beside(&limiting("policyTypes: [Egress], podSelector: {matchLabels: {a: c}}"))),
        ("SPW107", object("argoproj.io/v1alpha1", "Rollout", "spec: {template: {spec: {containers: []}}}")),
        ("SPW107", object("cilium.io/v2", "CiliumNetworkPolicy", "spec: {egress: [{toEntities: [all]}]}")),
        // Service accounts.
        ("SPW108", app("serviceAccount: deployer")),
        ("SPW108", app("serviceAccount: someone")),
        ("SPW108", pod("serviceAccountName: deployer")),
        ("SPW108", pod("serviceAccount: someone")),
        ("SPW108", object("v1", "ServiceAccount", "").replace("name: x,", "name: deployer,")),
        // Fields.
        ("SPW109", map("name: x, namespace: checkout, ownerReferences: [{apiVersion: v1, kind: Namespace, name: catalog, uid: u}]")),
        ("SPW109", map("name: x, namespace: checkout, finalizers: [example.com/never]")),
        ("SPW109", pod("hostNetwork: true")),
        ("SPW109", pod("nodeName: control-plane")),
        ("SPW109", pod("priorityClassName: system-node-critical")),
        ("SPW109", pod("tolerations: [{operator: Exists}]")),
        ("SPW109", pod("securityContext: {windowsOptions: {hostProcess: true}}")),
        ("SPW109", pod("containers: [{name: c, image: ghcr.io/acme/checkout/x, securityContext: {procMount: Unmasked}}]")),
        ("SPW109", pod("volumes: [{name: v, hostPath: {path: /}}]")),
        ("SPW109", pod("containers: [{name: c, image: ghcr.io/acme/checkout/x, securityContext: {privileged: true}}]")),
        ("SPW109", pod("containers: [{name: c, image: ghcr.io/acme/checkout/x, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]")),
        ("SPW109", app("patches: [{target: {kind: SpinApp}, merge: {spec: {volumes: [{name: v, hostPath: {path: /}}]}}}]")),
        ("SPW109", object("v1", "Service", "spec: {type: LoadBalancer, selector: {a: b}}")),
        ("SPW109", object("v1", "Service", "spec: {type: ExternalName, externalName: catalog.catalog.svc}")),
        ("SPW109", object("v1", "Service", "spec: {externalIPs: [10.0.0.1], selector: {a: b}}")),
        ("SPW109", object("v1", "Service", "spec: {ports: [{port: 80}]}")),
        ("SPW109", object("v1", "Secret", "type: kubernetes.io/service-account-token")),
        ("SPW109", pod("containers: [], ephemeralContainers: [{name: c}], schedulerName: mine")),
        ("SPW109", pod("containers: [], resourceClaims: [{name: gpu}]")),
        ("SPW109", pod("containers: [], fieldOfTomorrow: {a: b}")),
        ("SPW109", pod("volumes: [{name: v, csi: {driver: hostpath.csi.k8s.io}}]")),
        ("SPW109", pod("volumes: [{name: v, nfs: {server: nas, path: /}}]")),
        ("SPW109", pod("volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t, audience: vault}}]}}]")),
        ("SPW109", pod("securityContext: {seccompProfile: {type: Unconfined}}")),
        ("SPW109", pod("securityContext: {sysctls: [{name: kernel.msgmax, value: \"1\"}]}")),
        ("SPW109", pod("securityContext: {seLinuxOptions: {type: spc_t}}")),
        ("SPW109", pod("tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]")),
        ("SPW109", pod("containers: [{name: c, image: ghcr.io/acme/checkout/x, livenessProbe: {httpGet: {host: 169.254.169.254, port: 80}}}]")),
        ("SPW109", pod("containers: [{name: c, image: ghcr.io/acme/checkout/x, volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]}]")),
        ("SPW109", app("patches: [{target: {kind: SpinApp}, merge: {spec: {serviceAnnotations: {external-dns.alpha.kubernetes.io/hostname: login.shop.example}}}}]")),
        ("SPW109", app("patches: [{target: {kind: SpinApp}, merge: {spec: {podAnnotations: {k8s.v1.cni.cncf.io/networks: kube-system/all}}}}]")),
        ("SPW109", object("v1", "Service", "spec: {selector: {a: b}, ports: [{port: 80, nodePort: 30000}]}")),
        ("SPW109", object("v1", "Service", "spec: {selector: {a: b}, loadBalancerClass: mine}")),
        ("SPW109", object("v1", "Secret", "type: helm.sh/release.v1")),
        ("SPW109", route(&format!("{PARENT}, hostnames: [cart.shop.example], rules: [{{backendRefs: [{{group: networking.istio.io, kind: Hostname, name: login.internal}}]}}]"))),
        ("SPW109", route(&format!("{PARENT}, hostnames: [cart.shop.example], rules: [{{filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{group: gateway.envoyproxy.io, kind: Backend, name: any}}}}}}]}}]"))),
        ("SPW103", route("parentRefs: [{namespace: infra, name: public, sectionName: https, group: mesh.example, kind: Mesh}], hostnames: [cart.shop.example]")),
        ("SPW103", route("parentRefs: [{namespace: infra, name: public, sectionName: https, group: \"\", kind: Service}], hostnames: [cart.shop.example]")),
        ("SPW109", route(&format!("{PARENT}, hostnames: [cart.shop.example], fieldOfTomorrow: {{a: b}}"))),
        ("SPW109", route(&format!("{PARENT}, hostnames: [cart.shop.example], rules: [{{filters: [{{type: Tomorrow, tomorrow: {{}}}}]}}]"))),
        ("SPW109", limiting("podSelector: {}, policyTypes: [Egress], egressAllow: [{}]")),
        ("SPW103", object("gateway.nginx.org/v1alpha1", "ClientSettingsPolicy", "spec: {targetSelectors: [{group: gateway.networking.k8s.io, kind: Gateway, matchLabels: {a: b}}]}")),
        ("SPW103", object("gateway.nginx.org/v1alpha1", "ClientSettingsPolicy", "spec: {targetRef: {group: gateway.networking.x-k8s.io, kind: XListenerSet, name: a}}")),
        ("SPW109", object("apps/v1", "Deployment", "spec: {template: {metadata: {finalizers: [a.example/b]}, spec: {containers: []}}}") + "---\n" + &beside(&policy(""))),
        ("SPW109", pod("volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {volumeName: others}}}}]")),
        ("SPW109", app("patches: [{target: {kind: SpinApp}, merge: {spec: {podAnnotations: {cdi.k8s.io/gpu: all}}}}]")),
        ("SPW107", object("argoproj.io/v1alpha1", "Rollout", "spec: {template: {metadata: {labels: {a: b}}}, other: {template: {metadata: {labels: {a: c}}, spec: {containers: []}}}}") + "---\n" + &beside(&limiting("policyTypes: [Egress], podSelector: {matchLabels: {a: b}}"))),
        ("SPW107", object("argoproj.io/v1alpha1", "Rollout", "spec: {templates: [{container: {image: ghcr.io/acme/checkout/x}}]}") + "---\n" + &beside(&limiting("policyTypes: [Egress], podSelector: {matchLabels: {a: b}}"))),
        ("SPW106", object("argoproj.io/v1alpha1", "Rollout", "podTemplate: {spec: {containers: [{image: evil}]}}") + "---\n" + &beside(&policy(""))),
        ("SPW108", object("argoproj.io/v1alpha1", "Rollout", "podTemplate: {spec: {serviceAccountName: someone, containers: []}}") + "---\n" + &beside(&policy(""))),
        ("SPW109", object("argoproj.io/v1alpha1", "Rollout", "podTemplate: {spec: {hostPID: true, containers: []}}") + "---\n" + &beside(&policy(""))),
        ("SPW109", object("argoproj.io/v1alpha1", "Rollout", "spec: {templates: [{spec: {schedulerName: mine, containers: []}}]}") + "---\n" + &beside(&policy(""))),
        ("SPW109", object("argoproj.io/v1alpha1", "Rollout", "spec: {podSpecPatch: \"hostPID: true\", template: {spec: {containers: []}}}") + "---\n" + &beside(&policy(""))),
        ("SPW107", object("argoproj.io/v1alpha1", "Rollout", "spec: {template: {metadata: {labels: {a: b}}, spec: {containers: []}}, worker: {podSpec: {containers: []}}}") + "---\n" + &beside(&limiting("policyTypes: [Egress], podSelector: {matchLabels: {a: b}}"))),
        ("SPW109", object("keda.sh/v1alpha1", "ScaledObject", "spec: {triggers: [{type: aws-sqs-queue, metadata: {identityOwner: operator}}]}")),
        ("SPW109", object("keda.sh/v1alpha1", "ScaledObject", "spec: {triggers: [{type: kafka, authenticationRef: {kind: ClusterTriggerAuthentication, name: all}}]}")),
        // What is the platform's to write, and others' objects.
        ("local-kind", "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec: {}\n".to_owned()),
        ("local-kind", "apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {name: t}\nspec: {environment: test, digest: x, expires: y}\n".to_owned()),
        ("patch-foreign", patch("kind: ConfigMap, namespace: catalog", "{data: {a: \"2\"}}")),
        ("patch-foreign", patch("", "{metadata: {labels: {a: b}}}")),
        ("patch-foreign", patch("name: prices", "{data: null}")),
        ("duplicate-object", VICTIM.replace("\"1\"", "\"2\"")),
        ("value-unknown", app("variables: {a: \"${secret}\"}")),
    ]
}

#[test]
fn everything_that_a_tenant_tries_is_refused_by_the_right_rule() {
    let escapes = escapes();
    assert!(escapes.len() >= 70, "{}", escapes.len());
    let mut wrong = Vec::new();
    for (rule, text) in &escapes {
        let (desired, found) = refused(text);
        let ids: BTreeSet<&str> = found.iter().map(|d| d.id).collect();
        if !ids.contains(rule) || (rule.starts_with("SPW") && ids.len() > 1) {
            wrong.push(format!("{text}\n  wanted {rule}, got {ids:?}"));
        }
        // What is refused is not applied: it is no object, or an erroneous one.
        let mut desired = desired;
        desired.diagnostics.extend(found.clone());
        let erroneous = desired.erroneous();
        let passed: Vec<_> = desired
            .objects
            .iter()
            .filter(|(reference, m)| {
                m.object.origin.file.starts_with("apps/checkout")
                    && !erroneous.contains(reference)
                    && reference.name != "beside"
            })
            .map(|(reference, _)| reference.to_string())
            .collect();
        let is_app = text.contains("kind: App");
        if !is_app && !passed.is_empty() {
            wrong.push(format!("{text}\n  {passed:?} would be applied"));
        }
        // The other team's object is as it was.
        let victim = ObjectRef::new("", "ConfigMap", "catalog", "prices");
        let kept = desired.objects.get(&victim).is_some_and(|m| {
            m.object.value["data"]["a"] == "1" && m.object.value.pointer("/metadata/labels").is_none()
        });
        if !kept || desired.erroneous().contains(&victim) {
            wrong.push(format!("{text}\n  the other team's object is hurt"));
        }
        let placed = found
            .iter()
            .filter(|d| d.id == *rule)
            .all(|d| d.origin.as_ref().is_some_and(|o| o.file.starts_with("apps/checkout")) && d.help.is_some());
        if !placed {
            wrong.push(format!("{text}\n  {rule} has no place or no remedy"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_tenant_may_is_not_refused() {
    let fine = [
        app(
            "routes: [{name: a, gateway: infra/public, section: https, hosts: [\"${domain}\"], path: /cart}, {name: b, gateway: infra/public, section: https, hosts: [\"cart.${domain}\", \"x.pay.${domain}\"]}]",
        ),
        app("serviceAccount: runner")
            .replace("egress: []", "egress: [\"https://api.payments.example\", \"10.20.3.0/24:6379\", {app: pay}]"),
        app("serviceAccount: own") + "---\n" + &object("v1", "ServiceAccount", "").replace("name: x,", "name: own,"),
        pod(
            "containers: [{name: c, image: \"ghcr.io/acme/checkout/x:1\", securityContext: {privileged: false, allowPrivilegeEscalation: false}}]",
        ),
        pod("serviceAccountName: \"\", hostNetwork: null, hostPID: false"),
        pod("serviceAccountName: default, containers: [{name: c, securityContext: {procMount: Default}}]"),
        spin("a: b") + "---\n" + &limiting("policyTypes: [Egress], podSelector: {matchLabels: {a: b}}"),
        policy("{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: checkout}}}]}"),
        policy("{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shared}}}]}"),
        policy(&system("[{port: 53, protocol: UDP}, {port: 53, protocol: TCP}, {port: 53}]")),
        opened("{ports: [{port: 443, protocol: TCP}, {port: 443}]}"),
        opened("{to: [], ports: [{port: 443}]}"),
        policy("{to: [{ipBlock: {cidr: 10.20.0.0/16}}]}"),
        policy(
            "{to: [{ipBlock: {cidr: 10.20.0.0/16}}], ports: [{port: 1, endPort: 65535}, {port: 53, protocol: UDP}]}",
        ),
        policy("{to: [{ipBlock: {cidr: 10.30.0.0/16}}], ports: [{port: 6379}]}"),
        app("replicas: 1")
            .replace("egress: []", "egress: [\"10.30.0.0/16:6379\", \"https://192.0.2.9:443\", \"https://192.0.2.9\"]"),
        object("v1", "Service", "spec: {selector: {a: b}, externalIPs: [], externalName: null}"),
        // Kinds of other groups that are called so.
        object("route.example/v1", "Route", "spec: {parentRefs: [{name: x}], hostnames: [login.example]}"),
        object("gateway.networking.k8s.io/v1", "BackendTLSPolicy", "spec: {targetRefs: [{kind: Service, name: x}]}"),
        object("v1", "Secret", "stringData: {a: b}"),
        object("v1", "Service", "spec: {selector: {a: b}, ports: [{port: 80}]}"),
        object(
            "gateway.networking.k8s.io/v1",
            "GRPCRoute",
            &format!("spec: {{{PARENT}, hostnames: [cart.shop.example]}}"),
        ),
        patch("kind: ConfigMap, namespace: checkout", "{data: {a: \"2\"}}") + "---\n" + &object("v1", "ConfigMap", ""),
    ];
    for text in fine {
        let (desired, found) = refused(&text);
        assert!(found.is_empty() && desired.objects.len() > 1, "{text}\n{found:#?}");
    }
    let other = desired(
        "apps/catalog/role.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: catalog}\n",
    );
    assert!(guard(&other).is_empty());
    let platform = desired(
        "platform/role.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n",
    );
    assert!(guard(&platform).is_empty());
}

#[test]
fn a_violation_says_who_may() {
    let (_, found) = refused("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: catalog}\n");
    let said: Vec<String> = found
        .iter()
        .map(|d| {
            format!(
                "{}: {} {}",
                d.origin.as_ref().map(ToString::to_string).unwrap_or_default(),
                d.message.raw(),
                d.help.as_ref().map_or("", |h| h.raw())
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "apps/checkout/a.yaml:3:21: Tenant checkout may not use namespace catalog. `namespaces` at spinway.yaml:12:7 allows: checkout. Tenants catalog, free may."
        ]
    );
}

#[test]
fn one_mistake_is_said_once_and_where_it_stands() {
    let told = |text: &str| {
        let (_, found) = refused(text);
        let at = |d: &Diagnostic| d.origin.as_ref().map(|o| o.position.line).unwrap_or_default();
        found.iter().map(|d| format!("{} {}", at(d), d.id)).collect::<Vec<_>>()
    };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: prices}\n---\n";
    assert_eq!(told(&(map.to_owned() + &patch("kind: ConfigMap, name: x", "{data: {a: \"2\"}}"))), ["3 SPW101"]);
    // What declares no namespace is in the only one of its tenant.
    assert_eq!(told("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"), [""; 0]);
    assert_eq!(told("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: x}\n"), ["2 SPW102"]);
    let open = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: x\n  namespace: checkout\n  annotations:\n    \
                a: b\n    spinway.dev/not-enforced: https://evil.example\nspec: {podSelector: {}, policyTypes: [Egress]}\n";
    assert_eq!(told(open), ["8 SPW107"]);
    let host = app("replicas: 1").replace("egress: []", "egress: [\"https://evil.example\"]");
    assert_eq!(told(&host), ["4 SPW107"]);
}

#[test]
fn what_stands_beside_a_mistake_does_not_excuse_it() {
    let told = |text: &str| refused(text).1.iter().map(|d| d.id).collect::<Vec<_>>();
    // Policies that do not limit where the app connects to.
    for policy in [
        "policyTypes: [Ingress], podSelector: {}",
        "policyTypes: [Egress], podSelector: {matchLabels: {a: c}}",
        "policyTypes: [Egress], podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [c]}]}",
        "policyTypes: [Egress], podSelector: {matchExpressions: [{key: c, operator: DoesNotExist}]}",
    ] {
        assert_eq!(told(&(spin("a: b") + "---\n" + &limiting(policy))), ["SPW107"], "{policy}");
    }
    for policy in [
        "policyTypes: [Egress], podSelector: {matchLabels: {a: b}}",
        "policyTypes: [Egress], podSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}",
    ] {
        assert_eq!(told(&(spin("a: b") + "---\n" + &limiting(policy))), [""; 0], "{policy}");
    }
    // An object that takes the namespace of its tenant.
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n";
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n";
    assert_eq!(told(&(map.to_owned() + role)), ["SPW102"]);
}

#[test]
fn whoever_may_declare_a_kind_is_named() {
    let help = |kind: &str| {
        let text = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: x, namespace: checkout}}\n"
        );
        let (_, found) = refused(&text);
        found
            .iter()
            .filter(|d| d.id == "SPW102")
            .filter_map(|d| d.help.as_ref())
            .map(|h| h.raw().to_owned())
            .collect::<String>()
    };
    assert!(help("Role").ends_with(" Tenant catalog may."), "{}", help("Role"));
    assert!(help("Role").starts_with("`kinds` at spinway.yaml:21:7 allows: App, SpinApp,"), "{}", help("Role"));
    assert!(help("RoleBinding").ends_with(" Only the platform team can allow it."), "{}", help("RoleBinding"));
}

#[test]
fn a_tenant_whose_lists_allow_all_has_all_but_what_is_the_clusters() {
    let told = |text: &str| {
        let found = guard(&desired("apps/free/a.yaml", text));
        found.iter().map(|d| d.id).collect::<Vec<_>>()
    };
    let map =
        |namespace: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x, namespace: {namespace}}}\n");
    assert_eq!(told(&map("kube-system")), ["SPW101"]);
    assert_eq!(told(&map("spinway-system")), ["SPW101"]);
    assert_eq!(told(&map("anything")), [""; 0]);
    assert_eq!(told(&host("[login.example]", "{type: PathPrefix, value: /}")), [""; 0]);
    // One that shares hostnames, and has none of its own, is bound too.
    let route = host("[login.example]", "{type: PathPrefix, value: /catalog}").replace("checkout", "catalog");
    let found = guard(&desired("apps/catalog/a.yaml", &route));
    assert!(found.iter().any(|d| d.id == "SPW104"), "{found:?}");
}

#[test]
fn an_environment_is_protected_by_the_rules_too() {
    let mut desired = desired("platform/a.yaml", &pod("containers: [{name: c, image: \"a:1\"}]"));
    let found = |desired: &Desired| guard(desired).iter().map(|d| d.id).collect::<Vec<_>>();
    assert_eq!(found(&desired), [""; 0]);
    let environment = |name: &str, protected: bool| crate::desired::Environment {
        name: name.to_owned(),
        protected,
        ..crate::desired::Environment::default()
    };
    for (rules, expected) in [
        (vec![environment("other", true), environment("test", false)], vec![]),
        (vec![environment("test", true), environment("other", false)], vec!["SPW020", "SPW112"]),
    ] {
        if let Some(config) = &mut desired.config {
            config.environments = rules;
        }
        assert_eq!(found(&desired), expected);
    }
}

#[test]
fn an_identity_that_is_none_is_refused_with_the_config() {
    for account in [
        "",
        " ",
        "deployer",
        "checkout/",
        "/deployer",
        "checkout/a b",
        "checkout/deployer\\n",
        "system:admin",
        "checkout/system:masters",
        "a/b/c",
        "Checkout/deployer",
    ] {
        let config = CONFIG.replace("checkout/deployer", &format!("\"{account}\""));
        let entries = [("spinway.yaml".to_owned(), Entry::File(config.into_bytes()))].into();
        let read = read(&Tree::of(entries), Some("test"));
        assert!(matches!(read, Err(ReadError::Config(..))), "{account:?}");
    }
}

#[test]
fn protected_environments_take_images_by_digest_alone() {
    let config = CONFIG.replace("{name: test,", "{name: test, protected: true, cluster: {uid: u},");
    let digest = "0".repeat(64);
    for (image, fine) in [
        (format!("ghcr.io/acme/checkout/cart:1@sha256:{digest}"), true),
        (format!("ghcr.io/acme/checkout/cart@sha256:{digest}"), true),
        ("ghcr.io/acme/checkout/cart:1".to_owned(), false),
        ("ghcr.io/acme/checkout/cart".to_owned(), false),
        ("ghcr.io/acme/checkout/cart:1@sha256:00".to_owned(), false),
    ] {
        let text = app("replicas: 1").replace("ghcr.io/acme/checkout/cart:1", &image);
        let files =
            [("spinway.yaml", config.as_str()), ("apps/checkout/a.yaml", &text), ("platform/.spinwayignore", "")];
        let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        let desired = read(&Tree::of(entries.into()), Some("test")).unwrap_or_default();
        let ids: Vec<&str> = guard(&desired).iter().map(|d| d.id).collect();
        assert_eq!(ids, if fine { vec![] } else { vec!["SPW020"] }, "{image}");
    }
}

#[test]
fn a_definition_that_a_tenant_may_not_declare_decides_nothing() {
    let crd = |scope: &str, versions: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: spinapps.core.spinkube.dev}}\n\
             spec: {{group: core.spinkube.dev, names: {{kind: SpinApp, plural: spinapps}}, scope: {scope}, versions: [{versions}]}}\n---\n"
        )
    };
    let version =
        "{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, required: [nope]}}}";
    for definition in [crd("Namespaced", version), crd("Cluster", "")] {
        let text = definition + &app("replicas: 1");
        let desired = desired("apps/checkout/a.yaml", &text);
        let found = all(std::slice::from_ref(&desired), None, None);
        assert!(found.iter().any(|finding| finding.id == "SPW102"));
        assert!(!found.iter().any(|finding| finding.message.raw().contains("nope")), "{found:#?}");
        let spin_app = desired.of_kind("core.spinkube.dev", "SpinApp", Some("checkout")).next();
        assert!(
            spin_app.is_some_and(|(reference, _)| !desired.erroneous().contains(reference)),
            "{:#?}",
            desired.diagnostics
        );
    }
}
