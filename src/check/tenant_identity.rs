//! SPW112.

use super::{Check, Context};
use crate::desired::Desired;
use crate::object::{Diagnostic, Severity};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "SPW112",
    name: "tenant-identity",
    severity: Severity::Error,
    guards: true,
    what: "A tenant of a protected environment has no service account: nothing of it is applied there.",
    why: "With a service account of its own the API server refuses what the tenant has no right to, whatever spinway's own checks let \
          through by mistake.",
    example: "# spinway.yaml: environments: [{name: live, protected: true}], tenants: [{name: checkout, paths: [apps/checkout]}]\n\
              # apps/checkout/map.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: checkout}",
    remedy: "Add a ServiceAccount, a Role with `create`, `patch` and `delete` for the tenant's kinds, and a RoleBinding to a platform folder \
             (`spinway check --suggest-rules` prints them, `spinway new tenant` writes those of a new tenant), have an \
             administrator apply them, and name the account as `serviceAccount: NAMESPACE/NAME` of the tenant.",
    run,
};

/// The tenants without the service account that the environment requires: nothing may be asked for them, no deletion either.
pub fn without_account(desired: &Desired) -> BTreeSet<&str> {
    let rules = desired.rules();
    let is_required = rules.is_protected(&desired.environment);
    let lacking = rules.tenants.iter().filter(|tenant| is_required && tenant.service_account.is_none());
    lacking.map(|tenant| tenant.name.as_str()).collect()
}

/// Those of [`without_account`] that declare something.
pub fn declaring(desired: &Desired) -> BTreeSet<&str> {
    let partitions: BTreeSet<&str> = desired.objects.values().map(|member| member.partition.as_str()).collect();
    let mut lacking = without_account(desired);
    lacking.retain(|tenant| partitions.contains(tenant));
    lacking
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let declaring = declaring(context.desired);
    let tenants =
        context.rules.tenants.iter().enumerate().filter(|(_, tenant)| declaring.contains(tenant.name.as_str()));
    tenants
        .map(|(index, tenant)| {
            let message = format!(
                "Tenant {} has no `serviceAccount`, which the protected environment {} requires: nothing of the tenant is applied there.",
                tenant.name, context.desired.environment.name
            );
            context.tenant_finding(&CHECK, index, message).help(CHECK.remedy)
        })
        .collect()
}
