//! Which features of Gateway API an object uses (GEP-2162), and where.

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
        "GRPCRoute" => &[("spec.rules[].name", "GRPCRouteNamedRouteRule")],
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
    ports.chain(empty.map(|(pointer, _)| (pointer, "GatewayAddressEmpty"))).collect()
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
        assert_eq!(
            features(&ObjectRef::new(GATEWAY, "TCPRoute", "a", "r"), &json!({})),
            [("/kind".to_owned(), "TCPRoute")]
        );
        assert_eq!(features(&ObjectRef::new("", "Service", "a", "r"), &value), []);
    }
}
