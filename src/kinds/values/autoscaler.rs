//! HorizontalPodAutoscalers.

use super::fact::Fact::{Any, Between, OneOf, Segment};
use super::{Row, each, hold, is_empty, optional, required, text};
use crate::schema::Violation;
use serde_json::{Value, json};

const MOST: i64 = i32::MAX as i64;
const ROWS: [Row; 8] = [
    required("spec", "maxReplicas", Between(1, MOST)),
    optional("spec", "minReplicas", Between(0, MOST)),
    required("spec.scaleTargetRef", "kind", Segment),
    required("spec.scaleTargetRef", "name", Segment),
    required("spec.metrics[]", "type", OneOf(&["ContainerResource", "External", "Object", "Pods", "Resource"])),
    required("spec.metrics[].resource", "name", Any),
    required("spec.metrics[].pods.metric", "name", Segment),
    required("spec.metrics[].external.metric", "name", Segment),
];
const BEHAVIOR: [Row; 5] = [
    optional("", "stabilizationWindowSeconds", Between(0, 3600)),
    optional("", "selectPolicy", OneOf(&["Disabled", "Max", "Min"])),
    required("policies[]", "type", OneOf(&["Percent", "Pods"])),
    required("policies[]", "value", Between(1, MOST)),
    required("policies[]", "periodSeconds", Between(1, 1800)),
];
/// The sources of metrics: type and field.
const SOURCES: [(&str, &str); 5] = [
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
    ("Pods", "pods"),
    ("Object", "object"),
    ("External", "external"),
];

/// Holds a HorizontalPodAutoscaler against what it may be.
pub(super) fn check(value: &Value, found: &mut Vec<Violation>) {
    hold(value, "", &ROWS, found);
    for path in ["spec.behavior.scaleUp", "spec.behavior.scaleDown"] {
        hold(value, path, &BEHAVIOR, found);
        // None at all are those of Kubernetes.
        let empty =
            each(value, &format!("{path}.policies")).into_iter().filter(|(_, policies)| policies == &&json!([]));
        found.extend(
            empty.map(|(pointer, _)| Violation::new(pointer, "Required value: must specify at least one Policy")),
        );
    }
    let Some(spec) = value.get("spec") else {
        return found.push(Violation::new("/spec/maxReplicas", "Required value: must be set and greater than 0"));
    };
    let number = |field: &str| spec.get(field).and_then(Value::as_i64);
    let (least, most) = (number("minReplicas").unwrap_or(1), number("maxReplicas").unwrap_or(0));
    if most < least {
        let message = format!("Invalid value: {most}: must be greater than or equal to `minReplicas`");
        found.push(Violation::new("/spec/maxReplicas", message));
    }
    let metrics = each(spec, "metrics[]");
    let counts = metrics.iter().any(|(_, metric)| matches!(text(metric, "type"), "Object" | "External"));
    if least == 0 && !counts {
        let message =
            "Forbidden: must specify at least one Object or External metric to support scaling to zero replicas";
        found.push(Violation::new("/spec/metrics", message));
    }
    if !spec.get("scaleTargetRef").is_some_and(Value::is_object) {
        found.push(Violation::new("/spec/scaleTargetRef/kind", "Required value"));
    }
    group(spec, found);
    for (pointer, metric) in metrics {
        self::metric(metric, &format!("/spec{pointer}"), found);
    }
}

/// What is scaled is a kind of a group, unless it is of the core group.
fn group(spec: &Value, found: &mut Vec<Violation>) {
    let Some(target) = spec.get("scaleTargetRef") else { return };
    let api_version = text(target, "apiVersion");
    if api_version != "v1" && !api_version.is_empty() && !api_version.contains('/') {
        let message = format!("Invalid value: \"{api_version}\": apiVersion must specify API group");
        found.push(Violation::new("/spec/scaleTargetRef/apiVersion", message));
    }
    if api_version.is_empty() && text(target, "kind") != "ReplicationController" {
        found.push(Violation::new(
            "/spec/scaleTargetRef/apiVersion",
            "Invalid value: \"\": apiVersion must specify API group",
        ));
    }
}

fn metric(metric: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let kind = text(metric, "type");
    if matches!(kind, "Pods" | "External") {
        let field = if kind == "Pods" { "pods" } else { "external" };
        let source = metric.get(field).filter(|source| source.is_object());
        if source.is_some_and(|source| !source.get("metric").is_some_and(Value::is_object)) {
            let message = "Required value: must specify a metric name";
            found.push(Violation::new(format!("{pointer}/{field}/metric/name"), message));
        }
    }
    for (source, field) in SOURCES {
        let node = metric.get(field).filter(|node| !node.is_null());
        match node {
            None if source == kind => {
                let message = "Required value: must populate information for the given metric source";
                found.push(Violation::new(format!("{pointer}/{field}"), message));
            }
            Some(_) if source != kind && SOURCES.iter().any(|(known, _)| *known == kind) => {
                let message = "Forbidden: must populate the given metric source only";
                found.push(Violation::new(format!("{pointer}/{field}"), message));
            }
            Some(node) => target(node, source, &format!("{pointer}/{field}"), found),
            None => {}
        }
    }
}

/// The target of a metric: a type and the value of that type.
fn target(source: &Value, of: &str, pointer: &str, found: &mut Vec<Violation>) {
    let target = source.get("target").unwrap_or(&Value::Null);
    let mut say = |field: &str, message: &str| found.push(Violation::new(format!("{pointer}/target/{field}"), message));
    match text(target, "type") {
        "" => say("type", "Required value: must specify a metric target type"),
        "Utilization" | "Value" | "AverageValue" => {}
        other => {
            let message = format!("Invalid value: \"{other}\": must be either Utilization, Value, or AverageValue");
            say("type", &message);
        }
    }
    let has = |field: &str| target.get(field).is_some_and(|value| !is_empty(value));
    if let Some(number) = target.get("averageUtilization").and_then(Value::as_i64).filter(|number| *number < 1) {
        say("averageUtilization", &format!("Invalid value: {number}: must be greater than 0"));
    }
    if of.ends_with("Resource") && !has("averageUtilization") && !has("averageValue") {
        say("averageUtilization", "Required value: must set either a target raw value or a target utilization");
    }
    if of == "Pods" && !has("averageValue") {
        say("averageValue", "Required value: must specify a positive target averageValue");
    }
}
