//! SPW101.

use super::{Check, Context};
use crate::desired::Tenant;
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW101",
    name: "tenant-namespace",
    severity: Severity::Error,
    guards: true,
    what: "An object of a tenant is in a namespace that is not the tenant's.",
    why: "A namespace is what separates teams: its Secrets, its quotas, its service accounts. Whoever may write into another \
          team's namespace may replace what runs there. Namespaces of Kubernetes itself and of spinway's inventory are no \
          tenant's unless the Config names them.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], namespaces: [checkout]}]\n# apps/checkout/map.yaml\n\
              apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: catalog}",
    remedy: "Write one of the tenant's own namespaces, or have the platform team add this one to `namespaces` of the tenant.",
    run,
};

/// Whether a tenant may use a namespace: that of the inventory is nobody's.
pub(super) fn has(tenant: &Tenant, namespace: &str, inventory: &str) -> bool {
    namespace != inventory && tenant.has_namespace(namespace)
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let inventory = &context.rules.inventory.namespace;
    let foreign = context.bound().filter_map(|(member, tenant)| {
        let namespace = member.object.reference.namespace.as_deref()?;
        if has(tenant, namespace, inventory) {
            return None;
        }
        let what = format!("use namespace {namespace}");
        let may = |other: &Tenant| has(other, namespace, inventory);
        let violation = context.violation(&CHECK, (member, tenant), "/metadata/namespace", &what, may);
        // The list that is missing could not name it by `*`.
        let everything = Tenant { namespaces: vec!["*".to_owned()], ..Tenant::default() };
        let needs_list = tenant.namespaces.is_empty() && has(&everything, namespace, inventory);
        Some(context.of_list(violation, tenant, !needs_list))
    });
    foreign.collect()
}
