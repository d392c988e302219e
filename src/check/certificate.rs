//! SPW016.

use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Object, Severity};
use crate::routing::{self, Attachment, attach, listeners};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW016",
    name: "certificate",
    severity: Severity::Warning,
    guards: false,
    what: "A listener, or a route behind it, serves a hostname that the listener's certificate does not name.",
    why: "Browsers refuse the connection. A wildcard of a certificate stands for one label, that of a listener for any number.",
    example: "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: shop, namespace: infra}\nspec: {secretName: shop-tls, dnsNames: [shop.example]}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: infra}\nspec:\n  gatewayClassName: c\n  listeners:\n    \
              - {name: https, port: 443, protocol: HTTPS, hostname: www.shop.example, tls: {certificateRefs: [{name: shop-tls}]}}",
    remedy: "Add the hostname to `dnsNames` of the Certificate, or give it a listener with a certificate of its own.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let gateways =
        context.objects().filter(|o| o.reference.is(GATEWAY, "Gateway") || o.reference.is(GATEWAY, "ListenerSet"));
    let at_listeners = gateways.flat_map(|gateway| of_gateway(context, gateway));
    at_listeners.chain(context.routes().flat_map(|route| of_route(context, route))).collect()
}

fn of_gateway(context: &Context<'_>, gateway: &Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (pointer, listener) in each(&gateway.value, "spec.listeners[]") {
        let Some(hostname) = hostname(listener) else { continue };
        let Some(names) = certified(context, gateway, listener).filter(|names| !any_covers(names, hostname)) else {
            continue;
        };
        let message = format!("The certificate of this listener is for {}, not for {hostname}.", names.join(", "));
        found.push(context.finding(&CHECK, gateway, &format!("{pointer}/hostname"), message).help(CHECK.remedy));
    }
    found
}

/// Hostnames of a route for which no listener that takes it has a certificate.
fn of_route<'a>(context: &Context<'a>, route: &'a Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let parents = context.parents(route);
    for (pointer, host) in each(&route.value, "spec.hostnames[]") {
        let Some(host) = host.as_str() else { continue };
        for (_, parent, gateway) in &parents {
            let serving = serving(context, route, host, parent, gateway);
            // Where the names of one certificate are not known it may be the one.
            let known: Option<Vec<_>> =
                serving.into_iter().map(|listener| certified(context, gateway, listener)).collect();
            let Some(known) = known.filter(|known| !known.is_empty()) else { continue };
            if !known.iter().any(|names| any_covers(names, host)) {
                let names = known.concat().join(", ");
                let message = format!("{} has a certificate for {names}, not for {host}.", gateway.reference);
                found.push(context.finding(&CHECK, route, &pointer, message).help(CHECK.remedy));
            }
        }
    }
    found
}

/// The listeners with certificates that take a route for a whole hostname of it.
fn serving<'a>(
    context: &Context<'a>,
    route: &Object,
    host: &str,
    parent: &Value,
    gateway: &'a Object,
) -> Vec<&'a Value> {
    let labels = context.namespace_labels(route.reference.namespace());
    let value = (&route.reference, &route.value);
    let takes = |listener: &Value| {
        attach(listener, gateway.reference.namespace(), value, parent, labels.as_ref()) == Attachment::Taken
    };
    let serves = |listener: &&Value| {
        let is_meant = hostname(listener).is_none_or(|own| routing::covers(own, host));
        is_meant && !each(listener, "tls.certificateRefs[]").is_empty() && takes(listener)
    };
    listeners(&gateway.value).into_iter().filter(serves).collect()
}

fn hostname(listener: &Value) -> Option<&str> {
    listener.get("hostname").and_then(Value::as_str).filter(|hostname| !hostname.is_empty())
}

/// The names in the certificates of a listener, if the repository has all of them.
fn certified<'a>(context: &Context<'a>, gateway: &Object, listener: &Value) -> Option<Vec<&'a str>> {
    let references = each(listener, "tls.certificateRefs[]").into_iter();
    let names: Option<Vec<Vec<&str>>> = references.map(|(_, reference)| names(context, gateway, reference)).collect();
    names.filter(|names| !names.is_empty()).map(|names| names.concat())
}

fn any_covers(names: &[&str], hostname: &str) -> bool {
    names.iter().any(|name| covers(name, hostname))
}

/// The names of the Certificate that makes a Secret, if the repository has it.
fn names<'a>(context: &Context<'a>, gateway: &Object, reference: &Value) -> Option<Vec<&'a str>> {
    let namespace = reference.get("namespace").and_then(Value::as_str).unwrap_or(gateway.reference.namespace());
    let secret = reference.get("name").and_then(Value::as_str)?;
    let mut certificates = context.desired.of_kind("cert-manager.io", "Certificate", Some(namespace));
    let makes = |value: &Value| value.pointer("/spec/secretName").is_some_and(|name| name == secret);
    let (_, certificate) = certificates.find(|(_, certificate)| makes(&certificate.object.value))?;
    let names = each(&certificate.object.value, "spec.dnsNames[]").into_iter().filter_map(|(_, name)| name.as_str());
    Some(names.collect())
}

/// Whether a name of a certificate covers a hostname (RFC 6125): a wildcard stands for one label.
fn covers(name: &str, hostname: &str) -> bool {
    let (name, hostname) = (name.to_ascii_lowercase(), hostname.to_ascii_lowercase());
    let one_label = |suffix: &str| hostname.split_once('.').is_some_and(|(label, rest)| rest == suffix && label != "*");
    name == hostname || name.strip_prefix("*.").is_some_and(one_label)
}
