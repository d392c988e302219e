//! SPW110.

use super::{Check, Context};
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW110",
    name: "tenant-bounds",
    severity: Severity::Warning,
    guards: false,
    what: "A tenant of the Config may use every namespace.",
    why: "A list that is not given sets no bounds: without `namespaces` its pull requests may change what any team has.",
    example: "# spinway.yaml\ntenants: [{name: checkout, paths: [apps/checkout]}]",
    remedy: "Give it `namespaces`, and where they matter `gateways`, `hostnames`, `pathPrefixes`, `images`, `egress`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let unbounded = context.rules.tenants.iter().enumerate().filter(|(_, tenant)| tenant.namespaces.is_none());
    unbounded
        .map(|(index, tenant)| {
            let message = format!("Tenant {} may use every namespace.", tenant.name);
            let finding = Diagnostic::new(CHECK.severity, CHECK.id, message).help(CHECK.remedy);
            match context.desired.config_place(&format!("/spec/tenants/{index}")) {
                Some(place) => finding.at(place),
                None => finding,
            }
        })
        .collect()
}
