//! The HTTPRoutes of an App.

use super::Template;
use super::spec::{Cors, HeaderChanges, Method, Redirect, Route, Trigger};
use crate::desired::notation::{duration, path_is_plain};
use crate::kinds::{GATEWAY, PROBE};
use crate::object::{Node, ObjectRef, Traced};
use crate::routing::{MARK, mark_of};
use crate::schema::{Release, Support};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The most rules that an HTTPRoute may have (Gateway API HTTPRouteSpec).
const MAX_RULES: usize = 16;
/// Where an App says how long the old way stays.
const SETTLE_FIELD: &str = "/rollout/settle";
/// The status of a redirect that keeps the method (RFC 9110 §15.4.9).
pub(super) const PERMANENT: u16 = 308;

/// Filters of controllers that a rule names (extensionRef), by kind.
const FILTERS: [(&str, &str); 6] = [
    ("AuthenticationFilter", "gateway.nginx.org"),
    ("SnippetsFilter", "gateway.nginx.org"),
    ("HTTPRouteFilter", "gateway.envoyproxy.io"),
    ("Middleware", "traefik.io"),
    ("KongPlugin", "configuration.konghq.com"),
    ("TrafficPolicy", "gateway.kgateway.dev"),
];

/// Policies of controllers that name what they are about themselves, and cannot be named by a rule.
const ATTACHED: [&str; 8] = [
    "ProxySettingsPolicy",
    "ClientSettingsPolicy",
    "UpstreamSettingsPolicy",
    "ObservabilityPolicy",
    "RateLimitPolicy",
    "BackendTrafficPolicy",
    "ClientTrafficPolicy",
    "SecurityPolicy",
];

