//! SPW002.

use super::{Check, Context};
use crate::graph::{Grants, grants_reference};
use crate::kinds::{self, GATEWAY};
use crate::live::{Coverage, Source};
use crate::object::{Diagnostic, GroupKind, ObjectRef, Severity};

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
    let declared = Grants::of(context.desired);
    for object in context.objects().filter(|object| object.reference.group == GATEWAY) {
        let from = &object.reference;
        for reference in kinds::references(from, &object.value) {
            let to = &reference.to;
            let crosses = to.namespace.is_some() && to.namespace != from.namespace && to.group != GATEWAY;
            if !crosses || !needs_grant(from, &reference.pointer) || is_granted(context, &declared, from, to) {
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

/// Whether Gateway API asks for a grant: of what is in no namespace, and of parents, it does not (ReferenceGrant; ParentReference).
fn needs_grant(from: &ObjectRef, pointer: &str) -> bool {
    from.namespace.is_some() && !pointer.starts_with("/spec/parentRefs")
}

/// Whether a grant of the repository or of the cluster allows a reference, or may: they could not be listed.
fn is_granted(context: &Context<'_>, declared: &Grants<'_>, from: &ObjectRef, to: &ObjectRef) -> bool {
    let kind = GroupKind::new(GATEWAY, "ReferenceGrant");
    if !declared.between(from, to).is_empty() {
        return true;
    }
    let Some(live) = context.cluster() else { return false };
    let mut found = live.of_kind(GATEWAY, &kind.kind, Some(to.namespace()));
    let may_be_unseen = live.source != Source::Revision && !matches!(live.coverage.get(&kind), Some(Coverage::All));
    may_be_unseen || found.any(|(_, grant)| grants_reference(grant, from, to))
}
