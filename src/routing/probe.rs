//! Whether a proxy follows a route already: the route lets it put a mark on its answers, and the mark is asked for.

use super::{Attachment, attach, listeners, meet};
use crate::kinds::{GATEWAY, PROBE, each};
use crate::object::{ObjectRef, annotation, hex};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;

/// The header of answers that tells which state of a route the proxy follows.
pub const MARK: &str = "spinway-mark";
/// More doors than this are not asked.
const MAX_DOORS: usize = 8;

/// What is asked through the Gateway to learn whether it follows a route as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// The route.
    pub route: ObjectRef,
    /// Its hostnames without wildcards; none at all when it has every hostname of its listeners.
    pub hosts: Vec<String>,
    /// The path, which the route serves.
    pub path: String,
    /// The mark that the answer carries.
    pub mark: String,
}

/// Where a proxy is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Door {
    /// An address of the Gateway: of a network, or a name.
    pub address: String,
    /// The port of a listener that takes the route.
    pub port: u16,
    /// Whether it speaks TLS.
    pub secure: bool,
    /// The hostname that is asked for; none where there is none to ask for.
    pub host: Option<String>,
}

/// The mark of the state of a route: of its spec without marks. Hexadecimal, 48 bits.
pub fn mark_of(spec: &Value) -> String {
    let digest = Sha256::digest(sorted(&unmarked(spec)).to_string());
    hex(&digest[..6])
}

/// The spec without marks, and without what is empty without them.
fn unmarked(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let rules = spec.get_mut("rules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(filters) = rule.get_mut("filters").and_then(Value::as_array_mut) else { continue };
        filters.retain_mut(|filter| {
            let Some(changes) = filter.get_mut("responseHeaderModifier").and_then(Value::as_object_mut) else {
                return true;
            };
            if let Some(set) = changes.get_mut("set").and_then(Value::as_array_mut) {
                set.retain(|header| !is_mark(header));
                if set.is_empty() {
                    changes.remove("set");
                }
            }
            !changes.is_empty()
        });
        if filters.is_empty() {
            rule.remove("filters");
        }
    }
    spec
}

/// Maps in the order of their keys: the same state has the same text.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.iter().map(|(key, v)| (key.clone(), sorted(v))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        scalar => scalar.clone(),
    }
}

fn is_mark(header: &Value) -> bool {
    header.get("name").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(MARK))
}

/// What is asked about a route; none when it names no path, when a part of it was changed after it was marked (a patch), or when no
/// request is certain to reach it: its hostnames have wildcards, or its rules are not about the path.
pub fn probe_of(route: &ObjectRef, value: &Value) -> Option<Probe> {
    let path = annotation(value, PROBE)?.to_owned();
    let spec = value.get("spec")?;
    let mark = mark_of(spec);
    let rules: Vec<&Value> = each(value, "spec.rules[]").into_iter().map(|(_, rule)| rule).collect();
    let is_marked = rules.iter().all(|rule| marks(rule).any(|known| known == mark));
    let is_served = rules.iter().any(|rule| serves(rule, &path));
    let hosts = each(value, "spec.hostnames[]");
    let all = hosts.len();
    let exact = hosts.iter().filter_map(|(_, host)| host.as_str().filter(|host| !host.starts_with('*')));
    let hosts: Vec<String> = exact.map(str::to_owned).collect();
    let is_asked = is_marked && is_served && (all == 0 || !hosts.is_empty());
    is_asked.then(|| Probe { route: route.clone(), hosts, path, mark })
}

/// Whether a route puts a mark on answers of any of its rules.
pub fn carries(route: &Value, mark: &str) -> bool {
    each(route, "spec.rules[]").into_iter().any(|(_, rule)| marks(rule).any(|known| known == mark))
}

/// The marks that a rule puts on answers.
fn marks(rule: &Value) -> impl Iterator<Item = &str> {
    let headers = each(rule, "filters[].responseHeaderModifier.set[]").into_iter().map(|(_, header)| header);
    headers.filter(|header| is_mark(header)).filter_map(|header| header.get("value")?.as_str())
}

