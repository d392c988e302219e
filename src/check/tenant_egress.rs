//! SPW107.

use super::{Check, Context};
use crate::desired::{Member, OPEN_EGRESS, Tenant};
use crate::kinds::{SPIN, each};
use crate::object::{Diagnostic, Severity};
use serde_json::Value;
use std::net::IpAddr;

pub(super) const CHECK: Check = Check {
    id: "SPW107",
    name: "tenant-egress",
    severity: Severity::Error,
    guards: true,
    what: "An app of a tenant may connect to where the tenant may not.",
    why: "What an app may reach is what it can leak to. NetworkPolicies add up, so one that is wider than the tenant's \
          `egress` opens it, and an app that none selects may connect anywhere.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], egress: [\"https://api.payments.example\"]}]\n\
              # apps/checkout/app.yaml\napiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: checkout}\n\
              spec: {image: \"ghcr.io/acme/checkout/cart:1\", egress: [\"https://elsewhere.example\"]}",
    remedy: "Name what the tenant's `egress` has (the same addresses, or networks within them), or have the platform team add \
             this one. Apps of one tenant may always reach each other.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let Some(egress) = &tenant.egress else { return Vec::new() };
    let reference = &member.object.reference;
    if reference.is(SPIN, "SpinApp") {
        let selected = context
            .desired
            .of_kind("networking.k8s.io", "NetworkPolicy", Some(reference.namespace()))
            .any(|(_, policy)| selects(&policy.object.value, &member.object.value));
        if selected {
            return Vec::new();
        }
        let what = "connect anywhere: no NetworkPolicy of the repository limits it";
        let help = "Add `egress` to the App: a list of addresses, empty for none.";
        return vec![context.violation(&CHECK, (member, tenant), "/spec", what, |_| false).help(help)];
    }
    if !reference.is("networking.k8s.io", "NetworkPolicy") {
        return Vec::new();
    }
    let value = &member.object.value;
    let hosts: Vec<&str> =
        member.object.annotation(OPEN_EGRESS).unwrap_or_default().split(' ').filter(|host| !host.is_empty()).collect();
    let mut found: Vec<(String, String)> = Vec::new();
    let foreign_hosts = hosts.iter().filter(|host| !egress.iter().any(|allowed| allowed == **host));
    found.extend(foreign_hosts.map(|host| (open_pointer(), format!("connect to {host}"))));
    for (pointer, rule) in each(value, "spec.egress[]") {
        let peers = each(rule, "to[]");
        if peers.is_empty() {
            // Hosts are not known to a NetworkPolicy: their port is opened to all, and they are named beside it.
            let named =
                !hosts.is_empty() && rule.get("ports").and_then(Value::as_array).is_some_and(|ports| !ports.is_empty());
            if !named {
                found.push((pointer, "connect anywhere".to_owned()));
            }
            continue;
        }
        for (below, peer) in peers {
            if let Some(what) = beyond(peer, tenant, egress) {
                found.push((format!("{pointer}{below}"), what));
            }
        }
    }
    let may = |what: &str| {
        let what = what.to_owned();
        move |other: &Tenant| other.egress.iter().flatten().any(|allowed| what.ends_with(&format!(" {allowed}")))
    };
    found
        .into_iter()
        .map(|(pointer, what)| context.violation(&CHECK, (member, tenant), &pointer, &what, may(&what)))
        .collect()
}

fn open_pointer() -> String {
    format!("/metadata/annotations/{}", crate::object::escape(OPEN_EGRESS))
}

/// Whether a policy limits where the pods of a SpinApp connect to.
fn selects(policy: &Value, app: &Value) -> bool {
    let limits = each(policy, "spec.policyTypes[]").iter().any(|(_, kind)| *kind == "Egress");
    let labels = app.pointer("/spec/podLabels");
    let wanted = policy.pointer("/spec/podSelector/matchLabels").and_then(Value::as_object);
    let has = |(key, value): (&String, &Value)| labels.and_then(|labels| labels.get(key)) == Some(value);
    let plain = policy.pointer("/spec/podSelector/matchExpressions").is_none();
    limits && plain && wanted.is_none_or(|wanted| wanted.iter().all(has))
}

/// What a peer allows that the tenant may not.
fn beyond(peer: &Value, tenant: &Tenant, egress: &[String]) -> Option<String> {
    if let Some(cidr) = peer.pointer("/ipBlock/cidr").and_then(Value::as_str) {
        let within = egress.iter().any(|allowed| contains(allowed, cidr));
        return (!within).then(|| format!("connect to {cidr}"));
    }
    let namespaces = peer.pointer("/namespaceSelector");
    let Some(selector) = namespaces else {
        // Pods of its own namespace.
        return None;
    };
    let name = selector.pointer("/matchLabels/kubernetes.io~1metadata.name").and_then(Value::as_str);
    let own = |name: &str| tenant.namespaces.iter().flatten().any(|own| own == name);
    let listed = |name: &str| egress.iter().any(|allowed| allowed == &format!("namespace:{name}"));
    match name {
        // Names are looked up there.
        Some("kube-system") => None,
        Some(name) if own(name) || listed(name) => None,
        Some(name) => Some(format!("connect to namespace:{name}")),
        None => Some("connect to namespaces that it does not name".to_owned()),
    }
}

/// Whether a network of the Config (`10.0.0.0/8`, with or without a port) contains another.
fn contains(allowed: &str, cidr: &str) -> bool {
    let read = |text: &str| -> Option<(IpAddr, u8)> {
        let (ip, length) = text.split_once('/')?;
        let length = length.split(':').next()?;
        Some((ip.parse().ok()?, length.parse().ok()?))
    };
    let (Some((outer, outer_length)), Some((inner, inner_length))) = (read(allowed), read(cidr)) else { return false };
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let ((outer, family), (inner, other)) = (bits(outer), bits(inner));
    let mask = if outer_length == 0 { 0 } else { u128::MAX << (128 - u32::from(outer_length.min(128))) };
    family == other && outer_length <= inner_length && outer & mask == inner & mask
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_network_contains_the_smaller_ones_within_it() {
        for (allowed, cidr, expected) in [
            ("10.0.0.0/8", "10.20.0.0/16", true),
            ("10.0.0.0/8:6379", "10.20.0.0/16", true),
            ("10.20.0.0/16", "10.0.0.0/8", false),
            ("10.20.0.0/16", "10.21.0.0/16", false),
            ("0.0.0.0/0", "10.0.0.0/8", true),
            ("::/0", "10.0.0.0/8", false),
            ("fd00::/8", "fd12::/16", true),
            ("https://api.example", "10.0.0.0/8", false),
        ] {
            assert_eq!(contains(allowed, cidr), expected, "{allowed} {cidr}");
        }
    }
}
