//! SPW013.

use super::{Check, Context};
use crate::kinds::each;
use crate::object::{Diagnostic, Object, Severity};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    id: "SPW013",
    name: "duplicate-match",
    severity: Severity::Warning,
    guards: false,
    what: "Two routes of one Gateway match the same requests.",
    why: "One of them gets all of them: the one that was made earlier in the cluster, or of the same second the first by \
          namespace and name (Gateway API, HTTPRouteRule). The other stays Accepted and serves nothing. Making a route anew \
          changes who wins.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec: \
              {parentRefs: [{namespace: infra, name: public}], hostnames: [shop.example], rules: [{matches: [{path: {value: /cart}}]}]}\n---\n\
              apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: basket, namespace: checkout}\nspec: \
              {parentRefs: [{namespace: infra, name: public}], hostnames: [shop.example], rules: [{matches: [{path: {value: /cart}}]}]}",
    remedy: "Keep one of them, or tell them apart by path, method, header or hostname.",
    run,
};

/// What a route matches by one of its matches, at one of its hostnames.
struct Claim<'a> {
    route: &'a Object,
    parents: Vec<Parent>,
    pointer: String,
}

/// A parent of a route; without listener or port it means all of them.
struct Parent {
    gateway: String,
    section: Option<String>,
    port: Option<i64>,
}

impl Parent {
    fn meets(&self, other: &Self) -> bool {
        let section = self.section.is_none() || other.section.is_none() || self.section == other.section;
        let port = self.port.is_none() || other.port.is_none() || self.port == other.port;
        self.gateway == other.gateway && section && port
    }
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut claims: BTreeMap<String, Vec<Claim<'_>>> = BTreeMap::new();
    let mut found = Vec::new();
    for route in context.routes().filter(|route| matches!(route.reference.kind.as_str(), "HTTPRoute" | "GRPCRoute")) {
        for (key, pointer, shown) in matches(route) {
            let claim = Claim { route, parents: parents(route), pointer };
            let claims = claims.entry(key).or_default();
            // Routes come in the order by which the first of one age wins.
            match claims.iter().find(|first| meet(first, &claim)) {
                Some(first) if first.route.reference == route.reference => {}
                Some(first) => found.push(finding(context, first, &claim, &shown)),
                None => claims.push(claim),
            }
        }
    }
    found
}

fn meet(first: &Claim<'_>, second: &Claim<'_>) -> bool {
    first.parents.iter().any(|a| second.parents.iter().any(|b| a.meets(b)))
}

fn finding(context: &Context<'_>, first: &Claim<'_>, second: &Claim<'_>, shown: &str) -> Diagnostic {
    let message = format!(
        "{} and {} both match {shown}: the older one gets the requests; of one age {} does.",
        second.route.reference,
        first.route.reference,
        first.route.reference.path()
    );
    let finding = context.finding(&CHECK, second.route, &second.pointer, message);
    finding.and(first.route.origin_of(&first.pointer), "and here").help(CHECK.remedy)
}

fn parents(route: &Object) -> Vec<Parent> {
    let own = route.reference.namespace();
    let parents = each(&route.value, "spec.parentRefs[]").into_iter().map(|(_, parent)| {
        let text = |field: &str| parent.get(field).and_then(Value::as_str);
        let kind = text("kind").unwrap_or("Gateway");
        Parent {
            gateway: format!("{kind} {}/{}", text("namespace").unwrap_or(own), text("name").unwrap_or_default()),
            section: text("sectionName").map(str::to_owned),
            port: parent.get("port").and_then(Value::as_i64),
        }
    });
    parents.collect()
}

/// Each match of a route at each of its hostnames: what tells it apart, where it stands, and in words.
fn matches(route: &Object) -> Vec<(String, String, String)> {
    let hostnames = each(&route.value, "spec.hostnames[]").into_iter();
    let mut hostnames: Vec<String> = hostnames.filter_map(|(_, h)| h.as_str().map(str::to_lowercase)).collect();
    if hostnames.is_empty() {
        hostnames.push("*".to_owned());
    }
    let mut all = Vec::new();
    for (pointer, value) in written(route) {
        let (rest, shown) = distinct(&route.reference.kind, value);
        for hostname in &hostnames {
            all.push((json!([hostname, rest]).to_string(), pointer.clone(), format!("{hostname}{shown}")));
        }
    }
    all
}

/// The matches of a route; a rule without any has one that takes every request.
fn written(route: &Object) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (pointer, rule) in each(&route.value, "spec.rules[]") {
        let matches = each(rule, "matches[]");
        if matches.is_empty() {
            all.push((pointer, &Value::Null));
        } else {
            all.extend(matches.into_iter().map(|(below, value)| (format!("{pointer}{below}"), value)));
        }
    }
    all
}

/// What tells a match apart from others, and its path in words.
fn distinct(kind: &str, value: &Value) -> (Value, String) {
    let sorted = |list: &str| {
        let items = each(value, &format!("{list}[]")).into_iter();
        let mut items: Vec<String> = items.map(|(_, item)| item.to_string()).collect();
        items.sort();
        items
    };
    if kind == "GRPCRoute" {
        let text = |field: &str| value.pointer(&format!("/method/{field}")).and_then(Value::as_str);
        let part = |field: &str| text(field).unwrap_or("*");
        let shown = format!("/{}/{}", part("service"), part("method"));
        return (json!([kind, text("type").unwrap_or("Exact"), shown, sorted("headers")]), shown);
    }
    let path = value.pointer("/path/value").and_then(Value::as_str).unwrap_or("/");
    let how = value.pointer("/path/type").and_then(Value::as_str).unwrap_or("PathPrefix");
    let plain = if how == "PathPrefix" { path.trim_end_matches('/') } else { path };
    let rest = json!([how, plain, value.get("method"), sorted("headers"), sorted("queryParams")]);
    (rest, path.to_owned())
}