impl Template<'_> {
    pub(super) fn check_routes(&mut self) {
        let routes = self.app.routes.clone();
        let mut names = BTreeSet::new();
        for (index, route) in routes.iter().enumerate() {
            let at = format!("/routes/{index}");
            if route.name.is_none() && routes.len() > 1 {
                self.wrong(
                    &at,
                    "One of several routes needs a name.",
                    "Add `name`: it becomes part of the HTTPRoute's.",
                );
            }
            if let Some(name) = &route.name
                && (!names.insert(name.clone()) || !crate::desired::config::is_dns_label(name))
            {
                self.wrong(&format!("{at}/name"), "The name of a route is a DNS label and given once.", "Mend it.");
            }
            self.check_route(&at, route, &routes);
        }
        self.check_canary(&routes);
    }

    /// Whether a canary gets the requests that it is meant to get, and no others.
    fn check_canary(&mut self, routes: &[Route]) {
        let Some(canary) = self.app.canary.clone() else { return };
        if canary.weight > 100 {
            self.wrong("/canary/weight", "The weight of a canary is a part of a hundred.", "Mend it.");
        }
        if canary.matches.is_some_and(|matches| matches.headers.is_empty() && matches.query.is_empty()) {
            self.wrong(
                "/canary/match",
                "An empty `match` would send every request to the canary.",
                "Name a header or a query parameter.",
            );
        }
        if self.app.trigger == Trigger::Http && routes.iter().all(is_redirect) {
            self.wrong(
                "/canary",
                "No route leads to the canary: it would run without a request.",
                "Add a route, or remove the canary.",
            );
        }
    }

    fn check_route(&mut self, at: &str, route: &Route, routes: &[Route]) {
        if self.gateway(route).is_none() {
            self.wrong(&format!("{at}/gateway"), "A gateway is `NAMESPACE/NAME` or `NAME`.", "Mend it.");
        }
        if !path_is_plain(&route.path) {
            let message = format!("`{}` is no path of Gateway API.", route.path);
            self.wrong(&format!("{at}/path"), message, "Start with `/`; leave out `//`, `/./`, `/../`, `#` and `%2f`.");
        }
        let durations = [
            ("timeout", &route.timeout),
            ("backendTimeout", &route.backend_timeout),
            ("retries/backoff", &route.retries.as_ref().and_then(|r| r.backoff.clone())),
        ]
        .map(|(field, text)| (field, text.clone()));
        for (field, text) in durations {
            if text.is_some_and(|text| duration(&text).is_none()) {
                self.wrong(
                    &format!("{at}/{field}"),
                    "A duration is written `5s`, `250ms`, `1m30s` (GEP-2257).",
                    "Mend it.",
                );
            }
        }
        self.check_limits(at, route);
        if route.redirect.is_some() && route.redirect_to.is_some() {
            self.wrong(&format!("{at}/redirect"), "A route has `redirect` or `redirectTo`.", "Remove one of them.");
        }
        self.check_redirect(&format!("{at}/redirect"), route);
        if let Some(status) = route.redirect.as_ref().and_then(|redirect| redirect.status)
            && ![301, 302, 303, 307, 308].contains(&status)
        {
            self.wrong(&format!("{at}/redirect/status"), "A redirect is 301, 302, 303, 307 or 308.", "Mend it.");
        }
        if let Some(to) = &route.redirect_to {
            self.check_redirect_to(&format!("{at}/redirectTo"), route, to, routes);
        }
        for (field, is_there) in [
            ("timeout", route.timeout.is_some()),
            ("backendTimeout", route.backend_timeout.is_some()),
            ("retries", route.retries.is_some()),
            ("mirror", route.mirror.is_some()),
        ] {
            if is_redirect(route) && is_there {
                let message = format!("A route that sends clients elsewhere has no `{field}`.");
                self.wrong(&format!("{at}/{field}"), message, "Remove it.");
            }
        }
        for (index, policy) in route.policies.iter().enumerate() {
            let here = format!("{at}/policies/{index}");
            if ATTACHED.contains(&policy.kind.as_str()) {
                let message = format!("A {} names its routes itself (targetRefs).", policy.kind);
                self.wrong(&here, message, "Give it a targetRef to the HTTPRoute, and remove it here.");
            } else if policy.group.is_none() && group_of(&policy.kind).is_none() {
                let message = format!("The API group of {} is not known.", policy.kind);
                self.wrong(&here, message, "Add `group`.");
            }
        }
        self.check_hosts(at, route);
        self.check_canary_match(at, route);
        self.check_features(at, route);
        if self.rules(at, route).len() > MAX_RULES {
            let message = format!("An HTTPRoute has at most {MAX_RULES} rules, and each method needs its own.");
            self.wrong(&format!("{at}/methods"), message, "Leave out methods.");
        }
    }

    /// Whether the time limits of a route fit each other (Gateway API HTTPRouteTimeouts) and the controller.
    fn check_limits(&mut self, at: &str, route: &Route) {
        let seconds = |text: &Option<String>| text.as_deref().and_then(duration);
        let (all, one) = (seconds(&route.timeout), seconds(&route.backend_timeout));
        if let (Some(all), Some(one)) = (all.filter(|all| *all > 0.0), one)
            && one > all
        {
            let message = "The limit of one try is longer than that of the request.";
            self.wrong(&format!("{at}/backendTimeout"), message, "Make it at most `timeout`.");
        }
        if all == Some(0.0) && self.limited_by_policy(route) {
            let message = "The controller of this Gateway cannot be told to wait for ever.";
            self.wrong(&format!("{at}/timeout"), message, "Name a limit: `1h`.");
        }
    }

    /// Whether a redirect leads elsewhere, to a path that there can be.
    fn check_redirect(&mut self, at: &str, route: &Route) {
        let Some(redirect) = &route.redirect else { return };
        let wrong_path = redirect.path.as_ref().is_some_and(|path| !path_is_plain(path));
        let nowhere = *redirect == Redirect { status: redirect.status, ..Redirect::default() };
        if wrong_path {
            self.wrong(&format!("{at}/path"), "It is no path of Gateway API.", "Start with `/`; leave out spaces.");
        } else if nowhere {
            self.wrong(at, "The route would send clients to itself.", "Name a scheme, a host, a port or a path.");
        }
    }

    /// Whether Gateway API takes the hosts of a route.
    fn check_hosts(&mut self, at: &str, route: &Route) {
        let own = route.hosts.iter().enumerate().map(|(index, host)| (format!("{at}/hosts/{index}"), host, true));
        let there = route.redirect.iter().filter_map(|redirect| redirect.host.as_ref());
        let wrong: Vec<(String, String)> = own
            .chain(there.map(|host| (format!("{at}/redirect/host"), host, false)))
            .filter(|(_, host, may_be_wild)| !is_hostname(host, *may_be_wild))
            .map(|(pointer, host, _)| (pointer, host.clone()))
            .collect();
        for (pointer, host) in wrong {
            let help = "Write it in small letters, without scheme and port: `shop.example`, or `*.shop.example` for all below it.";
            self.wrong(&pointer, format!("`{host}` is no host name of Gateway API."), help);
        }
    }

    /// A request that a route demands a header or parameter of cannot also be told by it for the canary.
    fn check_canary_match(&mut self, at: &str, route: &Route) {
        let Some(canary) = self.app.canary.as_ref().and_then(|canary| canary.matches.clone()) else { return };
        if route.redirect.is_some() || route.redirect_to.is_some() {
            return;
        }
        // Names of headers are the same in any case (RFC 9110), those of parameters are not.
        let header = canary.headers.keys().find(|name| route.headers.keys().any(|own| own.eq_ignore_ascii_case(name)));
        let query = canary.query.keys().find(|name| route.query.contains_key(*name));
        for (field, name) in [("headers", header), ("query", query)] {
            if let Some(name) = name {
                let message = format!("The canary is told by `{name}`, which the route demands of every request.");
                let pointer = format!("{at}/{field}");
                self.wrong(
                    &pointer,
                    message,
                    "Let the canary be told by another one (`canary.match`), or remove it here.",
                );
            }
        }
    }

    /// Whether a time limit of a route is set by a policy of the controller.
    fn limited_by_policy(&self, route: &Route) -> bool {
        route.timeout.is_some()
            && self.release(route).is_some_and(|release| {
                has_proxy_settings(&release) && release.supports("HTTPRouteRequestTimeout") == Support::No
            })
    }

    /// The policies that stand for what the Gateway's controller does not read in a route.
    fn proxy_settings(&self, at: &str, route: &Route) -> Option<Traced> {
        let seconds = duration(route.timeout.as_ref()?).filter(|_| self.limited_by_policy(route))?;
        let name = self.route_name(route);
        let pointer = format!("{at}/timeout");
        let limit = nginx_duration(seconds);
        let target = json!([{"group": GATEWAY, "kind": "HTTPRoute", "name": name}]);
        let spec = Traced::map(
            self.at(&pointer),
            [
                ("targetRefs", self.made(at, target)),
                ("timeout", self.made(&pointer, json!({"read": limit, "send": limit}))),
            ],
        );
        Some(self.object(&pointer, "gateway.nginx.org/v1alpha1", "ProxySettingsPolicy", &name, spec))
    }

    fn check_redirect_to(&mut self, at: &str, route: &Route, to: &str, routes: &[Route]) {
        let Some(target) = routes.iter().find(|other| other.name.as_deref() == Some(to)) else {
            let known: Vec<&str> = routes.iter().filter_map(|route| route.name.as_deref()).collect();
            let help = format!("There are: {}.", known.join(", "));
            return self.wrong(at, format!("The App has no route `{to}`."), &help);
        };
        if target.redirect_to.is_some() || target.redirect.is_some() {
            self.wrong(at, format!("The route `{to}` sends clients elsewhere itself."), "Name the one that answers.");
        } else if target.hosts.first().is_none_or(|host| host.starts_with('*')) {
            self.wrong(
                at,
                format!("The route `{to}` has no host that clients could be sent to."),
                "Add `hosts` to it.",
            );
        } else if self.is_reached_by(route, target) {
            self.wrong(at, "The route would send clients to itself.", "Name another route.");
        }
    }

    /// Whether a client that is sent to a route comes to another one by the same door.
    fn is_reached_by(&self, route: &Route, target: &Route) -> bool {
        let door = |route: &Route| (self.gateway(route), route.section.clone(), route.port);
        let same_host = target.hosts.first().is_some_and(|host| route.hosts.contains(host));
        same_host && route.path == target.path && door(route) == door(target)
    }

    /// The Gateway of a route.
    pub(super) fn gateway(&self, route: &Route) -> Option<ObjectRef> {
        let (namespace, name) = route.gateway.split_once('/').unwrap_or((self.reference.namespace(), &route.gateway));
        let plain = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
        plain.then(|| ObjectRef::new(GATEWAY, "Gateway", namespace, name))
    }

    /// The name of the HTTPRoute of a route.
    pub(super) fn route_name(&self, route: &Route) -> String {
        route
            .name
            .as_ref()
            .map_or_else(|| self.reference.name.clone(), |name| format!("{}-{name}", self.reference.name))
    }

    pub(super) fn routes(&self) -> Vec<Traced> {
        let mut objects = Vec::new();
        for (index, route) in self.app.routes.iter().enumerate() {
            let at = format!("/routes/{index}");
            objects.push(self.route(&at, route));
            objects.extend(self.proxy_settings(&at, route));
        }
        objects
    }

    fn route(&self, at: &str, route: &Route) -> Traced {
        let under = |field: &str| format!("{at}/{field}");
        let gateway = self.gateway(route);
        let gateway = gateway.as_ref().map_or(("", ""), |gateway| (gateway.namespace(), &gateway.name));
        let mut parent = Traced::whole(self.at(&under("gateway")), json!({"namespace": gateway.0, "name": gateway.1}));
        if let Some(section) = &route.section {
            parent.set("sectionName", self.made(&under("section"), section.as_str()));
        }
        if let Some(port) = route.port {
            parent.set("port", self.made(&under("port"), port));
        }
        let mut spec =
            Traced::map(self.at(at), [("parentRefs", Traced::list(self.at(&under("gateway")), vec![parent]))]);
        if !route.hosts.is_empty()
            && let Some(hosts) = self.copied(&under("hosts"))
        {
            spec.set("hostnames", hosts);
        }
        spec.set("rules", Traced::list(self.at(at), self.rules(at, route)));
        let probe = self.settle_probe(route);
        if probe.is_some() {
            self.mark(&mut spec);
        }
        let mut object = self.object(at, &format!("{GATEWAY}/v1"), "HTTPRoute", &self.route_name(route), spec);
        if let Some(path) = probe {
            self.annotate(&mut object, PROBE, self.made(SETTLE_FIELD, path));
        }
        object
    }

    /// The path that is asked through the Gateway until this state of a route answers. What only some requests reach is not
    /// asked: a redirect, a method other than GET, a header or parameter.
    pub(super) fn settle_probe(&self, route: &Route) -> Option<String> {
        let settle = self.app.rollout.settle.as_ref().or(self.around.environment.settle.as_ref())?;
        let probe = settle.probe.as_deref()?;
        let by_get = route.methods.is_empty() || route.methods.contains(&Method::Get);
        let plain = by_get && route.headers.is_empty() && route.query.is_empty() && !is_redirect(route);
        let path = || match (route.exact, route.path.trim_end_matches('/'), probe) {
            (true, ..) => route.path.clone(),
            (false, "", _) => probe.to_owned(),
            (false, prefix, "/") => prefix.to_owned(),
            (false, prefix, _) => format!("{prefix}{probe}"),
        };
        (plain && self.is_blue_green()).then(path)
    }

    /// Lets the proxy put a mark of this state of the route on every answer: nothing else tells whether it follows it already.
    fn mark(&self, spec: &mut Traced) {
        let mark = self.made(SETTLE_FIELD, json!({"name": MARK, "value": mark_of(&spec.value())}));
        let Some(Node::List(rules)) = spec.at_mut("/rules").map(|rules| &mut rules.node) else { return };
        for rule in rules {
            if rule.at("/filters").is_none() {
                rule.set("filters", Traced::list(self.at(SETTLE_FIELD), Vec::new()));
            }
            let Some(Node::List(filters)) = rule.at_mut("/filters").map(|filters| &mut filters.node) else { continue };
            // A rule has at most one filter that changes headers of answers (Gateway API HTTPRouteRule).
            let Some(changes) = filters.iter_mut().find_map(|filter| filter.at_mut("/responseHeaderModifier")) else {
                let changes = Traced::map(self.at(SETTLE_FIELD), [("set", self.marks(mark.clone()))]);
                let kind = self.made(SETTLE_FIELD, "ResponseHeaderModifier");
                let entries = [("type", kind), ("responseHeaderModifier", changes)];
                filters.push(Traced::map(self.at(SETTLE_FIELD), entries));
                continue;
            };
            match changes.at_mut("/set").map(|set| &mut set.node) {
                Some(Node::List(set)) => set.push(mark.clone()),
                _ => changes.set("set", self.marks(mark.clone())),
            }
        }
    }

    fn marks(&self, mark: Traced) -> Traced {
        Traced::list(self.at(SETTLE_FIELD), vec![mark])
    }

    /// The rules of a route: one for each method, since a prefix is only replaced in a rule of a single match (Gateway API
    /// HTTPRouteRule), and before each of them one for the requests that go to the canary in any case.
    fn rules(&self, at: &str, route: &Route) -> Vec<Traced> {
        let methods: Vec<Option<(usize, Method)>> = if route.methods.is_empty() {
            vec![None]
        } else {
            route.methods.iter().copied().enumerate().map(Some).collect()
        };
        let is_redirect = route.redirect.is_some() || route.redirect_to.is_some();
        let to_canary = self.app.canary.as_ref().is_some_and(|canary| canary.matches.is_some()) && !is_redirect;
        methods
            .into_iter()
            .flat_map(|method| {
                let canary = to_canary.then(|| self.rule(at, route, method, true));
                canary.into_iter().chain([self.rule(at, route, method, false)])
            })
            .collect()
    }

    fn rule(&self, at: &str, route: &Route, method: Option<(usize, Method)>, only_canary: bool) -> Traced {
        let is_redirect = route.redirect.is_some() || route.redirect_to.is_some();
        let matches = vec![self.rule_match(at, route, method, only_canary)];
        let mut rule = Traced::map(self.at(at), [("matches", Traced::list(self.at(at), matches))]);
        let filters = self.filters(at, route);
        if !filters.is_empty() {
            rule.set("filters", Traced::list(self.at(at), filters));
        }
        if !is_redirect {
            rule.set("backendRefs", self.backends(only_canary));
            if let Some(timeouts) = self.timeouts(at, route).filter(|_| !self.limited_by_policy(route)) {
                rule.set("timeouts", timeouts);
            }
            if let Some(retry) = self.retry(at, route) {
                rule.set("retry", retry);
            }
        }
        rule
    }

    fn rule_match(&self, at: &str, route: &Route, method: Option<(usize, Method)>, only_canary: bool) -> Traced {
        let kind = if route.exact { "Exact" } else { "PathPrefix" };
        let mut path = Traced::map(self.at(at), [("type", self.made(&format!("{at}/exact"), kind))]);
        path.set("value", self.made(&format!("{at}/path"), route.path.as_str()));
        let mut made = Traced::map(self.at(at), [("path", path)]);
        if let Some((index, method)) = method {
            made.set("method", self.made(&format!("{at}/methods/{index}"), json!(method)));
        }
        let canary = self.app.canary.as_ref().and_then(|canary| canary.matches.as_ref()).filter(|_| only_canary);
        for (field, name, own, more) in [
            ("headers", "headers", &route.headers, canary.map(|canary| &canary.headers)),
            ("query", "queryParams", &route.query, canary.map(|canary| &canary.query)),
        ] {
            let own = (format!("{at}/{field}"), own);
            let more = more.map(|more| (format!("/canary/match/{field}"), more));
            let pairs: Vec<Traced> =
                [Some(own), more].into_iter().flatten().flat_map(|(at, map)| self.pairs(&at, map)).collect();
            if !pairs.is_empty() {
                made.set(name, Traced::list(self.at(&format!("{at}/{field}")), pairs));
            }
        }
        made
    }

    /// A map as the list of names and values that Gateway API has.
    fn pairs(&self, at: &str, map: &BTreeMap<String, String>) -> Vec<Traced> {
        let pair = |(name, value): (&String, &String)| {
            self.made(&format!("{at}/{}", crate::object::escape(name)), json!({"name": name, "value": value}))
        };
        map.iter().map(pair).collect()
    }

    fn backends(&self, only_canary: bool) -> Traced {
        let one = |name: &str, pointer: &str, weight: Option<(&str, u8)>| {
            let mut backend = self.made(pointer, json!({"name": name, "port": 80}));
            if let Some((at, weight)) = weight {
                backend.set("weight", self.made(at, weight));
            }
            backend
        };
        let stable = self.stable();
        let backends = match (self.canary(), &self.app.canary) {
            (Some(version), Some(_)) if only_canary => vec![one(&version.name, version.pointer, None)],
            (Some(version), Some(canary)) => {
                let at = "/canary/weight";
                vec![
                    one(&stable.name, stable.pointer, Some((at, 100 - canary.weight.min(100)))),
                    one(&version.name, version.pointer, Some((at, canary.weight))),
                ]
            }
            _ => vec![one(&stable.name, stable.pointer, None)],
        };
        Traced::list(self.at("/image"), backends)
    }

    fn timeouts(&self, at: &str, route: &Route) -> Option<Traced> {
        let mut made = Traced::empty(self.at(&format!("{at}/timeout")));
        for (field, name, text) in
            [("timeout", "request", &route.timeout), ("backendTimeout", "backendRequest", &route.backend_timeout)]
        {
            if let Some(text) = text {
                made.set(name, self.made(&format!("{at}/{field}"), text.as_str()));
            }
        }
        is_filled(&made).then_some(made)
    }

    fn retry(&self, at: &str, route: &Route) -> Option<Traced> {
        let retries = route.retries.as_ref()?;
        let at = format!("{at}/retries");
        let mut made =
            Traced::map(self.at(&at), [("attempts", self.made(&format!("{at}/attempts"), retries.attempts))]);
        if !retries.codes.is_empty() {
            made.set("codes", self.copied(&format!("{at}/codes"))?);
        }
        if let Some(backoff) = &retries.backoff {
            made.set("backoff", self.made(&format!("{at}/backoff"), backoff.as_str()));
        }
        Some(made)
    }

    /// The filters of a rule: who may call comes first, then what is changed, then where it goes.
    fn filters(&self, at: &str, route: &Route) -> Vec<Traced> {
        let under = |field: &str| format!("{at}/{field}");
        let filter = |field: &str, kind: &str, name: &str, body: Traced| {
            Traced::map(self.at(&under(field)), [("type", self.made(&under(field), kind)), (name, body)])
        };
        let mut filters = Vec::new();
        for (index, policy) in route.policies.iter().enumerate() {
            let field = format!("policies/{index}");
            let group = policy.group.as_deref().or(group_of(&policy.kind)).unwrap_or_default();
            let body = self.made(&under(&field), json!({"group": group, "kind": policy.kind, "name": policy.name}));
            filters.push(filter(&field, "ExtensionRef", "extensionRef", body));
        }
        if let Some(cors) = &route.cors {
            filters.push(filter("cors", "CORS", "cors", self.cors(&under("cors"), cors)));
        }
        for (field, kind, name, changes) in [
            ("requestHeaders", "RequestHeaderModifier", "requestHeaderModifier", &route.request_headers),
            ("responseHeaders", "ResponseHeaderModifier", "responseHeaderModifier", &route.response_headers),
        ] {
            if let Some(changes) = changes {
                filters.push(filter(field, kind, name, self.header_changes(&under(field), changes)));
            }
        }
        filters.extend(self.mirror(at, route));
        if let Some((field, redirect)) = self.redirect(at, route) {
            filters.push(filter(field, "RequestRedirect", "requestRedirect", redirect));
        } else if !route.keep_prefix && !route.path.trim_end_matches('/').is_empty() {
            let path = if route.exact {
                json!({"type": "ReplaceFullPath", "replaceFullPath": "/"})
            } else {
                json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"})
            };
            let body = Traced::map(self.at(&under("path")), [("path", self.made(&under("path"), path))]);
            filters.push(filter("path", "URLRewrite", "urlRewrite", body));
        }
        filters
    }

    fn mirror(&self, at: &str, route: &Route) -> Option<Traced> {
        let mirror = route.mirror.as_ref()?;
        let at = format!("{at}/mirror");
        let mut backend = self.made(&format!("{at}/service"), json!({"name": mirror.service}));
        backend.set("port", self.made(&format!("{at}/port"), mirror.port.unwrap_or(80)));
        if let Some(namespace) = &mirror.namespace {
            backend.set("namespace", self.made(&format!("{at}/namespace"), namespace.as_str()));
        }
        let mut body = Traced::map(self.at(&at), [("backendRef", backend)]);
        if let Some(percent) = mirror.percent {
            body.set("percent", self.made(&format!("{at}/percent"), percent));
        }
        Some(Traced::map(self.at(&at), [("type", self.made(&at, "RequestMirror")), ("requestMirror", body)]))
    }

    /// Where a route sends clients: to another route of the App, or elsewhere.
    fn redirect(&self, at: &str, route: &Route) -> Option<(&'static str, Traced)> {
        let field = if route.redirect_to.is_some() { "redirectTo" } else { "redirect" };
        let place = format!("{at}/{field}");
        let mut made = Traced::empty(self.at(&place));
        let replaced = |path: &str| {
            if route.exact {
                json!({"type": "ReplaceFullPath", "replaceFullPath": path})
            } else {
                json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": path})
            }
        };
        let mut status = PERMANENT;
        if let Some(to) = &route.redirect_to {
            let (index, target) =
                self.app.routes.iter().enumerate().find(|(_, other)| other.name.as_ref() == Some(to))?;
            if let Some(scheme) = self.other_scheme(route, target) {
                made.set("scheme", self.made(&format!("/routes/{index}/section"), scheme));
            }
            made.set("hostname", self.copied(&format!("/routes/{index}/hosts/0"))?);
            made.set("path", self.made(&format!("/routes/{index}/path"), replaced(&target.path)));
        } else {
            let redirect = route.redirect.as_ref()?;
            status = redirect.status.unwrap_or(PERMANENT);
            let values: [(&str, &str, Option<Value>); 4] = [
                ("scheme", "scheme", redirect.scheme.as_ref().map(|scheme| json!(scheme))),
                ("host", "hostname", redirect.host.as_ref().map(|host| json!(host))),
                ("port", "port", redirect.port.map(|port| json!(port))),
                ("path", "path", redirect.path.as_ref().map(|path| replaced(path))),
            ];
            for (field, name, value) in values {
                if let Some(value) = value {
                    made.set(name, self.made(&format!("{place}/{field}"), value));
                }
            }
        }
        made.set("statusCode", self.made(&format!("{place}/status"), status));
        Some((field, made))
    }

    /// The scheme of the route that clients are sent to, where its listener is known to speak another one.
    pub(super) fn other_scheme(&self, from: &Route, to: &Route) -> Option<&'static str> {
        let scheme = |route: &Route| {
            let protocol = (self.around.protocol_of)(&self.gateway(route)?, route.section.as_ref()?)?;
            [("HTTP", "http"), ("HTTPS", "https")].into_iter().find(|(known, _)| *known == protocol).map(|(_, s)| s)
        };
        scheme(to).filter(|to| scheme(from).is_some_and(|from| from != *to))
    }

    fn cors(&self, at: &str, cors: &Cors) -> Traced {
        let mut made = Traced::empty(self.at(at));
        for (field, list) in [
            ("allowOrigins", &cors.allow_origins),
            ("allowMethods", &cors.allow_methods),
            ("allowHeaders", &cors.allow_headers),
            ("exposeHeaders", &cors.expose_headers),
        ] {
            if !list.is_empty()
                && let Some(list) = self.copied(&format!("{at}/{field}"))
            {
                made.set(field, list);
            }
        }
        for (field, value) in [
            ("allowCredentials", cors.allow_credentials.map(|allow| json!(allow))),
            ("maxAge", cors.max_age.map(|age| json!(age))),
        ] {
            if let Some(value) = value {
                made.set(field, self.made(&format!("{at}/{field}"), value));
            }
        }
        made
    }

    fn header_changes(&self, at: &str, changes: &HeaderChanges) -> Traced {
        let mut made = Traced::empty(self.at(at));
        for (field, map) in [("set", &changes.set), ("add", &changes.add)] {
            if !map.is_empty() {
                let at = format!("{at}/{field}");
                made.set(field, Traced::list(self.at(&at), self.pairs(&at, map)));
            }
        }
        if !changes.remove.is_empty()
            && let Some(remove) = self.copied(&format!("{at}/remove"))
        {
            made.set("remove", remove);
        }
        made
    }
}

