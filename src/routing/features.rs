//! Which features of Gateway API an object uses (GEP-2162), and where.

use super::meet;
use crate::kinds::{GATEWAY, each};
use crate::object::ObjectRef;
use serde_json::Value;

/// Fields of an HTTPRoute that are features.
const HTTP: [(&str, &str); 17] = [
    ("spec.parentRefs[].port", "HTTPRouteParentRefPort"),
    ("spec.rules[].name", "HTTPRouteNamedRouteRule"),
    ("spec.rules[].matches[].queryParams", "HTTPRouteQueryParamMatching"),
    ("spec.rules[].matches[].method", "HTTPRouteMethodMatching"),
    ("spec.rules[].timeouts.request", "HTTPRouteRequestTimeout"),
    ("spec.rules[].timeouts.backendRequest", "HTTPRouteBackendTimeout"),
    ("spec.rules[].retry", "HTTPRouteRetryCodes"),
    ("spec.rules[].filters[].responseHeaderModifier", "HTTPRouteResponseHeaderModification"),
    ("spec.rules[].filters[].urlRewrite.hostname", "HTTPRouteHostRewrite"),
    ("spec.rules[].filters[].urlRewrite.path", "HTTPRoutePathRewrite"),
    ("spec.rules[].filters[].requestRedirect.scheme", "HTTPRouteSchemeRedirect"),
    ("spec.rules[].filters[].requestRedirect.port", "HTTPRoutePortRedirect"),
    ("spec.rules[].filters[].requestRedirect.path", "HTTPRoutePathRedirect"),
    ("spec.rules[].filters[].requestMirror", "HTTPRouteRequestMirror"),
    ("spec.rules[].filters[].cors", "HTTPRouteCORS"),
    ("spec.rules[].backendRefs[].filters[].requestHeaderModifier", "HTTPRouteBackendRequestHeaderModification"),
    ("spec.rules[].backendRefs[].filters[].urlRewrite", "HTTPRouteBackendURLRewrite"),
];

/// Fields of a GRPCRoute that are features.
const GRPC: [(&str, &str); 2] = [
    ("spec.rules[].name", "GRPCRouteNamedRouteRule"),
    ("spec.rules[].filters[].requestHeaderModifier", "GRPCRouteRequestHeaderModifier"),
];

/// Fields of a Gateway that are features.
const GATEWAY_FIELDS: [(&str, &str); 5] = [
    ("spec.addresses[].value", "GatewayStaticAddresses"),
    ("spec.infrastructure", "GatewayInfrastructure"),
    ("spec.allowedListeners", "ListenerSet"),
    ("spec.tls.backend.clientCertificateRef", "GatewayBackendClientCertificate"),
    ("spec.tls.frontend", "GatewayFrontendClientCertificateValidation"),
];

/// Kinds that are features themselves.
const KINDS: [&str; 6] = ["GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ListenerSet", "BackendTLSPolicy"];

/// The features that an object uses, each with the JSON pointer of what uses it.
pub fn features(object: &ObjectRef, value: &Value) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    if object.group != GATEWAY {
        return found;
    }
    if let Some(kind) = KINDS.iter().find(|kind| **kind == object.kind) {
        found.push(("/kind".to_owned(), *kind));
    }
    let fields: &[(&str, &str)] = match object.kind.as_str() {
        "HTTPRoute" => &HTTP,
        "GRPCRoute" => &GRPC,
        "Gateway" => &GATEWAY_FIELDS,
        "BackendTLSPolicy" => &[("spec.validation.subjectAltNames", "BackendTLSPolicySANValidation")],
        _ => &[],
    };
    for (path, feature) in fields {
        found.extend(each(value, path).into_iter().map(|(pointer, _)| (pointer, *feature)));
    }
    match object.kind.as_str() {
        "HTTPRoute" => found.extend(of_filters(value)),
        "Gateway" => found.extend(of_listeners(value)),
        _ => {}
    }
    found
}

fn of_filters(value: &Value) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for (pointer, code) in each(value, "spec.rules[].filters[].requestRedirect.statusCode") {
        let feature = match code.as_i64() {
            Some(303) => "HTTPRoute303RedirectStatusCode",
            Some(307) => "HTTPRoute307RedirectStatusCode",
            Some(308) => "HTTPRoute308RedirectStatusCode",
            _ => continue,
        };
        found.push((pointer, feature));
    }
    for (pointer, rule) in each(value, "spec.rules[]") {
        let mirrors = each(rule, "filters[].requestMirror");
        if mirrors.len() > 1 {
            found.push((format!("{pointer}{}", mirrors[1].0), "HTTPRouteRequestMultipleMirrors"));
        }
        for (below, mirror) in mirrors {
            if mirror.get("percent").is_some() || mirror.get("fraction").is_some() {
                found.push((format!("{pointer}{below}"), "HTTPRouteRequestPercentageMirror"));
            }
        }
    }
    found
}

