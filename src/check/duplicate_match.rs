//! SPW013.

use super::{Check, Context};
use crate::kinds::{GATEWAY, each};
use crate::object::{Diagnostic, Object, Origin, Severity};
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

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut seen: BTreeMap<String, (&Object, Origin)> = BTreeMap::new();
    let mut found = Vec::new();
    for route in context.objects().filter(|o| o.reference.is(GATEWAY, "HTTPRoute")) {
        for (key, pointer, shown) in matches(route) {
            match seen.get(&key) {
                Some((first, origin)) if first.reference != route.reference => {
                    let message = format!(
                        "{} and {} both match {shown}: the older one gets the requests; of one age {} does.",
                        route.reference,
                        first.reference,
                        first.reference.path()
                    );
                    let finding = context.finding(&CHECK, route, &pointer, message).and(origin.clone(), "and here");
                    found.push(finding.help(CHECK.remedy));
                }
                Some(_) => {}
                None => {
                    seen.insert(key, (route, route.origin_of(&pointer)));
                }
            }
        }
    }
    found
}

/// Each match of a route at each of its parents and hostnames: what tells it apart, where it stands, and in words.
fn matches(route: &Object) -> Vec<(String, String, String)> {
    let own = route.reference.namespace();
    let parents: Vec<Value> = each(&route.value, "spec.parentRefs[]")
        .into_iter()
        .map(|(_, parent)| {
            let text =
                |field: &str, default: &str| parent.get(field).and_then(Value::as_str).unwrap_or(default).to_owned();
            json!([
                text("kind", "Gateway"),
                text("namespace", own),
                text("name", ""),
                text("sectionName", ""),
                parent.get("port")
            ])
        })
        .collect();
    let mut hostnames: Vec<String> = each(&route.value, "spec.hostnames[]")
        .into_iter()
        .filter_map(|(_, h)| h.as_str().map(str::to_lowercase))
        .collect();
    if hostnames.is_empty() {
        hostnames.push("*".to_owned());
    }
    let mut all = Vec::new();
    for (pointer, value) in each(&route.value, "spec.rules[].matches[]") {
        let path = value.pointer("/path/value").and_then(Value::as_str).unwrap_or("/");
        let kind = value.pointer("/path/type").and_then(Value::as_str).unwrap_or("PathPrefix");
        let plain = if kind == "PathPrefix" { path.trim_end_matches('/') } else { path };
        let sorted = |list: &str| {
            let mut items: Vec<String> =
                each(value, &format!("{list}[]")).into_iter().map(|(_, item)| item.to_string()).collect();
            items.sort();
            items
        };
        let rest = json!([kind, plain, value.get("method"), sorted("headers"), sorted("queryParams")]);
        for parent in &parents {
            for hostname in &hostnames {
                all.push((json!([parent, hostname, rest]).to_string(), pointer.clone(), format!("{hostname}{path}")));
            }
        }
    }
    all
}
