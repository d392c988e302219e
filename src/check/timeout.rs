//! SPW027.

use super::{Check, Context, feature};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Severity};
use crate::schema::Support;

pub(super) const CHECK: Check = Check {
    id: "SPW027",
    name: "timeout",
    severity: Severity::Note,
    guards: false,
    what: "A route has no time limit, and its controller would keep one.",
    why: "Without a limit of its own a request waits as long as the controller's default says, which may be for ever: one slow \
          app then holds the connections of all.",
    example: "# spinway.yaml: controllers: [{gatewayClass: c, release: envoy-gateway@1.9}]\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
              metadata: {name: cart, namespace: checkout}\nspec: {parentRefs: [{namespace: infra, name: public}], rules: [{backendRefs: [{name: cart, port: 80}]}]}",
    remedy: "Add `timeouts: {request: 10s}`, in an App `timeout: 10s`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.objects().filter(|o| o.reference.is(GATEWAY, "HTTPRoute")) {
        let releases = feature::releases(context, route);
        let keeps = |release: &_| crate::schema::Release::supports(release, "HTTPRouteRequestTimeout") == Support::Yes;
        if releases.is_empty() || !releases.values().all(keeps) {
            continue;
        }
        let without = each(&route.value, "spec.rules[]")
            .into_iter()
            .find(|(_, rule)| !each(rule, "backendRefs[]").is_empty() && rule.pointer("/timeouts/request").is_none());
        if let Some((pointer, _)) = without {
            let message = format!("{} has no time limit.", route.reference);
            found.push(context.finding(&CHECK, route, &pointer, message).help(CHECK.remedy));
        }
    }
    found
}
