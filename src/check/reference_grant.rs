//! SPW002.

use super::{Check, Context};
use crate::graph::grants_reference;
use crate::kinds::{self, GATEWAY};
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW002",
    name: "reference-grant",
    severity: Severity::Warning,
    guards: false,
    what: "A reference into another namespace has no ReferenceGrant there.",
    why: "Gateway API ignores it: the route answers 500, the listener has no certificate, and the condition RefNotPermitted \
          cannot be told from a target that is missing.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              rules: [{backendRefs: [{namespace: catalog, name: search, port: 80}]}]",
    remedy: "Have the team of that namespace declare the grant that the finding prints.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for object in context.objects().filter(|object| object.reference.group == GATEWAY) {
        let from = &object.reference;
        for reference in kinds::references(from, &object.value) {
            let to = &reference.to;
            let crosses = to.namespace.is_some() && to.namespace != from.namespace && to.group != GATEWAY;
            let mut grants = context.desired.of_kind(GATEWAY, "ReferenceGrant", Some(to.namespace()));
            if !crosses || grants.any(|(_, grant)| grants_reference(&grant.object.value, from, to)) {
                continue;
            }
            let message =
                format!("{from} refers to {to}, and no ReferenceGrant of namespace {} allows it.", to.namespace());
            let grant = format!(
                "Declare: {{apiVersion: {GATEWAY}/v1, kind: ReferenceGrant, metadata: {{name: {}-{}, namespace: {}}}, spec: {{from: \
                 [{{group: {GATEWAY}, kind: {}, namespace: {}}}], to: [{{group: \"{}\", kind: {}, name: {}}}]}}}}",
                from.namespace(),
                from.name,
                to.namespace(),
                from.kind,
                from.namespace(),
                to.group,
                to.kind,
                to.name
            );
            found.push(context.finding(&CHECK, object, &reference.pointer, message).help(grant));
        }
    }
    found
}
