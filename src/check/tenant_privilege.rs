//! SPW109.

use super::context::keyed;
use super::{Check, Context};
use crate::desired::{Member, Tenant};
use crate::object::{Diagnostic, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW109",
    name: "tenant-privilege",
    severity: Severity::Error,
    guards: true,
    what: "An object of a tenant leaves its bounds by a field.",
    why: "A pod with rights on its node has those of every pod there. A Service with external addresses takes their traffic, \
          one of type NodePort or LoadBalancer goes around the Gateway, one of type ExternalName leads into any network. A \
          Secret of type service-account-token makes a token. Owners and finalizers tie the object to others' lives.",
    example: "# apps/checkout/service.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: open, namespace: checkout}\n\
              spec: {type: LoadBalancer, selector: {app: cart}, ports: [{port: 80}]}",
    remedy: "Remove the field; what is needed beyond is the platform team's to declare.",
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

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let object = &member.object;
    let mut found: Vec<(String, String)> = Vec::new();
    for (field, what) in [("ownerReferences", "name owners"), ("finalizers", "set finalizers")] {
        let pointer = format!("/metadata/{field}");
        if object.value.pointer(&pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            found.push((pointer, format!("{what} of an object")));
        }
    }
    let reference = &object.reference;
    if reference.is("", "Service") {
        found.extend(service(&object.value));
    }
    if reference.is("", "Secret")
        && object.value.get("type").is_some_and(|kind| kind == "kubernetes.io/service-account-token")
    {
        found.push(("/type".to_owned(), "make tokens of service accounts".to_owned()));
    }
    for (pointer, value) in keyed(&object.value, "/spec", &POD) {
        let field = pointer.rsplit('/').next().unwrap_or_default();
        let is_harmless =
            *value == Value::Bool(false) || value.is_null() || (field == "procMount" && value == "Default");
        if !is_harmless {
            found.push((pointer.clone(), format!("set {field}: it gives rights on the node")));
        }
    }
    for (pointer, value) in keyed(&object.value, "/spec", &["priorityClassName"]) {
        if value.as_str().is_some_and(|name| name.starts_with("system-")) {
            found.push((pointer, "have a priority of the system: its pods drive out those of others".to_owned()));
        }
    }
    for (pointer, value) in keyed(&object.value, "/spec", &["tolerations"]) {
        let of_all = |item: &&Value| item.get("key").and_then(Value::as_str).unwrap_or_default().is_empty();
        if value.as_array().into_iter().flatten().any(|item| of_all(&item)) {
            found.push((pointer, "tolerate every taint: nodes are kept for others by them".to_owned()));
        }
    }
    for (pointer, value) in keyed(&object.value, "/spec", &["capabilities"]) {
        if value.get("add").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            found.push((format!("{pointer}/add"), "add capabilities".to_owned()));
        }
    }
    let violation =
        |(pointer, what): (String, String)| context.violation(&CHECK, (member, tenant), &pointer, &what, |_| false);
    found.into_iter().map(violation).collect()
}

fn service(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let kind = value.pointer("/spec/type").and_then(Value::as_str).unwrap_or("ClusterIP");
    if kind != "ClusterIP" {
        found.push(("/spec/type".to_owned(), format!("have a Service of type {kind}: requests come by Gateways")));
    }
    for field in ["externalIPs", "externalName", "loadBalancerIP"] {
        let pointer = format!("/spec/{field}");
        if value.pointer(&pointer).is_some_and(|value| !value.is_null() && *value != Value::Array(Vec::new())) {
            found.push((pointer, format!("set {field}: it takes or leads traffic past the Gateway")));
        }
    }
    // Without a selector the addresses come from elsewhere.
    if kind == "ClusterIP"
        && value.pointer("/spec/selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
    {
        found.push(("/spec".to_owned(), "have a Service without selector: anything may be behind it".to_owned()));
    }
    found
}
