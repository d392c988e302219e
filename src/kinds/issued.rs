//! Certificates that are proved through the Gateway that waits for them: cert-manager answers a challenge of ACME (HTTP-01) by a
//! route of that Gateway, so the Gateway comes first and its certificate later.

use super::{GATEWAY, each};
use crate::object::ObjectRef;
use serde_json::Value;

const CERT_MANAGER: &str = "cert-manager.io";

/// Whether a certificate is issued through a Gateway or ListenerSet: `issuer` finds the object that issues it, where it is
/// known, and has a solver of HTTP-01 for one of the certificate's names that routes by that Gateway.
pub fn is_issued_through<'a>(
    gateway: &ObjectRef,
    (certificate, value): (&ObjectRef, &Value),
    issuer: impl Fn(&ObjectRef) -> Option<&'a Value>,
) -> bool {
    if gateway.group != GATEWAY || !certificate.is(CERT_MANAGER, "Certificate") {
        return false;
    }
    let text = |field: &str| value.pointer(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(name) = text("/spec/issuerRef/name") else { return false };
    let kind = text("/spec/issuerRef/kind").unwrap_or("Issuer");
    let group = text("/spec/issuerRef/group").unwrap_or(CERT_MANAGER);
    let namespace = if kind == "ClusterIssuer" { "" } else { certificate.namespace() };
    let issuer = issuer(&ObjectRef::new(group, kind, namespace, name));
    let solvers = issuer.map(|issuer| each(issuer, "spec.acme.solvers[]")).unwrap_or_default();
    solvers.iter().any(|(_, solver)| solves(solver, value) && routes_by(solver, gateway, certificate.namespace()))
}

/// Whether a solver is for one of the names of a certificate, as far as its selector says.
fn solves(solver: &Value, certificate: &Value) -> bool {
    let texts = |value: &Value, path: &str| -> Vec<String> {
        each(value, path).into_iter().filter_map(|(_, text)| text.as_str().map(str::to_owned)).collect()
    };
    let (names, zones) = (texts(solver, "selector.dnsNames[]"), texts(solver, "selector.dnsZones[]"));
    let asked: Vec<String> = texts(certificate, "spec.dnsNames[]");
    let in_zone = |name: &String| zones.iter().any(|zone| name == zone || name.ends_with(&format!(".{zone}")));
    let by_name =
        names.is_empty() && zones.is_empty() || asked.iter().any(|name| names.contains(name) || in_zone(name));
    let labels = each(solver, "selector.matchLabels{}");
    let by_label = labels.iter().all(|(pointer, wanted)| {
        let key = pointer.rsplit_once('/').map(|(_, key)| format!("/metadata/labels/{key}")).unwrap_or_default();
        certificate.pointer(&key) == Some(*wanted)
    });
    by_name && by_label
}

/// Whether a solver answers by routes of a Gateway. One that names none takes the Gateway that asks for the certificate.
fn routes_by(solver: &Value, gateway: &ObjectRef, namespace: &str) -> bool {
    let Some(route) = solver.pointer("/http01/gatewayHTTPRoute") else { return false };
    let parents = each(route, "parentRefs[]");
    let is_it = |parent: &Value| {
        let text = |field: &str, default: &'_ str| {
            parent.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or(default).to_owned()
        };
        gateway.is(&text("group", GATEWAY), &text("kind", "Gateway"))
            && gateway.namespace() == text("namespace", namespace)
            && gateway.name == text("name", "")
    };
    parents.is_empty() || parents.iter().any(|(_, parent)| is_it(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is_through(gateway: &str, certificate: &Value, issuer: &Value) -> bool {
        let gateway = ObjectRef::new(GATEWAY, "Gateway", "edge", gateway);
        let reference = ObjectRef::new(CERT_MANAGER, "Certificate", "edge", "site");
        let wanted = ObjectRef::new(CERT_MANAGER, "ClusterIssuer", "", "public-ca");
        is_issued_through(&gateway, (&reference, certificate), |asked| (*asked == wanted).then_some(issuer))
    }

    #[test]
    fn a_certificate_is_issued_through_the_gateway_of_its_solver() {
        let certificate = json!({"metadata": {"labels": {"solver": "http"}},
            "spec": {"secretName": "site", "dnsNames": ["shop.example", "www.shop.example"], "issuerRef": {"kind": "ClusterIssuer", "name": "public-ca"}}});
        let parents = json!({"gatewayHTTPRoute": {"parentRefs": [{"name": "web", "namespace": "edge"}]}});
        for (solver, expected) in [
            (json!({"http01": parents}), true),
            (json!({"http01": {"gatewayHTTPRoute": {"parentRefs": [{"name": "web"}]}}}), true),
            (json!({"http01": {"gatewayHTTPRoute": {}}}), true),
            (json!({"http01": {"gatewayHTTPRoute": {"parentRefs": [{"name": "other"}]}}}), false),
            (json!({"http01": {"gatewayHTTPRoute": {"parentRefs": [{"name": "web", "kind": "ListenerSet"}]}}}), false),
            (json!({"http01": {"ingress": {}}}), false),
            (json!({"dns01": {"route53": {}}}), false),
            (json!({"http01": parents, "selector": {"dnsZones": ["shop.example"]}}), true),
            (json!({"http01": parents, "selector": {"dnsNames": ["other.example"]}}), false),
            (json!({"http01": parents, "selector": {"matchLabels": {"solver": "http"}}}), true),
            (json!({"http01": parents, "selector": {"matchLabels": {"solver": "dns"}}}), false),
        ] {
            let issuer = json!({"spec": {"acme": {"solvers": [{"dns01": {}, "selector": {"dnsNames": ["x.example"]}}, solver]}}});
            assert_eq!(is_through("web", &certificate, &issuer), expected, "{solver}");
        }
        assert!(!is_through("web", &certificate, &json!({"spec": {"ca": {"secretName": "root"}}})));
        let by_other = json!({"spec": {"issuerRef": {"name": "public-ca"}}});
        assert!(!is_through("web", &by_other, &json!({"spec": {"acme": {"solvers": [{"http01": parents}]}}})));
    }
}
