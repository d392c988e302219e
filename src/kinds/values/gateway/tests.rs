//! Tables of parts of objects, with what the rules of Gateway API say of them. That the API server says the same is
//! `tests/it/gateway_rules.rs`.

use super::*;
use serde_json::json;

fn edition(minor: u64, experimental: bool) -> Edition {
    Edition { release: (1, minor), experimental }
}

/// The pointers of what is wrong with an object of this spec.
fn wrong_in(edition: Edition, kind: &str, version: &str, spec: &Value) -> Vec<String> {
    let found = broken_rules(&GroupKind::new(GATEWAY, kind), version, &json!({"spec": spec}), edition);
    assert!(found.iter().all(|violation| violation.help.as_ref().is_some_and(|help| !help.is_empty())), "{found:?}");
    found.into_iter().map(|violation| violation.pointer).collect()
}

fn wrong(kind: &str, spec: &Value) -> Vec<String> {
    wrong_in(edition(7, true), kind, "v1", spec)
}

/// What is wrong with a rule of an HTTPRoute, below the rule.
fn in_rule(rule: &Value) -> Vec<String> {
    let found = wrong("HTTPRoute", &json!({"rules": [rule]}));
    found.iter().map(|pointer| pointer.trim_start_matches("/spec/rules/0/").to_owned()).collect()
}

#[test]
fn a_path_is_absolute_and_means_one_thing() {
    let of = |kind: &str, value: &str| in_rule(&json!({"matches": [{"path": {"type": kind, "value": value}}]})).len();
    for fine in ["/", "/cart", "/cart/", "/~a$(b)%20;c=d@e:f", "/a.b/..c", "/%2e"] {
        assert_eq!([of("Exact", fine), of("PathPrefix", fine)], [0, 0], "{fine}");
    }
    for odd in [
        "cart", "", "//", "/a//b", "/a/./b", "/a/../b", "/..", "/a/.", "/a%2Fb", "/a%2fb", "/a#b", "/a b", "/ä",
        "/a%2", "/a%zz",
    ] {
        assert_eq!([of("Exact", odd), of("PathPrefix", odd), of("RegularExpression", odd)], [1, 1, 0], "{odd}");
    }
}

#[test]
fn a_filter_has_the_part_of_its_type_and_no_other() {
    for (filter, expected) in [
        (json!({"type": "RequestRedirect", "requestRedirect": {}}), &[][..]),
        (json!({"type": "RequestRedirect"}), &["filters/0/requestRedirect"]),
        (json!({"type": "CORS", "urlRewrite": {}}), &["filters/0/urlRewrite", "filters/0/cors"]),
        (
            json!({"type": "ExternalAuth", "externalAuth": {"protocol": "HTTP", "grpc": {}}}),
            &["filters/0/externalAuth/grpc", "filters/0/externalAuth/http"],
        ),
        (
            json!({"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replacePrefixMatch": "/"}}}),
            &["filters/0/urlRewrite/path/replaceFullPath", "filters/0/urlRewrite/path/replacePrefixMatch"],
        ),
        (
            json!({"type": "CORS", "cors": {"allowOrigins": ["*"], "allowHeaders": ["a", "*"]}}),
            &["filters/0/cors/allowHeaders/1"],
        ),
        (
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"kind": "Service", "port": 1}, "percent": 1, "fraction": {"numerator": 1, "denominator": 1}}}),
            &["filters/0/requestMirror"],
        ),
        (
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"kind": "Service"}, "fraction": {"numerator": 101}}}),
            &["filters/0/requestMirror/backendRef/port", "filters/0/requestMirror/fraction/numerator"],
        ),
    ] {
        let mut found = in_rule(&json!({"filters": [filter]}));
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
        let below = in_rule(&json!({"backendRefs": [{"kind": "Other", "filters": [filter]}]}));
        assert_eq!(below.len(), expected.len(), "in a backend: {filter}");
    }
}

#[test]
fn filters_exclude_each_other_and_most_are_there_once() {
    let redirect = json!({"type": "RequestRedirect", "requestRedirect": {}});
    let rewrite = json!({"type": "URLRewrite", "urlRewrite": {}});
    let extension = json!({"type": "ExtensionRef", "extensionRef": {}});
    assert_eq!(in_rule(&json!({"filters": [rewrite, redirect]})), ["filters/1"]);
    assert_eq!(in_rule(&json!({"filters": [rewrite, extension, rewrite, extension]})), ["filters/2"]);
    let backend = json!({"group": "", "kind": "Service", "port": 80});
    assert_eq!(in_rule(&json!({"filters": [extension, redirect], "backendRefs": [backend]})), ["filters/1"]);
    assert_eq!(in_rule(&json!({"filters": [redirect], "backendRefs": []})), [""; 0]);
}

