//! SPW110.

use super::suggest;
use super::{Check, Context};
use crate::desired::{Config, Tenant};
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW110",
    name: "tenant-bounds",
    severity: Severity::Error,
    guards: true,
    what: "A tenant has no list of something that its files use, so it may use none of it.",
    why: "What a tenant's rules do not name is refused: a list that is forgotten must not open what it was meant to bound. \
          In earlier versions such a tenant had no bounds, so a Config of that time needs the lists once.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout]}]\n# apps/checkout/map.yaml\n\
              apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: checkout}",
    remedy: "Add the lists that the finding names (`spinway check --suggest-rules` prints those of all tenants), after reading whether the \
             tenant should have that. `\"*\"` in a list allows everything.",
    run,
};

/// The tenants that may have no object anywhere. A plan under such rules is refused as a whole, by the Config alone.
pub fn without_namespaces(rules: &Config) -> impl Iterator<Item = &Tenant> {
    rules.tenants.iter().filter(|tenant| tenant.namespaces.is_empty() && tenant.cluster_kinds.is_empty())
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut missing = suggest::missing(context);
    // Nearly everything is in a namespace: without the list an entry is not finished, whatever the files say.
    for tenant in without_namespaces(context.rules) {
        let own = missing.entry(tenant.name.clone()).or_default().entry("namespaces").or_default();
        if own.is_empty() {
            own.insert(tenant.name.clone());
        }
    }
    let tenants = context.rules.tenants.iter().enumerate();
    let found = tenants.filter_map(|(index, tenant)| {
        let lists = missing.get(&tenant.name)?;
        let names: Vec<String> = lists.keys().map(|name| format!("`{name}`")).collect();
        let message = format!("Tenant {} has no {}: what is not listed is refused.", tenant.name, names.join(", "));
        let help = format!("To allow what its files use now, add: {}.", suggest::written(lists).join("; "));
        Some(context.tenant_finding(&CHECK, index, message).help(help))
    });
    found.collect()
}
