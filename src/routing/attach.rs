//! Which listener takes a route (Gateway API, ParentReference and AllowedRoutes).

use super::meet;
use crate::kinds::{GATEWAY, each};
use crate::object::ObjectRef;
use serde_json::{Map, Value};

/// What becomes of a route at one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// It is taken.
    Taken,
    /// It is not, and why.
    Refused(String),
    /// What decides is not known.
    Unknown,
}

/// The listeners of a Gateway or ListenerSet.
pub fn listeners(gateway: &Value) -> Vec<&Value> {
    each(gateway, "spec.listeners[]").into_iter().map(|(_, listener)| listener).collect()
}

/// What becomes of a route at a listener of a Gateway in `namespace`; `labels` are those of the route's Namespace, when they
/// are known.
pub fn attach(
    listener: &Value,
    namespace: &str,
    (route, value): (&ObjectRef, &Value),
    parent: &Value,
    labels: Option<&Map<String, Value>>,
) -> Attachment {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let name = text(listener, "/name").unwrap_or_default();
    let section = text(parent, "/sectionName").filter(|section| *section != name);
    if let Some(section) = section {
        return Attachment::Refused(format!("its name is not {section}"));
    }
    let (wanted, port) = (parent.get("port"), listener.get("port"));
    if wanted.is_some() && wanted != port {
        return Attachment::Refused(format!("its port is {}", port.unwrap_or(&Value::Null)));
    }
    if let Some(why) = refused_kind(listener, route) {
        return Attachment::Refused(why);
    }
    match refused_namespace(listener, namespace, route.namespace(), labels) {
        Attachment::Taken => {}
        other => return other,
    }
    let own = text(listener, "/hostname");
    let hostnames = each(value, "spec.hostnames[]");
    let meets = hostnames.is_empty() || hostnames.iter().any(|(_, hostname)| meet(own.as_deref(), hostname.as_str()));
    if meets { Attachment::Taken } else { Attachment::Refused(format!("its hostname is {}", own.unwrap_or_default())) }
}

/// Kinds by `allowedRoutes.kinds`, else by the protocol.
fn refused_kind(listener: &Value, route: &ObjectRef) -> Option<String> {
    let kinds = each(listener, "allowedRoutes.kinds[]");
    if !kinds.is_empty() {
        let is = |kind: &Value| {
            let group = kind.get("group").and_then(Value::as_str).unwrap_or(GATEWAY);
            group == route.group && kind.get("kind").and_then(Value::as_str) == Some(&route.kind)
        };
        return (!kinds.iter().any(|(_, kind)| is(kind)))
            .then(|| format!("its allowedRoutes.kinds leave out {}", route.kind));
    }
    let protocol = listener.get("protocol").and_then(Value::as_str).unwrap_or_default();
    let by_protocol: &[&str] = match protocol {
        "HTTP" | "HTTPS" => &["HTTPRoute", "GRPCRoute"],
        "TLS" => &["TLSRoute", "TCPRoute"],
        "TCP" => &["TCPRoute"],
        "UDP" => &["UDPRoute"],
        // Protocols of a controller's own.
        _ => return None,
    };
    (!by_protocol.contains(&route.kind.as_str())).then(|| format!("its protocol is {protocol}"))
}

fn refused_namespace(listener: &Value, gateway: &str, route: &str, labels: Option<&Map<String, Value>>) -> Attachment {
    let namespaces = listener.pointer("/allowedRoutes/namespaces");
    let from = namespaces.and_then(|n| n.get("from")).and_then(Value::as_str).unwrap_or("Same");
    match from {
        "All" => Attachment::Taken,
        "Selector" => {
            let selector = namespaces.and_then(|n| n.get("selector"));
            match (labels, selector) {
                (None, _) => Attachment::Unknown,
                (Some(labels), Some(selector)) if selects(selector, labels, route) => Attachment::Taken,
                _ => Attachment::Refused(format!("its selector leaves out namespace {route}")),
            }
        }
        "None" => Attachment::Refused("it takes routes of no namespace".to_owned()),
        _ if gateway == route => Attachment::Taken,
        _ => Attachment::Refused(format!("it takes routes of namespace {gateway} alone")),
    }
}