#[test]
fn a_service_has_a_port_and_an_xbackend_has_none() {
    let service = json!({"group": "", "kind": "Service", "name": "a"});
    let other = json!({"group": "example.com", "kind": "Service", "name": "a"});
    let backend = json!({"group": "gateway.networking.x-k8s.io", "kind": "XBackend", "name": "a", "port": 1});
    let spec = json!({"rules": [{"backendRefs": [service, other, backend]}]});
    for kind in ["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"] {
        assert_eq!(wrong(kind, &spec), ["/spec/rules/0/backendRefs/0/port", "/spec/rules/0/backendRefs/2/port"]);
        assert_eq!(wrong_in(edition(6, true), kind, "v1", &spec), ["/spec/rules/0/backendRefs/0/port"]);
    }
}

#[test]
fn names_of_rules_differ_where_the_release_asks_for_it() {
    let spec = json!({"rules": [{"name": "a"}, {}, {}, {"name": "b"}, {"name": "a"}]});
    let count = |minor, experimental, kind, version| wrong_in(edition(minor, experimental), kind, version, &spec).len();
    assert_eq!(
        [count(6, false, "HTTPRoute", "v1"), count(6, true, "HTTPRoute", "v1"), count(7, false, "GRPCRoute", "v1")],
        [0, 1, 1]
    );
    assert_eq!(
        [
            count(7, true, "TCPRoute", "v1"),
            count(7, true, "TCPRoute", "v1alpha2"),
            count(7, true, "TLSRoute", "v1alpha3")
        ],
        [0, 1, 0]
    );
}

#[test]
fn references_to_one_parent_name_different_parts() {
    let spec = |more: Value| {
        let parent = json!({"group": GATEWAY, "kind": "Gateway", "name": "g", "sectionName": "a", "port": 80});
        let mut other = json!({"group": GATEWAY, "kind": "Gateway", "name": "g"});
        other.as_object_mut().into_iter().for_each(|map| map.extend(more.as_object().cloned().unwrap_or_default()));
        json!({"parentRefs": [parent, other]})
    };
    for (more, standard, experimental) in [
        (json!({}), 1, 1),
        (json!({"sectionName": "a", "port": 80}), 1, 1),
        (json!({"sectionName": "a", "port": 81}), 1, 0),
        (json!({"sectionName": "b"}), 0, 1),
        (json!({"sectionName": "b", "port": 80}), 0, 0),
        (json!({"namespace": "other"}), 0, 0),
    ] {
        let count = |experimental| wrong_in(edition(7, experimental), "TLSRoute", "v1", &spec(more.clone())).len();
        assert_eq!([count(false), count(true)], [standard, experimental], "{more}");
    }
}

#[test]
fn a_route_has_so_many_matches() {
    let rules =
        |each: usize| json!({"rules": [{"matches": vec![json!({}); each]}, {"matches": vec![json!({}); each]}]});
    for kind in ["HTTPRoute", "GRPCRoute"] {
        assert_eq!([wrong(kind, &rules(64)).len(), wrong(kind, &rules(65)).len()], [0, 1]);
    }
}

#[test]
fn one_attempt_takes_no_longer_than_all() {
    for (request, backend, expected) in [
        ("10s", "5s", 0),
        ("1m", "60s", 0),
        ("1s", "1001ms", 1),
        ("0s", "1h", 0),
        ("1h30m", "91m", 1),
        ("soon", "1s", 0),
    ] {
        let found = in_rule(&json!({"timeouts": {"request": request, "backendRequest": backend}}));
        assert_eq!(found.len(), expected, "{request} {backend}");
    }
}

#[test]
fn a_method_of_grpc_is_named_as_in_its_proto_file() {
    let of = |method: Value| wrong("GRPCRoute", &json!({"rules": [{"matches": [{"method": method}]}]})).len();
    for fine in [
        json!({"type": "Exact", "service": "shop.v1.Orders", "method": "Get_1"}),
        json!({"type": "Exact", "service": ".a"}),
        json!({"type": "RegularExpression", "method": "a-.*"}),
    ] {
        assert_eq!(of(fine.clone()), 0, "{fine}");
    }
    for odd in [
        json!({"type": "Exact"}),
        json!({"service": "a..b"}),
        json!({"service": "1a"}),
        json!({"method": "a.b"}),
        json!({"service": "a/b"}),
    ] {
        assert_eq!(of(odd.clone()), 1, "{odd}");
    }
}

#[test]
fn a_session_has_the_part_of_its_type() {
    let of = |minor, session: &Value| {
        wrong_in(edition(minor, true), "HTTPRoute", "v1", &json!({"rules": [{"sessionPersistence": session}]})).len()
    };
    let old = json!({"type": "Header", "cookieConfig": {"lifetimeType": "Permanent"}});
    let new = json!({"type": "Cookie", "cookie": {"lifetimeType": "Permanent"}});
    assert_eq!([of(6, &old), of(7, &new)], [2, 1]);
    assert_eq!([of(6, &json!({"type": "Header"})), of(7, &json!({"type": "Header"}))], [0, 1]);
}

