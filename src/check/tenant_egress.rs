//! SPW107.

use super::{Check, Context};
use crate::desired::network::{self, Peer};
use crate::desired::{Desired, Member, OPEN_EGRESS, Tenant, allows_all};
use crate::graph::{LIMITS, Limits, pod_labels};
use crate::kinds::each;
use crate::object::{Diagnostic, Object, ObjectRef, Severity};
use serde_json::Value;
use std::collections::BTreeSet;
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
    remedy: "Name what the tenant's `egress` has (the same addresses, or networks within them, at the port it gives, if it gives \
             one), or have the platform team add this one. Apps of one tenant may always reach each other.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let limits = Limits::of(context.desired);
    context.bound().flat_map(|bound| of_object(context, &limits, bound)).collect()
}

fn of_object(context: &Context<'_>, limits: &Limits<'_>, bound: (&Member, &Tenant)) -> Vec<Diagnostic> {
    let (member, tenant) = bound;
    let reference = &member.object.reference;
    let Some(egress) = &tenant.egress else {
        if !context.is_protected() || !makes_pods(&member.object) {
            return Vec::new();
        }
        let what = "run apps in a protected environment without `egress` in its rules";
        return vec![context.violation(&CHECK, bound, "/spec", what, |_| false)];
    };
    if allows_all(egress) {
        return Vec::new();
    }
    if POLICIES.contains(&reference.group.as_str()) {
        let what = format!("declare a {}: what it opens is not understood here", reference.kind);
        return vec![context.violation(&CHECK, bound, "/kind", &what, |_| false)];
    }
    if let Some(labels) = pod_labels(reference, &member.object.value) {
        return of_pods(context, limits, bound, &labels);
    }
    if !reference.is("networking.k8s.io", "NetworkPolicy") {
        return Vec::new();
    }
    let violation = |opened: Opened| {
        let may = |other: &Tenant| {
            let has = |egress: &Vec<String>| {
                allows_all(egress) || opened.entry.as_ref().is_some_and(|entry| egress.contains(entry))
            };
            other.egress.as_ref().is_some_and(has)
        };
        context.violation(&CHECK, bound, &opened.pointer, &format!("connect {}", opened.what), may)
    };
    of_policy(member, tenant, egress).into_iter().map(violation).collect()
}

/// What a policy opens beyond what the tenant may reach.
struct Opened {
    /// Where it says so.
    pointer: String,
    /// What, in words: `to 10.0.0.0/8`, `anywhere`.
    what: String,
    /// The entry of `egress` that would allow it, where there is one.
    entry: Option<String>,
}

impl Opened {
    fn to(pointer: impl Into<String>, entry: impl Into<String>) -> Self {
        let entry = entry.into();
        Self { pointer: pointer.into(), what: format!("to {entry}"), entry: Some(entry) }
    }

    fn what(pointer: impl Into<String>, what: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), what: what.into(), entry: None }
    }

    fn below(self, pointer: &str) -> Self {
        Self { pointer: format!("{pointer}{}", self.pointer), ..self }
    }
}

/// The groups of policies beside Kubernetes' own, which may allow what that one does not.
const POLICIES: [&str; 4] = ["cilium.io", "crd.projectcalico.org", "projectcalico.org", "policy.networking.k8s.io"];

/// Whether an object makes pods.
pub(super) fn makes_pods(object: &Object) -> bool {
    pod_labels(&object.reference, &object.value).is_some()
}

/// Pods that no policy limits.
fn of_pods(
    context: &Context<'_>,
    limits: &Limits<'_>,
    (member, tenant): (&Member, &Tenant),
    labels: &Value,
) -> Vec<Diagnostic> {
    if limits.on(&member.object.reference, labels).next().is_some() {
        return Vec::new();
    }
    let what = "connect anywhere: no NetworkPolicy of the repository limits it";
    let help = "Add `egress` to the App (addresses, or `[]` for none), or for other workloads a NetworkPolicy with \
                `policyTypes: [Egress]` that selects the pods by their labels (`matchLabels`, `In` or `Exists`).";
    vec![context.violation(&CHECK, (member, tenant), "/spec", what, |_| false).help(help)]
}

