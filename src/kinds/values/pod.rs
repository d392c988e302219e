//! Pods and the workloads that make them.

use super::fact::Fact::{
    Any, Between, CountOrPercent, DataKey, Key, Label, OneOf, PodField, Port, PortName, Subdomain,
};
use super::{Row, each, hold, is_empty, optional, required, selector, text, twice};
use crate::schema::Violation;
use serde_json::Value;
use std::collections::HashSet;

const MOST: i64 = i32::MAX as i64;
const POD: [Row; 10] = [
    optional("", "serviceAccountName", Subdomain),
    optional("", "restartPolicy", OneOf(&["Always", "OnFailure", "Never"])),
    optional("", "dnsPolicy", OneOf(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"])),
    optional("", "priorityClassName", Subdomain),
    optional("securityContext", "fsGroup", Between(0, MOST)),
    optional("securityContext", "runAsUser", Between(0, MOST)),
    optional("securityContext", "runAsGroup", Between(0, MOST)),
    optional("tolerations[]", "operator", OneOf(&["Equal", "Exists", "Gt", "Lt"])),
    optional("tolerations[]", "effect", OneOf(&["NoExecute", "NoSchedule", "PreferNoSchedule"])),
    optional("tolerations[]", "key", Key),
];
const CONTAINER: [Row; 22] = [
    required("", "name", Label),
    required("", "image", Any),
    optional("", "imagePullPolicy", OneOf(&["Always", "IfNotPresent", "Never"])),
    required("ports[]", "containerPort", Between(1, 65_535)),
    optional("ports[]", "hostPort", Between(0, 65_535)),
    optional("ports[]", "name", PortName),
    optional("ports[]", "protocol", OneOf(&["SCTP", "TCP", "UDP"])),
    required("env[]", "name", Any),
    required("env[].valueFrom.secretKeyRef", "key", DataKey),
    required("env[].valueFrom.secretKeyRef", "name", Subdomain),
    required("env[].valueFrom.configMapKeyRef", "key", DataKey),
    required("env[].valueFrom.configMapKeyRef", "name", Subdomain),
    required("env[].valueFrom.fieldRef", "fieldPath", PodField),
    required("envFrom[].configMapRef", "name", Subdomain),
    required("envFrom[].secretRef", "name", Subdomain),
    required("volumeMounts[]", "name", Any),
    required("volumeMounts[]", "mountPath", Any),
    required("lifecycle.preStop.exec", "command", Any),
    required("lifecycle.postStart.exec", "command", Any),
    optional("securityContext", "runAsUser", Between(0, MOST)),
    optional("securityContext", "runAsGroup", Between(0, MOST)),
    optional("securityContext", "procMount", OneOf(&["Default", "Unmasked"])),
];
const PROBE: [Row; 10] = [
    optional("", "initialDelaySeconds", Between(0, MOST)),
    optional("", "periodSeconds", Between(0, MOST)),
    optional("", "timeoutSeconds", Between(0, MOST)),
    optional("", "successThreshold", Between(0, MOST)),
    optional("", "failureThreshold", Between(0, MOST)),
    required("httpGet", "port", Port),
    optional("httpGet", "scheme", OneOf(&["HTTP", "HTTPS"])),
    required("httpGet.httpHeaders[]", "name", Any),
    required("tcpSocket", "port", Port),
    required("exec", "command", Any),
];
const WORKLOAD: [Row; 4] = [
    optional("spec", "replicas", Between(0, MOST)),
    optional("spec", "minReadySeconds", Between(0, MOST)),
    optional("spec", "revisionHistoryLimit", Between(0, MOST)),
    optional("spec", "progressDeadlineSeconds", Between(1, MOST)),
];
const ROLLING: [Row; 2] = [
    optional("spec.strategy.rollingUpdate", "maxSurge", CountOrPercent),
    optional("spec.strategy.rollingUpdate", "maxUnavailable", CountOrPercent),
];

/// Holds the template of a pod against what it may be.
pub(super) fn template(value: &Value, path: &str, found: &mut Vec<Violation>) {
    let pointer = format!("/{}", path.replace('.', "/"));
    for (_, template) in each(value, path) {
        let metadata = template.get("metadata").unwrap_or(&Value::Null);
        selector::labels(metadata, &format!("{pointer}/metadata/labels"), "labels", found);
    }
    spec(value, &format!("{path}.spec"), found);
}

/// Holds the spec of a pod against what it may be.
pub(super) fn spec(value: &Value, path: &str, found: &mut Vec<Violation>) {
    let pointer = format!("/{}", path.replace('.', "/"));
    let Some(spec) = value.pointer(&pointer).filter(|spec| spec.is_object()) else {
        return found.push(Violation::new(format!("{pointer}/containers"), "Required value"));
    };
    let mut below = Vec::new();
    hold(spec, "", &POD, &mut below);
    selector::labels(spec, "/nodeSelector", "nodeSelector", &mut below);
    if each(spec, "containers[]").is_empty() {
        below.push(Violation::new("/containers", "Required value"));
    }
    // A StatefulSet makes volumes of its claims.
    let claims =
        each(value, "spec.volumeClaimTemplates[].metadata.name").into_iter().filter_map(|(_, name)| name.as_str());
    let own = each(spec, "volumes[]").into_iter().map(|(_, volume)| text(volume, "name"));
    let volumes: HashSet<&str> = own.chain(claims).collect();
    for containers in ["containers[]", "initContainers[]"] {
        hold(spec, containers, &CONTAINER, &mut below);
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            hold(spec, &format!("{containers}.{probe}"), &PROBE, &mut below);
        }
        for (pointer, container) in each(spec, containers) {
            mounts(container, &volumes, &pointer, &mut below);
            self::container(container, &pointer, &mut below);
        }
    }
    let containers = [each(spec, "initContainers[]"), each(spec, "containers[]")].concat();
    twice(containers.iter().map(|(pointer, item)| (format!("{pointer}/name"), text(item, "name"))), &mut below);
    for (pointer, volume) in each(spec, "volumes[]") {
        self::volume(volume, &pointer, &mut below);
    }
    twice(each(spec, "volumes[]").iter().map(|(at, volume)| (format!("{at}/name"), text(volume, "name"))), &mut below);
    found.extend(below.into_iter().map(|v| Violation { pointer: format!("{pointer}{}", v.pointer), ..v }));
}

fn container(container: &Value, pointer: &str, found: &mut Vec<Violation>) {
    for (below, variable) in each(container, "env[]") {
        source(variable, &format!("{pointer}{below}/valueFrom"), found);
    }
    for field in ["lifecycle/preStop", "lifecycle/postStart", "livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(handler) = container.pointer(&format!("/{field}")).filter(|handler| handler.is_object()) {
            self::handler(handler, &format!("{pointer}/{field}"), found);
        }
    }
    limits(container, pointer, found);
}