fn of_listeners(value: &Value) -> Vec<(String, &'static str)> {
    let ports = each(value, "spec.listeners[].port").into_iter().filter(|(_, port)| port.as_i64() == Some(8080));
    let ports = ports.map(|(pointer, _)| (pointer, "GatewayPort8080"));
    let empty = each(value, "spec.addresses[]").into_iter().filter(|(_, address)| address.get("value").is_none());
    let empty = empty.map(|(pointer, _)| (pointer, "GatewayAddressEmpty"));
    let isolated = isolated(value).map(|pointer| (pointer, "GatewayHTTPListenerIsolation"));
    let ending = each(value, "spec.listeners[]").into_iter().filter(|(_, listener)| ends_tls(listener));
    let ending = ending.map(|(pointer, _)| (pointer, "TLSRouteModeTerminate"));
    ports.chain(empty).chain(isolated).chain(ending).collect()
}

/// Whether a listener of protocol TLS ends it: the default of `mode`.
fn ends_tls(listener: &Value) -> bool {
    let mode = listener.pointer("/tls/mode");
    listener.get("protocol").is_some_and(|protocol| protocol == "TLS") && mode.is_none_or(|mode| mode == "Terminate")
}

/// The first HTTP listener that shares its port and a part of its hostnames with an earlier one: without isolation a request
/// for the narrower one may end at a route of the wider.
fn isolated(value: &Value) -> Option<String> {
    let mut listeners = each(value, "spec.listeners[]");
    listeners.retain(|(_, listener)| listener.get("protocol").is_some_and(|p| p == "HTTP" || p == "HTTPS"));
    let hostname = |listener: &Value| listener.get("hostname").and_then(Value::as_str).map(str::to_owned);
    let overlaps = |(index, (_, listener)): &(usize, &(String, &Value))| {
        listeners[..*index].iter().any(|(_, earlier)| {
            earlier.get("port") == listener.get("port")
                && meet(hostname(earlier).as_deref(), hostname(listener).as_deref())
        })
    };
    listeners.iter().enumerate().find(overlaps).map(|(_, (pointer, _))| pointer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn features_are_told_by_the_fields_that_use_them() {
        let route = ObjectRef::new(GATEWAY, "HTTPRoute", "a", "r");
        let value = json!({"spec": {"parentRefs": [{"name": "g"}], "rules": [{"timeouts": {"request": "5s"}, "filters": [
            {"requestRedirect": {"statusCode": 308}}, {"requestMirror": {"percent": 5}}, {"requestMirror": {}}]}]}});
        let found = features(&route, &value);
        let shown: Vec<String> = found.iter().map(|(pointer, feature)| format!("{feature} {pointer}")).collect();
        assert_eq!(
            shown,
            [
                "HTTPRouteRequestTimeout /spec/rules/0/timeouts/request",
                "HTTPRouteRequestMirror /spec/rules/0/filters/1/requestMirror",
                "HTTPRouteRequestMirror /spec/rules/0/filters/2/requestMirror",
                "HTTPRoute308RedirectStatusCode /spec/rules/0/filters/0/requestRedirect/statusCode",
                "HTTPRouteRequestMultipleMirrors /spec/rules/0/filters/2/requestMirror",
                "HTTPRouteRequestPercentageMirror /spec/rules/0/filters/1/requestMirror",
            ]
        );
        let gateway = ObjectRef::new(GATEWAY, "Gateway", "a", "g");
        let value =
            json!({"spec": {"listeners": [{"port": 8080}, {"port": 80}], "addresses": [{}, {"value": "1.2.3.4"}]}});
        let found: Vec<&str> = features(&gateway, &value).into_iter().map(|(_, feature)| feature).collect();
        assert_eq!(found, ["GatewayStaticAddresses", "GatewayPort8080", "GatewayAddressEmpty"]);
        let listener = |port: u16, protocol: &str, hostname: &str| json!({"port": port, "protocol": protocol, "hostname": hostname});
        let of = |listeners: Vec<Value>| {
            let found = features(&gateway, &json!({"spec": {"listeners": listeners}}));
            found.into_iter().map(|(pointer, feature)| format!("{feature} {pointer}")).collect::<Vec<_>>()
        };
        let wide = listener(443, "HTTPS", "*.a.example");
        assert_eq!(
            of(vec![wide.clone(), listener(443, "HTTPS", "b.a.example")]),
            ["GatewayHTTPListenerIsolation /spec/listeners/1"]
        );
        assert_eq!(
            of(vec![wide.clone(), listener(443, "HTTPS", "a.example"), listener(80, "HTTP", "b.a.example")]),
            [""; 0]
        );
        assert_eq!(of(vec![listener(443, "TLS", "a.example")]), ["TLSRouteModeTerminate /spec/listeners/0"]);
        assert_eq!(of(vec![json!({"port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}})]), [""; 0]);
        assert_eq!(
            features(&ObjectRef::new(GATEWAY, "TCPRoute", "a", "r"), &json!({})),
            [("/kind".to_owned(), "TCPRoute")]
        );
        assert_eq!(features(&ObjectRef::new("", "Service", "a", "r"), &value), []);
    }
}
