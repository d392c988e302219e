//! SPW003.

use super::{Check, Context};
use crate::object::{Diagnostic, Object, Severity};
use crate::routing::{Attachment, attach, listeners};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW003",
    name: "route-attachment",
    severity: Severity::Error,
    guards: false,
    what: "A route names a Gateway of which no listener takes it.",
    why: "The route is not served, and where no controller owns the parent it has no status at all that would say so.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: infra}\nspec: \
              {gatewayClassName: nginx, listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: \
              {parentRefs: [{namespace: infra, name: public}]}",
    remedy: "The finding says for each listener what excluded the route: its name, port, protocol, the namespaces that it takes \
             routes of (`allowedRoutes`), or its hostname.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.routes().flat_map(|route| of_route(context, route)).collect()
}

fn of_route<'a>(context: &Context<'a>, route: &'a Object) -> Vec<Diagnostic> {
    let labels = context.namespace_labels(route.reference.namespace());
    let mut found = Vec::new();
    for parent in context.listening(route) {
        let at = parent.gateway.namespace();
        let verdicts: Vec<(String, Attachment)> = listeners(parent.value)
            .into_iter()
            .map(|listener| {
                let name = listener.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let route = (&route.reference, &route.value);
                (name, attach(listener, at, route, parent.reference, labels.as_ref()))
            })
            .collect();
        if verdicts.iter().any(|(_, verdict)| !matches!(verdict, Attachment::Refused(_))) {
            continue;
        }
        let why = verdicts.iter().map(|(name, verdict)| match verdict {
            Attachment::Refused(why) => format!("{name}: {why}"),
            Attachment::Taken | Attachment::Unknown => String::new(),
        });
        let why = why.collect::<Vec<_>>().join("; ");
        let message = format!("No listener of {} takes {}.", parent.gateway, route.reference);
        let mut finding = context.finding(&CHECK, route, &parent.pointer, message);
        if let Some(gateway) = parent.declared {
            finding = finding.and(gateway.origin.clone(), "the listeners");
        }
        found.push(finding.help(if why.is_empty() { "It has no listeners.".to_owned() } else { format!("{why}.") }));
    }
    found
}
