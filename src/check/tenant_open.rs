//! SPW111.

use super::tenant_egress::makes_pods;
use super::{Check, Context};
use crate::object::{Diagnostic, Severity};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "SPW111",
    name: "tenant-open-egress",
    severity: Severity::Warning,
    guards: false,
    what: "A tenant without `egress` runs apps: they may connect anywhere.",
    why: "What an app may reach is what it can leak to. A protected environment requires `egress`; elsewhere nothing limits these apps \
          unless they do so themselves.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout]}]\n\
              # apps/checkout/app.yaml\napiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: checkout}\n\
              spec: {image: \"ghcr.io/acme/checkout/cart:1\"}",
    remedy: "Add `egress` to the tenant: the addresses that its apps may reach, `[]` for none, `[\"*\"]` for all.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    if context.is_protected() {
        // There it is refused.
        return Vec::new();
    }
    let running = context.bound().filter(|(member, tenant)| tenant.egress.is_none() && makes_pods(&member.object));
    let running: BTreeSet<&str> = running.map(|(_, tenant)| tenant.name.as_str()).collect();
    let tenants = context.rules.tenants.iter().enumerate().filter(|(_, tenant)| running.contains(tenant.name.as_str()));
    tenants
        .map(|(index, tenant)| {
            let environment = &context.desired.environment.name;
            let message = format!(
                "Tenant {} has no `egress`: in environment {environment} its apps may connect anywhere.",
                tenant.name
            );
            context.tenant_finding(&CHECK, index, message).help(CHECK.remedy)
        })
        .collect()
}