/// What tenants with `egress` run whose policies are all among those that are not applied, each with one of them: unlimited pods
/// must not start.
pub fn unlimited(desired: &Desired, withheld: &BTreeSet<&ObjectRef>) -> Vec<(ObjectRef, ObjectRef)> {
    let context = Context::new(desired);
    let limits = Limits::of(desired);
    let is_limited = |tenant: &Tenant| tenant.egress.as_ref().is_some_and(|egress| !allows_all(egress));
    let limited = context.bound().filter(|(_, tenant)| is_limited(tenant));
    let found = limited.filter_map(|(member, _)| {
        let object = &member.object;
        // A tenant may have thousands; where so many of them are withheld, that is not waited for.
        let labels = pod_labels(&object.reference, &object.value)?;
        let on = limits.on(&object.reference, &labels);
        let policies: Vec<&ObjectRef> = on.take(LIMITS).collect();
        let first = policies.first().filter(|_| policies.iter().all(|policy| withheld.contains(*policy)))?;
        Some((object.reference.clone(), (*first).clone()))
    });
    found.collect()
}

/// What a policy allows that the tenant may not.
fn of_policy(member: &Member, tenant: &Tenant, egress: &[String]) -> Vec<Opened> {
    let named = member.object.annotation(OPEN_EGRESS).unwrap_or_default();
    let hosts: Vec<&str> = named.split(' ').filter(|host| !host.is_empty()).collect();
    let foreign = hosts.iter().filter(|host| !egress.iter().any(|allowed| allowed == **host));
    let mut found: Vec<Opened> = foreign.map(|host| Opened::to(open_pointer(), *host)).collect();
    for (pointer, rule) in each(&member.object.value, "spec.egress[]") {
        let peers = each(rule, "to[]");
        let beyond: Vec<Opened> = if peers.is_empty() {
            anywhere(rule, &hosts)
        } else {
            peers.into_iter().filter_map(|(below, peer)| beyond(&below, peer, rule, tenant, egress)).collect()
        };
        found.extend(beyond.into_iter().map(|opened| opened.below(&pointer)));
    }
    found
}

/// What a rule opens to every address, but for the ports of the hosts that are named beside it: a NetworkPolicy does not
/// know hosts. Those of them that the tenant may not reach are said where they are named.
fn anywhere(rule: &Value, hosts: &[&str]) -> Vec<Opened> {
    let port_of = |host: &&str| match network::peer(host) {
        Ok(Peer::Host(port)) => port,
        _ => None,
    };
    let of_hosts: BTreeSet<u16> = hosts.iter().filter_map(port_of).collect();
    let of_host = |port: u16| of_hosts.contains(&port);
    let what = |port: Option<u16>| match port {
        Some(port) if of_host(port) => None,
        Some(port) => Some(format!("anywhere at port {port}")),
        None => Some("anywhere".to_owned()),
    };
    opened(rule).into_iter().filter_map(|(below, port)| Some(Opened::what(below, what(port)?))).collect()
}

/// The ports that a rule opens, and where they stand: no number for what is more, or other, than one TCP port.
fn opened(rule: &Value) -> Vec<(String, Option<u16>)> {
    let ports = each(rule, "ports[]");
    if ports.is_empty() {
        return vec![(String::new(), None)];
    }
    ports.into_iter().map(|(below, port)| (below, number(port, &["TCP"]))).collect()
}

/// The number of a port of these protocols: none for a range, a name, or another protocol.
fn number(port: &Value, protocols: &[&str]) -> Option<u16> {
    let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
    if port.get("endPort").is_some() || !protocols.contains(&protocol) {
        return None;
    }
    port.get("port").and_then(Value::as_u64).and_then(|number| number.try_into().ok())
}

fn open_pointer() -> String {
    format!("/metadata/annotations/{}", crate::object::escape(OPEN_EGRESS))
}