/// What is mounted is a volume of the pod, each at a place of its own.
fn mounts(container: &Value, volumes: &HashSet<&str>, pointer: &str, found: &mut Vec<Violation>) {
    let mounts = each(container, "volumeMounts[]");
    for (below, mount) in mounts.iter().filter(|(_, mount)| !volumes.contains(text(mount, "name"))) {
        let message = format!("Not found: \"{}\"", text(mount, "name"));
        found.push(Violation::new(format!("{pointer}{below}/name"), message));
    }
    let paths = mounts.iter().map(|(below, mount)| (format!("{pointer}{below}/mountPath"), text(mount, "mountPath")));
    twice(paths, found);
}

/// Where variables take their values from.
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const NO_SOURCE: &str =
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";

/// A variable has a value or one source of it.
fn source(variable: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let Some(source) = variable.get("valueFrom").and_then(Value::as_object) else { return };
    let has = |field: &&str| source.get(*field).is_some_and(|value| !value.is_null());
    let wrong = match SOURCES.iter().filter(|field| has(field)).count() {
        0 => NO_SOURCE,
        1 if text(variable, "value").is_empty() => return,
        1 => "may not be specified when `value` is not empty",
        _ => "may not have more than one field specified at a time",
    };
    found.push(Violation::new(pointer, format!("Invalid value: \"\": {wrong}")));
}

/// A probe asks in one way, and a hook acts in one.
fn handler(probe: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let ways = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
    match ways.iter().filter(|way| probe.get(**way).is_some_and(|value| !value.is_null())).count() {
        0 => found.push(Violation::new(pointer, "Required value: must specify a handler type")),
        1 => {}
        _ => found.push(Violation::new(pointer, "Forbidden: may not specify more than 1 handler type")),
    }
}