/// A label selector (Kubernetes, LabelSelector). Every namespace has its name as a label.
fn selects(selector: &Value, labels: &Map<String, Value>, namespace: &str) -> bool {
    let label = |key: &str| match key {
        "kubernetes.io/metadata.name" => Some(namespace.to_owned()),
        key => labels.get(key).and_then(Value::as_str).map(str::to_owned),
    };
    let wanted = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let plain = wanted.into_iter().all(|(key, value)| label(key).as_deref() == value.as_str());
    let holds = |expression: &Value| {
        let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
        let values: Vec<&str> =
            each(expression, "values[]").into_iter().filter_map(|(_, value)| value.as_str()).collect();
        let value = label(key);
        let is_in = value.as_deref().is_some_and(|value| values.contains(&value));
        match expression.get("operator").and_then(Value::as_str) {
            Some("In") => is_in,
            Some("NotIn") => !is_in,
            Some("Exists") => value.is_some(),
            Some("DoesNotExist") => value.is_none(),
            _ => false,
        }
    };
    plain && each(selector, "matchExpressions[]").into_iter().all(|(_, expression)| holds(expression))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_listener_takes_a_route_or_says_why_not() {
        let route = ObjectRef::new(GATEWAY, "HTTPRoute", "shop", "r");
        let value = json!({"spec": {"hostnames": ["shop.example"]}});
        let labels = json!({"team": "shop"});
        let at = |listener: Value, parent: Value| match attach(
            &listener,
            "infra",
            (&route, &value),
            &parent,
            labels.as_object(),
        ) {
            Attachment::Taken => "taken".to_owned(),
            Attachment::Refused(why) => why,
            Attachment::Unknown => "unknown".to_owned(),
        };
        let all = json!({"namespaces": {"from": "All"}});
        let by = |selector: Value| json!({"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Selector", "selector": selector}}});
        for (listener, parent, expected) in [
            (json!({"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": all}), json!({}), "taken"),
            (
                json!({"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": all}),
                json!({"sectionName": "m"}),
                "its name is not m",
            ),
            (
                json!({"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": all}),
                json!({"port": 81}),
                "its port is 80",
            ),
            (
                json!({"name": "l", "port": 80, "protocol": "TCP", "allowedRoutes": all}),
                json!({}),
                "its protocol is TCP",
            ),
            (
                json!({"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}),
                json!({}),
                "its allowedRoutes.kinds leave out HTTPRoute",
            ),
            (
                json!({"name": "l", "port": 80, "protocol": "HTTP"}),
                json!({}),
                "it takes routes of namespace infra alone",
            ),
            (
                json!({"name": "l", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "None"}}}),
                json!({}),
                "it takes routes of no namespace",
            ),
            (
                json!({"name": "l", "port": 80, "protocol": "HTTP", "hostname": "other.example", "allowedRoutes": all}),
                json!({}),
                "its hostname is other.example",
            ),
            (by(json!({"matchLabels": {"team": "shop", "kubernetes.io/metadata.name": "shop"}})), json!({}), "taken"),
            (by(json!({"matchLabels": {"team": "other"}})), json!({}), "its selector leaves out namespace shop"),
            (
                by(
                    json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}, {"key": "x", "operator": "DoesNotExist"}, {"key": "team", "operator": "Exists"}, {"key": "team", "operator": "NotIn", "values": ["a"]}]}),
                ),
                json!({}),
                "taken",
            ),
            (
                by(json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]})),
                json!({}),
                "its selector leaves out namespace shop",
            ),
        ] {
            assert_eq!(at(listener.clone(), parent), expected, "{listener}");
        }
        let selector = by(json!({"matchLabels": {"a": "b"}}));
        assert_eq!(attach(&selector, "infra", (&route, &value), &json!({}), None), Attachment::Unknown);
    }
}