/// Whether a rule serves a plain GET of a path, whoever asks.
fn serves(rule: &Value, path: &str) -> bool {
    each(rule, "matches[]").into_iter().any(|(_, one)| {
        let text = |field: &str| one.pointer(field).and_then(Value::as_str);
        let value = text("/path/value").unwrap_or("/");
        let covers = match text("/path/type").unwrap_or("PathPrefix") {
            "PathPrefix" => {
                let prefix = value.trim_end_matches('/');
                path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            "Exact" => path == value,
            _ => false,
        };
        covers
            && matches!(text("/method"), None | Some("GET"))
            && each(one, "headers[]").is_empty()
            && each(one, "queryParams[]").is_empty()
    })
}

/// Where a route is served: at the addresses that its Gateways have, at the listeners that take it. Nothing where one of them cannot
/// be told, or where there are too many: then nobody is asked.
pub fn doors<'a>(probe: &Probe, route: &Value, gateway: impl Fn(&ObjectRef) -> Option<&'a Value>) -> Vec<Door> {
    let mut found = Vec::new();
    for (_, parent) in each(route, "spec.parentRefs[]") {
        let text = |field: &str| parent.get(field).and_then(Value::as_str);
        let (group, kind) = (text("group").unwrap_or(GATEWAY), text("kind").unwrap_or("Gateway"));
        let namespace = text("namespace").unwrap_or(probe.route.namespace());
        let object = ObjectRef::new(group, kind, namespace, text("name").unwrap_or_default());
        let Some(value) = gateway(&object).filter(|_| object.is(GATEWAY, "Gateway")) else { return Vec::new() };
        let Some(doors) = doors_of(probe, route, parent, (&object, value)) else { return Vec::new() };
        found.extend(doors);
    }
    found.sort();
    found.dedup();
    if found.len() > MAX_DOORS { Vec::new() } else { found }
}

fn doors_of(
    probe: &Probe,
    route: &Value,
    parent: &Value,
    (object, gateway): (&ObjectRef, &Value),
) -> Option<Vec<Door>> {
    let addresses: Option<Vec<&str>> =
        each(gateway, "status.addresses[]").into_iter().map(|(_, address)| known_address(address)).collect();
    let addresses = addresses.filter(|addresses| !addresses.is_empty())?;
    let mut found = Vec::new();
    for listener in listeners(gateway) {
        match attach(listener, object.namespace(), (&probe.route, route), parent, None) {
            Attachment::Taken => {}
            Attachment::Refused(_) => continue,
            Attachment::Unknown => return None,
        }
        let secure = match listener.get("protocol").and_then(Value::as_str) {
            Some("HTTP") => false,
            Some("HTTPS") => true,
            _ => return None,
        };
        let port = listener.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok())?;
        let own = listener.get("hostname").and_then(Value::as_str);
        let host = match own {
            _ if !probe.hosts.is_empty() => Some(probe.hosts.iter().find(|host| meet(own, Some(host)))?.clone()),
            Some(own) if own.starts_with('*') => return None,
            own => own.map(str::to_owned),
        };
        let door = |address: &&str| Door { address: (*address).to_owned(), port, secure, host: host.clone() };
        found.extend(addresses.iter().map(door));
    }
    Some(found)
}

