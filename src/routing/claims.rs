//! What a route claims: the requests that it serves, with who serves them. It is a coarse view, made to order changes by:
//! where it is not certain that two claims are about different requests, they meet (design laws 2 and 13).

use super::meet;
use crate::kinds::{GATEWAY, each};
use crate::object::{GroupKind, ObjectRef};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The requests of one match of one rule for one hostname, and what answers them.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The protocol family: claims of different families never meet.
    family: Family,
    /// The hostname; none means every hostname of the listener.
    hostname: Option<String>,
    /// The path; none means every path.
    path: Option<Path>,
    /// Method, headers and query parameters, as the route has them.
    conditions: Value,
    /// The backends with their share of the requests, in parts of a million; without those that get none.
    pub backends: BTreeMap<ObjectRef, u64>,
    /// Where a redirect leads, if the claim is answered by one.
    pub redirect: Option<Box<Target>>,
}

/// Where a redirect leads: a claim without backends, to be met by those that serve the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Target(Claim);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// HTTPRoute and GRPCRoute.
    Http,
    /// TLSRoute: by the name that the client asks for.
    Tls,
    /// TCPRoute and UDPRoute: by the listener alone.
    Stream(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Exact(String),
    Prefix(String),
    /// A regular expression or a type that is not known: it may match anything.
    Any(String),
}

impl Path {
    fn of(path: Option<&Value>) -> Option<Self> {
        let text = |field: &str| path.and_then(|p| p.get(field)).and_then(Value::as_str);
        // The defaults of Gateway API (HTTPPathMatch).
        let value = text("value").unwrap_or("/");
        match text("type").unwrap_or("PathPrefix") {
            "PathPrefix" if value == "/" => None,
            "PathPrefix" => Some(Self::Prefix(value.trim_end_matches('/').to_owned())),
            "Exact" => Some(Self::Exact(value.to_owned())),
            _ => Some(Self::Any(value.to_owned())),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        let covers = |prefix: &str, path: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match (self, other) {
            (Self::Any(_), _) | (_, Self::Any(_)) => true,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Prefix(a), Self::Exact(b)) | (Self::Exact(b), Self::Prefix(a)) => covers(a, b),
            (Self::Prefix(a), Self::Prefix(b)) => covers(a, b) || covers(b, a),
        }
    }
}

impl Claim {
    /// Whether some request may be meant by both. Conditions are left out: when in doubt they meet.
    pub fn meets(&self, other: &Self) -> bool {
        let paths = match (&self.path, &other.path) {
            (Some(a), Some(b)) => a.meets(b),
            _ => true,
        };
        // What a TLSRoute leaves to its backend, an HTTPRoute may serve at a listener that ends TLS.
        let by_name = |claim: &Self| matches!(claim.family, Family::Http | Family::Tls);
        let families = self.family == other.family || by_name(self) && by_name(other);
        families && paths && meet(self.hostname.as_deref(), other.hostname.as_deref())
    }

    /// Whether both are the same requests, whoever answers them.
    pub fn is_same(&self, other: &Self) -> bool {
        self.family == other.family
            && self.hostname == other.hostname
            && self.path == other.path
            && self.conditions == other.conditions
    }

    /// Whether this claim is about more than another one, which wins over it where both are made: for fewer labels of the
    /// hostname, or a shorter path (Gateway API HTTPRouteRule, precedence).
    pub fn is_wider_than(&self, other: &Self) -> bool {
        let same = self.hostname == other.hostname && self.path == other.path;
        let length = |path: &Option<Path>| match path {
            None => 0,
            Some(Path::Prefix(text) | Path::Any(text)) => text.len(),
            Some(Path::Exact(_)) => usize::MAX,
        };
        let labels = |hostname: &Option<String>| match hostname.as_deref() {
            None => 0,
            Some(name) if name.starts_with('*') => name.len(),
            Some(_) => usize::MAX,
        };
        let rank = |claim: &Self| (labels(&claim.hostname), length(&claim.path));
        !same && self.meets(other) && rank(self) < rank(other)
    }

    /// Whether a request for a path of a hostname may be meant.
    pub fn serves(&self, host: Option<&str>, path: &str) -> bool {
        let path = Path::Exact(path.to_owned());
        self.is_served()
            && meet(self.hostname.as_deref(), host)
            && self.path.as_ref().is_none_or(|own| own.meets(&path))
    }

    /// The hostname, if it is exact: claims with different exact hostnames never meet.
    pub fn exact_hostname(&self) -> Option<&str> {
        self.hostname.as_deref().filter(|name| !name.starts_with('*'))
    }

