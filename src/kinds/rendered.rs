//! What the Spin operator makes of a SpinApp's spec, and what of it a Deployment does not carry.
//!
//! Compared is what both sides say: defaults of the API server, and what others add, are no difference. A field that is not
//! here (`runtimeConfig`'s stores, `serviceAnnotations`, what a later operator knows) is judged by time (`spin.rs`).

use super::each;
use crate::schema::quantity::nanos;
use serde_json::{Map, Value};

/// The prefix of an app's variables in its environment.
const VARIABLE: &str = "SPIN_VARIABLE_";

/// The fields of a SpinApp's spec that its Deployment does not carry, but for `image` and `replicas`.
pub(super) fn missing(app: &Value, deployment: &Value) -> Vec<String> {
    let Some(spec) = app.get("spec") else { return Vec::new() };
    let name = app.pointer("/metadata/name");
    let containers = each(deployment, "spec.template.spec.containers[]");
    let container = containers.iter().find(|(_, c)| c.get("name") == name).or(containers.first());
    let Some((_, container)) = container else { return vec!["spec.image".to_owned()] };
    let pod = deployment.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    let mut found = variables(spec, container);
    let mut hold = |field: &str, same: bool| {
        if !same {
            found.push(format!("spec.{field}"));
        }
    };
    let map =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    hold("components", is_env(container, "SPIN_COMPONENTS_TO_RETAIN", &components(spec)));
    hold("checks.readiness", is_probe(spec.pointer("/checks/readiness"), container.get("readinessProbe")));
    hold("checks.liveness", is_probe(spec.pointer("/checks/liveness"), container.get("livenessProbe")));
    for part in ["limits", "requests"] {
        let at = format!("/resources/{part}");
        hold(&format!("resources.{part}"), are_quantities(&map(spec, &at), &map(container, &at)));
    }
    let annotations = map(deployment, "/metadata/annotations");
    hold("deploymentAnnotations", has_all(&map(spec, "/deploymentAnnotations"), &annotations));
    let annotations = map(deployment, "/spec/template/metadata/annotations");
    hold("podAnnotations", has_all(&map(spec, "/podAnnotations"), &annotations));
    let labels = map(deployment, "/spec/template/metadata/labels");
    hold("podLabels", has_all(&map(spec, "/podLabels"), &labels));
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let account =
        |value: &Value| Some(text(value, "serviceAccountName")).filter(|name| !name.is_empty() && name != "default");
    hold("serviceAccountName", account(spec) == account(pod));
    hold("imagePullSecrets", list(spec, "imagePullSecrets") == list(pod, "imagePullSecrets"));
    hold("volumes", named(spec, "volumes", pod));
    hold(
        "volumeMounts",
        list(spec, "volumeMounts").iter().all(|m| list(container, "volumeMounts").iter().any(|l| carries(m, l))),
    );
    if let Some(secret) =
        spec.pointer("/runtimeConfig/loadFromSecret").filter(|s| s.as_str().is_some_and(|s| !s.is_empty()))
    {
        let volumes = list(pod, "volumes");
        hold("runtimeConfig.loadFromSecret", volumes.iter().any(|v| v.pointer("/secret/secretName") == Some(secret)));
    }
    found
}

fn list(value: &Value, field: &str) -> Vec<Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The variables that the environment does not have as the spec has them, and those that it has and the spec no longer.
fn variables(spec: &Value, container: &Value) -> Vec<String> {
    let wanted = each(spec, "variables[]");
    let name = |variable: &Value| variable.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let env_name = |variable: &Value| format!("{VARIABLE}{}", name(variable).to_uppercase());
    let environment = list(container, "env");
    let of = |key: &str| environment.iter().rfind(|entry| entry.get("name").and_then(Value::as_str) == Some(key));
    let is_same = |variable: &Value| {
        of(&env_name(variable)).is_some_and(|entry| match variable.get("valueFrom").filter(|from| !from.is_null()) {
            Some(from) => entry.get("valueFrom").is_some_and(|live| carries(from, live)),
            None => {
                let value = |of: &Value| of.get("value").and_then(Value::as_str).unwrap_or_default().to_owned();
                entry.get("valueFrom").is_none() && value(variable) == value(entry)
            }
        })
    };
    let changed = wanted.iter().filter(|(_, variable)| !is_same(variable)).map(|(_, variable)| name(variable));
    let known: Vec<String> = wanted.iter().map(|(_, variable)| env_name(variable)).collect();
    let left = environment.iter().map(name).filter(|key| key.starts_with(VARIABLE) && !known.contains(key));
    let left = left.map(|key| key.trim_start_matches(VARIABLE).to_lowercase());
    changed.chain(left).map(|name| format!("spec.variables `{name}`")).collect()
}

fn components(spec: &Value) -> Option<String> {
    let names: Vec<String> = list(spec, "components").iter().filter_map(|c| c.as_str().map(str::to_owned)).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn is_env(container: &Value, name: &str, wanted: &Option<String>) -> bool {
    let environment = list(container, "env");
    let live = environment.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    live.and_then(|entry| entry.get("value")).and_then(Value::as_str) == wanted.as_deref()
}

/// Whether a probe is as the spec has it, whose port and scheme are the operator's.
fn is_probe(wanted: Option<&Value>, live: Option<&Value>) -> bool {
    match (wanted.filter(|probe| probe.get("httpGet").is_some()), live) {
        (None, None) => true,
        (Some(wanted), Some(live)) => carries(wanted, live),
        _ => false,
    }
}

/// Whether quantities are the same in whatever spelling; what the live side has beyond them was added by others, unless
/// nothing is wanted at all.
fn are_quantities(wanted: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let same = |one: &Value, other: &Value| {
        let (one, other) = (text(one), text(other));
        one == other || nanos(&one).is_some_and(|amount| nanos(&other) == Some(amount))
    };
    if wanted.is_empty() {
        return live.is_empty();
    }
    wanted.iter().all(|(name, amount)| live.get(name).is_some_and(|live| same(amount, live)))
}

fn has_all(wanted: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    wanted.iter().all(|(key, value)| live.get(key) == Some(value))
}

/// Whether each item of a list that the spec names is in the list of the pod, by name.
fn named(spec: &Value, field: &str, pod: &Value) -> bool {
    let live = list(pod, field);
    let of = |item: &Value| live.iter().find(|l| l.get("name") == item.get("name")).cloned();
    list(spec, field).iter().all(|item| of(item).is_some_and(|live| carries(item, &live)))
}

/// Numbers that the API server replaces when they are zero.
const DEFAULTED: [&str; 5] = ["timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold", "defaultMode"];

/// Whether a live value carries a wanted one: the same scalars, every field of a map, lists item by item. What is wanted
/// empty or zero is what the API server leaves out or replaces by its default.
fn carries(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().all(|(key, value)| match live.get(key) {
            None => is_empty(value),
            Some(_) if is_empty(value) && (!value.is_number() || DEFAULTED.contains(&key.as_str())) => true,
            Some(live) => carries(value, live),
        }),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(wanted, live)| carries(wanted, live))
        }
        _ => wanted == live,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}
