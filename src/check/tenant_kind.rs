//! SPW102.

use super::{Check, Context};
use crate::desired::{Member, OWN_KINDS, Tenant};
use crate::kinds::{GATEWAY, SPIN};
use crate::object::{Diagnostic, ObjectRef, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW102",
    name: "tenant-kind",
    severity: Severity::Error,
    guards: true,
    what: "A tenant declares an object of a kind that it may not declare.",
    why: "Objects of the whole cluster, and kinds that give rights, take traffic, lift limits or configure what all teams share, \
          undo every other rule, and new ones come with every controller. So a tenant without `kinds` may declare what an app \
          needs (App, SpinApp, HTTPRoute, GRPCRoute, Service, ConfigMap, Secret, HorizontalPodAutoscaler, ScaledObject, \
          NetworkPolicy, PodDisruptionBudget, ServiceMonitor, PodMonitor, ExternalSecret, SealedSecret, BackendTLSPolicy, workloads \
          (Deployment, StatefulSet, Job, CronJob) with their ServiceAccount, and the filters and policies that Gateway controllers \
          offer to app teams) and nothing else; with `kinds` it may declare these alone. Objects of the whole cluster must be \
          named in `clusterKinds` besides.",
    example: "# apps/checkout/rights.yaml\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: all, namespace: checkout}\n\
              roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}\nsubjects: [{kind: ServiceAccount, name: default}]",
    remedy: "Have the platform team declare it, or add the kind to `kinds` of the tenant: `Deployment`, `Role.rbac.authorization.k8s.io`; one of the \
             whole cluster to `clusterKinds` too.",
    run,
};

/// What some kinds do, for the words of a refusal; an empty kind stands for the whole group.
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

/// Whether an app needs the kind of an object, so that a tenant without `kinds` may declare it.
pub(super) fn is_own(object: &ObjectRef) -> bool {
    OWN_KINDS.iter().any(|(group, kind)| object.is(group, kind))
}

/// The kind of an object as `kinds` would name it. Kinds that undo other rules, and those of the whole cluster, are not for a list
/// that is suggested.
pub(super) fn used(object: &ObjectRef) -> Option<String> {
    let name = if object.group.is_empty() { object.kind.clone() } else { format!("{}.{}", object.kind, object.group) };
    (object.namespace.is_some() && privilege(object).is_none()).then_some(name)
}

fn privilege(object: &ObjectRef) -> Option<&'static str> {
    let known =
        PRIVILEGED.iter().find(|(group, kind, _)| object.group == *group && (kind.is_empty() || object.kind == *kind));
    known.map(|(_, _, what)| *what)
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    // One that only forgot its namespace is told so, and not applied. One of the whole cluster that names a namespace is what its
    // kind says: the API server leaves the field out.
    let placed = |object: &ObjectRef| {
        let forgot = |d: &Diagnostic| {
            d.id == "object-namespace" && d.severity == Severity::Error && d.object.as_ref() == Some(object)
        };
        object.namespace.is_some() || !context.desired.diagnostics.iter().any(forgot)
    };
    let refused = context
        .bound()
        .filter(|(member, tenant)| !tenant.may_declare(&member.object.reference) && placed(&member.object.reference));
    let violation = |(member, tenant): (&Member, &Tenant)| {
        let object = &member.object.reference;
        let unnamed = || match (&object.namespace, &tenant.kinds) {
            (None, _) => "it is of the whole cluster",
            (Some(_), Some(_)) => "`kinds` does not name it",
            (Some(_), None) => "an app does not need it, and the tenant has no `kinds` that name it",
        };
        let what = format!("declare a {}: {}", object.kind, privilege(object).unwrap_or_else(unnamed));
        let may = |other: &Tenant| other.kinds.is_some() && other.may_declare(object);
        context.violation(&CHECK, (member, tenant), "/kind", &what, may)
    };
    refused.map(violation).collect()
}
