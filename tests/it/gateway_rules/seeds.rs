//! Valid objects of every kind and version of Gateway API. What only some releases or channels have is left out where the API
//! server refuses it.

use serde_json::{Value, json};

/// A valid object without its name.
pub struct Seed {
    pub kind: &'static str,
    pub version: &'static str,
    spec: Value,
}

impl Seed {
    /// The object under a name.
    pub fn named(&self, name: &str) -> Value {
        let labels = json!({"app.kubernetes.io/name": "a", "team": "b_2"});
        let mut metadata = json!({"name": name, "namespace": "default", "labels": labels});
        if self.kind == "GatewayClass" {
            metadata = json!({"name": name, "labels": labels});
        }
        json!({"apiVersion": format!("{}/{}", super::GATEWAY, self.version), "kind": self.kind, "metadata": metadata, "spec": self.spec})
    }
}

/// The valid objects.
pub fn seeds() -> Vec<Seed> {
    let kinds: [(&'static str, &'static [&'static str], Vec<Value>); 10] = [
        ("GatewayClass", &["v1", "v1beta1"], classes()),
        ("Gateway", &["v1", "v1beta1"], gateways()),
        ("HTTPRoute", &["v1", "v1beta1"], http_routes()),
        ("GRPCRoute", &["v1"], grpc_routes()),
        ("TLSRoute", &["v1", "v1alpha2", "v1alpha3"], tls_routes()),
        ("TCPRoute", &["v1", "v1alpha2"], stream_routes()),
        ("UDPRoute", &["v1", "v1alpha2"], stream_routes()),
        ("ListenerSet", &["v1"], listener_sets()),
        ("BackendTLSPolicy", &["v1", "v1alpha3"], policies()),
        ("ReferenceGrant", &["v1", "v1beta1"], grants()),
    ];
    let mut made = Vec::new();
    for (kind, versions, specs) in kinds {
        for version in versions {
            made.extend(specs.iter().map(|spec| Seed { kind, version, spec: spec.clone() }));
        }
    }
    made
}

fn parents() -> Value {
    json!([{"name": "public", "namespace": "infra", "sectionName": "https"}, {"name": "public", "namespace": "infra", "sectionName": "http"},
        {"name": "internal", "kind": "Gateway", "port": 8080}, {"group": "", "kind": "Service", "name": "mesh", "port": 80}])
}

fn classes() -> Vec<Value> {
    vec![json!({"controllerName": "gateway.nginx.org/nginx-gateway-controller", "description": "the public one",
            "parametersRef": {"group": "gateway.nginx.org", "kind": "NginxProxy", "name": "p", "namespace": "infra"}})]
}

fn gateways() -> Vec<Value> {
    let authority = json!({"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}});
    vec![
        json!({"gatewayClassName": "nginx", "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
            {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.shop.example", "tls": {"mode": "Terminate", "certificateRefs": [{"name": "shop-tls"}]},
             "allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}], "namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "shop"}}}}},
            {"name": "https-2", "port": 443, "protocol": "HTTPS", "hostname": "shop.example", "tls": {"options": {"example.com/certificate": "shop"}}}],
            "addresses": [{"type": "IPAddress", "value": "192.0.2.1"}, {"type": "Hostname", "value": "gw.example"}],
            "infrastructure": {"labels": {"example.com/a": "b"}, "annotations": {"c": "d"}}}),
        json!({"gatewayClassName": "envoy", "listeners": [
            {"name": "tls", "port": 8443, "protocol": "TLS", "hostname": "t.example", "tls": {"mode": "Passthrough"}},
            {"name": "tcp", "port": 5432, "protocol": "TCP"}, {"name": "udp", "port": 5432, "protocol": "UDP"}]}),
        json!({"gatewayClassName": "envoy", "allowedListeners": {"namespaces": {"from": "Same"}}, "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}],
            "tls": {"backend": {"clientCertificateRef": {"name": "client"}}, "frontend": {"default": authority, "perPort": [{"port": 443, "tls": authority}, {"port": 8443, "tls": authority}]}}}),
        json!({"gatewayClassName": "envoy", "defaultScope": "All", "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]}),
        json!({"gatewayClassName": "envoy", "addresses": [{"value": "192.0.2.1", "routability": "Cluster"}, {"value": "192.0.2.2", "routability": "example.com/internal"}],
            "listeners": [{"name": "l", "port": 80, "protocol": "HTTP", "filters": {"requests": [
            {"type": "ExternalAuth", "externalAuth": {"protocol": "GRPC", "backendRef": {"name": "auth", "port": 50051}, "grpc": {"allowedHeaders": ["x"]}}},
            {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Filter", "name": "f"}}]}}]}),
    ]
}

fn http_routes() -> Vec<Value> {
    vec![
        json!({"parentRefs": parents(), "hostnames": ["shop.example", "*.shop.example"], "rules": [
            {"name": "cart", "matches": [{"path": {"type": "PathPrefix", "value": "/cart"}, "method": "GET", "headers": [{"name": "x-canary", "value": "1"}], "queryParams": [{"name": "v", "value": "2"}]}],
             "filters": [
                {"type": "URLRewrite", "urlRewrite": {"hostname": "in.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}], "add": [{"name": "c", "value": "d"}], "remove": ["e"]}},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "mirror", "port": 80}, "percent": 10}}],
             "backendRefs": [{"name": "cart", "port": 80, "weight": 90}, {"name": "cart-canary", "port": 80, "weight": 10}],
             "timeouts": {"request": "10s", "backendRequest": "5s"}},
            {"name": "old", "matches": [{"path": {"type": "Exact", "value": "/old"}}],
             "filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "hostname": "new.example", "port": 443, "statusCode": 301, "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}}}]}]}),
        json!({"rules": [
            {"matches": [{"path": {"type": "RegularExpression", "value": "/a.*"}}, {"headers": [{"type": "RegularExpression", "name": "accept", "value": "x.*"}]}],
             "backendRefs": [{"group": "", "kind": "Service", "namespace": "shop", "name": "a", "port": 8080, "filters": [
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x", "value": "y"}]}},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 80}, "fraction": {"numerator": 1, "denominator": 10}}}]}]},
            {"matches": [{"path": {"value": "/cart"}}], "backendRefs": [{"name": "cart", "port": 80, "filters": [
                {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}]}]}]}),
        json!({"hostnames": ["api.shop.example"], "rules": [{"filters": [
            {"type": "ExtensionRef", "extensionRef": {"group": "gateway.nginx.org", "kind": "AuthenticationFilter", "name": "jwt"}}],
            "backendRefs": [{"name": "api", "port": 80}, {"group": "gateway.example.net", "kind": "Backend", "name": "old"}]}]}),
        json!({"rules": [{"filters": [{"type": "CORS", "cors": {"allowOrigins": ["https://shop.example"], "allowMethods": ["GET", "POST"], "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"], "maxAge": 60, "allowCredentials": true}}],
            "backendRefs": [{"name": "api", "port": 80}]}]}),
        json!({"rules": [{"retry": {"codes": [500, 503], "attempts": 2, "backoff": "100ms"}, "backendRefs": [{"name": "api", "port": 80}]}]}),
        json!({"useDefaultGateways": "All", "rules": [{"filters": [{"type": "ExternalAuth", "externalAuth": {"protocol": "HTTP", "backendRef": {"name": "auth", "port": 80}, "http": {"path": "/check", "allowedHeaders": ["x"]}}}],
            "backendRefs": [{"name": "api", "port": 80}]}]}),
        json!({"rules": [{"sessionPersistence": {"sessionName": "s", "type": "Cookie", "absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}}, "backendRefs": [{"name": "api", "port": 80}]}]}),
        json!({"rules": [{"sessionPersistence": {"type": "Cookie", "absoluteTimeout": "1h", "cookie": {"name": "s", "lifetimeType": "Permanent"}}, "backendRefs": [{"name": "api", "port": 80}]}]}),
        json!({"rules": [{"sessionPersistence": {"type": "Header", "header": {"name": "s"}}, "backendRefs": [{"group": "gateway.networking.x-k8s.io", "kind": "XBackend", "name": "api"}]}]}),
    ]
}

fn grpc_routes() -> Vec<Value> {
    vec![
        json!({"parentRefs": parents(), "hostnames": ["grpc.shop.example"], "rules": [
            {"name": "orders", "matches": [{"method": {"type": "Exact", "service": "shop.Orders", "method": "Get"}, "headers": [{"name": "x", "value": "1"}]}],
             "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 80}, "fraction": {"numerator": 1, "denominator": 10}}}],
             "backendRefs": [{"name": "orders", "port": 50051, "weight": 1, "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["x"]}}]}]},
            {"name": "rest", "matches": [{"method": {"type": "RegularExpression", "service": "a.*"}}, {"method": {"method": "Get"}}], "backendRefs": [{"name": "rest", "port": 50051}]}]}),
        json!({"rules": [{"filters": [{"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "F", "name": "f"}}], "backendRefs": [{"name": "rest", "port": 50051}]}]}),
        json!({"rules": [{"sessionPersistence": {"sessionName": "s", "type": "Header"}, "backendRefs": [{"name": "api", "port": 80}]}]}),
        json!({"rules": [{"sessionPersistence": {"type": "Header", "header": {"name": "s"}}, "backendRefs": [{"name": "api", "port": 80}]}]}),
    ]
}

fn tls_routes() -> Vec<Value> {
    vec![
        json!({"parentRefs": parents(), "hostnames": ["db.example", "*.db.example"], "rules": [{"name": "db", "backendRefs": [{"name": "db", "port": 5432, "weight": 1}]}]}),
    ]
}

fn stream_routes() -> Vec<Value> {
    vec![
        json!({"parentRefs": parents(), "rules": [{"name": "db", "backendRefs": [{"name": "db", "port": 5432}, {"group": "example.com", "kind": "Backend", "name": "db"}]}]}),
    ]
}

fn listener_sets() -> Vec<Value> {
    vec![
        json!({"parentRef": {"name": "public", "namespace": "infra", "kind": "Gateway", "group": "gateway.networking.k8s.io"}, "listeners": [
            {"name": "a", "port": 8080, "protocol": "HTTP", "hostname": "a.example", "allowedRoutes": {"namespaces": {"from": "Same"}}},
            {"name": "b", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"kind": "Secret", "name": "t"}]}},
            {"name": "c", "port": 8443, "protocol": "TLS", "hostname": "c.example", "tls": {"mode": "Passthrough"}},
            {"name": "d", "port": 5432, "protocol": "TCP"}]}),
    ]
}

fn policies() -> Vec<Value> {
    vec![
        json!({"targetRefs": [{"group": "", "kind": "Service", "name": "a", "sectionName": "https"}, {"group": "", "kind": "Service", "name": "a", "sectionName": "admin"}],
            "validation": {"hostname": "a.example", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}],
                "subjectAltNames": [{"type": "Hostname", "hostname": "b.example"}, {"type": "URI", "uri": "spiffe://a/b"}]}}),
        json!({"targetRefs": [{"group": "", "kind": "Service", "name": "a"}, {"group": "", "kind": "Service", "name": "b"}],
            "validation": {"hostname": "a.example", "wellKnownCACertificates": "System"}}),
    ]
}

fn grants() -> Vec<Value> {
    vec![
        json!({"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}], "to": [{"group": "", "kind": "Service", "name": "cart"}, {"group": "", "kind": "Secret"}]}),
    ]
}
