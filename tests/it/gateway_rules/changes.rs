//! Changes of valid objects: random ones anywhere, and ones aimed at what the rules of Gateway API are about.

use crate::oracle::texts::Random;
use crate::validation::mutations::mutate;
use serde_json::{Value, json};

/// Changes an object below `spec`, in one place or two: what was done, for people.
pub fn change(object: &mut Value, random: &mut Random) -> String {
    let mut done = Vec::new();
    for _ in 0..1 + random.below(2) {
        // Nothing is left where the whole was removed.
        if object["spec"].as_object().is_none_or(serde_json::Map::is_empty) {
            break;
        }
        done.push(if random.chance(30) { mutate(object, random) } else { aimed(object, random) });
    }
    done.join(" and ")
}

/// Values by the field that they are for.
fn values(field: &str) -> Vec<Value> {
    let all = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect();
    match field {
        "path" => vec![
            json!({"type": "Exact", "value": "cart"}),
            json!({"type": "PathPrefix", "value": "/a//b"}),
            json!({"type": "RegularExpression", "value": "a//b"}),
            json!({"type": "Exact", "value": "/a%2Fb"}),
            json!({"value": "/a/./b"}),
            json!({"type": "Exact"}),
            json!({"value": "/a/.."}),
            json!({"value": "/a b"}),
            json!({"value": "/a%zz"}),
            json!({"value": "/~a$(b)%20"}),
            json!({"type": "ReplaceFullPath", "replaceFullPath": "/a"}),
            json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/a"}),
            json!({"type": "ReplacePrefixMatch", "replaceFullPath": "/a"}),
            json!({"type": "ReplaceFullPath"}),
        ],
        "value" => {
            all(&["/a#b", "/..", "/a/../b", "/", "", "b/", "/a?b", "/ä", "/a.", "10.0.0.1", "*.x.example", "X.example"])
        }
        "type" => all(&[
            "Exact",
            "PathPrefix",
            "RegularExpression",
            "RequestHeaderModifier",
            "ResponseHeaderModifier",
            "RequestMirror",
            "RequestRedirect",
            "URLRewrite",
            "CORS",
            "ExtensionRef",
            "ExternalAuth",
            "ReplaceFullPath",
            "ReplacePrefixMatch",
            "IPAddress",
            "Hostname",
            "URI",
            "Cookie",
            "Header",
            "example.com/own",
        ]),
        "filters" => vec![
            json!({"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}),
            json!({"type": "RequestRedirect", "requestRedirect": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}),
            json!({"type": "URLRewrite", "urlRewrite": {"hostname": "a.example"}}),
            json!({"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}),
            json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}),
            json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x", "value": "y"}]}}),
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m"}}}),
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 80}, "percent": 1, "fraction": {"numerator": 1}}}),
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 80}, "fraction": {"numerator": 101}}}),
            json!({"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "F", "name": "f"}}),
            json!({"type": "CORS", "cors": {"allowOrigins": ["*", "https://a.example"]}}),
            json!({"type": "CORS"}),
        ],
        "allowOrigins" | "allowMethods" | "allowHeaders" => all(&["*", "GET", "https://*.example"]),
        "backendRefs" | "backendRef" => vec![
            json!({"name": "a"}),
            json!({"name": "a", "port": 80}),
            json!({"name": "a", "group": "example.com", "kind": "Backend"}),
            json!({"name": "a", "kind": "Other"}),
            json!({"name": "a", "group": "gateway.networking.x-k8s.io", "kind": "XBackend", "port": 80}),
            json!({"name": "a", "port": 80, "filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}}]}),
            json!({"name": "a", "port": 80, "filters": [{"type": "RequestRedirect", "requestRedirect": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}}]}),
        ],
        "matches" => vec![
            json!({}),
            json!({"path": {"value": "/b"}}),
            json!({"path": {"type": "Exact", "value": "/b"}}),
            json!({"method": "POST"}),
            json!({"method": {}}),
            json!({"method": {"service": "a.B", "method": "Get"}}),
            json!({"method": {"service": "a..B"}}),
            json!({"method": {"type": "RegularExpression", "service": "a..B"}}),
            json!({"method": {"method": "get-it"}}),
        ],
        "service" => all(&[".a.b", "a/b", "_a", "1a", ""]),
        "method" => vec![
            json!("GET"),
            json!("get"),
            json!("Get_1"),
            json!({}),
            json!({"type": "Exact"}),
            json!({"service": "a-b"}),
        ],
        "request" | "backendRequest" => all(&["0s", "1h", "5s", "4s", "9999ms", "10s", "1m30s", "1.5s", "10"]),
        "parentRefs" => vec![
            json!({"name": "public", "namespace": "infra"}),
            json!({"name": "public", "namespace": "infra", "sectionName": "http"}),
            json!({"name": "public", "namespace": "infra", "sectionName": "http", "port": 81}),
            json!({"name": "public", "namespace": "infra", "sectionName": "more", "port": 81}),
            json!({"name": "public", "sectionName": "http"}),
            json!({"name": "public", "namespace": "infra", "sectionName": "more"}),
            json!({"name": "internal"}),
            json!({"name": "internal", "port": 81}),
            json!({"name": "mesh", "group": "", "kind": "Service"}),
        ],
        "protocol" => all(&["HTTP", "HTTPS", "TLS", "TCP", "UDP", "GRPC", "example.com/own"]),
        "mode" => all(&["Terminate", "Passthrough"]),
        "hostname" => all(&["shop.example", "*.shop.example", "a.example", "10.0.0.1", ""]),
        "hostnames" => all(&["10.0.0.1", "*.x", "x", "a.*.b", "010.0.0.1", "::1"]),
        "tls" => vec![
            json!({}),
            json!({"mode": "Passthrough"}),
            json!({"mode": "Terminate", "certificateRefs": []}),
            json!({"certificateRefs": [{"name": "c"}]}),
            json!({"options": {"a": "b"}}),
        ],
        "listeners" => vec![
            json!({"name": "new", "port": 80, "protocol": "HTTP"}),
            json!({"name": "new", "port": 81, "protocol": "TCP", "hostname": "a.example"}),
            json!({"name": "new", "port": 81, "protocol": "TLS", "hostname": "a.example"}),
            json!({"name": "new", "port": 443, "protocol": "HTTPS"}),
            json!({"name": "http", "port": 82, "protocol": "HTTP"}),
            json!({"name": "new", "port": 82, "protocol": "UDP", "filters": {"requests": []}}),
        ],
        "addresses" => vec![
            json!({"value": "192.0.2.1"}),
            json!({"type": "Hostname", "value": "gw.example"}),
            json!({"type": "Hostname", "value": "*.gw.example"}),
            json!({"type": "Hostname"}),
            json!({"type": "example.com/own", "value": "192.0.2.1"}),
            json!({"value": "2001:db8::1"}),
        ],
        "routability" => all(&["Cluster", "Private", "k8s.io/a", "a.k8s.io/b", "example.com/a/b", "example.com/"]),
        "labels" | "annotations" => vec![
            json!({"a b": "c"}),
            json!({"x.example/": "c"}),
            json!({"X.example/y": "c"}),
            json!({"a/b/c": "d"}),
            json!({"Y_1.z": "c"}),
            json!({("x".repeat(253)): "c"}),
        ],
        "perPort" => vec![json!({"port": 443, "tls": {}}), json!({"port": 1, "tls": {}})],
        "fraction" => {
            vec![json!({"numerator": 3, "denominator": 2}), json!({"numerator": 100}), json!({"numerator": 101})]
        }
        "name" => all(&["cart", "old", "http", "orders", "db", "a"]),
        "targetRefs" => vec![
            json!({"group": "", "kind": "Service", "name": "a"}),
            json!({"group": "", "kind": "Service", "name": "a", "sectionName": "https"}),
            json!({"group": "", "kind": "Service", "name": "c"}),
        ],
        "subjectAltNames" => vec![
            json!({"type": "URI", "hostname": "a.example"}),
            json!({"type": "Hostname"}),
            json!({"type": "URI", "uri": "https://a"}),
        ],
        "wellKnownCACertificates" => all(&["System", ""]),
        "caCertificateRefs" => vec![
            json!({"group": "certificates.k8s.io", "kind": "ClusterTrustBundle", "name": "b"}),
            json!({"group": "certificates.k8s.io", "kind": "ClusterTrustBundle", "name": "b", "namespace": "a"}),
            json!({"group": "", "kind": "ConfigMap", "name": "ca"}),
        ],
        "rules" => vec![
            json!({"name": "cart", "backendRefs": [{"name": "a", "port": 1}]}),
            json!({"name": "db", "backendRefs": [{"name": "a", "port": 1}]}),
            json!({"name": "orders"}),
            json!({"matches": vec![json!({}); 64], "backendRefs": [{"name": "a", "port": 1}]}),
            json!({"timeouts": {"backendRequest": "2s", "request": "1s"}}),
        ],
        "sessionPersistence" => vec![
            json!({"type": "Cookie", "cookieConfig": {"lifetimeType": "Permanent"}}),
            json!({"type": "Header", "cookieConfig": {}}),
            json!({"type": "Cookie", "cookie": {"lifetimeType": "Permanent"}}),
            json!({"type": "Header", "cookie": {}}),
            json!({}),
        ],
        _ => Vec::new(),
    }
}

