//! SPW025.

use super::{Check, Context};
use crate::kinds::each;
use crate::object::{Diagnostic, Object, Severity};
use crate::routing::{Attachment, attach, listeners};
use serde_json::Value;

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
    context.routes().flat_map(|route| of_route(context, route)).collect()
}

fn of_route<'a>(context: &Context<'a>, route: &'a Object) -> Vec<Diagnostic> {
    let hostnames = each(&route.value, "spec.hostnames[]");
    // Those of TCP and UDP have none.
    if hostnames.is_empty() && !matches!(route.reference.kind.as_str(), "TCPRoute" | "UDPRoute") {
        let open =
            context.parents(route).into_iter().find(|(_, parent, gateway)| is_open(context, route, parent, gateway));
        return open.map(|(pointer, _, gateway)| every(context, route, &pointer, gateway)).into_iter().collect();
    }
    let wild = hostnames.into_iter().filter_map(|(pointer, hostname)| {
        let hostname = hostname.as_str().filter(|hostname| hostname.starts_with('*'))?;
        let message = format!("{} serves all of {hostname}.", route.reference);
        Some(context.finding(&CHECK, route, &pointer, message).help(CHECK.remedy))
    });
    wild.collect()
}

fn every(context: &Context<'_>, route: &Object, pointer: &str, gateway: &Object) -> Diagnostic {
    let message = format!("{} serves every hostname of {}.", route.reference, gateway.reference);
    context.finding(&CHECK, route, pointer, message).help(CHECK.remedy)
}

/// Whether a listener without a hostname of its own takes a route.
fn is_open(context: &Context<'_>, route: &Object, parent: &Value, gateway: &Object) -> bool {
    let labels = context.namespace_labels(route.reference.namespace());
    let value = (&route.reference, &route.value);
    let takes = |listener: &Value| {
        attach(listener, gateway.reference.namespace(), value, parent, labels.as_ref()) == Attachment::Taken
    };
    listeners(&gateway.value).into_iter().any(|listener| listener.get("hostname").is_none() && takes(listener))
}