#[test]
fn listeners_differ_and_have_what_their_protocol_takes() {
    let certificate = json!({"mode": "Terminate", "certificateRefs": [{"name": "c"}]});
    for (listeners, expected) in [
        (
            json!([{"name": "a", "port": 80, "protocol": "HTTP"}, {"name": "b", "port": 80, "protocol": "HTTP", "hostname": "x"}]),
            &[][..],
        ),
        (
            json!([{"name": "a", "port": 80, "protocol": "HTTP"}, {"name": "a", "port": 81, "protocol": "HTTP"}]),
            &["/1/name"],
        ),
        (
            json!([{"name": "a", "port": 80, "protocol": "HTTP"}, {"name": "b", "port": 80, "protocol": "HTTP"}]),
            &["/1"],
        ),
        (json!([{"name": "a", "port": 80, "protocol": "HTTP", "tls": certificate}]), &["/0/tls"]),
        (json!([{"name": "a", "port": 443, "protocol": "HTTPS", "tls": {"mode": "Passthrough"}}]), &["/0/tls/mode"]),
        (json!([{"name": "a", "port": 443, "protocol": "HTTPS"}]), &[]),
        (json!([{"name": "a", "port": 443, "protocol": "TLS"}]), &["/0/tls/mode"]),
        (json!([{"name": "a", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}}]), &[]),
        (
            json!([{"name": "a", "port": 443, "protocol": "HTTPS", "tls": {"mode": "Terminate", "certificateRefs": []}}]),
            &["/0/tls/certificateRefs"],
        ),
        (
            json!([{"name": "a", "port": 443, "protocol": "HTTPS", "tls": {"mode": "Terminate", "options": {"a": "b"}}}]),
            &[],
        ),
        (json!([{"name": "a", "port": 53, "protocol": "UDP", "hostname": "x"}]), &["/0/hostname"]),
        (json!([{"name": "a", "port": 53, "protocol": "example.com/own", "tls": {}, "hostname": "x"}]), &[]),
    ] {
        for kind in ["Gateway", "ListenerSet"] {
            let found = wrong(kind, &json!({"listeners": listeners}));
            let expected: Vec<String> = expected.iter().map(|below| format!("/spec/listeners{below}")).collect();
            assert_eq!(found, expected, "{kind} {listeners}");
        }
    }
    let filtered = json!({"listeners": [{"name": "a", "port": 53, "protocol": "UDP", "filters": {}}]});
    assert_eq!(wrong("Gateway", &filtered), ["/spec/listeners/0/filters"]);
}

#[test]
fn the_other_parts_of_a_gateway_are_judged() {
    let reference =
        json!({"group": "certificates.k8s.io", "kind": "ClusterTrustBundle", "name": "b", "namespace": "a"});
    let validation = json!({"validation": {"caCertificateRefs": [reference]}});
    let spec = json!({
        "addresses": [{"type": "IPAddress", "value": "192.0.2.1"}, {"type": "Hostname", "value": "UPPER", "routability": "a.k8s.io/b"}, {"type": "IPAddress", "value": "192.0.2.1"}, {"type": "IPAddress"}],
        "infrastructure": {"labels": {"a b": "c", "x.example/y": "z"}, "annotations": {"X.example/y": "z"}},
        "tls": {"frontend": {"default": validation, "perPort": [{"port": 443}, {"port": 443}]}},
    });
    let mut found = wrong("Gateway", &spec);
    found.sort();
    let mut expected = [
        "/addresses/2",
        "/addresses/1/value",
        "/addresses/1/routability",
        "/infrastructure/labels/a b",
        "/infrastructure/annotations/X.example~1y",
        "/tls/frontend/perPort/1/port",
        "/tls/frontend/default/validation/caCertificateRefs/0/namespace",
    ]
    .map(|below| format!("/spec{below}"));
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_policy_for_tls_trusts_one_kind_of_authority() {
    let own = json!([{"name": "ca"}]);
    let of = |minor, validation: Value| {
        wrong_in(edition(minor, true), "BackendTLSPolicy", "v1", &json!({"validation": validation})).len()
    };
    for minor in [5, 7] {
        assert_eq!(of(minor, json!({"caCertificateRefs": own})), 0);
        assert_eq!(of(minor, json!({})), 1);
        assert_eq!(of(minor, json!({"caCertificateRefs": own, "wellKnownCACertificates": "System"})), 1);
    }
    let names = json!([{"type": "URI", "hostname": "a"}, {"type": "Hostname", "hostname": "a", "uri": ""}]);
    assert_eq!(of(6, json!({"caCertificateRefs": own, "subjectAltNames": names})), 2);
    let target = |section: &str| json!({"group": "", "kind": "Service", "name": "a", "sectionName": section});
    let targets = |list: Value| wrong("BackendTLSPolicy", &json!({"targetRefs": list}));
    assert_eq!(targets(json!([target("a"), target("b"), target("a")])), ["/spec/targetRefs/2"]);
    assert_eq!(targets(json!([target("a"), {"group": "", "kind": "Service", "name": "a"}])), ["/spec/targetRefs/1"]);
}

#[test]
fn a_hostname_of_a_tls_route_is_no_address() {
    let spec = json!({"hostnames": ["db.example", "10.0.0.1", "010.0.0.1"]});
    assert_eq!(wrong("TLSRoute", &spec), ["/spec/hostnames/1"]);
    assert_eq!(wrong_in(edition(6, true), "TLSRoute", "v1alpha2", &spec), [""; 0]);
}