/// An address that can be asked (Gateway API GatewayStatusAddress): one of a network, or a name.
fn known_address(address: &Value) -> Option<&str> {
    let value = address.get("value").and_then(Value::as_str)?;
    match address.get("type").and_then(Value::as_str).unwrap_or("IPAddress") {
        "IPAddress" => value.parse::<IpAddr>().is_ok().then_some(value),
        "Hostname" => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn marked(mut spec: Value) -> Value {
        let mark = mark_of(&spec);
        let set = json!([{"name": "Spinway-Mark", "value": mark}]);
        spec["rules"][0]["filters"] =
            json!([{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": set}}]);
        json!({"metadata": {"annotations": {PROBE: "/cart/health"}}, "spec": spec})
    }

    fn spec(host: &str) -> Value {
        json!({
            "parentRefs": [{"name": "g", "sectionName": "web"}],
            "hostnames": [host],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/cart"}}], "backendRefs": [{"name": "b"}]}],
        })
    }

    fn route() -> ObjectRef {
        ObjectRef::new(GATEWAY, "HTTPRoute", "ns", "cart")
    }

    #[test]
    fn a_route_is_asked_by_its_own_hostname_and_path_and_its_mark_is_that_of_its_state() {
        let value = marked(spec("shop.example"));
        let probe = probe_of(&route(), &value).unwrap_or_else(|| unreachable!("it has a probe"));
        assert_eq!((probe.hosts.as_slice(), probe.path.as_str()), (&["shop.example".to_owned()][..], "/cart/health"));
        assert!(carries(&value, &probe.mark) && !carries(&value, "another"));
        assert_eq!(probe.mark, mark_of(&spec("shop.example")));
        assert_ne!(probe.mark, mark_of(&spec("other.example")));
    }

    #[test]
    fn what_cannot_be_told_is_not_asked() {
        let mut patched = marked(spec("shop.example"));
        patched["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("another");
        let mut elsewhere = marked(spec("shop.example"));
        elsewhere["metadata"]["annotations"][PROBE] = json!("/carts");
        let mut told = spec("shop.example");
        told["rules"][0]["matches"][0]["headers"] = json!([{"name": "a", "value": "b"}]);
        for value in [patched, elsewhere, marked(told), marked(spec("*.example"))] {
            assert_eq!(probe_of(&route(), &value), None, "{value}");
        }
    }

    #[test]
    fn doors_are_the_addresses_of_the_gateway_at_the_listeners_that_take_the_route() {
        let value = marked(spec("shop.example"));
        let probe = probe_of(&route(), &value).unwrap_or_else(|| unreachable!("it has a probe"));
        let gateway = json!({
            "spec": {"listeners": [
                {"name": "web", "port": 8443, "protocol": "HTTPS"}, {"name": "other", "port": 80, "protocol": "HTTP"},
            ]},
            "status": {"addresses": [{"type": "IPAddress", "value": "10.0.0.1"}, {"type": "Hostname", "value": "lb.example"}]},
        });
        let found = doors(&probe, &value, |_| Some(&gateway));
        let door = |address: &str| {
            let host = Some("shop.example".to_owned());
            Door { address: address.to_owned(), port: 8443, secure: true, host }
        };
        assert_eq!(found, [door("10.0.0.1"), door("lb.example")]);
        assert!(doors(&probe, &value, |_| None).is_empty());
        // A listener serves some of the hostnames: one of those is requested there.
        let both = Probe { hosts: vec!["old.test".to_owned(), "shop.example".to_owned()], ..probe.clone() };
        let mut two = value.clone();
        two["spec"]["hostnames"] = json!(["old.test", "shop.example"]);
        let mut wild = gateway.clone();
        wild["spec"]["listeners"][0]["hostname"] = json!("*.example");
        assert_eq!(doors(&both, &two, |_| Some(&wild)), [door("10.0.0.1"), door("lb.example")]);
        // Which name to request, or whether the listener accepts the route, is unknown.
        let nameless = Probe { hosts: Vec::new(), ..probe.clone() };
        let mut every = value.clone();
        every["spec"]["hostnames"] = json!([]);
        assert!(doors(&nameless, &every, |_| Some(&wild)).is_empty());
        let mut selecting = gateway.clone();
        selecting["spec"]["listeners"][0]["allowedRoutes"] =
            json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}});
        assert!(doors(&probe, &value, |_| Some(&selecting)).is_empty());
        let named =
            json!({"spec": gateway["spec"], "status": {"addresses": [{"type": "x.example/pool", "value": "a"}]}});
        assert!(doors(&probe, &value, |_| Some(&named)).is_empty());
    }
}