/// Sets a field that an object has, or that stands beside one, to a value for it; a list gets one more item, or several.
fn aimed(object: &mut Value, random: &mut Random) -> String {
    let mut places = Vec::new();
    gather(&object["spec"], "/spec", &mut places);
    places.retain(|place| !values(place.rsplit('/').next().unwrap_or_default()).is_empty());
    let Some(place) = (!places.is_empty()).then(|| random.of(&places).clone()) else { return mutate(object, random) };
    let field = place.rsplit('/').next().unwrap_or_default().to_owned();
    if random.chance(12) {
        let (parent, _) = place.rsplit_once('/').expect("a pointer");
        if let Some(Value::Object(map)) = object.pointer_mut(parent) {
            map.shift_remove(&field);
        }
        return format!("{place}: removed");
    }
    let value = random.of(&values(&field)).clone();
    match object.pointer_mut(&place) {
        Some(Value::Array(items)) if random.chance(85) => {
            let at = random.below(items.len() + 1);
            if random.chance(20) && !items.is_empty() {
                let copy = random.of(items).clone();
                items.insert(at, copy);
            } else {
                items.insert(at, value);
            }
        }
        Some(Value::Array(items)) => *items = vec![value],
        Some(Value::Object(map)) if value.is_object() && random.chance(50) => {
            map.extend(value.as_object().cloned().unwrap_or_default());
        }
        Some(node) => *node = value,
        None => {}
    }
    // A field beside it, of those that go with its neighbours.
    if random.chance(15) {
        let (parent, _) = place.rsplit_once('/').expect("a pointer");
        let more =
            *random.of(&["port", "sectionName", "hostname", "tls", "percent", "timeouts", "filters", "namespace"]);
        let made = match more {
            "port" => json!(80),
            "percent" => json!(5),
            "tls" | "filters" => random.of(&values(more)).clone(),
            "timeouts" => json!({"request": "1s", "backendRequest": "2s"}),
            _ => json!("a.example"),
        };
        if let Some(Value::Object(map)) = object.pointer_mut(parent) {
            let made = if more == "filters" { json!([made]) } else { made };
            map.insert(more.to_owned(), made);
            return format!("{place}: {} with {more}", object.pointer(&place).unwrap_or(&Value::Null));
        }
    }
    format!("{place}: {}", object.pointer(&place).unwrap_or(&Value::Null))
}

/// The pointers of all fields below a value; names have no slashes here but those of labels, which are left out.
fn gather(value: &Value, pointer: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, child) in map.iter().filter(|(key, _)| !key.contains(['/', '~'])) {
                let below = format!("{pointer}/{key}");
                places.push(below.clone());
                gather(child, &below, places);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| gather(item, &format!("{pointer}/{index}"), places));
        }
        _ => {}
    }
}
