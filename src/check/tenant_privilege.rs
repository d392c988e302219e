//! SPW109.

use super::context::{is_route, wanted};
use super::shape::{self, Beyond, SECRET_TYPES};
use super::{Check, Context};
use crate::desired::{Member, Tenant};
use crate::object::{Diagnostic, Object, ObjectRef, Severity, escape};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW109",
    name: "tenant-privilege",
    severity: Severity::Error,
    guards: true,
    what: "An object of a tenant leaves its bounds by a field.",
    why: "A pod with rights on its node has those of every pod there. A Service with external addresses takes their traffic, \
          one of type NodePort or LoadBalancer goes around the Gateway, one of type ExternalName leads into any network. A \
          Secret of type service-account-token makes a token, and so does what makes such a Secret. A monitor that reads files reads those \
          of Prometheus. Owners and finalizers tie the object to others' lives. Pods, containers, volumes, Services, Secrets, routes and NetworkPolicies may have \
          the fields that an app needs; any other field is refused, one that Kubernetes gets tomorrow too.",
    example: "# apps/checkout/service.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: open, namespace: checkout}\n\
              spec: {type: LoadBalancer, selector: {app: cart}, ports: [{port: 80}]}",
    remedy: "Remove the field, or use one that the finding lists; what is needed beyond is the platform team's to declare, or to let pass by \
             `suppressions` in spinway.yaml.",
    run,
};

/// Fields of pods that give rights on their node, whatever their value but false.
const POD: [&str; 10] = [
    "hostNetwork",
    "hostProcess",
    "nodeName",
    "hostPID",
    "hostIPC",
    "privileged",
    "hostPath",
    "hostPort",
    "allowPrivilegeEscalation",
    "procMount",
];

/// So many fields of one object are told: it is refused by the first.
const MOST_TOLD: usize = 100;

/// Annotations by which controllers reach beyond the object, by how they begin.
const ANNOTATIONS: [(&str, &str); 7] = [
    ("external-dns.alpha.kubernetes.io/", "it makes names in DNS"),
    ("k8s.v1.cni.cncf.io/", "it connects pods to other networks, past policies"),
    ("v1.multus-cni.io/", "it connects pods to other networks, past policies"),
    ("cdi.k8s.io/", "it gives pods devices of the node"),
    ("sidecar.istio.io/", "it changes images and volumes of pods"),
    ("proxy.istio.io/", "it changes the proxy of pods"),
    ("container.apparmor.security.beta.kubernetes.io/", "it changes what confines containers"),
];

/// What is found: where, and what is done there, with what may stand in its place.
struct Found {
    pointer: String,
    what: String,
    allowed: Vec<&'static str>,
}

impl Found {
    fn new(pointer: impl Into<String>, what: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), what: what.into(), allowed: Vec::new() }
    }
}

impl From<Beyond> for Found {
    fn from(Beyond { pointer, what, allowed }: Beyond) -> Self {
        Self { pointer, what: format!("set {what}: an app does not need it"), allowed }
    }
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let object = &member.object;
    let mut found = of_metadata(object);
    found.extend(of_pods(object));
    if object.reference.is("", "Service") {
        found.extend(of_service(&object.value));
    }
    found.extend(shape::of_spec(&object.reference, &object.value).into_iter().map(Found::from));
    found.extend(of_secret(object));
    found.extend(of_monitor(object));
    found.extend(of_references(object, tenant));
    let mut seen = std::collections::BTreeSet::new();
    // What has words of its own comes first.
    found.retain(|found| seen.insert(found.pointer.clone()));
    // Each is looked up in the text.
    found.truncate(MOST_TOLD);
    let violation = |Found { pointer, what, allowed }: Found| {
        let finding = context.violation(&CHECK, (member, tenant), &pointer, &what, |_| false);
        if allowed.is_empty() {
            return finding;
        }
        finding.help(format!(
            "Allowed there: {}. What is needed beyond is the platform team's to declare.",
            allowed.join(", ")
        ))
    };
    found.into_iter().map(violation).collect()
}

