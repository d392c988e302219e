//! SPW005.

use super::{Check, Context};
use crate::kinds::{self, SPIN, Section, each};
use crate::object::{Diagnostic, ObjectRef, Severity};

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

/// The ports of a Service of the repository, or of one that is made for a SpinApp of it.
fn ports(context: &Context<'_>, service: &ObjectRef) -> Option<Vec<i64>> {
    if let Some(member) = context.desired.objects.get(service) {
        let ports = each(&member.object.value, "spec.ports[].port");
        return Some(ports.into_iter().filter_map(|(_, port)| port.as_i64()).collect());
    }
    let app = ObjectRef::new(SPIN, "SpinApp", service.namespace(), &service.name);
    context.desired.objects.contains_key(&app).then(|| vec![80])
}
