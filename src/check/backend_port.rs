//! SPW005.

use super::{Check, Context};
use crate::fields::{Element, FieldSet, Managers};
use crate::kinds::{self, SPIN, Section, each};
use crate::object::{Diagnostic, ObjectRef, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW005",
    name: "backend-port",
    severity: Severity::Error,
    guards: false,
    what: "A backend names a port that its Service does not have.",
    why: "Requests to it are answered with 500. The Service of a SpinApp has port 80 alone, and no way to have another.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: a, executor: e}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: {rules: [{backendRefs: [{name: cart, port: 8080}]}]}",
    remedy: "Name a port of the Service; 80 for a SpinApp.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.routes() {
        for reference in kinds::references(&route.reference, &route.value) {
            let Some(Section::Port(port)) = reference.section else { continue };
            let Some(ports) = ports(context, &reference.to).filter(|ports| !ports.contains(&port)) else { continue };
            let known: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let message = format!("{} has no port {port}.", reference.to);
            let pointer = format!("{}/port", reference.pointer);
            found
                .push(context.finding(&CHECK, route, &pointer, message).help(format!("It has: {}.", known.join(", "))));
        }
    }
    found
}

/// The ports of a Service: of the repository, of one that is made for a SpinApp of it, or of the cluster. None when it has none
/// (`ExternalName`) or they are not known.
fn ports(context: &Context<'_>, service: &ObjectRef) -> Option<Vec<i64>> {
    let live = context.cluster().and_then(|live| live.get(service));
    if let Some(member) = context.desired.counting(service) {
        let mut ports = of_service(&member.object.value)?;
        // Others may have given it more.
        ports.extend(live.map(foreign).unwrap_or_default());
        return Some(ports);
    }
    let app = ObjectRef::new(SPIN, "SpinApp", service.namespace(), &service.name);
    if context.desired.objects.contains_key(&app) {
        return Some(vec![80]);
    }
    of_service(live.filter(|_| service.is("", "Service"))?)
}

fn of_service(service: &Value) -> Option<Vec<i64>> {
    if service.pointer("/spec/type").is_some_and(|kind| kind == "ExternalName") {
        return None;
    }
    let ports: Vec<i64> =
        each(service, "spec.ports[].port").into_iter().filter_map(|(_, port)| port.as_i64()).collect();
    // A snapshot does not keep those of others.
    Some(ports).filter(|ports| !ports.is_empty())
}

/// The ports of a live Service that are not ours to take away.
fn foreign(service: &Value) -> Vec<i64> {
    let managers = Managers::of(service);
    let ours = managers.ours().map(FieldSet::paths).unwrap_or_default();
    let holds = |port: i64| {
        let names = |item: &Element| item.keys().get("port").and_then(Value::as_i64) == Some(port);
        ours.iter().any(|path| path.0.get(2).is_some_and(names))
    };
    of_service(service).unwrap_or_default().into_iter().filter(|port| !holds(*port)).collect()
}
