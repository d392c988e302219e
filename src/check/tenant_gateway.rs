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
    remedy: "Name one of the tenant's `gateways` (`NAMESPACE/NAME`, or `NAMESPACE/NAME/LISTENER`), or have the platform team add this one. \
             A ListenerSet is allowed by an entry for its whole Gateway, and only where the repository declares the ListenerSet.",
    run,
};

/// What a reference attaches to: `NAMESPACE/NAME`, and the listener.
struct Target<'a> {
    path: String,
    section: Option<&'a str>,
    kind: TargetKind,
}

/// What a reference attaches to, as far as `gateways` can allow it.
enum TargetKind {
    Gateway,
    /// The listeners of a ListenerSet are those of its Gateway: `NAMESPACE/NAME` of that, where the repository has the ListenerSet.
    ListenerSet(Option<String>),
    /// A Service is a parent in a mesh: whoever calls it is redirected.
    Service,
    /// No entry can allow it.
    Other,
}

impl Target<'_> {
    fn is_own_service(&self, own: &str) -> bool {
        matches!(self.kind, TargetKind::Service) && self.path.starts_with(&format!("{own}/"))
    }

    /// Whether an entry of `gateways` can allow it.
    fn may_be_listed(&self) -> bool {
        matches!(self.kind, TargetKind::Gateway | TargetKind::ListenerSet(_))
    }

    /// The entry of `gateways` that allows it and nothing else; none where none can.
    fn entry(&self) -> Option<String> {
        match &self.kind {
            TargetKind::Gateway => {
                Some([Some(self.path.as_str()), self.section].into_iter().flatten().collect::<Vec<_>>().join("/"))
            }
            TargetKind::ListenerSet(gateway) => gateway.clone(),
            TargetKind::Service | TargetKind::Other => None,
        }
    }
}

fn target<'a>(context: &Context<'_>, reference: &'a Value, own: &'a str) -> Target<'a> {
    let text = |field: &str| reference.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (namespace, name) = (text("namespace").unwrap_or(own), text("name").unwrap_or_default());
    let is_gateway_api = text("group").unwrap_or(GATEWAY) == GATEWAY;
    let kind = match text("kind").unwrap_or("Gateway") {
        "Gateway" if is_gateway_api => TargetKind::Gateway,
        LISTENER_SET if is_gateway_api => TargetKind::ListenerSet(gateway_of(context, namespace, name)),
        "Service" => TargetKind::Service,
        _ => TargetKind::Other,
    };
    Target { path: format!("{namespace}/{name}"), section: text("sectionName"), kind }
}

const LISTENER_SET: &str = "ListenerSet";

/// The Gateway of a ListenerSet, as `NAMESPACE/NAME`; none where the repository does not have the ListenerSet.
fn gateway_of(context: &Context<'_>, namespace: &str, name: &str) -> Option<String> {
    let set = context.desired.counting(&ObjectRef::new(GATEWAY, LISTENER_SET, namespace, name))?;
    let parent = set.object.value.pointer("/spec/parentRef")?;
    let text = |field: &str| parent.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_gateway = text("kind").unwrap_or("Gateway") == "Gateway" && text("group").unwrap_or(GATEWAY) == GATEWAY;
    is_gateway.then(|| format!("{}/{}", text("namespace").unwrap_or(namespace), text("name").unwrap_or_default()))
}

/// Whether a kind is that of what adds listeners to a Gateway.
fn is_listener_set(object: &ObjectRef) -> bool {
    object.is(GATEWAY, LISTENER_SET) || object.is("gateway.networking.x-k8s.io", "XListenerSet")
}

fn allowed(gateways: &[String], target: &Target<'_>) -> bool {
    let (path, section) = match &target.kind {
        TargetKind::Gateway => (Some(&target.path), target.section),
        // An entry with a listener means one of the Gateway's own.
        TargetKind::ListenerSet(gateway) => (gateway.as_ref(), None),
        TargetKind::Service | TargetKind::Other => return false,
    };
    let names = |pattern: &String, path: &String| match pattern.matches('/').count() {
        2 => section.is_some_and(|section| glob(pattern, &format!("{path}/{section}"))),
        _ => glob(pattern, path),
    };
    allows_all(gateways) || path.is_some_and(|path| gateways.iter().any(|pattern| names(pattern, path)))
}

/// The references by which an object attaches to Gateways, each with its place.
fn attached(object: &Object) -> Vec<(String, &Value)> {
    if is_route(&object.reference) {
        each(&object.value, "spec.parentRefs[]")
    } else if is_listener_set(&object.reference) {
        each(&object.value, "spec.parentRef")
    } else {
        Vec::new()
    }
}

/// What an object attaches to, as `gateways` of a tenant would name it; none for what no list can allow.
pub(super) fn used(object: &Object, context: &Context<'_>) -> Vec<String> {
    let own = object.reference.namespace();
    attached(object).into_iter().filter_map(|(_, parent)| target(context, parent, own).entry()).collect()
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
    for (pointer, parent) in attached(object) {
        let target = target(context, parent, own);
        if !target.is_own_service(own) && !allowed(&tenant.gateways, &target) {
            let what = format!("attach to {}", described(&target));
            let may = |other: &Tenant| allowed(&other.gateways, &target);
            let violation = context.violation(&CHECK, (member, tenant), &pointer, &what, may);
            found.push(context.of_list(violation, tenant, !target.may_be_listed() || !tenant.gateways.is_empty()));
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
            let what = format!("set a policy for the whole {} {}", aim.kind, target(context, reference, own).path);
            found.push(context.violation(&CHECK, (member, tenant), &pointer, &what, |_| false));
        }
    }
    found
}

/// What a reference attaches to, in words.
fn described(target: &Target<'_>) -> String {
    match (&target.kind, target.section) {
        (TargetKind::ListenerSet(Some(gateway)), _) => format!("ListenerSet {} of Gateway {gateway}", target.path),
        (TargetKind::ListenerSet(None), _) => {
            format!("ListenerSet {}, which the repository does not declare", target.path)
        }
        (_, Some(section)) => format!("{}, listener {section}", target.path),
        (_, None) => format!("{} without naming a listener", target.path),
    }
}
