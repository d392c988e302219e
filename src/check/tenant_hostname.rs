//! SPW104.

use super::context::is_route;
use super::{Check, Context};
use crate::desired::{Member, Tenant, allows_all};
use crate::kinds::each;
use crate::object::{Diagnostic, Object, Severity};
use crate::routing::covers;

pub(super) const CHECK: Check = Check {
    id: "SPW104",
    name: "tenant-hostname",
    severity: Severity::Error,
    guards: true,
    what: "A route of a tenant serves a hostname that is not the tenant's.",
    why: "Of two routes with one hostname and path the older one wins (Gateway API, HTTPRouteRule), so whoever may name any \
          hostname can take another team's requests, also later. A route without hostnames serves all of its listener.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], hostnames: [shop.example]}]\n# apps/checkout/route.yaml\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\n\
              spec: {parentRefs: [{namespace: infra, name: public}], hostnames: [login.example]}",
    remedy: "Name one of the tenant's `hostnames` (shared with others, together with `pathPrefixes`) or `ownHostnames` (all \
             paths), or have the platform team add this one. `*.shop.example` covers any labels before it.",
    run,
};

/// Whether any of these patterns covers a hostname.
pub(super) fn any_covers(patterns: &[String], hostname: &str) -> bool {
    allows_all(patterns) || patterns.iter().any(|pattern| covers(pattern, hostname))
}

fn has(tenant: &Tenant, hostname: &str) -> bool {
    any_covers(&tenant.hostnames, hostname) || any_covers(&tenant.own_hostnames, hostname)
}

/// The hostnames that a route serves, `*` for all of its listener.
pub(super) fn used(object: &Object) -> Vec<String> {
    if !is_route(&object.reference) {
        return Vec::new();
    }
    let hostnames = each(&object.value, "spec.hostnames[]");
    if hostnames.is_empty() {
        return vec!["*".to_owned()];
    }
    hostnames.into_iter().filter_map(|(_, hostname)| hostname.as_str().map(str::to_owned)).collect()
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let object = &member.object;
    let is_route = is_route(&object.reference);
    if !is_route || allows_all(&tenant.hostnames) || allows_all(&tenant.own_hostnames) {
        return Vec::new();
    }
    let has_list = !tenant.hostnames.is_empty() || !tenant.own_hostnames.is_empty();
    let violation = |pointer: &str, what: &str, may: &dyn Fn(&Tenant) -> bool| {
        context.of_list(context.violation(&CHECK, (member, tenant), pointer, what, may), tenant, has_list)
    };
    let hostnames = each(&object.value, "spec.hostnames[]");
    if hostnames.is_empty() {
        return vec![violation("/spec", "serve every hostname of a listener", &|_| false)];
    }
    let foreign = hostnames.into_iter().filter_map(|(pointer, hostname)| {
        let hostname = hostname.as_str().unwrap_or_default();
        let is_its = has(tenant, hostname);
        (!is_its).then(|| violation(&pointer, &format!("serve {hostname}"), &|other| has(other, hostname)))
    });
    foreign.collect()
}
