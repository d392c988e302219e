//! SPW035.

use super::{Check, Context};
use crate::kinds::{self, GATEWAY, SPIN};
use crate::object::{Diagnostic, Object, ObjectRef, Severity};
use crate::schema::groups_of;

pub(super) const CHECK: Check = Check {
    id: "SPW035",
    name: "backend-kind",
    severity: Severity::Error,
    guards: false,
    what: "A backend of a route is of a kind that no controller can send requests to.",
    why: "A backend is a Service, or a kind that the controller brings along. Workloads of Kubernetes and SpinApps are neither: the \
          condition ResolvedRefs becomes False with reason InvalidKind, and requests are answered with 500. Of a Service of type \
          ExternalName there is a note, since many controllers do not support it.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              rules: [{backendRefs: [{group: apps, kind: Deployment, name: cart, port: 80}]}]",
    remedy: "Reference the Service in front of the workload: `{name: cart, port: 80}`. For a SpinApp that is the Service of its name.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.routes().flat_map(|route| of_route(context, route)).collect()
}

fn of_route(context: &Context<'_>, route: &Object) -> Vec<Diagnostic> {
    let references = kinds::references(&route.reference, &route.value);
    let backends = references.into_iter().filter(|reference| reference.pointer.contains("/backendRef"));
    // A filter of a backend names an object of the controller.
    let backends = backends.filter(|reference| !reference.pointer.ends_with("/extensionRef"));
    let finding = |(pointer, to): (String, ObjectRef)| {
        let (severity, message, help) = judged(context, route, &to)?;
        let finding = context.finding(&CHECK, route, &pointer, message).help(help);
        Some(Diagnostic { severity, ..finding })
    };
    backends.map(|reference| (reference.pointer, reference.to)).filter_map(finding).collect()
}

fn judged(context: &Context<'_>, route: &Object, to: &ObjectRef) -> Option<(Severity, String, String)> {
    if to.is("", "Service") {
        return is_external(context, to).then(|| {
            let message =
                format!("{to} is of type ExternalName, which not every Gateway controller supports as a backend.");
            (Severity::Note, message, "Look into the documentation of the controller.".to_owned())
        });
    }
    // The core group has no kinds but those of Kubernetes.
    let is_known = to.group.is_empty() || groups_of(&to.kind).contains(to.group.as_str());
    if !is_known || to.group == GATEWAY {
        return None;
    }
    let help = if to.is(SPIN, "SpinApp") {
        format!("Write `{{name: {}, port: 80}}`: SpinKube makes a Service of that name.", to.name)
    } else {
        "Reference the Service in front of it: `{name: NAME, port: PORT}`.".to_owned()
    };
    let message = format!("{} sends requests to {to}, which is not a valid kind of backend.", route.reference);
    Some((CHECK.severity, message, help))
}

/// Whether a Service of the repository or of the cluster is only another name of a host.
fn is_external(context: &Context<'_>, service: &ObjectRef) -> bool {
    let declared = context.desired.counting(service).map(|member| &member.object.value);
    let value = declared.or_else(|| context.cluster().and_then(|live| live.get(service)));
    value.and_then(|value| value.pointer("/spec/type")).is_some_and(|kind| kind == "ExternalName")
}
