//! SPW016.

use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Object, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW016",
    name: "certificate",
    severity: Severity::Warning,
    guards: false,
    what: "A listener serves a hostname that its certificate does not name.",
    why: "Browsers refuse the connection. A wildcard of a certificate stands for one label, that of a listener for any number.",
    example: "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: shop, namespace: infra}\nspec: {secretName: shop-tls, dnsNames: [shop.example]}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: infra}\nspec:\n  gatewayClassName: c\n  listeners:\n    \
              - {name: https, port: 443, protocol: HTTPS, hostname: www.shop.example, tls: {certificateRefs: [{name: shop-tls}]}}",
    remedy: "Add the hostname to `dnsNames` of the Certificate.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let gateways =
        context.objects().filter(|o| o.reference.is(GATEWAY, "Gateway") || o.reference.is(GATEWAY, "ListenerSet"));
    gateways.flat_map(|gateway| of_gateway(context, gateway)).collect()
}

fn of_gateway(context: &Context<'_>, gateway: &Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (pointer, listener) in each(&gateway.value, "spec.listeners[]") {
        let Some(hostname) = listener.get("hostname").and_then(Value::as_str).filter(|h| !h.is_empty()) else {
            continue;
        };
        let references = each(listener, "tls.certificateRefs[]");
        let known: Vec<Vec<&str>> =
            references.iter().filter_map(|(_, reference)| names(context, gateway, reference)).collect();
        let complete = known.len() == references.len() && !known.is_empty();
        if complete && !known.iter().flatten().any(|name| covers(name, hostname)) {
            let names: Vec<&str> = known.into_iter().flatten().collect();
            let message = format!("The certificate of this listener is for {}, not for {hostname}.", names.join(", "));
            found.push(context.finding(&CHECK, gateway, &format!("{pointer}/hostname"), message).help(CHECK.remedy));
        }
    }
    found
}

/// The names of the Certificate that makes a Secret, if the repository has it.
fn names<'a>(context: &Context<'a>, gateway: &Object, reference: &Value) -> Option<Vec<&'a str>> {
    let namespace = reference.get("namespace").and_then(Value::as_str).unwrap_or(gateway.reference.namespace());
    let secret = reference.get("name").and_then(Value::as_str)?;
    let makes = |object: &&Object| {
        object.reference.is("cert-manager.io", "Certificate")
            && object.reference.namespace() == namespace
            && object.value.pointer("/spec/secretName").is_some_and(|name| name == secret)
    };
    let certificate = context.objects().find(makes)?;
    let names = each(&certificate.value, "spec.dnsNames[]").into_iter().filter_map(|(_, name)| name.as_str());
    Some(names.collect())
}

/// Whether a name of a certificate covers a hostname (RFC 6125): a wildcard stands for one label.
fn covers(name: &str, hostname: &str) -> bool {
    let (name, hostname) = (name.to_ascii_lowercase(), hostname.to_ascii_lowercase());
    let one_label = |suffix: &str| hostname.split_once('.').is_some_and(|(label, rest)| rest == suffix && label != "*");
    name == hostname || name.strip_prefix("*.").is_some_and(one_label)
}
