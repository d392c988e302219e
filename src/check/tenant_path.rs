//! SPW105.

use super::context::is_route;
use super::{Check, Context, tenant_hostname};
use crate::desired::{Member, Tenant, allows_all};
use crate::kinds::each;
use crate::object::{Diagnostic, Object, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW105",
    name: "tenant-path",
    severity: Severity::Error,
    guards: true,
    what: "A route of a tenant serves a path that is not the tenant's.",
    why: "Behind one hostname the path is what tells teams apart, and a longer prefix wins (Gateway API, HTTPRouteRule): a \
          route for `/` or for another team's prefix takes its requests.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], hostnames: [shop.example], pathPrefixes: [/cart]}]\n\
              # apps/checkout/route.yaml\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\n\
              spec:\n  hostnames: [shop.example]\n  rules: [{matches: [{path: {type: PathPrefix, value: /login}}]}]",
    remedy: "Serve one of the tenant's `pathPrefixes`, or have the platform team add this one. A hostname that is the tenant's \
             alone belongs under `ownHostnames`: there every path is its own.",
    run,
};

/// Whether a prefix covers a path, element by element (Gateway API, PathPrefix).
fn covers(prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn has(tenant: &Tenant, path: &str) -> bool {
    allows_all(&tenant.path_prefixes) || tenant.path_prefixes.iter().any(|prefix| covers(prefix, path))
}

/// What a match serves: its path, or in words what cannot be held against prefixes.
fn served(value: &Value, is_grpc: bool) -> Result<String, String> {
    if is_grpc {
        let service = value.pointer("/method/service").and_then(Value::as_str);
        // Whatever is no exact name is a pattern.
        let pattern = value.pointer("/method/type").is_some_and(|kind| kind != "Exact");
        // Letters, digits, `_` and dots (Gateway API GRPCMethodMatch): anything else is read as another path by the proxy.
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        let method = value.pointer("/method/method").and_then(Value::as_str).unwrap_or_default();
        return match service {
            Some(service) if pattern => Err(format!("the services {service}")),
            Some(service) if !is_name(service) || service.starts_with('.') || !is_name(method) => {
                Err(format!("the service {service}, which may be read as another path"))
            }
            Some(service) => Ok(format!("/{service}")),
            None => Ok("/".to_owned()),
        };
    }
    let path = value.pointer("/path/value").and_then(Value::as_str).unwrap_or("/");
    if value.pointer("/path/type").is_some_and(|kind| kind != "Exact" && kind != "PathPrefix") {
        return Err(format!("the paths {path}"));
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    if plain.split('/').any(|element| element == ".." || element == ".")
        || plain.contains("%2f")
        || plain.contains("//")
    {
        return Err(format!("the path {path}, which may be read as another"));
    }
    Ok(path.to_owned())
}

/// What a route serves.
enum Served {
    /// Nothing that prefixes would have to cover.
    OwnHostnames,
    /// Paths that this kind of route does not know: all of them.
    All,
    /// Its matches: where each stands, with its path, or what it serves in words where prefixes cannot cover it.
    Matches(Vec<(String, Result<String, String>)>),
}

impl Served {
    fn of(object: &Object, tenant: &Tenant) -> Self {
        let hostnames = each(&object.value, "spec.hostnames[]");
        let own = |hostname: &Value| {
            tenant_hostname::any_covers(&tenant.own_hostnames, hostname.as_str().unwrap_or_default())
        };
        let is_own = if hostnames.is_empty() {
            allows_all(&tenant.own_hostnames)
        } else {
            hostnames.iter().all(|(_, hostname)| own(hostname))
        };
        let is_grpc = object.reference.kind == "GRPCRoute";
        if is_own {
            return Self::OwnHostnames;
        }
        if !is_grpc && object.reference.kind != "HTTPRoute" {
            return Self::All;
        }
        let mut matches = Vec::new();
        let rules = each(&object.value, "spec.rules[]");
        if rules.is_empty() {
            matches.push(("/spec".to_owned(), Ok("/".to_owned())));
        }
        for (pointer, rule) in rules {
            let found = each(rule, "matches[]");
            if found.is_empty() {
                matches.push((pointer.clone(), Ok("/".to_owned())));
            }
            let place = if is_grpc { "method" } else { "path" };
            let found = found.into_iter();
            matches.extend(found.map(|(below, value)| (format!("{pointer}{below}/{place}"), served(value, is_grpc))));
        }
        Self::Matches(matches)
    }
}

/// The prefixes that would allow a tenant what a route of it serves, `*` for what no prefix covers.
pub(super) fn used(object: &Object, tenant: &Tenant) -> Vec<String> {
    if !is_route(&object.reference) {
        return Vec::new();
    }
    match Served::of(object, tenant) {
        Served::OwnHostnames => Vec::new(),
        Served::All => vec!["*".to_owned()],
        Served::Matches(matches) => {
            matches.into_iter().map(|(_, path)| path.unwrap_or_else(|_| "*".to_owned())).collect()
        }
    }
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let object = &member.object;
    if !is_route(&object.reference) || allows_all(&tenant.path_prefixes) {
        return Vec::new();
    }
    let matches = match Served::of(object, tenant) {
        Served::OwnHostnames => return Vec::new(),
        // Without hostnames it serves all of them, which another rule says.
        Served::All if tenant_hostname::used(object) == ["*"] && !allows_all(&tenant.hostnames) => return Vec::new(),
        Served::All => {
            let what = "serve every path: a route of this kind knows none";
            return vec![context.violation(&CHECK, (member, tenant), "/kind", what, |_| false)];
        }
        Served::Matches(matches) => matches,
    };
    let foreign = matches.into_iter().filter_map(|(pointer, path)| match path {
        Ok(path) if has(tenant, &path) => None,
        Ok(path) => {
            let what = format!("serve the path {path}");
            let may = |other: &Tenant| has(other, &path);
            Some(context.violation(&CHECK, (member, tenant), &pointer, &what, may))
        }
        Err(what) => Some(context.violation(&CHECK, (member, tenant), &pointer, &format!("serve {what}"), |_| false)),
    });
    foreign.map(|violation| context.of_list(violation, tenant, !tenant.path_prefixes.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prefixes_cover_whole_elements() {
        for (prefix, path, expected) in [
            ("/cart", "/cart", true),
            ("/cart", "/cart/", true),
            ("/cart/", "/cart/a", true),
            ("/cart", "/carts", false),
            ("/", "/any", true),
            ("/cart", "/", false),
            ("/cart", "/Cart", false),
        ] {
            assert_eq!(covers(prefix, path), expected, "{prefix} {path}");
        }
    }

    #[test]
    fn a_match_serves_a_path_or_cannot_be_held_against_prefixes() {
        let path = |kind: &str, value: &str| served(&json!({"path": {"type": kind, "value": value}}), false).is_ok();
        assert!(path("PathPrefix", "/cart") && path("Exact", "/cart/a.b"));
        for wrong in ["/cart/..", "/cart/%2E%2e/x", "/cart/./x", "/cart/%2fx", "/cart//x"] {
            assert!(!path("PathPrefix", wrong), "{wrong}");
        }
        assert!(!path("RegularExpression", "/cart.*"));
        assert_eq!(served(&json!({}), false), Ok("/".to_owned()));
        assert_eq!(served(&json!({"method": {"service": "a.B"}}), true), Ok("/a.B".to_owned()));
        for wrong in [
            json!({"type": "RegularExpression", "service": ".*"}),
            json!({"service": "cart/../pay"}),
            json!({"service": ".."}),
            json!({"service": "cart%2f..%2fpay"}),
            json!({"service": "cart", "method": "../pay"}),
        ] {
            assert!(served(&json!({"method": wrong}), true).is_err(), "{wrong}");
        }
    }
}