    /// Whether both are redirects that may lead to each other: as those from HTTP to HTTPS on the same hostname do, since listeners
    /// are left out. Neither serves what the other leads to.
    pub fn lead_to_each_other(&self, other: &Self) -> bool {
        let leads = |from: &Self, to: &Self| from.redirect.as_ref().is_some_and(|target| target.is_met_by(to));
        leads(self, other) && leads(other, self)
    }

    /// Whether requests are answered at all.
    pub fn is_served(&self) -> bool {
        self.redirect.is_some() || !self.backends.is_empty()
    }
}

impl Target {
    /// Whether a claim may serve what the redirect leads to.
    pub fn is_met_by(&self, claim: &Claim) -> bool {
        self.0.meets(claim) && claim.is_served()
    }
}

/// Whether an object is a route of Gateway API.
pub fn is_route(object: &ObjectRef) -> bool {
    object.group == GATEWAY && object.kind.ends_with("Route")
}

/// Whether a kind is one of Gateway API's routes.
pub fn is_route_kind(kind: &GroupKind) -> bool {
    kind.group == GATEWAY && kind.kind.ends_with("Route")
}

/// What a route claims; nothing for other kinds.
pub fn claims(route: &ObjectRef, value: &Value) -> Vec<Claim> {
    if !is_route(route) {
        return Vec::new();
    }
    let family = match route.kind.as_str() {
        "TLSRoute" => Family::Tls,
        "TCPRoute" => Family::Stream("TCP"),
        "UDPRoute" => Family::Stream("UDP"),
        _ => Family::Http,
    };
    let named = each(value, "spec.hostnames[]").into_iter().filter_map(|(_, name)| name.as_str());
    let mut hostnames: Vec<Option<String>> = named.map(|name| Some(name.to_ascii_lowercase())).collect();
    if hostnames.is_empty() {
        hostnames.push(None);
    }
    let mut found = Vec::new();
    for (_, rule) in each(value, "spec.rules[]") {
        let backends = shares(route, rule);
        let matches: Vec<&Value> = each(rule, "matches[]").into_iter().map(|(_, m)| m).collect();
        let all = [&Value::Null];
        let matches = if matches.is_empty() { &all[..] } else { &matches[..] };
        for (one, hostname) in matches.iter().flat_map(|one| hostnames.iter().map(move |hostname| (*one, hostname))) {
            let claim = Claim {
                family,
                hostname: hostname.clone(),
                path: path(route, one),
                conditions: conditions(one),
                backends: backends.clone(),
                redirect: None,
            };
            let redirect = redirect(rule).map(|filter| Box::new(Target(led_to(&claim, filter))));
            found.push(Claim { redirect, ..claim });
        }
    }
    found
}

/// The conditions of a match in one way of writing: the API server adds defaults (Gateway API HTTPHeaderMatch), all must hold in
/// whatever order, and names of headers have no case. The method of a GRPCRoute is its path.
fn conditions(one: &Value) -> Value {
    let all = |list: &str, has_case: bool| {
        let text = |item: &Value, field: &str| item.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let items = each(one, list).into_iter().map(|(_, item)| {
            let kind = item.get("type").and_then(Value::as_str).unwrap_or("Exact").to_owned();
            let name = text(item, "name");
            [if has_case { name } else { name.to_ascii_lowercase() }, kind, text(item, "value")]
        });
        let mut items: Vec<[String; 3]> = items.collect();
        items.sort();
        items
    };
    let method = one.get("method").filter(|method| method.is_string());
    json!([method, all("headers[]", false), all("queryParams[]", true)])
}

fn path(route: &ObjectRef, one: &Value) -> Option<Path> {
    match route.kind.as_str() {
        "HTTPRoute" => Path::of(one.get("path")),
        "GRPCRoute" => {
            // A gRPC method is the path /SERVICE/METHOD (gRPC over HTTP/2).
            let method = one.get("method")?;
            let text = |field: &str| method.get(field).and_then(Value::as_str);
            match (text("type").unwrap_or("Exact"), text("service"), text("method")) {
                ("Exact", Some(service), Some(method)) => Some(Path::Exact(format!("/{service}/{method}"))),
                ("Exact", Some(service), None) => Some(Path::Prefix(format!("/{service}"))),
                (_, service, method) => Some(Path::Any(format!("{service:?}/{method:?}"))),
            }
        }
        _ => None,
    }
}

