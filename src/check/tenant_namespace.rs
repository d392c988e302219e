//! SPW101.

use super::{Check, Context};
use crate::desired::{Tenant, glob};
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

/// Namespaces that begin so are Kubernetes' own: a tenant has one only by a pattern that begins so too.
const RESERVED: &str = "kube-";

/// Whether a tenant has a namespace.
pub(super) fn has(tenant: &Tenant, namespace: &str, inventory: &str) -> bool {
    let may_name = |pattern: &&String| !namespace.starts_with(RESERVED) || pattern.starts_with(RESERVED);
    namespace != inventory && tenant.namespaces.iter().filter(may_name).any(|pattern| glob(pattern, namespace))
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
        let is_special = namespace.starts_with(RESERVED) || namespace == inventory;
        Some(context.of_list(violation, tenant, is_special || !tenant.namespaces.is_empty()))
    });
    foreign.collect()
}
