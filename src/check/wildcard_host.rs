//! SPW025.

use super::{Check, Context};
use crate::kinds::each;
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW025",
    name: "wildcard-host",
    severity: Severity::Warning,
    guards: false,
    what: "A route serves every hostname, or all of a domain.",
    why: "It takes the requests of names that nobody has thought of yet, and of every team that has none of its own there.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: all, namespace: checkout}\nspec: \
              {parentRefs: [{namespace: infra, name: public}], hostnames: [\"*.shop.example\"]}",
    remedy: "Name the hostnames.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.routes() {
        for (pointer, hostname) in each(&route.value, "spec.hostnames[]") {
            let hostname = hostname.as_str().unwrap_or_default();
            if hostname.starts_with('*') {
                let message = format!("{} serves all of {hostname}.", route.reference);
                found.push(context.finding(&CHECK, route, &pointer, message).help(CHECK.remedy));
            }
        }
    }
    found
}
