//! SPW103.

use super::context::is_route;
use super::tenant_namespace::has as has_namespace;
use super::{Check, Context};
use crate::desired::{Member, Tenant, allows_all, glob};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Object, ObjectRef, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW103",
    name: "tenant-gateway",
    severity: Severity::Error,
    guards: true,
    what: "A tenant attaches to a Gateway or listener that is not for it.",
    why: "Which Gateway serves a route decides who can reach it: an internal app on the public Gateway is an incident. A \
          route without `sectionName` attaches to every listener, and a policy whose target is a Gateway changes it for all teams.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], gateways: [infra/public/https]}]\n# apps/checkout/route.yaml\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\n\
              spec: {parentRefs: [{namespace: infra, name: internal}]}",
    remedy: "Name one of the tenant's `gateways` (`NAMESPACE/NAME`, or `NAMESPACE/NAME/LISTENER`), or have the platform team add this one.",
    run,
};

/// What a reference attaches to: `NAMESPACE/NAME`, and the listener.
struct Target<'a> {
    path: String,
    section: Option<&'a str>,
    /// A Service is a parent in a mesh: whoever calls it is redirected.
    is_service: bool,
    /// Whether it is what `gateways` are about.
    is_gateway: bool,
}

impl Target<'_> {
    fn is_own_service(&self, own: &str) -> bool {
        self.is_service && self.path.starts_with(&format!("{own}/"))
    }
}

fn target<'a>(reference: &'a Value, own: &'a str) -> Target<'a> {
    let text = |field: &str| reference.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let namespace = text("namespace").unwrap_or(own);
    Target {
        path: format!("{namespace}/{}", text("name").unwrap_or_default()),
        section: text("sectionName"),
        is_service: text("kind") == Some("Service"),
        is_gateway: matches!(text("kind").unwrap_or("Gateway"), "Gateway" | "ListenerSet")
            && text("group").unwrap_or(GATEWAY) == GATEWAY,
    }
}

fn allowed(gateways: &[String], target: &Target<'_>) -> bool {
    let names = |pattern: &String| match pattern.matches('/').count() {
        2 => target.section.is_some_and(|section| glob(pattern, &format!("{}/{section}", target.path))),
        _ => glob(pattern, &target.path),
    };
    target.is_gateway && (allows_all(gateways) || gateways.iter().any(names))
}

/// What a route attaches to, as `gateways` of a tenant would name it; none for what no list can allow.
pub(super) fn used(object: &Object) -> Vec<String> {
    let own = object.reference.namespace();
    if !is_route(&object.reference) {
        return Vec::new();
    }
    let parents = each(&object.value, "spec.parentRefs[]").into_iter().map(|(_, parent)| target(parent, own));
    let foreign = parents.filter(|target| target.is_gateway);
    foreign
        .map(|target| [Some(target.path.as_str()), target.section].into_iter().flatten().collect::<Vec<_>>().join("/"))
        .collect()
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let object = &member.object;
    let own = object.reference.namespace();
    let is_route = is_route(&object.reference);
    let mut found = Vec::new();
    let targets = || {
        ["spec.targetRef", "spec.targetRefs[]", "spec.targetSelectors[]"]
            .into_iter()
            .flat_map(|path| each(&object.value, path))
    };
    for (pointer, reference) in targets().filter(|_| !is_route) {
        let elsewhere = reference.get("namespace").and_then(Value::as_str).filter(|namespace| *namespace != own);
        let is_its = |namespace: &&str| has_namespace(tenant, namespace, &context.rules.inventory.namespace);
        if let Some(namespace) = elsewhere.filter(|namespace| !is_its(namespace)) {
            let what = format!("set a policy for an object of namespace {namespace}");
            found.push(context.violation(&CHECK, (member, tenant), &pointer, &what, |_| false));
        }
    }
    for (pointer, parent) in each(&object.value, "spec.parentRefs[]").into_iter().filter(|_| is_route) {
        let target = target(parent, own);
        if !target.is_own_service(own) && !allowed(&tenant.gateways, &target) {
            let section = target.section.map_or(" without naming a listener".to_owned(), |s| format!(", listener {s}"));
            let what = format!("attach to {}{section}", target.path);
            let may = |other: &Tenant| allowed(&other.gateways, &target);
            let violation = context.violation(&CHECK, (member, tenant), &pointer, &what, may);
            found.push(context.of_list(violation, tenant, !target.is_gateway || !tenant.gateways.is_empty()));
        }
    }
    if is_route && !allows_all(&tenant.gateways) && object.value.pointer("/spec/useDefaultGateways").is_some() {
        let what = "attach to Gateways that it does not name";
        found.push(context.violation(&CHECK, (member, tenant), "/spec/useDefaultGateways", what, |_| false));
    }
    for (pointer, reference) in targets().filter(|_| !is_route) {
        let text = |field: &str| reference.get(field).and_then(Value::as_str).unwrap_or_default();
        // What the tenant may declare is its own: a policy for anything else changes it for others.
        let aim = ObjectRef::new(text("group"), text("kind"), own, text("name"));
        if !tenant.may_declare(&aim) {
            let what = format!("set a policy for the whole {} {}", aim.kind, target(reference, own).path);
            found.push(context.violation(&CHECK, (member, tenant), &pointer, &what, |_| false));
        }
    }
    found
}