fn of_metadata(object: &Object) -> Vec<Found> {
    let mut found = Vec::new();
    for (field, what) in [("ownerReferences", "name owners"), ("finalizers", "set finalizers")] {
        let pointer = format!("/metadata/{field}");
        if object.value.pointer(&pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            found.push(Found::new(pointer, format!("{what} of an object")));
        }
    }
    for (pointer, list) in wanted(&object.value, &["ownerReferences", "finalizers"]) {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            found.push(Found::new(pointer, "set owners or finalizers of what is made for it"));
        }
    }
    let of_pods = ["annotations", "podAnnotations", "serviceAnnotations", "deploymentAnnotations"];
    let own = object.value.pointer("/metadata/annotations").map(|own| ("/metadata/annotations".to_owned(), own));
    for (pointer, annotations) in own.into_iter().chain(wanted(&object.value, &of_pods)) {
        for key in annotations.as_object().into_iter().flatten().map(|(key, _)| key) {
            if let Some((_, what)) = ANNOTATIONS.iter().find(|(begin, _)| key.starts_with(begin)) {
                found.push(Found::new(
                    format!("{pointer}/{}", escape(key)),
                    format!("set the annotation {key}: {what}"),
                ));
            }
        }
    }
    found
}

fn of_pods(object: &Object) -> Vec<Found> {
    let mut found = Vec::new();
    let all = |keys: &[&str]| wanted(&object.value, keys);
    for (pointer, value) in all(&POD) {
        let field = pointer.rsplit('/').next().unwrap_or_default();
        let is_harmless = shape::is_off(field, value) || (field == "procMount" && value == "Default");
        if !is_harmless {
            found.push(Found::new(pointer.clone(), format!("set {field}: it gives rights on the node")));
        }
    }
    for (pointer, value) in all(&["priorityClassName"]) {
        if value.as_str().is_some_and(|name| name.starts_with("system-")) {
            found.push(Found::new(pointer, "have a priority of the system: its pods drive out those of others"));
        }
    }
    for (pointer, value) in all(&["tolerations"]) {
        let key = |item: &Value| item.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        let keys = || value.as_array().into_iter().flatten().map(key);
        if keys().any(|key| key.is_empty()) {
            found.push(Found::new(pointer, "tolerate every taint: nodes are kept for others by them"));
        } else if keys().any(|key| CONTROL_PLANE.contains(&key.as_str())) {
            found.push(Found::new(pointer, "run on nodes of the control plane"));
        }
    }
    for (pointer, value) in all(&["capabilities"]) {
        // As Pod Security Standards (restricted) have it.
        let is_more = |name: &Value| name != "NET_BIND_SERVICE";
        if value.get("add").and_then(Value::as_array).is_some_and(|list| list.iter().any(is_more)) {
            found.push(Found::new(format!("{pointer}/add"), "add capabilities"));
        }
    }
    // The kubelet asks from the node (Pod Security Standards, host probes).
    for (pointer, value) in all(&["httpGet", "tcpSocket"]) {
        if value.get("host").and_then(Value::as_str).is_some_and(|host| !host.is_empty()) {
            found.push(Found::new(format!("{pointer}/host"), "have the node send requests to another host"));
        }
    }
    for (pointer, value) in all(&["volumeName"]) {
        if value.as_str().is_some_and(|name| !name.is_empty()) {
            found.push(Found::new(pointer, "claim a volume by its name: it may be that of others"));
        }
    }
    for (pointer, value) in all(&["dataSourceRef"]) {
        if value.get("namespace").and_then(Value::as_str).is_some_and(|of| of != object.reference.namespace()) {
            found.push(Found::new(pointer, "read a volume of another namespace"));
        }
    }
    for (pointer, patch) in all(&["podSpecPatch"]) {
        if patch.as_str().is_some_and(|patch| !patch.is_empty()) {
            found.push(Found::new(pointer, "patch pods by a text that is not read here"));
        }
    }
    for (pointer, value) in all(&["mountPropagation"]) {
        if value == "Bidirectional" {
            found.push(Found::new(pointer, "mount into the node"));
        }
    }
    found.extend(shape::of_pods(&object.value, object.reference.is("", "Pod")).into_iter().map(Found::from));
    found
}

/// The taints of nodes that run the cluster itself.
const CONTROL_PLANE: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