/// The backends of a rule with their share; a weight is 1 unless it is given, and 0 gets nothing (Gateway API BackendRef).
fn shares(route: &ObjectRef, rule: &Value) -> BTreeMap<ObjectRef, u64> {
    let mut weights: BTreeMap<ObjectRef, u64> = BTreeMap::new();
    for (_, backend) in each(rule, "backendRefs[]") {
        let text = |field: &str| backend.get(field).and_then(Value::as_str);
        let Some(name) = text("name") else { continue };
        let weight = backend.get("weight").and_then(Value::as_u64).unwrap_or(1);
        let namespace = text("namespace").unwrap_or(route.namespace());
        let object =
            ObjectRef::new(text("group").unwrap_or_default(), text("kind").unwrap_or("Service"), namespace, name);
        *weights.entry(object).or_default() += weight;
    }
    let all: u64 = weights.values().sum();
    weights.retain(|_, weight| *weight > 0);
    weights.values_mut().for_each(|weight| *weight = weight.saturating_mul(1_000_000) / all.max(1));
    weights
}

fn redirect(rule: &Value) -> Option<&Value> {
    let filters = each(rule, "filters[]").into_iter().map(|(_, filter)| filter);
    filters.filter(|f| f.get("type").is_some_and(|t| t == "RequestRedirect")).find_map(|f| f.get("requestRedirect"))
}

/// The requests that clients send who follow a redirect (Gateway API HTTPRequestRedirectFilter). A path that is rewritten may
/// be any.
fn led_to(claim: &Claim, filter: &Value) -> Claim {
    let text = |pointer: &str| filter.pointer(pointer).and_then(Value::as_str);
    let hostname = text("/hostname").map(str::to_ascii_lowercase).or_else(|| claim.hostname.clone());
    let path = match (text("/path/type"), text("/path/replaceFullPath"), text("/path/replacePrefixMatch")) {
        (None, ..) => claim.path.clone(),
        (Some("ReplaceFullPath"), Some(path), _) => Some(Path::Exact(path.to_owned())),
        (Some("ReplacePrefixMatch"), _, Some(prefix)) if prefix.trim_end_matches('/').is_empty() => None,
        (Some("ReplacePrefixMatch"), _, Some(prefix)) => Some(Path::Prefix(prefix.trim_end_matches('/').to_owned())),
        (Some(other), ..) => Some(Path::Any(other.to_owned())),
    };
    Claim { hostname, path, redirect: None, ..claim.clone() }
}

/// The claims of a state that the other state has not.
pub fn beyond<'a>(claims: &'a [Claim], other: &[Claim]) -> Vec<&'a Claim> {
    claims.iter().filter(|claim| !other.iter().any(|known| known.is_same(claim))).collect()
}

/// Where a route is attached: a Gateway or ListenerSet, all of its listeners or some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    to: ObjectRef,
    section: Option<String>,
    port: Option<i64>,
}

impl Attached {
    /// Whether every listener of the other one is meant.
    fn covers(&self, other: &Self) -> bool {
        self.to == other.to
            && (self.section.is_none() || self.section == other.section)
            && (self.port.is_none() || self.port == other.port)
    }

    /// Whether some listener may be meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.to == other.to
            && (self.section.is_none() || other.section.is_none() || self.section == other.section)
            && (self.port.is_none() || other.port.is_none() || self.port == other.port)
    }
}

/// Where a state of a route is attached.
pub fn attached(route: &ObjectRef, value: &Value) -> Vec<Attached> {
    let parents = each(value, "spec.parentRefs[]").into_iter().map(|(_, parent)| parent);
    let parents = parents.filter_map(|parent| {
        let text = |field: &str| parent.get(field).and_then(Value::as_str);
        let group = text("group").unwrap_or(GATEWAY);
        let namespace = text("namespace").unwrap_or(route.namespace());
        Some(Attached {
            to: ObjectRef::new(group, text("kind").unwrap_or("Gateway"), namespace, text("name")?),
            section: text("sectionName").map(str::to_owned),
            port: parent.get("port").and_then(Value::as_i64),
        })
    });
    parents.collect()
}

/// Where a state is attached and the other is not.
pub fn attached_beyond(here: &[Attached], other: &[Attached]) -> Vec<Attached> {
    here.iter().filter(|at| !other.iter().any(|known| known.covers(at))).cloned().collect()
}

/// Claims with the routes that make them, found by what they may meet.
#[derive(Debug)]
pub struct Claims<T> {
    all: Vec<(T, Claim)>,
    /// Those with an exact hostname, by it.
    exact: BTreeMap<String, Vec<usize>>,
    /// All others: they may meet any hostname.
    wide: Vec<usize>,
}

impl<T> Default for Claims<T> {
    fn default() -> Self {
        Self { all: Vec::new(), exact: BTreeMap::new(), wide: Vec::new() }
    }
}