/// What a peer allows, at the ports of its rule, that the tenant may not.
fn beyond(pointer: &str, peer: &Value, rule: &Value, tenant: &Tenant, egress: &[String]) -> Option<Opened> {
    if let Some(cidr) = peer.pointer("/ipBlock/cidr").and_then(Value::as_str) {
        let within = |port| egress.iter().any(|allowed| has(allowed, cidr, port));
        let (_, port) = opened(rule).into_iter().find(|(_, port)| !within(*port))?;
        let at = port.map(|port| format!(":{port}")).unwrap_or_default();
        return Some(Opened::to(pointer, format!("{cidr}{at}")));
    }
    // Without it: pods of its own namespace.
    let selector = peer.pointer("/namespaceSelector")?;
    let name = selector.pointer("/matchLabels/kubernetes.io~1metadata.name").and_then(Value::as_str);
    let listed = |name: &str| egress.iter().any(|allowed| allowed == &format!("namespace:{name}"));
    match name {
        Some(name) if tenant.has_namespace(name) || listed(name) => None,
        Some("kube-system") if looks_names_up(rule) => None,
        Some("kube-system") => Some(Opened::what(pointer, "to ports other than 53 of namespace:kube-system")),
        Some(name) => Some(Opened::to(pointer, format!("namespace:{name}"))),
        None => Some(Opened::what(pointer, "to namespaces that it does not name")),
    }
}

/// Whether a rule opens the port of DNS alone.
fn looks_names_up(rule: &Value) -> bool {
    let ports = each(rule, "ports[]");
    !ports.is_empty() && ports.iter().all(|(_, port)| number(port, &["UDP", "TCP"]) == Some(53))
}

/// Whether an entry of the tenant's `egress` has a network at a port: one without a port has all of them.
fn has(allowed: &str, cidr: &str, port: Option<u16>) -> bool {
    let Ok(Peer::Network(outer, at)) = network::peer(allowed) else { return false };
    (at.is_none() || at == port) && contains(&outer, cidr)
}

/// Whether a network contains another.
fn contains(outer: &str, inner: &str) -> bool {
    let read = |text: &str| -> Option<(IpAddr, u8)> {
        let (ip, length) = text.split_once('/')?;
        Some((ip.parse().ok()?, length.parse().ok()?))
    };
    let (Some((outer, outer_length)), Some((inner, inner_length))) = (read(outer), read(inner)) else { return false };
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
    use super::has;

    #[test]
    fn an_entry_has_the_networks_within_it_at_its_port() {
        for (allowed, cidr, port, expected) in [
            ("10.0.0.0/8", "10.20.0.0/16", None, true),
            ("10.0.0.0/8", "10.20.0.0/16", Some(22), true),
            ("10.0.0.0/8:6379", "10.20.0.0/16", Some(6379), true),
            ("10.0.0.0/8:6379", "10.20.0.0/16", Some(22), false),
            ("10.0.0.0/8:6379", "10.20.0.0/16", None, false),
            ("10.0.0.0/8:*", "10.20.0.0/16", None, true),
            ("10.20.0.0/16", "10.0.0.0/8", None, false),
            ("10.20.0.0/16", "10.21.0.0/16", None, false),
            ("10.20.0.0/16:22", "10.21.0.0/16", Some(22), false),
            ("0.0.0.0/0", "10.0.0.0/8", None, true),
            ("::/0", "10.0.0.0/8", None, false),
            ("fd00::/8", "fd12::/16", None, true),
            ("https://192.0.2.9:443", "192.0.2.9/32", Some(443), true),
            ("https://192.0.2.9", "192.0.2.9/32", Some(80), false),
            ("redis://[fd00::1]", "fd00::1/128", Some(6379), true),
            ("https://api.example", "10.0.0.0/8", Some(443), false),
            ("namespace:shared", "10.0.0.0/8", None, false),
        ] {
            assert_eq!(has(allowed, cidr, port), expected, "{allowed} {cidr} {port:?}");
        }
    }
}
