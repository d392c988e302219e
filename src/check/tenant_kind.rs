//! SPW102.

use super::{Check, Context};
use crate::desired::{Member, Tenant, glob};
use crate::kinds::{GATEWAY, SPIN};
use crate::object::{Diagnostic, ObjectRef, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW102",
    name: "tenant-kind",
    severity: Severity::Error,
    guards: true,
    what: "A tenant declares an object of a kind that it may not declare.",
    why: "Objects of the whole cluster, and kinds that give rights, take traffic, lift limits or configure what all teams share, \
          undo every other rule. They are refused unless `kinds` of the tenant names them; with `kinds` nothing else is allowed.",
    example: "# apps/checkout/rights.yaml\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: all, namespace: checkout}\n\
              roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}\nsubjects: [{kind: ServiceAccount, name: default}]",
    remedy: "Have the platform team declare it, or add the kind to `kinds` of the tenant: `Deployment`, `Role.rbac.authorization.k8s.io`.",
    run,
};

/// Kinds of a namespace that undo other rules, with what they do; an empty kind stands for the whole group.
const PRIVILEGED: [(&str, &str, &str); 20] = [
    ("rbac.authorization.k8s.io", "", "it gives rights"),
    ("admissionregistration.k8s.io", "", "it decides about others' objects"),
    ("apiextensions.k8s.io", "", "it defines kinds"),
    ("apiregistration.k8s.io", "", "it serves kinds"),
    ("certificates.k8s.io", "", "it gives identities"),
    ("coordination.k8s.io", "", "it holds locks of controllers"),
    ("", "Namespace", "it makes room for others"),
    ("", "ResourceQuota", "it is what limits the tenant"),
    ("", "LimitRange", "it is what limits the tenant"),
    ("", "Endpoints", "it leads traffic to any address"),
    ("discovery.k8s.io", "EndpointSlice", "it leads traffic to any address"),
    ("", "PersistentVolume", "it is of the whole cluster"),
    (GATEWAY, "GatewayClass", "all teams share it"),
    (GATEWAY, "Gateway", "all teams share it"),
    (GATEWAY, "ListenerSet", "it opens listeners"),
    (SPIN, "SpinAppExecutor", "it decides what runs an app"),
    ("gateway.nginx.org", "SnippetsFilter", "it writes configuration of the proxy that all share"),
    ("gateway.nginx.org", "SnippetsPolicy", "it writes configuration of the proxy that all share"),
    ("gateway.envoyproxy.io", "EnvoyPatchPolicy", "it writes configuration of the proxy that all share"),
    ("gateway.envoyproxy.io", "EnvoyExtensionPolicy", "it runs code in the proxy that all share"),
];

fn allowed(tenant: &Tenant, object: &ObjectRef) -> bool {
    let names = [object.kind.clone(), format!("{}.{}", object.kind, object.group)];
    // A kind without its group means the core group, or one that is known by this name alone.
    let named = |pattern: &String| {
        let with_group = pattern.contains('.');
        names.iter().skip(usize::from(with_group)).any(|name| glob(pattern, name))
    };
    match &tenant.kinds {
        Some(kinds) => kinds.iter().any(named),
        None => object.namespace.is_some() && privilege(object).is_none(),
    }
}

fn privilege(object: &ObjectRef) -> Option<&'static str> {
    let known =
        PRIVILEGED.iter().find(|(group, kind, _)| object.group == *group && (kind.is_empty() || object.kind == *kind));
    known.map(|(_, _, what)| *what)
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    // One that only forgot its namespace is told so.
    let placed = |object: &ObjectRef| {
        let of = |d: &&Diagnostic| d.id == "object-namespace" && d.object.as_ref() == Some(object);
        object.namespace.is_some() || !context.desired.diagnostics.iter().any(|d| of(&d))
    };
    let refused = context
        .bound()
        .filter(|(member, tenant)| !allowed(tenant, &member.object.reference) && placed(&member.object.reference));
    let violation = |(member, tenant): (&Member, &Tenant)| {
        let object = &member.object.reference;
        let unnamed =
            || if object.namespace.is_none() { "it is of the whole cluster" } else { "`kinds` does not name it" };
        let what = format!("declare a {}: {}", object.kind, privilege(object).unwrap_or_else(unnamed));
        let may = |other: &Tenant| other.kinds.is_some() && allowed(other, object);
        context.violation(&CHECK, (member, tenant), "/kind", &what, may)
    };
    refused.map(violation).collect()
}