impl<T> Claims<T> {
    /// Adds a claim.
    pub fn add(&mut self, of: T, claim: Claim) {
        let place = self.all.len();
        match claim.exact_hostname() {
            Some(name) => self.exact.entry(name.to_owned()).or_default().push(place),
            None => self.wide.push(place),
        }
        self.all.push((of, claim));
    }

    /// All claims.
    pub fn all(&self) -> &[(T, Claim)] {
        &self.all
    }

    /// The claims that a claim meets.
    pub fn meeting<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = &'a (T, Claim)> {
        let named: Box<dyn Iterator<Item = &usize>> = match claim.exact_hostname() {
            Some(name) => Box::new(self.exact.get(name).into_iter().flatten()),
            None => Box::new(self.exact.values().flatten()),
        };
        named.chain(&self.wide).map(|place| &self.all[*place]).filter(|(_, known)| known.meets(claim))
    }

    /// The claims that may serve what a redirect leads to.
    pub fn meeting_target<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a (T, Claim)> {
        self.meeting(&target.0).filter(|(_, claim)| claim.is_served())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(hostnames: &[&str], paths: &[Value], backends: &Value) -> Vec<Claim> {
        let matches: Vec<Value> = paths.iter().map(|path| json!({"path": path})).collect();
        let value = json!({"spec": {"hostnames": hostnames, "rules": [{"matches": matches, "backendRefs": backends}]}});
        claims(&ObjectRef::new(GATEWAY, "HTTPRoute", "ns", "r"), &value)
    }

    fn prefix(path: &str) -> Value {
        json!({"type": "PathPrefix", "value": path})
    }

    #[test]
    fn claims_meet_when_in_doubt() {
        let backends = json!([{"name": "a", "port": 80}]);
        let meets = |a: (&[&str], Value), b: (&[&str], Value)| {
            let (a, b) = (route(a.0, &[a.1], &backends), route(b.0, &[b.1], &backends));
            assert_eq!(a[0].meets(&b[0]), b[0].meets(&a[0]));
            a[0].meets(&b[0])
        };
        let exact = |path: &str| json!({"type": "Exact", "value": path});
        let host = &["shop.example"][..];
        assert!(meets((host, prefix("/cart")), (host, prefix("/cart/7"))));
        assert!(meets((host, prefix("/cart/")), (host, exact("/cart"))));
        assert!(meets((host, prefix("/")), (&[], exact("/x"))));
        assert!(meets((&["*.example"], prefix("/a")), (host, json!({"type": "RegularExpression", "value": "/b.*"}))));
        assert!(!meets((host, prefix("/cart")), (host, prefix("/cartoon"))));
        assert!(!meets((host, prefix("/cart")), (&["other.example"], prefix("/cart"))));
        assert!(!meets((host, exact("/a")), (host, exact("/b"))));
    }

    #[test]
    fn shares_are_those_of_the_weights() {
        let claims =
            route(&[], &[prefix("/")], &json!([{"name": "a", "weight": 3}, {"name": "b"}, {"name": "c", "weight": 0}]));
        let shares: Vec<(&str, u64)> = claims[0].backends.iter().map(|(o, share)| (o.name.as_str(), *share)).collect();
        assert_eq!(shares, [("a", 750_000), ("b", 250_000)]);
    }

    #[test]
    fn a_redirect_leads_somewhere() {
        let value = json!({"spec": {"hostnames": ["a.example"], "rules": [{"matches": [{"path": prefix("/cart")}], "filters": [
            {"type": "RequestRedirect", "requestRedirect": {"hostname": "b.example", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}]}]}});
        let from = claims(&ObjectRef::new(GATEWAY, "HTTPRoute", "ns", "r"), &value);
        let target = from[0].redirect.as_ref().expect("a redirect");
        let backends = json!([{"name": "a"}]);
        assert!(target.is_met_by(&route(&["b.example"], &[prefix("/x")], &backends)[0]));
        assert!(!target.is_met_by(&route(&["a.example"], &[prefix("/cart")], &backends)[0]));
        assert!(!target.is_met_by(&route(&["b.example"], &[prefix("/x")], &json!([]))[0]), "it serves nothing");
    }

    #[test]
    fn what_is_lost_is_what_the_other_state_has_not() {
        let backends = json!([{"name": "a"}]);
        let (before, after) = (
            route(&["h"], &[prefix("/a"), prefix("/b")], &backends),
            route(&["h"], &[prefix("/b"), prefix("/c")], &json!([{"name": "other"}])),
        );
        assert_eq!(beyond(&before, &after), [&before[0]]);
        assert_eq!(beyond(&after, &before), [&after[1]]);
    }
}
