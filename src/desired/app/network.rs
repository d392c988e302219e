//! Where an App may connect to, as far as a NetworkPolicy can say it.

use super::Template;
use super::spec::{Egress, Pods};
use crate::kinds::APP;
use crate::object::{Diagnostic, Traced};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The annotation of a NetworkPolicy that names what it leaves open: hosts by name.
pub const OPEN_EGRESS: &str = "spinway.dev/not-enforced";

/// An entry of `egress` that was read.
pub(crate) enum Peer {
    /// A network, and the port of it.
    Network(String, Option<u16>),
    /// A host by name, and the port of it.
    Host(Option<u16>),
}

impl Template<'_> {
    pub(super) fn check_egress(&mut self) {
        for (index, egress) in self.app.egress.clone().unwrap_or_default().iter().enumerate() {
            let at = format!("/egress/{index}");
            match egress {
                Egress::Address(address) => match peer(address) {
                    Err(why) => self.wrong(
                        &at,
                        format!("`{address}` is no address: {why}."),
                        "Write `https://api.example`, `redis://cache.example:6379` or `10.20.0.0/16:6379`.",
                    ),
                    Ok(Peer::Host(port)) => {
                        let opened = if port.is_some() { "the port of" } else { "every port, for" };
                        let message = format!(
                            "A NetworkPolicy cannot name hosts: it leaves {opened} `{address}` open to every address."
                        );
                        let note = Diagnostic::note("egress-host", message).at(self.at(&at).clone());
                        let help = "Spin's own `allowed_outbound_hosts` in the artifact holds it to the host.";
                        self.found.push(note.about(&self.reference).help(help));
                    }
                    Ok(Peer::Network(..)) => {}
                },
                Egress::Pods(Pods { app, labels, .. }) => {
                    if app.is_some() != labels.is_empty() {
                        self.wrong(&at, "Pods are named by `app` or by `labels`.", "Give one of the two.");
                    }
                }
            }
        }
    }

    /// The NetworkPolicy of all pods of the App, when it says where it connects to.
    pub(super) fn network_policy(&self) -> Option<Traced> {
        let egress = self.app.egress.as_ref()?;
        let mut open = Vec::new();
        let mut rules = Vec::new();
        for (index, entry) in egress.iter().enumerate() {
            let rule = match entry {
                Egress::Pods(pods) => self.pods_rule(pods),
                Egress::Address(address) => match peer(address) {
                    Ok(Peer::Network(cidr, port)) => with_port(json!({"to": [{"ipBlock": {"cidr": cidr}}]}), port),
                    Ok(Peer::Host(port)) => {
                        open.push(address.as_str());
                        with_port(json!({}), port)
                    }
                    Err(_) => continue,
                },
            };
            rules.push(self.made(&format!("/egress/{index}"), rule));
        }
        if !rules.is_empty() {
            // Names must be looked up, in the cluster or of hosts.
            let ports = json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]);
            let system = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}});
            rules.push(self.made("/egress", json!({"to": [system], "ports": ports})));
        }
        let selector = json!({"matchLabels": {APP: self.reference.name}});
        let mut spec = Traced::map(
            self.at("/egress"),
            [
                ("podSelector", Traced::whole(&self.origin, selector)),
                ("policyTypes", self.made("/egress", json!(["Egress"]))),
            ],
        );
        if !rules.is_empty() {
            spec.set("egress", Traced::list(self.at("/egress"), rules));
        }
        let name = &self.reference.name;
        let mut policy = self.object("/egress", "networking.k8s.io/v1", "NetworkPolicy", name, spec);
        if !open.is_empty() {
            self.annotate(&mut policy, OPEN_EGRESS, self.made("/egress", open.join(" ")));
        }
        Some(policy)
    }

    fn pods_rule(&self, pods: &Pods) -> Value {
        let labels = pods.app.as_ref().map_or_else(|| json!(pods.labels), |app| json!({APP: app}));
        let mut to = json!({"podSelector": {"matchLabels": labels}});
        if let Some(namespace) = &pods.namespace {
            to["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
        }
        with_port(json!({"to": [to]}), pods.port.or(pods.app.as_ref().map(|_| 80)))
    }
}

fn with_port(mut rule: Value, port: Option<u16>) -> Value {
    if let Some(port) = port {
        rule["ports"] = json!([{"port": port, "protocol": "TCP"}]);
    }
    rule
}

/// Reads `scheme://host[:port]` or `CIDR[:port]`.
pub(crate) fn peer(address: &str) -> Result<Peer, String> {
    let port = |text: &str| match text {
        "*" => Ok(None),
        text => {
            text.parse::<u16>().ok().filter(|port| *port > 0).map(Some).ok_or_else(|| format!("`{text}` is no port"))
        }
    };
    let Some((scheme, rest)) = address.split_once("://") else {
        let (ip, rest) = address.split_once('/').ok_or("a network has a prefix length: `10.0.0.0/8`")?;
        let (length, given) = rest.split_once(':').map_or((rest, None), |(length, port)| (length, Some(port)));
        let ip: IpAddr = ip.trim_matches(['[', ']']).parse().map_err(|_| format!("`{ip}` is no IP address"))?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length: u8 =
            length.parse().ok().filter(|l| *l <= most).ok_or_else(|| format!("`{length}` is no prefix length"))?;
        return Ok(Peer::Network(format!("{ip}/{length}"), given.map(port).transpose()?.flatten()));
    };
    let scheme_is_plain =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"*+-.".contains(&b));
    if !scheme_is_plain {
        return Err(format!("`{scheme}` is no scheme"));
    }
    let (host, given) = match rest.rsplit_once(':') {
        Some((host, given)) if !rest.ends_with(']') => (host, Some(given)),
        _ => (rest, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.*[]:".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(format!("`{host}` is no host"));
    }
    let given = given.map(port).transpose()?;
    let port = given.unwrap_or(match scheme {
        "https" | "wss" => Some(443),
        "http" | "ws" => Some(80),
        "redis" => Some(6379),
        "rediss" => Some(6380),
        "postgres" | "postgresql" => Some(5432),
        "mysql" => Some(3306),
        "mqtt" => Some(1883),
        "mqtts" => Some(8883),
        _ => None,
    });
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => Ok(Peer::Network(format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 }), port)),
        Err(_) => Ok(Peer::Host(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_networks_or_hosts() {
        let shown = |address: &str| match peer(address) {
            Ok(Peer::Network(cidr, port)) => format!("{cidr} {port:?}"),
            Ok(Peer::Host(port)) => format!("host {port:?}"),
            Err(why) => why,
        };
        for (address, expected) in [
            ("https://api.example", "host Some(443)"),
            ("https://api.example:8443", "host Some(8443)"),
            ("*://api.example:*", "host None"),
            ("https://10.1.2.3", "10.1.2.3/32 Some(443)"),
            ("redis://[fd00::1]:6379", "fd00::1/128 Some(6379)"),
            ("10.20.0.0/16:6379", "10.20.0.0/16 Some(6379)"),
            ("fd00::/8", "fd00::/8 None"),
            ("10.0.0.0/33", "`33` is no prefix length"),
            ("10.0.0.0", "a network has a prefix length: `10.0.0.0/8`"),
            ("https://", "`` is no host"),
            ("https://api.example:0", "`0` is no port"),
            ("https://a b", "`a b` is no host"),
        ] {
            assert_eq!(shown(address), expected, "{address}");
        }
    }
}