/// What is requested is within what is allowed.
fn limits(container: &Value, pointer: &str, found: &mut Vec<Violation>) {
    use crate::schema::quantity::nanos;
    let amount = |value: &Value| nanos(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    for (below, request) in each(container, "resources.requests{}") {
        let limit = container.pointer(&below.replacen("requests", "limits", 1));
        if let (Some(request_is), Some(limit_is)) = (amount(request), limit.and_then(amount))
            && request_is > limit_is
        {
            let name = below.rsplit('/').next().unwrap_or_default();
            let message = format!("Invalid value: {request}: must be less than or equal to {name} limit");
            found.push(Violation::new(format!("{pointer}{below}"), message));
        }
    }
}

fn volume(volume: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let name = volume.get("name").filter(|name| !is_empty(name));
    match name.map(|name| Label.wrong(name)) {
        None => found.push(Violation::new(format!("{pointer}/name"), "Required value")),
        Some(wrong) => found.extend(wrong.map(|message| Violation::new(format!("{pointer}/name"), message))),
    }
    let sources = volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && !value.is_null());
    if sources.count() > 1 {
        found.push(Violation::new(pointer, "Forbidden: may not specify more than 1 volume type"));
    }
    for (below, item) in ["configMap.items[]", "secret.items[]"].iter().flat_map(|path| each(volume, path)) {
        for field in ["key", "path"].iter().filter(|field| text(item, field).is_empty()) {
            found.push(Violation::new(format!("{pointer}{below}/{field}"), "Required value"));
        }
    }
    for (below, _) in each(volume, "secret").iter().filter(|(_, source)| text(source, "secretName").is_empty()) {
        found.push(Violation::new(format!("{pointer}{below}/secretName"), "Required value"));
    }
    for (below, _) in each(volume, "configMap").iter().filter(|(_, source)| text(source, "name").is_empty()) {
        found.push(Violation::new(format!("{pointer}{below}/name"), "Required value"));
    }
    for mode in ["configMap", "secret"].iter().flat_map(|source| each(volume, &format!("{source}.defaultMode"))) {
        if mode.1.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
            let message =
                format!("Invalid value: {}: must be a number between 0 and 0777 (octal), both inclusive", mode.1);
            found.push(Violation::new(format!("{pointer}{}", mode.0), message));
        }
    }
}

/// A workload selects the pods that it makes.
pub(super) fn selects_itself(value: &Value, found: &mut Vec<Violation>) {
    hold(value, "", &WORKLOAD, found);
    selector::check(value, "spec.selector", found);
    let selector = value.pointer("/spec/selector").filter(|selector| !is_empty(selector));
    let says = |selector: &&Value| {
        ["matchLabels", "matchExpressions"]
            .iter()
            .any(|field| selector.get(field).is_some_and(|value| !is_empty(value)))
    };
    if selector.is_some() && !selector.is_some_and(|selector| says(&selector)) {
        found.push(Violation::new("/spec/selector", "Invalid value: {}: empty selector is invalid for deployment"));
    }
    let Some(selector) = selector else {
        return found.push(Violation::new("/spec/selector", "Required value"));
    };
    let labels = value.pointer("/spec/template/metadata/labels").unwrap_or(&Value::Null);
    if !selector::selects(selector, labels) {
        let message = "Invalid value: `selector` does not match template `labels`";
        found.push(Violation::new("/spec/template/metadata/labels", message));
    }
}

/// How pods are replaced.
pub(super) fn strategy(kind: &str, value: &Value, found: &mut Vec<Violation>) {
    if kind != "Deployment" {
        return;
    }
    hold(value, "", &[optional("spec.strategy", "type", OneOf(&["Recreate", "RollingUpdate"]))], found);
    hold(value, "", &ROLLING, found);
    let strategy = value.pointer("/spec/strategy").unwrap_or(&Value::Null);
    let rolling = strategy.get("rollingUpdate").filter(|rolling| !rolling.is_null());
    if text(strategy, "type") == "Recreate" && rolling.is_some() {
        let message = "Forbidden: may not be specified when strategy `type` is 'Recreate'";
        found.push(Violation::new("/spec/strategy/rollingUpdate", message));
    }
    let none = |field: &str| rolling.and_then(|rolling| rolling.get(field)).is_some_and(|v| v == 0 || v == "0%");
    if none("maxSurge") && none("maxUnavailable") {
        let message = "Invalid value: may not be 0 when `maxSurge` is 0";
        found.push(Violation::new("/spec/strategy/rollingUpdate/maxUnavailable", message));
    }
    if !each(value, "spec.template.spec").is_empty()
        && !matches!(
            value.pointer("/spec/template/spec/restartPolicy").and_then(Value::as_str),
            None | Some("" | "Always")
        )
    {
        let message = "Unsupported value: supported values: \"Always\"";
        found.push(Violation::new("/spec/template/spec/restartPolicy", message));
    }
}