/// Whether a release has ProxySettingsPolicy (NGINX Gateway Fabric, since 2.4).
pub(super) fn has_proxy_settings(release: &Release) -> bool {
    release.project == "nginx-gateway-fabric" && release.is_at_least(&[2, 4])
}

/// A duration as NGINX Gateway Fabric takes it: up to four digits and one unit.
fn nginx_duration(seconds: f64) -> String {
    let milliseconds = (seconds * 1000.0).round();
    const UNITS: [(f64, &str); 4] = [(1.0, "ms"), (1000.0, "s"), (60_000.0, "m"), (3_600_000.0, "h")];
    let exact = UNITS[..3].iter().rev().find(|(unit, _)| milliseconds % unit == 0.0 && milliseconds / unit <= 9999.0);
    // What has no such form is rounded up to the finest that has.
    let rounded = || UNITS.iter().find(|(unit, _)| (milliseconds / unit).ceil() <= 9999.0);
    let (unit, name) = exact.or_else(rounded).copied().unwrap_or(UNITS[3]);
    format!("{:.0}{name}", (milliseconds / unit).ceil().min(9999.0))
}

pub(super) fn group_of(kind: &str) -> Option<&'static str> {
    FILTERS.iter().find(|(known, _)| *known == kind).map(|(_, group)| *group)
}

fn is_filled(map: &Traced) -> bool {
    matches!(&map.node, Node::Map(entries) if !entries.is_empty())
}

/// Whether Gateway API takes a host name (Hostname, PreciseHostname).
fn is_hostname(host: &str, may_be_wild: bool) -> bool {
    let precise = if may_be_wild { host.strip_prefix("*.").unwrap_or(host) } else { host };
    let is_address = precise.parse::<std::net::IpAddr>().is_ok();
    host.len() <= 253 && precise.split('.').all(crate::desired::is_dns_label) && !is_address
}

/// Whether a route sends clients elsewhere.
fn is_redirect(route: &Route) -> bool {
    route.redirect.is_some() || route.redirect_to.is_some()
}