fn of_service(value: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    let kind = value.pointer("/spec/type").and_then(Value::as_str).unwrap_or("ClusterIP");
    if kind != "ClusterIP" {
        found.push(Found::new("/spec/type", format!("have a Service of type {kind}: requests come by Gateways")));
    }
    for field in ["externalIPs", "externalName", "loadBalancerIP"] {
        let pointer = format!("/spec/{field}");
        if value.pointer(&pointer).is_some_and(|value| !value.is_null() && *value != Value::Array(Vec::new())) {
            found.push(Found::new(pointer, format!("set {field}: it takes or leads traffic past the Gateway")));
        }
    }
    // Without a selector the addresses come from elsewhere.
    if kind == "ClusterIP"
        && value.pointer("/spec/selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
    {
        found.push(Found::new("/spec", "have a Service without selector: anything may be behind it"));
    }
    found
}

/// The type of a Secret, and of one that a controller makes by a template.
fn of_secret(object: &Object) -> Option<Found> {
    let reference = &object.reference;
    let pointer = match (reference.group.as_str(), reference.kind.as_str()) {
        ("", "Secret") => "/type",
        ("bitnami.com", "SealedSecret") => "/spec/template/type",
        ("external-secrets.io", "ExternalSecret") => "/spec/target/template/type",
        _ => return None,
    };
    let kind =
        object.value.pointer(pointer)?.as_str().filter(|kind| !kind.is_empty() && !SECRET_TYPES.contains(kind))?;
    let what = match kind {
        "kubernetes.io/service-account-token" => "make tokens of service accounts".to_owned(),
        kind => format!("have a Secret of type {kind}"),
    };
    Some(Found { allowed: SECRET_TYPES.to_vec(), ..Found::new(pointer, what) })
}

/// What Prometheus would read for a monitor beyond the namespace: files of its own pod, and other namespaces.
fn of_monitor(object: &Object) -> Vec<Found> {
    if object.reference.group != "monitoring.coreos.com" {
        return Vec::new();
    }
    let files = wanted(&object.value, &["bearerTokenFile", "caFile", "certFile", "keyFile"]);
    let files = files.into_iter().filter(|(_, file)| file.as_str().is_none_or(|file| !file.is_empty()));
    let files = files.map(|(pointer, _)| Found::new(pointer, "have Prometheus read a file of its own pod"));
    let is_address =
        |label: &Value| label.as_str().is_some_and(|label| label.starts_with("__") && !label.starts_with("__tmp"));
    let addresses = wanted(&object.value, &["targetLabel", "proxyUrl"]).into_iter();
    let addresses = addresses.filter(|(pointer, value)| pointer.ends_with("proxyUrl") || is_address(value));
    let addresses = addresses.map(|(pointer, _)| Found::new(pointer, "have Prometheus read from another address"));
    let own = object.reference.namespace();
    let elsewhere = wanted(&object.value, &["namespaceSelector"]).into_iter().filter(|(_, selector)| {
        let mut names = selector.get("matchNames").and_then(Value::as_array).into_iter().flatten();
        selector.get("any") == Some(&Value::Bool(true)) || names.any(|name| name != own)
    });
    let elsewhere = elsewhere.map(|(pointer, _)| Found::new(pointer, "have Prometheus read from other namespaces"));
    files.chain(addresses).chain(elsewhere).collect()
}

/// What requests are led to, and what is used, beyond what a tenant may declare.
fn of_references(object: &Object, tenant: &Tenant) -> Vec<Found> {
    let mut found = Vec::new();
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    for (pointer, backends) in wanted(&object.value, &["backendRefs", "backendRef"]) {
        let list = backends.as_array().map_or_else(
            || vec![(pointer.clone(), backends)],
            |list| list.iter().enumerate().map(|(index, backend)| (format!("{pointer}/{index}"), backend)).collect(),
        );
        for (pointer, backend) in list.into_iter().filter(|_| is_route(&object.reference)) {
            let (group, kind) = (text(backend, "group"), text(backend, "kind"));
            let target = ObjectRef::new(&group, &kind, object.reference.namespace(), &text(backend, "name"));
            let is_service = group.is_empty() && matches!(kind.as_str(), "" | "Service");
            if !is_service && !tenant.may_declare(&target) {
                found.push(Found::new(pointer, format!("lead requests to a {kind}, which it may not declare")));
            }
        }
    }
    if object.reference.is("external-secrets.io", "ExternalSecret")
        && object.value.pointer("/spec/target/manifest").is_some()
    {
        found.push(Found::new("/spec/target/manifest", "have another object than a Secret made"));
    }
    for (pointer, owner) in wanted(&object.value, &["identityOwner"]) {
        if owner == "operator" {
            found.push(Found::new(pointer, "use the identity of KEDA itself"));
        }
    }
    for (pointer, used) in wanted(&object.value, &["authenticationRef"]) {
        if text(used, "kind") == "ClusterTriggerAuthentication" {
            found.push(Found::new(pointer, "use credentials of the whole cluster"));
        }
    }
    found
}
